"""Frames of stored instances as bodies (PS3.18 10.4.1.1.6, 8.7.3.3).

Beside `representations`, which gives whole instances, and `bulk`, which gives other values. Everything that is not a coroutine
may block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from gateway.backends.base import Body
from gateway.backends.parts import Content, Part, made_whole, multipart, single, spanned
from gateway.backends.representations import NATIVE, OCTETS, Blob, Runner, typed
from gateway.backends.validators import validator
from gateway.dicom.elements import Limits
from gateway.dicom.frames import FrameTable
from gateway.dicom.model import Data
from gateway.dicom.native import inflated
from gateway.dicom.part10 import DEFLATED
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


def frame_offers(syntax: str, count: int) -> list[Offer]:
    """What frames can be given as; a single one also as a body of its own."""
    native = syntax in NATIVE
    media = OCTETS if native else CODEC_TYPES.get(syntax, OCTETS)
    given = frames_syntax(syntax)
    return [Offer(media, given, multipart=multipart, as_stored=True) for multipart in ((True, False) if count == 1 else (True,))]


def frames_syntax(stored: str) -> str:
    """The transfer syntax in which frames come as they are stored: native ones are little endian octets, whatever is around them."""
    return EXPLICIT_LITTLE_ENDIAN if stored in NATIVE else stored


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
    content = frame_content(blob, table, limits)
    contents = [content(number) for number in numbers]
    media, state = typed(offer.media_type, offer.transfer_syntax), blob.state
    etag = validator(state.digest, "frames" if offer.multipart else "frame", media, ",".join(map(str, numbers)))
    if not offer.multipart:
        return single(media, contents[0], run, state, etag)
    # In chunks although its length is known: dcmweb drops what comes in one read with a boundary, and chunks are read apart.
    return replace(multipart(media, [Part(media, one) for one in contents], run, state, etag), length=None)


def frame_content(blob: Blob, table: FrameTable, limits: Limits) -> Callable[[int], Content]:
    """Makes the content of a frame from its number. Blocks, and so does what it makes.

    It raises `NotFound` for a frame that is not there.
    """
    if blob.instance.transfer_syntax in DEFLATED:
        return partial(_made, table, partial(_cut, inflated(blob.source.read(0, blob.size), limits)))
    if table.as_stored:
        return lambda number: spanned(blob.source, table.spans(number))
    return partial(_made, table, blob.source.read)


def _made(table: FrameTable, read: Callable[[int, int], bytes], number: int) -> Content:
    table.spans(number)  # raises now, not when it is the frame's turn
    return made_whole(partial(table.frame, number, read))


def _cut(data: Data, offset: int, length: int) -> bytes:
    return bytes(data[offset : offset + length])
