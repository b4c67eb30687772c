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


def visible_only(exercise):
    """The exercise without its hidden tests: what the learner runs."""
    exercise = copy.deepcopy(exercise)
    for cell in exercise.tests:
        cell.source = chapters.HIDDEN.sub("", cell.source)
    return exercise


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_most_likely_mistakes_fail_before_the_learners_eyes(chapter, exercises_of):
    answers, slipped = bank.answers(chapter), []
    for number, exercise in exercises_of(chapter).items():
        if exercise.kind in ("Build", "Debug"):
            likely = [answer for answer in answers if answer.exercise == number and answer.likely]
            assert len(likely) >= 2, f"{number}: mark two of its wrong answers likely=true"
            slipped += [(number, a.name) for a in likely if not points(visible_only(exercise), a.source)[1]]
    assert slipped == []


#: Right ways to return the same numbers.
RETURNED = {
    "a list": "value.tolist() if isinstance(value, np.ndarray) else value",
    "a tensor": "torch.tensor(value) if isinstance(value, np.ndarray | float) else value",
    "float32": "value.astype(np.float32) if isinstance(value, np.ndarray) and value.dtype == float else value",
    "a NumPy scalar": "np.float64(value) if isinstance(value, float) else value",
}


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_visible_and_hidden_checks_agree_on_what_may_be_returned(chapter, exercises_of):
    differ = []
    for number, exercise in exercises_of(chapter).items():
        names = [name for test in exercise.tests for name in sorted(names_read(test.source))]
        functions = [name for name in names if f"def {name}(" in exercise.answer.source]
        if exercise.kind not in ("Build", "Debug") or not functions:
            continue
        for way, expression in RETURNED.items():
            wrapped = exercise.answer.source + "".join(
                f"\n\ndef _turned(_function={name}):\n"
                f"    def {name}(*args, **kwargs):\n"
                f"        value = _function(*args, **kwargs)\n"
                f"        return {expression}\n"
                f"    return {name}\n\n{name} = _turned()\n"
                for name in dict.fromkeys(functions)
            )
            seen, graded = points(visible_only(exercise), wrapped), points(exercise, wrapped)
            if bool(seen[1]) != bool(graded[1]):
                differ.append((number, way, seen[1] or graded[1]))
    assert differ == []


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
