"""Quality of clips: constancy of content, amount of motion, agreement with the requested motion, quality of frames and clips."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Dataset
from paperzoo.data.video.shapes import WAYS
from paperzoo.metrics.content_distance import content_distance, shuffled
from paperzoo.metrics.frame_change import frame_change, ways
from paperzoo.tasks.generation.measure import scores

if TYPE_CHECKING:
    from paperzoo.tasks.video_generation.contract import ConditionalVideoGenerator, VideoGenerator

#: clips that are drawn for a measurement, and at most as many of the data
CLIPS = 1000
#: of these, clips of which a judge sees every frame
LOOKED_AT = 200

#: of a judge's scores, those that are printed
SCORES = ("fid", "fid floor", "fid over floor", "density", "coverage")


def of_clips(model: VideoGenerator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
    """Scores of 1,000 clips, see ``steadiness`` and ``looks``; of shapes also whether they travel as the data's do."""
    fake = model.sample(CLIPS)
    return _common(fake, dataset, split, judge)


def of_motions(model: ConditionalVideoGenerator, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
    """Any video generator's metrics, with clips of all motions in turn; then how often the motion is the one asked for.

    ``motion as asked %[judge]``: of the clips, beside the same ``of data``, where it is the judge's accuracy; of shapes, whose motion
    is told exactly by where they are, ``motion as asked %`` without a judge. ``motion by chance %`` is what is right by guessing.
    """
    fake = model.sample(CLIPS)
    label = model.labels(len(fake)).numpy()
    metrics = _common(fake, dataset, split, judge)
    real, true = clips_of(dataset, split, CLIPS)
    if _shapes(dataset):
        metrics["motion as asked %"] = 100 * float((_way(fake) == label).mean())
        metrics["motion as asked % of data"] = 100 * float((_way(real) == true).mean())
    if judge is not None and judge.frames is not None and judge(fake[:1])[0].shape[1] == model.classes:
        metrics[f"motion as asked %[{judge.name}]"] = 100 * float((judge(fake)[0].argmax(1) == label).mean())
        metrics[f"motion as asked % of data[{judge.name}]"] = 100 * float((judge(real)[0].argmax(1) == true).mean())
    return {**metrics, "motion by chance %": 100 / model.classes}


def _common(fake: Tensor, dataset: Dataset, split: str, judge: Any) -> dict[str, float]:
    real, _ = clips_of(dataset, split, CLIPS)
    real = _as_long(real, fake)
    metrics = steadiness(fake, real, judge)
    if _shapes(dataset):
        metrics |= {"travels %": 100 * travels(fake), "travels % of data": 100 * travels(real)}
    return metrics if judge is None else {**metrics, **looks(fake, dataset, judge)}


def clips_of(dataset: Dataset, split: str, most: int) -> tuple[Tensor, np.ndarray]:
    """At most ``most`` clips of a split, drawn with a fixed seed, and their labels, -1 where there are none; on the CPU."""
    items = dataset[split]
    chosen = np.random.default_rng(0).permutation(len(items))[:most]
    batches = [items.batch(part) for part in np.array_split(chosen, -(-len(chosen) // 100))]
    label = [batch.label.cpu() if "label" in vars(batch) else torch.full((len(batch),), -1) for batch in batches]
    return torch.cat([batch.video.cpu() for batch in batches]), torch.cat(label).numpy()


def _as_long(real: Tensor, fake: Tensor) -> Tensor:
    """The data's clips with no more frames than the samples', from their middle."""
    first = max(0, real.shape[2] - fake.shape[2]) // 2
    return real[:, :, first : first + fake.shape[2]]


def steadiness(fake: Tensor, real: Tensor, judge: Any = None) -> dict[str, float]:
    """Constancy of content and amount of motion in clips (N, C, T, H, W), beside clips of the data.

    ``acd``: the average content distance of frames' mean colours, in levels of 0 to 255; ``of shuffled``: of the same frames dealt out
    anew, which is what keeping nothing gives; ``of data``; ``excess %``: how far the samples are on the way from the data (0) to
    their own shuffled frames (100). With a judge that sees single frames the same of its features, standardised on the data. A
    clip that is frozen has 0, so ``frame change %`` stands beside it, and ``over data``, where the data's is 1.
    """
    change, of_data = frame_change(fake), frame_change(real)
    metrics = {
        **_distances(_colours(fake), _colours(real), ""),
        "frame change %": change,
        "frame change % of data": of_data,
        "frame change over data": change / max(of_data, 1e-9),
    }
    if judge is not None and judge.frames is not None:
        ours, others = (_features(clips[:LOOKED_AT], judge.frames) for clips in (fake, real))
        mean, deviation = others.mean((0, 1)), others.std((0, 1))
        heard = deviation > np.median(deviation) / 100
        ours, others = (((each - mean) / np.where(heard, deviation, 1))[..., heard] for each in (ours, others))
        metrics |= _distances(ours, others, f"[{judge.frames.name}]")
    return metrics


def _distances(fake: np.ndarray, real: np.ndarray, by: str) -> dict[str, float]:
    distance, apart, data = (content_distance(each) for each in (fake, shuffled(fake), real))
    return {
        f"acd{by}": distance,
        f"acd of shuffled{by}": apart,
        f"acd of data{by}": data,
        f"acd excess %{by}": 100 * (distance - data) / max(apart - data, 1e-9),
    }


def _colours(clips: Tensor) -> np.ndarray:
    """The mean colour of each frame in levels of 0 to 255, (N, T, C)."""
    means: np.ndarray = (255 * clips.mean((3, 4))).transpose(1, 2).numpy()  # (N, C, T, H, W) -> (N, T, C)
    return means


def _features(clips: Tensor, judge: Any) -> np.ndarray:
    """Features of each frame by a judge of images, (N, T, D)."""
    frames = clips.transpose(1, 2).flatten(0, 1)  # (N T, C, H, W)
    features: np.ndarray = judge(frames)[1]
    return features.reshape(len(clips), clips.shape[2], -1)


class _Known:
    """A judge that has seen the data already, as ``scores`` wants one."""

    def __init__(self, judge: Any, real: Tensor) -> None:
        self.name, self.standardise, self.judge, self.seen = judge.name, judge.standardise, judge, judge(real)

    def __call__(self, images: Tensor) -> tuple[np.ndarray, np.ndarray]:
        answer: tuple[np.ndarray, np.ndarray] = self.judge(images)
        return answer

    def real(self, dataset: Dataset, split: str) -> tuple[np.ndarray, np.ndarray]:
        answer: tuple[np.ndarray, np.ndarray] = self.seen
        return answer


def looks(fake: Tensor, dataset: Dataset, judge: Any) -> dict[str, float]:
    """Quality and coverage by a judge of clips, and of one frame of each clip by its judge of frames; see ``generation.scores``."""
    real = _as_long(clips_of(dataset, "train", CLIPS)[0], fake)
    metrics: dict[str, float] = {}
    for one in (judge, judge.frames):
        if one is None:
            continue
        ours, theirs = (fake, real) if one is judge and judge.frames is not None else (_one_each(fake), _one_each(real))
        every = scores(ours, dataset, _Known(one, theirs))
        metrics |= {f"{key}[{one.name}]": every[f"{key}[{one.name}]"] for key in SCORES if f"{key}[{one.name}]" in every}
    return metrics


def _one_each(clips: Tensor) -> Tensor:
    """One frame of each clip, the first of the first, the second of the second and so on: (N, C, H, W)."""
    number = torch.arange(len(clips))
    return clips[number, :, number % clips.shape[2]]


def _shapes(dataset: Dataset) -> bool:
    return tuple(dataset.schema.names) == WAYS


def _way(clips: Tensor) -> np.ndarray:
    """0 where what stands out goes more to the right than down, else 1: the labels of ``shape-motion``."""
    right, down = ways(clips).T
    answer: np.ndarray = (down > right).long().numpy()
    return answer


def travels(clips: Tensor) -> float:
    """The share of clips in which something goes at least a third of the picture to the right or down, and less than half as far across."""
    far = ways(clips)
    along, across = far.amax(1), far.amin(1).abs()
    return float(((along >= 1 / 3) & (across <= along / 2)).float().mean())
