"""The generator of the alignment paper: the recurrent network by its equations, the picture at the first step alone, learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from fixtures.captioners import LITTLE, WORDS, learnt, pictures
from fixtures.seam import Ledger
from torch import Tensor

import paperzoo
from paperzoo.data import Batch
from paperzoo.data.captions.plain import plain_scenes
from paperzoo.engine.players import optimizers
from paperzoo.errors import PaperzooError
from paperzoo.papers.vision_language import alignment_generator
from paperzoo.papers.vision_language.alignment_generator import Decoder, Model


def model_of(seed: int = 0, **changes: Any) -> Model:
    torch.manual_seed(seed)
    return Model(**{**LITTLE, "embedding": 6, "hidden": 7, "annotation": 8, **changes}).eval()


def test_decoder_is_what_its_equations_say() -> None:
    """Eqs. 13 to 15 in NumPy, of one caption at a time."""
    decoder = model_of(begin="default").decoder
    features, words = torch.randn(2, 32), torch.tensor([[[1, 4, 9], [1, 7, 7]], [[1, 8, 4], [1, 5, 6]]])
    told = decoder(features, words)
    d = {name: tensor.detach().double().numpy() for name, tensor in decoder.state_dict().items()}
    for n, k in np.ndindex(2, 2):
        h = np.zeros(7)
        for t, word in enumerate(words[n, k].tolist()):
            b_v = d["w_hi.weight"] @ features[n].double().numpy()
            h = d["w_hx.weight"] @ d["x.weight"][word] + d["w_hh.weight"] @ h + d["w_hx.bias"] + (t == 0) * b_v
            h = np.maximum(h, 0)
            logits = d["w_oh.weight"] @ h + d["w_oh.bias"]
            assert np.allclose(told.logits[n, k, t].detach().numpy(), logits, atol=1e-5)
        assert np.allclose(told.state[0][n, k].detach().numpy(), h, atol=1e-5)


def test_picture_is_seen_at_the_first_step_alone() -> None:
    """Behind a state no other picture makes a difference, and the rest goes on as if it had been read at once."""
    model = model_of()
    one, other = (model.see(2 * pictures(1, seed)) for seed in (0, 1))
    words = torch.tensor([[[1, 4, 5, 6]]])
    whole, begun = model.say(one, words).logits, model.say(one, words[:, :, :2])
    rest = model.say(one, words[:, :, 2:], begun.state).logits
    assert torch.equal(rest, model.say(other, words[:, :, 2:], begun.state).logits)
    assert torch.allclose(rest, whole[:, :, 2:], atol=1e-5)
    assert not torch.allclose(whole[:, :, 0], model.say(other, words).logits[:, :, 0], atol=1e-4)


def test_identity_keeps_the_picture() -> None:
    """At first: of units that words leave alone what the picture made of them is there at every step."""
    decoder = Decoder(11, 3, 4, 5, 0.0, "identity")
    with torch.no_grad():
        decoder.w_hx.weight.zero_()
        decoder.w_hx.bias.zero_()
    features = torch.randn(2, 3)
    told = decoder(features, torch.full((2, 1, 9), 4))
    assert torch.allclose(told.state[0][:, 0], decoder.w_hi(features).relu())


def test_step_is_the_likelihood_of_captions() -> None:
    """The sum of -log p over a caption's words, the mean over captions; a row without words is none, padding costs nothing."""
    model, image = model_of(), pictures(2)
    captions, ledger = torch.tensor([[[1, 4, 5, 2, 0], [1, 6, 2, 0, 0]], [[1, 7, 8, 2, 0], [0, 0, 0, 0, 0]]]), Told()
    logged = model.step(Batch(image=image, captions=captions), ledger)  # type: ignore[arg-type]
    logits, wanted = model.say(model.see(image), captions[:, :, :-1]).logits, []
    for n, k, words in ((0, 0, 3), (0, 1, 2), (1, 0, 3)):
        logs = logits[n, k].log_softmax(1)
        wanted.append(-sum(logs[t, captions[n, k, t + 1]] for t in range(words)))
    assert torch.allclose(ledger.loss, torch.stack(wanted).mean()) and ledger.count == 3  # type: ignore[arg-type]
    assert torch.allclose(logged["nats a word"], torch.stack(wanted).sum() / 8)  # type: ignore[arg-type]


