"""DCMTK judges our metadata: dcm2json and dcm2xml over every file at hand, element by element, bulk data byte by byte.

Where the two differ, one of the named reasons below must hold. A difference without a reason fails, and so does a reason
without a difference. DICOM_CORPUS brings more files and the few more reasons that those need. ``-s`` shows how often each
was met.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from struct import pack
from xml.etree import ElementTree

import pytest

from gateway.dicom.byteorder import WORD, swapped
from tests.dicom.archive import readable, refused
from tests.flows.dcmtk import Answer, Difference, Element, Elements, ask, differences, from_json, from_xml, our_json, our_xml

JSON_OPTIONS = ["--compact-code", "--encode-extended"]
XML_OPTIONS = ["--native-format", "--use-xml-namespace", "--load-all", "--encode-base64"]
CORPUS = "DICOM_CORPUS" in os.environ

Reason = Callable[[Difference], bool]


def _both(check: Callable[[Element, Element], bool]) -> Callable[[Difference], bool]:
    """A reason that looks at two elements which are there."""

    def holds(difference: Difference) -> bool:
        return difference.ours is not None and difference.theirs is not None and check(difference.ours, difference.theirs)

    holds.__name__, holds.__doc__ = check.__name__, check.__doc__
    return holds


# -- reasons of both tools


@_both
def un_stays_un(ours: Element, theirs: Element) -> bool:
    """DCMTK shows the bytes of a UN; we look the tag up, as PS3.5 6.2.2 note 2 allows: in the dictionary, or by private creator."""
    return theirs.vr == "UN" != ours.vr and ours.empty == theirs.empty and not theirs.values


@_both
def set_of_an_item(ours: Element, theirs: Element) -> bool:
    """DCMTK leaves (0008,0005) as it is where there was nothing to convert; our text is UTF-8, so we say so wherever it stands."""
    return ours.vr == "CS" and ours.values == ("ISO_IR 192",) and theirs.values != ours.values


@_both
def empty_components(ours: Element, theirs: Element) -> bool:
    """DCMTK drops the carets at the end of a name, which mean nothing (PS3.5 6.2.1.1); we keep what was written."""
    if ours.vr != "PN" or theirs.vr != "PN" or theirs.values == ours.values:
        return False
    return _named(ours) == _named(theirs)


def _named(element: Element) -> list[dict[str, object]]:
    """The groups of each name that say anything."""
    names = []
    for name in element.values:
        groups = {group: text.rstrip("^") if isinstance(text, str) else text for group, text in (name or {}).items()}
        names.append({group: text for group, text in groups.items() if text})
    while names and not names[-1]:
        names.pop()
    return names


@_both
def many_numbers(ours: Element, theirs: Element) -> bool:
    """More than 512 numbers stand behind a URI of ours; DCMTK writes them out. They are the same numbers."""
    codes = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}
    if ours.vr != theirs.vr or ours.vr not in codes or ours.data is None or len(theirs.values) <= 512:
        return False
    return ours.data == pack(f"<{len(theirs.values)}{codes[ours.vr]}", *theirs.values)


@_both
def odd_lengths(ours: Element, theirs: Element) -> bool:
    """A value of odd length, which the standard forbids: DCMTK pads it, we give the bytes that are there."""
    return ours.data is not None and len(ours.data) % 2 == 1 and theirs.data == ours.data + b"\0"


@_both
def compressed(ours: Element, theirs: Element) -> bool:
    """DCMTK has no bytes for compressed pixel data."""
    return ours.vr == theirs.vr == "OB" and bool(ours.data) and theirs.data == b""


@_both
def last_digit(ours: Element, theirs: Element) -> bool:
    """DCMTK's own conversion misses the last of seventeen digits now and then; ours reads back as the same double."""
    if ours.vr != "FD" or len(ours.values) != len(theirs.values):
        return False
    return all(abs(a - b) <= abs(a) * 5e-16 for a, b in zip(ours.values, theirs.values, strict=True))


@_both
def wide_pixels(ours: Element, theirs: Element) -> bool:
    """Big endian pixels of 32 bits in OW: DCMTK swaps their halves each, we the whole, as pydicom does to show the picture."""
    if not (ours.vr == theirs.vr == "OW" and ours.data and theirs.data):
        return False
    return ours.data in (swapped(theirs.data, 4), swapped(swapped(theirs.data, 2), 4))


