from __future__ import annotations

import pytest

from gateway.backends.base import Matches
from gateway.backends.memory import MemoryBackend
from gateway.backends.notifying.resolving import happened
from gateway.backends.notifying.rows import Intent
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import OriginFailed
from tests.backends.made import named, store, study


def intent(action: str, *resources: Resource) -> Intent:
    return Intent(1, 2, "store", ("a",), action, resources)


async def test_what_is_there_was_stored() -> None:
    backend = MemoryBackend()
    await store(backend, *study("1.1"), *study("1.2"))
    there = [named("1.2", "1.2.1", "1.2.1.1"), named("1.1", "1.1.2", "1.1.2.2")]
    absent = [named("1.1", "1.1.1", "1.1.1.9"), named("1.3", "1.3.1", "1.3.1.1")]
    assert sorted(await happened(backend, intent("StoreInstances", *there, *absent)), key=str) == sorted(there, key=str)


async def test_many_are_looked_for_in_several_searches() -> None:
    backend = MemoryBackend()
    files = study("1.1", series=1, instances=230)
    await store(backend, *files)
    uids = [named("1.1", "1.1.1", f"1.1.1.{number}") for number in range(1, 260)]
    assert await happened(backend, intent("ImportDicomData", *uids)) == uids[:230]


@pytest.mark.parametrize("uids", [("1.1",), ("1.1", "1.1.1"), ("1.1", "1.1.1", "1.1.1.1")])
async def test_what_is_not_there_was_deleted(uids: tuple[str, ...]) -> None:
    backend = MemoryBackend()
    await store(backend, *study("1.1"), *study("1.2"))
    resource = named(*uids)
    deleting = intent({"study": "DeleteStudy", "series": "DeleteSeries", "instance": "DeleteInstance"}[resource.level], resource)
    assert await happened(backend, deleting) == []
    await backend.delete(resource)
    assert await happened(backend, deleting) == [resource]


async def test_a_store_that_does_not_tell_is_asked_later() -> None:
    class Down(MemoryBackend):
        async def search(self, query: Query) -> Matches:
            raise OriginFailed("down")

    with pytest.raises(OriginFailed):
        await happened(Down(), intent("StoreInstances", named("1.1", "1.1.1", "1.1.1.1")))
