"""Classifying sentences or pairs of them, or giving them a score: errors, Matthews correlation, rank correlation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.data import Batch, Dataset, Schema
from paperzoo.data.text.wordpiece import Rows, WordPiece
from paperzoo.errors import PaperzooError
from paperzoo.metrics.interval import wilson
from paperzoo.metrics.matthews import matthews
from paperzoo.metrics.rank_correlation import spearman
from paperzoo.tasks.classification import confusion
from paperzoo.tasks.graphs import Graph, full, pieces_meant, pieces_of
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import save
from paperzoo.tasks.pretraining import special
from paperzoo.tasks.task import Task


@dataclass(frozen=True)
class Opinion:
    """A model's answer for a text.

    Attributes:
        name, probability: of the likeliest class.
        best: names and probabilities of all classes, by falling probability; empty where there is a score.
        score: of a model of scores, else ``None``.
        left_out: pieces at the end that the model had no room for.
    """

    text: tuple[str, ...]
    name: str = ""
    probability: float = 0.0
    best: tuple[tuple[str, float], ...] = ()
    score: float | None = None
    left_out: int = 0

    def __str__(self) -> str:
        text = f"{self.score:.3f}" if self.score is not None else ", ".join(f"{name} ({p:.1%})" for name, p in self.best)
        return f"{text}; its last {self.left_out} pieces were not read" if self.left_out else text


class TextClassification(Task):
    """Sentences, or pairs of them, to classes or to a score."""

    name = "text classification"
    needs = ("texts", "label")

    def measure(self, model: TextClassifier, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Over the whole split.

        Of classes: ``error %`` with Wilson's 95 % interval (``error % low``, ``error % high``), ``error % of the commonest class``,
        ``Matthews correlation`` (what GLUE scores CoLA by; accuracy says little where one class is common), with two classes ``F1 %``
        of the second, and ``loss``, mean cross-entropy in nats. Of scores: ``Pearson``, ``Spearman``, ``squared error``.
        """
        out, label = _outputs(model, dataset, split)
        if model.classes == 1:
            score, true = out[:, 0].double().numpy(), label.double().numpy()
            spread = score.std() * true.std()
            pearson = float(((score - score.mean()) * (true - true.mean())).mean() / spread) if spread else 0.0
            return {"Pearson": pearson, "Spearman": spearman(score, true), "squared error": float(((score - true) ** 2).mean())}
        guess = out.argmax(1)
        total, wrong = len(label), int((guess != label).sum())
        low, high = wilson(wrong, total)
        figures = {
            "error %": 100 * wrong / total,
            "error % low": 100 * low,
            "error % high": 100 * high,
            "error % of the commonest class": 100 * (1 - float(torch.bincount(label).max()) / total),
            "Matthews correlation": matthews(label.numpy(), guess.numpy()),
            "loss": float(F.cross_entropy(out, label)),
        }
        if model.classes == 2:
            hits, named = int(((guess == 1) & (label == 1)).sum()), int((guess == 1).sum()) + int((label == 1).sum())
            figures["F1 %"] = 200 * hits / max(1, named)
        return figures

    def show(self, model: TextClassifier, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """The confusion matrix, or scores against true ones; and the ten mistakes made with most confidence, as text."""
        out, label = _outputs(model, dataset, split)
        folder.mkdir(parents=True, exist_ok=True)
        page = folder / f"{stem}-mistakes.txt"
        if model.classes == 1:
            away = (out[:, 0] - label).abs()
            worst = away.argsort(descending=True)[:10].tolist()
            captions = [f"true {float(label[i]):.2f}, found {float(out[i, 0]):.2f}" for i in worst]
            picture = _scatter(label.numpy(), out[:, 0].numpy(), folder / f"{stem}-scores.png")
        else:
            p, guess = out.softmax(1).max(1)
            sure = torch.where(guess != label, p, -1.0)
            worst = [i for i in sure.argsort(descending=True)[:10].tolist() if sure[i] > 0]
            captions = [f"true {model.names[int(label[i])]}, found {model.names[int(guess[i])]} ({float(p[i]):.0%})" for i in worst]
            picture = confusion(guess.numpy(), label.numpy(), model.names, folder / f"{stem}-confusion.png")
        texts = dataset[split].batch(worst).texts if worst else []
        parts = [f"{caption}\n{' || '.join(part[:300] for part in text)}" for caption, text in zip(captions, texts, strict=True)]
        page.write_text("\n\n".join(parts or ["no mistakes"]) + "\n", encoding="utf-8")
        return [picture, page]

    def check(self, model_class: Any, schema: Schema) -> None:
        """Raises ``PaperzooError`` unless data of this schema has labelled texts."""
        super().check(model_class, schema)
        if "classes" not in schema.arguments:
            raise PaperzooError(f"{self.name} needs data that knows its classes, but {schema.name} does not")

    def inputs(self, model: TextClassifier, batch: Batch) -> Tensor:
        """Pieces and segments (N, 2, T)."""
        rows = model.rows(batch.texts)
        return torch.stack([rows.tokens, rows.segment], 1)

    def answer(self, model: TextClassifier, inputs: Tensor) -> Tensor:
        tokens, segment = inputs.unbind(1)
        return model.logits(Rows(tokens, segment, (tokens != special(model.vocabulary)[0]).sum(1), []))

    def graph(self, model: TextClassifier) -> Graph:
        size = len(model.vocabulary) or 30_522
        outputs = {"logits": f"float32 (N, {model.classes}), of the classes {', '.join(model.names)}"}
        if model.classes == 1:
            outputs = {"score": "float32 (N, 1)"}
        return Graph(
            lambda tokens, segment: model.logits(Rows(tokens, segment, full(tokens), [])),
            pieces_of(size), pieces_meant(size), outputs, ("tokens", "segment"),
        )  # fmt: skip


class TextClassifier(Model):
    """A model whose ``logits`` are (N, classes) for texts; with one class, its one output is a score. Subclasses define ``logits``.

    Args:
        vocabulary: of WordPiece.
        cased: whether upper case counts.
        names: of the classes; by default their numbers.
        longest: pieces of a text that are read, [CLS] and [SEP] counted; the rest is left out.

    Raises:
        PaperzooError: the names are not as many as the classes.
    """

    tasks: ClassVar[tuple[Task, ...]] = (TextClassification(),)

    def __init__(self, vocabulary: Sequence[str], cased: bool, classes: int, names: Sequence[str], longest: int) -> None:
        super().__init__()
        if classes < 1:
            raise PaperzooError(f"classes must be at least 1, not {classes}; 1 is for scores")
        if names and len(names) != classes:
            raise PaperzooError(f"{classes} classes cannot have {len(names)} names")
        self.vocabulary, self.cased, self.classes, self.longest = tuple(vocabulary), cased, classes, longest
        self.names = tuple(names) or tuple(map(str, range(classes)))

    def logits(self, rows: Rows) -> Tensor:
        """float32 (N, classes)."""
        raise TypeError(f"{type(self).__name__} does not say how it classifies")

    @cached_property
    def wordpiece(self) -> WordPiece:
        """Text to pieces."""
        if not self.vocabulary:
            raise PaperzooError("this model has no vocabulary, so it can read no text: create it with one, or train it")
        return WordPiece(self.vocabulary, self.cased)

    def rows(self, texts: Sequence[tuple[str, ...]]) -> Rows:
        """Texts of one or two sentences as the network reads them, on its device."""
        flat = iter(self.wordpiece.encode([part for text in texts for part in text]))
        packed = self.wordpiece.pack([[next(flat) for _ in text] for text in texts], self.longest)
        device = next(self.parameters()).device
        return Rows(packed.tokens.to(device), packed.segment.to(device), packed.length.to(device), packed.left_out)

    def predict(self, input: Any) -> Any:
        """The class of a sentence given as a string, or of a pair given as a tuple of two; of a list of these, a list.

        Of a text of more than ``longest`` pieces the beginning is read, and the answer says how many were not.

        Raises:
            PaperzooError: the input is neither, or empty, or none of its words is known.
        """
        if isinstance(input, list):
            return [self.predict(one) for one in input]
        text = (input,) if isinstance(input, str) else input
        if not isinstance(text, tuple) or len(text) not in (1, 2) or not all(isinstance(part, str) for part in text):
            raise PaperzooError(f"a sentence, or a tuple of two, is wanted, not {type(input).__name__}")
        numbers = {number for row in self.wordpiece.encode(text) for number in row}
        if not numbers:
            raise PaperzooError("the text is empty")
        if numbers == {self.wordpiece.unknown}:
            raise PaperzooError(f"no word of {text[0]!r} is known to this model")
        was_training = self.training
        self.eval()
        with torch.no_grad():
            rows = self.rows([text])
            out = self.logits(rows)[0].cpu()
        self.train(was_training)
        if self.classes == 1:
            return Opinion(text, score=float(out), left_out=rows.left_out[0])
        p = out.softmax(0)
        best = tuple((self.names[i], float(p[i])) for i in p.argsort(descending=True).tolist())
        return Opinion(text, *best[0], best, left_out=rows.left_out[0])


def _outputs(model: TextClassifier, dataset: Dataset, split: str) -> tuple[Tensor, Tensor]:
    """Logits (N, classes) and labels (N), on the CPU; like lengths are read together, so that little is padded."""
    texts, labels = zip(*_items(dataset, split), strict=True)
    order = np.argsort([sum(map(len, text)) for text in texts], kind="stable")
    out = torch.empty(len(texts), model.classes)
    for start in range(0, len(order), 32):
        part = order[start : start + 32]
        out[torch.from_numpy(part)] = model.logits(model.rows([texts[i] for i in part])).detach().float().cpu()
    return out, torch.stack(labels)


def _items(dataset: Dataset, split: str) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    for indices in dataset[split].batches(1000):
        batch = dataset[split].batch(indices)
        yield from zip(batch.texts, batch.label.cpu(), strict=True)


def _scatter(true: np.ndarray, predicted: np.ndarray, path: Path) -> Path:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(true, predicted, ".", markersize=3, alpha=0.5)
    axes.set(xlabel="true score", ylabel="found score")
    return save(figure, path)
