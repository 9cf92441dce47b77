"""Instances that rest in files of a temporary folder, as `Blob`s, and how many of those files are open."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gateway.backends.base import FileSlice
from gateway.backends.representations import Blob
from gateway.dicom.elements import Walk
from gateway.dicom.frames import TABLE_TAGS, FrameTable, frame_table
from tests.backends.made import identity


def open_below(folder: Path) -> int:
    """How many descriptors of this process are of files below a folder."""
    count = 0
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of the listing itself
            count += link.readlink().is_relative_to(folder)
    return count


@dataclass
class Disk:
    """A `Source` over a file.

    :ivar reads: offset and length of each read.
    :ivar before: called before a piece is opened.
    """

    path: Path
    reads: list[tuple[int, int]] = field(default_factory=list)
    before: Callable[[], None] = lambda: None

    def read(self, offset: int, length: int) -> bytes:
        self.reads.append((offset, length))
        return self.path.read_bytes()[offset : offset + length]

    def piece(self, offset: int, length: int) -> FileSlice:
        self.before()
        return FileSlice(os.open(self.path, os.O_RDONLY), offset, length)


def resting(folder: Path, *files: bytes) -> list[Blob]:
    """Each of `files` as a blob whose source is a `Disk`."""
    blobs = []
    for number, data in enumerate(files):
        path = folder / f"{number}.dcm"
        path.write_bytes(data)
        blobs.append(Blob(identity(data), len(data), f"v{number}", 1000.0 + number, Disk(path)))
    return blobs


def disk(blob: Blob) -> Disk:
    assert isinstance(blob.source, Disk)
    return blob.source


def walked(data: bytes) -> Walk:
    walk = Walk(wanted=TABLE_TAGS, record=True)
    walk.feed(data)
    walk.finish()
    return walk


def tabled(data: bytes) -> FrameTable:
    return frame_table(walked(data), lambda offset, length: data[offset : offset + length])
