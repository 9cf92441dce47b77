"""The viewer as another origin serves it: the same files, with the settings that the gateway gives for its stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

TYPES = {".wasm": "application/wasm", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}


@asynccontextmanager
async def elsewhere(folder: Path, gateway: str, port: int) -> AsyncIterator[str]:
    """Serves the viewer at http://localhost:PORT/; its settings come from the gateway at another host and port."""
    page = (folder / "index.html").read_text().replace('src="/app-config.js"', f'src="{gateway}/viewer/app-config.js"')

    async def answer(request: web.Request) -> web.StreamResponse:
        path = folder / request.path.lstrip("/")
        if path.is_file() and path.name != "index.html":
            return web.FileResponse(path, headers={"Content-Type": TYPES.get(path.suffix, "application/octet-stream")})
        return web.Response(text=page, content_type="text/html")

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield f"http://localhost:{port}/"
    finally:
        await runner.cleanup()
