"""What the first two layers of a network make of an image."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from paperzoo.tasks.pictures import save


def draw_first_layers(filters: Tensor, image: Tensor, c1: Tensor, s2: Tensor, path: Path) -> Path:
    """A digit, and a column a map: the filter, its map in C1 and what S2 keeps of it; shapes as in ``Classifier.first_layers``, N = 1."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4.6), layout="constrained")
    figure.suptitle("C1 looks for strokes through six filters; S2 keeps what they found, at a quarter of the places", fontsize=11)
    axes = figure.subplots(3, 7)
    rows = {
        "filter 5x5:\nred adds, blue takes": (filters[:, 0], "RdBu_r", True),  # (6, 5, 5)
        "C1, 28x28:\nbright where it answers": (c1[0], "gray", False),  # (6, 28, 28)
        "S2, 14x14:\nblocks of 2x2 as one": (s2[0], "gray", False),  # (6, 14, 14)
    }
    for at, (said, (maps, colours, signed)) in enumerate(rows.items()):
        row = axes[at]
        row[0].text(0.98, 0.5, said, ha="right", va="center", fontsize=9, transform=row[0].transAxes)
        for number, (place, one) in enumerate(zip(row[1:], maps.detach().float().cpu().numpy(), strict=True), 1):
            most = max(float(abs(one).max()), 1e-12)
            place.imshow(one, cmap=colours, vmin=-most if signed else None, vmax=most if signed else None)
            if at == 0:
                place.set_title(f"map {number}", fontsize=9)
    for place in axes.flat:
        place.axis("off")
    digit = axes[0, 0].inset_axes((-0.05, 0.62, 0.45, 0.45))
    digit.imshow(image[0, 0].float().cpu().numpy(), cmap="gray")
    digit.axis("off")
    return save(figure, path, dpi=160, colours=128)
