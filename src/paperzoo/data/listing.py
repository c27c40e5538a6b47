"""Which files of a folder are pictures, which are the same, and which split each belongs to."""

from __future__ import annotations

import hashlib
import math
import os
import re
import stat
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from paperzoo.data.pictures import UNREAD, looks_like_a_picture, suffixes
from paperzoo.errors import PaperzooError
from paperzoo.files import kind_of
from paperzoo.terminal import plain

SPLITS = {
    "train": "train", "validation": "validation", "valid": "validation", "val": "validation", "test": "test",
    "training": "train", "dev": "validation", "testing": "test",
}  # fmt: skip

#: a file and its label
Item = tuple[Path, int]

#: why files are left out -> which
Skipped = defaultdict[str, list[Path]]

#: of a class with fewer test items than this the error is a rough figure, and that is said
FEW = 10
#: of fewer images than this in all, what else can be done is said, too
FEW_IMAGES, FOLDS = 100, "; --folds 5 tests on all of them"

_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


# Folders -------------------------------------------------------------------------------------------------------------


def entries(folder: Path) -> list[Path]:
    """The entries of a folder, by name, without hidden ones and those that macOS adds to archives.

    Raises:
        PaperzooError: it is not there, is no folder, or may not be read.
    """
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith(".") and p.name != "__MACOSX")
    except NotADirectoryError as error:
        raise PaperzooError(f"{plain(folder)} is a file, not a folder") from error
    except FileNotFoundError as error:
        raise PaperzooError(f"{plain(folder)} is not there") from error
    except OSError as error:
        raise PaperzooError(f"{plain(folder)} cannot be read: {error.strerror}") from error


def folders_of(folder: Path) -> list[Path]:
    """The folders in a folder, and links to such; classes whose names are all numbers sort as numbers."""
    return in_order([p for p in entries(folder) if p.is_dir()])


def in_order(folders: list[Path]) -> list[Path]:
    """Folders by name: as numbers if all are numbers, else as text."""
    if all(_NUMBER.fullmatch(f.name) for f in folders):
        return sorted(folders, key=lambda f: (float(f.name), f.name))
    return sorted(folders)


def split_folders(root: Path) -> dict[str, Path]:
    """The folders that stand for splits; ``{"train": root}`` where there are none, or others beside them.

    Raises:
        PaperzooError: the folder cannot be read, two folders stand for one split, or one holds the very folders that ``train`` does and
            is called otherwise than a split.
    """
    folders = folders_of(root)
    by_split: dict[str, Path] = {}
    for folder in (f for f in folders if f.name.lower() in SPLITS):
        split = SPLITS[folder.name.lower()]
        if split in by_split:
            raise PaperzooError(f"{plain(root)} has both {by_split[split].name} and {folder.name} for its {split} images: keep one")
        by_split[split] = folder
    _same_inside(root, folders, by_split)
    if "train" not in by_split:
        return {"train": root}
    others = [f.name for f in folders if f not in by_split.values()]
    if others and len(by_split) > 1:
        warnings.warn(
            f"{plain(root)} has {some(others)} beside {' and '.join(f.name for f in by_split.values())}: all are taken as classes, none as "
            "a split",
            stacklevel=4,
        )
    return {"train": root} if others else by_split


def _same_inside(root: Path, folders: Sequence[Path], by_split: Mapping[str, Path]) -> None:
    """Raises ``PaperzooError`` for a folder with the same folders in it as that of the training images: as a class it would be wrong."""
    train = by_split.get("train") or next((f for f in folders if "train" in f.name.lower()), None)
    if train is None or not (classes := _names_inside(train)):
        return
    known = by_split.values() if train in by_split.values() else ()  # of train_images, test is a split no more than any other
    for folder in (f for f in folders if f != train and f not in known):
        if _names_inside(folder) == classes:
            raise PaperzooError(
                f"{plain(root)}: {plain(train.name)} and {plain(folder.name)} hold the same folders ({some(sorted(classes))}), as splits do"
                f"; call splits {', '.join(SPLITS)}"
            )


def _names_inside(folder: Path) -> set[str]:
    try:
        return {inner.name for inner in folders_of(folder)}
    except PaperzooError:
        return set()  # what may not be read is said where it is read


def class_name(folder: Path) -> str:
    """A class folder's name.

    Raises:
        PaperzooError: it is not UTF-8, so that it could not be kept or printed as it is.
    """
    try:
        folder.name.encode()
    except UnicodeEncodeError as error:
        raise PaperzooError(f"the name of the class folder {plain(folder)} is not UTF-8: rename it") from error
    return folder.name


