"""Bulk data of stored instances as bodies (PS3.18 10.4.1.1.5, 10.4.1.1.6, 10.4.3.3.5, 10.4.3.3.6).

One value, as its BulkDataURI names it, or all of a study, series or instance: a part a value, a part a frame where the value is
compressed. Rules:

1. What the metadata of an instance names is bulk data, and nothing else is: the paths are taken from its DICOM JSON.
2. A native value is octets, little endian; one in fragments is codestreams under the media type of the stored syntax.
3. All or nothing, since the payload holds all bulk data of the resource: a value that cannot be given in any form that was
   asked for is refused before the first byte. Where an Accept leaves no doubt no instance is looked at for that.
4. Where there is no bulk data there is no such resource: 404. A multipart body of no parts does not exist (RFC 2046 5.1.1).
5. One instance is looked into at a time, when it is its turn.
6. Content-Location is a relative reference, so it is right behind any proxy: resolved against the URL of the request it is the
   BulkDataURI of the metadata.

Everything that is not a coroutine may block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice
from typing import Protocol

from gateway.backends.base import Body, View
from gateway.backends.parts import Content, Part, made_whole, multipart, single, spanned, windowed
from gateway.backends.representations import NATIVE, OCTETS, Blob, Runner, opened, state_of_all, typed
from gateway.backends.validators import validator
from gateway.backends.views import frame_content, frame_offers
from gateway.dicom.byteorder import WORD, swapped
from gateway.dicom.elements import PIXELS, UNDEFINED, Limits, Walk
from gateway.dicom.explicit import word_size
from gateway.dicom.frames import BITS, FrameTable
from gateway.dicom.metadata import MODEL, Place, bulk_paths, places
from gateway.dicom.model import Data
from gateway.dicom.part10 import DEFLATED
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, Accept, Offer, choose
from gateway.dicomweb.resources import Resource
from gateway.errors import NotAcceptable, NotFound

LAID_OUT = 16_384
"""Parts of one instance up to which all are laid out before the first is sent, so that the length of the body is known: 7 MB."""

LOOK = 16
"""Instances whose DICOM JSON is read in one hop."""

_OCTETS = [Offer(OCTETS, EXPLICIT_LITTLE_ENDIAN, multipart=multipart, as_stored=True) for multipart in (True, False)]
_PIXELS = frozenset(f"{tag:08X}" for tag in PIXELS)
_ITEM = b"\xfe\xff\x00\xe0"


@dataclass(frozen=True, slots=True)
class Laid:
    """An instance that was looked into.

    :param data: see `metadata.instance_metadata`; beyond it only looked at of a deflated instance.
    :param walk: recorded and finished.
    :param table: its frames, None where nothing tells where they are; blocks.
    """

    blob: Blob
    data: Data
    walk: Walk
    table: Callable[[], FrameTable | None]


class Held(Protocol):
    """The instances of a resource, in the order in which they were stored. The methods block."""

    @property
    def blobs(self) -> Sequence[Blob]:
        """All of them; there is at least one."""

    def documents(self, some: Sequence[int]) -> Sequence[bytes]:
        """The DICOM JSON of those with these numbers."""

    def laid(self, number: int) -> Laid:
        """Looks into one of them."""


# -- values


@dataclass(frozen=True, slots=True)
class _Value:
    """:param coded: whether it is codestreams and not octets.
    :param contents: what its parts hold; there are `count`.
    """

    coded: bool
    count: int
    contents: Iterable[Content]


def _value(laid: Laid, place: Place, limits: Limits) -> _Value | None:
    """A value, None where it has no bytes of its own: a sequence of undefined length that is too deep for the model."""
    tag, vr, offset, length, depth = place.event
    if length != UNDEFINED:
        return _Value(False, 1, [_octets(laid, place)])
    if vr == "SQ":
        return None
    table = laid.table() if tag in PIXELS and depth == 0 else None
    if table is None or not table.frames:  # an icon, say: one picture, whatever its fragments
        return _Value(True, 1, [_picture(laid, offset)])
    return _Value(True, table.frames, map(frame_content(laid.blob, table, limits), range(1, table.frames + 1)))


def _octets(laid: Laid, place: Place) -> Content:
    tag, vr, offset, length, depth = place.event
    if laid.walk.syntax in DEFLATED:
        return windowed(lambda start, count: _inflated(laid, offset + start, count), length)
    if place.little:
        return spanned(laid.blob.source, [(offset, length)])
    word = word_size(vr, _bits_allocated(laid)) if tag in PIXELS and depth == 0 else WORD.get(vr, 1)
    return windowed(lambda start, count: swapped(laid.blob.source.read(offset + start, count), word), length)


def _bits_allocated(laid: Laid) -> int:
    """Bits Allocated (0028,0100) of a big endian instance, 0 where it is missing."""
    found = (laid.data[offset : offset + length] for tag, _, offset, length, depth in laid.walk.events if tag == BITS and depth == 0)
    return int.from_bytes(bytes(next(found, b"")), "big")


def _inflated(laid: Laid, offset: int, length: int) -> bytes:
    return bytes(laid.data[offset : offset + length])


def _picture(laid: Laid, offset: int) -> Content:
    """The fragments of the value that starts at `offset` as one."""
    if laid.walk.syntax in DEFLATED:
        read = partial(_inflated, laid)
        return made_whole(lambda: b"".join(read(*span) for span in _fragments(read, offset)))
    return spanned(laid.blob.source, list(_fragments(laid.blob.source.read, offset)))


def _fragments(read: Callable[[int, int], bytes], offset: int) -> Iterator[tuple[int, int]]:
    """Offset and length of each fragment, the offset table left out (PS3.5 A.4). `limits.fragments` bounds their number."""
    first = True
    while (header := read(offset, 8))[:4] == _ITEM:
        length = int.from_bytes(header[4:8], "little")
        if not first:
            yield offset + 8, length
        first = False
        offset += 8 + length


def _offers(value: _Value, syntax: str) -> list[Offer]:
    return frame_offers(syntax, value.count) if value.coded else _OCTETS


def _refused(coded: bool, syntax: str) -> NotAcceptable:
    """Why a value cannot be given, and how it could be had."""
    if coded:
        return NotAcceptable(
            f"pixel data is stored as {syntax}, which cannot be given in a form that was asked for; "
            f'ask for multipart/related; type="{OCTETS}"; transfer-syntax=* to get it as stored'
        )
    return NotAcceptable(
        f'bulk data that is not compressed is {OCTETS} (here of an instance stored as {syntax}); ask for multipart/related; type="{OCTETS}"'
    )


# -- one value


def bulk_body(laid: Laid, path: str, accept: Accept, run: Runner, limits: Limits) -> Body:
    """The value that a BulkDataURI of the metadata names: octets, or the frames of compressed pixel data, a part each.

    :raises NotFound: when there is no such value. :raises NotAcceptable: naming the stored transfer syntax.
    """
    found = places(laid.data, laid.walk.events, [path], syntax=laid.walk.syntax)
    value = _value(laid, found[0], limits) if found else None
    if value is None:
        raise NotFound("the instance has no bulk data at this path")
    blob, syntax = laid.blob, laid.blob.instance.transfer_syntax
    offer = choose(accept, _offers(value, syntax))
    if offer is None:
        raise _refused(value.coded, syntax)
    media, state = typed(offer.media_type, offer.transfer_syntax), blob.state
    etag = validator(state.digest, "values" if offer.multipart else "value", media, path)
    if not offer.multipart:
        return single(media, next(iter(value.contents)), run, state, etag)
    parts = (Part(media, content, path.rpartition("/")[2]) for content in value.contents)
    return multipart(media, list(parts) if value.count <= LAID_OUT else parts, run, state, etag)


# -- all values


async def all_bulk_data(resource: Resource, view: View, held: Held, accept: Accept, run: Runner, limits: Limits) -> Body:
    """All bulk data of a study, series or instance, or all of its pixel data.

    :param view: BULKDATA or PIXELDATA; the latter is that of the top level alone.
    :raises NotFound: when there is none. :raises NotAcceptable: naming a stored transfer syntax.
    """
    everything = await run(partial(_Everything, resource, view, held, accept, limits))
    doubtful = everything.doubtful
    for start in range(0, len(doubtful), LOOK):
        await run(partial(everything.check, doubtful[start : start + LOOK]))
    parts, most = everything.parts(), LAID_OUT + 1 if resource.instance is not None else 1
    found: list[Part] | None = []
    while not found:
        found = await run(partial(_until_hop, parts, most))
        if found is None:
            raise NotFound(f"the {resource.level} has no {_NAMES[view]}")
    return await opened(run, partial(everything.body, found, parts if len(found) == most else None, run), _close)


_NAMES = {View.BULKDATA: "bulk data: its metadata holds all there is", View.PIXELDATA: "pixel data"}


def _close(body: Body) -> None:
    if body.close is not None:
        body.close()


def _until_hop(parts: Iterator[Part | None], most: int) -> list[Part] | None:
    """The next parts up to the end of a hop, None when there are none left."""
    found: list[Part] = []
    for part in parts:
        if part is None:
            return found
        found.append(part)
        if len(found) == most:
            return found
    return found or None


class _Everything:
    """All values of one kind of some instances.

    :ivar doubtful: numbers of the instances in which there may be something that cannot be given.
    """

    def __init__(self, resource: Resource, view: View, held: Held, accept: Accept, limits: Limits) -> None:
        self._held = held
        self._pixels = view is View.PIXELDATA
        self._limits = limits
        self._above = len(resource.path) + 1
        self._blobs = held.blobs
        self._state = state_of_all(self._blobs)
        self._etag = validator(self._state.digest, view.value, MODEL)
        syntaxes = dict.fromkeys(blob.instance.transfer_syntax for blob in self._blobs)
        self._octets = choose(accept, _OCTETS[:1])
        self._codecs = {syntax: choose(accept, frame_offers(syntax, 2)) for syntax in syntaxes}
        if self._octets is None and not any(self._codecs.values()):
            raise _refused(coded=next(iter(syntaxes)) not in NATIVE, syntax=", ".join(islice(syntaxes, 3)))
        sure = {syntax for syntax, offer in self._codecs.items() if self._octets and (offer or syntax in NATIVE)}
        self.doubtful = [number for number, blob in enumerate(self._blobs) if blob.instance.transfer_syntax not in sure]

    def check(self, numbers: Sequence[int]) -> None:
        """:raises NotAcceptable: when one of these instances has a value that cannot be given."""
        for number, paths in zip(numbers, self._paths(numbers), strict=True):
            for _ in self._values(number, paths):
                pass

    def parts(self) -> Iterator[Part | None]:
        """A part for each value or frame; None where a thread has worked enough for one hop."""
        for start in range(0, len(self._blobs), LOOK):
            numbers = range(start, min(start + LOOK, len(self._blobs)))
            for number, paths in zip(numbers, self._paths(numbers), strict=True):
                for location, offer, contents in self._values(number, paths):
                    media = typed(offer.media_type, offer.transfer_syntax)
                    yield from (Part(media, content, location) for content in contents)
            yield None

    def body(self, found: list[Part], more: Iterator[Part | None] | None, run: Runner) -> Body:
        """:param found: the first parts. :param more: those after them, None where these are all."""
        media = found[0].media
        if more is None:
            return multipart(media, found, run, self._state, self._etag)
        return multipart(media, chain(found, more), run, self._state, self._etag, first=2)

    def _paths(self, numbers: Sequence[int]) -> list[list[str]]:
        found = [bulk_paths(document) for document in self._held.documents(numbers)]
        return [[path for path in paths if path in _PIXELS] for paths in found] if self._pixels else found

    def _values(self, number: int, paths: list[str]) -> Iterator[tuple[str, Offer, Iterable[Content]]]:
        """Content-Location, form and contents of each value."""
        if not paths:
            return
        laid = self._held.laid(number)
        instance = self._blobs[number].instance
        base = Resource(instance.study, instance.series, instance.sop).path[self._above :]
        for place in places(laid.data, laid.walk.events, paths, syntax=laid.walk.syntax):
            value = _value(laid, place, self._limits)
            if value is None:
                continue
            offer = self._codecs[instance.transfer_syntax] if value.coded else self._octets
            if offer is None:
                raise _refused(value.coded, instance.transfer_syntax)
            yield f"{base}/bulkdata/{place.path}".removeprefix("/"), offer, value.contents
