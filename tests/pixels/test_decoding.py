from __future__ import annotations

import os
import zlib
from collections import Counter
from dataclasses import replace

import imagecodecs
import numpy as np
import pytest

from gateway.pixels import codestreams, decoding, native, syntaxes
from gateway.pixels.decoding import decoded
from gateway.pixels.image import Image
from gateway.pixels.work import Undoable
from tests.pixels.pictures import Picture, difference, named, pictures, values

GREY = Image(syntaxes.JPEG_BASELINE, 16, 16, 1, "MONOCHROME2", False, 8, 8, 7, False, 1)

REFUSED = {"JPEG2000-embedded-sequence-delimiter.dcm"}
"""Of pydicom's own: its codestream was damaged on purpose and tells another size."""


def allowed(image: Image) -> float:
    """Grey levels that two decoders of a lossy frame may differ by."""
    return 2 if syntaxes.is_lossy(image.syntax) else 0


def verdict(picture: Picture) -> str:
    """``equal``, or why not."""
    image = picture.image
    try:
        ours = decoded(picture.frame(), image)
    except Undoable as refused:
        return f"refused: {refused.message}"
    try:
        theirs = picture.judged(rgb=ours.photometric == "RGB")
    except Exception as error:  # of any decoder there is
        return f"nobody judges it: {error}"[:150]
    if ours.array.shape != theirs.shape or difference(values(ours, image), theirs) > allowed(image):
        return "other pixels"
    return "equal"


def test_pictures_of_others_have_the_pixels_that_others_see() -> None:
    """With DICOM_CORPUS=FOLDER also those of a folder; ``-s`` shows what is not equal."""
    found = [(picture.path.name, picture.image.syntax, verdict(picture)) for picture in pictures()]
    lines = [f"{name}: {syntax} {said}" for name, syntax, said in found if said != "equal"]
    print(*lines, Counter(said.split(":")[0] for _, _, said in found), sep="\n")  # noqa: T201 - what was not compared, and why
    assert [name for name, _, said in found if said == "other pixels"] == []
    if "DICOM_CORPUS" not in os.environ:
        assert {name for name, _, said in found if said.startswith("refused")} == REFUSED


EXACT_TWINS = [
    ("MR2_J2KR.dcm", "MR2_UNCR.dcm"),
    ("US1_J2KR.dcm", "US1_UNCR.dcm"),
    ("MR_small_RLE.dcm", "MR_small.dcm"),
    ("MR_small_jp2klossless.dcm", "MR_small.dcm"),
    ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm"),
    ("emri_small_RLE.dcm", "emri_small.dcm"),
    ("emri_small_jpeg_ls_lossless.dcm", "emri_small.dcm"),
    ("emri_small_jpeg_2k_lossless.dcm", "emri_small.dcm"),
    ("SC_rgb_rle_2frame.dcm", "SC_rgb_2frame.dcm"),
    ("SC_rgb_rle_16bit.dcm", "SC_rgb_16bit.dcm"),
    ("SC_rgb_rle_32bit.dcm", "SC_rgb_32bit.dcm"),
    ("OBXXXX1A_rle.dcm", "OBXXXX1A.dcm"),
    ("rtdose_rle.dcm", "rtdose.dcm"),
]


@pytest.mark.parametrize(("compressed", "twin"), EXACT_TWINS)
def test_last_frames_of_compressed_files_equal_those_of_their_uncompressed_twins(compressed: str, twin: str) -> None:
    one, other = (decoded(picture.frame(picture.table.frames), picture.image) for picture in (named(compressed), named(twin)))
    assert one.photometric == other.photometric
    assert one.array.dtype == other.array.dtype and one.array.tolist() == other.array.tolist()


@pytest.mark.parametrize(
    ("compressed", "twin", "levels"),
    [
        ("JPEG-lossy.dcm", "JPEG-LL.dcm", 3),  # 12 bits, which none of the judges decodes
        ("JPGExtended.dcm", "JPEG-LL.dcm", 3),
        ("MR2_J2KI.dcm", "MR2_UNCR.dcm", 4),
        ("US1_J2KI.dcm", "US1_UNCR.dcm", 2),
        ("SC_rgb_jpeg_dcmtk.dcm", "SC_rgb.dcm", 1),
    ],
)
def test_lossy_files_look_like_their_twins(compressed: str, twin: str, levels: float) -> None:
    one, other = (decoded(picture.frame(), picture.image).array.astype(float) for picture in (named(compressed), named(twin)))
    assert np.abs(one - other).mean() < levels


