"""Several papers on the same data for equal time: a table with mean and spread over seeds, a picture, a page."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
import shlex
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from paperzoo import catalog
from paperzoo.engine import spread
from paperzoo.engine.evaluate import as_trained
from paperzoo.engine.hashes import method_hash
from paperzoo.engine.job import Job, resolve, stages
from paperzoo.engine.loop import Loop
from paperzoo.engine.machine import hardware
from paperzoo.engine.processes import fabric
from paperzoo.engine.run import Run, create, open_run, read_json, write_json
from paperzoo.engine.seeds import begun
from paperzoo.engine.train import resume, train
from paperzoo.errors import PaperzooError, diverged
from paperzoo.files import path_of, write
from paperzoo.report.figures import ranked
from paperzoo.report.page import data_uri, render

#: steps before the clock starts, and steps that it times
WARM, TIMED = 5, 20
#: metrics that say most of a method where it has them; of both less is better
MAIN = ("error %", "fid over floor")
#: of a timing; the last one also logs, and is not reached
STEPS = WARM + TIMED + 1
#: samples in each paper's strip
SAMPLES = 16


def compare(
    names: Sequence[str], data: str | None, seeds: int, seconds: float, recipe: str, out: str | Path, workers: int = 1, on: str = "local"
) -> str:
    """Trains each paper for equal time with seeds 0 .. ``seeds - 1``, measures it, and writes the results.

    Steps are fixed once for each paper, from 20 timed ones, and kept in ``compare.json`` in a folder below ``out``. The
    same call again goes on where it was stopped: a finished run is reused, an unfinished one resumed, and more seeds
    may be asked for. A run that ends since a loss is not finite is left out, and the table says so.

    Args:
        names: two or more papers of one task.
        data: one data set for all; default: that of the first paper's recipe.
        seconds: of training for each run.
        recipe: the recipe of each paper to start from; its steps give way to ``seconds``.
        workers, on: how many runs are trained at a time, and where; see ``engine.spread``. Steps are timed here, one paper at a time.

    Returns:
        The table as text, then the paths of table, picture and page.

    Raises:
        PaperzooError: fewer than two papers, papers of different tasks, data that does not fit one of them, or numbers
            out of range; all of it before anything trains.
    """
    spread.check(workers, on)
    jobs = check(names, data, seeds, seconds, recipe)
    first = jobs[names[0]]
    data, judge = first.recipe.data, first.recipe.judge
    key = {"names": list(names), "data": data, "recipe": recipe, "seconds": seconds, "judge": judge}
    folder = path_of(out) / folder_name(key)
    steps = {name: entry["steps"] for name, entry in fixed(folder, key, jobs)["papers"].items()}
    wanted = [(name, seed) for name in names for seed in range(seeds)]
    calls = [
        (jobs[name].name, number, recipe, seed, {**jobs[name].overrides, "steps": steps[name]}, str(folder.absolute() / "runs"))
        for number, (name, seed) in enumerate(wanted)
    ]
    done = dict(spread.spread(calls, _one, workers, on))
    runs: dict[str, list[Run]] = {name: [] for name in names}
    lost: dict[str, list[int]] = {}
    for number, (name, seed) in enumerate(wanted):
        if done[number]:
            runs[name].append(open_run(folder / "runs" / Path(done[number]).name))
        else:
            lost.setdefault(name, []).append(seed)
    return publish(folder, key, runs, lost, first)


def check(names: Sequence[str], data: str | None, seeds: int, seconds: float, recipe: str) -> dict[str, Job]:
    """The resolved jobs by name, all on the same data and under the same judge; see ``compare`` for what it raises."""
    if len(names) < 2:
        raise PaperzooError("compare needs two papers or more: paperzoo compare dcgan wgan_gp")
    if twice := [name for name in names if list(names).count(name) > 1]:
        raise PaperzooError(f"{twice[0]} is named twice; several seeds are asked for by --seeds")
    if not isinstance(seeds, int) or isinstance(seeds, bool) or seeds < 1:
        raise PaperzooError(f"--seeds must be a whole number from 1, not {seeds!r}")
    if not isinstance(seconds, int | float) or not math.isfinite(seconds) or seconds <= 0:
        raise PaperzooError(f"--seconds must be a positive number, not {seconds!r}")
    first = resolve(names[0], recipe, data)
    overrides = {"data": first.recipe.data, "judge": first.recipe.judge, "steps": STEPS}
    jobs = {name: resolve(name, recipe, overrides=overrides) for name in names}
    tasks = {name: job.entry.model_class.task for name, job in jobs.items()}
    if other := next((name for name in names if tasks[name] != tasks[names[0]]), None):
        raise PaperzooError(f"{names[0]} is for {tasks[names[0]]}, {other} for {tasks[other]}: there is nothing to compare")
    for job in jobs.values():
        job.build(job.dataset())
    return jobs


def relatives(family: str, data: str | None, recipe: str, besides: Sequence[str] = ()) -> list[str]:
    """The papers of a family that can be compared: its commonest task, and data that they accept; the others are reported.

    Args:
        besides: papers that are named already; they are left out, and the first of them sets task and data.

    Raises:
        PaperzooError: no such family.
    """
    names = catalog.list_papers(family=family)
    tasks = {name: catalog.load(name).model_class.task for name in [*besides, *names]}
    task = tasks[besides[0]] if besides else Counter(tasks.values()).most_common(1)[0][0]
    fitting = []
    for name in names:
        if tasks[name] != task:
            say(f"{name} is left out: it is for {tasks[name]}, not {task}")
        elif name not in besides:
            try:
                asked = {"data": data} if data else {}
                job = resolve(name, recipe, overrides={**asked, "steps": STEPS})
                job.build(job.dataset())
            except PaperzooError as error:
                say(f"{name} is left out: {error}")
            else:
                fitting.append(name)
    return fitting


def folder_name(key: Mapping[str, Any]) -> str:
    """One folder for one comparison, whatever its number of seeds."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:6]
    names = "-".join(Path(name).stem if ".py" in name else name for name in key["names"])
    words = f"compare-{names}-{key['recipe']}-{key['data']}-{key['seconds']:g}s"
    return f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', words)[:100]}-{digest}"


