"""A damaged submission gets what its answers deserve, or a clear note."""

import copy
import gzip
import json
import random
import sys

import nbformat
import pytest
from conftest import points
from IPython.core.inputtransformer2 import TransformerManager

from autograder.authoring import chapters, sample_class
from autograder.authoring.bank import damage
from autograder.authoring.bank.damage import CHAPTER, DAMAGE, FILES, UNREADABLE
from autograder.grading.mend import Unreadable, choose, mend, nothing, read, repaired

NAME = f"{CHAPTER}.ipynb"
# A chapter's answers run as a notebook's cells do, with magics, and on where one fails.
CELLS = """
import warnings

class Shell:
    def run_line_magic(self, name, line): pass
    def system(self, line): pass
    def getoutput(self, line): return []
    def run_cell_magic(self, name, line, body):
        if name in ("time", "capture"):
            exec(body, globals())

def get_ipython(): return Shell()

for cell in {cells!r}:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(cell, globals())
    except Exception:
        pass
"""


def released(chapter=CHAPTER):
    return nbformat.read(chapters.release_path(chapter), as_version=4)


def perfect():
    return sample_class.submission("ada", CHAPTER)


def raw(nb):
    return json.dumps(nb).encode()


def code(source):
    return nbformat.v4.new_code_cell(source)


def at(nb, name):
    return next(index for index, cell in enumerate(nb.cells) if chapters.grade_id(cell) == name)


def answer(nb, name="ex_1_5"):
    return nb.cells[at(nb, name)]


def graded(nb):
    return sorted(chapters.grade_id(cell) for cell in nb.cells if chapters.grade_id(cell))


def sources(nb):
    return [cell.source for cell in nb.cells]


def ran_before(nb, exercise):
    """What the learner's cells above the exercise's last test cell would do."""
    given = set(sources(released()))
    last = max(at(nb, chapters.grade_id(test)) for test in exercise.tests)
    own = [cell.source for cell in nb.cells[:last] if cell.cell_type == "code" and cell.source not in given]
    return CELLS.format(cells=[TransformerManager().transform_cell(source) for source in own])


def earns_all(nb, exercises):
    nbformat.validate(nb)
    assert graded(nb) == graded(released())
    for number, exercise in exercises.items():
        earned, message = points(exercise, ran_before(nb, exercise))
        assert earned == exercise.points, f"{number}: {message}"


def mended(change):
    """A perfect submission, changed and mended."""
    nb = perfect()
    change(nb)
    return mend(raw(nb), released())[0]


@pytest.mark.parametrize("kind", {**DAMAGE, **FILES})
def test_a_damaged_perfect_submission_keeps_its_points(kind, exercises_of, monkeypatch, tmp_path):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    damage.apply(kind, perfect(), tmp_path / NAME)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    nb, _ = mend(files[choose(files, CHAPTER, released())[0]], released())
    earns_all(nb, exercises_of(CHAPTER))


def test_there_are_enough_kinds_of_damage():
    assert len(DAMAGE) + len(FILES) >= 50
    assert len(UNREADABLE) >= 14


def test_an_intact_submission_is_left_as_it_is():
    nb, said = mend(raw(perfect()), released())
    assert said == []
    assert sources(nb) == sources(perfect())


def test_an_untouched_submission_gains_no_answer():
    nb, said = mend(raw(released()), released())
    assert said == []
    assert sources(nb) == sources(released())


def test_a_notebook_that_was_read_already_is_mended_the_same_way():
    nb = perfect()
    nb.cells[:0] = [code("mine = 1")]
    assert sources(repaired(read(raw(nb)), released())[0]) == sources(mend(raw(nb), released())[0])


def test_shuffled_cells_come_back_in_the_releases_order():
    nb = perfect()
    random.Random(1).shuffle(nb.cells)
    nb, said = mend(raw(nb), released())
    assert "the cells' order" in said
    names = [chapters.grade_id(cell) for cell in released().cells if chapters.grade_id(cell)]
    assert [chapters.grade_id(cell) for cell in nb.cells if chapters.grade_id(cell)] == names
    imports = next(index for index, cell in enumerate(nb.cells) if cell.source.startswith("import numpy"))
    assert imports < at(nb, "ex_1_5")


