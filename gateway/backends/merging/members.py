"""The backends that are asked together, and what becomes of a request when one of them does not answer.

1. A member that does not answer is not asked again in the same request, and the answer says that something may be missing.
2. Where none answers there is nothing to say, and the first one's error is the caller's.
3. What a member refuses for a reason (a key that it cannot match, a form that it does not have) is the caller's error: the
   others' answers would be taken for the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gateway.backends.base import Backend, Matches, Served
from gateway.dicomweb.matching import AnyOf, Exact
from gateway.dicomweb.query import Filter, Query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import Busy, Forbidden, GatewayError, NotAuthenticated, OriginFailed, OriginTimeout, StoreUnavailable

T = TypeVar("T")

AWAY = (OriginFailed, OriginTimeout, Busy, StoreUnavailable, NotAuthenticated, Forbidden)
"""What says that a member cannot be asked now."""

UIDS = 100
"""UIDs in one question: with 64 characters each they fit into a URL of the 8 kB that servers take."""

UID_TAGS: dict[Level, int] = {"study": 0x0020000D, "series": 0x0020000E, "instance": 0x00080018}
UID_KEYS: dict[Level, str] = {level: f"{tag:08X}" for level, tag in UID_TAGS.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """:param name: that of the store, for messages."""

    name: str
    backend: Backend


class Round:
    """One request to several members.

    :param first: one of them, whose versions count where others have the same instances.
    """

    def __init__(self, members: Sequence[Member], first: Member | None = None) -> None:
        self.members = tuple(members)
        self.first = first
        self._lost: dict[Member, GatewayError] = {}
        self._warnings: dict[str, None] = {}

    @property
    def answering(self) -> list[Member]:
        """Those that did not fail until now, in order."""
        return [member for member in self.members if member not in self._lost]

    @property
    def whole(self) -> bool:
        """Whether none has failed until now."""
        return not self._lost

    @property
    def error(self) -> GatewayError | None:
        """Why the first one did not answer."""
        return next(iter(self._lost.values()), None)

    def lose(self, member: Member, error: GatewayError) -> None:
        """Notes that a member does not answer.

        :raises GatewayError: its error, when it was the last one.
        """
        self._lost.setdefault(member, error)
        self._warnings.setdefault(f"The store {member.name} did not answer; what only it has is missing")
        if len(self._lost) == len(self.members) and (first := self.error) is not None:
            raise first

    async def ask(self, member: Member, query: Query) -> Matches | None:
        """What a member finds, None when it does not answer."""
        if member in self._lost:
            return None
        try:
            matches = await member.backend.search(query)
        except AWAY as error:
            self.lose(member, error)
            return None
        self._warnings |= dict.fromkeys(matches.served.warnings)
        return matches

    async def ask_each(self, members: Iterable[Member], query: Query) -> dict[Member, Matches]:
        """What each of those that answer finds, in their order."""
        asked = list(members)
        found = await asyncio.gather(*(self.ask(member, query) for member in asked))
        return {member: matches for member, matches in zip(asked, found, strict=True) if matches is not None}

    def served(self) -> Served:
        """What there is to say about the answer."""
        return Served(warnings=tuple(self._warnings))


def with_uids(uids: Iterable[str], level: Level) -> Filter:
    """The key that names studies, series or instances."""
    sorted_ = tuple(sorted(set(uids)))
    return Filter((UID_TAGS[level],), "UI", Exact(sorted_[0]) if len(sorted_) == 1 else AnyOf(sorted_))


def chunks(items: Sequence[T], size: int = UIDS) -> Iterable[Sequence[T]]:
    """Runs of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))


def naming(resource: Resource) -> Query:
    """The search that finds a study, series or instance, and nothing else."""
    if resource.instance is not None:
        return Query("instance", Resource(resource.study, resource.series), (with_uids([resource.instance], "instance"),), limit=1)
    if resource.series is not None:
        return Query("series", Resource(resource.study), (with_uids([resource.series], "series"),), limit=1)
    return Query("study", Resource(), (with_uids([resource.study or ""], "study"),), limit=1)


async def holders(asking: Round, members: Iterable[Member], resource: Resource) -> list[Member]:
    """Those that have something of a resource, in their order."""
    found = await asking.ask_each(members, naming(resource))
    return [member for member, matches in found.items() if matches.results]
