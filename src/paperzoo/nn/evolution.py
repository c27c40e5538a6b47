"""MAP-Elites (Mouret and Clune 2015, 1504.04909): an archive keeps the best of each kind, and all that is new descends from it.

Two encodings of images, as Nguyen, Yosinski and Clune use them (2014, 1412.1897): pixels, and small networks that paint them.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: tensors by name, each (N, ...)
Genome = dict[str, Tensor]


class Direct:
    """Each pixel by itself: uniform noise, then polynomial mutation of a tenth of them, half as many every 1,000 generations."""

    def __init__(self, channels: int, side: int) -> None:
        self.shape = (channels, side, side)

    def start(self, count: int, random: torch.Generator) -> Genome:
        return {"pixels": torch.rand(count, *self.shape, generator=random)}

    def mutate(self, genome: Genome, generation: int, random: torch.Generator) -> Genome:
        pixels, rate = genome["pixels"], 0.1 * 0.5 ** (generation // 1000)
        chosen = torch.rand(pixels.shape, generator=random) < rate
        changed = (pixels + polynomial(torch.rand(pixels.shape, generator=random))).clamp(0, 1)
        return {"pixels": torch.where(chosen, changed, pixels)}

    def render(self, genome: Genome) -> Tensor:
        return genome["pixels"]


def polynomial(u: Tensor, strength: float = 15.0) -> Tensor:
    """Deb's mutation, of uniform u in [0, 1]: changes in [-1, 1] of density (s + 1) (1 - |d|)^s / 2, whose mean size is 1 / (s + 2)."""
    root = 1 / (strength + 1)
    return torch.where(u < 0.5, (2 * u) ** root - 1, 1 - (2 * (1 - u)).clamp(min=0) ** root)


#: of a CPPN, all from -1 to 1: sine, Gaussian, sigmoid, linear
UNITS: tuple[Callable[[Tensor], Tensor], ...] = (
    torch.sin,
    lambda z: 2 * torch.exp(-(z**2)) - 1,
    lambda z: 2 * torch.sigmoid(2 * z) - 1,
    lambda z: z.clamp(-1, 1),
)


