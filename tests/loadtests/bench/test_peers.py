"""The settings that servers are started with."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from gateway.config import Settings
from loadtests.bench import peers


@pytest.fixture(autouse=True)
def all_are_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands are only looked at."""
    monkeypatch.setattr(peers, "program", lambda name: f"/usr/sbin/{name}")


def settings_of(command: list[str]) -> Settings:
    return Settings(**tomllib.loads(Path(command[command.index("--config") + 1]).read_text()))


def test_the_gateway_is_the_full_product(tmp_path: Path) -> None:
    settings = settings_of(peers.gateway(tmp_path / "store", 8080))
    assert settings.log.level == "info"  # so there is an access log
    assert settings.stores["default"].backend == "local" and settings.stores["default"].durability == "full"


def test_in_front_of_an_origin_it_keeps_answers_as_long_as_nginx(tmp_path: Path) -> None:
    settings = settings_of(peers.gateway(tmp_path / "front", 8080, origin="http://127.0.0.1:8042/dicom-web", profile="orthanc"))
    store = settings.stores["default"]
    assert (store.backend, store.url, store.profile, store.cache) == ("upstream", "http://127.0.0.1:8042/dicom-web", "orthanc", True)
    assert settings.cache.ttl == peers.HOUR
    peers.nginx(tmp_path / "nginx", 8081, tmp_path, 8080)
    assert "proxy_cache_valid 200 60m;" in (tmp_path / "nginx" / "nginx.conf").read_text()


def test_orthanc_syncs_and_answers_all_attributes(tmp_path: Path) -> None:
    program, path = peers.orthanc(tmp_path / "orthanc", 8042)
    settings = json.loads(Path(path).read_text())
    assert program.endswith("Orthanc") and settings["SyncStorageArea"] is True and settings["HttpPort"] == 8042
    assert settings["DicomWeb"]["StudiesMetadata"] == "Full" and settings["RemoteAccessAllowed"] is False


def test_nginx_gives_files_and_keeps_the_rest(tmp_path: Path) -> None:
    command = peers.nginx(tmp_path / "nginx", 8081, tmp_path / "documents", 8080)
    text = Path(command[2]).read_text()
    assert f"location /file/ {{ alias {tmp_path}/documents/; }}" in text
    assert "server 127.0.0.1:8080;" in text and "listen 127.0.0.1:8081;" in text and "proxy_cache kept;" in text
