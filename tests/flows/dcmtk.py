"""DCMTK's dcm2json and dcm2xml, and our own metadata, in one form that can be compared: elements by name."""

from __future__ import annotations

import json
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from math import isnan
from pathlib import Path
from struct import pack, unpack
from typing import Any
from xml.etree import ElementTree

from gateway.dicom import dictionary
from gateway.dicomweb.nativexml import NAMESPACE, native_xml
from tests.flows.ours import Bulk, described

AT_ONCE = 3
"""Processes: a few more than the processors that a small machine has, since each waits for the disk now and then."""

FLOATS = {"DS", "FD", "FL"}
NUMBERS = FLOATS | {"IS", "SL", "SS", "SV", "UL", "US", "UV"}

Elements = dict[str, "Element"]
"""By tag; in XML a private element by its tag without the block and its creator."""


@dataclass(frozen=True, slots=True)
class Element:
    """An element of either side.

    :param values: numbers as numbers, text, names as objects, None for an empty one.
    :param items: of a sequence.
    :param data: a value as bytes, little endian; b"" where the side says that there is one and does not show it.
    :param keyword: the name that XML gives it.
    """

    vr: str
    values: tuple[Any, ...] = ()
    items: tuple[Elements, ...] = ()
    data: bytes | None = None
    keyword: str | None = None

    @property
    def empty(self) -> bool:
        return not self.values and not self.items and self.data is None


@dataclass(frozen=True, slots=True)
class Difference:
    """One element in which the two sides differ; None where a side has none."""

    where: str
    ours: Element | None
    theirs: Element | None

    def __str__(self) -> str:
        return f"{self.where}: ours {_short(self.ours)}, theirs {_short(self.theirs)}"


def _short(element: Element | None) -> str:
    text = str(element)
    return text if len(text) < 300 else text[:300] + "..."


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool made of a file; `document` is empty when it refused."""

    path: Path
    document: bytes
    complaint: str


def ask(tool: str, options: Sequence[str], paths: Sequence[Path]) -> list[Answer]:
    """Runs `tool` over each of `paths`."""
    program = shutil.which(tool)
    assert program, f"{tool} is missing; `make test` as root installs it, or: apt-get install dcmtk"

    def one(path: Path) -> Answer:
        done = subprocess.run([program, *options, str(path)], capture_output=True, check=False, timeout=60)
        return Answer(path, b"" if done.returncode else done.stdout, done.stderr.decode("latin-1"))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(one, paths))


# -- documents as elements


def our_json(path: Path) -> Elements:
    return _from_json(*described(path.read_bytes()))


def our_xml(path: Path) -> Elements:
    attributes, bulk = described(path.read_bytes())
    return _from_xml(_root(native_xml(attributes, dictionary.keyword)), bulk)


def from_json(document: bytes) -> Elements:
    return _from_json(json.loads(document), {})


def _from_json(attributes: dict[str, Any], bulk: Bulk) -> Elements:
    return {key: _json_element(attribute, bulk) for key, attribute in attributes.items()}


def _json_element(attribute: dict[str, Any], bulk: Bulk) -> Element:
    vr, values = attribute["vr"], attribute.get("Value", [])
    if vr == "SQ":
        return Element(vr, items=tuple(_from_json(item or {}, bulk) for item in values))
    if "InlineBinary" in attribute:
        return Element(vr, data=b64decode(attribute["InlineBinary"]))
    if "BulkDataURI" in attribute:
        return Element(vr, data=bulk[attribute["BulkDataURI"]])
    return Element(vr, tuple(_number(vr, value) if vr in NUMBERS else value for value in values))


def _number(vr: str, value: Any) -> Any:
    """What is written of a number, whatever its digits; text that is none stays as it is, and a NaN is made equal to itself."""
    try:
        number = float(value) if vr in FLOATS else int(value)
    except (TypeError, ValueError):
        return value
    if isnan(number):
        return "NaN"
    return unpack("<f", pack("<f", number))[0] if vr == "FL" else number


def from_xml(document: bytes | str) -> Elements:
    return _from_xml(_root(document), {})


def _root(document: bytes | str) -> ElementTree.Element:
    root = ElementTree.fromstring(document)  # noqa: S314 - written by us or by DCMTK
    assert root.tag == f"{{{NAMESPACE}}}NativeDicomModel"
    return root


def _from_xml(parent: ElementTree.Element, bulk: Bulk) -> Elements:
    found: Elements = {}
    for attribute in parent:
        creator = attribute.get("privateCreator")
        name = attribute.attrib["tag"] + (f" of {creator}" if creator else "")
        assert name not in found, name
        found[name] = _xml_element(attribute, bulk)
    return found


def _xml_element(attribute: ElementTree.Element, bulk: Bulk) -> Element:
    vr, keyword = attribute.attrib["vr"], attribute.get("keyword")
    children = list(attribute)
    kinds = {_local(child) for child in children}
    if kinds <= {"Value", "PersonName", "Item"}:
        assert [child.get("number") for child in children] == [str(number) for number in range(1, len(children) + 1)]
    if vr == "SQ":
        return Element(vr, items=tuple(_from_xml(child, bulk) for child in children), keyword=keyword)
    if kinds == {"BulkData"}:
        return Element(vr, data=bulk[children[0].attrib["uri"]], keyword=keyword)
    if kinds == {"InlineBinary"}:
        return Element(vr, data=b64decode(children[0].text or ""), keyword=keyword)
    return Element(vr, tuple(_xml_value(vr, child) for child in children), keyword=keyword)


def _xml_value(vr: str, child: ElementTree.Element) -> Any:
    if vr == "PN":
        return _xml_name(child)
    return _number(vr, child.text) if vr in NUMBERS else child.text


def _xml_name(name: ElementTree.Element) -> dict[str, dict[str, str | None]]:
    return {_local(group): {_local(part): part.text for part in group} for group in name}


def _local(element: ElementTree.Element) -> str:
    return element.tag.removeprefix(f"{{{NAMESPACE}}}")


# -- comparison


def differences(ours: Elements, theirs: Elements, where: str = "") -> Iterator[Difference | None]:
    """None for each element that is the same on both sides, a `Difference` for the others."""
    for name in sorted(ours.keys() | theirs.keys()):
        one, other = ours.get(name), theirs.get(name)
        if one is None or other is None:
            yield Difference(where + name, one, other)
            continue
        if one.keyword != other.keyword:
            yield Difference(f"{where}{name}/keyword", one, other)
            other = replace(other, keyword=one.keyword)
        if one.vr == other.vr == "SQ" and len(one.items) == len(other.items):
            yield None
            for number, (item, twin) in enumerate(zip(one.items, other.items, strict=True)):
                yield from differences(item, twin, f"{where}{name}/{number}/")
        else:
            yield None if one == other else Difference(where + name, one, other)
