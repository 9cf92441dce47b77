"""The rules of `test_matching_rules` over HTTP in front of origins, which know few of them: the rest is matched by the gateway.

Each row is asked with nothing but its own instances at the origin: what an origin does not match is looked for in headers, and
the instances of all rows would make that long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydicom.datadict import tag_for_keyword

from gateway.config import Settings
from tests.flows.rows import ROWS
from tests.flows.rules import Row, instances, study_uid
from tests.origins.google import google
from tests.origins.orthanc import Direct, Orthanc, shared
from tests.web.gate import Gate, opened, settings

LEVELS = ("/studies", "/series", "/instances")

UNFOLDED = {
    ("PatientName", "muller^jorg"): [1],
    ("PatientName", "STRASSE"): [1],
    ("PatientName", "doe*"): [0, 2],
}
"""Names that origins find by their letters, accents included: which of a row's are found."""

UNREADABLE: dict[tuple[str, str], list[int]] = {("TotalNumberOfStudyRecords", "18446744073709551615"): []}
"""What Orthanc's JSON leaves out: numbers of 64 bits."""

LESS = {"orthanc": UNFOLDED | UNREADABLE, "google": UNFOLDED}
"""Rows of which less is found, by profile: the origin does not find it either."""


@dataclass(frozen=True)
class Front:
    """A gateway in front of an origin.

    :ivar url: of the origin's DICOMweb. :ivar empty: empties it.
    """

    gate: Gate
    url: str
    profile: str
    empty: Callable[[], None]

    async def directly(self, query: str) -> Direct:
        """What the origin finds by itself, asked in the most generous way."""
        path = f"/studies?{query}&fuzzymatching=true"
        return await asyncio.to_thread(Orthanc(self.url, Path()).ask, "GET", path, None, {"Accept": "application/dicom+json"})


def uids(results: list[Any]) -> list[str]:
    return [one["0020000D"]["Value"][0] for one in results]


def chosen(folder: Path, url: str, profile: str) -> Settings:
    """Nothing is kept: the origin is emptied behind the gateway's back."""
    limits = {"results_default": 5000, "results_max": 5000}
    return settings(folder, "upstream", limits=limits, store={"url": url, "profile": profile, "cache": False})


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(LESS))
async def front(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Front]:
    folder = tmp_path_factory.mktemp("front")
    if request.param == "orthanc":
        orthanc = shared()
        async with opened(chosen(folder, orthanc.url, "orthanc")) as gate:
            yield Front(gate, orthanc.url, "orthanc", orthanc.empty)
        return
    async with google() as origin, opened(chosen(folder, origin.url, "google")) as gate:
        yield Front(gate, origin.url, "google", origin.empty)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("number", range(len(ROWS)), ids=[f"{number} {row.section} {row.query[:60]}" for number, row in enumerate(ROWS)])
async def test_rule_at_an_origin(front: Front, number: int) -> None:
    row = ROWS[number]
    front.empty()
    if row.stored:
        await front.gate.store(*instances([row]))
    places = LESS[front.profile].get(row.keys[0], [*range(len(row.finds))])
    expected = [study_uid(0, place) for place in places]
    if len(places) < len(row.finds):
        await _is_the_origins_doing(front, row, expected)
    for level in LEVELS:
        answer = await front.gate.get(f"{level}?{row.query}")
        if row.refused:
            assert answer.status == 400, str(row)
        else:
            assert answer.status in (200, 204), (str(row), answer.body)
            assert sorted(uids(answer.json if answer.status == 200 else [])) == expected, f"{level}?{row}"


async def _is_the_origins_doing(front: Front, row: Row, expected: list[str]) -> None:
    """It does not find the rest either, or finds anything and shows nothing by which it could be told apart."""
    [(keyword, _)] = row.keys
    answer = await front.directly(f"{row.query}&includefield={keyword}")
    found = answer.json if answer.status in (200, 204) else []
    assert set(uids(found)) <= set(expected) or f"{tag_for_keyword(keyword):08X}" not in str(found)


def test_each_row_of_which_less_is_found_is_there() -> None:
    first = [row.keys[0] for row in ROWS if row.finds]
    assert all(first.count(key) == 1 for less in LESS.values() for key in less)
