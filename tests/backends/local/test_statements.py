"""Which way SQLite takes through the index: what is looked for goes by an index, and pages come in order without sorting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway.backends.local import search
from gateway.backends.local.statements import plan_of
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Level, Resource
from tests.backends.local.ready import Index, statements, twenty_studies
from tests.backends.made import query


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Twenty studies of four instances."""
    made = twenty_studies(tmp_path_factory.mktemp("search"))
    yield made
    made.db.close()


def plan(index: Index, asked: Query) -> list[str]:
    [page] = [sql for sql in statements(index, asked) if "ORDER BY" in sql]
    return [detail for *_, detail in index.db.execute(f"EXPLAIN QUERY PLAN {page}")]


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
        ("instance", Resource("1.1", "1.1.1"), {"InstanceNumber": "1"}, "instance_number (<expr>=? AND series=?)"),
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
            "SELECT sum(e.instance_count) FROM series e WHERE e.modality = 'CT'",
        ),
    ],
)
def test_what_is_left_is_summed_from_the_counts_of_studies_and_series(
    index: Index, level: Level, params: dict[str, str], statement: str
) -> None:
    assert statement in statements(index, query(level, limit="1", **params))
    counted = search.answer(index.db, plan_of(query(level, limit="1", **params)))
    assert counted.remaining == len(search.answer(index.db, plan_of(query(level, limit="1000", **params))).results) - 1


@pytest.mark.parametrize(
    ("params", "used"),
    [
        ({"SOPInstanceUID": "1.1.1.1"}, "instance_uid (uid=?)"),
        ({"SeriesInstanceUID": "1.1.1"}, "series_uid (uid=?)"),
        ({"Modality": "CT", "InstanceNumber": "1"}, "instance_number (<expr>=?)"),
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
