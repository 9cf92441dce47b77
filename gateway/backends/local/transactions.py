"""What changes the index: each function runs inside one write transaction that its caller opened.

The caller (`writer.Writer`) holds the store's write lock, so "look, then insert" is safe, and generations are handed out
simply by counting. Counts of a study and a series are kept here, in the same transaction as the rows they count.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence

import orjson

from gateway.backends.local import extracted, outgoing
from gateway.backends.local.outgoing import Beside
from gateway.backends.local.prepared import Outcome, Prepared, column, item_text
from gateway.backends.local.tombstones import Tombstone
from gateway.backends.policy import OnDuplicate
from gateway.backends.results import instance_alone, rendered
from gateway.dicom.attributes import IndexAttributes
from gateway.dicomweb.resources import Resource

Publish = Callable[[list[tuple[str, int]]], None]
"""Moves received files to their generations, durably."""

Reread = Callable[[int], IndexAttributes | None]
"""Reads the index attributes of a stored generation from its blob; None when it cannot be read. What is known then stays:
one damaged file must not stand in the way of a delete."""

_INSERT_STUDY = """INSERT INTO study (uid, source, attributes, date, time, accession, referring, patient_name, patient_id, birth_date,
    sex, study_id, description) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"""
_STUDY_KEYS = (
    "00080020", "00080030", "00080050", "00080090", "00100010", "00100020", "00100030", "00100040", "00200010", "00081030",
)  # fmt: skip
_INSERT_SERIES = """INSERT INTO series (study, uid, source, attributes, modality, number, description, body_part, step_date, step_time,
    scheduled_step_id, requested_procedure_id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)"""
_SERIES_KEYS = ("00080060", "00200011", "0008103E", "00180015", "00400244", "00400245")
_INSERT_INSTANCE = """INSERT INTO instance (generation, series, uid, attributes, sop_class, number, syntax, size, checksum, stored_at,
    pixel_tag, pixel_start, pixel_end, frames) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)"""


def _study_values(attributes: IndexAttributes) -> tuple[bytes | str | None, ...]:
    """What a study's row takes from an instance, from `attributes` on."""
    own = attributes.study
    return orjson.dumps(own), *(column(own, key) for key in _STUDY_KEYS)


def _series_values(attributes: IndexAttributes) -> tuple[bytes | str | None, ...]:
    """What a series' row takes from an instance, from `attributes` on."""
    own = attributes.series
    ids = (item_text(own, "00400275", "00400009"), item_text(own, "00400275", "00401001"))
    return orjson.dumps(own), *(column(own, key) for key in _SERIES_KEYS), *ids


class _Batch:
    """One group commit: several requests' instances, decided and inserted in order."""

    def __init__(self, db: sqlite3.Connection, now: float, beside: Beside | None) -> None:
        self.db = db
        self.now = now
        self._beside = beside
        self.generation: int = db.execute("SELECT value FROM meta WHERE key = 'next_generation'").fetchone()[0]
        self.moves: list[tuple[str, int]] = []
        self.replaced: set[tuple[str, str]] = set()
        self._studies: dict[str, int] = {}
        self._series: dict[tuple[int, str], int] = {}
        self._added: dict[int, int] = {}
        self._forget_deletes = db.execute("SELECT 1 FROM deleted LIMIT 1").fetchone() is not None

    def add(self, new: Prepared, policy: OnDuplicate) -> Outcome:
        """Decides about one instance and writes its rows."""
        policy = OnDuplicate.REPLACE if new.replace else policy
        if self._beside is not None and (refused := self._beside.refusal(self.db, new, policy)) is not None:
            return refused
        uids = new.instance
        study = self._study(uids.study, new.attributes)
        series = self._one_series(study, uids.series, new.attributes)
        old = self.db.execute("SELECT generation, size, checksum FROM instance WHERE series = ? AND uid = ?", (series, uids.sop)).fetchone()
        outcome = Outcome.STORED
        if old is None:
            self._added[series] = self._added.get(series, 0) + 1
        else:
            # 128 bits and the length decide: reading both files would hold the lock, and a sender who forges a collision
            # only loses his own second version.
            if (old[1], old[2]) == (new.size, new.checksum):
                if self._beside is not None:
                    self._beside.again(self.db, old[0])
                return Outcome.IDENTICAL
            if policy is not OnDuplicate.REPLACE:
                return Outcome.SKIPPED if policy is OnDuplicate.SKIP else Outcome.REJECTED
            remove_generation(self.db, old[0], self.now)
            self.replaced.add((uids.study, uids.series))
            outcome = Outcome.REPLACED
        self._insert(series, new)
        if self._forget_deletes:
            forget_delete(self.db, Resource(uids.study, uids.series, uids.sop))
        return outcome

    def _study(self, uid: str, attributes: IndexAttributes) -> int:
        if (known := self._studies.get(uid)) is None:
            row = self.db.execute("SELECT id FROM study WHERE uid = ?", (uid,)).fetchone()
            known = self._studies[uid] = row[0] if row else self._new_study(uid, attributes)
        return known

    def _new_study(self, uid: str, attributes: IndexAttributes) -> int:
        return _row_id(self.db.execute(_INSERT_STUDY, (uid, self.generation, *_study_values(attributes))))

    def _one_series(self, study: int, uid: str, attributes: IndexAttributes) -> int:
        if (known := self._series.get((study, uid))) is None:
            row = self.db.execute("SELECT id FROM series WHERE study = ? AND uid = ?", (study, uid)).fetchone()
            known = self._series[study, uid] = row[0] if row else self._new_series(study, uid, attributes)
        return known

    def _new_series(self, study: int, uid: str, attributes: IndexAttributes) -> int:
        self.db.execute("UPDATE study SET series_count = series_count + 1 WHERE id = ?", (study,))
        return _row_id(self.db.execute(_INSERT_SERIES, (study, uid, self.generation, *_series_values(attributes))))

    def _insert(self, series: int, new: Prepared) -> None:
        own, pixels = new.attributes.instance, new.pixels
        where = (None, None, None, None) if pixels is None else (pixels.tag, pixels.start, pixels.end, pixels.frames)
        uids = new.instance
        alone = instance_alone(own, Resource(uids.study, uids.series, uids.sop), uids.sop_class, uids.transfer_syntax)
        facts = (new.instance.sop_class, column(own, "00200013"), new.instance.transfer_syntax, new.size, new.checksum, self.now)
        self.db.execute(_INSERT_INSTANCE, (self.generation, series, new.instance.sop, rendered(alone), *facts, *where))
        if self._beside is not None:
            self._beside.inserted(self.db, self.generation, self.now)
        self.moves.append((new.path, self.generation))
        self.generation += 1

    def finish(self) -> None:
        for series, count in self._added.items():
            study = self.db.execute(
                "UPDATE series SET instance_count = instance_count + ? WHERE id = ? RETURNING study", (count, series)
            ).fetchone()[0]
            self.db.execute("UPDATE study SET instance_count = instance_count + ? WHERE id = ?", (count, study))
        self.db.execute("UPDATE meta SET value = ? WHERE key = 'next_generation'", (self.generation,))
        count_change(self.db)


