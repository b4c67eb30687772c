"""The steps that grading takes for nbgrader's own write the same, point for point and byte for byte."""

import datetime

import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.nbgraderformat import ValidationError
from nbgrader.preprocessors import Execute, NbGraderPreprocessor, SaveAutoGrades
from small_course import CHAPTER, CONFIG, SmallCourse
from sqlalchemy import event
from sqlalchemy.engine import Engine
from traitlets.config import Config

from autograder import COURSE_ID
from autograder.authoring import chapters
from autograder.grading import steps, submission
from autograder.grading.execute import TwoKernels
from autograder.grading.outputs import error
from autograder.grading.record import Recorder

# nbgrader's own way to enter a submission; the batch ignores it, too.
pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SAWarning")


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    course = SmallCourse(tmp_path_factory.mktemp("steps") / "course")
    with Gradebook(course.url, COURSE_ID) as gradebook:
        gradebook.find_assignment(CHAPTER).duedate = datetime.datetime(2026, 1, 1)
        gradebook.db.commit()
    return course


class Graders:
    """Records submissions to the course; plain: by nbgrader's own steps."""

    def __init__(self, course, monkeypatch):
        self.course, self.patch = course, monkeypatch

    def __call__(self, plain: bool, changed=None, options=None, more=()):
        config = CONFIG.copy()
        config.CourseDirectory.update(root=str(self.course.root), course_id=COURSE_ID, db_url=self.course.url)
        config.merge(Config(options or {}))
        directory = CourseDirectory(config=config)
        directory.assignment_id = CHAPTER
        converter = Autograde(coursedir=directory, config=config)
        after = [step for step in converter.autograde_preprocessors if step not in (TwoKernels, Execute)]
        recorder = Recorder(converter, CHAPTER, [*after, *more])

        def grade(student, change=None, outcome=None, handed_in="2025-12-31 10:00:00 UTC"):
            """(the graded notebook, whose points a person gave, all that stands in the gradebook about the student)"""
            with self.patch.context() as patch:
                if plain:
                    patch.setattr(steps, "SAME", {})
                files = {"timestamp.txt": handed_in.encode()}
                who = submission.Submission(student, self.course.root, {}, files, [])
                nb = self.course.submission()
                if change:
                    change(nb)
                nb = recorder.through(converter.sanitize_preprocessors, nb, who)
                for place, each in enumerate(nb.cells):
                    each.id = f"cell-{place}"
                if outcome:
                    outcome(nb)
                found = recorder.record(who, nb, {"digest": "1"})
            path = recorder.place(student) / f"{CHAPTER}.ipynb"
            return path.read_text("utf-8"), found, entered(self.course, student)

        return grade


@pytest.fixture
def grader(course, monkeypatch):
    return Graders(course, monkeypatch)


def entered(course, student):
    with Gradebook(course.url, COURSE_ID) as gradebook:
        found = gradebook.find_submission(CHAPTER, student)
        return (
            found.timestamp,
            [(notebook.name, notebook.late_submission_penalty) for notebook in found.notebooks],
            sorted(
                (grade.name, grade.auto_score, grade.manual_score, grade.needs_manual_grade)
                for notebook in found.notebooks
                for grade in notebook.grades
            ),
            sorted((comment.name, comment.auto_comment) for nb in found.notebooks for comment in nb.comments),
        )


def cell(nb, name):
    return next(cell for cell in nb.cells if chapters.grade_id(cell) == name)


def wrong(nb):
    cell(nb, "test_1_4").outputs = [error("AssertionError", "no")]


def other_tests(nb):
    """Its tests are the learner's own, it asks for another kernel, and it holds a cell that nobody knows."""
    cell(nb, "test_1_1").source = "pass"
    cell(nb, "test_1_1").metadata.nbgrader.points = 100
    cell(nb, "test_1_4").cell_type = "markdown"
    nb.metadata.kernelspec = {"name": "other", "display_name": "Other", "language": "R"}
    known = nbformat.from_dict({**cell(nb, "ex_1_1").metadata, "nbgrader": {**cell(nb, "ex_1_1").metadata.nbgrader}})
    known.nbgrader |= {"grade_id": "unknown", "solution": False, "grade": False, "locked": False}
    nb.cells.append(nbformat.v4.new_code_cell("1", metadata=known, id="unknown"))


def without_a_test(nb):
    nb.cells.remove(cell(nb, "test_1_4"))


@pytest.mark.parametrize("change", [None, other_tests])
@pytest.mark.parametrize(("outcome", "points"), [(None, 1), (wrong, 0)])
def test_they_write_what_nbgraders_own_write(change, outcome, points, grader):
    plain = grader(plain=True)("plain", change, outcome)
    ours = grader(plain=False)("ours", change, outcome)
    assert ours == plain
    assert ours[2][2] == [("test_1_1", 1, None, False), ("test_1_4", points, None, False)]


