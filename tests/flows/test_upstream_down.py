"""An origin that is down, sick or malicious: the gateway stays up, says clearly what is wrong, and nothing of what should stay
between it and the origin: no token, address, path or patient, in no answer, log line or metric."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.backends.made import dicom
from tests.flows.fronts import FRAME, INSTANCE, JSON, STORED, Answer, Front, fronted, table, upstream
from tests.origins.endpoints import origin
from tests.running import free_port

TOKEN = "canary-sesame"
PATIENT = "CANARY^ZELDA"
PLACE = "canary-place"
"""A folder in the origin's URL."""

SECRETS = ("canary", "zelda")

IMPATIENT = {"tries": 1, "connect_timeout": 1, "first_byte_timeout": 1, "idle_timeout": 1, "breaker_failures": 1000}
FILE = dicom(PatientName=PATIENT, PatientID=PATIENT)

QUESTIONS = {
    "search": ("GET", f"/studies?PatientName={PATIENT.replace('^', '%5E')}", JSON),
    "metadata": ("GET", f"{INSTANCE}/metadata", JSON),
    "frames": ("GET", f"{INSTANCE}/frames/1", FRAME),
    "bulk data": ("GET", f"{INSTANCE}/bulkdata/7FE00010", "*/*"),
    "retrieve": ("GET", INSTANCE, STORED),
    "retrieve converted": ("GET", INSTANCE, "application/dicom"),
    "retrieve a study": ("GET", "/studies/1.1", 'multipart/related; type="application/dicom"; transfer-syntax=*'),
    "delete": ("DELETE", "/studies/1.1", "*/*"),
}


async def _answers(front: Front) -> AsyncIterator[tuple[str, Answer]]:
    for name, (method, path, accept) in QUESTIONS.items():
        with suppress(aiohttp.ClientPayloadError):  # it had begun and broke off: nobody can take it for an answer
            yield name, await front.ask(method, path, accept, Authorization=f"Bearer {TOKEN}")
    yield "store", await front.store(FILE, Authorization=f"Bearer {TOKEN}")


def _leaks(text: str, *more: str) -> list[str]:
    lower = text.lower()
    return [text[max(0, lower.index(word) - 60) : lower.index(word) + 40] for word in (*SECRETS, *more) if word in lower]


async def _is_silent(front: Front, *more: str) -> None:
    """Neither log nor metrics nor readiness tell."""
    assert not _leaks(front.gateway.log.read_text(), *more)
    for page in ("/metrics", "/readyz"):
        assert not _leaks((await front.get(page, root=True)).body.decode(), *more)


def _store(folder: Path, url: str, **more: Any) -> str:
    secret = folder / "token"
    secret.write_text(TOKEN)
    return upstream(url, credentials={"kind": "bearer", "secret_file": secret}, origin=IMPATIENT, **more)


# -- what the origin does instead of answering


async def _hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(30)
    return web.Response()


async def _error(request: web.Request) -> web.StreamResponse:
    await request.read()
    said = f"{PATIENT} at {request.url} with {request.headers.get('Authorization')}"
    return web.Response(status=500, text=said, headers={"X-Error": PATIENT, "Server": PLACE})


