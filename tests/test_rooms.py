"""The rooms of `autograder/` stand in an order: each imports from those above it and from `course`, not from below."""

import ast
from pathlib import Path

import pytest

from autograder import ROOT

ORDER = ("authoring", "collecting", "grading", "reporting", "showing", "measuring")
#: These put the rooms together: the steps behind the Makefile, and nbgrader's configuration.
FRONT = ("__init__.py", "__main__.py")


def imported(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import hides the room"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("autograder.")} & set(ORDER)


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_from_the_rooms_above_it(room):
    above = set(ORDER[: ORDER.index(room) + 1])
    for path in (ROOT / "autograder" / room).rglob("*.py"):
        names = imported(path)
        assert rooms(names) <= above, path
        assert not [name for name in names if name.split(".")[0] in ("tests", "source", "release", "conftest")], path


def test_every_file_stands_in_a_room():
    folder = ROOT / "autograder"
    assert sorted(path.name for path in folder.glob("*.py")) == sorted(FRONT)
    assert {path.name for path in folder.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(ORDER)


@pytest.mark.parametrize("room", ORDER)
def test_a_room_says_what_comes_in_and_what_goes_out(room):
    said = ast.get_docstring(ast.parse((ROOT / "autograder" / room / "__init__.py").read_text("utf-8")))
    assert "In: " in said
    assert "Out: " in said


def test_the_library_knows_no_grader():
    for path in (ROOT / "course").rglob("*.py"):
        assert not [name for name in imported(path) if name.startswith("autograder")], path


def test_the_drawing_in_contributing_is_the_house():
    drawing = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    places = [drawing.index(f"\n  {room}/ ") for room in ORDER]
    assert places == sorted(places)


def test_the_tests_lie_in_folders_of_the_same_names():
    places = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert places <= {*ORDER, "library", "chapters"}
