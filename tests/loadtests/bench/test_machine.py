"""What is said of the machine."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

import pytest

from loadtests.bench import machine, peers


def test_it_is_described_without_names_and_folders(tmp_path: Path) -> None:
    facts = machine.facts(tmp_path)
    assert facts["cpus"] >= 1 and facts["memory_gib"] > 0 and facts["kernel"][0].isdigit() and facts["file_system"]
    assert {"aiohttp", "uvloop", "dicomweb-gateway"} <= set(facts["packages"])
    text = str(facts)
    assert socket.gethostname() not in text and str(tmp_path) not in text and f"'{getpass.getuser()}'" not in text


def test_peers_that_are_not_here_have_no_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "program", lambda _: None)
    assert machine.facts(tmp_path)["orthanc"] == ""
    monkeypatch.setattr(peers, "program", lambda _: None)
    assert set(peers.installed()) == {peers.ORTHANC, peers.NGINX}
