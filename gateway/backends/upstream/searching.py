"""Searches at an origin, answered as a local store answers them (PS3.18 10.6).

    asking      the query as the questions that this kind of origin answers honestly
    scanning    pages of what it finds
    evaluate    each result checked again: what was found too much goes
    filling     what results lack
    composing   results as every backend writes them

1. Where the origin finds nothing but what matches, it skips and counts: one call for a page, of one result more than asked for,
   so that it is known whether there are more.
2. Else all that it finds is looked through from the beginning, up to `scan` results. A search that needs more is refused, and
   says which key made it so: a list that ends early or a wrong count would be worse.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing

from gateway.backends import needs
from gateway.backends.base import Matches
from gateway.backends.evaluate import all_match
from gateway.backends.results import CHARACTER_SET, Attributes, attribute, fields
from gateway.backends.upstream import asking
from gateway.backends.upstream.asking import SYNTAXES, Plan
from gateway.backends.upstream.client import Client
from gateway.backends.upstream.composing import Row, composed
from gateway.backends.upstream.filling import IN_SERIES, INSTANCES, MODALITIES, SERIES, Filling
from gateway.backends.upstream.profiles import Profile
from gateway.backends.upstream.scanning import AVAILABLE_SYNTAX, RESULTS, SIDE_BY_SIDE, Pages, named, side_by_side
from gateway.dicom import dictionary
from gateway.dicomweb.matching import AnyOf
from gateway.dicomweb.query import Filter, Query
from gateway.dicomweb.resources import Resource
from gateway.errors import InvalidQuery

SCAN = 10_000
"""Results that one search looks through: ten seconds at an archive that finds a thousand a second."""

HEADER_COST = 20
"""Results that are looked through in the time that one instance's header takes."""

FIRST = 100
"""Results of the first page of a search that looks through them; where they match, a page of a viewer's list is among them."""

INLINE = 20
"""Results that are written on the loop, in half a millisecond."""

_OF_STUDY = {MODALITIES, SERIES, INSTANCES}
_Found = tuple[list[Attributes], int | None]


