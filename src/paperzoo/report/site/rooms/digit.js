// A drawn digit, what the network says it is, and what its layers see.
import { bordered, centred, SIDE } from "../centred.js";
import { softmax } from "../net.js";
import { bars, button, make, picture } from "../ui.js";

const SIZE = 280;
// strokes for those who do not draw: x and y in tenths of the canvas
const STROKES = {
  2: [[3, 3.2], [3.6, 2.2], [5, 1.8], [6.4, 2.4], [6.6, 3.8], [5.4, 5.6], [3.2, 8], [7, 8]],
  3: [[3.2, 2.4], [5, 1.8], [6.6, 2.8], [5.2, 4.6], [6.8, 6.2], [5.6, 8], [3.2, 7.6]],
  5: [[6.6, 2], [3.8, 2], [3.6, 4.6], [5.4, 4.3], [6.8, 5.8], [5.6, 7.8], [3.2, 7.6]],
  7: [[3, 2.2], [7, 2.2], [4.6, 8]],
};

export async function compute(nets, facts, { ink, height, width }) {
  const image = bordered(centred(ink, height, width), SIDE, facts.size);
  const answer = await nets.look({ image: { data: image, dims: [1, 1, facts.size, facts.size] } });
  return { image: Array.from(image), probabilities: softmax(answer.logits.data), layers: facts.layers.map((name) => answer[name]) };
}

export async function open(host, room, run) {
  const canvas = make("canvas", { width: SIZE, height: SIZE, tabIndex: 0, ariaLabel: "draw a digit here" });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const seen = make("canvas", {}), answer = make("div", {}), maps = make("div", {});
  const clear = () => { context.fillStyle = "black"; context.fillRect(0, 0, SIZE, SIZE); };
  const line = (points) => {
    Object.assign(context, { strokeStyle: "white", lineWidth: 22, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    points.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    context.stroke();
  };
  const look = async () => {
    const { data } = context.getImageData(0, 0, SIZE, SIZE);
    const got = await run({ ink: Float32Array.from({ length: SIZE * SIZE }, (_, i) => data[4 * i] / 255), height: SIZE, width: SIZE });
    bars(answer, room.facts.names, got.probabilities);
    picture(seen, got.image, 1, room.facts.size, room.facts.size, 4);
    maps.replaceChildren(...got.layers.map((layer, k) => make("figure", {}, tiled(layer), make("figcaption", {}, `${room.facts.layers[k]}: ${layer.dims[1]} maps of ${layer.dims[2]}x${layer.dims[3]}`))));
  };
  let last = null;
  const at = (event) => { const box = canvas.getBoundingClientRect(); return [((event.clientX - box.left) / box.width) * SIZE, ((event.clientY - box.top) / box.height) * SIZE]; };
  canvas.addEventListener("pointerdown", (event) => { last = at(event); line([last, last]); canvas.setPointerCapture(event.pointerId); });
  canvas.addEventListener("pointermove", (event) => { if (last) { const here = at(event); line([last, here]); last = here; } });
  canvas.addEventListener("pointerup", () => { last = null; look(); });
  const draw = (digit) => { clear(); line(STROKES[digit].map(([x, y]) => [x * SIZE / 10, y * SIZE / 10])); return look(); };
  host.append(
    make("div", { className: "row" },
      make("div", {}, canvas, make("div", { className: "row" }, button("clear", () => { clear(); look(); }), ...Object.keys(STROKES).map((d) => button(`a ${d}`, () => draw(d))))),
      make("figure", {}, seen, make("figcaption", {}, "What the network is given: 20x20 pixels, centred by mass, a border around them.")),
      make("div", { className: "col" }, answer)),
    make("div", { className: "row" }, maps));
  await draw(3);
}

// Maps (1, K, h, w) side by side, each from its least value, black, to its greatest.
function tiled({ data, dims: [, count, height, width] }) {
  const columns = Math.min(count, 8), rows = Math.ceil(count / columns), wide = columns * (width + 1), out = new Float32Array(rows * (height + 1) * wide);
  for (let k = 0; k < count; k++) {
    const map = data.slice(k * height * width, (k + 1) * height * width);
    const low = Math.min(...map), high = Math.max(...map);
    map.forEach((v, i) => {
      out[(Math.floor(k / columns) * (height + 1) + Math.floor(i / width)) * wide + (k % columns) * (width + 1) + (i % width)] = (v - low) / (high - low || 1);
    });
  }
  return picture(document.createElement("canvas"), out, 1, rows * (height + 1), wide, width > 12 ? 2 : 4);
}
