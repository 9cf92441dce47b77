"""Sequences that arrive as one value."""

from __future__ import annotations

import pytest

from gateway.dicom.inside import items_inside
from gateway.dicom.structure import ITEM
from tests.dicom.handmade import el, item, open_item, plain


def test_offsets_and_depths_are_those_of_the_surroundings() -> None:
    raw = item(plain(0x00080100, b"AB"), plain(0x00080102, b"DCM "))
    events = items_inside(raw, 1000, 3)
    assert events == [(ITEM, "", 1008, 22, 4), (0x00080100, "SH", 1016, 2, 4), (0x00080102, "SH", 1026, 4, 4)]


@pytest.mark.parametrize(("explicit", "little"), [(True, True), (True, False), (False, True)])
def test_every_encoding(explicit: bool, little: bool) -> None:
    element = el(0x00080100, "SH", b"AB", little) if explicit else plain(0x00080100, b"AB", little)
    raw = item(element, little=little) + open_item(element, little=little)
    events = items_inside(raw, explicit=explicit, little=little)
    assert events is not None
    assert [(tag, vr, depth) for tag, vr, _, _, depth in events] == [(ITEM, "", 1), (0x00080100, "SH", 1)] * 2
    assert all(raw[offset : offset + length] == b"AB" for tag, _, offset, length, _ in events if tag != ITEM)


def test_nothing_inside() -> None:
    assert items_inside(b"") == []


@pytest.mark.parametrize(
    "raw", [b"\0", b"text that is no item", item(plain(0x00080100, b"AB"))[:-1], item() + b"\0\0\0\0\0\0\0\0", plain(0x00080100, b"AB")]
)
def test_what_is_not_items_and_nothing_else(raw: bytes) -> None:
    assert items_inside(raw) is None
