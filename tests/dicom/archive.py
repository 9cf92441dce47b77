"""Files that other people made: pydicom's own, those of PyPI pydicom-data, and the folder ``DICOM_CORPUS`` when it is set."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import pydicom.data

from gateway.dicom.elements import Walk
from gateway.dicom.native import meta_end
from gateway.dicom.part10 import DEFLATED
from gateway.errors import InstanceError

LARGEST = 8 << 20
"""Bytes of a file that is looked at: more of the same pixels prove nothing."""


def _folders() -> list[Path]:
    extra = import_module("data_store").DataStore()  # of pydicom-data; it has no annotations
    folders = [Path(pydicom.data.__file__).parent, extra.data_path]
    corpus = os.environ.get("DICOM_CORPUS")
    return folders + ([Path(corpus)] if corpus else [])


def _files() -> Iterator[Path]:
    for folder in _folders():
        for path in sorted(folder.rglob("*")):
            if path.is_file() and path.suffix not in {".py", ".pyc"} and path.stat().st_size <= LARGEST:
                yield path


@lru_cache(maxsize=1)
def readable() -> list[Path]:
    """All files that a walk accepts as whole."""
    return [path for path in _files() if walk_of(path.read_bytes()) is not None]


def refused() -> list[Path]:
    """All files that it does not."""
    whole = set(readable())
    return [path for path in _files() if path not in whole]


def walk_of(data: bytes) -> Walk | None:
    walk = Walk(record=True)
    try:
        walk.feed(data)
        walk.finish()
    except InstanceError:
        return None
    return walk


def inflate(data: bytes, walk: Walk) -> bytes:
    """The bytes that the events of `walk` count in."""
    if walk.syntax not in DEFLATED:
        return data
    start = meta_end(walk.events)
    return data[:start] + zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:])
