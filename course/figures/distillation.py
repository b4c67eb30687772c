"""Chapter 6: a teacher's answer over temperature, the loss's two parts, its gradient, and what students learn."""

from collections.abc import Callable

import ipywidgets as widgets
import numpy as np

from course import style
from course.figures import Figure, Live
from course.live import returned

#: Temperatures of the gradient's figure: from where T^2 is too much to where it is right.
TEMPERATURES = [1, 1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 32, 40, 50, 64, 80, 100]

#: Ticks of a probability whose axis ends above 1, where the legend is.
_SHARES = [0, 0.2, 0.4, 0.6, 0.8, 1]


def temperature(softmax_with_temperature: Callable, images: np.ndarray, logits: np.ndarray, labels: np.ndarray) -> Live:
    """Live: the teacher's probabilities for one picture over T, through the learner's softmax.

    images: (n, 64) in [0, 1]; logits: the teacher's, (n, classes); labels: (n,).
    """
    count = logits.shape[1]
    figure = Figure(figsize=(11, 3.9), dpi=100, layout="constrained")
    place, linear, log = figure.subplots(1, 3, width_ratios=[1.1, 2, 2])
    picture = _digit(place)
    moving = [picture]
    for axes, title in ((linear, "as the loss sees it"), (log, "the same on a log scale")):
        moving += axes.bar(range(count), np.ones(count), color=style.AFTER, label="at T")
        (dots,) = axes.plot([], [], "D", color=style.BEFORE, ms=6, label="at T = 1")
        moving.append(dots)
        axes.set(title=title, xlabel="digit", ylabel="teacher's probability", xticks=range(count))
    linear.set(ylim=(0, 1.18), yticks=_SHARES)
    log.set(yscale="log", ylim=(1e-10, 2))
    log.axhline(0.01, color=style.MUTED, lw=1, ls="--")
    linear.legend(loc="upper right", ncols=2)
    bars = [artist for artist in moving if hasattr(artist, "set_height")]
    marks = [artist for artist in moving if hasattr(artist, "set_marker")]
    names = _names(labels)

    def update(T: float, picture_shown: str) -> str:
        index = names.index(picture_shown)
        at_one, now = (_probabilities(softmax_with_temperature, logits[index], t) for t in (1.0, T))
        picture.set_data(_grey(images[index]))
        for k, bar in enumerate(bars):
            bar.set_height(now[k % count])
        for mark in marks:
            mark.set_data(range(count), np.maximum(at_one, 1e-12))
        first, second = np.argsort(now)[::-1][:2]
        return (
            f"T = {T:g}: digit {first} gets {now[first]:.2%}, digit {second} {now[second]:.2%}, "
            f"all but {first} together {1 - now[first]:.2%}"
        )

    return Live(
        figure,
        moving,
        update,
        alt="A picture of a digit, and the teacher's ten probabilities at temperature T and at 1, on two scales.",
        T=widgets.FloatSlider(1.0, min=0.5, max=20, step=0.5),
        picture_shown=widgets.Dropdown(options=names, description="picture"),
    )


