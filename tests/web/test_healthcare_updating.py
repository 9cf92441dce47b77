"""updateMetadata over the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.backends.made import dicom, study
from tests.web.gate import MULTIPART, Answer, Gate, multipart, opened, settings

DATASET = "/v1beta1/projects/p/locations/l/datasets/d"
WEB = DATASET + "/dicomStores/s/dicomWeb"
STUDY = WEB + "/studies/1.1"
SERIES = STUDY + "/series/1.1.1"
INSTANCE = SERIES + "/instances/1.1.1.1"
AS_STORED = "application/dicom; transfer-syntax=*"


class Updated(Gate):
    async def api(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        return await self.ask(method, path, {name.replace("_", "-"): value for name, value in headers.items()}, body, base="")

    async def patch(self, path: str, *steps: dict[str, Any], **headers: str) -> Answer:
        return await self.api("PATCH", path + "/metadata", json.dumps(steps).encode(), Content_Type="application/json", **headers)

    async def names(self) -> list[str]:
        """Of each instance: a search tells of a study what one of its instances says."""
        found = (await self.api("GET", STUDY + "/metadata")).json
        return [one["00100010"]["Value"][0]["Alphabetic"] for one in found]

    async def ended(self, answer: Answer) -> dict[str, Any]:
        assert answer.status == 200, answer.body
        found: dict[str, Any] = {}
        async with asyncio.timeout(20):
            while not found.get("done"):
                found = (await self.api("GET", f"/v1beta1/{answer.json['name']}")).json
        return found


@pytest.fixture(params=["memory", "local"])
async def gate(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Updated]:
    """:param request: names the default store's kind; the one that is made by API lies on disk."""
    async with opened(settings(tmp_path, request.param)) as plain:
        made = Updated(plain.app, plain.connections, plain.port)
        await made.api("POST", DATASET.rpartition("/")[0] + "?datasetId=d", b"")
        await made.api("POST", DATASET + "/dicomStores?dicomStoreId=s", b"")
        await made.api("POST", WEB + "/studies", multipart(*study("1.1", PatientName="Old")), Content_Type=MULTIPART)
        yield made


def name(text: str) -> dict[str, Any]:
    return {"op": "add", "path": "/00100010", "value": {"vr": "PN", "Value": [{"Alphabetic": text}]}}


def error(answer: Answer) -> tuple[int, str]:
    assert answer.headers["Content-Type"].startswith("application/json")
    return answer.status, answer.json["error"]["status"]


async def test_an_instance_changes_at_once(gate: Updated) -> None:
    before = (await gate.api("GET", INSTANCE, Accept=AS_STORED)).body
    first = await gate.api("GET", STUDY + "/metadata")
    answer = await gate.patch(INSTANCE, name("New"))
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/dicom+xml") and INSTANCE.encode() in answer.body
    after = (await gate.api("GET", INSTANCE, Accept=AS_STORED)).body
    assert after == before.replace(b"PN\x04\0Old ", b"PN\x04\0New ")
    assert sorted(await gate.names()) == ["New", "Old", "Old", "Old"]
    second = await gate.api("GET", STUDY + "/metadata", If_None_Match=first.headers["ETag"])
    assert second.status == 200 and b"New" in second.body
    accepted = await gate.patch(INSTANCE, name("Newer"), Accept="application/dicom+json")
    assert accepted.json["00081199"]["Value"][0]["00081155"]["Value"] == ["1.1.1.1"]


async def test_a_study_and_a_series_change_in_operations(gate: Updated) -> None:
    ended = await gate.ended(await gate.patch(STUDY, name("Study")))
    assert ended["metadata"]["apiMethodName"] == "google.cloud.healthcare.v1beta1.dicomweb.DicomService.UpdateStudyMetadata"
    assert ended["metadata"]["counter"] == {"success": "4"} and ended["response"]["@type"].endswith("Empty")
    assert await gate.names() == ["Study"] * 4
    ended = await gate.ended(await gate.patch(SERIES, name("Series")))
    assert ended["metadata"]["apiMethodName"].endswith("UpdateSeriesMetadata")
    assert sorted(await gate.names()) == ["Series", "Series", "Study", "Study"]


async def test_an_operation_tells_what_failed(gate: Updated) -> None:
    ended = await gate.ended(await gate.patch(STUDY, {"op": "test", "path": "/00200013/Value/0", "value": 1}, name("New")))
    assert ended["metadata"]["counter"] == {"success": "2", "failure": "2"}
    assert ended["error"]["message"] == "2 of 4 instances could not be changed: operation 1: /00200013 is not what the test says"
    assert sorted(await gate.names()) == ["New", "New", "Old", "Old"]


async def test_what_cannot_be_done_says_why(gate: Updated) -> None:
    assert error(await gate.api("PATCH", STUDY + "/metadata", b"{")) == (400, "INVALID_ARGUMENT")
    for path in (STUDY, SERIES, INSTANCE):
        assert error(await gate.patch(path)) == (400, "INVALID_ARGUMENT")
        assert error(await gate.patch(path, {"op": "remove", "path": "/0020000D"})) == (400, "INVALID_ARGUMENT")
    for path in ("/studies/9.9", "/studies/1.1/series/9.9", "/studies/1.1/series/1.1.1/instances/9.9"):
        assert error(await gate.patch(WEB + path, name("x"))) == (404, "NOT_FOUND")
    assert error(await gate.patch(WEB + "/studies/x", name("x"))) == (400, "INVALID_ARGUMENT")
    assert error(await gate.patch(STUDY.replace("/v1beta1/", "/v1/"), name("x"))) == (501, "UNIMPLEMENTED")
    failed = await gate.patch(INSTANCE, {"op": "remove", "path": "/00104000"}, Accept="application/dicom+json")
    (item,) = failed.json["00081198"]["Value"]
    assert (failed.status, item["00081155"]["Value"]) == (409, ["1.1.1.1"]) and "operation 1" in item["00991000"]["Value"][0]
    assert await gate.names() == ["Old"] * 4


async def test_bodies_are_bounded(gate: Updated) -> None:
    assert (await gate.patch(INSTANCE, name("x" * 100_000))).status == 413


async def test_stores_of_the_settings_change_as_well(gate: Updated) -> None:
    await gate.store(dicom())
    web = "/v1beta1/projects/local/locations/local/datasets/default/dicomStores/default/dicomWeb"
    assert (await gate.patch(web + INSTANCE.removeprefix(WEB), name("New"))).status == 200
    assert (await gate.get("/studies?PatientName=New")).json[0]["0020000D"]["Value"] == ["1.1"]
    assert (await gate.get("/studies/1.1/metadata")).json[0]["00100010"]["Value"] == [{"Alphabetic": "New"}]
