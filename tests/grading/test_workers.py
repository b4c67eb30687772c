"""Submissions are run side by side; results, gradebook and account are the same for any number of workers."""

import contextlib
import gc
import re
import shutil
import sqlite3
import threading
import time

import nbformat
import pytest
from small_course import CHAPTER, SmallCourse, listed

from autograder.grading import batch, kernels
from autograder.grading.faults import MachineFault
from autograder.grading.limits import Limits
from autograder.grading.run import Outcome, run
from autograder.grading.submission import Submission
from autograder.grading.workers import Grading, Threads


def code(source: str):
    return nbformat.v4.new_code_cell(source, id="changed")


#: What some do to a right notebook before it is handed in.
CHANGES = {
    "first": lambda notebook: notebook.cells.insert(
        0, nbformat.v4.new_code_cell("import time\ntime.sleep(2)", id="slow")
    ),
    "ends": lambda notebook: notebook.cells.insert(0, nbformat.v4.new_code_cell("import os\nos._exit(0)", id="ends")),
    "wrong": lambda notebook: notebook.cells[2].update(source="def nothing(): pass"),
    "more": lambda notebook: notebook.cells.append(code("print('more')")),
}


def big_class(course: SmallCourse) -> None:
    shutil.rmtree(course.root / "submitted")
    for number in range(3):
        for name, change in CHANGES.items():
            course.submit(f"{number}-{name}", change)
        course.submit(f"{number}-plain")
    (course.root / "submitted" / "4-damaged" / CHAPTER).mkdir(parents=True)
    (course.root / "submitted" / "4-damaged" / CHAPTER / f"{CHAPTER}.ipynb").write_text("{")
    (course.root / "submitted" / "5-nothing").mkdir()


def recorded(course: SmallCourse) -> dict[str, list]:
    """The gradebook's rows in their order, without what differs from run to run."""
    with contextlib.closing(sqlite3.connect(course.root / "gradebook.db")) as database:
        grades = database.execute(
            "SELECT assignment_id IS NOT NULL, student_id FROM submitted_assignment ORDER BY rowid"
        ).fetchall()
        students = database.execute("SELECT id FROM student ORDER BY rowid").fetchall()
    return {"students": students, "submissions": grades, "scores": sorted(course.scores().items())}


def graded(course: SmallCourse, workers: int) -> tuple[str, dict, dict]:
    """(account without its seconds, the gradebook, {student: the graded notebook's text}) by so many workers."""
    course.more = {"Grading": {"workers": workers}}
    account = re.sub(r"in \d+ s, [\d.]+ s each", "", course.autograde())
    made = sorted(course.root.glob(f"autograded/*/{CHAPTER}/{CHAPTER}.ipynb"))
    texts = {path.parts[-3]: re.sub(r"ipykernel_\d+|0x[0-9a-f]+", "", path.read_text("utf-8")) for path in made}
    return account, recorded(course), texts


def test_results_gradebook_and_account_are_the_same_for_one_worker_and_for_many(tmp_path):
    results = []
    for workers in (1, 2, 5):
        course = SmallCourse(tmp_path / str(workers))
        big_class(course)
        results.append(graded(course, workers))
    one, *others = results
    assert "0-first" in listed(one[0], "graded")
    assert "4-damaged" in listed(one[0], "unreadable")
    for other in others:
        assert other == one


def test_outcomes_wait_for_their_turn_on_the_disk(small_course, monkeypatch):
    """The first one takes as long as all others: what is kept in memory meanwhile does not grow with the class."""
    others, kept = 20, []
    shutil.rmtree(small_course.root / "submitted")
    for number in range(others + 1):
        small_course.submit(f"{number:02}")
    done, held = threading.Semaphore(0), iter([True])

    def waiting(notebook, files, limits):
        if next(held, False):
            for _ in range(others):
                assert done.acquire(timeout=60)
            gc.collect()
            kept.append(sum(type(each) is Submission for each in gc.get_objects()))
        else:
            done.release()
        return Outcome(notebook, [])

    monkeypatch.setattr(batch, "run", waiting)
    small_course.more = {"Grading": {"workers": 3}}
    assert len(listed(small_course.autograde(), "graded")) == others + 1
    assert kept[0] <= 3 + 1 + 3  # that run, and a few whose outcomes have just come


def test_a_disk_that_is_full_keeps_outcomes_in_memory(small_course, monkeypatch):
    monkeypatch.setattr(batch.pickle, "dumps", lambda *args: (_ for _ in ()).throw(OSError("no space")))
    small_course.submit("ada", CHANGES["first"])
    small_course.more = {"Grading": {"workers": 3}}
    assert listed(small_course.autograde(), "graded") == set(small_course.students)


def test_a_pool_that_is_closed_ends_what_runs_at_once():
    pool = Threads(2)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("import time\ntime.sleep(60)")])
    futures = [pool.submit(run, notebook, {}, Limits()) for _ in range(4)]
    end = time.monotonic() + 30
    while len(kernels._alive) < 4 and time.monotonic() < end:
        time.sleep(0.1)
    started = time.monotonic()
    pool.close()
    assert time.monotonic() - started < 20
    for future in futures[2:]:
        assert future.cancelled() or isinstance(future.exception(), MachineFault)
    assert not kernels._alive
    assert run(nbformat.v4.new_notebook(), {}, Limits()).stopped == []  # the next pool starts anew


def test_the_bar_says_what_is_done_and_what_runs(small_course, monkeypatch, capsys):
    monkeypatch.setattr(batch, "tqdm", lambda **options: bar(**options | {"disable": False, "mininterval": 0}))
    from tqdm import tqdm as bar

    small_course.more = {"Grading": {"workers": 2}}
    small_course.autograde()
    said = capsys.readouterr().err
    assert "3/3" in said
    assert re.search(r"[12] running", said)


def test_there_are_as_many_workers_as_cores():
    import joblib

    with contextlib.closing(Grading().pool(walls=True)) as pool:
        assert pool.workers == joblib.cpu_count()
    with pytest.raises(Exception, match="workers"):
        Grading(workers=-1)
