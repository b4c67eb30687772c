"""Chapter 9: does it fit, which order, which bits for which layer and code, the Pareto picture, the closing tables."""

import html
from collections.abc import Callable

import ipywidgets as widgets
import numpy as np

from course import style
from course.figures import Figure, Live
from course.live import returned

CARD_GB = 8


def fits(compressed_size_gb: Callable, params: float) -> Live:
    """Live: the size of a model of `params` parameters beside the card's memory, through the learner's function."""
    before = params * 2 / 1e9
    figure = Figure(figsize=(9, 2.4), dpi=100, layout="constrained")
    axes = figure.subplots()
    axes.barh(1, before, color=style.BEFORE)
    (bar,) = axes.barh(0, before, color=style.AFTER)
    axes.axvline(CARD_GB, color=style.MUTED, ls="--")
    axes.text(CARD_GB + 0.15, 1.62, f"card: {CARD_GB} GB", color=style.MUTED)
    axes.set_yticks([0, 1], ["compressed", "FP16"])
    axes.set(xlabel="GB", xlim=(0, 1.04 * before), ylim=(-0.6, 2))

    def update(pruned: float, bits: int) -> str:
        size = float(returned(compressed_size_gb(params, 16, pruned, bits)))
        bar.set_width(size)
        left = CARD_GB - size
        room = f"{left:.2f} GB left" if left >= 0 else f"{-left:.2f} GB too much"
        return f"{size:.2f} GB, {before / size:.2f} times smaller: {room}"

    return Live(
        figure,
        [bar],
        update,
        alt="Two bars, the size of the model in FP16 and compressed, and the memory of the card as a dashed line.",
        pruned=widgets.FloatSlider(0.0, min=0, max=0.9, step=0.05, description="pruned share"),
        bits=widgets.SelectionSlider(options=[2, 3, 4, 6, 8, 16], value=16),
    )


