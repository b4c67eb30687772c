"""Chapter 5: what iterative pruning costs, what rewinding does, and a ticket's mask round by round."""

from collections.abc import Callable

import ipywidgets as widgets
import numpy as np
import torch
from matplotlib.colors import LinearSegmentedColormap

from course import style
from course.figures import Figure, Live
from course.live import returned

VARIANTS = {"ticket": style.AFTER, "new weights": style.BEFORE, "shuffled mask": style.THEORY}
_INK = LinearSegmentedColormap.from_list("ink", ["white", style.AFTER])


def cost(iterative_prune: Callable, imp_rounds: Callable, epochs: int = 100) -> Live:
    """Live: weights left after each training, over target sparsity and prune rate, through the learner's functions.

    epochs: what one training takes.
    """
    most = 40
    figure = Figure(figsize=(8, 3.9), dpi=100, layout="constrained")
    axes = figure.subplots()
    (left,) = axes.plot([], [], "o-", color=style.AFTER, ms=4, label="weights left")
    (target,) = axes.plot([], [], color=style.MUTED, ls="--", label="target")
    (reached,) = axes.plot([], [], "o", color=style.BEFORE, ms=11, label="target reached")
    axes.set(xlabel="trainings", ylabel="weights left (%)", xlim=(-0.5, most + 0.5), ylim=(1, 110), yscale="log")
    axes.set_yticks([1, 2, 5, 10, 20, 50, 100], ["1", "2", "5", "10", "20", "50", "100"])
    axes.minorticks_off()
    axes.legend(loc="upper right")

    def update(target_sparsity: float, prune_rate: float) -> str:
        rounds = returned(imp_rounds(target_sparsity, prune_rate))
        counts = [100.0, *returned(iterative_prune(100, prune_rate, most))]
        left.set_data(range(len(counts)), counts)
        target.set_data([-0.5, most + 0.5], [100 * (1 - target_sparsity)] * 2)
        reached.set_data([rounds], [counts[rounds]])
        trainings = f"{rounds} training{'s' * (rounds != 1)}"
        return (
            f"{trainings} to the mask, 1 more for the ticket: {(rounds + 1) * epochs:,} epochs, "
            f"{rounds + 1} times the price of one; {counts[rounds]:.1f} % of the weights left"
        )

    return Live(
        figure,
        [left, target, reached],
        update,
        alt="The weights left, falling with the number of trainings, and the training that reaches the target.",
        target_sparsity=widgets.FloatSlider(0.8, min=0.5, max=0.98, step=0.01),
        prune_rate=widgets.FloatSlider(0.2, min=0.1, max=0.9, step=0.05),
    )


def rewinding(initial: torch.Tensor, trained: torch.Tensor, rewound: torch.Tensor, mask: torch.Tensor) -> Figure:
    """A matrix's weights over their initial values, at the end of training and after rewinding; survivors in colour."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    kept = mask.bool().flatten().numpy()
    x = initial.detach().flatten().numpy()
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    for ax, values, title in zip(axes, (trained, rewound), ("after training", "after your rewind"), strict=True):
        y = values.detach().flatten().numpy()
        for chosen, color, label in ((~kept, style.MUTED, "pruned"), (kept, style.AFTER, "surviving")):
            ax.plot(x[chosen], y[chosen], ".", color=color, ms=3, alpha=0.3, label=label, rasterized=True)
        ax.set(title=title, xlabel="initial weight")
        ax.locator_params(axis="x", nbins=5)
    axes[0].set_ylabel("weight")
    axes[1].legend(loc="upper left", markerscale=4)
    return figure


def rounds(
    iterative_prune: Callable,
    masks: dict[str, list[dict[str, torch.Tensor]]],
    accuracies: dict[str, np.ndarray],
    prune_rate: float,
) -> Live:
    """Live: the mask of each round as a picture, its density, and the accuracy of the three variants.

    masks: {"ticket": [{parameter's name: mask of the matrix} for each round, from round 0], ...}, three matrices, the
        first of them with 64 columns. accuracies: {a name in VARIANTS: shares of shape (seeds, rounds + 1)}.
    """
    shown = {name: [[mask.numpy() for mask in each.values()] for each in of] for name, of in masks.items()}
    first = next(iter(shown.values()))
    total = sum(mask.size for mask in first[0])
    left = [int(sum(mask.sum() for mask in each)) for each in first]
    last = len(left) - 1

    figure = Figure(figsize=(12, 3.9), dpi=100, layout="constrained")
    pixels, one, two, axes = figure.subplots(1, 4, width_ratios=[1.3, 1.3, 2.6, 3.8])
    images, pictures = [], {name: [_pictures(each) for each in of] for name, of in shown.items()}
    titles = ["weights per pixel", "64 pixels to\n128 neurons", "128 neurons to 128"]
    for place, title, start in zip((pixels, one, two), titles, pictures["ticket"][0], strict=True):
        place.set_title(title, fontsize=11)
        height, width = start.shape[:2]
        place.grid(visible=False)
        place.spines[:].set(visible=True, color=style.MUTED)
        images.append(place.imshow(start, interpolation="nearest"))
        edge = width / 60  # room for the frame, which the moving picture would cover
        place.set(xlim=(-0.5 - edge, width - 0.5 + edge), ylim=(height - 0.5 + edge, -0.5 - edge), xticks=[], yticks=[])

    for name, color in VARIANTS.items():
        shares = 100 * accuracies[name]
        axes.plot(range(last + 1), shares.mean(0), color=color, label=name)
        axes.fill_between(range(last + 1), shares.min(0), shares.max(0), color=color, alpha=0.2, lw=0)
    axes.set(xlabel="round\nweights left (%)", ylabel="held-out digits right (%)")
    axes.set_ylim(max(0, 100 * min(shares.min() for shares in accuracies.values()) - 5), 101)
    axes.set_xticks(range(last + 1), [f"{k}\n{100 * n / total:.3g}" for k, n in enumerate(left)])
    axes.tick_params(axis="x", labelsize=9)
    axes.legend(loc="lower left", title="mean, lowest to highest")
    here = axes.axvline(0, color=style.MUTED, lw=1, ls="--")
    dots = [axes.plot([], [], "o", color=color, ms=9, mec="black")[0] for color in VARIANTS.values()]

    def update(round: int, mask: str) -> str:
        for image, picture in zip(images, pictures[mask][round], strict=True):
            image.set_data(picture)
        here.set_xdata([round, round])
        for dot, name in zip(dots, VARIANTS, strict=True):
            dot.set_data([round], [100 * accuracies[name][:, round].mean()])
        promised = [total, *returned(iterative_prune(total, prune_rate, last))][round]
        reached = ", ".join(f"{name} {accuracies[name][:, round].mean():.1%}" for name in VARIANTS)
        return (
            f"round {round}: {left[round]:,} of {total:,} weights left ({left[round] / total:.1%}), "
            f"your iterative_prune says {promised:,.0f}; {reached}"
        )

    return Live(
        figure,
        [*images, here, *dots],
        update,
        alt="The masks of two layers and the surviving weights of each pixel as pictures, and three accuracy curves.",
        round=widgets.IntSlider(min(4, last), 0, last),
        mask=list(masks),
    )


def _pictures(matrices: list[np.ndarray]) -> list[np.ndarray]:
    """The first mask's ones per pixel and the first two masks, as RGBA bytes: numbers take longer to draw."""
    per_pixel = matrices[0].sum(0).reshape(8, 8)
    return [_INK(values, bytes=True) for values in (per_pixel / max(per_pixel.max(), 1), *matrices[:2])]
