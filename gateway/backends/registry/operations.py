"""Operations that run long, so that whoever asks learns the truth of them, also after a restart.

Everything here blocks for a disk: call it in a thread.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from gateway.backends.registry.datasets import FIRST, Page
from gateway.backends.registry.file import File, Row
from gateway.backends.registry.owners import Owners
from gateway.errors import NotFound
from gateway.healthcare.names import DatasetName, LocationName, OperationName
from gateway.healthcare.operations import Counter, Operation

_LAST = 2**63 - 1
"""What SQLite takes for a number."""

_OPERATION = "number, parent, method, created, ended, success, failure, pending, response, response_type, error, cancelled"


@dataclass(frozen=True, slots=True)
class Begun:
    """An operation that is under way.

    :param target: what it is about, as whoever began it wrote it.
    :param counter: what was done when its progress was told last. :param reached: likewise, where it was.
    """

    name: OperationName
    method: str
    target: str
    counter: Counter = field(default_factory=Counter)
    reached: str = ""


class Operations:
    """:param file: is closed by whoever opened it. :param owners: tells whose process is gone; likewise."""

    def __init__(self, file: File, owners: Owners) -> None:
        self._file = file
        self._owners = owners

    def begin(self, parent: DatasetName, method: str, target: str, pending: int = 0) -> OperationName:
        """An operation that is under way from now on. Its number is a random one, as Google's are.

        :param target: what it is about, for whoever takes it up again after a restart.
        """
        number = secrets.randbits(62) + 1
        with self._file.change() as db:
            row = (number, str(parent), method, target, time.time(), pending, self._owners.me)
            db.execute("INSERT INTO operation (number, parent, method, target, created, pending, owner) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return OperationName(parent, number)

    def progress(self, name: OperationName, counter: Counter, reached: str = "") -> bool:
        """Says how far it is; whether it may go on, which it may not when somebody cancelled it."""
        with self._file.change() as db:
            row = db.execute(
                "UPDATE operation SET success = ?, failure = ?, pending = ?, reached = ? WHERE number = ? AND ended IS NULL"
                " RETURNING cancelled",
                (counter.success, counter.failure, counter.pending, reached, name.number),
            ).fetchone()
            return row is not None and not row[0]

    def end(
        self,
        name: OperationName,
        counter: Counter,
        *,
        response: Mapping[str, Any] | None = None,
        response_type: str = "google.protobuf.Empty",
        error: Mapping[str, Any] | None = None,
    ) -> None:
        """It is done, or has failed; what ended before stays as it was. What it was about is forgotten: that may hold values."""
        with self._file.change() as db:
            db.execute(
                "UPDATE operation SET ended = ?, success = ?, failure = ?, pending = ?, response = ?, response_type = ?, error = ?,"
                " target = '', reached = '' WHERE number = ? AND ended IS NULL",
                (
                    time.time(),
                    counter.success,
                    counter.failure,
                    counter.pending,
                    orjson.dumps(dict(response or {})),
                    response_type,
                    None if error is None else orjson.dumps(dict(error)),
                    name.number,
                ),
            )

    def operation(self, name: OperationName) -> Operation:
        """:raises NotFound: when there is none."""
        sql = f"SELECT {_OPERATION} FROM operation WHERE parent = ? AND number = ?"  # noqa: S608 - names of columns
        row = self._file.one(sql, str(name.parent), name.number) if name.number <= _LAST else None
        if row is None:
            raise NotFound("there is no operation of that name, or it ended long ago")
        return _operation(row)

    def operations(self, parent: DatasetName, page: Page = FIRST) -> list[Operation]:
        """Those of a dataset; a page begins after the name of an operation."""
        number = page.after.rpartition("/")[2]
        after = min(int(number), _LAST) if number.isascii() and number.isdecimal() else 0
        sql = f"SELECT {_OPERATION} FROM operation WHERE parent = ? AND number > ? ORDER BY number LIMIT ?"  # noqa: S608 - names of columns
        return [_operation(row) for row in self._file.all(sql, str(parent), after, page.size)]

    def cancel(self, name: OperationName) -> None:
        """Asks it to stop.

        :raises NotFound: when there is none.
        """
        with self._file.change() as db:
            asked = db.execute("UPDATE operation SET cancelled = 1 WHERE number = ? AND ended IS NULL", (name.number,))
            if not asked.rowcount:
                raise NotFound("there is no operation of that name that still runs")

    def under_way(self) -> list[Begun]:
        """Those that run now."""
        rows = self._file.all("SELECT parent, number, method, target FROM operation WHERE ended IS NULL ORDER BY created")
        return [Begun(_name(parent, number), method, target) for parent, number, method, target in rows]

    def orphans(self) -> list[Begun]:
        """Those whose process is gone, which are this one's from now on: each is given to one process only."""
        found: list[Begun] = []
        columns = "parent, number, method, target, success, failure, pending, reached, owner"
        rows = self._file.all(f"SELECT {columns} FROM operation WHERE ended IS NULL ORDER BY created")  # noqa: S608 - names of columns
        for parent, number, method, target, success, failure, pending, reached, owner in rows:
            if not self._owners.alive(owner) and self._claim(number, owner):
                found.append(Begun(_name(parent, number), method, target, Counter(success, failure, pending), reached))
        return found

    def _claim(self, number: int, owner: int) -> bool:
        with self._file.change() as db:
            mine = "UPDATE operation SET owner = ? WHERE number = ? AND owner = ? AND ended IS NULL"
            return db.execute(mine, (self._owners.me, number, owner)).rowcount == 1

    def expire(self, before: float) -> int:
        """Forgets operations that ended before a moment; how many that were."""
        with self._file.change() as db:
            return db.execute("DELETE FROM operation WHERE ended < ?", (before,)).rowcount


def _name(parent: str, number: int) -> OperationName:
    _, project, _, location, _, dataset = parent.split("/")
    return OperationName(DatasetName(LocationName(project, location), dataset), number)


def _operation(row: Row) -> Operation:
    number, parent, method, created, ended, success, failure, pending, response, response_type, error, cancelled = row
    return Operation(
        f"{parent}/operations/{number}",
        method,
        created,
        ended,
        Counter(success, failure, pending),
        orjson.loads(response),
        response_type,
        None if error is None else orjson.loads(error),
        bool(cancelled),
    )
