"""The description against the routes, and against a gateway that serves them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.dicom.dictionary import keyword
from gateway.dicomweb.nativexml import native_xml
from gateway.metrics import Transaction
from gateway.web import description, health
from gateway.web.description import PROBLEM, Described, describe
from gateway.web.routes import BASES, STORE_ROUTES, everything
from gateway.web.service import Route, SearchLimits
from tests.backends.made import dicom
from tests.web.conftest import Serve
from tests.web.gate import Gate, multipart

LIMITS = SearchLimits()
ALL = [describe(route, LIMITS, bearer=True) for route in everything()]
STORE = [describe(route, LIMITS, bearer=True) for route in STORE_ROUTES]
JPEG = "1.2.840.10008.1.2.4.50"

NAMES = {
    "POST /studies": "StoreInstances",
    "POST /studies/{study}": "StoreStudyInstances",
    "GET /studies": "SearchForStudies",
    "GET /series": "SearchForSeries",
    "GET /instances": "SearchForInstances",
    "GET /studies/{study}/series": "SearchForStudySeries",
    "GET /studies/{study}/instances": "SearchForStudyInstances",
    "GET /studies/{study}/series/{series}/instances": "SearchForStudySeriesInstances",
    "GET /studies/{study}": "RetrieveStudy",
    "GET /studies/{study}/series/{series}": "RetrieveSeries",
    "GET /studies/{study}/series/{series}/instances/{instance}": "RetrieveInstance",
    "GET /studies/{study}/metadata": "RetrieveStudyMetadata",
    "GET /studies/{study}/series/{series}/metadata": "RetrieveSeriesMetadata",
    "GET /studies/{study}/series/{series}/instances/{instance}/metadata": "RetrieveInstanceMetadata",
    "GET /studies/{study}/series/{series}/instances/{instance}/frames/{frames}": "RetrieveFrames",
    "GET /studies/{study}/series/{series}/instances/{instance}/bulkdata/{bulk}": "RetrieveBulkData",
}
"""The names of the transactions in PS3.18 table H-1, as its example of WADL spells them (PS3.17 HHH.7.1)."""


def statuses(one: Described) -> set[int]:
    return {answer.status for answer in one.operation.answers}


def named(name: str) -> Described:
    return next(one for one in ALL if one.operation.name == name)


def test_everything_that_is_described_is_routed() -> None:
    assert set(description._OPERATIONS) == {route.handler for route in everything()}


def test_a_route_of_which_nothing_is_known_is_an_error() -> None:
    async def handler(*_: Any, **__: Any) -> Any: ...

    with pytest.raises(KeyError):
        describe(Route("GET", "/new", "other", handler), LIMITS, bearer=False)


def test_transactions_have_the_names_of_the_standard() -> None:
    found = {f"{one.method} {one.path}": one.operation.name for one in STORE}
    assert {place: found[place] for place in NAMES} == NAMES


def test_names_are_unique() -> None:
    names = [one.operation.name for one in ALL]
    assert len(names) == len(set(names))


def test_what_varies_in_a_path_is_described() -> None:
    for one in ALL:
        assert re.findall(r"{(\w+)}", one.path) == [parameter.name for parameter in one.operation.parameters if parameter.place == "path"]
        assert "{" not in re.sub(r"{\w+}", "", one.path)


def test_statuses_ascend() -> None:
    for one in ALL:
        found = [answer.status for answer in one.operation.answers]
        assert found == sorted(set(found))


@pytest.mark.parametrize("bearer", [True, False])
def test_401_is_there_when_a_token_is_asked_for(bearer: bool) -> None:
    for one in (describe(route, LIMITS, bearer=bearer) for route in everything()):
        asked = bearer and one.transaction not in ("health", "page")
        assert (401 in statuses(one), one.operation.credentials) == (asked, asked)


def test_a_store_of_which_the_url_has_the_name_may_be_missing() -> None:
    for base in BASES:
        assert all((404 in statuses(one)) == ("{store}" in base) for one in ALL if one.path == base + "/studies")


@dataclass
class Head:
    """A row of a table of routes that is no `Route`."""

    method: str = "HEAD"
    path: str = "/healthz"
    transaction: Transaction = "health"
    handler: Any = health.alive


def test_head_has_no_bodies_and_no_ranges() -> None:
    assert [answer.content for answer in describe(Head(), LIMITS, bearer=False).operation.answers] == [{}, {}]
    for get in (one for one in ALL if one.method == "GET"):
        head = next(one for one in ALL if (one.method, one.path) == ("HEAD", get.path))
        assert statuses(get) - statuses(head) == statuses(get) & {206, 416}
        assert all(not answer.content for answer in head.operation.answers)
        assert {"Range", "If-Range"}.isdisjoint(parameter.name for parameter in head.operation.parameters)


def test_ranges_are_there_where_one_thing_can_be_sent_by_itself() -> None:
    single = {one.operation.name for one in STORE if {206, 416} <= statuses(one)}
    assert single >= {"RetrieveInstance", "RetrieveFrames", "RetrieveBulkData"}
    assert {one.operation.name for one in STORE if {206, 416} & statuses(one)} == single


def test_whatever_is_found_may_not_have_changed() -> None:
    """Dates count only for what is of one instance, for of several the newest may stay when another one goes. A picture may be of
    several."""
    for one in STORE:
        conditions = {parameter.name for parameter in one.operation.parameters} & {"If-None-Match", "If-Modified-Since"}
        assert (304 in statuses(one)) == ("If-None-Match" in conditions) == (one.method == "GET")
        assert ("If-Modified-Since" in conditions) == (one.method == "GET" and "{instance}" in one.path and one.transaction != "rendered")


def test_content_codings_are_there_for_documents() -> None:
    coded = {one.transaction for one in ALL if "Accept-Encoding" in {parameter.name for parameter in one.operation.parameters}}
    assert coded == {"store", "search", "metadata", "capabilities", "page"}


# -- against a gateway


async def filled(serve: Serve) -> Gate:
    gate = await serve(backend="memory", stores={"other": {"backend": "memory"}})
    for base in ("/dicom-web", "/stores/other/dicom-web"):
        await gate.ask("POST", "/studies", {"Content-Type": "application/dicom"}, dicom(), base)
    return gate


WADO = "?requestType=WADO&studyUID=1.1&seriesUID=1.1.1&objectUID=1.1.1.1"


def path_of(one: Described) -> str:
    """A path at which the gateway has something."""
    known = {"store": "other", "study": "1.1", "series": "1.1.1", "instance": "1.1.1.1", "frames": "1", "bulk": "7FE00010"} | {
        "file": "app-config.js"
    }
    return re.sub(r"{(\w+)}", lambda found: known[found[1]], one.path) + WADO * one.path.endswith("/wado")


def plain(media: str) -> str:
    """A media type without the parameters that only a request or only an answer carries."""
    return re.sub(r"; (boundary|transfer-syntax)=\S+", "", media)


def inner(media: str) -> str:
    return media.rpartition('type="')[2].strip('"').partition(";")[0]


@pytest.mark.parametrize(
    "one", [one for one in ALL if one.method in ("GET", "OPTIONS") and one.operation.accepts], ids=lambda one: one.operation.name
)
async def test_each_form_that_is_named_can_be_had(serve: Serve, one: Described) -> None:
    gate = await filled(serve)
    given = {}
    for accept in one.operation.accepts:
        answer = await gate.ask(one.method, path_of(one), {"Accept": accept}, base="")
        given[accept] = (answer.status, plain(answer.headers["Content-Type"]))
    codecs = {accept for accept in given if one.transaction in ("frames", "bulkdata") and inner(accept).startswith(("image/", "video/"))}
    assert {given[accept] for accept in codecs} <= {(406, PROBLEM), *((200, plain(accept)) for accept in codecs)}
    made = {inner(accept) for accept in codecs if given[accept][0] == 200}
    assert made == ({"image/dicom-rle", "image/jls", "image/jp2", "image/jpeg", "image/jphc"} if one.transaction == "frames" else set())
    assert {accept: given[accept] for accept in given if accept not in codecs} == {
        accept: (200, plain(accept)) for accept in given if accept not in codecs
    }
    default = await gate.ask(one.method, path_of(one), base="")
    wanted = one.operation.accepts[one.transaction == "rendered" and "wado" in one.path]
    assert plain(default.headers["Content-Type"]) == plain(wanted)


async def test_tokens_are_asked_for_where_it_is_said(serve: Serve, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("secret\n")
    gate = await serve(backend="memory", server={"token_file": tokens})
    for one in ALL:
        status = (await gate.ask(one.method, path_of(one), base="")).status
        assert (status == 401) == one.operation.credentials, (one.method, one.path)


async def test_frames_can_be_had_in_the_codec_that_they_are_stored_in(serve: Serve) -> None:
    gate = await filled(serve)
    pixels = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\4\0\0\0\xff\xd8\xff\xd9"
    await gate.store(dicom("2.1", "2.1.1", "2.1.1.1", syntax=JPEG, PixelData=pixels))
    content = next(answer for answer in named("RetrieveFrames").operation.answers if answer.status == 200).content
    for accept in ('multipart/related; type="image/jpeg"', "image/jpeg"):
        for end in ("frames/1", "bulkdata/7FE00010"):
            answer = await gate.get(f"/studies/2.1/series/2.1.1/instances/2.1.1.1/{end}", accept)
            assert (answer.status, plain(answer.headers["Content-Type"])) == (200, accept)
        assert accept in content


REPORT = {0x00080016: "1.2.840.10008.5.1.4.1.1.88.11", 0x00080018: "1.9.1.1", 0x0020000D: "1.9", 0x0020000E: "1.9.1"}


async def test_each_body_that_is_named_is_stored(serve: Serve) -> None:
    gate = await filled(serve)
    operation = named("StoreInstances").operation
    report = {f"{tag:08X}": {"vr": "UI", "Value": [uid]} for tag, uid in REPORT.items()}
    bodies = {"application/dicom": dicom(), "application/dicom+json": json.dumps([report]).encode(), "application/octet-stream": dicom()}
    bodies["application/dicom+xml"] = native_xml(report, keyword)
    bodies |= {f'multipart/related; type="{media}"': multipart(body, head="") for media, body in bodies.items() if "octet" not in media}
    assert set(operation.takes) == set(bodies)
    for media, body in bodies.items():
        for accept in operation.accepts:
            answer = await gate.post(body, media + "; boundary=here" * media.startswith("multipart"), {"Accept": accept})
            assert (answer.status, answer.headers["Content-Type"]) == (200, accept)


@pytest.mark.parametrize("end", ["", "/frames/1", "/bulkdata/7FE00010"])
async def test_what_is_sent_by_itself_has_the_headers_that_are_named(serve: Serve, end: str) -> None:
    gate = await filled(serve)
    path = "/studies/1.1/series/1.1.1/instances/1.1.1.1" + end
    one = next(one for one in STORE if path_of(one) == path and one.method == "GET")
    accept = "application/octet-stream; transfer-syntax=*" if end else "application/dicom; transfer-syntax=*"
    etag = (await gate.get(path, accept)).headers["ETag"]
    for status, asked in ((200, {}), (206, {"Range": "bytes=0-3"}), (304, {"If-None-Match": etag}), (416, {"Range": "bytes=9999-"})):
        answer = await gate.get(path, accept, asked)
        headers = next(answer for answer in one.operation.answers if answer.status == status).headers
        assert answer.status == status
        named = ("Accept-Ranges", "Content-Range", "ETag", "Last-Modified", "Vary")
        of_a_cache = {"Age", "Warning", "X-Cache"}
        assert {name for name in named if name in answer.headers} == set(headers) - of_a_cache
