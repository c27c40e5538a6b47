"""Who made this? A classifier's opinions of patches, their vote, and the vote's calibration.

x (N, P, D) are features of P patches of each of N works, ``author`` int64 (N) says who made them, of K authors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from paperzoo.metrics.calibration import reliability
from paperzoo.nn.fitted import Linear

#: of a reliability diagram
BINS = 10


def cut(image: Tensor, side: int, across: int, margin: int = 0) -> Tensor:
    """``across`` times ``across`` patches of each image (N, C, H, W), evenly spaced: (N * across^2, C, side, side)."""
    rows, columns = (np.linspace(margin, n - margin - side, across).round().astype(int) for n in image.shape[2:])
    patches = [image[:, :, a : a + side, b : b + side] for a in rows for b in columns]
    return torch.stack(patches, 1).flatten(0, 1)


def ask(x: Tensor, author: Tensor, known: Tensor, asked: Tensor) -> Tensor:
    """Opinions of the works ``asked``, log-probabilities (M, P, K), by a logistic regression on the patches of those ``known``.

    Authors are weighted as if all had equally many known works. Otherwise an author whose works are left out would become less likely
    by that alone, and features without information would make every answer wrong.

    Args:
        author: for works that are not known any number below K.
        known, asked: int64, numbers of works.
    """
    judge = Linear("logistic", x.shape[2], int(author.max()) + 1)
    judge.fit(x[known].flatten(0, 1), author[known].repeat_interleave(x.shape[1]), seed=0)
    share = torch.bincount(author[known], minlength=len(judge.bias)).clamp(min=1)
    opinion: Tensor = judge(x[asked]).double() - share.double().log()
    return opinion.log_softmax(2)


def left_out(x: Tensor, author: Tensor, group: Tensor, known: Tensor) -> Tensor:
    """Opinions (M, P, K) of the works ``known`` (M), each by a classifier fitted to all of these but those of its group.

    Args:
        group: int64 (N), such as the subject.

    Raises:
        ValueError: all of them are one group.
    """
    groups = group[known]
    if bool((groups == groups[0]).all()):
        raise ValueError("works of one group cannot be judged by others")
    opinion = torch.empty(len(known), x.shape[1], int(author.max()) + 1, dtype=torch.float64)
    for held_out in torch.unique(groups):
        opinion[groups == held_out] = ask(x, author, known[groups != held_out], known[groups == held_out])
    return opinion


def vote(opinion: Tensor, how: str = "mean") -> Tensor:
    """Log-probabilities (M, K) of works from those of their patches (M, P, K).

    ``mean``: their mean, normalised. ``majority``: a patch has one vote, and each author 1 / K of one besides, so that none is
    impossible.
    """
    if how == "mean":
        return opinion.mean(1).log_softmax(1)
    votes = F.one_hot(opinion.argmax(2), opinion.shape[2]).sum(1).double()  # (M, K)
    return ((votes + 1 / votes.shape[1]) / (opinion.shape[1] + 1)).log()


def log_odds(log_probability: Tensor) -> np.ndarray:
    """log(p / (1 - p)) of log p, cut off at -30 and 30."""
    logs = log_probability.double().clamp(-30, -1e-14)
    odds: np.ndarray = (logs - torch.log(-torch.expm1(logs))).numpy()
    return odds.clip(-30, 30)


def calibrated(score: np.ndarray, right: np.ndarray, asked: np.ndarray) -> dict[str, np.ndarray]:
    """Probabilities (M) of log-odds ``asked`` (M): ``raw``, and calibrated on other log-odds (N), right or not (N).

    ``Platt``: a logistic function of the score, fitted to targets drawn together as if there were one more of either kind (Platt
    1999, section 2.2). ``isotonic``: the function that rises and has the least squared error (Zadrozny and Elkan 2002).
    """
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

    right = np.asarray(right, bool)
    target = np.where(right, (right.sum() + 1) / (right.sum() + 2), 1 / ((~right).sum() + 2))
    both, kind = np.concatenate([score, score])[:, None], np.repeat([1, 0], len(score))
    # the slope, a: a^2 / 200 is added to the loss, or scores that differ by rounding alone would be taken for a difference
    platt = LogisticRegression(C=100).fit(both, kind, np.concatenate([target, 1 - target]))
    isotonic = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(score, right)
    return {
        "raw": 1 / (1 + np.exp(-asked)),
        "Platt": platt.predict_proba(asked[:, None])[:, 1],
        "isotonic": isotonic.predict(asked),
    }


def examine(x: Tensor, author: Tensor, group: Tensor, known: Tensor, disputed: Tensor) -> dict[str, Any]:
    """The errors that leaving out groups of the known works predicts, and the errors on the disputed ones, in percent.

    ``believed``: error of the images left out. ``patch``, ``majority``, ``mean``: errors of the disputed by one patch, by both votes.
    ``Brier`` and ``bins`` (count, mean probability, share that is true) by calibration, of "k drew this" for every k.
    """
    heard, opinion = left_out(x, author, group, known), ask(x, author, known, disputed)
    answers = {"patch": opinion.argmax(2), **{how: vote(opinion, how).argmax(1)[:, None] for how in ("majority", "mean")}}
    measured: dict[str, Any] = {"believed": 100 * float((vote(heard).argmax(1) != author[known]).double().mean())}
    measured |= {name: 100 * float((answer != author[disputed][:, None]).double().mean()) for name, answer in answers.items()}
    classes = torch.arange(opinion.shape[2])
    was, true = ((author[items][:, None] == classes).numpy().ravel() for items in (known, disputed))  # (M * K)
    worth = calibrated(log_odds(vote(heard)).ravel(), was, log_odds(vote(opinion)).ravel())
    measured["Brier"] = {name: 100 * float(np.square(p - true).mean()) for name, p in worth.items()}
    bins = {name: reliability(p.clip(0, 1), true, BINS) for name, p in worth.items()}
    measured["bins"] = {name: np.nan_to_num([b.count, b.confidence, b.accuracy]).tolist() for name, b in bins.items()}
    return measured


def chances(x: Tensor, author: Tensor) -> np.ndarray:
    """The probability (N) of each work that it is genuine, by Platt's calibration; of a known work from the other known works alone.

    Args:
        author: int64 (N), 1 genuine, 0 not, -1 unknown.

    Raises:
        ValueError: fewer than two are genuine, or not.
    """
    if min(int((author == 1).sum()), int((author == 0).sum())) < 2:
        raise ValueError("at least two works must be genuine and two not, for each is judged by the others")
    known, unknown = (torch.nonzero(chosen)[:, 0] for chosen in (author >= 0, author < 0))
    heard = log_odds(vote(left_out(x, author, torch.arange(len(author)), known))[:, 1])
    right = (author[known] == 1).numpy()
    probability = np.empty(len(author))
    for i, item in enumerate(known.tolist()):  # the calibration, too, is fitted to the other works alone
        rest = np.arange(len(known)) != i
        probability[item] = calibrated(heard[rest], right[rest], heard[i : i + 1])["Platt"][0]
    if len(unknown):
        probability[unknown.numpy()] = calibrated(heard, right, log_odds(vote(ask(x, author, known, unknown))[:, 1]))["Platt"]
    return probability
