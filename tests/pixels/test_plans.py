"""What is still to be done after the first job; and nothing that a process tells is believed unchecked."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from gateway.pixels import plans, recoding, syntaxes
from gateway.pixels.exchange import Pieces
from gateway.pixels.instances import Begin
from gateway.pixels.plans import Plan, check
from gateway.pixels.work import Fact, Made, NotDrawable, Region, Result
from tests.backends.pictured.picturing import descriptors
from tests.pixels.whole import noise, picture, region, result, taken, transcoded

EXPLICIT, JPEG_LS = syntaxes.EXPLICIT, syntaxes.JPEG_LS


@pytest.fixture(autouse=True)
def small_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoding, "FRAMES", 4)


def begun(data: bytes, target: str) -> tuple[Begin, Made]:
    begin = Begin(target)
    return begin, begin([Pieces([data])])


def planned(data: bytes, target: str) -> Plan:
    begin, made = begun(data, target)
    plan = Plan.of(result(made), begin)
    assert plan is not None
    return plan


COMPRESSED = transcoded(picture(noise(10, 6, 5)), JPEG_LS)


def test_the_length_of_native_pixel_data_is_known_from_the_start() -> None:
    plan = planned(COMPRESSED, EXPLICIT)
    assert not plan.finished
    assert plan.length == len(picture(noise(10, 6, 5)))
    assert planned(picture(noise(10, 6, 5)), JPEG_LS).length is None


def test_a_small_instance_is_finished_with_the_first_job() -> None:
    for data, target in ((native := picture(noise(3, 6, 5)), JPEG_LS), (transcoded(native, JPEG_LS), EXPLICIT)):
        plan = planned(data, target)
        assert plan.finished
        assert plan.beginning == transcoded(data, target)
        assert plan.length == len(plan.beginning)
        assert list(plan.jobs(Region(0, 0, len(data)))) == []


def test_frames_are_places_in_the_instance() -> None:
    """Codestreams are not copied on their way to a process; of native frames the process gets the whole instance, and cuts."""
    plan = planned(COMPRESSED, EXPLICIT)
    jobs = list(plan.jobs(Region(7, 100, len(COMPRESSED))))
    assert [(work.first, work.count, work.table) for work, _ in jobs] == [(5, 4, b""), (9, 2, b"")]
    (place,) = jobs[0][1][0]
    assert isinstance(place, Region)
    assert place.descriptor == 7
    assert COMPRESSED[place.offset - 100 :].startswith(b"\xff\xd8\xff")
    native = list(planned(picture(noise(10, 6, 5)), JPEG_LS).jobs(Region(7, 100, 1000)))
    assert [inputs for _, inputs in native] == [[[Region(7, 100, 1000)]]] * 2
    assert all(work.table for work, _ in native)


def test_an_instance_that_is_stored_so_has_no_plan() -> None:
    begin, made = begun(COMPRESSED, JPEG_LS)
    assert Plan.of(result(made), begin) is None


def test_a_large_result_stays_in_its_file() -> None:
    begin, made = begun(COMPRESSED, EXPLICIT)
    data = b"".join(made.content)
    before = descriptors()
    descriptor = os.memfd_create("result")
    os.write(descriptor, data)
    plan = Plan.of(Result(made.facts, descriptor=descriptor, length=len(data)), begin)
    assert plan is not None
    first = plan.beginning
    assert isinstance(first, Region)
    assert taken(first) + taken(plan.ending) == data[: sum(plan.sizes[:3])]
    with region(COMPRESSED) as whole:
        assert len(list(plan.jobs(whole))) == 2
    del plan
    assert descriptors() == before


def facts(made: Made, **other: Fact) -> Mapping[str, Fact]:
    return {**made.facts, **other}


HONEST = begun(COMPRESSED, EXPLICIT)
SIZES: Any = HONEST[1].facts["sizes"]
IMAGE: Any = HONEST[1].facts["image"]


@pytest.mark.parametrize(
    "lies",
    [
        {"sizes": None},
        {"sizes": SIZES[:2]},
        {"sizes": [*SIZES[:2], "3"]},
        {"sizes": [-1, *SIZES[1:]]},
        {"sizes": [SIZES[0], SIZES[1] + 2, SIZES[2] - 2]},
        {"sizes": [1 << 40, *SIZES[1:]]},
        {"sizes": [SIZES[0] - 2, *SIZES[1:]]},
        {"done": 3},
        {"done": -1},
        {"done": True},
        {"done": 1.0},
        {"image": IMAGE[:-1]},
        {"image": [0, *IMAGE[1:]]},
        {"image": [IMAGE[0], 1 << 60, *IMAGE[2:]]},
        {"image": "image"},
        {"words": ["1.2", "MONOCHROME2"]},
        {"words": [JPEG_LS]},
        {"words": [1, 2]},
        {"words": None},
        {"as_stored": 1, "sizes": []},
    ],
    ids=str,
)
def test_nonsense_is_found_out(lies: dict[str, Fact]) -> None:
    begin, made = HONEST
    with pytest.raises(NotDrawable, match="does not hold together"):
        Plan.of(Result(facts(made, **lies), b"".join(made.content)), begin)


def test_a_table_that_points_out_of_the_instance_is_found_out() -> None:
    plan = planned(COMPRESSED, EXPLICIT)
    with pytest.raises(NotDrawable):
        list(plan.jobs(Region(7, 0, 800)))
    fewer = planned(transcoded(picture(noise(6, 6, 5)), JPEG_LS), EXPLICIT)
    with pytest.raises(NotDrawable):
        list(replace(plan, table=fewer.table).jobs(Region(7, 0, len(COMPRESSED))))


def test_a_table_of_any_size_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    begin, made = HONEST
    monkeypatch.setattr(plans, "TABLE", 50)
    with pytest.raises(NotDrawable):
        Plan.of(result(made), begin)


def test_frames_of_another_length_than_announced_are_found_out() -> None:
    work, _ = next(planned(COMPRESSED, EXPLICIT).jobs(Region(7, 0, len(COMPRESSED))))
    check(work, Result({}, bytes(4 * 60)))
    with pytest.raises(NotDrawable):
        check(work, Result({}, bytes(4 * 60 - 1)))
    work, _ = next(planned(picture(noise(10, 6, 5)), JPEG_LS).jobs(Region(7, 0, 100)))
    check(work, Result({}, b"any length"))
