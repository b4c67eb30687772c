"""Inside a kernel: keeps the call that made each live figure of a chapter, and makes the figure again from it.

Of a prediction before a figure the question is kept, and in words what happens.

A chapter trains for half a minute before its figures can be drawn. What the figures need of that are their arguments:
the reference solution's functions, weights, measurements. They are kept by value, so a page opens in seconds.

The files are this repository's own build products in .make/. Reading one runs code: nothing that a learner handed in
is ever read this way.
"""

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from pathlib import Path

import cloudpickle

from course import figures, style
from course.live import Live
from course.predict import Predict

#: An output's {"file": the name of the file that keeps the call}, and where a prediction comes before the figure its
#: "asked": what `course.predict.Predict` was given, with what happens in words.
KEPT = "application/vnd.course.live+json"

PROJECTED = 1650  # pixels from left to right: sharp at 1920, and a frame of three panels takes 20 ms


def start(folder: str) -> None:
    """From now on the call of every live figure that a cell shows is kept in `folder`, and the question before it."""
    for module in pkgutil.iter_modules(figures.__path__, "course.figures."):
        module = importlib.import_module(module.name)
        for name, function in inspect.getmembers(module, inspect.isfunction):
            if function.__module__ == module.__name__ and not name.startswith("_"):
                setattr(module, name, _remembering(function))
    shown = Live._repr_mimebundle_

    def kept(live: Live, **options):
        data, about = shown(live, **options)
        if hasattr(live, "call"):
            path = Path(folder, f"{len(list(Path(folder).glob('*.live')))}.live")
            path.write_bytes(cloudpickle.dumps(live.call))
            data[KEPT] = {"file": path.name}
        return data, about

    Live._repr_mimebundle_ = kept
    closed = Predict._repr_mimebundle_

    def asked(predict: Predict, **options):
        data, about = closed(predict, **options)
        if KEPT in data:
            question = predict.question
            answers = {"choices": question.choices, "slider": question.slider, "unit": question.unit}
            data[KEPT]["asked"] = {"question": question.text, **answers, "happened": predict.happened()}
        return data, about

    Predict._repr_mimebundle_ = asked


def _remembering(function: Callable) -> Callable:
    """`function`, whose live figure knows how it was called."""

    @functools.wraps(function)
    def call(*arguments, **named):
        made = function(*arguments, **named)
        if isinstance(made, Live):
            made.call = (function.__module__, function.__name__, arguments, named)
        return made

    return call


def replay(path: str, pixels: int = PROJECTED) -> Live:
    """The live figure whose call was kept in `path`, that many pixels wide: as it stands, enough for a projector."""
    name, function, arguments, named = cloudpickle.loads(Path(path).read_bytes())

    class Sized(Live):
        def __init__(self, figure, *arguments, **controls):
            figure.set_dpi(pixels / figure.get_figwidth())
            super().__init__(figure, *arguments, **controls)
            if any(axes.images for axes in figure.axes):
                self.image.add_class("picture")

    module = importlib.import_module(name)
    module.Live = Sized
    style.use()
    return getattr(module, function)(*arguments, **named)
