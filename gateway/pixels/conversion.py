"""What becomes of the Image Pixel Module when frames change their transfer syntax (PS3.3 C.7.6.3, PS3.5 8.2 and A.4). Pure.

1. Decoding leaves values, bits and sign as they are, and samples pixel by pixel. Colour that a codec transforms on its own is
   RGB afterwards (JPEG's YCbCr, JPEG 2000's YBR_ICT and YBR_RCT, JPEG XL); other colour keeps its space, at full resolution.
2. Encoding says what the codec then does to the colour: JPEG baseline YBR_FULL_422, JPEG 2000 YBR_RCT and YBR_ICT.
3. Codecs that count bits (all but RLE) keep Bits Stored bits, down to bit 0; unused bits above them are dropped (PS3.5 8.1.1).
4. From native to native nothing changes at all.
"""

from __future__ import annotations

from dataclasses import replace

from gateway.pixels import syntaxes
from gateway.pixels.image import Image
from gateway.pixels.work import Undoable

NATIVE_LIMIT = 0xFFFFFFFE
"""Bytes of the largest native Pixel Data: its length is an even number of 32 bits, and 0xFFFFFFFF means something else."""

_TRANSFORMED = ("YBR_RCT", "YBR_ICT")
_MULTIPLES = frozenset({8, 16})


def converted(image: Image, target: str) -> Image:
    """The pixels after transcoding of frames into another transfer syntax.

    :raises Undoable: when the target cannot hold them, or one of the two is not supported.
    """
    if image.syntax not in syntaxes.DECODABLE:
        raise Undoable(f"pixel data in transfer syntax {image.syntax} cannot be decoded here")
    if target == image.syntax:
        return image
    if target not in syntaxes.ENCODABLE:
        named = target if target in syntaxes.DECODABLE else "the one that is asked for"  # which may be any words of the caller
        raise Undoable(f"pixel data in transfer syntax {image.syntax} cannot be turned into {named}: there is no encoder for it")
    if target == syntaxes.EXPLICIT and image.syntax in syntaxes.UNCOMPRESSED | {syntaxes.DEFLATED_FRAMES}:
        return replace(image, syntax=target)
    return _encoded(_decoded(image), image.syntax, target)


def targets(image: Image) -> tuple[str, ...]:
    """What frames of an image can be turned into, in the server's order."""
    return tuple(target for target in syntaxes.targets(image.syntax) if _holds(image, target))


def check_whole(image: Image) -> None:
    """That all frames together fit into one instance.

    :param image: as it is after `converted`.
    :raises Undoable: when native Pixel Data would be longer than its length can say.
    """
    size = image.frame_bytes * image.frames
    if image.syntax in syntaxes.NATIVE and size > NATIVE_LIMIT:
        raise Undoable(f"{size} bytes of uncompressed pixel data do not fit into one instance; single frames can be had")


def _holds(image: Image, target: str) -> bool:
    try:
        converted(image, target)
    except Undoable:
        return False
    return True


def decoded(image: Image) -> Image:
    """The pixels as the decoder gives them, in Explicit VR Little Endian.

    :raises Undoable: when there is no decoder.
    """
    if image.syntax not in syntaxes.DECODABLE:
        raise Undoable(f"pixel data in transfer syntax {image.syntax} cannot be decoded here")
    return _decoded(image)


def _decoded(image: Image) -> Image:
    return replace(image, syntax=syntaxes.EXPLICIT, photometric=_photometric(image), planar=False)


def _photometric(image: Image) -> str:
    """Photometric Interpretation of what the decoder gives."""
    if image.samples == 3:
        if image.syntax in syntaxes.JPEG_DCT | syntaxes.JPEG_XL_ALL:
            return "RGB"
        if image.photometric in _TRANSFORMED and image.syntax in syntaxes.J2K_ALL | syntaxes.HTJ2K_ALL:
            return "RGB"
        if image.photometric == "YBR_FULL_422":
            return "YBR_FULL"
    return image.photometric


def _encoded(image: Image, source: str, target: str) -> Image:
    """What an encoder makes of decoded pixels."""
    if target == syntaxes.EXPLICIT:
        return image
    if image.floating:
        _refuse(image, source, target, "its pixels are floating-point numbers")
    if target == syntaxes.RLE:
        return _run_lengths(image, source)
    if image.allocated not in _MULTIPLES or not 1 < image.stored <= image.allocated:
        _refuse(image, source, target, f"it has {image.stored} bits in {image.allocated}")
    if image.samples not in (1, 3):
        _refuse(image, source, target, f"it has {image.samples} samples a pixel")
    if max(image.rows, image.columns) > 0xFFFF:
        _refuse(image, source, target, f"it has {image.rows} x {image.columns} pixels")
    if syntaxes.is_lossy(target):
        _check_lossy(image, source, target)
    stored = 8 if target == syntaxes.JPEG_BASELINE else image.stored  # it knows no other precision
    return replace(image, syntax=target, photometric=_coded_photometric(image, target), stored=stored, high=stored - 1)


def _run_lengths(image: Image, source: str) -> Image:
    """RLE keeps whole cells; there are at most 15 segments, one for each byte of a pixel (PS3.5 G.5), or one of single bits."""
    if (image.allocated % 8 or image.samples * image.allocated > 15 * 8) and (image.allocated, image.samples) != (1, 1):
        _refuse(image, source, syntaxes.RLE, f"it has {image.samples} samples of {image.allocated} bits a pixel")
    return replace(image, syntax=syntaxes.RLE)


def _check_lossy(image: Image, source: str, target: str) -> None:
    if image.photometric == "PALETTE COLOR":
        _refuse(image, source, target, "indices of a palette would become others")
    if image.signed and target == syntaxes.JPEG_LS_NEAR:
        _refuse(image, source, target, "its values are signed")
    if target in (syntaxes.JPEG_LS_NEAR, syntaxes.HTJ2K) and image.stored != image.allocated:
        # Their codestreams would say the bits allocated, and a value that loss pushed beyond those stored come back from the other end.
        _refuse(image, source, target, f"it has {image.stored} bits in {image.allocated}")
    if target == syntaxes.JPEG_BASELINE and (image.allocated != 8 or image.signed):
        _refuse(image, source, target, f"it has {'signed ' * image.signed}values of {image.stored} bits in {image.allocated}")
    if target == syntaxes.JPEG_BASELINE and image.samples == 3 and image.photometric not in ("RGB", "YBR_FULL"):
        _refuse(image, source, target, f"its colour is {image.photometric}")


def _coded_photometric(image: Image, target: str) -> str:
    """Photometric Interpretation that tells what the encoder did to the colour (PS3.5 8.2.1 to 8.2.15)."""
    if image.samples == 3 and target == syntaxes.JPEG_BASELINE:
        return "YBR_FULL_422"
    if image.photometric == "RGB" and target in syntaxes.J2K_ALL | syntaxes.HTJ2K_ALL:
        return "YBR_ICT" if syntaxes.is_lossy(target) else "YBR_RCT"
    return image.photometric


def _refuse(image: Image, source: str, target: str, why: str) -> None:
    raise Undoable(f"an image in transfer syntax {source} cannot be turned into {target}: {why}")
