"""JSON Patch of a study or series as a kind of work: each instance once, whatever is killed meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.base import Backend
from gateway.backends.operations.updating import Updating, update
from gateway.backends.operations.work import Cancelled, Done, Job, Running
from gateway.backends.projects import Projects
from gateway.backends.registry.operations import Begun
from gateway.dicomweb.resources import Resource
from gateway.errors import Conflict, NotFound
from gateway.healthcare.names import StoreName
from gateway.healthcare.operations import Counter
from tests.backends.made import content, dicom, found, store, study
from tests.backends.registered import D, S, opened

STUDY = Resource("1.1")
APPEND = [{"op": "add", "path": "/00081030/Value/0", "value": "x"}]
"""Twice is not once."""


class Killed(Exception):
    """The process is gone."""


class Dying(Running):
    """:ivar lives: how often it may tell before the process is killed, and whether it is then told."""

    lives = 1000
    told: list[tuple[Counter, str]]

    async def tell(self, counter: Counter, reached: str = "") -> None:
        self.told = [*getattr(self, "told", []), (counter, reached)]
        await super().tell(counter, reached)
        self.lives -= 1
        if not self.lives:
            raise Killed


async def nothing(_: StoreName) -> frozenset[str]:
    return frozenset()


async def begun(projects: Projects, job: Job, old: Running | None = None) -> Dying:
    operations = (await projects.registry()).operations
    name = operations.begin(D, "UpdateStudyMetadata", job.text(), 1) if old is None else old.name
    counter, reached = (Counter(), "") if old is None else (old.counter, old.reached)
    return Dying(Begun(name, "UpdateStudyMetadata", job.text(), counter, reached), job, operations)


async def filled(projects: Projects, files: Sequence[bytes]) -> Backend:
    await projects.create_dataset(D, {"timeZone": "UTC"}, "CreateDataset")
    await projects.create_store(S, {})
    backend = await projects.backend(S)
    await store(backend, *files)
    return backend


async def descriptions(backend: Backend) -> list[str]:
    return await found(backend, "instance", "00081030", includefield="00081030")


async def work(projects: Projects, running: Running) -> Done:
    return await Updating(projects, nothing).work(running)


async def test_every_instance_of_it_changes_and_nothing_else(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        files = [*study("1.1", StudyDescription="s"), *study("1.2", StudyDescription="s")]
        backend = await filled(projects, files)
        running = await begun(projects, update(S, STUDY, APPEND))
        done = await work(projects, running)
        assert (done.counter, done.error) == (Counter(4), None)
        assert sorted(await descriptions(backend)) == ["s"] * 4 + ["x"] * 4
        assert [counter.pending for counter, _ in running.told] == [4, 3, 2, 1]
        done = await work(projects, await begun(projects, update(S, Resource("1.2", "1.2.1"), APPEND)))
        assert done.counter == Counter(2)
        assert b"x\\s" in await content(backend, "1.2", "1.2.1", "1.2.1.1")


@pytest.mark.parametrize("lives", [1, 2, 3])
@pytest.mark.parametrize("stored", [False, True])
async def test_a_kill_costs_no_change_and_makes_none_twice(tmp_path: Path, lives: int, stored: bool) -> None:
    """:param stored: whether the instance that was told of last had been stored when the process was killed."""
    async with opened(tmp_path) as projects:
        backend = await filled(projects, study("1.1", StudyDescription="s"))
        job = update(S, STUDY, APPEND)
        dying = await begun(projects, job)
        dying.lives = lives
        with pytest.raises(Killed):
            await work(projects, dying)
        if stored:
            key = dying.reached.partition(" ")[0]
            series, _, sop = key.partition("/")
            await work(projects, await begun(projects, update(S, Resource("1.1", series), _only(sop))))
        done = await work(projects, await begun(projects, job, dying))
        assert (done.counter, done.error) == (Counter(4), None)
        for series, sop in (("1.1.1", "1.1.1.1"), ("1.1.1", "1.1.1.2"), ("1.1.2", "1.1.2.1"), ("1.1.2", "1.1.2.2")):
            assert b"x\\s" in (data := await content(backend, "1.1", series, sop)) and b"x\\x" not in data


def _only(sop: str) -> list[dict[str, Any]]:
    """The change for one instance alone: others fail a test, and stay as they are."""
    return [{"op": "test", "path": "/00080018", "value": {"vr": "UI", "Value": [sop]}}, *APPEND]


async def test_one_that_cannot_be_changed_costs_only_itself(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        files = [
            dicom(sop=f"1.1.1.{number}", PatientName="Canary", **({} if number == 2 else {"StudyDescription": "s"})) for number in (1, 2, 3)
        ]
        backend = await filled(projects, files)
        done = await work(projects, await begun(projects, update(S, STUDY, APPEND)))
        assert done.counter == Counter(2, 1) and done.error is not None
        assert (
            done.error["message"].startswith("1 of 3 instances could not be changed: operation 1") and "Canary" not in done.error["message"]
        )
        now = [await content(backend, "1.1", "1.1.1", f"1.1.1.{number}") for number in (1, 2, 3)]
        assert [b"x\\s" in data for data in now] == [True, False, True]


async def test_it_stops_between_two_instances_with_counters_that_are_true(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        backend = await filled(projects, study("1.1", StudyDescription="s"))
        running = await begun(projects, update(S, STUDY, APPEND))
        (await projects.registry()).operations.cancel(running.name)
        with pytest.raises(Cancelled):
            await work(projects, running)
        assert running.counter == Counter(pending=4)
        assert await descriptions(backend) == ["s"] * 4


async def test_it_needs_something_to_change_that_is_not_being_deleted(tmp_path: Path) -> None:
    async def all_of_it(_: StoreName) -> frozenset[str]:
        return frozenset({"1.1"})

    async with opened(tmp_path) as projects:
        await filled(projects, study("1.1"))
        with pytest.raises(NotFound):
            await work(projects, await begun(projects, update(S, Resource("9.9"), APPEND)))
        with pytest.raises(Conflict):
            await Updating(projects, all_of_it).work(await begun(projects, update(S, STUDY, APPEND)))


async def test_the_registry_forgets_what_was_changed_when_it_is_over(tmp_path: Path) -> None:
    """A change holds values of patients; operations are listed for a month."""
    async with opened(tmp_path) as projects:
        await filled(projects, study("1.1"))
        running = await begun(projects, update(S, STUDY, [{"op": "add", "path": "/00100010", "value": {"vr": "PN"}}]))
        registry = await projects.registry()
        assert "00100010" in registry.operations.under_way()[0].target
        registry.operations.end(running.name, Counter(4))
        assert registry.file.all("SELECT target, reached FROM operation WHERE number = ?", running.name.number) == [("", "")]
