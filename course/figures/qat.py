"""Chapter 3: the straight-through estimator as picture and gradient, recovery, weights gathering on levels."""

from collections.abc import Callable

import ipywidgets as widgets
import numpy as np

from course import style
from course.figures import Figure, Live
from course.live import returned


def straight_through(fake_quantize: Callable, ste_gradient: Callable, weights: np.ndarray) -> Live:
    """Live: staircase, gradient window and the weights inside it, through the learner's two NumPy functions.

    Symmetric codes -qmax..qmax with qmax = 2^(bits-1) - 1 and scale clip * max|w| / qmax. The gradient shown is what
    `ste_gradient` makes of a gradient of 1 from above.
    """
    weights = np.asarray(weights, dtype=np.float64).ravel()
    absmax = float(np.abs(weights).max())
    x = np.linspace(-1.1 * absmax, 1.1 * absmax, 1201)
    edges = np.linspace(x[0], x[-1], 111)

    figure = Figure(figsize=(11, 3.9), dpi=100, layout="constrained")
    forward, backward, histogram = figure.subplots(1, 3)
    forward.plot(x, x, color=style.MUTED, lw=1)
    (stairs,) = forward.plot([], [], color=style.AFTER)
    forward.set(title="Forward: the staircase", xlabel="weight", ylabel="fake-quantized weight", ylim=(x[0], x[-1]))
    backward.axhline(0, color=style.MUTED, lw=1.5, label="true slope between jumps")
    (window,) = backward.plot([], [], color=style.AFTER, label="your straight-through")
    backward.set(title="Backward: the window", xlabel="weight", ylabel="gradient, for 1 from above", ylim=(-0.3, 2.3))
    backward.legend(loc="upper right")
    counts = np.histogram(weights, edges)[0]
    histogram.stairs(counts, edges, **style.filled(style.BEFORE), label="all")
    passed = histogram.stairs(counts, edges, color=style.AFTER, lw=1.5, label="with a gradient")
    histogram.set(title=f"{weights.size:,} weights", xlabel="weight", yscale="log", ylim=(0.7, 60 * counts.max()))
    histogram.legend(loc="upper right")
    bounds = [
        axes.axvline(0, color=style.MUTED, lw=1, ls="--") for axes in (forward, backward, histogram) for _ in "12"
    ]
    for axes in (forward, backward, histogram):
        axes.set_xlim(x[0], x[-1])

    def update(bits: int, clip: float) -> str:
        qmax, hi = 2 ** (bits - 1) - 1, clip * absmax
        after = _array(fake_quantize(x, hi / qmax, 0, -qmax, qmax))
        slope = _array(ste_gradient(np.ones_like(x), x, -hi, hi))
        reached = _array(ste_gradient(np.ones_like(weights), weights, -hi, hi)) != 0
        stairs.set_data(x, after)
        window.set_data(x, slope)
        passed.set_data(values=np.histogram(weights[reached], edges)[0])
        for index, bound in enumerate(bounds):
            bound.set_xdata([(-hi, hi)[index % 2]] * 2)
        note = f"{2 * qmax + 1} levels, scale {hi / qmax:.3g}"
        return f"{note}: {reached.mean():.1%} of these weights get a gradient"

    return Live(
        figure,
        [stairs, window, passed, *bounds],
        update,
        alt="Three panels: the fake quantizer's staircase, the gradient it lets through, and the weights that get one.",
        bits=widgets.IntSlider(3, 2, 8),
        clip=widgets.FloatSlider(0.6, min=0.1, max=1.0, step=0.05),
    )


def descent(paths: dict[str, list[float]], seen: list[float], target: float, scale: float) -> Figure:
    """One weight over the steps of gradient descent, one curve each; `seen` is the last one's fake-quantized value."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.axhline(target, color=style.THEORY, ls="--", label="target")
    axes.step(range(len(seen)), seen, where="mid", color=style.MUTED, lw=1.2, label="what the network sees")
    for color, (name, path) in zip((style.BEFORE, style.AFTER), paths.items(), strict=False):
        axes.plot(path, color=color, label=name)
    lowest, highest = min(seen), max(*seen, target)
    levels = scale * np.arange(np.floor(lowest / scale), np.ceil(highest / scale) + 1)
    axes.set(xlabel="step", ylabel="weight", yticks=levels, ylim=(levels[0] - 0.1 * scale, levels[-1] + 0.1 * scale))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def recovery(bits: list[int], measured: dict[str, np.ndarray], full_precision: np.ndarray) -> Figure:
    """Accuracy over bits: for each name an array (bits, seeds), drawn as mean, band from least to most, and dots."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.axhline(100 * np.mean(full_precision), color=style.MUTED, ls="--", label="not quantized")
    for color, (name, values) in zip((style.BEFORE, style.FOURTH, style.AFTER), measured.items(), strict=False):
        percent = 100 * np.asarray(values)
        axes.plot(bits, percent.mean(1), color=color, label=name)
        axes.fill_between(bits, percent.min(1), percent.max(1), color=color, alpha=0.18, lw=0)
        axes.plot(np.repeat(bits, percent.shape[1]), percent.ravel(), "o", color=color, ms=5)
    axes.set(xlabel="bits per weight", ylabel="held-out digits right (%)", xticks=bits, ylim=(0, 102))
    axes.legend(loc="lower right", title="line: mean; band and dots: seeds")
    return figure


