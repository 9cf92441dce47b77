"""Projects, datasets, DICOM stores and operations of the Cloud Healthcare API (``/v1`` and ``/v1beta1``).

What is below ``dicomWeb`` is answered by the rooms that answer it elsewhere (`stow`, `qido`, `wado`, `rendered`), in the dialect of
`dialect`; only deleting is another thing here.
"""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from gateway.backends.operations.operating import Operating
from gateway.backends.projects import Projects
from gateway.backends.registry.datasets import Page, Registered
from gateway.dicomweb.resources import Resource
from gateway.errors import BadRequest, NotFound, NotImplementedHere
from gateway.healthcare import names, resources
from gateway.web.context import context_of
from gateway.web.service import Service

PAGE, PAGE_MOST = 100, 1000
"""Datasets, stores or operations in one answer, and at most; Google's bounds."""

_JSON = "application/json; charset=UTF-8"


# -- locations and datasets


async def list_locations(request: web.Request, service: Service) -> web.Response:
    """``GET /v1/projects/{project}/locations``."""
    project = names.location_name(request.match_info["project"], "local").project
    page = _page(request, f"projects/{project}/locations/")
    _no_filter(request)
    found = [names.location_name(project, one) for one in await projects_of(service).locations(project)]
    return _told_page("locations", [_location(one) for one in found if str(one) > page.after], page)


async def get_location(request: web.Request, service: Service) -> web.Response:
    """``GET /v1/projects/{project}/locations/{location}``: any will do."""
    return told(_location(_location_of(request)))


async def create_dataset(request: web.Request, service: Service) -> web.Response:
    """``POST …/datasets?datasetId=``: an operation that has ended."""
    name = names.dataset_name(_location_of(request), request.query.get("datasetId", ""))
    fields = resources.dataset(await body_of(request))
    method = f"google.cloud.healthcare.{version_of(request)}.dataset.DatasetService.CreateDataset"
    operation = await projects_of(service).create_dataset(name, fields, method)
    return told(operation.to_json(version_of(request)))


async def list_datasets(request: web.Request, service: Service) -> web.Response:
    """``GET …/datasets``."""
    location = _location_of(request)
    page = _page(request, f"{location}/datasets/")
    found = await projects_of(service).datasets(location, Page(page.size + 1, page.after))
    return _told_page("datasets", [_shown(one) for one in found], page)


async def get_dataset(request: web.Request, service: Service) -> web.Response:
    """``GET …/datasets/{dataset}``."""
    return told(_shown(await projects_of(service).dataset(_dataset_of(request))))


async def patch_dataset(request: web.Request, service: Service) -> web.Response:
    """``PATCH …/datasets/{dataset}?updateMask=``."""
    body, mask = await body_of(request), request.query.get("updateMask")

    def change(old: dict[str, Any]) -> dict[str, Any]:
        return resources.dataset(resources.patched(old, body, mask, resources.DATASET_FIELDS))

    return told(_shown(await projects_of(service).change_dataset(_dataset_of(request), change)))


async def delete_dataset(request: web.Request, service: Service) -> web.Response:
    """``DELETE …/datasets/{dataset}``, with every store in it."""
    await projects_of(service).delete_dataset(_dataset_of(request))
    return told({})


# -- DICOM stores


async def create_store(request: web.Request, service: Service) -> web.Response:
    """``POST …/dicomStores?dicomStoreId=``."""
    name = names.store_name(_dataset_of(request), request.query.get("dicomStoreId", ""))
    return told(_shown(await projects_of(service).create_store(name, resources.store(await body_of(request)))))


async def list_stores(request: web.Request, service: Service) -> web.Response:
    """``GET …/dicomStores``, by labels where ``filter=`` says so."""
    dataset, expression, found = _dataset_of(request), request.query.get("filter", ""), list[Registered]()
    resources.matches({}, expression)  # so that a filter is judged also where there is no store
    page = _page(request, f"{dataset}/dicomStores/")
    after = page.after
    while len(found) <= page.size:  # what the filter leaves out does not count
        some = await projects_of(service).stores(dataset, Page(PAGE_MOST, after))
        found += [one for one in some if resources.matches(one.fields.get("labels", {}), expression)]
        if len(some) < PAGE_MOST:
            break
        after = some[-1].name
    return _told_page("dicomStores", [_shown(one) for one in found], page)


async def get_store(request: web.Request, service: Service) -> web.Response:
    """``GET …/dicomStores/{store}``."""
    return told(_shown(await projects_of(service).store(store_of(request))))


async def patch_store(request: web.Request, service: Service) -> web.Response:
    """``PATCH …/dicomStores/{store}?updateMask=``."""
    body, mask = await body_of(request), request.query.get("updateMask")

    def change(old: dict[str, Any]) -> dict[str, Any]:
        return resources.store(resources.patched(old, body, mask, resources.STORE_FIELDS))

    return told(_shown(await projects_of(service).change_store(store_of(request), change)))


async def delete_store(request: web.Request, service: Service) -> web.Response:
    """``DELETE …/dicomStores/{store}``, with all that it holds."""
    await projects_of(service).delete_store(store_of(request))
    return told({})


# -- operations


