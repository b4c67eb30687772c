"""Puts a damaged submission back into the release's form, so that whatever still holds an answer is graded.

Each answer cell gets the release's metadata back and is followed by its test cells; copies become one cell; answers
without metadata are known by the names they define; the learner's other cells stay. What nbgrader would stop at
(duplicated, deleted or retyped cells, lost metadata, old formats) does not reach it. A step of autograde's sanitizing.
"""

import ast
import copy
import json
import re

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.preprocessors import NbGraderPreprocessor

from autograder.authoring import chapters

LIMIT = 256 * 2**20  # bytes of a submitted notebook
UNREADABLE, MENDED = "course_unreadable", "course_repairs"  # in the notebook's metadata
DEFINED = re.compile(r"^(?:def|class)\s+(\w+)|^(\w+)\s*=(?!=)", re.MULTILINE)


class Unreadable(Exception):
    """What was submitted is not this chapter's notebook; the message says what it is."""


class SubmissionExporter(NotebookExporter):
    """Reads whatever was submitted; in place of what is no notebook stands an empty one that says so."""

    def from_file(self, file_stream, resources=None, **kw):
        try:
            nb = read(file_stream.buffer.read(LIMIT + 1))
        except Unreadable as why:
            nb = nbformat.v4.new_notebook(metadata={UNREADABLE: str(why)})
        return self.from_notebook_node(nb, resources=resources, **kw)


def read(raw: bytes) -> NotebookNode:
    """The notebook in the bytes of a file, whatever its version and condition; raises Unreadable."""
    if not raw.strip():
        raise Unreadable("the file is empty")
    if len(raw) > LIMIT:
        raise Unreadable(f"the file is larger than {LIMIT >> 20} MiB")
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        data = json.loads(raw.decode(encoding))
    except (ValueError, RecursionError):
        raise Unreadable("the file is not a notebook: it is not JSON") from None
    try:
        if data.get("nbformat", 4) < 4:
            data = nbformat.convert(nbformat.reads(json.dumps(data), as_version=nbformat.NO_CONVERT), 4)
        cells = [_readable(cell) for cell in data["cells"] if isinstance(cell, dict)]
        metadata = data.get("metadata")
        return nbformat.v4.new_notebook(
            cells=cells, metadata=nbformat.from_dict(metadata) if isinstance(metadata, dict) else {}
        )
    except Exception:  # any structure but a notebook's
        raise Unreadable("the file is JSON, but not a notebook") from None


def _readable(cell: dict) -> NotebookNode:
    """The cell with its source as one text that UTF-8 can hold, Unix line ends, and without outputs."""
    source = cell.get("source") or ""
    source = ("".join(map(str, source)) if isinstance(source, list) else str(source)).replace("\r\n", "\n")
    source = source.replace("\r", "\n").encode("utf-8", "replace").decode()
    make = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    metadata = cell.get("metadata")
    made = make.get(cell.get("cell_type"), nbformat.v4.new_raw_cell)(source)
    made.metadata = nbformat.from_dict(metadata if isinstance(metadata, dict) else {})
    return made


class Repair(NbGraderPreprocessor):
    """Aligns a submission with its release; what was mended is logged and kept in the notebook's metadata."""

    def preprocess(self, nb: NotebookNode, resources: dict) -> tuple[NotebookNode, dict]:
        released = nbformat.read(chapters.release_path(resources["nbgrader"]["assignment"]), as_version=4)
        why, said = nb.metadata.get(UNREADABLE), []
        if not why:
            try:
                nb, said = repaired(nb, released)
            except Unreadable as error:
                why = str(error)
        student = resources["nbgrader"]["student"]
        if why:
            nb = copy.deepcopy(released)
            nb.cells.insert(0, nbformat.v4.new_markdown_cell(f"**Nothing could be graded: {why}.**", id="unreadable"))
            nb.metadata[UNREADABLE] = why
            self.log.warning("%s: nothing could be graded, %s", student, why)
        elif said:
            nb.metadata[MENDED] = said
            self.log.warning("%s: repaired %s", student, "; ".join(said))
        return nb, resources


