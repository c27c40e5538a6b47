"""Wrong versions of WGAN, the semi-supervised and self-supervised GANs."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from wrong.errors import Wrong


def step_that_clips_first(self, batch, opt):
    from paperzoo.papers.gan import wgan

    real = self.real(batch)
    fake = self.generator(self.draw(len(real))).detach()
    wgan.clip(self.critic, self.bound)
    loss = wgan.critic_loss(self.critic(real), self.critic(fake))
    opt.critic.minimize(loss)
    if wgan.generator_moves(opt.iteration, *self.rounds):
        opt.generator.minimize(wgan.generator_loss(self.critic(self.generator(self.draw(len(real))))))
    return {"distance": -loss}


@torch.no_grad()
def clip_that_takes_statistics_too(network, bound):
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.clamp_(-bound, bound)


def sigmoid_left_on(real, fake):
    return fake.sigmoid().mean() - real.sigmoid().mean()


def critic_loss_with_its_sign_turned(real, fake):
    return real.mean() - fake.mean()


def optimisers_with_momentum(self, *, lr=5e-5, decay_from=1.0):
    return {n: torch.optim.Adam(getattr(self, n).parameters(), lr) for n in ("critic", "generator")}


def exponentials_summed(logits):
    z = logits.exp().sum(1)
    return (z / (z + 1)).log()


def features_matched_one_by_one(real, fake):
    return (real.detach() - fake).square().sum(1).mean()


def label_of_another(self, indices):
    chosen = self.partner[indices]
    return {"labelled": self.labelled.take(chosen)["image"], "label": self.label[torch.from_numpy(indices) % len(self.label)]}


def softmax_over_k_alone(logits):
    return logits.log_softmax(1)[:, -1]


def turned_without_the_upright_copy(image):
    quarter = image[: len(image) // 4]
    turns = torch.arange(4).repeat_interleave(len(quarter))
    return torch.cat([quarter.rot90(k, (2, 3)) for k in (1, 1, 2, 3)]), turns


def rotation_loss_on_fakes_given_to_the_discriminator(self, batch, opt):
    from paperzoo.papers.gan import ssgan

    real = 2 * batch.image - 1
    fake = self.generator(self.draw(len(batch)))
    loss = ssgan.discriminator_loss(self.discriminator(real).logit, self.discriminator(fake.detach()).logit)
    if self.rotation:
        for image, turn in (ssgan.turned(real), ssgan.turned(fake.detach())):
            loss = loss + self.beta * F.cross_entropy(self.discriminator(image).turn, turn)
    opt.discriminator.minimize(loss)
    loss = ssgan.generator_loss(self.discriminator(fake).logit)
    if self.rotation:
        image, turn = ssgan.turned(fake)
        loss = loss + self.alpha * F.cross_entropy(self.discriminator(image).turn, turn)
    opt.generator.minimize(loss)


def wasserstein_called_hinge(real, fake):
    return fake.mean() - real.mean()


def spectral_norm_left_out(module):
    return module


def shortcut_forgotten(self, x):
    return self.body(x)


WRONG = [
    Wrong("clipping before the step", {"papers.gan.wgan.WeightClippedGAN.step": step_that_clips_first}, "wgan",
          "papers.gan.test_wgan:test_every_weight_lies_in_the_box_after_every_step", {"tmp_path": None}),
    Wrong("clipping batch statistics", {"papers.gan.wgan.clip": clip_that_takes_statistics_too}, "wgan",
          "papers.gan.test_wgan:test_every_weight_lies_in_the_box_after_every_step", {"tmp_path": None}),
    Wrong("sigmoid left on the critic", {"papers.gan.wgan.critic_loss": sigmoid_left_on}, "wgan",
          "papers.gan.test_wgan:test_wgan_losses_are_linear_in_the_critics_values"),
    Wrong("critic's loss with its sign turned", {"papers.gan.wgan.critic_loss": critic_loss_with_its_sign_turned}, "wgan",
          "papers.gan.test_wgan:test_wgan_losses_are_linear_in_the_critics_values"),
    Wrong("momentum in WGAN's optimiser", {"papers.gan.wgan.WeightClippedGAN.optimizers": optimisers_with_momentum}, "wgan",
          "papers.gan.test_wgan:test_optimisers_have_no_momentum"),
    Wrong("exponentials summed without logsumexp", {"papers.gan.sgan.log_real": exponentials_summed}, "sgan",
          "papers.gan.test_sgan:test_losses_of_huge_logits_are_finite"),
    Wrong("the last real class taken for fake", {"papers.gan.sgan.log_fake": softmax_over_k_alone}, "sgan",
          "papers.gan.test_sgan:test_discriminator_is_a_softmax_over_k_plus_one_classes_with_last_logit_zero"),
    Wrong("features matched one by one", {"papers.gan.sgan.feature_matching_loss": features_matched_one_by_one},
          "sgan:feature_matching", "papers.gan.test_sgan:test_feature_matching_compares_means_and_spares_the_real_side"),
    Wrong("label of another image", {"data.change.semi.Partnered.take": label_of_another}, "sgan",
          "data.change.test_semi:test_every_image_has_a_partner_whose_label_is_its_own"),
    Wrong("no upright copy among the turned", {"papers.gan.ssgan.turned": turned_without_the_upright_copy}, "ssgan",
          "papers.gan.test_ssgan:test_turned_has_a_quarter_of_the_batch_in_all_four_directions"),
    Wrong("rotation loss on fakes for the discriminator", {"papers.gan.ssgan.Model.step": rotation_loss_on_fakes_given_to_the_discriminator},
          "ssgan", "papers.gan.test_ssgan:test_discriminator_learns_turns_of_real_images_only_and_the_generator_of_its_own"),
    Wrong("Wasserstein called hinge", {"papers.gan.ssgan.discriminator_loss": wasserstein_called_hinge}, "ssgan",
          "papers.gan.test_ssgan:test_hinge_losses_stop_where_the_margin_is_kept"),
    Wrong("spectral norm left out", {"papers.gan.ssgan.spectral_norm": spectral_norm_left_out}, "ssgan",
          "papers.gan.test_ssgan:test_every_layer_of_the_discriminator_has_spectral_norm_one"),
    Wrong("shortcut forgotten", {"papers.gan.wgan_gp.ResidualBlock.forward": shortcut_forgotten}, "wgan_gp:resnet",
          "papers.gan.test_wgan_gp:test_residual_block_with_silent_convolutions_is_its_shortcut"),
]  # fmt: skip
