"""What the visible check takes in a notebook, the hidden one takes in two kernels, whatever form the answer has."""

import copy
from pathlib import Path

import jupytext
import nbformat
import pytest
from conftest import CHAPTERS, points, run_cell
from nbgrader.utils import determine_grade, is_grade

from autograder.authoring import bank, chapters
from autograder.grading.standins import names_read

UNUSUAL = [cell for cell in jupytext.read(Path(bank.__file__).parent / "unusual.py").cells if cell.cell_type == "code"]


def chapter_of(answer):
    number = answer.metadata["exercise"].lstrip("L").split(".")[0]
    return next(name for name in CHAPTERS if name.startswith(f"ch{number:0>2}"))


def called(answer):
    return f"{answer.metadata['exercise']} {answer.metadata['unusual']}"


def test_there_are_many_and_each_has_a_name_of_its_own():
    assert len(UNUSUAL) >= 40
    assert len({called(answer) for answer in UNUSUAL}) == len(UNUSUAL)


@pytest.mark.parametrize("answer", UNUSUAL, ids=called)
def test_the_visible_check_takes_it_and_all_points_are_earned(answer, exercises_of, monkeypatch):
    exercise = exercises_of(chapter_of(answer))[answer.metadata["exercise"]]
    monkeypatch.setenv("NBGRADER_EXECUTION", "validate")  # where a short answer's check raises
    import numpy as np
    import torch

    namespace = {"np": np, "torch": torch}
    run_cell(answer.source, namespace)
    for test in exercise.tests:
        run_cell(chapters.HIDDEN.sub("", test.source), dict(namespace))
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    earned, message = points(exercise, answer.source)
    assert earned == exercise.points, message


@pytest.mark.parametrize("chapter", sorted({chapter_of(answer) for answer in UNUSUAL}))
def test_all_points_are_earned_in_two_kernels(chapter, exercises_of, two_kernels):
    answers = [answer for answer in UNUSUAL if chapter_of(answer) == chapter]
    cells = ["import numpy as np\nimport torch"]
    for answer in answers:
        tests = exercises_of(chapter)[answer.metadata["exercise"]].tests
        names = sorted({name for test in tests for name in names_read(test.source)})
        forget = "\n".join(f"globals().pop({name!r}, None)" for name in names)
        cells += [nbformat.v4.new_code_cell(forget), nbformat.v4.new_code_cell(answer.source), *copy.deepcopy(tests)]
    for place, cell in enumerate(cells[1:]):
        cell.id = f"cell-{place}"
    graded = iter(filter(is_grade, two_kernels(cells, cell_timeout=30, total_timeout=300)))
    lost = []
    for answer in answers:
        for test in exercises_of(chapter)[answer.metadata["exercise"]].tests:
            cell = next(graded)
            if determine_grade(cell)[0] != test.metadata.nbgrader.points:
                lost.append((called(answer), str([output.get("evalue", output) for output in cell.outputs])[:300]))
    assert lost == []
