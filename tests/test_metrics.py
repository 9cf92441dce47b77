"""What can be seen from outside: names with units, labels of closed sets, bounded in size, and sums that are right."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import get_args

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics import MetricWrapperBase

from gateway import metrics
from gateway.backends.cached.keys import KINDS
from gateway.dicomweb.reasons import Reason, WarningReason
from gateway.metrics import TRANSACTIONS
from tests.backends.made import dicom, study
from tests.web.conftest import Serve, blocked, lines, serve
from tests.web.gate import INSTANCE, STORED, Gate, multipart

__all__ = ["blocked", "lines", "serve"]  # fixtures

SERIES = {name: value for name, value in vars(metrics).items() if isinstance(value, MetricWrapperBase)}
STATUSES = {
    str(status) for status in (200, 202, 204, 206, 304, 400, 401, 404, 405, 406, 408, 409, 410, 413, 415, 416, 417, 499, 500, 503, 507)
}
CLOSED: dict[str, set[str]] = {
    "transaction": {*TRANSACTIONS},
    "status": STATUSES,
    "outcome": {"stored", "failed"},
    "reason": {"none"} | {f"{reason:04X}" for reason in (*Reason, *WarningReason)},
    "what": {"blob", "folder"},
    "coding": {"gzip", "zstd"},
    "source": {"made", "kept"},
    "tier": {"memory", "disk"},
    "kind": {*KINDS},
    "loss": {"damaged", "busy", "failed", "old", "full"},
    "work": {*metrics.PIXEL_WORKS},
    "end": {*metrics.PIXEL_ENDS},
    "receiver": {"webhook", "pubsub"},
}
"""Every label and all values that it may have."""

NAMED = {"destination", "origin", "store"}
"""Labels whose values are the stores that the settings name; tests/backends/upstream/test_metering.py holds those of origins."""

UNITS = tuple(
    "_bytes _seconds _requests _answers _instances _outcomes _headers _lines _calls _retries _state _jobs _processes _messages".split()
)
"""What a name may end with: the unit, or what is counted."""

MOST = 600
"""Time series of one gateway, whatever is asked of it."""


def test_series_have_units_and_a_sentence() -> None:
    for metric in SERIES.values():
        name = metric._name
        assert name.startswith("gateway_")
        assert name.endswith(UNITS)
        assert metric._documentation.endswith(".")


def test_labels_are_those_that_are_known() -> None:
    assert {label for metric in SERIES.values() for label in metric._labelnames} - NAMED == set(CLOSED)


def test_transactions_are_the_type_and_the_tuple() -> None:
    assert get_args(metrics.Transaction) == TRANSACTIONS
    assert len(set(TRANSACTIONS)) == len(TRANSACTIONS)


def test_every_series_stands_in_this_one_file() -> None:
    tree = ast.parse(inspect.getsource(metrics))
    made = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    assert len([node for node in made if node.func.id in ("Counter", "Gauge", "Histogram")]) == len(SERIES)  # type: ignore[attr-defined]  # all are Names
    own = {name for name in REGISTRY._names_to_collectors if name.startswith("gateway_")}
    assert own == {name for metric in SERIES.values() for name in REGISTRY._collector_to_names[metric]}


# -- after all kinds of requests


async def asked(gate: Gate) -> list[int]:
    """Every kind of request, good and bad; the statuses."""
    body = multipart(dicom(), b"garbage", *study("1.5"))
    answers = [
        await gate.post(body),
        await gate.post(multipart(b"garbage")),
        await gate.post(multipart(dicom(PatientID="2"))),
        await gate.post(multipart(dicom()), path="/studies/9"),
        await gate.post(b"", "text/plain"),
        await gate.post(b"--x--"),
        await gate.get("/studies"),
        await gate.get("/studies?limit=x"),
        await gate.get("/instances?StudyInstanceUID=9"),
        await gate.get("/studies/1.5/metadata"),
        await gate.get("/studies/1.5/metadata", headers={"Accept-Encoding": "gzip"}),
        await gate.get("/studies/1.5/metadata", headers={"Accept-Encoding": "zstd"}),
        await gate.get(INSTANCE, STORED),
        await gate.get(INSTANCE, STORED, {"Range": "bytes=0-9"}),
        await gate.get(INSTANCE, STORED, {"Range": "bytes=99999-"}),
        await gate.get(INSTANCE, STORED, {"If-None-Match": "*"}),
        await gate.get(INSTANCE, "image/png"),
        await gate.get(INSTANCE + "/frames/1"),
        await gate.get(INSTANCE + "/rendered"),
        await gate.get(INSTANCE + "/thumbnail?viewport=0,0"),
        await gate.get("/wado?requestType=WADO", base=""),
        await gate.get(INSTANCE + "/bulkdata/7FE00010"),
        await gate.get("/studies/1.5"),
        await gate.get("/studies/x"),
        await gate.get("/patients/Doe"),
        await gate.ask("DELETE", "/studies/1.5"),
        await gate.get("/studies/1.5"),
        await gate.ask("PATCH", "/studies"),
        await gate.ask("OPTIONS", "/"),
        await gate.get("/healthz", base=""),
        await gate.get("/readyz", base=""),
    ]
    return [answer.status for answer in answers]


def samples() -> Iterator[tuple[str, dict[str, str], float]]:
    for family in REGISTRY.collect():
        for sample in family.samples:
            if sample.name.startswith("gateway_"):
                yield sample.name, dict(sample.labels), sample.value


def total(name: str, **labels: str) -> float:
    return sum(value for found, given, value in samples() if found == name and labels.items() <= given.items())


@pytest.mark.parametrize("backend", ["memory", "local"])
async def test_label_values_come_from_closed_sets_and_series_are_few(serve: Serve, backend: str) -> None:
    await asked(await serve(backend=backend))
    found = [sample for sample in samples() if not NAMED & set(sample[1])]
    for name, labels, _ in found:
        for label, value in labels.items():
            assert label == "le" or value in CLOSED[label], (name, label, value)
    assert len(found) < MOST


async def test_values_add_up(serve: Serve) -> None:
    gate = await serve()
    names = [
        "requests_total",
        "request_seconds_count",
        "first_byte_seconds_count",
        "instances_total",
        "store_outcomes_total",
        "sent_bytes_total",
    ]
    before = {name: total("gateway_" + name) for name in [*names, "received_bytes_total"]}

    def since(name: str) -> float:
        return total("gateway_" + name) - before[name]

    statuses = await asked(gate)
    assert since("requests_total") == len(statuses)
    assert since("request_seconds_count") == since("first_byte_seconds_count") == len(statuses)
    assert since("store_outcomes_total") == 6 + 1 + 1 + 1
    assert total("gateway_in_flight_requests") == 0
    assert total("gateway_buffered_bytes") == 0


async def test_bytes_and_instances_are_those_on_the_wire(serve: Serve) -> None:
    gate = await serve()
    body = multipart(dicom(), *study("1.5"))
    start = {name: total(f"gateway_{name}_total") for name in ("received_bytes", "sent_bytes", "instances")}

    def since(name: str) -> float:
        return total(f"gateway_{name}_total") - start[name]

    sent = len((await gate.post(body)).body)
    assert (since("received_bytes"), since("sent_bytes"), since("instances")) == (len(body), sent, 5)
    for path, accept, instances in (
        ("/studies/1.5", "*/*", 4),
        (INSTANCE, STORED, 1),
        ("/studies", "*/*", 0),
        ("/studies/1.5/metadata", "*/*", 4),
    ):
        before = since("sent_bytes"), since("instances")
        answer = await gate.get(path, accept)
        assert (since("sent_bytes") - before[0], since("instances") - before[1]) == (len(answer.body), instances)
    before_head = since("sent_bytes")
    await gate.ask("HEAD", INSTANCE, {"Accept": STORED})
    await gate.ask("HEAD", "/studies")
    assert since("sent_bytes") == before_head


async def test_outcomes_of_a_store_by_reason(serve: Serve) -> None:
    gate = await serve(store={"on_duplicate": "skip"})

    def outcomes() -> dict[tuple[str, str], float]:
        return {(labels["outcome"], labels["reason"]): value for name, labels, value in samples() if name == "gateway_store_outcomes_total"}

    before = outcomes()
    await gate.post(multipart(dicom(), b"x", b"y"))
    await gate.post(multipart(dicom(PatientID="2")))
    grown = {key: value - before.get(key, 0) for key, value in outcomes().items() if value != before.get(key, 0)}
    assert grown == {("stored", "none"): 1, ("failed", "C000"): 2, ("stored", "B000"): 1}


def test_what_was_looked_up_counts_like_what_is_looked_up() -> None:
    kept = metrics.of_transaction("bulkdata")
    wanted = metrics.IN_FLIGHT, metrics.REQUEST_SECONDS, metrics.FIRST_BYTE_SECONDS, metrics.SENT_BYTES, metrics.INSTANCES
    assert kept == tuple(series.labels("bulkdata") for series in wanted)
    assert metrics.answered("bulkdata", 206) is metrics.REQUESTS.labels("bulkdata", "206")
    assert metrics.answered("bulkdata", 200) is not metrics.answered("bulkdata", 206)
