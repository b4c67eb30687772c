"""Chapter 1: a quantizer as staircase, error and histogram; bits against decibels; where to clip; tables of levels."""

import html
from collections.abc import Callable

import ipywidgets as widgets
import numpy as np

from course import style
from course.figures import Figure, Live
from course.live import returned


def quantizer(quantize_dequantize: Callable, weights: np.ndarray) -> Live:
    """Live: the learner's `quantize_dequantize(x, bits, lo, hi)` on real weights, over bits and clip range.

    The clip slider sets hi = clip * max|w| and lo = -hi.
    """
    panels = _Panels(weights)

    def update(bits: int, clip: float) -> str:
        hi = clip * panels.absmax
        step = 2 * hi / (2**bits - 1)
        return panels.show(
            lambda x: quantize_dequantize(x, bits, -hi, hi), -hi, hi, f"{2**bits} levels, step {step:.3g}"
        )

    return Live(
        panels.figure,
        panels.moving,
        update,
        alt="Three panels: quantized value over value as a staircase, its error, and the histogram of the weights.",
        **_bits_and_clip(),
    )


def schemes(affine_params: Callable, affine_roundtrip: Callable, weights: np.ndarray) -> Live:
    """Live: affine against symmetric, on real weights, through the learner's two functions.

    Affine takes `affine_params(lo, hi, bits)` of the clipped range, with codes from 0. Symmetric has zero-point 0,
    scale hi / qmax and codes from -qmax to qmax, where qmax = 2^(bits-1) - 1. The dashed lines are the lowest and the
    highest level: a rounded zero-point shifts affine's levels against the range by up to half a step.
    """
    panels = _Panels(weights)

    def update(bits: int, clip: float, scheme: str) -> str:
        lo, hi = clip * panels.min, clip * panels.max
        if scheme == "affine":
            scale, zero_point = (float(number) for number in returned(affine_params(lo, hi, bits)))
            zero_point = int(zero_point) if zero_point.is_integer() else zero_point
            qmin, qmax = 0, 2**bits - 1
        else:
            hi = max(-lo, hi)
            lo, qmax = -hi, 2 ** (bits - 1) - 1
            scale, zero_point, qmin = hi / qmax, 0, -qmax
        lowest, highest = ((code - zero_point) * scale for code in (qmin, qmax))
        note = (
            f"scale {scale:.3g}, zero-point {zero_point}, codes {qmin} to {qmax}, "
            f"levels {lowest:.3f} to {highest:.3f} for a range of {lo:.3f} to {hi:.3f}"
        )
        return panels.show(lambda x: affine_roundtrip(x, scale, zero_point, qmin, qmax), lowest, highest, note)

    return Live(
        panels.figure,
        panels.moving,
        update,
        alt="The same three panels for an affine or a symmetric quantizer, with its scale and zero-point.",
        **_bits_and_clip(),
        scheme=["affine", "symmetric"],
    )


def _bits_and_clip() -> dict[str, widgets.Widget]:
    return {"bits": widgets.IntSlider(4, 2, 8), "clip": widgets.FloatSlider(1.0, min=0.1, max=1.0, step=0.05)}


class _Panels:
    """Staircase, error and histogram of one quantizer; the axes stand still, the curves move."""

    def __init__(self, weights: np.ndarray):
        self.weights = np.asarray(weights, dtype=np.float64).ravel()
        self.min, self.max = float(self.weights.min()), float(self.weights.max())
        self.absmax = max(-self.min, self.max)
        self.x = np.linspace(-1.1 * self.absmax, 1.1 * self.absmax, 1201)
        self.edges = np.linspace(-1.1 * self.absmax, 1.1 * self.absmax, 121)

        self.figure = Figure(figsize=(11, 3.9), dpi=100, layout="constrained")
        stairs, error, histogram = self.figure.subplots(1, 3)

        stairs.plot(self.x, self.x, color=style.MUTED, lw=1)
        (self._stairs,) = stairs.plot([], [], color=style.AFTER)
        stairs.set(title="Staircase", xlabel="weight", ylabel="after the round trip")

        (self._error,) = error.semilogy([], [], color=style.ERROR, lw=1)
        error.set(title="Size of the error", xlabel="weight", ylim=(1e-5 * self.absmax, 2 * self.absmax))

        counts, _ = np.histogram(self.weights, self.edges)
        histogram.stairs(counts, self.edges, **style.filled(style.BEFORE), label="before")
        self._histogram = histogram.stairs(counts, self.edges, color=style.AFTER, lw=1.5, label="after")
        histogram.set(
            title=f"{self.weights.size:,} weights", xlabel="weight", yscale="log", ylim=(0.7, 2 * self.weights.size)
        )
        histogram.legend(loc="upper right")
        self._bounds = [
            axes.axvline(0, color=style.MUTED, lw=1, ls="--") for axes in (stairs, error, histogram) for _ in range(2)
        ]
        for axes in (stairs, error, histogram):
            axes.set_xlim(self.x[0], self.x[-1])
        stairs.set_ylim(self.x[0], self.x[-1])
        self.moving = [self._stairs, self._error, self._histogram, *self._bounds]

    def show(self, roundtrip: Callable[[np.ndarray], np.ndarray], lo: float, hi: float, note: str) -> str:
        after_x, after = (np.asarray(returned(roundtrip(x)), np.float64) for x in (self.x, self.weights))
        noise = float(np.mean((after - self.weights) ** 2))
        sqnr = 10 * np.log10(float(np.mean(self.weights**2)) / noise) if noise else np.inf
        self._stairs.set_data(self.x, after_x)
        self._error.set_data(self.x, np.maximum(np.abs(after_x - self.x), 1e-12))
        self._histogram.set_data(values=np.histogram(after, self.edges)[0])
        for index, bound in enumerate(self._bounds):
            bound.set_xdata([(lo, hi)[index % 2]] * 2)
        return f"{note}: signal to noise {sqnr:.1f} dB on these weights"


