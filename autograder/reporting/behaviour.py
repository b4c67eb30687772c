"""How an answer behaves: what it replied to its tests, and where they stopped.

Answers that are written differently and err alike behave alike. So an answer is run with nothing but its exercise's
tests, and what crosses the border meanwhile is kept: not the code, not the names, not the wording of its errors.
"""

import ast
import copy
import hashlib
import json
import re
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from itertools import islice
from numbers import Number
from pathlib import Path
from typing import NamedTuple

import nbformat
import numpy as np
from nbformat import NotebookNode
from nbgrader.utils import determine_grade, is_grade

from autograder.authoring import chapters
from autograder.grading import submission
from autograder.grading.border import Given, Handle, decode
from autograder.grading.limits import Limits
from autograder.grading.python_text import parsed
from autograder.grading.run import _Session
from autograder.grading.standins import names_read

SHOWN = 256  # numbers of an array, items of a list and replies that are kept
LONG = 50_000  # characters of a reply that are kept
ALWAYS = ("import numpy as np", "import torch")  # what answers of the bank need
SECONDS = 20, 120  # for a cell and for all, where nothing but one answer runs


class Stop(NamedTuple):
    """Where a test cell stopped: its line, the error's kind and message.

    kind: "stderr" where it only wrote there, "points" where it gave a part of them.
    """

    line: int
    kind: str
    message: str


class Heard(NamedTuple):
    """One test cell. replies: what the answer replied, as `_plain` keeps it. stop: None where the test passed."""

    replies: list
    stop: Stop | None


class Behaviour(NamedTuple):
    """An answer's own error, if its cell raised one, and what was heard in each of its exercise's test cells."""

    error: str
    heard: list[Heard]

    @property
    def error_kind(self) -> str:
        return self.error.partition(":")[0]

    @property
    def passed(self) -> list[bool]:
        return [heard.stop is None for heard in self.heard]


class Listening(_Session):
    """A run of a notebook that keeps what crosses the border. heard: {cell's index: the last replies, as `_plain`}."""

    def __init__(self, limits: Limits):
        super().__init__(limits)
        self.heard: dict[int, deque[dict]] = {}

    def _answer(self, request: str) -> str:
        reply = super()._answer(request)
        self.heard.setdefault(self._cell, deque(maxlen=SHOWN)).append(_bounded(json.loads(request), json.loads(reply)))
        return reply


def alone(answer: str, exercise: chapters.Exercise, context: list[str], limits: Limits) -> Behaviour:
    """How `answer` behaves with nothing but imports before it and its exercise's tests. Raises MachineFault."""
    sources = ["\n".join([*context, *ALWAYS]), answer]
    cells = [*map(nbformat.v4.new_code_cell, sources), *copy.deepcopy(exercise.tests)]
    cell, total = map(min, SECONDS, (limits.cell_timeout, limits.total_timeout))
    return _run(cells, 1, {}, exercise, limits._replace(cell_timeout=cell, total_timeout=total))


def within(notebook: NotebookNode, files: dict[str, bytes], exercise: chapters.Exercise, limits: Limits) -> Behaviour:
    """How the answer behaves behind all that stands before it in a graded notebook, but for other tests."""
    own = [chapters.grade_id(test) for test in exercise.tests]
    last = max(place for place, cell in enumerate(notebook.cells) if chapters.grade_id(cell) in own)
    cells = [cell for cell in notebook.cells[: last + 1] if not is_grade(cell) or chapters.grade_id(cell) in own]
    return _run(cells, [chapters.grade_id(cell) for cell in cells].index(f"ex_{exercise.id}"), files, exercise, limits)


def _run(cells: list, place: int, files: dict[str, bytes], exercise: chapters.Exercise, limits: Limits) -> Behaviour:
    """place: where the answer stands among the cells."""
    session = Listening(limits)
    ran = session.run(nbformat.v4.new_notebook(cells=cells), files).notebook.cells
    if session.killed:  # perhaps by the machine, as in run
        session = Listening(limits)
        ran = session.run(nbformat.v4.new_notebook(cells=cells), files).notebook.cells
    own = {chapters.grade_id(test) for test in exercise.tests}
    tests = [index for index, cell in enumerate(ran) if chapters.grade_id(cell) in own]
    errors = [f"{output.ename}: {output.evalue}" for output in ran[place].outputs if output.output_type == "error"]
    heard = [Heard(list(session.heard.get(index, ())), stopped(ran[index])) for index in tests]
    return Behaviour(errors[0] if errors else "", heard)


def stopped(cell: NotebookNode) -> Stop | None:
    """Where an executed test cell stopped; None where nbgrader gives it all points."""
    earned, most = determine_grade(cell)
    if earned == most and earned is not None:
        return None
    for output in cell.get("outputs", []):
        if output.output_type == "error":
            trace = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output.get("traceback", [])))
            line = re.search(r"Cell In\[\d+\], line (\d+)", trace)
            return Stop(int(line[1]) if line else 0, output.ename, output.evalue)
    said = [output.get("text", "") for output in cell.get("outputs", []) if output.get("name") == "stderr"]
    return Stop(0, "stderr", "".join(said).strip()) if said else Stop(0, "points", "a part of its points")


# ---- What is kept of a reply ----


