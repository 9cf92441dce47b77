"""However heavy a request is, the event loop goes on serving others.

What is measured is not time but work: the CPU seconds that this process spent between two turns of the loop. A busy machine
makes turns late, and adds nothing to that. Clients live in a thread, for their own work counts too.
"""

from __future__ import annotations

import asyncio
import gc
import http.client
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from struct import pack

import pytest

from gateway import serving
from tests.backends.made import dicom, study
from tests.dicom.handmade import UNDEFINED, el, plain
from tests.web.conftest import Serve
from tests.web.gate import BASE, INSTANCE, MULTIPART, Gate, multipart

BOUND = 0.25
"""CPU seconds between two turns. On a quiet machine none of these takes a fifth of it; what runs on the loop by mistake takes
seconds."""

TURN = 0.002

SINGLE = "application/dicom"
FRAMES = "multipart/related; type=application/octet-stream; transfer-syntax=*"
RLE = "1.2.840.10008.1.2.5"
PIXELS = pack("<HH2sH", 0x7FE0, 0x0010, b"OW", 0)


def with_elements(extra: bytes) -> bytes:
    """An instance with more before its pixel data."""
    whole = dicom()
    at = whole.index(PIXELS)
    return whole[:at] + extra + whole[at:]


def bomb() -> bytes:
    return with_elements(el(0x30060010, "SQ", plain(0xFFFEE000, b"") * 300_000))


def most_items() -> bytes:
    return with_elements(el(0x30060010, "SQ", plain(0xFFFEE000, b"") * 49_000))


def dense() -> bytes:
    return with_elements(b"".join(el(0x30090010 + number, "LT", b"x" * 260) for number in range(60_000)))


def numbers() -> bytes:
    return with_elements(b"".join(el(0x30090010 + number, "US", b"xx" * 500) for number in range(8_000)))


def many_frames() -> bytes:
    """40,000 frames of a compressed picture, one fragment each."""
    whole = dicom(NumberOfFrames="40000", Rows=1, Columns=4).replace(b"1.2.840.10008.1.2.1\0", RLE.encode() + b"\0")
    fragments = b"".join(plain(0xFFFEE000, pack("<L", number) * 4) for number in range(40_000))
    pixels = el(0x7FE00010, "OB", plain(0xFFFEE000, b"") + fragments + plain(0xFFFEE0DD, b""), length=UNDEFINED)
    return whole[: whole.index(PIXELS)] + pixels


@pytest.fixture(autouse=True)
def _as_in_a_worker() -> Iterator[None]:
    """The collector does not look at what the test run holds, as it does not at what a worker made at its start."""
    thresholds = gc.get_threshold()
    serving._settle_memory()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@asynccontextmanager
async def turning() -> AsyncIterator[None]:
    """Fails when the process worked too long between two turns of the loop."""
    longest = 0.0

    async def turn() -> None:
        nonlocal longest
        while True:
            start = time.process_time()
            await asyncio.sleep(TURN)
            longest = max(longest, time.process_time() - start)

    task = asyncio.create_task(turn())
    await asyncio.sleep(0)
    yield
    await asyncio.sleep(TURN)
    task.cancel()
    assert longest < BOUND


async def ask(gate: Gate, method: str, path: str, media: str = "*/*", body: bytes | None = None) -> tuple[int, int]:
    """Status and length of an answer."""

    def asked() -> tuple[int, int]:
        connection = http.client.HTTPConnection("127.0.0.1", gate.port)
        headers = {"Accept": media} if body is None else {"Content-Type": media}
        connection.request(method, BASE + path, body, headers)
        response = connection.getresponse()
        length = 0
        while piece := response.read(1 << 20):
            length += len(piece)
        connection.close()
        return response.status, length

    return await asyncio.to_thread(asked)


async def test_a_bomb_of_items(serve: Serve) -> None:
    gate = await serve()
    body = bomb()
    async with turning():
        assert (await ask(gate, "POST", "/studies", SINGLE, body))[0] == 409


@pytest.mark.parametrize("make", [most_items, dense, numbers], ids=lambda make: make.__name__)
async def test_a_long_header_is_stored_and_shown(serve: Serve, make: object) -> None:
    assert callable(make)
    gate = await serve()
    body = make()
    async with turning():
        assert (await ask(gate, "POST", "/studies", SINGLE, body))[0] == 200
        for _ in range(2):  # computed, then kept
            status, length = await ask(gate, "GET", INSTANCE + "/metadata", "application/json")
            assert (status, length > 100_000) == (200, True)
        assert (await ask(gate, "GET", "/studies"))[0] == 200


async def test_many_frames_are_stored_and_found(serve: Serve) -> None:
    gate = await serve()
    body = many_frames()
    async with turning():
        assert (await ask(gate, "POST", "/studies", SINGLE, body))[0] == 200
        for listed in ("40000", ",".join(map(str, range(39_000, 40_000)))):
            assert (await ask(gate, "GET", f"{INSTANCE}/frames/{listed}", FRAMES))[0] == 200
        assert (await ask(gate, "GET", f"{INSTANCE}/frames/40001", FRAMES))[0] == 404


async def test_thousands_of_parts_that_are_none(serve: Serve) -> None:
    gate = await serve()
    tiny = b"--here\r\n\r\n\r\n" * 20_000 + b"--here--"
    preambles = (b"--here\r\n\r\n" + bytes(128) + b"DICM\r\n") * 5000 + b"--here--"
    strangers = multipart(*[dicom()] * 2000)
    async with turning():
        assert (await ask(gate, "POST", "/studies", MULTIPART, tiny))[0] == 409
        assert (await ask(gate, "POST", "/studies", MULTIPART, preambles))[0] == 409
        assert (await ask(gate, "POST", "/studies/9", MULTIPART, strangers))[0] == 409


async def test_a_thousand_instances(serve: Serve) -> None:
    gate = await serve(store={"durability": "relaxed"})
    body = multipart(*study("1.5", series=1, instances=1000))
    async with turning():
        assert (await ask(gate, "POST", "/studies", MULTIPART, body))[0] == 200
        for path in ("/studies/1.5", "/studies/1.5/metadata", "/studies/1.5/metadata", "/instances", "/studies"):
            assert (await ask(gate, "GET", path))[0] == 200
