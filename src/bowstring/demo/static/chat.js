// The page: joins a room, shows what is said, and keeps what could not be sent until the line is back.
// Everything that people typed goes into the page as text, never as markup.

import { Chart, duration } from "./chart.js";
import { Link } from "./link.js";
import { Log } from "./log.js";

const EMOJI = "😀 😂 😊 😍 🤔 😅 😭 😎 👍 👎 👏 🙏 🎉 🚀 🔥 ✅ ❌ 👀 💡 🏹 ☕ 🐍 🧵 ❤️".split(" ");
const TINTS = 8;

const $ = (id) => document.getElementById(id);

// Who we are. Token and last message bring us back to our name and to what we missed.
const me = { nick: "", room: "", token: null, epoch: null };
const people = new Map(); // nick -> { rtt, away, tint }
const pending = new Map(); // ref -> text, said and not yet seen to arrive
let joined = false;
let unread = 0;
let rttShown;
let bannerTimer = 0;

const chart = new Chart($("chart"));
const log = new Log($("log"), $("newest"));
const link = new Link(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`, {
  onConnecting() {
    status("Connecting", "waiting");
    if (joined) banner("Connecting …", { busy: true });
  },
  onOpen: join,
  onEvent(event) {
    handlers[event.type]?.(event);
  },
  onRtt(rtt) {
    showRtt(rtt);
  },
  onDown(delay) {
    status("Offline", "down");
    showRtt(undefined);
    if (joined) countDown(delay);
    else {
      link.close();
      showDoor("The server does not answer. Is it running?");
    }
  },
  onEnd(code, reason) {
    status("Offline", "down");
    if (code === 4001) banner("You went on in another window.", { retry: "Come back here" });
    else if (code !== 1000) banner(`The server ended the connection: ${reason || code}.`, { retry: "Join again" });
  },
});

const handlers = {
  welcome(event) {
    const other = !joined || event.room !== me.room;
    if (event.room !== me.room) pending.clear();
    const restarted = !other && me.epoch !== null && event.epoch !== me.epoch;
    Object.assign(me, { nick: event.nick, room: event.room, token: event.token, epoch: event.epoch });
    joined = true;
    link.settled();
    remember();
    if (other) enterRoom();
    else banner("Back online.", { fade: true });
    log.me = me.nick;
    if (restarted) log.note("The server was started anew. What was said before is only on this page.");
    if (event.missed) log.note("Some messages were missed.");
    event.messages.forEach(handlers.message);
    showPeople(event.people);
    status("Connected", "up");
    $("about").textContent = `Served by bowstring · codec ${event.twin}${event.simd === "none" ? "" : ` · ${event.simd}`}`;
    for (const [ref, text] of pending) {
      if (other) log.addPending(ref, text, tintOf(me.nick));
      link.send({ type: "say", text, ref });
    }
  },

  refused({ text, suggestion }) {
    link.close();
    showDoor(text, suggestion);
  },

  people(event) {
    showPeople(event.people);
    for (const [change, words] of Object.entries({ joined: "joined", left: "left", away: "lost the connection", back: "is back" })) {
      if (event[change]) log.note(`${event[change]} ${words}`);
    }
  },

  message(message) {
    pending.delete(message.ref);
    if (log.add(message, tintOf(message.nick)) && document.hidden && message.nick !== me.nick) unread += 1;
    title();
  },

  latency({ rtt }) {
    for (const [nick, person] of people) {
      person.rtt = nick === me.nick ? (rttShown ?? rtt[nick]) : rtt[nick];
      showLatency(nick, person);
    }
    chart.push(me.nick, people);
    const { median, worst } = chart.figures(me.nick);
    $("rtt-median").textContent = duration(median);
    $("rtt-worst").textContent = duration(worst);
    const spoken = [...people].map(([nick, { rtt: ms }]) => `${nick} ${duration(ms)}`).join(", ");
    $("chart").setAttribute("aria-label", `Round trips: ${spoken}`);
  },

  error({ reason, text, ref, retry }) {
    if (ref === undefined) {
      banner(text, { fade: true });
    } else if (reason === "rate") {
      setTimeout(() => pending.has(ref) && link.send({ type: "say", text: pending.get(ref), ref }), retry * 1000);
    } else {
      log.fail(ref, text, (words) => setDraft(words));
      pending.delete(ref);
    }
  },
};

function join() {
  const known = me.token === null ? {} : { token: me.token };
  const seen = joined && wantedRoom() === me.room ? { epoch: me.epoch, after: log.lastId } : {};
  link.send({ type: "join", nick: $("nick").value, room: wantedRoom(), ...known, ...seen });
}

function roomOfAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)) || (new URLSearchParams(location.search).get("room") ?? "");
  } catch {
    return ""; // a % that encodes nothing
  }
}

function wantedRoom() {
  return $("room").value.trim().replace(/^#/, "").toLowerCase();
}

// ---- the door

$("join-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const missing = !$("nick").value.trim() ? $("nick") : !wantedRoom() ? $("room") : null;
  if (missing) {
    doorError(missing === $("nick") ? "Please type a name." : "Please type a room.");
    missing.focus();
    return;
  }
  doorError("");
  link.open();
});

$("suggestion").addEventListener("click", () => {
  $("nick").value = $("suggestion").dataset.nick;
  $("join-form").requestSubmit();
});

function showDoor(error = "", suggestion = "") {
  joined = false;
  $("chat").hidden = true;
  $("door").hidden = false;
  banner("");
  doorError(error);
  $("suggestion").hidden = !suggestion;
  $("suggestion").dataset.nick = suggestion;
  $("suggestion").textContent = suggestion ? `Use “${suggestion}” instead` : "";
  title();
  $("nick").focus();
  $("nick").select();
}

function doorError(text) {
  $("door-error").hidden = !text;
  $("door-error").textContent = text;
  $("nick").setAttribute("aria-invalid", String(Boolean(text)));
  if (!text) $("suggestion").hidden = true;
}

function enterRoom() {
  log.clear();
  chart.clear();
  people.clear();
  $("door").hidden = true;
  $("chat").hidden = false;
  $("room-name").textContent = `#${me.room}`;
  $("room").value = me.room;
  if (roomOfAddress() !== me.room) history.replaceState(null, "", `/#${encodeURIComponent(me.room)}`);
  banner("");
  title();
  $("message").focus();
}

