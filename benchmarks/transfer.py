"""Examples of the few: accuracy against images a class for features, fine-tuning and from scratch, and digits 0-4 to 5-9.

    python benchmarks/transfer.py [--quick] [--draws 3] [--out runs/transfer]

Trains ``transfer`` in its three ways on ``sprites`` and ``stamps`` with 5, 20 and all images a class, ``--draws`` draws of the
images each, and on the digits 5 to 9 with 5 and 20 labels a class, five draws, by two networks. Same steps and batches for all
three ways. The accuracy is that of the test split, after the last step. Written are ``docs/comparisons/transfer.json`` and
``transfer.png``; the intervals are Student's at 95 %, of the differences on the same draws where two ways are compared. The same
call again goes on where it was stopped: finished runs are reused, unfinished ones resumed. ``--quick`` checks all of it in
seconds on scikit-learn's digits and writes into ``--out`` only; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure

import paperzoo
from paperzoo.engine.run import hardware
from paperzoo.metrics.interval import mean_interval
from paperzoo.report.compare import run_once, text
from paperzoo.report.figures import COLOURS, GREY, plain, png

WAYS = {"features": "features (linear probe)", "finetune": "fine-tuning", "scratch": "from scratch"}
ALL = 0  # stands for all images of a class
#: data set -> way -> recipe
GRID = {
    "sprites": {"features": "small-sprites", "finetune": "small-sprites-finetune", "scratch": "small-sprites-scratch"},
    "stamps": {"features": "small", "finetune": "small-finetune", "scratch": "small-scratch"},
}
#: network -> way -> recipe
DIGITS = {
    name: {"features": recipe, "finetune": recipe, "scratch": f"{recipe}-scratch"}
    for name, recipe in {"cnn, shifted": "small-digits", "cnn:plain": "small-digits-plain"}.items()
}
QUICK = dict.fromkeys(WAYS, "smoke")
#: of the runs that were used
COMMITS: set[str] = set()


def accuracy(way: str, recipe: str, data: str, seed: int, out: Path, quick: bool) -> tuple[float, float]:
    """Percent of the test images that are right, and the seconds of training."""
    overrides: dict[str, Any] = {"data": data, **({"steps": 20} if quick else {})}
    run = run_once(f"transfer:{way}", recipe, seed, overrides, out)
    COMMITS.add(str(run.info["commit"]))
    seconds = json.loads((run.directory / "result.json").read_text(encoding="utf-8"))["seconds"]
    return 100 - run.metrics["error %"], seconds


def images_a_class(data: str) -> float:
    """The mean over classes of how many images there are to train on."""
    built = paperzoo.dataset(data)
    return len(built["train"]) / int(built.schema.arguments["classes"])


def interval(values: Sequence[float]) -> dict[str, Any]:
    """Values with their mean and, if there are two or more, its interval."""
    found = mean_interval(values) if len(values) > 1 else None
    return {"values": list(values), "mean": statistics.fmean(values), "low": found and found.low, "high": found and found.high}


def against_scratch(found: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """For each other way the differences to scratch, draw by draw."""
    return {way: interval([a - b for a, b in zip(found[way], found["scratch"], strict=True)]) for way in found if way != "scratch"}


def curve(data: str, recipes: Mapping[str, str], draws: int, out: Path, quick: bool) -> list[dict[str, Any]]:
    """A point an amount of images: accuracies of all ways on the same draws. The draw is the seed, also where all are taken."""
    points = []
    for few in (5, 20, ALL):
        found: dict[str, list[float]] = {way: [] for way in recipes}
        seconds: dict[str, list[float]] = {way: [] for way in recipes}
        for draw in range(draws):
            name = f"{data}@{few}:{draw}" if few else data
            for way, recipe in recipes.items():
                right, took = accuracy(way, recipe, name, draw, out, quick)
                found[way].append(right)
                seconds[way].append(took)
        points.append(
            {
                "asked": few or "all",
                "images a class": images_a_class(f"{data}@{few}:0" if few else data),
                "accuracy %": {way: interval(values) for way, values in found.items()},
                "points above scratch": against_scratch(found),
                "seconds": {way: statistics.fmean(values) for way, values in seconds.items()},
            }
        )
    return points


def digits(network: str, recipes: Mapping[str, str], data: str, few: int, out: Path, quick: bool) -> dict[str, Any]:
    """Five draws of ``few`` labels a class: each way's accuracy, and the paired difference to scratch."""
    draws = range(2 if quick else 5)
    found = {
        way: [accuracy(way, recipe, f"{data}@{few}:{d}", d, out, quick)[0] for d in draws] for way, recipe in recipes.items()
    }
    return {
        "data": f"{data}@{few}",
        "network": network,
        "accuracy %": {way: interval(values) for way, values in found.items()},
        "points above scratch": against_scratch(found),
    }


