"""What a release says about its cells, and what a submission's cells are by that measure."""

from dataclasses import dataclass
from functools import cached_property

from nbformat import NotebookNode

from autograder.authoring import chapters
from autograder.grading.notebook_bytes import Cell
from autograder.grading.python_text import Reader

COPIES = 20  # versions of one answer that are put together: the last ones
LONG = 2**20  # characters: a longer cell is cut


_kept: list["Form"] = []  # the last one that was asked for


def form_of(released: NotebookNode) -> "Form":
    """The release's form. Asked again for the same release, as for each submission of a class, it is not made anew."""
    if not _kept or _kept[0].released is not released:
        _kept[:] = [Form(released)]
    return _kept[0]


@dataclass(eq=False)
class Form:
    """exercises, ours: by grade_id. names: what each answer defines. known: the sources of the release's cells."""

    released: NotebookNode

    def __post_init__(self):
        reader = Reader()
        cells = self.released.cells
        found = [exercise for exercise in chapters.exercises_released(self.released) if exercise.answer is not None]
        self.exercises = {chapters.grade_id(exercise.answer): exercise for exercise in found}
        self.ours = {chapters.grade_id(cell): cell for cell in cells if chapters.grade_id(cell)}
        self.known = {cell.source.strip() for cell in cells} - {""}
        self.text = {cell.source.strip() for cell in cells if cell.cell_type == "markdown"} - {""}
        stubs = {name: reader(exercise.answer.source) for name, exercise in self.exercises.items()}
        self.names = {name: stub.names for name, stub in stubs.items()}
        self.stubs = {name: stub.essence for name, stub in stubs.items()}

    @cached_property
    def marks(self) -> dict[str, str]:
        """{source of a cell with a mark: the mark}."""
        return {cell.source.strip(): mark for mark, cell in self.ours.items() if cell.source.strip()}

    @cached_property
    def places(self) -> dict[str, int]:
        """{mark, or source where there is none: the cell's place}."""
        places: dict[str, int] = {}
        for place, cell in enumerate(self.released.cells):
            places.setdefault(chapters.grade_id(cell) or cell.source, place)
        return places

    def marked(self, cells: list[Cell]) -> tuple[list[Cell], list[str]]:
        """The cells without marks that mean nothing here, with those that their very text proves, and none too long."""
        long = 0
        for cell in cells:
            if len(cell.source) > LONG:
                cell.source = "# cut: this cell was too long" if cell.kind == "code" else "(cut: this was too long)"
                long += 1
            if cell.mark not in self.ours:
                cell.mark = self.marks.get(cell.source.strip(), "") if cell.kind == "code" else ""
        return cells, [f"{long} cells of more than {LONG >> 20} MiB were cut"] if long else []

    def worked_on(self, name: str, cells: list[Cell], reader: Reader) -> list[Cell]:
        """Those of the cells that hold an answer: not the stub, and not the same again."""
        kept: list[Cell] = []
        before = self.stubs[name]
        for cell in cells:
            essence = reader(cell.source).essence
            if essence not in ("", before, self.stubs[name]):
                kept.append(cell)
                before = essence
        return kept[-COPIES:]
