"""What a large store is asked: each request another one, so that nothing that was kept can answer it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

from loadtests.scale.hospital import KINDS, Study

JSON = "application/dicom+json"
OHIF = "limit=101&offset={}&fuzzymatching=true&includefield=00081030%2C00080060%2C00080090%2C00100030"
"""The study list of OHIF 3.13."""
PAGE = "limit=101"


@dataclass(frozen=True, slots=True)
class Case:
    """:param path: of one more request, below the base URL; made of any study and of how many there are.
    :param goal: milliseconds that the median may have; None where none is set.
    :param found: whether it must find something: pages far behind of a narrow search may be empty.
    """

    name: str
    path: Callable[[random.Random, Study, Facts], str]
    goal: float | None = 10.0
    found: bool = True


@dataclass(frozen=True, slots=True)
class Facts:
    """How much there is."""

    studies: int
    instances: int


def _far(share: float) -> Callable[[random.Random, Study, Facts], str]:
    def path(chance: random.Random, _: Study, facts: Facts) -> str:
        return "studies?" + OHIF.format(int(facts.studies * share) - chance.randrange(max(1, facts.studies // 1000)))

    return path


def _name(chance: random.Random, study: Study, _: Facts) -> str:
    return f"studies?{PAGE}&PatientName={quote(study.patient.name[: chance.randint(5, 7)])}*"


def _inside(chance: random.Random, study: Study, _: Facts) -> str:
    start = chance.randint(1, 3)
    return f"studies?{PAGE}&PatientName=*{quote(study.patient.name[start : start + 5])}*"


def _syllable(chance: random.Random, study: Study, _: Facts) -> str:
    start = chance.randint(0, 3)
    return f"studies?{PAGE}&PatientName=*{quote(study.patient.name[start : start + 2])}*"


def _fuzzy(_: random.Random, study: Study, __: Facts) -> str:
    family, given = study.patient.name.split("^")
    return f"studies?{PAGE}&fuzzymatching=true&PatientName={quote(given)}%20{quote(family[:4])}"


def _dates(days: int, more: str = "") -> Callable[[random.Random, Study, Facts], str]:
    def path(chance: random.Random, study: Study, _: Facts) -> str:
        last = study.day + timedelta(days)
        return f"studies?{PAGE}&StudyDate={study.day:%Y%m%d}-{last:%Y%m%d}{more}"

    return path


def _all_years_far(chance: random.Random, _: Study, facts: Facts) -> str:
    return f"studies?{PAGE}&StudyDate=20160101-&offset={facts.studies * 9 // 10 - chance.randrange(max(1, facts.studies // 1000))}"


def _modality(chance: random.Random, _: Study, __: Facts) -> str:
    return f"studies?{PAGE}&ModalitiesInStudy={chance.choice(KINDS).modality}&offset={chance.randrange(50)}"


def _modality_far(chance: random.Random, _: Study, facts: Facts) -> str:
    return f"studies?{PAGE}&ModalitiesInStudy=CR&offset={facts.studies * 2 // 10 - chance.randrange(max(1, facts.studies // 100))}"


def _worklist(_: random.Random, study: Study, __: Facts) -> str:
    first = study.day - timedelta(365)
    return f"studies?{PAGE}&ModalitiesInStudy={study.series[0][0]}&StudyDate={first:%Y%m%d}-{study.day:%Y%m%d}"


def _description(_: random.Random, study: Study, __: Facts) -> str:
    return f"studies?{PAGE}&StudyDescription=*{quote(study.description[3:])}*"


def _description_far(_: random.Random, study: Study, facts: Facts) -> str:
    return f"studies?{PAGE}&StudyDescription=*{quote(study.part.capitalize())}*&offset={facts.studies // 25}"


def _number(level: str) -> Callable[[random.Random, Study, Facts], str]:
    return lambda chance, _, facts: f"{level}?limit=1&offset={chance.randrange(facts.studies)}"


def _page(level: str, share: float) -> Callable[[random.Random, Study, Facts], str]:
    def path(chance: random.Random, _: Study, facts: Facts) -> str:
        least = facts.studies if level == "series" else facts.instances
        return f"{level}?limit=100&offset={int(least * share) - chance.randrange(max(1, facts.instances // 100))}"

    return path


CASES: Sequence[Case] = (
    Case("PatientID", lambda _, study, __: f"studies?{PAGE}&PatientID={study.patient.id}"),
    Case("AccessionNumber", lambda _, study, __: f"studies?{PAGE}&AccessionNumber={study.accession}"),
    Case("PatientName, beginning", _name),
    Case("PatientName, inside", _inside),
    Case("PatientName, two letters", _syllable),
    Case("PatientName, fuzzy", _fuzzy),
    Case("StudyDate, a week", _dates(6)),
    Case("StudyDate, a year", _dates(365)),
    Case("StudyDate, all years", lambda chance, _, __: f"studies?{PAGE}&StudyDate=2016{1 + chance.randrange(12):02d}01-"),
    Case("StudyDate, all years, far", _all_years_far),
    Case("ModalitiesInStudy", _modality),
    Case("ModalitiesInStudy, far", _modality_far, found=False),
    Case("ModalitiesInStudy and a year", _worklist),
    Case("StudyDescription, inside", _description),
    Case("StudyDescription, inside, far", _description_far, found=False),
    Case("OHIF's list, first page", lambda _, __, ___: "studies?" + OHIF.format(0)),
    Case("OHIF's list, a fifth in", _far(0.2)),
    Case("OHIF's list, four fifths in", _far(0.8)),
    Case("OHIF's list, last page", _far(0.998)),
    Case("series of a study", lambda _, study, __: f"studies/{study.uid}/series?includefield=00080021"),
    Case("instances of a study", lambda _, study, __: f"studies/{study.uid}/instances"),
    Case("instances of a series", lambda _, study, __: f"studies/{study.uid}/series/{study.series_uid(0)}/instances"),
    Case("one study, how many more", _number("studies")),
    Case("one instance, how many more", _number("instances")),
    Case("all series, far", _page("series", 0.95)),
    Case("all instances, far", _page("instances", 0.95)),
    Case("metadata of a study", lambda _, study, __: f"studies/{study.uid}/metadata"),
)
"""The pages of OHIF's list at a million instances begin at 10,000, 40,000 and 49,900 or a little before."""


def requests(case: Case, studies: Sequence[Study], facts: Facts, count: int, seed: int) -> list[str]:
    """So many paths of a case."""
    chance = random.Random(seed)
    return [case.path(chance, chance.choice(studies), facts) for _ in range(count)]
