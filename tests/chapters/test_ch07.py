"""Chapter 7: its figures follow their controls, what it corrects is so, and what it says of low rank and LoRA holds."""

import numpy as np
import pytest
import torch
from conftest import frames
from sklearn.datasets import load_sample_image
from torch.nn import functional

from course import tinygpt
from course.figures import low_rank

CHAPTER = "ch07_low_rank"


@pytest.fixture(scope="module")
def picture():
    return load_sample_image("china.jpg").mean(2)[:425].reshape(85, 5, 128, 5).mean((1, 3)) / 255


@pytest.fixture(scope="module")
def matrices():
    return {name: layer.weight.detach().numpy() for name, layer in tinygpt.linears(tinygpt.tiny_gpt()).items()}


@pytest.fixture
def live(answers, picture, matrices):
    functions = (answers[name] for name in ("truncated_svd", "break_even_rank", "energy"))
    return low_rank.rebuilt(*functions, picture, matrices["blocks.1.attention.q"])


def test_every_rank_has_its_own_picture_energy_and_count(live, picture):
    assert len(frames(live)) == min(picture.shape) == 85
    live.controls["rank"].value = 85
    assert "rank 85: picture 18,105 of 10,880 numbers, energy 100.0 %" in live.caption.value
    live.controls["rank"].value = 8
    assert "picture 1,704 of 10,880 numbers" in live.caption.value
    assert "weights 2,048 of 16,384 numbers" in live.caption.value


def test_a_wrong_answer_is_seen(answers, picture, live):
    def smallest(w, r):
        u, s, vt = np.linalg.svd(w, full_matrices=False)
        return u[:, -r:] * s[-r:], vt[-r:]

    weights = np.random.default_rng(0).normal(0, 1, (16, 16))
    given = {name: answers[name] for name in ("truncated_svd", "break_even_rank", "energy")}
    right = low_rank.rebuilt(*given.values(), picture, weights).image.value
    for name, wrong in {
        "truncated_svd": smallest,
        "break_even_rank": lambda m, n: min(m, n) / 4,
        "energy": lambda s, r: s[:r].sum() / s.sum(),
    }.items():
        live = low_rank.rebuilt(*(given | {name: wrong}).values(), picture, weights)
        assert live.message.value == ""
        assert live.image.value != right
        live = low_rank.rebuilt(*(given | {name: lambda *arguments: None}).values(), picture, weights)
        assert "returned nothing" in live.message.value


def test_the_other_figures_draw_what_they_are_given(picture):
    gallery = low_rank.gallery({"whole": picture, "half": picture / 2})
    assert [axes.get_title() for axes in gallery.axes[:2]] == ["whole", "half"]
    (axes,) = low_rank.errors([1, 2], {"best": [0.5, 0.2], "other": [0.6, 0.3]}, [0.5, 0.2]).axes
    assert [line.get_ydata().tolist() for line in axes.lines] == [[50, 20], [60, 30], [50, 20]]
    ranks = {"128 x 128": 64.0, "128 x 512": 102.4, "512 x 128": 102.4}
    (axes,) = low_rank.truncation([32, 64], [3.0, 2.5], 1.5, ranks).axes
    assert axes.get_ylabel() == "bits per byte (lower is better)"
    marks = {line.get_label(): line.get_xdata()[0] for line in axes.lines if "break-even" in line.get_label()}
    assert marks == {"break-even of 128 x 128": 64, "break-even of 128 x 512 and 512 x 128": 102.4}
    (axes,) = low_rank.spectra([1, 8], {"change": [0.2, 0.5]}).axes
    assert axes.lines[0].get_ydata().tolist() == [20, 50]
    shares, bits = {"LoRA 2": 0.02, "full": 1.0}, {"LoRA 2": 2.0, "full": 1.9}
    left, right = low_rank.adapted(shares, bits, bits, (2.2, 1.6)).axes
    assert [text.get_text() for text in left.texts] == ["LoRA 2", "full"]
    assert right.lines[0].get_ydata()[0] == 1.6


def test_erratum_12_the_energy_is_99_80_percent(answers):
    assert 10**2 + 5**2 + 2**2 + 1**2 == 130
    assert f"{100 * 130 / 130.2626:.2f}" == "99.80"
    assert int(10_000 * 130 / 130.2626) == 9979  # cut off
    assert answers["energy"]([10, 5, 2, 1, 0.5, 0.1, 0.05, 0.01], 4) == pytest.approx(130 / 130.2626)


