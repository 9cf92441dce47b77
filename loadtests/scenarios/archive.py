"""A long-term archive: it fetches what was made lately, whole, and may give it to a second server."""

from __future__ import annotations

import random

from locust import task
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment

from loadtests import checks
from loadtests.checks import Attributes, Mismatch
from loadtests.scenarios.bodies import steps
from loadtests.scenarios.server import INSTANCE, Server
from loadtests.scenarios.stock import date_range
from loadtests.scenarios.tokens import Token
from loadtests.scenarios.user import DicomwebUser
from loadtests.synthetic import Study

PAGE = 100
STUDY_UID = "0020000D"


class Archive(DicomwebUser):
    """Searches some days' studies, retrieves each whole and compares all bytes; some it stores on --to. Needs studies as a Viewer does.

    It holds a study twice in memory: the answer, and its parts.
    """

    weight = 1

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        self.other = self._other() if self.options.to else None

    def _other(self) -> Server:
        """A session of its own: whatever opens the door of --host, a token, a password or a cookie, is not for --to."""
        session = FastHttpSession(self.options.to, self.environment.events.request, self, insecure=False, max_redirects=0, max_retries=0)
        return Server(session, Token(self.options.to_token_file))

    def wait_time(self) -> float:
        """Seconds until the next days."""
        return self.pause()

    @task
    def fetch_some_days(self) -> None:
        """The studies of `stock.DAYS` days that this run knows; a server may have others of the same dates."""
        study = self.some_study()
        known = self.stock.days_of(study)
        self.find_all(study, known)
        for one in known:
            self.server.retrieve_study("WADO study", one)
            if self.other is not None and random.random() < self.options.to_share:
                self.hand_on(self.other, one)

    def find_all(self, study: Study, known: list[Study]) -> None:
        """QIDO-RS by StudyDate, page by page: none of the known ones may be missing at the end.

        What is stored meanwhile moves others to later pages, so that one may be seen twice: that is no mistake here.
        """
        missing = {one.uid for one in known}
        found = PAGE
        offset = 0

        def check(results: list[Attributes]) -> None:
            nonlocal found
            found = len(results)
            missing.difference_update(checks.value(one, STUDY_UID) for one in results)
            if found > PAGE:
                raise Mismatch(f"more than the {PAGE} results that were asked for")
            if found < PAGE and missing:
                raise Mismatch(f"a search by StudyDate lacks {len(missing)} of {len(known)} studies, for example {min(missing)}")

        while found == PAGE:
            self.server.search("QIDO studies, StudyDate", f"/studies?StudyDate={date_range(study)}&limit={PAGE}&offset={offset}", check)
            offset += PAGE

    def hand_on(self, other: Server, study: Study) -> None:
        """Stores on the second server what was just found equal to what is made here again, and reads one instance back."""
        for slices in steps(study.slices, self.options.per_request):
            other.store("STOW to the second server", study, slices)
        index = random.randrange(study.slices)
        path = f"/studies/{study.uid}/series/{study.series_uid}/instances/{study.sop_uid(index)}"
        other.retrieve("WADO of the second server", path, INSTANCE, lambda: study.instance(index))
