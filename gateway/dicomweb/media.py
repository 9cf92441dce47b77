"""Media types, and which of those on offer suits a caller best (PS3.18 8.7, RFC 9110 12.5.1).

How the choice is made:

1. ``accept=`` in the URL is asked first; the Accept header only when nothing of it can be served (PS3.18 8.7.8).
2. Each offer gets the q-value of the most specific range that matches it; q=0 rules it out.
3. The highest q wins; among equals a type that was named before one that a wildcard let in, then the server's own order.

What a range says of the transfer syntax:

- a UID: that one. ``*``: as stored.
- nothing, on a named type: Explicit VR Little Endian. The image types are the exception: their name is the name of the
  codec, so what is stored in that codec goes out as it is.
- nothing, on a wildcard type (``*/*``, a bare ``multipart/related``, no Accept at all): as stored.

Real clients quote `type` or not, list ranges with or without blanks and send a bare ``*``; all of it is understood.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

from gateway.errors import BadRequest

EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
"""What goes out when nobody says which transfer syntax is wanted (PS3.18 8.7.3.5.2)."""

MULTIPART = "multipart/related"
ANY = "*/*"

MAX_ACCEPT = 4096
"""Characters of an Accept. Browsers and viewers stay below 1,000; what is read is kept for the next request."""
MAX_RANGES = 100
"""Elements of an Accept that are looked at; the rest is passed over."""

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_TYPE = re.compile(rf"[ \t]*({_WORD}/{_WORD}|\*)[ \t]*")
# A value that is not quoted runs to the next semicolon: boundaries and `type=` carry characters that no token may hold.
_PARAM = re.compile(rf';[ \t]*(?:({_WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"[ \t]*|([^";]*)))?')
_LIST_ITEM = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+')
_Q = re.compile(r"1(?:\.0*)?|0?\.[0-9]+|0\.?")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class MediaType:
    """``type/subtype`` in lower case and its parameters: names in lower case, values as they were sent."""

    type: str
    params: tuple[tuple[str, str], ...] = ()

    def param(self, name: str) -> str | None:
        """The value of the parameter `name` (lower case), None when it is not there."""
        return next((value for key, value in self.params if key == name), None)


def parse_media_type(text: str) -> MediaType:
    """A Content-Type or one range of an Accept.

    :raises BadRequest: when it is not a media type, or gives one parameter two values. The text is not echoed.
    """
    head = _TYPE.match(text)
    if head is None or _CONTROL.search(text):
        raise BadRequest("not a media type (RFC 9110 8.3.1)")
    params: dict[str, str] = {}
    position = head.end()
    while position < len(text):
        found = _PARAM.match(text, position)
        if found is None:
            raise BadRequest("the parameters of a media type cannot be read (RFC 9110 5.6.6)")
        position = found.end()
        name, quoted, plain = found.groups()
        if name is None:
            continue
        value = plain.strip() if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        if params.setdefault(name.lower(), value) != value:
            raise BadRequest("a parameter of a media type is given twice with different values")
    kind = head[1].lower()
    return MediaType(ANY if kind == "*" else kind, tuple(params.items()))


@dataclass(frozen=True, slots=True)
class Range:
    """One element of an Accept.

    :param media: ``multipart/related``, a single-part type, ``image/*`` or ``*/*``; lower case.
    :param inner: for multipart the type of the parts (``*/*`` when it was left open), else None.
    :param transfer_syntax: a UID, ``*`` or None when nothing was said.
    :param q: 0 (never) to 1.
    """

    media: str
    inner: str | None = None
    transfer_syntax: str | None = None
    q: float = 1.0

    @property
    def wanted(self) -> str:
        """The type of what is inside the parts, or of the single part."""
        return self.media if self.inner is None else self.inner

    @property
    def wildcard(self) -> bool:
        """Whether the type is left open."""
        return self.wanted.endswith("/*")


@dataclass(frozen=True, slots=True)
class Accept:
    """What a caller can take, best first.

    :param ranges: what counts first: ``accept=`` where it is given, else the Accept header.
    :param fallback: the Accept header where ``accept=`` is given; asked when nothing of `ranges` can be served.
    """

    ranges: tuple[Range, ...]
    fallback: tuple[Range, ...] = ()


ANYTHING = Accept((Range(ANY),))
"""No Accept at all (RFC 9110 12.5.1)."""


def parse_accept(header_values: Sequence[str], query_accept: str | None = None) -> Accept:
    """What the caller can take.

    Elements that are not media ranges are passed over, as RFC 9110 wants of unknown ones.

    :param header_values: each Accept header line of the request, in order.
    :param query_accept: the decoded value of ``accept=``, which wins over the header (PS3.18 8.3.3.1).
    :raises BadRequest: when it is longer than `MAX_ACCEPT`.
    """
    header = _ranges(",".join(header_values))
    given = any(value.strip() for value in header_values)
    if query_accept is None or not query_accept.strip():
        return Accept(header) if given else ANYTHING
    # "+" in a URL is a blank when it is not escaped, and few clients escape the one of application/dicom+json.
    return Accept(_ranges(re.sub(r"(?<=/[dD][iI][cC][oO][mM]) (?=[jJxX])", "+", query_accept)), header)


def _ranges(text: str) -> tuple[Range, ...]:
    if len(text) > MAX_ACCEPT:
        raise BadRequest(f"an Accept of more than {MAX_ACCEPT} characters")
    return _parse_ranges(text)


@lru_cache(maxsize=256)
def _parse_ranges(text: str) -> tuple[Range, ...]:
    found = (_range(item[0]) for item in islice(_LIST_ITEM.finditer(text), MAX_RANGES))
    return tuple(sorted((r for r in found if r is not None), key=lambda r: -r.q))


def _range(text: str) -> Range | None:
    try:
        media = parse_media_type(text)
    except BadRequest:
        return None
    q = media.param("q") or "1"
    if _Q.fullmatch(q) is None:
        return None
    syntax = media.param("transfer-syntax") or None
    if media.type not in (MULTIPART, "multipart/*"):  # there is no other multipart here
        return Range(media.type, None, syntax, float(q))
    inner = (media.param("type") or ANY).lower()
    return Range(MULTIPART, ANY if inner == "*" else inner, syntax, float(q))


@dataclass(frozen=True, slots=True)
class Offer:
    """A representation that can be produced.

    :param media_type: of the bytes themselves, for example ``application/dicom`` or ``image/jpeg``; lower case.
    :param transfer_syntax: its UID, None where the notion has no meaning (JSON, rendered images).
    :param multipart: whether it goes out as ``multipart/related``.
    :param as_stored: whether the bytes go out as they rest.
    """

    media_type: str
    transfer_syntax: str | None = None
    multipart: bool = False
    as_stored: bool = False


def choose(accept: Accept, offers: Sequence[Offer], default_transfer_syntax: str = EXPLICIT_LITTLE_ENDIAN) -> Offer | None:
    """The offer that suits the caller best, None when none does (406).

    :param offers: in the order in which the server likes to serve them.
    :param default_transfer_syntax: what a named type without one asks for; ``*`` for as stored.
    """
    return _best(accept.ranges, offers, default_transfer_syntax) or _best(accept.fallback, offers, default_transfer_syntax)


def _best(ranges: Sequence[Range], offers: Sequence[Offer], default: str) -> Offer | None:
    best: tuple[tuple[float, int, int], Offer] | None = None
    for offer in offers:
        rank = _rank(ranges, offer, default)
        if rank is not None and (best is None or rank < best[0]):
            best = rank, offer
    return best and best[1]


def _rank(ranges: Sequence[Range], offer: Offer, default: str) -> tuple[float, int, int] | None:
    """How well an offer suits, less is better: (-q, how open the type was, whether `as stored` had to be given up)."""
    matches = [(*fit, -r.q) for r in ranges if (fit := _fit(r, offer, default)) is not None]
    if not matches:
        return None
    openness, compromise, _, q = min(matches)
    return (q, openness, compromise) if q else None


def _fit(wanted: Range, offer: Offer, default: str) -> tuple[int, int, int] | None:
    """How a range matches an offer, the most specific least: (openness of the type, compromise, openness of the syntax)."""
    syntax = wanted.transfer_syntax
    if syntax is None:
        codec = wanted.wanted.startswith(("image/", "video/"))
        syntax = "*" if wanted.wildcard or codec else default
    openness = _openness(wanted, offer, syntax)
    if openness is None or offer.transfer_syntax is None:
        return None if openness is None else (openness, 0, 0)
    if syntax == "*":
        return openness, int(not offer.as_stored), 2
    if syntax != offer.transfer_syntax:
        return None
    return openness, 0, int(wanted.transfer_syntax is None)


def _openness(wanted: Range, offer: Offer, syntax: str) -> int | None:
    """0 for a type that was named, 1 for ``image/*``, 2 for ``*/*``, None when the types do not match."""
    if wanted.media == ANY:
        return 2
    if (wanted.media == MULTIPART) != offer.multipart:
        return None
    kind = wanted.wanted
    if kind == offer.media_type:
        return 0
    if kind == ANY:
        return 2
    if kind.endswith("/*"):
        return 1 if offer.media_type.startswith(kind[:-1]) else None
    # Viewers ask for frames as octets "as stored" and expect compressed ones under the media type of their codec.
    return 0 if kind == "application/octet-stream" and syntax == "*" and offer.as_stored else None
