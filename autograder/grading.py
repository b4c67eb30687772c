"""Grading through nbgrader's own commands, with one clear line where something stands in the way."""

import os
import sqlite3

from nbgrader.api import Gradebook, MissingEntry, get_alembic_version

from autograder import COURSE_ID, GRADEBOOK, ROOT, CourseError, build, chapters


def grade(only: list[str], force: bool = False) -> None:
    """Autograde every submission to the chapters in `only`; what was graded before is left alone unless `force`."""
    _ready(only)
    for chapter in only:
        if not any(ROOT.glob(f"submitted/*/{chapter}")):
            print(f"{chapter}: nobody has submitted")
            continue
        build.run_nbgrader("autograde", chapter, *(["--force"] if force else []), show=True)


def feedback(only: list[str]) -> None:
    """Write the feedback pages of everything that was graded."""
    _ready(only)
    for chapter in only:
        if any(ROOT.glob(f"autograded/*/{chapter}")):
            build.run_nbgrader("generate_feedback", chapter, "--force")
            print(f"wrote feedback/*/{chapter}/{chapter}.html")


def report() -> None:
    """Print the grade table, where the feedback pages are, and what to do next."""
    if not GRADEBOOK.exists():
        raise CourseError("there is no gradebook yet: run make, or nbgrader generate_assignment and autograde")
    require_current_gradebook()
    with Gradebook(f"sqlite:///{GRADEBOOK}", COURSE_ID) as gradebook:
        assignments = sorted(gradebook.assignments, key=lambda assignment: assignment.name)
        rows = [["student", *(assignment.name for assignment in assignments), "total"]]
        for student in sorted(gradebook.students, key=lambda student: student.id):
            scores = [_score(gradebook, assignment.name, student.id) for assignment in assignments]
            rows.append([student.id, *map(_points, scores), _points(sum(filter(None, scores)))])
        most = [assignment.max_score for assignment in assignments]
        rows.append(["(most possible)", *map(_points, most), _points(sum(most))])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print(
            "  ".join([row[0].ljust(widths[0]), *(text.rjust(w) for text, w in zip(row[1:], widths[1:], strict=True))])
        )
    pages = sorted(ROOT.glob("feedback/*/*/*.html"))
    if pages:
        print("\nfeedback pages:")
        for page in pages:
            print(f"  {page.relative_to(ROOT)}")
    print("\nnext: make lab opens the chapters; nbgrader formgrader, export and the rest work from this folder")


def _score(gradebook: Gradebook, assignment: str, student: str) -> float | None:
    try:
        return gradebook.find_submission(assignment, student).score
    except MissingEntry:
        return None


def _points(score: float | None) -> str:
    return "-" if score is None else f"{score:g}"


def _ready(only: list[str]) -> None:
    if not os.access(ROOT, os.W_OK):
        raise CourseError(f"cannot write into {ROOT}: nbgrader keeps autograded/, feedback/ and gradebook.db there")
    for chapter in only:
        if not chapters.release_path(chapter).exists():
            raise CourseError(f"{chapter} has no release: run make release first")
    require_current_gradebook()


def require_current_gradebook() -> None:
    """Raise CourseError when gradebook.db is not a gradebook that this nbgrader can use."""
    if not GRADEBOOK.exists():
        return
    try:
        with sqlite3.connect(f"file:{GRADEBOOK}?mode=ro", uri=True) as database:
            found = database.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:
        found = None
    except sqlite3.DatabaseError as error:
        raise CourseError(
            f"gradebook.db is damaged ({error}): put back a copy, or move it away to begin anew"
        ) from None
    if not found or found[0] != get_alembic_version():
        raise CourseError("gradebook.db was made by another nbgrader: keep a copy, then run nbgrader db upgrade")