class Searching:
    """Searches at one origin.

    :param scan: results that one search may look through.
    """

    def __init__(self, client: Client, profile: Profile, *, scan: int = SCAN) -> None:
        self._client = client
        self._profile = profile
        self._filling = Filling(client, profile)
        self._scan = scan

    async def search(self, query: Query) -> Matches:
        """See `Backend.search`. `Matches.remaining` is None where there are more, and only the origin could know how many.

        :raises InvalidQuery: for a key that this origin does not match, among more results than may be looked through.
        """
        plan = asking.plan(query, self._profile)
        found = await self._page(query, plan) if plan.exact else None
        rows, remaining = found or await self._looked_through(query, plan)
        return Matches(await self._results(query, plan, rows), remaining)

    def _pages(self, plan: Plan, alternative: int, offset: int = 0) -> Pages:
        return Pages(self._client, self._profile, plan.level, plan.path, plan.alternatives[alternative], plan.include, offset)

    # -- where the origin finds nothing but what matches

    async def _page(self, query: Query, plan: Plan) -> _Found | None:
        """The page, or None when the origin found something else after all."""
        pages = self._pages(plan, 0, query.offset)
        rows: list[Attributes] = []
        while not pages.ended and len(rows) <= query.limit:
            rows += await pages.next(query.limit + 1 - len(rows))
        filters = needs.restricting(query.filters)
        if filters and not all(all_match(row, filters) for row in rows):
            return None
        beyond = len(rows) - query.limit
        if pages.left is not None:
            return rows[: query.limit], pages.left + max(0, beyond)
        return rows[: query.limit], None if beyond > 0 else 0

    # -- where it finds more

    async def _looked_through(self, query: Query, plan: Plan) -> _Found:
        budget = self._scan // HEADER_COST if plan.headers_to_check else self._scan
        need = query.offset + query.limit + 1
        seen: set[Resource] = set()
        kept: list[Attributes] = []
        looked = 0
        async with aclosing(self._batches(plan, need)) as batches:
            async for batch, last in batches:
                if looked >= budget and batch:
                    raise self._too_many(plan, query, budget)
                looked += len(batch)
                for row in await self._matching(query, plan, batch):
                    resource = _of_level(named(row), query)
                    if resource not in seen:
                        seen.add(resource)
                        kept += [row] if query.offset < len(seen) < need else []
                if last:
                    break
                if len(seen) >= need:
                    return kept, None
        return kept, max(0, len(seen) - query.offset - len(kept))

    async def _batches(self, plan: Plan, need: int) -> AsyncGenerator[tuple[list[Attributes], bool], None]:
        """What the alternatives find, and whether that was all; the first pages of some are asked for side by side."""
        numbers = range(len(plan.alternatives))
        for start in numbers[::SIDE_BY_SIDE]:
            some = [self._pages(plan, number) for number in numbers[start : start + SIDE_BY_SIDE]]
            rows = [row for first in await side_by_side(lambda pages: pages.next(max(FIRST, need)), some) for row in first]
            rest = [pages for pages in some if not pages.ended]
            last = start + SIDE_BY_SIDE >= len(numbers)
            yield rows, last and not rest
            for pages in rest:
                while not pages.ended:
                    rows = await pages.next(RESULTS)
                    yield rows, last and pages is rest[-1] and pages.ended

    async def _matching(self, query: Query, plan: Plan, rows: list[Attributes]) -> list[Attributes]:
        filters = needs.restricting(query.filters)
        if not filters or not rows:
            return rows
        if not self._profile.keeps_text:
            _readable(rows, filters)
        known = await self._known(plan, rows, {f"{item.path[0]:08X}" for item in filters})
        return [row for row, whole in zip(rows, known, strict=True) if all_match(whole, filters)]

    async def _known(self, plan: Plan, rows: Sequence[Attributes], keys: set[str]) -> Sequence[Attributes]:
        """What the keys of a search look at."""
        known = [{"00080056": attribute("CS", "ONLINE")} | row for row in rows]
        if keys & {f"{tag:08X}" for tag in SYNTAXES}:
            known = await self._with_syntaxes(known)
        if keys & _OF_STUDY and plan.level == "study":
            known = await self._filling.counts(known, "study")
        elif keys & _OF_STUDY:
            studies = await self._filling.studies(list({named(row).study or "": None for row in rows}))
            known = [
                {key: value for key, value in studies.get(named(row).study or "", {}).items() if key in _OF_STUDY} | row for row in known
            ]
        if IN_SERIES in keys and plan.level == "series":
            known = await self._filling.counts(known, "series")
        elif IN_SERIES in keys:
            series = await self._filling.series({named(row).study or "" for row in rows})
            known = [series.get(_pair(row), {}) | row for row in known]
        if plan.headers_to_check:
            headers = await self._filling.headers(rows, keys)
            known = [header | row for header, row in zip(headers, known, strict=True)]
        return known

    async def _with_syntaxes(self, rows: list[Attributes]) -> list[Attributes]:
        found = await self._filling.syntaxes(rows)
        if not all(AVAILABLE_SYNTAX in row for row in found):
            raise InvalidQuery("the origin of this store does not say in which transfer syntax instances are stored")
        return [row | {"00020010": row[AVAILABLE_SYNTAX]} for row in found]

    def _too_many(self, plan: Plan, query: Query, budget: int) -> InvalidQuery:
        items = plan.unasked or needs.restricting(query.filters)
        names = {".".join(dictionary.keyword(tag) or f"{tag:08X}" for tag in item.path) for item in items}
        return InvalidQuery(
            f"the origin of this store cannot search by {', '.join(sorted(names)) or 'what was asked for'}, and {budget} results were "
            "looked through without an end; add a key that narrows the search, such as StudyDate or StudyInstanceUID"
        )

    # -- results

    async def _results(self, query: Query, plan: Plan, rows: list[Attributes]) -> tuple[bytes, ...]:
        if not rows:
            return ()
        rows = await self._climbed(query, plan, rows)
        rows = await self._filling.counts(rows, query.level)
        wanted = set() if query.include_all else fields(query)
        if query.level == "instance" and wanted & SYNTAXES:
            rows = await self._filling.syntaxes(rows)
        keys = {f"{tag:08X}" for tag in wanted}
        studies, series = await self._above(query, rows, keys)
        headers: Sequence[Attributes | None] = [None] * len(rows)
        if plan.headers_to_show:
            headers = await self._filling.headers(rows, None if query.include_all else keys)
        known = [
            Row(row, _in(studies, row), series.get(_pair(row), {}) if series else {}, header)
            for row, header in zip(rows, headers, strict=True)
        ]
        return composed(query, known) if len(known) <= INLINE else await asyncio.to_thread(composed, query, known)

    async def _climbed(self, query: Query, plan: Plan, rows: list[Attributes]) -> list[Attributes]:
        """Of rows of a lower level, the studies or series above them in their order."""
        if plan.level == query.level:
            return rows
        include = asking.include_of(query, self._profile)
        uids = list({named(row).study or "": None for row in rows})
        if query.level == "study":
            studies = await self._filling.studies(uids, include)
            return [studies[uid] for uid in uids if uid in studies]
        series = await self._filling.series(uids, include)
        return [series[pair] for pair in map(_pair, rows) if pair in series]

    async def _above(
        self, query: Query, rows: Sequence[Attributes], keys: set[str]
    ) -> tuple[dict[str, Attributes], dict[tuple[str, str], Attributes]]:
        """The studies and series that results show something of."""
        if query.level == "study":
            return {}, {}
        uids = list({named(row).study or "": None for row in rows})
        studies, series = {}, {}
        if query.resource.study is None or keys & _OF_STUDY:
            studies = await self._filling.studies(uids)
        if query.level == "instance" and (query.resource.series is None or IN_SERIES in keys):
            series = await self._filling.series(uids)
        return studies, series


def _readable(rows: Sequence[Attributes], filters: Iterable[Filter]) -> None:
    """Refuses keys with characters that these results have lost: none of them would seem to match."""
    for item in filters:
        texts = [item.match.values] if isinstance(item.match, AnyOf) else [getattr(item.match, name, "") for name in _TEXTS]
        if any(ord(sign) > LAST_OF_LATIN_1 for text in texts for sign in "".join(text)) and any(
            _LATIN_1 in row.get(CHARACTER_SET, {}).get("Value", ()) for row in rows
        ):
            name = dictionary.keyword(item.path[-1])
            raise InvalidQuery(
                f"the origin of this store answers in Latin 1, without the letters of {name} (Orthanc: DefaultEncoding = Utf8)"
            )


_TEXTS = ("value", "pattern", "name")
_LATIN_1 = "ISO_IR 100"
LAST_OF_LATIN_1 = 0xFF


def _of_level(resource: Resource, query: Query) -> Resource:
    if query.level == "instance":
        return resource
    return Resource(resource.study, resource.series if query.level == "series" else None)


def _in(studies: Mapping[str, Attributes], row: Attributes) -> Attributes:
    return studies.get(named(row).study or "", {}) if studies else {}


def _pair(row: Attributes) -> tuple[str, str]:
    resource = named(row)
    return resource.study or "", resource.series or ""
