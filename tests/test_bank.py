"""Every right answer of the bank earns full points, every wrong one fewer, and nothing earns nothing."""

import pytest
from conftest import CHAPTERS, bank_answers, points

from autograder import bank, chapters


@pytest.fixture(autouse=True)
def _as_graded(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")


@pytest.mark.parametrize(("chapter", "answer"), bank_answers())
def test_an_answer_gets_what_it_deserves(chapter, answer, exercises_of):
    exercise = exercises_of(chapter)[answer.exercise]
    earned, message = points(exercise, answer.source)
    if answer.right:
        assert earned == (exercise.points if answer.earns is None else answer.earns), message
    else:
        assert earned < exercise.points
        assert message, "a wrong answer is told why"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_solutions_earn_full_points_and_the_release_none(chapter, exercises_of):
    import nbformat

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
