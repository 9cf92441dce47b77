from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.backends.notifying.events import Message
from gateway.backends.notifying.pubsub import AT_ONCE, Topic, _body
from gateway.backends.upstream.credentials import Credentials, Nobody
from gateway.dicomweb.resources import Resource
from gateway.errors import OriginFailed
from tests.backends.notifying.receivers import TOPIC, Receivers, receiving
from tests.backends.notifying.test_events import STORE, message


class Giving(Nobody):
    """Credentials whose tokens are told beforehand."""

    def __init__(self, *tokens: str) -> None:
        self._left = list(tokens)

    async def headers(self) -> dict[str, str]:
        if not self._left:
            raise OriginFailed("No access token for the origin of store 'notifications': none.")
        return {"Authorization": f"Bearer {self._left[0]}"}

    async def refused(self) -> bool:
        self._left.pop(0)
        return bool(self._left)


def batch(count: int) -> list[Message]:
    return [replace(message("1.1", "1.2", f"1.3.{number}"), number=number) for number in range(count)]


def topic(receivers: Receivers, credentials: Credentials | None = None, name: str = TOPIC) -> Topic:
    return Topic(receivers.url + "/", name, credentials or Nobody(), 5)


async def test_a_batch_is_one_call() -> None:
    async with receiving() as receivers:
        to = topic(receivers)
        outcome = await to.send(batch(AT_ONCE))
        await to.aclose()
    assert (outcome.sent, receivers.calls, receivers.faults) == (list(range(AT_ONCE)), [AT_ONCE], [])
    assert receivers.instances == [f"1.3.{number}" for number in range(AT_ONCE)]


async def test_a_token_that_is_refused_is_renewed_once() -> None:
    async with receiving() as receivers:
        receivers.token = "new"
        to = topic(receivers, Giving("old", "new"))
        assert (await to.send(batch(2))).sent == [0, 1]
        outcome = await topic(receivers, Giving("old", "older")).send(batch(2))
        assert outcome.refused == {0: "it answered 401", 1: "it answered 401"}
        await to.aclose()


async def test_without_credentials_it_waits_and_says_why() -> None:
    async with receiving() as receivers:
        outcome = await topic(receivers, Giving()).send(batch(1))
    assert outcome.away is not None and "access token" in outcome.away
    assert receivers.calls == []


async def test_one_odd_message_is_found_and_the_others_go() -> None:
    async with receiving() as receivers:
        receivers.refuse = lambda attributes: attributes["sopInstanceUID"] == "1.3.5"
        to = topic(receivers)
        outcome = await to.send(batch(8))
        await to.aclose()
    assert (sorted(outcome.sent), list(outcome.refused)) == ([0, 1, 2, 3, 4, 6, 7], [5])
    assert receivers.instances == [f"1.3.{number}" for number in (0, 1, 2, 3, 4, 6, 7)]


async def test_who_goes_away_in_the_middle_has_what_it_took() -> None:
    async with receiving() as receivers:
        receivers.script = [(400, {}), (503, {"Retry-After": "4"})]
        to = topic(receivers)
        outcome = await to.send(batch(4))
        assert (outcome.sent, outcome.refused, outcome.after) == ([], {}, 4.0)
        await to.aclose()


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_topic_that_is_not_ours_refuses_all_in_one_call(status: int) -> None:
    async with receiving() as receivers:
        receivers.script = [(status, {})]
        to = topic(receivers)
        outcome = await to.send(batch(4))
        await to.aclose()
    assert (len(outcome.refused), receivers.calls) == (4, [4])


async def test_an_answer_that_names_too_few_is_none() -> None:
    async with receiving() as receivers:
        receivers.script = [(200, {})]
        to = topic(receivers)
        outcome = await to.send(batch(2))
        await to.aclose()
    assert outcome.sent == [] and outcome.away is not None


async def test_names_of_topics_are_quoted() -> None:
    async with receiving() as receivers:
        to = topic(receivers, name="projects/example.com:p/topics/a~b%2F..+c")
        assert (await to.send(batch(1))).sent == [0]
        await to.aclose()
    assert receivers.faults == []


def test_the_largest_batch_stays_below_pubsubs_limit() -> None:
    uid = "1." * 31 + "11"
    store = STORE.replace("/d/", f"/{'d' * 256}/").replace("Stores/s", f"Stores/{'s' * 256}").replace("projects/p", f"projects/{'p' * 100}")
    largest = replace(message("1"), store=store, resource=Resource(uid, uid, uid))
    assert len(_body([largest] * AT_ONCE)) < 10_000_000
