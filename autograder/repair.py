"""Puts a damaged submission back into the release's form, so that whatever still holds an answer is graded.

Each answer cell gets the release's metadata back and is followed by its test cells; copies become one cell; answers
without metadata are known by the names they define; the learner's other cells stay. What nbgrader would stop at
(duplicated, deleted or retyped cells, lost metadata, old formats) does not reach it. A step of autograde's sanitizing.
"""

import ast
import copy
import re

import nbformat
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor

from autograder import chapters

DEFINED = re.compile(r"^(?:def|class)\s+(\w+)|^(\w+)\s*=(?!=)", re.MULTILINE)


class Repair(NbGraderPreprocessor):
    """Aligns a submission with its release; what was mended is logged and kept in the notebook's metadata."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        chapter = resources["nbgrader"]["assignment"]
        released = nbformat.read(chapters.release_path(chapter), as_version=4)
        nb, mended = repaired(nb, released)
        if mended:
            self.log.warning("%s: repaired %s", resources["nbgrader"]["student"], "; ".join(mended))
        nb.metadata["course_repairs"] = mended
        return nb, resources


def repaired(nb: NotebookNode, released: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """(the submission in the release's form, what had to be mended)."""
    exercises = {f"ex_{e.id}": e for e in chapters.exercises_released(released)}
    ours = {chapters.grade_id(cell): cell for cell in released.cells if chapters.grade_id(cell)}
    submitted = [_plain(cell) for cell in nb.cells]
    answers, mended = _find_answers(submitted, exercises)
    ordered = _in_order(submitted, released)
    if ordered is not submitted:
        submitted = ordered
        mended.append("the cells' order")
    cells, placed = [], set()
    for cell in submitted:
        name = next((n for n, found in answers.items() if any(cell is one for one in found)), None)
        if name is None:
            if chapters.grade_id(cell) == "setup" and "setup" not in placed:
                placed.add("setup")
                cells.append(copy.deepcopy(ours["setup"]))
            elif chapters.grade_id(cell) not in ours:
                cell.metadata.pop("nbgrader", None)
                cells.append(cell)
        elif name not in placed:
            placed.add(name)
            cells += _exercise(exercises[name], _chosen(answers[name], exercises[name].answer.source))
    if "setup" in ours and "setup" not in placed:
        cells.insert(0, copy.deepcopy(ours["setup"]))
    for name in exercises:
        if name not in placed:
            mended.append(f"{name}: its cell was missing")
            cells += _exercise(exercises[name], "# this cell was missing")
    present = [chapters.grade_id(cell) for cell in nb.cells]
    mended += [f"{name}: put back" for name in ours if name not in present and not name.startswith("ex_")]
    for index, cell in enumerate(cells):
        cell.id = f"{chapters.grade_id(cell) or 'cell'}-{index}"
    return nbformat.v4.new_notebook(cells=cells, metadata=copy.deepcopy(released.metadata)), mended


def _plain(cell: NotebookNode) -> NotebookNode:
    """A copy with what every cell needs, without outputs, with Unix line ends."""
    source = cell.get("source") or ""
    source = ("".join(map(str, source)) if isinstance(source, list) else str(source)).replace("\r\n", "\n")
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    plain = make.get(cell.get("cell_type"), nbformat.v4.new_raw_cell)(source.replace("\r", "\n"))
    metadata = cell.get("metadata")
    given = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    if isinstance(given, dict) and isinstance(given.get("grade_id"), str):
        plain.metadata["nbgrader"] = dict(given)
    return plain


def _in_order(cells: list[NotebookNode], released: NotebookNode) -> list[NotebookNode]:
    """`cells`, put into the release's order if those known from it are not; the others stay behind the one before."""
    places = {}
    for place, cell in enumerate(released.cells):
        places.setdefault(chapters.grade_id(cell) or cell.source, place)
    keys, last = [], -1
    for cell in cells:
        last = places.get(chapters.grade_id(cell) or cell.source, last)
        keys.append(last)
    known = [key for key, cell in zip(keys, cells, strict=True) if chapters.grade_id(cell).startswith("ex_")]
    if known == sorted(known):
        return cells
    return [cells[index] for index in sorted(range(len(cells)), key=keys.__getitem__)]


def _find_answers(cells: list[NotebookNode], exercises: dict) -> tuple[dict[str, list[NotebookNode]], list[str]]:
    """{grade_id of an answer cell: the submitted cells that hold that answer}, and what was unusual about them."""
    answers: dict[str, list[NotebookNode]] = {}
    mended = []
    for cell in cells:
        name = chapters.grade_id(cell)
        if name in exercises:
            answers.setdefault(name, []).append(cell)
            if cell.cell_type != "code":
                mended.append(f"{name}: was {cell.cell_type}, made code again")
    mended += [f"{name}: {len(found)} copies made one" for name, found in answers.items() if len(found) > 1]
    for name, exercise in exercises.items():
        wanted = _defines(exercise.answer.source)
        stub = exercise.answer.source.strip()
        if all(cell.source.strip() == stub for cell in answers.get(name, [])):
            strays = [cell for cell in cells if not chapters.grade_id(cell) and wanted & _defines(cell.source)]
            if strays:
                answers[name] = [*answers.get(name, []), *strays]
                mended.append(f"{name}: found in a cell without its mark")
    return answers, mended


def _defines(source: str) -> set[str]:
    return {function or variable for function, variable in DEFINED.findall(source)}


def _chosen(found: list[NotebookNode], stub: str) -> str:
    """The answer in several copies: those that were worked on and are Python, one after the other; else the last."""
    worked_on = list(dict.fromkeys(cell.source for cell in found if cell.source.strip() != stub.strip()))
    sound = [source for source in worked_on if _parses(source)]
    return "\n\n".join(sound) or (worked_on or [found[-1].source])[-1]


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _exercise(exercise: chapters.Exercise, source: str) -> list[NotebookNode]:
    """The answer cell with `source`, and its test cells, as released."""
    answer = copy.deepcopy(exercise.answer)
    answer.source = source
    return [answer, *copy.deepcopy(exercise.tests)]
