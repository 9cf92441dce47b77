"""The floor of aiohttp."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from loadtests.bench import bare_server

DATA = bytes(range(256)) * 4096


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    (tmp_path / "a-0").write_bytes(DATA)
    (tmp_path.parent / "beside").write_bytes(b"not for everybody")
    runner = web.AppRunner(bare_server.application(tmp_path))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:
        yield session
    await runner.cleanup()


async def test_it_counts_what_it_sinks(bare: aiohttp.ClientSession) -> None:
    async with bare.post("/dicom-web/studies", data=DATA) as answer:
        assert (answer.status, await answer.read()) == (200, b"%d" % len(DATA))


@pytest.mark.parametrize("path", ["/document/a-0", "/file/a-0"])
async def test_it_gives_bytes_from_memory_and_from_files(bare: aiohttp.ClientSession, path: str) -> None:
    for _ in range(2):
        async with bare.get(path) as answer:
            assert (answer.status, await answer.read()) == (200, DATA)


async def test_a_document_is_read_once(bare: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with bare.get("/document/a-0") as answer:
        await answer.read()
    (tmp_path / "a-0").unlink()
    async with bare.get("/document/a-0") as answer:
        assert await answer.read() == DATA


@pytest.mark.parametrize("path", ["/document/b", "/file/b", "/file/..%2Fbeside", "/document/..%2Fbeside"])
async def test_it_gives_nothing_else(bare: aiohttp.ClientSession, path: str) -> None:
    async with bare.get(path) as answer:
        assert answer.status == 404
