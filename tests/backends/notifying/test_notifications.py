"""From a store to its receivers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.backends.base import Backend
from gateway.backends.memory import MemoryBackend
from gateway.backends.notifying import rows
from gateway.backends.notifying.events import Target, webhook_key
from gateway.backends.notifying.notifications import Notifications
from gateway.backends.notifying.outbox import FILE
from gateway.backends.notifying.webhooks import Webhook
from gateway.errors import Busy
from tests.backends.made import dicom, named, store, study
from tests.backends.notifying.receivers import FAST, SECRET, TOPIC, Receivers, receiving

NAME = "projects/local/locations/local/datasets/default/dicomStores/default"
TO_TOPIC = (Target(TOPIC),)


def hooked(receivers: Receivers) -> tuple[Target, ...]:
    return (Target(webhook_key(receivers.hook)),)


def made(folder: Path, receivers: Receivers, *, waiting: int = 1000, keep: float = 1e6, attempts: int = 3) -> Notifications:
    secret = folder / "secret"
    secret.write_text(SECRET)
    webhooks: Mapping[str, Webhook] = {webhook_key(receivers.hook): Webhook(receivers.hook, secret)}
    pace = replace(FAST, keep=keep, attempts=attempts)
    return Notifications(folder / "outbox", webhooks=webhooks, pubsub=receivers.url, waiting=waiting, seconds=5, pace=pace)


@asynccontextmanager
async def begun(notifications: Notifications, backend: Backend) -> AsyncIterator[Notifications]:
    async def find(name: str) -> Backend:
        return backend

    await notifications.begin(find)
    try:
        yield notifications
    finally:
        await notifications.aclose()


@pytest.mark.parametrize("which", ["webhook", "pubsub"])
async def test_what_is_stored_and_deleted_is_told_in_order(tmp_path: Path, which: str) -> None:
    inner = MemoryBackend()
    async with receiving() as receivers, begun(made(tmp_path, receivers), inner) as notifications:
        backend = notifications.around(inner, NAME, TO_TOPIC if which == "pubsub" else hooked(receivers))
        for file in study():
            await store(backend, file)
        await backend.delete(named("1.1", "1.1.1", "1.1.1.1"))
        await backend.delete(named("1.1", "1.1.1"))
        await backend.delete(named("1.1"))
        await receivers.until(7)
    told = [(attributes["action"], name.removeprefix(f"{NAME}/dicomWeb")) for name, attributes in receivers.taken]
    assert told == [
        ("StoreInstances", "/studies/1.1/series/1.1.1/instances/1.1.1.1"),
        ("StoreInstances", "/studies/1.1/series/1.1.1/instances/1.1.1.2"),
        ("StoreInstances", "/studies/1.1/series/1.1.2/instances/1.1.2.1"),
        ("StoreInstances", "/studies/1.1/series/1.1.2/instances/1.1.2.2"),
        ("DeleteInstance", "/studies/1.1/series/1.1.1/instances/1.1.1.1"),
        ("DeleteSeries", "/studies/1.1/series/1.1.1"),
        ("DeleteStudy", "/studies/1.1"),
    ]
    versions = [int(attributes["versionId"]) for _, attributes in receivers.taken]
    assert versions == sorted(set(versions))
    assert receivers.faults == []
    assert len(receivers.signatures) == (7 if which == "webhook" else 0)
    assert len(set(receivers.ids)) == (7 if which == "webhook" else 0)


async def test_a_store_whose_changes_nobody_hears_of_opens_nothing(tmp_path: Path) -> None:
    inner = MemoryBackend()
    async with receiving() as receivers, begun(made(tmp_path, receivers), inner) as notifications:
        backend = notifications.made(inner, NAME, {"labels": {}, "notificationConfig": {"pubsubTopic": ""}})
        assert backend is inner
        await store(backend, dicom())
        assert not notifications.journal.outbox.begun
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


async def test_a_storm_of_errors_is_waited_out_and_nothing_is_lost(tmp_path: Path) -> None:
    inner = MemoryBackend()
    storm = [(503, {}), (429, {"Retry-After": "0"}), (500, {}), (408, {}), (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})]
    async with receiving() as receivers, begun(made(tmp_path, receivers), inner) as notifications:
        receivers.script = list(storm)
        await store(notifications.around(inner, NAME, TO_TOPIC), *study("1.1", instances=10))
        await receivers.until(20)
    assert receivers.instances == [f"1.1.{x}.{i}" for x in (1, 2) for i in range(1, 11)]
    assert receivers.calls == [20] * 6


async def test_a_webhook_that_is_down_is_told_when_it_is_back(tmp_path: Path) -> None:
    inner = MemoryBackend()
    async with receiving() as first:
        pass
    port = int(first.url.rpartition(":")[2])
    async with begun(made(tmp_path, first), inner) as notifications:
        backend = notifications.around(inner, NAME, (*hooked(first), *TO_TOPIC))
        for file in study("1.1", series=1, instances=5):
            await store(backend, file)
        while (depth := await notifications.journal.outbox.read(rows.depth))[0].messages != 5:
            await asyncio.sleep(0.01)
        assert [one.messages for one in depth] == [5, 5]
        async with receiving(port) as second:
            await second.until(10)
            hook = [attributes["sopInstanceUID"] for _, attributes in second.taken]
            assert sorted(hook) == sorted(2 * [f"1.1.1.{i}" for i in range(1, 6)])
            assert len(second.ids) == 5 and second.ids == sorted(second.ids)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(st.sampled_from([200, 500, 503, 429, 408, 404]), max_size=8), count=st.integers(1, 6))
async def test_each_arrives_and_in_order_as_far_as_nobody_refuses(
    tmp_path_factory: pytest.TempPathFactory, script: list[int], count: int
) -> None:
    inner = MemoryBackend()
    folder = tmp_path_factory.mktemp("some")
    async with receiving() as receivers, begun(made(folder, receivers, attempts=100), inner) as notifications:
        receivers.script = [(status, {}) for status in script if status != 200]
        refusals = script.count(404)
        backend = notifications.around(inner, NAME, hooked(receivers))
        for file in study("1.1", series=1, instances=count):
            await store(backend, file)
        await receivers.until(count)
    expected = [f"1.1.1.{i}" for i in range(1, count + 1)]
    assert sorted(receivers.instances) == expected
    assert receivers.instances == expected or refusals


async def test_what_is_refused_is_set_aside_and_holds_up_nobody(tmp_path: Path) -> None:
    inner = MemoryBackend()
    async with receiving() as receivers, begun(made(tmp_path, receivers), inner) as notifications:
        receivers.refuse = lambda attributes: attributes["sopInstanceUID"] == "1.1.1.2"
        await store(notifications.around(inner, NAME, (*TO_TOPIC, *hooked(receivers))), *study("1.1", series=1, instances=5))
        await receivers.until(8)
        async with asyncio.timeout(20):
            while not all(one.dead for one in await notifications.journal.outbox.read(rows.letters)):
                await asyncio.sleep(0.01)
        left = await notifications.journal.outbox.read(rows.letters)
        assert [(one.message.resource.instance, one.message.attempts) for one in left] == 2 * [("1.1.1.2", 3)]
        assert {one.reason for one in left} == {"it answered 400", "it answered 422"}
        receivers.refuse = lambda attributes: False
        assert await notifications.journal.outbox.run(lambda db: rows.revive(db, ())) == 2
        await receivers.until(10)


async def test_a_full_outbox_refuses_until_it_is_emptier(tmp_path: Path) -> None:
    inner = MemoryBackend()
    async with receiving() as receivers, begun(made(tmp_path, receivers, waiting=3), inner) as notifications:
        receivers.down = True
        backend = notifications.around(inner, NAME, TO_TOPIC)
        await store(backend, *study("1.1", series=1, instances=3))
        with pytest.raises(Busy, match=r"notifications\.waiting") as raised:
            await store(backend, dicom("1.2", "1.2.1", "1.2.1.1"))
        assert raised.value.retry_after == rows.RETRY_AFTER
        with pytest.raises(Busy):
            await backend.delete(named("1.1"))
        receivers.down = False
        await receivers.until(3)
        notifications.journal._full = 0.0
        assert len((await store(backend, dicom("1.2", "1.2.1", "1.2.1.1"))).stored) == 1
        await receivers.until(4)
    assert receivers.instances[-1] == "1.2.1.1"


async def test_what_nobody_took_for_days_is_given_up(tmp_path: Path) -> None:
    inner = MemoryBackend()
    async with receiving() as receivers:
        receivers.down = True
        first = made(tmp_path, receivers)
        await store(first.around(inner, NAME, TO_TOPIC), dicom())
        await first.aclose()
        async with begun(made(tmp_path, receivers, keep=0.0), inner) as second, asyncio.timeout(20):
            while await second.journal.outbox.read(rows.letters):
                await asyncio.sleep(0.01)


async def test_two_workers_tell_each_message_once(tmp_path: Path) -> None:
    inner = MemoryBackend()
    async with receiving() as receivers, begun(made(tmp_path, receivers), inner) as one, begun(made(tmp_path, receivers), inner) as two:
        backends = [worker.around(inner, NAME, hooked(receivers)) for worker in (one, two)]
        files = study("1.1", series=2, instances=10)
        await asyncio.gather(*(store(backends[number % 2], file) for number, file in enumerate(files)))
        await receivers.until(len(files))
        await one.stop()
        await store(backends[1], dicom("1.2", "1.2.1", "1.2.1.1"))
        await receivers.until(len(files) + 1)  # the other one leads now
    assert len(receivers.ids) == len(set(receivers.ids)) == len(files) + 1
    assert receivers.ids[:-1] == sorted(receivers.ids[:-1])


async def test_who_ends_sends_what_can_be_sent_at_once(tmp_path: Path) -> None:
    inner = MemoryBackend()
    async with receiving() as receivers:
        left = made(tmp_path, receivers)
        await store(left.around(inner, NAME, hooked(receivers)), *study("1.1", series=1, instances=20))
        await left.aclose()
        assert receivers.taken == []  # nobody began
        async with begun(made(tmp_path, receivers), inner) as notifications:
            await receivers.until(1)
            await notifications.stop()
            assert len(receivers.taken) == 20
        assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task() and "notifying" in repr(task.get_coro())]


async def test_a_webhook_that_the_settings_forgot_is_told_nothing(tmp_path: Path) -> None:
    inner = MemoryBackend()
    async with receiving() as receivers, begun(made(tmp_path, receivers), inner) as notifications:
        await store(notifications.around(inner, NAME, (Target(webhook_key("https://old.example/hook")),)), dicom())
        async with asyncio.timeout(20):
            while not (left := await notifications.journal.outbox.read(rows.letters))[0].dead:
                await asyncio.sleep(0.01)
    assert "no such webhook" in left[0].reason
    assert (tmp_path / "outbox" / FILE).exists()
