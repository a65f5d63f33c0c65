// Node's `ws` as a server: node server.mjs OPTIONS
// OPTIONS (JSON): those of `ws`, and
//   echo       whether messages are sent back
//   greeting   what is said to each client at once, together with the answer to its handshake
//   preferred  subprotocols in the order of preference
//   answers    { path: [status, body, headers] } where there is no WebSocket

import { WebSocketServer } from "ws";

import { echo, obey, tell, watch } from "./common.mjs";

const { echo: echoes, greeting, preferred, answers = {}, ...rest } = JSON.parse(process.argv[2]);

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  verifyClient({ req: { url } }, verified) {
    if (url in answers) verified(false, ...answers[url]);
    else verified(true);
  },
  ...(preferred && { handleProtocols: (offered) => preferred.find((name) => offered.has(name)) ?? false }),
  ...rest,
});

let latest;
server.on("listening", () => tell("listening", { port: server.address().port }));
server.on("wsClientError", ({ message }) => tell("refused", { message }));
server.on("connection", (ws, { url, headers }) => {
  latest = ws;
  if (greeting !== undefined) ws.send(greeting);
  tell("connection", { url, headers, protocol: ws.protocol, extensions: ws.extensions });
  watch(ws);
  if (echoes) echo(ws);
});
obey(() => latest);
