"""VQA: a question about a picture is answered by one of a thousand answers (Antol et al. 2015, 1505.00468).

Both become vectors of one length, which are multiplied element by element: what the question asks for is kept of what is seen
(section 4.1, "deeper LSTM Q + norm I", figure 8):

    q = tanh(W_q [h1, c1, h2, c2])     hidden states and cells of a two-layer LSTM behind the last word
    v = tanh(W_v f / |f|)              f: the last hidden layer of VGG, of length 1 ("norm I")
    p = softmax(MLP(q * v))            two hidden layers of 1,000 units, tanh, dropout; over the K commonest answers

It is trained on the cross-entropy of the answer that most of ten people gave. Read ``VQA.forward`` beside figure 8. The ablations
that the paper reports are variants: ``blind`` sees the question alone, ``deaf`` the picture alone, ``no_norm`` leaves f as long as it is;
``concatenation`` puts [q, v] in place of the product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence
from torch.optim import AdamW, RMSprop

from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.nn.dropout import Dropout
from paperzoo.nn.pixels import IMAGENET_MEAN, IMAGENET_STD, per_channel
from paperzoo.nn.schedules import one_cycle
from paperzoo.papers.recognition import vgg
from paperzoo.pretrained.published import load_published
from paperzoo.ranges import NotNegative, Part, Pixels, Positive, Size, SomeShare
from paperzoo.records import Recipe, Target
from paperzoo.tasks.model import Optimizers, Players
from paperzoo.tasks.questions import Answerer


class DeeperLSTM(nn.Module):
    """Questions int64 (N, T) of ``length`` (N) words to q (N, D): words, a two-layer LSTM, all that it remembers at the end."""

    def __init__(self, words: int, embedding: int, hidden: int, layers: int, common: int) -> None:
        super().__init__()
        self.words = nn.Embedding(words, embedding)
        self.lstm = nn.LSTM(embedding, hidden, layers, batch_first=True)
        self.project = nn.Linear(2 * layers * hidden, common)

    def forward(self, question: Tensor, length: Tensor) -> Tensor:
        words = torch.tanh(self.words(question))  # (N, T, E)
        packed = pack_padded_sequence(words, length.cpu(), batch_first=True, enforce_sorted=False)  # padding is never read
        _, (h, c) = self.lstm(packed)  # (L, N, H) each
        states = torch.stack([h, c], 1).flatten(0, 1).transpose(0, 1).flatten(1)  # (2 L, N, H) -> (N, 2 L H): h1, c1, h2, c2
        return torch.tanh(self.project(states))


class Convolutions(nn.Module):
    """Pictures (N, C, S, S) in [0, 1] to f (N, F): four convolutions, each of which halves the side. Trained with all the rest."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(channels, filters, 5, 2, 2), nn.ReLU()]
        for _ in range(3):
            layers += [nn.Conv2d(filters, filters, 3, padding=1, bias=False), nn.MaxPool2d(2), nn.BatchNorm2d(filters), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Flatten())

    def forward(self, image: Tensor) -> Tensor:
        return self.layers(4 * image - 2)  # type: ignore[no-any-return]


