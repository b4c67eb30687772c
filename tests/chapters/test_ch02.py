"""Chapter 2: its figures and table, the corrections it makes, and what its text claims of TinyGPT."""

import ipywidgets as widgets
import numpy as np
import pytest
import torch

from course import tinygpt
from course.figures import ptq

CHAPTER = "ch02_ptq"


@pytest.fixture(scope="module")
def solutions(exercises_of):
    """The names that the solutions of the chapter's exercises define."""
    namespace = {"np": np, "torch": torch}
    for exercise in exercises_of(CHAPTER).values():
        exec(exercise.answer.source, namespace)
    return namespace


@pytest.fixture(scope="module")
def lives(solutions):
    return {
        "granularity": ptq.granularity(solutions["quantize_groupwise"], solutions["dequantize_groupwise"]),
        "ranges": ptq.ranges(solutions["calibrate"], np.random.default_rng(0).exponential(1, 2000)),
    }


@pytest.mark.parametrize("name", ["granularity", "ranges"])
def test_every_control_changes_the_picture_and_every_frame_has_numbers(lives, name):
    live = lives[name]
    assert live.message.value == ""
    for control in live.controls.values():
        if isinstance(control, widgets.FloatSlider | widgets.IntSlider):
            values = np.arange(control.min, control.max + control.step / 2, control.step).tolist()
        else:
            values = control.options
        before, frames = control.value, set()
        for value in values:
            control.value = type(before)(value)
            assert live.message.value == ""
            assert any(character.isdigit() for character in live.caption.value)
            frames.add(live.image.value)
        assert len(frames) == len(values), control.description
        control.value = before


def test_an_unanswered_function_is_named_in_the_message(solutions):
    for live in (
        ptq.granularity(lambda w, bits, group_size: None, solutions["dequantize_groupwise"]),
        ptq.granularity(solutions["quantize_groupwise"], lambda codes, scales, zeros, group_size: None),
        ptq.ranges(lambda samples, method: None, np.arange(1.0, 9.0)),
    ):
        assert "returned nothing" in live.message.value


def test_the_table_grows_and_replaces_a_row_measured_again():
    table = ptq.Table()
    table.add("as trained", 16, 16.0, 1_709_368, 2.0234)
    table.add("a < b", 4, 8.0, 900_000, 2.2)
    table.add("a < b", 4, 4.25, 500_000, 2.2)
    assert [row.bytes_on_disk for row in table.rows] == [1_709_368, 500_000]
    assert repr(table).splitlines()[1].split() == ["as", "trained", "16", "16.00", "1,709,368", "2.023"]
    assert len({len(line) for line in repr(table).splitlines()}) == 1
    shown = table._repr_html_()
    assert "a &lt; b" in shown
    assert shown.count("<tr>") == 3
    assert ptq.tradeoff(table, 500_000).axes[0].get_xlabel() == "file (kB)"


@pytest.mark.parametrize(
    ("group_size", "of_everything", "of_the_codes", "bits_per_weight"), [(32, 20, 25, 5.0), (128, 5.88, 6.25, 4.25)]
)
def test_erratum_4_what_groups_cost(group_size, of_everything, of_the_codes, bits_per_weight):
    codes = group_size // 2  # bytes of one group
    grid = np.float16(0.1).nbytes + np.float16(8).nbytes
    assert 100 * grid / (codes + grid) == pytest.approx(of_everything, abs=5e-3)
    assert 100 * grid / codes == of_the_codes
    assert 8 * (codes + grid) / group_size == bits_per_weight


def test_erratum_10_the_small_channel_is_left_with_two_codes_or_three_around_an_exact_zero():
    scale, small = 4 / 255, np.linspace(-0.01, 0.01, 1001)
    assert 0.02 / scale == pytest.approx(1.3, abs=0.03)
    assert len(np.unique(np.round((small - -2) / scale))) == 2  # lo as offset
    back = torch.fake_quantize_per_tensor_affine(torch.tensor(small), scale, 128, 0, 255)
    assert len(back.unique()) == 3
    assert 0 in back


