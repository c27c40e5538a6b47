"""Byte-pair encoding: text cut into pieces so that no word is ever unknown (Sennrich, Haddow and Birch 2016, over bytes).

Words begin as their bytes; the pair of pieces that stands together most often becomes a piece of its own, again and again,
until there are as many pieces as wanted. What is kept are the pieces and, in order, the pairs that were merged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from paperzoo.errors import PaperzooError

PAD, START, END = 0, 1, 2
#: the names of the first three pieces, which no text holds: padding, the begin and the end of a sentence
SPECIAL = ("<pad>", "<s>", "</s>")


class Bpe:
    """Text to numbers of pieces and back, by the library tokenizers. Lossless but for blanks at the ends.

    Args:
        vocabulary: pieces by number; begins with ``SPECIAL``. Bytes are written as letters; a leading ``Ġ`` is a blank.
        merges: pairs ``"a b"`` in the order in which they are merged.

    Raises:
        PaperzooError: tokenizers is not installed, or these pieces and merges do not belong together.
    """

    def __init__(self, vocabulary: Sequence[str], merges: Sequence[str]) -> None:
        library = _library()
        if tuple(vocabulary[:3]) != SPECIAL:
            raise PaperzooError(f"vocabulary must begin with {', '.join(SPECIAL)}, not with {', '.join(vocabulary[:3]) or 'nothing'}")
        pieces = {piece: number for number, piece in enumerate(vocabulary) if number >= len(SPECIAL)}
        pairs = [(a, b) for a, _, b in (merge.partition(" ") for merge in merges)]
        for a, b in pairs:
            if not {a, b, a + b} <= pieces.keys():
                raise PaperzooError(f"the merge {a!r} {b!r} does not belong to this vocabulary")
        if missing := sorted(set(library.pre_tokenizers.ByteLevel.alphabet()) - pieces.keys()):
            raise PaperzooError(f"the vocabulary lacks {len(missing)} of the 256 bytes, {missing[0]!r} first")
        self._tokenizer = _byte_level(library, library.models.BPE(pieces, pairs))
        self.vocabulary = tuple(vocabulary)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The numbers of each text's pieces, without begin and end."""
        return [encoded.ids for encoded in self._tokenizer.encode_batch_fast(list(texts))]

    def decode(self, rows: Iterable[Sequence[int]]) -> list[str]:
        """The text of each row of numbers; padding, begin and end say nothing. Broken UTF-8 becomes U+FFFD."""
        return [self._tokenizer.decode([i for i in row if i >= len(SPECIAL)]).strip() for row in rows]


def learn(texts: Iterable[str], pieces: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Vocabulary and merges from texts, for ``Bpe``: at most ``pieces`` pieces, the 256 bytes and ``SPECIAL`` among them.

    Pairs that stand together only once are never merged.

    Raises:
        PaperzooError: tokenizers is not installed, or ``pieces`` is fewer than 259.
    """
    library, least = _library(), 256 + len(SPECIAL)
    if pieces < least:
        raise PaperzooError(f"a vocabulary needs at least {least} pieces, 256 of them bytes; {pieces} were asked for")
    tokenizer = _byte_level(library, library.models.BPE())
    trainer = library.trainers.BpeTrainer(
        vocab_size=pieces - len(SPECIAL),
        min_frequency=2,
        initial_alphabet=library.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    merges = tuple(merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"])
    return (*SPECIAL, *sorted(model["vocab"], key=model["vocab"].__getitem__)), merges


def _library() -> Any:
    try:
        import tokenizers
        from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers  # noqa: F401 (reached by attribute)
    except ImportError:
        raise PaperzooError('cutting text into pieces needs tokenizers: pip install tokenizers') from None
    return tokenizers


def _byte_level(library: Any, model: Any) -> Any:
    """A blank belongs to the word after it, and the first word gets one, so that a word is the same wherever it stands."""
    tokenizer = library.Tokenizer(model)
    tokenizer.normalizer = library.normalizers.NFC()
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = library.decoders.ByteLevel()
    return tokenizer
