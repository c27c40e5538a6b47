"""Predictive maintenance: five models of windows of 1, 2, 4, 8 and 16 days, each alone and all together, one or two days ahead.

    python benchmarks/windows.py [--quick] [--seeds 3] [--out runs/windows]

Trains ``maintenance`` on the simulated fleet ``wear``, the same windows of the same machines for all. Networks see the longest
window itself, hour by hour (from 8 days on the mean of four hours); the others its statistics. Written are
``docs/comparisons/maintenance.json`` and ``maintenance.png``, and a table is printed. What was trained is reused by the next call.
``--quick`` goes through all of it on 30 machines with one seed, and writes into ``--out`` only.
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

from paperzoo.engine.run import hardware
from paperzoo.report.compare import figure as spread
from paperzoo.report.compare import run_once, text
from paperzoo.report.figures import COLOURS, GREY, plain, png

MODELS = ("logistic", "forest", "boosting", "mlp", "lstm")
WINDOWS = ((1,), (2,), (4,), (8,), (16,), (1, 2, 4, 8, 16))
KEPT = ("average precision", "roc auc", "recall at 5 % alarms", "failures found %", "cost", "cost of none", "positives %")
#: of the runs that were used
COMMITS: set[str] = set()


def measured(model: str, days: Sequence[int], ahead: int, seeds: int, out: Path, quick: bool) -> dict[str, list[float]]:
    """Metrics by name, a value a seed, and the seconds of training."""
    network = model in ("mlp", "lstm")
    recipe = ("smoke" if quick else "small-mini") + ("-network" if network else "")
    overrides: dict[str, Any] = {"model.observation": tuple(days), "model.prediction": ahead}
    if network and max(days) >= 8:
        overrides["model.pool"] = 4
    found: dict[str, list[float]] = {}
    for seed in range(seeds):
        run = run_once(f"maintenance:{model}", recipe, seed, overrides, out)
        seconds = json.loads((run.directory / "result.json").read_text(encoding="utf-8"))["seconds"]
        COMMITS.add(str(run.info["commit"]))
        for name, value in {**{k: run.metrics[k] for k in KEPT if k in run.metrics}, "seconds": seconds}.items():
            found.setdefault(name, []).append(value)
    return found


def named(days: Sequence[int]) -> str:
    """``16`` or ``all``."""
    return "all" if len(days) > 1 else str(days[0])


def draw(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A panel a prediction window, a line a model: average precision against the observation window, with each seed's point."""
    figure = Figure(figsize=(9.2, 3.4), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for ahead, axes in zip((1, 2), panels, strict=True):
        for model, colour in zip(MODELS, COLOURS, strict=False):
            own = [row["metrics"]["average precision"] for row in rows if (row["model"], row["ahead"]) == (model, ahead)]
            axes.plot(range(len(own)), [statistics.fmean(values) for values in own], "-", color=colour, label=model, linewidth=1.4)
            for x, values in enumerate(own):
                axes.plot([x] * len(values), values, "o", color=colour, markersize=3)
        base = next(row["metrics"]["positives %"][0] / 100 for row in rows if row["ahead"] == ahead)
        axes.axhline(base, color=GREY, linestyle=":", linewidth=1)
        axes.set_xticks(range(len(WINDOWS)), [named(days) for days in WINDOWS])
        axes.set_title(f"a failure within {ahead} day{'s' if ahead > 1 else ''}; dotted: guessing", fontsize=9, color=GREY)
        axes.set_xlabel("observation window, days", fontsize=8, color=GREY)
        plain(axes)
    panels[0].set_ylabel("average precision", fontsize=8, color=GREY)
    panels[0].legend(fontsize=8, labelcolor=GREY, frameon=False)
    return png(figure)


def main() -> None:
    """Trains what is missing, then writes figures and picture and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="30 machines, one seed; writes into --out only")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("runs/windows"), help="where the runs lie (default: runs/windows)")
    given = parser.parse_args()
    out, seeds = (given.out / "quick", 1) if given.quick else (given.out, given.seeds)
    rows: list[dict[str, Any]] = [
        {
            "model": model, "days": list(days), "ahead": ahead,
            "metrics": measured(model, days, ahead, seeds, out / f"{model}-{named(days)}-{ahead}", given.quick),
        }
        for ahead in (1, 2)
        for days in WINDOWS
        for model in MODELS
    ]  # fmt: skip
    place = out if given.quick else Path(__file__).parent.parent / "docs" / "comparisons"
    place.mkdir(parents=True, exist_ok=True)
    table = [["days ahead", "window", "model", *KEPT[:5], "seconds"]]
    for row in rows:
        scores = [spread(row["metrics"].get(name, [])) for name in (*KEPT[:5], "seconds")]
        table.append([str(row["ahead"]), named(row["days"]), row["model"], *scores])
    record = {"seeds": seeds, "rows": rows, "table": table, "commits": sorted(COMMITS), "hardware": hardware(), "torch": torch.__version__}
    (place / "maintenance.json").write_text(json.dumps(record, indent=1), encoding="utf-8")
    (place / "maintenance.png").write_bytes(draw(rows))
    print(text(table))
    print(place / "maintenance.json", place / "maintenance.png", sep="\n")


if __name__ == "__main__":
    main()
