"""The status page over real sockets: who sees what, and that nobody waits for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.app import SERVICE
from gateway.backends.base import Health, Tally
from gateway.errors import Busy
from gateway.web import status
from gateway.web.middleware import IN_FLIGHT
from gateway.web.service import VERSION
from gateway.web.status import STATUS, Shown, Status
from tests.backends.made import dicom, study
from tests.web.conftest import Serve
from tests.web.gate import Gate


class Slow:
    """A store that counts how often it is asked, and answers when it may."""

    def __init__(self, *, healthy: bool = True) -> None:
        self.asked = 0
        self.counted = 0
        self.answers = asyncio.Event()
        self.healthy = healthy
        if healthy:
            self.answers.set()

    async def check(self) -> Health:
        self.asked += 1
        await self.answers.wait()
        return Health(ready=True)

    async def tally(self) -> Tally | None:
        self.counted += 1
        await self.answers.wait()
        return Tally(4321, 2, 3)

    async def aclose(self) -> None:
        self.answers.set()


async def see(gate: Gate, token: str | None = None) -> str:
    answer = await gate.ask("GET", "/", {} if token is None else {"Authorization": f"Bearer {token}"}, base="")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    return answer.body.decode()


async def test_stores_and_what_they_hold(gate: Gate) -> None:
    await gate.store(*study("1.1", series=2, instances=3))
    text = await see(gate)
    kind = "in memory" if "in memory" in text else "files and an index on disk"
    assert kind in text
    assert "/dicom-web" in text
    assert "<td class=n>1<td class=n>2<td class=n>6" in text


async def test_every_store_is_there_with_its_kind(serve: Serve) -> None:
    stores: dict[str, Any] = {
        "pacs": {"backend": "upstream", "url": "http://127.0.0.1:9", "profile": "orthanc", "cache": False},
        "both": {"backend": "federation", "members": ["default", "pacs"]},
    }
    text = await see(await serve(backend="memory", stores=stores))
    for words in ("in front of an origin (orthanc)", "default, pacs as one", "/stores/both/dicom-web", "not ready"):
        assert words in text
    assert "127.0.0.1:9" not in text  # where an origin is, is nobody's business


async def test_no_patient_is_on_the_page(gate: Gate) -> None:
    await gate.store(dicom(PatientName="Canary^Zelda", PatientID="CANARY77", StudyDescription="Canary"))
    await gate.get("/studies?PatientName=Canary*", "application/dicom+json")
    text = (await see(gate)).lower()
    assert "canary" not in text
    assert "1.1.1" not in text.replace(VERSION, "")


async def test_the_page_runs_and_loads_nothing(plain: Gate) -> None:
    answer = await plain.ask("GET", "/", base="")
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'sha256-")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "<script" not in answer.body.decode()
    assert "Authorization" in answer.headers["Vary"]
    icon = await plain.ask("GET", "/favicon.ico", base="")
    assert (icon.status, icon.headers["Content-Type"]) == (200, "image/svg+xml")


async def test_the_page_is_compressed(plain: Gate) -> None:
    answer = await plain.ask("GET", "/", {"Accept-Encoding": "gzip"}, base="")
    assert answer.headers["Content-Encoding"] == "gzip"


async def test_who_shows_no_token_sees_generic_facts_alone(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("sesame\n")
    gate = await serve(backend="memory", stores={"hidden": {"backend": "memory"}}, server={"token_file": tmp_path / "tokens"})
    for text in (await see(gate), await see(gate, "wrong")):
        assert "hidden" not in text
        assert VERSION not in text.partition("</style>")[2]
        assert "ready" in text
    assert "hidden" in await see(gate, "sesame")
    assert (await gate.get("/metrics", base="")).status == 401


async def test_a_gateway_that_goes_says_so(plain: Gate) -> None:
    plain.app[IN_FLIGHT].draining = True
    assert "draining" in await see(plain)


async def test_figures_come_with_the_second_look(plain: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "EVERY", 0.0)
    assert "figures come with the next look" in await see(plain)
    for _ in range(3):
        await plain.get("/studies", "application/dicom+json")
    text = await see(plain)
    assert "Search (QIDO-RS)<td class=n>" in text


async def test_many_who_watch_are_one_look(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, store = await serve(backend="memory"), Slow(healthy=False)
    monkeypatch.setitem(gate.app[SERVICE].catalog._stores, "default", store)
    watching = [asyncio.create_task(see(gate)) for _ in range(5)]
    while not store.asked:
        await asyncio.sleep(0.01)
    store.answers.set()
    assert len({*await asyncio.gather(*watching)}) == 1
    await see(gate)
    assert store.asked == store.counted == 1


async def test_a_store_that_does_not_answer_keeps_nobody_waiting(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "PATIENCE", 0.05)
    gate, store = await serve(backend="memory"), Slow(healthy=False)
    monkeypatch.setitem(gate.app[SERVICE].catalog._stores, "default", store)
    assert "it does not say how it is" in await see(gate)
    store.answers.set()


async def test_a_look_that_failed_is_made_again(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, store = await serve(backend="memory"), Slow()
    monkeypatch.setattr(status, "EVERY", 0.0)
    monkeypatch.setitem(gate.app[SERVICE].catalog._stores, "default", store)

    async def busy() -> Tally | None:
        raise Busy("too much to do")

    monkeypatch.setattr(store, "tally", busy)
    assert "4,321" not in await see(gate)
    monkeypatch.undo()
    monkeypatch.setattr(status, "EVERY", 0.0)
    monkeypatch.setitem(gate.app[SERVICE].catalog._stores, "default", store)
    assert "4,321" in await see(gate)


async def test_what_took_long_to_count_is_counted_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "EVERY", 0.0)
    clock = [100.0]
    monkeypatch.setattr(status, "now", lambda: clock[0])
    store, page = Slow(), Status([Shown("default", "-", "dicom-web")])

    async def tally() -> Tally | None:
        store.counted += 1
        clock[0] += 0.2
        return Tally(store.counted, 0, 0)

    monkeypatch.setattr(store, "tally", tally)
    seen = []
    for _ in range(4):
        facts = await page.facts({"default": store})  # type: ignore[dict-item]  # as much of a store as is looked at
        seen.append(facts.stores[0].tally)
        clock[0] += 4.0
    assert [one.studies for one in seen if one] == [1, 1, 1, 2]  # 0.2 s at 2 % of the time


async def test_a_watcher_who_leaves_does_not_spoil_it_for_others(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, store = await serve(backend="memory"), Slow(healthy=False)
    monkeypatch.setitem(gate.app[SERVICE].catalog._stores, "default", store)
    page = gate.app[STATUS]
    first = asyncio.create_task(page.facts(dict(gate.app[SERVICE].catalog)))
    while not store.asked:
        await asyncio.sleep(0.01)
    first.cancel()
    second = asyncio.create_task(page.facts(dict(gate.app[SERVICE].catalog)))
    store.answers.set()
    assert (await second).ready
    assert store.asked == 1
