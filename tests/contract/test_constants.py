"""The papers' constants: optimisers, rates along the training, arguments, normalisation, slopes, dropout and initial weights.

One line a fact: which paper and recipe or variant, what it is, and where the paper says so ("default": the paper does not, and
it is the library's). What a line does not name about an optimiser has to be as torch has it. Every paper has its lines here:
a new one is asked for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from fixtures.networks import shapes
from fixtures.training import constant
from torch import Tensor, nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

import paperzoo
from paperzoo import catalog
from paperzoo.engine.players import parted
from paperzoo.papers.language.bert_finetuning import Classify
from paperzoo.papers.recognition.lenet_marquardt import Marquardt

Rates = Mapping[int, float]

#: paper, recipe, variant ("": its first), players, optimiser, what it is told, where the paper says so
OPTIMISERS: list[tuple[str, str, str, str, type[Optimizer], dict[str, Any], str]] = [
    ("aae", "paper", "", "autoencoder", SGD, {"lr": 0.01, "momentum": 0.9}, "appendix A.1"),
    ("aae", "paper", "", "discriminator generator", SGD, {"lr": 0.1, "momentum": 0.0}, "appendix A.1"),
    ("aae", "paper-semi", "semi", "classifier", SGD, {"lr": 0.1, "momentum": 0.9}, "appendix A.2.1"),
    ("acgan", "paper", "", "discriminator generator", Adam, {"lr": 2e-4, "betas": (0.5, 0.999)}, "appendix, tables 1 and 2"),
    ("alignment", "paper", "", "aligner", SGD, {"lr": 0.01, "momentum": 0.9, "weight_decay": 1e-5}, "section 3.1.5; rate: default"),
    ("alignment_generator", "paper", "", "captioner", RMSprop, {"lr": 1e-3}, "section 3.2 names RMSprop; rate: default"),
    ("show_and_tell", "paper", "", "captioner", SGD, {"lr": 0.1}, "section 4.3.1: no momentum; rate: default"),
    ("show_attend_tell", "paper", "", "captioner", RMSprop, {"lr": 1e-3}, "section 4.3, Flickr8k; rate: default"),
    ("yolov2", "paper", "", "network", SGD, {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4}, "section 3, training for detection"),
    ("yolov3", "paper", "", "network", SGD, {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4}, "authors' yolov3.cfg"),
    ("east", "paper", "pvanet2x", "network", Adam, {"lr": 1e-3}, "section 3.5"),
    ("ctpn", "paper", "", "network", SGD, {"lr": 1e-3, "momentum": 0.9, "weight_decay": 5e-4}, "section 3.4"),
    ("vqa", "paper", "", "network", RMSprop, {"lr": 3e-4, "alpha": 0.99}, "authors' program"),
    ("bilstm_crf", "paper", "", "tagger", SGD, {"lr": 0.1}, "section 4.3"),
    ("cfggan", "paper", "", "discriminator approximator", RMSprop, {"lr": 2.5e-4, "alpha": 0.95, "eps": 1e-18}, "authors' code"),
    ("cfggan", "paper-fc", "fc", "discriminator approximator", RMSprop, {"lr": 1e-4, "alpha": 0.95, "eps": 1e-18}, "authors' code"),
    ("cgan", "paper", "", "discriminator generator", SGD, {"lr": 0.1, "momentum": 0.5}, "section 4.1"),
    ("cgan", "", "conv", "discriminator generator", Adam, {"lr": 2e-4, "betas": (0.5, 0.999)}, "1511.06434, section 4"),
    ("char_rnn", "paper-zaremba-small", "zaremba-small", "network", SGD, {"lr": 1.0}, "1409.2329, section 4.1"),
    ("char_rnn", "paper-characters", "char-lstm", "network", RMSprop, {"lr": 2e-3, "alpha": 0.95}, "char-rnn's defaults"),
    ("cnn", "paper-fashion-mnist", "", "network", AdamW, {"lr": 6e-3}, "default"),
    ("cnn", "paper-cifar10", "deep", "network", SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 5e-4}, "default"),
    ("context_encoder", "paper", "", "generator", Adam, {"lr": 2e-4, "betas": (0.5, 0.999)}, "section 5.1: DCGAN's"),
    ("context_encoder", "paper", "", "discriminator", Adam, {"lr": 2e-5, "betas": (0.5, 0.999)}, "section 5.1: ten times lower"),
    ("conv_autoencoder", "paper", "", "autoencoder", Adam, {"lr": 1e-3}, "default"),
    ("cyclegan", "paper", "", "generators discriminators", Adam, {"lr": 2e-4, "betas": (0.5, 0.999)}, "section 4, authors' code"),
    ("dcgan", "paper", "", "discriminator generator", Adam, {"lr": 2e-4, "betas": (0.5, 0.999)}, "section 4"),
    ("densepose", "paper", "", "network", SGD, {"lr": 2e-3, "momentum": 0.9, "weight_decay": 1e-4}, "first public configuration"),
    ("densepose", "paper-teacher", "teacher", "network teacher", SGD, {"lr": 2e-3, "momentum": 0.9, "weight_decay": 1e-4},
     "as of the network"),
    ("densepose_rcnn", "paper", "", "network", SGD, {"lr": 2e-3, "momentum": 0.9, "weight_decay": 1e-4}, "first public configuration"),
    ("discogan", "paper", "", "generators discriminators", Adam, {"lr": 2e-4, "betas": (0.5, 0.999), "weight_decay": 1e-4}, "section 3.2"),
    ("eat_nas", "paper", "", "network", SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 4e-5}, "default"),
    ("forecaster", "paper-sunspots", "", "network", AdamW, {"lr": 1e-3, "weight_decay": 0.0}, "default"),
    ("fractalnet", "paper", "", "network", SGD, {"lr": 0.02, "momentum": 0.9}, "section 4"),
    ("gan", "paper", "", "discriminator generator", SGD, {"lr": 0.1, "momentum": 0.5}, "authors' code, mnist.yaml"),
    ("gan", "", "toy", "discriminator generator", Adam, {"lr": 1e-3, "betas": (0.5, 0.999)}, "default"),
    ("inception", "paper", "", "network", RMSprop, {"lr": 0.045, "alpha": 0.9, "eps": 1.0}, "section 8"),
    ("googlenet", "paper", "", "network", SGD, {"lr": 0.01, "momentum": 0.9}, "section 6: momentum"),
    ("gan3d", "paper", "", "generator", Adam, {"lr": 0.0025, "betas": (0.5, 0.999)}, "section 3.2"),
    ("gan3d", "paper", "", "discriminator", Adam, {"lr": 1e-5, "betas": (0.5, 0.999)}, "section 3.2"),
    ("infogan", "paper", "", "discriminator", Adam, {"lr": 2e-4, "betas": (0.5, 0.999)}, "appendix C.1"),
    ("infogan", "paper", "", "generator", Adam, {"lr": 1e-3, "betas": (0.5, 0.999)}, "appendix C.1"),
    ("lenet", "", "", "network", AdamW, {"lr": 4e-3, "weight_decay": 0.02}, "default"),
    ("lenet", "paper-adamw", "1998", "network", AdamW, {"lr": 0.02, "weight_decay": 0.02}, "default"),
    ("lenet", "paper", "1998-marquardt", "network", Marquardt, {"lr": 5e-4, "mu": 0.02}, "appendix C: mu; section III-B: the first rate"),
    ("linear_autoencoder", "paper", "deep", "autoencoder", Adam, {"lr": 1e-3}, "default"),
    ("linear_autoencoder", "paper-linear", "", "autoencoder", Adam, {"lr": 4e-3}, "default"),
    ("maintenance", "paper-mini-network", "lstm", "network", AdamW, {"lr": 2e-3}, "default"),
    ("mocogan", "paper", "", "image_critic video_critic generator", Adam, {"lr": 2e-4, "betas": (0.5, 0.999), "weight_decay": 1e-5},
     "authors' code"),
    ("pix2pix", "paper", "", "discriminator generator", Adam, {"lr": 2e-4, "betas": (0.5, 0.999)}, "section 3.3"),
    ("progan", "paper", "", "critic generator", Adam, {"lr": 1e-3, "betas": (0.0, 0.99)}, "appendix A"),
    ("stylegan", "paper", "", "critic generator", Adam, {"lr": 1e-3, "betas": (0.0, 0.99)}, "appendix C"),
    ("preact_resnet", "paper", "", "network", SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}, "appendix"),
    ("ram", "paper", "", "action baseline", SGD, {"lr": 0.01, "momentum": 0.9}, "section 4: momentum 0.9"),
    ("ram", "paper", "", "location", SGD, {"lr": 1e-5, "momentum": 0.9}, "section 4: momentum 0.9"),
    ("resnet", "paper", "", "network", SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}, "section 4.2"),
    ("resnet", "paper-imagenet", "resnet50", "network", SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}, "section 3.4"),
    ("rethinking", "paper", "", "network", SGD, {"lr": 0.1, "momentum": 0.9}, "appendix A"),
    ("rethinking", "paper", "mlp1x512", "network", SGD, {"lr": 0.01, "momentum": 0.9}, "appendix A"),
    ("sgan", "paper", "", "discriminator generator", Adam, {"lr": 2e-4, "betas": (0.5, 0.999)}, "1511.06434, section 4"),
    ("sgan", "paper-feature_matching", "feature_matching", "discriminator generator", Adam, {"lr": 1e-3, "betas": (0.5, 0.999)},
     "1606.03498, authors' code: from 0.003 on"),
    ("srgan", "paper", "", "discriminator generator", Adam, {"lr": 1e-4}, "section 3.2; of the second stage see its own test"),
    ("ssgan", "paper", "", "discriminator generator", Adam, {"lr": 2e-4, "betas": (0.0, 0.9)}, "section 4.1"),
    ("stackgan", "paper", "", "first_generator first_discriminator second_generator second_discriminator", Adam,
     {"lr": 2e-4, "betas": (0.5, 0.999)}, "section 4.4; of the rates see its own test"),
    ("stargan", "paper", "", "discriminator generator", Adam, {"lr": 1e-4, "betas": (0.5, 0.999)}, "section 4.3"),
    ("stochastic_depth", "paper", "", "network", SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": True}, "section 4"),
    ("t3d", "paper", "", "network", SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4, "nesterov": True}, "section 4.2"),
    ("transformer", "paper", "", "translator", Adam, {"lr": 1.0, "betas": (0.9, 0.98), "eps": 1e-9}, "section 5.3"),
    ("vae", "paper", "", "vae", Adagrad, {"lr": 0.02, "weight_decay": 1 / 60_000}, "section 5"),
    ("vaegan", "paper", "", "encoder decoder discriminator", RMSprop, {"lr": 3e-4}, "section 4"),
    ("vgg", "paper", "", "network", SGD, {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}, "section 3.1"),
    ("vdsr", "paper", "", "network", SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 1e-4}, "section 4.2"),
    ("wavegan", "paper", "", "critic generator", Adam, {"lr": 1e-4, "betas": (0.5, 0.9)}, "appendix D, table 6"),
    ("wgan", "paper", "", "critic generator", RMSprop, {"lr": 5e-5}, "algorithm 1"),
    ("wgan", "", "toy", "critic generator", RMSprop, {"lr": 5e-5}, "algorithm 1"),
    ("wgan_gp", "paper", "", "critic generator", Adam, {"lr": 1e-4, "betas": (0.0, 0.9)}, "algorithm 1"),
    ("wgan_gp", "paper-resnet", "resnet", "critic generator", Adam, {"lr": 2e-4, "betas": (0.0, 0.9)}, "appendix F"),
    ("wgan_gp", "small-toy", "toy", "critic generator", Adam, {"lr": 1e-4, "betas": (0.5, 0.9)}, "authors' code"),
]  # fmt: skip

#: paper, recipe, variant, player, and the rate at some iterations (from 0) of the recipe's steps, where the paper says so
RATES: list[tuple[str, str, str, str, Rates, str]] = [
    ("aae", "paper", "", "autoencoder", {0: 0.01, 24_999: 0.01, 25_000: 1e-3, 499_999: 1e-3, 500_000: 1e-4}, "appendix A.1"),
    ("aae", "paper", "", "generator", {0: 0.1, 24_999: 0.1, 25_000: 0.01, 499_999: 0.01, 500_000: 1e-3}, "appendix A.1"),
    ("acgan", "paper", "", "generator", {0: 2e-4, 49_999: 2e-4}, "appendix"),
    ("cfggan", "paper", "", "approximator", {0: 2.5e-4, 149_999: 2.5e-4}, "authors' code"),
    ("cnn", "paper-fashion-mnist", "", "network", {0: 6e-3 / 1757.5, 7029: 0.0}, "default: one cycle, a quarter of it rising"),
    ("context_encoder", "paper", "", "generator", {0: 2e-4, 116_499: 2e-4}, "section 5.1"),
    ("conv_autoencoder", "paper", "", "autoencoder", {0: 1e-3, 40_000: 1e-3, 60_000: 5e-4}, "default"),
    ("eat_nas", "paper", "", "network", {0: 0.1, 250_000: 0.05}, "default: half a cosine"),
    ("forecaster", "paper-sunspots", "", "network", {0: 1e-5, 99: 1e-3, 549: 5e-4, 999: 0.0}, "default: one cycle"),
    ("gan3d", "paper", "", "discriminator", {0: 1e-5, 99_999: 1e-5}, "section 3.2"),
    ("infogan", "paper", "", "generator", {0: 1e-3, 24_999: 1e-3}, "appendix C.1"),
    ("lenet", "paper-adamw", "1998", "network", {0: 0.02 / 2345, 2344: 0.02, 9379: 0.0}, "default: one cycle, a quarter of it rising"),
    ("linear_autoencoder", "paper", "deep", "autoencoder", {0: 1e-3, 6000: 1e-3, 9000: 5e-4}, "default"),
    ("sgan", "paper", "", "generator", {0: 2e-4, 39_999: 2e-4}, "1511.06434, section 4"),
    ("transfer", "paper", "finetune", "network", {0: 1e-3 * 0.5 / 60, 599: 1e-3 * 0.25 * (math.pi / 1080) ** 2}, "default: one cycle"),
    ("vae", "paper", "", "vae", {0: 0.02, 999_999: 0.02}, "section 5"),
    ("vaegan", "paper", "", "decoder", {0: 3e-4, 249_999: 3e-4}, "section 4"),
    ("bert", "paper", "base", "bert", {0: 1e-8, 4_999: 5e-5, 9_999: 1e-4, 505_000: 5e-5, 999_999: 1e-4 / 990_000}, "section A.2"),
    ("bilstm_crf", "paper", "", "tagger", {0: 0.1, 20_059: 0.1}, "section 4.3"),
    ("cgan", "paper", "", "generator", {0: 0.1, 10_000: 0.1 / 1.00004**10_000, 299_999: 1e-6}, "section 4.1"),
    ("char_rnn", "paper-zaremba-small", "zaremba-small", "network", {0: 1.0, 2324 * 4 - 1: 1.0, 2324 * 4: 0.5, 2324 * 5: 0.25},
     "1409.2329, section 4.1: halved after 4 epochs"),
    ("char_rnn", "paper-zaremba-medium", "zaremba-medium", "network", {0: 1.0, 1328 * 6 - 1: 1.0, 1328 * 6: 1 / 1.2}, "section 4.1"),
    ("char_rnn", "paper-zaremba-large", "zaremba-large", "network", {0: 1.0, 1328 * 14 - 1: 1.0, 1328 * 15: 1.15**-2}, "section 4.1"),
    ("char_rnn", "paper-characters", "char-gru", "network", {0: 2e-3, 424 * 10 - 1: 2e-3, 424 * 10: 2e-3 * 0.97}, "char-rnn's defaults"),
    ("cyclegan", "paper", "", "generators", {0: 2e-4, 133_400: 2e-4, 200_100: 1e-4, 266_799: 2e-4 / 133_400},
     "section 4: 100 epochs, then linearly to zero"),
    ("dcgan", "paper", "", "generator", {0: 2e-4, 117_999: 2e-4}, "section 4"),
    ("discogan", "paper", "", "generators", {0: 2e-4, 99_999: 2e-4}, "section 3.2"),
    ("fractalnet", "paper", "", "network",
     {0: 0.02, 99_999: 0.02, 100_000: 2e-3, 150_000: 2e-4, 175_000: 2e-5, 187_500: 2e-6}, "section 4"),
    ("gan", "paper", "", "generator", {0: 0.1, 10_000: 0.1 / 1.000004**10_000}, "authors' code, mnist.yaml"),
    ("inception", "paper", "", "network", {0: 0.045, 1599: 0.045, 1600: 0.0423, 3200: 0.045 * 0.94**2}, "section 8"),
    ("googlenet", "paper", "", "network", {0: 0.01, 39_999: 0.01, 40_000: 0.0096}, "section 6"),
    ("mobilenet", "paper", "", "network", {0: 0.045, 833: 0.045, 834: 0.0441}, "V2, section 6.1"),
    ("mocogan", "paper", "", "generator", {0: 2e-4, 99_999: 2e-4}, "authors' code"),
    ("pix2pix", "paper", "", "generator", {0: 2e-4, 79_999: 2e-4}, "section 3.3"),
    ("preact_resnet", "paper", "", "network",
     {0: 0.01, 399: 0.01, 400: 0.1, 31_999: 0.1, 32_000: 0.01, 47_999: 0.01, 48_000: 1e-3}, "appendix"),
    ("ram", "paper", "", "action", {0: 0.01, 250_000: 0.005, 499_999: 2e-8}, "section 4.1: linearly to zero"),
    ("resnet", "paper", "", "network", {0: 0.1, 31_999: 0.1, 32_000: 0.01, 47_999: 0.01, 48_000: 1e-3}, "section 4.2"),
    ("resnet", "paper", "resnet56", "network", {0: 0.1, 32_000: 0.01}, "section 4.2: only the deepest begins at 0.01"),
    ("resnet", "paper", "resnet110", "network", {0: 0.01, 399: 0.01, 400: 0.1, 32_000: 0.01}, "section 4.2"),
    ("rethinking", "paper", "", "network", {0: 0.1, 390: 0.1, 391: 0.095}, "appendix A: 0.95 an epoch"),
    ("srcnn", "paper", "", "network", {0: 1e-4, 6_249_999: 1e-4}, "section 3.3; of the last layer see its own test"),
    ("ssgan", "paper", "", "generator", {0: 2e-4, 99_999: 2e-4}, "section 4.1"),
    ("stargan", "paper", "", "generator", {0: 1e-4, 125_000: 1e-4, 187_500: 5e-5, 249_999: 1e-4 / 125_000},
     "section 4.3: 10 epochs, then linearly to zero over 10 more"),
    ("stochastic_depth", "paper", "", "network",
     {0: 0.1, 87_890: 0.1, 87_891: 0.01, 131_836: 1e-3}, "section 4: 250 and 375 of 500 epochs"),
    ("stochastic_depth", "paper-1202", "resnet1202", "network", {0: 0.01, 3515: 0.01, 3516: 0.1}, "section 4: 10 epochs at 0.01"),
    ("t3d", "paper", "", "network", {0: 0.1, 8939: 0.1, 8940: 0.01, 17_880: 1e-3}, "section 4.2: every 30 of 150 epochs"),
    ("transformer", "paper", "", "translator",
     {0: 512**-0.5 * 4000**-1.5, 3999: (512 * 4000) ** -0.5, 15_999: (512 * 16_000) ** -0.5}, "Eq. 3"),
    ("vdsr", "paper", "", "network", {0: 0.1, 2489: 0.1, 2490: 0.01, 4980: 1e-3, 7470: 1e-4}, "section 4.2: every 20 of 80 epochs"),
    ("vgg", "paper", "", "network", {0: 0.01, 184_999: 0.01, 185_000: 1e-3, 277_500: 1e-4, 333_000: 1e-5}, "section 3.1: three falls"),
    ("wavegan", "paper", "", "generator", {0: 1e-4, 999_999: 1e-4}, "appendix D, table 6"),
    ("wgan", "paper", "", "critic", {0: 5e-5, 1_040_279: 5e-5}, "algorithm 1"),
    ("east", "paper", "pvanet2x", "network", {0: 1e-3, 27_299: 1e-3, 27_300: 1e-4, 54_600: 1e-5, 81_899: 1e-5}, "section 3.5"),
    ("densepose", "paper", "", "network", {0: 2e-3, 99_999: 2e-3, 100_000: 2e-4, 119_999: 2e-4, 120_000: 2e-5},
     "first public configuration"),
    ("densepose_rcnn", "paper", "", "network", {0: 2e-3, 99_999: 2e-3, 100_000: 2e-4, 119_999: 2e-4, 120_000: 2e-5},
     "first public configuration"),
    ("ctpn", "paper", "", "network", {0: 1e-3, 15_999: 1e-3, 16_000: 1e-4, 19_999: 1e-4}, "section 3.4"),
    ("yolov2", "paper", "", "network", {0: 1e-3, 112_499: 1e-3, 112_500: 1e-4, 168_750: 1e-5}, "section 3: 60 and 90 of 160 epochs"),
    ("yolov3", "paper", "", "network", {0: 1e-3, 400_159: 1e-3, 400_160: 1e-4, 450_180: 1e-5}, "authors' yolov3.cfg"),
    ("wgan_gp", "paper", "", "critic", {0: 1e-4, 999_999: 1e-4}, "algorithm 1"),
    ("wgan_gp", "paper-resnet", "resnet", "critic", {0: 2e-4, 250_000: 1e-4, 499_999: 4e-10}, "appendix F: linearly to zero"),
]  # fmt: skip

#: paper, variant, arguments that it has if nothing is set, where the paper says so
ARGUMENTS: list[tuple[str, str, dict[str, Any], str]] = [
    ("aae", "", {"latent": 8, "deviation": 5.0, "width": 1000}, "section 3, appendix A.1"),
    ("aae", "semi", {"style": 10}, "section 5"),
    ("acgan", "", {"latent": 100, "image_size": 32, "average": 0.0}, "appendix, table 2"),
    ("bert", "base", {"layers": 12, "width": 768, "heads": 12, "inner": 3072, "positions": 512, "dropout": 0.1, "share": 0.15,
                      "deviation": 0.02}, "sections 3, 3.1 and A.2"),
    ("bert", "large", {"layers": 24, "width": 1024, "heads": 16, "inner": 4096}, "section 3"),
    ("bilstm_crf", "", {"embedding": 50, "hidden": 300}, "sections 4.1 and 4.3"),
    ("cfggan", "xicfg", {"method": "xicfg", "scale": "one", "functional_steps": 15, "discriminator_steps": 1, "pool": 640, "epochs": 10},
     "section 4.1, authors' code"),
    ("cfggan", "fc", {"functional_steps": 25, "eta": 0.1}, "section 4.1, authors' code"),
    ("cgan", "", {"latent": 100, "width": 1200}, "section 4.1"),
    ("char_rnn", "zaremba-small", {"layers": 2, "hidden": 200, "dropout": 0.0, "scale": 0.1}, "1409.2329, section 4.1"),
    ("char_rnn", "zaremba-medium", {"layers": 2, "hidden": 650, "dropout": 0.5, "scale": 0.05}, "1409.2329, section 4.1"),
    ("char_rnn", "zaremba-large", {"layers": 2, "hidden": 1500, "dropout": 0.65, "scale": 0.04}, "1409.2329, section 4.1"),
    ("context_encoder", "", {"image_size": 128, "design": "strided", "masks": "centre", "width": 64, "bottleneck": 4000, "overlap": 7,
                             "weight": 0.999, "adversarial": True}, "section 5.1, figure 9 (a)"),
    ("context_encoder", "alexnet", {"image_size": 227, "design": "alexnet", "masks": "regions", "adversarial": False},
     "sections 3.3 and 5.2, figure 9 (b)"),
    ("cyclegan", "", {"image_size": 256, "blocks": 9, "cycle": 10.0, "identity": 0.0, "pool": 50, "patch": 70}, "section 4, appendix 7.2"),
    ("cyclegan", "six_blocks", {"image_size": 128, "blocks": 6}, "appendix 7.2"),
    ("cyclegan", "identity", {"identity": 0.5}, "section 5.2"),
    ("dcgan", "", {"latent": 100, "image_size": 64, "width": 128}, "figure 1"),
    ("discogan", "", {"image_size": 64, "bottleneck": 0, "game": "discogan"}, "section 2.2"),
    ("fractalnet", "", {"columns": 3, "blocks": 5, "width": 64, "dropout": 0.4, "local_drop": 0.15, "global_share": 0.5}, "section 4"),
    ("gan3d", "", {"image_size": 64, "latent": 200, "width": 64, "gate": 0.8}, "section 3.2"),
    ("glove", "", {"dim": 300, "window": 10, "x_max": 100.0, "alpha": 0.75, "distance": True, "logarithm": True, "lr": 0.05},
     "Eq. 9, section 4.2"),
    ("inception", "v3", {"dropout": 0.5, "smoothing": 0.1, "image_size": 299}, "section 7"),
    ("googlenet", "", {"dropout": 0.4, "smoothing": 0.0, "image_size": 224}, "table 1"),
    ("infogan", "", {"noise": 62, "categories": 10, "continuous": 2, "discrete_weight": 1.0, "continuous_weight": 0.1}, "appendix C.1"),
    ("mocogan", "", {"image_size": 64, "frames": 16, "content": 50, "motion": 10, "noise": 10, "width": 64, "critic_width": 64,
                     "critic_noise": 0.1, "average": 0.0}, "section 4, authors' code"),
    ("mocogan", "categorical", {"weight": 1.0, "labelled": True}, "section 3.3"),
    ("pix2pix", "", {"image_size": 256, "weight": 100.0, "conditional": True, "skips": True, "patch": 70}, "section 3.3, appendix 6.1"),
    ("preact_resnet", "", {"depth": 164, "bottleneck": True, "width": 16}, "table 1"),
    ("ram", "", {"glimpses": 7, "size": 8, "scales": 1, "hidden": 256, "part": 128}, "section 4.1"),
    ("rethinking", "", {"crop": 28, "dropout": 0.0, "random_crop": False}, "appendix A"),
    ("scattering", "", {"J": 3, "L": 8, "order": 2}, "section 4.1"),
    ("sgan", "feature_matching", {"latent": 100, "width": 250}, "1606.03498, section 6.1"),
    ("srcnn", "", {"kernels": "9-1-5", "n1": 64, "n2": 32, "scale": 3, "start": "gaussian"}, "sections 3.3 and 4"),
    ("srcnn", "9-5-5", {"kernels": "9-5-5"}, "section 4.3"),
    ("srgan", "", {"scale": 4, "width": 64, "blocks": 16, "critic_width": 64, "hidden": 1024, "content": "vgg54", "weight": 1e-3,
                   "skip": "none", "image_size": 96}, "section 3.2, figure 4"),
    ("ssgan", "", {"alpha": 0.2, "beta": 1.0, "latent": 128, "average": 0.0}, "section 4.1"),
    ("stackgan", "", {"image_size": 256, "small": 64, "embedding": 1024, "condition": 128, "latent": 100, "compressed": 128, "blocks": 4,
                      "weight": 1.0, "average": 0.0}, "sections 4.2 and 4.4"),
    ("stargan", "", {"image_size": 128, "blocks": 6, "layers": 6, "classify": 1.0, "reconstruct": 10.0, "penalty": 10.0, "critic_steps": 5},
     "sections 3.1, 3.3 and 4.3, tables 4 and 5"),
    ("progan", "", {"image_size": 1024, "latent": 512, "width": 512, "most": 16_384, "penalty": 10.0, "drift": 1e-3, "average": 0.999},
     "table 2, appendix A, section 5"),
    ("stylegan", "", {"image_size": 1024, "latent": 512, "width": 512, "most": 16_384, "depth": 8, "mixing": 0.9, "gamma": 10.0,
                      "remember": 0.995}, "section 2 and 3.1, appendix C; the mean's decay: authors' code"),
    ("stochastic_depth", "", {"survival": 0.5, "decay": "linear"}, "section 4"),
    ("t3d", "", {"growth": 32, "frames": 32, "image_size": 224}, "section 4"),
    ("transformer", "base", {"layers": 6, "width": 512, "inner": 2048, "heads": 8, "dropout": 0.1, "norm": "post", "smoothing": 0.1,
                             "average": 5, "beam": 4, "alpha": 0.6}, "table 3, sections 5.4 and 6.1"),
    ("transformer", "big", {"width": 1024, "inner": 4096, "heads": 16, "dropout": 0.3, "average": 20}, "table 3, section 6.1"),
    ("vae", "", {"hidden": 500, "likelihood": "bernoulli"}, "section 5"),
    ("vaegan", "", {"latent": 128, "width": 64}, "table 1"),
    ("vdsr", "", {"depth": 20, "width": 64, "scales": (2, 3, 4)}, "section 3.1"),
    ("vgg", "", {"dropout": 0.5, "batch_norm": False, "image_size": 224}, "section 3.1"),
    ("wavegan", "", {"length": 16_384, "rate": 16_000, "latent": 100, "width": 64, "shuffle": 2, "penalty": 10.0, "critic_steps": 5,
                     "average": 0.0}, "appendix D, tables 3, 4 and 6"),
    ("wavegan", "unshuffled", {"shuffle": 0}, "section 3.3"),
    ("wgan", "", {"bound": 0.01, "critic_steps": 5}, "algorithm 1"),
    ("wgan", "", {"burst": 100, "warm_up": 25, "period": 500}, "authors' code"),
    ("wgan_gp", "", {"penalty": 10.0, "critic_steps": 5, "latent": 128}, "algorithm 1"),
    ("wgan_gp", "toy", {"penalty": 0.1, "critic_steps": 5, "width": 512}, "authors' code"),
    ("yolov2", "", {"ignore": 0.6, "coord": 1.0, "label": 1.0, "prior": 200, "passthrough": "cfg", "width": 1.0}, "authors' yolov2.cfg"),
    ("yolov3", "", {"ignore": 0.5, "coord": 1.0, "label": 1.0, "width": 1.0}, "section 2.1"),
    ("east", "", {"geometry": 1.0, "angle": 10.0, "alike": "pixels", "score_loss": "balanced"}, "sections 3.4 and 3.4.2"),
    ("ctpn", "", {"anchors": 128, "height": 1.0, "side": 2.0, "recurrent": 128, "gap": 50.0, "agree": 0.7, "threshold": 0.7}, "section 3"),
    ("densepose", "", {"mask": 2.0, "part": 0.3, "chart": 20.0, "beta": 1.0, "stride": 8}, "first public configuration: 0.1 of 196 points"),
    ("densepose_rcnn", "", {"mask": 2.0, "part": 0.3, "chart": 20.0, "layers": 8, "head": 512, "width": 256, "anchor": 32.0, "whole": 224.0,
                            "proposals": 1000, "regions": 512}, "section 3.2; 1612.03144; first public configuration"),
    ("word2vec", "", {"window": 5, "negative": 5, "sample": 1e-5, "subsampling": "paper"}, "1310.4546, sections 2 and 3"),
]  # fmt: skip

BATCH = (1e-5, 0.1)  # torch's; 0.9 of the old statistics stay, as the papers' programs have it

#: paper to what its normalisations are: kind, epsilon and, of batch normalisation, what share of the new statistics is taken in
NORMS: dict[str, set[tuple[type[nn.Module], float, float | None]]] = {
    "aae": {(nn.BatchNorm1d, *BATCH)},
    "acgan": {(nn.BatchNorm2d, *BATCH)},
    "alignment": set(),
    "alignment_generator": set(),
    "bert": {(nn.LayerNorm, 1e-12, None)},  # authors' code
    "bilstm_crf": set(),
    "cfggan": {(nn.BatchNorm2d, *BATCH)},
    "cgan": {(nn.BatchNorm2d, *BATCH)},  # of DCGAN's networks
    "char_rnn": set(),
    "cnn": {(nn.BatchNorm2d, *BATCH)},
    "context_encoder": {(nn.BatchNorm2d, *BATCH)},
    "conv_autoencoder": set(),
    "ctpn": set(),
    "cyclegan": set(),  # of instances: no share, nothing learnt
    "dcgan": {(nn.BatchNorm2d, *BATCH)},
    "densepose": {(nn.BatchNorm2d, *BATCH)},
    "densepose_rcnn": {(nn.BatchNorm2d, *BATCH)},
    "discogan": {(nn.BatchNorm2d, *BATCH)},
    "east": {(nn.BatchNorm2d, *BATCH)},
    "eat_nas": {(nn.BatchNorm2d, 2e-5, 0.1)},  # authors' code
    "forecaster": set(),
    "fractalnet": {(nn.BatchNorm2d, *BATCH)},
    "gan": set(),
    "gan3d": {(nn.BatchNorm3d, *BATCH)},
    "glove": set(),
    "googlenet": {(nn.BatchNorm2d, 1e-3, 0.1)},  # v1_bn's: the network whose weights are published
    "inception": {(nn.BatchNorm2d, 1e-3, 0.1)},  # authors' code
    "infogan": {(nn.BatchNorm1d, *BATCH), (nn.BatchNorm2d, *BATCH)},
    "lenet": set(),
    "linear_autoencoder": set(),
    "maintenance": set(),
    "mobilenet": {(nn.BatchNorm2d, *BATCH)},
    "mocogan": {(nn.BatchNorm2d, *BATCH), (nn.BatchNorm3d, *BATCH)},
    "pix2pix": {(nn.BatchNorm2d, *BATCH)},
    "preact_resnet": {(nn.BatchNorm2d, *BATCH)},
    "progan": set(),  # of pixels
    "ram": set(),
    "resnet": {(nn.BatchNorm2d, *BATCH)},
    "rethinking": {(nn.BatchNorm2d, *BATCH)},
    "scattering": set(),
    "sgan": {(nn.BatchNorm1d, *BATCH), (nn.BatchNorm2d, *BATCH)},
    "show_and_tell": set(),
    "show_attend_tell": set(),
    "srcnn": set(),
    "srgan": {(nn.BatchNorm2d, *BATCH)},
    "ssgan": {(nn.BatchNorm2d, *BATCH)},
    "stackgan": {(nn.BatchNorm2d, *BATCH)},
    "stargan": set(),  # of instances
    "stochastic_depth": {(nn.BatchNorm2d, *BATCH)},
    "stylegan": set(),  # of instances
    "t3d": {(nn.BatchNorm2d, *BATCH), (nn.BatchNorm3d, *BATCH)},
    "transfer": {(nn.BatchNorm2d, *BATCH)},
    "transformer": {(nn.LayerNorm, 1e-5, None)},
    "vae": set(),
    "vaegan": {(nn.BatchNorm1d, *BATCH), (nn.BatchNorm2d, *BATCH)},
    "vdsr": set(),
    "vgg": {(nn.BatchNorm2d, *BATCH)},
    "vqa": set(),
    "wavegan": set(),
    "wgan": {(nn.BatchNorm2d, *BATCH)},
    "wgan_gp": {(nn.BatchNorm2d, *BATCH)},
    "word2vec": set(),
    "yolov2": {(nn.BatchNorm2d, 1e-6, 0.01)},  # authors' code: 0.99 of the old statistics stay
    "yolov3": {(nn.BatchNorm2d, 1e-6, 0.01)},
}

#: papers whose batch normalisation has the statistics of the batch at test time, too (1611.07004, section 3.3); and whose convolutions see
#: images reflected at their borders (1703.10593, appendix 7.2)
OF_THE_BATCH, REFLECTED = {"pix2pix"}, {"cyclegan": {"reflect"}}
#: paper to the distances of its windows' samples, where they have holes
HOLES = {"densepose": {1, 2, 4}}

#: paper to the slopes of its LeakyReLUs; those not named have none
SLOPES = {
    "acgan": {0.2}, "cfggan": {0.2}, "cgan": {0.2}, "context_encoder": {0.2}, "cyclegan": {0.2}, "dcgan": {0.2}, "discogan": {0.2},
    "gan3d": {0.2},
    "infogan": {0.1}, "mocogan": {0.2}, "pix2pix": {0.2}, "sgan": {0.2}, "srgan": {0.2}, "stackgan": {0.2}, "stargan": {0.01},
    "wavegan": {0.2}, "wgan": {0.2}, "wgan_gp": {0.2},
    "yolov2": {0.1}, "yolov3": {0.1},
}  # fmt: skip

#: paper, variant, dropout in the order of its layers, where the paper says so
DROPOUT: list[tuple[str, str, list[float], str]] = [
    ("acgan", "", [0.5] * 6, "appendix, table 2"),
    ("cgan", "", [0.5, 0.5], "section 4.1"),
    ("gan", "", [0.2, 0.5, 0.5], "authors' code, mnist.yaml"),
    ("fractalnet", "", [rate for rate in (0.0, 0.1, 0.2, 0.3, 0.4) for _ in range(7)], "section 4: by block"),
    ("vgg", "", [0.5, 0.5], "section 3.1"),
    ("eat_nas", "", [0.2], "authors' code"),
    ("mobilenet", "", [0.2], "default"),
    ("pix2pix", "", [0.5] * 3, "figure 3"),
]


def normal(std: float) -> Callable[[Tensor], float]:
    return lambda weight: std


def he(weight: Tensor) -> float:
    """1502.01852, Eq. 10: by what goes *into* a unit."""
    return math.sqrt(2 / weight[0].numel())


def he_leaky(weight: Tensor) -> float:
    return math.sqrt(2 / (1 + 0.2**2) / weight[0].numel())


def glorot(weight: Tensor) -> float:
    """Glorot and Bengio 2010, Eq. 16, by what goes in and what goes out."""
    return math.sqrt(2 / (weight[0].numel() + weight[:, 0].numel()))


def default(weight: Tensor) -> float:
    """Uniform in +-1/sqrt(fan-in), as torch has it."""
    return math.sqrt(1 / 3 / weight[0].numel())


def uniform(reach: float) -> Callable[[Tensor], float]:
    return lambda weight: reach / math.sqrt(3)


CONVOLUTION = (nn.Conv2d, nn.ConvTranspose2d, nn.Conv3d, nn.ConvTranspose3d, nn.Conv1d, nn.ConvTranspose1d)
LAYER = (*CONVOLUTION, nn.Linear)
SMALL = {"image_size": 32, "channels": 1}
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(chr(97 + i) for i in range(26))]

#: paper, variant, arguments, network, kinds of layers, deviation of the initial weights, shape of their distribution, where
WEIGHTS: list[tuple[str, str, dict[str, Any], str, tuple[type[nn.Module], ...], Callable[[Tensor], float], str, str]] = [
    ("acgan", "", SMALL, "", LAYER, normal(0.02), "normal", "appendix"),
    ("bert", "base", {"layers": 1, "width": 256, "heads": 4, "inner": 1024, "vocabulary": PIECES}, "", (nn.Linear, nn.Embedding),
     normal(0.02 * 0.8796), "cut", "authors' code"),  # the deviation of what is left of a normal one cut off at two of its own
    ("cfggan", "xicfg", {}, "", CONVOLUTION, normal(0.01), "normal", "authors' code"),
    ("cfggan", "xicfg", {}, "", (nn.Linear,), he, "normal", "authors' code"),
    ("char_rnn", "zaremba-small", {"vocabulary": ["<unk>", *PIECES]}, "", LAYER, uniform(0.1), "uniform", "1409.2329, section 4.1"),
    ("cgan", "", {}, "generator", (nn.Linear,), uniform(0.05), "uniform", "authors' code of 1406.2661"),
    ("cgan", "", {}, "discriminator", (nn.Linear,), uniform(0.005), "uniform", "authors' code of 1406.2661"),
    ("cgan", "conv", SMALL, "", LAYER, normal(0.02), "normal", "1511.06434, section 4"),
    ("context_encoder", "", {"image_size": 32, "width": 16, "bottleneck": 64, "overlap": 2}, "", LAYER, normal(0.02), "normal",
     "authors' code, as DCGAN's"),
    ("context_encoder", "alexnet", {"image_size": 99, "width": 16}, "", CONVOLUTION, he, "normal", "1502.01852"),
    ("cyclegan", "", {"image_size": 32, "width": 16, "critic_width": 16, "blocks": 1}, "", LAYER, normal(0.02), "normal", "section 4"),
    ("dcgan", "", {"image_size": 32}, "", LAYER, normal(0.02), "normal", "section 4"),
    ("densepose", "", {"width": 16, "image_size": 64}, "network.trunk", CONVOLUTION, he, "normal", "1502.01852"),
    ("densepose", "", {"width": 16, "image_size": 64}, "network.maps", CONVOLUTION, normal(0.001), "normal", "first public configuration"),
    ("densepose_rcnn", "", {"trunk": 16, "width": 32, "hidden": 32}, "head.body", CONVOLUTION, he, "normal", "1502.01852"),
    ("discogan", "", {"image_size": 32, "width": 16}, "", LAYER, normal(0.02), "normal", "1511.06434, section 4"),
    ("discogan", "toy", {}, "", LAYER, default, "uniform", "default"),
    ("east", "", {"width": 0.5, "image_size": 64}, "network.trunk", CONVOLUTION, he, "normal", "1502.01852"),
    ("ctpn", "", {"width": 0.25, "image_size": 64}, "network.trunk", CONVOLUTION, he, "normal", "1502.01852"),
    ("eat_nas", "", {"width": 0.5}, "", CONVOLUTION, he, "normal", "default"),
    ("fractalnet", "", {"blocks": 2}, "", LAYER, glorot, "normal", "section 4: Xavier"),
    ("gan3d", "", {"image_size": 32, "width": 16}, "", LAYER, default, "uniform", "default"),
    ("gan", "", {}, "generator", (nn.Linear,), uniform(0.05), "uniform", "authors' code, mnist.yaml"),
    ("gan", "", {}, "discriminator", (nn.Linear,), uniform(0.005), "uniform", "authors' code, mnist.yaml"),
    ("inception", "v3", {"width": 0.25, "aux": False, "image_size": 75}, "", CONVOLUTION, he, "normal", "default"),
    ("infogan", "", {}, "", LAYER, normal(0.02), "normal", "1511.06434, section 4"),
    ("lenet", "1998", {}, "", LAYER, lambda w: 2.4 / math.sqrt(3) / w[0].numel(), "uniform", "section II-B"),
    ("lenet", "", {}, "", LAYER, default, "uniform", "default"),
    ("linear_autoencoder", "deep", {}, "", (nn.Linear,), he, "normal", "default"),
    ("mobilenet", "v2", {"width": 0.5}, "", CONVOLUTION, he, "normal", "default"),
    ("mocogan", "", {"image_size": 16, "frames": 8}, "", CONVOLUTION, default, "uniform", "authors' code: default"),
    ("pix2pix", "", {"image_size": 32, "width": 16}, "", LAYER, normal(0.02), "normal", "appendix 6.2"),
    ("preact_resnet", "preact20", {}, "", CONVOLUTION, he, "normal", "1502.01852"),
    ("resnet", "resnet20", {}, "", CONVOLUTION, he, "normal", "section 3.4: 1502.01852"),
    ("sgan", "", SMALL, "", LAYER, normal(0.02), "normal", "1511.06434, section 4"),
    ("srcnn", "9-5-5", {}, "", CONVOLUTION, normal(0.001), "normal", "section 3.3"),
    ("srcnn", "9-5-5", {"start": "he"}, "", CONVOLUTION, he, "normal", "1502.01852"),
    ("srgan", "", {"image_size": 32, "blocks": 2, "critic_width": 16, "hidden": 64}, "", LAYER, default, "uniform", "default"),
    ("ssgan", "", {"width": 64}, "discriminator", LAYER, glorot, "uniform", "SNGAN's code"),
    ("stackgan", "", {"small": 16, "image_size": 32, "width": 16, "critic_width": 16, "blocks": 1}, "", LAYER, normal(0.02), "normal",
     "authors' code, as DCGAN's"),
    ("progan", "", {"image_size": 32, "width": 16, "latent": 64}, "", LAYER, normal(1.0), "normal", "section 4.1"),
    ("stylegan", "e", {"image_size": 32, "width": 16, "latent": 64}, "critic", LAYER, normal(1.0), "normal", "1710.10196, section 4.1"),
    ("stargan", "", {"width": 8, "critic_width": 8, "layers": 3, "image_size": 32}, "", LAYER, default, "uniform", "authors' code"),
    ("stochastic_depth", "resnet20", {}, "", CONVOLUTION, he, "normal", "1502.01852"),
    ("t3d", "", {"width": 16, "growth": 8, "ttl": 16}, "", CONVOLUTION, he, "normal", "1502.01852"),
    ("transformer", "base", {"layers": 1, "vocabulary": []}, "", (nn.Linear,), glorot, "uniform", "tensor2tensor"),
    ("vae", "", {}, "", (nn.Linear,), normal(0.1), "normal", "section 5: N(0, 0.01)"),
    ("vdsr", "", {}, "", CONVOLUTION, he, "normal", "section 4.2: 1502.01852"),
    ("vgg", "vgg11", {"width": 0.25, "image_size": 32}, "", LAYER, he, "normal", "1502.01852"),
    ("wgan", "", SMALL, "", LAYER, normal(0.02), "normal", "1511.06434, section 4"),
    ("wavegan", "", {"length": 1024, "width": 8}, "", LAYER, glorot, "uniform", "authors' code: default of TensorFlow"),
    ("wgan_gp", "", SMALL, "generator", LAYER, normal(0.02), "normal", "1511.06434, section 4"),
    ("wgan_gp", "", SMALL, "critic", LAYER, he_leaky, "normal", "authors' code: He"),
]  # fmt: skip


def chosen(name: str, variant: str) -> str:
    return f"{name}:{variant or next(iter(paperzoo.paper(name).variants))}"


def made(name: str, variant: str, recipe: str, meta: bool = True, **arguments: Any) -> tuple[Any, dict[str, Any]]:
    """The model, without memory for its weights if ``meta``, and the optimisers' arguments of the recipe."""
    optimizer = dict(paperzoo.paper(name).recipes[recipe].optimizer) if recipe else {}
    with shapes() if meta else nullcontext():
        return paperzoo.create(chosen(name, variant), **arguments), optimizer


