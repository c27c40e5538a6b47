// A picture with other attributes: which it has is read off it, and each can be given or taken away.
import { make, picture, pictures, square } from "../ui.js";

const SIZE = 256;

export async function compute(nets, facts, { pixels, wanted = null }) {
  const image = { data: pixels, dims: [1, facts.channels, facts.size, facts.size] };
  const seen = Array.from((await nets.see({ image })).attributes.data);
  const { changed } = await nets.change({ image, attributes: { data: wanted ?? seen, dims: [1, seen.length] } });
  return { seen, pixels: changed.data };
}

// The attributes with one of them given or taken away; of a group that excludes each other the others go.
export function asked(attributes, which, given, groups) {
  const rivals = given ? groups.filter((group) => group.includes(which)).flat() : [];
  return attributes.map((has, k) => (k === which ? Number(given) : rivals.includes(k) ? 0 : has));
}

export async function open(host, room, run) {
  const { facts } = room, zoom = SIZE / facts.size, before = make("canvas", {}), after = make("canvas", {});
  let pixels = null, wanted = null;
  const boxes = facts.attributes.map((name, k) => {
    const box = make("input", { type: "checkbox" });
    box.addEventListener("change", () => { wanted = asked(wanted, k, box.checked, facts.groups); show(); });
    return box;
  });
  const show = async () => {
    const got = await run({ pixels, wanted });
    wanted ??= got.seen;
    wanted.forEach((has, k) => { boxes[k].checked = has > 0; });
    picture(after, got.pixels, facts.channels, facts.size, facts.size, zoom);
  };
  const chosen = (image) => {
    [pixels, wanted] = [square(image, facts.size), null];
    picture(before, pixels, facts.channels, facts.size, facts.size, zoom);
    return show();
  };
  host.append(pictures(room, chosen), make("div", { className: "row" },
    make("figure", {}, before, make("figcaption", {}, "The picture. What it has is ticked by the discriminator.")),
    make("figure", {}, after, make("figcaption", {}, "What the generator makes of it with what is ticked.")),
    make("div", { className: "col" }, ...facts.attributes.map((name, k) => make("label", {}, boxes[k], ` ${name}`)))));
}
