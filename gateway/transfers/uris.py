"""What names files elsewhere: ``gs://bucket/name``, ``s3://bucket/name``, ``file:///name``, and wildcards in names.

The wildcards are those of the Cloud Healthcare API (GcsSource.uri of its discovery document):

1. ``*`` is any number of characters within one folder, ``?`` is one character.
2. ``**`` is any number of characters, folders included. It stands at the end of the name, or before an extension that ends it
   (``**.dcm``), and alone.
3. Nothing is an escape: no name is decoded, here or later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gateway.errors import BadRequest

MAX_URI = 2048
"""Characters; names of objects have at most 1,024 bytes."""

MAX_WILDCARDS = 16
"""In one name: each may cost a step for each character of each name that is looked at."""

FILE = "file"
SCHEMES = ("gs", "s3", FILE)

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_EXTENSION = re.compile(r"(?:\.[^*?/.]+)*")


@dataclass(frozen=True, slots=True)
class Uri:
    """:param bucket: empty for files. :param name: of an object; of a file, its path without the first slash."""

    scheme: str
    bucket: str
    name: str

    def __str__(self) -> str:
        return f"{self.scheme}://{self.bucket}/{self.name}"


def parse_uri(text: object, what: str) -> Uri:
    """A URI of a file, or of a folder where it ends with a slash.

    :param what: the field that carried it, for the message.
    :raises BadRequest: when it is none. The text is not echoed.
    """
    if not isinstance(text, str) or not 1 <= len(text) <= MAX_URI or _CONTROL.search(text):
        raise BadRequest(f"{what} is a URI such as gs://bucket/name, of at most {MAX_URI} characters")
    scheme, sign, rest = text.partition("://")
    if scheme not in SCHEMES or not sign:
        raise BadRequest(f"{what} begins with gs://, s3:// or file://")
    bucket, _, name = rest.partition("/")
    if scheme == FILE and bucket:
        raise BadRequest(f"{what} names a path of this gateway's own host: file:// and an absolute path")
    if scheme != FILE and not _BUCKET.fullmatch(bucket):
        raise BadRequest(f"{what} names no bucket: small letters, digits, dots, hyphens and underscores")
    if any(part in ("", ".", "..") for part in name.removesuffix("/").split("/")) and name:
        raise BadRequest(f"{what} has an empty part, or one that is . or ..")
    return Uri(scheme, bucket, name)


def parse_folder(text: object, what: str) -> Uri:
    """What a result is written below: its name is empty or ends with a slash.

    :raises BadRequest: when it is none, or has a wildcard.
    """
    uri = parse_uri(text, what)
    if "*" in uri.name or "?" in uri.name:
        raise BadRequest(f"{what} is one folder, without wildcards")
    return Uri(uri.scheme, uri.bucket, uri.name if not uri.name or uri.name.endswith("/") else uri.name + "/")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Which files are meant.

    :param uri: its name may have wildcards.
    """

    uri: Uri

    @property
    def exact(self) -> bool:
        """Whether it can be one file only."""
        return "*" not in self.uri.name and "?" not in self.uri.name

    @property
    def folder(self) -> str:
        """What all names begin with, up to a slash; empty where that is nothing."""
        before = re.split(r"[*?]", self.uri.name, maxsplit=1)[0]
        return before[: before.rfind("/") + 1]

    def matches(self, name: str) -> bool:
        """Whether the file of a name is one of them. Costs some microseconds for short names, milliseconds for the worst."""
        before, stars, after = self.uri.name.partition("**")
        if stars:
            return len(name) >= len(before) + len(after) and name.startswith(before) and name.endswith(after)
        return name == before if self.exact else name.startswith(self.folder) and _globbed(before, name)


def parse_pattern(text: object, what: str) -> Pattern:
    """:raises BadRequest: when it is no URI of files, or has wildcards where none may be."""
    uri = parse_uri(text, what)
    if not uri.name or uri.name.endswith("/"):
        raise BadRequest(f"{what} names files: a name, or one with wildcards such as **.dcm")
    before, stars, after = uri.name.partition("**")
    if stars and ("*" in before + after or "?" in before + after or not _EXTENSION.fullmatch(after)):
        raise BadRequest(f"{what} has ** elsewhere than at its end or before an extension (**.dcm), or beside other wildcards")
    if uri.name.count("*") + uri.name.count("?") > MAX_WILDCARDS:
        raise BadRequest(f"{what} has more than {MAX_WILDCARDS} wildcards")
    return Pattern(uri)


def _globbed(pattern: str, name: str) -> bool:
    """All ends that are possible after each character, so that no name takes longer than its length times the wildcards."""
    places = _onward(pattern, {0})
    for char in name:
        after = {at if pattern[at] == "*" else at + 1 for at in places if at < len(pattern) and _fits(pattern[at], char)}
        places = _onward(pattern, after)
        if not places:
            return False
    return len(pattern) in places


def _fits(sign: str, char: str) -> bool:
    return char != "/" if sign == "*" else sign in ("?", char)


def _onward(pattern: str, places: set[int]) -> set[int]:
    """A star may stand for nothing."""
    found = set(places)
    for at in places:
        while at < len(pattern) and pattern[at] == "*":
            at += 1
            found.add(at)
    return found
