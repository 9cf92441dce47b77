"""The Cloud Healthcare API over the wire: names, stores, Google's dialect, operations, errors."""

from __future__ import annotations

import asyncio
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, patch
from xml.etree import ElementTree

import pytest

from gateway.app import SERVICE
from gateway.backends.base import Matches
from gateway.backends.memory import MemoryBackend
from gateway.dicomweb.query import Query
from gateway.errors import StoreUnavailable
from gateway.web.dialect import VERSIONS
from tests.backends.made import dicom
from tests.web.gate import MULTIPART, Answer, Gate, multipart, opened, settings

LOCATION = "/projects/p/locations/us-central1"
DATASETS = LOCATION + "/datasets"
DATASET = DATASETS + "/d1"
STORES = DATASET + "/dicomStores"
STORE = STORES + "/s1"
WEB = STORE + "/dicomWeb"
INSTANCE = WEB + "/studies/1.1/series/1.1.1/instances/1.1.1.1"
CONFIGURED = "/projects/local/locations/local/datasets/default/dicomStores/default"


class Google(Gate):
    """Asks below a version of the API."""

    version = "/v1"

    async def api(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
        return await self.ask(method, path, {name.replace("_", "-"): value for name, value in headers.items()}, body, base=self.version)


@pytest.fixture(params=VERSIONS)
async def google(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Google]:
    async with opened(settings(tmp_path, "memory")) as gate:
        made = Google(gate.app, gate.connections, gate.port)
        made.version = request.param
        await made.api("POST", DATASETS + "?datasetId=d1", b"")
        await made.api("POST", STORES + "?dicomStoreId=s1", b"")
        yield made


async def stow(google: Google, *files: bytes, **headers: str) -> Answer:
    if len(files) == 1:
        return await google.api("POST", WEB + "/studies", files[0], Content_Type="application/dicom", **headers)
    return await google.api("POST", WEB + "/studies", multipart(*files), Content_Type=MULTIPART, **headers)


def error(answer: Answer) -> tuple[int, str]:
    """Status and code of an error in Google's envelope."""
    assert answer.headers["Content-Type"] == "application/json; charset=UTF-8"
    assert set(answer.json) == {"error"} and set(answer.json["error"]) == {"code", "message", "status"}
    assert answer.json["error"]["code"] == answer.status and answer.json["error"]["message"]
    return answer.status, answer.json["error"]["status"]


# -- datasets and stores


async def test_a_dataset_is_created_read_patched_listed_and_deleted(google: Google) -> None:
    name = DATASETS.removeprefix("/") + "/d2"
    made = (await google.api("POST", DATASETS + "?datasetId=d2", b'{"timeZone":"Europe/Berlin"}')).json
    assert made["done"] and made["name"].startswith(name + "/operations/")
    assert made["response"] == {
        "@type": "type.googleapis.com/google.cloud.healthcare.v1.dataset.Dataset",
        "name": name,
        "timeZone": "Europe/Berlin",
    }
    assert made["metadata"]["@type"] == f"type.googleapis.com/google.cloud.healthcare.{google.version[1:]}.OperationMetadata"
    assert error(await google.api("POST", DATASETS + "?datasetId=d2", b"")) == (409, "ALREADY_EXISTS")
    patched = await google.api("PATCH", DATASETS + "/d2?updateMask=timeZone", b'{"timeZone":"Asia/Tokyo"}')
    assert patched.json == (await google.api("GET", DATASETS + "/d2")).json == {"name": name, "timeZone": "Asia/Tokyo"}
    assert [one["name"].rpartition("/")[2] for one in (await google.api("GET", DATASETS)).json["datasets"]] == ["d1", "d2"]
    assert (await google.api("DELETE", DATASETS + "/d2")).json == {}
    assert error(await google.api("GET", DATASETS + "/d2")) == (404, "NOT_FOUND")


async def test_lists_come_in_pages(google: Google) -> None:
    for number in range(2, 8):
        await google.api("POST", f"{STORES}?dicomStoreId=s{number}", b'{"labels":{"even":"%d"}}' % (number % 2 == 0))
    seen: list[str] = []
    token = ""
    while True:
        page = (await google.api("GET", f"{STORES}?pageSize=3&pageToken={token}")).json
        seen += [one["name"].rpartition("/")[2] for one in page["dicomStores"]]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert seen == [f"s{number}" for number in range(1, 8)]
    found = (await google.api("GET", f"{STORES}?filter=labels.even%3D1&pageSize=2")).json
    assert [one["name"].rpartition("/")[2] for one in found["dicomStores"]] == ["s2", "s4"] and found["nextPageToken"]
    assert error(await google.api("GET", STORES + "?pageSize=x")) == error(await google.api("GET", STORES + "?pageToken=%C3%A4"))


@pytest.mark.parametrize("path", [LOCATION.rpartition("/")[0], DATASETS, STORES, DATASET + "/operations"])
async def test_a_token_is_taken_by_the_list_that_gave_it(google: Google, path: str) -> None:
    elsewhere = urlsafe_b64encode(b"projects/p/locations/us-central1/datasets/other/dicomStores/s").decode()
    number = urlsafe_b64encode(b"9" * 30).decode()
    for token in (elsewhere, number, "!!!!", "%C3%A4", "abc"):
        assert error(await google.api("GET", f"{path}?pageToken={token}")) == (400, "INVALID_ARGUMENT")
    assert (await google.api("GET", f"{path}?pageToken=")).status == 200
    beyond = urlsafe_b64encode(f"{path.strip('/')}/{'9' * 30}".encode()).decode()
    assert (await google.api("GET", f"{path}?pageToken={beyond}")).status == 200


async def test_locations_come_in_pages_too(google: Google) -> None:
    path = LOCATION.rpartition("/")[0]
    first = (await google.api("GET", path + "?pageSize=1")).json
    second = (await google.api("GET", f"{path}?pageSize=1&pageToken={first['nextPageToken']}")).json
    assert [one["locationId"] for one in first["locations"] + second["locations"]] == ["local", "us-central1"]
    assert "nextPageToken" not in second


@pytest.mark.parametrize("path", [LOCATION.rpartition("/")[0], STORES, DATASET + "/operations"])
async def test_a_filter_that_would_do_nothing_is_refused(google: Google, path: str) -> None:
    await google.api("DELETE", STORE)
    assert error(await google.api("GET", path + "?filter=done%3Dtrue")) == (400, "INVALID_ARGUMENT")


async def test_operations_of_any_number_are_looked_for(google: Google) -> None:
    for number in (2**63 - 1, 2**63, 10**20 - 1):
        assert error(await google.api("GET", f"{DATASET}/operations/{number}")) == (404, "NOT_FOUND")
        assert error(await google.api("POST", f"{DATASET}/operations/{number}:cancel", b"")) == (404, "NOT_FOUND")


async def test_labels_that_are_set_at_once_are_all_there(google: Google) -> None:
    patches = [google.api("PATCH", f"{STORE}?updateMask=labels.l{n}", b'{"labels":{"l%d":"x"}}' % n) for n in range(8)]
    assert {answer.status for answer in await asyncio.gather(*patches)} == {200}
    assert (await google.api("GET", STORE)).json["labels"] == {f"l{n}": "x" for n in range(8)}


@pytest.mark.parametrize("anew", [False, True])
@pytest.mark.parametrize("failed", [RuntimeError("what it works with is closed"), StoreUnavailable("check the disk")])
async def test_who_uses_a_store_while_it_is_deleted_hears_just_that(google: Google, failed: Exception, anew: bool) -> None:
    class Leaving(MemoryBackend):
        async def search(self, query: Query) -> Matches:
            assert (await google.api("DELETE", STORE)).status == 200
            if anew:
                assert (await google.api("POST", STORES + "?dicomStoreId=s1", b"")).status == 200
            raise failed

    projects = google.app[SERVICE].projects
    assert projects is not None
    with patch.object(projects, "backend", AsyncMock(return_value=Leaving())):
        answer = await google.api("GET", WEB + "/studies")
    assert error(answer) == (404, "NOT_FOUND") and answer.json["error"]["message"] == "the DICOM store was deleted meanwhile"


async def test_a_store_has_labels(google: Google) -> None:
    patched = await google.api("PATCH", STORE + "?updateMask=labels", b'{"labels":{"a":"b"}}')
    assert patched.json == {"name": STORE.removeprefix("/"), "labels": {"a": "b"}}
    assert error(await google.api("PATCH", STORE, b"{}")) == (400, "INVALID_ARGUMENT")
    assert error(await google.api("PATCH", STORE + "?updateMask=labels", b'{"labels":{"A":"b"}}')) == (400, "INVALID_ARGUMENT")
    assert error(await google.api("PATCH", STORE + "?updateMask=labels", b"{")) == (400, "INVALID_ARGUMENT")
    assert (await google.api("DELETE", STORE)).json == {}
    assert error(await google.api("GET", STORE)) == error(await google.api("GET", WEB + "/studies")) == (404, "NOT_FOUND")


async def test_locations_are_where_datasets_are(google: Google) -> None:
    found = (await google.api("GET", "/projects/p/locations")).json["locations"]
    assert [one["locationId"] for one in found] == ["local", "us-central1"]
    assert (await google.api("GET", LOCATION)).json["name"] == LOCATION.removeprefix("/")


async def test_the_default_store_has_a_name_too(google: Google) -> None:
    await google.store(dicom())
    found = await google.api("GET", CONFIGURED + "/dicomWeb/studies")
    assert len(found.json) == 1
    assert found.json[0]["00081190"]["Value"] == [f"http://gate.example{google.version}{CONFIGURED}/dicomWeb/studies/1.1"]
    assert error(await google.api("DELETE", CONFIGURED)) == (403, "PERMISSION_DENIED")


@pytest.mark.parametrize(
    "path", ["/projects/a%2Fb/locations", "/projects/p/locations/US", DATASETS + "/a%20b", STORES + "/%00", DATASET + "/operations/x"]
)
async def test_names_that_are_none_are_refused(google: Google, path: str) -> None:
    assert error(await google.api("GET", path)) == (400, "INVALID_ARGUMENT")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", DATASET + "/fhirStores"),
        ("POST", DATASET + "/hl7V2Stores?hl7V2StoreId=h"),
        ("POST", STORE + ":deidentify"),
        ("GET", STORE + ":getIamPolicy"),
        ("POST", LOCATION + "/services/nlp:analyzeEntities"),
    ],
)
async def test_what_is_not_implemented_says_so(google: Google, method: str, path: str) -> None:
    assert error(await google.api(method, path, b"" if method == "POST" else None)) == (501, "UNIMPLEMENTED")


