"""nbgrader's own steps by its own rules, for a class: they do not open the gradebook anew and ask it for each cell.

nbgrader 0.9.6 opens it five times a submission, looks up every cell, commits after every cell and checks its own schema
with every cell: nine tenths of what recording a submission cost. Here the chapter is read once a command, a
submission's grades with one question, and they are committed at once. A step that an instructor puts in place of one of
these runs as it is.
"""

import json
from types import SimpleNamespace

from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import (
    AssignLatePenalties,
    CheckCellMetadata,
    NbGraderPreprocessor,
    OverwriteCells,
    OverwriteKernelspec,
    SaveAutoGrades,
)

from autograder.grading import gradebook

RELEASED, OPENED = (
    "course_released",
    "course_gradebook",
)  # in a step's resources: Released, and what opens the gradebook


class Released:
    """A chapter as generate_assignment entered it. It answers what these steps ask a Gradebook."""

    def __init__(self, book: Gradebook, chapter: str):
        entered = book.find_notebook(chapter, chapter)
        self.notebook = SimpleNamespace(
            kernelspec=entered.kernelspec,
            source_cells=_plain(entered.source_cells, "name", "cell_type", "source", "locked", "checksum"),
            grade_cells=_plain(entered.grade_cells, "name", "max_score"),
            solution_cells=_plain(entered.solution_cells, "name"),
            task_cells=_plain(entered.task_cells, "name", "max_score"),
        )
        self.cells = {cell.name: cell for cell in self.notebook.source_cells}
        self.graded = {cell.name: cell for cell in (*self.notebook.task_cells, *self.notebook.grade_cells)}
        self.checked: set[str] = set()  # nbgrader's marks in whole notebooks that hold to its schema

    def find_notebook(self, *_):
        return self.notebook

    def find_source_cell(self, name: str, *_):
        return _found(self.cells, name)

    def find_graded_cell(self, name: str, *_):
        return _found(self.graded, name)


class _Entered:
    """A submission's grades and comments in place of a Gradebook; the one commit is not its affair."""

    def __init__(self, book: Gradebook, student: str, chapter: str):
        self.grades, self.comments = gradebook.entered(book, chapter, student)
        self.db = self

    def find_grade(self, name: str, *_):
        return _found(self.grades, name)

    def find_comment(self, name: str, *_):
        return _found(self.comments, name)

    def commit(self) -> None:
        pass


def _plain(rows: list, *names: str) -> list[SimpleNamespace]:
    """The rows as values that outlive their session."""
    return [SimpleNamespace(**{name: getattr(row, name) for name in names}) for row in rows]


def _found(known: dict, name: str):
    if name not in known:
        raise MissingEntry(f"the gradebook has no cell {name}")
    return known[name]


class Kernelspec(OverwriteKernelspec):
    def preprocess(self, nb, resources):
        if kernelspec := json.loads(resources[RELEASED].notebook.kernelspec or "null"):
            nb.metadata["kernelspec"] = kernelspec
        return nb, resources


class Cells(OverwriteCells):
    def preprocess(self, nb, resources):
        self.notebook_id, self.assignment_id = (resources["nbgrader"][name] for name in ("notebook", "assignment"))
        self.gradebook = resources[RELEASED]
        nb, resources = NbGraderPreprocessor.preprocess(self, nb, resources)
        if self.add_missing_cells:
            nb, resources = self.add_missing_grade_cells(nb, resources)
            nb, resources = self.add_missing_task_cells(nb, resources)
        return nb, resources


class Metadata(CheckCellMetadata):
    def preprocess(self, nb, resources):
        """Checks what it has not seen: the marks of a mended notebook are those of the release."""
        marks = [(cell.cell_type, cell.metadata["nbgrader"]) for cell in nb.cells if "nbgrader" in cell.metadata]
        seen = json.dumps(marks, sort_keys=True)
        if seen not in resources[RELEASED].checked:
            nb, resources = super().preprocess(nb, resources)
            resources[RELEASED].checked.add(seen)
        return nb, resources


class Grades(SaveAutoGrades):
    def preprocess(self, nb, resources):
        self.student_id, self.assignment_id, self.notebook_id = (
            resources["nbgrader"][name] for name in ("student", "assignment", "notebook")
        )
        with resources[OPENED]() as book:
            self.gradebook = _Entered(book, self.student_id, self.assignment_id)
            nb, resources = NbGraderPreprocessor.preprocess(self, nb, resources)
            book.db.commit()
        return nb, resources


class Penalties(AssignLatePenalties):
    def preprocess(self, nb, resources):
        """nbgrader's own where the submission is late; there is no penalty otherwise."""
        about = resources["nbgrader"]
        with resources[OPENED]() as book:
            submission = book.find_submission(about["assignment"], about["student"])
            late = submission.total_seconds_late > 0
            if not late:
                book.find_submission_notebook(
                    about["notebook"], about["assignment"], about["student"]
                ).late_submission_penalty = None
                book.db.commit()
        return super().preprocess(nb, resources) if late else (nb, resources)


#: {a step of nbgrader's: the same on what is read once}
SAME = {step.__base__: step for step in (Kernelspec, Cells, Metadata, Grades, Penalties)}
