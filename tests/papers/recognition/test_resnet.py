"""ResNet: counts, torchvision's keys and outputs, shortcuts, published weights, and the degradation that they cure."""

from __future__ import annotations

import hashlib
import math
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fixtures.networks import fill, publish, same
from safetensors.torch import save_file
from torch import Tensor, nn

import paperzoo
from paperzoo import catalog
from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition import resnet
from paperzoo.papers.recognition.resnet import VARIANTS, BasicBlock, Bottleneck, Model, PadShortcut
from paperzoo.pretrained.published import load_published

PARAMETERS = catalog.paper("resnet").parameters

#: first 16 hex digits of the SHA-256 of the sorted lines "key shape" of torchvision 0.28.0's state dicts, and the logits
#: [0, 0], [0, 1], [0, 2], [1, 5], [1, 500], [1, 999] of its networks (float64, eval mode) under ``fill`` for ``waves``; from
#: torchvision.models.resnet18() and so on, imported once beside the CPU build of torch. Largest difference then: 0.0
TORCHVISION = {
    18: ("5191d63ec3989592", [0.266935, -0.165508, -0.156632, -0.527867, 0.091277, 0.178439]),
    34: ("f8de2a1812ef85e4", [0.232848, -0.289478, -0.036095, -0.493536, 0.077786, 0.213081]),
    50: ("a87e91cd6bd1f939", [-0.262288, -0.264039, 0.151977, -0.38902, 0.127778, 0.347888]),
    101: ("dbc3ca74fffafc72", []),
    152: ("7d486dbdc941506e", []),
}


def waves() -> Tensor:
    return torch.arange(2 * 3 * 64 * 64, dtype=torch.float64).mul(0.37).sin().reshape(2, 3, 64, 64)


def test_every_variant_has_its_count() -> None:
    assert set(PARAMETERS) == set(VARIANTS)  # and the contract's tests hold them against the networks


def test_plain_networks_lack_only_the_projections() -> None:
    projections = sum(a * b + 2 * b for a, b in ((64, 128), (128, 256), (256, 512)))  # weights, and batch normalisation
    for depth in (18, 34):
        assert PARAMETERS[f"resnet{depth}"] - PARAMETERS[f"plain{depth}"] == projections


@pytest.mark.parametrize("depth", TORCHVISION)
def test_keys_and_shapes_are_torchvisions(depth: int) -> None:
    with torch.device("meta"):
        state = Model(**VARIANTS[f"resnet{depth}"]).network.state_dict()
    listing = "\n".join(sorted(f"{name} {tuple(tensor.shape)}" for name, tensor in state.items()))
    assert hashlib.sha256(listing.encode()).hexdigest()[:16] == TORCHVISION[depth][0]


@pytest.mark.parametrize("depth", [18, 50])  # the basic block and the bottleneck
def test_outputs_are_torchvisions(depth: int) -> None:
    network = Model(**VARIANTS[f"resnet{depth}"]).network.double().eval()
    with torch.no_grad():
        fill(network)
        logits = network(waves())
    found = [*logits[0, :3].tolist(), *logits[1, [5, 500, 999]].tolist()]
    assert found == pytest.approx(TORCHVISION[depth][1], abs=1e-5)


@pytest.mark.parametrize(("block", "width"), [(BasicBlock, 16), (Bottleneck, 4)])
def test_a_block_that_adds_nothing_is_the_identity(block: type[BasicBlock] | type[Bottleneck], width: int) -> None:
    layer, x = block(16, width, 1, "A"), torch.rand(3, 16, 5, 5)
    last = layer.bn2 if isinstance(layer, BasicBlock) else layer.bn3
    nn.init.zeros_(last.weight)
    assert torch.equal(layer(x), x)
    plain = block(16, width, 1, "none")
    nn.init.zeros_((plain.bn2 if isinstance(plain, BasicBlock) else plain.bn3).weight)
    assert not plain(x).any()


def test_option_a_takes_every_second_pixel_and_pads_with_zeros() -> None:
    shortcut, x = PadShortcut(7, 2), torch.randn(2, 3, 5, 6)
    y = shortcut(x)
    assert y.shape == (2, 7, 3, 3) and not list(shortcut.parameters())
    assert torch.equal(y[:, :3], x[:, :, [0, 2, 4]][..., [0, 2, 4]]) and not y[:, 3:].any()


def test_options_differ_only_in_their_shortcuts() -> None:
    keys = {kind: set(Model(depth=8, shortcut=kind).network.state_dict()) for kind in ("none", "A", "B", "C")}
    assert keys["none"] == keys["A"] < keys["B"] < keys["C"]
    assert {k.split(".downsample")[0] for k in keys["B"] - keys["A"]} == {"layer2.0", "layer3.0"}
    assert {k.split(".downsample")[0] for k in keys["C"] - keys["A"]} == {"layer1.0", "layer2.0", "layer3.0"}


