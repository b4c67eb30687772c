"""Chapter 0: its figures follow their controls, the machines are what data sheets say, and the measuring measures."""

import inspect
import itertools
import math
import re

import numpy as np
import pytest
import torch
from conftest import frames, run_cell
from nbclient import NotebookClient

from autograder.authoring import chapters
from course import check, hardware, timing
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


@pytest.mark.parametrize(("bandwidth", "peak"), [(2000, 312), (5, 0.4), (300, 121)])
def test_the_learners_roof_has_its_corner_at_the_balance(answers, bandwidth, peak):
    intensity, reached = arithmetic.roof(answers["decode_latency_ms"], bandwidth, peak)
    corner = list(intensity).index(1000 * peak / bandwidth)
    assert reached[corner] == pytest.approx(peak)
    assert reached[corner - 1] == pytest.approx(bandwidth / 1000 * intensity[corner - 1])


def test_a_step_over_the_batch_bends_at_the_crossover_and_fills_its_axes(answers):
    live = decoding(answers)
    right = live._artists[0].figure.axes[1]
    sixteen, chosen = ({round(x, 2): y for x, y in zip(*line.get_data(), strict=True)} for line in right.lines[:2])
    assert sixteen[1] == 1
    assert [chosen[1], chosen[38]] == pytest.approx([1 / 4, 1 / 4])
    assert chosen[39] > 0.254  # the crossover is 312 / 2.039 / 4, 38.3
    low, high = np.log10(right.get_ylim())
    assert high - low < 3
    for frame in ({"bits": 2}, {"bits": 32, "batch": 1024}):
        for name, value in frame.items():
            live.controls[name].value = value
        for device in DEVICES:
            live.controls["device"].value = device
            shown = [y for line in right.lines[:2] for y in line.get_data()[1]]
            assert right.get_ylim()[0] < min(shown) < max(shown) < right.get_ylim()[1]


@pytest.mark.parametrize("kind", [np.float64, np.array, torch.tensor], ids=["NumPy's float", "array", "tensor"])
def test_figures_take_numbers_in_every_form_that_the_checks_take(answers, kind):
    def turned(name):
        return lambda *arguments, **named: kind(answers[name](*arguments, **named))

    names = ("model_size_gb", "decode_latency_ms", "crossover_batch")
    assert decoding(answers, **{name: turned(name) for name in names}).message.value == ""
    assert arithmetic.memory(turned("model_size_gb"), turned("kv_cache_gb")).message.value == ""
    arithmetic.roofline({}, {"roof": arithmetic.roof(turned("decode_latency_ms"), 2000, 312)})
    arithmetic.side_by_side({"fp32": 50.0}, {"fp32": kind(25.0)})


def test_measured_and_predicted_times_stand_in_pairs():
    figure = arithmetic.side_by_side({"fp32": 50.0, "int4": 7.0}, {"int4": 3.5, "fp32": 25.0})
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["fp32", "int4"]
    assert [bar.get_width() for bar in figure.axes[0].patches] == [50, 7, 25, 3.5]
    assert [label.get_text() for label in figure.axes[0].texts] == ["2.0x", "2.0x"]


def test_times_over_the_batch_are_lines_and_a_crossing_is_marked():
    figure = arithmetic.over_the_batch(
        [1, 4, 64],
        {"bf16": [2.0, 2.0, 5.0], "int8": [1.0, 1.0, 4.0], "int4": [0.5, 1.0, 9.0]},
        {"int8": None, "int4": 64},
    )
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["bf16", "int8", "int4", "int4 is slower from batch 64"]
    assert axes.lines[-1].get_xdata()[0] == 64


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_a_machine_of_the_table_has_its_figures_and_their_source(device):
    assert device.name in DEVICES
    assert 10 <= device.memory_gb <= 180
    assert 300 <= device.bandwidth_gb_s <= 7700
    assert set(device.peak_tflops) <= set(hardware.BITS)
    assert device.half_tflops == device.peak_tflops["fp16"] > device.peak_tflops["fp32"]
    assert re.match(r"NVIDIA .*(datasheet|whitepaper) \(20\d\d\)", device.source)


def test_the_machines_that_the_chapter_promises_are_there():
    assert {"A100 80 GB", "H100", "T4", "L4", "RTX 4090", "B200", "RTX 5090"} <= set(DEVICES)


