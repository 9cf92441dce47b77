"""The DICOM JSON documents of stored instances: kept in the index, and made from the blob where they are not yet.

Everything here blocks, and is called from reader threads. A document is made when it is first needed, which costs
0.15 to 0.3 ms an instance, and kept from then on.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from gateway import metrics
from gateway.backends.base import URL_BASE
from gateway.backends.local.files import Files
from gateway.backends.local.index import Readers, Row, keep_metadata, kept_metadata, rows_of
from gateway.backends.local.inspect import WINDOW, modelled
from gateway.backends.local.writer import Writer
from gateway.dicom.elements import Limits
from gateway.dicom.metadata import instance_metadata

HEAD = 1 << 20
"""Bytes before the pixel data up to which they are read at once; more of them are mostly bulk values, to be passed over."""


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
        if made:
            metrics.METADATA_COMPUTED.inc(len(made))
            self._writer.post(partial(keep_metadata, made=made))
        return [kept[row.generation] for row in rows]

    def of(self, generations: Sequence[int]) -> dict[int, bytes]:
        """The same by generation, without what has gone meanwhile."""
        found = self._readers.read(partial(kept_metadata, generations=generations))
        missing = [generation for generation in generations if generation not in found]
        if missing:
            for row in self._readers.read(partial(rows_of, generations=missing)):
                with suppress(FileNotFoundError):
                    found[row.generation] = self.documents([row])[0]
        return found

    def _make(self, row: Row) -> bytes:
        descriptor = os.open(self._files.path(row.generation), os.O_RDONLY)
        try:
            first = WINDOW if row.pixel_start is None or row.pixel_start > HEAD else row.pixel_start + 16
            data, walk = modelled(descriptor, self._limits, first)
        finally:
            os.close(descriptor)
        return instance_metadata(data, walk.events, syntax=walk.syntax, bulk_prefix=URL_BASE + row.resource.path)
