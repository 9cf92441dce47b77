"""A study that lies in several places: what it has in all, and which place speaks for it.

1. The first member that has a study, or a series, speaks for its attributes, as the earliest instance does within one store
   (`needs`, rule 1). In a spool (`Round.first`) that is what waits, as soon as nothing of it lies elsewhere alone: the others may
   have older versions.
2. An instance that lies in two places counts once. The largest place is believed as a whole; of the others each instance is
   looked for there. So a large study of which little lies elsewhere costs little.
3. Between two looks at the largest place an instance may have arrived there, which would count twice: its numbers are read
   before and after, until they agree.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from gateway.backends.base import Matches
from gateway.backends.merging.members import UID_KEYS, Member, Round, chunks, with_uids
from gateway.backends.results import COMPUTED, Attributes, attribute, level_of_field
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Level, Resource

SERIES_MOST = 5_000
"""Series of one study that are counted."""

INSTANCES_MOST = 10_000
"""Instances of one study in a place that is not the largest. What lies beyond is taken to lie nowhere else."""

LOOKS = 5
"""How often numbers are read again because they changed meanwhile."""

AT_ONCE = 4
"""Studies that are counted at the same time: each costs a few searches."""

MODALITY, OF_SERIES = "00080060", "00201209"
_OWN = {"00080005", "00080056", "00081190", "0020000D", "0020000E"}
"""What a result keeps of itself, whoever speaks for the study."""


@dataclass(frozen=True, slots=True)
class Found:
    """A result, parsed. :param split: whether its study lies in several places."""

    attributes: Attributes
    owner: Member
    split: bool = False

    def uids(self, level: Level) -> tuple[str, ...]:
        """What names it."""
        levels: tuple[Level, ...] = ("study", "series", "instance")
        return tuple(uid(self.attributes, each) for each in levels[: levels.index(level) + 1])


@dataclass(frozen=True, slots=True)
class Tally:
    """:param speaker: the study's result where the first member has it. :param series: likewise, by UID, with counts of all."""

    speaker: Attributes
    series: Mapping[str, Attributes]

    @property
    def counts(self) -> Attributes:
        """What is counted of the study."""
        instances = sum(_count(one) for one in self.series.values())
        modalities = {value for one in self.series.values() for value in one.get(MODALITY, {}).get("Value", ()) if value}
        return {
            "00080061": attribute("CS", *sorted(modalities)),
            "00201206": attribute("IS", len(self.series)),
            "00201208": attribute("IS", instances),
        }


def parsed(matches: Matches) -> list[Attributes]:
    """The results as objects; in a thread where there may be many."""
    return [orjson.loads(one) for one in matches.results]


def uid(result: Attributes, level: Level) -> str:
    """The UID of that level in a result."""
    values = result.get(UID_KEYS[level], {}).get("Value") or [""]
    return str(values[0])


async def mended(asking: Round, query: Query, results: Sequence[Found]) -> list[Found]:
    """The results, those of split studies with the attributes of who speaks for them and with counts of all places."""
    if not results or len(asking.answering) < 2 or _shows_itself_alone(query):
        return list(results)
    held = await _held(asking, query, {uid(one.attributes, "study") for one in results})
    split = {study: of_study for study, of_study in held.items() if len(of_study) > 1}
    few = asyncio.Semaphore(AT_ONCE)

    async def tally(study: str) -> tuple[str, Tally]:
        async with few:
            return study, await _tally(asking, query, study, split[study])

    tallies = dict(await asyncio.gather(*map(tally, split)))
    return [_overlaid(one, query, tallies.get(uid(one.attributes, "study"))) for one in results]


def _shows_itself_alone(query: Query) -> bool:
    """Whether results show nothing of their studies and series, and are not found by that either."""
    if query.level != "instance" or query.resource.series is None:
        return False
    named = {int(key, 16) for key in query.include} | {item.path[0] for item in query.filters}
    return all(level_of_field(tag) == "instance" for tag in named)


async def _held(asking: Round, query: Query, studies: set[str]) -> dict[str, dict[Member, Attributes]]:
    """By study, who has it and what that member says of it."""
    held: dict[str, dict[Member, Attributes]] = {study: {} for study in studies}
    for some in chunks(sorted(studies)):
        asked = _asked(query, "study", Resource(), limit=len(some))
        answers = await asking.ask_each(asking.answering, replace(asked, filters=(with_uids(some, "study"),)))
        for member in asking.members:
            if (matches := answers.get(member)) is not None:
                for one in parsed(matches):
                    held.setdefault(uid(one, "study"), {})[member] = one
    return held


