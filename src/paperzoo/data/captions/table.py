"""Pictures with captions: which sets there are, what builds each, and where its bytes come from."""

from __future__ import annotations

from paperzoo.data.entry import Entry, Own
from paperzoo.data.fetch.sources import Source
from paperzoo.data.images.table import AVATARS, EMOJI, GCOMPRIS, LOMIRI, TUXPAINT

#: name -> its folder, and in a line what it is
PUBLISHED = {
    "flickr8k": (
        Source(
            name="flickr8k",
            transport="folder",
            licence="Flickr8k: research only (Hodosh et al. 2013)",
            how="Put Flickr8k's pictures there, and Flickr8k.token.txt and the three lists of splits, or Karpathy's dataset_flickr8k.json",
        ),
        "8,000 photographs with five captions each",
    ),
    "flickr30k": (
        Source(
            name="flickr30k",
            transport="folder",
            licence="Flickr30k: research only (Young et al. 2014)",
            how="Put Flickr30k's pictures there, and Karpathy's dataset_flickr30k.json, or results_20130124.token without splits",
        ),
        "31,783 photographs with five captions each",
    ),
    "coco-captions": (
        Source(
            name="coco-captions",
            transport="folder",
            licence="CC BY 4.0 (captions of COCO, Chen et al. 2015); its photographs under the terms of their authors at Flickr",
            how="Put train2014/ and val2014/ there, and Karpathy's dataset_coco.json, or captions_train2014.json and captions_val2014.json",
        ),
        "123,287 photographs with five captions each",
    ),
    "cub-captions": (
        Source(
            name="cub-captions",
            transport="folder",
            licence="CUB-200-2011: research only (Wah et al. 2011), with the captions of Reed et al. (2016)",
            how="Put CUB_200_2011's images/ there, text_c10/ of Reed et al., and trainclasses.txt, valclasses.txt and testclasses.txt",
        ),
        "11,788 photographs of birds of 200 classes with ten captions each, 50 of the classes for the test",
    ),
    "oxford-102-captions": (
        Source(
            name="oxford-102-captions",
            transport="folder",
            licence="Oxford-102: research only (Nilsback and Zisserman 2008), with the captions of Reed et al. (2016)",
            how="Put Oxford-102's jpg/ there, text_c10/ of Reed et al., and trainclasses.txt, valclasses.txt and testclasses.txt",
        ),
        "8,189 photographs of flowers of 102 classes with ten captions each, 20 of the classes for the test",
    ),
}

DATASETS = {
    "scenes": Entry(
        "10,500 pictures of things above, below and beside each other, with five true captions each, 64x64",
        "captions.composed.scenes",
        (EMOJI["noto"], EMOJI["fluent"], EMOJI["twemoji"], GCOMPRIS, LOMIRI),
        sized=True,
    ),
    "avatar-sentences": Entry(
        "14,000 cartoon faces with five sentences each that say how they look",
        "captions.avatars.avatar_sentences",
        (AVATARS,),
        sized=True,
    ),
    "shapes-sentences": Entry("coloured shapes, 32x32, with three sentences each", "captions.shapes.shapes_sentences"),
    "scenes-plain": Entry(
        "880 pictures of two shapes above, below and beside each other on one colour, with five true captions each, 32x32",
        "captions.plain.plain_scenes",
        sized=True,
    ),
    "stamps-captions": Entry(
        "785 drawings and photographs of things, with a caption each in English, 96x96",
        "captions.stamps.stamps_captions",
        (TUXPAINT,),
        sized=True,
    ),
    **{
        name: Entry(about, "captions.folder.published", (source,), {"kind": name, "licence": source.licence}, True)
        for name, (source, about) in PUBLISHED.items()
    },
}

#: the user's own data: prefix -> what follows the colon, and what builds it
OWN = {
    "captions": Own(
        "pictures with captions: a .csv or .jsonl with file and caption, or the files of Flickr8k, COCO or Karpathy, in their folder",
        "captions.folder.caption_folder",
        options=True,
        sized=True,
        strict=True,
    ),
}
