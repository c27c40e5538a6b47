"""Translations as text, and where the model looked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.text.parallel import Pair
from paperzoo.metrics.bleu import bleu
from paperzoo.tasks.pictures import save
from paperzoo.tasks.translation.measure import texts_of

if TYPE_CHECKING:
    from paperzoo.tasks.translation.contract import Translation, Translator

#: beside held-out sentences, what ``show`` translates from these languages
SENTENCES = {"pt": "este é o primeiro livro que eu fiz."}


def draw(model: Translator, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
    """Ten translations as text, with BLEU's signature, and where the model looked when it made the first of them."""
    texts = texts_of(dataset[split])
    fixed = SENTENCES.get(model.languages[0][:2].lower(), "")
    chosen = [texts[i] for i in np.linspace(0, len(texts) - 1, min(len(texts), 10 - bool(fixed))).astype(int)]
    rows: list[Pair] = [(fixed, ""), *chosen] if fixed else chosen
    translations = model.translations([a for a, _ in rows])
    signature = bleu([m.text for m in translations[-len(chosen) :]], [b for _, b in chosen]).signature
    parts = [f"BLEU by sacrebleu: {signature}"]
    for translation, (_, reference) in zip(translations, rows, strict=True):
        named = {"source": translation.source, "reference": reference, "found": translation.text}
        parts.append("\n".join(f"{key:9}  {text}" for key, text in named.items() if text or key == "found"))
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / f"{stem}-translations.txt"
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return [_heat_map(translations[0], folder / f"{stem}-attention.png"), page]


def _heat_map(translation: Translation, path: Path) -> Path:
    """Attention to the source: the mean of the heads with the pieces beside, then each head."""
    from matplotlib.figure import Figure

    rows, columns = translation.attention.shape
    heads: Mapping[int, Tensor] = dict(enumerate(translation.heads))
    side = min(8.0, 1.5 + 0.24 * max(rows, columns))
    figure = Figure(figsize=(side + 4, side), layout="constrained")
    big, small = np.ravel(figure.subfigures(1, 2, width_ratios=(side, 4), squeeze=False))
    axes = big.add_subplot()
    axes.imshow(translation.attention.numpy(), cmap="viridis", vmin=0, vmax=1, aspect="auto")
    for axis, pieces in ((axes.xaxis, translation.pieces[0]), (axes.yaxis, translation.pieces[1])):
        axis.set_ticks(range(len(pieces)), [piece.replace("$", r"\$") for piece in pieces], fontsize=8)
    axes.tick_params(axis="x", rotation=90)
    axes.set(xlabel="source", ylabel="translation", title="last layer, mean of the heads")
    for number, axes in enumerate(np.ravel(small.subplots(-(-len(heads) // 2), 2, squeeze=False))):
        axes.set_axis_off()
        if number in heads:
            axes.imshow(heads[number].numpy(), cmap="viridis", vmin=0, vmax=1, aspect="auto")
            axes.set_title(f"head {number + 1}", fontsize=8)
    return save(figure, path)
