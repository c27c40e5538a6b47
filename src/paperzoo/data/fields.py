"""The vocabulary of batches: what each field is called, which type and shape it has, and what it means.

A name has one meaning. Two have more, and keep them because recorded results depend on these names: what stands beside a ``target``
in the batch, and the type of a ``label``, say which is meant.

N is the number of items, C channels, D, H and W depth, height and width, T the length of a sequence, padded to the longest of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Field:
    """A field of a batch.

    Attributes:
        dtype: torch's name of it, or ``list`` of what has no tensor, an entry an item.
        shape: its dimensions by letter.
        beside: a field that is in the batch, too, where this one has this meaning; ``""`` for any batch.
    """

    name: str
    dtype: str
    shape: tuple[str, ...]
    meaning: str
    beside: str = ""


VOCABULARY = (
    # images and videos
    Field("image", "float32", ("N", "C", "H", "W"), "pixels in [0, 1]"),
    Field("image_a", "float32", ("N", "C", "H", "W"), "pixels in [0, 1] of domain A, which is translated from"),
    Field("image_b", "float32", ("N", "C", "H", "W"), "pixels in [0, 1] of domain B; where the split is paired, A's counterpart"),
    Field("labelled", "float32", ("N", "C", "H", "W"), "pixels in [0, 1] of another image, one whose class is known"),
    Field("low", "float32", ("N", "C", "h", "w"), "pixels in [0, 1] of a photograph at low resolution"),
    Field("high", "float32", ("N", "C", "H", "W"), "pixels in [0, 1] of the same at high resolution; black beyond its size"),
    Field("scale", "int64", ("N",), "how many pixels of high are one of low, along each side"),
    Field("size", "int64", ("N", "2"), "height and width of the photograph in high, from its upper left corner"),
    Field("video", "float32", ("N", "C", "T", "H", "W"), "pixels in [0, 1] of T frames"),
    Field("content", "int64", ("N",), "number of what a video shows, whatever it does: of a person, or of a kind of shape"),
    Field("audio", "float32", ("N", "C", "T"), "samples of a sound in [-1, 1], rate of the schema of them a second"),
    Field("label", "int64", ("N",), "class or answer, from 0; -1 where it is none that is known; beside a field labelled, of that image"),
    Field("label", "float32", ("N",), "score, where the schema names no classes", beside="texts"),
    Field("features", "float32", ("N", "D"), "what the last linear layer of a frozen encoder sees of the image"),
    Field("grid", "float32", ("N", "K", "h", "w"), "the encoder's last feature map of the image"),
    Field("attributes", "float32", ("N", "A"), "1 where the image has the attribute, else 0"),
    Field("vendor", "int64", ("N",), "who drew the image: number in images.emoji.VENDORS"),
    # volumes
    Field("volume", "float32", ("N", "C", "D", "H", "W"), "1 where a voxel is occupied, else 0; height from the ground up"),
    # what is marked in images
    Field("boxes", "float32", ("N", "M", "4"), "left, top, right and bottom of each object in pixels of the image; 0 where padded"),
    Field("quads", "float32", ("N", "M", "4", "2"), "corners x, y in pixels, clockwise from where reading begins; 0 where padded"),
    Field("objects", "int64", ("N",), "how many boxes or quadrilaterals the image has, those first; what follows is padding"),
    Field("box_label", "int64", ("N", "M"), "class of each object, from 0; -1 where padded"),
    Field("difficult", "bool", ("N", "M"), "whether to find the object is neither right nor wrong: VOC's difficult, ICDAR's do-not-care"),
    Field("crowd", "bool", ("N", "M"), "whether the box is around a group, in which any number of detections may lie (COCO's iscrowd)"),
    Field("original", "int64", ("N", "2"), "height and width of the picture that was put into the image's frame by a letterbox"),
    # what is marked of people
    Field("segments", "int64", ("N", "H", "W"), "which of 14 parts of a body each pixel shows, 0 for none (data.bodyparts.COARSE)"),
    Field("person", "int64", ("N", "H", "W"), "number of the person that each pixel shows, from 1 in the order of boxes; 0 for none"),
    Field("parts", "int64", ("N", "H", "W"), "which of 24 parts of a surface each pixel shows, 0 for none (data.bodyparts.PARTS)"),
    Field("uv", "float32", ("N", "2", "H", "W"), "U and V in [0, 1] of each pixel in the chart of its part; 0 where there is none"),
    Field("points", "float32", ("N", "M", "P", "2"), "x, y in pixels of points annotated on each person; 0 where padded"),
    Field("point_part", "int64", ("N", "M", "P"), "part of the surface that lies there, from 1; 0 where padded"),
    Field("point_uv", "float32", ("N", "M", "P", "2"), "U and V in [0, 1] of each point; 0 where padded"),
    # points
    Field("point", "float32", ("N", "D"), "coordinates"),
    Field("point_a", "float32", ("N", "D"), "coordinates of a point of domain A"),
    Field("point_b", "float32", ("N", "D"), "coordinates of a point of domain B"),
    # text
    Field("tokens", "int64", ("N", "T"), "number of each word, character or piece in the vocabulary; 0 where padded"),
    Field("length", "int64", ("N",), "items of the sequence that are no padding"),
    Field("words", "list", ("N",), "the words themselves, a list of strings an item"),
    Field("tags", "int64", ("N", "T"), "number of each word's tag; 0 where padded"),
    Field("texts", "list", ("N",), "the sentence, two of them, a sentence and its translation, or captions: a tuple of strings an item"),
    Field("captions", "int64", ("N", "K", "T"), "words of each of K captions between start and end; 0 where padded, rows that lack too"),
    Field("named", "float32", ("N", "K", "A"), "1 where a caption says whether the image has the attribute, else 0", beside="captions"),
    Field("scene", "list", ("N",), "what a composed picture shows, a data.captions.grammar.Scene an item"),
    Field("source", "int64", ("N", "T"), "pieces of the sentence to translate; 0 where padded"),
    Field("target", "int64", ("N", "T"), "pieces of its translation, between start and end; 0 where padded", beside="source"),
    Field("target", "int64", ("N", "T"), "the token that follows each token; -1 behind the end of the text", beside="stream"),
    Field("stream", "int64", ("N",), "which of the parallel streams of a text this span continues"),
    Field("place", "int64", ("N",), "where in the text the span begins"),
    Field("segment", "int64", ("N", "T"), "0 in the first segment of a pair, 1 in the second"),
    Field("next", "int64", ("N",), "1 if the second segment follows the first, 0 if it is another"),
    Field("akin", "int64", ("N",), "1 if both segments come from the same corpus, else 0"),
    Field("row", "int32", ("N",), "number of a word in the vocabulary"),
    Field("column", "int32", ("N",), "number of a word near it"),
    Field("x", "float64", ("N",), "how often they stand near each other, weighted by distance"),
    # questions about images
    Field("question", "int64", ("N", "T"), "number of each word of a question in the vocabulary; 0 where padded"),
    Field("answers", "list", ("N",), "what ten people answered, or the one answer that is true: a tuple of strings an item"),
    Field("kind", "list", ("N",), "what kind of question it is, a string an item"),
    # series
    Field("history", "float32", ("N", "T", "D"), "values of all columns, the last T steps"),
    Field("target", "float32", ("N", "S", "K"), "values of the target columns, the S steps ahead; 0 beyond the split", beside="history"),
    Field("mask", "bool", ("N", "S"), "which of the steps ahead lie in the split"),
    Field("origin", "int64", ("N",), "row of the first step ahead"),
    Field("held", "int64", ("N",), "place among the windows that intervals are calibrated on; -1 to train on, -2 for neither"),
    # machines
    Field("readings", "float32", ("N", "T", "D"), "readings of the sensors, the last T"),
    Field("until", "float32", ("N",), "days to the next failure; infinite if none comes within the horizon, or a service before it"),
    Field("machine", "int64", ("N",), "number of the machine"),
    Field("time", "int64", ("N",), "when the last reading was taken, in seconds since 1970"),
)


def meaning(name: str, dtype: str, dimensions: int, beside: Mapping[str, Any]) -> Field | None:
    """What a field is, found by its name, its type, and the names of all fields of the batch; ``None`` if it is not written down."""
    for field in VOCABULARY:
        alike = (field.name, field.dtype, len(field.shape)) == (name, dtype, dimensions)
        if alike and (not field.beside or field.beside in beside):
            return field
    return None