# -- colour ------------------------------------------------------------------------------------------------------------

SHADES = np.zeros((16, 16, 3), np.uint8)
SHADES[:, :8], SHADES[:, 8:] = (200, 30, 60), (20, 200, 90)
COLOUR = replace(GREY, samples=3, photometric="YBR_FULL_422")


def unmarked(stream: bytes) -> bytes:
    """A JPEG without JFIF and Adobe markers, and with components that are only numbered."""
    found = codestreams.header(stream)
    assert found is not None
    length = int.from_bytes(stream[4:6], "big")
    bare = stream[:2] + stream[4 + length :]
    frame, scan = bare.index(b"\xff\xc0"), bare.index(b"\xff\xda")
    numbered = bytearray(bare)
    numbered[frame + 10 : frame + 19 : 3] = numbered[scan + 5 : scan + 11 : 2] = b"\1\2\3"
    return bytes(numbered)


def jpeg(space: str) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(SHADES, 98, colorspace="RGB", outcolorspace=space))


@pytest.mark.parametrize(
    ("stream", "photometric"),
    [
        (jpeg("YCBCR"), "YBR_FULL_422"),
        (jpeg("YCBCR"), "RGB"),  # a JFIF marker knows better
        (jpeg("RGB"), "RGB"),
        (jpeg("RGB"), "YBR_FULL_422"),  # an Adobe marker, and components called R, G, B
        (unmarked(jpeg("RGB")), "RGB"),
        (unmarked(jpeg("YCBCR")), "YBR_FULL"),
    ],
)
def test_colour_of_jpeg_is_rgb_whoever_told_it(stream: bytes, photometric: str) -> None:
    found = decoded(stream, replace(COLOUR, photometric=photometric))
    assert found.photometric == "RGB" and np.abs(found.array.astype(int) - SHADES).mean() < 8


def test_components_of_lossless_jpeg_are_never_transformed() -> None:
    lossless = bytes(imagecodecs.jpeg8_encode(SHADES, lossless=True, colorspace="RGB", outcolorspace="RGB"))
    found = decoded(lossless, replace(COLOUR, syntax=syntaxes.JPEG_LOSSLESS_SV1, photometric="YBR_FULL"))
    assert (found.photometric, found.array.tolist()) == ("YBR_FULL", SHADES.tolist())


def test_white_stays_white_in_quantised_htj2k() -> None:
    contrast = np.zeros((64, 64, 3), np.uint8)
    contrast[::7] = contrast[:, ::5] = 255
    frame = bytes(imagecodecs.htj2k_encode(contrast, 0.05, reversible=False))
    found = decoded(frame, replace(COLOUR, rows=64, columns=64, syntax=syntaxes.HTJ2K, photometric="YBR_ICT"))
    assert found.photometric == "RGB" and difference(found.array, contrast) < 128


@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_jpeg_xl(samples: int, kind: type) -> None:
    shape = (16, 24) if samples == 1 else (16, 24, 3)
    pixels: native.Array = np.random.default_rng(1).integers(0, 255, shape).astype(kind)
    bits = 8 * pixels.itemsize
    image = replace(GREY, syntax=syntaxes.JPEG_XL_LOSSLESS, columns=24, samples=samples, allocated=bits, stored=bits, high=bits - 1)
    frame = bytes(imagecodecs.jpegxl_encode(pixels, lossless=True))
    assert decoded(frame, image).array.tolist() == pixels.tolist()
    with pytest.raises(Undoable, match="decoded to"):
        decoded(frame, replace(image, samples=4 - samples))


# -- bits and signs ----------------------------------------------------------------------------------------------------

NUMBERS = np.array([[0, 1, 2047], [-1, -2, -2048]], np.int16)
SIGNED = Image(syntaxes.J2K_LOSSLESS, 2, 3, 1, "MONOCHROME2", False, 16, 12, 11, True, 1)


def patterns() -> native.Array:
    """Two's complement of 12 bits, taken for unsigned."""
    return (NUMBERS & 0xFFF).astype(np.uint16)


