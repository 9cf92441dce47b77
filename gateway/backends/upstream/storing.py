"""Stores at an origin: the instances of a request passed on in requests of our own (PS3.18 10.5).

1. The first `HOLD` bytes of an instance are walked before any of it goes out, the rest while it passes, so that no garbage that a
   local store would refuse reaches the origin: smaller instances are known to be whole before it hears of them.
2. An instance that turns out bad after its first bytes went out breaks the origin's request off. The origin is asked which of
   those before it has; the uploads that have not begun go out in a new request; nothing else is lost.
3. Stored is what the origin says is stored, in its answer or when it is asked; the rest failed, and the reason says what to do.
4. A request that fits into `HOLD` goes out in one piece, so that the client may repeat it.
5. An error that is no instance's fault is raised when nothing was stored, so that the caller may send everything again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress

import orjson

from gateway.backends.base import Failed, Stored, StoreResult, Upload
from gateway.backends.upstream.answers import NOTHING, Judged, judged
from gateway.backends.upstream.client import Client
from gateway.backends.upstream.handing import Unwanted
from gateway.backends.upstream.passage import Passage
from gateway.backends.upstream.profiles import Profile
from gateway.backends.upstream.refusals import answer_of
from gateway.backends.upstream.searching import Searching
from gateway.dicom.elements import Limits, Walk
from gateway.dicom.header import Instance
from gateway.dicomweb.matching import AnyOf, Exact
from gateway.dicomweb.query import Filter, Query
from gateway.dicomweb.reasons import Reason
from gateway.dicomweb.resources import Resource
from gateway.errors import Busy, GatewayError, InstanceError

HOLD = 256 << 10
"""Bytes of an instance that are walked before it goes out: headers fit, and so does the instance that kills Orthanc."""

INLINE = 8 << 10
"""Bytes that are walked on the loop: at most a thousand elements, a millisecond."""

ASKED = 50
"""Instances that the origin is asked for in one search: their UIDs fit into a URL."""

SETTLE = (0.0, 0.5, 2.0)
"""Seconds before the origin is asked again for instances that it may still be storing."""

FUTILE = 2
"""Requests in a row that broke off without anything stored, after which the rest is given up."""

SEND_AGAIN = "the transfer to the origin broke off; send it again"


class Storing:
    """:param limits: of an instance's structure."""

    def __init__(self, client: Client, profile: Profile, searching: Searching, limits: Limits) -> None:
        self._client = client
        self._profile = profile
        self._searching = searching
        self._limits = limits

    async def store(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        """See `Backend.store`. What an origin has taken of a request that breaks off stays there."""
        store = _Store(self._client, self._profile, self._searching, self._limits)
        return await store.run(uploads)


class _Store:
    """One store request, and what became of it so far."""

    def __init__(self, client: Client, profile: Profile, searching: Searching, limits: Limits) -> None:
        self._client = client
        self._many = profile.stores_multipart
        self._searching = searching
        self._limits = limits
        self._stored: list[Stored] = []
        self._failed: list[Failed] = []
        self._first: set[str] = set()
        self._futile = 0
        self._error: GatewayError | None = None

    async def run(self, uploads: AsyncIterator[Upload]) -> StoreResult:
        while self._futile < FUTILE and await self._request(uploads):
            pass
        if self._error is not None and not self._stored:
            raise self._error
        if self._futile >= FUTILE:
            await self._give_up(uploads)
        return StoreResult(tuple(self._stored), tuple(sorted(self._failed, key=lambda failed: failed.part)))

    async def _give_up(self, uploads: AsyncIterator[Upload]) -> None:
        """The rest is read and goes nowhere."""
        async for upload in uploads:
            self._fail(upload, Reason.OUT_OF_RESOURCES, "the origin took nothing any more; send it again later")

    # -- one request at the origin

    async def _request(self, uploads: AsyncIterator[Upload]) -> bool:
        """Sends uploads until they end or the request must; whether there are more."""
        passage = Passage(self._client, multipart=self._many, hold=HOLD)
        sent: list[Upload] = []
        more = True
        try:
            while more and (upload := await anext(uploads, None)) is not None:
                try:
                    await self._one(passage, upload)
                except InstanceError as error:
                    self._fail(upload, error.reason, error.message)
                    if not passage.withdrawn():
                        await passage.abort()
                        await self._settle(sent, None)
                        return True
                    continue
                except Unwanted:
                    self._fail(upload, Reason.OUT_OF_RESOURCES, SEND_AGAIN)
                    await self._settle(sent, passage, early=True)
                    return True
                sent.append(upload)
                more = self._many
            if sent:
                await self._settle(sent, passage)
            return not more
        finally:
            await passage.abort()

    async def _one(self, passage: Passage, upload: Upload) -> None:
        """Passes an instance on.

        :raises InstanceError: it is bad. :raises Unwanted: the origin takes no more of this request.
        """
        walk = Walk(limits=self._limits)
        held: list[bytes] = []
        size = 0
        async for piece in upload.body:
            if size < HOLD:
                held.append(piece)
                size += len(piece)
                if size >= HOLD:
                    await _walked(walk, held, size)
                    await passage.begin()
                    for one in held:
                        await passage.put(one)
                    held = []
            else:
                await _walked(walk, [piece], len(piece))
                await passage.put(piece)
        await _walked(walk, held, size if held else 0, final=True)
        if size < HOLD:
            await passage.begin()
            await passage.put(held[0] if len(held) == 1 else b"".join(held))
        passage.ended()

    # -- what became of it

    async def _settle(self, sent: list[Upload], passage: Passage | None, *, early: bool = False) -> None:
        """Finds out what became of instances that were sent whole.

        :param passage: their request, None when it was broken off.
        :param early: the origin ended it.
        """
        said, error = NOTHING, None
        if passage is not None:
            try:
                said = await self._answer(passage)
            except GatewayError as failure:
                self._error = error = failure
        unsure = [upload for upload in sent if upload.instance.sop not in said.stored and upload.instance.sop not in said.failed]
        held = await self._asked(unsure, _pauses(passage is None, error))
        before = len(self._stored)
        times = Counter(upload.instance.sop for upload in sent)
        otherwise = SEND_AGAIN if passage is None or error is not None else "the origin's answer does not name it"
        for upload in sent:
            self._judge(upload, said, held, otherwise, several=times[upload.instance.sop] > 1)
        if len(self._stored) > before:
            self._futile = 0
        elif early or error is not None:
            self._futile += 1

    async def _answer(self, passage: Passage) -> Judged:
        media, body = await passage.finish()
        return await asyncio.to_thread(judged, media, body) if len(body) > INLINE else judged(media, body)

    def _judge(self, upload: Upload, said: Judged, held: set[str], otherwise: str, *, several: bool) -> None:
        """:param several: the request had more than one version of it: of what was stored and failed the first one was stored."""
        sop = upload.instance.sop
        twice = several and sop in said.stored and sop in said.failed
        if sop in said.failed and not (twice and sop not in self._first):
            self._fail(upload, *said.failed[sop])
        elif sop in said.stored or sop in held:
            self._first.add(sop)
            self._stored.append(Stored(upload.instance, said.stored.get(sop)))
        else:
            self._fail(upload, Reason.PROCESSING_FAILURE, otherwise)

    def _fail(self, upload: Upload, reason: Reason, detail: str) -> None:
        self._failed.append(Failed(upload.part, reason, detail, upload.instance.sop_class, upload.instance.sop))

    async def _asked(self, unsure: list[Upload], pauses: Iterable[float]) -> set[str]:
        """Which of these the origin has, by SOP Instance UID. When it cannot be asked it has none of them.

        :param pauses: seconds before each time that it is asked for those that are missing.
        """
        held: set[str] = set()
        for pause in pauses:
            missing = [upload.instance for upload in unsure if upload.instance.sop not in held]
            if not missing:
                break
            await asyncio.sleep(pause)
            with suppress(GatewayError):
                held |= await self._held(missing)
        return held

    async def _held(self, instances: Iterable[Instance]) -> set[str]:
        series: dict[tuple[str, str], list[str]] = {}
        for one in instances:
            series.setdefault((one.study, one.series), []).append(one.sop)
        found: set[str] = set()
        for (study, uid), sops in series.items():
            for start in range(0, len(sops), ASKED):
                some = sorted(set(sops[start : start + ASKED]))
                match = Exact(some[0]) if len(some) == 1 else AnyOf(tuple(some))
                query = Query("instance", Resource(study, uid), (Filter((0x00080018,), "UI", match),), limit=len(some))
                matches = await self._searching.search(query)
                found |= {orjson.loads(result)["00080018"]["Value"][0] for result in matches.results}
        return found


def _pauses(broken_off: bool, error: GatewayError | None) -> Iterable[float]:
    """When an origin is asked what it has: often where nobody knows what it did, never where it turned the request away."""
    if isinstance(error, Busy):
        return ()
    unknown = broken_off or (error is not None and answer_of(error) is None)
    return SETTLE if unknown else SETTLE[:1]


async def _walked(walk: Walk, pieces: list[bytes], size: int, *, final: bool = False) -> None:
    """Walks over pieces: values that are passed over cost nothing; headers of any length are read in a thread."""
    if size <= max(walk.skip, INLINE):
        _walk(walk, pieces, final)
    else:
        await asyncio.to_thread(_walk, walk, pieces, final)


def _walk(walk: Walk, pieces: list[bytes], final: bool) -> None:
    for piece in pieces:
        walk.feed(piece)
    if final:
        walk.finish()