# -- dicomWeb in Google's dialect


async def test_what_is_stored_is_told_in_xml_without_a_namespace(google: Google) -> None:
    answer = await stow(google, dicom())
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/dicom+xml")
    root = ElementTree.fromstring(answer.body)  # noqa: S314 - the gateway's own answer
    assert root.tag == "NativeDicomModel"
    urls = [one.text for one in root.iterfind(".//DicomAttribute[@keyword='RetrieveURL']/Value")]
    assert urls == [f"http://gate.example{google.version}{path}" for path in (WEB + "/studies/1.1", INSTANCE)]
    json = await stow(google, dicom(), Accept="application/dicom+json")
    assert json.headers["Content-Type"] == "application/dicom+json"


async def test_one_that_fails_makes_it_a_conflict(google: Google) -> None:
    """Which says why, and nothing of whoever it is about."""
    answer = await stow(google, dicom(PatientName="Canary"), b"nothing")
    assert answer.status == 409
    root = ElementTree.fromstring(answer.body)  # noqa: S314 - the gateway's own answer
    (detail,) = root.iterfind(".//DicomAttribute[@keyword='FailureDetail']")
    assert detail.findtext("Value")
    again = await stow(google, dicom(PatientName="Other"), Accept="application/dicom+json")
    (failed,) = again.json["00081198"]["Value"]
    assert (again.status, failed["00081197"]["Value"]) == (409, [272])
    assert failed["00991000"]["vr"] == "ST" and "Canary" not in failed["00991000"]["Value"][0] and "00000902" not in failed
    assert len((await google.api("GET", WEB + "/instances")).json) == 1


