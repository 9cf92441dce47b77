from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ConfigError, load
from gateway.sections import stores
from gateway.sections.stores import foreign_keys
from tests.sections.written import write


def test_every_key_says_what_it_is_for() -> None:
    for section in (stores.Store, stores.Credentials, stores.Origin, stores.Spool, stores.Route):
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"


def test_an_origin_is_described_by_one_table_and_those_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(
        tmp_path,
        """
        [stores.pacs]
        backend = "upstream"
        url = " http://pacs:8042/dicom-web/ "
        profile = "orthanc"
        overrides = { wildcard = false }
        credentials = { kind = "basic", user = "gateway", secret_file = "/run/secret" }
        delivery = "spool"
        [[stores.pacs.routes]]
        when = { Modality = "MR" }
        to = ["pacs", "default"]
        """,
    )
    monkeypatch.setenv("GATEWAY_STORES__PACS__ORIGIN__TRIES", "5")
    pacs = load(path).stores["pacs"]
    assert (pacs.url, pacs.origin.tries, pacs.overrides) == ("http://pacs:8042/dicom-web", 5, {"wildcard": False})
    assert (pacs.credentials.user, pacs.routes[0].to, pacs.keeps_files) == ("gateway", ("pacs", "default"), True)


def test_members_may_come_with_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_STORES__ALL__BACKEND", "federation")
    monkeypatch.setenv("GATEWAY_STORES__ALL__MEMBERS", "default, other")
    monkeypatch.setenv("GATEWAY_STORES__OTHER__BACKEND", "memory")
    assert load().stores["all"].members == ("default", "other")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("backend = 'upstream'", 'stores.a: backend = "upstream" needs url'),
        ("url = 'http://pacs/dicom-web'", 'stores.a: url is for backend = "upstream"'),
        ("backend = 'upstream'\nurl = 'http://p'\nmembers = ['default']", 'stores.a: members is for backend = "federation"'),
        ("backend = 'federation'", 'stores.a: backend = "federation" needs members'),
        ("backend = 'upstream'\nurl = 'ftp://p'", "stores.a.url: must look like https://pacs.example/dicom-web"),
        ("backend = 'upstream'\nurl = 'http://u:hunter2@p'", "stores.a.url: credentials do not belong into a URL"),
        ("backend = 'upstream'\nurl = 'http://p'\nroutes = [{to = ['default']}]", "stores.a: routes are for delivery"),
        (
            "backend = 'upstream'\nurl = 'http://p'\ndelivery = 'spool'\ncredentials = {kind = 'pass_through'}",
            'stores.a: delivery = "spool" goes on when the caller has left',
        ),
        ("backend = 'upstream'\nurl = 'http://p'\ncredentials = {kind = 'basic'}", 'stores.a.credentials: kind = "basic" needs user and'),
        ("backend = 'upstream'\nurl = 'http://p'\ncredentials = {certificate = 'c'}", "certificate and certificate_key are set together"),
        ("backend = 'upstream'\nurl = 'http://p'\norigin = {trys = 1}", "stores.a.origin.trys: unknown key, did you mean tries?"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load(write(tmp_path, f"[stores.a]\n{text}"))
    assert message in str(error.value)
    assert "hunter2" not in str(error.value)


def test_keys_that_say_nothing_for_a_kind_of_store_are_foreign_to_it() -> None:
    assert "url" in foreign_keys("local") and "members" in foreign_keys("upstream")
    assert "url" not in foreign_keys("upstream") and "root" not in foreign_keys("federation")
