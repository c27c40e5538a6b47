"""EAT-NAS: codes and networks, sizes beside the printed ones, how architectures change, and what a child has of its parent."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fixtures.networks import same
from torch import Tensor, nn

import paperzoo
from paperzoo.data import Batch
from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition import eat_nas
from paperzoo.papers.recognition.eat_nas import EATNET_A, LITTLE, MOBILENET_V2, Layer, Model, multiply_adds, share
from paperzoo.papers.recognition.eat_nas_search import (
    CHOICES,
    Block,
    Quality,
    drawn,
    mutated,
    parsed,
    perturbed,
    quality,
    reward,
    survivors,
    tournament,
    written,
)
from paperzoo.report import sizes

BASE = "mb3k5s1w1d2_sepk3s1w1d1_mb3k3s1w1d1_mb3k3s0w1d1_mb3k3s1w1d2_sepk3s0w1d1_mb6k3s1w1d1"


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def little(code: str, **arguments: Any) -> Model:
    return Model(**{**LITTLE, "code": code, "image_size": 8, "halvings": 1, **arguments}).eval()


def read_off(model: Model) -> tuple[Block, ...]:
    """The code of a network, from its modules alone."""
    code = []
    for base, blocks in zip((4, 6, 8, 16, 24, 40, 80), model.network.blocks, strict=True):
        layers = [m for m in blocks if isinstance(m, Layer)]
        first = layers[0]
        depthwise = first.depthwise[0]
        kind = "sep" if first.spread is None else f"mb{depthwise.in_channels // first.spread[0].in_channels}"
        skips = {layer.skip for layer in layers}
        code.append(Block(kind, depthwise.kernel_size[0], int(skips.pop()), first.gather[0].out_channels / base, len(layers)))
    return tuple(code)


# Codes ---------------------------------------------------------------------------------------------------------------


def test_a_code_becomes_a_network_and_the_network_the_code_again() -> None:
    random = seeded()
    for _ in range(3):
        code = drawn(random)
        assert parsed(written(code)) == code
        with torch.device("meta"):
            assert read_off(little(written(code))) == code
    assert written(parsed("mb6k3s1w1.5d2")) == "mb6k3s1w1.5d2" and parsed("sepk5s0w2d4") == (Block("sep", 5, 0, 2.0, 4),)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("mb6k3s1w1d2_conv3", "block 2 of code is 'conv3', which does not read like mb6k3s1w1.5d2"),
        ("mb5k3s1w1d2", "block 1 of code, mb5k3s1w1d2: kind must be one of sep, mb3, mb6, not mb5"),
        ("mb6k4s1w1d2", "kernel must be one of 3, 5, 7, not 4"),
        ("mb6k3s2w1d2", "skip must be one of 0, 1, not 2"),
        ("mb6k3s1w1.2d2", "width must be one of 0.5, 1, 1.5, 2, not 1.2"),
        ("mb6k3s1w1d5", "depth must be one of 1, 2, 3, 4, not 5"),
        ("mb6k3s1w1d2", "code has 1 blocks, stages 7 and strides 7: they must be as many"),
    ],
)
def test_a_code_that_means_nothing_is_named_by_block_and_primitive(code: str, says: str) -> None:
    with torch.device("meta"), pytest.raises(PaperzooError, match=re.escape(says)):
        paperzoo.create("eat_nas", code=code)


def test_more_halvings_than_strides_are_refused() -> None:
    with torch.device("meta"), pytest.raises(PaperzooError, match=r"model\.halvings must be at most 5, the stem and the strides"):
        paperzoo.create("eat_nas", halvings=6)


# Sizes ---------------------------------------------------------------------------------------------------------------


def test_the_table_of_eatnet_a_has_other_sizes_than_the_paper_prints() -> None:
    """5.1 million parameters and 563 million multiply-adds are printed; neither is what the third party's table adds up to."""
    counts = {one.claim.id: (one.ours, one.equal) for one in sizes.counts("eat_nas")}
    assert counts == {"a-parameters": (5.240616, False), "a-multiply-adds": (pytest.approx(3987.697664), False)}
    by_hand, inputs, side, adds = 3 * 32 * 9 + 64, 32, 112, 3 * 32 * 9 * 112**2
    for block, outputs, stride in zip(parsed(str(EATNET_A["code"])), (32, 64, 64, 112, 256, 512), (1, 2, 1, 2, 1, 2), strict=True):
        for number in range(block.depth):
            hidden, area = inputs * {"sep": 1, "mb3": 3, "mb6": 6}[block.kind], side**2
            side //= stride if number == 0 else 1
            spread = 0 if block.kind == "sep" else inputs * hidden
            by_hand += spread + 2 * hidden * (block.kind != "sep") + hidden * block.kernel**2 + 2 * hidden + hidden * outputs + 2 * outputs
            adds += spread * area + (hidden * block.kernel**2 + hidden * outputs) * side**2
            inputs = outputs
    assert (by_hand + 513_000, adds + 512_000) == (5_240_616, 3_987_697_664)


