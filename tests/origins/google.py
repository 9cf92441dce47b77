"""An origin that behaves as the Cloud Healthcare API does, as far as its documents and clients tell: its limits and its quirks.

It keeps everything in memory, and is written with pydicom and aiohttp alone, so that it shares no mistake with the gateway.

- Searches: `tests.origins.google_search`.
- Stores: single part or multipart; XML unless JSON is asked for; 409 as soon as one instance fails, though others are stored.
- Retrieves: Explicit VR Little Endian unless ``transfer-syntax=*``; single parts of instances only. Nothing is decompressed here.
- Deletes: of a study or series an operation to be polled below ``/v1``, of an instance ``200 {}``.
"""

from __future__ import annotations

import io
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import pydicom
from aiohttp import web
from pydicom.dataset import Dataset
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError

from tests.origins import google_search
from tests.origins.google_rest import VERSIONS, Rest
from tests.origins.models import FAILURE_DETAIL, Model, json_model, xml

PROJECT = "projects/p/locations/l/datasets/d"
STORE = f"/v1/{PROJECT}/dicomStores/s/dicomWeb"
MADE = "projects/p/locations/us-central1/datasets/{dataset}/dicomStores/{store}/dicomWeb"
"""Stores that were made by API; all of them are this one by other names."""
STORES = (STORE, STORE.replace("/v1/", "/v1beta1/"), *(f"{version}/{MADE}" for version in VERSIONS))
EXPLICIT = "1.2.840.10008.1.2.1"
NATIVE = frozenset({"1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.1.99"})
"""Not Big Endian: its pixels would have to be swapped."""

PROCESSING_FAILURE = 272

Uids = tuple[str, str, str]


@dataclass(frozen=True)
class Rights:
    """What the bearer of a token may do. :param studies: those it sees; None for all."""

    studies: Collection[str] | None = None
    write: bool = True


RIGHTS = web.RequestKey("RIGHTS", Rights)
PARTS = web.RequestKey("PARTS", int)


@dataclass(frozen=True)
class Call:
    """A request as it came. :param parts: how many instances a store brought."""

    method: str
    path: str
    params: tuple[tuple[str, str], ...]
    headers: Mapping[str, str] = field(repr=False)
    status: int = 0
    parts: int = 0


@dataclass(frozen=True)
class Instance:
    data: bytes
    dataset: Dataset
    syntax: str

    @property
    def uids(self) -> Uids:
        ds = self.dataset
        return str(ds.StudyInstanceUID), str(ds.SeriesInstanceUID), str(ds.SOPInstanceUID)


class Refused(Exception):
    """An error of Google's kind."""

    def __init__(self, code: int, status: str, message: str) -> None:
        super().__init__(message)
        self.code, self.status, self.message = code, status, message

    def response(self) -> web.Response:
        error = {"code": self.code, "message": self.message, "status": self.status}
        return web.json_response({"error": error}, status=self.code)


NOT_FOUND = Refused(404, "NOT_FOUND", "resource not found")


