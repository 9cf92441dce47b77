"""Stores that make pictures, for tests: `Pictured` around any backend, with a pool that counts what it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pydicom
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array

from gateway.backends.base import Backend, Body, Health, Matches, Retrieve, StoreResult, Upload, View
from gateway.backends.cached.keys import MADE
from gateway.backends.pictured.headers import Headers
from gateway.backends.pictured.making import Making
from gateway.backends.pictured.pictured import Pictured
from gateway.backends.pictured.reading import Shelf
from gateway.backends.pictured.sources import Sources
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import BadRequest
from gateway.metrics import PixelWork
from gateway.pixels.exchange import Pieces
from gateway.pixels.limits import PixelLimits
from gateway.pixels.pool import Pool
from gateway.pixels.work import Input, Misasked, NotDrawable, Result, Undoable, Work
from tests.backends.made import wants
from tests.backends.twice import cached

AREA = 64 << 20
"""Bytes of whole instances on disk."""


class Counting(Pool):
    """Runs work in a thread of the test: a process of its own takes half a second to start. `tests.pixels.test_pool` has those.

    :ivar ran: what it was given to do. :ivar gate: work waits for it. :ivar most: jobs that ran at the same time, at most.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.ran: list[Work] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.running = self.most = 0

    async def run(self, work: Work, inputs: Sequence[Input] = (), *, kind: PixelWork = "render") -> Result:
        self.ran.append(work)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
            return await asyncio.to_thread(_worked, work, inputs)
        finally:
            self.running -= 1


def _worked(work: Work, inputs: Sequence[Input]) -> Result:
    try:
        made = work([Pieces(one) for one in inputs])
    except Misasked as error:
        raise BadRequest(error.message) from None
    except Undoable as error:
        raise NotDrawable(error.message) from None
    return Result(made.facts, b"".join(made.content))


def sources_of(inner: Backend, folder: Path, **options: Any) -> Sources:
    """:param folder: in which whole instances may rest."""
    given: dict[str, Any] = {"name": "default", "headers": Headers(), "area": Shelf(folder / "pixels", AREA)}
    return Sources(inner, **given | options)


def pictured(
    inner: Backend, folder: Path, *, pool: Pool | None = None, decides: bool = True, exact: bool = False, **options: Any
) -> Pictured:
    """Around a backend; the stamps are those of the folder.

    :param pool: without one it has one that works in threads.
    :param options: of the cache in front of what is made.
    """
    sources = sources_of(inner, folder)
    given: dict[str, Any] = {"kinds": MADE, "scope": lambda: "pixels"}
    made = cached(Making(sources, pool or Counting(), PixelLimits()), folder, **given | options)
    return Pictured(inner, made, sources, decides=decides, exact=exact)


def of_frames(text: str, *uids: str, numbers: Sequence[int] = (1,)) -> Retrieve:
    """A read of frames by somebody who sends this Accept."""
    return wants(View.FRAMES, parse_accept([text]), *uids, frames=numbers)


class Asked:
    """A backend that notes what is read of the one behind it. :ivar reads: in order. :ivar searches: how many."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner
        self.reads: list[Retrieve] = []
        self.searches = 0
        self.closed = 0

    async def retrieve(self, retrieve: Retrieve) -> Body:
        self.reads.append(retrieve)
        return await self._inner.retrieve(retrieve)

    async def search(self, query: Query) -> Matches:
        self.searches += 1
        return await self._inner.search(query)

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        return await self._inner.store(uploads)

    async def delete(self, resource: Resource) -> int:
        return await self._inner.delete(resource)

    async def check(self) -> Health:
        return await self._inner.check()

    async def aclose(self) -> None:
        self.closed += 1
        await self._inner.aclose()


@dataclass(frozen=True)
class Sample:
    """A file of pydicom's. :param name: the file's."""

    name: str

    @property
    def path(self) -> str:
        return str(get_testdata_file(self.name, download=False))

    @property
    def data(self) -> bytes:
        return Path(self.path).read_bytes()

    @cached_property
    def dataset(self) -> Dataset:
        return pydicom.dcmread(self.path)

    @property
    def uids(self) -> tuple[str, str, str]:
        ds = self.dataset
        return str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)

    @property
    def syntax(self) -> str:
        return str(self.dataset.file_meta.TransferSyntaxUID)

    def frame(self, number: int) -> bytes:
        """The cells of a frame as pydicom decodes them, little endian; what a codec calls YCbCr is RGB."""
        coloured = self.syntax in ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
        return bytes(pixel_array(self.dataset, index=number - 1, raw=not coloured).tobytes())


RLE = Sample("MR_small_RLE.dcm")
J2K = Sample("JPEG2000.dcm")
JPEG = Sample("SC_rgb_jpeg_dcmtk.dcm")
TEN = Sample("emri_small_RLE.dcm")
"""Ten frames."""


def descriptors() -> int:
    """How many this process has open of blobs, of files without a name, and of those in memory; not of what a store needs for itself."""
    found = 0
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            target = str(entry.readlink())
            found += "/blobs/" in target or "(deleted)" in target or "memfd:" in target or target.endswith("/slice")
    return found
