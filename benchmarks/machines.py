"""How long a log of machines takes to prepare, and how much memory: CSV of 1, 5 and 50 million rows, each in a process of its own.

    python benchmarks/machines.py [--millions 1 5 50] [--order interleaved|grouped] [--folder DIR] [--json]

Each log is written to a folder of its own in DIR (50 million rows: about 3 GB, and as much again while it is prepared), and that
folder is removed afterwards. Memory is the process's largest resident size, imports included. Linear means: the same seconds a
million rows.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

MACHINES = 500
BEGIN = np.datetime64("2015-01-01T00:00:00")


def write(path: Path, rows: int, order: str) -> None:
    """Hourly readings of four sensors; a machine fails about each 50 days. Values repeat after 10,000 rows, times never do."""
    random = np.random.default_rng(0)
    tails = [f"{a:.4f},{b:.3f},{c:.3f},{d:.2f}" for a, b, c, d in random.normal((2, 40, 11, 90), (1, 8, 3, 25), (9973, 4))]
    events = np.where(random.random(9973) < 1 / 1200, "failure", "").tolist()
    hours = rows // MACHINES
    stamps = np.datetime_as_string(BEGIN + np.arange(hours).astype("timedelta64[h]")).tolist()
    names = [f"machine-{m:04d}" for m in range(MACHINES)]
    number = 0
    with path.open("w") as file:
        file.write("machine,time,vibration,temperature,current,load,event\n")
        for outer in range(hours if order == "interleaved" else MACHINES):
            lines = []
            for inner in range(MACHINES if order == "interleaved" else hours):
                name, stamp = (names[inner], stamps[outer]) if order == "interleaved" else (names[outer], stamps[inner])
                lines.append(f"{name},{stamp},{tails[number % 9973]},{events[number % 9973]}\n")
                number += 1
            file.writelines(lines)


def prepare(path: Path) -> dict[str, float]:
    """Seconds, peak memory and what came out; in the process that is measured."""
    from paperzoo.data.series.machines import log_arrays

    began, cpu = time.perf_counter(), time.process_time()
    found = log_arrays(path)
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return {"seconds": seconds, "cpu": cpu, "gigabytes": peak / 1e9, "windows": len(found["end"]), "readings": len(found["readings"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--millions", type=int, nargs="+", default=[1, 5, 50])
    parser.add_argument("--order", choices=["interleaved", "grouped"], default="interleaved")
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--prepare", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.prepare:
        print(json.dumps(prepare(chosen.prepare)))
        return
    for millions in chosen.millions:
        with tempfile.TemporaryDirectory(dir=chosen.folder) as folder:
            path = Path(folder) / "log.csv"
            write(path, millions * 1_000_000, chosen.order)
            command = [sys.executable, __file__, "--prepare", str(path)]
            done = subprocess.run(command, env={**os.environ, "PAPERZOO_DATA": folder}, capture_output=True, text=True, check=True)
            found = {"millions": millions, "order": chosen.order, "file": path.stat().st_size / 1e9, **json.loads(done.stdout)}
        if chosen.json:
            print(json.dumps(found), flush=True)
        else:
            per = found["seconds"] / millions
            print(
                f"{millions:3d} million rows ({found['file']:.2f} GB, {chosen.order}): {found['seconds']:.1f} s ({found['cpu']:.1f} s of "
                f"processor), {per:.2f} s a million, peak {found['gigabytes']:.2f} GB, {found['windows']:,} windows",
                flush=True,
            )


if __name__ == "__main__":
    main()
