"""Chapter 6: its figures follow their controls, and what it says of temperature, T squared and teaching is so."""

import numpy as np
import pytest
import torch
from conftest import frames
from torch.nn import functional

from course import models, tinygpt
from course.data import digits
from course.figures import distillation

CHAPTER = "ch06_distillation"


@pytest.fixture(scope="module")
def teacher_logits():
    teacher = models.trained_mlp()
    with torch.no_grad():
        return teacher(digits().x_train)


LOGITS = {
    "teacher": np.array([[9.0, 4.0, -2.0, 0.0], [1.0, 1.5, 6.0, 0.0]]),
    "student": np.array([[2.0, 3.0, 0.0, 0.0], [0.0, 1.0, 5.0, 2.0]]),
}
LABELS = np.array([0, 2])


def warm(softmax):
    return distillation.temperature(softmax, np.random.default_rng(0).random((2, 64)), LOGITS["teacher"], LABELS)


def both_parts(softmax, entropy, kd_loss):
    return distillation.two_parts(softmax, entropy, kd_loss, *LOGITS.values(), LABELS)


def test_the_bars_follow_temperature_and_picture(answers):
    live = warm(answers["softmax_with_temperature"])
    assert "T = 1: digit 0 gets 99.32%" in live.caption.value
    assert len(frames(live)) > 38
    assert live.alt


def test_the_two_parts_follow_temperature_alpha_and_picture(answers):
    live = both_parts(*(answers[name] for name in ("softmax_with_temperature", "entropy", "kd_loss")))
    assert len(frames(live)) > 55
    live.controls["alpha"].value = 0.0
    assert "soft part 0.000" in live.caption.value
    live.controls["alpha"].value = 1.0
    assert "hard part 0.000" in live.caption.value
    assert live.alt


def test_the_gradients_figure_follows_temperature_and_student():
    limits = {"one": 2.0, "other": 1.0}
    live = distillation.gradient_size(lambda name, T: limits[name] * T / (T + 3), limits)
    assert "1.00 times that at T = 1 and 25% of the limit" in live.caption.value
    assert "1/T^1.25" in live.caption.value
    assert len(frames(live)) == len(distillation.TEMPERATURES) + 1
    assert live.alt


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_measured_students_follow_temperature_and_alpha(seeds):
    temperatures, shares = [1.0, 4.0], np.linspace(0.8, 0.9, seeds)[:, None]
    taught = {0.5: shares + np.array([0.0, 0.02]), 1.0: shares + np.array([0.01, 0.04])}
    live = distillation.temperature_and_alpha(temperatures, taught, shares[:, 0], pictures=60)
    assert len(frames(live)) == 3
    assert f"over {seeds} seeds" in live.caption.value
    assert live.alt


def test_each_way_to_train_has_a_row():
    figure = distillation.students({"a": np.array([0.8, 0.9]), "b": np.array([0.9, 0.95])}, {"a"}, 0.97)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]


def test_the_checks_follow_the_drafted_tokens_and_the_drafts_bits():
    yields = {2: np.array([[1.0, 1.0], [2.0, 2.0]]), 4: np.array([[2.0, 2.5], [2.0, 3.0]])}
    agreement = {2: np.full((2, 2), 0.5), 4: np.array([[0.8, 0.8], [1.0, 1.0]])}
    live = distillation.tokens_per_check(yields, agreement, cost={2: 0.25, 4: 0.5})
    assert "k = 2, draft in 4 bits: 2.75 tokens a check, expected 2.71 with 90.0% kept" in live.caption.value
    assert "1.38 times as fast where time follows bytes, at best 1.38 with k = 2" in live.caption.value
    assert len(frames(live)) == 3
    live.controls["bits"].value = 2
    assert "1.50 tokens a check, expected 1.75 with 50.0% kept; 1.00 times as fast" in live.caption.value
    assert live.alt


def test_an_unanswered_function_is_named_in_the_message(answers):
    def nothing(*_):
        return None

    softmax = answers["softmax_with_temperature"]
    assert "returned nothing" in warm(nothing).message.value
    assert "returned nothing" in both_parts(softmax, nothing, answers["kd_loss"]).message.value
    assert "returned nothing" in both_parts(softmax, answers["entropy"], nothing).message.value


