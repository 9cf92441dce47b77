"""The OpenAPI document against its own rules, and against what is routed."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway import metrics
from gateway.web import openapi
from gateway.web.description import Described, describe
from gateway.web.parameters import Parameter, search_parameters
from gateway.web.routes import everything
from gateway.web.service import SearchLimits
from tests.web.gate import Gate


def document(*, bearer: bool = False) -> Any:
    made = openapi.document([describe(route, SearchLimits(), bearer=bearer) for route in everything()], bearer=bearer)
    return json.loads(json.dumps(made))


DOCUMENT, GUARDED = document(), document(bearer=True)
METHODS = {"get", "head", "post", "put", "patch", "delete", "options", "trace"}
OPERATIONS = [operation for item in DOCUMENT["paths"].values() for method, operation in item.items() if method in METHODS]


def at(reference: str) -> Any:
    found = DOCUMENT
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return found


def resolved(node: dict[str, Any]) -> Any:
    return at(node["$ref"]) if "$ref" in node else node


@pytest.mark.parametrize("bearer", [True, False])
def test_the_document_is_valid(bearer: bool) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document(bearer=bearer)).iter_errors()] == []


async def test_the_document_lists_what_is_routed_and_nothing_else(plain: Gate) -> None:
    """The Cloud Healthcare API, below /v1 and /v1beta1, has documents of Google's own."""
    resources = [resource for resource in plain.app.router.resources() if not resource.canonical.startswith("/v1")]
    routed = {(route.method.lower(), resource.canonical) for resource in resources for route in resource}
    # aiohttp gives the canonical form of a path without the patterns in it
    listed = {(method, path) for path, item in DOCUMENT["paths"].items() for method in item if method in METHODS}
    assert listed == routed
    assert len(listed) == len(OPERATIONS)


def test_identifiers_are_unique() -> None:
    names = [operation["operationId"] for operation in OPERATIONS]
    assert len(names) == len(set(names))


def test_each_operation_has_a_tag_that_is_explained() -> None:
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    assert {tag for operation in OPERATIONS for tag in operation["tags"]} == tags == set(metrics.TRANSACTIONS)


def test_what_varies_in_a_path_is_a_parameter_of_it() -> None:
    for path, item in DOCUMENT["paths"].items():
        found = [resolved(one) for one in item.get("parameters", [])]
        assert [one["name"] for one in found] == re.findall(r"{(\w+)}", path)
        assert all(one["in"] == "path" and one["required"] for one in found)


def test_uids_have_a_pattern() -> None:
    for name in ("study", "series", "instance"):
        schema = DOCUMENT["components"]["parameters"][name]["schema"]
        assert schema == {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)*$", "maxLength": 64}


def test_nothing_is_shared_that_nobody_uses() -> None:
    text = json.dumps(GUARDED)
    shared = {f"#/components/{kind}/{name}" for kind, members in GUARDED["components"].items() for name in members}
    assert {reference for reference in shared if f'"{reference}"' not in text} == {"#/components/securitySchemes/bearer"}


def test_lists_are_with_commas_unless_they_can_be_repeated() -> None:
    found = {parameter["name"]: parameter for parameter in DOCUMENT["components"]["parameters"].values()}
    assert (found["StudyInstanceUID"]["explode"], found["includefield"]["explode"]) == (False, True)
    assert found["frames"]["schema"]["type"] == "array" and "explode" not in found["frames"]  # in a path that is how it is


def test_parameters_with_one_name_and_two_meanings_stay_where_they_are() -> None:
    limits = {
        level: next(resolved(one) for one in DOCUMENT["paths"][f"/dicom-web/{level}"]["get"]["parameters"] if one.get("name") == "limit")
        for level in ("studies", "instances")
    }
    assert {level: limit["schema"]["default"] for level, limit in limits.items()} == {"studies": 1000, "instances": 10_000}
    assert "limit" not in DOCUMENT["components"]["parameters"]


def test_searches_name_their_parameters() -> None:
    def names(parameters: Any) -> list[str]:
        return [resolved(one)["name"] for one in parameters]

    listed = names(DOCUMENT["paths"]["/dicom-web/studies/{study}/series"]["get"]["parameters"])
    wanted: list[Parameter] = list(search_parameters("series", SearchLimits()))
    assert listed == [*(parameter.name for parameter in wanted), "Accept-Encoding", "Cache-Control", "If-None-Match"]


def test_bodies_of_stores_are_required() -> None:
    for operation in OPERATIONS:
        assert ("requestBody" in operation) == operation["operationId"].startswith("Store")
        assert operation.get("requestBody", {"required": True})["required"]


def test_every_answer_carries_the_name_of_its_request() -> None:
    for operation in OPERATIONS:
        for answer in operation["responses"].values():
            assert {"Cache-Control", "X-Request-Id"} <= set(resolved(answer)["headers"])


def test_headers_are_explained() -> None:
    named = re.findall('"#/components/headers/([A-Za-z-]+)"', json.dumps(GUARDED))
    assert set(named) == set(openapi.HEADERS)


def test_tokens_are_asked_for_where_some_are_known() -> None:
    assert "security" not in DOCUMENT and "securitySchemes" not in DOCUMENT["components"]
    assert GUARDED["security"] == [{"bearer": []}]
    assert GUARDED["components"]["securitySchemes"] == {"bearer": {"type": "http", "scheme": "bearer"}}
    free = {path for path, item in GUARDED["paths"].items() for operation in item.values() if "security" in operation}
    assert free == {"/healthz", "/readyz", "/", "/favicon.ico", "/viewer", "/viewer/", "/viewer/{file}"}
    assert GUARDED["paths"]["/healthz"]["get"]["security"] == []


def test_an_answer_that_only_says_what_is_wrong_is_shared() -> None:
    responses = DOCUMENT["paths"]["/dicom-web/studies"]["post"]["responses"]
    assert responses["415"] == {"$ref": "#/components/responses/Problem415"}
    assert set(resolved(responses["415"])["content"]) == {"application/problem+json"}
    assert set(responses["409"]["content"]) == {"application/dicom+json", "application/dicom+xml"}


def test_a_document_of_nothing_has_no_paths() -> None:
    nothing: list[Described] = []
    assert openapi.document(nothing, bearer=False)["paths"] == {}
