"""Jobs wait in line, run apart from each other, and a bad one harms nobody else; nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from gateway.errors import BadRequest, Busy
from gateway.pixels import pool as module
from gateway.pixels.exchange import DESCRIPTORS, INLINE
from gateway.pixels.pool import Pool
from gateway.pixels.work import Input, NotDrawable, Region, Result, Work
from tests import blocking
from tests.pixels.works import QUICK, Big, Crash, Echo, Fail, Hoard, Loop, Mad, Sleep, Talk

Opened = Callable[..., Pool]


@pytest.fixture(autouse=True)
def _blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    found = blocking.watch(monkeypatch)
    yield
    assert found == []


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    """Pools; when they are closed nothing of them is left: no process, no descriptor, no task."""
    pools: list[Pool] = []
    await asyncio.to_thread(int)  # the loop's thread and its descriptors
    before, tasks = descriptors(), asyncio.all_tasks()
    processes = {*children()}

    def open_one(**chosen: Any) -> Pool:
        settings: dict[str, Any] = {"command": QUICK, "seconds": 60.0, "memory": 1 << 30}
        pools.append(Pool(**settings | chosen))
        return pools[-1]

    yield open_one
    for pool in pools:
        await pool.aclose()
        assert pool._free == pool.processes or pool._line
    await asyncio.sleep(0)
    gc.collect()
    assert {*children()} <= processes
    assert descriptors() == before
    assert {task for task in asyncio.all_tasks() if "pool" in repr(task.get_coro())} <= tasks


def descriptors() -> int:
    return sum(path.exists() for path in Path("/proc/self/fd").iterdir())


def children() -> Iterator[int]:
    """Processes that this one started and did not reap, zombies among them."""
    for task in Path("/proc/self/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


async def begun(sign: Path, number: int = 1) -> list[int]:
    """Waits until so many jobs have left a sign; their processes."""
    while not sign.exists() or len(sign.read_text().splitlines()) < number:
        await asyncio.sleep(0.01)
    return [int(line) for line in sign.read_text().splitlines()]


async def all_of(*jobs: Awaitable[Result]) -> list[Result | BaseException]:
    return await asyncio.gather(*jobs, return_exceptions=True)


# -- what it is for


async def test_it_costs_nothing_before_the_first_job(opened: Opened) -> None:
    before = [*children()]
    opened()
    assert [*children()] == before


@pytest.mark.parametrize("size", [3, INLINE + 1, 2 << 20])
async def test_bytes_go_and_come_back(opened: Opened, size: int) -> None:
    content = os.urandom(size)
    result = await opened().run(Echo("hello"), [[content], [b"x"]])
    assert (result.facts["said"], result.facts["lengths"], result.length) == ("hello", [size, 1], size + 1)
    assert await asyncio.to_thread(result.read) == content + b"x"


async def test_places_in_files_go_as_descriptors_however_many(opened: Opened, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"0123456789")
    files = [os.open(tmp_path / "a", os.O_RDONLY) for _ in range(DESCRIPTORS + 1)]
    inputs: list[Input] = [[Region(one, 3, 2)] for one in files]
    try:
        pool = opened()
        assert (await pool.run(Echo(), inputs[:1])).read() == b"34"
        assert (await pool.run(Echo(), inputs)).read() == b"34" * (DESCRIPTORS + 1)
    finally:
        for one in files:
            os.close(one)


async def test_a_process_that_has_nothing_to_do_takes_the_next_job(opened: Opened) -> None:
    pool = opened(processes=4)
    assert len({(await pool.run(Echo())).facts["pid"] for _ in range(5)}) == 1


async def test_jobs_run_beside_each_other_and_never_more_than_there_are_places(opened: Opened, tmp_path: Path) -> None:
    pool, sign = opened(processes=2), tmp_path / "sign"
    jobs = asyncio.gather(*(pool.run(Sleep(0.3, str(sign))) for _ in range(5)))
    await begun(sign, 2)
    assert value("gateway_pixel_waiting_jobs") == 3
    assert value("gateway_pixel_processes") == 2
    await jobs
    assert len({*await begun(sign, 5)}) == 2
    assert value("gateway_pixel_waiting_jobs") == 0


async def test_jobs_begin_in_the_order_in_which_they_came(opened: Opened) -> None:
    pool, order = opened(), list[int]()

    async def one(number: int) -> None:
        await pool.run(Echo())
        order.append(number)

    await asyncio.gather(*map(one, range(20)))
    assert order == [*range(20)]


# -- bad jobs


@pytest.mark.parametrize(
    ("work", "says", "end"),
    [
        (Fail("undoable"), "^the syntax is not known$", "undoable"),
        (Fail("value"), "cannot be made sense of", "failed"),
        (Fail("panic"), "cannot be made sense of", "failed"),
        (Fail("exit"), "cannot be made sense of", "failed"),
        (Talk(1 << 20), "cannot be made sense of", "failed"),
        (Hoard(16 << 30), r"more memory .* 1024 MiB \(pixels.memory_bytes\)", "memory"),
        (Big(9 << 20), "more memory", "memory"),
        (Crash(), "crashed", "crashed"),
        (Fail("gone"), "crashed", "crashed"),
        (Mad(b"M"), "crashed", "crashed"),
        (Mad(b"R" + bytes(11) + b"\2{}"), "crashed", "crashed"),
        (Mad(b"M" + bytes(7) + b"\x09" + bytes(3) + b"\2{}", files=(8,)), "crashed", "crashed"),
        (Mad(b"M" + bytes(7) + b"\x09" + bytes(3) + b"\2{}", files=(9,), sealed=False), "crashed", "crashed"),
        (Mad(b"M" + bytes(7) + b"\x09" + bytes(3) + b"\2{}", files=(-1,)), "crashed", "crashed"),
    ],
    ids=lambda value: f"{value}"[:40],
)
async def test_a_bad_job_costs_itself(opened: Opened, work: Work, says: str, end: str) -> None:
    pool = opened(result=8 << 20)
    before = value("gateway_pixel_jobs_total", work="transcode", end=end)
    with pytest.raises(NotDrawable, match=says) as refused:
        await pool.run(work, kind="transcode")
    assert "DOE" not in refused.value.message
    assert value("gateway_pixel_jobs_total", work="transcode", end=end) == before + 1
    assert (await pool.run(Echo("next"))).facts["said"] == "next"


async def test_who_asks_for_what_does_not_go_with_the_pixels_is_told_so(opened: Opened) -> None:
    pool = opened()
    with pytest.raises(BadRequest, match=r"^the region is elsewhere$"):
        await pool.run(Fail("misasked"))
    assert (await pool.run(Echo("next"))).facts["said"] == "next"


async def test_one_that_speaks_when_nobody_asked_is_ended(opened: Opened) -> None:
    pool = opened()
    answer = b"M" + bytes(11) + b"\2{}"
    assert (await pool.run(Mad(answer, times=2))).facts == {}
    while pool._children:
        await asyncio.sleep(0.01)
    assert (await pool.run(Echo("next"))).facts["said"] == "next"


async def test_a_job_that_never_ends_is_ended_and_those_in_line_go_on(opened: Opened) -> None:
    pool = opened(seconds=2.0)
    bad, *good = await all_of(pool.run(Loop()), *(pool.run(Echo()) for _ in range(3)))
    assert isinstance(bad, NotDrawable) and "longer than 2 seconds" in bad.message
    assert all(isinstance(one, Result) for one in good)


async def test_a_crash_beside_eight_others_costs_none_of_them(opened: Opened, tmp_path: Path) -> None:
    pool, sign = opened(processes=3), tmp_path / "sign"
    others = [pool.run(Sleep(0.2, str(sign))) for _ in range(4)], [pool.run(Sleep(0.01)) for _ in range(4)]
    *good, bad = await all_of(*others[0], *others[1], pool.run(Crash()))
    assert isinstance(bad, NotDrawable)
    assert all(isinstance(one, Result) for one in good)


async def test_a_job_does_not_pay_for_what_an_earlier_one_did_to_its_process(opened: Opened, tmp_path: Path) -> None:
    pool, sign = opened(), str(tmp_path / "sign")
    first = (await pool.run(Echo())).facts["pid"]
    assert (await pool.run(Crash(once=sign))).facts["pid"] != first
    held = await pool.run(Hoard(600 << 20, keep=True))
    assert (await pool.run(Hoard(600 << 20))).facts["pid"] != held.facts["pid"]


async def test_one_that_is_killed_at_rest_is_replaced(opened: Opened) -> None:
    pool = opened()
    pid = (await pool.run(Echo())).facts["pid"]
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGKILL)
    assert (await pool.run(Echo())).facts["pid"] != pid


@pytest.mark.parametrize("command", [(sys.executable, "-c", "pass"), ("/there/is/no/such/command",)], ids=["ends", "missing"])
async def test_without_processes_the_gateway_is_busy(opened: Opened, command: tuple[str, ...]) -> None:
    pool = opened(command=command)
    for _ in range(2):
        with pytest.raises(Busy, match="no pixel process can be started"):
            await pool.run(Echo())


async def test_what_a_process_says_is_cut_to_a_line(opened: Opened) -> None:
    facts = b'{"message":"' + rb"\u001b[2J" + b"z" * 9_000 + b'"}'
    with pytest.raises(NotDrawable) as refused:
        await opened().run(Mad(b"U" + bytes(8) + len(facts).to_bytes(4, "big") + facts))
    assert refused.value.message == " [2J" + "z" * (module.LONGEST - 4)


# -- the line


async def test_who_finds_the_line_full_is_told_to_come_back(opened: Opened, tmp_path: Path) -> None:
    pool, sign = opened(queue=2), tmp_path / "sign"
    jobs = [asyncio.create_task(pool.run(Sleep(0.2, str(sign)))) for _ in range(3)]
    await begun(sign)
    before = value("gateway_pixel_jobs_total", work="survey", end="busy")
    with pytest.raises(Busy, match=r"pixels\.queue") as busy:
        await pool.run(Echo(), kind="survey")
    assert 1 <= busy.value.retry_after <= module.RETRY
    assert value("gateway_pixel_jobs_total", work="survey", end="busy") == before + 1
    await asyncio.gather(*jobs)
    await pool.run(Echo())


async def test_who_stops_waiting_leaves_the_line(opened: Opened, tmp_path: Path) -> None:
    pool, sign = opened(queue=2), tmp_path / "sign"
    running = asyncio.create_task(pool.run(Sleep(0.3, str(sign))))
    await begun(sign)
    for _ in range(5):
        waiting = [asyncio.create_task(pool.run(Echo())) for _ in range(2)]
        await asyncio.sleep(0)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)
    assert (await asyncio.gather(running, pool.run(Echo("a")), pool.run(Echo("b"))))[2].facts["said"] == "b"


async def test_a_turn_that_comes_to_one_who_just_left_goes_to_the_next(opened: Opened) -> None:
    pool = opened()
    await pool._turn()
    first, second = asyncio.create_task(pool._turn()), asyncio.create_task(pool._turn())
    await asyncio.sleep(0)
    pool._leave()
    first.cancel()
    await second
    assert first.cancelled() or await asyncio.wait([first])
    pool._leave()


# -- who does not wait


async def test_a_job_that_is_nearly_done_may_end_for_nobody(opened: Opened, tmp_path: Path) -> None:
    pool, sign = opened(), tmp_path / "sign"
    asked = asyncio.create_task(pool.run(Sleep(0.05, str(sign))))
    pid = (await begun(sign))[0]
    asked.cancel()
    assert (await pool.run(Echo())).facts["pid"] == pid


async def test_a_job_that_goes_on_for_nobody_is_ended_and_its_place_is_free(opened: Opened, tmp_path: Path) -> None:
    pool, sign = opened(), tmp_path / "sign"
    before = value("gateway_pixel_jobs_total", work="render", end="left")
    asked = asyncio.create_task(pool.run(Loop(str(sign))))
    pid = (await begun(sign))[0]
    asked.cancel()
    assert (await pool.run(Echo())).facts["pid"] != pid
    assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()
    assert value("gateway_pixel_jobs_total", work="render", end="left") == before + 1


async def test_who_leaves_while_a_process_starts_leaves_it_to_the_next(opened: Opened) -> None:
    pool = opened()
    asked = asyncio.create_task(pool.run(Echo()))
    await asyncio.sleep(0.01)
    asked.cancel()
    await asyncio.wait([asked])
    result = await pool.run(Echo())
    assert [child.pid for child in pool._children] == [result.facts["pid"]]


async def test_who_leaves_while_bytes_are_gathered_may_close_files_at_once(opened: Opened, tmp_path: Path) -> None:
    pool = opened()
    await pool.run(Echo())
    (tmp_path / "a").write_bytes(bytes(1 << 20))
    files = [os.open(tmp_path / "a", os.O_RDONLY) for _ in range(DESCRIPTORS + 1)]
    asked = asyncio.create_task(pool.run(Echo(), [[Region(one, 0, 1 << 20)] for one in files]))
    await asyncio.sleep(0.002)
    asked.cancel()
    await asyncio.wait([asked])
    for one in files:
        os.close(one)
    assert (await pool.run(Echo("next"))).facts["said"] == "next"


@pytest.mark.parametrize("after", [0, 0.002, 0.01, 0.1])
async def test_whenever_somebody_leaves_nothing_is_lost(opened: Opened, after: float) -> None:
    pool = opened(processes=2)
    asked = [asyncio.create_task(pool.run(Echo(), [[b"x" * INLINE * (number % 3)]])) for number in range(12)]
    await asyncio.sleep(after)
    for one in asked[::2]:
        one.cancel()
    await asyncio.wait(asked)
    assert [one.cancelled() or one.exception() for one in asked[1::2]] == [None] * 6
    await asyncio.gather(*(pool.run(Echo()) for _ in range(4)))
    while pool._free < 2:
        await asyncio.sleep(0.01)
    assert len(pool._children) <= 2


# -- at rest, and the end


async def test_processes_that_rest_for_long_end_but_for_one(opened: Opened, tmp_path: Path) -> None:
    pool, sign = opened(processes=3, idle=0.1), tmp_path / "sign"
    await asyncio.gather(*(pool.run(Sleep(0.3, str(sign))) for _ in range(3)))
    assert len({*await begun(sign, 3)}) == 3
    while len(pool._children) > 1:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.3)
    assert (await pool.run(Echo())).facts["pid"] in await begun(sign, 3)


async def test_the_end_waits_for_nobody(opened: Opened, tmp_path: Path) -> None:
    pool, sign = opened(processes=2), tmp_path / "sign"
    jobs = [asyncio.create_task(pool.run(Loop(str(sign)))) for _ in range(4)]
    pids = await begun(sign, 2)
    await pool.aclose()
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)
    for one in jobs:
        with pytest.raises(Busy, match="going down"):
            await one
    with pytest.raises(Busy, match="going down"):
        await pool.run(Echo())
    await pool.aclose()


async def test_the_end_may_come_while_a_process_starts(opened: Opened) -> None:
    pool = opened()
    asked = asyncio.create_task(pool.run(Echo()))
    await asyncio.sleep(0.01)
    await pool.aclose()
    with pytest.raises(Busy):
        await asked


GATEWAY = """
import asyncio
from gateway.pixels.pool import Pool
from tests.pixels.works import QUICK, Echo, Loop
async def main():
    pool = Pool(processes=2, command=QUICK)
    await asyncio.gather(pool.run(Loop({sign!r})), pool.run(Loop({sign!r})))
asyncio.run(main())
"""


async def test_a_gateway_that_is_killed_leaves_no_process_behind(tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    gateway = await asyncio.to_thread(subprocess.Popen, [sys.executable, "-c", GATEWAY.format(sign=str(sign))])
    pids = await begun(sign, 2)
    assert all(Path(f"/proc/{pid}").exists() for pid in pids)
    gateway.kill()
    await asyncio.to_thread(gateway.wait)
    while any(alive(pid) for pid in pids):
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Not for one that only waits for whoever inherits it to take note."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
