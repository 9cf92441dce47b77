"""In which form each instance of an answer goes out (PS3.18 8.7.3, 10.4.1.1.1).

1. Each instance is chosen for on its own: one that is stored in a wanted transfer syntax is given by the store behind as it is.
2. All are chosen for before the first byte goes out; what cannot be had is 406 for the whole answer, since it may not be left out.
3. What has no pixels goes along with the pictures of a study or series whatever transfer syntax was asked for: that was said of these.
4. Searches tell enough where Explicit VR Little Endian or the stored form is wanted. For other transfer syntaxes the header of each
   instance is looked at: bits and colours decide, and a search may leave out that there is a picture.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.backends.base import Retrieve
from gateway.backends.pictured.listing import Listed
from gateway.backends.pictured.sources import Sources
from gateway.backends.representations import DICOM, NATIVE
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, Accept, Offer, Range, choose
from gateway.dicomweb.resources import Resource
from gateway.errors import NotAcceptable, NotFound
from gateway.pixels import conversion, syntaxes
from gateway.pixels.image import Image
from gateway.pixels.work import Undoable

T = TypeVar("T")

TOGETHER = 8
"""Headers that are asked for at the same time."""

SAMPLES = 4
"""A pixel has at most so many; searches do not tell."""

ADVICE = f'ask for multipart/related; type="{DICOM}"; transfer-syntax=* to get it as stored'
"""What ends every refusal: something can always be had."""

UNKNOWN = ""
"""In place of a transfer syntax: no caller names it."""

STORED = Accept((Range(DICOM, transfer_syntax="*"),))
EXPLICIT = Accept((Range(DICOM, transfer_syntax=EXPLICIT_LITTLE_ENDIAN),))
EITHER = Accept((*EXPLICIT.ranges, Range(DICOM, transfer_syntax="*", q=0.5)))


@dataclass(frozen=True, slots=True)
class Form:
    """How an instance goes out.

    :param accept: what the store behind is asked for, None where that would be in vain.
    :param target: the transfer syntax to be made where it does not give that; None where it does.
    """

    resource: Resource
    accept: Accept | None
    target: str | None
    multipart: bool


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of an instance, as far as it decides.

    :param syntax: its transfer syntax; of a native one that was looked at Explicit VR Little Endian, in which its frames come.
    :param stored: the one in which it rests, `UNKNOWN` for a native one that was looked at.
    :param pictures: whether it has pixels.
    :param image: its pixels, where they were looked at.
    """

    syntax: str
    stored: str
    pictures: bool
    image: Image | None = None

    def targets(self) -> Sequence[str]:
        """What it can be had as, other than as stored."""
        if self.image is not None:
            made = conversion.targets(self.image)
        else:
            made = (EXPLICIT_LITTLE_ENDIAN,) if self.syntax in syntaxes.DECODABLE else ()
        native = (EXPLICIT_LITTLE_ENDIAN,) if self.syntax in NATIVE else ()
        return [target for target in dict.fromkeys((*native, *made)) if target != self.stored]


async def forms(sources: Sources, retrieve: Retrieve, default: str) -> list[Form]:
    """The form of each instance below a resource, in order.

    :param default: the transfer syntax for a caller who names none, ``*`` for as stored.
    :raises NotFound: :raises Gone: there are none. :raises NotAcceptable: naming the stored transfer syntax of one that cannot be had.
    """
    resource = retrieve.resource
    if resource.instance is not None:
        return [_Choice(retrieve.accept, default, alone=True).form(resource, await _looked_at(sources, resource))]
    choice = _Choice(retrieve.accept, default, alone=False)
    listed = await sources.listed(resource, syntaxes=True)
    if not listed:
        raise NotFound("there are no instances")
    known = await asyncio.to_thread(_told, listed, choice.named)
    silent = [number for number, one in enumerate(known) if one is None]
    for start in range(0, len(silent), TOGETHER):
        some = silent[start : start + TOGETHER]
        for number, found in zip(some, await _all(_looked_at(sources, listed[number].resource) for number in some), strict=True):
            known[number] = found
    return await asyncio.to_thread(choice.forms, [one.resource for one in listed], [one for one in known if one is not None])


