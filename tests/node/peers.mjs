// A process that plays peers with Node's `ws`. It prints the port where it is told what to play, and ends with its input.
//
// One TCP connection to that port is one peer: the first line says which (JSON: { role, ... }), those that follow are
// commands to it, and what happens to it comes back, each as one JSON object on a line. It ends with the connection.

import { createServer } from "node:net";
import { createInterface } from "node:readline";

import { client } from "./client.mjs";
import { commands } from "./commands.mjs";
import { server } from "./server.mjs";

const roles = { client, server };

const control = createServer((line) => {
  const tell = (event, more = {}) => line.write(`${JSON.stringify({ event, ...more })}\n`);
  const lines = createInterface({ input: line });
  let peer;
  lines.on("line", (text) => {
    const { role, command, ...rest } = JSON.parse(text);
    if (peer === undefined) peer = roles[role](rest, tell);
    else commands[command](peer.current(), rest, tell);
  });
  // A test that has seen enough resets the connection, rather than reading what else was told.
  for (const source of [line, lines]) source.on("error", () => {});
  line.on("close", () => peer?.end());
});

control.listen(0, "127.0.0.1", () => console.log(control.address().port));
process.stdin.resume().on("end", () => process.exit());
