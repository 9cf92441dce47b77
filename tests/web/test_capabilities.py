"""Retrieve Capabilities over real sockets, told apart from a CORS preflight; and the OpenAPI document."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree  # only to read what was just written

import pytest

from gateway.web import capabilities
from gateway.web.capabilities import DOCUMENTS
from tests.web.conftest import Serve
from tests.web.gate import Answer, Gate

WADL, JSON = "application/vnd.sun.wadl+xml", "application/json"
NS = "{http://wadl.dev.java.net/2009/02}"


def base_of(answer: Answer) -> str:
    """The URL that a document is about."""
    if answer.headers["Content-Type"] == JSON:
        return str(answer.json["application"]["resources"]["@base"])
    root = ElementTree.fromstring(answer.body)  # noqa: S314 - our own text
    assert root.tag == f"{NS}application"
    return root[0].attrib["base"]


@pytest.mark.parametrize("path", ["", "/"])
@pytest.mark.parametrize(
    ("accept", "given"),
    [
        (None, WADL),
        ("*/*", WADL),
        ("application/*", WADL),
        (WADL, WADL),
        (JSON, JSON),
        ("application/json, */*;q=0.1", JSON),
        ("application/json;q=0.5, application/vnd.sun.wadl+xml", WADL),
    ],
)
async def test_a_store_tells_what_it_can_do(plain: Gate, path: str, accept: str | None, given: str) -> None:
    answer = await plain.ask("OPTIONS", path, {} if accept is None else {"Accept": accept})
    assert (answer.status, answer.headers["Content-Type"], answer.headers["Allow"]) == (200, given, "OPTIONS")
    assert base_of(answer) == "http://gate.example/dicom-web"


async def test_accept_of_the_url_wins(plain: Gate) -> None:
    answer = await plain.ask("OPTIONS", "/?accept=application/json", {"Accept": WADL})
    assert answer.headers["Content-Type"] == JSON


async def test_other_forms_are_406(plain: Gate) -> None:
    answer = await plain.ask("OPTIONS", "/", {"Accept": "text/html"})
    assert answer.status == 406
    assert WADL in answer.detail


async def test_every_store_has_its_own_base(serve: Serve) -> None:
    gate = await serve(backend="memory", stores={"other": {"backend": "memory"}})
    for path in ("/stores/other/dicom-web", "/stores/other/dicom-web/"):
        assert base_of(await gate.ask("OPTIONS", path, base="")) == "http://gate.example/stores/other/dicom-web"
    assert (await gate.ask("OPTIONS", "/stores/none/dicom-web", base="")).status == 404


async def test_the_base_is_that_of_the_caller_and_of_nobody_before(plain: Gate) -> None:
    for host in ("a.example", "b.example:8443"):
        for accept in (WADL, JSON):
            answer = await plain.ask("OPTIONS", "", {"Host": host, "Accept": accept})
            assert base_of(answer) == f"http://{host}/dicom-web"
        assert (await plain.get("/openapi.json", headers={"Host": host}, base="")).json["servers"] == [{"url": f"http://{host}"}]


async def test_a_configured_url_counts(serve: Serve) -> None:
    gate = await serve(backend="memory", server={"public_url": "https://dicom.example/imaging"})
    assert base_of(await gate.ask("OPTIONS", "")) == "https://dicom.example/imaging/dicom-web"
    assert (await gate.get("/openapi.json", base="")).json["servers"] == [{"url": "https://dicom.example/imaging"}]


def test_a_url_cannot_leave_its_quotes() -> None:
    url = 'http://a/"&<>'
    about = capabilities._about(b'<resources base="@"><option value="@"/></resources>', url, capabilities.WADL)
    root = ElementTree.fromstring(about)  # noqa: S314 - our own text
    assert (root.attrib["base"], root[0].attrib["value"]) == (url, "@")
    assert capabilities._about(b'{"url":"@"}', url, capabilities.JSON) == b'{"url":"http://a/\\"&<>"}'


async def test_a_place_for_the_url_is_in_each_document_once(plain: Gate) -> None:
    documents = plain.app[DOCUMENTS]
    assert [document.count(b'"@"') for document in (*documents.store.values(), documents.gateway)] == [1, 1, 1]


# -- what else OPTIONS means


PREFLIGHT = {"Origin": "https://viewer.example", "Access-Control-Request-Method": "GET"}


@pytest.mark.parametrize("path", ["", "/", "/studies"])
async def test_a_preflight_is_no_question_for_capabilities(serve: Serve, path: str) -> None:
    gate = await serve(backend="memory", server={"cors_origins": ["https://viewer.example"]})
    answer = await gate.ask("OPTIONS", path, PREFLIGHT)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "https://viewer.example"


async def test_a_viewer_of_another_origin_can_ask(serve: Serve) -> None:
    gate = await serve(backend="memory", server={"cors_origins": ["https://viewer.example"]})
    before = await gate.ask("OPTIONS", "", PREFLIGHT | {"Access-Control-Request-Method": "OPTIONS"})
    assert "OPTIONS" in before.headers["Access-Control-Allow-Methods"].split(", ")
    answer = await gate.ask("OPTIONS", "", {"Origin": "https://viewer.example"})
    assert (answer.status, answer.headers["Content-Type"]) == (200, WADL)
    assert answer.headers["Access-Control-Allow-Origin"] == "https://viewer.example"


async def test_resources_below_the_base_name_their_methods(plain: Gate) -> None:
    answer = await plain.ask("OPTIONS", "/studies")
    assert (answer.status, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")


async def test_the_base_has_nothing_but_capabilities(plain: Gate) -> None:
    answer = await plain.ask("GET", "/")
    assert (answer.status, answer.headers["Allow"]) == (405, "OPTIONS")


# -- OpenAPI


async def test_the_openapi_document_is_served(plain: Gate) -> None:
    answer = await plain.get("/openapi.json", base="")
    assert (answer.status, answer.headers["Content-Type"]) == (200, JSON)
    assert answer.json["openapi"].startswith("3.1.")
    head = await plain.ask("HEAD", "/openapi.json", base="")
    assert (head.status, head.body, head.headers["Content-Length"]) == (200, b"", str(len(answer.body)))


async def test_tokens_guard_the_documents_and_are_described(serve: Serve, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("secret\n")
    gate = await serve(backend="memory", server={"token_file": tokens})
    known: dict[str, Any] = {"Authorization": "Bearer secret"}
    for method, path in (("OPTIONS", "/dicom-web"), ("GET", "/openapi.json")):
        refused = await gate.ask(method, path, base="")
        assert (refused.status, "WWW-Authenticate" in refused.headers) == (401, True)
        assert (await gate.ask(method, path, known, base="")).status == 200
    assert (await gate.ask("GET", "/openapi.json", known, base="")).json["security"] == [{"bearer": []}]
    assert b'"401"' in (await gate.ask("OPTIONS", "", known)).body


async def test_without_tokens_no_401_is_described(plain: Gate) -> None:
    assert b'"401"' not in (await plain.ask("OPTIONS", "")).body
    assert "security" not in (await plain.get("/openapi.json", base="")).json


async def test_questions_are_counted_as_what_they_are(plain: Gate) -> None:
    def counted(samples: dict[str, float]) -> float:
        return samples.get('gateway_requests_total{status="200",transaction="capabilities"}', 0)

    before = counted(await plain.metrics())
    await plain.ask("OPTIONS", "/")
    await plain.get("/openapi.json", base="")
    assert counted(await plain.metrics()) == before + 2
