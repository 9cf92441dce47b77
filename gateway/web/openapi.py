"""All routes as an OpenAPI 3.1 document: for people with a browser of APIs, for generators of clients, and for tools that test."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gateway.backends.base import URL_BASE
from gateway.web.description import PROBLEM, Answer, Described, Operation
from gateway.web.parameters import Parameter
from gateway.web.service import VERSION

Object = dict[str, Any]

_ABOUT = """
DICOMweb (PS3.18) in front of imaging archives. The default store is at `/dicom-web`, a store of the settings at
`/stores/{store}/dicom-web`; WADO-URI is at `/wado` beside each. Which media types an answer can have stands with it; Accept, or
`accept` in the URL, chooses.
What is not HTTP/1.1, or has a line of more than 8190 bytes, is answered in plain text before any route is looked at.
"""

_TAGS = {
    "store": "Store Transaction, STOW-RS (PS3.18 10.5)",
    "search": "Search Transaction, QIDO-RS (PS3.18 10.6)",
    "retrieve": "Retrieve Transaction, WADO-RS (PS3.18 10.4): whole instances",
    "metadata": "Retrieve Transaction: metadata",
    "frames": "Retrieve Transaction: frames",
    "bulkdata": "Retrieve Transaction: bulk data",
    "rendered": "Retrieve Transaction: what people look at (PS3.18 10.4.1.1.3), and WADO-URI (chapter 9)",
    "delete": "Deletion, which PS3.18 leaves to implementations",
    "capabilities": "What can be done here (PS3.18 8.9)",
    "health": "For probes",
    "page": "For people with a browser",
    "other": "For operators",
}


def _record(**properties: Object) -> Object:
    """An object that has all these properties and no others."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _schema(name: str) -> Object:
    return {"$ref": f"#/components/schemas/{name}"}


_TEXT: Object = {"type": "string"}
_FLAG: Object = {"type": "boolean"}

SCHEMAS: Mapping[str, Any] = {
    "DicomObject": {
        "description": "A data set in the DICOM JSON model (PS3.18 F.2): attributes by tag.",
        "type": "object",
        "propertyNames": {"pattern": "^[0-9A-F]{8}$"},
        "additionalProperties": _schema("DicomAttribute"),
    },
    "DicomObjects": {"type": "array", "items": _schema("DicomObject")},
    "DicomAttribute": {
        "description": "A value representation, and at most one way in which the value is given.",
        "type": "object",
        "properties": {
            "vr": {"type": "string", "pattern": "^[A-Z]{2}$"},
            "Value": {"type": "array", "items": _schema("DicomValue"), "minItems": 1},
            "BulkDataURI": {"type": "string", "format": "uri"},
            "InlineBinary": {"type": "string", "contentEncoding": "base64"},
        },
        "required": ["vr"],
        "maxProperties": 2,
        "additionalProperties": False,
    },
    "DicomValue": {"anyOf": [{"type": ["string", "number", "null"]}, _schema("PersonName"), _schema("DicomObject")]},
    "PersonName": {
        "type": "object",
        "properties": {"Alphabetic": _TEXT, "Ideographic": _TEXT, "Phonetic": _TEXT},
        "additionalProperties": False,
        "minProperties": 1,
    },
    "Problem": {"description": "What is wrong (RFC 9457).", **_record(title=_TEXT, status={"type": "integer"}, detail=_TEXT)},
    "Readiness": _record(
        ready=_FLAG,
        draining=_FLAG,
        stores={"type": "object", "additionalProperties": _record(ready=_FLAG, writable=_FLAG, detail=_TEXT)},
    ),
    "Version": _record(name=_TEXT, version=_TEXT),
    "Capabilities": {"description": "WADL (PS3.18 Annex H), its attributes under @name.", **_record(application={"type": "object"})},
    "OpenAPI": {"type": "object", "required": ["openapi", "info", "paths"]},
}

HEADERS: Mapping[str, str] = {
    "Accept-Ranges": "`bytes` where ranges can be asked for.",
    "Age": "Seconds since the store behind the cache was asked.",
    "Allow": "The methods of this resource.",
    "Cache-Control": "What caches may do with the answer (RFC 9111).",
    "Content-Disposition": "Under what name a document is saved.",
    "Content-Encoding": "How the body is compressed, where Accept-Encoding let it be.",
    "Content-Range": "Which bytes these are, or how many there are (RFC 9110 14.4).",
    "Content-Security-Policy": "That nothing in a document runs, where a browser might run it.",
    "ETag": "Changes with the bytes of the body; a weak one, with W/, with its content.",
    "Last-Modified": "When it was stored.",
    "Retry-After": "Seconds after which another try makes sense.",
    "Vary": "The headers of the request that the answer depends on.",
    "WWW-Authenticate": "Which credentials are asked for.",
    "Warning": "What was not done as it was asked for (PS3.18 8.4.1); there may be several.",
    "X-Cache": "`hit`, `miss` or `stale`, where answers are kept.",
    "X-Request-Id": "The name of the request in the log of the gateway: the one that was sent, or a new one.",
}


