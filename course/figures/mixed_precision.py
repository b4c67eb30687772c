"""Chapter 8: a float's bits and what a format can tell apart, gradients under a loss scale, training, the roofline."""

import functools
import math
from collections.abc import Callable, Mapping

import ipywidgets as widgets
import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.patches import Rectangle

from course import style
from course.benchmark import PACKED, YOURS, Row
from course.devices import Device
from course.figures import Figure, Live
from course.live import returned

#: Bits of exponent and mantissa.
FORMATS = {"FP16": (5, 10), "BF16": (8, 7), "FP8 E5M2": (5, 2), "FP8 E4M3": (4, 3)}
_PARTS = {"sign": style.SIXTH, "exponent": style.BEFORE, "mantissa": style.AFTER}
_WIDE = 16


def bits(decode_float: Callable) -> Live:
    """Live: a float's bits, flipped by hand, its value, and how far apart a format's numbers are at every size.

    The gap is that from a power of two to the next number, as a share of it, both as the learner's function reads them.
    """
    figure = Figure(figsize=(11, 4.6), dpi=100, layout="constrained")
    boxes, gaps = figure.subplots(2, 1, height_ratios=(1, 2.4))
    boxes.set(xlim=(0, _WIDE), ylim=(0, 1.5))
    boxes.set_axis_off()
    cells = boxes.add_collection(PatchCollection([Rectangle((i + 0.06, 0), 0.88, 0.85) for i in range(_WIDE)]))
    # As markers the digits take a tenth of the time that texts take.
    digits = [boxes.plot([], [], ls="none", marker=f"${digit}$", ms=13, color="white")[0] for digit in "01"]
    names = [boxes.text(0, 1.08, part, ha="center") for part in _PARTS]
    others = [gaps.loglog([], [], color=style.MUTED, lw=2)[0] for _ in FORMATS]
    (curve,) = gaps.loglog([], [], color=style.THEORY, lw=3, label="this format")
    (here,) = gaps.loglog([], [], "o", color=style.AFTER, ms=12, label="your bits")
    gaps.plot([], [], color=style.MUTED, label="the other formats")
    ends = [gaps.text(1, 1, name, va="center", size=10.5) for name in FORMATS]
    gaps.set(xlabel="size of the number", ylabel="gap to the next (share)", xlim=(1e-44, 1e46), ylim=(3e-4, 3))
    gaps.set_xticks(10.0 ** np.arange(-40, 41, 10))
    gaps.legend(loc="upper right")

    @functools.cache
    def relative_gaps(name: str) -> tuple[list[float], list[float]]:
        exp_bits, man_bits = FORMATS[name]
        starts = [2**i for i in range(man_bits)] + [e << man_bits for e in range(1, 2**exp_bits)]
        pairs = [[returned(decode_float(code + step, exp_bits, man_bits)) for step in (0, 1)] for code in starts]
        finite = [(a, b) for a, b in pairs if 0 < a < b < math.inf]
        return [a for a, _ in finite], [b / a - 1 for a, b in finite]

    toggles = {
        f"b{place}": widgets.ToggleButton(False, description="0", tooltip=f"bit {place}")
        for place in range(_WIDE - 1, -1, -1)
    }
    for place, toggle in toggles.items():
        toggle.value = place in ("b9", "b10", "b11", "b12", "b13")  # 1.5 in FP16
        toggle.layout = widgets.Layout(width="2.6em", padding="0", margin="2px 1px")

    def update(number_format: str, **pressed: bool) -> str:
        exp_bits, man_bits = FORMATS[number_format]
        width = 1 + exp_bits + man_bits
        code = sum(2 ** int(place[1:]) for place, on in pressed.items() if on) % 2**width
        for name, toggle in toggles.items():
            toggle.description, toggle.disabled = str(int(toggle.value)), int(name[1:]) >= width
        parts = ["sign"] + ["exponent"] * exp_bits + ["mantissa"] * man_bits
        cells.set_facecolor([style.GRID] * (_WIDE - width) + [_PARTS[part] for part in parts])
        text = f"{code:0{width}b}"
        for digit, line in zip("01", digits, strict=True):
            places = [_WIDE - width + i + 0.5 for i in range(width) if text[i] == digit]
            line.set_data(places, [0.42] * len(places))
        for label, part in zip(names, _PARTS, strict=True):
            label.set_x(_WIDE - width + parts.index(part) + parts.count(part) / 2)
        for line, end, name in zip(others, ends, FORMATS, strict=True):
            sizes, shares = relative_gaps(name)
            line.set_data(sizes, shares)
            end.set_position((4 * sizes[-1], shares[-1]) if sizes else (1, 1))
        curve.set_data(*relative_gaps(number_format))

        value = float(returned(decode_float(code, exp_bits, man_bits)))
        # The code after it is that of the next number away from zero.
        after = float(returned(decode_float(code + 1, exp_bits, man_bits))) if (code + 1) % 2 ** (width - 1) else value
        gap = abs(after - value)
        known = 0 < abs(value) < math.inf and 0 < gap < math.inf
        here.set_data([abs(value)] if known else [], [gap / abs(value)] if known else [])
        note = f", the next one is {after:.8g}" if 0 < gap < math.inf else ""
        return f"{text[0]} {text[1 : 1 + exp_bits]} {text[1 + exp_bits :]} is {value:.8g}{note}"

    return Live(
        figure,
        [cells, *digits, *names, *others, *ends, curve, here],
        update,
        alt="Top: the bits of a float. Bottom: the relative gap between neighbours over the size, for four formats.",
        number_format=widgets.Dropdown(options=list(FORMATS), description="format"),
        **toggles,
    )


