"""A pixel process seen from the gateway: it answers, or what became of it is known at once."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from gateway.pixels.child import PASSED, Allowance, Child, Crashed, Late, start
from gateway.pixels.exchange import Parcel
from gateway.pixels.work import Result, Work
from tests import blocking
from tests.pixels.works import QUICK, Crash, Echo, Fail, Hoard, Loop, Sleep

ALLOWED = Allowance(seconds=60, memory=1 << 30, result=8 << 20)

Born = Callable[..., Awaitable[Child]]


@pytest.fixture(autouse=True)
def _blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    found = blocking.watch(monkeypatch)
    yield
    assert found == []


@pytest.fixture
async def gone() -> list[Child]:
    """Processes that ended while they had nothing to do."""
    return []


@pytest.fixture
async def born(gone: list[Child]) -> AsyncIterator[Born]:
    """Starts processes."""
    children: list[Child] = []

    async def started(allowed: Allowance = ALLOWED, command: Sequence[str] = QUICK) -> Child:
        child = Child(*await asyncio.to_thread(start, allowed, command), allowed, gone.append)
        children.append(child)
        await child.ready(60)
        return child

    yield started
    for child in children:
        child.end()
        await asyncio.to_thread(child.reap)
        assert not Path(f"/proc/{child.pid}").exists()


async def ask(child: Child, work: Work) -> Result:
    with closing(Parcel(work, [[b"abc"]])) as parcel:
        return (await child.ask(parcel))[1]


async def test_it_answers_and_counts_its_jobs(born: Born) -> None:
    child = await born()
    for number in range(3):
        result = await ask(child, Echo(str(number)))
        assert (result.facts["said"], result.facts["pid"], result.read()) == (str(number), child.pid, b"abc")
    assert (child.jobs, child.busy, child.spent) == (3, False, False)


async def test_one_that_runs_out_of_memory_is_spent(born: Born) -> None:
    child = await born()
    await ask(child, Hoard(16 << 30))
    assert child.spent


@pytest.mark.parametrize("work", [Crash(), Fail("gone")], ids=str)
async def test_a_crash_is_told_at_once_and_whether_it_was_the_first_job(born: Born, work: Work) -> None:
    fresh, used = await born(), await born()
    with pytest.raises(Crashed) as crashed:
        await ask(fresh, work)
    assert crashed.value.fresh
    await ask(used, Echo())
    with pytest.raises(Crashed) as crashed:
        await ask(used, work)
    assert not crashed.value.fresh


async def test_one_that_died_at_rest_is_told_of(born: Born, gone: list[Child]) -> None:
    child = await born()
    os.kill(child.pid, 9)
    while not gone:
        await asyncio.sleep(0.01)
    assert gone == [child]
    with pytest.raises(Crashed):
        await ask(child, Echo())


async def test_a_job_that_takes_too_long_is_late(born: Born) -> None:
    child = await born(Allowance(0.05, 1 << 30, 1))
    with pytest.raises(Late):
        await ask(child, Loop())
    assert child.busy


@pytest.mark.parametrize("command", [(sys.executable, "-c", "pass"), ("/bin/true",), (sys.executable, "-c", "1 / 0")], ids=str)
async def test_one_that_does_not_start_is_told_of(born: Born, command: Sequence[str]) -> None:
    with pytest.raises(Crashed):
        await born(command=command)


async def test_one_that_never_gets_ready_is_late() -> None:
    command = (sys.executable, "-c", "import time; time.sleep(60)")
    child = Child(*await asyncio.to_thread(start, ALLOWED, command), ALLOWED, lambda _: None)
    with pytest.raises(Late):
        await child.ready(0.01)
    child.end()
    await asyncio.to_thread(child.reap)


async def test_a_command_that_there_is_not_is_an_error_and_leaves_nothing_open() -> None:
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only their number counts
    with pytest.raises(FileNotFoundError):
        await asyncio.to_thread(start, ALLOWED, ("/there/is/no/such/command",))
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - only their number counts


async def left(child: Child, work: Sleep | Loop) -> None:
    """Stops waiting for a job that has begun."""
    asked = asyncio.create_task(ask(child, work))
    while not Path(work.sign).exists():
        await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked


async def test_an_answer_that_nobody_waits_for_leaves_a_process_for_the_next_job(born: Born, tmp_path: Path) -> None:
    child = await born()
    await left(child, Sleep(0.2, str(tmp_path / "sign")))
    assert await child.rest(60)
    assert not child.busy and await child.rest(0)
    assert (await ask(child, Echo("next"))).facts["said"] == "next"


async def test_one_that_goes_on_for_nobody_can_be_ended(born: Born, tmp_path: Path) -> None:
    child = await born()
    await left(child, Loop(str(tmp_path / "sign")))
    assert not await child.rest(0.05)


def test_what_is_passed_on_of_the_environment_names_no_secret() -> None:
    assert not any("GATEWAY_STORES__X__URL".startswith(name) for name in PASSED)
