"""A damaged submission gets what its answers deserve, or a clear note."""

import random

import nbformat
import pytest
from conftest import points

from autograder.authoring import chapters, sample_class
from autograder.authoring.bank import damage
from autograder.authoring.bank.damage import CHAPTER, DAMAGE, FILES, UNREADABLE
from autograder.grading.mend import Unreadable, read, repaired


def released():
    return nbformat.read(chapters.release_path(CHAPTER), as_version=4)


@pytest.mark.parametrize("kind", [kind for kind in {**DAMAGE, **FILES} if kind != "renamed"])
def test_a_damaged_perfect_submission_keeps_its_points(kind, exercises_of, monkeypatch, tmp_path):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    path = tmp_path / f"{CHAPTER}.ipynb"
    damage.apply(kind, sample_class.submission("ada", CHAPTER), path)
    mended, _ = repaired(read(path.read_bytes()), released())
    nbformat.validate(mended)
    given = {cell.source for cell in released().cells}
    answers = "\n\n".join(c.source for c in mended.cells if c.cell_type == "code" and c.source not in given)
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


# A link is seen to before the file is read: tests/test_batch.py.
@pytest.mark.parametrize("kind", [kind for kind in UNREADABLE if "link" not in kind])
def test_what_cannot_be_read_says_why(kind, tmp_path):
    path = tmp_path / "x.ipynb"
    damage.apply(kind, sample_class.submission("ada", CHAPTER), path)
    with pytest.raises(Unreadable, match=r"empty|not a notebook|no cells|another notebook"):
        repaired(read(path.read_bytes()), released())


def test_another_chapters_notebook_is_not_this_chapters():
    nb = sample_class.submission("ada", CHAPTER)
    for cell in nb.cells:
        cell.source = cell.source.replace("1.", "2.").replace("ex_1_", "ex_2_").replace("def ", "def other_")
        if "nbgrader" in cell.metadata and "grade_id" in cell.metadata.nbgrader:
            cell.metadata.nbgrader.grade_id = cell.metadata.nbgrader.grade_id.replace("_1_", "_2_").replace(
                "_L1_", "_L2_"
            )
    nb.cells = [cell for cell in nb.cells if chapters.grade_id(cell) or cell.cell_type == "code"]
    with pytest.raises(Unreadable, match="another notebook"):
        repaired(nb, released())


def test_there_are_enough_kinds_of_damage():
    assert len(DAMAGE) + len(FILES) >= 20
