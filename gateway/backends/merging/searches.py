"""One search over several members (PS3.18 10.6): each thing once, in an order that stays, on the right page.

1. Results stand member by member, and within a member in its own order: what the first one has comes first.
2. What two members find is shown where the first of them has it. To know that, what the later ones find is looked for at the
   earlier ones, by UID.
3. Things of a study that lies in several places show what is true of all of it (`tallies`), and have to match as such: by an
   attribute of study or series they are only found with the value that its speaker has. An instance that `first` has is shown,
   and found, as that has it: the others may have an older version. A page is the shorter by what is left out for that.
4. How many are left is said where it is known: where the later members find at most `COUNTED`. Else it is said that there
   are more.
5. Keys that count what is below match only in all places together. Then everything that the other keys find is looked
   through, within `SCAN`.

One case is missed, knowingly, in a federation: of a study whose places disagree about its attributes, what lies in a later
member is not found by what the first one says of it. In a spool (`first`) it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from gateway.backends import needs
from gateway.backends.base import Matches
from gateway.backends.evaluate import all_match
from gateway.backends.merging.members import UID_TAGS, Member, Round, chunks, with_uids
from gateway.backends.merging.tallies import Found, mended, parsed, uid
from gateway.backends.results import RANK, rendered
from gateway.dicomweb.matching import Empty, Universal
from gateway.dicomweb.query import Filter, Query
from gateway.dicomweb.resources import Resource
from gateway.errors import InvalidQuery

SCAN = 10_000
"""Results of one member that a search looks through: tens of megabytes, some seconds."""

COUNTED = 1_000
"""Results of a later member up to which all are looked for at the earlier ones, only to say how many there are."""

_COUNTS = frozenset({0x00201206, 0x00201208, 0x00201209})
_MODALITIES = 0x00080061


@dataclass(frozen=True, slots=True)
class _Listed:
    """:param complete: whether a member found no more than these. :param modified: see `Matches`."""

    results: list[Found]
    complete: bool
    modified: float | None


async def search(members: Sequence[Member], query: Query, *, first: Member | None = None, looks: int = 3) -> Matches:
    """What all of them find.

    :param first: a member that loses instances to the others: it is asked before them, so that nothing is missed on its way.
    :param looks: how often the first member's page is read again because it counted something else meanwhile. What arrives there
        while the later ones' results are looked for is never missed, but counted twice by `remaining`.
    :raises GatewayError: when none answers.
    :raises InvalidQuery: when one cannot match a key, or too much would have to be looked through.
    """
    asking = Round(members, first)
    collective = [item for item in query.filters if _is_collective(item)]
    found = await (_scanned(asking, query, collective, first, looks) if collective else _page(asking, query, first, looks))
    return replace(found, served=asking.served())


def _is_collective(item: Filter) -> bool:
    tag = item.path[0]
    return not isinstance(item.match, Universal) and (tag in _COUNTS or (tag == _MODALITIES and isinstance(item.match, Empty)))


async def _scanned(asking: Round, query: Query, collective: Sequence[Filter], first: Member | None, looks: int) -> Matches:
    """A search by counts."""
    others = tuple(item for item in query.filters if item not in collective)
    shown = query.include | {f"{item.path[0]:08X}" for item in collective}
    wide = replace(query, filters=others, include=frozenset(shown), limit=SCAN, offset=0)  # counts of what is above are not in `all`
    found = await _page(asking, wide, first, looks)
    if found.remaining != 0:
        raise InvalidQuery(f"a count is a key only where the other keys leave at most {SCAN} results; narrow the search")
    objects = await asyncio.to_thread(parsed, found)
    results = [text for text, one in zip(found.results, objects, strict=True) if all_match(one, collective)]
    page = results[query.offset : query.offset + query.limit]
    return replace(found, results=tuple(page), remaining=max(0, len(results) - query.offset - len(page)))


async def _page(asking: Round, query: Query, first: Member | None, looks: int) -> Matches:
    base = asking.members[0]
    lists = {} if first is None else {first: await _adopted(asking, first, query, await _listed(asking, first, query))}
    own = await _first_and_later(asking, query, lists)
    total, extras = await _total(asking, base, query, own), list[Found]()
    if any(listed.results for listed in lists.values() if listed is not None):
        for _ in range(looks):
            before, extras = total, await _extras(asking, query, lists)
            own = await asking.ask(base, query)
            if before == (total := await _total(asking, base, query, own)):
                break
    page = [Found(one, base) for one in parsed(own)] if own is not None else []
    shown = {one.uids(query.level) for one in page}
    extras = [one for one in extras if one.uids(query.level) not in shown]
    page, have = await _as_is(asking, query, page), len(page)
    complete = all(listed.complete for listed in lists.values() if listed is not None)
    if total is not None:
        more = _rest_of_page(query, have, total, extras, complete)
        page, have = page + more, have + len(more)
    remaining = max(0, total + len(extras) - query.offset - have) if total is not None and complete else None
    results = await asyncio.to_thread(lambda: tuple(rendered(one.attributes) for one in page))
    return Matches(results, remaining, _modified(own, lists.values()))


async def _as_is(asking: Round, query: Query, page: list[Found]) -> list[Found]:
    """The page of a member, without what it would not find if it had the versions that `first` has."""
    now = await mended(asking, query, await _renewed(asking, query, page))
    if asking.first is None:
        return now
    own = _judged_here(query)
    return [new for old, new in zip(page, now, strict=True) if all_match(new.attributes, own) or not all_match(old.attributes, own)]


async def _renewed(asking: Round, query: Query, results: Sequence[Found]) -> list[Found]:
    """The results, those that are instances of `first` as that shows them."""
    if asking.first is None or query.level != "instance":
        return list(results)
    shown = query.include | {f"{item.path[0]:08X}" for item in query.filters}
    renewed: dict[tuple[str, ...], Found] = {}
    for some in chunks([one for one in results if one.owner is not asking.first]):
        named = with_uids((one.uids("instance")[-1] for one in some), "instance")
        include = query.include if query.include_all else frozenset(shown)
        asked = replace(query, filters=(named,), include=include, offset=0, limit=2 * len(some))
        if (matches := await asking.ask(asking.first, asked)) is not None:
            for one in await asyncio.to_thread(parsed, matches):
                found = Found(one, asking.first)
                renewed[found.uids("instance")] = found
    return [renewed.get(one.uids("instance"), one) for one in results]


def _rest_of_page(query: Query, have: int, total: int, extras: list[Found], complete: bool) -> list[Found]:
    """What follows on a page after the results of the first member.

    :param have: how many those are. :param total: how many it finds.
    """
    start = max(0, query.offset - total)
    wanted = query.limit - have
    if not complete and wanted > 0 and start + wanted > len(extras):
        raise InvalidQuery(f"the page lies beyond the {SCAN} results that are looked through; narrow the search")
    return extras[start : start + wanted]


async def _first_and_later(asking: Round, query: Query, lists: dict[Member, _Listed | None]) -> Matches | None:
    """The page of the first member; asks those of the others that are not in `lists` yet, at the same time."""
    base, *others = asking.members
    unasked = [member for member in others if member not in lists]
    own, answers = await asyncio.gather(asking.ask(base, query), asyncio.gather(*(_listed(asking, member, query) for member in unasked)))
    lists |= dict(zip(unasked, answers, strict=True))
    return own


async def _listed(asking: Round, member: Member, query: Query) -> _Listed | None:
    """What a later member finds: what the page may need, and all of it when that is little more."""
    needed = min(query.offset + query.limit + 1, SCAN)
    found = await asking.ask(member, replace(query, offset=0, limit=needed))
    if found is None:
        return None
    results, remaining = await asyncio.to_thread(parsed, found), found.remaining
    if remaining is not None and 0 < remaining <= COUNTED:
        rest = await asking.ask(member, replace(query, offset=len(results), limit=remaining))
        if rest is None:
            return None
        results += await asyncio.to_thread(parsed, rest)
        remaining = rest.remaining
    return _Listed([Found(one, member) for one in results], remaining == 0, found.modified)


async def _adopted(asking: Round, member: Member, query: Query, listed: _Listed | None) -> _Listed | None:
    """What else of a later member is to be found because others say so of its study: an instance that waits may name its study
    otherwise than those that were delivered before it."""
    above = [item for item in needs.restricting(query.filters) if needs.level_of_key(item) == "study"]
    if listed is None or not above or needs.rows(query) == "study":
        return listed
    own = await asking.ask(member, Query("study", limit=SCAN))
    studies = {uid(one, "study") for one in await asyncio.to_thread(parsed, own)} if own is not None else set[str]()
    below = tuple(item for item in query.filters if item not in above)
    found = {one.uids(query.level): one for one in listed.results}
    complete = listed.complete
    for some in chunks(sorted(studies)):
        asked = Query("study", Resource(), (*_without_uids(above), with_uids(some, "study")), limit=len(some))
        theirs = await asking.ask_each(asking.members[:1], asked)
        said = {uid(one, "study") for matches in theirs.values() for one in parsed(matches)}
        more = await _listed(asking, member, replace(query, filters=(*below, with_uids(said, "study")))) if said else None
        if more is not None:
            complete = complete and more.complete
            found = {one.uids(query.level): replace(one, split=True) for one in more.results} | found
    return _Listed(list(found.values()), complete, listed.modified)


def _without_uids(filters: Sequence[Filter]) -> list[Filter]:
    return [item for item in filters if item.path != (UID_TAGS["study"],)]


async def _total(asking: Round, base: Member, query: Query, own: Matches | None) -> int | None:
    """How many the first member finds; None where it does not count."""
    if own is None:
        return 0
    if not own.results and query.offset:
        return await _counted(asking, base, query)
    return None if own.remaining is None else query.offset + len(own.results) + own.remaining


async def _counted(asking: Round, base: Member, query: Query) -> int | None:
    counted = await asking.ask(base, replace(query, offset=0, limit=1))
    return 0 if counted is None else None if counted.remaining is None else len(counted.results) + counted.remaining


async def _extras(asking: Round, query: Query, lists: Mapping[Member, _Listed | None]) -> list[Found]:
    """What the later members find and no earlier one does."""
    extras: list[Found] = []
    for number, member in enumerate(asking.members):
        if (listed := lists.get(member)) is None:
            continue
        earlier = asking.members[:number]
        twice = await _also_at(asking, earlier, query, listed.results)
        new = [one for one in listed.results if one.uids(query.level) not in twice]
        extras += [one for one in await mended(asking, query, await _renewed(asking, query, new)) if _still_matches(query, one)]
    return extras


async def _also_at(asking: Round, members: Sequence[Member], query: Query, results: Sequence[Found]) -> set[tuple[str, ...]]:
    """Those of the results that some of the members find as well."""
    others = tuple(item for item in query.filters if item.path != (UID_TAGS[query.level],))
    twice: set[tuple[str, ...]] = set()
    for some in chunks(results):
        named = with_uids((one.uids(query.level)[-1] for one in some), query.level)
        asked = replace(query, filters=(*others, named), include=frozenset(), include_all=False, offset=0, limit=2 * len(some))
        for member, matches in (await asking.ask_each(members, asked)).items():
            twice |= {Found(one, member).uids(query.level) for one in parsed(matches)}
    return twice


def _still_matches(query: Query, one: Found) -> bool:
    """Whether something of a split study matches by what is true of all of it; keys of what is below cannot be judged here."""
    return not one.split or all_match(one.attributes, _judged_here(query))


def _judged_here(query: Query) -> list[Filter]:
    """The keys that a result by itself answers."""
    return [item for item in needs.restricting(query.filters) if RANK[needs.level_of_key(item)] <= RANK[query.level]]


def _modified(own: Matches | None, lists: Iterable[_Listed | None]) -> float | None:
    """When something last changed; None when one who found something does not know."""
    known: list[float] = []
    answers = [(bool(own.results), own.modified)] if own is not None else []
    answers += [(bool(one.results), one.modified) for one in lists if one is not None]
    for some, modified in answers:
        if modified is not None:
            known.append(modified)
        elif some:
            return None
    return max(known, default=None)
