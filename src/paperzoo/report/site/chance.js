// Numbers that look random, the same for the same seed.
export function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// A latent vector: standard normal, or uniform from low to 1.
export function latent(facts, seed) {
  const draw = uniform(seed);
  return Array.from({ length: facts.latent }, () =>
    facts.prior === "normal"
      ? Math.sqrt(-2 * Math.log(1 - draw())) * Math.cos(2 * Math.PI * draw())
      : facts.low + (1 - facts.low) * draw());
}

// Between two latent vectors: on the sphere for normal ones, where a straight line would leave the shell that they lie in.
export function between(a, b, part, facts) {
  if (facts.prior !== "normal") return a.map((x, i) => x + part * (b[i] - x));
  const dot = (u, v) => u.reduce((sum, x, i) => sum + x * v[i], 0);
  const cosine = Math.min(1, Math.max(-1, dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))));
  const angle = Math.acos(cosine);
  if (angle < 1e-6) return a.map((x, i) => x + part * (b[i] - x));
  const [wa, wb] = [Math.sin((1 - part) * angle) / Math.sin(angle), Math.sin(part * angle) / Math.sin(angle)];
  return a.map((x, i) => wa * x + wb * b[i]);
}
