from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.pixels import conversion, syntaxes
from gateway.pixels.conversion import converted
from gateway.pixels.image import Image
from gateway.pixels.work import Undoable

GREY = Image(syntaxes.EXPLICIT, 512, 512, 1, "MONOCHROME2", False, 16, 12, 11, True, 1)
COLOUR = Image(syntaxes.EXPLICIT, 512, 512, 3, "RGB", True, 8, 8, 7, False, 30)


def colour(syntax: str, photometric: str, *, planar: bool = False) -> Image:
    return replace(COLOUR, syntax=syntax, photometric=photometric, planar=planar)


@pytest.mark.parametrize(
    ("syntax", "photometric", "after"),
    [
        (syntaxes.JPEG_BASELINE, "YBR_FULL_422", "RGB"),
        (syntaxes.JPEG_BASELINE, "YBR_FULL", "RGB"),
        (syntaxes.JPEG_BASELINE, "RGB", "RGB"),
        (syntaxes.JPEG_EXTENDED, "YBR_FULL", "RGB"),
        (syntaxes.J2K, "YBR_ICT", "RGB"),
        (syntaxes.J2K_LOSSLESS, "YBR_RCT", "RGB"),
        (syntaxes.HTJ2K_LOSSLESS, "YBR_RCT", "RGB"),
        (syntaxes.J2K_LOSSLESS, "YBR_FULL", "YBR_FULL"),
        (syntaxes.JPEG_XL, "XYB", "RGB"),
        (syntaxes.RLE, "YBR_FULL", "YBR_FULL"),
        (syntaxes.JPEG_LS, "YBR_FULL", "YBR_FULL"),
        (syntaxes.JPEG_LS, "YBR_FULL_422", "YBR_FULL"),
        (syntaxes.JPEG_LOSSLESS_SV1, "YBR_FULL", "YBR_FULL"),
    ],
)
def test_colour_of_what_is_decoded(syntax: str, photometric: str, after: str) -> None:
    found = converted(colour(syntax, photometric, planar=syntax == syntaxes.RLE), syntaxes.EXPLICIT)
    assert (found.photometric, found.planar, found.syntax) == (after, False, syntaxes.EXPLICIT)


@pytest.mark.parametrize(
    ("target", "photometric"),
    [
        (syntaxes.JPEG_BASELINE, "YBR_FULL_422"),
        (syntaxes.J2K_LOSSLESS, "YBR_RCT"),
        (syntaxes.J2K, "YBR_ICT"),
        (syntaxes.HTJ2K_LOSSLESS, "YBR_RCT"),
        (syntaxes.HTJ2K, "YBR_ICT"),
        (syntaxes.JPEG_LS, "RGB"),
        (syntaxes.JPEG_LOSSLESS_SV1, "RGB"),
        (syntaxes.RLE, "RGB"),
    ],
)
def test_colour_of_what_is_encoded(target: str, photometric: str) -> None:
    found = converted(COLOUR, target)
    assert (found.photometric, found.planar, found.syntax) == (photometric, False, target)


def test_ybr_is_not_transformed_again() -> None:
    assert converted(colour(syntaxes.RLE, "YBR_FULL"), syntaxes.J2K_LOSSLESS).photometric == "YBR_FULL"


def test_bits_and_sign_stay() -> None:
    for target in (syntaxes.J2K_LOSSLESS, syntaxes.JPEG_LS, syntaxes.RLE, syntaxes.HTJ2K_LOSSLESS):
        assert replace(converted(GREY, target), syntax=GREY.syntax) == GREY


def test_codecs_count_bits_from_the_lowest_and_rle_keeps_cells() -> None:
    shifted = replace(GREY, high=15)
    assert converted(shifted, syntaxes.J2K_LOSSLESS).high == 11
    assert converted(shifted, syntaxes.RLE).high == 15


def test_jpeg_baseline_is_always_of_eight_bits() -> None:
    narrow = replace(COLOUR, samples=1, photometric="MONOCHROME2", stored=6, high=5)
    assert (converted(narrow, syntaxes.JPEG_BASELINE).stored, converted(narrow, syntaxes.JPEG_BASELINE).high) == (8, 7)


