// A generator of shapes: a latent vector to voxels, turned by hand.
import { latent, between } from "../chance.js";
import { button, make, slider } from "../ui.js";

const SIZE = 320;

export async function compute(nets, facts, { z }) {
  const { sample } = await nets.generate({ z: { data: z, dims: [1, facts.latent] } });
  return { voxels: sample.data, dims: sample.dims };
}

export async function open(host, room, run) {
  const { facts } = room, canvas = make("canvas", { width: SIZE, height: SIZE, className: "smooth", tabIndex: 0, ariaLabel: "the shape: arrow keys turn it" });
  let seed = 1, turn = 0.7, tilt = 0.5, part = 0, voxels = null;
  const draw = () => render(canvas, voxels, facts.size, turn, tilt);
  const show = async () => {
    ({ voxels } = await run({ z: between(latent(facts, seed), latent(facts, seed + 1), part, facts) }));
    draw();
  };
  canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
  canvas.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    turn += event.movementX / 100; tilt = Math.min(1.5, Math.max(-1.5, tilt + event.movementY / 100));
    draw();
  });
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0], ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] }[event.key];
    if (step) { event.preventDefault(); turn += step[0]; tilt += step[1]; draw(); }
  });
  const way = slider("from this shape to the next", 0, 1, 0.02, 0, (value) => { part = value; show(); });
  host.append(make("div", { className: "row" },
    make("figure", {}, canvas, make("figcaption", {}, "Voxels of more than one half. Drag, or use the arrow keys.")),
    make("div", { className: "col" }, button("another shape", () => { seed += 1; show(); }), way)));
  await show();
}

// Faces of occupied voxels that border on empty ones, the farthest first.
function render(canvas, voxels, size, turn, tilt) {
  const context = canvas.getContext("2d"), full = (x, y, z) => x >= 0 && y >= 0 && z >= 0 && x < size && y < size && z < size && voxels[(x * size + y) * size + z] > 0.5;
  const [c, s, ct, st] = [Math.cos(turn), Math.sin(turn), Math.cos(tilt), Math.sin(tilt)];
  // the second axis of the data points up
  const seen = (x, y, z) => { const u = c * x + s * z, w = -s * x + c * z; return [u, ct * y - st * w, st * y + ct * w]; };
  const sides = [[1, 0, 0], [-1, 0, 0], [0, 1, 0], [0, -1, 0], [0, 0, 1], [0, 0, -1]], faces = [];
  for (let x = 0; x < size; x++) for (let y = 0; y < size; y++) for (let z = 0; z < size; z++)
    if (full(x, y, z)) for (const n of sides) {
      if (full(x + n[0], y + n[1], z + n[2])) continue;
      const light = seen(...n);
      if (light[2] <= 0) continue; // turned away
      const axis = n.findIndex((v) => v), [a, b] = [0, 1, 2].filter((k) => k !== axis);
      const corners = [[-1, -1], [1, -1], [1, 1], [-1, 1]].map(([p, q]) => {
        const at = [x, y, z].map((v, k) => v - (size - 1) / 2 + n[k] / 2);
        at[a] += p / 2; at[b] += q / 2;
        return seen(...at);
      });
      faces.push([corners.reduce((sum, corner) => sum + corner[2], 0), corners, 0.35 + 0.5 * light[2] + 0.15 * Math.max(0, light[1])]);
    }
  faces.sort((one, other) => one[0] - other[0]);
  const zoom = canvas.width / size / 1.5;
  context.clearRect(0, 0, canvas.width, canvas.height);
  for (const [, corners, light] of faces) {
    context.fillStyle = context.strokeStyle = `hsl(215 45% ${Math.round(65 * light)}%)`;
    context.beginPath();
    corners.forEach(([u, v], i) => context[i ? "lineTo" : "moveTo"](canvas.width / 2 + zoom * u, canvas.height / 2 - zoom * v));
    context.closePath(); context.fill(); context.stroke();
  }
}
