"""A third party's pickles, read without running anything of theirs: plain values, plain containers, arrays of plain numbers.

A pickle is a program for a small machine. Here each instruction that makes or changes an object is either left out or asks for
exactly the types that it is meant for; NumPy's arrays are put together from parts that were looked at, for NumPy itself believes
what a pickle says of its types and reads memory by it.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np

from paperzoo.errors import PaperzooError

#: truth values, numbers and strings by NumPy's short names; neither objects nor types that are made of others
_PLAIN = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c(8|16)|[SU]\d{1,6})")
_LEFT_OUT = ("INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER",
             "READONLY_BUFFER")  # fmt: skip


def restricted_unpickle(data: bytes, what: str = "the pickle") -> Any:
    """The content of a pickle of NumPy arrays and plain values in plain containers; strings of Python 2 are latin-1.

    Args:
        what: how the error names the data.

    Raises:
        PaperzooError: damaged, or it asks for anything else, such as a function to call or an array of objects.
    """
    try:
        return Restricted(data).load()
    except pickle.UnpicklingError as error:
        raise PaperzooError(f"{what} is no pickle of plain arrays ({error}): refused") from error
    except Exception as error:  # damaged pickles raise nearly anything
        raise PaperzooError(f"{what} is damaged: {type(error).__name__}: {error}") from error


class _Kind:
    """The stand-in for a NumPy dtype while a pickle is read; ``None`` for objects."""

    def __init__(self, kind: np.dtype[Any] | None) -> None:
        self.kind = kind


_Machine: Any = pickle._Unpickler  # in Python, so that each instruction can be replaced


class Restricted(_Machine):  # type: ignore[misc]
    """The machine. ``objects`` allows arrays of plain Python values, such as strings."""

    objects = False
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(_Machine.dispatch)

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data), encoding="latin1")
        self._empty: list[np.ndarray] = []  # arrays that have not been filled yet

    def known(self) -> Mapping[str, Any]:
        """The names that a pickle may refer to."""
        cores = ("numpy.core.multiarray", "numpy._core.multiarray")
        return {
            "numpy.ndarray": "numpy.ndarray",
            "numpy.dtype": self._dtype,
            "_codecs.encode": _encode,
            **{f"{core}._reconstruct": self._reconstruct for core in cores},
            **{f"{core}.scalar": self._scalar for core in cores},
            **{f"{module}.{kind.__name__}": kind for module in ("builtins", "__builtin__") for kind in (bool, int, float, complex, str)},
            **{f"{module}.{name}": make for module in ("builtins", "__builtin__") for name, make in _CONTAINERS.items()},
        }

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for ``module.name``."""
        known = self.known()
        if f"{module}.{name}" in known:
            return known[f"{module}.{name}"]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def _dtype(self, name: Any, *_: Any) -> _Kind:
        text = name.decode("latin-1") if isinstance(name, bytes) else name
        if self.objects and text in ("O", "O8", "|O"):
            return _Kind(None)
        if not isinstance(text, str) or not _PLAIN.fullmatch(text):
            raise pickle.UnpicklingError(f"it asks for arrays of {text!r:.40}")
        return _Kind(np.dtype(text))

    def _reconstruct(self, kind: Any, shape: Any, _: Any) -> np.ndarray:
        if kind != "numpy.ndarray" or shape != (0,):
            raise pickle.UnpicklingError(f"it asks for an array of shape {shape!r:.40}")
        self._empty.append(np.zeros(0, np.uint8))
        return self._empty[-1]

    def _scalar(self, kind: Any, data: Any = b"") -> Any:
        return self._values(kind, (1,), data)[0] if not isinstance(data, list) else self._refuse("it asks for an object")

    def _values(self, kind: Any, shape: Any, data: Any) -> np.ndarray:
        """An array of this kind and shape, if ``data`` are as many values as that makes."""
        sizes = isinstance(shape, tuple) and len(shape) <= 32 and all(type(n) is int and 0 <= n < 2**40 for n in shape)
        if not isinstance(kind, _Kind) or not sizes or math.prod(max(n, 1) for n in shape) >= 2**48:
            raise pickle.UnpicklingError(f"it asks for an array of shape {shape!r:.40}")
        count = math.prod(shape)
        if kind.kind is None:
            if type(data) is not list or len(data) != count:
                raise pickle.UnpicklingError("it has an array of objects that are not there")
            flat = np.empty(count, object)
            for place, value in enumerate(data):
                flat[place] = value
            return flat.reshape(shape)
        raw = data.encode("latin-1") if isinstance(data, str) else data
        if not isinstance(raw, bytes) or len(raw) != count * kind.kind.itemsize:
            raise pickle.UnpicklingError(f"it has an array of {count} x {kind.kind} that are not there")
        array = np.frombuffer(raw, kind.kind) if kind.kind.itemsize else np.zeros(count, kind.kind)
        if kind.kind.kind == "b" and count and np.frombuffer(raw, np.uint8).max() > 1:
            raise pickle.UnpicklingError("it has truth values that are neither true nor false")
        if kind.kind.kind == "U" and len(raw) and np.frombuffer(raw, kind.kind.byteorder.replace("|", "=") + "u4").max() > 0x10FFFF:
            raise pickle.UnpicklingError("it has letters that there are not")
        return array.reshape(shape)

    def build(self, thing: Any, state: Any) -> None:
        """Gives ``thing`` its state: the byte order of a type, or the values of an array."""
        if isinstance(thing, _Kind):
            # version, byte order, parts of a subarray, names and fields of a record: the last three are for types made of others
            if type(state) is not tuple or len(state) < 5 or state[1] not in ("<", ">", "=", "|") or state[2:5] != (None,) * 3:
                raise pickle.UnpicklingError("it asks for arrays of records")
            if thing.kind is not None and state[1] in "<>":
                thing.kind = thing.kind.newbyteorder(state[1])
        elif type(thing) is np.ndarray:
            at = next((i for i, one in enumerate(self._empty) if one is thing), None)
            if at is None or type(state) is not tuple or len(state) != 5:
                raise pickle.UnpicklingError("it fills an array twice, or with what is none")
            _, shape, kind, columns_first, data = state
            values = self._values(kind, shape, data)
            if columns_first:
                values = values.reshape(-1).reshape(shape, order="F")
            del self._empty[at]
            raw = values.ravel("A").tolist() if values.dtype == object else values.tobytes("A")
            state = (1, shape, values.dtype, bool(columns_first), raw)
            thing.__setstate__(state)
        else:
            raise pickle.UnpicklingError(f"it changes a {type(thing).__name__}")

    def _refuse(self, why: str) -> Any:
        raise pickle.UnpicklingError(why)

    def _top(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise pickle.UnpicklingError(f"it puts something into a {type(self.stack[-1]).__name__}")
        return self.stack[-1]

    def load_build(self) -> None:
        state = self.stack.pop()
        self.build(self.stack[-1], state)

    def load_append(self) -> None:
        value = self.stack.pop()
        self._top(list).append(value)

    def load_appends(self) -> None:
        values = self.pop_mark()
        self._top(list).extend(values)

    def load_setitem(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._top(dict)[key] = value

    def load_setitems(self) -> None:
        items = self.pop_mark()
        self._top(dict).update(zip(items[::2], items[1::2], strict=True))

    def load_additems(self) -> None:
        items = self.pop_mark()
        self._top(set).update(items)

    def load_bytearray8(self) -> None:
        size = int.from_bytes(self.read(8), "little")
        data = self.read(min(size, 2**40))
        if len(data) != size:
            raise pickle.UnpicklingError("it has bytes that are not there")
        self.stack.append(bytearray(data))

    for _name in ("BUILD", "BYTEARRAY8", "APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS"):
        dispatch[getattr(pickle, _name)[0]] = locals()[f"load_{_name.lower()}"]
    for _name in _LEFT_OUT:
        dispatch[getattr(pickle, _name)[0]] = partial(lambda name, self: self._refuse(f"it asks for {name}"), _name)


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    """The encoding by which Python 3 pickles bytes for Python 2."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding!r:.40}")
    return text.encode("latin-1")


def _of(make: Callable[..., Any], *kinds: type) -> Callable[..., Any]:
    """``make``, of nothing or of one thing of these kinds, so that it takes no more room than the pickle."""

    def made(*arguments: Any) -> Any:
        if len(arguments) > 1 or not all(type(one) in kinds for one in arguments):
            raise pickle.UnpicklingError(f"it asks for {make.__name__} of {', '.join(type(one).__name__ for one in arguments)}")
        return make(*arguments)

    return made


_CONTAINERS: dict[str, Callable[..., Any]] = {
    **{kind.__name__: _of(kind, list, tuple, set, frozenset) for kind in (list, tuple, set, frozenset)},
    "dict": _of(dict, dict),
    "bytes": _of(bytes, bytes),
    "bytearray": lambda text=b"", encoding="latin-1": bytearray(text if isinstance(text, bytes) else _encode(text, encoding)),
    "slice": slice,
    "range": range,
}
