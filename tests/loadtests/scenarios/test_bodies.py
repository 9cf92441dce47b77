from __future__ import annotations

import pytest

from loadtests import checks
from loadtests.scenarios.bodies import steps, store_request
from loadtests.synthetic import Shape, Study

STUDY = Study(7, 1, 5, Shape(2, 16, 2))


def test_a_body_holds_the_files_in_their_order() -> None:
    content_type, body = store_request(STUDY, range(1, 4))
    assert content_type.startswith('multipart/related; type="application/dicom"; boundary=')
    assert checks.parts(content_type, body) == [STUDY.instance(index) for index in (1, 2, 3)]


def test_no_two_bodies_have_the_same_boundary() -> None:
    assert store_request(STUDY, [0])[0] != store_request(STUDY, [0])[0]


@pytest.mark.parametrize(
    ("count", "size", "expected"),
    [(5, 2, [range(2), range(2, 4), range(4, 5)]), (4, 4, [range(4)]), (1, 9, [range(1)]), (0, 3, [])],
)
def test_steps_cover_everything_once(count: int, size: int, expected: list[range]) -> None:
    assert steps(count, size) == expected