# What is no file of its own is seen to before it is read: test_batch.py.
@pytest.mark.parametrize("kind", [kind for kind in UNREADABLE if "link" not in kind])
def test_what_cannot_be_read_says_why(kind, tmp_path):
    path = tmp_path / NAME
    damage.apply(kind, perfect(), path)
    with pytest.raises(Unreadable, match=r"empty|not a notebook|no cells|another notebook|cannot be unpacked"):
        mend(path.read_bytes(), released())


@pytest.mark.parametrize(
    ("kind", "why"),
    {
        "conflict markers of a merge": "conflict markers of a git merge",
        "cut off in the middle": "breaks off in the middle",
        "a saved web page": "a web page",
        "an address of a notebook": "it is a link",
        "the notebook as a script": "a Python script",
        "a PDF named like a notebook": "a PDF",
    }.items(),
)
def test_the_reason_names_what_was_handed_in(kind, why, tmp_path):
    damage.apply(kind, perfect(), tmp_path / NAME)
    with pytest.raises(Unreadable, match=why):
        mend((tmp_path / NAME).read_bytes(), released())


def test_another_chapters_notebook_is_not_this_chapters():
    nb = perfect()
    for cell in nb.cells:
        cell.source = cell.source.replace("1.", "2.").replace("ex_1_", "ex_2_").replace("def ", "def other_")
        if "nbgrader" in cell.metadata and "grade_id" in cell.metadata.nbgrader:
            cell.metadata.nbgrader.grade_id = cell.metadata.nbgrader.grade_id.replace("_1_", "_2_").replace(
                "_L1_", "_L2_"
            )
    nb.cells = [cell for cell in nb.cells if chapters.grade_id(cell) or cell.cell_type == "code"]
    with pytest.raises(Unreadable, match="another notebook"):
        mend(raw(nb), released())


def test_where_nothing_can_be_graded_the_release_says_why():
    nb = nothing(released(), "the file is empty")
    assert nb.cells[0].source == "**Nothing could be graded: the file is empty.**"
    assert sources(nb)[1:] == sources(released())
    nbformat.validate(nb)


# Cells as Python


@pytest.mark.parametrize("line", ["%debug", "%whos", "!pip install x", "x = !ls", "?help", "print?", "%%bash\nexit 1"])
def test_a_special_line_behind_an_answer_stays_a_cell_of_its_own(line):
    nb = perfect()
    nb.cells.insert(at(nb, "ex_1_5") + 1, code(line))
    after, said = mend(raw(nb), released())
    assert said == []
    assert sources(after) == sources(nb)


@pytest.mark.parametrize("body", ["%%bash", "%%writefile answer.py", "%%html", "%%latex", "%%timeit"])
def test_a_cell_that_is_no_Python_of_the_notebook_defines_nothing(body):
    def change(nb):
        source = answer(nb).source
        answer(nb).source = f"{body}\n{source}"
        nb.cells.append(code(source))

    nb = mended(change)
    assert answer(nb).source == answer(perfect()).source


@pytest.mark.parametrize(
    "source",
    [
        "ex_1_1 = other = 0.5",
        "other, (ex_1_1, *rest) = 1, (0.5, 2)",
        "ex_1_1: float = 0.5",
        "ex_1_1 = 0\nex_1_1 += 0.5",
        "(ex_1_1 := 0.5)",
        "print([ex_1_1 := n for n in (1, 2)])",
        "if True:\n    ex_1_1 = 0.5",
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    ex_1_1 = 0.5",
        "with open('x') as ex_1_1:\n    pass",
        "for ex_1_1 in (1, 2):\n    pass",
        "import math as ex_1_1",
        "from math import pi as ex_1_1",
        "@print\nasync def ex_1_1():\n    pass",
        "class ex_1_1:\n    pass",
        "%%time\nex_1_1 = 0.5",
        "ex_1_1 = !ls",
        "ex_1_1 = %pwd",
        ">>> ex_1_1 = 0.5",
        "    ex_1_1 = 0.5",
        "s = '\\d'\nex_1_1 = 1 if s is 'd' else 2",
    ],
)
def test_an_answer_without_its_mark_is_known_however_it_is_written(source, recwarn, capfd):
    nb = perfect()
    nb.cells[at(nb, "ex_1_1")] = code(source)
    after, said = mend(raw(nb), released())
    assert answer(after, "ex_1_1").source == source
    assert "ex_1_1: found in a cell without its mark" in said
    assert not recwarn.list
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "source",
    [
        "def other():\n    ex_1_1 = 0.5",
        "print([ex_1_1 for ex_1_1 in (1, 2)])",
        "x = lambda: (ex_1_1 := 0.5)",
        "ex_1_1: float",
        "ex_1_1 == 0.5",
        "'''\nex_1_1 = 0.5\n'''",
        "# ex_1_1 = 0.5",
        "%%bash\nex_1_1=0.5",
        "ex_1_1 = 0.5\nreturn ex_1_1",
    ],
)
def test_what_only_mentions_an_answer_is_none(source):
    nb = perfect()
    nb.cells[at(nb, "ex_1_1")] = code(source)
    _, said = mend(raw(nb), released())
    assert "ex_1_1: its cell was missing" in said


