"""In the test kernel the learner's objects do what they do in a notebook, and no more than a test can bear."""

import array
import copy
import inspect
import json
import pickle
import types

import IPython
import numpy as np
import pytest
import torch

from autograder.grading import border, guard, standins
from autograder.grading.standins import names_read

LEARNERS = """
import itertools
from typing import NamedTuple
import numpy as np

class Params(NamedTuple):
    scale: float
    zero_point: int
    def dequantize(self, code): return (code - self.zero_point) * self.scale

class Observer(list):
    def observe(self, x):
        self.append(x)
        return self
    def reach(self): return min(self), max(self)

class Layer:
    kind = "layer"
    def __init__(self, value=2):
        self.weight, self.inner, self.value = np.full(2, float(value)), Inner(), value
    def forward(self, x, *, times=1): return x * self.value * times
    @property
    def broken(self): raise ValueError("broken")

class Inner:
    bits = 8
    def levels(self): return 2**self.bits

class Old:
    def __getitem__(self, index):
        if index > 4: raise IndexError(index)
        return 2 * index

class Endless:
    def __len__(self): return 10**12
    def __getitem__(self, index): return 0.5

class Backwards:
    def __iter__(self): return self
    def __next__(self): return -0.5

class Forked:
    def __len__(self): return 2
    def __getitem__(self, index):
        if index > 1: raise IndexError
        return Forked()

class Three:
    n = 0
    def __iter__(self): return self
    def __next__(self):
        self.n += 1
        if self.n > 3: raise StopIteration
        return self.n

class Box(dict):
    def __missing__(self, key): return key

class Yes:
    def __getattr__(self, name): return Yes()
    def __call__(self, *a, **k): return Yes()
    __eq__ = __le__ = __ge__ = __bool__ = __contains__ = lambda self, *other: True
    __float__ = lambda self: 0.00196
    __hash__ = lambda self: 0

class Store:
    def __init__(self): self.kept = {}
    def __setitem__(self, key, value): self.kept[key] = value
    def __delitem__(self, key): del self.kept[key]
    def __contains__(self, key): return key in self.kept
    def __len__(self): return len(self.kept)
    def __reversed__(self): return reversed(list(self.kept))

yes = Yes()
def count(start=0): return itertools.count(start)
def yields(n):
    for k in range(n): yield k
def same(x): return x
def spoil(rows, table):
    rows[0][0] = -1
    rows.append("new")
    table["row"] = rows[0]
    table["seen"].add(3)
def reorder(arrays): arrays.sort(key=lambda a: -a.sum())
def double(x): x *= 2
def upper(text): text[:] = text.upper()
def flatten(x): x.shape = (x.size,)
def forget(x): x.clear()
"""


@pytest.fixture
def learners(monkeypatch):
    """What a test cell sees of the learner's names, with both sides in this process. `requests` counts them."""
    namespace = {"__name__": "__main__"}
    exec(LEARNERS, namespace)
    seen = types.SimpleNamespace(requests=0, forge=None)

    def ask(request):
        seen.requests += 1
        return guard.checked(seen.forge or border.serve(request, namespace))

    shell = types.SimpleNamespace(ask=ask)
    monkeypatch.setattr(IPython, "get_ipython", lambda: shell)
    seen.__dict__.update(standins.bind([name for name in namespace if not name.startswith("__")]))
    seen.requests = 0
    return seen


def test_an_object_has_its_methods_and_data(learners):
    layer = learners.Layer(value=3)
    assert layer.weight.tolist() == [3, 3]
    assert layer.kind == "layer"
    assert layer.inner.bits == 8
    assert layer.inner.levels() == 256
    assert layer.forward(2, times=5) == 30
    assert hasattr(layer, "value") and not hasattr(layer, "nothing")
    assert isinstance(layer, learners.Layer) and not isinstance(3, learners.Layer)
    with pytest.raises(ValueError, match="broken"):
        _ = layer.broken
    layer.value = 4
    assert layer.forward(1) == 4
    learners.requests = 0
    layer.forward(1)
    assert learners.requests == 1


