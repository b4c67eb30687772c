"""One look for every figure: colours that colour-blind eyes can tell apart, text legible from the back of a room.

The colours are those of Okabe and Ito (2008), "Color Universal Design". They are named for what they show, so that
the learner's result has the same colour in every chapter.
"""

BEFORE = "#0072B2"  # blue: the original values, the full-precision model
AFTER = "#D55E00"  # vermilion: what the learner's function made of them
ERROR = "#CC79A7"  # purple: the difference of the two
THEORY = "#009E73"  # green: what a formula promises
FOURTH = "#E69F00"  # orange: one more curve
MUTED = "#767676"  # grey: grids, thresholds, notes

CYCLE = [BEFORE, AFTER, THEORY, FOURTH, ERROR, "#56B4E9"]

RC = {
    "figure.dpi": 100,
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "lines.linewidth": 2,
    "legend.frameon": False,
}


def use() -> None:
    """Make this the style of every figure drawn from now on."""
    import matplotlib as mpl
    from cycler import cycler

    mpl.rcParams.update(RC | {"axes.prop_cycle": cycler(color=CYCLE)})
