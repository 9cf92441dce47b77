"""The body of a request as its socket brings it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from aiohttp import web

from gateway import metrics
from gateway.errors import RequestTimeout
from gateway.web.context import Context


async def chunks(request: web.Request, context: Context) -> AsyncGenerator[bytes, None]:
    """What the socket brings, in pieces of whatever size it comes.

    :raises RequestTimeout: when nothing comes for ``server.stall_timeout`` seconds.
    """
    content = request.content
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= (1, 1) and not content.at_eof():
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun
    received = metrics.RECEIVED_BYTES.labels(context.transaction)
    while not content.at_eof():
        chunk = content.read_nowait()
        if not chunk:  # a timer is set only when there is something to wait for
            try:
                async with asyncio.timeout(context.stall_timeout):
                    chunk = await content.readany()
            except TimeoutError:
                raise RequestTimeout("no more bytes came within server.stall_timeout") from None
        if chunk:
            context.received += len(chunk)
            received.inc(len(chunk))
            yield chunk