def fixed(folder: Path, key: Mapping[str, Any], jobs: Mapping[str, Job]) -> dict[str, Any]:
    """What ``compare.json`` fixed before: steps by paper, from the time a step takes. What is missing is timed now.

    A paper whose method or recipe has changed since is timed anew.
    """
    path = folder / "compare.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        old = read_json(path).get("papers", {}) if path.exists() else {}
        papers: dict[str, Any] = {}
        for name, job in jobs.items():
            stamp = {"recipe_hash": job.recipe.hash(), "method_hash": method_hash(job.entry, job.recipe.model)}
            if name in old and {k: old[name].get(k) for k in stamp} == stamp:
                papers[name] = old[name]
            else:
                each = seconds_a_step(job)
                timing = {"seconds_a_step": each, "timed_steps": TIMED, "hardware": hardware()}
                papers[name] = {**stamp, "steps": max(1, round(key["seconds"] / each)), **timing}
            each, steps = papers[name]["seconds_a_step"], papers[name]["steps"]
            say(f"{name}: {1000 * each:.3g} ms a step, so {steps:,} steps in {key['seconds']:g} s")
            write_json(path, {**key, "papers": papers})
    except OSError as error:
        raise PaperzooError(f"cannot write to {folder}: {error.strerror or error}") from error
    return {**key, "papers": papers}


@contextmanager
def first_loop(job: Job) -> Iterator[Loop]:
    """The engine's own loop before its first step, in a folder that is thrown away."""
    one = fabric()
    one.launch()
    quiet = dataclasses.replace(job, options={"checkpoint_every": 10**9, "log_every": 10**9})
    with tempfile.TemporaryDirectory() as scratch:
        loop = Loop(one, quiet, create(quiet, scratch))
        try:
            loop.begin(stages(quiet.recipe)[0], 0)
            yield loop
        finally:
            loop.book.close()


def seconds_a_step(job: Job) -> float:
    """The mean of 20 steps after 5, by the wall clock."""
    with first_loop(job) as loop:
        for _ in range(WARM):
            loop.step()
        began = now(loop.fabric.device)
        for _ in range(TIMED):
            loop.step()
        return (now(loop.fabric.device) - began) / TIMED


def now(device: torch.device) -> float:
    """The clock in seconds, after the device has been synchronised."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def run_once(name: str, recipe: str, seed: int, overrides: Mapping[str, Any], out: Path) -> Run:
    """The run of this job: a finished one is reused, an unfinished one resumed, else a new one trained."""
    if known := begun(resolve(name, recipe, seed=seed, overrides=overrides), out):
        say(f"{name}, seed {seed}: {known.directory}")
        return resume(known.directory)
    return train(name, recipe, seed=seed, out=out, overrides=overrides)


def _one(name: str, number: int, recipe: str, seed: int, overrides: Mapping[str, Any], out: str) -> str:
    """A run's directory; empty where a loss was not finite. It may be made in a process of its own, on another machine."""
    catalog.allow(name)
    try:
        return str(run_once(name, recipe, seed, overrides, Path(out)).directory)
    except PaperzooError as error:
        if not diverged(error):
            raise
        say(f"{name}, seed {seed}, is left out: {error}")
        return ""


