"""The stack of what is open, seen through walks whose containers end in each possible way."""

from __future__ import annotations

import pytest

from gateway.dicom.elements import ITEM, UNDEFINED, Limits, Walk
from gateway.dicom.structure import Event
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError
from tests.dicom.handmade import el, file, item, open_item, open_sq, plain, sq, walked

NAME, ID, IMAGES, CONTENT = 0x00100010, 0x00100020, 0x00081140, 0x0040A730
JANE = el(NAME, "PN", b"Doe^Jane")
LAST = el(ID, "LO", b"P1")


def shapes(events: list[Event]) -> list[tuple[int, str, int]]:
    return [(tag, vr, depth) for tag, vr, _, _, depth in events if tag >> 16 != 2]


def test_containers_that_end_together_are_closed_together() -> None:
    data = file(sq(CONTENT, item(sq(CONTENT, item(sq(IMAGES, item(JANE)))))), LAST)
    assert shapes(walked(data).events)[-2:] == [(NAME, "PN", 3), (ID, "LO", 0)]


def test_what_is_open_inside_a_container_ends_with_it() -> None:
    unended = plain(ITEM, el(IMAGES, "SQ", plain(ITEM, JANE, length=UNDEFINED), length=UNDEFINED), length=UNDEFINED)
    assert shapes(walked(file(sq(CONTENT, unended), LAST)).events)[-2:] == [(NAME, "PN", 2), (ID, "LO", 0)]


def test_only_the_innermost_container_is_given_up() -> None:
    bad = sq(IMAGES, item(b"\xff" * 9))
    walk = walked(file(sq(CONTENT, item(JANE, bad, LAST), item(JANE)), LAST))
    assert shapes(walk.events) == [
        (CONTENT, "SQ", 0),
        (ITEM, "", 1),
        (NAME, "PN", 1),
        (IMAGES, "SQ", 1),
        (ITEM, "UN", 2),
        (ID, "LO", 1),
        (ITEM, "", 1),
        (NAME, "PN", 1),
        (ID, "LO", 0),
    ]


def test_what_is_given_up_takes_open_containers_inside_with_it() -> None:
    bad = open_sq(IMAGES, open_item(JANE, open_sq(CONTENT, b"\xff" * 8)))
    walk = walked(file(sq(CONTENT, item(bad)), LAST))
    assert shapes(walk.events) == [(CONTENT, "SQ", 0), (ITEM, "UN", 1), (ID, "LO", 0)]
    assert walk.events[-2][3] == len(bad)


@pytest.mark.parametrize("cut", range(1, 30))
def test_an_opaque_value_must_be_whole_too(cut: int) -> None:
    data = file(LAST, sq(CONTENT, b"\xff" * 30))
    walk = Walk()
    walk.feed(data[:-cut])
    with pytest.raises(InstanceError, match="cut off"):
        walk.finish()


def test_opaque_values_are_bulk_data_and_no_header() -> None:
    walk = Walk(limits=Limits(header=1000))
    walk.feed(file(LAST, sq(CONTENT, b"\xff" * 5000)))
    walk.finish()


LIMITED = [
    (Limits(depth=1), sq(CONTENT, item(sq(IMAGES))), "(0008,1140): more than limits.depth = 1 sequences inside each other"),
    (Limits(items=2), sq(CONTENT, item(JANE), open_item(), item()), "(0040,A730): more than limits.items = 2 sequence items"),
    (Limits(elements=3), JANE + LAST + JANE, "(0010,0010): more than limits.elements = 3 elements"),
    (Limits(elements=3), JANE + sq(CONTENT, item(LAST)), "(0010,0020): more than limits.elements = 3 elements"),
    (Limits(elements=3), JANE + plain(0xFFFEE00D, b"") * 9, "(FFFE,E00D): more than limits.elements = 3 elements"),
    (Limits(header=300), JANE * 20, "(0010,0020): more than limits.header_bytes = 300 bytes of header"),
]


@pytest.mark.parametrize(("limits", "elements", "message"), LIMITED)
def test_limits_are_named(limits: Limits, elements: bytes, message: str) -> None:
    walk = Walk(limits=limits)
    with pytest.raises(InstanceError) as caught:
        walk.feed(file(elements, LAST))
    assert (caught.value.reason, caught.value.message) == (Reason.CANNOT_UNDERSTAND, message)


@pytest.mark.parametrize(("limits", "elements", "message"), LIMITED[:5])
def test_limits_hold_however_the_bytes_arrive(limits: Limits, elements: bytes, message: str) -> None:
    data = file(elements, LAST)
    with pytest.raises(InstanceError) as caught:
        byte_by_byte(Walk(limits=limits), data)
    assert caught.value.message == message


def byte_by_byte(walk: Walk, data: bytes) -> None:
    for at in range(len(data)):
        walk.feed(data[at : at + 1])


def test_limits_that_are_just_met_are_no_reason() -> None:
    data = file(JANE, sq(CONTENT, item(LAST), item()))
    walk = Walk(limits=Limits(elements=4, items=2, depth=1, header=len(data)))
    walk.feed(data)
    walk.finish()
