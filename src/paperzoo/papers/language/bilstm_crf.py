"""BI-LSTM-CRF: a recurrent net scores the tags of each word, a chain scores whole tag sequences (Huang, Xu and Yu 2015).

A bidirectional LSTM reads the sentence x and gives every tag i at every position t a score f(i, t). Tagging each word with its own best
tag can make sequences that no one would write, such as an I-PER that continues nothing. So a matrix A of transition scores ties
neighbouring tags together. A path i = (i_1, ..., i_T) of tags then scores (Eq. 5)

    s(x, i) = sum_t  A[i_{t-1}, i_t] + f(i_t, t),        p(i | x) = exp s(x, i) / Z(x),

with Z(x) the sum of exp s over all K^T paths, found in T K^2 steps (forward algorithm; Viterbi finds the best path). Training
minimises -log p of the true path; the gradient of log Z counts how often a path drawn from p uses each emission and transition.

``spelling`` links features of a word's spelling to the tags (section 4.2), ``vectors`` adds pretrained vectors, ``characters``
a network over letters (Lample et al. 2016). Read the chain in ``bilstm_crf_chain.py`` first, then ``BiLSTM`` and ``Model.step``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from paperzoo.data import Batch, Dataset
from paperzoo.data.text.pretrained import pretrained
from paperzoo.data.text.tagging import Lexicon, finer, iobes
from paperzoo.errors import PaperzooError
from paperzoo.nn.letters import inside, letter_network, mirror
from paperzoo.nn.schedules import linear_decay
from paperzoo.papers.language.bilstm_crf_chain import Chain, nll, viterbi
from paperzoo.ranges import Count, NotNegative, Part, Share, Size, Sizeable
from paperzoo.records import Recipe, Target
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.tagging import Tagger


class BiLSTM(nn.Module):
    """Words to emissions f (N, T, K): embeddings, dropout, an LSTM each way, a linear layer (figure 7).

    The backward LSTM reads each sentence from its own last word, so that padding is never read before a real word and a
    sentence's emissions do not depend on the others in its batch.

    Args:
        lexicon: what is known of a word.
        vector: dimensions of pretrained vectors, if the lexicon has any.
        characters: ``lstm`` or ``cnn``, if the lexicon has letters.
    """

    vectors: Tensor  # float16 (V + 1, vector), not trained; row 0 is for words without one

    def __init__(
        self, lexicon: Lexicon, embedding: int, vector: int, characters: str, hidden: int, tags: int, dropout: float
    ) -> None:
        super().__init__()
        self.split, (words, vectors, spellings, letters) = list(lexicon.sizes), lexicon.counts
        self.embedding = nn.Embedding(words, embedding)
        self.dropout = nn.Dropout(dropout)
        self.letters = letter_network(characters, letters) if letters else None
        inputs = embedding + vector + (self.letters.size if self.letters else 0)
        # two LSTMs over padded batches rather than one bidirectional over packed ones: 2 to 4 times as fast on a CPU
        self.forwards = nn.LSTM(inputs, hidden, batch_first=True)
        self.backwards = nn.LSTM(inputs, hidden, batch_first=True)
        self.emit = nn.Linear(2 * hidden, tags)
        if vectors:
            self.register_buffer("vectors", torch.zeros(vectors, vector, dtype=torch.float16))
        if spellings:
            self.spelled = nn.Embedding(spellings, tags, padding_idx=0)
            nn.init.zeros_(self.spelled.weight)

    def forward(self, tokens: Tensor, length: Tensor) -> Tensor:
        """Emissions (N, T, K) for int64 tokens, of which the first ``length`` (N) of each row are real.

        Args:
            tokens: (N, T, C), for each word the numbers of a row of ``Lexicon``; (N, T) where there is only one number.
        """
        rows = tokens if tokens.ndim == 3 else tokens[..., None]  # (N, T, C)
        form, vector, spellings, letters = torch.split(rows, self.split, 2)
        known = [self.embedding(form[..., 0])]  # (N, T, embedding)
        if vector.shape[2]:
            known.append(F.embedding(vector[..., 0], self.vectors).float())
        if self.letters is not None:
            real = inside(length, tokens.shape[1])
            read = self.letters(letters[real])  # (M, L) to (M, size), for the M real words
            known.append(read.new_zeros(*real.shape, read.shape[1]).masked_scatter(real[..., None], read))
        x = self.dropout(torch.cat(known, 2))
        right, _ = self.forwards(x)  # (N, T, hidden)
        left, _ = self.backwards(mirror(x, length))
        h = torch.cat([right, mirror(left, length)], 2)  # (N, T, 2 hidden)
        emissions: Tensor = self.emit(self.dropout(h))
        return emissions + self.spelled(spellings).sum(2) if spellings.shape[2] else emissions  # section 4.2.4


def softmax_nll(emissions: Tensor, tags: Tensor, length: Tensor) -> Tensor:
    """``-log p`` of the true tags where each word's tag is drawn by itself (Eq. 4): no chain."""
    words = F.cross_entropy(emissions.transpose(1, 2), tags, reduction="none")  # (N, K, T) -> (N, T)
    return (words * inside(length, tags.shape[1])).sum(1)


