from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway import cgroup


@pytest.fixture(autouse=True)
def _eight_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_without_cgroups_there_is_no_limit_but_the_affinity_mask(tmp_path: Path) -> None:
    assert cgroup.granted_cpus(tmp_path) == 8
    assert cgroup.granted_memory(tmp_path) is None


def test_version_2(tmp_path: Path) -> None:
    root = write(tmp_path, {"sys/fs/cgroup/cpu.max": "350000 100000\n", "sys/fs/cgroup/memory.max": "1073741824\n"})
    assert cgroup.granted_cpus(root) == 3
    assert cgroup.granted_memory(root) == 1 << 30


def test_version_2_without_limits(tmp_path: Path) -> None:
    root = write(tmp_path, {"sys/fs/cgroup/cpu.max": "max 100000\n", "sys/fs/cgroup/memory.max": "max\n"})
    assert cgroup.granted_cpus(root) == 8
    assert cgroup.granted_memory(root) is None


def test_the_tightest_group_on_the_way_up_counts(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "0::/pod/container\n",
            "sys/fs/cgroup/pod/cpu.max": "200000 100000",
            "sys/fs/cgroup/pod/container/cpu.max": "600000 100000",
            "sys/fs/cgroup/memory.max": "9000000000",
            "sys/fs/cgroup/pod/container/memory.max": "5000000000",
        },
    )
    assert cgroup.granted_cpus(root) == 2
    assert cgroup.granted_memory(root) == 5_000_000_000


def test_version_1(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/box\n3:cpu,cpuacct:/box\n",
            "sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "400000",
            "sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/box/memory.limit_in_bytes": "2147483648",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        },
    )
    assert cgroup.granted_cpus(root) == 4
    assert cgroup.granted_memory(root) == 2 << 30


def test_version_1_without_quota(tmp_path: Path) -> None:
    root = write(tmp_path, {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"})
    assert cgroup.granted_cpus(root) == 8


def test_less_than_one_cpu_is_still_one(tmp_path: Path) -> None:
    assert cgroup.granted_cpus(write(tmp_path, {"sys/fs/cgroup/cpu.max": "50000 100000"})) == 1
