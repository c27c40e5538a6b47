"""Giving pictures attributes, or taking them away: one network for all of them, measured by a judge that sees what it was asked for."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.data.images.attributes import asked, exclusive
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import is_folder
from paperzoo.tasks.image_translation.contract import ImageTranslator
from paperzoo.tasks.image_translation.files import Translation, picture, pictures
from paperzoo.tasks.image_translation.measure import ITEMS, spread
from paperzoo.tasks.image_translation.task import ImageTranslation
from paperzoo.tasks.image_translation.traits import read, traits
from paperzoo.tasks.pictures import compact, grid, save
from paperzoo.tasks.several import Pictures
from paperzoo.tasks.task import Task
from paperzoo.terminal import plain

#: faces in a picture
SHOWN = 8


class AttributeTranslation(ImageTranslation):
    """Images (N, C, H, W) in [0, 1] as they would be with other attributes."""

    needs = ("image", "attributes")

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema has images whose attributes are named."""
        super().check(model_class, schema)
        if "attributes" not in schema.arguments:
            raise PaperzooError(f"{self.name} by attributes needs data whose attributes have names, and those of {schema.name} have none")

    def measure(self, model: AttributeTranslator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:  # type: ignore[override]
        return edits(model, dataset, split, judge)

    def show(self, model: AttributeTranslator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:  # type: ignore[override]
        """A row a face: the held-out image, each attribute changed by itself, then every combination of them."""
        batch = dataset[split].batch(spread(len(dataset[split]), SHOWN))
        image, before = batch.image.cpu(), model.has(batch).cpu()
        units = kinds(model.attributes)
        columns = [image]
        for k in range(len(model.attributes)):
            columns.append(model.edited(image, one_changed(before, model.attributes, k)))
        for some in together(units):
            columns.append(model.edited(image, several_changed(before, some)))
        rows = torch.stack(columns, 1).flatten(0, 1)  # (N, columns, C, H, W) -> (N * columns, C, H, W)
        return [save(compact(grid(rows, len(columns))), folder / f"{stem}-attributes.png")]

    def write(self, samples: Tensor, out: Path) -> str:
        """A row a sample as PNG: the source, then each attribute."""
        rows = samples.flatten(0, 1)
        return plain(save(compact(grid(rows, samples.shape[1], scale=max(1, 64 // rows.shape[-1]))), out))

    def inputs(self, model: AttributeTranslator, batch: Batch) -> Tensor:  # type: ignore[override]
        """Images that are noise, so that no pixel is the same in all."""
        return torch.rand_like(batch.image)

    def answer(self, model: AttributeTranslator, given: Tensor) -> Tensor:  # type: ignore[override]
        """Every image with the first attribute alone."""
        target = torch.zeros(len(given), len(model.attributes), device=given.device)
        target[:, 0] = 1
        return model.edit(given, target).flatten(1)


class AttributeTranslator(ImageTranslator):
    """A model that changes attributes. Subclasses set ``attributes`` and ``columns`` and define ``edit`` and ``seen``.

    Attributes:
        attributes: their names; ``columns``: where each stands in the attributes of the training data.
    """

    tasks: ClassVar[tuple[Task, ...]] = (AttributeTranslation(),)
    attributes: tuple[str, ...]
    columns: list[int]

    def edit(self, image: Tensor, attributes: Tensor) -> Tensor:
        """Images (N, C, H, W) in [0, 1] as they would be with these attributes, float32 (N, A) in {0, 1}."""
        raise TypeError(f"{type(self).__name__} does not say how it changes attributes")

    def seen(self, image: Tensor) -> Tensor:
        """The attributes that the model itself sees in images (N, C, H, W) in [0, 1]; float32 (N, A) in {0, 1}."""
        raise TypeError(f"{type(self).__name__} does not say which attributes it sees")

    def has(self, batch: Batch) -> Tensor:
        """The attributes that the images of a batch have, of those that the model changes; float32 (N, A)."""
        has: Tensor = batch.attributes[:, self.columns]
        return has

    def edited(self, image: Tensor, attributes: Tensor) -> Tensor:
        """``edit`` in eval mode without gradients, 32 images at a time; float32 on the CPU."""
        was_training, device = self.training, next(self.parameters()).device
        self.eval()
        with torch.no_grad():
            parts = zip(torch.split(image, 32), torch.split(attributes, 32), strict=True)
            answer = torch.cat([self.edit(one.to(device), other.to(device)).float().cpu() for one, other in parts])
        self.train(was_training)
        return answer

    def translate(self, image: Tensor, to: str = "b") -> Tensor:
        """Images with what ``to`` asks for, as ``changes`` reads it; in all else as the model sees them."""
        return self.edit(image, asked(self.seen(image), self.attributes, changes(to, self.attributes)))

    def sample(self, items: int = 8, seed: int = 0, *, data: str = "") -> Tensor:
        """Held-out images, and each attribute changed by itself: a colour of the hair given, glasses put on or taken off.

        Args:
            data: the name of a data set with attributes; by default that of the training, if it has a name.

        Returns:
            (N, 1 + A, C, S, S) in [0, 1], float32: the source, then the attributes in order.

        Raises:
            PaperzooError: fewer than one asked for, no data named where none are known, or such as cannot be used.
        """
        image = self.held_out(items, seed, data)[0].image.cpu()
        device = next(self.parameters()).device
        with torch.no_grad():
            before = torch.cat([self.seen(part.to(device)).cpu() for part in torch.split(image, 32)])
        changed = [self.edited(image, one_changed(before, self.attributes, k)) for k in range(len(self.attributes))]
        return torch.stack([image, *changed], 1)

    def predict(  # type: ignore[override]
        self, input: Any, *, attributes: str = "", out: str = "", seed: int = 0
    ) -> Translation | Pictures | list[Any]:
        """Changes attributes of a picture of any size, of an animated one, or of all of a folder.

        Args:
            input: a path, PIL image, array or tensor; a folder; or a list of these.
            attributes: what it shall have, or not have, with commas between: "blonde hair, no glasses". All else stays as the model
                sees it in the picture.
            out: the folder to write to, under the same names; a folder of pictures needs it.

        Raises:
            PaperzooError: nothing asked for, an attribute that there is not, two that exclude each other, no picture, or a file that
                cannot be written.
        """
        wanted = changes(attributes, self.attributes)
        if not wanted:
            raise PaperzooError(f"say what to change by --attributes: {', '.join(self.attributes)}; or no {self.attributes[0]}")
        asked(torch.zeros(1, len(self.attributes)), self.attributes, wanted)  # what excludes each other is said first
        if isinstance(input, list | tuple):
            return [self.predict(one, attributes=attributes, out=out, seed=seed) for one in input]
        if isinstance(input, str | os.PathLike) and is_folder(os.fspath(input)):
            return pictures(self, Path(os.fspath(input)), attributes, out, seed)
        return picture(self, input, attributes, out, seed)


def changes(text: str, names: Sequence[str]) -> dict[str, int]:
    """``blonde hair, no glasses`` as ``{"blonde hair": 1, "glasses": 0}``; CelebA's ``Blond_Hair`` is ``blond hair``, too.

    Raises:
        PaperzooError: an attribute that there is not, or that is asked for and not asked for.
    """
    known, found = {name.lower().replace("_", " "): name for name in names}, dict[str, int]()
    for part in filter(None, (" ".join(part.lower().replace("_", " ").split()) for part in text.split(","))):
        value = int(part in known or not part.startswith("no "))
        word = part if value else part.removeprefix("no ")
        if word not in known:
            raise unknown("attribute", word, known)
        if found.setdefault(known[word], value) != value:
            raise PaperzooError(f"{plain(known[word])} is to be there and not to be there: ask for one of them")
    return found


def kinds(names: Sequence[str]) -> list[tuple[int, ...]]:
    """Attributes by what they are about: those that exclude each other together, such as all colours of the hair, others alone."""
    groups = exclusive(names)
    first = {min(group): group for group in groups}
    inside = {k for group in groups for k in group}
    return [first.get(k, (k,)) for k in range(len(names)) if k in first or k not in inside]


def together(units: Sequence[tuple[int, ...]]) -> list[tuple[tuple[int, ...], ...]]:
    """Combinations of two or more, as table 2 of the StarGAN paper has them; of more than four kinds only all pairs."""
    most = len(units) if len(units) <= 4 else 2
    return [some for count in range(2, most + 1) for some in combinations(units, count)]


def one_changed(before: Tensor, names: Sequence[str], k: int) -> Tensor:
    """Attributes (N, A) with the k-th flipped; of those that exclude each other it is given, and never taken away."""
    alone = next(len(group) == 1 for group in kinds(names) if k in group)
    if not alone:
        return asked(before, names, {names[k]: 1})
    target = before.clone()
    target[:, k] = 1 - target[:, k]
    return target


def several_changed(before: Tensor, units: Sequence[tuple[int, ...]]) -> Tensor:
    """Attributes (N, A) with every unit changed: flipped, or another colour of the same thing, which in turn."""
    target = before.clone()
    for unit in units:
        if len(unit) == 1:
            target[:, unit[0]] = 1 - target[:, unit[0]]
            continue
        own = before[:, list(unit)].argmax(1)  # (N)
        step = 1 + torch.arange(len(before)) % (len(unit) - 1)
        new = (own + step) % len(unit)
        target[:, list(unit)] = torch.nn.functional.one_hot(new, len(unit)).to(target.dtype)
    return target


def edits(model: AttributeTranslator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
    """Attributes of at most 500 held-out images, changed one by one and together, as a judge of traits sees them.

    ``cycle error``: mean absolute difference of images in [0, 1] to themselves, with all attributes changed and changed back. By a
    judge that knows some of the attributes by name, of the images in which one of them was changed: ``there %``, where it is as it was
    asked for, for each and as a mean over them; ``others kept %``, where all others that it knows are as they were, as a mean. For a
    colour of the hair, only images of another one count. ``combined there %``: where all of several are as asked for, a mean over
    the combinations, which stand beside it. ``read %``: attributes that the judge reads right off the images as they are.
    """
    batch = dataset[split].batch(spread(len(dataset[split]), ITEMS))
    image, before, names = batch.image.cpu(), model.has(batch).cpu(), model.attributes
    units = kinds(names)
    back = model.edited(model.edited(image, several_changed(before, units)), before)
    found = {"cycle error": float((back - image).abs().mean())}
    known = [] if judge is None else [name for name in traits(judge.model.names) if name in names]
    if not known:
        return found
    at, place = f"[{judge.name}]", [names.index(name) for name in known]
    truth = before[:, place].numpy()

    def agreed(target: Tensor) -> np.ndarray:
        """Whether the judge sees each known attribute as the target has it; bool (N, known)."""
        shown = read(judge, model.edited(image, target), known)
        return shown == (target[:, place].numpy() == 1)  # type: ignore[no-any-return]

    there, kept = {}, []
    for column, k in enumerate(place):
        target = one_changed(before, names, k)
        rows = (target != before).any(1).numpy()
        same = next(unit for unit in units if k in unit)
        right = agreed(target)[rows]
        others = [c for c, p in enumerate(place) if p not in same]
        there[f"{known[column]} there %{at}"] = 100 * float(right[:, column].mean())
        kept.append(100 * float(right[:, others].all(1).mean()))
    combined = {}
    for some in together([unit for unit in units if set(unit) <= set(place)]):
        columns = [place.index(k) for unit in some for k in unit]
        said = " and ".join(names[unit[0]] if len(unit) == 1 else names[unit[0]].replace("_", " ").partition(" ")[2] for unit in some)
        combined[f"{said} there %{at}"] = 100 * float(agreed(several_changed(before, some))[:, columns].all(1).mean())
    found |= {f"there %{at}": float(np.mean(list(there.values()))), f"others kept %{at}": float(np.mean(kept)), **there}
    if combined:
        found |= {f"combined there %{at}": float(np.mean(list(combined.values()))), **combined}
    return {**found, f"read %{at}": 100 * float((read(judge, image, known) == (truth == 1)).mean())}
