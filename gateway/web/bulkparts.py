"""The bulk data of a store request, kept until the instances that refer to it are written (PS3.18 10.5.1.1.2, 8.6.1.2.2).

1. Bytes go to a file without a name in the gateway's data folder: whatever happens to the process, nothing of a patient stays behind.
   The first `UNIT` of a request stay in memory, which is all that many have.
2. `BulkArea` bounds what all requests of a worker keep at once. A part that does not fit is passed over, and fails those who need it.
3. A label matches literally. Only where none does, the longer of two URLs may end in the shorter, by whole segments and without any
   doubt: a reference is never resolved, and never fetched.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from gateway import metrics
from gateway.dicomweb.reasons import Reason

T = TypeVar("T")

UNIT = 512 << 10
"""Bytes that are gathered before a thread writes them, and that one reads at once."""

_SERVER = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*")

SEGMENTS = 16
"""Segments of a URL that are compared from its end: a path below a store has ten."""


async def in_thread(work: Callable[[], T]) -> T:
    """What work in a thread returns; it has always ended after this, so that the file it uses can be closed."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


class BulkArea:
    """Where the bulk data of all requests of a process lie.

    :param root: its folder, made when it is needed for the first time; None for the folder of the system.
    :param bound: bytes, the setting ``limits.bulk_bytes``.
    :ivar composing: held while metadata are read: as objects they take ten times their bytes, so one request does it at a time.
    """

    def __init__(self, root: Path | None = None, bound: int = 4 << 30) -> None:
        self._root = root
        self._bound = bound
        self._taken = 0
        self.composing = asyncio.Lock()

    def take(self, count: int) -> bool:
        """Whether there is room for that many bytes more; they count from now on."""
        if self._taken + count > self._bound:
            return False
        self._taken += count
        metrics.BULK_BYTES.set(self._taken)
        return True

    def give(self, count: int) -> None:
        """Gives back what was taken."""
        self._taken -= count
        metrics.BULK_BYTES.set(self._taken)

    def opened(self) -> int:
        """A descriptor of a new file without a name. Blocks."""
        if self._root is not None:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o750)
        descriptor, path = tempfile.mkstemp(prefix="bulk-", dir=self._root)
        Path(path).unlink()
        return descriptor


@dataclass(slots=True)
class BulkPart:
    """A part of the request.

    :param number: its place in the request, from 1. :param media: its media type. :param syntax: its transfer-syntax, None without.
    :ivar fault: why it cannot be used. :ivar used: whether an instance has taken it.
    """

    number: int
    media: str
    syntax: str | None
    offset: int
    length: int = 0
    fault: tuple[Reason, str] | None = None
    wanted: bool = False
    used: bool = False


@dataclass(frozen=True, slots=True)
class Extent:
    """Bytes of a `Spool`."""

    offset: int
    length: int


class Spool:
    """The bytes of all bulk parts of one request, one behind the other.

    :param area: whose room it takes, until `aclose`.
    """

    def __init__(self, area: BulkArea) -> None:
        self._area = area
        self._held: list[bytes] = []
        self._holding = 0
        self._flushed = 0
        self._descriptor: int | None = None
        self._memory = b""
        self.size = 0

    async def write(self, piece: bytes) -> bool:
        """Adds bytes; False where there is no room for them.

        :raises OSError: when they cannot be written.
        """
        if not self._area.take(len(piece)):
            return False
        self.size += len(piece)
        self._held.append(piece)
        self._holding += len(piece)
        if self._holding >= UNIT:
            await self._flush()
        return True

    async def _flush(self) -> None:
        pieces, self._held, self._holding = self._held, [], 0
        await in_thread(lambda: self._write(b"".join(pieces)))

    def _write(self, data: bytes) -> None:
        if self._descriptor is None:
            self._descriptor = self._area.opened()
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, self._flushed)
            self._flushed += written
            view = view[written:]

    async def settle(self) -> None:
        """No more comes; `read` may be called.

        :raises OSError: as `write`.
        """
        if self._descriptor is not None:
            await self._flush()
        else:
            self._memory, self._held = b"".join(self._held), []

    @property
    def in_memory(self) -> bool:
        """Whether `read` does not block."""
        return self._descriptor is None

    def read(self, offset: int, length: int) -> bytes:
        """Bytes; blocks unless `in_memory`.

        :raises OSError: when they are not all there.
        """
        if self._descriptor is None:
            return self._memory[offset : offset + length]
        data = os.pread(self._descriptor, length, offset)
        if len(data) < length:
            raise OSError("the file of bulk data is shorter than what was written")
        return data

    async def aclose(self) -> None:
        """Lets go of everything; safe to call twice."""
        descriptor, self._descriptor, self._held, self._memory = self._descriptor, None, [], b""
        self._area.give(self.size)
        self.size = 0
        if descriptor is not None:
            await in_thread(lambda: os.close(descriptor))


@dataclass(slots=True)
class Labels:
    """The parts by their Content-Location."""

    parts: dict[str, list[BulkPart]] = field(default_factory=dict)
    _ends: dict[str, str | None] | None = None

    def add(self, location: str, part: BulkPart) -> None:
        """Another part; those with one label are frames in the order in which they come."""
        self.parts.setdefault(location, []).append(part)
        self._ends = None

    def everything(self) -> Iterator[BulkPart]:
        """All parts."""
        for parts in self.parts.values():
            yield from parts

    def find(self, uri: str, within: str | None) -> list[BulkPart]:
        """The parts that a BulkDataURI means, none where there are none or nobody can tell which (rule 3).

        :param within: what both must name unless they are equal: the SOP Instance UID, so that nobody gets another's pixels; None for
            the only instance of a request.
        """
        if uri in self.parts:
            return self.parts[uri]
        if self._ends is None:
            self._ends = self._index()
        for end in _endings(uri):
            if end in self._ends:
                location = self._ends[end]
                # Either is the end of the other: the whole of one has matched.
                if location is None or end not in (_reduced(location), _reduced(uri)):
                    return []
                return self.parts[location] if within is None or within in re.split("[/?]", end) else []
        return []

    def _index(self) -> dict[str, str | None]:
        """Every end of every label to the label, None where it is the end of several."""
        found: dict[str, str | None] = {}
        for location in self.parts:
            for end in _endings(location):
                found[end] = None if end in found else location
        return found


def _reduced(uri: str) -> str:
    """A URL without scheme, host and the dots and slashes at its beginning."""
    return _SERVER.sub("", uri).lstrip("./")


def _endings(uri: str) -> list[str]:
    """What a URL ends in, by whole segments, the longest first."""
    segments = _reduced(uri).split("/")
    return ["/".join(segments[start:]) for start in (0, *range(max(1, len(segments) - SEGMENTS), len(segments)))]