def test_of_two_versions_the_later_wins():
    def change(nb):
        old = copy.deepcopy(answer(nb))
        old.source = "def quantize_dequantize(x, bits, lo, hi):\n    return 0"
        nb.cells.insert(at(nb, "ex_1_5"), old)

    source = answer(mended(change)).source
    assert source.index("return 0") < source.index(answer(perfect()).source)


def test_an_untouched_copy_below_an_answer_changes_nothing():
    def change(nb):
        nb.cells.append(answer(released()))

    assert sources(mended(change)) == sources(perfect())


@pytest.mark.parametrize("source", ["", "# see above", "raise NotImplementedError"])
def test_an_emptied_copy_below_an_answer_takes_nothing_away(source):
    def change(nb):
        cell = copy.deepcopy(answer(nb))
        cell.source = source
        nb.cells.append(cell)

    assert answer(mended(change)).source.startswith(answer(perfect()).source)


def test_a_redefinition_between_answer_and_test_stays_where_it_is():
    def change(nb):
        nb.cells.insert(at(nb, "ex_1_1") + 1, code("ex_1_1 = 3"))

    nb = mended(change)
    assert nb.cells[at(nb, "ex_1_1") + 1].source == "ex_1_1 = 3"
    assert nb.cells[at(nb, "ex_1_1") + 2].metadata.nbgrader.grade_id == "test_1_1"


def test_versions_that_do_not_go_together_leave_the_last():
    first = "from __future__ import annotations\nex_1_1 = 1"

    def change(nb):
        for source in (first, first.replace("= 1", "= 2")):
            cell = copy.deepcopy(answer(nb, "ex_1_1"))
            cell.source = source
            nb.cells.insert(at(nb, "ex_1_2"), cell)
        del nb.cells[at(nb, "ex_1_1")]

    assert answer(mended(change), "ex_1_1").source.endswith("ex_1_1 = 2")


@pytest.mark.parametrize(
    "source",
    [
        "(" * 100_000,
        "-" * 100_000 + "1",
        "x = 1" + "+1" * 49_000,
        "a" + ".b" * 49_000,
        "if 1: pass\n" + "elif 1: pass\n" * 7_000,
        "x = '\0'",
        "\ud83d = 1",
        "x = " + "9" * 5_000_000,
        "".join(f"%x {number}\n" for number in range(9_000)),
        "%%time\n" * 10_000,
        "? " * 49_000,
        "f'" + "{" * 5_000,
    ],
    ids=range(12),
)
def test_a_hostile_source_harms_nobody_elses_cells(source, exercises_of, capfd):
    nb = perfect()
    extra = copy.deepcopy(answer(nb))
    extra.source = source
    nb.cells += [code(source), extra, extra]
    nb, _ = mend(raw(nb), released())
    nbformat.validate(nb)
    assert answer(perfect()).source in answer(nb).source
    assert capfd.readouterr() == ("", "")


# Size


def many(nb):
    """Kinds of cells that come in tens of thousands."""
    unmarked = code(answer(nb).source)
    return {
        "raw": nbformat.v4.new_raw_cell("x"),
        "markdown": nbformat.v4.new_markdown_cell("x"),
        "code": code("x = 1"),
        "answer": answer(nb),
        "answer without its mark": unmarked,
        "test": answer(nb, "test_1_5"),
        "set-up": answer(nb, "setup"),
    }


@pytest.mark.parametrize(
    ("kind", "where"), [("raw", "above"), ("code", "above"), *((kind, "below") for kind in many(perfect()))]
)
def test_tens_of_thousands_of_cells_more_change_no_grade(kind, where):
    nb = perfect()
    cells = [json.dumps(cell) for cell in nb.cells]
    more = [json.dumps(many(nb)[kind])] * 60_000
    text = ", ".join(more + cells if where == "above" else cells + more)
    after, _ = mend(f'{{"cells": [{text}]}}'.encode(), released())
    assert len(after.cells) < 3_000
    assert graded(after) == graded(released())
    assert [cell.source for cell in after.cells if chapters.grade_id(cell)] == [
        cell.source for cell in perfect().cells if chapters.grade_id(cell)
    ]


