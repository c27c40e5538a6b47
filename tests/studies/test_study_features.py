"""The study ``features``: every analysis against a case whose answer is known; and the reader of paintings."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import spearmanr
from torch import Tensor

from paperzoo.data import Images, Schema, Split, Values
from paperzoo.data.images import authors
from paperzoo.data.images.raphael import raphael
from paperzoo.errors import PaperzooError
from paperzoo.metrics.authorship import ask, calibrated, chances, cut, examine, left_out, log_odds, vote
from paperzoo.report import study
from paperzoo.studies import features
from paperzoo.studies.trial import Outcome

pytestmark = pytest.mark.processor

# --- what it shows -----------------------------------------------------------------------------------------------------


def test_purity_and_silhouette_are_those_counted_by_hand() -> None:
    random = np.random.default_rng(0)
    x, label = random.normal(size=(60, 3)), random.integers(3, size=60)
    distance = np.linalg.norm(x[:, None] - x, axis=2)
    shares, widths = [], []
    for i in range(60):
        shares.append(np.mean(label[[j for j in np.argsort(distance[i]) if j != i][:10]] == label[i]))
        of = [distance[i][(label == k) & (np.arange(60) != i)].mean() for k in range(3)]
        near = min(of[k] for k in range(3) if k != label[i])
        widths.append((near - of[label[i]]) / max(near, of[label[i]]))
    assert features.purity(x, label) == pytest.approx(100 * np.mean(shares))
    assert features.silhouette(x, label) == pytest.approx(np.mean(widths))
    assert features.purity(x + 100 * np.eye(3)[label], label) == 100


def test_each_map_keeps_what_it_is_for() -> None:
    random = np.random.default_rng(0)
    frame = np.linalg.qr(random.normal(size=(12, 2)))[0].T  # (2, 12), orthonormal rows
    plane = random.normal(size=(60, 2))
    found = features.maps(plane @ frame, seed=0)
    far = np.linalg.norm(plane[:, None] - plane, axis=2)
    for name in ("PCA", "MDS"):  # distances in a plane can be kept
        kept = np.linalg.norm(found[name][:, None] - found[name], axis=2)
        assert np.abs(kept - far).max() < 0.05 * far.max(), name
    along = np.linspace(4, 13, 300)  # a spiral: Isomap unrolls it, PCA cannot
    found = features.maps(np.stack([along * np.cos(along), along * np.sin(along)], 1) @ frame, seed=0)
    order = {name: abs(spearmanr(y[:, 0], along).statistic) for name, y in found.items()}
    assert order["Isomap"] > 0.999 and order["PCA"] < 0.8
    label = np.repeat(np.arange(6), 20)  # six clusters in as many directions: the first two components hold two of them
    x = 8 * np.eye(12)[label] + random.normal(size=(120, 12))
    found = features.maps(x, seed=0)
    assert features.purity(found["t-SNE"], label) > 95 > features.purity(found["PCA"], label)


def test_classifiers_learn_what_is_there_and_nothing_else() -> None:
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(300) % 3
    x = torch.randn(300, 5, generator=generator) + 6 * torch.eye(5)[y]
    errors = features.errors(x[:200], y[:200], x[200:], y[200:], seed=0)
    assert set(errors) == set(features.CLASSIFIERS) and max(errors.values()) < 3
    shuffled = y[torch.randperm(300, generator=generator)]
    assert min(features.errors(x[:200], shuffled[:200], x[200:], shuffled[200:], seed=0).values()) > 50


# --- who drew it -------------------------------------------------------------------------------------------------------


def test_authors_are_known_by_their_hand_and_not_by_what_they_draw() -> None:
    """The hatching of made-up blobs tells their authors; features that know nothing but the subject or its category do not."""
    every = authors.made_up_drawings()
    sets = {name: torch.from_numpy(items) for name, items in authors.chosen(every, 4, 8, seed=0).items()}
    assert not set(every.subject[sets["disputed"]]) & set(every.subject[torch.cat([sets["many"], sets["own"]])])
    author, subject, category = (torch.from_numpy(v) for v in (every.author, every.subject, every.category))
    patches = cut(every.image, side=16, across=2, margin=4)
    assert torch.equal(patches[1], every.image[0, :, 4:20, 12:28])
    hand = features.describe(patches, {}, places=False)["scattering"].view(len(author), 4, -1)
    found = examine(hand, author, subject, sets["many"], sets["disputed"])
    assert found["believed"] < 5 and found["mean"] < 5 and found["Brier"]["Platt"] < 2
    assert sum(found["bins"]["raw"][0]) == 4 * len(sets["disputed"])

    noise = 0.01 * torch.randn(len(author), 2, 1, generator=torch.Generator().manual_seed(0))
    of_subject = torch.eye(80)[subject][:, None] + noise  # (N, P, D)
    blind = examine(of_subject, author, subject, sets["many"], sets["disputed"])
    assert blind["mean"] > 60 and 18 < blind["Brier"]["raw"] < 21
    of_category = torch.eye(4)[category][:, None] + noise
    fooled = examine(of_category, author, subject, sets["own"], sets["disputed"])  # each author has a category of his own
    assert fooled["believed"] == 0 and fooled["mean"] == 75
    assert examine(of_category, author, subject, sets["many"], sets["disputed"])["mean"] > 60


def test_a_group_is_left_out_as_a_whole_and_only_it() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(24, 2, 3, generator=generator)
    group, author, known = torch.arange(24) // 4, torch.arange(24) % 4, torch.arange(4, 24)
    first = left_out(x, author, group, known)
    changed = x.clone()
    changed[8:11] *= -3  # three of the four of group 2
    second = left_out(changed, author, group, known)
    assert torch.equal(first[7], second[7]) and not torch.allclose(first[:4], second[:4])
    changed = x.clone()
    changed[:4] = 50  # who is not known
    assert torch.equal(left_out(changed, author, group, known), first)
    assert torch.equal(first[4:8], ask(x, author, torch.tensor([*range(4, 8), *range(12, 24)]), torch.arange(8, 12)))
    with pytest.raises(ValueError, match="one group"):
        left_out(x, author, torch.zeros(24, dtype=torch.int64), known)


def test_features_that_tell_nothing_give_chance_and_not_its_opposite() -> None:
    """Whoever is left out is one fewer of his kind among the rest: an opinion that counts them is wrong every time."""
    author = torch.tensor([1] * 10 + [0] * 18 + [-1] * 3)
    x = torch.zeros(31, 2, 4)
    odds = log_odds(vote(left_out(x, author, torch.arange(31), torch.arange(28)))[:, 1])
    assert np.abs(odds).max() < 0.05
    assert np.abs(chances(x, author) - 10 / 28).max() < 0.2
    told = x + author.clamp(min=0)[:, None, None]  # the unknown look like those that are not genuine
    found = chances(told, author)
    assert found[:10].min() > 0.8 and found[10:].max() < 0.2
    with pytest.raises(ValueError, match="two not"):
        chances(x, torch.tensor([1] * 30 + [0]))


def test_votes_and_calibration_in_closed_form() -> None:
    opinion = torch.tensor([[[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]]]).log()
    mean = (0.9 * 0.5 * 0.2) ** (1 / 3), (0.1 * 0.5 * 0.8) ** (1 / 3)
    assert vote(opinion).exp()[0, 0] == pytest.approx(mean[0] / sum(mean))
    assert vote(opinion[:, [0, 0, 2]], "majority").exp()[0].tolist() == pytest.approx([2.5 / 4, 1.5 / 4])
    assert log_odds(torch.tensor([0.9, 0.5, 1.0, 0.0]).log()) == pytest.approx([np.log(9), 0, 30, -30], abs=1e-3)

    # two scores, three of each kind: two parameters meet both targets, 4 / 5 and 1 / 5
    score, right = np.repeat([-2.0, 3.0], 3), np.repeat([False, True], 3)
    found = calibrated(score, right, np.array([-2.0, 3.0]))
    assert found["Platt"] == pytest.approx([0.2, 0.8], abs=1e-3) and found["isotonic"].tolist() == [0, 1]
    steps = calibrated(np.arange(4.0), np.array([False, True, False, True]), np.array([-9.0, 1.0, 2.0, 9.0]))
    assert steps["isotonic"].tolist() == [0, 0.5, 0.5, 1]
    random = np.random.default_rng(0)
    score = random.normal(0, 3, 40_000)  # a judge three times too sure of himself, and partial
    right = random.random(40_000) < 1 / (1 + np.exp(-(score / 3 - 1)))
    asked = np.array([-6.0, 0.0, 6.0])
    found, true = calibrated(score, right, asked), 1 / (1 + np.exp(-(asked / 3 - 1)))
    assert found["Platt"] == pytest.approx(true, abs=0.02) and found["isotonic"] == pytest.approx(true, abs=0.07)
    assert np.abs(found["raw"] - true).max() > 0.2


def test_only_subjects_of_one_code_point_that_all_vendors_have_are_taken() -> None:
    rows = [(code, vendor) for vendor in range(4) for code in ("1f600", "1f601", "1f468-1f3fb") if (code, vendor) != ("1f601", 2)]
    pixels = torch.arange(len(rows), dtype=torch.uint8)[:, None, None, None].expand(-1, 3, 2, 2).contiguous()
    vendor, label = torch.tensor([v for _, v in rows]), torch.tensor([3 if v else 5 for _, v in rows])

    def split(a: int, b: int) -> Split:
        return Split(Images(pixels[a:b]), Values("label", label[a:b]), Values("vendor", vendor[a:b]))

    codes = {"train": tuple(c for c, _ in rows[:5]), "test": tuple(c for c, _ in rows[5:])}
    made = authors.Emoji(Schema("emoji", ("image",)), {"train": split(0, 5), "test": split(5, 11)}, "", "", codes=codes)
    found = authors.emoji_drawings(made)
    wanted = [i for i, (code, _) in enumerate(rows) if code == "1f600"]
    assert (255 * found.image[:, 0, 0, 0]).round().int().tolist() == wanted
    assert found.author.tolist() == [0, 1, 2, 3] and found.subject.tolist() == [0] * 4 and found.category.tolist() == [5] * 4
    with pytest.raises(PaperzooError, match="half of them disputed"):
        authors.chosen(found, 1, 1, seed=0)
    with pytest.raises(PaperzooError, match="left in each of 4 categories"):
        authors.chosen(authors.made_up_drawings(24), 2, 8, seed=0)


# --- paintings ---------------------------------------------------------------------------------------------------------


def rgb16(path: Path, pixels: np.ndarray, order: str) -> None:
    """A bare TIFF of uint16 (H, W, 3), little (``<``) or big (``>``) endian, for Pillow writes none."""
    height, width, _ = pixels.shape
    data = pixels.astype(f"{order}u2").tobytes()
    short = [(256, width), (257, height), (258, 0), (259, 1), (262, 2), (273, 0), (277, 3), (278, height), (279, 0)]
    at = 8 + 2 + 12 * len(short) + 4  # behind the directory: the three depths, then the pixels
    entries = b""
    for tag, value in short:
        if tag == 258:
            entries += struct.pack(f"{order}HHII", tag, 3, 3, at)
        elif tag in (273, 279):
            entries += struct.pack(f"{order}HHII", tag, 4, 1, at + 6 if tag == 273 else len(data))
        else:
            entries += struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}H", len(short))
    path.write_bytes(head + entries + struct.pack(f"{order}I", 0) + struct.pack(f"{order}HHH", 16, 16, 16) + data)


def hang(folder: Path, table: str, numbers: tuple[int, ...] = (1, 2)) -> Path:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        Image.new("RGB", (6, 4), (number, 0, 0)).save(folder / f"{number:02}.tif")
    (folder / "labels.csv").write_text(table, encoding="utf-8")
    return folder


def test_paintings_of_any_depth_are_read_alike(tmp_path: Path) -> None:
    y, x = np.mgrid[0:24, 0:36]
    colour = np.stack([4 * x + 40, 6 * y + 30, np.full_like(x, 90)], 2).astype(np.uint8)  # (24, 36, 3)
    grey = (4 * x + 2 * y).astype(np.uint8)
    Image.fromarray(colour).save(tmp_path / "Raphael 1.TIFF")
    Image.fromarray(colour).save(tmp_path / "02.jpeg", quality=98, subsampling=0)
    rgb16(tmp_path / "3.tif", colour.astype(np.uint16) * 257, "<")
    rgb16(tmp_path / "28-madonna.tif", colour.astype(np.uint16) * 257, ">")
    Image.fromarray(grey).save(tmp_path / "5.jpg", quality=98)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "6.tif")
    (tmp_path / "notes 7 8.txt").write_text("not an image")
    rows = ["6; not ;x", "1;Genuine;x", "02;genuine;x", "3;NOT;x", "28;maybe;x", "5;maybe;x"]
    (tmp_path / "table.csv").write_text("\ufeffNumber; Label ;by\n" + "\n".join(rows) + "\n", encoding="utf-8")
    found = raphael(tmp_path, tmp_path / "table.csv", short_side=24)
    assert found.numbers == (1, 2, 3, 5, 6, 28) and len(found) == 6
    assert found.labels == ("genuine", "genuine", "not", "maybe", "not", "maybe")
    for number, image in zip(found.numbers, found.images, strict=True):
        wanted = np.repeat(grey[..., None], 3, 2) if number in (5, 6) else colour
        assert image.dtype == np.uint8 and image.shape == (3, 24, 36)
        assert np.abs(image.transpose(1, 2, 0).astype(int) - wanted).max() <= (4 if number in (2, 5) else 1), number
    assert [i.shape for i in raphael(tmp_path, tmp_path / "table.csv", short_side=8).images] == [(3, 8, 12)] * 6


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("number,label\n1,genuine\n", r"02\.tif has no row in .*labels\.csv: number 2 is missing there"),
        ("number,label\n1,genuine\n2,not\n9,not\n11,not\n", r"number 9, and .* no image of that number \(nor 11\)"),
        ("number,label\n1,genuine\n2,genuin\n", r"unknown label 'genuin' in .*labels\.csv, line 3: did you mean genuine"),
        ("number,who\n1,genuine\n2,not\n", r"no column label: its first line is 'number,who'"),
        ("", r"no column number and no column label"),
        ("number,label\none,genuine\n2,not\n", r"line 2: the number is 'one'"),
        ("number,label\n1,genuine\n2,not\n01,not\n", r"line 4: number 1 stands there for the second time"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(tmp_path: Path, table: str, said: str) -> None:
    with pytest.raises(PaperzooError, match=said):
        raphael(hang(tmp_path, table))


def test_images_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    folder = hang(tmp_path / "a", "number,label\n1,genuine\n2,not\n")
    whole = (folder / "02.tif").read_bytes()
    (folder / "02.tif").write_bytes(whole[:100])
    with pytest.raises(PaperzooError, match=r"02\.tif cannot be read as an image"):
        raphael(folder)
    (folder / "02.tif").write_bytes(whole)
    (folder / "2.jpg").write_bytes(whole)
    with pytest.raises(PaperzooError, match=r"02\.tif and .*2\.jpg have the same number, 2"):
        raphael(folder)
    (folder / "2.jpg").rename(folder / "page 2 of 3.jpg")
    with pytest.raises(PaperzooError, match=r"page 2 of 3\.jpg has 2 numbers in its name"):
        raphael(folder)
    with pytest.raises(PaperzooError, match=r"labels\.csv is not there: a table with the columns number and label"):
        raphael(hang(tmp_path / "b", "", (1,)), tmp_path / "b" / "other" / "labels.csv")
    with pytest.raises(PaperzooError, match="not there"):
        raphael(tmp_path / "nowhere")
    with pytest.raises(PaperzooError, match="has no images"):
        raphael(hang(tmp_path / "c", "number,label\n", ()))


def test_verdicts_on_paintings_follow_the_hand(tmp_path: Path) -> None:
    random, (y, x), rows = np.random.default_rng(0), np.mgrid[0:512, 0:600], []
    for number in range(1, 15):  # the master hatches one way; the last four are disputed, two of each
        genuine = number % 2 == 1
        hatch = np.sin(x + random.uniform(0, 6)) if genuine else np.sin(y + random.uniform(0, 6))
        array = (120 + 60 * hatch + random.normal(0, 15, (512, 600)) + random.uniform(-20, 20)).clip(0, 255).astype(np.uint8)
        Image.fromarray(array).save(tmp_path / f"{number}.tiff")
        rows.append(f"{number},{'maybe' if number > 10 else 'genuine' if genuine else 'not'}")
    (tmp_path / "labels.csv").write_text("number,label\n" + "\n".join(rows), encoding="utf-8")
    header, *found, last = features.own(tmp_path, across=2)
    assert study.own("features", f"raphael:{tmp_path}").splitlines()[-1].split()[0] == "known"
    for name, data, said in (("lesion", "raphael:x", "takes no --data"), ("features", "raffael:x", "did you mean raphael:PATH")):
        with pytest.raises(PaperzooError, match=said):
            study.own(name, data)
    assert all(len(row) == len(header) for row in [*found, last])
    assert [row[3] for row in found] == ["genuine", "not"] * 7
    assert last[1] == "0 of 10 wrong" and float(last[2].split()[2]) < 15 and last[3].startswith("25.0 %")
    with pytest.raises(PaperzooError, match=r"unknown features 'VGG'"):
        features.own(tmp_path, "VGG")
    (tmp_path / "labels.csv").write_text("number,label\n" + "\n".join(f"{n},not" for n in range(1, 15)), encoding="utf-8")
    with pytest.raises(PaperzooError, match="has 0 labelled genuine"):
        features.own(tmp_path)


# --- table and figure --------------------------------------------------------------------------------------------------


def test_figures_are_drawn_from_numbers_alone() -> None:
    def numbers(shift: float) -> dict[str, Any]:
        bins = [[2.0 + shift, 0.0], [0.25, 0.0], [0.5, 0.0]]
        told = {
            "believed": 10 + shift, "mean": 50 + shift, "majority": 51, "patch": 60,
            "Brier": dict.fromkeys(features.CALIBRATIONS, 12.5), "bins": dict.fromkeys(features.CALIBRATIONS, bins),
        }  # fmt: skip
        return {
            "spaces": {s: {m: [40 + shift, 0.1] for m in ("all dimensions", *features.MAPS)} for s in features.SPACES},
            "errors": {s: dict.fromkeys(features.CLASSIFIERS, 5 + shift) for s in features.SPACES},
            "authors": {s: dict.fromkeys(features.SETS, told) for s in features.SPACES},
            "points": {s: dict.fromkeys(features.MAPS, "999 -5 -999 7 3 0") for s in features.SPACES} if not shift else {},
            "labels": "012",
        }

    found = [
        Outcome(t, "", {"error %": 8.0 - t.x}, numbers(t.seed) if t.label == "VGG" else {}, 1.0, "", ()) for t in features.trials(False)
    ]
    assert isinstance(features.draw(found), Figure)
    rows = features.table(found)
    assert {len(row) for row in rows} == {6} and len({row[0] for row in rows}) == len(rows)
    by_name = {row[0]: row[1:] for row in rows}
    assert by_name["digits: error %, LDA"] == ["6 (5 to 7)"] * 4 + ["-"]
    assert by_name["5 to 9, 20 of each: error %, fine-tuning"] == ["-"] * 4 + ["6 (6 to 6)"]
    confidence, accuracy = features.pooled([[[1, 0], [0.2, 0], [0, 0]], [[3, 0], [0.4, 0], [1, 0]]])
    assert confidence == pytest.approx([35]) and accuracy == pytest.approx([75])


def test_describe_shows_a_network_the_size_and_channels_that_it_knows() -> None:
    class Seen(torch.nn.Module):
        channels = 3

        def features(self, image: Tensor) -> Tensor:
            return image.mean((2, 3))

    image = torch.rand(3, 1, 16, 16)
    model: Any = Seen()
    found = features.describe(image, {"net": (model, 8)})
    assert torch.equal(found["pixels"], image.flatten(1)) and found["scattering"].shape == (3, 81 * 16)
    assert found["net"].shape == (3, 3) and torch.allclose(found["net"][:, :1].expand(-1, 3), found["net"])
    model.channels = 1
    assert features.describe(image.expand(-1, 3, -1, -1), {"net": (model, 8)})["net"].shape == (3, 1)
    averaged = features.describe(image, {}, places=False)["scattering"]
    assert torch.allclose(averaged, found["scattering"].view(3, 81, 16).mean(2), atol=1e-6)
