"""Data: where bytes come from, how formats are read, what a recipe names, and in which order it is seen.

What is exported is loaded when it is asked for, so that the tables of data sets can be read without torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from paperzoo.data.batch import Batch
    from paperzoo.data.dataset import Dataset, Images, Schema, Sequences, Split, Values
    from paperzoo.data.order import Order

__all__ = ["Batch", "Dataset", "Images", "Order", "Schema", "Sequences", "Split", "Values"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{name.lower() if name in ('Batch', 'Order') else 'dataset'}"), name)