def pictures_in(folder: Path, deep: bool, skipped: Skipped, inside: Sequence[Path] = ()) -> list[Path]:
    """The pictures of a folder by name, then those of each folder in it if ``deep``; what is left out goes to ``skipped``.

    A file is a picture if Pillow reads its suffix, or if it has another one, that no format claims, and begins as a picture does.
    Links are followed, but not in a circle. Pipes, devices and sockets are never opened.

    Args:
        inside: folders that this one lies in, to which a link is a circle too.
    """
    return _walk(folder, deep, skipped, tuple(_identity(place.stat()) for place in inside))


def _walk(folder: Path, deep: bool, skipped: Skipped, above: tuple[tuple[int, int], ...]) -> list[Path]:
    files, below = [], []
    try:
        here = folder.stat()
        names = entries(folder)
    except (OSError, PaperzooError):
        skipped["folders that may not be read"].append(folder)
        return []
    above = (*above, _identity(here))
    for path in names:
        try:
            info = path.stat()
        except OSError:
            skipped["links to nothing, or files that may not be read"].append(path)
            continue
        suffix = path.suffix.lower()
        if stat.S_ISDIR(info.st_mode):
            if deep and _identity(info) in above:
                skipped["links to a folder that they lie in"].append(path)
            elif deep:
                below.append(path)
        elif kind_of(info.st_mode):
            skipped["pipes, devices or sockets, which are never opened"].append(path)
        elif suffix in suffixes():
            files.append(path)
        elif suffix in UNREAD:
            skipped["pictures of a kind that is not read here (convert them to PNG)"].append(path)
        elif looks_like_a_picture(path):
            files.append(path)
    for path in below:
        files += _walk(path, deep, skipped, above)
    return files


def _identity(info: os.stat_result) -> tuple[int, int]:
    return info.st_dev, info.st_ino


def complain(root: Path, skipped: Skipped, strict: bool, stacklevel: int = 3, most: int = 3) -> None:
    """Says what was left out, how much of it and the first ``most`` names.

    Raises:
        PaperzooError: something was, and ``strict``.
    """
    parts = [f"{len(files)} {why}: {some([below(f, root) for f in files], most)}" for why, files in skipped.items() if files]
    if not parts:
        return
    message = f"in {plain(root)} there are {'; '.join(parts)}"
    if strict:
        raise PaperzooError(message)
    warnings.warn(f"{message}. They are left out", stacklevel=stacklevel)


def some(names: Sequence[object], most: int = 3) -> str:
    """The first few of these, as text."""
    return ", ".join(plain(name) for name in names[:most]) + (", ..." if len(names) > most else "")


