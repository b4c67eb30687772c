# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Chapter 5 · The lottery ticket
#
# A network with 25,856 weights learns to read digits. Prune it with care and some 800 of them do nearly as well, so
# the small network exists. Was it in there all along? Could you have started with those 800 and left out the rest?
#
# In this chapter you count what the search for such a network costs, write it, and run the whole experiment: the
# small network with its own starting weights, with new ones, and with its mask shuffled, over eight rounds and three
# seeds. It trains about a hundred small networks, in less than half a minute on two cores.
#
# How to work: read, answer in the cell marked *your code here*, run the cell below it. It answers at once. What holds for
# every exercise, such as types and bad input, stands once in Chapter 0.
#
# Time: 1 to 2 hours for the core, 1 to 3 more for the labs. You need powers and
# Chapter 4's magnitude pruning, in the labs PyTorch's modules.

# %% nbgrader={"schema_version": 3, "grade_id": "setup", "grade": false, "locked": true, "solution": false, "task": false} tags=["setup"]
from course import ready

ready(5)

# %%
import math

import numpy as np
import torch
from tqdm.auto import tqdm

from course import GRADING, models
from course.figures import Predict
from course.figures import lottery as draw

torch.set_num_threads(1)  # networks this small train faster on one core

# %% [markdown]
# ## 1. Eight hundred weights from the start
#
# The network is the 64-128-128-10 one of this course, for 8 x 8 pictures of digits. Here it trains for 12 epochs: short,
# because you will train it many times. A *mask* holds a 1 for each weight that may live and a 0 for each that stays zero
# throughout training. The cell below first trains all weights, then 3.2 % of them, chosen at random.

# %%
EPOCHS = 1 if GRADING else 12


def make_model(seed):
    torch.manual_seed(seed)
    return models.mlp()


def train_masked(model, masks, seed, epochs=EPOCHS):
    """Train in place; where a mask is 0, the weight is 0 after every step. Biases have no mask."""
    return models.train(model, epochs, lr=5e-3, batch_size=128, seed=seed, masks=masks)


