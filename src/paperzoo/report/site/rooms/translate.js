// A drawing, or a picture of the visitor's, as another domain's.
import { button, make, picture, pictures, planes, square } from "../ui.js";

const SIZE = 320;
// drawings for those who do not draw: lines of points in tenths of the canvas; a circle is its middle and its radius
const DRAWINGS = {
  face: [{ at: [5, 5], r: 4 }, { at: [3.6, 4], r: 0.5 }, { at: [6.4, 4], r: 0.5 }, [[3, 6], [4, 7.2], [5, 7.5], [6, 7.2], [7, 6]]],
  house: [[[2, 9], [2, 5], [5, 2], [8, 5], [8, 9], [2, 9]], [[4.2, 9], [4.2, 6.5], [5.8, 6.5], [5.8, 9]]],
  carrot: [[[3, 3.5], [7, 3.5], [5, 9], [3, 3.5]], [[5, 3.5], [4, 1.2]], [[5, 3.5], [5, 1]], [[5, 3.5], [6, 1.2]]],
};

export async function compute(nets, facts, { pixels, to = facts.domains[0] }) {
  const { translated } = await nets[to]({ image: { data: pixels, dims: [1, facts.channels, facts.size, facts.size] } });
  return { pixels: translated.data };
}

export async function open(host, room, run) {
  const { facts } = room, out = make("canvas", {});
  let to = facts.domains[0], pixels = null;
  const show = async () => {
    const got = await run({ pixels, to });
    picture(out, got.pixels, facts.channels, facts.size, facts.size, SIZE / facts.size);
  };
  const domains = facts.domains.length > 1 ? facts.domains.map((name) => button(`to ${name}`, () => { to = name; show(); })) : [];
  const result = make("figure", {}, out, make("figcaption", {}, "What the network makes of it."));
  if (!facts.edges) {
    const seen = make("canvas", {});
    const chosen = (image) => { pixels = square(image, facts.size); picture(seen, pixels, 3, facts.size, facts.size, SIZE / facts.size); show(); };
    host.append(pictures(room, chosen), make("div", { className: "row" }, seen, result), make("div", { className: "row" }, ...domains));
    return;
  }
  const canvas = make("canvas", { width: SIZE, height: SIZE, tabIndex: 0, className: "smooth", ariaLabel: "draw outlines here" });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const line = (points) => {
    Object.assign(context, { strokeStyle: "black", lineWidth: 1.5 * SIZE / facts.size, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
  };
  // the edges that it was trained on are black or white
  const look = () => { pixels = planes(canvas, facts.size, facts.size).map((v) => (v > 0.7 ? 1 : 0)); return show(); };
  const chosen = (image) => { context.imageSmoothingEnabled = false; context.drawImage(image, 0, 0, SIZE, SIZE); look(); };
  const clear = () => { context.fillStyle = "white"; context.fillRect(0, 0, SIZE, SIZE); };
  const draw = (name) => {
    clear();
    for (const part of DRAWINGS[name])
      line(Array.isArray(part) ? part.map(([x, y]) => [x * SIZE / 10, y * SIZE / 10])
        : Array.from({ length: 41 }, (_, i) => [0, 1].map((k) => (part.at[k] + part.r * (k ? Math.sin : Math.cos)((i * Math.PI) / 20)) * SIZE / 10)));
    return look();
  };
  let last = null;
  const at = (event) => { const box = canvas.getBoundingClientRect(); return [((event.clientX - box.left) / box.width) * SIZE, ((event.clientY - box.top) / box.height) * SIZE]; };
  canvas.addEventListener("pointerdown", (event) => { last = at(event); line([last, last]); canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => { if (last) { const here = at(event); line([last, here]); last = here; } });
  canvas.addEventListener("pointerup", () => { last = null; look(); });
  host.append(pictures(room, chosen), make("div", { className: "row" },
    make("figure", {}, canvas, make("figcaption", {}, "Draw outlines, or change those of an example, whose subject it was not trained on.")), result),
  make("div", { className: "row" }, button("clear", () => { clear(); look(); }), ...Object.keys(DRAWINGS).map((name) => button(`a ${name}`, () => draw(name))), ...domains));
  if (!room.examples.length) await draw("face");
}
