"""Compressed frames into arrays: one codec for each family of transfer syntaxes, behind the checks of `codestreams`.

1. Nothing is decoded before its header was held against the data set and the limits.
2. Values come as they are stored: in cells of Bits Allocated, signed where Pixel Representation says so, whatever the codestream
   says of signs (only JPEG 2000 can, and there are files where the two disagree).
3. Colour follows `conversion.decoded`. JPEG does not tell its colour space: an Adobe marker is believed first, then component
   identifiers, a JFIF marker, and last the data set's Photometric Interpretation.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import imagecodecs
import numpy as np
from imagecodecs import htj2k_decode, jpeg2k_decode, jpeg8_decode, jpegls_decode  # loaded now, before the first frame comes

from gateway.pixels import codestreams, conversion, native, rle, syntaxes
from gateway.pixels.codestreams import Codestream
from gateway.pixels.image import Image
from gateway.pixels.limits import PixelLimits
from gateway.pixels.work import Undoable

FRAME_BYTES = PixelLimits().frame_bytes


@dataclass(frozen=True, slots=True)
class Decoded:
    """The pixels of a frame.

    :param array: (rows, columns) or (rows, columns, samples), of cells as they are stored; single bits as bytes of 0 and 1.
    :param photometric: what they mean.
    """

    array: native.Array
    photometric: str


def decoded(data: bytes, image: Image, frame_bytes: int = FRAME_BYTES) -> Decoded:
    """The pixels of a frame.

    :param data: in ``image.syntax``; of native transfer syntaxes little endian cells. :param image: what the data set says of it.
    :param frame_bytes: limit of a decoded frame.
    :raises Undoable: for a frame that is too large, damaged, or not what is said of it.
    """
    photometric = conversion.decoded(image).photometric
    found = codestreams.check(data, image, frame_bytes)
    if image.syntax == syntaxes.DEFLATED_FRAMES:
        return Decoded(*native.array(inflated(data, image), image))
    if image.syntax in syntaxes.UNCOMPRESSED:
        return Decoded(*native.array(data, image))
    if found is None:
        return Decoded(rle.decoded(data, image), photometric)
    return Decoded(_cells(_decompressed(data, image, found), image, found), photometric)


def inflated(data: bytes, image: Image) -> bytes:
    """The native frame inside of a deflated one (PS3.5 A.4.13), and not a byte more.

    :raises Undoable: when it is damaged or too short.
    """
    try:
        frame = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, image.frame_bytes)
    except zlib.error as error:
        raise Undoable(f"a frame of transfer syntax {image.syntax} is damaged: it cannot be inflated") from error
    if len(frame) < image.frame_bytes:
        raise Undoable(f"a frame is cut: it has {len(frame)} bytes of {image.frame_bytes}")
    return frame


_REVERSIBLE = frozenset({syntaxes.HTJ2K_LOSSLESS, syntaxes.HTJ2K_LOSSLESS_RPCL})
"""OpenJPH is quicker than OpenJPEG. But of what was quantised, values beyond white come back black from its binding."""


# -- codecs ------------------------------------------------------------------------------------------------------------


def _decompressed(data: bytes, image: Image, found: Codestream) -> native.Array:
    try:
        return _CODECS[found.kind](data, image, found)
    except (MemoryError, Undoable):
        raise
    except Exception as error:
        raise Undoable(f"a frame of transfer syntax {image.syntax} cannot be decoded: {error}") from error


def _jpeg(data: bytes, image: Image, found: Codestream) -> native.Array:
    if image.samples == 1:
        return jpeg8_decode(data)
    if image.samples != 3:
        raise Undoable(f"JPEG of {image.samples} samples a pixel cannot be decoded here")
    if found.lossless:  # its components are not transformed, whatever they are called
        return jpeg8_decode(data, colorspace="RGB", outcolorspace="RGB")
    return jpeg8_decode(data, colorspace=_colour(found, image), outcolorspace="RGB")


def _colour(found: Codestream, image: Image) -> str:
    """The colour space of JPEG's components."""
    if found.transform in (0, 1):
        return "YCBCR" if found.transform else "RGB"
    if found.identifiers.upper() == b"RGB":
        return "RGB"
    return "RGB" if image.photometric == "RGB" and not found.jfif else "YCBCR"


def _jpeg_ls(data: bytes, image: Image, found: Codestream) -> native.Array:
    return jpegls_decode(data)


def _jpeg_2000(data: bytes, image: Image, found: Codestream) -> native.Array:
    if image.syntax in _REVERSIBLE:
        return htj2k_decode(data, planar=False)
    return jpeg2k_decode(data, planar=False, numthreads=1)


def _jpeg_xl(data: bytes, image: Image, found: Codestream) -> native.Array:
    return imagecodecs.jpegxl_decode(data, index=0, numthreads=1)


_CODECS: Mapping[str, Callable[[bytes, Image, Codestream], native.Array]] = {
    "JPEG": _jpeg,
    "JPEG-LS": _jpeg_ls,
    "JPEG XL": _jpeg_xl,
    "JPEG 2000": _jpeg_2000,
}


# -- what codecs give, as the data set says ----------------------------------------------------------------------------


def _cells(pixels: native.Array, image: Image, found: Codestream) -> native.Array:
    """In the shape and type of the data set's cells.

    :raises Undoable: when they have another shape: a decoder that made something else than the header announced.
    """
    shape = (image.rows, image.columns) if image.samples == 1 else (image.rows, image.columns, image.samples)
    if pixels.size != image.rows * image.columns * image.samples or pixels.shape[:2] != shape[:2]:
        raise Undoable(f"a frame of transfer syntax {image.syntax} was decoded to {pixels.shape}, and its data set says {shape}")
    kind = native.dtype(image)
    cells = pixels.reshape(shape).astype(kind, copy=False)
    unused = 8 * kind.itemsize - found.precision
    if unused > 0 and found.precision and found.signed != image.signed:
        return _as_signed_as(cells, unused)
    return cells


def _as_signed_as(cells: native.Array, unused: int) -> native.Array:
    """Cells whose codestream knew nothing of their sign, or thought otherwise: upper bits follow the sign bit, or are zero."""
    shifted: Any = cells << unused
    shifted >>= unused
    return np.asarray(shifted)
