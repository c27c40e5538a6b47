"""Names from data as text on a terminal: nothing in them is obeyed."""

from __future__ import annotations

import sys
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

#: categories of Unicode that are not printed: control characters, marks that turn the direction of text, halves of pairs (bytes of a
#: file's name that are not UTF-8), and the separators of lines and paragraphs
_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")


def plain(text: object, keep: str = "") -> str:
    """The text with every character that is not to be seen written as its escape, ``\\x1b`` for an escape.

    Args:
        keep: such characters as are left as they are: ``"\\n"`` for an answer of several lines.
    """
    raw = str(text)
    if raw.isprintable():
        return raw
    return "".join(_escape(c) if unicodedata.category(c) in _UNSEEN and c not in keep else c for c in raw)


def _escape(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")


def rich_text(answer: Any) -> Text:
    """What a model answered, for ``rich``: in its own colours where it has such, never read as markup, and ``plain`` but for lines."""
    from rich.text import Text

    shown = answer.__rich__() if hasattr(answer, "__rich__") else answer
    if not isinstance(shown, Text):
        return Text(plain(shown, keep="\n"))
    escaped, last = Text(style=shown.style), 0
    edges = sorted({0, len(shown.plain), *(edge for span in shown.spans for edge in (span.start, span.end))})
    for last, edge in zip(edges, edges[1:], strict=False):
        part = shown[last:edge]
        piece = Text(plain(part.plain, keep="\n"))
        for span in part.spans:
            piece.stylize(span.style)
        escaped.append_text(piece)
    return escaped


def any_encoding() -> None:
    """Lets standard output and error take every character: one that their encoding has not is written as its escape."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