class VQA(nn.Module):
    """Pictures and questions to logits (N, K).

    Args:
        look: pictures to f (N, F); ``nn.Identity`` where they come as f, ``None`` for a blind network.
        read: questions to q (N, D); ``None`` for a deaf one.
        features: F.
        common: D.
        scale: the weights of both projections begin uniform in [-scale, scale]: a product of two small numbers is learnt slowly.
    """

    def __init__(
        self, look: nn.Module | None, read: DeeperLSTM | None, features: int, common: int, mlp: int, classes: int, dropout: float,
        norm: bool, product: bool, scale: float,
    ) -> None:  # fmt: skip
        super().__init__()
        self.look, self.read, self.norm, self.product = look, read, norm, product
        self.project = nn.Linear(features, common) if look is not None else None
        both = look is not None and read is not None
        self.classify = nn.Sequential(
            nn.Linear(common * (1 if product or not both else 2), mlp), nn.Tanh(), Dropout(dropout),
            nn.Linear(mlp, mlp), nn.Tanh(), Dropout(dropout),
            nn.Linear(mlp, classes),
        )  # fmt: skip
        for project in (self.project, None if read is None else read.project):
            if project is not None:
                nn.init.uniform_(project.weight, -scale, scale)

    def forward(self, image: Tensor, question: Tensor, length: Tensor) -> Tensor:
        parts = []
        if self.read is not None:
            parts.append(self.read(question, length))  # q (N, D)
        if self.look is not None and self.project is not None:
            f = self.look(image)  # (N, F)
            parts.append(torch.tanh(self.project(F.normalize(f, dim=1) if self.norm else f)))  # v (N, D)
        fused = torch.stack(parts).prod(0) if self.product else torch.cat(parts, 1)
        logits: Tensor = self.classify(fused)
        return logits


@cache
def fc7(weights: str) -> Callable[[Tensor], Tensor]:
    """The last hidden layer of VGG-19, (N, 4096), for pictures (N, 3, 224, 224) in [0, 1]; frozen, no part of a model.

    Args:
        weights: ``"imagenet"``, which is fetched once and checked by its hash, or a file.

    Raises:
        PaperzooError: the weights cannot be had or do not fit.
    """
    network = vgg.VGG(19, False, 1.0, 3, 1000, 224, 0.0)
    load_published(network, weights, {"imagenet": vgg.URL.format(vgg.FILES["vgg19"])})
    network.eval().requires_grad_(False)

    @torch.no_grad()
    def features(image: Tensor) -> Tensor:
        mean, std = (per_channel("", values, 3).to(image) for values in (IMAGENET_MEAN, IMAGENET_STD))
        maps = network.to(image.device).features((image - mean) / std)  # (N, 512, 7, 7)
        responses: Tensor = network.classifier[:5](maps.flatten(1))
        return responses

    return features


