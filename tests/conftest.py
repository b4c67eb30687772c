"""Shared by all tests: chapters built once, and test cells run the quick way, in this process."""

import contextlib
import functools
import io
import itertools
import linecache
import os
import re
import shutil
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

# pytest runs four processes on two cores, each with kernels of its own: more threads only wait for each other.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
for setting in ("COURSE_PACKAGE", "COURSE_REPOSITORY"):
    os.environ.pop(setting, None)

import nbgrader.api
import numpy as np
import pytest
import torch
from nbgrader.api import Gradebook
from xdist.scheduler import LoadScopeScheduling

from autograder import COURSE_ID, ROOT
from autograder.authoring import bank, chapters

CHAPTERS = chapters.names()

# nbgrader starts a program of three seconds to learn it, for each new gradebook.
nbgrader.api.get_alembic_version = functools.cache(nbgrader.api.get_alembic_version)

#: The files that take longest, in the order in which the processes should take them up, and into how many parts each is
#: cut: many of their tests wait for limits, so that one process a core would leave the cores idle.
LONG = {
    **{"test_attacks": 6, "test_batch": 1, "test_warm": 3, "test_bank": 5, "test_faults": 2, "test_cut_off": 1},
    **{"test_chapters_run": 5, "test_browser": 1, "test_colab": 1, "test_cluster": 1, "test_unusual": 2},
    **{"test_limits": 3, "test_account": 1, "test_nbgrader": 1},
}


def pytest_collection_modifyitems(items):
    """The longest files first, so that no process is left with one when the others have finished."""
    place = {name: index for index, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.stem, len(LONG)))


class Parts(LoadScopeScheduling):
    """Gives each process a file after the other, or a part of a long one; tests of one chapter stay together."""

    def _split_scope(self, nodeid):
        name = Path(nodeid.split("::")[0]).stem
        chapter = re.search(r"\[(?:ch0|L?)(\d)[._]", nodeid)
        number = int(chapter[1]) if chapter else zlib.crc32(nodeid.encode())
        return f"{name} {number % LONG.get(name, 1)}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return Parts(config, log)


@pytest.fixture(scope="session")
def exercises_of():
    """exercises_of(chapter) -> {number: Exercise}, with hidden tests."""
    return {name: {e.number: e for e in chapters.exercises(chapters.read(name))} for name in CHAPTERS}.__getitem__


@pytest.fixture(scope="module")
def answers(request, exercises_of):
    """{name: function} of the Build and Debug answers of the chapter that the test module names as CHAPTER."""
    namespace = {"np": np, "torch": torch}
    for exercise in exercises_of(request.module.CHAPTER).values():
        if exercise.kind in ("Build", "Debug"):
            exec(exercise.answer.source, namespace)
    return namespace


@pytest.fixture(scope="module")
def text(request):
    """The text of the chapter that the test module names as CHAPTER, in one line."""
    return " ".join(chapters.text_path(request.module.CHAPTER).read_text("utf-8").replace("\n# ", " ").split())


def frames(live):
    """Every picture that the controls can show, one control after the other."""
    seen = {live.image.value}
    for control in live.controls.values():
        for value in getattr(control, "options", None) or np.arange(
            control.min, control.max + control.step / 2, control.step
        ):
            control.value = value
            assert live.message.value == ""
            seen.add(live.image.value)
    return seen


@pytest.fixture(scope="module")
def course_copy(tmp_path_factory):
    """A copy of the repository to run nbgrader in."""
    root = tmp_path_factory.mktemp("course") / "root"
    graded = ("submitted", "autograded", "feedback", "downloaded", "gradebook.db*")
    made = (*graded, "site", "work", "*.egg-info", "build", "__pycache__")
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".*", *made))
    return root


@pytest.fixture(scope="module")
def nbgrader(course_copy):
    """nbgrader(...) runs the command in the copy of the course and returns what it printed."""

    def run(*arguments, code=0):
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("NBGRADER", "JUPYTER"))
        }
        # A person who did not activate the environment has only the command's own path.
        environment["PATH"] = "/usr/bin:/bin"
        command = [sys.executable, "-m", "nbgrader", *arguments]
        done = subprocess.run(command, cwd=course_copy, env=environment, capture_output=True, text=True)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


