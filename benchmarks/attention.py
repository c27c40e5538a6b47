"""Scattering beside kymatio's torch front end, and RAM's glimpses beside a loop over images, in one process and by turns.

    python benchmarks/attention.py [--json] [--repeats 7] [--threads 1] [--device cpu]

The loop is what most copies of RAM do: pad the batch, then for each image and scale slice a patch and average-pool it; six
glimpses at each image. Both sides are checked to give the same numbers before they are timed; a ratio is that of medians. Times
are those of the processor where all the work is on one thread of it, so that other programs count less, else those of the clock.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.papers.attention.ram_sensor import GlimpseSensor
from paperzoo.papers.wavelets.scattering import Scattering2D

SCATTERING = ((2, 28, 128), (3, 28, 128), (2, 32, 128), (3, 64, 32))  # J, side, batch
GLIMPSES = ((28, 8, 1, 128), (60, 12, 3, 128), (100, 12, 4, 128))  # side, g, scales, batch


def loop(image: Tensor, places: Tensor, size: int, scales: int) -> Tensor:
    """(T, N, C, k, g, g) at places (T, N, 2), one image and one scale at a time."""
    pixels, border = image.shape[-1], size * 2 ** (scales - 1)
    padded, found = F.pad(image, (border,) * 4), []
    for place in ((places + 1) * pixels / 2).tolist():
        for one, (x, y) in zip(padded, place, strict=True):
            patches = []
            for i in range(scales):
                width = size * 2**i
                left, top = int(x - width / 2 + 0.5 + border), int(y - width / 2 + 0.5 + border)
                patches.append(F.avg_pool2d(one[None, :, top : top + width, left : left + width], 2**i))
            found.append(torch.cat(patches))
    return torch.stack(found).unflatten(0, places.shape[:2]).movedim(2, 3)


def ours(sensor: GlimpseSensor, image: Tensor, places: Tensor) -> Tensor:
    """The same by the sensor."""
    integral = sensor.integral(image)
    return torch.stack([sensor(integral, place).float() for place in places])


def medians(calls: dict[str, Callable[[], object]], repeats: int, device: str) -> dict[str, float]:
    """Milliseconds a call, the calls taken in turn so that a busy moment hits all of them."""
    clock = time.process_time if device == "cpu" and torch.get_num_threads() == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(repeats + 2):
        for name, call in calls.items():
            if device != "cpu":
                torch.cuda.synchronize()
            began = clock()
            call()
            if device != "cpu":
                torch.cuda.synchronize()
            if turn >= 2:  # the first are warm-up
                times[name].append(1e3 * (clock() - began))
    return {name: statistics.median(values) for name, values in times.items()}


def cases(device: str) -> dict[str, dict[str, Callable[[], object]]]:
    """For each case its two sides, which agree."""
    from kymatio.scattering2d.frontend.torch_frontend import ScatteringTorch2D

    torch.manual_seed(0)
    found: dict[str, dict[str, Callable[[], object]]] = {}
    for J, side, batch in SCATTERING:
        image = torch.rand(batch, 1, side, side, device=device)
        mine, theirs = Scattering2D(J, 8, side, side).to(device), ScatteringTorch2D(J, (side, side)).to(device)
        assert torch.allclose(mine(image), theirs(image), rtol=1e-4, atol=1e-5)
        calls = {"ours": lambda f=mine, x=image: f(x), "kymatio": lambda f=theirs, x=image: f(x)}
        found[f"scattering J={J}, {batch} images of {side}x{side}"] = calls
    for side, size, scales, batch in GLIMPSES:
        image, places = torch.rand(batch, 1, side, side, device=device), 2 * torch.rand(6, batch, 2, device=device) - 1
        sensor = GlimpseSensor(size, scales)
        assert torch.allclose(ours(sensor, image, places), loop(image, places, size, scales), atol=1e-5)
        calls = {
            "ours": lambda s=sensor, x=image, p=places: ours(s, x, p),
            "loop": lambda x=image, p=places, g=size, k=scales: loop(x, p, g, k),
        }
        found[f"6 glimpses {size}x{size} at {scales} scales, {batch} images of {side}x{side}"] = calls
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = {}
    with torch.no_grad():
        for name, calls in cases(given.device).items():
            ms = medians(calls, given.repeats, given.device)
            mine, other = ms.values()
            rows[name] = {**{f"{side} ms": round(value, 3) for side, value in ms.items()}, "times faster": round(other / mine, 2)}
            if not given.json:
                print(f"{name:55}", "  ".join(f"{key} {value}" for key, value in rows[name].items()), flush=True)
    if given.json:
        print(json.dumps({"torch": torch.__version__, "threads": given.threads, "device": given.device, **rows}))


if __name__ == "__main__":
    main()
