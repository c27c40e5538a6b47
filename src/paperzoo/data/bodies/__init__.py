"""Bodies: a parametric one that is drawn on photographs, its surface in 24 charts, and readers of DensePose's annotations."""