def settings(group: Mapping[str, Any]) -> dict[str, Any]:
    """What a method's result depends on; not how torch computes it."""
    how = ("params", "foreach", "fused", "maximize", "capturable", "differentiable")
    return {key: value for key, value in group.items() if key not in how}


@pytest.mark.parametrize(("name", "recipe", "variant", "players", "kind", "told", "where"), OPTIMISERS)
def test_optimisers(name: str, recipe: str, variant: str, players: str, kind: type[Optimizer], told: dict[str, Any], where: str) -> None:
    model, arguments = made(name, variant, recipe)
    optimizers = constant(model.optimizers(**arguments))
    for player in players.split():
        optimizer = optimizers[player]
        assert type(optimizer) is kind
        expected = settings(kind([nn.Parameter(torch.zeros(1))], **told).param_groups[0])
        for group in optimizer.param_groups:
            assert settings(group) == expected, f"{name} {player}: {where}"
    if len(optimizers) > 1 and name not in ("aae", "infogan"):  # which have one network in two phases, or two in one
        owned = [id(p) for o in optimizers.values() for g in o.param_groups for p in g["params"]]
        assert len(owned) == len(set(owned))


@pytest.mark.parametrize(("name", "recipe", "variant", "player", "rates", "where"), RATES)
def test_rates_along_the_training(name: str, recipe: str, variant: str, player: str, rates: Rates, where: str) -> None:
    model, arguments = made(name, variant, recipe)
    optimizers, schedules = parted(model.optimizers(**arguments))
    base, steps = optimizers[player].param_groups[0]["lr"], paperzoo.paper(name).recipes[recipe].steps
    schedule = schedules.get(player, lambda iteration, total: 1.0)
    found = {iteration: base * schedule(iteration, steps) for iteration in rates}
    assert found == pytest.approx(dict(rates), rel=1e-5), where


