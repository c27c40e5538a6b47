"""Pictures that do not fit into memory: preparing them in shards, and what a batch of them costs beside decoding it.

    python benchmarks/larger_than_memory.py [--gigabytes 3] [--side 256] [--batch 64] [--workers 2] [--batches 200]

Photographs, twice as wide as what is read of them, are made up in a temporary folder, which is deleted afterwards: smooth noise, saved as
JPEG. Printed are the seconds that
preparing took, the milliseconds of a batch in the order of a training, and the most memory that each process had at any time (the
maximum resident set, in which mapped pages count).
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image


def made_up(root: Path, count: int, side: int) -> None:
    noise = np.random.default_rng(0)
    for number in range(count):
        small = Image.fromarray(noise.integers(0, 256, (12, 12, 3), np.uint8))
        folder = root / f"{number % 10}"
        folder.mkdir(parents=True, exist_ok=True)
        small.resize((side * 2, side * 3 // 2), Image.Resampling.BICUBIC).save(folder / f"{number:06d}.jpg", quality=90)


def most() -> float:
    """Megabytes that this process had in memory at any time; ``getrusage`` would count what its parent had."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return float(line.split()[1]) / 1024
    return float("nan")


def read(name: str, side: int, batch: int, batches: int) -> None:
    """Batches in the order of a training, in a process of its own, so that its memory is told apart."""
    from paperzoo.data.datasets import dataset
    from paperzoo.data.order import Order

    before = most()
    built = dataset(name, side)
    train = built["train"]
    order = Order(len(train), batch, "shuffle", 0)
    computed = []
    opened = most()
    took = []
    for iteration in range(batches):
        numbers, began, worked = order.batch(iteration), time.perf_counter(), time.process_time()
        train.batch(numbers)
        took.append(1000 * (time.perf_counter() - began))
        computed.append(1000 * (time.process_time() - worked))
    peak = most()
    kind = type(train.columns[0]).__name__
    print(f"{kind}: {batches} batches of {batch} from {len(train):,} pictures", end=": ")
    print(f"median {np.median(took):.0f} ms, 95 % within {np.quantile(took, 0.95):.0f} ms", end=", ")
    print(f"{np.median(computed):.0f} ms of processors", end="; ")
    print(f"memory {before:.0f} MB before, {opened:.0f} MB opened, {peak:.0f} MB at most")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--gigabytes", type=float, default=3.0)
    for name, value in (("side", 256), ("batch", 64), ("workers", 2), ("batches", 200)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--read", help=argparse.SUPPRESS)
    a = parser.parse_args()
    from paperzoo.data.images import folders

    folders.LARGE = 0
    if a.read:
        read(a.read, a.side, a.batch, a.batches)
        return
    with tempfile.TemporaryDirectory(prefix="larger-than-memory-") as scratch:
        os.environ["PAPERZOO_DATA"] = str(Path(scratch, "cache"))
        count = round(a.gigabytes * 1e9 / (3 * a.side**2))
        began = time.perf_counter()
        made_up(Path(scratch, "pictures"), count, a.side)
        print(f"{count:,} photographs made up in {time.perf_counter() - began:.0f} s", flush=True)
        name = f"folder:{scratch}/pictures"
        again = [sys.executable, __file__, "--read", name, "--side", str(a.side), "--batch", str(a.batch)]
        subprocess.run([*again, "--batches", str(max(1, a.batches // 10))], check=True)  # decoded as they are asked for
        from paperzoo.data.datasets import prepare

        began = time.perf_counter()
        prepare(name, a.side, workers=a.workers)
        seconds = time.perf_counter() - began
        each = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        here = most()
        sizes = [path.stat().st_size for path in Path(scratch, "cache").rglob("*.arrow")]
        print(f"prepared by {a.workers} processes in {seconds:.0f} s, {count / seconds:.0f} pictures/s", end=": ")
        print(f"{sum(sizes) / 1e9:.2f} GB in {len(sizes)} shards", end="; ")
        print(f"a process at most {each:.0f} MB, the first {here:.0f} MB", flush=True)
        subprocess.run([*again, "--batches", str(a.batches)], check=True)


if __name__ == "__main__":
    main()
