from __future__ import annotations

import tracemalloc
import zlib
from struct import pack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dicom.elements import ITEM, UNDEFINED, Event, Limits, Walk
from gateway.dicom.part10 import DEFLATED, EXPLICIT
from gateway.dicom.vrs import LONG
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError
from tests import samples
from tests.dicom.archive import inflate, walk_of
from tests.dicom.handmade import el, file, item, open_item, open_sq, plain, sq, walked

KINDS = {name: build() for name, build in samples.ALL.items()}
every_kind = pytest.mark.parametrize("data", KINDS.values(), ids=list(KINDS))
PATIENT_NAME, PATIENT_ID, STUDY, IMAGES = 0x00100010, 0x00100020, 0x0020000D, 0x00081140


def verdict(pieces: list[bytes], limits: Limits = Limits(), jump: bool = False) -> tuple[Any, ...]:
    """All that a walk has to say, however the bytes arrive."""
    walk = Walk(wanted=(PATIENT_NAME, STUDY, IMAGES), record=True, limits=limits)
    try:
        for piece in pieces:
            passed = min(walk.skip, len(piece)) if jump else 0
            walk.jump(passed)
            walk.feed(piece[passed:])
        walk.finish()
    except InstanceError as error:
        return (error.reason,)
    return walk.events, walk.values, walk.pixels, walk.syntax, walk.trailing, walk.unusual, walk.position


def refusal(data: bytes) -> InstanceError:
    with pytest.raises(InstanceError) as caught:
        walk_in_pieces(Walk(), data)
    return caught.value


def walk_in_pieces(walk: Walk, data: bytes, size: int = 64 << 10) -> Walk:
    for at in range(0, len(data), size):
        walk.feed(data[at : at + size])
    walk.finish()
    return walk