function remember() {
  $("nick").value = me.nick;
  sessionStorage.setItem("bowstring", JSON.stringify({ nick: me.nick, room: me.room, token: me.token }));
  localStorage.setItem("bowstring-nick", me.nick);
}

$("leave").addEventListener("click", () => {
  link.send({ type: "leave" });
  link.close();
  sessionStorage.removeItem("bowstring");
  Object.assign(me, { token: null, epoch: null });
  pending.clear();
  showDoor();
});

addEventListener("hashchange", () => {
  const room = roomOfAddress();
  if (!room || room === me.room) return;
  $("room").value = room;
  if (link.isOpen) join();
});

// ---- writing

$("say-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("message").value.trim();
  if (!text) return;
  const ref = Array.from(crypto.getRandomValues(new Uint32Array(4)), (n) => n.toString(36)).join("");
  pending.set(ref, text);
  log.addPending(ref, text, tintOf(me.nick));
  if (joined) link.send({ type: "say", text, ref });
  setDraft("");
});

$("message").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    $("say-form").requestSubmit();
  }
});

$("message").addEventListener("input", fit);

function setDraft(text) {
  $("message").value = text;
  fit();
  $("message").focus();
}

function fit() {
  const box = $("message");
  box.style.height = "auto";
  box.style.height = `${box.scrollHeight}px`;
  const left = box.maxLength - box.value.length;
  $("left").textContent = left < 200 ? `${left} left` : "";
}

for (const emoji of EMOJI) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = emoji;
  button.addEventListener("click", () => {
    const box = $("message");
    box.setRangeText(emoji, box.selectionStart, box.selectionEnd, "end");
    $("emoji-list").hidePopover?.();
    setDraft(box.value);
  });
  $("emoji-list").append(button);
}