def gathering(fake_quantize: Callable, runs: dict[str, list[tuple]], qmax: int) -> Live:
    """Live: the weights under the staircase over the steps of training, and how far they are from their levels.

    runs: {name: [(step, weights, scale, accuracy), ...]}, the same steps in each; distances are |w - w_hat| in scales,
    with w_hat from the learner's `fake_quantize` and codes -qmax..qmax.
    """
    edges = np.linspace(-qmax - 0.5, qmax + 0.5, 21 * (2 * qmax + 1) + 1)  # each level in the middle of a bin
    steps = [step for step, *_ in next(iter(runs.values()))]
    shown = {
        (name, step): (np.asarray(weights, dtype=np.float64).ravel() / scale, accuracy)
        for name, run in runs.items()
        for step, weights, scale, accuracy in run
    }

    def distance(values: np.ndarray) -> float:
        return float(np.abs(values - _array(fake_quantize(values, 1.0, 0, -qmax, qmax))).mean())

    figure = Figure(figsize=(11, 3.9), dpi=100, layout="constrained")
    histogram, curves = figure.subplots(1, 2, width_ratios=(3, 2))
    for level in range(-qmax, qmax + 1):
        histogram.axvline(level, color=style.THEORY, lw=1, label="level" if level == qmax else None)
        if level < qmax:
            histogram.axvline(level + 0.5, color=style.MUTED, lw=1, ls=":", label="threshold" if level == -1 else None)
    first, _ = next(iter(shown.values()))
    bars = histogram.stairs(np.histogram(first, edges)[0], edges, color=style.AFTER, fill=True, label="weights")
    histogram.set(
        title="Weights under the staircase", xlabel="weight / scale", ylabel="number of weights", yscale="log",
        xlim=(edges[0], edges[-1]), ylim=(0.7, 60 * first.size),
    )  # fmt: skip
    histogram.legend(loc="upper right")
    curves.axhline(0.25, color=style.MUTED, ls="--", lw=1, label="spread evenly")
    far = {}
    for color, name in zip((style.BEFORE, style.AFTER), runs, strict=False):
        far[name] = [distance(shown[name, step][0]) for step in steps]
        curves.plot(steps, far[name], color=color, label=name)
    (dot,) = curves.plot([], [], "o", color="black", ms=9)
    curves.set(xlabel="step", ylabel="mean distance to level (scales)", ylim=(0, 0.3))
    curves.legend(loc="center right")

    def update(step: int, run: str) -> str:
        values, accuracy = shown[run, step]
        bars.set_data(values=np.histogram(values, edges)[0])
        here = far[run][steps.index(step)]
        dot.set_data([step], [here])
        return f"step {step}: mean distance {here:.3f} scales, {accuracy:.1%} of held-out digits right"

    return Live(
        figure,
        [bars, dot],
        update,
        alt="Histogram of weights with levels and thresholds at a step of training; distance to the levels over steps.",
        step=widgets.SelectionSlider(options=steps, value=steps[-1]),
        run=list(runs)[::-1],
    )


def three_windows(ste_gradient: Callable, of_fake_quantize: Callable, lsq_scale_gradient: Callable) -> Figure:
    """The learner's three gradients side by side, over weight / scale, for codes -1 to 1 and 1 from above.

    of_fake_quantize(x): the gradient that FakeQuantize lets through for scale 1.
    """
    x = np.linspace(-2.2, 2.2, 441)
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    panels = figure.subplots(1, 3)
    gradients = {
        "Exercise 3.5: of the weight": _array(ste_gradient(np.ones_like(x), x, -1.0, 1.0)),
        "Lab L3.6: of the weight": _array(of_fake_quantize(x)),
        "Lab L3.8: of the scale": np.array(
            [float(_array(lsq_scale_gradient(np.array([v]), 1.0, -1, 1, np.ones(1)))) for v in x]
        ),
    }
    reach = 1.15 * max(1.0, *(np.abs(gradient).max() for gradient in gradients.values()))
    for axes, (title, gradient) in zip(panels, gradients.items(), strict=True):
        for side in (-1, 1):
            axes.axvline(side, color=style.MUTED, lw=1, ls="--")
            axes.axvline(1.5 * side, color=style.MUTED, lw=1, ls=":")
        axes.plot(x, gradient, color=style.AFTER, label=title)
        axes.set(title=title, xlabel="weight / scale", ylabel="gradient", xticks=range(-2, 3), ylim=(-reach, reach))
    return figure


def _array(value) -> np.ndarray:
    """What the learner's function returned, be it an array, a tensor or a list."""
    return np.asarray(returned(value))