@pytest.mark.parametrize(("name", "variant", "arguments", "where"), ARGUMENTS)
def test_arguments(name: str, variant: str, arguments: dict[str, Any], where: str) -> None:
    entry = catalog.load(f"{name}:{variant}" if variant else name)
    given = {key: p.default for key, p in catalog.signature(entry).items()} | entry.arguments
    assert {key: given[key] for key in arguments} == arguments, where


def test_every_paper_has_its_constants() -> None:
    names = set(catalog.list_papers())
    assert set(NORMS) == names
    by_hand = {"bert", "mobilenet", "srcnn", "transfer"}  # whose parameters are in groups: see their own tests and those below
    without = {"glove", "scattering", "word2vec"}  # which update themselves
    assert {row[0] for row in OPTIMISERS} | by_hand | without == names
    for name in without:
        assert made(name, "", "")[0].optimizers() == {}


@pytest.mark.parametrize("name", NORMS)
def test_normalisation_slopes_and_padding(name: str) -> None:
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.LayerNorm, nn.GroupNorm)
    norms, slopes = set(), set()
    for variant in paperzoo.paper(name).variants:
        for module in made(name, variant, "")[0].modules():
            if isinstance(module, kinds):
                norms.add((type(module), module.eps, getattr(module, "momentum", None)))
                assert module.affine if hasattr(module, "affine") else module.elementwise_affine
                assert getattr(module, "track_running_stats", True) == (name not in OF_THE_BATCH)
            if isinstance(module, CONVOLUTION):  # zeros beyond the border, and windows without holes but where the paper has them
                assert module.padding_mode in ("zeros", *REFLECTED.get(name, ())) and set(module.dilation) <= HOLES.get(name, {1})
            if isinstance(module, nn.LeakyReLU):
                slopes.add(module.negative_slope)
    assert norms == NORMS[name] and slopes == SLOPES.get(name, set())


