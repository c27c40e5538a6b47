"""FractalNet: the expansion rule, joins, drop-path, columns alone, and what global drop-path is for."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import paperzoo
from paperzoo import catalog
from paperzoo.data import Batch, Dataset, Images, Schema, Split, Values
from paperzoo.engine.players import Players
from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition.fractalnet import (
    VARIANTS,
    Conv,
    FractalBlock,
    Model,
    draw_paths,
    join,
    joins,
    one_column,
)


def inputs(columns: int, blocks: int) -> int:
    return sum(map(len, joins(columns))) * blocks


@pytest.mark.parametrize("name", VARIANTS)
def test_count_by_formula(name: str) -> None:
    """2^C - 1 convolutions a block, of which C see the block's input."""
    columns, widths = VARIANTS[name].get("columns", 3), (3, 64, 128, 256, 512, 512)
    convs = sum(9 * a * (columns * i + (2**columns - 1 - columns) * a) for i, a in zip(widths, widths[1:], strict=False))
    norms = 2 * (2**columns - 1) * sum(widths[1:])
    assert catalog.paper("fractalnet").parameters[name] == convs + norms + 512 * 10 + 10


@pytest.mark.parametrize("columns", [1, 2, 3, 4])
def test_columns_have_twice_the_layers_of_the_one_before(columns: int) -> None:
    block = FractalBlock(2, 2, columns, 0.0)
    assert [len(column) for column in block.columns] == [2**c for c in range(columns)]
    ends = joins(columns)
    assert len(ends) == 2 ** (columns - 1) and ends[-1] == list(range(columns))
    assert [sum(c in row for row in ends) for c in range(columns)] == [2**c for c in range(columns)]
    assert joins(3) == [[2], [1, 2], [2], [0, 1, 2]]


def test_block_follows_the_expansion_rule() -> None:
    """f_{C+1} = [f_C o f_C] (+) [conv], where joins that touch are one: the outputs that meet are listed, and averaged once."""
    torch.manual_seed(0)
    columns = 4
    block = FractalBlock(3, 3, columns, 0.0).double().eval()
    for module in block.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)
    queues = [list(column) for column in block.columns]  # each column's convolutions in their order

    def meeting(z: Tensor, c: int) -> list[Tensor]:
        """What f_c's last join would take in."""
        own = queues[columns - c].pop(0)(z)
        if c == 1:
            return [own]
        return [own, *meeting(torch.stack(meeting(z, c - 1)).mean(0), c - 1)]

    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    by_hand = torch.stack([F.max_pool2d(y, 2) for y in meeting(x, columns)]).mean(0)
    assert not any(queues)  # all 15 convolutions were used, each once
    assert torch.allclose(block(x, joins(columns)), by_hand, atol=1e-12)


def test_join_is_the_mean_of_those_that_are_there() -> None:
    a, b, c = torch.randn(3, 2, 4, 3, 3, dtype=torch.float64)
    assert torch.allclose(join([a, b, c]), (a + b + c) / 3, atol=1e-12)
    assert torch.equal(join([b]), b)
    assert torch.allclose(join([a, a, a]), a, atol=1e-12)


def test_local_paths_keep_at_least_one_input_of_each_join() -> None:
    torch.manual_seed(0)
    number, drop = 6000, 0.6  # high, so that all of a join are often dropped
    kept: dict[tuple[int, int], int] = {}
    for _ in range(number):
        (block,) = draw_paths([0.9, 0.0, *torch.rand(inputs(3, 1)).tolist()], 3, 1, drop, 0.5)
        for row, (live, ends) in enumerate(zip(block, joins(3), strict=True)):
            assert live and set(live) <= set(ends)
            for c in live:
                kept[row, c] = kept.get((row, c), 0) + 1
    for row, ends in enumerate(joins(3)):
        p = 1 - drop + drop ** len(ends) / len(ends)  # spared, or the one that stays when all are dropped
        for c in ends:
            assert abs(kept[row, c] / number - p) <= 3.5 * (p * (1 - p) / number) ** 0.5
    everything = draw_paths([0.9, 0.0, *[0.5] * inputs(3, 2)], 3, 2, 0.0, 0.5)
    assert everything == [joins(3)] * 2


def test_global_paths_are_one_column_of_the_whole_network_half_of_the_time() -> None:
    torch.manual_seed(0)
    number, seen = 4000, [0, 0, 0, 0]
    for _ in range(number):
        paths = draw_paths(torch.rand(2 + inputs(3, 4)).tolist(), 3, 4, 0.15, 0.5)
        alone = [c for c in range(3) if paths == one_column(c, 3, 4)]
        seen[alone[0] if alone else 3] += 1
    p = torch.tensor([1 / 6, 1 / 6, 1 / 6, 1 / 2])  # a local draw that happens to be one column is rarer than 10^-6
    assert ((torch.tensor(seen) / number - p).abs() <= 3.5 * (p * (1 - p) / number).sqrt()).all(), seen


