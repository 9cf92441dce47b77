"""Which instances are written, in which order, and where a list of them goes on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.backends.memory import MemoryBackend
from gateway.dicomweb.resources import Resource
from gateway.errors import BadRequest
from gateway.transfers import choosing
from gateway.transfers.choosing import FIRST, LAST, Choosing, Key, outermost, parse_filter
from tests.backends.made import dicom, store, study


@pytest.fixture
async def backend() -> MemoryBackend:
    made = MemoryBackend()
    files = [*study("1.9"), *study("1.10", series=1, instances=3), dicom("2", "2.1", "2.1.1", NumberOfFrames="3")]
    await store(made, *reversed(files))
    return made


ALL = [
    *("1.10/1.10.1/1.10.1.1", "1.10/1.10.1/1.10.1.2", "1.10/1.10.1/1.10.1.3"),
    *("1.9/1.9.1/1.9.1.1", "1.9/1.9.1/1.9.1.2", "1.9/1.9.2/1.9.2.1", "1.9/1.9.2/1.9.2.2", "2/2.1/2.1.1"),
]


async def picked(found: Choosing, after: Key = FIRST) -> list[str]:
    return [
        f"{one.resource.study}/{one.resource.series}/{one.resource.instance}"
        async for studied in found.studies(after)
        for one in studied.picked
    ]


async def test_all_of_a_store_in_the_order_of_uids(backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "PAGE", 2)  # several pages
    found = Choosing(backend)
    assert await picked(found) == ALL == sorted(ALL) and await found.count() == len(ALL)
    assert [one.frames async for studied in found.studies() for one in studied.picked] == [0] * 7 + [3]


@pytest.mark.parametrize("name", ALL)
async def test_it_goes_on_behind_any_instance(backend: MemoryBackend, name: str) -> None:
    uid, series, sop = name.split("/")
    assert await picked(Choosing(backend), (uid, series, sop)) == ALL[ALL.index(name) + 1 :]
    assert await picked(Choosing(backend), (uid, LAST, LAST)) == [one for one in ALL if one.split("/")[0] > uid]


async def test_some_of_it_and_what_is_not_there(backend: MemoryBackend) -> None:
    wanted = [Resource("1.9", "1.9.2"), Resource("1.9", "1.9.1", "1.9.1.2"), Resource("7"), Resource("1.9", "1.9.3"), Resource("2")]
    found = Choosing(backend, outermost(wanted))
    assert await picked(found) == [ALL[4], ALL[5], ALL[6], ALL[7]]
    assert [one.missing async for one in found.studies()] == [[Resource("1.9", "1.9.3")], [], [Resource("7")]]
    assert await found.count() == 6
    assert [one.missing async for one in found.studies(("1.9", "1.9.3", ""))] == [[], [Resource("7")]]
    assert [one.missing async for one in found.studies(("7", "", ""))] == []


def test_what_is_inside_of_others_is_left_out() -> None:
    whole, series, instance = Resource("1"), Resource("1", "2"), Resource("1", "2", "3")
    assert outermost([instance, series, whole, whole]) == [whole]
    assert outermost([instance, Resource("1", "20"), series]) == [series, Resource("1", "20")]


UIDS = st.sampled_from(["1", "1.2", "10"])
RESOURCES = st.builds(lambda study, series, sop: Resource(study, series, sop if series else None), UIDS, st.none() | UIDS, st.none() | UIDS)


@given(st.lists(RESOURCES, max_size=8))
def test_nothing_is_lost_and_nothing_is_twice(wanted: list[Resource]) -> None:
    def covers(one: Resource, other: Resource) -> bool:
        return (other.path + "/").startswith(one.path + "/")

    kept = outermost(wanted)
    assert all(any(covers(one, other) for one in kept) for other in wanted)
    assert not any(covers(one, other) for one in kept for other in kept if one is not other)


def test_a_list_has_a_resource_a_line() -> None:
    text = b"/studies/1.2\r\n\nstudies/1.2/series/3/\n/studies/1.2/series/3/instances/4"
    assert parse_filter(text) == [Resource("1.2")]
    assert parse_filter(text.replace(b"/1.2\r", b"/1.1\r").replace(b"series/3/\n", b"series/2\n")) == [
        *(Resource("1.1"), Resource("1.2", "2"), Resource("1.2", "3", "4"))
    ]


@pytest.mark.parametrize(
    "line", [b"/studies", b"/series/1", b"/studies/1/instances/2", b"/studies/x", b"/studies/1/series/2/instances/3/frames/1"]
)
def test_a_line_that_is_none_is_named(line: bytes) -> None:
    with pytest.raises(BadRequest, match="line 2 of the filter"):
        parse_filter(b"/studies/1\n" + line)
