"""A Flask application for gunicorn. `/` names the instance, `/work?ms=20` takes its time."""

import os
import threading

from flask import Flask, Response, request

INSTANCE = os.environ.get("HERDER_INSTANCE", "alone")
WORK_MAX_MS = 60_000

app = Flask(__name__)
requests_so_far = 0
counting = threading.Lock()


@app.after_request
def name_instance(response: Response) -> Response:
    response.headers["x-instance"] = INSTANCE
    return response


@app.get("/")
def home() -> Response:
    global requests_so_far
    with counting:
        requests_so_far += 1
        number = requests_so_far
    return text(f"hello from {INSTANCE}, request {number}\n")


@app.get("/healthz")
def healthz() -> Response:
    return text(f"ok {INSTANCE}\n")


@app.get("/work")
def work() -> Response:
    try:
        ms = int(request.args.get("ms", "20"))
    except ValueError:
        return text("ms: expected a number of milliseconds\n", 400)
    if not 0 <= ms <= WORK_MAX_MS:
        return text(f"ms: expected 0 to {WORK_MAX_MS}\n", 400)
    threading.Event().wait(ms / 1000)
    return text(f"{INSTANCE} worked for {ms} ms\n")


def text(body: str, status: int = 200) -> Response:
    return Response(body, status=status, mimetype="text/plain")
