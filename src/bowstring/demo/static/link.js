// The line to the server: one WebSocket after another, opened again with growing delays when it drops,
// and the round trip measured on it once a second (a page cannot send WebSocket pings, so these are messages).

const PING_EVERY = 1000; // ms
const DEAD_AFTER = 8000; // ms without the answer to a ping
const OPEN_WITHIN = 8000; // ms
const FIRST_DELAY = 500; // ms
const LAST_DELAY = 10_000; // ms

// Codes after which trying again would be wrong: left, refused as a client, continued elsewhere.
const FINAL = new Set([1000, 1002, 1003, 1007, 1008, 1009, 4001]);

export class Link {
  #url;
  #listener;
  #socket = null;
  #attempt = 0;
  #timer = 0; // until the next attempt, the end of this one, or the first ping
  #pinger = 0;
  #pingId = 0;
  #pings = new Map(); // id -> when it was sent
  #rtt;

  // listener: onOpen(), onEvent(event), onRtt(ms), onDown(delay in ms), onConnecting(), onEnd(code, reason)
  constructor(url, listener) {
    this.#url = url;
    this.#listener = listener;
  }

  get isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  open() {
    this.#drop();
    this.#listener.onConnecting();
    const socket = new WebSocket(this.#url);
    this.#socket = socket;
    this.#timer = setTimeout(() => this.#down(), OPEN_WITHIN);
    socket.onopen = () => {
      clearTimeout(this.#timer);
      this.#pings.clear();
      this.#rtt = undefined;
      this.#pinger = setInterval(() => this.#ping(), PING_EVERY);
      this.#listener.onOpen();
    };
    socket.onmessage = ({ data }) => this.#receive(JSON.parse(data));
    socket.onclose = ({ code, reason }) => {
      if (FINAL.has(code)) {
        this.#drop();
        this.#listener.onEnd(code, reason);
      } else {
        this.#down();
      }
    };
  }

  // The server has taken us in: the next failure is a first one again.
  settled() {
    this.#attempt = 0;
    this.#timer = setTimeout(() => this.#ping(), 250); // when the page has settled too, or it would measure itself
  }

  retryNow() {
    if (this.#socket === null) this.open();
  }

  send(event) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(event));
    return true;
  }

  close() {
    this.#drop();
  }

  #receive(event) {
    if (event.type !== "pong") {
      this.#listener.onEvent(event);
      return;
    }
    const sent = this.#pings.get(event.id);
    this.#pings.delete(event.id);
    if (sent !== undefined) {
      this.#rtt = performance.now() - sent;
      this.#listener.onRtt(this.#rtt);
    }
  }

  #ping() {
    const [oldest] = this.#pings.values();
    const now = performance.now();
    if (oldest !== undefined && now - oldest > DEAD_AFTER) {
      this.#down();
      return;
    }
    const id = ++this.#pingId;
    this.#pings.set(id, now);
    this.send({ type: "ping", id, rtt: this.#rtt });
  }

  #down() {
    this.#drop();
    const delay = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** this.#attempt) * (0.75 + Math.random() / 2);
    this.#attempt += 1;
    this.#timer = setTimeout(() => this.open(), delay);
    this.#listener.onDown(delay);
  }

  #drop() {
    clearTimeout(this.#timer);
    clearInterval(this.#pinger);
    const socket = this.#socket;
    this.#socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }
}
