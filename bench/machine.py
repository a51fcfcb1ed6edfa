"""What the operating system knows: CPU time, memory and bytes written of processes, and what machine this is."""

import os
import platform
import sqlite3
import sys
from collections.abc import Iterable
from pathlib import Path

import msgspec
import psutil

TICKS = os.sysconf("SC_CLK_TCK")
MEGABYTE = 1_000_000


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """Where a run took place; neither names nor paths."""

    processor: str
    cores: int
    memory_gb: float
    system: str
    filesystem: str
    python: str
    sqlite: str


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a process and all its descendants have used since their start."""

    cpu_s: float
    written_bytes: int

    def since(self, before: "Usage") -> "Usage":
        return Usage(cpu_s=self.cpu_s - before.cpu_s, written_bytes=self.written_bytes - before.written_bytes)


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a process occupies: all of it, and with shared pages divided among those who share them."""

    resident_mb: float
    proportional_mb: float


def machine(*, folder: Path) -> Machine:
    """This machine, and the kind of file system that the folder lies on."""
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory_gb=round(psutil.virtual_memory().total / 1e9, 1),
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        filesystem=_filesystem(folder),
        python=platform.python_version(),
        sqlite=sqlite3.sqlite_version,
    )


def usage(process_id: int) -> Usage:
    """Of the process, its descendants, and those of them that have ended and were waited for."""
    cpu_s, written = 0.0, 0
    for each in _family(process_id):
        cpu_s += _cpu_s(each)
        written += _written(each)
    return Usage(cpu_s=cpu_s, written_bytes=written)


def memory(process_id: int) -> Memory:
    """Of the process and its descendants."""
    resident = proportional = 0
    for each in _family(process_id):
        for line in _read(Path(f"/proc/{each}/smaps_rollup")).splitlines():
            name, _, rest = line.partition(":")
            if name == "Rss":
                resident += int(rest.split()[0])
            elif name == "Pss":
                proportional += int(rest.split()[0])
    return Memory(resident_mb=resident * 1024 / MEGABYTE, proportional_mb=proportional * 1024 / MEGABYTE)


def folder_bytes(folders: Iterable[Path]) -> int:
    """What the files in the folders occupy; one that goes away meanwhile counts nothing."""
    total = 0
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                try:
                    total += os.stat(os.path.join(parent, name)).st_blocks * 512
                except FileNotFoundError:
                    continue
    return total


def cpu_ticks(stat: str) -> int:
    """utime, stime, cutime and cstime of a line of /proc/PID/stat; the name in it may hold spaces and brackets."""
    fields = stat.rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])


def _family(process_id: int) -> list[int]:
    try:
        children = psutil.Process(process_id).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [process_id, *(child.pid for child in children)]


def _cpu_s(process_id: int) -> float:
    stat = _read(Path(f"/proc/{process_id}/stat"))
    return cpu_ticks(stat) / TICKS if stat else 0.0


def _written(process_id: int) -> int:
    for line in _read(Path(f"/proc/{process_id}/io")).splitlines():
        name, _, value = line.partition(":")
        if name == "write_bytes":
            return int(value)
    return 0


def _read(file: Path) -> str:
    """Nothing, of a process that has ended or may not be looked at."""
    try:
        return file.read_text()
    except OSError:
        return ""


def _processor() -> str:
    for line in _read(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine() or sys.platform


def _filesystem(folder: Path) -> str:
    """Of the longest mount point that the folder lies under."""
    best = ("", "unknown")
    for partition in psutil.disk_partitions(all=True):
        point = partition.mountpoint
        if (folder.resolve() == Path(point) or Path(point) in folder.resolve().parents) and len(point) >= len(best[0]):
            best = (point, partition.fstype)
    return best[1]
