"""The local store as a whole: what an answer promises, and what becomes of a disk that fails."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from gateway.backends.base import StoreResult, Upload
from gateway.backends.local import schema
from gateway.backends.local import store as local
from gateway.backends.local.repair import fsck
from gateway.backends.local.store import LocalStore
from gateway.backends.policy import OnDuplicate
from gateway.dicom.elements import Limits
from gateway.dicomweb.reasons import Reason
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, OutOfStorage, StoreUnavailable
from tests import samples
from tests.backends.local.conftest import OpenStore
from tests.backends.local.faults import Fault, blobs, incoming, record
from tests.backends.local.processes import start
from tests.backends.made import content, dicom, found, identity, sops, store, study, uploads
from tests.backends.resting import open_below


def clean(root: Path, instances: int) -> None:
    """Nothing but the instances that are stored lies in the folder."""
    assert incoming(root) == []
    report = fsck(root)
    assert (report.checked, report.problems, len(blobs(root))) == (instances, (), instances)


# -- what an answer promises


async def test_every_step_is_durable_before_the_answer(open_store: OpenStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = record(monkeypatch)
    backend = open_store()
    calls.clear()
    await store(backend, dicom(sop="1"), dicom(sop="2"))
    calls.append("answer")
    synced = [call for call in calls if call.startswith(f"fdatasync {root}/incoming/")]
    assert len(synced) == 2
    at = calls.index("BEGIN IMMEDIATE")
    assert sorted(calls[:at]) == sorted(synced)
    folder, block = f"{root}/blobs", f"{root}/blobs/000000"
    renames = [f"rename {block}/00000000{number}.dcm" for number in (1, 2)]
    assert calls[at + 1 :] == [f"fsync {folder}", *renames, f"fsync {block}", "COMMIT", "answer"]


async def test_a_delete_is_durable_before_the_index_forgets(open_store: OpenStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = record(monkeypatch)
    backend = open_store()
    await store(backend, dicom())
    calls.clear()
    await backend.delete(Resource("1.1"))
    assert calls == ["BEGIN IMMEDIATE", f"fsync {root}/tombstones.jsonl", f"fsync {root}", "COMMIT"]


async def test_relaxed_durability_leaves_the_syncs_out(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = record(monkeypatch)
    backend = open_store(durable=False)
    await store(backend, dicom())
    assert not [call for call in calls if "sync" in call]
    assert await content(backend) == dicom()


async def test_another_start_finds_everything(open_store: OpenStore, root: Path) -> None:
    backend = open_store()
    await store(backend, *study("1.1"))
    await backend.delete(Resource("1.1", "1.1.1"))
    await backend.aclose()
    again = open_store()
    assert await sops(again) == ["1.1.2.1", "1.1.2.2"]
    assert await found(again, "study", "00201208") == [2]
    with pytest.raises(Gone):
        await content(again, "1.1", "1.1.1", "1.1.1.1")
    await store(again, dicom("1.2", "1.2.1", "1.2.1.1"))
    assert len(blobs(root)) == 5  # the number of none was used again


@pytest.mark.parametrize("policy", list(OnDuplicate))
async def test_second_versions_leave_no_received_file(open_store: OpenStore, root: Path, policy: OnDuplicate) -> None:
    backend = open_store(on_duplicate=policy)
    await store(backend, dicom(), dicom(), dicom(PatientID="P2"), dicom(sop="2"))
    assert incoming(root) == []
    assert len(await sops(backend)) == 2


async def test_limits_of_structure_are_those_it_was_given(open_store: OpenStore) -> None:
    result = await store(open_store(limits=Limits(elements=5)), dicom())
    assert "limits.elements" in result.failed[0].detail


async def test_an_attribute_of_another_vr_costs_neither_the_instance_nor_its_neighbours(open_store: OpenStore) -> None:
    """What the index looks for in the items of a sequence may be no sequence in a file."""
    odd = dicom("1.2", "1.2.1", sop="2")
    element = b"\x40\x00\x75\x02LO\x04\x00ABCD"
    before = odd.index(b"\xe0\x7f\x10\x00")
    odd = odd[:before] + element + odd[before:]
    backend = open_store()
    result = await store(backend, dicom(sop="1"), odd, dicom(sop="3"))
    assert not result.failed and len(result.stored) == 3
    await backend.delete(Resource("1.1"))
    await store(backend, dicom("1.2", "1.2.1", sop="4"))
    assert await sops(backend) == ["2", "4"]


async def test_what_waits_for_a_commit_is_let_go_when_the_request_ends(open_store: OpenStore) -> None:
    backend = open_store()
    await store(backend, dicom(sop="1"), dicom(sop="1", PatientID="P2"))

    async def broken() -> AsyncIterator[Upload]:
        async for upload in uploads([dicom(sop="2"), dicom(sop="3")]):
            yield upload
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await backend.store(broken())
    assert backend._waiting.held == 0


@pytest.mark.parametrize("name", ["..", "/etc/passwd", "'; DROP TABLE study; --"])
async def test_no_text_of_an_instance_becomes_a_path(open_store: OpenStore, root: Path, name: str) -> None:
    backend = open_store()
    await store(backend, dicom(PatientID=name, StudyID=name[:16], AccessionNumber=name[:16]))
    assert await found(backend, "study", "00100020", PatientID=name) == [name]
    assert sorted(path.name for path in root.rglob("*.dcm")) == ["000000001.dcm"]


# -- a disk that fails


@pytest.mark.parametrize(
    ("call", "about"),
    [("fdatasync", "/incoming/"), ("writev", "/incoming/"), ("fsync", "/blobs/000000"), ("rename", "/blobs/000000")],
)
async def test_after_a_failed_write_or_sync_there_are_no_more_writes_but_reads_go_on(
    open_store: OpenStore, root: Path, monkeypatch: pytest.MonkeyPatch, call: str, about: str
) -> None:
    backend = open_store()
    await store(backend, *study("1.1"))
    fault = Fault(monkeypatch, call, errno.EIO, about=about)
    with pytest.raises(StoreUnavailable, match="EIO"):
        await store(backend, dicom("1.2", "1.2.1", "1.2.1.1"))
    fault.on = False  # a second sync would succeed, and lie
    hits = fault.hits
    for number in range(2):
        with pytest.raises(StoreUnavailable, match="restart"):
            await store(backend, dicom("1.3", "1.3.1", f"1.3.1.{number + 1}"))
    with pytest.raises(StoreUnavailable):
        await backend.delete(Resource("1.1"))
    assert fault.hits == hits
    health = await backend.check()
    assert (health.ready, health.writable) == (False, False) and "EIO" in health.detail
    assert len(await sops(backend)) == 4 and await content(backend) == study("1.1")[0]
    assert incoming(root) == []
    await backend.aclose()
    again = open_store()
    assert (await again.check()).ready
    assert len((await store(again, dicom("1.2", "1.2.1", "1.2.1.1"))).stored) == 1
    clean(root, 5)


@pytest.mark.parametrize(
    ("call", "about"),
    [("writev", "/incoming/"), ("open", "/incoming/"), ("fdatasync", "/incoming/"), ("fsync", "/blobs"), ("rename", "/blobs/000000")],
)
async def test_a_full_disk_is_a_failure_of_each_instance_and_passes(
    open_store: OpenStore, root: Path, monkeypatch: pytest.MonkeyPatch, call: str, about: str
) -> None:
    backend = open_store()
    await store(backend, dicom())
    fault = Fault(monkeypatch, call, errno.ENOSPC, about=about)
    files = [dicom("1.2", "1.2.1", f"1.2.1.{number}") for number in (1, 2, 3)]
    result = await store(backend, *files)
    assert not result.stored
    assert sorted((failed.part, failed.reason, failed.sop) for failed in result.failed) == [
        (number, Reason.OUT_OF_RESOURCES, f"1.2.1.{number}") for number in (1, 2, 3)
    ]
    fault.on = False
    clean(root, 1)
    assert await found(backend, "study", "0020000D") == ["1.1"] and await content(backend) == dicom()
    assert (await backend.check()).ready
    assert len((await store(backend, *files)).stored) == 3  # no restart was needed
    clean(root, 4)


async def test_a_full_index_is_a_failure_of_each_instance_and_passes(open_store: OpenStore, root: Path) -> None:
    backend = open_store()
    await store(backend, dicom())
    db = backend._writer._db
    pages = await backend._writer.run(lambda db: db.execute("PRAGMA page_count").fetchone()[0])
    db.execute(f"PRAGMA max_page_count = {pages}")
    files = [dicom("1.2", "1.2.1", f"1.2.1.{number}", ImageType=["ORIGINAL", "X" * 16] * 40) for number in range(1, 100)]
    result = await store(backend, *files)
    assert not result.stored and {failed.reason for failed in result.failed} == {Reason.OUT_OF_RESOURCES}
    clean(root, 1)
    db.execute("PRAGMA max_page_count = 1000000")
    assert len((await store(backend, *files)).stored) == 99


async def test_below_the_watermark_nothing_is_taken_before_a_byte_is_read(
    open_store: OpenStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "SPACE_CHECK_SECONDS", -1.0)
    backend = open_store(min_free=1000)
    await store(backend, dicom())
    free = 999
    monkeypatch.setattr(backend._files, "free_bytes", lambda: free)
    asked: list[int] = []

    async def asking() -> AsyncIterator[Upload]:
        asked.append(1)
        async for upload in uploads([dicom()]):
            yield upload

    with pytest.raises(OutOfStorage, match="min_free_bytes"):
        await backend.store(asking())
    assert not asked
    health = await backend.check()
    assert health.ready and not health.writable
    assert await content(backend) == dicom()
    assert await backend.delete(Resource("1.1")) == 1  # the way out
    free = 1000
    assert len((await store(backend, dicom())).stored) == 1 and (await backend.check()).writable


async def test_a_disk_that_fills_up_during_a_request_costs_what_came_after(
    open_store: OpenStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "SPACE_CHECK_SECONDS", -1.0)
    backend = open_store(min_free=1000)
    free = [500, 2000, 2000, 2000]
    monkeypatch.setattr(backend._files, "free_bytes", lambda: free.pop() if len(free) > 1 else free[0])
    result = await store(backend, *[dicom(sop=str(number)) for number in range(1, 5)])
    assert len(result.stored) == 2 and {failed.reason for failed in result.failed} == {Reason.OUT_OF_RESOURCES}
    clean(root, 2)


async def test_the_disk_is_not_asked_for_every_instance(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = open_store(min_free=1)
    asked: list[int] = []

    def free() -> int:
        asked.append(1)
        return 1 << 40

    monkeypatch.setattr(backend._files, "free_bytes", free)
    monkeypatch.setattr(local, "SPACE_CHECK_SECONDS", 1000.0)
    await store(backend, *study("1.1", instances=5))
    assert len(asked) <= 1


# -- requests that end early


@pytest.mark.parametrize("complete", [0, 1, 4])
async def test_a_cancelled_request_leaves_no_file_no_task_and_nothing_visible(open_store: OpenStore, root: Path, complete: int) -> None:
    backend = open_store()
    await store(backend, dicom("1.9", "1.9.1", "1.9.1.1"))
    before = asyncio.all_tasks()
    left = asyncio.Event()

    async def hanging() -> AsyncIterator[bytes]:
        yield dicom()[:200]
        left.set()
        await asyncio.sleep(3600)

    async def request() -> AsyncIterator[Upload]:
        async for upload in uploads([dicom(sop=str(number + 1)) for number in range(complete)]):
            yield upload
        yield Upload(complete + 1, identity(dicom()), hanging())

    storing = asyncio.ensure_future(backend.store(request()))
    await left.wait()
    storing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await storing
    assert asyncio.all_tasks() == before
    assert open_below(root / "incoming") == 1  # the lock of the living
    clean(root, 1)


async def test_a_client_who_leaves_during_the_commit_gets_all_or_nothing(open_store: OpenStore, root: Path) -> None:
    backend = open_store()
    reached, go = threading.Event(), threading.Event()

    def hold(db: sqlite3.Connection) -> None:
        reached.set()
        go.wait(30)

    holding = asyncio.ensure_future(backend._writer.run(hold))
    await asyncio.to_thread(reached.wait, 30)
    storing = asyncio.ensure_future(store(backend, *study("1.1")))
    async with asyncio.timeout(20):
        while backend._writer._jobs.empty():
            await asyncio.sleep(0.001)
    storing.cancel()
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await storing
    await holding
    assert len(await sops(backend)) == 4
    clean(root, 4)


async def test_closing_ends_in_order(root: Path) -> None:
    backend = LocalStore(root)
    storing = asyncio.ensure_future(store(backend, *study("1.1")))
    await storing
    await backend.aclose()
    assert open_below(root) == 0 and list((root / "incoming").iterdir()) == []
    assert not (root / "index.sqlite-wal").exists()
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith(("store-", "index-"))]
    clean(root, 4)


# -- several at once


async def test_two_stores_on_one_folder_see_each_other_at_once(open_store: OpenStore, root: Path) -> None:
    first, second = open_store(), open_store()
    await store(first, *study("1.1"))
    assert await sops(second) == ["1.1.1.1", "1.1.1.2", "1.1.2.1", "1.1.2.2"]
    assert (await store(second, dicom(PatientID="other"))).failed[0].reason is Reason.PROCESSING_FAILURE
    assert await second.delete(Resource("1.1", "1.1.1")) == 2
    with pytest.raises(Gone):
        await content(first)
    assert len((await store(first, dicom())).stored) == 1
    assert await content(second) == dicom()
    await first.aclose()
    assert len((await store(second, dicom("1.2", "1.2.1", "1.2.1.1"))).stored) == 1


async def test_two_stores_on_one_folder_take_turns(open_store: OpenStore, root: Path) -> None:
    backends = [open_store(durable=False) for _ in range(2)]
    requests = [store(backends[number % 2], *study(f"1.{number}", series=1, instances=5)) for number in range(30)]
    results = await asyncio.gather(*requests)
    assert [len(result.stored) for result in results] == [5] * 30
    assert len(await sops(backends[0])) == 100 and await found(backends[1], "study", "00201208") == [5] * 30
    clean(root, 150)


async def test_one_instance_from_all_sides_is_stored_once(open_store: OpenStore, root: Path) -> None:
    backends = [open_store(durable=False) for _ in range(2)]
    versions = [dicom(PatientID=f"P{number % 3}") for number in range(12)]
    results: list[StoreResult] = await asyncio.gather(*(store(backends[number % 2], data) for number, data in enumerate(versions)))
    kept = await content(backends[0])
    for data, result in zip(versions, results, strict=True):
        assert bool(result.stored) is (data == kept)
    clean(root, 1)


async def test_processes_share_a_folder(root: Path, open_store: OpenStore) -> None:
    workers = [start("work", root, name, "12") for name in ("1.1", "1.2")]
    assert [await asyncio.to_thread(worker.wait, 100) for worker in workers] == [0, 0]
    backend = open_store()
    expected = {f"{name}.{number}" for name in ("1.1", "1.2") for number in range(12) if number % 3}
    assert set(await found(backend, "study", "0020000D")) - {"7", "8"} == expected
    assert await found(backend, "study", "00201208", StudyInstanceUID="7") == [12]
    assert fsck(root).problems == ()


# -- folders that are not for us


async def test_a_layout_or_index_of_a_newer_version_is_refused_and_given_back(root: Path) -> None:
    await LocalStore(root).aclose()
    db = schema.connect(root / "index.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(StoreUnavailable, match="version 99"):
        LocalStore(root)
    assert open_below(root) == 0 and list((root / "incoming").iterdir()) == []
    (root / "store.json").write_bytes(orjson.dumps({"layout": 2}))
    with pytest.raises(StoreUnavailable, match="layout 2"):
        LocalStore(root)


async def test_a_root_that_is_relative_stays_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    backend = LocalStore(Path("store"))
    (tmp_path / "elsewhere").mkdir()
    os.chdir(tmp_path / "elsewhere")
    await store(backend, samples.ct())
    assert await content(backend, samples.STUDY, samples.SERIES, samples.SOP) == samples.ct()
    await backend.aclose()