def decibels(measured: dict[str, list[float]], bits: list[int]) -> Figure:
    """Signal-to-noise ratio in dB over bits: each measured curve, and 6.02 dB per bit as a line."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.plot(bits, [20 * np.log10(2) * b for b in bits], color=style.THEORY, ls="--", label="6.02 dB per bit")
    colors = (style.AFTER, style.BEFORE, style.FOURTH, style.ERROR)
    for color, (name, values) in zip(colors, measured.items(), strict=False):
        axes.plot(bits, values, "o-", color=color, label=name, ms=5)
    axes.set(xlabel="bits", ylabel="signal to noise (dB)", xticks=bits)
    axes.legend()
    return figure


def clipping(errors: dict[int, np.ndarray], thresholds: np.ndarray, chosen: dict[int, float]) -> Figure:
    """Mean squared error over the clipping threshold, one curve for each number of bits, with the learner's choice.

    errors: {bits: errors at `thresholds`}; chosen: {bits: threshold}.
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for color, (bits, curve) in zip(style.CYCLE, errors.items(), strict=False):
        axes.semilogy(thresholds, curve, color=color, label=f"{bits} bits")
        here = chosen[bits]
        axes.plot(here, np.interp(here, thresholds, curve), "o", color=color, ms=9, mec="black")
    axes.set(xlabel="threshold (standard deviations)", ylabel="mean squared error")
    axes.legend(title="dot: your best_clip")
    return figure


