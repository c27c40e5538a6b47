// A picture in words, the likeliest word each time, and where the network looked for each.
import { make, picture, pictures, square } from "../ui.js";

export async function compute(nets, facts, { pixels }) {
  let told = await nets.see({ image: { data: pixels, dims: [1, facts.channels, facts.size, facts.size] } });
  const kept = Object.fromEntries(facts.kept.map((name) => [name, told[name]]));
  const words = [], attention = [];
  let score = 0;
  for (let t = 0; t < facts.longest - 1; t++) {
    const scores = told.scores.data;
    let best = t === facts.longest - 2 ? facts.end : -1; // there is no room for another word
    if (best < 0) for (let w = 0; w < scores.length; w++) if (!facts.never.includes(w) && (best < 0 || scores[w] > scores[best])) best = w;
    score += scores[best];
    if (best === facts.end) break;
    words.push(facts.words[best]);
    if (told.attention) attention.push(Array.from(told.attention.data));
    const state = Object.fromEntries(facts.states.map((name, i) => [name, told[`next${i}`]]));
    told = await nets.say({ word: { data: [best], dims: [1], whole: true }, ...kept, ...state });
  }
  return { words, score, attention };
}

export async function open(host, room, run) {
  const { facts } = room, view = make("canvas", {}), words = make("div", { className: "row words" }), chance = make("p", { className: "facts" });
  let pixels = null;
  const base = () => picture(view, pixels, facts.channels, facts.size, facts.size, 320 / facts.size);
  const look = (attention) => { // brighter where it looked
    const [rows, columns] = facts.grid, shown = Float32Array.from(pixels), top = Math.max(...attention), plane = facts.size ** 2;
    for (let i = 0; i < plane; i++) {
      const row = Math.floor((Math.floor(i / facts.size) * rows) / facts.size), column = Math.floor(((i % facts.size) * columns) / facts.size);
      for (let c = 0; c < facts.channels; c++) shown[c * plane + i] *= 0.25 + (0.75 * attention[row * columns + column]) / top;
    }
    picture(view, shown, facts.channels, facts.size, facts.size, 320 / facts.size);
  };
  const chosen = async (image) => {
    pixels = square(image, facts.size);
    base();
    const got = await run({ pixels });
    const buttons = got.words.map((word, i) => {
      const one = make("button", { type: "button" }, word), on = () => { if (got.attention.length) { look(got.attention[i]); buttons.forEach((b) => b.setAttribute("aria-pressed", b === one)); } };
      one.addEventListener("pointerenter", on); one.addEventListener("focus", on); one.addEventListener("pointerleave", base);
      return one;
    });
    words.replaceChildren(...buttons);
    chance.textContent = `log p of this caption: ${got.score.toFixed(2)}. Point at a word to see where the network looked for it.`;
  };
  host.append(pictures(room, chosen), make("div", { className: "row" }, view, make("div", { className: "col" }, words, chance,
    make("p", { className: "facts" }, "It knows the scenes that it was trained on, and describes everything else as if it were one of them."))));
}
