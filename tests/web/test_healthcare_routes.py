from __future__ import annotations

import re

from gateway.web.dialect import VERSIONS
from gateway.web.healthcare_routes import DICOM_WEB, others, places
from gateway.web.routes import STORE_ROUTES

NOT_GOOGLES = ("/thumbnail", "/pixeldata", "/bulkdata")
"""Ends of paths of the standard's that Google's API does not have."""


def test_both_versions_have_the_same_routes() -> None:
    """But for UpdateInstances and UpdateMetadata, which are in v1beta1 only."""
    one, other = (
        {(place.method, place.path.removeprefix(version)) for place in places() if place.path.startswith(version + "/")}
        for version in VERSIONS
    )
    later = {place for place in other if place[0] == "PUT" or (place[0] == "PATCH" and place[1].endswith("/metadata"))}
    assert one == other - later and len(later) == 5 and len(one) > 30


def test_what_is_below_dicom_web_is_what_google_has_of_the_standard() -> None:
    below = {(place.method, place.path.removeprefix("/v1" + DICOM_WEB)) for place in places() if place.path.startswith("/v1" + DICOM_WEB)}
    standard = {(route.method, route.path) for route in STORE_ROUTES if route.method != "OPTIONS" and not route.path.endswith(NOT_GOOGLES)}
    missing = {(method, path) for method, path in standard if not re.search(r"/(studies/\{study\}|series/\{series\})/rendered$", path)}
    own = {one for one in below if ":get" in one[1] or ":set" in one[1] or one[1].endswith("/bulkdata/{bulk:.+}/")}
    assert below - own <= {(route.method, route.path) for route in STORE_ROUTES}
    assert missing <= below


def test_the_rest_is_said_to_be_missing() -> None:
    assert [(place.method, place.path) for place in others()] == [("*", version + "/projects/{rest:.+}") for version in VERSIONS]