def publish(folder: Path, key: Mapping[str, Any], runs: Mapping[str, Sequence[Run]], lost: Mapping[str, Sequence[int]], first: Job) -> str:
    """Writes ``compare.json``, ``compare.png`` and ``compare.html``; returns the table and their paths.

    Args:
        lost: by paper, the seeds whose losses were not finite.

    Raises:
        PaperzooError: that is so of every run.
    """
    if not any(runs.values()):
        raise PaperzooError(f"no run of {', '.join(runs)} came to its end: each had a loss that was not finite; try other recipes or seeds")
    record = read_json(folder / "compare.json")
    metrics = list(dict.fromkeys(metric for group in runs.values() for run in group for metric in run.metrics))
    values = {m: {n: [r.metrics[m] for r in group if m in r.metrics] for n, group in runs.items()} for m in metrics}
    listed = []
    for name, group in runs.items():
        for run in group:
            place = run.directory.relative_to(folder).as_posix()
            listed.append({"paper": name, "seed": run.info["seed"], "directory": place, **read_json(run.directory / "result.json")})
    seeds = max(len(group) + len(lost.get(name, ())) for name, group in runs.items())
    write_json(folder / "compare.json", {**record, "seeds": seeds, "metrics": values, "runs": listed, "not finite": dict(lost)})

    header = ["paper", "steps", "seconds", *metrics]
    table = [header]
    for name in runs:
        of_paper = [run for run in listed if run["paper"] == name]
        scores = [figure(values[metric][name]) for metric in metrics]
        ended = f"{name} ({len(of_paper)} of {seeds} seeds: the others' losses were not finite)" if lost.get(name) else name
        table.append([ended, f"{record['papers'][name]['steps']:,}", figure([run["seconds"] for run in of_paper]), *scores])
    strips = {name: row for name, group in runs.items() if group and (row := strip(group[0])) is not None}
    ended_at_all = {m: {n: some for n, some in by_name.items() if runs[n]} for m, by_name in values.items()}
    shared = [m for m, by_name in ended_at_all.items() if all(by_name.values())]  # what a paper lacks stands in the table alone
    metric, direction = primary(shared or metrics, list(runs))
    picture = ranked(metric, direction, {n: some for n, some in values[metric].items() if some}, strips)
    write(folder / "compare.png", picture)
    words = ["paperzoo", "compare", *key["names"], "--data", key["data"], "--recipe", key["recipe"]]
    words += ["--seconds", f"{key['seconds']:g}", "--seeds", str(seeds)]
    page = render(
        "compare.html",
        **{k: v for k, v in key.items() if k != "judge"},
        task=first.entry.model_class.task,
        seeds=seeds,
        timed=TIMED,
        hardware=next(iter(record["papers"].values()))["hardware"],
        table=table,
        metric=metric,
        picture=data_uri(picture, "png"),
        strips=bool(strips),
        runs=listed,
        command=shlex.join(words),
    )
    write(folder / "compare.html", page)
    return "\n".join([text(table), *(str(folder / f"compare.{kind}") for kind in ("json", "png", "html"))])


def primary(metrics: Sequence[str], names: Sequence[str]) -> tuple[str, str]:
    """The metric by which papers are ranked, a judge in brackets apart, and whether ``"lower"`` or ``"higher"`` is better.

    One of ``MAIN``, or the one that most targets of these papers' recipes name, or else the first, of which nobody says what is better.
    """
    targets = [target for name in names for recipe in catalog.load(name).paper.recipes.values() for target in recipe.targets]
    named = Counter((target.metric.partition("[")[0], "lower" if target.at_most is not None else "higher") for target in targets)
    order = [*((what, "lower") for what in MAIN), *(each for each, _ in named.most_common())]
    found = ((metric, way) for what, way in order for metric in metrics if metric.partition("[")[0] == what)
    return next(found, (metrics[0], ""))


def figure(values: Sequence[float]) -> str:
    """``mean ± deviation`` over seeds; one seed has no deviation."""
    if not values:
        return "-"
    return f"{statistics.fmean(values):.4g}" + (f" ± {statistics.stdev(values):.2g}" if len(values) > 1 else "")


def text(table: Sequence[Sequence[str]]) -> str:
    """Rows of cells in columns."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in table)


def strip(run: Run) -> np.ndarray | None:
    """A row of samples of a run, (H, W) or (H, W, 3) uint8, where its task has such."""
    if not any(task.samples for task in catalog.load(run.info["name"]).model_class.tasks):
        return None
    model = as_trained(run)
    rows = (task.strip(model, SAMPLES) for task in model.active())
    return next((np.asarray(row) for row in rows if row is not None), None)


def say(line: str) -> None:
    """Progress, on standard error."""
    print(line, file=sys.stderr, flush=True)
