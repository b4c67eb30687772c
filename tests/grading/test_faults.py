"""Law 2: the machine's fault is never a learner's grade. Each fault is made on purpose, while a class is graded.

Whoever it meets is not graded and is named, all others are graded, and a second plain run puts everything right.
"""

import contextlib
import errno
import fcntl
import functools
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

import pytest
from nbgrader.preprocessors import SaveAutoGrades
from small_course import CHAPTER, SmallCourse, listed
from sqlalchemy import event
from sqlalchemy.engine import Engine
from sqlalchemy.exc import OperationalError

from autograder.grading import (
    batch,
    execute,
    forks,
    gradebook,
    kernels,
    record,
    room,
    run,
    steps,
    submission,
    walls,
)
from autograder.grading.faults import MachineFault

EVERYBODY = set(SmallCourse.students)
FULL = OSError(errno.ENOSPC, "No space left on device")
now = threading.local()  # .student: who is being graded in this thread

#: {fault: function that makes it, given a patch and the student whom it is to meet}
FAULTS = {}


def fault(function):
    FAULTS[function.__name__.replace("_", " ")] = function
    return function


def instead(patch, owner, name: str, student: str, does, after: int = 0) -> None:
    """While `student` is graded, owner.name does `does(usual, *args)`, from the call with number `after` on."""
    usual, calls = getattr(owner, name), iter(range(10**6))

    def changed(*args, **named):
        met = getattr(now, "student", "") == student and next(calls) >= after
        return does(usual, *args, **named) if met else usual(*args, **named)

    patch.setattr(owner, name, changed)


def noticed(action):
    """`action`(self, student, ...), while which this thread knows whom it grades."""

    def does(self, student, *values):
        now.student = student
        try:
            return action(self, student, *values)
        finally:
            now.student = ""

    return does


def raising(error):
    def does(*args, **named):
        raise error

    return does


def starts(command: list[str]):
    """A kernel's start that runs this program instead."""

    def does(usual, start, pipes, seconds):
        return forks.Cold(start, pipes, command)

    return does


def cold(usual, self, start, *args):
    """Every kernel starts by itself."""
    return None


def kill(pid: int) -> None:
    """What the machine's memory guard does: the kernel's process gets SIGKILL, from outside."""
    import psutil

    process = psutil.Process(pid)
    for one in [*process.children(recursive=True), process]:
        with contextlib.suppress(psutil.Error):
            one.send_signal(signal.SIGKILL)


@fault
def a_kernel_ends_while_it_starts(patch, student):
    instead(patch, room, "started", student, starts(["false"]))


@fault
def a_kernel_hangs_while_it_starts(patch, student):
    instead(patch, room, "started", student, starts(["sleep", "99"]))
    instead(
        patch,
        kernels.Kernel,
        "__init__",
        student,
        lambda usual, self, start, seconds, *why: usual(self, start, 1, *why),
    )


@fault
def walls_are_refused_in_the_middle(patch, student):
    said = "bwrap: setting up uid map: Permission denied"
    instead(patch, forks.Warmth, "_refuse", student, lambda *args: None)  # else nobody after has a fork
    instead(patch, walls, "walled", student, lambda *args: ["sh", "-c", f"echo {said!r} >&2; exit 1"])


@fault
def no_process_can_be_started(patch, student):
    instead(patch, forks.Warmth, "fork", student, cold)
    instead(patch, subprocess.Popen, "__init__", student, raising(BlockingIOError(errno.EAGAIN, "try again")))


@fault
def no_temporary_folder_can_be_made(patch, student):
    instead(patch, tempfile, "mkdtemp", student, raising(FULL))


@fault
def a_module_that_kernels_import_is_broken(patch, student):
    instead(patch, forks.Warmth, "fork", student, cold)
    instead(patch, forks, "_names", student, lambda usual, limits: ["a_module_that_is_missing"])


@fault
def the_disk_for_temporary_files_is_full(patch, student):
    instead(patch, room.Room, "_unpack", student, raising(FULL))


@fault
def the_disk_for_graded_notebooks_is_full(patch, student):
    def full(usual, path, *args, **named):
        if record.ASIDE in path.parts:
            raise FULL
        return usual(path, *args, **named)

    instead(patch, Path, "write_text", student, full)


@fault
def a_submission_cannot_be_read(patch, student):
    instead(patch, submission, "read", student, raising(OSError(errno.EIO, "Input/output error")))


