"""Profiles are data: complete, described, and changed only by what they have."""

from __future__ import annotations

import re
from dataclasses import fields
from typing import Any

import pytest

from gateway.backends.upstream.profiles import ANY, GOOGLE, ORTHANC, PROFILES, Profile, with_overrides
from gateway.dicom import dictionary


def test_every_field_is_described() -> None:
    assert Profile.__doc__ is not None
    assert re.findall(r":param (\w+):", Profile.__doc__) == [field.name for field in fields(Profile)]


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_keys_are_keywords(name: str) -> None:
    profile = PROFILES[name]
    assert profile.keys
    assert all(word == ANY or dictionary.tag(word) for word in (*profile.keys, *profile.ranges))


def test_fields_are_set_otherwise() -> None:
    changed = with_overrides(ORTHANC, {"keys": ["PatientID"], "lists": "\\", "page": 10, "decodes": True, "deletes": "none"})
    assert (changed.keys, changed.lists, changed.page, changed.decodes, changed.deletes) == (("PatientID",), "\\", 10, True, "none")
    assert (changed.names, ORTHANC.page) == (ORTHANC.names, 1000)
    assert with_overrides(GOOGLE, {}) == GOOGLE


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pages": 10}, "A profile has no 'pages'. It has: keys, "),
        ({"page": "10"}, "'page' of a profile is a whole number"),
        ({"page": True}, "'page' of a profile is a whole number"),
        ({"page": -1}, "'page' of a profile is a whole number"),
        ({"decodes": 1}, "'decodes' of a profile is true or false"),
        ({"lists": ";"}, "'lists' of a profile is one of '', ','"),
        ({"names": "soundex"}, "'names' of a profile is one of 'folded'"),
        ({"keys": "PatientID"}, "'keys' of a profile is a list of words"),
        ({"keys": [1]}, "'keys' of a profile is a list of words"),
    ],
)
def test_nothing_else_is(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        with_overrides(GOOGLE, settings)
