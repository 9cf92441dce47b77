"""Arrays into compressed frames; `conversion.converted` says beforehand which image fits which transfer syntax.

Codestreams tell the Bits Stored of the image where their codec lets them (PS3.5 8.2). JPEG-LS and HTJ2K with loss tell the size of
its cells, since the libraries know no other; so does lossless JPEG of signed values, as DCMTK's: who takes its samples for what
they are, without a thought of their sign bit, then has the right ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import imagecodecs
import numpy as np

from gateway.pixels import native, rle, syntaxes
from gateway.pixels.decoding import Decoded
from gateway.pixels.image import Image
from gateway.pixels.work import Undoable

QUALITY = 90
"""Of lossy frames unless asked otherwise: differences that are hard to see, at about a tenth of the size."""


def encoded(decoded: Decoded, image: Image, quality: int | None = None) -> bytes | memoryview:
    """A frame.

    :param decoded: pixel values (`native.values`); cells as they are for RLE and Explicit VR Little Endian.
    :param image: as `conversion.converted` says it is afterwards. :param quality: 1 to 100, for lossy transfer syntaxes.
    :raises Undoable: when the codec refuses.
    """
    if image.syntax == syntaxes.EXPLICIT:
        return native.cells(decoded.array, image)
    if image.syntax == syntaxes.RLE:
        return rle.encoded(decoded.array, image)
    try:
        return bytes(_CODECS[image.syntax](decoded.array, image, decoded.photometric, QUALITY if quality is None else quality))
    except MemoryError:
        raise
    except Exception as error:
        raise Undoable(f"a frame cannot be encoded in transfer syntax {image.syntax}: {error}") from error


def _psnr(image: Image, quality: int) -> float:
    """Decibels for a quality: 52 for 90 and 8 bits, an error that stays below one grey level mostly; finer for more bits, since
    windows show few of them at once."""
    return 25 + 0.3 * quality + 2 * max(0, image.stored - 8)


def _fitting(pixels: native.Array, image: Image) -> native.Array:
    """In the smallest cells that hold Bits Stored: codecs take the number of bits from them, or need half as long."""
    return np.ascontiguousarray(pixels, f"{'i' if image.signed else 'u'}{1 if image.stored <= 8 else 2}")


def _unsigned(pixels: native.Array, image: Image) -> native.Array:
    """The cells, taken for unsigned: codecs that know no signs keep two's complement to its last bit, and so do those who read it
    without extending signs."""
    return np.ascontiguousarray(pixels, native.dtype(image)).view(f"u{image.allocated // 8}")


def _jpeg(pixels: native.Array, image: Image, photometric: str, quality: int) -> bytes | bytearray:
    if image.samples == 1:
        return imagecodecs.jpeg8_encode(_unsigned(pixels, image), quality)
    colour = "RGB" if photometric == "RGB" else "YCBCR"
    return imagecodecs.jpeg8_encode(_unsigned(pixels, image), quality, colorspace=colour, outcolorspace="YCBCR", subsampling="422")


def _jpeg_lossless(pixels: native.Array, image: Image, photometric: str, quality: int) -> bytes | bytearray:
    bits = image.allocated if image.signed else image.stored
    cells = _unsigned(pixels, image).astype(np.uint8 if bits <= 8 else np.uint16, copy=False)
    space = None if image.samples == 1 else "RGB" if image.photometric == "RGB" else "UNKNOWN"  # the same twice: not transformed
    return imagecodecs.jpeg8_encode(cells, lossless=True, predictor=1, bitspersample=bits, colorspace=space, outcolorspace=space)


def _jpeg_ls(pixels: native.Array, image: Image, photometric: str, quality: int) -> bytes | bytearray:
    cells = _unsigned(pixels, image)
    return _without_spiff(imagecodecs.jpegls_encode(cells, out=_room(cells)))


def _jpeg_ls_near(pixels: native.Array, image: Image, photometric: str, quality: int) -> bytes | bytearray:
    cells = _unsigned(pixels, image)
    return _without_spiff(imagecodecs.jpegls_encode(cells, max(1, (100 - quality) // 5), out=_room(cells)))


def _room(cells: native.Array) -> int:
    """Bytes for a JPEG-LS stream: noise in colour grows by a tenth, and CharLS is given less room than that unless it is told."""
    return 2 * int(cells.nbytes) + 1024


def _without_spiff(stream: bytes | bytearray) -> bytes | bytearray:
    """CharLS puts the header of a file in front, which says less than the data set (ISO/IEC 10918-3 F)."""
    position = 2
    while stream[position + 1] == _SPIFF:
        position += 2 + int.from_bytes(stream[position + 2 : position + 4], "big")
    return stream[:2] + stream[position:]


_SPIFF = 0xE8
"""The marker of its entries, APP8; the last of them counts a second start of image as its own."""


def _jpeg_2000(pixels: native.Array, image: Image, photometric: str, quality: int) -> bytes | bytearray:
    cells = _fitting(pixels, image)
    if image.syntax == syntaxes.J2K_LOSSLESS:
        return _wavelets(cells, image, None)
    wanted = round(_psnr(image, quality))
    stream = _wavelets(cells, image, wanted)
    return _wavelets(cells, image, None) if len(stream) < _LITTLE and _misses(stream, cells, image, wanted) else stream


def _wavelets(cells: native.Array, image: Image, decibels: int | None) -> bytes | bytearray:
    """A codestream of JPEG 2000. :param decibels: None for all that the wavelet of the transfer syntax keeps."""
    return imagecodecs.jpeg2k_encode(
        cells,
        decibels,
        codecformat="j2k",
        reversible=image.syntax == syntaxes.J2K_LOSSLESS,
        bitspersample=image.stored,
        mct=image.photometric in ("YBR_RCT", "YBR_ICT"),
        numthreads=1,
    )


_LITTLE = 4096
"""Bytes of a codestream below which it is looked at once more. OpenJPEG's search for a quality goes wrong where there is next to nothing
to leave out: a black frame may come back grey. Kept whole, such a frame takes hardly more."""

_TOLERANCE = 3
"""Decibels that may be missing: rounding to whole grey levels costs some of what was asked for."""


def _misses(stream: bytes | bytearray, cells: native.Array, image: Image, wanted: int) -> bool:
    """Whether a codestream is worse than it was to be."""
    error = imagecodecs.jpeg2k_decode(stream, planar=False, numthreads=1).astype(np.float64) - cells
    return float(np.mean(error**2)) > ((1 << image.stored) - 1) ** 2 / 10 ** ((wanted - _TOLERANCE) / 10)


def _htj2k_lossless(pixels: native.Array, image: Image, photometric: str, quality: int) -> bytes | bytearray:
    """OpenJPH's binding takes the number of bits from the type of cells. Without loss nothing in a codestream depends on that number
    but the level that unsigned samples are shifted by: it gets them shifted already, as signed ones, and the header (SIZ,
    ISO/IEC 15444-1 A.5.1) is told what they were."""
    middle = 0 if image.signed else 1 << (image.stored - 1)
    cells = np.ascontiguousarray(pixels, np.int32) - middle
    stream = bytearray(
        imagecodecs.htj2k_encode(
            cells.astype(np.int8 if image.stored <= 8 else np.int16),
            rgb=image.photometric == "YBR_RCT",
            planar=False,
            reversible=True,
            tlm=True,
            tilepart=imagecodecs.HTJ2K.TILEPART.RESOLUTIONS,
        )
    )
    for sample in range(image.samples):
        stream[_DEPTHS + 3 * sample] = image.stored - 1 | (0x80 if image.signed else 0)
    return stream


_DEPTHS = 42
"""Where SIZ says the bits of the first sample, in a codestream without a file around it."""


def _htj2k(pixels: native.Array, image: Image, photometric: str, quality: int) -> bytes | bytearray:
    """Quantised: here the steps do depend on the number of bits, which stays that of the cells."""
    cells = _fitting(pixels, image)
    error = 2.0**image.stored / 10 ** (_psnr(image, quality) / 20)
    step = 2 * error / 2.0 ** (8 * cells.itemsize)
    return imagecodecs.htj2k_encode(cells, step, rgb=image.photometric == "YBR_ICT", planar=False, reversible=False)


_CODECS: Mapping[str, Callable[[native.Array, Image, str, int], bytes | bytearray]] = {
    syntaxes.JPEG_BASELINE: _jpeg,
    syntaxes.JPEG_LOSSLESS_SV1: _jpeg_lossless,
    syntaxes.JPEG_LS: _jpeg_ls,
    syntaxes.JPEG_LS_NEAR: _jpeg_ls_near,
    syntaxes.J2K_LOSSLESS: _jpeg_2000,
    syntaxes.J2K: _jpeg_2000,
    syntaxes.HTJ2K_LOSSLESS: _htj2k_lossless,
    syntaxes.HTJ2K_LOSSLESS_RPCL: _htj2k_lossless,
    syntaxes.HTJ2K: _htj2k,
}
