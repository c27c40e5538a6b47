// A composed picture, a question about it, and the likeliest answers.
import { softmax } from "../net.js";
import { bars, make, pictures, planes, square } from "../ui.js";
import { tokenise } from "../words.js";

const COLOURS = { red: "#ff0000", green: "#00ff00", blue: "#0000ff", black: "#000000", gray: "#808080", teal: "#008080", brown: "#8b4513", yellow: "#ffff00" };
const SHAPES = ["circle", "rectangle", "triangle"];

export async function compute(nets, facts, { pixels, text }) {
  const words = tokenise(text), numbers = words.map((word) => facts.words.indexOf(word)).map((n) => (n < 0 ? facts.unknown : n));
  const unknown = words.filter((_, i) => numbers[i] === facts.unknown);
  if (unknown.length === words.length) return { probabilities: [], unknown }; // nothing to go by
  const image = { data: pixels, dims: [1, facts.channels, facts.size, facts.size] };
  const { logits } = await nets.ask({ image, question: { data: numbers, dims: [1, numbers.length], whole: true } });
  return { probabilities: softmax(logits.data), unknown };
}

export async function open(host, room, run) {
  const { facts } = room, canvas = make("canvas", { width: facts.size, height: facts.size }), context = canvas.getContext("2d");
  canvas.style.width = "256px";
  const answer = make("div", {}), told = make("p", { className: "facts" });
  const choice = (name, values) => { const select = make("select", {}, ...values.map((v) => make("option", {}, v))); select.addEventListener("change", compose); return [select, make("label", {}, name, select)]; };
  const text = make("input", { type: "text", value: "what color is the shape?", ariaLabel: "the question" });
  let pixels = null;
  const ask = async () => {
    if (!pixels || !text.value.trim()) return;
    const got = await run({ pixels, text: text.value });
    told.textContent = got.unknown.length ? `The model does not know ${got.unknown.join(", ")}.` : "";
    if (got.probabilities.length) bars(answer, facts.names, got.probabilities, 5);
    else answer.replaceChildren("It knows none of these words.");
  };
  function compose() {
    const [shape, colour, where] = [shapes[0].value, colours[0].value, places[0].value], third = facts.size / 3;
    const [x, y] = [third * (1.5 + 0.6 * ({ left: -1, right: 1 }[where] ?? 0)), third * (1.5 + 0.6 * ({ top: -1, bottom: 1 }[where] ?? 0))], r = third * 0.75;
    context.fillStyle = "#e6e6f0"; context.fillRect(0, 0, facts.size, facts.size);
    context.fillStyle = COLOURS[colour];
    context.beginPath();
    if (shape === "circle") context.arc(x, y, r, 0, 7);
    if (shape === "rectangle") context.rect(x - r, y - r * 0.8, 2 * r, 1.6 * r);
    if (shape === "triangle") { context.moveTo(x, y - r); context.lineTo(x + r, y + r); context.lineTo(x - r, y + r); }
    context.fill();
    pixels = planes(canvas, facts.size, facts.size);
    return ask();
  }
  const shapes = choice("shape", SHAPES), colours = choice("colour", Object.keys(COLOURS)), places = choice("where", ["middle", "left", "right", "top", "bottom"]);
  text.addEventListener("input", ask);
  const chosen = (image) => { pixels = square(image, facts.size); context.drawImage(image, 0, 0, facts.size, facts.size); ask(); };
  host.append(make("div", { className: "row" }, canvas, make("div", { className: "col" }, shapes[1], colours[1], places[1], make("label", {}, "question", text), told, answer)),
    pictures({ ...room, examples: [] }, chosen));
  await compose();
}
