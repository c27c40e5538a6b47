"""Detection: which things are in a picture, and where."""

from paperzoo.tasks.detection.answers import Detection, Detections
from paperzoo.tasks.detection.contract import Candidates, Detector, Found
from paperzoo.tasks.detection.task import ObjectDetection

__all__ = ["Candidates", "Detection", "Detections", "Detector", "Found", "ObjectDetection"]
