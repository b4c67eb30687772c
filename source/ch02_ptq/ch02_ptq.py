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
# # Chapter 2 · Post-training quantization
#
# A language model has to run tomorrow on a device with 500,000 bytes of flash left. Its file, in 16-bit numbers, is more
# than three times that size. The people who trained it are gone, and so are the data and the cluster. You have the
# weights, a few pages of similar text, and tonight.
#
# So there is no training and there are no gradients. All you can choose is how to round. In this chapter you round TinyGPT,
# a small GPT that has read Python's standard library, in better and better ways. You write each result to disk, and keep
# one table of what it costs and how well it still predicts. At the end you know which file goes onto the device.
#
# How to work: read, answer in the cell marked *your code here*, run the cell below it. It answers at once. What holds for
# every exercise, such as types and bad input, stands once in Chapter 0.

# %% nbgrader={"schema_version": 3, "grade_id": "setup", "grade": false, "locked": true, "solution": false, "task": false} tags=["setup"]
from course import ready

ready(2)

# %%
import os
import tempfile
from itertools import product

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from tqdm.auto import tqdm

from course import GRADING, tinygpt
from course.figures import ptq as draw

# %% [markdown]
# ## 1. Shrink it tonight
#
# TinyGPT reads bytes and predicts the next one. Its quality is measured in *bits per byte* on text it has never seen: 8
# if all 256 bytes are taken to be equally likely, less for a better model. Most of its weights sit in the matrices of its
# linear layers. You round those. The rest (embedding, output layer, norms) stays in 16 bits.

# %%
BUDGET = 500_000  # bytes
model = tinygpt.tiny_gpt()
weights = {name: layer.weight.detach().numpy().copy() for name, layer in tinygpt.linears(model).items()}
n_weights = sum(w.size for w in weights.values())
rest = {
    name: tensor.half().numpy()
    for name, tensor in model.state_dict().items()
    if name.removesuffix(".weight") not in weights
}
print(f"{len(weights)} matrices, {n_weights:,} weights, and {sum(t.size for t in rest.values()):,} other numbers")
print(tinygpt.generate(model, "import os\n\ndef ", length=20 if GRADING else 120))

# %% [markdown]
# `ship` measures every attempt. It stores each matrix as a few arrays, writes them with the rest into one file, and asks
# the file system for its size. Then it reads the file back, rebuilds the matrices from nothing but what was stored, and
# lets the model predict held-out text. *Bits per weight* counts everything stored for the matrices.


# %%
table = draw.Table()


def ship(method, bits, store, restore):
    """Write store(name, w) -> {part: array} of all matrices, read the file, restore(parts) -> w, measure, add a row."""
    kept = {f"{name}:{part}": array for name, w in weights.items() for part, array in store(name, w).items()}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "model.safetensors")
        save_file(kept | rest, path)
        size, read = os.path.getsize(path), load_file(path)
    shipped = tinygpt.tiny_gpt()
    with torch.no_grad():
        for name, layer in tinygpt.linears(shipped).items():
            parts = {key.split(":")[1]: array for key, array in read.items() if key.startswith(name + ":")}
            layer.weight.copy_(torch.as_tensor(np.asarray(restore(parts))))
    bits_per_weight = 8 * sum(array.nbytes for array in kept.values()) / n_weights
    table.add(method, bits, bits_per_weight, size, tinygpt.bits_per_byte(shipped, windows=2 if GRADING else 64))
    return table


ship("as trained", 16, lambda name, w: {"w": w.astype(np.float16)}, lambda parts: parts["w"].astype(np.float32))

# %% [markdown]
# The first attempt is Chapter 1's: one scale and one integer zero-point for a whole matrix. With $lo$ and $hi$ its
# smallest and largest weight,
#
# $$\text{scale} = \frac{hi - lo}{2^b - 1}, \quad z = \operatorname{round}\!\left(\frac{-lo}{\text{scale}}\right), \quad
# q = \operatorname{clip}\!\left(\operatorname{round}\!\left(\frac{w}{\text{scale}}\right) + z,\; 0,\; 2^b - 1\right),
# \quad \hat w = (q - z) \cdot \text{scale} .$$
#
# The zero-point is an integer code throughout this chapter. Scale and zero-point are stored in FP16, which holds whole
# numbers up to 2048 exactly.


# %%
def codes_and_grid(w, scale, bits):
    """What is stored of w: its codes, the scale or scales, and the zero-points for the smallest values of the rows."""
    lo = w.min() if np.size(scale) == 1 else w.min(axis=1, keepdims=True)
    zeros = np.round(-lo / scale)
    codes = np.clip(np.round(w / scale) + zeros, 0, 2**bits - 1).astype(np.uint8)
    return {"codes": codes, "scales": np.float16(scale), "zeros": np.float16(zeros)}


def from_grid(parts):
    return (parts["codes"].astype(np.float32) - parts["zeros"]) * parts["scales"]


for bits in (8, 4):
    one_scale = lambda name, w: codes_and_grid(w, np.array([np.ptp(w) / (2**bits - 1)]), bits)
    ship("one scale per tensor", bits, one_scale, from_grid)
table

# %% [markdown]
# With 8 bits almost nothing is lost, and the file is still far too large. With 4 bits the model gets worse, and the file
# gets no smaller: each code of 4 bits takes a whole byte. Both problems are yours to solve.

# %% [markdown]
# ## 2. A scale for each channel
#
# Row $i$ of a weight matrix makes output $i$ of the layer, its *channel*. Some rows hold much larger weights than others,
# and one scale for all of them must suit the largest. So give each row its own scale and zero-point. What does that cost?

