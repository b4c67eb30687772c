"""Chapter 0: its figures follow their controls, the machines are what data sheets say, and the measuring measures."""

import inspect
import math
import re

import pytest
import torch
from conftest import frames

from course import hardware
from course.figures import arithmetic
from course.hardware import DEVICES, Device, Refused

CHAPTER = "ch00_arithmetic"


@pytest.fixture
def small(monkeypatch):
    """Measuring at a size at which it takes no time."""
    monkeypatch.setattr(hardware, "_COPIED_BYTES", 2**20)
    monkeypatch.setattr(hardware, "_LARGEST", 256)


def decoding(answers, **replaced):
    names = ("model_size_gb", "decode_latency_ms", "crossover_batch")
    return arithmetic.decoding(*(replaced.get(name, answers[name]) for name in names), DEVICES)


def test_the_roofline_follows_model_bits_batch_and_device(answers):
    live = decoding(answers)
    assert "3.5 GB of 80 GB" in live.caption.value
    assert "4.00x as fast as 16 bits; waits for memory" in live.caption.value
    assert len(frames(live)) > 24
    live.controls["bits"].value, live.controls["device"].value = 4, "A100 80 GB"
    live.controls["batch"].value = 64
    assert "waits for arithmetic" in live.caption.value
    live.controls["bits"].value = 16
    assert "1.00x as fast as 16 bits; waits for memory" in live.caption.value
    assert live.alt


def test_the_memory_figure_follows_its_controls(answers):
    live = arithmetic.memory(answers["model_size_gb"], answers["kv_cache_gb"])
    assert "weights 3.5 GB + cache 2.15 GB = 5.65 GB: fits into 6 GB" in live.caption.value
    live.controls["batch"].value = 2
    assert "does not fit" in live.caption.value
    live.controls["kv_heads"].value = 8
    assert ": fits" in live.caption.value
    assert len(frames(live)) > 24
    assert live.alt


def test_an_unanswered_function_is_named_in_the_message(answers):
    def nothing(*_):
        return None

    for name in ("model_size_gb", "decode_latency_ms", "crossover_batch"):
        assert "returned nothing" in decoding(answers, **{name: nothing}).message.value
    assert "returned nothing" in arithmetic.memory(answers["model_size_gb"], nothing).message.value
    assert "returned nothing" in arithmetic.memory(nothing, answers["kv_cache_gb"]).message.value


def test_the_learners_roof_is_the_slope_up_to_the_balance_and_level_beyond(answers):
    intensity, reached = arithmetic.roof(answers["decode_latency_ms"], 2000, 312)
    assert reached == pytest.approx([min(312, 2 * each) for each in intensity], rel=1e-9)


def test_measured_and_predicted_times_stand_in_pairs():
    figure = arithmetic.side_by_side({"fp32": 50.0, "int4": 7.0}, {"int4": 3.5, "fp32": 25.0})
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["fp32", "int4"]
    assert [bar.get_width() for bar in figure.axes[0].patches] == [50, 7, 25, 3.5]
    assert [label.get_text() for label in figure.axes[0].texts] == ["2.0x", "2.0x"]


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_a_machine_of_the_table_has_its_figures_and_their_source(device):
    assert device.name in DEVICES
    assert 10 <= device.memory_gb <= 80
    assert 300 <= device.bandwidth_gb_s <= 3350
    assert set(device.peak_tflops) <= set(hardware.BITS)
    assert device.half_tflops == device.peak_tflops["fp16"] > device.peak_tflops["fp32"]
    assert re.match(r"NVIDIA .*(datasheet|whitepaper) \(20\d\d\)", device.source)


def test_the_machines_that_the_chapter_promises_are_there():
    assert {"A100 80 GB", "H100", "T4", "L4", "RTX 4090"} <= set(DEVICES)


def test_this_machine_is_measured_and_every_type_it_has_is_above_zero(small):
    machine = hardware.this_machine.__wrapped__()
    assert machine.name == "this machine"
    assert machine.bandwidth_gb_s > 0
    assert {"fp32", "bf16"} <= set(machine.peak_tflops) <= set(hardware.DTYPES)
    assert all(peak > 0 for peak in machine.peak_tflops.values())
    assert machine.half_tflops >= machine.peak_tflops["fp32"]
    assert machine.source.startswith("measured on ")


def test_sixteen_bit_weights_count_at_fp32s_peak_where_that_is_higher():
    assert Device("old laptop", 8, 20, {"fp32": 0.2, "fp16": 0.01}, "made up").half_tflops == 0.2


