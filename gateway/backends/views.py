"""Frames and bulk data of stored instances as bodies (PS3.18 10.4.1.1, 8.7.3.3).

Beside `representations`, which gives whole instances. Everything that is not a coroutine may block.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial

from gateway.backends.base import Body, Piece
from gateway.backends.representations import NATIVE, OCTETS, Blob, Runner, close_pieces, opened, typed, whole
from gateway.dicom.byteorder import WORD, swapped
from gateway.dicom.elements import PIXELS, UNDEFINED, Limits, Walk
from gateway.dicom.explicit import word_size
from gateway.dicom.frames import BITS, FrameTable
from gateway.dicom.metadata import locate
from gateway.dicom.model import Data
from gateway.dicom.native import inflated
from gateway.dicom.part10 import BIG_ENDIAN, DEFLATED
from gateway.dicomweb import framing
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, Accept, Offer, choose
from gateway.errors import NotAcceptable, NotFound

CODEC_TYPES = {
    "1.2.840.10008.1.2.4.50": "image/jpeg",
    "1.2.840.10008.1.2.4.51": "image/jpeg",
    "1.2.840.10008.1.2.4.53": "image/jpeg",
    "1.2.840.10008.1.2.4.55": "image/jpeg",
    "1.2.840.10008.1.2.4.57": "image/jpeg",
    "1.2.840.10008.1.2.4.70": "image/jpeg",
    "1.2.840.10008.1.2.4.80": "image/jls",
    "1.2.840.10008.1.2.4.81": "image/jls",
    "1.2.840.10008.1.2.4.90": "image/jp2",
    "1.2.840.10008.1.2.4.91": "image/jp2",
    "1.2.840.10008.1.2.4.92": "image/jpx",
    "1.2.840.10008.1.2.4.93": "image/jpx",
    "1.2.840.10008.1.2.4.100": "video/mpeg",
    "1.2.840.10008.1.2.4.101": "video/mpeg",
    "1.2.840.10008.1.2.4.102": "video/mp4",
    "1.2.840.10008.1.2.4.103": "video/mp4",
    "1.2.840.10008.1.2.4.104": "video/mp4",
    "1.2.840.10008.1.2.4.105": "video/mp4",
    "1.2.840.10008.1.2.4.106": "video/mp4",
    "1.2.840.10008.1.2.4.107": "video/mp4",
    "1.2.840.10008.1.2.4.108": "video/mp4",
    "1.2.840.10008.1.2.4.110": "image/jxl",
    "1.2.840.10008.1.2.4.111": "image/jxl",
    "1.2.840.10008.1.2.4.112": "image/jxl",
    "1.2.840.10008.1.2.4.201": "image/jphc",
    "1.2.840.10008.1.2.4.202": "image/jphc",
    "1.2.840.10008.1.2.4.203": "image/jphc",
    "1.2.840.10008.1.2.5": "image/dicom-rle",
}
"""The media type of a frame by its transfer syntax (PS3.18 table 8.7.3-5)."""

SMALL = 128 << 10
"""Bytes of a frame up to which it is read in the hop that finds it: cheaper than a sendfile of its own."""

ICON = 16 << 20
"""Bytes of a compressed picture inside a sequence that are joined in memory."""

_ITEM = b"\xfe\xff\x00\xe0"


# -- frames


def frame_offers(syntax: str, count: int) -> list[Offer]:
    """What frames can be given as; a single one also as a body of its own."""
    native = syntax in NATIVE
    media = OCTETS if native else CODEC_TYPES.get(syntax, OCTETS)
    given = EXPLICIT_LITTLE_ENDIAN if native else syntax
    return [Offer(media, given, multipart=multipart, as_stored=True) for multipart in ((True, False) if count == 1 else (True,))]


def frames_body(blob: Blob, table: FrameTable | None, numbers: Sequence[int], accept: Accept, run: Runner, limits: Limits) -> Body:
    """Some frames, numbered from 1, in the order asked for.

    :raises NotFound: for a frame that is not there. :raises NotAcceptable: naming the stored transfer syntax.
    """
    if table is None:
        raise NotFound("the instance has no pixel data that frames could be cut out of")
    syntax = blob.instance.transfer_syntax
    offer = choose(accept, frame_offers(syntax, len(numbers)))
    if offer is None:
        raise NotAcceptable(
            f"the frames are stored as {syntax}, which cannot be given in a form that was asked for; "
            'ask for multipart/related; type="application/octet-stream"; transfer-syntax=* to get them as stored'
        )
    spans = [table.spans(number) for number in numbers]
    if syntax in DEFLATED:
        data = inflated(blob.source.read(0, blob.size), limits)
        return _parts(offer, [partial(table.frame, number, partial(_cut, data)) for number in numbers], None, blob, run)
    if table.as_stored:
        made = [partial(_frame, blob, found) for found in spans]
        return _parts(offer, made, [sum(length for _, length in found) for found in spans], blob, run)
    return _parts(offer, [partial(table.frame, number, blob.source.read) for number in numbers], None, blob, run)


def _frame(blob: Blob, spans: list[tuple[int, int]]) -> Piece:
    if len(spans) > 1:
        return b"".join([blob.source.read(*span) for span in spans])
    offset, length = spans[0]
    return blob.source.read(offset, length) if length <= SMALL else blob.source.piece(offset, length)


def _cut(data: Data, offset: int, length: int) -> bytes:
    return bytes(data[offset : offset + length])


def _parts(offer: Offer, contents: Sequence[Callable[[], Piece]], lengths: Sequence[int] | None, blob: Blob, run: Runner) -> Body:
    """Contents as one part each, or as the single part that they are.

    :param contents: each makes one part, and may block. The first is made here, in the hop that looked the instance up; the
        others when it is their turn, so that only one is held.
    :param lengths: of the contents in bytes, None where they are not known before.
    """
    media = typed(offer.media_type, offer.transfer_syntax)
    first = [contents[0]()]
    if not offer.multipart:
        return whole(media, first[0], blob)
    boundary = framing.new_boundary()
    head, tail = framing.part_head(boundary, media), framing.closing(boundary)

    async def pieces() -> AsyncGenerator[Piece, None]:
        yield head
        yield first.pop()
        for content in contents[1:]:
            yield head
            yield await opened(run, content, _close)
        yield tail

    length = None if lengths is None else len(head) * len(contents) + sum(lengths) + len(tail)
    media = framing.content_type(offer.media_type, boundary)
    return Body(media, pieces(), length, modified=blob.modified, close=partial(_close_left, first))


def _close(piece: Piece) -> None:
    close_pieces([piece])


def _close_left(left: list[Piece]) -> None:
    close_pieces(left)
    left.clear()


# -- bulk data


def bulk_body(blob: Blob, table: FrameTable | None, data: Data, walk: Walk, path: str, accept: Accept, run: Runner, limits: Limits) -> Body:
    """The value that a BulkDataURI of the metadata names (PS3.18 10.4.1.1.3): little-endian octets, or the frames of
    compressed pixel data, a part each.

    :param data: see `metadata.instance_metadata`; only looked at of a deflated instance.
    :raises NotFound: when there is no such value.
    """
    tag, vr, offset, length, depth = locate(walk.events, path)
    if length == UNDEFINED:
        if tag in PIXELS and depth == 0 and table is not None:
            return frames_body(blob, table, range(1, table.frames + 1), accept, run, limits)
        if tag in PIXELS:
            return _icon(blob, data, walk, offset, accept, run)
        raise NotFound("the value at this path has no bytes of its own")
    offer = choose(accept, [Offer(OCTETS, EXPLICIT_LITTLE_ENDIAN, multipart=multipart, as_stored=True) for multipart in (True, False)])
    if offer is None:
        raise NotAcceptable("bulk data is application/octet-stream")
    return _parts(offer, [partial(_value, blob, data, walk, vr, offset, length, pixels=tag in PIXELS and depth == 0)], [length], blob, run)


def _icon(blob: Blob, data: Data, walk: Walk, offset: int, accept: Accept, run: Runner) -> Body:
    """Compressed pixel data inside a sequence, such as that of an icon: one picture, whatever its fragments."""
    syntax = blob.instance.transfer_syntax
    offer = choose(accept, frame_offers(syntax, 1))
    if offer is None:
        raise NotAcceptable(f"the picture is stored as {syntax}, which cannot be given in a form that was asked for")
    read = partial(_cut, data) if walk.syntax in DEFLATED else blob.source.read
    return _parts(offer, [partial(_joined, read, offset)], None, blob, run)


def _joined(read: Callable[[int, int], bytes], offset: int) -> bytes:
    """The fragments of a value that starts at `offset`, its offset table left out (PS3.5 A.4)."""
    fragments: list[bytes] = []
    while (header := read(offset, 8))[:4] == _ITEM:
        length = int.from_bytes(header[4:8], "little")
        fragments.append(read(offset + 8, length))
        offset += 8 + length
        if sum(map(len, fragments)) > ICON:
            raise NotFound("the picture inside the sequence is larger than an icon has any reason to be")
    return b"".join(fragments[1:])


def _bits_allocated(walk: Walk, data: Data) -> int:
    """Bits Allocated (0028,0100) of a big endian instance, 0 where it is missing."""
    found = (bytes(data[offset : offset + length]) for tag, _, offset, length, depth in walk.events if tag == BITS and depth == 0)
    return int.from_bytes(next(found, b""), "big")


def _value(blob: Blob, data: Data, walk: Walk, vr: str, offset: int, length: int, *, pixels: bool) -> Piece:
    if walk.syntax in DEFLATED:
        return _cut(data, offset, length)
    if walk.syntax == BIG_ENDIAN:
        word = word_size(vr, _bits_allocated(walk, data)) if pixels else WORD.get(vr, 1)
        return swapped(blob.source.read(offset, length), word)
    return blob.source.piece(offset, length)
