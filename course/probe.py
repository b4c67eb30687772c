"""Marks a function of a test cell that has to run beside the learner's objects: a training step, a gradient.

In an ordinary notebook a probe is just a function. In the grader, test cells run in another process than the answers
they test. There a probe's source is sent across, run beside the answers, and what it returns comes back as plain data.
So a probe imports what it uses, reads nothing of its surroundings, and returns numbers, strings, lists, dicts, arrays
or tensors. The learner's code can read a probe's source: nothing in it is secret.

A fresh probe runs in a new process that has seen nothing of the notebook: what a file is worth shows where only the
file is. It takes and returns plain data without tensors, and what it returns is read as data: nothing is evaluated. In
the grader its process has the same walls as the learner's.
"""

import builtins
import inspect
import json
import pickle
import subprocess
import sys
import textwrap
from base64 import b64decode
from collections.abc import Callable
from functools import partial, wraps

import numpy as np

#: Set by the grader's test kernel: takes the function and `fresh`, and returns one that runs it where it belongs.
run_beside_the_answers: Callable | None = None

_CHILD = """
import builtins, json, os, pickle, sys
answer = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # what the function prints is not its answer
sys.path[:], source, name, args, kwargs = pickle.load(sys.stdin.buffer)
try:
    scope = {}
    exec(compile(source, "<probe>", "exec"), scope)
    reply = {"value": _packed(scope[name](*args, **kwargs))}
except Exception as error:
    kind = next(k.__name__ for k in type(error).__mro__ if getattr(builtins, k.__name__, None) is k)
    reply = {"error": [kind, str(error)[:2000]]}
answer.write(json.dumps(reply).encode())
"""


def probe(function: Callable | None = None, *, fresh: bool = False, seconds: float = 120) -> Callable:
    """Decorator: `function` itself in a notebook; in the grader, a function that runs it beside the answers.

    fresh: run it in a new process instead, in a notebook too. Its errors are raised here. seconds: it is stopped then,
    and TimeoutError is raised; in the grader the grader's limits apply.
    """
    if function is None:
        return partial(probe, fresh=fresh, seconds=seconds)
    if run_beside_the_answers is not None:
        return run_beside_the_answers(function, fresh)
    return _in_a_new_process(function, seconds) if fresh else function


def source_of(function: Callable) -> str:
    """The source of `function` without its decorators and indentation."""
    lines = textwrap.dedent(inspect.getsource(function)).splitlines(keepends=True)
    start = next(number for number, line in enumerate(lines) if line.startswith(("def ", "async def ")))
    return "".join(lines[start:])


def _in_a_new_process(function: Callable, seconds: float) -> Callable:
    source, name = source_of(function), function.__name__

    @wraps(function)
    def run(*args, **kwargs):
        given = pickle.dumps((sys.path, source, name, args, kwargs))
        command = [sys.executable, "-c", inspect.getsource(_packed) + _CHILD]
        try:
            child = subprocess.run(command, input=given, capture_output=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{name} was stopped after {seconds:g} s") from None
        if not child.stdout:
            said = child.stderr.decode(errors="replace").strip()
            raise RuntimeError(f"{name} ended its process (code {child.returncode}): {said[-500:]}")
        try:
            reply = json.loads(child.stdout)
            error = _named(*map(str, reply["error"])) if "error" in reply else None
            value = None if error else _unpacked(reply["value"])
        except Exception as damage:
            raise RuntimeError(f"{name} returned what cannot be read: {damage}") from None
        if error:
            raise error
        return value

    return run


def _packed(value):
    """`value` as JSON-able data. This function runs in the new process, by its source."""
    from base64 import b64encode

    if value is None or type(value) in (bool, int, float, str):
        return value
    if type(value) in (list, tuple):
        return {type(value).__name__: [_packed(item) for item in value]}
    if type(value) is dict:
        return {"dict": [[_packed(key), _packed(item)] for key, item in value.items()]}
    if type(value) is bytes:
        return {"bytes": b64encode(value).decode()}
    if type(value).__name__ == "ndarray" and value.dtype.kind in "biufc":
        return {"array": [value.dtype.str, list(value.shape), b64encode(value.tobytes()).decode()]}
    raise TypeError(f"the probe's answer is not plain data: {type(value).__name__}")


def _unpacked(data):
    """The value that `_packed` made `data` from; raises some Exception where it made none."""
    if data is None or type(data) in (bool, int, float, str):
        return data
    ((kind, content),) = data.items()
    if kind == "list":
        return [_unpacked(item) for item in content]
    if kind == "tuple":
        return tuple(_unpacked(item) for item in content)
    if kind == "dict":
        return {_unpacked(key): _unpacked(item) for key, item in content}
    if kind == "bytes":
        return b64decode(content)
    if kind != "array":
        raise ValueError(f"{kind!r} is no kind of plain data")
    dtype, shape, raw = content
    if np.dtype(dtype).kind not in "biufc":
        raise ValueError(f"dtype {dtype!r} is no plain data")
    return np.frombuffer(b64decode(raw), dtype).reshape([int(n) for n in shape]).copy()


def _named(kind: str, message: str) -> Exception:
    """The built-in exception of that name; RuntimeError where there is none or it wants more than a message."""
    error = getattr(builtins, kind, None)
    if isinstance(error, type) and issubclass(error, Exception):
        try:
            return error(message)
        except TypeError:
            pass
    return RuntimeError(f"{kind}: {message}")