def _row_id(cursor: sqlite3.Cursor) -> int:
    assert cursor.lastrowid is not None  # the statement was an INSERT  # noqa: S101 - narrows the type for mypy
    return cursor.lastrowid


def store(
    db: sqlite3.Connection,
    prepared: Sequence[Prepared],
    policy: OnDuplicate,
    publish: Publish,
    reread: Reread,
    beside: Beside | None = None,
) -> list[Outcome]:
    """Inserts instances and moves their files into place; the outcomes in the order of `prepared`.

    An instance that is refused must not leave the rows of a study or series that only it would have opened: those rows are
    looked up before, and a refused instance always belongs to rows that exist.

    :param publish: renames the received files and makes the names durable; called before the transaction is committed.
    :param beside: who has a word in it.
    """
    batch = _Batch(db, time.time(), beside)
    outcomes = [batch.add(one, policy) for one in prepared]
    if batch.moves:
        batch.finish()
        publish(batch.moves)
    for study, series in batch.replaced:  # the attributes may have come from the version that went
        _settle_series(db, study, series, reread)
        _settle_study(db, study, reread)
    return outcomes


def count_change(db: sqlite3.Connection) -> None:
    """Every transaction that changes what a search can see counts one, and says when."""
    db.execute("UPDATE meta SET value = value + 1 WHERE key = 'changes'")
    db.execute("INSERT OR REPLACE INTO meta VALUES ('changed_at', ?)", (time.time(),))


def remove_generation(db: sqlite3.Connection, generation: int, now: float) -> None:
    """Forgets an instance's row; its blob becomes garbage."""
    db.execute("DELETE FROM instance WHERE generation = ?", (generation,))
    db.execute("DELETE FROM metadata WHERE generation = ?", (generation,))
    extracted.forget(db, generation)
    outgoing.forget(db, generation)
    db.execute("INSERT OR IGNORE INTO garbage VALUES (?, ?)", (generation, now))


def find(db: sqlite3.Connection, resource: Resource) -> Tombstone | None:
    """What a delete of `resource` would take; None when nothing of it is stored."""
    sql = """SELECT e.uid, i.uid, i.generation FROM study s JOIN series e ON e.study = s.id JOIN instance i ON i.series = e.id
        WHERE s.uid = ?"""
    values = [resource.study]
    for name, uid in (("e.uid", resource.series), ("i.uid", resource.instance)):
        if uid is not None:
            sql += f" AND {name} = ?"
            values.append(uid)
    rows = db.execute(sql, values).fetchall()
    if not rows or resource.study is None:
        return None
    return Tombstone(resource.study, resource.series, resource.instance, tuple(rows))


