"""Buckets that speak S3 and Google's: read, written, and what is told when that cannot be."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path

import pytest

from gateway.errors import BadRequest, Forbidden, GatewayError, NotFound, OriginFailed
from gateway.healthcare.operations import Counter
from gateway.transfers import buckets
from gateway.transfers.buckets import PART, Bucket, Endpoints
from gateway.transfers.exporting import exporting
from gateway.transfers.uris import parse_folder, parse_uri
from tests.backends.made import dicom, store, study
from tests.backends.registered import S
from tests.running import free_port
from tests.transfers.given import import_of, operated, pattern, places
from tests.transfers.storage import KEYS, S3, TOKEN, Gcs, gcs

NUMBERS = count()


def bucket(s3: S3, name: str) -> Bucket:
    return Endpoints(s3=s3.root).bucket(parse_uri(f"s3://{name}", "uri"))


@pytest.fixture
def made(s3: S3) -> str:
    """An empty bucket of the test's own."""
    name = f"bucket-{next(NUMBERS)}"
    s3.make(name)
    return name


def listed(place: Bucket, uri: str, after: str = "") -> list[str]:
    return [one.name for one in place.listing(pattern(uri), after)]


def test_names_come_in_their_order_from_any_one_on(s3: S3, made: str) -> None:
    names = ["a/b-c.dcm", "a/b.dcm", "a/b/c.dcm", "a/x%20y.dcm", "a/ü.dcm", "b.dcm"]
    place = bucket(s3, made)
    for name in names:
        written(place, name, name.encode())
    assert listed(place, f"s3://{made}/**") == names
    assert listed(place, f"s3://{made}/a/*.dcm") == [name for name in names if name.count("/") == 1]
    assert listed(place, f"s3://{made}/**.dcm", "a/b.dcm") == names[2:]
    assert listed(place, f"s3://{made}/a/b.dcm") == ["a/b.dcm"] and listed(place, f"s3://{made}/a/b.dcm", "a/b.dcm") == []
    assert b"".join(place.reading("a/x%20y.dcm")) == b"a/x%20y.dcm"


def written(place: Bucket, name: str, data: bytes) -> None:
    upload = place.writing(name)
    for start in range(0, len(data), 1 << 20):
        upload.write(data[start : start + (1 << 20)])
    upload.done()


def test_what_is_large_goes_out_in_parts_and_comes_back_in_pieces(s3: S3, made: str) -> None:
    data = bytes(range(256)) * (11 << 12)
    assert len(data) > 2 * PART
    place = bucket(s3, made)
    written(place, "large", data)
    pieces = list(place.reading("large"))
    assert b"".join(pieces) == data == s3.get(made, "large") and len(pieces) > 5


def test_what_is_abandoned_is_taken_back(s3: S3, made: str) -> None:
    upload = bucket(s3, made).writing("x")
    for _ in range(12):
        upload.write(bytes(1 << 20))
    assert s3.uploads(made) == 1
    upload.abandon()
    assert s3.uploads(made) == 0 and listed(bucket(s3, made), f"s3://{made}/**") == []


def test_a_name_that_no_path_can_be_is_told(s3: S3, made: str) -> None:
    s3.put(made, "a//b.dcm", b"")
    with pytest.raises(BadRequest, match="empty part"):
        listed(bucket(s3, made), f"s3://{made}/**")


async def test_a_store_goes_out_and_comes_back(s3: S3, made: str, tmp_path: Path) -> None:
    where = places(buckets=(f"s3://{made}/out",), endpoints=Endpoints(s3=s3.root))
    large = dicom("9.9", "9.9.1", "9.9.1.1", PixelData=bytes(6 << 20))
    async with operated(tmp_path / "a", where) as there:
        await store(there.backend, *study("1.2"), large)
        done = await there.run(exporting(S, parse_folder(f"s3://{made}/out", "prefix"), None, None, ""))
        assert (done.error, done.counter) == (None, Counter(success=5))
        assert s3.get(made, "out/9.9/9.9.1/9.9.1.1.dcm") == large
        refused = await there.run(exporting(S, parse_folder(f"s3://{made}/outside", "prefix"), None, None, ""))
        assert refused.error is not None and "healthcare.buckets" in refused.error["message"]
    s3.put(made, "out/folder/", b"")  # as some tools mark one
    s3.put(made, "out/zz.dcm", b"no instance" * 50)
    async with operated(tmp_path / "b", where) as there:
        done = await there.run(import_of(f"s3://{made}/out/**"))
        assert done.counter == Counter(success=5, failure=1) and await there.instances() == 5
        assert done.error is not None and done.error["message"].startswith("1 file failed: out/zz.dcm: ")


