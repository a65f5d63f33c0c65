// Node's `ws` as a client: node client.mjs URL OPTIONS
// OPTIONS (JSON): those of `ws`, and `protocols`.

import WebSocket from "ws";

import { obey, tell, watch } from "./common.mjs";

const [url, options] = process.argv.slice(2);
const { protocols = [], ...rest } = JSON.parse(options);
const ws = new WebSocket(url, protocols, rest);

ws.on("upgrade", ({ headers }) => tell("upgrade", { headers }));
ws.on("open", () => tell("open", { protocol: ws.protocol, extensions: ws.extensions }));
ws.on("unexpected-response", (_, response) => {
  const chunks = [];
  response.on("data", (chunk) => chunks.push(chunk));
  response.on("end", () =>
    tell("unexpected-response", {
      status: response.statusCode,
      headers: response.headers,
      body: Buffer.concat(chunks).toString(),
    }),
  );
});
watch(ws);
obey(() => ws);
