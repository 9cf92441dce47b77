"""URLs of the Cloud Healthcare API as segments, looked at before any of them is asked for at an origin.

What is checked is what is sent: the path is taken apart, each segment decoded and judged, and written anew. So nothing that two readers
could read in two ways leaves the gateway, and no way leads out of what a project's name begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, unquote

from gateway.errors import BadRequest

ROUNDS = 3
"""How often a segment is decoded to see what is behind it: whoever decodes more often than that is no HTTP server."""

SECRETS = frozenset({"access_token", "oauth_token"})
"""Parameters that are credentials (Google's global parameters): they travel in a header, and in no URL."""

API_KEY = frozenset({"key"})
"""Says who pays: a credential of the caller's where the origin is not shown those."""

_SAFE = "!$&'()*+,-.:;=@_~"
_QUERY_SAFE = "%/?:@!$&'()*+,;=-._~[]"


def segments(path: str) -> list[str]:
    """The decoded segments of a path, as it came, without the first slash.

    What they hold is not judged: `rewritten` does that.
    """
    return [unquote(one) for one in path.removeprefix("/").split("/")]


def rewritten(decoded: Sequence[str]) -> str:
    """The path of segments.

    :raises BadRequest: for one that is empty (other than a last one), that means another folder, or that hides a slash, however often
        it is encoded.
    """
    for number, one in enumerate(decoded):
        if not _is_plain(one) or (not one and number < len(decoded) - 1):
            raise BadRequest("the path has a segment that is empty, or that is not what it seems; names have no slashes and no dots alone")
    return "/" + "/".join(quote(one, safe=_SAFE) for one in decoded)


def _is_plain(segment: str) -> bool:
    for _ in range(ROUNDS):
        if not segment.isprintable() or "/" in segment or "\\" in segment or segment.partition(";")[0].strip() in (".", ".."):
            return False
        segment, before = unquote(segment), segment
        if segment == before:
            return True
    return False


def without_secrets(query: str, also: frozenset[str] = frozenset()) -> str:
    """A query as it came, without the parameters that are credentials; empty, or with its question mark.

    :param also: parameters that go likewise.
    """
    gone = SECRETS | also
    kept = [one for one in query.split("&") if one and unquote(one.partition("=")[0].replace("+", " ")) not in gone]
    return "?" + quote("&".join(kept), safe=_QUERY_SAFE) if kept else ""
