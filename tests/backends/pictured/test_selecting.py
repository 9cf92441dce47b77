"""In which form each instance of an answer goes out; all of it is settled before the first byte."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.backends.base import Retrieve, View
from gateway.backends.memory import MemoryBackend
from gateway.backends.pictured import selecting
from gateway.backends.pictured.listing import Listed
from gateway.backends.pictured.selecting import EITHER, EXPLICIT, STORED, Form, forms
from gateway.backends.pictured.sources import Sources
from gateway.dicomweb.media import EXPLICIT_LITTLE_ENDIAN, parse_accept
from gateway.errors import NotAcceptable, NotFound
from gateway.pixels import syntaxes
from tests.backends.made import dicom, named, store
from tests.backends.pictured.picturing import Asked, sources_of
from tests.pixels.whole import encapsulated, noise, parsed, picture, transcoded, written

RLE, JPEG_LS, BASELINE, VIDEO = syntaxes.RLE, syntaxes.JPEG_LS, syntaxes.JPEG_BASELINE, "1.2.840.10008.1.2.4.102"
DICOM = "application/dicom; transfer-syntax="
PARTS = 'multipart/related; type="application/dicom"; transfer-syntax='


@pytest.fixture
def inner() -> Asked:
    return Asked(MemoryBackend())


@pytest.fixture
async def sources(inner: Asked, tmp_path: Path) -> AsyncIterator[Sources]:
    made = sources_of(inner, tmp_path)
    yield made
    await made.aclose()


def native(sop: str, syntax: str = EXPLICIT_LITTLE_ENDIAN, bits: int = 16) -> bytes:
    return picture(noise(4, 4, bits=bits), syntax=syntax, sop=sop)


def report(sop: str) -> bytes:
    """Something without pixels."""
    data = dicom(sop=sop, Rows=None, Columns=None)
    return data[: data.index(b"\xe0\x7f\x10\0")]


async def chosen(sources: Sources, accept: str, *uids: str, default: str = EXPLICIT_LITTLE_ENDIAN) -> list[Form]:
    return await forms(sources, Retrieve(named(*(uids or ("1.1",))), View.INSTANCES, parse_accept([accept])), default)


def told(found: list[Form]) -> list[tuple[str | None, object, str | None]]:
    return [(form.resource.instance, form.accept, form.target) for form in found]


async def test_each_instance_is_chosen_for_on_its_own(inner: Asked, sources: Sources) -> None:
    await store(inner, native("1"), native("2", syntaxes.IMPLICIT), transcoded(native("3"), RLE), report("4"))
    assert told(await chosen(sources, PARTS + EXPLICIT_LITTLE_ENDIAN)) == [
        ("1", STORED, None),
        ("2", EXPLICIT, EXPLICIT_LITTLE_ENDIAN),
        ("3", None, EXPLICIT_LITTLE_ENDIAN),
        ("4", STORED, None),
    ]
    assert not inner.reads, "a search tells enough"
    assert told(await chosen(sources, PARTS + RLE)) == [("1", None, RLE), ("2", None, RLE), ("3", STORED, None), ("4", EITHER, None)]


async def test_what_is_wanted_as_stored_is_given_by_the_store(inner: Asked, sources: Sources) -> None:
    await store(inner, native("1"), encapsulated([b"video"], VIDEO, sop="2"))
    assert told(await chosen(sources, PARTS + "*")) == [("1", STORED, None), ("2", STORED, None)]
    assert told(await chosen(sources, 'multipart/related; type="application/dicom"', default="*"))[1][1] == STORED


async def test_the_callers_order_decides(inner: Asked, sources: Sources) -> None:
    await store(inner, native("1"))
    found = await chosen(sources, f"{DICOM}{BASELINE}, {DICOM}{JPEG_LS};q=0.9, {DICOM}{RLE};q=0.8", "1.1", "1.1.1", "1")
    assert found == [Form(named("1.1", "1.1.1", "1"), None, JPEG_LS, multipart=False)]  # 16 bits are too many for the first
    (one,) = await chosen(sources, PARTS + JPEG_LS, "1.1", "1.1.1", "1")
    assert one.multipart


async def test_one_that_cannot_be_had_refuses_all_with_its_transfer_syntax(inner: Asked, sources: Sources) -> None:
    await store(inner, native("1", bits=8), encapsulated([b"video"], VIDEO, sop="2"))
    for accept in (PARTS + EXPLICIT_LITTLE_ENDIAN, PARTS + RLE):
        with pytest.raises(NotAcceptable, match=r"1\.2\.840\.10008\.1\.2\.4\.102.*; ask for multipart/related"):
            await chosen(sources, accept)


async def test_the_reason_is_told_where_it_is_not_the_transfer_syntax(inner: Asked, sources: Sources) -> None:
    await store(inner, native("1", bits=8), native("3"))
    for uids in (("1.1",), ("1.1", "1.1.1", "3")):
        with pytest.raises(NotAcceptable, match="16 bits in 16; ask for multipart/related"):
            await chosen(sources, PARTS + BASELINE, *uids)


async def test_nothing_is_made_up_for_what_has_no_pixels(inner: Asked, sources: Sources) -> None:
    await store(inner, report("1"))
    with pytest.raises(NotAcceptable):
        await chosen(sources, DICOM + RLE, "1.1", "1.1.1", "1")


async def test_what_has_no_pixels_only_goes_along(inner: Asked, sources: Sources) -> None:
    await store(inner, report("1"), report("2"))
    with pytest.raises(NotAcceptable):
        await chosen(sources, PARTS + RLE)
    await store(inner, native("3"))
    assert told(await chosen(sources, PARTS + RLE)) == [("1", EITHER, None), ("2", EITHER, None), ("3", None, RLE)]
    with pytest.raises(NotAcceptable):
        await chosen(sources, DICOM + RLE)


async def test_what_a_search_says_nothing_of_is_not_taken_for_a_report(
    inner: Asked, sources: Sources, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store(inner, native("1"))

    async def listed(*_: object, **__: object) -> list[Listed]:
        return [Listed("1.1", "1.1.1", sop, "", "", 1, 1, 1, rows, rows, 8, uid) for sop, rows, uid in (("1", 4, RLE), ("2", 0, VIDEO))]

    monkeypatch.setattr(sources, "listed", listed)
    with pytest.raises(NotAcceptable, match=VIDEO):
        await chosen(sources, PARTS + EXPLICIT_LITTLE_ENDIAN)


async def test_a_data_set_without_pixels_may_say_that_it_is_compressed(inner: Asked, sources: Sources) -> None:
    ds = parsed(encapsulated([b"ab"], RLE, sop="1", Rows=None, Columns=None))
    data = written(ds, RLE)
    await store(inner, data[: data.index(b"\xe0\x7f\x10\0")])
    for uids in (("1.1",), ("1.1", "1.1.1", "1")):
        (one,) = await chosen(sources, "application/dicom, " + PARTS + EXPLICIT_LITTLE_ENDIAN, *uids)
        assert (one.accept, one.target) == (None, EXPLICIT_LITTLE_ENDIAN)


async def test_more_than_an_instance_can_hold_is_refused(inner: Asked, sources: Sources) -> None:
    await store(inner, encapsulated([b"ab"], JPEG_LS, sop="1", Rows=65535, Columns=65535))
    for uids in (("1.1",), ("1.1", "1.1.1", "1")):
        with pytest.raises(NotAcceptable, match=rf"stored as {JPEG_LS}: .* do not fit into one instance"):
            await chosen(sources, f"{PARTS}{EXPLICIT_LITTLE_ENDIAN}", *uids)


async def test_where_a_search_is_silent_headers_tell(inner: Asked, sources: Sources, monkeypatch: pytest.MonkeyPatch) -> None:
    await store(inner, *(transcoded(native(str(number)), RLE) for number in range(1, 20)))
    silent = [Listed("1.1", "1.1.1", str(number), "", "CT", 1, number, 1, 4, 4, 16, None) for number in range(1, 20)]

    async def listed(*_: object, **__: object) -> list[Listed]:
        return silent

    monkeypatch.setattr(sources, "listed", listed)
    found = await chosen(sources, PARTS + EXPLICIT_LITTLE_ENDIAN)
    assert told(found) == [(str(number), None, EXPLICIT_LITTLE_ENDIAN) for number in range(1, 20)]
    assert len(found) > 2 * selecting.TOGETHER


async def test_there_must_be_instances(sources: Sources) -> None:
    with pytest.raises(NotFound):
        await chosen(sources, PARTS + RLE)
    with pytest.raises(NotFound):
        await chosen(sources, PARTS + RLE, "1.1", "1.1.1", "1")
