"""What a crash leaves, what a start makes of it, and garbage."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from pathlib import Path

import pytest

from gateway.backends.local import housekeeping, schema, transactions
from gateway.backends.local.repair import fsck
from gateway.backends.local.store import LocalStore
from gateway.backends.policy import OnDuplicate
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone, OutOfStorage, StoreUnavailable
from tests.backends.local.conftest import OpenStore
from tests.backends.local.faults import Fault, blobs, incoming
from tests.backends.local.processes import CRASHES, SECOND, start
from tests.backends.made import content, dicom, sops, store, study

ACKNOWLEDGED = dict(zip(["1.1.1.1", "1.1.1.2", "1.1.2.1", "1.1.2.2"], study("1.1"), strict=True))


# -- crashes


@pytest.fixture(scope="module")
def crashed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A store for each moment at which a process died."""
    folder = tmp_path_factory.mktemp("crashed")
    assert start("crash", folder).wait(100) == 0
    return {where: folder / where for where in CRASHES}


async def intact(backend: LocalStore, *uids: str) -> None:
    for sop in uids:
        assert await content(backend, "1.1", sop.rpartition(".")[0], sop) == ACKNOWLEDGED[sop]


async def test_what_was_only_received_goes(crashed: dict[str, Path]) -> None:
    root = crashed["received"]
    assert len(incoming(root)) == 2
    backend = LocalStore(root)
    assert incoming(root) == [] and await sops(backend) == list(ACKNOWLEDGED)
    await intact(backend, *ACKNOWLEDGED)
    await backend.aclose()
    assert fsck(root).problems == ()


async def test_what_was_renamed_but_not_committed_goes_and_its_numbers_are_free(crashed: dict[str, Path]) -> None:
    root = crashed["renamed"]
    assert len(blobs(root)) == 6
    backend = LocalStore(root)
    assert len(blobs(root)) == 4 and await sops(backend) == list(ACKNOWLEDGED)
    await store(backend, dicom("1.3", "1.3.1", "1.3.1.1"))
    assert blobs(root)[-1] == "000000005.dcm"
    await intact(backend, *ACKNOWLEDGED)
    await backend.aclose()
    assert fsck(root).problems == ()


async def test_what_was_committed_stays_though_nobody_was_told(crashed: dict[str, Path]) -> None:
    backend = LocalStore(crashed["committed"])
    assert await sops(backend) == [*ACKNOWLEDGED, "1.2.1.1", "1.2.1.2"]
    assert await content(backend, *SECOND) == dicom(*SECOND)
    await intact(backend, *ACKNOWLEDGED)
    await backend.aclose()
    assert fsck(crashed["committed"]).problems == ()


async def test_a_version_that_was_not_committed_leaves_the_old_one(crashed: dict[str, Path]) -> None:
    backend = LocalStore(crashed["replaced"])
    await intact(backend, *ACKNOWLEDGED)
    assert await sops(backend, PatientID="other") == []
    await backend.aclose()
    assert fsck(crashed["replaced"]).problems == ()


@pytest.mark.parametrize("where", ["buried", "deleted"])
async def test_a_delete_that_was_begun_is_finished(crashed: dict[str, Path], where: str) -> None:
    backend = LocalStore(crashed[where])
    assert await sops(backend) == ["1.1.2.1", "1.1.2.2"]
    await intact(backend, "1.1.2.1", "1.1.2.2")
    with pytest.raises(Gone):
        await content(backend, "1.1", "1.1.1", "1.1.1.1")
    await backend.aclose()
    assert fsck(crashed[where]).problems == ()


async def test_opening_twice_is_the_same_as_once(crashed: dict[str, Path]) -> None:
    for root in crashed.values():
        first = LocalStore(root)
        found = await sops(first), blobs(root)
        second = LocalStore(root)
        assert (await sops(second), blobs(root)) == found
        await first.aclose()
        await second.aclose()


