"""Supervision transfer: a video network taught by a frozen image network, without labels (Diba, Fayyaz et al. 2017).

Training T3D from nothing takes many videos, but networks for images are at hand. Given a clip and some frames, both networks are
asked whether these belong together: with s the image network's features of the frames, averaged, and c the video network's of the
clip, a few layers m on top are trained, and the video network below them, by

    L = -log sigma(m(s_i, c_i)) - log(1 - sigma(m(s_j, c_i))),        j another video than i.

The image network stays as it is. Afterwards the video network is trained on labels as in ``t3d.py``, which is to be read first; then
``pairs`` and ``Transfer.step``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

import torch
import torch.nn.functional as F
from annotated_types import Gt
from torch import Tensor, nn
from torch.optim import SGD

from paperzoo import catalog
from paperzoo.data import Batch, Dataset
from paperzoo.data.video.videos import videos_of
from paperzoo.errors import PaperzooError, unknown
from paperzoo.nn.schedules import steps
from paperzoo.papers.video.t3d import BLOCKS, DEPTHS, Model
from paperzoo.ranges import NotNegative, Part, Pixels, Share, Size, Sizes
from paperzoo.tasks.classification import Classifier
from paperzoo.tasks.model import Optimizers, Players


def pairs(stills: Tensor, clips: Tensor, turn: int) -> tuple[Tensor, Tensor]:
    """All clips' features (N, D) beside the frames' (N, E) of the same video, then beside those ``turn`` videos away.

    Returns:
        (2N, E + D), and what is true of them (2N): 1 if they match, else 0.
    """
    both = torch.cat([torch.cat([stills, stills.roll(turn, 0)]), torch.cat([clips, clips])], 1)
    return both, torch.arange(2 * len(clips), device=clips.device).lt(len(clips)).float()


class Transfer(Model):
    """T3D taught to match frames and clips beside a frozen image network (stage ``match``), then as ``Model`` (``classify``).

    Args:
        teacher: name of an image classifier of the catalogue. It is frozen, and saved with the model.
        weights: of the teacher: a name that it knows, or a file. Without, it is frozen as it began.
        teacher_arguments: more of its constructor's arguments.
        stills: how many frames of a clip it sees; its features are averaged over them.
        hidden: widths of the layers between the features of both and the answer.

    Raises:
        PaperzooError: an argument is out of range, or the teacher is no image classifier, or one of other channels.
    """

    def __init__(
        self,
        *,
        teacher: str = "mobilenet:v2",
        weights: str = "",
        teacher_arguments: Mapping[str, Any] = {},
        stills: Size = 4,
        hidden: Sizes = (512, 128),
        blocks: Sizes = BLOCKS[121],
        growth: Size = 32,
        width: Size = 64,
        stem: Literal["paper", "small"] = "paper",
        depths: Sequence[Sizes] = DEPTHS,
        ttl: Size = 128,
        channels: Size = 3,
        classes: Size = 101,
        image_size: Pixels = 224,
        frames: Size = 32,
    ) -> None:
        super().__init__(
            blocks=blocks, growth=growth, width=width, stem=stem, depths=depths, ttl=ttl, channels=channels, classes=classes,
            image_size=image_size, frames=frames,
        )  # fmt: skip
        classifier = catalog.create(teacher, **({"weights": weights} if weights else {}), **teacher_arguments)
        if not isinstance(classifier, Classifier):
            raise PaperzooError(f"the teacher of t3d:transfer must be an image classifier, and {teacher} is for {classifier.task}")
        if classifier.channels not in (3, channels):
            raise PaperzooError(f"{teacher} sees {classifier.channels} channels and t3d:transfer {channels}: set model.teacher_arguments")
        self.teacher: Classifier = classifier.requires_grad_(False)
        self.train()  # but the teacher
        self.stills = stills
        self.phases: tuple[str, ...] = ("match", "classify")
        with torch.no_grad():
            features = classifier.features(torch.zeros(1, classifier.channels, image_size, image_size)).shape[1]
        widths = [features + self.network.classifier.in_features, *hidden]
        layers = [m for a, b in zip(widths, widths[1:], strict=False) for m in (nn.Linear(a, b), nn.ReLU())]
        self.matcher = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def train(self, mode: bool = True) -> Self:
        """The mode of all but the teacher, which stays in eval mode: else its running means would move."""
        super().train(mode)
        self.teacher.eval()
        return self

    def glance(self, clip: Tensor) -> Tensor:
        """The teacher's features of ``stills`` frames at even distances, averaged: (N, C, T, H, W) to (N, E)."""
        count = min(self.stills, clip.shape[2])
        chosen = (torch.arange(count, device=clip.device) * 2 + 1) * clip.shape[2] // (2 * count)  # the middles of equal parts
        frames = clip[:, :, chosen].transpose(1, 2).flatten(0, 1)  # (N, C, S, H, W) -> (N S, C, H, W)
        with torch.no_grad():
            features = self.teacher.features(frames.expand(-1, self.teacher.channels, -1, -1)).float()  # (N S, E)
        return features.reshape(len(clip), count, -1).mean(1)

    def stage(self, name: str) -> None:
        """``match`` or ``classify``; a training without stages does both at once."""
        if name not in (stages := ("match", "classify")):
            raise unknown("stage", name, stages, "of t3d:transfer")
        self.phases = (name,)

    def optimizers(
        self,
        *,
        lr: NotNegative = 0.1,
        momentum: Annotated[Part, Gt(0)] = 0.9,
        weight_decay: NotNegative = 1e-4,
        drops: Sequence[Share] = (0.2, 0.4, 0.6, 0.8),
    ) -> Optimizers:
        """SGD as in ``t3d.Model``; while matching, the matcher on top of network and teacher is trained too."""
        parameters = [*self.network.parameters(), *(self.matcher.parameters() if "match" in self.phases else ())]
        return {"network": (SGD(parameters, lr, momentum, weight_decay=weight_decay, nesterov=True), steps(drops))}

    def step(self, batch: Batch, opt: Players) -> None:
        """One step of the present stage; non-matching frames are drawn anew in each."""
        clip, losses = self.clip(batch.video), []
        features, logits = self.network(2 * clip - 1)
        if "match" in self.phases:
            if len(clip) < 2:
                raise PaperzooError("matching frames and clips needs batches of at least two videos: set batch_size")
            both, match = pairs(self.glance(clip), features, int(torch.randint(1, len(clip), ())))
            losses.append(F.binary_cross_entropy_with_logits(self.matcher(both)[:, 0], match))
        if "classify" in self.phases:
            losses.append(F.cross_entropy(logits, batch.label))
        opt.network.minimize(torch.stack(losses).sum())

    def measure(self, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """``match error %`` beside ``VideoClassifier``'s: of each video's first clip with its own frames and with those of the
        video half the split away; 50 by guessing."""
        videos, device, stills, moved = videos_of(dataset, split), self.network.classifier.weight.device, [], []
        for index in range(len(videos)):
            clip = videos.clips(index, self.frames)[:1].to(device)
            stills.append(self.glance(clip))
            moved.append(self.features(clip))
        both, match = pairs(torch.cat(stills), torch.cat(moved), len(videos) // 2)
        wrong = (self.matcher(both)[:, 0] > 0) != (match > 0.5)
        return {**super().measure(dataset, split, judge), "match error %": 100 * float(wrong.float().mean())}
