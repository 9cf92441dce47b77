"""Notifications of a gateway in processes of its own: what was acknowledged is told, whatever is killed."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.backends.made import dicom, study
from tests.backends.notifying.receivers import SECRET, TOPIC, Receivers, receiving
from tests.running import Gateway
from tests.web.gate import MULTIPART, multipart

BASE = "/v1/projects/p/locations/l/datasets"
LOCAL = "projects/local/locations/local/datasets/default/dicomStores/default"


def ask(method: str, url: str, body: bytes | None = None, media: str = "application/json") -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": media}, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        read = answer.read()
    return json.loads(read) if "json" in answer.headers.get("Content-Type", "") else read


async def asked(method: str, url: str, body: bytes | None = None, media: str = "application/json") -> Any:
    return await asyncio.to_thread(ask, method, url, body, media)


@pytest.fixture
async def receivers() -> AsyncIterator[Receivers]:
    async with receiving() as made:
        yield made


def gateway_of(tmp_path: Path, receivers: Receivers, workers: int) -> Gateway:
    (tmp_path / "secret").write_text(SECRET)
    config = tmp_path / "gateway.toml"
    config.write_text(f"""
[[stores.default.notify]]
webhook = "{receivers.hook}"
secret_file = "{tmp_path}/secret"
""")
    environment = {"PUBSUB_EMULATOR_HOST": receivers.host, "GATEWAY_CONFIG": str(config)}
    return Gateway(tmp_path, "--workers", str(workers), environment=environment)


@pytest.fixture
async def gateway(tmp_path: Path, receivers: Receivers) -> AsyncIterator[Gateway]:
    made = gateway_of(tmp_path, receivers, 2)
    await asyncio.to_thread(made.start)
    yield made
    await asyncio.to_thread(made.stop)


async def test_killed_right_after_its_answer_it_tells_after_its_next_start(gateway: Gateway, receivers: Receivers) -> None:
    receivers.down = True
    files = study("1.1", series=1, instances=8)
    await asyncio.gather(*(asked("POST", f"{gateway.url}/studies", multipart(one), MULTIPART) for one in files))
    await asked("DELETE", f"{gateway.url}/studies/1.1/series/1.1.1/instances/1.1.1.8")
    gateway.kill()
    assert receivers.taken == []
    receivers.down = False
    await asyncio.to_thread(gateway.start)
    await receivers.until(9)
    told = Counter((attributes["action"], attributes["sopInstanceUID"]) for _, attributes in receivers.taken)
    assert told == Counter([("DeleteInstance", "1.1.1.8"), *(("StoreInstances", f"1.1.1.{number}") for number in range(1, 9))])
    assert receivers.taken[-1][1]["action"] == "DeleteInstance"
    assert receivers.taken[-1][0] == f"{LOCAL}/dicomWeb/studies/1.1/series/1.1.1/instances/1.1.1.8"
    assert receivers.faults == [] and len(receivers.signatures) >= 9


async def test_killed_while_it_stores_it_tells_all_that_it_has(gateway: Gateway, receivers: Receivers) -> None:
    """At least once: whatever was acknowledged, and whatever was found after the crash without being acknowledged."""
    acknowledged: set[str] = set()

    async def keep_storing(number: int) -> None:
        for count in range(1, 1000):
            sop = f"1.{number}.1.{count}"
            try:
                await asked("POST", f"{gateway.url}/studies", multipart(dicom(f"1.{number}", f"1.{number}.1", sop)), MULTIPART)
            except (urllib.error.URLError, ConnectionError):
                return
            acknowledged.add(sop)

    storing = [asyncio.create_task(keep_storing(number)) for number in range(1, 5)]
    while len(acknowledged) < 20:
        await asyncio.sleep(0.005)
    gateway.kill()
    await asyncio.gather(*storing)
    await asyncio.to_thread(gateway.start)
    there = {one["00080018"]["Value"][0] for one in await asked("GET", f"{gateway.url}/instances?limit=5000")}
    assert acknowledged <= there
    async with asyncio.timeout(30):
        while not there <= set(receivers.instances):
            await asyncio.sleep(0.01)
    assert set(receivers.instances) == there


async def test_a_store_that_was_made_by_api_tells_its_topic(gateway: Gateway, receivers: Receivers) -> None:
    base = gateway.root + BASE
    await asked("POST", f"{base}?datasetId=d")
    config = {"notificationConfig": {"pubsubTopic": TOPIC, "sendForBulkImport": False}}
    await asked("POST", f"{base}/d/dicomStores?dicomStoreId=s", json.dumps(config).encode())
    await asked("POST", f"{base}/d/dicomStores/s/dicomWeb/studies", dicom(), "application/dicom")
    await receivers.until(1)
    name, attributes = receivers.taken[0]
    store = "projects/p/locations/l/datasets/d/dicomStores/s"
    assert name == f"{store}/dicomWeb/studies/1.1/series/1.1.1/instances/1.1.1.1"
    assert attributes["storeName"] == store and attributes["action"] == "StoreInstances"
    assert "Doe" not in json.dumps(receivers.taken)

    await asked("POST", f"{base}/d/dicomStores/s/dicomWeb/studies", dicom(), "application/dicom")  # the same once more
    body = json.dumps({"blobStorageSettings": {"blobStorageClass": "ARCHIVE"}}).encode()
    await asked("POST", f"{base}/d/dicomStores/s/dicomWeb/studies/1.1:setBlobStorageSettings", body)
    await receivers.until(2)
    assert receivers.taken[1][1].items() >= {
        "action": "SetBlobSettings", "studyInstanceUID": "1.1", "storageClass": "ARCHIVE", "previousStorageClass": "STANDARD"
    }.items()  # fmt: skip
    await asked("DELETE", f"{base}/d/dicomStores/s/dicomWeb/studies/1.1")
    await receivers.until(3)
    assert (receivers.taken[2][1]["action"], receivers.taken[2][0]) == ("DeleteStudy", f"{store}/dicomWeb/studies/1.1")

    await asked("PATCH", f"{base}/d/dicomStores/s?updateMask=notificationConfig", b"{}")
    await asked("POST", f"{base}/d/dicomStores/s/dicomWeb/studies", dicom("1.2", "1.2.1", "1.2.1.1"), "application/dicom")
    patch = json.dumps({"notificationConfigs": [{"pubsubTopic": TOPIC}]}).encode()
    await asked("PATCH", f"{base}/d/dicomStores/s?updateMask=notificationConfigs", patch)
    await asked("POST", f"{base}/d/dicomStores/s/dicomWeb/studies", dicom("1.3", "1.3.1", "1.3.1.1"), "application/dicom")
    await receivers.until(4)
    assert receivers.instances[3] == "1.3.1.1"
    assert receivers.faults == []

    page = (await asked("GET", gateway.root + "/metrics")).decode()
    assert 'gateway_notifications_sent_messages_total{receiver="pubsub"}' in page
    assert 'gateway_notifications_waiting_messages{receiver="pubsub"}' in page
    assert receivers.host not in page and TOPIC not in page and "1.1.1.1" not in page
    log = gateway.log.read_text()
    assert "/hook" not in log and SECRET not in log
