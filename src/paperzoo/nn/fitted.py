"""Classifiers that are fitted in one step by scikit-learn and kept as tensors, so that they are saved like any network.

Each has ``fit(x, label, seed)`` for features (N, D) and classes int64 (N), and gives scores (N, K), the largest at the
likeliest class. Features are standardised by the mean and deviation of those it was fitted on.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor, nn

from paperzoo.errors import PaperzooError, unknown

#: what ``Linear`` can be: Fisher's discriminant, logistic regression, a linear support vector machine
LINEAR = ("lda", "logistic", "svm")

#: the bias of a class without an example
NEVER = -1e6


class Fitted(nn.Module):
    """A module whose parameters are fitted as a whole, without gradients."""

    def keep(self, **tensors: Tensor) -> None:
        """Registers them by name."""
        for name, tensor in tensors.items():
            self.register_parameter(name, nn.Parameter(tensor, requires_grad=False))

    def fit(self, x: Tensor, label: Tensor, seed: int) -> None:
        """Learns from features (N, D) and classes int64 (N); chance comes from ``seed`` alone."""
        raise TypeError(f"{type(self).__name__} does not say how it is fitted")


class Standardised(Fitted):
    """Keeps the mean and the deviation of each feature; a feature that never changes has deviation 1."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, dimensions: int) -> None:
        super().__init__()
        self.keep(mean=torch.zeros(dimensions), deviation=torch.ones(dimensions))

    def learn(self, x: Tensor) -> np.ndarray:
        """Takes mean and deviation from features (N, D), and returns these standardised, float32."""
        self.mean.copy_(x.mean(0))
        spread = x.std(0, correction=0)
        self.deviation.copy_(torch.where(spread > 1e-6 * spread.max(), spread, 1.0))
        return self.standard(x).cpu().numpy()

    def standard(self, x: Tensor) -> Tensor:
        """Features (N, D), standardised."""
        return (x - self.mean) / self.deviation


class Linear(Standardised):
    """Scores ``w_k . x + b_k``; those of ``lda`` and ``logistic`` are log-probabilities up to a constant.

    Args:
        kind: one of ``LINEAR``. ``lda`` sees the first 200 principal components, its covariance shrunk as Ledoit and Wolf do;
            ``svm`` is one class against the rest.
        cost: what a misclassification costs beside the weights' squared length (``C``); ``lda`` has none.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, kind: str, dimensions: int, classes: int, cost: float = 0.01) -> None:
        super().__init__(dimensions)
        if kind not in LINEAR:
            raise unknown("linear classifier", kind, LINEAR)
        self.kind, self.cost = kind, cost
        self.keep(weight=torch.zeros(classes, dimensions), bias=torch.zeros(classes))

    def fit(self, x: Tensor, label: Tensor, seed: int) -> None:
        """From features (N, D) and classes (N), of which there must be at least two."""
        z, y = self.learn(x), label.cpu().numpy()
        weight, bias, classes = getattr(self, f"_{self.kind}")(z, y, seed)
        if len(bias) == 1:  # two classes share one line, whose other side is the first class
            weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        self.weight.zero_()
        self.bias.fill_(NEVER)
        self.weight[classes] = torch.from_numpy(weight).to(self.weight)
        self.bias[classes] = torch.from_numpy(bias).to(self.bias)

    def _svm(self, z: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from sklearn.svm import LinearSVC

        return _solved(LinearSVC(C=self.cost, dual=len(z) < z.shape[1], random_state=seed), z, y)

    def _logistic(self, z: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from sklearn.linear_model import LogisticRegression

        return _solved(LogisticRegression(C=self.cost, max_iter=200), z, y)

    def _lda(self, z: np.ndarray, y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from sklearn.decomposition import PCA
        from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

        # as many features as examples would leave the covariance within classes without an inverse
        pca = PCA(min(200, len(z) - 1, z.shape[1]), svd_solver="randomized", random_state=seed).fit(z)
        weight, bias, classes = _solved(LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"), pca.transform(z), y)
        weight = weight @ pca.components_  # (K, components) to (K, D)
        return weight, bias - weight @ pca.mean_, classes

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, K) of features (N, D)."""
        return self.standard(x) @ self.weight.T + self.bias


