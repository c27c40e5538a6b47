"""A tagged sentence, and how it looks."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

#: backgrounds on which black is readable, given to the types in order
_COLOURS = ("#a6d8f0", "#f7c59f", "#b8e0b0", "#f4b6c2", "#d9c6ec", "#f2e394", "#b0e0dc", "#e3cbb5", "#c9d3e8", "#d6d6d6")


@dataclass(frozen=True)
class Span:
    """An entity: words ``start`` to ``end`` (one past the last) of the sentence, counted from 0."""

    text: str
    type: str
    start: int
    end: int


@dataclass(frozen=True)
class Tagging:
    """One tagged sentence. ``types`` are all that the tagger knows: a type keeps its colour from sentence to sentence."""

    tokens: tuple[str, ...]
    tags: tuple[str, ...]
    spans: tuple[Span, ...]
    types: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(f"[{text} {kind}]" if kind else text for text, kind in self.pieces())

    def __rich__(self) -> Any:
        """The sentence with its spans in colour, for a terminal."""
        from rich.text import Text

        text, colours = Text(), colour_of(self.types)
        for piece, kind in self.pieces():
            text.append(" " if text else "")
            if kind:
                text.append(f" {piece} ", style=f"black on {colours[kind]}").append(kind, style=f"bold {colours[kind]}")
            else:
                text.append(piece)
        return text

    def html(self) -> str:
        """The sentence as an HTML fragment, spans marked in colour."""
        colours, out = colour_of(self.types), []
        for text, kind in self.pieces():
            text = html.escape(text)
            style = f"background:{colours.get(kind, '')};color:#000;padding:.1em .3em;border-radius:.3em"
            label = f'<sub style="font-size:.65em;margin-left:.4em">{html.escape(kind)}</sub>'
            out.append(f'<mark style="{style}">{text}{label}</mark>' if kind else text)
        return f'<p style="line-height:1.9">{" ".join(out)}</p>'

    _repr_html_ = html

    def pieces(self) -> Iterator[tuple[str, str]]:
        """Words outside of spans one by one, spans whole; each with its type or ``""``."""
        starts, at = {span.start: span for span in self.spans}, 0
        while at < len(self.tokens):
            span = starts.get(at)
            yield (span.text, span.type) if span else (self.tokens[at], "")
            at = span.end if span else at + 1


def colour_of(types: Sequence[str]) -> dict[str, str]:
    """A background colour for each type."""
    return {kind: _COLOURS[i % len(_COLOURS)] for i, kind in enumerate(types)}
