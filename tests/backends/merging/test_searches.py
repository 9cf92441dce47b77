"""Searches over two stores equal one over a store that has everything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from gateway.backends.base import Backend
from gateway.backends.memory import MemoryBackend
from gateway.backends.merging import searches
from gateway.backends.merging.members import Member
from gateway.backends.merging.searches import search
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import InvalidQuery, OriginFailed
from tests.backends.made import dicom, query, store, study
from tests.backends.spool.spools import DOWN, Destination


async def members(*contents: Sequence[bytes]) -> list[Member]:
    found = []
    for name, files in zip("abc", contents, strict=False):
        found.append(Member(name, MemoryBackend()))
        await store(found[-1].backend, *files)
    return found


def told(results: Sequence[bytes]) -> list[dict[str, Any]]:
    return [json.loads(one) for one in results]


FILES = [
    dicom(
        f"1.{number}",
        f"1.{number}.{series}",
        f"1.{number}.{series}.{instance}",
        Modality=modality,
        PatientID=f"P{number % 3}",
        SeriesNumber=str(series),
        InstanceNumber=str(instance),
        StudyDescription=f"D{number}",
    )
    for number in range(1, 7)
    for series, modality in ((1, "CT"), (2, "SR"))
    for instance in (1, 2)
]
PARAMS = {
    "PatientID": ["P1", "P*", "P9"],
    "Modality": ["CT", "SR"],
    "ModalitiesInStudy": ["SR", "CT,SR"],
    "StudyInstanceUID": ["1.1", "1.2,1.5"],
    "StudyDescription": ["D1", "D*"],
    "InstanceNumber": ["2"],
    "NumberOfStudyRelatedInstances": ["4", "3"],
    "includefield": ["all", "PatientID,ModalitiesInStudy", "StudyDescription"],
    "limit": ["0", "2", "7"],
    "offset": ["0", "1", "5", "50"],
}
ABOVE: dict[Level, list[Resource]] = {
    "study": [Resource()],
    "series": [Resource(), Resource("1.2")],
    "instance": [Resource(), Resource("1.2"), Resource("1.2", "1.2.1")],
}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_however_instances_lie_all_of_them_are_found_once(data: st.DataObject) -> None:
    """Each instance lies in one of two members or in both; what is shown is the same, in the order of the members."""
    places = data.draw(st.lists(st.sampled_from(["a", "b", "ab"]), min_size=len(FILES), max_size=len(FILES)))
    both = await members(*([file for file, place in zip(FILES, places, strict=True) if name in place] for name in "ab"))
    whole: Backend = MemoryBackend()
    await store(whole, *FILES)
    level = data.draw(st.sampled_from(list(ABOVE)))
    names = data.draw(st.lists(st.sampled_from(sorted(PARAMS)), unique=True, max_size=4))
    params = {name: data.draw(st.sampled_from(PARAMS[name])) for name in names}
    assume(level == "study" or params.get("ModalitiesInStudy") != "SR")  # the case that is missed: the first one may have only the CT of it
    asked = query(level, data.draw(st.sampled_from(ABOVE[level])), **params)
    expected, found = await whole.search(asked), await search(both, asked)
    assert found.remaining == expected.remaining and len(found.results) == len(expected.results)
    if "limit" not in params and "offset" not in params:
        assert sorted(found.results) == sorted(expected.results)


@pytest.mark.parametrize("level", ["series", "instance"])
@pytest.mark.parametrize("include", [{}, {"includefield": "all"}])
async def test_counts_of_what_is_above_are_keys_whatever_is_included(level: Level, include: dict[str, str]) -> None:
    both, whole = await members(FILES, []), MemoryBackend()
    await store(whole, *FILES)
    asked = query(level, Resource("1.2"), NumberOfStudyRelatedInstances="4", **include)
    expected, found = await whole.search(asked), await search(both, asked)
    assert found.results and sorted(found.results) == sorted(expected.results)


async def test_pages_make_up_the_whole_each_thing_once() -> None:
    both = await members([file for name in ("1.1", "1.3", "1.5") for file in study(name)], [*study("1.3"), *study("1.2"), *study("1.4")])
    pages = [await search(both, query(limit="2", offset=str(offset))) for offset in (0, 2, 4, 6)]
    assert [page.remaining for page in pages] == [3, 1, 0, 0]
    assert [one["0020000D"]["Value"][0] for page in pages for one in told(page.results)] == ["1.1", "1.3", "1.5", "1.2", "1.4"]


async def test_a_study_in_two_places_is_counted_as_one() -> None:
    both = await members(
        [dicom("1.1", "1.1.1", "1.1.1.1", StudyDescription="first"), dicom("1.1", "1.1.1", "1.1.1.2")],
        [dicom("1.1", "1.1.1", "1.1.1.2"), dicom("1.1", "1.1.2", "1.1.2.1", Modality="SR", StudyDescription="second")],
    )
    (one,) = told((await search(both, query())).results)
    assert [one[key].get("Value") for key in ("00201206", "00201208", "00080061", "00081030")] == [[2], [3], ["CT", "SR"], ["first"]]
    series = told((await search(both, query("series", Resource("1.1")))).results)
    assert [(found["0020000E"]["Value"][0], found["00201209"]["Value"][0]) for found in series] == [("1.1.1", 2), ("1.1.2", 1)]
    assert not (await search(both, query(StudyDescription="second"))).results
    wide = told((await search(both, query("instance", SOPInstanceUID="1.1.2.1"))).results)
    assert wide[0]["00081030"]["Value"] == ["first"] and wide[0]["00201208"]["Value"] == [3]


async def test_what_the_first_one_has_is_found_as_it_has_it() -> None:
    """The others have an older version of it, and something else of its study. Pages are the shorter by what is left out."""
    old = [dicom(sop=f"1.1.1.{number}", InstanceNumber=str(number), ContentLabel="OLD") for number in (1, 2, 3)]
    members_ = await members(old, [dicom(sop="1.1.1.2", InstanceNumber="9", ContentLabel="NEW")])
    below = Resource("1.1", "1.1.1")

    async def numbers(resource: Resource = below, **params: str) -> tuple[list[int], int | None]:
        found = await search(members_, query("instance", resource, **params), first=members_[1])
        return [one["00200013"]["Value"][0] for one in told(found.results)], found.remaining

    assert await numbers() == await numbers(Resource()) == ([1, 9, 3], 0)
    assert await numbers(ContentLabel="OLD") == ([1, 3], 0) and await numbers(ContentLabel="NEW") == ([9], 0)
    assert await numbers(InstanceNumber="2") == ([], 0) and await numbers(InstanceNumber="9") == ([9], 0)
    assert [await numbers(ContentLabel="OLD", limit="1", offset=str(start)) for start in range(3)] == [([1], 2), ([], 1), ([3], 0)]


async def test_the_first_one_speaks_for_what_it_has_all_of() -> None:
    """A study, or a series: its attributes may be newer."""
    old = [dicom(sop="1.1.1.1", StudyDescription="old", SeriesDescription="old")]
    other = dicom(series="1.1.2", sop="1.1.2.1", StudyDescription="old", SeriesDescription="old")
    new = [dicom(sop="1.1.1.1", StudyDescription="new", SeriesDescription="new")]
    for files, spoken in ((old, ["new", "new"]), ([*old, other], ["old", "new", "old"])):
        both = await members(files, new)
        of_study = told((await search(both, query(), first=both[1])).results)
        of_series = told((await search(both, query("series", Resource("1.1")), first=both[1])).results)
        assert [of_study[0]["00081030"]["Value"][0], *(one["0008103E"]["Value"][0] for one in of_series)] == spoken
        assert not (await search(both, query(StudyDescription="new" if spoken[0] == "old" else "old"), first=both[1])).results


async def test_where_one_does_not_answer_the_others_do_and_say_so() -> None:
    gone = Destination()
    gone.error = DOWN
    both = [Member("gone", gone), *await members(study("1.1"))]
    for order in (both, both[::-1]):
        found = await search(order, query())
        assert len(found.results) == 1 and found.remaining == 0
        assert found.served.warnings == ("The store gone did not answer; what only it has is missing",)
    with pytest.raises(OriginFailed):
        await search(both[:1], query())


async def test_who_does_not_count_leaves_the_number_open() -> None:
    class Vague(MemoryBackend):
        async def search(self, query: Query) -> Any:
            found = await super().search(query)
            return type(found)(found.results, None if found.remaining else 0)

    vague = Vague()
    await store(vague, *study("1.1"), *study("1.2"))
    both = [Member("vague", vague), *await members(study("1.3"))]
    assert (await search(both, query(limit="1"))).remaining is None
    assert (await search(both, query(limit="2"))).remaining == 1


async def test_counts_are_keys_within_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    both = await members(study("1.1"), [*study("1.2"), dicom("1.1", "1.1.9", "1.1.9.1")])
    assert len((await search(both, query(NumberOfStudyRelatedInstances="5"))).results) == 1
    assert not (await search(both, query(NumberOfStudyRelatedInstances="1"))).results
    monkeypatch.setattr(searches, "SCAN", 1)
    with pytest.raises(InvalidQuery, match="narrow"):
        await search(both, query(NumberOfStudyRelatedInstances="5"))


async def test_a_page_beyond_what_is_looked_through_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searches, "SCAN", 2)
    monkeypatch.setattr(searches, "COUNTED", 1)
    both = await members([], [file for number in range(1, 8) for file in study(f"1.{number}", series=1, instances=1)])
    assert (await search(both, query(limit="1"))).remaining is None
    with pytest.raises(InvalidQuery, match="narrow"):
        await search(both, query(limit="3", offset="3"))


async def test_what_arrives_between_two_looks_is_neither_missed_nor_doubled() -> None:
    """The later member's instance lands at the first one while it is being looked for there."""
    first, second = await members([], [dicom()])
    landed = False

    class Landing:
        async def search(self, query: Query) -> Any:
            nonlocal landed
            found = await first.backend.search(query)
            if not landed and query.filters:
                landed = True
                await store(first.backend, dicom())
            return await first.backend.search(query) if landed and query.filters else found

    landing: Any = Landing()
    found = await search([Member("a", landing), second], query("instance"), first=second)
    assert landed and len(found.results) == 1 and found.remaining == 0


