from __future__ import annotations

import tomllib

import pytest
from pydantic import BaseModel, SecretStr

from gateway import toml
from gateway.config import Settings
from gateway.sections.limits import Cache, Limits
from gateway.sections.server import Log, Server
from gateway.sections.stores import Credentials, Origin, Spool, Store


def test_the_reference_names_every_key_and_is_the_defaults() -> None:
    text = toml.reference()
    assert Settings(**tomllib.loads(text)) == Settings()
    for section in (Server, Log, Limits, Cache, Store, Credentials, Origin, Spool):
        for name in section.model_fields:
            assert f"\n{name} = " in text or f"\n# {name} = " in text or f"[stores.default.{name}]" in text
    assert max(map(len, text.splitlines())) <= 130


def test_the_effective_settings_read_back_to_equal_ones() -> None:
    settings = Settings(
        server={"port": 1, "cors_origins": ["https://a.example", "*"], "header_timeout": 0.5, "token_file": '/run/to"ken'},
        limits={"parts": 7, "header_bytes": 1025},
        stores={"a.b": {"backend": "memory"}, "c": {"root": "/srv/ä"}},
    )
    assert Settings(**tomllib.loads(toml.effective(settings))) == settings


def test_tables_below_a_store_read_back_too() -> None:
    settings = Settings(
        stores={
            "default": {
                "backend": "upstream",
                "url": "http://pacs:8042/dicom-web",
                "profile": "orthanc",
                "overrides": {"wildcard": False, "limit": 5},
                "credentials": {"kind": "basic", "user": "gateway", "secret_file": "/run/secret"},
                "delivery": "spool",
                "routes": [{"when": {"Modality": "MR"}, "to": ["default", "b"]}, {"to": ["b"]}],
                "origin": {"retry_budget": 0.25},
            },
            "b": {},
            "both": {"backend": "federation", "members": ["default", "b"]},
        }
    )
    text = toml.effective(settings)
    assert Settings(**tomllib.loads(text)) == settings
    assert "[stores.b.origin]" not in text and "[[stores.default.routes]]" in text


def test_the_table_of_an_origin_is_one_that_is_read() -> None:
    text = toml.origin_table("p.1", "http://pacs/dicom-web", "orthanc", {"page": 7, "lists": ","})
    store = Settings(**tomllib.loads(text)).stores["p.1"]
    assert (store.url, store.profile, store.overrides) == ("http://pacs/dicom-web", "orthanc", {"page": 7, "lists": ","})
    assert "overrides" not in toml.origin_table("a", "http://pacs/dicom-web", "generic", {})


def test_sizes_are_written_in_the_unit_that_fits() -> None:
    text = toml.effective(Settings(limits={"preamble_bytes": 1000, "header_bytes": 3 << 20}, stores={"default": {"min_free_bytes": 0}}))
    assert "preamble_bytes = 1000\n" in text
    assert 'header_bytes = "3MiB"\n' in text
    assert "min_free_bytes = 0\n" in text


def test_secrets_are_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Secretive(BaseModel):
        password: SecretStr = SecretStr("hunter2")

    class More(Settings):
        origin: Secretive = Secretive()

    text = toml.effective(More())
    assert 'password = "**********"' in text
    assert "hunter2" not in text
