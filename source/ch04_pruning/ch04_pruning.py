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
# # Chapter 4 · Pruning
#
# A model has 7 billion weights. Set 90 % of them to zero and 700 million are left. Which ones should they be? And what
# do you get for it: a file a tenth as large, an answer ten times as fast?
#
# In this chapter you choose the weights, remove them in four ways, and time what is left on the machine in front of
# you. The networks are real: a small one that reads digits, and TinyGPT, which writes Python. Everything runs on a CPU.

# %% nbgrader={"schema_version": 3, "grade_id": "setup", "grade": false, "locked": true, "solution": false, "task": false} tags=["setup"]
from course import ready

ready(4)

# %%
import timeit
import warnings

import numpy as np
import scipy.sparse
import torch
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from course import GRADING, data, models, tinygpt
from course.figures import pruning as draw

torch.set_num_threads(1)  # one core for everything, so that times can be compared
one_core = threadpool_limits(1)

# %% [markdown]
# First the file. A zero costs as much to store as any other number, unless you leave it out. If you leave it out, you
# must say where the others stand. The usual format is *CSR* (compressed sparse row): for each kept weight its value, here
# 2 bytes, and its column, here 4 bytes.

# %%
parameters = 7e9
print(f"dense: {parameters * 2 / 1e9:.1f} GB")
for share in (0.5, 2 / 3, 0.8, 0.9, 0.95):
    stored = parameters * (1 - share) * (2 + 4) / 1e9
    print(f"{share:5.1%} zeros: {stored:5.1f} GB in CSR, {parameters * 2 / 1e9 / stored:.1f}x smaller")

# %% [markdown]
# Half of the weights gone, and the file has grown. It breaks even at two thirds, and at 90 % it is not a tenth. So
# zeros are no gain by themselves. What they are worth depends on where they stand, and that is what this chapter is
# about.

# %% [markdown]
# ## 1. Which weights go
#
# *Sparsity* is the share of weights that are zero. *Magnitude pruning* takes the weights nearest to zero, whatever their
# sign: a weight $w$ adds $w x$ to its neuron, and for inputs of one size a small $|w|$ adds little. It looks at no data
# at all. Han et al. (2015) removed nine of ten weights of large vision networks that way, with training afterwards.

