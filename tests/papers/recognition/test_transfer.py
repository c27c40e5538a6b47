"""Transfer: frozen means frozen, rates and parts, weights from four kinds of places, stages, maps of classes, and what it is worth."""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.training import fabric, job, loop, same
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor, nn

import paperzoo
from paperzoo import saved
from paperzoo.engine import chance, checkpoint, run
from paperzoo.engine.loop import fit
from paperzoo.errors import PaperzooError
from paperzoo.papers.recognition import mobilenet, transfer
from paperzoo.papers.recognition.transfer import Model
from paperzoo.records import Recipe, Stage
from paperzoo.tasks.classification import Classifier

LITTLE: dict[str, Any] = {"backbone": "cnn", "settings": {"widths": (4, 8)}, "channels": 1, "classes": 3, "image_size": 8}


def body(model: Model) -> dict[str, Tensor]:
    """Every tensor and buffer below the head, copied."""
    head = {id(p) for p in model._last().parameters()}
    return {k: v.clone() for k, v in model.network.state_dict(keep_vars=True).items() if id(v) not in head}


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures: they take longer than these trainings."""
    monkeypatch.setattr(Classifier, "show", lambda *given: [])


# Frozen, rates, parts ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [False, True])
def test_a_frozen_body_is_bit_equal_with_its_buffers(wrong: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if wrong:  # what most copies do: gradients are off, batch normalisation still learns
        monkeypatch.setattr(Model, "train", nn.Module.train)
    made = loop(job("transfer", "smoke"), tmp_path)
    before, head = body(made.model), made.model._last().weight.detach().clone()
    for _ in range(6):
        made.step()
    after = body(made.model)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not torch.equal(made.model._last().weight, head)
    if wrong:
        assert moved and all(name.rpartition(".")[2] in ("running_mean", "running_var", "num_batches_tracked") for name in moved)
    else:
        assert not moved and any(name.endswith("running_var") for name in before)
        with chance.guarded(made.model):  # measuring leaves the modes as they were
            pass
        assert not any(m.training for m in made.model.network.modules()) and made.model.training


def test_the_optimiser_holds_what_trains_at_its_rate() -> None:
    for mode, rates in (("features", [0.5]), ("finetune", [0.5, 0.05]), ("scratch", [0.5, 0.5])):
        model = Model(**LITTLE, mode=mode)
        groups = model.optimizers(lr=0.5)["network"][0].param_groups
        assert [group["lr"] for group in groups] == pytest.approx(rates)
        assert [id(p) for p in groups[0]["params"]] == [id(p) for p in model._last().parameters()]
        held = [id(p) for group in groups for p in group["params"]]
        assert sorted(held) == sorted(id(p) for p in model.parameters() if p.requires_grad)
        assert len(held) == (2 if mode == "features" else len(list(model.parameters())))
    assert Model(**LITTLE, mode="finetune").optimizers(body_rate=0.01)["network"][0].param_groups[1]["lr"] == pytest.approx(1e-5)


def test_parts_wake_from_the_head_down(tmp_path: Path) -> None:
    made = loop(job("transfer:finetune", "smoke-finetune", **{"model.unfreeze": 3, "steps": 8}), tmp_path)
    names = {module: name for name, module in made.model.network.network.named_modules()}
    layers = [[names[module] for module in layer] for layer in made.model.layers()]
    assert layers == [["stages.0.0", "stages.0.1"], ["stages.1.0", "stages.1.1"], ["stages.2.0", "stages.2.1"]]
    seen = []
    while made.opt.iteration < made.opt.total:
        before = {k: v.clone() for k, v in made.model.network.network.state_dict().items()}
        made.step()
        after = made.model.network.network.state_dict()
        seen.append("".join(sorted({k.split(".")[1][:1] for k in before if not torch.equal(before[k], after[k])})))
    assert seen == ["bw"] * 2 + ["2bw"] * 2 + ["12bw"] * 2 + ["012bw"] * 2  # b, w: bias and weight of the head
    assert all(p.requires_grad for p in made.model.parameters()) and all(m.training for m in made.model.modules())


# Weights -------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
def test_weights_of_a_run_are_taken_once_and_kept(unseen: None, tmp_path: Path) -> None:
    first = paperzoo.train("cnn", "smoke", out=tmp_path, overrides={"steps": 5})
    found = first.model
    given = {"steps": 3, "model.weights": str(first.directory)}
    second = paperzoo.train("transfer", "smoke", out=tmp_path, overrides=given)
    file = tmp_path / "own.safetensors"
    shutil.copy(saved.newest(second.directory)[0], file)
    shutil.rmtree(first.directory)  # a saved model holds its weights itself
    loaded = paperzoo.load(second.directory)
    assert isinstance(loaded, Model) and loaded.arguments["weights"] == ""
    assert same(body(loaded), {k: v for k, v in found.state_dict().items() if "output" not in k})
    assert loaded._last().weight.abs().max() > 0 and loaded.predict(np.zeros((8, 8), np.uint8)).name in loaded.names
    # and from there on to a third purpose, with another number of classes
    third = Model(**{**LITTLE, "settings": {"widths": (8, 16, 32)}, "classes": 4}, weights=str(file))
    assert same(body(third), body(loaded)) and not third._last().weight.any() and not third._last().bias.any()


def test_published_weights_keep_all_but_the_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(3)
    source = mobilenet.Model(width=0.1)
    torch.save(source.network.state_dict(), tmp_path / "small.pth")
    monkeypatch.setitem(mobilenet.PLACES, "v2", {"imagenet": (tmp_path / "small.pth").as_uri()})
    for weights, classes in (("imagenet", 5), (str(tmp_path / "small.pth"), 1000)):  # even as many classes are other ones
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            model = paperzoo.create("transfer", settings={"width": 0.1}, weights=weights, classes=classes, image_size=32)
        assert same(body(model), {k: v for k, v in source.state_dict().items() if "classifier" not in k})
        assert not model._last().weight.any() and model._last().out_features == classes
        assert model.eval()(torch.rand(2, 3, 32, 32)).eq(0).all() and model.short_side == 0
    fresh = paperzoo.create("transfer:scratch", settings={"width": 0.1}, classes=5, image_size=32)
    assert fresh._last().weight.any() and all(p.requires_grad for p in fresh.parameters())


@pytest.mark.usefixtures("undrawn")
def test_stages_pretrain_then_transfer_and_resume_bitwise_at_every_kind_of_cut(
    unseen: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paperzoo.engine.run.KEPT", 10**6)
    parts = (Stage("pretrain", 3, data="digits", optimizer={"lr": 0.02}), Stage("transfer", 3))
    smoke = transfer.RECIPES["smoke"]
    recipe = Recipe(data="digits@5:0", steps=6, stages=parts, model=smoke.model, optimizer=smoke.optimizer, precision="float32")
    monkeypatch.setitem(transfer.RECIPES, "smoke-stages", recipe)
    whole = paperzoo.train("transfer", "smoke-stages", out=tmp_path, overrides={"checkpoint_every": 1})
    kept = {i: whole.directory / "checkpoints" / f"{i:08d}.safetensors" for i in range(1, 7)}
    tensors = {i: checkpoint.read(path)[0] for i, path in kept.items()}

    def differ(i: int, j: int) -> set[str]:
        names = [k for k in tensors[i] if not k.startswith("optimizer/")]
        return {k.split(".")[2] if "." in k else k for k in names if not torch.equal(tensors[i][k], tensors[j][k])}

    assert differ(2, 3) == {"stages", "output"} and differ(3, 4) == {"output", "moved"} and differ(4, 6) == {"output"}
    # the head that was trained on the other classes is gone: from zero, one step of Adam moves no weight by more than its rate
    assert tensors[3]["network.network.output.weight"].abs().max() > 0.05 > tensors[4]["network.network.output.weight"].abs().max()
    chosen = run.job_of(whole)
    for cut in (2, 3, 4):  # within the first stage, between the two, within the second
        again = run.create(chosen, tmp_path / "again")
        shutil.copy(kept[cut], again.directory / "checkpoints")
        fit(fabric(), chosen, again)
        assert same(checkpoint.read(saved.newest(again.directory)[0])[0], tensors[6]), cut


# Class-activation maps and pictures ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet", {"depth": 8, "width": 4}),
        ("preact_resnet", {"depth": 20, "width": 4}),  # its last ReLU is a function, no module
        ("fractalnet", {"blocks": 2, "width": 4}),
        ("mobilenet:v1", {"width": 0.1, "halvings": 2}),
        ("transfer", {"backbone": "mobilenet:v2", "settings": {"width": 0.1, "halvings": 2}}),
        ("googlenet", {"stem": "small", "aux": False, "width": 0.1}),
        ("cnn", None), ("lenet", None), ("vgg:vgg11", {"width": 0.05}), ("lenet:1998", None),
    ],
)  # fmt: skip
def test_activation_maps_are_the_head_at_each_position(name: str, arguments: dict[str, Any] | None) -> None:
    torch.manual_seed(0)
    sized = {} if name.startswith("lenet") else {"image_size": 32}
    model = paperzoo.create(name, **(arguments or {}), **sized, **({} if name == "lenet:1998" else {"classes": 6})).eval()
    with torch.no_grad():
        image = torch.rand(3, model.channels, 32, 32)
        maps = model.activation_maps(image)
        if arguments is None or name.startswith("vgg"):  # these end in linear layers over all positions
            assert maps is None
            return
        assert maps is not None and maps.shape[:2] == (3, 6) and min(maps.shape[2:]) > 1
        assert torch.allclose(maps.mean((2, 3)), model(image) - model._last().bias, atol=1e-4)
        if name == "resnet":
            seen: list[Tensor] = []
            with model.network.layer3.register_forward_hook(lambda layer, given, out: seen.append(out)):
                model(image)
            by_hand = model.network.fc(seen[0].permute(0, 2, 3, 1)) - model.network.fc.bias  # (N, H, W, classes)
            assert torch.allclose(maps, by_hand.permute(0, 3, 1, 2), atol=1e-5)


def test_pictures(tmp_path: Path) -> None:
    data = paperzoo.dataset("digits")
    settings = {"depth": 8, "width": 4}
    model = Model(backbone="resnet", settings=settings, channels=1, classes=10, image_size=8).eval()
    with torch.no_grad():
        paths = model.show(data, "test", tmp_path, "x")
    assert [path.name for path in paths] == ["x-confusion.png", "x-reliability.png", "x-mistakes.png", "x-activations.png"]
    for path in paths:
        assert path.stat().st_size < 150_000 and np.asarray(Image.open(path).convert("L")).std() > 5


# What cannot be used -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"backbone": "mobilnet:v2"}, "unknown paper 'mobilnet': did you mean mobilenet"),
        ({"backbone": "mobilenet:v4"}, "unknown variant 'v4' of mobilenet"),
        ({"backbone": "dcgan"}, "the backbone dcgan is for image generation: it must be a classifier"),
        ({"backbone": "transfer"}, "the backbone transfer is transfer itself"),
        ({"backbone": "lenet:1998", "channels": 1, "classes": 10, "image_size": 32}, "lenet:1998 does not end in a linear layer"),
        ({"backbone": "vgg:vgg11", "image_size": 16}, "image_size must be at least 32, not 16"),
        ({"backbone": "resnet", "settings": {"widht": 3}}, "unknown argument 'model.widht' of resnet: did you mean model.width"),
        ({"settings": {"weights": "imagenet"}}, "weights are given by model.weights=imagenet, not by model.settings"),
        ({"settings": "width"}, "model.settings of transfer is written"),
        ({**LITTLE, "weights": "imagenet"}, "cnn knows no weights 'imagenet'"),
        ({"weights": "imagnet"}, "unknown weights 'imagnet'"),
        ({"mode": "scratch", "weights": "imagenet"}, "transfer:scratch begins with fresh weights"),
        ({"mode": "freeze"}, "unknown model.mode 'freeze'"),
        ({"classes": 1}, "model.classes must be at least 2, not 1"),
        ({**LITTLE, "mode": "finetune", "unfreeze": 3}, "unfreeze of transfer must be 0 to 2 for cnn, not 3"),
        ({**LITTLE, "unfreeze": 1}, "unfreeze of transfer must be 0, for mode is features, not 1"),
    ],
)  # fmt: skip
def test_arguments_that_make_no_model_are_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(PaperzooError, match=re.escape(says)):
        paperzoo.create("transfer", **arguments)


@pytest.mark.usefixtures("undrawn")
def test_a_file_of_another_network_is_refused_by_its_first_keys(unseen: None, tmp_path: Path) -> None:
    first = paperzoo.train("lenet", "smoke", out=tmp_path, overrides={"steps": 1})
    with pytest.raises(PaperzooError, match=r"is of another network: it lacks mean, network.stages.0.0.weight.*saved by lenet with"):
        Model(**LITTLE, weights=str(first.directory))
    wide = Model(**{**LITTLE, "settings": {"widths": (4, 9)}})
    checkpoint.write(tmp_path / "w.safetensors", wide.network.state_dict(), {"name": "cnn", "arguments": {"widths": [4, 9]}})
    with pytest.raises(PaperzooError, match=r"has network.stages.1.0.weight \(9, 4, 3, 3\) instead of .*with {'widths': \[4, 9\]}"):
        Model(**LITTLE, weights=str(tmp_path / "w.safetensors"))
    (tmp_path / "bad.safetensors").write_bytes(b"no weights")
    with pytest.raises(PaperzooError, match=r"bad.safetensors cannot be read as weights"):
        Model(**LITTLE, weights=str(tmp_path / "bad.safetensors"))
    with pytest.raises(PaperzooError, match=r"this directory is no run"):
        Model(**LITTLE, weights=str(tmp_path))


def photographs(folder: Path, classes: dict[str, int]) -> Path:
    random = np.random.default_rng(0)
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(random.integers(0, 256, (9, 11, 3), np.uint8)).save(folder / name / f"{index}.png")
    return folder


@pytest.mark.usefixtures("undrawn")
def test_folders_that_cannot_be_learnt_from(unseen: None, tmp_path: Path) -> None:
    given = {"model.channels": 3, "steps": 2}
    for classes, says in (
        ({"a": 4}, "needs data with image and label"), ({"a": 1, "b": 1}, "too few to keep any"), ({"a": 0, "b": 0}, "has no images"),
    ):  # fmt: skip
        folder = photographs(tmp_path / str(len(says)), classes)
        with warnings.catch_warnings(), pytest.raises(PaperzooError, match=says):
            warnings.simplefilter("ignore")
            paperzoo.train("transfer", "smoke", f"folder:{folder}", out=tmp_path / "runs", overrides=given)
    assert not (tmp_path / "runs").exists()
    folder = photographs(tmp_path / "some", {"cat": 6, "dog": 1, "empty": 0})  # one image of a class trains, none is tested
    with pytest.warns(UserWarning, match="no images and are left out: empty"):
        done = paperzoo.train("transfer", "smoke", f"folder:{folder}", out=tmp_path / "runs", overrides=given)
    assert done.model.names == ("cat", "dog") and done.model._last().out_features == 2


# Learning ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("undrawn")
@pytest.mark.processor
def test_a_body_that_knows_0_to_4_learns_5_to_9_from_five_of_each(unseen: None, tmp_path: Path) -> None:
    """Digits of 8x8 somewhere on 14x14: that places do not matter is learnt from many digits, and holds for the others."""
    random, digits = np.random.default_rng(0), load_digits()
    for index, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        place = tmp_path / ("low" if label < 5 else "high") / ("test" if index % 3 == 0 else "train") / str(label)
        place.mkdir(parents=True, exist_ok=True)
        sheet, (top, left) = np.zeros((14, 14), np.uint8), random.integers(0, 7, 2)
        sheet[top : top + 8, left : left + 8] = pixels * 255 / 16
        Image.fromarray(sheet).save(place / f"{index}.png")
    size = {"model.image_size": 14, "model.channels": 1}
    known = paperzoo.train("cnn", "smoke", f"folder:{tmp_path / 'low'}", out=tmp_path, overrides={**size, "steps": 150})
    moved, fresh = {"model.weights": str(known.directory)}, {}
    ways = {"features": moved, "finetune": moved, "scratch": fresh, "features of a random body": fresh}
    errors: dict[str, list[float]] = {way: [] for way in ways}
    for draw in range(3):
        for way, weights in ways.items():
            given = {**size, **weights, "steps": 60, "batch_size": 25}
            data = f"folder:{tmp_path / 'high'}@5:{draw}"
            done = paperzoo.train(f"transfer:{way.split()[0]}", "smoke", data, out=tmp_path, overrides=given)
            errors[way].append(done.metrics["error %"])
    mean = {mode: float(np.mean(values)) for mode, values in errors.items()}
    assert known.metrics["error %"] < 5  # guessing: 80
    assert mean["finetune"] < mean["scratch"] - 5 and mean["features"] < mean["features of a random body"] - 10
    assert all(a < b for a, b in zip(errors["finetune"], errors["scratch"], strict=True))  # every draw agrees
