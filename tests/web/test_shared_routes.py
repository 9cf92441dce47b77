from __future__ import annotations

from gateway.web.dialect import VERSIONS
from gateway.web.healthcare_routes import DICOM_WEB, places
from gateway.web.routes import STORE_ROUTES
from gateway.web.shared_routes import SHARED


def test_both_ways_to_speak_have_all_of_them() -> None:
    assert set(SHARED) <= set(STORE_ROUTES)
    for version in VERSIONS:
        there = {(place.method, place.path, place.transaction) for place in places()}
        assert {(one.method, version + DICOM_WEB + one.path, one.transaction) for one in SHARED} <= there


def test_each_stands_once() -> None:
    assert len({(one.method, one.path) for one in SHARED}) == len(SHARED) == 18
