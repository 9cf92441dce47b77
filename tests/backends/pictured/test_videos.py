"""Videos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.backends.pictured.videos import named
from gateway.errors import NotAcceptable, NotFound
from tests.backends.made import read
from tests.backends.pictured.gallery import H264, Gallery, video

MP4 = b"\0\0\0\x20ftypisom" + bytes(range(256)) * 40
TS = (b"G" + b"\1" * 187) * 4
MPEG_2 = "1.2.840.10008.1.2.4.100"


@pytest.mark.parametrize("stream", [MP4, MP4[:100], MP4 * 30])
async def test_a_video_as_it_is_stored_and_ranges_of_it(tmp_path: Path, stream: bytes) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(video(stream))
    body = await gallery.body(resource, "*/*")
    assert (body.media_type, body.length) == ("video/mp4", len(stream))
    assert await read(body) == stream
    ranged = await gallery.body(replace(resource, frames=(1,)), "video/mp4")
    assert ranged.select is not None
    assert await read(ranged.select(4, 8)) == b"ftyp"


async def test_it_is_no_picture_and_its_frames_cannot_be_had(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(video(MP4))
    with pytest.raises(NotAcceptable, match=H264):
        await gallery.body(resource, "image/jpeg")
    with pytest.raises(NotFound):
        await gallery.body(replace(resource, frames=(2,)), "*/*")


async def test_what_is_no_mp4_is_not_called_one(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path)
    resource = await gallery.add(video(b"\0\0\0\1\x67" + bytes(99)))
    with pytest.raises(NotAcceptable, match="video/h264"):
        await gallery.body(resource, "video/mp4")


@pytest.mark.parametrize(
    ("start", "syntax", "media"),
    [
        (MP4, H264, "video/mp4"),
        (TS, H264, "video/mp2t"),
        (TS, MPEG_2, "video/mpeg"),
        (b"\0\0\1\xba1234", MPEG_2, "video/mpeg"),
        (b"\0\0\0\1\x40", "1.2.840.10008.1.2.4.107", "video/h265"),
        (b"\0\0\1\x67", H264, "video/h264"),
        (b"", H264, "video/mp4"),
        (b"G", MPEG_2, "video/mpeg"),
        (b"what is it", MPEG_2, "video/mpeg"),
    ],
)
def test_types_by_the_first_bytes(start: bytes, syntax: str, media: str) -> None:
    assert named(start, syntax) == media
