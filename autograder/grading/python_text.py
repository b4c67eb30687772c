"""A cell's source read as Python the way IPython does it: magics, shell lines and `help?` count as Python.

Nothing is run. Whatever the source holds, reading it raises nothing, prints nothing and takes a bounded time.
"""

import ast
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from IPython.core.inputtransformer2 import TransformerManager

# Characters: a longer cell is not looked at; 100,000 nested operators harm no parser of Python 3.10 to 3.13.
SOURCE = 100_000
WORK = 2_000_000  # characters that are read for one submission: a few seconds
# What IPython makes Python of: a magic, shell or help line, an assignment from one, or a pasted prompt.
SPECIAL = re.compile(r"^[ \t]*(?:[%!?,;/]|>>>|\.\.\.|In \[|\[(?:nav|ins)\])|=[ \t]*[%!]|\?[ \t]*$", re.MULTILINE)
RUN_AS_PYTHON = ("time", "capture", "prun")  # cell magics that run their body in the notebook's own namespace
STACKED = 5  # such magics on top of each other
_shared = threading.RLock()  # the filters of warnings are all threads', and see `parsed`


class Code(NamedTuple):
    """What a source is: whether a kernel could begin to run it, and the names that it gives values to."""

    sound: bool
    names: frozenset[str] = frozenset()
    text: str = ""  # what of it can stand behind other Python in one cell: without a cell magic
    python: str = ""  # `text` as plain Python
    essence: str = ""  # the same for sources that differ in comments and layout only


class Reader:
    """reader(source) -> Code, for the cells of one submission; remembers what it read, and stops at `WORK`."""

    def __init__(self):
        self._seen: dict[str, Code] = {}
        self._left = WORK

    def __call__(self, source: str) -> Code:
        if source not in self._seen:
            self._seen[source] = self._read(source, STACKED)
        return self._seen[source]

    def _read(self, source: str, stacked: int) -> Code:
        unread = Code(False, text=source, python=source, essence=source.strip())
        if not self._may(len(source), source):
            return unread
        python, tree = source, _tree(source)
        if tree is None and (special := len(SPECIAL.findall(source)) + source[:1].isspace()):
            # IPython reads the whole cell again for each special line.
            if not self._may(len(source) * (special + 1), source):
                return unread
            python = _transformed(source)
            tree = _tree(python)
        essence = _essence(tree) if tree else ""
        if tree is None or essence is None:
            return unread
        if magic := _cell_magic(source, tree):
            name, body = magic
            if name in RUN_AS_PYTHON and stacked:
                return self._read(body, stacked - 1)
            return Code(True, essence=source.strip())
        names, runs = _assigned(tree)
        return Code(runs, names if runs else frozenset(), source, python, essence)

    def _may(self, cost: int, source: str) -> bool:
        if len(source) > SOURCE or cost > self._left:
            return False
        self._left -= cost
        return True


def parsed(source: str) -> ast.Module:
    """ast.parse's tree, and no warnings; for a process with threads.

    CPython 3.11 counts the depth of all threads' trees in one place (gh-106905): while another thread makes one, a tree
    can be too deep, or a SystemError.
    """
    with _no_warnings():
        return ast.parse(source)


def transformed(source: str) -> str:
    """What IPython makes Python of, as Python; raises what IPython raises."""
    with _no_warnings():
        return TransformerManager().transform_cell(source)


@contextmanager
def _no_warnings() -> Iterator[None]:
    """Python's warnings about a source are the learner's affair; made errors, they would hide an answer."""
    with _shared, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _tree(source: str) -> ast.Module | None:
    try:
        return parsed(source)
    except Exception:  # SyntaxError, and what odd sources raise: ValueError, RecursionError, MemoryError, ...
        return None


def _transformed(source: str) -> str:
    try:
        return transformed(source)
    except Exception:
        return source


def _cell_magic(source: str, tree: ast.Module) -> tuple[str, str] | None:
    """(name, body) of the cell magic that the source is, if it is one."""
    if not source.lstrip().startswith("%%") or len(tree.body) != 1:
        return None
    call = getattr(tree.body[0], "value", None)
    if not isinstance(call, ast.Call) or getattr(call.func, "attr", "") != "run_cell_magic":
        return None
    name, _, body = (argument.value for argument in call.args)
    return name, body


def _assigned(tree: ast.Module) -> tuple[frozenset[str], bool]:
    """The names that the top level gives values to, and whether Python would compile it: no `return` stands there."""
    names: set[str] = set()
    waiting: list[ast.AST] = [tree]  # a stack of its own: a hostile source may be nested deeper than Python recurses
    while waiting:
        node = waiting.pop()
        if isinstance(node, (ast.Return, ast.Yield, ast.YieldFrom)):
            return frozenset(), False
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Lambda) or (isinstance(node, ast.AnnAssign) and node.value is None):
            continue
        elif isinstance(node, ast.comprehension):  # its variable is its own; `:=` in it is not
            waiting += [node.iter, *node.ifs]
        else:
            names.update(_bound_by(node))
            waiting += ast.iter_child_nodes(node)
    return frozenset(names), True


def _bound_by(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store) else []
    if isinstance(node, ast.alias):
        return [node.asname or node.name.split(".")[0]]
    if isinstance(node, (ast.MatchAs, ast.MatchStar)):
        return [node.name] if node.name else []
    return [node.rest] if isinstance(node, ast.MatchMapping) and node.rest else []


def _essence(tree: ast.Module) -> str | None:
    """The tree as text, "" where there is nothing in it, or None where no kernel might compile it: it is too deep."""
    try:
        return ast.dump(tree) if tree.body else ""
    except RecursionError:
        return None
