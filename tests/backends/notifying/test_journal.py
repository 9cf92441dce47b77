from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.backends.notifying import rows
from gateway.backends.notifying.journal import Journal
from gateway.dicomweb.resources import Resource
from gateway.errors import Busy, StoreUnavailable

ONE = Resource("1.1", "1.2", "1.3")


class News:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    made = Journal(tmp_path, 2, News())
    yield made
    await made.aclose()


def news(journal: Journal) -> int:
    assert isinstance(journal.news, News)
    return journal.news.count


async def left(journal: Journal) -> tuple[int, int]:
    """Intents and messages."""
    return len(await journal.outbox.read(rows.intents)), len(await journal.outbox.read(rows.letters))


async def test_an_intent_is_settled_by_what_was_changed(journal: Journal) -> None:
    intent = await journal.intend("store", ("a",), [ONE], "StoreInstances")
    assert (await left(journal), news(journal)) == ((1, 0), 0)
    assert (await journal.outbox.read(rows.intents))[0].owner == (await journal.owners()).me
    await journal.settle(intent, [ONE])
    assert (await left(journal), news(journal)) == ((0, 1), 1)
    await journal.settle(await journal.intend("store", ("a",), [ONE], "StoreInstances"), [])
    assert (await left(journal), news(journal)) == ((0, 1), 1)


async def test_where_there_is_no_room_nobody_is_asked_again_at_once(journal: Journal) -> None:
    await journal.intend("store", ("a", "b"), [ONE], "StoreInstances")
    journal.check_room()
    with pytest.raises(Busy):
        await journal.intend("store", ("a",), [ONE], "StoreInstances")
    with pytest.raises(Busy):
        journal.check_room()


async def test_a_change_that_was_made_stays_made_when_the_outbox_fails(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    intent = await journal.intend("store", ("a",), [ONE], "StoreInstances")

    def failing(*_: object, **__: object) -> int:
        raise StoreUnavailable("broken")

    monkeypatch.setattr(rows, "settle", failing)
    await journal.settle(intent, [ONE])
    assert journal.abandoned == {intent}
    assert await left(journal) == (1, 0)


async def test_who_leaves_while_it_is_written_leaves_no_intent_alone(journal: Journal) -> None:
    await journal.owners()
    asking = asyncio.create_task(journal.intend("store", ("a",), [ONE], "StoreInstances"))
    while not journal.outbox.begun:
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    (known,) = await journal.outbox.run(rows.intents)
    assert journal.abandoned == {known.number} and news(journal) == 1


async def test_what_can_be_done_twice_is_just_added(journal: Journal) -> None:
    await journal.add("store", ("a", "b"), [Resource("1.1")], "SetBlobSettings", {"storageClass": "ARCHIVE"})
    first, second = await journal.outbox.read(rows.letters)
    assert first.message.extra == {"storageClass": "ARCHIVE"} and second.message.target == "b"
    assert news(journal) == 1
