"""Projects that are bound to the real API: what passes through, what stays here, and what never leaves."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests import samples
from tests.backends.made import dicom
from tests.origins.google import PROJECT, STORE, Google, Rights, google
from tests.web.gate import Answer, Gate, Headers, chunked, opened, read_answer, request, settings

TOKEN = "canary-of-the-gateway"
CALLER = "canary-of-the-caller"
DATASET = f"/v1/{PROJECT}"
FHIR = DATASET + "/fhirStores/f/fhir"
VERB = DATASET + ":"
BUFFERS = 64 << 20
"""Bytes that lie in sockets and in the buffers around them at most, where nobody reads; far less than what is sent."""
PIECE = 256 << 10
INSTANCE = f"/studies/{samples.STUDY}/series/{samples.SERIES}/instances/{samples.SOP}"


@dataclass
class Relayed:
    gate: Gate
    fake: Google

    async def ask(self, method: str, path: str, body: bytes | None = None, headers: Headers | None = None) -> Answer:
        return await self.gate.ask(method, path, headers, body, base="")

    async def json(self, method: str, path: str, body: bytes | None = None) -> Any:
        answer = await self.ask(method, path, body, {"Content-Type": "application/json"})
        assert answer.status in (200, 201), answer.body
        return answer.json

    async def echo(self, **headers: str) -> tuple[dict[str, str], str, str]:
        """Headers, query and path of a request as the origin sees it."""
        found = (await self.ask("POST", VERB + "echo", b"{}", {name.replace("_", "-"): value for name, value in headers.items()})).json
        return {name.lower(): value for name, value in found["headers"]}, found["query"], found["path"]


@asynccontextmanager
async def bound(
    tmp_path: Path, credentials: str = "bearer", tokens: dict[str, Rights] | None = None, **more: Any
) -> AsyncIterator[Relayed]:
    secret = tmp_path / "token"
    secret.write_text(TOKEN)
    shown = {"kind": credentials} | ({"secret_file": secret} if credentials == "bearer" else {})
    async with google({TOKEN: Rights()} if tokens is None else tokens) as fake:
        relay = {"project": "p", "url": fake.rest.root, "credentials": shown} | more
        async with opened(settings(tmp_path / "data", "memory", healthcare={"relays": {"cloud": relay}})) as gate:
            yield Relayed(gate, fake)


@pytest.fixture
async def relayed(tmp_path: Path) -> AsyncIterator[Relayed]:
    async with bound(tmp_path) as found:
        yield found


def error(answer: Answer) -> tuple[int, str]:
    assert answer.headers["Content-Type"].startswith("application/json")
    return answer.status, answer.json["error"]["status"]


# -- what passes through


async def test_fhir_and_hl7v2_pass_with_urls_of_ours(relayed: Relayed) -> None:
    await relayed.json("POST", DATASET + "/fhirStores?fhirStoreId=f", b'{"version":"R4"}')
    made = await relayed.ask("POST", FHIR + "/Patient", b'{"resourceType":"Patient"}', {"Content-Type": "application/fhir+json"})
    assert made.status == 201 and made.headers["Content-Type"] == "application/fhir+json;charset=utf-8"
    number = made.json["id"]
    assert made.headers["Location"] == f"http://gate.example{FHIR}/Patient/{number}/_history/1"
    assert made.headers["ETag"] == 'W/"1"'
    found = (await relayed.ask("GET", FHIR + "/Patient?name=x|y")).json
    assert found["entry"][0]["fullUrl"] == f"http://gate.example{FHIR}/Patient/{number}"
    assert {link["url"] for link in found["link"]} == {f"http://gate.example{FHIR}/Patient?name=x%7Cy"}
    assert relayed.fake.rest.root not in json.dumps(found)
    missing = await relayed.ask("GET", FHIR + "/Patient/none")
    assert (missing.status, missing.json["resourceType"]) == (404, "OperationOutcome")
    message = await relayed.json("POST", DATASET + "/hl7V2Stores/h/messages", b'{"message":{"data":"TVNI"}}')
    assert (message["data"], message["messageType"]) == ("TVNI", "ADT")


async def test_datasets_access_control_and_operations_are_the_origins(relayed: Relayed) -> None:
    name = (await relayed.json("POST", "/v1beta1/projects/p/locations/us-central1/datasets?datasetId=d2", b""))["response"]["name"]
    assert (await relayed.json("GET", f"/v1/{name}")) == {"name": name}
    assert (await relayed.json("PATCH", f"/v1/{name}?updateMask=timeZone", b'{"timeZone":"UTC"}'))["timeZone"] == "UTC"
    assert (await relayed.json("GET", f"/v1/{name}:getIamPolicy"))["etag"]
    asked = await relayed.json("POST", f"/v1/{name}:testIamPermissions", b'{"permissions":["healthcare.datasets.get"]}')
    assert asked == {"permissions": ["healthcare.datasets.get"]}
    assert "/operations/" in (await relayed.json("POST", f"/v1/{name}/fhirStores/f:export", b"{}"))["name"]
    assert (await relayed.json("GET", "/v1/projects/p/locations"))["locations"][0]["locationId"] == "us-central1"
    assert await relayed.json("DELETE", f"/v1/{name}") == {}
    assert error(await relayed.ask("GET", f"/v1/{name}")) == (404, "NOT_FOUND")


async def test_what_is_not_bound_is_answered_here(relayed: Relayed) -> None:
    assert error(await relayed.ask("GET", "/v1/projects/q/locations/l/datasets/d/fhirStores/f/fhir/Patient")) == (501, "UNIMPLEMENTED")
    assert error(await relayed.ask("GET", "/v1/projects/q/locations/l/datasets/d")) == (404, "NOT_FOUND")
    assert relayed.fake.calls == []


async def test_one_dataset_can_be_bound_alone(tmp_path: Path) -> None:
    async with bound(tmp_path, location="l", dataset="d") as relayed:
        assert (await relayed.json("GET", DATASET + ":getIamPolicy"))["etag"]
        assert error(await relayed.ask("GET", "/v1/projects/p/locations/l/datasets/d2/fhirStores")) == (501, "UNIMPLEMENTED")
        assert (await relayed.json("GET", "/v1/projects/p/locations"))["locations"][0]["locationId"] == "local"
        assert len(relayed.fake.calls) == 1


# -- what never leaves, and never comes back


async def test_credentials_and_the_way_to_us_stay_here(relayed: Relayed) -> None:
    headers, _, _ = await relayed.echo(
        Authorization=f"Bearer {CALLER}",
        Cookie=f"a={CALLER}",
        Forwarded="for=10.0.0.1",
        X_Forwarded_For="10.0.0.1",
        X_Goog_User_Project=CALLER,
        Referer=f"https://x/{CALLER}",
        Connection="X-Mine",
        X_Mine=CALLER,
        Proxy_Authorization=CALLER,
        Accept_Encoding="gzip",
        If_Match='W/"1"',
        X_HTTP_Method_Override="GET",
    )
    assert headers["authorization"] == f"Bearer {TOKEN}" and CALLER not in str(headers)
    assert (headers["if-match"], headers["x-http-method-override"], headers["accept-encoding"]) == ('W/"1"', "GET", "identity")
    assert not {"forwarded", "x-forwarded-for", "x-mine", "connection"} & headers.keys()


@pytest.mark.parametrize(
    "name",
    [
        *("X-Goog-IAP-JWT-Assertion", "X-Serverless-Authorization", "X-Goog-Iam-Authorization-Token", "X-Goog-Api-Key", "X-Api-Key"),
        *("X-Amzn-Oidc-Data", "X-Ms-Client-Principal", "X-Auth-Request-Email", "X-Auth-Token", "Cf-Access-Jwt-Assertion", "Cookie2"),
        *("X-Original-URL", "X-Rewrite-URL", "X-Client-Secret"),
    ],
)
async def test_what_proxies_say_of_a_caller_stays_here(relayed: Relayed, name: str) -> None:
    headers, _, _ = await relayed.echo(**{name.replace("-", "_"): CALLER, "X_Progress": "1"})
    assert CALLER not in str(headers) and headers["x-progress"] == "1"


async def test_an_api_key_is_the_callers_own(relayed: Relayed) -> None:
    assert (await relayed.ask("POST", VERB + f"echo?key={CALLER}&x=1", b"{}")).json["query"] == "x=1"


@pytest.mark.parametrize(("method", "real"), [("POST", "DELETE"), ("POST", "patch"), ("POST", ""), ("GET", "DELETE"), ("GET", "POST")])
async def test_nothing_is_done_by_another_method_than_it_is_asked_for(relayed: Relayed, method: str, real: str) -> None:
    for path in (f"/v1/{PROJECT}", f"{STORE}/studies"):
        answer = await relayed.ask(method, path, b"{}" if method == "POST" else None, {"X-HTTP-Method-Override": real})
        assert error(answer) == (400, "INVALID_ARGUMENT")
    assert relayed.fake.calls == []


async def test_a_get_that_is_too_long_for_a_url_comes_as_a_post(relayed: Relayed) -> None:
    await relayed.ask("POST", f"{STORE}/studies", b"PatientName=x", {"X-HTTP-Method-Override": "GET"})
    assert [(one.method, one.path) for one in relayed.fake.calls] == [("POST", "/studies")]


async def test_a_token_in_the_url_goes_on_in_a_header(tmp_path: Path) -> None:
    async with bound(tmp_path, "pass_through", {CALLER: Rights()}) as relayed:
        query = f"?alt=json&access_token={CALLER}&%61ccess_token={CALLER}&key=k"
        found = (await relayed.ask("POST", VERB + "echo" + query, b"{}")).json
        assert found["query"] == "alt=json&key=k" and ["Authorization", f"Bearer {CALLER}"] in found["headers"]
        refused = await relayed.ask("GET", VERB + "getIamPolicy")
        assert error(refused) == (401, "UNAUTHENTICATED")
        assert CALLER not in str(await relayed.gate.metrics())


async def test_of_an_answer_goes_on_what_callers_need(relayed: Relayed) -> None:
    answer = await relayed.ask("GET", VERB + "getIamPolicy")
    assert "canary" not in str(answer.headers) and "Alt-Svc" not in answer.headers
    assert answer.headers["Server"] == "dicomweb-gateway" and answer.headers["Cache-Control"] == "no-store"
    assert answer.json == {"bindings": [], "etag": "ACAB"}


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/v1/projects/p/../q/locations",
            "/v1/projects/p/%2e%2e/q",
            "/v1/projects/p/%252e%252e/q",
            "/v1/projects/p//x",
            "/v1/projects/p/a%2Fb",
        ),
        *("/v1/projects/p/locations/l/datasets/../dicomStores/s/dicomWeb/studies", f"{STORE}/../../../x", f"{STORE}/studies/%2e%2e"),
        f"/v1/{PROJECT}/dicomStores/../dicomWeb/studies",
    ],
)
async def test_no_way_leads_out_of_what_is_bound(relayed: Relayed, path: str) -> None:
    assert error(await relayed.ask("GET", path)) == (400, "INVALID_ARGUMENT")
    assert relayed.fake.calls == []


async def test_a_project_by_an_encoded_name_is_the_same(relayed: Relayed) -> None:
    await relayed.json("GET", "/v1/%70rojects/%70/locations")
    assert relayed.fake.calls[-1].path == "/v1/projects/p/locations"


async def test_methods_that_would_tell_too_much_are_not_passed(relayed: Relayed) -> None:
    assert error(await relayed.ask("TRACE", VERB + "echo")) == (501, "UNIMPLEMENTED")
    assert relayed.fake.calls == []


async def test_the_origin_does_not_know_the_gateway(tmp_path: Path) -> None:
    """That is no fault of the caller's, whose own credentials are good."""
    async with bound(tmp_path, tokens={"other": Rights()}) as relayed:
        assert error(await relayed.ask("GET", VERB + "getIamPolicy")) == (502, "UNAVAILABLE")
        assert error(await relayed.ask("GET", STORE + "/studies")) == (502, "UNAVAILABLE")


