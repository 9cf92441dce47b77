"""A workstation: it searches, opens studies and scrolls, asking for what OHIF asks for."""

from __future__ import annotations

import random
from collections.abc import Callable

from locust import constant, task

from loadtests import checks
from loadtests.checks import Attributes, Mismatch
from loadtests.scenarios.server import FRAME, INSTANCE
from loadtests.scenarios.user import DicomwebUser
from loadtests.synthetic import Study

SOP_UID, PATIENT_ID, STUDY_UID, SERIES_UID = "00080018", "00100020", "0020000D", "0020000E"
INSTANCE_NUMBER, STUDY_DATE, PATIENT_NAME = "00200013", "00080020", "00100010"

PAGE = 101  # studies of a work list: a hundred on the screen, and one that says whether there are more
FIELDS = "&fuzzymatching=true&includefield=00081030%2C00080060%2C00080090%2C00100030"  # of a work list
SERIES_FIELDS = "?includefield=00080021%2C00080031%2C0008103E%2C00200011"
SCROLLED = 10  # frames of an opened study, from anywhere in it, one after the other
THUMBNAIL = 128  # pixels of its side at most
RENDERED = 0.1  # share of the opened studies of which a frame is asked for as a picture: for a report, or a phone


class Viewer(DicomwebUser):
    """Searches and reads what the Modalities stored. Waits until there is a study: needs a Modality, or --stored."""

    weight = 6
    wait_time = constant(0)
    opened: Study | None = None

    # -- work lists

    @task(2)
    def look_at_the_list(self) -> None:
        """QIDO-RS: the first page."""
        self.page(0)

    @task(1)
    def page_through(self) -> None:
        """QIDO-RS: any page of it."""
        self.page(PAGE * random.randrange(1 + len(self.stock) // PAGE))

    def page(self, offset: int) -> None:
        """One page of the work list of all studies."""
        self.some_study()
        there = len(self.stock)  # before the question: what is stored meanwhile may or may not be in the answer

        def check(found: list[Attributes]) -> None:
            if not found and offset < there:
                raise Mismatch("an empty page, although more studies than that are stored")

        self.find("QIDO studies, a page", f"limit={PAGE}&offset={offset}{FIELDS}", check)

    @task(1)
    def look_patient_up(self) -> None:
        """QIDO-RS: the studies of a patient, which is one."""
        study = self.some_study()

        def check(found: list[Attributes]) -> None:
            checks.same_uids((checks.value(one, STUDY_UID) for one in found), [study.uid], "the studies of a patient")
            checks.equal(checks.value(found[0], PATIENT_ID), study.patient_id, "PatientID")

        self.find("QIDO studies, PatientID", f"00100020={study.patient_id}", check)

    @task(1)
    def look_for_a_name(self) -> None:
        """QIDO-RS: a part of a name, which many patients have."""
        surname = self.some_study().patient_name.partition("^")[0]

        def check(found: list[Attributes]) -> None:
            names = [str(checks.value(one, PATIENT_NAME)) for one in found]
            if wrong := sum(surname.casefold() not in name.casefold() for name in names):
                raise Mismatch(f"{wrong} of {len(found)} results have another PatientName")
            if not found:
                raise Mismatch("no result, although there is a patient of that name")

        self.find("QIDO studies, PatientName", f"limit={PAGE}&offset=0&PatientName=*{surname}*{FIELDS}", check)

    @task(1)
    def look_at_a_day(self) -> None:
        """QIDO-RS: the studies of one date."""
        date = self.some_study().date

        def check(found: list[Attributes]) -> None:
            if not found or any(checks.value(one, STUDY_DATE) != date for one in found):
                raise Mismatch("no result of that StudyDate, or one of another")

        self.find("QIDO studies, StudyDate", f"limit={PAGE}&offset=0&StudyDate={date}-{date}{FIELDS}", check)

    def find(self, name: str, query: str, check: Callable[[list[Attributes]], None]) -> None:
        """QIDO-RS for studies: at most a page of them, and none twice."""

        def judge(found: list[Attributes]) -> None:
            if len(found) > PAGE:
                raise Mismatch(f"more than the {PAGE} results that were asked for")
            checks.no_repeats([checks.value(one, STUDY_UID) for one in found], "a page of studies")
            check(found)

        self.server.search(name, f"/studies?{query}", judge)

    # -- a study

    @task(4)
    def open_study(self) -> None:
        """Any study: what it is, a picture of it, its metadata, and frames while it is scrolled through."""
        study = self.opened = self.some_study()
        self.look_over(study)
        frames = study.slices * study.shape.frames
        count = min(frames, SCROLLED)
        first = random.randrange(frames - count + 1)
        for at in range(first, first + count):
            self.read_frame(study, at // study.shape.frames, 1 + at % study.shape.frames)
        if random.random() < RENDERED:
            self.see_frame(study, random.randrange(study.slices), random.randint(1, study.shape.frames))

    @task(1)
    def open_again(self) -> None:
        """The study that was opened last, as a browser does it that kept what it read."""
        if self.opened is not None:
            self.look_over(self.opened)

    @task(1)
    def download_an_instance(self) -> None:
        """The instances of a series, and the file of one."""
        study = self.some_study()
        self.find_instances(study)
        self.read_instance(study, random.randrange(study.slices))

    def look_over(self, study: Study) -> None:
        """What is asked for before the first frame."""
        self.find_study(study)
        self.find_series(study)
        self.see_thumbnail(study)
        self.read_metadata(study)

    def find_study(self, study: Study) -> None:
        """QIDO-RS by Study Instance UID."""

        def check(found: list[Attributes]) -> None:
            checks.same_uids((checks.value(one, STUDY_UID) for one in found), [study.uid], "the study of a UID")

        self.find("QIDO studies, UID", f"limit={PAGE}&offset=0&StudyInstanceUID={study.uid}{FIELDS}", check)

    def find_series(self, study: Study) -> None:
        """QIDO-RS below a study."""

        def check(found: list[Attributes]) -> None:
            checks.same_uids((checks.value(one, SERIES_UID) for one in found), [study.series_uid], "the series of a study")

        self.server.search("QIDO series", f"/studies/{study.uid}/series{SERIES_FIELDS}", check)

    def find_instances(self, study: Study) -> None:
        """QIDO-RS below a series."""

        def check(found: list[Attributes]) -> None:
            checks.same_uids((checks.value(one, SOP_UID) for one in found), study.sop_uids(), "the instances of a series")

        self.server.search("QIDO instances", f"{_series(study)}/instances?limit={study.slices}", check)

    def read_metadata(self, study: Study) -> None:
        """WADO-RS metadata of a series: every instance, with its own number."""
        expected = {uid: number for number, uid in enumerate(study.sop_uids(), 1)}

        def check(found: list[Attributes]) -> None:
            numbers = {checks.value(one, SOP_UID): checks.value(one, INSTANCE_NUMBER) for one in found}
            checks.same_uids([checks.value(one, SOP_UID) for one in found], expected, "the metadata of a series")
            if wrong := sum(numbers[uid] != number for uid, number in expected.items()):
                raise Mismatch(f"the metadata of {wrong} instances has another InstanceNumber than was sent")

        self.server.metadata("WADO metadata", f"{_series(study)}/metadata", check)

    def read_instance(self, study: Study, index: int) -> None:
        """WADO-RS: the file as it was stored."""
        self.server.retrieve("WADO instance", _instance(study, index), INSTANCE, lambda: study.instance(index))

    def read_frame(self, study: Study, index: int, frame: int) -> None:
        """WADO-RS: one frame as it was stored."""
        path = f"{_instance(study, index)}/frames/{frame}"
        self.server.retrieve("WADO frame", path, FRAME, lambda: study.frame(index, frame))

    def see_thumbnail(self, study: Study) -> None:
        """WADO-RS rendered: the slice in the middle of a series, small."""

        def check(size: tuple[int, int]) -> None:
            if max(size) > THUMBNAIL:
                raise Mismatch(f"a thumbnail of {size[0]} x {size[1]} in a viewport of {THUMBNAIL} x {THUMBNAIL}")

        path = f"{_instance(study, study.slices // 2)}/rendered?viewport={THUMBNAIL},{THUMBNAIL}"
        self.server.picture("WADO thumbnail", path, check)

    def see_frame(self, study: Study, index: int, frame: int) -> None:
        """WADO-RS rendered: a frame with as many pixels as it has."""

        def check(size: tuple[int, int]) -> None:
            checks.equal(size, (study.shape.columns, study.shape.rows), "the size of a rendered frame")

        self.server.picture("WADO rendered frame", f"{_instance(study, index)}/frames/{frame}/rendered", check)


def _series(study: Study) -> str:
    return f"/studies/{study.uid}/series/{study.series_uid}"


def _instance(study: Study, index: int) -> str:
    return f"{_series(study)}/instances/{study.sop_uid(index)}"
