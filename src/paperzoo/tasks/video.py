"""Classifying videos: error by clip and by video, confusion, strips of frames of the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from paperzoo.data import Batch, Dataset, Values
from paperzoo.data.video.videos import Held, Reel, Videos, open_video, videos_of
from paperzoo.errors import PaperzooError
from paperzoo.files import is_folder, ordinary, path_of
from paperzoo.tasks.classification import Classification, confusion
from paperzoo.tasks.graphs import Graph, noise_of
from paperzoo.tasks.images import read_image
from paperzoo.tasks.model import Model
from paperzoo.tasks.pictures import compact, grid, save
from paperzoo.tasks.task import Task
from paperzoo.terminal import plain

CLIPS = 64  # that pass through a network at once while measuring


@dataclass(frozen=True)
class VideoClassification(Classification):
    """A classifier's answer for one video: probabilities are means over its ``clips``."""

    clips: int = 1


class ClipClassification(Task):
    """Clips (N, C, T, H, W) in [0, 1] to classes."""

    name = "video classification"
    needs = ("video", "label")
    named = True
    judges = True

    def measure(self, model: VideoClassifier, dataset: Dataset, split: str, judge: Any = None) -> dict[str, float]:
        """Each video is cut into clips of ``frames`` frames that do not overlap.

        ``clip error %``: of all clips. ``video error %``: of all videos, by the mean of their clips' probabilities. ``loss``:
        minus the logarithm of that mean at the true class, in nats, mean over videos.
        """
        clips, owner, label = _outputs(model, dataset, split)
        videos = _means(clips, owner, len(label))
        true = videos[torch.arange(len(label)), label]
        return {
            "clip error %": 100 * float((clips.argmax(1) != label[owner]).float().mean()),
            "video error %": 100 * float((videos.argmax(1) != label).float().mean()),
            "loss": float(-true.clamp(min=1e-30).log().mean()),
        }

    def show(self, model: VideoClassifier, dataset: Dataset, split: str, folder: Path, stem: str) -> list[Path]:
        """The confusion matrix of videos, eight frames each of the six mistakes made with most confidence, and what is answered as
        more and more of a clip is seen."""
        clips, owner, label = _outputs(model, dataset, split)
        p = _means(clips, owner, len(label))
        guess = p.argmax(1)
        names = dataset.schema.names or tuple(str(i) for i in range(p.shape[1]))
        paths = [confusion(guess.numpy(), label.numpy(), names, folder / f"{stem}-confusion.png")]
        videos = videos_of(dataset, split)
        first = [int(torch.nonzero(label == k)[0, 0]) for k in sorted(set(label.tolist()))[:4]]  # a video of each of four classes
        seen = [videos.clips(i, model.frames)[0] for i in first]
        answers = [model.probabilities(standing(clip)).detach() for clip in seen]
        paths.append(_by_frame(seen, answers, [int(label[i]) for i in first], names, folder / f"{stem}-frames.png"))
        wrong = torch.nonzero(guess != label)[:, 0]
        worst = wrong[p[wrong, guess[wrong]].argsort(descending=True)][:6].tolist()
        if worst:
            strips = [_eight(videos.clips(i, model.frames)[0]) for i in worst]
            titles = [f"{names[int(label[i])]} as {names[int(guess[i])]}" for i in worst]
            paths.append(_strips(strips, titles, folder / f"{stem}-mistakes.png"))
        return paths

    def judgement(self, model: VideoClassifier, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, classes) of clips (N, C, T, H, W)."""
        hidden = model.features(images)
        return model.head(hidden).softmax(1), hidden

    def inputs(self, model: VideoClassifier, batch: Batch) -> Tensor:
        video: Tensor = batch.video
        return video

    def answer(self, model: VideoClassifier, inputs: Tensor) -> Tensor:
        return model(inputs)  # type: ignore[no-any-return]

    def graph(self, model: VideoClassifier) -> Graph:
        shape = (model.channels, model.frames, model.image_size, model.image_size)
        about = "float32 (N, {}, {}, {}, {}) in [0, 1], frames in order".format(*shape)
        return Graph(model, noise_of(*shape), {"video": about}, {"logits": "float32 (N, classes)"})


class VideoClassifier(Model):
    """A model whose ``forward`` gives logits (N, classes) for clips (N, C, T, H, W) in [0, 1].

    Subclasses set ``channels``, ``image_size``, ``frames`` (of a clip) and ``names``.
    """

    tasks: ClassVar[tuple[Task, ...]] = (ClipClassification(),)
    channels: int
    image_size: int
    frames: int
    names: tuple[str, ...] = ()

    def clip(self, video: Tensor) -> Tensor:
        """``frames`` consecutive frames of (N, C, T, H, W): in training from anywhere, the same for all N, else the middle ones.

        Raises:
            PaperzooError: there are fewer.
        """
        spare = video.shape[2] - self.frames
        if spare < 0:
            raise PaperzooError(
                f"the data's clips have {video.shape[2]} frames, the model's {self.frames}: set model.frames={video.shape[2]}"
            )
        start = int(torch.randint(spare + 1, ())) if self.training and spare else spare // 2
        return video[:, :, start : start + self.frames]

    def features(self, video: Tensor) -> Tensor:
        """The input of the last linear layer, (N, D), for clips (N, C, T, H, W) in [0, 1]."""
        raise TypeError(f"{type(self).__name__} does not say what its last layer sees")

    def head(self, features: Tensor) -> Tensor:
        """Logits (N, classes) from ``features``."""
        logits: Tensor = [module for module in self.modules() if isinstance(module, nn.Linear)][-1](features)
        return logits

    def predict(self, input: Any) -> Any:
        """The class of a video: the mean over its clips, which do not overlap; a video shorter than a clip is looped.

        Args:
            input: a video file, a folder of frames, or an array or tensor of frames, (T, H, W), (T, H, W, C) or
                (T, C, H, W), integers in 0..255 or floats in [0, 1]; of a list of these, a list is returned.

        Raises:
            PaperzooError: the input is no video, or cannot be decoded.
        """
        if isinstance(input, list | tuple):
            return [self.predict(one) for one in input]
        if isinstance(input, str | Path):
            place = path_of(input) if is_folder(input) else ordinary(input, "video")
            reel: Reel = open_video(place, self.image_size, self.channels)
        else:
            array = input.detach().cpu() if isinstance(input, Tensor) else np.asarray(input)
            if array.ndim not in (3, 4) or not len(array):
                raise PaperzooError(f"a video is (T, H, W), (T, H, W, C) or (T, C, H, W), not {array.dtype} {tuple(array.shape)}")
            frames = torch.cat([read_image(frame, self.channels, self.image_size) for frame in array])  # (T, C, H, W)
            reel = Held((frames * 255).round().byte().numpy())
        clips = Videos([reel], self.image_size, self.frames).clips(0, self.frames)
        with torch.no_grad():
            p = self.probabilities(clips).mean(0)
        names = self.names or tuple(str(i) for i in range(len(p)))
        best = tuple((names[i], float(p[i])) for i in p.argsort(descending=True)[:5].tolist())
        return VideoClassification(int(p.argmax()), *best[0], tuple(p.tolist()), best, len(clips))

    def probabilities(self, clips: Tensor) -> Tensor:
        """Clips (K, C, T, H, W) to (K, classes), on the CPU."""
        device = next(self.parameters()).device
        return torch.cat([self(part.to(device)).softmax(1).cpu() for part in torch.split(clips, CLIPS)])


def _outputs(model: VideoClassifier, dataset: Dataset, split: str) -> tuple[Tensor, Tensor, Tensor]:
    """Probabilities of all clips (K, classes), which video each is of (K), and the videos' labels (N); on the CPU."""
    videos, probabilities, owner, waiting = videos_of(dataset, split), [], [], []
    for index in range(len(videos)):
        clips = videos.clips(index, model.frames)
        waiting.append(clips)
        owner += [index] * len(clips)
        if sum(map(len, waiting)) >= CLIPS or index == len(videos) - 1:
            probabilities.append(model.probabilities(torch.cat(waiting)))
            waiting = []
    (label,) = [c.values for c in dataset[split].columns if isinstance(c, Values) and c.name == "label"]
    return torch.cat(probabilities), torch.tensor(owner), label.cpu()