def test_a_value_with_methods_is_both(learners):
    params = learners.Params(0.5, 3)
    assert isinstance(params, tuple) and isinstance(params, border.Handle)
    assert params == (0.5, 3) and params.dequantize(5) == 1.0
    assert learners.same(params) == (0.5, 3)
    observer = learners.Observer([2])
    assert observer.observe(7) == [2, 7] and observer == [2, 7] and observer.reach() == (2, 7)
    assert type(copy.deepcopy(params)) is tuple and pickle.loads(pickle.dumps(observer)) == [2, 7]
    assert learners.Box(a=1) == {"a": 1} and type(learners.Box()) is dict


def test_iteration_is_pythons(learners):
    assert list(learners.Old()) == [0, 2, 4, 6, 8] and 4 in learners.Old() and 3 not in learners.Old()
    assert list(learners.yields(5)) == [0, 1, 2, 3, 4]
    assert sum(1 for _ in learners.yields(60_000)) == 60_000
    three = learners.Three()
    assert next(three) == 1 and list(three) == [2, 3] and next(three, None) is None
    numbers = learners.count(5)
    assert next(numbers) == 5 and [k for k, _ in zip(numbers, "abc", strict=False)] == [6, 7, 8]
    with pytest.raises(TypeError, match="not iterable"):
        iter(learners.Layer())
    with pytest.raises(TypeError, match=r"no len|has no"):
        len(learners.Layer())
    store = learners.Store()
    store["a"], store["b"] = 1, 2
    del store["a"]
    assert "b" in store and "a" not in store and len(store) == 1 and list(reversed(store)) == ["b"]
    assert store and not learners.Store() and learners.same


@pytest.mark.parametrize("look", [list, sum, lambda x: np.asarray(x, dtype=float), lambda x: [*x]])
@pytest.mark.parametrize("name", ["Endless", "count", "Backwards"])
def test_what_has_no_end_comes_to_one(look, name, learners, monkeypatch):
    monkeypatch.setattr(standins, "MOST_ITEMS", 5000)
    with pytest.raises((ValueError, TypeError)):
        look(getattr(learners, name)())
    assert learners.requests < 5100


def test_a_cell_asks_only_so_often(learners, monkeypatch):
    monkeypatch.setattr(standins, "MOST_REQUESTS", 500)
    with pytest.raises((RuntimeError, ValueError)):
        np.asarray(learners.Forked(), dtype=float)
    with pytest.raises(RuntimeError, match="no more than 500 times"):
        learners.same(1)
    standins.bind([])
    assert learners.same(1) == 1


def test_an_object_that_says_yes_to_all_gains_nothing(learners):
    yes = learners.yes
    assert yes != 0.00196 and yes != 3
    looks = [float, int, abs, lambda x: x < 3, lambda x: x + 1, lambda x: np.isclose(x, 1)]
    for look in [*looks, lambda x: np.asarray(x, dtype=float)]:
        with pytest.raises((TypeError, ValueError)):
            look(yes)


def test_python_can_look_at_a_stand_in(learners):
    layer = learners.Layer()
    assert f"{layer}" == str(layer) == repr(layer) == "<Layer of the answer>"
    assert copy.copy(layer).value == copy.deepcopy(layer).value == 2
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(layer)
    inspect.signature(layer), inspect.getmembers(layer), inspect.unwrap(layer), dir(layer), vars(layer), hash(layer)
    assert not inspect.isfunction(layer) and callable(layer)
    learners.requests = 0
    IPython.core.formatters.DisplayFormatter().format(layer)
    assert learners.requests == 0


