// Round trips of the last minute, one line for each person.

const SVG = "http://www.w3.org/2000/svg";
const SAMPLES = 60;
const LEFT = 34, RIGHT = 284, TOP = 8, BOTTOM = 134;
const LEAST = 0.1; // ms: less than this is not told apart

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
    // Logarithmic, a line for each power of ten: somebody next door and somebody overseas are both to be read.
    const values = [...this.#lines.values()].flat().filter((rtt) => rtt !== null);
    const low = Math.min(0, ...values.map((rtt) => Math.floor(decade(rtt))));
    const high = Math.max(1, ...values.map((rtt) => Math.ceil(decade(rtt))));
    const height = (rtt) => BOTTOM - ((decade(rtt) - low) / (high - low)) * (BOTTOM - TOP);
    const parts = [];
    for (let power = low; power <= high; power += 1) {
      const rtt = Number((10 ** power).toPrecision(1));
      const y = height(rtt);
      parts.push(element("line", { class: "grid", x1: LEFT, x2: RIGHT, y1: y, y2: y }));
      parts.push(element("text", { class: "axis", x: LEFT - 6, y: y + 3.5, "text-anchor": "end" }, String(rtt)));
    }
    parts.push(element("text", { class: "axis", x: LEFT, y: 148 }, "60 s ago"));
    parts.push(element("text", { class: "axis", x: RIGHT, y: 148, "text-anchor": "end" }, "now, in ms"));
    const nicks = [...this.#lines.keys()].filter((nick) => nick !== me);
    for (const nick of this.#lines.has(me) ? [...nicks, me] : nicks) {
      const runs = runsOf(this.#lines.get(nick), height);
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

function runsOf(samples, height) {
  const runs = [[]];
  samples.forEach((rtt, index) => {
    if (rtt === null) {
      runs.push([]);
      return;
    }
    const x = RIGHT - (samples.length - 1 - index) * ((RIGHT - LEFT) / (SAMPLES - 1));
    runs.at(-1).push([x, height(rtt)]);
  });
  return runs.filter((run) => run.length > 0);
}

function decade(rtt) {
  return Math.log10(Math.max(LEAST, rtt));
}

function element(name, attributes, text = "") {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.textContent = text;
  return node;
}
