"""Images a second of ResNet-50, VGG-16 and MobileNetV2 against transformers' and a plain loop, taking turns in one process.

    pip install "paperzoo[bench]"
    python benchmarks/recognition.py [--json] [--quick] [--threads 2] [--device cpu]

Each network is trained (cross-entropy, SGD with momentum) and asked (no gradients, as trained or in eval mode) in up to four ways:
``defaults``, this project's engine as it comes (bf16 where the processor has it, channels last); ``float32``, the engine in
float32; ``plain``, the same network in a loop as one would write it, float32 and NCHW; ``transformers``, Hugging Face's network of
the same size in that plain loop (it has no VGG). Ratios are of images a second to the last one there is, medians of the repeats.
What training steps add to the memory at its peak is measured in a process of its own each (Linux, or a GPU).
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

import paperzoo
from paperzoo.data import Batch
from paperzoo.engine import precision
from paperzoo.engine.players import Players

NETWORKS = {"resnet:resnet50": "ResNet-50", "vgg:vgg16": "VGG-16", "mobilenet:v2": "MobileNetV2"}
WAYS = ("defaults", "float32", "plain", "transformers")
Step = Callable[[Tensor, Tensor], Any]


def peer(name: str) -> nn.Module | None:
    """Hugging Face's network with fresh weights, or None where it has none."""
    import transformers as hf

    if name == "resnet:resnet50":
        return hf.ResNetForImageClassification(hf.ResNetConfig(num_labels=1000))
    if name == "mobilenet:v2":
        return hf.MobileNetV2ForImageClassification(hf.MobileNetV2Config(num_labels=1000))
    return None


def way(name: str, how: str, device: torch.device) -> tuple[nn.Module, Step, Step] | None:
    """A network, its training step and its forward pass, for images (N, 3, S, S) and labels (N)."""
    torch.manual_seed(0)
    if how in ("defaults", "float32"):
        model = paperzoo.create(name)
        precision.prepare(model, precision.resolve("auto" if how == "defaults" else "float32", device), device)
        opt = Players({"network": SGD(model.network.parameters(), 1e-3, 0.9)})
        return model, lambda image, label: model.step(Batch(image=image, label=label), opt), lambda image, label: model(image)
    network = peer(name) if how == "transformers" else paperzoo.create(name).network
    if network is None:
        return None
    network.to(device)
    optimizer = SGD(network.parameters(), 1e-3, 0.9)

    def logits(image: Tensor) -> Tensor:
        out = network(image)
        return out.logits if how == "transformers" else out

    def train(image: Tensor, label: Tensor) -> None:
        optimizer.zero_grad()
        F.cross_entropy(logits(image), label).backward()
        optimizer.step()

    return network, train, lambda image, label: logits(image)


def measure(name: str, batch: int, size: int, repeats: int, device: torch.device) -> dict[str, dict[str, float]]:
    """Images a second of each way, training and asked; the ways take turns, so that a busy moment meets all."""
    image, label = torch.rand(batch, 3, size, size, device=device), torch.randint(1000, (batch,), device=device)
    ways = {how: made for how in WAYS if (made := way(name, how, device))}
    found: dict[str, dict[str, float]] = {}
    for kind in ("training", "inference"):
        times: dict[str, list[float]] = {how: [] for how in ways}
        for turn in range(repeats + 2):
            for how, (network, train, ask) in ways.items():
                network.train(kind == "training")
                with torch.set_grad_enabled(kind == "training"):
                    wait(device)
                    began = time.perf_counter()
                    (train if kind == "training" else ask)(image, label)
                    wait(device)
                if turn >= 2:  # the first are warm-up
                    times[how].append(time.perf_counter() - began)
        found[kind] = {how: batch / statistics.median(values) for how, values in times.items()}
    return found


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak(name: str, how: str, batch: int, size: int, device: torch.device) -> float:
    """MiB that three training steps add to the process at their peak (a GPU: of its own memory)."""
    made = way(name, how, device)
    assert made is not None
    image, label = torch.rand(batch, 3, size, size, device=device), torch.randint(1000, (batch,), device=device)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is the parent's, inherited; forget it
    before = high_water()
    for _ in range(3):
        made[1](image, label)
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return high_water() - before


def high_water() -> float:
    """MiB of this process's memory at its peak, as Linux counts it."""
    (line,) = [row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def main() -> None:
    """Times all networks and prints a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--quick", action="store_true", help="images of 64 pixels, two repeats")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--peak", nargs=2, metavar=("NAME", "WAY"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device, size, repeats = torch.device(given.device), 64 if given.quick else 224, 2 if given.quick else given.repeats
    if given.peak:
        print(peak(*given.peak, given.batch, size, device))
        return
    rows = []
    for name, title in NETWORKS.items():
        images = measure(name, given.batch, size, repeats, device)
        again = [sys.executable, __file__, "--batch", str(given.batch), "--threads", str(given.threads), "--device", given.device]
        again += ["--quick"] if given.quick else []
        memory = {}
        for how in images["training"]:
            done = subprocess.run([*again, "--peak", name, how], capture_output=True, text=True, check=True)
            memory[how] = float(done.stdout.split()[-1])
        rows.append({"network": title, "batch": given.batch, "image_size": size, **images, "peak_mib": memory})
    if given.json:
        print(json.dumps({"torch": torch.__version__, "threads": given.threads, "device": given.device, "rows": rows}))
        return
    print(f"{given.batch} images of {size}x{size}, {given.threads} threads, {given.device}; images a second (ratio to the last way)")
    for row in rows:
        for kind in ("training", "inference"):
            last = list(row[kind].values())[-1]
            cells = "  ".join(f"{how} {value:7.1f} ({value / last:4.2f})" for how, value in row[kind].items())
            print(f"{row['network']:12}{kind:10} {cells}")
        print(f"{'':12}{'peak, MiB':10} " + "  ".join(f"{how} {value:7.0f}       " for how, value in row["peak_mib"].items()))


if __name__ == "__main__":
    main()
