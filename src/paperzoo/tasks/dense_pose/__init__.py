"""Dense pose: for each pixel of a person which part of a body's surface it shows, and where in the part's chart."""

from paperzoo.tasks.dense_pose.answers import Person, Persons
from paperzoo.tasks.dense_pose.contract import DensePoser, Found
from paperzoo.tasks.dense_pose.task import DensePose

__all__ = ["DensePose", "DensePoser", "Found", "Person", "Persons"]
