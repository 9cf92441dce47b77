"""The Capabilities Description of a store: a WADL document (PS3.18 Annex H, W3C Submission of 31 August 2009).

It is a tree of resources like the table of routes read segment by segment. The transaction that retrieves it is left out, as
the note in Annex H asks: WADL does not describe itself.

The JSON form is the one that PS3.18 once printed: attributes under ``@name``, elements under their names, in arrays
where the document may hold several of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any
from xml.etree import ElementTree  # only to write
from xml.etree.ElementTree import Element, SubElement

import orjson

from gateway.backends.base import URL_BASE
from gateway.web.description import Answer, Described, Operation
from gateway.web.parameters import Parameter

NAMESPACE = "http://wadl.dev.java.net/2009/02"
_XSD = "http://www.w3.org/2001/XMLSchema"
_TYPES = {"integer": "xsd:integer", "boolean": "xsd:boolean"}
_STYLES = {"path": "template", "query": "query", "header": "header"}
_SINGLE = {"resources", "request"}


def application(described: Iterable[Described]) -> Element:
    """The root of the document; its base is `URL_BASE`.

    :param described: the operations of a store, their paths below its base.
    """
    root = Element("application", {"xmlns": NAMESPACE, "xmlns:xsd": _XSD})
    resources = SubElement(root, "resources", {"base": URL_BASE})
    for one in described:
        if one.method != "OPTIONS":
            _resource(resources, one).append(_method(one.method, one.operation))
    return root


def _resource(resources: Element, one: Described) -> Element:
    """The resource at the end of a path, made with those on the way where they are missing."""
    templates = {f"{{{parameter.name}}}": parameter for parameter in one.operation.parameters if parameter.place == "path"}
    at = resources
    for segment in one.path.strip("/").split("/"):
        found = next((child for child in at.iterfind("resource") if child.get("path") == segment), None)
        if found is None:
            found = SubElement(at, "resource", {"path": segment})
            if segment in templates:
                found.append(_param(templates[segment], templates[segment].name))
        at = found
    return at


def _method(verb: str, operation: Operation) -> Element:
    method = Element("method", {"name": verb, "id": operation.name})
    SubElement(method, "doc", {"title": operation.summary})
    request = SubElement(method, "request")
    if operation.accepts:
        accept = SubElement(request, "param", {"name": "Accept", "style": "header", "type": "xsd:string", "default": operation.accepts[0]})
        for media in operation.accepts:
            SubElement(accept, "option", {"value": media})
    for parameter in operation.parameters:
        if parameter.place != "path":
            request.extend(_param(parameter, name) for name in (parameter.name, parameter.alias) if name is not None)
    for media in operation.takes:
        SubElement(request, "representation", {"mediaType": media})
    method.extend(_responses(operation.answers))
    return method


def _param(parameter: Parameter, name: str) -> Element:
    schema = parameter.schema
    attributes = {"name": name, "style": _STYLES[parameter.place], "type": _TYPES.get(schema["type"], "xsd:string")}
    if parameter.place == "path" or parameter.required:
        attributes["required"] = "true"
    if parameter.repeats:
        attributes["repeating"] = "true"
    if "default" in schema:
        attributes["default"] = orjson.dumps(schema["default"]).decode()
    param = Element("param", attributes)
    SubElement(param, "doc", {"title": parameter.summary})
    return param


def _responses(answers: Iterable[Answer]) -> Iterator[Element]:
    """Statuses with the same headers and media types share an element."""
    shown = sorted(((answer.headers, tuple(answer.content)), answer.status) for answer in answers)
    grouped = [(key, [status for _, status in group]) for key, group in groupby(shown, lambda pair: pair[0])]
    for (headers, media), statuses in sorted(grouped, key=lambda pair: pair[1]):
        response = Element("response", {"status": " ".join(map(str, statuses))})
        for header in headers:
            SubElement(response, "param", {"name": header, "style": "header", "type": "xsd:string"})
        for one in media:
            SubElement(response, "representation", {"mediaType": one})
        yield response


def to_xml(root: Element) -> bytes:
    """The document as ``application/vnd.sun.wadl+xml``."""
    ElementTree.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root)


def to_json(root: Element) -> bytes:
    """The document as ``application/json``."""
    return orjson.dumps({root.tag: _plain(root)})


def _plain(element: Element) -> Mapping[str, Any]:
    plain: dict[str, Any] = {f"@{name}": value for name, value in element.items()}
    for child in element:
        if child.tag in _SINGLE:
            plain[child.tag] = _plain(child)
        else:
            plain.setdefault(child.tag, []).append(_plain(child))
    return plain
