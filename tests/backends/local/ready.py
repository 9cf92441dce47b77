"""Received instances without a store around them."""

from __future__ import annotations

from pathlib import Path

import xxhash

from gateway.backends.local import schema, search, transactions
from gateway.backends.local.prepared import Outcome, Prepared
from gateway.backends.local.statements import plan_of
from gateway.backends.policy import OnDuplicate
from gateway.dicom.attributes import INDEX_TAGS, IndexAttributes, index_attributes
from gateway.dicom.elements import Walk
from gateway.dicomweb.query import Query
from tests.backends.made import identity, study


def attributes_of(data: bytes) -> IndexAttributes:
    walk = Walk(wanted=INDEX_TAGS)
    walk.feed(data)
    walk.finish()
    return index_attributes(walk.values, implicit=walk.implicit, little_endian=walk.little_endian)


def prepared(data: bytes, path: str = "", part: int = 1) -> Prepared:
    """As `receive` would have it; no file is made."""
    return Prepared(part, identity(data), path, len(data), xxhash.xxh3_128(data).digest(), attributes_of(data), None)


class Index:
    """An index, and the blobs that it would have: published ones by generation."""

    def __init__(self, folder: Path) -> None:
        self.db = schema.connect(folder / "index.sqlite")
        schema.migrate(self.db)
        self.blobs: dict[int, bytes] = {}
        self.unreadable = False

    def store(self, *files: bytes, policy: OnDuplicate = OnDuplicate.REJECT) -> list[Outcome]:
        given = {f"{number}": data for number, data in enumerate(files)}

        def publish(moves: list[tuple[str, int]]) -> None:
            self.blobs.update({generation: given[path] for path, generation in moves})

        return transactions.store(self.db, [prepared(data, path) for path, data in given.items()], policy, publish, self.reread)

    def reread(self, generation: int) -> IndexAttributes | None:
        return None if self.unreadable else attributes_of(self.blobs[generation])

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        return self.db.execute(sql).fetchall()

    def meta(self, key: str) -> int:
        found: int = self.db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0]
        return found


def twenty_studies(folder: Path) -> Index:
    """An index of twenty studies of four instances."""
    made = Index(folder)
    made.store(*[file for number in range(1, 21) for file in study(f"1.{number}", PatientID=f"P{number}")])
    return made


def statements(index: Index, asked: Query) -> list[str]:
    """What a search sends to the database, its values filled in."""
    seen: list[str] = []
    index.db.set_trace_callback(seen.append)
    try:
        search.answer(index.db, plan_of(asked))
    finally:
        index.db.set_trace_callback(None)
    return [sql for sql in seen if sql != f"SELECT {search.CHANGED_AT}"]
