// What rooms are built of: elements, pictures, bars.
export function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// A canvas with a picture: planes (C, H, W) in [0, 1] as one array, drawn `zoom` times as large.
export function picture(canvas, data, channels, height, width, zoom = 1) {
  const image = new ImageData(width, height), plane = height * width;
  for (let i = 0; i < plane; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = Math.round(255 * Math.min(1, Math.max(0, data[(channels === 1 ? 0 : c) * plane + i])));
    image.data[4 * i + 3] = 255;
  }
  canvas.width = width; canvas.height = height;
  canvas.style.width = `${width * zoom}px`;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// Bars of shares in [0, 1], the greatest first if `most` is set; the greatest is set in bold.
export function bars(host, names, shares, most = 0) {
  let order = names.map((_, i) => i);
  const best = order.reduce((a, b) => (shares[b] > shares[a] ? b : a), 0);
  if (most) order = order.sort((a, b) => shares[b] - shares[a]).slice(0, most);
  host.className = "bars";
  host.replaceChildren(...order.flatMap((i) => [
    make(i === best ? "b" : "span", {}, names[i]), make("i", { style: `width:${100 * shares[i]}%` }), make("span", {}, `${(100 * shares[i]).toFixed(1)} %`),
  ]));
}

export function slider(name, low, high, step, value, changed) {
  const input = make("input", { type: "range", min: low, max: high, step, value });
  input.addEventListener("input", () => changed(Number(input.value)));
  return make("label", {}, name, input);
}

export function button(name, pressed) {
  const element = make("button", { type: "button" }, name);
  element.addEventListener("click", pressed);
  return element;
}

// Buttons with example pictures and a file of the visitor's: `chosen` is given an HTML image.
export function pictures(room, chosen) {
  const failed = make("p", { className: "sorry", hidden: true }, "That file is no picture that this browser reads.");
  const use = (source) => {
    const image = new Image();
    image.onload = () => { failed.hidden = true; chosen(image); };
    image.onerror = () => { failed.hidden = false; };
    image.src = source;
  };
  const file = make("input", { type: "file", accept: "image/*" });
  file.addEventListener("change", () => file.files[0] && use(URL.createObjectURL(file.files[0])));
  const row = make("div", { className: "row examples" }, ...room.examples.map((source, i) => {
    const one = button("", () => use(source));
    one.append(make("img", { src: source, alt: `example ${i + 1}` }));
    return one;
  }));
  if (room.examples.length) use(room.examples[0]);
  return make("div", {}, row, make("label", { className: "pick" }, "A picture of your own: ", file), failed);
}

// The pixels of an HTML image at this size, as planes (3, height, width) in [0, 1]; transparency on white.
export function planes(image, width, height) {
  const canvas = make("canvas", { width, height }), context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height), plane = width * height, out = new Float32Array(3 * plane);
  for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) out[c * plane + i] = data[4 * i + c] / 255;
  return out;
}

// The middle square of an HTML image, as planes (3, size, size).
export function square(image, size) {
  const short = Math.min(image.naturalWidth, image.naturalHeight);
  const canvas = make("canvas", { width: short, height: short }), context = canvas.getContext("2d");
  context.drawImage(image, (short - image.naturalWidth) / 2, (short - image.naturalHeight) / 2);
  return planes(canvas, size, size);
}
