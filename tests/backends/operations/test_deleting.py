"""Deletions as a kind of work; what clients see of them is in test_operating."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.backends.operations.deleting import Deleting, deletion, study_of
from gateway.backends.operations.work import Running
from gateway.backends.projects import Projects
from gateway.backends.registry.operations import Begun
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound
from gateway.healthcare.names import operation_name
from tests.backends.made import dicom, store
from tests.backends.registered import D, S, filled, opened


async def running(projects: Projects, resource: Resource) -> Running:
    job = deletion(S, resource)
    return Running(Begun(operation_name(D, "1"), "DeleteStudy", job.text()), job, (await projects.registry()).operations)


async def test_it_deletes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        backend = await filled(projects)
        await store(backend, dicom(study="1.9"))
        done = await Deleting(projects).work(await running(projects, Resource("1.1")))
        assert (done.error, done.counter.success) == (None, 1)
        assert len((await backend.search(Query("study"))).results) == 1


async def test_what_was_deleted_before_a_kill_counts_as_done(tmp_path: Path) -> None:
    async with opened(tmp_path) as projects:
        backend = await filled(projects)
        await backend.delete(Resource("1.1"))
        assert (await Deleting(projects).work(await running(projects, Resource("1.1")))).error is None
        with pytest.raises(NotFound):
            await Deleting(projects).work(await running(projects, Resource("7.7")))


def test_it_knows_which_study_takes_nothing_meanwhile() -> None:
    assert study_of(deletion(S, Resource("1.1", "1.2"))) == "1.1"
