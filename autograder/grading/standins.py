"""In the test kernel: what stands in for the learner's objects, so that test cells run as they do in a notebook.

A request goes to the grader as a kernel's `input_request` and comes back as its reply, so the test kernel needs no
channel but the one every kernel has.
"""

import builtins
import json
import symtable
from collections.abc import Callable

from autograder.grading.border import Handle, decode, encode
from course.probe import source_of


class StandIn(Handle):
    """A function, class or object of the learner's. Calling it, its methods, len(), [] and iteration go across."""

    def __call__(self, *args, **kwargs):
        return _call(self.number, None, args, kwargs)

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: _call(self.number, name, args, kwargs)

    def __len__(self):
        return _call(self.number, "__len__", (), {})

    def __getitem__(self, key):
        return _call(self.number, "__getitem__", (key,), {})

    def __iter__(self):
        return iter(self[index] for index in range(len(self)))

    def __repr__(self):
        return f"<{self.type_name} of the answer>"

    __eq__ = object.__eq__  # nothing of the learner's decides what is equal
    __hash__ = object.__hash__


def names_read(code: str) -> list[str]:
    """The names that a test cell reads and does not define: those of the learner's answer."""
    top = symtable.symtable(code, "<test>", "exec")
    defined = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    read, tables = set(), [top]
    for table in tables:
        tables.extend(table.get_children())
        read |= {s.get_name() for s in table.get_symbols() if s.is_referenced() and s.is_global()}
    read |= {s.get_name() for s in top.get_symbols() if s.is_referenced()}
    return sorted(name for name in read - defined if not hasattr(builtins, name))


def bind(names: list[str]) -> dict:
    """{name: the learner's value, or its stand-in} for those of `names` that the learner has."""
    replies = {name: _ask({"do": "get", "name": name}) for name in names}
    return {name: decode(reply["value"], StandIn) for name, reply in replies.items() if "value" in reply}


def run_beside_the_answers(function: Callable, fresh: bool = False) -> Callable:
    """What `course.probe.probe` becomes here: the source is run in the learner's kernel, or in a fresh one like it."""
    source = source_of(function)

    def across(*args, **kwargs):
        request = {"do": "fresh" if fresh else "probe", "source": source, "name": function.__name__}
        return decode(_ask(request | {"args": encode(args), "kwargs": encode(kwargs)})["value"], StandIn)

    return across


def _call(number: int, method: str | None, args: tuple, kwargs: dict):
    __tracebackhide__ = True
    request = {"do": "call", "target": number, "method": method, "args": encode(args), "kwargs": encode(kwargs)}
    reply = _ask(request)
    after_args, after_kwargs = decode(reply["after"], StandIn)
    for before, after in zip(args, after_args, strict=True):
        _follow(before, after)
    for name, before in kwargs.items():
        _follow(before, after_kwargs[name])
    return decode(reply["value"], StandIn)


def _follow(before, after) -> None:
    """Change an argument as the answer changed its copy, so that a test sees it."""
    if isinstance(before, list):
        before[:] = after
    elif isinstance(before, dict):
        before.clear()
        before.update(after)
    elif hasattr(before, "copy_"):  # a tensor
        if before.shape == after.shape and not before.detach().equal(after):
            before.detach().copy_(after)
    elif hasattr(before, "shape") and hasattr(before, "flags") and before.flags.writeable:
        before[...] = after


def _ask(request: dict) -> dict:
    __tracebackhide__ = True
    from IPython import get_ipython

    reply = json.loads(get_ipython().kernel.raw_input(json.dumps(request)))
    if "error" in reply:
        kind, message, where = reply["error"]
        error = getattr(builtins, str(kind), None)
        if not (isinstance(error, type) and issubclass(error, Exception)):
            error, message = RuntimeError, f"{kind}: {message}"
        try:
            raised = error(message)
        except TypeError:  # UnicodeDecodeError and its like want more than a message
            raised = RuntimeError(f"{kind}: {message}")
        raised.answer_line = where
        raise raised
    return reply
