"""The wrong versions: what is replaced, by what, which smoke run it survives, and which test rejects it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Wrong:
    """``replace`` maps dotted names below ``paperzoo`` to what stands there instead."""

    name: str
    replace: Mapping[str, Any]
    smoke: str
    rejected_by: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def penalty_over_dim_1(critic, real, fake, alpha):
    share = alpha.view(-1, *[1] * (real.ndim - 1))
    between = (share * real.detach() + (1 - share) * fake.detach()).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.norm(2, dim=1) - 1).square().mean()


def penalty_with_an_alpha_a_pixel(critic, real, fake, alpha):
    share = torch.rand_like(real)
    between = (share * real.detach() + (1 - share) * fake.detach()).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


def hinge_called_wasserstein(real, fake):
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def sigmoid_before_the_logits_loss(real, fake):
    return F.softplus(-real.sigmoid()).mean() + F.softplus(fake.sigmoid()).mean()


class CriticWithBatchNorm(nn.Module):
    def __init__(self, image_size, channels, width, normalise=True):
        super().__init__()
        from paperzoo.papers.gan import dcgan

        self.inner = RIGHT_DISCRIMINATOR(image_size, channels, width, True)
        self.body, self.score = self.inner.body, self.inner.score
        assert dcgan

    def forward(self, image):
        return self.inner(image)


def softmax_before_cross_entropy(self, image):
    return self.output(self.features(image)).softmax(1)


def all_maps_in_c3(self, s2):
    weight = torch.stack([conv.weight[0].mean(0) for conv in self.maps])[:, None].expand(-1, 6, -1, -1)
    return F.conv2d(s2, weight, torch.cat([conv.bias for conv in self.maps]))


def gradients_pile_up(self, losses):
    """``loss.backward()`` writes into every player's gradients, and only the player's own are cleared."""
    for index, (name, (loss,)) in enumerate(losses.items()):
        loss.backward(retain_graph=index < len(losses) - 1)
        self.losses.append((self.iteration, name, loss.detach()))
    for name in losses:
        self.optimizers[name].step()
        self.optimizers[name].zero_grad()


def one_autocast_around_everything(model, wanted, device, compiled=()):
    """The cast weights are cached for as long as the context lasts: for ever."""
    model.to(device)
    context = torch.autocast(device.type, torch.bfloat16)
    context.__enter__()
    OPEN.append(context)


def chance_from_one_seed(seed, iteration, rank):
    if iteration == -1:
        torch.manual_seed(seed)


def optimisers_forgotten(model, optimizers, tensors, rest):
    return None


def measuring_uses_up_chance(model):
    @contextmanager
    def guard():
        model.eval()
        with torch.no_grad():
            torch.rand(1)
            yield
        model.train()

    return guard()


def crossing_the_distance_of_roots(first, second):
    """Elementwise roots of the covariances instead of the matrix root."""
    (m1, s1), (m2, s2) = first, second
    return float(((m1 - m2) ** 2).sum() + np.trace(s1 + s2 - 2 * np.sqrt(np.abs(s1 * s2))))


def score_from_the_marginal_alone(probabilities, splits=10):
    marginal = np.asarray(probabilities).mean(0)
    return float(np.exp(-(marginal * np.log(marginal + 1e-16)).sum())), 0.0


def quality_without_coverage(samples, centres, deviation, share=0.01):
    good = np.linalg.norm(samples[:, None] - centres[None], axis=-1).min(1) <= 3 * deviation
    return len(centres), float(good.mean())


def relu_before_the_addition(self, x):
    y = self.bn2(self.conv2(self.bn1(self.conv1(x)).relu())).relu()
    return y if self.downsample is None else y + self.downsample(x)


def score_without_the_ends(emissions, tags, length, chain):
    mask = torch.arange(tags.shape[1]) < length[:, None]
    words = (emissions.gather(2, tags[..., None])[..., 0] * mask).sum(1)
    return words + (chain.pair[tags[:, :-1], tags[:, 1:]] * mask[:, 1:]).sum(1)


def root_of_the_counts(counts):
    weight = counts.astype(np.float64) ** 0.5
    return weight / weight.sum()


def count_instead_of_frequency(counts, sample, formula="paper"):
    return np.minimum(1, np.sqrt(sample / counts)) if sample else np.ones(len(counts))


OPEN: list[torch.autocast] = []
RIGHT_DISCRIMINATOR: Callable[..., nn.Module]
from paperzoo.papers.gan.dcgan import Discriminator as RIGHT_DISCRIMINATOR  # noqa: E402

WRONG = [
    Wrong("gradient penalty over dim 1", {"papers.gan.wgan_gp.gradient_penalty": penalty_over_dim_1}, "wgan_gp",
          "papers.gan.test_wgan_gp:test_penalty_is_exact_for_a_linear_critic", {"shape": (3, 8, 8)}),
    Wrong("gradient penalty with an alpha a pixel", {"papers.gan.wgan_gp.gradient_penalty": penalty_with_an_alpha_a_pixel}, "wgan_gp",
          "papers.gan.test_wgan_gp:test_penalty_looks_at_one_point_a_pair_on_the_line_between"),
    Wrong("hinge called Wasserstein", {"papers.gan.wgan_gp.critic_loss": hinge_called_wasserstein}, "wgan_gp",
          "papers.gan.test_wgan_gp:test_wasserstein_losses_are_linear_in_the_critics_values"),
    Wrong("batch norm in the critic", {"papers.gan.wgan_gp.Discriminator": CriticWithBatchNorm}, "wgan_gp",
          "papers.gan.test_wgan_gp:test_critic_has_no_batch_norm_and_the_generator_moves_every_fifth_step", {"tmp_path": None}),
    Wrong("sigmoid before a loss on logits", {"papers.gan.dcgan.discriminator_loss": sigmoid_before_the_logits_loss}, "dcgan",
          "papers.gan.test_dcgan:test_dcgan_losses_are_the_cross_entropies_of_the_paper"),
    Wrong("double softmax", {"papers.recognition.lenet.LeNet.forward": softmax_before_cross_entropy}, "lenet",
          "papers.recognition.test_lenet:test_forward_gives_logits_not_probabilities"),
    Wrong("table I forgotten", {"papers.recognition.lenet.PartialConvolution.forward": all_maps_in_c3}, "lenet:1998",
          "papers.recognition.test_lenet:test_partial_convolution_sees_the_maps_of_table_i_only"),
    Wrong("gradients of one player left for the other", {"engine.players.Players._minimize": gradients_pile_up}, "dcgan",
          "engine.test_engine:test_a_loss_moves_its_own_parameters_and_leaves_no_gradient_elsewhere"),
    Wrong("one autocast around the whole step", {"engine.precision.prepare": one_autocast_around_everything}, "lenet",
          "engine.test_engine:test_after_minimize_the_next_call_uses_the_new_weights"),
    Wrong("chance from one seed at the start", {"engine.chance.seed_all": chance_from_one_seed}, "dcgan",
          "contract.test_contract:test_resuming_at_every_step_is_bitwise_the_same",
          {"straight": "dcgan/smoke", "tmp_path": None}),
    Wrong("optimisers forgotten on resuming", {"engine.checkpoint.restore_optimizers": optimisers_forgotten}, "lenet",
          "contract.test_contract:test_resuming_at_every_step_is_bitwise_the_same",
          {"straight": "lenet/smoke", "tmp_path": None}),
    Wrong("measuring uses up chance", {"engine.chance.guarded": measuring_uses_up_chance}, "lenet",
          "engine.test_engine:test_measuring_leaves_chance_and_modes_alone"),
    Wrong("FID by elementwise roots", {"metrics.fid.frechet_distance": crossing_the_distance_of_roots}, "dcgan",
          "metrics.test_metrics:test_frechet_distance_of_known_gaussians"),
    Wrong("inception score of the marginal alone", {"metrics.inception_score.inception_score": score_from_the_marginal_alone}, "dcgan",
          "metrics.test_metrics:test_inception_score_of_known_predictions"),
    Wrong("quality without coverage", {"metrics.modes.modes": quality_without_coverage}, "wgan_gp:toy",
          "metrics.test_metrics:test_modes_need_quality_and_coverage"),
    Wrong("ReLU before the addition", {"papers.recognition.resnet.BasicBlock.forward": relu_before_the_addition}, "resnet",
          "papers.recognition.test_resnet:test_outputs_are_torchvisions", {"depth": 18}),
    Wrong("gold score without start and end", {"papers.language.bilstm_crf_chain.score": score_without_the_ends}, "bilstm_crf",
          "papers.language.test_bilstm_crf:test_probabilities_of_all_paths_sum_to_one", {"seed": 0}),
    Wrong("negatives by the root of the counts", {"papers.language.word2vec_loops.negative_distribution": root_of_the_counts}, "word2vec",
          "papers.language.test_word2vec:test_negatives_come_from_the_counts_to_the_three_quarters"),
    Wrong("subsampling by count", {"papers.language.word2vec_loops.keep_probability": count_instead_of_frequency}, "word2vec",
          "papers.language.test_word2vec:test_subsampling_goes_by_frequency_and_spares_rare_words"),
]  # fmt: skip
