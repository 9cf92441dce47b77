"""An origin that does nothing: what is sent to it is read and forgotten, what is asked of it comes out of memory.

For the benchmark of what the gateway itself costs (`passthrough`). It speaks just as much DICOMweb as that needs:

    POST /dicom-web/studies              names as stored the one instance that it finds at the beginning of the body
    GET  /dicom-web/studies              one study, for every search
    GET  /dicom-web/studies/S            one multipart body with an instance of `--size` bytes
    GET  /dicom-web/…/instances/I        that instance alone

    python -m loadtests.null_origin --port 8042 --size 1GiB
"""

from __future__ import annotations

import argparse
import asyncio

import orjson
import uvloop
from aiohttp import hdrs, web
from pydantic import ByteSize, TypeAdapter

from loadtests.synthetic import Shape, Study

PIECE = 256 << 10
HEAD = 4096
"""Bytes in which the UIDs of an instance are."""
BOUNDARY = "null"
_SOP_CLASS = b"\x08\x00\x16\x00UI"
_SOP = b"\x08\x00\x18\x00UI"


def instance(size: int) -> bytes:
    """A whole instance of about `size` bytes."""
    side = 512
    frames = max(1, size // (side * side * 2))
    return Study(seed=1, number=0, slices=1, shape=Shape(side, side, frames)).instance(0)


def _uid(data: bytes, tag: bytes) -> str:
    at = data.index(tag) + 8
    return data[at : at + int.from_bytes(data[at - 2 : at], "little")].rstrip(b"\0").decode()


def _element(vr: str, *values: object) -> dict[str, object]:
    return {"vr": vr, "Value": list(values)}


class Null:
    """:param size: bytes of the instance that it gives."""

    def __init__(self, size: int) -> None:
        data = instance(size)
        head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        tail = f"\r\n--{BOUNDARY}--\r\n".encode()
        self._single = [data[at : at + PIECE] for at in range(0, len(data), PIECE)]
        self._multipart = [head, *self._single, tail]
        counts = {tag: _element("IS", 1) for tag in ("00201206", "00201208")}
        study = {"00080061": _element("CS", "CT"), "00100020": _element("LO", "P1"), "0020000D": _element("UI", "1.2.3")}
        self._found = orjson.dumps([study | counts])

    async def store(self, request: web.Request) -> web.Response:
        """Reads all, and says that it has the instance that came first."""
        first = b""
        while len(first) < HEAD and not request.content.at_eof():
            first += await request.content.readany()
        async for _ in request.content.iter_any():
            pass
        names = {"00081150": _element("UI", _uid(first, _SOP_CLASS)), "00081155": _element("UI", _uid(first, _SOP))}
        return web.Response(body=orjson.dumps({"00081199": _element("SQ", names)}), content_type="application/dicom+json")

    async def search(self, _: web.Request) -> web.Response:
        """One study."""
        return web.Response(body=self._found, content_type="application/dicom+json")

    async def study(self, request: web.Request) -> web.StreamResponse:
        """One instance as multipart."""
        return await self._send(request, f'multipart/related; type="application/dicom"; boundary={BOUNDARY}', self._multipart)

    async def single(self, request: web.Request) -> web.StreamResponse:
        """One instance alone."""
        return await self._send(request, "application/dicom", self._single)

    async def _send(self, request: web.Request, media: str, pieces: list[bytes]) -> web.StreamResponse:
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: media, hdrs.CONTENT_LENGTH: str(sum(map(len, pieces)))})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response


def application(size: int) -> web.Application:
    """All of it."""
    null, app = Null(size), web.Application(client_max_size=0)
    app.router.add_post("/dicom-web/studies", null.store)
    app.router.add_get("/dicom-web/studies", null.search)
    app.router.add_get("/dicom-web/studies/{study}", null.study)
    app.router.add_get("/dicom-web/studies/{study}/series/{series}/instances/{instance}", null.single)
    return app


def main() -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(description="An origin that does nothing.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--size", type=TypeAdapter(ByteSize).validate_python, default=256 << 20, help="bytes of the instance that it gives")
    chosen = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        web.run_app(application(chosen.size), host="127.0.0.1", port=chosen.port, print=None, loop=runner.get_loop())


if __name__ == "__main__":
    main()
