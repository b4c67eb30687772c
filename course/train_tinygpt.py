"""Trains TinyGPT on the standard library: `python -m course.tinygpt`, or with fewer steps for a quick try.

The block matrices are trained with Muon (Jordan et al., 2024, https://kellerjordan.github.io/posts/muon), the rest
with Adam. The rate stays level for half of the steps and then falls to zero. The shipped weights took 2600 steps, 23
minutes of CPU time, and reached 1.59 bits per held-out byte (Python 3.11).
"""

import argparse
from pathlib import Path

import torch
from torch.nn import functional
from tqdm import tqdm

from course import tinygpt

STEPS = 2600
BATCH = 32  # windows of 128 bytes
SEED = 0
WARM_UP = 100  # steps


class Muon(torch.optim.Optimizer):
    """Momentum whose every step is made orthogonal, so that no direction of a matrix learns faster than the others."""

    def __init__(self, matrices: list[torch.nn.Parameter], lr: float, momentum: float = 0.95):
        super().__init__(matrices, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            by_shape = {}
            for matrix in group["params"]:
                average = self.state[matrix].setdefault("average", torch.zeros_like(matrix))
                average.lerp_(matrix.grad, 1 - group["momentum"])
                by_shape.setdefault(matrix.shape, []).append((matrix, matrix.grad.lerp(average, group["momentum"])))
            for (rows, columns), pairs in by_shape.items():
                steps = orthogonal(torch.stack([step for _, step in pairs]))
                for (matrix, _), step in zip(pairs, steps, strict=True):
                    matrix.sub_(step, alpha=group["lr"] * max(1, rows / columns) ** 0.5)


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Roughly U V^T for each matrix U S V^T of a stack (n, rows, columns), by five Newton-Schulz iterations."""
    wide = matrices.shape[1] <= matrices.shape[2]
    x = matrices if wide else matrices.mT
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if wide else x.mT


def fresh(seed: int = SEED) -> tinygpt.TinyGPT:
    """An untrained model. Each block starts as the identity, and the head at equal odds for all bytes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = tinygpt.TinyGPT()
    torch.nn.init.zeros_(model.head.weight)
    for block in model.blocks:
        torch.nn.init.zeros_(block.attention.out.weight)
        torch.nn.init.zeros_(block.mlp.down.weight)
    return model


def train(steps: int = STEPS, batch: int = BATCH, seed: int = SEED, every: int = 500) -> tinygpt.TinyGPT:
    """A model trained for `steps` steps, with a progress bar; `every` so many it is measured on held-out text."""
    model, text = fresh(seed), tinygpt.training_text()
    matrices = [layer.weight for layer in tinygpt.linears(model).values()]
    others = [p for p in model.parameters() if not any(p is matrix for matrix in matrices)]
    optimizers = [Muon(matrices, lr=0.02), torch.optim.Adam(others, lr=0.004, betas=(0.8, 0.95))]

    def rate(step: int) -> float:
        return min((step + 1) / WARM_UP, 1, 2 * (1 - step / steps))

    schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, rate) for optimizer in optimizers]
    with tqdm(range(steps), unit="step", mininterval=1) as bar:
        for step in bar:
            tokens = tinygpt.windows(text, batch, seed=seed * 1_000_003 + step)
            loss = functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
            model.zero_grad()
            loss.backward()
            for part in [*optimizers, *schedules]:
                part.step()
            if (step + 1) % every == 0 or step + 1 == steps:
                bar.set_postfix(held_out_bits_per_byte=f"{tinygpt.bits_per_byte(model):.3f}")
    return model.eval()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m course.tinygpt", description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=STEPS, help="default: %(default)s")
    parser.add_argument("--out", type=Path, default=tinygpt.WEIGHTS, help="default: %(default)s")
    given = parser.parse_args(arguments)
    model = train(given.steps)
    tinygpt.save(model, given.out)
    size = given.out.stat().st_size
    print(f"{given.out}: {size:,} bytes, {tinygpt.bits_per_byte(model, windows=512):.3f} bits per held-out byte")
