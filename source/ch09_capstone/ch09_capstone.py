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
# # Chapter 9 · Capstone
#
# A model has 13 billion parameters. In FP16 that is 26 GB. Your card has 8 GB, and the model's context and activations need
# some of that. You have to make it at least 3.25 times smaller, and it must still be worth running.
#
# One method alone can close that gap: four bits in place of sixteen fit, if only just. To leave room for a context, and to
# lose little, you combine methods. In this chapter you work out what a combination is worth, find the order in which the
# steps belong, learn which layers can give up bits, and draw what you gain against what you pay. At the end you write a
# compressor that makes a real file, and the class compares results.
#
# How to work: read, answer in the cell marked *your code here*, run the cell below it. It answers at once. What holds for
# every exercise, such as types and bad input, stands once in Chapter 0.
#
# Time: 1 to 3 hours for the core, 3 to 10 more for the labs. You need Chapters 0, 1, 2
# and 4, and systems of equations. The challenge may use all that you built in Chapters 2 to 7.

# %% nbgrader={"schema_version": 3, "grade_id": "setup", "grade": false, "locked": true, "solution": false, "task": false} tags=["setup"]
from course import ready

ready(9)

# %%
import os
import tempfile

import numpy as np
import torch
from torch.nn.utils import prune
from tqdm.auto import tqdm

from course import GRADING, challenge, models, tinygpt
from course.figures import Predict
from course.figures import capstone as draw

torch.set_num_threads(1)  # networks this small run faster on one core
PARAMS = 13e9

# %% [markdown]
# ## 1. One method, or several?
#
# What each method makes of the 26 GB. Each group of weights carries an FP16 scale and a zero-point of as many bits (Chapter
# 2). While it writes, the model also keeps the keys and values of its context: with 40 layers 5,120 wide, 2,048 tokens take
# 1.7 GB in FP16 (Chapter 0). What rounding costs is measured here, on TinyGPT. What pruning costs depends on the repair, and
# is measured in Section 4.


