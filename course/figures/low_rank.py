"""Chapter 7: matrices rebuilt by rank, error and energy over rank, and an adapted model against what it trains."""

import functools
from collections.abc import Callable

import ipywidgets as widgets
import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from course import style
from course.figures import Figure, Live
from course.live import returned


def rebuilt(
    truncated_svd: Callable, break_even_rank: Callable, energy: Callable, picture: np.ndarray, weights: np.ndarray
) -> Live:
    """Live: a picture and a weight matrix rebuilt by the learner's `truncated_svd(w, r)`, over the rank.

    picture: (m, n), grey values from 0 to 1. weights: any matrix. `energy(singular_values, r)` draws the curves and
    `break_even_rank(m, n)` the marks on them.
    """
    matrices = {"picture": np.asarray(picture, dtype=np.float64), "weights": np.asarray(weights, dtype=np.float64)}
    values = {name: np.linalg.svd(matrix, compute_uv=False) for name, matrix in matrices.items()}
    ranks = np.arange(1, min(map(len, values.values())) + 1)

    figure = Figure(figsize=(11.4, 3.7), dpi=100, layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=[1.35, 0.9, 1.3])
    high = 0.7 * float(np.abs(matrices["weights"]).max())
    colored = {"picture": _colors("gray", 0.0, 1.0), "weights": _colors("PuOr", -high, high)}
    images = {}
    for axes, (name, matrix) in zip((left, middle), matrices.items(), strict=True):
        images[name] = _show(axes, colored[name](matrix), f"{name}, {matrix.shape[0]} x {matrix.shape[1]}")
    curves, dots, marks = {}, {}, {}
    for color, name in zip((style.BEFORE, style.AFTER), matrices, strict=True):
        (curves[name],) = right.plot([], [], color=color, label=name)
        (dots[name],) = right.plot([], [], "o", color=color, ms=9, mec="black")
        marks[name] = right.axvline(0, color=color, lw=1.2, ls="--")
    right.set(title="Energy kept; dashed: break-even", xlabel="rank", ylabel="energy (%)")
    right.set(xlim=(0, len(ranks)), ylim=(0, 103))
    right.legend(loc="lower right")

    @functools.cache
    def kept() -> dict[str, np.ndarray]:
        """Percent of the energy at every rank; found on the first frame, so that an error shows under the figure."""
        return {name: 100 * np.array([returned(energy(s, int(rank))) for rank in ranks]) for name, s in values.items()}

    def update(rank: int) -> str:
        notes = []
        for name, matrix in matrices.items():
            u, v = returned(truncated_svd(matrix, rank))
            images[name].set_data(colored[name](np.asarray(u) @ np.asarray(v)))
            curves[name].set_data(ranks, kept()[name])
            dots[name].set_data([rank], [kept()[name][rank - 1]])
            marks[name].set_xdata([returned(break_even_rank(*matrix.shape))] * 2)
            numbers = np.size(u) + np.size(v)
            notes.append(f"{name} {numbers:,} of {matrix.size:,} numbers, energy {kept()[name][rank - 1]:.1f} %")
        return f"rank {rank}: " + "; ".join(notes)

    return Live(
        figure,
        [*images.values(), *curves.values(), *dots.values(), *marks.values()],
        update,
        alt="A picture and a weight matrix rebuilt at one rank, and the energy that each keeps over the rank.",
        rank=widgets.IntSlider(8, 1, len(ranks), layout=widgets.Layout(width="420px")),
    )


def gallery(images: dict[str, np.ndarray], columns: int = 3) -> Figure:
    """Grey pictures side by side, each under its name."""
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(3.6 * columns, 2.75 * rows), layout="constrained")
    for axes, (name, image) in zip(figure.subplots(rows, columns, squeeze=False).flat, images.items(), strict=False):
        _show(axes, _colors("gray", 0.0, 1.0)(image), name)
    return figure


