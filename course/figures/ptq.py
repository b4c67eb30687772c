"""Chapter 2: where the rounding error sits, ranges for activations, and the table and plot of size against quality."""

import functools
import html
import itertools
from collections.abc import Callable
from typing import NamedTuple

import ipywidgets as widgets
import matplotlib as mpl
import numpy as np

from course import style
from course.figures import Figure, Live
from course.live import returned


def granularity(quantize_groupwise: Callable, dequantize_groupwise: Callable) -> Live:
    """Live: error of each weight of a 32 x 128 matrix with one grid per tensor, per row and per group.

    Takes the learner's `quantize_groupwise(w, bits, group_size)` and `dequantize_groupwise(codes, scales, zeros,
    group_size)`; the whole matrix is one group of a single row, and a row is one group of 128. `outlier` is the value
    of a single weight, in standard deviations.
    """
    rng = np.random.default_rng(2)
    weights = rng.normal(size=(32, 128)) * np.geomspace(0.1, 1, 32)[:, None]
    weights /= weights.std()

    figure = Figure(figsize=(10, 3.2), dpi=100, layout="constrained")
    panels = figure.subplots(1, 3, sharey=True)
    colors = mpl.colormaps["cividis"].resampled(10)
    shades = colors(np.arange(10), bytes=True)  # finished colours, because mapping numbers to them takes half a frame
    images = [axes.imshow(shades[np.zeros(weights.shape, int)], aspect="auto", interpolation="none") for axes in panels]
    for axes, title in zip(panels, ("one grid per tensor", "one grid per channel", "one grid per group"), strict=True):
        axes.set(title=title, xlabel="input", ylabel="output channel" if axes is panels[0] else "")
        axes.grid(False)
    scale = mpl.cm.ScalarMappable(mpl.colors.Normalize(-2, 0), colors)
    bar = figure.colorbar(scale, ax=panels, ticks=[-2, -1, 0], format=lambda power, _: f"{10.0**power:g}")
    bar.set_label("|error| (standard deviations)")

    def update(bits: int, group_size: int, outlier: float) -> str:
        w = weights.copy()
        w[16, 50] = outlier
        said = []
        for image, shape, size in zip(images, [(1, -1), w.shape, w.shape], [w.size, 128, group_size], strict=True):
            quantized = returned(quantize_groupwise(w.reshape(shape), bits, size))
            w_hat = returned(dequantize_groupwise(*quantized, size))
            error = np.abs(np.asarray(w_hat).reshape(w.shape) - w)
            image.set_data(shades[(10 + 5 * np.log10(np.clip(error, 0.0101, 0.99))).astype(int)])
            said.append(f"{np.sqrt(np.mean(error**2)):.3f}")
        return f"root mean square error: tensor {said[0]}, channel {said[1]}, groups of {group_size} {said[2]}"

    return Live(
        figure,
        images,
        update,
        alt="Three heat maps of the size of the rounding error: one grid per tensor, per channel and per group.",
        bits=widgets.IntSlider(4, 2, 8),
        group_size=widgets.SelectionSlider(options=[8, 16, 32, 64, 128], value=32),
        outlier=widgets.FloatSlider(10.0, min=1, max=30, step=1),
    )


def ranges(calibrate: Callable, samples: np.ndarray) -> Live:
    """Live: the histogram of `samples` and the range that the learner's `calibrate(samples, method)` returns.

    `outlier` multiplies the largest of the samples. The axis is linear near 0 and logarithmic beyond: most values are
    small, and the ranges end far from them.
    """
    samples = np.asarray(samples, dtype=np.float64).ravel()
    largest = int(samples.argmax())
    width = np.abs(samples).mean() / 4
    lo, hi = (np.arcsinh(end / width) for end in (min(samples.min(), 0), 5.2 * samples[largest]))
    edges = width * np.sinh(np.linspace(lo, hi, 121))
    figure = Figure(figsize=(9, 3.4), dpi=100, layout="constrained")
    axes = figure.subplots()
    histogram = axes.stairs(np.ones(120), edges, color=style.BEFORE)
    bounds = [axes.axvline(0, color=style.AFTER, ls="--") for _ in range(2)]
    axes.set_xscale("asinh", linear_width=width)
    axes.xaxis.set_major_locator(mpl.ticker.FixedLocator(_ticks(edges[0], edges[-1], width)))
    axes.xaxis.set_minor_locator(mpl.ticker.NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="activation", ylabel="number of values", xlim=(edges[0], edges[-1]))
    axes.set(yscale="log", ylim=(0.7, samples.size))

    def update(method: str, outlier: float) -> str:
        x = samples.copy()
        x[largest] *= outlier
        lo, hi = (float(end) for end in returned(calibrate(x, method)))
        histogram.set_data(values=np.histogram(x, edges)[0])
        for bound, end in zip(bounds, (lo, hi), strict=True):
            bound.set_xdata([end, end])
        outside = np.mean((x < lo) | (x > hi))
        return f"range [{lo:.3g}, {hi:.3g}]: step {(hi - lo) / 15:.3g} with 4 bits, {outside:.2%} of the values outside"

    return Live(
        figure,
        [histogram, *bounds],
        update,
        alt="Histogram of activations, logarithmic away from 0, with the two ends of the calibrated range.",
        method=["minmax", "percentile", "mse"],
        outlier=widgets.FloatSlider(1.0, min=1, max=5, step=0.25),
    )


