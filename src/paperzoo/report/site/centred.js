// A drawn digit as MNIST's are: 20x20 pixels at most, its centre of mass in the middle of 28x28.
// The same as paperzoo/data/images/centred.py, which a test holds beside it.
export const BOX = 20, SIDE = 28, LEAST = 0.1;

// How much each of `before` pixels of a line counts in each of `after`, by the area that they share: rows of (after, before).
export function shares(before, after) {
  return Array.from({ length: after }, (_, i) => {
    const low = (i * before) / after, high = ((i + 1) * before) / after;
    return Array.from({ length: before }, (_, j) => (Math.max(0, Math.min(high, j + 1) - Math.max(low, j)) * after) / before);
  });
}

// An image (height x width, row by row) at another size, by areas.
export function resized(image, height, width, tall, wide) {
  const down = shares(height, tall), across = shares(width, wide);
  const out = new Float64Array(tall * wide), line = new Float64Array(width);
  for (let y = 0; y < tall; y++) {
    line.fill(0);
    for (let i = 0; i < height; i++) if (down[y][i]) for (let x = 0; x < width; x++) line[x] += down[y][i] * image[i * width + x];
    for (let x = 0; x < wide; x++) {
      let sum = 0;
      for (let j = 0; j < width; j++) sum += across[x][j] * line[j];
      out[y * wide + x] = sum;
    }
  }
  return out;
}

// Ink in [0, 1], height x width row by row, to 28 x 28 row by row; zeros where nothing is drawn.
export function centred(ink, height, width) {
  const image = new Float64Array(SIDE * SIDE);
  let top = height, bottom = -1, left = width, right = -1;
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (ink[y * width + x] > LEAST) {
        top = Math.min(top, y); bottom = Math.max(bottom, y); left = Math.min(left, x); right = Math.max(right, x);
      }
  if (bottom < 0) return image;
  const h = bottom - top + 1, w = right - left + 1, longer = Math.max(h, w);
  const digit = new Float64Array(h * w);
  for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) digit[y * w + x] = ink[(top + y) * width + left + x];
  const tall = Math.max(1, Math.floor((h * BOX) / longer + 0.5)), wide = Math.max(1, Math.floor((w * BOX) / longer + 0.5));
  const small = resized(digit, h, w, tall, wide);
  let mass = 0, down = 0, across = 0;
  for (let y = 0; y < tall; y++)
    for (let x = 0; x < wide; x++) {
      const v = small[y * wide + x];
      mass += v; down += v * (y + 0.5); across += v * (x + 0.5);
    }
  const place = (centre, side) => Math.min(SIDE - side, Math.max(0, Math.floor(SIDE / 2 - centre + 0.5)));
  const first = place(down / mass, tall), column = place(across / mass, wide);
  for (let y = 0; y < tall; y++) for (let x = 0; x < wide; x++) image[(first + y) * SIDE + column + x] = small[y * wide + x];
  return image;
}

// A square image in the middle of a larger one, zeros around it.
export function bordered(image, side, size) {
  const out = new Float32Array(size * size), low = Math.floor((size - side) / 2);
  for (let y = 0; y < side; y++) for (let x = 0; x < side; x++) out[(low + y) * size + low + x] = image[y * side + x];
  return out;
}
