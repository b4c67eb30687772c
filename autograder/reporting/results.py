"""The class's results in the capstone's challenge, from the graded notebooks.

The test cell prints what it measured, in the kernel that learners cannot reach; points come from the gradebook.
"""

import contextlib
import csv
import re
from pathlib import Path
from typing import NamedTuple

import nbformat

from autograder import ROOT, CourseError
from autograder.authoring import chapters
from autograder.collecting.account import say, shown
from autograder.grading import gradebook
from autograder.reporting import grades
from autograder.reporting.grade_sheets import harmless

CHAPTER = "ch09_capstone"
TEST = "test_L9_9"
MEASURED = re.compile(
    r"challenge: (?P<size>[\d,]+) of [\d,]+ bytes, (?P<bits>[\d.]+) bits per byte, (?P<increase>[+-][\d.]+) against"
)


class Row(NamedTuple):
    """One student: points, and what was measured or why there is nothing."""

    student: str
    points: float | None
    size: int | None
    bits_per_byte: float | None
    increase: float | None
    note: str


def rows(url: str | None = None) -> list[Row]:
    """Everybody, the best first: by points, then by bits per byte; those without a result last, by name.

    url: another gradebook than the configured one.
    """
    points = {}
    course = grades.configured(url).coursedir
    with contextlib.suppress(grades.NoGradebook), grades.gradebook(course):
        points = {
            student: sum(score or 0 for name, score in scores.items() if name == TEST or name.startswith(TEST + "_"))
            for student, scores in gradebook.grades(CHAPTER, course.db_url)
        }
    students = {path.name for path in ROOT.glob("submitted/*") if path.is_dir()} | set(points)
    found = [_row(student, points.get(student)) for student in students]
    return sorted(
        found,
        key=lambda row: (row.size is None, -(row.points or 0), row.bits_per_byte or 0, row.size or 0, row.student),
    )


def _row(student: str, points: float | None) -> Row:
    path = ROOT / "autograded" / student / CHAPTER / f"{CHAPTER}.ipynb"
    if not path.exists():
        handed_in = (ROOT / "submitted" / student / CHAPTER).is_dir()
        return Row(student, None, None, None, None, "not graded yet" if handed_in else "handed nothing in")
    cells = {chapters.grade_id(cell): cell for cell in nbformat.read(path, as_version=4).cells}
    outputs = cells[TEST].get("outputs", []) if TEST in cells else []
    for output in outputs:
        if output.output_type == "error":
            return Row(student, points, None, None, None, output.evalue)
    for output in outputs:
        if found := MEASURED.search(output.get("text", "")):
            size = int(found["size"].replace(",", ""))
            return Row(student, points, size, float(found["bits"]), float(found["increase"]), "")
    return Row(student, points, None, None, None, "no result in the graded notebook: grade it again")


def write(url: str | None = None) -> Path:
    """Print the table and write it to autograded/CHAPTER_results.csv."""
    chapters.require(CHAPTER)
    table = rows(url)
    if not table:
        raise CourseError(f"nobody is in submitted/ and nobody was graded in {CHAPTER}")
    path = ROOT / "autograded" / f"{CHAPTER}_results.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(Row._fields)
        writer.writerows(row._replace(student=harmless(row.student), note=harmless(row.note)) for row in table)
    width = max(len("student"), *(len(shown(row.student)) for row in table))
    lines = [f"{'student':{width}}  points    bytes  bits per byte  more than 16 bits"]
    for row in table:
        points = "-" if row.points is None else f"{row.points:g}"
        measured = (
            shown(row.note, 100)
            if row.size is None
            else f"{row.size:7,}  {row.bits_per_byte:13.4f}  {row.increase:+17.4f}"
        )
        lines.append(f"{shown(row.student):{width}}  {points:>6}  {measured}")
    missing = [shown(row.student) for row in table if row.points is None]
    if missing:
        lines.append(f"missing: {', '.join(missing)}")
    say("\n".join([*lines, f"wrote {path.relative_to(ROOT)}"]))
    return path
