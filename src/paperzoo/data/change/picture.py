"""Images at another size, and how pictures became them."""

from __future__ import annotations

import dataclasses
from contextlib import suppress

from paperzoo.data.dataset import Column, Dataset, Images, Split
from paperzoo.data.pictures import Preparation, fit, ground_of
from paperzoo.errors import PaperzooError


def resized(built: Dataset, size: int) -> Dataset:
    """Every image at another size: a black border where that is enough (28 to 32), else bilinear with antialiasing."""

    def images(column: Images) -> Images:
        return Images(fit(column.pixels, size), column.name)

    def changed(column: Column) -> Column:
        return images(column) if isinstance(column, Images) else column.map(images) if hasattr(column, "map") else column

    splits = {name: Split(*map(changed, split.columns)) for name, split in built.splits.items()}
    arguments, picture = {**built.schema.arguments, "image_size": size}, built.schema.picture
    picture = dataclasses.replace(picture, size=size) if picture else None
    return dataclasses.replace(built, splits=splits, schema=dataclasses.replace(built.schema, arguments=arguments, picture=picture))


def with_picture(built: Dataset) -> Dataset:
    """With how its pictures were prepared in its schema, and the ground of its training images."""
    schema, train = built.schema, built.splits.get("train")
    size, channels = schema.arguments.get("image_size"), schema.arguments.get("channels")
    field = "image_a" if "image_a" in schema.fields else "image"
    if field not in schema.fields or not train or not size or channels not in (1, 3) or (schema.picture and schema.picture.ground):
        return built
    picture = schema.picture or Preparation(size, size, channels)
    columns = [c for column in train.columns for c in getattr(column, "domains", [column])]
    most = 1000 if any(isinstance(column, Images) for column in columns) else 100  # other columns have to be decoded
    some = [i * len(train) // most for i in range(most)] if len(train) > most else range(len(train))
    with suppress(PaperzooError):  # an image that cannot be decoded is reported when it is asked for
        picture = dataclasses.replace(picture, ground=ground_of(getattr(train.batch(some), field)))
    return dataclasses.replace(built, schema=dataclasses.replace(schema, picture=picture))
