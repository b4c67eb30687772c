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
# # Chapter 7 · Low rank and LoRA
#
# One matrix of a large language model is 4096 x 4096. That is 16.8 million numbers. How many does it need?
#
# The question has two sides. You can ask it of the matrix itself: how few numbers store it? And you can ask it of a
# change: the model is to learn a new kind of text, so how few numbers must you train? The answers differ, and by the end
# of this chapter you will have measured both on the same model.
#
# How to work: read, answer in the cell marked *your code here*, run the cell below it. It answers at once. What holds for
# every exercise, such as types and bad input, stands once in Chapter 0.
#
# Time: 1 to 2 hours for the core, 2 to 5 more for the labs. You need matrix products,
# in the labs PyTorch's modules, and for Lab L7.10 Chapter 1.

# %% nbgrader={"schema_version": 3, "grade_id": "setup", "grade": false, "locked": true, "solution": false, "task": false} tags=["setup"]
from course import ready

ready(7)

# %%
import copy

import numpy as np
import torch
from torch.nn import functional
from tqdm.auto import tqdm

from course import GRADING, timing, tinygpt
from course.figures import Predict
from course.figures import low_rank as draw

torch.set_num_threads(1)  # networks this small run faster on one core

# %% [markdown]
# ## 1. Two thin matrices for a wide one
#
# A multiplication table is a full matrix, and yet two short lists hold all of it:

# %%
print(f"4096 x 4096 is {4096**2 / 1e6:.1f} million numbers, {4096**2 * 2 / 1e6:.1f} MB in FP16")
column, row = np.arange(1, 513).reshape(-1, 1), np.arange(1, 513).reshape(1, -1)
table = np.array([[i * j for j in range(1, 513)] for i in range(1, 513)])
print(f"table: {table.size:,} numbers; column and row: {column.size + row.size:,}")
print("largest error of column @ row:", np.abs(table - column @ row).max())

# %% [markdown]
# One column times one row is a matrix of *rank* 1. The sum of $r$ such products has rank $r$ at most, and you can write
# the sum as one product of two thin matrices:
#
# $$\underbrace{W}_{m \times n} \approx \underbrace{U}_{m \times r}\, \underbrace{V}_{r \times n} .$$
#
# Storing $U$ and $V$ instead of $W$ pays as long as they hold fewer numbers. The rank at which both hold the same is the
# *break-even rank*.

