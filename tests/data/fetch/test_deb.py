"""Debian packages: read without dpkg, fetched through apt by name. The packages are made here; no apt is run."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.files import ar_bytes, make_deb, tar_bytes

from paperzoo.data.fetch import deb
from paperzoo.data.fetch.deb import deb_files
from paperzoo.data.fetch.sources import Source, sha256
from paperzoo.errors import PaperzooError

FILES = {"usr/share/x/b.png": b"bb", "usr/share/x/deep/a.png": b"a", "usr/share/x/c.txt": b"c", "usr/share/xy/d.png": b"d"}
BELOW = [("b.png", b"bb"), ("deep/a.png", b"a"), ("c.txt", b"c")]

# Reading -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "pack"), [("", bytes), (".xz", lzma.compress), (".gz", gzip.compress), (".bz2", bz2.compress)]
)
def test_files_of_a_package(kind: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    path = make_deb(tmp_path / "x.deb", FILES, kind, pack)
    assert list(deb_files(path, "usr/share/x")) == BELOW  # in the package's order; not usr/share/xy, nor what control holds
    assert [name for name, _ in deb_files(path, "usr/share/x", ".png")] == ["b.png", "deep/a.png"]
    assert list(deb_files(path, "usr/share/x/deep")) == [("a.png", b"a")]
    assert [p.name for p in tmp_path.iterdir()] == ["x.deb"]  # nothing is unpacked


def test_dpkg_agrees(tmp_path: Path) -> None:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("no dpkg-deb on this system")
    root = tmp_path / "root"
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN" / "control").write_text(
        "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: x\n"
    )
    for name, data in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "usr/share/x/link.png").symlink_to("b.png")
    subprocess.run(["dpkg-deb", "-Zxz", "--build", str(root), str(tmp_path / "x.deb")], check=True, capture_output=True)
    assert sorted(deb_files(tmp_path / "x.deb", "usr/share/x")) == sorted(BELOW)  # the link is left out


def test_what_is_no_package(tmp_path: Path) -> None:
    path = make_deb(tmp_path / "x.deb", {**FILES, "usr/share/x/noise": bytes(range(256)) * 40})
    whole = path.read_bytes()

    def refused(says: str, data: bytes | None = None, folder: str = "usr/share/x", **options: Any) -> None:
        path.write_bytes(whole if data is None else data)
        with pytest.raises(PaperzooError, match=says):
            list(deb_files(path, folder, **options))

    refused("x.deb is no Debian package: it is no ar archive", b"PK\3\4 a zip")
    refused("x.deb is no Debian package: it is no ar archive", b"")
    refused("x.deb is no Debian package: it has no data.tar", ar_bytes({"debian-binary": b"2.0\n"}))
    refused("x.deb is damaged", ar_bytes({"data.tar.xz": b"no xz"}))
    refused("x.deb is damaged", ar_bytes({"data.tar": b"no tar" * 100}))
    refused("x.deb is damaged", ar_bytes({"data.tar.xz": lzma.compress(tar_bytes({"./a": bytes(5000)}))[:70]}))
    refused("x.deb has no .svg below usr/share/x: another package, or another version", suffix=".svg")
    refused("has no files below usr/share/none", folder="usr/share/none")
    refused("unpacks to more bytes than allowed", limit=9000)
    for length in range(9, len(whole), 97):  # wherever a download breaks off
        refused("x.deb is damaged|it has no data.tar", whole[:length])
    with pytest.raises(PaperzooError, match="there is no package"):
        list(deb_files(tmp_path / "none.deb", ""))


@pytest.mark.parametrize("evil", ["../evil.png", "usr/share/x/../../../evil.png"])
def test_a_path_that_leaves_its_folder(evil: str, tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=r"holds the path .*evil.png', which leaves its folder"):
        list(deb_files(make_deb(tmp_path / "x.deb", {**FILES, evil: b"evil"}), "usr/share/x"))


def test_a_small_file_that_unpacks_to_a_large_one(tmp_path: Path) -> None:
    """The bound holds for what is skipped as well."""
    path = make_deb(tmp_path / "x.deb", {"elsewhere/zeros": bytes(50_000_000), **FILES})
    assert path.stat().st_size < 50_000
    with pytest.raises(PaperzooError, match="unpacks to more bytes than allowed"):
        list(deb_files(path, "usr/share/x", limit=40_000_000))


def test_zstd_is_named_where_python_cannot_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(deb, "import_module", none)
    with pytest.raises(PaperzooError, match=r"x.deb is packed with zstd, which only Python 3.14 .*packed with xz"):
        list(deb_files(make_deb(tmp_path / "x.deb", FILES, ".zst", bytes), "usr/share/x"))


# Fetching ------------------------------------------------------------------------------------------------------------

GAME = Source("game_1.0-1_all.deb", "deb", "GPL-2", package="game", version="1:1.0-1", how="Every mirror has it in pool/g/")


class Apt:
    """What ``apt-get download`` does, with a list of the versions that it knows."""

    def __init__(self, known: dict[str, bytes]) -> None:
        self.known, self.commands = known, list[list[str]]()

    def __call__(self, command: list[str], cwd: Path, **options: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        name, _, version = command[-1].partition("=")
        version = version or next(iter(self.known), "")
        if version not in self.known:
            return subprocess.CompletedProcess(command, 100, "", f"W: odd\nE: Unable to locate package {name}\n")
        (cwd / f"{name}_{version.replace(':', '%3a')}_all.deb").write_bytes(self.known[version])
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    yield tmp_path / "cache" / "sources"


def kept(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.suffix == ".deb")


def test_apt_fetches_by_name_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = Apt({"1:1.0-1": b"the game"})
    monkeypatch.setattr(subprocess, "run", apt)
    (tmp_path / "game").write_bytes(b"the game")
    pinned = Source(**{**vars(GAME), "sha256": sha256(tmp_path / "game")})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):
            assert pinned.fetch() == folder / "game_1.0-1_all.deb"  # mirrors' name, without the version's epoch
    assert apt.commands == [["/usr/bin/apt-get", "download", "--quiet", "game=1:1.0-1"]] and kept(folder) == [pinned.name]


def test_the_same_version_with_other_bytes_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", Apt({"1:1.0-1": b"another game"}))
    with pytest.raises(PaperzooError, match=r"game_1.0-1_all.deb has SHA-256 .*expected abababab"):
        Source(**{**vars(GAME), "sha256": "ab" * 32}).fetch()
    assert kept(folder) == []


def test_another_version_is_taken_with_a_warning(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    apt = Apt({"1:1.2-3": b"a later game"})
    monkeypatch.setattr(subprocess, "run", apt)
    by_hand = b"the pinned one, put there by hand"
    pinned = Source(**{**vars(GAME), "sha256": hashlib.sha256(by_hand).hexdigest()})
    for _ in range(2):
        with pytest.warns(UserWarning, match=r"game_1.2-3_all.deb is not the version 1:1.0-1 .*measured on"):
            path = pinned.fetch()
        assert path == pinned.path == folder / "game_1.2-3_all.deb" and path.read_bytes() == b"a later game"
    assert [command[-1] for command in apt.commands] == ["game=1:1.0-1", "game"] and kept(folder) == [path.name]
    (folder / pinned.name).write_bytes(by_hand)
    assert pinned.fetch() == folder / pinned.name  # comes first


def test_apt_that_is_missing_or_knows_no_package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = Source(**{**vars(GAME), "sha256": hashlib.sha256(b"by hand").hexdigest()})
    place = rf"SHA-256 {pinned.sha256}\) by other means and put it at {folder}/game_1.0-1_all.deb. Every mirror has it in pool/g/"
    monkeypatch.setattr(subprocess, "run", Apt({}))
    with pytest.raises(PaperzooError, match=rf"game_1.0-1_all.deb: E: Unable to locate package game .*apt-get update.*{place}"):
        pinned.fetch()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(PaperzooError, match=rf"apt-get is not installed.*{place}"):
        pinned.fetch()
    for name in ("game_1%3a1.0-1_all.deb", "game_1.0-1_all.deb"):  # as apt calls it, and as mirrors do
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            (folder / name).write_bytes(b"by hand")
            assert pinned.fetch() == folder / name
