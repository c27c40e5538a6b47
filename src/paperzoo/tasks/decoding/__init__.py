"""From network outputs to detections."""
