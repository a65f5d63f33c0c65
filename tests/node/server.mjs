// `ws` as a server: { echo, greeting, preferred, answers, tls, options }, all but the last one optional.
//   echo       whether messages are sent back
//   greeting   what is said to each client at once, together with the answer to its handshake
//   preferred  subprotocols in the order of preference
//   answers    { path: [status, body, headers] } where there is no WebSocket
//   tls        { key, cert } in PEM: it speaks TLS
//   options    those of `ws`

import { createServer as createTcpServer } from "node:http";
import { createServer as createTlsServer } from "node:https";

import { WebSocketServer } from "ws";

import { watch } from "./commands.mjs";

export function server({ echo, greeting, preferred, answers = {}, tls, options }, tell) {
  const http = tls ? createTlsServer(tls) : createTcpServer();
  const sockets = new WebSocketServer({
    server: http,
    verifyClient({ req: { url } }, verified) {
      if (url in answers) verified(false, ...answers[url]);
      else verified(true);
    },
    ...(preferred && { handleProtocols: (offered) => preferred.find((name) => offered.has(name)) ?? false }),
    ...options,
  });
  let latest;
  sockets.on("connection", (ws, { url, headers }) => {
    latest = ws;
    if (greeting !== undefined) ws.send(greeting);
    tell("connection", { url, headers, protocol: ws.protocol, extensions: ws.extensions });
    watch(ws, tell);
    if (echo) ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
  });
  http.listen(0, "127.0.0.1", () => tell("listening", { port: http.address().port }));
  return {
    current: () => latest,
    end() {
      for (const ws of sockets.clients) ws.terminate();
      http.close();
    },
  };
}
