"""Deletes that survive the index: an append-only file of JSON lines beside the blobs.

A line is durable before the index forgets the rows, and the index remembers how many bytes of the file it has applied.
A crash in between is repaired at start-up by applying the rest; a lost index is rebuilt without what is listed here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from gateway.dicomweb.resources import Resource


@dataclass(frozen=True, slots=True)
class Tombstone:
    """One delete: what was asked for, and each instance (series, SOP instance UID) that it took with its generation."""

    study: str
    series: str | None
    instance: str | None
    instances: tuple[tuple[str, str, int], ...]

    @property
    def resource(self) -> Resource:
        """The resource that the delete named."""
        return Resource(self.study, self.series, self.instance)


class Tombstones:
    """The file; written only under the store's write lock."""

    def __init__(self, root: Path) -> None:
        self._path = root / "tombstones.jsonl"

    def append(self, tombstone: Tombstone) -> int:
        """Adds a line durably; returns the length of the file after it."""
        line = orjson.dumps(asdict(tombstone), option=orjson.OPT_APPEND_NEWLINE)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if (size := os.fstat(descriptor).st_size) and not self._ends_line(size):
                line = b"\n" + line  # what a crash cut off was never acknowledged; it must not swallow this line
            os.write(descriptor, line)
            os.fsync(descriptor)
            return os.fstat(descriptor).st_size
        finally:
            os.close(descriptor)

    def _ends_line(self, size: int) -> bool:
        with self._path.open("rb") as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"

    def since(self, offset: int = 0) -> Iterator[tuple[Tombstone, int]]:
        """The whole lines behind `offset`, each with the offset after it."""
        if not self._path.exists():
            return
        with self._path.open("rb") as file:
            file.seek(offset)
            for line in file:
                offset += len(line)
                if line.endswith(b"\n") and line.strip():
                    try:
                        fields = orjson.loads(line)
                    except orjson.JSONDecodeError:
                        continue  # the cut-off line of a crash, ended by the next append
                    fields["instances"] = tuple((a, b, c) for a, b, c in fields["instances"])
                    yield Tombstone(**fields), offset
