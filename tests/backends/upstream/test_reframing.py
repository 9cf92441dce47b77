"""Bodies of an origin in the frame that a caller wants."""

from __future__ import annotations

import pytest

from gateway.backends.upstream.reframing import events, passed, unwrapped, wrapped
from gateway.dicomweb.multipart import Data
from gateway.errors import OriginFailed
from tests.backends.made import dicom, parts, read
from tests.backends.upstream.scripted import BOUNDARY, DICOM, answering, whole

FILES = [dicom(sop=f"1.1.1.{number}") for number in range(1, 4)]


async def test_a_multipart_body_passes_unopened_with_its_length() -> None:
    async with answering(whole(*FILES)) as answer:
        body = await passed(answer)
        assert body.media_type == DICOM and body.length == len(whole(*FILES)) and body.weak
        assert await read(body) == whole(*FILES)


@pytest.mark.parametrize("boundary", ["UPPER-Case", "with/slash:and=more", "x" * 73])
async def test_a_boundary_that_clients_cannot_read_is_replaced(boundary: str) -> None:
    media = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
    async with answering(whole(*FILES, boundary=boundary), media) as answer:
        body = await passed(answer)
        assert ("boundary=" + boundary in body.media_type) == (boundary == "x" * 73)
        assert await parts(body) == [("application/dicom", file) for file in FILES]


async def test_urls_of_the_origin_in_part_headers_stay_there() -> None:
    head = "Content-Type: application/dicom; transfer-syntax=1.2.3\r\nContent-Location: http://pacs/secret\r\n"
    async with answering(whole(*FILES, head=head)) as answer:
        body = await passed(answer)
        assert body.length is None
        assert await parts(body) == [("application/dicom; transfer-syntax=1.2.3", file) for file in FILES]


async def test_a_body_that_breaks_off_raises() -> None:
    async with answering(whole(*FILES), cut=True) as answer:
        with pytest.raises(OriginFailed, match="broke off"):
            await read(await passed(answer))


@pytest.mark.parametrize("head", ["Content-Type: application/dicom\r\n", "Content-Location: x\r\n"])
async def test_a_body_without_length_must_show_its_end(head: str) -> None:
    async with answering([whole(*FILES, head=head)[:-10]], chunked=True) as answer:
        with pytest.raises(OriginFailed, match="broke off"):
            await read(await passed(answer))
    async with answering([whole(*FILES, head=head)[:-4], b"--\r\n"], chunked=True) as answer:
        assert (await read(await passed(answer))).endswith(b"--\r\n")


async def test_a_closed_body_closes_the_origins_answer_whether_or_not_it_was_read() -> None:
    async with answering(whole(*FILES)) as answer:
        body = await passed(answer)
        await body.aclose()
        await body.aclose()
        assert answer._response.closed
    async with answering(whole(FILES[0])) as answer:
        body = await unwrapped(answer)
        await body.aclose()
        assert answer._response.closed


async def test_one_instance_is_unwrapped() -> None:
    head = f"Content-Type: application/dicom\r\nContent-Length: {len(FILES[0])}\r\n"
    async with answering(whole(FILES[0], head=head)) as answer:
        body = await unwrapped(answer)
        assert body.media_type == "application/dicom" and body.length == len(FILES[0]) and body.etag is None
        assert await read(body) == FILES[0]


async def test_ranges_of_an_instance_can_be_asked_for_where_its_length_is_known() -> None:
    data = FILES[0]
    for start, stop in ((0, 10), (100, 200), (len(data) - 5, len(data)), (0, len(data))):
        async with answering([data[:150], data[150:]], "application/dicom", chunked=False) as answer:
            body = await unwrapped(answer)
            assert body.select is not None
            assert await read(body.select(start, stop)) == data[start:stop]
    async with answering(whole(data)) as answer:
        body = await unwrapped(answer)
        assert body.select is None and await read(body) == data


async def test_the_transfer_syntax_is_read_from_the_file_where_the_part_is_silent() -> None:
    data = dicom(syntax="1.2.840.10008.1.2")
    async with answering(whole(data)) as answer:
        body = await unwrapped(answer)
        assert body.media_type == "application/dicom; transfer-syntax=1.2.840.10008.1.2"
        await body.aclose()


@pytest.mark.parametrize(("length", "message"), [(-1, "longer"), (1, "shorter")])
async def test_a_part_must_be_as_long_as_it_says(length: int, message: str) -> None:
    head = f"Content-Length: {len(FILES[0]) + length}\r\n"
    async with answering(whole(FILES[0], head=head)) as answer:
        with pytest.raises(OriginFailed, match=message):
            await read(await unwrapped(answer))


async def test_several_instances_are_not_one() -> None:
    async with answering(whole(*FILES)) as answer:
        with pytest.raises(OriginFailed, match="several"):
            await read(await unwrapped(answer))


async def test_a_single_part_is_wrapped() -> None:
    media = "application/dicom; transfer-syntax=1.2.840.10008.1.2.5"
    async with answering(FILES[0], media) as answer:
        body = await wrapped(answer)
        assert body.length is not None
        assert await parts(body) == [(media, FILES[0])]


async def test_validators_are_made_of_the_origins() -> None:
    tags = []
    for tag in ('"a"', '"b"', 'W/"a"'):
        async with answering(FILES[0], "application/dicom", ETag=tag, Last_Modified="Wed, 31 Jan 2024 10:00:00 GMT") as answer:
            body = await unwrapped(answer)
            assert body.modified == 1706695200.0 and body.weak == tag.startswith("W/")
            tags.append(body.etag)
            await body.aclose()
    assert None not in tags and len(set(tags)) == 3


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b"no boundary at all", DICOM),
        (whole(*FILES), "multipart/related"),
        (whole(FILES[0], head="nonsense\r\n"), DICOM),
        (whole(*FILES)[:-10], DICOM),
        (b"x", "what is this"),
    ],
)
async def test_broken_framing_is_the_origins_failure(body: bytes, media: str) -> None:
    async with answering(body, media) as answer:
        with pytest.raises(OriginFailed):
            _ = [event async for event in events(answer)]


async def test_an_answer_without_a_part_is_no_instance() -> None:
    async with answering(f"--{BOUNDARY}--\r\n".encode()) as answer:
        with pytest.raises(OriginFailed):
            await unwrapped(answer)
    async with answering(b"", "application/dicom") as answer:
        with pytest.raises(OriginFailed, match="no instance"):
            await unwrapped(answer)


async def test_a_body_that_is_no_multipart_is_one_part() -> None:
    async with answering([b"ab", b"c"], "application/dicom") as answer:
        found = [event async for event in events(answer)]
        assert b"".join(event.data for event in found if isinstance(event, Data)) == b"abc"
