"""What does a network call a digit that nobody else would?

Nguyen, Yosinski and Clune (2014, 1412.1897) looked for images that a network is sure of and that show nothing, in three ways.

    MAP-Elites, direct    an archive holds one champion for each class. A child of a random one is shown to the network, and takes
                          the place of every champion that it beats, in whichever class (section 2.3). Its genes are the pixels.
    MAP-Elites, CPPN      its genes are a small network of sines, Gaussians, sigmoids and linear units that paints the pixel at
                          (x, y), and grows (Stanley 2007): images come out regular.
    gradient ascent       the image climbs log p(class) from noise, held back by an L2 penalty (section 3.7; Simonyan et al. 2013,
                          1312.6034) or blurred now and then (Yosinski et al. 2015, 1506.06579).

As reported: LeNet is 99.99 % sure of either kind for all digits. The median over ImageNet's classes is 21.59 % for AlexNet with
pixels and 88.11 % with CPPNs, and much of it fools a second network too. Trained anew with an (n+1)th class, "nonsense", on ImageNet
the median falls to 11.7 %; on MNIST new nonsense is found as before, round after round (section 3.6).

Here: LeNet and a small `cnn` on 5,000 digits, fooled in all ways, trained anew with the evolved CPPN images of all rounds before as
an eleventh class, and fooled again. The second network is the same with another seed. That it is nonsense is not left to the eye: its
distance (L2, pixels in [0, 1]) from the nearest training image stands beside that of real test digits. For contrast, adversarial
digits, which still are what they were: one step of gradient (FGSM, Goodfellow et al. 2014, 1412.6572) and many (PGD, Madry et al.
2017, 1706.06083), at most 0.1 a pixel. And MobileNetV2 with its ImageNet weights, at 96x96, for every 40th class.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from paperzoo.data import Dataset, Images, Split, Values
from paperzoo.nn.evolution import CPPN, Direct, map_elites
from paperzoo.studies.features import mobilenet
from paperzoo.studies.trial import Outcome, Trial, again
from paperzoo.tasks.pictures import compact, grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from paperzoo.engine.run import Run

TITLE = "Fooling images: sure of nonsense"
EXPECTED = (
    "On digits all ways lead to a median above 99 %. Evolved images are twice as far from every training image as real test digits are, "
    "adversarial ones about as near. Most of the CPPNs' fool the second network as well, fewer of those made of noise. A class for "
    "nonsense recognises what it was trained on, and new nonsense with a median above 90 % is found after each of two rounds. On "
    "ImageNet CPPNs are believed more than pixels are, and gradient ascent most of all."
)
FINDING = (
    "As expected, on digits every way leads to a median above 99 %. What evolved for LeNet is 2.5 to 3.4 times as far from any training "
    "image as real digits are, for the other network 1.7 (CPPN) to 3 times; adversarial digits are as near as real ones. A second "
    "network believes 93 % of the CPPNs' images; with noise it depends on the architecture: LeNets share 90 % of it, the other "
    "networks 10 %, and of gradient ascent's 7 (L2) and 60 % (blur). Against what was expected and "
    "what the paper reports of MNIST, a class for nonsense "
    "helps: two rounds of it bring new CPPNs down to a median of 64 % (LeNet) and 86 %, and errors up by 0.3 points. But mostly "
    "against what it was taught: noise and gradient ascent still find nonsense of 98.8 to 100 % in the median, though with the second "
    "network less of its noise is above 99 % (90 % before, 53 after). With so short a search MobileNetV2 is sure "
    "of gradient ascent's images (99.98 %), sometimes of CPPNs' (median 11 %, one class in seven above 99), never of pixels (0.4 %)."
)
BEYOND = (
    "Distance in pixels tells that an image is unlike the digits of the training set, not that nobody could read it, and a dark image is "
    "never far from a thin digit, which is where the L2 penalty leads: look at the gallery. "
    "MobileNetV2 is shown 10,000 images of pixels and 25,000 of CPPNs, where the paper spent millions, and smaller ones than it was "
    "trained on: its figures say what so short a search finds. The CPPNs mutate as NEAT's do, without crossover and species."
)

METHODS = ("gradient, L2", "gradient, blur", "direct", "CPPN")
ATTACKS = ("FGSM", "PGD")
NETWORKS = {"LeNet": "lenet", "CNN": "cnn"}
ROUNDS, SURE, SHRINK, REACH = 2, 0.99, 1e-3, 0.1
#: of ImageNet's classes; and the paper's medians over all of them, direct and CPPN, in percent
EVERY, REPORTED = 40, (21.59, 88.11)


class Effort(NamedTuple):
    """Generations of each encoding, independent archives of CPPNs, children of a generation, steps of gradient ascent."""

    direct: int
    cppn: int
    archives: int
    children: int
    steps: int


DIGITS, DIGITS_QUICK = Effort(1000, 400, 20, 100, 200), Effort(40, 20, 4, 20, 40)
PHOTOGRAPHS, PHOTOGRAPHS_QUICK = Effort(200, 500, 1, 50, 60), Effort(4, 4, 1, 10, 4)


def trials(quick: bool) -> list[Trial]:
    """Both networks with every seed."""
    listed = []
    for seed in range(1 if quick else 3):
        for number, (label, paper) in enumerate(NETWORKS.items()):
            settings: dict[str, Any] = {"precision": "float32", "steps": 100 if quick else 800, "batch_size": 64}
            if not quick:
                settings |= {"data": "mnist-5k", "train_on": "train"}
                settings |= {"model.widths": [8, 16, 32], "model.channels": 1} if label == "CNN" else {}
            listed.append(Trial(label, number, paper, "smoke" if quick else "small", seed, settings))
    return listed


# --- gradients ---------------------------------------------------------------------------------------------------------


def ascend(model: nn.Module, target: Tensor, start: Tensor, steps: int, blur: bool) -> Tensor:
    """Images that climb log p(target) from ``start`` (N, C, S, S), within [0, 1]; target (N).

    Args:
        blur: after every fourth step, but for the last ten. Without it, ``SHRINK ||image||^2`` is taken off what is climbed.
    """
    image = start.clone().requires_grad_()
    adam = torch.optim.Adam([image], 0.05)
    for step in range(steps):
        with torch.enable_grad():
            loss = F.cross_entropy(model(image), target, reduction="sum") + (0 if blur else SHRINK * image.square().sum())
        (image.grad,) = torch.autograd.grad(loss, image)
        adam.step()
        with torch.no_grad():
            if blur and step % 4 == 3 and step < steps - 10:
                image.copy_(blurred(image))
            image.clamp_(0, 1)
    return image.detach()


def blurred(image: Tensor) -> Tensor:
    """Convolved with a Gaussian of deviation 1, five pixels wide; edges are repeated."""
    line = torch.exp(-(torch.arange(-2.0, 3.0) ** 2) / 2)
    kernel = (line[:, None] * line / line.sum() ** 2).expand(image.shape[1], 1, 5, 5)
    return F.conv2d(F.pad(image, (2, 2, 2, 2), "replicate"), kernel, groups=image.shape[1])


def attack(model: nn.Module, image: Tensor, label: Tensor, steps: int, rate: float) -> Tensor:
    """PGD without a random start: each step adds ``rate`` times the sign of the loss's gradient, at most ``REACH`` in all.

    With one step of ``REACH`` it is FGSM.
    """
    moved = image
    for _ in range(steps):
        moved = moved.detach().requires_grad_()
        with torch.enable_grad():
            loss = F.cross_entropy(model(moved), label, reduction="sum")
        moved = moved.detach() + rate * torch.autograd.grad(loss, moved)[0].sign()
        moved = (image + (moved - image).clamp(-REACH, REACH)).clamp(0, 1)
    return moved


# --- a network and its nonsense ----------------------------------------------------------------------------------------


def analyse(run: Run, trial: Trial) -> dict[str, Any]:
    """The measurements on the network and on those trained anew.

    ``rounds``: for each network its test ``error %``, what share of earlier nonsense it recognises as such, and of the results of
    ``search`` by method: median ``confidence``, ``sure %`` of the images, and distances; of the first also in how much of it the
    second network sees the same class (``same %``). ``real`` and ``attacks``: the same numbers on real and adversarial digits.
    ``ImageNet``: see ``photographs``.
    """
    from paperzoo.engine.evaluate import as_trained
    from paperzoo.engine.run import job_of

    quick, data = trial.recipe == "smoke", job_of(run).dataset()
    effort, classes = DIGITS_QUICK if quick else DIGITS, int(data.schema.arguments["classes"])
    train = data["train"].batch(range(len(data["train"]))).image
    held_out = data["test"].batch(range(0, len(data["test"]), 3 if quick else 20))
    targets, nonsense = torch.arange(classes), train[:0]
    record: dict[str, Any] = {"rounds": []}
    images: dict[str, Tensor] = {}
    for number in range(ROUNDS + 1):
        seed = trial.seed + 100 * number
        with frozen(trained(run, data, nonsense, seed) if number else as_trained(run).cpu()) as model:
            numbers: dict[str, Any] = {"error %": error(model, data)}
            numbers["known %"] = {name: 100 * share(model(i.flatten(0, 1)).argmax(1) == classes) for name, i in images.items()}
            random = torch.Generator().manual_seed(seed)
            for method in METHODS:
                images[method], p = search(model, method, targets, train.shape[1:], effort, random)
                numbers[method] = {"confidence": 100 * float(p.median()), "sure %": 100 * share(p > SURE)}
                numbers[method]["distances"] = nearest(images[method].flatten(0, 1)[:100], train)
            if not number:
                with frozen(trained(run, data, nonsense, trial.seed + 1000)) as second:
                    for method, image in images.items():
                        same = (second(image.flatten(0, 1)).argmax(1).view(len(image), -1) == targets).flatten()
                        numbers[method]["same %"] = 100 * share(same)
                    record["attacks"] = attacks(model, second, held_out.image, held_out.label, train)
                surest = model(held_out.image).softmax(1).amax(1)
                record["real"] = {"confidence": 100 * float(surest.median()), "distances": nearest(held_out.image, train)}
                if trial.seed == 0:
                    real = torch.stack([held_out.image[held_out.label == k][0] for k in targets])
                    record["strips"] = {method: strip(image[0]) for method, image in images.items()}
                    record["strips"]["PGD"] = strip(attack(model, real, targets, 20, REACH / 8))
        record["rounds"].append(numbers)
        nonsense = torch.cat([nonsense, images["CPPN"].flatten(0, 1)])
    if trial.seed == 0:
        record["strips"]["again"] = strip(images["CPPN"][0])
    if trial.label == "LeNet":
        record["ImageNet"] = photographs(trial.seed, quick)
    return record


@contextmanager
def frozen(model: nn.Module) -> Iterator[nn.Module]:
    """In eval mode, without gradients of weights."""
    with torch.no_grad():
        yield model.eval().requires_grad_(False)


def search(
    model: nn.Module, method: str, classes: Tensor, shape: Sequence[int], effort: Effort, random: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Nonsense (R, K, C, S, S) for each of K classes in R archives, and p(class) of each (R, K)."""

    def confidence(image: Tensor) -> Tensor:
        return model(image).softmax(1)[:, classes]  # type: ignore[no-any-return]

    if method.startswith("gradient"):
        image = ascend(model, classes, torch.rand(len(classes), *shape, generator=random), effort.steps, "blur" in method)
        return image[None], confidence(image).diagonal()[None]
    encoding = (Direct if method == "direct" else CPPN)(shape[0], shape[1])
    generations, archives = (effort.direct, 1) if method == "direct" else (effort.cppn, effort.archives)
    return map_elites(confidence, encoding, generations, random, archives, effort.children)


