"""Files of published formats that were made to do harm, or that are damaged: one sentence, and never more room than they have."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import pickle
import random
import resource
import struct
import subprocess
import sys
import tarfile
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paperzoo.data.fetch.deb import deb_files
from paperzoo.data.fetch.readers import (
    archive_members,
    archive_read,
    archive_unpack,
    cifar_batches,
    idx,
    mnist_pickle,
    restricted_unpickle,
)
from paperzoo.data.images.svhn import mat32
from paperzoo.data.series.series import _Frames
from paperzoo.errors import PaperzooError

# Pickles -------------------------------------------------------------------------------------------------------------


def forged(kind: bytes, state: bytes, shape: bytes, raw: bytes) -> bytes:
    """A pickle of one array whose type, shape and bytes are said separately, as ``pickle`` writes it at protocol 2."""
    dtype = b"cnumpy\ndtype\n(U" + bytes([len(kind)]) + kind + b"K\x00K\x01tR" + state
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR"
    return b"\x80\x02" + array + b"(K\x01" + shape + dtype + b"\x89T" + struct.pack("<I", len(raw)) + raw + b"tb."


PLAIN = b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
RECORD = b"(K\x03U\x01|N(U\x01atq\x01}U\x01a(cnumpy\ndtype\n(U\x02O8K\x00K\x01tRK\x00tsK\x08K\x01K\x10tb"
OBJECT = b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"
ADDRESS = b"\x41" * 8  # what a reader that believes the type takes for the address of an object
FORGED = {
    "objects": forged(b"O8", OBJECT, b"K\x01\x85", ADDRESS),
    "a record of objects": forged(b"V8", RECORD, b"K\x01\x85", ADDRESS),
    "a record": forged(b"V8", PLAIN, b"K\x01\x85", ADDRESS),
    "fields by text": forged(b"O,O", PLAIN, b"K\x01\x85", ADDRESS * 2),
    "a subarray": forged(b"(9)f8", PLAIN, b"K\x01\x85", ADDRESS),
    "more than there is": forged(b"f8", PLAIN, b"J\xff\xff\xff\x7f\x85", ADDRESS),
    "a size below zero": forged(b"f8", PLAIN, b"J\xff\xff\xff\xff\x85", ADDRESS),
    "dimensions without end": forged(b"f8", PLAIN, b"(" + b"K\x01" * 200 + b"t", ADDRESS),
    "letters that there are not": forged(b"U1", PLAIN, b"K\x01\x85", b"\xff\xff\xff\x7f"),
    "no truth values": forged(b"b1", PLAIN, b"K\x01\x85", b"\xff"),
    "a wide string": forged(b"S999999999", PLAIN, b"K\x01\x85", b"a"),
    "room by a constructor": b"\x80\x02cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85R.",
    "room by bytes": b"\x80\x02cbuiltins\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
    "room by a range": b"\x80\x02cbuiltins\nlist\ncbuiltins\nrange\nJ\xff\xff\xff\x7f\x85R\x85R.",
    "room by a count": b"\x80\x05\x96" + struct.pack("<Q", 2**45) + b"aa.",
    "room by the memo": b"\x80\x02]r\xff\xff\xff\xff(K\x01eJ\xff\xff\xff\x7f\x85\x81.",
    "a state for a function": b"\x80\x02cnumpy\ndtype\n}U\x04nameU\x01xsb.",
    "a state for a class": b"\x80\x02cbuiltins\nstr\n}U\x04nameU\x01xsb.",
    "an instance": b"\x80\x02cbuiltins\nint\n)\x81.",
    "an attribute by dots": b"\x80\x04\x8c\x05numpy\x8c\x0dndarray.dumps\x93.",
    "a list that is none": b"\x80\x02K\x01K\x02a.",
}


def test_a_forged_pickle_is_refused() -> None:
    """In a process of its own, so that a crash is seen; with room for the interpreter and little more."""
    code = (
        "import sys, resource\nsys.path.insert(0, sys.argv[1])\nfrom test_archives import FORGED, PaperzooError, restricted_unpickle\n"
        "from paperzoo.data.fetch.pickles import Restricted\nresource.setrlimit(resource.RLIMIT_AS, (4 * 2**30, 4 * 2**30))\n"
        "for Restricted.objects in (False, True):\n    for name, data in FORGED.items():\n"
        "        print(Restricted.objects, name, end=': ', flush=True)\n"
        "        try:\n            print('read', repr(restricted_unpickle(data, 'the batch')))\n"
        "        except PaperzooError as error:\n            print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent)], capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stdout[-200:], done.stderr[-500:])
    said = done.stdout.splitlines()
    assert [line.partition(": ")[0] for line in said] == [f"{o} {name}" for o in (False, True) for name in FORGED]
    for line in said:
        assert line.partition(": ")[2].startswith(("the batch is no pickle of plain arrays (it ", "the batch is damaged: ")), line


def test_what_is_no_forgery_is_read() -> None:
    """The pickles above are refused for what they ask, not for how they are written."""
    for state in (PLAIN, OBJECT):  # flags that say otherwise count for nothing
        assert restricted_unpickle(forged(b"f8", state, b"K\x02\x85", np.array([1.5, -2.0]).tobytes())).tolist() == [1.5, -2.0]
    values = {"f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "big": np.arange(3, dtype=">i4"), "u": np.array(["a", "äß"]),
              "none": np.zeros((0, 3)), "scalar": np.int16(-7), "bytes": b"", "more": bytearray(b"xy"), "true": np.array([True])}  # fmt: skip  # noqa: E501
    for protocol in range(5):
        found, plain = restricted_unpickle(pickle.dumps(values, protocol)), pickle.loads(pickle.dumps(values, protocol))
        for name, value in plain.items():  # numbers in the other byte order come in the machine's own
            assert np.array_equal(found[name], value) and np.asarray(found[name]).dtype == np.asarray(value).dtype, (name, protocol)
            assert type(found[name]) is type(value) and getattr(found[name], "strides", 0) == getattr(value, "strides", 0), name
    with pytest.raises(PaperzooError, match="it asks for arrays of 'O8'"):
        restricted_unpickle(pickle.dumps(np.array(["a", None], object), 2))
    assert _Frames(pickle.dumps(np.array([["a", None]], object), 2)).load().tolist() == [["a", None]]


def test_lists_in_lists_do_not_become_an_array_larger_than_memory() -> None:
    value: Any = [1]
    for _ in range(60):
        value = [value, value]
    with pytest.raises(PaperzooError, match="no array"):
        mnist_pickle(gzip.compress(pickle.dumps([[value, value]] * 3)))


# Archives ------------------------------------------------------------------------------------------------------------


def zipped(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that a name comes twice
        for name, data in members:
            archive.writestr(name, data)
    return path


def tarred(path: Path, *members: tuple[str, bytes] | tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


both = pytest.mark.parametrize("make", [zipped, tarred])
Make = Callable[..., Path]


@both
def test_a_name_that_comes_twice(make: Make, tmp_path: Path) -> None:
    path = make(tmp_path / "a", ("x", b"1"), ("other", b""), ("x", b"2"))
    for read in (archive_members, lambda p: archive_read(p, "x"), lambda p: archive_unpack(p, tmp_path / "out")):
        with pytest.raises(PaperzooError, match=r"a holds 'x' twice"):
            read(path)
    same = make(tmp_path / "b", ("x", b"1"), ("./x", b"2"))
    with pytest.raises(PaperzooError, match=r"b holds './x' twice"):
        archive_unpack(same, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


@both
@pytest.mark.parametrize("name", ["n" * 256, "d/" * 3000 + "x", "ü" * 200])
def test_names_that_no_disk_can_have(make: Make, name: str, tmp_path: Path) -> None:
    path = make(tmp_path / "a", ("good", b"1"), (name, b"2"))
    assert archive_read(path, "good") == b"1"
    with pytest.raises(PaperzooError, match=r"cannot unpack .*too long"):
        archive_unpack(path, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@both
@pytest.mark.parametrize("names", [("x", "x/y"), ("x/y", "x"), ("/etc/x",), ("../x",), ("..",), ("a/../../x",), ("\\\\host\\x",)])
def test_names_that_do_not_go_together_or_lead_away(make: Make, names: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = make(tmp_path / "in" / "a", *((name, b"1") for name in names))
    with pytest.raises(PaperzooError) as caught:
        archive_unpack(path, tmp_path / "in" / "out")
    assert len(str(caught.value).splitlines()) == 1
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "a"]


@both
def test_a_bomb_is_refused_before_it_is_unpacked(make: Make, tmp_path: Path) -> None:
    path = make(tmp_path / "a", ("zeros", bytes(200 * 2**20)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PaperzooError, match="more bytes than allowed, at zeros"):
        archive_unpack(path, tmp_path / "out", limit=2**20)
    with pytest.raises(PaperzooError, match=f"has more than {2**20} bytes"):
        archive_read(path, "zeros", limit=2**20)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 2**10  # KiB
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_an_encrypted_zip_is_said_to_be_one(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", ("x", b"1"))
    data = bytearray(path.read_bytes())
    for magic, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(magic) + flags] |= 1
    path.write_bytes(data)
    for read in (archive_members, lambda p: archive_read(p, "x"), lambda p: archive_unpack(p, tmp_path / "out")):
        with pytest.raises(PaperzooError, match=r"a.zip is encrypted, at 'x'"):
            read(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_links_and_devices_of_an_archive_are_left_out(tmp_path: Path) -> None:
    odd = []
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        info = tarfile.TarInfo(f"odd{kind!r}")
        info.type, info.linkname = kind, "/etc/passwd"
        odd.append(info)
    path = tarred(tmp_path / "a", *odd, ("x", b"1"))
    assert archive_members(path) == {"x": 1} and [p.name for p in archive_unpack(path, tmp_path / "out").iterdir()] == ["x"]


# idx -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("dimensions", [9, 33, 255])
@pytest.mark.parametrize("side", [0, 1, 2**32 - 1])
def test_idx_of_many_dimensions(pack: Callable[[bytes], bytes], dimensions: int, side: int, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(pack(bytes([0, 0, 8, dimensions]) + struct.pack(">I", side) * dimensions + b"1"))
    with pytest.raises(PaperzooError, match=rf"x is an idx file of {dimensions} dimensions"):
        idx(tmp_path / "x")


def test_idx_with_counts_that_the_file_does_not_have(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for head in (struct.pack(">4B2I", 0, 0, 8, 2, 2**31, 2**31), struct.pack(">4BI", 0, 0, 14, 1, 2**32 - 1)):
        for pack in (bytes, gzip.compress):
            path.write_bytes(pack(head + b"123"))
            with pytest.raises(PaperzooError, match=r"x has .* bytes, but an idx file of shape"):
                idx(path)
    path.write_bytes(gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, 3) + bytes(300 * 2**20), 1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(PaperzooError, match="x has more than 11 bytes"):
        idx(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 2**10
    path.write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 3) + b"123")
    assert idx(path).tolist() == [49, 50, 51]


# Debian packages -----------------------------------------------------------------------------------------------------


def tar_of(*members: tuple[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def ar_of(*members: tuple[str, bytes, int | None]) -> bytes:
    parts = [b"!<arch>\n"]
    for name, data, size in members:
        parts.append(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data) if size is None else size:<10}`\n".encode())
        parts.append(data + b"\n" * (len(data) % 2))
    return b"".join(parts)


def test_debian_packages_with_too_much(tmp_path: Path) -> None:
    path = tmp_path / "x.deb"
    data = lzma.compress(tar_of(("./usr/share/x/a", b"a")))

    def refused(says: str, content: bytes, **options: Any) -> None:
        path.write_bytes(content)
        with pytest.raises(PaperzooError, match=says):
            list(deb_files(path, "usr/share/x", **options))

    refused("it has data.tar.xz and data.tar.xz, where one belongs", ar_of(("data.tar.xz", data, None), ("data.tar.xz", data, None)))
    refused("it has data.tar.xz and data.tar, where", ar_of(("data.tar.xz", data, None), ("data.tar", tar_of(), None)))
    for size in (len(data) + 2, 9_999_999_999):
        refused(rf"x.deb is damaged: data.tar.xz has {len(data)} bytes of {size}", ar_of(("data.tar.xz", data, size)))
    twice = tar_of(("./usr/share/x/a", b"a"), ("./usr/share/x/a", b"b"))
    refused("x.deb holds './usr/share/x/a' twice", ar_of(("data.tar", twice, None)))
    large = bytearray(tar_of(("./usr/share/x/a", b"a")))
    large[124:136] = b"\x80" + bytes(3) + struct.pack(">Q", 2**62)  # a size of 4 EiB
    large[148:156] = b" " * 8
    large[148:156] = f"{sum(large[:512]):06o}\0 ".encode()
    refused("unpacks to more bytes than allowed", ar_of(("data.tar", bytes(large), None)))
    refused("unpacks to more bytes than allowed", ar_of(("data.tar.xz", lzma.compress(tar_of(("./usr/share/x/a", bytes(10**7)))), None)), limit=10**6)  # noqa: E501
    path.write_bytes(ar_of(("debian-binary", b"2.0\n", None), ("data.tar.xz", data, None)))
    assert list(deb_files(path, "usr/share/x")) == [("a", b"a")]


# Damage --------------------------------------------------------------------------------------------------------------


def cifar(folder: Path) -> Path:
    rows = {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1]}
    files = dict.fromkeys((*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"), rows)
    meta = {"label_names": list("abcdefghij")}
    parts = [(f"c/{name}", pickle.dumps(value, 2)) for name, value in {**files, "batches.meta": meta}.items()]
    return tarred(folder / "cifar.tar.gz", *parts)


def mat(folder: Path) -> Path:
    from scipy.io import savemat

    images = np.random.default_rng(0).integers(0, 255, (32, 32, 3, 2), np.uint8)
    savemat(folder / "x.mat", {"X": images, "y": np.array([[1], [10]], np.uint8)}, do_compression=True)
    return folder / "x.mat"


def gzipped_idx(folder: Path) -> Path:
    (folder / "x.gz").write_bytes(gzip.compress(struct.pack(">4B2I", 0, 0, 8, 2, 30, 40) + bytes(1200)))
    return folder / "x.gz"


def plain_idx(folder: Path) -> Path:
    (folder / "x").write_bytes(struct.pack(">4B2I", 0, 0, 8, 2, 30, 40) + bytes(1200))
    return folder / "x"


def deb(folder: Path) -> Path:
    data = lzma.compress(tar_of(*((f"./usr/share/x/{i}", bytes(range(256))) for i in range(4))))
    (folder / "x.deb").write_bytes(ar_of(("debian-binary", b"2.0\n", None), ("data.tar.xz", data, None)))
    return folder / "x.deb"


def mnist(folder: Path) -> Path:
    part = (np.zeros((2, 784), np.float32), np.array([1, 2]))
    (folder / "m").write_bytes(gzip.compress(pickle.dumps((part, part, part), 2)))
    return folder / "m"


def bare_pickle(folder: Path) -> Path:
    (folder / "p").write_bytes(pickle.dumps({"data": np.arange(50.0), "labels": [1, 2, 3], "names": ["a", b"b", None]}, 2))
    return folder / "p"


def all_members(path: Path) -> None:
    for name in archive_members(path):
        archive_read(path, name, 2**20)
    archive_unpack(path, path.parent / "out", 2**20)


READERS: dict[str, tuple[Callable[[Path], Path], Callable[[Path], Any]]] = {
    "zip": (lambda folder: zipped(folder / "a.zip", ("x", bytes(range(256))), ("d/y", b"1" * 300)), all_members),
    "tar": (lambda folder: tarred(folder / "a.tar", ("x", bytes(range(256))), ("d/y", b"1" * 300)), all_members),
    "idx": (plain_idx, idx),
    "idx.gz": (gzipped_idx, idx),
    "cifar": (cifar, cifar_batches),
    "mat": (mat, mat32),
    "deb": (deb, lambda path: list(deb_files(path, "usr/share/x", limit=2**24))),
    "mnist": (mnist, lambda path: mnist_pickle(path.read_bytes())),
    "pickle": (bare_pickle, lambda path: restricted_unpickle(path.read_bytes())),
}


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Bytes changed, cut off, doubled, zeroed or put to their largest, mostly near the beginning, where headers are."""
    out = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(min(len(out), chance.choice((32, 512, len(out)))))
        match chance.randrange(5):
            case 0:
                out[at] ^= 1 << chance.randrange(8)
            case 1:
                out[at : at + 4] = b"\xff" * 4
            case 2:
                out[at : at + 4] = bytes(4)
            case 3:
                del out[max(1, at) :]
            case _:
                out[at:at] = out[at : at + chance.randrange(1, 64)]
    return bytes(out)


