"""A made-up hospital: patients, and the studies that ten years made of them.

1. The same number of instances gives the same hospital. It has one study for twenty instances, one patient for four studies.
2. Sizes are skewed as they are: most studies are a radiograph or two, most instances belong to CT and MR.
3. Studies come in the order in which they were stored. That is the order of their dates but for every seventh, which came late:
   priors, imports.
4. Names, descriptions and referring physicians repeat; one description in twenty is free text that no other study has.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

INSTANCES_A_STUDY = 20
STUDIES_A_PATIENT = 4
FIRST_DAY = date(2016, 1, 1)
DAYS = 3653
"""Ten years."""
LATE = 7
"""One study of so many came later than it was made."""
FREE_TEXT = 20
"""One description of so many is another one in each study."""


class Kind(NamedTuple):
    """Studies of one modality; ranges are least and most."""

    modality: str
    share: int
    series: tuple[int, int]
    instances: tuple[int, int]


KINDS = (
    Kind("CR", 24, (1, 2), (1, 2)),
    Kind("DX", 20, (1, 2), (1, 2)),
    Kind("US", 20, (1, 2), (4, 12)),
    Kind("CT", 16, (2, 4), (8, 19)),
    Kind("CT", 1, (2, 4), (60, 300)),
    Kind("MR", 14, (4, 7), (4, 8)),
    Kind("MG", 5, (1, 2), (2, 4)),
)
SECOND: dict[str, str] = {"CT": "SR", "MR": "PR", "US": "SR"}
"""What the last series of some studies is besides."""

_BEGINNINGS = tuple("Al Ber Cor Dan El Fen Gra Hol Is Jor Kel Lar Mül Nor Os Pet Ros Sol Tor Val".split())
_MIDDLES = tuple("ba de fi go ka le mo ni pa re sa tu".split())
_ENDINGS = tuple("ck ner rt sson ta wski z".split())
_GIVEN = tuple("Ada Boris Clara David Emmy Félix Grace Henri Irene James Karen Luis Mona Nils Olga Paul Rita Sven Tara Yusuf".split())
_PARTS = tuple("ABDOMEN ANKLE BREAST CHEST FOOT HAND HEAD HIP KNEE LSPINE NECK PELVIS SHOULDER THORAX WRIST".split())
_MANNERS = ("", " with contrast", " without contrast", " follow up", " trauma", " screening", " low dose", " bedside")


@dataclass(frozen=True, slots=True)
class Patient:
    """:param name: as a PN value."""

    id: str
    name: str
    birth: str
    sex: str


@dataclass(frozen=True, slots=True)
class Study:
    """:param number: from 0, in the order in which studies were stored.
    :param series: modality and how many instances, of each.
    """

    number: int
    patient: Patient
    day: date
    description: str
    part: str
    referring: str
    series: tuple[tuple[str, int], ...]

    @property
    def uid(self) -> str:
        """Study Instance UID."""
        return f"2.25.7{self.number:08d}"

    @property
    def accession(self) -> str:
        """Accession Number."""
        return f"A{self.number:08d}"

    def series_uid(self, index: int) -> str:
        """Series Instance UID, counted from 0."""
        return f"{self.uid}.{10 + index}"

    def sop_uid(self, index: int, instance: int) -> str:
        """SOP Instance UID, counted from 0."""
        return f"{self.series_uid(index)}.{10000 + instance}"


class Hospital:
    """:param instances: how many it has.
    :raises ValueError: for a handful, when they do not go round.
    """

    def __init__(self, instances: int) -> None:
        self.instances = instances
        self.count = max(1, instances // INSTANCES_A_STUDY)
        chance = random.Random(1)
        self.patients = [_patient(chance, number) for number in range(max(1, self.count // STUDIES_A_PATIENT))]
        self._kinds = chance.choices(range(len(KINDS)), [kind.share for kind in KINDS], k=self.count)
        self._sizes = [_sizes(chance, KINDS[kind]) for kind in self._kinds]
        self._fit(chance)

    def studies(self) -> Iterator[Study]:
        """All studies."""
        chance = random.Random(2)
        for number, sizes in enumerate(self._sizes):
            yield self._study(chance, number, sizes)

    def _study(self, chance: random.Random, number: int, sizes: list[int]) -> Study:
        modality = KINDS[self._kinds[number]].modality
        late = chance.randrange(LATE) == 0
        day = FIRST_DAY + timedelta(chance.randrange(DAYS) if late else number * DAYS // self.count)
        part = chance.choice(_PARTS)
        description = f"{modality} {part.capitalize()}{chance.choice(_MANNERS)}"
        if chance.randrange(FREE_TEXT) == 0:
            description += f" for case {number}"
        modalities = [modality] * len(sizes)
        if len(sizes) > 1 and chance.randrange(3) == 0:
            modalities[-1] = SECOND.get(modality, modality)
        referring = f"{_surname(chance.randrange(200) * 7)}^Dr"
        return Study(number, chance.choice(self.patients), day, description, part, referring, tuple(zip(modalities, sizes, strict=True)))

    def _fit(self, chance: random.Random) -> None:
        """Brings the sizes to the number of instances that was asked for: one more or one less here and there."""
        missing = self.instances - sum(map(sum, self._sizes))
        if self.instances < sum(map(len, self._sizes)):
            raise ValueError(f"{self.instances} instances are fewer than the series of {self.count} studies")
        while missing:
            sizes = chance.choice(self._sizes)
            step = 1 if missing > 0 else -1
            index = chance.randrange(len(sizes))
            if sizes[index] + step:
                sizes[index] += step
                missing -= step


def _sizes(chance: random.Random, kind: Kind) -> list[int]:
    return [chance.randint(*kind.instances) for _ in range(chance.randint(*kind.series))]


def _patient(chance: random.Random, number: int) -> Patient:
    birth = date(1930, 1, 1) + timedelta(chance.randrange(90 * 365))
    surname = _surname(chance.randrange(len(_BEGINNINGS) * len(_MIDDLES) * len(_ENDINGS)))
    return Patient(f"P{number:07d}", f"{surname}^{chance.choice(_GIVEN)}", f"{birth:%Y%m%d}", chance.choice("FM"))


def _surname(number: int) -> str:
    number, first = divmod(number, len(_BEGINNINGS))
    number, second = divmod(number, len(_MIDDLES))
    return _BEGINNINGS[first] + _MIDDLES[second] + _ENDINGS[number % len(_ENDINGS)]
