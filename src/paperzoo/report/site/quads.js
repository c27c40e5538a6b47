// Locality-aware non-maximum suppression of quadrilaterals, and what a rotated box is: as paperzoo/tasks/decoding/locality_nms.py and
// paperzoo/papers/detection/east_geometry.py, which a test holds beside these. A quadrilateral is [[x, y], ... four of them].
const area = (quad) => Math.abs(quad.reduce((sum, [x, y], k) => { const [u, v] = quad[(k + 1) % 4]; return sum + x * v - u * y; }, 0)) / 2;

// The area that two convex quadrilaterals share: a's corners cut along each side of b.
export function shared(a, b) {
  const sign = b.reduce((sum, [x, y], k) => { const [u, v] = b[(k + 1) % 4]; return sum + x * v - u * y; }, 0);
  let points = a;
  for (let k = 0; k < 4; k++) {
    const [bx, by] = b[k], [ux, uy] = b[(k + 1) % 4];
    const [dx, dy] = sign < 0 ? [bx - ux, by - uy] : [ux - bx, uy - by];
    const side = ([x, y]) => dx * (y - by) - dy * (x - bx);
    const next = [];
    points.forEach((point, i) => {
      const other = points[(i + 1) % points.length], here = side(point), there = side(other);
      if (here >= 0) next.push(point);
      if ((here > 0 && there < 0) || (here < 0 && there > 0)) {
        const part = here / (here - there);
        next.push([point[0] + part * (other[0] - point[0]), point[1] + part * (other[1] - point[1])]);
      }
    });
    if (next.length < 3) return 0;
    points = next;
  }
  const [ox, oy] = points[0];
  return Math.abs(points.reduce((sum, [x, y], i) => {
    const [u, v] = points[(i + 1) % points.length];
    return sum + (x - ox) * (v - oy) - (u - ox) * (y - oy);
  }, 0)) / 2;
}

const alike = (a, b, least) => { const both = shared(a, b); return both > least * (area(a) + area(b) - both); };

// Merges quadrilaterals in the order of a map's rows, weighted by their scores, then suppresses: [{quad, votes, number}], the most votes first.
export function localityNms(quads, scores, merge, overlap) {
  const merged = [];
  quads.forEach((quad, i) => {
    const last = merged.at(-1);
    if (last && alike(quad, last.quad, merge)) {
      const weight = last.votes + scores[i];
      last.quad = last.quad.map((corner, k) => corner.map((v, d) => (last.votes * v + scores[i] * quad[k][d]) / weight));
      last.votes = weight;
      last.number += 1;
    } else merged.push({ quad, votes: scores[i], number: 1 });
  });
  merged.sort((a, b) => b.votes - a.votes);
  return merged.reduce((kept, one) => (kept.some((other) => alike(other.quad, one.quad, overlap)) ? kept : [...kept, one]), []);
}

// A box by its distances (top, right, bottom, left) from a point, and the angle by which it is turned about it.
export function rotatedBox([top, right, bottom, left], angle, [x, y]) {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return [[-left, -top], [right, -top], [right, bottom], [-left, bottom]].map(([u, v]) => [x + c * u - s * v, y + s * u + c * v]);
}
