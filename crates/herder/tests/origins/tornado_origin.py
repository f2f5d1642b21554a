"""An origin on tornado's own server: notes each request it was handed whole."""

import asyncio

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPHeaders, ResponseStartLine

import seen


def answer(request):
    tag = ", ".join(request.headers.get_list("X-Forwarded-For"))
    seen.note(tag, request.method, request.uri, request.body)
    line = ResponseStartLine("HTTP/1.1", 200, "OK")
    length = {"X-Seen": "yes", "Content-Length": str(len(seen.ANSWER))}
    request.connection.write_headers(line, HTTPHeaders(length))
    if request.method != "HEAD":
        request.connection.write(seen.ANSWER)
    request.connection.finish()


async def main():
    HTTPServer(answer).listen(0, "127.0.0.1")
    await asyncio.Event().wait()


asyncio.run(main())
