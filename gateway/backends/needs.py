"""What a query needs to be answered: which rows have to be looked at, and whether headers have to be read.

Rules, for every backend:
1. A study's attributes are those of the earliest of its instances that is still there, a series' likewise: they stay what
   they are when later instances disagree.
2. A key of a lower level finds what has something below that matches all such keys together: a study with one MR series of
   that description, not one with an MR series and another of that description.
3. The index holds some attributes of each level. Any other key is looked for in headers: in that of the earliest instance of
   each study or series when it belongs to these, else in that of every instance.
"""

from __future__ import annotations

from collections.abc import Iterable

from gateway.backends.results import COMPUTED, RANK, fields, level_of_field
from gateway.dicom.attributes import INDEX_TAGS
from gateway.dicomweb.matching import Universal
from gateway.dicomweb.query import Filter, Query
from gateway.dicomweb.resources import Level


def level_of_key(item: Filter) -> Level:
    """The level at which a key is looked for."""
    return level_of_field(item.path[0])


def restricting(filters: Iterable[Filter]) -> tuple[Filter, ...]:
    """The filters that something may fail."""
    return tuple(item for item in filters if not isinstance(item.match, Universal))


def rows(query: Query) -> Level:
    """The level of the rows that have to be looked at: that of the results, or of the lowest key."""
    levels = [query.level, *(level_of_key(item) for item in restricting(query.filters))]
    return max(levels, key=RANK.__getitem__)


def in_index(tag: int) -> bool:
    """Whether an index holds the attribute, so that no header has to be read for it."""
    return tag in INDEX_TAGS or tag in COMPUTED


def document(query: Query) -> bool:
    """Whether results show something that only the header of their earliest instance has."""
    return query.include_all or not all(map(in_index, fields(query)))


def nothing_more(query: Query) -> bool:
    """Whether results show all that is asked for anyway: those of studies, and of instances of one series, are kept ready."""
    if query.include_all or not (query.level == "study" or query.resource.series is not None):
        return False
    return all(in_index(tag) and level_of_field(tag) == query.level and tag != _HIDDEN for tag in fields(query))


_HIDDEN = 0x00020010
"""Only shown to those who ask."""
