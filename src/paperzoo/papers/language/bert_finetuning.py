"""Fine-tuning BERT: one linear layer on top of the encoder, all of it trained a little further (Devlin et al. 2018, section 3.2).

The pre-trained encoder reads a text, or a pair, as [CLS] A [SEP] B [SEP] and gives each position a hidden state h_i. A text is
classified from the pooled first position, and each word is tagged from the state at its first piece:

    p(class | text) = softmax(W tanh(P h_[CLS])),        p(tag | word) = softmax(W h_first piece),

where only W is new; encoder and W learn together from a few labelled examples, for 2 to 4 epochs at a small rate (section A.3).

    paperzoo train bert:classify --set model.weights=RUN                     # is this e-mail spam? from 200 labels
    paperzoo train bert:classify --data glue:PATH/CoLA --set model.weights=DIRECTORY       # as Hugging Face stores it
    paperzoo train bert:tag --data conll:PATH

Read ``bert.py`` for the encoder and its pre-training first, then ``Classify.logits`` and ``Tag.step``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperzoo.data import Batch, Schema
from paperzoo.data.text.wordpiece import Rows, WordPiece
from paperzoo.errors import PaperzooError
from paperzoo.nn.dropout import Dropout
from paperzoo.nn.schedules import warmup_linear
from paperzoo.papers.language.bert import Model, WordHead, adamw, begin, build, mask
from paperzoo.pretrained.encoders import SIZES, start
from paperzoo.ranges import NotNegative, Part, Positive, Share, Size
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.pretraining import Masked, special
from paperzoo.tasks.tagging import Tagger
from paperzoo.tasks.text_classification import TextClassifier


class Classify(TextClassifier):
    """The encoder with one linear layer on top, trained together (section 3.2); classes, or with one class a score.

    Args:
        vocabulary, classes, names: filled in from the data.
        weights: as of ``Model``; ``""`` to begin from nothing.
        fresh: take only sizes and vocabulary of ``weights``: the same network from nothing, to see what pre-training is worth.
        pooling: ``first``: the pooled first position; ``mean``: of all positions.
        longest: pieces of a text that are read.
        deviation: as of ``Model``.
        pretrain: keep the heads of pre-training, so that a stage ``pretrain`` of the recipe can come first.
    """

    def __init__(
        self,
        *,
        vocabulary: Sequence[str] = (),
        classes: Size = 2,
        names: Sequence[str] = (),
        weights: str = "",
        fresh: bool = False,
        pooling: Literal["first", "mean"] = "first",
        longest: Size = 128,
        pretrain: bool = False,
        deviation: Positive = 0.02,
        layers: Size = 12,
        width: Size = 768,
        heads: Size = 12,
        inner: Size = 3072,
        positions: Size = 512,
        dropout: Part = 0.1,
        cased: bool = False,
    ) -> None:
        sizes = dict(zip(SIZES, (layers, width, heads, inner, positions), strict=True))
        begun = start("bert", weights, fresh, vocabulary=vocabulary, cased=cased, **sizes)
        super().__init__(begun.arguments["vocabulary"], begun.arguments["cased"], classes, names, longest)
        if not 4 <= longest <= begun.arguments["positions"]:
            raise PaperzooError(f"longest must be 4 to {begun.arguments['positions']}, the model's positions, not {longest}")
        self.pooling, self.brought, self.phase = pooling, begun.brought, ""
        self.bert = build(begun, dropout)
        pieces, width = self.bert.piece.weight.shape
        self.dropout, self.head = Dropout(dropout), nn.Linear(width, classes)
        if pretrain:
            self.words, self.next = WordHead(pieces, width), nn.Linear(width, 2)
        begin(self, deviation)
        begun.load(self, weights)

    @classmethod
    def check(cls, schema: Schema) -> None:
        """Labelled texts, or pairs of segments for a stage of pre-training."""
        if "next" not in schema.fields:
            super().check(schema)

    def stage(self, name: str) -> None:
        """``pretrain`` is as ``Model`` does it; any other is fine-tuning."""
        self.phase = name
        if name == "pretrain" and not hasattr(self, "words"):
            raise PaperzooError("a stage pretrain needs model.pretrain=true")

    def optimizers(
        self,
        *,
        lr: NotNegative = 2e-5,
        head_rate: NotNegative = 1.0,
        warmup: Share = 0.1,
        end: NotNegative = 0.0,
    ) -> Optimizers:
        """Section A.3: rates of 5e-5, 3e-5 or 2e-5; the new layer's is ``head_rate`` times as high.

        They rise for the share ``warmup`` of the steps and then fall linearly, to ``end`` times as much.
        """
        return {"bert": (adamw(self, lr, ("head.",), head_rate), warmup_linear(warmup, end))}

    def logits(self, rows: Rows) -> Tensor:
        """(N, classes)."""
        hidden, pooled = self.bert(rows.tokens, rows.segment, rows.length)
        sentence = pooled if self.pooling == "first" else hidden.sum(1) / rows.length[:, None]  # 0 where padded
        out: Tensor = self.head(self.dropout(sentence))
        return out

    def step(self, batch: Batch, opt: Players) -> Mapping[str, Tensor] | None:
        """Cross-entropy of the labels, or the squared error of the scores."""
        if self.phase == "pretrain":
            return Model.step(self, batch, opt)  # type: ignore[arg-type]
        out = self.logits(self.rows(batch.texts))
        opt.bert.minimize(F.mse_loss(out[:, 0], batch.label) if self.classes == 1 else F.cross_entropy(out, batch.label))
        return None

    def mask(self, batch: Batch) -> Masked:
        """Masks words as ``Model`` does in pre-training."""
        return mask(batch.tokens, special(self.vocabulary), self.bert.piece.num_embeddings)

    scores = Model.scores


class Tag(Tagger):
    """The encoder with a linear layer at each word's first piece (section 5.3); the other pieces are read and not answered for.

    Args: as of ``Classify``; ``vocabulary`` is of WordPiece and comes with the weights, or from ``pieces``.
    """

    def __init__(
        self,
        *,
        tags: Sequence[str] = ("O", "B-LOC", "I-LOC", "B-MISC", "I-MISC", "B-ORG", "I-ORG", "B-PER", "I-PER"),
        weights: str = "",
        fresh: bool = False,
        pieces: Sequence[str] = (),
        layers: Size = 12,
        width: Size = 768,
        heads: Size = 12,
        inner: Size = 3072,
        positions: Size = 512,
        dropout: Part = 0.1,
        cased: bool = False,
    ) -> None:
        super().__init__(("<pad>", "<unk>"), tags)  # words are not numbered, their pieces are
        sizes = dict(zip(SIZES, (layers, width, heads, inner, positions), strict=True))
        begun = start("bert", weights, fresh, vocabulary=pieces, cased=cased, **sizes)
        known = begun.arguments["vocabulary"]
        self.wordpiece = WordPiece(known, begun.arguments["cased"]) if known else None
        self.brought = {"pieces" if key == "vocabulary" else key: value for key, value in begun.brought.items()}
        self.bert = build(begun, dropout)
        self.dropout, self.head = Dropout(dropout), nn.Linear(self.bert.piece.embedding_dim, len(tags))
        begin(self)
        begun.load(self, weights)

    optimizers = Classify.optimizers

    def _padded(self, sentences: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """Pieces, and the number of the word that begins there (from 1), as (N, 2, T); and how many words there are (N)."""
        if self.wordpiece is None:
            raise PaperzooError("this model has no vocabulary, so it can read no text: give model.weights or model.pieces")
        room, numbered, begins = self.bert.position.num_embeddings - 2, [], []
        for words in sentences:
            rows = [row or [self.wordpiece.unknown] for row in self.wordpiece.encode(words)]
            numbered.append([[number for row in rows for number in row]])
            places = [0, *(place for i, row in enumerate(rows, 1) for place in [i, *[0] * (len(row) - 1)])]
            begins.append(torch.tensor(places[: room + 1]))
        packed = self.wordpiece.pack(numbered, room + 2)
        place = torch.zeros_like(packed.tokens)
        for row, numbers in zip(place, begins, strict=True):
            row[: len(numbers)] = numbers
        return torch.stack([packed.tokens, place], 1), torch.tensor([len(words) for words in sentences])

    def _scores(self, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores (K, tags) of the K words that have a place, and row and number (K) of each."""
        pieces, place = tokens.unbind(1)  # (N, T) each
        hidden, _ = self.bert(pieces, torch.zeros_like(pieces), (pieces != self.wordpiece.pad).sum(1))  # type: ignore[union-attr]
        rows, at = place.nonzero().unbind(1)
        return self.head(self.dropout(hidden[rows, at])), rows, place[rows, at] - 1

    def tag(self, tokens: Tensor, length: Tensor) -> Tensor:
        """The best tag of each word, int64 (N, words); O for words that found no room."""
        scores, rows, words = self._scores(tokens)
        tags = torch.zeros(len(tokens), int(length.max()), dtype=torch.int64, device=tokens.device)
        tags[rows, words] = scores.argmax(1)
        return tags

    def step(self, batch: Batch, opt: Players) -> None:
        """Cross-entropy at the first piece of every word."""
        tokens, _ = self._padded(batch.words)
        scores, rows, words = self._scores(tokens.to(batch.tags.device))
        opt.bert.minimize((F.cross_entropy(scores, batch.tags[rows, words]), len(scores)))
