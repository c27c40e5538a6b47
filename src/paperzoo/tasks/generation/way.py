"""How points came where they are, by a generator that moves them step by step."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from paperzoo.tasks.pictures import save


def draw_way(way: Tensor, real: Tensor, path: Path, shown: int = 80) -> Path:
    """Where samples end, as a density under points of the data (M, 2), and how the first of them came there; way (steps + 1, N, 2)."""
    from matplotlib.figure import Figure

    moved = float((way[-1] - way[0]).norm(dim=1).mean())
    figure = Figure(figsize=(9, 4.8), layout="constrained")
    figure.suptitle(f"The last {len(way) - 1} functional steps move a sample by {moved:.2g} on average", fontsize=10)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    end, reach = way[-1].numpy(), 1.25 * float(real.abs().max())
    left.hist2d(*end.T, bins=60, range=[[-reach, reach]] * 2, cmap="Blues", norm="log")
    left.plot(*real[:400].T.numpy(), ".", color="tab:red", markersize=2, label="data")
    left.set_title("density of samples (blue, logarithmic) under the data", fontsize=9)
    for one in way[:, :shown].transpose(0, 1).numpy():
        right.plot(*one.T, color="0.6", linewidth=0.8)
    right.plot(*way[0, :shown].T.numpy(), "o", color="tab:orange", markersize=3, label="the approximator's answer")
    right.plot(*way[-1, :shown].T.numpy(), "o", color="tab:blue", markersize=3, label="after the steps")
    right.set_title("the way of single samples", fontsize=9)
    for axes in (left, right):
        axes.set_aspect("equal")
        axes.legend(fontsize=8, loc="center")
    return save(figure, path, dpi=120, colours=64)
