"""Which instances of a study or series stand for it, when one picture has to do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from gateway.backends.pictured.listing import Listed

_NO_PICTURE = frozenset(
    {"SR", "KO", "PR", "RTSTRUCT", "RTPLAN", "RTRECORD", "REG", "FID", "RWV", "ANN", "AU", "PLAN", "STAIN", "CFM", "TEXTUREMAP"}
)
_CURVES_AND_PAPERS = ("1.2.840.10008.5.1.4.1.1.9.", "1.2.840.10008.5.1.4.1.1.104.")
_CAPTURES = "1.2.840.10008.5.1.4.1.1.7"
_VIDEOS = tuple(f"1.2.840.10008.5.1.4.1.1.77.1.{number}.1" for number in (1, 2, 4, 5))
_TEXTS = tuple(f"1.2.840.10008.5.1.4.1.1.{number}." for number in (11, 66, 88))
_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")


def rank(one: Listed) -> int:
    """How well an instance stands for others, the best least: images, derived images, segmentations, curves and papers, all else."""
    if one.modality == "SEG" or one.sop_class in _SEGMENTATIONS:
        return 2
    if one.sop_class.startswith(_CURVES_AND_PAPERS) or one.sop_class in _VIDEOS or one.modality in ("DOC", "ECG"):
        return 3
    if one.modality in _NO_PICTURE or one.sop_class.startswith(_TEXTS):
        return 4
    return 1 if one.sop_class.startswith(_CAPTURES) or one.modality == "RTDOSE" else 0


def best(every: Sequence[Listed]) -> list[Listed]:
    """Those of the first series that stands best for all of them.

    :param every: series by series.
    """
    series = [list(some) for _, some in groupby(every, key=lambda one: one.series)]
    ranks = [min(map(_rank, some)) for some in series]
    if not ranks:
        return []
    chosen = series[ranks.index(min(ranks))]
    return [one for one in chosen if _rank(one) == min(ranks)]


def _rank(one: Listed) -> tuple[int, bool]:
    """What says how many rows it has is a picture for certain; not every store shows that in its searches."""
    return rank(one), rank(one) < 3 and not one.rows
