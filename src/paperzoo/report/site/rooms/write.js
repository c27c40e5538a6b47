// A language model that goes on from what the visitor wrote, a character or a word at a time.
import { uniform } from "../chance.js";
import { softmax } from "../net.js";
import { button, make, slider } from "../ui.js";

const LENGTH = 600;

const zeros = (facts) => Object.fromEntries(Object.entries(facts.states).map(([name, [layers, size]]) => [name, { data: new Float32Array(layers * size), dims: [1, layers, size] }]));

async function step(nets, facts, token, state) {
  const told = await nets.read({ token: { data: [token], dims: [1], whole: true }, ...state });
  return [told.scores.data, Object.fromEntries(Object.keys(facts.states).map((name, i) => [name, told[`next${i}`]]))];
}

const pieces = (facts, text) => (facts.unit === "character" ? Array.from(text) : text.split(/\s+/).filter(Boolean));

// The scores of what follows a text, and the text that is written on from it; at temperature 0 the likeliest each time.
export async function compute(nets, facts, { prompt, length = LENGTH, temperature = 0.8, seed = 0, wrote = () => true }) {
  const draw = uniform(seed), strange = pieces(facts, prompt).filter((piece) => !facts.words.includes(piece));
  if (strange.length) return { text: prompt, scores: [], unknown: [...new Set(strange)] };
  let state = zeros(facts), scores = null, text = prompt;
  for (const token of [facts.first, ...pieces(facts, prompt).map((piece) => facts.words.indexOf(piece))]) [scores, state] = await step(nets, facts, token, state);
  const after = Array.from(scores);
  for (let t = 0; t < length; t++) {
    scores[0] = -Infinity; // <unk> is never written
    let token = scores.reduce((best, s, i) => (s > scores[best] ? i : best), 0);
    if (temperature > 0) {
      let rest = draw();
      const shares = softmax(Array.from(scores, (s) => s / temperature));
      token = shares.findIndex((share) => (rest -= share) < 0);
      if (token < 0) token = shares.length - 1;
    }
    text += facts.unit === "character" ? facts.words[token] : ` ${facts.words[token]}`;
    if (!(await wrote(text))) break;
    [scores, state] = await step(nets, facts, token, state);
  }
  return { text, scores: after, unknown: [] };
}

export async function open(host, room, run) {
  const prompt = make("textarea", { rows: 2, value: room.facts.unit === "character" ? "ROMEO.\n" : "", ariaLabel: "how the text begins" });
  const out = make("pre", {}), told = make("p", { className: "facts" });
  let temperature = 0.7, seed = 0, going = 0;
  const write = async () => {
    const own = ++going;
    seed += 1;
    const wrote = async (text) => {
      out.textContent = text;
      await new Promise((resume) => setTimeout(resume, 0)); // the page stays alive
      return own === going;
    };
    const got = await run({ prompt: prompt.value, temperature, seed, length: LENGTH, wrote });
    told.textContent = got.unknown.length ? `The model does not know ${got.unknown.map((c) => JSON.stringify(c)).join(", ")}.` : "";
  };
  host.append(make("div", { className: "row" },
    make("div", { className: "col" }, make("label", {}, "It begins with", prompt), slider("temperature", 0, 1.5, 0.1, temperature, (v) => { temperature = v; }),
      make("div", { className: "row" }, button("write", write), button("stop", () => { going += 1; })), told),
    make("div", { className: "col" }, out)));
  const got = await run({ prompt: prompt.value, temperature, seed, length: 80 });
  out.textContent = got.text;
}