def test_functions_that_return_tensors_can_be_shown(answers):
    def softmax(logits, T):
        return torch.softmax(torch.tensor(logits) / T, -1)

    def entropy(p):
        return torch.special.entr(torch.tensor(p)).sum(-1)

    assert warm(softmax).message.value == ""
    assert both_parts(softmax, entropy, answers["kd_loss"]).message.value == ""


def test_temperature_keeps_the_order_and_raises_the_entropy(answers):
    logits = np.random.default_rng(0).normal(0, 3, (50, 10))
    softened = [answers["softmax_with_temperature"](logits, T) for T in (0.5, 1, 2, 4, 8, 100)]
    assert all((p.argsort(1) == logits.argsort(1)).all() for p in softened)
    entropies = np.array([answers["entropy"](p) for p in softened])
    assert (np.diff(entropies, axis=0) > 0).all()
    assert entropies[-1] == pytest.approx(np.full(50, np.log(10)), abs=0.01)


def test_the_numpy_and_the_torch_loss_agree(answers):
    generator = torch.Generator().manual_seed(0)
    z, v = (3 * torch.randn(6, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    y = torch.tensor([0, 1, 2, 3, 4, 0])
    p, q = (answers["softmax_with_temperature"](logits.numpy(), 3.0) for logits in (v, z))
    by_numpy = answers["kd_loss"](p, q, functional.cross_entropy(z, y).item(), 0.6, 3.0)
    assert by_numpy == pytest.approx(answers["distillation_loss"](z, v, y, 0.6, 3.0).item(), rel=1e-9)


def gradient(z, v, T):
    """Of the divergence, without T squared, by autograd in float64: (pictures, classes)."""
    z = z.double().requires_grad_()
    log_q, log_p = torch.log_softmax(z / T, 1), torch.log_softmax(v.double() / T, 1)
    functional.kl_div(log_q, log_p, reduction="sum", log_target=True).backward()
    return z.grad


def size(z, v, T):
    return gradient(z, v, T).norm(dim=1).mean().item()


@pytest.fixture(scope="module")
def untrained_logits():
    torch.manual_seed(5)
    with torch.no_grad():
        return torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))(digits().x_train)


@pytest.mark.parametrize("T", [0.5, 1, 3, 10, 100])
def test_erratum_9_the_gradient_is_the_difference_over_T_at_every_temperature(T, untrained_logits, teacher_logits):
    z, v = untrained_logits.double(), teacher_logits.double()
    formula = (torch.softmax(z / T, 1) - torch.softmax(v / T, 1)) / T
    assert torch.allclose(gradient(z, v, T), formula, atol=1e-12)


def test_erratum_9_for_large_T_the_gradient_falls_like_one_over_T_squared(untrained_logits, teacher_logits):
    z, v = untrained_logits, teacher_logits
    assert size(z, v, 200) / size(z, v, 400) == pytest.approx(4, rel=0.02)
    centred = (z - z.mean(1, keepdim=True)) - (v - v.mean(1, keepdim=True))
    assert 400**2 * size(z, v, 400) == pytest.approx((centred.norm(dim=1) / 10).mean().item(), rel=0.02)


def test_erratum_9_near_T_1_the_factor_over_corrects(untrained_logits, teacher_logits):
    z, v = untrained_logits, teacher_logits
    assert size(z, v, 1) / size(z, v, 2) < 3, "it falls by clearly less than a factor of 4"
    assert 4 * size(z, v, 2) > 1.3 * size(z, v, 1), "so with the factor it grows"


def test_with_t_squared_the_gradient_overshoots_its_limit_and_comes_back(untrained_logits, teacher_logits):
    balanced = {T: T**2 * size(untrained_logits, teacher_logits, T) for T in (1, 2, 4, 8, 16, 32, 64, 400)}
    assert balanced[1] < balanced[2] < balanced[4] < balanced[8] > balanced[16] > balanced[32] > balanced[64]
    assert balanced[8] > 1.05 * balanced[400]


