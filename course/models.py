"""Models small enough to train while you wait."""

import functools

import torch
from torch import nn
from torch.nn import functional

from course import GRADING
from course.data import digits


def mlp() -> nn.Sequential:
    """An untrained 64-128-128-10 multilayer perceptron with ReLU, for the digits."""
    return nn.Sequential(
        nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 10)
    )  # fmt: skip


def train(
    model: nn.Module,
    epochs: int = 30,
    lr: float = 2e-3,
    batch_size: int = 64,
    seed: int = 0,
    masks: dict[str, torch.Tensor] | None = None,
) -> nn.Module:
    """Train `model` in place on the digits with Adam, and return it. About a second on two cores.

    masks: {parameter's name: zeros and ones}; where a mask is 0, the weight is 0 after every step.
    """
    x, y = digits().x_train, digits().y_train
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    masked = [(model.get_parameter(name), mask) for name, mask in (masks or {}).items()]
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=generator).split(batch_size):
            optimizer.zero_grad()
            functional.cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
            with torch.no_grad():
                for weight, mask in masked:
                    weight.mul_(mask)
    return model.eval()


@torch.no_grad()
def accuracy(model: nn.Module) -> float:
    """The share of held-out digits that `model` gets right, from 0 to 1."""
    return (model(digits().x_test).argmax(1) == digits().y_test).float().mean().item()


@functools.cache
def _trained_state(seed: int) -> dict[str, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return (mlp() if GRADING else train(mlp(), seed=seed)).state_dict()


def trained_mlp(seed: int = 0) -> nn.Sequential:
    """A fresh copy of the MLP trained from `seed`; the training runs once per session, and not while grading."""
    model = mlp()
    model.load_state_dict(_trained_state(seed))
    return model.eval()
