"""Every URL of the Cloud Healthcare API that the gateway answers, on one screen; below ``/v1`` and ``/v1beta1`` alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial, wraps

from aiohttp import web

from gateway.backends.projects import Projects
from gateway.backends.registry.classes import StorageClass
from gateway.dicomweb.resources import Resource
from gateway.errors import NotFound
from gateway.healthcare.names import StoreName
from gateway.web import healthcare, relaying, stow, wado
from gateway.web import healthcare_metrics as metrics
from gateway.web import healthcare_transfer as transfer
from gateway.web import healthcare_updating as updating
from gateway.web.context import context_of
from gateway.web.dialect import VERSIONS
from gateway.web.service import Handler, Route, Service
from gateway.web.shared_routes import INSTANCE, SERIES, SHARED, STUDY

SERVER_ERROR = 500

# No id has a colon: it begins the name of a method.
LOCATIONS = "/projects/{project}/locations"
_LOCATION = LOCATIONS + "/{location}"
_DATASETS = _LOCATION + "/datasets"
_DATASET = _DATASETS + "/{dataset:[^/:]+}"
_STORES = _DATASET + "/dicomStores"
_STORE = _STORES + "/{store:[^/:]+}"
_OPERATIONS = _DATASET + "/operations"
_OPERATION = _OPERATIONS + "/{operation:[^/:]+}"
DICOM_WEB = _STORE + "/dicomWeb"

_MANAGED = (
    Route("GET", LOCATIONS, "other", healthcare.list_locations),
    Route("GET", _LOCATION, "other", healthcare.get_location),
    Route("POST", _DATASETS, "other", healthcare.create_dataset),
    Route("GET", _DATASETS, "other", healthcare.list_datasets),
    Route("GET", _DATASET, "other", healthcare.get_dataset),
    Route("PATCH", _DATASET, "other", healthcare.patch_dataset),
    Route("DELETE", _DATASET, "other", healthcare.delete_dataset),
    Route("POST", _STORES, "other", healthcare.create_store),
    Route("GET", _STORES, "other", healthcare.list_stores),
    Route("GET", _STORE, "other", healthcare.get_store),
    Route("PATCH", _STORE, "other", healthcare.patch_store),
    Route("DELETE", _STORE, "other", healthcare.delete_store),
    Route("GET", _OPERATIONS, "other", healthcare.list_operations),
    Route("GET", _OPERATION, "other", healthcare.get_operation),
    Route("POST", _OPERATION + ":cancel", "other", healthcare.cancel_operation),
)

_OF_STORES = (
    Route("GET", _STORE + ":getDICOMStoreMetrics", "other", metrics.of_store),
    Route("POST", _STORE + ":setBlobStorageSettings", "other", metrics.set_class),
    Route("POST", _STORE + ":import", "other", transfer.import_data),
    Route("POST", _STORE + ":export", "other", transfer.export_data),
)

_MEASURED = (
    Route("GET", STUDY + ":getStudyMetrics", "other", metrics.of_study),
    Route("GET", SERIES + ":getSeriesMetrics", "other", metrics.of_series),
    Route("GET", INSTANCE + ":getStorageInfo", "other", metrics.of_instance),
    Route("POST", STUDY + ":setBlobStorageSettings", "other", metrics.set_class),
)
"""Before the others: UIDs have no colons either, but whoever reads one says that it is none."""

_BELOW = (
    *_MEASURED,
    Route("PUT", "/studies", "store", stow.store),
    Route("PUT", STUDY, "store", stow.store),
    Route("PATCH", STUDY + "/metadata", "store", updating.update_metadata),
    Route("PATCH", SERIES + "/metadata", "store", updating.update_metadata),
    Route("PATCH", INSTANCE + "/metadata", "store", updating.update_metadata),
    Route("GET", INSTANCE + "/bulkdata/{bulk:.+}/", "bulkdata", wado.retrieve_bulkdata),  # Google's own client asks for no other
    Route("DELETE", STUDY, "delete", healthcare.delete),
    Route("DELETE", SERIES, "delete", healthcare.delete),
    Route("DELETE", INSTANCE, "delete", healthcare.delete),
    *SHARED,
)


def places() -> Iterator[Route]:
    """All of them with their whole paths. What Google's API has besides is answered 501, by whatever method it is asked for; what is
    below a project that is bound to the real one goes there (`relaying`)."""
    for version in VERSIONS:
        yield from (place._replace(path=version + place.path, handler=relaying.or_relayed(place.handler)) for place in _MANAGED)
        for place in _BELOW:
            if place.method in ("PUT", "PATCH") and version == "/v1":  # UpdateInstances and UpdateMetadata are in v1beta1 only
                continue
            yield place._replace(path=version + DICOM_WEB + place.path, handler=_at_store(place.handler))
        for place in _OF_STORES:
            yield place._replace(path=version + place.path, handler=_at_store(place.handler))


def others() -> Iterator[Route]:
    """What comes after all other routes."""
    for version in VERSIONS:
        yield Route("*", version + "/projects/{rest:.+}", "other", relaying.or_relayed(healthcare.unimplemented))


async def _classify(projects: Projects, name: StoreName, wanted: StorageClass, stored: Sequence[Resource]) -> None:
    await projects.set_class(name, stored, wanted)


def _at_store(handler: Handler) -> Handler:
    @wraps(handler)
    async def found(request: web.Request, /, service: Service) -> web.StreamResponse:
        name, context = healthcare.store_of(request), context_of(request)
        if (relay := relaying.relay_of(request, service)) is not None:
            return await relaying.at_store(request, service, relay, name, handler)
        projects = healthcare.projects_of(service)
        place = await projects.place(name)
        context.backend = await projects.backend(name)
        if context.transaction == "store":
            context.closed = await healthcare.operating_of(service).deleting(name)
            if (wanted := metrics.class_header(request)) is not None:
                context.stored = partial(_classify, projects, name, wanted)
        try:
            return await handler(request, service=service)
        except Exception as failed:  # it may have taken away what the store was about to need
            if getattr(failed, "status", SERVER_ERROR) >= SERVER_ERROR and await _gone(projects, name, place):
                raise NotFound("the DICOM store was deleted meanwhile") from failed
            raise

    return found


async def _gone(projects: Projects, name: StoreName, place: str) -> bool:
    """Whether a store was deleted, be it that another one has its name."""
    try:
        return await projects.place(name) != place
    except NotFound:
        return True