class Google:
    """The origin. Tests look at `calls` and `instances`, and may change the latter.

    :param url: what DICOMweb paths follow.
    :param tokens: who may do what; empty asks for no token.
    :param counted: whether results of studies show ModalitiesInStudy and the counts.
    :param polls: how often an operation is asked for before it is done.
    """

    def __init__(self, tokens: Mapping[str, Rights] | None = None, *, counted: bool = True, polls: int = 1) -> None:
        self.url = ""
        self.tokens = dict(tokens or {})
        self.counted = counted
        self.polls = polls
        self.rest = Rest()
        self.calls: list[Call] = []
        self.instances: dict[str, Instance] = {}
        self._operations: dict[str, tuple[int, int]] = {}
        self._numbers = itertools.count(1)

    def empty(self) -> None:
        """Forgets everything, calls too."""
        self.instances.clear()
        self.calls.clear()

    @property
    def counts(self) -> Counter[str]:
        """How often each method was called."""
        return Counter(call.method for call in self.calls)

    def app(self) -> web.Application:
        """What answers."""
        app = web.Application(middlewares=[self._surround], client_max_size=1 << 30)
        study, series = "/studies/{study}", "/series/{series}"
        instance = f"{study}{series}/instances/{{instance}}"
        for store in STORES:
            for level, path in (("study", "/studies"), ("series", "/series"), ("series", f"{study}/series")):
                app.router.add_get(store + path, self._searching(level), allow_head=False)
            for path in ("/instances", f"{study}/instances", f"{study}{series}/instances"):
                app.router.add_get(store + path, self._searching("instance"), allow_head=False)
            for path in ("/studies", study):
                app.router.add_post(store + path, self._store)
            for path in (study, study + series, instance):
                app.router.add_get(store + path + "/metadata", self._metadata, allow_head=False)
                app.router.add_get(store + path, self._retrieve, allow_head=False)
                app.router.add_delete(store + path, self._delete)
            app.router.add_get(f"{store}{instance}/frames/{{frames}}", self._frames, allow_head=False)
            app.router.add_get(f"{store}{instance}/bulkdata/{{path:.+}}", self._bulkdata, allow_head=False)
        for version in VERSIONS:
            app.router.add_get(f"{version}/{PROJECT}/operations/{{number}}", self._operation, allow_head=False)
        self.rest.add(app.router)
        return app

    # -- around every request

    @web.middleware
    async def _surround(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        try:
            request[RIGHTS] = self._rights(request)
            response: web.StreamResponse = await handler(request)
        except Refused as refused:
            response = refused.response()
        except web.HTTPException as error:
            response = Refused(error.status, "NOT_FOUND", "no such method").response()
        params = tuple(request.query.items())
        self.calls.append(
            Call(request.method, request.path.removeprefix(STORE), params, request.headers, response.status, request.get(PARTS, 0))
        )
        return response

    def _rights(self, request: web.Request) -> Rights:
        if not self.tokens:
            return Rights()
        rights = self.tokens.get(request.headers.get("Authorization", "").removeprefix("Bearer "))
        if rights is None:
            raise Refused(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        if request.method != "GET" and not rights.write:
            raise Refused(403, "PERMISSION_DENIED", "Permission healthcare.dicomStores.dicomWebWrite denied on resource.")
        return rights

    def _seen(self, request: web.Request) -> list[Instance]:
        """What the sender may see of the resource that the path names."""
        rights = request[RIGHTS]
        wanted = [request.match_info.get(level) for level in ("study", "series", "instance")]
        return [
            one
            for one in self.instances.values()
            if (rights.studies is None or one.uids[0] in rights.studies)
            and all(want in (None, uid) for want, uid in zip(wanted, one.uids, strict=True))
        ]

    def _named(self, request: web.Request) -> list[Instance]:
        found = self._seen(request)
        if not found:
            raise NOT_FOUND
        return found

    # -- search

    def _searching(self, level: str) -> Callable[[web.Request], Any]:
        async def search(request: web.Request) -> web.Response:
            held = [(one.uids, one.dataset, one.syntax) for one in self._seen(request)]
            try:
                results = google_search.search(level, held, list(request.query.items()), self.url, counted=self.counted)
            except google_search.Unsupported as error:
                raise Refused(400, "INVALID_ARGUMENT", str(error)) from error
            if not results:
                return web.Response(status=204)
            return web.Response(body=json.dumps(results).encode(), content_type="application/dicom+json")

        return search

    # -- store

    async def _store(self, request: web.Request) -> web.Response:
        stored: list[Model] = []
        failed: list[Model] = []
        async for data in _parts(request):
            request[PARTS] = request.get(PARTS, 0) + 1
            (failed if (item := self._keep(data, request)).keys() & {"00081197"} else stored).append(item)
        if not request.get(PARTS):
            raise Refused(400, "INVALID_ARGUMENT", "no instances in the request")
        model: Model = {}
        if failed:
            model["00081198"] = {"vr": "SQ", "Value": failed}
        if stored:
            model["00081199"] = {"vr": "SQ", "Value": stored}
            first = next(iter(stored))["00081190"]["Value"][0]
            model = {"00081190": {"vr": "UR", "Value": [first.partition("/series/")[0]]}} | model
        status = 409 if failed else 200
        if "json" in request.headers.get("Accept", ""):
            return web.Response(status=status, body=json.dumps(model).encode(), content_type="application/dicom+json")
        return web.Response(status=status, body=xml(model, namespace=False), content_type="application/dicom+xml")

    def _keep(self, data: bytes, request: web.Request) -> Model:
        """The item of the answer for one instance."""
        try:
            ds = pydicom.dcmread(io.BytesIO(data))
            one = Instance(data, ds, str(ds.file_meta.TransferSyntaxUID))
            study, series, sop = one.uids
        except (InvalidDicomError, AttributeError, ValueError, EOFError, NotImplementedError):
            return _failure("", "", "DICOM instance could not be parsed")
        wanted = request.match_info.get("study", study)
        held = self.instances.get(sop)
        if wanted != study:
            return _failure(ds.SOPClassUID, sop, "study UID does not match the request path")
        if held is not None and held.data != data:
            return _failure(ds.SOPClassUID, sop, "already exists in the store with different content")
        self.instances[sop] = one
        url = f"{self.url}/studies/{study}/series/{series}/instances/{sop}"
        return _reference(ds.SOPClassUID, sop) | {"00081190": {"vr": "UR", "Value": [url]}}

    # -- retrieve

    async def _retrieve(self, request: web.Request) -> web.Response:
        found = self._named(request)
        for media, parameters in _accepted(request):
            multipart = media == "*/*" or "multipart" in parameters
            if media not in ("application/dicom", "*/*") or not (multipart or "instance" in request.match_info):
                continue
            files = [_as(one, parameters.get("transfer-syntax", EXPLICIT)) for one in found]
            whole = [file for file in files if file is not None]
            if len(whole) < len(found):
                continue
            if not multipart:
                return web.Response(body=whole[0], content_type="application/dicom")
            return _multipart("application/dicom", [("application/dicom", file) for file in whole])
        raise Refused(406, "INVALID_ARGUMENT", "none of the accepted media types is available")

    async def _metadata(self, request: web.Request) -> web.Response:
        models = [json_model(one.dataset, self._at(one)) for one in self._named(request)]
        for media, _ in _accepted(request):
            if media in ("application/dicom+json", "application/json", "*/*"):
                return web.Response(body=json.dumps(models).encode(), content_type="application/dicom+json")
            if media == "application/dicom+xml":
                return _multipart(media, [(media, xml(model, namespace=True)) for model in models])
        raise Refused(406, "INVALID_ARGUMENT", "metadata is application/dicom+json")

    def _at(self, one: Instance) -> str:
        study, series, sop = one.uids
        return f"{self.url}/studies/{study}/series/{series}/instances/{sop}"

    async def _frames(self, request: web.Request) -> web.Response:
        [one] = self._named(request)
        numbers = [int(word) for word in request.match_info["frames"].split(",")]
        frames = _frames_of(one)
        if not all(0 < number <= len(frames) for number in numbers):
            raise NOT_FOUND
        for media, parameters in _accepted(request):
            wanted = parameters.get("transfer-syntax", EXPLICIT)
            fits = wanted in ("*", one.syntax) or (wanted == EXPLICIT and one.syntax in NATIVE)
            if parameters.get("multipart") and media == "application/octet-stream" and fits:
                part = f"application/octet-stream; transfer-syntax={one.syntax}"
                return _multipart(media, [(part, frames[number - 1]) for number in numbers])
        raise Refused(406, "INVALID_ARGUMENT", "frames are multipart/related; type=application/octet-stream")

    async def _bulkdata(self, request: web.Request) -> web.Response:
        [one] = self._named(request)
        words = request.match_info["path"].split("/")
        where: Any = one.dataset
        try:
            for tag, item in itertools.zip_longest(words[::2], words[1::2]):
                where = where[int(tag, 16)].value
                where = where if item is None else where[int(item)]
        except (KeyError, IndexError, ValueError):
            raise NOT_FOUND from None
        for media, parameters in _accepted(request):
            if media in ("application/octet-stream", "*/*"):
                if parameters.get("multipart"):
                    return _multipart("application/octet-stream", [("application/octet-stream", bytes(where))])
                return web.Response(body=bytes(where), content_type="application/octet-stream")
        raise Refused(406, "INVALID_ARGUMENT", "bulk data is application/octet-stream")

    # -- delete

    async def _delete(self, request: web.Request) -> web.Response:
        found = self._named(request)
        for one in found:
            del self.instances[one.uids[2]]
        if "instance" in request.match_info:
            return web.json_response({})
        number = str(next(self._numbers))
        self._operations[number] = 0, len(found)
        return web.json_response({"name": f"{PROJECT}/operations/{number}"})

    async def _operation(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        if number not in self._operations:
            raise NOT_FOUND
        asked, counter = self._operations[number]
        self._operations[number] = asked + 1, counter
        done = asked + 1 >= self.polls
        metadata = {
            "@type": "type.googleapis.com/google.cloud.healthcare.v1.OperationMetadata",
            "apiMethodName": "google.cloud.healthcare.v1.dicom.DicomService.DeleteStudy",
            "createTime": "2024-01-31T10:00:00Z",
            "counter": {"success": str(counter)} if done else {"pending": str(counter)},
        }
        operation: dict[str, Any] = {"name": f"{PROJECT}/operations/{number}", "metadata": metadata}
        if done:
            operation |= {"done": True, "response": {"@type": "type.googleapis.com/google.protobuf.Empty"}}
        return web.json_response(operation)


def _failure(sop_class: str, sop: str, detail: str) -> Model:
    reason = {"00081197": {"vr": "US", "Value": [PROCESSING_FAILURE]}, FAILURE_DETAIL: {"vr": "LO", "Value": [detail]}}
    return (_reference(sop_class, sop) if sop else {}) | reason


def _reference(sop_class: str, sop: str) -> Model:
    return {"00081150": {"vr": "UI", "Value": [str(sop_class)]}, "00081155": {"vr": "UI", "Value": [sop]}}


def _accepted(request: web.Request) -> list[tuple[str, dict[str, str]]]:
    """The media types of Accept in their order; of a multipart one the type inside, marked as such."""
    found = []
    for entry in (request.headers.get("Accept") or "*/*").split(","):
        media, *words = [word.strip() for word in entry.split(";")]
        parameters = {name.strip(): value.strip(' "') for name, _, value in (word.partition("=") for word in words)}
        if media == "multipart/related":
            media, parameters["multipart"] = parameters.get("type", "*/*"), "yes"
        found.append((media, parameters))
    return found


def _multipart(media: str, parts: Iterable[tuple[str, bytes]]) -> web.Response:
    boundary = uuid4().hex
    pieces = [f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n".encode() + data + b"\r\n" for kind, data in parts]
    body = b"".join([*pieces, f"--{boundary}--".encode()])
    return web.Response(body=body, headers={"Content-Type": f'multipart/related; type="{media}"; boundary={boundary}'})


async def _parts(request: web.Request) -> AsyncIterator[bytes]:
    media = request.content_type
    if media == "application/dicom":
        yield await request.read()
    elif media == "multipart/related":
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            assert isinstance(part, aiohttp.BodyPartReader)
            yield bytes(await part.read())
    else:
        raise Refused(415, "INVALID_ARGUMENT", "unsupported Content-Type")


def _as(one: Instance, wanted: str) -> bytes | None:
    """The instance in a transfer syntax; None for what would need a codec."""
    if wanted in ("*", one.syntax):
        return one.data
    if wanted != EXPLICIT or one.syntax not in NATIVE:
        return None
    ds = pydicom.dcmread(io.BytesIO(one.data))
    ds.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    out = io.BytesIO()
    pydicom.dcmwrite(out, ds, implicit_vr=False, little_endian=True, force_encoding=True)
    return out.getvalue()


def _frames_of(one: Instance) -> list[bytes]:
    ds = one.dataset
    count = int(ds.get("NumberOfFrames") or 1)
    if "PixelData" not in ds:
        return []
    if one.syntax not in NATIVE:
        return list(generate_frames(ds.PixelData, number_of_frames=count))
    bits = ds.Rows * ds.Columns * ds.get("SamplesPerPixel", 1) * ds.BitsAllocated
    if bits % 8:
        return [ds.PixelData] if count == 1 else []
    return [ds.PixelData[start * bits // 8 : (start + 1) * bits // 8] for start in range(count)]


@asynccontextmanager
async def google(tokens: Mapping[str, Rights] | None = None, *, counted: bool = True, polls: int = 1) -> AsyncIterator[Google]:
    """The origin on a free loopback port, on the loop of the caller."""
    origin = Google(tokens, counted=counted, polls=polls)
    runner = web.AppRunner(origin.app(), access_log=None, handler_cancellation=True)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        origin.url = f"http://{host}:{port}{STORE}"
        origin.rest.root = f"http://{host}:{port}"
        yield origin
    finally:
        await runner.cleanup()
