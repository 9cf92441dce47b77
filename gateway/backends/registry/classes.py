"""Storage classes of instances (``Storage-Class`` of the Cloud Healthcare API): accepted, kept and reported.

This gateway keeps all of them on one disk; a class says what its owner wants, for tools that go by it. What was said last of an
instance, of its series, study or store counts. Everything here blocks for a disk: call it in a thread.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Literal, NamedTuple, cast, get_args

from gateway.backends.registry.file import File
from gateway.dicomweb.resources import Resource
from gateway.errors import BadRequest

StorageClass = Literal["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"]


class Kept(NamedTuple):
    """:param since: seconds since the epoch; None where nobody said anything."""

    storage_class: StorageClass
    since: float | None


DEFAULT = Kept("STANDARD", None)


def parsed(text: str, what: str) -> StorageClass:
    """:param what: where it stood.

    :raises BadRequest: when it is none.
    """
    if text not in get_args(StorageClass):
        raise BadRequest(f"{what} is one of {', '.join(get_args(StorageClass))}")
    return cast(StorageClass, text)


class Classes:
    """:param file: is closed by whoever opened it."""

    def __init__(self, file: File) -> None:
        self._file = file

    def put(self, store: str, resources: Iterable[Resource], storage_class: StorageClass) -> None:
        """Says it of instances, series, studies, or with an empty resource of a whole store."""
        now = time.time()
        rows = [(store, *_key(one), storage_class, now) for one in resources]
        with self._file.change() as db:
            db.executemany("INSERT OR REPLACE INTO storage_class VALUES (?, ?, ?, ?, ?, ?)", rows)

    def get(self, store: str, resource: Resource) -> Kept:
        """What counts for an instance."""
        study, series, sop = _key(resource)
        row = self._file.one(
            "SELECT class, since FROM storage_class WHERE store = ? AND study IN ('', ?) AND series IN ('', ?) AND sop IN ('', ?)"
            " ORDER BY since DESC, sop DESC LIMIT 1",
            *(store, study, series, sop),
        )
        return DEFAULT if row is None else Kept(row[0], row[1])

    def forget(self, store: str, resource: Resource) -> None:
        """What was deleted has none; an empty resource is the whole store."""
        study, series, sop = _key(resource)
        with self._file.change() as db:
            db.execute(
                "DELETE FROM storage_class WHERE store = ? AND (? = '' OR study = ?) AND (? = '' OR series = ?) AND (? = '' OR sop = ?)",
                (store, study, study, series, series, sop, sop),
            )


def _key(resource: Resource) -> tuple[str, str, str]:
    return resource.study or "", resource.series or "", resource.instance or ""
