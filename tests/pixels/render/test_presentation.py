"""Shutters, displayed areas, turns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dicomweb.rendering import AS_IT_IS, Rendering, Viewport
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.presentation import Area, Turn, presented, shuttered
from gateway.pixels.work import Undoable

RAMP = np.arange(48, dtype=np.uint8).reshape(6, 8) + 100


def element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def area(*corners: int, **more: Any) -> dict[str, Any]:
    one = {"00700052": element("SL", *corners[:2]), "00700053": element("SL", *corners[2:])}
    return {"0070005A": element("SQ", one | more)}


def shown(rendering: Rendering = AS_IT_IS, limit: int = 1 << 20, **state: Any) -> Any:
    return presented(RAMP, Attributes({}), Attributes(state), "1.2.3", 1, rendering, PixelLimits(picture_pixels=limit))


def turned(state: dict[str, Any], rendering: Rendering = AS_IT_IS) -> Any:
    return shown(rendering, **state)


def test_nothing_said_changes_nothing() -> None:
    assert np.array_equal(shown(), RAMP)


# -- shutters


def shutter(shape: str, value: int = 0, **more: Any) -> Attributes:
    return Attributes({"00181600": element("CS", *shape.split("+")), "00181622": element("US", value)} | more)


EDGES: dict[str, Any] = {
    "00181602": element("IS", "2"),
    "00181604": element("IS", "5"),
    "00181606": element("IS", "3"),
    "00181608": element("IS", "4"),
}
CIRCLE: dict[str, Any] = {"00181610": element("IS", "3", "4"), "00181612": element("IS", "1")}
TRIANGLE: dict[str, Any] = {"00181620": element("IS", "1", "1", "1", "8", "6", "1")}


def test_a_rectangle() -> None:
    seen = shuttered(RAMP, shutter("RECTANGULAR", **EDGES)) != 0
    expected = np.zeros((6, 8), bool)
    expected[2:4, 1:5] = True  # rows 3 to 4, columns 2 to 5, counted from 1
    assert np.array_equal(seen, expected)


def test_a_circle() -> None:
    rows, columns = np.nonzero(shuttered(RAMP, shutter("CIRCULAR", **CIRCLE)))
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(1, 3), (2, 2), (2, 3), (2, 4), (3, 3)]


def test_a_circle_beyond_all_numbers() -> None:
    everything: dict[str, Any] = {"00181610": element("IS", "3", "4"), "00181612": element("IS", "1e200")}
    assert np.array_equal(shuttered(RAMP, shutter("CIRCULAR", **everything)), RAMP)


def test_a_polygon_and_several() -> None:
    seen = shuttered(RAMP, shutter("POLYGONAL", **TRIANGLE)) != 0
    assert seen[0].all()
    assert seen[:, 0].all()
    assert not seen[5, 1:].any()
    both = shuttered(RAMP, shutter("POLYGONAL+CIRCULAR", **TRIANGLE, **CIRCLE)) != 0
    assert both.sum() <= 5


def test_what_is_outside_has_the_presentation_value() -> None:
    assert shuttered(RAMP, shutter("CIRCULAR", 65535, **CIRCLE))[0, 0] == 255
    colour = np.repeat(RAMP[..., np.newaxis], 3, axis=2)
    red = shuttered(colour, shutter("CIRCULAR", **CIRCLE | {"00181624": element("US", 35579, 53664, 50857)}))
    assert np.abs(red[0, 0].astype(int) - [255, 0, 0]).max() <= 2
    assert np.array_equal(shuttered(RAMP, Attributes({})), RAMP)


# -- areas


def test_a_part() -> None:
    assert np.array_equal(shown(**area(2, 3, 5, 4)), RAMP[2:4, 1:5])


def test_beyond_the_edges() -> None:
    picture = shown(**area(-1, 0, 8, 7))
    assert picture.shape == (8, 10)
    assert np.array_equal(picture[1:7, 2:10], RAMP)
    assert picture[0].max() == picture[:, :2].max() == 0


def test_corners_that_are_turned_round() -> None:
    assert np.array_equal(shown(**area(5, 4, 2, 3)), RAMP[2:4, 1:5])


def test_areas_without_a_picture_or_too_large() -> None:
    with pytest.raises(Undoable):
        shown(**area(100, 100, 200, 200))
    with pytest.raises(Undoable):
        shown(**area(1, 1, 10**9, 10**9))


def test_pixels_that_are_not_square_and_magnification() -> None:
    assert shown(**area(1, 1, 8, 6, **{"00700102": element("IS", "2", "1")})).shape == (12, 8)
    assert shown(**area(1, 1, 8, 6, **{"00700101": element("DS", "0.5", "1")})).shape == (6, 16)
    magnified: dict[str, Any] = {"00700100": element("CS", "MAGNIFY"), "00700103": element("FL", 3)}
    assert shown(**area(1, 1, 8, 6, **magnified)).shape == (18, 24)
    assert shown(limit=50, **area(1, 1, 8, 6, **magnified)).shape == (6, 8)
    assert Area.of([], 8, 6) == Area(0, 0, 8, 6)


# -- turns


def test_rotated_clockwise_and_then_flipped() -> None:
    assert np.array_equal(turned({"00700042": element("US", 90)}), np.rot90(RAMP, -1))
    assert np.array_equal(turned({"00700042": element("US", 270)}), np.rot90(RAMP))
    assert np.array_equal(turned({"00700041": element("CS", "Y")}), RAMP[:, ::-1])
    both = {"00700042": element("US", 90), "00700041": element("CS", "Y")}
    assert np.array_equal(turned(both), np.rot90(RAMP, -1)[:, ::-1])


@given(st.integers(0, 3), st.booleans(), st.integers(0, 5), st.integers(0, 7))
def test_points_go_where_their_pixels_go(quarters: int, flipped: bool, row: int, column: int) -> None:
    turn = Turn(quarters, flipped)
    x, y = turn.point(column + 0.5, row + 0.5, 8, 6)
    turned = turn.pixels(RAMP)
    assert turned[int(y), int(x)] == RAMP[row, column]
    assert turn.size(8, 6) == (turned.shape[1], turned.shape[0])


def test_a_viewport() -> None:
    assert turned({"00700042": element("US", 90)}, Rendering(Viewport(80, 80))).shape == (80, 60)
