"""One look for every figure: colours that colour-blind eyes can tell apart, text legible from the back of a room.

The colours are those of Okabe and Ito (2008), "Color Universal Design", where they stand out from white by 3:1, which
WCAG 2.1 asks of graphics; their orange, sky blue and yellow do not, so brown and black take those places. Grey and red
stand out by 4.5:1, because text is written in them. They are named for what they show, so that the learner's result
has the same colour in every chapter.
"""

BEFORE = "#0072B2"  # blue: the original values, the full-precision model
AFTER = "#D55E00"  # vermilion: what the learner's function made of them
ERROR = "#CC79A7"  # purple: the difference of the two
THEORY = "#009E73"  # green: what a formula promises
FOURTH = "#703800"  # brown: one more curve
SIXTH = "#000000"  # black: yet another
MUTED = "#767676"  # grey: thresholds, notes, what stands in the background
MESSAGE = "#B00020"  # red: what went wrong; text only
GRID = "#DDDDDD"  # decoration, which nobody needs to see

CYCLE = [BEFORE, AFTER, THEORY, FOURTH, ERROR, SIXTH]

RC = {
    "figure.dpi": 100,
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "lines.linewidth": 2,
    "legend.frameon": False,
}


def use() -> None:
    """Make this the style of every figure drawn from now on."""
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcParams.update(RC | {"axes.prop_cycle": cycler(color=CYCLE)})


def filled(color: str) -> dict:
    """Keywords of a histogram in a light shade of `color`, with an outline that stands out from white."""
    from matplotlib.colors import to_rgba

    return {"fill": True, "facecolor": to_rgba(color, 0.35), "edgecolor": color, "lw": 1}
