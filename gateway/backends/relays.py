"""Projects and datasets that are bound to the real API: what is asked of a relay, and which one a name belongs to."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from gateway.backends.base import Backend
from gateway.backends.catalog import close_all
from gateway.healthcare.names import StoreName


@dataclass(frozen=True, slots=True)
class Bound:
    """What a relay is for: a project, or one dataset of it."""

    project: str
    location: str | None = None
    dataset: str | None = None

    def covers(self, segments: Sequence[str]) -> bool:
        """Whether a path is below it.

        :param segments: from ``projects`` on, decoded. The name of a method follows a colon, which is no part of an id.
        """
        if list(segments[:2]) != ["projects", self.project]:
            return False
        if self.dataset is None:
            return True
        above = ["locations", self.location, "datasets"]
        return list(segments[2:5]) == above and len(segments) > 5 and segments[5].partition(":")[0] == self.dataset


@dataclass(frozen=True, slots=True)
class Relayed:
    """What the origin answers; its headers are there.

    :param length: of the body, where the origin says so. :param pieces: the body. Raising in the middle means that it broke off.
    """

    status: int
    headers: Mapping[str, str]
    length: int | None
    pieces: AsyncGenerator[bytes, None]


class Relay(Protocol):
    """The way to an origin that speaks the API."""

    @property
    def root(self) -> str:
        """Scheme, host and prefix of the origin, without a slash at its end: what its own URLs begin with."""

    @property
    def own(self) -> bool:
        """Whether the origin sees the gateway's own credentials, and not the caller's."""

    def ask(
        self, method: str, path: str, headers: Mapping[str, str], body: AsyncIterator[bytes] | None
    ) -> AbstractAsyncContextManager[Relayed]:
        """Passes a request on; its body is taken as far as the origin wants it.

        :param path: with the query, both encoded. :param headers: without credentials, which are added.
        :raises GatewayError: when no answer comes, or the origin does not accept the gateway's credentials.
        """

    def store(self, name: StoreName) -> AbstractAsyncContextManager[Backend]:
        """A DICOM store of the origin, for as long as it is used.

        :raises Busy: when too many are in use.
        """

    def changed(self, study: str | None) -> None:
        """Something was written past the stores: what is kept of that study is old, or of everything."""

    async def aclose(self) -> None:
        """Closes all connections."""


class Relays:
    """All of them."""

    def __init__(self, relays: Mapping[Bound, Relay]) -> None:
        self._relays = sorted(relays.items(), key=lambda one: one[0].dataset is None)  # a dataset comes before its project

    def find(self, segments: Sequence[str]) -> Relay | None:
        """That of a path, from ``projects`` on, decoded; None where it is answered here."""
        return next((relay for bound, relay in self._relays if bound.covers(segments)), None)

    async def aclose(self) -> None:
        """Closes every one, the others also when one fails."""
        await close_all([relay for _, relay in self._relays])