def _solved(solver: object, z: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weights (K, D), biases (K) and the classes (K) that a scikit-learn classifier finds."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # separable data: the last digits of the weights do not matter
        solver.fit(z, y)  # type: ignore[attr-defined]
    return solver.coef_, solver.intercept_, solver.classes_  # type: ignore[attr-defined]


class Kernel(Standardised):
    """A support vector machine with a Gaussian kernel, one class against the rest:

    ``sum_i dual[i, k] exp(-gamma |x - support[i]|^2) + b_k``, with gamma = 1 / D of standardised features, and otherwise one over
    the mean squared distance between those it was fitted on.

    Args:
        room: support vectors there is room for; the least number of images that will do is that fitted on.
        cost: as in ``Linear``.
        standardise: whether each feature is standardised; otherwise all are as they come.
    """

    support: Tensor
    dual: Tensor
    bias: Tensor

    def __init__(self, dimensions: int, classes: int, room: int, cost: float = 10.0, standardise: bool = True) -> None:
        super().__init__(dimensions)
        self.cost, self.standardise = cost, standardise
        self.keep(support=torch.zeros(room, dimensions), dual=torch.zeros(room, classes), bias=torch.zeros(classes))

    def fit(self, x: Tensor, label: Tensor, seed: int) -> None:
        """From features (N, D) and classes (N).

        Raises:
            PaperzooError: N is larger than ``room``.
        """
        from sklearn.svm import SVC

        _check_room(len(x), len(self.support))
        if self.standardise:
            self.learn(x)
        else:  # one unit for all features, in which the mean squared distance, twice the total variance, is D
            self.deviation.fill_(float((2 * x.var(0, correction=0).sum() / x.shape[1]).clamp(min=1e-12).sqrt()))
        z = self.standard(x)
        similar, y = self._similar(z, z).double().cpu().numpy(), label.cpu().numpy()  # (N, N)
        self.support.zero_()[: len(z)] = z
        self.dual.zero_()
        self.bias.fill_(NEVER)
        for k in np.unique(y):
            machine = SVC(C=self.cost, kernel="precomputed").fit(similar, y == k)
            self.dual[torch.from_numpy(machine.support_).long(), k] = torch.from_numpy(machine.dual_coef_[0]).to(self.dual)
            self.bias[k] = float(machine.intercept_[0])

    def _similar(self, z: Tensor, other: Tensor) -> Tensor:
        return torch.exp(-torch.cdist(z, other).square() / z.shape[1])

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, K) of features (N, D)."""
        return self._similar(self.standard(x), self.support) @ self.dual + self.bias


class Forest(Fitted):
    """A random forest: the mean over trees of the shares of classes in the leaf that an example falls into.

    Args:
        room: examples there is room for: a tree that tells n apart has fewer than 2n nodes.
    """

    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    share: Tensor
    depth: Tensor

    def __init__(self, classes: int, room: int, trees: int = 100) -> None:
        super().__init__()
        self.trees, self.room = trees, room
        self.keep(threshold=torch.zeros(trees, 2 * room), share=torch.zeros(trees, 2 * room, classes))
        for name in ("feature", "left", "right"):
            self.register_buffer(name, torch.zeros(trees, 2 * room, dtype=torch.int32))
        self.register_buffer("depth", torch.zeros((), dtype=torch.int32))

    def fit(self, x: Tensor, label: Tensor, seed: int) -> None:
        """From features (N, D) and classes (N).

        Raises:
            PaperzooError: N is larger than ``room``.
        """
        from sklearn.ensemble import RandomForestClassifier

        _check_room(len(x), self.room)
        forest = RandomForestClassifier(self.trees, random_state=seed).fit(x.cpu().numpy(), label.cpu().numpy())
        self.share.zero_()
        classes = torch.from_numpy(forest.classes_).long()
        for t, tree in enumerate(estimator.tree_ for estimator in forest.estimators_):
            n, leaf = tree.node_count, tree.children_left < 0
            here = np.arange(n)
            self.left[t, :n] = torch.from_numpy(np.where(leaf, here, tree.children_left)).to(self.left)
            self.right[t, :n] = torch.from_numpy(np.where(leaf, here, tree.children_right)).to(self.right)
            self.feature[t, :n] = torch.from_numpy(np.where(leaf, 0, tree.feature)).to(self.feature)
            self.threshold[t, :n] = torch.from_numpy(rounded_down(tree.threshold)).to(self.threshold)
            self.share[t][:n, classes] = torch.from_numpy(tree.value[:, 0]).to(self.share)
        self.depth.fill_(max(estimator.get_depth() for estimator in forest.estimators_))

    def forward(self, x: Tensor) -> Tensor:
        """Shares of the votes (N, K), which add up to 1, of features (N, D)."""
        leaf = descend(x, self.feature, self.threshold, self.left, self.right, int(self.depth))
        return self.share[torch.arange(self.trees, device=x.device), leaf].mean(1)  # (N, trees, K) to (N, K)


def descend(x: Tensor, feature: Tensor, threshold: Tensor, left: Tensor, right: Tensor, depth: int) -> Tensor:
    """The leaf int64 (N, trees) that each of N feature vectors (N, D) falls into, in trees of M nodes.

    Args:
        feature, threshold, left, right: (trees, M). Node n asks whether ``x[feature[n]] <= threshold[n]`` and goes to ``left[n]`` or
            ``right[n]``; a leaf goes to itself.
        depth: of the deepest tree.
    """
    tree = torch.arange(len(feature), device=x.device)
    node = torch.zeros(len(x), len(feature), dtype=torch.int64, device=x.device)  # every tree's root
    for _ in range(depth):
        low = x.gather(1, feature[tree, node].long()) <= threshold[tree, node]
        node = torch.where(low, left[tree, node], right[tree, node]).long()
    return node


def rounded_down(threshold: np.ndarray) -> np.ndarray:
    """float64 to float32 so that ``x <= threshold`` is the same for every x that is a float32."""
    near = threshold.astype(np.float32)
    return np.where(near > threshold, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)


def _check_room(items: int, room: int) -> None:
    if items > room:
        raise PaperzooError(f"{items} images to fit on, and room for {room}: set model.room={items}")
