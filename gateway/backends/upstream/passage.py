"""One store request at an origin, while it is being written (PS3.18 10.5.1, 8.6.1.2).

Nothing goes out before more than `hold` bytes wait: a request that ends before is sent in one piece, with its length, and may
be repeated. From then on it streams.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from gateway.backends.representations import DICOM
from gateway.backends.upstream.client import Answer, Client
from gateway.backends.upstream.handing import Handover, Unwanted
from gateway.dicomweb import framing

JUDGED = (200, 202, 400, 409)
"""Statuses that come with a store answer: Orthanc says 400 where it stored only some."""

ANSWER = 64 << 20
"""Bytes of a store answer: 20,000 instances (limits.parts), their URLs and the blanks between."""


class Passage:
    """:param multipart: whether it takes several instances. :param hold: bytes up to which it waits."""

    def __init__(self, client: Client, *, multipart: bool, hold: int) -> None:
        self._client = client
        self._boundary = framing.new_boundary() if multipart else None
        self._hold = hold
        self._waiting: list[bytes] = []
        self._size = 0
        self._whole = (0, 0)  # pieces and bytes that wait of instances that have ended
        self._inside = False
        self._handover: Handover | None = None
        self._call: asyncio.Task[Answer] | None = None

    async def begin(self) -> None:
        """An instance begins. Its head names no transfer syntax: Orthanc passes over a part whose type has a parameter.

        :raises Unwanted: as `put`.
        """
        first = self._call is None and not self._waiting
        self._inside = True
        if self._boundary is not None:
            await self.put(framing.part_head(self._boundary, DICOM, first=first))

    async def put(self, piece: bytes) -> None:
        """The next bytes of it.

        :raises Unwanted: the origin has answered already, or is gone; `finish` tells.
        """
        if self._handover is not None:
            await self._handover.put(piece)
            return
        self._waiting.append(piece)
        self._size += len(piece)
        if self._size > self._hold:
            self._start()

    def ended(self) -> None:
        """The instance is whole."""
        self._inside = False
        self._whole = len(self._waiting), self._size

    def withdrawn(self) -> bool:
        """Takes back the instance that is not whole; False when some of it is on its way already."""
        if self._inside and self._call is None:
            count, self._size = self._whole
            del self._waiting[count:]
            self._inside = False
        return not self._inside

    def _start(self) -> None:
        handover = self._handover = Handover(self._waiting)
        self._waiting = []
        self._call = asyncio.create_task(self._ask(handover))
        self._call.add_done_callback(lambda _: handover.over())

    async def _ask(self, body: bytes | Handover) -> Answer:
        media = DICOM if self._boundary is None else framing.content_type(DICOM, self._boundary)
        headers = {"Content-Type": media, "Accept": "application/dicom+json"}
        return await self._client.ask("POST", "/studies", transaction="store", headers=headers, body=body, ok=JUDGED)

    async def finish(self) -> tuple[str, bytes]:
        """The Content-Type and body of the origin's answer, when all is written or the origin takes no more.

        :raises GatewayError: what the origin refused the request for.
        """
        if self._boundary is not None:
            with suppress(Unwanted):
                await self.put(framing.closing(self._boundary))
        if self._call is None:
            answer = await self._ask(b"".join(self._waiting))
        else:
            if self._handover is not None:
                self._handover.end()
            answer = await self._call
        return answer.media, await answer.read(ANSWER)

    async def abort(self) -> None:
        """Breaks off what is not over; safe to call at any time, and more than once."""
        if self._call is None:
            return
        self._call.cancel()
        await asyncio.wait([self._call])
        if not self._call.cancelled() and self._call.exception() is None:
            await self._call.result().aclose()
