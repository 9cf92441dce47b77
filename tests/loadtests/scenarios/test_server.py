"""How a user asks, at a session that answers what it is told to; test_users.py has the real ones."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from locust.exception import RescheduleTask

from loadtests.checks import Mismatch
from loadtests.scenarios import server
from loadtests.scenarios.server import TRIES, Answer, Server
from loadtests.scenarios.tokens import Token
from loadtests.synthetic import SIZES, Study

NAME = "WADO frame"


class Response:
    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.status_code, self.content, self.headers = status, body, headers
        self.error = "refused"
        self.request_meta: dict[str, Any] = {"name": NAME, "response_length": len(body)}
        self.result: str | None = None

    def success(self) -> None:
        self.result = "success"

    def failure(self, message: str) -> None:
        self.result = message


class Session:
    """Answers in turn, the last one for ever; keeps what was asked."""

    def __init__(self, *answers: tuple[int, bytes, dict[str, str]]) -> None:
        self.client = SimpleNamespace(clientpool=SimpleNamespace(client_args={}, close=lambda: None))
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.given: list[Response] = []

    @contextmanager
    def request(self, method: str, path: str, name: str, body: bytes | None, *, headers: dict[str, str], **_: Any) -> Iterator[Response]:
        self.asked.append((method, path, headers))
        response = Response(*(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]))
        response.request_meta["name"] = name
        self.given.append(response)
        yield response

    @property
    def counted(self) -> list[tuple[str, str | None]]:
        return [(one.request_meta["name"], one.result) for one in self.given]


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    waits: list[float] = []
    monkeypatch.setattr(server, "time", SimpleNamespace(sleep=waits.append, time=time.time, monotonic=time.monotonic))
    return waits


def at(*answers: tuple[int, bytes, dict[str, str]], token: str = "") -> tuple[Session, Server]:
    session: Any = Session(*answers)
    return session, Server(session, Token(fallback=token))


def accepted(answer: Answer) -> None:
    if answer.status not in (200, 304):
        raise Mismatch("not right")


BUSY = (503, b"later", {"retry-after": "3"})
RIGHT = (200, b"x", {"etag": '"1"'})


def test_an_answer_that_passes_its_check_is_a_success(slept: list[float]) -> None:
    session, host = at(RIGHT, token="t")
    host.ask(NAME, "/path", {"Accept": "*/*"}, accepted)
    assert session.counted == [(NAME, "success")]
    assert session.asked == [("GET", "/path", {"Accept": "*/*", "Authorization": "Bearer t"})]
    assert slept == []


def test_a_failure_ends_the_task_after_a_rest(slept: list[float]) -> None:
    session, host = at((500, b"", {}))
    with pytest.raises(RescheduleTask):
        host.ask(NAME, "/path", {}, accepted)
    assert session.counted == [(NAME, "not right")] and slept == [server.BACK_OFF]


def test_no_answer_is_a_failure_that_says_why() -> None:
    session, host = at((0, b"", {}))
    with pytest.raises(RescheduleTask):
        host.ask(NAME, "/path", {}, accepted)
    assert session.counted == [(NAME, "no answer: 'refused'")]


@pytest.mark.parametrize("status", [429, 503])
def test_who_is_told_to_wait_waits_and_asks_again(slept: list[float], status: int) -> None:
    session, host = at((status, b"later", {"retry-after": "3"}), RIGHT)
    host.ask(NAME, "/path", {}, accepted)
    assert session.counted == [(NAME + ", told to wait", "success"), (NAME, "success")]
    assert len(slept) == 1 and 3 <= slept[0] <= 3 * server.SPREAD


def test_who_is_told_to_wait_for_ever_has_failed(slept: list[float]) -> None:
    session, host = at(BUSY)
    with pytest.raises(RescheduleTask):
        host.ask(NAME, "/path", {}, accepted)
    assert len(session.counted) == TRIES and session.counted[-1] == (NAME, f"status 503 with Retry-After, {TRIES} times")


def test_503_without_retry_after_is_a_failure() -> None:
    session, host = at((503, b"", {}))
    with pytest.raises(RescheduleTask):
        host.ask(NAME, "/path", {}, accepted)
    assert session.counted == [(NAME, "not right")]


def test_bytes_count_in_both_directions() -> None:
    study = Study(1, 1, 2, SIZES["small"])
    item = {"00081155": {"Value": [study.sop_uid(0)]}}
    body = orjson.dumps({"00081199": {"Value": [item]}})
    session, host = at((200, body, {}))
    host.store(NAME, study, range(1))
    assert session.counted == [(NAME, "success")] and session.asked[0][0] == "POST"
    assert session.given[0].request_meta["response_length"] > len(body) + len(study.instance(0))


def test_what_was_read_is_asked_for_with_its_tag() -> None:
    session, host = at(RIGHT, (304, b"", {"etag": '"1"'}))
    for _ in range(3):
        host.ask_again(NAME, "/path", {"Accept": "a/b"}, accepted)
    again = ("GET", "/path", {"Accept": "a/b", "If-None-Match": '"1"'})
    assert session.asked == [("GET", "/path", {"Accept": "a/b"}), again, again]
    assert session.counted == [(NAME, "success"), (NAME + ", again", "success"), (NAME + ", again", "success")]


def test_another_media_type_is_another_thing() -> None:
    session, host = at(RIGHT)
    for accept in ("a/b", "c/d"):
        host.ask_again(NAME, "/path", {"Accept": accept}, accepted)
    assert not any("If-None-Match" in headers for _, _, headers in session.asked)


def test_a_new_tag_takes_the_place_of_the_old_one() -> None:
    session, host = at(RIGHT, (200, b"y", {"etag": '"2"'}), (304, b"", {}))
    for _ in range(3):
        host.ask_again(NAME, "/path", {"Accept": "a/b"}, accepted)
    assert [headers.get("If-None-Match") for _, _, headers in session.asked] == [None, '"1"', '"2"']


def test_the_whole_again_under_the_same_tag_is_a_failure() -> None:
    session, host = at(RIGHT)
    host.ask_again(NAME, "/path", {"Accept": "a/b"}, accepted)
    with pytest.raises(RescheduleTask):
        host.ask_again(NAME, "/path", {"Accept": "a/b"}, accepted)
    assert session.counted[-1] == (NAME + ", again", "status 200 with the entity tag of If-None-Match, instead of 304")


def test_tags_are_forgotten_oldest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "TAGS", 2)
    session, host = at(RIGHT)
    for path in ("/1", "/2", "/3", "/1"):
        host.ask_again(NAME, path, {"Accept": "a/b"}, accepted)
    assert "If-None-Match" not in session.asked[-1][2]


def test_a_study_comes_whole_or_fails() -> None:
    study = Study(1, 1, 2, SIZES["small"])
    head = b"\r\n--b\r\n\r\n"
    whole = head + study.instance(1) + head + study.instance(0) + b"\r\n--b--"
    session, host = at((200, whole, {"content-type": "multipart/related; boundary=b"}))
    host.retrieve_study(NAME, study)
    assert session.counted == [(NAME, "success")]
    _, host = at((200, whole[:-5], {"content-type": "multipart/related; boundary=b"}))
    with pytest.raises(RescheduleTask):
        host.retrieve_study(NAME, study)