async def _looked_at(sources: Sources, resource: Resource) -> _Known:
    header = await sources.header(resource)
    stored = UNKNOWN if header.syntax == EXPLICIT_LITTLE_ENDIAN else header.syntax
    return _Known(header.syntax, stored, header.image is not None, header.image)


async def _all(questions: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All answers; once one fails nobody waits for the others."""
    tasks = [asyncio.ensure_future(one) for one in questions]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _told(listed: Sequence[Listed], wanted: frozenset[str]) -> list[_Known | None]:
    """What a search tells of instances, None where that is not enough."""
    return [
        None
        if one.syntax is None or not wanted <= {EXPLICIT_LITTLE_ENDIAN, one.syntax} or not _fits(one)
        else _Known(one.syntax, one.syntax, one.rows > 0)
        for one in listed
    ]


def _fits(one: Listed) -> bool:
    """Whether its native pixel data fits into one instance for sure."""
    return one.rows * one.columns * one.frames * SAMPLES * -(-one.allocated // 8) <= conversion.NATIVE_LIMIT


class _Choice:
    """What one caller is given. A study has thousands of instances, and few kinds of them: each kind is chosen for once.

    :param alone: whether one instance is asked for, so that it may be the whole body (PS3.18 10.4.4).
    """

    def __init__(self, accept: Accept, default: str, *, alone: bool) -> None:
        ranges = (*accept.ranges, *accept.fallback)
        self.named = frozenset(uid for uid in (default, *(one.transfer_syntax for one in ranges)) if uid not in (None, "*"))
        self._accept = accept
        self._default = default
        self._alone = alone
        self._along = False
        self._kinds: dict[_Known, tuple[Accept | None, str | None, bool]] = {}

    def forms(self, resources: Sequence[Resource], known: Sequence[_Known]) -> list[Form]:
        """:raises NotAcceptable: when one of them cannot be had. Takes milliseconds for thousands."""
        any_syntax = [Offer(DICOM, uid, multipart=True, as_stored=True) for uid in (*self.named, UNKNOWN)]
        self._along = any(one.pictures for one in known) and choose(self._accept, any_syntax, self._default) is not None
        return [self.form(*one) for one in zip(resources, known, strict=True)]

    def form(self, resource: Resource, known: _Known) -> Form:
        """:raises NotAcceptable: when it cannot be had."""
        if known not in self._kinds:
            self._kinds[known] = self._chosen(known)
        return Form(resource, *self._kinds[known])

    def _chosen(self, one: _Known) -> tuple[Accept | None, str | None, bool]:
        """The fields of a form."""
        offers = [
            Offer(DICOM, syntax, multipart=multipart, as_stored=syntax == one.stored)
            for multipart in ((True, False) if self._alone else (True,))
            for syntax in (one.stored, *one.targets())
        ]
        offer = choose(self._accept, offers, self._default)
        if offer is None and self._along and not one.pictures and one.syntax in NATIVE:
            return EITHER, None, True
        if offer is None or offer.transfer_syntax is None:
            raise NotAcceptable(f"{self._why(one)}; {ADVICE}")
        if offer.as_stored:
            return STORED, None, offer.multipart
        target = offer.transfer_syntax
        if one.image is not None and (reason := _undoable(one.image, target)):
            raise NotAcceptable(f"stored as {one.syntax}: {reason}; {ADVICE}")
        native = one.syntax in NATIVE and target == EXPLICIT_LITTLE_ENDIAN
        return EXPLICIT if native else None, target, offer.multipart

    def _why(self, one: _Known) -> str:
        """Why nothing that was asked for can be had: what the best-known target lacks, or else in general."""
        reasons = [_undoable(one.image, target) for target in sorted(self.named) if one.image is not None]
        known = (reason for reason in reasons if reason)
        return next(known, f"stored as {one.syntax}, which cannot be given in a form that was asked for")


def _undoable(image: Image, target: str) -> str:
    """Why an image cannot become one in another transfer syntax, empty where it can."""
    try:
        conversion.check_whole(conversion.converted(image, target))
    except Undoable as error:
        return error.message
    return ""
