// A part of a photograph, enlarged by the bicubic kernel and by the network.
import { enlarged, rgb, ycbcr } from "../bicubic.js";
import { make, picture, pictures, planes } from "../ui.js";

const MOST = 320; // the longer side of what a part is chosen from

export async function compute(nets, facts, { pixels }) {
  const side = facts.part, plane = side * side, scale = facts.scales[0], large = (side * scale) ** 2;
  const split = (data, length) => [0, 1, 2].map((c) => Float32Array.from(data.slice(c * length, (c + 1) * length)));
  const colours = split(pixels, plane), net = nets[`x${scale}`];
  const kernel = colours.map((one) => enlarged(one, side, side, scale));
  let restored;
  if (facts.channels === 1) { // luminance by the network, colours by the kernel
    const [y, cb, cr] = ycbcr(colours);
    const { high } = await net({ low: { data: y, dims: [1, 1, side, side] } });
    restored = rgb([high.data, enlarged(cb, side, side, scale), enlarged(cr, side, side, scale)]);
  } else {
    const { high } = await net({ low: { data: pixels, dims: [1, 3, side, side] } });
    restored = split(high.data, large);
  }
  const whole = (parts) => { const out = new Float32Array(3 * large); parts.forEach((one, c) => out.set(one, c * large)); return out; };
  return { kernel: whole(kernel), network: whole(restored), side: side * scale };
}

export async function open(host, room, run) {
  const { facts } = room, side = facts.part, scale = facts.scales[0];
  const map = make("canvas", { tabIndex: 0, ariaLabel: "the photograph: click, or use the arrow keys, to choose a part" });
  const views = ["as it is", "bicubic", room.name].map((name) => ({ name, canvas: make("canvas", {}) }));
  let image = null, place = [0, 0], size = [side, side];
  const show = async () => {
    const context = map.getContext("2d");
    context.drawImage(image, 0, 0, ...size);
    const data = planes(map, ...size), [wide, tall] = size, pixels = new Float32Array(3 * side * side);
    for (let c = 0; c < 3; c++) for (let y = 0; y < side; y++) for (let x = 0; x < side; x++)
      pixels[(c * side + y) * side + x] = data[(c * tall + place[1] + y) * wide + place[0] + x];
    context.strokeStyle = "#e33"; context.lineWidth = 2; context.strokeRect(...place, side, side);
    const got = await run({ pixels });
    picture(views[0].canvas, pixels, 3, side, side, 256 / side);
    picture(views[1].canvas, got.kernel, 3, got.side, got.side, 256 / got.side);
    picture(views[2].canvas, got.network, 3, got.side, got.side, 256 / got.side);
  };
  const go = (x, y) => { place = [x, y].map((v, k) => Math.round(Math.min(size[k] - side, Math.max(0, v)))); if (image) show(); };
  map.addEventListener("pointerdown", (event) => {
    const box = map.getBoundingClientRect();
    go(((event.clientX - box.left) * map.width) / box.width - side / 2, ((event.clientY - box.top) * map.height) / box.height - side / 2);
  });
  map.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -8], ArrowDown: [0, 8] }[event.key];
    if (step) { event.preventDefault(); go(place[0] + step[0], place[1] + step[1]); }
  });
  const chosen = (given) => {
    const shrink = Math.max(side / Math.min(given.naturalWidth, given.naturalHeight), Math.min(1, MOST / Math.max(given.naturalWidth, given.naturalHeight)));
    image = given;
    size = [given.naturalWidth, given.naturalHeight].map((v) => Math.max(side, Math.round(v * shrink)));
    [map.width, map.height] = size;
    go((size[0] - side) / 2, (size[1] - side) / 2);
  };
  host.append(pictures(room, chosen), make("figure", {}, map, make("figcaption", {}, "Choose a part by clicking.")),
    make("div", { className: "row" }, ...views.map(({ name, canvas }) => make("figure", {}, canvas, make("figcaption", {}, `${name}${name === "as it is" ? "" : `, ${scale} times as large`}`)))));
}
