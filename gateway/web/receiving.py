"""The body of a request as its socket brings it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from aiohttp import web

from gateway import metrics
from gateway.errors import RequestTimeout
from gateway.web.context import Context

SLOWEST = 16 << 10
"""Bytes that come within ``server.stall_timeout`` at least: with one byte now and then a few senders would keep all places of
``limits.stow_in_flight``, and others could store nothing."""


async def chunks(request: web.Request, context: Context) -> AsyncGenerator[bytes, None]:
    """What the socket brings, in pieces of whatever size it comes.

    :raises RequestTimeout: when in ``server.stall_timeout`` seconds of waiting for the sender nothing comes, or less than `SLOWEST`.
    """
    content = request.content
    clock = asyncio.get_running_loop().time
    waited, came = 0.0, 0
    if request.headers.get("Expect", "").lower() == "100-continue" and request.version >= (1, 1) and not content.at_eof():
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # the answer itself has not begun
    received = metrics.RECEIVED_BYTES.labels(context.transaction)
    while not content.at_eof():
        chunk = content.read_nowait()
        if not chunk:  # a timer is set only when there is something to wait for
            since = clock()
            try:
                async with asyncio.timeout(context.stall_timeout):
                    chunk = await content.readany()
            except TimeoutError:
                raise RequestTimeout("no more bytes came within server.stall_timeout") from None
            waited += clock() - since
            came += len(chunk)
            if waited >= context.stall_timeout:
                if came < SLOWEST and not content.at_eof():
                    raise RequestTimeout(f"less than {SLOWEST >> 10} KiB came within server.stall_timeout")
                waited, came = 0.0, 0
        if chunk:
            context.received += len(chunk)
            received.inc(len(chunk))
            yield chunk
