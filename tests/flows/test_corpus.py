"""Every file that pydicom and pydicom-data ship, through the service and back: bit-identical, or refused for a known reason.

With DICOM_CORPUS=FOLDER the files of that folder go the same way; what they are refused for is printed, and must be a
clear answer each.
"""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pydicom.data
import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.app import build
from gateway.config import load

PYDICOM = Path(pydicom.data.__file__).parent
DATA_STORE = importlib.util.find_spec("data_store")
assert DATA_STORE is not None and DATA_STORE.origin is not None, "the package pydicom-data is missing"
FOLDERS = (PYDICOM / "test_files", PYDICOM / "charset_files", Path(DATA_STORE.origin).parent / "data")
NOT_DICOM = {".py", ".pyc", ".json", ".txt", ".md", ".bin", ".dump", ".icc", ".gz"}

MISSING_CLASS = "0008,0016): SOP Class UID is missing"
MISSING_STUDY = "0020,000D): Study Instance UID is missing"
DIRECTORY = "media directory"
REFUSED = {
    "DICOMDIR": DIRECTORY,
    "DICOMDIR-bigEnd": DIRECTORY,
    "DICOMDIR-empty.dcm": DIRECTORY,
    "DICOMDIR-implicit": DIRECTORY,
    "DICOMDIR-nooffset": DIRECTORY,
    "DICOMDIR-nopatient": DIRECTORY,
    "DICOMDIR-reordered": DIRECTORY,
    "README": "not a DICOM file",
    "JPEGLSNearLossless_08.dcm": MISSING_STUDY,
    "JPEGLSNearLossless_16.dcm": MISSING_STUDY,
    "SC_rgb_jls_lossy_line.dcm": MISSING_STUDY,
    "SC_rgb_jls_lossy_sample.dcm": MISSING_STUDY,
    "MR_truncated.dcm": "7FE0,0010): cut off: 62 bytes of its value are missing",
    "rtplan_truncated.dcm": "cut off",
    "UN_sequence.dcm": MISSING_CLASS,
    "chrSQEncoding.dcm": MISSING_CLASS,
    "chrSQEncoding1.dcm": MISSING_CLASS,
    "empty_charset_LEI.dcm": MISSING_CLASS,
    "meta_missing_tsyntax.dcm": MISSING_CLASS,
    "nested_priv_SQ.dcm": MISSING_CLASS,
    "no_meta_group_length.dcm": MISSING_CLASS,
    "priv_SQ.dcm": MISSING_CLASS,
    "no_meta.dcm": "not a DICOM file",
    "bad_sequence.dcm": "0008,0018): SOP Instance UID is not a UID",
    "emri_small_jpeg_2k_lossless_too_short.dcm": "7FE0,0010): cut off",
}
"""What is refused, and a part of the reason that the answer gives."""


def _files(*folders: Path) -> Iterator[Path]:
    for folder in folders:
        yield from (
            path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix not in NOT_DICOM and "LICENSES" not in path.parts
        )


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[TestClient[Any, Any]]:
    settings = load(None, {"data": str(tmp_path), "stores": {"default": {"on_duplicate": "replace", "durability": "relaxed"}}})
    async with TestClient(TestServer(await build(settings))) as opened:
        yield opened


async def _store(client: TestClient[Any, Any], data: bytes) -> tuple[int, dict[str, Any], str]:
    body = b"--B\r\nContent-Type: application/dicom\r\n\r\n" + data + b"\r\n--B--"
    async with client.post("/dicom-web/studies", data=body, headers={"Content-Type": "multipart/related; boundary=B"}) as answer:
        return answer.status, await answer.json(content_type=None), " ".join(answer.headers.getall("Warning", []))


async def _get(client: TestClient[Any, Any], path: str, accept: str) -> tuple[int, bytes]:
    async with client.get(path, headers={"Accept": accept}) as answer:
        return answer.status, await answer.read()


async def _read_back(client: TestClient[Any, Any], data: bytes, answer: dict[str, Any], name: str) -> None:
    item = answer["00081199"]["Value"][0]
    sop = item["00081155"]["Value"][0]
    path = "/dicom-web" + item["00081190"]["Value"][0].partition("/dicom-web")[2]
    assert await _get(client, path, "application/dicom; transfer-syntax=*") == (200, data), name
    status, body = await _get(client, path + "/metadata", "application/dicom+json")
    assert status == 200, name
    (metadata,) = json.loads(body)
    assert metadata["00080018"]["Value"] == [sop] and not any(key.startswith("0002") for key in metadata), name
    status, body = await _get(client, f"/dicom-web/instances?SOPInstanceUID={sop}", "application/dicom+json")
    assert status == 200 and [one["00080018"]["Value"] for one in json.loads(body)] == [[sop]], name
    for uri in _bulk_uris(metadata):
        status, body = await _get(client, "/dicom-web" + uri.partition("/dicom-web")[2], "*/*")
        assert status == 200 and body, (name, uri[-40:])
    status, _ = await _get(client, path, 'multipart/related; type="application/dicom"')
    assert status in (200, 406), name


def _bulk_uris(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "BulkDataURI" in value:
            yield value["BulkDataURI"]
        for inner in value.values():
            yield from _bulk_uris(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _bulk_uris(inner)


async def test_every_file_of_pydicom_comes_back_or_is_refused_for_a_known_reason(client: TestClient[Any, Any]) -> None:
    refused: set[str] = set()
    stored = 0
    for path in _files(*FOLDERS):
        data = path.read_bytes()
        status, answer, warning = await _store(client, data)
        if status == 200:
            await _read_back(client, data, answer, path.name)
            stored += 1
        else:
            assert status == 409 and REFUSED.get(path.name, "?") in warning, (path.name, status, warning)
            refused.add(path.name)
    assert refused == set(REFUSED)
    assert stored > 200


if "DICOM_CORPUS" in os.environ:  # a folder of files that is not part of the project

    async def test_every_file_of_the_corpus_gets_a_clear_answer(client: TestClient[Any, Any]) -> None:
        refused = []
        for path in _files(Path(os.environ["DICOM_CORPUS"])):
            data = path.read_bytes()
            status, answer, warning = await _store(client, data)
            if status == 200:
                await _read_back(client, data, answer, path.name)
            else:
                assert status == 409 and warning, (path.name, status)
                refused.append(f"{path.parent.name}/{path.name}: {warning.partition('part 1: ')[2]}")
        print("\n".join(["refused:", *refused]))  # noqa: T201 - the table is what such a run is for
