"""Files out of DICOM JSON: pydicom reads them, and what is wrong names its tag."""

from __future__ import annotations

import io
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from gateway.dicom.composing import Hole, compose, references, uid_of
from gateway.dicom.model import DEEPEST
from gateway.dicom.part10 import EXPLICIT
from gateway.dicomweb.reasons import Reason
from gateway.errors import InstanceError

SYNTAX = "1.2.840.10008.1.2.4.50"
LEAST: dict[str, Any] = {
    "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]},
    "00080018": {"vr": "UI", "Value": ["1.1.1.1"]},
    "0020000D": {"vr": "UI", "Value": ["1.1"]},
    "0020000E": {"vr": "UI", "Value": ["1.1.1"]},
}


def read(dataset: dict[str, Any], syntax: str = EXPLICIT) -> Dataset:
    pieces = compose(dataset, syntax).pieces
    assert len(pieces) == 1 and isinstance(pieces[0], bytes)
    return pydicom.dcmread(io.BytesIO(pieces[0]))


def refused(dataset: dict[str, Any]) -> InstanceError:
    with pytest.raises(InstanceError) as caught:
        compose(dataset, EXPLICIT)
    return caught.value


def test_the_least_is_a_file() -> None:
    composed = compose(LEAST, EXPLICIT)
    assert (composed.instance.study, composed.instance.series, composed.instance.sop) == ("1.1", "1.1.1", "1.1.1.1")
    ds = read(LEAST)
    assert (ds.file_meta.MediaStorageSOPInstanceUID, ds.file_meta.TransferSyntaxUID) == ("1.1.1.1", EXPLICIT)
    assert ds.SOPClassUID == ds.file_meta.MediaStorageSOPClassUID and "SpecificCharacterSet" not in ds


def test_elements_are_written_in_order_whatever_the_order_of_the_json() -> None:
    ds = read({"00280010": {"vr": "US", "Value": [2]}, "00100020": {"vr": "LO", "Value": ["P"]}} | LEAST)
    assert list(ds.keys()) == sorted(ds.keys()) and (ds.Rows, ds.PatientID) == (2, "P")


@pytest.mark.parametrize("said", [None, "ISO_IR 100", "ISO 2022 IR 87"])
def test_text_is_utf_8_and_says_so(said: str | None) -> None:
    given = {} if said is None else {"00080005": {"vr": "CS", "Value": [said]}}
    early = {"00080001": {"vr": "UL", "Value": [1]}}
    name = {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Zoë", "Ideographic": "山田"}]}}
    ds = read(LEAST | given | early | name)
    assert (ds.SpecificCharacterSet, ds.PatientName) == ("ISO_IR 192", "Müller^Zoë=山田")
    assert list(ds.keys()) == sorted(ds.keys())


def test_text_that_is_not_ascii_inside_of_an_item_counts() -> None:
    item = {"00080100": {"vr": "SH", "Value": ["ä"]}}
    ds = read(LEAST | {"00081032": {"vr": "SQ", "Value": [item, {}]}})
    assert ds.SpecificCharacterSet == "ISO_IR 192" and ds.ProcedureCodeSequence[0].CodeValue == "ä"
    assert len(ds.ProcedureCodeSequence) == 2


def test_group_2_gives_who_wrote_it_and_nothing_of_the_instance() -> None:
    meta: dict[str, Any] = {"00020003": {"vr": "UI", "Value": ["9.9"]}, "00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2"]}}
    meta |= {
        "00020012": {"vr": "UI", "Value": ["1.2.3"]},
        "00020013": {"vr": "SH", "Value": ["ME"]},
        "00020000": {"vr": "UL", "Value": [7]},
    }
    found = read(LEAST | meta).file_meta
    assert (found.MediaStorageSOPInstanceUID, found.TransferSyntaxUID) == ("1.1.1.1", EXPLICIT)
    assert (found.ImplementationClassUID, found.ImplementationVersionName) == ("1.2.3", "ME")


def test_group_lengths_are_dropped() -> None:
    assert 0x00100000 not in read(LEAST | {"00100000": {"vr": "UL", "Value": [1]}})


def test_a_vr_that_is_not_there_is_that_of_the_dictionary() -> None:
    private = {"00290010": {"Value": ["SIEMENS CSA HEADER"]}, "00291008": {"Value": ["IMAGE NUM 4"]}}
    ds = read(LEAST | {"00280010": {"Value": [2]}, "00280103": {"Value": [1]}, "00280106": {"Value": [-5]}} | private)
    assert (ds["Rows"].VR, ds["SmallestImagePixelValue"].VR, ds.SmallestImagePixelValue) == ("US", "SS", -5)
    assert ds[0x0029, 0x1008].VR == "CS"


