"""The metadata of an origin as ours: cut into instances while it arrives, and each written anew (PS3.18 10.4.1.1.2, F.2).

What an origin writes differs in small things that viewers stumble over. Rules:

1. A BulkDataURI is ours: the path of the instance and the way to the element, whatever the origin calls it. So the element is
   found by the same way as in a local store, and no URL of the origin goes out.
2. Group 0002, group lengths and RetrieveURL are left out; tags ascend and are upper case; what is empty has no Value; the
   text is UTF-8, and says so (`dicom.metadata` has the reasons).
3. Values stay what the origin says. Only trailing blanks that pad them are cut off, for PS3.5 6.2 gives them no meaning; what it
   cuts at backslashes that are text (ST, LT, UT, UR) is whole again, and of bytes that it shows as numbers the URI is named.
4. Pixel data that the origin leaves out, as Orthanc does with compressed one, is named all the same: what has Rows, Columns and
   Bits Allocated is a picture (PS3.3 C.7.6.3), and its pixels can be asked for here.
5. Nothing is parsed before it is whole, and nothing is held but the instance that is arriving.
6. What the DICOM JSON model has no place for does not go out: an object where a value belongs could hold an URL of anybody's.
   What names another study, series or instance than was asked for is an error: it may be another patient's.
"""

from __future__ import annotations

import json
import re
from math import isfinite
from typing import Any

import orjson

from gateway.backends.base import URL_BASE
from gateway.dicomweb.resources import Resource, is_uid
from gateway.errors import OriginFailed

DOCUMENT = 32 << 20
"""Bytes of one instance's metadata that are held: what local stores write stays below 20 MiB (limits.header_bytes)."""

DEEPEST = 64
"""Sequences within sequences, as `limits.depth` has it for instances; what goes deeper could not be written as JSON again."""

RESCANNED = 1 << 20
"""Bytes without a brace after which more must come before they are looked through again: the value is long."""

Attributes = dict[str, Any]

