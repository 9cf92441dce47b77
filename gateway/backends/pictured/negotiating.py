"""An Accept, one preference after another: what suits a caller better is tried with all means before what suits him less.

The store behind knows what it holds, and this room what can be made of it; neither knows both. So each is asked for what has the
highest q-value, and only when nothing of that can be had for the next one (PS3.18 8.7.8, RFC 9110 12.5.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from gateway.backends.representations import DICOM, OCTETS
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, Accept, Offer, Range, choose

LEVELS = 8
"""Preferences that are told apart; each costs a question to the store behind. Viewers send one or two."""

_STORED = [Offer(media, "", multipart=multipart, as_stored=True) for media in (DICOM, OCTETS) for multipart in (True, False)]


class Level(NamedTuple):
    """:param accept: what has the same q-value; all else has none. None where there is one preference, and all of it is meant.
    :param stored: whether anything in the form in which it is stored will do.
    """

    accept: Accept | None
    stored: bool


@lru_cache(maxsize=256)
def levels(accept: Accept, default: str = EXPLICIT_LITTLE_ENDIAN) -> tuple[Level, ...]:
    """The preferences of a caller, highest first; at least one.

    :param default: the transfer syntax that a named type without one asks for; ``*`` for as stored.
    """
    found = [*_levels(accept.ranges), *_levels(accept.fallback)]
    if len(found) < 2:
        return (Level(None, _stored(accept, default)),)
    return tuple(Level(one, _stored(one, default)) for one in map(Accept, found))


def _stored(accept: Accept, default: str) -> bool:
    return choose(accept, _STORED, default) is not None


def _levels(ranges: Sequence[Range]) -> Iterator[tuple[Range, ...]]:
    """What is ranked elsewhere is ruled out, and not left out: ``image/jpeg;q=0.1, */*`` wants anything else first."""
    ranks = sorted({one.q for one in ranges if one.q}, reverse=True)
    for number, rank in enumerate(ranks[:LEVELS], 1):
        least = 0.0 if number == LEVELS else rank
        yield tuple(one if least <= one.q <= rank else replace(one, q=0.0) for one in ranges)
