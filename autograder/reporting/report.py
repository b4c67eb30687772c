"""`make feedback` and `make report`: the pages through nbgrader's own command, and the grade table."""

import re
from collections import Counter
from pathlib import Path

from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from tqdm.utils import disp_len, disp_trim

from autograder import ROOT
from autograder.authoring import build
from autograder.collecting import roster
from autograder.collecting.account import say, shown
from autograder.grading.command import ready
from autograder.reporting import grades
from autograder.reporting.grades import Grades

WIDTH = 100  # columns of the report
NAMES = 12  # of them for a student's id, at least


def feedback(only: list[str]) -> None:
    """Write the feedback pages of everything that was graded."""
    ready(only)
    nbgrader = build.nbgraders_api()
    for chapter in only:
        if any(ROOT.glob(f"autograded/*/{chapter}")):
            write_pages(chapter, nbgrader)
            print(f"wrote feedback/*/{chapter}/{chapter}.html")


def write_pages(chapter: str, nbgrader: NbGraderAPI) -> None:
    """Write the pages of one chapter anew."""
    build.require_success(nbgrader.generate_feedback(chapter), f"generate_feedback {chapter}")


def report(url: str | None = None) -> None:
    """Print the grade table, where the feedback pages are, and what to do next. url: another gradebook."""
    course = grades.configured(url).coursedir
    with grades.gradebook(course) as gradebook:
        found = grades.read(gradebook, roster.of(course.root).people)
    last = ["next: make lab opens the chapters; nbgrader formgrader, export and the rest work from this folder"]
    say("\n".join([*table(found), "", *pages(course), *last]))


def table(found: Grades, width: int = WIDTH) -> list[str]:
    """The lines of the grade table, in blocks of as many chapters as stand in `width` columns."""
    columns = [[_short(c.name), *_column(found, c.name), _points(c.most)] for c in found.chapters]
    total = ["total", *(_points(_total(found, student)) for student in found.people)]
    total.append(_points(sum(chapter.most for chapter in found.chapters)))
    students = ["student", *map(shown, found.people), "(most possible)"]
    lines: list[str] = []
    rest = [*columns, total]
    while rest:
        block, left = [], width - NAMES
        while rest and (not block or left >= 2 + max(map(len, rest[0]))):
            left -= 2 + max(map(len, rest[0]))
            block.append(rest.pop(0))
        names = min(max(map(disp_len, students)), NAMES + max(left, 0))
        widths = [max(map(len, column)) for column in block]
        for number, student in enumerate(students):
            cells = [column[number].rjust(wide) for column, wide in zip(block, widths, strict=True)]
            lines.append("  ".join([_fitted(student, names), *cells]))
        lines += [""] if rest else []
    return lines


def pages(course: CourseDirectory) -> list[str]:
    """How many feedback pages there are, and where: a line, and an empty one."""
    root = Path(course.root, course.feedback_directory)
    counted = Counter(_short(page.parent.name) for page in root.glob("*/*/*.html") if page.stem == page.parent.name)
    if not counted:
        return []
    lines = [f"feedback pages: {sum(counted.values())} in {course.feedback_directory}/STUDENT/CHAPTER/, of"]
    for number, (chapter, pages) in enumerate(sorted(counted.items())):
        said = f" {pages} {chapter}" + "," * (number + 1 < len(counted))
        lines = [*lines[:-1], lines[-1] + said] if len(lines[-1] + said) <= WIDTH else [*lines, f"   {said}"]
    return [*lines, ""]


def _short(chapter: str) -> str:
    """ch01 of ch01_quantization; other names are cut."""
    found = re.match(r"ch\d\d(?=_)", chapter)
    return found[0] if found else shown(chapter, 8)


def _column(found: Grades, chapter: str) -> list[str]:
    return [_points(found.points(student, chapter)) for student in found.people]


def _total(found: Grades, student: str) -> float:
    return sum(filter(None, (found.points(student, chapter.name) for chapter in found.chapters)))


def _points(points: float | None) -> str:
    return grades.number(points if points is None else round(points, 2), "-")


def _fitted(text: str, width: int) -> str:
    """The text in `width` columns of a terminal, where some signs take two."""
    if disp_len(text) > width:
        text = disp_trim(text, width - 3).rstrip() + "..."
    return text + " " * (width - disp_len(text))
