// Photographs enlarged by Keys' cubic with a = -0.5, mirrored beyond the border, and BT.601: as paperzoo/data/bicubic.py and
// paperzoo/metrics/restoration.py, which a test holds beside these.
const kernel = (d) => {
  const x = Math.abs(d);
  return x <= 1 ? 1.5 * x ** 3 - 2.5 * x ** 2 + 1 : x <= 2 ? -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2 : 0;
};

const mirrored = (place, length) => {
  const turned = ((place % (2 * length)) + 2 * length) % (2 * length);
  return turned < length ? turned : 2 * length - 1 - turned;
};

// A plane (height x width, row by row), `scale` times as large, a whole number.
export function enlarged(plane, height, width, scale) {
  const taps = (i) => {
    const centre = (i + 0.5) / scale - 0.5, first = Math.floor(centre) - 1;
    const share = [0, 1, 2, 3].map((k) => kernel(centre - first - k));
    const sum = share.reduce((a, b) => a + b, 0);
    return share.map((s, k) => [first + k, s / sum]);
  };
  const wide = width * scale, tall = height * scale;
  const across = new Float64Array(height * wide), out = new Float32Array(tall * wide);
  for (let x = 0; x < wide; x++)
    for (const [place, share] of taps(x)) for (let y = 0; y < height; y++) across[y * wide + x] += share * plane[y * width + mirrored(place, width)];
  for (let y = 0; y < tall; y++) {
    const rows = taps(y).map(([place, share]) => [mirrored(place, height), share]);
    for (let x = 0; x < wide; x++) out[y * wide + x] = rows.reduce((sum, [row, share]) => sum + share * across[row * wide + x], 0);
  }
  return out;
}

const MATRIX = [[65.481, 128.553, 24.966], [-37.797, -74.203, 112.0], [112.0, -93.786, -18.214]], OFFSET = [16, 128, 128];
// the inverse of MATRIX / 255, by cofactors
const INVERSE = (() => {
  const [a, b, c] = MATRIX.map((row) => row.map((v) => v / 255));
  const cross = (u, v) => [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
  const columns = [cross(b, c), cross(c, a), cross(a, b)];
  const determinant = a.reduce((sum, v, i) => sum + v * columns[0][i], 0);
  return [0, 1, 2].map((row) => columns.map((column) => column[row] / determinant));
})();

// RGB in [0, 1] as three planes to Y, Cb and Cr over 255, and back.
export const ycbcr = (planes) => MATRIX.map((row, k) => mixed(planes, row.map((v) => v / 255), OFFSET[k] / 255, [0, 0, 0]));
export const rgb = (planes) => INVERSE.map((row) => mixed(planes, row, 0, OFFSET.map((o) => o / 255)));

function mixed(planes, row, add, less) {
  return Float32Array.from(planes[0], (_, i) => add + row.reduce((sum, v, k) => sum + v * (planes[k][i] - less[k]), 0));
}
