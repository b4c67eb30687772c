"""Chapter 3: its figures, its claims, and its probes across the border of the two kernels."""

import ipywidgets as widgets
import nbformat
import numpy as np
import pytest
import torch
from conftest import frames

from autograder.authoring import bank
from autograder.grading.execute import TwoKernels
from course import models
from course.figures import qat

CHAPTER = "ch03_qat"


@pytest.fixture(scope="module")
def solution(exercises_of):
    """{name: the chapter's own function or class}"""
    names = {"np": np, "torch": torch}
    for exercise in exercises_of(CHAPTER).values():
        exec(exercise.answer.source, names)
    return names


def test_every_move_of_the_stairs_changes_the_picture(solution):
    live = qat.straight_through(
        solution["fake_quantize"], solution["ste_gradient"], models.mlp()[2].weight.detach().numpy()
    )
    assert len(frames(live)) > 20
    live.controls["clip"].value = 1.0
    assert "100.0% of these weights get a gradient" in live.caption.value
    live.controls["clip"].value = 0.5
    assert "100.0%" not in live.caption.value


def test_a_wrong_window_is_seen(solution):
    weights = np.linspace(-1, 1, 101)
    right = qat.straight_through(solution["fake_quantize"], solution["ste_gradient"], weights)
    adds = qat.straight_through(solution["fake_quantize"], lambda g, x, lo, hi: g + ((x >= lo) & (x <= hi)), weights)
    assert adds.image.value != right.image.value
    nothing = qat.straight_through(solution["fake_quantize"], lambda g, x, lo, hi: None, weights)
    assert "returned nothing" in nothing.message.value


def test_the_weights_gather_as_the_slider_moves(solution):
    values = np.random.default_rng(0).uniform(-3.5, 3.5, 5000)
    gathered = [
        (step, 0.1 * (values + step / 30 * (np.clip(np.round(values), -3, 3) - values)), 0.1, 0.9)
        for step in (0, 10, 20, 30)
    ]
    still = [(step, 0.1 * values, 0.1, 0.9) for step in (0, 10, 20, 30)]
    live = qat.gathering(solution["fake_quantize"], {"still": still, "pull": gathered}, qmax=3)
    assert isinstance(live.controls["step"], widgets.SelectionSlider)
    assert live.controls["step"].options == (0, 10, 20, 30)
    assert "mean distance 0.000" in live.caption.value
    assert len(frames(live)) >= 4
    live.controls["run"].value = "still"
    live.controls["step"].value = 0
    assert "mean distance 0.25" in live.caption.value


def test_ptq_collapses_at_2_bits_and_qat_recovers(solution):
    def wrapped(model):
        layers = (solution["QuantLinear"](m, 2) if isinstance(m, torch.nn.Linear) else m for m in model)
        return torch.nn.Sequential(*layers)

    network = wrapped(models.trained_mlp())
    collapsed = models.accuracy(network)
    recovered = models.accuracy(models.train(network, epochs=8, lr=1e-3))
    assert models.accuracy(models.trained_mlp()) > 0.95
    assert collapsed < 0.6
    assert recovered > 0.85


def test_a_growing_pull_gathers_weights_and_training_alone_does_not(solution):
    quantize = solution["FakeQuantize"].apply
    for strength in (0.0, 0.3):
        generator = torch.Generator().manual_seed(0)
        weight = torch.randn(64, 64, generator=generator).requires_grad_()
        x = torch.randn(256, 64, generator=generator)
        y = x @ torch.randn(64, 64, generator=generator)
        optimizer = torch.optim.Adam([weight], lr=5e-3)
        for step in range(150):
            w_hat = quantize(weight, 0.8, 0, -3, 3)
            loss = ((x @ w_hat.T - y) ** 2).mean() + strength * step / 150 * ((weight - w_hat.detach()) ** 2).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        inside = weight.detach()[weight.detach().abs() < 2.4] / 0.8
        distance = (inside - inside.round()).abs().mean()
        assert distance < 0.1 if strength else distance > 0.2


def test_the_scales_gradient_is_pytorchs_away_from_the_outer_half_steps(solution):
    """PyTorch's own learnable quantizer takes the saw half a step farther out; elsewhere the two agree."""
    x = torch.rand(2000, generator=torch.Generator().manual_seed(0)) * 4 - 2
    x = x[((x / 0.3).abs() < 3) | ((x / 0.3).abs() > 3.5)]
    grad = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    scale = torch.tensor([0.3], requires_grad=True)
    torch._fake_quantize_learnable_per_tensor_affine(x, scale, torch.zeros(1), -3, 3, 1.0).backward(grad)
    ours = solution["lsq_scale_gradient"](x.numpy(), 0.3, -3, 3, grad.numpy())
    assert ours == pytest.approx(scale.grad.item(), rel=1e-3)


def test_an_error_in_a_probe_names_the_learners_own_line(exercises_of, tmp_path):
    (answer,) = (a for a in bank.answers(CHAPTER) if a.name == "raises in backward")
    test = exercises_of(CHAPTER)["L3.6"].tests[0]
    cells = [nbformat.v4.new_code_cell("import torch"), nbformat.v4.new_code_cell(answer.source), test]
    notebook = nbformat.v4.new_notebook(cells=cells)
    folder = tmp_path / "home"
    folder.mkdir()
    TwoKernels().preprocess(notebook, {"metadata": {"path": str(folder)}})
    (error,) = notebook.cells[2].outputs
    assert "your code, line" in error.evalue
    assert "of backward: return grad_output * inside[None, 1:]" in error.evalue
