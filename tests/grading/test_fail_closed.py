"""Law 1: a test cell passes only when its kernel says, in the reply to that very request, that it ran to its end.

What is lost, forged, late or missing on the way between the test kernel and the grader is an error, and never a point.
"""

import nbformat
import pytest
from nbgrader.utils import determine_grade

from autograder.grading.faults import MachineFault
from autograder.grading.kernels import Kernel
from autograder.grading.limits import Limits
from autograder.grading.outputs import Outputs
from autograder.grading.run import _Session, run

LIMITS = Limits(cell_timeout=5, total_timeout=40)
ANSWER = "answer = 3"
RIGHT = "assert answer == 3, 'three'"
WRONG = "assert answer == 4, 'it is not four'"


def test_cell(code: str, name: str):
    about = {"grade": True, "grade_id": name, "points": 1, "solution": False, "locked": True, "schema_version": 3}
    return nbformat.v4.new_code_cell(code, metadata={"nbgrader": about})


test_cell.__test__ = False


def graded(*tests: str, limits=LIMITS) -> list[tuple[float, str]]:
    """(points, outputs) of each test cell, in a notebook whose answer is 3."""
    cells = [test_cell(code, f"test_{number}") for number, code in enumerate(tests)]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(ANSWER), *cells])
    executed = run(notebook, {}, limits).notebook.cells[1:]
    return [(determine_grade(cell)[0], str(cell.outputs)) for cell in executed]


def changed_messages(patch, change) -> None:
    """Whatever a test kernel sends while it runs a test, `change(kind, content)` says what arrives of it, or None."""
    usual, testing = Kernel._understood, []
    tested = _Session._tested

    def noticed(session, tests, code):
        testing.append(tests)
        try:
            return tested(session, tests, code)
        finally:
            testing.clear()

    def understood(kernel, data):
        message = usual(kernel, data)
        return change(*message) if message and kernel in testing else message

    patch.setattr(_Session, "_tested", noticed)
    patch.setattr(Kernel, "_understood", understood)


def test_right_passes_and_wrong_fails():
    (right, _), (wrong, said) = graded(RIGHT, WRONG)
    assert (right, wrong) == (1, 0)
    assert "it is not four" in said


def test_all_outputs_lost_leave_the_reply_to_decide(monkeypatch):
    kept = ("reply", "asked")
    changed_messages(monkeypatch, lambda kind, content: (kind, content) if kind in kept else None)
    (right, _), (wrong, said) = graded(RIGHT, WRONG)
    assert (right, wrong) == (1, 0)
    assert "it is not four" in said


def test_error_outputs_lost_cost_no_message(monkeypatch):
    changed_messages(monkeypatch, lambda kind, content: None if kind == "error" else (kind, content))
    (right, _), (wrong, said) = graded(RIGHT, WRONG)
    assert (right, wrong) == (1, 0)
    assert "it is not four" in said


REPLIES = {
    "an empty reply": {},
    "a reply without a status": {"count": 3},
    "a status of another kind": {"status": ["ok"]},
    "a status in capitals": {"status": "OK"},
    "an aborted request": {"status": "aborted"},
    "an error without a name": {"status": "error"},
    "an error of no form": {"status": "error", "ename": [[]], "evalue": {"a": 1}},
}


@pytest.mark.parametrize("reply", REPLIES)
def test_any_reply_but_ok_is_an_error(reply, monkeypatch):
    def change(kind, content):
        return (kind, REPLIES[reply]) if kind == "reply" else (kind, content)

    changed_messages(monkeypatch, change)
    (points, said), *_ = graded(RIGHT)
    assert points == 0
    assert "did not run to its end" in said or "'error'" in said


def test_a_reply_that_never_comes_is_an_error_at_the_deadline(monkeypatch):
    changed_messages(monkeypatch, lambda kind, content: None if kind == "reply" else (kind, content))
    (points, said), *_ = graded(RIGHT, limits=LIMITS._replace(cell_timeout=1))
    assert points == 0
    assert "the test did not end" in said


def test_a_test_kernel_that_says_nothing_earns_nothing(monkeypatch):
    changed_messages(monkeypatch, lambda kind, content: None)
    for points, said in graded(RIGHT, WRONG, limits=LIMITS._replace(cell_timeout=1, total_timeout=8)):
        assert points == 0
        assert "the test did not end" in said or "nothing was run after that" in said


def test_a_test_kernel_that_sends_nonsense_earns_nothing(monkeypatch):
    changed_messages(monkeypatch, lambda kind, content: ("nonsense", {"status": "ok"}))
    (points, _), *_ = graded(RIGHT, limits=LIMITS._replace(cell_timeout=1))
    assert points == 0


ENDS = {
    "an error whose message holds half a character": "raise AssertionError('\\ud83d')",
    "an error whose message raises": (
        "class Mute(Exception):\n    def __str__(self):\n        raise KeyError\nraise Mute"
    ),
    "an error that leaves": "raise SystemExit(0)",
    "an error that interrupts": "raise KeyboardInterrupt",
    "a failure that is shown by hand": "get_ipython().showtraceback = lambda *a, **k: None\nassert answer == 4",
    "an error of ten megabytes": "raise AssertionError('x' * 10_000_000)",
    "an exit that is called": "exit()\nassert answer == 4",
    "an endless loop": "while True:\n    pass",
}


@pytest.mark.parametrize("end", ENDS)
def test_a_test_cell_that_does_not_run_to_its_end_earns_nothing(end):
    (points, said), *_ = graded(ENDS[end], limits=LIMITS._replace(cell_timeout=1))
    assert points == 0
    assert "'error'" in said
    said.encode()


def test_after_a_test_that_was_ended_the_next_one_is_decided_as_ever():
    (endless, _), (right, _), (wrong, _) = graded(
        "while True: pass", RIGHT, WRONG, limits=LIMITS._replace(cell_timeout=1)
    )
    assert (endless, right, wrong) == (0, 1, 0)


def test_a_test_kernel_that_leaves_by_itself_is_no_grade():
    with pytest.raises(MachineFault, match="ended twice"):
        graded("import os\nos._exit(0)")


def test_too_much_output_hides_no_error():
    (points, said), *_ = graded("print('x' * 10_000_000)\nassert answer == 4, 'it is not four'")
    assert points == 0
    assert "it is not four" in said


def test_an_error_that_came_first_is_not_cleared_away():
    outputs = Outputs(1000)
    outputs.add("error", {"ename": "AssertionError", "evalue": "first", "traceback": []})
    assert outputs.kept[0].evalue == "first"
    code = "import IPython.display\ntry:\n    assert answer == 4\nfinally:\n    IPython.display.clear_output()"
    (points, _), *_ = graded(code)
    assert points == 0
