from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.backends.registry.classes import DEFAULT, Classes, parsed
from gateway.backends.registry.file import File
from gateway.dicomweb.resources import Resource
from gateway.errors import BadRequest

ONE, OTHER = Resource("1.1", "1.1.1", "1.1.1.1"), Resource("1.1", "1.1.1", "1.1.1.2")


@pytest.fixture
def classes(tmp_path: Path) -> Iterator[Classes]:
    file = File(tmp_path)
    yield Classes(file)
    file.close()


def test_what_was_said_last_counts_at_whatever_level(classes: Classes) -> None:
    assert classes.get("s", ONE) == DEFAULT
    classes.put("s", [ONE], "ARCHIVE")
    assert (classes.get("s", ONE).storage_class, classes.get("s", OTHER)) == ("ARCHIVE", DEFAULT)
    classes.put("s", [Resource("1.1")], "NEARLINE")
    assert {classes.get("s", one).storage_class for one in (ONE, OTHER)} == {"NEARLINE"}
    classes.put("s", [OTHER], "COLDLINE")
    assert [classes.get("s", one).storage_class for one in (ONE, OTHER)] == ["NEARLINE", "COLDLINE"]
    classes.put("s", [Resource()], "STANDARD")
    assert {classes.get("s", one).storage_class for one in (ONE, OTHER)} == {"STANDARD"}
    assert classes.get("t", ONE) == DEFAULT


def test_what_is_deleted_is_forgotten(classes: Classes) -> None:
    classes.put("s", [ONE, OTHER, Resource("2.1")], "ARCHIVE")
    classes.forget("s", ONE)
    assert (classes.get("s", ONE), classes.get("s", OTHER).storage_class) == (DEFAULT, "ARCHIVE")
    classes.forget("s", Resource("1.1"))
    assert (classes.get("s", OTHER), classes.get("s", Resource("2.1", "2", "3")).storage_class) == (DEFAULT, "ARCHIVE")
    classes.forget("s", Resource())
    assert classes.get("s", Resource("2.1", "2", "3")) == DEFAULT


def test_there_are_four() -> None:
    assert parsed("NEARLINE", "Storage-Class") == "NEARLINE"
    with pytest.raises(BadRequest, match="Storage-Class is one of STANDARD, NEARLINE, COLDLINE, ARCHIVE"):
        parsed("nearline", "Storage-Class")
