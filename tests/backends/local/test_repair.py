"""What an administrator runs on a store."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.base import View
from gateway.backends.local import housekeeping, repair, schema
from gateway.backends.local.files import Files
from gateway.backends.local.repair import Problem, fsck, rebuild_index
from gateway.backends.local.store import LocalStore
from gateway.backends.policy import OnDuplicate
from gateway.dicom.elements import Limits
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import Gone, NotFound, StoreUnavailable
from tests import samples
from tests.backends.local.faults import blobs
from tests.backends.made import AS_STORED, FRAMES, content, dicom, query, read, sops, store, study, wants


def blob(root: Path, generation: int) -> Path:
    return root / "blobs" / "000000" / f"{generation:09x}.dcm"


async def filled(root: Path, **chosen: Any) -> LocalStore:
    """A store of two studies."""
    backend = LocalStore(root, **chosen)
    await store(backend, *study("1.1"), *study("1.2", series=1, instances=1, PatientID="P2", Modality="MR"))
    return backend


# -- fsck


async def test_a_sound_store_has_no_problems_also_while_it_is_used(root: Path) -> None:
    backend = await filled(root)
    steps: list[tuple[int, int]] = []
    report = fsck(root, lambda done, total: steps.append((done, total)))
    assert (report.checked, report.problems) == (5, ())
    assert steps == [(number, 5) for number in range(1, 6)]
    await backend.aclose()
    assert fsck(root).problems == ()
    assert list((root / "incoming").iterdir()) == []


async def test_missing_damaged_and_orphaned_files_are_named(root: Path) -> None:
    await (await filled(root)).aclose()
    blob(root, 1).unlink()
    data = bytearray(blob(root, 2).read_bytes())
    data[-1] ^= 1
    blob(root, 2).write_bytes(data)
    os.truncate(blob(root, 3), 100)
    index = sqlite3.connect(root / "index.sqlite")
    index.execute("DELETE FROM instance WHERE generation = 4")
    index.commit()
    index.close()
    report = fsck(root)
    assert report.checked == 4
    assert [(problem.generation, problem.instance, problem.kind) for problem in report.problems] == [
        (1, "1.1.1.1", "missing"),
        (2, "1.1.1.2", "damaged"),
        (3, "1.1.2.1", "damaged"),
        (4, "", "orphan"),
    ]
    assert "checksum" in report.problems[1].detail and "100 bytes" in report.problems[2].detail


async def test_a_file_that_cannot_be_read_is_damaged(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await (await filled(root)).aclose()
    monkeypatch.setattr(repair, "checksum_of", lambda descriptor: (_ for _ in ()).throw(OSError(5, "Input/output error")))
    assert {problem.kind for problem in fsck(root).problems} == {"damaged"}


async def test_garbage_and_what_is_being_committed_are_no_orphans(root: Path) -> None:
    backend = await filled(root)
    await backend.delete(Resource("1.2"))
    shutil.copy(blob(root, 1), blob(root, 6))  # renamed, not yet committed
    assert fsck(root).problems == ()
    await backend.aclose()


async def test_an_instance_that_goes_while_it_is_looked_at_is_no_problem(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = await filled(root)
    compare = repair._compare

    def overtaken(files: Files, generation: int, size: int, checksum: bytes) -> tuple[str, str] | None:
        if generation == 5:
            db = schema.connect(root / "index.sqlite")
            db.execute("DELETE FROM instance WHERE generation = 5")
            db.execute("INSERT INTO garbage VALUES (5, 0)")
            db.close()
            blob(root, 5).unlink()
        return compare(files, generation, size, checksum)

    monkeypatch.setattr(repair, "_compare", overtaken)
    assert fsck(root).problems == ()
    await backend.aclose()


@pytest.mark.parametrize("damage", ["gone", "cut", "nonsense"])
async def test_an_index_that_cannot_be_read_is_the_problem(root: Path, damage: str) -> None:
    await (await filled(root)).aclose()
    index = root / "index.sqlite"
    if damage == "gone":
        index.unlink()
    elif damage == "cut":
        os.truncate(index, 6000)
    else:
        index.write_bytes(b"no database" * 1000)
    report = fsck(root)
    assert report.checked == 0 and {problem.kind for problem in report.problems} == {"index"}
    assert isinstance(report.problems[0], Problem)
    with pytest.raises(StoreUnavailable, match="rebuild-index"):
        LocalStore(root)
    assert rebuild_index(root).instances == 5
    assert fsck(root) == repair.Fsck(5, ())


async def test_the_index_of_a_newer_gateway_is_none_that_can_be_judged(root: Path) -> None:
    await (await filled(root)).aclose()
    with closing(sqlite3.connect(root / "index.sqlite")) as db:
        db.execute("PRAGMA user_version = 1000")
    (problem,) = fsck(root).problems
    assert problem.kind == "index" and "version 1000" in problem.detail


# -- rebuild-index

LEVELS: tuple[Level, ...] = ("study", "series", "instance")


async def everything(backend: LocalStore) -> list[Any]:
    """What searches answer, on all levels."""
    return [[json.loads(result) for result in (await backend.search(query(level, limit="1000"))).results] for level in LEVELS]


async def answers(backend: LocalStore, *resources: Resource) -> list[str]:
    """Whether resources are there, gone or unknown."""
    said = []
    for resource in resources:
        uids = [uid for uid in (resource.study, resource.series, resource.instance) if uid]
        try:
            await read(await backend.retrieve(wants(View.INSTANCES, AS_STORED, *uids)))
            said.append("there")
        except (Gone, NotFound) as error:
            said.append(type(error).__name__)
    return said


async def rebuilt(root: Path, **chosen: Any) -> LocalStore:
    """The store after its index was lost and made anew."""
    for path in root.glob("index.sqlite*"):
        path.unlink()
    rebuild_index(root)
    return LocalStore(root, **chosen)


async def test_searches_and_reads_are_the_same_as_before(root: Path) -> None:
    backend = await filled(root)
    for number, make in enumerate(samples.ALL.values()):
        data = make().replace(b"1.2.3.4.5\0", f"1.2.3.4.{number:<2}".replace(" ", "\0").encode())  # other instances, same lengths
        await store(backend, data)
    before = await everything(backend)
    await backend.aclose()
    steps: list[tuple[int, int]] = []
    done = rebuild_index(root, lambda done, total: steps.append((done, total)))
    assert done.refused == () and done.instances == len(before[2]) and steps[-1] == (done.instances, done.instances)
    again = LocalStore(root)
    assert await everything(again) == before
    assert await content(again) == dicom("1.1", "1.1.1", "1.1.1.1", InstanceNumber="1", SeriesNumber="1")
    assert await read(await again.retrieve(wants(View.FRAMES, FRAMES, "1.1", "1.1.1", "1.1.1.1", frames=[1])))
    assert fsck(root).problems == ()
    await again.aclose()
    assert (root / "index.sqlite.old").exists() and not (root / "index.new").exists()


async def test_the_old_index_is_put_aside_whole(root: Path) -> None:
    """With its log, should a server have died without writing it back."""
    backend = await filled(root)
    copies = {path.name: path.read_bytes() for path in root.glob("index.sqlite*")}
    await backend.aclose()
    for name, data in copies.items():
        (root / name).write_bytes(data)
    rebuild_index(root)
    aside = sqlite3.connect(root / "index.sqlite.old")
    assert aside.execute("SELECT count(*) FROM instance").fetchone() == (5,)
    aside.close()
    again = LocalStore(root)
    assert len(await sops(again)) == 5
    await again.aclose()


async def test_deleted_instances_stay_deleted_and_are_answered_as_before(root: Path) -> None:
    backend = await filled(root)
    await store(backend, dicom("1.3", "1.3.1", "1.3.1.1"), dicom("1.4", "1.4.1", "1.4.1.1"))
    await backend.delete(Resource("1.1", "1.1.1"))
    await backend.delete(Resource("1.2", "1.2.1", "1.2.1.1"))  # takes series and study with it
    await backend.delete(Resource("1.3"))
    await store(backend, dicom("1.3", "1.3.1", "1.3.1.1"))  # came back
    asked = [
        Resource("1.1"),
        Resource("1.1", "1.1.1"),
        Resource("1.1", "1.1.1", "1.1.1.2"),
        Resource("1.2"),
        Resource("1.2", "1.2.1"),
        Resource("1.2", "1.2.1", "1.2.1.1"),
        Resource("1.3"),
        Resource("1.3", "1.3.1", "1.3.1.1"),
        Resource("1.9"),
    ]
    before = await everything(backend), await answers(backend, *asked)
    assert before[1] == ["there", "Gone", "Gone", "Gone", "Gone", "Gone", "there", "there", "NotFound"]
    await backend.aclose()
    assert len(blobs(root)) == 8  # those of deleted instances still lie there
    again = await rebuilt(root)
    assert (await everything(again), await answers(again, *asked)) == before
    await again.aclose()


async def test_older_versions_of_a_deleted_instance_stay_away_too(root: Path) -> None:
    """Only the last one is in the tombstone, but the blobs of all of them may still lie there."""
    backend = LocalStore(root, on_duplicate=OnDuplicate.REPLACE)
    for number in range(3):
        await store(backend, dicom(PatientID=f"P{number}"))
    await backend.delete(Resource("1.1"))
    await backend.aclose()
    assert len(blobs(root)) == 3
    again = await rebuilt(root)
    assert await sops(again) == [] and await answers(again, Resource("1.1")) == ["Gone"]
    await again.aclose()


async def test_of_two_versions_the_later_one_counts_whatever_came_back_in_between(root: Path) -> None:
    backend = LocalStore(root, on_duplicate=OnDuplicate.REPLACE)
    for number in range(3):
        await store(backend, dicom(PatientID=f"P{number}"))
    await backend.delete(Resource("1.1"))
    for number in (7, 8):
        await store(backend, dicom(PatientID=f"P{number}"))
    await backend.aclose()
    again = await rebuilt(root)
    assert await content(again) == dicom(PatientID="P8")
    await again.aclose()


async def test_a_delete_that_was_only_begun_counts(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = await filled(root)

    def fail(*_: object) -> None:
        raise ValueError("died")

    monkeypatch.setattr("gateway.backends.local.transactions.delete", fail)
    with pytest.raises(ValueError, match="died"):
        await backend.delete(Resource("1.2"))
    monkeypatch.undo()
    await backend.aclose()
    again = await rebuilt(root)
    assert len(await sops(again)) == 4 and await answers(again, Resource("1.2")) == ["Gone"]
    await again.aclose()


async def test_no_number_is_handed_out_twice(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = await filled(root)
    await backend.delete(Resource("1.2"))
    await backend.aclose()
    blob(root, 5).unlink()  # collected; only the tombstone knows of it
    again = await rebuilt(root)
    await store(again, dicom("1.5", "1.5.1", "1.5.1.1"))
    assert blobs(root)[-1] == "000000006.dcm"
    await again.aclose()


async def test_what_is_garbage_is_unlinked_by_the_next_server(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "COLLECT_SECONDS", 0.01)
    backend = LocalStore(root, on_duplicate=OnDuplicate.REPLACE)
    await store(backend, dicom(), dicom(PatientID="P2"), dicom("1.2", "1.2.1", "1.2.1.1"))
    monkeypatch.setattr(housekeeping, "COLLECT_SECONDS", 100.0)
    await backend.delete(Resource("1.2"))
    await backend.aclose()
    shutil.copy(blob(root, 2), blob(root, 4))  # the same bytes twice, as no store would leave them
    again = await rebuilt(root)
    db = schema.connect(root / "index.sqlite", read_only=True)
    assert [generation for (generation,) in db.execute("SELECT generation FROM garbage")] == [1, 3, 4]
    db.close()
    assert fsck(root).problems == ()
    await again.aclose()


async def test_files_that_are_no_instances_any_more_are_named_and_left(root: Path) -> None:
    await (await filled(root)).aclose()
    os.truncate(blob(root, 2), 200)
    blob(root, 3).write_bytes(b"")
    done = rebuild_index(root)
    assert done.instances == 3
    assert [name for name, _ in done.refused] == ["000000002.dcm", "000000003.dcm"]
    assert len(blobs(root)) == 5
    again = LocalStore(root)
    assert await sops(again) == ["1.1.1.1", "1.1.2.2", "1.2.1.1"]
    await again.aclose()


async def test_limits_of_structure_are_those_it_was_given(root: Path) -> None:
    await (await filled(root)).aclose()
    done = rebuild_index(root, limits=Limits(elements=5))
    assert done.instances == 0 and all("limits.elements" in why for _, why in done.refused)


async def test_a_header_beyond_the_first_window_is_read_on(root: Path) -> None:
    backend = LocalStore(root)
    data = dicom(PatientComments="x" * 10_000)
    long = samples.pictured(samples.identified(), samples.counted(32))
    long.add_new(0x00091010, "OB", bytes(300_000))  # before the UIDs of study and series
    await store(backend, data, samples.written(long))
    await backend.aclose()
    assert rebuild_index(root).instances == 2


async def test_a_store_in_use_is_not_rebuilt(root: Path) -> None:
    backend = await filled(root)
    with pytest.raises(StoreUnavailable, match="stop it first"):
        rebuild_index(root)
    assert len(await sops(backend)) == 5 and len((await store(backend, dicom("1.9", "1.9.1", "1.9.1.1"))).stored) == 1
    await backend.aclose()
    assert not (root / "index.sqlite.old").exists()


@pytest.mark.parametrize("step", range(5))
async def test_dying_at_any_step_of_the_exchange_loses_nothing(root: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Either index is whole, or there is none and the next start says so: it never runs on half of one."""
    backend = await filled(root)
    copies = {path.name: path.read_bytes() for path in root.glob("index.sqlite*")}
    await backend.aclose()
    for name, data in copies.items():
        (root / name).write_bytes(data)
    replace = Path.replace
    done: list[str] = []

    def dying(self: Path, target: Path) -> Path:
        if len(done) == step:
            raise KeyboardInterrupt
        done.append(self.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", dying)
    try:
        rebuild_index(root)
    except KeyboardInterrupt:
        monkeypatch.undo()
    try:
        again = LocalStore(root)
    except StoreUnavailable:
        assert rebuild_index(root).instances == 5
        again = LocalStore(root)
    assert len(await sops(again)) == 5 and len(blobs(root)) == 5
    await again.aclose()
