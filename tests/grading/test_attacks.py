"""No attack earns a point it did not deserve, reads or changes anything outside, or costs anybody a grade (law 6)."""

import itertools
import json
import socket
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbgrader.utils import determine_grade

from autograder import ROOT
from autograder.authoring import bank
from autograder.grading import execute, forks, walls
from autograder.grading import run as execute_notebook
from autograder.grading.execute import TwoKernels
from autograder.grading.faults import MachineFault
from autograder.grading.limits import Limits
from autograder.grading.run import run

TOOLS, *ATTACKS = [
    cell for cell in jupytext.read(Path(bank.__file__).parent / "attacks.py").cells if cell.cell_type == "code"
]
WRONG = "ex_1_1 = 0.5\n\n\ndef quantize_dequantize(x, bits, lo, hi):\n    return x\n"
CANARY = "a secret that only the grader knows"
LIMITS = Limits(
    memory=512 * 2**20,
    disk=128 * 2**20,
    file_size=32 * 2**20,
    processes=128,
    output_size=2**18,
    cell_timeout=2.5,
    total_timeout=9,
)
HONEST_AFTER = 5  # attacks; and after the last one
#: Each attack on a fork of a warm process; what is aimed at the kernel or the walls on a new Python, too.
ATTACKED = [
    *(pytest.param(cell, False, id=cell.metadata["attack"]) for cell in ATTACKS),
    *(pytest.param(cell, True, id=f"cold: {cell.metadata['attack']}") for cell in ATTACKS if "cold" in cell.metadata),
]

_attacks = itertools.count(1)


@pytest.fixture(autouse=True)
def little_patience(monkeypatch):
    """An interrupt is to be heeded in one second."""
    monkeypatch.setattr(execute_notebook, "GRACE", 1)


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """A folder like the instructor's, with something to steal, and listeners to talk to."""
    folder = tmp_path / "outside"
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "secret.txt").write_text(CANARY)
    (folder / "secret.txt").chmod(0o666)
    monkeypatch.setenv("CANARY", CANARY)
    listeners = {"PORT": socket.create_server(("127.0.0.1", 0)), "ABSTRACT": socket.socket(socket.AF_UNIX)}
    listeners["ABSTRACT"].bind(f"\0{folder}")
    listeners["ABSTRACT"].listen()
    for listener in listeners.values():
        listener.settimeout(0.05)
    yield folder, listeners
    for listener in listeners.values():
        listener.close()


@pytest.fixture(scope="module")
def exercises(exercises_of):
    return exercises_of("ch01_quantization")


def graded(cells, exercises, limits=LIMITS):
    """The notebook of `cells` and the test cells of 1.1 and 1.5 after it was run: (outcome, points)."""
    tests = [test for number in ("1.1", "1.5") for test in exercises[number].tests]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in cells] + tests)
    outcome = run(notebook, {}, limits)
    return outcome, sum(determine_grade(cell)[0] for cell in outcome.notebook.cells[-len(tests) :])


def assert_an_honest_notebook_earns_all_points(exercises):
    answers = [exercises[number].answer.source for number in ("1.1", "1.5")]
    outcome, points = graded(["import numpy as np", *answers, "print('heard')"], exercises)
    assert points == 4, [cell.get("outputs") for cell in outcome.notebook.cells]
    assert outcome.notebook.cells[3].outputs[0].text == "heard\n"
    assert not outcome.stopped


@pytest.mark.parametrize(("attack", "cold"), ATTACKED)
def test_an_attack_gains_nothing(attack, cold, outside, exercises, monkeypatch):
    if cold:
        monkeypatch.setattr(forks.warmth, "refused", "as this test wants")
    folder, listeners = outside
    code, names = attack.source, {"SECRET": folder / "secret.txt", "FOLDER": folder, "COURSE": ROOT, "ABSTRACT": folder}
    for name, means in {**names, "PORT": listeners["PORT"].getsockname()[1]}.items():
        code = code.replace(name, str(means))
    library = {path: path.read_bytes() for path in ROOT.glob("course/*.py")}
    outcome, points = graded([f"{TOOLS.source}\n\n{WRONG}", code], exercises)
    assert points == 0
    outputs = str([cell.get("outputs") for cell in outcome.notebook.cells])
    assert CANARY not in outputs + str(outcome.stopped)
    assert "SEEN" not in outputs
    assert len(outputs) < 2**20
    json.loads(nbformat.writes(outcome.notebook).encode("utf-8"))
    assert (folder / "secret.txt").read_text() == CANARY
    assert {path: path.read_bytes() for path in ROOT.glob("course/*.py")} == library
    for listener in listeners.values():
        with pytest.raises(TimeoutError):
            listener.accept()
    if next(_attacks) % HONEST_AFTER == 0:
        assert_an_honest_notebook_earns_all_points(exercises)


def test_after_all_attacks_an_honest_notebook_earns_its_points(exercises):
    assert_an_honest_notebook_earns_all_points(exercises)


def test_there_are_enough_attacks():
    assert len(ATTACKS) >= 136
    assert len(ATTACKED) >= 190
    assert len({cell.metadata["attack"] for cell in ATTACKS}) == len(ATTACKS)


def test_after_its_end_a_process_has_the_imports_again_and_nothing_else(exercises):
    answers = [exercises[number].answer.source for number in ("1.1", "1.5")]
    outcome, points = graded(["import numpy as np", answers[0], "import os\nos._exit(1)", answers[1]], exercises)
    (first, *_), (later, *_) = (exercises[number].tests for number in ("1.1", "1.5"))
    assert points == sum(test.metadata.nbgrader.points for test in exercises["1.5"].tests)
    assert "It was started again" in str(outcome.notebook.cells[2].outputs)
    said = {cell.metadata.get("nbgrader", {}).get("grade_id"): str(cell.outputs) for cell in outcome.notebook.cells}
    assert "NameError" in said[first.metadata.nbgrader.grade_id]
    assert "error" not in said[later.metadata.nbgrader.grade_id]


def test_bubblewrap_is_there_where_the_tests_count():
    assert walls.installed(), f"the tests of the walls need bubblewrap: {walls.INSTALL}"
    assert walls.refused() == ""


def test_a_grader_without_bubblewrap_can_refuse(monkeypatch):
    monkeypatch.setattr(execute.walls, "installed", lambda: False)
    with pytest.raises(MachineFault, match=r"bubblewrap is missing and .*require_sandbox is set"):
        TwoKernels(require_sandbox=True).walls()


def test_chapters_can_be_graded_without_walls_too(exercises, monkeypatch):
    monkeypatch.setattr(execute.walls, "installed", lambda: False)
    step = TwoKernels(preload="numpy")
    cells = ["import numpy as np", *(exercises[number].answer.source for number in ("1.1", "1.5"))]
    assert not step.walls()
    assert graded(cells, exercises, step.limits(step.walls()))[1] == 4
