"""Content that stays and motion that moves: average content distance, frame change, where a shape is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from paperzoo.data.video.shapes import Travelling
from paperzoo.metrics.content_distance import content_distance, shuffled
from paperzoo.metrics.frame_change import centres, frame_change, ways


def test_a_constant_clip_has_no_distance() -> None:
    assert content_distance(np.full((3, 16, 5), 0.3, np.float32)) == 0
    assert content_distance(np.repeat(np.random.default_rng(0).random((4, 1, 3)), 8, 1)) == 0


@pytest.mark.parametrize(("first", "frames"), [(1, 2), (1, 16), (5, 16), (8, 16), (3, 7)])
def test_a_clip_of_two_colours_has_the_closed_form(first: int, frames: int) -> None:
    """k frames of one colour and T - k of another, d apart: k (T - k) of the T (T - 1) / 2 pairs are d apart, wherever they lie."""
    clip = np.zeros((1, frames, 3))
    clip[:, :first] = [3.0, 4.0, 12.0]  # 13 away
    expected = 13 * first * (frames - first) / (frames * (frames - 1) / 2)
    assert content_distance(clip) == pytest.approx(expected)
    mixed = clip[:, np.random.default_rng(0).permutation(frames)]
    assert content_distance(mixed) == pytest.approx(expected)  # of successive frames it would be another


def test_distance_is_over_all_pairs_and_clips() -> None:
    clips = np.random.default_rng(1).normal(size=(5, 6, 4))
    pairs = [np.linalg.norm(clip[a] - clip[b]) for clip in clips for a, b in itertools.combinations(range(6), 2)]
    assert content_distance(clips) == pytest.approx(np.mean(pairs))
    for shape in ((6, 4), (5, 1, 4)):
        with pytest.raises(ValueError, match="at least two frames"):
            content_distance(np.zeros(shape))


def test_shuffling_deals_frames_out_to_other_clips() -> None:
    clips = np.arange(50 * 8).reshape(50, 8, 1)
    dealt = shuffled(clips)
    assert dealt.shape == clips.shape and np.array_equal(np.sort(dealt, 0), clips)  # each moment keeps its frames
    assert (dealt != clips).mean() > 0.9 and len(np.unique(dealt[0] // 8)) > 5
    assert np.array_equal(dealt, shuffled(clips))
    steady = np.repeat(np.random.default_rng(0).normal(size=(200, 1, 3)), 8, 1)
    assert content_distance(steady) == 0 < 1 < content_distance(shuffled(steady))


def test_frame_change() -> None:
    clips = torch.zeros(2, 1, 4, 2, 2)
    assert frame_change(clips) == 0
    clips[0, :, 2] = 0.5  # there and back in one of two clips: two of three steps change
    assert frame_change(clips) == pytest.approx(100 * 0.5 * 2 / 3 / 2)
    assert frame_change(torch.arange(4.0).view(1, 1, 4, 1, 1).expand(2, 3, 4, 5, 5) / 10) == pytest.approx(10)
    with pytest.raises(ValueError, match="does not move"):
        frame_change(torch.zeros(1, 1, 1, 2, 2))


@pytest.mark.parametrize("size", [16, 32, 64])
def test_centres_are_where_shapes_are(size: int) -> None:
    for index in range(8):
        reel = Travelling(0, index, index % 2, index // 2 % 2, 16, size)
        path, _, _ = reel.drawn()
        clip = torch.from_numpy(reel.read(0, 16)).transpose(0, 1)[None] / 255
        assert np.abs(centres(clip)[0].numpy() * size - path).max() < 0.15
        assert np.abs(ways(clip)[0].numpy() * size - (path[-1] - path[0])).max() < 0.3
        light = 1 - clip  # on another ground
        assert torch.allclose(centres(light), centres(clip), atol=1e-4)


def test_what_is_empty_is_in_the_middle() -> None:
    assert torch.equal(centres(torch.full((1, 3, 2, 8, 8), 0.7)), torch.full((1, 2, 2), 0.5))
    assert ways(torch.full((1, 3, 2, 8, 8), 0.7)).tolist() == [[0, 0]]
    one = torch.zeros(1, 1, 1, 4, 8)
    one[..., 3, 1] = 1  # row 3 of 4, column 1 of 8
    assert centres(one)[0, 0].tolist() == pytest.approx([1.5 / 8, 3.5 / 4])
