"""The class's points as one table. The report and every grade sheet read it, so that they agree to the point."""

import contextlib
import datetime
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from nbgrader.api import Assignment, Grade, Gradebook, Student, SubmittedAssignment, SubmittedNotebook
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from sqlalchemy import and_, case, func
from sqlalchemy.exc import SQLAlchemyError

from autograder import COURSE_ID, CourseError
from autograder.authoring import build
from autograder.collecting.roster import Person
from autograder.grading.gradebook import address_of, exists, require_current


class NoGradebook(CourseError):
    """Nothing was released or graded yet."""


class Chapter(NamedTuple):
    """One assignment: its name, the most points, and when it was due."""

    name: str
    most: float
    due: datetime.datetime | None


class Work(NamedTuple):
    """What one student handed in. earned: None until each of its cells has points; penalty: for coming late."""

    handed_in: datetime.datetime | None
    earned: float | None
    penalty: float

    @property
    def points(self) -> float | None:
        """What counts, as nbgrader's own export counts it."""
        return None if self.earned is None else max(0.0, self.earned - self.penalty)


class Grades(NamedTuple):
    """people: those of the gradebook and of the roster, by id. works: {(student, chapter): what was handed in}."""

    chapters: list[Chapter]
    people: dict[str, Person]
    works: dict[tuple[str, str], Work]

    def points(self, student: str, chapter: str) -> float | None:
        """None: nothing handed in, or not graded."""
        work = self.works.get((student, chapter))
        return work.points if work else None

    def only(self, students: Iterable, chapters: Iterable) -> "Grades":
        """Those that are named; none named: all. Raises CourseError for a name that nobody has."""
        students, chapters = [str(name) for name in students], [str(name) for name in chapters]
        known = {chapter.name for chapter in self.chapters}
        for unknown in [name for name in students if name not in self.people] + [
            name for name in chapters if name not in known
        ]:
            raise CourseError(f"the gradebook knows no {unknown}")
        return self._replace(
            chapters=[chapter for chapter in self.chapters if not chapters or chapter.name in chapters],
            people={id: person for id, person in self.people.items() if not students or id in students},
        )


def read(gradebook: Gradebook, roster: dict[str, Person]) -> Grades:
    """The whole gradebook, asked in a few queries: a class of 300 takes as long as one of 3."""
    session = gradebook.db
    chapters = [Chapter(a.name, a.max_score, a.duedate) for a in sorted(gradebook.assignments, key=lambda a: a.name)]
    people = {student.id: _person(student, roster) for student in session.query(Student)}
    people |= {id: person for id, person in roster.items() if id not in people}
    penalties = dict(
        session.query(SubmittedNotebook.assignment_id, func.sum(SubmittedNotebook.late_submission_penalty)).group_by(
            SubmittedNotebook.assignment_id
        )
    )
    without = case((and_(Grade.auto_score.is_(None), Grade.manual_score.is_(None)), 1), else_=0)
    found = (
        session.query(
            SubmittedAssignment.id,
            SubmittedAssignment.student_id,
            Assignment.name,
            SubmittedAssignment.timestamp,
            func.sum(Grade.score),
            func.sum(without),
        )
        .join(Assignment, Assignment.id == SubmittedAssignment.assignment_id)
        .outerjoin(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .outerjoin(Grade, Grade.notebook_id == SubmittedNotebook.id)
        .group_by(SubmittedAssignment.id)
    )
    works = {
        (student, chapter): Work(handed_in, None if missing else earned, penalties.get(key) or 0.0)
        for key, student, chapter, handed_in, earned, missing in found
    }
    return Grades(chapters, dict(sorted(people.items())), works)


def _person(student: Student, roster: dict[str, Person]) -> Person:
    """The roster's word stands where it has one."""
    name = ", ".join(filter(None, (student.last_name, student.first_name)))
    known = roster.get(student.id, Person(student.id))
    return known._replace(name=known.name or name, email=known.email or student.email or "")


def configured(url: str | None = None) -> NbGraderAPI:
    """nbgrader as nbgrader_config.py says. url: another gradebook than the one that stands there."""
    nbgrader = build.nbgraders_api()
    if url:
        nbgrader.coursedir.db_url = url
    return nbgrader


@contextlib.contextmanager
def gradebook(course: CourseDirectory) -> Iterator[Gradebook]:
    """The configured gradebook, wherever it lies; raises CourseError where it cannot be read."""
    if not exists(course.db_url):
        raise NoGradebook(
            f"there is no gradebook yet ({address_of(course.db_url)}): "
            "run make, or nbgrader generate_assignment and autograde"
        )
    require_current(course.db_url)
    try:
        with Gradebook(course.db_url, course.course_id or COURSE_ID) as opened:
            yield opened
    except SQLAlchemyError as error:
        raise CourseError(f"the gradebook cannot be read: {str(error).splitlines()[0]}") from error


def number(points: float | None, none: str = "") -> str:
    """Points as people write them: 12, 12.5; 0.1 + 0.2 is 0.3."""
    return none if points is None else f"{points:.10g}"