@pytest.mark.parametrize("kind", ["fp32", "bf16", "fp16", "int8", "int4"])
@pytest.mark.parametrize("batch", [1, 5])
def test_a_decoding_step_multiplies_each_vector_by_each_matrix(kind, batch):
    try:
        products = hardware.decoding_step(kind, batch, layers=3, side=128)()
    except Refused as reason:
        pytest.skip(str(reason))
    assert [tuple(product.shape) for product in products] == [(batch, 128)] * 3
    assert all(torch.equal(product, products[0]) for product in products)
    assert float(products[0].min()) > 0


def test_weights_of_fewer_bits_are_stored_in_fewer_bytes():
    stored = {}
    for kind in ("fp32", "bf16", "fp16", "int8", "int4"):
        try:
            step = hardware.decoding_step(kind, 1, layers=2, side=128)
        except Refused:
            continue
        stored[kind] = sum(w.nbytes for w in inspect.getclosurevars(step).nonlocals["matrices"])
    assert stored == {kind: 2 * 128**2 * hardware.BITS[kind] / 8 for kind in stored}
    assert {"fp32", "bf16", "fp16"} <= set(stored)


def test_a_product_that_comes_out_wrong_is_refused(monkeypatch):
    monkeypatch.setattr(torch, "_weight_int8pack_mm", lambda x, w, scales: torch.zeros(len(x), len(w)))
    with pytest.raises(Refused, match="int8 weights comes out wrong"):
        hardware.decoding_step("int8", 1, 1, 128)


def test_what_pytorch_lacks_is_refused_in_one_line(monkeypatch):
    monkeypatch.delattr(torch, "_weight_int8pack_mm")
    with pytest.raises(Refused, match="_weight_int8pack_mm") as refused:
        hardware.decoding_step("int8", 1, 1, 128)
    assert "\n" not in str(refused.value)


def test_an_unknown_type_is_named_with_the_choice():
    for measured in (lambda: hardware.decoding_step("fp64"), lambda: hardware.matmul("fp64", 1, 1, 1)):
        with pytest.raises(ValueError, match=r"kind must be one of fp32, .*, got 'fp64'"):
            measured()


def test_erratum_1_the_crossover_of_an_a100_is_156_and_39_with_int4(answers, text):
    step, crossover = answers["decode_latency_ms"], answers["crossover_batch"]
    assert crossover(312, 2, 16) == pytest.approx(156)
    assert crossover(312, 2, 4) == pytest.approx(39)
    for bits, waits_for_memory in ((16, True), (4, False)):
        assert (step(7e9, bits, 2000, 312, 64) == step(7e9, bits, 2000, 312, 1)) is waits_for_memory
    for bits, batch in ((16, 156), (4, 39)):
        assert math.isclose(step(7e9, bits, 2000, 312, batch), step(7e9, bits, 2000, 312, 1))
        assert step(7e9, bits, 2000, 312, batch + 1) > 1.001 * step(7e9, bits, 2000, 312, 1)
    assert "You may read that from batch 64 on, FP16 decoding on an A100 is compute-bound. It is not" in text
    assert "crossover is at batch 156. With INT4 weights it is at 39" in text


def test_erratum_7_the_a100s_312_are_dense_fp16_and_an_h100_has_3_2_times_as_many(text):
    a100, h100 = DEVICES["A100 80 GB"].peak_tflops, DEVICES["H100"].peak_tflops
    assert (a100["fp16"], a100["bf16"], a100["tf32"], a100["fp32"]) == (312, 312, 156, 19.5)
    assert (h100["bf16"], h100["tf32"], h100["fp8"], h100["int8"]) == (989, 495, 1979, 1979)
    assert h100["bf16"] / a100["bf16"] == pytest.approx(3.2, abs=0.05)
    assert "TF32 reaches 156 there and plain FP32 19.5" in text
    assert "Dense against dense, an H100 (SXM) has 989 TFLOPS, 3.2 times as many." in text


def test_a_7b_model_in_int4_with_4k_of_context_just_fits_6_gb_and_a_second_sequence_does_not(answers, text):
    size, cache = answers["model_size_gb"], answers["kv_cache_gb"]
    assert 5.5 < size(7e9, 4) + cache(32, 32, 128, 4096, 1) < 6
    assert size(7e9, 4) + cache(32, 32, 128, 4096, 2) > 6 > size(7e9, 4) + cache(32, 8, 128, 4096, 2)
    assert "One sequence fits, barely" in text


def test_with_long_contexts_the_cache_keeps_a_large_batch_waiting_for_memory(answers, text):
    a100 = DEVICES["A100 80 GB"]
    for context in (128, 4096):
        read_gb = answers["model_size_gb"](7e9, 16) + answers["kv_cache_gb"](32, 32, 128, context, 156)
        assert read_gb / a100.bandwidth_gb_s > 2 * 7e9 * 156 / a100.half_tflops / 1e12
    assert read_gb > a100.memory_gb
    assert "neither fits the card nor becomes compute-bound" in text
