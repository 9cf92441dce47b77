"""One origin as a worker sees it: what is sent, what comes back, what is never done."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.backends.caller import CALLER, Caller
from gateway.backends.upstream.breaker import Tripping
from gateway.backends.upstream.client import Answer, Client, Timeouts
from gateway.backends.upstream.credentials import Credentials, Nobody, PassThrough
from gateway.backends.upstream.refusals import answer_of
from gateway.errors import Busy, Conflict, Forbidden, GatewayError, NotAuthenticated, NotFound, OriginFailed, OriginTimeout
from tests.origins.endpoints import Handler, origin


@asynccontextmanager
async def client(server: TestServer, credentials: Credentials | None = None, **settings: Any) -> AsyncIterator[Client]:
    made = Client(str(server.make_url("/dicom-web/")), credentials or Nobody(), name="pacs", **settings)
    try:
        yield made
    finally:
        await made.aclose()


@asynccontextmanager
async def asking(handler: Handler, credentials: Credentials | None = None, **settings: Any) -> AsyncIterator[Client]:
    async with origin(handler) as server, client(server, credentials, **settings) as made:
        yield made


async def pieces(*sizes: int) -> AsyncIterator[bytes]:
    for number, size in enumerate(sizes):
        yield bytes([number % 251]) * size


async def echo(request: web.Request) -> web.StreamResponse:
    headers = {f"X-{name}": value for name, value in request.headers.items()}
    return web.Response(body=await request.read(), headers=headers | {"X-Url": request.raw_path, "X-Method": request.method})


async def text(answer: Answer) -> str:
    return (await answer.read(1 << 20)).decode()


# ---------------------------------------------------------------- what is sent


async def test_a_call_goes_below_the_base_with_its_parameters_encoded() -> None:
    async with asking(echo) as made:
        params = [("PatientName", "Ö*^?&b"), ("StudyInstanceUID", "1.2,3.4"), ("00100010", "a b+c")]
        async with await made.ask("GET", "/studies", transaction="search", params=params) as answer:
            assert answer.status == 200
            assert answer.headers["X-Url"] == "/dicom-web/studies?PatientName=%C3%96*%5E%3F%26b&StudyInstanceUID=1.2,3.4&00100010=a%20b%2Bc"


async def test_a_call_can_leave_the_base() -> None:
    async with asking(echo) as made, await made.ask("POST", "/tools/lookup", transaction="delete", body=b"1.2.3", root=True) as answer:
        assert answer.headers["X-Url"] == "/tools/lookup"
        assert await answer.read(100) == b"1.2.3"


async def test_the_base_is_kept_without_its_slash() -> None:
    assert Client("http://pacs:8042/dicom-web/", Nobody(), name="pacs").base == "http://pacs:8042/dicom-web"


@pytest.mark.parametrize("base", ["http://user:secret@pacs/", "ftp://pacs/", "pacs:8042", "http:///x"])
def test_a_base_that_cannot_be_one_is_refused_without_repeating_it(base: str) -> None:
    with pytest.raises(ValueError, match="http://") as caught:
        Client(base, Nobody(), name="pacs")
    assert "secret" not in str(caught.value)


async def test_headers_of_one_connection_and_cookies_never_go_along() -> None:
    headers = {"Accept": "application/json", "Connection": "x-secret", "TE": "trailers", "Cookie": "a=b", "Host": "elsewhere"}
    async with asking(echo) as made, await made.ask("GET", "/studies", transaction="search", headers=headers) as answer:
        assert answer.headers["X-Accept"] == "application/json"
        assert answer.headers["X-Accept-Encoding"] == "identity"
        assert "X-TE" not in answer.headers
        assert "X-Cookie" not in answer.headers
        assert "X-Connection" not in answer.headers
        assert answer.headers["X-Host"].startswith("127.0.0.1")


async def test_cookies_of_the_origin_are_forgotten() -> None:
    async def setting(request: web.Request) -> web.StreamResponse:
        answer = web.Response(text=request.headers.get("Cookie", "none"))
        answer.set_cookie("session", "1")
        return answer

    async with asking(setting) as made:
        for _ in range(2):
            async with await made.ask("GET", "/", transaction="other") as answer:
                assert await text(answer) == "none"


@pytest.mark.parametrize("sizes", [(0,), (1,), (8192, 8193), (1 << 16, 3, 300_000, 1), (1 << 20, 0, 1 << 20)], ids=str)
@pytest.mark.parametrize("known", [False, True], ids=["chunked", "length"])
async def test_a_stream_arrives_byte_for_byte(sizes: tuple[int, ...], known: bool) -> None:
    headers = {"Content-Length": str(sum(sizes))} if known else {}
    async with asking(echo) as made:
        answer = await made.ask("POST", "/studies", transaction="store", headers=headers, body=pieces(*sizes))
        assert await answer.read(4 << 20) == b"".join([piece async for piece in pieces(*sizes)])
        assert answer.headers.get("X-Content-Length") == (str(sum(sizes)) if known else None)


@pytest.mark.parametrize("size", [0, 1, 1 << 20])
async def test_bytes_arrive_with_their_length(size: int) -> None:
    body = bytes(range(256)) * (size // 256) or b"x" * size
    async with asking(echo) as made, await made.ask("POST", "/", transaction="store", body=body) as answer:
        assert await answer.read(4 << 20) == body
        assert answer.headers["X-Content-Length"] == str(len(body))


async def test_connections_are_kept_and_used_again() -> None:
    peers = set()

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peers.add(request.transport.get_extra_info("peername"))
        return web.Response(body=bytes(100_000))

    async with asking(handler) as made:
        for _ in range(5):
            async with await made.ask("GET", "/", transaction="other") as answer:
                await answer.read(1 << 20)
    assert len(peers) == 1


# ---------------------------------------------------------------- what comes back


async def test_a_status_that_is_not_an_answer_raises_and_brings_its_body_along() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=409, text='{"00081198": "Doe^John"}', content_type="application/dicom+json")

    async with asking(handler) as made:
        with pytest.raises(Conflict) as caught:
            await made.ask("POST", "/studies", transaction="store", body=b"x")
        refusal = answer_of(caught.value)
        assert refusal is not None
        assert (refusal.status, refusal.media, refusal.body) == (409, "application/dicom+json; charset=utf-8", b'{"00081198": "Doe^John"}')
        assert "Doe" not in str(caught.value) + repr(caught.value) + repr(refusal)
        async with await made.ask("POST", "/studies", transaction="store", body=b"x", ok=(200, 409)) as answer:
            assert answer.status == 409


async def test_of_a_long_refusal_only_the_beginning_is_read() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=404)
        await answer.prepare(request)
        while True:
            await answer.write(bytes(1 << 16))

    async with asking(handler) as made:
        with pytest.raises(NotFound) as caught:
            await made.ask("GET", "/studies/1.2", transaction="retrieve")
        refusal = answer_of(caught.value)
        assert refusal is not None
        assert len(refusal.body) == 64 << 10


async def test_redirects_are_not_followed() -> None:
    asked = []

    async def handler(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/other"})

    async with asking(handler) as made:
        with pytest.raises(OriginFailed, match="redirect"):
            await made.ask("GET", "/studies", transaction="search")
    assert asked == ["/dicom-web/studies"]


async def test_a_body_that_is_longer_than_wanted_is_refused() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        if request.query:
            answer.content_length = 1 << 20
        await answer.prepare(request)
        for _ in range(16):
            await answer.write(bytes(1 << 16))
        return answer

    async with asking(handler) as made:
        for params in ([], [("length", "1")]):
            answer = await made.ask("GET", "/", transaction="search", params=params)
            with pytest.raises(OriginFailed, match="100000 bytes"):
                await answer.read(100_000)


async def test_compression_that_nobody_asked_for_is_refused() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})

    async with asking(handler) as made:
        with pytest.raises(OriginFailed, match="uncompressed"):
            await made.ask("GET", "/", transaction="search")
        async with await made.ask("GET", "/", transaction="search", headers={"accept-encoding": "gzip"}) as answer:
            assert await answer.read(10) == b"\x1f\x8b"


async def test_head_has_no_body() -> None:
    async with asking(echo) as made, await made.ask("HEAD", "/studies", transaction="other") as answer:
        assert [piece async for piece in answer.chunks()] == []


# ---------------------------------------------------------------- credentials


class Rotating(Nobody):
    """Credentials that are renewed when they are refused."""

    def __init__(self) -> None:
        self.number = 0

    async def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.number}"}

    async def refused(self) -> bool:
        self.number += 1
        return True


async def wants_one(request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.Response(status=200 if request.headers.get("Authorization") == "Bearer 1" else 401)


@pytest.mark.parametrize("body", [None, b"abc"])
async def test_refused_credentials_are_renewed_once_and_the_call_made_again(body: bytes | None) -> None:
    async with asking(wants_one, Rotating()) as made, await made.ask("POST", "/", transaction="store", body=body) as answer:
        assert answer.status == 200


async def test_credentials_that_stay_refused_end_the_call() -> None:
    credentials = Rotating()
    credentials.number = 5
    async with asking(wants_one, credentials) as made:
        with pytest.raises(OriginFailed, match="does not accept the gateway's credentials"):
            await made.ask("GET", "/", transaction="store")
    assert credentials.number == 6


async def test_a_stream_that_was_refused_is_not_sent_again_but_the_next_call_knows_better() -> None:
    async with asking(wants_one, Rotating()) as made:
        with pytest.raises(OriginFailed):
            await made.ask("POST", "/", transaction="store", body=pieces(1))
        async with await made.ask("POST", "/", transaction="store", body=pieces(1)) as answer:
            assert answer.status == 200


async def test_the_callers_own_credentials_are_refused_to_the_caller() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=403 if "Authorization" in request.headers else 401)

    async with asking(handler, PassThrough()) as made:
        with pytest.raises(NotAuthenticated):
            await made.ask("GET", "/", transaction="search")
        CALLER.set(Caller(authorization="Bearer callers"))
        with pytest.raises(Forbidden) as caught:
            await made.ask("GET", "/", transaction="search")
        assert "callers" not in str(caught.value)


def everything_of(error: BaseException) -> str:
    """What a careless log line could show of an error."""
    found = [repr(error), str(error), repr(vars(error))]
    found += [everything_of(other) for other in (error.__cause__, error.__context__) if other is not None]
    return " ".join(found)


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 429, 500])
async def test_no_secret_is_on_an_error(status: int) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with asking(handler, PassThrough(), tries=1) as made:
        CALLER.set(Caller(authorization="Bearer callers"))
        with pytest.raises(GatewayError) as caught:
            await made.ask("GET", "/studies", transaction="search", params=[("PatientName", "Doe")])
    assert "callers" not in everything_of(caught.value)
    assert "Doe" not in everything_of(caught.value)


async def test_no_secret_is_on_an_error_of_the_network() -> None:
    CALLER.set(Caller(authorization="Bearer callers"))
    made = Client("http://127.0.0.1:1/dicom-web", PassThrough(), name="pacs", tries=1)
    with pytest.raises(OriginFailed, match="cannot be reached: connection refused") as caught:
        await made.ask("GET", "/studies", transaction="search", params=[("PatientName", "Doe")])
    await made.aclose()
    assert "callers" not in everything_of(caught.value)
    assert "Doe" not in everything_of(caught.value)
    assert "127.0.0.1" not in everything_of(caught.value)


# ---------------------------------------------------------------- places, leaving, ending


async def test_more_calls_than_places_wait_and_go_on() -> None:
    at_once = most = 0

    async def handler(request: web.Request) -> web.StreamResponse:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.01)
        at_once -= 1
        return web.Response(text="ok")

    async def one(made: Client) -> None:
        async with await made.ask("GET", "/", transaction="search") as answer:
            await answer.read(10)

    async with asking(handler, in_flight=3) as made:
        await asyncio.gather(*(one(made) for _ in range(6)))
    assert most == 3


async def test_too_many_calls_hear_so_at_once() -> None:
    release = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    async with asking(handler, in_flight=2) as made:
        asked = [asyncio.create_task(made.ask("GET", "/", transaction="search")) for _ in range(5)]
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert [type(task.exception()) for task in done] == [Busy]
        release.set()
        for task in asked:
            if task not in done:
                await (await task).aclose()


async def test_each_way_to_end_an_answer_gives_its_place_back() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(body=bytes(1 << 20), status=404 if "404" in request.path else 200)

    async with asking(handler, in_flight=1) as made:
        for _ in range(2):
            await (await made.ask("GET", "/", transaction="search")).read(1 << 20)
            await (await made.ask("GET", "/", transaction="search")).aclose()
            async with await made.ask("GET", "/", transaction="search") as answer:
                async for _piece in answer.chunks():
                    break
                await answer.aclose()
            with pytest.raises(NotFound):
                await made.ask("GET", "/404", transaction="search")
            body = (await made.ask("GET", "/", transaction="search")).chunks()
            await anext(body)
            await body.aclose()


async def test_an_answer_that_is_forgotten_gives_its_place_back() -> None:
    async with asking(echo, in_flight=1) as made:
        await made.ask("POST", "/", transaction="store", body=bytes(1 << 20))
        gc.collect()
        await asyncio.sleep(0)
        await (await made.ask("GET", "/", transaction="search")).aclose()


async def test_a_caller_who_leaves_closes_the_connection() -> None:
    left = asyncio.Event()
    arrived = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        arrived.set()
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        return web.Response()

    async with asking(handler, in_flight=1) as made:
        for _ in range(2):
            arrived.clear()
            left.clear()
            task = asyncio.create_task(made.ask("GET", "/", transaction="search"))
            await arrived.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.wait_for(left.wait(), 5)


async def test_an_error_of_whoever_makes_the_body_is_the_error_of_the_call() -> None:
    class Odd(Exception):
        pass

    seen: list[bytes] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        seen.append(b"begun")
        seen.append(await request.read())
        return web.Response()

    async def body() -> AsyncIterator[bytes]:
        yield bytes(100_000)
        raise Odd

    async with asking(handler, in_flight=1, breaker=Tripping(failures=1)) as made:
        for _ in range(2):
            with pytest.raises(Odd):
                await made.ask("POST", "/studies", transaction="store", body=body())
    assert set(seen) <= {b"begun"}  # what is cut off is never taken for whole


@pytest.mark.parametrize("waits", [False, True], ids=["ready", "waiting"])
async def test_an_early_refusal_ends_the_sending_and_leaves_the_rest_to_its_maker(waits: bool) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response(status=415)

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        while True:
            await asyncio.sleep(60 if waits else 0)
            yield bytes(1 << 16)

    async with asking(handler) as made:
        source = body()
        with pytest.raises(GatewayError) as caught:
            await made.ask("POST", "/studies", transaction="store", body=source)
        assert caught.value.status in (415, 502)  # the origin may close before its answer is read
        await source.aclose()  # type: ignore[attr-defined]  # a generator; it would be running still


async def test_a_caller_who_leaves_in_the_middle_of_sending_may_go_on_with_the_body() -> None:
    begun = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x"
        begun.set()
        await asyncio.sleep(60)
        yield b"y"

    async with asking(echo, in_flight=1) as made:
        source = body()
        task = asyncio.create_task(made.ask("POST", "/studies", transaction="store", body=source))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await source.aclose()  # type: ignore[attr-defined]  # a generator; it would be running still
        async with await made.ask("POST", "/studies", transaction="store", body=b"z") as answer:
            assert await answer.read(10) == b"z"


async def test_time_bounds_can_differ_by_transaction() -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.3)
        return web.Response(text="late")

    slow = {"search": Timeouts(first_byte=0.05)}
    async with asking(handler, by_transaction=slow) as made:
        assert await text(await made.ask("GET", "/", transaction="retrieve")) == "late"
        with pytest.raises(OriginTimeout):
            await made.ask("GET", "/", transaction="search")