def test_damaged_files_are_one_sentence_each(tmp_path: Path) -> None:
    """Two hundred and more of them, drawn by a seed, within some seconds: read, or refused by a ``PaperzooError``."""
    began, chance, refused, read = time.monotonic(), random.Random(16), 0, 0
    for name, (make, reader) in READERS.items():
        folder = tmp_path / name
        folder.mkdir()
        path = make(folder)
        whole = path.read_bytes()
        reader(path)  # sound, it is read
        for case in range(25):
            (folder / str(case)).mkdir()
            place = folder / str(case) / path.name
            place.write_bytes(damaged(whole, chance))
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    reader(place)
                read += 1
            except PaperzooError as error:
                refused += 1
                assert len(str(error).splitlines()) == 1, (name, case, str(error))
            assert {p.name for p in place.parent.iterdir()} <= {path.name, "out"}, (name, case)
    assert refused > 100 and read + refused == 225
    assert time.monotonic() - began < 60  # a few seconds on a free machine


def test_no_reader_takes_more_room_than_its_file_has(tmp_path: Path) -> None:
    """The same damage in a process with little memory: nothing asks for what a forged count promises."""
    if os.name != "posix":
        pytest.skip("limits on memory are POSIX's")
    code = (
        "import random, resource, sys, warnings\nwarnings.simplefilter('ignore')\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[1])\n"  # noqa: E501
        "import scipy.io\nfrom test_archives import READERS, damaged\nfrom paperzoo.errors import PaperzooError\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize() if Path('/proc/self/statm').exists() else 2**32\n"  # noqa: E501
        "resource.setrlimit(resource.RLIMIT_AS, (used + 300 * 2**20,) * 2)\nchance, tmp = random.Random(61), Path(sys.argv[2])\n"
        "for name, (make, reader) in READERS.items():\n"
        "    folder = tmp / name; folder.mkdir(); path = make(folder); whole = path.read_bytes(); reader(path)\n"
        "    for case in range(12):\n"
        "        (folder / str(case)).mkdir(); place = folder / str(case) / path.name; place.write_bytes(damaged(whole, chance))\n"
        "        try:\n            reader(place)\n        except PaperzooError as error:\n            assert 'MemoryError' not in str(error), error\n"  # noqa: E501
        "print('whole')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path)], capture_output=True, text=True)
    assert done.stdout.strip() == "whole", done.stderr[-2000:]
