"""Chapter 1: its figures, what its text states and prints, and answers that return lists or tensors."""

import math

import numpy as np
import pytest
import torch
from conftest import frames
from scipy.stats import norm
from sklearn.cluster import KMeans

from autograder.authoring import chapters
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


@pytest.fixture(scope="module")
def going_further(answers, exercises_of):
    """The names that the given cells of section 8 define, where they need no measurement."""
    names = dict(answers)
    for cell in chapters.read(CHAPTER).cells:
        if cell.source.startswith("from statistics import NormalDist"):
            exec(cell.source[: cell.source.index("print(")], names)
        if cell.source.startswith("def symmetric_groups"):
            exec(cell.source[: cell.source.index("weights_per_matrix")], names)
        if cell.source.startswith("def own_levels"):
            exec(cell.source[: cell.source.index("row(")], names)
        if cell.source.startswith("def in_groups"):
            exec(cell.source[: cell.source.index("for bits in")], names)
    return names


def test_the_table_of_levels_follows_its_controls(answers, going_further):
    w = np.random.default_rng(0).normal(0, 0.1, (8, 128))
    live = draw.formats(answers["to_levels"], w, going_further["formats"](w))
    live.controls["format"].value = "NF4"
    assert len(frames(live)) > 7
    assert "NF4 in blocks of 128 (it is used with 64): 4.12 bits per weight" in live.caption.value
    live.controls["block"].value = 64
    assert "(as it is used): 4.25 bits" in live.caption.value
    assert "returned nothing" in draw.formats(lambda *given: None, w, going_further["formats"](w)).message.value
    for turned in (torch.tensor, np.ndarray.tolist):
        other = draw.formats(lambda *given, t=turned: t(answers["to_levels"](*given)), w, going_further["formats"](w))
        assert other.message.value == ""


def test_nf4_is_the_table_of_the_paper(going_further):
    paper = [-1.0, -0.6961928, -0.52507305, -0.3949175, -0.28444138, -0.18477343, -0.09105004, 0.0]
    paper += [0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983, 0.562617, 0.72295684, 1.0]
    assert np.allclose(going_further["NF4"], paper, atol=1e-6)
    above, below = norm.ppf(np.linspace(0.5, 0.9677083, 9)), norm.ppf(np.linspace(1 - 0.9677083, 0.5, 8)[:-1])
    assert np.allclose(going_further["NF4"], np.array([*below, *above]) / above.max(), atol=1e-9)


def test_the_scales_are_those_of_the_formats(going_further):
    w = np.random.default_rng(1).normal(0, 1, (50, 32))
    largest = np.abs(w).max(1)
    scale = going_further["power_of_two"](largest / 6)
    assert np.array_equal(scale, 2.0 ** (np.floor(np.log2(largest)) - 2))
    assert ((largest / scale >= 4) & (largest / scale < 8)).all()
    assert np.array_equal(going_further["power_of_two"](np.array([4.0, 8.0, 0.25]) / 6), [1, 2, 1 / 16])
    assert going_further["e4m3"](448.0) == 448
    assert np.array_equal(going_further["e4m3"](np.array([1.06, 17.0, 0.0])), [1.0, 16.0, 0.0])
    levels, block, round_scale, _ = going_further["formats"](w)["NVFP4"]
    unit = np.abs(w).max() / (6 * 448)
    scales = round_scale(np.abs(w.reshape(-1, block)).max(1) / 6) / unit
    assert scales.max() == pytest.approx(448)
    assert np.isfinite(scales).all()
    assert sorted(set(levels)) == [-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6]


def test_the_examples_and_the_sums_of_section_8(answers, text):
    e2m1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.5, -1, -1.5, -2, -3, -4, -6]
    block = [0.1, -0.26, 0.02, 0.6]
    assert np.allclose(answers["to_levels"](block, e2m1, 4), [0.1, -0.3, 0.0, 0.6])
    assert np.allclose(answers["to_levels"](block, e2m1, 4, lambda s: 0.125 * s / s), [0.125, -0.25, 0.0, 0.5])
    assert np.allclose(answers["codebook"]([[0.0, 20.0, 1.0], [5.0, 24.0, 2.0]], 2), [2.0, 22.0])
    assert f"take {3 + 8 * 16 / 65_536:.3f} bits per weight" in text
    assert (256 * 4 + 8 * (6 + 6) + 2 * 16) / 8 == 144
    assert f"{144 * 8 / 256:.1f} bits per weight" in text
    assert 10 * math.log10(0.03454 / 0.009497) == pytest.approx(5.6, abs=0.01)  # Max (1960), Table I


