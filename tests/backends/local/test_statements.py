"""Which way SQLite takes through the index: what is looked for goes by an index, and pages come in order without sorting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backends.local import search
from gateway.backends.local.statements import plan_of
from gateway.backends.memory import MemoryBackend
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Level, Resource
from tests.backends.local.ready import Index, statements, twenty_studies
from tests.backends.made import dicom, query, store


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Twenty studies of four instances."""
    made = twenty_studies(tmp_path_factory.mktemp("search"))
    yield made
    made.db.close()


def plan(index: Index, asked: Query) -> list[str]:
    [page] = [sql for sql in statements(index, asked) if "ORDER BY" in sql and "OFFSET" in sql]
    return [detail for *_, detail in index.db.execute(f"EXPLAIN QUERY PLAN {page}")]


@pytest.mark.parametrize(
    ("level", "resource", "params", "used"),
    [
        ("study", Resource(), {"StudyInstanceUID": "1.1"}, "study_1 (uid=?)"),
        ("study", Resource(), {"StudyInstanceUID": "1.1,1.2"}, "study_1 (uid=?)"),
        ("study", Resource(), {"PatientID": "P1"}, "study_patient_id (patient_id=?)"),
        ("study", Resource(), {"PatientID": "P1*"}, "study_patient_id (patient_id>? AND patient_id<?)"),
        ("study", Resource(), {"PatientName": "doe*"}, "PRIMARY KEY (field=? AND text>? AND text<?)"),
        ("study", Resource(), {"PatientName": "doe*"}, "study_patient_name (patient_name=?)"),
        ("study", Resource(), {"PatientName": "*jane"}, "study_patient_name (patient_name=?)"),
        ("study", Resource(), {"PatientName": "jan", "fuzzymatching": "true"}, "study_patient_name (patient_name=?)"),
        ("study", Resource(), {"ReferringPhysicianName": "*doe"}, "study_referring (referring=?)"),
        ("study", Resource(), {"StudyDescription": "*chest*"}, "study_description (description=?)"),
        ("study", Resource(), {"StudyDescription": "chest"}, "study_description (description=?)"),
        ("study", Resource(), {"PatientName": "Doe^Jane"}, "study_patient_name (patient_name=?)"),
        ("study", Resource(), {"AccessionNumber": "A"}, "study_accession (accession=?)"),
        ("study", Resource(), {"StudyDate": "20240131"}, "study_date (date=?)"),
        ("study", Resource(), {"StudyDate": "20240101-20240201"}, "study_date (date>? AND date<?)"),
        ("study", Resource(), {"ModalitiesInStudy": "CT"}, "series_modality (modality=?)"),
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


@pytest.mark.parametrize("level", ["study", "series", "instance"])
@pytest.mark.parametrize("offset", ["0", "15"])
def test_pages_of_everything_begin_where_they_begin_and_are_read_in_order_without_sorting(index: Index, level: Level, offset: str) -> None:
    steps = plan(index, query(level, offset=offset))
    assert steps[0] == "SEARCH s USING INTEGER PRIMARY KEY (rowid>?)" and not [step for step in steps if "ORDER BY" in step], steps


@pytest.mark.parametrize(
    ("level", "params", "statement"),
    [
        ("study", {}, "SELECT coalesce(sum(study), 0) FROM block"),
        ("instance", {}, "SELECT coalesce(sum(instance), 0) FROM block"),
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


@pytest.mark.parametrize(
    "params",
    [
        {"PatientName": "*jane"},
        {"PatientName": "jan", "fuzzymatching": "true"},
        {"ReferringPhysicianName": "*jane*"},
        {"StudyDescription": "*e*"},
    ],
)
def test_what_may_begin_anywhere_is_looked_for_among_values_and_not_among_studies(index: Index, params: dict[str, str]) -> None:
    steps = plan(index, query("study", **params))
    assert "SEARCH t USING PRIMARY KEY (field=?)" in steps and not [step for step in steps if step.startswith("SCAN")], steps


@pytest.mark.parametrize(
    ("params", "first"),
    [
        ({"StudyDate": "20240101-", "offset": "10", "limit": "5"}, "SCAN s USING COVERING INDEX study_keys"),
        ({"StudyDate": "20240101-20241231"}, "SEARCH s USING COVERING INDEX study_date (date>? AND date<?)"),
        ({"PatientSex": "F"}, "SCAN s USING COVERING INDEX study_keys"),
        ({"ModalitiesInStudy": "CT"}, "SEARCH m USING COVERING INDEX series_modality (modality=?)"),
    ],
)
def test_pages_of_a_search_read_no_row_that_they_do_not_show(index: Index, params: dict[str, str], first: str) -> None:
    """What is found is gone through by narrow indices: in order where that is shorter than to sort it."""
    steps = plan(index, query("study", **params))
    assert steps[2] == first, steps


def test_pages_of_a_modality_and_their_count_are_read_in_order_without_sorting(index: Index) -> None:
    steps = plan(index, query("study", ModalitiesInStudy="CT", offset="10"))
    assert not [step for step in steps if "ORDER BY" in step or "DISTINCT" in step], steps
    assert "SELECT count(*) FROM (SELECT DISTINCT m.study FROM series m WHERE m.modality = 'CT' ORDER BY m.study)" in statements(
        index, query("study", ModalitiesInStudy="CT", limit="1")
    )


def test_modalities_are_asked_of_each_study_once_where_other_keys_leave_few(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = query("study", ModalitiesInStudy="CT", StudyDate="20240131", limit="7", offset="5")
    [probing] = [sql for sql in statements(index, asked) if "EXISTS" in sql]
    steps = [detail for *_, detail in index.db.execute(f"EXPLAIN QUERY PLAN {probing}")]
    assert "SEARCH s USING COVERING INDEX study_date (date=?)" in steps
    assert "SEARCH m USING COVERING INDEX series_modalities (study=? AND modality=?)" in steps
    found = search.answer(index.db, plan_of(asked))
    monkeypatch.setattr("gateway.backends.local.statements.PROBED", 3)
    assert not [sql for sql in statements(index, asked) if "EXISTS" in sql]
    assert "SEARCH s USING COVERING INDEX study_keys (id=? AND date=?)" in plan(index, asked)
    assert search.answer(index.db, plan_of(asked)) == found and (len(found.results), found.remaining) == (7, 8)


def fifteen_studies() -> list[bytes]:
    """Two of three have a CT."""
    return [
        dicom(f"1.{number}", f"1.{number}.{series}", f"1.{number}.{series}.1",
            Modality=modality, PatientID=f"P{number}", StudyDescription=text)
        for number, text in enumerate(["Chest a", "Abdomen", "b", "", "a"] * 3)
        for series, modality in enumerate(["CT", "SR"] if number % 3 else ["MR"])
    ]  # fmt: skip


async def test_however_modalities_are_asked_for_the_answer_is_that_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index, memory = Index(tmp_path), MemoryBackend()
    index.store(*fifteen_studies())
    await store(memory, *fifteen_studies())
    keys = [{"StudyDate": "20240131"}, {"PatientSex": ""}, {"PatientID": "P1*"}, {"StudyDescription": "*a*"}, {}]
    pages = [{}, {"limit": "3"}, {"limit": "3", "offset": "4"}, {"limit": "0"}, {"offset": "100"}]
    for probed in (1, 3, 10_000):
        monkeypatch.setattr("gateway.backends.local.statements.PROBED", probed)
        for params in keys:
            for page in pages:
                asked = query("study", ModalitiesInStudy="CT", **params, **page)
                expected, found = await memory.search(asked), search.answer(index.db, plan_of(asked))
                assert (found.results, found.remaining) == (expected.results, expected.remaining), (probed, params, page)
    index.db.close()
