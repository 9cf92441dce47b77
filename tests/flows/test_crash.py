"""kill -9 and SIGTERM under load: nothing that was acknowledged is ever lost, and nobody is cut off who need not be."""

from __future__ import annotations

import http.client
import itertools
import random
import threading
import time
from pathlib import Path

import pytest

from gateway.backends.local.repair import fsck
from tests.backends.made import dicom
from tests.flows.client import Client, digest
from tests.running import Gateway

CLIENTS = 8
GONE = (ConnectionError, http.client.HTTPException, TimeoutError)


class Modality(threading.Thread):
    """Stores fresh instances until it is told to stop, and remembers only what was acknowledged."""

    def __init__(self, url: str, number: int, round_: int) -> None:
        super().__init__()
        self._client = Client(url)
        self._number = number
        self._round = round_
        self.acknowledged: dict[tuple[str, str, str], str] = {}
        self.refused: list[int] = []
        self.broken = 0
        self.stopping = threading.Event()

    def run(self) -> None:
        for count in itertools.count(1):
            if self.stopping.is_set():
                break
            study = f"1.{self._number + 1}.{self._round + 1}.{count}"
            files = {(study, f"{study}.1", f"{study}.1.{i}"): dicom(study, f"{study}.1", f"{study}.1.{i}") for i in (1, 2, 3)}
            try:
                status, stored = self._client.store(list(files.values()))
            except ConnectionRefusedError:
                time.sleep(0.02)
            except GONE:
                self.broken += 1
            else:
                self.refused += [] if status == 200 else [status]
                self.acknowledged |= {uids: digest(data) for uids, data in files.items() if uids[2] in stored}
        self._client.close()


def _verify(gateway: Gateway, modalities: list[Modality]) -> int:
    """Every acknowledged instance is found and comes back as it was sent; every one that is found is whole."""
    client = Client(gateway.url)
    acknowledged = {uids: sha for modality in modalities for uids, sha in modality.acknowledged.items()}
    for uids, sha in acknowledged.items():
        status, data = client.instance(*uids)
        assert (status, digest(data)) == (200, sha), uids
    listed = {item["00080018"]["Value"][0] for item in client.found("/instances?limit=50000")}
    assert {sop for _, _, sop in acknowledged} <= listed
    client.close()
    return len(acknowledged)


def _crash_rounds(folder: Path, rounds: int, workers: int) -> None:
    gateway = Gateway(folder, "--workers", str(workers))
    chance = random.Random(7)
    modalities: list[Modality] = []
    gateway.start()
    for number in range(rounds):
        crew = [Modality(gateway.url, client, number) for client in range(CLIENTS)]
        modalities += crew
        for modality in crew:
            modality.start()
        time.sleep(chance.uniform(0.3, 0.8))
        gateway.kill()
        for modality in crew:
            modality.stopping.set()
        for modality in crew:
            modality.join(30)
            assert not modality.refused
        gateway.start()
    try:
        assert _verify(gateway, modalities) > rounds
    finally:
        gateway.stop()
    report = fsck(folder / "data" / "default")
    assert not report.problems
    assert not list((folder / "data" / "default" / "incoming").iterdir())


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    _crash_rounds(tmp_path, rounds=3, workers=1)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("workers", [1, 2])
def test_kill_9_twenty_times(tmp_path: Path, workers: int) -> None:
    _crash_rounds(tmp_path, rounds=20, workers=workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_sigterm_under_load_fails_nobody_who_retries_refused_connections(tmp_path: Path, workers: int) -> None:
    gateway = Gateway(tmp_path, "--workers", str(workers))
    gateway.start()
    crew = [Modality(gateway.url, client, 0) for client in range(CLIENTS)]
    for modality in crew:
        modality.start()
    try:
        for _ in range(2):
            time.sleep(1)
            assert gateway.stop() == 0
            gateway.start()
        time.sleep(0.5)
    finally:
        for modality in crew:
            modality.stopping.set()
        for modality in crew:
            modality.join(30)
    try:
        assert sum(modality.broken for modality in crew) == 0
        assert not [status for modality in crew for status in modality.refused]
        assert _verify(gateway, crew) > 0
    finally:
        gateway.stop()
