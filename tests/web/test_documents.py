"""Whole documents over HTTP: searches, answers to stores, and the descriptions of the gateway."""

from __future__ import annotations

import json

import pytest

from gateway.web import qido
from gateway.web.compression import MINIMUM
from tests.backends.made import dicom, study
from tests.web.coded import CODINGS, plain
from tests.web.gate import BASE, Gate, multipart

OTHER = {"gzip": "zstd", "zstd": "gzip"}


async def filled(gate: Gate) -> Gate:
    await gate.store(*study("1.1", series=2, instances=5))
    return gate


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("inline", [0, qido.INLINE], ids=["in a thread", "on the loop"])
async def test_searches_are_the_same_after_decoding(gate: Gate, monkeypatch: pytest.MonkeyPatch, coding: str, inline: int) -> None:
    await filled(gate)
    identity = await gate.get("/instances?limit=7")
    monkeypatch.setattr(qido, "INLINE", inline)
    for _ in range(2):
        answer = await gate.get("/instances?limit=7", headers={"Accept-Encoding": f"{OTHER[coding]};q=0.1, {coding}"})
        assert (answer.status, answer.headers["Content-Encoding"], plain(answer)) == (200, coding, identity.body)
        assert answer.headers["ETag"] == identity.headers["ETag"].removesuffix('"') + f'-{coding}"'
        assert answer.headers["Content-Length"] == str(len(answer.body))
        assert answer.headers["Warning"] == identity.headers["Warning"]
        again = {"Accept-Encoding": coding, "If-None-Match": answer.headers["ETag"]}
        assert (await gate.get("/instances?limit=7", headers=again)).status == 304


@pytest.mark.parametrize("accept", ["application/vnd.sun.wadl+xml", "application/json"])
@pytest.mark.parametrize("coding", CODINGS)
async def test_capabilities_are_the_same_after_decoding(gate: Gate, coding: str, accept: str) -> None:
    identity = await gate.ask("OPTIONS", "/", {"Accept": accept})
    answer = await gate.ask("OPTIONS", "/", {"Accept": accept, "Accept-Encoding": coding, "If-None-Match": "*"})
    assert (answer.status, plain(answer), answer.headers["Allow"]) == (200, identity.body, "OPTIONS")
    assert (answer.headers["Content-Type"], "ETag" in answer.headers) == (accept, False)


@pytest.mark.parametrize("coding", CODINGS)
async def test_the_openapi_document_is_kept_by_callers_and_by_us(gate: Gate, coding: str) -> None:
    identity = await gate.get("/openapi.json", base="")
    answer = await gate.get("/openapi.json", headers={"Accept-Encoding": coding}, base="")
    assert json.loads(plain(answer)) == identity.json
    assert len(answer.body) < len(identity.body) / 10
    for headers in ({"Accept-Encoding": coding, "If-None-Match": answer.headers["ETag"]}, {"If-None-Match": identity.headers["ETag"]}):
        assert (await gate.get("/openapi.json", headers=headers, base="")).status == 304
    other = await gate.get("/openapi.json", headers={"Host": "other.example"}, base="")
    assert other.headers["ETag"] != identity.headers["ETag"]


@pytest.mark.parametrize("accept", ["application/dicom+json", "application/dicom+xml"])
@pytest.mark.parametrize("coding", CODINGS)
async def test_answers_to_large_stores_are_compressed(gate: Gate, coding: str, accept: str) -> None:
    body = multipart(*study("1.1", series=1, instances=20), b"garbage")
    identity = await gate.post(body, headers={"Accept": accept})
    answer = await gate.post(body, headers={"Accept": accept, "Accept-Encoding": coding})
    assert (answer.status, plain(answer)) == (identity.status, identity.body)
    assert answer.headers.getall("Warning") == identity.headers.getall("Warning")
    assert (answer.headers["Cache-Control"], "ETag" in answer.headers) == ("no-store", False)


async def test_what_is_small_stays_as_it_is(gate: Gate) -> None:
    stored = await gate.post(multipart(dicom()), headers={"Accept-Encoding": "gzip"})
    found = await gate.get("/studies", headers={"Accept-Encoding": "gzip"})
    missing = await gate.get("/studies/9", headers={"Accept-Encoding": "gzip"})
    version = await gate.get("/version", headers={"Accept-Encoding": "gzip"}, base="")
    for answer in (stored, found, missing, version):
        assert len(answer.body) < MINIMUM
        assert "Content-Encoding" not in answer.headers
        assert answer.json
    assert found.headers["ETag"] == (await gate.get("/studies")).headers["ETag"]


async def test_who_takes_no_plain_bytes_gets_none(gate: Gate) -> None:
    await gate.store(dicom())
    identity = await gate.get("/studies")
    answer = await gate.get("/studies", headers={"Accept-Encoding": "gzip, identity;q=0"})
    assert plain(answer) == identity.body
    assert (await gate.get("/studies", headers={"Accept-Encoding": "br, *;q=0"})).body == identity.body


async def test_nothing_found_has_no_coding(gate: Gate) -> None:
    answer = await gate.get("/studies", headers={"Accept-Encoding": "gzip, identity;q=0"})
    assert (answer.status, "Content-Encoding" in answer.headers, "ETag" in answer.headers) == (204, False, False)


async def test_a_client_of_http_1_0_gets_what_it_asks_for(gate: Gate) -> None:
    await filled(gate)
    for path in ("/instances", "/studies/1.1/metadata"):
        expected = await gate.get(path)
        asked = f"GET {BASE}{path} HTTP/1.0\r\nHost: gate.example\r\nAccept-Encoding: gzip\r\n\r\n"
        assert plain(await gate.raw(asked.encode())) == expected.body
