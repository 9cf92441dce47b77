"""Filters as SQL. What they match is in the contract suite; here is which of them SQL can say."""

from __future__ import annotations

import sqlite3

import pytest

from gateway.backends.local.conditions import COLUMN, chained, divided
from gateway.backends.results import KEYS
from gateway.dicomweb.matching import Exact, Range
from gateway.dicomweb.query import Filter
from tests.backends.made import query


def test_every_key_that_an_index_holds_has_its_column() -> None:
    assert set(KEYS) - set(COLUMN) == {(0x00080061,)}


@pytest.mark.parametrize(
    ("params", "tables", "rest"),
    [
        ({"PatientID": "1", "Modality": "CT", "InstanceNumber": "1"}, "eis", 0),
        ({"ModalitiesInStudy": "CT", "PatientName": "a"}, "ss", 0),
        ({"StudyDate": "2024-", "StationName": "a"} | {"StudyDate": "20240101-"}, "s", 1),
        ({"RequestAttributesSequence.ScheduledProcedureStepID": "1"}, "e", 0),
        ({"RequestAttributesSequence.ScheduledProcedureStepID": "1", "RequestAttributesSequence.RequestedProcedureID": "1"}, "", 2),
        ({"00091001": "a"}, "", 1),
    ],
)
def test_what_the_index_holds_is_asked_of_it_and_the_rest_is_left(params: dict[str, str], tables: str, rest: int) -> None:
    conditions, left = divided(query("instance", **params).filters)
    assert ("".join(sorted(one.table for one in conditions)), len(left)) == (tables, rest)


def test_values_never_become_part_of_the_statement() -> None:
    evil = "x'; DROP TABLE study; --"
    filters = [Filter((tag,), "LO", Exact(evil)) for (tag, *_) in COLUMN] + [Filter((0x00080020,), "DA", Range(evil, evil))]
    conditions, _ = divided(filters)
    assert not [one.sql for one in conditions if "DROP" in one.sql]
    assert all(evil in value or "drop" in value for one in conditions for value in one.values if value)


@pytest.mark.parametrize("count", [1, 2, 65, 2700])
def test_what_is_joined_is_no_deeper_than_sqlite_can_read(count: int) -> None:
    db = sqlite3.connect(":memory:")
    values = list(range(count))
    assert db.execute(f"SELECT {chained('OR', ['? = 0'] * count)}, {chained('AND', ['? >= 0'] * count)}", values + values).fetchone() == (
        1,
        1,
    )
    assert db.execute(f"SELECT {chained('AND', ['? = 0'] * count)}", values).fetchone() == (int(count == 1),)
    db.close()