def _asked(query: Query, level: Level, resource: Resource, limit: int) -> Query:
    """A search for things that shows of them what `query` shows."""
    shown = query.include | {f"{item.path[0]:08X}" for item in query.filters}
    return Query(level, resource, (), frozenset() if query.include_all else frozenset(shown), query.include_all, limit)


async def _tally(asking: Round, query: Query, study: str, of_study: Mapping[Member, Attributes]) -> Tally:
    speaker = next(iter(of_study.values()))
    asked = _asked(query, "series", Resource(study), SERIES_MOST)
    asked = replace(asked, include=asked.include | {MODALITY}) if not asked.include_all else asked
    for _ in range(LOOKS):
        listed = {member: parsed(matches) for member, matches in (await asking.ask_each(of_study, asked)).items()}
        if not listed:
            return Tally(speaker, {})
        largest = max(listed, key=lambda member: sum(map(_count, listed[member])))
        extras = await _extras(asking, study, largest, [member for member in listed if member is not largest])
        again = await asking.ask(largest, asked)
        if again is None or parsed(again) == listed[largest]:
            break
    counts = _summed(listed[largest], extras)
    series = _spoken(listed, counts)
    if asking.first is not None and asking.first in listed:
        whole = {uid(one, "series"): one for one in listed[asking.first] if _count(one) == counts.get(uid(one, "series"))}
        series |= whole
        speaker = of_study[asking.first] if whole.keys() == counts.keys() else speaker
    return Tally(speaker, series)


def _count(series: Attributes) -> int:
    values = series.get(OF_SERIES, {}).get("Value") or [0]
    return int(values[0])


async def _extras(asking: Round, study: str, largest: Member, others: Sequence[Member]) -> set[tuple[str, str]]:
    """Series and instance of what the largest place does not have."""
    extras: set[tuple[str, str]] = set()
    for listed in (await asking.ask_each(others, Query("instance", Resource(study), limit=INSTANCES_MOST))).values():
        extras |= {(uid(one, "series"), uid(one, "instance")) for one in await asyncio.to_thread(parsed, listed)}
    for some in chunks(sorted(extras)):
        asked = Query("instance", Resource(study), (with_uids((sop for _, sop in some), "instance"),), limit=2 * len(some))
        if (matches := await asking.ask(largest, asked)) is not None:
            extras -= {(uid(one, "series"), uid(one, "instance")) for one in parsed(matches)}
    return extras


def _summed(largest: Iterable[Attributes], extras: Iterable[tuple[str, str]]) -> dict[str, int]:
    """The number of instances of each series in all places; none of a series that has gone."""
    counts = {uid(one, "series"): _count(one) for one in largest}
    for series, _ in extras:
        counts[series] = counts.get(series, 0) + 1
    return {series: count for series, count in counts.items() if count}


def _spoken(listed: Mapping[Member, list[Attributes]], counts: Mapping[str, int]) -> dict[str, Attributes]:
    """Each series as the first member that has it shows it, with the number of its instances."""
    speakers: dict[str, Attributes] = {}
    for results in listed.values():
        for one in results:
            speakers.setdefault(uid(one, "series"), one)
    return {series: one | {OF_SERIES: attribute("IS", counts[series])} for series, one in speakers.items() if series in counts}


def _overlaid(found: Found, query: Query, tally: Tally | None) -> Found:
    if tally is None:
        return found
    result = _spoken_for(found.attributes, tally.speaker, "study", everything=query.resource.study is None)
    if query.level != "study" and (series := tally.series.get(uid(result, "series"))) is not None:
        result = _spoken_for(result, series, "series", everything=query.resource.series is None)
    result |= {key: value for key, value in tally.counts.items() if key in result}
    return Found(result, found.owner, split=True)


def _spoken_for(result: Attributes, speaker: Attributes, level: Level, *, everything: bool) -> Attributes:
    """The attributes of a level are those that the speaker has.

    :param everything: whether results show all that is known of that level, or only what was asked for.
    """
    spoken = {key: value for key, value in speaker.items() if _of_level(key, level) and (everything or key in result)}
    own = {key: value for key, value in result.items() if not _of_level(key, level) or int(key, 16) in COMPUTED}
    return own | spoken


def _of_level(key: str, level: Level) -> bool:
    return key not in _OWN and level_of_field(int(key, 16)) == level