def two_parts(
    softmax_with_temperature: Callable,
    entropy: Callable,
    kd_loss: Callable,
    teacher_logits: np.ndarray,
    student_logits: np.ndarray,
    labels: np.ndarray,
) -> Live:
    """Live: both networks' bars at T, their entropy over T, and the soft and the hard part of the loss over T.

    teacher_logits, student_logits: (n, classes) for the same pictures; labels: (n,).
    """
    count = teacher_logits.shape[1]
    temperatures = np.geomspace(1, 20, 25)
    colors = {"teacher": style.BEFORE, "student": style.AFTER}
    figure = Figure(figsize=(12, 3.9), dpi=100, layout="constrained")
    bars_at, entropy_at, loss_at = figure.subplots(1, 3)
    bars, entropies, dots = {}, {}, {}
    for shift, (name, color) in zip((-0.2, 0.2), colors.items(), strict=True):
        bars[name] = bars_at.bar(np.arange(count) + shift, np.ones(count), width=0.4, color=color, label=name)
        (entropies[name],) = entropy_at.plot([], [], color=color, label=name)
        (dots[name],) = entropy_at.plot([], [], "o", color=color, ms=9, mec="black")
    bars_at.set(
        title="probabilities at T",
        xlabel="digit",
        ylabel="probability",
        xticks=range(count),
        ylim=(0, 1.18),
        yticks=_SHARES,
    )
    entropy_at.axhline(np.log(count), color=style.MUTED, lw=1, ls="--", label=f"ln {count}")
    entropy_at.set(title="entropy", xlabel="temperature T", ylabel="entropy (nats)", ylim=(0, 1.1 * np.log(count)))
    parts = {"soft part": style.THEORY, "hard part": style.ERROR}
    for name, color in parts.items():
        (entropies[name],) = loss_at.plot([], [], color=color, label=name)
        (dots[name],) = loss_at.plot([], [], "o", color=color, ms=9, mec="black")
    loss_at.set(
        title="the loss's two parts", xlabel="temperature T", ylabel="loss (nats)", yscale="log", ylim=(1e-3, 100)
    )
    for axes in (entropy_at, loss_at):
        axes.set(xscale="log", xlim=(0.9, 22))
        axes.set_xticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
        axes.minorticks_off()
    bars_at.legend(loc="upper right", ncols=2)
    entropy_at.legend(loc="lower right")
    loss_at.legend(loc="upper left")
    names = _names(labels)

    def update(T: float, alpha: float, picture: str) -> str:
        index = names.index(picture)
        logits = {"teacher": teacher_logits[index], "student": student_logits[index]}

        def at(t: float) -> dict[str, float]:
            p, q = (_probabilities(softmax_with_temperature, logits[name], t) for name in colors)
            values = {name: float(returned(entropy(each))) for name, each in zip(colors, (p, q), strict=True)}
            soft = float(returned(kd_loss(p, q, 0.0, alpha, t)))
            return values | {"soft part": soft, "hard part": float(kd_loss(p, q, hard, alpha, t)) - soft}

        student_at_one = _probabilities(softmax_with_temperature, logits["student"], 1.0)
        hard = -float(np.log(max(student_at_one[labels[index]], 1e-300)))
        curves = [at(float(t)) for t in temperatures]
        here = at(T)
        for name, line in entropies.items():
            line.set_data(temperatures, [max(each[name], 1e-9) for each in curves])
            dots[name].set_data([T], [max(here[name], 1e-9)])
        for name, group in bars.items():
            for bar, height in zip(group, _probabilities(softmax_with_temperature, logits[name], T), strict=True):
                bar.set_height(height)
        return (
            f"T = {T:g}, alpha = {alpha:g}: soft part {here['soft part']:.3f}, hard part {here['hard part']:.3f}, "
            f"entropy of the teacher {here['teacher']:.2f}, of the student {here['student']:.2f} nats"
        )

    return Live(
        figure,
        [*(bar for group in bars.values() for bar in group), *entropies.values(), *dots.values()],
        update,
        alt="Bars of the teacher's and the student's probabilities, their entropies and the loss's two parts over T.",
        T=widgets.FloatSlider(4.0, min=1, max=20, step=0.5),
        alpha=widgets.FloatSlider(0.5, min=0, max=1, step=0.05),
        picture=widgets.Dropdown(options=names, value=names[-2]),
    )


