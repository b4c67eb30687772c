"""A class of damaged, broken and hostile submissions goes through plain `nbgrader autograde` in one batch."""

import re

import nbformat
import pytest
from conftest import scores
from small_course import listed

from autograder import NEEDS_A_LOOK
from autograder.authoring import chapters, sample_class
from autograder.authoring.bank import damage
from autograder.authoring.bank.damage import CHAPTER

GOOD = {**damage.DAMAGE, **damage.FILES}


def student(kind):
    return "unreadable-" * (kind in damage.UNREADABLE) + re.sub(r"\W", "-", kind)


@pytest.fixture(scope="module")
def batch(course_copy, nbgrader):
    """(the course after the batch, what autograde printed); the chapter is cut down to its exercises."""
    source = course_copy / "source" / CHAPTER / f"{CHAPTER}.ipynb"
    nb = nbformat.read(source, as_version=4)
    nb.cells = [cell for cell in nb.cells if cell.cell_type == "markdown" or chapters.grade_id(cell)]
    nb.cells.insert(2, nbformat.v4.new_code_cell("import numpy as np", id="imports"))
    nbformat.write(nb, source)
    nbgrader("generate_assignment", CHAPTER, "--force")
    released = nbformat.read(course_copy / "release" / CHAPTER / f"{CHAPTER}.ipynb", as_version=4)
    answers = sample_class.answers("ada", CHAPTER)

    def submit(kind, change=None):
        nb = nbformat.from_dict(released)
        for exercise in chapters.exercises_released(nb):
            exercise.answer.source = answers[exercise.number].source
        if change:
            change(nb)
        path = course_copy / "submitted" / student(kind) / CHAPTER / f"{CHAPTER}.ipynb"
        path.parent.mkdir(parents=True)
        damage.apply(kind, nb, path)

    for kind in [*GOOD, *damage.UNREADABLE, "a-folder-linked"]:
        submit(kind)
    submit("endless", lambda nb: nb.cells.append(nbformat.v4.new_code_cell("while True: pass")))
    submit("gone", lambda nb: nb.cells.insert(3, nbformat.v4.new_code_cell("import os; os._exit(1)")))
    (course_copy / "submitted" / "a-folder-linked" / CHAPTER / "stolen.db").symlink_to(source)
    wrong = course_copy / "submitted" / "no-notebook" / CHAPTER
    wrong.mkdir(parents=True)
    (wrong / "answers.py").write_text("ex_1_1 = 1")
    said = nbgrader("autograde", CHAPTER, "--TwoKernels.cell_timeout=10", code=NEEDS_A_LOOK)
    nbgrader("generate_feedback", CHAPTER, "--student=unreadable-*")
    return course_copy, said


@pytest.mark.parametrize("kind", GOOD)
def test_a_damaged_submission_gets_what_its_answers_deserve(kind, batch, exercises_of):
    most = sum(exercise.points for exercise in exercises_of(CHAPTER).values())
    assert sum(scores(batch[0], CHAPTER)[student(kind)].values()) == most


@pytest.mark.parametrize("kind", damage.UNREADABLE)
def test_an_unreadable_submission_gets_a_zero_and_a_note(kind, batch):
    root, said = batch
    found = scores(root, CHAPTER)[student(kind)]
    assert found
    assert set(found.values()) == {0}
    page = (root / "feedback" / student(kind) / CHAPTER / f"{CHAPTER}.html").read_text("utf-8")
    assert "Nothing could be graded" in page
    assert student(kind) in listed(said, "unreadable")


def test_the_summary_counts_and_names(batch):
    _, said = batch
    good = {student(kind) for kind in GOOD} | {"a-folder-linked", "endless", "gone"}
    assert listed(said, "graded") == good
    assert listed(said, "unreadable") == {student(kind) for kind in damage.UNREADABLE}
    assert len(listed(said, "repaired")) >= 40
    assert listed(said, "stopped") == {"endless", "gone"}
    assert not listed(said, "not graded")
    assert listed(said, "no notebook") == {"no-notebook"}
    assert "endless: a cell or an answer was interrupted: it took longer than 10 s" in said
    assert "gone: the notebook's process ended: it ended its own process. It was started again" in said


def test_neither_an_endless_cell_nor_a_process_that_ends_costs_more_than_itself(batch, exercises_of):
    most = sum(exercise.points for exercise in exercises_of(CHAPTER).values())
    found = {name: sum(points.values()) for name, points in scores(batch[0], CHAPTER).items()}
    assert (found["endless"], found["gone"]) == (most, most)


def test_a_link_lends_nothing(batch):
    root, said = batch
    assert "a-folder-linked: stolen.db: a link or a device" in said
    assert not (root / "autograded" / "a-folder-linked" / CHAPTER / "stolen.db").exists()


def test_the_class_chart_is_drawn(batch):
    root, said = batch
    assert f"class chart: autograded/{CHAPTER}.png" in said
    assert (root / "autograded" / f"{CHAPTER}.png").read_bytes().startswith(b"\x89PNG")
