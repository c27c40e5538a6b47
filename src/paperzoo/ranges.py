"""What a number may be, as an annotation of a constructor's or optimiser's argument; ``catalog.check_type`` refuses the others.

``Annotated[int, Ge(1)]`` and its kin (annotated-types) say it where none of these names does, ``Literal["a", "b"]`` for names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen, MultipleOf

#: units, layers, channels, pixels, classes: what memory is asked for, so that it has an end
Size = Annotated[int, Ge(1), Le(1_000_000)]
#: the side of an image
Pixels = Annotated[int, Ge(1), Le(4096)]
#: the side of an image that each layer halves down to 4, or doubles from there
Side = Literal[16, 32, 64, 128, 256]
#: the side of an image that three layers halve
Eighths = Annotated[Pixels, Ge(16), MultipleOf(8)]
#: units that are parted in two
Even = Annotated[int, Ge(2), MultipleOf(2), Le(1_000_000)]
#: as ``Size``, where there may be none
Sizeable = Annotated[int, Ge(0), Le(1_000_000)]
#: classes, clusters, leaves: where one alone leaves nothing to tell apart
Several = Annotated[int, Ge(2), Le(1_000_000)]
#: steps, epochs, rounds
Count = Annotated[int, Ge(1)]
#: as ``Count``, where there may be none
Whole = Annotated[int, Ge(0)]
#: a share of the steps or items, a chance, a factor that only shrinks
Share = Annotated[float, Ge(0), Le(1)]
#: a share of at least something
SomeShare = Annotated[float, Gt(0), Le(1)]
#: dropout, smoothing, momentum, decay of a mean: all of it would leave nothing
Part = Annotated[float, Ge(0), Lt(1)]
#: a deviation, a factor
Positive = Annotated[float, Gt(0)]
#: a rate, a weight of a loss, a penalty
NotNegative = Annotated[float, Ge(0)]
#: one or more of ``Size``
Sizes = Annotated[Sequence[Size], MinLen(1)]