def trained(run: Run, data: Dataset, nonsense: Tensor, seed: int) -> nn.Module:
    """The run's recipe trained anew with another seed; ``nonsense`` (N, C, S, S) is one class more, if there is any."""
    from paperzoo.engine.run import job_of

    recipe = job_of(run).recipe
    if len(nonsense):
        data = with_nonsense(data, nonsense)
        recipe = dataclasses.replace(recipe, model={**recipe.model, "classes": data.schema.arguments["classes"]})
    with again(run, data, recipe=recipe, seed=seed) as loop:
        while loop.opt.iteration < recipe.steps:
            loop.step()
        return loop.model.cpu()


def with_nonsense(data: Dataset, image: Tensor) -> Dataset:
    """The data set with these images (N, C, S, S) in [0, 1] added to ``train``, of a class after all others."""
    classes = int(data.schema.arguments["classes"])
    pixels, label = Images((255 * image).round().to(torch.uint8)), Values("label", torch.full((len(image),), classes))
    columns = [c.join(pixels if isinstance(c, Images) else label) for c in data["train"].columns]
    schema = dataclasses.replace(data.schema, arguments={**data.schema.arguments, "classes": classes + 1})
    return dataclasses.replace(data, schema=schema, splits={**data.splits, "train": Split(*columns)})