def errors(ranks: list[int], measured: dict[str, list[float]], promised: list[float]) -> Figure:
    """Relative error of rank-r approximations over the rank: one curve each, and what the theorem promises as dots."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for color, (name, values) in zip((style.AFTER, style.BEFORE, style.FOURTH), measured.items(), strict=False):
        axes.plot(ranks, 100 * np.asarray(values), color=color, label=name)
    axes.plot(ranks, 100 * np.asarray(promised), "o", color=style.THEORY, ms=6, label="tail singular values")
    axes.set(xlabel="rank", ylabel="error (% of the picture's norm)", yscale="log", ylim=(None, 130))
    axes.set_yticks([3, 10, 30, 100], ["3", "10", "30", "100"])
    axes.minorticks_off()
    axes.legend(loc="center right", bbox_to_anchor=(1.0, 0.6))
    return figure


def truncation(ranks: list[int], bits: list[float], whole: float, break_even: dict[str, float]) -> Figure:
    """Bits per byte of a model whose matrices are cut to each rank, the whole model as a line, the break-even ranks.

    break_even: {shape: rank}, one for every shape that the model's matrices have; two shapes of one rank share a line.
    """
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.axhline(whole, color=style.MUTED, ls="--", label="whole model")
    for rank, line in zip(sorted(set(break_even.values())), (":", "-.", "--"), strict=False):
        shapes = " and ".join(shape for shape, its_rank in break_even.items() if its_rank == rank)
        axes.axvline(rank, color=style.THEORY, ls=line, label=f"break-even of {shapes}")
    axes.plot(ranks, bits, "o-", color=style.AFTER, label="every matrix cut to this rank")
    axes.set(xlabel="rank", ylabel="bits per byte (lower is better)", xticks=ranks)
    axes.legend()
    return figure


def spectra(ranks: list[int], kept: dict[str, list[float]]) -> Figure:
    """Energy in percent over the rank, one curve each."""
    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axes = figure.subplots()
    for color, (name, values) in zip((style.AFTER, style.BEFORE, style.FOURTH), kept.items(), strict=False):
        axes.plot(ranks, 100 * np.asarray(values), "o-", color=color, label=name, ms=5)
    axes.set_xscale("log", base=2)
    axes.set(xlabel="rank", ylabel="energy kept (%)", ylim=(0, 103), xticks=ranks, xticklabels=ranks)
    axes.legend()
    return figure


def adapted(
    shares: dict[str, float], new: dict[str, float], old: dict[str, float], frozen: tuple[float, float]
) -> Figure:
    """Bits per byte over the share that trains: on the text adapted to, left, and on the model's own text, right.

    shares, new, old: {run: value}, shares from 0 to 1. frozen: the untouched model's bits per byte on both texts.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    panels = figure.subplots(1, 2)
    titles = ("Adapted to: Python's help pages", "Trained on before: Python's source")
    for axes, bits, before, title in zip(panels, (new, old), frozen, titles, strict=True):
        axes.axhline(before, color=style.BEFORE, ls="--", label="frozen")
        axes.semilogx(
            [100 * share for share in shares.values()], [bits[name] for name in shares], color=style.MUTED, lw=1
        )
        for name, share in shares.items():
            axes.plot(100 * share, bits[name], "o", color=style.AFTER, ms=9)
            axes.annotate(name, (100 * share, bits[name]), (0, 10), textcoords="offset points", ha="center")
        axes.set(title=title, xlabel="share of the numbers that train (%)", ylabel="bits per byte (lower is better)")
        axes.set_xlim(50 * min(shares.values()), 200)
        axes.set_xticks([100 * share for share in shares.values()], [f"{100 * share:.3g}" for share in shares.values()])
        axes.minorticks_off()
        axes.margins(y=0.2)
        axes.legend(loc="best")
    return figure


def _colors(cmap: str, low: float, high: float) -> Callable[[np.ndarray], np.ndarray]:
    """A function from values to RGBA bytes: matplotlib draws these in a third of the time that it takes for values."""
    table = (255 * colormaps[cmap](np.arange(256))).astype(np.uint8)
    return lambda values: table[np.clip(256 * (values - low) / (high - low), 0, 255).astype(np.uint8)]


def _show(axes: Axes, pixels: np.ndarray, title: str) -> AxesImage:
    axes.set(xticks=[], yticks=[], title=title)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return axes.imshow(pixels, interpolation="nearest")
