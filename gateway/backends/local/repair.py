"""What an administrator runs on a store: compare index and files, and make the index anew from the files alone.

`fsck` only reads, and works beside a running server. `rebuild_index` refuses to: a server would go on writing to the index
that was put aside.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import xxhash

from gateway.backends.local import schema, transactions
from gateway.backends.local.files import Files
from gateway.backends.local.inspect import WINDOW, describe, reread, walked
from gateway.backends.local.prepared import Outcome, Prepared
from gateway.backends.local.tombstones import Tombstones
from gateway.backends.policy import OnDuplicate
from gateway.backends.sqlite import transaction
from gateway.dicom.elements import Limits
from gateway.dicom.header import Instance, peek
from gateway.dicomweb.resources import Resource
from gateway.errors import InstanceError, StoreUnavailable

Progress = Callable[[int, int], None]
"""Called with (done, of how many)."""

READ = 1 << 20
"""Bytes that are read and hashed at once."""

GROUP = 256
"""Instances that one transaction of a rebuild inserts."""


@dataclass(frozen=True, slots=True)
class Problem:
    """:param kind: ``missing`` (row without blob), ``damaged`` (other bytes than were stored), ``orphan`` (blob without row),
    ``index`` (the database itself).
    :param instance: its SOP Instance UID, empty where unknown.
    """

    generation: int
    instance: str
    kind: str
    detail: str


@dataclass(frozen=True, slots=True)
class Fsck:
    """What a check found."""

    checked: int
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """:param refused: file and reason of each blob that is no instance any more; it is left where it is."""

    instances: int
    refused: tuple[tuple[str, str], ...]


def _quiet(done: int, total: int) -> None:
    """No progress."""


# -- fsck


def fsck(root: Path, progress: Progress = _quiet) -> Fsck:
    """Reads every blob and compares it with what the index says; changes nothing."""
    files = Files(root)
    try:
        return _checked(files, progress)
    except StoreUnavailable as error:
        return Fsck(0, (Problem(0, "", "index", error.message),))
    finally:
        files.close()


def _checked(files: Files, progress: Progress) -> Fsck:
    db = schema.connect(files.root / "index.sqlite", read_only=True)
    try:
        if broken := _index_problems(db):
            return Fsck(0, broken)
        problems: list[Problem] = []
        rows = db.execute("SELECT generation, uid, size, checksum FROM instance ORDER BY generation").fetchall()
        for number, (generation, uid, size, checksum) in enumerate(rows, 1):
            if (problem := _compare(files, generation, size, checksum)) is not None and _still_there(db, generation):
                problems.append(Problem(generation, uid, *problem))
            progress(number, len(rows))
        problems += _orphans(files, db)
        return Fsck(len(rows), tuple(problems))
    finally:
        db.close()


def _index_problems(db: sqlite3.Connection) -> tuple[Problem, ...]:
    """What is wrong with the database itself; the rest can only be looked at when nothing is."""
    try:
        version = schema.version(db)
        if not version:
            return (Problem(0, "", "index", "the index is gone; rebuild-index makes it anew"),)
        if version > schema.VERSION:
            return (
                Problem(0, "", "index", f"has version {version}, this gateway knows {schema.VERSION}; check it with the newer gateway"),
            )
        return tuple(Problem(0, "", "index", text) for (text,) in db.execute("PRAGMA quick_check") if text != "ok")
    except sqlite3.DatabaseError as error:
        return (Problem(0, "", "index", f"cannot be read: {error}"),)


def _compare(files: Files, generation: int, size: int, checksum: bytes) -> tuple[str, str] | None:
    try:
        descriptor = os.open(files.path(generation), os.O_RDONLY)
    except FileNotFoundError:
        return "missing", "the index names a file that is not there"
    try:
        found = os.fstat(descriptor).st_size
        if found != size:
            return "damaged", f"{found} bytes, stored were {size}"
        if checksum_of(descriptor) != checksum:
            return "damaged", "the bytes are not those that were stored (checksum)"
    except OSError as error:
        return "damaged", f"cannot be read: {error.strerror}"
    finally:
        os.close(descriptor)
    return None


def checksum_of(descriptor: int) -> bytes:
    """XXH3-128 of a file."""
    digest = xxhash.xxh3_128()
    offset = 0
    while piece := os.pread(descriptor, READ, offset):
        digest.update(piece)
        offset += len(piece)
    return digest.digest()


def _still_there(db: sqlite3.Connection, generation: int) -> bool:
    """A server beside us may have deleted it since the rows were read."""
    return db.execute("SELECT 1 FROM instance WHERE generation = ?", (generation,)).fetchone() is not None


def _orphans(files: Files, db: sqlite3.Connection) -> Iterator[Problem]:
    for generation in files.generations():
        known = db.execute(
            "SELECT 1 FROM instance WHERE generation = ?1 UNION SELECT 1 FROM garbage WHERE generation = ?1", (generation,)
        ).fetchone()
        following: int = db.execute("SELECT value FROM meta WHERE key = 'next_generation'").fetchone()[0]
        if known is None and generation < following:  # a later one is being committed just now
            yield Problem(generation, "", "orphan", "a file that the index does not name; rebuild-index takes it in")


# -- rebuild


def rebuild_index(root: Path, progress: Progress = _quiet, limits: Limits | None = None) -> Rebuilt:
    """Makes the index anew from blobs and tombstones; of two versions of an instance the later one counts.

    The old index is put aside as ``index.sqlite.old`` and replaced only when the new one is whole.

    :raises StoreUnavailable: when another process has the store open.
    """
    files = Files(root)
    try:
        if files.in_use():
            raise StoreUnavailable("a server or an import is using the store; stop it first")
        with files.write_lock():
            return _rebuild(files, progress, limits or Limits())
    finally:
        files.close()


def _rebuild(files: Files, progress: Progress, limits: Limits) -> Rebuilt:
    fresh = files.root / "index.new"
    _remove(fresh)
    db = schema.connect(fresh)
    refused: list[tuple[str, str]] = []
    try:
        schema.migrate(db)
        buried = _buried(db, Tombstones(files.root))
        listed = set(buried.values())
        generations = [generation for generation in files.generations() if generation not in listed]
        for start in range(0, len(generations), GROUP):
            some = generations[start : start + GROUP]
            transaction(db, partial(_take_in, files=files, generations=some, limits=limits, buried=buried, refused=refused))
            progress(start + len(some), len(generations))
        transaction(db, partial(_finish, generations=generations, buried=buried))
        count: int = db.execute("SELECT count(*) FROM instance").fetchone()[0]
    finally:
        db.close()  # the last connection to close folds the log into the database
    _exchange(files, fresh)
    return Rebuilt(count, tuple(refused))


Buried = dict[tuple[str, str, str], int]
"""Instances that were deleted, and the generation that each had then. Those before it were replaced: they are gone too, but
their files may lie there still."""


def _buried(db: sqlite3.Connection, tombstones: Tombstones) -> Buried:
    """Takes the tombstones in."""
    buried: Buried = {}
    offset = 0
    db.execute("BEGIN")
    for tombstone, end in tombstones.since():
        offset = end
        for series, sop, generation in tombstone.instances:
            buried[tombstone.study, series, sop] = generation
        transactions.bury(db, tombstone)
    db.execute("UPDATE meta SET value = ? WHERE key = 'tombstone_bytes'", (offset,))
    db.execute("COMMIT")
    return buried


def _take_in(
    db: sqlite3.Connection, files: Files, generations: list[int], limits: Limits, buried: Buried, refused: list[tuple[str, str]]
) -> None:
    for generation in generations:
        try:
            prepared = _examine(files.path(generation), limits)
        except (InstanceError, OSError) as error:
            refused.append((os.path.basename(files.path(generation)), str(error)))
            continue
        named = prepared.instance
        if generation < buried.get((named.study, named.series, named.sop), 0):
            _discard(db, generation)
            continue
        db.execute("UPDATE meta SET value = ? WHERE key = 'next_generation'", (generation,))
        outcome = transactions.store(db, [prepared], OnDuplicate.REPLACE, _stay, partial(reread, files, limits))
        if outcome == [Outcome.IDENTICAL]:
            _discard(db, generation)


def _discard(db: sqlite3.Connection, generation: int) -> None:
    """The next server that runs unlinks the blob."""
    db.execute("INSERT OR IGNORE INTO garbage VALUES (?, 0)", (generation,))


def _stay(moves: list[tuple[str, int]]) -> None:
    """The blobs lie where they belong."""


def _examine(path: str, limits: Limits) -> Prepared:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        instance = _identity(descriptor)
        attributes, pixels = describe(walked(descriptor, limits), descriptor)
        size = os.fstat(descriptor).st_size
        return Prepared(0, instance, path, size, checksum_of(descriptor), attributes, pixels)
    finally:
        os.close(descriptor)


def _identity(descriptor: int) -> Instance:
    """The UIDs of a stored file, by as little of it as it takes."""
    size = os.fstat(descriptor).st_size
    length = WINDOW
    while True:
        prefix = os.pread(descriptor, length, 0)
        final = length >= size
        found = peek(prefix, final=final)
        if isinstance(found, Instance):
            return found
        length *= 4


def _finish(db: sqlite3.Connection, generations: list[int], buried: Buried) -> None:
    """No number is ever handed out twice; series and studies that went with their last instance were deleted too."""
    following = max([*generations, *buried.values()], default=0) + 1
    db.execute("UPDATE meta SET value = ? WHERE key = 'next_generation'", (following,))
    for generation in buried.values():
        _discard(db, generation)
    for above in {above for study, series, _ in buried for above in (Resource(study), Resource(study, series))}:
        if transactions.find(db, above) is None:
            transactions.remember_delete(db, above)


def _exchange(files: Files, fresh: Path) -> None:
    """The database goes before its log: whoever dies in between leaves no index, which is noticed, rather than an old one."""
    current = files.root / "index.sqlite"
    aside = files.root / "index.sqlite.old"
    _remove(aside)
    for old, kept in zip(_parts(current), _parts(aside), strict=True):
        if old.exists():
            old.replace(kept)
    fresh.replace(current)
    files.sync_folder(str(files.root))


def _remove(database: Path) -> None:
    for part in _parts(database):
        part.unlink(missing_ok=True)


def _parts(database: Path) -> list[Path]:
    """The files of an SQLite database, that which counts first."""
    return [database.with_name(database.name + suffix) for suffix in ("", "-wal", "-shm")]
