"""Frames by the origin's own route."""

from __future__ import annotations

import pytest
from pydicom.uid import JPEGBaseline8Bit

from gateway.backends.upstream.framed import Unfit, framed
from gateway.dicomweb.media import parse_accept
from gateway.errors import NotAcceptable, OriginFailed
from tests.backends.made import FRAME, FRAMES, parts, read
from tests.backends.upstream.scripted import answering, whole

OCTETS = "Content-Type: application/octet-stream\r\n"
JPEG = "Content-Type: application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4.50\r\n"


async def test_frames_go_out_under_their_own_media_type() -> None:
    async with answering(whole(b"one", b"two", head=JPEG)) as answer:
        body = await framed(answer, 2, FRAMES)
        assert 'type="image/jpeg"' in body.media_type
        media = "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.50"
        assert await parts(body) == [(media, b"one"), (media, b"two")]


async def test_a_single_frame_is_unwrapped() -> None:
    head = "Content-Type: application/octet-stream; transfer-syntax=1.2.840.10008.1.2\r\nContent-Location: http://pacs/x\r\n"
    async with answering(whole(b"one", head=head)) as answer:
        body = await framed(answer, 1, FRAME)
        assert (body.media_type, await read(body)) == ("application/octet-stream", b"one")


async def test_who_does_not_take_what_is_stored_is_told() -> None:
    async with answering(whole(b"one", head=JPEG)) as answer:
        with pytest.raises(NotAcceptable, match=JPEGBaseline8Bit):
            await framed(answer, 1, parse_accept(["image/png"]))
        assert answer._response.closed


@pytest.mark.parametrize(
    "head",
    [
        "Content-Type: image/jpeg\r\n",
        "Content-Type: ???\r\n",
        'Content-Type: image/jpeg; transfer-syntax="Doe^Jane"\r\n',
        "Content-Type: application/octet-stream; transfer-syntax=1.2.840.10008.1.2.2\r\n",
        "Content-Type: application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1.99\r\n",
    ],
)
async def test_what_cannot_be_told_is_cut_out_here(head: str) -> None:
    async with answering(whole(b"one", head=head)) as answer:
        with pytest.raises(Unfit):
            await framed(answer, 1, FRAMES)


@pytest.mark.parametrize("count", [1, 3])
async def test_another_number_of_frames_breaks_the_body_off(count: int) -> None:
    async with answering(whole(b"one", b"two", head=OCTETS)) as answer:
        with pytest.raises(OriginFailed, match=f"2 frames where {count}"):
            await read(await framed(answer, count, FRAMES))
