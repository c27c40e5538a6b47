"""``paperzoo data``: list, show, fetch, verify."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from paperzoo.cli.app import LOOK, app
from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain

data_app = typer.Typer(help="List, fetch, verify and look at data sets.", no_args_is_help=True)
app.add_typer(data_app, name="data", rich_help_panel=LOOK)


@data_app.command("list")
def data_list() -> None:
    """The data sets and their licences."""
    from paperzoo.data.datasets import DATASETS, OWN

    for name, entry in DATASETS.items():
        licence = entry.licence or "ships with the package or is made by formula"
        print(f"{name:14} {entry.about}; {licence}")
    for name, kind in OWN.items():
        print(f"{name + ':PATH':14} {kind.about}; yours")


@data_app.command("show")
def data_show(
    name: Annotated[str, typer.Argument(help="A data set.")],
    out: Annotated[Path | None, typer.Option(help="Where to write a contact sheet; default: NAME.png.")] = None,
) -> None:
    """A data set's splits, schema and licence, and a contact sheet if it holds images or volumes."""
    import numpy as np
    import torch

    from paperzoo.data.datasets import dataset
    from paperzoo.tasks.pictures import grid, save

    built = dataset(name)
    print(f"{plain(built.name)}: {plain(built.source)}\nlicence: {built.licence}")
    for split, items in built.splits.items():
        print(f"  {split}: {' and '.join(f'{n:,}' for n in items.lengths)} items")
    print("fields: " + ", ".join(built.schema.fields))
    for key, value in built.schema.arguments.items():
        print(plain(f"{key}: {value if not isinstance(value, tuple) else f'{len(value):,} entries, first {list(value[:8])}'}"))
    stem = re.sub(r"[:>,]", "-", name).replace("/", "_")[-200:]
    if "image_a" in built.schema.fields:
        items = built["train"]
        pairs = "train" in built.schema.arguments["paired"]
        columns = min(5 if pairs else 10, *items.lengths)
        rows = min(50 if pairs else 10, *items.lengths)
        numbers = np.array([[i * n // rows for n in items.lengths] for i in range(rows)])
        first = items.batch(numbers.squeeze(1) if len(items.lengths) == 1 else numbers)
        shown = torch.cat([first.image_a, first.image_b], 3 if pairs else 0)  # side by side, or a row of each
        print(plain(save(grid(shown, columns), out or Path(f"{stem}.png"))))
    elif "image" in built.schema.fields:
        items = built["train" if "train" in built.splits else "test"]
        chosen = [i * len(items) // 100 for i in range(100)] if len(items) > 100 else range(len(items))
        shown = items.batch(chosen).image
        if "labelled" in built.schema.fields:  # the few that have a label, class by class
            partners = items.batch(range(min(100, len(items))))
            shown = partners.labelled[partners.label.argsort(stable=True)]
        print(plain(save(grid(shown, 10), out or Path(f"{stem}.png"))))
    elif "volume" in built.schema.fields:
        from paperzoo.tasks.volume_generation.draw import row

        items = built["train"]
        chosen = [i * len(items) // 64 for i in range(64)] if len(items) > 64 else range(len(items))
        print(plain(save(row(items.batch(chosen).volume, 8), out or Path(f"{stem}.png"))))
    elif "high" in built.schema.fields:
        items = built["train" if "train" in built.splits else "test"]
        some = [items.batch([i]) for i in range(min(len(items), 25))]
        large = [torch.nn.functional.interpolate(one.low, one.high.shape[2:], mode="nearest") for one in some]
        side = min(min(one.high.shape[2:]) for one in some)
        parts = [torch.cat([part[..., :side, :side] for part in (low, one.high)], 3) for low, one in zip(large, some, strict=True)]
        print(plain(save(grid(torch.cat(parts), 5), out or Path(f"{stem}.png"))))
    else:
        print(f"first item: {plain(built['train'][0], keep=chr(10))}")


@data_app.command("fetch")
def data_fetch(names: Annotated[list[str], typer.Argument(help="Data sets.")]) -> None:
    """Fetch data sets into the cache ahead of time."""
    from paperzoo.data.datasets import check_name, dataset, listed

    for name in names:
        check_name(name)
    for name in names:
        entry = listed(name)
        if entry and entry.sources:
            for source in entry.sources:
                print(source.fetch())
        else:
            print(f"{name}: nothing to fetch ({dataset(name).source})")


@data_app.command("prepare")
def data_prepare(
    names: Annotated[list[str], typer.Argument(help="Data sets, KIND:PATH of your own among them.")],
    size: Annotated[int | None, typer.Option(help="Height and width of the images, as the model will ask for them.")] = None,
    channels: Annotated[int | None, typer.Option(help="1 or 3.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that prepare at a time.")] = 1,
) -> None:
    """Prepare data larger than memory once, in shards on disk; killed, the same command goes on."""
    from paperzoo.data.datasets import prepare

    for name in names:
        if not prepare(name, size, channels, workers):
            print(f"{plain(name)}: kept in memory, or prepared when it is first asked for; nothing to do")


@data_app.command("verify")
def data_verify() -> None:
    """Check every file that was fetched, put into the cache by hand, installed, or prepared in shards, against its hash."""
    from paperzoo.data.datasets import sources
    from paperzoo.data.fetch import shards
    from paperzoo.data.fetch.sources import cache
    from paperzoo.data.fetch.weights import weights

    wrong = []
    cache()
    for source in [*sources().values(), *weights()]:
        try:
            path = source.path
            there = path.exists()
            if there:
                source.verify(path, again=True)
        except (PaperzooError, OSError) as error:
            absent = source.transport == "installed" and "not installed" in str(error)
            print(f"{source.name}: {'not installed' if absent else error}")
            wrong += [] if absent else [source.name]
            continue
        good = f"good, but for this: {source.unpinned}" if source.unpinned and source.transport != "installed" else "good"
        print(f"{source.name}: {good if there else 'not fetched'}")
    for folder, fault in shards.verify():
        print(f"prepared {folder}: {fault or 'good'}")
        wrong += [folder] if fault else []
    if wrong:
        raise PaperzooError(f"not as they should be: {', '.join(wrong)}; the lines above say what to do")
