"""The benchmark of what passes through: its origin, its client, its table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from gateway.dicom.header import Instance, peek
from loadtests import bare_proxy, null_origin
from loadtests.null_origin import instance
from loadtests.passthrough import BARE, BOUNDARY, DIRECT, GATEWAY, SEARCH, STUDY, Case, Client, Figures, cases, table

SIZE = 1 << 20


async def listening(app: web.Application) -> AsyncIterator[int]:
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture
async def origin() -> AsyncIterator[int]:
    async for port in listening(null_origin.application(SIZE)):
        yield port


@pytest.fixture
async def proxy(origin: int) -> AsyncIterator[int]:
    async for port in listening(bare_proxy.application(f"http://127.0.0.1:{origin}")):
        yield port


@pytest.mark.parametrize("case", cases(SIZE), ids=lambda case: str(case.name))
@pytest.mark.parametrize("through", [False, True])
async def test_every_case_moves_what_it_says(origin: int, proxy: int, case: Case, through: bool) -> None:
    def run() -> int:
        client = Client(proxy if through else origin)
        try:
            return case.run(client)
        finally:
            client.close()

    moved = await asyncio.to_thread(run)
    assert moved >= (len(instance(SIZE)) if case.requests == 1 else 100 * case.requests)


async def test_the_origin_names_what_was_sent_and_gives_a_whole_instance(origin: int) -> None:
    data = instance(SIZE)
    sent = peek(data[:4096], final=False)
    assert isinstance(sent, Instance)
    body = f"--{BOUNDARY}\r\n\r\n".encode() + data + f"\r\n--{BOUNDARY}--".encode()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{origin}") as session:
        async with session.post("/dicom-web/studies", data=body) as answer:
            named = (await answer.json(content_type=None))["00081199"]["Value"][0]
        async with session.get(STUDY) as answer:
            assert data in await answer.read()
        async with session.get(SEARCH) as answer:
            assert (await answer.json(content_type=None))[0]["00201208"]["Value"] == [1]
    assert named["00081155"]["Value"] == [sent.sop] and named["00081150"]["Value"] == [sent.sop_class]


async def test_an_answer_that_is_not_200_ends_the_benchmark(origin: int) -> None:
    def run() -> None:
        client = Client(origin)
        try:
            client.get("/nothing")
        finally:
            client.close()

    with pytest.raises(RuntimeError, match="not 200"):
        await asyncio.to_thread(run)


def test_the_table_says_how_the_gateway_compares() -> None:
    figures = {DIRECT: Figures([1.0], [0.5], 10**9), BARE: Figures([4.0], [0.5], 10**9), GATEWAY: Figures([2.0], [1.0], 10**9)}
    lines = table({"down": figures}).splitlines()
    assert [line.split()[-4:] for line in lines[1:]] == [
        ["0.50", "x", "as", "fast"],
        ["2.00", "x", "as", "fast"],
        ["1.00", "x", "as", "fast"],
    ]
