"""Instances as files: what is written, what is left alone, and bodies that lie in files."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from gateway.backends.base import Body, FileSlice, Retrieve
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.errors import Busy, Forbidden, OriginFailed
from gateway.transfers import writing
from gateway.transfers.choosing import Choosing
from gateway.transfers.folders import Folder
from gateway.transfers.forms import METADATA, STORED
from gateway.transfers.places import PIECE, Hands
from gateway.transfers.uris import parse_folder
from gateway.transfers.writing import Writer, digest, pieces_of
from tests.backends.made import dicom, store, study
from tests.transfers.given import files, write


@pytest.fixture
def hands(tmp_path: Path) -> Iterator[Hands]:
    (tmp_path / "out").mkdir()
    made = Hands(Folder(tmp_path / "out"))
    yield made
    made.close()


def writer(backend: MemoryBackend | LocalStore, hands: Hands, tmp_path: Path, **options: object) -> Writer:
    return Writer(backend, hands, parse_folder(f"file://{tmp_path}/out", "uri"), **{"form": STORED, **options})  # type: ignore[arg-type]  # of each test


async def written(made: Writer, backend: MemoryBackend | LocalStore) -> tuple[int, int]:
    done = [await made.write(one) async for _, one in made.line(Choosing(backend), "")]
    return sum(one.success for one in done), sum(one.failed for one in done)


async def test_bodies_that_lie_in_files_are_read_piece_by_piece(hands: Hands, tmp_path: Path) -> None:
    backend = LocalStore(tmp_path / "store")
    large = dicom(sop="9.9", PixelData=bytes(range(256)) * 8192)
    await store(backend, large)
    assert await written(writer(backend, hands, tmp_path), backend) == (1, 0)
    assert files(tmp_path / "out") == {"1.1/1.1.1/9.9.dcm": large}
    await backend.aclose()


async def test_a_file_that_is_shorter_than_it_should_be_is_no_whole_one(tmp_path: Path) -> None:
    path = write(tmp_path, "x", bytes(PIECE + 10))

    async def pieces() -> AsyncGenerator[bytes | FileSlice, None]:
        yield FileSlice(os.open(path, os.O_RDONLY), 0, PIECE + 20)

    with pytest.raises(EOFError):
        await digest(pieces_of(Body("application/dicom", pieces())))


async def test_marks_are_those_of_instances_or_of_studies(hands: Hands, tmp_path: Path) -> None:
    backend = MemoryBackend()
    await store(backend, *study("1.2", series=1))
    made = writer(backend, hands, tmp_path)
    assert [mark async for mark, _ in made.line(Choosing(backend), "")] == ["1.2/1.2.1/1.2.1.1", "1.2/1.2.1/1.2.1.2"]
    assert [mark async for mark, _ in made.line(Choosing(backend), "1.2/1.2.1/1.2.1.1")] == ["1.2/1.2.1/1.2.1.2"]
    lines = writer(backend, hands, tmp_path, form=METADATA)
    (mark,) = [mark async for mark, _ in lines.line(Choosing(backend), "")]
    assert [mark async for mark, _ in lines.line(Choosing(backend), mark)] == []


async def test_what_is_there_is_left_alone_where_that_is_wanted(hands: Hands, tmp_path: Path) -> None:
    backend = MemoryBackend()
    await store(backend, dicom())
    path = tmp_path / "out" / "1.1" / "1.1.1" / "1.1.1.1.dcm"
    for again, same in ((False, True), (True, False)):
        made = writer(backend, hands, tmp_path, again=again)
        await written(made, backend)
        before = path.stat().st_ino
        assert await written(made, backend) == (1, 0)
        assert (path.stat().st_ino == before) == same


async def test_an_instance_waits_for_who_is_busy(hands: Hands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Crowded(MemoryBackend):
        left = 2

        async def retrieve(self, retrieve: Retrieve) -> Body:
            self.left -= 1
            if self.left >= 0:
                raise Busy("too many", retry_after=0)
            return await super().retrieve(retrieve)

    backend = Crowded()
    await store(backend, dicom())
    assert await written(writer(backend, hands, tmp_path), backend) == (1, 0)
    backend.left = 1000
    monkeypatch.setattr(writing, "PATIENCE", 2)
    assert await written(writer(backend, hands, tmp_path), backend) == (0, 1)


async def test_a_place_that_takes_nothing_is_no_fault_of_an_instance(tmp_path: Path) -> None:
    class Closed(Folder):
        def writing(self, name: str) -> object:  # type: ignore[override]  # it never gives one
            raise Forbidden("not here")

    backend = MemoryBackend()
    await store(backend, dicom())
    hands = Hands(Closed(tmp_path))  # type: ignore[arg-type]  # likewise
    with pytest.raises(Forbidden):
        await written(writer(backend, hands, tmp_path), backend)
    hands.close()


async def test_metadata_of_which_one_fails_have_the_others(hands: Hands, tmp_path: Path) -> None:
    class Hurt(MemoryBackend):
        async def retrieve(self, retrieve: Retrieve) -> Body:
            if retrieve.resource.instance == "1.2.1.1":
                raise OriginFailed("it broke off")
            return await super().retrieve(retrieve)

    backend = Hurt()
    await store(backend, *study("1.2"), dicom("1.2", "1.2.9", "1.2.9.1", PatientComments='"BulkDataURI":"@', TextValue="x\ny" * 100_000))
    made = writer(backend, hands, tmp_path, form=METADATA, base="https://gate/web")
    assert await written(made, backend) == (4, 1)
    rows = [json.loads(line) for line in files(tmp_path / "out")["1.2.ndjson"].splitlines()]
    assert [row["00080018"]["Value"][0] for row in rows] == ["1.2.1.2", "1.2.2.1", "1.2.2.2", "1.2.9.1"]
    assert rows[-1]["00104000"]["Value"] == ['"BulkDataURI":"@']
    assert rows[-1]["7FE00010"]["BulkDataURI"].startswith("https://gate/web/studies/1.2/series/1.2.9/instances/1.2.9.1/")
