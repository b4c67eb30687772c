"""Chapter 4: which weights go, as histogram, mask and accuracy; what zeros cost and what they save."""

from collections.abc import Callable

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.colors import to_rgba_array
from matplotlib.ticker import FuncFormatter
from torch import nn

from course import models, style
from course.figures import Figure, Live
from course.live import returned

LAYERS = ("first", "middle", "last")
PRUNED, KEPT, GAP = range(3)
#: One RGBA colour each. Matplotlib draws an image of bytes in a third of the time that a colour map takes.
SHADES = (255 * to_rgba_array(["white", style.AFTER, style.MUTED])).astype(np.uint8)


def pruner(magnitude_prune: Callable, model: nn.Sequential) -> Live:
    """Live: the learner's `magnitude_prune(weights, sparsity)` on the digits MLP, over sparsity and layer.

    Layers that are not chosen stay as they are. `model` is not changed.
    """
    panels = _Panels(model)

    def update(sparsity: float, layer: str) -> str:
        chosen = LAYERS if layer == "all three" else (layer,)
        after = {name: np.asarray(returned(magnitude_prune(panels.weights[name].copy(), sparsity))) for name in chosen}
        return panels.show(after, sparsity, layer)

    return Live(
        panels.figure,
        panels.moving,
        update,
        alt="Three panels: histogram of the weights with the threshold, the kept weights of each matrix as a picture, "
        "and the share of held-out digits that is right over sparsity.",
        sparsity=widgets.FloatSlider(0.5, min=0.0, max=1.0, step=0.01),
        layer=["all three", *LAYERS],
    )


class _Panels:
    """Histogram, mask picture and accuracy of one pruned model; the axes stand still, the data move."""

    def __init__(self, model: nn.Sequential):
        self.weights = {
            name: layer.weight.detach().numpy().copy() for name, layer in zip(LAYERS, model[::2], strict=True)
        }
        self._model = models.mlp()
        self._model.load_state_dict(model.state_dict())
        self._seen: dict[str, dict[float, float]] = {}
        largest = max(float(np.abs(w).max()) for w in self.weights.values())
        self._edges = np.linspace(-largest, largest, 101)

        self.figure = Figure(figsize=(11, 3.9), dpi=100, layout="constrained")
        histogram, picture, accuracy = self.figure.subplots(1, 3)

        ones = np.ones(100)  # a logarithmic axis wants something above zero
        self._before = histogram.stairs(ones, self._edges, **style.filled(style.MUTED), label="before")
        self._after = histogram.stairs(ones, self._edges, color=style.AFTER, lw=1.5, label="kept")
        self._bounds = [histogram.axvline(0, color="black", lw=1, ls="--") for _ in range(2)]
        total = sum(w.size for w in self.weights.values())
        histogram.set(
            title="Weights", xlabel="weight", ylabel="weights per bin", yscale="log", ylim=(0.7, total),
            xlim=(-largest, largest),
        )  # fmt: skip
        histogram.legend(loc="upper right", ncols=2)

        self._image = picture.imshow(self._mask({}), interpolation="nearest", aspect="auto")
        picture.set(title="Kept (coloured): first, middle, last", ylabel="neuron", xticks=[])
        picture.grid(False)

        accuracy.axhline(100 * models.accuracy(model), color=style.MUTED, ls="--")
        (self._trail,) = accuracy.plot([], [], ".-", color=style.AFTER, lw=1)
        (self._dot,) = accuracy.plot([], [], "o", color=style.AFTER, mec="black", ms=9)
        accuracy.set(
            title="Accuracy where you have been", xlabel="sparsity (%)", ylabel="held-out digits right (%)",
            xlim=(-3, 103), ylim=(0, 103),
        )  # fmt: skip
        self.moving = [self._before, self._after, *self._bounds, self._image, self._trail, self._dot]

    def show(self, after: dict[str, np.ndarray], sparsity: float, layer: str) -> str:
        before = np.concatenate([self.weights[name].ravel() for name in after])
        pruned = np.concatenate([values.ravel() for values in after.values()])
        kept = pruned[pruned != 0]
        threshold = float(np.abs(kept).min()) if kept.size else self._edges[-1]
        self._before.set_data(values=np.histogram(before, self._edges)[0])
        self._after.set_data(values=np.histogram(kept, self._edges)[0])
        for bound, value in zip(self._bounds, (-threshold, threshold), strict=True):
            bound.set_xdata([value, value])
        self._image.set_data(self._mask(after))

        share = self._accuracy(after)
        seen = self._seen.setdefault(layer, {})
        seen[sparsity] = share
        visited = sorted(seen)
        self._trail.set_data(100 * np.array(visited), [100 * seen[s] for s in visited])
        self._dot.set_data([100 * sparsity], [100 * share])
        return (
            f"{pruned.size - kept.size:,} of {pruned.size:,} weights are zero, smallest kept {threshold:.3f}: "
            f"{share:.1%} right"
        )

    def _mask(self, after: dict[str, np.ndarray]) -> np.ndarray:
        """The three matrices side by side, the last one lying on its side, as a picture of RGBA bytes."""
        first, middle, last = (np.where(after.get(name, self.weights[name]) != 0, KEPT, PRUNED) for name in LAYERS)
        gap = np.full((len(middle), 4), GAP)
        return SHADES[np.hstack([first, gap, middle, gap, last.T])]

    @torch.no_grad()
    def _accuracy(self, after: dict[str, np.ndarray]) -> float:
        for name, layer in zip(LAYERS, self._model[::2], strict=True):
            layer.weight.copy_(torch.as_tensor(after.get(name, self.weights[name])))
        return models.accuracy(self._model)