def test_peaks_are_dense_each_halving_of_the_bits_doubles_or_quadruples_them():
    for device in DEVICES.values():
        peaks = device.peak_tflops
        for wide, narrow in (("fp16", "fp8"), ("fp16", "int8"), ("fp8", "fp4"), ("int8", "int4")):
            if {wide, narrow} <= set(peaks):
                ratio = peaks[narrow] / peaks[wide]
                assert min(abs(ratio - 2), abs(ratio - 4)) < 0.02, (device.name, wide, narrow)
    assert 2 * DEVICES["RTX 5090"].peak_tflops["fp4"] == 3352  # the AI TOPS that NVIDIA names count sparsity


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
def test_a_decoding_step_multiplies_each_vector_by_each_matrix(kind):
    try:
        steps = hardware.decoding_steps(kind, (1, 5), layers=3, side=128)
    except Refused as reason:
        pytest.skip(str(reason))
    assert list(steps) == [1, 5]
    for batch, step in steps.items():
        products = step()
        assert [tuple(product.shape) for product in products] == [(batch, 128)] * 3
        assert all(torch.equal(product, products[0]) for product in products)
        assert float(products[0].min()) > 0


@pytest.mark.parametrize("kind", ["bf16", "int8", "int4"])
def test_matrices_in_turn_are_one_a_call_each_the_next(kind):
    try:
        steps = hardware.decoding_steps(kind, (1, 5), layers=3, side=128, in_turn=True)
    except Refused as reason:
        pytest.skip(str(reason))
    assert [[tuple(product.shape) for product in step()] for step in steps.values()] == [[(1, 128)], [(5, 128)]]
    endless = inspect.getclosurevars(steps[1]).nonlocals["endless"]
    assert len({next(endless).data_ptr() for _ in range(6)}) == 3


def test_an_int4_product_that_a_gpu_lacks_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda *_: "Tesla T4")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda *_: (7, 5))
    with pytest.raises(Refused, match=r"int4 comes with compute capability 8\.0, Tesla T4 has 7\.5"):
        hardware.decoding_steps("int4", (1,), 1, 128)


def test_on_a_gpu_two_int4_codes_are_packed_into_a_byte(monkeypatch):
    """PyTorch's two functions for GPUs are stood in for: codes less 8, times a scale, plus a zero."""
    monkeypatch.setattr(hardware, "DEVICE", "cuda")
    monkeypatch.setattr(hardware, "require", lambda kind: None)
    made = torch.tensor
    monkeypatch.setattr(torch, "tensor", lambda *a, device=None, **named: made(*a, **named))

    class Aten:
        @staticmethod
        def _convert_weight_to_int4pack(packed, inner_tiles):
            assert (packed.dtype, inner_tiles) == (torch.uint8, 8)
            return packed

        @staticmethod
        def _weight_int4pack_mm(x, packed, group, scales_and_zeros):
            codes = torch.stack([packed >> 4, packed & 15], 2).flatten(1).float()
            scales, zeros = (part.t().repeat_interleave(group, 1).float() for part in scales_and_zeros.unbind(2))
            return x.float() @ ((codes - 8) * scales + zeros).t()

    monkeypatch.setattr(torch.ops, "aten", Aten)
    w = torch.randint(-8, 8, (64, 256), dtype=torch.int8, generator=torch.Generator().manual_seed(0))
    x = torch.randn(3, 256, generator=torch.Generator().manual_seed(1))
    packed, product = hardware._int4(w)
    assert packed.shape == (64, 128)
    assert torch.allclose(product(x, packed), x @ w.float().t(), atol=1e-3)


def matrices(step):
    return inspect.getclosurevars(step).nonlocals["matrices"]


def test_weights_of_fewer_bits_are_stored_in_fewer_bytes_once_for_all_batches():
    stored = {}
    for kind in ("fp32", "bf16", "fp16", "int8", "int4"):
        try:
            one, two = hardware.decoding_steps(kind, (1, 2), layers=2, side=128).values()
        except Refused:
            continue
        assert matrices(one) is matrices(two)
        stored[kind] = sum(w.nbytes for w in matrices(one))
    assert stored == {kind: 2 * 128**2 * hardware.BITS[kind] / 8 for kind in stored}
    assert {"fp32", "bf16", "fp16"} <= set(stored)


def test_a_product_that_comes_out_wrong_is_refused(monkeypatch):
    monkeypatch.setattr(torch, "_weight_int8pack_mm", lambda x, w, scales: torch.zeros(len(x), len(w)))
    with pytest.raises(Refused, match="int8 weights comes out wrong"):
        hardware.decoding_steps("int8", (1,), 1, 128)


def test_what_pytorch_lacks_is_refused_in_one_line(monkeypatch):
    monkeypatch.delattr(torch, "_weight_int8pack_mm")
    with pytest.raises(Refused, match="_weight_int8pack_mm") as refused:
        hardware.decoding_steps("int8", (1,), 1, 128)
    assert "\n" not in str(refused.value)


