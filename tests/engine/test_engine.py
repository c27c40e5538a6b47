"""What the engine owes: the seam, precision, checkpoints, interruption, several processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures.training import count, job, loop, same, state
from torch import nn
from torch.optim import SGD, Adam

import paperzoo
from paperzoo.data import Order
from paperzoo.engine import chance, checkpoint, precision
from paperzoo.engine.evaluate import as_trained
from paperzoo.engine.machine import hardware
from paperzoo.engine.players import Players
from paperzoo.engine.run import read_lines
from paperzoo.errors import Interrupted, PaperzooError
from paperzoo.saved import newest

pytestmark = pytest.mark.usefixtures("undrawn")
HERE = Path(__file__).parent


# ---------------------------------------------------------------- the seam


def two() -> tuple[nn.Linear, nn.Linear, Players]:
    torch.manual_seed(0)
    a, b = nn.Linear(3, 3), nn.Linear(3, 1)
    players = Players({"a": SGD(a.parameters(), 0.1), "b": SGD(b.parameters(), 0.1)})
    return a, b, players


def test_a_loss_moves_its_own_parameters_and_leaves_no_gradient_elsewhere() -> None:
    a, b, opt = two()
    x = torch.randn(5, 3)
    (expected,) = torch.autograd.grad(b(a(x)).mean(), a.weight)
    before_a, before_b = a.weight.detach().clone(), b.weight.detach().clone()
    opt.a.minimize(b(a(x)).mean())
    assert torch.allclose(a.weight, before_a - 0.1 * expected)
    assert torch.equal(b.weight, before_b)
    assert all(p.grad is None for p in (*a.parameters(), *b.parameters()))
    (expected,) = torch.autograd.grad(b(a(x)).square().mean(), b.weight)  # nothing is left over from the first player's step
    opt.b.minimize(b(a(x)).square().mean())
    assert torch.allclose(b.weight, before_b - 0.1 * expected)


def test_joint_losses_take_all_gradients_before_any_step() -> None:
    a, b, opt = two()
    y = b(a(torch.randn(5, 3)))
    first, second = y.mean(), y.square().mean()
    (ga,) = torch.autograd.grad(first, a.weight, retain_graph=True)
    (gb,) = torch.autograd.grad(second, b.weight, retain_graph=True)
    before = a.weight.detach().clone(), b.weight.detach().clone()
    opt.minimize(a=first, b=second)
    assert torch.allclose(a.weight, before[0] - 0.1 * ga) and torch.allclose(b.weight, before[1] - 0.1 * gb)


def test_parameters_out_of_reach_stay_even_under_weight_decay() -> None:
    a, b = nn.Linear(2, 2), nn.Linear(2, 2)
    opt = Players({"both": torch.optim.AdamW([*a.parameters(), *b.parameters()], 0.1, weight_decay=0.5)})
    before = b.weight.detach().clone()
    opt.both.minimize(a(torch.ones(1, 2)).sum())
    assert torch.equal(b.weight, before)


def test_clip_schedule_and_unknown_names() -> None:
    layer = nn.Linear(4, 1, bias=False)
    opt = Players({"x": (SGD(layer.parameters(), 1.0), lambda i, n: 0.5)}, clip={"x": 1e-3})
    before = layer.weight.detach().clone()
    opt.x.minimize(layer(torch.full((1, 4), 100.0)).sum())
    assert (layer.weight - before).norm().item() == pytest.approx(0.5e-3, rel=1e-3)
    with pytest.raises(AttributeError, match="this model has x"):
        opt.generator.minimize(layer.weight.sum())
    with pytest.raises(PaperzooError, match="optimizer"):
        Players({"x": SGD(layer.parameters(), 1.0)}, clip={"y": 1.0})


def test_optimisers_with_and_without_a_schedule_stand_side_by_side() -> None:
    a, b = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
    opt = Players({"a": SGD(a.parameters(), 0.5), "b": (SGD(b.parameters(), 0.5), lambda i, n: (n - i) / n)})
    opt.iteration, opt.stage_steps = 3, 4
    before = a.weight.item(), b.weight.item()
    opt.minimize(a=a.weight.sum(), b=b.weight.sum())
    assert before[0] - a.weight.item() == pytest.approx(0.5) and before[1] - b.weight.item() == pytest.approx(0.125)
    for wrong in ((SGD(a.parameters(), 0.5),), (SGD(a.parameters(), 0.5), 0.5), [SGD(a.parameters(), 0.5)], 0.5):
        with pytest.raises(PaperzooError, match=r"\(optimizer, schedule\) for a, not "):
            Players({"a": wrong})  # type: ignore[dict-item]


def test_accumulation_equals_the_whole_batch_and_needs_one_optimiser() -> None:
    layer, twin = nn.Linear(3, 1), nn.Linear(3, 1)
    twin.load_state_dict(layer.state_dict())
    x = torch.randn(8, 3)
    whole = Players({"x": Adam(layer.parameters(), 0.1)})
    parts = Players({"x": Adam(twin.parameters(), 0.1)}, accumulate=4)
    whole.x.minimize(layer(x).square().mean())
    for part in x.split(2):
        parts.x.minimize(twin(part).square().mean())
    assert torch.allclose(layer.weight, twin.weight, atol=1e-6)
    with pytest.raises(PaperzooError, match="one optimiser"):
        Players({"x": SGD(layer.parameters(), 1.0), "y": SGD(twin.parameters(), 1.0)}, accumulate=2)


def check_new_weights_are_used(step_wide: bool) -> None:
    """A network in bf16 must see the weights that ``minimize`` has just written, and answer in float32."""
    model = nn.Module()
    model.network = nn.Linear(4, 4, bias=False)
    cpu = torch.device("cpu")
    if not step_wide:
        precision.prepare(model, "bf16", cpu)
    opt = Players({"x": SGD(model.network.parameters(), 1.0)})
    x = torch.ones(1, 4)
    with torch.autocast("cpu", torch.bfloat16) if step_wide else nullcontext():
        first = model.network(x)
        opt.x.minimize(first.float().sum())
        second = model.network(x)
    assert torch.allclose(second.float(), first.detach().float() - 4, atol=0.1)
    if not step_wide:
        assert second.dtype == torch.float32


def test_after_minimize_the_next_call_uses_the_new_weights() -> None:
    check_new_weights_are_used(step_wide=False)


def test_precision_is_checked_and_resolved() -> None:
    assert precision.resolve("float32", torch.device("cpu")) == "float32"
    assert precision.resolve("auto", torch.device("cpu")) in ("bf16", "float32")
    with pytest.raises(PaperzooError, match="auto, bf16, float32"):
        precision.resolve("fp8", torch.device("cpu"))  # type: ignore[arg-type]


def test_bf16_is_tried_and_where_it_cannot_be_used_that_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flags promise what the library may not keep: oneDNN has no LSTM in bf16 below AVX-512."""
    cpu = torch.device("cpu")
    monkeypatch.delenv("PAPERZOO_PRECISION", raising=False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})
    for broken in (None, nn.LSTM, nn.Conv2d, nn.Linear):
        precision._lacks_bf16.cache_clear()
        with monkeypatch.context() as patch, warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            if broken is None:
                patch.setattr(nn.LSTM, "forward", lambda self, x: (x, None))  # so that this machine can
            else:
                patch.setattr(broken, "forward", cannot)
            state = torch.get_rng_state()
            found = [precision.resolve("auto", cpu) for _ in range(3)]
            assert torch.equal(torch.get_rng_state(), state) and not torch.is_autocast_enabled("cpu")
        assert found == ["float32" if broken else "bf16"] * 3
        assert ["primitive" in str(one.message) and "float32 is used" in str(one.message) for one in said] == [True] * bool(broken)
    precision._lacks_bf16.cache_clear()


