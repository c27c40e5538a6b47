"""Forecasting: walk-forward evaluation in raw units beside simple methods, prediction intervals, plots; CSV in, forecast out."""

from paperzoo.tasks.forecasting.contract import Forecaster, Walk
from paperzoo.tasks.forecasting.forecast import Forecast
from paperzoo.tasks.forecasting.measure import LEVEL
from paperzoo.tasks.forecasting.task import Forecasting

__all__ = ["LEVEL", "Forecast", "Forecaster", "Forecasting", "Walk"]
