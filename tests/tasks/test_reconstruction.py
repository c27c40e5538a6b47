"""The task of autoencoders, and the metrics that it stands on: PCA, principal angles, neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from fixtures.training import pictures
from PIL import Image
from torch import Tensor, nn

from paperzoo import PaperzooError
from paperzoo.metrics.neighbour_error import neighbour_error
from paperzoo.metrics.pca import principal_components, subspace_angle
from paperzoo.tasks.reconstruction import Autoencoder, PointAutoencoder, check_range, normal_grid


class Halves(Autoencoder):
    """Keeps the left half of 4x4 images and answers with it, the rest black."""

    channels, image_size = 1, 4

    def __init__(self, code: int = 8) -> None:
        super().__init__()
        self.size, self.scale = code, nn.Parameter(torch.ones(()))

    def encode(self, image: Tensor) -> Tensor:
        return check_range(image)[:, 0, :, :2].flatten(1)[:, : self.size] * self.scale

    def decode(self, code: Tensor) -> Tensor:
        left = torch.cat([code, code.new_zeros(len(code), 8 - self.size)], 1).view(-1, 1, 4, 2)
        return torch.cat([left, torch.zeros_like(left)], 3)


def test_components_agree_with_scikit_learn_exactly_and_by_iteration(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.decomposition import PCA

    torch.manual_seed(0)
    x = torch.randn(300, 12) @ torch.randn(12, 60) + 0.05 * torch.randn(300, 60) + 3
    theirs = PCA(8, svd_solver="full").fit(x.numpy())
    for limit in (1024, 10):  # the second makes it iterate
        monkeypatch.setattr("paperzoo.metrics.pca._EXACT", limit)
        ours = principal_components(x, 8)
        assert torch.allclose(ours.axes @ ours.axes.T, torch.eye(8), atol=1e-4)
        assert np.allclose(np.abs((ours.axes.numpy() * theirs.components_).sum(1)), 1, atol=1e-3)  # each axis, up to its sign
        assert torch.allclose(ours.decode(ours.encode(x)), torch.from_numpy(theirs.inverse_transform(theirs.transform(x.numpy()))),
                              atol=5e-3)  # fmt: skip


def test_components_of_constant_of_few_and_of_single_rows() -> None:
    for limit in (1, 30):  # 30 dimensions: by iteration above, exactly below
        x = torch.full((20, 30), 0.7)
        assert torch.allclose(principal_components(x, 5).decode(principal_components(x, 5).encode(x)), x)
        some = torch.rand(limit + 1, 30)
        found = principal_components(some, 50)  # no more than there are
        assert found.axes.shape == (min(limit, 30), 30)
        assert torch.allclose(found.decode(found.encode(some)), some, atol=1e-5)
    one = principal_components(torch.rand(1, 30), 3)
    assert one.axes.shape == (0, 30) and one.encode(torch.rand(4, 30)).shape == (4, 0)
    with pytest.raises(ValueError, match="at least one component"):
        principal_components(torch.rand(5, 3), 0)


def test_the_largest_principal_angle_agrees_with_scipy_and_sees_no_basis() -> None:
    from scipy.linalg import subspace_angles

    torch.manual_seed(1)
    a, b = torch.randn(3, 10), torch.randn(3, 10)
    assert subspace_angle(a, b) == pytest.approx(np.rad2deg(subspace_angles(a.T.numpy(), b.T.numpy()).max()), rel=1e-5)
    assert subspace_angle(a, torch.randn(3, 3) @ a) < 1e-4
    assert subspace_angle(torch.eye(4)[:2], torch.eye(4)[2:]) == pytest.approx(90)
    small = torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 1e-5]])
    assert subspace_angle(*small) == pytest.approx(np.rad2deg(1e-5), rel=1e-3)  # an arc cosine would say 0


def test_neighbour_error_leaves_the_item_itself_out() -> None:
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 2)), rng.integers(0, 3, 200)
    x[y == 1] += 1.5
    wrong = [KNeighborsClassifier(1).fit(np.delete(x, i, 0), np.delete(y, i)).predict(x[i : i + 1])[0] != y[i] for i in range(200)]
    assert neighbour_error(torch.from_numpy(x), torch.from_numpy(y)) == pytest.approx(100 * np.mean(wrong))
    with pytest.raises(ValueError, match="N above 1"):
        neighbour_error(torch.zeros(1, 2), torch.zeros(1))


def test_squared_error_is_a_sum_over_pixels_and_a_mean_over_images() -> None:
    torch.manual_seed(0)
    data, model = pictures(torch.randint(0, 256, (700, 1, 4, 4), dtype=torch.uint8), test=600), Halves()
    found = model.measure(data, "test")
    images = data["test"].batch(range(600)).image
    assert found["squared error"] == pytest.approx(float(images[..., 2:].square().sum() / 600), rel=1e-5)
    pca = principal_components(data["train"].batch(range(100)).image.flatten(1), 8)
    flat = images.flatten(1)
    by_pca = float((flat - pca.decode(pca.encode(flat))).square().sum() / 600)
    assert found["pca squared error"] == pytest.approx(by_pca, rel=1e-4)
    assert found["squared error % of pca's"] == pytest.approx(100 * found["squared error"] / by_pca, rel=1e-4)
    assert torch.equal(model.features(images), model.encode(images))
    model.train()
    assert model.reconstruct(images).shape == images.shape and model.training  # its mode is as it was
    assert not model.reconstruct(images).requires_grad


@pytest.mark.parametrize("items", [1, 12])
@pytest.mark.parametrize("code", [2, 8])
def test_constant_images_and_a_single_one_are_measured_and_shown(items: int, code: int, tmp_path: Path) -> None:
    for labelled in (True, False):
        data, model = pictures(torch.full((items, 1, 4, 4), 128, dtype=torch.uint8), test=min(items, 4), labelled=labelled), Halves(code)
        found = model.measure(data, "test")
        assert found["pca squared error"] == pytest.approx(0, abs=1e-8) and "squared error % of pca's" not in found
        assert found["squared error"] == pytest.approx((16 - code) * (128 / 255) ** 2, rel=1e-5)
        names = {path.name for path in model.show(data, "test", tmp_path, "final")}
        assert names == {"final-reconstructions.png"} | ({"final-map.png"} if code == 2 else set())
        assert all((tmp_path / name).stat().st_size < 150_000 for name in names)


def test_predict_takes_what_users_have_and_refuses_values_out_of_range(tmp_path: Path) -> None:
    model, pixels = Halves(), np.arange(16, dtype=np.uint8).reshape(4, 4)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for given in (tmp_path / "a.png", pixels, pixels / 255.0):
        found = model.predict(given)
        assert found.image.shape == (1, 4, 4) and len(found.code) == 8
        assert found.squared_error == pytest.approx(float(((pixels[:, 2:] / 255) ** 2).sum()), rel=1e-4)
    assert str(found).startswith(f"squared error {found.squared_error:.4g}; code of 8: 0, ")
    assert [one.squared_error for one in model.predict([pixels, pixels])] == pytest.approx([found.squared_error] * 2)
    with pytest.raises(PaperzooError, match=r"must lie in 0..255"):
        model.predict(pixels / 1.0)
    for wrong in (torch.full((1, 1, 4, 4), 1.5), torch.full((1, 1, 4, 4), -0.1), torch.full((1, 1, 4, 4), torch.nan)):
        for ask in (model.encode, model.reconstruct, model.features):
            with pytest.raises(PaperzooError, match=r"must lie in \[0, 1\]"):
                ask(wrong)
    with pytest.raises(PaperzooError, match=r"images are \(N, C, H, W\)"):
        model.encode(torch.zeros(4, 4))


def test_points_are_asked_for_by_their_number_of_coordinates() -> None:
    class Flat(PointAutoencoder):
        dimensions = 3

        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def encode(self, image: Tensor) -> Tensor:
            return self.scale * image[:, :2]

        def decode(self, code: Tensor) -> Tensor:
            return torch.cat([code, code.new_zeros(len(code), 1)], 1)

    assert Flat().predict([5, -6, 7]).squared_error == 49
    assert [one.squared_error for one in Flat().predict(np.eye(3))] == [0, 0, 1]
    for wrong in ([1, 2], [1, 2, np.nan], "abc", [[1, 2], [3]]):
        with pytest.raises(PaperzooError, match="a point is 3"):
            Flat().predict(wrong)


def test_the_grid_of_codes_cuts_the_normal_distribution_into_equal_parts() -> None:
    from scipy.stats import norm

    grid = normal_grid(20).view(20, 20, 2)
    assert np.allclose(norm.cdf(grid[0, :, 0]), (np.arange(20) + 0.5) / 20, atol=1e-5)  # left to right
    assert np.allclose(norm.cdf(grid[:, 0, 1]), 1 - (np.arange(20) + 0.5) / 20, atol=1e-5)  # from the top down
