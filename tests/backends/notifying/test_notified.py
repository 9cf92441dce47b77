from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.backends.base import Backend, Countable, StoreResult, Upload
from gateway.backends.memory import MemoryBackend
from gateway.backends.notifying import rows
from gateway.backends.notifying.events import Target, acting
from gateway.backends.notifying.journal import Journal
from gateway.backends.notifying.notified import Notified
from gateway.backends.policy import OnDuplicate
from gateway.errors import BadRequest, Busy, NotFound, OriginTimeout, StoreUnavailable
from tests.backends.made import content, dicom, named, query, store, study, uploads
from tests.backends.registered import on_disk

BOTH = (Target("projects/p/topics/few"), Target("projects/p/topics/all", bulk=True))


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    made = Journal(tmp_path / "outbox", 1000)
    yield made
    await made.aclose()


def around(inner: Backend, journal: Journal, targets: tuple[Target, ...] = BOTH[:1]) -> Notified:
    return Notified(inner, "store", targets, journal)


async def told(journal: Journal) -> list[tuple[str, str]]:
    """Action and last UID of each message."""
    messages = [one.message for one in await journal.outbox.read(rows.letters)]
    return [(one.action, one.resource.path.rpartition("/")[2]) for one in messages]


async def intents(journal: Journal) -> int:
    return len(await journal.outbox.read(rows.intents))


@pytest.mark.parametrize("policy", [OnDuplicate.SKIP, OnDuplicate.REJECT])
async def test_what_changed_nothing_is_not_told(journal: Journal, policy: OnDuplicate) -> None:
    backend = around(MemoryBackend(on_duplicate=policy), journal)
    await store(backend, dicom())
    await store(backend, dicom(), dicom("1.1", "1.1.1", "1.1.1.2"))
    await store(backend, dicom(PatientID="other"))
    assert await told(journal) == [("StoreInstances", "1.1.1.1"), ("StoreInstances", "1.1.1.2")]
    assert await intents(journal) == 0


async def test_a_store_on_disk_tells_a_duplicate_from_a_new_version(journal: Journal, tmp_path: Path) -> None:
    backend = around(await on_disk(tmp_path / "store"), journal)
    assert [one.known for one in (await store(backend, dicom())).stored] == [False]
    assert [one.known for one in (await store(backend, dicom())).stored] == [True]

    async def replacing() -> AsyncIterator[Upload]:
        async for one in uploads([dicom(PatientID="other")]):
            yield Upload(one.part, one.instance, one.body, replace=True)

    assert [one.known for one in (await backend.store(replacing())).stored] == [False]
    assert await told(journal) == [("StoreInstances", "1.1.1.1"), ("UpdateInstances", "1.1.1.1")]
    await backend.aclose()


async def test_everything_is_written_down_before_it_is_stored(journal: Journal) -> None:
    seen: list[int] = []

    class Looking(MemoryBackend):
        async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
            result = await super().store(uploads)
            seen.append(await intents(journal))
            seen.append(len(await told(journal)))
            return result

    await store(around(Looking(), journal), *study())
    assert seen == [1, 0] and len(await told(journal)) == 4


@pytest.mark.parametrize("error", [OriginTimeout("late"), asyncio.CancelledError()])
async def test_of_what_was_cut_off_the_intent_stays(journal: Journal, error: BaseException) -> None:
    class Cut(MemoryBackend):
        async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
            await super().store(uploads)
            raise error

        async def delete(self, resource: object) -> int:
            raise error

    backend = around(Cut(), journal)
    with pytest.raises(type(error)):
        await store(backend, dicom())
    with pytest.raises(type(error)):
        await backend.delete(named("1.1"))
    assert await intents(journal) == len(journal.abandoned) == 2
    assert await told(journal) == []


async def test_a_request_that_breaks_off_leaves_nothing(journal: Journal) -> None:
    async def broken() -> AsyncIterator[Upload]:
        async for one in uploads([dicom()]):
            yield one
        raise BadRequest("broken")

    inner = MemoryBackend()
    with pytest.raises(BadRequest):
        await around(inner, journal).store(broken())
    assert (await inner.search(query())).results == ()
    assert await intents(journal) == 0


async def test_where_nothing_can_be_written_down_nothing_is_changed(journal: Journal, tmp_path: Path) -> None:
    inner = MemoryBackend()
    await store(inner, dicom("1.9", "1.9.1", "1.9.1.1"))
    (tmp_path / "outbox").write_text("a file")
    backend = around(inner, journal)
    with pytest.raises(StoreUnavailable):
        await store(backend, dicom())
    with pytest.raises(StoreUnavailable):
        await backend.delete(named("1.9"))
    assert len((await inner.search(query())).results) == 1


async def test_deletes_are_told_by_what_they_deleted(journal: Journal) -> None:
    backend = around(MemoryBackend(), journal)
    await store(backend, *study())
    with pytest.raises(NotFound):
        await backend.delete(named("1.7"))
    with acting("DeleteStudy"):
        assert await backend.delete(named("1.1", "1.1.1")) == 2
    assert (await told(journal))[4:] == [("DeleteSeries", "1.1.1")]
    assert await intents(journal) == 0


async def test_an_import_is_told_to_those_who_want_to_hear_of_it(journal: Journal) -> None:
    with acting("ImportDicomData"):
        await store(around(MemoryBackend(), journal), dicom())
        assert not journal.outbox.begun
        await store(around(MemoryBackend(), journal, BOTH), dicom())
    assert await told(journal) == [("ImportDicomData", "1.1.1.1")]
    assert (await journal.outbox.read(rows.letters))[0].message.target == BOTH[1].key


async def test_a_full_outbox_takes_no_body(journal: Journal) -> None:
    journal._bound = 1
    backend = around(MemoryBackend(), journal)
    await store(backend, dicom())
    with pytest.raises(Busy):
        await store(backend, dicom("1.2", "1.2.1", "1.2.1.1"))

    async def counted() -> AsyncIterator[Upload]:
        async for one in uploads([dicom("1.2", "1.2.1", "1.2.1.1")]):
            taken.append(one)
            yield one

    taken: list[Upload] = []
    with pytest.raises(Busy):
        await backend.store(counted())
    assert taken == []


async def test_the_rest_is_the_store_itself(journal: Journal) -> None:
    backend = around(MemoryBackend(), journal)
    await store(backend, dicom())
    assert await content(backend) == dicom()
    assert len((await backend.search(query())).results) == 1
    assert (await backend.check()).ready
    tally = await backend.tally() if isinstance(backend, Countable) else None
    assert tally is not None and tally.instances == 1
    await backend.tell([named("1.1")], "SetBlobSettings", {"storageClass": "ARCHIVE"})
    assert (await told(journal))[-1] == ("SetBlobSettings", "1.1")
    await backend.aclose()
