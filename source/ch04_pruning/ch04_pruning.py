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
#
# How to work: read, answer in the cell marked *your code here*, run the cell below it. It answers at once. What holds for
# every exercise, such as types and bad input, stands once in Chapter 0.
#
# Time: 1 to 2 hours for the core, 2 to 4 more for the labs. You need NumPy's arrays
# and matrix products, for Lab L4.10 least squares. It is easier after Lab L2.10.

# %% nbgrader={"schema_version": 3, "grade_id": "setup", "grade": false, "locked": true, "solution": false, "task": false} tags=["setup"]
from course import ready

ready(4)

# %%
import warnings

import numpy as np
import scipy.sparse
import torch
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from course import GRADING, data, models, tinygpt
from course.figures import Predict
from course.figures import pruning as draw
from course.timing import measure_again, timings

torch.set_num_threads(1)  # one core for everything, so that times can be compared
one_core = threadpool_limits(1)
of_lab_4_10 = {}  # what section 9 measures, if you go there

# %% [markdown]
# First the file. A zero takes as much room as any other number, unless you leave it out. If you leave it out, you must say
# where the others stand. The usual format is *CSR* (compressed sparse row): for each kept weight its value, here
# 2 bytes, and its column, here 4 bytes.

# %%
parameters = 7e9
print(f"dense: {parameters * 2 / 1e9:.1f} GB")
for share in (0.5, 2 / 3, 0.8, 0.9, 0.95):
    stored = parameters * (1 - share) * (2 + 4) / 1e9
    print(f"{share:5.1%} zeros: {stored:5.1f} GB in CSR, {parameters * 2 / 1e9 / stored:.1f}x smaller")

# %% [markdown]
# Half of the weights are gone, and the file has grown. It breaks even at two thirds, and at 90 % it is still three tenths
# of the dense file, not one. So zeros are no gain by themselves. What they are worth depends on where they stand, and
# that is what this chapter is about.

# %% [markdown]
# ## 1. Which weights go
#
# *Sparsity* is the share of weights that are zero. *Magnitude pruning* removes the weights nearest to zero, whatever their
# sign: a weight $w$ adds $w x$ to its neuron, and if all inputs are about equally large, a small $|w|$ adds little. No data
# is needed. Han et al. (2015) removed about nine in ten weights of large vision networks that way, and trained on
# afterwards.

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
# You remove half of a weight matrix, once as single weights here and there and once as half of its rows. Then you multiply
# with the ordinary dense routine. Which product is faster than before, and why?
#
# - **A** The one with scattered zeros: the routine skips each multiplication by zero, so half of them are left.
# - **B** The one without the rows: what is left is a smaller dense matrix, and the same routine has half the work.
# - **C** Both of them alike: each has half as many weights that are not zero, so each needs half of the time.
# - **D** The one with half of its rows, even where they stay in place as zeros: the routine passes over such rows.

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
# Try it. What is compared is timed in turn, in several rounds. You see the median of the rounds and their spread: the
# width of the middle half, as a share of the median. A difference smaller than the spread says nothing.

