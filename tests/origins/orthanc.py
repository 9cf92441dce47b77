"""Orthanc from Debian as an origin, asked directly: what it answers without the gateway in front."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.running import free_port

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
MISSING = "is missing: apt-get install orthanc orthanc-dicomweb"
START_SECONDS = 60


@dataclass(frozen=True)
class Direct:
    """An answer without anybody in between."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else []


class Orthanc:
    """A running Orthanc.

    :param root: where it listens; `url` is the base of its DICOMweb.
    """

    def __init__(self, root: str, folder: Path) -> None:
        self.root = root
        self.url = f"{root}/dicom-web"
        self.folder = folder

    def ask(self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Direct:
        """One request, whatever the answer; `path` is below `root` and goes out as it stands."""
        request = urllib.request.Request(self.root + path, body, dict(headers or {}), method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return Direct(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Direct(error.code, dict(error.headers), error.read())

    def get(self, path: str, accept: str = "*/*") -> Direct:
        """A GET of its DICOMweb."""
        return self.ask("GET", "/dicom-web" + path, headers={"Accept": accept})

    def upload(self, *files: bytes) -> None:
        """Stores instances by its own API."""
        for data in files:
            answer = self.ask("POST", "/instances", data)
            assert answer.status == 200, answer.body

    def empty(self) -> None:
        """Deletes everything."""
        patients = self.ask("GET", "/patients").json
        if patients:
            done = self.ask("POST", "/tools/bulk-delete", json.dumps({"Resources": patients}).encode())
            assert done.status == 200, done.body

    @property
    def instances(self) -> int:
        """How many it holds."""
        return int(self.ask("GET", "/statistics").json["CountInstances"])


@cache
def shared(**settings: Any) -> Orthanc:
    """One Orthanc of these settings for all tests of this process, ended with it. Tests empty it before they use it."""
    folder = Path(tempfile.mkdtemp(prefix="orthanc-"))
    started, process = start(folder, **settings)

    def end() -> None:
        process.terminate()
        process.wait(60)
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return started


def start(folder: Path, **settings: Any) -> tuple[Orthanc, subprocess.Popen[bytes]]:
    """A new Orthanc with its own folder and a free port; it is ready when this returns. Who starts it ends it.

    :param settings: of its configuration, over those below. Text of searches is in UTF-8 here: with its own default, Latin 1,
        it drops every character that Latin 1 does not have.
    """
    program = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")  # which is not in everybody's PATH
    assert program, f"Orthanc {MISSING}"
    assert PLUGIN.exists(), f"{PLUGIN} {MISSING}"
    port = free_port()
    chosen = {
        "Name": "origin",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "Plugins": [str(PLUGIN)],
        "HttpPort": port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": False,
        "SaveJobs": False,
        "DefaultEncoding": "Utf8",
        "HttpThreadsCount": 16,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    path, log = folder / "orthanc.json", folder / "orthanc.log"
    path.write_text(json.dumps(chosen | settings))
    with log.open("wb") as out:
        process = subprocess.Popen([program, str(path)], stdout=out, stderr=out, start_new_session=True)
    started = Orthanc(f"http://127.0.0.1:{port}", folder)
    try:
        _wait(started, process, log)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return started, process


def _wait(started: Orthanc, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, f"Orthanc ended:\n{log.read_text(errors='replace')[-2000:]}"
        try:
            started.ask("GET", "/system")
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise TimeoutError("Orthanc did not become ready")
