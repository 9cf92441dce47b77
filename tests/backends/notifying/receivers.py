"""Receivers of notifications: a webhook, and a Pub/Sub that checks each call as the real one does."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gateway.backends.notifying.delivering import Pace

TOPIC = "projects/p/topics/dicom"
SECRET = "squeamish ossifrage"
FAST = Pace(first=0.01, longest=0.05)

Answer = tuple[int, dict[str, str]]


@dataclass
class Receivers:
    """What was told, in the order in which it was taken.

    :param script: answers that come before anything is taken, first to last. :param refuse: messages that are refused for good.
    :param token: that Pub/Sub wants to be shown. :param faults: what was wrong with calls.
    """

    url: str = ""
    script: list[Answer] = field(default_factory=list)
    refuse: Callable[[dict[str, str]], bool] = lambda attributes: False
    token: str | None = None
    down: bool = False
    taken: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Data and attributes of each message."""
    ids: list[str] = field(default_factory=list)
    """Message ids at the webhook."""
    signatures: list[str] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    """Messages in each call, taken or not."""
    faults: list[str] = field(default_factory=list)
    bodies: list[dict[str, Any]] = field(default_factory=list)

    @property
    def hook(self) -> str:
        return f"{self.url}/hook"

    @property
    def host(self) -> str:
        return self.url.removeprefix("http://")

    def app(self) -> web.Application:
        app = web.Application(client_max_size=10_000_000)
        app.router.add_post("/hook", self._hook)
        app.router.add_post("/v1/{topic:projects/[^/]+/topics/[^/]+}:publish", self._publish)
        app.router.add_route("*", "/{rest:.*}", self._elsewhere)
        return app

    async def _elsewhere(self, request: web.Request) -> web.Response:
        self.faults.append(f"{request.method} {request.path}")
        return web.json_response({}, status=404)

    def _scripted(self) -> web.Response | None:
        if self.down:
            return web.json_response({"error": "PATIENT NAMES ARE SECRET"}, status=503)
        if self.script:
            status, headers = self.script.pop(0)
            return web.json_response({"error": {"code": status}}, status=status, headers=headers)
        return None

    async def _hook(self, request: web.Request) -> web.Response:
        body = await request.read()
        told = json.loads(body)
        self.calls.append(1)
        self._check_signature(request.headers.get("X-Gateway-Signature"), body)
        if (answer := self._scripted()) is not None:
            return answer
        message = told["message"]
        if set(told) != {"message"} or set(message) != {"data", "attributes", "messageId", "publishTime"}:
            self.faults.append(f"fields {told}")
        if request.headers["X-Gateway-Message-Id"] != message["messageId"]:
            self.faults.append("ids differ")
        if self.refuse(message["attributes"]):
            return web.json_response({}, status=422)
        self.ids.append(message["messageId"])
        self._take(message)
        return web.Response(status=204)

    def _check_signature(self, given: str | None, body: bytes) -> None:
        if given is not None:
            self.signatures.append(given)
            found = re.fullmatch(r"t=([0-9]+),v1=([0-9a-f]{64})", given)
            right = found and hmac.new(SECRET.encode(), f"{found[1]}.".encode() + body, hashlib.sha256).hexdigest()
            if not found or right != found[2]:
                self.faults.append("signature")

    async def _publish(self, request: web.Request) -> web.Response:
        body = await request.read()
        told = json.loads(body)
        self.bodies.append(told)
        self.calls.append(len(told.get("messages", ())))
        wanted = None if self.token is None else f"Bearer {self.token}"
        if request.headers.get("Authorization") != wanted:
            return web.json_response({"error": {"status": "UNAUTHENTICATED"}}, status=401)
        if (answer := self._scripted()) is not None:
            return answer
        if (fault := _fault(request, body, told)) or any(self.refuse(one["attributes"]) for one in told["messages"]):
            self.faults += [fault] if fault else []
            return web.json_response({"error": {"status": "INVALID_ARGUMENT"}}, status=400)
        for message in told["messages"]:
            self._take(message)
        return web.json_response({"messageIds": [str(number) for number in range(len(told["messages"]))]})

    def _take(self, message: dict[str, Any]) -> None:
        self.taken.append((base64.b64decode(message["data"], validate=True).decode(), message["attributes"]))

    @property
    def instances(self) -> list[str]:
        """SOP Instance UIDs that were told, in order."""
        return [attributes.get("sopInstanceUID", "") for _, attributes in self.taken]

    async def until(self, count: int, patience: float = 20.0) -> None:
        """Returns when so many were taken."""
        async with asyncio.timeout(patience):
            while len(self.taken) < count:
                await asyncio.sleep(0.005)


def _fault(request: web.Request, body: bytes, told: dict[str, Any]) -> str:
    """What Pub/Sub would not take of a call."""
    messages = told.get("messages", [])
    checks = {
        "content type": request.headers.get("Content-Type") == "application/json",
        "fields": set(told) == {"messages"},
        "number": 1 <= len(messages) <= 1000,
        "size": len(body) <= 10_000_000,
        "query": not request.query_string,
        "message": all(set(one) == {"data", "attributes"} for one in messages),
        "attributes": all(_plain(name, value) for one in messages for name, value in one["attributes"].items()),
    }
    return ", ".join(name for name, right in checks.items() if not right)


def _plain(name: str, value: Any) -> bool:
    return isinstance(value, str) and 0 < len(name) <= 256 and 0 < len(value.encode()) <= 1024 and not name.startswith("goog")


@asynccontextmanager
async def receiving(port: int = 0, receivers: Receivers | None = None) -> AsyncIterator[Receivers]:
    """Receivers on a loopback port."""
    receivers = receivers or Receivers()
    runner = web.AppRunner(receivers.app(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", port)
        await site.start()
        receivers.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield receivers
    finally:
        await runner.cleanup()
