"""Law 3, moment by moment: whatever ends the recording of a grade, and wherever, a plain run puts it right.

Nothing is run here: the notebooks are recorded with the outputs that they were handed in with.
"""

import os
import pathlib
import shutil
import warnings

import pytest
from nbgrader.preprocessors import SaveAutoGrades
from small_course import CHAPTER, SmallCourse, listed
from sqlalchemy.exc import SAWarning
from sqlalchemy.orm import Session

from autograder import COURSE_ID
from autograder.authoring import chapters
from autograder.grading import gradebook, record
from autograder.grading.outputs import error

MOST = 40  # moments, before and after each of the steps below; recording one submission has some thirty
STEPS = [
    *((gradebook, name) for name in ("enter", "doubtful")),
    *((SaveAutoGrades, name) for name in ("_add_score", "_add_comment")),
    *((pathlib.Path, name) for name in ("mkdir", "write_text", "unlink")),
    *((record.Recorder, "_written"), (record, "rmtree"), (os, "replace"), (Session, "commit")),
]


class Recorded(SmallCourse):
    """A right answer has 2 points, a wrong one 1."""

    students = ()

    def __init__(self, root):
        super().__init__(root)
        self.more = {"Execute": {"enabled": False}, "ClearOutput": {"enabled": False}}

    def hand_in(self, student: str, right: bool) -> None:
        def change(notebook):
            for cell in notebook.cells:
                if cell.cell_type == "code":
                    cell.execution_count = 1
                if chapters.grade_id(cell) == "test_1_4" and not right:
                    cell.outputs = [error("AssertionError", "wrong")]

        shutil.rmtree(self.root / "submitted" / student, ignore_errors=True)
        self.submit(student, change)


class Ended(BaseException):
    """As KeyboardInterrupt and SystemExit are."""


def interrupted():
    raise Ended


def at_moment(patch, number: int, does) -> None:
    """`does` is called at the moment with this number."""
    left = [number]

    def moment():
        left[0] -= 1
        if left[0] == 0:
            does()

    def changed(usual):
        def step(*args, **named):
            moment()
            result = usual(*args, **named)
            moment()
            return result

        return step

    for owner, name in STEPS:
        patch.setattr(owner, name, changed(getattr(owner, name)))


def cut_off(course, student: str, number: int, how: str) -> bool:
    """Whether grading this student came to the moment with this number, and ended there."""
    if how == "killed":
        pid = os.fork()
        if pid == 0:
            try:
                with pytest.MonkeyPatch.context() as patch:
                    at_moment(patch, number, lambda: os._exit(9))
                    course.autograde(student)
            finally:
                os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    with pytest.MonkeyPatch.context() as patch:
        at_moment(patch, number, interrupted)
        try:
            course.autograde(student)
        except Ended:
            return True
    return False


@pytest.mark.parametrize(
    ("case", "how"),
    [
        ("first", "interrupted"),
        ("entered before", "interrupted"),
        ("again", "interrupted"),
        ("again, and taken back", "interrupted"),
        ("again, and taken back", "killed"),
    ],
)
def test_wherever_recording_ends_a_plain_run_puts_it_right(case, how, tmp_path):
    course = Recorded(tmp_path / "course")
    students = {f"{number:02}": number for number in range(1, MOST)}
    again = case.startswith("again")
    for student in students if again else ():
        course.hand_in(student, right=False)
    if again:
        course.autograde()
    ended = set()
    for student, number in students.items():
        course.hand_in(student, right=True)
        if case == "entered before":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SAWarning)
                gradebook.enter(course.url, COURSE_ID, CHAPTER, student, None)
        if cut_off(course, student, number, how):
            ended.add(student)
    assert len(ended) >= 24
    if again and how == "interrupted":
        assert {student: recorded(course, student) for student in students} == course.scores()
    for student in students if case.endswith("taken back") else ():
        course.hand_in(student, right=False)
    course.autograde()
    expected = 1 if case.endswith("taken back") else 2
    assert course.scores() == dict.fromkeys(students, expected)
    assert {student: recorded(course, student) for student in students} == course.scores()
    assert listed(course.autograde(), "graded before") == set(students)


def recorded(course, student: str) -> int:
    """The points by what lies in autograded/, which is marked as done."""
    folder = course.root / "autograded" / student / CHAPTER
    assert (folder / record.MARK).is_file()
    return 1 if '"wrong"' in (folder / f"{CHAPTER}.ipynb").read_text("utf-8") else 2
