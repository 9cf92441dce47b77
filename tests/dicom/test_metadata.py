"""The door to the model: what is asked of the caller, and the way back from a URI to an element."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from gateway.dicom.metadata import in_model, instance_metadata, instance_model, locate
from gateway.errors import NotFound
from tests.dicom.archive import inflate, readable, walk_of
from tests.dicom.handmade import el, file, item, open_item, open_sq, sq, walked

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
    _, _, offset, length, _ = locate(walked(NESTED).events, path)
    assert NESTED[offset : offset + length] == value


@pytest.mark.parametrize(
    "path",
    [
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
        "00081115/99999999999999999999/00420011",
        "00420011",
        "7FE00010/0/00420011",
        "54000100/0/54001010/0/54001010",
        "FFFEE000",
        "00081115/0/FFFEE000",
        "../../etc/passwd",
    ],
)
def test_other_paths_lead_nowhere(path: str) -> None:
    with pytest.raises(NotFound):
        locate(walked(NESTED).events, path)


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
        text = instance_metadata(inflate(data, walk), walk.events, syntax=walk.syntax, bulk_prefix="@")
        for key, uri in uris(orjson.loads(text)):
            assert uri.startswith("@/bulkdata/")
            assert f"{locate(walk.events, uri.removeprefix('@/bulkdata/'))[0]:08X}" == key
            count += 1
    assert count > 300
