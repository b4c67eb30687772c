"""Chapter 2: its figures and table, the corrections it makes, and what its text claims of TinyGPT."""

import ast
import contextlib
import copy
import io

import ipywidgets as widgets
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from PIL import Image

from autograder.authoring import bank, chapters
from course import style, tinygpt
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
        "rotation": ptq.rotation(solutions["hadamard_transform"], *squares_and_weights()),
    }


def squares_and_weights():
    rng = np.random.default_rng(0)
    return rng.normal(0, 1, (100, 64)).clip(0) ** 4, rng.normal(0, 1, (8, 64))


@pytest.mark.parametrize("name", ["granularity", "ranges", "rotation"])
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
        ptq.rotation(lambda x: None, *squares_and_weights()),
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


def test_the_figure_of_calibration_texts_has_a_line_for_each_and_the_best_on_top():
    figure = ptq.calibrations({"prose": np.array([0.1, 0.12, 0.11]), "none": np.array([0.6, 0.5, 0.7])})
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["none", "prose"]
    assert axes.get_ylim()[0] < axes.get_ylim()[1]
    assert "bits per byte" in axes.get_xlabel()


MEASURED = [
    ("as trained", 16, 16.0, 1_709_368, 1.634),
    ("one scale per tensor", 8, 8.0, 926_984, 1.635),
    ("one scale per tensor", 4, 8.0, 926_984, 2.114),
    ("one scale per channel", 8, 8.19, 945_640, 1.634),
    ("one scale per channel", 4, 4.19, 552_360, 1.699),
    ("groups of 32", 4, 5.0, 632_288, 1.668),
    ("one scale per channel", 3, 3.19, 454_056, 2.209),
    ("groups of 32", 3, 4.0, 533_984, 1.829),
    ("one scale per channel", 2, 2.19, 355_752, 4.234),
    ("groups of 32", 2, 3.0, 435_680, 3.715),
    ("GPTQ", 4, 4.19, 552_360, 1.654),
    ("GPTQ", 3, 3.19, 454_056, 1.734),
    ("GPTQ", 2, 2.19, 355_752, 2.548),
]


def test_no_two_numbers_of_the_plot_collide_and_none_covers_a_point():
    table = ptq.Table()
    for row in MEASURED:
        table.add(*row)
    figure = ptq.tradeoff(table, 500_000)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    points = [axes.transData.transform((row.bytes_on_disk / 1000, row.bits_per_byte)) for row in table.rows]
    assert sorted(int(text.get_text()) for text in axes.texts) == sorted(row.bits for row in table.rows)
    for i, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:i])
        assert not any(box.contains(*point) for point in points)
        assert axes.bbox.containsx(box.x0)
        assert axes.bbox.containsy(box.y0)


def test_the_histogram_of_activations_fills_the_picture(solutions):
    live = ptq.ranges(solutions["calibrate"], np.random.default_rng(0).normal(0, 1, 2000).clip(0) ** 4)
    pixels = np.asarray(Image.open(io.BytesIO(live.image.value)).convert("RGB"), dtype=int)
    blue = 255 * np.array(to_rgb(style.BEFORE))
    drawn = np.flatnonzero((np.abs(pixels - blue).sum(2) < 60).any(0))
    assert drawn.max() - drawn.min() > 0.6 * pixels.shape[1]


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


STYLES = {
    "torch": ("torch", "torch, float32", "torch", "coarse, then fine, in torch", "torch"),
    "loops and lists": (
        *("plain loop, a list", "plain loops", "plain loop"),
        *("a percentile by sorting, a list returned", "row by row, without Cholesky"),
    ),
}