def loss_scale(format_limits: Callable, gradients: Mapping[str, np.ndarray]) -> Live:
    """Live: gradients times the loss scale against the range of a format, and the share that is lost over the scale.

    Lost is what rounds to zero: at most half the smallest number that the learner's function gives. Zeros are left out.
    A line marks the scale from which the largest gradient overflows, because the share that does is too small to see.
    """
    sizes = {name: np.sort(np.abs(np.asarray(g, dtype=np.float64)[g != 0]).ravel()) for name, g in gradients.items()}
    exponents = np.arange(-60, 31)
    counts = {name: np.histogram(np.log2(values), exponents)[0] for name, values in sizes.items()}
    scales = np.arange(-8, 33)

    figure = Figure(figsize=(11, 4.2), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 2))
    regions = {"lost": style.AFTER, "subnormal": style.FOURTH, "overflow": style.ERROR}
    spans = [
        left.add_patch(Rectangle((0, 0), 1, 1, transform=left.get_xaxis_transform(), color=color, alpha=0.25, lw=0))
        for color in regions.values()
    ]
    for name, color in regions.items():
        left.fill_between([], [], color=color, alpha=0.25, label=name)
    first = next(iter(counts.values()))
    bars = left.stairs(first, exponents, color=style.BEFORE, fill=True)
    left.set(xlabel="log2 of |gradient x scale|", ylabel="gradients", yscale="log", xlim=(-48, 24))
    left.set_ylim(0.7, 3 * max(max(each) for each in counts.values()))
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3)
    (under,) = right.plot([], [], color=style.AFTER, label="lost to underflow")
    begins = right.axvline(0, color=style.ERROR, ls="--", label="overflow begins")
    (now,) = right.plot([], [], "o", color=style.AFTER, ms=12)
    right.set(xlabel="log2 of the loss scale", ylabel="lost gradients (%)", xlim=(-8, 32), ylim=(-3, 103))
    right.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)

    @functools.cache
    def shares(name: str, number_format: str) -> tuple[np.ndarray, np.ndarray, float]:
        """For each of `scales` the percent lost and how many are too large, and the log2 of the scale that is."""
        largest, _, smallest, eps = (float(limit) for limit in returned(format_limits(*FORMATS[number_format])))
        # Up to half a gap above the largest number, that number is the nearest.
        largest += eps * 2.0 ** math.floor(math.log2(largest)) / 2
        values, factor = sizes[name], 2.0**scales
        lost = np.searchsorted(values, smallest / 2 / factor, side="right")
        too_large = len(values) - np.searchsorted(values, largest / factor, side="right")
        return 100 * lost / len(values), too_large, math.log2(largest / values[-1])

    def update(log2_scale: int, number_format: str, which: str) -> str:
        largest, normal, smallest, _ = np.log2(returned(format_limits(*FORMATS[number_format])))
        edges = (-60, smallest - 1), (smallest - 1, normal), (largest, 60)
        for span, (low, high) in zip(spans, edges, strict=True):
            span.set_x(low)
            span.set_width(high - low)
        bars.set_data(counts[which], exponents + log2_scale)
        lost, too_large, overflows = shares(which, number_format)
        under.set_data(scales, lost)
        begins.set_xdata([overflows, overflows])
        index = int(np.flatnonzero(scales == log2_scale)[0])
        now.set_data([log2_scale], [lost[index]])
        return f"scale 2^{log2_scale}: {lost[index]:.2f} % lost to underflow, {too_large[index]:,} overflow"

    return Live(
        figure,
        [*spans, bars, under, begins, now],
        update,
        alt="Left: gradients over a format's range. Right: the share lost over the loss scale, where overflow begins.",
        log2_scale=widgets.IntSlider(0, int(scales[0]), int(scales[-1]), description="log2 of the loss scale"),
        number_format=widgets.Dropdown(options=list(FORMATS), description="format"),
        which=widgets.Dropdown(options=list(gradients), description="gradients"),
    )


