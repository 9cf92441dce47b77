"""Webhooks: one POST a message, in the shape in which Pub/Sub pushes, with a signature.

    X-Gateway-Message-Id: 1795338437000123                  the same with each try: whoever has seen it drops it
    X-Gateway-Signature: t=1795338437,v1=<hex>              HMAC-SHA256 of "<t>.<body>" with the secret

The moment is signed, too: whoever refuses old ones cannot be shown an old message again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson
from yarl import URL

from gateway.backends.notifying.events import Kind, Message
from gateway.backends.notifying.sending import Answer, Caller, Outcome
from gateway.backends.upstream.credentials import SecretFile
from gateway.errors import GatewayError

SIGNATURE, MESSAGE_ID = "X-Gateway-Signature", "X-Gateway-Message-Id"

AGENT = {"User-Agent": "dicomweb-gateway"}


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook of the settings.

    :param secret: file with what bodies are signed with; None for no signature.
    :param in_flight: messages that it gets at once; those may arrive in any order among themselves.
    :param tls: whom to trust; None for the system's.
    """

    url: str
    secret: Path | None = None
    in_flight: int = 1
    tls: ssl.SSLContext | None = None


class Hook:
    """See `Receiver`. :param seconds: for a whole call."""

    kind: Kind = "webhook"

    def __init__(self, webhook: Webhook, seconds: float) -> None:
        self.limit = webhook.in_flight
        self._url = URL(webhook.url)
        self._secret = None if webhook.secret is None else SecretFile(webhook.secret)
        self._caller = Caller(seconds, webhook.tls)

    async def send(self, batch: Sequence[Message]) -> Outcome:
        """See `Receiver.send`."""
        try:
            secret = None if self._secret is None else await self._secret.get()
        except GatewayError:
            return Outcome(away="its secret_file cannot be read, or is empty")
        outcome = Outcome()
        answers = await asyncio.gather(*(self._post(one, secret) for one in batch))
        for message, answer in zip(batch, answers, strict=True):
            if answer.taken:
                outcome.sent.append(message.number)
            elif answer.away:
                outcome.away = answer.reason
                outcome.after = max(outcome.after or 0.0, answer.after or 0.0) or None
            else:
                outcome.refused[message.number] = answer.reason
        return outcome

    async def _post(self, message: Message, secret: str | None) -> Answer:
        body = orjson.dumps(message.pushed())
        headers = AGENT | {MESSAGE_ID: str(message.number)}
        if secret is not None:
            headers[SIGNATURE] = signature(secret, body, int(time.time()))
        return await self._caller.post(self._url, body, headers)

    async def aclose(self) -> None:
        """See `Receiver.aclose`."""
        await self._caller.aclose()


def signature(secret: str, body: bytes, moment: int) -> str:
    """What is sent along with a body. :param moment: seconds since the epoch."""
    digest = hmac.new(secret.encode(), b"%d." % moment + body, hashlib.sha256).hexdigest()
    return f"t={moment},v1={digest}"
