"""Show and Tell: the LSTM by its equations, the picture seen once, the loss by its definition, learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fixtures.captioners import LITTLE, WORDS, Fixed, captioner, learnt, pictures
from torch import nn

import paperzoo
from paperzoo.data import Batch
from paperzoo.data.captions.plain import plain_scenes
from paperzoo.engine.players import optimizers
from paperzoo.errors import PaperzooError
from paperzoo.papers.vision_language import encoders
from paperzoo.papers.vision_language.show_and_tell import Decoder, Model, Pool


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def model_of(**changes: Any) -> Model:
    model = captioner("told", **changes)
    assert isinstance(model, Model)
    return model


def test_decoder_is_what_its_equations_say() -> None:
    """Eqs. 4 to 12 in NumPy, of one caption at a time."""
    decoder = model_of(sure=2.0).decoder
    features, words = torch.randn(2, 32), torch.tensor([[[1, 4, 9], [1, 7, 7]], [[1, 8, 4], [1, 5, 6]]])
    told = decoder(features, words)
    d = {name: tensor.detach().double().numpy() for name, tensor in decoder.state_dict().items()}

    def cell(x: np.ndarray, m: np.ndarray, c: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        i, f, o, g = np.split(d["from_input.weight"] @ x + d["from_input.bias"] + d["from_memory.weight"] @ m, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * c, c

    for n, k in np.ndindex(2, 2):
        m, c = cell(d["picture.weight"] @ features[n].double().numpy() + d["picture.bias"], np.zeros(7), np.zeros(7))  # t = -1
        for t, word in enumerate(words[n, k].tolist()):
            m, c = cell(d["w_e.weight"][word], m, c)
            logits = d["output.weight"] @ m + d["output.bias"]
            assert np.allclose(told.logits[n, k, t].detach().numpy(), logits, atol=1e-4)
        assert np.allclose(told.state[0][n, k].detach().numpy(), m, atol=1e-5)
        assert np.allclose(told.state[1][n, k].detach().numpy(), c, atol=1e-5)


def test_picture_is_seen_once() -> None:
    """Behind a state no other picture makes a difference; at the beginning it does, for every later word."""
    model = model_of()
    one, other = model.see(pictures(1)), model.see(pictures(1, seed=1))
    words = torch.tensor([[[1, 4, 5, 6]]])
    begun = model.say(one, words[:, :, :2])
    assert torch.equal(model.say(one, words[:, :, 2:], begun.state).logits, model.say(other, words[:, :, 2:], begun.state).logits)
    apart = (model.say(one, words).logits - model.say(other, words).logits).abs().amax(3)
    assert apart.min() > 1e-6


def test_step_is_equation_13() -> None:
    """The sum of -log p over a caption's words, the mean over captions; a row without words is none, padding costs nothing."""
    model, image, opt = model_of(), pictures(2), Fixed()
    captions = torch.tensor([[[1, 4, 5, 2, 0], [1, 6, 2, 0, 0]], [[1, 7, 8, 2, 0], [0, 0, 0, 0, 0]]])
    logged = model.step(Batch(image=image, captions=captions), opt)  # type: ignore[arg-type]
    logits, wanted = model.say(model.see(image), captions[:, :, :-1]).logits, []
    for n, k, words in ((0, 0, 3), (0, 1, 2), (1, 0, 3)):
        logs = logits[n, k].log_softmax(1)
        wanted.append(-sum(logs[t, captions[n, k, t + 1]] for t in range(words)))
    loss, count = opt.losses[0]
    assert torch.allclose(loss, torch.stack(wanted).mean()) and int(count) == 3  # type: ignore[arg-type]
    assert torch.allclose(logged["nats a word"], torch.stack(wanted).sum() / 8)  # type: ignore[arg-type]


def test_dropout_acts_on_what_is_read_and_answered_in_training_alone() -> None:
    model, words = model_of(dropout=0.5), torch.tensor([[[1, 4, 5]]])
    seen = model.see(pictures(1))
    assert torch.equal(model.say(seen, words).logits, model.say(seen, words).logits)
    model.train()
    assert not torch.allclose(model.say(seen, words).logits, model.say(seen, words).logits)
    with torch.no_grad():
        model.decoder.dropout.p = 1.0
    assert torch.allclose(model.decoder(seen[0], words).logits, model.decoder.output.bias.expand(1, 1, 3, -1))


