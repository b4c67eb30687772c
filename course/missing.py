"""Says why a name is missing: Run All goes past exercises that are open, and later cells need what they would make.

A NameError points at the cell that wants the name. The sentence below it points at the one that should have made it.
"""

import ast
import traceback


def use(shell) -> None:
    """Make `shell` (an IPython shell) say after a NameError which cell did not make the name, and why."""
    if not hasattr(shell, "course_unmade"):
        shell.course_unmade = {}
        shell.events.register("post_run_cell", lambda result: _after(shell, result))


def _after(shell, result) -> None:
    unmade, error = shell.course_unmade, result.error_in_exec
    made = names_made(result.info.raw_cell if result.info else "")
    if error is None:
        for name in made:
            unmade.pop(name, None)
        return
    missing = getattr(error, "name", None) if isinstance(error, NameError) else None
    if missing in unmade:
        why = unmade[missing]
        print(f"{missing} comes from a cell above that did not run to its end: {why}.")
    else:
        why = _why(error)
    unmade |= {name: why for name in made if name not in shell.user_ns}


def names_made(source: str) -> set[str]:
    """The names that a cell sets for others, by its text; none where it cannot be read.

    >>> sorted(names_made("import numpy as np\\nx, y = 1, 2\\ndef f():\\n    z = 3"))
    ['f', 'np', 'x', 'y']
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    return set().union(*map(_made, tree.body)) if tree.body else set()


def _made(node: ast.AST) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, ast.Lambda | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
        return set()
    return set().union(*map(_made, ast.iter_child_nodes(node)))


def _why(error: BaseException) -> str:
    if isinstance(error, NotImplementedError):
        functions = [frame.name for frame in traceback.extract_tb(error.__traceback__) if frame.name != "<module>"]
        if functions:
            return f"{functions[-1]} is not written yet"
    said = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
