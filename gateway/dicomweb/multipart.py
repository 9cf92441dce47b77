"""The reading side of ``multipart/related`` (PS3.18 8.6.1.2, RFC 2046 5.1), without I/O.

`Scanner` takes the body in pieces and answers with events. Its rules:

1. Any split of the same bytes gives the same parts: same headers, same data once joined, same end, same error after them.
2. Bytes are searched once and not copied. A piece without a delimiter goes on as the very object that came in; one that
   may end in the start of a delimiter is held back by those few bytes, never more.
3. Held at most: the preamble, or the header block of one part, or part of a delimiter; each has a limit.
4. Where the grammar is broken the whole request is (`MalformedMultipart`): after that nobody can tell data from framing.
   A body that merely ends too early breaks only the part that it cuts.

What senders do and all of it is accepted: a preamble or a lone CRLF before the first boundary, none after the last,
an epilogue, blanks after a boundary, headers in any case, folded, or none at all, an empty part whose blank line is the
CRLF of the next delimiter, boundaries of up to 256 characters, quoted or not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from gateway.dicomweb.media import MediaType
from gateway.errors import GatewayError, MalformedMultipart, TooLarge

MAX_BOUNDARY = 256
"""Characters of a boundary. RFC 2046 says 70; Orthanc sends 73."""

MAX_PADDING = 256
"""Blanks between a boundary and the end of its line; RFC 2046 sets no bound."""

_BOUNDARY = re.compile(rf"[\x20-\x7e]{{0,{MAX_BOUNDARY - 1}}}[\x21-\x7e]")
# What may follow a boundary, and what may still become that.
_LINE = re.compile(rb"--|[ \t]{0,%d}\r\n" % MAX_PADDING)
_LINE_START = re.compile(rb"-|[ \t]{0,%d}\r?" % MAX_PADDING)
# Possessive: a line of 16 KiB of blanks must not be tried at every one of them.
_HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]++)[ \t]*+:[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*+)")
_BLANK_LINE = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class MultipartLimits:
    """Bounds of one multipart body; each is a setting under ``[limits]`` of the same name."""

    preamble_bytes: int = 4096
    """Before the first boundary. Senders put a CRLF or a sentence there; without a bound a body of no boundary is read for ever."""
    part_headers: int = 32
    """Lines in the header block of a part. Real parts have one to four."""
    part_header_bytes: int = 16 * 1024
    """Bytes of such a block: twice what HTTP servers grant to one header of a request."""
    parts: int = 20_000
    """Parts in a body: more than the instances of any study that is sent in one request, few enough to be scanned in 0.1 s."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part begins. Header names are in lower case; values have no blanks around them."""

    headers: Mapping[str, str]


class Data(NamedTuple):
    """Bytes of the part's body, never empty, in order."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is over.

    :param complete: False when the body ended before a delimiter did.
    """

    complete: bool


@dataclass(frozen=True, slots=True)
class End:
    """The closing delimiter; whatever follows is ignored."""


Event = Part | Data | PartEnd | End

_COMPLETE = PartEnd(True)
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


def boundary_of(media: MediaType) -> bytes:
    """The boundary that a Content-Type names.

    :raises MalformedMultipart: when there is none, or one that cannot stand in a body.
    """
    boundary = media.param("boundary")
    if boundary is None:
        raise MalformedMultipart("the Content-Type names no boundary (RFC 2046 5.1.1)")
    if not _BOUNDARY.fullmatch(boundary):
        raise MalformedMultipart(f"the boundary is not 1 to {MAX_BOUNDARY} printable ASCII characters (RFC 2046 5.1.1)")
    return boundary.encode("ascii")


