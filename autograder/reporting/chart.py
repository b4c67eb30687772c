"""What the class missed: a bar chart of points per exercise."""

from pathlib import Path

import nbformat
from matplotlib.figure import Figure

from autograder import ROOT
from autograder.authoring import chapters
from autograder.grading import gradebook
from course import style


def line(chapter: str, url: str) -> str:
    """Draw the chart; the line that says where it is."""
    return f"class chart: {draw(chapter, url).relative_to(ROOT)}"


def draw(chapter: str, url: str = gradebook.URL) -> Path:
    """Draw each exercise's points over the class, from the gradebook, into autograded/CHAPTER.png."""
    class_grades = [points for _, points in gradebook.grades(chapter, url)]
    exercises = chapters.exercises_released(nbformat.read(chapters.release_path(chapter), as_version=4))
    figure = Figure(figsize=(9, 1.6 + 0.34 * len(exercises)), layout="constrained")
    axes = figure.subplots()
    for place, exercise in enumerate(exercises):
        names = [chapters.grade_id(test) for test in exercise.tests]
        earned = [sum(points.get(name, 0) for name in names) for points in class_grades]
        full = sum(points >= exercise.points for points in earned) / len(earned)
        some = sum(0 < points < exercise.points for points in earned) / len(earned)
        mean = sum(earned) / len(earned) / exercise.points
        axes.barh(place, 100 * full, color=style.BEFORE, label="all points" if not place else None)
        axes.barh(place, 100 * some, left=100 * full, color=style.FOURTH, label="some points" if not place else None)
        axes.barh(
            place,
            100 * (1 - full - some),
            left=100 * (full + some),
            color="#dddddd",
            label="none" if not place else None,
        )
        axes.text(102, place, f"{mean:.0%}", va="center")
    axes.set_yticks(range(len(exercises)), [f"{exercise.number} {exercise.kind}" for exercise in exercises])
    axes.invert_yaxis()
    axes.set(
        xlim=(0, 100), xlabel=f"share of {len(class_grades)} submissions in %; at the right, the mean of the points"
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(f"{chapter}: what the class has, and what it missed")
    figure.legend(loc="outside lower center", ncols=3, frameon=False)
    path = ROOT / "autograded" / f"{chapter}.png"
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=120)
    return path
