"""What is kept for all is given to each as its own request wants it: its URLs, its range, its validators, its connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.backends.made import dicom
from tests.flows.fronts import FRAME, INSTANCE, JSON, STORED, XML, Front, before_google, table, until
from tests.origins.google import Google

PIXELS = bytes(range(256)) * 32
BULK = dicom(Rows=64, Columns=64, PixelData=PIXELS)

CACHED = {
    "search": ("/studies?PatientID=P1", JSON),
    "metadata": (f"{INSTANCE}/metadata", JSON),
    "xml": (f"{INSTANCE}/metadata", XML),
    "frames": (f"{INSTANCE}/frames/1", FRAME),
    "bulk data": (f"{INSTANCE}/bulkdata/7FE00010", "application/octet-stream"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Front, Google]]:
    sections = table("server", trusted_proxies=["127.0.0.1"])
    async with before_google(tmp_path_factory.mktemp("cached"), sections=sections) as (front, fake):
        assert (await front.store(BULK)).status == 200
        yield front, fake


pytestmark = pytest.mark.asyncio(loop_scope="module")


def _said(host: str, how: str) -> dict[str, str]:
    """Headers by which a client, or the proxy before it, says what it calls the gateway."""
    return {
        "Host": {"Host": host},
        "Forwarded": {"Forwarded": f"host={host};proto=https"},
        "X-Forwarded": {"X_Forwarded_Host": host, "X_Forwarded_Proto": "https", "X_Forwarded_Prefix": "/pre"},
    }[how]


@pytest.mark.parametrize("question", ["search", "metadata", "xml"])
async def test_urls_are_of_whoever_asks_and_of_nobody_who_asked_before(served: tuple[Front, Google], question: str) -> None:
    front, fake = served
    hosts = {f"{how.lower()}.example": how for how in ("Host", "Forwarded", "X-Forwarded")}
    await front.get(*CACHED[question])
    calls = len(fake.calls)
    for _ in range(3):
        asked = {host: front.get(*CACHED[question], **_said(host, how)) for host, how in hosts.items()}
        for host, answer in zip(asked, await asyncio.gather(*asked.values()), strict=True):
            assert (answer.status, answer.headers["X-Cache"]) == (200, "hit")
            scheme, prefix = ("http", "") if hosts[host] == "Host" else ("https", "/pre" if hosts[host] == "X-Forwarded" else "")
            assert f"{scheme}://{host}{prefix}/dicom-web/studies/1.1".encode() in answer.body
            others = [*(other for other in hosts if f"//{other}" != f"//{host}"), fake.url.partition("/v1")[0], "127.0.0.1"]
            assert not [other for other in others if f"//{other}".encode() in answer.body]
    plain = await front.get(*CACHED[question])
    assert f"{front.gateway.url}/studies/1.1".encode() in plain.body and b"example" not in plain.body
    assert len(fake.calls) == calls


@pytest.mark.parametrize("question", ["search", "metadata"])
async def test_a_validator_is_good_for_the_host_that_it_was_given_to(served: tuple[Front, Google], question: str) -> None:
    front, _ = served
    one = await front.get(*CACHED[question], Host="one.example")
    two = await front.get(*CACHED[question], Host="two.example")
    assert one.headers["ETag"] != two.headers["ETag"]
    assert (await front.get(*CACHED[question], Host="one.example", If_None_Match=one.headers["ETag"])).status == 304
    assert (await front.get(*CACHED[question], Host="two.example", If_None_Match=one.headers["ETag"])).status == 200


@pytest.mark.parametrize("question", CACHED)
async def test_head_says_what_get_would(served: tuple[Front, Google], question: str) -> None:
    front, fake = served
    got = await front.get(*CACHED[question])
    calls = len(fake.calls)
    for _ in range(2):
        head = await front.ask("HEAD", *CACHED[question])
        assert (head.status, head.body) == (200, b"")
        for name in ("Content-Type", "ETag", "Content-Length", "Cache-Control"):
            if not (name == "Content-Type" and question == "xml"):  # its boundary is new each time
                assert head.headers.get(name) == got.headers.get(name), name
        assert head.headers["X-Cache"] == "hit" and int(head.headers["Age"]) >= 0
    assert len(fake.calls) == calls
    assert (await front.get(*CACHED[question])).status == 200  # the connection is in order


@pytest.mark.parametrize("question", CACHED)
async def test_an_answer_that_is_known_is_not_sent_again(served: tuple[Front, Google], question: str) -> None:
    front, fake = served
    got = await front.get(*CACHED[question])
    calls = len(fake.calls)
    for given in (got.headers["ETag"], f'"x", {got.headers["ETag"]}', "*"):
        again = await front.get(*CACHED[question], If_None_Match=given)
        assert (again.status, again.body) == (304, b"")
        assert again.headers["ETag"] == got.headers["ETag"] and again.headers["X-Cache"] == "hit"
    assert (await front.get(*CACHED[question], If_None_Match='"other"')).status == 200
    assert len(fake.calls) == calls


@pytest.mark.parametrize("question", ["frames", "bulk data"])
async def test_ranges_of_what_is_kept(served: tuple[Front, Google], question: str) -> None:
    front, fake = served
    got = await front.get(*CACHED[question])
    assert got.body == PIXELS
    calls = len(fake.calls)
    for asked, start, stop in (("0-0", 0, 1), ("100-199", 100, 200), ("8000-", 8000, 8192), ("-10", 8182, 8192), ("0-99999", 0, 8192)):
        part = await front.get(*CACHED[question], Range=f"bytes={asked}")
        assert (part.status, part.body) == (206, PIXELS[start:stop])
        assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/8192"
        assert part.headers["X-Cache"] == "hit"
    beyond = await front.get(*CACHED[question], Range="bytes=8192-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, "bytes */8192")
    kept = await front.get(*CACHED[question], Range="bytes=0-9", If_Range=got.headers["ETag"])
    assert (kept.status, kept.body) == (206, PIXELS[:10])
    changed = await front.get(*CACHED[question], Range="bytes=0-9", If_Range='"other"')
    assert (changed.status, changed.body) == (200, PIXELS)
    assert len(fake.calls) == calls


async def test_who_wants_it_fresh_gets_it_fresh_and_the_next_one_too(served: tuple[Front, Google]) -> None:
    front, fake = served
    for question in CACHED.values():
        await front.get(*question)
        for header in ({"Cache_Control": "no-cache"}, {"Pragma": "no-cache"}):
            fresh = await front.get(*question, **header)
            assert fresh.headers["X-Cache"] == "miss"
        assert (await front.get(*question)).headers["X-Cache"] == "hit"
    count = len(fake.calls)
    await front.get(*CACHED["search"], Cache_Control="no-cache")
    assert len(fake.calls) > count


async def test_what_is_kept_outlives_a_restart_and_no_write(tmp_path: Path) -> None:
    async with before_google(tmp_path) as (front, fake):
        assert (await front.store(BULK)).status == 200
        frame = await front.get(*CACHED["frames"])
        await until(lambda: _kept_on_disk(front))
        await asyncio.to_thread(front.gateway.stop)
        await asyncio.to_thread(front.gateway.start)
        calls = len(fake.calls)
        again = await front.get(*CACHED["frames"])
        assert (again.headers["X-Cache"], again.body, again.headers["ETag"]) == ("hit", PIXELS, frame.headers["ETag"])
        assert len(fake.calls) == calls
        assert (await front.ask("DELETE", "/studies/1.1")).status in (200, 204)
        await asyncio.to_thread(front.gateway.stop)
        await asyncio.to_thread(front.gateway.start)
        assert (await front.get(*CACHED["frames"])).status == 404
        assert (await front.get(INSTANCE, STORED)).status == 404


async def _kept_on_disk(front: Front) -> bool:
    return await front.metric("gateway_cache_disk_bytes", 'kind="frames"') > 0
