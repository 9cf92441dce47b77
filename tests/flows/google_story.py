"""What somebody does with a dataset and its DICOM stores through google-api-python-client, a part for each method of the API.

Each part is called by the name of its method in the discovery documents, and looks at what came. The order is that of a life:
a dataset, a store, instances, reads and searches, deletions.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from xml.etree import ElementTree

import pydicom

from tests import samples

Part = TypeVar("Part", bound=Callable[..., None])
PARENT = "projects/p/locations/l"
FILE = samples.ct()
STUDY = f"studies/{samples.STUDY}"
SERIES = f"{STUDY}/series/{samples.SERIES}"
INSTANCE = f"{SERIES}/instances/{samples.SOP}"
ANY = "application/dicom; transfer-syntax=*"
ALL = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PNG = b"\x89PNG\r\n\x1a\n"


def of(method: str) -> Callable[[Part], Part]:
    """Marks a part with the name of its method."""

    def marked(part: Part) -> Part:
        part.method = method  # type: ignore[attr-defined]  # read by `google_methods`
        return part

    return marked


def is_iam(name: str) -> bool:
    """Whether a method is one of access control, which a gateway without accounts has not."""
    return name.rpartition(".")[2] in ("getIamPolicy", "setIamPolicy", "testIamPermissions")


class Story:
    """:param service: the client. :param dataset: an id that nobody has. :param folder: below one that callers may write to."""

    def __init__(self, service: Any, version: str, dataset: str, folder: Path) -> None:
        self.folder = folder
        self.version = version
        self.dataset = f"{PARENT}/datasets/{dataset}"
        self.store = f"{self.dataset}/dicomStores/s"
        self.id = dataset
        self.locations = service.projects().locations()
        self.datasets = self.locations.datasets()
        self.stores = self.datasets.dicomStores()
        self.studies = self.stores.studies()
        self.series = self.studies.series()
        self.instances = self.series.instances()
        self.operation = ""

    # -- datasets and stores

    @of("datasets.create")
    def create_dataset(self) -> None:
        operation = self.datasets.create(parent=PARENT, datasetId=self.id, body={"timeZone": "Europe/Berlin"}).execute()
        assert operation["done"]
        assert operation["response"]["name"] == self.dataset
        self.operation = operation["name"]

    @of("list")
    def list_locations(self) -> None:
        found = self.locations.list(name="projects/p").execute()
        assert PARENT in [one["name"] for one in found["locations"]]

    @of("get")
    def get_location(self) -> None:
        assert self.locations.get(name=PARENT).execute()["locationId"] == "l"

    @of("datasets.get")
    def get_dataset(self) -> None:
        assert self.datasets.get(name=self.dataset).execute() == {"name": self.dataset, "timeZone": "Europe/Berlin"}

    @of("datasets.patch")
    def patch_dataset(self) -> None:
        changed = self.datasets.patch(name=self.dataset, updateMask="timeZone", body={"timeZone": "Asia/Tokyo"}).execute()
        assert changed["timeZone"] == "Asia/Tokyo"

    @of("datasets.list")
    def list_datasets(self) -> None:
        request, names = self.datasets.list(parent=PARENT, pageSize=1), list[str]()
        while request is not None:
            page = request.execute()
            names += [one["name"] for one in page.get("datasets", [])]
            request = self.datasets.list_next(request, page)
        assert self.dataset in names

    @of("datasets.dicomStores.create")
    def create_store(self) -> None:
        assert self.stores.create(parent=self.dataset, dicomStoreId="s", body={}).execute() == {"name": self.store}

    @of("datasets.dicomStores.get")
    def get_store(self) -> None:
        assert self.stores.get(name=self.store).execute() == {"name": self.store}

    @of("datasets.dicomStores.patch")
    def patch_store(self) -> None:
        assert self.stores.patch(name=self.store, updateMask="labels", body={"labels": {"a": "b"}}).execute()["labels"] == {"a": "b"}

    @of("datasets.dicomStores.list")
    def list_stores(self) -> None:
        found = self.stores.list(parent=self.dataset, filter="labels.a=b", pageSize=5).execute()
        assert [one["name"] for one in found["dicomStores"]] == [self.store]

    # -- what is stored

    @of("datasets.dicomStores.storeInstances")
    def store_instances(self) -> None:
        self._stored(self.stores.storeInstances(parent=self.store, dicomWebPath="studies", body={}), FILE)

    @of("datasets.dicomStores.studies.storeInstances")
    def store_into_a_study(self) -> None:
        self._stored(self.studies.storeInstances(parent=self.store, dicomWebPath=STUDY, body={}), samples.ct(sop="1.2.3.4.6"))

    def _stored(self, request: Any, body: bytes) -> None:
        """As Google's samples do with every client: the body and its type are set by hand, for HttpBody is not JSON."""
        request.body, request.body_size, request.headers["content-type"] = body, len(body), "application/dicom"
        root = ElementTree.fromstring(_raw(request))  # noqa: S314 - the gateway's own answer
        (url,) = [one.text or "" for one in root.iterfind("./DicomAttribute[@keyword='RetrieveURL']/Value")]
        assert url.endswith(f"/{self.version}/{self.store}/dicomWeb/{STUDY}")

    # -- searches: what the client asks for by itself, JSON

    @of("datasets.dicomStores.searchForStudies")
    def search_studies(self) -> None:
        self._found(self.stores.searchForStudies(parent=self.store, dicomWebPath="studies"), 1)

    @of("datasets.dicomStores.searchForSeries")
    def search_series(self) -> None:
        self._found(self.stores.searchForSeries(parent=self.store, dicomWebPath="series"), 1)

    @of("datasets.dicomStores.searchForInstances")
    def search_instances(self) -> None:
        self._found(self.stores.searchForInstances(parent=self.store, dicomWebPath="instances"), 2)

    @of("datasets.dicomStores.studies.searchForSeries")
    def search_series_of_a_study(self) -> None:
        self._found(self.studies.searchForSeries(parent=self.store, dicomWebPath=f"{STUDY}/series"), 1)

    @of("datasets.dicomStores.studies.searchForInstances")
    def search_instances_of_a_study(self) -> None:
        self._found(self.studies.searchForInstances(parent=self.store, dicomWebPath=f"{STUDY}/instances"), 2)

    @of("datasets.dicomStores.studies.series.searchForInstances")
    def search_instances_of_a_series(self) -> None:
        self._found(self.series.searchForInstances(parent=self.store, dicomWebPath=f"{SERIES}/instances"), 2)

    def _found(self, request: Any, count: int) -> None:
        found = request.execute()
        assert [one["0020000D"]["Value"] for one in found] == [[samples.STUDY]] * count

    # -- reads

    @of("datasets.dicomStores.studies.retrieveMetadata")
    def metadata_of_a_study(self) -> None:
        self._found(self.studies.retrieveMetadata(parent=self.store, dicomWebPath=f"{STUDY}/metadata"), 2)

    @of("datasets.dicomStores.studies.series.retrieveMetadata")
    def metadata_of_a_series(self) -> None:
        self._found(self.series.retrieveMetadata(parent=self.store, dicomWebPath=f"{SERIES}/metadata"), 2)

    @of("datasets.dicomStores.studies.series.instances.retrieveMetadata")
    def metadata_of_an_instance(self) -> None:
        self._found(self.instances.retrieveMetadata(parent=self.store, dicomWebPath=f"{INSTANCE}/metadata"), 1)

    @of("datasets.dicomStores.studies.retrieveStudy")
    def retrieve_study(self) -> None:
        assert FILE in _raw(self.studies.retrieveStudy(parent=self.store, dicomWebPath=STUDY), ALL)

    @of("datasets.dicomStores.studies.series.retrieveSeries")
    def retrieve_series(self) -> None:
        assert FILE in _raw(self.series.retrieveSeries(parent=self.store, dicomWebPath=SERIES), ALL)

    @of("datasets.dicomStores.studies.series.instances.retrieveInstance")
    def retrieve_instance(self) -> None:
        assert _raw(self.instances.retrieveInstance(parent=self.store, dicomWebPath=INSTANCE), ANY) == FILE

    @of("datasets.dicomStores.studies.series.instances.retrieveRendered")
    def render_an_instance(self) -> None:
        path = f"{INSTANCE}/rendered"
        picture = _raw(self.instances.retrieveRendered(parent=self.store, dicomWebPath=path, viewport="8,8"), "image/png")
        assert picture.startswith(PNG)

    @of("datasets.dicomStores.studies.series.instances.frames.retrieveRendered")
    def render_a_frame(self) -> None:
        request = self.instances.frames().retrieveRendered(parent=self.store, dicomWebPath=f"{INSTANCE}/frames/1/rendered")
        assert _raw(request, "image/png").startswith(PNG)

    @of("datasets.dicomStores.studies.series.instances.frames.retrieveFrames")
    def retrieve_frames(self) -> None:
        request = self.instances.frames().retrieveFrames(parent=self.store, dicomWebPath=f"{INSTANCE}/frames/1")
        assert samples.counted(32) in _raw(request, 'multipart/related; type="application/octet-stream"; transfer-syntax=*')

    @of("datasets.dicomStores.studies.series.instances.bulkdata.retrieveBulkdata")
    def retrieve_bulkdata(self) -> None:
        request = self.instances.bulkdata().retrieveBulkdata(parent=self.store, dicomWebPath=f"{INSTANCE}/bulkdata/7FE00010/")
        assert _raw(request, "application/octet-stream; transfer-syntax=*") == samples.counted(32)

    # -- how much there is, and how it is kept

    @of("datasets.dicomStores.getDICOMStoreMetrics")
    def metrics_of_the_store(self) -> None:
        found = self.stores.getDICOMStoreMetrics(name=self.store).execute()
        assert (found["name"], found["studyCount"], found["instanceCount"]) == (self.store, "1", "2")

    @of("datasets.dicomStores.dicomWeb.studies.getStudyMetrics")
    def metrics_of_a_study(self) -> None:
        study = f"{self.store}/dicomWeb/{STUDY}"
        assert self.stores.dicomWeb().studies().getStudyMetrics(study=study).execute()["instanceCount"] == "2"

    @of("datasets.dicomStores.dicomWeb.studies.series.getSeriesMetrics")
    def metrics_of_a_series(self) -> None:
        series = f"{self.store}/dicomWeb/{SERIES}"
        assert self.stores.dicomWeb().studies().series().getSeriesMetrics(series=series).execute()["instanceCount"] == "2"

    @of("datasets.dicomStores.setBlobStorageSettings")
    def class_of_the_store(self) -> None:
        body = {"blobStorageSettings": {"blobStorageClass": "COLDLINE"}}
        assert self.stores.setBlobStorageSettings(resource=self.store, body=body).execute()["done"]

    @of("datasets.dicomStores.dicomWeb.studies.setBlobStorageSettings")
    def class_of_a_study(self) -> None:
        body, study = {"blobStorageSettings": {"blobStorageClass": "NEARLINE"}}, f"{self.store}/dicomWeb/{STUDY}"
        assert self.stores.dicomWeb().studies().setBlobStorageSettings(resource=study, body=body).execute()["done"]

    @of("datasets.dicomStores.dicomWeb.studies.series.instances.getStorageInfo")
    def storage_of_an_instance(self) -> None:
        instances = self.stores.dicomWeb().studies().series().instances()
        found = instances.getStorageInfo(resource=f"{self.store}/dicomWeb/{INSTANCE}").execute()
        assert (found["blobStorageInfo"]["storageClass"], found["blobStorageInfo"]["sizeBytes"]) == ("NEARLINE", str(len(FILE)))

    # -- from and to elsewhere

    @of("datasets.dicomStores.export")
    def export(self) -> None:
        body = {"gcsDestination": {"uriPrefix": f"file://{self.folder}", "mimeType": ANY}}
        done = self._done(self.stores.export(name=self.store, body=body).execute()["name"])
        assert done["metadata"]["counter"] == {"success": "2"}, done
        assert (self.folder / samples.STUDY / samples.SERIES / f"{samples.SOP}.dcm").read_bytes() == FILE

    @of("datasets.dicomStores.import")
    def import_again(self) -> None:
        body = {"gcsSource": {"uri": f"file://{self.folder}/**.dcm"}}
        done = self._done(self.stores.import_(name=self.store, body=body).execute()["name"])
        assert (done["metadata"]["counter"], done["response"]) == ({"success": "2"}, {"@type": "type.googleapis.com/google.protobuf.Empty"})

    # -- changes, in v1beta1 only

    @of("datasets.dicomStores.updateInstances")
    def update_instances(self) -> None:
        self._stored(self.stores.updateInstances(parent=self.store, dicomWebPath="studies", body={}), renamed("One"))
        assert self._name() == "One"

    @of("datasets.dicomStores.studies.updateInstances")
    def update_instances_of_a_study(self) -> None:
        self._stored(self.studies.updateInstances(parent=self.store, dicomWebPath=STUDY, body={}), renamed("Two"))
        assert self._name() == "Two"

    def _name(self) -> str:
        (found,) = self.instances.retrieveMetadata(parent=self.store, dicomWebPath=f"{INSTANCE}/metadata").execute()
        return str(found["00100010"]["Value"][0]["Alphabetic"])

    @of("datasets.dicomStores.studies.series.instances.updateMetadata")
    def update_metadata_of_an_instance(self) -> None:
        request = self.instances.updateMetadata(parent=self.store, dicomWebPath=INSTANCE, body={})
        assert b'keyword="RetrieveURL"' in _raw(patching(request, "Three"))
        assert self._name() == "Three"

    @of("datasets.dicomStores.studies.series.updateMetadata")
    def update_metadata_of_a_series(self) -> None:
        self._patched(self.series.updateMetadata(parent=self.store, dicomWebPath=SERIES, body={}), "Four")

    @of("datasets.dicomStores.studies.updateMetadata")
    def update_metadata_of_a_study(self) -> None:
        self._patched(self.studies.updateMetadata(parent=self.store, dicomWebPath=STUDY, body={}), "Five")

    def _patched(self, request: Any, name: str) -> None:
        assert self._done(patching(request, name).execute()["name"])["metadata"]["counter"] == {"success": "2"}
        assert self._name() == name

    # -- deletions and operations

    @of("datasets.dicomStores.studies.series.instances.delete")
    def delete_an_instance(self) -> None:
        assert self.instances.delete(parent=self.store, dicomWebPath=INSTANCE).execute() == {}

    @of("datasets.dicomStores.studies.series.delete")
    def delete_a_series(self) -> None:
        self._gone(self.series.delete(parent=self.store, dicomWebPath=SERIES).execute()["name"])

    @of("datasets.dicomStores.studies.delete")
    def delete_a_study(self) -> None:
        self._stored(self.stores.storeInstances(parent=self.store, dicomWebPath="studies", body={}), samples.ct(sop="1.2.3.4.7"))
        self._gone(self.studies.delete(parent=self.store, dicomWebPath=STUDY).execute()["name"])

    def _done(self, name: str) -> Any:
        for _ in range(300):
            operation = self.datasets.operations().get(name=name).execute()
            if operation.get("done"):
                break
            time.sleep(0.05)
        return operation

    def _gone(self, name: str) -> None:
        operation = self._done(name)
        assert operation["metadata"]["counter"] == {"success": "1"}, operation
        request = self.stores.searchForInstances(parent=self.store, dicomWebPath="instances")
        assert _raw(request) == b""

    @of("datasets.operations.get")
    def get_operation(self) -> None:
        assert self.datasets.operations().get(name=self.operation).execute()["name"] == self.operation

    @of("datasets.operations.list")
    def list_operations(self) -> None:
        found = self.datasets.operations().list(name=self.dataset).execute()
        assert self.operation in [one["name"] for one in found["operations"]]

    @of("datasets.operations.cancel")
    def cancel_operation(self) -> None:
        """What has ended goes on being ended."""
        assert self.datasets.operations().cancel(name=self.operation, body={}).execute() == {}

    @of("datasets.dicomStores.delete")
    def delete_store(self) -> None:
        assert self.stores.delete(name=self.store).execute() == {}

    @of("datasets.delete")
    def delete_dataset(self) -> None:
        assert self.datasets.delete(name=self.dataset).execute() == {}


def renamed(name: str) -> bytes:
    """`FILE` with another patient's name."""
    ds = pydicom.dcmread(io.BytesIO(FILE))
    ds.PatientName = name
    return samples.written(ds)


def patching(request: Any, name: str) -> Any:
    """The same request with a JSON Patch (RFC 6902) that gives instances another patient's name."""
    body = json.dumps([{"op": "add", "path": "/00100010", "value": {"vr": "PN", "Value": [{"Alphabetic": name}]}}])
    request.body, request.body_size, request.headers["content-type"] = body, len(body), "application/json-patch+json"
    return request


def _raw(request: Any, accept: str | None = None) -> bytes:
    """The bytes of an answer, whatever they are: where the client would read JSON, it is told not to."""
    if accept is not None:
        request.headers["accept"] = accept
    request.postproc = lambda response, content: content
    answer = request.execute()
    return answer if isinstance(answer, bytes) else json.dumps(answer).encode()
