"""A damaged submission gets what its answers deserve."""

import copy
import json
import random

import nbformat
import pytest
from conftest import points

from autograder import chapters, sample_class
from autograder.repair import repaired

CHAPTER = "ch01_quantization"
DAMAGE = {}


def damage(function):
    DAMAGE[function.__name__.replace("_", " ")] = function
    return function


def at(nb, name):
    return next(index for index, cell in enumerate(nb.cells) if chapters.grade_id(cell) == name)


@damage
def an_answer_cell_is_duplicated(nb):
    nb.cells.insert(at(nb, "ex_1_5"), copy.deepcopy(nb.cells[at(nb, "ex_1_5")]))


@damage
def every_cell_is_duplicated(nb):
    nb.cells = [cell for one in nb.cells for cell in (one, copy.deepcopy(one))]


@damage
def a_copy_still_holds_the_stub(nb):
    stub = copy.deepcopy(nb.cells[at(nb, "ex_1_5")])
    stub.source = chapters.exercises_released(released())[4].answer.source
    nb.cells.insert(at(nb, "ex_1_5") + 1, stub)


@damage
def a_test_cell_is_deleted(nb):
    del nb.cells[at(nb, "test_1_5")]


@damage
def all_test_cells_are_deleted(nb):
    nb.cells = [cell for cell in nb.cells if not chapters.grade_id(cell).startswith("test_")]


@damage
def an_answer_became_markdown(nb):
    nb.cells[at(nb, "ex_1_6")].cell_type = "markdown"


@damage
def an_answer_became_raw(nb):
    nb.cells[at(nb, "ex_L1_8")].cell_type = "raw"


@damage
def a_test_became_markdown(nb):
    nb.cells[at(nb, "test_1_6")].cell_type = "markdown"


@damage
def all_metadata_is_lost(nb):
    for cell in nb.cells:
        cell.metadata = nbformat.NotebookNode()


@damage
def the_metadata_is_nonsense(nb):
    for cell in nb.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata["nbgrader"] = nbformat.NotebookNode(grade_id=cell.metadata.nbgrader.grade_id, points="many")


@damage
def the_metadata_is_of_an_old_schema(nb):
    for cell in nb.cells:
        if "nbgrader" in cell.metadata:
            cell.metadata.nbgrader["schema_version"] = 1


@damage
def an_answer_was_written_anew_below(nb):
    index = at(nb, "ex_1_5")
    nb.cells.append(nbformat.v4.new_code_cell(nb.cells[index].source))
    del nb.cells[index]


@damage
def an_answer_stands_beside_the_untouched_cell(nb):
    index = at(nb, "ex_L1_7")
    nb.cells.insert(index + 1, nbformat.v4.new_code_cell(nb.cells[index].source))
    nb.cells[index].source = next(
        e.answer.source for e in chapters.exercises_released(released()) if e.number == "L1.7"
    )


@damage
def two_answers_are_merged(nb):
    first, second = at(nb, "ex_1_1"), at(nb, "ex_1_2")
    nb.cells[first].source += "\n" + nb.cells[second].source
    del nb.cells[second]


@damage
def cells_are_shuffled(nb):
    random.Random(0).shuffle(nb.cells)


@damage
def the_tests_were_edited(nb):
    for cell in nb.cells:
        if chapters.grade_id(cell).startswith("test_"):
            cell.source = "pass"


@damage
def the_text_is_gone(nb):
    nb.cells = [cell for cell in nb.cells if cell.cell_type == "code"]


@damage
def windows_line_ends(nb):
    for cell in nb.cells:
        cell.source = cell.source.replace("\n", "\r\n")


@damage
def as_colab_writes_it(nb):
    nb.nbformat_minor = 0
    nb.metadata = nbformat.NotebookNode(colab={"provenance": []}, kernelspec={"name": "python3", "display_name": "P"})
    for index, cell in enumerate(nb.cells):
        cell.pop("id", None)
        cell.metadata |= {"id": f"x{index}", "colab": {"base_uri": "https://example.org"}, "outputId": "y"}


@damage
def another_kernelspec(nb):
    nb.metadata["kernelspec"] = {"name": "julia-1.10", "display_name": "Julia", "language": "julia"}


@damage
def huge_outputs(nb):
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", text="x" * 10**6)]


@damage
def cell_ids_repeat(nb):
    for cell in nb.cells:
        cell["id"] = "same"


def released():
    return nbformat.read(chapters.release_path(CHAPTER), as_version=4)


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_perfect_submission_keeps_its_points(name, exercises_of, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    nb = sample_class.submission("ada", CHAPTER)
    DAMAGE[name](nb)
    nb = nbformat.from_dict(json.loads(json.dumps(nb)))  # as it comes from a file
    mended, _ = repaired(nb, released())
    nbformat.validate(mended)
    answers = "\n\n".join(cell.source for cell in mended.cells if chapters.grade_id(cell).startswith("ex_"))
    for number, exercise in exercises_of(CHAPTER).items():
        earned, message = points(exercise, answers)
        assert earned == exercise.points, f"{number}: {message}"
    expected = [chapters.grade_id(cell) for cell in released().cells if chapters.grade_id(cell)]
    assert sorted(chapters.grade_id(cell) for cell in mended.cells if chapters.grade_id(cell)) == sorted(expected)


def test_an_intact_submission_is_left_as_it_is():
    nb = sample_class.submission("ada", CHAPTER)
    mended, said = repaired(nb, released())
    assert said == []
    assert [cell.source for cell in mended.cells] == [cell.source for cell in nb.cells]


def test_an_untouched_submission_gains_no_answer():
    mended, said = repaired(released(), released())
    assert said == []
    assert [cell.source for cell in mended.cells] == [cell.source for cell in released().cells]


def test_shuffled_cells_come_back_in_the_releases_order():
    nb = sample_class.submission("ada", CHAPTER)
    random.Random(1).shuffle(nb.cells)
    mended, said = repaired(nb, released())
    assert "the cells' order" in said
    names = [chapters.grade_id(cell) for cell in released().cells if chapters.grade_id(cell)]
    assert [chapters.grade_id(cell) for cell in mended.cells if chapters.grade_id(cell)] == names
    imports = next(index for index, cell in enumerate(mended.cells) if cell.source.startswith("import numpy"))
    assert imports < next(i for i, cell in enumerate(mended.cells) if chapters.grade_id(cell) == "ex_1_5")


def test_there_are_enough_kinds_of_damage():
    assert len(DAMAGE) >= 20