@pytest.mark.parametrize(("name", "variant", "rates", "where"), DROPOUT)
def test_dropout(name: str, variant: str, rates: list[float], where: str) -> None:
    found = [m.p for m in made(name, variant, "")[0].modules() if isinstance(m, nn.Dropout)]
    assert found == pytest.approx(rates), where


@pytest.mark.parametrize(("name", "variant", "arguments", "part", "kinds", "deviation", "shape", "where"), WEIGHTS)
def test_initial_weights(
    name: str, variant: str, arguments: dict[str, Any], part: str, kinds: tuple[type[nn.Module], ...],
    deviation: Callable[[Tensor], float], shape: str, where: str,
) -> None:  # fmt: skip
    torch.manual_seed(0)
    model, _ = made(name, variant, "", meta=False, **arguments)
    layers = [m for m in model.get_submodule(part).modules() if isinstance(m, kinds)]
    found = [m.parametrizations.weight.original if hasattr(m, "parametrizations") else m.weight for m in layers]  # spectral norm
    weights = [(w / deviation(w)).detach().flatten() for w in found]
    assert weights
    kurtosis = {"normal": 3.0, "uniform": 1.8, "cut": 2.36}[shape]
    for weight in weights:
        n = weight.numel()
        assert weight.square().mean().sqrt().item() == pytest.approx(1, abs=5 * math.sqrt((kurtosis - 1) / 4 / n) + 1e-3), where
        assert abs(weight.mean().item()) < 5 / math.sqrt(n) + 1e-3
    whole = torch.cat(weights)
    assert whole.pow(4).mean().item() == pytest.approx(kurtosis, rel=0.1 + 30 / math.sqrt(len(whole))), where


