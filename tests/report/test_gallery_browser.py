"""The gallery in a headless browser: every room is opened and used, and answers as PyTorch does. ``make gallery`` runs this."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import paperzoo
from paperzoo.data.bicubic import enlarge
from paperzoo.data.images.centred import SIDE, centred
from paperzoo.engine.export import halved
from paperzoo.metrics.restoration import rgb, ycbcr
from paperzoo.report import gallery

GALLERY = Path(os.environ.get("PAPERZOO_GALLERY", ""))
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
if not (GALLERY / "rooms.json").is_file() or not CHROMIUM or not DRIVER:
    pytest.skip("`make gallery` builds one and looks at it; needs chromium and chromedriver", allow_module_level=True)
webdriver = pytest.importorskip("selenium.webdriver")
ROOMS = json.loads((GALLERY / "rooms.json").read_text())["rooms"]
#: papers whose rooms are of a kind that no model that ships may have
TRAINED = ("stargan", "wavegan", "transformer")


class Browser:
    """A headless browser that looks at a gallery's folder."""

    def __init__(self, folder: Path) -> None:
        self.serving = gallery.server(folder)
        Thread(target=self.serving.serve_forever, daemon=True).start()
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
            options.add_argument(argument)
        options.binary_location = CHROMIUM
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        self.driver.set_script_timeout(120)

    def close(self) -> None:
        self.driver.quit()
        self.serving.shutdown()
        self.serving.server_close()

    def open(self, room: str) -> float:
        """Opens a room afresh; how many seconds it took to be usable."""
        start = time.perf_counter()
        self.driver.get("about:blank")
        self.driver.get(f"http://127.0.0.1:{self.serving.server_port}/#{room}")
        for _ in range(600):
            if self.state(room) in ("ready", "failed"):
                break
            time.sleep(0.05)
        return time.perf_counter() - start

    def state(self, room: str) -> str:
        script = "const at = document.getElementById('room'); return at.dataset.room === arguments[0] ? at.dataset.state : ''"
        return str(self.driver.execute_script(script, room))

    def text(self) -> str:
        return str(self.driver.execute_script("return document.getElementById('room').innerText"))

    def compute(self, room: str, given: dict[str, Any]) -> Any:
        """What a room computes of an input; typed arrays as lists."""
        script = (
            "const [room, given, done] = arguments; window.paperzoo.compute(room, JSON.parse(given)).then((answer) => done(JSON.stringify("
            "answer, (key, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value))), (error) => done(`failed: ${error}`))"
        )
        answer = self.driver.execute_async_script(script, room, json.dumps(given))
        assert not answer.startswith("failed"), answer
        return json.loads(answer)

    def errors(self) -> list[str]:
        return [line["message"] for line in self.driver.get_log("browser") if line["level"] in ("SEVERE", "WARNING")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    one = Browser(GALLERY)
    yield one
    one.close()


def picture(room: dict[str, Any], size: int) -> torch.Tensor:
    """The first example, or where there is none a picture of blurred noise, float32 (1, 3, size, size)."""
    if room["examples"]:
        image = Image.open(GALLERY / room["examples"][0]).convert("RGB")
        image = image.crop((0, 0, size, size)) if min(image.size) >= size else image.resize((size, size))
        return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    noise = torch.rand(1, 3, size // 8 + 1, size // 8 + 1, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(noise, (size, size), mode="bicubic").clamp(0, 1)


def near(answer: Any, expected: torch.Tensor) -> None:
    np.testing.assert_allclose(np.array(answer, np.float64), expected.double().flatten().numpy(), atol=1e-3)


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room["id"])
def test_a_room_opens_and_answers_as_pytorch_does(room: dict[str, Any], browser: Browser) -> None:
    browser.open(room["id"])
    assert browser.state(room["id"]) == "ready", browser.text()
    for _ in range(60):  # the first example may still be on its way
        if "ms here" in browser.text():
            break
        time.sleep(0.05)
    assert room["name"] and "ms here" in browser.text() and f"{room['kilobytes']} kB" in browser.text()
    assert not browser.errors()
    model, facts = halved(paperzoo.load(room["name"])), room["facts"]
    with torch.no_grad():
        CHECKS[room["kind"]](model, room, facts, lambda given: browser.compute(room["id"], given))
    assert not browser.errors()


def digit(model: Any, room: Any, facts: Any, compute: Any) -> None:
    ink = np.zeros((40, 30))
    ink[5:35, 8:12], ink[20:24, 8:25] = 1, 0.8
    low = (facts["size"] - SIDE) // 2
    image = torch.zeros(1, 1, facts["size"], facts["size"])
    image[..., low : low + SIDE, low : low + SIDE] = torch.from_numpy(centred(ink))
    told = compute({"ink": ink.ravel().tolist(), "height": 40, "width": 30})
    near(told["image"], image)
    near(told["probabilities"], model(image).softmax(1))
    assert [layer["dims"][1] for layer in told["layers"]] and len(told["layers"]) == len(facts["layers"])


def latent(model: Any, room: Any, facts: Any, compute: Any) -> None:
    for label in range(min(2, max(1, len(facts["names"])))):
        z = model.latents(1, 5)
        told = compute({"z": z[0].tolist(), "label": label})
        expected = model.render(z, torch.tensor([label])) if facts["names"] else model.render(z)
        assert told["dims"] == list(expected.shape)
        near(told["pixels"], expected)


def volume(model: Any, room: Any, facts: Any, compute: Any) -> None:
    z = model.latents(1, 5)
    near(compute({"z": z[0].tolist()})["voxels"], model.render(z))


def enlarged(model: Any, room: Any, facts: Any, compute: Any) -> None:
    image, scale = picture(room, facts["part"]), facts["scales"][0]
    told = compute({"pixels": image.flatten().tolist()})
    planes = ycbcr(image)
    expected = rgb(torch.cat([model.restore(planes[:, :1], scale), enlarge(planes[:, 1:], scale)], 1)) if facts["channels"] == 1 else None
    near(told["kernel"], enlarge(image, scale))
    near(told["network"], model.restore(image, scale) if expected is None else expected)


def caption(model: Any, room: Any, facts: Any, compute: Any) -> None:
    image = picture(room, facts["size"])
    told, (expected,) = compute({"pixels": image.flatten().tolist()}), model.captions(image, beam=1, alpha=0.0)
    assert (tuple(told["words"]), told["score"]) == (expected.words, pytest.approx(expected.score, abs=1e-3))
    near(np.array(told["attention"]).ravel(), expected.attention)


def question(model: Any, room: Any, facts: Any, compute: Any) -> None:
    image, text = picture(room, facts["size"]), "Does the image contain a yellow circle, qwertz?"
    told, expected = compute({"pixels": image.flatten().tolist(), "text": text}), model.predict(image[0], text)
    near(told["probabilities"], torch.tensor(expected.probabilities))
    assert told["unknown"] == [word for word, _ in expected.unknown] and "qwertz" in told["unknown"]
    assert compute({"pixels": image.flatten().tolist(), "text": "qwertz"})["probabilities"] == []


def writing(model: Any, room: Any, facts: Any, compute: Any) -> None:
    prompt = "To be, or" if facts["unit"] == "character" else "to be or"
    told = compute({"prompt": prompt, "length": 12, "temperature": 0})
    tokens = torch.tensor([[facts["first"], *model.encode(prompt)]])
    near(told["scores"], model.read(tokens, None)[0][0, -1])
    assert [told["text"]] == model.sample(1, prompt=prompt, length=12, temperature=0.0)


def text(model: Any, room: Any, facts: Any, compute: Any) -> None:
    image = picture(room, facts["size"])
    told, (expected,) = compute({"pixels": image.flatten().tolist()})["texts"], model.found(image)
    assert len(told) == len(expected.quads) and (len(told) > 0 or not room["examples"])
    for mine, quad, score in zip(told, expected.quads, expected.scores, strict=True):
        np.testing.assert_allclose(mine["quad"], quad, atol=0.05)  # pixels, of means over some hundred votes
        assert mine["score"] == pytest.approx(score, abs=1e-3)


def translated(model: Any, room: Any, facts: Any, compute: Any) -> None:
    image = picture(room, facts["size"])
    for domain, graph in gallery.room_of(model).graphs.items():  # type: ignore[union-attr]
        near(compute({"pixels": image.flatten().tolist(), "to": domain})["pixels"], graph.call(image))


def changed(model: Any, room: Any, facts: Any, compute: Any) -> None:
    image = picture(room, facts["size"])
    seen = model.seen(image)
    told = compute({"pixels": image.flatten().tolist()})
    assert told["seen"] == seen[0].tolist()
    near(told["pixels"], model.edit(image, seen))
    other = 1 - seen
    near(compute({"pixels": image.flatten().tolist(), "wanted": other[0].tolist()})["pixels"], model.edit(image, other))


def sound(model: Any, room: Any, facts: Any, compute: Any) -> None:
    z = model.latents(1, 5)
    told = compute({"z": z[0].tolist()})
    assert told["dims"] == [1, model.channels, facts["length"]]
    near(told["sound"], model.generate(z).clamp(-1, 1))


def sentence(model: Any, room: Any, facts: Any, compute: Any) -> None:
    for text in ("a b c d", "é 日本 don't"):
        told, source = compute({"text": text}), torch.from_numpy(model.numbers([text])[0])[None]
        (tokens,), (score,) = model.translate(source, beam=1)
        assert (told["tokens"], told["text"]) == (tokens, model.bpe.decode([tokens])[0])
        penalty = ((5 + len(tokens) + 1) / 6) ** model.alpha
        assert told["score"] / penalty == pytest.approx(score, abs=1e-3)


CHECKS = {
    "digit": digit, "latent": latent, "volume": volume, "enlarge": enlarged, "caption": caption, "question": question, "write": writing,
    "text": text, "translate": translated, "attributes": changed, "sound": sound, "sentence": sentence,
}  # fmt: skip


@pytest.mark.parametrize("name", TRAINED)
def test_a_run_has_a_room_too(name: str, tmp_path: Path) -> None:
    run = paperzoo.train(name, recipe="smoke", out=tmp_path / "run")
    out = tmp_path / "gallery"
    gallery.build(out, [str(run.directory)], runtime=False)
    (out / "runtime").symlink_to((GALLERY / "runtime").resolve())
    (room,) = json.loads((out / "rooms.json").read_text())["rooms"]
    one = Browser(out)
    try:
        one.open(room["id"])
        assert one.state(room["id"]) == "ready" and not one.errors(), one.text()
        with torch.no_grad():
            CHECKS[room["kind"]](halved(run.model), {**room, "examples": []}, room["facts"], lambda given: one.compute(room["id"], given))
        assert not one.errors()
        folder = Path(os.environ.get("PAPERZOO_SCREENS", ""))
        if folder.name:
            one.driver.save_screenshot(str(folder / f"{name}.png"))
    finally:
        one.close()


def test_the_first_room_is_usable_soon_and_fits_a_phone(browser: Browser) -> None:
    assert browser.open(ROOMS[0]["id"]) < 3
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        for room in ROOMS:
            browser.open(room["id"])
            script = "return [window.innerWidth, document.documentElement.scrollWidth]"
            assert browser.driver.execute_script(script) == [390, 390], room["id"]
    finally:
        browser.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_a_walk_goes_by_keyboard(browser: Browser) -> None:
    room = next((one for one in ROOMS if one["kind"] == "latent"), None)
    if room is None:
        pytest.skip("no generator has a room")
    browser.open(room["id"])
    shown = "return document.querySelectorAll('#room canvas')[1].toDataURL()"
    before = browser.driver.execute_script(shown)
    browser.driver.find_element("css selector", "#room canvas").send_keys(*["\ue014"] * 6)  # arrow to the right
    time.sleep(1)
    assert browser.driver.execute_script(shown) != before


def test_what_cannot_be_opened_is_one_sentence(tmp_path: Path) -> None:
    shutil.copytree(GALLERY, tmp_path / "copy")
    first, second, *_ = ROOMS
    path = tmp_path / "copy" / next(iter(first["graphs"].values()))["file"]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    (tmp_path / "copy" / next(iter(second["graphs"].values()))["file"]).unlink()
    broken = Browser(tmp_path / "copy")
    try:
        sentences = {first["id"]: "is not the file that this page was made with", second["id"]: "is not there", "nobody": "no room"}
        for room, said in sentences.items():
            broken.open(room)
            assert said in broken.text() and broken.text().count("\n") == 0, broken.text()
    finally:
        broken.close()
