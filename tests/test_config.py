from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest
from pydantic import BaseModel, ValidationError

from gateway import cgroup
from gateway.config import ConfigError, Settings, load
from gateway.sections.base import Section
from gateway.sections.limits import Limits
from tests.sections.written import write


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)


def test_without_any_source_there_is_one_local_store_on_loopback() -> None:
    settings = load()
    assert settings == Settings()
    assert (settings.server.host, settings.server.port) == ("127.0.0.1", 8080)
    assert settings.stores["default"].root == Path("data/default")
    assert not settings.server.allow_anonymous


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "[server]\nport = 1\nworkers = 2\nconnections = 3\n")
    monkeypatch.setenv("GATEWAY_SERVER__WORKERS", "20")
    monkeypatch.setenv("GATEWAY_SERVER__CONNECTIONS", "30")
    settings = load(path, {"server": {"connections": 300}})
    assert (settings.server.port, settings.server.workers, settings.server.connections) == (1, 20, 300)


def test_stores_are_named_in_every_source_and_rooted_below_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, '[stores.a]\nroot = "/elsewhere"\n[stores.b]\non_duplicate = "skip"\n')
    monkeypatch.setenv("GATEWAY_STORES__C__DURABILITY", "relaxed")
    stores = load(path, {"data": "/srv"}).stores
    assert {name: str(store.root) for name, store in stores.items()} == {
        "default": "/srv/default",
        "a": "/elsewhere",
        "b": "/srv/b",
        "c": "/srv/c",
    }
    assert (stores["b"].on_duplicate, stores["c"].durability) == ("skip", "relaxed")


def test_sizes_are_understood_with_units(tmp_path: Path) -> None:
    settings = load(write(tmp_path, '[limits]\nheader_bytes = "2MiB"\npreamble_bytes = 100\n'))
    assert (settings.limits.header_bytes, settings.limits.preamble_bytes) == (2 << 20, 100)


def test_lists_in_the_environment_are_written_with_commas_or_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = ("https://a.example", "http://b.example:3000")
    monkeypatch.setenv("GATEWAY_SERVER__CORS_ORIGINS", "https://a.example, http://b.example:3000")
    assert load().server.cors_origins == expected
    monkeypatch.setenv("GATEWAY_SERVER__CORS_ORIGINS", '["https://a.example", "http://b.example:3000"]')
    assert load().server.cors_origins == expected
    monkeypatch.setenv("GATEWAY_SERVER__CORS_ORIGINS", "")
    assert load().server.cors_origins == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nprot = 1", "server.prot: unknown key, did you mean port?"),
        ("[sever]\nport = 1", "sever: unknown key, did you mean server?"),
        ("zzz = 1", "zzz: unknown key"),
        ("[stores.a]\nrot = '/x'", "stores.a.rot: unknown key, did you mean root?"),
        ("[server]\nport = 'high'", "server.port: must be a valid integer"),
        ("[server]\nport = 70000", "server.port: must be less than or equal to 65535"),
        ("[server]\nheader_timeout = 0", "server.header_timeout: must be greater than 0"),
        ("[server]\nidle_timeout = inf", "server.idle_timeout: must be a finite number"),
        ("[limits]\nparts = 0", "limits.parts: must be greater than or equal to 1"),
        ("[limits]\nheader_bytes = 'much'", "limits.header_bytes: must be a number of bytes, such as"),
        ("[limits]\nheader_bytes = '64 apples'", "limits.header_bytes: must be a number of bytes, such as"),
        ("[server]\nport = true", "server.port: cannot be true or false"),
        ("[server]\ntoken_file = ''", "server.token_file: is empty"),
        ("data = ''", "data: is empty"),
        ("[healthcare.relays.cloud]\nurl = 'http://p'", "gateway.toml: healthcare.relays.cloud.project: has to be set"),
        ("[stores]\na = 1", "stores.a: must be a table of keys"),
        ("[stores.a]\nbackend = 'cloud'", "stores.a.backend: must be 'local', 'memory', 'upstream' or 'federation'"),
        ("[stores.'A B']", "stores: 'A B' is no store name"),
        ("[stores.a__b]", "stores: 'a__b' is no store name"),
        ("[stores.a]\nroot = 'x'\n[stores.b]\nroot = './x'", "stores: two stores have the same root"),
        ("[server]\nworkers = 2\n[stores.a]\nbackend = 'memory'", 'backend = "memory" lives in one process'),
        (
            "[server]\ntoken_file = 't'\n[stores.a]\nbackend = 'upstream'\nurl = 'http://p'\ncredentials = {kind = 'pass_through'}",
            "stores.a: pass_through shows the origin what callers send",
        ),
        (
            "[stores.a]\nbackend = 'upstream'\nurl = 'http://a/dw'\ncredentials = { kind = 'pass_through' }\n"
            "[stores.b]\nbackend = 'upstream'\nurl = 'http://b/dw'\ndelivery = 'spool'\nroutes = [{ when = {}, to = ['a'] }]",
            "stores: b: instances are delivered when their sender has left, so destinations need credentials of their own",
        ),
        ("[stores.a]\nbackend = 'federation'\nmembers = ['b']", "stores: a: there is no store 'b'"),
        ("[stores.a]\nbackend = 'federation'\nmembers = ['a']", "stores: a: the members of a federation are other stores"),
        (
            "[stores.a]\nbackend = 'upstream'\nurl = 'http://p'\ndelivery = 'spool'\nroutes = [{to = ['b']}]\n"
            "[stores.b]\nbackend = 'federation'\nmembers = ['default']",
            "stores: a: instances are delivered to stores that keep them",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as error:
        load(path)
    assert message in str(error.value)


def test_every_fault_has_its_line_and_names_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "[server]\nprot = 1\n")
    monkeypatch.setenv("GATEWAY_LIMITS__PARTS", "many")
    monkeypatch.setenv("GATEWAY_SERVR__PORT", "1")
    with pytest.raises(ConfigError) as error:
        load(path, {"log": {"level": "loud"}})
    lines = str(error.value).splitlines()
    assert sorted(line.split(": ")[0] for line in lines) == sorted([str(path), "environment", "environment", "command line"])
    assert any("GATEWAY_LIMITS__PARTS: must be" in line for line in lines)
    assert any("GATEWAY_SERVR: unknown key, did you mean server?" in line for line in lines)


