"""One training in several processes, as torchrun starts them: equal to one process, ended by the end of one, sharded or not."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ranks import Ended, Ranks
from torch import Tensor

import paperzoo
from paperzoo.engine import checkpoint
from paperzoo.engine.run import Run, open_run
from paperzoo.engine.sharding import _matches, layers_of
from paperzoo.errors import PaperzooError
from paperzoo.papers.language import bert
from paperzoo.saved import newest

HERE = Path(__file__).parent
BERT = (HERE / "plain_bert.py", "--recipe", "smoke", "--set", "log_every=1", "--set", "checkpoint_every=8")
TRANSFORMER = (
    "transformer", "--recipe", "smoke", "--set", "steps=10", "--set", "batch_size=2", "--set", "train_on=train@100", "--set", "clip=0.05",
    "--set", "model.dropout=0", "--set", "log_every=1",
)  # fmt: skip
PLAYERS = (HERE / "two_players.py", "--recipe", "smoke", "--set", "log_every=1")


@pytest.fixture(scope="module")
def ranks() -> Iterator[Ranks]:
    with Ranks() as made:
        yield made


def run_in(folder: Path) -> Run:
    (directory,) = (path for path in folder.iterdir() if path.name[0] != ".")
    return open_run(directory)


def train(ranks: Ranks, folder: Path, *argv: object, world: int = 2, nodes: int = 1) -> Run:
    ended = ranks("train", *argv, "--out", folder, world=world, nodes=nodes)
    assert ended.codes == [0] * world, ended.err
    return run_in(folder)


def everything(run: Run) -> dict[str, Tensor]:
    """Weights and optimiser state, but biases of keys: they add the same to all scores of a softmax, so that their gradient is rounding."""
    return {k: v for k, v in checkpoint.read(newest(run.directory)[0])[0].items() if not k.endswith((".key.bias", ".project.bias"))}


def apart(a: Run, b: Run) -> float:
    """The largest difference of two runs' weights and optimiser states."""
    one, two = everything(a), everything(b)
    assert one.keys() == two.keys() and all(one[k].shape == two[k].shape for k in one)
    return max(float((one[k] - two[k]).abs().max()) for k in one)


def losses(run: Run) -> list[float]:
    """Of each step what was minimised; what a step returns beside it is a mean of each process's own."""
    names = ("critic", "generator", "network", "bert", "translator")
    return [value for line in run.lines for name, value in line.get("loss", {}).items() if name in names]


def half(whole: Run, folder: Path, step: int) -> Path:
    """A copy of a run as it was at this step."""
    shutil.copytree(whole.directory, folder)
    (folder / "result.json").unlink()
    for path in (folder / "checkpoints").glob("*.safetensors"):
        if int(path.stem) > step:
            path.unlink()
    return folder


# ---------------------------------------------------------------- one run on many machines


def test_processes_on_two_nodes_equal_one_and_go_on_as_another_number_of_them(ranks: Ranks, tmp_path: Path) -> None:
    asked = (*PLAYERS, "--set", "checkpoint_every=6")
    one = train(ranks, tmp_path / "one", *asked, world=1)
    two = train(ranks, tmp_path / "two", *asked, nodes=2)
    assert apart(one, two) < 1e-5 and losses(two) == pytest.approx(losses(one), abs=1e-5)
    for world, begun in ((1, two), (4, one)):
        cut = half(begun, tmp_path / f"cut{world}", 6)
        ended = ranks("resume", cut, "--code", PLAYERS[0], world=world)
        assert ended.codes == [0] * world, ended.err
        again = open_run(cut)
        assert apart(one, again) < 1e-5, f"{world} processes see other batches"
        assert losses(again) == pytest.approx(losses(one), abs=1e-5)


def test_processes_of_a_classifier_equal_one(ranks: Ranks, tmp_path: Path) -> None:
    asked = ("lenet", "--recipe", "smoke", "--set", "steps=10", "--set", "log_every=1")
    one, two = (train(ranks, tmp_path / str(world), *asked, world=world) for world in (1, 2))
    assert apart(one, two) < 1e-5 and losses(two) == pytest.approx(losses(one), abs=1e-5) and len(losses(one)) == 10


@pytest.mark.parametrize("rank", [0, 1])
def test_the_end_of_one_process_ends_the_others_with_a_sentence(rank: int, ranks: Ranks, tmp_path: Path) -> None:
    asked = (*PLAYERS[:3], "--set", "steps=100000", "--set", "checkpoint_every=5", "--out", tmp_path)
    ended = ranks("train", *asked, kill=(rank, tmp_path / "*/checkpoints/*.safetensors"))
    assert ended.codes[rank] == -9 and ended.codes[1 - rank] == 2 and ended.seconds < 30
    said = ended.err[1 - rank].splitlines()[-1]
    run = run_in(tmp_path)
    assert said.startswith("paperzoo: another process of this training has ended") and said.endswith(f"paperzoo resume {run.directory}")
    assert "Traceback" not in ended.err[1 - rank] and newest(run.directory)[0].is_file()


def test_a_batch_that_the_processes_cannot_share_is_refused_by_all_and_nothing_is_left(ranks: Ranks, tmp_path: Path) -> None:
    ended = ranks("train", *PLAYERS, "--out", tmp_path / "runs", world=3)
    assert ended.codes == [2, 2, 2] and not (tmp_path / "runs").exists()
    assert {text.strip() for text in ended.err} == {"paperzoo: batch_size 32 cannot be shared by 3 processes: choose a multiple of 3"}


