"""The same service with nothing but Python's standard library."""

import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

INSTANCE = os.environ.get("HERDER_INSTANCE", "alone")
WORK_MAX_MS = 60_000
FINISH_S = 10

in_flight = 0
changed = threading.Condition()


class Server(ThreadingHTTPServer):
    # The default of 5 refuses connections as soon as a few arrive at once.
    request_queue_size = 1024
    # Threads that only wait for the next request of an idle connection must not hold up the end;
    # main() waits for those that are answering one.
    daemon_threads = True


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # A response is one small write or two; without this the second waits for an acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self):
        count(+1)
        try:
            self.respond()
        finally:
            count(-1)

    do_HEAD = do_GET

    def respond(self):
        url = urlsplit(self.path)
        if url.path == "/":
            self.answer(200, f"hello from {INSTANCE}\n")
        elif url.path == "/healthz":
            self.answer(200, f"ok {INSTANCE}\n")
        elif url.path == "/work":
            self.work(parse_qs(url.query).get("ms", ["20"])[0])
        else:
            self.answer(404, f"no such page: {url.path}\n")

    def work(self, ms):
        if not ms.isdecimal() or int(ms) > WORK_MAX_MS:
            self.answer(400, f"ms: expected 0 to {WORK_MAX_MS}\n")
            return
        threading.Event().wait(int(ms) / 1000)
        self.answer(200, f"{INSTANCE} worked for {ms} ms\n")

    def answer(self, status, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-instance", INSTANCE)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        """Herder writes the access log."""


def count(change):
    global in_flight
    with changed:
        in_flight += change
        changed.notify_all()


def main():
    server = Server(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Handler)
    # shutdown() waits for serve_forever(), which runs in this very thread.
    stop = threading.Thread(target=server.shutdown)
    signal.signal(signal.SIGTERM, lambda *_: stop.start())
    print(f"{INSTANCE} listens on port {server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.05)
    server.server_close()
    with changed:
        changed.wait_for(lambda: in_flight == 0, timeout=FINISH_S)
    print(f"{INSTANCE} ends", flush=True)


if __name__ == "__main__":
    main()
