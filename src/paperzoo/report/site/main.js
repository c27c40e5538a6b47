// The gallery: which rooms there are, and the one that is open. Every room is a module of rooms/, named by its kind.
import { load } from "./net.js";
import { make } from "./ui.js";

const TITLES = {
  digit: "Draw a digit", latent: "Walk through latent space", enlarge: "Enlarge a photograph", caption: "Caption a picture",
  question: "Ask about a picture", write: "Write on", volume: "Turn a shape", text: "Find text", translate: "Translate a drawing",
  attributes: "Change a picture", sound: "Listen to sounds", sentence: "Translate a sentence",
};
const host = document.getElementById("room");
const opened = new Map(); // the networks of rooms that were opened, by id
let rooms = [];

async function begin() {
  rooms = await (await fetch("rooms.json")).json();
  const nav = document.getElementById("rooms");
  for (const room of rooms.rooms) nav.append(make("a", { href: `#${room.id}` }, `${TITLES[room.kind] ?? room.kind}: ${room.name}`));
  document.getElementById("weight").textContent =
    `Of this page: ${rooms.page} kB, the runtime ${(rooms.runtime / 1000).toFixed(1)} MB once, and each room what it says. ${rooms.notice}`;
  addEventListener("hashchange", show);
  await show();
}

async function show() {
  const id = decodeURIComponent(location.hash.slice(1));
  const room = rooms.rooms.find((one) => one.id === id) ?? (id ? null : rooms.rooms[0]);
  for (const link of document.querySelectorAll("#rooms a"))
    link.toggleAttribute("aria-current", room !== null && link.hash === `#${room.id}`);
  host.dataset.state = "loading";
  host.dataset.room = room?.id ?? "";
  if (!room) return sorry(`There is no room ${id}: choose one above.`);
  host.replaceChildren(make("p", {}, "Loading …"));
  try {
    const module = await import(`./rooms/${room.kind}.js`);
    const nets = await networks(room);
    if (host.dataset.room !== room.id) return; // another was opened meanwhile
    const time = make("span", {}, "");
    const facts = make("p", { className: "facts" }, `${room.title} (${room.year}). `, ...figure(room), ` Weights ${room.kilobytes} kB; `, time);
    const body = make("div", {});
    host.replaceChildren(make("h2", {}, TITLES[room.kind] ?? room.kind), facts, body);
    const compute = async (input) => {
      const start = performance.now();
      const answer = await module.compute(nets, room.facts, input);
      time.textContent = `${(performance.now() - start).toFixed(1)} ms here.`;
      return answer;
    };
    await module.open(body, room, compute);
    host.dataset.state = "ready";
  } catch (error) {
    sorry(`${room.name} could not be opened: ${error.message}`);
  }
}

function figure(room) {
  return room.figure ? [`${room.figure} `, make("a", { href: room.page }, room.status), "."] : [];
}

function sorry(sentence) {
  host.dataset.state = "failed";
  host.replaceChildren(make("p", { className: "sorry" }, sentence));
}

async function networks(room) {
  if (!opened.has(room.id)) opened.set(room.id, await load(room));
  return opened.get(room.id);
}

// what a room computes of an input, for whoever drives this page by a program
window.paperzoo = {
  async compute(id, input) {
    const room = rooms.rooms.find((one) => one.id === id);
    const module = await import(`./rooms/${room.kind}.js`);
    return module.compute(await networks(room), room.facts, input);
  },
};

begin().catch((error) => sorry(`The gallery could not be opened: ${error.message}`));
