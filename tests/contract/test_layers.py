"""What each network does to its input, layer by layer in the order of computing: one line a network.

The lines are read beside the papers' tables and figures. ``conv 16 3x3 /2`` has 16 outputs and stride 2, and is padded by half
its kernel unless another padding stands there (``p0``); ``up`` is a transposed convolution, ``bn`` batch normalisation, ``in`` that
of instances, ``ln`` that of layers, ``drop`` dropout in training; ``*2 -1`` is arithmetic with numbers; ``+`` adds two branches.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode, resolve_name

import paperzoo


class Recorder(TorchFunctionMode):
    """Takes down the functions that change what a network says, by short names."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.found: list[str] = []
        self.quiet = 0
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.register_forward_pre_hook(lambda m, _: self.drop(m))
                module.register_forward_hook(lambda m, i, o: self.dropped())
            if isinstance(module, nn.RNNBase):
                module.register_forward_pre_hook(lambda m, _: self.found.append(recurrent(m)))

    def drop(self, module: nn.Dropout) -> None:
        self.quiet += 1
        if module.p:
            self.found.append(f"drop {module.p:g}")

    def dropped(self) -> None:
        self.quiet -= 1

    def __torch_function__(self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        said = None if self.quiet else short(str(resolve_name(func) or getattr(func, "__name__", "")), args, kwargs or {})
        if said:
            self.found.append(said)
        return func(*args, **(kwargs or {}))


def short(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    name = name.rpartition(".")[2].strip("_")
    pick = lambda place, key, other=None: args[place] if len(args) > place else kwargs.get(key, other)  # noqa: E731
    if name == "linear":
        return f"linear {args[1].shape[0]}"
    if name in ("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"):
        weight, stride, padding = args[1], pick(3, "stride", 1), pick(4, "padding", 0)
        up = "transpose" in name
        groups = pick(6, "groups", 1)
        outputs = weight.shape[1] * groups if up else weight.shape[0]
        said = f"{'up' if up else 'conv'} {outputs} {'x'.join(map(str, weight.shape[2:]))}"
        strides = stride if isinstance(stride, tuple) else (stride,)
        paddings = padding if isinstance(padding, tuple) else (padding,)
        if set(strides) != {1}:
            said += f" /{'/'.join(map(str, strides if len(set(strides)) > 1 else strides[:1]))}"
        if padding != "same" and tuple(paddings) != tuple(side // 2 for side in weight.shape[2:])[: len(paddings)]:
            said += f" p{'x'.join(map(str, paddings if len(set(paddings)) > 1 else paddings[:1]))}"
        return said + (f" groups {groups}" if groups > 1 else "")
    if name == "batch_norm":
        return "bn"
    if name == "instance_norm":
        return "in"
    if name == "layer_norm":
        return "ln"
    if name == "local_response_norm":
        return f"lrn {pick(1, 'size')} {pick(2, 'alpha'):g} {pick(3, 'beta'):g} {pick(4, 'k', 1.0):g}"
    if name in ("leaky_relu",):
        return f"leaky {pick(1, 'negative_slope', 0.01):g}"
    if name == "pixel_shuffle":
        return f"shuffle {pick(1, 'upscale_factor')}"
    if name in ("relu", "prelu", "tanh", "sigmoid", "softplus", "softmax", "relu6", "exp", "square", "cat", "logsumexp"):
        return name
    if name == "hardtanh":
        return f"clip {pick(1, 'min_val'):g} {pick(2, 'max_val'):g}"
    if name == "gelu":
        return "gelu" if kwargs.get("approximate", "none") == "none" else "gelu by tanh"
    if name == "dropout":
        rate, on = pick(1, "p", 0.5), pick(2, "training", True)
        return f"drop {rate:g}" if rate and on else None
    if name in ("max_pool2d", "max_pool3d", "avg_pool2d", "avg_pool3d"):
        size, stride, padding = pick(1, "kernel_size"), pick(2, "stride"), pick(3, "padding", 0)
        flat = [one[0] if isinstance(one, tuple | list) and len(set(one)) == 1 else one for one in (size, stride or size, padding)]
        return f"{name[:3]} {flat[0]} /{flat[1]}" + (f" p{flat[2]}" if flat[2] else "") + (" all" if kwargs.get("ceil_mode") else "")
    if name == "scaled_dot_product_attention":
        return "attention" + (f" drop {pick(4, 'dropout_p'):g}" if pick(4, "dropout_p", 0.0) else "")
    if name == "pad":
        mode = pick(2, "mode", "constant")
        return f"pad {'x'.join(map(str, args[1]))}" + (f" {mode}" if mode != "constant" else "")
    if name == "adaptive_avg_pool2d":
        return "mean"
    if name in ("mean", "sum", "amax"):
        return name
    if name == "interpolate":
        return f"larger {kwargs.get('scale_factor', pick(2, 'scale_factor'))}"
    if name in ("add", "iadd", "radd", "sub", "rsub", "mul", "rmul", "imul", "div", "truediv"):
        sign = {"a": "+", "i": "+", "s": "-", "m": "*", "d": "/", "t": "/"}[name.lstrip("r")[0]] if name != "imul" else "*"
        if isinstance(args[0], Tensor) and not args[0].is_floating_point():
            return None  # a counter
        numbers = [one for one in args[:2] if not isinstance(one, Tensor)]
        tensors = [one for one in args[:2] if isinstance(one, Tensor)]
        if numbers:
            return f"{sign}{numbers[0]:g}"
        return sign if len(tensors) == 2 and min(one.ndim for one in tensors) > 1 else None
    return None


def recurrent(module: nn.RNNBase) -> str:
    rate = f" drop {module.dropout:g} between" if module.dropout else ""
    return f"{module.mode.lower()} {module.hidden_size} x{module.num_layers}{' both ways' if module.bidirectional else ''}{rate}"


def layers(network: nn.Module, *inputs: Tensor) -> str:
    """The line of a network in training."""
    with torch.no_grad(), Recorder(network.train()) as recorder:
        network(*inputs)
    return ", ".join(recorder.found)


def image(channels: int = 1, side: int = 32, items: int = 2) -> Tensor:
    return torch.rand(items, channels, side, side)


def noise(latent: int = 5) -> Tensor:
    return torch.rand(2, latent)


SMALL = {"image_size": 32, "channels": 1, "latent": 5}
LITTLE = {"layers": 1, "width": 16, "heads": 2, "inner": 32}
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abc"]
ONE = torch.eye(3)[:2]  # labels

#: name, arguments, network, its inputs, and its line
NETWORKS: list[tuple[str, dict[str, Any], str, tuple[Tensor, ...], str]] = [
    ("dcgan", {**SMALL, "width": 8}, "generator", (noise(),),
     "linear 512, bn, relu, up 16 5x5 /2, bn, relu, up 8 5x5 /2, bn, relu, up 1 5x5 /2, tanh"),
    ("dcgan", {**SMALL, "width": 8}, "discriminator", (image(),),
     "conv 8 5x5 /2, leaky 0.2, conv 16 5x5 /2, bn, leaky 0.2, conv 32 5x5 /2, bn, leaky 0.2, linear 1"),
    ("gan3d", {"image_size": 16, "latent": 5, "width": 2}, "generator", (noise(),),
     "*2, -1, up 4 4x4x4 p0, bn, relu, up 2 4x4x4 /2 p1, bn, relu, up 1 4x4x4 /2 p1, sigmoid"),
    ("gan3d", {"image_size": 16, "width": 2}, "discriminator", (torch.rand(2, 1, 16, 16, 16),),
     "conv 2 4x4x4 /2 p1, leaky 0.2, conv 4 4x4x4 /2 p1, bn, leaky 0.2, conv 1 4x4x4 p0"),
    ("acgan", {**SMALL, "classes": 3, "width": 2}, "generator", (noise(), ONE,),
     "cat, linear 768, relu, up 24 5x5 /2, bn, relu, up 12 5x5 /2, bn, relu, up 1 5x5 /2, tanh"),
    ("acgan", {**SMALL, "classes": 3, "width": 2}, "discriminator", (image(),),
     "conv 2 3x3 /2, leaky 0.2, drop 0.5, conv 4 3x3, bn, leaky 0.2, drop 0.5, conv 8 3x3 /2, bn, leaky 0.2, drop 0.5, "
     "conv 16 3x3, bn, leaky 0.2, drop 0.5, conv 32 3x3 /2, bn, leaky 0.2, drop 0.5, conv 64 3x3, bn, leaky 0.2, drop "
     "0.5, linear 1, linear 3"),
    ("infogan", {"noise": 2, "categories": 3}, "generator", (noise(7),),
     "linear 1024, bn, relu, linear 6272, bn, relu, up 64 4x4 /2 p1, bn, relu, up 1 4x4 /2 p1, sigmoid"),
    ("infogan", {"noise": 2, "categories": 3}, "discriminator", (image(side=28),),
     "conv 64 4x4 /2 p1, leaky 0.1, conv 128 4x4 /2 p1, bn, leaky 0.1, linear 1024, bn, leaky 0.1, linear 128, bn, "
     "leaky 0.1, linear 7, linear 1"),
    ("gan", {}, "generator", (noise(100),), "linear 1200, relu, linear 1200, relu, linear 784, sigmoid"),
    ("gan", {}, "discriminator", (image(side=28),),
     "drop 0.2, linear 1200, amax, drop 0.5, linear 1200, amax, drop 0.5, linear 1"),
    ("gan:toy", {}, "discriminator", (noise(2),), "linear 128, relu, linear 128, relu, linear 1"),
    ("cgan", {"classes": 3}, "generator", (noise(100), ONE,),
     "+1, /2, linear 200, linear 1000, cat, relu, drop 0.5, linear 1200, relu, drop 0.5, linear 784, sigmoid"),
    ("cgan", {"classes": 3}, "discriminator", (image(side=28), ONE,),
     "linear 1200, amax, linear 250, amax, cat, drop 0.5, linear 960, amax, drop 0.5, linear 1"),
    ("cgan:conv", {**SMALL, "classes": 3, "width": 8}, "generator", (noise(), ONE,),
     "cat, linear 512, bn, relu, up 16 5x5 /2, bn, relu, up 8 5x5 /2, bn, relu, up 1 5x5 /2, tanh"),
    ("cgan:conv", {**SMALL, "classes": 3, "width": 8}, "discriminator", (image(), ONE,),
     "cat, conv 8 5x5 /2, leaky 0.2, conv 16 5x5 /2, bn, leaky 0.2, conv 32 5x5 /2, bn, leaky 0.2, linear 1"),
    ("wgan", {**SMALL, "width": 8}, "critic", (image(),),
     "conv 8 5x5 /2, leaky 0.2, conv 16 5x5 /2, bn, leaky 0.2, conv 32 5x5 /2, bn, leaky 0.2, linear 1"),
    ("wgan:toy", {}, "critic", (noise(2),),
     "linear 512, relu, linear 512, relu, linear 512, relu, linear 512, relu, linear 1"),
    ("wgan_gp", {**SMALL, "width": 8}, "critic", (image(),),
     "conv 8 5x5 /2, leaky 0.2, conv 16 5x5 /2, leaky 0.2, conv 32 5x5 /2, leaky 0.2, linear 1"),
    ("wavegan", {"length": 1024, "width": 4, "latent": 5}, "generator", (noise(),),
     "linear 256, relu, up 8 25 /4 p11, relu, up 4 25 /4 p11, relu, up 1 25 /4 p11, tanh"),
    ("wavegan", {"length": 1024, "width": 4, "shuffle": 0}, "critic", (torch.rand(2, 1, 1024),),
     "conv 4 25 /4 p11, leaky 0.2, conv 8 25 /4 p11, leaky 0.2, conv 16 25 /4 p11, leaky 0.2, linear 1"),
    ("wgan_gp:toy", {}, "critic", (noise(2),), "linear 512, relu, linear 512, relu, linear 512, relu, linear 1"),
    ("wgan_gp:resnet", {**SMALL, "width": 8}, "generator", (noise(),),
     "linear 128, larger 2.0, conv 8 1x1, bn, relu, larger 2.0, conv 8 3x3, bn, relu, conv 8 3x3, +, larger 2.0, conv "
     "8 1x1, bn, relu, larger 2.0, conv 8 3x3, bn, relu, conv 8 3x3, +, larger 2.0, conv 8 1x1, bn, relu, larger 2.0, "
     "conv 8 3x3, bn, relu, conv 8 3x3, +, bn, relu, conv 1 3x3, tanh"),
    ("wgan_gp:resnet", {**SMALL, "width": 8}, "critic", (image(),),
     "avg 2 /2, conv 8 1x1, conv 8 3x3, relu, conv 8 3x3, avg 2 /2, +, avg 2 /2, conv 8 1x1, relu, conv 8 3x3, relu, "
     "conv 8 3x3, avg 2 /2, +, relu, conv 8 3x3, relu, conv 8 3x3, +, relu, conv 8 3x3, relu, conv 8 3x3, +, relu, "
     "mean, linear 1"),
    ("sgan", {**SMALL, "width": 8}, "discriminator", (image(),),
     "conv 8 5x5 /2, leaky 0.2, conv 16 5x5 /2, bn, leaky 0.2, conv 32 5x5 /2, bn, leaky 0.2, linear 10"),
    ("sgan:feature_matching", {}, "generator", (noise(100),),
     "linear 500, bn, softplus, linear 500, bn, softplus, linear 784, sigmoid, *2, -1"),
    ("sgan:feature_matching", {}, "discriminator", (image(side=28),),
     "*0.3, +, linear 1000, relu, *0.5, +, linear 500, relu, *0.5, +, linear 250, relu, *0.5, +, linear 250, relu, "
     "*0.5, +, linear 250, relu, *0.5, +, linear 10"),
    ("ssgan", {**SMALL, "width": 8}, "discriminator", (image(),),
     "avg 2 /2, conv 8 1x1, conv 8 3x3, relu, conv 8 3x3, avg 2 /2, +, avg 2 /2, conv 8 1x1, relu, conv 8 3x3, relu, "
     "conv 8 3x3, avg 2 /2, +, relu, conv 8 3x3, relu, conv 8 3x3, +, relu, conv 8 3x3, relu, conv 8 3x3, +, relu, "
     "sum, linear 1, linear 4"),
    ("cfggan:xicfg", {**SMALL, "width": 8}, "approximator", (noise(),),
     "linear 512, relu, up 16 5x5 /2, bn, relu, conv 16 1x1, bn, relu, up 8 5x5 /2, bn, relu, conv 8 1x1, bn, relu, up "
     "1 5x5 /2, tanh"),
    ("cfggan:xicfg", {**SMALL, "width": 8}, "discriminator", (image(),),
     "conv 8 5x5 /2, leaky 0.2, conv 16 5x5 /2, leaky 0.2, conv 16 1x1, leaky 0.2, conv 32 5x5 /2, leaky 0.2, conv 32 "
     "1x1, leaky 0.2, linear 1"),
    ("cfggan:fc", {**SMALL, "width": 8}, "approximator", (noise(),),
     "linear 512, relu, linear 512, relu, linear 1024, tanh"),
    ("vaegan", {**SMALL, "width": 8}, "encoder", (image(),),
     "conv 8 5x5 /2, bn, relu, conv 16 5x5 /2, bn, relu, conv 32 5x5 /2, bn, relu, linear 256, bn, relu, linear 5, "
     "linear 5"),
    ("vaegan", {**SMALL, "width": 8}, "decoder", (noise(),),
     "linear 512, bn, relu, up 32 5x5 /2, bn, relu, up 16 5x5 /2, bn, relu, up 4 5x5 /2, bn, relu, conv 1 5x5, tanh"),
    ("vaegan", {**SMALL, "width": 8}, "discriminator", (image(),),
     "conv 4 5x5, relu, conv 16 5x5 /2, bn, relu, conv 32 5x5 /2, bn, relu, conv 32 5x5 /2, bn, relu, linear 64, bn, "
     "relu, linear 1"),
    ("vae", {}, "encoder", (image(side=28), torch.zeros(2, 0),), "cat, linear 500, tanh, linear 40"),
    ("vae", {}, "decoder", (noise(20), torch.zeros(2, 0),), "cat, linear 500, tanh, linear 784"),
    ("vae:conv", {"width": 4}, "encoder", (image(), torch.zeros(2, 0),),
     "cat, conv 4 4x4 /2 p1, relu, conv 8 4x4 /2 p1, relu, conv 16 4x4 /2 p1, relu, linear 40"),
    ("vae:conv", {"width": 4}, "decoder", (noise(20), torch.zeros(2, 0),),
     "cat, linear 256, relu, up 8 4x4 /2 p1, relu, up 4 4x4 /2 p1, relu, up 1 4x4 /2 p1"),
    ("aae", {}, "encoder", (image(side=28),), "linear 1000, relu, linear 1000, relu, linear 8"),
    ("aae", {}, "decoder", (noise(8),), "linear 1000, relu, linear 1000, relu, linear 784, sigmoid"),
    ("aae", {}, "discriminator", (noise(8),), "cat, linear 1000, relu, linear 1000, relu, linear 1"),
    ("aae:semi", {}, "encoder", (image(side=28),), "linear 1000, relu, linear 1000, relu, linear 10, bn, linear 10"),
    ("conv_autoencoder", {}, "encoder", (image(side=28),),
     "conv 100 5x5, tanh, max 2 /2, conv 150 5x5, tanh, max 2 /2, conv 200 3x3, tanh, linear 300"),
    ("conv_autoencoder", {}, "decoder", (noise(300),),
     "linear 9800, tanh, conv 150 3x3, tanh, larger 2.0, conv 100 5x5, tanh, larger 2.0, conv 1 5x5, sigmoid"),
    ("linear_autoencoder:deep", {}, "encoder", (image(side=28).flatten(1),),
     "linear 1000, relu, linear 500, relu, linear 250, relu, linear 30"),
    ("linear_autoencoder:deep", {}, "decoder", (noise(30),),
     "linear 250, relu, linear 500, relu, linear 1000, relu, linear 784"),
    ("lenet", {}, "", (image(),),
     "*1.275, -0.1, conv 6 5x5 p0, relu, max 2 /2, conv 16 5x5 p0, relu, max 2 /2, conv 120 5x5 p0, relu, linear 84, "
     "relu, linear 10"),
    ("lenet:1998", {}, "", (image(),),
     "*1.275, -0.1, conv 6 5x5 p0, *0.666667, tanh, *1.7159, avg 2 /2, *4, *, +, *0.666667, tanh, *1.7159, cat, cat, "
     "conv 16 5x5 p0, *0.666667, tanh, *1.7159, avg 2 /2, *4, *, +, *0.666667, tanh, *1.7159, conv 120 5x5 p0, *0.666667, "
     "tanh, *1.7159, linear 84, *0.666667, tanh, *1.7159, -, square, sum"),
    ("resnet:resnet20", {"depth": 8}, "network", (image(3),),
     "conv 16 3x3, bn, relu, conv 16 3x3, bn, relu, conv 16 3x3, bn, +, relu, conv 32 3x3 /2, bn, relu, conv 32 3x3, "
     "bn, pad 0x0x0x0x0x16, +, relu, conv 64 3x3 /2, bn, relu, conv 64 3x3, bn, pad 0x0x0x0x0x32, +, relu, mean, "
     "linear 10"),
    ("resnet:resnet50", {"width": 4}, "network.layer2.0", (torch.rand(2, 16, 8, 8),),
     "conv 8 1x1, bn, relu, conv 8 3x3 /2, bn, relu, conv 32 1x1, bn, conv 32 1x1 /2, bn, +, relu"),
    ("resnet:resnet18", {"width": 4}, "network", (image(3, 64),),
     "conv 4 7x7 /2, bn, relu, max 3 /2 p1, conv 4 3x3, bn, relu, conv 4 3x3, bn, +, relu, conv 4 3x3, bn, relu, conv "
     "4 3x3, bn, +, relu, conv 8 3x3 /2, bn, relu, conv 8 3x3, bn, conv 8 1x1 /2, bn, +, relu, conv 8 3x3, bn, relu, "
     "conv 8 3x3, bn, +, relu, conv 16 3x3 /2, bn, relu, conv 16 3x3, bn, conv 16 1x1 /2, bn, +, relu, conv 16 3x3, "
     "bn, relu, conv 16 3x3, bn, +, relu, conv 32 3x3 /2, bn, relu, conv 32 3x3, bn, conv 32 1x1 /2, bn, +, relu, conv "
     "32 3x3, bn, relu, conv 32 3x3, bn, +, relu, mean, linear 1000"),
    ("preact_resnet:preact20", {"depth": 8}, "network", (image(3),),
     "conv 16 3x3, bn, relu, conv 16 3x3, bn, relu, conv 16 3x3, +, bn, relu, pad 0x0x0x0x0x16, conv 32 3x3 /2, bn, "
     "relu, conv 32 3x3, +, bn, relu, pad 0x0x0x0x0x32, conv 64 3x3 /2, bn, relu, conv 64 3x3, +, bn, relu, mean, "
     "linear 10"),
    ("preact_resnet:preact164", {"depth": 11}, "network", (image(3),),
     "conv 16 3x3, bn, relu, conv 64 1x1, conv 16 1x1, bn, relu, conv 16 3x3, bn, relu, conv 64 1x1, +, bn, relu, conv "
     "128 1x1 /2, conv 32 1x1 /2, bn, relu, conv 32 3x3, bn, relu, conv 128 1x1, +, bn, relu, conv 256 1x1 /2, conv 64 "
     "1x1 /2, bn, relu, conv 64 3x3, bn, relu, conv 256 1x1, +, bn, relu, mean, linear 10"),
    ("stochastic_depth:resnet20", {"depth": 8}, "network", (image(3),),
     "conv 16 3x3, bn, relu, conv 16 3x3, bn, relu, conv 16 3x3, bn, *0.833333, +, relu, pad 0x0x0x0x0x16, conv 32 3x3 "
     "/2, bn, relu, conv 32 3x3, bn, *0.666667, +, relu, pad 0x0x0x0x0x32, conv 64 3x3 /2, bn, relu, conv 64 3x3, bn, "
     "*0.5, +, relu, mean, linear 10"),
    ("fractalnet:fractal20", {"blocks": 2, "columns": 2}, "network", (image(3),),
     "conv 64 3x3, bn, relu, conv 64 3x3, bn, relu, max 2 /2 all, conv 64 3x3, bn, relu, max 2 /2 all, mean, conv 128 "
     "3x3, drop 0.4, bn, relu, conv 128 3x3, drop 0.4, bn, relu, max 2 /2 all, conv 128 3x3, drop 0.4, bn, relu, max 2 "
     "/2 all, mean, mean, linear 10"),
    ("cnn", {}, "network", (image(side=28),),
     "conv 32 3x3, bn, relu, max 2 /2, conv 64 3x3, bn, relu, max 2 /2, conv 128 3x3, bn, relu, max 2 /2, linear 10"),
    ("cnn:deep", {"image_size": 32, "dropout": 0.2}, "network", (image(),),
     "conv 64 3x3, bn, relu, conv 64 3x3, bn, relu, max 2 /2, conv 128 3x3, bn, relu, conv 128 3x3, bn, relu, max 2 "
     "/2, conv 256 3x3, bn, relu, conv 256 3x3, bn, relu, max 2 /2, drop 0.2, linear 10"),
    ("vgg:vgg11", {"image_size": 32, "width": 0.0625}, "network", (image(3),),
     "conv 4 3x3, relu, max 2 /2, conv 8 3x3, relu, max 2 /2, conv 16 3x3, relu, conv 16 3x3, relu, max 2 /2, conv 32 "
     "3x3, relu, conv 32 3x3, relu, max 2 /2, conv 32 3x3, relu, conv 32 3x3, relu, max 2 /2, linear 256, relu, drop "
     "0.5, linear 256, relu, drop 0.5, linear 1000"),
    ("vgg:vgg11_bn", {"image_size": 32, "width": 0.0625}, "network", (image(3),),
     "conv 4 3x3, bn, relu, max 2 /2, conv 8 3x3, bn, relu, max 2 /2, conv 16 3x3, bn, relu, conv 16 3x3, bn, relu, "
     "max 2 /2, conv 32 3x3, bn, relu, conv 32 3x3, bn, relu, max 2 /2, conv 32 3x3, bn, relu, conv 32 3x3, bn, relu, "
     "max 2 /2, linear 256, relu, drop 0.5, linear 256, relu, drop 0.5, linear 1000"),
    ("mobilenet:v1", {"width": 0.25}, "network.features.2", (image(16),),
     "conv 16 3x3 /2 groups 16, bn, relu, conv 32 1x1, bn, relu"),
    ("mobilenet:v2", {"width": 0.25}, "network.features.3", (image(8),),
     "conv 48 1x1, bn, clip 0 6, conv 48 3x3 groups 48, bn, clip 0 6, conv 8 1x1, bn, +"),
    ("mobilenet:v2", {"width": 0.25, "halvings": 0}, "network.classifier", (noise(1280),), "drop 0.2, linear 1000"),
    ("inception:v3", {"width": 0.25}, "network.AuxLogits", (image(192, 17),),
     "avg 5 /3, conv 32 1x1, bn, relu, conv 192 5x5 p0, bn, relu, mean, linear 1000"),
    ("inception:v3", {"width": 0.25}, "network.Mixed_5b", (image(48, 9),),
     "conv 16 1x1, bn, relu, conv 12 1x1, bn, relu, conv 16 5x5, bn, relu, conv 16 1x1, bn, relu, conv 24 3x3, bn, "
     "relu, conv 24 3x3, bn, relu, avg 3 /1 p1, conv 8 1x1, bn, relu, cat"),
    ("inception:v3", {"width": 0.25}, "network.Mixed_6a", (image(72, 9),),
     "conv 96 3x3 /2 p0, bn, relu, conv 16 1x1, bn, relu, conv 24 3x3, bn, relu, conv 24 3x3 /2 p0, bn, relu, max 3 "
     "/2, cat"),
    ("inception:v3", {"width": 0.25}, "network.Mixed_6b", (image(192, 9),),
     "conv 48 1x1, bn, relu, conv 32 1x1, bn, relu, conv 32 1x7, bn, relu, conv 48 7x1, bn, relu, conv 32 1x1, bn, "
     "relu, conv 32 7x1, bn, relu, conv 32 1x7, bn, relu, conv 32 7x1, bn, relu, conv 48 1x7, bn, relu, avg 3 /1 p1, "
     "conv 48 1x1, bn, relu, cat"),
    ("inception:v3", {"width": 0.25}, "network.Mixed_7a", (image(192, 9),),
     "conv 48 1x1, bn, relu, conv 80 3x3 /2 p0, bn, relu, conv 48 1x1, bn, relu, conv 48 1x7, bn, relu, conv 48 7x1, "
     "bn, relu, conv 48 3x3 /2 p0, bn, relu, max 3 /2, cat"),
    ("inception:v3", {"width": 0.25}, "network.Mixed_7b", (image(320, 9),),
     "conv 96 1x1, bn, relu, conv 112 1x1, bn, relu, conv 96 3x3, bn, relu, conv 96 1x3, bn, relu, conv 96 3x1, bn, "
     "relu, conv 96 1x3, bn, relu, conv 96 3x1, bn, relu, conv 80 1x1, bn, relu, avg 3 /1 p1, conv 48 1x1, bn, relu, "
     "cat"),
    ("googlenet", {"width": 0.25}, "network.inception3a", (image(48, 9),),
     "conv 16 1x1, relu, conv 24 1x1, relu, conv 32 3x3, relu, conv 4 1x1, relu, conv 8 5x5, relu, max 3 /1 p1, conv 8 "
     "1x1, relu, cat"),
    ("googlenet", {"width": 0.25}, "network.aux1", (image(128, 14),),
     "avg 5 /3, conv 32 1x1, relu, linear 256, relu, drop 0.7, linear 1000"),
    ("rethinking:inception", {"width": 0.25}, "network.1", (image(24, 9),),
     "conv 8 1x1, bn, relu, conv 8 3x3, bn, relu, cat"),
    ("rethinking:inception", {"width": 0.25}, "network.3", (image(20, 9),), "conv 20 3x3 /2, bn, relu, max 3 /2 p1, cat"),
    ("rethinking:alexnet", {"width": 0.25}, "network", (image(3, 28),),
     "conv 16 5x5, relu, max 3 /2 p1, lrn 9 0.001 0.75 1, conv 16 5x5, relu, max 3 /2 p1, lrn 9 0.001 0.75 1, linear "
     "96, relu, linear 48, relu, linear 10"),
    ("rethinking:mlp3x512", {}, "network", (image(3, 28),),
     "linear 512, relu, linear 512, relu, linear 512, relu, linear 10"),
    ("t3d:t3d121", {"blocks": (1, 1, 1), "width": 4, "growth": 2, "ttl": 3}, "network", (torch.rand(2, 3, 8, 32, 32),),
     "conv 4 3x7x7 /2, bn, relu, max 3 /2 p1, bn, relu, conv 8 1x1x1, bn, relu, conv 2 3x3x3, cat, bn, relu, conv 3 "
     "1x1x1, bn, relu, conv 3 3x3x3, bn, relu, pad 0x0x0x0x2x3, conv 3 6x3x3 p0x1x1, cat, avg 2 /2 all, bn, relu, conv "
     "8 1x1x1, bn, relu, conv 2 3x3x3, cat, bn, relu, conv 3 1x1x1, bn, relu, conv 3 3x3x3, bn, relu, pad 0x0x0x0x1x2, "
     "conv 3 4x3x3 p0x1x1, cat, avg [1, 2, 2] /[1, 2, 2] all, bn, relu, conv 8 1x1x1, bn, relu, conv 2 3x3x3, cat, bn, "
     "relu, mean, linear 101"),
    ("t3d:densenet3d121", {"blocks": (1, 1), "width": 4, "growth": 2}, "network", (torch.rand(2, 3, 8, 32, 32),),
     "conv 4 3x7x7 /2, bn, relu, max 3 /2 p1, bn, relu, conv 8 1x1x1, bn, relu, conv 2 3x3x3, cat, bn, relu, conv 3 "
     "1x1x1, avg 2 /2 all, bn, relu, conv 8 1x1x1, bn, relu, conv 2 3x3x3, cat, bn, relu, mean, linear 101"),
    ("t3d:frames2d", {"blocks": (1, 1), "width": 4, "growth": 2}, "network", (torch.rand(2, 3, 8, 32, 32),),
     "conv 4 1x7x7 /1/2/2, bn, relu, max (1, 3, 3) /(1, 2, 2) p(0, 1, 1), bn, relu, conv 8 1x1x1, bn, relu, conv 2 "
     "1x3x3, cat, bn, relu, conv 3 1x1x1, avg [1, 2, 2] /[1, 2, 2] all, bn, relu, conv 8 1x1x1, bn, relu, conv 2 "
     "1x3x3, cat, bn, relu, mean, linear 101"),
    ("transformer:base", LITTLE, "network", (torch.ones(2, 4).long(), torch.ones(2, 3).long(),),
     "*4, +, drop 0.1, linear 16, linear 16, linear 16, attention, linear 16, drop 0.1, +, ln, linear 32, relu, linear "
     "16, drop 0.1, +, ln, linear 16, linear 16, *4, +, drop 0.1, linear 16, linear 16, linear 16, attention, linear "
     "16, drop 0.1, +, ln, linear 16, attention, linear 16, drop 0.1, +, ln, linear 32, relu, linear 16, drop 0.1, +, "
     "ln, linear 37000"),
    ("bert:base", {**LITTLE, "vocabulary": PIECES}, "bert", (torch.ones(2, 4).long(), torch.zeros(2, 4).long(), torch.tensor([4, 4]),),
     "+, +, ln, drop 0.1, linear 48, attention drop 0.1, linear 16, drop 0.1, +, ln, linear 32, gelu, linear 16, drop "
     "0.1, +, ln, linear 16, tanh"),
    ("bert:base", {**LITTLE, "vocabulary": PIECES}, "words", (noise(16), torch.rand(8, 16),),
     "linear 16, gelu, ln, linear 8"),
    ("bilstm_crf", {"dropout": 0.5}, "network", (torch.ones(2, 3).long(), torch.tensor([3, 2]),),
     "cat, drop 0.5, lstm 300 x1, lstm 300 x1, cat, drop 0.5, linear 9"),
    ("char_rnn:zaremba-medium", {"vocabulary": ["<unk>", *PIECES]}, "network", (torch.ones(2, 3).long(), None,),
     "drop 0.5, lstm 650 x2 drop 0.5 between, drop 0.5, linear 9"),
    ("forecaster:lstm", {}, "network", (torch.rand(2, 32, 1),), "lstm 16 x1, linear 1"),
    ("forecaster:bidirectional", {}, "network", (torch.rand(2, 32, 1),), "lstm 16 x1 both ways, linear 1"),
    ("forecaster:mlp", {}, "network", (torch.rand(2, 32, 1),), "linear 16, relu, linear 1"),
    ("srcnn", {}, "network", (image(),), "conv 64 9x9 p0, relu, conv 32 1x1, relu, conv 1 5x5 p0"),
    ("srcnn:9-5-5", {}, "network", (image(),), "conv 64 9x9 p0, relu, conv 32 5x5 p0, relu, conv 1 5x5 p0"),
    ("vdsr", {}, "network", (image(),), "conv 64 3x3, relu, " * 19 + "conv 1 3x3, +"),
    ("context_encoder", {"width": 2, "bottleneck": 8}, "generator", (image(3, 128),),
     "conv 2 4x4 /2 p1, leaky 0.2, conv 2 4x4 /2 p1, bn, leaky 0.2, conv 4 4x4 /2 p1, bn, leaky 0.2, conv 8 4x4 /2 p1, bn, leaky 0.2, "
     "conv 16 4x4 /2 p1, bn, leaky 0.2, conv 8 4x4 p0, bn, leaky 0.2, up 16 4x4 p0, bn, relu, up 8 4x4 /2 p1, bn, relu, "
     "up 4 4x4 /2 p1, bn, relu, up 2 4x4 /2 p1, bn, relu, up 3 4x4 /2 p1, tanh"),
    ("context_encoder", {"width": 2, "bottleneck": 8}, "discriminator", (image(3, 64),),
     "conv 2 4x4 /2 p1, leaky 0.2, conv 4 4x4 /2 p1, bn, leaky 0.2, conv 8 4x4 /2 p1, bn, leaky 0.2, conv 16 4x4 /2 p1, bn, leaky 0.2, "
     "conv 1 4x4 p0"),
    ("context_encoder:alexnet", {"width": 4}, "generator", (image(3, 227),),
     "conv 6 11x11 /4 p0, relu, lrn 5 0.0001 0.75 1, max 3 /2, conv 16 5x5 groups 2, relu, lrn 5 0.0001 0.75 1, max 3 /2, conv 24 3x3, "
     "relu, conv 24 3x3 groups 2, relu, conv 16 3x3 groups 2, relu, max 3 /2, +, relu, conv 16 1x1, relu, up 8 5x5 /2, relu, "
     "up 4 5x5 /2, relu, up 4 5x5 /2, relu, up 2 5x5 /2, relu, up 3 5x5 /2, tanh, larger None"),
    ("srgan", {"width": 2, "blocks": 1}, "generator", (image(3, 8),),
     "conv 2 9x9, prelu, conv 2 3x3, bn, prelu, conv 2 3x3, bn, +, conv 2 3x3, bn, +, conv 8 3x3, shuffle 2, prelu, conv 8 3x3, shuffle 2, "
     "prelu, conv 3 9x9"),
    ("srgan", {"image_size": 32, "critic_width": 2, "hidden": 4}, "discriminator", (image(3),),
     "conv 2 3x3, leaky 0.2, conv 2 3x3 /2, bn, leaky 0.2, conv 4 3x3, bn, leaky 0.2, conv 4 3x3 /2, bn, leaky 0.2, conv 8 3x3, bn, "
     "leaky 0.2, conv 8 3x3 /2, bn, leaky 0.2, conv 16 3x3, bn, leaky 0.2, conv 16 3x3 /2, bn, leaky 0.2, linear 4, leaky 0.2, linear 1"),
    ("ram", {}, "network.glimpse", (image(side=29), noise(2),),
     "+1, *28, /2, +0.5, +, /, linear 128, relu, linear 128, relu, linear 256, linear 256, +, relu"),
    ("ram", {}, "network.core", (noise(256), (noise(256), noise(256)),), "linear 256, linear 256, +, relu"),
    ("pix2pix", {"image_size": 32, "width": 2}, "generator", (image(3),),
     "conv 2 4x4 /2 p1, leaky 0.2, conv 4 4x4 /2 p1, bn, leaky 0.2, conv 8 4x4 /2 p1, bn, leaky 0.2, conv 16 4x4 /2 p1, bn, leaky 0.2, "
     "conv 16 4x4 /2 p1, relu, up 16 4x4 /2 p1, bn, drop 0.5, cat, relu, up 8 4x4 /2 p1, bn, cat, relu, up 4 4x4 /2 p1, bn, cat, relu, "
     "up 2 4x4 /2 p1, bn, cat, relu, up 3 4x4 /2 p1, tanh"),
    ("pix2pix", {"image_size": 32, "width": 2}, "discriminator", (image(6),),
     "conv 2 4x4 /2 p1, leaky 0.2, conv 4 4x4 /2 p1, bn, leaky 0.2, conv 8 4x4 /2 p1, bn, leaky 0.2, conv 16 4x4 p1, bn, leaky 0.2, "
     "conv 1 4x4 p1"),
    ("pix2pix:patch1", {"image_size": 32, "width": 2}, "discriminator", (image(6),),
     "conv 2 1x1, leaky 0.2, conv 4 1x1, bn, leaky 0.2, conv 1 1x1"),
    ("cyclegan", {"image_size": 32, "width": 2, "critic_width": 2, "blocks": 1}, "g", (image(3),),
     "pad 3x3x3x3 reflect, conv 2 7x7 p0, in, relu, pad 1x1x1x1 reflect, conv 4 3x3 /2 p0, in, relu, pad 1x1x1x1 reflect, "
     "conv 8 3x3 /2 p0, in, relu, pad 1x1x1x1 reflect, conv 8 3x3 p0, in, relu, pad 1x1x1x1 reflect, conv 8 3x3 p0, in, +, "
     "up 4 3x3 /2, in, relu, up 2 3x3 /2, in, relu, pad 3x3x3x3 reflect, conv 3 7x7 p0, tanh"),
    ("cyclegan", {"image_size": 32, "width": 2, "critic_width": 2, "blocks": 1}, "d_x", (image(3),),
     "conv 2 4x4 /2 p1, leaky 0.2, conv 4 4x4 /2 p1, in, leaky 0.2, conv 8 4x4 /2 p1, in, leaky 0.2, conv 16 4x4 p1, in, leaky 0.2, "
     "conv 1 4x4 p1"),
    ("discogan", {"image_size": 16, "width": 2}, "g_ab", (image(3, 16),),
     "conv 2 4x4 /2 p1, leaky 0.2, conv 4 4x4 /2 p1, bn, leaky 0.2, up 2 4x4 /2 p1, bn, relu, up 3 4x4 /2 p1, sigmoid"),
    ("discogan:five_layers", {"image_size": 16, "width": 2}, "g_ba", (image(3, 16),),
     "conv 2 4x4 /2 p1, leaky 0.2, conv 4 4x4 /2 p1, bn, leaky 0.2, conv 100 4x4 p0, bn, leaky 0.2, up 4 4x4 p0, bn, relu, "
     "up 2 4x4 /2 p1, bn, relu, up 3 4x4 /2 p1, sigmoid"),
    ("discogan", {"image_size": 16, "width": 2}, "d_a", (image(3, 16),),
     "conv 2 4x4 /2 p1, leaky 0.2, conv 4 4x4 /2 p1, bn, leaky 0.2, conv 1 4x4 p0"),
    ("discogan:toy", {}, "g_ab", (noise(2),), "linear 128, relu, linear 128, relu, linear 2"),
    ("discogan:toy", {}, "d_b", (noise(2),), "linear 128, relu, linear 128, relu, linear 128, relu, linear 128, relu, linear 1"),
    ("stargan", {"image_size": 16, "width": 2, "critic_width": 2, "blocks": 1, "layers": 2}, "generator", (image(3, 16), noise(5)),
     "cat, conv 2 7x7, in, relu, conv 4 4x4 /2 p1, in, relu, conv 8 4x4 /2 p1, in, relu, conv 8 3x3, in, relu, conv 8 3x3, in, +, "
     "up 4 4x4 /2 p1, in, relu, up 2 4x4 /2 p1, in, relu, conv 3 7x7, tanh"),
    ("stargan", {"image_size": 16, "width": 2, "critic_width": 2, "blocks": 1, "layers": 2}, "discriminator", (image(3, 16),),
     "conv 2 4x4 /2 p1, leaky 0.01, conv 4 4x4 /2 p1, leaky 0.01, conv 1 3x3, conv 5 4x4 p0"),
    ("ram:fc", {}, "network", (image(side=28),), "linear 256, relu, linear 256, relu, linear 10"),
    ("ram:conv", {}, "network", (image(side=28),), "conv 8 10x10 /5 p0, relu, linear 256, relu, linear 10"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments", "part", "inputs", "line"), NETWORKS, ids=[f"{row[0]} {row[2]}" for row in NETWORKS])
def test_layers_in_their_order(name: str, arguments: dict[str, Any], part: str, inputs: tuple[Tensor, ...], line: str) -> None:
    assert layers(paperzoo.create(name, **arguments).get_submodule(part), *inputs) == line
