"""The composition root: settings become stores, limits and an application; and what the whole of it does with odd HTTP."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from struct import pack
from typing import Any

import orjson
import pytest
from aiohttp import web
from prometheus_client import REGISTRY
from pydicom.dataset import Dataset

from gateway.app import SERVICE, build, intake_limits
from gateway.backends.local.store import LocalStore
from gateway.backends.memory import MemoryBackend
from gateway.backends.pictured.pictured import Pictured
from gateway.dicomweb.multipart import MultipartLimits
from gateway.errors import StoreUnavailable
from gateway.sections.limits import Limits
from gateway.streams import IntakeLimits
from gateway.web.service import SearchLimits
from tests.backends.made import dicom
from tests.web.conftest import Lines, Serve, blocked, lines, serve
from tests.web.gate import BASE, INSTANCE, MULTIPART, STORED, Gate, multipart, request, settings

__all__ = ["blocked", "lines", "serve"]  # fixtures

IMPLICIT = "1.2.840.10008.1.2"


async def close(made: web.Application) -> None:
    """Closes an application as a server does."""
    runner = web.AppRunner(made)
    await runner.setup()
    await runner.cleanup()


# -- stores


async def test_stores_are_made_as_the_settings_say(tmp_path: Path) -> None:
    made = await build(settings(tmp_path, stores={"second": {"root": tmp_path / "elsewhere"}, "third": {"backend": "memory"}}))
    catalog = made[SERVICE].catalog
    assert [(name, type(backend), type(vars(backend)["_inner"])) for name, backend in catalog] == [
        ("default", Pictured, LocalStore),
        ("second", Pictured, LocalStore),
        ("third", Pictured, MemoryBackend),
    ]
    assert (tmp_path / "default" / "store.json").exists()
    assert (tmp_path / "elsewhere" / "store.json").exists()
    assert len(list((tmp_path / "default" / "incoming").iterdir())) == 1
    await close(made)
    assert list((tmp_path / "default" / "incoming").iterdir()) == []


async def test_a_folder_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "default").mkdir()
    (tmp_path / "default" / "store.json").write_bytes(orjson.dumps({"layout": 999}))
    with pytest.raises(StoreUnavailable, match="layout 999"):
        await build(settings(tmp_path))


async def test_what_a_store_holds_outlives_the_process(serve: Serve, tmp_path: Path) -> None:
    first = await build(settings(tmp_path))
    await close(first)
    gate = await serve()
    await gate.store(dicom())
    second = await serve()
    assert (await second.get(INSTANCE, STORED)).body == dicom()


@pytest.mark.parametrize(("choice", "given"), [("explicit", "1.2.840.10008.1.2.1"), ("stored", IMPLICIT)])
@pytest.mark.parametrize("backend", ["memory", "local"])
async def test_the_syntax_for_who_names_none(serve: Serve, backend: str, choice: str, given: str) -> None:
    gate = await serve(backend=backend, store={"default_transfer_syntax": choice})
    await gate.store(dicom(syntax=IMPLICIT))
    assert b"UI" + pack("<H", len(given) + len(given) % 2) + given.encode() in (await gate.get(INSTANCE, "application/dicom")).body


@pytest.mark.parametrize(("durability", "synced"), [("full", True), ("relaxed", False)])
async def test_durability_is_a_setting(serve: Serve, durability: str, synced: bool) -> None:
    def syncs() -> float:
        return REGISTRY.get_sample_value("gateway_fsync_seconds_count", {"what": "blob"}) or 0

    gate = await serve(store={"durability": durability})
    before = syncs()
    await gate.store(dicom())
    assert (syncs() > before) is synced


# -- limits


def test_each_limit_reaches_its_room() -> None:
    limits = Limits(preamble_bytes=1, part_headers=2, part_header_bytes=65, parts=4, instance_bytes=5, header_bytes=1025)
    assert intake_limits(limits) == IntakeLimits(MultipartLimits(1, 2, 65, 4), 5, 1025)


async def test_search_limits_and_the_rest_reach_the_service(tmp_path: Path) -> None:
    limits = {"results_default": 1, "results_max": 2, "instances_default": 3, "instances_max": 4, "offset_max": 5, "stow_in_flight": 6}
    made = await build(settings(tmp_path, backend="memory", limits=limits, server={"public_url": "https://x.example/"}))
    service = made[SERVICE]
    assert service.search_limits == SearchLimits(1, 2, 3, 4, 5)
    assert (service.stow_in_flight, service.public_url) == (6, "https://x.example")
    await close(made)


def nested(depth: int) -> Dataset:
    inner = Dataset()
    inner.PatientID = "x"
    for _ in range(depth):
        outer = Dataset()
        outer.RequestAttributesSequence = [inner]
        inner = outer
    return inner


@pytest.mark.parametrize(
    ("limits", "attributes", "syntax"),
    [
        ({"elements": 10}, {}, None),
        ({"items": 5}, {"RequestAttributesSequence": [Dataset() for _ in range(6)]}, None),
        ({"depth": 3}, {"RequestAttributesSequence": [nested(5)]}, None),
        ({"inflated_bytes": 2048}, {"PixelData": bytes(4096)}, "1.2.840.10008.1.2.1.99"),
        ({"header_bytes": 1024}, {"PatientComments": "x" * 2000}, None),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) and value else "",
)
@pytest.mark.parametrize("backend", ["memory", "local"])
async def test_limits_of_structure_name_their_setting(
    serve: Serve, backend: str, limits: dict[str, int], attributes: dict[str, Any], syntax: str | None
) -> None:
    gate = await serve(backend=backend, limits=limits)
    answer = await gate.post(multipart(dicom(syntax=syntax or "1.2.840.10008.1.2.1", **attributes)))
    assert answer.status == 409
    assert f"limits.{next(iter(limits))}" in answer.headers["Warning"]
    assert (await gate.get("/studies")).status == 204


# -- tokens


async def test_a_token_file_that_is_gone_lets_nobody_in(serve: Serve, lines: Lines, tmp_path: Path) -> None:
    lines.expected = {"the token file cannot be read"}
    tokens = tmp_path / "tokens"
    tokens.write_text("sesame")
    gate = await serve(backend="memory", server={"token_file": tokens})
    headers = {"Authorization": "Bearer sesame"}
    assert (await gate.ask("GET", "/studies", headers)).status == 204
    tokens.unlink()
    answer = await gate.ask("GET", "/studies", headers)
    assert answer.status == 503 and "server.token_file" in answer.detail and str(tmp_path) not in answer.detail
    assert (await gate.get("/healthz", base="")).status == 200
    tokens.write_text("sesame")
    os.utime(tokens, (1, 1))
    assert (await gate.ask("GET", "/studies", headers)).status == 204


# -- HTTP that is none

SMUGGLED = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
POST = f"POST {BASE}/studies HTTP/1.1\r\n".encode()
CHUNKED = b"Transfer-Encoding: chunked\r\n"

ODD = {
    "length and chunked": POST + b"Host: a\r\nContent-Length: 6\r\n" + CHUNKED + b"\r\n0\r\n\r\nX",
    "two lengths": POST + b"Host: a\r\nContent-Length: 0\r\nContent-Length: 33\r\n\r\n",
    "a list of lengths": POST + b"Host: a\r\nContent-Length: 0, 33\r\n\r\n",
    "a signed length": POST + b"Host: a\r\nContent-Length: +0\r\n\r\n",
    "an unknown coding": POST + b"Host: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked not last": POST + b"Host: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Host: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": POST + b"Host: a\r\nContent-Length : 0\r\n\r\n",
    "a folded header": POST + b"Host: a\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
    "bare line feeds": (POST + b"Host: a\r\nContent-Length: 0\r\n\r\n").replace(b"\r\n", b"\n"),
    "two hosts": b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "a NUL in a header": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "a header without end": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 10_000 + b"\r\n\r\n",
    "too many headers": b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"".join(b"X%d: y\r\n" % number for number in range(500)) + b"\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 TLS\r\n\r\n",
}


async def all_bytes(gate: Gate, asked: bytes) -> bytes:
    """What comes until the connection ends, however it does."""
    reader, writer = await gate.connect()
    writer.write(asked)
    collected = b""
    try:
        while piece := await reader.read(1 << 16):
            collected += piece
    except ConnectionError:
        pass
    writer.close()
    return collected


@pytest.mark.parametrize("kind", ODD)
async def test_nothing_is_smuggled_behind_odd_http(serve: Serve, lines: Lines, kind: str) -> None:
    gate = await serve(backend="memory")
    answers = await all_bytes(gate, ODD[kind] + SMUGGLED)
    long = kind in ("a header without end", "too many headers")
    assert answers.split()[1] == (b"431" if long else b"400")
    assert answers.count(b"\r\nServer: dicomweb-gateway\r\n") == 1
    assert answers.endswith(b"more than 8190 bytes\n" if long else b"the request is not HTTP/1.1 (RFC 9112)\n")
    assert {line["event"] for line in lines} == ({"request could not be parsed"} if kind != "another protocol" else set())


async def test_a_chunk_that_is_none_ends_in_an_error(serve: Serve) -> None:
    gate = await serve(backend="memory", server={"stall_timeout": 0.2})
    reader, writer = await gate.connect()
    writer.write(request("POST", BASE + "/studies", {"Content-Type": MULTIPART, "Transfer-Encoding": "chunked"}, b"5\r\n--her\r\n"))
    await asyncio.sleep(0.01)
    writer.write(b"zz\r\n" + SMUGGLED)
    assert (await reader.readline()).split()[1] in (b"400", b"408")
    writer.close()
    assert (await gate.get("/studies")).status == 204
