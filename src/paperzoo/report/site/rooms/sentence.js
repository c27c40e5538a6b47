// A sentence in another language, the likeliest piece each time, and where the network looked for each.
import { codec } from "../bpe.js";
import { softmax } from "../net.js";
import { button, make } from "../ui.js";

const CELL = 22, SAID = { pt: "este é o primeiro livro que eu fiz." };

export async function compute(nets, facts, { text }) {
  const { encode, decode } = codec(facts), { start, end, never } = facts;
  if (!text.trim()) return { text: "", tokens: [], source: [], attention: [], score: 0 };
  const source = [...encode(text), end], longest = Math.min(source.length + facts.more, facts.positions);
  if (source.length > facts.positions) throw new Error(`the sentence has ${source.length} pieces, more than the model's ${facts.positions} positions`);
  const tokens = [], attention = [], read = { data: source, dims: [1, source.length], whole: true };
  let score = 0;
  for (;;) {
    const target = [start, ...tokens];
    const told = await nets.next({ source: read, target: { data: target, dims: [1, target.length], whole: true } });
    const shares = softmax(Array.from(told.scores.data));
    let best = tokens.length === longest - 1 ? end : -1; // there is no room for another piece
    if (best < 0) for (let w = 0; w < shares.length; w++) if (!never.includes(w) && (best < 0 || shares[w] > shares[best])) best = w;
    score += Math.log(shares[best]);
    attention.push(Array.from(told.attention.data));
    if (best === end) break;
    tokens.push(best);
  }
  const seen = (ids) => ids.map((id) => (id === end ? "■" : decode([id])));
  return { text: decode(tokens), tokens, source: seen(source), pieces: seen([...tokens, end]), attention, score };
}

export async function open(host, room, run) {
  const { facts } = room, [from, to] = facts.languages;
  const input = make("textarea", { rows: 2, value: SAID[from.slice(0, 2).toLowerCase()] ?? "", ariaLabel: `a sentence in ${from}` });
  const out = make("p", { ariaLive: "polite" }), told = make("p", { className: "facts" }), map = make("canvas", { className: "smooth" });
  const seen = make("figure", { hidden: true }, map,
    make("figcaption", {}, "Where the last layer looked: a row a piece that was written, a column a piece of the sentence; ■ is its end."));
  const translate = async () => {
    out.textContent = "…";
    try {
      const got = await run({ text: input.value });
      out.textContent = got.text;
      told.textContent = got.tokens.length ? `log p of this translation: ${got.score.toFixed(2)}.` : "";
      seen.hidden = !got.tokens.length;
      draw(map, got);
    } catch (error) {
      seen.hidden = true;
      [out.textContent, told.textContent] = ["", error.message];
    }
  };
  host.append(make("div", { className: "row" },
    make("div", { className: "col" }, make("label", {}, `In ${from}`, input), button(`translate to ${to}`, translate), out, told),
    seen));
  if (input.value) await translate();
}

function draw(canvas, { source, pieces = [], attention }) {
  const context = canvas.getContext("2d"), left = 90;
  canvas.width = left + CELL * source.length; canvas.height = left + CELL * pieces.length;
  const ink = getComputedStyle(canvas).color;
  const write = (text, x, y, turn) => { context.save(); context.translate(x, y); context.rotate(turn); context.fillText(text, 0, 0); context.restore(); };
  Object.assign(context, { fillStyle: ink, font: "13px system-ui, sans-serif" });
  source.forEach((piece, i) => write(piece, left + CELL * i + 15, left - 6, -Math.PI / 2));
  pieces.forEach((piece, i) => { context.textAlign = "right"; write(piece, left - 6, left + CELL * i + 15, 0); });
  attention.forEach((row, y) => row.forEach((share, x) => {
    context.fillStyle = `rgba(64, 81, 181, ${share})`;
    context.fillRect(left + CELL * x, left + CELL * y, CELL - 1, CELL - 1);
  }));
}
