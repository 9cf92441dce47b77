"""Orthanc from Debian as a client: its DICOMweb plugin sends to, searches in and fetches from the gateway."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.running import free_port

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
MISSING = "is missing: apt-get install orthanc orthanc-dicomweb"
START_SECONDS = 60


class Orthanc:
    """:param url: where it listens; `gateway` is the name of the gateway there."""

    def __init__(self, url: str) -> None:
        self._url = url

    def ask(self, path: str, body: Any = None) -> bytes:
        """GET, or POST of JSON or bytes.

        :raises AssertionError: with what Orthanc says, when it does not say 200.
        """
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(self._url + path, data), timeout=60) as answer:
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.code} {error.read().decode(errors='replace')}") from error

    def remote(self, action: str, body: Any) -> Any:
        """What its client does with the gateway: stow, retrieve, get, qido or delete."""
        answer = self.ask(f"/dicom-web/servers/gateway/{action}", body)
        return json.loads(answer) if answer.strip() else None

    def upload(self, data: bytes) -> str:
        """The name that Orthanc gives to an instance."""
        return str(json.loads(self.ask("/instances", data))["ID"])


@contextmanager
def orthanc(folder: Path, gateway: str) -> Iterator[Orthanc]:
    """A running Orthanc with its own folder and port; ended by pid.

    :param gateway: its URL up to ``/dicom-web``.
    """
    program = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")  # which is not in everybody's PATH
    assert program, f"Orthanc {MISSING}"
    assert PLUGIN.exists(), f"{PLUGIN} {MISSING}"
    port = free_port()
    remote = {"Url": f"{gateway}/", "HasDelete": True, "ChunkedTransfers": True}
    settings = {
        "Name": "client",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [str(PLUGIN)],
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "SaveJobs": False,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "Servers": {"gateway": remote}},
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program, str(path)], stdout=log, stderr=log, start_new_session=True)
    try:
        started = Orthanc(f"http://127.0.0.1:{port}")
        _wait(started, process, folder / "orthanc.log")
        yield started
    finally:
        process.terminate()
        process.wait(60)


def _wait(started: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, f"Orthanc ended:\n{log.read_text(errors='replace')[-2000:]}"
        try:
            started.ask("/system")
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise TimeoutError("Orthanc did not become ready")
