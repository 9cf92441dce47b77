"""Several bodies as one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from functools import partial

import pytest

from gateway.backends.base import Body, Piece, Served
from gateway.backends.pictured.several import AHEAD, Make, together, warned
from gateway.errors import BadRequest, NotAcceptable, NotFound
from gateway.pixels.work import NotDrawable
from tests.backends.made import parts


class Makers:
    """Parts that count how many were begun, made and closed."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.closed: list[int] = []

    async def part(self, number: int) -> Body:
        self.begun.append(number)
        await asyncio.sleep(0)

        async def pieces() -> AsyncGenerator[Piece, None]:
            yield b"part "
            yield str(number).encode()

        return Body("image/png", pieces(), close=lambda: self.closed.append(number), served=Served(warnings=(f"warning {number}",)))

    async def missing(self, error: Exception) -> Body:
        raise error

    def some(self, *numbers: int) -> list[Make]:
        return [partial(self.part, number) for number in numbers]


async def test_parts_in_their_order() -> None:
    made = Makers()
    body = await together(made.some(1, 2, 3, 4))
    assert body.media_type.startswith('multipart/related; type="image/png"; boundary=')
    assert body.weak
    assert await parts(body) == [("image/png", f"part {number}".encode()) for number in (1, 2, 3, 4)]
    assert made.closed == [1, 2, 3, 4]


async def test_few_are_made_ahead() -> None:
    made = Makers()
    body = await together(made.some(*range(20)))
    await anext(body.pieces)
    await asyncio.sleep(0.01)
    assert len(made.begun) <= 1 + AHEAD
    await body.aclose()


@pytest.mark.parametrize("read", [0, 1, 3])
async def test_who_leaves_closes_everything(read: int) -> None:
    made = Makers()
    body = await together(made.some(*range(9)))
    for _ in range(read):
        await anext(body.pieces)
    await asyncio.sleep(0.01)
    await body.aclose()
    await asyncio.sleep(0)
    assert sorted(made.closed) == sorted(made.begun)
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("error", [NotDrawable("it is damaged"), NotFound("it is gone")])
async def test_what_is_missing_is_left_out_or_ends_it(error: Exception) -> None:
    made = Makers()
    makers: list[Make] = [partial(made.missing, error), *made.some(2), partial(made.missing, error), *made.some(4)]
    assert [data for _, data in await parts(await together(makers, lenient=True))] == [b"part 2", b"part 4"]
    with pytest.raises(type(error)):
        await together(makers)
    body = await together(makers[1:])
    with pytest.raises(type(error)):
        await parts(body)


async def test_the_end_may_be_open() -> None:
    made = Makers()
    missing = partial(made.missing, NotFound("there is no such frame"))
    endless: list[Make] = [*made.some(1, 2), missing, *made.some(4)]
    assert [data for _, data in await parts(await together(endless, ends=True))] == [b"part 1", b"part 2"]
    await asyncio.sleep(0.01)
    assert len(asyncio.all_tasks()) == 1
    with pytest.raises(NotFound):
        await together([missing], ends=True)


async def test_nothing_at_all_says_why() -> None:
    made = Makers()
    with pytest.raises(NotAcceptable, match="it is damaged"):
        await together([partial(made.missing, NotDrawable("it is damaged"))] * 3, lenient=True)
    none: list[Callable[[], asyncio.Future[Body]]] = []
    with pytest.raises(NotAcceptable):
        await together(none)


async def test_warnings_are_added() -> None:
    body = warned(await Makers().part(1), ("more",))
    assert body.served.warnings == ("warning 1", "more")
    await body.aclose()


async def test_what_the_caller_can_mend_is_told_before_what_he_cannot() -> None:
    made, mendable = Makers(), BadRequest("the region lies outside of the picture")
    some = [partial(made.missing, NotDrawable("damaged")), partial(made.missing, mendable), partial(made.missing, BadRequest("other"))]
    with pytest.raises(BadRequest) as error:
        await together(some, lenient=True)
    assert error.value is mendable
    assert await parts(await together([*some, *made.some(4)], lenient=True)) == [("image/png", b"part 4")]
    with pytest.raises(BadRequest):
        await together([*some[1:], *made.some(4)])
