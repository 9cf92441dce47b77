"""Conditional requests: who has the answer already gets 304, and nobody gets one who has not."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from email.utils import formatdate, parsedate_to_datetime

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from gateway.app import SERVICE
from gateway.backends.base import Body, Piece
from gateway.web import conditional
from gateway.web.conditional import SETTLED, Validators, coded, is_listed, last_modified, tag, unchanged
from tests.backends.made import dicom, study
from tests.web.conftest import Serve
from tests.web.gate import ANY, INSTANCE, STORED, Gate, multipart

JSON, XML = "application/dicom+json", 'multipart/related; type="application/dicom+xml"'
OCTETS = "application/octet-stream; transfer-syntax=*"
PARTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'
LEVELS = ["/studies/1.1", "/studies/1.1/series/1.1.1", INSTANCE]
STRONG = [
    *(("/metadata", level, JSON) for level in LEVELS),
    *((search, "", JSON) for search in ("/studies", "/series", "/instances", "/studies/1.1/series", "/studies/1.1/instances")),
    ("", INSTANCE, STORED),
    ("/frames/1", INSTANCE, OCTETS),
    ("/bulkdata/7FE00010", INSTANCE, OCTETS),
]
WEAK = [
    *(("/metadata", level, XML) for level in LEVELS),
    *(("", level, PARTS) for level in LEVELS),
    ("/frames/1", INSTANCE, "multipart/related; type=application/octet-stream; transfer-syntax=*"),
    ("/bulkdata/7FE00010", INSTANCE, ANY),
]
FOUND = ("ETag", "Last-Modified", "Cache-Control", "Vary")


# -- dates


@pytest.mark.parametrize(
    ("modified", "now", "said"),
    [
        (100.2, 100.3, 100),
        (100.2, 101.5, 100),
        (100.2, 105.9, 100),
        (100.2, 106.0, 101),
        (100.2, 999.0, 101),
        (100.0, 105.0, 100),
        (100.0, 100.0, 100),
        (200.7, 100.2, 100),
    ],
)
def test_the_second_that_is_said_of_a_change(monkeypatch: pytest.MonkeyPatch, modified: float, now: float, said: int) -> None:
    monkeypatch.setattr(conditional, "now", lambda: now)
    assert last_modified(modified) == said


instants = st.integers(0, 40_000).map(lambda quarter_seconds: quarter_seconds / 4)


@given(instants, st.floats(0, 10), st.floats(0, SETTLED, exclude_max=True), st.floats(0, 20), st.floats(0, 20))
def test_who_read_an_older_version_gets_the_new_one(old: float, later: float, commit: float, read: float, asked: float) -> None:
    """Whatever lies between two versions and the moments when they can be seen, the date of the one never stands for the other."""
    new = old + later
    visible, at = new + commit, old + read
    if new == old or at >= visible:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conditional, "now", lambda: at)
        headers = {"If-Modified-Since": formatdate(last_modified(old), usegmt=True)}
        patch.setattr(conditional, "now", lambda: visible + asked)
        assert not unchanged(make_mocked_request("GET", "/", headers), Validators(modified=new, dated=True))


@given(instants, st.floats(SETTLED + 1, 1000), st.floats(0, 1000))
def test_who_read_what_is_there_is_told_so(modified: float, read: float, asked: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conditional, "now", lambda: modified + read)
        headers = {"If-Modified-Since": formatdate(last_modified(modified), usegmt=True)}
        patch.setattr(conditional, "now", lambda: modified + read + asked)
        assert unchanged(make_mocked_request("GET", "/", headers), Validators(modified=modified, dated=True))


@pytest.mark.parametrize(
    ("method", "header", "validators", "expected"),
    [
        ("GET", {}, {}, True),
        ("HEAD", {}, {}, True),
        ("POST", {}, {}, False),
        ("OPTIONS", {}, {}, False),
        ("GET", {}, {"dated": False}, False),
        ("GET", {}, {"modified": None}, False),
        ("GET", {"If-None-Match": '"other"'}, {}, False),
        ("GET", {"If-None-Match": ""}, {}, False),
        ("GET", {"If-None-Match": "*"}, {}, True),
        ("POST", {"If-None-Match": "*"}, {}, False),
        ("GET", {"If-Modified-Since": "Sun, 06 Nov 1994 08:49:37 GMT"}, {}, False),
        ("GET", {"If-Modified-Since": "Fri, 01 Jan 9999 00:00:00 GMT"}, {}, False),
        ("GET", {"If-Modified-Since": "yesterday"}, {}, False),
        ("GET", {"If-Modified-Since": ""}, {}, False),
    ],
)
def test_which_conditions_count(method: str, header: dict[str, str], validators: dict[str, object], expected: bool) -> None:
    given = {"modified": time.time() - 60.5, "etag": "a", "dated": True} | validators
    headers = {"If-Modified-Since": formatdate(time.time() - 30, usegmt=True)} | header
    assert unchanged(make_mocked_request(method, "/", headers), Validators(**given)) == expected  # type: ignore[arg-type]  # a table of cases


# -- tags


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ('"a"', True),
        ('W/"a"', True),
        ('"b", W/"a" ,"c"', True),
        ('"b","a"', True),
        (' "a" ', True),
        ("*", True),
        (" * ", True),
        ('"b"', False),
        ('"A"', False),
        ("a", False),
        ("'a'", False),
        ('"b*"', False),
        ('"b,a"', False),
        ('"*"', False),
        ('"a', False),
        ("", False),
        ('", "', False),
        ("W/", False),
    ],
)
def test_lists_of_tags(header: str, expected: bool) -> None:
    assert is_listed([header], "a") == expected
    assert is_listed(['"x"', header], "a") == (expected and "*" not in header)


def test_a_tag_with_a_comma_is_one_tag() -> None:
    assert is_listed(['"b", "a,c"'], "a,c")


def test_without_a_tag_only_the_asterisk_matches() -> None:
    assert [is_listed([header], None) for header in ('"a"', '""', "*")] == [False, False, True]


def test_tags_are_made_of_each_part() -> None:
    made = {tag("a", "bc"), tag("ab", "c"), tag("abc"), tag("abc", ""), tag("", "abc"), tag("a 2 bc"), tag("\udcff")}
    assert len(made) == 7
    assert tag("abc") == tag(b"abc")
    assert all(len(one) == 32 for one in made)


def test_a_content_coding_has_a_tag_of_its_own() -> None:
    assert (coded("a", None), coded("a", "gzip"), coded(None, "gzip")) == ("a", "a-gzip", None)


def test_headers_of_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Validators().headers == {}
    assert Validators("a").headers == {"ETag": '"a"'}
    monkeypatch.setattr(conditional, "now", lambda: 784111800.0)
    assert Validators("a", True, 784111776.5).headers == {"ETag": 'W/"a"', "Last-Modified": "Sun, 06 Nov 1994 08:49:37 GMT"}


# -- over HTTP


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored just now was stored a while ago."""
    monkeypatch.setattr(conditional, "now", lambda: time.time() + 60)


