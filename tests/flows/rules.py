"""The matching rules of PS3.18 8.3.4 and PS3.4 C.2.2.2, and how a row of their table is written and stored.

``python -m tests.flows.rules`` prints the whole table: each section, what we do where it leaves a choice, and every example
with what it finds and what it leaves. The same examples are the tests (`test_matching_rules`), so the list cannot be wrong.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlencode

from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from tests.samples import written

SECTIONS: dict[str, str] = {
    "C.2.2.2": "All keys have to match. The character set of a value and the length of its VR have no part in it; Specific Character "
    "Set is never matched.",
    "C.2.2.2.1": "One value: the same characters, letter for letter, for every VR but PN. Outer blanks do not count. No value matches "
    "an attribute that is empty or absent.",
    "C.2.2.2.1.1": "PN: case and accents (U+0300 to U+036F) do not count, nor do carets and blanks at the end of groups. A key is compared "
    "with the whole name and with each run of neighbouring groups: the alphabetic one, the ideographic one, both, and so on.",
    "C.2.2.2.1.2": "Text that holds * or ? cannot be asked for letter for letter: the key is a pattern.",
    "C.2.2.2.1.3": "Dates and times by their meaning; a key of less precision means the whole span of it.",
    "C.2.2.2.1.4": "IS and DS, and numbers in binary, by their value.",
    "C.2.2.2.2": "A list of UIDs, divided by backslashes or commas: any of them.",
    "C.2.2.2.3": "An empty key, or one of asterisks, matches whatever there is or is not, and asks for the attribute.",
    "C.2.2.2.4": "* is any run of characters and ? any one, in AE CS LO LT PN SH ST UC UR UT; with regard to case, PN aside. "
    "No other character means anything but itself.",
    "C.2.2.2.5.1": "Ranges of dates, both ends included.",
    "C.2.2.2.5.2": "Ranges of times within a day; an upper end of less precision reaches to its last moment.",
    "C.2.2.2.5.3": "Ranges of moments; the offset from UTC of either side counts.",
    "C.2.2.2.5.4": "A range of dates and a range of times of one pair make one range of moments. Nothing else has ranges.",
    "C.2.2.2.6": "Keys below a sequence have to match in one item of it, at any depth. The sequence itself as a key asks for all of it.",
    "C.2.2.2.7": 'Two quotation marks match what is empty or absent, when "emptyvaluematching" is true.',
    "C.2.2.2.8": 'All of several values have to be there, in any order, when "multiplevaluematching" is true; else any of them.',
    "C.2.2.3": "An attribute of several values matches when one of them does, and comes back with all.",
    "8.3.1": "Names of parameters are case-sensitive; unknown ones are ignored; a bad value of a known one is 400 and names it.",
    "8.3.4.1": "Keys are keywords, tags in hexadecimal digits, also private ones, or paths of them.",
    "8.3.4.1.1": "The rules of C-FIND, with combined dates and times, and dates and times in the Timezone Offset From UTC of the request.",
    "8.3.4.2": '"fuzzymatching": a word of the key begins a word of the name; patterns stay patterns.',
    "8.3.4.3": '"includefield": lists, repeated or not, of keywords, tags and paths, or "all".',
    "8.3.4.4": '"limit" and "offset"; a Warning says how many there are beyond.',
    "8.3.4.4.1": "The same search has the same answer in the same order; nothing to give is 204.",
    "8.3.4.5": '"emptyvaluematching" is true or false, and false when absent.',
    "8.3.4.6": '"multiplevaluematching" is true or false, and false when absent.',
    "10.6.1.2": "Keys of the levels above hold below them. Keys of the levels below have to match together in one series or instance.",
    "10.6.3": "What every result carries, and where the attributes of a study come from when its instances disagree.",
}
"""PS3.4 (C...) and PS3.18: what we do, in our words."""

Value = str | float | list[Any] | None | Mapping[str, Any]
"""What is stored: the value of the key's attribute (None: it is absent), or several attributes by keyword or private tag."""


