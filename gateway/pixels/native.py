"""Cells of uncompressed pixel data, to and from arrays (PS3.5 8.1.1 and 8.2, PS3.3 C.7.6.3.1)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.pixels.image import Image
from gateway.pixels.work import Undoable

Array = NDArray[Any]
"""(rows, columns) or (rows, columns, samples): of integers or floating-point numbers, in the byte order of the machine."""

_FLOATS = {32: "<f4", 64: "<f8"}


def dtype(image: Image) -> np.dtype[Any]:
    """The type of a cell; single bits become bytes of 0 and 1, the 12 bits of ACR-NEMA's time two bytes.

    :raises Undoable: for sizes that nothing has.
    """
    if image.floating and image.allocated in _FLOATS:
        return np.dtype(_FLOATS[image.allocated])
    if image.allocated == 1:
        return np.dtype("u1")
    size = next((size for size in (1, 2, 4, 8) if image.allocated <= 8 * size), 0)
    if image.floating or not size or (image.allocated % 8 and image.allocated > 16):
        raise Undoable(f"pixels of {image.allocated} bits allocated cannot be read here")
    return np.dtype(f"<{'i' if image.signed else 'u'}{size}")


def array(data: bytes, image: Image) -> tuple[Array, str]:
    """The cells of a frame as they are, samples pixel by pixel; may share memory with `data`.

    :param data: in little endian order; single bits packed, the first one lowest.
    :return: and their photometric interpretation: subsampled colour comes at full resolution (YBR_FULL_422 as YBR_FULL;
        the retired YBR_PARTIAL_422 has no name for that, and keeps its own).
    :raises Undoable: when there are too few.
    """
    count = image.rows * image.columns * image.samples
    if image.allocated == 1:
        bits = np.unpackbits(np.frombuffer(_enough(data, image), np.uint8), count=count, bitorder="little")
        return _interleaved(bits, image), image.photometric
    kind = dtype(image)
    if image.allocated % 8:
        return _interleaved(_unpacked(_enough(data, image), image.allocated, count).astype(kind), image), image.photometric
    photometric = "YBR_FULL" if image.photometric == "YBR_FULL_422" else image.photometric
    if image.photometric.endswith("_422") and image.samples == 3 and len(data) < count * kind.itemsize:
        return _upsampled(data, image, kind), photometric
    return _interleaved(np.frombuffer(_enough(data, image), kind, count), image), photometric


def cells(pixels: Array, image: Image) -> memoryview:
    """A frame of Explicit VR Little Endian, without padding to an even length.

    :param pixels: cells as they are, samples pixel by pixel. :param image: in Explicit VR Little Endian, not planar.
    """
    if image.allocated == 1:
        return np.packbits(pixels.reshape(-1).astype(np.uint8, copy=False), bitorder="little").data
    contiguous = np.ascontiguousarray(pixels, dtype(image))
    return contiguous.reshape(-1).view(np.uint8).data


def values(pixels: Array, image: Image) -> Array:
    """Pixel values of cells: the Bits Stored bits up to High Bit, extended by the sign; unused bits may hold anything."""
    width = 8 * pixels.dtype.itemsize
    if image.floating or image.allocated == 1 or not 0 < image.stored <= image.high + 1 <= width or image.stored == width:
        return pixels
    above = width - 1 - image.high
    return (pixels << above if above else pixels) >> (width - image.stored)


def _enough(data: bytes, image: Image) -> bytes:
    if len(data) < image.frame_bytes:
        raise Undoable(f"a frame is cut: it has {len(data)} bytes of {image.frame_bytes}")
    return data


def _unpacked(data: bytes, bits: int, count: int) -> Array:
    """Cells one behind the other, not caring for bytes (PS3.5 of 1993, and ACR-NEMA before)."""
    single = np.unpackbits(np.frombuffer(data, np.uint8), count=count * bits, bitorder="little").reshape(count, bits)
    packed = np.packbits(single, axis=1, bitorder="little")
    return packed.reshape(-1) if bits < 8 else packed.view("<u2").reshape(-1)


def _interleaved(flat: Array, image: Image) -> Array:
    if image.samples == 1:
        return flat.reshape(image.rows, image.columns)
    if image.planar:
        return flat.reshape(image.samples, image.rows, image.columns).transpose(1, 2, 0)
    return flat.reshape(image.rows, image.columns, image.samples)


def _upsampled(data: bytes, image: Image, kind: np.dtype[Any]) -> Array:
    """Two pixels share their chrominance, stored as Y1 Y2 Cb Cr (PS3.3 C.7.6.3.1.2)."""
    pixels = image.rows * image.columns
    if len(data) < 2 * pixels * kind.itemsize or pixels % 2:
        raise Undoable(f"a frame is cut: it has {len(data)} bytes of {2 * pixels * kind.itemsize}")
    pairs = np.frombuffer(data, kind, 2 * pixels).reshape(-1, 4)
    full = np.empty((len(pairs), 2, 3), kind)
    full[:, :, 0] = pairs[:, :2]
    full[:, :, 1:] = pairs[:, np.newaxis, 2:]
    return full.reshape(image.rows, image.columns, 3)