def error(model: nn.Module, data: Dataset) -> float:
    """Test error in percent; an answer of "nonsense" counts as wrong."""
    batches = [data["test"].batch(indices) for indices in data["test"].batches(500)]
    return 100 * share(torch.cat([model(batch.image).argmax(1) != batch.label for batch in batches]))


def share(which: Tensor) -> float:
    """The share of true entries."""
    return float(which.double().mean())


def nearest(image: Tensor, train: Tensor) -> list[float]:
    """How far each image (N, ...) is from the nearest of ``train`` (M, ...), L2."""
    here, there = (images.flatten(1).double() for images in (image, train))  # in float32 an image is some way from itself
    return [round(d, 3) for part in torch.split(here, 100) for d in torch.cdist(part, there).amin(1).tolist()]


def attacks(model: nn.Module, second: nn.Module, image: Tensor, label: Tensor, train: Tensor) -> dict[str, dict[str, Any]]:
    """By attack, on digits that both networks classify correctly: ``wrong %`` after it; of the adversarial examples the confidence, the
    size of the perturbation, the distance, and the share on which the second network makes the same mistake."""
    right = (model(image).argmax(1) == label) & (second(image).argmax(1) == label)
    image, label, by_attack = image[right], label[right], {}
    for name, steps, rate in (("FGSM", 1, REACH), ("PGD", 20, REACH / 8)):
        moved = attack(model, image, label, steps, rate)
        p, answer = model(moved).softmax(1).max(1)
        wrong = answer != label
        by_attack[name] = {"wrong %": 100 * share(wrong), "distances": nearest(moved[wrong], train)}
        if wrong.any():
            by_attack[name] |= {
                "confidence": 100 * float(p[wrong].median()),
                "change": float((moved - image)[wrong].flatten(1).norm(dim=1).median()),
                "same %": 100 * share(second(moved[wrong]).argmax(1) == answer[wrong]),
            }
    return by_attack


