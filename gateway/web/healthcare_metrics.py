"""How much there is and how it is kept: metrics and storage classes of the Cloud Healthcare API.

Blobs are the instances as they are stored. What Google keeps besides of their headers has no size of its own here, and none is told.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web

from gateway.backends.base import Backend, Countable, Retrieve, View
from gateway.backends.registry.classes import StorageClass, parsed
from gateway.dicomweb.media import parse_accept
from gateway.dicomweb.query import Query
from gateway.dicomweb.resources import Level, Resource
from gateway.errors import BadRequest, NotFound, NotImplementedHere
from gateway.healthcare.times import timestamp
from gateway.web import healthcare
from gateway.web.service import Service

_ONE = parse_accept(["application/dicom; transfer-syntax=*"])

MEASURED = 1000
"""Instances of which the bytes are added up; each is looked up by itself."""

PAGE = 5000


async def of_store(request: web.Request, service: Service) -> web.Response:
    """``GET …/dicomStores/{store}:getDICOMStoreMetrics``."""
    backend = service.backend(request)
    tally = await backend.tally() if isinstance(backend, Countable) else None
    if tally is None:
        raise NotImplementedHere("what this store holds can only be counted by the origin behind it")
    counts = {"studyCount": tally.studies, "seriesCount": tally.series, "instanceCount": tally.instances}
    return healthcare.told({"name": str(healthcare.store_of(request))} | _texts(counts | _size(tally.size)))


async def of_study(request: web.Request, service: Service) -> web.Response:
    """``GET …/studies/{study}:getStudyMetrics``."""
    resource = Resource.parse(request.match_info["study"])
    backend = service.backend(request)
    series, instances = await _below(backend, resource, "series"), await _below(backend, resource, "instance")
    if not instances:
        raise NotFound("there is no such study here")
    counts = {"seriesCount": len(series), "instanceCount": len(instances)} | _size(await _measured(backend, instances))
    return healthcare.told({"study": str(healthcare.store_of(request)) + "/dicomWeb" + resource.path} | _texts(counts))


async def of_series(request: web.Request, service: Service) -> web.Response:
    """``GET …/series/{series}:getSeriesMetrics``."""
    resource = Resource.parse(request.match_info["study"], request.match_info["series"])
    backend = service.backend(request)
    instances = await _below(backend, resource, "instance")
    if not instances:
        raise NotFound("there is no such series here")
    counts = {"instanceCount": len(instances)} | _size(await _measured(backend, instances))
    return healthcare.told({"series": str(healthcare.store_of(request)) + "/dicomWeb" + resource.path} | _texts(counts))


async def of_instance(request: web.Request, service: Service) -> web.Response:
    """``GET …/instances/{instance}:getStorageInfo``."""
    resource = Resource.parse(*(request.match_info[name] for name in ("study", "series", "instance")))
    name = healthcare.store_of(request)
    size = await _size_of(service.backend(request), resource)
    kept = await healthcare.projects_of(service).class_of(name, resource)
    blob: dict[str, Any] = {"sizeBytes": str(size), "storageClass": kept.storage_class}
    if kept.since is not None:
        blob["storageClassUpdateTime"] = timestamp(kept.since)
    return healthcare.told({"referencedResource": f"{name}/dicomWeb{resource.path}", "blobStorageInfo": blob})


async def set_class(request: web.Request, service: Service) -> web.Response:
    """``POST …:setBlobStorageSettings`` of a store or a study: an operation that has ended."""
    resource = Resource.parse(request.match_info.get("study"))
    if resource.study is not None and not await _below(service.backend(request), resource, "instance"):
        raise NotFound("there is no such study here")
    wanted = _wanted(await healthcare.body_of(request))
    method = healthcare.method_of(request, "SetBlobStorageSettings")
    operation = await healthcare.operating_of(service).begin_class(healthcare.store_of(request), resource, wanted, method)
    return healthcare.told(operation.to_json(healthcare.version_of(request)))


def class_header(request: web.Request) -> StorageClass | None:
    """What a store request wants of its instances.

    :raises BadRequest: when there is no such class.
    """
    given = request.headers.get("Storage-Class")
    return None if given is None else parsed(given, "Storage-Class")


def _wanted(body: object) -> StorageClass:
    if not isinstance(body, dict) or not isinstance(settings := body.get("blobStorageSettings"), dict):
        raise BadRequest("the body has no blobStorageSettings")
    if body.get("filterConfig"):
        raise NotImplementedHere("filterConfig reads a list from Cloud Storage, which this gateway does not do")
    return parsed(str(settings.get("blobStorageClass", "")), "blobStorageSettings.blobStorageClass")


async def _below(backend: Backend, resource: Resource, level: Level) -> list[Resource]:
    found: list[Resource] = []
    while True:
        matches = await backend.search(Query(level, resource, limit=PAGE, offset=len(found)))
        found += [_resource(orjson.loads(row)) for row in matches.results]
        if matches.remaining == 0 or not matches.results:
            return found


def _resource(row: dict[str, Any]) -> Resource:
    return Resource(_uid(row, "0020000D"), _uid(row, "0020000E"), _uid(row, "00080018"))


def _uid(row: dict[str, Any], tag: str) -> str | None:
    values = row.get(tag, {}).get("Value")
    return values[0] if values else None


async def _measured(backend: Backend, instances: list[Resource]) -> int | None:
    if len(instances) > MEASURED:
        return None
    return sum([await _size_of(backend, one) for one in instances])


async def _size_of(backend: Backend, resource: Resource) -> int:
    body = await backend.retrieve(Retrieve(resource, View.INSTANCES, _ONE))
    await body.aclose()
    return body.length or 0


def _size(size: int | None) -> dict[str, int]:
    return {} if size is None else {"blobStorageSizeBytes": size}


def _texts(counts: dict[str, int]) -> dict[str, str]:
    """Google writes an int64 as text."""
    return {name: str(count) for name, count in counts.items()}