CONLL2003 = ("O", "B-LOC", "I-LOC", "B-MISC", "I-MISC", "B-ORG", "I-ORG", "B-PER", "I-PER")


class Model(Tagger):
    """The network with the chain on top, or with ``crf=False`` the paper's BI-LSTM: the same network under a softmax.

    Args:
        vocabulary: what words are known by; begins with ``<pad>``, ``<unk>``. Filled in from the data.
        tags: names of the tags, O first; by default those of CoNLL-2003. Filled in from the data.
        embedding: dimensions of a word's vector.
        hidden: units of each of the two LSTMs.
        dropout: share of the embeddings and of the LSTMs' outputs put to zero in training.
        crf: whether there is a chain.
        scheme: ``IOBES`` to score E- and S- tags too, where the data has IOB2, and to answer in IOB2; ``""``: tags as they are.
        characters: what reads the letters of a word: ``lstm``, ``cnn``, or ``""`` for nothing.
        spelling: whether features of the spelling are linked to the tags.
        vectors: pretrained vectors, kept as they are beside the embeddings: ``glove-100d`` or a file, see ``pretrained``.
        most: how many words of them are kept, from the file's beginning, whatever the data.
        spellings, letters: names of spelling features, and letters, that are known. Filled in from the data.
        vector_words, vector_size: what the vectors are of, and how long; from the file.
    """

    coarse: Tensor

    def __init__(
        self,
        *,
        vocabulary: Sequence[str] = ("<pad>", "<unk>"),
        tags: Sequence[str] = CONLL2003,
        embedding: Size = 50,
        hidden: Size = 300,
        dropout: Part = 0.0,
        crf: bool = True,
        scheme: Literal["", "IOBES"] = "",
        characters: str = "",
        spelling: bool = False,
        vectors: str = "",
        most: Count = 100_000,
        spellings: Sequence[str] = (),
        letters: Sequence[str] = (),
        vector_words: Sequence[str] = (),
        vector_size: Sizeable = 0,
    ) -> None:
        super().__init__(vocabulary, tags)
        if spelling and not spellings:
            raise PaperzooError("spelling needs spellings, which tagged data brings")
        if characters and not letters:
            raise PaperzooError("characters needs letters, which tagged data brings")
        if bool(vector_words) != (vector_size > 0):
            raise PaperzooError(f"vector_words and vector_size go together: {len(vector_words)} words have {vector_size} dimensions")
        rows = None
        if vectors:
            vector_words, rows = pretrained(vectors, most)
            vector_size = rows.shape[1]
        #: what a saved model is built from instead: it has the vectors themselves, and no list that it does not use
        self.brought: dict[str, Any] = {"vectors": "", "vector_words": tuple(vector_words), "vector_size": vector_size}
        self.brought |= {"spellings": tuple(spellings) if spelling else (), "letters": tuple(letters) if characters else ()}
        self.lexicon = Lexicon(vocabulary, vector_words, self.brought["spellings"], self.brought["letters"])
        self.plain = sum(self.lexicon.sizes) == 1  # a word is its number in the vocabulary and nothing else
        self.finer = finer(tags) if scheme and self.scheme == "IOB2" else ()  # what is scored, if not the tags of the data
        if self.finer:
            before = [{"S": "B", "E": "I"}.get(tag[0], tag[0]) + tag[1:] for tag in self.finer]
            self.register_buffer("coarse", torch.tensor([self.tags.index(tag) for tag in before]), persistent=False)
        count = len(self.finer or tags)
        self.network = BiLSTM(self.lexicon, embedding, vector_size, characters, hidden, count, dropout)
        if rows is not None:
            self.network.vectors[1:] = torch.from_numpy(rows)
        if crf:
            # parameters of the model, not of a network: networks may compute in bfloat16, and log Z must not
            self.start, self.end = nn.Parameter(torch.zeros(count)), nn.Parameter(torch.zeros(count))
            self.pair = nn.Parameter(torch.zeros(count, count))
        self.crf = crf

    def optimizers(self, *, lr: NotNegative = 0.1, momentum: Part = 0.0, decay_from: Share = 1.0) -> Optimizers:
        """SGD (section 3) at a rate of 0.1 (section 4.3), which falls linearly to zero from ``decay_from`` of all steps on."""
        return {"tagger": (SGD(self.parameters(), lr, momentum), linear_decay(decay_from))}

    def step(self, batch: Batch, opt: Players) -> None:
        """Algorithm 1."""
        tokens = batch.tokens if self.plain else self._padded(batch.words)[0].to(batch.tokens.device)
        tags = self.refined(batch.tags, batch.length) if self.finer else batch.tags
        emissions = self.network(tokens, batch.length)  # (N, T, K)
        if self.crf:
            loss = nll(emissions, tags, batch.length, Chain(self.start, self.end, self.pair))
        else:
            loss = softmax_nll(emissions, tags, batch.length)
        opt.tagger.minimize(loss.mean())

    def tag(self, tokens: Tensor, length: Tensor) -> Tensor:
        """The best path; without a chain, the best tag of each word."""
        emissions = self.network(tokens, length)  # (N, T, K)
        if self.crf:
            best = viterbi(emissions, length, Chain(self.start, self.end, self.pair))
        else:
            best = emissions.argmax(2) * inside(length, tokens.shape[1])
        return self.coarse[best] if self.finer else best

    def refined(self, tags: Tensor, length: Tensor) -> Tensor:
        """Tags (N, T) of the data as numbers of ``finer``, 0 where padded."""
        out = torch.zeros(tags.shape, dtype=torch.int64)
        for row, (numbers, n) in enumerate(zip(tags.tolist(), length.tolist(), strict=True)):
            out[row, :n] = torch.tensor([self.finer.index(tag) for tag in iobes([self.tags[i] for i in numbers[:n]])])
        return out.to(tags.device)

    def _padded(self, sentences: Sequence[Sequence[str]]) -> tuple[Tensor, Tensor]:
        """All that is known of the words, (N, T, C) as the network wants it; and how many there are (N)."""
        if self.plain:
            return super()._padded(sentences)
        rows = [torch.from_numpy(self.lexicon.rows(words)) for words in sentences]
        return nn.utils.rnn.pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])

    def chain(self) -> tuple[Sequence[str], Tensor] | None:
        return (self.finer or self.tags, self.pair.detach().float().cpu()) if self.crf else None

    def outputs(self, dataset: Dataset, split: str) -> tuple[list[tuple[list[str], list[str]]], list[list[str]]]:
        """Any tagger's outputs. A data set numbers words by its vocabulary alone; a model with other input numbers them anew."""
        if not self.plain:
            unnumbered = replace(dataset.schema, arguments={**dataset.schema.arguments, "vocabulary": ()})
            dataset = replace(dataset, schema=unnumbered)
        return super().outputs(dataset, split)


