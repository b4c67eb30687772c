"""A learner's room: a kernel behind walls, the folder that is its home, and somebody who watches what it uses."""

import contextlib
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from autograder import ROOT
from autograder.grading import cgroup, forks, walls, watch
from autograder.grading.faults import KernelGone, MachineFault
from autograder.grading.forks import FRESH, LEARNER, PREFIX, START, TESTS, Start, started
from autograder.grading.kernels import Kernel, remove
from autograder.grading.limits import Limits


class Room:
    """A kernel that is ready to work, with a submission's files in its home. Raises MachineFault.

    files: {relative path: bytes}. fresh: it has nothing of the course.
    """

    def __init__(self, limits: Limits, files: dict[str, bytes] | None = None, fresh: bool = False):
        self.limits, self.user = limits, walls.new_user()
        self._kind, self._files = FRESH if fresh else LEARNER, files or {}
        self.kernel = self._watch = self._group = self._place = None
        try:
            self._place = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._place.chmod(0o711)
            self.folder = self._place / "home"
            self.folder.mkdir()
            self._unpack()
            self._start(START)
        except OSError as error:
            self.close()
            raise MachineFault(f"no room for a submission: {error}") from error
        except BaseException:
            self.close()
            raise
        self._end = time.monotonic() + limits.total_timeout

    def _unpack(self) -> None:
        for name, data in self._files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if self.user is not None:
            walls.give_to(self.user, self.folder)

    def _start(self, seconds: float) -> None:
        with contextlib.suppress(OSError):
            self._group = cgroup.Group(self.limits.memory) if self.limits.walls and cgroup.available() else None
        self._ended_before = cgroup.ended_here()
        start = Start(self._kind, self.limits, self.folder, self.user, self._group)
        self.kernel = _kernel(start, seconds, self._why_ended)
        self._watch = watch.Watch(self.kernel.process, self.folder, self.limits, self._group is not None)

    def lacked_memory(self) -> bool:
        """Whether the machine's memory guard ended a process, and not for what this room used."""
        if self._group:
            return bool(self._group.ended()) and not self._group.full()
        return cgroup.ended_here() > self._ended_before

    def _why_ended(self) -> str:
        if self._group and self._group.ended() and self._group.full():
            return f"it used more than {self.limits.memory >> 20:,} MiB of memory"
        return self._watch.why if self._watch else ""

    def again(self) -> None:
        """A new kernel in the same home, which is emptied where it was too full; raises KernelGone."""
        self._stop()
        try:
            if watch.too_full([self.folder], self.limits.disk):
                remove(self.folder)
                self.folder.mkdir()
                self._unpack()
            self._start(min(START, max(1, self._end - time.monotonic())))
        except (MachineFault, OSError) as fault:
            why = self._why_ended() or str(fault)
            Room(self.limits).close()  # the machine is able to: then it is what lies in the home
            raise KernelGone(f"it cannot be started again: {why}") from fault

    def _stop(self) -> None:
        if self._watch:
            self._watch.stop()
        if self.kernel:
            self.kernel.close()
        if self._group:
            self._group.close()
        self.kernel = self._watch = self._group = None

    def close(self) -> None:
        self._stop()
        if self._place:
            remove(self._place)


def test_kernel(limits: Limits) -> Kernel:
    """A kernel for test cells, outside all walls; raises MachineFault."""
    return _kernel(Start(TESTS, limits, ROOT), START)


def _kernel(start: Start, seconds: float, why_ended: Callable[[], str] = lambda: "") -> Kernel:
    """Where a warm process was lost meanwhile, with all that it had forked, there is another one."""
    lost = forks.warmth.losses()
    try:
        return Kernel(lambda pipes: started(start, pipes, seconds), seconds, why_ended)
    except MachineFault:
        if forks.warmth.losses() == lost:
            raise
    return Kernel(lambda pipes: started(start, pipes, seconds), seconds, why_ended)


def sweep() -> None:
    """Remove what graders that were killed left in the folder for temporary files."""
    cgroup.sweep()
    for path in Path(tempfile.gettempdir()).glob("grading-*-*"):
        number = path.name.split("-")[1]
        with contextlib.suppress(OSError):
            if number.isdigit() and not psutil.pid_exists(int(number)) and path.stat().st_uid in (os.getuid(), 0):
                remove(path)
