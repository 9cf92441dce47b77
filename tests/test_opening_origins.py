from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.backends.upstream.credentials import Basic, BearerFile, ClientCredentials, Nobody, PassThrough
from gateway.backends.upstream.google import Google
from gateway.errors import StoreUnavailable
from gateway.opening_origins import asked_how, client_of, credentials_of, profile_of, routes_of
from gateway.sections.stores import Credentials, Store

PACS: dict[str, Any] = {"backend": "upstream", "url": "http://127.0.0.1:9/dicom-web"}


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({}, Nobody),
        ({"kind": "basic", "user": "a", "secret_file": "s"}, Basic),
        ({"kind": "bearer", "secret_file": "s"}, BearerFile),
        ({"kind": "client_credentials", "user": "a", "secret_file": "s", "token_url": "http://t"}, ClientCredentials),
        ({"kind": "google"}, Google),
        ({"kind": "pass_through"}, PassThrough),
    ],
)
def test_each_kind_of_credentials(settings: dict[str, Any], kind: type) -> None:
    assert type(credentials_of("a", Credentials(**settings))) is kind


def test_an_override_that_no_profile_has_is_named() -> None:
    assert profile_of("a", Store(**PACS, profile="orthanc", overrides={"page": 7})).page == 7
    with pytest.raises(StoreUnavailable, match=r"stores\.a\.overrides: .*'paeg'"):
        profile_of("a", Store(**PACS, overrides={"paeg": 7}))


@pytest.mark.parametrize("when", [{"Modalty": "MR"}, {"StudyDate": "yesterday"}])
def test_a_route_that_nothing_can_take_is_named(when: dict[str, str]) -> None:
    store = Store(**PACS, delivery="spool", routes=[{"when": when, "to": ["a"]}])
    with pytest.raises(StoreUnavailable, match=r"stores\.a\.routes: "):
        routes_of("a", store)


def test_a_certificate_that_is_missing_is_named(tmp_path: Path) -> None:
    store = Store(**PACS, credentials={"authority": tmp_path / "none.pem"})
    with pytest.raises(StoreUnavailable, match=r"stores\.a\.credentials: .*none\.pem does not exist"):
        client_of("a", store)


async def test_a_client_calls_as_the_settings_say() -> None:
    client = client_of("a", Store(**PACS, credentials={"kind": "pass_through"}))
    try:
        assert isinstance(client.credentials, PassThrough)
    finally:
        await client.aclose()


def test_how_an_origin_is_asked_tells_another_origin_from_the_same_one() -> None:
    plain = asked_how(Store(**PACS))
    assert asked_how(Store(**PACS, origin={"tries": 1}, cache=False)) == plain
    assert asked_how(Store(**PACS, credentials={"kind": "pass_through"})) != plain
    secret = asked_how(Store(**PACS, credentials={"kind": "basic", "user": "somebody", "secret_file": "where"}))
    assert "somebody" not in secret and len(secret) == 32