@pytest.mark.parametrize("size", [8, 28, 32])
def test_stages_halve_the_resolution(size: int) -> None:
    model, seen = Model(depth=8, channels=1, classes=7), []
    for name in ("layer1", "layer2", "layer3"):
        model.network.get_submodule(name).register_forward_hook(lambda m, i, o: seen.append(tuple(o.shape)))
    assert model(torch.rand(2, 1, size, size)).shape == (2, 7)
    assert seen == [(2, 16 << stage, -(-size // 2**stage), -(-size // 2**stage)) for stage in range(3)]


def test_the_mean_is_subtracted_by_channel() -> None:
    model = Model(depth=8, mean=(0.1, 0.2, 0.3), std=(0.5, 1.0, 2.0)).eval()
    image = torch.rand(2, 3, 8, 8)
    by_hand = torch.stack([(image[:, 0] - 0.1) / 0.5, image[:, 1] - 0.2, (image[:, 2] - 0.3) / 2], 1)
    assert torch.allclose(model(image), model.network(by_hand), atol=1e-5)
    assert not [name for name in model.network.state_dict() if "mean" in name.split(".") or "std" in name.split(".")]


def test_initial_weights_have_variance_two_over_fan_in() -> None:
    weight = Model(depth=20).network.get_submodule("layer3.2.conv2").weight
    assert weight.std().item() == pytest.approx(math.sqrt(2 / (64 * 9)), rel=0.03)


def test_rates() -> None:
    factor = Model(depth=8).optimizers()["network"][1]
    at = {0: 1, 399: 1, 31_999: 1, 32_000: 0.1, 47_999: 0.1, 48_000: 0.01, 63_999: 0.01}
    assert {i: factor(i, 64_000) for i in at} == pytest.approx(at)
    deep = Model(depth=110, width=1).optimizers()["network"][1]
    assert [deep(i, 64_000) for i in (0, 399, 400, 32_000)] == pytest.approx([0.1, 0.1, 1, 0.1])
    quarters = Model(depth=8).optimizers(drops=(0.25, 0.5, 0.75))["network"][1]
    assert [quarters(i, 4) for i in range(4)] == pytest.approx([1, 0.1, 0.01, 0.001])
    group = Model(depth=8).optimizers()["network"][0].param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.1, 0.9, 1e-4)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"depth": 21}, "6n + 2"),
        ({"depth": 50}, None),  # 6 * 8 + 2: a CIFAR design of its own
        ({"design": "imagenet", "depth": 20}, "18, 34, 50, 101, 152"),
        ({"design": "imagnet"}, "did you mean imagenet"),
        ({"shortcut": "D"}, "unknown model.shortcut 'D'"),
        ({"width": 0}, "model.width must be at least 1"),
        ({"classes": 0}, "model.classes must be at least 1"),
        ({"mean": (0.1, 0.2)}, "mean of resnet"),
        ({"std": (0.0,)}, "model.std must be a list of numbers, each positive"),
        ({"weights": "imagenet"}, "unknown weights 'imagenet'"),  # there are none of the CIFAR designs
    ],
)
def test_arguments(arguments: dict[str, object], says: str | None) -> None:
    with torch.device("meta"):
        if says is None:
            Model(**arguments)
        else:
            with pytest.raises(PaperzooError, match=re.escape(says)):
                paperzoo.create("resnet", **arguments)


# Published weights ---------------------------------------------------------------------------------------------------


def tiny() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 3))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_published_weights_are_fetched_once_and_mended(tmp_path: Path, cache: Path) -> None:
    source, first, second = tiny(), tiny(), tiny()
    url = publish(source, tmp_path)
    load_published(first, "official", {"official": url})
    assert same(first, source)
    (kept,) = cache.rglob("*.pth")
    kept.write_bytes(kept.read_bytes()[:-50])  # damaged since: fetched again
    load_published(second, "official", {"official": url})
    assert same(second, source)
    Path(url.removeprefix("file://")).unlink()  # and now without the address
    third = tiny()
    load_published(third, "official", {"official": url})
    assert same(third, source) and [p.name for p in cache.rglob("*.pth")] == [kept.name]


def test_weights_of_the_wrong_hash_are_refused(tmp_path: Path, cache: Path) -> None:
    path = Path(publish(tiny(), tmp_path).removeprefix("file://"))
    wrong, network = path.rename(tmp_path / "tiny-00000000.pth"), tiny()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(PaperzooError, match=r"tiny-00000000.pth has SHA-256 .* expected 00000000"):
        load_published(network, "official", {"official": wrong.as_uri()})
    assert not list(cache.rglob("*.pth")) and all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    other = nn.Sequential(nn.Conv2d(1, 2, 5), nn.BatchNorm2d(2), nn.Linear(2, 3, bias=False), nn.Linear(1, 1))
    torch.save(other.state_dict(), tmp_path / "other.pth")
    network = tiny()
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with pytest.raises(
        PaperzooError, match=r"lacks 2.bias; .*also 3.weight, 3.bias; .*0.weight \(2, 1, 5, 5\) instead of \(2, 1, 3, 3\)"
    ):
        load_published(network, str(tmp_path / "other.pth"), {})
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


