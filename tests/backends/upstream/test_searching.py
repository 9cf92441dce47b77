"""Searches at two origins find what the reference finds, though the origins themselves do not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.backends.base import URL_BASE
from gateway.backends.memory import MemoryBackend
from gateway.backends.results import fields
from gateway.backends.upstream.searching import Searching
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import GatewayError, InvalidQuery, OriginFailed
from tests.backends import test_contract_search as contract
from tests.backends.made import dicom, query, store, study
from tests.backends.upstream.searched import Place, at_google, at_orthanc
from tests.origins.google import Google
from tests.origins.orthanc import Orthanc

KEY: dict[Level, str] = {"study": "0020000D", "series": "0020000E", "instance": "00080018"}
OPENED = {"google": at_google, "orthanc": at_orthanc}


@pytest.fixture(params=sorted(OPENED))
async def place(request: pytest.FixtureRequest) -> AsyncIterator[Place]:
    async with OPENED[request.param]() as place:
        yield place


async def results(searching: Searching, asked: Query) -> list[dict[str, Any]]:
    return [json.loads(one) for one in (await searching.search(asked)).results]


async def uids(place: Place, level: Level, resource: Resource = Resource(), /, **params: str) -> list[str]:
    """Those of all results, sorted: each origin has an order of its own."""
    return sorted(one[KEY[level]]["Value"][0] for one in await results(place.searching, query(level, resource, **params)))


# -- beside the reference


@pytest.fixture
async def both(place: Place) -> tuple[MemoryBackend, Place]:
    reference = MemoryBackend()
    await store(reference, *contract.archive())
    await place.put(*contract.archive())
    return reference, place


def same_everywhere(name: str, text: str) -> bool:
    """Whether origins can be expected to understand a key as the reference does; what they do not has tests of its own below."""
    if name == "ContrastBolusAgent":  # the archive has two values of it, where PS3.6 allows one
        return "\\" not in text and text not in ("b", "c")
    if name in ("PatientName", "ReferringPhysicianName"):  # o and u mean ö and ü to the reference
        return all(one in NAMED or set("ouOU").isdisjoint(one) for one in text.split("\\"))
    return True


NAMED = {*contract.NAMES, "doe^jane", "MÜLLER^JÖRG", "yamada^tarou"}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_every_search_finds_what_the_reference_finds(both: tuple[MemoryBackend, Place], data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(contract.KEYS)), max_size=3, unique=True))
    params = {name: data.draw(contract.KEYS[name] | st.just('""')) for name in names}
    params |= {name: data.draw(st.sampled_from(["true", "false"])) for name in ("fuzzymatching", "emptyvaluematching")}
    params["includefield"] = data.draw(st.sampled_from(contract.INCLUDED))
    if not all(same_everywhere(name, text) for name, text in params.items()):
        return
    pages = data.draw(st.sampled_from([contract.WIDE, contract.WIDE, {"limit": "0"}, {"limit": "2", "offset": "1"}, {"offset": "50"}]))
    level = data.draw(st.sampled_from(list(contract.PARENTS)))
    resource = data.draw(st.sampled_from(contract.PARENTS[level]))
    try:
        asked = query(level, resource, **params, **pages)
    except InvalidQuery:
        return
    reference, place = both
    expected = await contract.answer(reference, asked)
    got = await contract.answer(place.searching, asked)  # type: ignore[arg-type]  # all of a backend that it needs
    if expected == ("refused",) or got == ("refused",):
        assert got == expected
        return
    assert len(got[1]) == len(expected[1])
    assert got[0] == expected[0] or (got[0] is None and expected[0] > 0)
    if pages is contract.WIDE:
        _same_results(asked, got[1], expected[1])


def _same_results(asked: Query, got: list[Any], expected: list[Any]) -> None:
    """Origins may show less than an index of our own, but what they show is the same, and what is asked for is there."""
    by_uid = {one[KEY[asked.level]]["Value"][0]: one for one in expected}
    assert {one[KEY[asked.level]]["Value"][0] for one in got} == set(by_uid)
    for one in got:
        other = by_uid[one[KEY[asked.level]]["Value"][0]]
        wanted = set(other) - {"00083002"} if asked.include_all else {f"{tag:08X}" for tag in fields(asked)} & set(other)
        assert {key: other.get(key) for key in {*one, *wanted}} == {key: one.get(key) for key in {*one, *wanted}}


# -- by hand


async def test_a_list_of_studies_costs_one_call() -> None:
    async with at_google() as place:
        assert isinstance(place.origin, Google)
        await place.put(*study("1.1"), *study("1.2"))
        place.origin.calls.clear()
        assert await uids(place, "study", StudyDate="20240101-20241231", includefield="StudyDescription") == ["1.1", "1.2"]
        assert [call.path for call in place.origin.calls] == ["/studies"]
        assert await uids(place, "series", Resource("1.1")) == ["1.1.1", "1.1.2"]
        assert await uids(place, "instance", Resource("1.1", "1.1.1")) == ["1.1.1.1", "1.1.1.2"]
        assert len(place.origin.calls) == 3


async def test_keys_of_other_levels_find_what_the_origin_does_not(place: Place) -> None:
    await place.put(dicom(), dicom("1.2", "1.2.1", "1.2.1.1", Modality="SR", StationName="ROOM2"))
    assert await uids(place, "study", Modality="SR") == ["1.2"]
    assert await uids(place, "study", StationName="ROOM*") == ["1.2"]
    assert await uids(place, "series", ModalitiesInStudy="SR") == ["1.2.1"]
    assert await uids(place, "study", SOPInstanceUID="1.1.1.1") == ["1.1"]
    if isinstance(place.origin, Orthanc):
        assert await place.direct("/studies", Modality="SR") == []


async def test_a_bare_origin_s_studies_are_counted() -> None:
    async with at_google(counted=False) as place:
        await place.put(*study("1.1"), dicom("1.1", "1.1.3", "1.1.3.1", Modality="SR"))
        assert "00080061" not in (await place.direct("/studies"))[0]
        [one] = await results(place.searching, query(ModalitiesInStudy="SR"))
        assert (one["00080061"]["Value"], one["00201206"]["Value"], one["00201208"]["Value"]) == (["CT", "SR"], [3], [5])
        [below] = await results(place.searching, query("series", Resource("1.1"), Modality="SR"))
        assert below["00201209"]["Value"] == [1]


async def test_no_url_of_the_origin_goes_out(place: Place) -> None:
    await place.put(dicom())
    for level in contract.PARENTS:
        found = (await place.searching.search(query(level, includefield="all"))).results
        assert len(found) == 1
        assert b"http" not in found[0] and f'"Value":["{URL_BASE}/studies/1.1'.encode() in found[0]


async def test_pages_are_put_together_beyond_the_cap_of_an_answer(place: Place) -> None:
    await place.put(*study("1.1", series=1, instances=23))
    searching = place.but(page_instances=5)
    asked = query("instance", Resource("1.1"), limit="12", offset="3")
    matches = await searching.search(asked)
    assert (len(matches.results), matches.remaining) == (12, None)
    last = await searching.search(query("instance", Resource("1.1"), limit="12", offset="15"))
    assert (len(last.results), last.remaining) == (8, 0)
    found = [json.loads(one)["00080018"]["Value"][0] for one in (*matches.results, *last.results)]
    assert len(set(found)) == 20


async def test_a_key_that_the_origin_cannot_match_is_refused_among_too_many(place: Place) -> None:
    await place.put(*study("1.1", series=1, instances=30))
    searching = place.but(scan=20, page_instances=10)
    asked = query("instance", Resource("1.1"), InstanceNumber="30", limit="1")
    with pytest.raises(InvalidQuery, match="cannot search by InstanceNumber, and 20 results were looked through"):
        await searching.search(asked)
    assert len((await place.but(scan=30, page_instances=10).search(asked)).results) == 1
    early = await place.but(scan=120).search(query("instance", Resource("1.1"), InstanceNumber="1", limit="1"))
    assert (len(early.results), early.remaining) == (1, 0)


async def test_headers_are_read_of_fewer(place: Place) -> None:
    await place.put(*study("1.1", series=1, instances=4))
    asked = query("instance", Resource("1.1"), PixelPaddingValue="", **{"00091001": "x"})
    with pytest.raises(InvalidQuery, match="00091001, and 2 results"):
        await place.but(scan=40, page_instances=2).search(asked)
    assert (await place.but(scan=100, page_instances=2).search(asked)).results == ()


async def test_an_offset_beyond_what_the_origin_skips_is_refused() -> None:
    async with at_google() as place:
        with pytest.raises(InvalidQuery, match="skips at most 5 results"):
            await place.but(offset_max=5).search(query(offset="6"))


async def test_an_origin_that_finds_too_much_against_its_profile_is_found_out() -> None:
    async with at_orthanc() as place:
        await place.put(dicom(PatientID="p1"), dicom("1.2", "1.2.1", "1.2.1.1", PatientID="P1"))
        trusting = place.but(folds_text=False)
        matches = await trusting.search(query(PatientID="P1", limit="1"))
        assert [json.loads(one)["0020000D"]["Value"] for one in matches.results] == [["1.2"]]
        assert matches.remaining == 0


async def test_lists_longer_than_one_question_holds() -> None:
    async with at_google() as place:
        await place.put(*[dicom(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1") for number in range(1, 12)])
        assert await uids(place, "study", StudyInstanceUID="1.2,1.4,1.11,9.9") == ["1.11", "1.2", "1.4"]
        page = await place.searching.search(query(StudyInstanceUID="1.2,1.4,1.11", limit="2", offset="1"))
        assert (len(page.results), page.remaining) == (2, 0)


async def test_an_origin_that_is_elsewhere(place: Place) -> None:
    place.client.base += "/elsewhere"
    with pytest.raises(GatewayError) as caught:
        await place.searching.search(query())
    assert isinstance(caught.value, OriginFailed) or caught.value.status == 404


async def test_what_is_left_is_counted_where_everything_was_looked_through(place: Place) -> None:
    await place.put(*[dicom(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1", PatientWeight="70") for number in range(1, 8)])
    counted = await place.searching.search(query(PatientWeight="70.0", limit="3", offset="1"))
    assert (len(counted.results), counted.remaining) == (3, 3)
    unknown = await place.searching.search(query(StudyDate="20240101-20241231", limit="3", offset="1"))
    assert (len(unknown.results), unknown.remaining) == (3, None)


# -- what cannot be mended, each shown by asking the origin itself


async def test_accents_count_at_the_origin(place: Place) -> None:
    """The reference finds Müller by Muller; who asks an origin for all names would wait for all studies."""
    await place.put(dicom(SpecificCharacterSet="ISO_IR 192", PatientName="Müller^Jörg"))
    assert await place.direct("/studies", PatientName="Muller*", fuzzymatching="true") == []
    assert await uids(place, "study", PatientName="Muller*") == []
    assert await uids(place, "study", PatientName="müller*") == await uids(place, "study", PatientName="MÜLLER^JÖRG") == ["1.1"]


async def test_orthanc_in_latin_1_loses_letters_and_says_so() -> None:
    async with at_orthanc() as place:
        assert isinstance(place.origin, Orthanc)
        await place.put(dicom(SpecificCharacterSet="ISO_IR 192", PatientName="Yamada=山田"))
        assert await uids(place, "study", PatientName="山田") == ["1.1"]
        place.origin.ask("PUT", "/tools/default-encoding", b"Latin1")
        try:
            [one] = await place.direct("/studies")
            assert one["00100010"]["Value"] != [{"Alphabetic": "Yamada", "Ideographic": "山田"}]
            with pytest.raises(InvalidQuery, match="DefaultEncoding = Utf8"):
                await place.searching.search(query(PatientName="山田"))
            assert await uids(place, "study", PatientName="yamada") == ["1.1"]
        finally:
            place.origin.ask("PUT", "/tools/default-encoding", b"Utf8")
