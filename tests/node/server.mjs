// `ws` as a server: { echo, greeting, preferred, answers, options }, all but the last one optional.
//   echo       whether messages are sent back
//   greeting   what is said to each client at once, together with the answer to its handshake
//   preferred  subprotocols in the order of preference
//   answers    { path: [status, body, headers] } where there is no WebSocket
//   options    those of `ws`

import { WebSocketServer } from "ws";

import { watch } from "./commands.mjs";

export function server({ echo, greeting, preferred, answers = {}, options }, tell) {
  const listening = new WebSocketServer({
    host: "127.0.0.1",
    port: 0,
    verifyClient({ req: { url } }, verified) {
      if (url in answers) verified(false, ...answers[url]);
      else verified(true);
    },
    ...(preferred && { handleProtocols: (offered) => preferred.find((name) => offered.has(name)) ?? false }),
    ...options,
  });
  let latest;
  listening.on("listening", () => tell("listening", { port: listening.address().port }));
  listening.on("connection", (ws, { url, headers }) => {
    latest = ws;
    if (greeting !== undefined) ws.send(greeting);
    tell("connection", { url, headers, protocol: ws.protocol, extensions: ws.extensions });
    watch(ws, tell);
    if (echo) ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
  });
  return {
    current: () => latest,
    end() {
      for (const ws of listening.clients) ws.terminate();
      listening.close();
    },
  };
}