def accuracy(bits: list[int], measured: dict[str, list[float]], full_precision: float) -> Figure:
    """Accuracy on held-out digits over the weights' bits, one curve each, and the unquantized model as a line."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.axhline(100 * full_precision, color=style.MUTED, ls="--", label="not quantized")
    for color, (name, values) in zip((style.BEFORE, style.AFTER, style.THEORY), measured.items(), strict=False):
        axes.plot(bits, 100 * np.asarray(values), "o-", color=color, label=name, ms=6)
    axes.set(xlabel="bits per weight", ylabel="held-out digits right (%)", xticks=bits, ylim=(0, 102))
    axes.legend(loc="lower right")
    return figure


def language_model(bits: list[int], needed: list[float], samples: list[str], unquantized: float) -> Live:
    """Live: bits per byte over the weights' bits, and below it a text that the model of the chosen bits wrote.

    needed, samples: bits per byte and a text, one for each of `bits`. unquantized: bits per byte of the whole model.
    """
    figure = Figure(figsize=(7, 3.6), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.axhline(unquantized, color=style.MUTED, ls="--", label="not quantized")
    axes.plot(bits, needed, "o-", color=style.AFTER, ms=6, label="quantized")
    (dot,) = axes.plot([], [], "o", color=style.AFTER, ms=14, mec="black")
    axes.set(xlabel="bits per weight", ylabel="bits per held-out byte", xticks=bits, ylim=(0, None))
    axes.legend()
    page = widgets.HTML()
    page.add_class("course-beside")
    measured = dict(zip(bits, zip(needed, samples, strict=True), strict=True))

    def update(bits: int) -> str:
        per_byte, sample = measured[bits]
        dot.set_data([bits], [per_byte])
        shown = "".join(c if c.isprintable() or c == "\n" else "·" for c in sample.expandtabs(4))
        page.value = f'<pre style="font-size:1.1em; white-space:pre-wrap">{html.escape(shown)}</pre>'
        return f"{bits} bits a weight: {per_byte:.3f} bits per byte, {per_byte - unquantized:+.3f}"

    live = Live(
        figure,
        [dot],
        update,
        alt="Bits per byte over bits per weight with the chosen point marked; below it, a text by that model.",
        bits=widgets.SelectionSlider(options=bits, value=bits[len(bits) // 2]),
    )
    live.children += (page,)
    return live


def formats(to_levels: Callable, weights: np.ndarray, formats: dict[str, tuple]) -> Live:
    """Live: the learner's `to_levels(x, levels, block, round_scale)` on real weights, over format and block size.

    weights: shape (rows, 128), 64 of them shown one by one. formats: {name: (levels, its usual block, what rounds the
    scale, bits of a scale)}. Every format and block is worked out once, with the first frame.
    """
    weights = np.asarray(weights, dtype=np.float64)
    blocks = (8, 16, 32, 64, 128)
    colors = dict(zip(formats, style.CYCLE, strict=False))
    shown = weights[0, :64]
    highest = 1.15 * float(np.abs(shown).max())
    edges = np.linspace(-1.4, 1.4, 141)
    units = {block: np.abs(weights.reshape(-1, block)).max(1).repeat(block).reshape(weights.shape) for block in blocks}

    figure = Figure(figsize=(11, 3.9), dpi=100, layout="constrained")
    row, histogram, trade = figure.subplots(1, 3)
    row.plot(shown, "o", color=style.BEFORE, ms=4, label="before")
    (after,) = row.plot([], [], "_", color=style.AFTER, ms=8, mew=2, label="after")
    (borders,) = row.plot([], [], color=style.MUTED, lw=1, ls="--")
    row.set(title="64 weights of one row", xlabel="place in the row", ylabel="weight")
    row.set(xlim=(-1, 64), ylim=(-highest, 1.45 * highest), xticks=range(0, 65, 16))
    row.legend(loc="upper right", ncols=2)

    empty = np.zeros(len(edges) - 1)
    before_bars = histogram.stairs(empty, edges, **style.filled(style.BEFORE), label="before")
    after_bars = histogram.stairs(empty, edges, color=style.AFTER, lw=1.5, label="after")
    histogram.set(
        title=f"{weights.size:,} weights", xlabel="weight / largest magnitude of its block", ylabel="share (%)"
    )
    histogram.set(xlim=(edges[0], edges[-1]), ylim=(0.05, 100), yscale="log")
    histogram.legend(loc="upper right", ncols=2)

    curves = {name: trade.plot([], [], "o-", color=color, ms=4, label=name)[0] for name, color in colors.items()}
    (dot,) = trade.plot([], [], "o", color=style.MUTED, ms=13, mec="black", zorder=1)
    trade.set(title="Blocks of 128 (left) to 8 (right)", xlabel="bits per weight", ylabel="signal to noise (dB)")
    trade.set(xlim=(4, 6.1), ylim=(14, 26))
    trade.legend(loc="lower right")
    measured = {}

    def look() -> None:
        signal = float(np.mean(weights**2))
        for name, (levels, _, round_scale, scale_bits) in formats.items():
            for block in blocks:
                back = np.asarray(returned(to_levels(weights.copy(), levels, block, round_scale)), np.float64)
                noise = float(np.mean((back.reshape(weights.shape) - weights) ** 2))
                decibels = 10 * np.log10(signal / noise) if noise else np.inf
                measured[name, block] = back, 4 + scale_bits / block, decibels
            bits, heights = zip(*(measured[name, block][1:] for block in blocks), strict=True)
            curves[name].set_data(bits, heights)

    def share(values: np.ndarray, block: int) -> np.ndarray:
        return 100 * np.histogram(values / np.maximum(units[block], 1e-30), edges)[0] / weights.size

    def update(format: str, block: int) -> str:
        if len(measured) < len(formats) * len(blocks):
            look()
        back, bits, decibels = measured[format, block]
        after.set_data(np.arange(64), back[0, :64])
        places = np.arange(0, 65, block) - 0.5
        borders.set_data(np.repeat(places, 3), np.tile([-highest, highest, np.nan], len(places)))
        before_bars.set_data(values=share(weights, block))
        after_bars.set_data(values=share(back, block))
        dot.set_data([bits], [decibels])
        usual = formats[format][1]
        note = "as it is used" if block == usual else f"it is used with {usual}"
        return f"{format} in blocks of {block} ({note}): {bits:.2f} bits per weight, signal to noise {decibels:.1f} dB"

    return Live(
        figure,
        [after, borders, before_bars, after_bars, *curves.values(), dot],
        update,
        alt="Three panels: 64 weights before and after with the blocks' borders, a histogram of all weights over the "
        "largest magnitude of their block, and decibels over bits per weight for each format.",
        block=widgets.SelectionSlider(options=blocks, value=32),
        format=list(formats),
    )
