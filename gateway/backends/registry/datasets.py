"""Datasets and DICOM stores that callers made. A store's folder has a random name that nothing outside knows: theirs become no paths.

Everything here blocks for a disk: call it in a thread.
"""

from __future__ import annotations

import secrets
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import orjson

from gateway.backends.registry.file import File, insert
from gateway.errors import NotFound
from gateway.healthcare.envelope import rpc_status
from gateway.healthcare.names import DatasetName, LocationName, StoreName

Json = dict[str, Any]
Change = Callable[[Json], Json]


@dataclass(frozen=True, slots=True)
class Registered:
    """:param folder: of a store, below the one for all of them; empty for a dataset."""

    name: str
    fields: Json
    folder: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """:param after: names that come later than this one; empty for the first page."""

    size: int = 100
    after: str = ""


FIRST = Page()


class Datasets:
    """:param file: is closed by whoever opened it."""

    def __init__(self, file: File) -> None:
        self._file = file

    def create_dataset(self, name: DatasetName, fields: Mapping[str, Any]) -> None:
        """:raises Conflict: when it exists."""
        with self._file.change() as db:
            insert(db, "INSERT INTO dataset VALUES (?, ?, ?)", (str(name), str(name.parent), orjson.dumps(fields)), "dataset")

    def dataset(self, name: DatasetName) -> Registered:
        """:raises NotFound: when there is none."""
        row = self._file.one("SELECT name, fields FROM dataset WHERE name = ?", str(name))
        if row is None:
            raise NotFound("there is no dataset of that name")
        return Registered(row[0], orjson.loads(row[1]))

    def datasets(self, parent: LocationName, page: Page = FIRST) -> list[Registered]:
        """Those of a location, by name."""
        rows = self._file.all("SELECT name, fields FROM dataset WHERE parent = ? AND name > ? ORDER BY name LIMIT ?", *_args(parent, page))
        return [Registered(name, orjson.loads(fields)) for name, fields in rows]

    def locations(self, project: str) -> list[str]:
        """Where a project has datasets."""
        prefix = f"projects/{project}/locations/"
        rows = self._file.all("SELECT DISTINCT parent FROM dataset WHERE parent BETWEEN ? AND ?", prefix, prefix + "\U0010ffff")
        return [parent.removeprefix(prefix) for (parent,) in rows]

    def change_dataset(self, name: DatasetName, change: Change) -> Registered:
        """:param change: from what it is to what it shall be; nobody else changes it meanwhile.

        :raises NotFound: when there is none.
        """
        with self._file.change() as db:
            row = db.execute("SELECT fields FROM dataset WHERE name = ?", (str(name),)).fetchone()
            if row is None:
                raise NotFound("there is no dataset of that name")
            fields = change(orjson.loads(row[0]))
            db.execute("UPDATE dataset SET fields = ? WHERE name = ?", (orjson.dumps(fields), str(name)))
        return Registered(str(name), fields)

    def delete_dataset(self, name: DatasetName) -> list[str]:
        """Deletes it with its stores and operations; the folders that are left behind.

        :raises NotFound: when there is none.
        """
        with self._file.change() as db:
            folders = [folder for (folder,) in db.execute("SELECT folder FROM store WHERE parent = ?", (str(name),))]
            if not db.execute("DELETE FROM dataset WHERE name = ?", (str(name),)).rowcount:
                raise NotFound("there is no dataset of that name")
            db.execute("DELETE FROM operation WHERE parent = ?", (str(name),))
            _forget(db, folders)
            return folders

    # -- stores

    def create_store(self, name: StoreName, fields: Mapping[str, Any]) -> Registered:
        """:raises Conflict: when it exists. :raises NotFound: when its dataset does not."""
        folder = secrets.token_hex(16)
        with self._file.change() as db:
            if db.execute("SELECT 1 FROM dataset WHERE name = ?", (str(name.parent),)).fetchone() is None:
                raise NotFound("there is no dataset of that name")
            row = (str(name), str(name.parent), folder, orjson.dumps(fields))
            insert(db, "INSERT INTO store VALUES (?, ?, ?, ?)", row, "DICOM store")
        return Registered(str(name), dict(fields), folder)

    def store(self, name: StoreName) -> Registered:
        """:raises NotFound: when there is none."""
        row = self._file.one("SELECT name, fields, folder FROM store WHERE name = ?", str(name))
        if row is None:
            raise NotFound("there is no DICOM store of that name")
        return Registered(row[0], orjson.loads(row[1]), row[2])

    def stores(self, parent: DatasetName, page: Page = FIRST) -> list[Registered]:
        """Those of a dataset, by name.

        :raises NotFound: when there is no such dataset.
        """
        self.dataset(parent)
        rows = self._file.all(
            "SELECT name, fields, folder FROM store WHERE parent = ? AND name > ? ORDER BY name LIMIT ?", *_args(parent, page)
        )
        return [Registered(name, orjson.loads(fields), folder) for name, fields, folder in rows]

    def change_store(self, name: StoreName, change: Change) -> Registered:
        """:param change: from what it is to what it shall be; nobody else changes it meanwhile.

        :raises NotFound: when there is none.
        """
        with self._file.change() as db:
            row = db.execute("SELECT fields, folder FROM store WHERE name = ?", (str(name),)).fetchone()
            if row is None:
                raise NotFound("there is no DICOM store of that name")
            fields = change(orjson.loads(row[0]))
            db.execute("UPDATE store SET fields = ? WHERE name = ?", (orjson.dumps(fields), str(name)))
        return Registered(str(name), fields, row[1])

    def delete_store(self, name: StoreName) -> str:
        """Deletes it, which ends what runs on it; the folder that is left behind.

        :raises NotFound: when there is none.
        """
        with self._file.change() as db:
            row = db.execute("DELETE FROM store WHERE name = ? RETURNING folder", (str(name),)).fetchone()
            if row is None:
                raise NotFound("there is no DICOM store of that name")
            _forget(db, [row[0]])
            gone = orjson.dumps(rpc_status(HTTPStatus.NOT_FOUND, "the DICOM store was deleted meanwhile"))
            db.execute(
                "UPDATE operation SET ended = ?, error = ?, failure = max(failure, 1), target = '', reached = ''"
                " WHERE ended IS NULL AND parent = ? AND target <> '' AND target ->> 'store' = ?",
                (time.time(), gone, str(name.parent), str(name)),
            )
            return str(row[0])

    def folders(self) -> set[str]:
        """Those of all stores: what else lies beside them was deleted."""
        return {folder for (folder,) in self._file.all("SELECT folder FROM store")}


def _args(parent: LocationName | DatasetName, page: Page) -> tuple[str, str, int]:
    return str(parent), page.after, page.size


def _forget(db: sqlite3.Connection, folders: Sequence[str]) -> None:
    """What was said of the instances of stores goes with them."""
    db.executemany("DELETE FROM storage_class WHERE store = ?", [(folder,) for folder in folders])
