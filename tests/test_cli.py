"""The command line as people use it: exit codes, what is said, what is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from gateway import server
from gateway.cli import main
from gateway.config import Settings
from gateway.exits import FAILED, MISCONFIGURED, OK
from tests import tiny
from tests.running import running
from tests.tiny import part10

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("GATEWAY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process: exit code, output, errors."""

    def runs(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(arguments)
        except SystemExit as end:  # how cyclopts ends on arguments that it does not know
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return code, out, err

    return runs


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings that would have been served."""
    seen: list[Settings] = []

    def serve(settings: Settings, **_: Any) -> int:
        seen.append(settings)
        return OK

    monkeypatch.setattr(server, "run", serve)
    return seen


def scans(folder: Path, count: int = 3) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.dcm").write_bytes(part10(instance=f"1.2.1.{number + 1}"))
    return folder


# -- help


def test_help_names_every_command_and_shows_first_steps(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == OK
    for word in ("serve", "check-config", "import", "export", "fsck", "rebuild-index", "curl http://127.0.0.1:8080/dicom-web/studies"):
        assert word in out


@pytest.mark.parametrize("command", ["serve", "check-config", "import", "export", "fsck", "rebuild-index"])
def test_each_command_explains_each_of_its_flags(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == OK
    flags = [line for line in out.splitlines() if line.startswith("│ ") and "--" in line[:20]]
    assert flags
    assert all(line[21:].strip(" │") for line in flags)


def test_the_version_is_a_number(run: Run) -> None:
    code, out, _ = run("--version")
    assert (code, out.strip()) == (OK, "0.1.0")


def test_unknown_flags_and_commands_are_exit_code_2(run: Run) -> None:
    assert run("serve", "--prot", "1")[0] == MISCONFIGURED
    assert run("server")[0] == MISCONFIGURED


# -- serve


def test_flags_win_over_the_file_and_the_environment(
    run: Run, served: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.toml").write_text("[server]\nport = 1\nworkers = 3\n")
    monkeypatch.setenv("GATEWAY_SERVER__HOST", "127.0.0.2")
    assert run("serve", "--config", "my.toml", "--port", "9000", "--data", "/srv/dicom")[0] == OK
    [settings] = served
    assert (settings.server.host, settings.server.port, settings.server.workers) == ("127.0.0.2", 9000, 3)
    assert settings.stores["default"].root == Path("/srv/dicom/default")


def test_a_gateway_in_front_of_an_origin_needs_one_flag(run: Run, served: list[Settings]) -> None:
    assert run("serve", "--upstream", "http://pacs:8042/dicom-web/", "--profile", "orthanc")[0] == OK
    store = served[0].stores["default"]
    assert (store.backend, store.url, store.profile) == ("upstream", "http://pacs:8042/dicom-web", "orthanc")
    code, _, err = run("serve", "--profile", "orthanc")
    assert code == MISCONFIGURED and "--upstream" in err


def test_the_config_file_may_be_named_by_the_environment(
    run: Run, served: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my.toml").write_text("[server]\nport = 1\n")
    monkeypatch.setenv("GATEWAY_CONFIG", str(tmp_path / "my.toml"))
    assert run("serve")[0] == OK
    assert served[0].server.port == 1


def test_wrong_settings_are_one_clear_line_and_exit_code_2(run: Run, tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text("[server]\nprot = 1\n")
    assert run("serve", "--config", "my.toml") == (
        MISCONFIGURED,
        "",
        "dicomweb-gateway: my.toml: server.prot: unknown key, did you mean port?\n",
    )


def test_an_open_door_is_refused_with_what_to_do(run: Run) -> None:
    code, _, err = run("serve", "--host", "0.0.0.0")
    assert code == MISCONFIGURED
    assert "server.token_file" in err
    assert "--allow-anonymous" in err


def test_a_folder_without_a_viewer_is_refused_with_what_to_do(run: Run, tmp_path: Path) -> None:
    code, _, err = run("serve", "--viewer", str(tmp_path))
    assert code == 2
    assert "server.viewer" in err
    assert "make viewer" in err


def test_a_gateway_serves_from_its_start_to_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0", "--data", str(tmp_path / "data"), "--workers", "1"]
    environment = os.environ | {"GATEWAY_LOG__FORMAT": "console"}
    with subprocess.Popen(command, cwd=tiny.ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        try:
            url = process.stdout.readline().decode().split()[-1]
            with urlopen(url.removesuffix("/dicom-web") + "/readyz", timeout=30) as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == OK
        finally:
            process.kill()


def ephemeral(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "gateway", "serve", "--ephemeral", "--port", "0"]
    environment = os.environ | {"TMPDIR": str(folder)}
    return subprocess.Popen(command, cwd=tiny.ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def test_an_ephemeral_gateway_says_where_it_is_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with ephemeral(tmp_path) as process:
        assert process.stdout
        try:
            url = process.stdout.readline().decode().rstrip("\n")
            request = Request(url + "/v1/projects/p/locations/l/datasets?datasetId=d", b"", method="POST")
            with urlopen(request, timeout=30) as answer:
                assert answer.status == 200
            [folder] = tmp_path.glob("dicomweb-gateway-ephemeral-*")
            assert (folder / "_healthcare").is_dir()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == OK
            assert process.stdout.read() == b""
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []


def test_an_ephemeral_gateway_that_is_ended_before_it_serves_leaves_nothing_behind(tmp_path: Path) -> None:
    with ephemeral(tmp_path) as process:
        try:
            while not list(tmp_path.iterdir()):
                assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) in (OK, 128 + signal.SIGTERM)
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []


def test_ephemeral_means_that_nothing_is_kept(run: Run, served: list[Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DATA", str(tmp_path / "kept"))
    assert run("serve", "--ephemeral")[0] == OK
    assert "ephemeral" in str(served[0].stores["default"].root)
    assert not served[0].data.exists()
    assert served[0].workers == 1, "it is ready when it says where it is; a supervisor says so before its workers are"
    code, _, err = run("serve", "--ephemeral", "--data", "d")
    assert code == MISCONFIGURED and "--data" in err
    monkeypatch.setenv("GATEWAY_STORES__DEFAULT__ROOT", str(tmp_path / "elsewhere"))
    code, _, err = run("serve", "--ephemeral")
    assert code == MISCONFIGURED and "'default'" in err


def test_several_workers_serve_and_add_up(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0", "--data", str(tmp_path / "data"), "--workers", "2"]
    environment = os.environ | {"GATEWAY_LOG__FORMAT": "console"}
    with subprocess.Popen(command, cwd=tiny.ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout
        try:
            url = process.stdout.readline().decode().split()[-1].removesuffix("/dicom-web")
            while True:  # workers are still on their way up
                try:
                    with urlopen(url + "/healthz", timeout=30):
                        break
                except URLError:
                    continue
            for _ in range(9):
                with urlopen(url + "/healthz", timeout=30):
                    pass
            with urlopen(url + "/metrics", timeout=30) as answer:
                assert b'gateway_requests_total{status="200",transaction="health"} 10.0' in answer.read()
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == OK
        finally:
            process.kill()


# -- check-config


def test_check_config_prints_what_is_in_force(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SERVER__PORT", "81")
    code, out, _ = run("check-config")
    assert code == OK
    assert tomllib.loads(out)["server"]["port"] == 81


def test_check_config_refuses_what_serve_would(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_SERVER__HOST", "0.0.0.0")
    assert run("check-config")[0] == MISCONFIGURED


def test_check_config_names_every_file_that_is_missing_and_what_no_profile_has(run: Run, tmp_path: Path) -> None:
    path, key = tmp_path / "gateway.toml", tmp_path / "key"
    path.write_text(f"""
[stores.default]
backend = "upstream"
url = "http://pacs/dicom-web"
overrides = {{ colour = "red" }}
credentials = {{ kind = "bearer", secret_file = "{key}" }}
[[stores.default.notify]]
webhook = "https://example.org/hook"
secret_file = "{tmp_path}"
[healthcare.relays.cloud]
project = "p"
credentials = {{ kind = "google", secret_file = "{key}" }}
[notifications]
pubsub_key_file = "{key}"
""")
    code, out, err = run("check-config", "--config", str(path))
    assert (code, out) == (MISCONFIGURED, "")
    assert [line.removeprefix("dicomweb-gateway: ").partition(": ")[0] for line in err.splitlines()] == [
        "stores.default.overrides",
        "stores.default.credentials.secret_file",
        "stores.default.notify.secret_file",
        "healthcare.relays.cloud.credentials.secret_file",
        "notifications.pubsub_key_file",
    ]
    assert f"{tmp_path}: Is a directory" in err
    key.write_text("secret")
    path.write_text(path.read_text().replace(f'"{tmp_path}"', f'"{key}"').replace('{ colour = "red" }', "{}"))
    assert run("check-config", "--config", str(path))[0] == OK


def test_a_probe_prints_what_the_settings_of_an_origin_would_be(run: Run, tmp_path: Path) -> None:
    with running(tmp_path) as origin:
        code, out, err = run("check-config", "--probe", "--upstream", origin.url)
    assert code == OK, err
    table = tomllib.loads(out)["stores"]["default"]
    assert (table["backend"], table["url"], table["profile"]) == ("upstream", origin.url, "generic")
    assert Settings(stores={"default": table}).stores["default"].url == origin.url
    code, _, err = run("check-config", "--probe", "--upstream", origin.url)
    assert code == FAILED and "cannot be reached" in err


@pytest.mark.parametrize(
    ("arguments", "message"), [(["--probe"], "no store is upstream"), (["--upstream", "http://pacs/dicom-web"], "name that as well")]
)
def test_a_probe_without_an_origin_says_what_is_missing(run: Run, arguments: list[str], message: str) -> None:
    code, _, err = run("check-config", *arguments)
    assert code == MISCONFIGURED and message in err


def test_the_reference_is_a_file_of_defaults(run: Run) -> None:
    code, out, _ = run("check-config", "--reference")
    assert code == OK
    assert Settings(**tomllib.loads(out)) == Settings()


# -- import, fsck, rebuild-index


def test_import_stores_and_says_how_many(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("import", str(scans(tmp_path / "scans")), "--data", "d")
    assert (code, out) == (OK, "3 stored, 0 refused, of 3 files\n")
    assert run("fsck", "--data", "d")[:2] == (OK, "3 instances checked, 0 problems\n")


def test_importing_again_changes_nothing(run: Run, tmp_path: Path) -> None:
    scans(tmp_path / "scans")
    run("import", "scans", "--data", "d")
    assert run("import", "scans", "--data", "d")[0] == OK
    assert run("fsck", "--data", "d")[1] == "3 instances checked, 0 problems\n"


def test_import_lists_what_was_refused_and_exits_with_1(run: Run, tmp_path: Path) -> None:
    scans(tmp_path / "scans")
    (tmp_path / "scans" / "note.txt").write_text("not a scan")
    code, out, _ = run("import", "scans", "--data", "d")
    assert code == FAILED
    assert "note.txt" in out
    assert out.endswith("3 stored, 1 refused, of 4 files\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["import"], "name at least one file"),
        (["import", "missing"], "missing does not exist"),
        (["import", ".", "--store", "other"], "there is no store 'other'; the settings have default"),
        (["fsck", "--data", "nowhere"], "no store is there yet"),
        (["rebuild-index", "--data", "nowhere"], "no store is there yet"),
    ],
)
def test_what_cannot_be_worked_on_is_said(run: Run, arguments: list[str], message: str) -> None:
    code, _, err = run(*arguments)
    assert code == MISCONFIGURED
    assert message in err


def test_a_memory_store_cannot_be_imported_into(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_STORES__DEFAULT__BACKEND", "memory")
    code, _, err = run("import", ".")
    assert code == MISCONFIGURED
    assert "has no files" in err


def test_a_full_disk_is_said(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_STORES__DEFAULT__MIN_FREE_BYTES", str(1 << 60))
    code, _, err = run("import", str(scans(tmp_path / "scans")), "--data", "d")
    assert code == FAILED
    assert "min_free_bytes" in err


def test_fsck_finds_damage_and_rebuild_index_a_lost_index(run: Run, tmp_path: Path) -> None:
    run("import", str(scans(tmp_path / "scans")), "--data", "d")
    root = tmp_path / "d" / "default"
    for index in root.glob("index.sqlite*"):
        index.unlink()
    assert (root / "generations").exists()
    assert run("rebuild-index", "--data", "d")[:2] == (OK, "3 instances in the new index, 0 files left out\n")
    assert not (root / "generations").exists(), "what was made of pixels before is not believed any more"
    assert run("fsck", "--data", "d")[0] == OK
    blob = max((path for path in root.rglob("*") if path.is_file() and path.read_bytes()[128:132] == b"DICM"), key=str)
    blob.write_bytes(blob.read_bytes()[:-1])
    code, out, _ = run("fsck", "--data", "d")
    assert code == FAILED
    assert "damaged" in out
