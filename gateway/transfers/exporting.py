"""Instances of a store into a folder or bucket, as an operation (``dicomStores.export`` of the Cloud Healthcare API).

What was written lies at ``PREFIX/STUDY/SERIES/INSTANCE.dcm``, or as `forms` has it. A process that takes an export up again goes on
where the other one was, and writes a few files once more.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from gateway.backends.operations.work import Done, Job, Running
from gateway.backends.projects import Projects
from gateway.dicomweb.resources import Resource
from gateway.errors import BadRequest, NotFound
from gateway.healthcare.names import StoreName
from gateway.transfers.choosing import MAX_FILTER, Choosing, parse_filter
from gateway.transfers.conveyor import Conveyor
from gateway.transfers.forms import parse_form
from gateway.transfers.importing import told
from gateway.transfers.places import Places
from gateway.transfers.uris import Uri, parse_folder, parse_pattern
from gateway.transfers.writing import Writer

KIND = "export"


def exporting(store: StoreName, folder: Uri, form: str | None, chosen: Uri | None, base: str) -> Job:
    """What the operation of an export is for.

    :param form: ``mimeType``. :param chosen: a list of resources; None for the whole store.
    :param base: the URL of the store's DICOMweb, for what metadata refer to.
    """
    return Job(KIND, store, {"prefix": str(folder), "form": form, "filter": None if chosen is None else str(chosen), "base": base})


class Exporting:
    """A kind of work."""

    stops = True

    def __init__(self, projects: Projects, places: Places) -> None:
        self._projects = projects
        self._places = places

    async def work(self, running: Running) -> Done:
        """Writes the instances.

        :raises GatewayError: when the place or the store cannot be used at all.
        """
        async with self._places.turns:
            return await self._work(running)

    async def _work(self, running: Running) -> Done:
        about = running.job.about
        folder = parse_folder(about["prefix"], "gcsDestination.uriPrefix")
        wanted = await self._wanted(about["filter"])
        backend = await self._projects.backend(running.job.store)
        hands = await self._places.at(folder)
        try:
            conveyor = Conveyor(running)
            choosing = Choosing(backend, wanted)
            writer = Writer(backend, hands, folder, parse_form(about["form"]), base=about["base"])
            counter = await conveyor.run(writer.line(choosing, conveyor.after), writer.write, choosing.count)
        finally:
            hands.close()
        return Done(counter, error=told(counter.failure, conveyor.notes, "instance"))

    async def _wanted(self, text: str | None) -> Sequence[Resource]:
        if text is None:
            return ()
        uri = parse_pattern(text, "filterConfig.resourcePathsGcsUri").uri
        hands = await self._places.at(uri)
        try:
            return await asyncio.to_thread(parse_filter, await _whole(hands.reading(uri.name)))
        except NotFound as error:
            raise NotFound(f"filterConfig: {error.message}") from None
        finally:
            hands.close()


async def _whole(pieces: AsyncIterator[bytes]) -> bytes:
    data = bytearray()
    async for piece in pieces:
        data += piece
        if len(data) > MAX_FILTER:
            raise BadRequest(f"filterConfig: the list is longer than {MAX_FILTER >> 20} MiB")
    return bytes(data)
