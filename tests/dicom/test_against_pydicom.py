"""The DICOM JSON model against pydicom's, over every file at hand.

Where the two differ one of the named reasons below must hold; a difference without a reason fails.
"""

from __future__ import annotations

import logging
import math
import re
import warnings
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from gateway.dicom.metadata import instance_metadata
from gateway.dicom.part10 import BIG_ENDIAN
from tests.dicom.archive import inflate, readable, walk_of

Attribute = dict[str, Any]


def padding_in_lists(ours: Attribute, theirs: Attribute) -> bool:
    """pydicom strips the end of the whole value, not of each value, and has "" where F.2.5 wants null."""
    return ours.get("Value") == [v.strip(" \0") or None if isinstance(v, str) else v for v in theirs.get("Value", [])]


def leading_spaces(ours: Attribute, theirs: Attribute) -> bool:
    """pydicom keeps leading spaces that PS3.5 table 6.2-1 calls insignificant."""
    return ours["vr"] in {"LO", "SH", "CS"} and padding_in_lists(ours, theirs)


def padding_alone(ours: Attribute, theirs: Attribute) -> bool:
    """pydicom has "" for a value of spaces."""
    return "Value" not in ours and all(isinstance(v, str) and not v.strip(" \0") for v in theirs.get("Value", ["x"]))


def fragments_are_bytes(ours: Attribute, theirs: Attribute) -> bool:
    """pydicom leaves OW on encapsulated pixel data; PS3.5 A.4 has OB."""
    return (ours["vr"], theirs["vr"]) == ("OB", "OW") and "BulkDataURI" in ours


def open_vr(ours: Attribute, theirs: Attribute) -> bool:
    """pydicom leaves VRs of retired elements open."""
    return " or " in theirs["vr"] and ours["vr"] in {"OB", "OW", "US", "SS"}


def many_numbers(ours: Attribute, theirs: Attribute) -> bool:
    """More than 512 numbers go behind a URI."""
    return ours["vr"] == theirs["vr"] and "BulkDataURI" in ours and len(theirs.get("Value", ())) > 512


def binary(ours: Attribute, theirs: Attribute) -> bool:
    """Binary values: behind a URI, or the same bytes in place."""
    if ours["vr"] != theirs["vr"] or "InlineBinary" not in theirs:
        return False
    return "BulkDataURI" in ours or b64decode(ours["InlineBinary"]) == b64decode(theirs["InlineBinary"])


def not_finite(ours: Attribute, theirs: Attribute) -> bool:
    """pydicom writes NaN and Infinity, which JSON has not."""
    return all(isinstance(a, str) or a == b for a, b in zip(ours["Value"], theirs["Value"], strict=True)) and any(
        not math.isfinite(v) for v in theirs["Value"]
    )


def escapes_of_chinese(ours: Attribute, theirs: Attribute) -> bool:
    """pydicom leaves the escapes of ISO 2022 IR 58 in the text."""
    return bool(orjson.loads(orjson.dumps(theirs).replace(b"\\u001b$)A", b"")) == ours)


REASONS: list[Callable[[Attribute, Attribute], bool]] = [
    padding_in_lists,
    leading_spaces,
    padding_alone,
    fragments_are_bytes,
    open_vr,
    many_numbers,
    binary,
    not_finite,
    escapes_of_chinese,
]

CANNOT = re.compile(
    "invalid literal for int|could not convert|list index out of range|Could not convert|must have|Unknown Value Representation 'NONE'"
)
"""What pydicom says when one value costs it the data set: IS and DS that are no numbers, an empty PN among others, and stray items
(FFFE,E000), which are no elements."""

FILES = {
    "DICOMDIR-nooffset": "a directory whose sequence is empty but for a delimiter; never stored",
    "Tag-0040-A170-VR-CS.dcm": "a tag that was CS once: pydicom reads its text as a sequence",
    "FreezePattern.dcm": "elements twice: the first counts for us, as in the walk, the last for pydicom",
    "GH364.dcm": "a stray item at the top level: its elements count for us",
    "no_preamble_dicm_in_data.dcm": "pydicom takes DICM inside a value for the magic",
    "trailing_garbage.dcm": "pydicom takes garbage for an element",
    "GH177_D_CLUNIE_CT1_IVRLE_BigEndian_undefined_length.dcm": "pydicom cannot read it",
}
"""Files that are not compared, and why."""


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """pydicom says much about the files that it is made to read here."""
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)


def theirs(element: DataElement) -> Attribute:
    found: Attribute = element.to_json_dict(None, 0)
    return {**found, "vr": str(found["vr"])}


def differences(where: str, ours: dict[str, Attribute], dataset: Dataset, big_endian: bool) -> Iterator[str]:
    tags = {f"{tag:08X}": tag for tag in list(dataset.keys()) if tag.element and tag.group not in (2, 0xFFFE)}
    assert list(ours) == sorted(ours)
    for key in sorted(ours.keys() | tags.keys()):
        if key == "00080005":
            continue  # ISO_IR 192 by rule
        if key not in ours or key not in tags:
            yield f"{where}{key} is missing on one side"
            continue
        try:
            un = dataset.get_item(tags[key]).VR == "UN"
            element = dataset[tags[key]]
            other = {"vr": "SQ"} if element.VR == "SQ" else theirs(element)
        except Exception as error:  # pydicom raises whatever it likes
            if not CANNOT.search(str(error)):
                yield f"{where}{key}: pydicom says {error!r}"
            continue
        if other["vr"] == "SQ" and ours[key]["vr"] == "SQ":
            yield from in_items(f"{where}{key}", ours[key].get("Value", []), list(element.value), big_endian)
        elif not (ours[key] == other or (un and big_endian) or any(reason(ours[key], other) for reason in REASONS)):
            yield f"{where}{key}: {ours[key]['vr']} {other['vr']}"


def in_items(where: str, ours: list[dict[str, Attribute]], items: list[Dataset], big_endian: bool) -> Iterator[str]:
    if len(ours) != len(items):
        yield f"{where}: {len(ours)} items, {len(items)} in pydicom"
    for number, (one, other) in enumerate(zip(ours, items, strict=False)):
        yield from differences(f"{where}/{number}/", one, other, big_endian)


@pytest.mark.parametrize("path", [path for path in readable() if path.name not in FILES], ids=lambda path: path.name)
def test_pydicom_has_the_same_model(path: Path) -> None:
    """UN in big endian files aside: it is little endian by definition, and pydicom reads it as big endian."""
    data = path.read_bytes()
    walk = walk_of(data)
    assert walk is not None
    ours = orjson.loads(instance_metadata(inflate(data, walk), walk.events, syntax=walk.syntax, bulk_prefix="@"))
    theirs = pydicom.dcmread(path, force=True)
    if "AvailableTransferSyntaxUID" not in theirs:
        ours.pop("00083002", None)  # of videos: see `metadata`
    assert list(differences("", ours, theirs, walk.syntax == BIG_ENDIAN)) == []
