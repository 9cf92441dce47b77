"""What searches say of the instances below a study or series, for those who choose among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from gateway.dicomweb.resources import Resource
from gateway.pixels.image import Json, number, text

SYNTAX = "00083002"
"""Available Transfer Syntax UID, where searches put that of an instance."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An instance below a study or series.

    :param number: Instance Number, `series_number` that of its series; None where there is none.
    :param frames: Number of Frames, 1 where it does not say. :param rows: 0 for what is no picture, as `columns` and `allocated`.
    :param syntax: its stored transfer syntax, None where a search does not tell.
    """

    study: str
    series: str
    sop: str
    sop_class: str
    modality: str
    series_number: int | None
    number: int | None
    frames: int
    rows: int
    columns: int
    allocated: int
    syntax: str | None

    @property
    def resource(self) -> Resource:
        """What it is asked for by."""
        return Resource(self.study, self.series, self.sop)


def listed(results: Sequence[bytes], where: Resource) -> list[Listed]:
    """Results of a search for the instances of a study or series. Blocks."""
    return [_one(orjson.loads(result), where) for result in results]


def _one(data: Json, where: Resource) -> Listed:
    return Listed(
        text(data, "0020000D") or where.study or "",
        text(data, "0020000E") or where.series or "",
        text(data, "00080018"),
        text(data, "00080016"),
        text(data, "00080060"),
        number(data, "00200011"),
        number(data, "00200013"),
        max(number(data, "00280008") or 1, 1),
        number(data, "00280010") or 0,
        number(data, "00280011") or 0,
        number(data, "00280100") or 0,
        text(data, SYNTAX) or None,
    )


def order(one: Listed) -> tuple[bool, int, str, bool, int]:
    """Sorts by the numbers of series and instances; what has none comes last."""
    return one.series_number is None, one.series_number or 0, one.series, one.number is None, one.number or 0
