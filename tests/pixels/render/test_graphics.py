"""Graphics and text of presentation states."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.graphics import Sheet, drawn, numbers
from gateway.pixels.render.presentation import Turn


def element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def graphic(kind: str, *points: float, units: str = "PIXEL", filled: str = "N") -> dict[str, Any]:
    return {
        "00700005": element("CS", units),
        "00700022": element("FL", *points),
        "00700023": element("CS", kind),
        "00700024": element("CS", filled),
    }


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"00700006": element("ST", said)} | more


BOX: dict[str, Any] = {
    "00700003": element("CS", "PIXEL"), "00700010": element("FL", 100, 20), "00700011": element("FL", 190, 60)
}  # fmt: skip
ANCHOR: dict[str, Any] = {"00700004": element("CS", "PIXEL"), "00700014": element("FL", 30, 150), "00700015": element("CS", "Y")}


AS_IT_LIES = Turn()


def shown(
    *objects: dict[str, Any], layer: dict[str, Any] | None = None, turn: Turn = AS_IT_LIES, ground: int = 100, **more: Any
) -> NDArray[np.uint8]:
    """On a grey square of 200 pixels; what is 100 is as it was."""
    graphics = [one for one in objects if "00700023" in one]
    annotation = {
        "00700002": element("CS", "A"),
        "00700009": element("SQ", *graphics),
        "00700008": element("SQ", *[one for one in objects if one not in graphics]),
    }
    state = {"00700001": element("SQ", annotation | more), "00700060": element("SQ", {"00700002": element("CS", "A")} | (layer or {}))}
    sheet = Sheet(0, 0, 200, 200, turn, 200, 200)
    return drawn(np.full((200, 200), ground, np.uint8), sheet, Attributes(state), "1.2.3", 1)


def white(picture: NDArray[np.uint8]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Rows and columns of what is white."""
    rows, columns = np.nonzero(picture > 200)
    return rows, columns


def test_a_line() -> None:
    rows, columns = white(shown(graphic("POLYLINE", 20, 50, 180, 50)))
    assert set(rows.tolist()) <= {49, 50, 51}
    assert (columns.min(), columns.max()) == (20, 180)


def test_it_can_be_seen_on_anything() -> None:
    on_white = shown(graphic("POLYLINE", 20, 50, 180, 50), ground=255)
    assert on_white.min() == 0
    assert shown(graphic("POLYLINE", 20, 50, 180, 50), ground=0).max() == 255


def test_a_circle_and_an_ellipse() -> None:
    rows, columns = white(shown(graphic("CIRCLE", 100, 100, 140, 100)))
    assert all(abs(math.hypot(row - 100, column - 100) - 40) < 2.5 for row, column in zip(rows, columns, strict=True))
    rows, columns = white(shown(graphic("ELLIPSE", 20, 100, 180, 100, 100, 70, 100, 130)))
    assert (columns.min(), columns.max()) == pytest.approx((20, 180), abs=2)
    assert (rows.min(), rows.max()) == pytest.approx((70, 130), abs=2)


def test_a_curve_goes_through_its_points() -> None:
    points = (20, 100, 60, 40, 100, 100, 140, 160, 180, 100)
    rows, columns = white(shown(graphic("INTERPOLATED", *points)))
    for x, y in zip(points[::2], points[1::2], strict=True):
        assert min(math.hypot(row - y, column - x) for row, column in zip(rows, columns, strict=True)) < 2
    corners = white(shown(graphic("POLYLINE", *points)))
    assert len(corners[0]) != len(rows)


def test_a_point_and_something_filled() -> None:
    rows, columns = white(shown(graphic("POINT", 50, 60)))
    assert (rows.mean(), columns.mean()) == pytest.approx((60, 50), abs=1)
    assert len(white(shown(graphic("POLYLINE", 10, 10, 60, 10, 60, 60, 10, 60, 10, 10, filled="Y")))[0]) > 2400


def test_fractions_of_what_is_seen_do_not_turn() -> None:
    for turn in (Turn(), Turn(1), Turn(2, True)):
        rows, _ = white(shown(graphic("POLYLINE", 0.1, 0.25, 0.9, 0.25, units="DISPLAY"), turn=turn))
        assert set(rows.tolist()) <= {49, 50, 51}


@pytest.mark.parametrize(("turn", "place"), [(Turn(1), (20, 150)), (Turn(2), (150, 180)), (Turn(3), (180, 50)), (Turn(0, True), (50, 180))])
def test_pixels_turn(turn: Turn, place: tuple[int, int]) -> None:
    rows, columns = white(shown(graphic("POINT", 20, 50), turn=turn))
    assert (rows.mean(), columns.mean()) == pytest.approx(place, abs=1)


def test_colours_of_layers() -> None:
    line = graphic("POLYLINE", 20, 50, 180, 50)
    grey = shown(line, layer={"00700066": element("US", 65535 * 60 // 100)})
    assert grey.ndim == 2
    assert grey[50, 100] == 153
    red = shown(line, layer={"00700401": element("US", 35579, 53664, 50857)})
    assert red[50, 100, 0] > 250 > 10 > red[50, 100, 1]


def test_text_in_its_box_and_at_its_anchor() -> None:
    rows, columns = white(shown(text("Words\nin a box", **BOX)))
    assert columns.min() >= 99
    assert rows.min() >= 19
    assert rows.max() > 30  # two lines
    right = white(shown(text("Words", **BOX, **dict[str, Any]({"00700012": element("CS", "RIGHT")}))))[1]
    assert 185 <= right.max() <= 191
    rows, columns = white(shown(text("Anchored", **ANCHOR)))
    assert abs(rows.mean() - 150) < 5
    assert columns.min() <= 31
    both = white(shown(text("Words", **BOX, **ANCHOR)))
    assert (both[0].max(), both[0].min()) == pytest.approx((152, 22), abs=6)


def test_only_what_refers_to_the_image() -> None:
    line = graphic("POLYLINE", 20, 50, 180, 50)
    for uid, frames, seen in (("1.2.3", [], True), ("1.2.4", [], False), ("1.2.3", ["2"], False), ("1.2.3", ["1", "2"], True)):
        reference = {"00081155": element("UI", uid), "00081160": element("IS", *frames)}
        picture = shown(line, **dict[str, Any]({"00081140": element("SQ", reference)}))
        assert bool((picture != 100).any()) is seen


@pytest.mark.parametrize(
    "one",
    [
        graphic("CIRCLE", 1, 2), graphic("ELLIPSE", 1, 2, 3, 4), graphic("SPLINE", 1, 2, 3, 4), graphic("POLYLINE"), graphic("POLYLINE", 5),
        graphic("POLYLINE", 1e30, -1e30, 5, 5), graphic("INTERPOLATED", 3, 4, 5, 6), text(""), text("nowhere"), text("\0\1", **BOX),
    ],
)  # fmt: skip
def test_nothing_breaks(one: dict[str, Any]) -> None:
    assert shown(one).shape[:2] == (200, 200)


def test_long_curves_are_bulk_data() -> None:
    one = Attributes({"00700022": {"vr": "FL", "BulkDataURI": "@/bulkdata/x"}}, {"x": struct.pack("<4f", 1, 2.5, float("nan"), 4)})
    assert numbers(one) == [1, 2.5, 4]
