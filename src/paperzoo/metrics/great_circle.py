"""The distance between two places on the earth."""

from __future__ import annotations

import numpy as np

#: mean radius of the earth in km (IUGG)
RADIUS = 6371.0088


def great_circle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Kilometres along the sphere between places (..., 2) and (..., 2), latitude and longitude in degrees; (...).

    The haversine formula, exact for near places too; the earth's flattening would change it by at most 0.6 %.
    """
    (lat_a, long_a), (lat_b, long_b) = (np.moveaxis(np.radians(x), -1, 0) for x in (a, b))
    half = np.sin((lat_b - lat_a) / 2) ** 2 + np.cos(lat_a) * np.cos(lat_b) * np.sin((long_b - long_a) / 2) ** 2
    distance: np.ndarray = 2 * RADIUS * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
    return distance
