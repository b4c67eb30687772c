"""Copies are found however they are dressed, what the course explains is not, and nobody is accused."""

import ast
import random
import re
from types import SimpleNamespace

import nbformat
import pytest
from nbgrader.coursedir import CourseDirectory

from autograder import CourseError
from autograder.authoring import bank, chapters
from autograder.reporting import similar, winnowing

CHAPTER, EXERCISE = "ch01_quantization", "1.5"
CALLS = (
    "np.round",
    "np.clip",
    "np.where",
    "np.abs",
    "np.floor",
    "torch.clamp",
    "torch.round",
    "max",
    "min",
    "sum",
    "len",
)


def own_way(seed: int, functions: int = 2, lines: int = 8) -> str:
    """Code that nobody else writes."""
    dice = random.Random(seed)

    def expression(depth: int) -> str:
        if not depth:
            return dice.choice(["x", "lo", "hi", "bits", "1", "2.5", "rest", "step"])
        inner = [expression(depth - 1) for _ in range(dice.randint(1, 3))]
        if dice.random() < 0.5:
            return f"{dice.choice(CALLS)}({', '.join(inner)})"
        return f"({dice.choice([' + ', ' - ', ' * ', ' / ', ' ** ', ' // ', ' % ']).join(inner)})"

    made = []
    for index in range(functions):
        name = "quantize_dequantize" if index == functions - 1 else f"helper_{seed}_{index}"
        body = [f"    {dice.choice(['step', 'rest', 'x'])} = {expression(2)}" for _ in range(lines)]
        made.append("\n".join([f"def {name}(x, bits, lo, hi):", *body, "    return x"]))
    return "\n\n\n".join(made) + "\n"


def disguised(source: str) -> str:
    """The same with other names, numbers, comments, layout and docstrings, its functions in another order."""
    functions = ast.parse(source).body
    functions.reverse()
    for function in functions:
        function.body.insert(0, ast.Expr(ast.Constant("My very own idea.")))
    text = "\n".join(map(ast.unparse, functions))
    for old, new in {"x": "values", "lo": "low", "hi": "high", "rest": "q", "step": "delta", "2.5": "7"}.items():
        text = re.sub(rf"(?<![\w.]){re.escape(old)}\b", new, text)
    text = re.sub(r"helper_\w+", "my_own", text).replace("    ", "  ").replace(", ", " ,\\\n ")
    return text.replace("\n  return", "\n\n  # at last\n  return")


@pytest.fixture
def room(tmp_path, monkeypatch):
    """hand_in(student, answers) into a class of its own; `compare()` writes the page and returns it."""
    monkeypatch.setattr(similar, "ROOT", tmp_path)
    course = CourseDirectory(root=str(tmp_path))
    monkeypatch.setattr(similar.build, "nbgraders_api", lambda: SimpleNamespace(coursedir=course))
    released = chapters.release_path(CHAPTER).read_text("utf-8")

    def hand_in(student: str, answers: dict[str, str]):
        notebook = nbformat.reads(released, as_version=4)
        for exercise in chapters.exercises_released(notebook):
            exercise.answer.source = answers.get(exercise.number, exercise.answer.source)
        path = tmp_path / "submitted" / student / CHAPTER / f"{CHAPTER}.ipynb"
        path.parent.mkdir(parents=True)
        nbformat.write(notebook, path)
        return path

    def compare() -> str:
        similar.write_all([CHAPTER])
        return (tmp_path / "autograded" / f"{CHAPTER}_similar.html").read_text("utf-8")

    return SimpleNamespace(hand_in=hand_in, compare=compare, root=tmp_path)


def pairs_of(answers: list[str], explained=frozenset()) -> list[set[int]]:
    """The pairs among people of these answers to one exercise, as their numbers."""
    works = [similar.work(f"{index}", {EXERCISE: answer}, set(explained)) for index, answer in enumerate(answers)]
    return [{int(pair.one.student), int(pair.other.student)} for pair in similar.pairs(works)]


@pytest.mark.parametrize("seed", range(5))
def test_a_disguised_copy_is_found_among_three_hundred_and_nobody_else(seed):
    answers = [own_way(1000 * seed + index) for index in range(299)]
    assert disguised(answers[7]) != answers[7]
    assert pairs_of([*answers, disguised(answers[7])]) == [{7, 299}]


def test_half_a_copy_is_found_too():
    answers = [own_way(index, lines=12) for index in range(30)]
    half = "\n\n\n".join([disguised(answers[3].split("\n\n\n")[0]), own_way(99, functions=1)])
    assert pairs_of([*answers, half]) == [{3, 30}]


@pytest.mark.parametrize("chapter", chapters.names())
def test_different_right_ways_to_solve_an_exercise_are_no_pair(chapter):
    """Even where the bank does not explain them: each right answer of it as somebody's."""
    by_exercise = {}
    for answer in bank.answers(chapter):
        if answer.right:
            by_exercise.setdefault(answer.exercise, []).append(answer.source)
    sources = [cell.source for cell in nbformat.read(chapters.release_path(chapter), as_version=4).cells]
    sources += [exercise.answer.source for exercise in chapters.exercises(chapters.read(chapter))]
    explained = {each for source in sources for each in winnowing.hashes(winnowing.tokens(source))}
    for number, answers in by_exercise.items():
        assert pairs_of(answers, explained) == [], number


def test_what_many_have_is_ordinary():
    everybody = own_way(1)
    assert pairs_of([everybody] * 6) != []
    assert pairs_of([everybody] * 7) == []
    assert pairs_of([own_way(index) for index in range(100)] + [everybody] * 11) == []