def packed(elements: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(elements) + packer.flush()


def deflated_file(elements: bytes, stream: bytes | None = None) -> bytes:
    return file(syntax="1.2.840.10008.1.2.1.99") + (packed(elements) if stream is None else stream)


# -- any way of cutting the bytes gives the same result


@given(st.sampled_from(list(KINDS)), st.lists(st.integers(0, 1400), max_size=12), st.booleans())
def test_every_split_gives_the_same_result(kind: str, cuts: list[int], jump: bool) -> None:
    data = KINDS[kind]
    assert verdict(samples.pieces(data, cuts), jump=jump) == verdict([data])


@every_kind
def test_byte_by_byte_gives_the_same_result(data: bytes) -> None:
    assert len(verdict([data])) > 1
    assert verdict([data[at : at + 1] for at in range(len(data))]) == verdict([data])


@given(st.sampled_from(list(KINDS)), st.data())
@settings(max_examples=300)
def test_damaged_bytes_are_walked_or_refused_however_they_are_split(kind: str, draws: st.DataObject) -> None:
    data = bytearray(KINDS[kind])
    odd = st.sampled_from([b"\xff\xff\xff\xff", b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0\0\0\0\0", b"SQ", b"UN", b"\0" * 8, b"\xff\0"])
    for _ in range(draws.draw(st.integers(1, 4))):
        at = draws.draw(st.integers(0, len(data)))
        what = draws.draw(odd | st.binary(max_size=9))
        data[at : at + draws.draw(st.integers(0, 9))] = what
    cuts = draws.draw(st.lists(st.integers(0, len(data)), max_size=6))
    assert verdict(samples.pieces(bytes(data), cuts)) == verdict([bytes(data)])


def test_bytearrays_and_memoryviews_are_bytes_too_and_are_not_kept() -> None:
    data = KINDS["ct"]
    scratch = bytearray(data)
    walk = Walk(wanted=(PATIENT_NAME,), record=True)
    walk.feed(memoryview(scratch)[:300])
    walk.feed(scratch[300:])
    scratch[:] = bytes(len(scratch))
    walk.finish()
    assert walk.events == walked(data).events
    assert walk.values[PATIENT_NAME] == ("PN", b"Doe^Jane")


# -- what a walk tells


def test_values_events_and_pixels_of_a_small_picture() -> None:
    data = samples.ct()
    walk = Walk(wanted=(PATIENT_NAME, PATIENT_ID), record=True)
    walk.feed(data)
    walk.finish()
    assert walk.values[PATIENT_NAME] == ("PN", b"Doe^Jane")
    assert walk.values[PATIENT_ID] == ("LO", b"P1")
    assert (walk.syntax, walk.implicit, walk.little_endian, walk.charset) == (EXPLICIT, False, True, b"ISO_IR 100")
    assert (walk.unusual, walk.trailing, walk.position) == (False, 0, len(data))
    assert walk.pixels is not None
    assert walk.pixels.header == len(data) - 32 - 12
    assert (walk.pixels.offset, walk.pixels.length, walk.pixels.end) == (len(data) - 32, 32, len(data))
    assert walk.events[0][:3] == (0x00020000, "UL", 140)
    assert walk.events[-1] == (0x7FE00010, "OW", len(data) - 32, 32, 0)


def test_values_of_nested_elements_are_never_those_of_the_top_level() -> None:
    inner = plain(ITEM, el(STUDY, "UI", b"6.6.6\0"))
    walk = Walk(wanted=(STUDY,))
    walk.feed(file(el(0x00081140, "SQ", inner), el(0x00100020, "LO", b"P1")))
    walk.finish()
    assert STUDY not in walk.values


def test_the_first_of_two_equal_tags_counts() -> None:
    walk = Walk(wanted=(STUDY,))
    walk.feed(file(el(STUDY, "UI", b"1.2\0"), el(STUDY, "UI", b"6.6\0")))
    walk.finish()
    assert walk.values[STUDY] == ("UI", b"1.2\0")


@pytest.mark.parametrize("kind", ["implicit", "big endian", "deflated", "no meta", "no preamble"])
def test_other_encodings_say_the_same(kind: str) -> None:
    walk = Walk(wanted=(PATIENT_NAME, STUDY))
    walk.feed(KINDS[kind])
    walk.finish()
    assert walk.values[PATIENT_NAME] == ("PN", b"Doe^Jane")
    assert walk.values[STUDY] == ("UI", b"1.2.3\0")
    assert walk.implicit is (kind == "implicit")
    assert walk.little_endian is (kind != "big endian")


def test_a_large_value_can_be_jumped_over() -> None:
    data = file(el(0x00100010, "PN", b"Doe^Jane"), el(0x7FE00010, "OW", bytes(1000)), el(0xFFFCFFFC, "OB", bytes(4)))
    walk = Walk(record=True)
    walk.feed(data[:300])
    assert walk.skip == len(data) - 16 - 300
    with pytest.raises(ValueError, match="jump of"):
        walk.jump(walk.skip + 1)
    walk.jump(walk.skip)
    walk.feed(data[walk.position :])
    walk.finish()
    assert walk.events == walked(data).events


def test_nothing_of_a_deflated_data_set_can_be_jumped_over() -> None:
    walk = Walk()
    walk.feed(deflated_file(el(0x00100010, "PN", b"Doe^Jane") + el(0x7FE00010, "OW", bytes(1 << 20)))[:-8])
    assert walk.skip == 0


def test_it_stops_after_a_tag() -> None:
    data = samples.ct()
    walk = Walk(wanted=(STUDY,), stop_after=0x0020000E)
    done = []
    for piece in (data[:300], data[300:], b"anything"):
        walk.feed(piece)
        done.append(walk.done)
    walk.finish()
    assert done == [False, True, True]
    assert walk.values[STUDY] == ("UI", b"1.2.3\0")


def test_it_goes_on_for_what_is_needed_and_comes_late() -> None:
    data = file(el(0x00280010, "US", b"\4\0"), el(STUDY, "UI", b"1.2\0"), el(0x7FE00010, "OB", bytes(4)))
    walk = Walk(wanted=(STUDY,), stop_after=0x0020000E, needed=(STUDY,))
    walk.feed(data)
    assert walk.done
    assert STUDY in walk.values


@pytest.mark.parametrize(
    "content", [sq(IMAGES, item(b"\x10\0\x20\0LO\2\0P1")), open_sq(IMAGES, open_item()), sq(IMAGES), sq(IMAGES, b"opaque")]
)
def test_wanted_sequences_are_kept_without_their_delimiter(content: bytes) -> None:
    data = file(content, el(0x00100020, "LO", b"P1"))
    walk = Walk(wanted=(IMAGES,))
    walk.feed(data)
    assert walk.values[IMAGES] == ("SQ", content[12:].removesuffix(plain(0xFFFEE0DD, b"")))
    assert verdict([data[at : at + 1] for at in range(len(data))]) == verdict([data])


@pytest.mark.parametrize("cuts", [[], [300], [300, 1000, 70_000]])
def test_wanted_sequences_that_are_too_long_are_not_kept(cuts: list[int]) -> None:
    walk = Walk(wanted=(IMAGES,))
    for piece in samples.pieces(file(sq(IMAGES, item(el(0x0040A160, "UT", bytes(70_000))))), cuts):
        walk.feed(piece)
    walk.finish()
    assert IMAGES not in walk.values


def test_an_error_stays() -> None:
    walk = Walk()
    with pytest.raises(InstanceError) as first:
        walk.feed(b"<html>" + bytes(200))
    with pytest.raises(InstanceError) as again:
        walk.feed(samples.ct())
    with pytest.raises(InstanceError):
        walk.finish()
    assert again.value is first.value


# -- nothing that is cut off is accepted


@every_kind
def test_no_cut_is_accepted_except_between_two_elements(data: bytes) -> None:
    """A file cut exactly where an element ends is a whole, shorter file; only what carries it can know better."""
    whole = walked(data)
    deflated = whole.syntax in DEFLATED
    top = [event for event in whole.events if event[4] == 0 and event[0] >> 16 != 2]
    ends = {end_of(data, top, index) for index in range(len(top))}
    cuts = {len(data) * step // 50 for step in range(50)} | set(range(len(data) - 60, len(data)))
    for cut in sorted(cuts):
        accepted = walk_of(data[:cut]) is not None
        assert accepted is (cut in ends and not deflated), cut


def end_of(data: bytes, top: list[Event], index: int) -> int:
    """Where a top-level element ends; one without a length does where the header of the next begins."""
    _, _, offset, length, _ = top[index]
    if length != UNDEFINED:
        return offset + length
    return top[index + 1][2] - (12 if top[index + 1][1] in LONG.values() else 8) if index + 1 < len(top) else len(data)


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (el(0x7FE00010, "OW", bytes(4), length=4 << 20), "(7FE0,0010): cut off: 4194300 bytes of its value are missing"),
        (el(0x7FE00010, "OB", b"", length=UNDEFINED) + plain(ITEM, b""), "(7FE0,0010): cut off: its end is missing"),
        (el(0x0040A730, "SQ", b"", length=UNDEFINED), "(0040,A730): cut off: its end is missing"),
        (el(0x0040A730, "SQ", b"", length=100), "(0040,A730): cut off: its end is missing"),
        (el(PATIENT_NAME, "PN", b"Doe", length=8), "(0010,0010): cut off: 5 bytes of its value are missing"),
        (b"\x10\x00\x20", "(0010,0010): cut off inside an element"),
        (b"\x10\x00\x20\x00LO", "(0010,0010): cut off inside an element"),
    ],
)
def test_it_says_what_is_cut_off(tail: bytes, message: str) -> None:
    error = refusal(file(el(PATIENT_NAME, "PN", b"Doe^Jane"), tail))
    assert (error.reason, error.message) == (Reason.CANNOT_UNDERSTAND, message)


def test_messages_hold_no_values() -> None:
    for data in KINDS.values():
        for cut in range(0, len(data), 7):
            message = ""
            try:
                walk_in_pieces(Walk(wanted=(PATIENT_NAME,)), data[:cut])
            except InstanceError as error:
                message = error.message
            assert "Doe" not in message
            assert "ISO" not in message


# -- limits


def test_a_deflate_bomb_is_refused_with_flat_memory() -> None:
    block = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    million = block.compress(bytes(1 << 20)) + block.flush(zlib.Z_FULL_FLUSH)  # stands for itself, so it may be repeated
    head = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    start = head.compress(pack("<HH2s2xL", 0x7FE0, 0x10, b"OB", 0xFFFFFFFE)) + head.flush(zlib.Z_FULL_FLUSH)
    bomb = deflated_file(b"", start + million * 4095)
    tracemalloc.start()
    try:
        error = refusal(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert error.message == f"(0002,0010): the data set inflates to more than limits.inflated_bytes = {64 << 20}"
    assert len(bomb) < 5 << 20
    assert peak < 1 << 20


def test_a_bomb_of_items_is_refused() -> None:
    error = refusal(file(el(0x00081140, "SQ", plain(ITEM, b"") * 300_000)))
    assert error.message == "(0008,1140): more than limits.items = 50000 sequence items"


def test_a_bomb_of_elements_is_refused() -> None:
    error = refusal(file(el(PATIENT_NAME, "PN", b"") * 300_000))
    assert error.message.endswith("more than limits.elements = 200000 elements")


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize(("depth", "accepted"), [(50, True), (64, True), (65, False), (200, False), (5000, False)])
def test_sequences_inside_each_other_are_followed_to_a_depth(depth: int, accepted: bool, undefined: bool) -> None:
    inner = el(0x0040A040, "CS", b"TEXT")
    for _ in range(depth):
        inner = el(0x0040A730, "SQ", plain(ITEM, inner), length=UNDEFINED if undefined else None)
        inner += plain(0xFFFEE0DD, b"") if undefined else b""
    data = file(inner)
    if accepted:
        assert max(event[4] for event in walked(data).events) == depth
    else:
        assert refusal(data).message == "(0040,A730): more than limits.depth = 64 sequences inside each other"


def test_a_header_of_text_without_end_is_refused_before_it_arrives() -> None:
    walk = Walk()
    with pytest.raises(InstanceError, match=r"\(0040,A160\): more than limits\.header_bytes"):
        walk.feed(file(el(0x0040A160, "UT", b"a" * 100, length=1 << 30)))


def test_bulk_data_is_not_header() -> None:
    walk = Walk(limits=Limits(header=1000))
    walk.feed(file(el(0x00420011, "OB", b"%PDF", length=1 << 30)))
    assert walk.skip == (1 << 30) - 4


def test_a_wanted_value_is_kept_to_a_length() -> None:
    walk = Walk(wanted=(0x0040A160,))
    with pytest.raises(InstanceError, match=r"\(0040,A160\): a value of 70000 bytes is longer than limits\.value_bytes = 65536"):
        walk.feed(file(el(0x0040A160, "UT", b"a", length=70_000)))


# -- transfer syntaxes


def test_offsets_in_a_deflated_file_count_inflated_bytes() -> None:
    elements = el(PATIENT_NAME, "PN", b"Doe^Jane") + el(0x7FE00010, "OB", bytes(100))
    data = deflated_file(elements)
    walk = walked(data)
    assert walk.events[1][2] == len(file(syntax="1.2.840.10008.1.2.1.99")) + 8
    assert inflate(data, walk)[walk.events[1][2] :].startswith(b"Doe^Jane")
    assert walk.position == len(data)


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"\xff" * 20, "(0002,0010): the deflated data set is damaged"),
        (b"", "there is no data set"),
        (packed(el(PATIENT_NAME, "PN", b"Doe^Jane"))[:-4], "(0002,0010): the deflated data set is cut off"),
    ],
)
def test_damaged_deflate_streams_are_refused(stream: bytes, message: str) -> None:
    assert refusal(deflated_file(b"", stream)).message == message


def test_bytes_behind_a_deflate_stream_are_trailing() -> None:
    assert walked(deflated_file(el(PATIENT_NAME, "PN", b"Doe^Jane")) + b"\0").trailing == 1


def test_an_unknown_transfer_syntax_is_read_as_explicit_little_endian() -> None:
    data = file(el(PATIENT_NAME, "PN", b"Doe^Jane"), syntax="1.2.826.0.1.3680043.9.9999.1")
    assert walked(data).syntax == "1.2.826.0.1.3680043.9.9999.1"
    error = refusal(data + b"\xff" * 20)
    assert (error.reason, error.tag) == (Reason.TRANSFER_SYNTAX_NOT_SUPPORTED, 0x00020010)
