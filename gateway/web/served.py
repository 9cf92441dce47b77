"""What an answer says of how it came about: `Served` as headers.

X-Cache   hit, miss or stale, where a cache stands between the gateway and a store
Age       seconds since the store behind was asked (RFC 9111 5.1)
Warning   what is missing in it, or may be out of date (PS3.18 8.4.1, code 299)
"""

from __future__ import annotations

from gateway.backends.base import PLAIN, Served
from gateway.web.service import SERVICE


def story(served: Served) -> dict[str, str]:
    """The headers; none where there is nothing to tell."""
    if served is PLAIN:
        return {}
    headers: dict[str, str] = {}
    if served.cache is not None:
        headers["X-Cache"] = served.cache
        if served.cache != "miss":
            headers["Age"] = str(int(served.age))
    if served.warnings:
        headers["Warning"] = warnings(served.warnings)
    return headers


def warnings(sentences: tuple[str, ...]) -> str:
    """The value of a Warning header, which is a list."""
    return ", ".join([f"299 {SERVICE}: {sentence}" for sentence in sentences])
