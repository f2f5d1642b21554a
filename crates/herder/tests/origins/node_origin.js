// An origin on node:http, as it is out of the box: notes each request it was handed whole.

const fs = require("node:fs");
const http = require("node:http");

const log = fs.openSync(process.env.SEEN, "a");

const server = http.createServer((request, response) => {
  const pieces = [];
  request.on("data", (piece) => pieces.push(piece));
  request.on("end", () => {
    const tag = request.headers["x-forwarded-for"] ?? "";
    const { method, url: target } = request;
    const body = Buffer.concat(pieces).toString("hex");
    fs.writeSync(log, JSON.stringify({ tag, method, target, body }) + "\n");
    response.setHeader("X-Seen", "yes");
    response.end("seen");
  });
});

server.listen(0, "127.0.0.1");
