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
            size = os.fstat(descriptor).st_size
            if size and not self._ends_line(size):
                # What a crash cut off was never acknowledged. It must not swallow this line, nor become a whole one by it.
                line = b"#\n" + line
            self._write(descriptor, line, size)
            os.fsync(descriptor)
            if not size:
                self._sync_name()
            return size + len(line)
        finally:
            os.close(descriptor)

    def _write(self, descriptor: int, line: bytes, size: int) -> None:
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            os.ftruncate(descriptor, size)
            raise

    def _sync_name(self) -> None:
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _size(self) -> int:
        try:
            return os.stat(self._path).st_size
        except FileNotFoundError:
            return 0

    def _ends_line(self, size: int) -> bool:
        with self._path.open("rb") as file:
            file.seek(size - 1)
            return file.read(1) == b"\n"

    def since(self, offset: int = 0) -> Iterator[tuple[Tombstone, int]]:
        """The whole lines behind `offset`, each with the offset after it."""
        if self._size() <= offset:
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