# From any point outside a string to the next brace, strings passed over. Possessive: nothing is tried twice.
_BRACE = re.compile(rb'[^"{}]*+(?:"[^"\\]*+(?:\\.[^"\\]*+)*+"[^"{}]*+)*+([{}])', re.DOTALL)
_ORTHANC_URI = re.compile(r"/bulk/((?:[0-9a-f]{8}/[1-9][0-9]{0,6}/)*[0-9a-f]{8})\Z")
_HEX = re.compile(r"[0-9A-Fa-f]{8}")
_VR = re.compile(r"[A-Z]{2}")
_ICONS = "00880200"
_RETRIEVE_URL = "00081190"
_CHARACTER_SET = "00080005"
_PICTURE = {"00280010", "00280011", "00280100"}
_PIXELS = {"7FE00008", "7FE00009", "7FE00010", "00287FE0"}
"""Pixel data in its three forms, and the URL of one that is provided elsewhere (JPIP)."""
_UTF_8: Attributes = {"vr": "CS", "Value": ["ISO_IR 192"]}
_WHOLE = frozenset({"LT", "ST", "UR", "UT"})
"""Text of which there is one value, backslashes and all (PS3.5 6.4)."""
_BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
"""What DICOM JSON has no values of (PS3.18 F.2.2). Orthanc shows the first float of floating point pixels."""
_PADDED = frozenset({"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "SH", "ST", "TM", "UI", "UT", "UC"})


class Splitter:
    """Cuts a JSON array of objects into its objects; any cut of the same bytes gives the same objects."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._at = 0  # up to here braces are counted
        self._depth = 0
        self._start = 0
        self._need = 0
        self._begun = False

    def feed(self, data: bytes) -> list[bytes]:
        """The objects that are whole with these bytes.

        :raises OriginFailed: for an object of more than `DOCUMENT` bytes.
        """
        self._held += data
        if len(self._held) < self._need:
            return []
        found = []
        with memoryview(self._held) as held:
            while brace := _BRACE.match(held, self._at):
                self._at = brace.end()
                if brace[1] == b"{":
                    if not self._depth:
                        self._start = self._at - 1
                    self._depth += 1
                else:
                    self._depth -= 1
                    if self._depth < 0:
                        raise _nonsense()
                    if not self._depth:
                        found.append(bytes(held[self._start : self._at]))
                        self._begun = True
            brace = None
        self._let_go()
        return found

    def _let_go(self) -> None:
        """Forgets what was given out, and decides when it makes sense to look again."""
        gone = self._start if self._depth else self._at
        del self._held[:gone]
        self._at -= gone
        self._start -= gone
        if len(self._held) > DOCUMENT:
            raise OriginFailed(f"The origin's metadata of one instance has more than {DOCUMENT} bytes.")
        unread = len(self._held) - self._at
        self._need = len(self._held) + unread if unread > RESCANNED else 0

    def finish(self) -> list[bytes]:
        """The end of the bytes.

        :raises OriginFailed: when they ended too early.
        """
        self._need = 0
        found = self.feed(b"")
        rest = bytes(self._held).strip()
        if self._depth or (not rest.endswith(b"]") and (rest or self._begun)):
            raise _nonsense()
        return found


def _nonsense() -> OriginFailed:
    return OriginFailed("The origin's metadata is not a whole JSON array of data sets.")


def remade(document: bytes, resource: Resource) -> bytes:
    """One instance's object as we write it.

    :param resource: what was asked for: names UIDs that the origin left out.
    :raises OriginFailed: when it is no object of attributes, or that of something else.
    """
    try:
        model = _loaded(document)
        base = _path(model, resource)
        prefix = f"{URL_BASE}{base}/bulkdata/"
        tidy = _picture(tidied(model, prefix), prefix)
        tidy.pop(_RETRIEVE_URL, None)
        if _CHARACTER_SET not in tidy and (text := _written(tidy)).isascii():
            return text
        return _written(tidy | {_CHARACTER_SET: _UTF_8})
    except (TypeError, AttributeError, LookupError, ValueError, RecursionError):  # a TypeError, too, for half a surrogate pair
        raise _nonsense() from None


def _written(model: Attributes) -> bytes:
    return orjson.dumps(dict(sorted(model.items())))


def _loaded(document: bytes) -> Attributes:
    try:
        model: Attributes = orjson.loads(document)
    except orjson.JSONDecodeError:  # Orthanc writes 1e+9999 for what is no number
        model = json.loads(document, parse_constant=lambda _: None)
    return model


def _path(model: Attributes, resource: Resource) -> str:
    named = (resource.study, resource.series, resource.instance)
    uids = [_own(model, key, asked) for asked, key in zip(named, ("0020000D", "0020000E", "00080018"), strict=True)]
    study, series, instance = uids
    return Resource(study, series, instance).path


def _own(model: Attributes, key: str, asked: str | None) -> str:
    """A UID of the instance, which is the one that was asked for.

    :raises OriginFailed: when it is another one.
    """
    if asked is None:
        return _uid(model, key)
    if model.get(key, {}).get("Value") and _uid(model, key) != asked:
        raise OriginFailed("The origin answers with the metadata of something else than was asked for.")
    return asked


def _uid(model: Attributes, key: str) -> str:
    uid = str(model[key]["Value"][0]).strip()
    if not is_uid(uid):
        raise ValueError(key)
    return uid


def tidied(dataset: Attributes, prefix: str) -> Attributes:
    """A data set with the rules above, but for what hangs on a whole instance.

    :param prefix: what the URIs of bulk data in it begin with.
    :raises AttributeError: when it is none, or TypeError.
    """
    named = {key.upper(): element for key, element in dataset.items() if _HEX.fullmatch(key)}
    return {key: _attribute(key, named[key], prefix) for key in sorted(named) if not key.startswith("0002") and not key.endswith("0000")}


def _picture(dataset: Attributes, prefix: str) -> Attributes:
    """The data set with its pixel data named (rule 4)."""
    if dataset.keys() >= _PICTURE and dataset.keys().isdisjoint(_PIXELS):
        dataset["7FE00010"] = {"vr": "OB", "BulkDataURI": f"{prefix}7FE00010"}
    return dataset


def _attribute(key: str, element: Attributes, prefix: str) -> Attributes:
    vr = element.get("vr", "UN")
    if not _VR.fullmatch(vr):
        raise ValueError("no value representation")
    if "BulkDataURI" in element:
        return {"vr": vr, "BulkDataURI": _uri(prefix + key, str(element["BulkDataURI"]))}
    if element.get("InlineBinary"):
        return {"vr": vr, "InlineBinary": str(element["InlineBinary"])}
    values = element.get("Value")
    if not values:
        return {"vr": vr}
    if vr in _BYTES:
        return {"vr": vr, "BulkDataURI": prefix + key}
    if vr in _WHOLE and all(isinstance(value, str) for value in values):
        values = ["\\".join(values)]
    if vr == "SQ":
        if prefix.count("/") > _SLASHES + 2 * DEEPEST:
            raise ValueError("sequences too deep")
        items = [(tidied(item or {}, inside := f"{prefix}{key}/{number}/"), inside) for number, item in enumerate(values)]
        return {"vr": vr, "Value": [_picture(*item) if key == _ICONS else item[0] for item in items]}
    values = [_value(value, vr) for value in values]
    return {"vr": vr, "Value": values} if any(value is not None for value in values) or len(values) > 1 else {"vr": vr}


_SLASHES = f"{URL_BASE}{Resource('1', '1', '1').path}/bulkdata/".count("/")
"""In the URI of a top-level element of an instance; each sequence around an element adds two."""


def _uri(ours: str, theirs: str) -> str:
    """The URI of bulk data. Orthanc leaves empty items out of its JSON; its own URIs count all of them, from 1."""
    found = _ORTHANC_URI.search(theirs)
    if found is None or "/" not in found[1]:
        return ours
    words = found[1].upper().split("/")
    base = ours.partition("/bulkdata/")[0]
    return f"{base}/bulkdata/" + "/".join(word if len(word) == 8 else str(int(word) - 1) for word in words)


def _value(value: Any, vr: str) -> Any:
    if isinstance(value, str) and vr in _PADDED:
        value = value.rstrip(" \0")
    elif isinstance(value, dict) and vr == "PN":
        return {group: text for group, text in value.items() if text and isinstance(text, str)} or None
    if isinstance(value, dict | list) or (isinstance(value, float) and not isfinite(value)):
        return None
    return None if value == "" else value