def test_the_chapter_says_that_the_gradient_overshoots(text):
    assert "the column grows with every step, and overshoots" in text
    assert "hardly moves" not in text


def test_what_the_debug_exercise_calls_worked_out_by_hand_is_right(answers, text):
    cases = [(0.5, 1, 1.0719), (0, 4, 2.0000), (0.5, 2, 1.2877), (1, 4, 2.3015)]
    assert ", ".join(f"({alpha}, {T}, {by_hand:.4f})" for alpha, T, by_hand in cases) in text
    for alpha, T, by_hand in cases:
        divergence = functional.kl_div(
            torch.tensor([0.25, 0.75]).log(), torch.tensor([0.5, 0.5]), reduction="sum"
        ).item()
        assert divergence == pytest.approx(0.1438, abs=5e-5)
        assert alpha * T**2 * divergence + (1 - alpha) * 2.0 == pytest.approx(by_hand, abs=5e-5)
        assert answers["kd_loss"]([0.5, 0.5], [0.25, 0.75], 2.0, alpha, T) == pytest.approx(by_hand, abs=5e-5)


def test_the_debug_exercises_fault_is_not_printed_before_it(text):
    before = text[: text.index("### Exercise 6.6")]
    assert "without T squared" not in before
    assert "the less this student listens" not in text


def test_erratum_9_the_chapter_says_both(text):
    assert "The gradient of the soft part is $(q - p)/T$." in text
    assert "For large $T$ it falls like $1/T^2$ and the factor $T^2$ balances it." in text
    assert "At $T$ near 1 the factor over-corrects." in text
    assert "arXiv:1503.02531" in text


def student_of(seed, x, loss):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(300):
        optimizer.zero_grad()
        loss(model if x is None else model(x)).backward()
        optimizer.step()
    return models.accuracy(model)


def test_soft_answers_win_with_few_pictures_and_not_with_all_when_nothing_else_differs(answers, teacher_logits):
    """The chapter's comparison: the same pictures, batches and steps, without a label; hard answers or soft ones."""
    data, loss = digits(), answers["distillation_loss"]

    def gained(count, T):
        points = []
        for seed in range(3):
            shuffled = torch.randperm(len(data.y_train), generator=torch.Generator().manual_seed(seed))
            rows = torch.cat([shuffled[data.y_train[shuffled] == digit][:count] for digit in range(10)])
            shares = []
            for soft in (True, False):
                generator = torch.Generator().manual_seed(seed)

                def both(model_of, soft=soft, rows=rows, generator=generator):
                    some = rows[torch.randint(len(rows), (min(128, len(rows)),), generator=generator)]
                    z, v = model_of(data.x_train[some]), teacher_logits[some]
                    return loss(z, v, v.argmax(1), 1.0, T) if soft else functional.cross_entropy(z, v.argmax(1))

                shares.append(student_of(seed, None, both))
            points.append(100 * (shares[0] - shares[1]))
        return np.mean(points)

    few = gained(6, 4.0)
    assert few > 3
    assert abs(gained(200, 1.0)) < 1.5
    assert gained(200, 4.0) < few - 3


def test_a_teacher_helps_on_the_same_sixty_pictures_and_more_at_a_high_temperature(answers, teacher_logits):
    """The chapter's experiment: three seeds, means compared with room to spare."""
    data, loss, shares = digits(), answers["distillation_loss"], {"alone": [], "T = 1": [], "T = 8": []}
    for seed in range(3):
        shuffled = torch.randperm(len(data.y_train), generator=torch.Generator().manual_seed(seed))
        rows = torch.cat([shuffled[data.y_train[shuffled] == digit][:6] for digit in range(10)])
        x, y, v = data.x_train[rows], data.y_train[rows], teacher_logits[rows]
        shares["alone"].append(student_of(seed, x, lambda z, y=y: functional.cross_entropy(z, y)))
        shares["T = 1"].append(student_of(seed, x, lambda z, y=y, v=v: loss(z, v, y, 1.0, 1.0)))
        shares["T = 8"].append(student_of(seed, x, lambda z, y=y, v=v: loss(z, v, y, 1.0, 8.0)))
    mean = {name: np.mean(each) for name, each in shares.items()}
    assert mean["T = 8"] > mean["alone"] + 0.04
    assert mean["T = 8"] > mean["T = 1"] + 0.03


