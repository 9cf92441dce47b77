"""What those who work at an operation see of it, and what others see of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.backends.operations.operating import Operating
from gateway.backends.operations.work import Done, Job, Running
from gateway.backends.registry.datasets import Page
from gateway.errors import BadRequest, Forbidden
from gateway.healthcare.names import operation_name
from gateway.healthcare.operations import Counter
from tests.backends.registered import D, S, ended, filled, opened


class Steps:
    """Works through ten steps, as often as it is asked; waits at the fifth until it is let."""

    def __init__(self, *, stops: bool = True, fails: Exception | None = None) -> None:
        self.stops = stops
        self.begun: list[tuple[int, str]] = []
        self.waiting = asyncio.Event()
        self.let = asyncio.Event()
        self._fails = fails

    async def work(self, running: Running) -> Done:
        self.begun.append((running.counter.success, running.reached))
        for step in range(int(running.reached or 0), 10):
            if step == 5:
                self.waiting.set()
                await self.let.wait()
                if self._fails is not None:
                    raise self._fails
            await running.tell(Counter(success=step + 1, pending=9 - step), str(step + 1))
        return Done(Counter(success=10), response={"said": running.job.about["word"]}, response_type="a.B")


JOB = Job("steps", S, {"word": "x"})


def test_what_an_operation_is_for_survives_being_written() -> None:
    assert Job.of(JOB.text()) == JOB
    with pytest.raises(BadRequest):
        Job.of('{"kind": "steps", "store": "projects/p/dicomStores/s", "about": {}}')


async def test_a_kind_tells_how_far_it_is_and_ends_with_its_answer(tmp_path: Path) -> None:
    steps = Steps()
    async with opened(tmp_path) as projects:
        await filled(projects)
        operating = Operating(projects, {"steps": steps})
        running = await operating.run(JOB, "Step")
        await steps.waiting.wait()
        name = operation_name(D, running.name.rpartition("/")[2])
        assert (await operating.operation(name)).counter == Counter(success=5, pending=5)
        steps.let.set()
        done = await ended(operating, running)
        assert (done.error, done.response, done.response_type, done.counter) == (None, {"said": "x"}, "a.B", Counter(success=10))
        await operating.aclose()


async def test_the_next_process_goes_on_where_it_was_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        await filled(projects)
        first = Steps()
        gone = Operating(projects, {"steps": first})
        running = await gone.run(JOB, "Step")
        await first.waiting.wait()
        await gone.aclose()
    async with opened(tmp_path) as projects:
        second = Steps()
        second.let.set()
        operating = Operating(projects, {"steps": second})
        await operating.begin()
        assert (await ended(operating, running)).counter == Counter(success=10)
        assert (first.begun, second.begun) == ([(0, "")], [(5, "5")])
        await operating.aclose()


async def test_what_others_have_ended_stops(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        await filled(projects)
        steps = Steps()
        operating = Operating(projects, {"steps": steps})
        begun = await operating.run(JOB, "Step")
        await steps.waiting.wait()
        operations = (await projects.registry()).operations
        running = Running(operations.under_way()[0], JOB, operations)
        assert not await running.cancelled() and not await running.ended()
        await projects.delete_store(S)
        assert await running.cancelled() and await running.ended()
        done = await ended(operating, begun)
        assert done.error == {"code": 5, "message": "the DICOM store was deleted meanwhile"} and not done.cancelled
        assert (done.counter.success, done.counter.failure) == (5, 1)
        await operating.aclose()


@pytest.mark.parametrize(("stops", "reached"), [(True, 5), (False, 6)])
async def test_who_is_asked_to_stop_does_so_at_once_or_with_the_next_step(tmp_path: Path, stops: bool, reached: int) -> None:
    steps = Steps(stops=stops)
    async with opened(tmp_path) as projects:
        await filled(projects)
        operating = Operating(projects, {"steps": steps})
        running = await operating.run(JOB, "Step")
        await steps.waiting.wait()
        await operating.cancel(operation_name(D, running.name.rpartition("/")[2]))
        if not stops:
            steps.let.set()
        done = await ended(operating, running)
        assert done.cancelled and done.error is not None and (done.error["code"], done.counter.success) == (1, reached)
        await operating.aclose()


async def test_what_cannot_be_done_ends_with_its_error_and_a_fault_with_no_secrets(tmp_path: Path) -> None:
    for error, expected in ((Forbidden("not there"), (7, "not there")), (ZeroDivisionError("Doe^John"), (13, "an error of the gateway"))):
        steps = Steps(fails=error)
        steps.let.set()
        async with opened(tmp_path / expected[1]) as projects:
            await filled(projects)
            operating = Operating(projects, {"steps": steps})
            done = await ended(operating, await operating.run(JOB, "Step"))
            assert done.error is not None and done.error["code"] == expected[0] and done.error["message"].startswith(expected[1])
            assert done.counter == Counter(success=5, pending=5)
            assert len(await operating.operations(D, Page())) == 2
            await operating.aclose()
