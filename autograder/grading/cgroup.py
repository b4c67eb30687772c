"""A control group that bounds a sandbox's memory in sum, where this process may make one (as root, mostly)."""

import contextlib
import functools
import os
import secrets
import threading
import time
from pathlib import Path

import psutil

ROOT = Path("/sys/fs/cgroup")
_closed = 0  # processes that this process's groups, now closed, have ended
_open: set["Group"] = set()
_lock = threading.Lock()


class Group:
    """One group; `command` starts a program in it. memory: bytes. Raises OSError where it cannot be made."""

    def __init__(self, memory: int):
        parent, self.names = _place()
        self.path = parent / f"grading-{os.getpid()}-{secrets.token_hex(4)}"
        self.path.mkdir()
        try:
            limit, with_swap, _ = self.names
            (self.path / limit).write_text(str(memory))
            with contextlib.suppress(OSError):  # a kernel that does not count swap
                (self.path / with_swap).write_text("0" if "swap" in with_swap else str(memory))
        except OSError:
            self.close()
            raise
        with _lock:
            _open.add(self)

    def command(self, command: list[str]) -> list[str]:
        return ["sh", "-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', str(self.path), *command]

    def ended(self) -> int:
        """How many of its processes the kernel ended because the group had no memory left."""
        with contextlib.suppress(OSError, ValueError):
            for line in (self.path / self.names[2]).read_text().splitlines():
                name, _, number = line.partition(" ")
                if name == "oom_kill":
                    return int(number)
        return 0

    def close(self) -> None:
        global _closed
        with _lock:
            _closed += self.ended() if self in _open else 0
            _open.discard(self)
        for _ in range(20):  # its last process may still be on its way out
            try:
                self.path.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.05)
            else:
                return


def ended_by_groups() -> int:
    """How many processes this process's groups have ended."""
    with _lock:
        return _closed + sum(group.ended() for group in _open)


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


def _place() -> tuple[Path, tuple[str, str, str]]:
    """The folder in which groups can be made, and the names of limit, limit with swap, and events; raises OSError."""
    old = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.oom_control")
    new = ("memory.max", "memory.swap.max", "memory.events")
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, own = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top, names = (ROOT / "memory", old) if controllers else (ROOT, new)
        here = top / own.lstrip("/")
        for place in (here, *here.parents):
            if place.is_relative_to(top) and _holds_groups(place, names[0]):
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
