"""The made-up hospital."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from loadtests.scale.hospital import DAYS, FIRST_DAY, Hospital


@pytest.mark.parametrize("instances", [100, 1000, 20_000])
def test_there_are_as_many_instances_as_were_asked_for(instances: int) -> None:
    studies = list(Hospital(instances).studies())
    assert sum(count for study in studies for _, count in study.series) == instances
    assert len(studies) == instances // 20 and all(count > 0 for study in studies for _, count in study.series)


def test_the_same_number_gives_the_same_hospital() -> None:
    assert list(Hospital(1000).studies()) == list(Hospital(1000).studies())


def test_too_few_are_refused_at_once() -> None:
    with pytest.raises(ValueError, match="fewer than the series"):
        Hospital(1)


def test_sizes_dates_and_patients_are_spread_as_they_are() -> None:
    studies = list(Hospital(40_000).studies())
    sizes = sorted(sum(count for _, count in study.series) for study in studies)
    assert sizes[len(sizes) // 2] < 10 < 200 < sizes[-1]  # skewed: a mean of 20
    days = [study.day for study in studies]
    assert all(0 <= (day - FIRST_DAY).days < DAYS for day in days) and len({day.year for day in days}) == 10
    assert sum(later < day for day, later in pairwise(days)) > 100, "nothing came late"
    several = Counter(study.patient.id for study in studies)
    assert len(several) < len(studies) / 3 and several.most_common(1)[0][1] > 4
    assert {modality for study in studies for modality, _ in study.series} >= {"CR", "DX", "US", "CT", "MR", "MG", "SR", "PR"}
    texts = Counter(study.description for study in studies)
    assert texts.most_common(1)[0][1] > 5 and min(texts.values()) == 1


def test_uids_of_all_studies_are_different_and_of_one_length() -> None:
    studies = list(Hospital(20_000).studies())
    uids = [study.sop_uid(index, 0) for study in studies for index in range(len(study.series))]
    assert len(set(uids)) == len(uids) and {len(uid) for uid in uids} == {23}