def test_nodes_with_unlike_numbers_of_processes_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in (("TORCHELASTIC_RUN_ID", "x"), ("WORLD_SIZE", "4"), ("LOCAL_WORLD_SIZE", "3"), ("RANK", "0")):
        monkeypatch.setenv(name, value)
    with pytest.raises(PaperzooError, match="started 4 processes, 3 of them here: start as many on each node"):
        paperzoo.train(str(HERE / "two_players.py"), "smoke", out=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_two_launchers_make_one_run(tmp_path: Path) -> None:
    """torchrun itself, once for each of two nodes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--rdzv-id", "x"]
    command += ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"127.0.0.1:{port}", "-m", "paperzoo", "train", *map(str, PLAYERS)]
    command += ["--out", str(tmp_path / "runs")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    nodes = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) for _ in range(2)]
    said = [node.communicate(timeout=300) for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said
    run = run_in(tmp_path / "runs")
    assert sum(out.splitlines().count(str(run.directory)) for out, _ in said) == 1
    one = paperzoo.train(str(HERE / "two_players.py"), "smoke", out=tmp_path / "one")
    assert apart(one, run) < 1e-5


# ---------------------------------------------------------------- sharded


@pytest.fixture(scope="module")
def whole(ranks: Ranks, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """BERT trained in one process."""
    return train(ranks, tmp_path_factory.mktemp("whole"), *BERT, world=1)


def test_a_sharded_bert_equals_one_process_and_its_checkpoints_are_whole(whole: Run, ranks: Ranks, tmp_path: Path) -> None:
    parted = train(ranks, tmp_path, *BERT, "--sharded")
    assert len(losses(whole)) == 24 and losses(parted) == pytest.approx(losses(whole), abs=1e-5)
    assert apart(whole, parted) < 1e-5 and parted.metrics == pytest.approx(whole.metrics, rel=1e-3)
    shapes = [{k: v.shape for k, v in paperzoo.load(run.directory, [str(BERT[0])]).state_dict().items()} for run in (whole, parted)]
    assert shapes[0] == shapes[1]
    assert whole.info["recipe_hash"] == parted.info["recipe_hash"] and set(whole.info) == set(parted.info)


def test_a_sharded_transformer_is_clipped_by_the_norm_of_all_its_parts_and_keeps_an_average(ranks: Ranks, tmp_path: Path) -> None:
    one = train(ranks, tmp_path / "one", *TRANSFORMER, world=1)
    parted = train(ranks, tmp_path / "parted", *TRANSFORMER, "--sharded")
    assert len(losses(one)) == 10 and losses(parted) == pytest.approx(losses(one), abs=1e-5)
    assert apart(one, parted) < 1e-5
    a, b = everything(one), everything(parted)  # Adam's steps do not show how long a gradient is, but what it remembers does
    moments = [key for key in a if key.endswith("exp_avg_sq")]
    sums = [sum(float(state[key].sum()) for key in moments) for state in (a, b)]
    assert sums[1] == pytest.approx(sums[0], rel=1e-3) and sums[1] == pytest.approx(0.05**2 * (1 - 0.98**10), rel=1e-3)


def test_a_sharded_run_goes_on_from_one_that_was_not_and_the_other_way_round(whole: Run, ranks: Ranks, tmp_path: Path) -> None:
    cut = half(whole, tmp_path / "cut", 8)
    assert ranks("resume", cut, "--code", BERT[0], "--sharded").codes == [0, 0]
    assert apart(whole, open_run(cut)) < 1e-5
    back = half(open_run(cut), tmp_path / "back", 16)  # whose last checkpoint was written in parts
    assert ranks("resume", back, "--code", BERT[0], world=1).codes == [0]
    assert apart(whole, open_run(back)) < 1e-5


def refused(ended: Ended) -> str:
    assert set(ended.codes) == {2}
    (sentence,) = {text.strip() for text in ended.err}
    assert "\n" not in sentence
    return sentence


@pytest.mark.parametrize(
    ("argv", "world", "said"),
    [
        (PLAYERS, 2, "two_players has 2 optimisers (critic, generator): --sharded is for models of one optimiser"),
        (("word2vec", "--recipe", "smoke"), 2, "word2vec updates itself, without an optimiser"),
        (BERT, 1, "give --devices 2 or more, or start it by torchrun"),
        ((*BERT, "--set", "accumulate=2"), 2, "accumulate and --sharded exclude each other"),
        ((*BERT, "--seeds", "0,1"), 1, "--sharded and --seeds exclude each other"),
    ],
)
def test_what_cannot_be_sharded_is_refused_and_nothing_is_left(
    argv: tuple[object, ...], world: int, said: str, ranks: Ranks, tmp_path: Path
) -> None:
    assert said in refused(ranks("train", *argv, "--sharded", "--out", tmp_path / "runs", world=world))
    assert not (tmp_path / "runs").exists()


def test_a_network_that_is_reached_into_is_named(ranks: Ranks, tmp_path: Path) -> None:
    patch = "from paperzoo.papers.recognition import lenet; step = lenet.Model.step; lenet.Model.step = " + (
        "lambda self, batch, opt: opt.network.minimize(self.network.c1.weight.square().sum() + batch.image.mean())"
    )
    ended = ranks("train", "lenet", "--recipe", "smoke", "--sharded", "--out", tmp_path, patch=patch)
    assert ended.codes == [2, 2] and "lenet takes weights from a network without calling it" in ended.err[0], ended.err


def test_only_layers_of_a_name_are_gathered_by_themselves() -> None:
    assert layers_of(paperzoo.create("bert:base", layers=1, width=4, heads=1, inner=4)) == bert.SHARDED
    assert layers_of(paperzoo.create("lenet")) == ()
    assert _matches("bert.layers.0", "bert.layers.*") and not _matches("bert.layers.0.project", "bert.layers.*")
    assert _matches("network.decoder.3.feed_forward", "network.decoder.*.feed_forward") and not _matches("other.layers.0", "bert.layers.*")
