"""Test cells do in two kernels what they do in one: calls, methods, errors, changed inputs, probes, time limits."""

import textwrap

import nbformat
import pytest
from nbgrader.utils import determine_grade

from autograder.grading.execute import STOPPED, TwoKernels

ANSWER = """
import numpy as np
import torch


class Counter:
    def __init__(self, start=0):
        self.n = start

    def add(self, k=1):
        self.n += k
        return self.n


class Scale(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(float(factor)))

    def forward(self, x):
        return self.factor * x


def double(x):
    return 2 * x


def spoil(x, table=None):
    x[0] = -1
    if table is not None:
        table["seen"] = True
    return 7


def fail(kind):
    raise {"value": ValueError, "own": type("Own", (KeyError,), {}), "zero": ZeroDivisionError}[kind](f"bad {kind}")


def slow():
    while True:
        pass


ex_9_9 = [0.5, ("a", None)]
"""

CELLS = {
    "plain data": "assert ex_9_9 == [0.5, ('a', None)]",
    "arrays keep dtype and shape": """
        import numpy as np
        got = double(np.arange(6, dtype=np.float32).reshape(2, 3))
        assert isinstance(got, np.ndarray) and got.dtype == np.float32 and got.shape == (2, 3)
        assert got[1, 2] == 10
        """,
    "tensors keep dtype and shape": """
        import torch
        got = double(torch.ones(2, dtype=torch.bfloat16))
        assert got.dtype == torch.bfloat16 and got.tolist() == [2, 2]
        """,
    "objects are handles with methods and state": """
        counter = Counter(start=2)
        assert counter.add() == 3
        assert counter.add(k=4) == 7
        assert Counter().add(1) == 1
        """,
    "an array changed in place is seen": """
        import numpy as np
        x = np.arange(3.0)
        assert spoil(x) == 7
        assert x[0] == -1
        """,
    "a tensor changed in place is seen": """
        import torch
        x = torch.arange(3.0)
        spoil(x)
        assert x[0] == -1
        """,
    "a list and a dict changed in place are seen": """
        x, table = [1, 2], {}
        spoil(x, table=table)
        assert x == [-1, 2] and table == {"seen": True}
        """,
    "an unchanged input stays": """
        import numpy as np
        x = np.arange(3.0)
        double(x)
        assert x.tolist() == [0, 1, 2]
        """,
    "errors keep type and message": """
        for kind, expected in {"value": ValueError, "own": KeyError, "zero": ZeroDivisionError}.items():
            try:
                fail(kind)
            except expected as error:
                assert f"bad {kind}" in str(error)
            else:
                raise AssertionError(kind)
        """,
    "a probe runs beside the answers": """
        from course.probe import probe

        @probe
        def gradient(module, value):
            import torch
            layer = module(3)
            x = torch.tensor(value, requires_grad=True)
            (layer(x) ** 2).sum().backward()
            return {"x": x.grad, "factor": layer.factor.grad, "out": layer(x)}

        got = gradient(Scale, [1.0, 2.0])
        assert got["x"].tolist() == [18, 36]
        assert got["factor"] == 30
        assert got["out"].tolist() == [3, 6]
        """,
    "a probe takes functions and objects of the learner's": """
        from course.probe import probe

        @probe
        def twice(function, counter, value=1):
            return function(function(value)) + counter.add()

        assert twice(double, Counter(10), value=3) == 23
        """,
    "a probe's error names the learner's type": """
        from course.probe import probe

        @probe
        def run(function):
            return function("value")

        try:
            run(fail)
        except ValueError as error:
            assert str(error) == "bad value"
        else:
            raise AssertionError
        """,
    "a fresh probe runs in a process that knows nothing of the answers": """
        from course.probe import probe

        @probe(fresh=True)
        def elsewhere(values, factor=1):
            import os
            print("not the answer")
            return {"sum": factor * sum(values), "known": "Counter" in globals(), "files": os.listdir(os.getcwd())}

        got = elsewhere([1, 2], factor=3)
        assert got["sum"] == 9 and not got["known"]
        """,
    "a fresh probe's error is raised": """
        from course.probe import probe

        @probe(fresh=True)
        def fails():
            raise ValueError("no such file")

        try:
            fails()
        except ValueError as error:
            assert str(error) == "no such file"
        else:
            raise AssertionError
        """,
    "helpers, loops and comprehensions of the test": """
        def helper(x):
            return double(x) + 1
        assert [helper(x) for x in range(3)] == [1, 3, 5]
        """,
}
WRONG = {
    "a wrong value": "assert double(2) == 5, 'two times two'",
    "a missing name": "assert nowhere(1) == 2",
    "a warning on stderr": "import sys; print('careful', file=sys.stderr)",
    "an object passed to the test's NumPy": "import numpy as np; np.asarray(Counter()) + 1",
    "too long": "slow()",
}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """{name: (points, outputs)} of all cells after one run, and the notebook."""
    cells = {
        name: nbformat.v4.new_code_cell(
            textwrap.dedent(code),
            metadata={
                "nbgrader": {"grade": True, "grade_id": name, "points": 1, "solution": False, "schema_version": 3}
            },
        )
        for name, code in {**CELLS, **WRONG}.items()
    }
    first = [nbformat.v4.new_code_cell(source) for source in (ANSWER, "while True: pass", "still = 'here'")]
    notebook = nbformat.v4.new_notebook(cells=[*first, *cells.values()])
    folder = tmp_path_factory.mktemp("home")
    TwoKernels(cell_timeout=3, total_timeout=60, preload="numpy, torch").preprocess(
        notebook, {"metadata": {"path": str(folder)}}
    )
    return {name: (determine_grade(cell)[0], str(cell.outputs)) for name, cell in cells.items()}, notebook


@pytest.mark.parametrize("name", CELLS)
def test_works_in_two_kernels(name, outcome):
    points, outputs = outcome[0][name]
    assert points == 1, outputs


@pytest.mark.parametrize("name", CELLS)
def test_works_in_one_kernel(name, tmp_path):
    namespace = {}
    exec(ANSWER, namespace)
    cell = tmp_path / "cell.py"  # a fresh probe reads its source, as it can in a notebook
    cell.write_text(textwrap.dedent(CELLS[name]), "utf-8")
    exec(compile(cell.read_text("utf-8"), str(cell), "exec"), namespace)


@pytest.mark.parametrize("name", WRONG)
def test_earns_nothing(name, outcome):
    assert outcome[0][name][0] == 0


def test_an_endless_cell_is_interrupted_and_the_rest_is_graded(outcome):
    results, notebook = outcome
    assert "this cell took longer than 3 s" in str(notebook.cells[1].outputs)
    assert not notebook.cells[2].outputs
    assert "it took longer than 3 s" in results["too long"][1]
    assert "it took longer than 3 s" in notebook.metadata[STOPPED]