def test_erratum_13_b_a_and_the_transposed_a_b_are_the_same_and_start_at_nothing(answers):
    generator = torch.Generator().manual_seed(0)
    base = torch.nn.Linear(7, 5)
    layer = answers["LoRALinear"](base, 3, 6.0)
    x = torch.randn(4, 7, generator=generator)
    assert layer.A.shape == (3, 7)
    assert layer.B.shape == (5, 3)
    assert torch.equal(layer(x), base(x))
    layer.B.data = torch.randn(5, 3, generator=generator)
    down, up = layer.A.T, layer.B.T  # the other convention: x (in, r) (r, out), with the second factor zero at first
    assert torch.allclose(layer(x), base(x) + 6.0 / 3 * (x @ down) @ up, atol=1e-6)
    assert torch.allclose(layer(x), base(x) + 6.0 / 3 * x @ (layer.B @ layer.A).T, atol=1e-5)


def test_the_chapter_states_both_corrections(text):
    assert "With two decimals that is 99.80 %." in text
    assert "99.79" not in text
    assert "It is the same thing transposed" in text


def changed(answers, r, alpha, steps=6):
    """The mean size of the change, as a share of the weights, after a few steps of Adam on Python's help pages."""
    from pydoc_data.topics import topics

    torch.manual_seed(0)
    model, manual = (
        tinygpt.tiny_gpt().requires_grad_(False),
        "\n\n".join(topics[name] for name in sorted(topics)).encode(),
    )
    layers = {name: answers["LoRALinear"](layer, r, alpha) for name, layer in tinygpt.linears(model).items()}
    for name, layer in layers.items():
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, layer)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.001)
    for rows in tinygpt.windows(manual, 4 * steps, seed=0).split(4):
        optimizer.zero_grad()
        functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten()).backward()
        optimizer.step()
    before = tinygpt.linears(tinygpt.tiny_gpt())
    return np.mean(
        [
            ((layer.merge().weight - before[n].weight).norm() / before[n].weight.norm()).item()
            for n, layer in layers.items()
        ]
    )


def test_alpha_over_r_shrinks_the_change_and_alpha_over_the_root_of_r_holds_it(answers):
    by_r = [changed(answers, r, 8) for r in (4, 64)]
    by_root = [changed(answers, r, 4 * r**0.5) for r in (4, 64)]
    assert by_r[0] == pytest.approx(by_root[0]), "the same factor at rank 4"
    assert by_r[1] < 0.6 * by_r[0]
    assert by_root[1] == pytest.approx(by_root[0], rel=0.35)


def test_the_chapter_states_what_each_factor_does(text):
    assert "keeps the change about as large" not in text
    assert "with it the change shrinks as $r$ grows, while $\\alpha / \\sqrt{r}$ would hold its size" in text
    assert "arXiv:2312.03732" in text


def test_times_are_taken_in_the_courses_one_way(text):
    assert "timing.timings" in text
    assert "timing.measure_again" in text
    assert "perf_counter" not in text


def test_all_adapters_of_exercise_7_2_hold_as_many_numbers_as_one_matrix(answers):
    assert answers["lora_params"](4096, 16, 128) == 4096**2
    assert round(answers["lora_params"](12288, 4, 192) / 1e6) in (18, 19)  # the budget of Hu et al. (2021)


def test_the_matrices_of_tinygpt_cannot_be_cut_to_their_break_even_rank(answers):
    cut = tinygpt.tiny_gpt()
    whole = tinygpt.bits_per_byte(cut, windows=16)
    for layer in tinygpt.linears(cut).values():
        u, v = answers["truncated_svd"](layer.weight.detach().numpy(), 64)
        layer.weight.data = torch.as_tensor(u @ v, dtype=torch.float32)
    assert tinygpt.bits_per_byte(cut, windows=16) > whole + 0.5


