"""An application for the WSGI servers gunicorn and waitress: notes each request it was handed."""

import seen


def application(environ, start_response):
    body = environ["wsgi.input"].read()
    target = environ.get("RAW_URI") or environ["REQUEST_URI"]
    seen.note(environ.get("HTTP_X_FORWARDED_FOR", ""), environ["REQUEST_METHOD"], target, body)
    start_response("200 OK", [seen.FIELD, ("Content-Length", str(len(seen.ANSWER)))])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [seen.ANSWER]
