"""Pictures with boxes: which sets there are, what builds each, and where its bytes come from."""

from __future__ import annotations

from paperzoo.data.boxes.fonts import ISO_CODES, LATIN, OTHERS
from paperzoo.data.entry import Entry, Own
from paperzoo.data.fetch.sources import Source
from paperzoo.data.images.table import EMOJI, GCOMPRIS, LOMIRI

DEEPFOREST = Source(
    name="deepforest-2.1.0-py3-none-any.whl",
    transport="wheel",
    package="deepforest",
    version="2.1.0",
    sha256="8c2798d8e9be7f0004b194fe207b76c1d9fff6e711b3db67b9508dcd5d00ae54",
    size=20_639_595,
    licence="MIT (DeepForest, Ben Weinstein; aerial photographs of NEON)",
)

#: name -> its folder, and in a line what it is
PUBLISHED = {
    "pascal-voc": (
        Source(
            name="pascal-voc",
            transport="folder",
            licence="PASCAL VOC: flickr's terms of use (Everingham et al. 2010)",
            how="Put VOCdevkit/VOC2007 and VOCdevkit/VOC2012 there, trainval and the test of 2007",
        ),
        "21,503 photographs of 20 classes with boxes, VOC 2007 and 2012",
    ),
    "coco-boxes": (
        Source(
            name="coco-boxes",
            transport="folder",
            licence="CC BY 4.0 (annotations of COCO, Lin et al. 2014); its photographs under the terms of their authors at Flickr",
            how="Put train2017/, val2017/ and annotations/instances_train2017.json and instances_val2017.json there",
        ),
        "123,287 photographs of 80 classes with boxes, COCO 2017",
    ),
    "icdar2015": (
        Source(
            name="icdar2015",
            transport="folder",
            licence="ICDAR 2015 incidental scene text: for research, after registration (Karatzas et al. 2015)",
            how="Put the pictures and gt_*.txt of task 4.1 below train/ and test/ there",
        ),
        "1,500 photographs with English words as quadrilaterals, ICDAR 2015",
    ),
    "icdar2013": (
        Source(
            name="icdar2013",
            transport="folder",
            licence="ICDAR 2013 focused scene text: for research, after registration (Karatzas et al. 2013)",
            how="Put the pictures and gt_*.txt of task 2.1 below train/ and test/ there",
        ),
        "462 photographs with English words as boxes, ICDAR 2013",
    ),
}

#: the classes of ``scenes-boxes`` with the highest precision on its validation split, by a trial with ``yolov2``
SIX = ("clocks", "clothing", "flowers", "fruit", "vegetables", "vehicles")

_SCENES = (EMOJI["noto"], EMOJI["fluent"], EMOJI["twemoji"], GCOMPRIS, LOMIRI)

#: photographs, names, fonts
SCENE_TEXT = (GCOMPRIS, LOMIRI, ISO_CODES, *LATIN)

DATASETS = {
    "scenes-boxes": Entry(
        "4,800 pictures of one to five things of twelve classes on photographs, with their boxes, 160x160",
        "boxes.composed.scenes_boxes",
        _SCENES,
        sized=True,
    ),
    "scenes-boxes-6": Entry(
        "the same of the six classes that are told apart best",
        "boxes.composed.scenes_boxes",
        _SCENES,
        {"classes": SIX},
        sized=True,
    ),
    "scene-text": Entry(
        "3,600 photographs with 15,700 English words in 128 fonts on them, turned and seen from the side, as quadrilaterals, 256x256",
        "boxes.scene_text.scene_text",
        SCENE_TEXT,
        sized=True,
    ),
    "scene-text-lines": Entry(
        "the same with quadrilaterals around lines", "boxes.scene_text.scene_text", SCENE_TEXT, {"unit": "lines"}, sized=True
    ),
    "lines": Entry(
        "3,600 photographs with horizontal lines of text in seven scripts, 256x256",
        "boxes.scene_text.text_lines",
        (*SCENE_TEXT, *OTHERS),
        sized=True,
    ),
    "trees": Entry(
        "89 parts of four aerial photographs, with 950 trees that people have marked, 160x160",
        "boxes.trees.trees",
        (DEEPFOREST,),
        sized=True,
    ),
    **{
        name: Entry(about, "boxes.folder.published", (source,), {"kind": name, "licence": source.licence}, True)
        for name, (source, about) in PUBLISHED.items()
    },
    "text-plain": Entry("144 pictures of one or two turned words on grey, 96x96", "boxes.text_plain.plain_text", sized=True),
    "lines-plain": Entry(
        "144 pictures of one or two level lines on grey, 96x96", "boxes.text_plain.plain_text", arguments={"unit": "lines"}, sized=True
    ),
    "boxes-plain": Entry(
        "240 pictures of one to three rectangles of three classes on grey, with their boxes, 64x64", "boxes.plain.plain_boxes", sized=True
    ),
}

#: the user's own data: prefix -> what follows the colon, and what builds it
OWN = {
    kind: Own(about, "boxes.folder.box_folder", options=True, sized=True, strict=True, arguments={"kind": kind})
    for kind, about in {
        "voc": "a folder of pictures with boxes in VOC's .xml, one a picture; ImageSets/Main, if it is there, says the splits",
        "coco": "a folder of pictures with boxes in COCO's .json; its name, such as instances_train.json, says the split",
        "yolo": "a folder of pictures with boxes in darknet's .txt, one a picture; classes.txt or data.yaml names the classes",
        "icdar": "a folder of pictures with text in ICDAR's .txt, gt_NAME.txt or NAME.txt, as boxes or quadrilaterals",
    }.items()
}