async def list_operations(request: web.Request, service: Service) -> web.Response:
    """``GET …/operations``."""
    dataset = _dataset_of(request)
    page = _page(request, f"{dataset}/operations/")
    _no_filter(request)
    found = await operating_of(service).operations(dataset, Page(page.size + 1, page.after))
    return _told_page("operations", [one.to_json(version_of(request)) for one in found], page)


async def get_operation(request: web.Request, service: Service) -> web.Response:
    """``GET …/operations/{operation}``: what clients poll."""
    operation = await operating_of(service).operation(_operation_of(request))
    return told(operation.to_json(version_of(request)))


async def cancel_operation(request: web.Request, service: Service) -> web.Response:
    """``POST …/operations/{operation}:cancel``: asks it to stop. One that has ended meanwhile, or long ago, is no error."""
    operating, name = operating_of(service), _operation_of(request)
    if (await operating.operation(name)).ended is None:
        with suppress(NotFound):
            await operating.cancel(name)
    return told({})


async def delete(request: web.Request, service: Service) -> web.Response:
    """``DELETE …/dicomWeb/studies/…``: an operation for a study or series, ``{}`` for an instance."""
    found = request.match_info
    resource = Resource.parse(found.get("study"), found.get("series"), found.get("instance"))
    if resource.level == "instance":
        context_of(request).instances += await service.backend(request).delete(resource)
        return told({})
    method = method_of(request, "DeleteStudy" if resource.level == "study" else "DeleteSeries")
    operation = await operating_of(service).delete(store_of(request), resource, method)
    return told(operation.to_json(version_of(request)))


async def unimplemented(request: web.Request, service: Service) -> web.Response:
    """What Google's API has and this gateway does not."""
    raise NotImplementedHere("this gateway does not implement that method of the Cloud Healthcare API")


# -- what a request names


def store_of(request: web.Request) -> names.StoreName:
    """The DICOM store of a URL.

    :raises BadRequest: when a part of its name is none.
    """
    return names.store_name(_dataset_of(request), request.match_info["store"])


def method_of(request: web.Request, name: str) -> str:
    """The name by which Google calls a method of its DICOM service."""
    return f"google.cloud.healthcare.{version_of(request)}.dicomweb.DicomService.{name}"


def _location_of(request: web.Request) -> names.LocationName:
    return names.location_name(request.match_info["project"], request.match_info["location"])


def _dataset_of(request: web.Request) -> names.DatasetName:
    return names.dataset_name(_location_of(request), request.match_info["dataset"])


def _operation_of(request: web.Request) -> names.OperationName:
    return names.operation_name(_dataset_of(request), request.match_info["operation"])


def version_of(request: web.Request) -> str:
    """Which one of the API is asked."""
    return request.path.split("/", 2)[1]


def projects_of(service: Service) -> Projects:
    """:raises NotImplementedHere: when this gateway has no datasets."""
    if service.projects is None:
        raise NotImplementedHere("this gateway has no datasets")
    return service.projects


def operating_of(service: Service) -> Operating:
    """:raises NotImplementedHere: when this gateway has no operations."""
    if service.operating is None:
        raise NotImplementedHere("this gateway has no operations")
    return service.operating


async def body_of(request: web.Request) -> object:
    """The JSON of a request; None where there is none.

    :raises BadRequest: when it is none.
    """
    raw = await request.read()
    try:
        return orjson.loads(raw) if raw.strip() else None
    except orjson.JSONDecodeError:
        raise BadRequest("the body is no JSON") from None


# -- answers


def told(answer: dict[str, Any]) -> web.Response:
    """An answer of Google's API."""
    return web.Response(body=orjson.dumps(answer), headers={"Content-Type": _JSON}, status=HTTPStatus.OK)


def _shown(one: Registered) -> dict[str, Any]:
    return {"name": one.name, **one.fields}


def _location(name: names.LocationName) -> dict[str, Any]:
    return {"name": str(name), "locationId": name.location, "displayName": name.location}


def _told_page(what: str, found: Sequence[Mapping[str, Any]], page: Page) -> web.Response:
    """:param found: one more than fit the page, where there are more."""
    answer: dict[str, Any] = {what: found[: page.size]} if found else {}
    if len(found) > page.size:
        answer["nextPageToken"] = urlsafe_b64encode(found[page.size - 1]["name"].encode()).decode()
    return told(answer)


def _no_filter(request: web.Request) -> None:
    """:raises BadRequest: for a filter, where the API has one and this gateway does not: what it leaves out would be there."""
    if request.query.get("filter"):
        raise BadRequest("this list takes no filter here; leave it out, and choose among what is answered")


def _page(request: web.Request, inside: str) -> Page:
    """``pageSize`` and ``pageToken``: the name that the page before ended with.

    :param inside: what all names of the list begin with, so that no token of another one is taken.
    :raises BadRequest: when one is none.
    """
    size = request.query.get("pageSize", "") or "0"
    if not size.isascii() or not size.isdecimal() or len(size) > 9:
        raise BadRequest("pageSize is a number")
    token = request.query.get("pageToken", "")
    try:
        after = b64decode(token.encode("ascii"), b"-_", validate=True).decode()
    except (NotBase64, UnicodeError, ValueError):
        after = ""
    if token and (not after.startswith(inside) or "/" in after.removeprefix(inside)):
        raise BadRequest("pageToken is none that this gateway gave for this list")
    return Page(min(int(size), PAGE_MOST) or PAGE, after)
