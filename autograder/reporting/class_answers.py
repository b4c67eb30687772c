"""The class's answers to each exercise of a chapter, as they were graded, and what their points say of the exercise."""

import statistics
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode
from nbgrader.coursedir import CourseDirectory
from nbgrader.utils import is_grade

from autograder.authoring import chapters
from autograder.collecting.account import shown
from autograder.grading import gradebook, record
from autograder.grading.run import imports
from autograder.reporting.behaviour import Stop, needed, stopped

FEW = 8  # students with whom a correlation says nothing


class Answered(NamedTuple):
    """A student's answer to one exercise, as it was graded. stops: of each test cell, None where it passed.

    folder: the graded one. imports: those of the student's that the answer needs. rest: points in other exercises.
    """

    folder: Path
    source: str
    imports: tuple[str, ...]
    touched: bool
    earned: float
    rest: float
    stops: tuple[Stop | None, ...]


@dataclass
class Group:
    """Wrong answers that behave alike. named: by the bank, as `title` says; title: or else what they do."""

    title: str
    named: bool
    answers: list[Answered] = field(default_factory=list)

    @property
    def message(self) -> str:
        """What the tests said to most of them."""
        said = Counter(next((stop.message for stop in answer.stops if stop), "") for answer in self.answers)
        return said.most_common(1)[0][0]


@dataclass
class Seen:
    """An exercise with the class's answers."""

    exercise: chapters.Exercise
    answers: list[Answered]
    groups: list[Group] = field(default_factory=list)

    @property
    def short(self) -> bool:
        return self.exercise.kind in chapters.SHORT

    @property
    def solved(self) -> int:
        return sum(answer.earned >= self.exercise.points for answer in self.answers)

    @property
    def untouched(self) -> int:
        return sum(not answer.touched and answer.earned < self.exercise.points for answer in self.answers)

    @property
    def wrong(self) -> list[Answered]:
        return [answer for answer in self.answers if answer.touched and answer.earned < self.exercise.points]

    @property
    def discrimination(self) -> float | None:
        solved = [answer.earned >= self.exercise.points for answer in self.answers]
        return discrimination(solved, [answer.rest for answer in self.answers])


def discrimination(solved: list[bool], rest: list[float]) -> float | None:
    """The point-biserial correlation of an exercise solved with the points in all others, -1 to 1.

    (M1 - M0) / s * sqrt(p (1 - p)): the means of `rest` of those who solved it and who did not, its standard deviation,
    the share p that solved it. It is corrected, as the exercise is not in `rest` (Guilford 1953, Educational and
    Psychological Measurement 13, 87-93). None for fewer than 8 students, or where all are alike in one of the two.
    """
    have, have_not = (
        [points for points, has in zip(rest, solved, strict=True) if has is which] for which in (True, False)
    )
    spread = statistics.pstdev(rest) if rest else 0
    if len(solved) < FEW or not have or not have_not or not spread:
        return None
    share = len(have) / len(solved)
    return (statistics.fmean(have) - statistics.fmean(have_not)) / spread * (share * (1 - share)) ** 0.5


def imported(notebook: NotebookNode) -> list[str]:
    """The import statements of a notebook's own cells."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code" and not is_grade(cell)]
    return list(dict.fromkeys(line for cell in cells if "import" in cell.source for line in imports(cell.source)))


def graded(course: CourseDirectory, exercises: list[chapters.Exercise], released: NotebookNode) -> list[Seen]:
    """Each exercise with the answers of all who were graded in it; exercises that nobody was graded in are left out."""
    chapter = course.assignment_id
    folders, others = record.graded(course)
    if others:
        print(f"left out, for the gradebook holds other grades than were recorded: {', '.join(map(shown, others))}")
    points = dict(gradebook.grades(chapter, course.db_url)) if folders else {}
    stubs = {chapters.grade_id(cell): cell.source.strip() for cell in released.cells}
    given = set(imported(released))
    seen = [Seen(exercise, []) for exercise in exercises if f"ex_{exercise.id}" in stubs]
    for student in sorted(folders.keys() & points.keys()):
        try:
            notebook = nbformat.read(folders[student] / f"{chapter}.ipynb", as_version=4)
        except (OSError, ValueError) as error:
            print(f"left out: {shown(student)}, whose graded notebook cannot be read ({error})")
            continue
        own = [line for line in imported(notebook) if line not in given]
        cells = {chapters.grade_id(cell): cell for cell in notebook.cells}
        earned = {name: score or 0 for name, score in points[student].items()}
        for each in seen:
            answer, *tests = (f"ex_{each.exercise.id}", *map(chapters.grade_id, each.exercise.tests))
            if not cells.keys() >= {answer, *tests}:  # graded before the exercise was there
                continue
            source = cells[answer].source.strip()
            got = sum(earned.get(name, 0) for name in tests)
            stops = tuple(stopped(cells[name]) for name in tests)
            needs = tuple(needed(own, source))
            rest = sum(earned.values()) - got
            each.answers.append(Answered(folders[student], source, needs, source != stubs[answer], got, rest, stops))
    return [each for each in seen if each.answers]