VARIANTS = {"bilstm_crf": {}, "bilstm": {"crf": False}}

RECIPES = {
    "paper": Recipe(
        data="conll2003", steps=20_060, batch_size=7, model={"spelling": True}, precision="float32", variants=("bilstm_crf",),
        targets=(Target("entity F1 %", at_least=84.26, claim="crf-random-spelling"),),
        note="10 epochs of 14,041 sentences; the target is that of random embeddings with features",
    ),
    "small": Recipe(
        data="wnut16", steps=1600, batch_size=16,
        model={"hidden": 100, "dropout": 0.5, "spelling": True, "characters": "cnn", "vectors": "glove-100d"},
        optimizer={"momentum": 0.9, "decay_from": 0.5}, clip=5.0, precision="float32", variants=("bilstm_crf",),
        targets=(Target("entity F1 %", at_least=45),), note="16 epochs of 1,600 tweets; without clipping some losses blow up",
    ),
    "smoke": Recipe(
        data="bio-grammar", steps=120, batch_size=32, model={"embedding": 20, "hidden": 32},
        optimizer={"momentum": 0.95, "decay_from": 0.5}, precision="float32",
    ),
}  # fmt: skip
RECIPES |= {  # the softmax takes the same steps; on tweets it is there to be compared with
    "paper-softmax": RECIPES["paper"].but(
        variants=("bilstm",), targets=(Target("entity F1 %", at_least=81.11, claim="bilstm-random-spelling"),)
    ),
    "small-softmax": RECIPES["small"].but(variants=("bilstm",), targets=(), note="the same without the chain"),
    **{  # and so is what is known of a word
        f"small-{name}": RECIPES["small"].but(model=less, targets=(), note=f"the same {what}")
        for name, what, less in (
            ("no-vectors", "without pretrained vectors", {"vectors": ""}),
            ("no-characters", "without a network over letters", {"characters": ""}),
            ("no-spelling", "without spelling features", {"spelling": False}),
            ("words", "with nothing but words in the vocabulary", {"vectors": "", "characters": "", "spelling": False}),
        )
    },
}
