"""Exports as operations: where what lies, in which form, and who goes on after a kill."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pydicom
import pytest

from gateway.backends.base import Body, Retrieve
from gateway.backends.local.store import LocalStore
from gateway.backends.operations.work import Job
from gateway.dicomweb.resources import Resource
from gateway.errors import NotAcceptable
from gateway.healthcare.operations import Counter
from gateway.transfers.exporting import exporting
from gateway.transfers.uris import parse_folder, parse_uri
from tests.backends.made import dicom, store, study
from tests.backends.registered import S
from tests.transfers.given import Operated, files, finished, operated, places, reached, stopped, write

STUDIES = [*study("1.2"), *study("1.10", series=1, instances=3)]


def path_of(data: bytes) -> str:
    ds = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True)
    return f"{ds.StudyInstanceUID}/{ds.SeriesInstanceUID}/{ds.SOPInstanceUID}.dcm"


EXPECTED = {path_of(data): data for data in STUDIES}


def export_to(folder: Path, form: str | None = None, chosen: Path | None = None) -> Job:
    wanted = None if chosen is None else parse_uri(f"file://{chosen}", "filter")
    return exporting(S, parse_folder(f"file://{folder}", "prefix"), form, wanted, "http://gate/v1/store/dicomWeb")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
async def there(tmp_path: Path, out: Path) -> AsyncIterator[Operated]:
    async with operated(tmp_path, places(out)) as found:
        await store(found.backend, *STUDIES)
        yield found


async def test_instances_are_written_as_they_are_stored(there: Operated, out: Path) -> None:
    write(out, "deep/er/1.2/1.2.1/1.2.1.1.dcm", b"what was there before")
    done = await there.run(export_to(out / "deep" / "er"))
    assert (done.error, done.counter, done.response_type) == (None, Counter(success=7), "google.protobuf.Empty")
    assert files(out / "deep" / "er") == EXPECTED


async def test_in_another_transfer_syntax(there: Operated, out: Path) -> None:
    done = await there.run(export_to(out, "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"))
    assert (done.error, files(out)) == (None, EXPECTED)
    refused = await there.run(export_to(out / "b", "application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90"))
    assert refused.counter == Counter(failure=7) and refused.error is not None  # a store alone makes no JPEG 2000
    assert refused.error["message"].startswith("7 instances failed: /studies/1.10/series/1.10.1/instances/1.10.1.1: ")
    assert not files(out / "b")


async def test_chosen_ones_only(there: Operated, out: Path) -> None:
    chosen = write(
        out,
        "list",
        b"/studies/1.2/series/1.2.1/instances/1.2.1.2\r\n\n/studies/1.10\n/studies/1.10/series/1.10.1\n/studies/7.7\n/studies/1.2/series/1.2.2",
    )
    done = await there.run(export_to(out / "x", None, chosen))
    wanted = [name for name in EXPECTED if name.startswith("1.10/") or name.endswith("1.2.1.2.dcm") or "/1.2.2/" in name]
    assert sorted(files(out / "x")) == sorted(wanted)
    assert done.counter == Counter(success=6, failure=1)
    assert done.error is not None and done.error["message"] == "1 instance failed: /studies/7.7: there is no such thing in this store"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"/studies/1.2\n/patients/7", "line 2 of the filter"),
        (b"/studies/1.2/series/x", "line 1 of the filter has a UID"),
        (b"\n", "names nothing"),
        (None, "there is no such file"),
    ],
)
async def test_a_list_that_is_none_ends_it(there: Operated, out: Path, text: bytes | None, said: str) -> None:
    if text is not None:
        write(out, "list", text)
    done = await there.run(export_to(out / "x", None, out / "list"))
    assert done.error is not None and said in done.error["message"]


async def test_metadata_are_an_instance_a_line(there: Operated, out: Path) -> None:
    chosen = write(out, "list", b"/studies/1.2/series/1.2.1\n/studies/1.2/series/1.2.2\n/studies/1.10")
    done = await there.run(export_to(out / "x", "application/dicom+json", chosen))
    assert (done.error, done.counter) == (None, Counter(success=7))
    written = files(out / "x")
    assert sorted(written) == ["1.10.ndjson", "1.2.ndjson"]
    rows = [json.loads(line) for line in written["1.2.ndjson"].splitlines()]
    assert [row["00080018"]["Value"] for row in rows] == [["1.2.1.1"], ["1.2.1.2"], ["1.2.2.1"], ["1.2.2.2"]]
    assert rows[0]["7FE00010"]["BulkDataURI"].startswith(
        "http://gate/v1/store/dicomWeb/studies/1.2/series/1.2.1/instances/1.2.1.1/bulkdata/"
    )


async def test_one_that_cannot_be_read_costs_only_itself(tmp_path: Path, out: Path) -> None:
    class Hurt(LocalStore):
        async def retrieve(self, retrieve: Retrieve) -> Body:
            body = await super().retrieve(retrieve)
            if retrieve.resource.instance == "1.2.1.2":
                await body.aclose()
                raise NotAcceptable("not in that form")
            if retrieve.resource.instance == "1.2.2.1":
                return Body(body.media_type, breaking(body), body.length)
            return body

    async def breaking(body: Body) -> AsyncGenerator[bytes, None]:
        await body.aclose()
        yield b"half"
        raise OSError(5, "Input/output error")

    async with operated(tmp_path, places(out), Hurt) as there:
        await store(there.backend, *STUDIES)
        done = await there.run(export_to(out))
        assert done.counter == Counter(success=5, failure=2)
        assert done.error is not None
        assert "1.2.1.2: not in that form" in done.error["message"] and "1.2.2.1: it cannot be read" in done.error["message"]
        assert set(EXPECTED) - set(files(out)) == {"1.2/1.2.1/1.2.1.2.dcm", "1.2/1.2.2/1.2.2.1.dcm"}  # and no half of one


class Held(LocalStore):
    """Waits at an instance until it is let."""

    at, waits = "", asyncio.Event()
    asked: list[str | None]

    async def retrieve(self, retrieve: Retrieve) -> Body:
        self.asked.append(retrieve.resource.instance)
        if retrieve.resource.instance == self.at:
            self.waits.set()
            await asyncio.Event().wait()
        return await super().retrieve(retrieve)


def held(at: str) -> tuple[type[Held], list[str | None]]:
    log: list[str | None] = []
    return type("Held", (Held,), {"at": at, "waits": asyncio.Event(), "asked": log}), log


async def test_it_goes_on_where_it_was_and_is_whole(tmp_path: Path, out: Path) -> None:
    first, _ = held("1.3.1.20")
    many = [dicom("1.3", "1.3.1", f"1.3.1.{number}", InstanceNumber=str(number)) for number in range(1, 31)]
    async with operated(tmp_path, places(out), first) as there:
        await store(there.backend, *many)
        begun = await there.operating.run(export_to(out), "ExportDicomData")
        await first.waits.wait()
        while (await reached(there))[1] < 12:  # as texts, twelve come before that one
            await asyncio.sleep(0.01)
    second, read = held("")
    async with operated(tmp_path, places(out), second) as there:
        done = await finished(there, begun)
        assert (done.error, done.counter) == (None, Counter(success=30)) and len(read) == 18
        assert files(out) == {path_of(data): data for data in many}


async def test_it_can_be_stopped_and_leaves_nothing_half(tmp_path: Path, out: Path) -> None:
    kind, _ = held("1.2.1.1")
    async with operated(tmp_path, places(out), kind) as there:
        await store(there.backend, *STUDIES)
        begun = await there.operating.run(export_to(out), "ExportDicomData")
        await kind.waits.wait()
        while len([name for name in files(out) if name.endswith(".dcm")]) < 6:
            await asyncio.sleep(0.01)
        done = await stopped(there, begun)
        assert done.error is not None and done.error["code"] == 1
        assert done.counter == Counter(success=6, pending=1) and len(files(out)) == 6


async def test_a_place_that_takes_nothing_ends_it(there: Operated, out: Path) -> None:
    write(out, "file", b"")
    done = await there.run(export_to(out / "file"))
    assert done.error is not None and done.error["code"] == 7 and "links are not followed" in done.error["message"]


async def test_of_several_frames_each_is_a_file(there: Operated, out: Path) -> None:
    await store(there.backend, dicom("4.4", "4.4.1", "4.4.1.1", NumberOfFrames="2", PixelData=bytes(range(64))))
    chosen = write(out, "list", b"/studies/4.4\n/studies/1.2/series/1.2.1/instances/1.2.1.1")
    done = await there.run(export_to(out / "x", "application/octet-stream; transfer-syntax=*", chosen))
    assert done.error is None
    assert files(out / "x") == {
        "1.2/1.2.1/1.2.1.1": bytes(range(32)),
        "4.4/4.4.1/4.4.1.1/1": bytes(range(32)),
        "4.4/4.4.1/4.4.1.1/2": bytes(range(32, 64)),
    }


def test_what_it_is_for_survives_being_written(out: Path) -> None:
    job = export_to(out)
    assert Job.of(job.text()) == job and Resource("1.2").path == "/studies/1.2"
