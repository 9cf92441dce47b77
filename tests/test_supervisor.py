"""Workers that share a port: they add up, are replaced when they die, and end in order."""

from __future__ import annotations

import os
import re
import signal
import tempfile
from pathlib import Path
from urllib.request import urlopen

import pytest

from gateway import supervisor
from gateway.exits import FAILED, MISCONFIGURED, OK
from gateway.worker import OWN_FOLDER
from tests import tiny
from tests.test_serving import CHUNKED, PATIENCE, connect, wait_until_refused


def get(host: str, port: int, path: str) -> str:
    """An answer's body; tries again while no worker listens yet."""
    while True:
        try:
            with urlopen(f"http://{host}:{port}{path}", timeout=PATIENCE) as answer:
                return str(answer.read().decode())
        except (ConnectionError, OSError) as error:
            if not isinstance(getattr(error, "reason", error), ConnectionError):
                raise


def workers(host: str, port: int, count: int) -> tuple[set[int], int]:
    """Asks until `count` different workers answered: their process ids, and how often was asked."""
    seen: set[int] = set()
    asked = 0
    while len(seen) < count:
        seen.add(int(get(host, port, "/who")))
        asked += 1
    return seen, asked


def total(page: str, series: str) -> float:
    found = re.search(rf"^{series} (\S+)$", page, re.MULTILINE)
    assert found, page
    return float(found[1])


def test_the_metrics_of_all_workers_add_up_and_survive_a_killed_one(tmp_path: Path) -> None:
    with tiny.running(tiny.settings(tmp_path, workers=2), "supervised") as (process, host, port):
        first, asked = workers(host, port, 2)
        page = get(host, port, "/total")
        assert total(page, "gateway_log_dropped_lines_total") == asked
        assert total(page, "gateway_buffered_bytes") == 2

        victim = first.pop()
        os.kill(victim, signal.SIGKILL)
        second, more = workers(host, port, 3 - len(first))
        while victim in second:  # it may have answered before it died
            second.discard(victim)
            again, most = workers(host, port, 2)
            second |= again
            more += most
        page = get(host, port, "/total")
        assert total(page, "gateway_log_dropped_lines_total") == asked + more
        assert total(page, "gateway_buffered_bytes") == 2
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == OK


def test_sigterm_lets_uploads_end_in_every_worker(tmp_path: Path) -> None:
    with tiny.running(tiny.settings(tmp_path, workers=2), "supervised") as (process, host, port):
        workers(host, port, 2)
        uploads = [connect(host, port) for _ in range(8)]
        for upload in uploads:
            upload.sendall(CHUNKED + b"4\r\nhalf\r\n")
        for _ in uploads:  # every worker has taken its connections by now
            get(host, port, "/ready")
        process.send_signal(signal.SIGTERM)
        wait_until_refused(host, port)
        for upload in uploads:
            upload.sendall(b"4\r\nmore\r\n0\r\n\r\n")
            with upload:
                assert tiny.receive_all(upload).endswith(b"8")
        assert process.wait(PATIENCE) == OK


def test_a_terminal_that_goes_lets_uploads_end_in_every_worker(tmp_path: Path) -> None:
    with tiny.running(tiny.settings(tmp_path, workers=2), "supervised") as (process, host, port):
        both, _ = workers(host, port, 2)
        upload = connect(host, port)
        upload.sendall(CHUNKED + b"4\r\nhalf\r\n")
        get(host, port, "/ready")
        for one in (process.pid, *both, process.pid):  # a terminal tells all of its processes, and a shell says it again
            os.kill(one, signal.SIGHUP)
        wait_until_refused(host, port)
        upload.sendall(b"4\r\nmore\r\n0\r\n\r\n")
        with upload:
            assert tiny.receive_all(upload).endswith(b"8")
        assert process.wait(PATIENCE) == OK


def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with tiny.running(tiny.settings(tmp_path, workers=2), "supervised") as (process, host, port):
        workers(host, port, 2)
        process.kill()
        wait_until_refused(host, port)


def test_settings_that_cannot_work_end_it_at_once(tmp_path: Path) -> None:
    with tiny.running(tiny.settings(tmp_path, workers=2, log={"level": "debug"}), "supervised") as (process, _, _):
        assert process.wait(PATIENCE) == MISCONFIGURED


async def test_a_worker_that_is_stopped_before_it_serves_is_no_failure(tmp_path: Path) -> None:
    starting = supervisor.Supervisor(tiny.settings(tmp_path, workers=1), ["sh", "-c", "kill -TERM $PPID; exec sleep 60"], tmp_path)
    assert await starting.run() == OK


async def test_a_worker_that_keeps_dying_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.001)
    dying = supervisor.Supervisor(tiny.settings(tmp_path, workers=2), ["sh", "-c", f"echo >> {tmp_path}/lives; exit 1"], tmp_path)
    assert await dying.run() == FAILED
    assert len((tmp_path / "lives").read_text()) >= supervisor.TRIES


async def test_live_gauges_of_a_dead_worker_are_forgotten_and_counters_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("gauge_livesum_0.db", "gauge_livesum_1.db", "counter_0.db"):
        (tmp_path / name).touch()
    monkeypatch.setattr(supervisor, "FIRST_PAUSE", 0.001)
    await supervisor.Supervisor(tiny.settings(tmp_path, workers=1), ["false"], tmp_path).run()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["counter_0.db", "gauge_livesum_1.db"]


def test_a_chosen_metrics_folder_is_emptied_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "counter_7.db").touch()
    (tmp_path / "other").touch()
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    with supervisor.metrics_folder() as folder:
        assert folder == tmp_path
        assert [path.name for path in folder.iterdir()] == ["other"]
    assert tmp_path.exists()


def test_a_metrics_folder_of_its_own_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    with supervisor.metrics_folder() as folder:
        assert list(folder.glob("*.db")) == []
    assert not folder.exists()


def test_metrics_of_those_who_were_killed_go_and_those_of_the_living_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # no /dev/shm
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead, strange = tmp_path / f"{OWN_FOLDER}dead", tmp_path / f"{OWN_FOLDER}strange"
    for folder in (dead, strange):
        folder.mkdir()
        (folder / "counter_0.db").touch()
    (dead / supervisor.ALIVE).touch()
    with supervisor.metrics_folder() as first:
        assert not dead.exists() and strange.exists()  # of which nobody knows whose it is
        with supervisor.metrics_folder() as second:
            assert first.exists() and second.exists()