async def test_another_version_is_put(google: Google) -> None:
    """UpdateInstances, which v1beta1 has and v1 has not."""
    await stow(google, dicom())
    other = dicom(PatientName="Other")
    assert (await stow(google, other)).status == 409
    answer = await google.api("PUT", WEB + "/studies", other, Content_Type="application/dicom")
    if google.version == "/v1":
        assert error(answer) == (501, "UNIMPLEMENTED")
        return
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/dicom+xml")
    assert (await google.api("GET", INSTANCE, Accept="application/dicom; transfer-syntax=*")).body == other
    both = multipart(dicom(PatientName="Third"), dicom("2.1", "2.1.1", "2.1.1.1"))
    assert (await google.api("PUT", WEB + "/studies/1.1", both, Content_Type=MULTIPART)).status == 409  # one is of another study
    (found,) = (await google.api("GET", WEB + "/studies")).json
    assert found["00100010"]["Value"] == [{"Alphabetic": "Third"}]


async def test_searches_are_those_that_google_knows(google: Google) -> None:
    await stow(google, dicom())
    for query in ("", "?StudyInstanceUID=1.1", "?limit=5&offset=0&fuzzymatching=true&includefield=all", "?alt=json&key=x&$.xgafv=2"):
        assert len((await google.api("GET", WEB + "/studies" + query)).json) == 1
    for query, named in (("StudyDescription=x", "StudyDescription"), ("Nonsense=1", "Nonsense"), ("Modality=CT", "Modality")):
        answer = await google.api("GET", f"{WEB}/studies?{query}")
        assert error(answer) == (400, "INVALID_ARGUMENT")
        assert answer.json["error"]["message"] == f"unknown/unsupported QIDO attribute: {named}"
    assert (await google.api("GET", WEB + "/series?Modality=XX")).status == 204
    assert error(await google.api("GET", f"{WEB}/studies?{'x' * 70}=1"))[0] == 400


