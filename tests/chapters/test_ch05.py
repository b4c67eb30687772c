"""Chapter 5: its figures follow their controls, and what it says of tickets and their price is so."""

import numpy as np
import torch
from conftest import frames

from course import models
from course.figures import lottery

CHAPTER = "ch05_lottery_ticket"
RATE, ROUNDS, EPOCHS = 0.35, 8, 12  # the chapter's own


def copy_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def make_model(seed):
    torch.manual_seed(seed)
    return models.mlp()


def trained(model, masks, seed, epochs=EPOCHS):
    return models.train(model, epochs, lr=5e-3, batch_size=128, seed=seed, masks=masks)


def random_rounds(rounds):
    generator = torch.Generator().manual_seed(0)
    shapes = {name: value.shape for name, value in models.mlp().named_parameters() if value.ndim == 2}
    return [
        {name: (torch.rand(shape, generator=generator) < 0.65**k).float() for name, shape in shapes.items()}
        for k in range(rounds + 1)
    ]


def shown_rounds(iterative_prune, rounds=ROUNDS):
    masks = {"ticket": random_rounds(rounds), "shuffled": random_rounds(rounds)[::-1]}
    accuracies = {
        name: np.linspace(0.97, 0.97 - 0.1 * i, rounds + 1) + np.zeros((3, 1))
        for i, name in enumerate(lottery.VARIANTS)
    }
    return lottery.rounds(iterative_prune, masks, accuracies, RATE)


def test_the_price_follows_both_sliders(answers):
    live = lottery.cost(answers["iterative_prune"], answers["imp_rounds"])
    assert "8 trainings to the mask, 1 more for the ticket: 900 epochs" in live.caption.value
    assert len(frames(live)) > 50
    assert live.alt


def test_each_round_and_each_mask_has_its_picture(answers):
    live = shown_rounds(answers["iterative_prune"])
    assert len(frames(live)) == ROUNDS + 1 + 1
    live.controls["round"].value = 3
    assert "7,101" in live.caption.value  # 25,856 * 0.65**3, as iterative_prune says
    assert live.alt


def test_the_graded_runs_few_rounds_can_be_shown(answers):
    assert shown_rounds(answers["iterative_prune"], rounds=2).message.value == ""


def test_an_unanswered_function_is_named_in_the_message(answers):
    assert "returned nothing" in shown_rounds(lambda *_: None).message.value
    assert "returned nothing" in lottery.cost(answers["iterative_prune"], lambda *_: None).message.value


def test_the_rewinding_figure_draws_pruned_and_surviving_weights():
    weight = torch.randn(6, 4)
    figure = lottery.rewinding(weight, 2 * weight, weight * (weight > 0), (weight > 0).float())
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]


def test_training_with_masks_keeps_zeros_and_trains_the_rest():
    model = make_model(0)
    before = copy_of(model)
    masks = random_rounds(3)[3]
    trained(model, masks, seed=0, epochs=1)
    for name, mask in masks.items():
        now = model.get_parameter(name).detach()
        assert (now[mask == 0] == 0).all()
        assert (now[mask == 1] != before[name][mask == 1]).float().mean() > 0.5


def test_training_without_masks_and_with_masks_of_ones_is_the_same():
    ones = random_rounds(0)[0]
    plain, masked = copy_of(trained(make_model(1), None, 0, 1)), copy_of(trained(make_model(1), ones, 0, 1))
    assert all(torch.equal(plain[name], masked[name]) for name in plain)


def test_weights_that_all_start_at_zero_stay_there():
    model = make_model(0)
    model.load_state_dict({name: torch.zeros_like(value) for name, value in model.state_dict().items()})
    trained(model, {}, seed=0, epochs=2)
    assert all((value == 0).all() for value in model.parameters() if value.ndim == 2)
    assert models.accuracy(model) < 0.15


def test_erratum_6_eight_rounds_take_eight_trainings_and_the_ticket_is_not_among_them(answers):
    calls = []

    def train(model, masks):
        calls.append(copy_of(model))
        trained(model, masks, seed=0, epochs=1)

    model, masks = answers["find_ticket"](lambda: make_model(0), train, 0.2, answers["imp_rounds"](0.8, 0.2))
    assert len(calls) == 8
    left = sum(mask.sum() for mask in masks.values()) / sum(mask.numel() for mask in masks.values())
    assert left <= 0.2
    start = copy_of(make_model(0))
    for name, value in model.state_dict().items():
        assert torch.equal(value, start[name] * masks.get(name, 1)), "the ticket is not yet trained"