# %% [markdown]
# ### Exercise 7.1 · Derive · 1 point
#
# What is the break-even rank of a 4096 x 4096 matrix?
#
# Give a number, to within 1 %. For comparison: for a 1000 x 250 matrix it is 200.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_7_1", "grade": false, "locked": false, "solution": true, "task": false}
ex_7_1 = None
### BEGIN SOLUTION
# hint: Count the numbers in U and in V at rank r, and set their sum equal to the numbers in W.
ex_7_1 = 4096 * 4096 / (4096 + 4096)
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_7_1", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("7.1", ex_7_1)
### BEGIN HIDDEN TESTS
expect.number(
    ex_7_1,
    next(rank for rank in range(1, 4097) if rank * 4096 + 4096 * rank >= 4096**2),
    traps={
        4096: "that counts one of the two thin matrices; both are stored",
        1024: "U holds 4096 r numbers and V holds as many, not twice as many",
        64: "that is the square root of 4096; count the numbers in U and V instead",
        4096**2: "that is how many numbers W holds; the rank is asked for",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# Below that rank the two thin matrices are smaller, and multiplying by them is less work too. Above it you pay more for
# less:

# %%
for rank in [16, 512, 2048, 3000]:
    numbers = 4096 * rank + rank * 4096
    print(f"rank {rank:>4}: {numbers / 1e6:>5.2f} M numbers, {numbers / 4096**2:.2f} of the matrix")

# %% [markdown]
# ## 2. Change a matrix without touching it
#
# Now the other side. A model of 7 billion parameters is to learn the language of contracts. Full fine-tuning trains every
# number: it holds a gradient and Adam's two running averages for each, and it leaves you with a second copy of the whole
# model.

# %%
print(f"weights in FP16: {7e9 * 2 / 1e9:.0f} GB for every task you adapt to")
print(f"gradient and Adam's two averages in FP32: {7e9 * 3 * 4 / 1e9:.0f} GB while you train")

# %% [markdown]
# *LoRA*, low-rank adaptation (Hu et al., 2021), leaves the matrix $W$ as it is and learns a change of low rank beside it:
#
# $$y = W x + \frac{\alpha}{r}\, B\,(A\,x), \qquad A: r \times \text{in}, \quad B: \text{out} \times r .$$
#
# $W$ is *frozen*: no gradient, no Adam averages. Only $A$ and $B$ train. $A$ starts random and $B$ starts at zero. The
# factor $\alpha / r$ is there so that a learning rate found at one rank serves at another. It does too much: with it the
# change shrinks as $r$ grows, while $\alpha / \sqrt{r}$ would hold its size (Kalajdzievski, 2023). Section 6 measures both.
# Your code uses $\alpha / r$, as the LoRA paper does.
#
# In some code you will find $AB$, with $B$ still the factor of zeros. It is the same thing transposed, written for rows:
# $x A B$ instead of $B A x$. In this chapter it is always $B A$, with $A$ of shape $(r, \text{in})$.

# %% [markdown]
# ### Exercise 7.2 · Derive · 1 point
#
# The model has 7 B parameters and width $d = 4096$. You adapt 4 matrices of $d \times d$ in each of its 32 layers, with
# rank 16. What percentage of 7 B are the numbers that train?
#
# Give the percentage, to within 1 %. For comparison: with 2 matrices in each layer and rank 8 it is 0.0599.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_7_2", "grade": false, "locked": false, "solution": true, "task": false}
ex_7_2 = None
### BEGIN SOLUTION
# hint: How many numbers do A and B hold together, for one matrix? How many matrices are there in all layers?
ex_7_2 = 100 * (4 * 32) * (2 * 4096 * 16) / 7e9
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_7_2", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("7.2", ex_7_2)
### BEGIN HIDDEN TESTS
import torch

a, b = torch.empty(16, 4096, device="meta"), torch.empty(4096, 16, device="meta")
trains = sum(a.numel() + b.numel() for layer in range(32) for matrix in range(4))
expect.number(
    ex_7_2,
    trains / 7_000_000_000 * 100,
    traps={
        trains / 7e9: "that is the share; the percentage is asked for",
        trains / 2 / 7e9 * 100: "that counts only one of A and B",
        trains / 4 / 7e9 * 100: "that is one matrix in each layer; four are adapted",
        trains / 32 / 7e9 * 100: "that is one layer; there are 32",
        trains: "that is how many numbers train; give them in percent of 7 B",
        100 - trains / 7e9 * 100: "that is the share that stays frozen",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# All 128 adapters together, beside one of the 128 matrices:

# %%
adapters = sum(matrix.size for _ in range(4 * 32) for matrix in (np.empty((16, 4096)), np.empty((4096, 16))))
print(f"all adapters {adapters:,} numbers, one matrix {4096**2:,}; all adapters in FP16: {adapters * 2 / 1e6:.1f} MB")

# %% [markdown]
# ### Exercise 7.3 · Trace · 1 point
#
# $A$ starts random and $B$ starts at zero. Why does one factor start at zero?
#
# - **A** A factor of zeros need not be stored, so the adapter takes half of the memory that it would take otherwise.
# - **B** No gradient reaches $W$ through a zero, so the zero keeps $W$ frozen while the other factor is trained.
# - **C** $BA$ is zero, so the model starts exactly where it was; and as $A$ is not zero, $B$ can still learn.
# - **D** With two random factors the gradients of both would be zero on average, so that nothing could be learned.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_7_3", "grade": false, "locked": false, "solution": true, "task": false}
ex_7_3 = None
### BEGIN SOLUTION
# hint: What does the layer compute before the first step? The gradient of B contains A, that of A contains B.
ex_7_3 = "C"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_7_3", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("7.3", ex_7_3)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_7_3,
    "C",
    because={
        "A": "B is zero only before the first step; what you ship is the trained B",
        "B": "W is frozen because its gradient is turned off; the path from y to W does not go through B",
        "D": "two random factors learn; ask where the model then starts",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# Try all four starts on a small layer whose right answer is known: the target is $W$ plus a change of rank 2.

# %%
generator = torch.Generator().manual_seed(0)
base, x = torch.randn(32, 32, generator=generator), torch.randn(256, 32, generator=generator)
change = torch.randn(32, 2, generator=generator) @ torch.randn(2, 32, generator=generator) / 4
target = x @ (base + change).T


def adapt(a, b, steps=20 if GRADING else 150):
    """Loss before the first step and after the last; trains a (r, 32) and b (32, r) in place."""
    optimizer = torch.optim.Adam([a.requires_grad_(), b.requires_grad_()], lr=0.02)
    losses = []
    for _ in range(steps + 1):
        loss = functional.mse_loss(x @ base.T + x @ a.T @ b.T, target)
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses[0], losses[-1]


a, b = torch.randn(2, 32, generator=generator) / 4, torch.randn(32, 2, generator=generator) / 4
print(f"loss of the untouched layer: {functional.mse_loss(x @ base.T, target).item():.4f}")
for name, start in {
    "A random, B zero": (a.clone(), torch.zeros(32, 2)),
    "A zero, B random": (torch.zeros(2, 32), b.clone()),
    "both random": (a.clone(), b.clone()),
    "both zero": (torch.zeros(2, 32), torch.zeros(32, 2)),
}.items():
    first, last = adapt(*start)
    print(f"{name:17} starts at {first:.4f}, ends at {last:.4f}")

# %% [markdown]
# One zero, whichever, starts at the untouched layer and learns. Two random factors start somewhere else: on a large model
# that means damage before the first step. Two zeros start right and stay there, because each factor's gradient contains
# the other factor.
#
# ## 3. What a rank keeps
#
# Is rank 16 enough? For a matrix that you have, its *singular values* tell. Every matrix is a sum of rank-1 pieces,
#
# $$W = s_1 u_1 v_1^T + s_2 u_2 v_2^T + \dots, \qquad s_1 \ge s_2 \ge \dots \ge 0 ,$$
#
# where the $u_i$ have length 1 and are perpendicular to each other, and so are the $v_i$. This is the *singular value
# decomposition*, SVD. The sum of all squared entries of $W$ is its *energy*, and because the pieces are perpendicular it
# is $s_1^2 + s_2^2 + \dots$. If you keep the first $r$ pieces, you keep
#
# $$\frac{s_1^2 + \dots + s_r^2}{s_1^2 + s_2^2 + \dots}$$
#
# of the energy.

# %% [markdown]
# ### Exercise 7.4 · Derive · 1 point
#
# A matrix has the singular values 10, 5, 2, 1, 0.5, 0.1, 0.05 and 0.01. What percentage of its energy do the first four
# keep?
#
# Give the percentage to four significant digits, because wrong answers lie close to it. For comparison: the first one
# alone keeps 76.77.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_7_4", "grade": false, "locked": false, "solution": true, "task": false}
ex_7_4 = None
### BEGIN SOLUTION
# hint: Energy is made of squares. Check your rule with the first value alone.
# within: 0.1 %
values = [10, 5, 2, 1, 0.5, 0.1, 0.05, 0.01]
ex_7_4 = 100 * sum(s**2 for s in values[:4]) / sum(s**2 for s in values)
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_7_4", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("7.4", ex_7_4)
### BEGIN HIDDEN TESTS
import numpy as np

values = np.diag([10, 5, 2, 1, 0.5, 0.1, 0.05, 0.01])
kept = np.diag([10, 5, 2, 1, 0, 0, 0, 0])
share = (np.linalg.norm(kept) / np.linalg.norm(values)) ** 2
expect.number(
    ex_7_4,
    100 * share,
    traps={
        100 * kept.sum() / values.sum(): "that adds up the singular values; energy adds up their squares",
        share: "that is the share; the percentage is asked for",
        100 * (1 - share): "that is what the other four keep",
        50: "that is four of eight values; they are not of the same size",
        100 * 100 / 130.2626: "that is the first value alone",
        100 * 129 / 130.2626: "that is what the first three keep",
        100 * share**0.5: "that is the share of the norm; energy is its square",
        100: "four pieces do not keep everything: give four significant digits",
    },
    within=0.001,
)
### END HIDDEN TESTS

# %% [markdown]
# The squares are why so few pieces carry so much:

# %%
squares = np.array([10, 5, 2, 1, 0.5, 0.1, 0.05, 0.01]) ** 2
print("first 1, 2, 3 ... of the eight keep (%):", np.round(100 * squares.cumsum() / squares.sum(), 2))
print(f"the first four: {squares[:4].sum():g} of {squares.sum():g}, {100 * squares[:4].sum() / squares.sum():.4f} %")

# %% [markdown]
# With two decimals that is 99.80 %. The other four pieces, half of them all, hold the remaining 0.20 %.
#
# For a change that nobody has trained yet there are no singular values to look at. That a low rank is enough for it is
# LoRA's bet. You will check it in section 6.
#
# ## 4. Count and order
#
# ### Exercise 7.5 · Build · 2 points
#
# How many numbers train? Write `lora_params(d, r, num_matrices)` for `num_matrices` square matrices of $d \times d$, each
# with its own $A$ and $B$ of rank $r$.
#
# All three are whole numbers. The result is exact, also where it needs more than 32 bits. Raise `ValueError`, with the
# argument's name in the message, when one of `d`, `r` and `num_matrices` is less than 1.
#
# Example: `lora_params(128, 8, 16)` is 32768.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_7_5", "grade": false, "locked": false, "solution": true, "task": false}
def lora_params(d, r, num_matrices):
    """Return how many numbers train when num_matrices d x d matrices each get a LoRA adapter of rank r."""
    ### BEGIN SOLUTION
    for name, value in [("d", d), ("r", r), ("num_matrices", num_matrices)]:
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    return 2 * d * r * num_matrices
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_7_5", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
from course import expect
from course.check import passed

expect.array(lora_params(128, 8, 16), 32768, "lora_params(128, 8, 16)")
expect.array(
    lora_params(10, 3, 4),
    240,
    "lora_params(10, 3, 4)",
    traps=[
        ("A and B train, both of d times r numbers", 120),
        ("each of the matrices has an adapter of its own", 60),
        ("the d times d numbers of W are frozen", 640),
    ],
)
passed("7.5")
### BEGIN HIDDEN TESTS
import torch

for d, r, num_matrices in [
    (128, 8, 16),
    (3, 2, 5),
    (64, 64, 1),
    (4096, 16, 128),
    (12288, 4, 192),
    (1, 1, 1),
    (7, 3, 2),
]:
    with torch.device("meta"):
        adapters = [
            torch.nn.Sequential(torch.nn.Linear(d, r, bias=False), torch.nn.Linear(r, d, bias=False))
            for _ in range(num_matrices)
        ]
    counted = sum(parameter.numel() for parameter in torch.nn.ModuleList(adapters).parameters())
    expect.array(lora_params(d, r, num_matrices), counted, f"lora_params({d}, {r}, {num_matrices})")
for d, r, num_matrices in [(65537, 1023, 193), (2**20, 2**12 + 1, 3)]:
    a, b = torch.empty(r, d, device="meta"), torch.empty(d, r, device="meta")
    counted = sum(a.numel() + b.numel() for _ in range(num_matrices))
    expect.array(lora_params(d, r, num_matrices), counted, f"lora_params({d}, {r}, {num_matrices})")
for bad in (0, -1, -16):
    expect.refuses(lora_params, bad, 8, 16, naming="d", of=f"d = {bad}")
    expect.refuses(lora_params, 128, bad, 16, naming="r", of=f"r = {bad}")
    expect.refuses(lora_params, 128, 8, bad, naming="num_matrices", of=f"num_matrices = {bad}")
expect.refuses(lora_params, -128, -8, 16, naming="d or r", of="d = -128, r = -8")
expect.refuses(lora_params, 128, -8, -2, naming="r or num_matrices", of="r = -8, num_matrices = -2")
### END HIDDEN TESTS

# %% [markdown]
# Hu et al. adapted GPT-3, which has 175 B parameters, 96 layers and width 12288, and gave themselves a budget of 18 M
# numbers: two matrices in each layer with rank 4. With your function:

# %%
trains = int(lora_params(12288, 4, 2 * 96))
print(f"{trains:,} numbers, {trains / 175e9:.4%} of the model, {trains * 2 / 1e6:.0f} MB in FP16")

# %% [markdown]
# ### Exercise 7.6 · Design · 1 point
#
# Put the steps of an adaptation in order. The five keys:
#
# - `deploy`: ship matrices of the old shape, so that nothing is slower than before.
# - `freeze`: turn off the gradient of every parameter that the model has.
# - `init`: put a random $A$ and a zero $B$ beside each matrix that is to be adapted.
# - `merge`: add $\frac{\alpha}{r} B A$ to $W$.
# - `train`: let the optimizer take its steps on the new text.
#
# Answer with a list such as `ex_7_6 = ["deploy", "freeze", "init", "merge", "train"]`.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_7_6", "grade": false, "locked": false, "solution": true, "task": false}
ex_7_6 = None
### BEGIN SOLUTION
# hint: freeze reaches every parameter that is there. What must not be there yet? What does merge need from train?
ex_7_6 = ["freeze", "init", "train", "merge", "deploy"]
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_7_6", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("7.6", ex_7_6)
### BEGIN HIDDEN TESTS
expect.order(
    ex_7_6,
    ["freeze", "init", "train", "merge", "deploy"],
    why="what freeze finds is frozen, train moves what init put there, merge adds what train found, deploy ships the sum",
)
### END HIDDEN TESTS

# %% [markdown]
# Three orders on the small layer of section 2. The loss is that of the matrix that is shipped.


# %%
def shipped(order):
    """Loss of the deployed matrix when the steps run in this order."""
    weight, a, b, frozen = base.clone(), None, None, set()
    for step in order:
        if step == "freeze":
            frozen = {"W"} if a is None else {"W", "A", "B"}
        elif step == "init":
            rng = torch.Generator().manual_seed(1)
            a, b = torch.randn(2, 32, generator=rng) / 4, torch.zeros(32, 2)
        elif step == "train" and "A" not in frozen:
            adapt(a, b)
        elif step == "merge":
            weight = weight + b.detach() @ a.detach()
    return functional.mse_loss(x @ weight.T, target).item()


print(f"untouched layer: {functional.mse_loss(x @ base.T, target).item():.4f}")
for order in ["freeze init train merge", "init freeze train merge", "freeze init merge train"]:
    print(f"{order}: {shipped(order.split()):.4f}")

# %% [markdown]
# Freeze too late and the adapters are frozen with the rest. Merge too early and you add a zero. Both ship the model that
# you had.
#
# ## 5. The best approximation of each rank
#
# Of all matrices of rank $r$, which is nearest to $W$? The first $r$ pieces of the SVD. That is the theorem of Eckart and
# Young (1936), and it says how large the error is: the squared error, summed over all entries, is
# $s_{r+1}^2 + s_{r+2}^2 + \dots$, the energy of the pieces you left out.
#
# NumPy finds the pieces: `u, s, vt = np.linalg.svd(w, full_matrices=False)` returns the $u_i$ as *columns* of `u`, the
# $s_i$ in `s`, largest first, and the $v_i^T$ as *rows* of `vt`.
#
# ### Lab L7.7 · Build · 3 points
#
# Write `truncated_svd(w, r)` for a matrix `w`, an array of shape $(m, n)$, whatever the size of its numbers: very small
# ones count, and all may be 0. Return two arrays `(u, v)` of shapes $(m, r)$ and $(r, n)$ whose product `u @ v` is the
# best rank-$r$ approximation of `w`. Where you put the singular values is up to you, as long as the product is right.
#
# `w` stays as it is. Raise `ValueError`, with the argument's name in the message, when `r` is not between 1 and the
# smaller of $m$ and $n$, or when `w` does not have two dimensions.
#
# Example: for `w = np.array([[4.0, 0.0], [3.0, 5.0]])` and `r = 1` the product is `[[2.0, 2.0], [4.0, 4.0]]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L7_7", "grade": false, "locked": false, "solution": true, "task": false}
def truncated_svd(w, r):
    """Return (u, v), of shapes (m, r) and (r, n), whose product is the best rank-r approximation of w (m, n)."""
    ### BEGIN SOLUTION
    w = np.asarray(w, dtype=float)
    if w.ndim != 2:
        raise ValueError(f"w must have two dimensions, got shape {w.shape}")
    if not 1 <= r <= min(w.shape):
        raise ValueError(f"r must be from 1 to {min(w.shape)}, got {r}")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return u[:, :r] * s[:r], vt[:r]
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L7_7", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np
import scipy.linalg

from course import expect
from course.check import passed


def product(w, r, of):
    """u @ v of the answer, after a look at both shapes."""
    returned = truncated_svd(w, r)
    assert isinstance(returned, tuple | list) and len(returned) == 2, f"truncated_svd of {of} should return (u, v)"
    u, v = (np.asarray(factor, dtype=np.float64) for factor in returned)
    (m, n), of = w.shape, f"truncated_svd of {of}:"
    assert u.shape == (m, r), f"{of} u should have shape {(m, r)}, it has {u.shape}"
    assert v.shape == (r, n), f"{of} v should have shape {(r, n)}, it has {v.shape}"
    return u @ v


expect.array(
    product(np.array([[4.0, 0.0], [3.0, 5.0]]), 1, "[[4, 0], [3, 5]], r = 1"),
    [[2, 2], [4, 4]],
    "u @ v for [[4, 0], [3, 5]], r = 1",
    1e-4,
    traps=[("the largest singular value belongs to the first piece", [[2, -2], [-1, 1]])],
)
expect.array(
    product(np.array([[1.0, 2.0, 0.0, 1.0], [0.0, 3.0, 1.0, 0.0], [4.0, 0.0, 1.0, 2.0]]), 2, "a 3 x 4 matrix, r = 2"),
    [[1.042, 1.8974, 0.608, 0.6765], [-0.0259, 3.0633, 0.6248, 0.1996], [3.9888, 0.0272, 0.8387, 2.0858]],
    "u @ v for [[1, 2, 0, 1], [0, 3, 1, 0], [4, 0, 1, 2]], r = 2",
    2e-4,
    traps=[
        (
            "where are the singular values?",
            [[0.1776, 0.4939, 0.1387, 0.1271], [-0.0784, 0.8406, 0.1566, 0.0176], [0.8517, -0.0935, 0.1587, 0.4384]],
        ),
        (
            "the singular values stand in one factor, or their roots in both",
            [[5.7052, 7.4463, 2.7236, 3.4988], [1.1333, 11.2762, 2.5567, 1.3768], [18.8723, 1.841, 4.3205, 9.9877]],
        ),
        (
            "the pieces are columns of NumPy's u",
            [[1.2442, 1.309, 0.5292, 0.7411], [0.6811, 3.3218, 0.8257, 0.587], [3.8711, -0.4869, 0.7084, 1.9885]],
        ),
        (
            "the pieces are rows of NumPy's vt",
            [[1.9336, 0.7536, 0.1007, -1.0938], [1.7807, 2.3702, 0.3625, -0.9457], [3.1474, -2.6729, -0.4637, -1.9236]],
        ),
    ],
)
passed("L7.7")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(77)
cases = {
    "a wide 5 x 9 matrix": rng.normal(0, 1, (5, 9)),
    "a tall 8 x 4 matrix": rng.normal(0, 1, (8, 4)),
    "a square 6 x 6 matrix with mean 3": rng.normal(3, 1, (6, 6)),
    "a 12 x 10 matrix of rank 3": rng.normal(0, 1, (12, 3)) @ rng.normal(0, 1, (3, 10)),
    "a 7 x 5 matrix of size 0.001": rng.normal(0, 1e-3, (7, 5)),
    "a 4 x 6 matrix of whole numbers": rng.integers(-9, 9, (4, 6)),
    "a 1 x 6 matrix": rng.normal(0, 1, (1, 6)),
    "a 5 x 5 identity": np.eye(5),
    "a 7 x 5 matrix of size 1e-9": rng.normal(0, 1e-9, (7, 5)),
    "a 4 x 3 matrix of zeros": np.zeros((4, 3)),
}
for name, w in cases.items():
    s = scipy.linalg.svdvals(w)
    for r in sorted({1, 2, 3, min(w.shape)} & set(range(1, min(w.shape) + 1))):
        before, of = w.copy(), f"{name}, r = {r}"
        rebuilt = product(w, r, of)
        expect.unchanged(w, before, "w")
        error, tail = np.linalg.norm(before - rebuilt), np.sqrt((s[r:] ** 2).sum())
        assert np.isfinite(error), f"{of}: u @ v has entries that are not finite"
        assert abs(error - tail) <= 1e-4 * s[0], (
            f"{of}: the error (root of the summed squares) of u @ v is {error:.5g}, the least possible is {tail:.5g}"
        )
        widest = np.linalg.norm(before - rebuilt, 2)
        assert widest <= (s[r] if r < len(s) else 0) + 1e-4 * s[0], (
            f"{of}: one direction of the error is {widest:.5g} long, in the best approximation none is longer than s[r]"
        )
w = rng.normal(0, 1, (4, 6))
expect.refuses(truncated_svd, w, 0, naming="r", of="r = 0")
expect.refuses(truncated_svd, w, -1, naming="r", of="r = -1")
expect.refuses(truncated_svd, w, 5, naming="r", of="r = 5 for a 4 x 6 matrix")
expect.refuses(truncated_svd, w.T.copy(), 5, naming="r", of="r = 5 for a 6 x 4 matrix")
expect.refuses(truncated_svd, w[0], 1, naming="w", of="w of shape (6,)")
expect.refuses(truncated_svd, w.reshape(2, 3, 4), 1, naming="w", of="w of shape (2, 3, 4)")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: a photograph by rank
#
# A grey photograph is a matrix. Here is one, rebuilt by your function from 1, 4, 12, 25 and 40 pieces:

# %%
from sklearn.datasets import load_sample_image

photo = load_sample_image("china.jpg").mean(2)  # 427 x 640 grey values; each block of 5 x 5 becomes one
picture = photo[:425].reshape(85, 5, 128, 5).mean((1, 3)) / 255
images = {f"whole: {picture.size:,} numbers": picture}
for rank in [1, 4, 12, 25, 40]:
    u, v = map(np.asarray, truncated_svd(picture, rank))
    images[f"rank {rank}: {u.size + v.size:,}"] = u @ v
draw.gallery(images)

# %% [markdown]
# Is it really the best? The figure shows the error over the rank, against two other ways to choose the columns of $U$:
# evenly spaced columns of the picture, and random directions. Both get the best $V$ there is. The dots are not measured
# on the approximation: they come from the singular values left out, as the theorem promises.


# %%
def projected(w, directions):
    """w projected on the space of the columns of `directions`."""
    q, _ = np.linalg.qr(directions)
    return q @ (q.T @ w)


ranks = list(range(1, 41, 3))
s = np.linalg.svd(picture, compute_uv=False)
rng = np.random.default_rng(0)
ways = {
    "your truncated_svd": lambda r: np.matmul(*map(np.asarray, truncated_svd(picture, r))),
    "evenly spaced columns": lambda r: projected(picture, picture[:, np.linspace(0, 127, r).astype(int)]),
    "random directions": lambda r: projected(picture, rng.normal(0, 1, (85, r))),
}
relative = {
    name: [np.linalg.norm(picture - way(r)) / np.linalg.norm(picture) for r in ranks] for name, way in ways.items()
}
draw.errors(ranks, relative, [np.sqrt((s[r:] ** 2).sum() / (s**2).sum()) for r in ranks])

# %% [markdown]
# ### Lab L7.8 · Build · 3 points
#
# Two small functions that answer "is it worth it?".
#
# 1. `break_even_rank(m, n)`: the rank, as a number that need not be whole, at which the two thin matrices of an
#    $m \times n$ matrix hold as many numbers as the matrix (1 point). Raise `ValueError`, naming the argument, when `m`
#    or `n` is less than 1.
# 2. `energy(singular_values, r)`: the share of the energy, *from 0 to 1*, that the first `r` of the singular values keep
#    (2 points). They come largest first, as a list or an array, and stay as they are. If all are exactly 0, nothing can be
#    lost: return 1. Raise `ValueError`, naming the argument, when `r` is not between 1 and the number of singular values
#    (also where all are 0), or when any of `singular_values` is negative.
#
# Example: `break_even_rank(1000, 250)` is 200.0, and `energy([4.0, 3.0], 1)` is 0.64.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L7_8", "grade": false, "locked": false, "solution": true, "task": false}
def break_even_rank(m, n):
    """Return the rank (a float) at which factors of shapes (m, rank) and (rank, n) hold m * n numbers."""
    ### BEGIN SOLUTION
    for name, value in [("m", m), ("n", n)]:
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    return m * n / (m + n)
    ### END SOLUTION


def energy(singular_values, r):
    """Return the share, from 0 to 1, of the energy that the first r singular values keep."""
    ### BEGIN SOLUTION
    squares = np.asarray(singular_values, dtype=float) ** 2
    if not 1 <= r <= len(squares):
        raise ValueError(f"r must be from 1 to {len(squares)}, got {r}")
    if np.min(singular_values) < 0:
        raise ValueError(f"singular_values must not be negative, got {np.min(singular_values)}")
    whole = squares.sum()
    return float(squares[:r].sum() / whole) if whole else 1.0
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L7_8", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from fractions import Fraction

from course import expect

expect.array(break_even_rank(1000, 250), 200.0, "break_even_rank(1000, 250)", 1e-6)
expect.array(
    break_even_rank(3, 5),
    1.875,
    "break_even_rank(3, 5)",
    1e-6,
    traps=[("the rank need not be whole", 1), ("m counts, too", 1.5)],
)
### BEGIN HIDDEN TESTS
for m, n in [(4096, 4096), (1000, 250), (250, 1000), (128, 512), (3, 5), (1, 1), (1, 9), (85, 128), (65536, 131072)]:
    exact = 1 / (Fraction(1, m) + Fraction(1, n))
    expect.array(break_even_rank(m, n), float(exact), f"break_even_rank({m}, {n})", 1e-6, 1e-6)
for bad in (0, -5):
    expect.refuses(break_even_rank, bad, 5, naming="m", of=f"m = {bad}")
    expect.refuses(break_even_rank, 5, bad, naming="n", of=f"n = {bad}")
expect.refuses(break_even_rank, -2, -3, naming="m or n", of="m = -2, n = -3")
### END HIDDEN TESTS

# %% nbgrader={"schema_version": 3, "grade_id": "test_L7_8_energy", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import numpy as np
import scipy.linalg

from course import expect
from course.check import passed

expect.array(
    energy([4.0, 3.0], 1),
    0.64,
    "energy([4.0, 3.0], 1)",
    1e-6,
    traps=[("energy adds up squares", 4 / 7), ("a share of squares, without a root", 0.8), ("the share lost", 0.36)],
)
expect.array(energy([4.0, 3.0], 2), 1.0, "energy([4.0, 3.0], 2)", 1e-6)
passed("L7.8")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(78)
for shape in [(6, 9), (12, 5), (8, 8)]:
    w = rng.normal(0.5, 1, shape)
    u, s, vt = scipy.linalg.svd(w, full_matrices=False)
    for r in range(1, len(s) + 1):
        lost = np.linalg.norm(w - u[:, :r] @ np.diag(s[:r]) @ vt[:r]) ** 2 / np.linalg.norm(w) ** 2
        given = s.copy()
        returned = energy(given, r)
        expect.unchanged(given, s, "singular_values")
        expect.array(
            returned, 1 - lost, f"energy of {len(s)} singular values from {s[0]:.3f} to {s[-1]:.3f}, r = {r}", 1e-6
        )
expect.array(
    energy([10, 5, 2, 1, 0.5, 0.1, 0.05, 0.01], 4), 130 / 130.2626, "energy of Exercise 7.4's values, r = 4", 1e-6
)
expect.array(energy(np.array([3, 2, 1]), 2), 13 / 14, "energy of the integers [3, 2, 1], r = 2", 1e-6)
expect.array(energy([5.0, 0.0, 0.0], 1), 1.0, "energy([5.0, 0.0, 0.0], 1)", 1e-9)
expect.array(energy([0.0, 0.0], 1), 1.0, "energy([0.0, 0.0], 1)", 1e-9)
expect.array(energy([4e-9, 3e-9], 1), 0.64, "energy([4e-9, 3e-9], 1)", 1e-6)
expect.array(energy([4e9, 3e9, 0.0], 2), 1.0, "energy([4e9, 3e9, 0.0], 2)", 1e-6)
for values in ([2.0, 1.0], [0.0, 0.0]):
    for r in (0, 3, -1):
        expect.refuses(energy, values, r, naming="r", of=f"r = {r} for {values}")
for values in ([2.0, -1.0], [-2.0, 1.0], [3.0, -2.0, 1.0]):
    expect.refuses(energy, values, 1, naming="singular_values", of=f"singular_values = {values}")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: a picture and a weight matrix
#
# TinyGPT is a language model of the course: 4 layers of width 128, trained to predict the next byte of Python source
# code. Beside the photograph stands one of its matrices. Move the rank, with all three of your functions at work. At which
# rank does each of the two look like itself again, and on which side of its break-even rank?

# %%
model = tinygpt.tiny_gpt()
matrices = {name: layer.weight.detach().numpy() for name, layer in tinygpt.linears(model).items()}


def rank_for(matrix, share):
    """The lowest rank that keeps that share of the matrix's energy, by your function."""
    s = np.linalg.svd(matrix, compute_uv=False)
    return next(r for r in range(1, len(s) + 1) if energy(s, r) >= share)


attention = matrices["blocks.1.attention.q"]
Predict(
    draw.rebuilt(truncated_svd, break_even_rank, energy, picture, attention),
    "Which rank does the weight matrix, 128 x 128, need to keep 90 % of its energy?",
    slider=(4, 128, 4),
    happened=lambda: (
        f"rank {rank_for(attention, 0.9)}, and its break-even rank is {break_even_rank(128, 128):g}; "
        f"the photograph needs rank {rank_for(picture, 0.9)}"
    ),
)

# %% [markdown]
# The photograph is nearly there with a few pieces: neighbouring columns resemble each other. The weight matrix has its
# energy spread over many directions. Does the model need them all? Cut each of its matrices to rank $r$ and measure.
# The measure is *bits per byte* on Python source that it has not seen: how many bits the model needs to encode the next
# byte, 8 for a model that knows nothing.


# %%
def cut(rank):
    """TinyGPT with every matrix of its layers replaced by its best approximation of this rank."""
    model = tinygpt.tiny_gpt()
    for layer in tinygpt.linears(model).values():
        u, v = truncated_svd(layer.weight.detach().numpy(), rank)
        layer.weight.data = torch.as_tensor(np.asarray(u) @ np.asarray(v), dtype=torch.float32)
    return model


few = 2 if GRADING else 32  # windows of text to measure on
cut_ranks = [32, 64, 128] if GRADING else [32, 48, 64, 80, 96, 112, 128]
cut_bits = [tinygpt.bits_per_byte(cut(rank), windows=few) for rank in cut_ranks]
whole_bits = tinygpt.bits_per_byte(model, windows=few)
pays_below = {f"{m} x {n}": float(break_even_rank(m, n)) for m, n in sorted({w.shape for w in matrices.values()})}
for rank, bits in zip(cut_ranks, cut_bits):
    sizes = ", ".join(f"{rank / even:.2f} of {shape}" for shape, even in pays_below.items())
    print(f"rank {rank:>3}: {bits:.3f} bits per byte; numbers stored: {sizes}")
draw.truncation(cut_ranks, cut_bits, whole_bits, pays_below)

# %% [markdown]
# At rank 64 the square matrices are just as large as before, and the model is already much worse. Where the others break
# even, too, it still is worse, and larger than it was. These weights are not of low rank, and cutting their SVD is a poor
# way to compress them.
#
# So why does a chapter on compression bother? Because a *change* of the weights is another matter.
#
# ## 6. LoRA
#
# ### Lab L7.9 · Build · 4 points
#
# Write `LoRALinear(linear, r, alpha)`, a module that stands where the layer `linear` (a `torch.nn.Linear`) stood.
#
# - It has two parameters, `A` of shape $(r, \text{in})$ and `B` of shape $(\text{out}, r)$, both `torch.nn.Parameter`.
#   `A` starts random, for example normal with standard deviation $1/\sqrt{\text{in}}$. `B` starts at zero. Nothing else
#   in it trains: the weight and the bias of `linear` are frozen, get no gradient and keep their values.
# - `forward(x)` returns $W x + \text{bias} + \frac{\alpha}{r} B (A x)$ for `x` of shape $(\dots, \text{in})$, with `A` and
#   `B` as they are at that moment, in training and in evaluation alike. The layer may have no bias (`linear.bias` is
#   `None`).
# - `merge()` returns a new `torch.nn.Linear` that computes the same as the module, within 1e-5, and keeps the bias. The
#   module itself stays as it is.
#
# Raise `ValueError`, with the argument's name in the message, when `r` is less than 1 or `alpha` is not above 0.
#
# Example: around a 128 x 128 layer with rank 8, 2048 numbers train. After construction the output equals that of
# `linear`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L7_9", "grade": false, "locked": false, "solution": true, "task": false}
class LoRALinear(torch.nn.Module):
    """A frozen linear layer and a trainable change of rank r beside it: W x + bias + (alpha / r) B (A x)."""

    def __init__(self, linear, r, alpha):
        super().__init__()
        ### BEGIN SOLUTION
        if r < 1:
            raise ValueError(f"r must be at least 1, got {r}")
        if not alpha > 0:
            raise ValueError(f"alpha must be above 0, got {alpha}")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r
        ### END SOLUTION

    def forward(self, x):
        """x: (..., in features) -> (..., out features)."""
        ### BEGIN SOLUTION
        return self.linear(x) + self.scale * (x @ self.A.T) @ self.B.T
        ### END SOLUTION

    def merge(self):
        """Return a new torch.nn.Linear that computes the same."""
        ### BEGIN SOLUTION
        out_features, in_features = self.linear.weight.shape
        merged = torch.nn.Linear(in_features, out_features, bias=self.linear.bias is not None)
        with torch.no_grad():
            merged.weight.copy_(self.linear.weight + self.scale * self.B @ self.A)
            if merged.bias is not None:
                merged.bias.copy_(self.linear.bias)
        return merged
        ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L7_9", "grade": true, "locked": true, "solution": false, "task": false, "points": 4}
import numpy as np
import torch

from course import cases, expect
from course.check import passed
from course.probe import probe


@probe
def wrap(lora_linear, weight, bias, r, alpha, a, b, x, upstream, lr=0.1, steps=3):
    """A LoRALinear when new, with A = a and B = b, after merge(), after some steps of SGD, and in evaluation."""
    import torch

    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        linear.weight.copy_(weight)
        if bias is not None:
            linear.bias.copy_(bias)
    layer = lora_linear(linear, r, alpha)
    seen = {
        "trains": {name: list(p.shape) for name, p in layer.named_parameters() if p.requires_grad},
        "first A": layer.A.detach().clone(),
        "first B": layer.B.detach().clone(),
        "first output": layer(x).detach(),
    }
    with torch.no_grad():
        layer.A.copy_(a)
        layer.B.copy_(b)
    leaf = x.clone().requires_grad_()
    output = layer(leaf)
    (output * upstream).sum().backward()
    gradients = [p.grad if p.grad is None else p.grad.clone() for p in (layer.A, layer.B, leaf)]
    reached = [name for name, p in linear.named_parameters() if p.grad is not None]
    seen |= {"output": output.detach(), "gradients": gradients, "reached": reached}

    def merged(moment):
        plain = layer.merge()
        if type(plain) is not torch.nn.Linear:
            raise TypeError(f"merge() should return a torch.nn.Linear, it returned {type(plain).__name__}")
        return {
            f"{moment}: weight": plain.weight.detach().clone(),
            f"{moment}: bias": plain.bias if plain.bias is None else plain.bias.detach().clone(),
            f"{moment}: output": plain(x).detach(),
        }

    seen |= merged("merged") | {"output after merge": layer(x).detach()} | merged("merged again")
    optimizer = torch.optim.SGD([p for p in layer.parameters() if p.requires_grad], lr=lr)
    for _ in range(steps):
        optimizer.zero_grad()
        (layer(x) * upstream).sum().backward()
        optimizer.step()
    seen |= {"A": layer.A.detach().clone(), "B": layer.B.detach().clone(), "linear": linear.weight.detach().clone()}
    seen |= merged("trained and merged")
    layer.eval()
    layer(x)
    with torch.no_grad():
        layer.B.add_(1)
    return seen | {"evaluated": layer(x).detach()}


@probe
def make(lora_linear, r, alpha):
    """The name of the type of lora_linear(linear, r, alpha), where it can be made."""
    import torch

    return type(lora_linear(torch.nn.Linear(3, 2), r, alpha)).__name__


seen = wrap(
    LoRALinear,
    torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
    torch.tensor([10.0, 20.0]),
    2,
    3.0,
    torch.tensor([[1.0, 0.0, -1.0], [0.0, 2.0, 0.0]]),
    torch.tensor([[1.0, 0.0], [3.0, 1.0]]),
    torch.tensor([[1.0, 1.0, 0.0]]),
    torch.tensor([[1.0, 1.0]]),
)
case = "weight [[1, 2, 3], [4, 5, 6]], bias [10, 20], r = 2, alpha = 3, x = [1, 1, 0]:"
wanted = {"A": [2, 3], "B": [2, 2]}
assert seen["trains"] == wanted, f"{case} the parameters that train should be {wanted}, they are {seen['trains']}"
expect.array(seen["first output"], [[13, 29]], f"{case} the output of the new module", 1e-4)
given = "A = [[1, 0, -1], [0, 2, 0]] and B = [[1, 0], [3, 1]]"
expect.array(
    seen["output"],
    [[14.5, 36.5]],
    f"{case} the output with {given}",
    1e-4,
    traps=[("divide alpha by r", [[16, 44]]), ("the factor alpha / r is missing", [[14, 34]])],
)
expect.array(
    seen["merged: weight"],
    [[2.5, 2, 1.5], [8.5, 8, 1.5]],
    f"{case} the weight of merge() with {given}",
    1e-4,
    traps=[("the factor alpha / r is missing", [[2, 2, 2], [7, 7, 3]])],
)
assert seen["merged: bias"] is not None, f"{case} merge() should keep the bias"
expect.array(seen["merged: bias"], [10, 20], f"{case} the bias of merge()", 1e-4)
assert not seen["reached"], (
    f"{case} a gradient reaches {' and '.join(seen['reached'])} of linear, which should be frozen"
)
expect.array(seen["linear"], [[1, 2, 3], [4, 5, 6]], f"{case} linear.weight after three steps of SGD", 0, 0)
passed("L7.9")
### BEGIN HIDDEN TESTS
generator = torch.Generator().manual_seed(79)
for inputs, outputs, r, alpha, batch, with_bias in [
    (6, 6, 2, 4.0, (5,), True),
    (7, 4, 3, 1.0, (2, 3), True),
    (5, 9, 1, 16.0, (4,), False),
    (16, 16, 8, 8.0, (3, 2), False),
    (8, 5, 4, 0.5, (), True),
    (4, 3, 2, 3, (2,), True),
]:
    weight = torch.randn(outputs, inputs, generator=generator)
    bias = torch.randn(outputs, generator=generator) if with_bias else None
    a, b = torch.randn(r, inputs, generator=generator), torch.randn(outputs, r, generator=generator)
    x, upstream = torch.randn(*batch, inputs, generator=generator), torch.randn(*batch, outputs, generator=generator)
    seen = wrap(LoRALinear, weight, bias, r, alpha, a.clone(), b.clone(), x.clone(), upstream.clone(), 0.01)
    case = f"{inputs} inputs, {outputs} outputs, {'with' if with_bias else 'no'} bias, r = {r}, alpha = {alpha}:"

    wanted = {"A": [r, inputs], "B": [outputs, r]}
    assert seen["trains"] == wanted, f"{case} the parameters that train should be {wanted}, they are {seen['trains']}"
    assert not seen["reached"], f"{case} a gradient reaches {' and '.join(seen['reached'])} of linear: freeze it"
    first_a = np.asarray(seen["first A"])
    assert np.linalg.matrix_rank(first_a) == r, (
        f"{case} A should start random; its rows have rank {np.linalg.matrix_rank(first_a)}"
    )
    expect.array(seen["first B"], np.zeros((outputs, r)), f"{case} the new module's B", 0)

    w, a, b, x, g = (t.double().numpy() for t in (weight, a, b, x, upstream))
    shift = bias.double().numpy() if with_bias else 0
    scale, rows, above = alpha / r, x.reshape(-1, inputs), g.reshape(-1, outputs)
    whole = w + scale * b @ a
    expect.array(seen["first output"], x @ w.T + shift, f"{case} the output of the new module", 1e-4)
    expect.array(seen["output"], x @ whole.T + shift, f"{case} the output after A and B were set", 1e-4, 1e-5)
    right = {"A": scale * b.T @ above.T @ rows, "B": scale * above.T @ rows @ a.T, "x": g @ whole}
    for (name, gradient), given in zip(right.items(), seen["gradients"], strict=True):
        assert given is not None, f"{case} no gradient reaches {name}"
        expect.array(given, gradient, f"{case} the gradient of {name}", 1e-3, 1e-4)

    for moment in ("merged", "merged again"):
        expect.array(seen[f"{moment}: weight"], whole, f"{case} {moment}, the weight", 1e-5, 1e-5)
        difference = np.abs(np.asarray(seen[f"{moment}: output"]) - np.asarray(seen["output"])).max()
        assert difference <= 1e-5 * (1 + np.abs(np.asarray(seen["output"])).max()), (
            f"{case} {moment}, the output should equal the module's to 1e-5, it differs by {difference:.2g}"
        )
        assert (seen[f"{moment}: bias"] is None) == (not with_bias), (
            f"{case} merge() should keep {'the' if with_bias else 'no'} bias"
        )
    expect.array(
        seen["output after merge"], seen["output"], f"{case} the module's own output after merge()", 1e-5, 1e-5
    )

    for _ in range(3):
        step_a, step_b = scale * b.T @ above.T @ rows, scale * above.T @ rows @ a.T
        a, b = a - 0.01 * step_a, b - 0.01 * step_b
    expect.array(seen["A"], a, f"{case} A after three steps of SGD", 1e-3, 1e-3)
    expect.array(seen["B"], b, f"{case} B after three steps of SGD", 1e-3, 1e-3)
    expect.array(seen["linear"], weight, f"{case} linear.weight after three steps of SGD", 0, 0)
    expect.array(
        seen["trained and merged: weight"],
        w + scale * b @ a,
        f"{case} the merged weight after three steps of SGD",
        1e-3,
        1e-3,
    )
    if with_bias:
        expect.array(seen["trained and merged: bias"], bias, f"{case} the merged bias after three steps of SGD", 1e-6)
    after = x @ (w + scale * (b + 1) @ a).T + shift
    expect.array(seen["evaluated"], after, f"{case} the output in evaluation, after 1 was added to B,", 1e-3, 1e-3)

for bad in (0, -1, -2):
    expect.refuses(make, LoRALinear, bad, 1.0, naming="r", of=f"r = {bad}")
for name, alpha in cases.not_above(0):
    expect.refuses(make, LoRALinear, 2, alpha, naming="alpha", of=f"alpha = {name}")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: TinyGPT reads the manual
#
# TinyGPT knows Python's source code. Now it is to learn another kind of text: the pages that Python's `help()` shows,
# English prose with a formal grammar here and there. It has not read them. Every fifth page is held out.

# %%
from pydoc_data.topics import topics

pages = [topics[name] for name in sorted(topics)]
manual = "\n\n".join(page for i, page in enumerate(pages) if i % 5).encode()
manual_held_out = "\n\n".join(pages[::5]).encode()
windows = 2 if GRADING else 64
frozen_new = tinygpt.bits_per_byte(tinygpt.tiny_gpt(), manual_held_out, windows)
frozen_old = tinygpt.bits_per_byte(tinygpt.tiny_gpt(), windows=windows)
print(f"{len(manual):,} bytes to learn from, {len(manual_held_out):,} held out. They begin:\n{pages[1][:190]}...")
print(f"\nTinyGPT as it is: {frozen_old:.3f} bits per byte on source code, {frozen_new:.3f} on the manual")

# %% [markdown]
# Your module goes around all 24 matrices of the layers, once with rank 2, once with 8, once with 32. The fourth run trains
# every number. All runs see the same 240 windows of 128 bytes in the same order, in 60 steps of Adam, with a learning
# rate that falls to zero. It starts at 0.001 for the full run, the best of three rates tried beforehand, and at 0.005 for
# LoRA, with $\alpha = 16$: better for rank 2 than 0.01, with which the larger ranks learn a little more. It
# takes about a quarter of a minute.


# %%
def replace(model, name, layer):
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, layer)


def with_lora(r, alpha=16):
    """TinyGPT, frozen, with a LoRALinear around every matrix of its layers."""
    torch.manual_seed(0)
    model = tinygpt.tiny_gpt().requires_grad_(False)
    for name, layer in tinygpt.linears(model).items():
        replace(model, name, LoRALinear(layer, r, alpha))
    return model


def fine_tune(model, lr, note, steps=2 if GRADING else 60, batch=4, text=manual):
    """Train in place what requires a gradient."""
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    batches = tinygpt.windows(text, steps * batch, seed=0).split(batch)
    for rows in tqdm(batches, note, leave=False, disable=GRADING):
        loss = functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


# %%
adapted = {f"LoRA {r}": with_lora(r) for r in (2, 8, 32)} | {"full": tinygpt.tiny_gpt()}
total = sum(p.numel() for p in tinygpt.tiny_gpt().parameters())
trains, new_bits, old_bits = {}, {}, {}
for name, network in adapted.items():
    trains[name] = sum(p.numel() for p in network.parameters() if p.requires_grad)
    fine_tune(network, 0.001 if name == "full" else 0.005, name)
    new_bits[name] = tinygpt.bits_per_byte(network, manual_held_out, windows)
    old_bits[name] = tinygpt.bits_per_byte(network, windows=windows)
    print(
        f"{name:7} trains {trains[name]:>7,} numbers ({trains[name] / total:6.1%}): manual {new_bits[name]:.3f}, source {old_bits[name]:.3f}"
    )
shares = {name: count / total for name, count in trains.items()}
draw.adapted(shares, new_bits, old_bits, (frozen_new, frozen_old))

# %% [markdown]
# On the left, lower is better learned: a few percent of the numbers do most of what all of them do, and each larger rank
# comes closer. On the right, higher is more forgotten: every run pays for the manual with some source code. "LoRA learns
# less and forgets less", say Biderman et al. (2024) of large models. With two other seeds the order on the left was the
# same, and the full run forgot most with all three; the order of the ranks on the right changed. What this model forgets
# depends on the learning rate as well: halve both rates, run the two cells above again, and compare.
#
# The share looks large beside the 0.24 % of Exercise 7.2. The adapter's share of a square matrix is $2r/d$, and with
# $d = 128$ every rank costs 32 times as much of the model as with $d = 4096$.
#
# Here is what the model writes after the same prompt, before and after:

# %%
for name, network in {"frozen": tinygpt.tiny_gpt(), "LoRA 8": adapted["LoRA 8"]}.items():
    print(f"--- {name}\n{tinygpt.generate(network, 'The ', length=5 if GRADING else 130, temperature=0.6)}\n")

# %% [markdown]
# ### See it: alpha / r or alpha / sqrt(r)
#
# Early in training, $B(Ax)$ is a sum of $r$ terms whose signs differ. Such a sum grows like $\sqrt{r}$ and not like $r$, so
# the factor $\alpha / r$ divides by too much. The cell trains three ranks for 12 steps with the same learning rate, once
# with $8 / r$ and once with $4 / \sqrt{r}$, which are the same at rank 4. Your module divides its `alpha` by $r$: give it
# $4 \sqrt{r}$, and the factor is $4 / \sqrt{r}$. *Change* is the norm of what `merge()` adds, as a share of the norm of the
# weights, on average over all 24 matrices.


# %%
def change(model):
    """How large the change of the weights is, as a share of the weights; the mean over the matrices."""
    added = {name: model.get_submodule(name).merge().weight.detach().numpy() - w for name, w in matrices.items()}
    return np.mean([np.linalg.norm(added[name]) / np.linalg.norm(w) for name, w in matrices.items()])


alphas = {("either", 4): 8} | {("8 / r", r): 8 for r in (16, 64)} | {("4 / sqrt(r)", r): 4 * r**0.5 for r in (16, 64)}
for (factor, r), alpha in alphas.items():
    network = with_lora(r, alpha)
    fine_tune(network, 0.002, f"rank {r}", steps=2 if GRADING else 12)
    bits = tinygpt.bits_per_byte(network, manual_held_out, few)
    print(f"factor {factor:11}  rank {r:>2}: change {change(network):.2%}, manual {bits:.3f} bits per byte")

# %% [markdown]
# With $\alpha / r$ the change shrinks as the rank grows, and the larger ranks have learned no more. With
# $\alpha / \sqrt{r}$ its size stays, and each larger rank has learned more in the same steps. So a learning rate that suits
# one rank suits the next. Over many steps Adam makes up for much of a small factor: with $\alpha / r$ and 60 steps the
# larger ranks were ahead above, too.
#
# ### Is the change of low rank?
#
# Here is LoRA's bet, checked. The full run was free to change the matrices in any way. Take what it changed, new weights
# less old, and ask your `energy` how much of it the first $r$ pieces hold. Beside it stand the matrices themselves, and
# random matrices of the same shapes. Each curve is the mean over all 24 matrices.

# %%
rng = np.random.default_rng(0)
updated = {name: layer.weight.detach().numpy() for name, layer in tinygpt.linears(adapted["full"]).items()}
groups = {
    "what full fine-tuning changed": [updated[name] - matrices[name] for name in matrices],
    "the weights themselves": list(matrices.values()),
    "random matrices": [rng.normal(0, 1, matrix.shape) for matrix in matrices.values()],
}
some_ranks = [1, 2, 4, 8, 16, 32, 64, 128]
kept = {}
for name, group in groups.items():
    spectra = [np.linalg.svd(matrix, compute_uv=False) for matrix in group]
    kept[name] = [np.mean([float(energy(s, r)) for s in spectra]) for r in some_ranks]
    print(f"rank 8 keeps {kept[name][3]:.0%} of {name}")
draw.spectra(some_ranks, kept)

# %% [markdown]
# The weights are nearly as spread out as noise. The change is not: it leans on few directions, although nothing forced
# it to. That speaks for LoRA's bet, and the flat spectrum of the weights is why cutting them did not work. It is no
# proof: rank 8 keeps only a part of this change, and LoRA need not find the same change to learn as much.
#
# ### Merging costs nothing
#
# Unmerged, every layer multiplies three times instead of once. Merged, the adapted model has the shape of the old one.
# And with every `B` set back to zero, the untouched model returns.


# %%
def merged(model):
    """A copy in which every LoRALinear has become a plain linear layer."""
    model = copy.deepcopy(model)
    for name, layer in list(model.named_modules()):
        if isinstance(layer, LoRALinear):
            replace(model, name, layer.merge())
    return model.eval()


unmerged = adapted["LoRA 8"]
plain = merged(unmerged)
without = copy.deepcopy(unmerged)
for name, parameter in without.named_parameters():
    if name.endswith(".B"):
        parameter.data.zero_()
gaps = {}  # of each layer by itself, as a share of its largest output
for name, layer in unmerged.named_modules():
    if isinstance(layer, LoRALinear):
        inputs = torch.randn(64, layer.A.shape[1], generator=torch.Generator().manual_seed(0))
        given = layer(inputs)
        gaps[name] = ((given - plain.get_submodule(name)(inputs)).abs().max() / given.abs().max()).item()
one = tinygpt.windows(manual_held_out, 1, seed=0)[:, :-1]
models = {"untouched": tinygpt.tiny_gpt(), "merged": plain, "unmerged": unmerged}
with torch.no_grad():
    print(f"merged and unmerged: a layer's outputs differ by {max(gaps.values()):.1e} of the largest, ", end="")
    print(f"the logits after all layers by {(plain(one) - unmerged(one)).abs().max():.1e}")
    print(f"B = 0 and untouched: the logits differ by {(without(one) - models['untouched'](one)).abs().max():.1e}")


# %%
def forward(network):
    @torch.no_grad()
    def work():
        network(one)

    return work


times = timing.timings({name: forward(network) for name, network in models.items()}, threads=1)
for name, time in times.items():
    print(f"{name:9}  {time.seconds / times['untouched'].seconds:.2f} x the time of the untouched model: {time}")
if again := timing.measure_again(times):
    print(again)

# %% [markdown]
# Merged and untouched do the same multiplications: as far as these two rows differ, the machine was not quiet. Unmerged, the
# two thin products of each layer come on top.
#
# And a step of training, does LoRA make that quicker? The backward pass of a frozen matrix finds the gradient of its
# inputs but not its own, and Adam has less to do. The thin products come on top here, too.


# %%
def training_step(network):
    optimizer = torch.optim.Adam(
        [p for p in network.parameters() if p.requires_grad], lr=0.0
    )  # measures, learns nothing
    rows = tinygpt.windows(manual, 4, seed=0)

    def work():
        loss = functional.cross_entropy(network(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return work


steps = timing.timings({name: training_step(adapted[name]) for name in ("full", "LoRA 8")}, threads=1)
for name, time in steps.items():
    print(f"{name:6}  {time.seconds / steps['full'].seconds:.2f} x the time of a full step: {time}")
if again := timing.measure_again(steps):
    print(again)

# %% [markdown]
# Keep the adapters unmerged when one base model serves many tasks: the base is loaded once, and each task adds a small
# file. Merge when you ship for one.
#
# ## 7. Going further
#
# What follows is for whoever wants more. Each lab begins on its own and names what it needs. No exercise of this course
# waits for them: you may skip them all.
#
# ### A frozen base need not be in floats
#
# LoRA saves gradients and Adam's averages. The frozen base still lies in memory in full: 65 billion weights in FP16 do
# not fit onto any single card of 80 GB. But what never trains needs no gradient, and so it can be stored in integers.
# *QLoRA* (Dettmers et al., 2023) keeps the base in 4-bit codes, dequantizes each matrix when it is used, and trains a
# LoRA in floats beside it. That is how its authors fine-tuned 65 billion parameters on one card of 48 GB:

# %%
print(f"65 B weights: {65e9 * 16 / 8 / 1e9:.1f} GB in FP16, {65e9 * (4 + 32 / 64) / 8 / 1e9:.1f} GB", end="")
print(" in 4-bit codes with an FP32 scale for each block of 64")
mended = {}  # what Lab L7.10 measures, for the table at the end

# %% [markdown]
# ### Lab L7.10 · Build · 4 points
#
# This lab takes up the low-rank part of Lab L7.9, with the same $A$, $B$ and $\alpha / r$. You need nothing else.
#
# Write `QLoRALinear(linear, bits, group_size, r, alpha)`, a module that stands where the layer `linear` (a
# `torch.nn.Linear` with weight $W$ of shape $(\text{out}, \text{in})$) stood.
#
# **The codes** (2 points). Cut each row of $W$ into groups of `group_size` consecutive inputs. With $m$ for the largest
# magnitude in a group, the codes are symmetric, without a zero-point:
#
# $$\text{scale} = \frac{m}{2^{\,b-1} - 1}, \qquad q = \operatorname{round}\!\left(\frac{w}{\text{scale}}\right),
# \qquad \hat w = q \cdot \text{scale} .$$
#
# - The module has two buffers (`register_buffer`): `codes` of shape $(\text{out}, \text{in})$ and an integer type such as
#   `torch.int8`, and `scales`, floats of shape $(\text{out}, \text{in} / \text{group size})$. Row $o$, column $j$ of
#   `scales` belongs to the inputs $j \cdot \text{group size}$ and following. A group of nothing but zeros has codes 0 and
#   a finite scale.
# - `dequantize()` returns $\hat W$, floats of shape $(\text{out}, \text{in})$.
# - No other floats of the size of $W$ stay in the module, neither `linear.weight` nor $\hat W$: there would be nothing
#   saved. All that it computes with is in its `state_dict()`: loaded into another `QLoRALinear` of the same shape, it
#   makes that one compute the same. `linear` itself keeps its values.
#
# **The layer** (2 points).
#
# - It has the parameters `A` of shape $(r, \text{in})$, random at first, and `B` of shape $(\text{out}, r)$, zero at first.
#   Nothing else trains: codes, scales and bias keep their values.
# - `forward(x)` returns $\hat W x + \text{bias} + \frac{\alpha}{r} B (A x)$ for `x` of shape $(\dots, \text{in})$. The layer
#   may have no bias. A gradient reaches `A`, `B` and `x`.
# - `merge()` returns a new `torch.nn.Linear` that computes the same as the module, within 1e-5.
#
# Raise `ValueError`, with the argument's name in the message, when `bits` is not between 2 and 8, when `group_size` is
# less than 1 or does not divide the inputs, when `r` is less than 1, or when `alpha` is not above 0.
#
# Example: with 3 bits the codes go from -3 to 3. The group `[0.8, -1.5]` has the scale 0.5 and the codes `[2, -3]`, and
# comes back as `[1.0, -1.5]`. In practice several codes share a byte (Lab L2.8). Here each has its own.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L7_10", "grade": false, "locked": false, "solution": true, "task": false}
class QLoRALinear(torch.nn.Module):
    """Frozen integer codes and a trainable change of rank r beside them: W_hat x + bias + (alpha / r) B (A x)."""

    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        ### BEGIN SOLUTION
        out_features, in_features = linear.weight.shape
        if not 2 <= bits <= 8:
            raise ValueError(f"bits must be between 2 and 8, got {bits}")
        if group_size < 1 or in_features % group_size:
            raise ValueError(f"group_size must divide the {in_features} inputs, got {group_size}")
        if r < 1:
            raise ValueError(f"r must be at least 1, got {r}")
        if not alpha > 0:
            raise ValueError(f"alpha must be above 0, got {alpha}")
        groups = linear.weight.detach().reshape(out_features, -1, group_size)
        largest = groups.abs().amax(2, keepdim=True)
        scales = torch.where(largest > 0, largest, 1.0) / (2 ** (bits - 1) - 1)
        self.register_buffer("codes", (groups / scales).round().to(torch.int8).reshape(out_features, in_features))
        self.register_buffer("scales", scales.squeeze(2))
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.factor = alpha / r
        ### END SOLUTION

    def dequantize(self):
        """Return the weight (out, in) that the codes stand for."""
        ### BEGIN SOLUTION
        groups = self.codes.reshape(*self.scales.shape, -1) * self.scales[:, :, None]
        return groups.reshape(self.codes.shape)
        ### END SOLUTION

    def forward(self, x):
        """x: (..., in features) -> (..., out features)."""
        ### BEGIN SOLUTION
        y = x @ self.dequantize().T + self.factor * (x @ self.A.T) @ self.B.T
        return y if self.bias is None else y + self.bias
        ### END SOLUTION

    def merge(self):
        """Return a new torch.nn.Linear, in floats, that computes the same."""
        ### BEGIN SOLUTION
        out_features, in_features = self.codes.shape
        merged = torch.nn.Linear(in_features, out_features, bias=self.bias is not None)
        with torch.no_grad():
            merged.weight.copy_(self.dequantize() + self.factor * self.B @ self.A)
            if self.bias is not None:
                merged.bias.copy_(self.bias)
        return merged
        ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L7_10_codes", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import numpy as np
import torch

from course import cases, expect
from course.probe import probe


@probe
def stored(qlora_linear, weight, bits, group_size, r=1):
    """What a new QLoRALinear stores, whether W stays in it, and what its state makes another one compute."""
    import torch

    def layer_of(weight):
        linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False)
        with torch.no_grad():
            linear.weight.copy_(weight)
        return linear, qlora_linear(linear, bits, group_size, r, 1.0)

    def tensors(value, name, deep=0):
        if isinstance(value, torch.Tensor):
            return [(name, value)]
        if deep > 3:
            return []
        if isinstance(value, torch.nn.Module):
            value = vars(value)
        if isinstance(value, (list, tuple)):
            value = dict(enumerate(value))
        if not isinstance(value, dict):
            return []
        return [found for key, part in value.items() for found in tensors(part, str(key), deep + 1)]

    linear, layer = layer_of(weight)
    layer(torch.ones(2, weight.shape[1]))  # what is kept from the first use on counts, too
    found = dict(layer.named_buffers())
    missing = [name for name in ("codes", "scales") if name not in found or name not in layer.state_dict()]
    if missing:
        return {"missing": missing}
    codes, scales = found["codes"].detach(), found["scales"].detach()
    other = layer_of(torch.flip(weight, (0,)) * 2 + 1)[1]
    other.load_state_dict(layer.state_dict())
    x = torch.linspace(-1, 2, 3 * weight.shape[1]).reshape(3, -1)
    held = tensors(layer, "layer")
    return {
        "missing": [],
        "type": str(codes.dtype).split(".")[-1],
        "whole": not codes.dtype.is_floating_point and not codes.dtype.is_complex and codes.dtype != torch.bool,
        "floats": scales.dtype.is_floating_point,
        "codes": codes.double(),
        "scales": scales.double(),
        "dequantized": layer.dequantize().detach().double(),
        "kept": sorted({n for n, t in held if t.dtype.is_floating_point and t.numel() >= weight.numel()}),
        "linear": linear.weight.detach().clone(),
        "own": layer(x).detach(),
        "loaded": other(x).detach(),
    }


@probe
def make(qlora_linear, bits, group_size, r, alpha):
    """The name of the type of a QLoRALinear of 12 inputs, where it can be made."""
    import torch

    return type(qlora_linear(torch.nn.Linear(12, 5), bits, group_size, r, alpha)).__name__


w = torch.tensor([[0.8, -1.5, 0.0, 0.9], [3.0, 1.2, -0.2, 0.14]])
seen = stored(QLoRALinear, w, 3, 2)
case = "weight [[0.8, -1.5, 0, 0.9], [3, 1.2, -0.2, 0.14]], 3 bits, groups of 2:"
assert not seen["missing"], f"{case} there should be a buffer named {' and one named '.join(seen['missing'])}"
assert seen["whole"], f"{case} the codes should have an integer type, they have {seen['type']}"
traps = [
    ("take the largest magnitude, not the largest value", [[0.8 / 3, 0.3], [1, 0.14 / 3]]),
    ("3 bits: the largest code is 3", [[1.5 / 4, 0.225], [0.75, 0.05]]),
    ("3 bits: the codes go from -3 to 3", [[1.5 / 7, 0.9 / 7], [3 / 7, 0.2 / 7]]),
    ("no zero-point: the codes are symmetric", [[2.3 / 7, 0.9 / 7], [3 / 7, 0.34 / 7]]),
    ("each group has a scale of its own", [[0.5, 0.5], [1, 1]]),
    ("groups are neighbouring inputs", [[0.8 / 3, 0.5], [1, 0.4]]),
]
expect.array(seen["scales"], [[0.5, 0.3], [1, 0.2 / 3]], f"{case} the scales", 1e-6, 1e-5, traps)
traps = [
    ("round to the nearest code, do not cut off", [[1, -3, 0, 3], [3, 1, -3, 2]]),
    ("symmetric: 0 has the code 0", [[5, 0, 3, 6], [6, 4, 0, 5]]),
    ("symmetric: 0 has the code 0", [[6, 1, 4, 7], [7, 5, 1, 6]]),
]
expect.array(seen["codes"], [[2, -3, 0, 3], [3, 1, -3, 2]], f"{case} the codes", 1e-6, 0, traps)
back = [[1, -1.5, 0, 0.9], [3, 1, -0.2, 0.4 / 3]]
expect.array(seen["dequantized"], back, f"{case} dequantize()", 1e-5, 1e-5, [("dequantize the codes", w)])
expect.array(seen["linear"], w, f"{case} the weight of linear, which should keep its values,", 0, 0)
assert not seen["kept"], f"{case} the module still keeps floats of the size of W ({', '.join(seen['kept'])})"
expect.array(seen["loaded"], seen["own"], f"{case} another module that loaded the state_dict()", 1e-5, 1e-5)
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(710)
for outputs, inputs, group_size, bits, r in [
    (4, 8, 2, 3, 1),
    (3, 12, 4, 4, 2),
    (6, 6, 6, 2, 1),
    (5, 12, 3, 5, 3),
    (2, 32, 8, 8, 1),
    (8, 9, 9, 6, 4),
]:
    top, count = 2 ** (bits - 1) - 1, inputs // group_size
    wanted = rng.integers(-top, top + 1, (outputs, count, group_size))
    grid = rng.uniform(0.05, 2, (outputs, count, 1))
    near = np.clip(wanted + rng.uniform(-0.4, 0.4, wanted.shape), -top, top)  # nothing near the middle of two codes
    for row, group in np.ndindex(outputs, count):
        place = rng.integers(group_size)
        wanted[row, group, place] = near[row, group, place] = top * rng.choice([-1, 1])
    wanted[0, 0] = near[0, 0] = 0  # a group of zeros
    w = torch.tensor((near * grid).reshape(outputs, inputs), dtype=torch.float32)
    seen = stored(QLoRALinear, w.clone(), bits, group_size, r)
    case = f"{inputs} inputs, {outputs} outputs, {bits} bits, groups of {group_size}:"
    assert not seen["missing"], f"{case} there should be a buffer named {' and one named '.join(seen['missing'])}"
    assert seen["whole"], f"{case} the codes should have an integer type, they have {seen['type']}"
    assert seen["floats"], f"{case} the scales should be floats"
    scales = np.array(seen["scales"].tolist())
    assert scales.shape == (outputs, count), f"{case} scales should have shape {(outputs, count)}, not {scales.shape}"
    assert np.isfinite(scales[0, 0]), f"{case} the scale of a group of zeros should be finite, it is {scales[0, 0]}"
    scales[0, 0] = grid[0, 0, 0]
    expect.array(scales, grid[:, :, 0], f"{case} the scales", 1e-7, 1e-5)
    expect.array(seen["codes"], wanted.reshape(outputs, inputs), f"{case} the codes", 1e-6, 0)
    rounded = torch.fake_quantize_per_channel_affine(
        w.reshape(-1, group_size),
        torch.tensor(grid.reshape(-1), dtype=torch.float32),
        torch.zeros(outputs * count, dtype=torch.int32),
        *(0, -top, top),
    )
    expect.array(seen["dequantized"], rounded.reshape(outputs, inputs), f"{case} dequantize()", 1e-6, 1e-5)
    expect.array(seen["linear"], w, f"{case} the weight of linear, which should keep its values,", 0, 0)
    assert not seen["kept"], f"{case} the module keeps floats of the size of W: {', '.join(seen['kept'])}"
    expect.array(seen["loaded"], seen["own"], f"{case} another module that loaded the state_dict()", 1e-5, 1e-5)

for scale in (1e-6, 1e6):
    seen = stored(QLoRALinear, torch.tensor([[0.8, -1.5, 0.0, 0.9]]) * scale, 3, 2)
    expect.array(seen["codes"], [[2, -3, 0, 3]], f"the codes of [[0.8, -1.5, 0, 0.9]] times {scale:g}, 3 bits", 1e-6)
for name, bits in cases.not_between(2, 8):
    expect.refuses(make, QLoRALinear, bits, 4, 2, 1.0, naming="bits", of=f"bits = {name}")
for size in (0, -1, -4, 5, 24):
    naming = "group_size or linear"
    expect.refuses(make, QLoRALinear, 4, size, 2, 1.0, naming=naming, of=f"group_size = {size} for 12 inputs of linear")
### END HIDDEN TESTS

# %% nbgrader={"schema_version": 3, "grade_id": "test_L7_10", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import numpy as np
import torch

from course import cases, expect
from course.check import passed
from course.probe import probe


@probe
def wrap(qlora_linear, weight, bias, bits, group_size, r, alpha, a, b, x, upstream, lr=0.1, steps=3):
    """A QLoRALinear when new, with A = a and B = b, after merge(), and after some steps of SGD."""
    import torch

    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    with torch.no_grad():
        linear.weight.copy_(weight)
        if bias is not None:
            linear.bias.copy_(bias)
    layer = qlora_linear(linear, bits, group_size, r, alpha)
    seen = {
        "trains": {name: list(p.shape) for name, p in layer.named_parameters() if p.requires_grad},
        "first A": layer.A.detach().clone(),
        "first B": layer.B.detach().clone(),
        "first output": layer(x).detach(),
        "dequantized": layer.dequantize().detach().double(),
    }
    codes, scales = layer.codes.clone(), layer.scales.clone()
    with torch.no_grad():
        layer.A.copy_(a)
        layer.B.copy_(b)
    leaf = x.clone().requires_grad_()
    output = layer(leaf)
    (output * upstream).sum().backward()
    seen["output"] = output.detach()
    seen["gradients"] = [p.grad if p.grad is None else p.grad.clone() for p in (layer.A, layer.B, leaf)]
    for moment in ("merged", "trained and merged"):
        plain = layer.merge()
        if type(plain) is not torch.nn.Linear:
            raise TypeError(f"merge() should return a torch.nn.Linear, it returned {type(plain).__name__}")
        seen[f"{moment}: weight"] = plain.weight.detach().clone()
        seen[f"{moment}: bias"] = plain.bias if plain.bias is None else plain.bias.detach().clone()
        seen[f"{moment}: output"] = plain(x).detach()
        seen[f"{moment}: own output"] = layer(x).detach()
        if moment == "merged":
            optimizer = torch.optim.SGD([p for p in layer.parameters() if p.requires_grad], lr=lr)
            for _ in range(steps):
                optimizer.zero_grad()
                (layer(x) * upstream).sum().backward()
                optimizer.step()
    seen |= {"A": layer.A.detach().clone(), "B": layer.B.detach().clone()}
    return seen | {"same": torch.equal(codes, layer.codes) and torch.equal(scales, layer.scales)}


@probe
def make(qlora_linear, bits, group_size, r, alpha):
    """The name of the type of a QLoRALinear of 12 inputs, where it can be made."""
    import torch

    return type(qlora_linear(torch.nn.Linear(12, 5), bits, group_size, r, alpha)).__name__


seen = wrap(
    QLoRALinear,
    torch.tensor([[0.8, -1.5, 0.0, 0.9], [3.0, 1.2, -0.2, 0.14]]),
    torch.tensor([10.0, 20.0]),
    3,
    2,
    2,
    3.0,
    torch.tensor([[1.0, 0.0, -1.0, 2.0], [0.0, 1.0, 0.0, 1.0]]),
    torch.tensor([[1.0, 0.0], [2.0, -1.0]]),
    torch.tensor([[1.0, 2.0, -1.0, 1.0]]),
    torch.tensor([[1.0, 1.0]]),
)
case = "weight [[0.8, -1.5, 0, 0.9], [3, 1.2, -0.2, 0.14]], bias [10, 20], 3 bits, groups of 2, r = 2, alpha = 3, "
case += "x = [1, 2, -1, 1]:"
wanted = {"A": [2, 4], "B": [2, 2]}
assert seen["trains"] == wanted, f"{case} the parameters that train should be {wanted}, they are {seen['trains']}"
expect.array(
    seen["first output"],
    [[8.9, 20 + 16 / 3]],
    f"{case} the output of the new module",
    1e-4,
    traps=[("use the codes, not W", [[8.7, 25.74]]), ("the bias is missing", [[-1.1, 16 / 3]])],
)
given = "A = [[1, 0, -1, 2], [0, 1, 0, 1]] and B = [[1, 0], [2, -1]]"
expect.array(
    seen["output"],
    [[14.9, 27.5 + 16 / 3]],
    f"{case} the output with {given}",
    1e-4,
    traps=[
        ("divide alpha by r", [[20.9, 35 + 16 / 3]]),
        ("the factor alpha / r is missing", [[12.9, 25 + 16 / 3]]),
        ("the low-rank part is missing", [[8.9, 20 + 16 / 3]]),
    ],
)
assert seen["gradients"][2] is not None, f"{case} no gradient reaches x: the layers before could not learn"
traps = [("the path through the dequantized weight counts, too", [[4.5, -1.5, -4.5, 7.5]])]
expect.array(seen["gradients"][2], [[8.5, -2, -4.7, 7.5 + 0.9 + 0.4 / 3]], f"{case} the gradient of x", 1e-4, 0, traps)
expect.array(
    seen["merged: weight"],
    [[2.5, -1.5, -1.5, 3.9], [6, -0.5, -3.2, 4.5 + 0.4 / 3]],
    f"{case} the weight of merge() with {given}",
    1e-4,
    traps=[
        ("the factor alpha / r is missing", [[2, -1.5, -1, 2.9], [5, 0, -2.2, 3 + 0.4 / 3]]),
        ("the low-rank part is missing", [[1, -1.5, 0, 0.9], [3, 1, -0.2, 0.4 / 3]]),
        ("add the change to the dequantized weight, not to W", [[2.3, -1.5, -1.5, 3.9], [6, -0.3, -3.2, 4.64]]),
    ],
)
assert seen["merged: bias"] is not None, f"{case} merge() should keep the bias"
expect.array(seen["merged: bias"], [10, 20], f"{case} the bias of merge()", 1e-4)
assert seen["same"], f"{case} three steps of SGD changed the codes or the scales"
passed("L7.10")
### BEGIN HIDDEN TESTS
generator = torch.Generator().manual_seed(710)
for inputs, outputs, group_size, bits, r, alpha, batch, with_bias in [
    (6, 6, 3, 4, 2, 4.0, (5,), True),
    (8, 4, 2, 3, 3, 1.0, (2, 3), True),
    (5, 9, 5, 8, 1, 16.0, (4,), False),
    (16, 16, 4, 2, 8, 8.0, (3, 2), False),
    (8, 5, 8, 5, 4, 0.5, (), True),
    (4, 3, 2, 3, 2, 3, (2,), True),
]:
    weight = torch.randn(outputs, inputs, generator=generator)
    bias = torch.randn(outputs, generator=generator) if with_bias else None
    a, b = torch.randn(r, inputs, generator=generator), torch.randn(outputs, r, generator=generator)
    x, upstream = torch.randn(*batch, inputs, generator=generator), torch.randn(*batch, outputs, generator=generator)
    given = (weight, bias, bits, group_size, r, alpha, a.clone(), b.clone(), x.clone(), upstream.clone())
    seen = wrap(QLoRALinear, *given, 0.01)
    case = f"{inputs} inputs, {outputs} outputs, {bits} bits, groups of {group_size}, r = {r}, alpha = {alpha}, "
    case += f"{'with' if with_bias else 'no'} bias:"

    wanted = {"A": [r, inputs], "B": [outputs, r]}
    assert seen["trains"] == wanted, f"{case} the parameters that train should be {wanted}, they are {seen['trains']}"
    first_a = np.asarray(seen["first A"])
    assert np.linalg.matrix_rank(first_a) == r, (
        f"{case} A should start random; its rows have rank {np.linalg.matrix_rank(first_a)}"
    )
    expect.array(seen["first B"], np.zeros((outputs, r)), f"{case} the new module's B", 0)

    top = 2 ** (bits - 1) - 1
    grid = weight.reshape(-1, group_size).abs().max(1).values / top
    zeros = torch.zeros(len(grid), dtype=torch.int32)
    rounded = torch.fake_quantize_per_channel_affine(weight.reshape(-1, group_size), grid, zeros, 0, -top, top)
    w = rounded.reshape(outputs, inputs).double().numpy()
    expect.array(seen["dequantized"], w, f"{case} dequantize()", 1e-5, 1e-5)
    a, b, x, g = (t.double().numpy() for t in (a, b, x, upstream))
    shift = bias.double().numpy() if with_bias else 0
    scale, rows, above = alpha / r, x.reshape(-1, inputs), g.reshape(-1, outputs)
    whole = w + scale * b @ a
    expect.array(seen["first output"], x @ w.T + shift, f"{case} the output of the new module", 1e-4, 1e-5)
    expect.array(seen["output"], x @ whole.T + shift, f"{case} the output after A and B were set", 1e-4, 1e-5)
    right = {"A": scale * b.T @ above.T @ rows, "B": scale * above.T @ rows @ a.T, "x": g @ whole}
    for (name, gradient), found in zip(right.items(), seen["gradients"], strict=True):
        assert found is not None, f"{case} no gradient reaches {name}"
        expect.array(found, gradient, f"{case} the gradient of {name}", 1e-3, 1e-4)
    expect.array(seen["merged: weight"], whole, f"{case} merged, the weight", 1e-5, 1e-5)

    for _ in range(3):
        step_a, step_b = scale * b.T @ above.T @ rows, scale * above.T @ rows @ a.T
        a, b = a - 0.01 * step_a, b - 0.01 * step_b
    expect.array(seen["A"], a, f"{case} A after three steps of SGD", 1e-3, 1e-3)
    expect.array(seen["B"], b, f"{case} B after three steps of SGD", 1e-3, 1e-3)
    assert seen["same"], f"{case} three steps of SGD changed the codes or the scales"
    whole = w + scale * b @ a
    expect.array(seen["trained and merged: weight"], whole, f"{case} the merged weight after SGD", 1e-3, 1e-3)
    for moment in ("merged", "trained and merged"):
        own, plain = (np.asarray(seen[f"{moment}: {whose}"]) for whose in ("own output", "output"))
        assert np.abs(plain - own).max() <= 1e-5 * (1 + np.abs(own).max()), (
            f"{case} {moment}, the output should equal the module's to 1e-5, it differs by {np.abs(plain - own).max():.2g}"
        )
        assert (seen[f"{moment}: bias"] is None) == (not with_bias), (
            f"{case} merge() should keep {'the' if with_bias else 'no'} bias"
        )
        if with_bias:
            expect.array(seen[f"{moment}: bias"], bias, f"{case} {moment}, the bias", 1e-6)

for bad in (0, -1, -2):
    expect.refuses(make, QLoRALinear, 4, 4, bad, 1.0, naming="r", of=f"r = {bad}")
for name, alpha in cases.not_above(0):
    expect.refuses(make, QLoRALinear, 4, 4, 2, alpha, naming="alpha", of=f"alpha = {name}")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: a 3-bit TinyGPT, mended
#
# QLoRA was made to teach a model something new in little memory. The same module can mend what rounding broke. The cell
# puts your module in place of all 24 matrices, with 3-bit codes in groups of 32, and trains $A$ and $B$ for 40 steps on
# the text that TinyGPT was trained on, once with rank 1 and once with rank 8. *Stored* counts the bits for each weight of
# the matrices: codes, FP16 scales and, once they are trained, $A$ and $B$ in FP16.


# %%
def with_qlora(bits, r):
    """TinyGPT with a QLoRALinear in place of every matrix of its layers, 16 for alpha."""
    torch.manual_seed(0)
    model = tinygpt.tiny_gpt().requires_grad_(False)
    for name, layer in tinygpt.linears(model).items():
        replace(model, name, QLoRALinear(layer, bits, 32, r, 16))
    return model


def record(name, model, bits, adapters):
    """Note bits stored per weight of the matrices, and bits per byte of the model."""
    layers = [layer for layer in model.modules() if isinstance(layer, QLoRALinear)]
    weights = sum(layer.codes.numel() for layer in layers)
    halves = sum(layer.scales.numel() + adapters * (layer.A.numel() + layer.B.numel()) for layer in layers)
    mended[name] = (bits + 16 * halves / weights, tinygpt.bits_per_byte(model, windows=windows))
    print(f"{name:24}  {mended[name][0]:.2f} bits stored per weight, {mended[name][1]:.3f} bits per byte")


print(f"{'TinyGPT as it is':24}  {frozen_old:.3f} bits per byte")
record("4-bit codes", with_qlora(4, 1), 4, adapters=False)
record("3-bit codes", with_qlora(3, 1), 3, adapters=False)
for r in (1, 8):
    repaired = with_qlora(3, r)
    fine_tune(repaired, 0.005, f"QLoRA {r}", steps=2 if GRADING else 40, text=tinygpt.training_text())
    record(f"3-bit codes, rank {r}", repaired, 3, adapters=True)
print(f"rank 8 beside a 4096 x 4096 matrix would store {2 * 4096 * 8 * 16 / 4096**2:.2f} bits per weight")

# %% [markdown]
# Not one code has moved, and most of what the rounding took is back. Rank 1 does most of it. Let it train longer, with
# `steps=100, batch=16`, and more comes back.
#
# Now look at the column of bits stored. In this narrow model rank 8 costs more than the fourth bit does, and the fourth bit
# helps more. The last line says why that is so here: the adapter's share of a matrix falls as the matrix grows.
#
# Can you merge the repair, as before? `merge()` gives floats. To have 3 bits again, you must round again:

# %%
rounded_again = copy.deepcopy(repaired)
moved, same = [], []  # the change of a weight, in steps between codes of its group; whether its code is the old one
for name, layer in repaired.named_modules():
    if isinstance(layer, QLoRALinear):
        again = QLoRALinear(layer.merge(), 3, 32, 1, 1)
        replace(rounded_again, name, again)
        added = (layer.merge().weight - layer.dequantize()).detach().reshape(*layer.scales.shape, -1)
        moved.append((added.abs() / layer.scales[:, :, None]).flatten())
        same.append((again.codes == layer.codes).flatten())
record("merged, rounded again", rounded_again, 3, adapters=False)
print(f"a typical weight was moved by {torch.cat(moved).median():.2f} steps between codes, ", end="")
print(f"{torch.cat(same).double().mean():.1%} of the codes are what they were")

# %% [markdown]
# The repair is gone. It moves a typical weight by far less than half a step, so nearly every weight is rounded back to
# the code that it had. A low-rank repair of rounding lives beside the codes, in floats, and is shipped that way.
#
# Two methods to read about, not built here. *DoRA* (Liu et al., 2024) splits each matrix into magnitudes and directions,
# trains the magnitudes as they are and the directions by LoRA, and reports better results than LoRA's on several large
# models; merged, it costs nothing at run time either. And a zero $B$ starts *exactly* at $\hat W$, which is no longer the
# model you had: *LoftQ* (Li et al., 2023) chooses codes, $A$ and $B$ together so that the start is close to $W$, and
# reports that this helps most at 2 bits.

# %% [markdown]
# ### Lab L7.11 · Derive · 1 point
#
# Scales cost memory, too. In QLoRA, blocks of 64 weights share one scale. In FP32 that is 32 bits for 64 weights, so 0.5
# bits per weight. *Double quantization* stores the scales themselves in 8 bits. They are taken in blocks of 256 scales,
# and each such block has one scale of its own, in FP32.
#
# How many bits per weight do all scales cost together now, both kinds, without the weights' own codes?
#
# Give the number to three significant digits, because wrong answers lie close to it. For comparison: with blocks of 128
# weights and blocks of 128 scales it is 0.0645.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_L7_11", "grade": false, "locked": false, "solution": true, "task": false}
ex_L7_11 = None
### BEGIN SOLUTION
# hint: Count the bits of both kinds for one block of 256 scales. How many weights does it serve?
# within: 0.5 %
ex_L7_11 = 8 / 64 + 32 / (64 * 256)
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_L7_11", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("L7.11", ex_L7_11)
### BEGIN HIDDEN TESTS
import numpy as np

scales = np.empty(2**20 // 64, np.uint8)
scales_of_scales = np.empty(len(scales) // 256, np.float32)
bits = 8 * (scales.nbytes + scales_of_scales.nbytes) / 2**20
expect.number(
    ex_L7_11,
    bits,
    traps={
        0.125: "the blocks of scales have a scale each, too",
        8 / 64 + 16 / (64 * 256): "the scale of a block of scales is in FP32, not in FP16",
        8 / 64 + 8 / (64 * 256): "the scale of a block of scales is in FP32, not in 8 bits",
        8 / 64 + 32 / 256: "a block of 256 scales serves 256 x 64 weights",
        32 / 64 + 8 / 256: "the scales of the weights are the ones in 8 bits",
        32 / 64 + 8 / (64 * 256): "the scales of the weights are the ones in 8 bits",
        0.5: "that is before the scales are quantized",
        0.5 + bits: "the scales in 8 bits replace those in FP32",
        0.5 - bits: "that is what is saved",
        4 + bits: "that counts the codes of the weights, too",
        bits / 8: "that is in bytes",
        bits * 64: "that is for one block of weights",
    },
    within=0.005,
)
### END HIDDEN TESTS

# %% [markdown]
# What it saves on 65 billion weights, counted block by block:

# %%
blocks = 65 * 10**9 // 64
before, after = 32 * blocks, 8 * blocks + 32 * (blocks // 256)
print(f"scales: {before / 8e9:.2f} GB in FP32, {after / 8e9:.2f} GB now, {(before - after) / 8e9:.2f} GB saved")

# %% [markdown]
# ## What you measured
#
# Your numbers, from your functions, on your machine:

# %%
print(f"a step of LoRA 8 takes {steps['LoRA 8'].seconds / steps['full'].seconds:.2f} x the time of a full one")
print(f"{'run':8}  {'trains':>8}  {'share':>6}  {'file, FP16':>10}  {'manual':>6}  {'source':>6}")
print(f"{'frozen':8}  {0:>8,}  {0:>6.1%}  {'-':>10}  {frozen_new:>6.3f}  {frozen_old:>6.3f}")
for name in adapted:
    print(
        f"{name:8}  {trains[name]:>8,}  {shares[name]:>6.1%}  {trains[name] * 2 / 1000:>7.0f} kB"
        f"  {new_bits[name]:>6.3f}  {old_bits[name]:>6.3f}"
    )

# %%
if mended:  # Lab L7.10
    print(f"{'TinyGPT':24}  {'bits per weight':>15}  {'bits per byte':>13}  {'lost':>6}")
    print(f"{'as it is, in FP16':24}  {16:>15.2f}  {frozen_old:>13.3f}")
for name, (stored_bits, bits) in mended.items():
    print(f"{name:24}  {stored_bits:>15.2f}  {bits:>13.3f}  {bits - frozen_old:>+6.3f}")

# %% [markdown]
# - Two thin matrices pay below the rank $mn / (m + n)$, and the first pieces of the SVD are the best there are.
# - A photograph is nearly of low rank. The weights of this language model are not.
# - What fine-tuning changes is much closer to it. LoRA trains only a change of low rank, from a start that changes nothing.
# - LoRA saves memory for gradients and Adam's averages, and a large file for each task. It saves little or nothing of a
#   step's time: the forward pass and most of the backward pass are the same, and the thin products come on top.
# - With $\alpha / r$ the change shrinks as the rank grows, with $\alpha / \sqrt{r}$ it keeps its size.
# - Merged, an adapter costs no time at all.
# - A frozen base can be integers. An adapter beside 3-bit codes brings back most of what they lost, as long as it stays
#   beside them: merged and rounded again, the repair is gone.
#
# ### Sources
#
# - E. J. Hu et al., LoRA: Low-Rank Adaptation of Large Language Models, 2021, arXiv:2106.09685: the method, the zero
#   start, the budget of 18 M numbers for GPT-3.
# - D. Kalajdzievski, A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA, 2023, arXiv:2312.03732: why the factor
#   should be $\alpha / \sqrt{r}$.
# - C. Eckart, G. Young, The approximation of one matrix by another of lower rank, Psychometrika 1, 1936: the best
#   approximation.
# - A. Aghajanyan, L. Zettlemoyer, S. Gupta, Intrinsic Dimensionality Explains the Effectiveness of Language Model
#   Fine-Tuning, 2020, arXiv:2012.13255: fine-tuning needs few dimensions.
# - D. Biderman et al., LoRA Learns Less and Forgets Less, 2024, arXiv:2405.09673: LoRA against full fine-tuning.
# - T. Dettmers, A. Pagnoni, A. Holtzman, L. Zettlemoyer, QLoRA: Efficient Finetuning of Quantized LLMs, 2023,
#   arXiv:2305.14314: LoRA beside 4-bit codes, double quantization, 65 B parameters on one card of 48 GB.
# - S.-Y. Liu et al., DoRA: Weight-Decomposed Low-Rank Adaptation, 2024, arXiv:2402.09353: magnitudes and directions.
# - Y. Li et al., LoftQ: LoRA-Fine-Tuning-Aware Quantization for Large Language Models, 2023, arXiv:2310.08659: codes, $A$
#   and $B$ chosen together.
# - The photograph is by Daniel Buechele (danielbuechele on Flickr), CC BY 2.0, and comes with scikit-learn. The manual is
#   that of the Python Software Foundation and comes with Python.
