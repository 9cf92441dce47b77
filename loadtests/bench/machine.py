"""What the figures were measured on: nothing that names a host, a user or a folder."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loadtests.bench.peers import program

PACKAGES = ("dicomweb-gateway", "aiohttp", "uvloop", "pydicom", "orjson", "imagecodecs", "simplejpeg")


def facts(folder: Path) -> dict[str, Any]:
    """Processor, memory, versions. :param folder: where the data lie, for the kind of its file system."""
    return {
        "processor": _line("/proc/cpuinfo", r"model name\s*:\s*(.+)"),
        "cpus": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(_line("/proc/meminfo", r"MemTotal:\s*(\d+)") or 0) / (1 << 20), 1),
        "kernel": platform.release().split("-")[0],
        "file_system": _file_system(folder),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "orthanc": _says("Orthanc", "--version"),
        "nginx": _says("nginx", "-v"),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _line(path: str, pattern: str) -> str:
    found = re.search(pattern, Path(path).read_text())
    return found[1].strip() if found else ""


def _version(package: str) -> str:
    try:
        return version(package)
    except ImportError:
        return ""


def _file_system(folder: Path) -> str:
    """That of the longest mount point which the folder is below."""
    mounts = [line.split()[1:3] for line in Path("/proc/self/mounts").read_text().splitlines()]
    below = [(len(point), kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(below)[1] if below else ""


def _says(name: str, flag: str) -> str:
    """The version in the first line of what a program prints."""
    found = program(name)
    if found is None:
        return ""
    done = subprocess.run([found, flag], capture_output=True, text=True, check=False)  # noqa: S603 - a program of this machine
    number = re.search(r"\d+\.\d+(\.\d+)?", done.stdout + done.stderr)
    return number[0] if number else ""
