"""Where bulk data wait: how much, what is found under which label, and that nothing stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.web.bulkparts import UNIT, BulkArea, BulkPart, Labels, Spool, in_thread

INSTANCE = "studies/1/series/2/instances/3"


def labels(*locations: str) -> Labels:
    found = Labels()
    for number, location in enumerate(locations, 1):
        found.add(location, BulkPart(number, "image/jpeg", None, 0))
    return found


def numbers(found: Labels, uri: str, within: str | None = None) -> list[int]:
    return [part.number for part in found.find(uri, within)]


@pytest.mark.parametrize("size", [0, 1, UNIT - 1, UNIT, 3 * UNIT + 5])
async def test_what_is_written_is_read(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    area = BulkArea(tmp_path / "bulk", 1 << 30)
    spool = Spool(area)
    for start in range(0, size, 100_000):
        assert await spool.write(data[start : start + 100_000])
    await spool.settle()
    assert spool.in_memory == (size < UNIT)
    assert await in_thread(lambda: spool.read(0, size)) == data
    assert await in_thread(lambda: spool.read(size // 2, 10)) == data[size // 2 : size // 2 + 10]
    assert not spool.in_memory or not (tmp_path / "bulk").exists()
    assert list(tmp_path.glob("bulk/*")) == []
    await spool.aclose()
    await spool.aclose()
    assert area.take(1 << 30)


async def test_all_requests_share_one_bound(tmp_path: Path) -> None:
    area = BulkArea(tmp_path, 100)
    one, other = Spool(area), Spool(area)
    assert await one.write(bytes(60)) and not await other.write(bytes(41)) and await other.write(bytes(40))
    await one.aclose()
    assert await other.write(bytes(60))
    await other.aclose()


async def test_a_file_that_is_short_is_no_answer(tmp_path: Path) -> None:
    spool = Spool(BulkArea(tmp_path))
    await spool.write(bytes(UNIT))
    await spool.settle()
    with pytest.raises(OSError, match="shorter"):
        await in_thread(lambda: spool.read(UNIT - 1, 2))
    await spool.aclose()


async def test_a_write_that_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "no room")

    monkeypatch.setattr(os, "pwrite", full)
    spool = Spool(BulkArea(tmp_path))
    with pytest.raises(OSError, match="no room"):
        await spool.write(bytes(UNIT))
    await spool.aclose()


def test_a_label_matches_literally_first() -> None:
    found = labels("jpeg-image", "a/jpeg-image", "jpeg-image", "JPEG-IMAGE")
    assert numbers(found, "jpeg-image") == [1, 3]
    assert numbers(found, "a/jpeg-image") == [2] and numbers(found, "JPEG-IMAGE") == [4]
    assert numbers(found, "Jpeg-image") == numbers(found, "") == []


@pytest.mark.parametrize(
    ("location", "uri"),
    [
        (f"{INSTANCE}/bulkdata/7FE00010", f"http://pacs:8080/dcm4chee-arc/aets/X/rs/{INSTANCE}/bulkdata/7FE00010"),
        (f"http://pacs:8080/dcm4chee-arc/aets/X/rs/{INSTANCE}/bulkdata/7FE00010", f"{INSTANCE}/bulkdata/7FE00010"),
        (f"/{INSTANCE}/7FE00010", f"./{INSTANCE}/7FE00010"),
        (f"https://one/{INSTANCE}?offset=5", f"http://other/base/{INSTANCE}?offset=5"),
    ],
)
def test_the_longer_of_two_urls_may_end_in_the_shorter(location: str, uri: str) -> None:
    assert numbers(labels(location), uri, "3") == numbers(labels(location), uri) == [1]


@pytest.mark.parametrize(
    ("locations", "uri", "within"),
    [
        (["7FE00010"], f"http://a/{INSTANCE}/bulkdata/7FE00010", "3"),
        ([f"{INSTANCE}/x"], f"http://a/{INSTANCE}/y", None),
        ([f"a/{INSTANCE}/x", f"b/{INSTANCE}/x"], f"{INSTANCE}/x", None),
        ([f"http://a/b/{INSTANCE}/x"], f"http://a/c/{INSTANCE}/x", None),
        ([f"{INSTANCE}?offset=5"], f"http://a/{INSTANCE}?offset=6", None),
        (["x" + INSTANCE], f"http://a/{INSTANCE}", None),
        (["image"], "my-image", None),
    ],
)
def test_nothing_is_guessed(locations: list[str], uri: str, within: str | None) -> None:
    assert numbers(labels(*locations), uri, within) == []


def test_long_labels_are_compared_from_their_end_and_in_time() -> None:
    deep = "/".join("a" * 8000)
    assert numbers(labels(deep), deep) == [1]
    assert numbers(labels(deep), "b/" + deep) == []
    many = labels(*(f"{number}/" + "x/" * 30 for number in range(5000)))
    assert [numbers(many, f"y/{number}/" + "x/" * 30) for number in range(5000)] == [[]] * 5000
