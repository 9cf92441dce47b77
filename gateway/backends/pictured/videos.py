"""Videos as they are stored: no frame of them is decoded here (PS3.5 8.2.5 to 8.2.10, PS3.18 8.7.3.5.3).

A video goes out as the container that it is stored in, whatever its transfer syntax would have led one to expect: a browser plays MP4,
and not a bare bitstream or MPEG-2 under its name. So what was asked for as video/mp4 and is none is 406, naming what it is.
"""

from __future__ import annotations

import asyncio
import os

from gateway.backends.base import Body, FileSlice, Retrieve, View
from gateway.backends.pictured.passing import passing
from gateway.backends.pictured.reading import everything
from gateway.backends.pictured.sources import ONE
from gateway.backends.pictured.studio import Studio
from gateway.backends.pictured.subject import Subject
from gateway.backends.views import CODEC_TYPES
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound

START = 4096
"""Bytes that tell what a video is: 21 packets of a transport stream."""

_MPEG_2 = ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.101")
"""All its streams go by the name of video/mpeg (RFC 2045 and use)."""

PACKET = 188
"""Bytes of a packet of an MPEG-2 transport stream (ISO 13818-1)."""


async def type_of(studio: Studio, subject: Subject) -> str:
    """The media type of a video, by its first bytes."""
    body = await _stored(studio, subject)
    if body.select is not None and body.length is not None:
        body = body.select(0, min(START, body.length))
    return named(await _beginning(body), subject.header.syntax)


async def _beginning(body: Body) -> bytes:
    """The first bytes of a body; closes it."""
    if body.length is not None and body.length <= START:
        return await everything(body, START)
    try:
        async for piece in body.pieces:
            return piece[:START] if isinstance(piece, bytes) else await asyncio.to_thread(_read, piece)
    finally:
        await body.aclose()
    return b""


def _read(piece: FileSlice) -> bytes:
    """The first bytes of a slice; closes it."""
    try:
        return os.pread(piece.descriptor, min(piece.length, START), piece.offset)
    finally:
        os.close(piece.descriptor)


def named(start: bytes, syntax: str) -> str:
    """The media type of what begins like this.

    :param syntax: of a bare bitstream; and where nothing can be told, its own type.
    """
    if start[4:8] in (b"ftyp", b"styp", b"moov"):
        return "video/mp4"
    if start[:1] == b"G" and all(start[at] == 0x47 for at in range(0, len(start), PACKET)):
        return "video/mpeg" if syntax.startswith(_MPEG_2) else "video/mp2t"
    if start[:4] in (b"\0\0\1\xba", b"\0\0\1\xb3"):
        return "video/mpeg"
    if start[:4] == b"\0\0\0\1" or start[:3] == b"\0\0\1":
        return "video/h265" if syntax.endswith((".107", ".108")) else "video/h264"
    return CODEC_TYPES.get(syntax, "video/mpeg")


async def video(studio: Studio, subject: Subject) -> Body:
    """The bitstream."""
    return passing(await _stored(studio, subject), subject.media, warnings=subject.rendering.warnings)


async def _stored(studio: Studio, subject: Subject) -> Body:
    if any(one != 1 for one in subject.resource.frames):
        raise NotFound("a video has no frames that can be asked for one by one; ask for the instance")
    alone = subject.alone
    return await studio.sources.inner.retrieve(Retrieve(Resource(alone.study, alone.series, alone.instance, (1,)), View.FRAMES, ONE))
