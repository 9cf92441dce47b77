"""Bodies of an origin in the frame that a caller wants."""

from __future__ import annotations

import pytest

from gateway.backends.upstream.reframing import events, modified_of, passed, version_of, wrapped
from gateway.dicomweb.multipart import Data
from gateway.errors import OriginFailed
from tests.backends.made import dicom, parts, read
from tests.backends.upstream.scripted import DICOM, answering, whole

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


@pytest.mark.parametrize("body", [b"", b"--there--\r\n", b"\r\n--there--"])
@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_without_an_instance_is_an_error_that_can_still_be_told(body: bytes, chunked: bool) -> None:
    async with answering(body, chunked=chunked) as answer:
        with pytest.raises(OriginFailed, match="holds no instance"):
            await passed(answer)


async def test_a_closed_body_closes_the_origins_answer_whether_or_not_it_was_read() -> None:
    async with answering(whole(*FILES)) as answer:
        body = await passed(answer)
        await body.aclose()
        await body.aclose()
        assert answer._response.closed


async def test_a_single_part_is_wrapped() -> None:
    media = "application/dicom; transfer-syntax=1.2.840.10008.1.2.5"
    async with answering(FILES[0], media) as answer:
        body = await wrapped(answer)
        assert body.length is not None
        assert await parts(body) == [(media, FILES[0])]


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


async def test_a_body_that_is_no_multipart_is_one_part() -> None:
    async with answering([b"ab", b"c"], "application/dicom") as answer:
        found = [event async for event in events(answer)]
        assert b"".join(event.data for event in found if isinstance(event, Data)) == b"abc"


@pytest.mark.parametrize("date", ["", "soon", "Mon, 01 Jan 2020 00:00:00 +99999999999999", "Mon, 01 Jan 0001 00:00:00 +2359"])
async def test_a_date_that_no_clock_has_is_none_or_a_number(date: str) -> None:
    async with answering(b"", Last_Modified=date) as answer:
        assert (modified_of(answer) is None) != date.endswith("+2359")


async def test_urls_in_part_headers_stay_there_however_slowly_they_come() -> None:
    text = whole(*FILES, head="Content-Type: application/dicom\r\nContent-Location: http://pacs/secret\r\n")
    async with answering([text[:3], text[3:20], text[20:60], text[60:]]) as answer:
        assert await parts(await passed(answer)) == [("application/dicom", file) for file in FILES]
    late = whole(*FILES, head=f"X-Long: {'x' * 2000}\r\nContent-Location: http://pacs/secret\r\n")
    async with answering(late) as answer:
        assert await parts(await passed(answer)) == [("application/dicom", file) for file in FILES]


async def test_a_long_boundary_is_found_at_the_end() -> None:
    boundary = "x" * 256
    media = f'multipart/related; type="application/dicom"; boundary={boundary}'
    async with answering(whole(*FILES, boundary=boundary), media, chunked=True) as answer:
        assert await parts(await passed(answer)) == [("application/dicom", file) for file in FILES]


@pytest.mark.parametrize("syntax", ['"1.2; charset=x"', "<b>", '"Doe^Jane"', "1..2"])
async def test_a_transfer_syntax_that_is_none_is_not_said_again(syntax: str) -> None:
    head = f"Content-Type: application/dicom; transfer-syntax={syntax}\r\nContent-Location: x\r\n"
    async with answering(whole(FILES[0], head=head)) as answer:
        assert await parts(await passed(answer)) == [("application/dicom", FILES[0])]
    async with answering(FILES[0], f"application/dicom; transfer-syntax={syntax}") as answer:
        assert await parts(await wrapped(answer)) == [("application/dicom", FILES[0])]


async def test_the_tag_of_an_origin_that_sees_the_caller_is_one_for_each() -> None:
    async with answering(b"", ETag='"1"') as answer:
        tags = []
        for scope in ("", "a", "b"):
            answer.scope = scope
            tags.append(version_of(answer))
        assert len(set(tags)) == 3


async def test_a_preamble_without_end_is_not_passed_on() -> None:
    async with answering([b"x" * 10_000] * 100, chunked=True) as answer:
        with pytest.raises(OriginFailed):
            await read(await passed(answer))
