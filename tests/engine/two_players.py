"""Two players and a penalty without chance: noise comes from the batch, so that two processes must agree with one."""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import SGD, Adam

from paperzoo.papers.gan.wgan_gp import ToyNetwork, critic_loss, generator_loss, gradient_penalty
from paperzoo.records import Paper, Recipe
from paperzoo.tasks.generation import PointGenerator

PAPER = Paper(name="two_players", title="A test", authors="-", year=2026, task="point generation", kind="method")


class Model(PointGenerator):
    latent = 2

    def __init__(self, *, width: int = 16) -> None:
        super().__init__()
        self.generator, self.critic = ToyNetwork(2, 2, width), ToyNetwork(2, 1, width)
        self.register_buffer("running", torch.zeros(()))

    def optimizers(self, *, lr: float = 1e-2):
        return {
            "critic": Adam(self.critic.parameters(), lr, (0.5, 0.9)),
            "generator": SGD(self.generator.parameters(), lr, momentum=0.9),
        }

    def step(self, batch, opt):
        fake = self.generator(batch.point.flip(1))
        alpha = batch.point[:, 0].sigmoid()
        penalty = gradient_penalty(self.critic, batch.point, fake, alpha)
        opt.critic.minimize(critic_loss(self.critic(batch.point), self.critic(fake.detach())) + penalty)
        opt.generator.minimize(generator_loss(self.critic(fake)))
        self.running.lerp_(opt.mean(fake.abs().mean()), 0.1)
        weights = nn.utils.parameters_to_vector(self.parameters()).detach()
        return {"apart": (opt.mean(weights) - weights).abs().max()}

    def generate(self, z):
        return self.generator(z)


VARIANTS = {"two_players": {}}
RECIPES = {"smoke": Recipe(data="ring8", steps=12, batch_size=32, precision="float32")}
