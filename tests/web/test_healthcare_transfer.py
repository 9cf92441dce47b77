"""Imports and exports over the wire: operations that clients poll, and what is refused at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.web.dialect import VERSIONS
from tests.backends.made import dicom
from tests.transfers.given import files, write
from tests.web.gate import opened, settings
from tests.web.test_healthcare import DATASETS, STORE, STORES, WEB, Google, error, stow


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "files"
    root.mkdir()
    return root


@pytest.fixture(params=VERSIONS)
async def google(request: pytest.FixtureRequest, tmp_path: Path, root: Path) -> AsyncIterator[Google]:
    healthcare = {"folders": [root], "buckets": ["gs://ours/"]}
    async with opened(settings(tmp_path / "data", "memory", healthcare=healthcare)) as gate:
        made = Google(gate.app, gate.connections, gate.port)
        made.version = request.param
        await made.api("POST", DATASETS + "?datasetId=d1", b"")
        await made.api("POST", STORES + "?dicomStoreId=s1", b"")
        yield made


async def ended(google: Google, method: str, body: dict[str, Any]) -> dict[str, Any]:
    """What a client sees of an operation at its end."""
    begun = await google.api("POST", f"{STORE}:{method}", json.dumps(body).encode(), Content_Type="application/json")
    assert begun.status == 200, begun.body
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await google.api("GET", "/" + begun.json["name"])).json
            if found.get("done"):
                return found
            await asyncio.sleep(0.01)


async def test_a_store_is_filled_and_emptied_into_files(google: Google, root: Path) -> None:
    for number in (1, 2):
        write(root, f"in/deep/{number}.dcm", dicom(sop=f"1.1.1.{number}"))
    done = await ended(google, "import", {"gcsSource": {"uri": f"file://{root}/in/**.dcm"}})
    assert done["metadata"]["apiMethodName"] == f"google.cloud.healthcare.{google.version[1:]}.dicom.DicomService.ImportDicomData"
    assert done["metadata"]["counter"] == {"success": "2"} and done["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    done = await ended(google, "export", {"gcsDestination": {"uriPrefix": f"file://{root}/out"}})
    assert done["metadata"]["apiMethodName"].endswith("DicomService.ExportDicomData") and done["metadata"]["counter"] == {"success": "2"}
    assert done["response"] == {"@type": "type.googleapis.com/google.protobuf.Empty"}
    assert files(root / "out") == {f"1.1/1.1.1/1.1.1.{number}.dcm": dicom(sop=f"1.1.1.{number}") for number in (1, 2)}


async def test_pictures_and_other_syntaxes_are_those_of_the_store(google: Google, root: Path) -> None:
    await stow(google, dicom())
    await stow(google, dicom("2.1", "2.1.1", "2.1.1.1", NumberOfFrames="2", PixelData=bytes(64)))
    for mime, folder in (("image/png", "png"), ("application/dicom; transfer-syntax=1.2.840.10008.1.2.5", "rle")):
        done = await ended(google, "export", {"gcsDestination": {"uriPrefix": f"file://{root}/{folder}", "mimeType": mime}})
        assert "error" not in done, done
    pictures = files(root / "png")
    assert sorted(pictures) == ["1.1/1.1.1/1.1.1.1.png", "2.1/2.1.1/2.1.1.1/1.png", "2.1/2.1.1/2.1.1.1/2.png"]
    assert all(data.startswith(b"\x89PNG") for data in pictures.values())
    assert all(b"1.2.840.10008.1.2.5" in data[:400] for data in files(root / "rle").values())


async def test_metadata_are_lines_whose_urls_lead_here(google: Google, root: Path) -> None:
    await stow(google, dicom())
    destination = {"uriPrefix": f"file://{root}", "mimeType": "application/dicom+json"}
    await ended(google, "export", {"gcsDestination": destination})
    (line,) = (root / "1.1.ndjson").read_text().splitlines()
    url = json.loads(line)["7FE00010"]["BulkDataURI"]
    instance = WEB + "/studies/1.1/series/1.1.1/instances/1.1.1.1"
    assert url == f"http://gate.example{google.version}{instance}/bulkdata/7FE00010"
    assert (await google.get(url.removeprefix("http://gate.example"), "application/octet-stream", base="")).status == 200


async def test_a_storage_class_is_that_of_what_came(google: Google, root: Path) -> None:
    write(root, "1.dcm", dicom())
    body = {"gcsSource": {"uri": f"file://{root}/1.dcm"}, "blobStorageSettings": {"blobStorageClass": "ARCHIVE"}}
    await ended(google, "import", body)
    info = await google.api("GET", WEB + "/studies/1.1/series/1.1.1/instances/1.1.1.1:getStorageInfo")
    assert info.json["blobStorageInfo"]["storageClass"] == "ARCHIVE"


FILE = {"uri": "file:///nowhere/x"}
OUT = {"uriPrefix": "file:///nowhere"}


@pytest.mark.parametrize(
    ("method", "body", "expected", "said"),
    [
        ("import", None, (400, "INVALID_ARGUMENT"), "gcsSource"),
        ("import", {}, (400, "INVALID_ARGUMENT"), "gcsSource"),
        ("import", {"gcsSource": {"uri": "gs://ours/**/x"}}, (400, "INVALID_ARGUMENT"), "**"),
        ("import", {"gcsSource": {"uri": "gs://ours/x", "more": 1}}, (400, "INVALID_ARGUMENT"), "field"),
        ("import", {"gcsSource": {"uri": "file:///srv/../etc/passwd"}}, (400, "INVALID_ARGUMENT"), ".."),
        ("import", {"gcsSource": FILE}, (403, "PERMISSION_DENIED"), "healthcare.folders"),
        ("import", {"gcsSource": {"uri": "gs://theirs/x"}}, (403, "PERMISSION_DENIED"), "healthcare.buckets"),
        ("import", {"gcsSource": {"uri": "s3://ours/x"}}, (403, "PERMISSION_DENIED"), "healthcare.buckets"),
        (
            "import",
            {"gcsSource": {"uri": "gs://ours/x"}, "blobStorageSettings": {"blobStorageClass": "COLD"}},
            (400, "INVALID_ARGUMENT"),
            "STANDARD",
        ),
        ("export", {}, (400, "INVALID_ARGUMENT"), "gcsDestination"),
        ("export", {"gcsDestination": OUT}, (403, "PERMISSION_DENIED"), "healthcare.folders"),
        ("export", {"gcsDestination": {"uriPrefix": "gs://ours/", "mimeType": "video/mp4"}}, (400, "INVALID_ARGUMENT"), "mimeType"),
        (
            "export",
            {"gcsDestination": {"uriPrefix": "gs://ours/"}, "filterConfig": {"resourcePathsGcsUri": "gs://theirs/x"}},
            (403, "PERMISSION_DENIED"),
            "healthcare.buckets",
        ),
        (
            "export",
            {"gcsDestination": {"uriPrefix": "gs://ours/"}, "filterConfig": {"resourcePathsGcsUri": "gs://ours/*"}},
            (400, "INVALID_ARGUMENT"),
            "wildcards",
        ),
        ("export", {"bigqueryDestination": {"tableUri": "bq://p.d.t"}}, (501, "UNIMPLEMENTED"), "NDJSON"),
    ],
)
async def test_what_cannot_work_is_said_at_once(
    google: Google, method: str, body: dict[str, Any] | None, expected: tuple[int, str], said: str
) -> None:
    answer = await google.api("POST", f"{STORE}:{method}", b"" if body is None else json.dumps(body).encode())
    assert error(answer) == expected and said in answer.json["error"]["message"]


async def test_where_nothing_is_set_nothing_is_let_through(tmp_path: Path, root: Path) -> None:
    async with opened(settings(tmp_path / "data", "memory")) as gate:
        google = Google(gate.app, gate.connections, gate.port)
        configured = "/projects/local/locations/local/datasets/default/dicomStores/default"
        for uri, said in ((f"file://{root}/x", "healthcare.folders"), ("gs://ours/x", "healthcare.buckets")):
            answer = await google.api("POST", f"{configured}:import", json.dumps({"gcsSource": {"uri": uri}}).encode())
            assert error(answer) == (403, "PERMISSION_DENIED") and said in answer.json["error"]["message"]
        answer = await google.api("POST", f"{STORE}:import", json.dumps({"gcsSource": FILE}).encode())
        assert error(answer) == (404, "NOT_FOUND")