@pytest.mark.processor
def test_learns_to_tell_what_it_sees_and_does_not_from_other_pictures(request: pytest.FixtureRequest) -> None:
    """Two shapes on one colour: captions fit their pictures better than others'."""
    seed = request.config.getoption("--seed")
    data, gaps = plain_scenes(counts=(800, 80, 1, 1)), []
    sizes = {"embedding": 48, "hidden": 96, "annotation": 48, "captions": 1, "beam": 1}
    for steps, shuffled in ((160, False), (60, True)):
        torch.manual_seed(seed)
        model = Model(**{**LITTLE, **sizes, **{k: data.schema.arguments[k] for k in ("vocabulary", "longest", "image_size")}})
        found = learnt(model, data, steps, 64, 4e-3, seed, shuffled).measure(data, "validation")
        gaps.append(found["BLEU-4"] - found["BLEU-4 with shuffled pictures"])
    assert gaps[0] > 5 and abs(gaps[1]) < 5, gaps


def test_parameters_layer_by_layer() -> None:
    with torch.device("meta"):
        decoder = Decoder(2542, 1024, 512, 512, 0.3)
    lstm = 4 * 512 * (512 + 512 + 1)
    assert sum(p.numel() for p in decoder.parameters()) == 1025 * 512 + 2542 * 512 + lstm + 513 * 2542


def test_frozen_encoder_gives_1024_features_and_is_no_part_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr(encoders, "load_published", lambda network, weights, places, **kinds: asked.append((weights, [*places], kinds)))
    encoders.frozen_features.cache_clear()
    try:
        model = Model(vocabulary=WORDS, hidden=8, embedding=8).train()
        image = torch.rand(2, 3, 224, 224)
        (features,) = model.see(image)
        assert features.shape == (2, 1024) and not features.requires_grad
        assert asked == [("imagenet", ["imagenet"], {"spare": ("aux1.", "aux2.")})]
        assert not any(name.startswith("encoder") for name in model.state_dict())
        assert torch.allclose(model.see(image[:1])[0], features[:1], atol=1e-5)  # its batch normalisation does not train
    finally:
        encoders.frozen_features.cache_clear()


def test_pooling_keeps_what_lies_where() -> None:
    torch.manual_seed(0)
    encoder = Pool(3, 8, 16).eval()
    left = torch.zeros(1, 3, 64, 64)
    left[..., 20:40, 4:24] = 1
    one, other = encoder(left), encoder(left.flip(3))
    assert one.shape == (1, 16) and not torch.allclose(one, other, atol=1e-3)


def test_optimisers() -> None:
    model = model_of()
    made = optimizers(model, {})["captioner"]
    assert isinstance(made, torch.optim.SGD)
    assert (made.param_groups[0]["lr"], made.param_groups[0]["momentum"], made.param_groups[0]["weight_decay"]) == (0.1, 0, 0)
    made, schedule = optimizers(model, {"name": "Adam", "lr": 2e-3, "warmup": 10, "fall": True})["captioner"]  # type: ignore[misc]
    assert isinstance(made, torch.optim.Adam) and schedule(0, 100) == pytest.approx(0.1) and schedule(9, 100) == 1.0


def test_sizes_of_the_paper() -> None:
    with torch.device("meta"):
        model = Model()
    decoder = model.decoder
    assert (model.beam, model.alpha, model.image_size) == (20, 0.0, 224)
    assert isinstance(decoder.w_e, nn.Embedding) and decoder.w_e.weight.shape == (2542, 512) and decoder.hidden == 512


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": 1}, "encoder googlenet sees pictures of 3 channels, not of 1"),
        ({"image_size": 16}, "encoder googlenet sees pictures of at least 31 pixels, not of 16"),
        ({"encoder": "vgg19"}, "unknown model.encoder 'vgg19'"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PaperzooError, match=said):
        paperzoo.create("show_and_tell", **{"vocabulary": WORDS, **changes})
