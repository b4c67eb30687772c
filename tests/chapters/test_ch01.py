"""Chapter 1: its figures, what its text states and prints, and answers that return lists or tensors."""

import math

import numpy as np
import pytest
import torch
from conftest import frames

from course import check, models, tinygpt
from course.figures import quantization as draw

CHAPTER = "ch01_quantization"


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(0).normal(0.05, 0.1, 600)


def test_every_control_changes_the_picture(answers, weights):
    live = draw.quantizer(answers["quantize_dequantize"], weights)
    assert len(frames(live)) > 20
    assert "levels, step" in live.caption.value
    live = draw.schemes(answers["affine_params"], answers["affine_roundtrip"], weights)
    assert len(frames(live)) > 20


def test_an_unanswered_function_is_named_in_the_message(answers, weights):
    for live in (
        draw.quantizer(lambda x, bits, lo, hi: None, weights),
        draw.schemes(lambda lo, hi, bits: None, answers["affine_roundtrip"], weights),
        draw.schemes(answers["affine_params"], lambda *args: None, weights),
    ):
        assert "returned nothing" in live.message.value


@pytest.mark.parametrize("turned", [torch.tensor, np.ndarray.tolist], ids=["tensors", "lists"])
def test_figures_take_what_the_checks_take(answers, weights, turned):
    def params(*given):
        return turned(np.array(answers["affine_params"](*given)))

    def roundtrip(*given):
        return turned(answers["affine_roundtrip"](*given))

    for live in (
        draw.quantizer(lambda *given: turned(answers["quantize_dequantize"](*given)), weights),
        draw.schemes(params, roundtrip, weights),
    ):
        assert live.message.value == ""
        assert "signal to noise" in live.caption.value


def test_a_rounded_zero_point_shifts_the_levels_and_the_caption_says_so(answers, weights):
    live = draw.schemes(answers["affine_params"], answers["affine_roundtrip"], weights)
    live.controls["bits"].value = 3
    scale, zero_point = answers["affine_params"](weights.min(), weights.max(), 3)
    lowest, highest = -zero_point * scale, (7 - zero_point) * scale
    assert f"levels {lowest:.3f} to {highest:.3f} for a range of" in live.caption.value
    assert 0 < abs(lowest - weights.min()) <= scale / 2
    assert lowest - weights.min() == pytest.approx(highest - weights.max())


def affine(x, absmax):
    code = round((x + absmax) * 255 / (2 * absmax))
    return code, code * 2 * absmax / 255 - absmax


def test_the_numbers_for_comparison(text):
    code, value = affine(0.25, 1)
    assert f"$x = 0.25$ gets code {code} and comes back as {value:.4f}, an error of {0.25 - value:.5f}" in text
    value = 6 * 2 / 127
    assert round(0.1 * 127 / 2) == 6
    assert f"$x = 0.1$ gets code 6 and comes back as {value:.4f}, an error of {0.1 - value:.5f}" in text
    assert f"with INT4 (codes -7 to 7) it is {0.5 / 7:.5f}" in text


def test_a_wrong_absmax_gives_the_right_error_and_another_code():
    errors = {absmax: abs(0.5 - round(0.5 * 127 / absmax) * absmax / 127) for absmax in (1, 2)}
    assert errors[1] == pytest.approx(errors[2])
    assert round(0.5 * 127 / 1) != round(0.5 * 127 / 2)


def test_no_other_count_of_steps_passes_for_the_largest_error():
    texts = check.accepted(0.5 / 127, 0.002)
    assert "0.00394" in texts
    assert "0.003937" in texts
    for steps in (255, 256, 253, 252):
        assert check.canonical(1 / steps, check.digits_for(0.002)) not in texts


def test_the_example_of_the_debug_exercise(answers):
    returned = answers["affine_roundtrip"]([-2.0, 0.3, 1.7], scale=0.1, zero_point=4, qmin=0, qmax=15)
    assert np.allclose(returned, [-0.4, 0.3, 1.1])


def test_affine_params_are_those_of_pytorchs_observer(answers):
    rng = np.random.default_rng(3)
    for lo, hi in np.sort(rng.normal(0, 2, (20, 2))).tolist():
        for bits in (2, 4, 8):
            observer = torch.ao.quantization.MinMaxObserver(
                dtype=torch.quint8, quant_min=0, quant_max=2**bits - 1, eps=1e-12
            )
            observer(torch.tensor([lo, hi]))
            scale, zero_point = (float(value) for value in observer.calculate_qparams())
            assert answers["affine_params"](lo, hi, bits) == (pytest.approx(scale, rel=1e-5), zero_point)


