"""An application for the ASGI server uvicorn: notes each request it was handed whole."""

import seen


async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
        if not message.get("more_body"):
            break
    target = scope["raw_path"]
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    tags = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    seen.note(b", ".join(tags).decode(), scope["method"], target.decode("latin-1"), body)
    headers = [(b"x-seen", b"yes"), (b"content-length", b"%d" % len(seen.ANSWER))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": seen.ANSWER})
