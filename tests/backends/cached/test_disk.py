"""The tier on disk: it outlives its process, is shared, bounded, and notices what was damaged. No request fails for it."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from gateway.backends.cached import disk, files
from gateway.backends.cached.disk import PENDING, STEP, DiskTier
from gateway.backends.cached.entries import Head, Read
from gateway.backends.held import Held
from tests.backends.cached.behind import until

HEAD = Head("image/jpeg", "tag", False, None, 1)
BOUND = 1 << 20


def entry(data: bytes) -> Read:
    return Read("frames", 7, 1.5, HEAD, Held([data]))


def name(number: int) -> str:
    return f"{number:040x}"


def count(series: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"gateway_cache_{series}", labels) or 0


def on_disk(root: Path) -> int:
    return sum(path.stat().st_size for path in root.glob("??/*"))


def _idle(tier: DiskTier) -> bool:
    return not tier._pending


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
async def tier(root: Path) -> AsyncIterator[DiskTier]:
    made = DiskTier(root, BOUND)
    yield made
    await made.aclose()


async def put(tier: DiskTier, number: int, data: bytes) -> None:
    tier.put_soon(name(number), entry(data))
    await until(lambda: not tier._pending)


async def got(tier: DiskTier, number: int) -> bytes | None:
    found = await tier.get(name(number), in_memory=1 << 30)
    return None if found is None else found.held.read()


async def test_what_was_put_is_there_for_everybody_and_after_a_restart(tier: DiskTier, root: Path) -> None:
    await put(tier, 1, b"one")
    assert await got(tier, 1) == b"one"
    assert await got(tier, 2) is None
    other = DiskTier(root, BOUND)
    assert await got(other, 1) == b"one"
    await put(other, 1, b"newer")
    assert await got(tier, 1) == b"newer"
    await other.aclose()
    assert on_disk(root) < 4096


async def test_all_that_is_known_comes_back(tier: DiskTier) -> None:
    await put(tier, 1, b"one")
    found = await tier.get(name(1), in_memory=100)
    assert found is not None and (found.kind, found.stamp, found.made, found.head) == ("frames", 7, 1.5, HEAD)


async def test_the_bound_holds_and_what_was_used_last_stays(tier: DiskTier, root: Path) -> None:
    before = count("evicted_answers_total", tier="disk")
    for number in range(30):
        await put(tier, number, bytes(100_000))
        assert await got(tier, 0) is not None
        assert on_disk(root) <= BOUND
    there = [number for number in range(30) if await got(tier, number) is not None]
    assert there == [0, *range(30 - len(there) + 1, 30)] and len(there) == BOUND // files.room_of(100_000)
    assert count("evicted_answers_total", tier="disk") - before == 30 - len(there)
    assert count("disk_bytes", kind="frames") == len(there) * files.room_of(100_000)


async def test_what_is_too_large_is_not_kept(tier: DiskTier, root: Path) -> None:
    await put(tier, 1, b"one")
    await put(tier, 2, bytes(BOUND))
    assert (await got(tier, 1), await got(tier, 2)) == (b"one", None)


@pytest.mark.parametrize("in_memory", [0, 1 << 30])
@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
async def test_what_was_damaged_is_dropped(tier: DiskTier, root: Path, damage: str, in_memory: int) -> None:
    await put(tier, 1, bytes(10_000))
    path = next(root.glob("??/*"))
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[:-9], "changed": whole[:5_000] + b"x" + whole[5_001:], "empty": b""}[damage])
    before = count("lost_answers_total", loss="damaged")
    assert await tier.get(name(1), in_memory=in_memory) is None
    assert count("lost_answers_total", loss="damaged") == before + 1
    assert not path.exists()
    await put(tier, 1, b"again")
    assert await got(tier, 1) == b"again"


async def test_a_file_that_somebody_took_away_is_just_not_there(tier: DiskTier, root: Path) -> None:
    await put(tier, 1, b"one")
    next(root.glob("??/*")).unlink()
    assert await got(tier, 1) is None
    await put(tier, 1, b"again")
    assert await got(tier, 1) == b"again"


async def test_a_full_disk_keeps_nothing_and_fails_nothing(tier: DiskTier, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "no space left on device")

    before = count("lost_answers_total", loss="failed")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        await put(tier, 1, b"one")
    assert count("lost_answers_total", loss="failed") == before + 1
    assert await got(tier, 1) is None and list(root.glob("??/*")) == []
    await put(tier, 1, b"one")
    assert await got(tier, 1) == b"one"


async def test_too_many_that_wait_are_not_written(tier: DiskTier) -> None:
    before = count("lost_answers_total", loss="busy")
    for number in range(PENDING + 5):
        tier.put_soon(name(number), entry(b"data"))
    assert count("lost_answers_total", loss="busy") == before + 5
    await until(lambda: not tier._pending)
    assert await got(tier, PENDING - 1) == b"data" and await got(tier, PENDING) is None


# -- what is written while it arrives


async def test_a_large_one_is_written_in_parts_and_seen_when_it_is_whole(tier: DiskTier, root: Path) -> None:
    part = await tier.begin(name(1), "bulkdata", 300_000)
    assert part is not None
    for number in range(3):
        assert await tier.add(part, [bytes([number]) * 100_000])
        assert await got(tier, 1) is None
    await tier.keep(part, entry(b""))
    tier.drop_soon(part)
    await until(lambda: not tier._pending)
    assert await got(tier, 1) == b"".join(bytes([number]) * 100_000 for number in range(3))
    assert len(list(root.glob("??/*"))) == 1


async def test_one_of_unknown_length_claims_room_as_it_grows(root: Path) -> None:
    tier = DiskTier(root, 3 * STEP)
    await put(tier, 1, b"old")
    part = await tier.begin(name(2), "bulkdata", None)
    assert part is not None
    piece = bytes(STEP // 2)
    for _ in range(4):
        assert await tier.add(part, [piece])
    await tier.keep(part, entry(b""))
    found = await tier.get(name(2), in_memory=0)
    assert found is not None and found.held.length == 2 * STEP and not found.held.small
    assert await got(tier, 1) == b"old"
    await tier.aclose()


async def test_one_that_outgrows_the_tier_is_given_up(root: Path) -> None:
    tier = DiskTier(root, STEP + (1 << 20))
    part = await tier.begin(name(1), "bulkdata", None)
    assert part is not None
    piece = bytes(STEP // 2)
    assert [await tier.add(part, [piece]) for _ in range(4)] == [True, True, False, False]
    await tier.keep(part, entry(b""))
    assert await got(tier, 1) is None and on_disk(root) == 0
    await tier.aclose()


async def test_one_that_breaks_off_leaves_nothing(tier: DiskTier, root: Path) -> None:
    part = await tier.begin(name(1), "bulkdata", 1000)
    assert part is not None and await tier.add(part, [b"half"])
    tier.drop_soon(part)
    tier.drop_soon(part)
    await until(lambda: not tier._pending)
    assert await got(tier, 1) is None and on_disk(root) == 0


async def test_one_that_had_to_make_room_while_it_was_written_is_not_kept(tier: DiskTier, root: Path) -> None:
    part = await tier.begin(name(1), "bulkdata", 500_000)
    assert part is not None and await tier.add(part, [bytes(1000)])
    await put(tier, 2, bytes(900_000))
    await tier.keep(part, entry(b""))
    tier.drop_soon(part)
    await until(lambda: not tier._pending)
    assert await got(tier, 1) is None and await got(tier, 2) is not None


async def test_what_a_killed_process_left_behind_goes_as_the_oldest_does(root: Path) -> None:
    killed = DiskTier(root, BOUND)
    part = await killed.begin(name(1), "bulkdata", 500_000)
    assert part is not None and await killed.add(part, [bytes(400_000)])
    tier = DiskTier(root, BOUND)
    for number in range(2, 12):
        await put(tier, number, bytes(100_000))
        assert on_disk(root) <= BOUND
    assert list(root.glob(f"00/{name(1)}*")) == []
    await tier.aclose()
    await killed.aclose()


# -- the folder


async def test_after_a_boot_it_starts_empty(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = DiskTier(root, BOUND)
    await put(first, 1, b"one")
    await first.aclose()
    monkeypatch.setattr(disk, "boot", lambda: b"another boot....")
    second = DiskTier(root, BOUND)
    assert await got(second, 1) is None and on_disk(root) == 0
    await put(second, 1, b"again")
    await second.aclose()
    third = DiskTier(root, BOUND)
    assert await got(third, 1) == b"again"
    await third.aclose()


def test_a_folder_that_holds_something_else_is_left_alone(root: Path) -> None:
    root.mkdir()
    (root / "thesis.txt").write_text("two years of work")
    with pytest.raises(FileExistsError, match="not a cache"):
        DiskTier(root, BOUND)
    assert (root / "thesis.txt").read_text() == "two years of work"


@pytest.mark.parametrize("what", ["folder", "files"])
async def test_a_folder_that_somebody_empties_is_filled_anew_by_all(root: Path, what: str) -> None:
    tiers = [DiskTier(root, BOUND) for _ in range(2)]
    await put(tiers[0], 1, b"one")
    for path in [root] if what == "folder" else list(root.iterdir()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for number, tier in enumerate(tiers, start=2):
        assert await got(tier, 1) is None
        await put(tier, number, bytes(BOUND // 2 - 10_000))
    tiers.append(DiskTier(root, BOUND))
    assert [await got(tier, number) is not None for tier in tiers for number in (2, 3)] == [True] * 6
    await put(tiers[2], 4, bytes(BOUND // 2 - 10_000))
    assert await got(tiers[0], 2) is None and on_disk(root) <= BOUND  # all of them keep one list
    for tier in tiers:
        await tier.aclose()


async def test_what_is_left_of_a_folder_that_was_emptied_while_it_was_written_is_taken_for_ours(tier: DiskTier, root: Path) -> None:
    await put(tier, 1, b"one")
    (root / "lock").unlink()
    other = DiskTier(root, BOUND)
    assert await got(other, 1) is None  # nobody knows under which stamps it was made
    await put(tier, 2, b"two")
    assert await got(other, 2) == b"two"
    await other.aclose()


@pytest.mark.parametrize("name", ["letter", "0a/letter", "index.sqlite.backup", "0a/1f/0123456789"])
def test_a_folder_that_holds_something_beside_what_is_ours_is_left_alone(root: Path, name: str) -> None:
    (root / name).parent.mkdir(parents=True)
    (root / name).write_text("dear")
    with pytest.raises(FileExistsError, match="not a cache"):
        DiskTier(root, BOUND)
    assert (root / name).read_text() == "dear"


async def test_two_processes_worth_of_tiers_at_once(root: Path) -> None:
    tiers = [DiskTier(root, BOUND) for _ in range(2)]

    async def work(number: int) -> None:
        for step in range(40):
            wanted = (number * 7 + step) % 12
            found = await got(tiers[number % 2], wanted)
            assert found in (None, bytes([wanted]) * 90_000)
            tiers[number % 2].put_soon(name(wanted), entry(bytes([wanted]) * 90_000))
            await asyncio.sleep(0)

    await asyncio.gather(*[work(number) for number in range(6)])
    for tier in tiers:
        await until(partial(_idle, tier))
    assert on_disk(root) <= BOUND
    for tier in tiers:
        await tier.aclose()


@pytest.mark.parametrize("wrong", [b"no database at all" * 1000, None])
async def test_an_index_that_is_none_any_more_is_made_anew(root: Path, wrong: bytes | None) -> None:
    first = DiskTier(root, 1 << 20)
    await put(first, 1, b"one")
    await first.aclose()
    for path in root.glob("index.sqlite*"):
        data = path.read_bytes()
        path.write_bytes(data[:100] + os.urandom(len(data)) if wrong is None else wrong)
    again = DiskTier(root, 1 << 20)
    try:
        assert await got(again, 1) is None
        await put(again, 1, b"one")
        assert await got(again, 1) == b"one"
    finally:
        await again.aclose()


def test_an_index_that_the_disk_refuses_is_said_to_be_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(disk, "Index", refuse)
    with pytest.raises(OSError, match="disk is full"):
        DiskTier(root, 1 << 20)
