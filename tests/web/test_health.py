"""What probes and collectors are told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.app import SERVICE
from gateway.backends.base import Health
from gateway.web import health
from gateway.web.middleware import IN_FLIGHT
from tests.web.conftest import Lines, Serve
from tests.web.gate import Gate


class Ill:
    """A store that cannot serve."""

    async def check(self) -> Health:
        return Health(ready=False, writable=False, detail="out of order")

    async def aclose(self) -> None:
        pass


async def test_a_gateway_that_is_well(gate: Gate) -> None:
    answer = await gate.get("/healthz", base="")
    assert (answer.status, answer.body) == (200, b"ok\n")
    answer = await gate.get("/readyz", base="")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json == {"ready": True, "draining": False, "stores": {"default": {"ready": True, "writable": True, "detail": ""}}}


async def test_a_gateway_that_goes_is_alive_and_not_ready(plain: Gate) -> None:
    plain.app[IN_FLIGHT].draining = True
    assert (await plain.get("/healthz", base="")).status == 200
    answer = await plain.get("/readyz", base="")
    assert (answer.status, answer.json["draining"], answer.json["ready"]) == (503, True, False)


async def test_one_store_that_cannot_serve(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = await serve(backend="memory", stores={"other": {"backend": "memory"}})
    monkeypatch.setitem(gate.app[SERVICE].catalog._stores, "other", Ill())
    assert (await gate.get("/healthz", base="")).status == 200
    answer = await gate.get("/readyz", base="")
    assert answer.status == 503
    assert answer.json["stores"]["other"] == {"ready": False, "writable": False, "detail": "out of order"}
    assert answer.json["stores"]["default"]["ready"]


async def test_strangers_are_told_whether_and_not_which(serve: Serve, lines: Lines, tmp_path: Path) -> None:
    lines.expected = {"the token file cannot be read"}
    tokens = tmp_path / "tokens"
    tokens.write_text("sesame\n")
    gate = await serve(backend="memory", stores={"hidden": {"backend": "memory"}}, server={"token_file": tokens})
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = await gate.ask("GET", "/readyz", headers, base="")
        assert (answer.status, answer.json) == (200, {"ready": True, "draining": False})
    known = {"Authorization": "Bearer sesame"}
    assert set((await gate.ask("GET", "/readyz", known, base="")).json["stores"]) == {"default", "hidden"}
    tokens.unlink()  # probes have to be answered all the same
    assert (await gate.ask("GET", "/readyz", known, base="")).json == {"ready": True, "draining": False}


async def test_a_full_disk_is_ready_for_readers(serve: Serve) -> None:
    gate = await serve(store={"min_free_bytes": 1 << 62})
    answer = await gate.get("/readyz", base="")
    assert answer.status == 200
    assert (answer.json["stores"]["default"]["ready"], answer.json["stores"]["default"]["writable"]) == (True, False)


async def test_the_version_is_told_to_who_asks(plain: Gate) -> None:
    answer = await plain.get("/version", base="")
    assert answer.json["name"] == "dicomweb-gateway"
    assert answer.json["version"][0].isdigit()
    assert answer.json["version"] not in str(answer.headers)


async def test_metrics_are_in_the_format_of_prometheus(plain: Gate) -> None:
    answer = await plain.get("/metrics", base="")
    assert (answer.status, answer.headers["Content-Type"]) == (200, CONTENT_TYPE_LATEST)
    assert b"# TYPE gateway_requests_total counter" in answer.body


def test_metrics_of_several_workers_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    code = "from gateway import metrics; metrics.REQUESTS.labels('search', '200').inc(3); metrics.IN_FLIGHT.labels('store').set(2)"
    workers = [subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ)) for _ in range(2)]
    assert [worker.wait() for worker in workers] == [0, 0]
    page = health._collect().decode()
    assert 'gateway_requests_total{status="200",transaction="search"} 6.0' in page
