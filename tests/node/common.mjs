// How the two programs here are driven: commands come in, events go out, one JSON object a line each.

import { createInterface } from "node:readline";

export function tell(event, more = {}) {
  process.stdout.write(`${JSON.stringify({ event, ...more })}\n`);
}

// Tells what happens to a WebSocket.
export function watch(ws) {
  ws.on("message", (data, isBinary) =>
    tell("message", isBinary ? { base64: data.toString("base64") } : { text: data.toString() }),
  );
  ws.on("ping", (data) => tell("ping", { base64: data.toString("base64") }));
  ws.on("pong", (data) => tell("pong", { base64: data.toString("base64") }));
  ws.on("error", ({ message, code }) => tell("error", { message, code }));
  ws.on("close", (code, reason) => tell("close", { code, reason: reason.toString() }));
}

export function echo(ws) {
  ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
}

const payload = ({ text, base64 = "" }) => (text === undefined ? Buffer.from(base64, "base64") : text);

const commands = {
  send: (ws, { text, base64, options }) => ws.send(payload({ text, base64 }), options),
  // All in one turn: the peer gets them in few and large segments.
  flood(ws, { count }) {
    for (let n = 0; n < count; n++) ws.send(`message ${n}`);
  },
  ping: (ws, { base64 }) => ws.ping(payload({ base64 })),
  pong: (ws, { base64 }) => ws.pong(payload({ base64 })),
  close: (ws, { code, reason }) => ws.close(code, reason),
  terminate: (ws) => ws.terminate(),
  pause: (ws) => ws.pause(),
  resume: (ws) => ws.resume(),
  // Past the package: bytes that it would not send.
  raw: (ws, { base64 }) => ws._socket.write(payload({ base64 })),
  count: (ws) => tell("counted", { read: ws._socket.bytesRead, written: ws._socket.bytesWritten }),
};

// Does what it is told, to the WebSocket of the moment, until there is nobody any more to tell it.
export function obey(current) {
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const { command, ...rest } = JSON.parse(line);
    commands[command](current(), rest);
  });
  lines.on("close", () => process.exit());
}
