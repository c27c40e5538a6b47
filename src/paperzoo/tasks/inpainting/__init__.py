"""In-painting: holes in photographs filled, measured in the hole alone, beside a mean colour and a biharmonic surface."""

from paperzoo.tasks.inpainting.contract import Inpainted, InPainter
from paperzoo.tasks.inpainting.task import Inpainting

__all__ = ["InPainter", "Inpainted", "Inpainting"]