def gradient_size(norm: Callable[[str, float], float], limits: dict[str, float]) -> Live:
    """Live: the size of the soft part's gradient over T, without T^2 and, as a share of its limit, with it.

    norm(student, T): the measured size with T^2. limits: {student: its limit for large T}.
    """
    curves = {name: np.array([norm(name, t) for t in TEMPERATURES]) for name in limits}
    t = np.array(TEMPERATURES)
    figure = Figure(figsize=(10, 3.9), dpi=100, layout="constrained")
    without, with_square = figure.subplots(1, 2)
    lines, promises, dots = [], [], []
    for axes, color, title in (
        (without, style.BEFORE, "without $T^2$"),
        (with_square, style.AFTER, "with $T^2$"),
    ):
        lines += axes.plot(t, t, color=color, label="measured")
        promises += axes.plot(t, t, color=style.THEORY, ls="--", label="limit for large T")
        dots += axes.plot([], [], "o", color=color, ms=11, mec="black")
        axes.set(title=title, xlabel="temperature T", xscale="log", xlim=(0.9, 112))
        axes.set_xticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
        axes.minorticks_off()
        axes.legend(loc="lower right" if axes is with_square else "upper right")
    low = min((curve / t**2).min() for curve in curves.values())
    without.set(ylabel="size of the gradient", yscale="log", ylim=(low / 2, 3 * max(limits.values())))
    highest = max((curve / limits[name]).max() for name, curve in curves.items())
    with_square.set(ylabel="size of the gradient (% of its limit)", ylim=(0, 110 * max(1, highest)))

    def update(T: float, student: str) -> str:
        here, beyond = norm(student, T), norm(student, 1.01 * T)
        slope = 2 - np.log(beyond / here) / np.log(1.01)
        for k, divisor in enumerate((t**2, np.full(len(t), limits[student] / 100))):
            lines[k].set_data(t, curves[student] / divisor)
            promises[k].set_data(t, limits[student] / divisor)
            dots[k].set_data([T], [np.interp(T, t, curves[student] / divisor)])
        return (
            f"T = {T:g}: {here / T**2:.3g} without T², where it falls like 1/T^{slope:.2f}; {here:.3g} with T², "
            f"{here / curves[student][0]:.2f} times that at T = 1 and {here / limits[student]:.0%} of the limit"
        )

    return Live(
        figure,
        [*lines, *promises, *dots],
        update,
        alt="The gradient's size over temperature: falling without the square of T, rising to a constant with it.",
        T=widgets.SelectionSlider(options=TEMPERATURES, value=1),
        student=list(limits),
    )


def temperature_and_alpha(
    temperatures: list[float], taught: dict[float, np.ndarray], alone: np.ndarray, pictures: int
) -> Live:
    """Live: held-out accuracy of the taught students over T and alpha, with the spread over seeds.

    taught: {alpha: shares of shape (seeds, temperatures)}; alone: shares of the students without a teacher, (seeds,).
    """
    figure = Figure(figsize=(8, 4.2), dpi=100, layout="constrained")
    axes = figure.subplots()
    for shares in taught.values():
        axes.plot(temperatures, 100 * shares.mean(0), color=style.MUTED, lw=1)
    axes.axhspan(100 * alone.min(), 100 * alone.max(), color=style.BEFORE, alpha=0.15, lw=0)
    axes.axhline(100 * alone.mean(), color=style.BEFORE, ls="--", label="labels alone (mean, band over seeds)")
    (line,) = axes.plot([], [], "o-", color=style.AFTER, label="taught, at this alpha")
    bars = axes.vlines(temperatures, 0, 1, color=style.AFTER, lw=5, alpha=0.35)
    (dot,) = axes.plot([], [], "o", color=style.AFTER, ms=14, mec="black")
    lowest = min(alone.min(), *(shares.min() for shares in taught.values()))
    highest = max(alone.max(), *(shares.max() for shares in taught.values()))
    axes.set(
        title=f"taught on the same {pictures} pictures",
        xlabel="temperature T (grey: the other alphas)",
        ylabel="held-out digits right (%)",
        xscale="log",
        ylim=(100 * lowest - 2, 100 * highest + 2),
    )
    axes.set_xticks(temperatures, [f"{t:g}" for t in temperatures])
    axes.minorticks_off()
    axes.legend(loc="lower right")

    def update(T: float, alpha: float) -> str:
        shares = 100 * taught[alpha]
        line.set_data(temperatures, shares.mean(0))
        bars.set_segments(
            [[(t, low), (t, high)] for t, low, high in zip(temperatures, shares.min(0), shares.max(0), strict=True)]
        )
        here = shares[:, temperatures.index(T)]
        dot.set_data([T], [here.mean()])
        return (
            f"T = {T:g}, alpha = {alpha:g}: {here.mean():.1f} % right, {here.min():.1f} to {here.max():.1f} over "
            f"{len(here)} seeds; labels alone {100 * alone.mean():.1f} %"
        )

    return Live(
        figure,
        [line, bars, dot],
        update,
        alt="Accuracy of taught students over temperature for the chosen alpha, and of students without a teacher.",
        T=widgets.SelectionSlider(options=temperatures, value=temperatures[0]),
        alpha=widgets.SelectionSlider(options=list(taught), value=list(taught)[-1]),
    )