# %%
noise = np.random.default_rng(0)
side = 64 if GRADING else 1024
full = noise.normal(size=(side, side)).astype(np.float32)
batch = noise.normal(size=(side, 128)).astype(np.float32)
half_zero_rows = full * (np.arange(side) % 2)[:, None].astype(np.float32)
variants = {
    "as it was": full,
    "half zero, scattered": full * (noise.random(full.shape) < 0.5),
    "half zero, as rows": half_zero_rows,
    "half of the rows removed": half_zero_rows[1::2].copy(),
    "a quarter of the rows removed": full[: side * 3 // 4].copy(),
}
took = timings({name: lambda matrix=matrix: matrix @ batch for name, matrix in variants.items()}, seconds=0.1)
for name, matrix in variants.items():
    faster = took["as it was"].seconds / took[name].seconds
    print(f"{name:30} {matrix.shape[0]:5} rows  {took[name]}  {faster:.2f}x as fast")
print(measure_again(took))

# %% [markdown]
# Zeros make no difference beyond the spread; a smaller matrix is faster. Without a quarter of the rows there is 25 % less
# work, so the time falls to three quarters at best. The speedup is old time over new time, the inverse:

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
# Now 90 % of the weights are zero, at scattered places, and the product runs on a GPU. The sparse routines of Gale et al.
# (2020) reach 27 % of a V100's peak in single precision, and whole sparse networks ran 1.2 to 2.1 times as fast as dense
# ones. That is far from 10. Where is the rest?
#
# - **A** The theory counts multiplications only. The additions are as many as before, and so they take most of the time
#   that is left.
# - **B** A sparse routine still multiplies by every zero. It saves memory for the zeros, but none of the operations on
#   them.
# - **C** Kept weights stand in irregular places. Each needs an index and an input from wherever that points, so memory and
#   multipliers are badly used.
# - **D** The sparse matrix is turned back into a dense one before each product, and filling in the zeros takes what was
#   saved.

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
# for its column. Where PyTorch has a CSR product of its own (it does with Intel's MKL), the faster of the two counts.


# %%
def csr_products(compute, matrices, others):
    """{whose CSR: a function that computes compute(*matrices, *others) with the matrices in that CSR}."""
    ways = {"SciPy": ([scipy.sparse.csr_array(w) for w in matrices], others)}
    if torch.backends.mkl.is_available():
        ways["PyTorch"] = [torch_csr(w) for w in matrices], [torch.from_numpy(other) for other in others]
    return {
        whose: lambda sparse=sparse, given=given: compute(*sparse, *given) for whose, (sparse, given) in ways.items()
    }


def torch_csr(w):
    with warnings.catch_warnings():  # PyTorch says that its CSR tensors are in beta
        warnings.simplefilter("ignore")
        return torch.from_numpy(w).to_sparse_csr()


works, operations = {("dense", ""): lambda: full @ batch}, {"dense": 2 * full.size * batch.shape[1]}
for share in (0.5, 0.9, 0.95):
    scattered, name = full * (noise.random(full.shape) >= share), f"CSR, {share:.0%} zeros"
    operations[name] = 2 * np.count_nonzero(scattered) * batch.shape[1]
    for whose, product in csr_products(lambda w, x: w @ x, [scattered], [batch]).items():
        works[name, whose] = product
took = timings(works, seconds=0.1)
best = {name: min((took[key] for key in took if key[0] == name), key=lambda t: t.seconds) for name in operations}
rate = {name: operations[name] / timing.seconds / 1e9 for name, timing in best.items()}
for name, timing in best.items():
    bytes_read = "4 bytes a weight" if name == "dense" else "8 bytes a kept weight"
    print(
        f"{name:15} {operations[name] / 1e6:6.1f} M operations  {timing}  {rate[name]:5.1f} per ns  {bytes_read}",
        end="",
    )
    print(f"  {best['dense'].seconds / timing.seconds:.1f}x as fast as dense")
slowdown = rate["dense"] / rate[name]
print(f"an operation in CSR takes {slowdown:.1f} times as long as a dense one, at the last sparsity")
if slowdown > 1:
    print(
        f"so CSR should win once fewer than 1/{slowdown:.1f} of the weights are left: above {1 - 1 / slowdown:.0%} zeros"
    )
print(measure_again(best))

# %% [markdown]
# The operations are as few as promised, and the last lines say what each of them costs. Keep that figure in mind: in
# section 6 you measure where the crossover is.

# %% [markdown]
# ## 4. Build the pruner
#
# ### Exercise 4.5 · Build · 3 points
#
# `magnitude_prune(weights, sparsity)` returns a new array of the same shape in which the $k$ weights of least magnitude
# are zero, and all others are as they were.
#
# - $k$ is `sparsity * n` rounded *up*, where $n$ is the number of weights. Take care of rounding noise: in floating point
#   `0.07 * 100` is `7.000000000000001`, and that means 7, not 8. Treat a product within $10^{-9}$ of a whole number as
#   that number, and round every other one up.
# - Weights that are zero already are the smallest, so they are the first of the $k$.
# - Of equal magnitudes, those at earlier positions (reading row by row) are pruned first.
#
# `weights` is an array or a (nested) list, of any shape, and stays as it is. Raise `ValueError`, with the argument's name
# in the message, when `sparsity` is below 0 or above 1.
#
# Example: `magnitude_prune([3.0, -1.0, 2.0, -4.0, 1.0], 0.3)` is `[3.0, 0.0, 2.0, -4.0, 0.0]`, because 1.5 is rounded up
# to 2.
#
# Later cells call it a hundred thousand times, mostly on single rows of 128 to 512 weights, and some hundred times on whole
# matrices of up to a million. Any right answer will do, but a loop over the weights makes you wait there; a sort of
# NumPy's or PyTorch's does not.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_4_5", "grade": false, "locked": false, "solution": true, "task": false}
def magnitude_prune(weights, sparsity):
    """Return a copy of weights with the ceil(sparsity * n) smallest magnitudes set to zero; same shape."""
    ### BEGIN SOLUTION
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity must be from 0 to 1, got {sparsity}")
    weights = np.asarray(weights)
    count = int(np.ceil(round(sparsity * weights.size, 9)))
    order = np.argsort(np.abs(weights), axis=None, kind="stable")  # row by row, however it is stored
    kept = np.ones(weights.size, dtype=bool)
    kept[order[:count]] = False
    return np.where(kept.reshape(weights.shape), weights, 0)
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_4_5", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import math
from fractions import Fraction

import numpy as np

from course import cases, expect
from course.check import passed
from course.probe import probe


@probe
def prune_transposed(magnitude_prune, weights, sparsity):
    """magnitude_prune of weights.T, an array that is stored column by column, and that array afterwards."""
    import numpy as np

    view = np.array(weights).T
    try:
        returned = np.asarray(magnitude_prune(view, sparsity))
    except RuntimeError:  # PyTorch refuses some operations on such arrays, which is no wrong number
        returned = None
    return returned, view


expect.array(
    magnitude_prune([3.0, -1.0, 2.0, -4.0, 1.0], 0.3),
    [3.0, 0.0, 2.0, -4.0, 0.0],
    "magnitude_prune([3.0, -1.0, 2.0, -4.0, 1.0], 0.3)",
    traps=[
        ("1.5 is rounded up", [3.0, 0.0, 2.0, -4.0, 1.0]),
        ("a magnitude has no sign", [3.0, 0.0, 2.0, 0.0, 1.0]),
        ("sparsity is the share that goes, not the share that stays", [0.0, 0.0, 0.0, -4.0, 0.0]),
        ("the smallest go, not the largest", [0.0, -1.0, 2.0, 0.0, 1.0]),
    ],
)
expect.array(
    magnitude_prune(np.array([2.0, 1.0, -1.0, -4.0, 1.0]), 0.24),
    [2.0, 0.0, 0.0, -4.0, 1.0],
    "magnitude_prune([2.0, 1.0, -1.0, -4.0, 1.0], 0.24)",
    traps=[
        ("1.2 is rounded up", [2.0, 0.0, -1.0, -4.0, 1.0]),
        ("of equal magnitudes only as many go as are needed, the earlier ones first", [2.0, 0.0, 0.0, -4.0, 0.0]),
        ("of equal magnitudes as many go as are needed, the earlier ones first", [2.0, 1.0, -1.0, -4.0, 1.0]),
        ("of equal magnitudes the earlier ones go first", [2.0, 1.0, 0.0, -4.0, 0.0]),
    ],
)
matrix = np.array([[0.5, -6.0, 3.0], [-0.25, 0.125, 2.0]])
expect.array(
    magnitude_prune(matrix, 0.5),
    [[0.0, -6.0, 3.0], [0.0, 0.0, 2.0]],
    "magnitude_prune([[0.5, -6.0, 3.0], [-0.25, 0.125, 2.0]], 0.5)",
    traps=[("all weights compete, not each row for itself", [[0.0, -6.0, 0.0], [0.0, 0.0, 2.0]])],
)
expect.unchanged(matrix, [[0.5, -6.0, 3.0], [-0.25, 0.125, 2.0]], "weights")
turned, _ = prune_transposed(magnitude_prune, matrix, 0.5)
if turned is not None:
    expect.array(turned, [[0.0, 0.0], [-6.0, 0.0], [3.0, 2.0]], "magnitude_prune of the same matrix transposed")
passed("4.5")
### BEGIN HIDDEN TESTS


def pruned(weights, sparsity):
    flat = [float(value) for value in np.ravel(weights)]
    count = math.ceil(Fraction(str(sparsity)) * len(flat))
    for position in sorted(range(len(flat)), key=lambda i: (abs(flat[i]), i))[:count]:
        flat[position] = 0.0
    return np.array(flat).reshape(np.shape(weights))


def verify(weights, sparsity, of):
    wanted, before = pruned(weights, sparsity), np.array(weights)
    returned = magnitude_prune(weights, sparsity)
    expect.unchanged(weights, before, "weights")
    assert returned is not None, f"{of} returned nothing: an array expected"
    zeros = np.asarray(returned).size - np.count_nonzero(np.asarray(returned))
    should = wanted.size - np.count_nonzero(wanted)
    assert zeros == should, f"{of} should have {should} zeros among {wanted.size} values, it has {zeros}"
    expect.array(returned, wanted, of, 1e-6 * np.abs(wanted).max(initial=0))


rng = np.random.default_rng(45)
for sparsity, shape in [(0.5, (20,)), (0.25, (10,)), (0.9, (6, 7)), (0.33, (2, 3, 4)), (0.6, (5, 1)), (0.01, (9, 9))]:
    weights = rng.normal(0, 1, shape).astype(np.float32)
    verify(weights, sparsity, f"magnitude_prune of normal values of shape {shape} at sparsity {sparsity}")
for sparsity, size in [(0.07, 100), (0.28, 25), (0.14, 50), (0.55, 100), (0.29, 100), (0.1, 30), (0.7, 10), (0.3, 10)]:
    weights = rng.normal(0, 1, size).astype(np.float32)
    verify(weights, sparsity, f"magnitude_prune of {size} values at sparsity {sparsity}, a whole number of them,")
for sparsity, size in [(0.3, 11), (0.1, 13), (0.30004, 10), (0.5000000004, 4096)]:
    weights = rng.normal(0, 1, size).astype(np.float32)
    verify(weights, sparsity, f"magnitude_prune of {size} values at sparsity {sparsity}, no whole number of them,")
verify(np.array([0.5, -0.5, 0.5, -0.5, 0.5, 0.5]), 0.5, "magnitude_prune([0.5, -0.5, 0.5, -0.5, 0.5, 0.5], 0.5)")
verify(np.full((3, 4), -2.0), 0.4, "magnitude_prune of twelve equal weights in shape (3, 4) at sparsity 0.4")
verify(np.tile([1.0, -1.0, 2.0], 40), 0.45, "magnitude_prune of 120 weights, many of them equal, at sparsity 0.45")
verify(np.array([0.0, 5.0, 0.0, 1.0]), 0.5, "magnitude_prune([0.0, 5.0, 0.0, 1.0], 0.5), where two are zero already,")
verify(np.array([0.0, 5.0, 0.0, 1.0]), 0.25, "magnitude_prune([0.0, 5.0, 0.0, 1.0], 0.25), where two are zero already,")
for values in ([7, 0, 3, 1, 5, 2], [[7, -2], [-30, 1], [100, -90]]):
    for name, form in cases.forms(values, lists=True):
        if name.startswith(("in ", "as a list")):  # views are tried by the probe above: none crosses to another process
            verify(form, 0.5, f"magnitude_prune of whole numbers ({name}) at sparsity 0.5")
for power in (-100, 100):
    weights = np.array([3.0, -1.0, 1.5, -4.0, 1.25, 2.0]) * 2.0**power
    verify(weights, 0.5, f"magnitude_prune of values near {2.0**power:.0e} at sparsity 0.5")
for values in (rng.normal(0, 1, (3, 5)), np.array([[1.0, -1.0, 2.0], [1.0, 1.0, -1.0]])):
    returned, view = prune_transposed(magnitude_prune, values, 0.3)
    expect.unchanged(view, values.T, "weights")
    if returned is not None:
        expect.array(
            returned, pruned(values.T, 0.3), "magnitude_prune of a transposed array, w.T, at sparsity 0.3", 1e-6
        )
verify(rng.normal(0, 1, (4, 3)), 0, "magnitude_prune at sparsity 0")
verify(rng.normal(0, 1, (4, 3)), 1, "magnitude_prune at sparsity 1")
verify(rng.normal(0, 1e-4, 12), 0.5, "magnitude_prune of values near 0.0001 at sparsity 0.5")
for _, value in [*cases.not_between(0, 1)[:4], ("50", 50)]:
    expect.refuses(magnitude_prune, np.ones(4), value, naming="sparsity", of=f"sparsity = {value}")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: your pruner on a trained network
#
# The network (64-128-128-10) learns to read digits of 8 x 8 pixels. Your function prunes it, at once and without any
# training afterwards. Move the slider and choose a layer. The third panel remembers where you have been.
#
# - How far can you go before the accuracy falls? Does it fall slowly or suddenly?
# - Prune one layer only. Which one can lose the largest share of its weights? Which one has the fewest?
# - Look at the first layer's picture. Some of its 64 columns lose their weights sooner than the others. You meet them
#   again in section 8.


# %%
def accuracy_without(share):
    """Held-out accuracy after your function has taken that share of each matrix."""
    model = models.trained_mlp()
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.copy_(torch.as_tensor(magnitude_prune(layer.weight.numpy(), share)))
    return models.accuracy(model)


def largest_share():
    return max(share for share in np.arange(0, 1, 0.05) if accuracy_without(share) >= accuracy_without(0) - 0.05)


Predict(
    draw.pruner(magnitude_prune, models.trained_mlp()),
    "How many of its weights can this network lose and still be within 5 points of its accuracy?",
    slider=(0, 95, 5),
    unit=" %",
    happened=lambda: f"{largest_share():.0%}; with 90 % gone it gets {accuracy_without(0.9):.0%} of the digits right",
)

# %% [markdown]
# One network may be lucky. Here are several, trained from different seeds, and beside your pruner one that chooses weights
# at random. The random choice goes through your function as well: it prunes random scores, and the scores that are left
# are the mask.


# %%
def changed(seed, change):
    """A copy of the network trained from `seed` whose weight matrices went through change(w)."""
    model = models.trained_mlp(seed)
    with torch.no_grad():
        for layer in model[::2]:
            layer.weight.copy_(torch.as_tensor(change(layer.weight.numpy())))
    return model


def kept(scores, share):
    """The mask that your function leaves of these scores."""
    return np.asarray(magnitude_prune(scores, share)) != 0


def drop_at_random(w, share):
    scores = np.random.default_rng(w.size).random(w.shape)
    return w * kept(scores, share)


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
# The weights that survive can make up for those that are gone if you train them a little more: *fine-tuning*. The mask
# stays on all the while, so that what is zero stays zero.
#
# ### Exercise 4.6 · Design · 1 point
#
# You start from a network with random weights and want a sparse one. Put the five steps in order. The scores should
# describe weights that have learned something, and the surviving weights should be able to make up for the loss.
#
# - `finetune`: train the weights that are left, with the mask on
# - `mask`: turn the scores into zeros and ones
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
# Other orders, measured with your pruner at 95 % sparsity. The first two train equally long in all. To compare the third
# with them, look at how long a network trains *with the mask on*: that is the training that repairs. So the first order
# is there twice, with a short fine-tuning and with one that is as long as the third order's training.


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
    "train 30, prune, fine-tune 8": lambda s: finetune(prune_all(models.trained_mlp(s), 0.95), 8, s),
    "train 30, fine-tune 8, prune": lambda s: prune_all(finetune(models.trained_mlp(s), 8, s), 0.95),
    "prune, train 20": lambda s: finetune(prune_all(untrained(s), 0.95), 20, s),
    "train 30, prune, fine-tune 20": lambda s: finetune(prune_all(models.trained_mlp(s), 0.95), 20, s),
}
with_the_mask = dict(zip(orders, (8, 0, 20, 20)))
for name, follow in tqdm(orders.items(), "orders", leave=False, disable=GRADING):
    right = [models.accuracy(follow(seed)) for seed in seeds]
    print(f"{name:30} {with_the_mask[name]:2} epochs with the mask on: ", end="")
    print(f"{np.mean(right):.1%} right (worst {min(right):.1%}, best {max(right):.1%})")