def test_a_bit_is_worth_six_decibels_where_steps_are_fine_and_the_range_holds_the_signal(answers, text):
    rng = np.random.default_rng(0)
    quantize, sqnr_db = answers["quantize_dequantize"], answers["sqnr_db"]
    normal = rng.normal(0, 1, 20_000)
    signals = {"uniform": rng.uniform(-1, 1, 20_000), "normal": normal, "one-sided": rng.exponential(1, 20_000)}

    def per_bit(x, lo, hi, first, last):
        at = [sqnr_db(x, quantize(x, bits, lo, hi)) for bits in (first, last)]
        return (at[1] - at[0]) / (last - first)

    for x in signals.values():
        assert per_bit(x, x.min(), x.max(), 6, 10) == pytest.approx(6.02, abs=0.15)
    assert abs(per_bit(normal, normal.min(), normal.max(), 2, 4) - 6.02) > 0.5  # coarse steps
    assert per_bit(normal, -2, 2, 6, 10) < 0.1  # a range that cuts the signal off
    assert "Where the steps are fine and the range holds the signal, a bit is worth about six decibels" in text


def test_banners_formula_has_its_minimum_where_the_text_says(text):
    thresholds = np.linspace(1, 4, 3001)
    clipped = [
        (c * c + 1) * math.erfc(c / 2**0.5) - c * (2 / math.pi) ** 0.5 * math.exp(-c * c / 2) for c in thresholds
    ]
    for steps, said in ((16, "2.55"), (14, "2.48")):
        errors = np.array(clipped) + (2 * thresholds / steps) ** 2 / 12
        assert thresholds[errors.argmin()] == pytest.approx(float(said), abs=0.01)
        assert said in text


def test_a_larger_threshold_than_any_value_can_be_best():
    x, qmax = np.array([2.0, 1.0]), 3
    assert np.array_equal(np.round(x * qmax / 3) * 3 / qmax, x)
    for c in np.linspace(0.1, 2, 39):
        assert np.abs(np.clip(np.round(x * qmax / c), -qmax, qmax) * c / qmax - x).max() > 0


def test_a_hundred_thresholds_are_enough_for_every_sample_of_the_lab(exercises_of):
    source = exercises_of(CHAPTER)["L1.9"].tests[0].source
    names = {"np": np}
    exec(source[source.index("def error_at") : source.index("for name, (x, widths)")], names)
    for name, (x, widths) in names["samples"].items():
        for bits in widths:
            largest = np.abs(x).max()
            fine = [names["error_at"](x, bits, c) for c in largest * np.linspace(0.01, 1, 400)]
            hundred = [names["error_at"](x, bits, c) for c in largest * np.linspace(0, 1, 101)[1:]]
            assert min(hundred) < 1.015 * min(fine), (name, bits)
            assert np.linspace(0.01, 1, 400)[np.argmin(fine)] > 0.2, "no optimum near 0"


def symmetric(w, bits, c):
    qmax = 2 ** (bits - 1) - 1
    return np.clip(np.round(w * (qmax / c)), -qmax, qmax) * (c / qmax)


def test_clipping_helps_the_networks_of_all_three_seeds(answers):
    for seed in range(3):
        accuracy = {}
        for name, threshold in (("largest", lambda w: np.abs(w).max()), ("best", lambda w: answers["best_clip"](w, 2))):
            model = models.trained_mlp(seed)
            with torch.no_grad():
                for layer in model[::2]:
                    w = layer.weight.numpy()
                    layer.weight.copy_(torch.as_tensor(symmetric(w, 2, threshold(w))))
            accuracy[name] = models.accuracy(model)
        assert accuracy["best"] > accuracy["largest"] + 0.3


def test_clipping_helps_tinygpt_and_the_whole_range_at_2_bits_is_worse_than_nothing(answers):
    def bits_per_byte(bits, threshold):
        gpt = tinygpt.tiny_gpt()
        with torch.no_grad():
            for layer in tinygpt.linears(gpt).values():
                w = layer.weight.numpy()
                layer.weight.copy_(torch.as_tensor(symmetric(w, bits, threshold(w, bits))))
        return tinygpt.bits_per_byte(gpt, windows=16)

    def largest(w, bits):
        return np.abs(w).max()

    def best(w, bits):
        return answers["best_clip"](w.ravel()[::16], bits)

    assert bits_per_byte(2, largest) > 8
    assert bits_per_byte(2, best) < 5
    assert bits_per_byte(4, best) < bits_per_byte(4, largest)


def test_the_text_answers_no_text_that_the_learner_has_not_read(text):
    for quarrel in ("You may read", "many texts", "It is not:"):
        assert quarrel not in text
