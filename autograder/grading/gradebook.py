"""What grading reads from nbgrader's gradebook and writes to it: all or nothing, and patiently where it is locked."""

import contextlib
import functools
import hashlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from alembic.script import ScriptDirectory
from nbgrader.api import (
    Assignment,
    BaseCell,
    Comment,
    Grade,
    Gradebook,
    MissingEntry,
    Student,
    SubmittedAssignment,
    SubmittedNotebook,
)
from nbgrader.dbutil import ALEMBIC_DIR
from nbgrader.preprocessors import AssignLatePenalties, SaveAutoGrades
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DatabaseError, OperationalError

from autograder import COURSE_ID, CourseError
from autograder.grading.faults import MachineFault

Result = TypeVar("Result")
PATIENCE = 90  # seconds to wait for somebody who has locked the gradebook


class Patience:
    """Does something again while the gradebook is locked; after it ran out once, it waits for nobody any more."""

    def __init__(self, seconds: float = PATIENCE):
        self.seconds = seconds

    def __call__(self, action: Callable[[], Result]) -> Result:
        """What `action` returns; raises MachineFault where the database refuses for good."""
        end = time.monotonic() + self.seconds
        while True:
            try:
                return action()
            except OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > end:
                    self.seconds = 0
                    raise MachineFault(f"the gradebook cannot be used: {error.orig}") from error
                time.sleep(0.5)


def exists(url: str) -> bool:
    """False where it is a file that is not there."""
    address = make_url(url)
    return address.get_backend_name() != "sqlite" or Path(address.database or "").is_file()


def address_of(url: str) -> str:
    """It as a person may read it: a path, or an address without its password."""
    return make_url(url).render_as_string(hide_password=True).removeprefix("sqlite:///")


def require_current(url: str) -> None:
    """Raise CourseError where it is not a gradebook that this nbgrader can use."""
    shown, engine = address_of(url), create_engine(url)
    try:
        with engine.connect() as connection:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except OperationalError as error:
        if "no such table" not in str(error):
            raise CourseError(f"the gradebook {shown} cannot be used: {error.orig}") from None
        found = None
    except DatabaseError as error:
        raise CourseError(
            f"{shown} is damaged ({error.orig}): put back a copy, or move it away to begin anew"
        ) from None
    finally:
        engine.dispose()
    if found != ScriptDirectory(ALEMBIC_DIR).get_current_head():
        raise CourseError(f"{shown} was made by another nbgrader: keep a copy, then run nbgrader db upgrade")


@functools.lru_cache(maxsize=8)
def opened(url: str, course_id: str) -> Gradebook:
    """The gradebook for a `with`, not within another. Its engine is made once; outside of a `with` nothing is open."""
    return Gradebook(url, course_id)


def grades(chapter: str, url: str) -> Iterator[tuple[str, dict[str, float]]]:
    """(student, {grade_id of a test cell: points}) of everyone graded in the chapter."""
    with Gradebook(url, COURSE_ID) as gradebook:
        for submission in gradebook.assignment_submissions(chapter):
            yield (
                submission.student.id,
                {grade.name: grade.score for notebook in submission.notebooks for grade in notebook.grades},
            )


def tests(chapter: str, url: str, course_id: str) -> tuple[set[str], str]:
    """(the graded cells' ids, a digest of all that generate_assignment wrote of the chapter); raises MissingEntry."""
    digest = hashlib.sha256()
    with opened(url, course_id) as gradebook:
        notebook = gradebook.find_notebook(chapter, chapter)
        for cell in sorted(notebook.source_cells, key=lambda cell: cell.name):
            digest.update(repr((cell.name, cell.cell_type, cell.source, cell.locked)).encode())
        for cell in sorted(notebook.grade_cells, key=lambda cell: cell.name):
            digest.update(repr((cell.name, cell.max_score)).encode())
        return {cell.name for cell in notebook.grade_cells}, digest.hexdigest()


def enter(
    url: str, course_id: str, chapter: str, student: str, handed_in: datetime | None, create: bool = True
) -> None:
    """Make or update the student's submission, as nbgrader does, with one commit. create: make an unknown student."""
    with opened(url, course_id) as gradebook:
        if not create:
            gradebook.find_student(student)
        elif gradebook.db.get(Student, student) is None:
            gradebook.db.add(Student(id=student))
        timestamp = {"timestamp": handed_in} if handed_in else {}
        gradebook.update_or_create_submission(chapter, student, **timestamp)