def scores(root, chapter):
    """{student: {grade_id: points}} in the gradebook of a copy of the course."""
    with Gradebook(f"sqlite:///{root}/gradebook.db", COURSE_ID) as gradebook:
        return {
            submission.student.id: {
                grade.name: grade.score for notebook in submission.notebooks for grade in notebook.grades
            }
            for submission in gradebook.assignment_submissions(chapter)
        }


@pytest.fixture
def small_course(tmp_path):
    """A course of one small chapter, in which three students have answered everything right."""
    from small_course import SmallCourse

    return SmallCourse(tmp_path / "course")


_cells = itertools.count()


def run_cell(source: str, namespace: dict) -> None:
    """Run code so that the source of its functions can be read, as in a notebook."""
    name = f"<cell {next(_cells)}>"
    linecache.cache[name] = len(source), None, source.splitlines(keepends=True), name
    exec(compile(source, name, "exec"), namespace)


def points(exercise: chapters.Exercise, answer: str) -> tuple[float, str]:
    """What nbgrader would give `answer` (code), and the first message: an error or any stderr output costs the points.

    The test cells see nothing of the notebook but the names that the answer cell defined, so a test cell that leans on
    anything else fails here.
    """
    before = {"np": np, "torch": torch}
    namespace = dict(before)
    with contextlib.redirect_stdout(io.StringIO()):
        run_cell(answer, namespace)
    answered = {name: value for name, value in namespace.items() if name not in before}
    earned, message = 0.0, ""
    for cell in exercise.tests:
        stderr = io.StringIO()
        try:
            with (
                contextlib.redirect_stdout(io.StringIO()),
                contextlib.redirect_stderr(stderr),
                warnings.catch_warnings(),
            ):
                warnings.simplefilter("default")
                run_cell(cell.source, dict(answered))
            if not stderr.getvalue():
                earned += cell.metadata.nbgrader.points
            message = message or stderr.getvalue()
        except Exception as error:
            message = message or f"{type(error).__name__}: {error}"
    return earned, message


def secret_lines(chapter):
    """Lines of solutions and hidden tests that stand nowhere in the open part of the chapter."""
    secret, visible = set(), set()
    for cell in chapters.read(chapter).cells:
        shown = chapters.SOLUTION.sub("", chapters.HIDDEN.sub("", cell.source))
        visible |= {line.strip() for line in shown.splitlines()}
        for region in (*chapters.SOLUTION.findall(cell.source), *chapters.HIDDEN.findall(cell.source)):
            secret |= {line.strip() for line in region.splitlines()}
    return {line for line in secret - visible if len(line) > 15 and not line.startswith(("import ", "from "))}


def bank_answers() -> list:
    """Every answer of every chapter's bank, as pytest parameters."""
    return [
        pytest.param(chapter, answer, id=f"{answer.exercise} {'right' if answer.right else 'wrong'}: {answer.name}")
        for chapter in CHAPTERS
        for answer in bank.answers(chapter)
    ]


@pytest.fixture
def two_kernels(tmp_path_factory):
    """two_kernels(cells, **limits) runs a notebook's cells as grading does; test cells are those that nbgrader grades.

    cells: source texts, or cells. Returns the executed cells, with outputs; `determine_grade` tells the points.
    """
    import nbformat

    from autograder.grading.execute import TwoKernels

    def run(cells, **limits):
        made = [nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
        notebook = nbformat.v4.new_notebook(cells=nbformat.from_dict(made))
        limits = {"cell_timeout": 10, "total_timeout": 60, "preload": "numpy"} | limits
        folder = str(tmp_path_factory.mktemp("home"))
        return TwoKernels(**limits).preprocess(notebook, {"metadata": {"path": folder}})[0].cells

    return run