def test_erratum_6_rewinding_to_an_early_step_is_the_same_function_with_another_state(answers):
    model, masks = make_model(0), random_rounds(4)[4]
    early = copy_of(trained(model, {}, seed=0, epochs=1))
    trained(model, {}, seed=0, epochs=1)
    answers["rewind"](model, early, masks)
    for name, value in model.state_dict().items():
        assert torch.equal(value, early[name] * masks.get(name, 1))


def test_erratum_6_the_chapter_names_the_papers_and_the_early_step(text):
    assert (
        "J. Frankle, M. Carbin, The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks, 2019" in text
    )
    for number in ("1803.03635", "1903.01611", "1912.05671"):
        assert f"arXiv:{number}" in text
    assert "On large networks tickets restart from an early step, not from step 0." in text
    assert "A mask of eight rounds costs eight trainings, and the ticket's own is one more." in text


def test_few_weights_show_the_ticket_ahead_of_new_weights_and_those_ahead_of_a_shuffled_mask(answers):
    """The chapter's experiment in its last round, for one of its seeds."""
    seed = 0
    model, masks = answers["find_ticket"](
        lambda: make_model(seed), lambda model, masks: trained(model, masks, seed), RATE, ROUNDS
    )
    ticket = models.accuracy(trained(model, masks, seed))
    other = copy_of(make_model(1000 + ROUNDS))
    answers["rewind"](model, other, masks)
    new_weights = models.accuracy(trained(model, masks, seed))
    generator = torch.Generator().manual_seed(ROUNDS)
    moved = {
        name: mask.flatten()[torch.randperm(mask.numel(), generator=generator)].reshape(mask.shape)
        for name, mask in masks.items()
    }
    answers["rewind"](model, other, moved)  # one thing changes at a time: here the places, above the values
    shuffled = models.accuracy(trained(model, moved, seed))
    whole = models.accuracy(trained(make_model(seed), {}, seed))
    assert ticket > new_weights + 0.02 > shuffled + 0.05
    assert ticket > whole - 0.05
    answers["rewind"](model, copy_of(trained(make_model(seed), {}, seed, 1)), masks)
    late = models.accuracy(trained(model, masks, seed, EPOCHS - 1))
    assert abs(late - ticket) < 0.03, "at this size rewinding late makes little difference"


def test_the_ticket_is_within_the_noise_of_a_random_draw_at_seven_percent_and_behind_it_at_three(answers, text):
    """The mean over the chapter's three seeds, as the chapter prints it."""
    behind, noise = {6: [], ROUNDS: []}, []
    for seed in (0, 1, 2):
        given = []

        def train(model, masks, seed=seed, given=given):
            given.append({name: mask.clone() for name, mask in masks.items()})
            trained(model, masks, seed)

        model, masks = answers["find_ticket"](lambda seed=seed: make_model(seed), train, RATE, ROUNDS)
        whole = models.accuracy(trained(make_model(seed), {}, seed))
        noise.append(abs(whole - models.accuracy(trained(make_model(1000 + 100 * seed), {}, seed))))
        for k, kept in ((6, given[6]), (ROUNDS, masks)):
            answers["rewind"](model, copy_of(make_model(seed)), kept)
            behind[k].append(whole - models.accuracy(trained(model, kept, seed)))
    assert np.mean(behind[6]) < 0.01 < np.mean(behind[ROUNDS])
    assert np.mean(noise) < 0.01, "the whole network from another draw"
    assert "stay a little behind" in text
    assert "shuffled, it loses more" not in text


def test_a_share_of_few_weights_that_is_rounded_to_the_nearest_removes_none(answers):
    left = 10
    for _ in range(50):
        left -= round(0.04 * left)
    assert left == 10
    assert answers["iterative_prune"](10, 0.04, 50)[-1] < 2


def test_the_list_of_steps_leaves_exercise_5_2_to_the_learner(text):
    steps, _ = text.split("### Exercise 5.2")
    assert "keep a copy" not in steps
    assert "back to their values" not in steps


def test_the_tolerance_of_the_rounds_is_stated_and_a_small_rate_takes_many(answers, text):
    assert "less than $10^{-9}$ is missing" in text
    assert answers["imp_rounds"](0.8, 0.01) == 161
    assert "`imp_rounds(0.8, 0.01)` is 161" in text