# %%
def rounded(w, bits, scale=None, group_size=None):
    """w on a symmetric grid for each group of a row (for each row if no size is given), by PyTorch; and the scales."""
    groups, qmax = w.detach().reshape(-1, group_size or w.shape[1]), 2 ** (bits - 1) - 1
    scale = (groups.abs().amax(1) / qmax).clamp(min=1e-9) if scale is None else scale
    zeros = torch.zeros(len(scale), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(groups, scale, zeros, 0, -qmax, qmax).reshape(w.shape), scale


def affine(w, bits, group_size):
    """w on a grid with a zero-point for each group of a row."""
    groups = w.detach().reshape(-1, group_size)
    low, high = groups.amin(1).clamp(max=0), groups.amax(1).clamp(min=0)
    scale = (high - low) / (2**bits - 1)
    zero_point = (-low / scale).round().int()
    return torch.fake_quantize_per_channel_affine(groups, scale, zero_point, 0, 0, 2**bits - 1).reshape(w.shape)


windows = 2 if GRADING else 64
uncompressed = tinygpt.bits_per_byte(tinygpt.tiny_gpt(), windows=windows)
context_gb = 2 * 40 * 5120 * 2048 * 2 / 1e9
print(f"needed: 26 GB on {draw.CARD_GB} GB is a ratio of {26 / draw.CARD_GB:.2f}\n")
print(f"{'':36}  {'GB':>5}  ratio  fits  with context  bits per byte more")
for method, bits_left, rounding in [
    ("INT8, groups of 128", 8 + 32 / 128, (8, 128)),
    ("half of the channels pruned, FP16", 16 / 2, None),
    ("INT4, groups of 32", 4 + 32 / 32, (4, 32)),
    ("INT4, groups of 128", 4 + 32 / 128, (4, 128)),
    ("INT3, groups of 128", 3 + 32 / 128, (3, 128)),
    ("a fifth pruned, INT4, groups of 128", (4 + 32 / 128) * 0.8, None),
]:
    size, cost = PARAMS * bits_left / 8 / 1e9, "(Section 4)"
    if rounding:
        model = tinygpt.tiny_gpt()
        for layer in tinygpt.linears(model).values():
            layer.weight.data.copy_(affine(layer.weight, *rounding))
        cost = f"{tinygpt.bits_per_byte(model, windows=windows) - uncompressed:+.3f}"
    alone, both = ("yes" if gb <= draw.CARD_GB else "no" for gb in (size, size + context_gb))
    print(f"{method:36}  {size:5.2f}  {26 / size:4.2f}x  {alone:4}  {both:12}  {cost:>18}")

# %% [markdown]
# INT4 in groups of 128 fits, and leaves about a gigabyte: too little for that context. Three bits leave enough, and cost
# several times as much. The last line leaves nearly as much room as three bits and keeps the finer grid of four. So combine.
# But what is a combination worth, and what does it cost?

# %% [markdown]
# ### Exercise 9.1 · Derive · 1 point
#
# A model of 26 GB in FP16 loses 50 % of its weights by structured pruning: whole channels go, and nothing has to be stored
# for them. Then what is left goes from FP16 to INT4. What is the total compression ratio? (Count the codes alone.)
#
# For comparison: 25 % structured pruning, then 6 bits in place of 16, gives 3.56.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_9_1", "grade": false, "locked": false, "solution": true, "task": false}
ex_9_1 = None
### BEGIN SOLUTION
# hint: How many GB are left after the first step? Which share of these is left after the second?
ex_9_1 = 26 / (26 * 0.5 * 4 / 16)
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_9_1", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("9.1", ex_9_1)
### BEGIN HIDDEN TESTS
parameters = 26e9 / 2  # two bytes each
expect.number(
    ex_9_1,
    26e9 * 8 / (parameters / 2 * 4),
    traps={
        6: "ratios multiply; 2 and 4 were added",
        3.25: "those are the GB that are left; the ratio is 26 over them",
        0.125: "that is the share that is left; the ratio is one over it",
        4: "that is the second step alone",
        2: "that is the first step alone",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# Each step keeps a share of what the step before it left. So the shares multiply, and so do the ratios. But only of what
# both steps shrink. Pruning single weights leaves zeros scattered about: their places have to be stored too, and a mask takes
# one bit for each weight, kept or not. No later step makes it smaller. Nor do scales shrink with the codes:

# %%
for method, bits_left in [
    ("half pruned in channels, then 4 bits", 0.5 * 4),
    ("the same, with scales in groups of 128", 0.5 * (4 + 32 / 128)),
    ("half pruned weight by weight, with mask and scales", 0.5 * 4 + 1 + 32 / 128),
]:
    print(f"{method:50}  {bits_left:5.3f} bits a weight  {16 / bits_left:4.2f}x")

# %% [markdown]
# ## 2. Which order?
#
# The product of the ratios does not depend on which step came first. The weights do.

# %% [markdown]
# ### Exercise 9.2 · Trace · 1 point
#
# You will prune, fine-tune and quantize. In which order, and why?
#
# - **A** Quantize, prune, fine-tune: the last step repairs the damage of both.
# - **B** Prune, fine-tune, quantize: the grid must fit the weights that ship.
# - **C** Fine-tune, prune, quantize: pruning must find the best weights there are.
# - **D** Any order: the ratios multiply, so the result is the same.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_9_2", "grade": false, "locked": false, "solution": true, "task": false}
ex_9_2 = None
### BEGIN SOLUTION
# hint: After which step may no weight move any more?
ex_9_2 = "B"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_9_2", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("9.2", ex_9_2)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_9_2,
    "B",
    because={
        "A": "fine-tuning moves the weights off the grid, so they cannot be stored in few bits any more",
        "C": "fine-tuning before pruning repairs nothing: the damage is not done yet",
        "D": "the size is the same in any order, the weights are not",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# See it on one row of weights. They are rounded to 4 bits, half of them are pruned, and then a fine-tuning step changes
# each of the others a little. How many are still on one of the 15 levels of the grid?

# %%
rng = np.random.default_rng(0)
row = rng.normal(0, 1, 1000)
scale = np.abs(row).max() / 7
on_grid = np.round(row / scale) * scale
kept = np.abs(on_grid) > np.median(np.abs(on_grid))
tuned = np.where(kept, on_grid + rng.normal(0, 0.05, 1000), 0)
for name, w in [("after rounding", on_grid), ("after pruning and fine-tuning", tuned)]:
    steps = w[w != 0] / scale
    print(f"{name:30} {np.isclose(steps, np.round(steps)).mean():4.0%} of the weights that are not 0 are on the grid")

# %% [markdown]
# ## 3. Fewer bytes, less time
#
# A model that writes one token at a time reads all its weights for every token. So the time of a token is the bytes of the
# weights over the memory's bandwidth (Chapter 0), and a ratio of bytes is a ratio of time.
#
# Distillation (Chapter 6) changes the other factor of the size: the student has fewer parameters.

# %% [markdown]
# ### Exercise 9.3 · Derive · 1 point
#
# A teacher of 70 B parameters in FP16 takes 100 ms for a token. Its student has 7 B parameters and is quantized to INT8.
# What is the student's ideal time for a token, in ms?
#
# For comparison: a student of 35 B parameters in FP16 takes 50 ms.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_9_3", "grade": false, "locked": false, "solution": true, "task": false}
ex_9_3 = None
### BEGIN SOLUTION
# hint: How many bytes does each of the two read for one token?
ex_9_3 = 100 * (7e9 * 1) / (70e9 * 2)
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_9_3", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("9.3", ex_9_3)
### BEGIN HIDDEN TESTS
teacher_gb, student_gb = 70 * 16 / 8, 7 * 8 / 8
bandwidth = teacher_gb / 100  # GB per ms
expect.number(
    ex_9_3,
    student_gb / bandwidth,
    traps={
        10: "that is the student in FP16; INT8 halves its bytes",
        50: "that is the teacher in INT8; the student also has a tenth of the parameters",
        2.5: "that is INT4",
        20: "that is the ratio; the time is 100 ms over it",
        0.05: "that is the share; give the time in ms",
        80: "shares multiply; they are not taken off one after the other",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# At batch 1 the memory sets this time: the student has 20 times fewer bytes to read. Its arithmetic shrinks too, but only
# with the parameters, by 10, and takes far less time than reading. That changes with the batch: the weights are read once
# for all of its sequences, and the arithmetic is done for each. From the batch in the last line on, fewer bytes save nothing
# (with 312 TFLOPS, an A100's FP16):

# %%
teacher, student = 70e9 * 2, 7e9 * 1
bandwidth = teacher / 0.100
reading, computing = student / bandwidth, 2 * 7e9 / 312e12
print(f"the teacher: {teacher / 1e9:.0f} GB in 100 ms, so at least {bandwidth / 1e12:.1f} TB/s of memory bandwidth")
print(f"the student: {student / 1e9:.0f} GB, {teacher / student:.0f} times fewer bytes, {1000 * reading:.0f} ms")
print(f"its 14 billion operations: {1000 * computing:.3f} ms; as long as reading at batch {reading / computing:.0f}")

# %% [markdown]
# ### Exercise 9.4 · Build · 2 points
#
# `compressed_size_gb(params, original_bits, prune_fraction, quant_bits)` returns the size in GB ($10^9$ bytes) of a model
# when the share `prune_fraction` of its parameters is pruned away, structure and all, and the others are stored in
# `quant_bits` bits instead of `original_bits`. Bits may be fractions: 4 bits with an FP16 scale for each group of 64 are 4.25.
#
# Raise `ValueError`, naming the argument, when `params` is negative, `prune_fraction` is outside $[0, 1]$, `original_bits`
# or `quant_bits` is less than 1, or `quant_bits` is greater than `original_bits`: that would not be compression.
#
# Example: `compressed_size_gb(13e9, 16, 0.5, 4)` is 3.25, `compressed_size_gb(13e9, 16, 0, 16)` is 26, and
# `compressed_size_gb(7e9, 32, 0.25, 8)` is 5.25.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_9_4", "grade": false, "locked": false, "solution": true, "task": false}
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    """Return the size in GB after structured pruning of a share of params and quantization to quant_bits bits."""
    ### BEGIN SOLUTION
    if not params >= 0:
        raise ValueError(f"params must not be negative, got {params}")
    if not 0 <= prune_fraction <= 1:
        raise ValueError(f"prune_fraction must be between 0 and 1, got {prune_fraction}")
    if not original_bits >= 1:
        raise ValueError(f"original_bits must be at least 1, got {original_bits}")
    if not 1 <= quant_bits <= original_bits:
        raise ValueError(f"quant_bits must be between 1 and {original_bits}, got {quant_bits}")
    return params * (1 - prune_fraction) * quant_bits / 8 / 1e9
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_9_4", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
from course import expect
from course.check import passed

expect.array(compressed_size_gb(13e9, 16, 0.5, 4), 3.25, "compressed_size_gb(13e9, 16, 0.5, 4)", 1e-9)
expect.array(compressed_size_gb(13e9, 16, 0, 16), 26.0, "compressed_size_gb(13e9, 16, 0, 16)", 1e-9)
found, traps = compressed_size_gb(7e9, 32, 0.25, 8), [("a quarter is pruned away, the rest is kept", 1.75)]
expect.array(found, 5.25, "compressed_size_gb(7e9, 32, 0.25, 8)", 1e-9, traps=traps)
expect.refuses(compressed_size_gb, 7e9, 16, 25, 8, naming="prune_fraction", of="prune_fraction = 25")
passed("9.4")
### BEGIN HIDDEN TESTS
from fractions import Fraction

from course import cases

for params, original_bits, pruned, quant_bits in [
    (7e9, 16, 0.25, 8),
    (7e9, 32, 0.25, 8),
    (70_000_000_000, 16, 0.9, 3),
    (1000, 32, 0.125, 1),
    (13e9, 8, 0.5, 8),
    (13e9, 16, 1, 4),
    (13e9, 16, 0, 4),
    (0, 16, 0.5, 4),
    (5e9, 16, 0.75, 4.25),
    (3, 1.5, 0.5, 1),
]:
    exact = Fraction(params) * (1 - Fraction(pruned)) * Fraction(quant_bits) / 8 / 10**9
    of = f"compressed_size_gb({params:g}, {original_bits}, {pruned}, {quant_bits})"
    expect.array(compressed_size_gb(params, original_bits, pruned, quant_bits), float(exact), of, 1e-12, 1e-6)
finite = lambda pairs: [(name, value) for name, value in pairs if abs(value) < 1e9]
for value in (-1, -1e-6):
    expect.refuses(compressed_size_gb, value, 16, 0.5, 4, naming="params", of=f"params = {value:g}")
for name, value in [*finite(cases.not_between(0, 1)), ("50", 50)]:
    expect.refuses(compressed_size_gb, 1e9, 16, value, 4, naming="prune_fraction", of=f"prune_fraction = {name}")
for name, value in finite(cases.not_at_least(1)):
    expect.refuses(compressed_size_gb, 1e9, 16, 0.5, value, naming="quant_bits", of=f"quant_bits = {name}")
    either, of = "original_bits or quant_bits", f"original_bits = {name} and quant_bits = "
    expect.refuses(compressed_size_gb, 1e9, value, 0.5, value, naming=either, of=f"{of}{name}")
    expect.refuses(compressed_size_gb, 1e9, value, 0.5, 4, naming=either, of=f"{of}4")
for original, quantized in [(16, 32), (4, 4.25)]:
    of = f"original_bits = {original} and quant_bits = {quantized}"
    expect.refuses(compressed_size_gb, 1e9, original, 0.5, quantized, naming=either, of=of)
### END HIDDEN TESTS

# %% [markdown]
# ### See it: does it fit?
#
# The 13 B model, through your function. How much has to be pruned at 8 bits, and how much at 4, to leave 4 GB free?

# %%
draw.fits(compressed_size_gb, PARAMS)

# %% [markdown]
# ## 4. Compose
#
# A single layer is enough to see the three steps: a matrix of weights $W$ of shape (out, in), and inputs $X$ of shape
# (samples, in) that it meets in use. All three steps work row by row, that is, output by output.
#
# 1. *Prune*: keep the $\lfloor \text{in} / 2 \rfloor$ weights of largest magnitude, set the others to 0.
# 2. *Fine-tune*: move the kept weights $v$ so that the output is close to what it was, without going far. That has an exact
#    solution:
#    $$\min_v\; \lVert X w - X_S v \rVert^2 + \lambda \lVert v - w_S \rVert^2 \quad\Rightarrow\quad
#    (X_S^\top X_S + \lambda I)\, v = X_S^\top X w + \lambda w_S ,$$
#    where $S$ are the kept columns and $\lambda$ is a tenth of the mean of the diagonal of $X^\top X$.
# 3. *Quantize*: symmetric INT4, one scale for each row, its largest magnitude over 7.

# %% [markdown]
# ### Exercise 9.5 · Debug · 3 points
#
# Someone combined the three. `to_int4`, which does step 3, is right. `broken_compress` runs, and it is wrong:

# %%
import inspect


def to_int4(w):
    scale = np.abs(w).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(w / scale) * scale


def broken_compress(model):
    w, x = model["weight"], model["inputs"]
    w = to_int4(w)
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    return small


for number, text in enumerate(inspect.getsource(broken_compress).splitlines(), start=1):
    print(f"{number:2}  {text}")
example = {
    "weight": np.array([[0.9, 0.3, -0.1, 0.2]]),
    "inputs": np.array([[1.0, 0, 1, 0], [0, 1, 0, 1], [0, 1, 1, 1]]),
}
print("\nbroken_compress(example) =", broken_compress(example))

# %% [markdown]
# 1. Set `ex_9_5_line` to the number of the first wrong line (1 point).
# 2. Write the repaired function as `compress(model)`: the weights that ship, shape (out, in), floats even where the given
#    weights are whole numbers (2 points).
#
# `model` and its arrays stay as they are. A row of nothing but zeros comes back as zeros. The inputs are a row for each
# sample, a column for each weight of a row; raise `ValueError`, naming `inputs`, when they do not have as many columns as the
# weights.
#
# Example: for the `example` above, `compress(example)` is about `[[0.8149, 0.4657, 0, 0]]`.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_9_5", "grade": false, "locked": false, "solution": true, "task": false}
ex_9_5_line = None


def compress(model):
    """Return the weights (out, in) of a layer pruned by half, fine-tuned on its inputs and rounded to INT4."""
    ### BEGIN SOLUTION
    w, x = np.asarray(model["weight"], dtype=float), np.asarray(model["inputs"], dtype=float)
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(f"inputs must have shape (samples, {w.shape[1]}), got {x.shape}")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_9_5_line", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check_line

check_line("9.5", ex_9_5_line)
### BEGIN HIDDEN TESTS
expect.line(ex_9_5_line, 3)
### END HIDDEN TESTS

# %% nbgrader={"schema_version": 3, "grade_id": "test_9_5", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import numpy as np

from course import expect
from course.check import passed

example = {
    "weight": np.array([[0.9, 0.3, -0.1, 0.2]]),
    "inputs": np.array([[1.0, 0, 1, 0], [0, 1, 0, 1], [0, 1, 1, 1]]),
}
expect.array(compress(example), [[0.8149, 0.4657, 0, 0]], "compress(example)", 1e-3)
two_rows = {
    "weight": np.array([[0.4, -1.2, 0.7, 0.1], [0.05, 0.02, -0.08, 0.03]]),
    "inputs": np.array([[1.0, 2, 0, 1], [0, 1, 1, 0], [2, 0, 1, -1]]),
}
traps = [
    ("the weights are rounded before they are pruned", [[0, -1.0356, 0.8346, 0], [0.0515, 0, -0.0898, 0]]),
    ("nothing is rounded", [[0, -1.0574, 0.9372, 0], [0.0551, 0, -0.0886, 0]]),
    ("each row has a scale of its own", [[0, -1.0574, 0.9064, 0], [0, 0, -0.1511, 0]]),
    ("the grid is that of the old weights", [[0, -1.0286, 0.8571, 0], [0.0571, 0, -0.08, 0]]),
    ("nothing is fine-tuned", [[0, -1.2, 0.6857, 0], [0.0457, 0, -0.08, 0]]),
]
right = [[0, -1.0574, 0.9064, 0], [0.0506, 0, -0.0886, 0]]
expect.array(compress(two_rows), right, "compress of two rows and three samples", 1e-3, traps=traps)
passed("9.5")
### BEGIN HIDDEN TESTS
import torch
from sklearn.linear_model import Ridge

from course import cases


def shipped(w, x):
    """By scikit-learn's ridge regression of what pruning lost, and PyTorch's rounding."""
    small = np.zeros_like(w)
    for row, weights in enumerate(w):
        columns = sorted(range(len(weights)), key=lambda column: -abs(weights[column]))[: len(weights) // 2]
        lost = np.delete(np.arange(len(weights)), columns)
        fit = Ridge(alpha=0.1 * (x**2).sum(0).mean(), fit_intercept=False, solver="svd")
        small[row, columns] = weights[columns] + fit.fit(x[:, columns], x[:, lost] @ weights[lost]).coef_
    scale = torch.tensor(np.abs(small).max(1) / 7, dtype=torch.float32)
    zeros = torch.zeros(len(scale), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(torch.tensor(small).float(), scale, zeros, 0, -7, 7).numpy()


rng = np.random.default_rng(95)
for out, n, samples in [(4, 12, 60), (7, 9, 40), (3, 32, 20), (1, 6, 30), (5, 8, 8)]:
    w = rng.normal(0, 1, (out, n)) * rng.choice([0.05, 1.0], (out, 1))
    w[0] *= 1e-4 / np.abs(w[0]).max()
    x = rng.normal(size=(samples, 2)) @ rng.normal(size=(2, n)) + 0.7 * rng.normal(size=(samples, n))
    x *= rng.choice([0.3, 1, 3], n)
    model = {"weight": w.copy(), "inputs": x.copy()}
    of = f"compress of {out} x {n} weights and {samples} inputs"
    returned = compress(model)
    assert set(model) == {"weight", "inputs"}, f"the function changed model: it has {', '.join(map(str, model))} now"
    expect.unchanged(model["weight"], w, 'model["weight"]')
    expect.unchanged(model["inputs"], x, 'model["inputs"]')
    assert returned is not None, f"{of} returned nothing"
    returned = np.asarray(returned, dtype=float)
    assert returned.shape == w.shape, f"{of} should have shape {w.shape}, it has {returned.shape}"
    for row, weights in enumerate(returned):
        steps = weights / (np.abs(weights).max() / 7 or 1)
        assert np.abs(steps - np.round(steps)).max() < 1e-3, (
            f"{of}: row {row} holds values that are no whole number of its steps, a seventh of its largest weight: "
            "4 bits cannot store it. Nothing may change after the rounding, and the grid must fit what ships"
        )
        left = (weights != 0).sum()
        assert left <= n // 2, f"{of}: row {row} has {left} weights, it may have {n // 2}"
    unit = np.abs(w).max(1, keepdims=True)  # rows of small weights count as much as others
    expect.array(returned / unit, shipped(w, x) / unit, f"{of}, each row over its largest weight,", 1e-4, 2e-3)
whole = np.array([[5, -3, 1, 8, 0, -2], [40, 7, -11, 2, -25, 1]])
x = rng.integers(-3, 4, (20, 6))
for kind, w in cases.forms(whole):
    if kind in ("in int64", "in int32", "in int8", "in float32", "stored column by column"):
        of = f"compress of weights {kind}"
        expect.array(compress({"weight": w, "inputs": x}), shipped(1.0 * whole, 1.0 * x), of, 1e-3, 2e-3)
w, x = np.vstack([np.zeros(6), rng.normal(size=6)]), rng.normal(size=(30, 6))
expect.array(np.asarray(compress({"weight": w, "inputs": x}))[0], np.zeros(6), "compress of a row of zeros: the row")
for what, inputs in [
    ("6 columns of weights and 5 of inputs", x[:, :5]),
    ("6 columns of weights and 7 of inputs", np.ones((30, 7))),
    ("6 columns of weights and 1 of inputs", x[:, :1]),
    ("inputs with a row, not a column, for each of 6 weights", x.T),
]:
    expect.refuses(compress, {"weight": w, "inputs": inputs}, naming="inputs", of=what)
### END HIDDEN TESTS

# %% [markdown]
# ### Exercise 9.6 · Design · 1 point
#
# A whole project has six steps. Three of them you have put in order; where do the other three belong? Two of them measure:
# what does each need to have before it, and who needs its result? Put all six keys in order:
#
# - `deploy`: ship the file
# - `quantize`: round the weights to the grid
# - `evaluate`: measure the compressed model on held-out data, from the file that ships
# - `profile`: measure which layers hold the size, the time and the quality of the model as it is
# - `finetune`: repair the damage by training what is left
# - `prune`: remove what matters least

# %% nbgrader={"schema_version": 3, "grade_id": "ex_9_6", "grade": false, "locked": false, "solution": true, "task": false}
ex_9_6 = None
### BEGIN SOLUTION
# hint: One measurement says what can go, the other what became of it. After which step may no weight move any more?
ex_9_6 = ["profile", "prune", "finetune", "quantize", "evaluate", "deploy"]
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_9_6", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("9.6", ex_9_6)
### BEGIN HIDDEN TESTS
expect.order(
    ex_9_6,
    ["profile", "prune", "finetune", "quantize", "evaluate", "deploy"],
    why="measure first; fine-tuning repairs pruning and moves weights, so rounding comes after it; measure what ships",
)
### END HIDDEN TESTS

# %% [markdown]
# ### See it: the order, measured
#
# First on digits, with real training. Nine tenths of the weights go, the rest is fine-tuned for ten epochs, and 3 bits
# remain. In the reversed order the grid is made first. The fine-tuned weights are off that grid, so to be stored they have to
# go back onto it. The first column is the accuracy just before the weights are stored, the second that of the stored ones.


# %%
def quantize_layers(layers, bits, scales=None):
    """Round the weights of the layers in place, onto given grids or new ones; return the grids."""
    used = []
    for layer, scale in zip(layers, scales or [None] * len(layers)):
        w_hat, scale = rounded(layer.weight, bits, scale)
        layer.weight.data.copy_(w_hat)
        used.append(scale)
    return used


def prune_layers(layers, share):
    """Set the smallest weights of each layer to 0 in place; return their masks."""
    masks = []
    for layer in layers:
        prune.l1_unstructured(layer, "weight", amount=share)
        masks.append(layer.weight_mask.clone())
        prune.remove(layer, "weight")
    return masks


SEEDS, EPOCHS = ((0,), 1) if GRADING else ((0, 1, 2), 10)
ORDERS = ("prune, fine-tune, quantize", "quantize, prune, fine-tune", "prune, quantize", "quantize, prune")
digits_by_order, before_storing = ({order: [] for order in ORDERS} for _ in range(2))
for seed in tqdm(SEEDS, desc="digits", leave=False, disable=GRADING):
    for order, shares in digits_by_order.items():
        net, grids, masks = models.trained_mlp(seed), None, None
        layers = list(net[::2])
        for step in order.split(", "):
            if step == "prune":
                masks = prune_layers(layers, 0.9)
            elif step == "quantize":
                grids = quantize_layers(layers, 3)
            else:
                named = {f"{2 * place}.weight": mask for place, mask in enumerate(masks)}
                models.train(net, epochs=EPOCHS, masks=named, seed=seed)
        before_storing[order].append(models.accuracy(net))
        quantize_layers(layers, 3, grids)  # what ships is on the grid
        shares.append(models.accuracy(net))
for order, shares in digits_by_order.items():
    seeds = ", ".join(f"{share:.1%}" for share in shares)
    print(f"{order:28} {np.mean(before_storing[order]):6.1%}  stored {np.mean(shares):6.1%} ({seeds})")

# %% [markdown]
# In the second row the two columns differ. Whoever evaluates after the fine-tuning reports the first number and ships the
# second.
#
# Now TinyGPT, layer by layer: your `compress` against the function you repaired. Each layer gets the inputs that reach it
# once the blocks before it are compressed. Both functions prune half and store 4 bits. The lower two rows leave the
# fine-tuning out.


# %%
calibration = tinygpt.windows(tinygpt.training_text(), 2 if GRADING else 32, seed=0)[:, :-1]


def inputs_of(model, names):
    """What flows into the named layers while the model reads the calibration text: {name: (samples, in)}."""
    caught = {}
    keep = lambda name: lambda layer, args: caught.__setitem__(name, args[0].flatten(0, 1).double().numpy())
    hooks = [tinygpt.linears(model)[name].register_forward_pre_hook(keep(name)) for name in names]
    with torch.no_grad():
        model(calibration)
    for hook in hooks:
        hook.remove()
    return caught


def composed(change):
    """TinyGPT with change(weight, inputs) of each layer, block after block."""
    model = tinygpt.tiny_gpt()
    layers = tinygpt.linears(model)
    for block in range(1 if GRADING else len(model.blocks)):
        names = [name for name in layers if name.startswith(f"blocks.{block}.")]
        inputs = inputs_of(model, names[:1] if GRADING else names)
        for name, x in inputs.items():
            w_hat = change(layers[name].weight.detach().double().numpy(), x)
            layers[name].weight.data.copy_(torch.as_tensor(np.asarray(w_hat)))
    return model


def onto_old_grid(w, w_hat):
    scale = np.abs(w).max(axis=1, keepdims=True) / 7
    return np.clip(np.round(w_hat / scale), -7, 7) * scale


def halved(w):
    kept = torch.as_tensor(np.abs(w)).topk(w.shape[1] // 2, dim=1).indices
    return np.where(torch.zeros(w.shape).scatter_(1, kept, 1.0).numpy() > 0, w, 0)


ways = {
    "prune, fine-tune, quantize": lambda w, x: compress({"weight": w, "inputs": x}),
    "quantize, prune, fine-tune": lambda w, x: onto_old_grid(w, broken_compress({"weight": w, "inputs": x})),
    "prune, quantize": lambda w, x: to_int4(halved(w)),
    "quantize, prune": lambda w, x: halved(to_int4(w)),
}
gpt_by_order = {}
for order, change in tqdm(ways.items(), desc="TinyGPT", leave=False, disable=GRADING):
    gpt_by_order[order] = tinygpt.bits_per_byte(composed(change), windows=windows)
    print(f"{order:28} {gpt_by_order[order]:.3f} bits per byte, {uncompressed:.3f} as trained")
draw.orders(digits_by_order, gpt_by_order, uncompressed)

# %% [markdown]
# Fine-tuning does most of the work, and with it the grid has to come last. Losing half its weights costs a model this small
# a lot: compare with the dashed line. And look at the dots before you compare two rows: without fine-tuning, they lie
# further apart within a row than the two rows do, and three seeds cannot tell the two orders apart.

# %% [markdown]
# ## 5. Which layer can give up bits?
#
# So far every layer got the same bits. But layers differ. To find out how much each one matters, compress one layer at a
# time and look at the loss.
#
# ### Lab L9.7 · Build · 3 points
#
# `layer_sensitivity(model, quantize_layer, evaluate)` returns `{name: loss increase}` for every `nn.Linear` of `model`, with
# the names that `model.named_modules()` gives.
#
# `quantize_layer(layer)` changes a layer in place; it may change its bias as well. `evaluate(model)` returns the loss of a
# model, a number. The loss increase of a layer is the loss of the model in which that layer alone is changed, less the loss of
# the model as it is. Afterwards every parameter of `model` must be what it was, bit by bit.
#
# Example: for `nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1))` the result has the keys `"0"` and `"2"`. An
# increase can be negative.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L9_7", "grade": false, "locked": false, "solution": true, "task": false}
def layer_sensitivity(model, quantize_layer, evaluate):
    """Return {name: evaluate's increase when quantize_layer changed this nn.Linear alone}; model stays as it is."""
    ### BEGIN SOLUTION
    before, increases = float(evaluate(model)), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            kept = {part: value.clone() for part, value in layer.state_dict().items()}
            quantize_layer(layer)
            increases[name] = float(evaluate(model)) - before
            layer.load_state_dict(kept)
    return increases
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L9_7", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
from course import expect
from course.check import passed
from course.probe import probe


@probe
def sensitivity_of_two(layer_sensitivity):
    """The loss is (y - 20)**2 with y = 5 (3 + 1) + 2; to change a layer is to halve its weight and drop its bias."""
    import torch
    from torch import nn

    model = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.Identity(), nn.Linear(1, 1)))
    with torch.no_grad():
        for parameter, number in zip(model.parameters(), (3.0, 1.0, 5.0, 2.0)):
            parameter.fill_(number)

    def quantize_layer(layer):
        with torch.no_grad():
            layer.weight.mul_(0.5)
            layer.bias.zero_()

    def evaluate(model):
        with torch.no_grad():
            return (model(torch.ones(1, 1)).item() - 20) ** 2

    found = layer_sensitivity(model, quantize_layer, evaluate)
    after = [parameter.item() for parameter in model.parameters()]
    return ({str(k): float(v) for k, v in found.items()} if isinstance(found, dict) else type(found).__name__), after


@probe
def sensitivity_of(layer_sensitivity, state, x, shape):
    """Run it on a small model: its answer as plain numbers, and the model's parameters afterwards."""
    from collections import OrderedDict

    import torch
    from torch import nn

    wide, deep = shape
    rest = nn.Sequential(*(nn.Sequential(nn.Tanh(), nn.Linear(wide, wide)) for _ in range(deep)))
    body = nn.Sequential(OrderedDict(first=nn.Linear(4, wide), norm=nn.LayerNorm(wide), rest=rest))
    model = nn.Sequential(OrderedDict(body=body, head=nn.Linear(wide, 2, bias=False)))
    if state is None:
        return {name: list(value.shape) for name, value in model.state_dict().items()}
    model.to(x.dtype).load_state_dict(state)

    def quantize_layer(layer):
        with torch.no_grad():
            layer.weight.copy_((4 * layer.weight).round() / 4)
            if layer.bias is not None:
                layer.bias.add_(0.25)

    def evaluate(model):
        with torch.no_grad():
            return model(x).square().mean().item()

    found = layer_sensitivity(model, quantize_layer, evaluate)
    after = {name: value.detach().clone() for name, value in model.state_dict().items()}
    if not isinstance(found, dict):
        return type(found).__name__, after
    return {str(name): float(value) for name, value in found.items()}, after


found, after = sensitivity_of_two(layer_sensitivity)
assert isinstance(found, dict), f"layer_sensitivity should return a dict, it returned {found}"
assert sorted(found) == ["0", "1.1"], f"the names of the two layers are 0 and 1.1, not {', '.join(sorted(found))}"
of = "the loss increases of two layers, y = 5 (3 + 1) + 2, loss (y - 20)**2, half a weight and no bias,"
traps = [
    ("those are losses; the increase is what is above 4, the loss of the model as it is", [110.25, 100]),
    ("the first layer is to be put back before the second is changed", [106.25, 260.0625]),
    ("the bias of the first layer is to be put back, too", [106.25, 152.25]),
    ("one layer alone is changed, not all but one", [96, 106.25]),
]
expect.array([found["0"], found["1.1"]], [106.25, 96], of, 1e-3, traps=traps)
assert after == [3, 1, 5, 2], f"afterwards the parameters should be 3, 1, 5 and 2 again, they are {after}"
passed("L9.7")
### BEGIN HIDDEN TESTS
import torch
from torch.nn import functional


def random_state(seed, wide, deep, dtype):
    generator = torch.Generator().manual_seed(seed)
    shapes = sensitivity_of(layer_sensitivity, None, None, (wide, deep))
    return {name: torch.randn(shape, generator=generator, dtype=dtype) for name, shape in shapes.items()}


def loss(state, x, deep):
    """The same model by torch's functions."""
    layer = lambda x, name: functional.linear(x, state[f"{name}.weight"].double(), bias(name))
    bias = lambda name: state[f"{name}.bias"].double() if f"{name}.bias" in state else None
    x = layer(x.double(), "body.first")
    x = functional.layer_norm(x, x.shape[-1:], state["body.norm.weight"].double(), state["body.norm.bias"].double())
    for place in range(deep):
        x = layer(torch.tanh(x), f"body.rest.{place}.1")
    return layer(x, "head").square().mean().item()


for seed, wide, deep, dtype in [(1, 5, 1, torch.float32), (2, 6, 3, torch.float64), (3, 8, 2, torch.float32)]:
    state = random_state(seed, wide, deep, dtype)
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    found, after = sensitivity_of(layer_sensitivity, state, x, (wide, deep))
    assert isinstance(found, dict), f"layer_sensitivity should return a dict, it returned {found}"
    for name, value in state.items():
        assert torch.equal(after[name], value), f"afterwards {name} of the model is not what it was"
    names = ["body.first", *(f"body.rest.{place}.1" for place in range(deep)), "head"]
    assert sorted(found) == sorted(names), f"the names should be {names}; they are {sorted(found)}"
    for name in names:
        changed = dict(state)
        changed[f"{name}.weight"] = (4 * state[f"{name}.weight"]).round() / 4
        if f"{name}.bias" in state:
            changed[f"{name}.bias"] = state[f"{name}.bias"] + 0.25
        increase = loss(changed, x, deep) - loss(state, x, deep)
        expect.array(found[name], increase, f"the loss increase of {name}, one of {len(names)} layers,", 1e-4, 1e-3)
### END HIDDEN TESTS

# %% [markdown]
# On TinyGPT: each layer with a symmetric grid of 2 bits for each group of 128, the others as trained.

# %%
quantize_to_2 = lambda layer: layer.weight.data.copy_(rounded(layer.weight, 2, group_size=128)[0])
evaluate = lambda model: tinygpt.bits_per_byte(model, windows=1 if GRADING else 32)
gpt = tinygpt.tiny_gpt()
gpt_sensitivity = layer_sensitivity(gpt, quantize_to_2, evaluate)
gpt_sizes = {name: gpt.get_submodule(name).weight.numel() for name in gpt_sensitivity}
for name in sorted(gpt_sensitivity, key=gpt_sensitivity.get, reverse=True):
    print(f"{name:24} {gpt_sensitivity[name]:7.3f} bits per byte more, {gpt_sizes[name]:7,} weights")

# %% [markdown]
# ### Lab L9.8 · Build · 4 points
#
# Give the bits to the layers that need them. Each bit fewer doubles the step and quadruples the squared error (Chapter 1), so
# the loss that layer $i$ causes with $b_i$ bits is predicted as $s_i\, 4^{-b_i}$, up to a common factor, with $s_i$ its
# sensitivity. (All sensitivities were measured at the same bits. Count one below 0 as 0.)
#
# `allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8))` returns `{name: bits}` with one of `choices` for
# each layer. `sizes` has the number of weights of each layer.
#
# - The codes of all layers together, $\sum_i \text{sizes}_i\, b_i / 8$ bytes, must not exceed `budget_bytes`.
# - The predicted loss $\sum_i s_i\, 4^{-b_i}$ must not exceed that of any uniform choice that fits, and may be at most
#   twice the least there is within the budget.
#
# A greedy way comes close: start with the fewest bits everywhere, and again and again raise the layer that gains most for
# each byte, among those that still fit. Where the layer that gains most does not fit, a smaller one may. In all cases that
# are tested this is good enough, whether you raise a layer by one choice at a time or by several.
#
# It is not good enough everywhere. With sensitivities 100 and 99, 8 and 800 weights and 303 bytes it begins with the small
# layer, and then the large one does not fit any more: 8 and 2 bits, a predicted loss of 6.19. Three bits for both fit, and
# have 3.11. So compare what it finds with the uniform choices that fit. Or find the least: go from layer to layer, and for
# each number of bytes keep only the best allocation so far.
#
# `choices` may come in any order. Inputs stay as they are. Raise `ValueError`, naming the argument: `sizes` when it does not
# have the same names as `sensitivity`, and `budget_bytes` when even the fewest bits do not fit.
#
# Example: `allocate_bits({"a": 1.0, "b": 0.1}, {"a": 80, "b": 80}, 60)` is `{"a": 4, "b": 2}`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L9_8", "grade": false, "locked": false, "solution": true, "task": false}
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    """Return {name: bits of choices} of small predicted loss, sum of sensitivity * 4**-bits, within budget_bytes."""
    ### BEGIN SOLUTION
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes must have the same names as sensitivity")
    best = {0: (0.0, ())}  # {bits used: the least loss, and the bits of the layers so far}
    for name, size in sizes.items():
        longer = {}
        for used, (loss, bits) in best.items():
            for more in choices:
                now, then = used + size * more, loss + max(sensitivity[name], 0) * 4.0**-more
                if now <= 8 * budget_bytes and (now not in longer or then < longer[now][0]):
                    longer[now] = then, (*bits, more)
        best = longer
    if not best:
        raise ValueError(f"budget_bytes is too small even for {min(choices)} bits everywhere, got {budget_bytes}")
    return dict(zip(sizes, min(best.values())[1]))
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L9_8", "grade": true, "locked": true, "solution": false, "task": false, "points": 4}
from course import expect
from course.check import passed

returned = allocate_bits({"a": 1.0, "b": 0.1}, {"a": 80, "b": 80}, 60)
assert returned == {"a": 4, "b": 2}, f'the example should give {{"a": 4, "b": 2}}, it gave {returned}'
sensitivity, sizes = {"a": 3.0, "b": 2.5, "c": 2.4, "d": 2.6}, {"a": 800, "b": 80, "c": 80, "d": 80}
bits = allocate_bits(sensitivity, sizes, 860, (2, 8))
used = sum(sizes[name] * bits[name] for name in sizes) / 8
loss = sum(sensitivity[name] * 4.0 ** -int(bits[name]) for name in sizes)
of = f"a with 800 weights, b, c and d with 80, 860 bytes for 2 or 8 bits: {bits}"
assert used <= 860, f"{of} takes {used:g} bytes"
assert loss < 0.375, (
    f"{of} has a predicted loss of {loss:.3f}, more than twice 0.188, the least. Which layer gains most for each byte?"
)
passed("L9.8")
### BEGIN HIDDEN TESTS
import numpy as np


def check_allocation(sensitivity, sizes, budget, choices, of, given=True):
    kept = dict(sensitivity), dict(sizes), choices[:]
    found = allocate_bits(sensitivity, sizes, budget, choices) if given else allocate_bits(sensitivity, sizes, budget)
    assert (sensitivity, sizes, choices) == kept, "the function changed its inputs: work on a copy"
    assert isinstance(found, dict), f"{of} should return a dict {{name: bits}}, it returned {found!r:.60}"
    assert set(found) == set(sizes), f"{of} should have the names {sorted(sizes)}, it has {sorted(map(str, found))}"
    wrong = [bits for bits in found.values() if bits not in choices]
    assert not wrong, f"{of} should use {choices} only, it used {wrong[:1]}"
    used = sum(sizes[name] * int(bits) for name, bits in found.items()) / 8
    assert used <= budget, f"{of}: the codes take {used:g} bytes and the budget is {budget:g}"
    s, n = (np.array([each[name] for name in sizes], dtype=float) for each in (sensitivity, sizes))
    grid = np.array(np.meshgrid(*[choices] * len(n)), dtype=float).reshape(len(n), -1).T
    loss = (np.maximum(s, 0) * 4.0**-grid).sum(1)
    fitting = (grid * n).sum(1) / 8 <= budget
    mine = sum(max(sensitivity[name], 0) * 4.0 ** -int(bits) for name, bits in found.items())
    uniform = loss[fitting & (grid == grid[:, :1]).all(1)].min()
    assert mine <= uniform * (1 + 1e-9), (
        f"{of}: the predicted loss {mine:.4g} is above {uniform:.4g}, that of the same bits everywhere"
    )
    least = loss[fitting].min()
    assert mine <= 2 * least + 1e-12, f"{of}: the predicted loss is {mine / least:.2f} times the least one"


for seed in range(6):
    rng = np.random.default_rng(980 + seed)
    names = [f"layer {k}" for k in range(7)]
    sensitivity = {name: float(10 ** rng.uniform(-3, 1)) for name in names}
    sizes = dict.fromkeys(names, 1600) if seed % 2 else {name: int(rng.choice([1600, 6400])) for name in names}
    if seed == 3:
        sensitivity["layer 2"] = -0.01
    for bits in (2, 2.6, 3, 3.7, 5, 8, 9):
        budget = sum(sizes.values()) * bits / 8
        of = f"7 layers, room for {bits} bits a weight"
        check_allocation(sensitivity, sizes, budget, (2, 3, 4, 8), of, given=False)
six = {f"small {k}": 2 + k / 10 for k in range(6)}
for sensitivity, sizes, budget, of in [
    ({"big": 3.5, **six}, {"big": 1600, **dict.fromkeys(six, 80)}, 720, "a layer of 1600 weights and six of 80"),
    ({"a": 4.8, "b": 1.0, "c": 0.88}, {"a": 1600, "b": 1600, "c": 1440}, 1740, "1600, 1600 and 1440 weights"),
    ({"a": -50.0, "b": 1.0, "c": 2.0}, {"a": 160, "b": 80, "c": 80}, 100, "a layer of sensitivity -50"),
    ({"a": 0.4, "b": 0.32, "c": 0.56}, {"a": 5, "b": 4, "c": 7}, 6, "5, 4 and 7 weights, 6 bytes"),
]:
    check_allocation(sensitivity, sizes, budget, (2, 3, 4, 8), of, given=False)
sensitivity, sizes = {"a": 0.2, "b": 3.0, "c": 0.02}, {"c": 640, "a": 320, "b": 160}
for choices in [[8, 2, 4], (1, 2, 3, 4, 5, 6), (4,)]:
    for budget in (560, 770):
        check_allocation(sensitivity, sizes, budget, choices, f"choices {choices}, {budget} bytes for 1120 weights")
for budget in (279, 279.875, 0):
    of = f"a budget of {budget} bytes, where 2 bits everywhere are 280 bytes,"
    expect.refuses(allocate_bits, sensitivity, sizes, budget, naming="budget_bytes", of=of)
for of, others in [
    ("sizes without layer c", {"a": 320, "b": 160}),
    ("sizes with a layer more", {**sizes, "d": 10}),
    ("sizes with d in place of c", {"a": 320, "b": 160, "d": 640}),
    ("sizes of no layer", {}),
]:
    expect.refuses(allocate_bits, sensitivity, others, 5000, naming="sizes or sensitivity", of=of)
### END HIDDEN TESTS

# %% [markdown]
# ### See it: who gets the bits
#
# Your function, your sensitivities. Move the budget. Which layers get their third bit first, and which get eight bits last?


# %%
def share_with(bits):
    given = allocate_bits(gpt_sensitivity, gpt_sizes, int(sum(gpt_sizes.values()) * 3 / 8))
    return sum(each == bits for each in given.values()) / len(given)


Predict(
    draw.allocation(allocate_bits, gpt_sensitivity, gpt_sizes),
    "The budget is 3 bits a weight. How many of the layers get exactly 3?",
    slider=(0, 100, 5),
    unit=" %",
    happened=lambda: ", ".join(f"{share_with(bits):.0%} get {bits} bits" for bits in (3, 2, 4, 8)),
)

# %% [markdown]
# And the model? Uniform bits against yours, within the same number of bytes. Uniform takes the most bits that fit; with 3.5
# bits a weight these are 3, and the rest is left over.


# %%
def with_bits(bits):
    """Bits per byte of TinyGPT with bits[name] bits for each layer, in groups of 128."""
    model = tinygpt.tiny_gpt()
    for name, many in bits.items():
        layer = model.get_submodule(name)
        layer.weight.data.copy_(rounded(layer.weight, int(many), group_size=128)[0])
    return tinygpt.bits_per_byte(model, windows=windows)


total = sum(gpt_sizes.values())
by_budget = {}
for bits_per_weight in (3, 3.5, 4):
    allocated = allocate_bits(gpt_sensitivity, gpt_sizes, total * bits_per_weight / 8)
    by_budget[bits_per_weight] = with_bits(dict.fromkeys(gpt_sizes, int(bits_per_weight))), with_bits(allocated)
    uniform, yours = by_budget[bits_per_weight]
    print(f"{bits_per_weight} bits a weight: uniform {uniform:.3f}, yours {yours:.3f} bits per byte")

# %% [markdown]
# With 3 bits a weight it matters most which layers get them. At 4 there is little left to gain, and a prediction from one
# measurement at 2 bits, one layer at a time, can be wrong by more than that: is your last line better than uniform?

# %% [markdown]
# ## 6. The Pareto picture
#
# There is no best compression, only what nothing beats: a choice is on the *Pareto front* when nothing of its size or less is
# better. The cell prunes and quantizes TinyGPT in every combination. Pruning single weights has its price in the
# size: one bit for each weight, to say which are 0. Each group's scale takes 16 bits.

# %%
shares, all_bits, groups = ((0.0, 0.25), (3, 4), (32, 128)) if GRADING else (
    (0.0, 0.1, 0.25, 0.5), (2, 3, 4, 5, 6, 8), (32, 64, 128))  # fmt: skip
linear_weights = sum(layer.weight.numel() for layer in tinygpt.linears(gpt).values())
measured = draw.Measured(linear_weights, sum(p.numel() for p in gpt.parameters()) - linear_weights)
pareto_windows = 1 if GRADING else 16
as_trained = tinygpt.bits_per_byte(gpt, windows=pareto_windows)
with tqdm(total=len(shares) * len(all_bits) * len(groups), desc="models", leave=False, disable=GRADING) as progress:
    for share in shares:
        pruned = tinygpt.tiny_gpt()
        prune_layers(tinygpt.linears(pruned).values(), share)
        for bits in all_bits:
            for group_size in groups:
                candidate = tinygpt.tiny_gpt()
                for name, layer in tinygpt.linears(candidate).items():
                    w = pruned.get_submodule(name).weight
                    layer.weight.data.copy_(rounded(w, bits, group_size=group_size)[0])
                key = share, bits, group_size
                measured[key] = tinygpt.bits_per_byte(candidate, windows=pareto_windows)
                progress.update()

# %% [markdown]
# The codes' bytes come from your `compressed_size_gb`. Which shares, bits and groups are on the front? Pruning a tenth saves
# less than one bit a weight, and the mask costs one. So where it is on the front at all, how much better is it than its
# neighbour, and would 16 other windows of text say the same?

# %%
draw.pareto(compressed_size_gb, measured, as_trained, challenge.limit())

# %% [markdown]
# ## 7. Going further
#
# Two labs before the challenge. Each begins on its own and names what it needs, and you may skip either: nothing after it
# asks for it. The first makes codes shorter without another error, which the challenge rewards. The second says whether a
# difference between two models is one.

# %%
labs = {}  # what the two labs measure, for the table at the end

# %% [markdown]
# ### Lab L9.10 · Build · 3 points
#
# (Needs Chapter 1's rounding.) Round the weights of TinyGPT in even steps, and small codes are frequent, large ones rare. Yet
# each takes four bits, or five. The third stage of Deep Compression (Han et al. 2016) gives frequent codes fewer bits and
# rare ones more, and loses nothing: the same weights come back.
#
# A code with lengths $l_i$ can be read without separators when no code word begins another one. Such a *prefix code* exists
# exactly when $\sum_i 2^{-l_i} \le 1$ (Kraft 1949). Of all prefix codes, Huffman's (1952) has the least mean length: join the
# two rarest symbols to one that is as frequent as both together, and go on until one is left. A symbol's length is the number
# of joins that it took part in. The mean is at least the *entropy* $-\sum_i p_i \log_2 p_i$ of the shares $p_i$, and less than
# one bit above it.
#
# `huffman_lengths(counts)` gets a list or an array: how often each symbol occurs, in whole numbers. It returns the length in
# bits for each symbol, in the same order.
#
# - The lengths are those of a prefix code of least total length, $\sum_i \text{counts}_i\, l_i$. Where several are best, any
#   of them counts.
# - A symbol that does not occur gets the length 0: it has no code word.
# - If only one symbol occurs, its length is 1.
#
# Raise `ValueError`, naming `counts`, when a count is negative or none is above 0.
#
# Example: `huffman_lengths([8, 1, 3, 0, 1])` is `[1, 3, 2, 0, 3]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L9_10", "grade": false, "locked": false, "solution": true, "task": false}
def huffman_lengths(counts):
    """Return for each symbol the length of its code word in an optimal prefix code, 0 for a symbol that does not occur."""
    ### BEGIN SOLUTION
    import heapq

    counts = np.asarray(counts, dtype=float)
    if counts.size == 0 or counts.min() < 0 or counts.max() <= 0:
        raise ValueError(f"counts must not be negative, and one must be above 0, got {counts}")
    heap = [(count, symbol, [symbol]) for symbol, count in enumerate(counts.tolist()) if count > 0]
    lengths = [0] * len(counts)
    if len(heap) == 1:
        lengths[heap[0][1]] = 1
    heapq.heapify(heap)
    while len(heap) > 1:
        (few, _, one), (more, tie, other) = heapq.heappop(heap), heapq.heappop(heap)
        for symbol in one + other:
            lengths[symbol] += 1
        heapq.heappush(heap, (few + more, tie, one + other))
    return lengths
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L9_10", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np

from course import expect
from course.check import passed


def coded(counts, of):
    """The lengths that huffman_lengths gives, when they are those of a prefix code; and the bits for all symbols."""
    lengths = huffman_lengths(counts)
    assert lengths is not None, f"{of} returned nothing"
    try:
        lengths = np.asarray(lengths, dtype=float)
    except (TypeError, ValueError):
        raise AssertionError(f"{of} should return a length for each symbol, it returned {lengths!r:.60}") from None
    counts = np.asarray(counts, dtype=float)
    assert lengths.shape == counts.shape, f"{of} should return {len(counts)} lengths, it has shape {lengths.shape}"
    assert (lengths == np.round(lengths)).all(), f"{of}: {lengths} are not all whole numbers of bits"
    unused, used = lengths[counts == 0], lengths[counts > 0]
    assert not unused.any(), f"{of}: a symbol that does not occur should have length 0, it has {unused.max():g}"
    assert used.min() >= 1, f"{of}: a symbol that occurs has length {used.min():g}; it needs one bit at least"
    kraft = (2.0**-used).sum()
    assert kraft <= 1, f"{of}: the lengths {used[:9]} belong to no prefix code: the sum of 2**-length is {kraft:.4g}"
    return lengths, float(counts @ lengths)


of = "huffman_lengths([5, 1, 2, 1])"
traps = [
    ("a prefix code of these lengths exists, but a shorter one does, too: join the two rarest", [1, 4, 3, 4]),
    ("equal lengths use nothing of how often a symbol occurs", [2, 2, 2, 2]),
    ("the lengths belong to the symbols in the order of counts", [3, 3, 2, 1]),
    ("the frequent symbol gets the long code word", [3, 1, 2, 3]),
    ("a length is a whole number of bits", [0.848, 3.17, 2.17, 3.17]),
]
expect.array(huffman_lengths([5, 1, 2, 1]), [1, 3, 2, 3], of, 1e-2, traps=traps)
_, bits = coded([7, 6, 5, 4, 3, 2, 1], "huffman_lengths([7, 6, 5, 4, 3, 2, 1])")
assert bits == 74, (
    f"huffman_lengths([7, 6, 5, 4, 3, 2, 1]) takes {bits:g} bits for all 28 symbols, 74 are enough. "
    "What was joined is as frequent as both parts together, and waits its turn among the others"
)
lengths, _ = coded([0, 7, 0], "huffman_lengths([0, 7, 0])")
assert lengths[1] == 1, f"huffman_lengths([0, 7, 0]): the only symbol has length {lengths[1]:g}, it should have 1"
passed("L9.10")
### BEGIN HIDDEN TESTS
import heapq
import itertools

from course import cases


def least(counts):
    """By trying all lengths that meet Kraft's inequality."""
    used = [count for count in counts if count > 0]
    longest = max(len(used) - 1, 1)
    lengths = np.array(list(itertools.product(range(1, longest + 1), repeat=len(used))))
    return (lengths @ np.array(used))[(2.0**-lengths).sum(1) <= 1].min()


def joined(counts):
    """The weights of all joins: the same total, for many symbols."""
    heap, total = [int(count) for count in counts if count > 0], 0
    heapq.heapify(heap)
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        total += both
        heapq.heappush(heap, both)
    return total


rng = np.random.default_rng(910)
small = [[3, 3], [1, 1, 1], [9, 1, 0, 1], [1, 1, 2, 3, 5], [4, 4, 4, 4, 4], [15, 7, 6, 6, 5], [1, 2, 2, 2, 9, 0]]
small += [[30, 1, 1, 1, 1], [6, 2, 2, 2, 2, 2], [0, 3, 5], [2, 0, 0, 1]]
small += [rng.integers(0, 9, 6).tolist() for _ in range(6)]
for counts in small:
    of = f"huffman_lengths({counts})"
    _, bits = coded(counts, of)
    assert bits == least(counts), f"{of} takes {bits:g} bits for all symbols, {least(counts)} are enough"
fibonacci = [1, 1]
while len(fibonacci) < 36:
    fibonacci.append(fibonacci[-1] + fibonacci[-2])
weights = np.random.default_rng(9).normal(size=100_000)
for name, counts in [
    ("256 equal counts", [5] * 256),
    ("36 Fibonacci numbers", fibonacci),
    ("powers of two", [1, *(2**k for k in range(12))][::-1]),
    ("normal weights in steps of 0.3", np.unique(np.round(weights / 0.3), return_counts=True)[1]),
    ("normal weights in steps of 2", np.unique(np.round(weights / 2), return_counts=True)[1]),
    ("200 random counts, some 0", rng.integers(0, 1000, 200) * rng.integers(0, 2, 200)),
    ("a million of one symbol and 5 of others", [1, 1_000_000, 2, 1, 1]),
]:
    of, total = f"huffman_lengths of {name}", joined(counts)
    lengths, bits = coded(counts, of)
    assert bits == total, f"{of} takes {bits:g} bits for all symbols, {total} are enough"
    used = np.asarray(counts, dtype=float)[np.asarray(counts) > 0]
    shares = used / used.sum()
    entropy, kraft = -(shares * np.log2(shares)).sum(), (2.0 ** -lengths[lengths > 0]).sum()
    assert kraft == 1, f"{of}: the sum of 2**-length should be 1, it is {kraft:.6g}"
    mean = bits / used.sum()
    assert entropy - 1e-9 <= mean < entropy + 1, f"{of}: the mean length is {mean:.4f}, the entropy {entropy:.4f}"
for kind, counts in cases.forms([5, 1, 2, 1, 0], lists=True):
    given = np.array(counts)
    expect.array(huffman_lengths(counts), [1, 3, 2, 3, 0], f"huffman_lengths of [5, 1, 2, 1, 0] {kind}")
    expect.unchanged(counts, given, "counts")
wide = np.array([250, 130, 130, 130, 130], dtype=np.uint8)
of = "huffman_lengths of [250, 130, 130, 130, 130] in uint8"
assert coded(wide, of)[1] == joined(wide), f"{of} takes {coded(wide, of)[1]:g} bits, {joined(wide)} are enough"
for counts, wanted in [([4], [1]), ([0, 0, 3], [0, 0, 1]), ([1, 0], [1, 0])]:
    expect.array(huffman_lengths(counts), wanted, f"huffman_lengths({counts})")
for counts in ([3, -1, 2], [-4, -4], [0, 0, 0], [0], []):
    expect.refuses(huffman_lengths, counts, naming="counts", of=f"huffman_lengths({counts})")
### END HIDDEN TESTS

# %% [markdown]
# Now the weights of TinyGPT's layers, each row with steps of a share of its own standard deviation $\sigma$. Nothing is
# clipped: a rare large code costs bits only where it occurs. Besides the codes, each row has one 16-bit step. For comparison,
# INT4 with a 16-bit scale for each group of 32 takes 4.5 bits a weight whatever the codes are.


# %%
def in_steps(model, step):
    """Round each row of the model's layers in place, to multiples of step standard deviations; return all codes."""
    all_codes = []
    for layer in tinygpt.linears(model).values():
        w = layer.weight.data
        codes = (w / (unit := step * w.std(1, keepdim=True))).round()
        w.copy_(codes * unit)
        all_codes.append(codes.flatten())
    return torch.cat(all_codes).numpy()


coded_steps, more_by_step = {}, {}
for step in tqdm(
    (0.3, 0.6) if GRADING else (0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8), desc="steps", leave=False, disable=GRADING
):
    model = tinygpt.tiny_gpt()
    coded_steps[step] = np.unique(in_steps(model, step), return_counts=True)
    more_by_step[step] = tinygpt.bits_per_byte(model, windows=windows) - uncompressed
model = tinygpt.tiny_gpt()
for layer in tinygpt.linears(model).values():
    layer.weight.data.copy_(rounded(layer.weight, 4, group_size=32)[0])
int4_more = tinygpt.bits_per_byte(model, windows=windows) - uncompressed
step_bits = 16 * sum(len(layer.weight) for layer in tinygpt.linears(model).values()) / sum(
    layer.weight.numel() for layer in tinygpt.linears(model).values())  # fmt: skip

print("step   entropy  Huffman  with steps  bits per byte more")
for step, (_, counts) in coded_steps.items():
    shares = counts / counts.sum()
    entropy, mean = -(shares * np.log2(shares)).sum(), float(shares @ np.asarray(huffman_lengths(counts), dtype=float))
    print(f"{step:4}σ  {entropy:7.3f}  {mean:7.3f}  {mean + step_bits:10.3f}  {more_by_step[step]:+18.3f}")
    if step == 0.3:
        labs["L9.10"] = (
            f"steps of 0.3 σ: {entropy:.2f} bits of entropy, {mean:.2f} coded, {more_by_step[step]:+.3f} bits per byte"
        )
print(f"INT4 in groups of 32: {4 + 16 / 32:>21.3f}  {int4_more:+18.3f}")

# %% [markdown]
# The lengths stay a few hundredths of a bit above the entropy: there is little left for better codes at these steps. Find the
# step that costs as many bits per byte as INT4, and compare what the two take. The grid of INT4 ends at the largest weight of a
# group, so its steps are as wide as that weight asks for. Even steps without an end are finer for the same bits, because the
# large codes are rare. Where one code has most of the places, as 0 has after pruning, whole bits cost more: no code word is
# shorter than one bit. Arithmetic coding does without whole bits for each symbol.
#
# ### See it: bits that follow how often a code occurs
#
# - On the left, each code's length, from your function, beside $-\log_2$ of its share, the length that entropy would give it.
# - On the right, bits for each weight over the step, with the 16 bits for each row's step. The numbers are the bits per byte
#   more that the rounding costs.
# - How long is the longest code word, and why does that hardly matter? How long is that of the code 0 at the widest step?

# %%
draw.code_lengths(huffman_lengths, coded_steps, more_by_step, (4 + 16 / 32, int4_more), step_bits)

# %% [markdown]
# ### Lab L9.11 · Build · 3 points
#
# (Needs nothing but the models.) How good is TinyGPT? The first cell below measures it on 8, 64 and 256 windows of the same
# text: three answers, and the first two are further apart than what INT4 costs. Windows differ: some are easy, some are hard, for every model
# alike. So two models are compared on *the same* windows, and what counts are the differences window by window.
#
# Is a mean difference more than chance? Take the windows as a sample of all text, and ask what another sample would have
# said. The *bootstrap* (Efron 1979) draws it from the one that is there: as many windows, with replacement, again and again.


# %%
def losses(model, n):
    """Bits per byte of each of n windows of held-out text, evenly spread; and the likeliest byte at each place."""
    text = torch.frombuffer(bytearray(tinygpt.held_out()), dtype=torch.uint8).long()
    fitting = (len(text) - 1) // tinygpt.CONTEXT
    places = (tinygpt.CONTEXT * (torch.arange(n) * fitting // n))[:, None] + torch.arange(tinygpt.CONTEXT + 1)
    with torch.no_grad():
        logits = torch.cat([model(rows[:, :-1]) for rows in text[places].split(64)])
    targets = text[places][:, 1:]
    each = torch.nn.functional.cross_entropy(logits.transpose(1, 2), targets, reduction="none").mean(1) / np.log(2)
    return each.double().numpy(), logits.argmax(-1).numpy(), targets.numpy()


MANY = 16 if GRADING else 256
window_loss, guesses = {}, {}
for name, size in [("as trained", None), ("INT4, groups of 32", 32), ("INT4, groups of 64", 64)]:
    model = tinygpt.tiny_gpt()
    for layer in tinygpt.linears(model).values() if size else ():
        layer.weight.data.copy_(affine(layer.weight, 4, size))
    window_loss[name], guesses[name], text_bytes = losses(model, MANY)
for n in (8, MANY // 4, MANY):
    few = {name: each[:: MANY // n].mean() for name, each in window_loss.items()}
    print(f"{n:3} windows: " + ", ".join(f"{name} {mean:.3f}" for name, mean in few.items()))

# %% [markdown]
# `paired_bootstrap(a, b, n, seed)` gets the losses of two models, `a` and `b`, arrays with a number for each window: `a[i]`
# and `b[i]` belong to the same window. It returns `(low, high)`, between which the mean difference lies with 95 %:
#
# 1. Draw `len(a)` windows with replacement, *the same windows for both models*, and take the mean of `a - b` over them.
# 2. Do that `n` times.
# 3. `low` and `high` are the 2.5th and the 97.5th percentile of the `n` means. (Efron's percentile interval, without
#    corrections. Between two neighbours, any rule of interpolation will do.)
#
# If 0 lies outside, the windows tell the two models apart. `seed` is a whole number: the same seed gives the same two numbers
# each time, another seed draws other windows. The generators that NumPy, PyTorch and Python share among all code stay as they
# are: make one of your own.
#
# Raise `ValueError`, naming the argument: `a` or `b` when they do not have the same number of windows or have none, `n` when
# it is less than 1.
#
# Example: if `a` is 0.1 above `b` on each of the windows, the result is (0.1, 0.1), however much the windows differ.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L9_11", "grade": false, "locked": false, "solution": true, "task": false}
def paired_bootstrap(a, b, n, seed):
    """Return (low, high), the 95 % percentile interval of mean(a - b) over n resamples of the windows; a, b: (windows,)."""
    ### BEGIN SOLUTION
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape or a.size == 0:
        raise ValueError(f"a and b must have the same number of windows, and one at least, got {a.shape} and {b.shape}")
    if not n >= 1:
        raise ValueError(f"n must be at least 1, got {n}")
    rng = np.random.default_rng(seed)
    means = [(a - b)[rng.integers(0, len(a), len(a))].mean() for _ in range(n)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L9_11", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np

from course import expect
from course.check import passed
from course.probe import probe


@probe
def shared_generators_after(paired_bootstrap, a, b):
    """Which of the generators that all code shares have moved."""
    import random

    import numpy as np
    import torch

    def states():
        kind, keys, *rest = np.random.get_state()
        return {
            "NumPy": (kind, keys.tobytes(), *rest),
            "PyTorch": torch.get_rng_state().numpy().tobytes(),
            "Python": random.getstate(),
        }

    before = states()
    paired_bootstrap(a, b, 20, 3)
    return [name for name, state in states().items() if state != before[name]]


hard = np.array([1.5, 0.2, 2.9, 1.1, 1.7, 0.6, 2.2, 1.4])
of = "paired_bootstrap(b + 0.1, b, 500, 0), with windows between 0.2 and 2.9,"
found = np.asarray(paired_bootstrap(hard + 0.1, hard, 500, 0), dtype=float)
assert found.shape == (2,), f"{of} should return two numbers, low and high, it returned {found}"
assert found[1] - found[0] < 1e-6, (
    f"{of} returned {found}: a is 0.1 above b on each window, so every mean difference is 0.1. "
    "Draw the same windows for both models"
)
expect.array(found, [0.1, 0.1], of, 1e-6, traps=[("the difference is a - b", [-0.1, -0.1])])
easy = np.tile(hard, 13)[:100]
a, b = easy + np.tile([0.0, 1.0], 50), easy
of = "paired_bootstrap of 100 windows, on which a - b is 0 and 1 in turn, n = 10000,"
traps = [
    ("that is how far single windows lie apart; the mean of 100 of them varies ten times less", [-0.48, 1.48]),
    ("those are percentiles of the differences, not of the means of resamples", [0, 1]),
    ("that is one standard error to each side, and holds 68 %", [0.45, 0.55]),
    ("between the 5th and the 95th percentile lie 90 %", [0.42, 0.58]),
    ("with replacement: a window may be drawn more than once", [0.5, 0.5]),
    ("low comes first", [0.6, 0.4]),
]
expect.array(paired_bootstrap(a, b, 10_000, 1), [0.4, 0.6], of, 0.015, traps=traps)
moved = shared_generators_after(paired_bootstrap, a, b)
assert not moved, (
    f"the generator that all code shares in {' and '.join(moved)} has moved: make one of your own from seed"
)
passed("L9.11")
### BEGIN HIDDEN TESTS
import inspect

from scipy.stats import bootstrap

from course import cases


def by_scipy(a, b):
    found = bootstrap(
        (a, b),
        lambda a, b, axis: (a - b).mean(axis=axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=20_000,
        **{"rng" if "rng" in inspect.signature(bootstrap).parameters else "random_state": 5},
    )
    return list(found.confidence_interval)


rng = np.random.default_rng(911)
level = lambda m: rng.uniform(0.3, 4, m)
few, many, skewed = level(30), level(60), level(14)
for name, a, b in [
    ("30 windows", few + rng.normal(0.02, 0.05, 30), few),
    ("60 windows of differing spread", many, many + rng.normal(0, 1, 60) * np.linspace(0.01, 0.3, 60)),
    ("14 windows, two of which differ much", skewed + np.array([0.0] * 9 + [0.01, 0.02, 0.02, 0.4, 0.9]), skewed),
    ("14 windows, two of which differ much the other way", skewed, skewed + np.array([0.0] * 12 + [0.4, 0.9])),
]:
    of = f"paired_bootstrap of {name}, n = 10000,"
    before = a.copy(), b.copy()
    found = np.asarray(paired_bootstrap(a, b, 10_000, 7), dtype=float)
    expect.unchanged(a, before[0], "a")
    expect.unchanged(b, before[1], "b")
    error = (a - b).std() / len(a) ** 0.5
    # The two percentiles of 10,000 means are known to 0.03 standard errors or so; 0.25 is far more than chance.
    expect.array(found / error, np.array(by_scipy(a, b)) / error, f"{of} in standard errors,", 0.25)
a, b = few[:10] + rng.normal(0, 0.1, 10), few[:10]
first, again = ([float(value) for value in paired_bootstrap(a, b, 60, 11)] for _ in range(2))
assert first == again, f"the same seed should give the same numbers, it gave {first} and then {again}"
others = [[float(value) for value in paired_bootstrap(a, b, 60, seed)] for seed in (0, 1, 2**31)]
assert any(other != first for other in others), (
    "other seeds should draw other windows, four seeds gave the same numbers"
)
low, high = paired_bootstrap(a, b, 1, 4)
assert abs(low - high) < 1e-12, f"with n = 1 there is one mean, so low and high should be the same: {low} and {high}"
for kind, given in cases.forms([3, 1, 4, 1, 5]):
    expect.array(
        paired_bootstrap(given, given, 50, 0), [0, 0], f"paired_bootstrap of the same 5 windows twice, {kind},"
    )
of = "paired_bootstrap of 200 and 250 against 250 and 200 in uint8, n = 2000,"
expect.array(paired_bootstrap(np.uint8([200, 250]), np.uint8([250, 200]), 2000, 0), [-50, 50], of, 1e-6)
expect.array(paired_bootstrap(np.array([2.5]), np.array([2.0]), 30, 0), [0.5, 0.5], "paired_bootstrap of one window")
for what, others in [("fewer", few[:29]), ("more", level(31)), ("one", few[:1]), ("no", few[:0])]:
    expect.refuses(paired_bootstrap, few, others, 50, 0, naming="a or b", of=f"30 windows of a, {what} of b")
expect.refuses(paired_bootstrap, few[:0], few[:0], 50, 0, naming="a or b", of="no windows of a and b")
for n in (0, -3):
    expect.refuses(paired_bootstrap, few, few, n, 0, naming="n", of=f"n = {n}")
### END HIDDEN TESTS

# %% [markdown]
# The same three models: does INT4 cost anything, and do groups of 32 beat groups of 64? The interval of each model alone
# comes from your function, too: against a model that is never wrong.

# %%
for n in (8, MANY // 4, MANY):
    few = {name: each[:: MANY // n] for name, each in window_loss.items()}
    low, high = paired_bootstrap(few["as trained"], np.zeros(n), 1000, seed=0)
    print(f"{n:3} windows: as trained {few['as trained'].mean():.3f}, between {low:.3f} and {high:.3f}")
    for worse, better in [("INT4, groups of 32", "as trained"), ("INT4, groups of 64", "INT4, groups of 32")]:
        low, high = paired_bootstrap(few[worse], few[better], 1000, seed=0)
        more = (few[worse] - few[better]).mean()
        told = "told apart" if low > 0 or high < 0 else "not told apart"
        print(f"    {worse} against {better}: {more:+.4f}, between {low:+.4f} and {high:+.4f}: {told}")
    if better == "INT4, groups of 32" and n == MANY:
        labs["L9.11"] = (
            f"groups of 64 against 32, {n} windows: {more:+.3f}, between {low:+.3f} and {high:+.3f} bits per byte"
        )

right = {name: float((guess == text_bytes).mean()) for name, guess in guesses.items()}
changed = float((guesses["INT4, groups of 32"] != guesses["as trained"]).mean())
print(f"\nthe likeliest byte is right: as trained {right['as trained']:.1%}, INT4 {right['INT4, groups of 32']:.1%}")
print(f"INT4 has another likeliest byte at {changed:.1%} of the places")

# %% [markdown]
# The level of one model is known to some hundredths of a bit at best, the difference of two to a few thousandths: what makes a
# window hard for one model makes it hard for the other. So compare on the same windows, and say how many they were. Where
# there are 8, do not lean on the interval either. It knows no text but these 8 windows, and tends to come out too narrow.
#
# And look at the last two lines. The accuracy hardly moves, while many more answers have changed, and those that became wrong
# are nearly made up for by those that became right. Dutta et al. (2024) find the same in large models, and call these answers
# *flips*. A score that stays does not say that a model does.

# %% [markdown]
# ## 8. The challenge
#
# Everything you know, in one file of at most 25 % of the size of TinyGPT's FP16 file. *Everything* has to be in it: the
# embedding, the output layer and the norms too.
#
# ### Lab L9.9 · Challenge · 8 points
#
# Write two functions.
#
# `compress_to_bytes(model, calibration)` gets a TinyGPT, and a tensor of whole numbers of shape (32, 128): windows of the text
# that the model was trained on. It returns `bytes`. You may change `model`.
#
# `restore(blob)` returns `{name: array}` with every name and shape of `model.state_dict()`, as NumPy arrays or tensors.
#
# The rules:
#
# - `restore` runs in a **new process** that knows nothing of your notebook. It must stand alone: put its helpers and imports
#   inside it. `np` and `torch` are there; it may import NumPy, PyTorch, safetensors, and from Python's library what packs and
#   computes (`zlib`, `lzma`, `struct`, `json`, `math` and their like). Every other import is refused.
# - All it may use is the blob. It opens no file, starts no program or thread, and reaches no network or native library.
# - What counts is the length of the blob **and** of the code of `restore`, together at most `challenge.limit()` bytes.
# - The blob is data. Pickles are refused, also those of plain numbers and those inside `torch.load(..., weights_only=False)`
#   or `np.load(..., allow_pickle=True)`. So is code that is made while `restore` runs: `exec`, `eval`, `compile`, `marshal`,
#   and a `namedtuple`, which Python makes with `eval`. `np.load` and `torch.load(..., weights_only=True)` of the blob's bytes
#   are fine: they read data only.
# - `compress_to_bytes` and `restore` may take 60 seconds each. The grader's machine may be slower than yours: stay below 30.
# - The grader's model numbers the 256 byte values differently from yours. So only what is in your bytes can help.
# - Held-out text is for measuring. Do not train on it.
#
# The test cell holds you to all of them but the last, as the grader does, and says which one you broke.
#
# A file that is too long, is not `bytes`, or does not come back whole earns nothing, and the message says why. Otherwise
# points grow with quality. *More* means bits per byte on held-out text, minus those of the same model in 16 bits:
#
# | points | your file |
# |---|---|
# | 3 | is short enough, comes back whole, and predicts better than a guess |
# | +1 | has at most 1.0 more |
# | +1 | has at most 0.3 more |
# | +1 | has at most 0.12 more |
# | +1 | has at most 0.06 more |
# | +1 | has at most 0.015 more |
#
# Where to begin: 3 bits for each weight in groups of 32 fit easily and earn half of the points. The codes are not equally
# frequent, so `zlib` makes them shorter (Lab L9.10 says how), and then more levels fit. What you built in Chapters 2 to 7 is
# yours to use: copy it into the answer cell.
#
# The last point takes several methods at once: with the same steps for all and rounding to nearest, a file of this length is
# far from it. What helps: errors that are passed on to the weights still to be rounded (GPTQ, Chapter 2), finer steps where the
# loss asks for them (sensitivity, Section 5, for rows of weights rather than layers), and code words for rows that are alike.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L9_9", "grade": false, "locked": false, "solution": true, "task": false}
def compress_to_bytes(model, calibration):
    """Return bytes from which restore makes the weights of model again; calibration is (32, 128) bytes of text."""
    ### BEGIN SOLUTION
    import json
    import zlib

    from torch.nn import functional

    matrices = {name: p for name, p in model.named_parameters() if p.dim() == 2}
    # For each row the squared gradients, which say how much the loss heeds it; for each layer X^T X of its inputs.
    moved = {name: torch.zeros(len(p)) for name, p in matrices.items()}
    seen = dict.fromkeys(matrices, 0)

    def watch(name):
        def add(layer, args):
            x = args[0].detach().flatten(0, -2).double()
            seen[name] = seen[name] + x.T @ x

        return model.get_submodule(name.removesuffix(".weight")).register_forward_pre_hook(add)

    hooks = [watch(name) for name in matrices if "embedding" not in name]
    for window in calibration:
        model.zero_grad()
        functional.cross_entropy(model(window[None, :-1])[0], window[1:], reduction="sum").backward()
        for name, p in matrices.items():
            moved[name] += p.grad.square().mean(1)
    for hook in hooks:
        hook.remove()

    factors = {}
    for name in matrices:
        if "embedding" not in name:
            mean = seen[name].diagonal().mean()
            hessian = seen[name] + 0.03 * mean * torch.eye(len(seen[name]))
            factors[name] = torch.linalg.cholesky(torch.linalg.inv(hessian)).T
            moved[name] *= float((factors[name].diagonal() ** -2).mean() / mean)  # what GPTQ leaves of an error

    def steps(unit):
        """Steps at which each weight's rounding costs the same, as logarithms: whole eighths of a factor of 2."""
        found = {}
        for name, p in matrices.items():
            even = unit / (moved[name] + 0.01 * moved[name].mean()).sqrt()
            spread = p.detach().std(1)
            found[name] = (8 * torch.minimum(torch.maximum(even, 0.1 * spread), 0.5 * spread).log2()).round()
        return found

    def rounded(w, step, upper=None):
        w = w.detach().double()
        codes = (w / step[:, None]).round().clamp(-127, 127)
        for j in range(w.shape[1] if upper is not None else 0):
            codes[:, j] = (w[:, j] / step).round().clamp(-127, 127)
            w[:, j + 1 :] -= torch.outer((w[:, j] - codes[:, j] * step) / upper[j, j], upper[j, j + 1 :])
        return codes.to(torch.int8).numpy()

    def packed(eighths, codes):
        # Rows that are alike stand together, because deflate makes new code words every so often.
        rows = [row for part in codes for row in part]
        spread = np.array([round(4 * np.log2(1 + np.square(row, dtype=float).mean())) for row in rows], np.uint8)
        shapes = {name: list(p.shape) for name, p in model.named_parameters()}
        norms = np.concatenate([p.detach().half().numpy() for p in model.parameters() if p.dim() == 1])
        head = [
            json.dumps(shapes).encode(),
            norms.tobytes(),
            torch.cat(list(eighths.values())).to(torch.int8).numpy().tobytes(),
            spread.tobytes(),
        ]
        huffman = zlib.compressobj(9, zlib.DEFLATED, -15, 9, zlib.Z_HUFFMAN_ONLY)
        body = huffman.compress(b"".join(rows[row].tobytes() for row in np.argsort(spread, kind="stable")))
        body += huffman.flush()
        head = zlib.compress(b"".join(head), 9)
        return len(head).to_bytes(4, "little") + head + body

    def file(unit, factors):
        eighths = steps(unit)
        codes = [rounded(p, (eighths[name] / 8).exp2().double(), factors.get(name)) for name, p in matrices.items()]
        return packed(eighths, codes)

    low, high = 0.01, 10.0
    for _ in range(9):  # rounding to nearest tells the length well enough
        unit = (low * high) ** 0.5
        low, high = (unit, high) if len(file(unit, {})) > 423_500 else (low, unit)
    return file(high, factors)
    ### END SOLUTION


def restore(blob):
    """Return {name: array} of all weights from the bytes alone; runs where nothing else is."""
    ### BEGIN SOLUTION
    import json
    import zlib

    head = int.from_bytes(blob[:4], "little")
    head, codes = zlib.decompress(blob[4 : 4 + head]), zlib.decompress(blob[4 + head :], -15)
    end = head.index(b"}") + 1
    shapes = json.loads(head[:end])
    lengths = [shape[1] for shape in shapes.values() if len(shape) == 2 for _ in range(shape[0])]
    norms = np.frombuffer(head[end : -2 * len(lengths)], np.float16).astype(np.float32)
    steps, spread = np.frombuffer(head[-2 * len(lengths) :], np.int8).reshape(2, -1)
    rows, at = {}, 0
    for row in np.argsort(spread.view(np.uint8), kind="stable"):
        rows[row] = np.frombuffer(codes, np.int8, lengths[row], at) * 2.0 ** (steps[row] / 8)
        at += lengths[row]
    state, at = {}, 0
    for name, shape in shapes.items():
        if len(shape) == 2:
            state[name] = np.stack([rows[at + row] for row in range(shape[0])])
            at += shape[0]
        else:
            state[name], norms = norms[: shape[0]], norms[shape[0] :]
    return state
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L9_9", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
from course import challenge
from course.check import passed

shuffle = 0  # the grader numbers the byte values in another way
### BEGIN HIDDEN TESTS
shuffle = 90_217
### END HIDDEN TESTS
print(challenge.measure(compress_to_bytes, restore, shuffle))
passed("L9.9")

# %% nbgrader={"schema_version": 3, "grade_id": "test_L9_9_level_1", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import challenge

shuffle = 0
### BEGIN HIDDEN TESTS
shuffle = 90_217
### END HIDDEN TESTS
challenge.measure(compress_to_bytes, restore, shuffle).reaches(1.0)

# %% nbgrader={"schema_version": 3, "grade_id": "test_L9_9_level_2", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import challenge

shuffle = 0
### BEGIN HIDDEN TESTS
shuffle = 90_217
### END HIDDEN TESTS
challenge.measure(compress_to_bytes, restore, shuffle).reaches(0.3)

# %% nbgrader={"schema_version": 3, "grade_id": "test_L9_9_level_3", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import challenge

shuffle = 0
### BEGIN HIDDEN TESTS
shuffle = 90_217
### END HIDDEN TESTS
challenge.measure(compress_to_bytes, restore, shuffle).reaches(0.12)

# %% nbgrader={"schema_version": 3, "grade_id": "test_L9_9_level_4", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import challenge

shuffle = 0
### BEGIN HIDDEN TESTS
shuffle = 90_217
### END HIDDEN TESTS
challenge.measure(compress_to_bytes, restore, shuffle).reaches(0.06)

# %% nbgrader={"schema_version": 3, "grade_id": "test_L9_9_level_5", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import challenge

shuffle = 0
### BEGIN HIDDEN TESTS
shuffle = 90_217
### END HIDDEN TESTS
challenge.measure(compress_to_bytes, restore, shuffle).reaches(0.015)

# %% [markdown]
# ### See it: a real file
#
# Your bytes go to disk, the file system says how long they are, and a model made from the file alone goes on writing.

# %%
if GRADING:
    print("Left out in the graded run: the test cells above have done it.")
else:
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tinygpt.compressed")
        with open(path, "wb") as file:
            file.write(compress_to_bytes(tinygpt.tiny_gpt(), calibration))
        size = os.path.getsize(path)
        with open(path, "rb") as file:
            weights = restore(file.read())
    yours = tinygpt.TinyGPT().eval()
    whole = lambda value: value if isinstance(value, torch.Tensor) else torch.as_tensor(np.array(value))
    yours.load_state_dict({name: whole(value).detach().float() for name, value in weights.items()})
    full = os.path.getsize(tinygpt.WEIGHTS)
    file_quality = tinygpt.bits_per_byte(yours, windows=pareto_windows)
    print(f"{size:,} bytes on disk, {full / size:.2f} times smaller than {full:,}\n")
    print(tinygpt.generate(yours, "import os\n\ndef ", length=120))

# %% [markdown]
# And in the Pareto picture, where everything else was pruned and rounded to nearest:

# %%
None if GRADING else draw.your_file(compressed_size_gb, measured, as_trained, challenge.limit(), size, file_quality)

# %% [markdown]
# ## What you measured
#
# The seven techniques of this course side by side. Ratios and losses are what their papers report for the models they tried;
# the papers are listed under Sources. What this chapter measured is in the last column. Look up your numbers from the other
# chapters and type them in.

# %%
smallest = min(measured, key=lambda key: (measured[key] > as_trained + 0.1, measured.size(compressed_size_gb, key)))
techniques = draw.Techniques(
    {
        "Post-training quantization": f"{smallest[1]} bits in groups of {smallest[2]}, {smallest[0]:.0%} pruned: "
        f"{2 * sum(p.numel() for p in gpt.parameters()) / measured.size(compressed_size_gb, smallest):.1f}x, "
        f"{measured[smallest] - as_trained:+.3f} bits per byte",
        "Quantization-aware training": "",
        "Pruning": f"half, fine-tuned, 4 bits: {gpt_by_order['prune, fine-tune, quantize'] - uncompressed:+.3f} bits per byte",
        "Lottery tickets": "",
        "Distillation": "",
        "Low rank and LoRA": "",
        "Mixed precision": "",
    }
)
techniques

# %% [markdown]
# And what came in beside them: the labs that go further, in this chapter and the others. If you left out one of this
# chapter's, its place is empty.

# %%
draw.Labs(labs)

# %% [markdown]
# - Ratios multiply, as far as each step shrinks all that is stored. Losses do not: each step damages what the one before it
#   left.
# - Prune, repair, and round last. The grid must fit the weights that ship. Evaluate what ships.
# - At batch 1, time follows bytes. A smaller student in fewer bits gains twice.
# - Layers differ. Measure which ones need the bits before you hand them out, most of all when there are few.
# - Count everything: scales, masks, the head, the code. Then look at the front, and choose.
# - Codes that are not equally frequent do not need equally many bits. And compare models on the same text, window by window.
#
# ### Sources
#
# - S. Han, H. Mao, W. J. Dally, Deep Compression, 2016, arXiv:1510.00149: pruning, then quantization, then Huffman coding; 35
#   times smaller on AlexNet.
# - S. Han, J. Pool, J. Tran, W. J. Dally, Learning both Weights and Connections for Efficient Neural Networks, 2015,
#   arXiv:1506.02626: prune and retrain; 9 and 13 times fewer weights.
# - E. Frantar, S. Ashkboos, T. Hoefler, D. Alistarh, GPTQ, 2022, arXiv:2210.17323: 3 and 4 bits after training.
# - S. K. Esser et al., Learned Step Size Quantization, 2020, arXiv:1902.08153: 3 bits at full accuracy.
# - J. Frankle, M. Carbin, The Lottery Ticket Hypothesis, 2019, arXiv:1803.03635: tickets of 10 to 20 % of the size.
# - G. Hinton, O. Vinyals, J. Dean, Distilling the Knowledge in a Neural Network, 2015, arXiv:1503.02531; V. Sanh et al.,
#   DistilBERT, 2019, arXiv:1910.01108: 40 % smaller, 97 % of the score.
# - E. J. Hu et al., LoRA, 2021, arXiv:2106.09685: 10,000 times fewer trainable parameters.
# - P. Micikevicius et al., Mixed Precision Training, 2018, arXiv:1710.03740: nearly half the memory.
# - Y. Shoham, A. Gersho, Efficient bit allocation for an arbitrary set of quantizers, IEEE Transactions on Acoustics, Speech,
#   and Signal Processing 36, 1988; Z. Dong et al., HAWQ, 2019, arXiv:1905.03696: bits by sensitivity.
# - D. A. Huffman, A Method for the Construction of Minimum-Redundancy Codes, Proceedings of the IRE 40, 1952; L. G. Kraft, A
#   Device for Quantizing, Grouping, and Coding Amplitude-Modulated Pulses, MIT, 1949.
# - B. Efron, Bootstrap Methods: Another Look at the Jackknife, The Annals of Statistics 7, 1979.
# - A. Dutta et al., Accuracy is Not All You Need, 2024, arXiv:2407.09141: answers that flip while the accuracy stays.