def _means(clips: Tensor, owner: Tensor, videos: int) -> Tensor:
    """The mean over each video's clips: (K, classes) to (N, classes)."""
    total = torch.zeros(videos, clips.shape[1]).index_add_(0, owner, clips)
    return total / owner.bincount(minlength=videos)[:, None]


def standing(clip: Tensor) -> Tensor:
    """A clip (C, T, H, W) as far as it was seen, T times (T, C, T, H, W): the t-th stands still after its frame t."""
    frames = clip.shape[1]
    now = torch.arange(frames)
    return clip[:, torch.minimum(now[:, None], now[None])].transpose(0, 1)  # (C, T, T, H, W) -> (T, C, T, H, W)


def settled(answers: Tensor, label: int) -> int | None:
    """The frame, counted from 1, from which on the class ``label`` is the likeliest of answers (T, classes); none if not at the end."""
    right = answers.argmax(1) == label
    wrong = torch.nonzero(~right)[:, 0]
    after = int(wrong[-1]) + 2 if len(wrong) else 1
    return after if after <= len(answers) else None


def _by_frame(clips: Sequence[Tensor], answers: Sequence[Tensor], labels: Sequence[int], names: Sequence[str], path: Path) -> Path:
    """Clips (C, T, H, W), and below each the probabilities (T, classes) after each of its frames."""
    from matplotlib.figure import Figure

    since = [settled(one, label) for one, label in zip(answers, labels, strict=True)]
    known = [frame for frame in since if frame is not None]
    told = f"settled between frames {min(known)} and {max(known)}" if known else "never settled"
    figure = Figure(figsize=(9, 0.5 + 2.3 * len(clips)), layout="constrained")
    figure.suptitle(f"Answers as a clip is seen, frame by frame: {len(known)} of {len(clips)} right at the end, {told}", fontsize=10)
    for row, (clip, one, label, frame) in enumerate(zip(clips, answers, labels, since, strict=True)):
        frames = clip.shape[1]
        strip, below = figure.add_subplot(2 * len(clips), 1, 2 * row + 1), figure.add_subplot(2 * len(clips), 1, 2 * row + 2)
        shown = np.asarray(grid(clip.transpose(0, 1), frames, gap=0))  # all T frames side by side
        strip.imshow(shown, cmap="gray" if clip.shape[0] == 1 else None, extent=(0.5, frames + 0.5, 0, 1), aspect="auto")
        when = f"right from frame {frame} on" if frame else "wrong at the end"
        strip.set_title(plain(f"{names[label]}: {when}"), fontsize=9, loc="left", parse_math=False)
        strip.axis("off")
        for k in one.amax(0).topk(min(4, one.shape[1])).indices.sort().values.tolist():
            wide = 2.2 if k == label else 1.2
            below.plot(range(1, frames + 1), one[:, k], label=plain(names[k]), color=f"C{k % 10}", linewidth=wide)
        below.set(xlim=(0.5, frames + 0.5), ylim=(0, 1.03), xticks=range(1, frames + 1), ylabel="probability")
        below.tick_params(labelsize=8)
        below.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    below.set_xlabel("frames seen; the thick line is the truth")
    return save(figure, path, dpi=120, colours=48)


def _eight(clip: Tensor) -> Tensor:
    """Eight frames (8, C, H, W) of a clip (C, T, H, W), evenly, all if it has no more."""
    frames = clip.shape[1]
    chosen = torch.arange(frames) if frames <= 8 else torch.linspace(0, frames - 1, 8).round().long()
    return clip[:, chosen].transpose(0, 1)


def _strips(strips: Sequence[Tensor], titles: Sequence[str], path: Path) -> Path:
    from matplotlib.figure import Figure

    columns = len(strips[0])
    figure = Figure(figsize=(columns, 1.2 * len(strips)), layout="constrained")
    for index, (frames, title) in enumerate(zip(strips, titles, strict=True)):
        axes = figure.add_subplot(len(strips), 1, index + 1)
        axes.imshow(np.asarray(grid(frames, columns)), cmap="gray" if frames.shape[1] == 1 else None)
        axes.set_title(plain(title), fontsize=8, parse_math=False)
        axes.axis("off")
    drawn = save(figure, path)
    with Image.open(drawn) as picture:
        small = compact(picture.convert("RGB"))
    return save(small, drawn)
