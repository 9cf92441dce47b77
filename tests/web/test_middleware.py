"""What surrounds every request: who may ask, what errors look like, CORS, the log line, and the end."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Any

import pytest

from gateway.app import SERVICE
from gateway.backends.base import Matches
from gateway.backends.caller import NOBODY, Caller, caller
from gateway.dicomweb.reasons import Reason
from gateway.errors import Conflict, GatewayError, InstanceError
from gateway.web.middleware import IN_FLIGHT, InFlight
from tests.backends.made import dicom
from tests.web.conftest import Lines, Serve
from tests.web.gate import BASE, INSTANCE, MULTIPART, STORED, Gate, multipart, read_answer, request

ORIGIN = "https://viewer.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}


class Asked:
    """A store that notes who asks."""

    def __init__(self) -> None:
        self.callers: list[Caller] = []

    async def search(self, _: object) -> Matches:
        self.callers.append(caller())
        return Matches(())

    async def aclose(self) -> None:
        pass


class Raising:
    """A store that fails."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    async def search(self, _: object) -> Any:
        raise self._error

    async def aclose(self) -> None:
        pass


def fail(gate: Gate, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    monkeypatch.setitem(gate.app[SERVICE].catalog._stores, "default", Raising(error))


# -- who


async def test_backends_learn_who_asks_and_whether_something_kept_will_do(plain: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    monkeypatch.setitem(plain.app[SERVICE].catalog._stores, "default", asked)
    said = ("No-Cache, no-transform", "max-age=0", "max-age=10")
    heads = [{"Authorization": "Bearer one"}, *({"Cache-Control": one} for one in said), {"Pragma": "no-cache"}, {}]
    raw = b"".join(request("GET", f"{BASE}/studies", head) for head in heads)
    reader, writer = await plain.connect()
    writer.write(raw)  # on one connection, so that what one request said could stay for the next
    for _ in heads:
        assert (await read_answer(reader)).status == 204
    writer.close()
    assert asked.callers == [Caller("Bearer one"), Caller(fresh=True), Caller(fresh=True), Caller(), Caller(fresh=True), NOBODY]


async def test_googles_routes_take_a_token_in_the_url(plain: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    monkeypatch.setitem(plain.app[SERVICE].catalog._stores, "default", asked)
    google = "/v1beta1/projects/local/locations/local/datasets/default/dicomStores/default/dicomWeb/studies"
    token = "?access_token=ya29.a-b_c%2F~="
    for path in (
        google + token,
        google + token.replace("access", "Access"),
        google + "?access_token=a%0D%0AX:%20y",
        f"{BASE}/studies{token}",
    ):
        assert (await plain.get(path, base="")).status == (400 if "Access" in path else 204)
    await plain.get(google + token, base="", headers={"Authorization": "Bearer two", "Cache-Control": "no-cache"})
    assert asked.callers == [Caller("Bearer ya29.a-b_c/~="), Caller(), NOBODY, Caller("Bearer two", fresh=True)]


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    file = tmp_path / "tokens"
    file.write_bytes(b"sesame\n\n  tin-\xc3\xa4 \n")
    return file


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (b"Bearer sesame", 204),
        (b"bearer  sesame ", 204),
        (b"Bearer tin-\xc3\xa4", 204),
        (None, 401),
        (b"", 401),
        (b"Bearer", 401),
        (b"Bearer ", 401),
        (b"Bearer None", 401),
        (b"Bearer sesam", 401),
        (b"Bearer sesame2", 401),
        (b"Bearer \xff\xfe", 401),
        (b"Bearer sesame, Bearer x", 401),
        (b"Basic sesame", 401),
        (b"sesame", 401),
    ],
)
async def test_bearer_tokens(serve: Serve, tokens: Path, authorization: bytes | None, status: int) -> None:
    gate = await serve(backend="memory", server={"token_file": tokens})
    answer = await gate.ask("GET", "/studies", {} if authorization is None else {"Authorization": authorization})
    assert answer.status == status
    if status == 401:
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="dicomweb"'
        assert answer.detail


async def test_a_token_in_the_url_lets_in_where_google_takes_one(serve: Serve, tokens: Path, lines: Lines) -> None:
    gate = await serve(backend="memory", server={"token_file": tokens})
    for path, status in (("/v1/projects/p/locations", 200), (BASE + "/studies", 401), ("/metrics", 401)):
        assert (await gate.get(f"{path}?access_token=sesame", base="")).status == status
    for wrong in ("sesam", "", "sesame%0A"):
        assert (await gate.get(f"/v1/projects/p/locations?access_token={wrong}", base="")).status == 401
    assert "sesame" not in str(lines)


async def test_only_probes_need_no_token(serve: Serve, tokens: Path, lines: Lines) -> None:
    gate = await serve(backend="memory", server={"token_file": tokens})
    for path, status in (("/healthz", 200), ("/readyz", 200), ("/metrics", 401), ("/version", 401), (BASE + "/nothing", 401)):
        assert (await gate.get(path, base="")).status == status
    assert (await gate.ask("DELETE", INSTANCE)).status == 401
    assert (await gate.ask("OPTIONS", INSTANCE, PREFLIGHT)).status == 204
    assert (await gate.post(multipart(dicom()))).status == 401
    assert lines[-1]["received"] == 0


async def test_tokens_are_rotated_without_a_restart(serve: Serve, tokens: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.web.repeats.TOKENS_SECONDS", 0.0)  # so long a repeated request goes by what was known before
    gate = await serve(backend="memory", server={"token_file": tokens})

    async def let_in(token: str) -> bool:
        return (await gate.ask("GET", "/studies", {"Authorization": f"Bearer {token}"})).status == 204

    assert await let_in("sesame")
    for number, (content, old, new) in enumerate([("sesame\nnext\n", True, True), ("next\n", False, True), ("", False, False)], 1):
        tokens.write_text(content)
        os.utime(tokens, (number, number))
        assert [await let_in("sesame"), await let_in("next")] == [old, new]


async def test_without_a_token_file_a_token_is_no_fault(plain: Gate) -> None:
    assert (await plain.ask("GET", "/studies", {"Authorization": "Bearer None"})).status == 204


# -- errors


@pytest.mark.parametrize(
    ("error", "status", "detail"),
    [
        (Conflict("somebody was first"), 409, "somebody was first"),
        (InstanceError(Reason.CANNOT_UNDERSTAND, "odd", 0x00100010), 400, "(0010,0010): odd"),
        (GatewayError("just so"), 500, "just so"),
    ],
)
async def test_our_errors_say_what_they_say(
    plain: Gate, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, detail: str
) -> None:
    fail(plain, monkeypatch, error)
    answer = await plain.get("/studies")
    assert (answer.status, answer.detail) == (status, detail)


@pytest.mark.parametrize("error", [ValueError("Doe^Jane"), KeyError("Doe^Jane"), TimeoutError("Doe^Jane"), OSError("Doe^Jane")])
async def test_other_errors_say_where_to_ask_and_nothing_else(
    plain: Gate, lines: Lines, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    lines.expected = {"request failed"}
    fail(plain, monkeypatch, error)
    answer = await plain.get("/studies")
    assert answer.status == 500
    assert answer.headers["X-Request-Id"] in answer.detail
    failed, asked = lines
    assert (failed["request_id"], failed["error"]) == (answer.headers["X-Request-Id"], type(error).__name__)
    assert asked["status"] == 500
    assert "Doe" not in answer.body.decode() + str(lines)
    assert (await plain.get("/healthz", base="")).status == 200


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/studies", "GET, HEAD, OPTIONS, POST"),
        ("PUT", "/studies/1.1", "DELETE, GET, HEAD, OPTIONS, POST"),
        ("POST", INSTANCE + "/metadata", "GET, HEAD, OPTIONS"),
        ("PATCH", INSTANCE, "DELETE, GET, HEAD, OPTIONS"),
        ("PROPFIND", "/studies", "GET, HEAD, OPTIONS, POST"),
    ],
)
async def test_a_method_that_is_not_possible_is_405_with_those_that_are(
    plain: Gate, lines: Lines, method: str, path: str, allow: str
) -> None:
    answer = await plain.ask(method, path, body=b"")
    assert (answer.status, answer.headers["Allow"]) == (405, allow)
    assert answer.detail
    assert lines[-1]["method"] == ("other" if method == "PROPFIND" else method)


async def test_an_unknown_route_is_404_and_says_where_the_store_is(plain: Gate, lines: Lines) -> None:
    for path in ("/nothing", "/dicom-web/nothing", "/studies", "/robots.txt"):
        answer = await plain.get(path, base="")
        assert answer.status == 404
        assert "/dicom-web" in answer.detail
        assert lines[-1]["route"] == "none"


async def test_what_is_refused_before_its_body_was_read_closes_the_connection(plain: Gate) -> None:
    long = request("POST", BASE + "/studies", {"Content-Type": "text/plain", "Content-Length": "999999"}, b"x")
    answer = await plain.raw(long)
    assert (answer.status, answer.headers["Connection"]) == (415, "close")
    reader, writer = await plain.connect()
    for _ in range(2):  # a body that came along whole is no reason to part
        writer.write(request("DELETE", "/nothing", {}, b"x"))
        answer = await read_answer(reader)
        assert answer.status == 404
        if "Connection" in answer.headers:
            break
    writer.close()


# -- OPTIONS, CORS


async def test_options_says_what_is_allowed_and_is_no_preflight(plain: Gate) -> None:
    answer = await plain.ask("OPTIONS", INSTANCE, {"Origin": ORIGIN})
    assert (answer.status, answer.headers["Allow"]) == (204, "DELETE, GET, HEAD, OPTIONS")
    assert not [name for name in answer.headers if name.startswith("Access-Control")]


@pytest.mark.parametrize(
    ("allowed", "origin", "given"),
    [
        ([ORIGIN], ORIGIN, ORIGIN),
        ([ORIGIN, "http://localhost:3000"], "http://localhost:3000", "http://localhost:3000"),
        (["*"], "https://any.example", "https://any.example"),
        ([ORIGIN], "https://viewer.example.evil", None),
        ([ORIGIN], "http://viewer.example", None),
        ([ORIGIN], "null", None),
        ([ORIGIN], None, None),
        ([], ORIGIN, None),
    ],
)
async def test_origins(serve: Serve, allowed: list[str], origin: str | None, given: str | None) -> None:
    gate = await serve(backend="memory", server={"cors_origins": allowed})
    await gate.store(dicom())
    sent = {} if origin is None else {"Origin": origin}
    paths = ["/studies", "/studies/9", INSTANCE, INSTANCE + "/metadata", "/nothing"]
    answers = [await gate.get(path, headers=sent) for path in paths]
    answers.append(await gate.ask("OPTIONS", "/studies", sent | {"Access-Control-Request-Method": "POST"}))
    for answer in answers:
        assert answer.headers.get("Access-Control-Allow-Origin") == given
        varies = answer.headers.get("Vary", "").split(", ")
        assert ("Origin" in varies) == bool(allowed)
        assert ("Accept-Encoding" in varies) == (answer.status == 200)
        exposed = answer.headers.get("Access-Control-Expose-Headers", "")
        assert {"ETag", "Content-Range", "Warning", "X-Request-Id", "Retry-After"} <= set(exposed.split(", ")) or given is None
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_a_preflight_is_answered_without_credentials_on_any_route(serve: Serve, tokens: Path) -> None:
    gate = await serve(backend="memory", server={"token_file": tokens, "cors_origins": [ORIGIN]})
    for path in ("/studies", INSTANCE, INSTANCE + "/frames/1"):
        answer = await gate.ask("OPTIONS", path, PREFLIGHT)
        assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (204, ORIGIN)
        assert {"Authorization", "Content-Type", "Accept", "Range", "If-None-Match"} <= set(
            answer.headers["Access-Control-Allow-Headers"].split(", ")
        )
        assert {"GET", "POST", "PUT", "PATCH", "DELETE"} <= set(answer.headers["Access-Control-Allow-Methods"].split(", "))
    assert (await gate.ask("OPTIONS", "/studies", {"Origin": ORIGIN})).status == 401


# -- what every answer carries, and what is written of it


async def test_every_answer_carries_the_same_headers(plain: Gate) -> None:
    await plain.store(dicom())
    for path in ("/studies", "/studies/9", INSTANCE, INSTANCE + "/metadata", INSTANCE + "/frames/9", "/nothing", "/studies/x"):
        answer = await plain.get(path)
        assert (answer.headers["Server"], answer.headers["X-Content-Type-Options"]) == ("dicomweb-gateway", "nosniff")
        assert re.fullmatch("[0-9a-f]{16}", answer.headers["X-Request-Id"])


@pytest.mark.parametrize("given", ["a1b2c3d4", "0123-4567-89ab", "x" * 64])
async def test_a_request_id_of_the_caller_is_kept(plain: Gate, lines: Lines, given: str) -> None:
    assert (await plain.get("/studies", headers={"X-Request-Id": given})).headers["X-Request-Id"] == given
    assert lines[-1]["request_id"] == given


@pytest.mark.parametrize(
    "given", [b"short", b"x" * 65, b"Doe^Jane", b"a b c d e f", b"--------", b"\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4", b"\xff" * 10, b""]
)
async def test_a_request_id_that_could_be_anything_is_not(plain: Gate, given: bytes) -> None:
    assert re.fullmatch("[0-9a-f]{16}", (await plain.get("/studies", headers={"X-Request-Id": given})).headers["X-Request-Id"])


async def test_one_line_a_request_and_none_for_probes(gate: Gate, lines: Lines) -> None:
    body = multipart(dicom())
    stored = await gate.post(body)
    found = await gate.get("/studies?PatientName=Doe*")
    file = await gate.get(INSTANCE, STORED)
    await gate.get("/healthz", base="")
    await gate.get("/readyz", base="")
    await gate.ask("HEAD", "/studies")
    whole = "/dicom-web/studies/{study}/series/{series}/instances/{instance}"
    assert [
        (line["event"], line["method"], line["route"], line["status"], line["received"], line["sent"], line["instances"]) for line in lines
    ] == [
        ("request", "POST", "/dicom-web/studies", 200, len(body), len(stored.body), 1),
        ("request", "GET", "/dicom-web/studies", 200, 0, len(found.body), 0),
        ("request", "GET", whole, 200, 0, len(file.body), 1),
        ("request", "HEAD", "/dicom-web/studies", 200, 0, 0, 0),
    ]
    assert all(line["seconds"] >= 0 for line in lines)


# -- the end


async def test_while_draining_answers_say_close(plain: Gate) -> None:
    await plain.store(dicom())
    plain.app[IN_FLIGHT].draining = True
    for path in ("/studies", INSTANCE, INSTANCE + "/metadata"):
        answer = await plain.get(path)
        assert (answer.status, answer.headers["Connection"]) == (200, "close")


async def test_requests_in_flight_are_counted_until_their_end(plain: Gate) -> None:
    in_flight = plain.app[IN_FLIGHT]
    whole = request("POST", BASE + "/studies", {"Content-Type": MULTIPART}, multipart(dicom()))
    reader, writer = await plain.connect()
    writer.write(whole[:-9])
    while not in_flight.count:
        await asyncio.sleep(0.001)
    waiting = asyncio.create_task(in_flight.idle())
    await plain.get("/studies")
    assert (in_flight.count, waiting.done()) == (1, False)
    writer.write(whole[-9:])
    assert (await read_answer(reader)).status == 200
    await waiting
    assert in_flight.count == 0
    writer.close()


async def test_idle_waits_for_the_last_one() -> None:
    in_flight = InFlight()
    await in_flight.idle()
    in_flight.enter()
    in_flight.enter()
    waiting = asyncio.create_task(in_flight.idle())
    for left in (1, 0):
        await asyncio.sleep(0)
        assert not waiting.done()
        in_flight.leave()
        assert in_flight.count == left
    await waiting
