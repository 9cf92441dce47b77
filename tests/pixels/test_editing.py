"""Elements are changed, added and taken out where they stand, and nothing else of the data set moves by a bit."""

from __future__ import annotations

import io
from struct import pack
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from gateway.dicom.elements import Walk
from gateway.dicom.native import meta_end
from gateway.dicom.structure import ITEM, Event
from gateway.pixels.editing import Editor
from tests.backends.made import dicom

PIXELS = 0x7FE00010
ROWS, PHOTOMETRIC, PATIENT, SEQUENCE = 0x00280010, 0x00280004, 0x00100010, 0x00081140


def walked(data: bytes) -> Walk:
    walk = Walk(record=True)
    walk.feed(data)
    walk.finish()
    return walk


def editor_of(data: bytes) -> tuple[Editor, list[Event], int]:
    events = walked(data).events
    start = meta_end(events)
    return Editor(data, events, start), events, start


def whole(editor: Editor) -> bytes:
    return b"".join(editor.written(editor.place(PIXELS), PIXELS))


def read(data: bytes) -> Any:
    return pydicom.dcmread(io.BytesIO(bytes(128) + b"DICM" + data), force=True)


def element(group: int, number: int, vr: str, value: bytes) -> bytes:
    return pack("<HH2sH", group, number, vr.encode(), len(value)) + value


def nested(*, defined: bool) -> bytes:
    """Two sequences around a value, of defined length each or of none."""
    inner, outer = Dataset(), Dataset()
    inner.CodeMeaning = "short"
    inner.CodeValue = "1"
    outer.PurposeOfReferenceCodeSequence = [inner, inner]
    outer.ReferencedSOPInstanceUID = "1.2"
    data = Dataset()
    data.ReferencedImageSequence = [outer, outer]
    data.PatientName = "Doe^Jane"
    for found in (data, outer):
        for each in found:
            if each.VR == "SQ":
                each.is_undefined_length = not defined
                for item in each.value:
                    item.is_undefined_length_sequence_item = not defined
    out = io.BytesIO()
    pydicom.dcmwrite(out, data, implicit_vr=False, little_endian=True)
    return out.getvalue()


def test_without_changes_everything_stays() -> None:
    data = dicom()
    editor, _, start = editor_of(data)
    head, tail = editor.written(editor.place(PIXELS - 1), PIXELS)
    assert head + tail == data[start:]
    assert tail.startswith(pack("<HH", 0x7FE0, 0x0010))


def test_a_value_of_another_length_moves_only_what_follows() -> None:
    data = dicom()
    editor, _, start = editor_of(data)
    editor.set(PHOTOMETRIC, "CS", b"YBR_FULL_422")
    made = whole(editor)
    old = element(0x0028, 0x0004, "CS", b"MONOCHROME2 ")
    assert made == data[start:].replace(old, element(0x0028, 0x0004, "CS", b"YBR_FULL_422"))


def test_a_value_keeps_the_vr_that_it_was_written_with() -> None:
    """Writers that got a VR wrong did so in all instances of a series; one of them must not be another kind of wrong."""
    odd = element(0x0028, 0x0004, "LO", b"RGB ") + element(0x0028, 0x0010, "US", b"\4\0")
    editor = Editor(odd, _shifted(odd))
    editor.set(PHOTOMETRIC, "CS", b"MONOCHROME1")
    assert whole(editor) == element(0x0028, 0x0004, "LO", b"MONOCHROME1 ") + odd[12:]


def _shifted(data: bytes) -> list[Event]:
    """Events of a data set that begins at its first byte."""
    before = element(0x0008, 0x0005, "CS", b"")
    return [(tag, vr, offset - len(before), length, depth) for tag, vr, offset, length, depth in walked(before + data).events[1:]]


def test_a_long_header_stays_long() -> None:
    data = pack("<HH2s2xL", 0x0028, 0x0004, b"UN", 4) + b"RGB " + element(0x0028, 0x0010, "US", b"\4\0")
    editor = Editor(data, _shifted(data))
    editor.set(PHOTOMETRIC, "CS", b"YBR_FULL")
    assert whole(editor).startswith(pack("<HH2s2xL", 0x0028, 0x0004, b"UN", 8) + b"YBR_FULL")


@pytest.mark.parametrize(
    ("tag", "before"), [(0x00080004, "SpecificCharacterSet"), (0x00282110, "PixelData"), (0x00080017, "SOPInstanceUID")]
)
def test_an_element_is_added_in_its_place(tag: int, before: str) -> None:
    data = dicom(SpecificCharacterSet="ISO_IR 100")
    editor, events, start = editor_of(data)
    editor.set(tag, "CS", b"01")
    made = whole(editor)
    tags = [event[0] for event in _shifted(made)]
    assert tags == sorted([tag, *(event[0] for event in events if event[2] > start)])
    assert tags[tags.index(tag) + 1] == pydicom.datadict.tag_for_keyword(before)