@pytest.mark.parametrize("syntax", sorted(syntaxes.UNCOMPRESSED | {syntaxes.DEFLATED_FRAMES}))
def test_native_pixels_do_not_change_at_all(syntax: str) -> None:
    planar = colour(syntax, "YBR_FULL_422", planar=True)
    assert converted(planar, syntaxes.EXPLICIT) == replace(planar, syntax=syntaxes.EXPLICIT)


def test_the_same_syntax_is_the_same_image() -> None:
    near = colour(syntaxes.JPEG_LS_NEAR, "RGB")
    assert converted(near, near.syntax) is near


@pytest.mark.parametrize(
    ("image", "target", "why"),
    [
        (GREY, syntaxes.JPEG_BASELINE, "12 bits"),
        (replace(GREY, signed=False), syntaxes.JPEG_BASELINE, "16"),
        (replace(GREY, allocated=8, stored=8, high=7), syntaxes.JPEG_BASELINE, "signed"),
        (GREY, syntaxes.JPEG_LS_NEAR, "signed"),
        (replace(GREY, signed=False), syntaxes.JPEG_LS_NEAR, "12 bits in 16"),
        (GREY, syntaxes.HTJ2K, "12 bits in 16"),
        (replace(GREY, allocated=32, stored=32, high=31), syntaxes.J2K_LOSSLESS, "32 bits"),
        (replace(GREY, allocated=1, stored=1, high=0), syntaxes.JPEG_LS, "1 bits"),
        (replace(GREY, allocated=32, stored=32, floating=True), syntaxes.RLE, "floating"),
        (replace(COLOUR, samples=4, photometric="CMYK"), syntaxes.J2K_LOSSLESS, "4 samples"),
        (replace(GREY, allocated=64, samples=3), syntaxes.RLE, "64 bits"),
        (replace(GREY, rows=70000), syntaxes.JPEG_LS, "70000"),
        (replace(COLOUR, samples=1, photometric="PALETTE COLOR"), syntaxes.J2K, "palette"),
        (colour(syntaxes.RLE, "YBR_PARTIAL_420"), syntaxes.JPEG_BASELINE, "YBR_PARTIAL_420"),
        (GREY, syntaxes.JPEG_XL, "no encoder"),
    ],
)
def test_what_a_syntax_cannot_hold_is_refused_naming_both(image: Image, target: str, why: str) -> None:
    with pytest.raises(Undoable) as refused:
        converted(image, target)
    assert image.syntax in refused.value.message and target in refused.value.message and why in refused.value.message
    assert target not in conversion.targets(image)


def test_what_cannot_be_decoded_names_what_is_stored() -> None:
    video = replace(COLOUR, syntax="1.2.840.10008.1.2.4.102")
    with pytest.raises(Undoable, match=r"1\.2\.840\.10008\.1\.2\.4\.102"):
        converted(video, syntaxes.EXPLICIT)
    with pytest.raises(Undoable, match=r"1\.2\.840\.10008\.1\.2\.4\.102"):
        conversion.decoded(video)
    assert conversion.targets(video) == ()


def test_single_bits_go_into_rle() -> None:
    assert conversion.targets(replace(GREY, allocated=1, stored=1, high=0, signed=False)) == (syntaxes.RLE,)


def test_targets_of_an_image_are_in_the_order_of_the_server() -> None:
    cannot = {syntaxes.JPEG_BASELINE, syntaxes.JPEG_LS_NEAR, syntaxes.HTJ2K}
    assert conversion.targets(replace(GREY, syntax=syntaxes.JPEG_LS)) == tuple(
        target for target in syntaxes.targets(syntaxes.JPEG_LS) if target not in cannot
    )


def test_a_whole_instance_of_native_pixels_ends_at_four_gibibytes() -> None:
    frames = conversion.NATIVE_LIMIT // COLOUR.frame_bytes
    conversion.check_whole(replace(COLOUR, frames=frames))
    conversion.check_whole(replace(COLOUR, frames=frames + 1, syntax=syntaxes.RLE))
    with pytest.raises(Undoable, match=str((frames + 1) * COLOUR.frame_bytes)):
        conversion.check_whole(replace(COLOUR, frames=frames + 1))
