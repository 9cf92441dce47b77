"""What changes the index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backends.local import extracted, transactions
from gateway.backends.local.prepared import Outcome
from gateway.backends.local.tombstones import Tombstone
from gateway.backends.policy import OnDuplicate
from gateway.dicomweb.resources import Resource
from tests.backends.local.ready import Index
from tests.backends.made import dicom, named, study

REPLACE, SKIP, REJECT = OnDuplicate.REPLACE, OnDuplicate.SKIP, OnDuplicate.REJECT
COUNTS = "SELECT uid, series_count, instance_count FROM study ORDER BY id"
SERIES_COUNTS = "SELECT uid, instance_count FROM series ORDER BY id"


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path)
    yield made
    made.db.close()


def delete(index: Index, *uids: str) -> Tombstone:
    found = transactions.find(index.db, named(*uids))
    assert found is not None
    transactions.delete(index.db, found, index.reread, applied=10)
    return found


# -- store


def test_generations_are_counted_and_published_in_order(index: Index) -> None:
    files = study("1.1")
    assert index.store(*files[:3]) == [Outcome.STORED] * 3
    assert index.store(files[3]) == [Outcome.STORED]
    assert list(index.blobs.items()) == list(enumerate(files, 1))
    assert index.meta("next_generation") == 5 and index.meta("changes") == 2


def test_counts_of_studies_and_series(index: Index) -> None:
    index.store(*study("1.1"), dicom("1.2", "1.2.1", "1.2.1.1"))
    index.store(dicom("1.1", "1.1.3", "1.1.3.1"))
    assert index.rows(COUNTS) == [("1.1", 3, 5), ("1.2", 1, 1)]
    assert index.rows(SERIES_COUNTS) == [("1.1.1", 2), ("1.1.2", 2), ("1.2.1", 1), ("1.1.3", 1)]


@pytest.mark.parametrize(("policy", "outcome"), [(REJECT, Outcome.REJECTED), (SKIP, Outcome.SKIPPED), (REPLACE, Outcome.REPLACED)])
@pytest.mark.parametrize("together", [True, False])
def test_a_second_version(index: Index, policy: OnDuplicate, outcome: Outcome, together: bool) -> None:
    first, second = dicom(), dicom(PatientID="P2")
    if together:
        assert index.store(first, second, policy=policy) == [Outcome.STORED, outcome]
    else:
        index.store(first)
        assert index.store(second, policy=policy) == [outcome]
    replaced = outcome is Outcome.REPLACED
    assert index.rows("SELECT generation FROM instance") == [(2 if replaced else 1,)]
    assert index.rows("SELECT generation FROM garbage") == ([(1,)] if replaced else [])
    assert index.rows("SELECT patient_id FROM study") == [("P2" if replaced else "P1",)]
    assert index.rows(COUNTS) == [("1.1", 1, 1)]
    assert sorted(index.blobs) == ([1, 2] if replaced else [1])


def test_equal_bytes_change_nothing(index: Index) -> None:
    index.store(dicom())
    before = index.rows("SELECT * FROM meta"), index.rows("SELECT * FROM instance")
    assert index.store(dicom(), policy=REPLACE) == [Outcome.IDENTICAL]
    assert (index.rows("SELECT * FROM meta"), index.rows("SELECT * FROM instance")) == before


def test_equal_length_is_not_equal_bytes(index: Index) -> None:
    index.store(dicom(PatientID="P1"))
    assert index.store(dicom(PatientID="P2")) == [Outcome.REJECTED]


def test_one_instance_uid_in_two_series_is_two_instances(index: Index) -> None:
    assert index.store(dicom("1.1", "1.1.1", "9"), dicom("1.1", "1.1.2", "9"), dicom("1.2", "1.1.1", "9")) == [Outcome.STORED] * 3
    assert index.rows(COUNTS) == [("1.1", 2, 2), ("1.2", 1, 1)]


def test_facts_about_bytes_go_with_their_generation(index: Index) -> None:
    index.store(dicom())
    index.db.execute("INSERT INTO metadata VALUES (1, '{}')")
    extracted.keep(index.db, [(0x00180060, 1, b"{}"), (0x00201041, 1, b"")])
    index.store(dicom(PatientID="P2"), policy=REPLACE)
    assert index.rows("SELECT * FROM metadata") == index.rows("SELECT * FROM extracted") == []


# -- where a study's attributes come from


def test_the_earliest_instance_speaks_for_its_study_and_series(index: Index) -> None:
    index.store(dicom(sop="1", StudyDescription="a", SeriesDescription="x"), dicom(sop="2", StudyDescription="b", SeriesDescription="y"))
    assert index.rows("SELECT description, source FROM study") == [("a", 1)]
    index.store(dicom(sop="1", StudyDescription="c", SeriesDescription="z"), policy=REPLACE)
    assert index.rows("SELECT description, source FROM study") == [("b", 2)]
    assert index.rows("SELECT description, source FROM series") == [("y", 2)]
    delete(index, "1.1", "1.1.1", "2")
    assert index.rows("SELECT description, source FROM study") == [("c", 3)]
    assert index.rows("SELECT description, source FROM series") == [("z", 3)]


def test_every_column_is_refreshed(index: Index) -> None:
    def some(n: int) -> bytes:
        return dicom(
            sop=str(n),
            StudyDate=f"2024010{n}",
            StudyTime=f"1{n}",
            AccessionNumber=f"A{n}",
            ReferringPhysicianName=f"R{n}",
            PatientName=f"N{n}",
            PatientID=f"P{n}",
            PatientBirthDate=f"1970010{n}",
            PatientSex="MFO"[n],
            StudyID=f"S{n}",
            StudyDescription=f"D{n}",
            Modality=["", "CT", "MR"][n],
            SeriesNumber=str(n),
            SeriesDescription=f"E{n}",
            BodyPartExamined=f"B{n}",
            PerformedProcedureStepStartDate=f"2024020{n}",
            PerformedProcedureStepStartTime=f"2{n}",
        )

    def known() -> list[dict[str, object]]:
        cursors = [index.db.execute(f"SELECT * FROM {table}") for table in ("study", "series")]  # noqa: S608 - constants
        rows = [dict(zip([name for name, *_ in cursor.description], cursor.fetchone(), strict=True)) for cursor in cursors]
        return [{name: value for name, value in row.items() if name not in ("id", "study", "source")} for row in rows]

    index.store(some(1), some(2))
    delete(index, "1.1", "1.1.1", "1")
    refreshed = known()
    delete(index, "1.1")
    index.store(some(2))
    assert refreshed == known()
    assert None not in {refreshed[0][name] for name in ("date", "sex", "study_id", "description", "patient_name")}


def test_a_blob_that_cannot_be_read_does_not_stop_a_delete(index: Index) -> None:
    index.store(dicom(sop="1", StudyDescription="a"), dicom(sop="2", StudyDescription="b"))
    index.unreadable = True
    delete(index, "1.1", "1.1.1", "1")
    assert index.rows(COUNTS) == [("1.1", 1, 1)]
    assert index.rows("SELECT description FROM study") == [("a",)]


# -- delete


@pytest.mark.parametrize(
    ("uids", "generations", "left"),
    [
        (("1.1",), [1, 2, 3, 4], []),
        (("1.1", "1.1.1"), [1, 2], [("1.1", 1, 2)]),
        (("1.1", "1.1.2", "1.1.2.1"), [3], [("1.1", 2, 3)]),
    ],
)
def test_a_delete_takes_rows_and_counts_and_leaves_garbage(
    index: Index, uids: tuple[str, ...], generations: list[int], left: list[tuple[str, int, int]]
) -> None:
    index.store(*study("1.1"), dicom("1.2", "1.2.1", "1.2.1.1"))
    tombstone = delete(index, *uids)
    assert [generation for _, _, generation in tombstone.instances] == generations
    assert index.rows(COUNTS) == [*left, ("1.2", 1, 1)]
    assert index.rows("SELECT generation FROM garbage") == [(generation,) for generation in generations]
    assert index.meta("tombstone_bytes") == 10 and index.meta("changes") == 2


def test_doing_a_delete_twice_is_the_same_as_once(index: Index) -> None:
    index.store(*study("1.1"))
    tombstone = delete(index, "1.1", "1.1.1")
    tables = ("study", "series", "instance", "deleted")
    once = [index.rows(f"SELECT * FROM {table}") for table in tables]  # noqa: S608 - constants
    transactions.delete(index.db, tombstone, index.reread, 10)
    assert [index.rows(f"SELECT * FROM {table}") for table in tables] == once  # noqa: S608 - constants


def deleted(index: Index) -> set[tuple[object, ...]]:
    return set(index.rows("SELECT * FROM deleted"))


def test_what_went_with_its_last_instance_was_deleted_too(index: Index) -> None:
    index.store(dicom("1.1", "1.1.1", "1"), dicom("1.1", "1.1.2", "2"))
    delete(index, "1.1", "1.1.1", "1")
    assert deleted(index) == {("1.1", "1.1.1", "1"), ("1.1", "1.1.1", "")}
    delete(index, "1.1", "1.1.2", "2")
    assert deleted(index) == {("1.1", "", ""), *(("1.1", f"1.1.{n}", uid) for n in (1, 2) for uid in ("", str(n)))}


def test_what_comes_back_is_no_longer_deleted(index: Index) -> None:
    index.store(dicom("1.1", "1.1.1", "1"), dicom("1.1", "1.1.2", "2"))
    delete(index, "1.1")
    index.store(dicom("1.1", "1.1.1", "1"))
    assert deleted(index) == {("1.1", "1.1.2", ""), ("1.1", "1.1.2", "2")}


def test_find_sees_only_what_is_below(index: Index) -> None:
    index.store(*study("1.1"))
    assert transactions.find(index.db, Resource("1.1", "1.1.2", "1.1.2.1")) == Tombstone(
        "1.1", "1.1.2", "1.1.2.1", (("1.1.2", "1.1.2.1", 3),)
    )
    for resource in (Resource("9"), Resource("1.1", "9"), Resource("1.1", "1.1.1", "1.1.2.1"), Resource()):
        assert transactions.find(index.db, resource) is None
