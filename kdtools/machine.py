"""What this process may use of the machine: cores and memory, by its affinity and the limits of its container."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

_ROOT = Path("/")
WAIT_POLICY = "OMP_WAIT_POLICY"  # a variable of the environment: ACTIVE or PASSIVE
SPIN_COUNT = "GOMP_SPINCOUNT"  # as well: rounds until a thread of GNU's OpenMP library sleeps
LEAST_LOAD = 0.3  # cores; as an average that of a program that has kept one core busy for 20 s
_NO_LIMIT = 1 << 60  # bytes; version 1 states a number near 2^63 instead of none


def n_cores(root: Path = _ROOT) -> int:
    """Number of cores that this process may use: those of its affinity, or fewer where a control group has a quota.

    A quota of one and a half cores counts as two, which use it up. `root` is the folder with proc/ and what is mounted.
    """
    quota = core_quota(root)
    cores = n_cores_of_affinity()
    return cores if quota is None else max(1, min(cores, math.ceil(quota)))


def core_quota(root: Path = _ROOT) -> float | None:
    """Processor time that the control groups of this process allow, in cores; None without a quota."""
    quotas = (_cores_of(folder) for folder in _control_groups("cpu", root))
    return min((quota for quota in quotas if quota is not None), default=None)


def memory_limit(root: Path = _ROOT) -> int | None:
    """Bytes that the control groups of this process allow; None without a limit."""
    limits = (_memory_of(folder) for folder in _control_groups("memory", root))
    return min((limit for limit in limits if limit is not None), default=None)


def n_bytes_of_memory(root: Path = _ROOT) -> int | None:
    """Memory of the machine, or what this process's control groups allow; None where the system does not say."""
    limits = [limit for limit in [memory_limit(root)] if limit is not None]
    with contextlib.suppress(OSError, ValueError, AttributeError):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(limits, default=None)


def openmp_settings(environment: Mapping[str, str], root: Path = _ROOT) -> dict[str, str]:
    """Variables of the environment for PyTorch's OpenMP library, which reads them when it is loaded.

    It would start a thread for each core of the affinity, whatever the quota. Its threads wait by spinning, which is
    fastest on cores of their own; beside other work they take each other's time, and sleep instead (`WAIT_POLICY`).
    Where the user has set one of the variables, this one is left out. No result depends on the way of waiting.
    """
    settings = {}
    if "OMP_NUM_THREADS" not in environment and n_cores(root) != n_cores_of_affinity():
        settings["OMP_NUM_THREADS"] = str(n_cores(root))
    if WAIT_POLICY not in environment and SPIN_COUNT not in environment and is_shared(root):
        settings[WAIT_POLICY] = "PASSIVE"
    return settings


def is_shared(root: Path = _ROOT) -> bool:
    """Whether other work runs now and would take time from threads on all cores that this process may use.

    The load average alone still counts programs that have just ended; what runs at this moment may be over at once.
    So both have to show it. False where the system does not tell, as on macOS.
    """
    words = " ".join(_lines(root / "proc/loadavg")).split()
    try:
        load, n_running = float(words[0]), int(words[3].partition("/")[0])
    except (IndexError, ValueError):
        return False
    free = (os.cpu_count() or 1) - n_cores(root)  # cores for the other work
    return min(load, n_running - _n_running_here(root)) >= free + LEAST_LOAD


def _n_running_here(root: Path) -> int:
    """Threads of this process that run now: libraries loaded before, such as NumPy's, may have some that spin."""
    states = (" ".join(_lines(path)).rpartition(")")[2].split()[:1] for path in root.glob("proc/self/task/*/stat"))
    return max(1, sum(state == ["R"] for state in states))


def threads_sleep(environment: Mapping[str, str]) -> bool:
    """Whether threads are to wait by sleeping, as the user or `openmp_settings` has set."""
    return environment.get(WAIT_POLICY, "").lower() == "passive"


def processor_time(root: Path = _ROOT) -> float | None:
    """Seconds that all programs have computed on the cores of this process's affinity since the machine's start.

    Spent by any program, on the system's side too. None where the system does not tell, as on macOS.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    own = {f"cpu{number}" for number in os.sched_getaffinity(0)}
    ticks = 0
    try:
        for line in _lines(root / "proc/stat"):
            name, *words = line.split() or [""]
            if name in own:
                user, nice, system, _, _, interrupts, soft_interrupts = (int(word) for word in words[:7])
                ticks += user + nice + system + interrupts + soft_interrupts
    except ValueError:
        return None
    return ticks / os.sysconf("SC_CLK_TCK") if ticks else None


def n_cores_of_affinity() -> int:
    """Number of cores that this process may run on, whatever the quota."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS does not tell which cores a process may use


def _control_groups(controller: str, root: Path) -> Iterator[Path]:
    """Folders of the control groups that hold this process, of either version, from its own up; each limits it.

    Within a container the path of a group may start above what is mounted there; then only the mounted part counts.
    """
    own: dict[str, str] = {}  # path of this process's group by controller; that of version 2 by ""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, path = (line.split(":", 2) + [""] * 2)[:3]
        if path.startswith("/"):
            own.update(dict.fromkeys(controllers.split(","), path))
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        kind, _, options = (after.split() + [""] * 3)[:3]
        is_mounted = kind == "cgroup2" or (kind == "cgroup" and controller in options.split(","))
        own_path = own.get("" if kind == "cgroup2" else controller)
        top, mounted_at = (PurePosixPath(_unescaped(word)) for word in (before.split() + [""] * 5)[3:5])
        if not is_mounted or own_path is None or not mounted_at.is_absolute():
            continue
        group = PurePosixPath(own_path)
        inner = group.relative_to(top) if group.is_relative_to(top) and ".." not in group.parts else PurePosixPath()
        for folder in (inner, *inner.parents):
            yield root / mounted_at.relative_to("/") / folder


def _lines(path: Path) -> list[str]:
    try:
        # Names of groups and folders may hold characters at which splitlines() would end a line.
        return path.read_text(errors="surrogateescape").removesuffix("\n").split("\n")
    except OSError:
        return []  # macOS, or no such controller


def _unescaped(word: str) -> str:
    r"""A path of mountinfo, in which a space is \040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), word)


def _cores_of(group: Path) -> float | None:
    """The quota of a control group in cores, None without one."""
    words = " ".join(_lines(group / "cpu.max")).split()
    words = words or [" ".join(_lines(group / f"cpu.cfs_{name}_us")) for name in ("quota", "period")]
    quota, period = words if len(words) == 2 else ("", "")
    if not (quota.isdecimal() and period.isdecimal() and int(period)):  # max, -1, or no such file
        return None
    return int(quota) / int(period)


def _memory_of(group: Path) -> int | None:
    """The limit of a control group in bytes, None without one."""
    limit = " ".join(_lines(group / "memory.max") or _lines(group / "memory.limit_in_bytes"))
    return int(limit) if limit.isdecimal() and int(limit) < _NO_LIMIT else None
