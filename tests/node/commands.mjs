// What a peer can be told to do with its WebSocket, and what it tells of it. Bytes stand in Base64.

const bytes = (base64 = "") => Buffer.from(base64, "base64");

export const commands = {
  send: (ws, { text, base64, options }) => ws.send(text ?? bytes(base64), options),
  // All in one turn: the other side gets them in few and large segments.
  flood(ws, { count }) {
    for (let n = 0; n < count; n++) ws.send(`message ${n}`);
  },
  ping: (ws, { base64 }) => ws.ping(bytes(base64)),
  pong: (ws, { base64 }) => ws.pong(bytes(base64)),
  close: (ws, { code, reason }) => ws.close(code, reason),
  terminate: (ws) => ws.terminate(),
  pause(ws, _, tell) {
    ws.pause();
    tell("paused");
  },
  resume: (ws) => ws.resume(),
  // Past the package: bytes that it would not send.
  raw: (ws, { base64 }) => ws._socket.write(bytes(base64)),
  count: (ws, _, tell) => tell("counted", { read: ws._socket.bytesRead, written: ws._socket.bytesWritten }),
};

export function watch(ws, tell) {
  ws.on("message", (data, isBinary) =>
    tell("message", isBinary ? { base64: data.toString("base64") } : { text: data.toString() }),
  );
  ws.on("ping", (data) => tell("ping", { base64: data.toString("base64") }));
  ws.on("pong", (data) => tell("pong", { base64: data.toString("base64") }));
  ws.on("error", ({ message, code }) => tell("error", { message, code }));
  ws.on("close", (code, reason) => tell("close", { code, reason: reason.toString() }));
}
