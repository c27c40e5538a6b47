"""Models that somebody put on a hub: fetched by its own library into its own cache, and read as any weights file, without running code."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from paperzoo.errors import PaperzooError
from paperzoo.terminal import plain

#: how their names begin
PREFIX = "hf:"


def fetched(name: str) -> Path:
    """The folder of ``hf:owner/name@revision``, in the hub library's own cache.

    Raises:
        PaperzooError: the name is none, the library is not installed, or it cannot be fetched.
    """
    place, _, revision = name.removeprefix(PREFIX).partition("@")
    if place.count("/") != 1 or not all(place.split("/")):
        raise PaperzooError(f"{plain(name)} names no model of a hub: write hf:owner/name@revision")
    if find_spec("huggingface_hub") is None:
        raise PaperzooError("models of a hub need huggingface_hub: pip install huggingface_hub")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(place, revision=revision or None, allow_patterns=["config.json", "model.safetensors"]))
    except Exception as error:  # the library's own kinds, and those of what it stands on
        said = next(iter(str(error).splitlines()), type(error).__name__)
        raise PaperzooError(f"{plain(name)} cannot be fetched: {plain(said)[:300]}") from error