def photographs(seed: int, quick: bool) -> dict[str, Any]:
    """MobileNetV2's nonsense: by method its ``confidences`` in the classes, and a strip of the surest eight."""
    effort, side = (PHOTOGRAPHS_QUICK, 32) if quick else (PHOTOGRAPHS, 96)
    random, by_method = torch.Generator().manual_seed(seed), {}
    with frozen(mobilenet(quick)) as model:
        outputs = model(torch.zeros(1, 3, side, side)).shape[1]
        classes = torch.arange(0, outputs, 1 if quick else EVERY)
        names = getattr(model, "names", ()) or [str(k) for k in range(outputs)]
        for method in METHODS[1:]:
            (image,), (p,) = search(model, method, classes, (3, side, side), effort, random)
            by_method[method] = {"confidences": (100 * p).tolist()}
            if seed == 0:
                surest = p.argsort(descending=True)[:8]
                named = [[names[classes[k]].split(",")[0], 100 * float(p[k])] for k in surest]
                by_method[method] |= {"strip": strip(image[surest]), "surest": named}
    return by_method


# --- what is shown -----------------------------------------------------------------------------------------------------


def strip(image: Tensor) -> str:
    """Images (N, C, S, S) side by side, as text: a PNG in base64, smaller than 40 KB."""
    buffer = io.BytesIO()
    compact(grid(image, columns=len(image), gap=0), 40_000).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def unstrip(text: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """The pixels (S, N * S, 3) of what ``strip`` made."""
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))


