"""Requests of the workloads: others in every turn where nothing may be kept, and of the same weight."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO

import pydicom
import pytest

from loadtests import checks
from loadtests.bench import objects, scene
from loadtests.bench.checking import expected
from loadtests.bench.client import Ask
from loadtests.bench.scene import PAGE, Scene, filling, held
from loadtests.bench.workloads import PASSING, SUITES, WORKLOADS, Workload

SMALL = Scene(studies=1000, frames=3, turns=3, large=1 << 20)
ONCE = [one for one in WORKLOADS if one.once and one.suite != "memory"]
by_name = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one.name)


def heads(asks: list[Ask]) -> list[object]:
    return [ask.about for ask in asks]


@pytest.mark.parametrize("workload", ONCE, ids=lambda one: one.name)
def test_what_is_asked_once_is_never_asked_again(workload: Workload) -> None:
    found = [about for turn in range(3) for about in heads(list(workload.asks(SMALL, turn)))]
    assert found and len(set(found)) == len(found)


@by_name
def test_all_servers_are_asked_the_same(workload: Workload) -> None:
    first, second = workload.asks(SMALL, 1), workload.asks(SMALL, 1)
    assert [ask.head for ask in first] == [ask.head for ask in second]
    assert all(list(one.body) == list(two.body) for one, two in zip(first[:2], second[:2], strict=True))


@by_name
def test_workloads_need_what_the_filling_knows(workload: Workload) -> None:
    assert bool(held(SMALL, workload.needs)) == bool(workload.needs)
    assert workload.suite in SUITES and workload.unit in ("MB", "instances", "requests")
    assert all(goal.against in (*workload.peers, "") for goal in (*workload.goals, *workload.many))


def test_names_tell_workloads_apart() -> None:
    assert len({one.slug for one in WORKLOADS}) == len(WORKLOADS)
    assert PASSING in SUITES and len(set(SUITES)) == len(SUITES)


@pytest.mark.parametrize("studies", [1000, 20_000])
@pytest.mark.parametrize("path", [scene.page, scene.name, scene.dates])
def test_searches_of_many_find_a_page_each(path: Callable[[Scene, int], str], studies: int) -> None:
    many = replace(SMALL, studies=studies)
    everything = held(many, ["index"])
    numbers = [*range(20), 839, 840, 949, 950, 5000, 60_000]
    assert {expected(everything, "/dicom-web" + path(many, number)) for number in numbers} == {PAGE}


@pytest.mark.parametrize(("path", "count"), [(scene.patient, 1), (scene.series, 1), (scene.slices, objects.SLICES)])
def test_searches_of_few_find_the_same_each(path: Callable[[Scene, int], str], count: int) -> None:
    everything = held(SMALL, ["index", "scan"])
    assert {expected(everything, "/dicom-web" + path(SMALL, number)) for number in (0, 1, 999, 1000, 59_999)} == {count}


def test_what_is_told_anyway_may_be_asked_for_in_256_ways() -> None:
    assert scene.told(0) == ""
    assert scene.told(0b11) == "&includefield=StudyDate,StudyTime"
    assert len({scene.told(number) for number in range(256)}) == 256


@pytest.mark.parametrize("turns", [2, 6, 30, 200])
def test_pictures_last_for_all_turns_of_a_usual_run(turns: int) -> None:
    assert scene.a_picture(Scene(turns=turns)) * min(turns, scene.PICTURES) <= scene.PICTURES


def test_a_study_of_slices_looks_like_one() -> None:
    made = pydicom.dcmread(BytesIO(b"".join(objects.scanned(5))))
    assert made.PixelData == objects.slices()[1] and (made.Rows, made.Columns) == (512, 512)
    assert 100 < made.pixel_array.std() < 400 and 1600 < made.pixel_array.mean() < 2200


@pytest.mark.parametrize("number", [objects.JLS, objects.J2K])
def test_compressed_instances_have_their_own_uids_and_the_same_pixels(number: int) -> None:
    files = [pydicom.dcmread(BytesIO(objects.compressed(number, index, 9))) for index in (0, 4, 8)]
    assert len({file.SOPInstanceUID for file in files}) == 3
    assert {file.file_meta.MediaStorageSOPInstanceUID for file in files} == {file.SOPInstanceUID for file in files}
    assert all(file.pixel_array.tobytes() == objects.slices()[0] for file in files)


def test_the_filling_stores_what_is_held() -> None:
    needs = ["index", "loop", "jls", "unread", "large"]
    some = replace(SMALL, studies=120)
    sent: list[str] = []
    for ask in filling(some, needs):
        assert isinstance(ask.about, tuple)
        files = checks.parts(f"multipart/related; boundary={objects.BOUNDARY}", b"".join(ask.body))
        assert len(files) == len(ask.about)
        sent += ask.about
    known = {study.sop_uid(0): study for study in held(some, needs)}
    assert set(known) <= set(sent)
    assert len(sent) == len(set(sent)) == sum(study.slices for study in known.values())


def test_stores_of_all_turns_and_rows_are_of_different_instances() -> None:
    found: list[str] = []
    for workload in (one for one in WORKLOADS if one.suite in ("stow", "memory") and not one.needs):
        for turn in range(3):
            for ask in workload.asks(SMALL, turn):
                assert isinstance(ask.about, tuple)
                found += ask.about
    assert len(found) == len(set(found))
