// A generator's latent space: four samples at the corners of a map, what lies between them, and single directions.
import { between, latent } from "../chance.js";
import { button, make, picture, slider } from "../ui.js";

const MAP = 220, DIRECTIONS = 6;

export async function compute(nets, facts, { z, label = 0 }) {
  const given = { z: { data: z, dims: [1, facts.latent] }, ...(facts.names.length ? { label: { data: [label], dims: [1], whole: true } } : {}) };
  const { sample } = await nets.generate(given);
  return { pixels: sample.data, dims: sample.dims };
}

export async function open(host, room, run) {
  const { facts } = room;
  let seed = 1, corners = [], place = [0.3, 0.3], label = 0, shifts = new Array(DIRECTIONS).fill(0);
  const large = make("canvas", {}), map = make("canvas", { width: MAP, height: MAP, tabIndex: 0, ariaLabel: "map: arrow keys walk" });
  const point = () => {
    const [x, y] = place;
    const z = between(between(corners[0], corners[1], x, facts), between(corners[2], corners[3], x, facts), y, facts);
    shifts.forEach((by, i) => { z[i] += by; });
    return z;
  };
  const show = async () => {
    const { pixels, dims } = await run({ z: point(), label });
    picture(large, pixels, dims[1], dims[2], dims[3], Math.max(1, Math.round(256 / dims[3])));
    mark();
  };
  let thumbnails = [];
  const mark = () => {
    const context = map.getContext("2d"), side = MAP / 5;
    context.fillStyle = "#888"; context.fillRect(0, 0, MAP, MAP);
    thumbnails.forEach((one, i) => context.drawImage(one, (i % 5) * side, Math.floor(i / 5) * side, side, side));
    context.strokeStyle = "#e33"; context.lineWidth = 3;
    context.beginPath(); context.arc(place[0] * MAP, place[1] * MAP, 8, 0, 7); context.stroke();
  };
  const draw = async () => {
    corners = [0, 1, 2, 3].map((k) => latent(facts, 4 * seed + k));
    const kept = [place, shifts];
    thumbnails = [];
    for (let i = 0; i < 25; i++) {
      [place, shifts] = [[(i % 5) / 4, Math.floor(i / 5) / 4], shifts.map(() => 0)];
      const { pixels, dims } = await run({ z: point(), label });
      thumbnails.push(picture(document.createElement("canvas"), pixels, dims[1], dims[2], dims[3]));
    }
    [place, shifts] = kept;
    await show();
  };
  const go = (x, y) => { place = [Math.min(1, Math.max(0, x)), Math.min(1, Math.max(0, y))]; return show(); };
  const to = (event) => { const box = map.getBoundingClientRect(); go((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height); };
  map.addEventListener("pointerdown", (event) => { map.setPointerCapture(event.pointerId); to(event); });
  map.addEventListener("pointermove", (event) => { if (event.buttons) to(event); });
  map.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-0.05, 0], ArrowRight: [0.05, 0], ArrowUp: [0, -0.05], ArrowDown: [0, 0.05] }[event.key];
    if (step) { event.preventDefault(); go(place[0] + step[0], place[1] + step[1]); }
  });
  const sliders = shifts.map((_, i) => slider(`direction ${i + 1}`, -3, 3, 0.1, 0, (value) => { shifts[i] = value; show(); }));
  host.append(make("div", { className: "row" },
    make("figure", {}, map, make("figcaption", {}, "The map: four latent vectors at its corners, and what lies between them. Drag, or use the arrow keys.")),
    make("figure", {}, large, make("figcaption", {}, "What is generated here.")),
    make("div", { className: "col" },
      make("div", { className: "row" }, button("other corners", () => { seed += 1; draw(); }), ...facts.names.map((name, k) => button(name, () => { label = k; draw(); }))),
      ...sliders)));
  await draw();
}
