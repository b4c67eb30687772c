"""Alternative text: what a figure shows, in words, for those who cannot see it.

A matplotlib figure is sent as a PNG whose metadata hold the text, and as an HTML image with the text in its `alt`
attribute, because JupyterLab, Colab and most of nbconvert's templates show a PNG without any. The text is the figure's
own label (`figure.set_label("...")`) or is made from what it says anyway: titles, axes, and each curve's or bar's ends.
"""

import base64
import html
import io

import numpy as np
from matplotlib.figure import Figure

MOST = 8  # curves or bars told of in one panel


def use(shell) -> None:
    """Make `shell` (an IPython shell) show every matplotlib figure with its text."""
    for formatter in shell.display_formatter.formatters.values():
        formatter.pop(Figure, None)
    shell.display_formatter.mimebundle_formatter.for_type(Figure, bundle)


def bundle(figure: Figure, include=None, exclude=None) -> tuple[dict, dict]:
    """(data, metadata) of the display message: the PNG in base64, the same as HTML, and the words alone."""
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return shown(file.getvalue(), of(figure))


def shown(png: bytes, text: str) -> tuple[dict, dict]:
    """(data, metadata) of the display message of a picture and its words."""
    code = base64.b64encode(png).decode()
    image = f'<img src="data:image/png;base64,{code}" alt="{html.escape(text)}" style="max-width:100%">'
    return {"image/png": code, "text/html": image, "text/plain": text}, {"image/png": {"alt": text}}


def of(figure: Figure) -> str:
    """The figure in words: its own label, or one made from its axes.

    >>> figure = Figure(); axes = figure.subplots()
    >>> _ = axes.plot([2, 8], [12, 48.2], label="measured"), axes.set(xlabel="bits", ylabel="signal to noise (dB)")
    >>> of(figure)
    'Figure: signal to noise (dB) over bits; measured from 12 at 2 to 48.2 at 8.'
    """
    if figure.get_label():
        return figure.get_label()
    panels = [text for axes in figure.axes if (text := _panel(axes))]
    if len(panels) > 1:
        panels = [f"panel {number}, {text}" for number, text in enumerate(panels, 1)]
    title = figure.get_suptitle() if hasattr(figure, "get_suptitle") else ""
    return f"Figure: {'. '.join([*filter(None, [_plain(title)]), *panels]) or 'empty'}."


def _panel(axes) -> str:
    """What stands in one panel: its title, what is over what, then its curves, bars and pictures."""
    x, y = _plain(axes.get_xlabel()), _plain(axes.get_ylabel())
    head = f"{y} over {x}" if x and y else x or y
    title = _plain(axes.get_title())
    told = [*filter(None, map(_curve, axes.lines)), *_bars(axes)]
    if axes.images:
        told.append("a picture" if len(axes.images) == 1 else f"{len(axes.images)} pictures")
    if len(told) > MOST:
        told = [*told[:MOST], f"and {len(told) - MOST} more"]
    return "; ".join(filter(None, [": ".join(filter(None, [title, head])), *told]))


def _curve(line) -> str:
    """A labelled curve by its ends, or the place of a line across the panel; "" for what has no label."""
    x, y = (np.asarray(values, dtype=float) for values in (line.get_xdata(), line.get_ydata()))
    label = _plain(line.get_label())
    if label.startswith("_") or not x.size:
        return ""
    if x.size == 1 or (x.size == 2 and line.get_transform() != line.axes.transData):  # a dot; axhline or axvline
        upright = x[0] == x[-1]
        return f"{label} at {number(x[0])}" if upright and y[0] != y[-1] else f"{label} at {number(y[0])}"
    return f"{label} from {number(y[0])} at {number(x[0])} to {number(y[-1])} at {number(x[-1])}"


def _bars(axes) -> list[str]:
    """Each group of bars: its label, and each bar's name and length."""
    told = []
    for bars in axes.containers:
        if not (lying := getattr(bars, "orientation", None)):
            continue
        names, lengths = [], []
        axis = axes.yaxis if lying == "horizontal" else axes.xaxis
        ticks = dict(zip(axis.get_ticklocs(), (tick.get_text() for tick in axis.get_ticklabels()), strict=False))
        for bar in bars:
            middle, length = bar.get_x() + bar.get_width() / 2, bar.get_height()
            if lying == "horizontal":
                middle, length = bar.get_y() + bar.get_height() / 2, bar.get_width()
            nearest = min(ticks, key=lambda place, middle=middle: abs(place - middle), default=None)
            names.append(ticks.get(nearest) or number(middle))
            lengths.append(length)
        label = _plain(bars.get_label())
        each = ", ".join(f"{_plain(name)} {number(length)}" for name, length in zip(names, lengths, strict=True))
        told.append(each if label.startswith("_") else f"{label}: {each}")
    return told


def number(value: float) -> str:
    """Three digits, or a whole number where it has more: 0.105, 3.5, 1,967; from a billion on with an exponent."""
    return f"{value:,.0f}" if 999.5 <= abs(value) < 1e9 else f"{value:.3g}"


def _plain(text: str) -> str:
    """Text in one line, without the dollars and backslashes of mathematics."""
    return " ".join(str(text).replace("$", "").replace("\\", "").split())
