"""An operation as whoever works at it sees it: what it is for, how far it is, and whether it may go on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

from gateway.backends.registry.operations import Begun, Operations
from gateway.errors import NotFound
from gateway.healthcare.names import StoreName, parsed_store_name
from gateway.healthcare.operations import Counter, Operation


@dataclass(frozen=True, slots=True)
class Job:
    """What an operation is for, as the registry keeps it.

    :param kind: the name of the work. :param store: where it is done.
    :param about: what that kind needs to know, as JSON has it.
    """

    kind: str
    store: StoreName
    about: Mapping[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """For the registry."""
        return orjson.dumps({"kind": self.kind, "store": str(self.store), "about": dict(self.about)}).decode()

    @classmethod
    def of(cls, text: str) -> Job:
        """The opposite of `text`."""
        told = orjson.loads(text)
        return cls(told["kind"], parsed_store_name(told["store"]), told["about"])


@dataclass(frozen=True, slots=True)
class Done:
    """How an operation ended.

    :param error: google.rpc.Status, when not all of it could be done.
    :param response: fields of what came of it, and their type.
    """

    counter: Counter
    error: Mapping[str, Any] | None = None
    response: Mapping[str, Any] = field(default_factory=dict)
    response_type: str = "google.protobuf.Empty"


class Cancelled(Exception):
    """Somebody asked an operation to stop."""


class Running:
    """An operation that is under way in this process."""

    def __init__(self, begun: Begun, job: Job, operations: Operations) -> None:
        self.name = begun.name
        self.job = job
        self.counter = begun.counter
        """What is done, by this process and those before it."""
        self.reached = begun.reached
        """How far it is, in words of its kind; empty at the beginning."""
        self._operations = operations

    async def tell(self, counter: Counter, reached: str = "") -> None:
        """Keeps how far it is, for those who ask and for a process that takes it up again.

        :raises Cancelled: when it is to stop.
        """
        self.counter, self.reached = counter, reached
        if not await asyncio.to_thread(self._operations.progress, self.name, counter, reached):
            raise Cancelled

    async def cancelled(self) -> bool:
        """Whether it is to stop: somebody asked for it, or ended it."""
        found = await self._found()
        return found is None or found.cancelled or found.ended is not None

    async def ended(self) -> bool:
        """Whether others have ended it, who deleted what it was about."""
        found = await self._found()
        return found is None or found.ended is not None

    async def _found(self) -> Operation | None:
        try:
            return await asyncio.to_thread(self._operations.operation, self.name)
        except NotFound:
            return None


class Kind(Protocol):
    """A kind of work. It may be begun anew, by another process, at what was told last; so whatever it does can be done twice."""

    @property
    def stops(self) -> bool:
        """Whether it can be cancelled between two of its steps; else it is done when somebody asks."""

    async def work(self, running: Running) -> Done:
        """Does it.

        :raises GatewayError: when it cannot be done, which ends the operation with that error.
        """
