"""What each route takes and gives, said once for all documents that describe the gateway (`wadl`, `openapi`).

Media types, search keys and limits are taken from the code that serves them; what remains to be written here are names,
sentences and statuses. 500 is in no list: it always is a fault of the gateway.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from gateway.backends.documents import METADATA_OFFERS
from gateway.backends.representations import DICOM, OCTETS
from gateway.backends.views import CODEC_TYPES
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, MULTIPART, Offer
from gateway.dicomweb.resources import Level
from gateway.metrics import Transaction
from gateway.web import capabilities, health, qido, rendered, status, stow, viewer, wado, wado_uri
from gateway.web.composing import TYPES as METADATA
from gateway.web.dialect import STANDARD
from gateway.web.middleware import OPEN
from gateway.web.parameters import (
    ACCEPT,
    ACCEPT_ENCODING,
    BOX,
    CACHE_CONTROL,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    PATH,
    RANGES,
    RENDERING,
    URI,
    Parameter,
    search_parameters,
)
from gateway.web.service import SearchLimits

Content = Mapping[str, str | None]
"""Media type -> the name of its schema in `openapi.SCHEMAS`, None for what is not JSON. The first one is the default."""


class Routed(Protocol):
    """A row of a table of routes."""

    @property
    def method(self) -> str:
        """In upper case."""

    @property
    def path(self) -> str:
        """As aiohttp takes it: ``/studies/{study}``."""

    @property
    def transaction(self) -> Transaction:
        """The service that it belongs to."""

    @property
    def handler(self) -> Callable[..., Awaitable[web.StreamResponse]]:
        """What answers."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One way in which a request can end.

    :param content: empty where there is no body.
    :param headers: those that say something about this answer.
    """

    status: int
    summary: str
    content: Content
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """What one method of one resource does.

    :param name: unique among all routes; that of the transaction in PS3.18 table H-1 where it is there.
    :param summary: a sentence for people.
    :param takes: media types of the request's body, empty where it has none.
    :param accepts: what an Accept can usefully ask for, the default first.
    :param answers: ascending by status.
    :param credentials: whether a token has to be sent.
    """

    name: str
    summary: str
    parameters: tuple[Parameter, ...] = ()
    takes: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()
    credentials: bool = False


@dataclass(frozen=True, slots=True)
class Described:
    """An operation at its place.

    :param path: with the bare names of what varies: ``{bulk}`` for aiohttp's ``{bulk:.+}``.
    """

    method: str
    path: str
    transaction: Transaction
    operation: Operation


def describe(route: Routed, limits: SearchLimits, *, bearer: bool) -> Described:
    """A route with all that can be said about it.

    :param bearer: whether the gateway asks for tokens.
    :raises KeyError: for a handler of which nothing is known here, so that no route can be forgotten.
    """
    at = _At(tuple(re.findall(r"{(\w+)", route.path)), route.path.endswith("/"), limits)
    operation = _OPERATIONS[route.handler](at)
    credentials = bearer and route.transaction not in OPEN
    # What comes before and around all handlers: nonsense, a caller who is not known, a store that is not there, a full house.
    origin = route.transaction not in OPEN | {"capabilities", "other"}
    met = {400: at.names or operation.parameters, 401: credentials, 404: "store" in at.names, 503: True}
    met |= {403: origin, 502: origin, 504: origin}
    common = {status: problem(status) for status, possible in met.items() if possible}
    answers = common | {answer.status: answer for answer in operation.answers}
    whole = replace(
        operation,
        name=operation.name + "InStore" * ("store" in at.names),
        parameters=(*(PATH[name] for name in at.names), *operation.parameters),
        answers=tuple(answers[status] for status in sorted(answers)),
        credentials=credentials,
    )
    path = re.sub(r":[^}]*", "", route.path)
    return Described(route.method, path, route.transaction, _headers_alone(whole) if route.method == "HEAD" else whole)


def _headers_alone(operation: Operation) -> Operation:
    """What HEAD gives where GET is `operation`; ranges have no meaning for it (RFC 9110 14.2)."""
    return replace(
        operation,
        name=operation.name + "Headers",
        summary=f"The headers of the answer to GET. {operation.summary}",
        parameters=tuple(parameter for parameter in operation.parameters if parameter not in RANGES),
        answers=tuple(replace(answer, content={}) for answer in operation.answers if answer.status not in (206, 416)),
    )


# -- pieces

PROBLEM = "application/problem+json"

_PROBLEMS: Mapping[int, tuple[str, tuple[str, ...]]] = {
    400: ("The request cannot be parsed.", ()),
    401: ("No token, or none that is known here.", ("WWW-Authenticate",)),
    403: ("The origin behind the store does not allow it to this caller.", ()),
    404: ("Not known here.", ()),
    406: ("It exists, but in no form that was asked for.", ()),
    408: ("The client stopped sending.", ()),
    410: ("It was here, and was deleted.", ()),
    413: ("A limit of the settings would be passed.", ()),
    415: ("A body of a kind that is not stored.", ()),
    416: ("The range begins beyond the end.", ("Content-Range",)),
    502: ("The origin behind the store cannot be reached, or fails.", ()),
    503: ("Too busy, or the store cannot be used; try again later.", ("Retry-After",)),
    504: ("The origin behind the store takes too long.", ()),
    507: ("No room left.", ()),
}


def problem(status: int) -> Answer:
    """An answer whose body says what is wrong (RFC 9457)."""
    summary, headers = _PROBLEMS[status]
    return Answer(status, summary, {PROBLEM: "Problem"}, headers)


_CODED = ("Content-Encoding",)
_POLICY = "Content-Security-Policy"
_FOUND = ("Age", "ETag", "Last-Modified", "Vary", "Warning", "X-Cache")
_NOT_CHANGED = Answer(304, "Not changed.", {}, _FOUND)


def multipart(inner: str) -> str:
    """The media type of a body with parts of that type (PS3.18 8.6.1.2)."""
    return f'{MULTIPART}; type="{inner}"'


def _content(offers: Iterable[Offer], schema: str) -> Content:
    """What is offered; `schema` is that of the JSON among it."""
    return {_spelled(offer): schema if offer.media_type.endswith("json") else None for offer in offers}


def _spelled(offer: Offer) -> str:
    return multipart(offer.media_type) if offer.multipart else offer.media_type


def _in_syntaxes(*media: str) -> tuple[str, ...]:
    """As stored, which is the default, and in the syntax that other native ones are brought into (PS3.18 8.7.3.5.2)."""
    return tuple(f"{one}; transfer-syntax={syntax}" for one in media for syntax in ("*", EXPLICIT_LITTLE_ENDIAN))


@dataclass(frozen=True, slots=True)
class _At:
    """:param names: what varies in the path, from left to right. :param slash: whether the path ends in one."""

    names: tuple[str, ...]
    slash: bool
    limits: SearchLimits

    @property
    def above(self) -> str:
        """``StudySeries``, ``Study`` or nothing: what a search or a store is confined to."""
        return "".join(name.capitalize() for name in ("study", "series") if name in self.names)

    @property
    def level(self) -> str:
        """``Study``, ``Series``, ``Instance`` or ``Frames``: the lowest that is named."""
        return next(name.capitalize() for name in ("frames", "instance", "series", "study") if name in self.names)


# -- operations


def _store(at: _At) -> Operation:
    content = _content(STANDARD.stored, "DicomObject")
    answers = (
        Answer(200, "Every instance is stored, and durable.", content, _CODED),
        Answer(202, "Some instances are stored; the answer says which are not, and why.", content, (*_CODED, "Warning")),
        Answer(409, "No instance is stored; the answer says why.", content, (*_CODED, "Warning")),
        Answer(507, "No room left for any of them.", {**content, PROBLEM: "Problem"}, (*_CODED, "Warning")),
        *map(problem, (408, 413, 415)),
    )
    summary = "Stores instances of one study." if at.above else "Stores instances."
    parameters, takes = (ACCEPT, ACCEPT_ENCODING), (*map(multipart, (DICOM, *METADATA)), DICOM, *METADATA, OCTETS)
    return Operation(f"Store{at.above}Instances", summary, parameters, takes, tuple(content), answers)


def _search(level: Level, at: _At) -> Operation:
    content = _content(qido.OFFERS, "DicomObjects")
    answers = (
        Answer(200, "What matches, in an order that stays while nothing is stored.", content, (*_CODED, *_FOUND)),
        Answer(204, "Nothing matches.", {}, ("Age", "Vary", "Warning", "X-Cache")),
        _NOT_CHANGED,
        problem(406),
    )
    found = {"study": "Studies", "series": "Series", "instance": "Instances"}[level]
    parameters = (*search_parameters(level, at.limits), ACCEPT_ENCODING, CACHE_CONTROL, IF_NONE_MATCH)
    return Operation(f"SearchFor{at.above}{found}", f"Searches for {found.lower()}.", parameters, (), tuple(content), answers)


def _retrieve(at: _At) -> Operation:
    single = (DICOM,) if at.level == "Instance" else ()
    summary = "An instance" if single else f"All instances of a {at.level.lower()}"
    accepts = _in_syntaxes(multipart(DICOM), *single)
    return _bytes(f"Retrieve{at.level}", f"{summary}, as stored or in another syntax.", (multipart(DICOM),), single, accepts)


_CODECS = sorted({*CODEC_TYPES.values()} - {OCTETS})


def _all_values(kind: str, summary: str, at: _At) -> Operation:
    multi = (*map(multipart, (OCTETS, *_CODECS)),)
    operation = _bytes(f"Retrieve{at.level}{kind}", summary, multi, (), (*_in_syntaxes(multi[0]), *multi[1:]))
    dated = (IF_MODIFIED_SINCE,) if at.level == "Instance" else ()
    return replace(operation, parameters=(*operation.parameters, *dated))


def _pixels(name: str, summary: str, _: _At) -> Operation:
    multi, single = (*map(multipart, (OCTETS, *_CODECS)),), (OCTETS, *_CODECS)
    return _bytes(name, summary, multi, single, (*_in_syntaxes(multi[0], single[0]), *multi[1:], *single[1:]))


def _bytes(name: str, summary: str, multi: tuple[str, ...], single: tuple[str, ...], accepts: tuple[str, ...]) -> Operation:
    """Bytes as multipart, and where there is only one thing to send also by itself, which gives it ranges and a date that counts."""
    found = Answer(200, "Found.", dict.fromkeys((*multi, *single)), _FOUND)
    problems = map(problem, (404, 406, 410))
    if not single:
        return Operation(name, summary, (ACCEPT, CACHE_CONTROL, IF_NONE_MATCH), (), accepts, (found, _NOT_CHANGED, *problems))
    answers = (
        replace(found, headers=("Accept-Ranges", *_FOUND)),
        Answer(206, "The range that was asked for.", dict.fromkeys(single), ("Accept-Ranges", "Content-Range", *_FOUND)),
        _NOT_CHANGED,
        *problems,
        problem(416),
    )
    return Operation(name, summary, (ACCEPT, CACHE_CONTROL, IF_NONE_MATCH, IF_MODIFIED_SINCE, *RANGES), (), accepts, answers)


def _rendered(at: _At) -> Operation:
    alone = at.level in ("Instance", "Frames")
    multi, single = (*map(multipart, (*rendered.PICTURES, *rendered.HELD)),), (*rendered.PICTURES, *rendered.HELD) * alone
    accepts = (*rendered.PICTURES * alone, *map(multipart, rendered.PICTURES))
    what = {"Instance": "an instance", "Frames": "frames"}.get(at.level, f"each instance of a {at.level.lower()}")
    summary = f"A picture of {what}, or the document or video that it holds."
    return _shown(_bytes(f"RetrieveRendered{at.level}", summary, multi, single, accepts), ACCEPT, *RENDERING)


def _thumbnail(at: _At) -> Operation:
    summary = "A small picture that stands for the resource."
    return _shown(_bytes(f"Retrieve{at.level}Thumbnail", summary, (), rendered.PICTURES, rendered.PICTURES), ACCEPT, BOX)


def _by_uri(_: _At) -> Operation:
    media = (DICOM, *rendered.PICTURES, *rendered.HELD)
    return _shown(_bytes("RetrieveByURI", "An instance, or a picture of it (WADO-URI).", (), media, media[:3]), *URI)


def _shown(operation: Operation, *parameters: Parameter) -> Operation:
    """What people look at: it has no date that counts, and documents are guarded."""
    others = (parameter for parameter in operation.parameters if parameter not in (ACCEPT, IF_MODIFIED_SINCE))
    guards = ("Content-Disposition", _POLICY)
    answers = (replace(one, headers=(*guards, *one.headers)) if one.status in (200, 206) else one for one in operation.answers)
    return replace(operation, parameters=(*parameters, *others), answers=tuple(answers))


def _metadata(at: _At) -> Operation:
    content = _content(METADATA_OFFERS, "DicomObjects")
    found = Answer(200, "An object for each instance.", content, (*_CODED, *_FOUND))
    conditions = (IF_NONE_MATCH, IF_MODIFIED_SINCE) if at.level == "Instance" else (IF_NONE_MATCH,)
    parameters, answers = (ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, *conditions), (found, _NOT_CHANGED, *map(problem, (404, 406, 410)))
    return Operation(f"Retrieve{at.level}Metadata", "Attributes without bulk data.", parameters, (), tuple(content), answers)


def _delete(at: _At) -> Operation:
    answers = (Answer(204, "Deleted, durably.", {}), *map(problem, (404, 410, 507)))
    return Operation(f"Delete{at.level}", f"Deletes {'an' if at.level == 'Instance' else 'a'} {at.level.lower()}.", answers=answers)


def _capabilities(at: _At) -> Operation:
    content = _content((capabilities.WADL, capabilities.JSON), "Capabilities")
    summary, parameters = "What the store can do.", (ACCEPT, ACCEPT_ENCODING)
    answers = (Answer(200, summary, content, ("Allow", *_CODED)), problem(406))
    return Operation(f"RetrieveCapabilities{'AtSlash' * at.slash}", summary, parameters, (), tuple(content), answers)


def _openapi(_: _At) -> Operation:
    content = _content((capabilities.JSON,), "OpenAPI")
    answers = (Answer(200, "This document.", content, (*_CODED, "ETag", "Vary")), replace(_NOT_CHANGED, headers=("ETag", "Vary")))
    return Operation("GetOpenAPI", "This document.", (ACCEPT_ENCODING, IF_NONE_MATCH), (), tuple(content), answers)


def _page(name: str, summary: str, content: Content, _: _At) -> Operation:
    return Operation(name, summary, accepts=tuple(content), answers=(Answer(200, summary, content),))


def _viewed(name: str, summary: str, types: Sequence[str], headers: tuple[str, ...], at: _At) -> Operation:
    found = Answer(200, summary, dict.fromkeys(types), (*headers, *_CODED, "ETag", "Vary"))
    answers = (found, replace(_NOT_CHANGED, headers=("ETag", "Vary")), *[problem(404)] * (name != "GetIcon"))
    return Operation(f"{name}{'AtSlash' * at.slash}", summary, (ACCEPT_ENCODING, IF_NONE_MATCH), (), (), answers)


def _status(_: _At) -> Operation:
    summary = "A page for people: stores, their health, and what was asked of them."
    found = Answer(200, summary, {status.HTML: None}, (_POLICY, *_CODED, "Vary"))
    return Operation("GetStatusPage", summary, (ACCEPT_ENCODING,), (), (), (found,))


def _ready(_: _At) -> Operation:
    content = _content((capabilities.JSON,), "Readiness")
    answers = (Answer(200, "They can.", content), Answer(503, "They cannot.", content))
    return Operation("GetReadiness", "Whether requests can be served.", accepts=tuple(content), answers=answers)


_OPERATIONS: Mapping[object, Callable[[_At], Operation]] = {
    stow.store: _store,
    qido.search_studies: partial(_search, "study"),
    qido.search_series: partial(_search, "series"),
    qido.search_instances: partial(_search, "instance"),
    wado.retrieve_instances: _retrieve,
    wado.retrieve_metadata: _metadata,
    wado.retrieve_frames: partial(_pixels, "RetrieveFrames", "Frames as stored, as little-endian octets, or encoded anew."),
    wado.retrieve_bulkdata: partial(_pixels, "RetrieveBulkData", "What a BulkDataURI names; of compressed pixel data the frames."),
    wado.retrieve_all_bulkdata: partial(_all_values, "BulkData", "Every value that a BulkDataURI of the metadata names, a part each."),
    wado.retrieve_pixeldata: partial(_all_values, "PixelData", "The pixel data of each instance; of compressed pixel data the frames."),
    rendered.retrieve_rendered: _rendered,
    rendered.retrieve_thumbnail: _thumbnail,
    wado_uri.retrieve: _by_uri,
    wado.delete: _delete,
    capabilities.of_store: _capabilities,
    capabilities.openapi_page: _openapi,
    health.alive: partial(_page, "GetHealth", "The process answers.", {"text/plain; charset=utf-8": None}),
    health.ready: _ready,
    health.metrics_page: partial(_page, "GetMetrics", "What Prometheus reads.", {CONTENT_TYPE_LATEST: None}),
    status.page: _status,
    status.icon: partial(_viewed, "GetIcon", "The icon of the gateway's pages.", (status.SVG,), (_POLICY,)),
    viewer.page: partial(_viewed, "GetViewer", "The viewer's page.", (viewer.HTML,), (_POLICY,)),
    viewer.file: partial(_viewed, "GetViewerFile", "A file of the viewer.", (viewer.HTML, *viewer.MEDIA), (_POLICY,)),
    health.version_page: partial(_page, "GetVersion", "Name and version of the gateway.", {capabilities.JSON.media_type: "Version"}),
}
