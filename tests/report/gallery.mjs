// What the gallery's pages compute by themselves, as JSON: run by node with the folder of the pages and what to compute.
const [, , folder, given] = process.argv;
const from = (name) => import(`${folder}/${name}`);
const asked = JSON.parse(given);
const { centred } = await from("centred.js");
const { enlarged, ycbcr, rgb } = await from("bicubic.js");
const { localityNms, rotatedBox } = await from("quads.js");
const { tokenise } = await from("words.js");
const { between, latent } = await from("chance.js");
const { softmax } = await from("net.js");

const { codec } = await from("bpe.js");
const sentence = await from("rooms/sentence.js");
const { faster, levels } = await from("rooms/sound.js");
const attributes = await from("rooms/attributes.js");
const bpe = codec(asked.bpe);

// a translator that writes its source again, and looks at what it writes; then it ends, or never does
const repeating = (ends) => ({ next: async ({ source, target }) => {
  const t = target.data.length - 1, at = t < source.data.length - 1 ? source.data[t] : ends ? 2 : 5, scores = new Float32Array(asked.bpe.vocabulary.length);
  scores[at] = 3; scores[0] = 9; scores[1] = 9; // padding and a second begin are never written
  return { scores: { data: scores }, attention: { data: Float32Array.from(source.data, (_, i) => Number(i === t)) } };
} });
const language = { ...asked.bpe, start: 1, end: 2, never: [0, 1], more: 4, positions: 40 };
// a network that sees the first of two attributes, and adds to a picture of one pixel how many are asked for
const counted = {
  see: async () => ({ attributes: { data: [1, 0] } }),
  change: async ({ image, attributes: { data } }) => ({ changed: { data: [image.data[0] + data[0] + data[1]] } }),
};

const write = await from("rooms/write.js");
const facts = { words: ["<unk>", "a", "b", "\n"], unit: "character", states: { state0: [1, 1] }, first: 3 };
// a network that counts its tokens in its state and finds "a" and "b" likeliest in turn
const counting = { read: async ({ token, state0 }) => {
  const count = state0.data[0] + 1;
  return { scores: { data: Float32Array.from([9, count % 2 ? 2 : 1, count % 2 ? 1 : 2, 0]) }, next0: { data: [count], dims: [1, 1, 1] }, token };
} };

console.log(JSON.stringify({
  centred: asked.drawings.map(([ink, height, width]) => Array.from(centred(ink, height, width))),
  enlarged: asked.planes.map(([plane, height, width, scale]) => Array.from(enlarged(plane, height, width, scale))),
  ycbcr: ycbcr(asked.colours).map((one) => Array.from(one)),
  rgb: rgb(ycbcr(asked.colours)).map((one) => Array.from(one)),
  kept: localityNms(asked.quads, asked.scores, 0.3, 0.2),
  box: rotatedBox([1, 2, 3, 4], 0.5, [10, 20]),
  words: asked.texts.map(tokenise),
  between: [0, 0.25, 1].map((part) => between(asked.ends[0], asked.ends[1], part, { prior: "normal" })),
  normal: latent({ latent: 2000, prior: "normal" }, 1),
  uniform: latent({ latent: 2000, prior: "uniform", low: 0 }, 1),
  softmax: softmax([1, 2, 1000]),
  written: await write.compute(counting, facts, { prompt: "ab", length: 4, temperature: 0 }),
  encoded: asked.sentences.map(bpe.encode),
  decoded: asked.rows.map(bpe.decode),
  repeated: await sentence.compute(repeating(true), language, { text: asked.sentences[0] }),
  endless: await sentence.compute(repeating(false), language, { text: asked.sentences[0] }),
  blank: await sentence.compute(repeating(true), language, { text: " " }),
  long: await sentence.compute(repeating(true), { ...language, positions: 3 }, { text: "abc def ghi" }).catch((error) => error.message),
  faster: [faster([0, 2, -2], 4000), faster([0, 2, -2], 16000)].map(({ sound, rate }) => [Array.from(sound), rate]),
  levels: levels(asked.tone),
  click: levels(Array.from({ length: 256 }, (_, i) => Number(i === 64))),
  asked: [[0, true], [0, false], [3, true], [2, true]].map(([which, given]) => attributes.asked([0, 1, 0, 1], which, given, [[0, 1, 2]])),
  changed: [await attributes.compute(counted, {}, { pixels: [5] }), await attributes.compute(counted, {}, { pixels: [5], wanted: [1, 1] })],
  strange: await write.compute(counting, facts, { prompt: "axbx", length: 4 }),
}));
