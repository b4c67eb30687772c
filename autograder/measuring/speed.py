"""How fast a class is graded: submissions per minute by nbgrader's own step, by one worker and by all cores.

Each grades the same submissions to the same release, in one run and on one machine, from reading them to the gradebook.
The class is the sample class, again and again: right, wrong, raising, half done and untouched answers.
"""

import contextlib
import io
import os
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import joblib
import nbformat
import psutil
from nbgrader.converters import Autograde, GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SAWarning
from tqdm import tqdm
from traitlets.config import PyFileConfigLoader

from autograder import COURSE_ID, ROOT
from autograder.authoring import chapters, sample_class
from autograder.grading import batch
from autograder.grading.run import Outcome, _Session

CHAPTERS = ("ch01", "ch05", "ch09")
CLASS = 24  # submissions
WAITING = 1.0  # seconds that a submission takes in a class that only waits
STAGES = ("start", "cells", "tests", "record")


class Class:
    """One chapter and `count` submissions to it, in a course of their own."""

    def __init__(self, root: Path, chapter: str, count: int):
        self.root, self.chapter, self.count = root, chapter, count
        shutil.copytree(ROOT / "source" / chapter, root / "source" / chapter)
        self._run(GenerateAssignment, ".", self._config())
        made = {
            student: nbformat.writes(sample_class.submission(student, chapter)) for student in sample_class.STUDENTS
        }
        for number in range(count):
            student = list(made)[number % len(made)]
            path = root / "submitted" / f"{number:04}-{student}" / chapter / f"{chapter}.ipynb"
            path.parent.mkdir(parents=True)
            path.write_text(made[student], "utf-8")

    def _config(self):
        config = PyFileConfigLoader("nbgrader_config.py", path=str(ROOT)).load_config()
        config.CourseDirectory.update(
            root=str(self.root), course_id=COURSE_ID, db_url=f"sqlite:///{self.root}/gradebook.db"
        )
        return config

    def _run(self, converter, student: str, config) -> None:
        course = CourseDirectory(config=config)
        course.assignment_id, course.student_id = self.chapter, student
        made = converter(coursedir=course, config=config)
        made.force = True
        made.log.setLevel("CRITICAL")
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter("ignore", SAWarning)  # nbgrader's own
            made.start()

    def seconds(self, workers: int | None) -> float:
        """To grade all of it by so many workers; None: by nbgrader's own steps."""
        config = self._config()
        config.Grading.workers = workers or 0
        if workers is None:
            del config.Autograde
            config.Execute.extra_arguments = ["--log-level=ERROR"]
        shutil.rmtree(self.root / "autograded", ignore_errors=True)
        start = time.perf_counter()
        self._run(Autograde, "*", config)
        return time.perf_counter() - start


class Peak:
    """Meanwhile, the most memory that this process and all below it take: `bytes`, shared pages counted once."""

    def __enter__(self):
        self.bytes, self._stop = 0, threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(1):
            used = 0
            for process in (psutil.Process(), *psutil.Process().children(recursive=True)):
                with contextlib.suppress(psutil.Error):
                    used += process.memory_full_info().pss
            self.bytes = max(self.bytes, used)


@contextlib.contextmanager
def split() -> Iterator[dict[str, float]]:
    """{stage: seconds} of what is graded meanwhile by one worker; each stage keeps one core busy."""
    seconds = dict.fromkeys(STAGES, 0.0)

    def timed(function, stage: str, clock):
        def changed(*args, **named):
            start = clock()
            try:
                return function(*args, **named)
            finally:
                seconds[stage] += clock() - start

        return changed

    with contextlib.ExitStack() as stack:
        for owner, name, stage, clock in (
            (_Session, "_start", "start", time.perf_counter),
            (_Session, "_learners", "cells", time.perf_counter),
            (_Session, "_test", "tests", time.perf_counter),
            (batch.Batch, "_prepared", "record", time.thread_time),
            (batch.Batch, "_finish", "record", time.thread_time),
        ):
            stack.enter_context(mock.patch.object(owner, name, timed(getattr(owner, name), stage, clock)))
        yield seconds


def chapter(name: str) -> str:
    """The lines of one chapter's table."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        graded = Class(Path(folder), name, CLASS)
        cores = joblib.cpu_count()
        lines = [f"{name}, {CLASS} submissions     per minute   of nbgrader's   peak memory"]
        plain = each = None
        for label, workers in {"nbgrader's own step": None, "one worker": 1, f"{cores} workers": cores}.items():
            with Peak() as peak, split() as stages:
                rate = 60 * CLASS / graded.seconds(workers)
            plain, each = plain or rate, stages if workers == 1 else each
            lines.append(f"  {label:30}  {rate:8.1f}  {rate / plain:12.1f} x  {peak.bytes / 1e9:8.2f} GB")
    shares = ", ".join(f"{stage} {used / CLASS:.2f}" for stage, used in each.items())
    return "\n".join([*lines, f"  core-seconds of one submission: {shares}; {sum(each.values()) / CLASS:.2f} in all"])


def scale(count: int) -> str:
    """The lines about a class of that size whose cells wait instead of working."""

    def waiting(notebook, files, limits):
        time.sleep(WAITING)
        return Outcome(notebook, [])

    lines = [f"{count} submissions that only wait, {WAITING:g} s each       per second   possible"]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, mock.patch.object(batch, "run", waiting):
        graded = Class(Path(folder), chapters.names()[1], count)
        for workers in (8, 32, 128):
            rate = count / graded.seconds(workers)
            lines.append(f"  {workers:3} workers   {rate:40.1f}   {workers / WAITING:8.1f}")
    lines.append(f"  recording is the limit at {rate:.1f} a second: {rate:.0f} workers for each second of a submission")
    return "\n".join(lines)


def report() -> None:
    """Print the tables, a chapter at a time; with SCALE=1000 in the environment, that of a class that waits."""
    if count := int(os.environ.get("SCALE") or 0):
        print(scale(count))
        return
    names = [name for name in chapters.names() if name[:4] in CHAPTERS]
    for name in tqdm(names, desc="grading", unit=" chapters", disable=None):
        tqdm.write(chapter(name) + "\n")
