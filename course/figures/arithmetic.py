"""Chapter 0: the roofline, measured and as the learner's function draws it; a step over the batch; what fits."""

import functools
import math
from collections.abc import Callable, Mapping

import ipywidgets as widgets
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from course import style
from course.alt import number
from course.figures import Figure, Live
from course.hardware import Device
from course.live import returned

Curve = tuple[np.ndarray, np.ndarray]

MOST = 1024  # sequences
BATCHES = sorted({round(2 ** (i / 4)) for i in range(41)})  # 1 to MOST


def roof(decode_latency_ms: Callable, bandwidth_gb_s: float, peak_tflops: float) -> Curve:
    """(FLOP per byte, TFLOPS reached) along the learner's `decode_latency_ms`, with a point at the corner of a roof.

    A step does 2 operations a weight for each sequence. A billion weights stand in for every model: where a step lies
    depends on its operations per byte alone, so each point has a batch and the bits that come to them.
    """
    params = 1e9

    def reached(intensity):
        batch = max(1, round(intensity))
        taken = _ms(decode_latency_ms, params, 16 * batch / intensity, bandwidth_gb_s, peak_tflops, batch)
        return 2 * params * batch / taken / 1e9

    intensities = np.sort([*np.geomspace(0.5, 4096, 40), 1000 * peak_tflops / bandwidth_gb_s])
    return intensities, np.array([reached(float(each)) for each in intensities])


def roofline(points: Mapping[str, Curve], roofs: Mapping[str, Curve] | None = None) -> Figure:
    """TFLOPS over FLOP per byte: measured points, joined, and roofs as dashed lines."""
    figure = Figure(figsize=(9, 4.4), layout="constrained")
    axes = figure.subplots()
    colors = [color for color in style.CYCLE if color != style.THEORY]
    for color, marker, (name, curve) in zip(colors, "os^Dv", points.items(), strict=False):
        axes.loglog(*curve, marker=marker, color=color, label=name, ms=8, lw=1, zorder=3)
    for dashes, (name, curve) in zip(("--", "-.", ":", (0, (1, 4))), (roofs or {}).items(), strict=False):
        axes.loglog(*curve, color=style.THEORY, ls=dashes, label=name)
    axes.set(xlabel="operations per byte (FLOP/byte)", ylabel="operations per second (TFLOPS)")
    figure.legend(loc="outside right center")
    _keep_labels(axes)
    return figure


def side_by_side(measured: Mapping[str, float], predicted: Mapping[str, float]) -> Figure:
    """Measured and predicted milliseconds as pairs of bars, with measured / predicted at the end of each pair."""
    figure = Figure(figsize=(7.5, 1.2 + 0.7 * len(measured)), layout="constrained")
    axes = figure.subplots()
    rows = np.arange(len(measured))
    promised = [float(predicted[name]) for name in measured]
    axes.barh(rows - 0.19, measured.values(), 0.36, color=style.BEFORE, label="measured")
    axes.barh(rows + 0.19, promised, 0.36, color=style.THEORY, label="your decode_latency_ms")
    for row, taken, limit in zip(rows, measured.values(), promised, strict=True):
        axes.annotate(
            f"{taken / limit:.1f}x", (max(taken, limit), row), (6, 0), textcoords="offset points", va="center"
        )
    axes.set(xlabel="time of a decoding step (ms)", yticks=rows, yticklabels=list(measured))
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside upper center", ncols=2)
    return figure


def over_the_batch(
    batches: list[int], taken_ms: Mapping[str, list[float]], crossings: Mapping[str, int | None]
) -> Figure:
    """Milliseconds over the batch for each type of weights; a dashed line where a type becomes slower than bf16."""
    figure = Figure(figsize=(8, 4.4), layout="constrained")
    axes = figure.subplots()
    looks = {"bf16": (style.BEFORE, "o"), "int8": (style.THEORY, "^"), "int4": (style.AFTER, "s")}
    for kind, taken in taken_ms.items():
        color, marker = looks[kind]
        axes.loglog(batches, taken, color=color, marker=marker, ms=8, label=kind)
        if crossing := crossings.get(kind):
            axes.axvline(crossing, color=color, ls="--", lw=1.2, label=f"{kind} is slower from batch {crossing}")
    axes.set(xlabel="batch (sequences)", ylabel="time of one layer (ms)", xticks=batches)
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    figure.legend(loc="outside right center")
    _keep_labels(axes)
    axes.minorticks_off()
    return figure


