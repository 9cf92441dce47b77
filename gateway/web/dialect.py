"""How a route speaks: the way of PS3.18, or that of Google's Cloud Healthcare API. All that differs stands here, as data.

The dialect follows the route: what is below ``/v1/`` and ``/v1beta1/`` speaks Google's, everything else the standard's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

import orjson
from aiohttp import web

from gateway.dicomweb.media import Offer
from gateway.dicomweb.query import NEVER_FILTERS
from gateway.dicomweb.resources import Level
from gateway.dicomweb.responses import Detail
from gateway.errors import InvalidQuery
from gateway.healthcare.envelope import envelope
from gateway.web.service import SearchLimits

JSON = Offer("application/dicom+json")
XML = Offer("application/dicom+xml")

VERSIONS = ("/v1", "/v1beta1")

_PREFIXES = tuple(version + "/" for version in VERSIONS)


def _problem(status: int, detail: str) -> web.Response:
    """RFC 9457."""
    body = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return web.Response(body=orjson.dumps(body), status=status, headers={"Content-Type": "application/problem+json"})


def _envelope(status: int, detail: str) -> web.Response:
    """Google's own form of errors; what was deleted is not there, and that is all."""
    status = HTTPStatus.NOT_FOUND if status == HTTPStatus.GONE else status
    return web.Response(
        body=orjson.dumps(envelope(status, detail)), status=status, headers={"Content-Type": "application/json; charset=UTF-8"}
    )


@dataclass(frozen=True, slots=True)
class Dialect:
    """:param stored: forms of the answer to a store; the first one where a caller does not say.
    :param namespace: whether XML names that of PS3.19.
    :param any_failure: the status of a store of which an instance failed and others did not; None for what the standard says.
    :param detail: a private attribute that explains a failure of a store in a sentence; None for the Error Comment of the standard.
    :param keys: what can be searched for at a level, as keyword and tag; None for everything.
    :param limits: of searches; None for those of the settings.
    :param counts: whether a Warning says how many results are left.
    :param reframed: whether frames of origins are framed anew (`reframing`).
    :param problem: makes the answer of an error from its status and a sentence.
    """

    stored: tuple[Offer, ...] = (JSON, XML)
    namespace: bool = True
    any_failure: int | None = None
    detail: Detail | None = None
    keys: Mapping[Level, frozenset[str]] | None = None
    limits: SearchLimits | None = None
    counts: bool = True
    reframed: bool = False
    problem: Callable[[int, str], web.Response] = _problem

    def check_keys(self, level: Level, names: Mapping[str, str]) -> None:
        """:param names: of a search, those of its parameters.

        :raises InvalidQuery: for one that cannot be searched for.
        """
        if self.keys is None:
            return
        for name in names:
            if name not in _CONTROLS and name not in NEVER_FILTERS and name not in self.keys[level]:
                shown = name if name.isascii() and name.isalnum() and len(name) <= 64 else "that"
                raise InvalidQuery(f"unknown/unsupported QIDO attribute: {shown}")


_CONTROLS = frozenset({"limit", "offset", "fuzzymatching", "includefield"})

_STUDY = {
    *("StudyInstanceUID", "0020000D", "PatientName", "00100010", "PatientID", "00100020", "AccessionNumber", "00080050"),
    *("ReferringPhysicianName", "00080090", "StudyDate", "00080020"),
}
_SERIES = _STUDY | {"SeriesInstanceUID", "0020000E", "Modality", "00080060"}

FAILURE_DETAIL = Detail(0x00991000, "dicomweb-gateway", "FailureDetail")
"""What Google calls FailureDetail. The keyword is what tells: tag, block and VR are the gateway's own."""

STANDARD = Dialect()

GOOGLE = Dialect(
    stored=(XML, JSON),
    namespace=False,
    any_failure=HTTPStatus.CONFLICT,
    detail=FAILURE_DETAIL,
    keys={
        "study": frozenset(_STUDY),
        "series": frozenset(_SERIES),
        "instance": frozenset(_SERIES | {"SOPInstanceUID", "00080018"}),
    },
    limits=SearchLimits(results_default=100, results_max=5000, instances_default=1000, instances_max=50_000, offset_max=1_000_000),
    counts=False,
    reframed=True,
    problem=_envelope,
)


def dialect_of(request: web.BaseRequest) -> Dialect:
    """That of the route."""
    return GOOGLE if request.path.startswith(_PREFIXES) else STANDARD
