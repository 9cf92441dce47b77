"""A store that draws: what it is asked for is written down, and what it gives says little more than which form was chosen."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace

from gateway.app import SERVICE
from gateway.backends.base import Body, Piece, Retrieve, Served, View
from gateway.backends.catalog import Catalog
from gateway.backends.memory import MemoryBackend
from gateway.dicomweb.media import Offer, choose
from gateway.errors import NotAcceptable, NotFound
from tests.web.gate import Gate

PICTURES = ("image/jpeg", "image/png", "image/gif")


class Drawing(MemoryBackend):
    """:ivar media: what it has for people. :ivar told: warnings of its own. :ivar missing: whether there is nothing that could be drawn."""

    def __init__(self, *media: str) -> None:
        super().__init__()
        self.media = media or PICTURES
        self.told: tuple[str, ...] = ()
        self.missing = False
        self.asked: list[Retrieve] = []

    async def retrieve(self, retrieve: Retrieve) -> Body:
        self.asked.append(retrieve)
        if retrieve.view not in (View.RENDERED, View.THUMBNAIL):
            return await super().retrieve(retrieve)
        if self.missing:
            raise NotFound("it has no pixels")
        offers = [Offer(media, multipart=multipart) for multipart in (False, True) for media in self.media]
        offer = choose(retrieve.accept, offers)
        if offer is None:
            raise NotAcceptable(f"it can be had as {', '.join(self.media)}")
        data = drawn(offer.media_type)
        if offer.multipart:
            body = b"--x\r\nContent-Type: " + offer.media_type.encode() + b"\r\n\r\n" + data + b"\r\n--x--\r\n"
            return Body(f'multipart/related; type="{offer.media_type}"; boundary=x', _pieces(body), etag="drawn", weak=True)
        return replace(whole(offer.media_type, data), served=Served(warnings=self.told))


def drawn(media: str) -> bytes:
    """What is given of a media type."""
    return f"the {media} of something".encode() * 20


def whole(media: str, data: bytes) -> Body:
    """A body of which ranges can be had."""

    def select(start: int, stop: int) -> Body:
        return Body(media, _pieces(data[start:stop]), stop - start, "drawn")

    return Body(media, _pieces(data), len(data), "drawn", modified=1e9, select=select)


async def _pieces(data: bytes) -> AsyncGenerator[Piece, None]:
    yield data


def draws(gate: Gate, *media: str) -> Drawing:
    """Puts such a store behind a gateway."""
    store = Drawing(*media)
    gate.app[SERVICE].catalog = Catalog({"default": store, "other": Drawing(*media)})
    return store
