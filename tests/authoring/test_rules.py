"""Rules that every exercise keeps: no known mistake passes for the answer, and what is refused is stated."""

import ast
import re

import pytest
from conftest import CHAPTERS, points

from autograder.authoring import chapters
from course import expect

ALL = [(chapter, exercise) for chapter in CHAPTERS for exercise in chapters.exercises(chapters.read(chapter))]


def all_of(*kinds):
    return [pytest.param(chapter, e, id=e.number) for chapter, e in ALL if e.kind in kinds]


@pytest.fixture(autouse=True)
def _as_graded(monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")


@pytest.mark.parametrize(("chapter", "exercise"), all_of("Derive"))
def test_no_known_mistake_is_within_the_tolerance(chapter, exercise, monkeypatch):
    """Neither a trap of the hidden test, nor a number that the text gives for comparison."""
    asked = []
    number = expect.number

    def listen(value, exact, traps=None, within=0.01):
        asked.append((exact, traps or {}, within))
        number(value, exact, traps, within)

    monkeypatch.setattr(expect, "number", listen)
    assert points(exercise, exercise.answer.source)[0] == exercise.points
    assert asked
    for exact, traps, within in asked:
        compared = " ".join(re.findall(r"[Ff]or comparison[^.]*(?:\.\d[^.]*)*", exercise.text))
        shown = [float(text.replace(",", "")) for text in re.findall(r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?", compared)]
        for mistake in [*traps, *shown]:
            assert abs(mistake - exact) > within * abs(exact), f"{mistake} passes for {exact}"


def refusals(source: str):
    """(names that the message may name, the call in words) of each `expect.refuses` in `source`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "expect.refuses":
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            names = given.get("naming")
            of = given.get("of")
            words = " ".join(
                part.value for part in ast.walk(of) if isinstance(part, ast.Constant) and isinstance(part.value, str)
            )
            found = [part.value for part in ast.walk(names) if isinstance(part, ast.Constant)]
            yield [name for text in found for name in str(text).split(" or ")], words


def parameters(exercise) -> set[str]:
    """The arguments of the functions and methods that the answer defines."""
    defined = [n for n in ast.walk(ast.parse(exercise.answer.source)) if isinstance(n, ast.FunctionDef)]
    return {argument.arg for function in defined for argument in function.args.args} - {"self", "ctx"}


@pytest.mark.parametrize(("chapter", "exercise"), all_of("Build", "Debug", "Challenge"))
def test_what_is_refused_is_stated(chapter, exercise):
    for cell in exercise.tests:
        for names, of in refusals(cell.source):
            assert "ValueError" in exercise.text, of
            for name in names:
                assert re.search(rf"`[^`]*\b{re.escape(name)}\b[^`]*`", exercise.text), f"{name} is refused ({of})"


@pytest.mark.parametrize(("chapter", "exercise"), all_of("Build", "Debug", "Challenge"))
def test_where_two_arguments_are_at_odds_either_name_counts(chapter, exercise):
    for cell in exercise.tests:
        for names, of in refusals(cell.source):
            at_odds = {name for name in parameters(exercise) if re.search(rf"\b{re.escape(name)}\b", of)}
            if names and len(at_odds) > 1:
                assert at_odds <= set(names), f"{of}: naming {' or '.join(sorted(at_odds))} is right"
