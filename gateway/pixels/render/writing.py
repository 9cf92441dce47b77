"""A picture as a file: JPEG, PNG or GIF (PS3.18 8.7.4)."""

from __future__ import annotations

import io
import struct
import zlib

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from gateway.pixels.work import Undoable

Pixels = NDArray[np.uint8]
"""(rows, columns) of grey, or (rows, columns, 3) of red, green and blue."""

JPEG, PNG, GIF = "image/jpeg", "image/png", "image/gif"
MEDIA = (JPEG, PNG, GIF)

QUALITY = 90
"""Of JPEG, when none is asked for: nothing that shows in a grey image is lost, at two thirds of the bytes of a PNG or less."""

FULL_COLOUR = 90
"""Quality from which on JPEG keeps colour at its full resolution (4:4:4); below it 4:2:0."""

_LONGEST = {JPEG: 65500, PNG: 1 << 24, GIF: 65535}
"""Pixels of a side that the encoder or the format can have."""

_RLE, _PAETH = 3, 128
"""zlib's strategy and libpng's filter. Measured on a CT slice of 512 x 512: 1.3 ms and 98 kB; 6 ms and 101 kB as libpng chooses."""


def written(pixels: Pixels, media: str, quality: int | None = None, icc: bytes | None = None) -> bytes:
    """A picture file.

    :param media: one of `MEDIA`. :param quality: 1 to 100, of JPEG. :param icc: the colour profile that goes with it; GIF has no place
        for one.
    :raises Undoable: when the format cannot hold it.
    """
    if max(pixels.shape[:2]) > _LONGEST.get(media, 0):
        raise Undoable(f"a picture of {pixels.shape[1]} x {pixels.shape[0]} pixels cannot be written as {media}")
    pixels = np.ascontiguousarray(pixels)
    if media == JPEG:
        return _jpeg(pixels, QUALITY if quality is None else quality, icc)
    return _png(pixels, icc) if media == PNG else _gif(pixels)


def _jpeg(pixels: Pixels, quality: int, icc: bytes | None) -> bytes:
    sampling = None if pixels.ndim == 2 else "444" if quality >= FULL_COLOUR else "420"
    encoded = bytes(imagecodecs.jpeg8_encode(pixels, level=quality, subsampling=sampling))
    return encoded if icc is None else _with_profile(encoded, icc)


def _with_profile(encoded: bytes, icc: bytes) -> bytes:
    """A JPEG with its profile in APP2 segments, behind the first one, JFIF's (ICC.1:2022 annex B.4)."""
    pieces = [icc[at : at + _PIECE] for at in range(0, len(icc), _PIECE)]
    heads = (b"ICC_PROFILE\0" + bytes((number, len(pieces))) for number in range(1, len(pieces) + 1))
    segments = [
        b"\xff\xe2" + struct.pack(">H", len(head) + len(piece) + 2) + head + piece for head, piece in zip(heads, pieces, strict=True)
    ]
    behind = 4 + struct.unpack_from(">H", encoded, 4)[0] if encoded[2:4] == b"\xff\xe0" else 2
    return b"".join((encoded[:behind], *segments, encoded[behind:]))


_PIECE = 65519
"""Bytes of a profile that fit into one segment."""


def _png(pixels: Pixels, icc: bytes | None) -> bytes:
    encoded = bytes(imagecodecs.png_encode(pixels, level=1, strategy=_RLE, filter=_PAETH, out=_room(pixels)))
    if icc is None:
        return encoded
    chunk = b"iCCP" + b"ICC profile\0\0" + zlib.compress(icc)
    behind = 8 + 25  # signature and IHDR
    return b"".join((encoded[:behind], struct.pack(">L", len(chunk) - 4), chunk, struct.pack(">L", zlib.crc32(chunk)), encoded[behind:]))


def _room(pixels: Pixels) -> int:
    """Bytes for a PNG: each row has one more, which shows in narrow pictures; the binding allows for less of that than noise takes."""
    size = int(pixels.nbytes)
    rows = int(pixels.shape[0])
    return size + size // 8 + 2 * rows + 4096


def _gif(pixels: Pixels) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(pixels).save(out, "GIF")
    return out.getvalue()
