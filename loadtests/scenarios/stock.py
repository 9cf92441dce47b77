"""The studies of one run: which number is next, and which are whole in the store."""

from __future__ import annotations

import random

from loadtests.synthetic import Shape, Study

DAYS = 7
"""Studies that an `Archive` takes for one day's work: the made-up calendar has one study a day, so its yesterday is a week."""


class Stock:
    """What one process of a run has stored, at about a hundred bytes a study.

    :param first: number of the first study that it stores itself.
    :param before: studies 0 to before - 1 were stored by an earlier run of the same seed, slices and shape.
    """

    def __init__(self, seed: int, slices: int, shape: Shape, first: int, before: int = 0) -> None:
        self.seed, self.slices, self.shape = seed, slices, shape
        self._next = first
        self._before = before
        self._later: list[int] = []
        self._known: set[int] = set()

    def __len__(self) -> int:
        """Studies that are whole in the store."""
        return self._before + len(self._later)

    def __contains__(self, number: int) -> bool:
        """Whether the study of that number is whole in the store."""
        return 0 <= number < self._before or number in self._known

    def study(self, number: int) -> Study:
        """The study of that number, stored or not."""
        return Study(self.seed, number, self.slices, self.shape)

    def new(self) -> Study:
        """A study that this run has not stored yet."""
        number, self._next = self._next, self._next + 1
        return self.study(number)

    def add(self, study: Study) -> None:
        """All of it is in the store: from now on it may be asked for."""
        self._later.append(study.number)
        self._known.add(study.number)

    def any(self) -> Study | None:
        """A study that is whole in the store, each as likely as the others; None while there is none."""
        if not len(self):
            return None
        at = random.randrange(len(self))
        return self.study(at if at < self._before else self._later[at - self._before])

    def days_of(self, study: Study) -> list[Study]:
        """The studies of the same `DAYS` days that are whole in the store, in the order of their dates."""
        return [self.study(number) for number in _days(study) if number in self]


def date_range(study: Study) -> str:
    """The `DAYS` days of a study as QIDO-RS matches them (PS3.4 C.2.2.2.5): first and last StudyDate."""
    days = _days(study)
    first, last = (Study(study.seed, number, study.slices, study.shape).date for number in (days[0], days[-1]))
    return f"{first}-{last}"


def _days(study: Study) -> range:
    """Numbers of them: a month has 28 days (`Study.date`), so that these are always of one month."""
    first = study.number - study.number % DAYS
    return range(first, first + DAYS)