def draw(curves: Mapping[str, Sequence[Mapping[str, Any]]]) -> bytes:
    """A panel a data set, a line a way, with the interval of each point where there is one."""
    figure = Figure(figsize=(4.6 * len(curves), 3.2), layout="constrained")
    for axes, (data, points) in zip(figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True):
        x = [point["images a class"] for point in points]
        for (way, title), colour in zip(WAYS.items(), COLOURS, strict=False):
            y = [point["accuracy %"][way] for point in points]
            axes.plot(x, [one["mean"] for one in y], "o-", color=colour, label=title, linewidth=1.4, markersize=4)
            if all(one["low"] is not None for one in y):
                low, high = [max(0, one["low"]) for one in y], [min(100, one["high"]) for one in y]  # Student knows no bounds
                axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        axes.set_xscale("log")
        axes.set_xticks(x, [f"{value:.0f}" for value in x])
        axes.minorticks_off()
        axes.set_title(data, fontsize=9, color=GREY)
        axes.set_xlabel("images a class to train on", fontsize=8, color=GREY)
        axes.set_ylabel("accuracy, %", fontsize=8, color=GREY)
        plain(axes)
        axes.legend(fontsize=8, labelcolor=GREY, frameon=False)
    return png(figure)


def said(one: Mapping[str, Any]) -> str:
    return f"{one['mean']:.1f}" + (f" ({one['low']:.1f} to {one['high']:.1f})" if one["low"] is not None else "")


def main() -> None:
    """Trains what is missing, then writes figures and picture and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="seconds, on scikit-learn's digits; writes into --out only")
    parser.add_argument("--draws", type=int, default=3, help="of the images of sprites and stamps (default: 3)")
    parser.add_argument("--out", type=Path, default=Path("runs/transfer"), help="where the runs lie (default: runs/transfer)")
    given = parser.parse_args()
    out = given.out / "quick" if given.quick else given.out
    grid, draws = ({"digits": QUICK}, 2) if given.quick else (GRID, given.draws)
    curves = {data: curve(data, recipes, draws, out, given.quick) for data, recipes in grid.items()}
    networks, data = ({"smoke": QUICK}, "digits") if given.quick else (DIGITS, "mnist-high")
    few = [digits(name, recipes, data, count, out, given.quick) for name, recipes in networks.items() for count in (5, 20)]
    place = out if given.quick else Path(__file__).parent.parent / "docs" / "comparisons"
    place.mkdir(parents=True, exist_ok=True)
    table = [["data", "images a class", *WAYS.values(), "features - scratch", "fine-tuning - scratch"]]
    rows = [(data, f"{point['images a class']:.0f}", point) for data, points in curves.items() for point in points]
    for data, images, point in [*rows, *((f"{one['data']} {one['network']}", "", one) for one in few)]:
        cells = [said(point["accuracy %"][way]) for way in WAYS]
        table.append([data, images, *cells, *(said(point["points above scratch"][way]) for way in ("features", "finetune"))])
    record = {"draws": draws, "curves": curves, "digits": few, "table": table, "commits": sorted(COMMITS)}
    record |= {"hardware": hardware(), "torch": torch.__version__}
    (place / "transfer.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    (place / "transfer.png").write_bytes(draw(curves))
    print(text(table))
    print(place / "transfer.json", place / "transfer.png", sep="\n")


if __name__ == "__main__":
    main()