def test_weights_that_are_none_are_refused(tmp_path: Path) -> None:
    class Danger:
        def __reduce__(self) -> tuple[object, ...]:
            return Path.touch, (tmp_path / "owned",)

    torch.save(tiny().state_dict(), tmp_path / "cut.pth")
    (tmp_path / "cut.pth").write_bytes((tmp_path / "cut.pth").read_bytes()[:200])
    (tmp_path / "text.safetensors").write_text("not tensors")
    (tmp_path / "danger.pth").write_bytes(pickle.dumps({"weight": Danger()}, protocol=2))
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    for name, says in {
        "cut.pth": "damaged",
        "text.safetensors": "damaged",
        "danger.pth": "damaged",
        "list.pth": "holds list",
    }.items():
        with pytest.raises(PaperzooError, match=rf"{name} .*{says}"):
            load_published(tiny(), str(tmp_path / name), {})
    assert not (tmp_path / "owned").exists()
    with pytest.raises(PaperzooError, match="unknown weights 'oficial': did you mean official"):
        load_published(tiny(), "oficial", {"official": "file:///nowhere.pth"})
    with pytest.raises(PaperzooError, match=r"nowhere-00000000.pth.*put it at"):
        load_published(tiny(), "official", {"official": "file:///nowhere-00000000.pth"})


def test_counters_may_be_missing_and_a_head_may_differ(tmp_path: Path) -> None:
    source, network = tiny(), nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 5))
    head = network[2].weight.clone()
    save_file({k: v for k, v in source.state_dict().items() if "num_batches" not in k}, tmp_path / "old.safetensors")
    with pytest.raises(PaperzooError, match="another network"):
        load_published(network, str(tmp_path / "old.safetensors"), {})
    with pytest.warns(UserWarning, match=r"2.weight, 2.bias keep fresh weights"):
        load_published(network, str(tmp_path / "old.safetensors"), {}, head="2.")
    assert torch.equal(network[0].weight, source[0].weight) and torch.equal(network[2].weight, head)


def test_resnet_takes_published_weights(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = {**VARIANTS["resnet18"], "width": 4}
    source = Model(**arguments, classes=10)
    url = publish(source.network, tmp_path, "resnet18")
    monkeypatch.setattr(resnet, "URL", url.rpartition("/")[0] + "/{}.pth")
    monkeypatch.setitem(resnet.FILES, 18, url.rpartition("/")[2].removesuffix(".pth"))
    assert same(Model(**arguments, classes=10, weights="imagenet").network, source.network)
    with pytest.warns(UserWarning, match=r"fc.weight, fc.bias keep fresh"):
        tuned = Model(**arguments, classes=2, weights="imagenet")
    assert torch.equal(tuned.network.conv1.weight, source.network.conv1.weight) and tuned.network.fc.weight.shape == (2, 32)
    with pytest.raises(PaperzooError, match=r"another network: it lacks layer1.2.conv1.weight"):
        Model(**{**arguments, "depth": 34}, weights=url.removeprefix("file://"))


def test_every_official_file_carries_its_hash() -> None:
    assert set(resnet.FILES) == set(resnet.TABLE_1)
    assert all(re.fullmatch(rf"resnet{depth}-[0-9a-f]{{8}}", name) for depth, name in resnet.FILES.items())


# Learning ------------------------------------------------------------------------------------------------------------


@pytest.mark.processor
def test_degradation() -> None:
    """56 layers with shortcuts learn the digits in 40 steps; the same layers without stay far behind (section 4.2)."""
    from sklearn.datasets import load_digits

    data = load_digits()
    image, label = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16, torch.tensor(data.target)  # (N, 1, 8, 8)

    def last_loss(shortcut: str) -> float:
        torch.manual_seed(0)
        model = Model(depth=56, width=8, channels=1, shortcut=shortcut)
        optimizer, losses = model.optimizers(lr=0.05)["network"][0], []
        for _ in range(40):
            items = torch.randint(len(image), (64,))
            loss = F.cross_entropy(model(image[items]), label[items])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses[-15:]))

    residual, plain = last_loss("A"), last_loss("none")
    assert plain > 2 * residual, (residual, plain)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.processor
def test_smoke(tmp_path: Path) -> None:
    run = paperzoo.train("resnet", recipe="smoke", out=tmp_path)
    assert run.metrics["error %"] < 20
