"""Users that load a DICOMweb server and check every answer, for locust (run from the root of the repository).

    make load                                                   eight users, half a minute, the gateway on this machine
    locust -f loadtests/locustfile.py --host http://127.0.0.1:8080/dicom-web      steered from a page at http://localhost:8089
    locust -f loadtests/locustfile.py --headless -u 16 -t 1m --host URL Modality --pause 0 --slices 200 --per-request 50
    locust -f loadtests/locustfile.py --headless -u 8 -t 1m --host URL --size 512x512x100 --slices 2 --per-request 1
    locust -f loadtests/locustfile.py --headless -u 4 -t 1m --host URL --seed 7 Modality      stores studies 0, 1, 2 and so on
    locust -f loadtests/locustfile.py --headless -u 32 -t 1m --host URL --seed 7 --stored 50 Viewer   reads the first fifty

The host is the base of any DICOMweb service, this gateway's or another's. If it wants a token, put it into the environment
as DICOMWEB_TOKEN: it is sent as `Authorization: Bearer`. Certificates are verified (SSL_CERT_FILE adds an authority).

- `Modality` stores studies of --slices instances, --per-request of them in one request, and pauses between two studies.
- `Viewer` pages through the work list, looks patients up, and opens studies: searches, metadata, one instance, ten frames.
  There are three Viewers to a Modality. A Viewer waits until there is a study to look at, and needs a Modality or --stored.

What comes back is compared with what was sent, byte by byte: studies are computed (see synthetic.py), so nothing is kept to
compare with. A check that fails is a failure in locust's statistics, which are printed at the end, and locust then exits
with 1; it also does when no request was made at all. All that is stored is made up; nothing is deleted afterwards.

locust works on one core. When it warns that this core is busy, the times are its own: spread it with --processes 2 or more.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from locust import FastHttpUser, constant, events, task
from locust.argument_parser import LocustArgumentParser
from locust.env import Environment
from locust.exception import RescheduleTask
from locust.runners import WorkerRunner

from loadtests import checks
from loadtests.checks import Attributes, Mismatch
from loadtests.synthetic import SIZES, Piece, Shape, Study

JSON = "application/dicom+json"
INSTANCE = 'multipart/related; type="application/dicom"; transfer-syntax=*'  # as it was stored
FRAME = 'multipart/related; type="application/octet-stream"; transfer-syntax=*'
SOP_UID, PATIENT_ID, STUDY_UID, SERIES_UID, INSTANCE_NUMBER = "00080018", "00100020", "0020000D", "0020000E", "00200013"

PAGE = 25  # studies on one screen of a work list
FRAMES_SHOWN = 10  # of an opened study
BACK_OFF = 1.0  # seconds after a failure, so that a server that is down is not asked ten thousand times a second
EMPTY_WAIT = 0.5  # seconds between two looks for a first study
WORKER_NUMBERS = 1_000_000  # studies that each locust worker process may number, so that no two store the same one

log = logging.getLogger("loadtests")


class Answer(NamedTuple):
    """What a server answered; status 0 is no answer, and then `body` says why."""

    status: int
    content_type: str
    body: bytes


@dataclass
class Archive:
    """The studies of one run: which number is next, and which are whole in the store (about 36 bytes for each)."""

    seed: int
    slices: int
    shape: Shape
    next: int
    whole: list[int] = field(default_factory=list)

    def new(self) -> Study:
        """A study that this run has not stored yet."""
        number, self.next = self.next, self.next + 1
        return self.study(number)

    def study(self, number: int) -> Study:
        """The study with that number."""
        return Study(self.seed, number, self.slices, self.shape)


class DicomwebUser(FastHttpUser):
    """What both kinds of users share: the way of asking, and the archive."""

    abstract = True
    host = "http://127.0.0.1:8080/dicom-web"
    insecure = False  # the token goes only to a server that is who it claims to be
    max_redirects = 0  # and not to wherever that server points
    archive: Archive  # one for all users of this process, from `_begin`

    def ask(self, name: str, path: str, headers: dict[str, str], check: Callable[[Answer], None], body: bytes | None = None) -> None:
        """One request, counted under `name`; what `check` objects to is counted as its failure.

        :raises RescheduleTask: after a failure: the rest of the task makes no sense.
        """
        if token := os.environ.get("DICOMWEB_TOKEN"):
            headers = {**headers, "Authorization": f"Bearer {token}"}
        method = "GET" if body is None else "POST"
        client: Any = self.client  # it takes bytes as a body, which its annotations do not know
        with client.request(method, path, name, body, catch_response=True, headers=headers) as response:
            try:
                check(_answer(response))
                response.success()
                return
            except Mismatch as mismatch:
                response.failure(str(mismatch))
        time.sleep(BACK_OFF)
        raise RescheduleTask

    def search(self, name: str, path: str, check: Callable[[list[Attributes]], None]) -> None:
        """A request that is answered with DICOM JSON; no content (204) is no results."""

        def judge(answer: Answer) -> None:
            checks.expect_status(answer.status, (200, 204), answer.body)
            check(checks.matches(answer.status, answer.body))

        self.ask(name, path, {"Accept": JSON}, judge)

    def retrieve(self, name: str, path: str, accept: str, expected: Callable[[], bytes]) -> None:
        """A request that is answered with exactly these bytes."""

        def judge(answer: Answer) -> None:
            checks.expect_status(answer.status, (200,), answer.body)
            checks.same_bytes(checks.sole_part(answer.content_type, answer.body), expected(), "the body")

        self.ask(name, path, {"Accept": accept}, judge)


class Modality(DicomwebUser):
    """Stores one study after the other."""

    weight = 1

    def wait_time(self) -> float:
        """Seconds until the next study."""
        return float(_options(self.environment).pause)

    @task
    def store_study(self) -> None:
        """A study is known to the Viewers once all of it is stored. Each is sent over a connection of its own.

        A server may close a connection that rested during the pause, and a POST that meets that moment must not be repeated.
        """
        self.client.client.clientpool.close()
        study = self.archive.new()
        step = _options(self.environment).per_request
        for first in range(0, study.slices, step):
            self.store(study, range(first, min(first + step, study.slices)))
        self.archive.whole.append(study.number)

    def store(self, study: Study, slices: range) -> None:
        """STOW-RS (PS3.18 10.5): several instances in one request."""
        sent = [study.sop_uid(index) for index in slices]

        def judge(answer: Answer) -> None:
            checks.expect_status(answer.status, (200,), answer.body)
            checks.stored(answer.body, sent)

        boundary = secrets.token_hex(16)
        headers = {"Accept": JSON, "Content-Type": f'multipart/related; type="application/dicom"; boundary={boundary}'}
        body = _multipart(boundary, (study.pieces(index) for index in slices))
        self.ask("STOW instances", "/studies", headers, judge, body)


class Viewer(DicomwebUser):
    """Searches and reads what the Modalities stored."""

    weight = 3
    wait_time = constant(0)

    @task(2)
    def page_through(self) -> None:
        """QIDO-RS: one page of the work list, seldom the first."""
        self.some_study()
        offset = PAGE * random.randrange(1 + len(self.archive.whole) // PAGE)

        def check(found: list[Attributes]) -> None:
            if len(found) > PAGE:
                raise Mismatch(f"more than the {PAGE} results that were asked for")
            if not found and offset < len(self.archive.whole):
                raise Mismatch("an empty page, although more studies than that are stored")
            checks.no_repeats([checks.value(study, STUDY_UID) for study in found], "a page of studies")

        self.search("QIDO studies, a page", f"/studies?limit={PAGE}&offset={offset}", check)

    @task(2)
    def look_patient_up(self) -> None:
        """QIDO-RS: the studies of a patient, which is one."""
        study = self.some_study()

        def check(found: list[Attributes]) -> None:
            checks.same_uids((checks.value(one, STUDY_UID) for one in found), [study.uid], "the studies of a patient")
            checks.equal(checks.value(found[0], PATIENT_ID), study.patient_id, "PatientID")

        self.search("QIDO studies, PatientID", f"/studies?PatientID={study.patient_id}", check)

    @task(4)
    def open_study(self) -> None:
        """What a viewer asks for, one after the other."""
        study = self.some_study()
        self.find_series(study)
        self.find_instances(study)
        self.read_metadata(study)
        self.read_instance(study, random.randrange(study.slices))
        for index in random.sample(range(study.slices), min(study.slices, FRAMES_SHOWN)):
            self.read_frame(study, index, random.randint(1, study.shape.frames))

    def some_study(self) -> Study:
        """A study that is whole in the store.

        :raises RescheduleTask: while there is none, after a short wait.
        """
        if not self.archive.whole:
            time.sleep(EMPTY_WAIT)
            raise RescheduleTask
        return self.archive.study(random.choice(self.archive.whole))

    def find_series(self, study: Study) -> None:
        """QIDO-RS below a study."""

        def check(found: list[Attributes]) -> None:
            checks.same_uids((checks.value(one, SERIES_UID) for one in found), [study.series_uid], "the series of a study")

        self.search("QIDO series", f"/studies/{study.uid}/series", check)

    def find_instances(self, study: Study) -> None:
        """QIDO-RS below a series."""

        def check(found: list[Attributes]) -> None:
            checks.same_uids((checks.value(one, SOP_UID) for one in found), study.sop_uids(), "the instances of a series")

        self.search("QIDO instances", f"{_series(study)}/instances?limit={study.slices}", check)

    def read_metadata(self, study: Study) -> None:
        """WADO-RS metadata of a series: every instance, with its own number."""
        expected = {uid: number for number, uid in enumerate(study.sop_uids(), 1)}

        def check(found: list[Attributes]) -> None:
            numbers = {checks.value(one, SOP_UID): checks.value(one, INSTANCE_NUMBER) for one in found}
            checks.same_uids([checks.value(one, SOP_UID) for one in found], expected, "the metadata of a series")
            if wrong := sum(numbers[uid] != number for uid, number in expected.items()):
                raise Mismatch(f"the metadata of {wrong} instances has another InstanceNumber than was sent")

        self.search("WADO metadata", f"{_series(study)}/metadata", check)

    def read_instance(self, study: Study, index: int) -> None:
        """WADO-RS: the file as it was stored."""
        path = f"{_series(study)}/instances/{study.sop_uid(index)}"
        self.retrieve("WADO instance", path, INSTANCE, lambda: study.instance(index))

    def read_frame(self, study: Study, index: int, frame: int) -> None:
        """WADO-RS: one frame as it was stored."""
        path = f"{_series(study)}/instances/{study.sop_uid(index)}/frames/{frame}"
        self.retrieve("WADO frame", path, FRAME, lambda: study.frame(index, frame))


def _series(study: Study) -> str:
    return f"/studies/{study.uid}/series/{study.series_uid}"


def _multipart(boundary: str, instances: Iterable[Iterable[Piece]]) -> bytes:
    head = f"\r\n--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    pieces: list[Piece] = []
    for instance in instances:
        pieces += (head, *instance)
    return b"".join((*pieces, f"\r\n--{boundary}--\r\n".encode()))


def _answer(response: Any) -> Answer:
    if not response.status_code:
        raise Mismatch(f"no answer: {response.error!r}")
    return Answer(response.status_code, response.headers.get("content-type", ""), response.content or b"")


def _options(environment: Environment) -> argparse.Namespace:
    assert environment.parsed_options is not None  # only when locust is used as a library
    options: argparse.Namespace = environment.parsed_options
    return options


# --- options, and what happens before and after a run ------------------------------------------------------------------------


def _whole(lowest: int, highest: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not lowest <= (number := int(text)) <= highest:
            raise argparse.ArgumentTypeError(f"{lowest} to {highest}")
        return number

    convert.__name__ = "whole number"  # how argparse calls it when int() fails
    return convert


def _size(text: str) -> str:
    try:
        Shape.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text  # options travel to locust's worker processes, so they are plain values


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]  # locust does not annotate it
def _add_options(parser: LocustArgumentParser) -> None:
    add = parser.add_argument_group("DICOMweb").add_argument
    add("--slices", type=_whole(1, 99_999), default=20, help="instances in a study (20)")
    add("--size", type=_size, default="ct", help=f"{', '.join(SIZES)}, or ROWSxCOLUMNS[xFRAMES] of 16 bits (ct: 512x512)")
    add("--per-request", type=_whole(1, 99_999), default=10, help="instances in a store request (10)")
    add("--pause", type=float, default=1.0, help="seconds between two studies of a Modality (1); 0 can fill a disk in minutes")
    add("--seed", type=_whole(-1, 10**10 - 1), default=-1, help="number of the run: the same makes the same studies (-1: random)")
    add(
        "--stored",
        type=_whole(0, WORKER_NUMBERS),
        default=0,
        help="studies 0 to N-1 of this --seed, --slices and --size are stored already",
    )


_archives: dict[tuple[int, int, Shape], Archive] = {}


@events.test_start.add_listener  # type: ignore[untyped-decorator]  # locust does not annotate it
def _begin(environment: Environment, **_: Any) -> None:
    """Finds the archive, or makes it: a second run from the web page with the same options goes on where the first one ended."""
    options = _options(environment)
    if options.seed < 0:
        options.seed = secrets.randbelow(10**10)  # goes from here to the worker processes with the other options
    key = options.seed, options.slices, Shape.parse(options.size)
    runner = environment.runner
    first = runner.worker_index * WORKER_NUMBERS if isinstance(runner, WorkerRunner) else 0
    archive = Archive(*key, next=first + options.stored, whole=list(range(options.stored)))
    DicomwebUser.archive = _archives.setdefault(key, archive)
    if not isinstance(runner, WorkerRunner):
        log.info("Studies of %d x %s, --seed %d", options.slices, options.size, options.seed)


@events.quitting.add_listener  # type: ignore[untyped-decorator]  # locust does not annotate it
def _refuse_nothing(environment: Environment, **_: Any) -> None:
    """A load of nothing has shown nothing, and must not look like a success."""
    if not isinstance(environment.runner, WorkerRunner) and environment.stats.total.num_requests == 0:
        log.error("No request was made. Viewers wait for a study: let a Modality run beside them (two users or more), or give --stored.")
        environment.process_exit_code = 1
