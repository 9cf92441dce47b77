"""What a data set says of its pixels, also where it leaves most of it out or says it badly."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.pixels.image import Image, first, number, text

SYNTAX = "1.2.840.10008.1.2.1"


def data(**values: Any) -> dict[str, Any]:
    """DICOM JSON of attributes by tag: ``data(t00280010=4)``."""
    return {tag[1:]: {"vr": "US", "Value": [value]} for tag, value in values.items()}


SIZED = data(t00280010=4, t00280011=5)


def test_everything_that_is_said_is_taken() -> None:
    said = data(
        t00280002=3,
        t00280004=" ybr_full ",
        t00280006=1,
        t00280008=7,
        t00280010=4,
        t00280011=5,
        t00280100=16,
        t00280101=12,
        t00280102=13,
        t00280103=1,
    )
    assert Image.of(said, SYNTAX) == Image(SYNTAX, 4, 5, 3, "YBR_FULL", True, 16, 12, 13, True, 7)


def test_what_is_missing_is_what_it_nearly_always_is() -> None:
    assert Image.of(SIZED, SYNTAX) == Image(SYNTAX, 4, 5, 1, "MONOCHROME2", False, 8, 8, 7, False, 1)
    colour = Image.of(SIZED | data(t00280002=3), SYNTAX)
    assert colour is not None and colour.photometric == "RGB"


@pytest.mark.parametrize("missing", ["00280010", "00280011"])
@pytest.mark.parametrize("instead", [{}, {"vr": "US"}, {"vr": "US", "Value": [0]}, {"vr": "US", "Value": ["x"]}])
def test_without_a_size_there_is_no_picture(missing: str, instead: dict[str, Any]) -> None:
    assert Image.of(SIZED | {missing: instead}, SYNTAX) is None


@pytest.mark.parametrize(
    ("tags", "floating"), [(("7FE00008",), True), (("7FE00009",), True), (("7FE00010", "7FE00008"), False), ((), False)]
)
def test_pixels_may_be_floating_point_numbers(tags: tuple[str, ...], floating: bool) -> None:
    image = Image.of(SIZED | {tag: {"vr": "OW", "BulkDataURI": "x"} for tag in tags}, SYNTAX)
    assert image is not None and image.floating is floating


@pytest.mark.parametrize(
    ("rows", "allocated", "samples", "size"), [(4, 8, 1, 20), (4, 16, 3, 120), (5, 1, 1, 4), (4, 1, 1, 3), (1, 1, 1, 1)]
)
def test_a_frame_has_whole_bytes(rows: int, allocated: int, samples: int, size: int) -> None:
    image = Image.of(data(t00280010=rows, t00280011=5, t00280002=samples, t00280100=allocated), SYNTAX)
    assert image is not None and image.frame_bytes == size


def test_frames_are_at_least_one() -> None:
    image = Image.of(SIZED | data(t00280008=-3), SYNTAX)
    assert image is not None and image.frames == 1


@pytest.mark.parametrize("value", [None, "x", [], {}, float("inf"), float("nan")])
def test_what_is_no_number_is_none(value: Any) -> None:
    assert number(data(t1=value), "1") is None


def test_first_values() -> None:
    assert (number(data(t1="12"), "1"), text(data(t1=" a "), "1"), text(data(t1=3), "1")) == (12, "a", "")
    empty: list[Any] = [{}, {"Value": []}, {"Value": "x"}, "x", None]
    for element in empty:
        assert first({"1": element}, "1") is None
    assert first({}, "1") is None
