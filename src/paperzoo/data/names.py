"""The grammar of a data name, read once: every other file asks the ``DataName`` that comes out.

==============================  =====================================================================================
``NAME``                        a listed data set
``KIND:PATH``                   the user's own data, of a kind in ``paperzoo.data.datasets.OWN``
``KIND:PATH,PATH``              two paths, of the kinds that take them: ``unpaired:cats,dogs``
``KIND:PATH#option=value&...``  with options, of the kinds that have some: ``series:sales.csv#target=sales``
``...@20``, ``...@20:1``        20 training images of each class; draw 1 of them
``...#labels=0.5``              changed, see ``paperzoo.data.change.corrupted``; listed sets, and kinds that allow it
``...#scale=3``                 photographs beside the same at a third of the size, see ``paperzoo.data.change.scaled``
``...#features=mobilenet``      with features of a frozen encoder, see ``paperzoo.data.change.encoded``
``...#spectrogram=32``          sounds with pictures of them, see ``paperzoo.data.change.heard``
``...#fold=2/5``                the second of five folds to test on, see ``paperzoo.data.change.folds``
==============================  =====================================================================================

They stand in this order: ``folder:scans@20:1#pixels=random``. A path that is there may have an ``@`` or a ``#`` of its own, so that
what is read depends on which paths exist.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from paperzoo.data.entry import Own
from paperzoo.data.options import with_options
from paperzoo.data.paths import apart
from paperzoo.files import exists, path_of


@dataclass(frozen=True)
class DataName:
    """A data name and its parts.

    Attributes:
        text: the whole, as it was given.
        kind: of the user's own data; ``""`` for a listed set.
        base: the listed set's name, or the path as it was given, or two with a comma between them.
        places: the path, or both; empty for a listed set.
        options: of the user's own data: what stands behind the ``#``; ``""`` if there is none.
        few: training images of each class, and which draw of them.
        change: what is done to labels or pixels, ``labels=0.5``.
        unread: what stands behind an ``@`` of a listed set and is no part: the name is wrong.
        stem: ``text`` without part and change.
        whole: ``text`` without change.
    """

    text: str
    kind: str
    base: str
    places: tuple[str, ...]
    options: str
    few: tuple[int, int] | None
    change: str | None
    unread: str | None
    stem: str
    whole: str

    @property
    def path(self) -> Path | None:
        """Where the user's own data lie; ``None`` for a listed set. Of two places one path, see ``paths.apart``."""
        return path_of(self.base) if self.kind else None

    @property
    def absolute(self) -> str:
        """The whole name with the path of the user's own data made absolute, so that it means the same from every folder."""
        if not self.kind:
            return self.text
        before = f"{self.kind}:{self.base}"
        whole = ",".join(os.path.join(os.getcwd(), os.path.expanduser(place)) for place in self.places)
        return f"{self.kind}:{whole}{self.text[len(before) :]}"

    @property
    def short(self) -> str:
        """For the name of a run: of the user's own data, the file's name and the part say enough."""
        names = ",".join(Path(place).name for place in self.places)
        return f"{self.kind}:{names}{self.whole[len(self.stem) :]}" if self.kind else self.text

    @property
    def slug(self) -> str:
        """The whole as a file's name, and in a link: ``sprites-20@1-labels-1`` needs no quotes."""
        return re.sub(r"[:#=&>,]+", "-", self.text)

    def unchanged(self) -> DataName:
        """The same without the change."""
        return dataclasses.replace(self, text=self.whole, change=None)

    def entire(self) -> DataName:
        """The same with all of its training images, and without the change."""
        return dataclasses.replace(self, text=self.stem, whole=self.stem, few=None, change=None)


def parse(text: str, kinds: Mapping[str, Own]) -> DataName:
    """Takes a data name apart. Never fails: a name that means nothing has a ``base`` that is not listed, or ``unread``.

    Args:
        kinds: the kinds of the user's own data.
    """
    kind, _, rest = text.partition(":")
    own_kind = kinds.get(kind) if ":" in text else None
    places = apart if own_kind and own_kind.several else lambda text: [text]
    whole, change, few, unread = text, None, None, None
    before, sign, behind = text.rpartition("#")
    if sign and (own_kind is None or (own_kind.changes and "=" in behind and not exists(rest))):
        whole, change = before, behind
    stem = whole
    before, sign, behind = whole.rpartition("@")
    if sign and not (own_kind and all(map(exists, places(rest[: len(whole) - len(kind) - 1])))):
        if match := re.fullmatch(r"([1-9]\d*)(?::(\d+))?", behind, re.ASCII):
            stem, few = before, (int(match[1]), int(match[2] or 0))
        elif own_kind is None:
            stem, unread = before, behind
    if own_kind is None:
        return DataName(text, "", stem, (), "", few, change, unread, stem, whole)
    place = stem[len(kind) + 1 :]
    base, options = with_options(place) if own_kind.options else (place, "")
    return DataName(text, kind, base, tuple(places(base)), options, few, change, unread, stem, whole)