def test_several_are_added_to_one_place_in_order() -> None:
    editor, _, _ = editor_of(dicom())
    for tag in (0x00282114, 0x00282110, 0x00282112):
        editor.set(tag, "CS", b"X")
    head, tail = editor.written(editor.place(PIXELS - 1), PIXELS)
    added = b"".join(element(0x0028, number, "CS", b"X ") for number in (0x2110, 0x2112, 0x2114))
    assert head.endswith(added)
    assert head + tail == whole(editor)


def test_nothing_is_added_behind_the_place_of_the_pixel_data() -> None:
    """In a data set whose pixel data was cut out, what followed it must not get in front of it, nor the other way round."""
    head, tail = element(0x0028, 0x0010, "US", b"\4\0"), element(0x7FE1, 0x0010, "LO", b"MAKER ")
    editor = Editor(head + tail, _shifted(head + tail), last=len(head))
    editor.set(0x00282110, "CS", b"01")
    assert editor.written(len(head), PIXELS) == (head + element(0x0028, 0x2110, "CS", b"01"), tail)


def test_what_is_changed_behind_the_pixel_data_stays_behind_it() -> None:
    head, tail = element(0x0028, 0x0010, "US", b"\4\0"), element(0x7FE1, 0x0010, "LO", b"MAKER ")
    editor = Editor(head + tail, _shifted(head + tail), last=len(head))
    editor.set(0x7FE10010, "LO", b"OTHER")
    assert editor.written(len(head), PIXELS) == (head, element(0x7FE1, 0x0010, "LO", b"OTHER "))


def test_the_length_of_a_group_goes_with_a_change_in_it_and_else_stays() -> None:
    lengths = element(0x0010, 0, "UL", pack("<L", 12)) + element(0x0010, 0x0020, "LO", b"P1  ")
    group = element(0x0028, 0, "UL", pack("<L", 10)) + element(0x0028, 0x0010, "US", b"\4\0")
    editor = Editor(lengths + group, _shifted(lengths + group))
    editor.set(ROWS, "US", b"\5\0")
    editor.set(0x00280011, "US", b"\5\0")
    assert whole(editor) == lengths + element(0x0028, 0x0010, "US", b"\5\0") + element(0x0028, 0x0011, "US", b"\5\0")


def test_a_sequence_of_undefined_length_is_taken_out_with_its_end() -> None:
    data = nested(defined=False)
    editor = Editor(data, _shifted(data))
    editor.remove(SEQUENCE)
    editor.remove(0x00080005)
    assert whole(editor) == element(0x0010, 0x0010, "PN", b"Doe^Jane")


@pytest.mark.parametrize("defined", [True, False])
def test_lengths_around_a_change_follow_it(defined: bool) -> None:
    data = nested(defined=defined)
    events = _shifted(data)
    editor = Editor(data, events)
    for event in [event for event in events if event[0] == 0x00080104][1:3]:  # of the first item's second item, the second's first
        editor.change(event, b"something very much longer")
    made = whole(editor)
    assert (len(made) - len(data)) == 2 * 20
    found = read(made)
    meanings = [code.CodeMeaning for item in found.ReferencedImageSequence for code in item.PurposeOfReferenceCodeSequence]
    assert meanings == ["short", "something very much longer", "something very much longer", "short"]
    assert [item.ReferencedSOPInstanceUID for item in found.ReferencedImageSequence] == ["1.2", "1.2"]
    assert found.PatientName == "Doe^Jane"
    assert [event[3] == 0xFFFFFFFF for event in _shifted(made) if event[0] == ITEM] == [not defined] * 6


def test_elements_inside_a_sequence_can_be_taken_out() -> None:
    data = nested(defined=True)
    events = _shifted(data)
    editor = Editor(data, events)
    gone = next(event for event in events if event[0] == 0x00080104)
    editor.take_out(gone, gone[2] + gone[3])
    item = read(whole(editor)).ReferencedImageSequence[0].PurposeOfReferenceCodeSequence
    assert "CodeMeaning" not in item[0]
    assert item[1].CodeMeaning == "short"


def test_what_is_taken_out_takes_earlier_changes_inside_with_it() -> None:
    data = nested(defined=True)
    events = _shifted(data)
    editor = Editor(data, events)
    editor.change(next(event for event in events if event[0] == 0x00080104), b"longer than it was")
    editor.remove(SEQUENCE)
    assert whole(editor) == element(0x0010, 0x0010, "PN", b"Doe^Jane")


def test_what_is_added_in_front_of_an_element_stays_when_that_is_taken_out() -> None:
    """The length of a group, for example, that old writers put before pixel data."""
    length = element(0x7FE0, 0, "UL", pack("<L", 12))
    data = dicom()
    place = data.index(pack("<HH", 0x7FE0, 0x0010))
    editor, _, start = editor_of(data[:place] + length + data[place:])
    editor.set(0x00282110, "CS", b"01")
    editor.remove(0x7FE00000)
    found = read(whole(editor))
    assert found.LossyImageCompression == "01" and 0x7FE00000 not in found
    assert len(whole(editor)) == len(data) - start + 10
