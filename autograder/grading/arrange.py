"""Puts a submission's cells into the release's form, when it is known which of them hold the answers."""

import copy
import json

import nbformat
from nbformat import NotebookNode

from autograder.authoring import chapters
from autograder.grading.answers import Found
from autograder.grading.form import Form
from autograder.grading.notebook_bytes import Cell
from autograder.grading.python_text import Reader

CELLS = 2_000  # cells of the learner's own that are kept
TEXT = 16 * 2**20  # characters of all those that are kept
OUTPUTS, SHOWN = 5_000, 64 * 2**20  # outputs that are kept where nothing is run again, and characters of them


def in_order(cells: list[Cell], form: Form) -> list[Cell]:
    """`cells`, put into the release's order if its answers are not; the others stay behind the one before."""
    firsts: dict[str, int] = {}
    keys, last = [], -1
    for cell in cells:
        last = form.places.get(cell.mark or cell.source, last)
        keys.append(last)
        if cell.mark in form.exercises:
            firsts.setdefault(cell.mark, last)  # a copy further down may stay there
    if list(firsts.values()) == sorted(firsts.values()):
        return cells
    return [cells[index] for index in sorted(range(len(cells)), key=keys.__getitem__)]


def bounded(cells: list[Cell], found: Found, form: Form) -> tuple[list[Cell], list[str]]:
    """`cells` with so many of the learner's own as one person writes; the rest is cut, and that is said.

    What is there twice is cut first, then what is neither the release's nor code, then what comes last.
    """
    needed = {id(cell) for those in found.values() for cell in those}
    ranks: dict[int, tuple[bool, bool, bool]] = {}
    seen: set[tuple[str, str]] = set()
    for index, cell in enumerate(cells):
        if not cell.mark and id(cell) not in needed:
            again = (cell.kind, cell.source) in seen
            seen.add((cell.kind, cell.source))
            ranks[index] = again, cell.source.strip() not in form.known and cell.kind != "code"
    cut, left = set(), TEXT
    for place, index in enumerate(sorted(ranks, key=ranks.__getitem__)):
        left -= len(cells[index].source)
        if place >= CELLS or left < 0:
            cut.add(index)
    said = [f"{len(cut)} cells more than anybody reads were cut"] if cut else []
    return [cell for index, cell in enumerate(cells) if index not in cut], said


