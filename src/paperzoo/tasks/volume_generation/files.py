"""Samples as files: meshes, pictures, an animation, and a page to look at them from all sides."""

from __future__ import annotations

import base64
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from paperzoo.data.volumes.readers import MESHES, library
from paperzoo.errors import PaperzooError
from paperzoo.files import write
from paperzoo.tasks.pictures import save, save_frames
from paperzoo.tasks.volume_generation.draw import row, turning
from paperzoo.tasks.volume_generation.view import occupied
from paperzoo.terminal import plain

#: most shapes that are drawn in a turning animation, or on a page
MOST = 64


def write_shapes(samples: Tensor, out: Path) -> str:
    """Volumes (N, 1, S, S, S) in [0, 1] as what the ending of ``out`` says; without one, a folder of .obj files, ``000.obj`` and so on.

    Returns:
        What was written, for the command line.

    Raises:
        PaperzooError: another ending, a shape of which nothing is above 0.5 where a mesh is asked for, or a library that is missing.
    """
    suffix = out.suffix.lower()
    if suffix in MESHES:
        write(out, _exported(side_by_side(samples), suffix))
        several = f"{len(samples)} shapes side by side; -n 1 for one, a folder for a file each"
        return f"{plain(out)}{f' ({several})' if len(samples) > 1 else ''}"
    if suffix == ".png":
        return plain(save(row(samples, max(1, round(len(samples) ** 0.5 * 1.4)), 128), out))
    if suffix in (".gif", ".html") and len(samples) > MOST:
        raise PaperzooError(f"{len(samples)} shapes are too many to turn: -n {MOST} at most")
    if suffix == ".gif":
        return plain(save_frames(turning(samples, 128), out, 120))
    if suffix == ".html":
        return plain(write(out, page(samples)))
    if suffix:
        raise PaperzooError(f"shapes are written as {', '.join(MESHES)}, .png, .gif or .html, or to a folder, not as {plain(suffix)}")
    meshes = [_exported(mesh(one, number), ".obj") for number, one in enumerate(samples[:, 0].numpy())]  # all, before one is written
    for number, content in enumerate(meshes):
        write(out / f"{number:03d}.obj", content)
    return f"{plain(out)} ({len(meshes)} files)"


def mesh(volume: np.ndarray, number: int = 0) -> Any:
    """The surface of a volume float (D, H, W) where it crosses 0.5, as trimesh's mesh: x, y, z with y up, a voxel is 1 / S, about the
    middle; closed, with its faces outwards.

    Args:
        number: of the sample, for the error.

    Raises:
        PaperzooError: nothing is above 0.5, or a library is missing.
    """
    trimesh = library()
    try:
        marching_cubes = import_module("skimage.measure").marching_cubes
    except ImportError as error:
        raise PaperzooError('writing meshes needs scikit-image: pip install "paperzoo[volumes]"') from error
    if not (volume > 0.5).any():
        raise PaperzooError(f"sample {number} is empty: it has no surface")
    vertices, faces, _, _ = marching_cubes(np.pad(volume.astype(np.float32), 1), 0.5)
    # z, y, x to x, y, z, by which faces that looked inwards look outwards; the padding moved all by a voxel
    corners = (vertices[:, ::-1] - (1 + (len(volume) - 1) / 2)) / len(volume)
    return trimesh.Trimesh(corners, faces, process=False)


def side_by_side(samples: Tensor) -> Any:
    """The meshes of volumes (N, 1, S, S, S) on a square floor, 1.2 of a cube's side apart, as one."""
    meshes = [mesh(one, number) for number, one in enumerate(samples[:, 0].numpy())]
    columns = max(1, round(len(meshes) ** 0.5))
    for number, one in enumerate(meshes):
        one.apply_translation((1.2 * (number % columns), 0, 1.2 * (number // columns)))
    return library().util.concatenate(meshes) if len(meshes) > 1 else meshes[0]


def _exported(shape: Any, suffix: str) -> bytes:
    content = shape.export(file_type=suffix[1:])
    return content.encode() if isinstance(content, str) else bytes(content)


def page(samples: Tensor) -> str:
    """A page that shows volumes (N, 1, S, S, S) and turns them as they are dragged; it needs no network."""
    voxels = occupied(samples)
    bits = base64.b64encode(np.packbits(voxels).tobytes()).decode()
    return _PAGE.replace("SIZE", str(voxels.shape[-1])).replace("COUNT", str(len(voxels))).replace("BITS", json.dumps(bits))


#: the faces of a shape that look to the eye, from the farthest to the nearest, as ``view`` draws them
_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Shapes</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'">
<style>body{font:16px system-ui,sans-serif;margin:1rem}canvas{width:240px;height:240px;cursor:grab;touch-action:none}</style></head>
<body><p>Drag a shape to turn it. This file needs no network.</p><div id="all"></div>
<script>
const S = SIZE, N = COUNT, raw = atob(BITS), shades = [0.62, 1, 0.82], base = [98, 156, 214];
const at = (n, x, y, z) => {
  if (Math.min(x, y, z) < 0 || Math.max(x, y, z) >= S) return 0;
  const i = ((n * S + z) * S + y) * S + x;
  return raw.charCodeAt(i >> 3) >> (7 - (i & 7)) & 1;
};
for (let n = 0; n < N; n++) {
  const faces = [], canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  canvas.width = canvas.height = 480;
  document.getElementById("all").append(canvas);
  for (let z = 0; z < S; z++) for (let y = 0; y < S; y++) for (let x = 0; x < S; x++) if (at(n, x, y, z))
    for (let a = 0; a < 3; a++) for (const s of [-1, 1]) {
      const next = [x, y, z];
      next[a] += s;
      if (!at(n, ...next)) faces.push([x - S / 2, y - S / 2, z - S / 2, a, s]);
    }
  let turn = 0.5, tilt = 0.44, from = null;
  const draw = () => {
    const [c, s, k, t] = [Math.cos(turn), Math.sin(turn), Math.cos(tilt), Math.sin(tilt)];
    const right = [c, 0, -s], up = [-s * t, k, -c * t], into = [-s * k, -t, -c * k], scale = 480 / (S * 1.75);
    const dot = (p, q) => p[0] * q[0] + p[1] * q[1] + p[2] * q[2];
    const shown = faces.filter(f => f[4] * into[f[3]] < 0).map(f => [dot(f, into), f]).sort((p, q) => q[0] - p[0]);
    pen.clearRect(0, 0, 480, 480);
    for (const [, f] of shown) {
      pen.beginPath();
      for (const [u, v] of [[0, 0], [0, 1], [1, 1], [1, 0]]) {
        const p = [f[0], f[1], f[2]], others = [0, 1, 2].filter(a => a !== f[3]);
        p[f[3]] += f[4] > 0 ? 1 : 0; p[others[0]] += u; p[others[1]] += v;
        pen.lineTo(240 + scale * dot(p, right), 240 - scale * dot(p, up));
      }
      pen.closePath();
      pen.fillStyle = pen.strokeStyle = `rgb(${base.map(b => Math.round(b * shades[f[3]]))})`;
      pen.fill(); pen.stroke();
    }
  };
  canvas.onpointerdown = e => { from = [e.clientX, e.clientY]; canvas.setPointerCapture(e.pointerId); };
  canvas.onpointerup = () => { from = null; };
  canvas.onpointermove = e => {
    if (!from) return;
    turn -= (e.clientX - from[0]) / 60;
    tilt = Math.max(-1.5, Math.min(1.5, tilt + (e.clientY - from[1]) / 60));
    from = [e.clientX, e.clientY];
    draw();
  };
  draw();
}
</script></body></html>
"""
