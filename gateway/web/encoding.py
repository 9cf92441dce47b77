"""Which content coding a caller gets, by Accept-Encoding (RFC 9110 12.5.3).

1. Without the header, or with an empty one, nothing is coded: whoever can decode says so.
2. Among the codings of the gateway the highest q wins, and at equal q the gateway's own order. One that the caller likes less
   than the plain bytes (``identity;q=1, gzip;q=0.5``) is not used.
3. ``*`` is everything that is not named. What is no element of such a list is passed over.
4. A caller who takes no plain bytes gets small answers coded too; one who takes nothing at all gets plain bytes, which
   RFC 9110 prefers to a refusal.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

Coding = Literal["zstd", "gzip"]
"""A content coding by its name in HTTP (RFC 8878, RFC 1952)."""

CODINGS: tuple[Coding, ...] = ("zstd", "gzip")
"""In the order in which the gateway likes to serve them: zstd costs a tenth of gzip's CPU time, and its answers are smaller."""

MAX_HEADER = 1024
"""Characters of a header that is looked at; browsers send 30. What is read is kept for the next request."""

_ALIAS = {"x-gzip": "gzip"}  # RFC 9110 8.4.1.3
_ELEMENT = re.compile(r"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*(?:;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)[ \t]*)?")


class Wanted(NamedTuple):
    """What a caller can decode.

    :param coding: the best one that the gateway has, None where plain bytes are as good.
    :param plain: whether bytes without any coding are taken.
    """

    coding: Coding | None
    plain: bool = True


def wanted(values: Sequence[str]) -> Wanted:
    """:param values: each Accept-Encoding line of a request, in order."""
    text = ",".join(values)
    return _parsed(text) if 0 < len(text) <= MAX_HEADER else Wanted(None)


@lru_cache(maxsize=256)
def _parsed(text: str) -> Wanted:
    named: dict[str, float] = {}
    for element in text.split(","):
        if found := _ELEMENT.fullmatch(element):
            name = found[1].lower()
            named.setdefault(_ALIAS.get(name, name), float(found[2] or 1))
    others = named.get("*")
    plain = named.get("identity", 1.0 if others is None else others)
    best = max(CODINGS, key=lambda coding: named.get(coding, others or 0.0))  # the first of those that are equal
    q = named.get(best, others or 0.0)
    liked_less = "identity" in named and plain > q
    return Wanted(None if q == 0 or liked_less else best, plain > 0)