def tokens_per_check(yields: dict[int, np.ndarray], agreement: dict[int, np.ndarray], cost: dict[int, float]) -> Live:
    """Live: tokens of a speculative check over the draft's bits, and the gain over k where time follows bytes.

    yields: {the draft's bits: tokens of a check, of shape (places, k)}, the columns being 1, 2, ... drafted tokens.
    agreement: {bits: the probability that a drafted token is kept, (places, k)}. cost: {bits: a pass of the draft, in
    passes of the target}. Expected, with a the mean agreement: (1 - a^(k+1)) / (1 - a), and the gain is the tokens over
    1 + k * cost (Leviathan et al., 2023, arXiv:2211.17192).
    """
    bits_shown = list(yields)
    most = next(iter(yields.values())).shape[1]
    counts, at = np.arange(1, most + 1), np.arange(len(bits_shown))
    means = np.array([yields[bits].mean(0) for bits in bits_shown])
    errors = np.array([2 * yields[bits].std(0) / np.sqrt(len(yields[bits])) for bits in bits_shown])
    kept = np.array([[agreement[bits][:, :k].mean() for k in counts] for bits in bits_shown])
    expected = sum(kept**power * (power <= counts) for power in range(most + 1))
    gains = means / (1 + counts * np.array([[cost[bits]] for bits in bits_shown]))
    figure = Figure(figsize=(11, 4.2), dpi=100, layout="constrained")
    tokens_at, gain_at = figure.subplots(1, 2)
    (limit,) = tokens_at.plot([], [], color=style.MUTED, ls="--", label="most possible, k + 1")
    (theory,) = tokens_at.plot(
        [], [], "o-", color=style.THEORY, mfc="white", ms=9, label="expected from the share kept"
    )
    bars = tokens_at.vlines(at, 0, 1, color=style.AFTER, lw=5, alpha=0.35)
    (measured,) = tokens_at.plot([], [], "o", color=style.AFTER, ms=6, label="measured, two standard errors")
    (chosen,) = tokens_at.plot([], [], "o", color="none", mec="black", ms=15)
    tokens_at.set(
        title="tokens for each check",
        xlabel="bits of the draft's weights",
        ylabel="tokens",
        xlim=(-0.4, len(at) - 0.6),
        ylim=(0, 1.45 * (most + 1)),
    )
    tokens_at.set_xticks(at, [str(bits) for bits in bits_shown])
    tokens_at.legend(loc="upper left")
    for row in gains:
        gain_at.plot(counts, row, color=style.MUTED, lw=1)
    gain_at.axhline(1, color=style.BEFORE, ls="--", label="without a draft")
    (curve,) = gain_at.plot([], [], "o-", color=style.AFTER, label="with this draft")
    (dot,) = gain_at.plot([], [], "o", color=style.AFTER, ms=14, mec="black")
    gain_at.set(
        title="the gain where time follows bytes",
        xlabel="drafted tokens k (grey: the other drafts)",
        ylabel="times as fast",
        xticks=counts,
        xlim=(0.7, most + 0.3),
        ylim=(0, 1.3 * max(1, gains.max())),
    )
    gain_at.legend(loc="upper right")

    def update(drafted: int, bits: int) -> str:
        row, column = bits_shown.index(bits), drafted - 1
        limit.set_data(at, np.full(len(at), drafted + 1))
        theory.set_data(at, expected[:, column])
        measured.set_data(at, means[:, column])
        bars.set_segments(
            [
                [(x, mean - error), (x, mean + error)]
                for x, mean, error in zip(at, means[:, column], errors[:, column], strict=True)
            ]
        )
        chosen.set_data([row], [means[row, column]])
        curve.set_data(counts, gains[row])
        dot.set_data([drafted], [gains[row, column]])
        return (
            f"k = {drafted}, draft in {bits} bits: {means[row, column]:.2f} tokens a check, expected "
            f"{expected[row, column]:.2f} with {kept[row, column]:.1%} kept; {gains[row, column]:.2f} times as fast "
            f"where time follows bytes, at best {gains[row].max():.2f} with k = {counts[gains[row].argmax()]}"
        )

    return Live(
        figure,
        [limit, theory, bars, measured, chosen, curve, dot],
        update,
        alt="Tokens of a check over the draft's bits, measured and expected, and the gain over the drafted tokens.",
        drafted=widgets.IntSlider(min(4, most), min=1, max=most, description="drafted tokens k"),
        bits=widgets.SelectionSlider(options=bits_shown, value=bits_shown[len(bits_shown) // 2]),
    )


def students(accuracies: dict[str, np.ndarray], without_teacher: set[str], teacher: float) -> Figure:
    """Held-out accuracy of each way to train the student: a dot for each seed, a line at the mean.

    accuracies: {name: shares, one for each seed}; without_teacher: the names drawn in the other colour.
    teacher: the teacher's own share.
    """
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    axes.axvline(100 * teacher, color=style.MUTED, ls="--", label="teacher")
    for row, (name, shares) in enumerate(accuracies.items()):
        color = style.BEFORE if name in without_teacher else style.AFTER
        axes.plot(100 * shares, [row] * len(shares), "o", color=color, ms=9, mec="white")
        axes.plot([100 * shares.mean()] * 2, [row - 0.3, row + 0.3], color=color, lw=3)
    means = "; ".join(f"{name} {100 * shares.mean():.1f}" for name, shares in accuracies.items())
    figure.set_label(f"Held-out digits right in %, mean over seeds: {means}; teacher {100 * teacher:.1f}.")
    axes.set_yticks(range(len(accuracies)), list(accuracies))
    axes.invert_yaxis()
    axes.set(xlabel="held-out digits right (%); dot: a seed, bar: their mean")
    axes.legend(loc="lower left")
    return figure


def _digit(axes):
    axes.set(xticks=[], yticks=[], title="the picture")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return axes.imshow(_grey(np.zeros(64)), interpolation="nearest")


def _grey(pixels: np.ndarray) -> np.ndarray:
    """64 values in [0, 1] as an 8 x 8 picture of RGBA bytes, dark on white: numbers take longer to draw."""
    shade = (255 * (1 - np.asarray(pixels).reshape(8, 8))).astype(np.uint8)
    return np.dstack([shade, shade, shade, np.full_like(shade, 255)])


def _names(labels: np.ndarray) -> list[str]:
    return [f"{k + 1}: labelled {label}" for k, label in enumerate(labels)]


def _probabilities(softmax_with_temperature: Callable, logits: np.ndarray, T: float) -> np.ndarray:
    return np.asarray(returned(softmax_with_temperature(logits, T)))
