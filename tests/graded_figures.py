"""Run by itself, as while grading: plays every chapter, and tells what calling each of the course's figures did.

Prints {figure: {"given": functions that the chapter gave it, "asked": how many of them were called,
"updates": how often `update` was, "drawn": matplotlib figures that were made, "shown": what a notebook shows,
"broken": the same where the given functions raise, or the error that the figure let through}}.
"""

import contextlib
import functools
import importlib
import inspect
import io
import json
import pkgutil

from conftest import CHAPTERS, run_cell
from matplotlib.figure import Figure

from autograder.authoring import chapters
from course import GRADING, figures, undrawn

told, drawn, updates = {}, [], []


def names() -> list[str]:
    """Every figure of the course, as "course.figures.ptq.ranges": the functions that say they return one."""
    found = []
    for module in pkgutil.iter_modules(figures.__path__, "course.figures."):
        for name, function in inspect.getmembers(importlib.import_module(module.name), inspect.isfunction):
            returned = function.__annotations__.get("return")
            if function.__module__ == module.name and returned in (figures.Figure, figures.Live):
                found.append(f"{module.name}.{name}")
    return found


def broken(*args, **kwargs):
    raise ValueError("the learner's own error")


def shown(make, *args, **kwargs) -> str:
    try:
        made = make(*args, **kwargs)
    except ValueError as error:
        return f"raised {error}"
    return made._repr_html_() if isinstance(made, undrawn.Asked) else repr(made)


def watched(function):
    """`function`, a figure, whose call also leaves its account in `told`."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        given = [place for place, value in enumerate(args) if inspect.isfunction(value)]
        asked = set()

        def noted(place):
            return lambda *a, **k: asked.add(place) or args[place](*a, **k)

        drawn.clear(), updates.clear()
        seen = shown(function, *(noted(i) if i in given else value for i, value in enumerate(args)), **kwargs)
        counts = {"given": len(given), "asked": len(asked), "updates": len(updates), "drawn": len(drawn)}
        failed = shown(function, *(broken if i in given else value for i, value in enumerate(args)), **kwargs)
        told[f"{function.__module__}.{function.__name__}"] = counts | {"shown": seen, "broken": failed}
        return function(*args, **kwargs)

    return call


def counting(function, calls):
    """`function`, whose calls are counted in the list `calls`."""
    return functools.wraps(function)(lambda *args, **kwargs: calls.append(1) or function(*args, **kwargs))


def main():
    assert GRADING
    for name in names():
        module, _, function = name.rpartition(".")
        module = importlib.import_module(module)
        setattr(module, function, watched(getattr(module, function)))
    ask = undrawn.Asked.__init__
    undrawn.Asked.__init__ = lambda self, figure, artists, update, *args, **kwargs: ask(
        self, figure, artists, counting(update, updates), *args, **kwargs
    )
    Figure.__init__ = counting(Figure.__init__, drawn)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        for chapter in CHAPTERS:
            scope = {"__name__": "__main__"}
            for cell in chapters.read(chapter).cells:
                if cell.cell_type == "code" and not chapters.grade_id(cell).startswith("test_"):
                    run_cell(cell.source, scope)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
