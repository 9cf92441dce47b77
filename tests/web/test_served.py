"""What an answer says of how it came about, over the wire: kept answers, old ones, and those that have to be new."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gateway.app import SERVICE
from gateway.backends.base import PLAIN, Served
from gateway.backends.catalog import Catalog
from gateway.backends.memory import MemoryBackend
from gateway.errors import OriginFailed
from gateway.web.served import story, warnings
from tests.backends.made import dicom
from tests.backends.twice import cached
from tests.web.gate import INSTANCE, Gate

Serve = Callable[..., Awaitable[Gate]]

FRAME = INSTANCE + "/frames/1"
METADATA = "/studies/1.1/metadata"
OCTETS = "application/octet-stream; transfer-syntax=*"
PATHS = pytest.mark.parametrize("path", ["/studies", "/studies/1.1/series", METADATA, FRAME, INSTANCE + "/bulkdata/7FE00010"])


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Down(MemoryBackend):
    """Fails when it is told to."""

    down = False

    def __getattribute__(self, name: str) -> object:
        if name in ("search", "retrieve") and self.down:
            raise OriginFailed("the origin cannot be reached")
        return super().__getattribute__(name)


class Behind:
    def __init__(self, gate: Gate, folder: Path) -> None:
        self.gate = gate
        self.clock = Clock()
        self.inner = Down()
        store = cached(self.inner, folder, clock=self.clock, ttl=60, stale_if_error=100)
        gate.app[SERVICE].catalog = Catalog({"default": store})


@pytest.fixture
async def behind(serve: Serve, tmp_path: Path) -> Behind:
    made = await asyncio.to_thread(Behind, await serve(backend="memory", server={"cors_origins": ["*"]}), tmp_path)
    await made.gate.store(dicom())
    return made


def test_where_there_is_nothing_to_tell_nothing_is_said() -> None:
    assert story(PLAIN) == {}
    assert story(Served("miss", 3)) == {"X-Cache": "miss"}
    assert story(Served("hit", 3.99)) == {"X-Cache": "hit", "Age": "3"}
    assert story(Served(warnings=("one", "two"))) == {"Warning": "299 dicomweb-gateway: one, 299 dicomweb-gateway: two"}
    assert warnings(("one",)) == "299 dicomweb-gateway: one"


@PATHS
async def test_a_kept_answer_says_so_and_is_the_same(behind: Behind, path: str) -> None:
    gate = behind.gate
    first = await gate.get(path)
    behind.clock.seconds += 7
    second = await gate.get(path)
    assert (first.headers.get("X-Cache"), second.headers.get("X-Cache")) == ("miss", "hit")
    assert (first.headers.get("Age"), second.headers.get("Age")) == (None, "7")
    assert (first.status, second.status, first.body) == (200, 200, second.body)
    assert first.headers["ETag"] == second.headers["ETag"]
    third = await gate.get(path, headers={"If-None-Match": second.headers["ETag"]})
    assert (third.status, third.headers["X-Cache"], third.headers["Age"]) == (304, "hit", "7")
    assert third.headers["ETag"] == second.headers["ETag"]


async def test_what_is_never_kept_says_nothing(behind: Behind) -> None:
    for path in (INSTANCE, "/studies/1.1", "/studies/1.1/bulkdata", INSTANCE + "/pixeldata"):
        for _ in range(2):
            assert "X-Cache" not in (await behind.gate.get(path)).headers


@PATHS
@pytest.mark.parametrize("header", [{"Cache-Control": "no-cache"}, {"Cache-Control": "max-age=0, no-cache"}, {"Pragma": "no-cache"}])
async def test_who_wants_it_new_gets_it_new(behind: Behind, path: str, header: dict[str, str]) -> None:
    answers = [await behind.gate.get(path, headers=headers) for headers in ({}, header, {})]
    assert [answer.headers["X-Cache"] for answer in answers] == ["miss", "miss", "hit"]


@PATHS
async def test_an_old_answer_is_marked(behind: Behind, path: str) -> None:
    await behind.gate.get(path)
    behind.inner.down = True
    behind.clock.seconds += 90
    answer = await behind.gate.get(path)
    assert (answer.status, answer.headers["X-Cache"], answer.headers["Age"]) == (200, "stale", "90")
    assert answer.headers["Warning"].startswith("299 dicomweb-gateway: the store 'default' cannot be asked at the moment; ")
    refused = await behind.gate.get(path, headers={"Cache-Control": "no-cache"})
    assert refused.status == 502 and "the origin cannot be reached" in refused.detail
    behind.clock.seconds += 90
    assert (await behind.gate.get(path)).status == 502


async def test_a_search_says_all_that_there_is_to_say(behind: Behind) -> None:
    gate = behind.gate
    await gate.store(dicom("1.2", "1.2.1", "1.2.1.1"))
    for down in (False, True):
        behind.inner.down = down
        answer = await gate.get("/studies?limit=1")
        empty = await gate.get("/studies?PatientID=nobody")
        assert "There are 1 additional results" in answer.headers["Warning"]
        assert ("cannot be asked" in answer.headers["Warning"]) == down == ("cannot be asked" in empty.headers.get("Warning", ""))
        assert (empty.status, empty.headers["X-Cache"]) == (204, "stale" if down else "miss")
        behind.clock.seconds += 61


async def test_a_write_shows_at_once(behind: Behind) -> None:
    gate = behind.gate
    for number in range(2, 6):
        assert len((await gate.get("/instances")).json) == number - 1
        assert (await gate.get("/instances")).headers["X-Cache"] == "hit"
        await gate.store(dicom(sop=f"1.1.1.{number}"))
        assert len((await gate.get(METADATA)).json) == number
        assert (await gate.get(METADATA)).headers["X-Cache"] == "hit"


async def test_ranges_of_a_kept_frame(behind: Behind) -> None:
    whole = (await behind.gate.get(FRAME, OCTETS)).body
    for asked, sent in (("bytes=4-7", whole[4:8]), ("bytes=-5", whole[-5:]), ("bytes=30-", whole[30:])):
        answer = await behind.gate.get(FRAME, OCTETS, {"Range": asked})
        assert (answer.status, answer.headers["X-Cache"], answer.body) == (206, "hit", sent)
    assert (await behind.gate.get(FRAME, OCTETS, {"Range": "bytes=99-"})).status == 416


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
@pytest.mark.parametrize("path", ["/studies", METADATA])
async def test_nobody_gets_the_urls_of_another_one(behind: Behind, path: str, coding: str) -> None:
    for _ in range(3):
        for host in ("one.example", "two.example:8080"):
            answer = await behind.gate.get(path, headers={"Host": host, "Accept-Encoding": coding})
            if coding == "identity":
                assert f"http://{host}/dicom-web/studies/1.1".encode() in answer.body
                assert (b"two.example" if host == "one.example" else b"one.example") not in answer.body
            assert answer.headers.get("Content-Encoding", "identity") in (coding, "identity")


async def test_xml_that_was_kept_is_whole(behind: Behind) -> None:
    accept = 'multipart/related; type="application/dicom+xml"'
    answers = [await behind.gate.get(METADATA, accept) for _ in range(3)]
    assert len({answer.body for answer in answers}) == len({answer.headers["Content-Type"] for answer in answers}) == 1
    assert b"http://gate.example/dicom-web/studies/1.1" in answers[0].body
    assert [answer.headers["X-Cache"] for answer in answers] == ["miss", "hit", "hit"]


async def test_many_at_once(behind: Behind) -> None:
    answers = await asyncio.gather(*[behind.gate.get(path) for path in (METADATA, "/studies", FRAME) for _ in range(30)])
    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers[:60]}) == 2


async def test_a_browser_may_read_it(behind: Behind) -> None:
    answer = await behind.gate.get("/studies", headers={"Origin": "https://viewer.example"})
    assert {"X-Cache", "Age", "Warning"} <= set(answer.headers["Access-Control-Expose-Headers"].split(", "))