def orders(digits: dict[str, np.ndarray], gpt: dict[str, float], before: float) -> Figure:
    """Bars for each order: accuracy of the digits' network (a dot a seed), and TinyGPT's bits per byte."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.set_axisbelow(True)
    for place, shares in enumerate(digits.values()):
        left.barh(place, 100 * np.mean(shares), color=style.AFTER if place == 0 else style.BEFORE)
        left.plot(100 * np.asarray(shares), [place] * len(shares), "o", color="black", ms=4)
        left.text(1, place, f"{100 * np.mean(shares):.1f}", va="center", color="white", size=14, weight="bold")
    for place, value in enumerate(gpt.values()):
        right.barh(place, value, color=style.AFTER if place == 0 else style.BEFORE)
        right.text(0.03, place, f"{value:.3f}", va="center", color="white", size=14, weight="bold")
    right.axvline(before, color=style.MUTED, ls="--")
    left.set(title="digits", xlabel="accuracy (%), a dot for each seed", xlim=(0, 100))
    right.set(title="TinyGPT (dashed: as trained)", xlabel="bits per byte, lower is better")
    for axes, names in ((left, digits), (right, gpt)):
        axes.set_yticks(range(len(names)), names)
        axes.invert_yaxis()
    return figure


def allocation(allocate_bits: Callable, sensitivity: dict[str, float], sizes: dict[str, int]) -> Live:
    """Live: each layer's bits, as the learner's `allocate_bits` gives them, below its sensitivity."""
    names = [name for name in sizes if name in sensitivity]
    weights = sum(sizes[name] for name in names)
    figure = Figure(figsize=(10, 4.4), dpi=100, layout="constrained")
    top, axes = figure.subplots(2, 1, sharex=True)
    places = np.arange(len(names))
    top.bar(places, [max(sensitivity[name], 1e-4) for name in names], color=style.BEFORE)
    top.set(yscale="log", ylabel="loss increase\n(bits per byte)")
    bars = axes.bar(places, np.ones(len(names)), color=style.AFTER)
    axes.set(xlabel="block and layer", ylabel="bits", ylim=(0, 8.4), yticks=[2, 3, 4, 8])
    axes.set_xticks(
        places, [name.replace("blocks.", "").replace("attention.", "").replace("mlp.", "") for name in names]
    )
    axes.tick_params(axis="x", rotation=60, labelsize=9)

    def update(bits_per_weight: float) -> str:
        budget = int(weights * bits_per_weight / 8)
        bits = returned(allocate_bits(sensitivity, sizes, budget))
        for bar, name in zip(bars, names, strict=True):
            bar.set_height(bits[name])
        used = sum(sizes[name] * bits[name] for name in names) / 8
        predicted = sum(max(sensitivity[name], 0) * 4.0 ** -bits[name] for name in names)
        return f"{used:,.0f} of {budget:,} bytes, predicted loss {predicted:.3g}"

    return Live(
        figure,
        list(bars),
        update,
        alt="Above, a bar for each layer's sensitivity; below, a bar for the bits that the layer gets.",
        bits_per_weight=widgets.FloatSlider(3.0, min=2, max=8, step=0.1, description="budget: bits per weight"),
    )


class Measured(dict):
    """{(pruned share, bits, group size): bits per byte} of TinyGPT, and how many numbers it has.

    weights: those that were pruned and quantized; others: those that stay in 16 bits.
    """

    def __init__(self, weights: int, others: int):
        super().__init__()
        self.weights, self.others = weights, others

    def size(self, compressed_size_gb: Callable, key: tuple) -> float:
        """Bytes: codes by the learner's function, 16 bits for each group's scale, a bit a weight to say which are 0."""
        share, bits, group_size = key
        codes = 1e9 * float(returned(compressed_size_gb(self.weights, 16, share, bits)))
        return codes + 2 * self.weights / group_size + (self.weights / 8 if share else 0) + 2 * self.others


def pareto(compressed_size_gb: Callable, measured: Measured, uncompressed: float, limit: int) -> Live:
    """Live: every compressed TinyGPT by size and bits per byte, the front that nothing beats, and the one chosen."""
    shares, all_bits, groups = (sorted({key[place] for key in measured}) for place in range(3))
    quality = np.array(list(measured.values()))
    figure = Figure(figsize=(9, 4.6), dpi=100, layout="constrained")
    axes = figure.subplots()
    (everything,) = axes.plot([], [], "o", color=style.MUTED, ms=5, mfc="white", label="all that was measured")
    (front,) = axes.plot([], [], color=style.THEORY, drawstyle="steps-post", label="Pareto front")
    (chosen,) = axes.plot([], [], "o", color=style.AFTER, ms=13, label="chosen")
    _frame(axes, limit, 2 * (measured.weights + measured.others))

    def update(pruned: float, bits: int, group_size: int) -> str:
        sizes = np.array([measured.size(compressed_size_gb, key) for key in measured]) / 1000
        heights = _above(quality, uncompressed)
        everything.set_data(sizes, heights)
        best = np.array([not ((sizes <= s) & (quality < q)).any() for s, q in zip(sizes, quality, strict=True)])
        rank = sizes[best].argsort()
        front.set_data(sizes[best][rank], heights[best][rank])
        here = list(measured).index((pruned, bits, group_size))
        chosen.set_data([sizes[here]], [heights[here]])
        beaten = "on the front" if best[here] else "something as small is better"
        more = quality[here] - uncompressed
        return f"{sizes[here]:,.0f} kB, {quality[here]:.3f} bits per byte, {more:+.3f} against as trained: {beaten}"

    return Live(
        figure,
        [everything, front, chosen],
        update,
        alt="Bits per byte over size for every way to prune and quantize TinyGPT, with the front that nothing beats.",
        pruned=widgets.SelectionSlider(options=shares, value=shares[0], description="pruned share"),
        bits=widgets.SelectionSlider(options=all_bits, value=4),
        group_size=widgets.SelectionSlider(options=groups, value=groups[0]),
    )


def your_file(
    compressed_size_gb: Callable, measured: Measured, uncompressed: float, limit: int, size: int, bits_per_byte: float
) -> Figure:
    """The Pareto picture with one file more: the learner's."""
    figure = Figure(figsize=(9, 4.6), layout="constrained")
    axes = figure.subplots()
    sizes = [measured.size(compressed_size_gb, key) / 1000 for key in measured]
    heights = _above(list(measured.values()), uncompressed)
    axes.plot(sizes, heights, "o", color=style.MUTED, ms=5, mfc="white", label="pruned and rounded to nearest")
    (height,) = _above([bits_per_byte], uncompressed)
    axes.plot(size / 1000, height, "*", color=style.AFTER, ms=18, label="your file")
    _frame(axes, limit, 2 * (measured.weights + measured.others))
    return figure


