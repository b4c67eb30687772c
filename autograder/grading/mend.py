"""Puts a damaged submission back into the release's form, so that whatever still holds an answer is graded.

Each answer cell gets the release's metadata back and is followed by its test cells; copies become one cell; answers
without metadata are known by the names they define; the learner's other cells stay. What nbgrader would stop at
(duplicated, deleted or retyped cells, lost metadata, old formats) does not reach it. Values in, values out: of a
submission nothing is believed but its cells.

notebook_bytes (the file's cells) -> form (by the release's measure) -> answers (where they are) -> arrange.
"""

import copy

import nbformat
from nbformat import NotebookNode

from autograder.grading import answers, arrange, notebook_bytes
from autograder.grading.form import Form, form_of
from autograder.grading.notebook_bytes import LIMIT, Cell, Unreadable, read  # noqa: F401 (read is for others)
from autograder.grading.python_text import Reader

UNREADABLE, MENDED = "course_unreadable", "course_repairs"  # in the notebook's metadata
NOTEBOOKS = 50  # files of one submission among which the chapter's notebook is looked for


def mend(raw: bytes, released: NotebookNode, keep_outputs: bool = False) -> tuple[NotebookNode, list[str]]:
    """(the submission in the release's form, what had to be mended); raises Unreadable, which says why.

    keep_outputs: code cells keep their outputs, for when nothing is run again.
    """
    form = form_of(released)
    try:
        cells, odd = notebook_bytes.cells(raw)
        nb, said = _mended(cells, form, keep_outputs)
    except (Unreadable, MemoryError):  # too little memory is the machine's fault
        raise
    except Exception as error:
        raise Unreadable("the file cannot be read as this chapter's notebook") from error
    return nb, odd + said


def repaired(nb: NotebookNode, released: NotebookNode) -> tuple[NotebookNode, list[str]]:
    """The same for a notebook that was read already."""
    return _mended([notebook_bytes.as_cell(cell) for cell in nb.cells], form_of(released), False)


def nothing(released: NotebookNode, why: str) -> NotebookNode:
    """The release, which says on top why nothing could be graded."""
    nb = copy.deepcopy(released)
    nb.cells.insert(0, nbformat.v4.new_markdown_cell(f"**Nothing could be graded: {why}.**", id="unreadable"))
    return nb


def choose(files: dict[str, bytes], chapter: str, released: NotebookNode) -> tuple[str, str]:
    """Of the notebooks of one submission the one to grade, and a sentence about it for the instructor, or "".

    files: {name: bytes}, at least one. The one with the most answers is taken; of equals the one with the chapter's
    name, then the one with more of the chapter's graded cells, then the first by name.
    """
    if not files:
        raise ValueError("files must hold at least one notebook, got none")
    form, reader, own, left = form_of(released), Reader(), f"{chapter}.ipynb", LIMIT
    held: dict[str, tuple[int, int]] = {}
    for name in sorted(files, key=lambda name: (name != own, name))[:NOTEBOOKS]:
        left -= len(files[name])
        held[name] = _holds(files[name], form, reader) if len(files) > 1 and left >= 0 else (-1, -1)
    chosen = max(held, key=lambda name: (held[name][0], name == own, held[name][1]))
    if len(files) > 1:
        many = f"{max(held[chosen][0], 0)} of {len(form.exercises)} exercises"
        return chosen, f"{len(files)} notebooks were handed in: {_printable(chosen)} was taken, which answers {many}"
    return chosen, "" if chosen == own else f"the file was named {_printable(chosen)}"


def _holds(raw: bytes, form: Form, reader: Reader) -> tuple[int, int]:
    """(exercises answered, graded cells) of what a file holds; -1 where it cannot be read."""
    try:
        cells, _ = form.marked(notebook_bytes.cells(raw)[0])
        cells, _ = answers.joined(cells, form, reader)
        found, _ = answers.find(cells, form, reader)
        return answers.answered(found, form, reader), len({cell.mark for cell in cells} - {"", "setup"})
    except Exception:  # whatever is wrong with it, another file may be right
        return -1, -1


def _printable(name: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in name[:100])


def _mended(cells: list[Cell], form: Form, keep_outputs: bool) -> tuple[NotebookNode, list[str]]:
    if not any(cell.source.strip() for cell in cells):
        raise Unreadable("the notebook has no cells" if not cells else "all cells are empty")
    reader = Reader()
    cells, said = form.marked(cells)
    present = {cell.mark for cell in cells}
    cells, parts = answers.joined(cells, form, reader)
    found, unusual = answers.find(cells, form, reader)
    said += parts + unusual
    if not found and not any(cell.source.strip() in form.text for cell in cells):
        raise Unreadable("it is another notebook, which holds none of this chapter's exercises")
    ordered = arrange.in_order(cells, form)
    if ordered is not cells:
        said.append("the cells' order")
    kept, cut = arrange.bounded(ordered, found, form)
    nb = arrange.Arrangement(kept, found, form, reader, keep_outputs).notebook()
    said += cut
    said += [f"{name}: its cell was missing" for name in form.exercises if name not in found]
    said += [f"{name}: put back" for name in form.ours if name not in present and name not in form.exercises]
    return nb, said