def test_short_answers_are_never_a_pair(room, capsys):
    short = {
        "1.1": "ex_1_1 = abs(0.3 - (round(1.3 * 255 / 2) * 2 / 255 - 1))",
        EXERCISE: "def f(x):\n    return x * 3\n",
    }
    for student in ("ada", "bob"):
        room.hand_in(student, short)
    for student in ("cy", "dan"):
        room.hand_in(student, {})
    assert "4 submissions compared; 0 pairs" in room.compare()
    assert "0 pairs to look at" in capsys.readouterr().out


def test_what_the_bank_holds_is_no_pair(room):
    """Right or wrong: many people get there by themselves."""
    by_exercise = {}
    for answer in bank.answers(CHAPTER):
        by_exercise.setdefault(answer.exercise, []).append(answer.source)
    for student in range(4):
        room.hand_in(f"s{student}", {number: those[student // 2 % len(those)] for number, those in by_exercise.items()})
    assert "0 pairs" in room.compare()


def test_the_page_shows_the_passages_and_the_text_names_the_pair_and_accuses_nobody(room, capsys):
    room.hand_in("ada", {EXERCISE: own_way(1)})
    room.hand_in("bob", {EXERCISE: disguised(own_way(1))})
    room.hand_in("cy", {EXERCISE: own_way(2)})
    page, said = room.compare(), capsys.readouterr().out
    assert "1 pair to look at" in page
    assert "This page accuses nobody" in page
    assert "ada, exercise 1.5" in page
    assert "bob, exercise 1.5" in page
    assert page.count("<mark>") > 20
    assert re.search(r"ada and bob: \d+% alike, in 1\.5", said)
    assert "accuses nobody" in said
    assert "cy" not in said


def test_a_copy_in_another_exercises_cell_is_found(room):
    room.hand_in("ada", {EXERCISE: own_way(1)})
    room.hand_in("bob", {EXERCISE: own_way(2), "L1.8": disguised(own_way(1))})
    page = room.compare()
    assert "ada, exercise 1.5" in page
    assert "bob, exercise L1.8" in page


def test_nothing_that_learners_wrote_is_html(room):
    evil = own_way(1).replace("    return x", "    y = '</pre><script>alert(1)</script>'\n    return x  # <img src=x>")
    room.hand_in("a<b>&", {EXERCISE: evil})
    room.hand_in("bob", {EXERCISE: evil})
    page = room.compare()
    assert "1 pair to look at" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "<img" not in page
    assert "a<b>" not in page


def test_what_cannot_be_read_is_skipped_and_named(room, capsys):
    room.hand_in("ada", {EXERCISE: own_way(1)})
    room.hand_in("bob", {EXERCISE: disguised(own_way(1))})
    for student, data in {
        "cy": b"",
        "dan": b"%PDF-1.7",
        "eva": b'{"cells": [{"cell_type": "code", "source": "1"}]}',
    }.items():
        room.hand_in(student, {}).write_bytes(data)
    room.hand_in("fay", {}).unlink()
    link = room.hand_in("gus", {})
    link.unlink()
    link.symlink_to(room.root / "submitted" / "ada" / CHAPTER / f"{CHAPTER}.ipynb")
    page, said = room.compare(), capsys.readouterr().out
    assert "2 submissions compared; 1 pair" in page
    for student, why in {
        "cy": "empty",
        "dan": "PDF",
        "eva": "another notebook",
        "fay": "no notebook",
        "gus": "",
    }.items():
        assert f"skipped {student}: " in said
        assert re.search(rf"<li>{student}: [^<]*{why}", page)


def test_damaged_notebooks_are_mended_first(room):
    room.hand_in("ada", {EXERCISE: own_way(1)})
    path = room.hand_in("bob", {EXERCISE: disguised(own_way(1))})
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        cell.metadata.clear()
    nbformat.write(notebook, path)
    assert "1 pair to look at" in room.compare()


def test_nobody_submitted_is_one_line(room):
    with pytest.raises(CourseError, match=f"nobody has submitted {CHAPTER}"):
        similar.write_all([CHAPTER])


@pytest.mark.parametrize("seed", range(20))
def test_a_passage_of_the_guaranteed_length_always_shares_a_fingerprint(seed):
    dice = random.Random(seed)
    length = winnowing.RUN + winnowing.WINDOW - 1

    def prints(words: list[str]) -> set[int]:
        return set(winnowing.chosen(winnowing.hashes([winnowing.Token(word, 0, 0) for word in words])))

    def noise() -> list[str]:
        return [str(dice.random()) for _ in range(dice.randint(0, 50))]

    passage = [str(dice.random()) for _ in range(length)]
    assert prints([*noise(), *passage, *noise()]) & prints([*noise(), *passage, *noise()])
    short = passage[: winnowing.RUN - 1]
    assert not prints([*noise(), *short, *noise()]) & prints([*noise(), *short, *noise()])


def test_names_numbers_texts_comments_and_layout_do_not_count():
    one = 'def f(a, b):\n    """Doc."""\n    return np.sum(a * 2.5, axis=1) + len(f"{b!r} is")  # why\n'
    other = "def g(\n  first,\n  second,\n):\n  return np.sum(first*9,\n    axis=0,) + len('x')\n"
    assert [token.text for token in winnowing.tokens(one)] == [token.text for token in winnowing.tokens(other)]
    changed = one.replace("np.sum", "np.max")
    assert [token.text for token in winnowing.tokens(one)] != [token.text for token in winnowing.tokens(changed)]


@pytest.mark.parametrize(
    "source", ["", "(((", "!ls\n?x", "'''", "\ud83d", "\0", "def f(:\n  x\n y", "(" * 10_000, "a " * 200_000]
)
def test_what_is_no_python_is_read_as_far_as_it_goes(source):
    assert len(winnowing.tokens(source)) <= winnowing.MOST
