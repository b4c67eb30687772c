"""Sources are read alike however many threads read some: what one of them is must not depend on the others."""

import ast
import gc
import threading
import time
import warnings

import pytest

from autograder.grading import python_text, run, standins

ANSWER = "import numpy as np\n" + "\n".join(f"def f{i}(x):\n    return [x + {i}, (x, {{{i}: x}})]" for i in range(20))
TEST = f"{ANSWER}\nassert answer(f1(2)) == [3, other]"


@pytest.fixture
def threads_that_take_turns():
    """Within whatever makes objects, trees of CPython's own among them, another thread may go on."""
    before = gc.get_threshold()

    def let_others(phase, info):
        time.sleep(0)

    gc.callbacks.append(let_others)
    gc.set_threshold(20)
    yield
    gc.callbacks.remove(let_others)
    gc.set_threshold(*before)


def read_by_threads(read, source: str) -> list:
    """What four threads find in the source, again and again."""
    found = []

    def work():
        for _ in range(5):
            try:
                found.append(read(source))
            except Exception as error:
                found.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


READERS = {
    "a cell that is mended": lambda source: python_text.Reader()(source).essence,
    "the imports of a cell": run.imports,
    "the names that a test reads": standins.names_read,
    "a tree": lambda source: ast.dump(python_text.parsed(source)),
}


@pytest.mark.parametrize("what", READERS)
def test_what_is_read_does_not_depend_on_other_threads(what, threads_that_take_turns):
    wanted = READERS[what](TEST)
    assert wanted
    assert read_by_threads(READERS[what], TEST) == [wanted] * 20


def test_the_filters_of_warnings_are_afterwards_what_they_were(threads_that_take_turns):
    before = list(warnings.filters)
    read_by_threads(run.imports, "import numpy\nx = '\\d'")
    assert warnings.filters == before
