"""The door to the model: what is asked of the caller, and the way back from a URI to an element."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

import orjson
import pytest

from gateway.dicom.metadata import MODEL, Place, bulk_paths, in_model, instance_metadata, instance_model, places
from tests import samples
from tests.dicom.archive import inflate, readable, walk_of
from tests.dicom.handmade import big, el, file, item, open_item, open_sq, plain, sq, walked

WAVE = el(0x54001010, "OW", b"abcdefgh")
NESTED = file(
    el(0x00080060, "CS", b"ECG "),
    sq(0x00081115, item(), item(el(0x00420011, "OB", b"first!"))),
    open_sq(0x54000100, open_item(open_sq(0x00081115, item(WAVE)), WAVE), item(el(0x54001010, "OW", b"second"))),
    el(0x7FE00010, "OW", b"pixels"),
)


def test_bytes_of_json_with_the_prefix_in_front_of_each_uri() -> None:
    walk = walked(NESTED)
    prefix = "@/studies/1/series/2/instances/3"
    text = instance_metadata(NESTED, walk.events, syntax=walk.syntax, bulk_prefix=prefix)
    assert text.startswith(b'{"00080060":{"vr":"CS","Value":["ECG"]}')
    assert b'"7FE00010":{"vr":"OW","BulkDataURI":"@/studies/1/series/2/instances/3/bulkdata/7FE00010"}' in text
    assert instance_model(NESTED, walk.events, syntax=walk.syntax, bulk_prefix=prefix).to_json() == text


@pytest.mark.parametrize(
    ("syntax", "told"), [("1.2.840.10008.1.2.4.102", True), ("1.2.840.10008.1.2.4.107", True), ("1.2.840.10008.1.2.4.50", False)]
)
def test_only_a_video_says_in_which_transfer_syntax_it_is(syntax: str, told: bool) -> None:
    walk = walked(NESTED)
    found = orjson.loads(instance_metadata(NESTED, walk.events, syntax=syntax, bulk_prefix="@"))
    assert found.get("00083002") == ({"vr": "UI", "Value": [syntax]} if told else None)
    assert list(found) == sorted(found)


def test_what_the_instance_itself_says_of_its_transfer_syntax_stays() -> None:
    data = file(el(0x00080060, "CS", b"ES"), el(0x00083002, "UI", b"1.2\0"))
    found = orjson.loads(instance_metadata(data, walked(data).events, syntax="1.2.840.10008.1.2.4.102", bulk_prefix="@"))
    assert found["00083002"]["Value"] == ["1.2"]


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_buffer_will_do(kind: Any) -> None:
    walk = walked(NESTED)
    arguments: dict[str, Any] = {"syntax": walk.syntax, "bulk_prefix": "@"}
    assert instance_metadata(kind(NESTED), walk.events, **arguments) == instance_metadata(NESTED, walk.events, **arguments)


def test_values_that_are_not_asked_for_may_be_holes() -> None:
    """Over all files: the model is the same when only what `in_model` names, and the first bytes of sequences, is there."""
    for path in readable():
        data = path.read_bytes()
        walk = walk_of(data)
        assert walk is not None
        data = inflate(data, walk)
        with mmap.mmap(-1, len(data)) as sparse:
            for event in walk.events:
                _, vr, offset, length, _ = event
                if vr == "SQ":
                    sparse[offset : offset + 4] = data[offset : offset + 4]
                elif vr and in_model(event):
                    sparse[offset : offset + length] = data[offset : offset + length]
            found = instance_metadata(sparse, walk.events, syntax=walk.syntax, bulk_prefix="@")
        assert found == instance_metadata(data, walk.events, syntax=walk.syntax, bulk_prefix="@"), path.name


def document(data: bytes) -> bytes:
    walk = walked(data)
    return instance_metadata(inflate(data, walk), walk.events, syntax=walk.syntax, bulk_prefix="@")


DOCUMENTS = "1340e1c1"
"""A digest of what is written of all samples. When it changes on purpose, `MODEL` is raised in the same breath."""


def test_the_same_instance_gives_the_same_bytes_as_long_as_the_model_has_one_number() -> None:
    made = sha256(b"".join(document(make()) for make in samples.ALL.values())).hexdigest()[:8]
    assert (MODEL, made) == ("2", DOCUMENTS)


# -- the way back from a URI


def found(data: bytes, paths: Iterable[str]) -> list[Place]:
    walk = walked(data)
    return places(data, walk.events, paths, syntax=walk.syntax)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("7FE00010", b"pixels"),
        ("7fe00010", b"pixels"),
        ("00081115/1/00420011", b"first!"),
        ("54000100/0/54001010", b"abcdefgh"),
        ("54000100/0/00081115/0/54001010", b"abcdefgh"),
        ("54000100/1/54001010", b"second"),
        ("00080060", b"ECG "),
    ],
)
def test_elements_are_found_by_their_path(path: str, value: bytes) -> None:
    ((at, (_, _, offset, length, _), little),) = found(NESTED, [path])
    assert (at, NESTED[offset : offset + length], little) == (path.upper(), value, True)


NOWHERE = [
    "",
    "/",
    "7FE00011",
    "7FE0001",
    "7FE000100",
    "PixelData",
    "+7FE0001",
    "７FE00010",
    "00081115/0/00420011",
    "00081115/2/00420011",
    "00081115/1",
    "00081115/1/",
    "00081115/-1/00420011",
    "00081115/1/54001010",
    "00081115/٠/00420011",
    "00081115/01/00420011",
    "00081115/99999999999999999999/00420011",
    "00420011",
    "7FE00010/0/00420011",
    "54000100/0/54001010/0/54001010",
    "FFFEE000",
    "00081115/0/FFFEE000",
    "../../etc/passwd",
]


@pytest.mark.parametrize("path", NOWHERE)
def test_other_paths_lead_nowhere(path: str) -> None:
    assert found(NESTED, [path]) == []


def test_many_are_found_at_once_in_the_order_of_the_data_set() -> None:
    paths = ["7FE00010", *NOWHERE, "54000100/1/54001010", "00081115/1/00420011", "54000100/0/00081115/0/54001010"]
    assert [place.path for place in found(NESTED, paths)] == [
        "00081115/1/00420011",
        "54000100/0/00081115/0/54001010",
        "54000100/1/54001010",
        "7FE00010",
    ]


def test_of_two_elements_with_one_tag_the_first_is_meant() -> None:
    once = el(0x00420011, "OB", b"first!")
    data = file(sq(0x54000100, item(once)), sq(0x54000100, item(el(0x00420011, "OB", b"second")), item(once)), el(0x7FE00010, "OW", b"1."))
    assert bulk_paths(document(data)) == ["54000100/0/00420011", "7FE00010"]
    (first, last) = found(data, ["54000100/0/00420011", "54000100/1/00420011", "7FE00010"])
    assert (first.path, data[first.event[2] :][:6], last.path) == ("54000100/0/00420011", b"first!", "7FE00010")


def test_the_byte_order_is_that_of_the_items() -> None:
    """A sequence of VR UN is little endian in any data set (PS3.5 6.2.2)."""
    unknown = el(0x00091010, "UN", item(plain(0x54001010, b"abcd")), little=False, length=0xFFFFFFFF)
    ordinary = sq(0x54000100, item(el(0x54001010, "OW", b"badc", little=False), little=False), little=False)
    data = big(unknown, plain(0xFFFEE0DD, b""), ordinary, el(0x7FE00010, "OW", b"pixels", little=False))
    expected = {"00091010/0/54001010": True, "54000100/0/54001010": False, "7FE00010": False}
    assert {place.path: place.little for place in found(data, bulk_paths(document(data)))} == expected


def test_text_that_looks_like_a_uri_is_none() -> None:
    text = b'{"BulkDataURI":"@/bulkdata/00104000"} \\"BulkDataURI\\":\\"@/bulkdata/00104000'
    assert bulk_paths(document(file(el(0x00104000, "LT", text + b" " * (len(text) % 2)), el(0x7FE00010, "OW", b"pixels")))) == ["7FE00010"]


def uris(attributes: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for key, attribute in attributes.items():
        if "BulkDataURI" in attribute:
            yield key, attribute["BulkDataURI"]
        for value in attribute.get("Value", ()) if attribute["vr"] == "SQ" else ():
            yield from uris(value)


def test_every_uri_of_every_file_is_found_again() -> None:
    count = 0
    for path in readable():
        data = path.read_bytes()
        walk = walk_of(data)
        assert walk is not None
        data = inflate(data, walk)
        text = instance_metadata(data, walk.events, syntax=walk.syntax, bulk_prefix="@")
        named = {uri.removeprefix("@/bulkdata/"): key for key, uri in uris(orjson.loads(text))}
        assert bulk_paths(text) == list(named), path.name
        led = {place.path: f"{place.event[0]:08X}" for place in places(data, walk.events, named, syntax=walk.syntax)}
        assert led == named, path.name
        count += len(named)
    assert count > 300
