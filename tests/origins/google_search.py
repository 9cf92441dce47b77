"""Searches as the Cloud Healthcare API answers them: few keys, exact values, no word about what is left over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset

from tests.origins.models import Model, json_model

Held = tuple[tuple[str, str, str], Dataset, str]
"""UIDs, data set, transfer syntax."""

LEVELS = ("study", "series", "instance")
KEYS = {
    "study": ("StudyInstanceUID", "PatientName", "PatientID", "AccessionNumber", "ReferringPhysicianName", "StudyDate"),
    "series": ("SeriesInstanceUID", "Modality"),
    "instance": ("SOPInstanceUID",),
}
DEFAULTS = {"study": 100, "series": 100, "instance": 1000}
MOST = {"study": 5000, "series": 5000, "instance": 50_000}
FARTHEST = 1_000_000
GLOBAL = frozenset({"access_token", "alt", "callback", "fields", "key", "oauth_token", "prettyPrint", "quotaUser", "$.xgafv"})

SHOWN = {
    "study": "StudyDate StudyTime AccessionNumber ReferringPhysicianName PatientName PatientID PatientBirthDate PatientSex "
    "StudyInstanceUID StudyID",
    "series": "Modality SeriesDescription SeriesInstanceUID SeriesNumber PerformedProcedureStepStartDate PerformedProcedureStepStartTime",
    "instance": "SOPClassUID SOPInstanceUID InstanceNumber Rows Columns BitsAllocated NumberOfFrames",
}
"""What results have without being asked."""


class Unsupported(ValueError):
    """A parameter that the API refuses."""


def search(level: str, held: Sequence[Held], params: Sequence[tuple[str, str]], url: str, *, counted: bool) -> list[Model]:
    """The results, in the order of their UIDs."""
    asked = _Asked(level, params)
    depth = LEVELS.index(level) + 1
    ordered = sorted(held, key=lambda one: one[0][:depth])
    results = []
    for uids, below in groupby(ordered, key=lambda one: one[0][:depth]):
        group = list(below)
        if any(asked.matches(one[1]) for one in group):
            path = "".join(f"/{name}/{uid}" for name, uid in zip(("studies", "series", "instances"), uids, strict=False))
            results.append(asked.result(group, held, url + path, counted))
    return results[asked.offset : asked.offset + asked.limit]


class _Asked:
    def __init__(self, level: str, params: Iterable[tuple[str, str]]) -> None:
        self._level = level
        self._keys: dict[str, str] = {}
        self._include: set[str] = set()
        self._fuzzy = False
        self.limit, self.offset = DEFAULTS[level], 0
        for name, value in params:
            self._take(name, value)

    def _take(self, name: str, value: str) -> None:
        if name == "includefield":
            self._include |= {word if word == "all" else _keyword(word) for word in value.split(",")}
        elif name == "fuzzymatching":
            self._fuzzy = value == "true"
        elif name == "limit":
            self.limit = _number(name, value, MOST[self._level])
        elif name == "offset":
            self.offset = _number(name, value, FARTHEST)
        elif name not in GLOBAL:
            allowed = [key for level in LEVELS[: LEVELS.index(self._level) + 1] for key in KEYS[level]]
            if (key := _keyword(name)) not in allowed:
                raise Unsupported(f"unknown/unsupported QIDO attribute: {name}")
            self._keys[key] = value

    def matches(self, ds: Dataset) -> bool:
        return all(self._match(key, wanted, ds) for key, wanted in self._keys.items())

    def _match(self, key: str, wanted: str, ds: Dataset) -> bool:
        value = str(ds.get(key, ""))
        if key == "StudyDate" and "-" in wanted:
            low, _, high = wanted.partition("-")
            return value != "" and low <= value and (not high or value <= high)
        if key == "PatientName" and self._fuzzy:
            words = _words(value)
            return any(word.startswith(token) for token in _words(wanted) for word in words)
        return value == wanted

    def result(self, group: Sequence[Held], held: Sequence[Held], url: str, counted: bool) -> Model:
        uids, first, _ = group[0]
        whole = json_model(first, None)
        depth = LEVELS.index(self._level) + 1
        shown = {_key(word) for level in LEVELS[:depth] for word in SHOWN[level].split()}
        shown |= set(whole) if "all" in self._include else {_key(word) for word in self._include}
        found = {key: value for key, value in whole.items() if key in shown}
        found |= {"00080056": _value("CS", "ONLINE"), "00081190": _value("UR", url)}
        if counted:
            found |= self._counts(uids, held)
        if self._level == "instance" and self._include & {"all", "TransferSyntaxUID", "AvailableTransferSyntaxUID"}:
            found |= {"00020010": _value("UI", group[0][2]), "00083002": _value("UI", group[0][2])}
        return dict(sorted(found.items()))

    def _counts(self, uids: Sequence[str], held: Sequence[Held]) -> Model:
        if self._level == "study":
            below = [one for one in held if one[0][0] == uids[0]]
            return {
                "00080061": _value("CS", *sorted({str(one[1].Modality) for one in below if "Modality" in one[1]})),
                "00201206": _value("IS", len({one[0][1] for one in below})),
                "00201208": _value("IS", len(below)),
            }
        return {"00201209": _value("IS", sum(one[0][:2] == tuple(uids[:2]) for one in held))} if self._level == "series" else {}


def _value(vr: str, *values: Any) -> Model:
    return {"vr": vr, "Value": list(values)}


def _number(name: str, value: str, most: int) -> int:
    if not value.isdecimal() or int(value) > most:
        raise Unsupported(f"invalid value for {name}: must be at most {most}")
    return int(value)


def _keyword(word: str) -> str:
    keyword = keyword_for_tag(int(word, 16)) if re.fullmatch(r"[0-9A-Fa-f]{8}", word) else word
    if tag_for_keyword(keyword) is None:
        raise Unsupported(f"unknown/unsupported QIDO attribute: {word}")
    return keyword


def _key(keyword: str) -> str:
    return f"{tag_for_keyword(keyword) or 0:08X}"


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[\s^=,]+", name.lower()) if word]
