"""Chapter 3: its figures, its claims, and its probes across the border of the two kernels."""

import ast
import re

import ipywidgets as widgets
import nbformat
import numpy as np
import pytest
import torch
from conftest import frames

from autograder.authoring import bank, chapters
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


def test_the_gradient_of_the_scale_is_the_slope_of_the_printed_formula(solution):
    """s (c + delta) with c = clip(x / s) and delta held fixed: clipped first, no slope delta beyond the ends."""

    def formula(x, s, at, qmin=-2, qmax=1):
        held = np.round(np.clip(x / at, qmin, qmax)) - np.clip(x / at, qmin, qmax)
        return s * (np.clip(x / s, qmin, qmax) + held)

    scale, h = 0.5, 1e-7
    for x in (0.3, -0.8, 0.49, 0.51, 0.6, 0.74, 0.76, -1.01, -1.2, -1.3, -9.0):
        slope = (formula(x, scale + h, scale) - formula(x, scale - h, scale)) / (2 * h)
        assert solution["lsq_scale_gradient"](x, scale, -2, 1, 1.0) == pytest.approx(slope, abs=1e-5)
    assert solution["lsq_scale_gradient"]([0.5, -1.0], scale, -2, 1, [1.0, 0.0]) == 1
    assert solution["lsq_scale_gradient"]([0.5, -1.0], scale, -2, 1, [0.0, 1.0]) == -2


def test_the_examples_of_the_scales_gradient_tell_clipping_from_none(exercises_of, solution):
    example = re.search(r"`lsq_scale_gradient\((.*?)\)` is \$(-?[\d.]+)\$", exercises_of(CHAPTER)["L3.8"].text)
    x, scale, qmin, qmax, grad = ast.literal_eval(f"({example[1]})")
    steps = np.array(x) / scale
    assert solution["lsq_scale_gradient"](x, scale, qmin, qmax, grad) == pytest.approx(float(example[2]))
    assert abs(np.dot(grad, np.round(steps) - steps) - float(example[2])) > 1


def test_the_three_windows_are_those_of_the_table(solution):
    def of_fake_quantize(x):
        x = torch.tensor(x, requires_grad=True)
        solution["FakeQuantize"].apply(x, 1.0, 0, -1, 1).sum().backward()
        return x.grad

    figure = qat.three_windows(solution["ste_gradient"], of_fake_quantize, solution["lsq_scale_gradient"])
    x = figure.axes[0].lines[-1].get_xdata()
    weight, wider, scale = (axes.lines[-1].get_ydata() for axes in figure.axes)
    assert np.array_equal(weight, np.abs(x) <= 1)
    away = np.abs(np.abs(x) - 1.5) > 1e-6  # ties may go either way
    assert np.array_equal(wider[away], (np.abs(x) < 1.5)[away])
    assert np.array_equal(np.abs(scale) > 0.6, np.abs(x) >= 1)


def test_a_weight_that_adds_its_mask_is_seen_in_the_window(solution):
    figure = qat.three_windows(lambda g, x, lo, hi: g + 1, lambda x: x * 0, lambda *_: 0.0)
    assert figure.axes[0].get_ylim()[1] > 2


def test_training_moves_the_levels_and_neither_weights_nor_levels_do_it_alone(solution):
    def scales(model):
        return [layer.weight.detach().abs().max().item() for layer in model[::2]]

    def on_levels(model, levels):
        rounded = models.mlp()
        rounded.load_state_dict(model.state_dict())
        with torch.no_grad():
            for layer, scale in zip(rounded[::2], levels, strict=True):
                layer.weight.copy_(solution["FakeQuantize"].apply(layer.weight, scale, 0, -1, 1))
        return models.accuracy(rounded)

    latent = models.trained_mlp()
    before = scales(latent)
    layers = (solution["QuantLinear"](m, 2) if isinstance(m, torch.nn.Linear) else m for m in latent)
    trained = models.accuracy(models.train(torch.nn.Sequential(*layers), epochs=15, lr=1e-3))
    after = scales(latent)
    assert all(new > old for old, new in zip(before, after, strict=True))
    assert on_levels(latent, after) == pytest.approx(trained)
    assert on_levels(latent, before) < trained - 0.1
    assert on_levels(models.trained_mlp(), after) < 0.5


def test_the_text_says_where_the_window_comes_from_and_that_levels_move():
    text = " ".join(cell.source for cell in chapters.read(CHAPTER).cells if cell.cell_type == "markdown")
    text = " ".join(text.split())
    assert "the gradient passes unchanged everywhere, as if the rounding were not there (Bengio et al. 2013)" in text
    assert "slope 0 where $x$ is clipped (Courbariaux et al. 2016)" in text
    assert "arXiv:1602.02830" in text
    assert "did not find better levels" not in text


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