@fault
def the_graded_folder_cannot_be_put_in_place(patch, student):
    instead(patch, record.Recorder, "_put_in_place", student, raising(FULL))


@fault
def the_gradebooks_disk_is_full(patch, student):
    def full(usual, url, *args):
        """SQLite's own error, from a file that may not grow."""
        with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
            database.execute(f"PRAGMA max_page_count = {database.execute('PRAGMA page_count').fetchone()[0]}")
            try:
                database.execute("CREATE TABLE filler AS SELECT hex(randomblob(1000000))")
            except sqlite3.OperationalError as error:
                raise OperationalError("CREATE", None, error) from error

    instead(patch, gradebook, "enter", student, full)


@fault
def a_step_of_nbgraders_fails_half_way(patch, student):
    instead(patch, SaveAutoGrades, "_add_comment", student, raising(MemoryError()), after=1)


@fault
def the_late_penalty_cannot_be_found_out(patch, student):
    instead(patch, steps.Penalties, "preprocess", student, raising(KeyError("plugin")))


@fault
def the_memory_guard_ends_the_learners_process(patch, student):
    killed_at_other_cells(patch, student)
    instead(patch, room.Room, "lacked_memory", student, lambda usual, self: True)


@fault
def somebody_kills_the_learners_process_twice(patch, student):
    killed_at_other_cells(patch, student)


def killed_at_other_cells(patch, student) -> None:
    """The process is killed in the first attempt at one cell, in the second at another."""
    cells = iter(range(10**6))

    def killing(usual, session, code):
        threading.Timer(0.3, kill, [session._room.kernel.process.root]).start()
        session._cell = next(cells)
        return usual(session, "import time; time.sleep(5)")

    instead(patch, run._Session, "_learners", student, killing)


@fault
def the_test_kernel_dies_at_each_test(patch, student):
    def dying(usual, session, tests, code):
        kill(tests.process.root)
        return usual(session, tests, code)

    instead(patch, run._Session, "_tested", student, dying)


@fault
def the_test_kernel_does_not_start(patch, student):
    instead(patch, run, "test_kernel", student, raising(MachineFault("the test kernel did not start")))


@fault
def the_warm_process_dies_and_cannot_be_started_again(patch, student):
    gone = OSError(errno.ENOMEM, "Cannot allocate memory")
    killed = []  # once: what others have started since is theirs

    def dying(usual, self, *args):
        if killed:
            raise gone
        if self._family:
            killed.append(self._family)
            kill(self._family.process.pid)
        return usual(self, *args)

    instead(patch, forks.Warmth, "_ready", student, dying)
    instead(patch, forks, "_boot", student, raising(gone))


@fault
def the_worker_is_gone(patch, student):
    instead(patch, room.Room, "__init__", student, raising(RuntimeError("cannot schedule new futures after shutdown")))


@fault
def few_open_files_are_left(patch, student):
    instead(patch, batch, "_descriptors_left", student, lambda usual: 3)


@fault
def the_machine_has_no_memory(patch, student):
    instead(patch, batch, "run", student, raising(MemoryError()))


HONEST = {f"{number:02}-honest" for number in range(0, len(FAULTS), 4)}
FAULTY = {f"{number:02}-faulty": name for number, name in enumerate(FAULTS)}


@pytest.fixture(scope="module")
def class_with_faults(tmp_path_factory):
    """(the course, the account of a run in which each faulty student meets one fault, scores then, account and scores
    of a second plain run)."""
    course = SmallCourse(tmp_path_factory.mktemp("faults") / "course")
    shutil.rmtree(course.root / "submitted")
    for student in {*HONEST, *FAULTY}:
        course.submit(student)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_prepared", "_finish"):
            patch.setattr(batch.Batch, name, noticed(getattr(batch.Batch, name)))
        begin = batch.Batch._begin

        def begun(self, student, job, pool):
            class Noticed:
                workers = pool.workers

                def submit(self, function, *values):
                    return pool.submit(lambda: noticed(lambda *_: function(*values))(None, student))

            noticed(begin)(self, student, job, Noticed())

        patch.setattr(batch.Batch, "_begin", begun)
        for student, name in FAULTY.items():
            FAULTS[name](patch, student)
        account = course.autograde()
    first = course.scores(), {path.parent.name for path in course.root.glob(f"autograded/*/{CHAPTER}")}
    return course, account, first, course.autograde(), course.scores()