# -- of dcm2xml


@_both
def words_swapped(ours: Element, theirs: Element) -> bool:
    """DCMTK writes the words of InlineBinary in big endian; PS3.18 has little endian (as dcm2json does)."""
    return ours.vr == theirs.vr and None not in (ours.data, theirs.data) and swapped(theirs.data or b"", WORD.get(ours.vr, 1)) == ours.data


def utf_8_declared(difference: Difference) -> bool:
    """With --convert-to-utf8 DCMTK declares UTF-8 also where all text is ASCII; we declare what is needed."""
    theirs = difference.theirs
    return difference.ours is None and theirs is not None and theirs.values == ("ISO_IR 192",) and difference.where.endswith("00080005")


@_both
def retired_keywords(ours: Element, theirs: Element) -> bool:
    """DCMTK has no keywords for retired elements; PS3.6 has."""
    return ours.keyword is not None and theirs.keyword is None


@_both
def phonetic_is_ideographic(ours: Element, theirs: Element) -> bool:
    """DCMTK repeats the ideographic group where the phonetic one is empty (its JSON does not)."""
    return ours.vr == theirs.vr == "PN" and tuple({**name, "Phonetic": name.get("Ideographic")} for name in ours.values) == theirs.values


@_both
def not_converted(ours: Element, theirs: Element) -> bool:
    """Text in a set that DCMTK cannot convert, see `NOT_CONVERTED`: escapes are shown as U+FFFD, bytes as Latin-1."""
    return ours.vr == theirs.vr and bool(re.search("[^\0-\x7f]", repr(theirs.values)))


def block_of_nobody(difference: Difference) -> bool:
    """DCMTK leaves the block out of a private tag even where it finds no private creator; we keep the tag, and the creator in a UN."""
    name = difference.where.rpartition("/")[2]
    one_sided = difference.ours is None or difference.theirs is None
    return one_sided and int(name[3], 16) % 2 == 1 and (name[4:6] == "00") == (difference.ours is None or " of " in name)


JSON_REASONS: list[Reason] = [un_stays_un, set_of_an_item, empty_components, many_numbers, odd_lengths, last_digit, wide_pixels]
XML_REASONS: list[Reason] = [
    un_stays_un,
    set_of_an_item,
    empty_components,
    many_numbers,
    odd_lengths,
    last_digit,
    compressed,
    words_swapped,
    wide_pixels,
    utf_8_declared,
    retired_keywords,
    phonetic_is_ideographic,
    block_of_nobody,
]

JAPANESE = "the C library that Debian builds DCMTK with knows no code extensions of Japanese sets"
UNKNOWN_SET = "a (0008,0005) of VR UN, taken for numbers"
CUT_OFF = "cut off, to DCMTK: bytes behind the last element, or a length that was never written"
NOT_CONVERTED = {
    "Cannot open character encoding": JAPANESE,
    "Cannot convert character encoding": JAPANESE + "; inside of an item",
    "Cannot select source character set": UNKNOWN_SET,
}
REFUSED_JSON = {
    "compressed pixel data": "dcm2json of DCMTK 3.6.7 takes no compressed pixel data; dcm2xml judges those files",
    "Cannot open character encoding": JAPANESE,
    "Cannot select source character set": UNKNOWN_SET,
    "premature end of stream": CUT_OFF,
}
REFUSED_XML = {
    "Cannot convert Directory Record": "dcm2xml takes no media directories; dcm2json judges them",
    "premature end of stream": CUT_OFF,
}

STRAY = "an item where none can be, which DCMTK calls a parse error; we read on behind it"
APART_JSON = {
    "chrSQEncoding.dcm": "no UTF-8: DCMTK leaves the Shift-JIS of an item as it is",
    "DICOMDIR-nooffset": "a directory whose sequence ends too early; never stored",
}
APART_XML: dict[str, str] = {}

if CORPUS:
    REFUSED_JSON |= {"Invalid tag": STRAY, "Sequence Delimitation Item missing": "a CS that the dictionary has as a sequence now"}
    REFUSED_XML |= {key: REFUSED_JSON[key] for key in ("Invalid tag", "Sequence Delimitation Item missing")}
    APART_JSON |= {
        "GH1301.dcm": "no UTF-8: DCMTK takes bytes without a character set as they are",
        "vr_dt_fd_nan_uc_ur_sv_uv.dcm": "no JSON: DCMTK writes a bare nan",
    }
    APART_XML |= {
        "GH1301.dcm": APART_JSON["GH1301.dcm"],
        "control_chars.dcm": "no XML: DCMTK writes characters that XML has not",
    }