def copy_of(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


whole = make_model(0)
initial = copy_of(whole)
matrices = {name: weight for name, weight in whole.named_parameters() if weight.ndim == 2}
total = sum(weight.numel() for weight in matrices.values())
train_masked(whole, {}, 0)

generator = torch.Generator().manual_seed(0)
random_masks = {
    name: (torch.rand(weight.shape, generator=generator) < 0.032).float() for name, weight in matrices.items()
}
few = int(sum(mask.sum() for mask in random_masks.values()))
sparse = train_masked(make_model(0), random_masks, 0)
print(f"all {total:,} weights: {models.accuracy(whole):.1%} of the held-out digits right")
print(f"{few} random ones:     {models.accuracy(sparse):.1%}")

# %% [markdown]
# Eight hundred weights at random places will not do. Eight hundred at the right places might. The *lottery ticket
# hypothesis* of Frankle and Carbin (2019) says that a large network holds such a subnetwork from the start, the winning
# ticket: trained alone, and no longer than the whole network, it becomes as good.
#
# They find it by *iterative magnitude pruning*:
#
# 1. Initialise the network.
# 2. Train.
# 3. Remove a share of the surviving weights, those of smallest magnitude. This gives the next mask.
# 4. *Rewind*: put the survivors where the ticket starts from. (Exercise 5.2 asks where that is.) Go to 2.
#
# Steps 2 to 4 are one *round*. What is left after the last round, rewound and not yet trained, is the ticket.

# %% [markdown]
# ### Exercise 5.1 · Derive · 1 point
#
# Each round removes 20 % of the weights that survive, and each training takes 100 epochs. You want a mask with at least
# 80 % of the weights removed. How many epochs of training does it take until you have that mask?
#
# For comparison: 50 % takes 4 rounds, so 400 epochs. After 3 rounds 48.8 % are gone.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_5_1", "grade": false, "locked": false, "solution": true, "task": false}
ex_5_1 = None
### BEGIN SOLUTION
# hint: After k rounds the share left is 0.8 to the power k. At which k is it 0.2 or less? Rounds are whole.
share, rounds_needed = 1.0, 0
while share > 0.2:
    share *= 0.8
    rounds_needed += 1
ex_5_1 = rounds_needed * 100
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_5_1", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("5.1", ex_5_1)
### BEGIN HIDDEN TESTS
expect.number(
    ex_5_1,
    100 * next(k for k in range(100) if 1 - 0.8**k >= 0.8),
    traps={
        400: "each round takes 20 % of what is left, not 20 % of the whole",
        700: "seven rounds remove 79.0 %, which is less than 80 %",
        721: "rounds are whole: a round that has begun is trained to its end",
        900: "the mask is found before the ticket is trained; its own training comes on top",
        100: "every round trains again from the rewound weights",
        8: "that is the number of rounds; give epochs",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# Keep two counts apart: the trainings that find the mask, and the ticket's own training, which is one more. None of them is
# cheaper than training the whole network, because pruned weights save nothing in a dense matrix product. So what does the
# same target cost at other rates? Guess the cheapest way before you run the cell.

# %%
for rate in (0.05, 0.1, 0.2, 0.35, 0.5, 0.8):
    k = next(k for k in range(100) if 1 - (1 - rate) ** k >= 0.8 - 1e-9)
    print(f"{rate:3.0%} a round: {1 - (1 - rate) ** k:.1%} removed by {k} + 1 trainings, {(k + 1) * 100:,} epochs")

# %% [markdown]
# One round of 80 % costs the least. If all masks of one density were equally good, nobody would prune in small steps.
# Section 3 shows the price over all rates, and the cell after the next exercise what a mask from a single round is worth.

# %% [markdown]
# ### Exercise 5.2 · Trace · 1 point
#
# The hypothesis speaks of a network that was there before anything was trained. You have found its mask. From which values
# must the surviving weights start, so that their training shows whether it is true?
#
# - **A** From new random values that are drawn from the same distribution as the first ones.
# - **B** From the values that they had at the end of the last training of the whole network.
# - **C** From zero, so that nothing that earlier trainings found out is left in their values.
# - **D** From the values that they themselves had when the whole network was initialised.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_5_2", "grade": false, "locked": false, "solution": true, "task": false}
ex_5_2 = None
### BEGIN SOLUTION
# hint: Which start could you have had before anything was trained, if only you had known the mask?
ex_5_2 = "D"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_5_2", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("5.2", ex_5_2)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_5_2,
    "D",
    because={
        "A": "these values were not in the network that was there; the mask was found for others",
        "B": "that is pruning with fine-tuning: the whole network's training is still in those values",
        "C": "with all weights at zero no gradient reaches them",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# So a copy of the weights belongs to step 1, and step 4 sets the survivors back to their values in it. Try it: one round
# that removes 96.8 % at once, and then three of the four starts, all with the same mask and the same 12 epochs. (What new
# random values do is Exercise 5.4.) Look at the second column first: what each start knows before it trains.

# %%
trained = copy_of(whole)
everything = torch.cat([trained[name].abs().flatten() for name in matrices])
threshold = everything.sort().values[-few]
one_shot = {name: (trained[name].abs() >= threshold).float() for name in matrices}


def start_from(values, masks):
    model = models.mlp()
    model.load_state_dict({name: value * masks.get(name, 1) for name, value in values.items()})
    return model


zeros = {name: torch.zeros_like(value) for name, value in initial.items()}
starts = {"own, original": initial, "end of training": trained, "zero": zeros}
print(f"{'start':15}  {'before':>6}  {'after 12 epochs':>15}")
for name, values in starts.items():
    model = start_from(values, one_shot)
    before = models.accuracy(model)
    print(f"{name:15}  {before:6.1%}  {models.accuracy(train_masked(model, one_shot, 0)):15.1%}")

# %% [markdown]
# If the values from the end of training do best, that is no surprise: 12 epochs of the whole network went into them. That is
# fine-tuning, and a sound way to compress a model, but it says nothing about the question. The original values existed
# before any training, so they can tell whether the small network was there all along. And this is one network: section 4
# repeats it with three.

# %% [markdown]
# ## 2. What is left
#
# ### Exercise 5.3 · Derive · 1 point
#
# A network has 100 million parameters. After 5 rounds, each of which removes 20 % of the survivors, how many million are
# left?
#
# For comparison: after 2 rounds, 64 million. And a question without points: in which round do fewer than 5 million go for
# the first time? The cell after the check shows it.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_5_3", "grade": false, "locked": false, "solution": true, "task": false}
ex_5_3 = None
### BEGIN SOLUTION
# hint: Each round keeps 80 % of what the round before it kept. Check your rule with the 64 million above.
ex_5_3 = 100 * (1 - 0.2) ** 5
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_5_3", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from fractions import Fraction

from course import expect
from course.check import check

check("5.3", ex_5_3)
### BEGIN HIDDEN TESTS
expect.number(
    ex_5_3,
    float(100 * Fraction(4, 5) ** 5),
    traps={
        0: "each round takes 20 % of what is left, not of the first 100 million",
        100 - 32.768: "that is how many are gone",
        40.96: "that is after 4 rounds",
        26.2144: "that is after 6 rounds",
        0.032: "each round keeps 80 %; it removes 20 %",
        32_768_000: "give millions",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# The counts form a geometric sequence, and so do the numbers that go. The first rounds remove most of the weights, the later
# ones ever fewer, at the same price each:

# %%
print("round   millions gone   millions left")
for k in range(1, 13):
    print(f"{k:5}   {100 * 0.8 ** (k - 1) - 100 * 0.8**k:13.3g}   {100 * 0.8**k:13.3g}")

# %% [markdown]
# ### Exercise 5.4 · Trace · 1 point
#
# You keep the ticket's mask, but draw new random starting weights for it. How well does it train, at low density?
#
# - **A** As well as the ticket. The mask is what the search found: which weights are connected matters, their first
#   values do not.
# - **B** Not at all. A sparse network cannot be trained from random weights, because too few paths are left for the
#   gradient.
# - **C** Worse than the ticket. The mask was chosen for other weights, and the fewer are left, the further the network
#   falls behind.
# - **D** Better than the ticket. The first draw was used for the search and fits its training data, the new one is
#   unbiased.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_5_4", "grade": false, "locked": false, "solution": true, "task": false}
ex_5_4 = None
### BEGIN SOLUTION
# hint: Which weights survived, and compared with what? Would the same places survive for another draw?
ex_5_4 = "C"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_5_4", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("5.4", ex_5_4)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_5_4,
    "C",
    because={
        "A": "the mask was chosen by what training made of those very starting values",
        "B": "it does train, and better than chance; compare it with the ticket",
        "D": "untrained weights fit no data; and the mask was chosen with the first draw in view",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# A first look, with the mask from above: its own start, and five draws of new weights. One mask from one round is a weak
# ticket, and one network is no evidence. Section 4 does it properly: eight rounds, three seeds, every density between.

# %%
own = models.accuracy(train_masked(start_from(initial, one_shot), one_shot, 0))
redrawn = [
    models.accuracy(train_masked(start_from(copy_of(make_model(seed)), one_shot), one_shot, 0))
    for seed in range(100, 101 if GRADING else 105)
]
print(f"own start {own:.1%}; new weights {np.mean(redrawn):.1%} on average, {min(redrawn):.1%} to {max(redrawn):.1%}")

# %% [markdown]
# ## 3. Count the rounds
#
# ### Exercise 5.5 · Build · 2 points
#
# Write the counts down: a list with the number of parameters left after each round. Each round removes the share
# `prune_rate` of those that are left. Do not round to whole parameters. With no rounds the list is empty.
#
# Raise `ValueError`, with the argument's name in the message, when `total_params` or `rounds` is negative or `prune_rate`
# is not in $[0, 1]$. `rounds` is a whole number, of any size.
#
# Example: `iterative_prune(1000, 0.2, 3)` is `[800.0, 640.0, 512.0]`, up to floating-point noise.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_5_5", "grade": false, "locked": false, "solution": true, "task": false}
def iterative_prune(total_params, prune_rate, rounds):
    """Return the list of parameter counts left after round 1, 2, ... rounds."""
    ### BEGIN SOLUTION
    if total_params < 0:
        raise ValueError(f"total_params must be at least 0, got {total_params}")
    if not 0 <= prune_rate <= 1:
        raise ValueError(f"prune_rate must be between 0 and 1, got {prune_rate}")
    if rounds < 0:
        raise ValueError(f"rounds must be at least 0, got {rounds}")
    return [total_params * (1 - prune_rate) ** (k + 1) for k in range(rounds)]
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_5_5", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
from fractions import Fraction

from course import cases, expect
from course.check import passed

expect.array(
    iterative_prune(1000, 0.2, 3),
    [800, 640, 512],
    "iterative_prune(1000, 0.2, 3)",
    1e-6,
    traps=[
        ("each round removes a share of what is left, not of the whole", [800, 600, 400]),
        ("the first count is the one after the first round", [1000, 800, 640]),
        ("prune_rate is the share that goes", [200, 40, 8]),
        ("what is left is asked for, not what is gone", [200, 360, 488]),
    ],
)
passed("5.5")
### BEGIN HIDDEN TESTS
for total_params, rate, rounds in [
    (100, "0.2", 5),
    (25_856, "0.35", 8),
    (7_000_000_000, "0.5", 12),
    (7, "0.3", 4),
    (10, "0.9", 6),
    (1, "0.25", 1),
    (0, "0.5", 2),
    (100, "0", 3),
    (100, "1", 3),
    (100, "0.2", 0),
    (1e9, "0.01", 150),
]:
    exact, wanted = Fraction(total_params), []
    for _ in range(rounds):
        exact -= exact * Fraction(rate)
        wanted.append(float(exact))
    of = f"iterative_prune({total_params}, {rate}, {rounds})"
    expect.array(iterative_prune(total_params, float(rate), rounds), wanted, of, 1e-12, 1e-9)
for _, count in cases.not_at_least(0)[:3]:
    expect.refuses(iterative_prune, count, 0.2, 3, naming="total_params", of=f"total_params = {count}")
for _, rate in cases.not_between(0, 1)[:4]:
    expect.refuses(iterative_prune, 100, rate, 3, naming="prune_rate", of=f"prune_rate = {rate}")
for rounds in (-1, -5):
    expect.refuses(iterative_prune, 100, 0.2, rounds, naming="rounds", of=f"rounds = {rounds}")
### END HIDDEN TESTS

# %% [markdown]
# Your counts are ideal ones. A network's weights are whole, so a search has to round in every round. Does it matter?
# `find_ticket`, which you write in section 4, will round as you choose.


# %%
def counted(total, rate, rounds, to_whole):
    """The weights left after `rounds` rounds that remove to_whole(share) each."""
    for _ in range(rounds):
        total -= to_whole(rate * total)
    return total


print("weights    rate  rounds     ideal  rounded: down  to the nearest    up")
for weights, rate, rounds in ((total, 0.35, 8), (1000, 0.2, 8), (10, 0.04, 50)):
    ideal = iterative_prune(weights, rate, rounds)[-1]
    left = [counted(weights, rate, rounds, to_whole) for to_whole in (math.floor, round, math.ceil)]
    print(f"{weights:7,}  {rate:6.0%}  {rounds:6}  {ideal:8,.1f}  {left[0]:13}  {left[1]:14}  {left[2]:4}")

# %% [markdown]
# With many weights it does not matter. With few, a share below one half rounds to nothing, and a search that rounds down or
# to the nearest goes on without removing anything, while one that rounds up takes a weight each time.
#
# ### Lab L5.6 · Build · 2 points
#
# How many rounds until at least the share `target_sparsity` of all weights is removed? Return the least whole number.
#
# Beware of rounding noise: three rounds of 20 % remove exactly 0.488, but a computer finds
# `1 - 0.8**3` is 0.4879999999999999, and `imp_rounds(0.488, 0.2)` must still be 3. Count a target as reached when less than
# $10^{-9}$ is missing. A target of 0.4881 takes 4. Small rates take many rounds: `imp_rounds(0.8, 0.01)` is 161.
#
# Raise `ValueError`, with the argument's name in the message, when `target_sparsity` is not in $[0, 1)$ or `prune_rate`
# is not between 0 and 1 (both excluded).
#
# Example: `imp_rounds(0.8, 0.2)` is 8, and `imp_rounds(0, 0.2)` is 0.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L5_6", "grade": false, "locked": false, "solution": true, "task": false}
def imp_rounds(target_sparsity, prune_rate):
    """Return the least number of rounds after which at least target_sparsity of the weights is removed."""
    ### BEGIN SOLUTION
    if not 0 <= target_sparsity < 1:
        raise ValueError(f"target_sparsity must be at least 0 and less than 1, got {target_sparsity}")
    if not 0 < prune_rate < 1:
        raise ValueError(f"prune_rate must be more than 0 and less than 1, got {prune_rate}")
    rounds = 0
    while 1 - (1 - prune_rate) ** rounds < target_sparsity - 1e-9:
        rounds += 1
    return rounds
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L5_6", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
from fractions import Fraction

from course import cases, expect
from course.check import passed

expect.array(
    imp_rounds(0.8, 0.2), 8, "imp_rounds(0.8, 0.2)", 0, 0, traps=[("a round takes a share of what is left", 4)]
)
expect.array(
    imp_rounds(0.488, 0.2), 3, "imp_rounds(0.488, 0.2)", 0, 0, traps=[("rounding noise must not add a round", 4)]
)
expect.array(imp_rounds(0.4881, 0.2), 4, "imp_rounds(0.4881, 0.2)", 0, 0, traps=[("three rounds remove 0.488", 3)])
passed("L5.6")
### BEGIN HIDDEN TESTS
for rate in ("0.05", "0.1", "0.2", "0.25", "0.3", "0.35", "0.5", "0.6", "0.7", "0.9"):
    removed, before = Fraction(0), Fraction(0)
    for k in range(1, 21):
        before, removed = removed, removed + (1 - removed) * Fraction(rate)
        if 1 - removed < Fraction(1, 1000):
            break
        step = removed - before
        asked = [(removed - step / 2, ""), (before + step / 50, "")]
        if len(str(float(removed))) <= 14 and Fraction(str(float(removed))) == removed:  # the decimal itself is exact
            asked.append((removed, f", which {k} rounds remove exactly,"))
        for target, why in asked:
            target = float(target)
            expect.array(imp_rounds(target, float(rate)), k, f"imp_rounds({target!r}, {rate}){why}", 0, 0)
for rate in (0.01, 0.2, 0.99):
    expect.array(imp_rounds(0, rate), 0, f"imp_rounds(0, {rate})", 0, 0)
for target, rate, rounds in (
    (0.48801, 0.2, 4),
    (0.001, 0.9, 1),
    (0.8, 0.01, 161),
    (0.95, 0.01, 299),
    (0.9, 0.9999, 1),
):
    expect.array(imp_rounds(target, rate), rounds, f"imp_rounds({target}, {rate})", 0, 0)
for target in (1, 1.0, 1.5, *(value for _, value in cases.not_between(0, 1)[:4])):
    expect.refuses(imp_rounds, target, 0.2, naming="target_sparsity", of=f"target_sparsity = {target}")
for rate in (0, 1, 0.0, 1.0, *(value for _, value in cases.not_between(0, 1)[:4])):
    expect.refuses(imp_rounds, 0.8, rate, naming="prune_rate", of=f"prune_rate = {rate}")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: what a ticket costs
#
# Your two functions, with 100 epochs to a training. Move the sliders.
#
# - How much more does 98 % cost than 80 %, at 20 % per round?
# - A high prune rate is cheap. Why not do it all in one round? Section 1 did, and its mask is the one to beat in section 4:
#   after a single training, magnitude is a poor guide to which few weights matter.

# %%
Predict(
    draw.cost(iterative_prune, imp_rounds),
    "At 20 % per round, how many times as much training does a sparsity of 98 % take as one of 80 %?",
    slider=(1.0, 10.0, 0.5),
    unit=" times",
    happened=lambda: (
        f"{(imp_rounds(0.98, 0.2) + 1) / (imp_rounds(0.8, 0.2) + 1):.1f} times: "
        f"{imp_rounds(0.98, 0.2) + 1} trainings against {imp_rounds(0.8, 0.2) + 1}"
    ),
)

# %% [markdown]
# ## 4. Find the ticket
#
# ### Lab L5.7 · Build · 3 points
#
# Write step 4, the rewinding, in place.
#
# - `model` is an `nn.Module` of any layers and any floating-point type, trained or not. It has no buffers (such as the
#   running means of batch normalisation), only parameters.
# - `initial_state` maps the name of each parameter, as in `model.named_parameters()`, to its tensor at the start.
# - `masks` maps the names of some parameters to tensors of zeros and ones, of the parameter's shape.
#
# Afterwards each parameter holds exactly its initial values, bit for bit, and 0 where its mask is 0. A parameter without
# a mask gets all of its initial values back. What the parameters held before the call plays no part. Change the parameters
# that the model has and put no others in their place. Training the model later must not change `initial_state`. Leave
# `initial_state` and `masks` as they are.
#
# Raise `ValueError`, with the argument's name in the message, when `masks` has a name that is no parameter of the model or
# a mask of another shape than its parameter, and when `initial_state` lacks a parameter.
#
# Example: a weight that started as `[0.5, -0.2]`, is now `[0.9, 0.1]` and has the mask `[1., 0.]` becomes `[0.5, 0.0]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L5_7", "grade": false, "locked": false, "solution": true, "task": false}
def rewind(model, initial_state, masks):
    """Set the parameters of model back to initial_state, in place, and to 0 where their mask is 0."""
    ### BEGIN SOLUTION
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters:
            raise ValueError(f"masks has {name!r}, which is no parameter of the model")
        if mask.shape != parameters[name].shape:
            raise ValueError(f"masks[{name!r}] has shape {tuple(mask.shape)}, not {tuple(parameters[name].shape)}")
    for name in parameters:
        if name not in initial_state:
            raise ValueError(f"initial_state lacks {name!r}")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(initial_state[name])
            if name in masks:
                parameter.mul_(masks[name])
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L5_7", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import torch

from course import expect
from course.check import passed
from course.probe import probe


@probe
def rewound(rewind, now, initial_state, masks):
    """Rewind a small model. Returns its parameters, those it had before the call, which of them still get gradients,
    and, after one more change of the model, initial_state and masks."""
    import torch
    from torch import nn

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.gain = nn.Parameter(torch.zeros(6))
            self.conv = nn.Conv1d(2, 6, 3)
            self.last = nn.Sequential(nn.LayerNorm(6), nn.Linear(6, 3))

        def forward(self, x):
            return self.last(self.conv(x).mean(-1) * self.gain)

    model = Mixed() if "gain" in now else nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    model.to(now[next(iter(now))].dtype)
    model.load_state_dict(now)
    held = dict(model.named_parameters())
    rewind(model, initial_state, masks)
    after = {name: value.detach().clone() for name, value in model.named_parameters()}
    then = {name: value.detach().clone() for name, value in held.items()}
    x = torch.ones(2, 2, 5) if "gain" in now else torch.ones(2, 4)
    model(x.to(model.get_parameter(next(iter(after))).dtype)).sum().backward()
    trainable = [name for name, value in model.named_parameters() if value.grad is not None]
    with torch.no_grad():
        for value in model.parameters():
            value += 1.0
    return after, then, trainable, initial_state, masks


PLAIN = {"0.weight": (6, 4), "0.bias": (6,), "2.weight": (3, 6), "2.bias": (3,)}


def random_state(seed, shapes=PLAIN, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator, dtype=dtype) for name, shape in shapes.items()}


def random_masks_for(names, seed, shapes=PLAIN):
    generator = torch.Generator().manual_seed(seed)
    return {name: (torch.rand(shapes[name], generator=generator) < 0.5).float() for name in names}


def check_rewind(names, seed, shapes=PLAIN, dtype=torch.float32, zeros=False):
    start, masks = random_state(seed, shapes, dtype), random_masks_for(names, seed, shapes)
    now = random_state(seed + 1, shapes, dtype)
    if zeros:
        now = {name: value * (value > 0) for name, value in now.items()}
    given = random_state(seed, shapes, dtype), random_masks_for(names, seed, shapes)
    after, then, trainable, start_later, masks_later = rewound(rewind, now, *given)
    given = ", ".join(names) or "no parameter"
    for name, value in start.items():
        wanted = value * masks.get(name, 1)
        expect.array(after[name], wanted, f"with masks for {given}: {name} after rewind", 0, 0)
        expect.array(
            then[name], wanted, f"{name} as the model's own parameter, which rewind should change in place,", 0, 0
        )
        assert name in trainable, f"after rewind {name} should still be trainable, but it gets no gradient"
        assert torch.equal(start_later[name], value), (
            f"training the model after rewind changed initial_state[{name!r}]: copy the values, do not share the tensor"
        )
    for name, mask in masks.items():
        expect.unchanged(masks_later[name], mask, f"masks[{name!r}]")


check_rewind(["0.weight", "2.weight"], 0)
passed("L5.7")
### BEGIN HIDDEN TESTS
for names, seed in [
    (["0.weight", "2.weight"], 11),
    (["2.weight"], 13),
    (["0.weight", "0.bias"], 15),
    ([], 17),
]:
    check_rewind(names, seed)
check_rewind(["0.weight", "2.weight"], 31, zeros=True)
check_rewind(["0.weight", "2.weight"], 33, dtype=torch.float64)
mixed = {"gain": (6,), "conv.weight": (6, 2, 3), "conv.bias": (6,)}
mixed |= {"last.0.weight": (6,), "last.0.bias": (6,), "last.1.weight": (3, 6), "last.1.bias": (3,)}
check_rewind(["conv.weight", "last.1.weight"], 35, mixed)


def rewind_with(lost, masks):
    state = random_state(21)
    for name in lost:
        del state[name]
    return rewound(rewind, random_state(22), state, masks)


for name in ("7.weight", "weight"):
    of = f"a mask for {name}, which is no parameter,"
    expect.refuses(rewind_with, [], {name: torch.ones(6, 4)}, naming="masks", of=of)
for shape in ((1, 4), (6, 1), (4, 6), (), (1, 1), (4,), (6, 5), (1, 6, 4)):
    of = f"a mask of shape {shape} for 0.weight, whose shape is (6, 4),"
    expect.refuses(rewind_with, [], {"0.weight": torch.ones(shape)}, naming="masks", of=of)
good = torch.ones(6, 4)
two = {"0.weight": good, "2.weight": torch.ones(6, 3)}
expect.refuses(rewind_with, [], two, naming="masks", of="a second mask of shape (6, 3) for (3, 6)")
for name in PLAIN:
    expect.refuses(rewind_with, [name], {}, naming="initial_state", of=f"initial_state without {name}")
### END HIDDEN TESTS

# %% [markdown]
# Your function at work on the middle layer, with the mask from section 1. Each dot is one weight. On the left you see what
# training did, and that the mask kept the largest of the trained weights. On the right every survivor is back on the
# diagonal, where it started, and every other weight is 0.

# %%
model = start_from(trained, {})
rewind(model, initial, one_shot)
draw.rewinding(initial["2.weight"], trained["2.weight"], model.get_parameter("2.weight"), one_shot["2.weight"])

# %% [markdown]
# ### Lab L5.8 · Build · 4 points
#
# Write the whole search.
#
# - `make_model()` returns a new, untrained `nn.Module`. Each call may draw other weights.
# - `train(model, masks)` trains the model in place. It keeps the masks itself: where a mask is 0 the weight is still 0 when
#   it returns.
# - `masks` has one entry for each weight matrix, that is, for each parameter with two or more dimensions: a tensor of zeros
#   and ones of its shape. The first training gets masks, too: all ones. Biases and the weights of normalisation layers have
#   one dimension, so they have no mask.
#
# In each of the `rounds` rounds, train, then remove the share `prune_rate` of the surviving weights, those of smallest
# magnitude *over all matrices together*, and rewind. Where the share is no whole number of weights, round it as you like.
# Of equal magnitudes any may go, as many as the share asks for; where others equal the largest that goes, they may go with
# it, but never fewer than the share. Which weights are removed depends on their trained values; where they restart, on
# their initial ones.
#
# Return `(model, masks)`: the ticket, rewound and not yet trained, and its masks. Its own training is left to the caller,
# so `train` is called exactly `rounds` times. With `rounds = 0` the model is as `make_model` made it, and all masks are
# ones. Raise `ValueError`, with the argument's name in the message, when `prune_rate` is not in $[0, 1]$ or `rounds` is
# negative.
#
# Example: with two matrices of 100 weights each, `prune_rate = 0.5` and `rounds = 2`, the masks hold 50 ones in all. How
# many of them are in which matrix depends on the training.
#
# You may call your `rewind`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L5_8", "grade": false, "locked": false, "solution": true, "task": false}
def find_ticket(make_model, train, prune_rate, rounds):
    """Return (model, masks) after iterative magnitude pruning: the rewound, untrained ticket and its masks."""
    ### BEGIN SOLUTION
    if not 0 <= prune_rate <= 1:
        raise ValueError(f"prune_rate must be between 0 and 1, got {prune_rate}")
    if rounds < 0:
        raise ValueError(f"rounds must be at least 0, got {rounds}")
    model = make_model()
    initial_state = {name: value.detach().clone() for name, value in model.named_parameters()}
    weights = {name: value for name, value in model.named_parameters() if value.ndim >= 2}
    masks = {name: torch.ones_like(value) for name, value in weights.items()}
    for _ in range(rounds):
        train(model, masks)
        alive = torch.cat([masks[name].flatten() for name in weights])
        size = torch.cat([value.detach().abs().flatten() for value in weights.values()])
        size[alive == 0] = -1  # what is gone comes first, whatever its value
        gone = int((alive == 0).sum())
        alive[size.argsort()[: gone + round(prune_rate * (len(alive) - gone))]] = 0
        parts = alive.split([value.numel() for value in weights.values()])
        masks = {name: part.reshape(weights[name].shape).clone() for name, part in zip(weights, parts)}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial_state[name] * masks.get(name, 1))
    return model, masks
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L5_8", "grade": true, "locked": true, "solution": false, "task": false, "points": 4}
import torch

from course import cases, expect
from course.check import passed
from course.probe import probe


@probe
def search(find_ticket, draws, changes, prune_rate, rounds):
    """Run find_ticket on small models that start as draws[0], draws[1], ... and whose k-th training adds changes[k].

    Returns the values and masks that each training began with, the ticket's values and its masks.
    """
    import torch
    from torch import nn

    made, began, given = [], [], []

    def make_model():
        if "1.weight" in draws[0]:
            model = nn.Sequential(nn.Conv1d(2, 6, 3), nn.LayerNorm(6), nn.Linear(6, 5))
        else:
            model = nn.Sequential(nn.Linear(5, 20), nn.ReLU(), nn.Linear(20, 5))
        model.load_state_dict(draws[len(made) % len(draws)])
        made.append(model)
        return model

    def values(model):
        return {name: value.detach().clone() for name, value in model.named_parameters()}

    def train(model, masks):
        change = changes[len(began) % len(changes)]
        began.append(values(model))
        given.append({name: mask.detach().clone() for name, mask in (masks or {}).items()})
        with torch.no_grad():
            for name, value in model.named_parameters():
                value += change[name]
                if name in given[-1]:
                    value *= given[-1][name]

    found = find_ticket(make_model, train, prune_rate, rounds)
    if not isinstance(found, tuple | list) or len(found) != 2:
        raise TypeError("find_ticket should return (model, masks)")
    model, masks = found
    return began, given, values(model), {name: mask.detach().clone() for name, mask in masks.items()}


SHAPES = {"0.weight": (20, 5), "0.bias": (20,), "2.weight": (5, 20), "2.bias": (5,)}


def drawn(seed, scale, shapes=SHAPES, above=None):
    """Values for each name; whole numbers plus `above` where that is given, so that many magnitudes are equal."""
    generator = torch.Generator().manual_seed(seed)
    values = {
        name: torch.randn(shape, generator=generator) * scale * (2 if name[0] == "2" else 1)
        for name, shape in shapes.items()
    }
    return values if above is None else {name: value.round() + above for name, value in values.items()}


def check_values(now, start, masks, when):
    for name, value in start.items():
        expect.array(now[name], value * masks.get(name, 1), f"{when}: {name}, rewound with its mask,", 0, 0)


def check_names(masks, shapes, when):
    matrices = [name for name, shape in shapes.items() if len(shape) > 1]
    assert set(masks) == set(matrices), (
        f"{when}: masks should be for {', '.join(matrices)}, got {', '.join(masks) or 'none'}"
    )
    for name in matrices:
        shape = tuple(masks[name].shape)
        assert shape == shapes[name], f"{when}: the mask of {name} should have shape {shapes[name]}, it has {shape}"
        masks[name] = masks[name].float()
        assert ((masks[name] == 0) | (masks[name] == 1)).all(), f"{when}: a mask holds only zeros and ones"
    return matrices


def check_masks(masks, before, trained, prune_rate, when):
    """`masks` removes the share prune_rate of what `before` keeps, the smallest of `trained` over all matrices."""
    matrices = check_names(masks, {name: tuple(value.shape) for name, value in trained.items()}, when)
    now, was = (torch.cat([each[name].flatten() for name in matrices]) == 1 for each in (masks, before))
    size = torch.cat([trained[name].flatten() for name in matrices]).abs()
    assert not (now & ~was).any(), f"{when}: a weight that an earlier round removed came back"
    gone, share = was & ~now, prune_rate * int(was.sum())
    equal = int((was & (size == size[gone].max())).sum()) if gone.any() else 1
    assert share - 1 - 1e-6 <= int(gone.sum()) <= share + equal + 1e-6, (
        f"{when}: of {int(was.sum())} surviving weights about {share:g} should go, {int(gone.sum())} went"
    )
    if now.any() and gone.any():
        assert size[gone].max() <= size[now].min(), (
            f"{when}: a removed weight had, when trained, a larger magnitude than one that stays, over all matrices"
        )


def check_search(prune_rate, rounds, seed, shapes=SHAPES, equal=False):
    draws = [drawn(seed + 1000 * k, 1.0, shapes, 0.5 if equal else None) for k in range(4)]
    changes = [drawn(seed + 500 + k, 1.5, shapes, 0.0 if equal else None) for k in range(rounds + 2)]
    began, given, ticket, masks = search(find_ticket, draws, changes, prune_rate, rounds)
    case = f"prune_rate {prune_rate}, {rounds} rounds"
    assert len(began) == rounds, (
        f"{case}: train should be called once a round, {rounds} times, and the ticket left untrained; "
        f"it was called {len(began)} times"
    )
    first = began[0] if began else ticket
    assert any(all(torch.equal(first[name], each[name]) for name in shapes) for each in draws), (
        f"{case}: the first start should be a model as make_model made it"
    )
    trained, now = first, {name: torch.ones(shape) for name, shape in shapes.items() if len(shape) > 1}
    for k in range(rounds):
        when = f"{case}, at the start of training {k + 1}"
        if k:
            check_masks(given[k], now, trained, prune_rate, when)
            now = given[k]
        else:
            check_names(given[0], shapes, when)
            assert all((mask == 1).all() for mask in given[0].values()), f"{when}: all masks should be ones"
        check_values(began[k], first, now, when)
        trained = {name: (began[k][name] + changes[k][name]) * now.get(name, 1) for name in shapes}
    when = f"{case}, the ticket that is returned"
    check_masks(masks, now, trained, prune_rate if rounds else 0, when)
    check_values(ticket, first, masks, when)


check_search(0.5, 2, seed=0)
passed("L5.8")
### BEGIN HIDDEN TESTS
for prune_rate, rounds, seed in [(0.2, 3, 81), (0.35, 5, 82), (0.6, 1, 83), (0.5, 0, 84), (0.0, 2, 85), (1, 1, 86)]:
    check_search(prune_rate, rounds, seed)
mixed = {"0.weight": (6, 2, 3), "0.bias": (6,), "1.weight": (6,), "1.bias": (6,), "2.weight": (5, 6), "2.bias": (5,)}
check_search(0.4, 3, 87, mixed)
check_search(0.5, 0, 88, mixed)
check_search(0.3, 2, 89, equal=True)


def search_with(prune_rate, rounds):
    return search(find_ticket, [drawn(1, 1.0)], [drawn(2, 1.0)], prune_rate, rounds)


for _, rate in cases.not_between(0, 1)[:4]:
    expect.refuses(search_with, rate, 2, naming="prune_rate", of=f"prune_rate = {rate}")
for rounds in (-1, -4):
    expect.refuses(search_with, 0.2, rounds, naming="rounds", of=f"rounds = {rounds}")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: the whole experiment
#
# Three networks from three seeds. For each, your `find_ticket` searches for eight rounds at 35 %. The training that it
# calls writes down the mask and the accuracy of each round, so that the curve of the ticket comes with the search: the
# training of round $k + 1$ is the training of the ticket after $k$ rounds. Every mask is then trained twice more:
#
# - *new weights*: the same mask, other random starting weights;
# - *shuffled mask*: these other starting weights again, and the ones of each matrix moved to random places. Each matrix
#   keeps its density.
#
# So each step changes one thing: first the starting values, then the places. The search is deterministic: the same seed
# gives the same masks.

# %%
SEEDS = (0,) if GRADING else (0, 1, 2)
RATE = 0.35
ROUNDS = 2 if GRADING else imp_rounds(0.968, RATE)
print(
    f"{ROUNDS} rounds of {RATE:.0%} should leave {iterative_prune(total, RATE, ROUNDS)[-1]:,.0f} of {total:,} weights"
)


def shuffled(masks, seed):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: mask.flatten()[torch.randperm(mask.numel(), generator=generator)].reshape(mask.shape)
        for name, mask in masks.items()
    }


def experiment(seed, progress):
    """{variant: accuracy after rounds 0, 1, ...}, and the masks of every round, for the network of one seed."""
    accuracy = {name: [] for name in draw.VARIANTS}
    masks_of = []

    def measured(model, masks):
        train_masked(model, masks, seed)
        progress.update()
        return models.accuracy(model)

    def train(model, masks):
        masks_of.append({name: mask.clone() for name, mask in masks.items()})
        accuracy["ticket"].append(measured(model, masks))

    model, masks = find_ticket(lambda: make_model(seed), train, RATE, ROUNDS)
    train(model, masks)  # the ticket's own training, one more than the search took
    for k, masks in enumerate(masks_of):
        other = copy_of(make_model(1000 + 100 * seed + k))
        rewind(model, other, masks)
        accuracy["new weights"].append(measured(model, masks))
        moved = shuffled(masks, 1000 * seed + k)
        rewind(model, other, moved)
        accuracy["shuffled mask"].append(measured(model, moved))
    return accuracy, masks_of


with tqdm(total=len(SEEDS) * 3 * (ROUNDS + 1), unit="training", leave=False, disable=GRADING) as progress:
    results = [experiment(seed, progress) for seed in SEEDS]
curves = {name: np.array([accuracy[name] for accuracy, _ in results]) for name in draw.VARIANTS}
ticket_masks = [masks_of for _, masks_of in results]

# %% [markdown]
# The mean of the three seeds, and in brackets the lowest and the highest:


# %%
def spread(shares):
    return f"{shares.mean():.1%} ({shares.min():.0%} to {shares.max():.0%})"


print(f"{'round':>5}  {'left':>6}  " + "  ".join(f"{name:>20}" for name in curves))
for k, masks in enumerate(ticket_masks[0]):
    density = sum(float(mask.sum()) for mask in masks.values()) / total
    print(f"{k:>5}  {density:>6.1%}  " + "  ".join(f"{spread(shares[:, k]):>20}" for shares in curves.values()))

# %% [markdown]
# How large must a difference be to mean anything? Round 0 tells: nothing is pruned there, so the ticket and the network with
# new weights differ by their random draw alone. Take the mean size of that difference over the seeds as the *noise floor*.
# It is a rough measure, and one for means over three seeds: a single network's accuracy varies by more.

# %%
floor = np.abs(curves["ticket"][:, 0] - curves["new weights"][:, 0]).mean()
behind = curves["ticket"][:, 0].mean() - curves["ticket"].mean(axis=0)
within = [k for k in range(ROUNDS + 1) if (behind[: k + 1] <= floor).all()][-1]
densities = [sum(float(mask.sum()) for mask in masks.values()) / total for masks in ticket_masks[0]]
print(f"noise floor: {100 * floor:.1f} points")
print(f"the ticket is within it of the whole network down to {densities[within]:.1%} of the weights")
print(f"with the last {densities[-1]:.1%} it is {100 * behind[-1]:.1f} points behind")

# %% [markdown]
# Move the round. At the left are the masks of seed 0. A row of a mask is a neuron, a column is what it reads: the 64 pixels
# in the first layer, the 128 neurons before it in the second. The small square counts how many weights each pixel of a
# digit has left, the darkest the most. At the right are the curves, with the spread over seeds as a band.
#
# - Up to which round are the three curves as close together as the noise floor?
# - From which round does the shuffled mask fall behind the one with new weights? Switch the picture to it and compare.
# - Which pixels does the ticket read? Those at the left edge are 0 in nearly every digit. What has become of their weights?

# %%
draw.rounds(
    iterative_prune,
    {"ticket": ticket_masks[0], "shuffled": [shuffled(masks, k) for k, masks in enumerate(ticket_masks[0])]},
    curves,
    RATE,
)

# %% [markdown]
# Two things are in a ticket, and the curves take them apart. *Ticket* and *new weights* differ in the starting values only.
# *New weights* and *shuffled mask* differ only in where the ones of the mask stand: which pixels and which neurons keep
# their connections. What does each contribute in the last round? Compare it with the noise floor.

# %%
final = {name: shares[:, -1] for name, shares in curves.items()}
print(f"the starting values:  {100 * (final['ticket'] - final['new weights']).mean():+.1f} points of accuracy")
print(f"the mask's structure: {100 * (final['new weights'] - final['shuffled mask']).mean():+.1f} points")
print(f"the price: {ROUNDS} trainings for the mask and 1 for the ticket, {(ROUNDS + 1) * EPOCHS} epochs "
      f"where the whole network takes {EPOCHS}")  # fmt: skip

# %% [markdown]
# So was the small network in there all along? Down to the density that you read above, yes: a network of that size was in
# the large one from the first draw, and trained alone it is as good as the whole. The 800 weights of the opening come
# close and stay a little behind. And to find them you trained the large network, again and again. A ticket saves nothing in
# training. It is evidence about what training does, and a strong way of pruning.

# %% [markdown]
# ## 5. What changed at scale
#
# Restarting from step 0 works for the small networks of the first paper. On deeper networks, such as ResNet-50 on ImageNet,
# tickets rewound to step 0 no longer match the whole network. Frankle et al. (2019, 2020) found what works there: rewind to
# an *early step*, 0.1 % to 7 % into training. Their explanation: in its very first steps a large network is not yet
# *stable*. Train two copies that differ only in the order of the data, and they end in different valleys of the loss. Let
# them part a little later, and they end in the same one. From then on tickets can be found.
#
# Your `rewind` takes any state, so the change is one argument. The last masks from above are restarted from step 0, and from
# the values after the first of the 12 epochs, with 11 to go.

# %%
early = []
for seed, masks_of in zip(SEEDS, ticket_masks):
    model = train_masked(make_model(seed), {}, seed, epochs=1)
    rewind(model, copy_of(model), masks_of[-1])
    early.append(models.accuracy(train_masked(model, masks_of[-1], seed, epochs=EPOCHS - 1)))
print(f"rewound to step 0:    {spread(final['ticket'])}")
print(f"rewound to epoch 1:   {spread(np.array(early))}")

# %% [markdown]
# Compare the difference with the spread between seeds and with the noise floor: if it is no larger, nothing speaks for
# rewinding late at this size. At theirs it decides whether there is a ticket at all.
#
# ## What you measured
#
# Your numbers, from your functions, on your machine:

# %%
rows = {"the whole network": (1.0, 1, curves["ticket"][:, 0])}
share_left = sum(float(mask.sum()) for mask in ticket_masks[0][-1].values()) / total
rows["ticket"] = (share_left, ROUNDS + 1, final["ticket"])
rows["its mask, new weights"] = (share_left, ROUNDS + 1, final["new weights"])
rows["new weights, shuffled"] = (share_left, ROUNDS + 1, final["shuffled mask"])
print(f"{'':21}  {'weights':>7}  {'trainings':>9}  accuracy")
for name, (share, trainings, shares) in rows.items():
    print(f"{name:21}  {share * total:>7,.0f}  {trainings:>9}  {spread(shares)}")
print(
    f"noise floor {100 * floor:.1f} points; the ticket matches the whole network down to {densities[within]:.1%} of the weights"
)

# %% [markdown]
# - A round removes a share of what is left, so the counts fall geometrically and the rounds to a target grow with its
#   logarithm.
# - The mask is chosen by trained values, the ticket starts from initial ones.
# - While many weights are left any mask will do. The ticket shows its worth where few are left.
# - There the mask loses ground with new weights, and loses more when it is shuffled as well. With many weights left the
#   order of the two is chance.
# - A difference means something where it is larger than what another random draw makes.
# - A mask of eight rounds costs eight trainings, and the ticket's own is one more.
# - On large networks tickets restart from an early step, not from step 0.
#
# Three seeds and one small network are a demonstration. The papers below have the evidence, and the limits. Chapter 6
# makes a small network good in another way: a large one teaches it.
#
# ### Sources
#
# - J. Frankle, M. Carbin, The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks, 2019,
#   arXiv:1803.03635: iterative magnitude pruning, rewinding to step 0, new weights as the control.
# - J. Frankle, G. K. Dziugaite, D. M. Roy, M. Carbin, Stabilizing the Lottery Ticket Hypothesis, 2019, arXiv:1903.01611:
#   rewinding to an early step, 0.1 % to 7 % into training.
# - J. Frankle, G. K. Dziugaite, D. M. Roy, M. Carbin, Linear Mode Connectivity and the Lottery Ticket Hypothesis, 2020,
#   arXiv:1912.05671: tickets are found where training is stable to the order of the data.
# - H. Zhou, J. Lan, R. Liu, J. Yosinski, Deconstructing Lottery Tickets: Zeros, Signs, and the Supermask, 2019,
#   arXiv:1905.01067: what the mask alone contributes.
# - Z. Liu, M. Sun, T. Zhou, G. Huang, T. Darrell, Rethinking the Value of Network Pruning, 2019, arXiv:1810.05270: where
#   new weights do as well.
