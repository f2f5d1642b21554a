"""An origin on aiohttp's own server: notes each request it was handed whole."""

import asyncio

from aiohttp import web

import seen


async def answer(request):
    body = await request.read()
    tag = ", ".join(request.headers.getall("X-Forwarded-For", []))
    seen.note(tag, request.method, request.raw_path, body)
    return web.Response(body=seen.ANSWER, headers=[seen.FIELD])


async def main():
    runner = web.ServerRunner(web.Server(answer))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await asyncio.Event().wait()


asyncio.run(main())