@pytest.mark.parametrize("student", FAULTY, ids=FAULTY.values())
def test_whom_a_fault_meets_is_not_graded_and_named(student, class_with_faults):
    course, account, (scores, folders), again, scores_then = class_with_faults
    assert student in listed(account, "not graded"), account
    assert student not in scores
    assert student not in folders
    assert student in listed(again, "graded"), again
    assert scores_then[student] == course.most


def test_everybody_else_is_graded(class_with_faults):
    course, account, (scores, _), again, _ = class_with_faults
    assert listed(account, "graded") == HONEST, account
    assert scores == dict.fromkeys(HONEST, course.most)
    assert listed(again, "graded before") == HONEST


# Each of these meets everybody.
@contextlib.contextmanager
def walls_refused(course, patch):
    fake = course.root / "programs"
    fake.mkdir()
    (fake / "bwrap").write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    (fake / "bwrap").chmod(0o755)
    patch.setenv("PATH", f"{fake}{os.pathsep}{os.environ['PATH']}")
    yield


@contextlib.contextmanager
def bubblewrap_missing_where_it_is_required(course, patch):
    patch.setattr(execute.walls, "installed", lambda: False)
    patch.setattr(execute.TwoKernels, "require_sandbox", True)
    yield


@contextlib.contextmanager
def gradebook_locked(course, patch):
    patch.setattr(gradebook.Patience.__init__, "__defaults__", (2,))
    with contextlib.closing(sqlite3.connect(course.root / "gradebook.db", timeout=0)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield


@contextlib.contextmanager
def gradebook_read_only(course, patch):
    def forbid(connection, about):
        connection.execute("PRAGMA query_only = 1")

    event.listen(Engine, "connect", forbid)
    yield
    event.remove(Engine, "connect", forbid)


@contextlib.contextmanager
def gradebook_damaged(course, patch):
    path = course.root / "gradebook.db"
    whole = path.read_bytes()
    path.write_bytes(b"not a database" + whole[14:])
    yield
    path.write_bytes(whole)


@contextlib.contextmanager
def gradebook_empty(course, patch):
    path = course.root / "gradebook.db"
    whole = path.read_bytes()
    path.unlink()
    yield
    path.write_bytes(whole)


@contextlib.contextmanager
def release_missing(course, patch):
    path = course.root / "release" / CHAPTER / f"{CHAPTER}.ipynb"
    whole = path.read_bytes()
    path.unlink()
    yield
    path.write_bytes(whole)


@contextlib.contextmanager
def release_of_other_tests(course, patch):
    path = course.root / "release" / CHAPTER / f"{CHAPTER}.ipynb"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"test_1_4", b"test_1_44"))
    yield
    path.write_bytes(whole)


@contextlib.contextmanager
def a_program_missing(course, patch):
    patch.setattr(room, "started", functools.partial(starts(["no-such-program"]), None))
    yield


@contextlib.contextmanager
def kernels_hang(course, patch):
    patch.setattr(room, "started", functools.partial(starts(["sleep", "99"]), None))
    patch.setattr(room, "START", 1)
    yield


