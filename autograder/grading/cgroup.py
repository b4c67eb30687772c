"""A control group that bounds a sandbox's memory in sum, where this process may make one (as root, mostly).

What the system's memory guard ended is counted by groups too: so it is known whose memory there was too little of.
"""

import contextlib
import functools
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path("/sys/fs/cgroup")
NEAR = 2**21  # bytes below its limit at which a group had no memory left: what the system takes at a time


class Names(NamedTuple):
    """The names of a group's files in one version of cgroups."""

    limit: str
    with_swap: str
    events: str
    most: str = ""  # bytes that it used at most; in version 2 the events tell


OLD = Names("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control", "memory.max_usage_in_bytes")
NEW = Names("memory.max", "memory.swap.max", "memory.events")


class Group:
    """One group; `command` starts a program in it. memory: bytes. Raises OSError where it cannot be made."""

    def __init__(self, memory: int):
        (parent, self.names), self.memory = _place(), memory
        self.path = parent / f"grading-{os.getpid()}-{secrets.token_hex(4)}"
        self.path.mkdir()
        try:
            (self.path / self.names.limit).write_text(str(memory))
            with contextlib.suppress(OSError):  # a kernel that does not count swap
                (self.path / self.names.with_swap).write_text("0" if self.names is NEW else str(memory))
        except OSError:
            self.close()
            raise

    def command(self, command: list[str]) -> list[str]:
        return ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(self.path), *command]

    def ended(self) -> int:
        """How many of its processes the system ended for want of memory: the group's, or the machine's."""
        return _number(self.path / self.names.events, "oom_kill") or 0

    def full(self) -> bool:
        """Whether it used all that it may."""
        if self.names is NEW:
            return bool(_number(self.path / self.names.events, "oom"))
        with contextlib.suppress(OSError, ValueError):
            return int((self.path / self.names.most).read_text()) > self.memory - NEAR
        return True

    def close(self) -> None:
        for _ in range(20):  # its last process may still be on its way out
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.05)
            else:
                return


def ended_here() -> int:
    """How many processes of this process's own group the system has ended for want of memory; else, of the machine."""
    for _, here, names in _own():
        if (number := _number(here / names.events, "oom_kill")) is not None:
            return number
    return _number(Path("/proc/vmstat"), "oom_kill") or 0


def _number(path: Path, name: str) -> int | None:
    """The number behind `name` in a file of names and numbers; None where it is not there."""
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            if line.partition(" ")[0] == name:
                return int(line.partition(" ")[2])
    return None


def sweep() -> None:
    """Remove the groups that graders which were killed left behind; one that still holds a process stays."""
    with contextlib.suppress(OSError):
        for path in _place()[0].glob("grading-*-*"):
            number = path.name.split("-")[1]
            with contextlib.suppress(OSError):
                if number.isdigit() and not psutil.pid_exists(int(number)):
                    path.rmdir()


@functools.cache
def available() -> bool:
    try:
        Group(2**30).close()
    except OSError:
        return False
    return True


def _own() -> Iterator[tuple[Path, Path, Names]]:
    """(top, this process's own group, its files' names), where groups count memory."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            _, controllers, own = line.split(":", 2)
            if "memory" in controllers.split(","):
                yield ROOT / "memory", ROOT / "memory" / own.lstrip("/"), OLD
            elif not controllers:
                yield ROOT, ROOT / own.lstrip("/"), NEW


def _place() -> tuple[Path, Names]:
    """The folder in which groups can be made, and the names of their files; raises OSError."""
    for top, here, names in _own():
        for place in (here, *here.parents):
            if place.is_relative_to(top) and _holds_groups(place, names.limit):
                return place, names
    raise FileNotFoundError("no cgroup in which groups that count memory can be made")


@functools.cache
def _holds_groups(place: Path, limit: str) -> bool:
    trial = place / f"grading-trial-{os.getpid()}-{secrets.token_hex(4)}"
    try:
        trial.mkdir()
    except OSError:
        return False
    try:
        return os.access(trial / limit, os.W_OK)
    finally:
        trial.rmdir()
