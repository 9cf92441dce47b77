"""Where an instance has to go.

1. A route matches an instance as a search would: every attribute of `when` has to look like its pattern (`dicomweb.matching`:
   wildcards, lists, ranges). A route without attributes matches everything.
2. An instance goes to the destinations of all routes that match, once to each.
3. What no route matches goes to the default: to the store's own origin; where there is none, to every destination that no
   route names.
4. Attributes are looked for in the header of the instance, file meta information (0002,eeee) included: that is where
   the application entity stands from which it came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.backends.evaluate import all_match
from gateway.backends.results import COMPUTED, Attributes
from gateway.dicom import dictionary
from gateway.dicom.elements import Walk
from gateway.dicomweb.matching import parse_match
from gateway.dicomweb.query import Filter, attribute_path
from gateway.errors import InstanceError, InvalidQuery

META_GROUP = 0x0002
META_HEAD = 16 << 10
"""Bytes of a file in which its meta information is looked for: usually it has less than one thousand."""


@dataclass(frozen=True, slots=True)
class Route:
    """:param when: attribute (keyword, tag, or several of them with dots) -> what it must look like.
    :param to: names of destinations.
    """

    when: Mapping[str, str]
    to: tuple[str, ...]


class Router:
    """:param destinations: their names.
    :param own: the name of the store, which is also that of its own origin.
    :raises ValueError: for a route that names what does not exist, or when nothing is left for what no route matches.
    """

    def __init__(self, routes: Sequence[Route], destinations: Collection[str], own: str) -> None:
        self._rules = [(_filters(route, number), route.to) for number, route in enumerate(routes, 1)]
        for number, route in enumerate(routes, 1):
            if unknown := [name for name in route.to if name not in destinations]:
                raise ValueError(f"route {number} leads to {', '.join(unknown)}, which is no destination")
        named = {name for route in routes for name in route.to}
        self.default = (own,) if own in destinations else tuple(name for name in destinations if name not in named)
        """Where that goes which no route matches."""
        if not self.default and not any(not filters for filters, _ in self._rules):
            raise ValueError("there is no destination for what no route matches; add a route without attributes")
        self.read = self.default + tuple(_only(routes, self.default, destinations))
        """The destinations that may have something which no other one has: those that a read has to ask."""
        self.meta = frozenset(item.path[0] for filters, _ in self._rules for item in filters if item.path[0] >> 16 == META_GROUP)
        """Tags of the file meta information that routes look at."""

    @property
    def fixed(self) -> tuple[str, ...] | None:
        """Where everything goes, None where that depends on the instance."""
        return None if self._rules else self.default

    def destinations(self, attributes: Attributes) -> tuple[str, ...]:
        """Where an instance goes.

        :param attributes: its header as DICOM JSON, with the file meta information that routes look at.
        """
        found = dict.fromkeys(name for filters, to in self._rules if all_match(attributes, filters) for name in to)
        return tuple(found) or self.default


def _only(routes: Sequence[Route], default: Collection[str], destinations: Iterable[str]) -> list[str]:
    """Destinations to which a route leads that leads to no default."""
    apart = {name for route in routes if not set(route.to) & set(default) for name in route.to}
    return [name for name in destinations if name in apart]


def _filters(route: Route, number: int) -> tuple[Filter, ...]:
    try:
        return tuple(_filter(name, pattern, number) for name, pattern in route.when.items())
    except InvalidQuery as error:
        raise ValueError(f"route {number}: {error.message}") from None


def _filter(name: str, pattern: str, number: int) -> Filter:
    path = attribute_path(name, dictionary)
    if path is None:
        raise ValueError(f"route {number}: {name} is no attribute")
    if path[0] in COMPUTED and path[0] >> 16 != META_GROUP:
        raise ValueError(f"route {number}: {name} is worked out of several instances; no instance has it")
    vr = dictionary.vr(path[-1]) or "UN"
    return Filter(path, vr, parse_match(vr, pattern, name))


def meta_attributes(head: bytes, tags: Collection[int]) -> Attributes:
    """Those of the file meta information, by the first `META_HEAD` bytes of an instance; what cannot be read is left out."""
    walk = Walk(wanted=frozenset(tags))
    try:
        walk.feed(head)
    except InstanceError:
        return {}
    texts = {tag: raw.decode("ascii", "replace").strip(" \0") for tag, (_, raw) in walk.values.items() if tag in tags}
    return {f"{tag:08X}": {"vr": walk.values[tag][0], "Value": [text]} for tag, text in texts.items() if text}
