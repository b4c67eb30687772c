"""What stands in for a chapter's figures while a notebook is graded: nothing is drawn, and errors are still shown.

Building and drawing figures would be most of what a notebook costs, and nobody looks while a class is graded. The
chapters' figures draw on these without knowing. The learner's functions are asked for one frame, as always.
"""

import html

import numpy as np

from course import live


class Undrawn:
    """A figure, and everything that a figure gives: whatever is asked of it is another one.

    Panels, curves and bars come in matplotlib's numbers, because figures unpack them.

    >>> left, right = Undrawn(figsize=(8, 4)).subplots(1, 2)
    >>> (line,) = left.plot([0, 1], [0, 1], label="a line")
    >>> line.set_data([0, 2], [0, 2])
    (no figure is drawn while a notebook is graded)
    """

    def __init__(self, **kwargs):
        pass

    def subplots(self, nrows: int = 1, ncols: int = 1, *, squeeze: bool = True, **kwargs):
        """One of these, or an array of them, in the shapes of `matplotlib.figure.Figure.subplots`."""
        panels = np.full((nrows, ncols), self, dtype=object)
        panels = panels.squeeze() if squeeze else panels
        return panels if panels.ndim else panels.item()

    def bar(self, places, *args, **kwargs) -> "list[Undrawn]":
        return [self] * np.size(places)

    barh = bar

    def __getattr__(self, name: str) -> "Undrawn":
        if name.startswith("_"):  # protocols of Python, NumPy and IPython, which ask whether there is such a method
            raise AttributeError(name)
        return self

    def __call__(self, *args, **kwargs) -> "Undrawn":
        return self

    def __getitem__(self, key) -> "Undrawn":
        return self

    def __iter__(self):
        return iter((self,))  # the curve that a call of `plot` makes

    def __repr__(self) -> str:
        return "(no figure is drawn while a notebook is graded)"


class Asked:
    """What stands in for `course.live.Live`: calls `update` once, with the controls' first values.

    message: what would stand under the figure when it raises, as HTML; else "".
    """

    children = ()

    def __init__(self, figure, artists, update, alt, **controls):
        self.alt, self.message = alt, ""
        try:
            update(**{name: live.control_of(name, given).value for name, given in controls.items()})
        except Exception as error:
            self.message = live.explain(error)

    def __repr__(self) -> str:
        return self.alt

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.alt)}</p>{self.message}"


def unasked(live: Asked, question: str, **answers) -> Asked:
    """What stands in for `course.predict.Predict`: `live` itself; nobody is asked, and nothing is compared."""
    return live