async def test_redirects_are_not_followed_and_not_passed(relayed: Relayed) -> None:
    answer = await relayed.ask("GET", VERB + "moved")
    assert error(answer) == (502, "UNAVAILABLE") and "Location" not in answer.headers and "elsewhere" not in str(answer.body)


async def test_an_origin_that_is_gone_is_told_so(tmp_path: Path) -> None:
    async with bound(tmp_path, url="http://127.0.0.1:9") as relayed:
        answer = await relayed.ask("GET", VERB + "getIamPolicy")
        assert error(answer) == (502, "UNAVAILABLE") and "healthcare.relays.cloud" in answer.json["error"]["message"]


# -- as a stream


@pytest.mark.parametrize("coding", ["length", "chunked"])
async def test_bodies_of_any_size_pass(relayed: Relayed, coding: str) -> None:
    size = 8 << 20
    if coding == "length":
        answer = await relayed.ask("POST", VERB + "upload", bytes(size))
    else:
        begun = request("POST", VERB + "upload", {"Transfer-Encoding": "chunked"})
        answer = await relayed.gate.raw(begun, chunked([bytes(size // 4)] * 4))
    assert answer.json == {"size": str(size)}
    assert len((await relayed.ask("GET", f"{VERB}large?size={size}")).body) == size
    head = await relayed.ask("HEAD", f"{VERB}large?size=100")
    assert (head.status, head.headers["Content-Length"]) == (200, "100")
    samples = await relayed.gate.metrics()
    assert samples['gateway_origin_sent_bytes_total{origin="healthcare.relays.cloud",transaction="other"}'] >= size


async def test_a_reader_who_stops_holds_the_origin_back(relayed: Relayed) -> None:
    _, writer = await relayed.gate.connect(limit=1024)
    writer.write(request("GET", f"{VERB}large?size={4 << 30}"))
    before = -1
    async with asyncio.timeout(20):
        while before != relayed.fake.rest.downloaded or not before:
            before = relayed.fake.rest.downloaded
            await asyncio.sleep(0.1)
    assert before < BUFFERS
    writer.close()
    await relayed.gate.idle()


async def test_an_origin_that_reads_nothing_holds_the_sender_back(relayed: Relayed) -> None:
    size = 1 << 30
    _, writer = await relayed.gate.connect()
    writer.write(request("POST", VERB + "later", {"Content-Length": str(size)}))
    sent = 0
    with suppress(TimeoutError):
        while sent < size:
            async with asyncio.timeout(0.5):
                writer.write(bytes(PIECE))
                sent += PIECE
                await writer.drain()
    assert sent < BUFFERS
    writer.close()
    relayed.fake.rest.waiting.set()
    await relayed.gate.idle()


async def test_an_answer_that_comes_early_ends_the_upload(relayed: Relayed) -> None:
    reader, writer = await relayed.gate.connect()
    writer.write(request("POST", VERB + "early", {"Content-Length": "1000000000"}) + bytes(100_000))
    answer = await read_answer(reader)
    assert error(answer) == (429, "RESOURCE_EXHAUSTED")
    writer.close()
    await relayed.gate.idle()
    assert (await relayed.json("POST", VERB + "upload", b"12345")) == {"size": "5"}


async def test_who_leaves_takes_the_call_along(relayed: Relayed) -> None:
    _, writer = await relayed.gate.connect()
    writer.write(request("GET", VERB + "wait"))
    await _at_the_origin(relayed)
    writer.close()
    async with asyncio.timeout(20):
        while not relayed.fake.rest.left:
            await asyncio.sleep(0.01)
    await relayed.gate.idle()


async def _at_the_origin(relayed: Relayed) -> None:
    """Until a call is at the origin."""
    async with asyncio.timeout(20):
        while not (await relayed.gate.metrics()).get('gateway_origin_in_flight_calls{origin="healthcare.relays.cloud"}'):
            await asyncio.sleep(0.01)


async def test_an_upload_that_breaks_off_is_none(relayed: Relayed) -> None:
    _, writer = await relayed.gate.connect()
    writer.write(request("POST", VERB + "upload", {"Content-Length": "1000000"}) + bytes(1000))
    await _at_the_origin(relayed)
    writer.close()
    await relayed.gate.idle()
    assert [call for call in relayed.fake.calls if call.path.endswith(":upload") and call.status == 200] == []


async def test_no_more_calls_than_are_allowed(tmp_path: Path) -> None:
    async with bound(tmp_path, origin={"in_flight": 1}) as relayed:
        asking = [asyncio.create_task(relayed.ask("GET", VERB + "wait")) for _ in range(3)]
        answers = [await one for one in (await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED))[0]]
        assert {error(one) for one in answers} == {(503, "UNAVAILABLE")} and answers[0].headers["Retry-After"]
        relayed.fake.rest.waiting.set()
        await asyncio.gather(*asking)


# -- DICOM stores


async def test_a_store_has_a_backend_in_front_of_it(relayed: Relayed) -> None:
    stored = await relayed.ask("POST", STORE + "/studies", samples.ct(), {"Content-Type": "application/dicom"})
    assert stored.status == 200 and relayed.fake.rest.root.encode() not in stored.body
    for version in ("/v1", "/v1beta1"):
        caches = []
        for _ in range(2):
            answer = await relayed.ask("GET", f"{version}/{STORE.removeprefix('/v1/')}{INSTANCE}/metadata")
            assert answer.json[0]["00080018"]["Value"] == [samples.SOP]
            caches.append(answer.headers["X-Cache"].partition(";")[0])
        assert caches[-1] == "hit"
    picture = await relayed.ask("GET", STORE + INSTANCE + "/rendered", headers={"Accept": "image/png"})
    assert picture.body.startswith(b"\x89PNG")
    assert (await relayed.ask("DELETE", STORE + INSTANCE)).json == {}
    assert (await relayed.ask("GET", STORE + "/studies")).status == 204


async def test_a_deletion_is_the_origins_operation_and_makes_what_is_kept_old(relayed: Relayed) -> None:
    study = f"{STORE}/studies/{samples.STUDY}"
    await relayed.ask("POST", STORE + "/studies", samples.ct(), {"Content-Type": "application/dicom"})
    assert (await relayed.ask("GET", study + "/metadata")).status == 200
    name = (await relayed.json("DELETE", study))["name"]
    assert name.startswith(PROJECT + "/operations/")
    assert (await relayed.json("GET", f"/v1/{name}"))["done"]
    assert error(await relayed.ask("GET", study + "/metadata")) == (404, "NOT_FOUND")
    assert (await relayed.ask("GET", STORE + "/studies")).status == 204


async def test_a_storage_class_is_the_origins_business(relayed: Relayed) -> None:
    assert (await relayed.ask("GET", STORE + "/instances")).status == 204
    headers = {"Content-Type": "application/dicom", "Storage-Class": "ARCHIVE"}
    stored = await relayed.ask("POST", STORE.replace("/v1/", "/v1beta1/") + "/studies", samples.ct(), headers)
    assert stored.headers["Content-Type"].startswith("application/dicom+xml")
    assert f"http://gate.example{STORE}/studies/{samples.STUDY}".encode() in stored.body
    assert relayed.fake.rest.root.encode() not in stored.body
    assert relayed.fake.calls[-1].headers["Storage-Class"] == "ARCHIVE"
    assert len((await relayed.ask("GET", STORE + "/instances")).json) == 1


async def test_stores_of_equal_uids_keep_apart(relayed: Relayed) -> None:
    """What one store's cache holds is not given for another: the fake has only one store, so the calls tell."""
    await relayed.ask("POST", STORE + "/studies", samples.ct(), {"Content-Type": "application/dicom"})
    other = "/v1/projects/p/locations/us-central1/datasets/x/dicomStores/y/dicomWeb"
    for store in (STORE, other):
        before = len(relayed.fake.calls)
        for _ in range(2):
            assert (await relayed.ask("GET", store + INSTANCE + "/metadata")).status == 200
        assert len(relayed.fake.calls) == before + 1


async def test_only_so_many_stores_are_open(tmp_path: Path) -> None:
    async with bound(tmp_path, stores=2) as relayed:
        for number in range(6):
            path = f"/v1/projects/p/locations/us-central1/datasets/d/dicomStores/s{number}/dicomWeb/studies"
            assert (await relayed.ask("GET", path)).status == 204
        assert (await relayed.ask("POST", STORE + "/studies", dicom(), {"Content-Type": "application/dicom"})).status == 200


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_bodies_with_a_content_coding_arrive(relayed: Relayed, coding: str) -> None:
    data = b"0123456789" * 1000
    body = gzip.compress(data) if coding == "gzip" else zlib.compress(data)
    answer = await relayed.ask("POST", VERB + "upload", body, {"Content-Encoding": coding})
    assert answer.json == {"size": str(len(data))}
