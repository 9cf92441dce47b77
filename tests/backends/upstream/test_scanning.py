"""Pages against an origin that answers as it is told: caps, counts, ends, and answers that are none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web

from gateway.backends.upstream import scanning
from gateway.backends.upstream.profiles import GENERIC, GOOGLE
from gateway.backends.upstream.scanning import RESULTS, WHOLE_RESULTS, Pages, named, parsed, side_by_side
from gateway.dicomweb.resources import Resource
from gateway.errors import InvalidQuery, NotFound, OriginFailed
from tests.backends.upstream.searched import client_of


@dataclass
class Numbered:
    """An origin with that many studies.

    :param cap: results in one answer at most.
    :param says: how it tells what is left, if it does.
    :param answer: what it answers instead.
    """

    studies: int
    cap: int = 1000
    says: str = ""
    answer: web.Response | None = None
    asked: list[tuple[int, int]] = field(default_factory=list)

    async def search(self, request: web.Request) -> web.Response:
        limit, offset = int(request.query["limit"]), int(request.query.get("offset", 0))
        self.asked.append((limit, offset))
        if self.answer is not None:
            return self.answer
        shown = range(offset, min(self.studies, offset + min(limit, self.cap)))
        headers = {}
        if self.says == "warning" and shown and shown.stop < self.studies:
            headers["Warning"] = f'299 dcm4chee: "There are {self.studies - shown.stop} additional results that can be requested"'
        if self.says == "total":
            headers["X-Total-Count"] = str(self.studies)
        body = json.dumps([{"0020000D": {"vr": "UI", "Value": [f"1.{number}"]}} for number in shown])
        return web.Response(text=body, content_type="application/dicom+json", headers=headers) if shown else web.Response(status=204)


@asynccontextmanager
async def pages(
    origin: Numbered,
    path: str = "/studies",
    offset: int = 0,
    include: str = "00100010",
    params: Sequence[tuple[str, str]] = (("PatientID", "P1"),),
    **settings: Any,
) -> AsyncIterator[Pages]:
    app = web.Application()
    app.router.add_get("/{path:.*}", origin.search)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    client = client_of(f"http://127.0.0.1:{runner.addresses[0][1]}")
    yield Pages(client, replace(GENERIC, **settings), "study", path, params, include, offset)
    await client.aclose()
    await runner.cleanup()


@pytest.mark.parametrize("says", ["warning", "total"])
async def test_an_origin_that_gives_less_than_asked_and_says_so_is_asked_again(says: str) -> None:
    origin = Numbered(25, cap=10, says=says)
    async with pages(origin) as found:
        assert len(await found.all(100)) == 25
    assert origin.asked == [(100, 0), (100, 10), (100, 20)]


async def test_pages_of_an_origin_that_says_nothing_end_with_the_first_that_is_not_full() -> None:
    origin = Numbered(25)
    async with pages(origin, page=10) as found:
        assert len(await found.all(100)) == 25 and found.ended and found.left is None
    assert origin.asked == [(10, 0), (10, 10), (10, 20)]


async def test_a_page_may_begin_anywhere_and_tells_what_is_left() -> None:
    origin = Numbered(25, says="warning")
    async with pages(origin, offset=20) as found:
        rows = await found.next(2)
        assert [named(row).study for row in rows] == ["1.20", "1.21"]
        assert (found.left, found.ended) == (3, False)


async def test_no_more_is_asked_for_at_once_than_is_parsed_at_once() -> None:
    origin = Numbered(1)
    async with pages(origin, page=50_000) as found:
        await found.next(20_000)
    async with pages(origin, page=50_000, include="all") as found:
        await found.next(20_000)
    assert origin.asked == [(RESULTS, 0), (WHOLE_RESULTS, 0)]


async def test_an_origin_that_skips_only_so_many_is_not_asked_to_skip_more() -> None:
    origin = Numbered(5)
    async with pages(origin, offset=GOOGLE.offset_max + 1, offset_max=GOOGLE.offset_max) as found:
        with pytest.raises(InvalidQuery, match="skips at most 1000000 results"):
            await found.next(1)
    assert origin.asked == []


async def test_nothing_is_below_an_unknown_study_but_the_root_has_to_be_there() -> None:
    origin = Numbered(0, answer=web.Response(status=404))
    async with pages(origin, "/studies/1.2/series") as found:
        assert await found.next(1) == [] and found.ended
    async with pages(Numbered(0, answer=web.Response(status=404))) as found:
        with pytest.raises(NotFound):
            await found.next(1)


async def test_a_key_that_the_origin_refuses_is_named_without_its_value() -> None:
    async with pages(Numbered(0, answer=web.Response(status=400, text="P1 is wrong"))) as found:
        with pytest.raises(InvalidQuery, match="refuses to search by PatientID") as caught:
            await found.next(1)
    assert "P1" not in caught.value.message


async def test_a_key_that_is_asked_for_often_is_named_once() -> None:
    refusing = Numbered(0, answer=web.Response(status=400))
    async with pages(refusing, params=[("PatientName", "a"), ("Modality", "CT"), ("PatientName", "b")]) as found:
        with pytest.raises(InvalidQuery, match=r"refuses to search by PatientName, Modality$"):
            await found.next(1)


@pytest.mark.parametrize(
    "body", ["<html>", "{}", "[1]", "[{}]", '[{"0020000D":{"vr":"UI","Value":["../x"]}}]', '[{"0020000D":{}}]', "[null]"]
)
async def test_what_is_no_list_of_results_is_an_error_of_the_origin(body: str) -> None:
    async with pages(Numbered(0, answer=web.Response(text=body, content_type="application/json"))) as found:
        with pytest.raises(OriginFailed, match="something else than DICOM JSON"):
            await found.next(1)


@pytest.mark.parametrize("value", ["[" * 1010 + "]" * 1010, "{" * 50 + "}" * 50, r'"\ud800"', "9" * 5000 + ",1e9999"])
async def test_what_cannot_be_parsed_is_an_error_of_the_origin(value: str) -> None:
    for blanks in (0, scanning.INLINE, scanning.IN_ONE_GO):
        body = '[{"0020000D":{"vr":"UI","Value":["1.2"]},"00100020":{"vr":"XX","Value":[VALUE]}}]'.replace("VALUE", value)
        try:
            [found] = await parsed(body.encode() + b" " * blanks, "archive")
        except OriginFailed:
            continue
        assert found["00100020"] == {"vr": "XX"}  # what is no value is none


async def test_a_list_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "ROWS", 100)
    row = json.dumps({"0020000D": {"vr": "UI", "Value": ["1"]}}).encode()
    many = b"[" + b",".join([row] * 101) + b"]"
    with pytest.raises(OriginFailed, match="101 results"):
        await parsed(many + b" " * scanning.IN_ONE_GO, "archive")


async def test_a_count_of_a_thousand_digits_counts_for_nothing() -> None:
    answer = web.Response(text='[{"0020000D":{"vr":"UI","Value":["1"]}}]', headers={"X-Total-Count": "9" * 5000})
    async with pages(Numbered(0, answer=answer)) as found:
        assert len(await found.next(5)) == 1 and found.left is None


async def test_a_result_below_another_study_or_series_is_an_error_of_the_origin() -> None:
    row = {
        "0020000D": {"vr": "UI", "Value": ["1"]},
        "0020000E": {"vr": "UI", "Value": ["1.2"]},
        "00080018": {"vr": "UI", "Value": ["1.2.3"]},
    }
    answer = json.dumps([row])
    for path, right in (("/studies/1/instances", True), ("/studies/1/series/1.2/instances", True), ("/studies/2/instances", False)):
        async with pages(Numbered(0, answer=web.Response(text=answer)), path) as found:
            if right:
                assert len(await found.next(5)) == 1
            else:
                with pytest.raises(OriginFailed, match="another study"):
                    await found.next(5)
    async with pages(Numbered(0, answer=web.Response(text=answer)), "/studies/1/series/1.3/instances") as found:
        with pytest.raises(OriginFailed, match="another study"):
            await found.next(5)


async def test_a_transfer_syntax_is_an_attribute() -> None:
    row = {"0020000D": {"vr": "UI", "Value": ["1"]}, "00020010": 5}
    with pytest.raises(OriginFailed):
        await parsed(json.dumps([row]).encode(), "archive")


async def test_an_answer_without_end_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scanning, "PAGE_BYTES", 1000)
    async with pages(Numbered(100)) as found:
        with pytest.raises(OriginFailed, match="1000 bytes"):
            await found.next(100)


async def test_results_are_tidied_up() -> None:
    one = {
        "0020000d": {"Value": ["1.2 "], "vr": "UI"},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "", "Ideographic": "山田"}]},
        "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        "00081190": {"vr": "UR", "Value": ["http://origin/studies/1.2"]},
        "00080050": {"vr": "SH", "Value": []},
        "00420011": {"vr": "OB", "BulkDataURI": "http://origin/bulk/1"},
    }
    [row] = await parsed(json.dumps([one | {"0020000D": one["0020000d"]}]).encode(), "archive")
    assert row == {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        "00080050": {"vr": "SH"},
        "00100010": {"vr": "PN", "Value": [{"Ideographic": "山田"}]},
        "0020000D": {"vr": "UI", "Value": ["1.2"]},
    }
    assert list(row) == sorted(row)


async def test_bulk_data_of_an_instance_is_ours() -> None:
    uids = {key: {"vr": "UI", "Value": [uid]} for key, uid in (("0020000D", "1"), ("0020000E", "2"), ("00080018", "3"))}
    inside = {"54000100": {"vr": "SQ", "Value": [{"54001010": {"vr": "OW", "BulkDataURI": "http://origin/x"}}]}}
    syntax = {"00020010": {"vr": "UI", "Value": ["1.2.840.10008.1.2"]}}
    [row] = await parsed(json.dumps([uids | inside | syntax]).encode(), "archive")
    assert row["54000100"]["Value"][0]["54001010"]["BulkDataURI"] == "@/studies/1/series/2/instances/3/bulkdata/54000100/0/54001010"
    assert row["00083002"] == syntax["00020010"] and "00020010" not in row
    assert named(row) == Resource("1", "2", "3")


async def test_many_results_are_parsed_like_few() -> None:
    for count, least in ((1000, scanning.INLINE), (25_000, scanning.IN_ONE_GO)):
        few = [{"0020000D": {"vr": "UI", "Value": [f"1.{number}"]}} for number in range(count)]
        body = json.dumps(few).encode()
        assert len(body) > least
        assert await parsed(body, "archive") == few
        with pytest.raises(OriginFailed):
            await parsed(body[:-10], "archive")


async def test_work_goes_on_side_by_side_and_ends_with_the_first_failure() -> None:
    running, most, cancelled = 0, 0, []

    async def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        try:
            await asyncio.sleep(0)
            if number == -1:
                raise OriginFailed("down")
            if number < -1:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(number)
            raise
        finally:
            running -= 1
        return 2 * number

    assert await side_by_side(work, range(30)) == [2 * number for number in range(30)]
    assert most == scanning.SIDE_BY_SIDE
    with pytest.raises(OriginFailed):
        await side_by_side(work, [-2, -1, -3])
    await asyncio.sleep(0)
    assert sorted(cancelled) == [-3, -2]
