// Node's `ws` as server and as client; the path of the installed package comes in WS_MODULE.
// Usage: node ws_peer.mjs server | node ws_peer.mjs client URL AGENT
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const WebSocket = require(process.env.WS_MODULE);
const { version } = require(`${process.env.WS_MODULE}/package.json`);
const description = `ws ${version} on Node ${process.versions.node}`;
const settings = { perMessageDeflate: true, maxPayload: 32 << 20, maxFragments: 65537 };

function echo(ws) {
  ws.on("message", (data, isBinary) => ws.send(data, { binary: isBinary }));
  ws.on("error", (error) => console.log(String(error)));
}

function ended(ws) {
  return new Promise((resolve) => ws.on("close", resolve));
}

function server() {
  const listening = new WebSocket.Server({ host: "127.0.0.1", port: 0, ...settings }, () =>
    console.log(`listening ${listening.address().port} ${description}`),
  );
  listening.on("connection", echo);
}

async function client(url, agent) {
  console.log(`connecting ${description}`);
  let ws = new WebSocket(`${url}/getCaseCount`);
  let count = 0;
  ws.on("message", (data) => (count = Number(data)));
  await ended(ws);
  for (let number = 1; number <= count; number++) {
    ws = new WebSocket(`${url}/runCase?case=${number}&agent=${agent}`, settings);
    echo(ws);
    await ended(ws);
  }
  await ended(new WebSocket(`${url}/updateReports?agent=${agent}`));
}

const [role, ...rest] = process.argv.slice(2);
await (role === "server" ? server() : client(...rest));