def samples_of(exercises_of):
    source = exercises_of(CHAPTER)["L1.11"].tests[0].source
    names = {"np": np}
    exec(source[source.index("def least_error") : source.index("for name, (x, counts)")], names)
    return names["samples"], names["least_error"]


def lloyd(x, levels):
    x = np.asarray(x, float).ravel()
    for _ in range(300):
        nearest = np.abs(x[:, None] - levels).argmin(1)
        levels = np.array([x[nearest == j].mean() if (nearest == j).any() else c for j, c in enumerate(levels)])
    return np.mean(np.abs(x[:, None] - levels).min(1) ** 2)


def test_any_beginning_that_the_text_names_ends_within_the_quarter(exercises_of):
    samples, least_error = samples_of(exercises_of)
    for name, (x, counts) in samples.items():
        for k in counts:
            starts = [np.linspace(x.min(), x.max(), k), np.quantile(x, (np.arange(k) + 0.5) / k)]
            starts += [np.random.default_rng(seed).choice(x.ravel(), k, replace=False) for seed in range(6)]
            for levels in starts:
                assert lloyd(x, levels) < 1.24 * least_error(x, k), (name, k)


def test_the_least_error_is_scikit_learns(exercises_of):
    samples, least_error = samples_of(exercises_of)
    for x, counts in samples.values():
        found = KMeans(counts[-1], n_init=30, random_state=0).fit(x.reshape(-1, 1)).inertia_ / x.size
        assert least_error(x, counts[-1]) == pytest.approx(found, rel=0.02)
        assert least_error(x, counts[-1]) <= found * (1 + 1e-9)


def test_what_section_8_says_of_tinygpt(going_further, text):
    """The comparisons of its text, on other windows than the chapter's."""
    gpt = tinygpt.tiny_gpt()
    matrices = [layer.weight.detach().numpy().copy() for layer in tinygpt.linears(gpt).values()]

    def bits_per_byte(change):
        with torch.no_grad():
            for layer, w in zip(tinygpt.linears(gpt).values(), matrices, strict=True):
                layer.weight.copy_(torch.as_tensor(change(w)))
        return tinygpt.bits_per_byte(gpt, windows=64)

    names = going_further
    to_levels, in_groups, codebook = names["to_levels"], names["in_groups"], names["by_codebook"]
    costs = {
        name: bits_per_byte(lambda w, n=name: to_levels(w, *names["formats"](w)[n][:3]))
        for name in names["formats"](matrices[0])
    }
    costs |= {
        (bits, group): bits_per_byte(lambda w, b=bits, g=group: in_groups(w, b, g))
        for bits, group in [(4, 32), (4, 128), (3, 32), (3, 128)]
    }
    costs |= {start: bits_per_byte(lambda w, s=start: codebook(w, 8, s)) for start in range(3)}
    costs["codebook 4"] = bits_per_byte(lambda w: codebook(w, 16))
    costs["symmetric 3"] = bits_per_byte(lambda w: names["symmetric_groups"](w, 3))
    assert costs["MXFP4"] == max(costs[name] for name in ("INT4", "MXFP4", "NVFP4", "NF4"))
    assert costs["NVFP4"] < costs["MXFP4"] - 0.005
    assert costs[4, 128] < costs["codebook 4"]
    assert abs(costs[4, 128] - costs["NF4"]) < 0.015
    assert costs[4, 32] < min(costs[name] for name in ("INT4", "MXFP4", "NVFP4", "NF4", "codebook 4"))
    for start in range(3):
        assert costs[3, 32] < costs[start] < min(costs["symmetric 3"], costs[3, 128])
    assert "with 3 bits they report a perplexity of 28.26 for even steps, 18.08 for plain k-means, and 7.75" in text


def test_the_text_answers_no_text_that_the_learner_has_not_read(text):
    for quarrel in ("You may read", "many texts", "It is not:"):
        assert quarrel not in text
