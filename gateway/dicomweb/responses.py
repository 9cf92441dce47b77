"""The answer to a store request: its data set and its status (PS3.18 10.5.3, Annex I)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import orjson

from gateway.dicomweb import reasons
from gateway.dicomweb.nativexml import native_xml
from gateway.dicomweb.resources import Resource

MAX_COMMENT = 64
"""Characters of an LO value (PS3.5 6.2)."""

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


def store_response(result: StoreResult, base_url: str) -> dict[str, Any]:
    """The answer as a DICOM JSON object; sequences without items are left out, keys ascend (PS3.18 table I.2-1).

    :param base_url: public URL of the store, without a slash at its end; retrieve URLs start with it.
    """
    studies = {s.instance.study for s in result.stored}
    url = base_url + Resource(study=studies.pop()).path if len(studies) == 1 else None
    known = [_failed(f) for f in result.failed if f.sop is not None]
    unknown = [_reason(f) for f in result.failed if f.sop is None]
    dataset = {
        "00081190": _element("UR", url),
        "00081198": {"vr": "SQ", "Value": known},
        "00081199": {"vr": "SQ", "Value": [_stored(s, base_url) for s in result.stored]},
        "0008119A": {"vr": "SQ", "Value": unknown},
    }
    return {key: element for key, element in dataset.items() if element.get("Value", True)}


def store_response_json(result: StoreResult, base_url: str) -> bytes:
    """The answer as ``application/dicom+json``."""
    return orjson.dumps(store_response(result, base_url))


def store_response_xml(result: StoreResult, base_url: str, *, namespace: bool = True) -> bytes:
    """The answer as ``application/dicom+xml``; Google's routes want it without the namespace."""
    return native_xml(store_response(result, base_url), _KEYWORDS.get, namespace=namespace)


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


def _failed(failed: Failed) -> dict[str, Any]:
    named = {"00081150": _element("UI", failed.sop_class), "00081155": _element("UI", failed.sop)}
    return dict(sorted((named | _reason(failed)).items()))


def _reason(failed: Failed) -> dict[str, Any]:
    """Why, for programs and for people: Annex I has no place for a sentence, Error Comment is DICOM's own."""
    comment = f"part {failed.part}: {failed.detail}"
    return {
        "00000902": _element("LO", comment if len(comment) <= MAX_COMMENT else comment[: MAX_COMMENT - 3] + "..."),
        "00081197": _element("US", int(failed.reason)),
    }
