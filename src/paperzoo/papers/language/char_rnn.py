"""Recurrent language models, by characters and by words (Karpathy's char-rnn; Zaremba, Sutskever and Vinyals 2014).

A language model gives every text a probability by saying, token after token, what comes next:

    log p(x_1 ... x_T) = sum over t of log p(x_t | x_1 ... x_{t-1}),        p(. | x_1 ... x_{t-1}) = softmax(W h_{t-1} + b).

The past lies in a state h, which a cell renews with every token. An LSTM keeps a memory c besides, to which gates between 0 and 1
add and from which they take (section 3.1), so that a quotation can still be open a hundred characters later:

    i, f, o = sigma(...), g = tanh(...), each of W [x_t, h_{t-1}] + b,        c_t = f c_{t-1} + i g,        h_t = o tanh(c_t).

Backpropagation is truncated: the text is cut into spans of T tokens, and each begins with the state in which the span before it
ended, but no gradient flows back into that. Dropout that hits h_{t-1} would wipe out the memory step by step, so it stands only
where a token goes up through the layers (Eq. of section 3.2). Read ``lstm_cell``, then ``Model.step``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from annotated_types import Ge
from torch import Tensor, nn
from torch.optim import SGD, AdamW, RMSprop

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.schedules import cosine
from paperzoo.ranges import NotNegative, Part, Size, Sizeable, Whole
from paperzoo.records import Recipe, Target
from paperzoo.tasks.language_model import LanguageModel, State
from paperzoo.tasks.model import Optimizers, Players, noted

# ---- One step of each cell, for reading: x (N, D), h and c (N, H). torch.nn holds the same weights in blocks, gate over gate:
# ---- w_x (gates H, D), w_h (gates H, H), b_x and b_h (gates H). These functions give what its fast kernels give.


def rnn_cell(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """The plain cell: the new state is the old one, mixed and squashed."""
    return torch.tanh(x @ w_x.T + b_x + h @ w_h.T + b_h)


def lstm_cell(
    x: Tensor, h: Tensor, c: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor
) -> tuple[Tensor, Tensor]:
    """The LSTM gate by gate, as in section 3.1 (without peepholes): the new h and c."""
    size = h.shape[1]

    def mixed(block: int) -> Tensor:
        rows = slice(block * size, (block + 1) * size)
        return x @ w_x[rows].T + b_x[rows] + h @ w_h[rows].T + b_h[rows]  # (N, H)

    i = torch.sigmoid(mixed(0))  # input gate
    f = torch.sigmoid(mixed(1))  # forget gate
    g = torch.tanh(mixed(2))  # candidate cell state
    o = torch.sigmoid(mixed(3))  # output gate
    c = f * c + i * g
    return o * torch.tanh(c), c


def gru_cell(x: Tensor, h: Tensor, w_x: Tensor, w_h: Tensor, b_x: Tensor, b_h: Tensor) -> Tensor:
    """The gated recurrent unit: one gate z for keeping and letting in, and no memory besides h."""
    (r_x, z_x, n_x), (r_h, z_h, n_h) = (x @ w_x.T + b_x).chunk(3, 1), (h @ w_h.T + b_h).chunk(3, 1)  # (N, H) each
    r, z = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
    return (1 - z) * torch.tanh(n_x + r * n_h) + z * h


CELLS = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Recurrent(nn.Module):
    """Tokens (N, T) and a state to scores (N, T, V) and the next state: embedding, L layers of cells, a linear layer.

    Dropout stands before the first layer, between layers and after the last (section 3.2): on D(h^{l-1}_t), never on h^l_{t-1}.
    """

    def __init__(self, cell: str, tokens: int, embedding: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, embedding)
        between = dropout if layers > 1 else 0.0
        self.cells = CELLS[cell](embedding, hidden, layers, batch_first=True, dropout=between)
        self.output = nn.Linear(hidden, tokens)
        self.dropout = nn.Dropout(dropout)

    def forward(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """Scores (N, T, V) and the state (h, and c of an LSTM), each (L, N, H); ``None`` is a state of zeros."""
        x = self.dropout(self.embedding(tokens))  # (N, T, embedding)
        initial = None if state is None else state if isinstance(self.cells, nn.LSTM) else state[0]
        h, after = self.cells(x, initial)  # (N, T, H)
        scores: Tensor = self.output(self.dropout(h))
        return scores, after if isinstance(after, tuple) else (after,)


def nats(scores: Tensor, target: Tensor) -> Tensor:
    """-log p(target) where there is a target, 0 where it is -1: scores (N, T, V), target int64 (N, T) to (N, T)."""
    return F.cross_entropy(scores.transpose(1, 2), target, ignore_index=-1, reduction="none")


class Model(LanguageModel):
    """A recurrent network that reads text on and on.

    Args:
        cell: ``lstm``, ``gru`` or ``rnn`` (tanh).
        layers, hidden: L layers of H units.
        embedding: dimensions of a token's vector; 0: as many as ``hidden``.
        dropout: share of the values put to zero in training, where a token goes up through the layers.
        scale: all weights begin uniform in [-scale, scale]; 0: as PyTorch has them.
        vocabulary, unit: see ``LanguageModel``; from the data.
        streams: how many streams the data has, so that there is a state for each; from the data.
    """

    def __init__(
        self,
        *,
        cell: Literal["lstm", "gru", "rnn"] = "lstm",
        layers: Size = 2,
        hidden: Size = 128,
        embedding: Sizeable = 0,
        dropout: Part = 0.0,
        scale: NotNegative = 0.0,
        unit: Literal["character", "word"] = "character",
        streams: Size = 64,
        vocabulary: Sequence[str] = ("<unk>", *map(chr, range(32, 127)), "\n"),
    ) -> None:
        super().__init__(vocabulary, unit)
        self.network = Recurrent(cell, len(vocabulary), embedding or hidden, hidden, layers, dropout)
        if scale:
            for parameter in self.network.parameters():
                nn.init.uniform_(parameter, -scale, scale)
        self.register_buffer("state", torch.zeros(1 + (cell == "lstm"), layers, streams, hidden))  # h (and c) by stream
        self.register_buffer("place", torch.full((streams,), -1))  # of the text, that each state has read up to
        self.state: Tensor
        self.place: Tensor

    def optimizers(
        self,
        *,
        method: Literal["sgd", "rmsprop", "adamw"] = "sgd",
        lr: NotNegative = 1.0,
        weight_decay: NotNegative = 0.0,
        epochs: Whole = 39,
        hold: NotNegative = 6,
        shrink: Annotated[float, Ge(1)] = 1.2,
    ) -> Optimizers:
        """``sgd``, ``rmsprop`` (char-rnn's) or ``adamw``.

        The rate is constant for ``hold`` of the ``epochs``, then divided by ``shrink`` at the start of each. With ``epochs=0`` it
        falls along half a cosine.
        """

        def shrinking(iteration: int, total: int) -> float:
            return float(shrink ** -max(0.0, iteration * epochs // total + 1 - hold))

        parameters, schedule = self.network.parameters(), shrinking if epochs else cosine()
        if method == "sgd":
            return {"network": (SGD(parameters, lr), schedule)}
        if method == "rmsprop":
            return {"network": (RMSprop(parameters, lr, alpha=0.95), schedule)}
        return {"network": (AdamW(parameters, lr, weight_decay=weight_decay), schedule)}

    def read(self, tokens: Tensor, state: State | None) -> tuple[Tensor, State]:
        """See ``LanguageModel.read``."""
        scores, state = self.network(tokens, state)
        return scores, state

    def recall(self, stream: Tensor, place: Tensor) -> State:
        """The states of these streams, each (L, N, H); zeros where the last item of the stream did not end at ``place`` (N)."""
        if len(set(stream.tolist())) < len(stream) or int(stream.max()) >= len(self.place):
            raise PaperzooError(
                f"a batch of {len(stream)} items is more than the {len(self.place)} streams of this text have at a time: "
                f"--set batch_size={len(self.place)} or less, in sequential order"
            )
        goes_on = (self.place[stream] == place)[:, None]  # (N, 1)
        return tuple(part[:, stream] * goes_on for part in self.state)

    @torch.no_grad()
    def remember(self, stream: Tensor, place: Tensor, state: State, opt: Players) -> None:
        """Keeps the states that all processes' streams ended with, at ``place`` (N) of the text."""
        rows, value = noted(opt, len(self.place), stream, torch.stack(state).to(self.state).movedim(2, 0))  # (N, 1 or 2, L, H)
        self.state[:, :, rows] = value.movedim(0, 2)
        rows, value = noted(opt, len(self.place), stream, place.double())
        self.place[rows] = value.round().long()

    def step(self, batch: Batch, opt: Players) -> Mapping[str, Tensor]:
        """One span of each stream, by truncated backpropagation through time: the state kept in a buffer carries no gradient."""
        scores, state = self.network(batch.tokens, self.recall(batch.stream, batch.place))
        lost = nats(scores, batch.target)  # (N, T)
        opt.network.minimize(lost.sum(1).mean())
        self.remember(batch.stream, batch.place + batch.tokens.shape[1], state, opt)
        return {f"nats a {self.unit}": (lost.sum() / (batch.target >= 0).sum().clamp(min=1)).detach()}


VARIANTS: dict[str, dict[str, Any]] = {
    "char-lstm": {},
    "char-gru": {"cell": "gru"},
    "char-rnn": {"cell": "rnn"},
    "zaremba-small": {"hidden": 200, "scale": 0.1},
    "zaremba-medium": {"hidden": 650, "dropout": 0.5, "scale": 0.05},
    "zaremba-large": {"hidden": 1500, "dropout": 0.65, "scale": 0.04},
}

_CHARACTERS = ("char-lstm", "char-gru", "char-rnn")


def _zaremba(variant: str, data: str, steps: int, clip: float, test: float, **schedule: float) -> Recipe:
    """929,589 words in 20 streams are 2,324 spans of 20, or 1,328 of 35, an epoch."""
    return Recipe(
        data=data, steps=steps, batch_size=20, order="sequential", optimizer=schedule, clip=clip, variants=(variant,),
        targets=(Target("perplexity", at_most=test, claim=f"{variant.removeprefix('zaremba-')}-test"),),
        note=f"{schedule['epochs']} epochs of section 4.1",
    )  # fmt: skip


RECIPES = {
    "paper-zaremba-small": _zaremba("zaremba-small", "ptb-20", 13 * 2324, 5, 114.5, epochs=13, hold=4, shrink=2),
    "paper-zaremba-medium": _zaremba("zaremba-medium", "ptb", 39 * 1328, 5, 82.7, epochs=39, hold=6, shrink=1.2),
    "paper-zaremba-large": _zaremba("zaremba-large", "ptb", 55 * 1328, 10, 78.4, epochs=55, hold=14, shrink=1.15),
    "paper-characters": Recipe(
        data="tinyshakespeare",
        steps=50 * 424,
        batch_size=50,
        order="sequential",
        optimizer={"method": "rmsprop", "lr": 2e-3, "epochs": 50, "hold": 10, "shrink": 1 / 0.97},
        clip=5.0,
        variants=_CHARACTERS,
        note="the defaults of Karpathy's program: 50 epochs of 50 streams and spans of 50",
    ),
    "small": Recipe(
        data="shakespeare-characters",
        steps=3700,
        batch_size=64,
        order="sequential",
        model={"layers": 1, "hidden": 512, "embedding": 64},
        optimizer={"method": "adamw", "lr": 4e-3, "weight_decay": 0.01, "epochs": 0},
        clip=64.0,
        variants=_CHARACTERS,
        targets=(Target("nats a character", at_most=1.40, variants=("char-lstm",)),),
        note="3.4 passes over 37 texts; the test split is three plays of which no edition is trained on",
    ),
    "small-words": Recipe(
        data="shakespeare-words",
        steps=1500,
        batch_size=32,
        order="sequential",
        model={"layers": 1, "dropout": 0.5},
        optimizer={"method": "adamw", "lr": 3e-3, "weight_decay": 0.01, "epochs": 0},
        clip=64.0,
        variants=("zaremba-small",),
        note="the same texts by words, lines kept, and all but 10,000 words as <unk>",
    ),
    "smoke": Recipe(
        data="markov",
        steps=300,
        batch_size=32,
        order="sequential",
        model={"layers": 1, "hidden": 32},
        optimizer={"method": "adamw", "lr": 1e-2, "epochs": 0},
        precision="float32",
        clip=64.0,
        note="letters of a source whose entropy is known",
    ),
    "smoke-sgd": Recipe(
        data="markov",
        steps=30,
        batch_size=32,
        order="sequential",
        model={"hidden": 16},
        optimizer={"epochs": 3, "hold": 1},
        precision="float32",
        clip=5.0,
        variants=("char-gru", "char-rnn", "zaremba-medium"),
        note="the other cells, and dropout, by the paper's own optimiser",
    ),
}
RECIPES["small-light"] = RECIPES["small"].but(
    model={"hidden": 296}, targets=(Target("nats a character", at_most=1.50, variants=("char-lstm",)),),
    note="a third of the weights, so that they ship",
)  # fmt: skip