class Model(Answerer):
    """Deeper LSTM Q + norm I.

    Args:
        encoder: ``vgg19``, frozen, as in the paper; or ``convolutions``, four small ones that are trained with the rest.
        weights: of VGG-19: ``imagenet`` or a file.
        filters: of each of the four convolutions.
        embedding: dimensions of a word's vector.
        hidden, layers: of the LSTM.
        common: dimensions of q and of v.
        mlp: units of its two hidden layers.
        scale: the weights W_q and W_v begin uniform in [-scale, scale].
        dropout: share of these units that is dropped in training.
        norm: f is brought to length 1.
        fusion: the product of q and v, or both side by side.
        sees: question and picture, or one of them alone.
        vocabulary: of questions, from the data; without one there are 15,000 nameless words.
        classes: K, number of answers.
        channels, image_size: of the pictures.

    Raises:
        PaperzooError: pictures that the encoder cannot see, or a vocabulary that does not begin as it must.
    """

    def __init__(
        self,
        *,
        encoder: Literal["vgg19", "convolutions"] = "vgg19",
        weights: str = "imagenet",
        filters: Size = 16,
        embedding: Size = 300,
        hidden: Size = 512,
        layers: Size = 2,
        common: Size = 1024,
        mlp: Size = 1000,
        scale: Positive = 0.08,
        dropout: Part = 0.5,
        norm: bool = True,
        fusion: Literal["product", "concatenation"] = "product",
        sees: Literal["both", "question", "picture"] = "both",
        vocabulary: Sequence[str] = (),
        classes: Size = 1000,
        channels: Size = 3,
        image_size: Pixels = 224,
    ) -> None:
        super().__init__(vocabulary, classes, channels, image_size)
        if encoder == "vgg19" and (channels, image_size) != (3, 224):
            raise PaperzooError(f"VGG-19 sees 3 channels of 224x224 pixels, not {channels} of {image_size}: set model.encoder=convolutions")
        if image_size < 16:
            raise PaperzooError(f"four poolings leave nothing of {image_size}x{image_size} pixels: model.image_size is at least 16")
        self.encoder, self.weights, self.sees = encoder, weights, sees
        look = None if sees == "question" else nn.Identity() if encoder == "vgg19" else Convolutions(channels, filters)
        features = 4096 if encoder == "vgg19" else filters * (image_size // 16) ** 2
        read = None if sees == "picture" else DeeperLSTM(len(vocabulary) or 15_000, embedding, hidden, layers, common)
        self.network = VQA(look, read, features, common, mlp, classes, dropout, norm, fusion == "product", scale)

    def forward(self, image: Tensor, question: Tensor, length: Tensor) -> Tensor:
        if self.encoder == "vgg19" and self.sees != "question":
            image = fc7(self.weights)(image)
        logits: Tensor = self.network(image, question, length)
        return logits

    def optimizers(
        self,
        *,
        method: Literal["rmsprop", "adamw"] = "rmsprop",
        lr: NotNegative = 3e-4,
        end: SomeShare = 0.027,
        weight_decay: NotNegative = 0.0,
    ) -> Optimizers:
        """``rmsprop``, whose rate falls by the same factor at every step, or ``adamw``, whose rate rises and falls.

        Args:
            end: of ``rmsprop``, the last rate in units of the first.
            weight_decay: of ``adamw``.
        """
        parameters = self.network.parameters()
        if method == "rmsprop":
            return {"network": (RMSprop(parameters, lr, alpha=0.99), lambda iteration, total: end ** (iteration / total))}
        return {"network": (AdamW(parameters, lr, weight_decay=weight_decay), one_cycle(0.1))}

    def step(self, batch: Batch, opt: Players) -> None:
        """One step on the cross-entropy of the answers in the answer vocabulary."""
        opt.network.minimize(F.cross_entropy(self(batch.image, batch.question, batch.length), batch.label))


VARIANTS: dict[str, dict[str, object]] = {
    "vqa": {},
    "blind": {"sees": "question"},
    "deaf": {"sees": "picture"},
    "no_norm": {"norm": False},
    "concatenation": {"fusion": "concatenation"},
}

_LITTLE = {"encoder": "convolutions", "embedding": 32, "hidden": 64, "common": 128, "mlp": 128, "scale": 1.0, "dropout": 0.0}

RECIPES = {
    "paper": Recipe(
        data="vqa",
        steps=150_000,
        batch_size=500,
        targets=(Target("accuracy %", at_least=57.75, claim="norm-i-test-dev", variants=("vqa",)),),
        note="as the authors' published program; the claim is of the test server, here val2014 is measured",
    ),
    "small": Recipe(
        data="easy-vqa",
        steps=3600,
        batch_size=128,
        model=_LITTLE,
        optimizer={"method": "adamw", "lr": 4e-3, "weight_decay": 0.01},
        precision="float32",
        targets=(
            Target("accuracy %", at_least=99.0, variants=("vqa",)),
            Target("accuracy %", at_least=0.0, than="blind:small", variants=("vqa",)),
            Target("accuracy %", at_least=0.0, than="deaf:small", variants=("vqa",)),
        ),
    ),
    "smoke": Recipe(
        data="shapes-vqa",
        steps=40,
        batch_size=64,
        model={**_LITTLE, "filters": 8, "hidden": 16, "common": 32, "mlp": 32},
        optimizer={"method": "adamw", "lr": 3e-3},
        precision="float32",
    ),
}

RECIPES["small-scenes"] = RECIPES["small"].but(
    data="scenes-vqa",
    targets=(
        Target("accuracy %", at_least=0.0, than="blind:small-scenes", variants=("vqa",)),
        Target("accuracy %", at_least=0.0, than="deaf:small-scenes", variants=("vqa",)),
    ),
)

RECIPES["small-withheld"] = RECIPES["small"].but(
    data="easy-vqa-withheld",
    targets=(Target("accuracy %", at_least=95.0),),
    variants=("vqa",),
)
