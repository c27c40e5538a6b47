"""Milliseconds of VDSR and SRResNet beside the same networks in plain PyTorch; the bicubic kernel beside Pillow's; PSNR of a photograph.

    python benchmarks/restoration.py [--quick] [--json]

A training step has the paper's network and 4 squares; a restoration is one photograph of 256x256 pixels enlarged. Both sides run in one
process and take turns; a ratio is that of medians. "Plain" is what most copies do: float32, default memory layout, ``zero_grad``,
``backward``, ``step``. "In float32" is this project's engine without bf16, "as it comes" with the precision that it chooses.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from generative import Plain
from PIL import Image
from translation import loop, turns

from paperzoo.data import Batch, Dataset, Schema, Split
from paperzoo.data.bicubic import enlarge
from paperzoo.data.crops import Pairs, Photographs
from paperzoo.engine.job import resolve
from paperzoo.metrics.restoration import psnr_y

#: name -> side of the squares, and by how much the network enlarges
NETWORKS = {"vdsr": (60, 2), "srgan:srresnet": (96, 4)}
BATCH, SIDE = 4, 256


def data(side: int, scale: int) -> Dataset:
    """Random photographs; what they show does not matter for time."""
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (16, 2 * side, 2 * side, 3), np.uint8)
    column = Pairs(Photographs(pictures.ravel(), np.array([pictures.shape[1:3]] * 16)), [scale], side)
    schema = Schema("random", ("low", "high", "scale", "size"), {"channels": 3, "image_size": side, "scales": (scale,), "scale": scale})
    return Dataset(schema, dict.fromkeys(("train", "validation", "test"), Split(column)), "", "")


def networks(repeats: int, folder: Path) -> dict[str, dict[str, float]]:
    """Median milliseconds of a training step and of a restoration, by network and way of running."""
    found = {}
    for name, (side, scale) in NETWORKS.items():
        dataset = data(side, scale)
        settings = {"model.image_size": side, "batch_size": BATCH}
        place = folder / name.partition(":")[0]
        loops = {way: loop(name, {**settings, "precision": way}, dataset, place / way) for way in ("float32", "auto")}
        model = resolve(name, "paper", overrides=settings).build(dataset).train()
        plain: Any = Plain(model, dict(resolve(name, "paper").recipe.optimizer))
        random = np.random.default_rng(0)

        def step(model: Any = model, plain: Any = plain, dataset: Dataset = dataset, random: Any = random) -> None:
            model.step(Batch(**vars(dataset["train"].batch(random.integers(0, 16, BATCH)))), plain)
            plain.iteration += 1

        models = {"plain": model, **{way: made.model for way, made in loops.items()}}
        steps: dict[str, Callable[[], Any]] = {"plain": step, **{way: made.step for way, made in loops.items()}}
        found[f"{name}, a step"] = turns(steps, repeats)
        image = torch.rand(1, model.channels, SIDE // scale, SIDE // scale)
        for one in models.values():
            one.eval()
        with torch.no_grad():
            restorations = {way: partial(m.restore, image, scale) for way, m in models.items()}
            found[f"{name}, a restoration"] = turns(restorations, repeats)
    return found


def kernels(repeats: int) -> dict[str, float]:
    """Median milliseconds that a photograph of 512x512 pixels takes to be enlarged twice."""
    pixels = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    image, picture = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255, Image.fromarray(pixels)
    ways: dict[str, Callable[[], Any]] = {
        "ours": lambda: enlarge(image, 2),
        "Pillow": lambda: picture.resize((1024, 1024), Image.Resampling.BICUBIC),
    }
    try:
        from skimage.transform import rescale

        ways["scikit-image"] = lambda: rescale(pixels, 2, order=3, channel_axis=2)
    except ImportError:
        pass  # it is no part of any extra
    return turns(ways, repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    repeats = 2 if given.quick else 9
    with tempfile.TemporaryDirectory() as scratch:
        rows: dict[str, dict[str, float]] = {}
        for what, ms in networks(repeats, Path(scratch)).items():
            ratios = {"times faster in float32": ms["plain"] / ms["float32"], "times faster as it comes": ms["plain"] / ms["auto"]}
            rows[what] = {"plain, ms": ms["plain"], "as it comes, ms": ms["auto"], **ratios}
    rows["512x512 pixels enlarged twice by the bicubic kernel, ms"] = kernels(repeats)
    one, other = torch.rand(2, 1, 3, 3000, 4000)
    began = time.perf_counter()
    psnr_y(one, other, 2)
    rows["PSNR of 12 megapixels, ms"] = {"ours": 1e3 * (time.perf_counter() - began)}
    if given.json:
        print(json.dumps({**rows, "threads": torch.get_num_threads()}))
        return
    for what, row in rows.items():
        print(f"{what}: ", "  ".join(f"{k} {v:.2f}" for k, v in row.items()), flush=True)


if __name__ == "__main__":
    main()
