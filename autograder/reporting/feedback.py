"""The page a learner gets back: points and messages by exercise, their own code and errors, and no hidden test."""

import re

import nbformat
from nbconvert.exporters import HTMLExporter, TemplateExporter
from nbconvert.filters import Highlight2HTML
from nbgrader import utils
from nbgrader.converters.generate_feedback import GenerateFeedback
from nbgrader.preprocessors import NbGraderPreprocessor
from pygments.formatters import HtmlFormatter

from autograder.authoring import chapters
from autograder.collecting.account import say, shown
from autograder.grading import record
from autograder.grading.execute import STOPPED
from autograder.grading.mend import MENDED, UNREADABLE


class FeedbackPage(HTMLExporter):
    """Renders what `Outcomes` gathered, with feedback_page/index.html.j2; generate_feedback's exporter.

    nbgrader makes it once a command, when it has listed what was autograded. Only what was graded to its end gets a
    page, and whoever has a name that nbgrader's patterns cannot see gets one, too. Nothing but the page goes into
    feedback/: nbgrader would copy what lies beside the notebook, and with such a name the notebook with hidden tests.
    """

    def __init__(self, parent=None, **options):
        super().__init__(parent=parent, **options)
        if isinstance(parent, GenerateFeedback):
            course = parent.coursedir
            found, others = record.graded(course)
            parent.assignments = {
                str(folder): [str(folder / f"{course.assignment_id}.ipynb")] for folder in found.values()
            }
            if others:
                say(
                    f"no page, for the gradebook holds other grades than were recorded: {', '.join(map(shown, others))}"
                )
                say(f"  nbgrader autograde {course.assignment_id} grades them again")
            parent.init_assignment = lambda assignment, student: None

    def from_notebook_node(self, nb, resources=None, **options):
        """HTMLExporter's without its second reading of the page, which finds words for pictures: here all have some."""
        self.register_filter("highlight_code", Highlight2HTML(parent=self))
        return TemplateExporter.from_notebook_node(self, nb, resources, **options)


class Outcomes(NbGraderPreprocessor):
    """Gathers what the page shows, and leaves every hidden test behind; the last step of generate_feedback."""

    def preprocess(self, nb, resources):
        about = resources["nbgrader"]
        about["score"] = max(
            0.0, about["score"]
        )  # as every table counts it: points by hand may be fewer than a penalty
        released = nbformat.read(chapters.release_path(about["assignment"]), as_version=4)
        cells = {chapters.grade_id(cell): cell for cell in nb.cells}
        resources["page"] = {
            "title": next(
                (cell.source.splitlines()[0].lstrip("# ") for cell in released.cells if cell.source.startswith("# ")),
                about["notebook"],
            ),
            "notes": _notes(nb.metadata),
            "exercises": [_exercise(exercise, cells) for exercise in chapters.exercises_released(released)],
            "cells": [_as_it_ran(cell) for cell in nb.cells if cell.cell_type == "code" and not utils.is_grade(cell)],
            "css": HtmlFormatter(style="friendly").get_style_defs(".highlight"),
        }
        return nb, resources


def _notes(metadata: dict) -> list[str]:
    notes = []
    if why := metadata.get(UNREADABLE):
        notes.append(f"Nothing could be graded: {why}. Hand in the chapter's notebook, saved by Jupyter or Colab.")
    if why := metadata.get(STOPPED):
        notes.append(why[0].upper() + why[1:] + ". Try Restart Kernel and Run All before you hand in.")
    if mended := metadata.get(MENDED):
        notes.append("The notebook was damaged and was mended before grading: " + "; ".join(mended) + ".")
    return notes


def _exercise(exercise: chapters.Exercise, cells: dict) -> dict:
    """One exercise for the page: its points, its checks, and the learner's answer with its own error."""
    answer = cells.get(f"ex_{exercise.id}")
    checks = [
        check
        for test in exercise.tests
        if (graded := cells.get(chapters.grade_id(test)))
        for check in _checks(graded, exercise)
    ]
    task = exercise.text[chapters.HEADING.search(exercise.text).end() :]
    comment = answer.metadata.nbgrader.get("comment") if answer else None
    return {
        "id": exercise.id,
        "heading": f"{'Lab' if exercise.number.startswith('L') else 'Exercise'} {exercise.number} · {exercise.kind}",
        "task": task.strip(),
        "points": exercise.points,
        "earned": sum(
            cells[name].metadata.nbgrader.score for name in map(chapters.grade_id, exercise.tests) if name in cells
        ),
        "answered": comment != "No response.",
        "comment": comment if comment != "No response." else None,
        "source": answer.source.strip() if answer else "",
        "error": next(
            (_own_error(output) for output in (answer or {}).get("outputs", ()) if output.output_type == "error"), None
        ),
        "checks": checks,
    }


def _checks(cell, exercise: chapters.Exercise) -> list[dict]:
    """What the visible and the hidden part of a test cell said: {"what", "outcome", "message"}."""
    part = chapters.grade_id(cell).removeprefix(f"test_{exercise.id}").lstrip("_")
    names = ["Checks you could run", "Hidden checks"]
    if exercise.kind in chapters.SHORT or part:
        names = [f"Your answer{': ' * bool(part)}{part}"]
    elif not chapters.HIDDEN.search(cell.source):
        names = names[:1]
    said = [output for output in cell.outputs if output.output_type == "error" or output.get("name") == "stderr"]
    if not said:
        return [{"what": name, "outcome": "passed"} for name in names]
    message = said[0].get("evalue") or said[0].get("text", "")
    if said[0].get("ename", "AssertionError") != "AssertionError":
        message = f"{said[0].ename}: {message}"
    failed = 1 if _line(said[0]) > _first_hidden_line(cell.source) and len(names) > 1 else 0
    outcomes = ["passed", "not passed"] if failed else ["not passed", "not reached"]
    return [
        {"what": name, "outcome": outcome, "message": message if outcome == "not passed" else None}
        for name, outcome in zip(names, outcomes, strict=False)
    ]


def _first_hidden_line(source: str) -> int:
    found = chapters.HIDDEN.search(source)
    return source[: found.start()].count("\n") + 1 if found else 10**9


def _line(output) -> int:
    """The line of the test cell at which it stopped."""
    found = re.search(r"Cell In\[\d+\], line (\d+)", _text("\n".join(output.get("traceback", []))))
    return int(found[1]) if found else 0


def _own_error(output) -> str:
    """The error of a learner's cell, with the lines of their own that led to it."""
    lines = _text("\n".join(output.get("traceback", []))).splitlines()
    own = [line for line in lines if re.match(r"\s*-+> ?\d+ ", line)]
    return "\n".join([*own[-3:], f"{output.ename}: {output.evalue}"])


def _text(ansi: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", ansi)


def _as_it_ran(cell) -> dict:
    """A learner's cell with what it printed and drew; HTML of theirs is not shown."""
    shown = []
    for output in cell.get("outputs", []):
        data = output.get("data", {})
        if output.output_type == "error":
            shown.append({"text": _own_error(output)})
        elif image := data.get("image/png"):
            shown.append({"png": image.replace("\n", ""), "alt": data.get("text/plain", "a figure")})
        elif text := output.get("text") or data.get("text/plain"):
            shown.append({"text": _text(text)[:4000]})
    return {"source": cell.source.strip(), "outputs": shown}
