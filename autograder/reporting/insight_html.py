"""The page of `make insight`, with insight_page/index.html.j2: the class by exercise.

Whatever a learner wrote is escaped. Examples have no names, and no comments, where somebody may have written one.
"""

from pathlib import Path

import jinja2
import nbformat
from nbformat import NotebookNode
from nbgrader.coursedir import CourseDirectory
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from autograder import CourseError
from autograder.authoring import chapters
from autograder.reporting import page_text
from autograder.reporting.behaviour import text_of
from autograder.reporting.class_answers import FEW, Group, Seen

EXAMPLES, LINES, WIDE = 3, 24, 100  # of each group; lines of an example and characters of a line that are shown
CODE = HtmlFormatter(style="friendly")


def write(course: CourseDirectory, seen: list[Seen]) -> Path:
    """Write autograded/CHAPTER_insight.html for the chapter that `course` names, and return its path."""
    path = Path(course.root, course.autograded_directory, f"{course.assignment_id}_insight.html")
    released = Path(course.format_path(course.release_directory, ".", course.assignment_id))
    try:
        path.write_text(page(seen, nbformat.read(released / f"{course.assignment_id}.ipynb", as_version=4)), "utf-8")
    except OSError as error:
        raise CourseError(f"cannot write {path}: {error.strerror}; check the folder's permissions") from error
    return path


def page(seen: list[Seen], released: NotebookNode) -> str:
    """The page as HTML. released: the chapter, for its title and tasks."""
    title = next(cell.source.splitlines()[0].lstrip("# ") for cell in released.cells if cell.source.startswith("# "))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("insight_page")), autoescape=True, trim_blocks=True
    )
    exercises = [_shown(each, _task(each.exercise, released)) for each in seen]
    said = [group | {"exercise": each} for each in exercises for group in each["groups"] if group["named"]]
    students = max(len(each.answers) for each in seen)
    often = [group for group in said if group["count"] > 1 or students < FEW]
    return environment.get_template("index.html.j2").render(
        title=title,
        students=students,
        exercises=exercises,
        tomorrow=sorted(often, key=lambda group: -group["count"])[:3],
        css=CODE.get_style_defs(".highlight"),
    )


def _task(exercise: chapters.Exercise, released: NotebookNode) -> str:
    """What stands in the chapter from the exercise's heading to its answer cell, as HTML."""
    names = [chapters.grade_id(cell) for cell in released.cells]
    between = []
    for cell in reversed(released.cells[: names.index(f"ex_{exercise.id}")]):
        if chapters.HEADING.search(cell.source):
            break
        is_code = cell.cell_type == "code"
        between.append(highlight(cell.source, PythonLexer(), CODE) if is_code else page_text.to_html(cell.source))
    task = exercise.text[chapters.HEADING.search(exercise.text).end() :]
    return "\n".join([page_text.to_html(task.strip()), *reversed(between)])


def _shown(seen: Seen, task: str) -> dict:
    """One exercise for the page."""
    exercise, everybody = seen.exercise, len(seen.answers)
    named = sum(len(group.answers) for group in seen.groups if group.named)
    parts = {
        "solved": seen.solved,
        "named": named,
        "other": len(seen.wrong) - named,
        "untouched": seen.untouched,
    }
    return {
        "id": exercise.id,
        "heading": f"{'Lab' if exercise.number.startswith('L') else 'Exercise'} {exercise.number} · {exercise.kind}",
        "points": exercise.points,
        "task": task,
        "everybody": everybody,
        "parts": {name: (count, 100 * count / everybody) for name, count in parts.items()},
        "difficulty": seen.solved / everybody,
        "discrimination": seen.discrimination,
        "groups": [_group_shown(group, seen) for group in seen.groups],
    }


def _group_shown(group: Group, seen: Seen) -> dict:
    sources = sorted({text_of(answer.source) for answer in group.answers}, key=lambda text: (len(text), text))
    apart = max(1, len(sources) // EXAMPLES)  # short ones and longer ones
    solution = chapters.SOLUTION.search(seen.exercise.answer.source)[1]
    return {
        "title": group.title,
        "named": group.named,
        "count": len(group.answers),
        "share": 100 * len(group.answers) / len(seen.answers),
        "message": group.message,
        "hint": " ".join(chapters.hints(solution).values()),
        "sources": len(sources),
        "examples": [_highlighted(source) for source in sources[::apart][:EXAMPLES]],
    }


def _highlighted(source: str) -> str:
    """Code as HTML, escaped; of a long one the beginning."""
    lines = [line if len(line) <= WIDE else f"{line[: WIDE - 3]}..." for line in source.splitlines()]
    more = len(lines) - LINES
    text = "\n".join(lines if more <= 0 else [*lines[:LINES], f"# ... and {more} more lines"])
    return highlight(text, PythonLexer(), CODE)
