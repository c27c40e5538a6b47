"""Data: where bytes come from, how formats are read, what a recipe names, and in which order it is seen."""

from paperzoo.data.batch import Batch
from paperzoo.data.dataset import Dataset, Images, Schema, Sequences, Split, Values
from paperzoo.data.order import Order

__all__ = ["Batch", "Dataset", "Images", "Order", "Schema", "Sequences", "Split", "Values"]
