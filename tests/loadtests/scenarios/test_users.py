"""Each kind of user for a few seconds at a real gateway: everything that it asks for is answered, and right."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.loadtests.scenarios.locusts import load
from tests.running import Gateway, running

SMALL = ("--size", "small", "--slices", "6", "--per-request", "4", "--pause", "0.1", "-t", "2m")
OPENED = ("QIDO studies, UID", "QIDO series", "WADO thumbnail", "WADO metadata", "WADO frame")
AGAIN = ("WADO thumbnail, again", "WADO metadata, again")
STORE = "/v1/projects/local/locations/local/datasets/default/dicomStores/default/dicomWeb"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with running(tmp_path_factory.mktemp("gateway"), "--workers", "1") as gateway:
        yield gateway


def test_without_a_name_modalities_store_and_viewers_look(gateway: Gateway, tmp_path: Path) -> None:
    lists = ("QIDO studies, a page", "QIDO studies, PatientID", "QIDO studies, PatientName", "QIDO studies, StudyDate")
    wanted = ("STOW instances", *lists, *OPENED, *AGAIN, "QIDO instances", "WADO instance", "WADO rendered frame")
    run = load(tmp_path, gateway.url + "/", "-u", "8", *SMALL, until=wanted)
    assert run.clean(*wanted), run
    assert run.kinds["all"].waits == 0


def test_what_one_run_stored_the_next_one_reads(gateway: Gateway, tmp_path: Path) -> None:
    shape = ("--seed", "7", "--size", "16x16x3", "--slices", "2", "--per-request", "2", "-t", "2m")
    stored = load(tmp_path, gateway.url, "-u", "2", *shape, "--pause", "0", "Modality", until=["STOW instances"])
    assert stored.clean("STOW instances") and set(stored.kinds) == {"STOW instances", "all"}
    wanted = ("QIDO studies, StudyDate", "WADO study")
    read = load(tmp_path, gateway.url, "-u", "1", *shape, "--stored", "1", "Archive", until=wanted)
    assert read.clean(*wanted), read
    assert "STOW instances" not in read.kinds


def test_other_bytes_than_those_that_were_sent_are_failures(gateway: Gateway, tmp_path: Path) -> None:
    shape = ("--seed", "8", "--size", "small", "--per-request", "4", "-t", "2m")
    assert load(tmp_path, gateway.url, "-u", "1", *shape, "--slices", "4", "Modality", until=["STOW instances"]).clean("STOW instances")
    run = load(tmp_path, gateway.url, "-u", "1", *shape, "--slices", "5", "--stored", "1", "Archive", until=["WADO study"])
    assert run.code == 1
    assert run.kinds["WADO study"].failures == run.kinds["WADO study"].requests > 0
    assert "4 instances instead of 5" in run.log


def test_nobody_there_is_a_failure(tmp_path: Path) -> None:
    run = load(tmp_path, "http://127.0.0.1:9", "-u", "1", *SMALL, "Modality", until=["STOW instances"])
    assert run.code == 1 and run.kinds["STOW instances"].failures > 0
    assert "no answer" in run.log


def test_a_load_of_nothing_is_no_success(gateway: Gateway, tmp_path: Path) -> None:
    run = load(tmp_path, gateway.url, "-u", "1", "--size", "small", "-t", "1s", "Viewer")
    assert run.code == 1 and run.kinds == {}
    assert "No request was made" in run.log


@contextmanager
def guarded(folder: Path, token: str, more: str = "") -> Iterator[tuple[Gateway, str]]:
    """A gateway that lets nobody in without the token, and the name of a file that holds it."""
    folder.mkdir()
    (folder / "token").write_text(token + "\n")
    (folder / "gateway.toml").write_text(f'[server]\ntoken_file = "{folder}/token"\n{more}')
    with running(folder, "--config", str(folder / "gateway.toml"), "--workers", "1") as gateway:
        yield gateway, str(folder / "token")


def test_what_an_archive_retrieves_goes_on_to_another_server(tmp_path: Path) -> None:
    """Each server is sent its own token: neither of them knows the other's."""
    with guarded(tmp_path / "here", "token-of-here") as (here, its), guarded(tmp_path / "there", "token-of-there") as (there, other):
        to = ("--token-file", its, "--to", there.url + "/", "--to-token-file", other, "--to-share", "1")
        wanted = ("WADO study", "STOW to the second server", "WADO of the second server")
        run = load(tmp_path, here.url, "-u", "3", *SMALL, *to, "Modality", "Archive", until=wanted)
    assert run.clean(*wanted), run
    assert "token-of" not in run.log


def test_a_second_server_is_not_sent_the_token_of_the_first(tmp_path: Path) -> None:
    """That of the environment is the host's as well: without one of its own, the second server gets none."""
    with guarded(tmp_path / "here", "same") as (here, its), guarded(tmp_path / "there", "same") as (there, _):
        to = ("--token-file", its, "--to", there.url, "--to-share", "1")
        environment = {"DICOMWEB_TOKEN": "same"}
        stored = "STOW to the second server"
        run = load(tmp_path, here.url, "-u", "3", *SMALL, *to, "Modality", "Archive", until=[stored], environment=environment)
    assert run.code == 1 and run.kinds[stored].failures == run.kinds[stored].requests > 0
    assert "status 401" in run.log


def test_a_day_at_a_store_of_projects_that_says_wait_now_and_then(tmp_path: Path) -> None:
    """Ninety users at the morning's peak are nine at night: the run is over before the morning."""
    wanted = {"STOW instances", "WADO study", *OPENED}
    waits = {"WADO frame, told to wait"}
    day = ("-u", "90", *SMALL, "HospitalDay")
    with guarded(tmp_path / "store", "a-token", "[emulator]\nerror_rate = 0.1\n") as (gateway, _):
        run = load(tmp_path, gateway.root + STORE, *day, until=wanted | waits, environment={"DICOMWEB_TOKEN": "a-token"})
    assert run.clean(*wanted), run
    assert run.kinds["WADO frame"].waits > 0
    assert "00:00, night: 9 users" in run.log


def test_a_day_ends_by_itself(gateway: Gateway, tmp_path: Path) -> None:
    run = load(tmp_path, gateway.url, "-u", "3", "--size", "small", "--slices", "2", "--pause", "0.1", "-t", "4s", "--day", "Modality")
    assert run.clean("STOW instances"), run
    assert "Shape test completed" in run.log


def test_a_wrong_token_opens_no_door(tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("the-wrong-one")
    with guarded(tmp_path / "store", "the-right-one") as (gateway, _):
        run = load(tmp_path, gateway.url, "-u", "1", *SMALL, "--token-file", str(tmp_path / "wrong"), "Modality", until=["STOW instances"])
    assert run.code == 1
    assert "status 401 instead of 200" in run.log and "the-wrong-one" not in run.log
