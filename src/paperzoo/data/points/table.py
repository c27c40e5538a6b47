"""Points: which sets there are, what builds each, and where its bytes come from."""

from __future__ import annotations

from paperzoo.data.entry import Entry

DATASETS = {
    "ring8": Entry("eight Gaussians on a circle", "points.synthetic.ring8"),
    "grid25": Entry("25 Gaussians on a 5x5 grid", "points.synthetic.grid25"),
    "factors8": Entry("two Gaussian factors in eight dimensions, with noise", "points.synthetic.factors8"),
    "plane3d": Entry("points near a plane in space", "points.synthetic.plane3d"),
    "modes5>10": Entry("two unpaired sets of Gaussians in the plane, 5 and 10 modes", "points.synthetic.modes"),
    "gaussian1d": Entry("the standard normal distribution, in one dimension", "points.synthetic.gaussian1d"),
}
