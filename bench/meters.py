"""Meters: what a process has used, read from /proc; and what the machine is."""

from __future__ import annotations

import contextlib
import os
import platform
import sqlite3
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
QUIET_CORES = 0.04
"""A server that uses less than this has settled."""


def cpu_s(pid: int) -> float:
    """CPU seconds of a process, user and system, with all its threads and the children it has waited for."""
    return _ticks(Path(f"/proc/{pid}/stat"), 4) / _TICKS


def tree_cpu_s(*pids: int) -> float:
    """CPU seconds of these processes and all that descend from them and still run."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # one that has ended meanwhile
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    found, total = set(pids), 0.0
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    for pid in found:
        with contextlib.suppress(OSError):
            total += cpu_s(pid)
    return total


def main_thread_cpu_s(pid: int) -> float:
    """CPU seconds of the main thread alone: where an asyncio loop lives."""
    return _ticks(Path(f"/proc/{pid}/task/{pid}/stat"), 2) / _TICKS


def _ticks(stat: Path, fields: int) -> int:
    # proc(5): behind "pid (comm)", which may hold blanks, the 12th to 15th are utime, stime, cutime, cstime.
    after = stat.read_text().rpartition(")")[2].split()
    return sum(int(ticks) for ticks in after[11 : 11 + fields])


def memory_mb(pid: int) -> tuple[float, float]:
    """Resident memory of a process now and at its peak, in MB of 10^6 bytes."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    now, peak = (int(lines[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM"))
    return now, peak


def written_bytes(pid: int) -> int:
    """Bytes that a process has caused to be written to disks (proc(5), io: write_bytes)."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/io").read_text().splitlines())
    return int(lines["write_bytes"])


def settle(pid: int, at_most_s: float = 60.0) -> float:
    """Wait until a server has finished what it does behind its answers; the seconds that took."""
    began, quiet = time.perf_counter(), 0
    while quiet < 2 and time.perf_counter() - began < at_most_s:
        before = cpu_s(pid)
        time.sleep(0.15)
        quiet = quiet + 1 if cpu_s(pid) - before <= QUIET_CORES * 0.15 + 0.01 else 0
    return time.perf_counter() - began


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of them lie, by nearest rank; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def fsync_ms(folder: Path, times: int = 200) -> float:
    """The median time of a bare 4 KB write and fdatasync in `folder`, in ms."""
    taken = []
    handle = os.open(folder / "fsync.probe", os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for _ in range(times):
            began = time.perf_counter()
            os.write(handle, bytes(4096))
            os.fdatasync(handle)
            taken.append(1000 * (time.perf_counter() - began))
    finally:
        os.close(handle)
        (folder / "fsync.probe").unlink()
    return statistics.median(taken)


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    cpu = Path("/proc/cpuinfo").read_text()
    names = [line.partition(":")[2].strip() for line in cpu.splitlines() if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split("\n", 1)[0].split()[1]
    return {
        "processor": f"{os.cpu_count()} × {names[0] if names else platform.machine()}",
        "memory": f"{int(memory) / 1024**2:.0f} GiB",
        "system": _system(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
    }


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except OSError:
        name = platform.system()
    return f"{name}, Linux {platform.release()}"
