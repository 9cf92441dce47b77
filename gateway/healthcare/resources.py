"""Datasets and DICOM stores as the API reads and writes them, with what may be set of each and how it is checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from gateway.errors import BadRequest

Json = dict[str, Any]

MAX_LABELS = 64
MAX_LABEL = 63
"""Characters of the key or value of a label, and 128 bytes."""

DATASET_FIELDS = frozenset({"timeZone", "encryptionSpec"})
STORE_FIELDS = frozenset({"labels", "notificationConfig", "notificationConfigs", "streamConfigs"})
_GIVEN = frozenset({"name", "satisfiesPzi", "satisfiesPzs"})
"""What the service says and no caller sets; clients send back what they got."""

_ZONE = re.compile(r"[A-Za-z][A-Za-z0-9_+-]{0,31}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")
_CAMEL = re.compile(r"_([a-z])")


def dataset(body: object) -> Json:
    """What a caller wants a dataset to be.

    :raises BadRequest: naming the field.
    """
    fields = _fields(body, DATASET_FIELDS, "dataset")
    if fields.pop("encryptionSpec", None) not in (None, {}, {"kmsKeyName": ""}):
        raise BadRequest("encryptionSpec names a key of Cloud KMS, with which this gateway encrypts nothing; encrypt the disk below it")
    zone = fields.get("timeZone", "UTC") or "UTC"
    if not isinstance(zone, str) or _ZONE.fullmatch(zone) is None:
        raise BadRequest("timeZone is no name of a time zone in the IANA database, such as Europe/Berlin")
    return fields | {"timeZone": zone}


def store(body: object) -> Json:
    """What a caller wants a DICOM store to be.

    :raises BadRequest: naming the field.
    """
    fields = _fields(body, STORE_FIELDS, "DICOM store")
    if "labels" in fields:
        fields["labels"] = _labels(fields["labels"])
    if "notificationConfig" in fields:
        _topic(fields["notificationConfig"], "notificationConfig")
    if "notificationConfigs" in fields:
        for config in _list(fields["notificationConfigs"], "notificationConfigs"):
            _topic(config, "notificationConfigs")
    if "streamConfigs" in fields and _list(fields["streamConfigs"], "streamConfigs"):
        raise BadRequest("streamConfigs stream to BigQuery, which this gateway does not do")
    return {name: value for name, value in fields.items() if value not in (None, {}, [])}


def patched(old: Mapping[str, Any], body: object, mask: str | None, fields: frozenset[str]) -> Json:
    """The fields of a resource after a PATCH.

    :param mask: ``updateMask``: names with commas, in either spelling; a path such as ``labels.site`` sets one label.
    :raises BadRequest: when it is missing, or names what cannot be changed.
    """
    given = _fields(body, fields, "resource")
    new = dict(old)
    for path in _paths(mask):
        name, dot, rest = path.partition(".")
        if name not in fields:
            raise BadRequest(f"updateMask names what cannot be changed; {', '.join(sorted(fields))} can")
        if dot and (name != "labels" or not rest):
            raise BadRequest("updateMask names a part of a field; that can be labels.KEY, and others change as a whole")
        if dot:
            new[name] = _with_label(new.get(name, {}), _labels(given.get(name, {})), rest)
        elif name in given:
            new[name] = given[name]
        else:
            new.pop(name, None)
    return new


def _paths(mask: str | None) -> list[str]:
    paths = [_camel(one.strip()) for one in (mask or "").split(",") if one.strip()]
    if not paths:
        raise BadRequest("updateMask is missing; it names the fields that change, for example updateMask=labels")
    return paths


def _camel(path: str) -> str:
    """``notification_config`` as ``notificationConfig``; what is behind a dot is a key of the caller's."""
    name, dot, rest = path.partition(".")
    return _CAMEL.sub(lambda found: found[1].upper(), name) + dot + rest


def _with_label(old: Mapping[str, str], given: Mapping[str, str], key: str) -> Json:
    labels = {name: value for name, value in old.items() if name != key}
    return labels | ({key: given[key]} if key in given else {})


def _fields(body: object, known: frozenset[str], what: str) -> Json:
    if body is None:
        return {}
    if not isinstance(body, dict):
        raise BadRequest(f"the body is not a JSON object that describes a {what}")
    unknown = sorted(body.keys() - known - _GIVEN)
    if unknown:
        raise BadRequest(f"a {what} has no such field; it has {', '.join(sorted(known))}")
    return {name: value for name, value in body.items() if name in known and value is not None}  # null is the default (proto3's JSON)


def _labels(value: object) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_LABELS:
        raise BadRequest(f"labels are an object of at most {MAX_LABELS} texts")
    for key, text in value.items():
        fits = isinstance(key, str) and isinstance(text, str) and _is_label(text) and _is_label(key)
        if not fits or not key or not (key[0].islower() or (key[0].isalpha() and not key[0].isupper())):
            raise BadRequest("a label has up to 63 small letters, digits, underscores and hyphens; its key begins with a letter")
    return dict(value)


def _is_label(text: str) -> bool:
    plain = all((char.isalpha() and not char.isupper()) or char.isnumeric() or char in "_-" for char in text)
    return plain and len(text) <= MAX_LABEL and len(text.encode()) <= 128


def _list(value: object, name: str) -> Sequence[object]:
    if not isinstance(value, list):
        raise BadRequest(f"{name} is a list")
    return value


TOPIC = r"projects/[A-Za-z0-9](?:[A-Za-z0-9:._-]{0,98}[A-Za-z0-9])?/topics/(?!goog)[A-Za-z][A-Za-z0-9._~+%-]{2,254}"
"""Name of a topic of Pub/Sub, as Pub/Sub has it: none of one's own begins with ``goog``. It becomes part of a URL."""


def _topic(value: object, name: str) -> None:
    if not isinstance(value, dict) or value.keys() - {"pubsubTopic", "sendForBulkImport"}:
        raise BadRequest(f"{name} has pubsubTopic and sendForBulkImport, and no other fields")
    topic = value.get("pubsubTopic", "")
    if not isinstance(topic, str) or (topic and re.fullmatch(TOPIC, topic) is None):
        raise BadRequest(f"{name}.pubsubTopic must look like projects/PROJECT/topics/TOPIC")
    if not isinstance(value.get("sendForBulkImport", False), bool):
        raise BadRequest(f"{name}.sendForBulkImport is true or false")


# -- lists


def matches(labels: Mapping[str, str], expression: str) -> bool:
    """Whether a resource is one that ``filter=`` lets through: ``labels.key=value``, ``labels.key:*``, joined by AND.

    :raises BadRequest: for anything else.
    """
    terms = re.split(r"\s+AND\s+", expression.strip()) if expression.strip() else []
    found = [_matches_one(labels, term.strip()) for term in terms]  # each of them, for one that is none is refused wherever it stands
    return all(found)


_TERM = re.compile(r'labels\.([^\s=:]{1,63})\s*(=|:)\s*"?([^"\s]*)"?')


def _matches_one(labels: Mapping[str, str], term: str) -> bool:
    found = _TERM.fullmatch(term)
    if found is None:
        raise BadRequest("filter is labels.key=value or labels.key:*, several of them joined by AND")
    key, sign, value = found.groups()
    return key in labels if sign == ":" and value == "*" else labels.get(key) == value
