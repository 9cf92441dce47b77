from __future__ import annotations

from dataclasses import replace

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.pixels import codestreams, conversion, native, syntaxes
from gateway.pixels.conversion import converted
from gateway.pixels.decoding import Decoded, decoded
from gateway.pixels.encoding import encoded
from gateway.pixels.image import Image
from gateway.pixels.work import Undoable
from tests.pixels.pictures import difference, judged

EXACT = [syntax for syntax in syntaxes.LOSSLESS_TARGETS if syntax != syntaxes.EXPLICIT]
JUDGED = [syntax for syntax in EXACT if syntax != syntaxes.RLE]


def grey(stored: int, *, allocated: int = 16, signed: bool = False, rows: int = 16, columns: int = 16) -> Image:
    return Image(syntaxes.EXPLICIT, rows, columns, 1, "MONOCHROME2", False, allocated, stored, stored - 1, signed, 1)


def colour(stored: int = 8, *, allocated: int = 8, photometric: str = "RGB", rows: int = 16, columns: int = 16) -> Image:
    return replace(grey(stored, allocated=allocated, rows=rows, columns=columns), samples=3, photometric=photometric)


def pixels_of(image: Image, seed: int) -> native.Array:
    """Values of all that the stored bits can say, some smooth and some not."""
    low, high = (-(1 << image.stored - 1), 1 << image.stored - 1) if image.signed else (0, 1 << image.stored)
    shape = (image.rows, image.columns) if image.samples == 1 else (image.rows, image.columns, image.samples)
    made = np.random.default_rng(seed).integers(low, high, shape)
    if seed % 2:
        made = np.sort(made, axis=0)
    made.flat[0], made.flat[-1] = low, high - 1
    return made.astype(native.dtype(image))


def coded(pixels: native.Array, image: Image, target: str, quality: int | None = None) -> tuple[bytes, Image]:
    after = converted(image, target)
    return bytes(encoded(Decoded(pixels, image.photometric), after, quality)), after


shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))
depths = st.sampled_from([(8, 8), (8, 7), (8, 2), (16, 8), (16, 9), (16, 10), (16, 12), (16, 13), (16, 15), (16, 16)])


@settings(max_examples=400)
@given(st.sampled_from(EXACT), shapes, depths, st.booleans(), st.sampled_from(["MONOCHROME2", "RGB", "YBR_FULL"]), st.integers(0, 999))
def test_what_was_encoded_without_loss_comes_back(
    target: str, shape: tuple[int, int], depth: tuple[int, int], signed: bool, photometric: str, seed: int
) -> None:
    (rows, columns), (allocated, stored) = shape, depth
    image = grey(stored, allocated=allocated, signed=signed, rows=rows, columns=columns)
    if photometric != "MONOCHROME2":
        image = replace(image, samples=3, photometric=photometric)
    pixels = pixels_of(image, seed)
    frame, after = coded(pixels, image, target)
    back = decoded(frame, after)
    assert back.array.dtype == pixels.dtype and back.photometric == photometric
    assert np.array_equal(back.array, pixels)


@pytest.mark.parametrize("target", JUDGED)
@pytest.mark.parametrize(
    "image",
    [grey(12), grey(16), grey(12, signed=True), grey(16, signed=True), grey(8, allocated=8), colour(), colour(photometric="YBR_FULL")],
    ids=lambda image: f"{image.photometric}-{image.stored}{'s' * image.signed}",
)
def test_others_read_what_was_encoded(target: str, image: Image) -> None:
    pixels = pixels_of(image, 7)
    frame, after = coded(pixels, image, target)
    array, said = judged(frame, after)
    assert np.array_equal(array, pixels) and said == image.photometric


@pytest.mark.parametrize("target", EXACT)
@pytest.mark.parametrize("image", [colour(rows=100, columns=200), colour(16, allocated=16, rows=64, columns=64), grey(16, rows=100)])
def test_noise_becomes_no_smaller_and_comes_back(target: str, image: Image) -> None:
    pixels = pixels_of(image, 2)
    frame, after = coded(pixels, image, target)
    assert len(frame) > 0.95 * pixels.nbytes and np.array_equal(decoded(frame, after).array, pixels)


@pytest.mark.parametrize("target", JUDGED)
def test_codestreams_tell_the_stored_bits(target: str) -> None:
    frame, after = coded(pixels_of(grey(12), 1), grey(12), target)
    found = codestreams.check(frame, after, after.frame_bytes)
    assert found is not None and found.precision == (16 if target == syntaxes.JPEG_LS else 12)


def test_signs_are_told_by_jpeg_2000_and_whole_cells_by_others() -> None:
    image = grey(12, signed=True)
    for target in JUDGED:
        frame, after = coded(pixels_of(image, 1), image, target)
        found = codestreams.check(frame, after, after.frame_bytes)
        assert found is not None
        assert (found.precision, found.signed) == ((12, True) if found.kind == "JPEG 2000" else (16, False))