class Told:
    """Keeps the loss and its count, and moves nothing."""

    loss, count = torch.zeros(()), 0

    @property
    def captioner(self) -> Told:
        return self

    def minimize(self, loss: Any) -> None:
        self.loss, self.count = loss[0], int(loss[1])


def test_every_parameter_is_reached() -> None:
    model = model_of()
    words = torch.tensor([[[1, 4, 5]]]).expand(2, 1, 3)
    ledger = Ledger(model, ("captioner",))
    ledger.take("captioner", model.say(model.see(pictures(2)), words).logits.square().sum())
    assert ledger.reached["captioner"].keys() == dict(model.named_parameters()).keys()


def test_dropout_acts_in_training_alone() -> None:
    model, words = model_of(dropout=0.5), torch.tensor([[[1, 4, 5]]])
    seen = model.see(pictures(1))
    assert torch.equal(model.say(seen, words).logits, model.say(seen, words).logits)
    model.decoder.train()
    assert not torch.allclose(model.say(seen, words).logits, model.say(seen, words).logits)
    model.decoder.dropout.p = 1.0
    assert torch.allclose(model.say(seen, words).logits, model.decoder.w_oh.bias.expand(1, 1, 3, -1))


@pytest.mark.processor
def test_learns_to_tell_what_it_sees_and_does_not_from_other_pictures(request: pytest.FixtureRequest) -> None:
    """Two shapes on one colour: captions fit their pictures better than others'."""
    seed = request.config.getoption("--seed")
    data, gaps = plain_scenes(counts=(800, 80, 1, 1)), []
    sizes = {"embedding": 48, "hidden": 96, "annotation": 48, "captions": 1, "beam": 1, "begin": "identity"}
    for steps, shuffled in ((200, False), (60, True)):
        torch.manual_seed(seed)
        model = Model(**{**LITTLE, **sizes, **{k: data.schema.arguments[k] for k in ("vocabulary", "longest", "image_size")}})
        found = learnt(model, data, steps, 64, 2e-3, seed, shuffled).measure(data, "validation")
        gaps.append(found["BLEU-4"] - found["BLEU-4 with shuffled pictures"])
    assert gaps[0] > 5 and abs(gaps[1]) < 5, gaps


def test_sizes_of_the_paper() -> None:
    with torch.device("meta"):
        model, decoder = Model(), Decoder(2542, 4096, 300, 512, 0.5, "default")
    assert (model.beam, model.alpha, model.image_size) == (7, 0.0, 224)
    count = 4096 * 512 + 2542 * 300 + 301 * 512 + 512 * 512 + 513 * 2542
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in decoder.parameters()) == count


def test_optimisers() -> None:
    model = model_of()
    rms = optimizers(model, {})["captioner"]
    assert isinstance(rms, torch.optim.RMSprop) and rms.param_groups[0]["lr"] == 1e-3
    adam, schedule = optimizers(model, {"name": "Adam", "lr": 2e-3, "warmup": 10, "fall": True})["captioner"]  # type: ignore[misc]
    assert isinstance(adam, torch.optim.Adam) and schedule(0, 100) == pytest.approx(0.1) and schedule(9, 100) == 1.0


def test_frozen_encoder_sees_the_whole_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Tensor] = []

    def features(image: Tensor) -> Tensor:
        asked.append(image)
        return image.flatten(1)[:, :4096]

    monkeypatch.setattr(alignment_generator, "fc7", lambda weights: features if weights == "imagenet" else None)
    model, image = Model(vocabulary=WORDS, hidden=8, embedding=8), torch.rand(2, 3, 224, 224)
    assert model.see(image)[0].shape == (2, 4096)
    assert torch.allclose(asked[0], image, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"channels": 1}, "encoder vgg19 sees pictures of 3 channels, not of 1"),
        ({"begin": "zero"}, r"unknown model\.begin 'zero'"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PaperzooError, match=said):
        paperzoo.create("alignment_generator", **{"vocabulary": WORDS, **changes})