async def test_a_delete_whose_commit_failed_takes_nothing_that_was_stored_later(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tombstone is durable, the rows are still there: the next transaction has to finish it before anything else."""
    backend = open_store()
    await store(backend, dicom())
    finish, ready = transactions.count_change, [True]

    def full(db: sqlite3.Connection) -> None:
        finish(db)
        if ready and ready.pop():
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
            raise error

    monkeypatch.setattr(transactions, "count_change", full)
    with pytest.raises(OutOfStorage):
        await backend.delete(Resource("1.1"))
    assert await content(backend) == dicom()
    assert len((await store(backend, dicom())).stored) == 1
    await backend.aclose()
    again = open_store()
    assert await content(again) == dicom() and await sops(again) == ["1.1.1.1"]


# -- an index that does not belong to its blobs


async def lost(root: Path) -> None:
    """A store whose index is gone."""
    backend = LocalStore(root)
    await store(backend, *study("1.1"))
    await backend.aclose()
    for path in root.glob("index.sqlite*"):
        path.unlink()


async def test_a_store_without_its_index_is_not_swept_but_refused(root: Path) -> None:
    await lost(root)
    for _ in range(2):  # the second time there is an empty database
        with pytest.raises(StoreUnavailable, match="rebuild-index"):
            LocalStore(root)
    assert len(blobs(root)) == 4 and incoming(root) == [] and list((root / "incoming").iterdir()) == []


async def test_an_index_that_is_far_older_than_its_blobs_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = LocalStore(root)
    await store(backend, *study("1.1"))
    await backend.aclose()
    db = schema.connect(root / "index.sqlite")
    db.execute("UPDATE meta SET value = 2 WHERE key = 'next_generation'")
    db.close()
    monkeypatch.setattr(housekeeping, "MOST_UNCOMMITTED", 2)
    with pytest.raises(StoreUnavailable, match="older"):
        LocalStore(root)
    assert len(blobs(root)) == 4


# -- garbage


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "COLLECT_SECONDS", 0.01)
    monkeypatch.setattr(housekeeping, "GRACE_SECONDS", -1.0)


async def until(root: Path, names: list[str]) -> None:
    async with asyncio.timeout(20):
        while blobs(root) != names:
            await asyncio.sleep(0.01)


@pytest.mark.usefixtures("quick")
async def test_blobs_that_nothing_names_are_unlinked(open_store: OpenStore, root: Path) -> None:
    backend = open_store(on_duplicate=OnDuplicate.REPLACE)
    await store(backend, *study("1.1"))
    await store(backend, dicom("1.1", "1.1.1", "1.1.1.1", PatientID="other"))
    await backend.delete(Resource("1.1", "1.1.2"))
    await until(root, ["000000002.dcm", "000000005.dcm"])
    async with asyncio.timeout(20):
        while await backend._writer.run(lambda db: db.execute("SELECT count(*) FROM garbage").fetchone()[0]):
            await asyncio.sleep(0.01)


async def test_a_deleted_blob_stays_until_readers_had_time(open_store: OpenStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "COLLECT_SECONDS", 0.01)
    backend = open_store()
    await store(backend, dicom())
    await backend.delete(Resource("1.1"))
    await asyncio.sleep(0.1)
    assert len(blobs(root)) == 1


async def test_on_a_full_disk_they_go_at_once(open_store: OpenStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "COLLECT_SECONDS", 0.01)
    monkeypatch.setattr("gateway.backends.local.store.SPACE_CHECK_SECONDS", -1.0)
    backend = open_store(min_free=1)
    await store(backend, dicom())
    monkeypatch.setattr(backend._files, "free_bytes", lambda: 0)
    await backend.delete(Resource("1.1"))
    await until(root, [])


@pytest.mark.usefixtures("quick")
async def test_a_round_that_fails_is_not_the_last(open_store: OpenStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = open_store()
    await store(backend, dicom())
    faults = [Fault(monkeypatch, "unlink", errno.EIO, about="/blobs/"), Fault(monkeypatch, "statvfs", errno.EIO)]
    await backend.delete(Resource("1.1"))
    async with asyncio.timeout(20):
        while not faults[0].hits:
            await asyncio.sleep(0.01)
    for fault in faults:
        fault.on = False
    await until(root, [])


@pytest.mark.usefixtures("quick")
async def test_a_store_that_takes_no_writes_unlinks_nothing(open_store: OpenStore, root: Path) -> None:
    backend = open_store()
    await store(backend, dicom())
    backend._writer.refuse(OSError(errno.EIO, ""))
    with pytest.raises(StoreUnavailable):
        await backend.delete(Resource("1.1"))
    await asyncio.sleep(0.05)
    assert len(blobs(root)) == 1


@pytest.mark.usefixtures("quick")
async def test_a_store_that_is_only_read_has_no_garbage_to_look_for(open_store: OpenStore) -> None:
    backend = open_store()
    await sops(backend)
    assert backend._garbage is None