def _ticks(lo: float, hi: float, width: float) -> list[float]:
    """0, and the powers of ten from `width` on that lie from lo to hi, of both signs."""
    powers = 10.0 ** np.arange(np.ceil(np.log10(width)), np.ceil(np.log10(max(-lo, hi))))
    return [tick for tick in (*-powers[::-1], 0.0, *powers) if lo <= tick <= hi]


def rotation(hadamard_transform: Callable, inputs: np.ndarray, weights: np.ndarray) -> Live:
    """Live: histogram of a layer's inputs (samples, n), rotated in blocks, and the error of its output over the bits.

    Takes the learner's `hadamard_transform(x)`; in blocks of 1 nothing is rotated. weights: (out, n). With random
    `signs` each input is multiplied by 1 or -1 first. The grid is symmetric, from minus the largest magnitude to it.
    """
    inputs, weights = np.asarray(inputs, np.float32), np.asarray(weights, np.float32)[:32]  # so that a frame is quick
    chosen = np.random.default_rng(2).permutation(len(inputs))[:31]
    inputs = inputs[[*chosen, np.abs(inputs).max(axis=1).argmax()]]
    n = inputs.shape[1]
    flips = np.random.default_rng(0).choice(np.float32([-1, 1]), n)
    blocks = [2**k for k in range(n.bit_length())]
    all_bits = np.arange(2, 9)
    exact = np.linalg.norm(inputs @ weights.T)

    def rotated(values: np.ndarray, block: int, signs: str) -> np.ndarray:
        values = values * flips if signs == "random" else values
        parts = hadamard_transform(values.reshape(-1, block)) if block > 1 else values
        return np.asarray(returned(parts), dtype=np.float32).reshape(values.shape)

    @functools.cache
    def turned(block: int, signs: str) -> tuple[np.ndarray, np.ndarray, float, np.ndarray]:
        """The inputs, their counts in the histogram, their largest magnitude, and the output's error for each bits."""
        x, w = rotated(inputs, block, signs), rotated(weights, block, signs)
        largest = float(np.abs(x).max())
        steps = largest / (2.0 ** (all_bits - 1) - 1)
        errors = [np.linalg.norm((np.round(x / step) * step - x) @ w.T) / exact for step in steps.astype(np.float32)]
        return x, np.histogram(x, edges)[0], largest, np.array(errors)

    end = 1.05 * float(np.abs(inputs).max())
    edges = np.linspace(-end, end, 122)  # 0 lies in the middle of a bar
    plain = turned(1, "none")[3]
    figure = Figure(figsize=(10.5, 3.6), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    histogram = left.stairs(np.ones(121), edges, color=style.BEFORE)
    (codes,) = left.plot([], [], "|", color=style.AFTER, ms=9)
    left.set(xlabel="input of the layer, as it is rounded", ylabel="number of values", xlim=(-end, end))
    left.set(yscale="log", ylim=(0.35, 2 * inputs.size))
    right.plot(all_bits, 100 * plain, color=style.BEFORE, marker="o", label="not rotated")
    (curve,) = right.plot(all_bits, 100 * plain, color=style.AFTER, marker="s", label="rotated")
    (point,) = right.plot([], [], "o", color=style.AFTER, ms=14, mfc="none", mew=2)
    right.set(xlabel="bits", ylabel="error of the output (%)", yscale="log", ylim=(0.5, 200))
    right.yaxis.set_major_formatter("{x:g}")
    right.legend()

    def update(block: int, signs: str, bits: int) -> str:
        x, counts, largest, errors = turned(block, signs)
        step = largest / (2 ** (bits - 1) - 1)
        histogram.set_data(values=np.maximum(counts, 0.1))
        levels = np.arange(-(2 ** (bits - 1)) + 1, 2 ** (bits - 1)) * step
        codes.set_data(levels, np.full(levels.size, 0.55))
        curve.set_ydata(100 * errors)
        point.set_data([bits], [100 * errors[bits - 2]])
        zeros = np.mean(np.abs(x) < step / 2)
        return (
            f"step {step:.3g}, {zeros:.0%} of the values become 0; the output is off by {errors[bits - 2]:.1%}, "
            f"not rotated by {plain[bits - 2]:.1%}"
        )

    return Live(
        figure,
        [histogram, codes, curve, point],
        update,
        alt="Histogram of a layer's inputs with the levels of the grid, and the error of its output over the bits.",
        block=widgets.SelectionSlider(options=blocks, value=min(8, n)),
        bits=widgets.IntSlider(5, 2, 8),
        signs=["none", "random"],
    )


class Row(NamedTuple):
    """One compressed model: codes of `bits` bits, all stored bits per weight, the file's size, and the quality."""

    method: str
    bits: int
    bits_per_weight: float
    bytes_on_disk: int
    bits_per_byte: float


class Table:
    """The chapter's growing table. A row with the same method and bits takes the place of the old one."""

    HEAD = ("method", "bits", "bits per weight", "bytes on disk", "bits per byte")

    def __init__(self):
        self.rows: list[Row] = []

    def add(self, *row) -> None:
        row = Row(*row)
        keys = [(old.method, old.bits) for old in self.rows]
        if (row.method, row.bits) in keys:
            self.rows[keys.index((row.method, row.bits))] = row
        else:
            self.rows.append(row)

    def __repr__(self) -> str:
        lines = [self.HEAD, *self._cells()]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.HEAD))]
        return "\n".join(
            "  ".join([line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:], strict=True))])
            for line in lines
        )

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{name}</th>' for name in self.HEAD)
        body = "".join(
            f'<tr><th scope="row" style="text-align:left">{html.escape(first)}</th>'
            + "".join(f"<td>{cell}</td>" for cell in rest)
            + "</tr>"
            for first, *rest in self._cells()
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _cells(self) -> list[tuple[str, ...]]:
        return [
            (r.method, str(r.bits), f"{r.bits_per_weight:.2f}", f"{r.bytes_on_disk:,}", f"{r.bits_per_byte:.3f}")
            for r in self.rows
        ]


def tradeoff(table: Table, budget: int) -> Figure:
    """Bits per byte over the size of the file, a line for each method, and the budget in bytes."""
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    methods, points, bits = list(dict.fromkeys(row.method for row in table.rows)), [], []
    for method, color, marker in zip(methods, style.CYCLE, "os^Dvp", strict=False):
        rows = sorted((row for row in table.rows if row.method == method), key=lambda row: row.bytes_on_disk)
        points.append(np.array([(row.bytes_on_disk / 1000, row.bits_per_byte) for row in rows]))
        bits += [str(row.bits) for row in rows]
        axes.plot(*points[-1].T, color=color, marker=marker, label=method)
    axes.axvline(budget / 1000, color=style.MUTED, ls="--", label="what fits")
    axes.set(xlabel="file (kB)", ylabel="bits per byte, held-out text (less is better)", xscale="log", yscale="log")
    for axis, ticks in ((axes.xaxis, (300, 500, 1000, 1500)), (axes.yaxis, (1.5, 1.75, 2, 2.25, 2.5, 3, 4, 6, 8))):
        axis.set_major_locator(mpl.ticker.FixedLocator(ticks))
        axis.set_minor_locator(mpl.ticker.NullLocator())
        axis.set_major_formatter("{x:g}")
    axes.margins(0.06, 0.1)
    axes.legend(title="numbers: bits of a code")
    _number(axes, points, bits)
    return figure


def calibrations(losses: dict[str, np.ndarray]) -> Figure:
    """What each model loses, bits per byte: a line for each name in `losses`, a dot for each text, and their mean."""
    figure = Figure(figsize=(8, 0.45 * len(losses) + 1.2), layout="constrained")
    axes = figure.subplots()
    names = sorted(losses, key=lambda name: np.mean(losses[name]), reverse=True)
    rows = np.arange(len(names))
    for row, name in enumerate(names):
        label = "one part of the held-out text" if row == 0 else None
        axes.plot(losses[name], [row] * len(losses[name]), "o", color=style.BEFORE, mfc="none", label=label)
    means = [np.mean(losses[name]) for name in names]
    axes.plot(means, rows, "|", color=style.AFTER, ms=20, mew=2.5, label="mean")
    axes.set_yticks(rows, names)
    axes.set(title="GPTQ at 3 bits, calibrated by", xlabel="lost, bits per byte (less is better)")
    axes.set(xlim=(0, None), ylim=(-0.7, len(names) - 0.3), ylabel="text, number of windows")
    axes.legend()
    return figure


def _number(axes, lines: list[np.ndarray], texts: list[str]) -> None:
    """Write a text beside each point of `lines`, each (points, 2) on logarithmic axes, on the side with most room."""
    unit = np.array([295, 240])  # points of type for a factor of e, about as in the picture
    lines = [np.log(line) * unit for line in lines]
    between = np.linspace(0, 1, 30)[:, None]
    taken = np.concatenate(
        [*lines, *((1 - between) * a + between * b for line in lines for a, b in itertools.pairwise(line))]
    )
    sides = 11 * np.array([(np.cos(angle), np.sin(angle)) for angle in np.arange(8) * np.pi / 4])
    for text, point in zip(texts, np.concatenate(lines), strict=True):
        others = taken[np.linalg.norm(taken - point, axis=1) > 0.5]
        side = max(sides, key=lambda side: np.linalg.norm(others - (point + side), axis=1).min())
        axes.annotate(
            text, np.exp(point / unit), side, textcoords="offset points", fontsize=10, ha="center", va="center"
        )
        taken = np.concatenate([taken, [point + side]])