@pytest.mark.parametrize(
    ("level", "params"),
    [
        ("instance", {"PatientName": "First"}),
        ("instance", {"PatientName": "First", "InstanceNumber": "2"}),
        ("series", {"PatientName": "First", "Modality": "SR"}),
        ("study", {"PatientName": "First", "Modality": "SR"}),
        ("study", {"PatientName": "Second", "Modality": "SR"}),
        ("instance", {"PatientName": "Second"}),
    ],
)
async def test_what_moves_on_is_found_by_what_is_true_of_its_study(level: Level, params: dict[str, str]) -> None:
    """What was delivered first speaks for its study, also to those who look for what still waits."""
    files = [
        dicom("1.1", "1.1.1", "1.1.1.1", PatientName="First"),
        dicom("1.1", "1.1.2", "1.1.2.1", PatientName="Second", Modality="SR", InstanceNumber="2"),
        dicom("1.2", "1.2.1", "1.2.1.1", PatientName="First", Modality="SR"),
        dicom("1.3", "1.3.1", "1.3.1.1", PatientName="Second"),
    ]
    whole: Backend = MemoryBackend()
    await store(whole, *files)
    both = await members([files[0]], files[1:])
    expected = await whole.search(query(level, **params))
    found = await search(both, query(level, **params), first=both[1])
    assert sorted(found.results) == sorted(expected.results) and found.remaining == 0
