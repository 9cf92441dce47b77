"""Topics of Pub/Sub: its REST call ``POST /v1/projects/P/topics/T:publish``, many messages at once.

Where an emulator stands in for it (PUBSUB_EMULATOR_HOST) it is shown no credentials.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import orjson
from yarl import URL

from gateway.backends.notifying.events import Kind, Message
from gateway.backends.notifying.sending import Answer, Caller, Outcome
from gateway.backends.upstream.credentials import Credentials
from gateway.errors import GatewayError

SCOPE = "https://www.googleapis.com/auth/pubsub"
"""What is asked for: to publish, and nothing else of a project but its topics."""

AT_ONCE = 1000
"""Messages that one call takes, by Pub/Sub's own limit. One has 6 KiB at the very most, so they stay below its 10 MB."""

UNAUTHORIZED = 401
_ODD = (400, 413, 422)
"""Statuses for which one message of a batch may be to blame; others are about the topic."""


class Topic:
    """See `Receiver`.

    :param url: of Pub/Sub. :param name: ``projects/P/topics/T``.
    :param credentials: closed by whoever made them. :param seconds: for a whole call.
    """

    kind: Kind = "pubsub"
    limit = AT_ONCE

    def __init__(self, url: str, name: str, credentials: Credentials, seconds: float) -> None:
        self._url = URL(f"{url.rstrip('/')}/v1/{quote(name, safe='/:')}:publish", encoded=True)
        self._credentials = credentials
        self._caller = Caller(seconds)

    async def send(self, batch: Sequence[Message]) -> Outcome:
        """See `Receiver.send`. A batch that is refused is cut in two, until it is clear for which message."""
        try:
            answer = await self._publish(batch)
        except GatewayError as error:
            return Outcome(away=error.message)
        numbers = [one.number for one in batch]
        if answer.taken:
            if _acknowledged(answer.body) != len(batch):
                return Outcome(away="its answer does not say that it took all messages")
            return Outcome(sent=numbers)
        if answer.away:
            return Outcome(away=answer.reason, after=answer.after)
        if answer.status not in _ODD or len(batch) == 1:
            return Outcome(refused=dict.fromkeys(numbers, answer.reason))
        first = await self.send(batch[: len(batch) // 2])
        if first.away is not None:
            return first
        second = await self.send(batch[len(batch) // 2 :])
        return Outcome(first.sent + second.sent, first.refused | second.refused, second.away, second.after)

    async def _publish(self, batch: Sequence[Message]) -> Answer:
        """:raises GatewayError: there are no credentials."""
        body = await asyncio.to_thread(_body, batch)
        answer = await self._caller.post(self._url, body, await self._credentials.headers())
        if answer.status == UNAUTHORIZED and await self._credentials.refused():
            answer = await self._caller.post(self._url, body, await self._credentials.headers())
        return answer

    async def aclose(self) -> None:
        """See `Receiver.aclose`."""
        await self._caller.aclose()


def _body(batch: Sequence[Message]) -> bytes:
    return orjson.dumps({"messages": [one.published() for one in batch]})


def _acknowledged(body: bytes) -> int:
    try:
        answer: Any = orjson.loads(body)
        return len(answer["messageIds"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return 0
