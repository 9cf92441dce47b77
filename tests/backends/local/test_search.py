"""Searches as SQL. What they find is in the contract suite; here is how the index is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backends.local import search
from gateway.backends.results import KEYS
from gateway.dicomweb.matching import Exact, Wildcard
from gateway.dicomweb.query import Filter, Query
from gateway.dicomweb.resources import Level, Resource
from tests.backends.local.ready import Index
from tests.backends.made import dicom, query, study


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Twenty studies of four instances."""
    made = Index(tmp_path_factory.mktemp("search"))
    made.store(*[file for number in range(1, 21) for file in study(f"1.{number}", PatientID=f"P{number}")])
    yield made
    made.db.close()


def statements(index: Index, asked: Query) -> list[str]:
    """What a search sends to the database, its values filled in."""
    seen: list[str] = []
    index.db.set_trace_callback(seen.append)
    try:
        search.answer(index.db, search.plan_of(asked))
    finally:
        index.db.set_trace_callback(None)
    return [sql for sql in seen if "FROM meta" not in sql]


def plan(index: Index, asked: Query) -> list[str]:
    return [detail for *_, detail in index.db.execute("EXPLAIN QUERY PLAN " + statements(index, asked)[0])]


@pytest.mark.parametrize(
    ("level", "resource", "params", "used"),
    [
        ("study", Resource(), {"StudyInstanceUID": "1.1"}, "study_1 (uid=?)"),
        ("study", Resource(), {"StudyInstanceUID": "1.1,1.2"}, "study_1 (uid=?)"),
        ("study", Resource(), {"PatientID": "P1"}, "study_patient_id (patient_id=?)"),
        ("study", Resource(), {"PatientID": "P1*"}, "study_patient_id (patient_id>? AND patient_id<?)"),
        ("study", Resource(), {"PatientName": "doe*"}, "study_patient_name (patient_name>? AND patient_name<?)"),
        ("study", Resource(), {"PatientName": "Doe^Jane"}, "study_patient_name (patient_name=?)"),
        ("study", Resource(), {"AccessionNumber": "A"}, "study_accession (accession=?)"),
        ("study", Resource(), {"StudyDate": "20240131"}, "study_date (date=?)"),
        ("study", Resource(), {"StudyDate": "20240101-20240201"}, "study_date (date>? AND date<?)"),
        ("study", Resource(), {"StudyDate": "20240131", "ModalitiesInStudy": "CT"}, "series_modality (modality=?)"),
        ("series", Resource("1.1"), {}, "series_study (study=?)"),
        ("series", Resource(), {"SeriesInstanceUID": "1.1.1"}, "series_uid (uid=?)"),
        ("series", Resource(), {"PatientID": "P1"}, "series_study (study=?)"),
        ("series", Resource(), {"Modality": "MR"}, "series_modality (modality=?)"),
        ("instance", Resource("1.1"), {}, "instance_series (series=?)"),
        ("instance", Resource("1.1", "1.1.1"), {"InstanceNumber": "1"}, "instance_series (series=?)"),
        ("instance", Resource(), {"SOPInstanceUID": "1.1.1.1"}, "instance_uid (uid=?)"),
        ("instance", Resource(), {"SOPClassUID": "1.2"}, "instance_sop_class (sop_class=?)"),
    ],
)
def test_searches_go_by_an_index(index: Index, level: Level, resource: Resource, params: dict[str, str], used: str) -> None:
    steps = plan(index, query(level, resource, **params))
    assert any(step.startswith(("SEARCH", "INDEX")) and step.endswith(used) for step in steps), steps
    # Names of several component groups are few, and have an index of their own that is looked through.
    assert not [step for step in steps if step.startswith("SCAN") and "study_name_groups" not in step], steps


def test_the_first_page_of_everything_is_read_in_order_without_sorting(index: Index) -> None:
    steps = plan(index, query())
    assert steps[0] == "SCAN s" and not [step for step in steps if "ORDER BY" in step]


@pytest.mark.parametrize("level", ["series", "instance"])
def test_pages_far_into_series_and_instances_are_read_in_order_without_sorting(index: Index, level: Level) -> None:
    steps = plan(index, query(level, offset="50"))
    assert steps[0] == "SCAN s" and not [step for step in steps if "ORDER BY" in step]


