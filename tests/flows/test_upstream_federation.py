"""Two origins as one store, in a real gateway: while one is dead there are results, and a Warning that some may be missing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.backends.made import dicom
from tests.flows.fronts import JSON, STORED, Front, fronted, table, upstream
from tests.origins.faults import Faults, faulty
from tests.origins.google import Google, google

HURRIED = {"tries": 1, "connect_timeout": 2, "first_byte_timeout": 1, "breaker_failures": 1000}


@asynccontextmanager
async def two(folder: Path, **more: Any) -> AsyncIterator[tuple[Front, tuple[Google, Google], Faults]]:
    """A federation of two fake Googles; the second one is behind a proxy that can fail."""
    async with google() as first, google() as second:
        root, path = second.url.partition("/v1/")[::2]
        async with faulty(int(root.rpartition(":")[2]), f"/v1/{path}") as proxy:
            settings = (
                table("stores.default", backend="federation", members=["near", "far"])
                + upstream(first.url, "near", profile="google", origin=HURRIED, **more)
                + upstream(proxy.base, "far", profile="google", origin=HURRIED, **more)
            )
            async with fronted(folder, settings) as front:
                yield front, (first, second), proxy.faults


async def _fill(front: Front) -> None:
    """1.1 and 1.3 in the first one, 1.2 and 1.3 in the second one."""
    for store, number in (("near", 1), ("far", 2), ("near", 3), ("far", 3)):
        file = dicom(f"1.{number}", f"1.{number}.1", f"1.{number}.1.{len(store)}", PatientID=f"P{number}")
        path = f"/stores/{store}/dicom-web/studies"
        assert (await front.ask("POST", path, JSON, body=file, root=True, Content_Type="application/dicom")).status == 200


FAULTS: dict[str, dict[str, Any]] = {
    "hangs": {"black_hole": True},
    "is gone": {"reset_after": 0},
    "is busy": {"status": 503},
    "breaks off": {"end_after": 20},
}


@pytest.mark.parametrize("how", FAULTS)
async def test_a_dead_member_costs_a_warning(tmp_path: Path, how: str) -> None:
    async with two(tmp_path, cache=False) as (front, _, faults):
        await _fill(front)
        both = await front.get("/studies", JSON)
        assert sorted(both.values("0020000D")) == ["1.1", "1.2", "1.3"]
        assert "Warning" not in both.headers
        faults.__dict__.update(FAULTS[how])
        for level, uid in (("/studies", "0020000D"), ("/series", "0020000E"), ("/instances", "00080018")):
            found = await front.get(level, JSON)
            assert found.status == 200
            assert {value[:3] for value in found.values(uid)} == {"1.1", "1.3"}
            assert found.headers["Warning"] == "299 dicomweb-gateway: The store far did not answer; what only it has is missing"
        read = await front.get("/studies/1.1/series/1.1.1/instances/1.1.1.4", STORED)
        assert read.status == 200 and "far did not answer" in read.headers["Warning"]
        missing = await front.get("/studies/1.2/metadata", JSON)  # not "not found", which nobody can know
        assert missing.status in (502, 503, 504)
        assert (await front.ask("DELETE", "/studies/1.1")).status in (502, 503, 504)
        ready = await front.get("/readyz", root=True)
        assert ready.json["stores"]["default"]["ready"] is True
        faults.heal()
        healed = await front.get("/studies", JSON)
        assert sorted(healed.values("0020000D")) == ["1.1", "1.2", "1.3"] and "Warning" not in healed.headers


async def test_stores_go_to_the_first_and_deletes_where_it_is(tmp_path: Path) -> None:
    async with two(tmp_path) as (front, (first, second), _):
        await _fill(front)
        assert (await front.store(dicom("1.4", "1.4.1", "1.4.1.1"))).status == 200
        assert "1.4.1.1" in first.instances and "1.4.1.1" not in second.instances
        assert (await front.ask("DELETE", "/studies/1.2")).status in (200, 204)
        assert (await front.ask("DELETE", "/studies/1.3")).status in (200, 204)
        assert sorted((await front.get("/studies", JSON)).values("0020000D")) == ["1.1", "1.4"]
        assert {one.uids[0] for one in (*first.instances.values(), *second.instances.values())} == {"1.1", "1.4"}


async def test_when_all_are_dead_there_is_nothing_to_say(tmp_path: Path) -> None:
    settings = table("stores.default", backend="federation", members=["near", "far"])
    settings += "".join(upstream("http://127.0.0.1:9/dicom-web", name, cache=False, origin=HURRIED) for name in ("near", "far"))
    async with fronted(tmp_path, settings, ready="/healthz") as front:
        assert (await front.get("/readyz", root=True)).status == 503
        for path in ("/studies", "/studies/1.1/metadata"):
            answer = await front.get(path, JSON)
            assert answer.status == 502 and "cannot be reached" in answer.json["detail"]
        assert (await front.store(dicom())).status == 502
