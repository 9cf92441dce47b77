"""The DICOM JSON documents of stored instances: kept in the index, and made from the blob where they are not yet.

Everything here blocks, and is called from reader threads. A document is made when it is first needed, which costs
0.15 to 0.3 ms an instance, and kept from then on.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from gateway import metrics
from gateway.backends.base import URL_BASE
from gateway.backends.local.files import Files
from gateway.backends.local.index import PARAMETERS, Readers, Row, keep_metadata, kept_metadata, rows_of
from gateway.backends.local.inspect import WINDOW, modelled
from gateway.backends.local.writer import Writer
from gateway.dicom.elements import Limits
from gateway.dicom.metadata import instance_metadata

HEAD = 1 << 20
"""Bytes before the pixel data up to which they are read at once; more of them are mostly bulk values, to be passed over."""


KEPT_AT_ONCE = 1 << 20
"""Bytes of documents from which on those that were made in passing are handed to the writer."""


class Headers:
    """:param limits: of an instance's structure."""

    def __init__(self, files: Files, readers: Readers, writer: Writer, limits: Limits) -> None:
        self._files = files
        self._readers = readers
        self._writer = writer
        self._limits = limits

    def documents(self, rows: Sequence[Row]) -> list[bytes]:
        """The documents of some instances in their order. The writer keeps what had to be made, when it comes to it."""
        kept = self._readers.read(partial(kept_metadata, generations=[row.generation for row in rows]))
        made = []
        for row in rows:
            if row.generation not in kept:
                kept[row.generation] = self._make(row)
                made.append((row.generation, kept[row.generation]))
        self._keep(made)
        return [kept[row.generation] for row in rows]

    def of(self, generations: Sequence[int]) -> dict[int, bytes]:
        """The same by generation, without what has gone meanwhile."""
        found: dict[int, bytes] = {}
        self.through(generations, found.__setitem__)
        return found

    def through(self, generations: Sequence[int], look: Callable[[int, bytes], None]) -> None:
        """Shows one document after the other, with its generation and in no order, without what has gone meanwhile.

        At no time are all of them in memory: that of one large multi-frame instance may take megabytes.
        """
        seen = self._readers.read(partial(_each_kept, generations=generations, look=look))
        missing = [generation for generation in generations if generation not in seen]
        made: list[tuple[int, bytes]] = []
        for row in self._readers.read(partial(rows_of, generations=missing)) if missing else ():
            with suppress(FileNotFoundError):
                made.append((row.generation, self._make(row)))
                look(*made[-1])
            if sum(len(document) for _, document in made) >= KEPT_AT_ONCE:
                self._keep(made)
                made = []
        self._keep(made)

    def _keep(self, made: Sequence[tuple[int, bytes]]) -> None:
        if made:
            metrics.METADATA_COMPUTED.inc(len(made))
            self._writer.post(partial(keep_metadata, made=made))

    def _make(self, row: Row) -> bytes:
        descriptor = os.open(self._files.path(row.generation), os.O_RDONLY)
        try:
            first = WINDOW if row.pixel_start is None or row.pixel_start > HEAD else row.pixel_start + 16
            data, walk = modelled(descriptor, self._limits, first)
        finally:
            os.close(descriptor)
        return instance_metadata(data, walk.events, syntax=walk.syntax, bulk_prefix=URL_BASE + row.resource.path)


def _each_kept(db: sqlite3.Connection, generations: Sequence[int], look: Callable[[int, bytes], None]) -> set[int]:
    """Shows the documents that are kept; which those were."""
    seen: set[int] = set()
    for start in range(0, len(generations), PARAMETERS):
        some = generations[start : start + PARAMETERS]
        marks = ",".join("?" * len(some))
        for generation, document in db.execute(f"SELECT generation, json FROM metadata WHERE generation IN ({marks})", some):  # noqa: S608 - question marks only
            look(generation, document)
            seen.add(generation)
    return seen
