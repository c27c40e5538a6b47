"""Lengths of shortest paths on surfaces: on a cylinder in closed form, on a mesh by Dijkstra's search with points along its edges."""

from __future__ import annotations

from itertools import combinations

import numpy as np


def on_cylinder(a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """Geodesic distances (...) on an endless cylinder between points (..., 2), each an angle in radians and a height."""
    turn = np.abs(a[..., 0] - b[..., 0]) % (2 * np.pi)
    distances: np.ndarray = np.hypot(radius * np.minimum(turn, 2 * np.pi - turn), a[..., 1] - b[..., 1])
    return distances


def on_mesh(vertices: np.ndarray, faces: np.ndarray, sources: np.ndarray, between: int = 1) -> np.ndarray:
    """Distances (S, V) of vertices from some of them, float32, in the unit of the vertices; infinite where no path leads.

    Paths cross a face from any vertex, or any of ``between`` points along each edge, to any other, so that they are a little too long:
    on a cylinder of quadrilaterals by 6 % in the mean with none, 1.7 % with one, 0.8 % with two, 0.1 % with five.

    Args:
        vertices: (V, 3). faces: int (F, 3) or (F, 4). sources: int (S).
    """
    from scipy.sparse.csgraph import dijkstra

    links = _links(vertices, faces, between)
    chunks = np.array_split(sources, -(-len(sources) // 64))
    parts = [dijkstra(links, directed=False, indices=chunk)[:, : len(vertices)] for chunk in chunks]
    distances: np.ndarray = np.concatenate(parts).astype(np.float32)
    return distances


def _links(vertices: np.ndarray, faces: np.ndarray, between: int) -> object:
    """The graph of vertices, then points along edges, as a sparse matrix of lengths."""
    from scipy.sparse import coo_array

    ends = np.sort(np.stack([faces, np.roll(faces, -1, 1)], 2).reshape(-1, 2), 1)  # of each side, from a corner to the next
    edges, which = np.unique(ends, axis=0, return_inverse=True)
    share = (np.arange(between) + 1) / (between + 1)
    a, b = vertices[edges[:, 0], None], vertices[edges[:, 1], None]
    points = np.concatenate([vertices, (a + share[:, None] * (b - a)).reshape(-1, 3)])
    along = len(vertices) + between * which.reshape(faces.shape)[:, :, None] + np.arange(between)  # (F, K, between)
    around = np.concatenate([faces[:, :, None], along], 2).reshape(len(faces), -1)  # (F, K (1 + between)), the border of each face
    pairs = np.concatenate([around[:, [i, j]] for i, j in combinations(range(around.shape[1]), 2)])
    pairs = np.unique(np.sort(pairs, 1), axis=0)
    length = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    return coo_array((np.maximum(length, 1e-12), pairs.T), shape=(len(points), len(points))).tocsr()
