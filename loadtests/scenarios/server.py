"""A DICOMweb server as one user sees it: asking, waiting when told to, remembering entity tags, counting.

FastHttpSession reads 4 KiB at a time unless told otherwise, and keeps each answer whole in memory: the first is mended here, the
second is what comparing all bytes costs. A user asks for one thing at a time, so that N users are N requests at once.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from locust.contrib.fasthttp import FastHttpSession
from locust.exception import RescheduleTask

from loadtests import checks
from loadtests.checks import Attributes, Mismatch
from loadtests.scenarios.bodies import store_request
from loadtests.scenarios.summary import BUSY
from loadtests.scenarios.tokens import Token
from loadtests.synthetic import Study

JSON = "application/dicom+json"
INSTANCE = 'multipart/related; type="application/dicom"; transfer-syntax=*'  # as it was stored
FRAME = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'

READ = 256 << 10  # bytes of a socket at a time: 1.5 s of CPU time a GB of whole studies, instead of 2.2 with 4 KiB
FRESH_AFTER = 0.5  # seconds: a connection that rested may be closed by the server at the moment in which a POST is written to it
BACK_OFF = 1.0  # seconds after a failure, so that a server that is down is not asked ten thousand times a second
TRIES = 10  # of a request that is told to wait; then it counts as a failure
SPREAD = 1.25  # times the seconds of Retry-After at most, so that those who wait do not come back all at once
TAGS = 1000  # entity tags that a user remembers, the oldest go first


class Answer(NamedTuple):
    """What a server answered, headers only as far as they are looked at; an absent one is empty."""

    status: int
    body: bytes
    content_type: str
    etag: str
    retry_after: str


Check = Callable[[Answer], None]


class Server:
    """:param session: connections of one user to one base URL. :param token: what it lets the user in for."""

    def __init__(self, session: FastHttpSession, token: Token) -> None:
        self._session: Any = session  # it takes bytes as a body, which its annotations do not know
        self._pool = session.client.clientpool
        self._pool.client_args["block_size"] = READ
        self._token = token
        self._tags: dict[tuple[str, str], str] = {}
        self._last = 0.0

    def ask(self, name: str, path: str, headers: Mapping[str, str], check: Check, body: bytes | None = None) -> None:
        """One request, counted under `name`; what `check` objects to is counted as its failure.

        503 and 429 with Retry-After are waited for and counted apart: neither a success nor a failure of its kind.

        :raises RescheduleTask: after a failure: the rest of the task makes no sense.
        """
        for tries in range(1, TRIES + 1):
            if (wait := self._once(name, path, headers, check, body, last=tries == TRIES)) is None:
                return
            time.sleep(wait * random.uniform(1, SPREAD))

    def _once(self, name: str, path: str, headers: Mapping[str, str], check: Check, body: bytes | None, *, last: bool) -> float | None:
        """Seconds to wait before the same again; None when it was answered."""
        if time.monotonic() - self._last > FRESH_AFTER:
            self._pool.close()
        method = "GET" if body is None else "POST"
        sent = {**headers, **self._token.headers()}
        with self._session.request(method, path, name, body, catch_response=True, headers=sent) as response:
            self._last = time.monotonic()
            response.request_meta["response_length"] += len(body or b"")  # so that stores show in megabytes a second, too
            try:
                wait = _judge(_answer(response), check, last=last)
                if wait is not None:
                    response.request_meta["name"] += BUSY
                response.success()
                return wait
            except Mismatch as mismatch:
                response.failure(str(mismatch))
        time.sleep(BACK_OFF)
        raise RescheduleTask

    def ask_again(self, name: str, path: str, headers: Mapping[str, str], check: Check) -> None:
        """As `ask`; what was read before is asked for with If-None-Match, and may be answered with 304. Counted apart."""
        key = path, headers["Accept"]
        known = self._tags.get(key)

        def judge(answer: Answer) -> None:
            if known is not None and checks.unchanged(answer.status, answer.body, known, answer.etag):
                return
            check(answer)
            if answer.etag:
                self._remember(key, answer.etag)

        if known is None:
            self.ask(name, path, headers, judge)
        else:
            self.ask(f"{name}, again", path, {**headers, "If-None-Match": known}, judge)

    def _remember(self, key: tuple[str, str], tag: str) -> None:
        self._tags[key] = tag
        if len(self._tags) > TAGS:
            del self._tags[next(iter(self._tags))]

    # -- the services of PS3.18

    def search(self, name: str, path: str, check: Callable[[list[Attributes]], None]) -> None:
        """QIDO-RS (10.6), answered with DICOM JSON; no content (204) is no results."""
        self.ask(name, path, {"Accept": JSON}, _results(check))

    def metadata(self, name: str, path: str, check: Callable[[list[Attributes]], None]) -> None:
        """WADO-RS metadata (10.4.1.1.2), which a viewer's browser keeps and asks for again."""
        self.ask_again(name, path, {"Accept": JSON}, _results(check))

    def retrieve(self, name: str, path: str, accept: str, expected: Callable[[], bytes]) -> None:
        """WADO-RS (10.4), answered with exactly these bytes."""

        def judge(answer: Answer) -> None:
            checks.expect_status(answer.status, (200,), answer.body)
            checks.same_bytes(checks.sole_part(answer.content_type, answer.body), expected(), "the body")

        self.ask(name, path, {"Accept": accept}, judge)

    def retrieve_study(self, name: str, study: Study) -> None:
        """WADO-RS: all instances of a study in one answer, each as it was stored."""

        def judge(answer: Answer) -> None:
            checks.expect_status(answer.status, (200,), answer.body)
            found = checks.parts(answer.content_type, answer.body)
            checks.same_files(found, study.slices, study.index_of, study.instance)

        self.ask(name, f"/studies/{study.uid}", {"Accept": INSTANCE}, judge)

    def picture(self, name: str, path: str, check: Callable[[tuple[int, int]], None]) -> None:
        """WADO-RS rendered (10.4.1.1.3), as a JPEG; `check` gets its columns and rows."""

        def judge(answer: Answer) -> None:
            checks.expect_status(answer.status, (200,), answer.body)
            check(checks.jpeg_size(answer.content_type, answer.body))

        self.ask_again(name, path, {"Accept": "image/jpeg"}, judge)

    def store(self, name: str, study: Study, slices: range) -> None:
        """STOW-RS (10.5): several instances in one request."""
        sent = [study.sop_uid(index) for index in slices]

        def judge(answer: Answer) -> None:
            checks.expect_status(answer.status, (200,), answer.body)
            checks.stored(answer.body, sent)

        content_type, body = store_request(study, slices)
        self.ask(name, "/studies", {"Accept": JSON, "Content-Type": content_type}, judge, body)


def _judge(answer: Answer, check: Check, *, last: bool) -> float | None:
    wait = checks.wait_asked(answer.status, answer.retry_after, time.time())
    if wait is None:
        check(answer)
    elif last:
        raise Mismatch(f"status {answer.status} with Retry-After, {TRIES} times")
    return wait


def _results(check: Callable[[list[Attributes]], None]) -> Check:
    def judge(answer: Answer) -> None:
        checks.expect_status(answer.status, (200, 204), answer.body)
        check(checks.matches(answer.status, answer.body))

    return judge


def _answer(response: Any) -> Answer:
    if not response.status_code:
        raise Mismatch(f"no answer: {response.error!r}")
    named = (response.headers.get(name, "") for name in ("content-type", "etag", "retry-after"))
    return Answer(response.status_code, response.content or b"", *named)
