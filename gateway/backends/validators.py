"""Validators of bodies: what an entity tag is made of, and when something last changed (RFC 9110 8.8).

A tag is a digest over the versions of the instances that a body is made of and over what was asked, so it is known before
a byte is read. What a public URL adds is mixed in by the web layer, which alone knows it.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

_BYTES = 8
"""Of a digest: two bodies of one URL share a tag by accident once in 2 ** 64 times."""


class State(NamedTuple):
    """The instances that a body is made of.

    :param digest: changes with any of them, with their number and with their order.
    :param modified: seconds since the epoch at which the newest of them came.
    :param instances: how many there are.
    """

    digest: str
    modified: float
    instances: int


def state_of(versions: Sequence[str], modified: Sequence[float]) -> State:
    """The state of instances, of which there is at least one: a third of a microsecond each.

    The times are in the digest too: a store that is made anew counts its versions from the start again.

    :param versions: none of them holds a NUL.
    """
    times = array("d", modified)
    return State(_digest("\0".join(versions).encode() + b"\0\0" + times.tobytes()), max(times), len(times))


def validator(*parts: str) -> str:
    """An entity tag without quotes: sixteen hexadecimal digits that change with each part.

    :param parts: none of them holds a NUL.
    """
    return _digest("\0".join(parts).encode(errors="surrogateescape"))  # what an origin sends need not be UTF-8


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=_BYTES).hexdigest()