async def filled(gate: Gate) -> Gate:
    await gate.store(dicom())
    return gate


async def tags(gate: Gate, *paths: str) -> list[str]:
    return [(await gate.get(path)).headers["ETag"] for path in paths]


@pytest.mark.parametrize(("end", "path", "accept"), STRONG + WEAK)
async def test_what_the_caller_has_is_not_sent_again(gate: Gate, end: str, path: str, accept: str) -> None:
    await filled(gate)
    first = await gate.get(path + end, accept)
    assert first.status == 200
    assert first.headers["ETag"].startswith("W/") == ((end, path, accept) in WEAK)
    assert first.headers["Cache-Control"] == "private, no-cache"
    assert {"Accept", "Accept-Encoding"} <= set(first.headers["Vary"].split(", "))
    assert parsedate_to_datetime(first.headers["Last-Modified"]) <= datetime.now(UTC)
    for method in ("GET", "HEAD"):
        for asked in (first.headers["ETag"], first.headers["ETag"].removeprefix("W/"), f'"x", {first.headers["ETag"]}', "*"):
            again = await gate.ask(method, path + end, {"Accept": accept, "If-None-Match": asked})
            assert (again.status, again.body) == (304, b"")
            assert [again.headers.get(name) for name in FOUND] == [first.headers.get(name) for name in FOUND]
            assert "Content-Length" not in again.headers and "Content-Type" not in again.headers
    assert (await gate.get(path + end, accept, {"If-None-Match": '"other"'})).status == 200


