"""The least that aiohttp on uvloop can do as a server: the floor of whatever is built on it. It knows nothing of DICOM.

POST anything          reads the body, forgets it, says so
GET  /document/NAME    a file of the folder, as bytes that are in memory from the first time on
GET  /file/NAME        the same by FileResponse

python -m loadtests.bench.bare_server --port 8081 --folder documents
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

import uvloop
from aiohttp import web

MEDIA = "application/octet-stream"


class Bare:
    """:param folder: the files that it gives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._documents: dict[str, bytes] = {}

    async def sink(self, request: web.Request) -> web.Response:
        """How many bytes came."""
        count = 0
        async for piece in request.content.iter_any():
            count += len(piece)
        return web.Response(body=b"%d" % count, content_type=MEDIA)

    async def document(self, request: web.Request) -> web.Response:
        """Bytes that are ready."""
        name = request.match_info["name"]
        if (data := self._documents.get(name)) is None:
            data = self._documents[name] = self._path(name).read_bytes()
        return web.Response(body=data, content_type=MEDIA)

    async def file(self, request: web.Request) -> web.FileResponse:
        """As aiohttp sends files."""
        return web.FileResponse(self._path(request.match_info["name"]))

    def _path(self, name: str) -> Path:
        path = self._folder / name
        if path.parent != self._folder or not path.is_file():
            raise web.HTTPNotFound
        return path


def application(folder: Path) -> web.Application:
    """All of it."""
    bare, app = Bare(folder), web.Application(client_max_size=0)
    app.router.add_get("/document/{name}", bare.document)
    app.router.add_get("/file/{name}", bare.file)
    app.router.add_post("/{tail:.*}", bare.sink)
    return app


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(description="A bare aiohttp server.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        web.run_app(application(chosen.folder), host="127.0.0.1", port=chosen.port, print=None, access_log=None, loop=runner.get_loop())


if __name__ == "__main__":
    main()