# %% [markdown]
# ### Exercise 2.1 · Derive · 1 point
#
# A 4096 x 4096 matrix gets one scale and one zero-point for each output channel (row). How many values is that on top of
# the weights, in percent of the number of weights?
#
# For comparison: for a 512 x 128 matrix it is 1.5625 %.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_2_1", "grade": false, "locked": false, "solution": true, "task": false}
ex_2_1 = None
### BEGIN SOLUTION
# hint: How many rows are there, and how many extra values has each? Divide by the number of weights, then give percent.
ex_2_1 = 100 * 4096 * 2 / 4096**2
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_2_1", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("2.1", ex_2_1)
### BEGIN HIDDEN TESTS
extra = len([(row, value) for row in range(4096) for value in ("scale", "zero_point")])
expect.number(
    ex_2_1,
    100 * extra / (4096 * 4096),
    traps={
        100 / 4096: "each channel has a scale and a zero-point: two values",
        2 / 4096: "that is the share; give it in percent",
        8192: "that is the number of extra values; give it in percent of the weights",
        200 / 4096**2: "that is one scale and one zero-point for the whole matrix",
        400 / 4096: "only the rows have grids of their own, not the columns as well",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# ### Exercise 2.2 · Trace · 1 point
#
# The weights of channel A lie within $\pm 0.01$, those of channel B within $\pm 2$. One INT8 scale serves both. What
# happens to channel A?
#
# - **A** Nothing: small weights have small errors.
# - **B** It is left with two or three of the 256 levels.
# - **C** All its weights become exactly 0, because they are smaller than one step.
# - **D** It keeps half of the levels, because there are two channels.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_2_2", "grade": false, "locked": false, "solution": true, "task": false}
ex_2_2 = None
### BEGIN SOLUTION
# hint: The step is 4 / 255. How many steps fit into the range of channel A, which is 0.02 wide?
ex_2_2 = "B"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_2_2", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("2.2", ex_2_2)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_2_2,
    "B",
    because={
        "A": "the error is up to half a step whatever the weight's size; compare half a step with 0.01",
        "C": "a weight becomes 0 only when it is nearer to 0 than to any other level; 0.01 is more than half a step",
        "D": "levels are not shared out among channels: they are spread evenly over the range, -2 to 2",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# Count them. The range of channel A is little more than one step wide. With `lo` as the offset (Exercise 1.5), 0 lies
# between two levels here, and channel A uses those two. With an integer zero-point, this chapter's scheme, one level is 0
# itself, and channel A uses three.

# %%
rng = np.random.default_rng(0)
a, b = rng.uniform(-0.01, 0.01, 1000), np.linspace(-2, 2, 1000)
step = (b.max() - b.min()) / 255
print(f"the range of channel A is {0.02 / step:.2f} steps wide")
for name, codes in [
    ("offset lo", np.round((a - b.min()) / step)),
    ("integer zero-point", np.round(a / step) + round(-b.min() / step)),
]:
    used = np.unique(codes).astype(int)
    print(f"{name:18}  channel A uses the codes {used.tolist()}: {len(used)} of 256")

# %% [markdown]
# ## 3. A scale for each group
#
# A row can hold an outlier too, and then its scale suits nothing but the outlier. Cut each row into *groups* of, say, 128
# consecutive inputs, and give each group a scale and a zero-point. Now the overhead is no longer negligible.

# %% [markdown]
# ### Exercise 2.3 · Derive · 2 points
#
# A 4096 x 4096 matrix is stored as INT4 in groups of 128 along the input, each with a scale and a zero-point in FP16.
#
# 1. `ex_2_3_groups`: how many groups are there?
# 2. `ex_2_3_overhead`: what share of *everything stored* do the scales and zero-points make up, in percent?
#
# For comparison: with groups of 32 the share is 20 %, and a weight takes 5 bits in all.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_2_3", "grade": false, "locked": false, "solution": true, "task": false}
ex_2_3_groups = None
ex_2_3_overhead = None
### BEGIN SOLUTION
# hint ex_2_3_groups: How many groups of 128 inputs does one row of 4096 make? And how many rows are there?
# hint ex_2_3_overhead: One group stores 128 codes of 4 bits and two numbers of 16 bits. The share is of their sum.
ex_2_3_groups = 4096 * 4096 / 128
ex_2_3_overhead = 100 * 32 / (128 * 4 + 32)
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_2_3_groups", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect

assert ex_2_3_groups is not None, "set ex_2_3_groups to a number"
### BEGIN HIDDEN TESTS
expect.number(
    ex_2_3_groups,
    sum(len(range(0, 4096, 128)) for _ in range(4096)),
    traps={
        32: "that is one row; the matrix has 4096",
        4096: "that is one group for each row; a row has 4096 inputs and a group takes 128",
        1024: "a group is 128 inputs of one row, not a block of 128 x 128",
        4096 * 4096 // 128 * 2: "that is the number of scales and zero-points; each group has both",
    },
)
### END HIDDEN TESTS

# %% nbgrader={"schema_version": 3, "grade_id": "test_2_3", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("2.3", [ex_2_3_groups, ex_2_3_overhead])
### BEGIN HIDDEN TESTS
codes, grids = 4096 * 4096 * 4, 4096 * 32 * (16 + 16)  # bits
expect.number(
    ex_2_3_overhead,
    100 * grids / (codes + grids),
    traps={
        6.25: "that is the share of the weights' codes; here it is asked of everything stored",
        1600 / 528: "each group has a scale and a zero-point, 32 bits together",
        0.0588: "that is the share; give it in percent",
        20: "that is for groups of 32",
        3200 / (128 * 16 + 32): "a code has 4 bits here, not 16",
        3200 / (128 * 8 + 32): "a code has 4 bits here, not 8",
        200 / 130: "count bits: the scale and the zero-point are four times as long as a code",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# The overhead of groups of 32 is 25 % when it is compared with the codes alone, and 20 % of everything stored. A percentage
# needs to say of what. Bits per weight need no such note.

# %%
print("group  bits per weight  % of the codes  % of everything")
for g in (16, 32, 64, 128, 256, 1024):
    print(f"{g:5}  {4 + 32 / g:15.3f}  {800 / g:14.2f}  {3200 / (4 * g + 32):15.2f}")

# %% [markdown]
# ## 4. What is the error that counts?
#
# So far each weight went to its nearest level. That makes every weight's error as small as it can be, and it needs nothing
# but the weights. GPTQ (Frantar et al. 2022) chooses codes in another way. It takes one layer at a time, trains nothing, and
# asks for *calibration data*: inputs that the layer sees while the model reads some text.

# %% [markdown]
# ### Exercise 2.4 · Trace · 1 point
#
# What does GPTQ minimise when it picks the codes of a layer?
#
# - **A** The squared difference between the weights and the rounded weights.
# - **B** The model's loss on the calibration text, by gradient descent.
# - **C** The squared error of the layer's output on the calibration data.
# - **D** The largest error of any single weight.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_2_4", "grade": false, "locked": false, "solution": true, "task": false}
ex_2_4 = None
### BEGIN SOLUTION
# hint: What of this layer does the next one see? And which of the four needs calibration data but no training?
ex_2_4 = "C"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_2_4", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("2.4", ex_2_4)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_2_4,
    "C",
    because={
        "A": "rounding to nearest does that already, and it needs no calibration data",
        "B": "GPTQ takes one layer at a time and trains nothing; no label and no loss of the model occurs in it",
        "D": "rounding to nearest does that already: no weight is off by more than half a step",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# The next layer never sees the weights. It sees outputs, $y = \sum_i w_i x_i$, and in an output errors can cancel. The
# difference is easy to see where everything can be tried. One output has five weights, codes of 2 bits (scale 0.5,
# zero-point 1), and inputs that rise and fall together. There are $4^5 = 1024$ ways to choose the codes. Try them all.

# %%
rng = np.random.default_rng(1)
x = rng.normal(size=(500, 1)) + 0.5 * rng.normal(size=(500, 5))
w = np.array([0.9, -0.45, 0.2, 0.2, 0.15])
levels = 0.5 * (np.arange(4) - 1)
choices = np.array(list(product(levels, repeat=5)))
weight_error = ((choices - w) ** 2).sum(1)
output_error = (((choices - w) @ x.T) ** 2).mean(1)
for name, best in [("nearest weights", weight_error.argmin()), ("nearest output", output_error.argmin())]:
    print(f"{name:15}  {choices[best].tolist()}  weight error {weight_error[best]:.3f}  "
          f"output error {output_error[best]:.4f}")  # fmt: skip

# %% [markdown]
# Rounded to nearest, all three small weights become 0, and the output misses all of them. Rounding one of them up makes
# that weight's error larger and the output's smaller. A matrix has too many choices to try them all. GPTQ is a way to find
# a good one, and in Section 9 you build it.

# %% [markdown]
# ## 5. Build: scales for channels
#
# ### Exercise 2.5 · Build · 3 points
#
# For each row of a matrix, return the scale of affine INT8: the row's range, from its smallest to its largest weight, in
# 255 steps. (Whether the 256 codes are called 0 to 255 or -128 to 127 changes the zero-point, not the scale.) Take the
# range as it is, without widening it to hold 0: a row with weights of both signs holds 0 anyway. (Labs L2.7 and L2.10 widen
# it, because a group of a few weights may lie on one side of 0.)
#
# The result has shape `(rows,)`. A row whose weights are all equal has a range of 0. Its scale must still be a finite
# number above 0, because codes are found by dividing by it; which one, you choose. Any other row keeps its own scale,
# however small its weights are: a range of 1e-5 is a range. `weights` stays as it is. Raise `ValueError`, naming `weights`
# in the message, when it is not two-dimensional or holds NaN or infinity.
#
# Example: `per_channel_scale(np.array([[-1.0, 0.0, 1.55], [0.5, 1.01, 0.7]]))` is `[0.01, 0.002]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_2_5", "grade": false, "locked": false, "solution": true, "task": false}
def per_channel_scale(weights):
    """Return the affine INT8 scale of each row of weights (rows, columns), shape (rows,): finite and above 0."""
    ### BEGIN SOLUTION
    weights = np.asarray(weights, dtype=float)
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ValueError(f"weights must be two-dimensional and finite, got shape {weights.shape}")
    span = weights.max(axis=1) - weights.min(axis=1)
    return np.where(span > 0, span, 255) / 255
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_2_5", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np

from course import expect
from course.check import passed

traps = [
    ("256 levels have 255 steps between them", [2.55 / 256, 0.51 / 256]),
    ("do not widen the range to hold 0", [0.01, 1.01 / 255]),
    ("the range goes from the smallest weight to the largest", [1.55 / 127, 1.01 / 127]),
]
returned = per_channel_scale(np.array([[-1.0, 0.0, 1.55], [0.5, 1.01, 0.7]]))
expect.array(returned, [0.01, 0.002], "per_channel_scale([[-1.0, 0.0, 1.55], [0.5, 1.01, 0.7]])", 1e-8, traps=traps)
scale = expect.finite(per_channel_scale(np.array([[0.3, 0.3], [0.0, 0.51]]))[0], "the scale of the row [0.3, 0.3]")
assert scale > 0, f"the scale of the row [0.3, 0.3] should be above 0, it is {scale}"
passed("2.5")
### BEGIN HIDDEN TESTS
from course import cases

rng = np.random.default_rng(25)
for rows, columns, mean in [(6, 40, 0.0), (40, 6, 0.0), (5, 5, 3.0), (4, 30, -2.0), (1, 8, 0.0)]:
    w = rng.normal(mean, 1, (rows, columns)) * rng.choice([0.01, 1.0, 50.0], (rows, 1))
    before = w.copy()
    returned = per_channel_scale(w)
    expect.unchanged(w, before, "weights")
    wanted = [(max(row) - min(row)) / 255 for row in before.tolist()]
    expect.array(returned, wanted, f"per_channel_scale of a {rows} x {columns} matrix with mean {mean}", 0, 1e-5)
    expect.array(per_channel_scale(before.astype(np.float32)), wanted, "per_channel_scale of float32 weights", 0, 1e-4)
for name, w in cases.forms([[1, 52, 8], [-20, 31, 5], [0, 3, 102]]):
    expect.array(per_channel_scale(w), [0.2, 0.2, 0.4], f"per_channel_scale of weights {name}", 0, 1e-3)
# Near 3 numbers in float32 are 2.4e-7 apart.
for row, within in (([0.0, 2.55e-6, 1e-5], 1e-4), ([-4e-6, 6e-6, 0.0], 1e-4), ([3.0, 3.00001, 3.0], 0.06)):
    scale = per_channel_scale(np.array([row, [-2.0, 1.0, 0.0]]))
    expect.array(scale, [(max(row) - min(row)) / 255, 3 / 255], f"per_channel_scale with a row {row}", 0, within)

for value in (0.0, 0.7, -3.0):
    returned = per_channel_scale(np.array([[value] * 4, [0.0, 1.0, 2.0, 2.55]]))
    assert returned is not None and np.shape(returned) == (2,), "per_channel_scale should return one scale for each row"
    scale = expect.finite(returned[0], f"the scale of a row of {value}s")
    assert scale > 0, f"the scale of a row of {value}s should be above 0, it is {scale}"
    expect.finite(1 / scale, f"1 / scale of a row of {value}s")
    expect.array(returned[1], 0.01, f"the scale of the row [0, 1, 2, 2.55] below a row of {value}s", 1e-6)
for shape in ((4,), (2, 3, 4), (1, 2, 3), ()):
    expect.refuses(per_channel_scale, np.ones(shape), naming="weights", of=f"weights of shape {shape}")
for name, value in cases.not_finite():
    for row in (0, 2):
        w = np.array([[1.0, 2.0], [0.0, 1.0], [-1.0, 3.0]])
        w[row, 1] = value
        expect.refuses(per_channel_scale, w, naming="weights", of=f"weights with {name} in row {row}")
### END HIDDEN TESTS

# %% [markdown]
# Your scales on TinyGPT. For 4 bits the same range is cut into 15 steps instead of 255. Every row has to hold 0, or its
# zero-point would be no code. Count the rows that do:

# %%
holds_0 = sum(int(((w.min(1) <= 0) & (w.max(1) >= 0)).sum()) for w in weights.values())
print(f"{holds_0:,} of {sum(len(w) for w in weights.values()):,} rows hold 0")
for bits in (8, 4):
    scales = lambda w: np.asarray(per_channel_scale(w))[:, None] * 255 / (2**bits - 1)
    ship("one scale per channel", bits, lambda name, w: codes_and_grid(w, scales(w), bits), from_grid)
table

# %% [markdown]
# ### Exercise 2.6 · Design · 1 point
#
# The weights are in the file, so their ranges can be read off. *Activations*, the values that flow between the layers,
# exist only while the model runs. To compute with both in few bits you do four things. Put their keys in order:
#
# - `quantize`: round weights and activations to the grids found
# - `evaluate`: measure the rounded model on held-out text
# - `compute_scales`: turn the ranges into scales and zero-points
# - `calibrate`: run the model on a little text and note the range of each layer's inputs

# %% nbgrader={"schema_version": 3, "grade_id": "ex_2_6", "grade": false, "locked": false, "solution": true, "task": false}
ex_2_6 = None
### BEGIN SOLUTION
# hint: What does each step need that another one makes?
ex_2_6 = ["calibrate", "compute_scales", "quantize", "evaluate"]
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_2_6", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("2.6", ex_2_6)
### BEGIN HIDDEN TESTS
expect.order(
    ex_2_6,
    ["calibrate", "compute_scales", "quantize", "evaluate"],
    why="a scale needs a range, rounding needs a scale, and what is evaluated must be the rounded model",
)
### END HIDDEN TESTS

# %% [markdown]
# Two orders, measured. In the first, calibration comes first. In the second, scales are computed before anything is known
# about the activations, from one range for all layers that someone guessed. Each of three guesses is too narrow for some
# layers or too coarse for others. Activations get 8 bits, weights stay as they are.

# %%
calibration = tinygpt.windows(tinygpt.training_text(), 2 if GRADING else 32, seed=0)[:, :-1]


def inputs_of(model, names):
    """What flows into the named layers while the model reads the calibration text: {name: (samples, in)}."""
    caught = {}
    keep = lambda name: lambda layer, args: caught.__setitem__(name, args[0].flatten(0, 1).numpy())
    hooks = [tinygpt.linears(model)[name].register_forward_pre_hook(keep(name)) for name in names]
    with torch.no_grad():
        model(calibration)
    for hook in hooks:
        hook.remove()
    return caught


def with_ranges(ranges, bits):
    """Bits per byte when the inputs of each layer are rounded to codes of `bits` bits on ranges[name] = (lo, hi)."""
    changed = tinygpt.tiny_gpt()
    for name, layer in tinygpt.linears(changed).items():
        lo, hi = min(float(ranges[name][0]), 0), max(float(ranges[name][1]), 0)
        scale = (hi - lo) / (2**bits - 1)
        grid = (scale, round(-lo / scale), 0, 2**bits - 1)
        on_the_grid = lambda layer, args, grid=grid: (torch.fake_quantize_per_tensor_affine(args[0], *grid),)
        layer.register_forward_pre_hook(on_the_grid)
    return tinygpt.bits_per_byte(changed, windows=2 if GRADING else 64)


inputs = inputs_of(model, weights)
calibrated = with_ranges({name: (x.min(), x.max()) for name, x in inputs.items()}, 8)
print(f"bits per byte: {table.rows[0].bits_per_byte:.3f} as trained, {calibrated:.3f} calibrated")
for end in (1.0, 10.0, 100.0):
    guessed = with_ranges(dict.fromkeys(weights, (-end, end)), 8)
    print(f"bits per byte: {guessed:.3f} with -{end:g} to {end:g} guessed for every layer")

# %% [markdown]
# ## 6. Groups
#
# ### Lab L2.7 · Build · 4 points
#
# `quantize_groupwise(w, bits, group_size)` cuts each row of `w`, shape `(out, in)`, into groups of `group_size`
# consecutive inputs. Each group gets the affine grid of Lab L1.7: its range is widened to hold 0,
#
# $$lo = \min(w_{group}, 0), \quad hi = \max(w_{group}, 0), \quad \text{scale} = \frac{hi - lo}{2^b - 1}, \quad
# z = \operatorname{round}\!\left(\frac{-lo}{\text{scale}}\right),$$
#
# and its codes are $\operatorname{clip}(\operatorname{round}(w / \text{scale}) + z,\, 0,\, 2^b - 1)$. A range with 0 in it
# makes $z$ a code, and a weight of 0 comes back as exactly 0. Return a tuple `(codes, scales, zeros)`: codes of shape
# `(out, in)` and type `uint8`; scales and zeros of shape `(out, in // group_size)`; zeros are whole numbers from 0 to
# $2^b - 1$. A group of nothing but zeros must come back as zeros, and its scale must be finite and above 0. Every other
# group keeps the scale of the formula, however small. `w` holds neither NaN nor infinity.
#
# `dequantize_groupwise(codes, scales, zeros, group_size)` returns $(q - z) \cdot \text{scale}$; zeros may be `uint8`, too.
#
# Inputs stay as they are. Raise `ValueError`, naming the argument: `w` when it is not two-dimensional, `bits` when it is
# not between 1 and 8, and, in both functions, `group_size` when it is less than 1 or the groups do not fit the rows. The
# cells below send all 786,432 weights through your functions ten times: work on whole arrays. (Loops over single weights
# took about a minute more.)
#
# Example: `quantize_groupwise(np.array([[0.5, 1.5, -0.3, 0.45]]), 4, 2)` has codes `[[5, 15, 0, 15]]`, scales
# `[[0.1, 0.05]]` and zeros `[[0, 6]]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L2_7", "grade": false, "locked": false, "solution": true, "task": false}
def quantize_groupwise(w, bits, group_size):
    """Return codes (out, in) uint8, scales and zeros (out, in // group_size) of w (out, in), a grid for each group."""
    ### BEGIN SOLUTION
    w = np.asarray(w, dtype=float)
    if w.ndim != 2:
        raise ValueError(f"w must be two-dimensional, got shape {w.shape}")
    if not 1 <= bits <= 8:
        raise ValueError(f"bits must be between 1 and 8, got {bits}")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError(f"group_size must divide the {w.shape[1]} inputs, got {group_size}")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = np.minimum(groups.min(axis=2), 0), np.maximum(groups.max(axis=2), 0)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    codes = np.clip(np.round(groups / scales[:, :, None]) + zeros[:, :, None], 0, 2**bits - 1)
    return codes.reshape(w.shape).astype(np.uint8), scales, zeros
    ### END SOLUTION


def dequantize_groupwise(codes, scales, zeros, group_size):
    """Return the weights (out, in) that codes (out, in) stand for; scales and zeros are (out, in // group_size)."""
    ### BEGIN SOLUTION
    codes = np.asarray(codes, dtype=float)
    if group_size < 1 or np.shape(scales) != (len(codes), codes.shape[1] / group_size):
        raise ValueError(f"group_size {group_size} does not fit codes {codes.shape} and scales {np.shape(scales)}")
    scales, zeros = (np.repeat(np.asarray(part, dtype=float), group_size, axis=1) for part in (scales, zeros))
    return (codes - zeros) * scales
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L2_7", "grade": true, "locked": true, "solution": false, "task": false, "points": 4}
import numpy as np
import torch

from course import expect
from course.check import passed

w = np.array([[0.5, 1.5, 0.26, -0.3, 0.45, 0.13], [-3.0, -1.0, -0.46, 1.8, -1.2, 0.74]])
returned = quantize_groupwise(w, 4, 3)
assert returned is not None and len(returned) == 3, "quantize_groupwise should return (codes, scales, zeros)"
codes, scales, zeros = returned
of = f"of {w.tolist()}, 4 bits, groups of 3,"
traps = [("widen the range to hold 0", [[1.24 / 15, 0.05], [2.54 / 15, 0.2]])]
expect.array(scales, [[0.1, 0.05], [0.2, 0.2]], f"the scales {of}", 1e-6, traps=traps)
traps = [("the zero-point is the code of 0, a whole number", [[0, -0.3], [-3, -1.2]])]
expect.array(zeros, [[0, 6], [15, 6]], f"the zeros {of}", 1e-6, traps=traps)
traps = [("round to the nearest code, do not cut off", [[5, 15, 2, 0, 15, 8], [0, 10, 12, 15, 0, 9]])]
expect.array(codes, [[5, 15, 3, 0, 15, 9], [0, 10, 13, 15, 0, 10]], f"the codes {of}", 1e-6, traps=traps)
assert np.asarray(codes).dtype == np.uint8, f"the codes should have type uint8, they have {np.asarray(codes).dtype}"
codes, scales, zeros = np.array([[5, 15, 0, 15]], np.uint8), np.array([[0.1, 0.05]]), np.array([[0, 6]], np.uint8)
of = "dequantize_groupwise([[5, 15, 0, 15]], [[0.1, 0.05]], [[0, 6]], 2)"
traps = [("0 - 6 is 250 in uint8", [[0.5, 1.5, 12.5, 0.45]]), ("groups are neighbours", [[0.5, 0.45, 0.0, 0.45]])]
expect.array(dequantize_groupwise(codes, scales, zeros, 2), [[0.5, 1.5, -0.3, 0.45]], of, 1e-6, traps=traps)
passed("L2.7")
### BEGIN HIDDEN TESTS
from course import cases


def one_group(values, bits):
    """Codes, scale and zero-point of one group, in Python, and its round trip by PyTorch."""
    lo, hi = min(0.0, *values), max(0.0, *values)
    scale = (hi - lo) / (2**bits - 1)
    zero = round(-lo / scale)
    back = torch.fake_quantize_per_tensor_affine(torch.tensor(values), scale, zero, 0, 2**bits - 1)
    return [round(float(value) / scale) + zero for value in back], scale, zero, back.tolist()


rng = np.random.default_rng(27)
shapes = [(3, 24, 4, 8, 0), (8, 6, 3, 3, 0), (2, 40, 8, 20, 0.1), (5, 12, 2, 12, 0)]
shapes += [(4, 16, 4, 4, 2), (4, 16, 4, 8, -2), (2, 6, 1, 2, 0), (1, 64, 5, 16, 0)]
for out, inputs, bits, group_size, mean in shapes:
    sizes = rng.choice([2e-6, 0.02, 1.0, 30.0], (out, inputs // group_size))
    w = rng.normal(mean, 1, (out, inputs)) * sizes.repeat(group_size, axis=1)
    before = w.copy()
    of = f"a {out} x {inputs} matrix with mean {mean}, {bits} bits, groups of {group_size}"
    returned = quantize_groupwise(w, bits, group_size)
    expect.unchanged(w, before, "w")
    assert returned is not None and len(returned) == 3, "quantize_groupwise should return (codes, scales, zeros)"
    codes, scales, zeros = (np.asarray(part) for part in returned)
    assert codes.dtype == np.uint8, f"the codes should have type uint8, they have {codes.dtype}"
    groups = [one_group(group, bits) for group in before.reshape(-1, group_size).tolist()]
    wanted = [np.array(part) for part in zip(*groups)]
    expect.array(scales, wanted[1].reshape(out, -1), f"the scales of {of}:", 0, 1e-4)
    expect.array(zeros, wanted[2].reshape(out, -1), f"the zeros of {of}:", 0, 0)
    expect.array(codes, wanted[0].reshape(out, -1), f"the codes of {of}:", 0, 0)
    kept = codes.copy(), scales.copy(), zeros.copy()
    back = dequantize_groupwise(codes, scales, zeros, group_size)
    for name, now, then in zip(("codes", "scales", "zeros"), (codes, scales, zeros), kept):
        expect.unchanged(now, then, name)
    expect.array(back, wanted[3].reshape(out, -1), f"the round trip of {of}:", 1e-6, 1e-3)

codes = rng.integers(0, 16, (3, 8), dtype=np.uint8)
scales, zeros = rng.uniform(0.1, 1, (3, 2)), rng.integers(0, 16, (3, 2), dtype=np.uint8)
by_hand = [[(int(codes[i, j]) - int(zeros[i, j // 4])) * scales[i, j // 4] for j in range(8)] for i in range(3)]
back = dequantize_groupwise(codes, scales, zeros, 4)
expect.array(back, by_hand, "dequantize_groupwise of codes 0 to 15 with zeros in uint8", 1e-6, 1e-5)
for value in (0.0, 0.7, -3.0):
    w = np.array([[value] * 4 + [-1.0, 0.0, 0.5, 2.0]])
    codes, scales, zeros = (np.asarray(part) for part in quantize_groupwise(w, 4, 4))
    scale = expect.finite(scales.ravel()[0], f"the scale of a group of {value}s")
    assert scale > 0, f"the scale of a group of {value}s should be above 0, it is {scale}"
    back = dequantize_groupwise(codes, scales, zeros, 4)
    expect.array(np.asarray(back)[:, :4], w[:, :4], f"a group of {value}s after the round trip", 1e-6)

# Both ends half a step off: whichever way the zero-point is rounded, codes stay from 0 to 15.
for w in (np.array([[-1.5, 13.5]]), np.array([[-2.5, 12.5, 5.0]]), np.array([[-127.5, 127.5]])):
    bits = 8 if w.max() > 100 else 4
    codes, scales, zeros = (np.asarray(part) for part in quantize_groupwise(w, bits, w.shape[1]))
    assert codes.max() < 2**bits, f"{w.tolist()} with {bits} bits has the code {codes.max()}"
    back = dequantize_groupwise(codes, scales, zeros, w.shape[1])
    expect.array(back, w, f"{w.tolist()} with {bits} bits after the round trip, off by a step at most,", 1.01)
for name, w in cases.forms([[0, 30, 10, -15], [-50, 4, 25, 11]]):
    codes, scales, zeros = quantize_groupwise(w, 4, 2)
    expect.array(scales, [[2, 5 / 3], [3.6, 5 / 3]], f"the scales of weights {name}", 0, 1e-3)
    expect.array(zeros, [[0, 9], [14, 0]], f"the zeros of weights {name}")
    expect.array(codes, [[0, 15, 15, 0], [0, 15, 15, 7]], f"the codes of weights {name}")
w = np.ones((2, 12))
for shape in ((12,), (1, 2, 12), (2, 12, 1), ()):
    expect.refuses(quantize_groupwise, np.ones(shape), 4, 4, naming="w", of=f"weights of shape {shape}")
for bits in (0, 9, -1):
    expect.refuses(quantize_groupwise, w, bits, 4, naming="bits", of=f"bits = {bits}")
for group_size in (0, -4, 5, 8, 24):
    of = f"12 inputs in w and group_size = {group_size}"
    expect.refuses(quantize_groupwise, w, 4, group_size, naming="group_size or w", of=of)
codes, grid, names = np.ones((2, 12), dtype=np.uint8), np.ones((2, 2)), "group_size or codes or scales or zeros"
for group_size in (0, -6, 3, 5, 12, 24):
    of = f"12 codes and 2 scales a row with group_size = {group_size}"
    expect.refuses(dequantize_groupwise, codes, grid, grid, group_size, naming=names, of=of)
### END HIDDEN TESTS

# %% [markdown]
# ### See it: where the error sits
#
# A matrix of 32 rows, small weights above and large ones below, with one outlier in row 16. All three pictures go through
# your two functions: the whole matrix as one group, each row as one group, and groups of the size you choose.
#
# - Raise the outlier. Which weights pay for it in each picture?
# - Which costs more at 4 bits: an outlier of 30, or giving up one bit?

# %%
draw.granularity(quantize_groupwise, dequantize_groupwise)

# %% [markdown]
# On TinyGPT, with groups of 32 and 4 bits:


# %%
def in_groups(w, bits, group_size):
    """What is stored of w, in groups; group_size None makes each row one group."""
    codes, scales, zeros = map(np.asarray, quantize_groupwise(w, bits, group_size or w.shape[1]))
    return {"codes": codes, "scales": np.float16(scales), "zeros": np.float16(zeros)}


def from_groups(parts):
    group_size = parts["codes"].shape[1] // parts["scales"].shape[1]
    return dequantize_groupwise(parts["codes"], np.float32(parts["scales"]), np.float32(parts["zeros"]), group_size)


ship("groups of 32", 4, lambda name, w: in_groups(w, 4, 32), from_groups)

# %% [markdown]
# ## 7. Four bits that are four bits
#
# The table says 4 bits, the file says 8 and more. NumPy has no type of half a byte, so two codes have to share a byte.
#
# ### Lab L2.8 · Build · 3 points
#
# `pack_int4(codes)` packs a one-dimensional array of $n$ whole numbers from 0 to 15 into $\lceil n/2 \rceil$ bytes, type
# `uint8`. Of each pair the first code goes into the low four bits: `byte = first + 16 * second`. When $n$ is odd, the
# last byte holds one code and a 0. `unpack_int4(packed, n)` gives the $n$ codes back, type `uint8`.
#
# `codes` may have any integer type; fractions do not occur. Inputs stay as they are. Raise `ValueError`, naming `codes`,
# when a code is not from 0 to 15 (256 in 16 bits is not 0) or `codes` is not one-dimensional, and naming `n` when `packed`
# does not have $\lceil n/2 \rceil$ bytes. Both functions have to deal with 65,536 codes at a time.
#
# Example: `pack_int4(np.array([1, 2, 15]))` is `[33, 15]`, and `unpack_int4(np.array([33, 15], dtype=np.uint8), 3)` is
# `[1, 2, 15]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L2_8", "grade": false, "locked": false, "solution": true, "task": false}
def pack_int4(codes):
    """Return the codes (n,), 0 to 15, two to a byte: uint8 of shape (ceil(n / 2),)."""
    ### BEGIN SOLUTION
    codes = np.asarray(codes)
    if codes.ndim != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes must be one-dimensional, with values from 0 to 15")
    pairs = np.append(codes, [0] * (len(codes) % 2)).astype(np.uint8).reshape(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 4
    ### END SOLUTION


def unpack_int4(packed, n):
    """Return the n codes, uint8, that pack_int4 packed."""
    ### BEGIN SOLUTION
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError(f"n must fit the {len(packed)} bytes given, got {n}")
    return np.stack([packed & 15, packed >> 4], axis=1).ravel()[:n]
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L2_8", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np

from course import expect
from course.check import passed

say = "the first code of a pair goes into the low four bits"
packed = pack_int4(np.array([1, 2, 15]))
expect.array(packed, [33, 15], "pack_int4([1, 2, 15])", traps=[(say, [18, 240])])
assert np.asarray(packed).dtype == np.uint8, f"pack_int4 should give uint8, it gave {np.asarray(packed).dtype}"
codes = unpack_int4(np.array([33, 15], dtype=np.uint8), 3)
expect.array(codes, [1, 2, 15], "unpack_int4([33, 15], 3)", traps=[(say, [2, 1, 0])])
assert np.asarray(codes).dtype == np.uint8, f"unpack_int4 should give uint8, it gave {np.asarray(codes).dtype}"
passed("L2.8")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(28)
cases = [np.arange(16), np.arange(16)[::-1], np.array([7]), np.full(9, 15), np.zeros(6, dtype=int)]
cases += [rng.integers(0, 16, n) for n in (2, 3, 100, 101, 4096)]
for codes in cases:
    for dtype in (np.uint8, np.int64) if len(codes) > 9 else (np.uint8, np.int16, np.int32, np.int64):
        given = codes.astype(dtype)
        of = f"{len(codes)} codes of type {np.dtype(dtype).name}"
        packed = pack_int4(given)
        expect.unchanged(given, codes, "codes")
        text = "".join(f"{code:x}" for code in codes) + "0" * (len(codes) % 2)
        wanted = [int(text[i + 1] + text[i], 16) for i in range(0, len(text), 2)]
        expect.array(packed, wanted, f"pack_int4 of {of}")
        assert np.asarray(packed).dtype == np.uint8, f"pack_int4 of {of} should have type uint8"
    stored = np.array(wanted, dtype=np.uint8)
    returned = unpack_int4(stored, len(codes))
    expect.unchanged(stored, wanted, "packed")
    expect.array(returned, codes, f"unpack_int4 of {len(wanted)} bytes, n = {len(codes)},")
    assert np.asarray(returned).dtype == np.uint8, f"unpack_int4 of {len(wanted)} bytes should have type uint8"
expect.array(pack_int4(np.arange(10)[::2]), [32, 100, 8], "pack_int4 of every other element of an array")
bad = [np.array([*start, code, 3, 9]) for code in (16, -1, 256, -256, 2**32 + 3) for start in ([], [1], [4, 15])]
for given in (*bad, np.array([3, 200], dtype=np.uint8), np.array([3, -7], dtype=np.int8)):
    expect.refuses(pack_int4, given, naming="codes", of=f"pack_int4 of {given.tolist()} in {given.dtype}")
for shape in ((2, 2), (1, 4), (4, 1), (2, 1, 2), ()):
    expect.refuses(pack_int4, np.ones(shape, dtype=int), naming="codes", of=f"codes of shape {shape}")
packed = np.array([33, 15], dtype=np.uint8)
for n in (0, 1, 2, 5, 6, 40, -3):
    expect.refuses(unpack_int4, packed, n, naming="n or packed", of=f"packed of 2 bytes and n = {n}")
### END HIDDEN TESTS

# %% [markdown]
# Two and three bits go through your function too. Two codes of 2 bits make one number of 4 bits, and so do four codes of
# 1 bit. A code of 3 bits is cut into its low two bits and its high one, and the two parts are packed one after the other.


# %%
def pack(codes, bits):
    """The codes (n,) of 1, 2, 3 or 4 bits as bytes; n is divisible by 8."""
    if bits == 3:
        return np.concatenate([pack(codes % 4, 2), pack(codes // 4, 1)])
    nibbles = (codes.reshape(-1, 4 // bits) << bits * np.arange(4 // bits)).sum(axis=1)
    return np.asarray(pack_int4(nibbles), dtype=np.uint8)


def unpack(packed, bits):
    if bits == 3:
        low, high = np.split(packed, [len(packed) * 2 // 3])
        return unpack(low, 2) + 4 * unpack(high, 1)
    nibbles = np.asarray(unpack_int4(packed, 2 * len(packed)))
    return (nibbles[:, None] >> bits * np.arange(4 // bits)).ravel() % 2**bits


def packed(parts, bits):
    return parts | {"codes": pack(parts["codes"].ravel().astype(int), bits)}


def from_packed(parts, bits):
    return from_groups(parts | {"codes": unpack(parts["codes"], bits).reshape(len(parts["scales"]), -1)})


before = table.rows[-1].bytes_on_disk
for bits in (4, 3, 2):
    for method, size in [("one scale per channel", None), ("groups of 32", 32)]:
        store = lambda name, w: packed(in_groups(w, bits, size), bits)
        ship(method, bits, store, lambda parts: from_packed(parts, bits))
after = next(row.bytes_on_disk for row in table.rows if row[:2] == ("groups of 32", 4))
print(f"groups of 32 at 4 bits: {before:,} bytes on disk before packing, {after:,} after; the budget is {BUDGET:,}")
table

# %% [markdown]
# The rows at 4 bits were measured again, now packed. With codes of the same width, groups of 32 are better than channels.
# But a group of 32 pays a whole bit per weight for its scale and zero-point. What else could that bit buy?

# %%
rows = {row[:2]: row for row in table.rows}
for bits, method in product((3, 2), ("groups of 32", "one scale per channel")):
    if row := rows.get((method, bits + ("scale" in method))):
        print(
            f"{method:21}  {row.bits} bits  {row.bits_per_weight:.2f} per weight  {row.bits_per_byte:.3f} bits per byte"
        )

# %% [markdown]
# At nearly the same size, groups of 32 lose: here a bit is better spent on the codes. Three things speak for groups all the
# same. Most formats pay less for a group (a zero-point from 0 to 15 needs four bits, not sixteen). With groups of 128 the
# overhead is a quarter of a bit. And the rows of large models hold thousands of weights, where these hold 128 or 512.

# %% [markdown]
# ## 8. Activations
#
# If the inputs of a layer are integers as well, the whole product can be computed with integers. You need their range
# before the model runs, so you *calibrate*: run some text, and note what flows. The trouble is outliers. TinyGPT squares
# the output of its ReLU, so look at what flows into the `down` layers:

# %%
inputs = inputs_of(model, weights)
print("input of layer             smallest   largest  standard deviation  largest / std")
for name, x in inputs.items():
    if name.endswith(("attention.q", "mlp.down")):
        print(f"{name:24}  {x.min():9.2f} {x.max():9.2f} {x.std():19.3f} {np.abs(x).max() / x.std():14.1f}")

# %% [markdown]
# ### Lab L2.9 · Build · 3 points
#
# `calibrate(samples, method)` returns a range `(lo, hi)`, two floats, for activations of any shape. There are three
# methods:
#
# - `"minmax"`: the smallest and the largest sample.
# - `"percentile"`: the 0.1 and 99.9 percentiles (as `np.percentile` interpolates).
# - `"mse"`: multiply both ends of the minmax range by the same $c$, $0 < c \le 1$, and choose the $c$ for which **4-bit**
#   codes have the least mean squared error over all samples. The grid is that of Lab L2.7, with the range widened to hold
#   0 and an integer zero-point, and values outside are clamped. Return $(c \cdot lo, c \cdot hi)$, as it is or widened to
#   hold 0. The error on your range has to be within 10 % of the least one; trying a hundred evenly spaced values of $c$
#   from 0.01 to 1 is enough.
#
# When all samples are equal, return that value twice, whatever the method. `samples` stays as it is. Raise `ValueError`,
# naming the argument, when `samples` is empty or holds NaN or infinity, and when `method` is another word.
#
# Example: for `np.append(np.linspace(-1, 1, 2001), 8.0)`, minmax gives `(-1.0, 8.0)`, percentile about `(-0.998, 0.999)`,
# and the best range by mse ends near 5.6.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L2_9", "grade": false, "locked": false, "solution": true, "task": false}
def calibrate(samples, method):
    """Return the range (lo, hi) of samples by method: "minmax", "percentile" or "mse" (of 4-bit codes)."""
    ### BEGIN SOLUTION
    x = np.asarray(samples, dtype=float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples must be finite numbers, at least one")
    if method not in ("minmax", "percentile", "mse"):
        raise ValueError(f"method must be minmax, percentile or mse, got {method!r}")
    lo, hi = float(x.min()), float(x.max())
    if method == "percentile":
        lo, hi = np.percentile(x, [0.1, 99.9])
    if method != "mse" or lo == hi:
        return float(lo), float(hi)

    def error(c):
        low, high = min(c * lo, 0), max(c * hi, 0)
        scale = (high - low) / 15
        zero = round(-low / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x) ** 2)

    c = min(np.linspace(0.01, 1, 100), key=error)
    return float(c * lo), float(c * hi)
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L2_9", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np

from course import expect
from course.check import passed

samples = np.append(np.linspace(-1, 1, 2001), 8.0)
expect.array(calibrate(samples, "minmax"), [-1.0, 8.0], 'calibrate(samples, "minmax")', 1e-6)
traps = [("take the 0.1 and 99.9 percentiles", [-0.98, 0.981])]
expect.array(calibrate(samples, "percentile"), [-0.998, 0.999], 'calibrate(samples, "percentile")', 1e-6, traps=traps)
returned = calibrate(samples, "mse")
assert returned is not None and len(returned) == 2, 'calibrate(samples, "mse") should return (lo, hi)'
lo, hi = (expect.finite(end, 'an end of calibrate(samples, "mse")') for end in returned)
assert 4.86 < hi < 6.17 and -0.78 < lo < -0.6, (
    f"by mse the range of these samples ends near 5.6 and begins near -0.7, yours goes from {lo:.3g} to {hi:.3g}. Square "
    "the errors of all samples, the clamped ones too, for each c; 4 bits have 15 steps"
)
passed("L2.9")
### BEGIN HIDDEN TESTS
import statistics

import torch

from course import cases


def error_of(x, lo, hi):
    lo, hi = min(float(lo), 0.0), max(float(hi), 0.0)
    if hi == lo:
        return float(np.mean(x**2))
    scale = (hi - lo) / 15
    x_hat = torch.fake_quantize_per_tensor_affine(torch.tensor(x), scale, round(-lo / scale), 0, 15)
    return float(np.mean((x_hat.numpy() - x) ** 2))


rng = np.random.default_rng(29)
outliers = rng.normal(0, 1, 4000)
outliers[::1000] = [12.0, 15.0, -9.0, 20.0]
given = {
    "normal values": rng.normal(0, 1, 2000),
    "normal values with four outliers": outliers,
    "squares, shape (40, 50)": rng.normal(0, 0.03, (40, 50)) ** 2,
    "uniform values": rng.uniform(-3, 1, 2000),
    "values above 0 with a heavy tail": rng.exponential(2, 2000),
    "heavy tails on both sides": rng.laplace(0, 100, 2000),
    "normal values with outliers at 40 and -14": np.append(rng.normal(0, 1, 3998), [40.0, -14.0]),
    "values from 9.6 to 10.42": np.append(np.clip(rng.normal(10, 0.2, 300), 9.6, 10.4), 10.41667),
    "values from -10.42 to -9.6": -np.append(np.clip(rng.normal(10, 0.2, 300), 9.6, 10.4), 10.41667),
}
for name, x in given.items():
    ranges = {}
    for method in ("minmax", "percentile", "mse"):
        before = x.copy()
        returned = calibrate(x, method)
        expect.unchanged(x, before, "samples")
        assert returned is not None and len(returned) == 2, f"calibrate({name}, {method!r}) should return (lo, hi)"
        of = f"calibrate of {name} by {method}"
        ranges[method] = [expect.finite(end, of) for end in returned]
        assert ranges[method][0] < ranges[method][1], f"{of} should have lo below hi, it is {ranges[method]}"
    ordered = sorted(x.ravel().tolist())
    cuts = statistics.quantiles(ordered, n=1000, method="inclusive")
    expect.array(ranges["minmax"], [ordered[0], ordered[-1]], f"calibrate of {name} by minmax", 1e-6, 1e-5)
    expect.array(ranges["percentile"], [cuts[0], cuts[-1]], f"calibrate of {name} by percentile", 1e-6, 1e-5)
    x = x.ravel()
    least = min(error_of(x, c * ordered[0], c * ordered[-1]) for c in np.linspace(0.01, 1, 100))
    here = error_of(x, *ranges["mse"])
    assert here <= 1.1 * least, (
        f"{name} by mse: 4-bit codes on your range {ranges['mse'][0]:.4g} to {ranges['mse'][1]:.4g} have a mean squared "
        f"error {here / least:.2f} times the least one"
    )
for value in (0.0, 2.5, -1.0):
    for method in ("minmax", "percentile", "mse"):
        expect.array(calibrate(np.full(20, value), method), [value, value], f"calibrate of {value}s by {method}", 1e-9)
few = [3, -20, 1, 60, 0, -2]
for name, x in cases.forms(few) + cases.forms(np.reshape(few, (2, 3))):
    expect.array(calibrate(x, "minmax"), [-20, 60], f"calibrate of samples {name} by minmax", 1e-6)
    expect.array(calibrate(x, "percentile"), [-19.91, 59.715], f"calibrate of samples {name} by percentile", 0.03)
    here, best = error_of(np.array(few, float), *calibrate(x, "mse")), error_of(np.array(few, float), -20, 60)
    assert here <= 1.1 * best, f"calibrate of samples {name} by mse: the whole range has a smaller error"
for method in ("minmax", "percentile", "mse"):
    for x in (np.array([]), np.empty((3, 0))):
        expect.refuses(calibrate, x, method, naming="samples", of=f"samples of shape {x.shape} ({method})")
    for name, value in cases.not_finite():
        for x in (np.array([1.0, value]), np.array([[0.5, value], [1.0, 0.0]])):
            expect.refuses(calibrate, x, method, naming="samples", of=f"{name} in samples ({method})")
for x in (np.ones(3), np.arange(3.0)):
    for word in ("median", "max", ""):
        expect.refuses(calibrate, x, word, naming="method", of=f'method "{word}"')
### END HIDDEN TESTS

# %% [markdown]
# ### See it: one value and the range
#
# 2000 of the values that flow into the first `down` layer. Choose a method, then let the largest value grow. Which ranges
# follow it, and what does each of them do to the step?

# %%
sample = np.random.default_rng(0).permutation(inputs["blocks.0.mlp.down"].ravel())[:2000]
draw.ranges(calibrate, sample)

# %% [markdown]
# On the model: ranges from 20,000 values of each layer's inputs, activations in 8 and in 4 bits, weights as they are. (Your
# `mse` was made for 4 bits.) Which values are drawn is chance, and the outliers are few, so each line shows three draws.

# %%
for bits, method in tqdm([(8, "minmax"), (4, "minmax"), (4, "percentile"), (4, "mse")], leave=False, disable=GRADING):
    drawn = []
    for seed in range(1 if GRADING else 3):
        draw_some = np.random.default_rng(seed).choice
        found = {name: calibrate(draw_some(x.ravel(), 20_000), method) for name, x in inputs.items()}
        drawn.append(with_ranges(found, bits))
    tqdm.write(f"activations of {bits} bits, {method:10}  {'  '.join(f'{b:.3f}' for b in drawn)}  bits per byte")

# %% [markdown]
# With 8 bits there are codes enough even for the range of the outliers. With 4 bits the choice of the range shows: the
# outliers stretch the steps of minmax, and the percentiles cut them off without asking what that costs. But activations
# take up no room in the file. Back to the weights.

# %% [markdown]
# ## 9. GPTQ
#
# For one row $w$ with rounded weights $\hat w$, and inputs $X$ of shape (samples, in), the squared error of the output is
#
# $$\lVert X w - X \hat w \rVert^2 = \tfrac12\, (w - \hat w)^\top H\, (w - \hat w), \qquad H = 2 X^\top X .$$
#
# $H$ is the error's Hessian. (The paper stores one sample in each *column* and writes $2 X X^\top$. It is the same matrix,
# of shape (in, in).) Go through the inputs one by one. Round the weight of input $j$ to its nearest level, and then change
# the weights that are not rounded yet so that they make up for its error as well as they can. The best change is known
# (Hassibi and Stork 1993). With $H^{-1}$ the inverse for the inputs left, $j$ and those after it, it is
#
# $$w_k \leftarrow w_k - \frac{w_j - \hat w_j}{[H^{-1}]_{jj}}\, [H^{-1}]_{jk} \qquad (k > j) .$$
#
# Optimal Brain Compression (Frantar, Singh and Alistarh 2022) lets each row choose which of its weights comes next, and
# takes one input after another out of that row's inverse. GPTQ goes three steps further:
#
# 1. A fixed order is nearly as good on large layers. Then the inverse is the same for all rows, and all rows go at once.
# 2. The changes are made in blocks of columns, which suits a GPU's memory. The result is the same, so you may leave it out.
# 3. The inverse changes with every step, since an input drops out, and rounding errors add up in it. One Cholesky
#    factorisation holds all its rows that are ever needed: with the upper triangular $U$ for which $U^\top U = H^{-1}$ (of
#    all inputs), the change is
#
# $$w_k \leftarrow w_k - \frac{w_j - \hat w_j}{U_{jj}}\, U_{jk} \qquad (k > j) .$$
#
# Check that on a small case. `x = np.array([[1, 0, 1], [0, 2, 1], [2, 1, 0]])` has this $H$ and $U$, without damping:

# %%
H = np.array([[10.0, 4, 2], [4, 10, 4], [2, 4, 4]])
U = np.array([[0.3464, -0.1155, -0.0577], [0, 0.4082, -0.4082], [0, 0, 0.5]])
print("U.T @ U @ H, which should be the identity:", (U.T @ U @ H).round(3).tolist())
for j in range(2):
    fresh = np.linalg.inv(H[j:, j:])[0]  # of the inputs left
    print(f"input {j} pushes {(-fresh[1:] / fresh[0]).round(3)} of its error by a fresh inverse, "
          f"{(-U[j, j + 1 :] / U[j, j]).round(3)} by row {j} of U")  # fmt: skip

# %% [markdown]
# ### Lab L2.10 · Build · 5 points
#
# Write `gptq(w, x, bits, damp=0.01)`. `w` is (out, in), `x` is (samples, in); return $\hat w$, shape (out, in).
#
# 1. Each row gets one grid from its original weights, and keeps it: that of Lab L2.7, with the whole row as one group.
# 2. $H = 2 X^\top X$. Where an input is 0 in every sample, put 1 on the diagonal. Then take the mean of the diagonal, those
#    ones included, and add `damp` times it to the whole diagonal, so that $H$ can be inverted.
# 3. $U$, upper triangular, with $U^\top U = H^{-1}$.
# 4. For $j$ = 0, 1, ...: round column $j$ of the weights as they are now, clamped to the codes; push each row's error to
#    the columns after $j$. All rows can be treated at once.
#
# An input that is always 0 has only zeros beside the diagonal, in $H$ and in $U$: its weights go to their nearest level,
# push nothing and are not pushed. (The authors' code makes them 0.) So its 1 matters only in the mean, and for the inverse
# when `damp` is 0. The factor 2 matters only against that 1: everywhere else it cancels, in $U_{jk} / U_{jj}$.
#
# Compute in float64, whatever the types of `w` and `x`: inputs may be nearly equal, and `damp` small or 0. `w` and `x`
# stay as they are. Raise `ValueError`, naming the argument, when `w` or `x` is not two-dimensional, when `x` has another
# number of inputs than `w`, when `bits` is not between 1 and 8, or `damp` is negative. TinyGPT's matrices have up to 512
# rows and 512 columns: loop over the columns only.
#
# Example: 1 bit, and `x = np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0]])`. Only $w_0$ and $2 w_1 + w_2$ count. The second row
# of `w = np.array([[0.0, 0.7, 1.5], [3.0, 1.4, 1.4]])` has levels 0 and 3. To nearest it is `[3, 0, 0]`, and $2 w_1 + w_2$
# falls from 4.2 to 0. `gptq(w, x, 1)` makes it `[3, 0, 3]`. The first row becomes `[0, 0, 1.5]`: its last weight is at its
# largest level already and cannot make up for anything.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L2_10", "grade": false, "locked": false, "solution": true, "task": false}
def gptq(w, x, bits, damp=0.01):
    """Return w_hat (out, in) on a grid per row of w (out, in), rounded for inputs x (samples, in) (Frantar et al. 2022)."""
    ### BEGIN SOLUTION
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError(f"w must be two-dimensional, got shape {w.shape}")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(f"x must have shape (samples, {w.shape[1]}), got {x.shape}")
    if not 1 <= bits <= 8:
        raise ValueError(f"bits must be between 1 and 8, got {bits}")
    if damp < 0:
        raise ValueError(f"damp must not be negative, got {damp}")
    lo, hi = np.minimum(w.min(axis=1), 0), np.maximum(w.max(axis=1), 0)
    scale = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zero = np.round(-lo / scale)

    hessian = 2 * x.T @ x
    diagonal = np.diag_indices(len(hessian))
    hessian[diagonal] = np.where(hessian[diagonal] > 0, hessian[diagonal], 1)
    hessian[diagonal] += damp * hessian[diagonal].mean()
    upper = np.linalg.cholesky(np.linalg.inv(hessian)).T

    w_hat = np.empty_like(w)
    for j in range(w.shape[1]):
        code = np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1)
        w_hat[:, j] = (code - zero) * scale
        error = (w[:, j] - w_hat[:, j]) / upper[j, j]
        w[:, j + 1 :] -= np.outer(error, upper[j, j + 1 :])
    return w_hat
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L2_10", "grade": true, "locked": true, "solution": false, "task": false, "points": 5}
import numpy as np

from course import expect
from course.check import passed

w, x = np.array([[0.0, 0.7, 1.5], [3.0, 1.4, 1.4]]), np.array([[1.0, 0.0, 0.0], [0.0, 2.0, 1.0]])
traps = [
    ("nothing has made up for the error: is U the factor of the inverse of H?", [[0.0, 0.0, 1.5], [3.0, 0.0, 0.0]]),
    ("each row has its own grid, and ends with its largest code", [[0.0, 0.0, 3.0], [3.0, 0.0, 3.0]]),
    ("the columns left make up for the error: mind the sign", [[0.0, 0.0, 0.0], [3.0, 0.0, 0.0]]),
]
wanted, of = [[0.0, 0.0, 1.5], [3.0, 0.0, 3.0]], f"gptq({w.tolist()}, {x.tolist()}, 1)"
expect.array(gptq(w, x, 1), wanted, of, 1e-6, traps=traps)
passed("L2.10")
### BEGIN HIDDEN TESTS
from course import cases


def grid_of(row, bits):
    lo, hi = min(0.0, *row), max(0.0, *row)
    scale = (hi - lo) / (2**bits - 1) or 1.0
    zero = round(-lo / scale)
    return (np.arange(2**bits) - zero) * scale


def one_by_one(w, x, bits, damp):
    """The same method without Cholesky: a fresh inverse of the inputs left, for each row and column."""
    hessian = 2 * sum(np.outer(sample, sample) for sample in np.array(x, dtype=float))
    hessian = hessian + np.diag([1.0 if not np.any(x[:, j]) else 0.0 for j in range(len(hessian))])
    hessian = hessian + damp * np.mean(np.diag(hessian)) * np.eye(len(hessian))
    w_hat = np.array(w, dtype=float)
    for row in w_hat:
        grid = grid_of(row.tolist(), bits)
        for j in range(len(row)):
            inverse = np.linalg.inv(hessian[j:, j:])
            nearest = grid[np.abs(grid - row[j]).argmin()]
            row[j:] -= (row[j] - nearest) / inverse[0, 0] * inverse[0]
            row[j] = nearest
    return w_hat


def inputs(rng, samples, n):
    """Inputs that rise and fall together."""
    return rng.normal(size=(samples, 3)) @ rng.normal(size=(3, n)) + 0.5 * rng.normal(size=(samples, n))


rng = np.random.default_rng(210)
shapes = [(3, 12, 100, 4, 0.01), (5, 8, 40, 3, 0.01), (2, 16, 16, 3, 0.05)]
shapes += [(4, 10, 60, 2, 0.0), (4, 10, 60, 3, 1.0), (3, 12, 5, 3, 0.1)]
for out, n, samples, bits, damp in shapes:
    w, x = rng.normal(0.25 if out == 5 else 0, 0.1, (out, n)), inputs(rng, samples, n)
    before = w.copy(), x.copy()
    of = f"gptq of w of shape {w.shape}, x of shape {x.shape}, bits = {bits}, damp = {damp}"
    returned = gptq(w, x, bits, damp)
    expect.unchanged(w, before[0], "w")
    expect.unchanged(x, before[1], "x")
    expect.array(returned, one_by_one(*before, bits, damp), of, 1e-5)
w, x = rng.normal(0, 0.1, (5, 9)), inputs(rng, 40, 9)
x[:, [2, 7]] = 0
for damp in (0, 0.01):
    of = f"gptq of 5 x 9 weights, 3 bits, two inputs always 0, damp = {damp},"
    expect.array(gptq(w, x, 3, damp), one_by_one(w, x, 3, damp), of, 1e-5)
of = "gptq of 5 x 9 weights with inputs near 1e-4, so that the ones of two inputs that are always 0 make up the mean,"
expect.array(gptq(w, 1e-4 * x, 3), one_by_one(w, 1e-4 * x, 3, 0.01), of, 1e-5)
for size, damp in ((1.0, 1e-8), (1000.0, 1e-8), (1.0, 0.0)):
    w, x = rng.normal(0, 0.1, (12, 8)), size * (rng.normal(size=(40, 1)) + 5e-4 * rng.normal(size=(40, 8)))
    of = f"gptq of 12 x 8 weights with nearly equal inputs of size {size:g}, 3 bits, damp = {damp},"
    expect.array(gptq(w, x, 3, damp), one_by_one(w, x, 3, damp), of, 1e-5)
whole = [[7, -3, 4, 1, 0], [2, 9, -9, 5, 1]]
x = np.array([[3, 1, 2, 0, 9], [1, 9, 2, 1, -7], [0, 2, -8, 5, 3], [4, -4, 1, 9, 2], [9, 5, 0, 1, 6], [2, 7, 7, -9, 8]])
wanted = one_by_one(whole, x.astype(float), 2, 0.01)
for name, w in cases.forms(whole):
    expect.array(gptq(w, x.astype(np.int8), 2), wanted, f"gptq of weights {name} and inputs in int8", 1e-6)
w, x = rng.normal(0, 0.1, (4, 12)), inputs(rng, 50, 12)
expect.array(gptq(w, x, 3), one_by_one(w, x, 3, 0.01), "gptq(w, x, 3), with damp left at 0.01,", 1e-5)
row = gptq(np.full((1, 4), 0.6), inputs(rng, 9, 4), 4)
expect.array(row, [[0.6] * 4], "gptq of a row of 0.6s, which are a level", 1e-6)

for bits in (2, 3, 4):
    w, x = rng.normal(0, 0.1, (16, 32)), inputs(rng, 200, 32)
    w[3], x[:, 5] = 0.0, 0.0
    of = f"gptq of 16 x 32 weights, {bits} bits, with a row of zeros and an input that is always 0"
    returned = np.asarray(gptq(w, x, bits), dtype=float)
    assert returned.shape == w.shape, f"{of} should have shape {w.shape}, it has {returned.shape}"
    nearest = np.empty_like(w)
    for i, row in enumerate(w):
        grid = grid_of(row.tolist(), bits)
        nearest[i] = grid[np.abs(grid - row[:, None]).argmin(1)]
        off = np.abs(grid - returned[i][:, None]).min(1)
        assert off.max() < 1e-5, f"{of}: row {i} holds {returned[i][off.argmax()]:.6g}, which is no level of its grid"
    mine, theirs = (np.sum((x @ (w - w_hat).T) ** 2) for w_hat in (returned, nearest))
    assert mine < 0.8 * theirs, f"{of}: its output error is {mine / theirs:.2f} times that of rounding to nearest"
silent, grid = gptq(np.array([[0.3, -0.1, 0.19]]), np.zeros((4, 3)), 4), grid_of([0.3, -0.1, 0.19], 4)
wanted = [[grid[np.abs(grid - value).argmin()] for value in (0.3, -0.1, 0.19)]]
expect.array(silent, wanted, "gptq with inputs that are all 0, where no weight can make up for another,", 1e-6)
w, x = np.ones((2, 4)), np.eye(4)
for shape in ((4,), (1, 2, 4), ()):
    expect.refuses(gptq, np.ones(shape), x, 4, naming="w", of=f"weights of shape {shape}")
for shape in ((4,), (1, 4, 4), ()):
    expect.refuses(gptq, w, np.ones(shape), 4, naming="x", of=f"inputs of shape {shape}")
for shape in ((3, 3), (4, 1), (4, 2), (1, 5), (4, 8)):
    of = f"w of shape (2, 4) and x of shape {shape}"
    expect.refuses(gptq, w, np.ones(shape), 4, naming="w or x", of=of)
for name, bits, damp in (("bits", 0, 0.1), ("bits", 9, 0.1), ("bits", -1, 0.1), ("damp", 4, -0.1), ("damp", 4, -1e-6)):
    expect.refuses(gptq, w, x, bits, damp, naming=name, of=f"{name} = {bits if name == 'bits' else damp}")
### END HIDDEN TESTS

# %% [markdown]
# All of TinyGPT, at 4, 3 and 2 bits, block by block: what flows into a block comes from the blocks before it, and those are
# rounded already. So each block is rounded for the inputs that it will really see. The file holds what *one scale per
# channel* holds, codes and a grid for each row, and not a byte more. Only the choice of the codes differs.


# %%
def gptq_all(bits):
    """{name: w_hat} of all matrices, each calibrated behind the blocks that are rounded already."""
    changed = tinygpt.tiny_gpt()
    layers, rounded = tinygpt.linears(changed), {}
    for block in tqdm(range(len(changed.blocks)), leave=False, disable=GRADING, desc=f"GPTQ, {bits} bits"):
        names = [name for name in layers if name.startswith(f"blocks.{block}.")]
        inputs = inputs_of(changed, names)
        for name in names:
            rounded[name] = np.asarray(gptq(weights[name], inputs[name], bits))
            layers[name].weight.data.copy_(torch.as_tensor(rounded[name]))
    return rounded


for bits in (4, 3, 2):
    rounded = gptq_all(bits)

    def on_the_grid(name, w):
        _, scales, zeros = map(np.asarray, quantize_groupwise(w, bits, w.shape[1]))
        codes = np.clip(np.round(rounded[name] / scales) + zeros, 0, 2**bits - 1)
        return packed({"codes": codes, "scales": np.float16(scales), "zeros": np.float16(zeros)}, bits)

    ship("GPTQ", bits, on_the_grid, lambda parts: from_packed(parts, bits))
table

# %% [markdown]
# ## What you measured
#
# Your functions, your files, your table. To the left of the dashed line is what fits onto the device.

# %%
draw.tradeoff(table, BUDGET)

# %%
best = min(table.rows, key=lambda row: (row.bytes_on_disk > BUDGET, row.bits_per_byte))
said = "goes onto the device" if best.bytes_on_disk <= BUDGET else "nothing fits yet; the best so far"
print(f"{said}: {best.method}, {best.bits} bits, {best.bytes_on_disk:,} bytes, "
      f"{best.bits_per_byte:.3f} bits per byte, against {table.rows[0].bits_per_byte:.3f} as trained")  # fmt: skip

# %% [markdown]
# - One scale for many weights must suit the largest of them. Channels and groups confine the damage.
# - Scales and zero-points are stored too. Compare methods by bits per weight with everything counted, or by the file:
#   groups of 32, better with codes of the same width, were worse here at the same size.
# - Four bits are four bits only once they are packed.
# - Activations need calibration, and their outliers make them hard to hold in few bits.
# - The error that counts is the output's. GPTQ rounds for that, and adds no byte to the file.
#
# What if even that loses too much? Then the model has to learn with the rounding in place. That is Chapter 3.
#
# ### Sources
#
# - E. Frantar, S. Ashkboos, T. Hoefler, D. Alistarh, GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
#   Transformers, 2022, arXiv:2210.17323: one order for all rows, blocks of columns, the Cholesky factor, damping.
# - E. Frantar, S. P. Singh, D. Alistarh, Optimal Brain Compression, 2022, arXiv:2208.11580: one weight at a time.
# - B. Hassibi, D. Stork, Second order derivatives for network pruning: Optimal Brain Surgeon, NIPS 5, 1993: the best change.
# - R. Krishnamoorthi, Quantizing deep convolutional networks for efficient inference: A whitepaper, 2018,
#   arXiv:1806.08342: scales for channels.
# - H. Wu, P. Judd, X. Zhang, M. Isaev, P. Micikevicius, Integer Quantization for Deep Learning Inference, 2020,
#   arXiv:2004.09602: calibration by largest value, percentile and other criteria.
# - T. Dettmers, M. Lewis, Y. Belkada, L. Zettlemoyer, LLM.int8(), 2022, arXiv:2208.07339: outliers in activations.