def decoding(
    model_size_gb: Callable, decode_latency_ms: Callable, crossover_batch: Callable, devices: Mapping[str, Device]
) -> Live:
    """Live: one decoding step of a model on a device, on the learner's roofline and over the batch.

    The weights are unpacked to the device's fastest type, so its peak holds whatever the bits. Times over the batch are
    relative to one sequence with weights of 16 bits: so all models and devices fit one axis.
    """
    balances = {name: 1000 * device.half_tflops / device.bandwidth_gb_s for name, device in devices.items()}
    figure = Figure(figsize=(11, 4.2), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    others = [left.loglog([], [], color=style.MUTED, lw=1)[0] for _ in devices]
    (roof_line,) = left.loglog([], [], color=style.THEORY, label="this device's roof")
    (here,) = left.loglog([], [], "o", color=style.AFTER, ms=13, label="one decoding step")
    left.plot([], [], color=style.MUTED, lw=1, label="the other devices")
    left.set(title="Roofline", xlabel="operations per byte (FLOP/byte)", ylabel="operations per second (TFLOPS)")
    left.set(
        xlim=(0.4, 5000),
        ylim=(
            0.4e-3 * min(device.bandwidth_gb_s for device in devices.values()),
            2 * max(device.half_tflops for device in devices.values()),
        ),
    )
    left.legend(loc="lower right")

    (full,) = right.loglog([], [], color=style.BEFORE, label="16 bits")
    (chosen,) = right.loglog([], [], color=style.AFTER, label="the bits you chose")
    (now,) = right.loglog([], [], "o", color=style.AFTER, ms=13)
    edge = right.axvline(1, color=style.MUTED, ls="--", label="your crossover")
    one = right.text(0.97, 0.04, "", transform=right.transAxes, ha="right")
    right.set(title="One step for the whole batch", xlabel="batch (sequences)")
    right.set(ylabel="time (batch 1 at 16 bits = 1)")
    right.set(xlim=(0.8, 1300), ylim=(0.09, 2 * max(2, MOST / min(balances.values()))))
    right.legend(loc="upper left")
    for axes in (left, right):
        _keep_labels(axes)

    @functools.cache
    def roof_of(device: str) -> Curve:
        """It depends on no other control; found on the first frame, so that an error shows under the figure."""
        return roof(decode_latency_ms, devices[device].bandwidth_gb_s, devices[device].half_tflops)

    def update(billions: float, bits: float, batch: int, device: str) -> str:
        chip = devices[device]
        params, rates = billions * 1e9, (chip.bandwidth_gb_s, chip.half_tflops)

        def step_ms(bits, batch):
            return _ms(decode_latency_ms, params, bits, *rates, batch)

        def over_batches(bits):
            """With the whole batches on both sides of the corner, so that it is sharp."""
            corner = balances[device] * bits / 16
            batches = sorted({*BATCHES, *(min(MOST, max(1, f(corner))) for f in (math.floor, math.ceil))})
            return batches, [step_ms(bits, each) / unit for each in batches]

        for line, other in zip(others, devices, strict=True):
            line.set_data(roof_of(other))
        roof_line.set_data(roof_of(device))
        taken, unit = step_ms(bits, batch), step_ms(16, 1)
        here.set_data([2 * batch / (bits / 8)], [2 * params * batch / taken / 1e9])
        full.set_data(over_batches(16))
        chosen.set_data(over_batches(bits))
        now.set_data([batch], [taken / unit])
        limit = float(returned(crossover_batch(chip.half_tflops, chip.bandwidth_gb_s / 1000, bits)))
        edge.set_xdata([limit, limit])
        one.set_text(f"1 = {number(unit)} ms")

        size = float(returned(model_size_gb(params, bits)))
        fits = f"{number(size)} GB {'do not fit into' if size > chip.memory_gb else 'of'} {chip.memory_gb:.3g} GB"
        waits = "memory" if batch < limit else "arithmetic"
        return (
            f"{fits}; {number(taken)} ms a step, {number(1000 * batch / taken)} tokens/s, "
            f"{step_ms(16, batch) / taken:.2f}x as fast as 16 bits; waits for {waits}"
        )

    return Live(
        figure,
        [*others, roof_line, here, full, chosen, now, edge, one],
        update,
        alt="Left: a decoding step as a point on the device's roofline. Right: the time of a step over the batch.",
        billions=_choice([1, 3, 7, 13, 34, 70, 180], 7, "billions of weights"),
        bits=_choice([2, 3, 4, 8, 16, 32], 4, "bits"),
        batch=_choice([2**i for i in range(11)], 1, "batch"),
        device=widgets.Dropdown(options=list(devices), description="device"),
    )


def memory(model_size_gb: Callable, kv_cache_gb: Callable) -> Live:
    """Live: what a 7 B model and its cache take of a card's memory, over the length of the context.

    The shape is that of Llama 2 7B (Touvron et al., 2023, arXiv:2307.09288): 32 layers and heads of 128, 32 of them for
    keys and values. With 8 it is that of Mistral 7B (Jiang et al., 2023, arXiv:2310.06825).
    """
    params, layers, head_dim = 7e9, 32, 128
    contexts = [2**i for i in range(9, 18)]
    figure = Figure(figsize=(8.5, 4.2), dpi=100, layout="constrained")
    axes = figure.subplots()
    (weights,) = axes.loglog([], [], color=style.BEFORE, label="weights")
    (total,) = axes.loglog([], [], color=style.AFTER, label="weights and cache")
    (here,) = axes.loglog([], [], "o", color=style.AFTER, ms=13)
    limit = axes.axhline(1, color=style.MUTED, ls="--", label="the card's memory")
    axes.set(xlabel="context (tokens in each sequence)", ylabel="memory (GB)", xlim=(450, 145_000), ylim=(1, 500))
    axes.legend(loc="upper left")
    _keep_labels(axes)

    def update(bits: int, cache_bits: int, kv_heads: int, batch: int, context: int, card: int) -> str:
        def cache_gb(tokens):
            return float(returned(kv_cache_gb(layers, kv_heads, head_dim, tokens, batch, cache_bits)))

        size, cache = float(returned(model_size_gb(params, bits))), cache_gb(context)
        weights.set_data(contexts, [size] * len(contexts))
        total.set_data(contexts, [size + cache_gb(tokens) for tokens in contexts])
        here.set_data([context], [size + cache])
        limit.set_ydata([card, card])
        room = max(0, int((card - size) / cache_gb(1)))
        verdict = "fits" if size + cache <= card else "does not fit"
        needed = f"weights {number(size)} GB + cache {number(cache)} GB = {number(size + cache)} GB"
        return f"{needed}: {verdict} into {card} GB, which hold {room:,} tokens a sequence"

    return Live(
        figure,
        [weights, total, here, limit],
        update,
        alt="Memory over the context: weights as a level line, weights and cache together rising to the card's limit.",
        bits=_choice([2, 3, 4, 8, 16], 4, "bits of a weight"),
        cache_bits=_choice([4, 8, 16], 16, "bits in the cache"),
        kv_heads=_choice([8, 32], 32, "key-value heads"),
        batch=_choice([1, 2, 4, 8, 16, 32, 64], 1, "batch"),
        context=_choice(contexts, 4096, "context"),
        card=_choice([6, 8, 12, 16, 24, 40, 80], 6, "card (GB)"),
    )


def _ms(decode_latency_ms: Callable, *arguments) -> float:
    return float(returned(decode_latency_ms(*arguments)))


def _choice(values: list[int], value: int, description: str) -> widgets.SelectionSlider:
    return widgets.SelectionSlider(options=values, value=value, description=description)


def _keep_labels(axes: Axes) -> None:
    """Powers of ten as people write them, 0.1 and 1,000, on both logarithmic axes."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        axis.set_minor_formatter(NullFormatter())
