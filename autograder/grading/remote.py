"""What goes to a worker on another machine, what the worker does with it, and how what comes back is read.

Plain data in both directions: a notebook's JSON, files, the limits as a tuple; back come the outputs of each cell.
"""

import copy
import functools
import importlib
import json
import os
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import nbformat
from nbformat import NotebookNode

from autograder.grading.faults import MachineFault
from autograder.grading.limits import Limits

LIBRARIES = ("numpy", "torch")  # what a test finds depends on their versions
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


class Fitness(NamedTuple):
    """What a worker says of itself. walls: why it can make none, "" where it can or none are wanted."""

    python: str
    libraries: dict[str, str]
    code: str
    walls: str


def fitness(walls: bool) -> Fitness:
    """Of the process that it is called in. walls: whether they are wanted; then some are made, on trial."""
    from autograder.grading.walls import refused

    libraries = {name: metadata.version(name).split("+")[0] for name in LIBRARIES}
    return Fitness(PYTHON, libraries, code(), refused() if walls else "")


@functools.cache
def code() -> str:
    """A digest of the grader's and the course's files as they were when it was first asked for: of what is loaded."""
    importlib.import_module("autograder.grading.run")
    from autograder.grading.submission import graded_by

    return graded_by(Path(os.devnull), "", ())


def misfit(worker: Fitness, here: Fitness) -> str:
    """Why a worker may get no work from this machine; "" where it may."""
    if worker.python != here.python:
        return f"it has Python {worker.python}, this machine {here.python}"
    for name, version in here.libraries.items():
        if (other := worker.libraries.get(name)) != version:
            return f"it has {name} {other}, this machine {version}; install by constraints.txt on both"
    if worker.code != here.code:
        return "its course and grader are not this machine's; bring both to one commit and start it again"
    return worker.walls and f"it cannot make walls ({worker.walls}); sudo apt-get install bubblewrap"


def call(function: Callable, notebook: NotebookNode, files: dict[str, bytes], limits: Limits) -> tuple:
    """The arguments of `work` for function(notebook, files, limits), a module's function that is called as `run` is."""
    name = f"{function.__module__}:{function.__qualname__}"
    return code(), name, json.dumps(notebook).encode(), files, tuple(limits)


def work(known: str, name: str, notebook: bytes, files: dict[str, bytes], limits: tuple) -> bytes:
    """On a worker: call the function `name`; its outcome as JSON. A fault is an outcome, too: {"fault": why}.

    known: the digest of the code that is to run.
    """
    try:
        if known != code():
            raise MachineFault("a worker has other code than this machine")
        module, _, function = name.partition(":")
        run = getattr(importlib.import_module(module), function)
        outcome = run(nbformat.from_dict(json.loads(notebook)), files, Limits(*limits))
        cells = [[cell.outputs, cell.execution_count] for cell in _code_cells(outcome.notebook)]
        return json.dumps({"cells": cells, "stopped": list(outcome.stopped)}).encode()
    except MachineFault as fault:
        return json.dumps({"fault": str(fault)}).encode()
    except Exception as why:
        return json.dumps({"fault": f"{type(why).__name__}: {why}"[:500]}).encode()


def outcome_of(reply: bytes, notebook: NotebookNode):
    """The Outcome of `notebook` by a worker's reply, of which outputs, counts and notes are taken and nothing else.

    Raises MachineFault: the worker's own, or that the reply is not in form.
    """
    from autograder.grading.run import Outcome

    try:
        said = json.loads(reply)
        fault = said.get("fault")
        if fault is None:
            ran = [nbformat.v4.new_code_cell(outputs=out, execution_count=count) for out, count in said["cells"]]
            ran = nbformat.from_dict(nbformat.v4.new_notebook(cells=ran))
            nbformat.validate(ran)
            notebook = copy.deepcopy(notebook)
            for cell, each in zip(_code_cells(notebook), ran.cells, strict=True):
                cell.outputs, cell.execution_count = each.outputs, each.execution_count
            return Outcome(notebook, [str(why) for why in said["stopped"]])
    except Exception as why:
        raise MachineFault(f"a worker sent back no outcome ({type(why).__name__})") from why
    raise MachineFault(str(fault))


def _code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]
