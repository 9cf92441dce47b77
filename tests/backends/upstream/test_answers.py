"""Store answers of origins, as they were seen."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.backends.upstream.answers import DUPLICATE, NOTHING, judged
from gateway.dicomweb.reasons import Reason, WarningReason
from gateway.errors import OriginFailed
from tests.origins.models import xml


def item(sop: str, **more: int) -> dict[str, Any]:
    names = {"reason": "00081197", "warning": "00081196"}
    found: dict[str, Any] = {"00081150": {"vr": "UI", "Value": ["1.2"]}, "00081155": {"vr": "UI", "Value": [sop]}}
    return found | {names[name]: {"vr": "US", "Value": [value]} for name, value in more.items()}


def sequence(*items: dict[str, Any]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(items)} if items else {"vr": "SQ"}


MODEL = {
    "00081198": sequence(item("1.3", reason=0xA701), item("1.4", reason=0x0122)),
    "00081199": sequence(item("1.1"), item("1.2", warning=0xB006)),
}


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(MODEL, indent=1).encode(),
        json.dumps([MODEL]).encode(),
        xml(MODEL, namespace=True),
        xml(MODEL, namespace=False),
    ],
    ids=["json", "array", "xml", "google's xml"],
)
def test_what_is_named_counts_in_either_form(body: bytes) -> None:
    found = judged("", body)
    assert found.stored == {"1.1": None, "1.2": WarningReason.ELEMENTS_DISCARDED}
    assert {sop: reason for sop, (reason, _) in found.failed.items()} == {
        "1.3": Reason.OUT_OF_RESOURCES,
        "1.4": Reason.SOP_CLASS_NOT_SUPPORTED,
    }
    assert "A701" in found.failed["1.3"][1]


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (272, Reason.PROCESSING_FAILURE),
        (0xC123, Reason.CANNOT_UNDERSTAND),
        (0xC122, Reason.TRANSFER_SYNTAX_NOT_SUPPORTED),
        (0xA9FF, Reason.DOES_NOT_MATCH_SOP_CLASS),
        (1, Reason.PROCESSING_FAILURE),
    ],
)
def test_reasons_come_close(number: int, reason: Reason) -> None:
    assert judged("", json.dumps({"00081198": sequence(item("1.3", reason=number))}).encode()).failed["1.3"][0] is reason


def test_sentences_of_the_origin_stay_there() -> None:
    detail = {"00741048": {"vr": "LO", "Value": ["Patient Doe^Jane at /var/pacs"]}}
    found = judged("", json.dumps({"00081198": sequence(item("1.3", reason=272) | detail)}).encode())
    assert "Doe" not in found.failed["1.3"][1]
    known = {"00741048": {"vr": "LO", "Value": ["instance already exists with different content"]}}
    assert judged("", json.dumps({"00081198": sequence(item("1.3", reason=272) | known)}).encode()).failed["1.3"][1] == DUPLICATE


def test_an_unknown_warning_is_still_one_and_a_failure_without_reason_a_failure() -> None:
    found = judged("", json.dumps({"00081199": sequence(item("1.1", warning=0xB123)), "00081198": sequence(item("1.2"))}).encode())
    assert found.stored == {"1.1": WarningReason.COERCED}
    assert found.failed["1.2"][0] is Reason.PROCESSING_FAILURE


def test_an_empty_answer_names_nothing() -> None:
    assert judged("", b" ") == NOTHING
    assert judged("", b'{"00081198":{"vr":"SQ"},"00081199":{"vr":"SQ","Value":[null]}}') == NOTHING
    assert judged("", json.dumps({"00081199": sequence(item("../x"))}).encode()) == NOTHING


@pytest.mark.parametrize(
    "body",
    [b"stored, thank you", b"[1]", b"<html", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b'{"00081199":{"Value":[{"00081155":7}]}}'],
)
def test_what_cannot_be_read_is_an_error(body: bytes) -> None:
    with pytest.raises(OriginFailed, match="cannot be read"):
        judged("text/plain", body)
