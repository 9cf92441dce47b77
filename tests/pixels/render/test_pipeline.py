"""The order of things, from cells to what is seen."""

from __future__ import annotations

import contextlib
from base64 import b64encode
from struct import pack
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dicomweb.rendering import Rendering, Window
from gateway.pixels.decoding import Decoded
from gateway.pixels.limits import PixelLimits
from gateway.pixels.render.dataset import Attributes
from gateway.pixels.render.finishing import finished
from gateway.pixels.render.pipeline import described, displayed, window_of
from gateway.pixels.render.wanted import narrowed, wanted
from gateway.pixels.work import Undoable
from tests.pixels.render.subject import said, shown

TAGS = {"00281052": -1000, "00281053": 2, "00281050": 0, "00281051": 400}


def test_every_step_in_its_place() -> None:
    """Stored 12 bits > x 2 - 1000 > window -200 to 200 > inverted > padding black > overlay white."""
    cells = np.array([[400, 500, 600, 0xF190, 5, 450]], np.uint16)
    overlay = {"60000010": 1, "60000011": 6, "60000040": "G", "60000100": 1, "60000050": [1, 1], "60003000": bytes((0b100000, 0))}
    found = shown(cells, {**TAGS, **overlay, "00280101": 12, "00280102": 11, "00280120": 5, "20500020": "INVERSE"})
    assert found.tolist() == [[255, 127, 0, 255, 0, 255]]


def test_tables_all_the_way() -> None:
    """Modality, VOI and Presentation LUT, each with the output of the one before."""
    lut = [said(_00283002=[256, first, 16], _00283006=pack("<256H", *values)) for first, values in _TABLES]
    cells = np.arange(256, dtype=np.uint8).reshape(16, 16)
    found = shown(cells, {"00283000": [lut[0]], "00283010": [lut[1]], "20500010": [lut[2]]})
    assert np.abs(found.astype(int) - (255 - cells)).max() <= 3 and found[0, 0] == 255


_TABLES: list[tuple[int, list[int]]] = [
    (0, [1000 + value for value in range(256)]),
    (1000, [65535 - 128 * value for value in range(256)]),
    (0, [65535 - 512 * (255 - value) if value >= 128 else 0 for value in range(256)]),
]


@settings(max_examples=40)
@given(st.sampled_from(["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"]), st.integers(0, 2**32 - 1), st.booleans())
def test_any_cells_can_be_shown(kind: str, seed: int, inverse: bool) -> None:
    cells: Any = np.frombuffer(np.random.default_rng(seed).bytes(64 * int(kind[1])), kind).reshape(8, 8)
    found = shown(cells, {"00080060": "PT"}, photometric="MONOCHROME1" if inverse else "MONOCHROME2")
    assert found.dtype == np.uint8 and found.shape == (8, 8)


def test_values_whose_sum_no_number_holds() -> None:
    cells = np.full((4, 4), 1.5e308)
    cells[0, 0], cells[1, 1] = -1.5e308, np.inf
    assert shown(cells, {"00080060": "PT"}).shape == (4, 4)