@pytest.mark.parametrize("backend", ["memory", "local"])
async def test_tags_change_with_what_they_stand_for(serve: Serve, backend: str) -> None:
    gate = await serve(backend=backend, store={"on_duplicate": "replace"})
    one, two = study("1.1", series=1, instances=2)
    paths = ["/studies/1.1/metadata", "/studies/1.1/series/1.1.1/metadata", "/studies/1.1", "/studies", "/studies/1.1/instances"]
    await gate.store(one)
    states = [await tags(gate, *paths)]
    await gate.store(two)
    states.append(await tags(gate, *paths))
    await gate.store(dicom("1.1", "1.1.1", "1.1.1.2", PatientID="other"), dicom(PatientID="other"))
    states.append(await tags(gate, *paths))
    assert (await gate.ask("DELETE", INSTANCE)).status == 204
    states.append(await tags(gate, *paths))
    for path, seen in zip(paths, zip(*states, strict=True), strict=True):
        assert len(set(seen)) == len(states), path
    assert await tags(gate, *paths) == states[-1]


async def test_what_was_deleted_has_not_stayed_as_it_was(gate: Gate) -> None:
    await filled(gate)
    tags = [(path, (await gate.get(path)).headers["ETag"]) for path in (INSTANCE, INSTANCE + "/metadata", "/studies")]
    await gate.ask("DELETE", INSTANCE)
    assert [(await gate.get(path, headers={"If-None-Match": tag})).status for path, tag in tags] == [410, 410, 204]


async def test_documents_that_name_another_host_have_other_tags(gate: Gate) -> None:
    await filled(gate)
    for path, accept in (("/studies", ANY), (INSTANCE + "/metadata", JSON), (INSTANCE + "/metadata", XML)):
        found = [(await gate.get(path, accept, {"Host": host})).headers["ETag"] for host in ("a.example", "b.example", "a.example")]
        assert found[0] == found[2] != found[1]
        assert (await gate.get(path, accept, {"Host": "b.example", "If-None-Match": found[0]})).status == 200
    assert len({(await gate.get(INSTANCE, STORED, {"Host": host})).headers["ETag"] for host in ("a.example", "b.example")}) == 1


async def test_each_form_of_a_document_has_its_own_tag(gate: Gate) -> None:
    await filled(gate)
    metadata = [(await gate.get(INSTANCE + "/metadata", accept)).headers["ETag"] for accept in (JSON, "application/json", XML)]
    assert len(set(metadata)) == 3
    assert (await gate.get("/studies", JSON)).headers["ETag"] != (await gate.get("/studies", "application/json")).headers["ETag"]


async def test_how_many_more_there_are_is_part_of_a_search(gate: Gate) -> None:
    await filled(gate)
    first = await gate.get("/studies?limit=1")
    await gate.store(*study("1.2"))
    second = await gate.get("/studies?limit=1", headers={"If-None-Match": first.headers["ETag"]})
    assert (second.status, second.body) == (200, first.body)
    assert "Warning" in second.headers and "Warning" not in first.headers


async def test_equal_answers_to_other_questions_are_the_same_bytes(gate: Gate) -> None:
    await filled(gate)
    first, second = [await gate.get(path) for path in ("/studies", "/studies?PatientID=P1")]
    assert first.body != second.body or first.headers["ETag"] == second.headers["ETag"]


# -- dates over HTTP


@pytest.mark.parametrize(
    ("path", "accept"),
    [(INSTANCE, STORED), (INSTANCE + "/metadata", JSON), (INSTANCE + "/frames/1", OCTETS), (INSTANCE + "/bulkdata/7FE00010", OCTETS)],
)
async def test_a_date_counts_for_one_instance(gate: Gate, settled: None, path: str, accept: str) -> None:
    await filled(gate)
    first = await gate.get(path, accept)
    said = parsedate_to_datetime(first.headers["Last-Modified"])
    for header, status in ((first.headers["Last-Modified"], 304), (formatdate(said.timestamp() - 1, usegmt=True), 200)):
        for method in ("GET", "HEAD"):
            assert (await gate.ask(method, path, {"Accept": accept, "If-Modified-Since": header})).status == status
    both = {"If-Modified-Since": first.headers["Last-Modified"], "If-None-Match": '"other"'}
    assert (await gate.get(path, accept, both)).status == 200