def test_changed_arguments_are_seen_as_in_a_notebook(learners):
    row, table = np.arange(3.0), {"seen": {1}}
    rows, seen = [row], table["seen"]
    learners.spoil(rows, table=table)
    assert row.tolist() == [-1, 1, 2] and rows[0] is row and rows[1] == "new"
    assert table["row"] is row and table["seen"] is seen and seen == {1, 3}
    low, high = np.zeros(1), np.ones(1)
    arrays = [low, high]
    learners.reorder(arrays)
    assert arrays[0] is high and arrays[1] is low and low == 0
    tensor, text, numbers = torch.ones(2), bytearray(b"ab"), array.array("d", [1])
    learners.double(tensor), learners.upper(text)
    assert tensor.tolist() == [2, 2] and text == b"AB"
    grid = np.arange(4).reshape(2, 2)
    learners.flatten(grid)
    assert grid.shape == (4,)
    assert learners.same(numbers) is numbers
    deep = {"a": [{"b": [1]}]}
    learners.forget(deep["a"][0]["b"])
    assert deep == {"a": [{"b": []}]}


@pytest.mark.parametrize(
    "after",
    [
        [[0, {"list": []}]], [[5, {"dict": []}]], [[-1, {"dict": []}]], [[True, {"dict": []}]], [[1, {"list": [1]}]],
        [[1, {"array": ["<f8", [2], "AAAAAAAAAAAAAAAAAAAAAA=="]}]], [[1, {"array": ["<f4", [3], "AAAAAAAAAAAAAAAA"]}]],
        [[1, {"tensor": ["float32", [3], "AAAAAAAAAAAAAAAA"]}]], [{"tuple": []}, {"dict": []}], 5, [[0]], [[1, 3]],
        [[1, {"handle": [1, "x"]}]],
    ],
    ids=str,
)  # fmt: skip
def test_forged_changes_are_an_error(after, learners):
    given = np.arange(3.0)
    learners.forge = json.dumps({"value": 1, "after": after})
    with pytest.raises((ValueError, TypeError, AttributeError)):
        learners.same({"x": given}["x"], {})
        assert given.tolist() == [0, 1, 2]
        raise ValueError


CELL = """
import numpy as np
def helper(x):
    return answer(x) + other
for i in range(3):
    assert helper(i) == np.abs(ex_1_1), f"{third}"
defined = 1
print(defined, [k for k in fourth])
"""
READ = {
    CELL: ["answer", "ex_1_1", "fourth", "other", "third"],
    "f'{a!r:{b}}'": ["a", "b"],
    "[x + a for x in b if c]; {x: d for x in ()}": ["a", "b", "c", "d"],
    "[[x, y, a] for x in x for y in x if (z := y)]; z": ["a", "x"],
    "def f(x): return [a + x + y for y in b if (z := y)] + [z]": ["a", "b"],
    "lambda q, r=a: q + r + b": ["a", "b"],
    "def f(x: a = b, *, y=c) -> d:\n    def g(): return e + x\n    return g": ["a", "b", "c", "d", "e"],
    "del a": ["a"],
    "b = 1\ndel b\nb": ["b"],
    "def f():\n    global a\n    a = 1\nprint(a)": ["a"],
    "if (b := a): print(b)": ["a"],
    "match a:\n    case {'k': v, **rest}: print(v, rest)\n    case B(z) | [z, *_]: z": ["B", "a"],
    "match a:\n    case b.C: d = 1\nd": ["a", "b", "d"],
    "try:\n    t = a\nexcept B as error:\n    print(error)\nprint(t)": ["B", "a", "t"],
    "x: A = 1\ny: B": ["A", "B"],
    "if a:\n    b = 1\nprint(b)": ["a", "b"],
    "if a:\n    b = 1\nelse:\n    b = 2\nprint(b)": ["a"],
    "for i in a: j = i\nprint(i, j)": ["a"],
    "with a as b, c: print(b)": ["a", "c"],
    "a += 1": ["a"],
    "a = a + 1": ["a"],
    "class K(A):\n    x = b\n    def m(self): return c, K": ["A", "b", "c"],
    "import a.b, c as d\nfrom e import f\na, d, f": [],
    "@a\ndef f(): return f": ["a"],
    "while a: b = 1\nb": ["a"],
    "async def f():\n    async for x in a: await b(x)": ["a", "b"],
}


@pytest.mark.parametrize("code", READ, ids=lambda code: code.replace("\n", "; ")[:40])
def test_names_a_test_cell_reads(code):
    assert names_read(code) == READ[code]
