"""A WebSocket server that sends every message back, with permessage-deflate: for conformance.

Herder starts it and tells it PORT. It must not judge: what is wrong on the wire is the library's
to refuse, and each refusal is a verdict of the suite and not worth a line of log.
"""

import asyncio
import logging
import os
import signal

from websockets.asyncio.server import serve

# The largest message of the suite has 16 MiB.
MESSAGE_BYTES_MAX = 1 << 25


async def echo(connection):
    async for message in connection:
        await connection.send(message)


async def main():
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    port = int(os.environ["PORT"])
    # No pings of its own: they would come in the middle of a case.
    async with serve(echo, "127.0.0.1", port, max_size=MESSAGE_BYTES_MAX, ping_interval=None):
        await ended.wait()


asyncio.run(main())