@pytest.mark.parametrize("column", [1, 2, 3])
def test_a_column_alone_is_a_plain_network(column: int) -> None:
    torch.manual_seed(0)
    model, image = Model(width=2, dropout=0.0).double().eval(), torch.rand(2, 3, 32, 32, dtype=torch.float64)
    network, x = model.network, image
    for block in network.blocks:
        for conv in block.columns[column - 1]:
            x = conv(x)
        x = F.max_pool2d(x, 2)
    assert x.shape[2:] == (1, 1)  # section 4: five poolings bring 32x32 to one place
    out = model(image, column=column)
    assert torch.allclose(out, network.output(x.flatten(1)), atol=1e-12)
    gradients = torch.autograd.grad(out.sum(), list(model.parameters()), allow_unused=True)
    reached = {n.split(".")[4] for (n, _), g in zip(model.named_parameters(), gradients, strict=True) if g is not None and "columns" in n}
    assert reached == {str(column - 1)}  # exactly one live path; nothing else is computed


def test_what_no_join_asks_for_is_not_computed() -> None:
    block, computed = FractalBlock(1, 1, 3, 0.0), []
    for c, column in enumerate(block.columns):
        for index, conv in enumerate(column):
            conv.register_forward_hook(lambda m, i, o, at=(c, index): computed.append(at))
    block(torch.rand(2, 1, 4, 4), [[2], [1], [2], [2]])  # at row 2 only column 1 goes on: the deepest's first two are in vain
    assert computed == [(1, 0), (2, 2), (2, 3)]


def test_rate_falls_by_ten_whenever_the_rest_has_halved() -> None:
    factor = Model(width=1).optimizers()["network"][1]
    at = {0: 0, 199: 0, 200: 1, 299: 1, 300: 2, 349: 2, 350: 3, 374: 3, 375: 4, 387: 4, 388: 5, 399: 8}
    assert {i: factor(i, 400) for i in at} == pytest.approx({i: 10.0**-n for i, n in at.items()})
    group = Model(width=1).optimizers()["network"][0].param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.02, 0.9, 0)


def test_dropout_rises_by_block() -> None:
    rates = [[m.dropout.p for m in block.modules() if isinstance(m, Conv)] for block in Model(width=1).network.blocks]
    assert [sorted(set(r)) for r in rates] == [[pytest.approx(x)] for x in (0, 0.1, 0.2, 0.3, 0.4)]


def digits() -> tuple[Tensor, Tensor]:
    from sklearn.datasets import load_digits

    data = load_digits()
    return torch.tensor(data.images, dtype=torch.float32)[:, None] / 16, torch.tensor(data.target)  # (N, 1, 8, 8)


def trained(**arguments: Any) -> Model:
    image, label = digits()
    torch.manual_seed(0)
    model = Model(blocks=2, width=8, channels=1, dropout=0.0, **arguments)
    opt = Players(model.optimizers(lr=0.05))
    opt.total = opt.stage_steps = 150
    for opt.iteration in range(150):
        items = torch.randint(1400, (64,))
        model.step(Batch(image=image[items], label=label[items]), opt)
    return model.eval()


@pytest.mark.processor
def test_global_drop_path_makes_every_column_work_alone() -> None:
    image, label = digits()
    held = Split(Images((image[1400:] * 255).round().to(torch.uint8)), Values("label", label[1400:]))
    data = Dataset(Schema("digits", ("image", "label"), {}), {"test": held}, "", "")
    dropped, undropped = trained(), trained(local_drop=0.0, global_share=0.0)
    with torch.no_grad():
        found, without = dropped.measure(data, "test"), undropped.measure(data, "test")
        alone = [float((dropped(image[1400:], column=c).argmax(1) != label[1400:]).float().mean()) for c in (1, 2, 3)]
    assert found["error %"] < 35 and without["error %"] < 15
    assert max(alone) < 0.55 and found["deepest column error %"] == pytest.approx(100 * alone[2], abs=1)
    assert without["deepest column error %"] > 60  # the ablation: columns that were never alone cannot stand alone


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"columns": 0}, "model.columns must be at least 1, not 0"),
        ({"blocks": 0}, "model.blocks must be at least 1"),
        ({"width": 0}, "model.width must be at least 1"),
        ({"local_drop": 1.0}, "model.local_drop must be less than 1"),
        ({"dropout": -0.1}, "model.dropout must be at least 0"),
        ({"global_share": 2.0}, "model.global_share must be at most 1"),
        ({"mean": (0.1, 0.2)}, "mean of fractalnet"),
    ],
)
def test_arguments(arguments: dict[str, Any], says: str) -> None:
    with torch.device("meta"), pytest.raises(PaperzooError, match=re.escape(says)):
        paperzoo.create("fractalnet", **arguments)


def test_images_of_any_size_and_columns_by_number() -> None:
    model = Model(width=1, channels=1).eval()
    for size in (1, 8, 28, 33, 70):
        assert model(torch.rand(2, 1, size, size)).shape == (2, 10)
    for column in (0, 4):
        with pytest.raises(PaperzooError, match=f"columns 1 to 3, the last the deepest, but no column {column}"):
            model(torch.rand(1, 1, 8, 8), column=column)