// ---- people

function showPeople(list) {
  const before = new Map(people);
  people.clear();
  for (const { nick, rtt, away } of list) {
    people.set(nick, { rtt: rtt ?? before.get(nick)?.rtt, away, tint: tintOf(nick) });
  }
  $("count").textContent = String(people.size);
  $("people").replaceChildren(...[...people].map(([nick, person]) => personItem(nick, person)));
}

function personItem(nick, person) {
  const item = document.createElement("li");
  item.dataset.nick = nick;
  item.className = `person tint-${person.tint}${person.away ? " away" : ""}`;
  const name = document.createElement("bdi");
  name.className = "name";
  name.textContent = nick;
  item.append(log.avatar(nick), name);
  if (nick === me.nick || person.away) {
    const tag = document.createElement("span");
    tag.className = "tag";
    tag.textContent = person.away ? "away" : "you";
    item.append(tag);
  }
  const rtt = document.createElement("span");
  rtt.className = "rtt";
  rtt.textContent = person.away ? "" : duration(person.rtt);
  item.append(rtt);
  return item;
}

function showLatency(nick, person) {
  const item = [...$("people").children].find((child) => child.dataset.nick === nick);
  if (item && !person.away) item.querySelector(".rtt").textContent = duration(person.rtt);
}

function showRtt(rtt) {
  rttShown = rtt;
  $("my-rtt").textContent = rtt === undefined ? "" : duration(rtt);
  $("rtt-now").textContent = duration(rtt);
  const person = people.get(me.nick);
  if (person) showLatency(me.nick, Object.assign(person, { rtt }));
}

function tintOf(nick) {
  let hash = 0;
  for (const character of nick) hash = (hash * 31 + character.codePointAt(0)) >>> 0;
  return (hash >>> 7) % TINTS;
}

// ---- status, banner, window

function status(text, state) {
  $("status").textContent = text;
  document.body.dataset.state = state;
}

function banner(text, { busy = false, retry = "", fade = false } = {}) {
  clearInterval(bannerTimer);
  $("banner").hidden = !text;
  $("banner").classList.toggle("busy", busy);
  $("banner").classList.toggle("good", fade);
  $("banner-text").textContent = text;
  $("banner-more").textContent = "";
  $("retry").hidden = !retry;
  $("retry").textContent = retry;
  if (fade) bannerTimer = setTimeout(() => banner(""), 2500);
}

function countDown(delay) {
  const end = performance.now() + delay;
  const show = () => {
    const seconds = Math.max(1, Math.ceil((end - performance.now()) / 1000));
    $("banner-more").textContent = `Next try in ${seconds} s`;
  };
  banner("Connection lost.", { busy: true, retry: "Try now" });
  show();
  bannerTimer = setInterval(show, 500);
}

function title() {
  document.title = joined ? `${unread ? `(${unread}) ` : ""}#${me.room} · bowstring chat` : "bowstring chat";
}

$("retry").addEventListener("click", () => link.retryNow());
addEventListener("online", () => joined && link.retryNow());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  unread = 0;
  title();
});

$("share").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(location.href);
    banner("The link to this room is in your clipboard.", { fade: true });
  } catch {
    prompt("The link to this room", location.href); // no clipboard outside of https and localhost
  }
});

$("toggle-side").addEventListener("click", () => {
  const open = $("toggle-side").getAttribute("aria-expanded") !== "true";
  $("toggle-side").setAttribute("aria-expanded", String(open));
  $("chat").classList.toggle("side-open", open);
});

// ---- start: a room from the address, a name from before; after a reload straight back in

const saved = JSON.parse(sessionStorage.getItem("bowstring") ?? "null");
$("nick").value = saved?.nick ?? localStorage.getItem("bowstring-nick") ?? "";
$("room").value = roomOfAddress() || saved?.room || "lobby";
if (saved) {
  $("door").hidden = true;
  me.token = saved.token;
  link.open();
} else {
  $("nick").focus();
}
