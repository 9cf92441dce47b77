"""Reading the index."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backends.local import index as reading
from gateway.backends.local import schema, transactions
from gateway.backends.local.index import Readers, instances, keep_metadata, kept_metadata, missing
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, NotFound
from tests.backends.local.ready import Index
from tests.backends.made import dicom, named, study


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    made = Index(tmp_path)
    yield made
    made.db.close()


@pytest.mark.parametrize(
    ("uids", "expected"),
    [
        (("1.1",), ["1.1.1.1", "1.1.1.2", "1.1.2.1", "1.1.2.2"]),
        (("1.1", "1.1.2"), ["1.1.2.1", "1.1.2.2"]),
        (("1.1", "1.1.2", "1.1.2.2"), ["1.1.2.2"]),
    ],
)
def test_the_instances_of_a_resource_in_the_order_of_their_series(index: Index, uids: tuple[str, ...], expected: list[str]) -> None:
    files = study("1.1")
    index.store(files[0], files[2], dicom("1.2", "1.1.1", "9"), files[1], files[3])
    rows = instances(index.db, named(*uids))
    assert [row.sop for row in rows] == expected
    assert {row.study for row in rows} == {"1.1"}


def test_a_row_says_what_its_blob_is(index: Index) -> None:
    data = dicom()
    index.store(data)
    (row,) = instances(index.db, Resource("1.1"))
    assert row.resource == Resource("1.1", "1.1.1", "1.1.1.1")
    assert (row.generation, row.size, row.syntax, row.sop_class) == (1, len(data), "1.2.840.10008.1.2.1", "1.2.840.10008.5.1.4.1.1.2")
    assert (row.pixel_tag, row.pixel_start, row.pixel_end) == (None, None, None) and row.stored_at > 1.7e9


@pytest.mark.parametrize("uids", [("9",), ("1.1", "9"), ("1.1", "1.1.1", "9"), ("1.2", "1.1.1"), ("1.1", "1.1.2", "1.1.1.1")])
def test_what_is_not_there_is_not_found(index: Index, uids: tuple[str, ...]) -> None:
    index.store(*study("1.1"))
    with pytest.raises(NotFound, match="no such"):
        instances(index.db, named(*uids))


def test_what_was_deleted_is_gone_at_its_level(index: Index) -> None:
    transactions.remember_delete(index.db, Resource("1", "2"))
    assert isinstance(missing(index.db, Resource("1", "2")), Gone)
    assert "series" in missing(index.db, Resource("1", "2")).message
    for other in (Resource("1"), Resource("1", "2", "3"), Resource("2")):
        assert isinstance(missing(index.db, other), NotFound)


def test_frame_tables_hang_on_generations(index: Index) -> None:
    index.store(dicom())
    assert reading.frame_table(index.db, 1) is None
    index.db.execute("UPDATE instance SET frames = x'0102'")
    assert reading.frame_table(index.db, 1) == b"\x01\x02"
    with pytest.raises(FileNotFoundError):
        reading.frame_table(index.db, 2)


def test_metadata_is_kept_once_and_only_of_what_is_there(index: Index) -> None:
    index.store(*study("1.1"))
    keep_metadata(index.db, [(1, b"one"), (2, b"two"), (99, b"gone in the meantime")])
    keep_metadata(index.db, [(1, b"later")])
    assert kept_metadata(index.db, [1, 2, 3, 99]) == {1: b"one", 2: b"two"}


def test_metadata_of_more_instances_than_a_statement_takes_parameters(index: Index) -> None:
    index.db.executemany("INSERT INTO metadata VALUES (?, ?)", [(generation, b"%d" % generation) for generation in range(1, 2001)])
    found = kept_metadata(index.db, range(1, 2500))
    assert len(found) == 2000 and found[1999] == b"1999"
    assert kept_metadata(index.db, []) == {}


def test_each_thread_has_a_connection_of_its_own(tmp_path: Path, index: Index) -> None:
    opened: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        opened.append(schema.connect(tmp_path / "index.sqlite", read_only=True))
        return opened[-1]

    readers = Readers(connect)
    used: list[sqlite3.Connection] = []

    def read_twice() -> None:
        used.extend(readers.read(lambda db: db) for _ in range(2))

    for thread in [threading.Thread(target=read_twice) for _ in range(3)]:
        thread.start()
        thread.join()
    assert len(opened) == 3 and all(used.count(connection) == 2 for connection in opened)
    readers.close()
    for connection in opened:
        with pytest.raises(sqlite3.ProgrammingError):
            connection.execute("SELECT 1")


def test_readers_see_what_was_committed_and_nothing_else(tmp_path: Path, index: Index) -> None:
    readers = Readers(lambda: schema.connect(tmp_path / "index.sqlite", read_only=True))
    index.db.execute("BEGIN IMMEDIATE")
    index.store(dicom())
    assert readers.read(lambda db: db.execute("SELECT count(*) FROM instance").fetchone()) == (0,)
    index.db.execute("COMMIT")
    assert readers.read(lambda db: db.execute("SELECT count(*) FROM instance").fetchone()) == (1,)
    readers.close()
