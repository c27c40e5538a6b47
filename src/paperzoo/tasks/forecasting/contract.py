"""The interface of a forecaster, and helpers for its steps: scales, intervals, forecasts from every origin of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from paperzoo.data import Batch, Dataset
from paperzoo.data.options import options, with_options
from paperzoo.data.series.patterns import described
from paperzoo.data.series.series import OPTIONS, TRANSFORMS, Windows, read_series
from paperzoo.errors import PaperzooError, unknown
from paperzoo.files import path_of
from paperzoo.metrics import baselines
from paperzoo.metrics.coverage import conformal, followed
from paperzoo.metrics.forecasts import best_lag, errors, repeats
from paperzoo.tasks.forecasting.forecast import Forecast
from paperzoo.tasks.forecasting.measure import LEVEL
from paperzoo.tasks.forecasting.pattern import Pattern
from paperzoo.tasks.forecasting.task import Forecasting
from paperzoo.tasks.model import Model, Players, noted
from paperzoo.tasks.task import Task


class Walk(NamedTuple):
    """Forecasts from every origin of a split, none of which has seen anything from its origin on; all float64 (N, H, K)."""

    windows: Windows
    actual: np.ndarray
    mask: np.ndarray  # (N, H)
    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


class Forecaster(Model):
    """Forecasts K of D columns, H steps ahead, from the last T. Subclasses define ``forward``, and call ``calibrate`` in ``step``.

    Properties of the data (columns, scale, season, ...) are filled in from its schema. Intervals are split conformal, on
    the scale that the network sees: their half-width, one for each step ahead, is such that it held 90 % of the errors on windows
    that were never trained on, the validation stretch. Without such windows there are no intervals: they are infinite. In
    walk-forward evaluation the errors already known renew them; ``predict`` cannot know which of a user's rows it was trained on.

    Args:
        columns, targets: names of what is seen, and of those among them that are forecast.
        history, horizon: steps looked back on, at most as many as the data's windows have; steps forecast, likewise.
        statistics: transform -> mean and deviation of each column in the training split, see ``paperzoo.data.series.series.statistics``.
        transform: of the targets, before they are scaled: ``"none"``, ``"sqrt"``, ``"log"`` (of 1 + x).
        held: windows that intervals are calibrated on.
        step, season, place: see ``paperzoo.data.series.series.windows``.
        removed: level, trend and season of the targets, taken out before the network sees a window, see
            ``paperzoo.data.series.patterns``; its transform takes the place of ``transform``.

    Raises:
        PaperzooError: an unknown name, a value out of range, or a transform that the training split does not allow.
    """

    tasks: ClassVar[tuple[Task, ...]] = (Forecasting(),)
    location: Tensor
    spread: Tensor
    change: Tensor
    scores: Tensor
    scored: Tensor

    def __init__(
        self, columns: Sequence[str], targets: Sequence[str], history: int, horizon: int,
        statistics: Mapping[str, Sequence[Sequence[float] | None]], transform: str, held: int, step: Sequence[Any], season: int,
        place: Sequence[str], removed: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        transform = removed["transform"] if removed else transform
        if transform not in TRANSFORMS:
            raise unknown("transform", transform, TRANSFORMS)
        if history < 2 or horizon < 1:
            raise PaperzooError(f"history must be at least 2 and horizon at least 1, not {history} and {horizon}")
        self.columns, self.targets, self.place = tuple(columns), tuple(targets), tuple(place)
        self.window, self.horizon, self.transform, self.season = history, horizon, transform, season
        self.step_size, self.step_unit = int(step[0]), str(step[1])
        self.at = [self.columns.index(t) for t in self.targets]  # where the targets are among the columns
        scales = [statistics[transform if c in targets else "none"][i] for i, c in enumerate(columns)] if statistics else None
        if scales and None in scales:
            wrong = columns[scales.index(None)]
            raise PaperzooError(f"{wrong} has values in the training split that have no {transform}: set model.transform=none")
        known = [scale or (0.0, 1.0, 1.0) for scale in scales or [None] * len(columns)]
        for name, numbers in zip(("location", "spread", "change"), zip(*known, strict=True), strict=True):
            self.register_buffer(name, torch.tensor(numbers))  # (D): mean; deviation; that of a step's change, in units of it
        self.register_buffer("scores", torch.zeros(held, horizon, len(targets)))
        self.register_buffer("scored", torch.zeros(held, horizon, dtype=torch.bool))
        self.pattern = Pattern(removed, history, horizon, held, len(targets)) if removed else None

    # What the network sees -------------------------------------------------------------------------------------------

    def scaled(self, history: Tensor) -> Tensor:
        """The last T steps of raw (N, T', D), targets transformed, all columns standardised: (N, T, D).

        Raises:
            PaperzooError: fewer steps than the model looks back on, or other columns.
        """
        if history.shape[1] < self.window or history.shape[2] != len(self.columns):
            raise PaperzooError(
                f"{self.name or 'the model'} looks back on {self.window} steps of {', '.join(self.columns)}, "
                f"not on {history.shape[1]} of {history.shape[2]} columns: set model.history"
            )
        recent = history[:, -self.window :].clone()
        straight = self._straight(recent[..., self.at])
        if self.pattern is None:
            recent[..., self.at] = straight
        scaled = (recent - self.location) / self.spread
        if self.pattern is not None:
            scaled[..., self.at] = self.pattern.rest(straight)
        return scaled

    def wanted(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The network's targets, (N, H, K) on its own scale; and the mask of those that count, (N, H)."""
        if batch.target.shape[1] < self.horizon:
            raise PaperzooError(f"the data's windows reach {batch.target.shape[1]} steps ahead: set model.horizon, now {self.horizon}")
        straight, mask = self._straight(batch.target[:, : self.horizon]), batch.mask[:, : self.horizon]
        if self.pattern is not None:
            return (straight - self._expected(batch.history)) / self.pattern.deviation, mask
        return (straight - self.location[self.at]) / self.spread[self.at], mask

    def raw(self, z: Tensor, history: Tensor | None = None) -> Tensor:
        """From the network's scale (..., K) to raw units; where a pattern is taken out, (N, H, K) after raw histories (N, T', D)."""
        if self.pattern is not None and history is not None:
            z = z * self.pattern.deviation + self._expected(history)
        else:
            z = z * self.spread[self.at] + self.location[self.at]
        return z if self.transform == "none" else z.clamp(min=0) ** 2 if self.transform == "sqrt" else torch.expm1(z)

    def _expected(self, history: Tensor) -> Tensor:
        """The pattern's forecast alone after raw histories (N, T', D): (N, H, K), transformed."""
        assert self.pattern is not None
        return self.pattern(self._straight(history[:, -self.window :, self.at]))  # type: ignore[no-any-return]

    def answer(self, history: Tensor) -> Tensor:
        """The network's output, (N, H, K); where a pattern is taken out, scaled by ``pattern.trust``."""
        z: Tensor = self(history)
        return z if self.pattern is None else z * self.pattern.trust

    def _straight(self, x: Tensor) -> Tensor:
        """A value below what the training split has is taken for the least that the transform is defined for."""
        if self.transform == "none":
            return x
        return x.clamp(min=0).sqrt() if self.transform == "sqrt" else torch.log1p(x.clamp(min=-0.999))

    def calibrate(self, batch: Batch, opt: Players) -> None:
        """Notes how far off the forecasts of the held-out windows of all processes' batches are; the newest note of each counts."""
        chosen = batch.held >= 0
        with torch.no_grad():
            z, mask = self.wanted(batch)
            z, counted = z[chosen], mask[chosen].to(z)[..., None]
            said = self(batch.history[chosen]) if chosen.any() else torch.zeros_like(z)
            value = torch.cat([said * counted, z * counted, counted], 2)  # (M, H, 2 K + 1)
            rows, value = noted(opt, len(self.scores), batch.held[chosen], value)
            said, came = value[..., :-1].chunk(2, 2)  # (M, H, K) each
            self.scored[rows] = value[..., -1] > 0
            if self.pattern is None:
                self.scores[rows] = (said - came).abs()
            else:
                self.scores.copy_(self.pattern.note(rows, said, came))

    def half_width(self) -> Tensor:
        """Half the intervals' width, (H, K), on the network's scale; infinite where fewer than 9 windows were held out."""
        if not len(self.scores):
            return torch.full((self.horizon, len(self.targets)), torch.inf, device=self.location.device)
        scores = np.where(self.scored.cpu().numpy()[..., None], self.scores.cpu().numpy(), np.nan)
        return torch.from_numpy(conformal(scores, LEVEL)).to(self.location)

    @torch.no_grad()
    def forecasts(self, history: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Forecast, lower and upper end, each (N, H, K) in raw units, for raw histories (N, T', D)."""
        was_training = self.training
        self.eval()
        history = history.to(self.location.device)
        z, half = self.answer(history), self.half_width()
        self.train(was_training)
        return self.raw(z, history), self.raw(z - half, history), self.raw(z + half, history)

    # Walk-forward evaluation -----------------------------------------------------------------------------------------

    @torch.no_grad()
    def walk(self, windows: Windows, follow: bool = False) -> Walk:
        """The forecasts from every origin.

        Args:
            follow: whether each outcome that is known by an origin takes the oldest score's place among those that its intervals
                are calibrated on. Only along one series: tracks overlap in time, and their scores stay those held out.
        """
        was_training, pieces = self.training, []
        self.eval()
        for start in range(0, len(windows), 500):
            batch = Batch(**windows.take(np.arange(start, min(start + 500, len(windows))))).to(self.location.device)
            z = self.answer(batch.history)
            pieces.append((z, (z - self.wanted(batch)[0]).abs(), batch.history))
        self.train(was_training)
        z, off, history = (torch.cat(parts) for parts in zip(*pieces, strict=True))
        half, (actual, mask) = self.half_width().expand_as(z), windows.ahead()
        if follow and not self.place:
            half = self._followed(windows, np.where(mask[..., None], off.cpu().numpy(), np.nan)).to(z)
        ends = (self.raw(part, history).double().cpu().numpy() for part in (z, z - half, z + half))
        return Walk(windows, actual, mask, *ends)

    def _followed(self, windows: Windows, off: np.ndarray) -> Tensor:
        """Half-widths (N, H, K), each from what was known at its origin; ``off`` (N, H, K) are the errors of all."""
        half, scored = np.empty_like(off), self.scored.cpu().numpy()
        for h in range(self.horizon):
            known = np.searchsorted(windows.origins + h, windows.origins)  # those whose step h ahead lies before the origin
            for k in range(len(self.targets)):
                half[:, h, k] = followed(self.scores[:, h, k].cpu().numpy()[scored[:, h]], off[:, h, k], known, LEVEL)
        return torch.from_numpy(half)

    def windows(self, dataset: Dataset, split: str) -> Windows:
        """The split's windows, looking as far ahead as the model does.

        Raises:
            PaperzooError: data with other columns, or whose windows are shorter than the model's.
        """
        (windows,) = dataset[split].columns
        assert isinstance(windows, Windows)
        for key, names_here in (("columns", self.columns), ("targets", self.targets)):
            if tuple(dataset.schema.arguments[key]) != names_here:
                names = ", ".join(dataset.schema.arguments[key])
                raise PaperzooError(f"{dataset.name} has the {key} {names}, the model {', '.join(names_here)}")
        if windows.horizon < self.horizon:
            raise PaperzooError(f"{dataset.name}'s windows reach {windows.horizon} steps ahead: set model.horizon, now {self.horizon}")
        return windows.upto(self.horizon)

    def simple(self, dataset: Dataset, split: str) -> dict[str, np.ndarray]:
        """Forecasts (N, H, K) of the simple methods, by name; those of statsmodels are left out if it is not installed.

        For tracks: persistence, the last change going on, and climatology. Else: persistence, seasonal naive where there is a
        season, AR(p) and exponential smoothing, fitted on everything in one piece before the split.
        """
        windows = self.windows(dataset, split)

        def each(method: Any, *more: Any) -> np.ndarray:
            return np.stack([method(windows, k, *more) for k in windows.targets], 2)

        by_method = {"persistence": each(baselines.persistence)}
        if self.place:
            train, latitude = self.windows(dataset, "train"), self.columns.index(self.place[0])
            more = [baselines.climatology(windows, train, k, latitude) for k in windows.targets]
            return {**by_method, "motion": each(baselines.motion), "climatology": np.stack(more, 2)}
        if self.season:
            by_method["seasonal naive"] = each(baselines.seasonal, self.season)
        try:
            fitted = [(baselines.autoregression(windows, k), k) for k in windows.targets]
            order = "/".join(str(len(model.weights)) for model, _ in fitted)
            by_method[f"AR({order})"] = np.stack([model(windows, k) for model, k in fitted], 2)
            by_method["exponential smoothing"] = each(baselines.smoothing)
        except PaperzooError as error:
            import warnings

            warnings.warn(f"left out: {error}", stacklevel=2)
        return by_method

    def label(self, ahead: int) -> str:
        """``ahead`` steps in words: 3 steps of 6 h are 18 h."""
        count, unit = ahead * self.step_size, self.step_unit
        return f"{count} {unit}{'s' if count > 1 and unit in ('year', 'month', 'day', 'business day', 'step') else ''}"

    def lag(self, walk: Walk, ahead: int, target: int = 0) -> tuple[int, float]:
        """The lag of best cross-correlation of forecasts ``ahead`` steps ahead, and the correlation; see ``best_lag``."""
        windows, observed = walk.windows, walk.mask[:, ahead - 1]
        rows = windows.origins[observed, None] + ahead - 1 - np.arange(ahead + min(windows.history, 12))  # (N, L)
        return best_lag(walk.value[observed, ahead - 1, target], windows.values[rows, self.at[target]])

    def doubt(self, walk: Walk) -> str:
        """A sentence if the forecasts one step ahead merely repeat the last value, else nothing."""
        repeated, (rmse, _) = [], errors(walk.actual, walk.value, walk.mask)
        for k, target in enumerate(self.targets):
            lag, correlation = self.lag(walk, 1, k)
            last = baselines.persistence(walk.windows, self.at[k])[..., None]
            lazy, _ = errors(walk.actual[..., [k]], last, walk.mask)
            if len(walk.value) >= 20 and repeats(lag, correlation, rmse[0, k] / max(lazy[0, 0], 1e-12)):
                repeated.append(f"{target} at lag {lag} ({correlation:.3f})")
        listed = ", ".join(repeated)
        return f"Little more than the last value: over {len(walk.value)} forecasts it correlates best with {listed}." if repeated else ""

    # Use -------------------------------------------------------------------------------------------------------------

    def predict(self, input: Any) -> Any:
        """The forecast that follows a series.

        Args:
            input: the path of a CSV or parquet file that has the model's columns (``FILE#where=store=3&date=day`` as in the name
                of a data set), or an array (T', D), for one column also (T'), in raw units, oldest first. All but the last T
                steps only serve to tell whether the model merely repeats.

        Returns:
            A ``Forecast``.

        Raises:
            PaperzooError: what ``read_series`` refuses, too short a series, a gap in its last T steps, numbers that are not finite.
        """
        dates: tuple[str, ...] = ()
        if isinstance(input, str | Path):
            place, text = with_options(str(input))
            chosen = options(text, {name: OPTIONS[name] for name in ("date", "where")}, place)
            series = read_series(path_of(place), columns=self.columns, **chosen)
            values, bounds, dates = series.values[series.bounds[-2] :], series.bounds, series.ahead(self.horizon)
            gap = f", since the gap before {series.labels[bounds[-2]]}" if len(bounds) > 2 else ""
        else:
            try:
                values, gap = np.asarray(input, np.float64), ""
            except (ValueError, TypeError) as error:
                raise PaperzooError(f"a series is a file's path or an array of numbers, not {type(input).__name__}") from error
            values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or values.shape[1] != len(self.columns):
            raise PaperzooError(f"a series is (T, {len(self.columns)}): {', '.join(self.columns)}; not {values.shape}")
        if len(values) < self.window:
            raise PaperzooError(f"the model looks back on {self.window} steps; the series has {len(values)}{gap}")
        with np.errstate(over="ignore"):
            finite = np.isfinite(values.astype(np.float32)).all(1)
        if not finite.all():
            raise PaperzooError(f"step {int(finite.argmin())} of the series is not finite")
        value, low, high = (part[0].cpu() for part in self.forecasts(torch.from_numpy(values)[None].float()))
        origins = np.arange(self.window, len(values))
        note = ""
        if len(origins):
            past = Windows(
                values, tuple(self.at), origins, np.full_like(origins, len(values)), 0 * origins, self.window, self.horizon, (0, 0)
            )
            note = self.doubt(self.walk(past))
        steps = tuple(self.label(h + 1) for h in range(self.horizon))
        return Forecast(self.targets, steps, value, low, high, note, dates, self._about(dates))

    def _about(self, dates: Sequence[str]) -> str:
        """A one-line description of the forecast."""
        ahead = f"{dates[0]} to {dates[-1]}" if len(dates) > 1 else f"the next {self.label(self.horizon)}"
        known = f"{', '.join(self.targets)}, {ahead}, from the last {self.label(self.window)}, in 90 % intervals"
        return known if self.pattern is None else f"{known}; beside the network: {described(self.pattern.removed, self.label)}"
