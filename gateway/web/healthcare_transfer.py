"""Whole stores from and to elsewhere: ``dicomStores.import`` and ``dicomStores.export`` of the Cloud Healthcare API.

What cannot work is said at once; the operation that is answered else says how it went. Beside ``gs://`` there are ``s3://`` and
``file://`` here, and metadata as lines of JSON (``mimeType`` application/dicom+json).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from gateway.backends.operations.work import Job
from gateway.backends.registry.classes import StorageClass, parsed
from gateway.errors import BadRequest, NotImplementedHere
from gateway.transfers.exporting import exporting
from gateway.transfers.forms import parse_form
from gateway.transfers.importing import importing
from gateway.transfers.uris import Uri, parse_folder, parse_pattern
from gateway.web import healthcare
from gateway.web.service import Service, base_url

UNSPECIFIED = "BLOB_STORAGE_CLASS_UNSPECIFIED"


async def import_data(request: web.Request, service: Service) -> web.Response:
    """``POST …/dicomStores/{store}:import``: an operation."""
    body = _object(await healthcare.body_of(request), "body", {"gcsSource", "blobStorageSettings"})
    source = _object(body.get("gcsSource"), "gcsSource", {"uri"})
    pattern = parse_pattern(source.get("uri"), "gcsSource.uri")
    service.allowed.check(pattern.uri)
    job = importing(healthcare.store_of(request), pattern, _class(body.get("blobStorageSettings")))
    return await _begun(request, service, job, "ImportDicomData")


async def export_data(request: web.Request, service: Service) -> web.Response:
    """``POST …/dicomStores/{store}:export``: an operation."""
    body = _object(await healthcare.body_of(request), "body", {"gcsDestination", "bigqueryDestination", "filterConfig"})
    if body.get("bigqueryDestination") is not None:
        raise NotImplementedHere("this gateway does not export to BigQuery; it writes metadata as NDJSON, which BigQuery loads:"
                                 " gcsDestination with mimeType application/dicom+json")  # fmt: skip
    destination = _object(body.get("gcsDestination"), "gcsDestination", {"uriPrefix", "mimeType"})
    folder = parse_folder(destination.get("uriPrefix"), "gcsDestination.uriPrefix")
    parse_form(mime := destination.get("mimeType"))
    chosen = _chosen(body.get("filterConfig"))
    for uri in (folder, chosen):
        if uri is not None:
            service.allowed.check(uri)
    job = exporting(healthcare.store_of(request), folder, mime, chosen, base_url(request, service))
    return await _begun(request, service, job, "ExportDicomData")


async def _begun(request: web.Request, service: Service, job: Job, method: str) -> web.Response:
    version = healthcare.version_of(request)
    name = f"google.cloud.healthcare.{version}.dicom.DicomService.{method}"
    return healthcare.told((await healthcare.operating_of(service).run(job, name)).to_json(version))


def _chosen(config: object) -> Uri | None:
    if not config:
        return None
    pattern = parse_pattern(_object(config, "filterConfig", {"resourcePathsGcsUri"}).get("resourcePathsGcsUri"), "resourcePathsGcsUri")
    if not pattern.exact:
        raise BadRequest("resourcePathsGcsUri is one file, without wildcards")
    return pattern.uri


def _class(settings: object) -> StorageClass | None:
    if not settings:
        return None
    wanted = _object(settings, "blobStorageSettings", {"blobStorageClass"}).get("blobStorageClass")
    return None if wanted in (None, "", UNSPECIFIED) else parsed(str(wanted), "blobStorageSettings.blobStorageClass")


def _object(value: object, what: str, fields: set[str]) -> Mapping[str, Any]:
    """:raises BadRequest: when it is none, or has other fields."""
    if not isinstance(value, dict):
        raise BadRequest(f"{what} is a JSON object with {', '.join(sorted(fields))}")
    if value.keys() - fields:
        raise BadRequest(f"{what} has a field that is none of {', '.join(sorted(fields))}")
    return value