def test_bert_decays_matrices_only_and_its_new_head_has_a_rate_of_its_own() -> None:
    # authors' code, optimization.py: exclude_from_weight_decay=["LayerNorm", "layer_norm", "bias"]
    small = {"layers": 1, "width": 8, "heads": 2, "inner": 16, "positions": 8, "vocabulary": PIECES}
    for model, heads, told in ((paperzoo.create("bert", **small), (), {}), (Classify(longest=8, **small), ("head.",), {"head_rate": 10.0})):
        (optimizer,) = constant(model.optimizers(lr=1e-3, **told)).values()
        assert type(optimizer) is AdamW
        of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        assert len(of) == sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))
        for name, parameter in model.named_parameters():
            group, still = of[id(parameter)], "norm" in name or name.endswith("bias")
            assert group["weight_decay"] == (0.0 if still else 0.01), name
            assert group["lr"] == pytest.approx(1e-2 if heads and name.startswith(heads) else 1e-3), name
            assert group["betas"] == (0.9, 0.999) and group["eps"] == 1e-6  # authors' code
    assert made("bert", "base", "paper")[0].optimizers()["bert"][0].param_groups[0]["lr"] == 1e-4  # section A.2


def test_mobilenets_decay_weights_but_not_norms_biases_or_v1s_depthwise_filters() -> None:
    for version in ("v1", "v2"):
        model, _ = made("mobilenet", version, "paper")
        (optimizer,) = constant(model.optimizers()).values()
        assert type(optimizer) is RMSprop
        of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        assert len(of) == len(list(model.parameters()))
        depthwise = {f"{n}.weight" for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and m.groups > 1}
        assert len(depthwise) == {"v1": 13, "v2": 17}[version]
        for name, parameter in model.named_parameters():
            still = parameter.ndim == 1 or (version == "v1" and name in depthwise)
            expected = {"lr": 0.045, "momentum": 0.9, "alpha": 0.9, "eps": 1.0, "weight_decay": 0.0 if still else 4e-5}
            assert {key: of[id(parameter)][key] for key in expected} == expected, name  # V2, section 6.1; 1512.00567, section 8


def test_fine_tuning_moves_the_body_at_a_tenth_of_the_heads_rate() -> None:
    model, arguments = made("transfer", "finetune", "paper", channels=3)
    (optimizer,) = constant(model.optimizers(**arguments)).values()
    head = {id(p) for p in model.parameters() if p.shape[0] == 1000}
    rates = {group["lr"]: {id(p) for p in group["params"]} for group in optimizer.param_groups}
    assert set(rates) == {1e-3, 1e-4} and rates[1e-3] == head and len(head) == 2