@pytest.mark.parametrize("way", STYLES)
def test_the_given_cells_take_what_the_checks_take(way):
    """With answers of this style, packed matrices come back, and ranges and scales serve the cells that use them."""
    names = dict(zip(("2.5", "L2.7", "L2.8", "L2.9", "L2.10"), STYLES[way], strict=True))
    given = {"np": np, "torch": torch, "tinygpt": tinygpt, "GRADING": True}
    cells = [cell for cell in chapters.read(CHAPTER).cells if cell.cell_type == "code" and not chapters.grade_id(cell)]
    for node in ast.parse("\n".join(cell.source for cell in cells)).body:
        if isinstance(node, ast.FunctionDef) and node.name not in ("ship", "gptq_all", "on_the_grid"):
            exec(compile(ast.Module([node], []), "<given>", "exec"), given)
    for answer in bank.answers(CHAPTER):
        if answer.right and names.get(answer.exercise) == answer.name:
            exec(answer.source, given)
    w = np.random.default_rng(0).normal(0, 0.1, (8, 64)).astype(np.float32)
    for bits in (2, 3, 4):
        for group_size in (None, 32):
            parts = given["in_groups"](w, bits, group_size)
            back = np.asarray(given["from_packed"](given["packed"](parts, bits), bits))
            assert back.shape == w.shape
            assert np.allclose(back, np.asarray(given["from_groups"](parts)))
            assert np.abs(back - w).max() < np.ptp(w) / (2**bits - 1)
    scales = np.asarray(given["per_channel_scale"](w))[:, None]
    assert np.allclose(given["from_grid"](given["codes_and_grid"](w, scales, 8)), w, atol=0.003)
    ranges = dict.fromkeys(tinygpt.linears(tinygpt.tiny_gpt()), given["calibrate"](w, "mse"))
    assert given["with_ranges"](ranges, 8) > 0
    w_hat = np.asarray(given["gptq"](w, w, 3))
    assert w_hat.shape == w.shape


def test_the_small_h_and_u_are_right_and_each_row_of_u_is_that_of_a_fresh_inverse():
    (cell,) = (cell for cell in chapters.read(CHAPTER).cells if cell.source.startswith("H = np.array("))
    shown, out = {"np": np}, io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(cell.source, shown)
    x = np.array([[1, 0, 1], [0, 2, 1], [2, 1, 0]])
    assert "`x = np.array([[1, 0, 1], [0, 2, 1], [2, 1, 0]])`" in chapters.text_path(CHAPTER).read_text("utf-8")
    assert np.array_equal(shown["H"], 2 * x.T @ x)
    assert np.allclose(shown["U"], np.linalg.cholesky(np.linalg.inv(2 * x.T @ x)).T, atol=5e-5)
    for line in out.getvalue().splitlines()[1:]:
        fresh, row = (text.split("]")[0].split() for text in line.split("[")[1:])
        assert np.allclose(np.array(fresh, float), np.array(row, float), atol=1.1e-3)


def test_the_factor_2_of_the_hessian_cancels_and_weights_of_silent_inputs_go_to_their_nearest_level(solutions):
    gptq, rng = solutions["gptq"], np.random.default_rng(3)
    w, x = rng.normal(0, 0.1, (6, 10)), rng.normal(size=(50, 3)) @ rng.normal(size=(3, 10)) + rng.normal(size=(50, 10))
    assert np.array_equal(gptq(w, x, 3), gptq(w, x / np.sqrt(2), 3))
    x[:, [2, 7]] = 0
    parts = solutions["quantize_groupwise"](w, 3, 10)
    nearest = solutions["dequantize_groupwise"](*parts, 10)
    for damp in (0, 0.01):
        w_hat = gptq(w, x, 3, damp)
        assert np.allclose(w_hat[:, [2, 7]], nearest[:, [2, 7]])
        assert not np.allclose(w_hat, nearest)
    small = 1e-4 * x  # here the ones make up the mean, and the damping leaves nothing to make up for
    assert np.allclose(gptq(w, small, 3), nearest)
    assert not np.allclose(gptq(w, small, 3, damp=0), nearest)


def test_every_row_of_tinygpt_holds_0():
    for layer in tinygpt.linears(tinygpt.tiny_gpt()).values():
        assert (layer.weight.amin(1) <= 0).all()
        assert (layer.weight.amax(1) >= 0).all()


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

    channels, groups = {}, {}
    for bits in (4, 3):
        channels[bits] = quality(lambda w, x, bits=bits: nearest(w, bits, w.shape[1]))
        groups[bits] = quality(lambda w, x, bits=bits: nearest(w, bits, 32))
        assert groups[bits] < channels[bits]
        assert quality(lambda w, x, bits=bits: solutions["gptq"](w, x, bits)) < channels[bits]
    assert groups[3] > channels[4]  # at 4.00 and 4.19 bits per weight: at nearly equal size, groups of 32 lose


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
            lo, hi = (
                method if isinstance(method, tuple) else solutions["calibrate"](samples[name].ravel()[::10], method)
            )
            scale = (max(hi, 0) - min(lo, 0)) / (2**bits - 1)
            grid = (scale, round(-min(lo, 0) / scale), 0, 2**bits - 1)
            layer.register_forward_pre_hook(
                lambda layer, args, grid=grid: (torch.fake_quantize_per_tensor_affine(args[0], *grid),)
            )
        return tinygpt.bits_per_byte(model)

    trained = tinygpt.bits_per_byte(tinygpt.tiny_gpt())
    outliers = measure(4, "minmax")
    assert measure(4, "mse") < measure(4, "percentile") < outliers
    assert measure(8, "minmax") - trained < 0.1 * (outliers - trained)
    for end in (1.0, 10.0, 100.0):
        assert measure(8, (-end, end)) > outliers  # one guess for all layers


