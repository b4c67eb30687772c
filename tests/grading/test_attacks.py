"""No attack earns a point it did not deserve, reads or changes anything outside, or holds up the batch."""

import socket
from pathlib import Path

import jupytext
import nbformat
import pytest

from autograder import ROOT
from autograder.authoring import bank
from autograder.grading import sandbox
from autograder.grading.execute import TwoKernels

ATTACKS = [cell for cell in jupytext.read(Path(bank.__file__).parent / "attacks.py").cells if cell.cell_type == "code"]
WRONG = "ex_1_1 = 0.5\n\n\ndef quantize_dequantize(x, bits, lo, hi):\n    return x\n"
CANARY = "a secret that only the grader knows"


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A folder like the instructor's, with something to steal, and a listener to talk to."""
    folder = tmp_path / "outside"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "secret.txt").write_text(CANARY)
    (folder / "secret.txt").chmod(0o666)
    monkeypatch.setenv("CANARY", CANARY)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    yield folder, listener
    listener.close()


def graded(cells, exercises, folder, **traits):
    """The notebook of `cells` and the test cells of 1.1 and 1.5 after grading: (notebook, points)."""
    tests = [test for number in ("1.1", "1.5") for test in exercises[number].tests]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells] + tests)
    folder.mkdir()
    limits = {"cell_timeout": 6, "total_timeout": 20, "output_size": 2**18, "preload": "numpy"} | traits
    TwoKernels(**limits).preprocess(notebook, {"metadata": {"path": str(folder)}})
    from nbgrader.utils import determine_grade

    return notebook, sum(determine_grade(cell)[0] for cell in notebook.cells[-len(tests) :])


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda cell: cell.metadata["attack"])
def test_an_attack_gains_nothing(attack, outside, tmp_path, exercises_of):
    folder, listener = outside
    code = attack.source.replace("SECRET", str(folder / "secret.txt")).replace("FOLDER", str(folder))
    code = code.replace("PORT", str(listener.getsockname()[1]))
    library = {path: path.read_bytes() for path in ROOT.glob("course/*.py")}
    notebook, points = graded([WRONG, code], exercises_of("ch01_quantization"), tmp_path / "home")
    assert points == 0
    outputs = str([cell.get("outputs") for cell in notebook.cells])
    assert CANARY not in outputs
    assert "SEEN" not in outputs
    assert (folder / "secret.txt").read_text() == CANARY
    assert {path: path.read_bytes() for path in ROOT.glob("course/*.py")} == library
    assert len(outputs) < 2**20
    with pytest.raises(TimeoutError):
        listener.accept()


def test_there_are_enough_attacks():
    assert len(ATTACKS) >= 25
    assert len({cell.metadata["attack"] for cell in ATTACKS}) == len(ATTACKS)


def test_an_honest_answer_earns_its_points_in_the_same_walls(tmp_path, exercises_of):
    exercises = exercises_of("ch01_quantization")
    honest = [exercises[number].answer.source for number in ("1.1", "1.5")]
    notebook, points = graded(["import numpy as np", *honest, "print('seen')"], exercises, tmp_path / "home")
    assert points == 4
    assert notebook.cells[3].outputs[0].text == "seen\n"


def test_what_was_answered_before_the_kernel_went_is_lost_but_says_why(tmp_path, exercises_of):
    exercises = exercises_of("ch01_quantization")
    notebook, points = graded([exercises["1.1"].answer.source, "import os; os._exit(1)"], exercises, tmp_path / "home")
    assert points == 0
    said = str(notebook.cells[-1].outputs)
    assert "the answer's process is gone: it ended its own process" in said


def test_bubblewrap_is_there_where_the_tests_count():
    assert sandbox.available(), f"the sandbox's tests need bubblewrap: {sandbox.INSTALL}"


def test_a_grader_without_bubblewrap_can_refuse(tmp_path, exercises_of, monkeypatch):
    from autograder import CourseError

    monkeypatch.setattr(sandbox, "available", lambda: False)
    with pytest.raises(CourseError, match=r"bubblewrap is missing and .*require_sandbox is set"):
        graded([WRONG], exercises_of("ch01_quantization"), tmp_path / "home", require_sandbox=True)


def test_chapters_can_be_graded_without_walls_too(tmp_path, exercises_of, monkeypatch):
    monkeypatch.setattr(sandbox, "available", lambda: False)
    exercises = exercises_of("ch01_quantization")
    cells = ["import numpy as np", exercises["1.1"].answer.source, exercises["1.5"].answer.source]
    assert graded(cells, exercises, tmp_path / "home")[1] == 4