def test_what_was_cut_is_said():
    nb = perfect()
    nb.cells += [nbformat.v4.new_raw_cell("x")] * 5_000 + [nbformat.v4.new_raw_cell("x" * 2**21)]
    _, said = mend(raw(nb), released())
    assert any("cells more than anybody reads were cut" in one for one in said)
    assert any("more than 1 MiB" in one for one in said)


def test_the_learners_own_code_stays_when_others_are_cut():
    nb = perfect()
    nb.cells = [nbformat.v4.new_raw_cell("x")] * 5_000 + [code("mine = 1"), *nb.cells]
    after, _ = mend(raw(nb), released())
    assert "mine = 1" in sources(after)


def test_an_archive_that_unpacks_to_gigabytes_is_too_large():
    bomb = gzip.compress(b" " * 2**20) * 300
    single = gzip.compress(b" " * (300 * 2**20), compresslevel=1)
    for one in (bomb, single):
        with pytest.raises(Unreadable):
            mend(one, released())


# What is believed


def test_the_submissions_metadata_are_not_taken_over():
    nb = perfect()
    nb.metadata |= {"course_unreadable": 5, "course_repairs": ["x"], "kernelspec": {"name": "julia"}}
    for cell in nb.cells:
        cell.metadata |= {"course_stopped": {"a": []}, "tags": 7}
    nb.cells.insert(0, copy.deepcopy(nb.cells[1]))
    after, _ = mend(raw(nb), released())
    assert after.metadata == released().metadata
    assert "course_stopped" not in json.dumps(after)
    assert read(raw(nb)).metadata == {}


def test_outputs_are_dropped_unless_they_are_asked_for():
    nb = perfect()
    for index, cell in enumerate(nb.cells):
        if cell.cell_type == "code":
            cell.outputs = [nbformat.v4.new_output("stream", text=f"shown {index}")]
            cell.execution_count = index
    nb.cells.insert(0, code("mine = 1"))
    without, with_them = mend(raw(nb), released())[0], mend(raw(nb), released(), keep_outputs=True)[0]
    assert "shown" not in json.dumps(without)
    assert all(cell.execution_count is None for cell in without.cells if cell.cell_type == "code")
    for name in graded(released()):
        assert answer(with_them, name).outputs == answer(nb, name).outputs
        assert answer(with_them, name).execution_count == answer(nb, name).execution_count
    nbformat.validate(with_them)


def test_only_what_is_an_output_is_kept():
    nb = perfect()
    good = {"output_type": "stream", "name": "stdout", "text": ["a\n", "b\ud83d"]}
    odd = [7, None, [], {}, {"output_type": "stream"}, {"output_type": "pyout"}, {"output_type": ["stream"]}]
    answer(nb).outputs = [*odd, good]
    answer(nb).execution_count = "many"
    answer(nb, "test_1_5").outputs = good
    after, _ = mend(raw(nb), released(), keep_outputs=True)
    nbformat.validate(after)
    assert [output.text for output in answer(after).outputs] == ["a\nb?"]
    assert answer(after).execution_count is None
    assert answer(after, "test_1_5").outputs == []


def test_a_test_cell_that_was_meddled_with_shows_nothing():
    nb = perfect()
    for name in ("test_1_1", "test_1_2", "test_1_3"):
        answer(nb, name).outputs = [nbformat.v4.new_output("stream", text="passed")]
        answer(nb, name).execution_count = 3
    nb.cells.append(copy.deepcopy(answer(nb, "test_1_1")))
    answer(nb, "test_1_2").cell_type = "raw"
    del nb.cells[at(nb, "test_1_3")]
    after, _ = mend(raw(nb), released(), keep_outputs=True)
    for name in ("test_1_1", "test_1_2", "test_1_3"):
        assert answer(after, name).outputs == []
        assert answer(after, name).execution_count is None


# Several notebooks


def test_the_notebook_with_the_answers_is_chosen():
    files = {NAME: raw(released()), f"{CHAPTER}-Copy1.ipynb": raw(perfect())}
    name, said = choose(files, CHAPTER, released())
    assert name == f"{CHAPTER}-Copy1.ipynb"
    assert said == f"2 notebooks were handed in: {name} was taken, which answers 11 of 11 exercises"


