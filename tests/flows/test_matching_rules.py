"""Every matching rule of PS3.4 C.2.2.2 and PS3.18 8.3.4, asked over HTTP at every level of every backend.

The table is `tests.flows.rows`; ``python -m tests.flows.rules`` prints it beside the rules and the tests that are no rows.
"""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.flows import test_search_rules
from tests.flows.rows import ROWS
from tests.flows.rules import SECTIONS, TESTED, Row, instances, study_uid, table
from tests.web.gate import Gate

LEVELS = ("/studies", "/series", "/instances")

shared = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def kept(gate: Gate) -> Gate:
    """Holds what all rows need, so that each search has to leave out the instances of the others too."""
    await gate.store(*instances(ROWS))
    assert len((await gate.get("/studies")).json) == sum(len(row.stored) for row in ROWS)
    return gate


@shared
@pytest.mark.parametrize("number", range(len(ROWS)), ids=[f"{number} {row.section} {row.query[:60]}" for number, row in enumerate(ROWS)])
async def test_rule(kept: Gate, number: int) -> None:
    row = ROWS[number]
    places = {study_uid(number, place): place for place in range(len(row.stored))}
    for level in LEVELS:
        answer = await kept.get(f"{level}?{row.query}")
        if row.refused:
            _is_refusal(row, answer.status, answer.detail)
        else:
            assert answer.status in (200, 204), (str(row), answer.body)
            studies = [one["0020000D"]["Value"][0] for one in (answer.json if answer.status == 200 else [])]
            found = sorted(places[study] for study in studies if study in places)
            assert [row.stored[place] for place in found] == list(row.finds), f"{level}?{row}"


def _is_refusal(row: Row, status: int, detail: str) -> None:
    """400, with the name of the key and never its value, which may be a patient's."""
    assert status == 400, str(row)
    assert any(name in detail for name, _ in row.keys), detail
    assert [value for _, value in row.keys if len(value) > 2 and value in detail] == []


def test_no_section_is_without_a_test_and_no_test_without_a_section() -> None:
    assert test_search_rules.__doc__  # importing it entered its tests into the list
    assert {row.section for row in ROWS} | set(TESTED) == set(SECTIONS)


def test_no_row_stands_twice_and_none_is_empty() -> None:
    asked = [(row.section, row.keys, str(row.stored)) for row in ROWS]
    assert len(asked) == len(set(asked))
    assert [str(row) for row in ROWS if not row.refused and not row.stored] == []


def test_the_list_has_every_rule_row_and_test() -> None:
    lines = list(table(ROWS))
    assert len(lines) == len(SECTIONS) + len(ROWS) + sum(len(names) for names in TESTED.values())
