"""How much there is and how it is kept, as the Cloud Healthcare API tells it."""

from __future__ import annotations

from tests.backends.made import dicom
from tests.web.test_healthcare import INSTANCE, STORE, WEB, Google, error, google, stow

__all__ = ["google"]  # a fixture


async def test_how_much_there_is(google: Google) -> None:
    files = dicom(), dicom(sop="1.1.1.2"), dicom(series="1.1.2", sop="1.1.2.1")
    await stow(google, *files)
    store = (await google.api("GET", STORE + ":getDICOMStoreMetrics")).json
    assert store | {"blobStorageSizeBytes": None} == {
        "name": STORE.removeprefix("/"),
        "studyCount": "1",
        "seriesCount": "2",
        "instanceCount": "3",
        "blobStorageSizeBytes": None,
    }
    study = (await google.api("GET", WEB + "/studies/1.1:getStudyMetrics")).json
    size = str(sum(map(len, files)))
    assert study == {
        "study": WEB.removeprefix("/") + "/studies/1.1",
        "seriesCount": "2",
        "instanceCount": "3",
        "blobStorageSizeBytes": size,
    }
    series = (await google.api("GET", WEB + "/studies/1.1/series/1.1.2:getSeriesMetrics")).json
    assert series["instanceCount"] == "1" and series["blobStorageSizeBytes"] == str(len(files[2]))
    for path in (
        "/studies/9.9:getStudyMetrics",
        "/studies/1.1/series/9:getSeriesMetrics",
        "/studies/1.1/series/1.1.2/instances/9:getStorageInfo",
    ):
        assert error(await google.api("GET", WEB + path)) == (404, "NOT_FOUND")


async def test_storage_classes_are_kept_and_told(google: Google) -> None:
    await stow(google, dicom(), Storage_Class="NEARLINE")
    await stow(google, dicom(sop="1.1.1.2"))
    info = (await google.api("GET", INSTANCE + ":getStorageInfo")).json
    assert info["referencedResource"] == INSTANCE.removeprefix("/")
    assert (info["blobStorageInfo"]["storageClass"], info["blobStorageInfo"]["sizeBytes"]) == ("NEARLINE", str(len(dicom())))
    assert info["blobStorageInfo"]["storageClassUpdateTime"].endswith("Z")
    other = INSTANCE.removesuffix("1") + "2:getStorageInfo"
    assert (await google.api("GET", other)).json["blobStorageInfo"]["storageClass"] == "STANDARD"
    body = b'{"blobStorageSettings":{"blobStorageClass":"ARCHIVE"}}'
    assert (await google.api("POST", WEB + "/studies/1.1:setBlobStorageSettings", body)).json["done"]
    for path in (INSTANCE + ":getStorageInfo", other):
        assert (await google.api("GET", path)).json["blobStorageInfo"]["storageClass"] == "ARCHIVE"
    assert (await google.api("POST", STORE + ":setBlobStorageSettings", body.replace(b"ARCHIVE", b"COLDLINE"))).json["done"]
    assert (await google.api("GET", other)).json["blobStorageInfo"]["storageClass"] == "COLDLINE"
    assert error(await stow(google, dicom(sop="1.1.1.3"), Storage_Class="FROZEN")) == (400, "INVALID_ARGUMENT")
    assert error(await google.api("POST", STORE + ":setBlobStorageSettings", b"{}")) == (400, "INVALID_ARGUMENT")
    assert error(await google.api("POST", WEB + "/studies/9.9:setBlobStorageSettings", body)) == (404, "NOT_FOUND")