@contextlib.contextmanager
def another_command_at_work(course, patch):
    folder = course.root / "autograded" / record.ASIDE
    folder.mkdir(parents=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


EVERYBODYS = [
    another_command_at_work,
    walls_refused,
    bubblewrap_missing_where_it_is_required,
    gradebook_locked,
    gradebook_read_only,
    gradebook_damaged,
    gradebook_empty,
    release_missing,
    release_of_other_tests,
    a_program_missing,
    kernels_hang,
]


@pytest.mark.parametrize("fault", EVERYBODYS, ids=lambda fault: fault.__name__.replace("_", " "))
def test_a_fault_that_meets_everybody(fault, small_course):
    with pytest.MonkeyPatch.context() as patch, fault(small_course, patch):
        account = small_course.autograde()
    assert listed(account, "not graded") == EVERYBODY, account
    assert small_course.scores() == {}
    assert not list(small_course.root.glob(f"autograded/*/{CHAPTER}/{submission.MARK}"))
    account = small_course.autograde()
    assert small_course.scores() == dict.fromkeys(EVERYBODY, small_course.most), account


def test_there_are_enough_faults():
    assert len(FAULTS) + len(EVERYBODYS) >= 25


# Some are no reason not to grade anybody.
def test_who_locks_the_gradebook_for_a_while_is_waited_for(small_course):
    database = sqlite3.connect(small_course.root / "gradebook.db", timeout=0, check_same_thread=False)
    database.execute("BEGIN EXCLUSIVE")
    release = threading.Timer(7, database.close)  # longer than SQLite itself waits
    release.start()
    account = small_course.autograde()
    release.join()
    assert listed(account, "graded") == EVERYBODY, account


def test_a_process_that_was_killed_once_is_nobodys_fault(small_course, monkeypatch):
    usual, killed = run._Session._learners, []

    def once(session, code):
        if not killed:
            killed.append(threading.Timer(0.3, kill, [session._room.kernel.process.root]))
            killed[0].start()
            return usual(session, "import time; time.sleep(5)")
        return usual(session, code)

    monkeypatch.setattr(run._Session, "_learners", once)
    assert listed(small_course.autograde(), "graded") == EVERYBODY
    assert small_course.scores() == dict.fromkeys(EVERYBODY, small_course.most)


def test_a_test_kernel_that_died_once_is_replaced(small_course, monkeypatch):
    usual, killed = run._Session._tested, []

    def dying(session, tests, code):
        if not killed:
            killed.append(tests.process.root)
            kill(tests.process.root)
        return usual(session, tests, code)

    monkeypatch.setattr(run._Session, "_tested", dying)
    assert listed(small_course.autograde(), "graded") == EVERYBODY
    assert small_course.scores() == dict.fromkeys(EVERYBODY, small_course.most)


def test_a_clock_that_is_set_back_changes_nothing(small_course, monkeypatch):
    now, calls = time.time, iter(range(10**6))
    monkeypatch.setattr(time, "time", lambda: now() - 3600 * next(calls))
    assert listed(small_course.autograde(), "graded") == EVERYBODY


def test_no_cgroup_is_no_reason_not_to_grade(small_course, monkeypatch):
    monkeypatch.setattr(room.cgroup, "Group", raising(OSError(errno.EROFS, "Read-only file system")))
    assert listed(small_course.autograde(), "graded") == EVERYBODY


def test_a_chart_that_cannot_be_drawn_spoils_nothing(small_course, monkeypatch):
    monkeypatch.setattr(batch, "afterwards", [raising(MemoryError())])
    assert listed(small_course.autograde(), "graded") == EVERYBODY


# The command itself, as a terminal leaves it behind.
TERMINALS = {
    "stdout closed": ("{} >&-", 0),
    "stdout and stderr closed": ("{} >&- 2>&-", 0),
    "all three closed": ("{} <&- >&- 2>&-", 0),
    "stdout full": ("{} >/dev/full", 0),
    "nobody reads stdout": ("{} | true; exit ${{PIPESTATUS[0]}}", 0),
    "stdout not UTF-8": ("LC_ALL=C PYTHONUTF8=0 PYTHONIOENCODING=ascii {}", 0),
    "no file descriptors left": ("prlimit --nofile=60:60 {}", 1),
}


def test_a_terminal_that_goes_away_while_the_class_is_graded_decides_nothing(small_course):
    small_course.write_config()
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    command = ["bash", "-c", f"trap '' HUP; exec {sys.executable} -m nbgrader autograde {CHAPTER}"]
    terminal = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True}
    started = subprocess.Popen(command, cwd=small_course.root, **terminal)
    os.close(theirs)
    while b"grading" not in os.read(ours, 10_000):  # the bar
        pass
    os.close(ours)
    started.wait(timeout=120)
    assert small_course.scores() == dict.fromkeys(EVERYBODY, small_course.most)
    account = (small_course.root / "autograded" / f"{CHAPTER}_account.txt").read_text("utf-8")
    assert listed(account, "graded") == EVERYBODY


@pytest.mark.parametrize("kind", TERMINALS)
def test_the_terminal_decides_nothing(kind, small_course):
    small_course.submit("zoë-\u202e-\x1b[31m")
    small_course.write_config()
    line, code = TERMINALS[kind]
    command = line.format(f"{sys.executable} -m nbgrader autograde {CHAPTER}")
    done_ = subprocess.run(["bash", "-c", command], cwd=small_course.root, timeout=120, check=False)
    account = (small_course.root / "autograded" / f"{CHAPTER}_account.txt").read_text("utf-8")
    assert done_.returncode == (3 if code == 0 else 1), account  # the name that cannot be one needs a look
    assert (listed(account, "not graded") if code else listed(account, "graded")) == EVERYBODY, account
    if code:
        small_course.autograde()
    assert small_course.scores() == dict.fromkeys(EVERYBODY, small_course.most)