@given(st.integers(-3000, 3000), st.integers(1, 5000), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_a_table_lookup_is_the_maths_of_each_pixel(center: int, width: int, seed: int) -> None:
    """16 bits go by a table, 32 bits do not; the same values look the same."""
    cells = np.random.default_rng(seed).integers(-2000, 2000, (5, 5)).astype(np.int16)
    rendering = Rendering(window=Window(center, width))
    tags = {"00281052": -7, "00281053": 3}
    assert np.array_equal(shown(cells, tags, rendering), shown(cells.astype(np.int32), tags, rendering))


def test_a_window_does_not_change_colour() -> None:
    colour = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert np.array_equal(shown(colour, {}, Rendering(window=Window(5, 5)), photometric="RGB"), colour)


def test_the_window_of_a_frame_can_be_given_to_others() -> None:
    cells = np.random.default_rng(2).integers(100, 900, (9, 9)).astype(np.uint16)
    data = said({"00280010": 9, "00280011": 9, "00280100": 16})
    window = window_of(Decoded(cells, "MONOCHROME2"), data, 1)
    assert window is not None
    assert np.array_equal(shown(cells, {}, Rendering(window=window)), shown(cells))
    assert window_of(Decoded(cells, "PALETTE COLOR"), data, 1) is None
    assert window_of(Decoded(np.zeros((1, 1, 3), np.uint8), "RGB"), data, 1) is None


def test_pixels_without_a_description_are_refused() -> None:
    with pytest.raises(Undoable, match="how large"):
        described(said())
    with pytest.raises(Undoable, match="CMYK"):
        displayed(Decoded(np.zeros((1, 1, 4), np.uint8), "CMYK"), said({"00280010": 1, "00280011": 1}), 1, Rendering())


def test_cells_that_were_decoded_are_not_written_to() -> None:
    cells = np.frombuffer(bytes(48), np.uint8).reshape(4, 4, 3)
    overlay = {"60000010": 1, "60000011": 1, "60000040": "G", "60000100": 1, "60000050": [1, 1], "60003000": b"\1\0"}
    assert shown(cells, overlay, photometric="RGB")[0, 0].tolist() == [255, 255, 255] and not cells.any()


_TAGS = """00080060 00089205 00181164 00189329 00280008 00280010 00280011 00280030 00280034 00280100 00280101 00280102 00280103 00280120
    00280121 00281040 00281050 00281051 00281052 00281053 00281056 00281101 00281102 00281103 00281201 00281202 00281203 00281221 00282000
    00283000 00283002 00283006 00283010 00289110 00289132 00289145 20500010 20500020 52009229 52009230 60000010 60000011 60000015 60000040
    60000050 60000051 60000100 60000102 60003000""".split()
_numbers = st.integers(-4, 20) | st.integers(-(2**70), 2**70) | st.floats()
_simple = _numbers | st.text(max_size=4) | st.none() | st.booleans() | st.sampled_from(["1", "-7", "1e9", "R"])
_vrs = st.sampled_from(["US", "SS", "DS", "SQ", "OW", "CS"])
_element = st.deferred(
    lambda: st.one_of(
        st.none() | _simple,
        st.builds(lambda vr, values: {"vr": vr, "Value": values}, _vrs, st.lists(_simple, max_size=8)),
        st.builds(lambda data: {"vr": "OW", "InlineBinary": b64encode(data).decode()}, st.binary(max_size=40)),
        st.builds(lambda items: {"vr": "SQ", "Value": items}, st.lists(_header, max_size=2)),
        st.just({"vr": "OW", "BulkDataURI": "@/bulkdata/1"}),
    )
)
_header: st.SearchStrategy[Any] = st.deferred(lambda: st.dictionaries(st.sampled_from(_TAGS), _element, max_size=8))


@settings(max_examples=150, deadline=None)
@given(_header, st.binary(max_size=40), st.sampled_from(["u1", "i2", "u2", "i4", "f4"]), st.sampled_from(["MONOCHROME1", "PALETTE COLOR"]))
def test_whatever_a_header_says_there_is_a_picture_or_a_reason(header: Any, bulk: bytes, kind: str, photometric: str) -> None:
    data = Attributes({"00280010": {"vr": "US", "Value": [4]}, "00280011": {"vr": "US", "Value": [4]}, **header}, {"1": bulk})
    cells: Any = np.arange(16).astype(kind).reshape(4, 4)
    wanted(narrowed(data.data, 1))
    with contextlib.suppress(Undoable):
        pixels = displayed(Decoded(cells, photometric), data, 1, Rendering())
        asked = Rendering(annotation=("patient", "technique"))
        assert b"".join(finished(pixels, data, "image/png", asked, PixelLimits(picture_pixels=1 << 16)).content)
