"""JSON Patch (RFC 6902) of the metadata of an instance (PS3.18 Annex F), as ``updateMetadata`` takes it.

An implementation of its own: it must be bounded whatever a caller sends, its errors must show no value, and some attributes stay as they
are whatever they are called: what names an instance, its pixels, and how it is encoded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.errors import BadRequest

Json = dict[str, Any]

MOST = 1000
"""Changes of one document."""

LARGEST = 32 << 20
"""Bytes of metadata that changes may make: ``copy`` can double what is there, again and again."""

KEPT = frozenset({"00080005", "00080016", "00080018", "0020000D", "0020000E"})
"""What cannot be changed: the names of an instance, its class, and its character set, which follows from its text."""

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")
_NEEDS = {"add": ("value",), "replace": ("value",), "test": ("value",), "remove": (), "move": ("from",), "copy": ("from",)}


class Unfit(Exception):
    """A patch does not fit an instance; the text says where, and shows no value."""


@dataclass(frozen=True, slots=True)
class _Step:
    """One operation. :param number: from 1. :param path: reference tokens. :param source: those of ``from``."""

    number: int
    op: str
    path: tuple[str, ...]
    source: tuple[str, ...]
    value: Any


class Patch:
    """:param document: the patch, parsed.

    :raises BadRequest: when it is none, or wants to change what cannot be changed.
    """

    def __init__(self, document: object) -> None:
        if not isinstance(document, list) or not document:
            raise BadRequest("the body is a JSON Patch document: a list of operations (RFC 6902)")
        if len(document) > MOST:
            raise BadRequest(f"a patch has at most {MOST} operations")
        self._steps = [_step(number, one) for number, one in enumerate(document, 1)]

    def apply(self, metadata: Mapping[str, Any]) -> Json:
        """The metadata with all changes; the old ones stay as they were.

        :raises Unfit: when an operation finds not what it needs.
        """
        whole: Json = deepcopy(dict(metadata))
        for step in self._steps:
            _OPERATIONS[step.op](whole, step)
            if step.op == "copy" and len(orjson.dumps(whole)) > LARGEST:
                raise Unfit(f"operation {step.number}: the metadata become too large")
        return whole


def _step(number: int, one: object) -> _Step:
    if not isinstance(one, dict) or not isinstance(op := one.get("op"), str) or op not in _NEEDS:
        raise BadRequest(f"operation {number} is none: op is {', '.join(_NEEDS)}")
    for name in ("path", *_NEEDS[op]):
        if name not in one:
            raise BadRequest(f"operation {number} has no {name}")
    source = _pointer(number, one["from"], "from") if "from" in _NEEDS[op] else ()
    path = _pointer(number, one["path"], "path")
    for changed in ([path] if op != "test" else []) + ([source] if op == "move" else []):
        _check(number, changed[0])
    if op == "move" and path[: len(source)] == source and path != source:
        raise BadRequest(f"operation {number} moves something into itself")
    return _Step(number, op, path, source, one.get("value"))


def _pointer(number: int, text: object, name: str) -> tuple[str, ...]:
    """The tokens of a JSON Pointer (RFC 6901) to an attribute, or into it."""
    if not isinstance(text, str) or not text.startswith("/") or len(text) > 1000 or re.search("~(?![01])", text):
        raise BadRequest(f"operation {number}: {name} is no JSON Pointer to an attribute, such as /00100020/Value/0")
    first, *rest = (token.replace("~1", "/").replace("~0", "~") for token in text[1:].split("/"))
    if _TAG.fullmatch(first) is None:
        raise BadRequest(f"operation {number}: {name} begins with the tag of an attribute, such as /00100020")
    return (first.upper(), *rest)


def _check(number: int, tag: str) -> None:
    if tag in KEPT or tag.startswith(("0002", "7FE0")) or tag.endswith("0000"):
        raise BadRequest(f"operation {number}: {tag} cannot be changed: UIDs, pixels and what says how an instance is encoded stay")


# -- the operations


def _at(step: _Step, whole: Any, path: Sequence[str]) -> Any:
    """What is at a place."""
    for token in path:
        if isinstance(whole, dict) and token in whole:
            whole = whole[token]
        elif isinstance(whole, list) and _INDEX.fullmatch(token) and int(token) < len(whole):
            whole = whole[int(token)]
        else:
            raise Unfit(f"operation {step.number}: there is nothing at /{path[0]} where it points to")
    return whole


def _put(step: _Step, whole: Any, value: Any) -> None:
    around, last = _at(step, whole, step.path[:-1]), step.path[-1]
    if isinstance(around, dict):
        around[last] = value
    elif isinstance(around, list) and (last == "-" or (_INDEX.fullmatch(last) and int(last) <= len(around))):
        around.insert(len(around) if last == "-" else int(last), value)
    else:
        raise Unfit(f"operation {step.number}: nothing can be added at /{step.path[0]} where it points to")


def _take(step: _Step, whole: Any, path: Sequence[str]) -> Any:
    found = _at(step, whole, path)
    around = _at(step, whole, path[:-1])
    del around[int(path[-1]) if isinstance(around, list) else path[-1]]
    return found


def _add(whole: Json, step: _Step) -> None:
    _put(step, whole, deepcopy(step.value))


def _remove(whole: Json, step: _Step) -> None:
    _take(step, whole, step.path)


def _replace(whole: Json, step: _Step) -> None:
    _at(step, whole, step.path)
    around = _at(step, whole, step.path[:-1])
    around[int(step.path[-1]) if isinstance(around, list) else step.path[-1]] = deepcopy(step.value)


def _move(whole: Json, step: _Step) -> None:
    _put(step, whole, _take(step, whole, step.source))


def _copy(whole: Json, step: _Step) -> None:
    _put(step, whole, deepcopy(_at(step, whole, step.source)))


def _test(whole: Json, step: _Step) -> None:
    if not _equal(_at(step, whole, step.path), step.value):
        raise Unfit(f"operation {step.number}: /{step.path[0]} is not what the test says")


def _equal(one: Any, other: Any) -> bool:
    """Of values of JSON: true is not 1, and 1.0 is (RFC 6902 4.6)."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


_OPERATIONS = {"add": _add, "remove": _remove, "replace": _replace, "move": _move, "copy": _copy, "test": _test}
