"""kill -9 during operations: after the restart each of them ends truthfully, and what it was for is done once."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from gateway.backends.local.repair import fsck
from tests.backends.made import dicom
from tests.running import Gateway
from tests.web.gate import MULTIPART, multipart

DATASET = "projects/p/locations/l/datasets/d"
WEB = f"/v1beta1/{DATASET}/dicomStores/s/dicomWeb"
INSTANCES = 60
PATIENCE = 60.0
"""Seconds until a test is sure that an operation does not end."""


def ask(gateway: Gateway, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def told(gateway: Gateway, method: str, path: str, body: bytes | None = None, **headers: str) -> Any:
    status, answer = ask(gateway, method, path, body, **headers)
    assert status == 200, answer
    return json.loads(answer)


def stow(gateway: Gateway, study: str) -> None:
    files = [dicom(study, f"{study}.1", f"{study}.1.{number}", StudyDescription="s") for number in range(1, INSTANCES + 1)]
    assert ask(gateway, "POST", WEB + "/studies", multipart(*files), Content_Type=MULTIPART)[0] == 200


def ended(gateway: Gateway, name: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := told(gateway, "GET", f"/v1beta1/{name}")).get("done"):
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path, "--workers", "1")
    made.start()
    told(made, "POST", f"/v1beta1/{DATASET.rpartition('/')[0]}?datasetId=d", b"")
    told(made, "POST", f"/v1beta1/{DATASET}/dicomStores?dicomStoreId=s", b"")
    yield made
    made.stop()


def test_a_deletion_that_was_answered_is_done(gateway: Gateway) -> None:
    """Killed at once, or after a moment: what was asked for is done, and a study beside it is whole."""
    stow(gateway, "1.9")
    for number, moment in enumerate((0.0, 0.02), 1):
        stow(gateway, f"1.{number}")
        begun = told(gateway, "DELETE", f"{WEB}/studies/1.{number}")["name"]
        time.sleep(moment)
        gateway.kill()
        gateway.start()
        found = ended(gateway, begun)
        assert "error" not in found and int(found["metadata"]["counter"]["success"]) in (1, INSTANCES)
        assert ask(gateway, "GET", f"{WEB}/studies/1.{number}/metadata")[0] == 404
        stow(gateway, f"1.{number}")  # nothing is closed for ever
        assert len(told(gateway, "GET", f"{WEB}/studies/1.{number}/instances?limit=1000")) == INSTANCES
    assert len(told(gateway, "GET", f"{WEB}/studies/1.9/instances?limit=1000")) == INSTANCES


def test_a_change_of_a_study_is_made_once_to_each_instance(gateway: Gateway) -> None:
    stow(gateway, "1.1")
    patch = json.dumps([{"op": "add", "path": "/00081030/Value/0", "value": "x"}]).encode()
    name = told(gateway, "PATCH", f"{WEB}/studies/1.1/metadata", patch)["name"]
    while int((found := told(gateway, "GET", f"/v1beta1/{name}"))["metadata"]["counter"].get("success", 0)) < INSTANCES // 4:
        assert not found.get("done")
    gateway.kill()
    gateway.start()
    found = ended(gateway, name)
    assert "error" not in found and found["metadata"]["counter"] == {"success": str(INSTANCES)}
    documents = told(gateway, "GET", f"{WEB}/studies/1.1/metadata")
    assert [one["00081030"]["Value"] for one in documents] == [["x", "s"]] * INSTANCES
    gateway.stop()
    for folder in (gateway.folder / "data" / "_healthcare" / "stores").iterdir():
        assert not fsck(folder).problems
