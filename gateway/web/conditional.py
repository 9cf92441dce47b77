"""Conditional requests (RFC 9110 13): what the caller has already is not sent again.

1. Only for GET and HEAD. If-None-Match is asked first and compared weakly; If-Modified-Since counts only where it is absent.
2. An entity tag says all that the bytes depend on: instances, but also the base URL that is written into a document, the
   content coding, and for documents the version of the gateway that writes them.
3. A date counts only where it moves with every change. Of several instances one can be deleted, and the newest date stays;
   theirs is for people to read, and for caches that guess.
4. A date has whole seconds, in which much can happen. So what is said is the second after the change, once that is well
   past (`SETTLED`), and what a caller says is held against the exact time of the change: who read in the very second of a
   change, or asks with a date of his own making, gets the body once more, and never too little (RFC 9110 8.8.2.2).
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from hashlib import sha256

from aiohttp import web

SETTLED = 5.0
"""Seconds after which no other change of that second can come to light: an instance has its time before it is committed."""

_TAG = re.compile(r'"([\x21\x23-\x7e\x80-\U0010ffff]*)"')

now = time.time


@dataclass(frozen=True, slots=True)
class Validators:
    """What tells one state of a resource from another.

    :param etag: without quotes; None where there is none.
    :param weak: equal tags mean the same content, but maybe other bytes (RFC 9110 8.8.1).
    :param modified: of the last change, in seconds since the epoch; None where unknown.
    :param dated: whether every change moves `modified`.
    """

    etag: str | None = None
    weak: bool = False
    modified: float | None = None
    dated: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """ETag and Last-Modified, as far as they are known."""
        headers = {}
        if self.etag is not None:
            headers["ETag"] = f'{"W/" * self.weak}"{self.etag}"'
        if self.modified is not None:
            headers["Last-Modified"] = http_date(last_modified(self.modified))
        return headers


@lru_cache(maxsize=1024)
def http_date(second: int) -> str:
    """A moment as HTTP writes it, in whole seconds since the epoch (RFC 9110 5.6.7)."""
    return formatdate(second, usegmt=True)


def last_modified(modified: float) -> int:
    """The second that is said of a change; see rule 4. Never one that is yet to come (RFC 9110 8.8.2.1)."""
    after = math.ceil(modified)
    return after if now() >= after + SETTLED else math.floor(min(modified, now()))


def unchanged(request: web.Request, validators: Validators) -> bool:
    """Whether 304 is the answer."""
    if request.method not in ("GET", "HEAD"):
        return False
    tags = request.headers.getall("If-None-Match", None)
    if tags is not None:
        return is_listed(tags, validators.etag)
    since = request.if_modified_since
    if since is None or validators.modified is None or not validators.dated:
        return False
    return validators.modified <= since.timestamp() <= now()


def is_listed(headers: Sequence[str], etag: str | None) -> bool:
    """Whether an If-None-Match names a tag, with W/ or without; ``*`` names all that there are (RFC 9110 13.1.2)."""
    text = ",".join(headers)
    return text.strip() == "*" or (etag is not None and etag in _TAG.findall(text))


def tag(*parts: str | bytes) -> str:
    """A validator made of all that the bytes of an answer depend on: 128 bits that nobody can aim at.

    SHA-256 is in the instruction set of most machines by now, and takes half the time of BLAKE2 there.
    """
    made = sha256()
    for part in parts:
        data = part.encode(errors="surrogateescape") if isinstance(part, str) else part
        made.update(b"%d " % len(data))
        made.update(data)
    return made.hexdigest()[:32]


def coded(etag: str | None, coding: str | None) -> str | None:
    """The validator of the same content in a content coding: other bytes have another tag (RFC 9110 8.8.3.3)."""
    return etag if etag is None or coding is None else f"{etag}-{coding}"
