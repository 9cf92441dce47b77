"""What a query needs to know."""

from __future__ import annotations

import pytest

from gateway.backends import needs
from gateway.dicomweb.resources import Level
from tests.backends.made import query


@pytest.mark.parametrize(
    ("level", "params", "rows"),
    [
        ("study", {}, "study"),
        ("study", {"PatientName": "a", "PatientWeight": "70"}, "study"),
        ("study", {"Modality": "CT"}, "series"),
        ("study", {"Modality": "CT", "KVP": "120"}, "instance"),
        ("study", {"ModalitiesInStudy": "CT", "NumberOfStudyRelatedInstances": "3"}, "study"),
        ("study", {"NumberOfSeriesRelatedInstances": "3"}, "series"),
        ("study", {"KVP": ""}, "study"),
        ("study", {"InstanceAvailability": "ONLINE"}, "study"),
        ("series", {"SOPInstanceUID": "1.2"}, "instance"),
        ("series", {"PatientName": "a"}, "series"),
        ("series", {"00091001": "a"}, "instance"),
        ("instance", {"PatientName": "a"}, "instance"),
    ],
)
def test_rows_of_the_lowest_key_are_looked_at(level: Level, params: dict[str, str], rows: Level) -> None:
    assert needs.rows(query(level, **params)) == rows


@pytest.mark.parametrize(
    ("level", "params", "expected"),
    [
        ("study", {}, False),
        ("study", {"includefield": "StudyDescription,ModalitiesInStudy"}, False),
        ("study", {"includefield": "PatientWeight"}, True),
        ("study", {"includefield": "Modality,Rows,KVP"}, False),
        ("study", {"includefield": "00091001"}, True),
        ("study", {"includefield": "all"}, True),
        ("study", {"PatientWeight": "70"}, True),
        ("series", {"includefield": "PatientName,Modality"}, False),
        ("instance", {"includefield": "00020010,00083002,Rows"}, False),
        ("instance", {"KVP": ""}, True),
    ],
)
def test_headers_are_read_when_results_show_what_the_index_does_not_hold(level: Level, params: dict[str, str], expected: bool) -> None:
    assert needs.document(query(level, **params)) is expected


@pytest.mark.parametrize(
    ("level", "params", "expected"),
    [
        ("study", {}, True),
        ("study", {"PatientName": "a*", "ModalitiesInStudy": "CT", "includefield": "StudyDescription"}, True),
        ("study", {"includefield": "Modality"}, True),
        ("study", {"includefield": "PatientWeight"}, False),
        ("study", {"includefield": "00091001"}, False),
        ("study", {"includefield": "all"}, False),
        ("series", {}, False),
        ("instance", {}, False),
    ],
)
def test_most_lists_of_studies_ask_for_nothing_more(level: Level, params: dict[str, str], expected: bool) -> None:
    assert needs.nothing_more(query(level, **params)) is expected
