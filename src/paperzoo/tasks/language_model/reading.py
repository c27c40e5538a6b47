"""A text as a language model reads it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

#: nats from which on a token is drawn in the darkest red
DARK = 6.0


@dataclass(frozen=True)
class Reading:
    """A text as a language model reads it: its tokens, and the probability that each had given those before it."""

    tokens: tuple[str, ...]
    probabilities: tuple[float, ...]
    unit: str

    @property
    def nats(self) -> float:
        """Mean negative logarithm of the probabilities."""
        return -math.fsum(map(math.log, self.probabilities)) / len(self.probabilities)

    def __str__(self) -> str:
        return (
            f"{self.nats:.3f} nats ({self.nats / math.log(2):.3f} bits) a {self.unit}, perplexity {math.exp(self.nats):.2f}, "
            f"over {len(self.tokens)} {self.unit}s"
        )

    def __rich__(self) -> Any:
        """The figures and the text, the more surprising the redder, for a terminal."""
        from rich.text import Text as Line

        line = Line(f"{self}\n")
        for token, probability in zip(self.tokens, self.probabilities, strict=True):
            line.append(token, style=f"black on {colour(probability)}")
            line.append(" " if self.unit == "word" else "")
        return line


def colour(probability: float) -> str:
    """White for what was certain to come, over yellow to dark red for what was not."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    surprise = min(-math.log(max(probability, 1e-45)), DARK) / DARK
    return str(to_hex(colormaps["YlOrRd"](0.75 * surprise) if surprise > 0.02 else (1, 1, 1)))