@pytest.mark.parametrize("path", ["/studies/1.1", "/studies/1.1/metadata", "/studies/1.1/series/1.1.1/metadata", "/studies"])
async def test_a_date_says_nothing_of_several(gate: Gate, settled: None, path: str) -> None:
    """One of them may be deleted, and the newest stays."""
    await gate.store(*study("1.1", series=1, instances=2))
    first = await gate.get(path)
    await gate.ask("DELETE", "/studies/1.1/series/1.1.1/instances/1.1.1.1")
    again = await gate.get(path, headers={"If-Modified-Since": first.headers["Last-Modified"]})
    assert (again.status, again.body == first.body) == (200, False)


@pytest.mark.parametrize("backend", ["memory", "local"])
async def test_what_is_replaced_within_a_second_is_sent_again(serve: Serve, backend: str) -> None:
    gate = await serve(backend=backend, store={"on_duplicate": "replace"})
    for name in ("one", "two", "three"):
        await gate.store(dicom(PatientID=name))
        first = await gate.get(INSTANCE, STORED)
        await gate.store(dicom(PatientID=name + "more"))
        again = await gate.get(INSTANCE, STORED, {"If-Modified-Since": first.headers["Last-Modified"]})
        assert (again.status, again.body) == (200, dicom(PatientID=name + "more"))


# -- around it


class Unread:
    """A store that counts how many of its bodies were read, and closed."""

    def __init__(self) -> None:
        self.read, self.closed = 0, 0

    async def retrieve(self, _: object) -> Body:
        async def pieces() -> AsyncGenerator[Piece, None]:
            self.read += 1
            yield b""

        def close() -> None:
            self.closed += 1

        return Body("application/dicom+json", pieces(), etag="a", modified=1.0, close=close)

    async def aclose(self) -> None:
        pass


@pytest.mark.parametrize("path", [INSTANCE, INSTANCE + "/metadata"])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
async def test_a_body_that_is_not_sent_is_closed_unread(plain: Gate, monkeypatch: pytest.MonkeyPatch, path: str, coding: str) -> None:
    store = Unread()
    monkeypatch.setitem(plain.app[SERVICE].catalog._stores, "default", store)
    for number, headers in enumerate(({"If-None-Match": "*"}, {"If-Modified-Since": formatdate(99, usegmt=True)}), 1):
        answer = await plain.get(path, headers=headers | {"Accept-Encoding": coding})
        assert (answer.status, store.read, store.closed) == (304, 0, number)
    assert (await plain.ask("HEAD", path, {"Accept-Encoding": coding})).status == 200
    assert (store.read, store.closed, plain.app[SERVICE].compression.streams) == (0, 3, 0)


async def test_what_caches_may_do_is_a_setting(serve: Serve) -> None:
    gate = await filled(await serve(backend="memory", server={"cache_control": "private, max-age=60"}))
    for path in ("/studies", "/studies?PatientID=nobody", INSTANCE, INSTANCE + "/metadata"):
        assert (await gate.get(path)).headers["Cache-Control"] == "private, max-age=60"
    assert (await gate.get(INSTANCE, STORED, {"Range": "bytes=0-3"})).headers["Cache-Control"] == "private, max-age=60"
    assert (await gate.get("/studies", headers={"If-None-Match": "*"})).headers["Cache-Control"] == "private, max-age=60"


async def test_errors_and_effects_are_not_for_caches(gate: Gate) -> None:
    await filled(gate)
    answers = [
        await gate.post(multipart(dicom())),
        await gate.post(b"", "text/plain"),
        await gate.get("/studies/9"),
        await gate.get("/studies?limit=x"),
        await gate.get(INSTANCE, "image/png"),
        await gate.get(INSTANCE, STORED, {"Range": "bytes=99999-"}),
        await gate.get("/nothing"),
        await gate.ask("OPTIONS", ""),
        await gate.get("/healthz", base=""),
        await gate.get("/metrics", base=""),
        await gate.ask("DELETE", INSTANCE),
        await gate.get(INSTANCE),
    ]
    assert [answer.status for answer in answers] == [200, 415, 404, 400, 406, 416, 404, 200, 200, 200, 204, 410]
    assert {answer.headers["Cache-Control"] for answer in answers} == {"no-store"}
    assert not any("ETag" in answer.headers for answer in answers)


async def test_an_answer_varies_by_all_that_it_depends_on(serve: Serve) -> None:
    gate = await filled(await serve(backend="memory", server={"cors_origins": ["https://viewer.example"]}))
    for origin in ({}, {"Origin": "https://viewer.example"}):
        answer = await gate.get(INSTANCE + "/metadata", headers=origin)
        assert answer.headers.getall("Vary") == ["Accept, Accept-Encoding, Origin"]
