"""What the answers of a DICOMweb server must say (PS3.18 8.6.1, 10.4 to 10.6; RFC 9110), as functions of their bytes.

A check returns what it read out of an answer, or raises `Mismatch`. Messages are counted by their text, so they name what is
wrong and how much of it, and UIDs only as one example where it helps to find the instance in the server's log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

SOP_CLASS, SOP_INSTANCE = "00081150", "00081155"  # Referenced SOP Class and Instance UID, inside the sequences of a store answer
FAILURE_REASON, FAILED, REFERENCED, OTHER_FAILURES = "00081197", "00081198", "00081199", "0008119A"

_STATUS_WAIT = (429, 503)  # Too Many Requests (RFC 6585 4), Service Unavailable (RFC 9110 15.6.4)
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF markers (ITU-T T.81 B.1.1.3); not DHT, JPG and DAC

_BOUNDARY = re.compile(r'\bboundary\s*=\s*(?:"([^"]+)"|([^\s;]+))', re.IGNORECASE)
_SHOWN = 160  # characters of an error body: enough for a sentence, not for a page of HTML

Attributes = Mapping[str, Any]


class Mismatch(Exception):
    """An answer is not what it had to be."""


def expect_status(status: int, allowed: Collection[int], body: bytes | None) -> None:
    """Only an allowed status passes; the message shows the beginning of the answer."""
    if status not in allowed:
        text = " ".join((body or b"")[:_SHOWN].decode("utf-8", "replace").split())
        raise Mismatch(f"status {status} instead of {' or '.join(map(str, allowed))}: {text or 'no body'}")


def wait_asked(status: int, retry_after: str, now: float) -> float | None:
    """Seconds after which a busy server wants to be asked again (Retry-After, RFC 9110 10.2.3); None when it is no such answer.

    :param retry_after: the header, empty without one: then nothing was asked for.
    :param now: seconds since the epoch, for a Retry-After that is a date.
    """
    if status not in _STATUS_WAIT or not retry_after:
        return None
    if retry_after.isascii() and retry_after.isdigit():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now)
    except ValueError:
        raise Mismatch(f"status {status} with a Retry-After that is neither seconds nor a date") from None


def unchanged(status: int, body: bytes, asked: str, tag: str) -> bool:
    """Whether a request with `If-None-Match: asked` was answered with 304 (RFC 9110 13.1.2, 15.4.5). `tag`: ETag of the answer.

    A whole answer with the very tag that was asked for is a mismatch: it had to be 304.
    """
    if status == 304:
        if body:
            raise Mismatch(f"status 304 with a body of {len(body)} bytes")
        return True
    if status == 200 and tag.removeprefix("W/") == asked.removeprefix("W/"):
        raise Mismatch("status 200 with the entity tag of If-None-Match, instead of 304")
    return False


def stored(body: bytes, sent: Collection[str]) -> None:
    """A Store Instances Response (PS3.18 Annex I) that refers to each SOP Instance UID in `sent` once and names no failure."""
    answer = _parse(body)
    if not isinstance(answer, dict):
        raise Mismatch("the store answer is not a JSON object")
    if failed := _items(answer, FAILED):
        reason = failed[0].get(FAILURE_REASON, {}).get("Value", ["unknown"])[0]
        shown = f"{reason:04X}" if isinstance(reason, int) else str(reason)
        raise Mismatch(f"{len(failed)} of {len(sent)} instances failed, the first with reason {shown}")
    if others := _items(answer, OTHER_FAILURES):
        raise Mismatch(f"{len(others)} parts failed that the server could not tie to an instance")
    same_uids((value(item, SOP_INSTANCE) for item in _items(answer, REFERENCED)), sent, "ReferencedSOPSequence")


def matches(status: int, body: bytes | None) -> list[Attributes]:
    """The results of a search or of a metadata request; none for 204."""
    if status == 204:
        if body:
            raise Mismatch(f"status 204 with a body of {len(body)} bytes")
        return []
    found = _parse(body or b"")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise Mismatch("the answer is not a JSON array of objects")
    return found


def value(attributes: Attributes, tag: str) -> Any:
    """The first value of an attribute, which must be there."""
    try:
        return attributes[tag]["Value"][0]
    except (KeyError, IndexError, TypeError):
        raise Mismatch(f"a result has no value of {tag}") from None


def same_uids(found: Iterable[str], expected: Collection[str], where: str) -> None:
    """`found` holds each of `expected` exactly once and nothing else; the order is free."""
    found = list(found)
    wanted = set(expected)
    if missing := wanted.difference(found):
        raise Mismatch(f"{where} lacks {len(missing)} of {len(wanted)} UIDs, for example {min(missing)}")
    if strangers := set(found) - wanted:
        raise Mismatch(f"{where} has {len(strangers)} UIDs that do not belong there, for example {min(strangers)}")
    no_repeats(found, where)


def no_repeats(found: Sequence[str], where: str) -> None:
    """No UID stands twice in one answer."""
    if repeated := len(found) - len(set(found)):
        raise Mismatch(f"{where} repeats {repeated} UIDs")


def equal(found: object, expected: object, what: str) -> None:
    """A single value is what it had to be."""
    if found != expected:
        raise Mismatch(f"{what} is {found!r} instead of {expected!r}")


def same_bytes(found: bytes, expected: bytes, what: str) -> None:
    """Bit-identical; the message names the first byte that differs."""
    if found == expected:
        return
    at = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), min(len(found), len(expected)))
    raise Mismatch(f"{what}: {len(found)} bytes that differ from the {len(expected)} expected ones from byte {at} on")


def same_files(found: Sequence[bytes], count: int, index_of: Callable[[bytes], int | None], expected: Callable[[int], bytes]) -> None:
    """`found` are the files 0 to count - 1, each once, in any order, bit-identical.

    :param index_of: which of them a file says to be; None for none. :param expected: the bytes of one, made when they are needed.
    """
    if len(found) != count:
        raise Mismatch(f"{len(found)} instances instead of {count}")
    seen = set()
    for file in found:
        if (index := index_of(file)) is None:
            raise Mismatch(f"a file of {len(file)} bytes that is not of this study")
        same_bytes(file, expected(index), "an instance")
        seen.add(index)
    if len(seen) != count:
        raise Mismatch(f"{count - len(seen)} instances came twice, and as many not at all")


def jpeg_size(content_type: str, body: bytes) -> tuple[int, int]:
    """Columns and rows of a whole JPEG picture (ITU-T T.81 B.2): it begins, has a frame header, and ends."""
    if content_type.split(";")[0].strip().lower() != "image/jpeg":
        raise Mismatch(f"{content_type or 'nothing'} instead of image/jpeg")
    if not body.startswith(b"\xff\xd8") or not body.endswith(b"\xff\xd9"):
        raise Mismatch(f"a JPEG of {len(body)} bytes without its beginning or its end")
    at = 2
    while at + 9 <= len(body) and body[at] == 0xFF:
        if body[at + 1] in _FRAME_HEADERS:
            return int.from_bytes(body[at + 7 : at + 9]), int.from_bytes(body[at + 5 : at + 7])
        at += 2 + int.from_bytes(body[at + 2 : at + 4])
    raise Mismatch(f"a JPEG of {len(body)} bytes without a frame header")


def sole_part(content_type: str, body: bytes) -> bytes:
    """The body of the only part of a multipart answer (PS3.18 8.6.1.2), or the whole body of a single-part one."""
    if not content_type.lower().startswith("multipart/"):
        return body
    found = parts(content_type, body)
    if len(found) != 1:
        raise Mismatch(f"{len(found)} parts instead of one")
    return found[0]


def parts(content_type: str, body: bytes) -> list[bytes]:
    """The bodies of all parts of a whole multipart answer, without their headers."""
    if not (match := _BOUNDARY.search(content_type)):
        raise Mismatch("a multipart answer without a boundary")
    delimiter = b"--" + (match[1] or match[2]).encode("latin-1")
    first, *rest = body.split(b"\r\n" + delimiter)
    if first.startswith(delimiter):  # otherwise it is a preamble, mostly empty
        rest.insert(0, first.removeprefix(delimiter))
    if not rest or not rest[-1].startswith(b"--"):
        raise Mismatch("a multipart answer without its closing boundary: it was cut off")
    return [_without_headers(part) for part in rest[:-1]]


def _without_headers(part: bytes) -> bytes:
    if (at := part.find(b"\r\n\r\n")) < 0:
        raise Mismatch("a part whose headers have no end")
    return part[at + 4 :]


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Mismatch(f"a body of {len(body)} bytes that is not JSON") from None


def _items(answer: Attributes, tag: str) -> list[Attributes]:
    attribute = answer.get(tag, {})
    found = attribute.get("Value", []) if isinstance(attribute, dict) else None
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise Mismatch(f"{tag} in the store answer is not a sequence of items")
    return found
