// Networks as ONNX, run by onnxruntime's WebAssembly on one thread; no request goes to another host.
let runtime = null;

async function ort() {
  if (!runtime) {
    runtime = await import("./runtime/ort.wasm.min.mjs");
    runtime.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
    runtime.env.wasm.numThreads = 1;
    runtime.env.logLevel = "error";
  }
  return runtime;
}

// The networks of a room by name: functions from {input: {data, dims}} to {output: {data, dims}}.
export async function load(room) {
  const { InferenceSession, Tensor } = await ort();
  const nets = {};
  for (const [name, graph] of Object.entries(room.graphs)) {
    const bytes = await bytesOf(graph.file, graph.sha256);
    const session = await InferenceSession.create(bytes, { graphOptimizationLevel: "all", logSeverityLevel: 3 });
    const missing = [...graph.inputs.filter((n) => !session.inputNames.includes(n)), ...graph.outputs.filter((n) => !session.outputNames.includes(n))];
    if (missing.length) throw new Error(`${graph.file} is another network: it has no ${missing[0]}`);
    nets[name] = async (given) => {
      const feeds = {};
      for (const input of session.inputNames) feeds[input] = tensor(Tensor, given[input]);
      const answer = await session.run(feeds);
      return Object.fromEntries(session.outputNames.map((n) => [n, { data: answer[n].data, dims: answer[n].dims }]));
    };
  }
  return nets;
}

function tensor(Tensor, { data, dims, whole }) {
  return whole ? new Tensor("int64", BigInt64Array.from(data, (n) => BigInt(n)), dims) : new Tensor("float32", Float32Array.from(data), dims);
}

async function bytesOf(file, digest) {
  const answer = await fetch(file);
  if (!answer.ok) throw new Error(`${file} is not there`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (globalThis.crypto?.subtle) { // there on localhost and over https
    const hash = [...new Uint8Array(await crypto.subtle.digest("SHA-256", bytes))].map((b) => b.toString(16).padStart(2, "0")).join("");
    if (hash !== digest) throw new Error(`${file} is not the file that this page was made with`);
  }
  return bytes;
}

// Probabilities of scores.
export function softmax(scores) {
  const top = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  const raised = Array.from(scores, (s) => Math.exp(s - top));
  const sum = raised.reduce((a, b) => a + b, 0);
  return raised.map((r) => r / sum);
}