@pytest.fixture(scope="module")
def further(solutions):
    """The names of the given cells of Section 10 that need no answer but those of the solutions, and what they read."""
    model, names = tinygpt.tiny_gpt(), {"np": np, "torch": torch, "tinygpt": tinygpt, **solutions}
    inputs = {}
    for name, layer in tinygpt.linears(model).items():
        layer.register_forward_pre_hook(
            lambda layer, args, name=name: inputs.update({name: args[0].flatten(0, 1).numpy()})
        )
    with torch.no_grad():
        model(tinygpt.windows(tinygpt.training_text(), 16, seed=0)[:, :-1])
    names |= {"inputs": inputs, "model": tinygpt.tiny_gpt(), "length": tinygpt.CONTEXT}
    names["weights"] = {name: layer.weight.detach().numpy() for name, layer in tinygpt.linears(model).items()}
    names["tokens"] = tinygpt.windows(tinygpt.held_out(), 12, seed=0)
    wanted = {"kurtosis", "through", "grid", "rounded", "bits_of", "read", "turned", "cache_of"}
    cells = [cell for cell in chapters.read(CHAPTER).cells if cell.cell_type == "code" and not chapters.grade_id(cell)]
    for node in ast.parse("\n".join(cell.source for cell in cells)).body:
        if isinstance(node, ast.FunctionDef) and node.name in wanted:
            exec(compile(ast.Module([node], []), "<given>", "exec"), names)
            wanted.remove(node.name)
    assert not wanted
    return names


def test_a_rotation_changes_nothing_but_what_is_rounded_and_helps_most_on_a_symmetric_grid(further):
    turn = np.random.default_rng(0).choice([-1.0, 1.0], 512)[:, None] * further["hadamard_transform"](np.eye(512))
    downs = [name for name in further["weights"] if name.endswith("mlp.down")]
    plain, rotated = further["through"]({}), further["through"](dict.fromkeys(downs, turn))
    trained = tinygpt.bits_per_byte(tinygpt.tiny_gpt(), windows=32)

    def lost(layers, bits, symmetric=True):
        return tinygpt.bits_per_byte(further["rounded"](layers, bits, symmetric), windows=32) - trained

    assert lost(rotated, None) == pytest.approx(0, abs=1e-4)
    for bits in (6, 5):
        assert lost(rotated, bits) < 0.5 * lost(plain, bits)
    gain = {symmetric: lost(plain, 5, symmetric) - lost(rotated, 5, symmetric) for symmetric in (True, False)}
    assert gain[False] < 0.5 * gain[True]


def test_the_weights_of_tinygpt_have_no_outliers_to_spread_and_the_inputs_of_the_down_layers_have(further):
    of_weights = [further["kurtosis"](w) for w in further["weights"].values()]
    of_inputs = [further["kurtosis"](x) for name, x in further["inputs"].items() if name.endswith("mlp.down")]
    assert np.median(of_weights) < 4
    assert max(of_weights) < 10
    assert min(of_inputs) > 100


def test_a_cache_changes_nothing_unrounded_and_with_2_bits_keys_want_a_grid_per_channel(further):
    tokens = further["tokens"]
    with torch.no_grad():
        without = further["model"](tokens[:, :-1])
    same = further["read"](lambda k, v: (k, v))
    assert torch.allclose(same, without, atol=1e-3)

    def lost(*settings):
        return float(np.mean(further["bits_of"](further["read"](further["cache_of"](*settings)))) - exact)

    exact = float(np.mean(further["bits_of"](without)))
    at_once, by_token, by_channel = lost(2, "token"), lost(2, "token", 32), lost(2, "channel", 32)
    assert by_channel < by_token < 0.5 * at_once
    assert lost(4, "token") < 0.1 * at_once
    assert lost(8, "channel", 32, True) == pytest.approx(0, abs=0.005)  # turned by their positions, and back