class Scanner:
    """Cuts a multipart body into parts.

    :param boundary: as `boundary_of` returns it.
    """

    def __init__(self, boundary: bytes, limits: MultipartLimits = MultipartLimits()) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._limits = limits
        self._state: Callable[[Scanner, bytes, int, list[Event]], int] = Scanner._preamble
        # The CRLF of the first delimiter is missing when the body starts with its boundary; it is thought in front.
        self._held = b"\r\n"
        self._parts = 0
        self._last_block = b""
        self._last_part = Part(_NO_HEADERS)
        self._error: GatewayError | None = None

    @property
    def finished(self) -> bool:
        """Whether the closing delimiter was seen."""
        return self._state is Scanner._epilogue

    def feed(self, data: bytes) -> list[Event]:
        """The events that these bytes bring about.

        An error is raised after the events before it: by this call when there are none, else by the next one.

        :raises MalformedMultipart: the framing is broken, or a limit of preamble or headers is passed.
        :raises TooLarge: more parts than ``limits.parts``.
        """
        events: list[Event] = []
        try:
            events.extend(self.scan(data))  # grows by each event, also by those before an error
        except GatewayError:
            if not events:
                raise
        return events

    def scan(self, data: bytes) -> Iterator[Event]:
        """The events of `feed`, each found when it is asked for: a piece may hold thousands of tiny parts.

        All of them must be asked for before the next piece comes.

        :raises MalformedMultipart: :raises TooLarge: as `feed`, in their place among the events.
        """
        if self._error is not None:
            raise self._error
        events: list[Event] = []
        position, end = 0, len(data)
        while position < end:
            try:
                position = self._state(self, data, position, events)
            except GatewayError as error:
                self._error = error
            yield from events
            events.clear()
            if self._error is not None:
                raise self._error

    def close(self) -> list[Event]:
        """The events that the end of the input brings about; a part that it cuts ends with ``PartEnd(complete=False)``.

        :raises MalformedMultipart: when no boundary ever came. Also the error that `feed` still owes.
        """
        if self._error is not None:
            raise self._error
        if self._state is Scanner._preamble:
            raise MalformedMultipart("the boundary that the Content-Type names is not in the body (RFC 2046 5.1.1)")
        if self._state is Scanner._epilogue:
            return []
        cut = PartEnd(False)
        in_body = self._state in (Scanner._body_start, Scanner._body)
        # A boundary that is not the closing one announces a part, even when nothing of it came.
        return [cut] if in_body else [Part(_NO_HEADERS), cut]

    # Each state takes bytes from `position` on and returns the position of the first byte that it did not take.

    def _preamble(self, data: bytes, position: int, events: list[Event]) -> int:
        """Everything before the first boundary."""
        limit = 2 + self._limits.preamble_bytes + len(self._delimiter)
        before = len(self._held)
        held = self._held + data[position : position + limit - before]
        at = held.find(self._delimiter)
        if at < 0:
            if len(held) == limit:
                raise MalformedMultipart(f"no boundary within limits.preamble_bytes = {self._limits.preamble_bytes}")
            self._held = held
            return position + len(held) - before
        self._held = b""
        self._state = Scanner._line
        return position + at + len(self._delimiter) - before

    def _line(self, data: bytes, position: int, events: list[Event]) -> int:
        """The rest of the line that a boundary stands on: two hyphens on the last one, else blanks."""
        before = len(self._held)
        held, start = (self._held + data[position : position + MAX_PADDING + 2], 0) if before else (data, position)
        found = _LINE.match(held, start)
        if found is None:
            return self._line_so_far(held[start : start + MAX_PADDING + 3], position - before)
        if found[0] == b"--":
            self._finish(events)
        else:
            self._next_part()
        return position - before + found.end() - start

    def _line_so_far(self, held: bytes, start: int) -> int:
        if not _LINE_START.fullmatch(held):
            raise MalformedMultipart("something stands behind a boundary on its line (RFC 2046 5.1.1)")
        self._held = held
        return start + len(held)

    def _finish(self, events: list[Event]) -> None:
        if self._parts == 0:
            raise MalformedMultipart("the multipart body has no part")
        self._state = Scanner._epilogue
        self._held = b""
        events.append(End())

    def _next_part(self) -> None:
        if self._parts == self._limits.parts:
            raise TooLarge(f"more parts in one request than limits.parts = {self._limits.parts}; send them in several")
        self._parts += 1
        self._state = Scanner._headers
        # The line's own CRLF is the first half of the blank line of a part without headers.
        self._held = b"\r\n"

    def _headers(self, data: bytes, position: int, events: list[Event]) -> int:
        """The header block, up to and with its blank line."""
        if len(self._held) == 2:
            # The usual case: the block lies in this piece as a whole, and no byte of it has to be joined.
            bare = data.startswith(b"\r\n", position)
            at = position - 2 if bare else data.find(_BLANK_LINE, position, position + self._limits.part_header_bytes + 4)
            if bare or at >= 0:
                return self._begin(b"" if bare else data[position:at], at + 4, events)
        limit = self._limits.part_header_bytes + 6
        before = len(self._held)
        held = self._held + data[position : position + limit - before]
        at = held.find(_BLANK_LINE, max(0, before - 3))
        if at >= 0:
            return self._begin(held[2:at], position + at + 4 - before, events)
        if len(held) == limit:
            raise MalformedMultipart(f"the headers of part {self._parts} pass limits.part_header_bytes = {limit - 6}")
        self._held = held
        return position + len(held) - before

    def _begin(self, block: bytes, body: int, events: list[Event]) -> int:
        """A part with this header block, whose body begins at `body`. Most parts of a request share one block: it is read once."""
        if block != self._last_block:
            self._last_part = Part(MappingProxyType(_parse_headers(block, self._parts, self._limits.part_headers)))
            self._last_block = block
        events.append(self._last_part)
        self._held = b""
        self._state = Scanner._body_start
        return body

    def _body_start(self, data: bytes, position: int, events: list[Event]) -> int:
        """A part without body: the CRLF of its blank line may be that of the next delimiter."""
        held = self._held + data[position : position + len(self._delimiter) - 2 - len(self._held)]
        if self._delimiter.startswith(held, 2):
            taken = len(held) - len(self._held)
            self._held = held
            if len(held) + 2 == len(self._delimiter):
                self._end_part(events)
            return position + taken
        if self._held:
            events.append(Data(self._held))
            self._held = b""
        self._state = Scanner._body
        return position

    def _body(self, data: bytes, position: int, events: list[Event]) -> int:
        """Data up to the next delimiter. One `find` a piece, whatever its size."""
        if self._held:
            return self._divided(data, position, events)
        at = data.find(self._delimiter, position)
        if at >= 0:
            if at > position:
                events.append(Data(data[position:at]))
            self._end_part(events)
            return at + len(self._delimiter)
        # The only CR of a delimiter is its first byte: no CR but the last one can begin one that goes on in the next piece.
        end = len(data)
        last = data.rfind(b"\r", max(position, end - len(self._delimiter) + 1))
        if last >= 0 and self._delimiter.startswith(data[last:]):
            self._held = data[last:]
            end = last
        if end > position:
            events.append(Data(data[position:end]))
        return len(data)

    def _divided(self, data: bytes, position: int, events: list[Event]) -> int:
        """The last piece ended in what may be the start of a delimiter."""
        missing = self._delimiter[len(self._held) :]
        piece = data[position : position + len(missing)]
        if piece == missing:
            self._end_part(events)
        elif missing.startswith(piece):
            self._held += piece
        else:
            events.append(Data(self._held))
            self._held = b""
            return position
        return position + len(piece)

    def _end_part(self, events: list[Event]) -> None:
        self._held = b""
        self._state = Scanner._line
        events.append(_COMPLETE)

    def _epilogue(self, data: bytes, position: int, events: list[Event]) -> int:
        return len(data)


def _parse_headers(block: bytes, part: int, max_lines: int) -> dict[str, str]:
    """Header lines as a dict.

    :raises MalformedMultipart: too many, not a header, one name with two values, or a multipart within.
    """
    lines = _unfold(block.decode("latin-1"))
    if len(lines) > max_lines:
        raise MalformedMultipart(f"the headers of part {part} pass limits.part_headers = {max_lines}")
    headers: dict[str, str] = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        if found is None:
            raise MalformedMultipart(f"a header line of part {part} is not a header (RFC 5322 2.2)")
        name, value = found[1].lower(), found[2].rstrip()
        if headers.setdefault(name, value) != value:
            raise MalformedMultipart(f"part {part} gives one header two values")
    if headers.get("content-type", "").lower().startswith("multipart/"):
        raise MalformedMultipart(f"part {part} is a multipart itself; parts are not looked into twice")
    return headers


def _unfold(block: str) -> list[str]:
    """Lines of a header block; a line that starts with a blank goes on from the one before (RFC 5322 2.2.3)."""
    return re.sub(r"\r\n(?=[ \t])", "", block).split("\r\n") if block else []
