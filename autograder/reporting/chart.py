"""What the class missed: a bar chart of points per exercise, and a line. It asks the gradebook alone, so it is cheap.

Which misconceptions the wrong answers behave like takes running them: `make insight`.
"""

from pathlib import Path
from typing import NamedTuple

import nbformat
from nbgrader.api import Gradebook

from autograder import COURSE_ID, ROOT
from autograder.authoring import chapters

UNTOUCHED = "No response."  # nbgrader's comment on an answer cell that is as it was released
NAMED = 3  # exercises that the line names


class Row(NamedTuple):
    """One exercise: how many have all its points, some, or left it untouched, of how many; the mean share of points."""

    exercise: chapters.Exercise
    solved: int
    some: int
    untouched: int
    everybody: int
    mean: float


def rows(chapter: str, url: str) -> list[Row]:
    """The exercises that the gradebook knows, in the chapter's order."""
    class_grades, untouched = [], []
    with Gradebook(url, COURSE_ID) as book:
        for submission in book.assignment_submissions(chapter):
            points, answers = {}, set()
            for notebook in submission.notebooks:
                points |= {grade.name: grade.score or 0 for grade in notebook.grades}
                answers |= {comment.name for comment in notebook.comments if comment.comment == UNTOUCHED}
            class_grades.append(points)
            untouched.append(answers)
    found = []
    for exercise in chapters.exercises_released(nbformat.read(chapters.release_path(chapter), as_version=4)):
        names = [chapters.grade_id(test) for test in exercise.tests]
        earned = [sum(points[name] for name in names) for points in class_grades if points.keys() >= set(names)]
        if earned:
            solved = sum(points >= exercise.points for points in earned)
            some = sum(0 < points < exercise.points for points in earned)
            left = sum(f"ex_{exercise.id}" in answers for answers in untouched)
            mean = sum(earned) / len(earned) / exercise.points
            found.append(Row(exercise, solved, some, min(left, len(earned) - solved - some), len(earned), mean))
    return found


def line(chapter: str, url: str) -> str:
    """Draw the chart; where it is, which exercises fewest solved, and what says why."""
    found = rows(chapter, url)
    hardest = sorted((row for row in found if row.solved < row.everybody), key=lambda row: row.solved / row.everybody)
    said = ", ".join(f"{row.exercise.number} ({row.solved} of {row.everybody})" for row in hardest[:NAMED])
    return (
        f"class chart: {draw(chapter, found).relative_to(ROOT)}"
        + f"; solved by the fewest: {said}\nwhich misconceptions: make insight CHAPTER={chapter}" * bool(said)
    )


def draw(chapter: str, found: list[Row]) -> Path:
    """Draw each exercise's points over the class into autograded/CHAPTER.png."""
    from matplotlib.figure import Figure  # here, because each of nbgrader's commands loads this file

    from course import style

    figure = Figure(figsize=(9, 1.6 + 0.34 * len(found)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(found):
        nothing = row.everybody - row.solved - row.some - row.untouched
        parts = [
            (row.solved, style.BEFORE, "all points"),
            (row.some, style.FOURTH, "some points"),
            (nothing, "#9a9a9a", "no points"),
            (row.untouched, "#dddddd", "not answered"),
        ]
        left = 0.0
        for count, colour, label in parts:
            share = 100 * count / row.everybody
            axes.barh(place, share, left=left, color=colour, label="" if place else label)
            left += share
        axes.text(102, place, f"{row.mean:.0%}", va="center")
    axes.set_yticks(range(len(found)), [f"{row.exercise.number} {row.exercise.kind}" for row in found])
    axes.invert_yaxis()
    everybody = max((row.everybody for row in found), default=0)
    axes.set(xlim=(0, 100), xlabel=f"share of {everybody} submissions in %; at the right, the mean of the points")
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{chapter}: what the class has, and what it missed")
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    path = ROOT / "autograded" / f"{chapter}.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
