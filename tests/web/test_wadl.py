"""The WADL document against the table of routes, and against its own grammar."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree  # only to read what was just written
from xml.etree.ElementTree import Element

import pytest

from gateway.web import wadl
from gateway.web.description import Described, describe
from gateway.web.routes import STORE_ROUTES
from gateway.web.service import Route, SearchLimits

NS = "{http://wadl.dev.java.net/2009/02}"

CHILDREN = {
    "application": ["resources"],
    "resources": ["resource"],
    "resource": ["param", "method|resource"],
    "method": ["doc", "request", "response"],
    "request": ["param", "representation"],
    "response": ["param", "representation"],
    "param": ["doc", "option"],
    "representation": [],
    "option": [],
    "doc": [],
}
"""Which elements may stand in which, in this order: the schema of the W3C Submission, as far as it is used."""


def routes() -> list[Route]:
    heads = [route._replace(method="HEAD") for route in STORE_ROUTES if route.method == "GET"]
    return [*STORE_ROUTES, *heads]


def described() -> list[Described]:
    return [describe(route, SearchLimits(), bearer=False) for route in routes()]


ROOT = ElementTree.fromstring(wadl.to_xml(wadl.application(described())))  # noqa: S314 - our own text


def name(element: Element) -> str:
    assert element.tag.startswith(NS)
    return element.tag.removeprefix(NS)


def methods(at: Element, path: str = "") -> Iterator[tuple[str, str, Element]]:
    """Path, verb and element of each method in a document."""
    path += f"/{at.get('path')}" if name(at) == "resource" else ""
    for child in at:
        if name(child) == "method":
            yield path, child.attrib["name"], child
        elif name(child) in ("resources", "resource"):
            yield from methods(child, path)


METHODS = {(path, verb): method for path, verb, method in methods(ROOT)}


def params(method: Element, style: str) -> list[Element]:
    return [param for param in method.iterfind(f"{NS}request/{NS}param") if param.get("style") == style]


def test_the_document_lists_what_is_routed_and_nothing_else() -> None:
    routed = {(re.sub(r":[^}]*", "", route.path), route.method) for route in routes() if route.method != "OPTIONS"}
    assert METHODS.keys() == routed
    assert len(list(methods(ROOT))) == len(routed)


def test_it_does_not_describe_itself() -> None:
    assert ("OPTIONS", "") in {(route.method, route.path) for route in STORE_ROUTES}
    assert not [verb for _, verb in METHODS if verb == "OPTIONS"]


def test_every_element_stands_where_the_grammar_has_it() -> None:
    for element in ROOT.iter():
        order = CHILDREN[name(element)]
        places = [next(place for place, names in enumerate(order) if name(child) in names.split("|")) for child in element]
        assert places == sorted(places), name(element)


def test_there_is_one_base() -> None:
    assert [resources.attrib for resources in ROOT] == [{"base": "@"}]


def test_identifiers_are_unique() -> None:
    ids = [method.attrib["id"] for method in METHODS.values()]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[A-Za-z_][\w.-]*", one) for one in ids)


def test_no_resource_is_there_twice() -> None:
    for element in ROOT.iter():
        paths = [child.get("path") for child in element if name(child) == "resource"]
        assert len(paths) == len(set(paths))


def test_what_varies_in_a_path_is_a_template_parameter() -> None:
    for resource in ROOT.iter(f"{NS}resource"):
        varying = re.fullmatch(r"{(\w+)}", resource.attrib["path"])
        found = [(param.attrib["name"], param.attrib["style"], param.get("required")) for param in resource.iterfind(f"{NS}param")]
        assert found == ([(varying[1], "template", "true")] if varying else [])


def test_searches_name_their_parameters() -> None:
    found = {param.attrib["name"]: param for param in params(METHODS["/studies", "GET"], "query")}
    assert {"limit", "offset", "includefield", "fuzzymatching", "accept"} < found.keys()
    assert {"PatientName", "00100010", "StudyDate", "00080020", "ModalitiesInStudy", "00080061"} < found.keys()
    assert {"SeriesInstanceUID", "0020000E"} < found.keys()  # an attribute of any level is a key
    assert found["limit"].attrib | {"default": ""} == {"name": "limit", "style": "query", "type": "xsd:integer", "default": ""}
    assert (found["limit"].get("default"), found["includefield"].get("repeating")) == ("1000", "true")
    below = {param.attrib["name"] for param in params(METHODS["/studies/{study}/instances", "GET"], "query")}
    assert {"00400275.00400009", "RequestAttributesSequence.ScheduledProcedureStepID", "SOPClassUID", "PatientName"} < below


def test_media_types_are_named_both_ways() -> None:
    (accept,) = [param for param in params(METHODS["/studies", "POST"], "header") if param.get("name") == "Accept"]
    assert accept.get("default") == "application/dicom+json"
    assert [option.get("value") for option in accept if name(option) == "option"] == ["application/dicom+json", "application/dicom+xml"]
    sent = METHODS["/studies", "POST"].iterfind(f"{NS}request/{NS}representation")
    assert 'multipart/related; type="application/dicom"' in [one.get("mediaType") for one in sent]
    answered = METHODS["/studies/{study}/metadata", "GET"].find(f"{NS}response[@status='200']")
    assert answered is not None
    assert [one.get("mediaType") for one in answered.iterfind(f"{NS}representation")][:2] == ["application/dicom+json", "application/json"]


def test_head_names_no_representation() -> None:
    for (_, verb), method in METHODS.items():
        found = method.findall(f"{NS}response/{NS}representation")
        assert bool(found) == (verb != "HEAD")


@pytest.mark.parametrize("one", described(), ids=lambda one: one.operation.name)
def test_statuses_are_all_there_once(one: Described) -> None:
    if one.method == "OPTIONS":
        return
    responses = METHODS[one.path, one.method].findall(f"{NS}response")
    found = [int(status) for response in responses for status in response.attrib["status"].split()]
    assert sorted(found) == [answer.status for answer in one.operation.answers]
    for answer in one.operation.answers:
        (response,) = [response for response in responses if str(answer.status) in response.attrib["status"].split()]
        assert [part.get("mediaType", part.get("name")) for part in response] == [*answer.headers, *answer.content]


def plain(element: Element) -> dict[str, Any]:
    """What the JSON form has to say of an element of the XML form."""
    made: dict[str, Any] = {f"@{key}": value for key, value in element.items()}
    for child in element:
        made.setdefault(name(child), []).append(plain(child))
    for single in ("resources", "request"):
        if single in made:
            (made[single],) = made[single]
    return made


def test_both_forms_say_the_same() -> None:
    found = json.loads(wadl.to_json(wadl.application(described())))
    namespaces = {"@xmlns": NS.strip("{}"), "@xmlns:xsd": "http://www.w3.org/2001/XMLSchema"}
    assert found == {"application": namespaces | plain(ROOT)}