def test_both_counters_agree_and_count_mobilenet_v2_as_is_the_custom() -> None:
    with torch.device("meta"):
        model = paperzoo.create("mobilenet:v2").eval()
        assert multiply_adds(model, torch.empty(2, 3, 224, 224)) == sizes.multiply_adds(model) == pytest.approx(300.774e6, abs=500)
        model = little(written(drawn(seeded(4))))
        assert multiply_adds(model, torch.empty(1, 1, 8, 8)) == sizes.multiply_adds(model)


# Networks ------------------------------------------------------------------------------------------------------------


def stirred(module: nn.Module) -> nn.Module:
    for bn in module.modules():
        if isinstance(bn, nn.BatchNorm2d):
            nn.init.normal_(bn.running_mean)
            nn.init.uniform_(bn.running_var, 0.5, 2)
            nn.init.normal_(bn.weight, 1.0, 0.5)
            nn.init.normal_(bn.bias)
    return module.double().eval()


def normed(x: Tensor, bn: nn.BatchNorm2d) -> Tensor:
    view = (1, -1, 1, 1)
    whitened = (x - bn.running_mean.view(view)) / (bn.running_var.view(view) + 2e-5).sqrt()
    return whitened * bn.weight.view(view) + bn.bias.view(view)


@pytest.mark.parametrize("kind", CHOICES["kind"])
@pytest.mark.parametrize(("outputs", "stride", "skip"), [(4, 1, True), (4, 1, False), (6, 1, True), (4, 2, True)])
def test_a_layer_by_hand(kind: str, outputs: int, stride: int, skip: bool) -> None:
    layer, x = stirred(Layer(kind, 4, outputs, 5, stride, skip)), torch.randn(2, 4, 7, 7, dtype=torch.float64)
    h = x
    if kind != "sep":
        h = normed(torch.einsum("nchw,oc->nohw", h, layer.spread[0].weight[:, :, 0, 0]), layer.spread[1]).relu()
        assert h.shape[1] == 4 * {"mb3": 3, "mb6": 6}[kind]
    h = normed(F.conv2d(F.pad(h, (2, 2, 2, 2)), layer.depthwise[0].weight, stride=stride, groups=h.shape[1]), layer.depthwise[1]).relu()
    h = normed(torch.einsum("nchw,oc->nohw", h, layer.gather[0].weight[:, :, 0, 0]), layer.gather[1])
    h = h.relu() if kind == "sep" else h
    if skip and (stride, outputs) == (1, 4):
        assert layer.shortcut is None
        h = h + x
    elif skip:
        h = h + normed(torch.einsum("nchw,oc->nohw", x[:, :, ::stride, ::stride], layer.shortcut[0].weight[:, :, 0, 0]), layer.shortcut[1])
    assert torch.allclose(layer(x), h, atol=1e-9) and h.shape == (2, outputs, 7 // stride + 7 % stride if stride == 2 else 7, h.shape[3])


def test_images_are_halved_where_mobilenet_v2_halves_them_the_first_ones_left_out() -> None:
    with torch.device("meta"):
        for halvings in (0, 3, 5):
            model, sides = Model(halvings=halvings), []
            for part in (model.network.stem, *model.network.blocks):
                part.register_forward_hook(lambda m, i, o, sides=sides: sides.append(o.shape[-1]))
            model.eval()(torch.empty(1, 3, 64, 64))
            full = [64 // 2**n for n in (1, 1, 2, 3, 4, 4, 5, 5)]
            assert sides == [min(64, side * 2 ** (5 - halvings)) for side in full]
    assert little(MOBILENET_V2, head=0, halvings=0)(torch.rand(2, 1, 1, 1)).shape == (2, 10)


def test_from_image_to_logits_and_the_smoothed_loss_by_hand() -> None:
    model = stirred(Model(code=BASE, width=0.25, head=20, classes=5, channels=3, image_size=16, halvings=2))
    image, label, losses = torch.rand(4, 3, 16, 16, dtype=torch.float64), torch.tensor([0, 3, 4, 3]), []
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    conv, bn, _ = model.network.stem
    h = normed(F.conv2d(F.pad((image - mean) / std, (1, 1, 1, 1)), conv.weight), bn).relu()  # both halvings are left to later blocks
    for block in model.network.blocks:
        h = block(h)
    conv, bn, _ = model.network.head
    h = normed(torch.einsum("nchw,oc->nohw", h, conv.weight[:, :, 0, 0]), bn).relu()
    linear = model.network.classifier[1]
    logits = h.mean((2, 3)) @ linear.weight.T + linear.bias
    assert torch.allclose(model(image), logits, atol=1e-5) and h.shape == (4, 20, 4, 4)
    model.step(Batch(image=image, label=label), SimpleNamespace(network=SimpleNamespace(minimize=losses.append)))
    log = logits.log_softmax(1)
    wanted = torch.full((4, 5), 0.1 / 5, dtype=torch.float64).scatter_add(1, label[:, None], torch.full((4, 1), 0.9, dtype=torch.float64))
    assert losses[0].item() == pytest.approx(-(wanted * log).sum(1).mean().item(), abs=1e-5)


# How architectures change --------------------------------------------------------------------------------------------


def differences(a: tuple[Block, ...], b: tuple[Block, ...]) -> list[tuple[int, str]]:
    assert len(a) == len(b)
    return [(i, name) for i, (x, y) in enumerate(zip(a, b, strict=True)) for name in CHOICES if getattr(x, name) != getattr(y, name)]


def test_a_mutation_changes_exactly_one_primitive_and_all_of_them_in_time() -> None:
    random, seen = seeded(), Counter[tuple[int, str]]()
    code = drawn(random)
    for _ in range(1500):
        child = mutated(code, random)
        (difference,) = differences(code, child)
        assert parsed(written(child)) == child
        seen[difference] += 1
    assert len(seen) == 35 and min(seen.values()) > 15 and max(seen.values()) < 85  # 43 on average, deviation 6.5


@pytest.mark.parametrize("blocks", [1, 3, 7])
def test_a_perturbation_changes_one_primitive_in_each_of_so_many_blocks(blocks: int) -> None:
    random = seeded(1)
    code = drawn(random)
    for _ in range(20):
        places = [place for place, _ in differences(code, perturbed(code, random, blocks))]
        assert len(places) == len(set(places)) == blocks
    with pytest.raises(PaperzooError, match="perturbed blocks must be from 1 to 7, as many as the architecture has, not 8"):
        perturbed(code, random, 8)


def test_all_is_a_function_of_the_generator() -> None:
    def story(seed: int) -> list[Any]:
        random = seeded(seed)
        code = drawn(random)
        return [code, mutated(code, random), perturbed(code, random, 2), tournament([0.1, 0.5, 0.2, 0.4], 2, random)]

    assert story(3) == story(3) != story(4)


def test_random_architectures_take_every_value_alike() -> None:
    random = seeded(2)
    blocks = [block for _ in range(300) for block in drawn(random)]
    for name, values in CHOICES.items():
        seen = Counter(getattr(block, name) for block in blocks)
        assert set(seen) == set(values) and max(seen.values()) < 1.25 * len(blocks) / len(values)


def test_the_reward_rises_with_accuracy_and_falls_with_multiply_adds() -> None:
    assert reward(0.75, 563e6, 563e6) == 0.75 and reward(0.0, 1.0, 9.0) == 0.0
    assert reward(0.8, 2.0, 1.0) == pytest.approx(0.8 * 2**-0.07) and reward(0.8, 0.5, 1.0) > 0.8
    accuracies, adds = [i / 10 for i in range(11)], [10.0**i for i in range(10)]
    for a, b in zip(accuracies, accuracies[1:], strict=False):
        assert all(reward(b, m, 1e6) > reward(a, m, 1e6) for m in adds)
    for m, n in zip(adds, adds[1:], strict=False):
        assert all(reward(a, m, 1e6) > reward(a, n, 1e6) for a in accuracies[1:])


def test_quality_is_mean_and_variance_and_prefers_a_population_that_agrees() -> None:
    values = [0.2, 0.5, 0.9, 0.4]
    assert quality(values) == pytest.approx((statistics.fmean(values), statistics.pvariance(values)))
    assert Quality(0.5, 0.1).better(Quality(0.4, 0.0)) and Quality(0.5, 0.1).better(Quality(0.5, 0.2))
    assert not Quality(0.5, 0.1).better(Quality(0.5, 0.1)) and not Quality(0.4, 0.0).better(Quality(0.5, 0.9))


def test_a_tournament_is_won_by_the_best_of_those_drawn_and_the_worst_leave() -> None:
    random, rewards = seeded(5), [0.1, 0.9, 0.3, 0.8]
    assert all(tournament(rewards, 4, random) == 1 and tournament(rewards, 9, random) == 1 for _ in range(5))
    won = Counter(tournament(rewards, 2, random) for _ in range(1200))
    assert won[0] == 0 and [round(6 * won[place] / 1200) for place in (1, 2, 3)] == [3, 1, 2]  # of six pairs
    assert Counter(tournament(rewards, 1, random) for _ in range(200)).keys() == {0, 1, 2, 3}
    assert survivors(rewards, 2) == [1, 3] and survivors([0.5, 0.5, 0.5], 2) == [1, 2] and survivors([0.1], 4) == [0]


# What a child has of its parent --------------------------------------------------------------------------------------


def pair(code: str) -> tuple[Model, Model, Tensor]:
    """A parent with statistics of its own, a fresh child, images."""
    torch.manual_seed(1)
    parent = little(BASE)
    for bn in (m for m in parent.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.normal_(bn.running_mean)
        nn.init.uniform_(bn.running_var, 0.5, 2)
        nn.init.normal_(bn.weight, 1.0, 0.5)
        nn.init.normal_(bn.bias)
    return parent, little(code), torch.rand(3, 1, 8, 8)


def test_a_child_of_the_same_code_is_the_same_function() -> None:
    parent, child, image = pair(BASE)
    assert not torch.allclose(parent(image), child(image))
    share(parent.network, child.network)
    assert same(parent, child) and torch.equal(parent(image), child(image))


def test_a_larger_kernel_begins_as_the_smaller_one_in_its_middle() -> None:
    parent, child, image = pair(BASE.replace("mb3k5", "mb3k7", 1))
    share(parent.network, child.network)
    assert not torch.equal(parent(image), child(image))  # the rim is fresh
    for layer in child.network.blocks[0]:
        rim = torch.ones(7, 7, dtype=torch.bool)
        rim[1:6, 1:6] = False
        with torch.no_grad():
            layer.depthwise[0].weight[:, :, rim] = 0
    assert torch.allclose(parent(image), child(image), atol=1e-5)


def test_a_smaller_kernel_is_the_middle_of_the_larger_one() -> None:
    parent, child, _ = pair(BASE.replace("mb3k5", "mb3k3", 1))
    share(parent.network, child.network)
    ours, theirs = (m.network.blocks[0][0].depthwise[0].weight for m in (child, parent))
    assert torch.equal(ours, theirs[:, :, 1:4, 1:4])


def test_a_new_layer_with_a_shortcut_adds_nothing_but_its_own_branch() -> None:
    parent, child, image = pair(BASE.replace("mb3k5s1w1d2", "mb3k5s1w1d3", 1))
    share(parent.network, child.network)
    assert not torch.allclose(parent(image), child(image))
    last = child.network.blocks[0][2].gather[1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    assert torch.allclose(parent(image), child(image), atol=1e-5)


def test_a_shallower_child_is_the_parent_without_its_last_layer() -> None:
    parent, child, image = pair(BASE.replace("mb3k5s1w1d2", "mb3k5s1w1d1", 1))
    share(parent.network, child.network)
    parent.network.blocks[0] = parent.network.blocks[0][:1]
    assert torch.equal(parent(image), child(image))


def test_a_narrower_child_has_the_first_channels_and_what_has_no_place_stays_fresh() -> None:
    parent, child, _ = pair(BASE.replace("sepk3s1w1d1", "sepk3s1w0.5d1", 1))
    share(parent.network, child.network)
    ours, theirs = (m.network.blocks[1][0].gather for m in (child, parent))
    assert torch.equal(ours[0].weight, theirs[0].weight[:3]) and torch.equal(ours[1].running_mean, theirs[1].running_mean[:3])
    parent, child, _ = pair(BASE.replace("sepk3s1w1d1", "sepk3s1w2d1", 1))
    fresh = child.network.blocks[1][0].gather[0].weight.detach().clone()
    share(parent.network, child.network)
    ours, theirs = (m.network.blocks[1][0].gather[0].weight for m in (child, parent))
    assert torch.equal(ours[:6], theirs) and torch.equal(ours[6:], fresh[6:])


def test_layers_of_another_kind_are_not_handed_down_and_those_after_it_are() -> None:
    parent, child, _ = pair(BASE.replace("sepk3s1w1d1", "mb3k3s1w1d1", 1))
    fresh = child.network.blocks[1][0].gather[0].weight.detach().clone()
    share(parent.network, child.network)
    assert torch.equal(child.network.blocks[1][0].gather[0].weight, fresh)
    assert same(child.network.blocks[2], parent.network.blocks[2]) and same(child.network.classifier, parent.network.classifier)


def test_the_space_reaches_mobilenet_v2_but_for_its_first_block() -> None:
    from paperzoo.papers.recognition.mobilenet import V2

    code = parsed(MOBILENET_V2)
    assert [(c, n, s) for _, c, n, s in V2] == list(zip(eat_nas.CHANNELS, (b.depth for b in code), eat_nas.STRIDES, strict=True))
    assert {b.kind for b in code} == {"mb6"} and [t for t, *_ in V2[1:]] == [6] * 6
