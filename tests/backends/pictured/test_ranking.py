"""Which instances stand for a study."""

from __future__ import annotations

from gateway.backends.pictured.listing import Listed
from gateway.backends.pictured.ranking import best
from tests.backends.pictured.gallery import CT, PDF, REPORT, SC, SEG, STATE


def listed(series: str, sop: str, sop_class: str = CT, modality: str = "CT", rows: int = 512) -> Listed:
    return Listed("1", series, sop, sop_class, modality, 1, 1, 1, rows, rows, 16, None)


IMAGES = [listed("1.2", f"1.2.{number}") for number in range(3)]
CAPTURE = listed("1.1", "1.1.1", SC, "CT")
SEGMENTS = listed("1.0", "1.0.1", SEG, "SEG")
STATES = listed("1.3", "1.3.1", STATE, "PR", 0)
REPORTS = listed("1.4", "1.4.1", REPORT, "SR", 0)
PAPER = listed("1.5", "1.5.1", PDF, "DOC", 0)


def test_images_before_all_else() -> None:
    assert best([SEGMENTS, CAPTURE, STATES, *IMAGES, listed("1.9", "1.9.1"), REPORTS]) == IMAGES


def test_then_captures_segments_papers_and_the_rest() -> None:
    assert best([REPORTS, SEGMENTS, CAPTURE]) == [CAPTURE]
    assert best([REPORTS, SEGMENTS, PAPER]) == [SEGMENTS]
    assert best([REPORTS, PAPER]) == [PAPER]
    assert best([REPORTS, STATES]) == [REPORTS]
    assert best([]) == []


def test_within_a_series_what_is_a_picture() -> None:
    assert best([*IMAGES[:1], listed("1.2", "1.2.9", REPORT, "SR", 0), *IMAGES[1:]]) == IMAGES


def test_a_store_that_shows_no_rows() -> None:
    bare = [listed("1.2", f"1.2.{number}", rows=0) for number in range(3)]
    assert best([STATES, *bare]) == bare
    assert best([*bare, *[listed("1.6", "1.6.1")]]) == [listed("1.6", "1.6.1")]
