"""What the tables say is what pydicom says; pydicom itself is not needed for it."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator

import pytest
from pydicom import datadict
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._private_dict import private_dictionaries
from pydicom._uid_dict import UID_dictionary

from gateway.dicom import tables


def tags() -> Iterator[int]:
    chance = random.Random(1)
    yield from DicomDictionary
    for pattern in RepeatersDictionary:
        yield int("".join(chance.choice("02468ACE") if digit == "x" else digit for digit in pattern), 16)
    yield from (chance.randrange(1 << 32) for _ in range(2000))


def test_elements_are_those_of_pydicom() -> None:
    for tag in tags():
        try:
            known = datadict.get_entry(tag)
        except KeyError:
            known = None
        assert tables.element(tag) == known, hex(tag)


def test_keywords_and_uids_are_those_of_pydicom() -> None:
    assert datadict.keyword_dict == tables.KEYWORDS
    assert UID_dictionary == tables.UIDS


def test_private_elements_are_those_of_pydicom_wherever_their_block_lies() -> None:
    for creator, known in private_dictionaries.items():
        for pattern in known:
            tag = int(pattern.replace("xxxx", "0111" if len(pattern) == 8 else "").replace("xx", "11"), 16) | 0x10000
            assert tables.private_vr(tag, creator) == vr(tag, creator), (creator, pattern)


def vr(tag: int, creator: str) -> str | None:
    try:
        return datadict.private_dictionary_VR(tag, creator)
    except KeyError:
        return None


@pytest.mark.parametrize(("tag", "creator"), [(0x00291000, "Nobody"), (0x00291099, "1.2.840.113663.1")])
def test_a_private_element_that_nobody_knows_has_no_vr(tag: int, creator: str) -> None:
    assert tables.private_vr(tag, creator) is None


def test_they_bring_neither_pydicom_nor_what_it_brings() -> None:
    code = "import gateway.dicom.tables, sys; print([name for name in ('pydicom', 'numpy', 'PIL') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout.strip() == b"[]"