def spread(values: Sequence[float], digits: int = 1) -> str:
    """Mean and extremes over seeds."""
    mean, low, high = (f"{value:.{digits}f}" for value in (statistics.fmean(values), min(values), max(values)))
    return f"{mean} ({low} to {high})"


def table(outcomes: Sequence[Outcome]) -> list[list[str]]:
    """A row a network and kind of images: mean and extremes over seeds; the last columns are of networks trained anew."""
    again = [f"trained anew{when}: median % (above 99 %; distance; old nonsense known, %)" for when in ("", " twice")]
    rows = [["network", "images", "median confidence %", "above 99 %", "nearest training image", "second agrees %", *again]]
    for label in dict.fromkeys(one.trial.label for one in outcomes):
        each = [one.numbers for one in outcomes if one.trial.label == label]

        def row(name: str, values: Sequence[Mapping[str, Any]], last: Sequence[str], label: str = label) -> list[str]:
            cells = [cell(values, key) for key in ("confidence", "sure %")]
            away = [statistics.median(n["distances"]) for n in values if n["distances"]]
            return [label, name, *cells, spread(away) if away else "-", cell(values, "same %"), *last]

        for method in METHODS:
            last = []
            for r in range(1, ROUNDS + 1):
                now = [n["rounds"][r][method] for n in each]
                away = statistics.fmean(statistics.median(n["distances"]) for n in now)
                sure, known = statistics.fmean(n["sure %"] for n in now), statistics.fmean(n["rounds"][r]["known %"][method] for n in each)
                last.append(f"{cell(now, 'confidence')} ({sure:.0f}; {away:.1f}; {known:.0f})")
            rows.append(row(method, [n["rounds"][0][method] for n in each], last))
        for name in ATTACKS:
            of = [n["attacks"][name] for n in each]
            rows.append(row(f"{name}: {cell(of, 'wrong %')} % fooled, changed by {cell(of, 'change')}", of, ("-", "-")))
        errors = [f"test error {cell([n['rounds'][r] for n in each], 'error %')} %" for r in range(ROUNDS + 1)]
        rows.append(row(f"real, {errors[0]}", [n["real"] for n in each], errors[1:]))
    photos = [one.numbers["ImageNet"] for one in outcomes if "ImageNet" in one.numbers]
    for method in METHODS[1:] if photos else ():
        p = [n[method]["confidences"] for n in photos]
        above = [100 * statistics.fmean(v > 100 * SURE for v in values) for values in p]
        rows.append(["MobileNetV2", method, spread([statistics.median(v) for v in p], 2), spread(above), *["-"] * 4])
    return rows


def cell(values: Sequence[Mapping[str, Any]], key: str) -> str:
    """``spread`` over the seeds that have this number."""
    has = [n[key] for n in values if key in n]
    return spread(has, 2 if key == "confidence" else 1) if has else "-"