@pytest.mark.parametrize(
    ("level", "params", "statement"),
    [
        ("study", {}, "SELECT count(*) FROM study"),
        ("instance", {}, "SELECT count(*) FROM instance"),
        ("series", {"PatientID": "P1"}, "SELECT sum(s.series_count) FROM study s WHERE s.patient_id = 'P1'"),
        ("instance", {"PatientID": "P1"}, "SELECT sum(s.instance_count) FROM study s WHERE s.patient_id = 'P1'"),
        (
            "instance",
            {"Modality": "CT"},
            "SELECT sum(e.instance_count) FROM study s JOIN series e ON e.study = s.id WHERE e.modality = 'CT'",
        ),
    ],
)
def test_what_is_left_is_summed_from_the_counts_of_studies_and_series(
    index: Index, level: Level, params: dict[str, str], statement: str
) -> None:
    assert statements(index, query(level, limit="1", **params))[1] == statement
    counted = search.answer(index.db, search.plan_of(query(level, limit="1", **params)))
    assert counted.remaining == len(search.answer(index.db, search.plan_of(query(level, limit="1000", **params))).results) - 1


@pytest.mark.parametrize(
    ("params", "used"),
    [
        ({"SOPInstanceUID": "1.1.1.1"}, "instance_uid (uid=?)"),
        ({"SeriesInstanceUID": "1.1.1"}, "series_uid (uid=?)"),
        ({"Modality": "CT", "InstanceNumber": "1"}, "series_modality (modality=?)"),
    ],
)
def test_keys_of_lower_levels_go_by_their_own_index(index: Index, params: dict[str, str], used: str) -> None:
    steps = plan(index, query("study", **params))
    assert [step for step in steps if step.endswith(used)] and not [step for step in steps if step.startswith("SCAN")], steps


@pytest.mark.parametrize("params", [{"PatientName": "*jane"}, {"PatientName": "jan", "fuzzymatching": "true"}])
def test_names_that_may_begin_anywhere_are_looked_for_in_an_index_and_not_in_rows(index: Index, params: dict[str, str]) -> None:
    steps = plan(index, query("study", **params))
    assert [step for step in steps if step.startswith("SCAN n USING COVERING INDEX")]
    assert not [step for step in steps if step.startswith("SCAN s")], steps


@pytest.mark.parametrize("path", sorted(KEYS))
def test_every_key_has_its_column(index: Index, path: tuple[int, ...]) -> None:
    asked = Query("instance", filters=(Filter(path, "LO", Exact("nothing")),))
    assert search.answer(index.db, search.plan_of(asked)).results == ()


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
        search.answer(Watched(), search.plan_of(query(level, **params)))  # type: ignore[arg-type]  # a connection as far as it is used
    assert len(prepared) == 6 and not [sql for sql in prepared if "DROP" in sql]


def test_what_is_left_is_only_counted_when_a_page_is_full(index: Index) -> None:
    assert len(statements(index, query(limit="20", offset="1"))) == 1
    full = search.answer(index.db, search.plan_of(query(limit="7", offset="3")))
    assert (len(full.results), full.remaining) == (7, 10)
    assert len(statements(index, query(limit="7", offset="3"))) == 2


def test_results_come_in_the_order_of_the_first_arrival(tmp_path: Path) -> None:
    index = Index(tmp_path)
    for uid in ("1.9", "1.10", "1.1"):
        index.store(dicom(uid, f"{uid}.2", f"{uid}.2.2"), dicom(uid, f"{uid}.1", f"{uid}.1.1"))
    index.store(dicom("1.9", "1.9.2", "1.9.2.1"))

    def uids(level: Level, tag: str) -> list[str]:
        return [json.loads(result)[tag]["Value"][0] for result in search.answer(index.db, search.plan_of(query(level))).results]

    assert uids("study", "0020000D") == ["1.9", "1.10", "1.1"]
    assert uids("series", "0020000E")[:2] == ["1.9.2", "1.9.1"]
    assert uids("instance", "00080018")[:3] == ["1.9.2.2", "1.9.2.1", "1.9.1.1"]
    index.db.close()


def test_a_list_of_identifiers_is_matched_value_by_value(index: Index) -> None:
    asked = Query("series", filters=(Filter((0x00400275, 0x00400009), "SH", Wildcard("*")),))
    assert search.answer(index.db, search.plan_of(asked)).results == ()
