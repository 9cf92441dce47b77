"""Searches as SQL. What they find is in the contract suite; here is how the index is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backends.local import search
from gateway.backends.local.statements import plan_of
from gateway.backends.results import KEYS
from gateway.dicomweb.matching import Exact, Wildcard
from gateway.dicomweb.query import MAX_NAMES, Filter, Query
from gateway.dicomweb.resources import Level
from tests.backends.local.ready import Index, statements, twenty_studies
from tests.backends.made import dicom, query


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Twenty studies of four instances."""
    made = twenty_studies(tmp_path_factory.mktemp("search"))
    yield made
    made.db.close()


@pytest.mark.parametrize("path", sorted(KEYS))
def test_every_key_has_its_column(index: Index, path: tuple[int, ...]) -> None:
    asked = Query("instance", filters=(Filter(path, "LO", Exact("nothing")),))
    assert search.answer(index.db, plan_of(asked)).results == ()


def test_values_are_parameters_and_never_part_of_a_statement(index: Index) -> None:
    prepared: list[str] = []

    class Watched:
        def execute(self, sql: str, values: tuple[object, ...] = ()) -> object:
            prepared.append(sql)
            return index.db.execute(sql, values)

    evil = "x'; DROP TABLE study; --"
    params = {"PatientID": evil, "PatientName": f"{evil}*", "StudyDescription": evil, "AccessionNumber": evil}
    levels: tuple[Level, ...] = ("study", "series", "instance")
    for level in levels:
        search.answer(Watched(), plan_of(query(level, **params)))  # type: ignore[arg-type]  # a connection as far as it is used
    assert len(prepared) == 6 and not [sql for sql in prepared if "DROP" in sql]


MANY = [f"x{number}" for number in range(1500)]


@pytest.mark.parametrize("key", ["PatientID", "ModalitiesInStudy", "Modality", "SOPClassUID"])
def test_keys_of_as_many_values_as_a_url_has_room_for(index: Index, key: str) -> None:
    values = [f"1.{number}" for number in range(1500)] if key == "SOPClassUID" else MANY
    for how in ({}, {"multiplevaluematching": "true"}):
        levels: tuple[Level, ...] = ("study", "series", "instance")
        for level in levels:
            assert search.answer(index.db, plan_of(query(level, **{key: "\\".join(values)}, **how))).results == ()


@pytest.mark.parametrize("how", [{}, {"fuzzymatching": "true"}, {"multiplevaluematching": "true"}])
def test_as_many_names_as_a_search_may_have(index: Index, how: dict[str, str]) -> None:
    assert search.answer(index.db, plan_of(query(PatientName="\\".join(MANY[:MAX_NAMES]), **how))).results == ()


def test_what_is_left_is_only_counted_when_a_page_is_full(index: Index) -> None:
    assert len(statements(index, query(limit="20", offset="1"))) == 1
    full = search.answer(index.db, plan_of(query(limit="7", offset="3")))
    assert (len(full.results), full.remaining) == (7, 10)
    assert len(statements(index, query(limit="7", offset="3"))) == 2


def test_results_come_in_the_order_of_the_first_arrival(tmp_path: Path) -> None:
    index = Index(tmp_path)
    for uid in ("1.9", "1.10", "1.1"):
        index.store(dicom(uid, f"{uid}.2", f"{uid}.2.2"), dicom(uid, f"{uid}.1", f"{uid}.1.1"))
    index.store(dicom("1.9", "1.9.2", "1.9.2.1"))

    def uids(level: Level, tag: str) -> list[str]:
        return [json.loads(result)[tag]["Value"][0] for result in search.answer(index.db, plan_of(query(level))).results]

    assert uids("study", "0020000D") == ["1.9", "1.10", "1.1"]
    assert uids("series", "0020000E")[:2] == ["1.9.2", "1.9.1"]
    assert uids("instance", "00080018")[:3] == ["1.9.2.2", "1.9.2.1", "1.9.1.1"]
    index.db.close()


def test_a_list_of_identifiers_is_matched_value_by_value(index: Index) -> None:
    asked = Query("series", filters=(Filter((0x00400275, 0x00400009), "SH", Wildcard("*")),))
    assert search.answer(index.db, plan_of(asked)).results == ()


def test_the_moment_of_the_last_change_comes_with_the_results_and_without_any(index: Index) -> None:
    found, nothing = (search.answer(index.db, plan_of(query(PatientID=value))) for value in ("*", "nobody"))
    assert found.results and not nothing.results
    assert found.modified == nothing.modified == search.changed_at(index.db) is not None
