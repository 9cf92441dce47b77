"""A power cut: what was acknowledged before it is there after it.

An ext4 image on a loop device is the disk. Its backing file, copied at a random moment, is what the disk would hold after
a cut at that moment: pages that the inner file system has not written out are not in it. Needs root and /dev/loop.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.backends.local.repair import fsck
from tests.flows.client import Client, digest
from tests.flows.test_crash import CLIENTS, Modality
from tests.running import Gateway

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@contextmanager
def _mounted(image: Path, where: Path) -> Iterator[Path]:
    where.mkdir()
    _run("mount", "-o", "loop", str(image), str(where))
    try:
        yield where
    finally:
        _run("umount", str(where))


@pytest.mark.skipif(os.getuid() != 0 and "CI" not in os.environ, reason="mounting needs root; CI has it")
@pytest.mark.parametrize("seed", range(5))
def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path, seed: int) -> None:
    image, cut = tmp_path / "image", tmp_path / "cut"
    with image.open("wb") as file:
        file.truncate(512 << 20)
    _run("mkfs.ext4", "-q", "-F", str(image))
    with _mounted(image, tmp_path / "live") as live:
        gateway = Gateway(live, "--workers", "1")
        gateway.start()
        crew = [Modality(gateway.url, number, seed) for number in range(CLIENTS)]
        for modality in crew:
            modality.start()
        time.sleep(random.Random(seed).uniform(1, 2.5))
        # What clients know is noted before the copy is made: nothing after it counts.
        acknowledged = {uids: sha for modality in crew for uids, sha in dict(modality.acknowledged).items()}
        gateway.signal(signal.SIGSTOP)
        shutil.copyfile(image, cut)
        gateway.signal(signal.SIGCONT)
        for modality in crew:
            modality.stopping.set()
        for modality in crew:
            modality.join(30)
        gateway.stop()
    assert acknowledged
    with _mounted(cut, tmp_path / "after") as after:
        again = Gateway(after, "--workers", "1")
        again.start()
        client = Client(again.url)
        try:
            for uids, sha in acknowledged.items():
                status, data = client.instance(*uids)
                assert (status, digest(data)) == (200, sha), uids
        finally:
            client.close()
            again.stop()
        assert not fsck(after / "data" / "default").problems
