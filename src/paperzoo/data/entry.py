"""Row types of a domain's table: one for each data set, and one for each kind of the user's own. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from paperzoo.data.fetch.sources import Source


@dataclass(frozen=True)
class Entry:
    """A data set: what it is in a line, what builds it, and from which files.

    Attributes:
        build: module of ``paperzoo.data`` and function, ``images.digits.mnist``; called with the path of each source, then
            ``arguments``.
        sized: the function takes ``image_size``, for its images are made at a size of the user's choice.
    """

    about: str
    build: str
    sources: tuple[Source, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    sized: bool = False

    @property
    def source(self) -> Source | None:
        """The first of its files, if it has any; the others, of the same kind, come from the same place."""
        return self.sources[0] if self.sources else None

    @property
    def licence(self) -> str:
        """Under which terms its files may be used; empty if it has none."""
        return "; ".join(dict.fromkeys(source.licence for source in self.sources))


@dataclass(frozen=True)
class Own:
    """A kind of the user's own data, ``KIND:PATH``: what may stand at the path, and what builds it.

    Attributes:
        build: as of ``Entry``; called with the path, then what the following say.
        options: the path may be followed by ``#option=value&option=value``, which the function takes as text.
        changes: or by what is done to labels or pixels, as of a listed set: ``folder:PATH#labels=0.5``.
        sized: the function takes ``image_size`` and ``channels``.
        strict: the function takes ``strict``: refuse what cannot be read rather than skip it.
        prepare: module and function that puts what is larger than memory in shards; called with the path, a function that is told how
            far it is, and ``arguments``; it returns how many there were.
        several: two paths may stand there, with a comma between them, which the function takes as one, see ``paths.apart``.
    """

    about: str
    build: str
    options: bool = False
    changes: bool = False
    sized: bool = False
    strict: bool = False
    several: bool = False
    prepare: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