@dataclass(frozen=True)
class Row:
    """One example: a search, instances that it finds and instances that it does not.

    :ivar refused: whether the search is answered 400.
    """

    section: str
    keys: tuple[tuple[str, str], ...]
    finds: tuple[Value, ...] = ()
    leaves: tuple[Value, ...] = ()
    refused: bool = False

    @property
    def query(self) -> str:
        return urlencode(self.keys)

    @property
    def stored(self) -> tuple[Value, ...]:
        return (*self.finds, *self.leaves)

    def __str__(self) -> str:
        asked = "&".join(f"{name}={value}" for name, value in self.keys)
        if self.refused:
            return f"{asked} is refused"
        return f"{asked} finds {[*self.finds]} and leaves {[*self.leaves]}"


def row(section: str, key: str, value: str, finds: Sequence[Value], leaves: Sequence[Value] = (), /, **more: str) -> Row:
    """:param more: further parameters; an underscore stands for the dot of a path."""
    others = [(name.replace("_", "."), text) for name, text in more.items()]
    return Row(section, ((key, value), *others), tuple(finds), tuple(leaves))


def refused(section: str, key: str, value: str, /, **more: str) -> Row:
    """A search that is answered 400."""
    return Row(section, ((key, value), *more.items()), refused=True)


# -- tests that are no rows

TESTED: dict[str, list[str]] = {}
"""Names of tests by section."""

Test = TypeVar("Test", bound=Callable[..., Any])


def holds(*sections: str) -> Callable[[Test], Test]:
    """Marks a test as one of sections."""

    def mark(test: Test) -> Test:
        for section in sections:
            TESTED.setdefault(section, []).append(test.__name__)
        return test

    return mark


# -- what is stored for a row


def study_uid(number: int, place: int) -> str:
    """Of the stored value at `place` of the row `number`; each is a study with one series of one instance."""
    return f"1.2.{number}.{place}"


def instance(study: str, value: Mapping[str, Any], **uids: str) -> bytes:
    """A header without pixels that holds `value` and what an instance cannot do without, so that absent is absent.

    :param value: by keyword, or by tag (``"00091001"``, ``"00091001 SH"``); lists of mappings are sequences.
    """
    own = {"SeriesInstanceUID": f"{study}.1", "SOPInstanceUID": f"{study}.1.1", "StudyInstanceUID": study}
    return written(dataset({"SpecificCharacterSet": "ISO_IR 192", "SOPClassUID": CTImageStorage} | own | dict(value) | uids))


def dataset(value: Mapping[str, Any]) -> Dataset:
    """A data set, or an item of a sequence."""
    ds = Dataset()
    for name, one in value.items():
        if isinstance(one, list) and one and isinstance(one[0], Mapping):
            one = [dataset(item) for item in one]
        if name[0].isdigit():
            ds.add_new(int(name[:8], 16), name[9:] or "LO", one)
        elif one is not None:
            setattr(ds, name, one)
    return ds


def instances(rows: Sequence[Row]) -> Iterator[bytes]:
    """All that the rows need."""
    for number, one in enumerate(rows):
        for place, value in enumerate(one.stored):
            yield instance(study_uid(number, place), value if isinstance(value, Mapping) else {one.keys[0][0]: value})


# -- the list


def table(rows: Sequence[Row]) -> Iterator[str]:
    """The rules and their examples as lines of text."""
    for section, rule in SECTIONS.items():
        yield f"\n{'PS3.4' if section[0] == 'C' else 'PS3.18'} {section}: {rule}"
        yield from (f"  {one}" for one in rows if one.section == section)
        yield from (f"  {name.removeprefix('test_').replace('_', ' ')}" for name in TESTED.get(section, ()))


if __name__ == "__main__":
    from tests.flows import rules, test_matching_rules, test_search_rules
    from tests.flows.rows import ROWS

    assert test_matching_rules and test_search_rules
    sys.stdout.writelines(f"{line}\n" for line in rules.table(ROWS))
