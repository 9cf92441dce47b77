"""Many who ask the same at the same time cost an origin one call a worker."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from functools import partial
from pathlib import Path

import pydicom
import pytest
from aiohttp import web

from tests.backends.made import dicom
from tests.flows.fronts import FRAME, INSTANCE, JSON, Front, before, until
from tests.origins.models import json_model

CALLERS = 500
FILE = dicom()


class Held:
    """An origin with one instance, whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.gate = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/dicom-web/studies" and request.query.get("limit") == "1":
            return web.Response(status=204)  # a look whether it is there
        self.calls[request.path.removeprefix("/dicom-web")] += 1
        await self.gate.wait()
        if request.path.endswith(("/studies", "/metadata")):
            return web.json_response([MODEL], content_type=JSON)
        return web.Response(body=FILE, content_type="application/dicom")


def _model() -> dict[str, object]:
    counts = {"00080061": {"vr": "CS", "Value": ["CT"]}, "00201206": {"vr": "IS", "Value": [1]}, "00201208": {"vr": "IS", "Value": [1]}}
    return dict(sorted((json_model(pydicom.dcmread(io.BytesIO(FILE)), None) | counts).items()))


MODEL = _model()


async def _all_wait(front: Front, transaction: str) -> bool:
    return await front.metric("gateway_in_flight_requests", f'transaction="{transaction}"') == CALLERS


@pytest.mark.parametrize("workers", [1, 2])
async def test_500_equal_questions_are_one_call_of_each_worker(tmp_path: Path, workers: int) -> None:
    origin = Held()
    questions = {
        "search": ("/studies?PatientID=P1", JSON, "/studies"),
        "metadata": (f"{INSTANCE}/metadata", JSON, f"{INSTANCE}/metadata"),
        "frames": (f"{INSTANCE}/frames/1", FRAME, INSTANCE),
    }
    async with before(tmp_path, origin.handle, workers=workers, overrides={"retrieves_single": True}) as front:
        for transaction, (path, accept, there) in questions.items():
            origin.gate.clear()
            asking = [asyncio.create_task(front.get(path, accept, fresh=True)) for _ in range(CALLERS)]
            await until(partial(_all_wait, front, transaction))
            origin.gate.set()
            answers = await asyncio.gather(*asking)
            assert {answer.status for answer in answers} == {200}
            assert len({answer.body for answer in answers}) == 1
            assert {answer.headers["X-Cache"] for answer in answers} == {"miss"}
            assert 1 <= origin.calls[there] <= workers
            again = [await front.get(path, accept, fresh=True) for _ in range(10)]
            assert "hit" in {answer.headers["X-Cache"] for answer in again}
            assert 1 <= origin.calls[there] <= workers  # a worker that got none of the 500 asks for itself
        assert await front.metric("gateway_cache_coalesced_answers_total") >= 3 * (CALLERS - workers)
