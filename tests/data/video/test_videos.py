"""Videos: clips, files and folders of frames, published splits, the user's own, digits that drift, sprites' actions, the task."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.files import make_deb, ramp, write_frames, write_video
from PIL import Image
from torch import Tensor, nn

from paperzoo.data import Dataset, Values
from paperzoo.data.datasets import DATASETS, dataset
from paperzoo.data.video.moving import ACTIONS, WAYS, Drifting, action_of, drift, sprite_actions
from paperzoo.data.video.videos import (
    FrameFolder,
    Held,
    VideoFile,
    Videos,
    clip_of,
    hmdb51,
    labelled,
    open_video,
    ucf101,
    videos_of,
)
from paperzoo.errors import PaperzooError
from paperzoo.tasks.video import VideoClassifier

UNITS = "usr/share/games/wesnoth/1.16/data/core/images/units"


def brightness(clip: np.ndarray | Tensor) -> list[int]:
    """Which frames of ``ramp`` a clip (T, C, H, W) holds."""
    grey = np.asarray(clip, np.float64).mean((1, 2, 3)) * (255 if isinstance(clip, Tensor) else 1)
    return [round((value - 10) / 10) for value in grey]


# Clips ---------------------------------------------------------------------------------------------------------------


def test_a_short_video_is_looped() -> None:
    assert brightness(clip_of(Held(ramp(3)), 0, 8)) == [0, 1, 2, 0, 1, 2, 0, 1]
    assert brightness(clip_of(Held(ramp(9)), 4, 3)) == [4, 5, 6]


def test_clips_are_drawn_anywhere_in_training_and_from_the_middle_elsewhere() -> None:
    reels = [Held(ramp(5)), Held(ramp(2))]
    random = Videos(reels, 16, 3, random=True)
    torch.manual_seed(0)
    starts = [brightness(v.transpose(0, 1)) for _ in range(60) for v in random.take(np.array([0]))["video"]]
    assert {tuple(s) for s in starts} == {(0, 1, 2), (1, 2, 3), (2, 3, 4)}
    torch.manual_seed(5)
    once = random.take(np.array([0, 1, 0]))["video"]
    torch.manual_seed(5)
    assert torch.equal(once, random.take(np.array([0, 1, 0]))["video"]) and once.shape == (3, 3, 3, 16, 16)
    still = Videos(reels, 16, 3).take(np.array([0, 1]))["video"]
    assert [brightness(v.transpose(0, 1)) for v in still] == [[1, 2, 3], [0, 1, 0]]
    assert still.dtype == torch.float32 and still.min() >= 0 and still.max() <= 1


def test_larger_frames_are_cropped_alike_in_all_frames() -> None:
    across = np.broadcast_to(np.arange(20, dtype=np.uint8), (4, 1, 20, 20)).copy()
    random, still = Videos([Held(across)], 16, 4, random=True), Videos([Held(across)], 16, 4)
    lefts = set()
    for _ in range(50):
        clip = (random.take(np.array([0]))["video"][0] * 255).round()
        assert clip.shape == (1, 4, 16, 16) and (clip == clip[:, :1]).all()
        lefts.add(int(clip[0, 0, 0, 0]))
    assert lefts == {0, 1, 2, 3, 4}
    assert (still.take(np.array([0]))["video"][0, 0, :, 0, 0] * 255).round().tolist() == [2] * 4


def test_all_of_a_video_is_cut_into_clips_that_do_not_overlap() -> None:
    column = Videos([Held(ramp(11)), Held(ramp(2))], 16, 4)
    assert [brightness(c.transpose(0, 1)) for c in column.clips(0, 4)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert [brightness(c.transpose(0, 1)) for c in column.clips(1, 3)] == [[0, 1, 0]]
    joined = column.join(Videos([Held(ramp(5))], 16, 4))
    assert len(joined) == 3 and brightness(joined.clips(2, 5)[0].transpose(0, 1)) == [0, 1, 2, 3, 4]


# Files and folders ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mjpeg"), ("a.mp4", "mpeg4")])
def test_video_files(tmp_path: Path, name: str, codec: str) -> None:
    file = VideoFile(write_video(tmp_path / name, 12, codec), 8, 3)
    assert len(file) == 12
    clip = file.read(3, 7)
    assert clip.shape == (4, 3, 8, 8) and clip.dtype == np.uint8 and brightness(clip) == [3, 4, 5, 6]
    assert brightness(VideoFile(tmp_path / name, 8, 1).read(0, 2)) == [0, 1]
    assert brightness(clip_of(file, 0, 14)) == [*range(12), 0, 1]


def test_a_folder_of_frames_is_read_by_number(tmp_path: Path) -> None:
    reel = open_video(write_frames(tmp_path / "clip", 11), 8, 1)
    assert isinstance(reel, FrameFolder) and len(reel) == 11
    clip = reel.read(0, 11)
    assert clip.shape == (11, 1, 8, 8) and brightness(clip) == list(range(11))  # frame2 before frame10


def test_what_cannot_be_decoded_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = write_video(tmp_path / "good.avi", 5)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "cut.avi").write_bytes(good.read_bytes()[:200])
    (tmp_path / "empty.avi").write_bytes(b"")
    for name in ("text.mp4", "cut.avi", "empty.avi"):
        with pytest.raises(PaperzooError, match=rf"{name} cannot be decoded as a video"):
            VideoFile(tmp_path / name, 8, 3).read(0, len(VideoFile(tmp_path / name, 8, 3)))
    with pytest.raises(PaperzooError, match=r"there is no video .*nowhere.avi"):
        len(VideoFile(tmp_path / "nowhere.avi", 8, 3))
    (tmp_path / "none").mkdir()
    with pytest.raises(PaperzooError, match="none has no frames"):
        open_video(tmp_path / "none", 8, 3)
    (write_frames(tmp_path / "damaged", 3) / "frame2.png").write_bytes(b"no picture")
    with pytest.raises(PaperzooError, match=r"frame2.png cannot be read as a frame"):
        open_video(tmp_path / "damaged", 8, 3).read(0, 3)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(PaperzooError, match=re.escape('pip install "paperzoo[video]"')):
        len(VideoFile(good, 8, 3))


def test_the_users_videos(tmp_path: Path) -> None:
    for number in range(12):
        write_frames(tmp_path / "up" / f"clip{number}", 4 + number)
        write_video(tmp_path / "down" / f"clip{number}.avi", 5)
    (tmp_path / "down" / "broken.avi").write_bytes(b"RIFF")
    (tmp_path / "notes").mkdir()
    with pytest.warns(UserWarning, match=r"1 of 25 videos .*broken.avi cannot be decoded .*left out"):
        built = dataset(f"videos:{tmp_path}", image_size=8)
    assert built.schema.names == ("down", "up") and built.schema.arguments["frames"] == 16
    assert {s: len(split) for s, split in built.splits.items()}.keys() == {"train", "validation", "test"}
    assert sum(map(len, built.splits.values())) == 24 and all(map(len, built.splits.values()))
    item = built["train"][0]
    assert item.video.shape == (3, 16, 8, 8)
    with pytest.raises(PaperzooError, match="1 of 25 videos"):
        dataset(f"videos:{tmp_path}", image_size=8, strict=True)


def test_a_video_damaged_in_its_middle_is_left_out_whole(tmp_path: Path) -> None:
    """Not found when frames are counted, for the packets are all there, but when they are decoded: before training, not in it."""
    for number in range(6):
        for kind in ("a", "b"):
            write_video(tmp_path / kind / f"{number}.avi", 16, "mjpeg", 64 + 2 * number, 48)
    bad = tmp_path / "a" / "3.avi"
    data = bytearray(bad.read_bytes())
    middle = len(data) // 2
    data[middle - 400 : middle + 400] = bytes(800)
    bad.write_bytes(data)
    with pytest.warns(UserWarning, match=r"1 of 12 videos .*3.avi .*left out"):
        built = dataset(f"videos:{tmp_path}", image_size=8)
    assert sum(map(len, built.splits.values())) == 11
    with pytest.raises(PaperzooError, match=r"1 of 12 videos .*3.avi"):
        dataset(f"videos:{tmp_path}", image_size=8, strict=True)


def test_frames_that_change_their_size_are_all_squares(tmp_path: Path) -> None:
    """A folder of frames of several sizes; and a file whose pictures grow half way, as a recorded broadcast's may."""
    folder = tmp_path / "clip"
    folder.mkdir()
    for number, (width, height) in enumerate([(24, 16), (16, 24), (48, 32), (9, 9)]):
        Image.new("RGB", (width, height), (10 + 10 * number,) * 3).save(folder / f"{number}.png")
    assert brightness(open_video(folder, 8, 3).read(0, 4)) == [0, 1, 2, 3]
    av = pytest.importorskip("av")
    parts = []
    for number, (width, height) in enumerate([(64, 48), (96, 80)]):
        with av.open(str(tmp_path / f"{number}.m2v"), "w", format="mpeg2video") as container:
            stream = container.add_stream("mpeg2video", rate=25, options={"bf": "0"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            for grey in range(10, 110, 10):
                picture = av.VideoFrame.from_ndarray(np.full((height, width, 3), grey + 100 * number, np.uint8), format="rgb24")
                container.mux(stream.encode(picture))
            container.mux(stream.encode())
        parts.append((tmp_path / f"{number}.m2v").read_bytes())
    (tmp_path / "both.m2v").write_bytes(b"".join(parts))
    reel = open_video(tmp_path / "both.m2v", 8, 3)
    seen = brightness(reel.read(0, 20))
    assert len(seen) >= 19 and sorted(set(seen)) == seen and set(seen) <= set(range(20))  # a decoder may lose one at the change


def test_videos_shorter_than_a_clip_are_counted(tmp_path: Path) -> None:
    for kind in ("a", "b"):
        for number in range(12):
            write_frames(tmp_path / kind / f"clip{number}", 15 if (kind, number) == ("b", 7) else 16 + number)
    with pytest.warns(UserWarning, match=r"1 of 24 videos .* have fewer than 16 frames and begin again at their end: clip7"):
        dataset(f"videos:{tmp_path}", image_size=8)


def test_folders_of_splits_are_kept(tmp_path: Path) -> None:
    for split, count in (("train", 3), ("val", 2), ("test", 1)):
        for kind in ("a", "b"):
            for number in range(count):
                write_frames(tmp_path / split / kind / str(number), 3)
    built = dataset(f"videos:{tmp_path}", image_size=8, channels=1)
    assert {s: len(split) for s, split in built.splits.items()} == {"train": 6, "validation": 4, "test": 2}
    write_frames(tmp_path / "test" / "c" / "0", 3)
    with pytest.raises(PaperzooError, match="test has the class c, which train has not"):
        dataset(f"videos:{tmp_path}", image_size=12)


def test_folders_that_are_no_data(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(PaperzooError, match="no class folders with videos"):
        dataset(f"videos:{tmp_path / 'empty'}")
    write_frames(tmp_path / "one" / "alone" / "0", 3)
    with pytest.raises(PaperzooError, match="only one class folder with videos, alone"):
        dataset(f"videos:{tmp_path / 'one'}")
    write_frames(tmp_path / "one" / "other" / "0", 3)
    with pytest.raises(PaperzooError, match="2 videos of 2 classes to train on: too few"):
        dataset(f"videos:{tmp_path / 'one'}")
    with pytest.raises(PaperzooError, match="there is no"):
        dataset(f"videos:{tmp_path / 'nowhere'}")


# Published splits ----------------------------------------------------------------------------------------------------


def test_ucf101(tmp_path: Path) -> None:
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 Archery\n2 Bowling\n\n")
    (lists / "trainlist02.txt").write_text("Archery/v_Archery_g08_c01.avi 1\r\nBowling/v_Bowling_g08_c01.avi 2\r\n")
    (lists / "testlist02.txt").write_text("Bowling/v_Bowling_g01_c01.avi\n")
    for name in ("Archery/v_Archery_g08_c01.avi", "Bowling/v_Bowling_g08_c01.avi", "Bowling/v_Bowling_g01_c01.avi"):
        write_video(tmp_path / name, 10)
    built = ucf101(tmp_path, image_size=14, fold=2, frames=4)
    batch, test = built["train"].batch([0, 1]), built["test"][0]
    assert batch.video.shape == (2, 3, 4, 14, 14) and batch.label.tolist() == [0, 1] and int(test.label) == 1
    assert videos_of(built, "train").reels[0].read(0, 1).shape == (1, 3, 16, 16)  # of which 14 are cut at random
    assert videos_of(built, "test").clips(0, 4).shape == (2, 3, 4, 14, 14) and built.schema.names == ("Archery", "Bowling")
    with pytest.raises(PaperzooError, match=r"there is no list .*trainlist01.txt"):
        ucf101(tmp_path)
    (tmp_path / "Bowling" / "v_Bowling_g01_c01.avi").unlink()
    with pytest.raises(PaperzooError, match=r"1 of 1 videos of test are missing .*v_Bowling_g01_c01.avi"):
        ucf101(tmp_path, fold=2)
    (lists / "testlist02.txt").write_text("Fencing/v_1.avi\n")
    with pytest.raises(PaperzooError, match="names the class Fencing"):
        ucf101(tmp_path, fold=2)
    (lists / "testlist02.txt").write_text("\nBowling\n")
    with pytest.raises(PaperzooError, match=r"testlist02.txt, line 2: 'Bowling'"):
        ucf101(tmp_path, fold=2)


def test_hmdb51(tmp_path: Path) -> None:
    lists = tmp_path / "testTrainMulti_7030_splits"
    lists.mkdir()
    (lists / "brush_hair_test_split1.txt").write_text("a_nm_np1_0.avi 1 \nb_nm_np1_0.avi 2 \nc (1)_0.avi 0 \n")
    (lists / "wave_test_split1.txt").write_text("w_0.avi 1 \nw_1.avi 2 \n")
    for name in ("brush_hair/a_nm_np1_0.avi", "brush_hair/b_nm_np1_0.avi", "wave/w_0.avi", "wave/w_1.avi"):
        write_video(tmp_path / name, 6)
    built = hmdb51(tmp_path, image_size=7, frames=3)
    assert built.schema.names == ("brush_hair", "wave")
    assert [built[s].batch([0, 1]).label.tolist() for s in ("train", "test")] == [[0, 1], [0, 1]]
    with pytest.raises(PaperzooError, match=r"no files CLASS_test_split3.txt"):
        hmdb51(tmp_path, fold=3)
    assert DATASETS["hmdb51-3"].arguments == {"fold": 3}
    (lists / "wave_test_split1.txt").write_bytes("w_ä.avi 1\nw_1.avi 2\n".encode("latin-1"))
    with pytest.raises(PaperzooError, match=r"wave_test_split1\.txt is not UTF-8: byte 0xe4 .*\(line 1\)"):
        hmdb51(tmp_path)


# Digits that drift ---------------------------------------------------------------------------------------------------


def test_digits_drift_on_a_torus() -> None:
    digit = np.arange(1, 10, dtype=np.uint8).reshape(3, 3)
    for name, (right, down) in WAYS.items():
        video = drift(digit, (4, 5), (2 * right, 2 * down), 6, 8)
        first = np.zeros((8, 8), np.uint8)
        first[np.ix_([5, 6, 7], [4, 5, 6])] = digit
        for t, frame in enumerate(video):
            assert np.array_equal(frame, np.roll(first, (2 * t * down, 2 * t * right), (0, 1))), name


def test_a_single_frame_says_nothing_of_the_direction() -> None:
    """Over all starts, every frame of every direction is the same set of pictures: no network can do better than guess."""
    digit = np.random.default_rng(0).integers(1, 255, (3, 2), dtype=np.uint8)
    sets = {
        tuple(sorted(drift(digit, (x, y), way, t + 1, 6)[t].tobytes() for x in range(6) for y in range(6)))
        for way in WAYS.values()
        for t in (0, 3, 5)
    }
    assert len(sets) == 1
    random = [Drifting(np.full((1, 1, 1), 255, np.uint8), 0, i, WAYS["up"], 1, 4).read(0, 1) for i in range(800)]
    lit = np.mean([one[0, 0] > 0 for one in random], 0)  # starts are spread evenly
    assert (abs(lit - lit.mean()) < 4 * (lit.mean() / 800) ** 0.5).all()


def test_moving_digits_are_a_function_of_split_and_number() -> None:
    built = dataset("moving-digits-8x8")
    assert built.schema.arguments == {"channels": 1, "image_size": 16, "classes": 4, "frames": 8}
    assert built.schema.names == ("right", "left", "down", "up")
    for split, count in (("train", 2000), ("test", 400)):
        assert len(built[split]) == count
        (label,) = [c.values for c in built[split].columns if isinstance(c, Values)]
        assert label.bincount().tolist() == [count // 4] * 4
    alone, among = built["test"].batch([7]).video[0], built["test"].batch([3, 7, 5]).video[1]
    assert torch.equal(alone, among) and not torch.equal(alone, built["train"].batch([7]).video[0])
    with pytest.raises(PaperzooError, match="must be at least 8"):
        dataset("moving-digits-8x8", image_size=6)


# Sprites' actions ----------------------------------------------------------------------------------------------------


def test_names_tell_actions() -> None:
    names = list(ACTIONS)
    for name, animation, number, action in (
        ("elves-wood/archer+female-bow-attack-3.png", "elves-wood/archer+female-bow-attack", 3, "shoot"),
        ("drakes/arbiter-blade-se12.png", "drakes/arbiter-blade-se", 12, "strike"),
        ("saurians/augur/augur-ne-run-2.png", "saurians/augur/augur-ne-run", 2, "run"),
        ("undead/zombie-wolf-die-1.png", "undead/zombie-wolf-die", 1, "die"),
    ):
        assert action_of(name) == (animation, number, names.index(action))
    for name in ("orcs/grunt.png", "orcs/grunt-stand-2.png", "orcs/idle-2.png"):  # a unit's own name is no action
        assert action_of(name) is None


def sprite(unit: int, frame: int) -> bytes:
    """A unit's own pattern of blocks, over half of it transparent, a bar of it moving."""
    pixels = np.zeros((72, 72, 4), np.uint8)
    blocks = np.random.default_rng(unit).integers(0, 255, (6, 6, 3), dtype=np.uint8)
    pixels[18:54, 18:54, :3], pixels[18:54, 18:54, 3] = blocks.repeat(6, 0).repeat(6, 1), 255
    pixels[2:10, 4 * frame : 4 * frame + 4] = 255
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


def test_sprite_actions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAPERZOO_DATA", str(tmp_path / "cache"))
    files = {}
    for number, unit in enumerate(("ash", "birch", "cedar", "elm", "fir", "gum")):
        for action, frames in (("attack", 4), ("die", 11), ("idle", 3)):  # too few frames of idle
            for frame in range(1, frames + 1):
                files[f"./{UNITS}/trees/{unit}-{action}-{frame}.png"] = sprite(number, frame)
    for frame in range(1, 5):
        files[f"./{UNITS}/trees/ash2-attack-{frame}.png"] = files[f"./{UNITS}/trees/ash-attack-{frame}.png"]  # the same again
        files[f"./{UNITS}/trees/twin-run-{frame}.png"] = sprite(1, frame + 5)  # looks like birch
    built = sprite_actions(make_deb(tmp_path / "game.deb", files), image_size=24, frames=5)
    label = {s: built[s].batch(range(len(built[s]))).label for s in built.splits}
    assert sum(map(len, label.values())) == 13 and {"train", "validation", "test"} == set(label)
    assert built["train"].batch([0]).video.shape == (1, 3, 5, 24, 24) and not built.pictures
    (prepared,) = (tmp_path / "cache" / "prepared").glob("sprite-actions-*[!k]")
    units, names, splits = (np.load(prepared / f"{key}.npy") for key in ("unit", "name", "split"))
    assert units[names == "trees/twin-run"] == "trees/birch"  # joined, so that both are on one side
    assert all(len(set(splits[units == unit])) == 1 for unit in set(units)) and set(splits) == {0, 1, 2}
    offset, image = np.load(prepared / "offset.npy"), np.load(prepared / "image.npy")
    (die,) = np.flatnonzero(names == "trees/elm-die")
    bars = [(frame[5] == 255).all(-1).nonzero()[0].min() for frame in image[offset[die] : offset[die + 1]]]
    assert bars == [4 * frame for frame in range(1, 12)]  # 2 before 10


# The task ------------------------------------------------------------------------------------------------------------


class Bright(VideoClassifier):
    """Says 1 of clips that are brighter than a half, and the surer the brighter."""

    channels, image_size, frames = 1, 8, 2

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(4.0))

    def forward(self, video: Tensor) -> Tensor:
        mean = video.mean((1, 2, 3, 4)) - 0.5
        return self.scale * torch.stack([-mean, mean], 1)


def flashes(*videos: tuple[list[int], int]) -> Dataset:
    reels = [Held(np.broadcast_to(np.array(grey, np.uint8)[:, None, None, None], (len(grey), 1, 8, 8)).copy()) for grey, _ in videos]
    return labelled("flashes", {"test": reels}, {"test": [y for _, y in videos]}, ("dark", "bright"), 8, 1, 2, "none", "made up")


def test_clip_and_video_error_against_a_count_by_hand() -> None:
    data = flashes(([255, 255, 0, 0, 255, 255, 9], 1), ([0, 0], 0), ([0, 0, 0, 0, 255, 255], 1), ([255], 0))
    with torch.no_grad():
        found = Bright().measure(data, "test")
    assert found["clip error %"] == pytest.approx(100 * 4 / 8)  # of 3, 1, 3, 1 clips are wrong: 1, 0, 2, 1
    assert found["video error %"] == 50
    p = 1 / (1 + np.exp(-4))
    true = [(2 * p + 1 - p) / 3, p, (p + 2 * (1 - p)) / 3, 1 - p]
    assert found["loss"] == pytest.approx(-np.log(true).mean(), abs=1e-5)


def test_confusion_and_mistakes_are_drawn(tmp_path: Path) -> None:
    data = flashes(([0, 0], 1), ([255, 255], 1), ([255, 255, 255], 0))
    paths = Bright().show(data, "test", tmp_path, "x")
    assert [p.name for p in paths] == ["x-confusion.png", "x-frames.png", "x-mistakes.png"]
    assert all(0 < p.stat().st_size <= 150_000 for p in paths)
    assert [p.name for p in Bright().show(flashes(([0, 0], 0)), "test", tmp_path, "y")] == ["y-confusion.png", "y-frames.png"]


def test_prediction_of_paths_and_arrays(tmp_path: Path) -> None:
    model = Bright()
    model.names = ("dark", "bright")
    folder = write_frames(tmp_path / "clip", 5, 8)
    said = model.predict(folder)
    assert (said.name, said.clips) == ("dark", 2) and said.probabilities[0] == pytest.approx(said.probability)
    with torch.no_grad():
        p = model(torch.tensor([15.0, 35.0])[:, None, None, None, None] / 255).softmax(1).mean(0)
    assert said.probability == pytest.approx(float(p[0]), abs=1e-5)
    frames = np.stack([np.asarray(Image.open(folder / f"frame{n}.png")) for n in range(1, 6)])  # (T, H, W, C)
    assert model.predict(frames) == model.predict(torch.from_numpy(frames).float() / 255) == said
    assert [one.name for one in model.predict([folder, np.full((3, 8, 8), 255, np.uint8)])] == ["dark", "bright"]
    file = write_video(tmp_path / "a.avi", 4)
    assert str(model.predict(str(file))).startswith("dark") and model.predict(file).clips == 2
    for wrong, says in ((tmp_path / "no.avi", "there is no video"), (np.zeros((8, 8)), r"a video is \(T, H, W\)")):
        with pytest.raises(PaperzooError, match=says):
            model.predict(wrong)


def test_clips_shorter_than_the_models_are_named() -> None:
    model, video = Bright(), torch.rand(3, 1, 5, 8, 8)
    assert torch.equal(model.eval().clip(video), video[:, :, 1:3]) and model.train().clip(video).shape == (3, 1, 2, 8, 8)
    with pytest.raises(PaperzooError, match=r"clips have 1 frames, the model's 2: set model.frames=1"):
        model.clip(video[:, :, :1])
    with pytest.raises(PaperzooError, match="digits has no videos"):
        model.measure(dataset("digits"), "test")
    with pytest.raises(PaperzooError, match="video classification needs data with video and label, but digits has only image, label"):
        Bright.check(dataset("digits").schema)