def test_turning_keys_agrees_with_the_model_and_can_be_undone(further):
    k = torch.randn(2, 4, 20, 32, generator=torch.Generator().manual_seed(0))
    rotated = further["model"].blocks[1].attention.rotate(k)
    assert torch.allclose(further["turned"](k, 0), rotated)
    assert torch.allclose(further["turned"](k[:, :, 12:], 12), rotated[:, :, 12:])
    assert torch.allclose(further["turned"](rotated[:, :, 12:], 12, back=True), k[:, :, 12:], atol=1e-5)


@pytest.fixture(scope="module")
def given(solutions):
    """The functions of the given cells that calibrate and fold, with what they read, measured on few windows."""
    model = tinygpt.tiny_gpt()
    names = {
        "np": np,
        "torch": torch,
        "tinygpt": tinygpt,
        "copy": copy,
        "tqdm": lambda values, **_: values,
        **solutions,
    }
    names |= {"model": model, "GRADING": False, "calibration": None}
    names["weights"] = {name: layer.weight.detach().numpy().copy() for name, layer in tinygpt.linears(model).items()}
    trained = tinygpt.bits_per_byte(model, windows=32)
    names["lost"] = lambda changed: tinygpt.bits_per_byte(changed, windows=32) - trained
    for name in ("inputs_of", "gptq_all", "lost_with", "readers", "with_awq", "in_groups_of_32"):
        exec(compile(ast.Module([function_of(name)], []), "<given>", "exec"), names)
    return names


def test_gptq_wants_more_than_a_window_of_text_and_rather_prose_than_noise(given):
    from pydoc_data.topics import topics

    manual = "\n\n".join(topics[name] for name in sorted(topics)).encode()
    noise = np.random.default_rng(0).integers(0, 256, 50_000, dtype=np.uint8).tobytes()

    def after(text, windows):
        return given["lost_with"](given["gptq_all"](3, tinygpt.windows(text, windows, seed=1)[:, :-1]))

    silent = {name: given["gptq"](w, np.zeros((1, w.shape[1])), 3) for name, w in given["weights"].items()}
    for name, w in given["weights"].items():
        parts = given["quantize_groupwise"](w, 3, w.shape[1])
        assert np.allclose(silent[name], given["dequantize_groupwise"](*parts, w.shape[1]))
    source, prose = after(tinygpt.training_text(), 16), after(manual, 16)
    assert source < after(tinygpt.training_text(), 1) < given["lost_with"](silent)
    assert prose < 1.5 * source
    assert prose < after(noise, 16) < after(bytes(1000), 1) < given["lost_with"](silent)


def test_awq_folded_in_changes_nothing_and_gains_at_4_bits(given):
    gains = []
    for first in (0, 8, 16):
        folded = given["with_awq"](4, first, first // 4)
        assert given["lost"](folded) == pytest.approx(0, abs=1e-4)
        by_nearest, by_awq = (given["lost"](given["in_groups_of_32"](m, 4, first)) for m in (given["model"], folded))
        gains.append(by_nearest - by_awq)
    assert np.mean(gains) > 0


def test_folding_takes_an_s_of_any_form(given):
    answers = [a for a in bank.answers(CHAPTER) if a.exercise == "L2.13" and a.right and "loops" not in a.name]
    assert len(answers) > 2
    for answer in answers:
        names = dict(given) | {"GRADING": True}
        exec(answer.source, names)
        for name in ("inputs_of", "with_awq"):
            exec(compile(ast.Module([function_of(name)], []), "<given>", "exec"), names)
        assert given["lost"](names["with_awq"](4, 8, 0)) == pytest.approx(0, abs=1e-4)


def function_of(name):
    """The given cells' function of that name, as a syntax tree."""
    cells = [cell for cell in chapters.read(CHAPTER).cells if cell.cell_type == "code" and not chapters.grade_id(cell)]
    nodes = ast.parse("\n".join(cell.source for cell in cells)).body
    return next(node for node in nodes if isinstance(node, ast.FunctionDef) and node.name == name)
