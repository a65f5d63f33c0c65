// `ws` as a client: { url, protocols, options }, options being those of `ws`.

import WebSocket from "ws";

import { watch } from "./commands.mjs";

export function client({ url, protocols = [], options }, tell) {
  const ws = new WebSocket(url, protocols, options);
  ws.on("upgrade", ({ headers }) => tell("upgrade", { headers }));
  ws.on("open", () => tell("open", { protocol: ws.protocol, extensions: ws.extensions }));
  ws.on("unexpected-response", (_, response) => {
    const body = [];
    response.on("data", (chunk) => body.push(chunk));
    response.on("end", () =>
      tell("unexpected-response", {
        status: response.statusCode,
        headers: response.headers,
        body: Buffer.concat(body).toString(),
      }),
    );
  });
  watch(ws, tell);
  return { current: () => ws, end: () => ws.terminate() };
}