class Arrangement:
    """The mended notebook in the making.

    An answer stands at the first of its places. Where it was found at several, the others stay too, as cells of the
    learner's own, and its test cells come after the last: what the answer needs may stand between them.
    """

    def __init__(self, cells: list[Cell], found: Found, form: Form, reader: Reader, keep_outputs: bool):
        self.form, self.reader, self.keep_outputs = form, reader, keep_outputs
        self.made: list[NotebookNode] = []
        self.waiting: list[NotebookNode] = []  # test cells; a learner's own cells may stand between answer and test
        self.own_code = 0  # the learner's own code cells so far
        self.since: dict[int, int] = {}  # {id of a cell whose text was placed in an answer: own_code at that time}
        self.placed: set[str] = set()  # texts of answers
        self.outputs_left, self.shown_left = OUTPUTS, SHOWN
        self.by_mark: dict[str, list[Cell]] = {}
        for cell in cells:
            self.by_mark.setdefault(cell.mark, []).append(cell)
        self._plan(cells, found)
        for cell in cells:
            self._place(cell)
        self._flush()
        if "setup" in form.ours and "setup" not in self.by_mark:
            self.made.insert(0, self._released("setup"))
        for name in form.exercises:
            if name not in found:
                self.made += [self._answer(name, "# this cell was missing", []), *self._tests(name)]

    def notebook(self) -> NotebookNode:
        for index, cell in enumerate(self.made):
            cell.id = f"{chapters.grade_id(cell) or 'cell'}-{index}"
        metadata = copy.deepcopy(self.form.released.metadata)
        return NotebookNode(nbformat=4, nbformat_minor=5, metadata=metadata, cells=self.made)

    def _plan(self, cells: list[Cell], found: Found) -> None:
        """What each answer is made of, at which cell it begins, and behind which cell its tests come."""
        place = {id(cell): index for index, cell in enumerate(cells)}
        self.versions: Found = {}
        self.begins: dict[int, list[str]] = {}
        self.ends: dict[int, list[str]] = {}
        self.later: set[int] = set()
        for name in self.form.exercises:
            if name not in found:
                continue
            those = sorted(found[name], key=lambda cell: place[id(cell)])
            worked_on = self.form.worked_on(name, those, self.reader)
            sound = [cell for cell in worked_on if self.reader(cell.source).sound]
            self.versions[name] = sound or worked_on[-1:] or those[-1:]
            later = [cell for cell in sound if cell is not those[0]]
            self.later |= {id(cell) for cell in later}
            self.begins.setdefault(id(those[0]), []).append(name)
            self.ends.setdefault(id((later or those[:1])[-1]), []).append(name)

    def _place(self, cell: Cell) -> None:
        begins = self.begins.get(id(cell), [])
        if begins or cell.mark or cell.source.strip() in self.form.known:
            self._flush()
        for name in begins:
            self.made.append(self._answer(name, self._text(name), self.versions[name][-1:]))
        if cell.mark == "setup" and cell is self.by_mark["setup"][0]:
            self.made.append(self._released("setup"))
        elif not begins and self._stays(cell):
            self.own_code += cell.kind == "code"
            self.made.append(self._own(cell))
        for name in self.ends.get(id(cell), []):
            self.waiting += self._tests(name)

    def _stays(self, cell: Cell) -> bool:
        """A cell of the learner's own; or a version of an answer further down that code before it may change."""
        if id(cell) in self.later:
            return self.since.get(id(cell)) != self.own_code
        return not cell.mark

    def _flush(self) -> None:
        self.made += self.waiting
        self.waiting = []

    def _text(self, name: str) -> str:
        """The answer's versions, one after the other; what another answer's cell has run already is not run again."""
        fresh = [cell for cell in self.versions[name] if cell.mark == name or cell.source not in self.placed]
        self.placed |= {cell.source for cell in fresh}
        self.since |= {id(cell): self.own_code for cell in fresh}
        return _together([cell.source for cell in fresh], self.reader) or "# answered in a cell above"

    def _answer(self, name: str, source: str, shown: list[Cell]) -> NotebookNode:
        cell = copy.deepcopy(self.form.exercises[name].answer)
        cell.source = source
        return self._with_outputs(cell, shown)

    def _tests(self, name: str) -> list[NotebookNode]:
        return [self._released(chapters.grade_id(test)) for test in self.form.exercises[name].tests]

    def _released(self, mark: str) -> NotebookNode:
        """The release's cell; where the submission has it once, as code, with what was shown there."""
        same = self.by_mark.get(mark, [])
        return self._with_outputs(copy.deepcopy(self.form.ours[mark]), same if len(same) == 1 else [])

    def _own(self, cell: Cell) -> NotebookNode:
        kind = "code" if id(cell) in self.later else cell.kind
        made = NotebookNode(id="", cell_type=kind, metadata=NotebookNode(), source=cell.source)
        return self._with_outputs(made, [cell])

    def _with_outputs(self, made: NotebookNode, shown: list[Cell]) -> NotebookNode:
        if made.cell_type != "code":
            return made
        made.outputs, made.execution_count = [], None
        if self.keep_outputs and shown and shown[0].kind == "code":
            made.outputs = [output for one in shown[0].outputs if (output := self._output(one))]
            count = shown[0].count
            made.execution_count = count if type(count) is int and count >= 0 else None
        return made

    def _output(self, given: object) -> NotebookNode | None:
        """The output if it is a valid one and there is room left for it."""
        try:
            self.outputs_left -= 1
            if self.outputs_left < 0 or not isinstance(given, dict):
                return None
            text = json.dumps(given, ensure_ascii=False)
            self.shown_left -= len(text)
            if self.shown_left < 0:
                return None
            output = nbformat.from_dict(json.loads(text.encode("utf-8", "replace")))
            holder = NotebookNode(cells=[NotebookNode(cell_type="code", source="", outputs=[output])])
            nbformat.v4.rwbase.rejoin_lines(holder)
            nbformat.validate(output, ref="output", version=4, version_minor=5)
            return output
        except Exception:  # anything but an output
            return None


def _together(sources: list[str], reader: Reader) -> str:
    """Versions of an answer as one text, in which the later wins; the last alone where they do not go together."""
    if len(sources) < 2:
        return "".join(sources)
    codes = [code for code in map(reader, sources) if code.text]
    for texts in ([code.text for code in codes], [code.python for code in codes]):
        whole = "\n\n".join(texts)
        # A __future__ import must come first in its cell.
        if reader(whole).sound and not any("__future__" in text for text in texts[1:]):
            return whole
    return sources[-1]