@dataclass
class Table:
    """What was met on the way through the files.

    :param raw: reasons that hold only of documents whose text the tool has not converted.
    :param refusals: parts of what the tool complains of when it refuses a file, and why.
    :param apart: files that are not compared, and why.
    """

    reasons: list[Reason]
    refusals: dict[str, str]
    apart: dict[str, str]
    raw: list[Reason] = field(default_factory=list)
    met: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)

    def compare(
        self, answer: Answer, ours: Callable[[Path], Elements], parse: Callable[[bytes], Elements], reasons: Sequence[Reason] = ()
    ) -> None:
        if not answer.document:
            self._refused(answer)
            return
        name = answer.path.name
        try:
            theirs = parse(answer.document)
        except (ValueError, ElementTree.ParseError) as error:
            self._apart(name, f"{name} cannot be read: {error!r}")
            return
        if name in self.apart:
            self.met[name] += 1
            return
        self.met["files that are compared"] += 1
        for difference in differences(ours(answer.path), theirs):
            self._differs(name, difference, [*self.reasons, *reasons])

    def _apart(self, name: str, text: str) -> None:
        if name in self.apart:
            self.met[name] += 1
        else:
            self.unexpected.append(text[:300])

    def _refused(self, answer: Answer) -> None:
        why = [part for part in self.refusals if part in answer.complaint]
        self.met.update(why)
        if not why:
            self.unexpected.append(f"{answer.path.name} refused: {answer.complaint}")

    def _differs(self, name: str, difference: Difference | None, reasons: list[Reason]) -> None:
        if difference is None:
            self.met["elements that are the same"] += 1
        elif names := [reason.__name__ for reason in reasons if reason(difference)]:
            self.met[names[0]] += 1
        else:
            self.unexpected.append(f"{name} {difference}")

    def judge(self) -> None:
        why = {reason.__name__: reason.__doc__ or "" for reason in (*self.reasons, *self.raw)} | self.refusals | self.apart
        print("", *(f"{count:7} {name}: {why.get(name, '')}" for name, count in self.met.most_common()), sep="\n")  # noqa: T201 - what -s is for
        assert self.unexpected == [], "\n".join([f"{len(self.unexpected)} without a reason:", *self.unexpected[:60]])
        assert {name for name in why if not self.met[name]} == set(), "reasons that no file shows any more"


def test_dcm2json_has_the_same_metadata() -> None:
    table = Table(JSON_REASONS, REFUSED_JSON, APART_JSON)
    for answer in ask("dcm2json", JSON_OPTIONS, readable()):
        table.compare(answer, our_json, from_json)
    table.judge()


def test_dcm2xml_has_the_same_metadata() -> None:
    table = Table(XML_REASONS, REFUSED_XML | NOT_CONVERTED, APART_XML, [not_converted])
    raw = []
    for answer in ask("dcm2xml", [*XML_OPTIONS, "--convert-to-utf8"], readable()):
        table.compare(answer, our_xml, from_xml)
        if any(part in answer.complaint for part in NOT_CONVERTED):
            raw.append(answer.path)
    for answer in ask("dcm2xml", XML_OPTIONS, raw):
        table.compare(answer, our_xml, _from_raw_xml, table.raw)
    table.judge()


def _from_raw_xml(document: bytes) -> Elements:
    """XML of DCMTK whose text it has not converted."""
    return from_xml(document.decode("latin-1").replace("&#27;", "\ufffd").replace("\x1b", "\ufffd"))


def test_what_we_refuse_dcmtk_refuses_too() -> None:
    for tool, options in (("dcm2json", JSON_OPTIONS), ("dcm2xml", XML_OPTIONS)):
        assert {answer.path.name for answer in ask(tool, options, refused()) if answer.document} <= TOO_DEEP


TOO_DEEP = {"nested_sq_5000.dcm"}
"""Made to kill servers, and it does; our limit is 64 sequences inside each other."""


def test_a_missing_tool_is_named_with_what_brings_it(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"dcm2nothing is missing.*apt-get install dcmtk"):
        ask("dcm2nothing", [], [tmp_path])
