"""Errors on purpose: where they come, how often, what they say, and that a client of Google's gets over them."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import httplib2
from aiohttp.test_utils import make_mocked_request
from googleapiclient.discovery import build

from gateway.web.mishaps import Mishaps
from gateway.web.repeats import REPEATS
from tests.backends.made import dicom
from tests.web.conftest import Serve

DATASETS = "/projects/p/locations/l/datasets"


def drawn(mishaps: Mishaps, count: int, path: str = "/v1/projects/p/locations") -> Counter[int | None]:
    answers = [mishaps.answer(make_mocked_request("GET", path)) for _ in range(count)]
    return Counter(None if answer is None else answer.status for answer in answers)


def test_they_come_as_often_as_the_settings_say_each_status_alike() -> None:
    numbers = iter([index / 100 for index in range(100)] * 2)
    assert drawn(Mishaps(0.2, (429, 503), chance=lambda: next(numbers)), 100) == {429: 10, 503: 10, None: 80}
    assert drawn(Mishaps(1, (500,), chance=lambda: next(numbers)), 100) == {500: 100}


def test_chance_is_fair() -> None:
    found = drawn(Mishaps(0.5, (429, 503)), 2000)
    assert 350 < found[429] < 650  # nine standard deviations
    assert 350 < found[503] < 650


def test_only_googles_routes_have_them() -> None:
    mishaps = Mishaps(1, (503,))
    for path in ("/dicom-web/studies", "/metrics", "/readyz", "/v1", "/v1x/projects"):
        assert drawn(mishaps, 1, path) == {None: 1}
    assert drawn(mishaps, 1, "/v1beta1/projects/p/locations") == {503: 1}


async def test_they_are_told_in_googles_envelope_and_counted(serve: Serve) -> None:
    gate = await serve(backend="memory", emulator={"error_rate": 1, "statuses": [429], "retry_after": 7})
    count = 'gateway_emulated_answers_total{status="429"}'
    before = (await gate.metrics()).get(count, 0)
    answer = await gate.ask("POST", DATASETS + "?datasetId=d", {"Content-Type": "application/json"}, b"{}", base="/v1")
    assert (answer.status, answer.headers["Retry-After"], answer.json["error"]["status"]) == (429, "7", "RESOURCE_EXHAUSTED")
    assert "emulator.error_rate" in answer.json["error"]["message"]
    assert (await gate.metrics())[count] == before + 1
    assert (await gate.store(dicom())).status == 200  # by another route
    assert gate.app[REPEATS].bound == 0  # what is given again without being read would meet none


async def test_there_is_no_retry_after_where_none_is_wanted(serve: Serve) -> None:
    gate = await serve(backend="memory", emulator={"error_rate": 1, "retry_after": 0})
    assert "Retry-After" not in (await gate.get("/projects/p/locations", base="/v1")).headers


async def test_strangers_are_turned_away_first(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("sesame")
    gate = await serve(backend="memory", emulator={"error_rate": 1, "statuses": [503]}, server={"token_file": tmp_path / "tokens"})
    assert (await gate.get("/projects/p/locations", base="/v1")).status == 401
    assert (await gate.get("/projects/p/locations?access_token=sesame", base="/v1")).status == 503


async def test_a_client_that_tries_again_gets_its_answer(serve: Serve) -> None:
    """What one call did is done once, however often it was turned away before."""
    gate = await serve(backend="memory", emulator={"error_rate": 0.5, "retry_after": 0})

    def create() -> Any:
        options = {"api_endpoint": f"http://{gate.host}"}
        service = build("healthcare", "v1", static_discovery=True, http=httplib2.Http(timeout=30), client_options=options)
        datasets = service.projects().locations().datasets()
        for number in range(5):
            request = datasets.create(parent=DATASETS[1:].removesuffix("/datasets"), datasetId=f"d{number}", body={})
            request._sleep = lambda seconds: None
            request.execute(num_retries=40)
        request = datasets.list(parent=DATASETS[1:].removesuffix("/datasets"))
        request._sleep = lambda seconds: None
        return request.execute(num_retries=40)

    found = await asyncio.to_thread(create)
    assert [one["name"].rpartition("/")[2] for one in found["datasets"]] == [f"d{number}" for number in range(5)]
