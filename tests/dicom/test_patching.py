"""Attributes exchanged inside files of every kind: what changes is what was asked for, and nothing else."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items

from gateway.dicom.patching import Extent, Patched, patched
from gateway.errors import InstanceError
from gateway.healthcare.jsonpatch import Patch
from tests import samples
from tests.backends.made import dicom

KINDS: dict[str, Callable[[], bytes]] = {
    "explicit": samples.ct,
    "implicit": samples.implicit,
    "multi-frame": samples.mr,
    "encapsulated": samples.encapsulated,
    "segmentation": samples.segmentation,
    "report": samples.report,
    "no preamble": samples.without_preamble,
    "no meta": samples.without_meta,
    "padded": samples.padded,
}
NAME = {"op": "add", "path": "/00100010", "value": {"vr": "PN", "Value": [{"Alphabetic": "New^Name"}]}}


def changed(data: bytes, *steps: dict[str, Any]) -> tuple[bytes, Patched]:
    made = patched(data, Patch(list(steps)).apply)
    pieces = [data[one.offset : one.offset + one.length] if isinstance(one, Extent) else one for one in made.pieces]
    return b"".join(pieces), made


def read(data: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(data), force=True)


def add(tag: str, vr: str, *values: Any) -> dict[str, Any]:
    return {"op": "add", "path": f"/{tag}", "value": {"vr": vr, "Value": list(values)}}


@pytest.mark.parametrize("kind", KINDS)
def test_one_element_changes_and_no_byte_of_the_others(kind: str) -> None:
    data = KINDS[kind]()
    new, made = changed(data, NAME)
    before, after = read(data), read(new)
    assert after.PatientName == "New^Name" and made.before != made.after
    assert getattr(after, "file_meta", None) == getattr(before, "file_meta", None)
    del after.PatientName
    if "PatientName" in before:
        del before.PatientName
    assert after == before
    kept = [data[one.offset : one.offset + one.length] for one in made.pieces if isinstance(one, Extent)]
    assert len(kept) <= 2 and sum(map(len, kept)) > len(data) - 40 and data.endswith(kept[-1])
    again, same = changed(new, NAME)
    assert again == new and same.before == same.after == made.after


@pytest.mark.parametrize("kind", ["explicit", "implicit", "encapsulated"])
def test_elements_come_go_and_change_inside_sequences(kind: str) -> None:
    data = KINDS[kind]()
    nested = {"vr": "SQ", "Value": [{"00400007": {"vr": "LO", "Value": ["one"]}, "00400008": {"vr": "SQ", "Value": [{}]}}]}
    new, _ = changed(
        data, {"op": "add", "path": "/00400275", "value": nested}, {"op": "remove", "path": "/00100030"}, add("00091001", "LO", "x")
    )
    found = read(new)
    assert found.RequestAttributesSequence[0].ScheduledProcedureStepDescription == "one" and "PatientBirthDate" not in found
    assert found.file_meta.TransferSyntaxUID == read(data).file_meta.TransferSyntaxUID
    new, _ = changed(
        new, {"op": "replace", "path": "/00400275/Value/0/00400007/Value/0", "value": "two"}, {"op": "remove", "path": "/00091001"}
    )
    assert read(new).RequestAttributesSequence[0].ScheduledProcedureStepDescription == "two"
    assert read(new).PixelData == read(data).PixelData


def test_numbers_of_untouched_elements_stay_as_they_were_written() -> None:
    data = dicom(SliceThickness="1.500", WindowCenter=["040", "1e2"], PatientComments="  odd ")
    new, _ = changed(data, NAME)
    for text in (b"1.500 ", b"040\\1e2 ", b"  odd "):
        assert text in new


# -- character sets


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192", "ISO_IR 13", ["", "ISO 2022 IR 87"], None])
def test_ascii_needs_no_other_character_set(charset: Any) -> None:
    data = dicom() if charset is None else dicom(SpecificCharacterSet=charset)
    assert read(changed(data, NAME)[0]).get("SpecificCharacterSet") == read(data).get("SpecificCharacterSet")


def test_other_text_makes_all_of_it_utf_8() -> None:
    item = Dataset()
    item.ScheduledProcedureStepDescription = "Kn\u00f6chel"
    data = dicom(
        SpecificCharacterSet="ISO_IR 100", InstitutionName="Gr\u00fc\u00df", RequestAttributesSequence=Items([item]), StationName="plain"
    )
    new, made = changed(data, add("00100010", "PN", {"Alphabetic": "\u5c71\u7530"}))
    found = read(new)
    assert (found.SpecificCharacterSet, str(found.PatientName), found.InstitutionName) == ("ISO_IR 192", "\u5c71\u7530", "Gr\u00fc\u00df")
    assert found.RequestAttributesSequence[0].ScheduledProcedureStepDescription == "Kn\u00f6chel"
    assert not any(isinstance(one, bytes) and b"plain" in one for one in made.pieces)


def test_text_in_utf_8_stays_beside_new_text() -> None:
    data = dicom(SpecificCharacterSet="ISO_IR 192", InstitutionName="Gr\u00fc\u00df")
    new, made = changed(data, add("00100010", "PN", {"Alphabetic": "M\u00fcller"}))
    assert (read(new).PatientName, read(new).InstitutionName) == ("M\u00fcller", "Gr\u00fc\u00df")
    assert sum(isinstance(one, bytes) for one in made.pieces) == 1


def test_text_that_would_be_lost_is_kept_by_refusing() -> None:
    data = (
        dicom(SpecificCharacterSet="ISO_IR 192", InstitutionName="Gru\u00df")
        .replace(b"ISO_IR 192", b"ISO_IR 203")
        .replace(b"\xc3\x9f", b"\xa4\xd2")
    )
    broken = data.replace(b"ISO_IR 203", b"ISO 2022 IR 87"[:10])
    for one in (data, broken):
        new, _ = changed(one, NAME)
        assert b"\xa4\xd2" in new
    lost = dicom(SpecificCharacterSet="GB18030", InstitutionName="abcdef").replace(b"abcdef", b"abcde\xff")
    with pytest.raises(InstanceError, match="would be lost"):
        changed(lost, add("00100010", "PN", {"Alphabetic": "M\u00fcller"}))


# -- what is refused


@pytest.mark.parametrize(
    "step",
    [
        add("00100010", "PN", {"Alphabetic": 7.5, "Ideographic": []}),
        add("00281050", "DS", "x\u00e4\u5c71"),
        add("00280010", "US", 70000),
        add("00100020", "XX", "1"),
        {"op": "add", "path": "/00100020", "value": "text"},
        {"op": "add", "path": "/00420011", "value": {"vr": "OB", "BulkDataURI": "http://127.0.0.1/x"}},
        {"op": "add", "path": "/00420011", "value": {"vr": "OB", "Value": [1]}},
        {"op": "add", "path": "/00420011", "value": {"vr": "OB", "InlineBinary": "?"}},
        {"op": "add", "path": "/00420011", "value": {"vr": "OB", "InlineBinary": "AA==", "Value": []}},
        {"op": "add", "path": "/00400275", "value": {"vr": "SQ", "Value": [1]}},
    ],
)
def test_what_is_no_attribute_is_refused(step: dict[str, Any]) -> None:
    with pytest.raises(InstanceError, match=r"^\("):
        changed(samples.ct(), step)


def test_bulk_data_in_a_sequence_keep_it_as_it_is() -> None:
    item = Dataset()
    item.PatientComments = "inside"
    item.add_new(0x00420011, "OB", bytes(10_000))
    data = dicom(ReferencedImageSequence=Items([item]))
    with pytest.raises(InstanceError, match="kept apart"):
        changed(data, {"op": "replace", "path": "/00081140/Value/0/00104000/Value/0", "value": "other"})
    assert read(changed(data, {"op": "remove", "path": "/00081140"})[0]).get("ReferencedImageSequence") is None


@pytest.mark.parametrize("made", [samples.big_endian, samples.deflated])
def test_what_is_retired_stays_as_it_is(made: Callable[[], bytes]) -> None:
    with pytest.raises(InstanceError, match="cannot be changed"):
        changed(made(), NAME)


def test_what_is_no_instance_is_refused() -> None:
    for data in (b"", b"nothing", samples.ct()[:-5]):
        with pytest.raises(InstanceError):
            changed(data, NAME)


def test_lengths_of_groups_that_change_go() -> None:
    data = samples.ct()
    at = data.index(b"\x10\x00\x10\x00PN")
    with_length = data[:at] + b"\x10\x00\x00\x00UL\x04\x00\x10\x00\x00\x00" + data[at:]
    assert b"\x10\x00\x00\x00UL" not in changed(with_length, NAME)[0]
    assert b"\x10\x00\x00\x00UL" in changed(with_length, add("00081030", "LO", "x"))[0]


def test_real_files_change_where_they_are_asked_to() -> None:
    """Those of a corpus where there is one (DICOM_CORPUS)."""
    corpus = os.environ.get("DICOM_CORPUS")
    for path in sorted(Path(corpus).rglob("*.dcm")) if corpus else ():
        data = path.read_bytes()
        try:
            new, _ = changed(data, NAME)
        except InstanceError:
            continue
        before, after = read(data), read(new)
        assert after.PatientName == "New^Name", path
        assert {tag for tag in after if tag != 0x00100010} == {tag for tag in before if tag != 0x00100010}, path