# -- what goes wrong


@pytest.mark.parametrize("write", [False, True])
def test_an_unknown_bucket_is_named(s3: S3, write: bool) -> None:
    with pytest.raises(NotFound, match="there is no bucket s3://nowhere-at-all"):
        written(bucket(s3, "nowhere-at-all"), "x", b"x") if write else listed(bucket(s3, "nowhere-at-all"), "s3://nowhere-at-all/**")


def test_without_credentials_it_is_said_where_they_come_from(monkeypatch: pytest.MonkeyPatch, s3: S3) -> None:
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setattr(buckets, "_RETRY", {"max_retries": 0})
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{free_port()}")  # no instance, and no network
    with pytest.raises((Forbidden, OriginFailed)) as refused:
        listed(bucket(s3, "bucket"), "s3://bucket/**")
    assert refused.value.message.startswith("no credentials for s3://bucket were found: set AWS_ACCESS_KEY_ID")


def test_a_bucket_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, s3: S3) -> None:
    monkeypatch.setattr(buckets, "_RETRY", {"max_retries": 0})
    place = bucket(S3(f"http://127.0.0.1:{free_port()}"), "bucket")
    with pytest.raises(OriginFailed) as failed:
        listed(place, "s3://bucket/**")
    assert "s3://bucket cannot be reached" in failed.value.message and "127.0.0.1" not in failed.value.message


# -- Google's


@pytest.fixture
async def google(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Gcs]:
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", TOKEN)
    async with gcs() as found:
        yield found


async def test_google_s_are_read_and_written(google: Gcs, tmp_path: Path) -> None:
    where = places(buckets=("gs://bucket",), endpoints=Endpoints(gcs=google.root))
    large = dicom("9.9", "9.9.1", "9.9.1.1", PixelData=bytes(11 << 20))
    async with operated(tmp_path / "a", where) as there:
        await store(there.backend, *study("1.2"), large)
        done = await there.run(exporting(S, parse_folder("gs://bucket/out", "prefix"), None, None, ""))
        assert (done.error, done.counter) == (None, Counter(success=5))
    assert google.objects["out/9.9/9.9.1/9.9.1.1.dcm"] == large and not google.parts
    google.objects["list"] = b"/studies/1.2\n"
    async with operated(tmp_path / "b", where) as there:
        done = await there.run(import_of("gs://bucket/out/**.dcm"))
        assert (done.error, done.counter) == (None, Counter(success=5))
        chosen = parse_uri("gs://bucket/list", "filter")
        done = await there.run(exporting(S, parse_folder("gs://bucket/some", "prefix"), None, chosen, ""))
        assert done.counter == Counter(success=4) and sum(name.startswith("some/") for name in google.objects) == 4


@pytest.mark.parametrize(("name", "token", "kind"), [("bucket", "wrong", Forbidden), ("other", TOKEN, NotFound)])
async def test_google_s_refusals_are_told(
    google: Gcs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, token: str, kind: type[GatewayError]
) -> None:
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", token)
    async with operated(tmp_path, places(buckets=("gs://",), endpoints=Endpoints(gcs=google.root))) as there:
        done = await there.run(import_of(f"gs://{name}/**"))
        assert done.error is not None and f"gs://{name}" in done.error["message"] and token not in json.dumps(done.error)
        assert done.error["code"] == (7 if kind is Forbidden else 5)
        assert ("roles/storage.objectViewer" in done.error["message"]) == (kind is Forbidden)


# -- the library


def test_a_process_that_used_a_bucket_ends_in_order(s3: S3, made: str) -> None:
    """obstore as it is awaited ends the process by SIGABRT in half of all runs; in threads never."""
    code = f"""
import asyncio
from gateway.transfers.buckets import Endpoints
from gateway.transfers.places import Hands
from gateway.transfers.uris import parse_pattern, parse_uri

async def main():
    hands = Hands(Endpoints(s3={s3.root!r}).bucket(parse_uri("s3://{made}", "uri")))
    async def pieces():
        yield bytes(6 << 20)
    await hands.write("x", pieces())
    async for some in hands.listing(parse_pattern("s3://{made}/**", "uri")):
        print(some)
    async for piece in hands.reading("x"):
        break
    hands.close()

asyncio.run(main())
"""
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "") and "6291456" in done.stdout


def test_a_gateway_that_uses_no_bucket_does_not_load_it() -> None:
    code = "import gateway.app, sys; print('obstore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
