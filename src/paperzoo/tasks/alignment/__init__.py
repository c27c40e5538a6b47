"""Words and parts of pictures brought together: retrieval both ways, the region of each word, drawn."""

from paperzoo.tasks.alignment.contract import Aligned, Aligner
from paperzoo.tasks.alignment.task import Alignment

__all__ = ["Aligned", "Aligner", "Alignment"]
