// A generator of sounds: eight pads, each a latent vector, played and drawn; and what lies between two of them.
import { between, latent } from "../chance.js";
import { button, make, slider } from "../ui.js";

const PADS = 8, WIDTH = 480, HEIGHT = 110, WINDOW = 128;

export async function compute(nets, facts, { z }) {
  const { sound } = await nets.generate({ z: { data: z, dims: [1, facts.latent] } });
  return { sound: Float32Array.from(sound.data, (v) => Math.min(1, Math.max(-1, v))), dims: sound.dims };
}

export async function open(host, room, run) {
  const { facts } = room, wave = make("canvas", { width: WIDTH, height: HEIGHT, className: "smooth" }), heat = make("canvas", { className: "smooth" });
  let seed = 1, pad = 0, part = 0, context = null;
  const at = (k) => latent(facts, PADS * seed + (k % PADS));
  const show = async (heard) => {
    const { sound } = await run({ z: between(at(pad), at(pad + 1), part, facts) });
    const one = sound.subarray(0, facts.length); // the first channel
    draw(wave, one);
    spectrogram(heat, one);
    if (heard) {
      context ??= new AudioContext();
      play(context, one, facts.rate);
    }
  };
  const pads = Array.from({ length: PADS }, (_, k) => button(`${k + 1}`, () => strike(k)));
  const way = slider("from this sound to the next", 0, 1, 0.05, 0, (value) => { part = value; });
  const change = way.querySelector("input");
  change.addEventListener("change", () => show(true));
  const strike = (k) => {
    [pad, part, change.value] = [k, 0, 0];
    pads.forEach((one, i) => one.setAttribute("aria-pressed", i === k));
    return show(true);
  };
  host.addEventListener("keydown", (event) => { if (event.key >= "1" && event.key <= `${PADS}` && !event.ctrlKey && !event.metaKey) strike(Number(event.key) - 1); });
  host.append(make("div", { className: "row words" }, ...pads, button("others", () => { seed += 1; strike(0); })),
    make("div", { className: "row" },
      make("figure", {}, wave, make("figcaption", {}, `${(facts.length / facts.rate).toFixed(2)} seconds at ${facts.rate.toLocaleString("en")} samples a second. Press a pad, or a key from 1 to ${PADS}.`)),
      make("figure", {}, heat, make("figcaption", {}, `Its spectrogram: time to the right, from 0 to ${(facts.rate / 2).toLocaleString("en")} Hz upwards, 60 dB from light to dark.`))), way);
  await show(false); // a browser plays nothing before it is asked to
}

// Browsers need not take fewer than 8,000 samples a second: below that there are several to one, on straight lines.
export function faster(sound, rate, least = 8000) {
  const times = Math.ceil(least / rate);
  const out = Float32Array.from({ length: sound.length * times }, (_, i) => {
    const k = Math.floor(i / times), share = (i % times) / times;
    return (1 - share) * sound[k] + share * sound[Math.min(k + 1, sound.length - 1)];
  });
  return { sound: out, rate: rate * times };
}

function play(context, sound, rate) {
  const quick = faster(sound, rate), buffer = context.createBuffer(1, quick.sound.length, quick.rate);
  buffer.copyToChannel(quick.sound, 0);
  const source = context.createBufferSource();
  source.buffer = buffer;
  source.connect(context.destination);
  source.start();
}

function draw(canvas, sound) {
  const context = canvas.getContext("2d"), middle = canvas.height / 2;
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.strokeStyle = "#4051b5";
  context.beginPath();
  sound.forEach((v, i) => context[i ? "lineTo" : "moveTo"]((i * canvas.width) / sound.length, middle * (1 - v)));
  context.stroke();
}

// Decibels below the loudest, frames of WINDOW samples with Hann's window, half of each shared with the next: rows of WINDOW / 2 + 1.
export function levels(sound) {
  const frames = [], half = WINDOW / 2;
  for (let first = 0; first + WINDOW <= sound.length; first += half) {
    const row = new Float64Array(half + 1);
    for (let f = 0; f <= half; f++) {
      let re = 0, im = 0;
      for (let t = 0; t < WINDOW; t++) {
        const v = sound[first + t] * (0.5 - 0.5 * Math.cos((2 * Math.PI * t) / WINDOW)), angle = (2 * Math.PI * f * t) / WINDOW;
        re += v * Math.cos(angle); im -= v * Math.sin(angle);
      }
      row[f] = re * re + im * im;
    }
    frames.push(row);
  }
  const top = Math.max(1e-12, ...frames.map((row) => Math.max(...row)));
  return frames.map((row) => Array.from(row, (v) => 10 * Math.log10(Math.max(v / top, 1e-12))));
}

function spectrogram(canvas, sound) {
  const frames = levels(sound), bands = WINDOW / 2 + 1, image = new ImageData(frames.length, bands);
  frames.forEach((row, x) => row.forEach((level, f) => {
    const dark = Math.round(255 * Math.min(1, Math.max(0, -level / 60)));
    image.data.set([dark, dark, Math.max(dark, 90), 255], 4 * ((bands - 1 - f) * frames.length + x));
  }));
  [canvas.width, canvas.height] = [frames.length, bands];
  canvas.style.width = `${WIDTH}px`; canvas.style.height = `${HEIGHT}px`;
  canvas.getContext("2d").putImageData(image, 0, 0);
}
