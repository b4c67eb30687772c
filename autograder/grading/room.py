"""A learner's room: a kernel behind walls, the folder that is its home, and somebody who watches what it uses.

Starting Python and importing torch takes longer than most notebooks, so the next room is made while this one is used.
"""

import atexit
import contextlib
import os
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil

from autograder import ROOT
from autograder.grading import cgroup, walls, watch
from autograder.grading.faults import KernelGone, MachineFault
from autograder.grading.kernels import START, Kernel, remove
from autograder.grading.limits import Limits

PREFIX = f"grading-{os.getpid()}-"
PREPARE_TESTS = f"""
import os, sys
sys.path.insert(0, {str(ROOT)!r})
os.environ["NBGRADER_EXECUTION"] = "autograde"
import course.probe, autograder.grading.standins
course.probe.run_beside_the_answers = autograder.grading.standins.run_beside_the_answers
"""


class Room:
    """A kernel that is ready to work. fresh: it has nothing of the course. Raises MachineFault."""

    def __init__(self, limits: Limits, fresh: bool = False):
        self.limits, self.fresh, self.user = limits, fresh, walls.new_user()
        self._files, self._end = {}, time.monotonic() + START
        self.kernel = self._watch = self._group = self._place = None
        try:
            self._place = Path(tempfile.mkdtemp(prefix=PREFIX))
            self.folder = self._place / "home"
            self.folder.mkdir()
            self._place.chmod(0o711)
            self._start()
        except OSError as error:
            self.close()
            raise MachineFault(f"no room for a submission: {error}") from error
        except BaseException:
            self.close()
            raise

    def _start(self, seconds: float = START) -> None:
        end = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            self._group = cgroup.Group(self.limits.memory) if self.limits.walls and cgroup.available() else None
        in_time = (seconds,) if seconds < START else ()
        self.kernel = Kernel(self._place, self._wrap, self._why_ended, *in_time)
        try:
            self.kernel.learn_border()
            home = walls.HOME if self.limits.walls else str(self.folder)
            prepare = f"import {self.limits.preload}\n__import__('os').chdir({home!r})"  # the home's modules come last
            ran = self.kernel.run(prepare, timeout=max(1, end - time.monotonic()), silent=True)
        except KernelGone as gone:
            raise MachineFault(f"a kernel did not start: {gone}") from gone
        if ran.error:
            raise MachineFault(f"a kernel could not import {self.limits.preload}: {': '.join(ran.error)[:300]}")

    def _wrap(self, command: list[str], kernel: Kernel) -> list[str]:
        places = self.folder, kernel.runtime  # where its processes may write to the disk
        self._watch = watch.Watch(kernel.pid, places, self.limits, self._group is not None)
        if not self.limits.walls:
            return command
        command = walls.walled(command, *places, self.limits, self.user, self.fresh)
        return self._group.command(command) if self._group else command

    def _why_ended(self) -> str:
        if self._group and self._group.ended():
            return f"it used more than {self.limits.memory >> 20:,} MiB of memory"
        return self._watch.why if self._watch else ""

    def move_in(self, files: dict[str, bytes]) -> None:
        """Put the submission's files into the home; from now on the learner's code may run. Raises OSError."""
        self._files = files
        self._unpack()
        self._end = time.monotonic() + self.limits.total_timeout
        self.begin()

    def begin(self) -> None:
        """From now on somebody's code may run."""
        self._watch.begin()
        watch.last_in_line(self.kernel.pid())

    def _unpack(self) -> None:
        for name, data in self._files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if self.user is not None:
            walls.give_to(self.user, self.folder)

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
        self.begin()

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


def _test_kernel() -> Kernel:
    kernel = Kernel(ROOT)
    try:
        ran = kernel.run(PREPARE_TESTS, timeout=START, silent=True)
    except KernelGone as gone:
        raise MachineFault(f"the test kernel did not start: {gone}") from gone
    if ran.error:
        kernel.close()
        raise MachineFault(f"the test kernel did not start: {': '.join(ran.error)[:300]}")
    return kernel


class Ahead:
    """Rooms that are made before they are needed, and the test kernel that all submissions share.

    The threads live as long as the process: a sandbox ends with the thread that started it.
    """

    def __init__(self):
        self._pool = ThreadPoolExecutor(2, "kernels")
        self._rooms: dict[tuple[Limits, bool], Future] = {}
        self._tests: Future | None = None
        self._lock = threading.Lock()
        atexit.register(self.close)

    def room(self, limits: Limits, fresh: bool = False, next_too: bool = True) -> Room:
        """A room; raises MachineFault. next_too: begin to make another one of the kind."""
        with self._lock:
            waiting = self._rooms.pop((limits, fresh), None)
        room = None
        if waiting:
            with contextlib.suppress(MachineFault):  # made beside somebody's code: that may have been the reason
                room = waiting.result()
        room = room or self._pool.submit(Room, limits, fresh).result()
        if fresh:  # nobody moves in
            room.begin()
        if next_too:
            self.begin(limits, fresh)
        return room

    def begin(self, limits: Limits, fresh: bool = False) -> None:
        with self._lock:
            if (limits, fresh) not in self._rooms:
                self._rooms[limits, fresh] = self._pool.submit(Room, limits, fresh)

    def tests(self) -> Kernel:
        """The test kernel; raises MachineFault."""
        self.begin_tests()
        try:
            return self._tests.result()
        except BaseException:
            self._tests = None
            raise

    def begin_tests(self) -> None:
        self._tests = self._tests or self._pool.submit(_test_kernel)

    def drop_tests(self) -> None:
        """The test kernel was disturbed: the next test gets a new one."""
        tests, self._tests = self._tests, None
        _close(tests)

    def close(self) -> None:
        with self._lock:
            futures = [*self._rooms.values(), self._tests]
            self._rooms, self._tests = {}, None
        for future in futures:
            _close(future)


def _close(future: Future | None) -> None:
    if future and not future.cancel():
        with contextlib.suppress(Exception):
            future.result().close()


def sweep() -> None:
    """Remove what graders that were killed left in the folder for temporary files."""
    cgroup.sweep()
    for path in Path(tempfile.gettempdir()).glob("grading-*-*"):
        number = path.name.split("-")[1]
        with contextlib.suppress(OSError):
            if number.isdigit() and not psutil.pid_exists(int(number)) and path.stat().st_uid in (os.getuid(), 0):
                remove(path)


ahead = Ahead()
