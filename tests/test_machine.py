"""Cores and memory of a process, from made-up control groups of both versions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kdtools.machine import is_shared, n_bytes_of_memory, n_cores, openmp_settings, processor_time, threads_sleep

V2 = "29 23 0:26 {top} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "33 32 0:29 {top} /sys/fs/cgroup/{name} rw shared:9 - cgroup cgroup rw,{name}"


@pytest.fixture(autouse=True)
def _eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)


def make_groups(root: Path, groups: str, mounts: str, files: dict[str, str]) -> Path:
    """A root folder with the groups of a process, what is mounted, and files below /sys/fs/cgroup."""
    for name, text in {"proc/self/cgroup": groups, "proc/self/mountinfo": mounts}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + "\n")
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def test_cores_are_those_of_the_affinity_where_nothing_limits_them(tmp_path: Path) -> None:
    assert n_cores(tmp_path) == 8  # no /proc, as on macOS
    make_groups(tmp_path, "0::/user.slice", V2.format(top="/"), {"user.slice/cpu.max": "max 100000"})
    assert n_cores(tmp_path) == 8


@pytest.mark.parametrize(("quota", "cores"), [("200000", 2), ("150000", 2), ("10000", 1), ("9900000", 8)])
def test_a_quota_of_version_2(tmp_path: Path, quota: str, cores: int) -> None:
    make_groups(tmp_path, "0::/a/b", V2.format(top="/"), {"a/b/cpu.max": f"{quota} 100000"})
    assert n_cores(tmp_path) == cores


def test_the_least_quota_of_nested_groups_counts(tmp_path: Path) -> None:
    files = {"a/cpu.max": "300000 100000", "a/b/cpu.max": "max 100000", "a/b/c/cpu.max": "500000 100000"}
    make_groups(tmp_path, "0::/a/b/c", V2.format(top="/"), files | {"other/cpu.max": "100000 100000"})
    assert n_cores(tmp_path) == 3


@pytest.mark.parametrize(("quota", "cores"), [("250000", 3), ("-1", 8)])
def test_a_quota_of_version_1(tmp_path: Path, quota: str, cores: int) -> None:
    files = {"cpu,cpuacct/box/cpu.cfs_quota_us": quota, "cpu,cpuacct/box/cpu.cfs_period_us": "100000"}
    groups = "5:memory:/box\n4:cpuset:/\n3:cpu,cpuacct:/box\n0::/"
    make_groups(tmp_path, groups, V1.format(top="/", name="cpu,cpuacct"), files)
    assert n_cores(tmp_path) == cores


def test_a_container_sees_its_own_group_at_the_top(tmp_path: Path) -> None:
    """Its path outside is told, but only what is below it is mounted."""
    mounted = V1.format(top="/docker/4f2a", name="cpu,cpuacct")
    files = {"cpu,cpuacct/cpu.cfs_quota_us": "100000", "cpu,cpuacct/cpu.cfs_period_us": "50000"}
    assert n_cores(make_groups(tmp_path / "1", "3:cpuacct,cpu:/docker/4f2a", mounted, files)) == 2
    inner = {"cpu,cpuacct/job/cpu.cfs_quota_us": "50000", "cpu,cpuacct/job/cpu.cfs_period_us": "50000", **files}
    assert n_cores(make_groups(tmp_path / "2", "3:cpuacct,cpu:/docker/4f2a/job", mounted, inner)) == 1
    elsewhere = make_groups(tmp_path / "3", "0::/../other", V2.format(top="/"), {"cpu.max": "400000 100000"})
    assert n_cores(elsewhere) == 4


def test_a_mounted_folder_with_a_space(tmp_path: Path) -> None:
    mount = V2.format(top="/").replace("/sys/fs/cgroup ", r"/sys/fs/cgroup/my\040groups ")
    make_groups(tmp_path, "0::/", mount, {"my groups/cpu.max": "100000 100000"})
    assert n_cores(tmp_path) == 1


@pytest.mark.parametrize("text", ["", "max", "100000", "200000 0", "many 100000", "\x00"])
def test_an_unreadable_quota_is_none(tmp_path: Path, text: str) -> None:
    make_groups(tmp_path, "0::/", V2.format(top="/"), {"cpu.max": text})
    assert n_cores(tmp_path) == 8


@pytest.mark.parametrize(
    ("groups", "mount"),
    [
        ("", V2.format(top="/")),
        ("0::/a\n\nnothing of the kind", "29 23\n\n" + V2.format(top="/")),
        ("0::/a\u2028b", V2.format(top="/").replace("/sys/fs/cgroup", "sys")),
        ("0:", "- cgroup2"),
    ],
)
def test_odd_lines_of_the_system_are_passed_over(tmp_path: Path, groups: str, mount: str) -> None:
    make_groups(tmp_path, groups, mount, {"a/cpu.max": "\u00b2 100000"})
    assert n_cores(tmp_path) == 8
    assert openmp_settings({}, tmp_path) == {}


def test_pytorch_gets_no_more_threads_than_a_quota_allows(tmp_path: Path) -> None:
    """Without a quota nothing is set, so that sums keep their order."""
    make_groups(tmp_path, "0::/", V2.format(top="/"), {"cpu.max": "max 100000"})
    assert openmp_settings({}, tmp_path) == {}
    (tmp_path / "sys/fs/cgroup/cpu.max").write_text("200000 100000")
    assert openmp_settings({}, tmp_path) == {"OMP_NUM_THREADS": "2"}
    assert openmp_settings({"OMP_NUM_THREADS": "5"}, tmp_path) == {}


def test_threads_of_this_process_are_no_other_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As NumPy's, which spin where it was imported before; the load is that of a program that has ended."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    make_groups(tmp_path, "0::/", V2.format(top="/"), {"cpu.max": "max 100000"})
    (tmp_path / "proc/loadavg").write_text("1.29 1.39 2.72 3/86 30360\n")
    assert is_shared(tmp_path)
    for number, state in enumerate("RRSR"):
        folder = tmp_path / f"proc/self/task/{number}"
        folder.mkdir(parents=True)
        (folder / "stat").write_text(f"{number} (python) 3) {state} 1 2 3\n")
        assert is_shared(tmp_path) == (number < 3)


@pytest.mark.parametrize(
    ("load", "n_cpus", "shared"),
    [
        ("0.05 0.10 0.20 1/120 99", 8, False),  # nothing but this process
        ("0.35 0.10 0.02 2/120 99", 8, True),  # a busy loop, for 25 s
        ("1.00 1.00 1.00 3/120 99", 8, True),
        ("2.00 1.50 1.00 1/120 99", 8, False),  # what has ended
        ("0.02 0.10 0.20 5/120 99", 8, False),  # for a moment
        ("20.0 20.0 20.0 21/900 99", 64, False),  # on the other 56 cores
        ("57.0 57.0 57.0 60/900 99", 64, True),
        ("", 8, False),
        ("much", 8, False),
    ],
)
def test_threads_sleep_beside_other_work(
    load: str, n_cpus: int, shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: n_cpus)
    make_groups(tmp_path, "0::/", V2.format(top="/"), {"cpu.max": "max 100000"})
    (tmp_path / "proc/loadavg").write_text(load + "\n")
    assert is_shared(tmp_path) == shared
    assert openmp_settings({}, tmp_path) == ({"OMP_WAIT_POLICY": "PASSIVE"} if shared else {})
    assert openmp_settings({"OMP_WAIT_POLICY": "ACTIVE"}, tmp_path) == {}
    assert openmp_settings({"GOMP_SPINCOUNT": "1000"}, tmp_path) == {}


STAT = """cpu  900 0 900 9000 0 0 0 0 0 0
cpu0 100 20 30 1000 500 4 6 50 7 8
cpu1 1 2 3 4 5 6 7 8 9 10
cpu10 10000 0 0 0 0 0 0 0 0 0
intr 1 2 3
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="asks for own cores")
def test_processor_time_is_that_spent_on_own_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without waiting for disks, what the host took away, and guests, which count for the user already."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    (tmp_path / "proc").mkdir()
    assert processor_time(tmp_path) is None
    (tmp_path / "proc/stat").write_text(STAT)
    assert processor_time(tmp_path) == (160 + 19) / os.sysconf("SC_CLK_TCK")
    (tmp_path / "proc/stat").write_text("cpu0 much\n")
    assert processor_time(tmp_path) is None


def test_the_way_of_waiting_is_that_of_the_environment() -> None:
    assert threads_sleep({"OMP_WAIT_POLICY": "passive"})
    assert not threads_sleep({"OMP_WAIT_POLICY": "ACTIVE"})
    assert not threads_sleep({})


def test_memory_of_nested_groups(tmp_path: Path) -> None:
    files = {"a/memory.max": str(3 << 20), "a/b/memory.max": "max"}
    assert n_bytes_of_memory(make_groups(tmp_path / "2", "0::/a/b", V2.format(top="/"), files)) == 3 << 20
    files = {"memory/a/memory.limit_in_bytes": str(5 << 20), "memory/memory.limit_in_bytes": "9223372036854771712"}
    assert n_bytes_of_memory(make_groups(tmp_path / "1", "4:memory:/a", V1.format(top="/", name="memory"), files)) == (
        5 << 20
    )
    assert n_bytes_of_memory(tmp_path / "none") == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