def test_who_answered_nothing_is_told_so(grader, course):
    def untouched(nb):
        cell(nb, "ex_1_4").source = cell(course.released(), "ex_1_4").source

    plain = grader(plain=True)("plain", untouched)
    assert grader(plain=False)("ours", untouched) == plain
    assert ("ex_1_4", "No response.") in plain[2][3]


def test_options_of_nbgraders_steps_hold(grader):
    options = {"OverwriteCells": {"add_missing_cells": True}}
    plain = grader(plain=True, options=options)("plain", without_a_test)
    ours = grader(plain=False, options=options)("ours", without_a_test)
    assert ours == plain
    assert "missing from the submission" in ours[0]


@pytest.mark.parametrize("late", ["2025-12-31 10:00:00 UTC", "2026-01-03 10:00:00 UTC"])
def test_who_is_late_pays_what_the_plugin_says(late, grader, tmp_path, monkeypatch):
    (tmp_path / "policy_of_a_test.py").write_text(
        "from nbgrader.plugins import BasePlugin\n"
        "class Half(BasePlugin):\n"
        "    def late_submission_penalty(self, student, score, seconds):\n"
        "        return score / 2\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    options = {"AssignLatePenalties": {"plugin_class": "policy_of_a_test.Half"}}
    plain = grader(plain=True, options=options)("plain", handed_in=late)
    ours = grader(plain=False, options=options)("ours", handed_in=late)
    assert ours == plain
    assert ours[2][1] == [(CHAPTER, 1 if late > "2026" else None)]
    assert grader(plain=False, options=options)("ours", handed_in="2025-12-31 10:00:00 UTC")[2][1] == [(CHAPTER, None)]


def test_a_persons_points_stay_and_are_named(grader, course):
    results = []
    for student, plain in (("plain", True), ("ours", False)):
        grade = grader(plain=plain)
        assert grade(student)[1] == []
        with Gradebook(course.url, COURSE_ID) as gradebook:
            gradebook.find_grade("test_1_4", CHAPTER, CHAPTER, student).manual_score = 0.5
            gradebook.db.commit()
        results.append(grade(student, outcome=wrong))
        with Gradebook(course.url, COURSE_ID) as gradebook:
            gradebook.remove_submission(CHAPTER, student)
    assert results[0] == results[1]
    assert results[0][1] == ["test_1_4"]


def test_marks_that_break_nbgraders_schema_are_found_each_time(grader):
    def broken(nb):
        cell(nb, "ex_1_4").metadata.nbgrader.solution = "perhaps"

    grade = grader(plain=False)
    grade("ours")
    for _ in range(2):
        with pytest.raises(ValidationError):
            grade("ours", broken)


def test_a_step_of_an_instructor_runs_as_it_is(grader):
    class Own(SaveAutoGrades):
        def _add_score(self, cell, resources):
            super()._add_score(cell, resources)
            self.gradebook.find_grade(
                chapters.grade_id(cell), self.notebook_id, self.assignment_id, self.student_id
            ).auto_score = 0.125
            self.gradebook.db.commit()

    class Seen(NbGraderPreprocessor):
        def preprocess(self, nb, resources):
            seen.append(resources["nbgrader"]["student"])
            return nb, resources

    seen = []
    _, _, (_, _, grades, _) = grader(plain=False, more=(Own, Seen))("ours")
    assert {score for _, score, _, _ in grades} == {0.125}
    assert seen == ["ours"]


def test_a_submission_takes_few_questions_and_leaves_nothing_open(grader, course):
    grade = grader(plain=False)
    grade("ours")
    asked, opened = [], []
    events = {
        "before_cursor_execute": lambda connection, cursor, statement, *_: asked.append(statement),
        "connect": lambda *_: opened.append(1),
        "close": lambda *_: opened.pop(),
    }
    for name, heard in events.items():
        event.listen(Engine, name, heard)
    try:
        grade("another")
    finally:
        for name, heard in events.items():
            event.remove(Engine, name, heard)
    written = [one for one in asked if one.startswith(("INSERT", "UPDATE"))]
    assert 0 < len(asked) - len(written) < 45
    assert not opened


def test_a_gradebook_that_another_program_puts_in_place_is_the_one_that_is_written(grader, course):
    grade = grader(plain=False)
    grade("ours")
    path = course.root / "gradebook.db"
    kept = path.read_bytes()
    path.unlink()
    path.write_bytes(kept)
    grade("later")
    assert entered(course, "later")[2]
