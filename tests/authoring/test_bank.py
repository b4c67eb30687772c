"""Every right answer of the bank earns full points, every wrong one fewer, in one kernel and in the grader's two."""

import copy
import json
from pathlib import Path

import nbformat
import pytest
from conftest import CHAPTERS, bank_answers, points
from nbgrader.utils import determine_grade, is_grade

from autograder.authoring import bank, chapters
from autograder.grading.execute import TwoKernels
from autograder.grading.standins import names_read

_earned = {}


def in_one_kernel(exercise, answer):
    """What `points` says of an answer of the bank, found out once."""
    if answer not in _earned:
        _earned[answer] = points(exercise, answer.source)
    return _earned[answer]


@pytest.fixture(autouse=True)
def _as_graded(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")


@pytest.mark.parametrize(("chapter", "answer"), bank_answers())
def test_an_answer_gets_what_it_deserves(chapter, answer, exercises_of):
    exercise = exercises_of(chapter)[answer.exercise]
    earned, message = in_one_kernel(exercise, answer)
    if answer.right:
        assert earned == (exercise.points if answer.earns is None else answer.earns), message
    else:
        assert earned < exercise.points
        assert message, "a wrong answer is told why"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_no_answers_points_have_moved(chapter, exercises_of):
    """points.json holds what each answer of the bank earned when it was written: a faster test is not a milder one."""
    recorded = json.loads(Path(__file__).with_name("points.json").read_text("utf-8"))[chapter]
    answers = {(answer.exercise, answer.name): answer for answer in bank.answers(chapter)}
    for number, names in recorded.items():
        for name, earned in names.items():
            assert in_one_kernel(exercises_of(chapter)[number], answers[number, name])[0] == earned, f"{number}: {name}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_solutions_earn_full_points_and_the_release_none(chapter, exercises_of):
    released = {
        exercise.number: exercise.answer.source
        for exercise in chapters.exercises_released(nbformat.read(chapters.release_path(chapter), as_version=4))
    }
    for number, exercise in exercises_of(chapter).items():
        earned, message = points(exercise, exercise.answer.source)
        assert earned == exercise.points, f"{number}: {message}"
        assert points(exercise, released[number])[0] == 0, number


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_bank_is_large_enough(chapter, exercises_of):
    answers = bank.answers(chapter)
    for number, exercise in exercises_of(chapter).items():
        right = [a for a in answers if a.exercise == number and a.right]
        wrong = [a for a in answers if a.exercise == number and not a.right]
        many = exercise.kind in ("Build", "Debug", "Challenge")
        assert len(right) >= (2 if many else 1), number
        assert len(wrong) >= (4 if many else 2), number
        assert len({a.name for a in right + wrong}) == len(right + wrong), f"{number}: names repeat"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_wrong_choice_is_in_the_bank(chapter, exercises_of):
    import re

    for number, exercise in exercises_of(chapter).items():
        if exercise.kind == "Trace":
            letters = set(re.findall(r"^- \*\*([A-Z])\*\* ", exercise.text, re.MULTILINE))
            answered = {a.source.split('"')[1] for a in bank.answers(chapter) if a.exercise == number}
            assert len(letters) >= 3, number
            assert letters <= answered, number


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_answer_of_the_bank_gets_the_same_points_in_two_kernels(chapter, exercises_of, tmp_path, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    exercises, answers = exercises_of(chapter), bank.answers(chapter)
    cells = [nbformat.v4.new_code_cell("import numpy as np\nimport torch")]
    for answer in answers:
        tests = exercises[answer.exercise].tests
        names = {name for test in tests for name in names_read(test.source)}
        forget = "\n".join(f"globals().pop({name!r}, None)" for name in sorted(names))
        cells += [nbformat.v4.new_code_cell(source) for source in (forget, answer.source)]
        cells += copy.deepcopy(tests)
    for index, cell in enumerate(cells):
        cell.id = f"cell-{index}"
    notebook = nbformat.v4.new_notebook(cells=cells)
    TwoKernels(cell_timeout=30, total_timeout=3000).preprocess(notebook, {"metadata": {"path": str(tmp_path)}})
    graded = iter(cell for cell in notebook.cells if is_grade(cell))
    different = []
    for answer in answers:
        exercise = exercises[answer.exercise]
        outputs = [next(graded) for _ in exercise.tests]
        earned = sum(determine_grade(cell)[0] for cell in outputs)
        if earned != in_one_kernel(exercise, answer)[0]:
            different.append((answer.exercise, answer.name, earned, str([cell.outputs for cell in outputs])[:300]))
    assert different == []