def test_a_type_whose_product_fails_is_no_type_of_this_machine(small, monkeypatch):
    def fails(*_):
        raise RuntimeError("not implemented")

    monkeypatch.setattr(torch, "_int_mm", fails)
    peaks = hardware.this_machine.__wrapped__().peak_tflops
    assert "int8" not in peaks
    assert "fp32" in peaks


def test_an_unknown_type_is_named_with_the_choice():
    for measured in (lambda: hardware.decoding_steps("fp64"), lambda: hardware.matmul("fp64", 1, 1, 1)):
        with pytest.raises(ValueError, match=r"kind must be one of fp32, .*, got 'fp64'"):
            measured()


# --- What the chapter says


def test_what_holds_for_every_exercise_is_said_before_the_first_of_them(text):
    rules = text.index("## What holds for every exercise")
    assert rules < text.index("### Exercise 0.1 ")
    said = text[rules : text.index("## 1. How much must go?")]
    for words in (
        *("Three significant digits are enough", "Text that reads as a number counts as that number"),
        *("8-bit integers and `float16` included", "Leave your inputs as they are", "Return a Python number, a list,"),
        *(
            "NaN meets no condition, so the text may ask you to refuse it too",
            "name either",
            "What happens with 2.5 of them is not tested",
        ),
        *("Ties of rounding** may go either way", "NaN and infinity in data, and infinity as a setting"),
    ):
        assert words in said, words
    assert check.canonical("0.25") == check.canonical(0.25)


def test_the_rules_example_wraps_in_integers_and_refuses_nan(text):
    (source,) = (cell.source for cell in chapters.read(CHAPTER).cells if "def centred" in cell.source)
    namespace = {"np": np}
    run_cell(source, namespace)
    assert (namespace["codes"] - 128).tolist() == [228, 72]
    assert namespace["centred"](namespace["codes"], 1.0).tolist() == [-28, 72]
    with pytest.raises(ValueError, match="scale must be above 0, got nan"):
        namespace["centred"](namespace["codes"], math.nan)
    assert not math.nan <= 0
    assert "the first difference wraps around to 228" in text


