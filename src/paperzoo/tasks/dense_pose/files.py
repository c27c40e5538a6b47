"""Who is in the pictures of a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paperzoo.data.listing import Skipped, below, pictures_in
from paperzoo.errors import PaperzooError
from paperzoo.files import path_of
from paperzoo.tasks.dense_pose.answers import ManyPersons, Persons
from paperzoo.tasks.several import bar
from paperzoo.terminal import plain

if TYPE_CHECKING:
    from paperzoo.tasks.dense_pose.contract import DensePoser


def folder(model: DensePoser, source: str, out: str, texture: str) -> ManyPersons:
    """Who is in all pictures of a folder and of those in it. One that cannot be read is named.

    Raises:
        PaperzooError: there is no picture, or none that can be read.
    """
    root, skipped, failed = path_of(source), Skipped(list), dict[str, list[str]]()
    paths, each = pictures_in(root, True, skipped), list[Persons]()
    if not paths:
        raise PaperzooError(f"there are no pictures in {plain(root)}" + "".join(f"; {len(f)} {why}" for why, f in skipped.items()))
    with bar("looking", len(paths)) as done:
        for path in paths:
            try:
                each.append(model.predict(path, out=out, texture=texture))
            except PaperzooError as error:
                failed.setdefault(str(error).replace(plain(path), "it"), []).append(below(path, root))
            done()
    if not each:
        raise PaperzooError(f"no picture in {plain(root)} could be looked at: {next(iter(failed))}")
    left = {why: tuple(below(path, root) for path in files) for why, files in skipped.items()}
    return ManyPersons(tuple(each), {**left, **{why: tuple(names) for why, names in failed.items()}})