def below(path: Path, root: Path) -> str:
    """A path as seen from a folder."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def some_of_each(items: Iterable[Item], names: Sequence[str], bad: Collection[Path], root: Path, what: str = "image") -> None:
    """Raises ``PaperzooError`` for a class of which no file to train on can be read: it would be a class without an example."""
    there = {label for path, label in items if path not in bad} if bad else set(range(len(names)))
    for label, name in enumerate(names):
        if label not in there:
            fault = f"no {what} of the class {plain(name)} can be used to train on"
            raise PaperzooError(f"{plain(root)}: {fault}; mend its folder or take it away")


# Files of equal content ----------------------------------------------------------------------------------------------


def copies(paths: Iterable[Path]) -> list[list[Path]]:
    """Files of equal content, those of one content together; a folder of frames counts as one, by the content of its files.

    Only files of equal length are read, of those their last 4 KB, and of those that agree in these the whole.
    """
    groups: list[list[Path]] = [list(dict.fromkeys(paths))]
    with ThreadPoolExecutor(min(32, 2 * (os.cpu_count() or 1))) as pool:
        for key in (_length, _tail, _content):
            finer: list[list[Path]] = []
            for group in groups:
                by_key: dict[Hashable, list[Path]] = defaultdict(list)
                for path, value in zip(group, pool.map(key, group), strict=True):
                    if value is not None:
                        by_key[value].append(path)
                finer += [same for same in by_key.values() if len(same) > 1]
            groups = finer
    return groups


def _files_of(path: Path) -> list[Path]:
    return [p for p in entries(path) if p.is_file()] if path.is_dir() else [path]


def _each(path: Path, key: Callable[[Path], Hashable]) -> Hashable:
    try:
        return tuple(key(file) for file in _files_of(path)) or None
    except (OSError, PaperzooError):
        return None


def _length(path: Path) -> Hashable:
    return _each(path, lambda file: file.stat().st_size)


def _tail(path: Path) -> Hashable:
    def last(file: Path) -> bytes:
        with file.open("rb") as opened:
            opened.seek(max(0, file.stat().st_size - 4096))
            return hashlib.blake2b(opened.read(4096), digest_size=16).digest()

    return _each(path, last)


def _content(path: Path) -> Hashable:
    def whole(file: Path) -> bytes:
        digest = hashlib.blake2b(digest_size=20)
        with file.open("rb") as opened:
            while part := opened.read(2**20):
                digest.update(part)
        return digest.digest()

    return _each(path, whole)


def say_copies(files: Mapping[str, Sequence[Item]], groups: Sequence[Sequence[Path]], root: Path, stacklevel: int = 3) -> None:
    """Warns of equal files: under two classes, in two of the user's own splits, or only more than once; each with names."""
    place = {path: (split, label) for split, items in files.items() for path, label in items}
    groups = [sorted((p for p in group if p in place), key=lambda p: (place[p][0] != "train", p)) for group in groups]
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        return
    total = len(place) - sum(len(group) - 1 for group in groups)
    two_classes = [g for g in groups if len({place[p][1] for p in g}) > 1]
    two_splits = [g for g in groups if len({place[p][0] for p in g}) > 1]
    parts = [f"the {len(place)} files of {plain(root)} hold {total} different ones"]
    if two_classes:
        apart = [next(p for p in g if place[p][1] != place[g[0]][1]) for g in two_classes]
        parts.append(f"{len(two_classes)} lie under two classes ({_pairs(two_classes, apart, root)}), so that one of the labels is wrong")
    if two_splits:
        apart = [next(p for p in g if place[p][0] != place[g[0]][0]) for g in two_splits]
        parts.append(
            f"{len(two_splits)} lie in two splits ({_pairs(two_splits, apart, root)}), so that what is tested has been trained on; "
            "the folders are left as they are"
        )
    if not two_classes and not two_splits:
        parts.append(f"copies ({_pairs(groups, [g[1] for g in groups], root)}) are kept in one split")
    warnings.warn("; ".join(parts), stacklevel=stacklevel)


def _pairs(groups: Sequence[Sequence[Path]], others: Sequence[Path], root: Path) -> str:
    return some([f"{below(g[0], root)} and {below(other, root)}" for g, other in zip(groups, others, strict=True)])


# Splits --------------------------------------------------------------------------------------------------------------


def share(path: Path, root: Path) -> float:
    """A number in [0, 1) that a file's path below ``root`` decides."""
    digest = hashlib.sha256(os.fsencode(path.relative_to(root).as_posix())).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def cut(
    files: Mapping[str, list[Item]], root: Path, groups: Collection[Sequence[Path]] = (), what: str = "images"
) -> dict[str, list[Item]]:
    """Cuts the splits that are missing from ``train``: a tenth of each class for ``test``, a tenth for ``validation``.

    The SHA-256 of a file's path below ``root`` says where it belongs: in the first tenth of all numbers to ``test``, in the second
    to ``validation``, else to ``train``. So added files never move those that were there, with two exceptions. Files of equal content
    stay together, where the first of them by name belongs. And where chance gives a class less than 4 % of its files, or more than
    16 %, those nearest to the limit are moved until it is between the two; a class with two files or more has one to test on, with
    three or more one for validation, and always one to train on.

    Args:
        groups: files of equal content.

    Raises:
        PaperzooError: nothing to train on, or so few files of several classes that none can be kept for a split.
    """
    files = {split: items for split, items in files.items() if items}
    if "train" not in files:
        raise PaperzooError(f"{plain(root)}: no {what.removesuffix('s')} to train on can be read")
    missing = [split for split in ("test", "validation") if split not in files]
    if not missing:
        return files
    first = {path: min(group) for group in groups for path in group}
    together: dict[Path, list[Item]] = defaultdict(list)
    for path, label in files["train"]:
        together[first.get(path, path)].append((path, label))
    shares = {id(unit): share(leader, root) for leader, unit in together.items()}
    total = Counter(label for _, label in files["train"])
    taken: dict[str, list[list[Item]]] = {}
    rest = list(together.values())
    for number, split in enumerate(missing, 1):  # shares in [0, 0.1), then [0.1, 0.2)
        rest.sort(key=lambda unit: shares[id(unit)])
        chosen = sum(shares[id(unit)] < 0.1 * number for unit in rest)
        taken[split], rest = _even(rest[:chosen], rest[chosen:], total)
    for split in reversed(missing):  # every split has something, if only of one class
        if not taken[split]:
            taken[split], rest = _something(taken, rest)
    if not all(taken.values()):
        if len(total) == 1:
            return files
        raise PaperzooError(
            f"{plain(root)} has {len(files['train'])} {what} of {len(total)} classes to train on: too few to keep any for "
            f"{' or '.join(missing)}"
        )
    parts = {**taken, "train": rest}
    return {**files, **{split: sorted(item for unit in units for item in unit) for split, units in parts.items()}}