@pytest.mark.parametrize(
    ("syntax", "frame"),
    [
        (syntaxes.J2K_LOSSLESS, imagecodecs.jpeg2k_encode(NUMBERS, codecformat="j2k", reversible=True, bitspersample=12)),
        (syntaxes.J2K_LOSSLESS, imagecodecs.jpeg2k_encode(patterns(), codecformat="j2k", reversible=True, bitspersample=12)),
        (syntaxes.JPEG_LOSSLESS, imagecodecs.jpeg8_encode(patterns(), lossless=True, bitspersample=12)),
        (syntaxes.JPEG_LS, imagecodecs.jpegls_encode(NUMBERS.view(np.uint16))),
        (syntaxes.HTJ2K_LOSSLESS, imagecodecs.htj2k_encode(NUMBERS, reversible=True)),
    ],
)
def test_signed_pixels_are_signed_whatever_the_codestream_knew(syntax: str, frame: bytes) -> None:
    assert decoded(bytes(frame), replace(SIGNED, syntax=syntax)).array.tolist() == NUMBERS.tolist()


def test_unsigned_pixels_are_unsigned_although_the_codestream_said_otherwise() -> None:
    frame = bytes(imagecodecs.jpeg2k_encode(NUMBERS, codecformat="j2k", reversible=True, bitspersample=12))
    assert decoded(frame, replace(SIGNED, signed=False)).array.tolist() == patterns().tolist()


def test_few_bits_come_in_the_cells_of_the_data_set() -> None:
    frame = bytes(imagecodecs.jpegls_encode(np.array([[1, 2, 3], [4, 5, 255]], np.uint8)))
    found = decoded(frame, replace(SIGNED, syntax=syntaxes.JPEG_LS, signed=False, allocated=32)).array
    assert found.dtype == np.uint32 and found.tolist() == [[1, 2, 3], [4, 5, 255]]


def test_single_bits_in_jpeg_2000() -> None:
    bits = np.array([[0, 1, 1], [1, 0, 0]], np.uint8)
    frame = bytes(imagecodecs.jpeg2k_encode(bits, codecformat="j2k", reversible=True, bitspersample=1))
    image = replace(SIGNED, signed=False, allocated=1, stored=1, high=0)
    assert bytes(native.cells(decoded(frame, image).array, image)) == b"\x0e"


# -- what cannot be decoded --------------------------------------------------------------------------------------------


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def test_deflated_frames() -> None:
    image = replace(GREY, syntax=syntaxes.DEFLATED_FRAMES)
    assert decoded(deflate(bytes(range(256))) + b"\0", image).array.reshape(-1).tolist() == list(range(256))
    assert len(decoding.inflated(deflate(bytes(1 << 24)), image)) == 256  # of sixteen mebibytes
    with pytest.raises(Undoable, match="is cut"):
        decoded(deflate(bytes(255)), image)
    with pytest.raises(Undoable, match="cannot be inflated"):
        decoded(b"\xff" * 20, image)


def test_a_frame_beyond_the_limit_is_not_decoded() -> None:
    frame = bytes(imagecodecs.jpeg8_encode(np.zeros((16, 16), np.uint8)))
    assert decoded(frame, GREY, 256).array.shape == (16, 16)
    with pytest.raises(Undoable, match="256 bytes decoded: more than the 255"):
        decoded(frame, GREY, 255)


def test_damaged_frames_name_their_syntax_and_the_codec_complaint() -> None:
    frame = bytes(imagecodecs.jpeg2k_encode(np.arange(256, dtype=np.uint8).reshape(16, 16), codecformat="j2k", reversible=True))
    with pytest.raises(Undoable, match=rf"{syntaxes.J2K_LOSSLESS} cannot be decoded: \w+"):
        decoded(frame[:-60] + b"\xff\xd9", replace(GREY, syntax=syntaxes.J2K_LOSSLESS))


def test_samples_that_jpeg_codecs_do_not_take() -> None:
    four = bytes(imagecodecs.jpeg8_encode(np.zeros((16, 16, 4), np.uint8), colorspace="CMYK", outcolorspace="CMYK"))
    with pytest.raises(Undoable, match="4 samples"):
        decoded(four, replace(GREY, samples=4, photometric="CMYK"))


def test_a_syntax_without_a_decoder_is_named() -> None:
    with pytest.raises(Undoable, match=r"1\.2\.840\.10008\.1\.2\.4\.107"):
        decoded(b"", replace(GREY, syntax="1.2.840.10008.1.2.4.107"))