# %% [markdown]
# The second order trains as long as the first, but nothing repairs what its pruning broke. Compare the last two: equally
# long with the mask on, and the network whose mask and start came from trained weights is ahead. A mask drawn before
# training still gives a useful network, if you can afford the whole training. For image classifiers and structured
# pruning Liu et al. (2019) even find it on a par. But for a 7 B model you cannot pay for a whole training. You get trained
# weights, and scores, a mask and a short fine-tuning are what you can afford. Chapter 5 asks where a sparse network should
# start.
#
# ### See it: in one step or in four
#
# You can prune to the target at once (*one-shot*) or in rounds, with a part of the fine-tuning after each round
# (*iterative*). Rounds let the scores change as the network adapts, but then the last mask gets only the last part of
# the training. Below, both have the same number of fine-tuning epochs in total, and each of the four rounds keeps the same
# share of what is left.


# %%
def one_shot(seed, share, epochs):
    return models.accuracy(finetune(prune_all(models.trained_mlp(seed), share), epochs, 100 + seed))


def iterative(seed, share, epochs, rounds=4):
    model = models.trained_mlp(seed)
    for round_ in range(1, rounds + 1):
        prune_all(model, 1 - (1 - share) ** (round_ / rounds))
        finetune(model, epochs // rounds, 100 + 10 * seed + round_)
    return models.accuracy(model)


plans = [(0.9, 4), (0.98, 12), (0.98, 40)]
rounds_table = {}
for share, epochs in tqdm(plans, "one-shot and iterative", leave=False, disable=GRADING):
    rounds_table[share, epochs] = [[plan(s, share, epochs) for s in seeds] for plan in (one_shot, iterative)]
print("sparsity  epochs   one-shot: mean (worst to best)   iterative: mean (worst to best)")
for (share, epochs), both in rounds_table.items():
    spread = [f"{np.mean(right):.1%} ({min(right):.1%} to {max(right):.1%})" for right in both]
    print(f"{share:8.0%}  {epochs:6}   {spread[0]:>30}   {spread[1]:>31}")

# %% [markdown]
# Which is better depends on how much training there is. With 4 or 12 epochs, four rounds leave each mask only one or three,
# and one step does better. Rounds pay off at extreme sparsity, once there is enough training to share out. A difference
# counts where it is larger than the spread between seeds, and three seeds are few.

# %% [markdown]
# ## 6. Take the rows out
#
# A hidden neuron is a row of `w1` with its entry of `b1`, and a column of `w2`. If the neuron goes, all three can go, and
# the network gets smaller. It needs no sparse format, no index and no special routine.
#
# ### Lab L4.7 · Build · 3 points
#
# A network computes `w2 @ activation(w1 @ x + b1)`. `prune_neurons(w1, b1, w2, keep)` returns the smaller
# `(w1, b1, w2)` with the hidden neurons in `keep` only. It computes exactly what the full network computes when the
# activations of all other neurons are set to zero.
#
# - `w1`, `b1` and `w2` are arrays of shape (hidden, inputs), (hidden,) and (outputs, hidden).
# - `keep` is a list or 1-D array of at least one neuron number, counted from 0. The new neurons come in the order of `keep`.
# - All four stay as they are.
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
in_order = ("the neurons come in the order of keep", ([[1, 2], [5, 6]], [7, 9], [[10, 12]]))
others = ("keep names the neurons that stay", ([[3, 4]], [8], [[11]]))
for i, (name, wanted) in enumerate(zip(("w1", "b1", "w2"), ([[5, 6], [1, 2]], [9, 7], [[12, 10]]), strict=True)):
    traps = [(say, values[i]) for say, values in (in_order, others)]
    expect.array(small[i], wanted, f"{name} of the example, keep = [2, 0],", traps=traps)
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
    before, stay = [array.copy() for array in (w1, b1, w2)], list(map(int, keep))
    returned = prune_neurons(w1, b1, w2, keep)
    for name, now, was in zip(("w1", "b1", "w2", "keep"), (w1, b1, w2, keep), (*before, stay), strict=True):
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
for keep in ([0, 4], [1, 9, 2], [0, -1], [1, -4, 2], [1, 2, 1], [3, 3]):
    for kind in (list, np.array):
        expect.refuses(prune_neurons, w1, b1, w2, kind(keep), naming="keep", of=f"keep = {keep} with four neurons")
for length in (1, 3, 5):
    of = f"b1 of length {length} with four neurons"
    expect.refuses(prune_neurons, w1, np.ones(length), w2, [0, 1], naming="b1", of=of)
for shape in ((4, 2), (2, 5), (2, 1), (2, 3)):
    of = f"w2 of shape {shape} with four neurons"
    expect.refuses(prune_neurons, w1, b1, np.ones(shape), [0, 1], naming="w2", of=of)
### END HIDDEN TESTS

# %% [markdown]
# ### See it: neurons against single weights
#
# The digits network is pruned in two ways. Your `prune_neurons` takes neurons out of both hidden layers: those whose
# weights in and out are small. Your `magnitude_prune` leaves the same number of weights, scattered. Both get the same short
# fine-tuning. The time is one pass over the held-out digits, with ordinary dense layers.


# %%
def smaller_model(model, share):
    """The network with `share` of the neurons of both hidden layers, made with prune_neurons."""
    weights_ = [layer.weight.detach().numpy() for layer in model[::2]]
    biases = [layer.bias.detach().numpy() for layer in model[::2]]
    for i in (0, 1):
        norms = np.linalg.norm(weights_[i], axis=1) * np.linalg.norm(weights_[i + 1], axis=0)
        strongest = np.sort(np.argsort(-norms)[: round(share * len(norms))])
        smaller = prune_neurons(weights_[i], biases[i], weights_[i + 1], strongest)
        weights_[i], biases[i], weights_[i + 1] = map(np.asarray, smaller)
    layers = []
    for w, b in zip(weights_, biases):
        layers += [torch.nn.utils.skip_init(torch.nn.Linear, w.shape[1], w.shape[0]), torch.nn.ReLU()]
        with torch.no_grad():
            layers[-2].weight.copy_(torch.as_tensor(w)), layers[-2].bias.copy_(torch.as_tensor(b))
    return torch.nn.Sequential(*layers[:-1]).eval()


def one_pass(model):
    with torch.no_grad():
        return model(data.digits().x_test)


count = lambda model: sum(layer.weight.numel() for layer in model[::2])
found, works = {}, {"all weights": lambda: one_pass(models.trained_mlp())}
for share in tqdm([0.75, 0.5, 0.125], "neurons", leave=False, disable=GRADING):
    for seed in seeds:
        small_one = smaller_model(models.trained_mlp(seed), share)
        scattered_one = prune_all(models.trained_mlp(seed), 1 - count(small_one) / count(models.mlp()))
        for kind, model in (("neurons", small_one), ("weights", scattered_one)):
            found.setdefault((share, kind), []).append(
                [count(small_one), models.accuracy(model), models.accuracy(finetune(model, 4, seed))]
            )
            works[f"{share:.1%} {kind}"] = lambda model=model: one_pass(model)
took = timings(works, rounds=5, seconds=0.06)
print(f"all {count(models.mlp()):,} weights: {unpruned:.1%} right, {took['all weights']}")
print("neurons left  weights left   what went   right at once  after fine-tuning (worst to best)  time")
for (share, kind), rows in found.items():
    weights_left, at_once, tuned = np.transpose(rows)
    print(f"{share:12.1%}  {weights_left[0]:12,.0f}   {kind:9}  {at_once.mean():14.1%}", end="")
    print(f"  {tuned.mean():17.1%} ({tuned.min():.1%} to {tuned.max():.1%})  {took[f'{share:.1%} {kind}']}")
print(measure_again(took))

# %% [markdown]
# Before any fine-tuning, removing single weights does less harm than removing neurons as long as half of the neurons are
# left. After fine-tuning the two are close, and where little is left, taking neurons out may even do better. Only where
# neurons went does the time fall.
#
# ### See it: what sparsity is worth on this machine
#
# A network of two layers, 1024 in, 1024 hidden, 1024 out, is pruned by your two functions: to zeros in a dense matrix, to
# zeros in CSR, and to fewer neurons. It takes one input at a time (as when a model writes text), and 64 at a time. The
# dashed line is what 4.3 promises. Everything runs on one core.


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
layer1 = noise.normal(size=(side, side)).astype(np.float32)
layer2 = layer1[::-1].copy()  # the same rows from the last to the first, so that pruning one prunes both
bias1 = noise.normal(size=side).astype(np.float32)


def three_ways(share):
    """{(way, batch): its Timing} at one sparsity, with your two functions."""
    zeros1 = np.asarray(magnitude_prune(layer1, share), np.float32)
    zeros2 = zeros1[::-1].copy()
    fewer1, fewer_bias, fewer2 = prune_neurons(layer1, bias1, layer2, np.arange(round((1 - share) * side)))
    fewer = [np.ascontiguousarray(part, np.float32) for part in (fewer1, fewer2, fewer_bias)]
    works = {}
    for n in (1, 64):
        x = noise.normal(size=(side, n)).astype(np.float32)
        works["dense with zeros", n] = lambda x=x: two_layers(zeros1, zeros2, bias1, x)
        works["fewer neurons, dense", n] = lambda x=x: two_layers(*fewer, x)
        for whose, work in csr_products(two_layers, [zeros1, zeros2], [bias1, x]).items():
            works[f"CSR of {whose}", n] = work
    took = timings(works, rounds=5, seconds=0.03)
    for n in (1, 64):
        took["CSR", n] = min(
            (took[key] for key in took if key[0].startswith("CSR") and key[1] == n), key=lambda t: t.seconds
        )
    return took


levels = tqdm(levels_of_zeros, "speed", leave=False, disable=GRADING)
measured = dict(zip(levels_of_zeros, map(three_ways, levels)))
names_of_ways = ["dense with zeros", "CSR", "fewer neurons, dense"]
times = {
    f"batch {n}": {way: [1e3 * took[way, n].seconds for took in measured.values()] for way in names_of_ways}
    for n in (1, 64)
}

# %%
crossings = {name: crossover(levels_of_zeros, rows["dense with zeros"], rows["CSR"]) for name, rows in times.items()}
for name, rows in times.items():
    at = levels_of_zeros.index(0.9)
    gains = ", ".join(f"{way} {rows['dense with zeros'][0] / took[at]:.1f}x" for way, took in rows.items())
    print(f"{name}, 90 % sparsity: theory {1 / (1 - 0.9):.1f}x, {gains}")
    found = crossings[name]
    print(f"  CSR is faster than dense {'nowhere here' if found is None else f'from {found:.0%} sparsity on'}")
shown = {
    f"{way} (batch {n})": sorted((took[way, n] for took in measured.values()), key=lambda timing: timing.spread)[3]
    for way in names_of_ways
    for n in (1, 64)
}
print("spread, the middle one of the seven sparsities:", ", ".join(f"{w} {t.spread:.0%}" for w, t in shown.items()))
print(measure_again(shown))
draw.speed(levels_of_zeros, times, crossings)

# %% [markdown]
# Zeros in a dense matrix save nothing. CSR starts far above the dense time and has to make that up before it wins; compare
# the crossover with the estimate from section 3, which was for a batch of 128. Fewer neurons stay near the dashed line:
# below it where a smaller matrix fits a faster cache, above it where too little is left to keep the core busy.
#
# These are your CPU's numbers. On a GPU the matrix units make the dense product faster still, so CSR is further behind.

# %% [markdown]
# ## 7. Two of four
#
# Is there something between scattered weights and whole rows? NVIDIA's GPUs since Ampere have matrix units for one pattern:
# of every four consecutive weights, at least two are zero (*2:4 sparsity*, Mishra et al. 2021). The place of a kept weight
# takes 2 bits, the access stays regular, and the units do up to twice the products in the same time.

# %%
bits, of_two = 4 * 16, 2 * 16 + 2 * 2
print(f"four FP16 weights take {bits} bits, two of them with their places {of_two}: {bits / of_two:.2f}x smaller")

# %% [markdown]
# ### Lab L4.8 · Build · 2 points
#
# `mask_2_4(w)` returns a mask of the shape of `w`: 1 (or `True`) for the two weights of largest magnitude in each group of
# four along the last axis, 0 (or `False`) for the other two. The groups are columns 0 to 3, 4 to 7, and so on. Of equal
# magnitudes those at earlier positions go first, as in 4.5, so the later ones are kept.
#
# `w` is an array of one axis or more and stays as it is. Raise `ValueError`, with `w` in the message, when the length of
# the last axis is not divisible by 4.
#
# Example: of the array `[3, -1, 2, -4, 5, 5, 5, 5]` the mask is `[1, 0, 0, 1, 0, 0, 1, 1]`.


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

from course import cases, expect
from course.check import passed
from course.probe import probe


@probe
def mask_of_transposed(mask_2_4, w):
    """mask_2_4 of w.T, an array that is stored column by column."""
    import numpy as np

    return np.asarray(mask_2_4(np.array(w).T))


expect.array(
    mask_2_4(np.array([3, -1, 2, -4, 5, 5, 5, 5])),
    [1, 0, 0, 1, 0, 0, 1, 1],
    "mask_2_4([3, -1, 2, -4, 5, 5, 5, 5])",
    traps=[
        ("a magnitude has no sign", [1, 0, 1, 0, 0, 0, 1, 1]),
        ("of equal magnitudes the later ones are kept", [1, 0, 0, 1, 1, 1, 0, 0]),
        ("two of each four are kept, not half of all", [0, 0, 0, 0, 1, 1, 1, 1]),
        ("two of each four are kept, also where magnitudes are equal", [1, 0, 0, 1, 1, 1, 1, 1]),
        ("the mask is 1 where a weight is kept", [0, 1, 1, 0, 1, 1, 0, 0]),
        ("the mask is asked for, not the weights", [3, 0, 0, -4, 0, 0, 5, 5]),
    ],
)
matrix = np.array([[0.1, 0.2, -0.9, 0.4], [4.0, -3.0, 2.0, 1.0], [0.5, -8.0, 0.25, 6.0], [7.0, 5.0, -0.5, 0.0]])
expect.array(
    mask_2_4(matrix),
    [[0, 0, 1, 1], [1, 1, 0, 0], [0, 1, 0, 1], [1, 1, 0, 0]],
    "mask_2_4([[0.1, 0.2, -0.9, 0.4], [4, -3, 2, 1], [0.5, -8, 0.25, 6], [7, 5, -0.5, 0]])",
    traps=[("a group lies along a row, the last axis", [[0, 0, 1, 0], [1, 0, 1, 1], [0, 1, 0, 1], [1, 1, 0, 0]])],
)
passed("L4.8")
### BEGIN HIDDEN TESTS


def brute_force(w):
    flat, mask = [abs(float(value)) for value in np.ravel(w)], []
    for i, value in enumerate(flat):
        group = range(i - i % 4, i - i % 4 + 4)
        mask.append(sum(flat[j] > value or (flat[j] == value and j > i) for j in group) < 2)
    return np.array(mask).reshape(np.shape(w))


rng = np.random.default_rng(48)
arrays = {f"normal values of shape {shape}": rng.normal(0, 1, shape) for shape in [(8,), (4, 4), (3, 12), (2, 3, 8)]}
arrays |= {
    "one group far larger than the other": np.array([0.01, 0.02, -0.03, 0.04, 10.0, -20.0, 30.0, 40.0]),
    "four equal weights": np.array([[-1.0, 1.0, -1.0, 1.0]]),
    "three equal weights, [2, -2, 2, 1]": np.array([2.0, -2.0, 2.0, 1.0]),
    "zeros": np.zeros((2, 4)),
    "one weight that is not zero, [7, 0, 0, 0]": np.array([7.0, 0.0, 0.0, 0.0]),
    "integers from -2 to 2": rng.integers(-2, 3, (5, 16)),
    "negative values": -np.abs(rng.normal(0, 1, (3, 8))),
}
whole = [[9, -3, 100, -90], [16, 17, -15, 1]]
arrays |= {f"whole numbers {name}": w for name, w in cases.forms(whole) if name.startswith("in ")}
arrays |= {f"whole numbers {name}": w for name, w in cases.magnitudes(whole)}
for name, w in arrays.items():
    before = w.copy()
    returned = mask_2_4(w)
    expect.unchanged(w, before, "w")
    expect.array(returned, brute_force(w), f"mask_2_4 of {name}")
w = rng.normal(0, 1, (8, 12))
expect.array(mask_of_transposed(mask_2_4, w), brute_force(w.T), "mask_2_4 of a transposed array, w.T,")
for shape in [(6,), (4, 3), (8, 2), (2, 4, 6), (4, 4, 2), (1,), (4, 4, 5)]:
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
        free, pattern = kept(matrix, 0.5), np.asarray(mask_2_4(matrix))
        free, pattern = (np.abs(matrix * mask).sum() / np.abs(matrix).sum() for mask in (free, pattern))
        print(f"{name:24} free choice keeps {free:.1%} of the magnitude, 2:4 keeps {pattern:.1%}")

# %% [markdown]
# ## 8. A weight is as large as its input
#
# Magnitude ignores the input. A weight of 0.01 on an input of 1000 adds 10 to its neuron, a weight of 1 on an input of
# 0.1 adds 0.1. In large language models some inputs *are* much larger than others, and there magnitude pruning fails at
# sparsities where smaller networks hardly notice. *Wanda* (Sun et al. 2023) scores a weight by what it adds:
#
# $$ S_{ij} = |W_{ij}| \cdot \lVert X_j \rVert_2 , $$
#
# where $X_j$ is input $j$ of the layer over some calibration data. There is no training and no gradient: one pass.
#
# Even the digits show the trouble. Some of their pixels are never inked. The weights behind those get no gradient, so
# they still have their random initial values, and they change nothing. All of them could go before any other. What does
# your magnitude pruning do?

# %%
inked = data.digits().x_train.numpy().any(axis=0)
first_layer = models.trained_mlp()[0].weight.detach().numpy()
still_there = kept(first_layer, 0.5)
print(f"{(~inked).sum()} of {inked.size} pixels are zero in every training digit")
print(f"at 50 % sparsity magnitude keeps {still_there[:, ~inked].mean():.0%} of the weights behind them")
print(f"and {still_there[:, inked].mean():.0%} of those behind the other pixels")

# %% [markdown]
# ### Lab L4.9 · Build · 2 points
#
# `wanda_scores(w, x)` returns the scores, in the shape of `w`. `w` has shape (outputs, inputs), and `x` (samples, inputs)
# holds what the layer received; both are arrays. The norm is over the samples: the root of the sum of squares of a column
# of `x`. Scores of whole numbers need not be whole.
#
# `w` and `x` stay as they are. Raise `ValueError`, with `x` or `w` in the message, when the two do not have equally many
# columns.
#
# Example: for `w = [[1, -2], [0, 4]]` and `x = [[3, 0.5], [4, 0]]` the scores are `[[5, 1], [0, 2]]`.


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

from course import cases, expect
from course.check import passed

expect.array(
    wanda_scores(np.array([[1.0, -2.0], [0.0, 4.0]]), np.array([[3.0, 0.5], [4.0, 0.0]])),
    [[5.0, 1.0], [0.0, 2.0]],
    "wanda_scores([[1, -2], [0, 4]], [[3, 0.5], [4, 0]])",
    1e-6,
    traps=[
        ("the score is of the weight's magnitude", [[5.0, -1.0], [0.0, 2.0]]),
        ("take the root of the sum of squares", [[25.0, 0.5], [0.0, 1.0]]),
        ("the norm is the root of the sum of squares, not the sum of magnitudes", [[7.0, 1.0], [0.0, 2.0]]),
    ],
)
expect.array(
    wanda_scores(np.array([[1, -2, 3]]), np.array([[1, 0, 2], [1, 0, 0], [0, 3, 0], [0, 0, -1]])),
    [[2**0.5, 6.0, 3 * 5**0.5]],
    "wanda_scores([[1, -2, 3]], [[1, 0, 2], [1, 0, 0], [0, 3, 0], [0, 0, -1]])",
    1e-6,
    1e-6,
    traps=[
        ("scores of whole numbers need not be whole", [[1.0, 6.0, 6.0]]),
        ("the norm is no mean over the samples", [[0.5**0.5, 3.0, 1.5 * 5**0.5]]),
    ],
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
for name, w in cases.forms([[1, -2, 90], [5, 0, -7]]):
    if name.startswith("in "):
        scores = wanda_scores(w, np.array([[0.5, 1.25, 0.0], [0.25, -0.75, 3.0]]))
        wanted = np.abs([[1, -2, 90], [5, 0, -7]]) * [0.3125**0.5, 2.125**0.5, 3.0]
        expect.array(scores, wanted, f"wanda_scores of whole weights ({name})", 1e-12, 2e-3 if "16" in name else 1e-5)
for name, x in cases.forms([[1, -2, 0], [5, 0, 0], [2, 3, 0]]):
    if name.startswith("in "):
        scores, wanted = wanda_scores(np.array([[0.5, -1.5, 2.0]]), x), [[0.5 * 30**0.5, 1.5 * 13**0.5, 0.0]]
        expect.array(scores, wanted, f"wanda_scores with whole inputs ({name})", 1e-12, 2e-3 if "16" in name else 1e-5)
w, x = rng.normal(0, 1, (2, 3)), rng.normal(0, 1, (1500, 3))
for size in (1e-6, 1.0, 1e6):
    wanted = torch.from_numpy(w).abs() * torch.linalg.vector_norm(torch.from_numpy(x * size), dim=0)
    expect.array(wanda_scores(w, x * size), wanted.numpy(), f"with 1500 inputs of about {size:g}: the score", 0, 1e-5)
for shape in [(7, 3), (4, 7), (5, 1)]:
    expect.refuses(
        wanda_scores, np.ones((3, 4)), np.ones(shape), naming="x or w", of=f"w of shape (3, 4) and x of shape {shape}"
    )
### END HIDDEN TESTS

# %% [markdown]
# ### See it: TinyGPT pruned
#
# TinyGPT predicts the next byte of Python source. Its quality is bits per byte on files that it was not trained on: 8 is
# blind guessing, and lower is better. The cell below records what each layer receives on a little training text.
#
# Wanda differs from magnitude pruning in *two* ways: the score, and where weights compete. Magnitude pruning compares
# all weights of a matrix. Wanda compares the weights of one row, so that every output loses half of its inputs. That makes
# four combinations, and you should measure all four before you say which part helps.


# %%
def layer_inputs(seed, samples=2 if GRADING else 32):
    """{layer's name: what it receives (samples, inputs)} on random windows of the training text."""
    model, seen = tinygpt.tiny_gpt(), {}
    for name, layer in tinygpt.linears(model).items():
        layer.register_forward_pre_hook(lambda layer, given, name=name: seen.update({name: given[0]}))
    with torch.no_grad():
        model(tinygpt.windows(tinygpt.training_text(), samples, seed)[:, :-1])
    return {name: given.flatten(0, -2).numpy() for name, given in seen.items()}


def quality_with(change):
    """Bits per byte of TinyGPT when each weight matrix w is replaced by change(name, w)."""
    model = tinygpt.tiny_gpt()
    with torch.no_grad():
        for name, layer in tinygpt.linears(model).items():
            layer.weight.copy_(torch.as_tensor(np.asarray(change(name, layer.weight.numpy().copy()))))
    return tinygpt.bits_per_byte(model, windows=2 if GRADING else 32)


def quality(choose):
    """Bits per byte of TinyGPT when each weight matrix is multiplied by the mask choose(name, w)."""
    return quality_with(lambda name, w: w * np.asarray(choose(name, w)))


samples_of_text = [layer_inputs(seed) for seed in seeds]
received = samples_of_text[0]
by_magnitude = lambda name, w, inputs: np.abs(w)
by_wanda = lambda name, w, inputs: np.asarray(wanda_scores(w, inputs[name]))
in_matrix = kept
in_rows = lambda scores, share: np.stack([kept(row, share) for row in scores])

# %% [markdown]
# First, what the score promises. Each layer's output is computed with all weights and with half of them, on the inputs it
# received. The error is the sum of squares of the difference, as a share of the output's own sum of squares.


# %%
def output_error(name, w, keep):
    whole = received[name] @ w.T
    return np.square(received[name] @ (w * keep).T - whole).sum() / np.square(whole).sum()


layers = {name: layer.weight.detach().numpy() for name, layer in tinygpt.linears(gpt).items()}
errors = {
    name: [output_error(name, w, in_rows(score(name, w, received), 0.5)) for score in (by_magnitude, by_wanda)]
    for name, w in layers.items()
}
closer = sum(wanda < magnitude for magnitude, wanda in errors.values())
print(f"Wanda's score leaves the smaller error in {closer} of {len(errors)} layers")
for name, both in sorted(errors.items(), key=lambda item: -item[1][0])[:5]:
    print(f"{name:24} magnitude {both[0]:6.1%}, Wanda {both[1]:6.1%} of the output")

# %% [markdown]
# It keeps its promise in every layer. So the whole model must be better as well? Guess, then run the next cell. Wanda's
# scores depend on the text they are computed from, so there are three samples of it: each number is the mean, with the
# lowest and the highest in brackets.

# %%
ways = {
    "magnitude, in the matrix": (by_magnitude, in_matrix),
    "magnitude, in each row": (by_magnitude, in_rows),
    "Wanda's score, in the matrix": (by_wanda, in_matrix),
    "Wanda's score, in each row": (by_wanda, in_rows),
}
shares = [0.3, 0.5] if GRADING else [0.3, 0.5, 0.6]
dense_quality = quality(lambda name, w: 1)


def on_each_sample(score, keep, samples=samples_of_text):
    """The quality with the mask keep(layer's name, scores), for each sample of text; magnitude needs no sample."""
    samples = samples[:1] if score is by_magnitude else samples
    return [quality(lambda name, w: keep(name, score(name, w, inputs))) for inputs in samples]


def spread(values):
    return f"{np.mean(values):.3f}" + (f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else "")


curves = {name: [] for name in ways}
for share in tqdm(shares, "TinyGPT", leave=False, disable=GRADING):
    for name, (score, compete) in ways.items():
        curves[name].append(on_each_sample(score, lambda layer, scores: compete(scores, share)))
print(f"bits per byte; not pruned: {dense_quality:.3f}")
for share, *row in zip(shares, *curves.values()):
    for name, values in zip(curves, row):
        print(f"{share:4.0%}  {name:30} {spread(values)}")
two_of_four = {}
for name, score in (("magnitude, 2:4", by_magnitude), ("Wanda's score, 2:4", by_wanda)):
    two_of_four[name] = on_each_sample(score, lambda layer, scores: mask_2_4(scores))
    print(f" 50%  {name:30} {spread(two_of_four[name])}")
draw.bits_per_byte(shares, curves, dense_quality)

# %% [markdown]
# At 30 % Wanda's score gives the better model, whether weights compete in the matrix or in their row. Further up the lead
# melts, first in the rows, where it is gone by 50 %. At 60 % the score has fallen behind, although each layer by itself
# keeps its output closer.
#
# The pattern 2:4 prunes half of the weights as well, and costs far more than half in each row: two of *every* four must go,
# even where all four matter. Which score is better there the three samples do not tell. Mishra et al. (2021) do not stop at
# this point: they train the network again with the mask on, as you did with the digits.
#
# One more measurement before you explain anything: prune one kind of layer at a time, all others whole. Two samples of text
# are enough here.

# %%
kinds = dict.fromkeys(name.split(".", 2)[2] for name in layers)
print("half of one kind of layer, in each row:")
for kind in tqdm(kinds, "layers", leave=False, disable=GRADING):
    only = lambda name, scores: in_rows(scores, 0.5) if name.endswith(kind) else 1
    print(f"{kind:14} magnitude {spread(on_each_sample(by_magnitude, only))}", end=", ")
    print(f"Wanda {spread(on_each_sample(by_wanda, only, samples_of_text[:2]))}")

# %% [markdown]
# The score clearly helps where the attention's values and outputs are pruned. For the other kinds the two are next to equal,
# or no further apart than the samples. Half of `mlp.up` alone costs more than half of any other kind, with either score; the
# layer with the largest error in your list is one of these. An error in one layer becomes the next layer's input. While
# errors are small, a smaller one in each layer means a better model. Once they are large, it need not.
#
# So a layer's own error is a stand-in for what you want. Measure what you want. And compare like with like: rows or the
# whole matrix is a second choice, independent of the score. The paper finds rows better for large language models and no
# better for image classifiers. Here they are worse with either score.
#
# Wanda was made for larger models. From 6.7 billion parameters on, a few inputs are up to twenty times as large as the
# others (Dettmers et al. 2022), and on such models Sun et al. (2023) report it far ahead at 50 %. Here is how uneven
# TinyGPT's inputs are. (The paper also records the inputs again after each pruned block. Here they come from the dense
# model.)

# %%
for kind in kinds:
    norms = [np.linalg.norm(given, axis=0) for name, given in received.items() if name.endswith(kind)]
    print(f"{kind:14} largest input norm over the median:", ", ".join(f"{n.max() / np.median(n):.1f}" for n in norms))

# %% [markdown]
# ## 9. Going further
#
# Nothing after this section needs it, so you may skip it. Its lab begins on its own. Its experiments put your function beside
# those of Exercise 4.5 and Lab L4.9, on the text and with the numbers of section 8.
#
# Every pruner so far leaves the weights that stay as they were. But inputs rise and fall together, and where two of them do,
# the weight of one can take over what the weight of the other did. Here is one neuron with four weights. Its first two
# inputs are nearly the same. How far does its output move when one weight goes, first with the others as they are, then
# with the others set by least squares to make up for it?

# %%
four_weights = np.array([3.0, 4.0, -2.0, 1.0])
five_samples = np.array([[2.0, 2, 0, 0], [2, 2, 0, 0], [1, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]])
for j in range(4):
    lost = four_weights[j] * five_samples[:, j]
    rest = np.delete(five_samples, j, axis=1)
    made_up = rest @ np.linalg.lstsq(rest, lost, rcond=None)[0]
    print(f"without w[{j}] = {four_weights[j]:4.0f}: Wanda's score {np.linalg.norm(lost):5.2f}, squared error", end=" ")
    print(f"{np.sum(lost**2):5.1f}, or {np.sum((lost - made_up) ** 2):4.1f} when the others make up for it")

# %% [markdown]
# Magnitude and Wanda's score both take the last two weights. But once the others may move, the first weight costs less than
# the third, although it is larger and so is its input.
#
# *SparseGPT* (Frantar and Alistarh 2023) prunes and makes up for it in one pass over the columns. For one row $w$, pruned to
# $\hat w$, and inputs $X$ of shape (samples, in), the squared error of the output is
#
# $$\lVert X w - X \hat w \rVert^2 = \tfrac12\, (w - \hat w)^\top H\, (w - \hat w), \qquad H = 2 X^\top X .$$
#
# Let weight $j$ go, and let only the weights after it change. With the upper triangular $U$ for which $U^\top U = H^{-1}$,
# the best change and the error that it leaves are (Hassibi and Stork 1993)
#
# $$w_k \leftarrow w_k - \frac{w_j}{U_{jj}}\, U_{jk} \quad (k > j), \qquad \frac{w_j^2}{2\, U_{jj}^2} .$$
#
# The first formula makes up for a weight, the second one is the score that chooses it. Lab L2.10 rounds with the same
# factor: GPTQ moves a weight to its nearest level, SparseGPT to 0. One $U$ serves all rows, because $H$ holds the inputs
# alone. It is the Cholesky factor of $H^{-1}$; `np.linalg.cholesky` gives the lower triangular one, its transpose.
#
# ### Lab L4.10 · Build · 5 points
#
# Write `sparsegpt(w, x, sparsity, block=128, damp=0.01)`. `w` is an array of shape (out, in), `x` one of shape (samples, in);
# return the pruned weights, of shape (out, in).
#
# 1. Where an input is 0 in every sample, its weights change nothing: set them to 0, whatever the sparsity.
# 2. $H = 2 X^\top X$, with a 1 on the diagonal for each of those inputs. Then take the mean of the diagonal, those ones
#    included, and add `damp` times it to the whole diagonal, so that $H$ can be inverted.
# 3. $U$, upper triangular, with $U^\top U = H^{-1}$.
# 4. Go through the columns in blocks of `block`; the last one may be narrower. When a block's turn comes, each row chooses
#    for itself which of its weights in the block go: those with the smallest $(w_j / U_{jj})^2$, with the weights as they
#    are by then. How many is `sparsity` times the columns in the block, rounded to the nearest whole number.
# 5. Then take the columns $j$ of the block in order. In the rows where weight $j$ goes, change the weights of *all* columns
#    after $j$, those of later blocks too, and set weight $j$ to 0. All rows can be treated at once.
#
# `sparsegpt(w, x, 0.5, block=4)` is the pattern 2:4. (In the paper all rows of a block compete, and 2:4 is a rule of its own.
# Here each row loses the same share, and one rule does for both.)
#
# Nothing hangs on equal scores or on halves when you round: the tests have neither, except zeros among themselves. Compute
# in float64, whatever the types of `w` and `x`. Both stay as they are. Raise `ValueError`, naming the argument, when `w` or
# `x` is not two-dimensional, when `x` has another number of inputs than `w`, when `sparsity` is below 0 or above 1, `block`
# below 1, or `damp` negative. TinyGPT's matrices have up to 512 rows and 512 columns: loop over the columns only.
#
# Example: with the weights and samples above, `sparsegpt(w, x, 0.5, 4, 0)` of the row `[3, 4, -2, 1]` is `[0, 7, -2, 0]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L4_10", "grade": false, "locked": false, "solution": true, "task": false}
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    """Return w (out, in) with zeros, the rest changed to make up for them on x (samples, in) (Frantar, Alistarh 2023)."""
    ### BEGIN SOLUTION
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError(f"w must be two-dimensional, got shape {w.shape}")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(f"x must have shape (samples, {w.shape[1]}), got {x.shape}")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity must be from 0 to 1, got {sparsity}")
    if block < 1:
        raise ValueError(f"block must be at least 1, got {block}")
    if damp < 0:
        raise ValueError(f"damp must not be negative, got {damp}")
    hessian = 2 * x.T @ x
    diagonal = np.diag_indices(len(hessian))
    silent = hessian[diagonal] == 0
    w[:, silent] = 0
    hessian[diagonal] += silent
    hessian[diagonal] += damp * hessian[diagonal].mean()
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T

    columns = w.shape[1]
    for start in range(0, columns, block):
        end = min(start + block, columns)
        scores = (w[:, start:end] / upper.diagonal()[start:end]) ** 2
        smallest = np.argsort(scores, axis=1)[:, : round(sparsity * (end - start))]
        goes = np.zeros(scores.shape, dtype=bool)
        np.put_along_axis(goes, smallest, True, axis=1)
        for j in range(start, end):
            gone = np.where(goes[:, j - start], w[:, j], 0) / upper[j, j]
            w[:, j + 1 :] -= np.outer(gone, upper[j, j + 1 :])
            w[goes[:, j - start], j] = 0
    return w
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L4_10", "grade": true, "locked": true, "solution": false, "task": false, "points": 5}
import numpy as np

from course import expect
from course.check import passed

w = np.array([[3.0, 4.0, -2.0, 1.0]])
x = np.array([[2.0, 2, 0, 0], [2, 2, 0, 0], [1, 0, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]])
traps = [
    ("the score is (w_j / U_jj)^2, which is small where a later weight can take over", [[3.0, 4.0, 0.0, 0.0]]),
    ("the weights after it have to make up for what goes", [[0.0, 4.0, -2.0, 0.0]]),
    ("the weights after it have to make up for what goes: mind the sign", [[0.0, 1.0, -2.0, 0.0]]),
    ("those with the smallest scores go, not the largest", [[3.0, 0.0, 0.0, 1.0]]),
]
expect.array(sparsegpt(w, x, 0.5, 4, 0), [[0.0, 7.0, -2.0, 0.0]], "the example", 1e-6, traps=traps)
w = np.array([[1.0, 5.0, 1.0, 1.5], [0.25, 0.5, 3.0, 0.25]])
x = np.array([[2.0, 0, 2, 0], [2, 0, 2, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 3]])
traps = [
    ("a block chooses when its turn comes, from the weights as they are by then", [[0, 5, 0, 1.5], [0, 0.5, 3.25, 0]]),
    ("each block of two columns loses its share", [[0, 5, 0, 1.5], [0, 0, 3.25, 0.25]]),
    ("each row chooses for itself", [[1, 5, 0, 1.5], [0, 0, 3.25, 0]]),
    ("what goes is made up for in later blocks, too", [[0, 5, 0, 1.5], [0, 0.5, 3, 0]]),
]
of = f"sparsegpt({w.tolist()}, {x.tolist()}, 0.5, 2, 0)"
expect.array(sparsegpt(w, x, 0.5, 2, 0), [[0.0, 5.0, 2.0, 0.0], [0.0, 0.5, 3.25, 0.0]], of, 1e-6, traps=traps)
traps = [
    ("damp is to be multiplied by the mean of the diagonal of H", [[0.0, 3 + 10 / 10.01]]),
    ("add damp times the mean of the diagonal of H, which is 0.1 here", [[0.0, 4.0]]),
]
of = "sparsegpt([[1.0, 3.0]], [[1.0, 1.0], [2.0, 2.0]], 0.5), two equal inputs,"
twins = sparsegpt(np.array([[1.0, 3.0]]), np.array([[1.0, 1.0], [2.0, 2.0]]), 0.5)
expect.array(twins, [[0.0, 3 + 10 / 10.1]], of, 1e-5, traps=traps)
passed("L4.10")
### BEGIN HIDDEN TESTS
from course import cases


def by_least_squares(w, x, sparsity, block, damp):
    """The same method without H, U or an inverse: each input is fitted with those after it."""
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    silent = np.array([not any(column) for column in x.T.tolist()])
    w[:, silent] = 0
    ridge = damp * np.mean(2 * np.sum(x**2, axis=0) + silent)
    rows = np.vstack([2**0.5 * x, ridge**0.5 * np.eye(len(silent)), np.diag(silent.astype(float))])
    for start in range(0, len(silent), block):
        columns = range(len(silent))[start : start + block]
        take_over, cost = {}, {}
        for j in columns:
            take_over[j] = np.linalg.lstsq(rows[:, j + 1 :], rows[:, j], rcond=None)[0]
            cost[j] = np.sum((rows[:, j] - rows[:, j + 1 :] @ take_over[j]) ** 2)
        for row in w:
            go = sorted(columns, key=lambda j: row[j] ** 2 * cost[j])[: round(sparsity * len(columns))]
            for j in sorted(go):
                row[j + 1 :] += row[j] * take_over[j]
                row[j] = 0
    return w


def inputs(rng, samples, n):
    """Inputs that rise and fall together."""
    return rng.normal(size=(samples, 3)) @ rng.normal(size=(3, n)) + 0.5 * rng.normal(size=(samples, n))


rng = np.random.default_rng(410)
for out, n, samples, sparsity, block, damp in [
    *((3, 12, 100, 0.5, 128, 0.01), (5, 8, 40, 0.25, 128, 0.01), (2, 16, 60, 0.5, 4, 0.01), (4, 12, 60, 0.75, 4, 0.0)),
    *((4, 10, 60, 0.5, 4, 0.1), (4, 9, 80, 0.7, 3, 1.0), (6, 8, 5, 0.5, 8, 0.1), (3, 14, 50, 0.33, 5, 0.01)),
    *((1, 7, 30, 0.9, 7, 0.05), (4, 6, 30, 0.5, 2, 0.01), (3, 13, 40, 0.35, 8, 0.01), (2, 6, 30, 0.3, 6, 0.01)),
]:
    w, x = rng.normal(0, 0.1, (out, n)), inputs(rng, samples, n)
    before = w.copy(), x.copy()
    of = f"sparsegpt of w of shape {w.shape}, x of shape {x.shape}, sparsity = {sparsity}, block = {block}, damp = {damp}"
    returned, wanted = sparsegpt(w, x, sparsity, block, damp), by_least_squares(*before, sparsity, block, damp)
    expect.unchanged(w, before[0], "w")
    expect.unchanged(x, before[1], "x")
    assert returned is not None, f"{of} returned nothing: an array expected"
    zeros, should = (np.asarray(part).size - np.count_nonzero(np.asarray(part)) for part in (returned, wanted))
    assert zeros == should, f"{of} should have {should} zeros, it has {zeros}"
    expect.array(returned, wanted, of, 1e-5)
w, x = rng.normal(0, 0.1, (4, 12)), inputs(rng, 50, 12)
expect.array(sparsegpt(w, x, 0.5), by_least_squares(w, x, 0.5, 128, 0.01), "sparsegpt(w, x, 0.5)", 1e-5)
of = "sparsegpt(w, x, 0.5, block=4)"
expect.array(sparsegpt(w, x, 0.5, block=4), by_least_squares(w, x, 0.5, 4, 0.01), of, 1e-5)
expect.array(sparsegpt(w, x, 0), w, "sparsegpt at sparsity 0", 1e-6)
expect.array(sparsegpt(w, x, 1), 0 * w, "sparsegpt at sparsity 1")
wide, many = rng.normal(0, 0.1, (2, 132)), inputs(rng, 50, 132)
of = "sparsegpt of 132 columns at sparsity 0.5, with block left at 128,"
expect.array(sparsegpt(wide, many, 0.5), by_least_squares(wide, many, 0.5, 128, 0.01), of, 1e-5)
for damp in (0, 0.01):
    w, x = rng.normal(0, 0.1, (5, 10)), inputs(rng, 40, 10)
    x[:, [2, 3, 7]] = 0
    for sparsity, block in ((0.6, 128), (0.3, 4), (0, 3)):
        of = f"sparsegpt of 5 x 10 weights, three inputs always 0, sparsity = {sparsity}, block = {block}, damp = {damp},"
        expect.array(sparsegpt(w, x, sparsity, block, damp), by_least_squares(w, x, sparsity, block, damp), of, 1e-5)
of = "sparsegpt with inputs near 1e-4, so that the ones of inputs that are always 0 make up the mean,"
expect.array(sparsegpt(w, 1e-4 * x, 0.6), by_least_squares(w, 1e-4 * x, 0.6, 128, 0.01), of, 1e-5)
for size in (1.0, 1000.0):
    w, x = rng.normal(0, 0.1, (6, 8)), size * (rng.normal(size=(40, 1)) + 1e-2 * rng.normal(size=(40, 8)))
    of = f"sparsegpt of 6 x 8 weights with nearly equal inputs of size {size:g}, damp = 1e-8,"
    expect.array(sparsegpt(w, x, 0.5, 8, 1e-8), by_least_squares(w, x, 0.5, 8, 1e-8), of, 1e-5)
whole = [[7, -3, 4, 1, 0], [2, 9, -8, 5, 1]]
x = np.array([[3, 1, 2, 0, 9], [1, 9, 2, 1, -7], [0, 2, -8, 5, 3], [4, -4, 1, 9, 2], [9, 5, 0, 1, 6], [2, 7, 7, -9, 8]])
wanted = by_least_squares(whole, x, 0.6, 5, 0.01)
for name, w in cases.forms(whole):
    expect.array(sparsegpt(w, x.astype(np.int8), 0.6), wanted, f"sparsegpt of weights {name} and inputs in int8", 1e-5)

for sparsity, block in ((0.5, 32), (0.5, 4), (0.75, 32)):
    w, x = rng.normal(0, 0.1, (16, 32)), inputs(rng, 200, 32)
    w[3] = 0
    of = f"sparsegpt of 16 x 32 weights at sparsity {sparsity}, block = {block}, damp = 0"
    returned = np.asarray(sparsegpt(w, x, sparsity, block, 0), dtype=float)
    assert returned.shape == w.shape, f"{of} should have shape {w.shape}, it has {returned.shape}"
    best = np.zeros(w.shape)  # on the same mask: no weights there do better
    for i, stay in enumerate(returned != 0):
        best[i, stay] = np.linalg.lstsq(x[:, stay], x @ w[i], rcond=None)[0]
    least, mine, bare = (np.sum((x @ (w - part).T) ** 2) for part in (best, returned, w * (returned != 0)))
    assert least <= mine * (1 + 1e-9), f"{of}: an error below that of least squares on the same mask"
    assert mine < 0.6 * bare, f"{of}: its output error is {mine / bare:.2f} times that of zeros nothing makes up for"
w, x = np.ones((2, 4)), np.eye(4)
for shape in ((4,), (1, 2, 4), ()):
    expect.refuses(sparsegpt, np.ones(shape), x, 0.5, naming="w", of=f"weights of shape {shape}")
for shape in ((4,), (1, 4, 4), ()):
    expect.refuses(sparsegpt, w, np.ones(shape), 0.5, naming="x", of=f"inputs of shape {shape}")
for shape in ((3, 3), (4, 1), (4, 2), (1, 5), (4, 8)):
    expect.refuses(sparsegpt, w, np.ones(shape), 0.5, naming="w or x", of=f"w of shape (2, 4) and x of shape {shape}")
for _, value in cases.not_between(0, 1):
    expect.refuses(sparsegpt, w, x, value, naming="sparsity", of=f"sparsity = {value}")
for name, block, damp in (("block", 0, 0.1), ("block", -4, 0.1), ("damp", 4, -0.1), ("damp", 4, -1e-6)):
    expect.refuses(sparsegpt, w, x, 0.5, block, damp, naming=name, of=f"{name} = {block if name == 'block' else damp}")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: what is left of a layer's output
#
# The layer `up` of TinyGPT's first block, pruned in three ways, each row for itself. The pruners get 1024 inputs of the layer.
# What you see is measured on 1024 others. On the left is the error of the output, as a share of its sum of squares. On the
# right are 400 of the outputs after pruning against before: on the dashed line nothing has changed.
#
# - How much sparsity does SparseGPT give you at the error that the others have at 20 %?
# - Zeros alone, all weights gone, would have an error of 100 %. Which methods do worse than that, and from where on?
# - At 90 %, which outputs does SparseGPT still get right?

# %%
dense_weights = {name: layer.weight.detach().numpy() for name, layer in tinygpt.linears(tinygpt.tiny_gpt()).items()}
pruners = {
    "magnitude": lambda w, x, share: w * in_rows(np.abs(w), share),
    "Wanda's score": lambda w, x, share: w * in_rows(np.asarray(wanda_scores(w, x)), share),
    "SparseGPT": lambda w, x, share: sparsegpt(w, x, share),
}
up = "blocks.0.mlp.up"
seen, unseen = samples_of_text[0][up][:1024], samples_of_text[-1][up][-1024:]
draw.outputs(pruners, dense_weights[up], seen, unseen, [0.3, 0.5] if GRADING else [i / 10 for i in range(1, 10)])

# %% [markdown]
# How much of that is the choice of the zeros, and how much the change of the rest? And is the rest as good as it can be?
# SparseGPT lets only the weights *after* a zero make up for it. The best weights with given zeros come from least squares, one
# system of equations for each row. Here are all the combinations at 50 %, on the inputs that the pruners got.

# %%
w, products = dense_weights[up], seen.T.astype(float) @ seen


def best_on(mask):
    """The weights with the least error where mask is True, and 0 elsewhere."""
    best = np.zeros(mask.shape)
    for row, target, stays in zip(best, w @ products, mask):
        row[stays] = np.linalg.solve(products[stays][:, stays], target[stays])
    return best


sparse = np.asarray(sparsegpt(w, seen, 0.5))
by_mask = {"magnitude": in_rows(np.abs(w), 0.5), "Wanda's score": in_rows(np.asarray(wanda_scores(w, seen)), 0.5)}
by_mask["SparseGPT"] = sparse != 0
share_lost = lambda change: np.square(seen @ (w - change).T).sum() / np.square(seen @ w.T).sum()
for name, mask in by_mask.items():
    print(f"zeros of {name:13}: {share_lost(w * mask):6.1%} of the output lost with the rest as it was,", end=" ")
    print(f"{share_lost(best_on(mask)):5.1%} with the best rest")
print(f"SparseGPT as it is    : {share_lost(sparse):6.1%}")

# %% [markdown]
# With the rest as it was, SparseGPT's zeros are no better than those of magnitude. Nearly all of the gain is the change of the
# rest, and with the best rest all three choices do well. So in this layer it matters less which weights go than that the
# others make up for them. Least squares gets further than SparseGPT, because all weights of a row may change, those before a
# zero too. Its price is a system of equations for each row. SparseGPT has one factorisation for all rows.
#
# Now the whole model: half of each row, and 2:4, on the first half of each of the three samples of text from section 8.

# %%
not_pruned, chosen = quality_with(lambda name, w: w), [up] if GRADING else list(dense_weights)
for way, block in tqdm({"half of each row": 128, "2:4": 4}.items(), "SparseGPT", leave=False, disable=GRADING):
    pruned = lambda inputs: lambda name, w: sparsegpt(w, inputs[name][:2048], 0.5, block) if name in chosen else w
    of_lab_4_10[way] = {"SparseGPT": [quality_with(pruned(inputs)) - not_pruned for inputs in samples_of_text]}
    tqdm.write(f"{way}: {', '.join(f'{more:+.3f}' for more in of_lab_4_10[way]['SparseGPT'])} bits per byte")

# %% [markdown]
# Beside it what section 8 found for the other two:

# %%
for score in ("magnitude", "Wanda's score"):
    half = dict(zip(shares, curves[f"{score}, in each row"])).get(0.5, [])
    for way, values in (("half of each row", half), ("2:4", two_of_four.get(f"{score}, 2:4", []))):
        if values and way in of_lab_4_10:
            of_lab_4_10[way][score] = [value - not_pruned for value in values]
for way, found in of_lab_4_10.items():
    print(way, *(f"{name} {np.mean(more):+.2f} ({min(more):+.2f} to {max(more):+.2f})" for name, more in found.items()),
          sep="   ")  # fmt: skip
if not of_lab_4_10:
    print("nothing yet: the cell above waits for your sparsegpt")

# %% [markdown]
# SparseGPT costs a small part of what the other two cost. Even its 2:4 costs less than half of what a free choice in each row
# costs without it. As with Wanda's score, 2:4 is the dearer way to lose half of the weights.
#
# Here the inputs come from the dense model. The paper takes them from the model as it is pruned so far, block after block. For
# OPT-175B and BLOOM-176B it reports 60 % sparsity with next to no rise in perplexity. On large language models Sun et al.
# (2023) find Wanda's score competitive with methods that change the weights. At TinyGPT's size it is not.
#
# And who uses 2:4? The units for it are in NVIDIA's GPUs since Ampere, and kernels have been written for it. But in 2026 vLLM
# took its support for such models out, since few people used them, and torchao its whole package for sparsity, for the same
# reason. 2:4 makes a file less than twice as small (section 7). Codes of 4 bits make it almost four times as small, and
# Chapter 2 measures what they cost.
#
# ### Read, not built: pruning experts
#
# The largest language models are *mixtures of experts*: each block has many MLPs, the experts, and a router that sends each
# token to a few of them. All of them take memory, few of them compute. So a whole expert is a structure that you can take
# out as you took out neurons in section 6: what is left is dense, smaller, and no slower. Lu et al. (2024) remove experts of
# Mixtral 8x7B after training, those without which a layer's output changes least on calibration text. Lasby et al. (2025)
# score an expert by the router's weight and the size of its output. With half of their experts gone, Qwen3-Coder-480B and
# Kimi-K2 write code next to as well as before, they report, and pruning experts beats merging them. TinyGPT has no experts,
# so there is nothing to measure here.

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
    values = ", ".join(f"{name} {np.mean(curves[name][shares.index(share)]):.2f}" for name in list(ways)[1::2])
    print(f"TinyGPT at {share:.0%}: {values}, dense {dense_quality:.2f} bits per byte")

# %% [markdown]
# And from section 9, if you went there:

# %%
for way, found in of_lab_4_10.items():
    print(
        f"TinyGPT, {way}:", ", ".join(f"{name} {np.mean(more):+.2f}" for name, more in found.items()), "bits per byte"
    )

# %% [markdown]
# - Most of the small weights can go before the accuracy falls. A little training wins back much of what is lost after that.
# - A dense routine does not see zeros. Take rows out, or use a format and hardware made for the zeros.
# - A scattered zero saves its operation and makes all the others more expensive. You know this machine's crossover.
# - 25 % less work is at best 1.33 times the speed, because 1 / 0.75 is 1.33.
# - A weight matters as much as the input it is multiplied with. A score that keeps each layer's output is a good guide
#   while the errors are small, and no proof that the whole model is better.
# - Weights that stay can make up for those that go. In a layer that pays more than the choice of the zeros.
# - Before you say that one method beats another, give both the same training and look at the spread.
#
# Which weights stay is one question. Which values they should start from is the next one, in Chapter 5.
#
# ### Sources
#
# - S. Han, J. Pool, J. Tran, W. J. Dally, Learning both Weights and Connections for Efficient Neural Networks, 2015,
#   arXiv:1506.02626: magnitude pruning with training afterwards.
# - Z. Liu, M. Sun, T. Zhou, G. Huang, T. Darrell, Rethinking the Value of Network Pruning, 2019, arXiv:1810.05270:
#   pruned networks trained from a random start.
# - T. Gale, M. Zaharia, C. Young, E. Elsen, Sparse GPU Kernels for Deep Learning, 2020, arXiv:2006.10901.
# - A. Mishra et al., Accelerating Sparse Deep Neural Networks, 2021, arXiv:2104.08378: the 2:4 pattern.
# - T. Hoefler, D. Alistarh, T. Ben-Nun, N. Dryden, A. Peste, Sparsity in Deep Learning: Pruning and growth for efficient
#   inference and training in neural networks, 2021, arXiv:2102.00554: a survey.
# - T. Dettmers, M. Lewis, Y. Belkada, L. Zettlemoyer, LLM.int8(): 8-bit Matrix Multiplication for Transformers at Scale,
#   2022, arXiv:2208.07339: the large inputs of large models.
# - M. Sun, Z. Liu, A. Bair, J. Z. Kolter, A Simple and Effective Pruning Approach for Large Language Models, 2023,
#   arXiv:2306.11695: Wanda.
# - E. Frantar, D. Alistarh, SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot, 2023, arXiv:2301.00774.
# - B. Hassibi, D. Stork, Second order derivatives for network pruning: Optimal Brain Surgeon, NIPS 5, 1993: the best change.
# - vLLM, pull request 36799, 2026, and torchao, pull request 4728, 2026, both on GitHub: the end of 2:4 in the two.
# - X. Lu et al., Not All Experts are Equal: Efficient Expert Pruning and Skipping for Mixture-of-Experts Large Language
#   Models, 2024, arXiv:2402.14800.
# - M. Lasby, I. Lazarevich, N. Sinnadurai, S. Lie, Y. Ioannou, V. Thangarasa, REAP the Experts: Why Pruning Prevails for
#   One-Shot MoE Compression, 2025, arXiv:2510.13999.
