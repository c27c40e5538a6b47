"""Wrong versions of the GANs that know of labels or codes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from wrong.errors import Wrong


def label_kept_from_the_discriminator(self, image, y):
    planes = torch.zeros_like(y)[:, :, None, None].expand(-1, -1, *image.shape[2:])
    return super(type(self), self).forward(torch.cat([image, planes], 1))


def fakes_judged_under_other_labels(self, batch, opt):
    from paperzoo.papers.gan.cgan import one_hot
    from paperzoo.papers.gan.gan import discriminator_loss, generator_loss

    real, y = self.low + (1 - self.low) * batch.image, one_hot(batch.label, self.classes)
    other = one_hot(torch.randint(0, self.classes, (len(batch),)), self.classes)
    fake = self.generator(self.draw(len(batch)), y)
    opt.discriminator.minimize(discriminator_loss(self.discriminator(real, y), self.discriminator(fake.detach(), other)))
    opt.generator.minimize(generator_loss(self.discriminator(fake, other)))
    if self.average is not None:
        self.average.update(self.generator)


def softmax_in_the_class_head(self, image):
    from paperzoo.papers.gan.acgan import Judgement

    h = self.body(image).flatten(1)
    return Judgement(self.source(h)[:, 0], self.label(h).softmax(1))


def class_loss_on_real_images_only(real, fake, label):
    return F.cross_entropy(real, label)


def real_and_fake_in_one_batch(self, batch, opt):
    from paperzoo.papers.gan.acgan import class_loss, generator_loss, source_loss

    n, label = len(batch), batch.label
    sample = self.generator(self.draw(n), self.one_hot(label))
    both = self.discriminator(torch.cat([2 * batch.image - 1, sample.detach()]))
    named = class_loss(both.label[:n], both.label[n:], label)
    opt.discriminator.minimize(source_loss(both.source[:n], both.source[n:]) + named)
    fake = self.discriminator(sample)
    opt.generator.minimize(generator_loss(fake.source, fake.label, label))
    if self.average is not None:
        self.average.update(self.generator)


def minimax_called_non_saturating(fake, loss="log-d"):
    return -F.softplus(fake).mean()


def sigmoid_before_the_logits_loss(real, fake):
    return F.softplus(-real.sigmoid()).mean() + F.softplus(fake.sigmoid()).mean()


def uniform_codes_from_a_normal(self, items):
    device = next(self.parameters()).device
    numbers = torch.rand(items, self.noise + self.continuous, device=device) * 2 - 1
    numbers[:, self.noise :] = torch.randn(items, self.continuous, device=device)
    return self.latent_of(numbers, torch.randint(self.categories, (items,), device=device))


def information_for_q_alone(self, batch, opt):
    from paperzoo.papers.gan import infogan

    z = self.draw(len(batch))
    fake = self.generator(z)
    real, judged = self.discriminator(batch.image), self.discriminator(fake.detach())
    game = infogan.discriminator_loss(real.source, judged.source)
    opt.discriminator.minimize(game + self.information_loss(judged, z))
    told = self.information_loss(self.discriminator(fake.detach()), z)
    opt.generator.minimize(infogan.generator_loss(self.discriminator(fake).source) + told)
    if self.average is not None:
        self.average.update(self.generator)


WRONG = [
    Wrong("label kept from the discriminator",
          {"papers.gan.cgan.ConvolutionalDiscriminator.forward": label_kept_from_the_discriminator}, "cgan:conv",
          "papers.gan.test_cgan:test_label_reaches_both_networks", {"name": "cgan:conv"}),
    Wrong("fakes judged under other labels", {"papers.gan.cgan.ConditionalGAN.step": fakes_judged_under_other_labels}, "cgan:conv",
          "papers.gan.test_cgan:test_fakes_are_judged_under_the_label_they_were_asked_for", {"name": "cgan:conv", "tmp_path": None}),
    Wrong("softmax in the class head", {"papers.gan.acgan.Discriminator.forward": softmax_in_the_class_head}, "acgan",
          "papers.gan.test_acgan:test_acgan_heads_give_logits"),
    Wrong("no class loss on fakes", {"papers.gan.acgan.class_loss": class_loss_on_real_images_only}, "acgan",
          "papers.gan.test_acgan:test_acgan_losses_are_those_of_the_paper"),
    Wrong("real and fake in one batch norm", {"papers.gan.acgan.Model.step": real_and_fake_in_one_batch}, "acgan",
          "papers.gan.test_acgan:test_acgan_keeps_real_and_fake_apart_and_learns_their_classes", {"tmp_path": None}),
    Wrong("uniform codes from a normal distribution", {"papers.gan.infogan.Model.draw": uniform_codes_from_a_normal}, "infogan",
          "papers.gan.test_infogan:test_infogan_codes_come_from_their_priors"),
    Wrong("information for Q alone", {"papers.gan.infogan.Model.step": information_for_q_alone}, "infogan",
          "papers.gan.test_infogan:test_information_reaches_generator_trunk_and_q_and_real_images_do_not_teach_q", {"tmp_path": None}),
    Wrong("minimax called non-saturating", {"papers.gan.gan.generator_loss": minimax_called_non_saturating}, "gan",
          "papers.gan.test_gan:test_generator_gradients_are_minus_s_and_minus_one_minus_s"),
    Wrong("sigmoid before the loss of the game", {"papers.gan.gan.discriminator_loss": sigmoid_before_the_logits_loss}, "gan:toy",
          "papers.gan.test_gan:test_discriminator_alone_finds_the_log_ratio_of_the_densities"),
]  # fmt: skip
