"""The compose file: what it tells the gateway is understood, and nothing but the gateway can be reached."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from gateway.config import load
from tests.deploy import DEPLOY

FILE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
GATEWAY, ORTHANC = FILE["services"]["gateway"], FILE["services"]["orthanc"]


def test_the_environment_makes_a_gateway_in_front_of_orthanc(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GATEWAY["environment"].items():
        monkeypatch.setenv(name, value)
    settings = load()
    store = settings.stores["default"]
    assert (store.backend, store.profile, store.url) == ("upstream", "orthanc", "http://orthanc:8042/dicom-web")
    assert settings.server.allow_anonymous, "the container listens on every address, and asks nobody for a token"


def test_only_the_gateway_has_a_port_and_only_on_this_machine() -> None:
    assert "ports" not in ORTHANC
    assert GATEWAY["ports"] == ["127.0.0.1:8080:8080"]


def test_it_is_built_from_what_is_here() -> None:
    assert (DEPLOY / GATEWAY["build"]["context"] / GATEWAY["build"]["dockerfile"]).is_file()
    assert {volume.split(":")[0] for service in FILE["services"].values() for volume in service["volumes"]} == FILE["volumes"].keys()


def test_uploads_are_finished_before_the_container_goes() -> None:
    grace = re.fullmatch(r"(\d+)s", GATEWAY["stop_grace_period"])
    assert grace is not None and int(grace[1]) > load().server.drain_timeout


def test_it_runs_with_as_little_as_it_needs() -> None:
    assert GATEWAY["read_only"] and GATEWAY["cap_drop"] == ["ALL"] and GATEWAY["security_opt"] == ["no-new-privileges:true"]
    assert not re.search(r":latest$|^[^:]+$", ORTHANC["image"]), "a version is named"
