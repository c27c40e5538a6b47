// Where something is written in a picture.
import { localityNms, rotatedBox } from "../quads.js";
import { make, pictures, planes } from "../ui.js";

export async function compute(nets, facts, { pixels }) {
  const { answers } = await nets.look({ image: { data: pixels, dims: [1, facts.channels, facts.size, facts.size] } });
  const [, , tall, wide] = answers.dims, plane = tall * wide, quads = [], scores = [];
  for (let i = 0; i < plane; i++) {
    const score = 1 / (1 + Math.exp(-answers.data[i]));
    if (score <= facts.threshold) continue;
    const said = [1, 2, 3, 4, 5].map((k) => answers.data[k * plane + i]);
    scores.push(score);
    quads.push(rotatedBox(said.slice(0, 4), said[4], [facts.stride * ((i % wide) + 0.5), facts.stride * (Math.floor(i / wide) + 0.5)]));
  }
  const texts = localityNms(quads, scores, facts.merge, facts.overlap).filter((one) => one.number >= facts.votes)
    .map(({ quad, votes, number }) => ({ quad, score: votes / number })).sort((a, b) => b.score - a.score);
  return { texts };
}

export async function open(host, room, run) {
  const { size } = room.facts, canvas = make("canvas", { width: size, height: size, className: "smooth" }), told = make("p", { className: "facts" });
  canvas.style.width = `${Math.max(size, 384)}px`;
  const chosen = async (image) => {
    const shrink = size / Math.max(image.naturalWidth, image.naturalHeight), context = canvas.getContext("2d");
    const [wide, tall] = [image.naturalWidth, image.naturalHeight].map((v) => Math.max(1, Math.round(v * shrink)));
    context.fillStyle = "#7f7f7f"; context.fillRect(0, 0, size, size); // grey around it, as in training
    context.imageSmoothingQuality = "high";
    context.drawImage(image, Math.floor((size - wide) / 2), Math.floor((size - tall) / 2), wide, tall);
    const { texts } = await run({ pixels: planes(canvas, size, size) });
    context.strokeStyle = "#e33"; context.lineWidth = 2; context.lineJoin = "round";
    for (const { quad } of texts) { context.beginPath(); quad.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](x, y)); context.closePath(); context.stroke(); }
    told.textContent = texts.length ? `${texts.length} found, at scores of ${texts.map(({ score }) => score.toFixed(2)).join(", ")}.` : "Nothing found.";
  };
  host.append(pictures(room, chosen), make("div", { className: "row" }, canvas, make("div", { className: "col" }, told,
    make("p", { className: "facts" }, "It was trained on words drawn on photographs, at most a quarter turn from upright."))));
}
