"""How long the recipes called small take on two free cores: each begins alone, and its first steps say how long all of them take.

    python benchmarks/small_recipes.py [NAME ...] [--window 12] [--quick] [--write]

For a minute or so each recipe that has recorded results, but for small-long ones, trains with as many threads as there are cores; the
time between two lines of its log, ``--window`` seconds apart, is that of a step. Data are prepared before the clock begins, and the
measurement at the end is left out. Recipes whose networks grow in stages must be run to their end instead, and are left out. Only on a
machine that does nothing else are the figures worth anything: one other process that computes can make them eight times as long.
``--write`` keeps them in ``results/times.json``, from where pages and headers of trainings take them. ``--quick`` times one smoke recipe.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from paperzoo import catalog, results
from paperzoo.engine.machine import hardware, provenance
from paperzoo.engine.run import read_json, write_json

#: seconds after which a recipe is given up: its data may have to be fetched
GIVEN_UP = 900


def small(names: list[str]) -> list[tuple[str, str]]:
    """Names as they are typed, and recipes, that have results and no stages."""
    found = set()
    for path in sorted(results.folder().glob("*/*.json")):
        file = read_json(path)
        recipe = str(file.get("recipe_name", ""))
        if not recipe.startswith("small") or recipe.startswith("small-long") or (names and file["paper"] not in names):
            continue
        entry = catalog.load(f"{file['paper']}:{file['variant']}")
        if recipe in entry.paper.recipes and not entry.paper.recipes[recipe].stages:
            found.add((entry.name, recipe))
    return sorted(found)


def seconds(name: str, recipe: str, window: float) -> float:
    """The seconds that all steps of a recipe take, by those of its first ones."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "paperzoo", "train", name, "--recipe", recipe, "--out", folder]
        begun, lines = time.monotonic(), list[dict[str, Any]]()
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        try:
            while process.poll() is None and time.monotonic() - begun < GIVEN_UP:
                time.sleep(0.5)
                lines = [line for path in Path(folder).rglob("metrics.jsonl") for line in logged(path)]
                if len(lines) > 2 and lines[-1]["seconds"] - lines[0]["seconds"] > window:
                    break
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            told = process.communicate()[1].decode(errors="replace").strip()
    if len(lines) < 2:
        raise SystemExit(f"{name} {recipe}: too few lines in its log after {GIVEN_UP} s. {told}")
    first, last = lines[0], lines[-1]
    each = (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])
    steps = catalog.load(name).paper.recipes[recipe].steps
    return float(first["seconds"] + each * (steps - first["step"]))


def logged(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log that have losses."""
    whole = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
    return [line for line in whole if "loss" in line]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="papers; default: all")
    parser.add_argument("--window", type=float, default=12.0, help="seconds of training that are timed")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    path, rows = results.folder() / "times.json", dict[str, Any]()
    for name, recipe in [("lenet", "smoke")] if given.quick else small(given.names):
        took = seconds(name, recipe, 0.0 if given.quick else given.window)
        print(f"{name}, {recipe}: {took:.0f} s", flush=True)
        timed = catalog.load(name).paper.recipes[recipe]
        rows[f"{name} {recipe}"] = {
            "seconds": round(took), "steps": timed.steps, "step_hash": results.step_hash(timed),
            "hardware": hardware(), "commit": provenance()["commit"],
        }  # fmt: skip
        if given.write and not given.quick:
            write_json(path, dict(sorted({**(read_json(path) if path.exists() else {}), **rows}.items())))


if __name__ == "__main__":
    main()