#: The lowest that is drawn: bits per byte more than as trained, or fewer, or none.
LOWEST = 1e-3


def _above(quality, uncompressed: float) -> np.ndarray:
    return np.maximum(np.asarray(quality) - uncompressed, LOWEST)


def _frame(axes, limit: int, full: float) -> None:
    axes.axvline(limit / 1000, color=style.MUTED, ls="--", label="25 % of FP16")
    axes.set(xlabel="size (kB)", xlim=(0.18 * full / 1000, 0.62 * full / 1000))
    axes.set(ylabel="bits per byte more than as trained\n(at the bottom: 0.001 or less)", yscale="log")
    axes.set_ylim(0.8 * LOWEST, 6)
    axes.legend(loc="upper right")


def code_lengths(
    huffman_lengths: Callable,
    coded: dict[float, tuple[np.ndarray, np.ndarray]],
    more: dict[float, float],
    int4: tuple[float, float],
    step_bits: float,
) -> Live:
    """Live: the learner's code lengths beside the entropy's, and bits for each weight over the step.

    coded: {step in standard deviations: (codes, how often each occurs)}. more: {step: bits per byte more}. int4: bits
    for each weight of INT4 in groups, and the bits per byte more. step_bits: what the steps take, for each weight.
    """
    steps = list(coded)
    shares = {step: counts / counts.sum() for step, (_, counts) in coded.items()}
    entropy = [-(shares[step] * np.log2(shares[step])).sum() for step in steps]
    means: dict[float, float] = {}
    figure = Figure(figsize=(11, 4.2), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2)
    (promised,) = left.plot([], [], color=style.THEORY, label="$-\\log_2$ of the code's share")
    (lengths,) = left.plot([], [], "o", color=style.AFTER, ms=5, label="your code's length")
    left.set(xlabel="weight (standard deviations of its row)", xlim=(-6, 6), ylabel="bits", ylim=(0, 24))
    left.legend(loc="upper center")
    right.plot(steps, np.array(entropy) + step_bits, color=style.THEORY, label="entropy")
    right.axhline(int4[0], color=style.MUTED, ls="--")
    right.text(steps[-1], int4[0] + 0.08, f"INT4, groups of 32: {int4[1]:+.3f}", color=style.MUTED, ha="right")
    for step, bits in zip(steps, entropy, strict=True):
        right.text(
            step, bits + step_bits - 0.22, f"{more[step]:+.3f}", ha="right", va="top", size=10,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    (dots,) = right.plot([], [], "o", color=style.AFTER, ms=6, label="your code's mean length")
    (chosen,) = right.plot([], [], "o", color=style.AFTER, ms=14, mfc="none", mew=2)
    ticks = [step for step in (0.1, 0.2, 0.3, 0.4, 0.6, 0.8) if step in coded]
    right.set(xlabel="step (standard deviations of the row)", xscale="log", xlim=(0.65 * steps[0], 1.2 * steps[-1]))
    right.set_xticks(ticks, [f"{step:g}" for step in ticks])
    right.minorticks_off()
    right.set(
        ylabel="bits for each weight, steps included\n(beside: bits per byte more)",
        ylim=(min(entropy) - 0.9, max(entropy) + 0.6),
    )
    right.legend(loc="upper right")

    def mean_of(step: float) -> float:
        if step not in means:
            means[step] = float(shares[step] @ np.asarray(returned(huffman_lengths(coded[step][1])), dtype=float))
        return means[step]

    def update(step: float) -> str:
        codes, counts = coded[step]
        promised.set_data(codes * step, -np.log2(shares[step]))
        lengths.set_data(codes * step, np.asarray(returned(huffman_lengths(counts)), dtype=float))
        dots.set_data(steps, [mean_of(each) + step_bits for each in steps])
        chosen.set_data([step], [mean_of(step) + step_bits])
        least = entropy[steps.index(step)]
        return (
            f"{len(codes)} codes, {least:.2f} bits of entropy, {mean_of(step):.2f} bits with your code, "
            f"{more[step]:+.3f} bits per byte"
        )

    return Live(
        figure,
        [promised, lengths, dots, chosen],
        update,
        alt="Each code's length beside minus the logarithm of its share; and bits for each weight over the step.",
        step=widgets.SelectionSlider(options=steps, value=0.3 if 0.3 in coded else steps[0], description="step (σ)"),
    )


#: Technique, where the course has it, what papers report as ratio and loss, and what hardware it asks for.
TECHNIQUES = [
    ("Post-training quantization", "1, 2", "4x to 5x (3 to 4 bits)", "negligible on large models (GPTQ)",
     "kernels that unpack and rescale; any memory-bound device gains"),
    ("Quantization-aware training", "3", "8x to 16x from FP32 (2 to 4 bits)", "none at 3 bits on ResNets (LSQ)",
     "integer units, or kernels that unpack; training hardware first"),
    ("Pruning", "4", "9x to 13x fewer weights", "none on AlexNet, VGG-16 (Han 2015)",
     "structured: any; 2:4: sparse tensor cores; unstructured: sparse kernels"),
    ("Lottery tickets", "5", "5x to 10x fewer weights", "none on small networks (Frankle)",
     "as unstructured pruning; many trainings first"),
    ("Distillation", "6", "1.7x fewer weights", "3 % of the score (DistilBERT)", "any: the student is dense"),
    ("Low rank and LoRA", "7", "10,000x fewer trained weights; the model keeps its size", "none (LoRA)",
     "any: products of dense matrices"),
    ("Mixed precision", "8", "nearly 2x in training memory, most of it activations", "none (Micikevicius)",
     "FP16 or BF16 units"),
]  # fmt: skip


#: Lab, what came in, what it is good for or warns of.
LABS = [
    (
        "L0.11",
        "INT4 over batches",
        "few bits save time while reading the weights is what takes it; unpacking takes some",
    ),
    (
        "L1.10",
        "block formats: MXFP4, NVFP4, NF4",
        "16 levels that are not evenly spaced, with a scale for each small block",
    ),
    ("L1.11", "k-means codebooks", "levels where the weights are; gains with few bits"),
    ("L2.11", "Hadamard rotation", "spreads outliers of the activations over all channels"),
    ("L2.12", "KV cache quantization", "the memory of long contexts; keys and values want different axes"),
    ("L2.13", "AWQ", "scales channels by their inputs before rounding"),
    ("L4.10", "SparseGPT, 2:4", "pruning that moves the weights left; a pattern that hardware knows"),
    ("L6.9", "speculative decoding", "a small model drafts, the large one checks; the output is the large one's"),
    ("L7.10", "QLoRA", "a trained low-rank part on frozen codes"),
    ("L7.11", "double quantization", "the scales are quantized, too"),
    ("L9.10", "Huffman codes", "bits that follow how often a code occurs, without another error"),
    ("L9.11", "paired bootstrap", "whether a difference of two models is more than chance"),
]


class Techniques:
    """The seven techniques side by side, with what the learner measured beside each: {technique: text}."""

    HEAD = ("technique", "chapter", "typical ratio", "quality loss", "hardware", "you measured")
    ROWS = TECHNIQUES

    def __init__(self, yours: dict[str, str]):
        unknown = set(yours) - {row[0] for row in self.ROWS}
        if unknown:
            raise ValueError(f"yours names {', '.join(sorted(unknown))}, which the table does not have")
        self.rows = [(*row, yours.get(row[0]) or self.elsewhere(row)) for row in self.ROWS]

    def elsewhere(self, row: tuple) -> str:
        """Where the number is that this chapter has not measured."""
        return f"(from Chapter {row[1].split(', ')[-1]})"

    def __repr__(self) -> str:
        return "\n".join(" | ".join(row) for row in (self.HEAD, *self.rows))

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col" style="text-align:left">{name}</th>' for name in self.HEAD)
        body = "".join(
            f'<tr><th scope="row" style="text-align:left">{html.escape(first)}</th>'
            + "".join(f'<td style="text-align:left">{html.escape(cell)}</td>' for cell in rest)
            + "</tr>"
            for first, *rest in self.rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Labs(Techniques):
    """The labs that go further, with what they are good for and what the learner measured: {lab: text}."""

    HEAD = ("lab", "what came in", "what it is good for", "you measured")
    ROWS = LABS

    def elsewhere(self, row: tuple) -> str:
        return "" if row[0].startswith("L9.") else f"(from Chapter {row[0][1]})"
