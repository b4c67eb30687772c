"""Watches what a learner's processes use in sum, and ends them where it is too much."""

import contextlib
import functools
import os
import stat
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from autograder.grading.kernels import Process
from autograder.grading.limits import Limits

PERIOD = 0.25  # seconds between two looks
FILES = 100_000  # files and folders of one home
EMPTIED = ", which is emptied but for what was handed in"  # see Room.again
LONGEST = 3500  # characters of a path; 4,096 is the most that the system takes


class Watch:
    """A thread that looks at a kernel's processes and at the files in `folder` until it is told to stop.

    counts_memory: whether memory is bounded otherwise, by a cgroup. `why` says what was too much, once it ended them.
    """

    def __init__(self, process: Process, folder: Path, limits: Limits, counts_memory: bool):
        self.why = ""
        self._checks: list[Callable[[int], str]] = [lambda pid: too_full([folder], limits.disk, pid)]
        if not counts_memory:
            self._checks.append(lambda pid: _too_much_memory(pid, limits.memory))
            if limits.walls:
                self._checks.append(lambda pid: _full_tmpfs(process.pid, limits.disk))
        self._pid, self._stop = process.root, threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(PERIOD):
            for check in self._checks:
                with contextlib.suppress(psutil.Error, OSError):
                    if why := check(self._pid):
                        self.why = why
                        end(self._pid)
                        return

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def end(pid: int | None) -> None:
    """End a process and all it started, at once."""
    for one in reversed(_processes(pid)):
        with contextlib.suppress(psutil.Error):
            one.kill()


def _too_much_memory(pid: int, most: int) -> str:
    """Shared memory counts once, however many processes share it."""
    used = _unnamed_bytes(pid, {_device_of_memory()})
    for one in _processes(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            try:
                info = one.memory_full_info()
                used += getattr(info, "pss", info.rss) + getattr(info, "swap", 0)
            except psutil.AccessDenied:
                used += one.memory_info().rss
    return f"it used more than {most >> 20:,} MiB of memory" if used > most else ""


def too_full(folders: Sequence[Path], most: int, pid: int | None = None) -> str:
    """Why the folders hold too much, or "". pid: files that were deleted and that its processes hold open count too."""
    devices, folders = {os.stat(folder).st_dev for folder in folders}, [str(folder) for folder in folders]
    used, entries = _unnamed_bytes(pid, devices), 0
    while folders:
        try:
            with os.scandir(folders.pop()) as inside:
                for entry in inside:
                    entries += 1
                    if entries > FILES:
                        return f"it made more than {FILES:,} files in its folder{EMPTIED}"
                    if len(entry.path) > LONGEST:
                        return f"it made folders deeper than a path can name in its folder{EMPTIED}"
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        used += entry.stat(follow_symlinks=False).st_blocks * 512
        except PermissionError:
            return f"it closed a part of its folder{EMPTIED}"
        except OSError:  # it was there a moment ago
            continue
    return f"it wrote more than {most >> 20:,} MiB into its folder{EMPTIED}" if used > most else ""


def _unnamed_bytes(pid: int | None, devices: set[int]) -> int:
    """Bytes on these devices of files without a name that the processes hold open."""
    found = {}
    for process in _processes(pid):
        with contextlib.suppress(OSError), os.scandir(f"/proc/{process.pid}/fd") as inside:
            for link in inside:
                with contextlib.suppress(OSError):
                    about = os.stat(link.path)
                    if about.st_nlink == 0 and stat.S_ISREG(about.st_mode) and about.st_dev in devices:
                        found[about.st_dev, about.st_ino] = about.st_blocks * 512
    return sum(found.values())


@functools.cache
def _device_of_memory() -> int:
    """Where files lie that os.memfd_create makes."""
    with open(os.memfd_create(""), "rb") as file:
        return os.fstat(file.fileno()).st_dev


def _processes(pid: int | None) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)] if pid else []
    except psutil.Error:
        return []


def _full_tmpfs(pid: int, most: int) -> str:
    """For a bubblewrap that cannot bound a tmpfs: how full are those that a process inside sees?"""
    for place in ("/tmp", "/dev/shm"):
        disk = os.statvfs(f"/proc/{pid}/root{place}")
        if (disk.f_blocks - disk.f_bfree) * disk.f_frsize > most:
            return f"it wrote more than {most >> 20:,} MiB into {place}"
    return ""