def _bounded(request: dict, reply: dict) -> dict:
    """A reply as it is kept; of a large one its digest."""
    kept = _reply(request, reply)
    text = json.dumps(kept)
    return kept if len(text) <= LONG else {"value": {"large value": hashlib.sha256(text.encode()).hexdigest()}}


def _reply(request: dict, reply: dict) -> dict:
    """A reply without what depends on how the answer is written: numbers of objects, lines, types of the same value."""
    if "error" in reply:
        kind, message, _ = reply["error"]
        return {"error": [kind, message]}
    if "value" not in reply:
        return {"missing": str(reply.get("missing", ""))}
    given = Given()
    with suppress(Exception):  # a reply that cannot be read is one
        for part in ("args", "kwargs") if request["do"] == "call" else ():
            decode(request[part], Handle, given, adds=True)
        after = [[place, _plain(decode(data, Handle, given))] for place, data in reply.get("after", ())]
        return {"value": _plain(decode(reply["value"], Handle, given)), "after": after}
    return {"missing": ""}


def _plain(value):
    """`value` as JSON: whatever holds numbers in an order is {"numbers": [shape, values]}."""
    if isinstance(value, Handle):
        return _plain(value._plain) if value._plain is not None else {"object": value._type_name}
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, dict):
        return {"dict": sorted([repr(key), _plain(item)] for key, item in islice(value.items(), SHOWN))}
    if isinstance(value, set | frozenset):
        return {"set": sorted(map(repr, value))[:SHOWN]}
    if isinstance(value, Iterator):
        value = _drawn(value)
    if isinstance(value, bytes | bytearray):
        return {"bytes": [len(value), hashlib.sha256(value).hexdigest()]}
    if (numbers := _numbers(value)) is not None:
        return numbers
    if isinstance(value, list | tuple | np.ndarray) or hasattr(value, "__iter__"):
        return {"list": [_plain(item) for item in islice(value, SHOWN)]}
    return {"object": type(value).__name__}


def _drawn(iterator: Iterator) -> list:
    items = []
    try:
        items.extend(islice(iterator, SHOWN))
    except Exception as error:
        items.append(f"raises {type(error).__name__}")
    return items


def _numbers(value) -> dict | bool | None:
    """An array, tensor, scalar, or list of numbers; None for what is none."""
    if hasattr(value, "detach"):
        value = value.detach()
        value = value.numpy() if value.is_complex() else value.double().numpy()
    try:
        array = np.asarray(value)
        if array.dtype.kind == "c":
            array = np.stack([array.real, array.imag], -1)
        if array.dtype.kind == "O" and all(isinstance(item, Number | Decimal) for item in array.reshape(-1)):
            array = array.astype(float)  # fractions, decimals, large integers
        if array.dtype.kind not in "biuf":
            return None
    except Exception:  # ragged, of text, of objects
        return None
    if array.dtype.kind == "b" and not array.ndim:
        return bool(array)
    flat = array.reshape(-1).astype(float)
    if flat.size > SHOWN:
        flat = np.append(flat[np.linspace(0, flat.size - 1, SHOWN).astype(int)], flat.mean())
    return {"numbers": [list(array.shape), flat.tolist()]}


# ---- Which answers are the same text ----


def text_of(answer: str) -> str:
    """The answer without comments, docstrings and the learner's layout."""
    try:
        tree = parsed(answer)
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        return ast.unparse(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # no Python, or deeper than anybody reads
        return re.sub(r"(?m)^\s*#.*\n?|\s+#.*$", "", answer).strip()


def needed(statements: list[str], answer: str) -> list[str]:
    """Those of the import statements that define a name which `answer` reads."""
    try:
        read = set(names_read(answer)) if statements else set()
    except (SyntaxError, ValueError, RecursionError):
        return []
    found = []
    for statement in statements:
        names = {(alias.asname or alias.name).partition(".")[0] for alias in parsed(statement).body[0].names}
        if names & read:
            found.append(statement)
    return found


# ---- Kept on the disk ----


class Kept:
    """Behaviours on the disk, by the digest of all that they follow from: answer, tests, limits, grader."""

    def __init__(self, folder: Path, limits: Limits):
        settings = (limits._replace(hidden=()), Path(__file__).read_text("utf-8"))
        self._graded_by = submission.graded_by(Path(__file__), "", settings)
        self.folder, self._used = folder, set()
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)

    def place(self, *what: object) -> Path:
        place = self.folder / f"{hashlib.sha256(repr((self._graded_by, what)).encode()).hexdigest()[:32]}.json"
        self._used.add(place)
        return place

    def get(self, place: Path) -> Behaviour | None:
        with suppress(OSError, ValueError, TypeError):
            error, heard = json.loads(place.read_text("utf-8"))
            return Behaviour(error, [Heard(replies, Stop(*stop) if stop else None) for replies, stop in heard])
        return None

    def put(self, place: Path, behaviour: Behaviour) -> None:
        with suppress(OSError):  # then it is run again
            partial = place.with_suffix(".partial")
            partial.write_text(json.dumps(behaviour), "utf-8")
            partial.replace(place)

    def remove_the_rest(self) -> None:
        """What was kept of other tests, answers or graders."""
        for path in set(self.folder.glob("*")) - self._used:
            path.unlink(missing_ok=True)
