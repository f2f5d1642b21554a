// One instance for the test of drains: slow uploads, streams of events, and switched protocols.
// It ends at the instant at which it is told to, so that whatever was in flight then is lost and
// noticed. It must not be kind.
'use strict';
const http = require('http');

const instance = process.env.HERDER_INSTANCE;

const routes = {
  '/healthz': (request, response) => response.end('well'),
  '/upload': (request, response) => {
    let bytes = 0;
    let sum = 0;
    request.on('data', (piece) => {
      // Every 64th byte of the whole, wherever the pieces begin.
      for (let at = (64 - (bytes % 64)) % 64; at < piece.length; at += 64) {
        sum = (Math.imul(sum, 31) + piece[at]) >>> 0;
      }
      bytes += piece.length;
    });
    request.on('end', () => response.end(`${bytes} ${sum}`));
  },
  '/events': (request, response) => {
    let sent = 0;
    response.setHeader('content-type', 'text/event-stream');
    const timer = setInterval(() => {
      response.write(`data: ${sent}\n\n`);
      sent += 1;
      if (sent === 20) {
        clearInterval(timer);
        response.end('data: end\n\n');
      }
    }, 50);
    response.on('close', () => clearInterval(timer));
  },
};

const server = http.createServer((request, response) => {
  response.setHeader('x-instance', instance);
  const route = routes[request.url];
  if (route) {
    route(request, response);
  } else {
    response.writeHead(404).end();
  }
});

// Node's HTTP server leaves a connection half open after an upgrade: an end of the client's side
// comes as 'end', and writing goes on.
server.on('upgrade', (request, socket, head) => {
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n' +
      `X-Instance: ${instance}\r\n\r\n`,
  );
  socket.write(head);
  socket.on('data', (piece) => socket.write(piece));
  socket.on('end', () => setTimeout(() => socket.end('good-bye'), 200));
  socket.on('error', () => socket.destroy());
});

server.keepAliveTimeout = 0;
process.on('SIGTERM', () => process.exit(0));
server.listen(process.env.PORT, '127.0.0.1');
