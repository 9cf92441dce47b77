"""Headers of instances, parsed and kept: a viewer asks for a hundred frames of one instance."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gateway.pixels.image import Image, Json

HEADERS = 64 << 20
"""Bytes that the headers of one process may take, parsed: six hundred of usual size, or the one of an object of 2,500 frames."""

IMAGES = 4096
"""Descriptions of pixels that are kept, of some 300 bytes each: longer than the headers that they are from, for frames need no more."""

PARSED = 10
"""Bytes of memory that a byte of JSON takes when it is parsed, about."""

Key = tuple[str, str, str, str]
"""Store, scope of the caller, path and entity tag: what is kept under it never goes stale."""


@dataclass(frozen=True, slots=True)
class Header:
    """What an instance says of itself.

    :param path: of the instance, below the base of its store.
    :param data: its metadata in the DICOM JSON model, parsed; to be read only.
    :param raw: the same as it was written: one JSON object.
    :param syntax: the transfer syntax in which its frames come: the stored one, of native ones Explicit VR Little Endian.
    :param image: its pixels, None where it has none that have rows and columns.
    :param etag: of its metadata, None where there is none.
    """

    path: str
    data: Json
    raw: bytes
    syntax: str
    image: Image | None
    etag: str | None

    @property
    def cost(self) -> int:
        """Bytes of memory."""
        return 1024 + (PARSED + 1) * len(self.raw)


class Headers:
    """Headers that are kept; one for all stores of a process. :param bound: bytes."""

    def __init__(self, bound: int = HEADERS) -> None:
        self._bound = bound
        self._taken = 0
        self._kept: OrderedDict[Key, Header] = OrderedDict()
        self._images: OrderedDict[Key, Image | None] = OrderedDict()

    def get(self, key: Key) -> Header | None:
        """One that is kept; it is the last to go now."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
        return found

    def add(self, key: Key, header: Header) -> None:
        """Keeps one; those that were not asked for the longest go."""
        self._images[key] = header.image
        if len(self._images) > IMAGES:
            self._images.popitem(last=False)
        if header.cost > self._bound or key in self._kept:
            return
        self._kept[key] = header
        self._taken += header.cost
        while self._taken > self._bound:
            self._taken -= self._kept.popitem(last=False)[1].cost

    def knows(self, key: Key) -> bool:
        """Whether `image` knows the pixels of a header that was kept once."""
        return key in self._images

    def image(self, key: Key) -> Image | None:
        """Its pixels, None where it has none."""
        return self._images[key]