def _even(chosen: list[list[Item]], rest: list[list[Item]], total: Counter[int]) -> tuple[list[list[Item]], list[list[Item]]]:
    """Moves units between a split and what is left, both sorted by share, until each class has between 4 % and 16 % of its files."""
    chosen, rest = list(chosen), list(rest)
    have, left = _count(chosen), _count(rest)
    units = Counter(label for unit in rest for label in {label for _, label in unit})
    for label, count in sorted(total.items()):
        low, high = _least(count), _most(count)
        for unit in reversed(list(chosen)):  # the highest shares first
            inside = _count([unit])
            if have[label] > high and inside[label] and all(have[k] - n >= _least(total[k]) for k, n in inside.items()):
                chosen.remove(unit)
                rest.insert(0, unit)
                have, left = have - inside, left + inside
                units.update(inside.keys())
        for unit in sorted(rest, key=lambda unit: len(unit) > high):  # the lowest shares first, large groups of copies last
            inside = _count([unit])
            few = have[label] < low and inside[label]
            if few and all(units[k] > 1 and left[k] > n for k, n in inside.items()) and _fits(have, inside, total):
                rest.remove(unit)
                chosen.append(unit)
                have, left = have + inside, left - inside
                units.subtract(inside.keys())
    # a class that chance has taken whole keeps one to train on
    for label in total:
        whole = [] if left[label] else [unit for unit in chosen if any(k == label for _, k in unit)][-1:]
        for unit in whole:
            chosen.remove(unit)
            rest.insert(0, unit)
            left += _count([unit])
    return chosen, rest


def _least(count: int) -> int:
    return max(1, math.ceil(count * 4 / 100))


def _most(count: int) -> int:
    return max(1, count * 16 // 100)


def _fits(have: Counter[int], inside: Counter[int], total: Counter[int]) -> bool:
    """Whether a split with ``have`` items of each class may take a unit without exceeding any class's quota, but by its first item."""
    return all(not have[k] or have[k] + n <= _most(total[k]) for k, n in inside.items())


def _something(
    taken: Mapping[str, list[list[Item]]], rest: list[list[Item]]
) -> tuple[list[list[Item]], list[list[Item]]]:
    """One unit for a split that has none: of a class that keeps others to train on, or the last of a split with several."""
    units = Counter(label for unit in rest for label in {label for _, label in unit})
    for unit in rest:
        if all(units[label] > 1 for _, label in unit):
            return [unit], [u for u in rest if u is not unit]
    for other in taken.values():
        if len(other) > 1:
            return [other.pop()], rest
    return [], rest


def _count(units: Iterable[Sequence[Item]]) -> Counter[int]:
    return Counter(label for unit in units for _, label in unit)


def say_few(files: Mapping[str, Sequence[Item]], names: Sequence[str], root: Path, stacklevel: int = 3) -> None:
    """Warns of classes that a split lacks, and of those with fewer than ``FEW`` test items."""
    if not names:
        return
    total = _count(files.values())
    for split, items in files.items():
        if lacking := [names[k] for k in range(len(names)) if total[k] > 1 and k not in {label for _, label in items}]:
            warnings.warn(f"{split} of {plain(root)} has nothing of {some(lacking)}", stacklevel=stacklevel)
    counts = Counter(label for _, label in files.get("test", ()))
    few = sorted((k for k in range(len(names)) if counts[k] < FEW), key=lambda k: counts[k])
    if "test" in files and few:
        more = FOLDS if sum(total.values()) < FEW_IMAGES else ""
        warnings.warn(
            f"test of {plain(root)} has fewer than {FEW} items of {len(few)} of its {len(names)} classes "
            f"({some([f'{names[k]}: {counts[k]}' for k in few])}): its error is a rough figure{more}",
            stacklevel=stacklevel,
        )
