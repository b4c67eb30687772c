"""Marks a function of a test cell that has to run beside the learner's objects: a training step, a gradient.

In an ordinary notebook a probe is just a function. In the grader, test cells run in another process than the answers
they test. There a probe's source is sent across, run beside the answers, and what it returns comes back as plain data.
So a probe imports what it uses, reads nothing of its surroundings, and returns numbers, strings, lists, dicts, arrays
or tensors.

A fresh probe runs in a new process that has seen nothing of the notebook: what a file is worth shows where only the
file is. It takes plain data only; in the grader its process has the same walls as the learner's.
"""

import inspect
import pickle
import subprocess
import sys
import textwrap
from collections.abc import Callable
from functools import partial, wraps

#: Set by the grader's test kernel: takes the function and `fresh`, and returns one that runs it where it belongs.
run_beside_the_answers: Callable | None = None

_CHILD = """
import os, pickle, sys
answer = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # what the function prints is not its answer
sys.path[:], source, name, args, kwargs = pickle.load(sys.stdin.buffer)
try:
    scope = {}
    exec(compile(source, "<probe>", "exec"), scope)
    reply = True, scope[name](*args, **kwargs)
except Exception as error:
    reply = False, error
try:
    data = pickle.dumps(reply)
except Exception as error:
    data = pickle.dumps((False, TypeError(f"the probe's answer is not plain data: {error}")))
answer.write(data)
"""


def probe(function: Callable | None = None, *, fresh: bool = False) -> Callable:
    """Decorator: `function` itself in a notebook; in the grader, a function that runs it beside the answers.

    fresh: run it in a new process instead, in a notebook too. Its errors are raised here.
    """
    if function is None:
        return partial(probe, fresh=fresh)
    if run_beside_the_answers is not None:
        return run_beside_the_answers(function, fresh)
    return _in_a_new_process(function) if fresh else function


def source_of(function: Callable) -> str:
    """The source of `function` without its decorators and indentation."""
    lines = textwrap.dedent(inspect.getsource(function)).splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith(("def ", "async def ")))
    return "".join(lines[start:])


def _in_a_new_process(function: Callable) -> Callable:
    source = source_of(function)

    @wraps(function)
    def run(*args, **kwargs):
        given = pickle.dumps((sys.path, source, function.__name__, args, kwargs))
        child = subprocess.run([sys.executable, "-c", _CHILD], input=given, capture_output=True)
        if not child.stdout:
            said = child.stderr.decode(errors="replace").strip()
            raise RuntimeError(f"{function.__name__} ended its process (code {child.returncode}): {said[-500:]}")
        worked, answer = pickle.loads(child.stdout)
        if worked:
            return answer
        raise answer

    return run
