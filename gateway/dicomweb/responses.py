"""The answer to a store request: its data set and its status (PS3.18 10.5.3, Annex I)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from gateway.dicomweb import reasons
from gateway.dicomweb.nativexml import native_xml
from gateway.dicomweb.resources import Resource

MAX_COMMENT = 64
"""Characters of an LO value (PS3.5 6.2)."""

MAX_DETAIL = 1024
"""Characters of an ST value (likewise)."""

_KEYWORDS = {
    0x00000902: "ErrorComment",
    0x00081150: "ReferencedSOPClassUID",
    0x00081155: "ReferencedSOPInstanceUID",
    0x00081190: "RetrieveURL",
    0x00081196: "WarningReason",
    0x00081197: "FailureReason",
    0x00081198: "FailedSOPSequence",
    0x00081199: "ReferencedSOPSequence",
    0x0008119A: "OtherFailuresSequence",
}


class Instance(Protocol):
    """What an instance is called; `gateway.dicom.header.Instance` is one."""

    @property
    def study(self) -> str:
        """Study Instance UID."""

    @property
    def series(self) -> str:
        """Series Instance UID."""

    @property
    def sop(self) -> str:
        """SOP Instance UID."""

    @property
    def sop_class(self) -> str:
        """SOP Class UID."""


class Stored(Protocol):
    """An instance that is durable; `gateway.backends.base.Stored` is one."""

    @property
    def instance(self) -> Instance:
        """Which one."""

    @property
    def warning(self) -> reasons.WarningReason | None:
        """What is different from what was sent."""


class Failed(Protocol):
    """A part that was not stored; `gateway.backends.base.Failed` is one."""

    @property
    def part(self) -> int:
        """Its place in the request, from 1."""

    @property
    def reason(self) -> reasons.Reason:
        """Why, for programs."""

    @property
    def detail(self) -> str:
        """Why, for people."""

    @property
    def sop_class(self) -> str | None:
        """SOP Class UID where it was read."""

    @property
    def sop(self) -> str | None:
        """SOP Instance UID where it was read."""


class StoreResult(Protocol):
    """What became of each part; `gateway.backends.base.StoreResult` is one."""

    @property
    def stored(self) -> Sequence[Stored]:
        """What is durable, in the order of the parts."""

    @property
    def failed(self) -> Sequence[Failed]:
        """What is not."""


@dataclass(frozen=True, slots=True)
class Detail:
    """A private attribute (PS3.5 7.8, VR ST) with a whole sentence of why an instance failed, in place of the Error Comment.

    :param tag: with its block. :param keyword: in XML; PS3.6 has none for it.
    """

    tag: int
    creator: str
    keyword: str

    def of(self, sentence: str) -> dict[str, Any]:
        """The attribute, and the one that says whose it is."""
        creator = self.tag & 0xFFFF0000 | self.tag >> 8 & 0xFF
        return {f"{creator:08X}": _element("LO", self.creator), f"{self.tag:08X}": _element("ST", sentence[:MAX_DETAIL])}


def store_status(stored: Sequence[Stored], failed: Sequence[Failed]) -> int:
    """The HTTP status of a store request that could be parsed (PS3.18 table 10.5.3-1).

    200 all stored; 202 some failed, or were stored with a loss; 507 nothing stored for lack of room alone; 409 nothing
    stored for other reasons; 400 when there was nothing to store. B000 alone keeps 200: the instance was here before and
    the policy of the store is to leave it as it is.
    """
    if stored:
        losses = any(s.warning not in (None, reasons.WarningReason.COERCED) for s in stored)
        return 202 if failed or losses else 200
    if not failed:
        return 400
    return 507 if all(f.reason >> 8 == 0xA7 for f in failed) else 409


def store_response(result: StoreResult, base_url: str, detail: Detail | None = None) -> dict[str, Any]:
    """The answer as a DICOM JSON object; sequences without items are left out, keys ascend (PS3.18 table I.2-1).

    :param base_url: public URL of the store, without a slash at its end; retrieve URLs start with it.
    :param detail: where a failure is explained; None for the Error Comment.
    """
    studies = {s.instance.study for s in result.stored}
    url = base_url + Resource(study=studies.pop()).path if len(studies) == 1 else None
    known = [_failed(f, detail) for f in result.failed if f.sop is not None]
    unknown = [_reason(f, detail) for f in result.failed if f.sop is None]
    dataset = {
        "00081190": _element("UR", url),
        "00081198": {"vr": "SQ", "Value": known},
        "00081199": {"vr": "SQ", "Value": [_stored(s, base_url) for s in result.stored]},
        "0008119A": {"vr": "SQ", "Value": unknown},
    }
    return {key: element for key, element in dataset.items() if element.get("Value", True)}


def store_response_json(result: StoreResult, base_url: str, *, detail: Detail | None = None) -> bytes:
    """The answer as ``application/dicom+json``."""
    return orjson.dumps(store_response(result, base_url, detail))


def store_response_xml(result: StoreResult, base_url: str, *, namespace: bool = True, detail: Detail | None = None) -> bytes:
    """The answer as ``application/dicom+xml``; Google's routes want it without the namespace."""
    keywords = _KEYWORDS if detail is None else _KEYWORDS | {detail.tag: detail.keyword}
    return native_xml(store_response(result, base_url, detail), keywords.get, namespace=namespace)


def _element(vr: str, value: str | int | None) -> dict[str, Any]:
    return {"vr": vr} if value is None else {"vr": vr, "Value": [value]}


def _stored(stored: Stored, base_url: str) -> dict[str, Any]:
    instance = stored.instance
    item = {
        "00081150": _element("UI", instance.sop_class),
        "00081155": _element("UI", instance.sop),
        "00081190": _element("UR", base_url + Resource(instance.study, instance.series, instance.sop).path),
    }
    if stored.warning is not None:
        item["00081196"] = _element("US", int(stored.warning))
    return item


def _failed(failed: Failed, detail: Detail | None) -> dict[str, Any]:
    named = {"00081150": _element("UI", failed.sop_class), "00081155": _element("UI", failed.sop)}
    return dict(sorted((named | _reason(failed, detail)).items()))


def _reason(failed: Failed, detail: Detail | None) -> dict[str, Any]:
    """Why, for programs and for people: Annex I has no place for a sentence, Error Comment is DICOM's own."""
    comment = f"part {failed.part}: {failed.detail}"
    if detail is not None:
        return {"00081197": _element("US", int(failed.reason))} | detail.of(comment)
    return {
        "00000902": _element("LO", comment if len(comment) <= MAX_COMMENT else comment[: MAX_COMMENT - 3] + "..."),
        "00081197": _element("US", int(failed.reason)),
    }