def test_lora_learns_most_of_what_full_fine_tuning_learns_and_the_change_is_of_lower_rank_than_the_weights(
    answers, matrices
):
    from pydoc_data.topics import topics

    pages = [topics[name] for name in sorted(topics)]
    manual, held_out = ("\n\n".join(part).encode() for part in ([p for i, p in enumerate(pages) if i % 5], pages[::5]))

    def tuned(model, lr, steps=25):
        optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr)
        for rows in tinygpt.windows(manual, 4 * steps, seed=0).split(4):
            optimizer.zero_grad()
            functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten()).backward()
            optimizer.step()
        return model

    torch.manual_seed(0)
    adapted = tinygpt.tiny_gpt().requires_grad_(False)
    for name, layer in tinygpt.linears(adapted).items():
        parent, _, child = name.rpartition(".")
        setattr(adapted.get_submodule(parent), child, answers["LoRALinear"](layer, 8, 16))
    trains = sum(p.numel() for p in adapted.parameters() if p.requires_grad)
    assert trains < 0.1 * sum(p.numel() for p in tinygpt.tiny_gpt().parameters())

    frozen = tinygpt.bits_per_byte(tinygpt.tiny_gpt(), held_out)
    full = tuned(tinygpt.tiny_gpt(), 1e-3)
    gained = {
        name: frozen - tinygpt.bits_per_byte(model, held_out)
        for name, model in {"LoRA": tuned(adapted, 5e-3), "full": full}.items()
    }
    assert gained["full"] > 0.05
    assert gained["LoRA"] > 0.5 * gained["full"]

    def rank_8_keeps(matrix):
        return answers["energy"](np.linalg.svd(matrix, compute_uv=False), 8)

    changes = [layer.weight.detach().numpy() - matrices[name] for name, layer in tinygpt.linears(full).items()]
    assert np.mean([*map(rank_8_keeps, changes)]) > 1.5 * np.mean([*map(rank_8_keeps, matrices.values())])


def with_qlora(answers, bits, r, layers=None):
    """TinyGPT with the answer's QLoRALinear, groups of 32, around `layers` (its own if not given)."""
    torch.manual_seed(0)
    model = tinygpt.tiny_gpt().requires_grad_(False)
    for name, layer in (layers or tinygpt.linears(model)).items():
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, answers["QLoRALinear"](layer, bits, 32, r, 16))
    return model


def test_an_adapter_beside_3_bit_codes_mends_and_rounding_the_sum_again_undoes_it(answers):
    whole = tinygpt.bits_per_byte(tinygpt.tiny_gpt(), windows=16)
    model = with_qlora(answers, 3, 8)
    lost = tinygpt.bits_per_byte(model, windows=16) - whole
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, answers["QLoRALinear"])}
    codes = {name: layer.codes.clone() for name, layer in layers.items()}
    assert 0.4 < lost < 0.7
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 0.005)
    for rows in tinygpt.windows(tinygpt.training_text(), 4 * 15, seed=0).split(4):
        optimizer.zero_grad()
        functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten()).backward()
        optimizer.step()
    assert tinygpt.bits_per_byte(model, windows=16) - whole < 0.6 * lost
    assert all(torch.equal(layer.codes, codes[name]) for name, layer in layers.items())
    again = with_qlora(answers, 3, 1, {name: layer.merge() for name, layer in layers.items()})
    assert tinygpt.bits_per_byte(again, windows=16) - whole > 0.8 * lost


def test_rank_8_costs_this_narrow_model_more_bits_than_the_fourth_bit_which_helps_more(answers):
    four, three = with_qlora(answers, 4, 8), with_qlora(answers, 3, 8)
    layers = [layer for layer in three.modules() if isinstance(layer, answers["QLoRALinear"])]
    adapters = sum(16 * (layer.A.numel() + layer.B.numel()) for layer in layers)
    assert adapters / sum(layer.codes.numel() for layer in layers) == 1.5
    assert tinygpt.bits_per_byte(four, windows=16) < tinygpt.bits_per_byte(tinygpt.tiny_gpt(), windows=16) + 0.08


def test_double_quantization_costs_0_127_bits_per_weight(exercises_of, text):
    exercise = exercises_of(CHAPTER)["L7.11"]
    namespace = {}
    exec(exercise.answer.source, namespace)
    assert namespace["ex_L7_11"] == 8 / 64 + 32 / (64 * 256)
    assert f"{namespace['ex_L7_11']:.3f}" == "0.127"
    for paper in ("2305.14314", "2402.09353", "2310.08659"):
        assert f"arXiv:{paper}" in text
