// A service with node:http and no dependencies. `/` names the instance, `/work?ms=20` takes its
// time, SIGTERM lets the requests that are being answered finish.
'use strict';

const http = require('node:http');

const INSTANCE = process.env.HERDER_INSTANCE ?? 'alone';
const PORT = Number(process.env.PORT ?? 8000);
const WORK_MAX_MS = 60_000;

let requests = 0;

function answer(response, status, text) {
  response.writeHead(status, {
    'Content-Type': 'text/plain',
    'Content-Length': Buffer.byteLength(text),
    'x-instance': INSTANCE,
  });
  response.end(text);
}

function work(response, given) {
  const ms = Number(given);
  if (!Number.isInteger(ms) || ms < 0 || ms > WORK_MAX_MS) {
    answer(response, 400, `ms: expected 0 to ${WORK_MAX_MS}\n`);
    return;
  }
  setTimeout(() => answer(response, 200, `${INSTANCE} worked for ${ms} ms\n`), ms);
}

const server = http.createServer((request, response) => {
  const url = new URL(request.url, 'http://localhost');
  switch (url.pathname) {
    case '/':
      requests += 1;
      answer(response, 200, `hello from ${INSTANCE}, request ${requests}\n`);
      break;
    case '/healthz':
      answer(response, 200, `ok ${INSTANCE}\n`);
      break;
    case '/work':
      work(response, url.searchParams.get('ms') ?? '20');
      break;
    default:
      answer(response, 404, `no such page: ${url.pathname}\n`);
  }
});

// Longer than Herder keeps an idle connection, so that it is never the instance that closes first:
// Node's default of 5 s is the usual cause of stray 502s behind a balancer.
server.keepAliveTimeout = 75_000;

process.on('SIGTERM', () => {
  server.close(() => console.log(`${INSTANCE} ends`));
  server.closeIdleConnections();
});

server.listen(PORT, '127.0.0.1', () => {
  console.log(`${INSTANCE} listens on port ${server.address().port}`);
});
