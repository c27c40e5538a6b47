"""Questions about pictures: which sets there are, what builds each, and where its bytes come from."""

from __future__ import annotations

from paperzoo.data.captions.table import DATASETS as CAPTIONED
from paperzoo.data.entry import Entry, Own
from paperzoo.data.fetch.sources import Source

EASY_VQA = Source(
    name="easy_vqa-1.0-py3-none-any.whl",
    transport="wheel",
    package="easy-vqa",
    version="1.0",
    sha256="fcb51b309b78c7b00f97b64cdbcbcf5c105f94da1b39c0796cee5a787c4f650f",
    licence="MIT (easy-VQA, Victor Zhou)",
)

VQA, VQA2 = (
    Source(
        name=name,
        transport="folder",
        licence="CC BY 4.0 (VQA, Antol et al. 2015 and Goyal et al. 2017); pictures of COCO, each under its own terms of Flickr",
        how=f"Put {prefix}OpenEnded_mscoco_train2014_questions.json, {prefix}mscoco_train2014_annotations.json, the same of val2014, and "
        "the folders train2014/ and val2014/ of COCO there",
    )
    for name, prefix in (("vqa", ""), ("vqa2", "v2_"))
)

CLEVR = Source(
    name="clevr",
    transport="folder",
    licence="CC BY 4.0 (CLEVR, Johnson et al. 2017)",
    how="Put the folders questions/ and images/ of CLEVR_v1.0 there",
)

DATASETS = {
    "easy-vqa": Entry("48,000 questions about the one shape in a picture, 64x64", "questions.easy.easy_vqa", (EASY_VQA,)),
    "easy-vqa-withheld": Entry(
        "the same, tested on pairs of shape and colour never trained on", "questions.easy.easy_vqa", (EASY_VQA,), {"withheld": True}
    ),
    "shapes-vqa": Entry("questions about up to three coloured shapes, 32x32", "questions.shapes.shapes_vqa"),
    "scenes-vqa": Entry(
        "balanced questions about the pictures of scenes, 64x64", "questions.composed.scenes_vqa", CAPTIONED["scenes"].sources, sized=True
    ),
    "vqa": Entry("questions about photographs, ten answers each (VQA v1)", "questions.readers.vqa", (VQA,), sized=True),
    "vqa2": Entry(
        "the same with two pictures and two answers for each question (VQA v2)", "questions.readers.vqa", (VQA2,), {"version": 2}, True
    ),
    "clevr": Entry("700,000 questions about composed objects", "questions.readers.clevr", (CLEVR,), sized=True),
}

#: the user's own data: prefix -> what follows the colon, and what builds it
OWN = {
    "questions": Own(
        "pictures with a table (.csv or .jsonl) of file, question and answer", "questions.readers.own", sized=True, strict=True
    ),
}
