"""The deletion of a study or a series."""

from __future__ import annotations

import asyncio

from gateway.backends.operations.work import Done, Job, Running
from gateway.backends.projects import Projects
from gateway.dicomweb.resources import Resource
from gateway.errors import Gone
from gateway.healthcare.names import StoreName
from gateway.healthcare.operations import Counter

KIND = "delete"


def deletion(store: StoreName, resource: Resource) -> Job:
    """What the operation of a deletion is for."""
    return Job(KIND, store, {"study": resource.study, "series": resource.series})


def study_of(job: Job) -> str:
    """The study that loses instances by it."""
    return str(job.about["study"])


class Deleting:
    """A store deletes all at once, so there is nothing to stop in between."""

    stops = False

    def __init__(self, projects: Projects) -> None:
        self._projects = projects

    async def work(self, running: Running) -> Done:
        """Deletes it.

        :raises GatewayError: when it is not there, or the store does not let it go.
        """
        job = running.job
        resource = Resource(job.about["study"], job.about["series"])
        backend = await self._projects.backend(job.store)
        try:
            deleted = await backend.delete(resource)
        except Gone:  # the process that began it had done it
            return Done(Counter(success=1))
        registry = await self._projects.registry()
        await asyncio.to_thread(registry.classes.forget, await self._projects.place(job.store), resource)
        return Done(Counter(success=deleted))
