"""WordPiece: words in a vocabulary of pieces, of which those that go on with a word begin with ``##`` (Wu et al. 2016, 1609.08144).

A word is cut greedily, the longest piece first: ``unaffable`` is ``un ##aff ##able``. BERT reads all text so, in lower case and
without accents unless it is cased; punctuation stands by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from paperzoo.errors import PaperzooError

PAD, UNKNOWN, FIRST, SEPARATOR, MASK = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
#: begins a piece that goes on with a word
MORE = "##"
_SHIFT = 0xF0000  # to the private letters of Unicode


class Rows(NamedTuple):
    """Sentences as a network reads them, each begun by [CLS] and ended by [SEP]."""

    tokens: Tensor  # int64 (N, T), that of [PAD] where padded
    segment: Tensor  # int64 (N, T): 1 in a second sentence and its [SEP], else 0
    length: Tensor  # int64 (N)
    left_out: list[int]  # pieces of each row that found no room


class WordPiece:
    """Text to numbers of pieces, by the library tokenizers.

    Args:
        vocabulary: pieces by number; holds the five of ``SPECIAL``.
        cased: keep upper case and accents.

    Raises:
        PaperzooError: tokenizers is not installed, or a special piece is missing, or a piece comes twice.
    """

    def __init__(self, vocabulary: Sequence[str], cased: bool = False) -> None:
        library, numbers = _library(), {piece: number for number, piece in enumerate(vocabulary)}
        if missing := [piece for piece in SPECIAL if piece not in numbers]:
            raise PaperzooError(f"a vocabulary of WordPiece needs {', '.join(SPECIAL)}; this one lacks {', '.join(missing)}")
        if len(numbers) < len(vocabulary):
            raise PaperzooError(f"vocabulary names {next(p for i, p in enumerate(vocabulary) if numbers[p] != i)!r} twice")
        self.vocabulary, self.cased = tuple(vocabulary), cased
        self.pad, self.unknown, self.first, self.separator, self.mask = (numbers[piece] for piece in SPECIAL)
        self._tokenizer = library.Tokenizer(library.models.WordPiece(numbers, unk_token=UNKNOWN))
        self._tokenizer.normalizer = library.normalizers.BertNormalizer(lowercase=not cased)
        self._tokenizer.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """The numbers of each text's pieces. What looks like a special piece in a text is no such piece."""
        return [encoded.ids for encoded in self._tokenizer.encode_batch_fast(list(texts))]

    def pack(self, rows: Sequence[Sequence[Sequence[int]]], longest: int) -> Rows:
        """``[CLS] A [SEP]`` or ``[CLS] A [SEP] B [SEP]`` of one or two sentences a row, as numbers, padded to the longest row.

        What is over ``longest`` pieces is left out at the end of the sentence that is then the longer one (appendix A.2).
        """
        kept, left_out = [], []
        for row in rows:
            room, sizes = longest - 1 - len(row), [len(part) for part in row]
            if len(row) == 1:
                sizes = [min(sizes[0], room)]
            elif sum(sizes) > room:  # the longer gives way until both are as long
                short = min(min(sizes), room // 2)
                sizes = [room - short, short] if sizes[0] >= sizes[1] else [short, room - short]
            kept.append([list(part[:size]) for part, size in zip(row, sizes, strict=True)])
            left_out.append(sum(map(len, row)) - sum(sizes))
        lengths = np.array([1 + sum(len(part) + 1 for part in parts) for parts in kept], np.int64)
        tokens = np.full((len(kept), int(lengths.max(initial=0))), self.pad, np.int64)
        segment = np.zeros_like(tokens)
        for i, parts in enumerate(kept):
            tokens[i, : lengths[i]] = [self.first, *(number for part in parts for number in (*part, self.separator))]
            if len(parts) == 2:
                segment[i, len(parts[0]) + 2 : lengths[i]] = 1
        return Rows(torch.from_numpy(tokens), torch.from_numpy(segment), torch.from_numpy(lengths), left_out)

    def read(self, numbers: Iterable[int]) -> str:
        """The pieces of these numbers as text."""
        return " ".join(self.vocabulary[i] for i in numbers).replace(f" {MORE}", "")


def learn(texts: Iterable[str], pieces: int, cased: bool = False) -> tuple[str, ...]:
    """A vocabulary of at most ``pieces`` pieces: ``SPECIAL``, every letter that occurs, then pairs of pieces, the commonest first.

    Which pieces are learnt depends on the texts alone. The library's own trainer for WordPiece numbers letters in the order of a
    hash table, which differs from run to run, and with them what is learnt where counts are equal. So letters within words are
    shifted to private ones here, which its trainer for byte-pair encoding takes for letters like others, and back.

    Raises:
        PaperzooError: tokenizers is not installed, there are no words, or more different letters than ``pieces``.
    """
    library = _library()
    normalizer, cut = library.normalizers.BertNormalizer(lowercase=not cased), library.pre_tokenizers.BertPreTokenizer()
    counts = Counter(word for text in texts for word, _ in cut.pre_tokenize_str(normalizer.normalize_str(text)))
    words = {_within(word): count for word, count in counts.items() if all(ord(letter) < 0xFFFD for letter in word)}
    if not words:
        raise PaperzooError("a vocabulary cannot be learnt from texts without words")
    if (letters := len(set().union(*words))) + len(SPECIAL) > pieces:
        raise PaperzooError(f"{pieces} pieces are too few: these texts have {letters} different letters, within words counted apart")
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = library.pre_tokenizers.WhitespaceSplit()
    trainer = library.trainers.BpeTrainer(vocab_size=pieces - len(SPECIAL), min_frequency=2, show_progress=False)
    repeated = (" ".join([word] * min(count, 1000)) for word, count in words.items() for count in _parts(count))
    tokenizer.train_from_iterator(repeated, trainer)
    vocabulary = tokenizer.get_vocab()
    return (*SPECIAL, *map(_without, sorted(vocabulary, key=vocabulary.__getitem__)))


def _parts(count: int) -> list[int]:
    return [1000] * (count // 1000) + [count % 1000] * bool(count % 1000)


def _within(word: str) -> str:
    return word[0] + "".join(chr(_SHIFT + ord(letter)) for letter in word[1:])


def _without(piece: str) -> str:
    plain = "".join(chr(ord(letter) % _SHIFT) for letter in piece)
    return MORE + plain if ord(piece[0]) >= _SHIFT else plain


def _library() -> Any:
    try:
        import tokenizers
        from tokenizers import models, normalizers, pre_tokenizers, trainers  # noqa: F401 (reached by attribute)
    except ImportError:
        raise PaperzooError('cutting text into pieces needs tokenizers: pip install tokenizers') from None
    return tokenizers
