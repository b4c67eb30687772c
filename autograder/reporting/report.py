"""`make feedback` and `make report`: the pages through nbgrader's own command, and the grade table."""

from nbgrader.api import Gradebook, MissingEntry

from autograder import COURSE_ID, GRADEBOOK, ROOT, CourseError
from autograder.authoring import build
from autograder.grading.command import ready, require_current_gradebook


def feedback(only: list[str]) -> None:
    """Write the feedback pages of everything that was graded."""
    ready(only)
    for chapter in only:
        if any(ROOT.glob(f"autograded/*/{chapter}")):
            build.run_nbgrader("generate_feedback", chapter)
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
