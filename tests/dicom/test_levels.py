"""Which attribute belongs to study, series or instance."""

from __future__ import annotations

import pytest
from pydicom.datadict import dictionary_has_tag

from gateway.dicom import attributes
from gateway.dicom.levels import SERIES, STUDY, level_of
from gateway.dicomweb.resources import Level


def test_no_attribute_has_two_levels() -> None:
    assert not STUDY & SERIES
    assert not {tag for tag in SERIES if tag >> 16 == 0x0010}


def test_every_tag_is_in_the_dictionary() -> None:
    assert [f"{tag:08X}" for tag in STUDY | SERIES if not dictionary_has_tag(tag)] == []


@pytest.mark.parametrize(
    ("level", "tags"), [("study", attributes._STUDY), ("series", attributes._SERIES), ("instance", attributes._INSTANCE)]
)
def test_the_index_keeps_attributes_at_their_level(level: Level, tags: tuple[int, ...]) -> None:
    assert [f"{tag:08X}" for tag in tags if level_of(tag) != level] == []


@pytest.mark.parametrize(
    ("tag", "level"),
    [(0x00101030, "study"), (0x0010FFFF, "study"), (0x00181000, "series"), (0x00280010, "instance"), (0x00091001, "instance")],
)
def test_levels(tag: int, level: Level) -> None:
    assert level_of(tag) == level
