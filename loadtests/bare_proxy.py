"""The least that aiohttp can do as a proxy: no parsing, no checks, no metrics. A peer of the benchmark `passthrough`.

python -m loadtests.bare_proxy --port 8081 --origin http://127.0.0.1:8042
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator

import aiohttp
import uvloop
from aiohttp import hdrs, web

BUFFER = 128 << 10

SESSION = web.AppKey("session", aiohttp.ClientSession)


def application(origin: str) -> web.Application:
    """A proxy of everything."""

    async def pass_on(request: web.Request) -> web.StreamResponse:
        data = request.content.iter_any() if request.can_read_body else None
        headers = {name: request.headers[name] for name in (hdrs.CONTENT_LENGTH, hdrs.CONTENT_TYPE) if name in request.headers}
        async with request.app[SESSION].request(request.method, origin + request.path_qs, data=data, headers=headers) as answer:
            response = web.StreamResponse(status=answer.status, headers={hdrs.CONTENT_TYPE: answer.headers[hdrs.CONTENT_TYPE]})
            response.content_length = answer.content_length
            await response.prepare(request)
            async for piece in answer.content.iter_any():
                await response.write(piece)
            return response

    async def session(app: web.Application) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        app[SESSION] = aiohttp.ClientSession(connector=connector, auto_decompress=False, read_bufsize=BUFFER)
        yield
        await app[SESSION].close()

    app = web.Application(client_max_size=0)
    app.cleanup_ctx.append(session)
    app.router.add_route("*", "/{tail:.*}", pass_on)
    return app


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(description="A bare aiohttp proxy.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--origin", required=True, help="scheme, host and port")
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        web.run_app(application(chosen.origin), host="127.0.0.1", port=chosen.port, print=None, loop=runner.get_loop())


if __name__ == "__main__":
    main()
