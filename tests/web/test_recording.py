from __future__ import annotations

from typing import Any

import pytest

from gateway import metrics
from gateway.web.context import Context
from gateway.web.recording import record


def test_an_answer_is_counted_and_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[dict[str, Any]] = []
    monkeypatch.setattr("gateway.web.recording.logs.line", lambda event, **values: lines.append({"event": event, **values}))
    requests, sent = metrics.answered("frames", 206), metrics.of_transaction("frames").sent
    before = requests._value.get(), sent._value.get()
    record("GET", Context("an-id-of-mine", "frames", received=3, sent=70, instances=2), 206, "/dicom-web/{study}")
    assert (requests._value.get(), sent._value.get()) == (before[0] + 1, before[1] + 70)
    (line,) = lines
    assert line.pop("seconds") >= 0
    assert line == {
        "event": "request",
        "method": "GET",
        "route": "/dicom-web/{study}",
        "status": 206,
        "received": 3,
        "sent": 70,
        "instances": 2,
        "request_id": "an-id-of-mine",
    }


def test_what_no_method_is_called_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    methods: list[str] = []
    monkeypatch.setattr("gateway.web.recording.logs.line", lambda event, **values: methods.append(values["method"]))
    record("DOE^JOHN", Context("an-id-of-mine", "search"), 400, "none")
    record("GET", Context("an-id-of-mine", "health"), 200, "/healthz")
    assert methods == ["other"]
