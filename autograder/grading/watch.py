"""Watches what a learner's processes use in sum, and ends them where it is too much."""

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

import psutil

from autograder.grading.limits import Limits

PERIOD = 0.25  # seconds between two looks
FILES = 100_000  # files and folders of one home


class Watch:
    """A thread that looks at the processes below `pid` and at the files in `folder` until it is told to stop.

    counts_memory: whether memory is bounded otherwise, by a cgroup. `why` says what was too much, once it ended them.
    """

    def __init__(self, pid: int | None, folder: Path, limits: Limits, counts_memory: bool):
        self.why = ""
        self._checks: list[Callable[[], str]] = [lambda: _too_many_bytes(folder, limits.disk)]
        if pid and not counts_memory:
            self._checks += [lambda: _too_much_memory(pid, limits.memory), lambda: _full_tmpfs(pid, limits.disk)]
        self._pid, self._stop = pid, threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(PERIOD):
            for check in self._checks:
                with contextlib.suppress(psutil.Error, OSError):
                    if why := check():
                        self.why = why
                        end(self._pid)
                        return

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def end(pid: int | None) -> None:
    """End a process and all it started, at once."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(pid)
        for one in (*process.children(recursive=True), process):
            with contextlib.suppress(psutil.Error):
                one.kill()


def last_in_line(pid: int | None) -> None:
    """From now on a process and what it starts get the processor after the grader's own work."""
    with contextlib.suppress(psutil.Error, OSError):
        process = psutil.Process(pid)
        for one in (process, *process.children(recursive=True)):
            one.nice(10)


def _too_much_memory(pid: int, most: int) -> str:
    """Shared memory counts once, however many processes share it."""
    process = psutil.Process(pid)
    used = 0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.Error):
            info = one.memory_full_info()
            used += getattr(info, "pss", info.rss) + getattr(info, "swap", 0)
    return f"it used more than {most >> 20:,} MiB of memory" if used > most else ""


def _too_many_bytes(folder: Path, most: int) -> str:
    used = entries = 0
    folders = [str(folder)]
    while folders:
        with contextlib.suppress(FileNotFoundError, PermissionError), os.scandir(folders.pop()) as inside:
            for entry in inside:
                entries += 1
                if entries > FILES:
                    return f"it made more than {FILES:,} files"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                else:
                    used += entry.stat(follow_symlinks=False).st_blocks * 512
    return f"it wrote more than {most >> 20:,} MiB into its folder" if used > most else ""


def _full_tmpfs(pid: int, most: int) -> str:
    """For a bubblewrap that cannot bound a tmpfs: how full are those that the processes see?"""
    for process in psutil.Process(pid).children(recursive=True)[:1]:
        for place in ("/tmp", "/dev/shm"):
            disk = os.statvfs(f"/proc/{process.pid}/root{place}")
            if (disk.f_blocks - disk.f_bfree) * disk.f_frsize > most:
                return f"it wrote more than {most >> 20:,} MiB into {place}"
    return ""


def guard_counter() -> int:
    """How many processes the machine's memory guard has ended since it started."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
    return 0
