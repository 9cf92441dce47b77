"""The gateway against its own OpenAPI document, by Schemathesis: requests that the document allows, and requests that it does
not, each with an answer that the document must know.

A status, media type, header or body that is not described fails, and so does 5xx, and nonsense that is taken for sense.
Searches alone may take more than the document says: ``StudyDate=*`` is no date, and viewers send it.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi import checks

from gateway.dicom.dictionary import keyword
from gateway.dicomweb.nativexml import native_xml
from gateway.web.description import Described, describe
from gateway.web.routes import everything
from gateway.web.service import SearchLimits
from tests.backends.made import dicom, study
from tests.web.conftest import Serve
from tests.web.gate import MULTIPART, Gate, multipart

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]

KNOWN = {"store": "other", "study": "1.1", "series": "1.1.1", "instance": "1.1.1.1", "frames": "1", "bulk": "7FE00010"} | {
    "file": "app-config.js"
}
"""What every store of the test holds."""

BY_URI = {"requestType": "WADO", "studyUID": "1.1", "seriesUID": "1.1.1", "objectUID": "1.1.1.1"}
"""The same for WADO-URI, which has no answer without."""

EXAMPLES = {"GET": 5, "POST": 10, "DELETE": 4, "OPTIONS": 4}
"""Requests of each kind for each resource of the default store; other stores, which answer by the same code, get one. HEAD is GET."""

LONGEST = 6000
"""Characters of a URL. One of more than 8192 bytes meets no route (see `gateway.connection`)."""

MULTI, SINGLE, OCTETS = 'multipart/related; type="application/dicom"', "application/dicom", "application/octet-stream"

Operation = APIOperation[Any, Any, Any, Any]
Case = schemathesis.Case[Operation]

STORED = study("1.1")
FILES = [*study("3.1"), *STORED, dicom("1.1", PatientID="changed")]
PARTS = st.one_of(
    st.binary(max_size=200), st.sampled_from(FILES), st.builds(lambda file, end: file[:end], st.sampled_from(FILES), st.integers(0, 900))
)
for media in (SINGLE, OCTETS):
    schemathesis.openapi.media_type(media, PARTS)
schemathesis.openapi.media_type(MULTI, st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: multipart(*parts)))

_UIDS = {"00080016": "1.2.840.10008.5.1.4.1.1.88.11", "00080018": "1.1.9.1", "0020000D": "1.1", "0020000E": "1.1.9"}
_REPORT = {key: {"vr": "UI", "Value": [uid]} for key, uid in _UIDS.items()}
METADATA = {"application/dicom+json": orjson.dumps([_REPORT]), "application/dicom+xml": native_xml(_REPORT, keyword)}
TYPED = {f'multipart/related; type="{media}"': f'multipart/related; type="{media}"; boundary=here' for media in METADATA} | {
    MULTI: MULTIPART
}
BODIES = {f'multipart/related; type="{media}"': multipart(data, head="") for media, data in METADATA.items()}
BODIES |= METADATA | {MULTI: multipart(STORED[0])}
for media, whole in METADATA.items():
    cut = st.builds(lambda data, end: data[:end], st.just(whole), st.integers(0, len(whole))) | st.binary(max_size=200)
    schemathesis.openapi.media_type(media, cut)
    schemathesis.openapi.media_type(f'multipart/related; type="{media}"', cut.map(lambda part: multipart(part, head="")))

BY_NAME: dict[str, Described] = {
    one.operation.name: one for one in (describe(route, SearchLimits(), bearer=False) for route in everything())
}


class Caller:
    """Sends requests to a gateway, and holds the answers against the document."""

    def __init__(self, root: str, document: Any) -> None:
        self.root = root
        self.session = requests.Session()
        self.schema = schemathesis.openapi.from_dict(document)
        self.seen: Counter[tuple[str, int]] = Counter()

    def operations(self) -> Iterator[tuple[Described, Operation]]:
        for found in self.schema.get_all_operations():
            assert isinstance(found, Ok)
            operation = found.ok()
            yield BY_NAME[operation.definition.raw["operationId"]], operation

    def send(self, one: Described, case: Case, accept: str) -> None:
        headers = {"Accept": accept} | ({"Content-Type": TYPED[case.media_type]} if case.media_type in TYPED else {})
        response = case.call(base_url=self.root, session=self.session, headers=headers)
        self.seen[one.operation.name, response.status_code] += 1
        case.validate_response(response, checks=CHECKS if one.transaction == "search" else [*CHECKS, checks.negative_data_rejection])


def plainly(caller: Caller) -> None:
    """Each operation on what is there, in each form that it names; then deletions, from instances up to studies; then on nothing."""
    operations = list(caller.operations())
    deletions = sorted((pair for pair in operations if pair[0].method == "DELETE"), key=lambda pair: -len(pair[0].path))
    reads = [pair for pair in operations if pair[0].method in ("GET", "HEAD")]
    for one, operation in [pair for pair in operations if pair not in deletions] + deletions + reads + deletions:
        path = {name: KNOWN[name] for name in re.findall(r"{(\w+)}", one.path)}
        for accept in one.operation.accepts or ("*/*",):
            for media in one.operation.takes or (None,):
                body = BODIES.get(media, STORED[0]) if media else NOT_SET
                query = dict(BY_URI) if by_uri(one) else {}
                caller.send(one, operation.Case(path_parameters=dict(path), query=query, body=body, media_type=media), accept)


def by_uri(one: Described) -> bool:
    """Whether it is WADO-URI."""
    return any(parameter.name == "objectUID" for parameter in one.operation.parameters)


def wildly(caller: Caller, one: Described, operation: Operation, mode: GenerationMode, count: int) -> None:
    """Generated requests to an operation; half of the valid ones name what is there."""

    @settings(max_examples=count, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(mode), st.booleans(), st.sampled_from(["*/*", "text/html", *one.operation.accepts]))
    def run(case: Case, known: bool, accept: str) -> None:
        if known and mode.is_positive and one.method != "DELETE":
            case.path_parameters.update({name: KNOWN[name] for name in case.path_parameters})
            case.query.update(BY_URI if by_uri(one) else {})
        if len(requests.Request("GET", "http://a" + case.formatted_path, params=case.query).prepare().url or "") <= LONGEST:
            caller.send(one, case, accept)

    with suppress(Unsatisfiable):  # not every resource has something that could be wrong
        run()


def run(root: str, document: Any) -> Counter[tuple[str, int]]:
    caller = Caller(root, document)
    for one, operation in caller.operations():
        count = EXAMPLES.get(one.method, 1) if one.path.startswith("/dicom-web") else 1
        if one.operation.parameters and one.method != "HEAD":  # where nothing can be sent, nothing can be wrong
            wildly(caller, one, operation, GenerationMode.POSITIVE, count)
            wildly(caller, one, operation, GenerationMode.NEGATIVE, count)
    plainly(caller)
    return caller.seen


async def filled(serve: Serve, folder: Path) -> Gate:
    (folder / "viewer").mkdir()
    (folder / "viewer" / "index.html").write_text("<html><head></head></html>")
    gate = await serve(backend="local", stores={"other": {"backend": "memory"}}, server={"viewer": folder / "viewer"})
    for base in ("/dicom-web", "/stores/other/dicom-web"):
        stored = await gate.ask("POST", "/studies", {"Content-Type": MULTIPART}, multipart(*STORED), base)
        assert stored.status == 200
    return gate


async def test_every_answer_is_one_that_is_described(serve: Serve, tmp_path: Path) -> None:
    gate = await filled(serve, tmp_path)
    document = (await gate.get("/openapi.json", base="")).json
    seen = await asyncio.to_thread(run, f"http://{gate.host}", document)
    assert {name for name, status in seen if status < 300} == BY_NAME.keys()  # all of them did what they are for, too
    assert {status for _, status in seen} >= {200, 204, 400, 404, 406, 409, 410}
