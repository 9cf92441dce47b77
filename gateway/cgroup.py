"""What this process may use: CPUs and memory as the kernel grants them, not what the host has.

In a container `os.cpu_count()` counts the host's CPUs; the quota stands in the cgroup file system, version 2 or 1. Files
that are missing or unreadable mean "no limit" there: outside a container that is the truth.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path("/")


def granted_cpus(root: Path = ROOT) -> int:
    """Whole CPUs that may be used at once: the smallest of affinity mask and cgroup quotas, at least 1.

    Fractions are rounded down: a process more than the quota covers is throttled for the rest of every period.
    """
    quotas = (*_v2_cpus(root), *_v1_cpus(root))
    return max(1, int(min((len(os.sched_getaffinity(0)), *quotas))))


def granted_memory(root: Path = ROOT) -> int | None:
    """Bytes of memory before the kernel kills somebody, None without a limit."""
    limits = [*_v2_memory(root), *_v1_memory(root)]
    return min(limits) if limits else None


def _v2_cpus(root: Path) -> Iterator[float]:
    for folder in _folders(root, "", "sys/fs/cgroup"):
        quota, _, period = _read(folder / "cpu.max").partition(" ")
        if quota.isdecimal() and period.isdecimal():
            yield int(quota) / int(period)


def _v1_cpus(root: Path) -> Iterator[float]:
    for folder in _folders(root, "cpu", "sys/fs/cgroup/cpu"):
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal():
            yield int(quota) / int(period)


def _v2_memory(root: Path) -> Iterator[int]:
    for folder in _folders(root, "", "sys/fs/cgroup"):
        limit = _read(folder / "memory.max")
        if limit.isdecimal():
            yield int(limit)


def _v1_memory(root: Path) -> Iterator[int]:
    for folder in _folders(root, "memory", "sys/fs/cgroup/memory"):
        limit = _read(folder / "memory.limit_in_bytes")
        if limit.isdecimal() and int(limit) < 1 << 60:  # version 1 writes a number near 2^63 for "no limit"
            yield int(limit)


def _folders(root: Path, controller: str, mount: str) -> Iterator[Path]:
    """The folder of this process's group and of every group above it: each of them may limit.

    :param controller: the name in /proc/self/cgroup; empty for the unified hierarchy of version 2.
    """
    base = root / mount
    group = base / _own_group(root, controller)
    yield group
    yield from (folder for folder in group.parents if folder.is_relative_to(base))


def _own_group(root: Path, controller: str) -> str:
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(","):
            return path.lstrip("/")
    return ""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
