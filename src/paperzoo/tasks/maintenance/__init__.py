"""Predictive maintenance: the probability that a machine fails within days, alarms from the user's costs, and how early they come."""

from paperzoo.tasks.maintenance.contract import Alarm, AlarmModel, Alarms
from paperzoo.tasks.maintenance.task import Maintenance

__all__ = ["Alarm", "AlarmModel", "Alarms", "Maintenance"]