def gradient_error(log2_scales: list[int], errors: Mapping[str, list[float]]) -> Figure:
    """The relative error of a gradient over the log2 of the loss scale; where it is not finite, a cross at the top."""
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    axes = figure.subplots()
    top = 3.0
    for color, (name, values) in zip((style.AFTER, style.BEFORE, style.THEORY), errors.items(), strict=False):
        values = np.asarray(values, dtype=float)
        axes.semilogy(log2_scales, np.where(np.isfinite(values), values, np.nan), "o-", color=color, label=name)
        broken = np.array(log2_scales)[~np.isfinite(values)]
        if broken.size:
            axes.plot(broken, np.full(broken.size, top), "x", color=color, ms=9, mew=2.5, label=f"{name}: inf or NaN")
    axes.set(xlabel="log2 of the loss scale", ylabel="relative error of the gradient", ylim=(None, 2 * top))
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def training(
    losses: Mapping[str, list[float]], scales: list[float], skipped: list[int], theirs: list[float] | None = None
) -> Figure:
    """Left: the loss of each run, with a cross where it became NaN. Right: the loss scale, and the skipped steps.

    theirs: the scales of another scaler, for comparison.
    """
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    looks = ((style.MUTED, 5), (style.SIXTH, 1.2), (style.ERROR, 1.5), (style.AFTER, 1.5), (style.THEORY, 5))
    for (color, width), (name, values) in zip(looks, losses.items(), strict=False):
        values = np.asarray(values, dtype=float)
        finite = np.isfinite(values)
        left.plot(np.where(finite, values, np.nan), color=color, label=name, lw=width, zorder=3 - width / 5)
        if not finite.all():
            last = int(np.argmin(finite))
            left.plot(last, max(values[:last], default=1.0), "X", color=color, ms=13, label="became NaN")
    left.set(xlabel="step", ylabel="loss (nats)", title="The loss")
    left.legend(loc="upper right")
    right.plot(np.log2(scales), color=style.BEFORE, drawstyle="steps-post", label="scale")
    right.plot(skipped, np.log2(np.asarray(scales))[skipped], "x", color=style.AFTER, mew=2.5, label="step skipped")
    if theirs:
        wide = {"lw": 6, "zorder": 1.5, "drawstyle": "steps-post"}
        right.plot(np.log2(theirs), color=style.THEORY, label="torch GradScaler", **wide)
    right.set(xlabel="step", ylabel="log2 of the loss scale", title="Your LossScaler")
    right.legend(loc="upper right")
    return figure


def roofline(rows: list[Row], tflops: Callable, machine: Device) -> Figure:
    """TFLOPS over operations per byte: each measured product, and each type's roof from bandwidth and peak."""
    figure = Figure(figsize=(9.5, 5), layout="constrained")
    axes = figure.subplots()
    # Kin have one colour, filled and open; the three ways to multiply int8 have three.
    looks = {
        "fp32": (style.BEFORE, "o", "full"),
        "tf32": (style.BEFORE, "v", "none"),
        "bf16": (style.THEORY, "s", "full"),
        "fp16": (style.THEORY, "^", "none"),
        "fp8": (style.FOURTH, "D", "full"),
        "fp4": (style.FOURTH, "X", "none"),
        "int8": (style.ERROR, "o", "full"),
        PACKED: (style.SIXTH, "P", "full"),
        YOURS: (style.AFTER, "*", "full"),
    }
    measured = [row for row in rows if not row.refused]
    intensity = np.geomspace(1, 1e4, 200)
    for name in dict.fromkeys(row.name for row in measured):
        color, marker, fill = looks[name]
        points = [
            (row.operations / row.bytes_moved, tflops(*row.shape, row.seconds)) for row in measured if row.name == name
        ]
        look = {"color": color, "ms": 10, "mew": 2, "fillstyle": fill, "alpha": 0.85}
        axes.loglog(*zip(*points, strict=True), marker, label=name, zorder=3, **look)
        if name in machine.peak_tflops:
            roof = np.minimum(machine.bandwidth_gb_s * intensity / 1000, machine.peak_tflops[name])
            axes.loglog(intensity, roof, color=color, lw=1.2, ls="--")
    axes.plot([], [], color=style.MUTED, lw=1.2, ls="--", label="roof of a type")
    axes.set(xlabel="operations per byte (FLOP/byte)", ylabel="operations per second (TFLOPS)")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def memory(parts: Mapping[str, Mapping[str, float]]) -> Figure:
    """Stacked bars: what training holds in memory (MB), for each run by part."""
    figure = Figure(figsize=(9.5, 1.6 + 0.55 * len(parts)), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(parts))
    left = np.zeros(len(parts))
    for color, part in zip(style.CYCLE, next(iter(parts.values())), strict=False):
        sizes = np.array([run[part] for run in parts.values()])
        axes.barh(rows, sizes, left=left, color=color, label=part, height=0.6)
        left += sizes
    axes.set(xlabel="memory (MB)", yticks=rows, yticklabels=list(parts))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside upper center", ncols=5)
    return figure
