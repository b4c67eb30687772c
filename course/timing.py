"""How long work takes, measured in one way throughout the course: in turn, in several rounds, median and spread.

What is compared runs in the same rounds, so a machine that turns busy slows all of it alike. PyTorch's benchmark timer
takes each round's time: it warms up, waits for a GPU to finish, and runs short work in blocks.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.benchmark import Timer
from tqdm.auto import tqdm

from course import GRADING

#: The spread from which a median says little.
NOISY = 0.2


class Timing(NamedTuple):
    """seconds: the median of the rounds. spread: the range of the middle half of the rounds over the median."""

    seconds: float
    spread: float

    def __str__(self) -> str:
        return f"{1000 * self.seconds:.3g} ms (spread {self.spread:.0%})"


def timings(
    works: dict[str, Callable[[], object]], rounds: int = 7, threads: int | None = None, seconds: float = 0.2
) -> dict[str, Timing]:
    """The Timing of one call of each of `works`, functions of no arguments.

    threads: that PyTorch uses; None for as many as it has. Small networks are often faster on one. seconds: how long
    the rounds of each go on; slow work takes longer, because each round calls it once at least.
    """
    if rounds < 3:
        raise ValueError(f"rounds must be at least 3 to have a spread, got {rounds}")
    rounds, seconds = (3, 0.003) if GRADING else (rounds, seconds)
    threads = threads or torch.get_num_threads()
    timers = {name: Timer("work()", globals={"work": work}, num_threads=threads) for name, work in works.items()}
    for work in works.values():
        work()  # what is set up once, such as a GPU's library, is no part of the time
    found: dict[str, list[float]] = {name: [] for name in works}
    with tqdm(total=rounds * len(works), desc="measuring", leave=False, disable=GRADING) as progress:
        for _ in range(rounds):
            for name, timer in timers.items():
                found[name].append(timer.blocked_autorange(min_run_time=seconds / rounds).median)
                progress.update()
    return {name: _summed(times) for name, times in found.items()}


def _summed(times: list[float]) -> Timing:
    low, median, high = np.quantile(times, [0.25, 0.5, 0.75]).tolist()
    return Timing(median, (high - low) / median)


def measure_again(found: dict[str, Timing]) -> str:
    """A line that says so where the times of some work spread widely; "" where all medians can be compared."""
    noisy = [name for name, timing in found.items() if timing.spread > NOISY]
    if not noisy:
        return ""
    names = ", ".join(map(str, noisy))
    return f"Measure again: the times of {names} spread by more than {NOISY:.0%}. Is the machine busy?"