# %% [markdown]
# ### Exercise 4.1 · Derive · 1 point
#
# Prune half of the weights $[0.5, -0.1, 0.8, -0.02, 0.3, -0.7, 0.05, 0.9]$ by magnitude. What is the sum of the
# survivors?
#
# For comparison: if you prune half of $[1, -3, 2, -0.5]$, the survivors are $-3$ and $2$, and their sum is $-1$.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_4_1", "grade": false, "locked": false, "solution": true, "task": false}
ex_4_1 = None
### BEGIN SOLUTION
# hint: Four weights stay. Sort by size without the sign, then add them up with their signs.
by_size = sorted([0.5, -0.1, 0.8, -0.02, 0.3, -0.7, 0.05, 0.9], key=abs)
ex_4_1 = sum(by_size[4:])
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_4_1", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("4.1", ex_4_1)
### BEGIN HIDDEN TESTS
expect.number(
    ex_4_1,
    0.5 + 0.8 - 0.7 + 0.9,
    traps={
        2.5: "those are the four largest by value; -0.7 is far from zero, so it stays",
        2.9: "that is the sum of their magnitudes; the weights keep their signs",
        0.23: "that is the sum of the weights that go",
        1.73: "that is the sum of all eight",
        1.0: "half of eight is four: 0.5 stays as well",
        1.8: "half of eight is four: 0.3 goes as well",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Where the zeros stand
#
# *Unstructured* pruning sets single weights to zero, wherever they are. *Structured* pruning removes whole units, such as
# a neuron: a row of one matrix and a column of the next.
#
# ### Exercise 4.2 · Trace · 1 point
#
# You remove half of a weight matrix, once scattered and once as half of its rows, and multiply with the ordinary dense
# routine. Which one is faster than before, and why?
#
# - **A** The scattered one: the routine skips multiplications by zero, and the weights that matter least are gone.
# - **B** The one without the rows: what is left is a smaller dense matrix, and the same routine has half the work.
# - **C** Both alike: both have half as many weights that are not zero, so both need half the time.
# - **D** Half of the rows, even if they stay in place as rows of zeros: the routine notices rows of zeros.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_4_2", "grade": false, "locked": false, "solution": true, "task": false}
ex_4_2 = None
### BEGIN SOLUTION
# hint: A dense routine is told the shape of the matrix. It never looks at the values before it multiplies.
ex_4_2 = "B"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_4_2", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("4.2", ex_4_2)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_4_2,
    "B",
    because={
        "A": "a dense routine multiplies zeros like any other number; a test for each weight would cost more than it saves",
        "C": "the count of zeros does not matter to a dense routine, the shape does",
        "D": "rows of zeros are still rows; only taking them out makes the matrix smaller",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# Try it. Each time is the fastest of several runs, the one that everything else on your machine disturbed least.


# %%
def milliseconds(run, repeats=3 if GRADING else 15):
    """The least time of several runs."""
    return 1e3 * min(timeit.repeat(run, number=1, repeat=repeats))


noise = np.random.default_rng(0)
side = 64 if GRADING else 1024
full = noise.normal(size=(side, side)).astype(np.float32)
batch = noise.normal(size=(side, 128)).astype(np.float32)
half_zero_rows = full * (np.arange(side) % 2)[:, None].astype(np.float32)
cases = {
    "as it was": full,
    "half zero, scattered": full * (noise.random(full.shape) < 0.5),
    "half zero, as rows": half_zero_rows,
    "half of the rows removed": half_zero_rows[1::2].copy(),
    "a quarter of the rows removed": full[: side * 3 // 4].copy(),
}
took = {name: milliseconds(lambda: matrix @ batch) for name, matrix in cases.items()}
for name, matrix in cases.items():
    print(f"{name:30} {matrix.shape[0]:5} rows  {took[name]:6.2f} ms  {took['as it was'] / took[name]:.2f}x as fast")

# %% [markdown]
# Only a smaller matrix is faster. Mind the last line: without a quarter of the rows there is 25 % less work. That is not
# "25 % faster". The time falls to three quarters at best, and the speed is its inverse:

# %%
for removed in (0.25, 0.5, 0.75):
    print(f"{removed:.0%} less work: at best {1 / (1 - removed):.2f}x as fast")

# %% [markdown]
# ## 3. What zeros promise
#
# If a sparse routine did nothing but the multiplications that count, it would be faster by the same rule.
#
# ### Exercise 4.3 · Derive · 1 point
#
# Two $4096 \times 4096$ matrices are multiplied. 90 % of the weights of one of them are zero, and every operation with a
# zero is left out. What is the theoretical speedup, counted in operations?
#
# For comparison: with 75 % zeros it is 4.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_4_3", "grade": false, "locked": false, "solution": true, "task": false}
ex_4_3 = None
### BEGIN SOLUTION
# hint: Which share of the operations is left? Check your rule with the 75 % above.
dense_operations = 2 * 4096**3
ex_4_3 = dense_operations / (dense_operations * (1 - 0.9))
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_4_3", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("4.3", ex_4_3)
### BEGIN HIDDEN TESTS
expect.number(
    ex_4_3,
    4096**3 / (4096**2 * 409.6),
    traps={
        0.1: "that is the share of the operations that is left; the speedup is its inverse",
        0.9: "that is the share of the operations that is saved",
        1 / 0.9: "90 % go and 10 % are left, not the other way round",
        1.9: "a speedup is old time over new time, not 1 plus what was saved",
        9: "divide all operations by those that are left, not the saved ones",
        90: "that is the percentage; a speedup is old time over new time",
        100: "only one of the two matrices is sparse",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# ### Exercise 4.4 · Trace · 1 point
#
# At this sparsity, with the zeros scattered, a GPU gives between 1.5 and 3 times the speed of the dense product, or
# nothing at all. (Gale et al. 2020 wrote some of the best routines and report 1.2 to 2.1 for whole sparse networks.)
# Where is the rest?
#
# - **A** The theory counts multiplications. The additions are as many as before.
# - **B** A sparse routine still multiplies by every zero; it only saves the memory.
# - **C** Kept weights stand in irregular places. Each brings an index along and fetches its input from wherever that
#   points, so neither memory nor the matrix units work as fast as on dense blocks.
# - **D** The sparse matrix is turned back into a dense one before each product, and that takes the time.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_4_4", "grade": false, "locked": false, "solution": true, "task": false}
ex_4_4 = None
### BEGIN SOLUTION
# hint: The operations really are a tenth. What must the machine read, besides the weight, before it can do one of them?
ex_4_4 = "C"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_4_4", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("4.4", ex_4_4)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_4_4,
    "C",
    because={
        "A": "each product that is left out takes its addition with it",
        "B": "a sparse format does not even hold the zeros, so nothing can multiply by them",
        "D": "sparse routines work on the kept weights as they are stored; the operations really are fewer",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# See it on this CPU. The columns say how many operations there are, how long they take, how many are done in a
# nanosecond, and how many bytes are read for each weight that counts. CSR here is SciPy's, with 4 bytes for a value and 4
# for its column. Where PyTorch has a CSR product (it does with Intel's MKL), the faster of the two is taken.


# %%
def csr_milliseconds(compute, matrices, others):
    """The time of compute(*matrices, *others) with the matrices in CSR: SciPy's or, where faster, PyTorch's."""
    ways = [([scipy.sparse.csr_array(w) for w in matrices], others)]
    if torch.backends.mkl.is_available():
        ways.append(([torch_csr(w) for w in matrices], [torch.from_numpy(other) for other in others]))
    return min(milliseconds(lambda: compute(*sparse, *given)) for sparse, given in ways)


def torch_csr(w):
    with warnings.catch_warnings():  # PyTorch says that its CSR tensors are in beta
        warnings.simplefilter("ignore")
        return torch.from_numpy(w).to_sparse_csr()


dense_time = milliseconds(lambda: full @ batch)
dense_rate = 2 * full.size * batch.shape[1] / dense_time / 1e6
print(f"dense            {2 * full.size * batch.shape[1] / 1e6:6.1f} M operations  {dense_time:6.2f} ms", end="")
print(f"  {dense_rate:5.1f} per ns  4 bytes a weight")
for share in (0.5, 0.9, 0.95):
    scattered = full * (noise.random(full.shape) >= share)
    sparse_time = csr_milliseconds(lambda w, x: w @ x, [scattered], [batch])
    operations = 2 * np.count_nonzero(scattered) * batch.shape[1]
    sparse_rate = operations / sparse_time / 1e6
    print(f"CSR, {share:3.0%} zeros  {operations / 1e6:6.1f} M operations  {sparse_time:6.2f} ms", end="")
    print(f"  {sparse_rate:5.1f} per ns  8 bytes a kept weight, {dense_time / sparse_time:.1f}x as fast as dense")
slowdown = dense_rate / sparse_rate
print(f"an operation in CSR takes {slowdown:.1f} times as long as a dense one, at the last sparsity")
if slowdown > 1:
    print(
        f"so CSR should win once fewer than 1/{slowdown:.1f} of the weights are left: above {1 - 1 / slowdown:.0%} zeros"
    )

# %% [markdown]
# The operations are as few as promised. Each of them just costs more. Keep the last line in mind: in section 6 you
# measure where the crossover is.

# %% [markdown]
# ## 4. Build the pruner
#
# ### Exercise 4.5 · Build · 3 points
#
# `magnitude_prune(weights, sparsity)` returns a new array of the same shape in which the $k$ weights of least magnitude
# are zero, and all others are as they were.
#
# - $k$ is `sparsity * n` rounded *up*, where $n$ is the number of weights. Take care of rounding noise: in floating point
#   `0.1 * 30` is `3.0000000000000004`, and that means 3, not 4. Treat a product within $10^{-9}$ of a whole number as
#   that number.
# - Weights that are zero already are the smallest, so they are the first of the $k$.
# - Of equal magnitudes, those at earlier positions (reading row by row) are pruned first.
#
# `weights` is an array or a list, of any shape, and stays as it is. Raise `ValueError`, with the argument's name in the
# message, when `sparsity` is below 0 or above 1.
#
# Example: `magnitude_prune([3.0, -1.0, 2.0, -4.0, 1.0], 0.3)` is `[3.0, 0.0, 2.0, -4.0, 0.0]`, because 1.5 is rounded up
# to 2.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_4_5", "grade": false, "locked": false, "solution": true, "task": false}
def magnitude_prune(weights, sparsity):
    """Return a copy of weights with the ceil(sparsity * n) smallest magnitudes set to zero; same shape."""
    ### BEGIN SOLUTION
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity must be from 0 to 1, got {sparsity}")
    weights = np.asarray(weights)
    count = int(np.ceil(round(sparsity * weights.size, 9)))
    order = np.argsort(np.abs(weights), axis=None, kind="stable")
    kept = np.ones(weights.size, dtype=bool)
    kept[order[:count]] = False
    return np.where(kept.reshape(weights.shape), weights, 0)
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_4_5", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import math
from fractions import Fraction

import numpy as np

from course import expect
from course.check import passed

expect.array(
    magnitude_prune([3.0, -1.0, 2.0, -4.0, 1.0], 0.3),
    [3.0, 0.0, 2.0, -4.0, 0.0],
    "magnitude_prune([3.0, -1.0, 2.0, -4.0, 1.0], 0.3)",
)
expect.array(
    magnitude_prune(np.array([[0.5, -6.0], [-0.25, 2.0]]), 0.5),
    [[0.0, -6.0], [0.0, 2.0]],
    "magnitude_prune([[0.5, -6.0], [-0.25, 2.0]], 0.5)",
)
passed("4.5")
### BEGIN HIDDEN TESTS


def verify(weights, sparsity, of):
    flat = [float(value) for value in np.ravel(weights)]
    count = math.ceil(Fraction(str(sparsity)) * len(flat))
    for position in sorted(range(len(flat)), key=lambda i: (abs(flat[i]), i))[:count]:
        flat[position] = 0.0
    before = np.array(weights)
    returned = magnitude_prune(weights, sparsity)
    expect.unchanged(weights, before, "weights")
    wanted = np.array(flat).reshape(before.shape)
    assert returned is not None, f"{of} returned nothing: an array expected"
    zeros = np.asarray(returned).size - np.count_nonzero(np.asarray(returned))
    should = wanted.size - np.count_nonzero(wanted)
    assert zeros == should, f"{of} should have {should} zeros among {wanted.size} values, it has {zeros}"
    expect.array(returned, wanted, of, 1e-6)


rng = np.random.default_rng(45)
for sparsity, shape in [(0.5, (20,)), (0.25, (10,)), (0.9, (6, 7)), (0.33, (2, 3, 4)), (0.6, (5, 1)), (0.01, (9, 9))]:
    weights = rng.normal(0, 1, shape).astype(np.float32)
    verify(weights, sparsity, f"magnitude_prune of normal values of shape {shape} at sparsity {sparsity}")
for sparsity, size in [(0.1, 30), (0.07, 100), (0.7, 10), (0.55, 100), (0.29, 100), (0.3, 10)]:
    weights = rng.normal(0, 1, size).astype(np.float32)
    verify(weights, sparsity, f"magnitude_prune of {size} values at sparsity {sparsity}")
verify(np.array([0.5, -0.5, 0.5, -0.5, 0.5, 0.5]), 0.5, "magnitude_prune([0.5, -0.5, 0.5, -0.5, 0.5, 0.5], 0.5)")
verify(np.full((3, 4), -2.0), 0.4, "magnitude_prune of twelve equal weights in shape (3, 4) at sparsity 0.4")
verify(
    np.tile([1.0, -1.0, 2.0], 40), 0.45, "magnitude_prune of 120 weights with many equal magnitudes at sparsity 0.45"
)
verify(np.array([0.0, 5.0, 0.0, 1.0]), 0.5, "magnitude_prune([0.0, 5.0, 0.0, 1.0], 0.5), where two are zero already,")
verify(np.array([0.0, 5.0, 0.0, 1.0]), 0.25, "magnitude_prune([0.0, 5.0, 0.0, 1.0], 0.25), where two are zero already,")
verify(np.array([7, -2, 3, 1]), 0.5, "magnitude_prune of the integers [7, -2, 3, 1] at sparsity 0.5")
verify(rng.normal(0, 1, (4, 3)), 0, "magnitude_prune at sparsity 0")
verify(rng.normal(0, 1, (4, 3)), 1, "magnitude_prune at sparsity 1")
verify(rng.normal(0, 1e-4, 12), 0.5, "magnitude_prune of values near 0.0001 at sparsity 0.5")
expect.refuses(magnitude_prune, np.ones(4), -0.1, naming="sparsity", of="sparsity = -0.1")
expect.refuses(magnitude_prune, np.ones(4), 1.5, naming="sparsity", of="sparsity = 1.5")
expect.refuses(magnitude_prune, np.ones(4), 50, naming="sparsity", of="sparsity = 50")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: your pruner on a trained network
#
# The network (64-128-128-10) learns to read digits of 8 x 8 pixels. Your function prunes it, at once and without any
# training afterwards. Move the slider and choose a layer. The third panel remembers where you have been.
#
# - How far can you go before the accuracy falls? Does it fall slowly or suddenly?
# - Prune one layer only. Which one bears the most, and which one is the smallest?
# - Look at the first layer's picture. Some of its 64 columns empty before the others. You meet them again in section 8.

# %%
draw.pruner(magnitude_prune, models.trained_mlp())

# %% [markdown]
# One network may be lucky. Here are several, trained from different seeds, and beside yours a pruner that picks its
# weights at random. Random picks go through your function as well: it prunes random scores, and what is left of them is
# the mask.


# %%
def changed(seed, change):
    """A copy of the network trained from `seed` whose weight matrices went through change(w)."""
    model = models.trained_mlp(seed)
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.copy_(torch.as_tensor(change(layer.weight.numpy())))
    return model


def drop_at_random(w, share):
    scores = np.random.default_rng(w.size).random(w.shape)
    return w * (magnitude_prune(scores, share) != 0)


seeds = range(1 if GRADING else 3)
sparsities = [0, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
for seed in tqdm(seeds, "training", leave=False, disable=GRADING):
    models.trained_mlp(seed)
by_choice = {
    "magnitude": [[models.accuracy(changed(s, lambda w: magnitude_prune(w, p))) for p in sparsities] for s in seeds],
    "random": [[models.accuracy(changed(s, lambda w: drop_at_random(w, p))) for p in sparsities] for s in seeds],
}
unpruned = np.mean([models.accuracy(models.trained_mlp(seed)) for seed in seeds])
for name, shares in by_choice.items():
    print(f"{name:9}", "  ".join(f"{p:.0%}: {np.mean(s):.0%}" for p, s in zip(sparsities, np.transpose(shares))))
draw.accuracy(sparsities, by_choice, unpruned)

# %% [markdown]
# ## 5. Prune, then train on
#
# The weights that survive can make up for those that are gone, if you train them a little more: *fine-tuning*. The mask
# stays on all the while, so that what is zero stays zero.
#
# ### Exercise 4.6 · Design · 1 point
#
# You start from a network with random weights and want a sparse one. Put the five steps in order. The scores should
# speak of weights that have learned something, and the surviving weights should be able to make up for the loss.
#
# - `finetune`: train the weights that are left, with the mask on
# - `mask`: turn scores into zeros and ones
# - `apply`: set the masked weights to zero
# - `train`: train the network
# - `score`: give each weight a number that says how much it matters
#
# Answer with a list of the five keys, such as `ex_4_6 = ["mask", "score", ...]`.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_4_6", "grade": false, "locked": false, "solution": true, "task": false}
ex_4_6 = None
### BEGIN SOLUTION
# hint: A mask comes from scores, and scores from trained weights. Which step repairs, and so comes last?
ex_4_6 = ["train", "score", "mask", "apply", "finetune"]
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_4_6", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("4.6", ex_4_6)
### BEGIN HIDDEN TESTS
steps = [str(step).strip().lower() for step in ex_4_6] if isinstance(ex_4_6, list | tuple) else []
place = {step: steps.index(step) for step in steps}
why = "follow one weight from its random start: what has to be known before each step?"
if len(place) == len(steps) == 5 and set(place) == {"train", "score", "mask", "apply", "finetune"}:
    if place["score"] < place["train"]:
        why = "scores of untrained weights say nothing about what the network has learned: train first"
    elif place["mask"] < place["score"]:
        why = "a mask is made from scores"
    elif place["apply"] < place["mask"]:
        why = "there is nothing to apply before there is a mask"
    else:
        why = "weights that are trained before the others are gone cannot make up for their loss"
expect.order(ex_4_6, ["train", "score", "mask", "apply", "finetune"], why)
### END HIDDEN TESTS

# %% [markdown]
# Three orders, measured with your pruner at 95 % sparsity. All three train for the same number of epochs in total.


# %%
def prune_all(model, share):
    """Prune the weight matrices of `model` in place with magnitude_prune, and return it."""
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.copy_(torch.as_tensor(magnitude_prune(layer.weight.numpy(), share)))
    return model


def finetune(model, epochs, seed):
    """Train on. A weight that is zero gets no gradient, so Adam leaves it at zero."""
    hooks = [layer.weight.register_hook(lambda g, kept=layer.weight != 0: g * kept) for layer in model[::2]]
    models.train(model, epochs=1 if GRADING else epochs, seed=seed)
    for hook in hooks:
        hook.remove()
    return model


def untrained(seed):
    torch.manual_seed(seed)
    return models.mlp()


orders = {
    "train, prune, fine-tune": lambda s: finetune(prune_all(models.trained_mlp(s), 0.95), 8, s),
    "train, fine-tune, prune": lambda s: prune_all(finetune(models.trained_mlp(s), 8, s), 0.95),
    "prune, then train": lambda s: finetune(prune_all(untrained(s), 0.95), 30 + 8, s),
}
for name, follow in tqdm(orders.items(), "orders", leave=False, disable=GRADING):
    right = [models.accuracy(follow(seed)) for seed in seeds]
    print(f"{name:24} {np.mean(right):.1%} right (worst {min(right):.1%}, best {max(right):.1%})")

# %% [markdown]
# The second order pays for the same training and loses it. The third may surprise you: with the mask drawn *before*
# training, this small task often comes out as well. Liu et al. (2018) report the like for image classifiers: the pruned
# network, trained from a random start, often gets as far. But that takes the whole training. Nobody hands you that for a
# 7 B model. They hand you trained weights, and then scores, a mask and a short fine-tuning are what you can afford.
# Chapter 5 asks where a sparse network should start.
#
# ### See it: in one step or in four
#
# You can prune to the target at once (*one-shot*) or in rounds, with a part of the fine-tuning after each round
# (*iterative*). Rounds let the scores change as the network adapts. But the last mask then gets only the last part of
# the training. Below, both have the same number of fine-tuning epochs in total. Each of four rounds keeps the same share
# of what is there.


# %%
def one_shot(seed, share, epochs):
    return models.accuracy(finetune(prune_all(models.trained_mlp(seed), share), epochs, 100 + seed))


def iterative(seed, share, epochs, rounds=4):
    model = models.trained_mlp(seed)
    for round_ in range(1, rounds + 1):
        prune_all(model, 1 - (1 - share) ** (round_ / rounds))
        finetune(model, epochs // rounds, 100 + 10 * seed + round_)
    return models.accuracy(model)


plans = [(0.9, 12), (0.98, 12), (0.98, 48)]
rounds_table = {}
for share, epochs in tqdm(plans, "one-shot and iterative", leave=False, disable=GRADING):
    rounds_table[share, epochs] = [[plan(s, share, epochs) for s in seeds] for plan in (one_shot, iterative)]
print("sparsity  epochs   one-shot: mean (worst to best)   iterative: mean (worst to best)")
for (share, epochs), both in rounds_table.items():
    spread = [f"{np.mean(right):.1%} ({min(right):.1%} to {max(right):.1%})" for right in both]
    print(f"{share:8.0%}  {epochs:6}   {spread[0]:>30}   {spread[1]:>31}")

# %% [markdown]
# Iterative is often said to be better as such. Read your table: with little training, four rounds leave each mask too
# little, and one step does better. Rounds pay off at extreme sparsity, and only when there is enough training to share
# out. Look at the spread before you believe a difference.

# %% [markdown]
# ## 6. Take the rows out
#
# A hidden neuron is a row of `w1` with its entry of `b1`, and a column of `w2`. If the neuron goes, all three can go, and
# the network gets smaller. No sparse format, no index, no special routine.
#
# ### Lab L4.7 · Build · 3 points
#
# A network computes `w2 @ activation(w1 @ x + b1)`. `prune_neurons(w1, b1, w2, keep)` returns the smaller
# `(w1, b1, w2)` with the hidden neurons in `keep` only. It computes exactly what the full network computes when the
# activations of all other neurons are set to zero.
#
# - `w1` has shape (hidden, inputs), `b1` (hidden,), `w2` (outputs, hidden). They stay as they are.
# - `keep` is a list or 1-D array of neuron numbers, counted from 0. The new neurons come in the order of `keep`.
# - Raise `ValueError`, with the argument's name in the message, when `b1` or `w2` does not fit the hidden neurons of `w1`,
#   or when `keep` holds a number below 0, a number too large, or the same number twice.
#
# Example: with `w1 = [[1, 2], [3, 4], [5, 6]]`, `b1 = [7, 8, 9]`, `w2 = [[10, 11, 12]]` and `keep = [2, 0]` the result is
# `[[5, 6], [1, 2]]`, `[9, 7]`, `[[12, 10]]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L4_7", "grade": false, "locked": false, "solution": true, "task": false}
def prune_neurons(w1, b1, w2, keep):
    """Return (w1, b1, w2) of the network that has only the hidden neurons in keep, in that order."""
    ### BEGIN SOLUTION
    w1, b1, w2, keep = np.asarray(w1), np.asarray(b1), np.asarray(w2), [int(neuron) for neuron in keep]
    hidden = w1.shape[0]
    if b1.shape != (hidden,):
        raise ValueError(f"b1 must have shape ({hidden},) to fit w1, got {b1.shape}")
    if w2.ndim != 2 or w2.shape[1] != hidden:
        raise ValueError(f"w2 must have {hidden} columns to fit w1, got shape {w2.shape}")
    if any(not 0 <= neuron < hidden for neuron in keep):
        raise ValueError(f"keep must hold numbers from 0 to {hidden - 1}, got {keep}")
    if len(set(keep)) < len(keep):
        raise ValueError(f"keep must hold each number once, got {keep}")
    return w1[keep], b1[keep], w2[:, keep]
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L4_7", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np
import torch
from torch.nn import functional

from course import expect
from course.check import passed

small = prune_neurons(np.array([[1, 2], [3, 4], [5, 6]]), np.array([7, 8, 9]), np.array([[10, 11, 12]]), [2, 0])
assert small is not None and len(small) == 3, "prune_neurons should return (w1, b1, w2)"
for name, returned, wanted in zip(("w1", "b1", "w2"), small, ([[5, 6], [1, 2]], [9, 7], [[12, 10]]), strict=True):
    expect.array(returned, wanted, f"{name} of the example, keep = [2, 0],")
passed("L4.7")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(47)
for inputs, hidden, outputs, keep in [
    (5, 8, 3, [0, 1, 2]),
    (4, 6, 6, np.array([5, 3, 0])),
    (7, 7, 7, [6, 2]),
    (1, 4, 1, [3]),
    (3, 5, 2, [4, 3, 2, 1, 0]),
    (3, 5, 2, [0, 1, 2, 3, 4]),
]:
    w1, b1, w2 = rng.normal(0, 1, (hidden, inputs)), rng.normal(0, 1, hidden), rng.normal(0, 1, (outputs, hidden))
    before = [array.copy() for array in (w1, b1, w2)]
    returned = prune_neurons(w1, b1, w2, keep)
    for name, now, was in zip(("w1", "b1", "w2"), (w1, b1, w2), before, strict=True):
        expect.unchanged(now, was, name)
    of = f"with {inputs} inputs, {hidden} hidden neurons, {outputs} outputs and keep = {list(map(int, keep))}: the new"
    assert returned is not None and len(returned) == 3, "prune_neurons should return (w1, b1, w2)"
    expect.array(returned[0], [[w1[i, j] for j in range(inputs)] for i in keep], f"{of} w1", 1e-6)
    expect.array(returned[1], [b1[i] for i in keep], f"{of} b1", 1e-6)
    expect.array(returned[2], [[w2[o, i] for i in keep] for o in range(outputs)], f"{of} w2", 1e-6)
    masked = torch.zeros(hidden, dtype=torch.float64)
    masked[torch.as_tensor(list(map(int, keep)))] = 1
    x = torch.from_numpy(rng.normal(0, 1, (10, inputs)))
    whole = functional.linear(torch.sigmoid(functional.linear(x, *map(torch.from_numpy, before[:2]))) * masked,
                              torch.from_numpy(before[2]))  # fmt: skip
    n1, nb, n2 = (torch.as_tensor(np.asarray(part, dtype=np.float64)) for part in returned)
    smaller = functional.linear(torch.sigmoid(functional.linear(x, n1, nb)), n2)
    expect.array(smaller.numpy(), whole.numpy(), f"{of} network's output", 1e-5)
w1, b1, w2 = np.ones((4, 3)), np.ones(4), np.ones((2, 4))
expect.refuses(prune_neurons, w1, b1, w2, [0, 4], naming="keep", of="keep = [0, 4] with four neurons")
expect.refuses(prune_neurons, w1, b1, w2, [0, -1], naming="keep", of="keep = [0, -1]")
expect.refuses(prune_neurons, w1, b1, w2, [1, 2, 1], naming="keep", of="keep = [1, 2, 1]")
expect.refuses(prune_neurons, w1, np.ones(3), w2, [0, 1], naming="b1", of="b1 of length 3 with four neurons")
expect.refuses(prune_neurons, w1, np.ones(5), w2, [0, 1], naming="b1", of="b1 of length 5 with four neurons")
expect.refuses(prune_neurons, w1, b1, np.ones((4, 2)), [0, 1], naming="w2", of="w2 of shape (4, 2) with four neurons")
expect.refuses(prune_neurons, w1, b1, np.ones((2, 5)), [0, 1], naming="w2", of="w2 of shape (2, 5) with four neurons")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: neurons against single weights
#
# The digits network, twice. Once your `prune_neurons` takes neurons out of both hidden layers: those go whose weights in
# and out are small. Once your `magnitude_prune` leaves the same number of weights, scattered. Both get the same short
# fine-tuning. The time is one pass over the held-out digits, with ordinary dense layers.


# %%
def smaller_model(model, share):
    """The network with `share` of the neurons of both hidden layers, made with prune_neurons."""
    weights_ = [layer.weight.detach().numpy() for layer in model[::2]]
    biases = [layer.bias.detach().numpy() for layer in model[::2]]
    for i in (0, 1):
        norms = np.linalg.norm(weights_[i], axis=1) * np.linalg.norm(weights_[i + 1], axis=0)
        strongest = np.sort(np.argsort(-norms)[: round(share * len(norms))])
        weights_[i], biases[i], weights_[i + 1] = prune_neurons(weights_[i], biases[i], weights_[i + 1], strongest)
    layers = []
    for w, b in zip(weights_, biases):
        layers += [torch.nn.utils.skip_init(torch.nn.Linear, w.shape[1], w.shape[0]), torch.nn.ReLU()]
        with torch.no_grad():
            layers[-2].weight.copy_(torch.as_tensor(w)), layers[-2].bias.copy_(torch.as_tensor(b))
    return torch.nn.Sequential(*layers[:-1]).eval()


@torch.no_grad()
def pass_milliseconds(model):
    return milliseconds(lambda: model(data.digits().x_test), 3 if GRADING else 50)


count = lambda model: sum(layer.weight.numel() for layer in model[::2])
print(f"all {count(models.mlp()):,} weights: {unpruned:.1%} right, {pass_milliseconds(models.mlp()):.3f} ms")
print("neurons  weights |  neurons out: at once  fine-tuned       time | weights out: at once  fine-tuned       time")
for share in tqdm([0.75, 0.5, 0.25, 0.125], "neurons", leave=False, disable=GRADING):
    rows, took = {"neurons": ([], []), "weights": ([], [])}, {}
    for seed in seeds:
        small_one = smaller_model(models.trained_mlp(seed), share)
        scattered_one = prune_all(models.trained_mlp(seed), 1 - count(small_one) / count(models.mlp()))
        for kind, model in (("neurons", small_one), ("weights", scattered_one)):
            rows[kind][0].append(models.accuracy(model))
            rows[kind][1].append(models.accuracy(finetune(model, 4, seed)))
            took[kind] = pass_milliseconds(model)
    line = [f"{np.mean(r[0]):20.1%}  {np.mean(r[1]):10.1%}  {took[kind]:6.3f} ms" for kind, r in rows.items()]
    print(f"{share:7.1%}  {count(small_one):7,} | {line[0]} | {line[1]}")

# %% [markdown]
# At once, single weights are the finer knife as long as half of the neurons are left. After fine-tuning the two are
# closer than you might think, and where little is left, taking neurons out may even do better. Only one of the time
# columns falls.
#
# ### See it: what sparsity is worth on this machine
#
# Now the plot that most talks about pruning leave out. A network of two layers, 1024 in, 1024 hidden, 1024 out, pruned by
# your two functions: to zeros in a dense matrix, to zeros in CSR, and to fewer neurons. One input at a time (as when a
# model writes text), and 64 at a time. The dashed line is what 4.3 promises. All run on one core.


# %%
def two_layers(w1, w2, b1, x):
    """The second layer after the first and a ReLU; NumPy's arrays, SciPy's or PyTorch's."""
    return w2 @ (w1 @ x + b1[:, None]).clip(0)


def crossover(shares, dense, csr):
    """The sparsity from which CSR is faster than dense, between two measured points; None when it never is."""
    lead = np.log(np.array(dense) / np.array(csr))
    behind = np.flatnonzero(lead <= 0)
    if behind.size == 0 or behind[-1] == len(lead) - 1:
        return None if behind.size else shares[0]
    pair = [behind[-1], behind[-1] + 1]
    return float(1 - np.exp(np.interp(0, lead[pair], np.log(1 - np.array(shares)[pair]))))


levels_of_zeros = [0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98]
layer1, layer2 = (noise.normal(size=(side, side)).astype(np.float32) for _ in range(2))
bias1 = noise.normal(size=side).astype(np.float32)


def three_ways(share):
    """{batch: (dense with zeros, CSR, fewer neurons)} in milliseconds at one sparsity, with your two functions."""
    zeros1, zeros2 = (np.asarray(magnitude_prune(layer, share)) for layer in (layer1, layer2))
    fewer1, fewer_bias, fewer2 = prune_neurons(layer1, bias1, layer2, np.arange(round((1 - share) * side)))
    fewer = [np.ascontiguousarray(part) for part in (fewer1, fewer2, fewer_bias)]
    took = {}
    for n in (1, 64):
        given = noise.normal(size=(side, n)).astype(np.float32)
        dense = milliseconds(lambda: two_layers(zeros1, zeros2, bias1, given))
        csr = csr_milliseconds(two_layers, [zeros1, zeros2], [bias1, given])
        took[n] = dense, csr, milliseconds(lambda: two_layers(*fewer, given))
    return took


measured = [three_ways(share) for share in tqdm(levels_of_zeros, "speed", leave=False, disable=GRADING)]
names_of_ways = ["dense with zeros", "CSR", "fewer neurons, dense"]
times = {f"batch {n}": dict(zip(names_of_ways, zip(*[took[n] for took in measured]))) for n in (1, 64)}

# %%
crossings = {name: crossover(levels_of_zeros, rows["dense with zeros"], rows["CSR"]) for name, rows in times.items()}
for name, rows in times.items():
    at = levels_of_zeros.index(0.9)
    gains = ", ".join(f"{way} {rows['dense with zeros'][0] / took[at]:.1f}x" for way, took in rows.items())
    print(f"{name}, 90 % sparsity: theory {1 / (1 - 0.9):.1f}x, {gains}")
    found = crossings[name]
    print(f"  CSR is faster than dense {'nowhere here' if found is None else f'from {found:.0%} sparsity on'}")
draw.speed(levels_of_zeros, times, crossings)

# %% [markdown]
# Three curves, one promise. Zeros in a dense matrix save nothing. CSR starts far above the dense time and has to earn
# that back before it wins; compare the crossover with the guess from section 3. Fewer neurons stay near the dashed
# line, below it where a smaller matrix fits a faster cache, above it where there is too little left to keep the core busy.
#
# These are your CPU's numbers. On a GPU the matrix units make the dense product faster still, and CSR has more to catch
# up with.

# %% [markdown]
# ## 7. Two of four
#
# Is there something between scattered and whole rows? NVIDIA's GPUs since Ampere have matrix units for one pattern: in
# every four weights in a row, at least two are zero (*2:4 sparsity*, Mishra et al. 2021). The place of a kept weight takes
# 2 bits, the access stays regular, and the units do up to twice the products in the same time.

# %%
kept_bits = 2 * 16 + 2 * 2
print(
    f"four FP16 weights take {4 * 16} bits, two of them with their places {kept_bits}: {4 * 16 / kept_bits:.2f}x smaller"
)

# %% [markdown]
# ### Lab L4.8 · Build · 2 points
#
# `mask_2_4(w)` returns a mask of the shape of `w`: 1 (or `True`) for the two weights of largest magnitude in each group of
# four along the last axis, 0 (or `False`) for the other two. The groups are columns 0 to 3, 4 to 7, and so on. Of equal
# magnitudes those at earlier positions go first, as in 4.5, so the later ones are kept.
#
# `w` has one axis or more and stays as it is. Raise `ValueError`, with `w` in the message, when the length of the last
# axis is not divisible by 4.
#
# Example: `mask_2_4([3, -1, 2, -4, 5, 5, 5, 5])` is `[1, 0, 0, 1, 0, 0, 1, 1]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L4_8", "grade": false, "locked": false, "solution": true, "task": false}
def mask_2_4(w):
    """Return the mask (1 kept, 0 pruned) of the two largest magnitudes in every four along the last axis of w."""
    ### BEGIN SOLUTION
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError(f"w must have a last axis divisible by 4, got shape {w.shape}")
    groups = np.abs(w).reshape(-1, 4)
    largest = np.argsort(groups, axis=1, kind="stable")[:, 2:]
    mask = np.zeros(groups.shape, dtype=bool)
    np.put_along_axis(mask, largest, True, axis=1)
    return mask.reshape(w.shape)
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L4_8", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import numpy as np

from course import expect
from course.check import passed

expect.array(
    mask_2_4(np.array([3, -1, 2, -4, 5, 5, 5, 5])), [1, 0, 0, 1, 0, 0, 1, 1], "mask_2_4([3, -1, 2, -4, 5, 5, 5, 5])"
)
expect.array(mask_2_4(np.array([[0.1, 0.2, 0.3, 0.4]])), [[0, 0, 1, 1]], "mask_2_4([[0.1, 0.2, 0.3, 0.4]])")
passed("L4.8")
### BEGIN HIDDEN TESTS


def brute_force(w):
    flat, mask = [abs(float(value)) for value in np.ravel(w)], []
    for i, value in enumerate(flat):
        group = range(i - i % 4, i - i % 4 + 4)
        mask.append(sum(flat[j] > value or (flat[j] == value and j > i) for j in group) < 2)
    return np.array(mask).reshape(np.shape(w))


rng = np.random.default_rng(48)
cases = {f"normal values of shape {shape}": rng.normal(0, 1, shape) for shape in [(8,), (4, 4), (3, 12), (2, 3, 8)]}
cases |= {
    "one group far larger than the other": np.array([0.01, 0.02, -0.03, 0.04, 10.0, -20.0, 30.0, 40.0]),
    "four equal weights": np.array([[-1.0, 1.0, -1.0, 1.0]]),
    "three equal weights, [2, -2, 2, 1]": np.array([2.0, -2.0, 2.0, 1.0]),
    "zeros": np.zeros((2, 4)),
    "one weight that is not zero, [7, 0, 0, 0]": np.array([7.0, 0.0, 0.0, 0.0]),
    "integers from -2 to 2": rng.integers(-2, 3, (5, 16)),
    "negative values": -np.abs(rng.normal(0, 1, (3, 8))),
}
for name, w in cases.items():
    before = w.copy()
    returned = mask_2_4(w)
    expect.unchanged(w, before, "w")
    expect.array(returned, brute_force(w), f"mask_2_4 of {name}")
for shape in [(6,), (4, 3), (8, 2)]:
    expect.refuses(mask_2_4, np.ones(shape), naming="w", of=f"w of shape {shape}")
### END HIDDEN TESTS

# %% [markdown]
# What does the pattern cost, compared with a free choice of half of the weights? Here is the share of the sum of
# magnitudes that stays in each of TinyGPT's attention outputs.

# %%
gpt = tinygpt.tiny_gpt()
for name, layer in tinygpt.linears(gpt).items():
    if name.endswith("out"):
        matrix = layer.weight.detach().numpy()
        free = np.abs(magnitude_prune(matrix, 0.5)).sum() / np.abs(matrix).sum()
        pattern = np.abs(matrix * mask_2_4(matrix)).sum() / np.abs(matrix).sum()
        print(f"{name:24} free choice keeps {free:.1%} of the magnitude, 2:4 keeps {pattern:.1%}")

# %% [markdown]
# ## 8. A weight is as large as its input
#
# Magnitude forgets the input. A weight of 0.01 on an input of 1000 adds 10 to its neuron, a weight of 1 on an input of
# 0.1 adds 0.1. In large language models some inputs *are* much larger than others, and there magnitude pruning fails at
# sparsities where smaller networks hardly notice. *Wanda* (Sun et al. 2023) scores a weight by what it adds:
#
# $$ S_{ij} = |W_{ij}| \cdot \lVert X_j \rVert_2 , $$
#
# where $X_j$ is input $j$ of the layer over some calibration data. There is no training and no gradient: one pass.
#
# Even the digits show the trouble. Some of their pixels are never inked. The weights behind those get no gradient, so
# they still are what they were drawn as, and they change nothing. All of them could go before any other. What does
# your magnitude pruning do?

# %%
inked = data.digits().x_train.numpy().any(axis=0)
first_layer = models.trained_mlp()[0].weight.detach().numpy()
still_there = magnitude_prune(first_layer, 0.5) != 0
print(f"{(~inked).sum()} of {inked.size} pixels are zero in every training digit")
print(f"at 50 % sparsity magnitude keeps {still_there[:, ~inked].mean():.0%} of the weights behind them")
print(f"and {still_there[:, inked].mean():.0%} of those behind the other pixels")

# %% [markdown]
# ### Lab L4.9 · Build · 2 points
#
# `wanda_scores(w, x)` returns the scores, in the shape of `w`. `w` has shape (outputs, inputs), and `x` (samples, inputs)
# holds what the layer received. The norm is over the samples: the root of the sum of squares of a column of `x`.
#
# `w` and `x` stay as they are. Raise `ValueError`, with `x` in the message, when `x` does not have as many columns as `w`.
#
# Example: `wanda_scores([[1, -2], [0, 4]], [[3, 0.5], [4, 0]])` is `[[5, 1], [0, 2]]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L4_9", "grade": false, "locked": false, "solution": true, "task": false}
def wanda_scores(w, x):
    """Return |w| times the norm of each input's column of x; w (outputs, inputs), x (samples, inputs)."""
    ### BEGIN SOLUTION
    w, x = np.asarray(w, dtype=float), np.asarray(x, dtype=float)
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(f"x must have {w.shape[1]} columns, one for each input of w, got shape {x.shape}")
    return np.abs(w) * np.sqrt((x**2).sum(axis=0))
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L4_9", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import numpy as np
import torch

from course import expect
from course.check import passed

expect.array(
    wanda_scores(np.array([[1.0, -2.0], [0.0, 4.0]]), np.array([[3.0, 0.5], [4.0, 0.0]])),
    [[5.0, 1.0], [0.0, 2.0]],
    "wanda_scores([[1, -2], [0, 4]], [[3, 0.5], [4, 0]])",
    1e-6,
)
passed("L4.9")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(49)
for outputs, inputs, samples in [(3, 5, 20), (4, 4, 4), (1, 6, 2), (6, 1, 9), (2, 3, 1), (5, 8, 64)]:
    w = rng.normal(0, 1, (outputs, inputs))
    x = rng.normal(0.5, 1, (samples, inputs)) * rng.uniform(0.1, 10, inputs)
    before = w.copy(), x.copy()
    returned = wanda_scores(w, x)
    expect.unchanged(w, before[0], "w")
    expect.unchanged(x, before[1], "x")
    wanted = torch.from_numpy(before[0]).abs() * torch.linalg.vector_norm(torch.from_numpy(before[1]), dim=0)
    expect.array(returned, wanted.numpy(), f"for w of shape {w.shape} and x of shape {x.shape}: the score", 1e-5, 1e-5)
expect.array(
    wanda_scores(np.array([[1, -1], [2, 3]]), np.array([[3, 0], [4, 0]])),
    [[5, 0], [10, 0]],
    "wanda_scores of the integers [[1, -1], [2, 3]] and [[3, 0], [4, 0]]",
    1e-5,
)
for shape in [(7, 3), (4, 7), (5, 1)]:
    expect.refuses(
        wanda_scores, np.ones((3, 4)), np.ones(shape), naming="x", of=f"w of shape (3, 4) and x of shape {shape}"
    )
### END HIDDEN TESTS

# %% [markdown]
# ### See it: TinyGPT pruned
#
# TinyGPT predicts the next byte of Python source. Its quality is bits per byte on files that it was not trained on: 8 is
# blind guessing, and lower is better. The cell below records what each layer receives on a little training text.
#
# Wanda differs from magnitude pruning in *two* ways: the score, and where weights compete. Magnitude pruning compares
# all weights of a matrix. Wanda compares the weights of one row, so that every output loses half of its inputs. So there
# are four combinations, and you should measure all four before you say which part helps.


# %%
def layer_inputs(seed, samples=2 if GRADING else 32):
    """{layer's name: what it receives (samples, inputs)} on random windows of the training text."""
    model, seen = tinygpt.tiny_gpt(), {}
    for name, layer in tinygpt.linears(model).items():
        layer.register_forward_pre_hook(lambda layer, given, name=name: seen.update({name: given[0]}))
    with torch.no_grad():
        model(tinygpt.windows(tinygpt.training_text(), samples, seed)[:, :-1])
    return {name: given.flatten(0, -2).numpy() for name, given in seen.items()}


def quality(choose):
    """Bits per byte of TinyGPT when each weight matrix is multiplied by the mask choose(name, w)."""
    model = tinygpt.tiny_gpt()
    with torch.no_grad():
        for name, layer in tinygpt.linears(model).items():
            w = layer.weight.numpy()
            layer.weight.copy_(torch.as_tensor(w * np.asarray(choose(name, w))))
    return tinygpt.bits_per_byte(model, windows=2 if GRADING else 64)


received = layer_inputs(seed=0)
by_magnitude = lambda name, w: np.abs(w)
by_wanda = lambda name, w: np.asarray(wanda_scores(w, received[name]))
in_matrix = lambda scores, share: magnitude_prune(scores, share) != 0
in_rows = lambda scores, share: np.stack([magnitude_prune(row, share) != 0 for row in scores])

# %% [markdown]
# First, what the score promises. Each layer's output is computed with all weights and with half of them, on the inputs it
# received. The error is the sum of squares of the difference, as a share of the output's own sum of squares.


# %%
def output_error(name, w, keep):
    whole = received[name] @ w.T
    return np.square(received[name] @ (w * keep).T - whole).sum() / np.square(whole).sum()


layers = {name: layer.weight.detach().numpy() for name, layer in tinygpt.linears(gpt).items()}
errors = {
    name: [output_error(name, w, in_rows(score(name, w), 0.5)) for score in (by_magnitude, by_wanda)]
    for name, w in layers.items()
}
closer = sum(wanda < magnitude for magnitude, wanda in errors.values())
print(f"Wanda's score leaves the smaller error in {closer} of {len(errors)} layers")
for name, both in sorted(errors.items(), key=lambda item: -item[1][0])[:5]:
    print(f"{name:24} magnitude {both[0]:6.1%}, Wanda {both[1]:6.1%} of the output")

# %% [markdown]
# It keeps its promise in every layer. So the whole model must be better as well? Guess, then run the next cell.

# %%
ways = {
    "magnitude, in the matrix": (by_magnitude, in_matrix),
    "magnitude, in each row": (by_magnitude, in_rows),
    "Wanda's score, in the matrix": (by_wanda, in_matrix),
    "Wanda's score, in each row": (by_wanda, in_rows),
}
shares = [0.3, 0.5] if GRADING else [0.3, 0.4, 0.5, 0.6]
dense_quality = quality(lambda name, w: 1)
curves = {name: [] for name in ways}
for share in tqdm(shares, "TinyGPT", leave=False, disable=GRADING):
    for name, (score, compete) in ways.items():
        curves[name].append(quality(lambda layer, w: compete(score(layer, w), share)))
two_of_four = {
    "magnitude, 2:4": quality(lambda name, w: mask_2_4(w)),
    "Wanda's score, 2:4": quality(lambda name, w: mask_2_4(by_wanda(name, w))),
}
print("bits per byte at a sparsity of", "".join(f"{share:9.0%}" for share in shares))
print(f"{'not pruned':30}{dense_quality:9.3f}")
for name, values in curves.items():
    print(f"{name:30}" + "".join(f"{value:9.3f}" for value in values))
for name, value in two_of_four.items():
    print(f"{name:30}" + " " * 9 * shares.index(0.5) + f"{value:9.3f}")
draw.bits_per_byte(shares, curves, dense_quality)

# %% [markdown]
# At 30 % the whole model is better with Wanda's score, wherever the weights compete. Further up the lead melts. At 60 %
# it has turned round, although each layer by itself keeps its output closer. Two more measurements before you believe or
# explain that. The scores depend on the text they are computed from, so take three samples of it. And prune one kind of
# layer at a time, all others whole.

# %%
samples_of_text = [layer_inputs(seed) for seed in seeds]
for share in (0.3, 0.5):
    by_sample = [quality(lambda name, w: in_rows(wanda_scores(w, inputs[name]), share)) for inputs in samples_of_text]
    print(
        f"{share:.0%}, in each row: magnitude {curves['magnitude, in each row'][shares.index(share)]:.3f}, Wanda",
        end=" ",
    )
    print(", ".join(f"{value:.3f}" for value in by_sample))
kinds = dict.fromkeys(name.split(".", 2)[2] for name in layers)
only = lambda kind, score: quality(lambda name, w: in_rows(score(name, w), 0.5) if name.endswith(kind) else 1)
print("half of one kind of layer, in each row:")
for kind in tqdm(kinds, "layers", leave=False, disable=GRADING):
    print(f"{kind:14} magnitude {only(kind, by_magnitude):.3f}, Wanda {only(kind, by_wanda):.3f}")

# %% [markdown]
# Layer for layer the score helps or does no harm, with one exception: `mlp.up`. Half of it alone costs more than half of
# any other kind, and the worst layer in your list of errors is one of these. An error in one layer becomes the next
# layer's input. While errors are small, a smaller one in each layer means a better model. Once they are large, it need not.
#
# So a layer's own error is a stand-in for what you want. Measure what you want. And compare like with like: rows against
# the whole matrix is a second choice, independent of the score. The paper finds rows better for large language models and
# no better for image classifiers. Here they are worse with either score.
#
# None of this speaks against Wanda where it was made for. Models of 6.7 billion parameters and more have a few inputs up
# to twenty times as large as the others (Dettmers et al. 2022), and on such models Sun et al. report it far ahead at
# 50 %. Here is how uneven TinyGPT's inputs are. (The paper also records the inputs again after each pruned block. Here
# they come from the dense model.)

# %%
for kind in kinds:
    norms = [np.linalg.norm(given, axis=0) for name, given in received.items() if name.endswith(kind)]
    print(f"{kind:14} largest input norm over the median:", ", ".join(f"{n.max() / np.median(n):.1f}" for n in norms))

# %% [markdown]
# ## What you measured
#
# Your numbers, from your functions, on your machine:

# %%
at90 = [np.mean(np.transpose(by_choice[name])[sparsities.index(0.9)]) for name in ("magnitude", "random")]
print(f"digits at 90 %, no training after: magnitude {at90[0]:.0%}, random {at90[1]:.0%}, dense {unpruned:.0%}")
for (share, epochs), both in rounds_table.items():
    print(
        f"digits at {share:.0%}, {epochs} epochs after: one-shot {np.mean(both[0]):.0%}, iterative {np.mean(both[1]):.0%}"
    )
for name, found in crossings.items():
    print(f"{name}: CSR wins {'nowhere here' if found is None else f'from {found:.0%} sparsity on'}", end="; ")
    print(
        f"90 % gives {times[name]['dense with zeros'][0] / times[name]['CSR'][levels_of_zeros.index(0.9)]:.1f}x where theory says 10"
    )
for share in (0.3, 0.5):
    values = ", ".join(f"{name} {curves[name][shares.index(share)]:.2f}" for name in list(ways)[1::2])
    print(f"TinyGPT at {share:.0%}: {values}, dense {dense_quality:.2f} bits per byte")

# %% [markdown]
# - Small weights can go, most of them, before the network notices. A little training brings back much of the rest.
# - A dense routine does not see zeros. Take rows out, or use a format and hardware made for the zeros.
# - A scattered zero saves its operation and makes all the others more expensive. On this machine you know the crossover.
# - 25 % less work is at best 1.33 times the speed.
# - A weight matters as much as the input it is multiplied with. A score that keeps each layer's output is a good guide
#   while the errors are small, and no proof that the whole model is better.
# - Before you say that one method beats another, give both the same training and look at the spread.
#
# Which weights stay is one question. What they should be when training starts again is the next one, in chapter 5.
#
# ### Sources
#
# - S. Han, J. Pool, J. Tran, W. Dally, Learning both Weights and Connections for Efficient Neural Networks, 2015,
#   arXiv:1506.02626: magnitude pruning with training afterwards.
# - Z. Liu, M. Sun, T. Zhou, G. Huang, T. Darrell, Rethinking the Value of Network Pruning, 2018, arXiv:1810.05270:
#   pruned networks trained from a random start.
# - T. Gale, M. Zaharia, C. Young, E. Elsen, Sparse GPU Kernels for Deep Learning, 2020, arXiv:2006.10901.
# - A. Mishra et al., Accelerating Sparse Deep Neural Networks, 2021, arXiv:2104.08378: the 2:4 pattern.
# - T. Hoefler, D. Alistarh, T. Ben-Nun, N. Dryden, A. Peste, Sparsity in Deep Learning: Pruning and growth for efficient
#   inference and training in neural networks, 2021, arXiv:2102.00554: a survey.
# - T. Dettmers, M. Lewis, Y. Belkada, L. Zettlemoyer, LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale,
#   2022, arXiv:2208.07339: the large inputs of large models.
# - M. Sun, Z. Liu, A. Bair, J. Z. Kolter, A Simple and Effective Pruning Approach for Large Language Models, 2023,
#   arXiv:2306.11695: Wanda.
