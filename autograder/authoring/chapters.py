"""Chapters as cells: reading the percent text, naming the exercises, and the rules that every chapter keeps."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from nbformat import NotebookNode

from autograder import ROOT, CourseError

HEADING = re.compile(
    r"^### (?:Exercise|Lab) (?P<exercise>L?\d+\.\d+) · (?P<kind>Derive|Trace|Build|Debug|Design|Challenge)"
    r" · (?P<points>\d+) points?$",
    re.MULTILINE,
)
SHORT = ("Derive", "Trace", "Design")
HIDDEN = re.compile(r"### BEGIN HIDDEN TESTS\n(.*?)### END HIDDEN TESTS", re.DOTALL)
PROBE = re.compile(r"^\s*@.*\bprobe\b|\bprobe\(", re.MULTILINE)
SOLUTION = re.compile(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", re.DOTALL)


@dataclass
class Exercise:
    """One exercise: its number ("1.5", "L1.7"), kind, points, the text before the answer cell, that cell, the tests."""

    number: str
    kind: str
    points: int
    text: str
    answer: NotebookNode | None = None
    tests: list[NotebookNode] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.number.replace(".", "_")


def hints(answer: str) -> dict[str, str]:
    """{name: hint} in the solution of a short exercise; the name is "" where one hint is for all that it asks."""
    return dict(re.findall(r"^# hint(?: (\w+))?: (.+)$", answer, re.MULTILINE))


def names() -> list[str]:
    """The chapters there are, in order: folders of source/ that hold a percent text of their own name."""
    return sorted(path.stem for path in ROOT.glob("source/ch*/ch*.py") if path.stem == path.parent.name)


def text_path(chapter: str) -> Path:
    return ROOT / "source" / chapter / f"{chapter}.py"


def source_path(chapter: str) -> Path:
    return ROOT / "source" / chapter / f"{chapter}.ipynb"


def release_path(chapter: str) -> Path:
    return ROOT / "release" / chapter / f"{chapter}.ipynb"


def require(chapter: str) -> str:
    """`chapter`, or a CourseError that lists the chapters there are."""
    if chapter not in names():
        folder = ROOT / "source" / chapter
        if re.fullmatch(r"ch\d\d_\w+", chapter) and folder.is_dir():
            raise CourseError(f"{chapter}: its source is missing; restore source/{chapter}/{chapter}.py")
        raise CourseError(f"unknown chapter {chapter!r}: choose from {', '.join(names()) or 'none (source/ is empty)'}")
    return chapter


def read(chapter: str) -> NotebookNode:
    """The chapter's percent text as a notebook."""
    import jupytext  # here, because each of nbgrader's commands loads this file

    path = text_path(require(chapter))
    try:
        return jupytext.read(path)
    except Exception as error:
        raise CourseError(f"{path.relative_to(ROOT)} cannot be read as percent text: {error}") from error


def grade_id(cell: NotebookNode) -> str:
    """The cell's nbgrader id, or ""."""
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def exercises(notebook: NotebookNode) -> list[Exercise]:
    """The exercises of a source with their cells; raises CourseError where a cell breaks the chapter's form."""
    found = exercises_released(notebook)
    for exercise in found:
        _complete(exercise)
    return found


def exercises_released(notebook: NotebookNode) -> list[Exercise]:
    """The same for a release, where solutions and hidden tests are gone."""
    found: list[Exercise] = []
    seen: set[str] = set()
    for cell in notebook.cells:
        name = grade_id(cell)
        if name in seen:
            raise CourseError(f"grade_id {name} stands twice: every graded cell needs an id of its own")
        if name:
            seen.add(name)
        if cell.cell_type == "markdown":
            headings = list(HEADING.finditer(cell.source))
            if not headings and found and found[-1].answer is None:
                found[-1].text += f"\n\n{cell.source}"
            for heading in headings:
                found.append(Exercise(heading["exercise"], heading["kind"], int(heading["points"]), cell.source))
        elif name.startswith("ex_"):
            _last(found, name, "ex_").answer = cell
        elif name.startswith("test_"):
            _last(found, name, "test_").tests.append(cell)
        for marker in ("BEGIN SOLUTION", "BEGIN HIDDEN TESTS"):
            if marker in cell.source and not name.startswith("ex_" if "SOLUTION" in marker else "test_"):
                raise CourseError(f"{marker} stands in a cell with grade_id {name!r}, where it would be released")
    return found


def _last(found: list[Exercise], name: str, prefix: str) -> Exercise:
    if not found or not (name == prefix + found[-1].id or name.startswith(prefix + found[-1].id + "_")):
        heading = found[-1].number if found else "no heading"
        raise CourseError(f"cell {name} follows {heading}: each exercise is heading, answer cell, test cells, in order")
    return found[-1]


def _complete(exercise: Exercise) -> None:
    if exercise.answer is None or not exercise.tests:
        raise CourseError(f"exercise {exercise.number} lacks its answer cell or its test cell")
    points = sum(cell.metadata.nbgrader.get("points", 0) for cell in exercise.tests)
    if points != exercise.points:
        raise CourseError(f"exercise {exercise.number}: its heading says {exercise.points} points, its tests {points}")
    if not SOLUTION.search(exercise.answer.source):
        raise CourseError(f"exercise {exercise.number}: its answer cell has no BEGIN SOLUTION region")
    hidden = [region for cell in exercise.tests for region in HIDDEN.findall(cell.source)]
    if not hidden:
        raise CourseError(f"exercise {exercise.number}: its test cells have no BEGIN HIDDEN TESTS region")
    if any(PROBE.search(region) for region in hidden):
        raise CourseError(
            f"exercise {exercise.number}: a probe stands among its hidden tests, and its source is sent to the "
            "learner's process, where it can be read: put it above BEGIN HIDDEN TESTS, and its values into arguments"
        )
