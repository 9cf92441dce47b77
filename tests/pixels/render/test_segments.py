"""Segments in their colours."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.segments import coloured, colours, srgb
from gateway.pixels.work import Undoable


def element(*values: Any, vr: str = "US") -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


RED, GREY = [35579, 53664, 50857], [35027, 32896, 32896]
SEGMENTS = element({"00620004": element(1), "0062000D": element(*RED)}, {"00620004": element(3)}, vr="SQ")


def said(kind: str, **more: Any) -> Attributes:
    groups = element(*[{"0062000A": element({"0062000B": element(segment)}, vr="SQ")} for segment in (1, 3)], vr="SQ")
    return Attributes({"00620001": element(kind, vr="CS"), "00620002": SEGMENTS, "52009230": groups} | more)


@pytest.mark.parametrize(
    ("lab", "expected"),
    [
        ([0, 32896, 32896], (0, 0, 0)),
        ([65535, 32896, 32896], (255, 255, 255)),
        (RED, (255, 0, 0)),
        ([35027, 32896, 32896], (128, 128, 128)),
        ([57514, 12482, 53685], (0, 255, 0)),
        ([19379, 50432, 4070], (0, 0, 255)),
    ],
)
def test_colours_of_cielab(lab: list[int], expected: tuple[int, int, int]) -> None:
    """Corners of sRGB in CIELab of D50, by the tables of Lindbloom."""
    assert np.all(np.abs(np.array(srgb(*lab)) - expected) <= 3)


def test_each_segment_has_a_colour() -> None:
    found = colours(said("BINARY"))
    assert list(found) == [1, 3]
    assert found[1][0] >= 253
    assert found[1] != found[3]


def test_binary() -> None:
    cells = np.array([[0, 1]], np.uint8)
    for frame, segment in ((1, 1), (2, 3)):
        assert coloured(cells, said("BINARY"), frame).tolist() == [[[0, 0, 0], list(colours(said("BINARY"))[segment])]]


def test_fractional() -> None:
    shown = coloured(np.array([[0, 50, 100, 200]], np.uint8), said("FRACTIONAL", **{"0062000E": element(100)}), 1)
    assert np.abs(shown[0, :, 0].astype(int) - [0, 128, 255, 255]).max() <= 2


def test_a_map_of_labels() -> None:
    found = colours(said("LABELMAP"))
    cells = np.array([[0, 1, 3, 9]], np.uint16)
    assert coloured(cells, said("LABELMAP"), 1).tolist() == [[[0, 0, 0], list(found[1]), list(found[3]), [0, 0, 0]]]
    assert coloured(cells, said("LABELMAP", **{"00280120": element(3)}), 1).tolist()[0][2] == [0, 0, 0]


def test_segment_after_segment_where_nothing_says_so() -> None:
    bare = Attributes({"00620001": element("BINARY", vr="CS"), "00620002": SEGMENTS, "00280008": element("4", vr="IS")})
    one = np.ones((1, 1), np.uint8)
    seen = [tuple(coloured(one, bare, number)[0, 0].tolist()) for number in (1, 2, 3, 4)]
    assert seen == [colours(bare)[1]] * 2 + [colours(bare)[3]] * 2


def test_several_samples_are_no_segments() -> None:
    with pytest.raises(Undoable):
        coloured(np.zeros((2, 2, 3), np.uint8), said("BINARY"), 1)
