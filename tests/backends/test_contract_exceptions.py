"""Each of `exceptions`, shown by direct requests to the origin, and what the gateway makes of it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import pytest

from gateway.backends.base import Backend, StoreResult, Upload, View
from gateway.backends.policy import OnDuplicate
from gateway.dicomweb.reasons import Reason
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound, NotImplementedHere
from tests import samples
from tests.backends import (
    test_contract,
    test_contract_bulk,
    test_contract_deletes,
    test_contract_forms,
    test_contract_keys,
    test_contract_search,
)
from tests.backends.exceptions import EXCEPTIONS
from tests.backends.kinds import MAKERS, an_orthanc, in_front_of
from tests.backends.made import AS_STORED, FIRST, JSON, content, dicom, found, named, parts, query, read, store, study, uploads, wants
from tests.backends.test_contract_bulk import KINDS, everything, named_by_metadata, rich, validators
from tests.backends.test_contract_keys import at_odds
from tests.backends.test_contract_search import archive
from tests.origins.google import google
from tests.origins.orthanc import Direct, Orthanc
from tests.web.gate import multipart

FIRST_PATH = named(*FIRST).path
PART_10 = 'multipart/related; type="application/dicom"; transfer-syntax=*'
ORTHANCS = ("orthanc", "cached-orthanc", "pictured-orthanc")
ORIGINS = (*ORTHANCS, "google")


@dataclass(frozen=True)
class Place:
    """An origin, with a backend of the gateway in front of it."""

    url: str
    backend: Backend

    async def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Direct:
        """A request that passes the gateway by."""
        direct = Orthanc(self.url, Path())
        return await asyncio.to_thread(direct.ask, method, path, body, {name.replace("_", "-"): one for name, one in headers.items()})

    async def get(self, path: str, accept: str = "application/dicom+json") -> Direct:
        return await self.ask("GET", path, Accept=accept)

    async def stow(self, *files: bytes) -> Direct:
        media = 'multipart/related; type="application/dicom"; boundary=here'
        return await self.ask("POST", "/studies", multipart(*files), Content_Type=media, Accept="application/dicom+json")

    async def uids(self, path: str, tag: str) -> list[str]:
        return [one[tag]["Value"][0] for one in (await self.get(path)).json]

    async def instances(self, path: str) -> list[bytes]:
        """The files of a multipart answer."""
        answer = await self.get(path, PART_10)
        boundary = re.search(r"boundary=([^;]+)", answer.headers["Content-Type"])
        assert answer.status == 200 and boundary is not None
        pieces = (b"\r\n" + answer.body).split(b"\r\n--" + boundary[1].encode())[1:-1]
        return [piece.partition(b"\r\n\r\n")[2] for piece in pieces]


@pytest.fixture
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Place]:
    """:param request: whose `param` is a kind that `EXCEPTIONS` names."""
    if request.param == "google":
        async with google() as origin:
            made = Place(origin.url, in_front_of(origin.url, "google", tmp_path))
            yield made
            await made.backend.aclose()
        return
    backend = MAKERS[request.param](tmp_path, OnDuplicate.REJECT)
    yield Place(an_orthanc().url, backend)
    await backend.aclose()


Test = TypeVar("Test", bound=Callable[..., Any])
SHOWN: set[tuple[str, str]] = set()
"""Kinds and exceptions."""


def shows(*exceptions: str, of: Collection[str]) -> Callable[[Test], Test]:
    """Marks a test as that of exceptions; it runs over these kinds."""
    SHOWN.update((kind, one) for kind in of for one in exceptions)

    def mark(test: Test) -> Test:
        marked: Test = pytest.mark.parametrize("place", of, indirect=True)(test)
        return marked

    return mark


def said(answer: Direct, key: str) -> list[Mapping[str, Any]]:
    """The items of a sequence in the answer to a store."""
    return list(answer.json.get(key, {}).get("Value", []))


STORED, FAILED, WARNING = "00081199", "00081198", "00081196"

# -- other bytes under the same UIDs

OLD, NEW = dicom(), dicom(PatientName="Roe^Richard")


@shows(
    "test_other_bytes_under_the_same_uids_are_rejected_by_default",
    "test_skip_keeps_the_first_version_and_says_so",
    of=ORTHANCS,
)
async def test_orthanc_says_of_other_bytes_that_they_are_stored(place: Place) -> None:
    await place.stow(OLD)
    again = await place.stow(NEW)
    assert (again.status, len(said(again, STORED)), said(again, FAILED)) == (200, 1, [])
    assert WARNING not in said(again, STORED)[0]
    assert await place.instances(FIRST_PATH) == [OLD]
    result = await store(place.backend, NEW)
    assert [one.warning for one in result.stored] == [None] and not result.failed
    assert await content(place.backend) == OLD


@shows("test_two_versions_in_one_request_obey_the_same_rule", of=ORTHANCS)
async def test_orthanc_says_of_two_versions_that_both_are_stored(place: Place) -> None:
    answer = await place.stow(OLD, NEW)
    assert (answer.status, len(said(answer, STORED)), said(answer, FAILED)) == (200, 2, [])
    assert await place.instances(FIRST_PATH) == [OLD]
    other = [dicom(sop="1.1.1.2"), dicom(sop="1.1.1.2", PatientName="Roe^Richard")]
    result = await store(place.backend, *other)
    assert len(result.stored) == 2 and not result.failed
    assert await content(place.backend, "1.1", "1.1.1", "1.1.1.2") == other[0]


@shows("test_an_upload_may_replace_whatever_the_rule_is", of=ORIGINS)
async def test_an_origin_is_not_told_to_replace(place: Place) -> None:
    await place.stow(OLD)
    await place.stow(NEW)
    assert await place.instances(FIRST_PATH) == [OLD]

    async def replacing() -> AsyncIterator[Upload]:
        async for upload in uploads([dicom(sop="1.1.1.2")]):
            yield replace(upload, replace=True)

    with pytest.raises(NotImplementedHere):
        await place.backend.store(replacing())
    assert await found(place.backend, "instance", "00080018") == ["1.1.1.1"]


@shows("test_concurrent_stores_of_one_instance_agree", of=ORTHANCS)
async def test_orthanc_says_so_of_versions_that_come_at_once(place: Place) -> None:
    versions = [dicom(PatientName=f"Doe^{number}") for number in range(8)]
    answers = await asyncio.gather(*(place.stow(one) for one in versions))
    assert [len(said(answer, STORED)) for answer in answers] == [1] * 8
    [kept] = await place.instances(FIRST_PATH)
    assert kept in versions
    results: Sequence[StoreResult] = await asyncio.gather(*(store(place.backend, one) for one in versions))
    assert [len(result.stored) for result in results] == [1] * 8
    assert await content(place.backend) == kept


@shows(
    "test_replace_takes_the_second_version_and_its_attributes",
    "test_skip_keeps_the_first_version_and_says_so",
    "test_a_replaced_instance_gives_its_new_values",
    "test_validators_change_with_the_instance",
    "test_a_store_that_is_made_anew_has_new_tags",
    of=["google"],
)
async def test_google_refuses_other_bytes(place: Place) -> None:
    await place.stow(OLD)
    again = await place.stow(NEW)
    assert (again.status, said(again, STORED), len(said(again, FAILED))) == (409, [], 1)
    result = await store(place.backend, NEW)
    assert [one.reason for one in result.failed] == [Reason.PROCESSING_FAILURE] and not result.stored
    assert "other content" in result.failed[0].detail
    assert await place.instances(FIRST_PATH) == [await content(place.backend)] == [OLD]


@shows("[no meta]", "[no preamble]", of=["google"])
async def test_google_takes_nothing_but_part_10(place: Place) -> None:
    for file in (samples.without_meta(), samples.without_preamble()):
        answer = await place.stow(file)
        assert (answer.status, said(answer, STORED), len(said(answer, FAILED))) == (409, [], 1)
        result = await store(place.backend, file)
        assert [one.reason for one in result.failed] == [Reason.PROCESSING_FAILURE] and not result.stored
    assert (await place.get("/instances")).status == 204


# -- searches


@shows(
    "test_pages_count_what_is_left",
    "test_an_empty_page_says_how_many_there_are",
    of=ORIGINS,
)
async def test_nobody_counts_what_is_left(place: Place) -> None:
    for number in range(1, 8):
        await store(place.backend, dicom(f"1.{number}", f"1.{number}.1", f"1.{number}.1.1"))
    answer = await place.get("/studies?limit=3")
    assert len(answer.json) == 3 and not {"warning", "x-total-count"} & {name.lower() for name in answer.headers}
    pages = [await place.backend.search(query(limit="3", offset=str(offset))) for offset in (0, 3, 6, 9)]
    assert [page.remaining for page in pages] == [None, None, 0, 0]
    empty = await place.backend.search(query(limit="0", offset="3"))
    assert (empty.results, empty.remaining) == ((), None)


@shows("test_results_come_in_the_order_in_which_they_were_stored", of=ORIGINS)
async def test_results_come_in_the_order_of_the_origin(place: Place) -> None:
    stored = [f"1.{number}" for number in (7, 2, 4, 1, 5, 3, 6)]
    for uid in stored:
        await store(place.backend, *study(uid, series=1, instances=1))
    order = await place.uids("/studies", "0020000D")
    assert sorted(order) == sorted(stored) and order != stored
    assert await found(place.backend, "study", "0020000D") == order


@shows("test_names_are_matched_without_regard_to_accents", of=ORIGINS)
async def test_accents_count_where_the_origin_counts_them(place: Place) -> None:
    await store(place.backend, *archive())
    for plain, accented in (("muller^jorg", "Müller^Jörg"), ("muller", "MÜLLER")):
        for name in (plain, plain.upper(), f"*{plain.upper()}*"):
            assert (await place.get(f"/studies?PatientName={quote(name, safe='*')}&fuzzymatching=true")).json == []
        assert await found(place.backend, "study", "0020000D", PatientName=plain) == []
        assert await found(place.backend, "study", "0020000D", PatientName=accented) in (["1.3"], ["1.4"])


def names(answer: Direct) -> list[str]:
    return [one["00100010"]["Value"][0]["Alphabetic"] for one in answer.json]


@shows("test_what_is_said_of_a_study_holds_for_all_its_instances", of=ORTHANCS)
async def test_orthanc_finds_instances_by_a_name_that_they_do_not_show(place: Place) -> None:
    await at_odds(place.backend)
    assert names(await place.get("/instances?PatientName=First")) == ["First", "Second", "Third"]
    assert await found(place.backend, "instance", "00080018", PatientName="First") == ["1.1.1.1"]


@shows("test_what_is_said_of_a_study_holds_for_all_its_instances", of=["google"])
async def test_google_asks_each_instance_for_its_own_name(place: Place) -> None:
    await at_odds(place.backend)
    assert names(await place.get("/instances?PatientName=First")) == ["First"]
    assert await found(place.backend, "instance", "00080018", PatientName="First") == ["1.1.1.1"]


@shows("test_the_earliest_that_is_left_speaks_for_its_study", of=ORTHANCS)
async def test_orthanc_finds_a_study_by_what_a_deleted_instance_said(place: Place) -> None:
    await at_odds(place.backend)
    await place.backend.delete(named(*FIRST))
    assert names(await place.get("/studies?PatientName=First")) == ["Second"]
    assert names(await place.get("/studies?PatientName=Second")) == []
    for name in ("First", "Second"):
        assert await found(place.backend, "study", "0020000D", PatientName=name) == []


@shows("test_instances_show_their_transfer_syntax_unasked", of=ORTHANCS)
async def test_orthanc_shows_no_transfer_syntax(place: Place) -> None:
    await store(place.backend, dicom())
    for asked in ("", "?includefield=00083002", "?includefield=00020010"):
        assert not {"00083002", "00020010"} & set((await place.get(f"/instances{asked}")).json[0])
    assert "00083002" not in json.loads((await place.backend.search(query("instance"))).results[0])
    assert await found(place.backend, "instance", "00083002", includefield="00083002") == ["1.2.840.10008.1.2.1"]


@shows("test_a_search_says_when_the_store_last_changed", of=ORIGINS)
async def test_nobody_says_when_the_store_changed(place: Place) -> None:
    await store(place.backend, dicom())
    assert "last-modified" not in {name.lower() for name in (await place.get("/studies")).headers}
    assert (await place.backend.search(query())).modified is None


# -- reads


@shows("test_the_parts_of_a_study_come_in_the_order_in_which_they_were_stored", of=ORTHANCS)
async def test_parts_come_in_the_order_of_orthanc(place: Place) -> None:
    files = [one for series in ("1.1.2", "1.1.1") for number in (3, 1, 2) for one in [dicom("1.1", series, f"{series}.{number}")]]
    for file in files:
        await store(place.backend, file)
    order = await place.instances("/studies/1.1")
    assert sorted(order) == sorted(files) and order != files
    assert [data for _, data in await parts(await place.backend.retrieve(wants(View.INSTANCES, AS_STORED, "1.1")))] == order


@shows("test_bulk_data_comes_in_the_order_of_the_metadata", of=ORTHANCS)
async def test_orthanc_has_another_order_for_metadata(place: Place) -> None:
    for number, series in ((29, 9), (19, 9), (28, 8), (18, 8)):
        await store(place.backend, rich("1.2.840.10008.1.2.1", number, f"1.2.{series}"))
    by_metadata = await place.uids("/studies/1.2.3/metadata", "00080018")
    whole = await place.instances("/studies/1.2.3")
    by_file = sorted(by_metadata, key=lambda uid: [uid.encode() in file for file in whole].index(True))
    assert by_file != by_metadata

    def instances(uris: Sequence[str]) -> list[str]:
        return list(dict.fromkeys(uri.partition("/instances/")[2].partition("/")[0] for uri in uris))

    assert instances(await named_by_metadata(place.backend, "1.2.3")) == by_metadata
    assert instances([uri for uri, _ in await everything(place.backend, View.BULKDATA, "1.2.3")]) == by_file


@shows("test_a_body_says_how_many_instances_it_holds", of=ORIGINS)
async def test_no_header_says_how_many_instances_there_are(place: Place) -> None:
    await store(place.backend, *study("1.1"))
    answer = await place.get("/studies/1.1", PART_10)
    of_framing = {"connection", "content-length", "content-type", "date", "keep-alive", "server", "transfer-encoding"}
    assert {name.lower() for name in answer.headers} <= of_framing
    body = await place.backend.retrieve(wants(View.INSTANCES, AS_STORED, "1.1"))
    assert len(await read(body)) > 4 * len(dicom()) and body.instances == 1


@shows("test_every_body_has_validators", of=ORIGINS)
async def test_origins_give_no_validators(place: Place) -> None:
    await store(place.backend, dicom())
    for path, accept in ((FIRST_PATH, PART_10), (f"{FIRST_PATH}/metadata", "application/dicom+json"), (f"{FIRST_PATH}/frames/1", "*/*")):
        headers = (await place.get(path, accept)).headers
        assert not {"etag", "last-modified"} & {name.lower() for name in headers}
    for (etag, _, modified), retrieve in zip(await validators(place.backend), KINDS, strict=True):
        assert modified is None
        assert etag is None or retrieve.view is not View.INSTANCES  # of what was cut out here, or kept, the bytes are known


@shows("test_metadata_of_every_form_is_the_data_set[extended offset table]", of=ORTHANCS)
async def test_metadata_of_orthanc_has_no_extended_offset_table(place: Place) -> None:
    data = samples.ALL["extended offset table"]()
    await store(place.backend, data)
    [direct] = (await place.get(f"/studies/{samples.STUDY}/metadata")).json
    assert not [key for key in direct if key.startswith("7FE0")]
    [ours] = json.loads(await read(await place.backend.retrieve(wants(View.METADATA, JSON, samples.STUDY))))
    assert [key for key in ours if key.startswith("7FE0")] == ["7FE00010"]
    assert await content(place.backend, samples.STUDY, samples.SERIES, samples.SOP) == data


# -- deletes


@shows("test_what_was_deleted_is_known_to_be_gone", of=ORIGINS)
async def test_origins_forget_what_they_deleted(place: Place) -> None:
    await store(place.backend, *study("1.1"))
    assert await place.backend.delete(Resource("1.1")) == 4
    for path in ("/studies/1.1", "/studies/1.9"):
        assert (await place.get(path, PART_10)).status == (await place.get(f"{path}/metadata")).status == 404
    for uid in ("1.1", "1.9"):
        for look in (partial(place.backend.retrieve, wants(View.INSTANCES, AS_STORED, uid)), partial(place.backend.delete, Resource(uid))):
            with pytest.raises(NotFound):
                await look()


# -- the list itself

MODULES = (test_contract, test_contract_bulk, test_contract_deletes, test_contract_forms, test_contract_keys, test_contract_search)


def test_each_exception_is_shown_and_nothing_else() -> None:
    assert {(kind, one) for kind, exceptions in EXCEPTIONS.items() for one in exceptions} == SHOWN


def test_each_exception_is_one_of_a_test_that_there_is() -> None:
    tests = {name for module in MODULES for name in vars(module) if name.startswith("test_")}
    for exceptions in EXCEPTIONS.values():
        for one, reason in exceptions.items():
            name, _, case = one.rstrip("]").partition("[")
            assert name in {"", *tests} and case in {"", *samples.ALL} and name + case
            assert reason
