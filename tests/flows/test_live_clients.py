"""Clients that Debian and PyPI ship, run against a gateway of their own: Orthanc, dicomtrolley, Google's Python client.

dicomweb-client and curl are in `test_clients`. Not to be had from PyPI in a form that installs: ez-wsi-dicomweb (OpenCV and Cloud
Storage come with it) and dcmweb; what they send is replayed in `test_recorded_google`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import httplib2
import pytest
import requests
from dicomtrolley.core import Query, QueryLevels
from dicomtrolley.qido_rs import HierarchicalQuery, QidoRS, RelationalQuery
from dicomtrolley.trolley import Trolley
from dicomtrolley.wado_rs import WadoRS, WadoRSMetaData
from dicomtrolley.wado_uri import WadoURI
from googleapiclient.discovery import build_from_document
from googleapiclient.discovery_cache import get_static_doc
from googleapiclient.errors import HttpError
from pydicom.data import get_testdata_file

from tests import samples
from tests.flows.client import Client
from tests.flows.orthanc import Orthanc, orthanc
from tests.running import Gateway, running

SHIPPED = ["CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "US1_J2KR.dcm", "SC_rgb_rle_2frame.dcm", "image_dfl.dcm"]
CT = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"
CT_INSTANCE = CT, "1.3.6.1.4.1.5962.1.3.1.1.20040119072730.12322", "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("live"), "--workers", "1") as started:
        status, stored = Client(started.url).store([shipped("CT_small.dcm"), shipped("US1_J2KR.dcm")])
        assert (status, len(stored)) == (200, 2)
        yield started


def shipped(name: str) -> bytes:
    """A file that comes with pydicom."""
    path = get_testdata_file(name, download=False)
    assert path, f"{name} is missing: pip install pydicom pydicom-data"
    return Path(str(path)).read_bytes()


# -- Orthanc


@pytest.fixture(scope="module")
def archive(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with orthanc(tmp_path_factory.mktemp("orthanc"), gateway.url) as started:
        yield started


@pytest.mark.parametrize("name", SHIPPED)
def test_orthanc_sends_what_it_has(gateway: Gateway, archive: Orthanc, name: str) -> None:
    """Byte for byte, whatever the transfer syntax."""
    data = shipped(name)
    identity = archive.upload(data)
    assert archive.remote("stow", {"Resources": [identity], "Synchronous": True})["InstancesCount"] == "1"
    sop = json.loads(archive.ask(f"/instances/{identity}/simplified-tags"))["SOPInstanceUID"]
    (found,) = Client(gateway.url).found(f"/instances?SOPInstanceUID={sop}")
    uids = [found[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")]
    assert Client(gateway.url).instance(*uids) == (200, data)


def test_orthanc_sends_a_study_of_many(gateway: Gateway, archive: Orthanc) -> None:
    names = [archive.upload(samples.ct(study="1.2.50", series="1.2.50.1", sop=f"1.2.50.1.{number}")) for number in range(60)]
    sent = archive.remote("stow", {"Resources": names, "Synchronous": True})
    assert sent["InstancesCount"] == "60"
    assert len(Client(gateway.url).found("/studies/1.2.50/instances")) == 60


def test_orthanc_searches(archive: Orthanc) -> None:
    (found,) = archive.remote("get", {"Uri": "/studies", "Arguments": {"PatientName": "compressedsamples^ct1"}})
    assert found["0020000D"]["Value"] == [CT]
    (formatted,) = archive.remote("qido", {"Uri": f"/studies/{CT}/series", "Arguments": {"00080060": "CT"}})
    assert formatted["00080060"]["Value"] == "CT"
    assert archive.remote("get", {"Uri": "/studies", "Arguments": {"PatientID": "nobody"}}) in (None, [])


@pytest.mark.parametrize("study", [CT, "1.3.6.1.4.1.5962.1.2.13.20040826185059.5457"])
def test_orthanc_fetches_what_it_lacks(gateway: Gateway, archive: Orthanc, study: str) -> None:
    held = [found for found in Client(gateway.url).found("/instances") if found["0020000D"]["Value"] == [study]]
    fetched = archive.remote("retrieve", {"Resources": [{"Study": study}], "Synchronous": True})
    assert fetched["ReceivedInstancesCount"] == str(len(held)) != "0"
    for one in held:
        uids = [one[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")]
        (identity,) = json.loads(archive.ask("/tools/lookup", uids[2].encode()))
        assert archive.ask(identity["Path"] + "/file") == Client(gateway.url).instance(*uids)[1]


def test_orthanc_deletes(gateway: Gateway, archive: Orthanc) -> None:
    Client(gateway.url).store([samples.ct(study="1.2.51", series="1.2.51.1", sop="1.2.51.1.1")])
    archive.remote("delete", {"Level": "Study", "StudyInstanceUID": "1.2.51"})
    assert Client(gateway.url).found("/studies?StudyInstanceUID=1.2.51") == []


# -- dicomtrolley


@pytest.fixture
def trolley(gateway: Gateway) -> Iterator[Trolley]:
    with requests.Session() as session:
        yield Trolley(searcher=QidoRS(session, gateway.url), downloader=WadoRS(session, gateway.url))


def test_dicomtrolley_searches_every_level(trolley: Trolley) -> None:
    dates = {"min_study_date": datetime(2000, 1, 1), "max_study_date": datetime(2030, 1, 1)}
    (study,) = trolley.find_studies(HierarchicalQuery(PatientName="comp*ct1", include_fields=["StudyDescription"], **dates))
    assert (study.uid, str(study.data.StudyDescription)) == (CT, "e+1")
    (study,) = trolley.find_studies(Query(PatientID="1CT1"))
    assert study.uid == CT
    (study,) = trolley.find_studies(HierarchicalQuery(query_level=QueryLevels.SERIES, StudyInstanceUID=CT))
    assert [series.uid for series in study.series] == [CT_INSTANCE[1]]
    (study,) = trolley.find_studies(RelationalQuery(query_level=QueryLevels.INSTANCE, StudyInstanceUID=CT, limit=5))
    assert [one.uid for series in study.series for one in series.instances] == [CT_INSTANCE[2]]
    assert trolley.find_studies(Query(PatientID="nobody")) == []


def test_dicomtrolley_downloads_studies(trolley: Trolley) -> None:
    found = trolley.find_studies(HierarchicalQuery(StudyInstanceUID=CT))
    (dataset,) = list(trolley.fetch_all_datasets(found))
    assert (dataset.StudyInstanceUID, dataset.SOPInstanceUID) == (CT, CT_INSTANCE[2])
    assert len(dataset.PixelData) == 128 * 128 * 2


def test_dicomtrolley_reads_metadata(gateway: Gateway, trolley: Trolley) -> None:
    (study,) = trolley.find_studies(Query(PatientID="1CT1"))
    with requests.Session() as session:
        (dataset,) = list(WadoRSMetaData(session, gateway.url).datasets([study.reference()]))
    assert str(dataset.PatientName) == "CompressedSamples^CT1"


def test_dicomtrolley_downloads_by_uri(gateway: Gateway, trolley: Trolley) -> None:
    (study,) = trolley.find_studies(RelationalQuery(query_level=QueryLevels.INSTANCE, StudyInstanceUID=CT, limit=5))
    instances = [one.reference() for series in study.series for one in series.instances]
    with requests.Session() as session:
        (dataset,) = list(WadoURI(session, gateway.root + "/wado").datasets(instances))
    assert (dataset.SOPInstanceUID, len(dataset.PixelData)) == (CT_INSTANCE[2], 128 * 128 * 2)


# -- google-api-python-client


@pytest.fixture
def healthcare(gateway: Gateway) -> Iterator[Any]:
    """The client that Google ships, its DICOMweb calls turned to the plain routes."""
    text = get_static_doc("healthcare", "v1")
    assert text, "google-api-python-client came without its documents"
    document = json.loads(text.replace("v1/{+parent}/dicomWeb/", "dicom-web/"))
    document["rootUrl"] = gateway.root + "/"
    http = httplib2.Http()
    yield build_from_document(document, http=http).projects().locations().datasets().dicomStores()
    http.close()


PARENT = {"parent": "projects/p/locations/l/datasets/d/dicomStores/s"}


def test_google_api_python_client_searches_and_reads_metadata(healthcare: Any) -> None:
    found = healthcare.searchForStudies(**PARENT, dicomWebPath="studies").execute()
    assert CT in [one["0020000D"]["Value"][0] for one in found]
    request = healthcare.searchForInstances(**PARENT, dicomWebPath="instances")
    request.uri += f"&StudyInstanceUID={CT}&includefield=00020010"
    (instance,) = request.execute()
    assert instance["00020010"]["Value"] == ["1.2.840.10008.1.2.1"]
    (metadata,) = healthcare.studies().retrieveMetadata(**PARENT, dicomWebPath=f"studies/{CT}/metadata").execute()
    assert metadata["00080018"]["Value"] == [CT_INSTANCE[2]]


def test_google_api_python_client_finds_nothing(healthcare: Any) -> None:
    request = healthcare.searchForStudies(**PARENT, dicomWebPath="studies")
    request.uri += "&PatientID=nobody"
    assert not request.execute()


def test_google_api_python_client_understands_errors(healthcare: Any) -> None:
    with pytest.raises(HttpError) as caught:
        healthcare.studies().retrieveMetadata(**PARENT, dicomWebPath="studies/9.9.9/metadata").execute()
    assert (caught.value.status_code, json.loads(caught.value.content)["status"]) == (404, 404)


def test_google_api_python_client_deletes(gateway: Gateway, healthcare: Any) -> None:
    Client(gateway.url).store([samples.ct(study="1.2.52", series="1.2.52.1", sop="1.2.52.1.1")])
    path = "studies/1.2.52/series/1.2.52.1/instances/1.2.52.1.1"
    assert not healthcare.studies().series().instances().delete(**PARENT, dicomWebPath=path).execute()
    assert Client(gateway.url).found("/studies?StudyInstanceUID=1.2.52") == []