def delete(db: sqlite3.Connection, tombstone: Tombstone, reread: Reread, applied: int) -> None:
    """Forgets what a tombstone lists; doing it twice is the same as once.

    :param applied: length of the tombstone file that the index has taken in after this.
    """
    now = time.time()
    outgoing.withdraw(db, tombstone.study, tombstone.instances)
    for _, _, generation in tombstone.instances:
        remove_generation(db, generation, now)
    bury(db, tombstone)
    for series in {series for series, _, _ in tombstone.instances}:
        _settle_series(db, tombstone.study, series, reread)
    _settle_study(db, tombstone.study, reread)
    db.execute("UPDATE meta SET value = ? WHERE key = 'tombstone_bytes'", (applied,))
    count_change(db)


def depart(db: sqlite3.Connection, generations: Sequence[int], reread: Reread) -> None:
    """Forgets instances that rest elsewhere now: unlike deleted ones they leave nothing behind that says they were here."""
    now = time.time()
    left: dict[str, set[str]] = {}
    for generation in generations:
        row = db.execute(
            "SELECT s.uid, e.uid FROM instance i JOIN series e ON e.id = i.series JOIN study s ON s.id = e.study WHERE i.generation = ?",
            (generation,),
        ).fetchone()
        if row is not None:
            left.setdefault(row[0], set()).add(row[1])
            remove_generation(db, generation, now)
    for study, of_study in left.items():
        for series in of_study:
            _settle_series(db, study, series, reread, deleted=False)
        _settle_study(db, study, reread, deleted=False)
    count_change(db)


def bury(db: sqlite3.Connection, tombstone: Tombstone) -> None:
    """From now on requests for what a tombstone lists are answered 410."""
    for series, instance, _ in tombstone.instances:
        remember_delete(db, Resource(tombstone.study, series, instance))
    remember_delete(db, tombstone.resource)


def _settle_series(db: sqlite3.Connection, study: str, uid: str, reread: Reread, *, deleted: bool = True) -> None:
    """Brings a series in line with the instances that are left.

    :param deleted: whether the others were; where none is left, the series was too then.
    """
    row = db.execute(
        "SELECT e.id, e.source FROM series e JOIN study s ON s.id = e.study WHERE s.uid = ? AND e.uid = ?", (study, uid)
    ).fetchone()
    if row is None:
        return
    left, first = db.execute("SELECT count(*), min(generation) FROM instance WHERE series = ?", (row[0],)).fetchone()
    if not left:
        db.execute("DELETE FROM series WHERE id = ?", (row[0],))
        if deleted:
            remember_delete(db, Resource(study, uid))
        return
    db.execute("UPDATE series SET instance_count = ? WHERE id = ?", (left, row[0]))
    if first != row[1] and (attributes := reread(first)) is not None:
        refresh_series(db, row[0], first, attributes)


def _settle_study(db: sqlite3.Connection, uid: str, reread: Reread, *, deleted: bool = True) -> None:
    row = db.execute("SELECT id, source FROM study WHERE uid = ?", (uid,)).fetchone()
    if row is None:
        return
    series, instances = db.execute("SELECT count(*), sum(instance_count) FROM series WHERE study = ?", (row[0],)).fetchone()
    if not series:
        db.execute("DELETE FROM study WHERE id = ?", (row[0],))
        if deleted:
            remember_delete(db, Resource(uid))
        return
    db.execute("UPDATE study SET series_count = ?, instance_count = ? WHERE id = ?", (series, instances, row[0]))
    first = db.execute("SELECT min(i.generation) FROM instance i JOIN series e ON e.id = i.series WHERE e.study = ?", (row[0],)).fetchone()[
        0
    ]
    if first != row[1] and (attributes := reread(first)) is not None:
        refresh_study(db, row[0], first, attributes)


def refresh_study(db: sqlite3.Connection, study: int, source: int, attributes: IndexAttributes) -> None:
    """Takes a study's attributes from another of its instances."""
    db.execute(
        """UPDATE study SET source = ?, attributes = ?, date = ?, time = ?, accession = ?, referring = ?, patient_name = ?, patient_id = ?,
        birth_date = ?, sex = ?, study_id = ?, description = ? WHERE id = ?""",
        (source, *_study_values(attributes), study),
    )


def refresh_series(db: sqlite3.Connection, series: int, source: int, attributes: IndexAttributes) -> None:
    """Takes a series' attributes from another of its instances."""
    db.execute(
        """UPDATE series SET source = ?, attributes = ?, modality = ?, number = ?, description = ?, body_part = ?, step_date = ?,
        step_time = ?, scheduled_step_id = ?, requested_procedure_id = ? WHERE id = ?""",
        (source, *_series_values(attributes), series),
    )


def remember_delete(db: sqlite3.Connection, resource: Resource) -> None:
    """From now on a request for `resource` is answered 410."""
    db.execute("INSERT OR IGNORE INTO deleted VALUES (?, ?, ?)", (resource.study, resource.series or "", resource.instance or ""))


def forget_delete(db: sqlite3.Connection, resource: Resource) -> None:
    """An instance came back, and with it its series and study."""
    study, series, instance = resource.study, resource.series, resource.instance
    db.executemany(
        "DELETE FROM deleted WHERE study = ? AND series = ? AND instance = ?",
        [(study, "", ""), (study, series, ""), (study, series, instance)],
    )