async def _busy(request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.Response(status=503, text=PATIENT, headers={"Retry-After": "7"})


async def _elsewhere(request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.Response(status=302, headers={"Location": f"http://{PLACE}.invalid/{TOKEN}"})


async def _refused(request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.Response(status=401, text=TOKEN, headers={"WWW-Authenticate": f'Basic realm="{PLACE}"'})


async def _nonsense(request: web.Request) -> web.StreamResponse:
    await request.read()
    return web.Response(text=f"<html>{PATIENT}", content_type="text/html")


async def _cut(request: web.Request) -> web.StreamResponse:
    await request.read()
    assert request.transport is not None
    request.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Type: application/dicom\r\n\r\n" + PATIENT.encode())
    request.transport.close()
    return web.Response()


SICK: dict[str, tuple[Callable[[web.Request], Awaitable[web.StreamResponse]], set[int]]] = {
    "hangs": (_hang, {504}),
    "fails": (_error, {502}),
    "is busy": (_busy, {503}),
    "is elsewhere": (_elsewhere, {502}),
    "refuses the gateway": (_refused, {502}),
    "talks nonsense": (_nonsense, {502}),
    "breaks off": (_cut, {502}),
}


@pytest.mark.parametrize("how", SICK)
async def test_what_is_wrong_with_an_origin_is_told_and_nothing_of_it(tmp_path: Path, how: str) -> None:
    handler, statuses = SICK[how]
    async with origin(handler) as server:
        url = str(server.make_url(f"/{PLACE}/dicom-web"))
        async with fronted(tmp_path, _store(tmp_path, url, cache=False), ready="/healthz") as front:
            async for name, answer in _answers(front):
                assert answer.status in statuses, (name, answer)
                assert "origin" in answer.json["detail"], (name, answer)
                assert not _leaks(answer.body.decode() + str(answer.headers), f":{server.port}"), name
                if answer.status == 503:
                    assert answer.headers["Retry-After"] == "7"
            await _is_silent(front, f":{server.port}")


@pytest.mark.parametrize("kept", ["cache", "spool", "nothing"])
async def test_readiness_without_an_origin(tmp_path: Path, kept: str) -> None:
    """With something to answer from the gateway serves; without it the load balancer may look for another one."""
    port = free_port()
    more: dict[str, dict[str, Any]] = {"cache": {"cache": True}, "spool": {"delivery": "spool"}, "nothing": {"cache": False}}
    settings = _store(tmp_path, f"http://127.0.0.1:{port}/{PLACE}/dicom-web", **more[kept])
    async with fronted(tmp_path, settings, ready="/healthz" if kept == "nothing" else "/readyz") as front:
        ready = await front.get("/readyz", root=True)
        assert ready.status == (503 if kept == "nothing" else 200)
        assert ready.json["stores"]["default"]["detail"]
        async for name, answer in _answers(front):
            if name == "store" and kept == "spool":
                assert answer.status == 200, answer.body
                continue
            assert answer.status == 502, (name, answer)
            assert "cannot be reached" in answer.json["detail"], (name, answer)
            assert not _leaks(answer.body.decode() + str(answer.headers), f":{port}"), name
        if kept == "spool":  # what waits is found and read, and the answer says what may be missing in it
            method, path, accept = QUESTIONS["search"]
            found = await front.ask(method, path, accept)
            assert found.values("0020000D") == ["1.1"] and "did not answer" in found.headers["Warning"]
            assert (await front.get(INSTANCE, STORED)).body == FILE
        assert (await front.get("/readyz", root=True)).status == ready.status
        await _is_silent(front, f":{port}")


async def test_a_host_that_no_name_server_knows(tmp_path: Path) -> None:
    settings = _store(tmp_path, f"http://{PLACE}.invalid/dicom-web", cache=False)
    async with fronted(tmp_path, settings, ready="/healthz") as front:
        async for name, answer in _answers(front):
            assert answer.status == 502, (name, answer)
            assert "cannot be resolved" in answer.json["detail"]
            assert not _leaks(answer.body.decode() + str(answer.headers), "invalid")
        await _is_silent(front, "invalid")


async def test_a_breaker_leaves_an_origin_alone_that_is_down(tmp_path: Path) -> None:
    calls = 0

    async def failing(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return await _busy(request)

    async with origin(failing) as server:
        rest = {"tries": 1, "breaker_failures": 5, "breaker_seconds": 600}
        settings = upstream(str(server.make_url("/dicom-web")), cache=False, origin=rest) + table("log", level="info")
        async with fronted(tmp_path, settings, ready="/healthz") as front:
            answers = [await front.get(f"/studies?PatientID={number}", JSON) for number in range(30)]
            assert {answer.status for answer in answers} == {503}
            assert "left alone" in answers[-1].json["detail"]
            assert int(answers[-1].headers["Retry-After"]) > 7
            assert calls == 5
