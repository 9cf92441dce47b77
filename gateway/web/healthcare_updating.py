"""Changes of stored metadata by JSON Patch: ``updateMetadata`` of the Cloud Healthcare API, in v1beta1 only."""

from __future__ import annotations

from aiohttp import web

from gateway.backends.base import Failed, StoreResult
from gateway.backends.operations.changing import changed
from gateway.backends.operations.updating import update
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Resource
from gateway.errors import Conflict, InstanceError, NotFound
from gateway.healthcare.jsonpatch import Patch
from gateway.web import healthcare, stow
from gateway.web.context import context_of
from gateway.web.service import Service


async def update_metadata(request: web.Request, service: Service) -> web.Response:
    """``PATCH …/metadata``: an operation for a study or series; an instance is changed at once, and answered as a store is."""
    found = request.match_info
    resource = Resource.parse(found["study"], found.get("series"), found.get("instance"))
    document = await healthcare.body_of(request)
    patch = Patch(document)
    if resource.study in context_of(request).closed:
        raise Conflict("this study is being deleted")
    if resource.level == "instance":
        return await _instance(request, service, resource, patch)
    if not (await service.backend(request).search(Query("instance", resource, limit=1))).results:
        raise NotFound(f"there is no such {resource.level} here")
    method = healthcare.method_of(request, "UpdateStudyMetadata" if resource.level == "study" else "UpdateSeriesMetadata")
    job = update(healthcare.store_of(request), resource, list(document) if isinstance(document, list) else [])
    return healthcare.told((await healthcare.operating_of(service).run(job, method)).to_json(healthcare.version_of(request)))


async def _instance(request: web.Request, service: Service, resource: Resource, patch: Patch) -> web.Response:
    offer = stow.offer_of(request)
    with service.store_slot():
        try:
            result = await changed(service.backend(request), resource, patch)
        except InstanceError as error:
            result = StoreResult((), (Failed(1, error.reason, error.message, error.sop_class, resource.instance),))
    return await stow.answered(request, service, result, offer)
