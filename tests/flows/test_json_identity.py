"""JSON -> data set -> JSON is the identity (PS3.18 F.2).

Our metadata goes into pydicom's reader, with our bulk data; the data set that it gives is written by pydicom in Explicit VR
Little Endian; the metadata of that file must be the metadata that we began with, number by number (0 and 0.0 are one).
"""

from __future__ import annotations

import io
import logging
import warnings
from array import array
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from pydicom import config
from pydicom.dataset import Dataset

from gateway.dicom.part10 import EXPLICIT
from tests.dicom.archive import readable
from tests.dicom.handmade import el, file
from tests.flows.datasets import files
from tests.flows.ours import Attributes, Bulk, described

WRITTEN_NUMBERS = {"IS", "DS"}
"""VRs of which pydicom cannot carry through what is no number in JSON: null, and text that keeps what is no number or has more
digits than a double (note to F.2.3). It writes "None", makes floats, or gives up. Only these elements are left out, not their
data sets."""


@pytest.fixture(autouse=True, scope="module")
def lenient() -> Iterator[None]:
    """pydicom without its checks of values, its own idea of what a UN is, and what it says about either."""
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
        patch.setattr(config.settings, "writing_validation_mode", config.IGNORE)
        patch.setattr(config, "replace_un_with_known_vr", False)
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        yield
        logging.disable(logging.NOTSET)


def carried(attributes: Attributes, lost: Counter[str]) -> Attributes:
    """`attributes` without the values that pydicom cannot carry through, which are counted."""
    found: Attributes = {}
    for key, attribute in attributes.items():
        values = attribute.get("Value", [])
        if attribute["vr"] == "SQ" and values:
            found[key] = attribute | {"Value": [carried(item, lost) for item in values]}
        elif attribute["vr"] in WRITTEN_NUMBERS and any(not isinstance(value, int | float) for value in values):
            lost[attribute["vr"]] += 1
        else:
            found[key] = attribute
    return found


def through_pydicom(attributes: Attributes, bulk: Bulk) -> bytes:
    """The data set of `attributes` as a file that pydicom wrote."""

    def fetch(tag: str, vr: str, uri: str) -> Any:
        return numbers(vr, bulk[uri])

    dataset = Dataset.from_json(attributes, fetch)
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset, implicit_vr=False, little_endian=True, enforce_file_format=False)
    return file(out.getvalue(), syntax=EXPLICIT)


def numbers(vr: str, value: bytes) -> Any:
    """Bulk data as pydicom wants it: bytes of binary VRs, else numbers."""
    codes = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
    if vr == "AT":
        halves = array("H", value)
        return [group << 16 | element for group, element in zip(halves[::2], halves[1::2], strict=True)]
    return list(array(codes[vr], value)) if vr in codes else value


def identical(data: bytes, lost: Counter[str]) -> bool:
    attributes, bulk = described(data)
    attributes = carried(attributes, lost)
    again, values = described(through_pydicom(attributes, bulk))
    assert again == attributes
    assert padded(values) == padded(bulk)
    return True


def padded(bulk: Bulk) -> Bulk:
    """Values of even length: pydicom pads some VRs where a file did not."""
    return {uri: value + bytes(len(value) % 2) for uri, value in bulk.items()}


def test_identity_over_all_files() -> None:
    lost: Counter[str] = Counter()
    count = sum(identical(path.read_bytes(), lost) for path in readable())
    print(f"\n{count} files, {lost.total()} elements left out")  # noqa: T201 - for -s
    assert count > 250
    assert 1 <= lost.total() <= 2


@pytest.mark.parametrize(("vr", "value"), [("IS", b"1A"), ("DS", b"1,5 "), ("DS", b"9999999999999999"), ("IS", b"1\\")])
def test_what_is_left_out_is_lost_in_pydicom(vr: str, value: bytes) -> None:
    attributes, bulk = described(file(el(0x00090002, vr, value)))
    assert carried(attributes, Counter()) == {}
    try:
        assert described(through_pydicom(attributes, bulk)) != (attributes, bulk)
    except ValueError as error:
        assert value.decode().strip() in str(error)  # noqa: PT017 - either way it is lost


@settings(max_examples=300, deadline=None)
@given(files())
def test_identity_over_any_data_set(data: bytes) -> None:
    identical(data, Counter())
