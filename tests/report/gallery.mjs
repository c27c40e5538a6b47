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
  strange: await write.compute(counting, facts, { prompt: "axbx", length: 4 }),
}));