def test_one_codestream_of_progressive_resolution_has_a_part_for_each() -> None:
    frame, _ = coded(pixels_of(grey(12, rows=256, columns=256), 1), grey(12, rows=256, columns=256), syntaxes.HTJ2K_LOSSLESS_RPCL)
    style = frame.index(b"\xff\x52")
    assert frame[style + 5] == 2  # RPCL (ISO/IEC 15444-1 A.6.1)
    assert frame.count(b"\xff\x90\0\x0a") == frame[style + 9] + 1
    assert b"\xff\x55" in frame[:300]  # and their lengths (TLM)


def test_jpeg_ls_comes_without_the_header_of_a_file() -> None:
    frame, _ = coded(pixels_of(grey(12), 1), grey(12), syntaxes.JPEG_LS)
    assert frame.startswith(b"\xff\xd8\xff\xf7")


# -- with loss ---------------------------------------------------------------------------------------------------------


def back_in(photometric: str, frame: bytes, image: Image) -> native.Array:
    """The pixels of a frame in the colour that they had."""
    if (photometric, image.syntax) == ("YBR_FULL", syntaxes.JPEG_BASELINE):  # which the decoder would transform
        return imagecodecs.jpeg8_decode(frame, colorspace="YCBCR", outcolorspace="YCBCR")
    return decoded(frame, image).array


def scene(image: Image) -> native.Array:
    """A slope with an edge, not noise: nothing lossy keeps noise."""
    down, across = np.mgrid[0 : image.rows, 0 : image.columns]
    made = (down + across) / (image.rows + image.columns) * 0.8 * 2**image.stored
    made[image.rows // 2 :, : image.columns // 2] *= 0.5
    pixels = made.astype(native.dtype(image))
    return np.dstack([pixels, pixels // 2, pixels // 3]) if image.samples == 3 else pixels


LARGER = [
    grey(8, allocated=8, rows=64, columns=96),
    grey(12, rows=64, columns=96),
    grey(16, rows=64, columns=96),
    colour(rows=64, columns=96),
    colour(photometric="YBR_FULL", rows=64, columns=96),
]


@pytest.mark.parametrize(
    ("target", "image"),
    [(target, image) for target in syntaxes.LOSSY_TARGETS for image in LARGER if target in conversion.targets(image)],
    ids=lambda value: value if isinstance(value, str) else f"{value.photometric}-{value.stored}",
)
def test_loss_is_small_and_smaller_for_more_quality(target: str, image: Image) -> None:
    pixels, errors, sizes = scene(image), [], []
    for quality in (30, None, 98):
        frame, after = coded(pixels, image, target, quality)
        back = back_in(image.photometric, frame, after).astype(float)
        errors.append(float(np.sqrt(np.mean((back - pixels) ** 2))) / 2**image.stored)
        sizes.append(len(frame))
    assert sizes == sorted(sizes)
    assert errors[0] > errors[1] and all(error < 0.01 for error in errors[1:])


@pytest.mark.parametrize("image", [grey(8, allocated=8, rows=12, columns=512), grey(16, rows=10, columns=10), colour(rows=10, columns=10)])
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_frame_of_one_level_keeps_it(image: Image, level: float) -> None:
    """OpenJPEG finds nothing to keep in it, and would give some other level."""
    value = int(level * (2**image.stored - 1))
    pixels = np.full_like(scene(image), value)
    for target in (target for target in syntaxes.LOSSY_TARGETS if target in conversion.targets(image)):
        for quality in (None, 100):
            frame, after = coded(pixels, image, target, quality)
            back = back_in(image.photometric, frame, after).astype(int)
            assert np.abs(back - value).max() <= 2 ** (image.stored - 8) + 1, target


def test_a_near_lossless_frame_keeps_its_promise() -> None:
    image = grey(16, rows=64, columns=96)
    pixels = scene(image)
    frame, after = coded(pixels, image, syntaxes.JPEG_LS_NEAR)
    assert 0 < difference(decoded(frame, after).array, pixels) <= 2


def test_colour_of_jpeg_shares_its_chrominance() -> None:
    frame, _ = coded(scene(LARGER[3]), LARGER[3], syntaxes.JPEG_BASELINE)
    start = frame.index(b"\xff\xc0")
    assert frame[start + 10 : start + 19 : 3] == b"\1\2\3" and frame[start + 11 : start + 19 : 3] == b"\x21\x11\x11"


def test_what_a_codec_refuses_is_undoable() -> None:
    after = converted(grey(12), syntaxes.J2K_LOSSLESS)
    with pytest.raises(Undoable, match=syntaxes.J2K_LOSSLESS):
        encoded(Decoded(np.zeros((16, 16, 2, 2), np.uint16), "MONOCHROME2"), after)


def test_uncompressed_frames_are_cells() -> None:
    assert bytes(encoded(Decoded(np.array([[1, 258]], np.uint16), "MONOCHROME2"), grey(12, rows=1, columns=2))) == b"\1\0\2\1"
