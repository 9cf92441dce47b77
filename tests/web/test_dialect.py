from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.errors import InvalidQuery
from gateway.web.dialect import GOOGLE, STANDARD, dialect_of


@pytest.mark.parametrize(
    ("path", "google"),
    [
        ("/v1/projects/p", True),
        ("/v1beta1/x", True),
        ("/version", False),
        ("/v1", False),
        ("/v1x/projects", False),
        ("/dicom-web/v1/", False),
    ],
)
def test_the_dialect_follows_the_route(path: str, google: bool) -> None:
    assert dialect_of(make_mocked_request("GET", path)) is (GOOGLE if google else STANDARD)


def test_the_standard_lets_everything_be_searched_for() -> None:
    STANDARD.check_keys("study", {"Nonsense": "1"})


def test_google_knows_few_keys_and_those_of_the_levels_above() -> None:
    GOOGLE.check_keys("instance", {"00100020": "", "Modality": "", "SOPInstanceUID": "", "limit": "", "access_token": ""})
    for level, name in (("study", "Modality"), ("series", "SOPInstanceUID"), ("instance", "InstanceNumber")):
        with pytest.raises(InvalidQuery, match=name):
            GOOGLE.check_keys(level, {name: ""})  # type: ignore[arg-type]  # a level each


def test_what_may_not_be_shown_is_not() -> None:
    with pytest.raises(InvalidQuery) as caught:
        GOOGLE.check_keys("study", {"Doe^John 1.1.70": ""})
    assert "Doe" not in caught.value.message


def test_what_was_deleted_is_just_not_there_for_google() -> None:
    assert (GOOGLE.problem(410, "x").status, STANDARD.problem(410, "x").status) == (404, 410)
