"""One instance of an origin as a body of its own."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gateway.backends.upstream.unwrapping import unwrapped
from gateway.errors import OriginFailed
from tests.backends.made import dicom, read
from tests.backends.upstream.scripted import BOUNDARY, answering, whole

FILES = [dicom(sop=f"1.1.1.{number}") for number in range(1, 4)]
SIZED = f"Content-Type: application/dicom\r\nContent-Length: {len(FILES[0])}\r\n"


@pytest.mark.parametrize("cuts", [(), (10,), (100, 101), (len(FILES[0]), len(FILES[0]) + 120)])
async def test_a_body_that_is_counted_is_the_same_however_it_comes(cuts: tuple[int, ...]) -> None:
    body = whole(FILES[0], head=SIZED)
    ends = [0, *cuts, len(body)]
    async with answering([body[start:stop] for start, stop in pairwise(ends)]) as answer:
        assert await read(await unwrapped(answer)) == FILES[0]


async def test_what_is_counted_must_show_its_end() -> None:
    for cut in (8, 400):
        async with answering([whole(FILES[0], head=SIZED)[:-cut]], chunked=True) as answer:
            with pytest.raises(OriginFailed):
                await read(await unwrapped(answer))


async def test_several_instances_are_not_one_even_when_they_are_counted() -> None:
    async with answering(whole(FILES[0], FILES[0], head=SIZED)) as answer:
        with pytest.raises(OriginFailed, match="several"):
            await read(await unwrapped(answer))


async def test_a_closed_body_closes_the_origins_answer() -> None:
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


@pytest.mark.parametrize("length", [-1, 1])
async def test_a_part_must_be_as_long_as_it_says(length: int) -> None:
    head = f"Content-Length: {len(FILES[0]) + length}\r\n"
    async with answering(whole(FILES[0], head=head)) as answer:
        with pytest.raises(OriginFailed, match="not as long as it says"):
            await read(await unwrapped(answer))


async def test_several_instances_are_not_one() -> None:
    async with answering(whole(*FILES)) as answer:
        with pytest.raises(OriginFailed, match="several"):
            await read(await unwrapped(answer))


async def test_validators_are_made_of_the_origins() -> None:
    tags = []
    for tag in ('"a"', '"b"', 'W/"a"'):
        async with answering(FILES[0], "application/dicom", ETag=tag, Last_Modified="Wed, 31 Jan 2024 10:00:00 GMT") as answer:
            body = await unwrapped(answer)
            assert body.modified == 1706695200.0 and body.weak == tag.startswith("W/")
            tags.append(body.etag)
            await body.aclose()
    assert None not in tags and len(set(tags)) == 3


async def test_an_answer_without_a_part_is_no_instance() -> None:
    async with answering(f"--{BOUNDARY}--\r\n".encode()) as answer:
        with pytest.raises(OriginFailed):
            await unwrapped(answer)
    async with answering(b"", "application/dicom") as answer:
        with pytest.raises(OriginFailed, match="no instance"):
            await unwrapped(answer)