def draw(outcomes: Sequence[Outcome]) -> Figure:
    """LeNet's gallery, distances, rounds of training anew; MobileNetV2's gallery and confidence."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 9), layout="constrained")
    parts: Any = figure.subfigures(2, 2, height_ratios=(1.5, 1), width_ratios=(1.25, 1))
    away, again = parts[0, 1].subplots(2, 1)
    lenet = [one.numbers for one in outcomes if one.trial.label == "LeNet"]
    photos = [n["ImageNet"] for n in lenet]
    colours = {method: f"C{number}" for number, method in enumerate(METHODS)}

    first = next(n for n in lenet if "strips" in n)
    named = {method: f"{method}\n{first['rounds'][0][method]['confidence']:.2f} %" for method in METHODS}
    named |= {"again": f"CPPN, trained anew\ntwice with nonsense\n{first['rounds'][-1]['CPPN']['confidence']:.2f} %"}
    named |= {"PGD": "real digits,\nadversarial (PGD)"}
    for axes, (name, words) in zip(parts[0, 0].subplots(len(named), 1), named.items(), strict=True):
        axes.imshow(unstrip(first["strips"][name]), interpolation="nearest")
        axes.set_ylabel(words, rotation=0, ha="right", va="center", fontsize=8)
        axes.set(xticks=[], yticks=[])
    parts[0, 0].suptitle("what LeNet takes for 0, 1, ... 9, and its median confidence; below, what it mistakes", fontsize=9)

    kinds = {"real digits": [d for n in lenet for d in n["real"]["distances"]]}
    kinds |= {name: [d for n in lenet for d in n["attacks"][name]["distances"]] for name in ATTACKS}
    kinds |= {method: [d for n in lenet for d in n["rounds"][0][method]["distances"]] for method in METHODS}
    boxes(away, kinds, colours)
    away.set_title("LeNet: distance from the nearest training image", fontsize=9)

    for label, line in (("LeNet", "-"), ("CNN", "--")):
        each = [one.numbers["rounds"] for one in outcomes if one.trial.label == label]
        for method, colour in colours.items():
            values = [[rounds[r][method]["sure %"] for rounds in each] for r in range(ROUNDS + 1)]
            again.plot([statistics.fmean(v) for v in values], line, color=colour, linewidth=1.3, label=f"{label}, {method}")
            again.plot(values, "o", color=colour, markersize=3)
    again.set_xticks(range(ROUNDS + 1), ["digits", "digits, nonsense", "digits, more nonsense"], fontsize=8)
    again.set(xlim=(-0.2, ROUNDS + 0.2), ylim=(-3, 103))
    again.set_title("new nonsense held above 99 % for a digit, %, by networks trained on", fontsize=9)
    again.legend(fontsize=6, ncols=2)

    for row, method in zip(parts[1, 0].subplots(len(METHODS) - 1, 8), METHODS[1:], strict=True):
        surest = photos[0][method]["surest"]
        row[0].text(-0.15, 0.5, method, transform=row[0].transAxes, rotation=90, ha="right", va="center", fontsize=8)
        for axes, image, (name, p) in zip(row, np.split(unstrip(photos[0][method]["strip"]), len(surest), 1), surest, strict=True):
            axes.imshow(image)
            axes.set_title(f"{name[:16]}\n{p:.0f} %", fontsize=6)
            axes.set_axis_off()
    parts[1, 0].suptitle(f"MobileNetV2: the surest eight of {len(photos[0]['CPPN']['confidences'])} classes", fontsize=9)

    classes = parts[1, 1].subplots()
    boxes(classes, {method: [p for n in photos for p in n[method]["confidences"]] for method in METHODS[1:]}, colours)
    classes.plot(REPORTED, range(2, 4), "kD", markersize=5, label="median of AlexNet, as reported")
    classes.set_xlim(-3, 103)
    classes.set_title("MobileNetV2: confidence, %, over classes", fontsize=9)
    classes.legend(fontsize=7)
    return figure


def boxes(axes: Any, kinds: Mapping[str, Sequence[float]], colours: Mapping[str, str]) -> None:
    """A horizontal box a kind: quartiles, and whiskers from 1 to 99 %."""
    drawn = axes.boxplot(
        list(kinds.values()), orientation="horizontal", whis=(1, 99), showfliers=False, patch_artist=True, widths=0.6,
        medianprops={"color": "black"},
    )  # fmt: skip
    for name, box in zip(kinds, drawn["boxes"], strict=True):
        box.set(facecolor=colours.get(name, "0.8"), linewidth=0.8)
    axes.set_yticks(range(1, len(kinds) + 1), list(kinds), fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(left=0)
