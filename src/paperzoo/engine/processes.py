"""One process or several: how they start, and what they tell each other.

The only file that imports Lightning's Fabric, and only when a training starts: it brings ``torch._dynamo``, seconds of import.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.multiprocessing.spawn import ProcessExitedException, ProcessRaisedException

from paperzoo.errors import Interrupted, PaperzooError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

T = TypeVar("T")
#: what gloo and NCCL say when another process is gone; their errors have no class of their own
_GONE = re.compile(r"gloo|NCCL|Connection (closed|reset|refused)|Broken pipe|Socket Timeout|wait timeout", re.IGNORECASE)


def fabric(devices: int = 1, strategy: str = "auto", nodes: int = 1) -> Fabric:
    """Fabric on the accelerator, or on the processor where there is none, with its log messages switched off."""
    from lightning_fabric import Fabric

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its import sets it to INFO
    warnings.filterwarnings("ignore", ".*`isinstance\\(treespec, LeafSpec\\)`.*")
    return Fabric(accelerator="auto", devices=devices, strategy=strategy, num_nodes=nodes)


def under_torchrun() -> bool:
    """Whether torchrun started this process, beside others or alone."""
    return "TORCHELASTIC_RUN_ID" in os.environ and "WORLD_SIZE" in os.environ


def first() -> bool:
    """Whether this process is the one that makes files, as far as torchrun's environment says."""
    return not under_torchrun() or os.environ.get("RANK", "0") == "0"


def world(devices: int) -> int:
    """How many processes share a batch: what torchrun's environment says, else ``devices``.

    Raises:
        PaperzooError: ``devices`` is no such number, more than there are, or not what torchrun has started.
    """
    if not isinstance(devices, int) or isinstance(devices, bool) or devices < 1:
        raise PaperzooError(f"devices must be a whole number from 1, not {devices!r}")
    if under_torchrun():
        started, here = int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
        if devices not in (1, here, started):
            raise PaperzooError(f"torchrun has started {started} processes, {here} of them here: leave out --devices {devices}")
        return started
    if torch.cuda.is_available() and devices > torch.cuda.device_count():
        raise PaperzooError(f"devices={devices}, but this machine has {torch.cuda.device_count()}")
    return devices


def joined() -> Fabric:
    """This process as one of those that torchrun has started; if it has started only one, a Fabric for a single process."""
    started, here = int(os.environ["WORLD_SIZE"]), int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
    if started % here:
        raise PaperzooError(f"torchrun has started {started} processes, {here} of them here: start as many on each node")
    one = fabric(here, "ddp", started // here) if started > 1 else fabric()
    with together():
        one.launch()
    return one


@contextmanager
def together(directory: str | Path = "") -> Iterator[None]:
    """Work that several processes do together: the end of one ends the others with a sentence, at their next message to it.

    Raises:
        PaperzooError: another process has ended, or cannot be reached.
    """
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, dist.DistError) or _GONE.search(str(error))):
            raise
        reason = re.sub(r"^\[\S+\] ", "", str(error).strip()).partition(". ")[0].partition("\n")[0][:200]
        saved = f"; what was saved is kept: paperzoo resume {directory}" if directory else ""
        raise PaperzooError(f"another process of this training has ended, or cannot be reached ({reason}){saved}") from error


def agreed(one: Fabric, make: Callable[[], T]) -> T:
    """What the first process makes, on all of them; its error too.

    Raises:
        PaperzooError: what ``make`` raised.
    """
    if one.world_size == 1:
        return make()
    answer: tuple[T | None, str] = (None, "")
    if one.is_global_zero:
        try:
            answer = (make(), "")
        except PaperzooError as error:
            answer = (None, str(error))
    value, wrong = one.broadcast(answer)
    if wrong:
        raise PaperzooError(wrong)
    return value  # type: ignore[return-value]


def spawn(devices: int, work: Callable[..., None], *arguments: Any) -> None:
    """Runs ``work(fabric, *arguments)`` in so many new processes.

    Raises:
        PaperzooError, Interrupted: raised by one of them, or one has died.
    """
    try:
        fabric(devices, "ddp_spawn").launch(_worker, work, *arguments)  # type: ignore[arg-type]
    except ProcessExitedException as error:
        raise PaperzooError(f"a process died ({error})") from error
    except ProcessRaisedException as error:
        lines = [line for line in str(error).splitlines() if line.startswith("paperzoo.errors.")]
        if not lines:
            raise
        kind, _, message = lines[-1].removeprefix("paperzoo.errors.").partition(": ")
        raise (Interrupted if kind == "Interrupted" else PaperzooError)(message) from None


def _worker(one: Fabric, work: Callable[..., None], *arguments: Any) -> None:
    if one.device.type == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // one.world_size))
    work(one, *arguments)
    one.barrier()
    dist.destroy_process_group()  # together, or the first to leave may take the others' sockets with it


class Everyone:
    """What all processes agree on; with one process nothing is sent."""

    def __init__(self, world: int, device: torch.device) -> None:
        self.world, self.device = world, device

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean over processes, in place."""
        if self.world == 1:
            return tensor
        dist.all_reduce(tensor)
        return tensor.div_(self.world)

    def any(self, flag: bool) -> bool:
        """Whether one of them says so."""
        if self.world == 1:
            return flag
        return bool(self.mean(torch.tensor(float(flag), device=self.device)) > 0)

    def unite(self, model: nn.Module) -> None:
        """Batch-norm statistics, which differ between processes, become their mean before they are measured and saved."""
        if self.world == 1:
            return
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is not None:
                self.mean(module.running_mean)
                assert module.running_var is not None
                self.mean(module.running_var)
