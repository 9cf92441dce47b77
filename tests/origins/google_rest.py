"""What a fake Google answers beside its DICOM store: datasets, FHIR and HL7v2 stores, access control; see `tests.origins.google`.

Its answers carry what a real one's do and no caller of a gateway should see: cookies, the names of machines, and its own URLs.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

VERSIONS = ("/v1", "/v1beta1")
INTERNAL = {"Set-Cookie": "NID=canary-cookie", "Server": "ESF", "X-Powered-By": "canary-machine", "Alt-Svc": 'h3=":443"'}
PIECE = 64 << 10

Json = dict[str, Any]


def answered(body: Json, status: int = 200, **headers: str) -> web.Response:
    """An answer of the API's front end."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return web.json_response(body, status=status, headers=INTERNAL | named)


def refused(status: int, code: str, message: str) -> web.Response:
    return answered({"error": {"code": status, "message": message, "status": code}}, status)


class Rest:
    """:ivar root: scheme and host. :ivar resources: what FHIR stores hold, by path. :ivar uploaded: bytes of the last ``:upload``.
    :ivar downloaded: bytes of ``:large`` that were taken.
    :ivar waiting: set, answers of ``:wait`` may go out. :ivar left: how often somebody left such an answer.
    """

    def __init__(self) -> None:
        self.root = ""
        self.names: dict[str, Json] = {}
        self.resources: dict[str, Json] = {}
        self.uploaded = 0
        self.downloaded = 0
        self.waiting = asyncio.Event()
        self.left = 0
        self._ids = itertools.count(1)

    def add(self, router: web.UrlDispatcher) -> None:
        """Its routes, which come after those of the DICOM store."""
        for version in VERSIONS:
            project = version + "/projects/p"
            dataset = project + "/locations/{location}/datasets/{dataset:[^/:]+}"
            kind = dataset + "/{kind:dicomStores|fhirStores|hl7V2Stores|consentStores|annotationStores}"
            store = kind + "/{one:[^/:]+}"
            router.add_get(project + "/locations", self._locations)
            router.add_post(project + "/locations/{location}/datasets", self._create_dataset)
            for path in (dataset, store):
                router.add_get(path, self._get, allow_head=False)
                router.add_patch(path, self._patch)
                router.add_delete(path, self._delete)
                router.add_route("*", path + ":{verb}", self._verb)
            router.add_post(kind, self._create)
            router.add_get(store + "/fhir/{type}", self._search, allow_head=False)
            router.add_post(store + "/fhir/{type}", self._create_resource)
            router.add_get(store + "/fhir/{type}/{id}", self._read_resource, allow_head=False)
            router.add_post(store + "/messages", self._message)

    # -- datasets and stores

    async def _locations(self, request: web.Request) -> web.Response:
        name = "projects/p/locations/us-central1"
        return answered({"locations": [{"name": name, "locationId": "us-central1"}]})

    async def _create_dataset(self, request: web.Request) -> web.Response:
        name = request.path.split("/", 2)[2] + "/" + request.query["datasetId"]
        self.names[name] = {"name": name}
        return answered({"name": f"{name}/operations/{next(self._ids)}", "done": True, "response": {"name": name}})

    async def _create(self, request: web.Request) -> web.Response:
        (word,) = [value for key, value in request.query.items() if key.endswith("StoreId")]
        name = request.path.split("/", 2)[2] + "/" + word
        body = await request.read()
        self.names[name] = (json.loads(body) if body.strip() else {}) | {"name": name}
        return answered(self.names[name])

    async def _get(self, request: web.Request) -> web.Response:
        found = self.names.get(request.path.split("/", 2)[2])
        return refused(404, "NOT_FOUND", "resource not found") if found is None else answered(found)

    async def _patch(self, request: web.Request) -> web.Response:
        name = request.path.split("/", 2)[2]
        self.names[name] |= await request.json()
        return answered(self.names[name])

    async def _delete(self, request: web.Request) -> web.Response:
        gone = request.path.split("/", 2)[2]
        self.names = {name: one for name, one in self.names.items() if name != gone and not name.startswith(gone + "/")}
        return answered({})

    async def _verb(self, request: web.Request) -> web.StreamResponse:
        verb = request.match_info["verb"]
        if verb == "upload":
            self.uploaded = 0
            async for piece in request.content.iter_any():
                self.uploaded += len(piece)
            return answered({"size": str(self.uploaded)})
        if verb == "early":
            return refused(429, "RESOURCE_EXHAUSTED", "quota exceeded")
        if verb == "moved":
            return web.Response(status=307, headers={"Location": "http://elsewhere.example/"})
        if verb == "large":
            return await self._large(request)
        if verb == "wait":
            return await self._wait()
        if verb == "later":
            await self.waiting.wait()
            return answered({"size": str(len(await request.read()))})
        if verb == "echo":
            return answered(
                {"headers": [list(pair) for pair in request.headers.items()], "query": request.query_string, "path": request.raw_path}
            )
        if verb in ("import", "export", "deidentify"):
            return answered({"name": request.path.split("/", 2)[2].partition(":")[0] + f"/operations/{next(self._ids)}"})
        if verb == "testIamPermissions":
            return answered({"permissions": (await request.json())["permissions"]})
        return answered({"bindings": [], "etag": "ACAB"})

    async def _large(self, request: web.Request) -> web.StreamResponse:
        """As many bytes as are asked for, slowly enough that a reader can stop."""
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        response.content_length = int(request.query["size"])
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        async for piece in _zeros(response.content_length):
            await response.write(piece)
            self.downloaded += len(piece)
        return response

    async def _wait(self) -> web.Response:
        try:
            await self.waiting.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        return answered({})

    # -- FHIR and HL7v2

    async def _create_resource(self, request: web.Request) -> web.Response:
        number = str(next(self._ids))
        made = await request.json() | {"id": number, "meta": {"versionId": "1"}}
        path = f"{request.path}/{number}"
        self.resources[path] = made
        return self._fhir(made, 201, Location=f"{self.root}{path}/_history/1", ETag='W/"1"')

    async def _read_resource(self, request: web.Request) -> web.Response:
        found = self.resources.get(request.path)
        if found is None:
            return self._fhir({"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "not-found"}]}, 404)
        return self._fhir(found, 200, ETag='W/"1"')

    async def _search(self, request: web.Request) -> web.Response:
        found = {path: one for path, one in self.resources.items() if path.startswith(request.path + "/")}
        entries = [{"fullUrl": self.root + path, "resource": one, "search": {"mode": "match"}} for path, one in found.items()]
        links = [{"relation": word, "url": f"{self.root}{request.path_qs}"} for word in ("search", "first", "self")]
        return self._fhir({"resourceType": "Bundle", "type": "searchset", "total": len(entries), "entry": entries, "link": links})

    async def _message(self, request: web.Request) -> web.Response:
        name = f"{request.path.split('/', 2)[2]}/{next(self._ids)}="
        return answered((await request.json())["message"] | {"name": name, "messageType": "ADT"})

    def _fhir(self, body: Json, status: int = 200, **headers: str) -> web.Response:
        response = answered(body, status, **headers)
        response.headers["Content-Type"] = "application/fhir+json;charset=utf-8"
        return response


async def _zeros(size: int) -> AsyncIterator[bytes]:
    for start in range(0, size, PIECE):
        yield bytes(min(PIECE, size - start))
        await asyncio.sleep(0)