def test_an_unanswered_chapter_runs_to_its_end_and_every_error_names_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")
    notebook = chapters.read(CHAPTER)
    for cell in notebook.cells:
        cell.source = chapters.HIDDEN.sub("", cell.source)
        cell.source = re.sub(r"^### BEGIN SOLUTION\n[\s\S]*?### END SOLUTION", "", cell.source, flags=re.MULTILINE)
        cell.source = chapters.SOLUTION.sub("raise NotImplementedError('your code here')", cell.source)
    client = NotebookClient(notebook, timeout=120, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    errors = {output.ename for output in outputs if output.output_type == "error"}
    assert errors == {"NotImplementedError"}


def test_each_doubling_of_the_ratio_saves_half_of_what_the_last_one_saved(text):
    left = [14 / ratio for ratio in (1, 2, 4, 8, 16)]
    saved = [before - after for before, after in itertools.pairwise(left)]
    assert saved == [7, 3.5, 1.75, 0.875]
    assert sum(saved[1:]) < 7
    assert "all the others together save the other half at most" in text


def test_what_does_not_shrink_decides_how_much_of_the_ratio_becomes_speed(text):
    faster = [(14 / 2 + other) / (3.5 / 2 + other) for other in (0, 1, 3)]
    assert faster == pytest.approx([4, 2.91, 2.11], abs=0.005)
    assert "The compression ratio is the most that you can win in time" in text


def test_more_times_as_fast_than_times_as_few_bits_means_that_fp32_reads_slower(text):
    """faster / (bits of fp32 / bits) is the ratio of their GB/s, whatever was measured."""
    for slow_ms, fast_ms, bits in ((50, 4, 4), (50, 10, 4), (50, 70, 16)):
        gb_s, fp32_gb_s = bits / fast_ms, 32 / slow_ms
        assert slow_ms / fast_ms / (32 / bits) == pytest.approx(gb_s / fp32_gb_s)
    assert "there it is fp32 that reads fewer GB/s than the other type does" in text


def test_each_step_is_held_against_the_peak_of_the_type_it_is_multiplied_in():
    cells = [cell.source for cell in chapters.read(CHAPTER).cells]
    (defines,) = (
        re.search(r"^step_peak = \{.*?^\}", source, re.S | re.M)[0] for source in cells if "step_peak = {" in source
    )
    old_cpu = Device("made up", 8, 20, {"fp32": 0.2, "bf16": 0.4, "fp16": 0.004, "int8": 0.8}, "made up")
    namespace = {"machine": old_cpu, "step_ms": dict.fromkeys(["fp32", "bf16", "fp16", "int8", "int4"], 1.0)}
    run_cell(defines, namespace)
    assert namespace["step_peak"] == {"fp32": 0.2, "bf16": 0.4, "fp16": 0.004, "int8": 0.4, "int4": 0.4}


def test_chapters_texts_quarrel_with_no_text_that_the_learner_has_not_read(text):
    assert not re.search(r"[Yy]ou may read|Read data sheets with care|It is not:", text)


def test_the_context_of_4096_is_llama_2s(text):
    assert "Llama 2 7B reads 4096 tokens (Touvron et al., 2023b)" in text
    assert "arXiv:2307.09288" in text


def test_erratum_1_the_crossover_of_an_a100_is_156_and_39_with_int4(answers, text):
    step, crossover = answers["decode_latency_ms"], answers["crossover_batch"]
    assert crossover(312, 2, 16) == pytest.approx(156)
    assert crossover(312, 2, 4) == pytest.approx(39)
    for bits, waits_for_memory in ((16, True), (4, False)):
        assert (step(7e9, bits, 2000, 312, 64) == step(7e9, bits, 2000, 312, 1)) is waits_for_memory
    for bits, batch in ((16, 156), (4, 39)):
        assert math.isclose(step(7e9, bits, 2000, 312, batch), step(7e9, bits, 2000, 312, 1))
        assert step(7e9, bits, 2000, 312, batch + 1) > 1.001 * step(7e9, bits, 2000, 312, 1)
    assert "an A100's crossover is at batch 156. With INT4 weights it is at 39" in text
    assert "the same batch of 64 waits for memory in FP16 and for arithmetic in INT4" in text


def test_erratum_7_the_a100s_312_are_dense_fp16_and_an_h100_has_3_2_times_as_many(text):
    a100, h100 = DEVICES["A100 80 GB"].peak_tflops, DEVICES["H100"].peak_tflops
    assert (a100["fp16"], a100["bf16"], a100["tf32"], a100["fp32"]) == (312, 312, 156, 19.5)
    assert (h100["bf16"], h100["tf32"], h100["fp8"], h100["int8"]) == (989, 495, 1979, 1979)
    assert h100["bf16"] / a100["bf16"] == pytest.approx(3.2, abs=0.05)
    assert "TF32 reaches 156 there, and plain FP32 19.5" in text
    assert "Compare dense with dense: an H100 (SXM) has 989 TFLOPS in BF16, 3.2 times as many as an A100." in text


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


def test_int4_is_faster_for_one_sequence_and_slower_for_64_by_the_table_of_lab_11(text):
    rows = re.findall(r"\| (BF16|INT4) \| ([\d.]+) MB \| ([\d.]+) ms \| ([\d.]+) ms: ", text)
    table = {name: tuple(map(float, numbers)) for name, *numbers in rows}
    assert list(table) == ["BF16", "INT4"]
    assert [table[name][0] for name in table] == pytest.approx([4096**2 * 2 / 1e6, 4096**2 / 2 / 1e6], abs=0.06)
    taken = {name: {n: max(read, n * computing) for n in (1, 64)} for name, (_, read, computing) in table.items()}
    assert taken["INT4"][1] < 0.5 * taken["BF16"][1]
    assert taken["INT4"][64] > 1.5 * taken["BF16"][64]


def test_the_batch_from_which_a_type_is_slower_is_the_first_of_an_unbroken_run(capsys):
    (source,) = (cell.source for cell in chapters.read(CHAPTER).cells if "crossings = {}" in cell.source)
    drawn = []
    namespace = {
        "layer_batches": [1, 2, 4, 8],
        "layer_ms": {"bf16": [4.0, 4, 4, 4], "int8": [1.0, 5, 3, 2], "int4": [1.0, 5, 3, 6]},
        "layer_times": {},
        "timing": timing,
        "draw": type("Draw", (), {"over_the_batch": staticmethod(lambda *given: drawn.append(given[2]))}),
    }
    run_cell(source, namespace)
    assert drawn == [{"int8": None, "int4": 8}]
    said = capsys.readouterr().out
    assert "int8: not slower at the largest batch" in said
    assert "int4: slower than bf16 from batch 8 on" in said
    assert re.search(r"^ +1 .* int8 4\.00, int4 4\.00$", said, re.MULTILINE)
