"""Store Transaction, STOW-RS (PS3.18 10.5)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from aiohttp import hdrs, web

from gateway import metrics
from gateway.backends.base import Failed, StoreResult, Upload
from gateway.dicomweb.media import MULTIPART, Offer, choose, parse_media_type
from gateway.dicomweb.multipart import boundary_of
from gateway.dicomweb.resources import Resource, parse_uid
from gateway.dicomweb.responses import store_response_json, store_response_xml, store_status
from gateway.errors import BadRequest, UnsupportedMediaType
from gateway.streams import DICOM, Intake, multipart_events, single_events
from gateway.web import documents, receiving
from gateway.web.composing import TYPES as METADATA
from gateway.web.composing import ComposedIntake
from gateway.web.context import context_of
from gateway.web.dialect import XML, dialect_of
from gateway.web.service import SERVICE, Service, accept_of, base_url

_PLAIN = {"", "application/octet-stream", "application/x-www-form-urlencoded"}
"""What clients say who do not say what they send: PowerShell's -InFile, curl's --data-binary."""

_TAKEN = "application/dicom, application/dicom+json or application/dicom+xml"

_PREAMBLE = 132

INLINE = 50
"""Instances whose answer is written on the loop: 3 (JSON) to 20 (XML) microseconds each."""

WARNINGS = 3
"""Failures that are explained in Warning headers; clients limit the size of all headers together."""


async def store(request: web.Request, service: Service) -> web.StreamResponse:
    """``POST {base}/studies`` and ``POST {base}/studies/{study}``; PUT, where Google's API has it, replaces other versions."""
    study = request.match_info.get("study")
    if study is not None:
        parse_uid(study, "StudyInstanceUID")
    backend = service.backend(request)
    offer = offer_of(request)
    with service.store_slot():
        intake = await _intake(request, service, study)
        async with aclosing(intake.uploads()) as uploads:
            result = await backend.store(_replacing(uploads) if request.method == hdrs.METH_PUT else uploads)
    failed = tuple(sorted([*result.failed, *intake.failed], key=_part))
    if not result.stored and not failed:
        raise BadRequest("the request names no instance" if intake.parts else "the request holds no part")
    if (stored := context_of(request).stored) is not None and result.stored:
        await stored([Resource(one.instance.study, one.instance.series, one.instance.sop) for one in result.stored])
    return await answered(request, service, StoreResult(result.stored, failed), offer)


async def _replacing(uploads: AsyncIterator[Upload]) -> AsyncIterator[Upload]:
    """Each of them takes the place of what is stored under its UIDs (Google's UpdateInstances)."""
    async for upload in uploads:
        yield replace(upload, replace=True)


def offer_of(request: web.Request) -> Offer:
    """The form of the answer, chosen before anything is stored: an Accept that is too long to be read can still be refused.

    One that cannot be met is no error, but gets the default.
    """
    stored = dialect_of(request).stored
    return choose(accept_of(request), stored) or stored[0]


def _part(failed: Failed) -> int:
    return failed.part


async def _intake(request: web.Request, service: Service, study: str | None) -> Intake | ComposedIntake:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("a store request must not be compressed (Content-Encoding)")
    chunks = receiving.chunks(request, context_of(request))
    media = parse_media_type(request.headers.get("Content-Type") or "application/octet-stream")
    limits, closed = service.intake_limits, context_of(request).closed
    inner = (media.param("type") or DICOM).lower() if media.type == MULTIPART else media.type
    if inner in METADATA:
        parts = media.type == MULTIPART
        events = multipart_events(chunks, boundary_of(media), limits.multipart) if parts else single_events(chunks)
        return ComposedIntake(events, inner, limits, service.budget, service.bulk, study, closed)
    if media.type == MULTIPART:
        _check_inner(inner)
        events = multipart_events(chunks, boundary_of(media), limits.multipart)
    elif media.type == DICOM:
        events = single_events(chunks)
    elif media.type in _PLAIN:
        events = single_events(await _sniffed(chunks))
    else:
        raise UnsupportedMediaType(f"a store request is multipart/related of {_TAKEN}, or one of them by itself (PS3.18 10.5.1)")
    return Intake(events, limits, service.budget, study, closed)


def _check_inner(inner: str) -> None:
    if inner != DICOM:
        raise UnsupportedMediaType(f"the parts of a store request are {_TAKEN} (PS3.18 10.5.1)")


async def _sniffed(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The same chunks, after a look whether they are DICOM.

    :raises UnsupportedMediaType: when they are not.
    """
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= _PREAMBLE:
            break
    if head[128:_PREAMBLE] != b"DICM":
        raise UnsupportedMediaType("the request has no Content-Type that can be stored, and its body is not DICOM; send application/dicom")

    async def all_chunks() -> AsyncGenerator[bytes, None]:
        yield head
        async for chunk in chunks:
            yield chunk

    return all_chunks()


async def answered(request: web.Request, service: Service, result: StoreResult, offer: Offer) -> web.Response:
    """The answer of a store."""
    _count(request, result)
    base = base_url(request, service)
    dialect = dialect_of(request)
    write = partial(store_response_xml, namespace=dialect.namespace) if offer is XML else store_response_json
    write = partial(write, detail=dialect.detail)
    large = len(result.stored) + len(result.failed) > INLINE
    body = await asyncio.to_thread(write, result, base) if large else write(result, base)
    status = store_status(result.stored, result.failed)
    if result.stored and result.failed and dialect.any_failure is not None:
        status = dialect.any_failure
    response = await documents.told(request, service, body, offer.media_type, status)
    for failed in result.failed[:WARNINGS]:  # the answer's Error Comment holds 64 characters; this is the whole sentence
        response.headers.add("Warning", f"299 {SERVICE}: part {failed.part}: {failed.detail}")
    return response


def _count(request: web.Request, result: StoreResult) -> None:
    context_of(request).instances += len(result.stored)
    reasons = [("stored", stored.warning) for stored in result.stored]
    for (outcome, reason), count in Counter(reasons + [("failed", failed.reason) for failed in result.failed]).items():
        metrics.STORE_OUTCOMES.labels(outcome, "none" if reason is None else f"{reason:04X}").inc(count)
