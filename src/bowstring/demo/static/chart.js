// Round trips of the last minute, one line for each person.

const SVG = "http://www.w3.org/2000/svg";
const SAMPLES = 60;
const LEFT = 34, RIGHT = 284, TOP = 8, BOTTOM = 94;

export class Chart {
  #svg;
  #lines = new Map(); // nick -> samples, newest last; null where there is none

  constructor(svg) {
    this.#svg = svg;
    this.clear();
  }

  clear() {
    this.#lines.clear();
    this.#draw("", new Map());
  }

  // Adds one sample for each person. people: nick -> { rtt, tint }; me is drawn last and strongest.
  push(me, people) {
    for (const nick of this.#lines.keys()) if (!people.has(nick)) this.#lines.delete(nick);
    for (const [nick, { rtt }] of people) {
      const samples = this.#lines.get(nick) ?? [];
      samples.push(rtt ?? null);
      this.#lines.set(nick, samples.slice(-SAMPLES));
    }
    this.#draw(me, people);
  }

  // Figures of one person, over the same minute.
  figures(nick) {
    const sorted = (this.#lines.get(nick) ?? []).filter((rtt) => rtt !== null).sort((a, b) => a - b);
    return { median: sorted[sorted.length >> 1], worst: sorted.at(-1) };
  }

  #draw(me, people) {
    const top = ceiling(Math.max(0.5, ...[...this.#lines.values()].flat()));
    const parts = [];
    for (const share of [0, 0.5, 1]) {
      const y = BOTTOM - share * (BOTTOM - TOP);
      parts.push(element("line", { class: "grid", x1: LEFT, x2: RIGHT, y1: y, y2: y }));
      parts.push(element("text", { class: "axis", x: LEFT - 6, y: y + 3.5, "text-anchor": "end" }, label(top * share)));
    }
    parts.push(element("text", { class: "axis", x: LEFT, y: 108 }, "60 s ago"));
    parts.push(element("text", { class: "axis", x: RIGHT, y: 108, "text-anchor": "end" }, "now, in ms"));
    const nicks = [...this.#lines.keys()].filter((nick) => nick !== me);
    for (const nick of this.#lines.has(me) ? [...nicks, me] : nicks) {
      const runs = runsOf(this.#lines.get(nick), top);
      const tint = people.get(nick)?.tint ?? 0;
      for (const run of runs) {
        const points = run.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
        if (nick === me) {
          const floor = `${run.at(-1)[0].toFixed(1)},${BOTTOM} ${run[0][0].toFixed(1)},${BOTTOM}`;
          parts.push(element("polygon", { class: `area tint-${tint}`, points: `${points} ${floor}` }));
        }
        parts.push(element("polyline", { class: `line tint-${tint}${nick === me ? " mine" : ""}`, points }));
      }
      const last = runs.at(-1)?.at(-1);
      if (last && last[0] === RIGHT) {
        parts.push(element("circle", { class: `end tint-${tint}`, cx: last[0], cy: last[1], r: 2.6 }));
      }
    }
    this.#svg.replaceChildren(...parts);
  }
}

// "0.4 ms", "12 ms", "1.2 s"
export function duration(ms) {
  if (ms === undefined || ms === null) return "–";
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
}

function runsOf(samples, top) {
  const runs = [[]];
  samples.forEach((rtt, index) => {
    if (rtt === null) {
      runs.push([]);
      return;
    }
    const x = RIGHT - (samples.length - 1 - index) * ((RIGHT - LEFT) / (SAMPLES - 1));
    runs.at(-1).push([x, BOTTOM - (rtt / top) * (BOTTOM - TOP)]);
  });
  return runs.filter((run) => run.length > 0);
}

// The next of 1, 2, 5, 10, 20, 50 ...
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= value) ?? 10 * power;
}

function label(ms) {
  return String(Number(ms.toPrecision(3)));
}

function element(name, attributes, text = "") {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}