class CPPN:
    """A network that paints: from x, y, the distance from the middle and 1, by way of hidden units, to one output a channel.

    A genome is ``weight`` (N, hidden + C, 4 + hidden), rows by unit and columns by what it reads, 0 where nothing is connected;
    ``kind`` (N, hidden + C), which of ``UNITS``; ``alive`` (N, hidden). A hidden unit reads those before it alone, so there is no
    loop. At first none is alive.
    """

    def __init__(self, channels: int, side: int, hidden: int = 8) -> None:
        self.channels, self.side, self.hidden = channels, side, hidden
        line = torch.linspace(-1, 1, side)
        y, x = torch.meshgrid(line, line, indexing="ij")
        self.place = torch.stack([x, y, (x**2 + y**2).sqrt(), torch.ones_like(x)]).flatten(1)  # (4, S * S)
        self.reader = torch.tensor([*range(hidden), *[hidden] * channels])  # in which order rows are computed
        self.read = torch.tensor([*[-1] * 4, *range(hidden)])  # and columns
        self.legal = self.reader[:, None] > self.read  # (hidden + C, 4 + hidden)

    def start(self, count: int, random: torch.Generator) -> Genome:
        weight = torch.zeros(count, self.hidden + self.channels, 4 + self.hidden)
        weight[:, self.hidden :, :4] = 2 * torch.randn(count, self.channels, 4, generator=random)
        kind = torch.randint(len(UNITS), weight.shape[:2], generator=random)
        return {"weight": weight, "kind": kind, "alive": torch.zeros(count, self.hidden, dtype=torch.bool)}

    def mutate(self, genome: Genome, generation: int, random: torch.Generator) -> Genome:
        """Three weights in ten move; with chance 0.2 each, a connection is added, or one is split by a new unit; a unit changes kind."""
        weight, kind, alive = (genome[name].clone() for name in ("weight", "kind", "alive"))
        count, rows, columns = weight.shape
        moved = (torch.rand(weight.shape, generator=random) < 0.3) & (weight != 0)
        weight += moved * torch.randn(weight.shape, generator=random)

        def some(possible: Tensor) -> Tensor:
            return possible & (torch.rand(count, generator=random) < 0.2)

        known = torch.cat([torch.ones(count, 4, dtype=torch.bool), alive], 1)  # (N, 4 + hidden)
        living = torch.cat([alive, torch.ones(count, self.channels, dtype=torch.bool)], 1)  # (N, hidden + C)
        free = self.legal & known[:, None] & living[:, :, None] & (weight == 0)
        cell, possible = pick(free.flatten(1), random)
        n = some(possible).nonzero()[:, 0]
        weight[n, cell[n] // columns, cell[n] % columns] = torch.randn(len(n), generator=random)

        slot, vacant = pick(~alive, random)
        between = (self.read < slot[:, None])[:, None] & (self.reader > slot[:, None])[:, :, None] & (weight != 0)
        cell, possible = pick(between.flatten(1), random)
        n = some(vacant & possible).nonzero()[:, 0]
        h, b, a = slot[n], cell[n] // columns, cell[n] % columns  # a -> b becomes a -> h -> b
        weight[n, h, a], weight[n, b, 4 + h] = 1.0, weight[n, b, a]
        weight[n, b, a] = 0.0
        alive[n, h] = True

        n = some(torch.ones(count, dtype=torch.bool)).nonzero()[:, 0]
        kind[n, torch.randint(rows, (len(n),), generator=random)] = torch.randint(len(UNITS), (len(n),), generator=random)
        return {"weight": weight, "kind": kind, "alive": alive}

    def render(self, genome: Genome) -> Tensor:
        weight, kind = genome["weight"], genome["kind"]
        count, rows, columns = weight.shape
        values = torch.zeros(count, 4 + rows, self.side**2)  # of what is read, then of the outputs
        values[:, :4] = self.place
        for row in range(rows):
            read = min(4 + row, columns)
            z = torch.bmm(weight[:, row : row + 1, :read], values[:, :read])[:, 0]  # (N, S * S)
            for number, unit in enumerate(UNITS):
                n = (kind[:, row] == number).nonzero()[:, 0]
                values[n, 4 + row] = unit(z[n])
        painted = (values[:, columns:] + 1) / 2
        return painted.view(count, self.channels, self.side, self.side)  # (N, C, S * S) -> (N, C, S, S)


def pick(possible: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """For each row of a mask (N, M) one of its true places at random (N), and whether there is any (N)."""
    return ((1 - torch.rand(possible.shape, generator=random)) * possible).argmax(1), possible.any(1)


def map_elites(
    confidence: Callable[[Tensor], Tensor], encoding: Direct | CPPN, generations: int, random: torch.Generator, archives: int, children: int
) -> tuple[Tensor, Tensor]:
    """Evolves all archives at once; their children of one generation are one batch.

    Args:
        confidence: images (N, C, S, S) to the probabilities (N, K) of the classes that there is a champion for.
        children: of one generation, in all archives together.

    Returns:
        Champions (archives, K, C, S, S), and the confidence in each (archives, K).
    """
    each = children // archives
    genome = encoding.start(archives * each, random)
    first, elite, best = torch.arange(archives)[:, None], {}, torch.empty(0)
    for generation in range(generations + 1):
        p = confidence(encoding.render(genome)).view(archives, each, -1)  # (R * M, K) -> (R, M, K)
        value, child = p.max(1)  # (R, K)
        rows = (first * each + child).flatten()  # (R * K)
        if not generation:
            elite, best = {name: genes[rows] for name, genes in genome.items()}, value
        better = (value > best).flatten()
        for name, genes in genome.items():
            elite[name][better] = genes[rows[better]]
        best = torch.maximum(best, value)
        parent = torch.randint(p.shape[2], (archives, each), generator=random) + first * p.shape[2]  # any of its archive
        genome = encoding.mutate({name: genes[parent.flatten()] for name, genes in elite.items()}, generation, random)
    image = encoding.render(elite)
    return image.view(*best.shape, *image.shape[1:]), best  # (R * K, C, S, S) -> (R, K, C, S, S)