def document(described: Sequence[Described], *, bearer: bool) -> Object:
    """The document; the URL of its server is `URL_BASE`.

    :param described: all operations, with whole paths.
    :param bearer: whether the gateway asks for tokens.
    """
    shared = _shared(described)
    security: Object = {"security": [{"bearer": []}]} if bearer else {}
    schemes: Object = {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}} if bearer else {}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DICOMweb gateway",
            "version": VERSION,
            "description": " ".join(_ABOUT.split()),
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": URL_BASE}],
        **security,
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": _paths(described, shared, bearer=bearer),
        "components": {
            "schemas": SCHEMAS,
            "parameters": {name: _parameter(parameter) for name, parameter in shared.items()},
            "headers": {name: {"description": text, "schema": _TEXT} for name, text in HEADERS.items()},
            "responses": _problems(described),
            **schemes,
        },
    }


def _shared(described: Iterable[Described]) -> dict[str, Parameter]:
    """The parameters whose name means the same wherever it stands."""
    found: dict[str, list[Parameter]] = {}
    for one in described:
        for parameter in one.operation.parameters:
            same = found.setdefault(parameter.name, [])
            if parameter not in same:
                same.append(parameter)
    return {name: same[0] for name, same in found.items() if len(same) == 1}


def _problems(described: Iterable[Described]) -> Object:
    """The answers that say no more than what is wrong, by their statuses."""
    answers = (answer for one in described for answer in one.operation.answers)
    return {_name(answer): _response(answer) for answer in answers if _is_plain_problem(answer)}


def _is_plain_problem(answer: Answer) -> bool:
    return answer.content.keys() == {PROBLEM}


def _name(answer: Answer) -> str:
    return f"Problem{answer.status}"


def _paths(described: Iterable[Described], shared: Mapping[str, Parameter], *, bearer: bool) -> Object:
    paths: Object = {}
    for one in described:
        item = paths.setdefault(one.path, _item(one, shared))
        item[one.method.lower()] = _operation(one, shared, bearer=bearer)
    return paths


def _item(one: Described, shared: Mapping[str, Parameter]) -> Object:
    """What all methods of a path have in common."""
    parameters = [_reference(parameter, shared) for parameter in one.operation.parameters if parameter.place == "path"]
    return {"parameters": parameters} if parameters else {}


def _operation(one: Described, shared: Mapping[str, Parameter], *, bearer: bool) -> Object:
    operation = one.operation
    parameters = [_reference(parameter, shared) for parameter in operation.parameters if parameter.place != "path"]
    return {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [one.transaction],
        **({"parameters": parameters} if parameters else {}),
        **(_body(operation) if operation.takes else {}),
        "responses": {str(answer.status): _answer(answer) for answer in operation.answers},
        **({"security": []} if bearer and not operation.credentials else {}),
    }


def _body(operation: Operation) -> Object:
    return {"requestBody": {"required": True, "content": {media: {} for media in operation.takes}}}


def _reference(parameter: Parameter, shared: Mapping[str, Parameter]) -> Object:
    return {"$ref": f"#/components/parameters/{parameter.name}"} if parameter.name in shared else _parameter(parameter)


def _parameter(parameter: Parameter) -> Object:
    made: Object = {"name": parameter.name, "in": parameter.place, "description": parameter.summary, "schema": parameter.schema}
    if parameter.place == "path" or parameter.required:
        made["required"] = True
    if parameter.place == "query" and parameter.schema["type"] == "array":
        made["explode"] = parameter.repeats
    return made


def _answer(answer: Answer) -> Object:
    return {"$ref": f"#/components/responses/{_name(answer)}"} if _is_plain_problem(answer) else _response(answer)


def _response(answer: Answer) -> Object:
    content = {media: {} if name is None else {"schema": _schema(name)} for media, name in answer.content.items()}
    headers = {name: {"$ref": f"#/components/headers/{name}"} for name in (*answer.headers, "Cache-Control", "X-Request-Id")}
    return {"description": answer.summary, "headers": headers, **({"content": content} if content else {})}