def entered(gradebook: Gradebook, chapter: str, student: str) -> tuple[dict[str, Grade], dict[str, Comment]]:
    """({cell: grade}, {cell: comment}) of a submission's notebook, asked for at once."""
    notebook = gradebook.find_submission_notebook(chapter, chapter, student)

    def by_cell(kind):
        return dict(gradebook.db.query(BaseCell.name, kind).join(kind.cell).filter(kind.notebook == notebook).all())

    return by_cell(Grade), by_cell(Comment)


def doubtful(url: str, course_id: str, chapter: str, student: str) -> list[str]:
    """The cells whose points a person gave, and that were graded anew since: nbgrader keeps those points."""
    with opened(url, course_id) as gradebook:
        notebook = gradebook.find_submission_notebook(chapter, chapter, student)
        found = gradebook.db.query(BaseCell.name).join(BaseCell.grades).filter(Grade.notebook == notebook)
        return [name for (name,) in found.filter(Grade.manual_score.is_not(None), Grade.needs_manual_grade)]


def standing(url: str, course_id: str, chapter: str, student: str | None = None) -> dict[str, str]:
    """{student: a digest of what grading the chapter has entered: points, comments, when it was handed in}.

    What a person may change is not in it, such as points by hand or the penalty for lateness. student: only this one.
    """
    found = {}
    with opened(url, course_id) as gradebook:
        submissions = gradebook.db.query(SubmittedAssignment.student_id).join(SubmittedAssignment.assignment)
        submissions = submissions.filter(Assignment.name == chapter)
        if student:
            submissions = submissions.filter(SubmittedAssignment.student_id == student)
        for name, when in submissions.add_columns(SubmittedAssignment.timestamp):
            found.setdefault(name, []).append(repr(when))
        for kind, entry in ((Grade, Grade.auto_score), (Comment, Comment.auto_comment)):
            of_cells = submissions.join(SubmittedAssignment.notebooks).join(
                kind, kind.notebook_id == SubmittedNotebook.id
            )
            for name, *entered in of_cells.join(kind.cell).add_columns(BaseCell.name, entry):
                found.setdefault(name, []).append(repr(entered))
    return {name: hashlib.sha256("\n".join(sorted(entries)).encode()).hexdigest() for name, entries in found.items()}


def taken(url: str, course_id: str, chapter: str, student: str) -> dict | None:
    """What `put_back` needs: the submission's automatic grades as they are; None where there is none."""
    with opened(url, course_id) as gradebook:
        try:
            submission = gradebook.find_submission(chapter, student)
        except MissingEntry:
            return None
        return {
            "timestamp": submission.timestamp,
            "penalties": {notebook.name: notebook.late_submission_penalty for notebook in submission.notebooks},
            "grades": {grade.id: (grade.auto_score, grade.needs_manual_grade) for grade in _grades(submission)},
            "comments": {
                comment.id: comment.auto_comment for notebook in submission.notebooks for comment in notebook.comments
            },
        }


def put_back(before: dict | None, url: str, course_id: str, chapter: str, student: str) -> None:
    """Make the submission's automatic grades what they were when they were taken."""
    with opened(url, course_id) as gradebook:
        if before is None:
            with contextlib.suppress(MissingEntry):
                gradebook.remove_submission(chapter, student)
            return
        submission = gradebook.find_submission(chapter, student)
        submission.timestamp = before["timestamp"]
        for grade in _grades(submission):
            grade.auto_score, grade.needs_manual_grade = before["grades"].get(grade.id, (None, False))
        for notebook in submission.notebooks:
            notebook.late_submission_penalty = before["penalties"].get(notebook.name)
            for comment in notebook.comments:
                comment.auto_comment = before["comments"].get(comment.id)
        gradebook.db.commit()


def _grades(submission) -> list:
    return [grade for notebook in submission.notebooks for grade in notebook.grades]


#: nbgrader's steps that write into the gradebook.
WRITERS = (SaveAutoGrades, AssignLatePenalties)
