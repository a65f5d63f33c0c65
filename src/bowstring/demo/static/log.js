// The messages of a room: grouped by who said them, each once, in the order of the server.

const KEEP = 400; // entries in the page
const TOGETHER = 3 * 60_000; // ms within which messages of one person stand under one name
const graphemes = typeof Intl.Segmenter === "function" ? new Intl.Segmenter() : null;

export class Log {
  me = "";
  lastId = 0;
  #box;
  #newest;
  #following = true;
  #known = new Set(); // nick and ref of what is shown
  #pending = new Map(); // ref -> entry

  constructor(box, newest) {
    this.#box = box;
    this.#newest = newest;
    box.addEventListener("scroll", () => {
      this.#following = this.#atEnd;
      if (this.#following) newest.hidden = true;
    });
    newest.addEventListener("click", () => this.#toEnd());
    new ResizeObserver(() => this.#following && this.#toEnd()).observe(box); // as when a keyboard comes up
  }

  clear() {
    this.#box.replaceChildren();
    this.#known.clear();
    this.#pending.clear();
    this.lastId = 0;
  }

  // Shows a message; false when it is here already.
  add({ id, nick, text, time, ref }, tint) {
    this.lastId = id;
    const key = `${ref} ${nick}`;
    if (this.#known.has(key)) return false;
    this.#known.add(key);
    if (nick === this.me) {
      this.#pending.get(ref)?.remove();
      this.#pending.delete(ref);
    }
    this.#insert(this.#entry(nick, text, time, tint), nick !== this.me);
    return true;
  }

  // Shows a message of ours that has not arrived yet, behind all that have.
  addPending(ref, text, tint) {
    const entry = this.#entry(this.me, text, Date.now(), tint);
    entry.classList.add("pending");
    this.#pending.set(ref, entry);
    this.#insert(entry, false);
  }

  // The server will not have it: says why, and offers the words back.
  fail(ref, why, edit) {
    const entry = this.#pending.get(ref);
    if (!entry) return;
    this.#pending.delete(ref);
    entry.classList.replace("pending", "failed");
    const words = entry.querySelector(".text").textContent;
    const button = node("button", "quiet", "Edit");
    button.type = "button";
    button.addEventListener("click", () => {
      entry.remove();
      edit(words);
    });
    const line = node("p", "why", `Not sent. ${why} `);
    line.append(button);
    entry.querySelector(".body").append(line);
  }

  // A line that nobody said.
  note(text) {
    this.#insert(node("p", "note", text), false);
  }

  avatar(nick) {
    const first = graphemes ? [...graphemes.segment(nick)][0].segment : [...nick][0];
    const avatar = node("span", "avatar", first.toLocaleUpperCase());
    avatar.setAttribute("aria-hidden", "true");
    return avatar;
  }

  #entry(nick, text, time, tint) {
    const entry = node("article", `entry tint-${tint}${nick === this.me ? " mine" : ""}`);
    entry.dataset.nick = nick;
    entry.dataset.time = time;
    const when = new Date(time);
    const clock = node("time", "", when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    clock.dateTime = when.toISOString();
    clock.title = when.toLocaleString();
    const head = node("p", "head");
    head.append(node("bdi", "name", nick), clock);
    const words = node("p", `text${onlyEmoji(text) ? " big" : ""}`, text);
    words.dir = "auto";
    const body = node("div", "body");
    body.append(head, words);
    entry.append(this.avatar(nick), body);
    return entry;
  }

  // Arrived entries stand before those that have not.
  #insert(entry, isNews) {
    const follow = this.#atEnd || entry.classList.contains("mine");
    const next = entry.classList.contains("pending") ? null : this.#box.querySelector(".pending");
    this.#box.insertBefore(entry, next);
    for (const each of [entry, next]) if (each) this.#group(each);
    while (this.#box.childElementCount > KEEP) this.#box.firstElementChild.remove();
    if (follow) this.#toEnd();
    else if (isNews) this.#newest.hidden = false;
  }

  #group(entry) {
    const before = entry.previousElementSibling;
    const together = before?.dataset.nick !== undefined && before.dataset.nick === entry.dataset.nick
      && entry.dataset.time - before.dataset.time < TOGETHER;
    entry.classList.toggle("continued", together);
  }

  get #atEnd() {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < 60;
  }

  #toEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
    this.#newest.hidden = true;
  }
}

function node(name, className, text = "") {
  const result = document.createElement(name);
  result.className = className;
  result.textContent = text;
  return result;
}

function onlyEmoji(text) {
  return text.length <= 24 && /^(?:\p{Extended_Pictographic}[\u{1f3fb}-\u{1f3ff}\ufe0f\u200d]*|\s)+$/u.test(text);
}
