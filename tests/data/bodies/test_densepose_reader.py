"""The reader of DensePose-COCO's annotations, on small files of that form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from paperzoo.data.bodies import readers
from paperzoo.data.bodies.plain import cylinder
from paperzoo.data.bodies.readers import of_densepose, published, rle
from paperzoo.data.datasets import dataset
from paperzoo.errors import PaperzooError
from paperzoo.tasks.dense_pose.measure import surface_of


def encoded(mask: np.ndarray) -> dict[str, Any]:
    """A mask as COCO encodes it, by COCO's own program."""
    coder = pytest.importorskip("pycocotools.mask")
    made = coder.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(made["size"]), "counts": made["counts"].decode()}


def annotation(image: int, **changes: Any) -> dict[str, Any]:
    """A person in the right half of a picture of 40 x 20: the torso fills the upper half of the box, the left foot the lower."""
    upper, lower = np.zeros((256, 256)), np.zeros((256, 256))
    upper[:128], lower[128:] = 1, 1
    masks: list[Any] = [[] for _ in range(14)]
    masks[0], masks[3] = encoded(upper), encoded(lower)
    own = {
        "id": image, "image_id": image, "category_id": 1, "bbox": [20, 0, 20, 20], "dp_masks": masks,
        "dp_x": [0.0, 127.5], "dp_y": [0.0, 255.0], "dp_I": [2.0, 5.0], "dp_U": [0.25, 1.0], "dp_V": [0.5, 0.0],
    }  # fmt: skip
    return own | changes


def written(folder: Path, names: dict[str, int], **changes: Any) -> Path:
    """Pictures of 40 x 20 with a person each, in a .json a split."""
    folder.mkdir(exist_ok=True)
    for number, (split, count) in enumerate(names.items()):
        ids = [100 * number + i for i in range(count)]
        for i in ids:
            Image.fromarray(np.full((20, 40, 3), i % 256, np.uint8)).save(folder / f"{i}.png")
        images = [{"id": i, "file_name": f"{i}.png", "width": 40, "height": 20} for i in ids]
        rows = [annotation(i, **changes) for i in ids] + [{"id": 999, "image_id": ids[0], "bbox": [0, 0, 5, 5]}]
        (folder / f"densepose_coco_2014_{split}.json").write_text(json.dumps({"images": images, "annotations": rows}), encoding="utf-8")
    return folder


def test_masks_are_decoded_as_cocos_own_program_encodes_them() -> None:
    rng = np.random.default_rng(0)
    for mask in (rng.random((256, 256)) > 0.5, np.zeros((256, 256)), np.ones((256, 256)), np.arange(65536).reshape(256, 256) % 7 == 0):
        assert (rle(encoded(mask)["counts"]) == (np.asarray(mask) > 0)).all()
    with pytest.raises(PaperzooError, match="its runs are of"):
        rle("0123")


def test_points_and_masks_come_to_lie_in_the_square_that_the_picture_is_put_into(tmp_path: Path) -> None:
    data = dataset(f"densepose:{written(tmp_path / 'own', {'train': 3, 'val': 1, 'test': 1})}", image_size=64)
    batch = data["train"].batch([0, 1, 2])
    assert {name: len(data[name]) for name in ("train", "validation", "test")} == {"train": 3, "validation": 1, "test": 1}
    # 40 x 20 lies as 64 x 32 in rows 16 to 48; the person's box from x = 32 on
    assert batch.boxes[0, 0].tolist() == [32.0, 16.0, 64.0, 48.0] and batch.objects.tolist() == [1, 1, 1]
    assert batch.points[0, 0].tolist() == [[32.0, 16.0], [48.0, 48.0]] and batch.point_part[0, 0].tolist() == [2, 5]
    assert batch.point_uv[0, 0].tolist() == [[0.25, 0.5], [1.0, 0.0]]
    expected = torch.zeros(64, 64, dtype=torch.int64)
    expected[16:32, 32:], expected[32:48, 32:] = 1, 4
    assert torch.equal(batch.segments[0], expected) and torch.equal(batch.person[0], (expected > 0).long())
    assert batch.image.shape == (3, 3, 64, 64) and "parts" not in vars(batch)


def test_the_larger_part_of_cocos_validation_is_trained_on_and_the_smaller_tested_on(tmp_path: Path) -> None:
    data = published(written(tmp_path / "coco", {"train": 12, "valminusminival": 8, "minival": 4}), "x", 64)
    assert len(data["test"]) == 4 and len(data["train"]) + len(data["validation"]) == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dp_I": [2.0, 25.0]}, r"dp_I has the part 25, but parts are whole numbers from 1 to 24"),
        ({"dp_I": [0.0, 2.0]}, r"dp_I has the part 0"),
        ({"dp_U": [1.2, 0.5]}, r"dp_U or dp_V is 1.2, outside of \[0, 1\]"),
        ({"dp_V": [0.5, -0.1]}, r"is -0.1, outside"),
        ({"dp_V": [0.5]}, r"dp_V is no list as long as dp_x, 2 numbers"),
        ({"dp_masks": [[]] * 13}, "dp_masks are 14 masks, not 13"),
        ({"dp_masks": [{"size": [5, 5], "counts": "x"}] + [[]] * 13}, r"dp_masks\[0\] is no run-length encoded mask of 256x256"),
        ({"bbox": [1, 2]}, "bbox is left, top, width and height"),
        ({"image_id": 77}, "image_id 77, which no entry of images has"),
    ],
)
def test_what_is_wrong_with_an_annotation_is_said_with_its_place(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    folder = written(tmp_path / "own", {"train": 1}, **changes)
    with pytest.raises(PaperzooError, match=message) as caught:
        of_densepose(folder / "densepose_coco_2014_train.json")
    assert "annotations[0]" in str(caught.value) and "train.json" in str(caught.value)


def test_a_surface_beside_the_annotations_is_measured_by_and_a_damaged_one_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "own", {"train": 2, "val": 1, "test": 1})
    own = cylinder().surface()
    np.savez(folder / "surface.npz", **{name: getattr(own, name) for name in ("part", "uv", "place", "landmark", "apart")})
    found = surface_of(dataset(f"densepose:{folder}", image_size=64), "test")
    assert found is not None and np.array_equal(found.apart, own.apart)
    np.savez(folder / "surface.npz", part=own.part)
    with pytest.raises(PaperzooError, match=r"surface\.npz is no surface with part"):
        readers.densepose_folder(folder, 64)
    np.savez(folder / "surface.npz", part=own.part, uv=own.uv[:5], place=own.place, landmark=own.landmark, apart=own.apart)
    with pytest.raises(PaperzooError, match="corners, uv, place"):
        readers.densepose_folder(folder, 64)


def test_folders_without_annotations_or_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match=r"no \.json of DensePose's annotations"):
        dataset(f"densepose:{tmp_path}")
    Image.new("RGB", (8, 8)).save(tmp_path / "1.png")
    images = [{"id": 1, "file_name": "1.png", "width": 8, "height": 8}]
    (tmp_path / "own.json").write_text(json.dumps({"images": images, "annotations": []}))
    with pytest.raises(PaperzooError, match="no picture below"):
        dataset(f"densepose:{tmp_path}")
