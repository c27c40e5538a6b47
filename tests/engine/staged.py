"""A network that grows: its second part is trained in the second stage only, on another batch size, beside an average."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim import Adam

from paperzoo.nn.average import Average
from paperzoo.records import Paper, Recipe, Stage
from paperzoo.tasks.classification import Classifier

PAPER = Paper(name="staged", title="A test", authors="-", year=2026, task="classification", kind="method")


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(64, 16), nn.Linear(16, 16), nn.Linear(16, 10)
        self.register_buffer("depth", torch.zeros(()))

    def forward(self, image):
        h = self.first(image.flatten(1)).relu()
        if self.depth > 0:
            h = F.dropout(h + self.second(h).relu(), 0.2, self.training)
        return self.head(h)


class Model(Classifier):
    channels, image_size = 1, 8

    def __init__(self, *, classes: int = 10) -> None:
        super().__init__()
        self.network = Network()
        self.average = Average(self.network, 0.9)

    def optimizers(self, *, lr: float = 1e-2):
        return {"network": (Adam(self.network.parameters(), lr), lambda iteration, total: 1 - iteration / total)}

    def stage(self, name):
        self.network.depth.fill_(float(name == "deep"))

    def step(self, batch, opt):
        opt.network.minimize(F.cross_entropy(self.network(batch.image), batch.label))
        self.average.update(self.network)


VARIANTS = {"staged": {}}
STAGES = (Stage("shallow", 7, batch_size=16), Stage("deep", 8, batch_size=24, optimizer={"lr": 5e-3}))
RECIPES = {"smoke": Recipe(data="digits", steps=15, stages=STAGES, precision="float32")}