def cannot(*given: Any) -> None:
    raise RuntimeError("could not create a primitive descriptor. Run workload with ONEDNN_VERBOSE=all")


def test_the_environment_says_what_auto_means_and_no_more(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    cpu = torch.device("cpu")
    for way in ("bf16", "float32"):
        monkeypatch.setenv("PAPERZOO_PRECISION", way)
        assert precision.resolve("auto", cpu) == way and precision.resolve("float32", cpu) == "float32"
        assert (" with bf16" in hardware()) == (way == "bf16")
    monkeypatch.setenv("PAPERZOO_PRECISION", "float23")
    with pytest.raises(PaperzooError, match=r"unknown precision 'float23' in .* PAPERZOO_PRECISION: did you mean float32"):
        paperzoo.train("lenet", "smoke", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("then", ["bf16", "float32"])
def test_a_run_is_measured_again_as_it_was_trained(then: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Whatever ``auto`` means by now: the precision of the run decides, not that of the day."""
    now = {"bf16": "float32", "float32": "bf16"}[then]
    monkeypatch.setenv("PAPERZOO_PRECISION", then)
    run = paperzoo.train("dcgan", "smoke", out=tmp_path, overrides={"steps": 3, "precision": "auto"})
    monkeypatch.setenv("PAPERZOO_PRECISION", now)
    monkeypatch.setattr(precision, "has_bf16", lambda device: True)
    assert paperzoo.evaluate(run.directory) == run.metrics
    model = as_trained(run)
    assert bool(model.generator._forward_hooks) == (then == "bf16") and not model.training
    assert model.generator.project.weight.device.type == "cpu" and not run.model.generator._forward_hooks
    done = run.directory / "result.json"
    done.write_text(done.read_text().replace(f'"{then}"', '"auto"').replace('"precision": "auto"', '"other": 0'))
    assert bool(as_trained(run).generator._forward_hooks) == (now == "bf16")  # an older run does not say: as for a new one
    if then == "bf16":
        done.write_text(done.read_text().replace('"other": 0', '"precision": "bf16"'))
        monkeypatch.setattr(precision, "has_bf16", lambda device: False)
        with pytest.warns(UserWarning, match="was trained in bf16, which this machine lacks"):
            assert not as_trained(run).generator._forward_hooks


# ---------------------------------------------------------------- order and chance


def test_order_is_a_function_of_seed_and_iteration() -> None:
    order = Order(10, 4, "shuffle", seed=3)
    stream = np.concatenate([order.batch(i) for i in range(5)])
    assert sorted(stream[:10]) == sorted(stream[10:]) == list(range(10))  # nothing dropped, nothing doubled within an epoch
    assert np.array_equal(Order(10, 4, "shuffle", 3).batch(3), order.batch(3))  # without those before it
    assert not np.array_equal(Order(10, 10, "shuffle", 4).batch(0), Order(10, 10, "shuffle", 3).batch(0))
    assert Order(3, 7, "sequential", 0).batch(1).tolist() == [1, 2, 0, 1, 2, 0, 1]
    assert len(Order(5, "all", "shuffle", 0).batch(2)) == 5


def test_chance_differs_by_seed_step_and_process() -> None:
    draws = set()
    for key in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1)):
        chance.seed_all(*key)
        draws.add(torch.rand(()).item())
    assert len(draws) == 6
    chance.seed_all(0, 0, 0)
    assert torch.rand(()).item() in draws


def test_measuring_leaves_chance_and_modes_alone() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout())
    model[0].eval()  # a frozen part stays frozen
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with chance.guarded(model):
        torch.rand(100)
        assert not model[1].training and not torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
    assert torch.equal(torch.rand(3), expected)
    assert model[1].training and not model[0].training


# ---------------------------------------------------------------- checkpoints and stages


def test_staged_run_resumes_bitwise_at_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("paperzoo.engine.run.KEPT", 100)
    run = paperzoo.train(str(HERE / "staged.py"), "smoke", out=tmp_path, overrides={"checkpoint_every": 1})
    end, _ = checkpoint.read(newest(run.directory)[0])
    assert end["network.depth"] == 1
    for cut in range(1, 15):
        saved = run.directory / "checkpoints" / f"{cut:08d}.safetensors"
        again = loop(job(str(HERE / "staged.py"), "smoke"), tmp_path / "again", saved)
        rest = paperzoo.resume(again.run.directory)
        assert same(checkpoint.read(newest(rest.directory)[0])[0], end), f"cut after step {cut}"


def test_a_damaged_checkpoint_is_passed_over_and_said(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for harm in ("cut short", "flipped"):
        run = paperzoo.train("lenet", "smoke", out=tmp_path, overrides={"steps": 12, "checkpoint_every": 4})
        end = checkpoint.read(newest(run.directory)[0])[0]
        last = run.directory / "checkpoints" / "00000012.safetensors"
        data = bytearray(last.read_bytes())
        if harm == "cut short":
            data = data[: len(data) // 2]
        else:
            data[-100] ^= 1
        last.write_bytes(data)
        (run.directory / "result.json").unlink()
        capfd.readouterr()
        again = paperzoo.resume(run.directory)
        assert "00000012.safetensors is damaged" in capfd.readouterr().err.replace("\n", "")
        assert same(checkpoint.read(newest(again.directory)[0])[0], end)
        steps = [line["step"] for line in read_lines(run.directory / "metrics.jsonl")]
        assert steps == sorted(steps)


def test_checkpoints_hold_no_pickle_and_weights_name_their_paper(tmp_path: Path) -> None:
    run = paperzoo.train("dcgan", "smoke", out=tmp_path, overrides={"steps": 3})
    path, _ = newest(run.directory)
    tensors, header = checkpoint.read(path)
    assert header["name"] == "dcgan" and header["iteration"] == 3
    assert any(k.startswith("optimizer/generator/generator.project.weight/") for k in tensors)
    assert not any(p.suffix in (".pt", ".pth", ".pkl", ".ckpt") for p in run.directory.rglob("*"))
    assert paperzoo.evaluate(run.directory) == run.metrics
    assert torch.equal(paperzoo.load(path).sample(2), paperzoo.load(run.directory).sample(2))


def test_weights_that_ship_draw_the_same_samples_without_what_training_needs(tmp_path: Path) -> None:
    from paperzoo.engine.weights import export, load_file

    model = paperzoo.train("dcgan", "smoke", out=tmp_path, overrides={"steps": 5}).model
    export(model, tmp_path / "lean.safetensors", False, {"licence": "none"})
    lean = load_file(tmp_path / "lean.safetensors")
    assert lean.average is None and torch.equal(lean.sample(3), model.sample(3))
    export(model, tmp_path / "half.safetensors", True, {"licence": "none"})
    assert torch.allclose(load_file(tmp_path / "half.safetensors").sample(3), model.sample(3), atol=1e-2)
    assert (tmp_path / "half.safetensors").stat().st_size < 0.6 * (tmp_path / "lean.safetensors").stat().st_size


def test_weights_of_another_network_are_refused_by_key(tmp_path: Path) -> None:
    run = paperzoo.train("lenet", "smoke", out=tmp_path, overrides={"steps": 2})
    with pytest.raises(PaperzooError, match=r"does not fit dcgan: .*is missing"):
        paperzoo.train("dcgan", "smoke", out=tmp_path, init=str(run.directory), overrides={"steps": 2})
    started = paperzoo.train(
        "lenet", "smoke", out=tmp_path, init=str(run.directory), overrides={"steps": 1, "optimizer.lr": 0.0}
    )
    assert torch.equal(started.model.network.c1.weight, run.model.network.c1.weight)


@pytest.mark.parametrize(("name", "kills"), [("dcgan", 6), ("lenet", 20), ("bilstm_crf", 6)])
def test_killed_at_some_instants_and_resumed_is_bitwise_the_same(name: str, kills: int, tmp_path: Path) -> None:
    command = [sys.executable, str(HERE / "kill.py"), name, "smoke", str(tmp_path), str(kills)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"})
    found = json.loads(done.stdout.strip().splitlines()[-1])
    assert found["kills"] == kills and found["equal"] and found["ordered"], found


def test_a_run_killed_before_its_first_checkpoint_begins_again(tmp_path: Path) -> None:
    from paperzoo.engine import run as runs

    made = runs.create(job("lenet", "smoke", steps=6), tmp_path)
    end = checkpoint.read(newest(paperzoo.resume(made.directory).directory)[0])[0]
    other = paperzoo.train("lenet", "smoke", out=tmp_path, overrides={"steps": 6})
    assert same(end, checkpoint.read(newest(other.directory)[0])[0])


# ---------------------------------------------------------------- when things go wrong


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_what_was_saved(tmp_path: Path) -> None:
    overrides = {"optimizer.lr": 1e30, "checkpoint_every": 1, "log_every": 5}
    with pytest.raises(
        PaperzooError, match=r"the loss 'network' is not finite at step \d+; .*step \d+ is kept.*learning rate"
    ):
        paperzoo.train("lenet", "smoke", out=tmp_path, overrides=overrides)
    (folder,) = tmp_path.iterdir()
    tensors, _ = checkpoint.read(newest(folder)[0])
    assert all(torch.isfinite(v).all() for v in tensors.values() if v.is_floating_point())


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    end = paperzoo.train("lenet", "smoke", out=tmp_path / "straight", overrides={"steps": 150})

    def interrupt() -> None:
        while not list((tmp_path / "stopped").glob("*/metrics.jsonl")):
            time.sleep(0.01)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(Interrupted, match=r"stopped after step \d+; all is saved. Go on with: paperzoo resume"):
        paperzoo.train("lenet", "smoke", out=tmp_path / "stopped", overrides={"steps": 150})
    (folder,) = (tmp_path / "stopped").iterdir()
    assert 0 < checkpoint.read(newest(folder)[0])[1]["iteration"] < 150
    again = paperzoo.resume(folder)
    assert same(checkpoint.tensors_of(again.model), checkpoint.tensors_of(end.model))


def test_no_space_left_keeps_what_was_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "00000001.safetensors"
    checkpoint.write(path, {"a": torch.ones(3)}, {"name": "x"})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("paperzoo.saved.os.fsync", full)
    with pytest.raises(PaperzooError, match="No space left on device; what was saved before is untouched"):
        checkpoint.write(path, {"a": torch.zeros(3)}, {"name": "x"})
    assert torch.equal(checkpoint.read(path)[0]["a"], torch.ones(3))
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PaperzooError, match=r"cannot write runs to .*file"):
        paperzoo.train("lenet", "smoke", out=tmp_path / "file")


# ---------------------------------------------------------------- several processes


def test_two_processes_agree_with_each_other_and_with_one(tmp_path: Path) -> None:
    name = str(HERE / "two_players.py")
    one = paperzoo.train(name, "smoke", out=tmp_path / "one", overrides={"log_every": 1})
    two = paperzoo.train(name, "smoke", out=tmp_path / "two", devices=2, overrides={"log_every": 1})
    assert all(line["loss"]["apart"] == 0 for line in two.lines if "loss" in line), "the processes' weights differ"
    a, b = (checkpoint.tensors_of(run.model) for run in (one, two))
    assert max(float((a[k] - b[k]).abs().max()) for k in a) < 1e-5
    assert two.metrics.keys() == one.metrics.keys()


def test_two_processes_go_on_where_they_stopped(tmp_path: Path) -> None:
    """Each keeps states of its own streams, which one checkpoint must hold."""
    whole = paperzoo.train("char_rnn", "smoke", out=tmp_path, devices=2, overrides={"checkpoint_every": 7, "steps": 20})
    cut = tmp_path / "cut"
    shutil.copytree(whole.directory, cut)
    (cut / "result.json").unlink()
    for path in (cut / "checkpoints").glob("*.safetensors"):
        if int(path.stem) != 14:
            path.unlink()
    again = paperzoo.resume(cut, devices=2)
    a, b = (checkpoint.tensors_of(run.model) for run in (whole, again))
    assert int((a["place"] > 0).sum()) > 60 and all(torch.equal(a[k], b[k]) for k in a)


def test_torchrun_and_devices_that_contradict_it_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "2"), ("LOCAL_WORLD_SIZE", "2"), ("RANK", "0")):
        monkeypatch.setenv(name, value)
    with pytest.raises(PaperzooError, match=r"torchrun has started 2 processes, 2 of them here: leave out --devices 5"):
        paperzoo.train(str(HERE / "two_players.py"), "smoke", out=tmp_path / "runs", devices=5)
    assert not (tmp_path / "runs").exists()


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PaperzooError, match="cannot be shared by 2 processes"):
        paperzoo.train(str(HERE / "two_players.py"), "smoke", out=tmp_path, devices=2, overrides={"batch_size": 33})
    with pytest.raises(PaperzooError, match="devices must be"):
        paperzoo.train("lenet", "smoke", out=tmp_path, devices=0)


def test_helpers_count_and_state(tmp_path: Path) -> None:
    made = loop(job("lenet", "smoke"), tmp_path)
    assert count(made.model) == 61_706 and "network.c1.weight" in state(made)


# ---------------------------------------------------------------- gradients: layout, sharing, weights


def test_a_gradient_of_another_layout_moves_the_right_weights() -> None:
    """A double backward gives gradients whose strides are not their parameter's; fused optimisers read both as flat memory."""
    for make in (lambda p: Adam(p, 0.1), lambda p: SGD(p, 0.1, momentum=0.9), lambda p: torch.optim.AdamW(p, 0.1)):
        torch.manual_seed(0)
        weight = nn.Parameter(torch.randn(16, 8, 5, 5).contiguous(memory_format=torch.channels_last))
        twin = nn.Parameter(weight.detach().clone(memory_format=torch.contiguous_format))
        factor = torch.randn(16, 8, 5, 5)
        opt, plain = Players({"x": make([weight])}), make([twin])
        for _ in range(3):
            copy = weight.contiguous(memory_format=torch.contiguous_format)  # so that the gradient lies otherwise
            opt.x.minimize((copy * factor).square().sum())
            plain.zero_grad()
            (twin * factor).square().sum().backward()
            plain.step()
        assert torch.allclose(weight, twin, atol=1e-5)


def test_a_gradient_that_two_parameters_share_is_clipped_once() -> None:
    a, b = nn.Parameter(torch.zeros(4)), nn.Parameter(torch.zeros(4))
    opt = Players({"x": SGD([a, b], 1.0)}, clip=1.0)
    opt.x.minimize(((a + b) * 10).sum())  # autograd gives both the same tensor, and here one of stride 0
    assert torch.allclose(torch.cat([a, b]).norm(), torch.tensor(1.0), atol=1e-4)


def test_accumulated_parts_weigh_by_what_they_hold() -> None:
    """Parts of 3, 3 and 4 items, and a term whose items are counted in the batch: the step of the whole batch."""
    torch.manual_seed(0)
    layer, twin = nn.Linear(3, 1), nn.Linear(3, 1)
    twin.load_state_dict(layer.state_dict())
    x, chosen = torch.randn(10, 3), torch.tensor([1, 0, 0, 1, 1, 1, 0, 1, 1, 1], dtype=torch.bool)
    whole, parts = Players({"x": SGD(layer.parameters(), 0.1)}), Players({"x": SGD(twin.parameters(), 0.1)}, accumulate=3)
    whole.x.minimize(layer(x).square().mean(), (layer(x[chosen]).mean(), chosen.sum()))
    for indices in (slice(0, 3), slice(3, 6), slice(6, 10)):
        part, some = x[indices], chosen[indices]
        parts.share = len(part) * 3 / 10
        parts.x.minimize(twin(part).square().mean(), (twin(part[some]).mean(), some.sum()))
    assert torch.allclose(layer.weight, twin.weight, atol=1e-6)


def test_a_mean_over_a_counted_part_of_the_batch_weighs_by_everyones_count() -> None:
    """What two processes do, one after the other: this one has 1 item that counts, the other 3; the mean of counts is 2."""
    layer = nn.Linear(2, 1, bias=False)
    before = layer.weight.detach().clone()
    seen = []

    def mean(value: torch.Tensor) -> torch.Tensor:
        if value.ndim == 0:
            seen.append(float(value))
            return value.fill_(2.0)
        return value

    Players({"x": SGD(layer.parameters(), 1.0)}, mean=mean).x.minimize((layer(torch.ones(1, 2)).mean(), torch.tensor(1)))
    assert seen == [1.0] and torch.allclose(layer.weight, before - 0.5)
    Players({"x": SGD(layer.parameters(), 1.0)}, mean=mean).x.minimize((layer(torch.ones(0, 2)).mean(), torch.tensor(0)))
    assert torch.allclose(layer.weight, before - 0.5)  # nothing counts here: no step, and no NaN


def test_a_method_schedules_of_the_users_own_file_is_refused_not_left_out(tmp_path: Path) -> None:
    text = (HERE / "staged.py").read_text()
    old = tmp_path / "old.py"
    old.write_text(text.replace("    def stage(", "    def schedules(self, *, lr: float = 1e-2):\n        return {}\n\n    def stage(", 1))
    with pytest.raises(PaperzooError, match=r"schedules of .* is not called: let optimizers return .*\(optimizer, schedule\)"):
        paperzoo.train(str(old), "smoke", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