def accuracy(sparsities: list[float], measured: dict[str, np.ndarray], dense: float) -> Figure:
    """Accuracy over sparsity: a line through the mean over seeds and a band from the worst to the best.

    measured: {name: array (seeds, sparsities)} of shares from 0 to 1; dense: the same before pruning.
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.axhline(100 * dense, color=style.MUTED, ls="--", label="not pruned")
    percent = 100 * np.asarray(sparsities)
    for color, (name, shares) in zip((style.AFTER, style.BEFORE, style.FOURTH), measured.items(), strict=False):
        shares = 100 * np.asarray(shares)
        axes.fill_between(percent, shares.min(0), shares.max(0), color=color, alpha=0.2, lw=0)
        axes.plot(percent, shares.mean(0), "o-", color=color, label=name, ms=6)
    axes.set(xlabel="sparsity (%)", ylabel="held-out digits right (%)", ylim=(0, 102))
    axes.legend(loc="lower left", title="band: worst to best seed")
    return figure


def speed(sparsities: list[float], panels: dict[str, dict[str, list[float]]], crossings: dict) -> Figure:
    """Milliseconds over the share of weights kept, one panel for each batch, with the theory and the crossover.

    panels: {panel's title: {name: milliseconds at `sparsities`}}; the first sparsity is 0 and "dense with zeros" is
    one of the names. crossings: {panel's title: sparsity from which CSR is faster than dense, or None}.
    """
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    kept = 100 * (1 - np.asarray(sparsities))
    labelled = set()

    def once(label: str) -> str:
        """The label for the first panel, and for the others one that the legend leaves out."""
        return "_" if label in labelled else labelled.add(label) or label

    for axes, (title, curves) in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True):
        theory = curves["dense with zeros"][0] * kept / 100
        axes.loglog(kept, theory, color=style.THEORY, ls="--", label=once("theory: in proportion to the weights kept"))
        for color, (name, milliseconds) in zip((style.BEFORE, style.AFTER, style.FOURTH), curves.items(), strict=False):
            axes.loglog(kept, milliseconds, "o-", color=color, label=once(name), ms=6)
        if crossings[title] is not None:
            axes.axvline(100 * (1 - crossings[title]), color=style.MUTED, ls=":", label=once("crossover"))
        axes.set(title=title, xlabel="weights kept (%)", ylabel="time (ms)", xticks=kept)
        axes.set_xticklabels([f"{share:.0f}" for share in kept])
        axes.yaxis.set_major_formatter(FuncFormatter(lambda milliseconds, _: f"{milliseconds:g}"))
        axes.minorticks_off()
        axes.invert_xaxis()
    figure.legend(loc="outside lower center", ncols=5)
    return figure


def bits_per_byte(sparsities: list[float], measured: dict[str, list[list[float]]], dense: float) -> Figure:
    """Bits per byte of TinyGPT over sparsity, one curve each through the means, and the dense model as a line.

    measured: {name: for each sparsity the values of one or more samples}; a band goes from the lowest to the highest.
    """
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.axhline(dense, color=style.MUTED, ls="--", label="not pruned")
    percent = 100 * np.asarray(sparsities)
    for (name, samples), color, marker in zip(measured.items(), style.CYCLE, "os^D", strict=False):
        values = np.asarray(samples)
        axes.fill_between(percent, values.min(1), values.max(1), color=color, alpha=0.2, lw=0)
        axes.plot(percent, values.mean(1), f"{marker}-", color=color, label=name, ms=6)
    axes.set(xlabel="sparsity (%)", ylabel="bits per byte (lower is better)")
    axes.legend(loc="upper left")
    return figure


def outputs(
    pruners: dict[str, Callable], w: np.ndarray, seen: np.ndarray, fresh: np.ndarray, sparsities: list[float]
) -> Live:
    """Live: the outputs of one layer after pruning, over sparsity, for up to three of the learner's pruners.

    pruners: {name: function of (w, x, sparsity) that returns the pruned w}. w: (outputs, inputs). seen: the inputs that
    the pruners get, (samples, inputs); fresh: those on which the outputs are compared. sparsities: equally far apart.
    All pruning is done before the first frame.
    """
    panels = _Outputs(pruners, w, seen, fresh, sparsities)
    step = sparsities[1] - sparsities[0] if len(sparsities) > 1 else 0.1
    middle = sparsities[len(sparsities) // 2]
    return Live(
        panels.figure,
        panels.moving,
        panels.show,
        alt="Error of a layer's output over sparsity, one curve for each pruner, and for each a scatter of the outputs "
        "after pruning over those before.",
        sparsity=widgets.FloatSlider(middle, min=sparsities[0], max=sparsities[-1], step=step, readout_format=".0%"),
    )


class _Outputs:
    """Error curves with a dot at the slider, and a scatter of outputs for each pruner."""

    POINTS = 400
    LOOKS = ((style.BEFORE, "o"), (style.FOURTH, "s"), (style.AFTER, "^"))

    def __init__(self, pruners, w, seen, fresh, sparsities):
        self._pruners, self._w, self._seen, self._fresh = pruners, w, seen, fresh
        self._sparsities = [float(sparsity) for sparsity in sparsities]
        self._measured = None
        self._whole = fresh @ w.T
        self._shown = np.random.default_rng(0).integers(self._whole.size, size=self.POINTS)
        before = self._whole.ravel()[self._shown]
        limit = 1.05 * float(np.abs(before).max())
        ticks = [share * float(f"{limit / 2:.0e}") for share in (-1, 0, 1)]

        self.figure = Figure(figsize=(11, 3.9), dpi=100, layout="constrained")
        errors, *scatters = self.figure.subplots(1, 1 + len(pruners), width_ratios=[1.7] + [1] * len(pruners))
        percent = [100 * sparsity for sparsity in self._sparsities]
        self._curves, self._dots, self._clouds = {}, {}, {}
        for (name, axes), (color, marker) in zip(zip(pruners, scatters, strict=True), self.LOOKS, strict=False):
            (self._curves[name],) = errors.plot([], [], f"{marker}-", color=color, ms=4, lw=1.5, label=name)
            (self._dots[name],) = errors.plot([], [], marker, color=color, mec="black", ms=9)
            axes.plot([-limit, limit], [-limit, limit], color=style.MUTED, ls="--", lw=1)
            (self._clouds[name],) = axes.plot([], [], ".", color=color, ms=3)
            axes.set(
                title=name, xlabel="output before", xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal",
                xticks=ticks, yticks=ticks,
            )  # fmt: skip
        scatters[0].set(ylabel="output after")
        self._line = errors.axvline(percent[0], color=style.MUTED, lw=1)
        errors.set(
            title="Error of the output", xlabel="sparsity (%)", ylabel="error (% of the output)",
            xlim=(percent[0] - 3, percent[-1] + 3), yscale="log", ylim=(0.01, 1000),
        )  # fmt: skip
        errors.yaxis.set_major_formatter(FuncFormatter(lambda error, _: f"{error:g}"))
        errors.legend(loc="lower right")
        self.moving = [*self._curves.values(), *self._clouds.values(), self._line, *self._dots.values()]
        self._before = before

    def show(self, sparsity: float) -> str:
        self._measured = self._measured or self._measure()
        at = int(np.argmin(np.abs(np.array(self._sparsities) - sparsity)))
        chosen, said = 100 * self._sparsities[at], []
        self._line.set_xdata([chosen, chosen])
        for name, (errors, points) in self._measured.items():
            self._curves[name].set_data([100 * share for share in self._sparsities], errors)
            self._dots[name].set_data([chosen], [errors[at]])
            self._clouds[name].set_data(self._before, points[at])
            said.append(f"{name} {errors[at]:.1f} %")
        return f"{chosen:.0f} % of the weights are zero, error of the output: {', '.join(said)}"

    def _measure(self) -> dict[str, tuple[list[float], list[np.ndarray]]]:
        """{name: (errors in percent, the shown outputs)} at each sparsity."""
        energy, found = np.square(self._whole).sum(), {}
        for name, prune in self._pruners.items():
            errors, points = [], []
            for sparsity in self._sparsities:
                pruned = np.asarray(returned(prune(self._w.copy(), self._seen.copy(), sparsity)), dtype=np.float32)
                after = self._fresh @ pruned.T
                errors.append(100 * float(np.square(after - self._whole).sum() / energy))
                points.append(after.ravel()[self._shown])
            found[name] = errors, points
        return found