def repaired(nb: NotebookNode, released: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """(the submission in the release's form, what had to be mended).

    Raises Unreadable when it holds nothing of the chapter.
    """
    exercises = {f"ex_{e.id}": e for e in chapters.exercises_released(released)}
    ours = {chapters.grade_id(cell): cell for cell in released.cells if chapters.grade_id(cell)}
    known = {cell.source.strip() for cell in released.cells if cell.source.strip()}
    text = {cell.source.strip() for cell in released.cells if cell.cell_type == "markdown"}
    submitted = [_plain(cell) for cell in nb.cells]
    if not any(cell.source.strip() for cell in submitted):
        raise Unreadable("the notebook has no cells" if not submitted else "all cells are empty")
    submitted, mended = _joined(submitted, exercises)
    answers, found = _find_answers(submitted, exercises, known)
    mended += found
    if not answers and not any(cell.source.strip() in text for cell in submitted):
        raise Unreadable("it is another notebook, which holds none of this chapter's exercises")
    ordered = _in_order(submitted, released)
    if ordered is not submitted:
        submitted = ordered
        mended.append("the cells' order")
    cells, placed, waiting = [], set(), []
    for cell in submitted:
        name = next((n for n, found in answers.items() if any(cell is one for one in found)), None)
        mark = chapters.grade_id(cell)
        if waiting and (name or mark in ours or cell.source.strip() in known):
            cells += waiting  # the test cells; a learner's own cells may stand between them and the answer
            waiting = []
        if name is None:
            if mark == "setup" and "setup" not in placed:
                placed.add("setup")
                cells.append(copy.deepcopy(ours["setup"]))
            elif mark not in ours:
                cell.metadata.pop("nbgrader", None)
                cells.append(cell)
        elif name not in placed:
            placed.add(name)
            answer, *waiting = _exercise(exercises[name], _chosen(answers[name], exercises[name].answer.source))
            cells.append(answer)
    cells += waiting
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
    """A readable copy, whose only metadata are nbgrader's."""
    plain = _readable(cell)
    given = plain.metadata.get("nbgrader")
    known = isinstance(given, dict) and isinstance(given.get("grade_id"), str)
    plain.metadata = nbformat.from_dict({"nbgrader": given} if known else {})
    return plain


def _joined(cells: list[NotebookNode], exercises: dict) -> tuple[list[NotebookNode], list[str]]:
    """`cells`, with an answer that was split in the middle made one cell again."""
    kept: list[NotebookNode] = []
    mended = []
    for cell in cells:
        before = kept[-1] if kept else None
        name = chapters.grade_id(before) if before else ""
        rest = chapters.grade_id(cell) in ("", name) and cell.cell_type == "code" and not _parses(cell.source)
        # the parts of one cell stay in pieces until they are Python together
        if name in exercises and rest and (whole := _whole(before.source, cell.source)):
            before.source = whole
            mended.append(f"{name}: two halves joined")
        else:
            kept.append(cell)
    return kept, mended


def _whole(first: str, second: str) -> str | None:
    """Two parts of one text put together, if that makes Python of what was not."""
    return next((whole for whole in (f"{first}\n{second}", first + second) if _parses(whole)), None)


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


def _find_answers(
    cells: list[NotebookNode], exercises: dict, known: set[str]
) -> tuple[dict[str, list[NotebookNode]], list[str]]:
    """{grade_id of an answer cell: the submitted cells that hold that answer}, and what was unusual about them.

    known: the sources of the release's cells, which answer nothing.
    """
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
        stub = exercise.answer.source.strip()
        worked_on = [cell.source for cell in answers.get(name, []) if cell.source.strip() != stub]
        missing = _defines(stub) - {defined for source in worked_on for defined in _defines(source)}
        strays = [
            cell
            for cell in cells
            if not chapters.grade_id(cell) and cell.source.strip() not in known and missing & _defines(cell.source)
        ]
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