def test_of_equal_notebooks_the_one_with_the_chapters_name_is_chosen():
    files = {"a.ipynb": raw(perfect()), NAME: raw(perfect()), "z.ipynb": raw(perfect())}
    assert choose(files, CHAPTER, released())[0] == NAME


def test_of_equal_notebooks_with_other_names_the_fuller_one_is_chosen():
    fewer = perfect()
    del fewer.cells[at(fewer, "test_1_5")]
    files = {"a.ipynb": raw(fewer), "b.IPYNB": raw(perfect()), "c.ipynb.txt": raw(perfect())}
    assert choose(files, CHAPTER, released())[0] == "b.IPYNB"


def test_an_unreadable_notebook_is_never_chosen_over_a_readable_one():
    for other in (b"", b"{", b"[" * 100_000, b"\0" * 100, bytes(range(256)) * 10):
        files = {NAME: other, "z.ipynb": raw(released())}
        assert choose(files, CHAPTER, released())[0] == "z.ipynb"


def test_a_layout_or_comment_is_no_answer():
    stubs = released()
    for cell in stubs.cells:
        if chapters.grade_id(cell).startswith("ex_"):
            cell.source = "# seen\n" + cell.source.replace("\n", "\n\n")
    files = {NAME: raw(stubs), "z.ipynb": raw(perfect())}
    assert choose(files, CHAPTER, released())[0] == "z.ipynb"


def test_of_a_single_notebook_only_another_name_is_said():
    assert choose({NAME: b""}, CHAPTER, released()) == (NAME, "")
    name = "Copy of\n\udcff.ipynb"
    assert choose({name: b""}, CHAPTER, released()) == (name, "the file was named Copy of??.ipynb")


def test_hundreds_of_notebooks_are_no_obstacle():
    files = {f"{index}.ipynb": b"[" * 1000 for index in range(900)} | {NAME: raw(perfect())}
    assert choose(files, CHAPTER, released())[0] == NAME


# Anything at all

VALUES = [None, True, -1, 1e308, float("nan"), "", "x", "\ud83d", "\0", [], {}, [[]], {"a": {}}, ["a", 3], 10**50]


def nodes(value, found):
    """Every (container, key) in it."""
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        found.append((value, key))
        if isinstance(value[key], (dict, list)):
            nodes(value[key], found)
    return found


def mutate(data, chance):
    places = nodes(data, [])
    for _ in range(chance.choice((1, 3, 20))):
        container, key = chance.choice(places)
        if key not in container if isinstance(container, dict) else key >= len(container):
            continue
        act = chance.choice(("type", "delete", "copy", "swap"))
        if act == "delete":
            del container[key]
        elif act == "copy" and isinstance(container, list):
            container.insert(chance.randrange(len(container) + 1), copy.deepcopy(container[key]))
        elif act == "swap":
            other, name = chance.choice(places)
            if name in other if isinstance(other, dict) else name < len(other):
                container[key] = copy.deepcopy(other[name])
        else:
            container[key] = copy.deepcopy(chance.choice(VALUES))


@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_done_to_its_JSON_a_valid_notebook_comes_out_or_a_reason(seed):
    chance = random.Random(seed)
    expected, intact, read_well = graded(released()), json.loads(raw(perfect())), 0
    for _ in range(40):
        data = copy.deepcopy(intact)
        mutate(data, chance)
        try:
            nb, said = mend(json.dumps(data).encode(), released(), keep_outputs=chance.random() < 0.5)
        except Unreadable as why:
            assert str(why)
            continue
        nbformat.validate(nb)
        nbformat.writes(nb).encode()
        assert graded(nb) == expected
        assert all(isinstance(one, str) for one in said)
        read_well += 1
    assert read_well > 30


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_done_to_its_bytes_a_valid_notebook_comes_out_or_a_reason(seed):
    chance = random.Random(seed)
    intact = raw(perfect())
    for _ in range(60):
        data = bytearray(intact)
        for _ in range(chance.choice((1, 5, 50))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        begin = chance.choice((0, 0, 0, chance.randrange(len(data))))
        try:
            nbformat.validate(mend(bytes(data[begin:]), released())[0])
        except Unreadable as why:
            assert str(why)


def test_reading_changes_no_setting_of_Python():
    limit = sys.getrecursionlimit()
    mended(lambda nb: nb.cells.append(code("(" * 1000)))
    assert sys.getrecursionlimit() == limit
