"""For ``torch.hub``: ``torch.hub.load("OWNER/paperzoo", "model", "lenet")`` is ``paperzoo.load("lenet")``, without installing it."""

import sys
from pathlib import Path

dependencies = ["torch", "numpy", "PIL", "safetensors", "rich", "platformdirs", "filelock", "annotated_types"]

sys.path.insert(0, str(Path(__file__).parent / "src"))


def model(name, code=()):
    """A paper's model with the weights that ship, in eval mode on the CPU.

    Args:
        name: ``paper`` or ``paper:variant``; or a run's directory or a weights file.
        code: the file of your own that made what ``name`` names, if it was.
    """
    import paperzoo

    return paperzoo.load(name, code)


def fresh(name, **arguments):
    """A model with fresh weights: ``fresh("resnet:resnet20", classes=10)``; arguments default to the paper's sizes."""
    import paperzoo

    return paperzoo.create(name, **arguments)