def test_variables_that_kubernetes_puts_beside_a_service_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_PORT", "tcp://10.0.0.1:80")
    monkeypatch.setenv("GATEWAY_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("GATEWAY_PORT_8080_TCP", "tcp://10.0.0.1:80")
    assert load() == Settings()


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml: No such file"):
        load(tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match=r"gateway\.toml: not a TOML file"):
        load(write(tmp_path, "[server"))


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().server.port = 1  # type: ignore[misc]  # that this is an error is what the test shows


def test_workers_follow_the_cpus_and_the_memory_that_are_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "granted_cpus", lambda: 6)
    monkeypatch.setattr(cgroup, "granted_memory", lambda: None)
    assert load().workers == 6
    monkeypatch.setattr(cgroup, "granted_memory", lambda: 1 << 30)
    assert load().workers == 2
    monkeypatch.setattr(cgroup, "granted_memory", lambda: 1 << 20)
    assert load().workers == 1
    assert load(overrides={"server": {"workers": 9}}).workers == 9


@pytest.mark.parametrize(
    ("cpus", "workers", "configured", "processes"), [(8, 2, 0, 4), (8, 8, 0, 1), (2, 4, 0, 1), (8, 3, 0, 2), (2, 2, 5, 5)]
)
def test_pixel_processes_share_the_cpus_with_those_of_other_workers(
    monkeypatch: pytest.MonkeyPatch, cpus: int, workers: int, configured: int, processes: int
) -> None:
    monkeypatch.setattr(cgroup, "granted_cpus", lambda: cpus)
    settings = load(overrides={"server": {"workers": workers}, "pixels": {"processes": configured}})
    assert settings.pixel_processes == processes


def test_a_memory_store_is_served_by_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup, "granted_cpus", lambda: 6)
    assert load(overrides={"stores": {"default": {"backend": "memory"}}}).workers == 1


def test_every_key_says_what_it_is_for() -> None:
    sections: list[type[BaseModel]] = [type(section) for _, section in Settings() if isinstance(section, Section)]
    assert Limits in sections
    for section in [cast("type[BaseModel]", Settings), *sections]:
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"


def test_callers_do_not_import_from_what_the_gateway_keeps(tmp_path: Path) -> None:
    store = {"backend": "local", "root": tmp_path / "store"}
    for folder in (tmp_path, tmp_path / "data", tmp_path / "data" / "x", tmp_path / "store"):
        with pytest.raises(ValidationError, match=r"healthcare\.folders"):
            Settings(data=tmp_path / "data", stores={"default": store}, healthcare={"folders": [folder]})
    Settings(data=tmp_path / "data", stores={"default": store}, healthcare={"folders": [tmp_path / "data2"]})