def rounded(bits, group=32):
    model = tinygpt.tiny_gpt()
    for layer in tinygpt.linears(model).values():
        groups = layer.weight.data.view(-1, group)
        lowest = groups.min(1, keepdim=True).values
        step = (groups.max(1, keepdim=True).values - lowest) / (2**bits - 1)
        groups.copy_(lowest + step * ((groups - lowest) / step).round())
    return model


@torch.no_grad()
def test_each_bit_of_a_draft_buys_tokens_and_what_comes_out_is_the_targets(answers):
    """The chapter's table, with fewer places and drafts of four bytes."""
    step, target, places = answers["speculative_step"], tinygpt.tiny_gpt(), 32
    texts, rng = tinygpt.windows(tinygpt.held_out(), places, seed=1)[:, :32], np.random.default_rng(0)
    kept, tokens = {}, {}
    for bits in (2, 3, 4):
        draft_model, written, q = rounded(bits), texts, []
        generator = torch.Generator().manual_seed(bits)
        for _ in range(4):
            q.append(torch.softmax(draft_model(written)[:, -1].double(), 1))
            written = torch.cat([written, torch.multinomial(q[-1], 1, generator=generator)], 1)
        p, q = torch.softmax(target(written)[:, -5:].double(), 2).numpy(), torch.stack(q, 1).numpy()
        kept[bits] = np.minimum(p[:, :-1], q).sum(2).mean()
        drafts = written[:, -4:].numpy()
        tokens[bits] = np.mean([len(step(p[at], q[at], drafts[at], rng.random(5))) for at in range(places)])
        if bits == 2:
            place = np.minimum(p[:, 0], q[:, 0]).sum(1).argmin()
            wanted, drafted = p[place, 0], q[place, 0]
    assert kept[2] < 0.65 < kept[3] < 0.9 < kept[4]
    assert tokens[2] < 2.6 < tokens[3] < tokens[4]
    came_out = np.zeros(256)
    for byte, u in zip(rng.choice(256, 2000, p=drafted / drafted.sum()), rng.random((2000, 2)), strict=True):
        came_out[step(np.stack([wanted, wanted]), drafted[None], [byte], u)[0]] += 1 / 2000
    assert abs(came_out - wanted).max() < 0.05 < 0.3 < abs(drafted - wanted).max()


def test_reverse_kl_bets_with_the_teacher_and_forward_kl_reads_better(answers):
    """The chapter's healing, in fewer steps: the order that its text names."""
    loss, teacher = answers["distillation_loss"], tinygpt.tiny_gpt()
    judged = tinygpt.windows(tinygpt.held_out(), 16, seed=6)[:, :-1]

    def reverse(z, v, labels):
        return functional.kl_div(v.log_softmax(1), z.log_softmax(1), reduction="batchmean", log_target=True)

    losses = {
        "hard": lambda z, v, labels: loss(z, v, labels, 0.0, 1.0),
        "forward": lambda z, v, labels: loss(z, v, labels, 1.0, 1.0),
        "reverse": reverse,
    }
    text, bets = {}, {}
    for name, one in losses.items():
        student = tinygpt.tiny_gpt()
        del student.blocks[2]
        optimizer = torch.optim.Adam(student.parameters(), lr=2e-3)
        schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=20)
        for seed in range(20):
            window = tinygpt.windows(tinygpt.training_text(), 8, seed)[:, :49]
            with torch.no_grad():
                v = teacher(window[:, :-1]).flatten(0, 1)
            optimizer.zero_grad()
            one(student(window[:, :-1]).flatten(0, 1), v, window[:, 1:].flatten()).backward()
            optimizer.step()
            schedule.step()
        text[name] = tinygpt.bits_per_byte(student, windows=16)
        with torch.no_grad():
            q, log_p = student(judged).softmax(2), teacher(judged).log_softmax(2)
        bets[name] = -(q * log_p).sum(2).mean().item()
    assert text["forward"] < text["hard"] < text["reverse"]
    assert bets["reverse"] < bets["forward"] < bets["hard"]
