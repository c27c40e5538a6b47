"""Stamps with the captions beside them, out of a package of the same form."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from fixtures.files import make_deb
from PIL import Image

from paperzoo.data.captions.stamps import stamps_captions
from paperzoo.errors import PaperzooError

STAMPS = "usr/share/tuxpaint/stamps"


def png(colour: tuple[int, int, int]) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 20), colour).save(out, "PNG")
    return out.getvalue()


def box_of_stamps(path: Path, count: int = 60) -> Path:
    """Stamp i has the red 4 i; stamps 2 k and 2 k + 1 have captions of the same words."""
    files = {f"{STAMPS}/food/{i:02d}.png": png((4 * i, 0, 0)) for i in range(count)}
    for i in range(count):
        end = "" if i % 2 else "."
        files[f"{STAMPS}/food/{i:02d}.txt"] = f"A pear—number {i // 2}{end}\npt.utf8=Uma pera {i}.\n".encode()
    files |= {f"{STAMPS}/food/bare.png": png((0, 255, 0)), f"{STAMPS}/food/bare_mirror.png": png((0, 0, 9))}
    files |= {f"{STAMPS}/food/drawn.txt": b"A drawing.\n", f"{STAMPS}/food/drawn.svg": b"<svg/>"}
    files[f"{STAMPS}/food/bare.txt"] = b" \nde.utf8=x\n"
    return make_deb(path, files)


def test_each_stamp_has_the_english_caption_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    built = stamps_captions(box_of_stamps(tmp_path / "x.deb"))
    numbers = {}
    for split in built.splits:
        batch = built[split].batch(range(len(built[split])))
        assert batch.captions.shape[1] == 1 and batch.image.shape[1:] == (3, 96, 96)
        reds = [round(float(image[0, 48, 48]) * 255 / 4) for image in batch.image]
        assert [text for (text,) in batch.texts] == [f"A pear—number {i // 2}{'' if i % 2 else '.'}" for i in reds]
        numbers[split] = {i // 2 for i in reds}
        assert len(reds) == 2 * len(numbers[split])  # equal words in one split
    assert sorted(n for own in numbers.values() for n in own) == list(range(30)) and len(numbers["train"]) > 15
    assert not built.pictures and {"pear", "number"} < set(built.schema.arguments["vocabulary"])
    assert built.schema.arguments["longest"] == 6 and "uma" not in built.schema.arguments["vocabulary"]
    assert {str(n) for n in numbers["train"]} < set(built.schema.arguments["vocabulary"])
    assert not {str(n) for n in numbers["test"]} & set(built.schema.arguments["vocabulary"])
    assert stamps_captions(tmp_path / "x.deb", 120)["train"][0].image.shape == (3, 120, 120)


def test_packages_without_captions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    with pytest.raises(PaperzooError, match="has no stamp with a caption"):
        stamps_captions(make_deb(tmp_path / "a.deb", {f"{STAMPS}/a.png": png((1, 2, 3))}))
    with pytest.raises(PaperzooError, match="has no stamps with captions for"):
        stamps_captions(make_deb(tmp_path / "b.deb", {f"{STAMPS}/a.png": png((1, 2, 3)), f"{STAMPS}/a.txt": b"A pear."}))
    with pytest.raises(PaperzooError, match=r"a.png in .*c.deb is damaged"):
        stamps_captions(make_deb(tmp_path / "c.deb", {f"{STAMPS}/a.png": b"none", f"{STAMPS}/a.txt": b"A pear."}))