def test_erratum_14_for_samples_in_rows_the_hessian_of_the_output_error_is_2_x_transposed_x():
    x = torch.randn(7, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    w = torch.randn(4, dtype=torch.float64)
    hessian = torch.autograd.functional.hessian(lambda w_hat: ((x @ w - x @ w_hat) ** 2).sum(), torch.zeros_like(w))
    assert torch.allclose(hessian, 2 * x.T @ x)
    columns = x.T  # the paper's: one sample in each column
    assert torch.allclose(hessian, 2 * columns @ columns.T)


@pytest.fixture(scope="module")
def quality(solutions):
    """quality(change) -> bits per byte of TinyGPT with each matrix w replaced by change(w, its inputs)."""

    def inputs_of(layers, model):
        caught = {}
        hooks = [
            layer.register_forward_pre_hook(
                lambda layer, args, name=name: caught.update({name: args[0].flatten(0, 1).numpy()})
            )
            for name, layer in layers.items()
        ]
        model(tinygpt.windows(tinygpt.training_text(), 32, seed=0)[:, :-1])
        for hook in hooks:
            hook.remove()
        return caught

    @torch.no_grad()
    def measure(change):
        model = tinygpt.tiny_gpt()
        for block in range(len(model.blocks)):
            layers = {
                name: layer for name, layer in tinygpt.linears(model).items() if name.startswith(f"blocks.{block}.")
            }
            for name, x in inputs_of(layers, model).items():
                weight = layers[name].weight
                weight.copy_(torch.as_tensor(change(weight.numpy(), x)))
        return tinygpt.bits_per_byte(model)

    return measure


def test_on_tinygpt_gptq_beats_rounding_to_nearest_and_small_groups_beat_channels(solutions, quality):
    def nearest(w, bits, group_size):
        return solutions["dequantize_groupwise"](*solutions["quantize_groupwise"](w, bits, group_size), group_size)

    for bits in (4, 3):
        channels = quality(lambda w, x, bits=bits: nearest(w, bits, w.shape[1]))
        assert quality(lambda w, x, bits=bits: nearest(w, bits, 32)) < channels
        assert quality(lambda w, x, bits=bits: solutions["gptq"](w, x, bits)) < channels


def test_channels_beat_one_scale_for_the_tensor_at_4_bits_and_8_bits_cost_almost_nothing(solutions, quality):
    def whole(w, bits):
        parts = solutions["quantize_groupwise"](w.reshape(1, -1), bits, w.size)
        return solutions["dequantize_groupwise"](*parts, w.size).reshape(w.shape)

    def rows(w, bits):
        return solutions["dequantize_groupwise"](*solutions["quantize_groupwise"](w, bits, w.shape[1]), w.shape[1])

    trained = tinygpt.bits_per_byte(tinygpt.tiny_gpt())
    tensor = quality(lambda w, x: whole(w, 4))
    assert trained < quality(lambda w, x: rows(w, 4)) < tensor
    assert quality(lambda w, x: whole(w, 8)) - trained < 0.1 * (tensor - trained)


def test_what_flows_into_the_down_layers_has_outliers_far_beyond_those_of_the_attention():
    model = tinygpt.tiny_gpt()
    spread = {}
    for name, layer in tinygpt.linears(model).items():
        layer.register_forward_pre_hook(
            lambda layer, args, name=name: spread.update({name: (args[0].abs().max() / args[0].std()).item()})
        )
    with torch.no_grad():
        model(tinygpt.windows(tinygpt.training_text(), 8, seed=0)[:, :-1])
    for block in range(len(model.blocks)):
        assert spread[f"blocks.{block}.mlp.down"] > 2 * spread[f"blocks.{block}.attention.q"]


def test_activations_bear_8_bits_and_with_4_the_best_range_beats_that_of_the_outliers(solutions):
    def measure(bits, method):
        model, samples = tinygpt.tiny_gpt(), {}
        layers = tinygpt.linears(model)
        for name, layer in layers.items():
            layer.register_forward_pre_hook(lambda layer, args, name=name: samples.update({name: args[0].numpy()}))
        with torch.no_grad():
            model(tinygpt.windows(tinygpt.training_text(), 8, seed=0)[:, :-1])
        for name, layer in layers.items():
            lo, hi = solutions["calibrate"](samples[name].ravel()[::10], method)
            scale = (max(hi, 0) - min(lo, 0)) / (2**bits - 1)
            grid = (scale, round(-min(lo, 0) / scale), 0, 2**bits - 1)
            layer.register_forward_pre_hook(
                lambda layer, args, grid=grid: (torch.fake_quantize_per_tensor_affine(args[0], *grid),)
            )
        return tinygpt.bits_per_byte(model)

    trained = tinygpt.bits_per_byte(tinygpt.tiny_gpt())
    outliers = measure(4, "minmax")
    assert measure(4, "mse") < outliers
    assert measure(8, "minmax") - trained < 0.1 * (outliers - trained)
