"""Many trainings at a time, each in a process of its own: on this machine, or by Ray on a cluster."""

from __future__ import annotations

import multiprocessing
import os
import re
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from paperzoo.errors import PaperzooError, unknown

#: what the run is of, its number, and what else the function takes; plain values, and paths that mean the same everywhere
Call = tuple[Any, ...]
WAYS = ("local", "ray")


def check(workers: int, on: str) -> None:
    """Raises ``PaperzooError`` if there is no such way to spread runs, or no such number of them."""
    if workers < 1:
        raise PaperzooError(f"--workers must be at least 1, not {workers}")
    if on not in WAYS:
        raise unknown("way to spread runs", on, WAYS)


def spread(calls: Sequence[Call], one: Callable[..., str], workers: int = 1, on: str = "local") -> Iterator[tuple[int, str]]:
    """Each call's number and what ``one`` returns for it, the run's directory, as they are done.

    Args:
        workers: trainings at a time on this machine, whose cores they share. A cluster's own size is that of Ray.
        on: ``"local"`` processes, or ``"ray"``: the cluster that ``RAY_ADDRESS`` names, else a Ray of this machine.

    Raises:
        PaperzooError: what one of them raised, a worker that has died twice, or Ray is asked for and missing.
    """
    check(workers, on)
    yield from on_ray(calls, workers, one) if on == "ray" else on_processes(calls, workers, one)


def _share_cores(workers: int) -> None:
    import torch

    torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))


def on_processes(calls: Sequence[Call], workers: int, one: Callable[..., str], again: bool = False) -> Iterator[tuple[int, str]]:
    """Each call's number and directory, as they are done. A run whose worker dies is done once more."""
    if workers == 1:
        for call in calls:
            yield call[1], one(*call)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_share_cores, initargs=(workers,)) as pool:
        waiting = {pool.submit(one, *call): call for call in calls}
        lost = []
        for done, future in enumerate(as_completed(waiting), 1):
            try:
                directory = future.result()
            except BrokenProcessPool:  # with one worker all are gone, and what waited for them
                lost.append(waiting[future])
                continue
            print(f"{done} of {len(calls)} runs", file=sys.stderr)
            yield waiting[future][1], directory
    if lost:
        lost.sort(key=lambda call: call[1])
        which = ", ".join(str(call[1] + 1) for call in lost)
        if again:
            raise PaperzooError(f"a worker died twice, out of memory perhaps, at run {which} of {lost[0][0]}: try --workers 1")
        print(f"a worker died: what it had not finished is done again, run {which}", file=sys.stderr)
        yield from on_processes(lost, workers, one, again=True)


def _knock(address: str) -> None:
    """Raises ``OSError`` if nothing listens at ``host:port``, at which Ray itself would try for minutes."""
    if place := re.fullmatch(r"(?:ray://)?\[?([^\]]+)\]?:(\d{1,5})", address):
        socket.create_connection((place[1], int(place[2])), timeout=10).close()


def on_ray(calls: Sequence[Call], workers: int, one: Callable[..., str]) -> Iterator[tuple[int, str]]:
    """The same by Ray. Every machine of the cluster has paperzoo, and reaches the runs' folder under the same path."""
    try:
        import ray  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError as error:
        raise PaperzooError('spreading runs over a cluster needs Ray: pip install "paperzoo[ray]"') from error
    began = not ray.is_initialized()
    if began:
        address = os.environ.get("RAY_ADDRESS")
        try:
            _knock(address or "")
            ray.init(address=address, num_cpus=None if address else workers, log_to_driver=False, include_dashboard=False)
        except Exception as error:  # of many kinds, some of them plain
            where = f"the cluster at RAY_ADDRESS={address}" if address else "a Ray of this machine"
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
            raise PaperzooError(f"{where} cannot be reached: {reason[:200]}") from error
    try:
        gpu = 1 if ray.cluster_resources().get("GPU") else 0  # Ray hides the accelerators from a task that asks for none
        trainer = ray.remote(num_cpus=1, num_gpus=gpu, max_retries=0)(one)
        gone = (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError)
        waiting, again, done = {trainer.remote(*call): call for call in calls}, set(), 0
        while waiting:
            (ready,), _ = ray.wait(list(waiting), num_returns=1)
            call = waiting.pop(ready)
            try:
                directory = ray.get(ready)
            except gone as error:
                if call[1] in again:
                    raise PaperzooError(f"a worker died twice, out of memory perhaps, at run {call[1] + 1} of {call[0]}") from error
                print(f"a worker died: run {call[1] + 1} is done again", file=sys.stderr)
                again.add(call[1])
                waiting[trainer.remote(*call)] = call
                continue
            except ray.exceptions.RayTaskError as error:
                raise error.cause from None  # as it was raised there
            except ray.exceptions.RayError as error:  # of the cluster itself
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
                raise PaperzooError(f"Ray has failed: {reason[:200]}; runs that are finished are kept, the same command goes on") from error
            done += 1
            print(f"{done} of {len(calls)} runs", file=sys.stderr)
            yield call[1], directory
    finally:
        if began:
            ray.shutdown()
