"""RLE Lossless (PS3.5 G): each byte of a pixel in a segment of its own, the most significant first, in PackBits.

Single bits stay packed, as in native pixel data, in one segment.
"""

from __future__ import annotations

import struct
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from gateway.pixels import codestreams, native
from gateway.pixels.image import Image
from gateway.pixels.work import Undoable

_BEYOND = 256
"""Bytes that a segment may make beyond the last pixel: some writers pad with runs."""

_Bytes = NDArray[np.uint8]


def decoded(data: bytes, image: Image) -> native.Array:
    """The cells of a frame, samples pixel by pixel. What a segment makes beyond the last pixel is left out.

    :raises Undoable: for segments that are not those of the image, or too short.
    """
    segments = codestreams.segments(data, image)
    if image.allocated == 1:
        (start, end), length = segments[0], image.frame_bytes
        return native.array(_unpacked(data[start:end], length, image).tobytes(), image)[0]
    size = image.allocated // 8
    pixels = np.empty((image.rows * image.columns, image.samples, size), np.uint8)
    for index, (start, end) in enumerate(segments):
        sample, place = divmod(index, size)
        pixels[:, sample, size - 1 - place] = _unpacked(data[start:end], len(pixels), image)
    shape = (image.rows, image.columns) if image.samples == 1 else (image.rows, image.columns, image.samples)
    return pixels.reshape(-1).view(native.dtype(image)).reshape(shape)


def _unpacked(segment: bytes, length: int, image: Image) -> _Bytes:
    try:
        made = imagecodecs.packbits_decode(segment, out=length + _BEYOND)
    except imagecodecs.PackbitsError as error:
        raise Undoable(f"a frame of transfer syntax {image.syntax} is damaged: a segment cannot be unpacked") from error
    if len(made) < length:
        raise Undoable(f"a frame of transfer syntax {image.syntax} is cut: a segment makes {len(made)} bytes of {length}")
    return np.frombuffer(made, np.uint8, length)


def encoded(pixels: native.Array, image: Image) -> bytes:
    """A frame. No run goes over the end of a row (G.3.1), and each segment has an even length (G.3.2)."""
    packed = [_packed(plane) for plane in _planes(pixels, image)]
    offsets, position = [], 64
    for segment in packed:
        offsets.append(position)
        position += len(segment)
    header = struct.pack("<16L", len(packed), *offsets, *[0] * (15 - len(packed)))
    return b"".join([header, *packed])


def _planes(pixels: native.Array, image: Image) -> list[Any]:
    if image.allocated == 1:
        return [np.asarray(native.cells(pixels, image))[np.newaxis]]
    size = image.allocated // 8
    cells = np.ascontiguousarray(pixels, native.dtype(image)).view(np.uint8)
    bytewise = cells.reshape(image.rows, image.columns, image.samples, size)
    return [bytewise[:, :, sample, size - 1 - place] for sample in range(image.samples) for place in range(size)]


def _packed(plane: _Bytes) -> bytes:
    packed = imagecodecs.packbits_encode(plane.copy(), axis=-1)
    return bytes(packed) + bytes(len(packed) % 2)