def test_bulk_data_are_holes() -> None:
    nested = {"00880200": {"vr": "SQ", "Value": [{"7FE00010": {"vr": "OW", "BulkDataURI": "icon"}}]}}
    dataset = LEAST | nested | {"7FE00010": {"vr": "OW", "BulkDataURI": "pixels"}, "00281201": {"vr": "OW", "InlineBinary": "AAA="}}
    holes = [piece for piece in compose(dataset, SYNTAX).pieces if isinstance(piece, Hole)]
    assert holes == [Hole(0x7FE00010, "OW", "icon", b"", 1), Hole(0x7FE00010, "OW", "pixels", b"", 0)]
    assert sorted(references(dataset)) == ["icon", "pixels"]


def test_pixel_data_in_the_json_are_a_hole_too() -> None:
    holes = compose(LEAST | {"7FE00010": {"vr": "OB", "InlineBinary": "AAA="}}, EXPLICIT).pieces
    assert holes[1] == Hole(0x7FE00010, "OB", None, b"\0\0", 0)


@pytest.mark.parametrize("tag", list(LEAST))
@pytest.mark.parametrize("value", [None, {"vr": "UI"}, {"vr": "UI", "Value": ["Doe^Jane"]}])
def test_an_instance_names_itself(tag: str, value: Any) -> None:
    dataset = {key: attribute for key, attribute in LEAST.items() if key != tag} | ({} if value is None else {tag: value})
    error = refused(dataset)
    assert (error.reason, error.tag) == (Reason.CANNOT_UNDERSTAND, int(tag, 16)) and "Doe" not in error.message


@pytest.mark.parametrize(
    ("key", "attribute", "why"),
    [
        ("00100010", "Doe^Jane", "not an object"),
        ("00100010", None, "not an object"),
        ("00100010", {"vr": "XX", "Value": ["Doe^Jane"]}, "vr is none"),
        ("00100010", {"vr": 7}, "vr is none"),
        ("00100010", {"vr": "PN", "Value": "Doe^Jane"}, "not a list"),
        ("00100010", {"vr": "PN", "Value": ["Doe^Jane"], "BulkDataURI": "x"}, "more than one"),
        ("00280010", {"vr": "US", "Value": ["Doe^Jane"]}, "not a whole number"),
        ("00420011", {"vr": "OB", "InlineBinary": "Doe^Jane"}, "not base64"),
        ("00420011", {"vr": "OB", "BulkDataURI": 7}, "not text"),
        ("00081199", {"vr": "SQ", "Value": ["Doe^Jane"]}, "not an object"),
        ("00081199", {"vr": "SQ", "Value": {"a": "Doe^Jane"}}, "not an object"),
        ("00000100", {"vr": "US", "Value": [1]}, "not an element"),
        ("FFFEE000", {"vr": "OB"}, "not an element"),
        ("00050011", {"vr": "OB"}, "not an element"),
    ],
)
def test_a_bad_element_is_named_and_not_shown(key: str, attribute: Any, why: str) -> None:
    error = refused(LEAST | {key: attribute})
    assert (error.reason, error.tag) == (Reason.CANNOT_UNDERSTAND, int(key, 16))
    assert why in error.message and "Doe" not in error.message


@pytest.mark.parametrize("key", ["PatientName", "0010001", "0010 010", "١٠١٠١٠١٠"])
def test_a_name_that_is_no_tag_is_refused_and_not_shown(key: str) -> None:
    error = refused(LEAST | {key: {"vr": "PN"}})
    assert "eight hexadecimal" in error.message and key not in error.message


def test_one_tag_twice_in_two_spellings_is_refused() -> None:
    item = {"0040a043": {"vr": "SH"}, "0040A043": {"vr": "SH"}}
    assert "twice" in refused(LEAST | {"0040A730": {"vr": "SQ", "Value": [item]}}).message


def test_depth_is_bounded() -> None:
    inner: dict[str, Any] = {}
    for _ in range(DEEPEST):
        inner = {"0040A730": {"vr": "SQ", "Value": [inner]}}
    compose(LEAST | inner, EXPLICIT)
    assert "inside each other" in refused(LEAST | {"0040A730": {"vr": "SQ", "Value": [inner]}}).message


@pytest.mark.parametrize(
    "attribute", [None, 7, "1.1", {"Value": "1.1"}, {"Value": []}, {"Value": [1]}, {"Value": ["1", "2"]}, {"Value": ["x"]}]
)
def test_a_uid_of_anything(attribute: Any) -> None:
    assert uid_of({"00080018": attribute}, 0x00080018) is None
    assert uid_of({"00080018": {"Value": ["1.2 "]}}, 0x00080018) == "1.2"


def test_references_of_anything() -> None:
    assert list(references({"a": 1, "b": {"Value": [1, {"c": {"BulkDataURI": "x"}}], "BulkDataURI": 5}})) == ["x"]