async def test_what_is_left_is_not_told(google: Google) -> None:
    await stow(google, dicom(), dicom(study="2.1", series="2.1.1", sop="2.1.1.1"))
    answer = await google.api("GET", WEB + "/studies?limit=1")
    assert len(answer.json) == 1 and "Warning" not in answer.headers


async def test_reads_go_as_everywhere(google: Google) -> None:
    await stow(google, dicom())
    metadata = await google.api("GET", INSTANCE + "/metadata", Accept="application/json")
    assert metadata.json[0]["00080018"]["Value"] == ["1.1.1.1"]
    whole = await google.api("GET", INSTANCE, Accept="application/dicom; transfer-syntax=*")
    assert whole.body == dicom()
    assert error(await google.api("GET", WEB + "/studies/9.9/metadata")) == (404, "NOT_FOUND")
    assert error(await google.api("GET", WEB + "/studies/x/metadata")) == (400, "INVALID_ARGUMENT")


async def test_a_study_is_deleted_by_an_operation_and_an_instance_at_once(google: Google) -> None:
    await stow(google, dicom())
    assert (await google.api("DELETE", INSTANCE)).json == {}
    assert error(await google.api("DELETE", INSTANCE)) == (404, "NOT_FOUND")
    await stow(google, dicom(study="2.1", series="2.1.1", sop="2.1.1.1"))
    begun = (await google.api("DELETE", WEB + "/studies/2.1")).json
    assert begun["metadata"]["apiMethodName"].endswith("DicomService.DeleteStudy")
    done: dict[str, Any] = {}
    async with asyncio.timeout(20):
        while not done.get("done"):
            done = (await google.api("GET", "/" + begun["name"])).json
    assert done["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    assert done["metadata"]["counter"] == {"success": "1"} and "endTime" in done["metadata"]
    assert (await google.api("GET", WEB + "/studies")).status == 204
    names = [one["name"] for one in (await google.api("GET", DATASET + "/operations")).json["operations"]]
    assert begun["name"] in names
    assert (await google.api("POST", f"/{begun['name']}:cancel", b"{}")).json == {}  # who asks a moment too late is not to blame
    assert (await google.api("GET", "/" + begun["name"])).json == done
    assert error(await google.api("POST", DATASET + "/operations/1:cancel", b"{}")) == (404, "NOT_FOUND")


async def test_routes_of_the_standard_go_on_speaking_its_way(google: Google) -> None:
    assert (await google.get("/studies/9.9/metadata")).detail
    assert (await google.post(multipart(dicom()))).headers["Content-Type"] == "application/dicom+json"
    assert (await google.get("/studies?StudyDescription=x")).status == 204
