"""Servers from outside."""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from loadtests.bench.figures import MIB
from loadtests.bench.processes import descendants, started
from loadtests.passthrough import free_port

CODE = """
import http.server, os, subprocess, sys, threading, time
# a child of a thread that is not the main one
threading.Thread(target=lambda: subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])).start()
held = []
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/grow":
            held.append(b"x" * (64 << 20)); held.clear()
        if self.path == "/work":
            end = time.process_time() + 0.2
            while time.process_time() < end: pass
        self.send_response(200); self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


def test_a_server_is_seen_with_its_children_and_ends(tmp_path: Path) -> None:
    port = free_port()
    allowed = set(sorted(os.sched_getaffinity(0))[:1])
    with started([sys.executable, "-c", CODE, str(port)], port, tmp_path / "log", cpus=allowed) as server:
        (pid,) = server.pids
        end = time.monotonic() + 30
        while len(server.tree()) < 2 and time.monotonic() < end:
            time.sleep(0.02)
        child = server.tree()[1]
        assert os.sched_getaffinity(pid) == os.sched_getaffinity(child) == allowed

        before = server.cpu()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/work").close()
        assert server.cpu() - before >= 0.2

        server.reset_peak()
        low = server.peak()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/grow").close()
        assert server.peak() - low > 60 * MIB and server.resident() < low + 32 * MIB
        os.kill(child, 9)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert (descendants(pid), server.cpu(), server.peak()) == ([pid], 0.0, 0)


def test_a_server_that_ends_at_once_is_told_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such folder')"]
    with pytest.raises(RuntimeError, match=r"ended with 1:\nno such folder"), started(command, free_port(), tmp_path / "log", cpus={0}):
        pass


def test_a_server_that_never_listens_is_not_waited_for_forever(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(TimeoutError), started(command, free_port(), tmp_path / "log", cpus={0}, patience=0):
        pass


def test_settings_of_the_caller_do_not_reach_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_LOG__LEVEL", "debug")
    command = [sys.executable, "-c", "import os, sys; sys.exit(str([n for n in os.environ if 'GATEWAY_' in n]) + os.environ['MORE'])"]
    with (
        pytest.raises(RuntimeError, match=r"\[\]so"),
        started(command, free_port(), tmp_path / "log", cpus=os.sched_getaffinity(0), MORE="so"),
    ):
        pass
