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
# # Chapter 1 · Quantization
#
# You have one byte in which to keep the number 0.0237. A byte has 256 values, so you set up 256 buckets and store the
# number of the bucket. How far from 0.0237 is what you read back? And who decides where the buckets stand?
#
# In this chapter you derive the error, build the quantizer, try it on the weights of a real network, and find out how
# many bits that network needs. Everything runs on a laptop's CPU in seconds.
#
# How to work: read, answer in the cell marked *your code here*, run the cell below it. It answers at once. What holds
# for every exercise, such as types and bad input, stands once in Chapter 0.
#
# Time: 1 to 3 hours for the core, 2 to 4 more for the labs. You need NumPy's arrays, and
# logarithms in the labs.

# %% nbgrader={"schema_version": 3, "grade_id": "setup", "grade": false, "locked": true, "solution": false, "task": false} tags=["setup"]
from course import ready

ready(1)

# %%
import numpy as np
import torch

from course import models
from course.figures import Predict
from course.figures import quantization as draw

# %% [markdown]
# ## 1. Who controls the buckets?
#
# Spread 256 levels evenly over a range and store 0.0237 as the nearest level. Only the range changes from line to line.

# %%
for lo, hi in [(-1000, 1000), (-1, 1), (-0.05, 0.05)]:
    levels = np.linspace(lo, hi, 256)
    nearest = levels[np.abs(levels - 0.0237).argmin()]
    print(f"range [{lo:g}, {hi:g}]: 0.0237 comes back as {nearest:.6f}, error {abs(nearest - 0.0237):.6f}")

# %% [markdown]
# The same number, the same byte, and errors that differ by orders of magnitude. Whoever chooses the range chooses the
# error, and that choice is where quantization methods differ.
#
# Now with symbols. With $b$ bits there are $2^b$ levels and $2^b - 1$ steps between them, so on the range $[lo, hi]$
#
# $$\text{scale} = \frac{hi - lo}{2^b - 1}, \qquad
# q = \operatorname{round}\!\left(\frac{x - lo}{\text{scale}}\right), \qquad
# \hat x = q \cdot \text{scale} + lo .$$
#
# $q$ is the code that is stored, $\hat x$ is what you read back. This is *affine* quantization: the range may sit
# anywhere.

# %% [markdown]
# ### Exercise 1.1 · Derive · 1 point
#
# Quantize $x = 0.3$ with affine INT8 (256 levels) on $[-1, 1]$ and read it back. What is the absolute error
# $|x - \hat x|$?
#
# Give a number, to three significant digits. You may compute it in the cell. For comparison: $x = 0.25$ gets code 159
# and comes back as 0.2471, an error of 0.00294.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_1_1", "grade": false, "locked": false, "solution": true, "task": false}
ex_1_1 = None
### BEGIN SOLUTION
# hint: How many steps lie between 256 levels? Round the code to a whole number before you go back.
scale = (1 - (-1)) / (2**8 - 1)
code = round((0.3 - (-1)) / scale)
ex_1_1 = abs(0.3 - (code * scale - 1))
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_1_1", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("1.1", ex_1_1)
### BEGIN HIDDEN TESTS
levels = [-1 + 2 * code / 255 for code in range(256)]
expect.number(
    ex_1_1,
    min(abs(level - 0.3) for level in levels),
    traps={
        0.003125: "256 levels have 255 steps between them, not 256",
        0.3 - 38 / 127: "that is the symmetric grid with 127 codes on each side; here 256 levels span [-1, 1]",
        0.3 - (165 * 2 / 255 - 1): "round to the nearest code, do not cut off",
        1 / 255: "that is the largest error possible, not the error of this x",
        -1 / 510: "give the absolute error",
        0.30196: "that is the value read back; the error is its distance to 0.3",
        0.25 - (159 * 2 / 255 - 1): "that is the error of the example, x = 0.25",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# ## 2. Symmetric: zero in the middle
#
# Weights spread around zero. *Symmetric* quantization uses that: one number, the largest magnitude (*absmax*), sets the
# range to $[-absmax, absmax]$, and zero gets code 0:
#
# $$\text{scale} = \frac{absmax}{2^{b-1} - 1}, \qquad q = \operatorname{round}\!\left(\frac{x}{\text{scale}}\right),
# \qquad \hat x = q \cdot \text{scale} .$$
#
# INT8 has codes from -128 to 127, and symmetric INT8 uses -127 to 127. It leaves -128 out so that the range is as long
# on one side as on the other, and every code has a twin of the other sign. Zero would keep its code 0 either way,
# because nothing is added to $x / \text{scale}$.

# %% [markdown]
# ### Exercise 1.2 · Derive · 1 point
#
# Quantize $x = 0.5$ with symmetric INT8 (codes -127 to 127) and absmax 2. What is the absolute error? Give it to three
# significant digits.
#
# Find the code first. With absmax 1 in place of 2 it would be another one, and yet the error would come out the same.
# For comparison: $x = 0.1$ gets code 6 and comes back as 0.0945, an error of 0.00551.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_1_2", "grade": false, "locked": false, "solution": true, "task": false}
ex_1_2 = None
### BEGIN SOLUTION
# hint: The scale is absmax over the largest code. Which whole number is nearest to 0.5 / scale?
scale = 2 / 127
ex_1_2 = abs(0.5 - round(0.5 / scale) * scale)
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_1_2", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("1.2", ex_1_2)
### BEGIN HIDDEN TESTS
expect.number(
    ex_1_2,
    min(abs(2 * code / 127 - 0.5) for code in range(-127, 128)),
    traps={
        0: "a scale of 2/128 needs the code 128, which a signed byte does not have",
        1 / 510: "that is affine on [-2, 2], with a scale of 4/255; symmetric takes absmax / 127",
        0.5 - 31 * 2 / 127: "31.75 rounds to 32; do not cut off",
        1 / 127: "that is the largest error possible, not the error of this x",
        64 / 127: "that is the value read back; the error is its distance to 0.5",
        0.1 - 12 / 127: "that is the error of the example, x = 0.1",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# Why does the error not show a wrong absmax? The same steps for two values and two ranges:

# %%
for absmax in (2, 1):
    for x in (0.5, 0.1):
        scale = absmax / 127
        code = np.round(x / scale)
        print(f"absmax {absmax}, x {x}: {x / scale:.2f} steps, code {code:.0f}, error {abs(x - code * scale):.5f}")

# %% [markdown]
# 0.5 lies a quarter of a step from its level on the wide range, and half a step of half the size on the narrow one. An
# error that comes out right for one number proves little. Try two.

# %% [markdown]
# ### Exercise 1.3 · Trace · 1 point
#
# The values of a tensor lie in $[-0.8, 1.2]$. You have INT8. Which of the two schemes has the smaller worst error, and
# why?
#
# - **A** Affine: its range is exactly $[-0.8, 1.2]$, so its step is smaller.
# - **B** Symmetric: it needs no offset, so that all its codes make steps and the step is smaller.
# - **C** Neither: both have 8 bits, so both have the same step.
# - **D** Symmetric: with zero in the middle, codes are shared out evenly between negative and positive values.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_1_3", "grade": false, "locked": false, "solution": true, "task": false}
ex_1_3 = None
### BEGIN SOLUTION
# hint: Work out both scales. Which values between -1.2 and -0.8 occur in this tensor?
ex_1_3 = "A"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_1_3", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("1.3", ex_1_3)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_1_3,
    "A",
    because={
        "B": "the offset takes no code away; compare 2.0/255 with 1.2/127",
        "C": "the bits give the number of steps; the step is the range divided by it, and the ranges differ",
        "D": "an even share wastes codes on values below -0.8, which never occur here",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# Try it. The cell below quantizes values from that range both ways and prints what the symmetric range wastes.

# %%
x = np.random.default_rng(0).uniform(-0.8, 1.2, 100_000)
for name, scale, lo in [("affine", 2.0 / 255, -0.8), ("symmetric", 1.2 / 127, 0.0)]:
    error = np.abs(np.round((x - lo) / scale) * scale + lo - x)
    print(f"{name:9}  scale {scale:.5f}  largest error {error.max():.5f}  mean error {error.mean():.5f}")
print(f"never used: 0.4 of 2.4 units, {0.4 / 2.4:.0%} of the whole range, {0.4 / 1.2:.0%} of its negative half")

# %% [markdown]
# ### Exercise 1.4 · Derive · 1 point
#
# Symmetric INT8, absmax 1, values inside the range. What is the largest absolute error that rounding can make?
#
# Give it to four significant digits, so that one step more or fewer shows. For comparison: with INT4 (codes -7 to 7) it
# is 0.07143.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_1_4", "grade": false, "locked": false, "solution": true, "task": false}
ex_1_4 = None
### BEGIN SOLUTION
# hint: Which values are farthest from a level? Check your rule with the INT4 number above, to all its digits.
# within: 0.2 %
ex_1_4 = 1 / 127 / 2
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_1_4", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("1.4", ex_1_4)
### BEGIN HIDDEN TESTS
expect.number(
    ex_1_4,
    0.5 * 1 / 127,
    traps={
        1 / 127: "that is a whole step; rounding goes to the nearer of two levels",
        1 / 14: "that is INT4",
        1 / 508: "a value can lie as far as half a step from the nearest level, not a quarter",
        1 / 255: "that is affine on [-1, 1], with 255 steps; codes -127 to 127 make 254",
        1 / 256: "codes -127 to 127 make 254 steps from -1 to 1, not 256",
    },
    within=0.002,
)
### END HIDDEN TESTS

# %% [markdown]
# Here is the largest error measured, beside half a step, for 2 to 8 bits:

# %%
x = np.random.default_rng(0).uniform(-1, 1, 1_000_000)
for bits in range(2, 9):
    scale = 1 / (2 ** (bits - 1) - 1)
    print(f"INT{bits}: measured {np.abs(np.round(x / scale) * scale - x).max():.6f}, half a step {scale / 2:.6f}")

# %% [markdown]
# ## 3. Build the quantizer
#
# ### Exercise 1.5 · Build · 3 points
#
# Write the affine round trip. Values outside the range are clamped to it: they come back as `lo` or `hi`.
#
# `x` may be a number or a NumPy array of any shape and number type, and you must not change it. `bits` is a whole
# number; the checks go up to 16, where the codes reach 65,535. `lo` and `hi` may be very small or very large.
#
# Raise `ValueError`, with the argument's name in the message, when `bits` is less than 1 or `lo` is not less than `hi`;
# in the latter case the name of either will do.
#
# Example: `quantize_dequantize(0.0237, 8, -0.05, 0.05)` is about 0.023725, and
# `quantize_dequantize(7.0, 8, -0.05, 0.05)` is 0.05.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_1_5", "grade": false, "locked": false, "solution": true, "task": false}
def quantize_dequantize(x, bits, lo, hi):
    """Return x after a round trip through 2**bits evenly spaced levels from lo to hi; same shape as x."""
    ### BEGIN SOLUTION
    if bits < 1:
        raise ValueError(f"bits must be at least 1, got {bits}")
    if lo >= hi:
        raise ValueError(f"lo must be less than hi, got lo={lo} and hi={hi}")
    scale = (hi - lo) / (2**bits - 1)
    codes = np.round((np.clip(x, lo, hi) - lo) / scale)
    return codes * scale + lo
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_1_5", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np

from course import expect
from course.check import passed

expect.array(
    quantize_dequantize(0.0237, 8, -0.05, 0.05), 0.0237255, "quantize_dequantize(0.0237, 8, -0.05, 0.05)", 1e-6
)
x = np.array([[-1.0, 0.3], [1.3, 9.0]])
expect.array(
    quantize_dequantize(x, 2, -0.5, 1.0),
    [[-0.5, 0.5], [1.0, 1.0]],
    "quantize_dequantize([[-1.0, 0.3], [1.3, 9.0]], 2, -0.5, 1.0)",
    1e-6,
    traps=[
        ("four levels have three steps between them", [[-0.5, 0.25], [0.625, 0.625]]),
        ("four levels have three steps between them", [[-0.5, 0.25], [1.0, 1.0]]),
        ("go to the nearest level, do not cut off", [[-0.5, 0.0], [1.0, 1.0]]),
        ("values outside the range come back as lo or hi", [[-1.0, 0.5], [1.5, 9.0]]),
        ("add lo again on the way back", [[0.0, 1.0], [1.5, 1.5]]),
        ("these are the codes, not what you read back", [[0, 2], [3, 3]]),
    ],
)
expect.unchanged(x, [[-1.0, 0.3], [1.3, 9.0]], "x")
expect.refuses(quantize_dequantize, 0.3, 0, -0.5, 1.0, naming="bits", of="bits = 0")
passed("1.5")
### BEGIN HIDDEN TESTS
from course import cases


def nearest_level(x, bits, lo, hi):
    levels = np.linspace(lo, hi, 2**bits)
    return levels[np.abs(np.asarray(x, float)[..., None] - levels).argmin(-1)]


rng = np.random.default_rng(15)
for bits, lo, hi, shape in [
    (8, -1.0, 1.0, (50,)),
    (2, -0.8, 1.2, (4, 5)),
    (4, 0.5, 3.0, (2, 3, 4)),
    (3, -9.0, -1.0, (7,)),
    (1, -1.0, 2.0, (20,)),
    (12, -2.0, 3.0, (30,)),
    (16, -1.0, 2.0, (3, 2)),
]:
    x = rng.uniform(lo, hi, shape)
    before = x.copy()
    returned = quantize_dequantize(x, bits, lo, hi)
    expect.unchanged(x, before, "x")
    expect.array(
        returned,
        nearest_level(x, bits, lo, hi),
        f"for x of shape {shape} in [{lo}, {hi}], {bits} bits: the result",
        1e-6,
    )

x = rng.normal(0, 3, 40)
before = x.copy()
returned = quantize_dequantize(x, 5, -1.0, 1.5)
expect.unchanged(x, before, "x")
expect.array(
    returned, nearest_level(np.clip(x, -1, 1.5), 5, -1.0, 1.5), "with x partly outside [lo, hi]: the result", 1e-6
)
expect.array(
    quantize_dequantize(np.array([0, 1, 2, 3]), 3, 0, 3),
    nearest_level([0, 1, 2, 3], 3, 0, 3),
    "quantize_dequantize of the integers [0, 1, 2, 3], 3 bits on [0, 3],",
    1e-6,
)
whole = [[0, 3, 1], [2, 7, 4]]
for name, x in cases.forms(whole):
    if name.startswith("in "):
        before = x.copy()
        returned = quantize_dequantize(x, 3, 1.25, 6.0)
        expect.unchanged(x, before, f"x {name}")
        expect.array(
            returned,
            nearest_level(whole, 3, 1.25, 6.0),
            f"for x = {whole} {name}, 3 bits on [1.25, 6]: the result",
            0.01,
        )
for _, ends in cases.magnitudes([-1.0, 2.0], largest=1e9):
    lo, hi = ends.tolist()
    expect.array(
        quantize_dequantize(hi * np.array([-0.9, 0.13, 0.77, 1.5]), 4, lo, hi),
        nearest_level(hi * np.array([-0.5, 0.13, 0.77, 1.0]), 4, lo, hi),
        f"on the range [{lo:g}, {hi:g}], 4 bits: the result",
        1e-6 * hi,
    )
for name, bits in cases.not_at_least(1)[:3]:
    expect.refuses(quantize_dequantize, 0.5, bits, -1.0, 1.0, naming="bits", of=f"bits = {name}")
for name, hi in cases.not_above(1.0)[:3]:
    expect.refuses(quantize_dequantize, 0.5, 8, 1.0, hi, naming="lo or hi", of=f"lo = 1 and hi = {name}")
expect.refuses(quantize_dequantize, np.array([0.5, 2.0]), 8, 0, -5, naming="lo or hi", of="lo = 0 and hi = -5")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: your quantizer on real weights
#
# The cell below trains a small network (64-128-128-10) on 8 x 8 pictures of digits, which takes a second, and hands the
# weights of its middle layer to your function. Move the sliders.
#
# - Each bit you take away halves the number of levels. What happens to the error?
# - Make the clip range smaller. The error in the middle falls and the error at the ends rises. Where is the balance?

# %%
model = models.trained_mlp()
weights = model[2].weight.detach().numpy()
print(f"the model gets {models.accuracy(model):.1%} of the held-out digits right")
draw.quantizer(quantize_dequantize, weights)

# %% [markdown]
# And the network itself? Quantize every weight matrix with your function, put it back, and count the digits it gets
# right. The first curve uses the range from the smallest to the largest weight of each matrix. The second uses a range
# ten times as wide, as somebody would who never looked at the weights. Each point is the mean of three networks,
# trained from three seeds.


# %%
SEEDS = (0, 1, 2)


def with_weights(change, seed):
    """The network of that seed, its weight matrices replaced by change(w)."""
    changed = models.trained_mlp(seed)
    with torch.no_grad():
        for layer in changed[::2]:
            layer.weight.copy_(torch.as_tensor(change(layer.weight.numpy())))
    return changed


def mean_accuracy(change):
    return np.mean([models.accuracy(with_weights(change, seed)) for seed in SEEDS])


def accuracy_at(bits, widen):
    return mean_accuracy(lambda w: quantize_dequantize(w, bits, widen * float(w.min()), widen * float(w.max())))


all_bits = [2, 3, 4, 5, 6, 8]
unquantized_accuracy = mean_accuracy(lambda w: w)
fitted = [accuracy_at(bits, 1) for bits in all_bits]
careless = [accuracy_at(bits, 10) for bits in all_bits]
draw.accuracy(all_bits, {"range of the weights": fitted, "range ten times too wide": careless}, unquantized_accuracy)

# %% [markdown]
# ## 4. The zero-point is a code
#
# Hardware that computes with the codes needs integers throughout. So the offset has to become an integer as well: the
# *zero-point* is the code whose real value is 0. Then
#
# $$q = \operatorname{clip}\!\left(\operatorname{round}\!\left(\frac{x}{\text{scale}}\right) + \text{zero\_point},\;
# q_{min},\; q_{max}\right), \qquad \hat x = (q - \text{zero\_point}) \cdot \text{scale} .$$
#
# In Exercise 1.5 the offset was `lo`, a real number: a different scheme. From here on the zero-point is always an
# integer code. What the difference does to the number 0:

# %%
for lo, hi in [(-0.3, 1.0), (-0.35, 0.9)]:
    scale = (hi - lo) / 255
    offset_scheme = round((0 - lo) / scale) * scale + lo
    zero_point = round(-lo / scale)
    print(f"[{lo}, {hi}]: offset lo turns 0 into {offset_scheme:.6f}; zero-point {zero_point} turns it into "
          f"{(round(0 / scale) + zero_point - zero_point) * scale:.6f}")  # fmt: skip

# %% [markdown]
# An exact zero matters: padding, ReLU and pruned weights are full of zeros, and the same small error on each adds up.

# %% [markdown]
# ### Exercise 1.6 · Debug · 3 points
#
# Someone wrote the round trip with signed codes. It runs, and it is wrong:

# %%
import inspect


def broken_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    x = np.asarray(x, dtype=float)
    q = np.round(x / scale) + zero_point
    q = np.clip(q, 0, qmax)
    return q * scale + zero_point


for number, text in enumerate(inspect.getsource(broken_roundtrip).splitlines(), start=1):
    print(f"{number}  {text}")
print("\nbroken_roundtrip([-0.4, 0.0, 0.3], scale=0.01, zero_point=3) =", broken_roundtrip([-0.4, 0.0, 0.3], 0.01, 3))

# %% [markdown]
# 1. Set `ex_1_6_line` to the number of the first wrong line (1 point).
# 2. Write the repaired function as `affine_roundtrip` (2 points). There may be more than one fault.
#
# `x` may be a number, a list, or an array of any shape and number type, and stays as it is. `zero_point` is a code
# between `qmin` and `qmax`, codes may have up to 16 bits, and `scale` may be very small or very large.
#
# Raise `ValueError`, with the argument's name in the message, when `scale` is not above 0 or `qmin` is not less than
# `qmax`; in the latter case the name of either will do.
#
# Example: `affine_roundtrip([-0.4, 0.0, 0.3], scale=0.01, zero_point=3)` is `[-0.4, 0.0, 0.3]`, and
# `affine_roundtrip([-2.0, 0.3, 1.7], scale=0.1, zero_point=4, qmin=0, qmax=15)` is `[-0.4, 0.3, 1.1]`: there are no codes
# -16 and 21, so 0 and 15 take their place.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_1_6", "grade": false, "locked": false, "solution": true, "task": false}
ex_1_6_line = None


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    """Return x after a round trip through the integer codes qmin..qmax; same shape as x."""
    ### BEGIN SOLUTION
    if scale <= 0:
        raise ValueError(f"scale must be above 0, got {scale}")
    if qmin >= qmax:
        raise ValueError(f"qmin must be less than qmax, got qmin={qmin} and qmax={qmax}")
    x = np.asarray(x, dtype=float)
    q = np.clip(np.round(x / scale) + zero_point, qmin, qmax)
    return (q - zero_point) * scale


ex_1_6_line = 4
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_1_6_line", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check_line

check_line("1.6", ex_1_6_line)
### BEGIN HIDDEN TESTS
expect.line(ex_1_6_line, 4)
### END HIDDEN TESTS

# %% nbgrader={"schema_version": 3, "grade_id": "test_1_6", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import numpy as np
import torch

from course import expect
from course.check import passed

expect.array(
    affine_roundtrip([-0.4, 0.0, 0.3], scale=0.01, zero_point=3),
    [-0.4, 0.0, 0.3],
    "affine_roundtrip([-0.4, 0.0, 0.3], scale=0.01, zero_point=3)",
    1e-6,
    traps=[
        ("the way back undoes the way there, last step first", [3.0, 3.03, 3.33]),
        ("the way back undoes the way there, last step first", [2.63, 3.03, 3.33]),
        ("negative codes exist: which codes does line 4 allow?", [-0.03, 0.0, 0.3]),
        ("on the way back the zero-point is taken off, not added", [-0.34, 0.06, 0.36]),
    ],
)
x = np.array([[-2.0, 0.3, 1.7]])
expect.array(
    affine_roundtrip(x, 0.1, 4, 0, 15),
    [[-0.4, 0.3, 1.1]],
    "affine_roundtrip([[-2.0, 0.3, 1.7]], 0.1, 4, 0, 15)",
    1e-6,
    traps=[
        ("keep the codes between qmin and qmax, whatever these are", [[-2.0, 0.3, 1.7]]),
        (
            "add the zero-point before you clamp: it is the code that has to lie between qmin and qmax",
            [[0.0, 0.3, 1.5]],
        ),
        ("the way back undoes the way there, last step first", [[4.0, 4.7, 5.5]]),
        ("on the way back the zero-point is taken off, not added", [[0.4, 1.1, 1.9]]),
    ],
)
expect.unchanged(x, [[-2.0, 0.3, 1.7]], "x")
expect.refuses(affine_roundtrip, 0.5, 0.0, 0, naming="scale", of="scale = 0")
passed("1.6")
### BEGIN HIDDEN TESTS
from course import cases

rng = np.random.default_rng(16)
for scale, zero_point, qmin, qmax, shape in [
    (0.013, 5, -128, 127, (40,)),
    (0.05, -17, -128, 127, (3, 4, 5)),
    (0.021, 100, 0, 255, (6, 7)),
    (0.3, 0, -7, 7, (30,)),
]:
    low, high = (qmin - zero_point - 10) * scale, (qmax - zero_point + 10) * scale
    x = rng.uniform(low, high, shape)
    before = x.copy()
    returned = affine_roundtrip(x, scale, zero_point, qmin, qmax)
    expect.unchanged(x, before, "x")
    oracle = torch.fake_quantize_per_tensor_affine(torch.tensor(x, dtype=torch.float32), scale, zero_point, qmin, qmax)
    case = f"scale {scale}, zero-point {zero_point}, codes {qmin} to {qmax}, x.flat[0] = {x.flat[0]:.4f}: the result"
    expect.array(returned, oracle.numpy(), case, 1e-5)
expect.array(affine_roundtrip(0.0, 0.3, 9), 0.0, "affine_roundtrip(0.0, 0.3, 9)", 1e-9)
expect.array(
    affine_roundtrip(-100.0, 0.1, 3), -13.1, "affine_roundtrip(-100.0, 0.1, 3), which is below the lowest code,", 1e-6
)
expect.array(
    affine_roundtrip(np.array([1, 2]), 0.75, 1),
    [0.75, 2.25],
    "affine_roundtrip of the integers [1, 2], scale 0.75,",
    1e-6,
)
whole = [[1, 2], [5, 100]]
for name, x in cases.forms(whole):
    if name.startswith("in "):
        before = x.copy()
        returned = affine_roundtrip(x, 0.75, 1)
        expect.unchanged(x, before, f"x {name}")
        expect.array(returned, [[0.75, 2.25], [5.25, 94.5]], f"affine_roundtrip of {whole} {name}, scale 0.75,", 0.2)
steps = np.array([-40300.3, -39999.8, 0.2, 25000.7, 30000.0])
expect.array(
    affine_roundtrip(0.001 * steps, 0.001, 40000, 0, 65535),
    [-40.0, -40.0, 0.0, 25.001, 25.535],
    "affine_roundtrip with scale 0.001, zero-point 40000 and codes 0 to 65535",
    1e-5,
)
for scale in (float(scale) for _, scale in cases.magnitudes(0.5, largest=1e9)):
    expect.array(
        affine_roundtrip(np.array([-3.3, 0.2, 2.4, 90.0]) * scale, scale, 3, -5, 10),
        np.array([-3, 0, 2, 7]) * scale,
        f"affine_roundtrip with scale {scale:g}, zero-point 3 and codes -5 to 10",
        1e-5 * scale,
    )
for name, scale in cases.not_above(0)[:3]:
    expect.refuses(affine_roundtrip, 0.5, scale, 0, naming="scale", of=f"scale = {name}")
for name, qmax in cases.not_above(5)[:2]:
    expect.refuses(affine_roundtrip, x, 0.1, 5, 5, qmax, naming="qmin or qmax", of=f"qmin = 5 and qmax = {name}")
expect.refuses(affine_roundtrip, x, 0.1, 0, 127, -128, naming="qmin or qmax", of="qmin = 127 and qmax = -128")
### END HIDDEN TESTS

# %% [markdown]
# ### Lab L1.7 · Build · 3 points
#
# Find scale and zero-point for a range. Codes run from 0 to $2^b - 1$. If the range does not hold 0, widen it until it
# does, so that 0 has a code: $lo \leftarrow \min(lo, 0)$, $hi \leftarrow \max(hi, 0)$.
#
# Return `(scale, zero_point)` with an integer `zero_point` between 0 and $2^b - 1$, the code nearest to where 0 lies.
# `bits` is a whole number from 1 to 12, and the range may be very small or very large. Raise `ValueError`, with the
# argument's name in the message, when `bits` is less than 1, or when `lo` is not less than `hi` as given, before you
# widen the range; in the latter case the name of either will do.
#
# Example: `affine_params(-1.0, 3.0, 8)` is about `(0.015686, 64)`, `affine_params(1.0, 3.0, 8)` is about
# `(0.011765, 0)`, and `affine_params(-3.0, -1.0, 4)` is `(0.2, 15)`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L1_7", "grade": false, "locked": false, "solution": true, "task": false}
def affine_params(lo, hi, bits):
    """Return (scale, zero_point) of affine quantization of [lo, hi] with codes 0..2**bits - 1."""
    ### BEGIN SOLUTION
    if bits < 1:
        raise ValueError(f"bits must be at least 1, got {bits}")
    if lo >= hi:
        raise ValueError(f"lo must be less than hi, got lo={lo} and hi={hi}")
    lo, hi = min(lo, 0.0), max(hi, 0.0)
    scale = (hi - lo) / (2**bits - 1)
    return scale, round(-lo / scale)
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L1_7", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np

from course import expect
from course.check import passed

expect.array(
    affine_params(-1.0, 3.0, 8),
    [4 / 255, 64],
    "affine_params(-1.0, 3.0, 8)",
    1e-6,
    traps=[
        ("256 codes have 255 steps between them", [4 / 256, 64]),
        ("the zero-point is a code, a whole number", [4 / 255, 63.75]),
        ("round the zero-point to the nearest code, do not cut off", [4 / 255, 63]),
        ("0 lies above lo, so its code is above 0: look at the sign", [4 / 255, -64]),
        ("the zero-point is a code, not lo", [4 / 255, -1]),
    ],
)
for lo, hi, bits, wanted, unwidened in [
    (1.0, 3.0, 8, [3 / 255, 0], [2 / 255, -128]),
    (-3.0, -1.0, 4, [0.2, 15], [2 / 15, 22]),
]:
    expect.array(
        affine_params(lo, hi, bits),
        wanted,
        f"affine_params({lo}, {hi}, {bits})",
        1e-6,
        traps=[("widen the range first, so that it holds 0", unwidened)],
    )
expect.refuses(affine_params, 1.0, 1.0, 8, naming="lo or hi", of="lo = 1 and hi = 1")
passed("L1.7")
### BEGIN HIDDEN TESTS
from fractions import Fraction

from course import cases

rng = np.random.default_rng(17)
ranges = [(-0.8, 1.2), (0.7, 3.1), (-5.3, -1.1), (-1e-3, 2e-3), (-40.0, 7.0), (0.0, 1.0), (-1.0, 0.0), (-3, 8)]
ranges += [tuple(sorted(rng.normal(0, 2, 2).tolist())) for _ in range(9)]
ranges += [tuple(ends.tolist()) for _, ends in cases.magnitudes([-1.0, 2.7], largest=1e9)]
for lo, hi in ranges:
    for bits in (1, 2, 4, 8, 10, 12):
        low, high = min(Fraction(lo), Fraction(0)), max(Fraction(hi), Fraction(0))
        scale = (high - low) / (2**bits - 1)
        below_zero = -low / scale
        if abs(below_zero % 1 - Fraction(1, 2)) < Fraction(1, 10_000):
            continue  # a tie, or close to one
        of = f"affine_params({lo:.4g}, {hi:.4g}, {bits})"
        returned = affine_params(lo, hi, bits)
        assert returned is not None and len(returned) == 2, f"{of} should return (scale, zero_point)"
        expect.array(returned[0], float(scale), f"the scale of {of}", 0, 1e-5)
        expect.array(returned[1], round(below_zero), f"the zero-point of {of}", 0, 0)
for name, bits in cases.not_at_least(1)[:3]:
    expect.refuses(affine_params, -1.0, 1.0, bits, naming="bits", of=f"bits = {name}")
for name, hi in cases.not_above(1.0)[:3]:
    expect.refuses(affine_params, 1.0, hi, 8, naming="lo or hi", of=f"lo = 1 and hi = {name}")
expect.refuses(affine_params, -1.0, -2.0, 8, naming="lo or hi", of="lo = -1 and hi = -2")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: affine against symmetric
#
# Both quantizers are now yours. The weights below are those of the last layer, whose smallest and largest values differ
# in size. Switch between the two schemes and watch the step and the decibels. At how many bits does it matter?
#
# The dashed lines are the lowest and the highest level. Under *affine* they are not quite the smallest and the largest
# weight: rounding the zero-point to a whole code shifts all levels by up to half a step. What sticks out on one side is
# clamped. That is the price of an exact zero, and with few bits you see it.

# %%
last = model[4].weight.detach().numpy().astype(np.float64)


def error_with(scale, zero_point, qmin, qmax):
    return np.mean((affine_roundtrip(last, scale, zero_point, qmin, qmax) - last) ** 2)


def lead_of_affine(bits):
    """How many decibels affine is ahead of symmetric on these weights."""
    qmax = 2 ** (bits - 1) - 1
    symmetric = error_with(np.abs(last).max() / qmax, 0, -qmax, qmax)
    return 10 * np.log10(symmetric / error_with(*affine_params(last.min(), last.max(), bits), 0, 2**bits - 1))


Predict(
    draw.schemes(affine_params, affine_roundtrip, last),
    "With 4 bits, by how many decibels is affine ahead of symmetric on these weights?",
    slider=(0, 12, 1),
    unit=" dB",
    happened=lambda: f"{lead_of_affine(4):.1f} dB; with 2 bits it is {lead_of_affine(2):.1f} dB",
)

# %% [markdown]
# ## 5. What a bit is worth
#
# The *signal-to-quantization-noise ratio* compares the size of the signal with the size of the error, in decibels:
#
# $$\text{SQNR} = 10 \log_{10} \frac{\sum x^2}{\sum (x - \hat x)^2} .$$
#
# A signal spread uniformly over $[-A, A]$ has mean square $A^2/3$. An error spread uniformly over one step has mean
# square $\text{step}^2/12$. With $2^b$ levels the step is about $2A/2^b$, so the ratio is about $2^{2b}$:
# each bit doubles the number of levels, quarters the noise, and adds $20 \log_{10} 2$ decibels. Two things are assumed:
# the range holds the whole signal, and the steps are fine against it.

# %%
print(f"one bit is worth {20 * np.log10(2):.4f} dB")

# %% [markdown]
# ### Lab L1.8 · Build · 2 points
#
# Write the ratio. `x` and `x_hat` are lists or arrays of any shape, memory order and number type, small integers too.
# Sum over all elements. When `x_hat` equals `x` the ratio is infinite, also where both are all zeros: return `inf`.
# Nearly equal is not equal. Raise `ValueError`, naming `x_hat` in the message, when the shapes differ, even where NumPy
# would stretch one to the other.
#
# Example: `sqnr_db([3.0, 4.0], [3.0, 3.5])` is 20.0, because the signal is 25 and the noise 0.25.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L1_8", "grade": false, "locked": false, "solution": true, "task": false}
def sqnr_db(x, x_hat):
    """Return the signal-to-quantization-noise ratio of x_hat against x in decibels, over all elements."""
    ### BEGIN SOLUTION
    x, x_hat = np.asarray(x, dtype=float), np.asarray(x_hat, dtype=float)
    if x.shape != x_hat.shape:
        raise ValueError(f"x_hat must have the shape of x, {x.shape}, got {x_hat.shape}")
    noise = np.sum((x - x_hat) ** 2)
    return 10 * np.log10(np.sum(x**2) / noise) if noise > 0 else np.inf
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L1_8", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import math
import warnings

import numpy as np

from course import expect
from course.check import passed
from course.probe import probe


@probe
def against_another_order(function, x, x_hat):
    """The result where the second array stores its numbers column by column."""
    import numpy as np

    return float(function(x, np.asfortranarray(x_hat)))


expect.array(
    sqnr_db([3.0, 4.0], [3.0, 3.5]),
    20.0,
    "sqnr_db([3.0, 4.0], [3.0, 3.5])",
    1e-4,
    traps=[
        ("the squares are in the ratio already, so ten times the logarithm is enough", 40.0),
        ("the signal stands above, the noise below", -20.0),
        ("decibels are counted with the logarithm to base 10", 46.0517),
        ("take the squares as they are, without subtracting the mean", 3.0103),
    ],
)
x, x_hat = np.array([[3.0, 4.0], [0.0, 12.0]]), np.array([[3.0, 4.05], [0.0, 11.88]])
expect.array(sqnr_db(x, x_hat), 40.0, "sqnr_db([[3, 4], [0, 12]], [[3, 4.05], [0, 11.88]])", 1e-3)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a division by zero
    expect.array(sqnr_db(x, x.copy()), math.inf, "sqnr_db of an array and its copy")
expect.refuses(sqnr_db, x, x_hat[:1], naming="x or x_hat", of="shape (2, 2) against shape (1, 2)")
passed("L1.8")
### BEGIN HIDDEN TESTS
from course import cases

rng = np.random.default_rng(18)
for shape, mean in [((50,), 0.0), ((4, 5), 3.0), ((2, 3, 4), -1.0)]:
    x = rng.normal(mean, 1, shape)
    x_hat = x + rng.normal(0, 0.05, shape)
    before = x.copy(), x_hat.copy()
    returned = sqnr_db(x, x_hat)
    expect.unchanged(x, before[0], "x")
    expect.unchanged(x_hat, before[1], "x_hat")
    pairs = list(zip(before[0].ravel().tolist(), before[1].ravel().tolist(), strict=True))
    exact = 10 * math.log10(math.fsum(a * a for a, _ in pairs) / math.fsum((a - b) ** 2 for a, b in pairs))
    expect.array(returned, exact, f"sqnr_db of arrays of shape {shape} with mean {mean}", 1e-3)
expect.array(
    sqnr_db(np.full(8, 5.0), np.full(8, 4.5)), 20.0, "sqnr_db of eight times 5.0 against eight times 4.5", 1e-4
)
expect.array(
    sqnr_db(np.array([3, 4]), np.array([3, 3])), 10 * math.log10(25), "sqnr_db of the integers [3, 4] and [3, 3]", 1e-4
)
x, x_hat = rng.normal(0, 1, (3, 4)), rng.normal(0, 1, (3, 4))
exact = 10 * math.log10(float(np.vdot(x, x)) / float(np.vdot(x - x_hat, x - x_hat)))
expect.array(
    against_another_order(sqnr_db, x, x_hat), exact, "sqnr_db of two arrays whose memory is in two orders", 1e-3
)
whole, other = [[3, 120, 60], [7, 99, 1]], [[4, 119, 62], [7, 100, 0]]
exact = 10 * math.log10(27_860 / 8)
for (name, x), (_, x_hat) in zip(cases.forms(whole), cases.forms(other), strict=True):
    if name.startswith("in "):
        expect.array(sqnr_db(x, x_hat), exact, f"sqnr_db of {whole} against {other}, both {name},", 1e-3)
for name, x in cases.magnitudes([3.0, 4.0], largest=1e12):
    expect.array(sqnr_db(x, 0.95 * x), 26.0206, f"sqnr_db of [3, 4] {name} against 0.95 times that", 1e-2)
expect.array(
    sqnr_db(np.array([1.0, 2.0]), np.array([1.0 + 2**-22, 2.0])),
    10 * math.log10(5) + 440 * math.log10(2),
    "sqnr_db of [1, 2] against [1 + 2**-22, 2], which are nearly equal,",
    1e-2,
)
with np.errstate(all="ignore"), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for x in (np.array([1.0, 2.0]), np.full((2, 3), 1e-9)):
        same = sqnr_db(x, x.copy())
        assert same is not None and float(same) == math.inf, (
            f"sqnr_db of an array and itself should be inf, it is {same}"
        )
    silent = sqnr_db(np.zeros(3), np.zeros(3))
    # Zero by zero is NaN: that too says that there is no noise to speak of.
    assert silent is not None and not float(silent) < math.inf, (
        f"sqnr_db of zeros and zeros should be inf, it is {silent}"
    )
for name, shape in [*cases.other_shapes((2, 3)), ("shape (6,)", (6,)), ("shape (2, 2)", (2, 2))]:
    expect.refuses(sqnr_db, np.ones((2, 3)), np.ones(shape), naming="x or x_hat", of=f"shape (2, 3) against {name}")
expect.refuses(sqnr_db, np.ones((4, 1)), np.ones(4), naming="x or x_hat", of="shape (4, 1) against shape (4,)")
### END HIDDEN TESTS

# %% [markdown]
# Theory and measurement in one plot, with your two functions. The uniform signal fills its range, as the formula
# assumes. Normal values and real weights do not: most of them sit in the middle, so they start lower. The fourth curve
# is of the same normal values, on a range that ends at two standard deviations.

# %%
from course import GRADING

n = 2_000 if GRADING else 50_000
rng = np.random.default_rng(0)
normal = rng.normal(0, 1, n)
signals = {"uniform": rng.uniform(-1, 1, n), "your model's weights": weights.ravel()[:n], "normal": normal}
ranges = {name: (float(x.min()), float(x.max())) for name, x in signals.items()}
signals["normal, clipped at 2"], ranges["normal, clipped at 2"] = normal, (-2.0, 2.0)
bits_range = list(range(2, 11))
measured = {
    name: [float(sqnr_db(x, np.asarray(quantize_dequantize(x, bits, *ranges[name])))) for bits in bits_range]
    for name, x in signals.items()
}
print(f"{'dB per bit':>22}  2 to 4 bits  6 to 10 bits")
for name, values in measured.items():
    print(f"{name:>22}  {(values[2] - values[0]) / 2:>11.2f}  {(values[8] - values[4]) / 4:>12.2f}")
draw.decibels(measured, bits_range)

# %% [markdown]
# From 6 bits on, each signal that its range holds gains six decibels a bit, whatever its shape. With fewer bits the
# steps are coarse against the signal, and a bit is worth another amount. Where the range cuts the signal off, the
# clipped ends are an error that more bits cannot mend.

# %% [markdown]
# ## 6. Where to clip
#
# The largest weight sets the range, and often it is alone out there. Clip it, and every step gets finer: a large error
# on a few values buys a small gain on all the others. There is a best threshold, and you can search for it.
#
# ### Lab L1.9 · Build · 3 points
#
# `best_clip(x, bits)` returns the threshold $c > 0$ for which symmetric quantization of `x` has the least mean squared
# error. The codes run from $-(2^{b-1}-1)$ to $2^{b-1}-1$, the scale is $c / (2^{b-1}-1)$, and values beyond $\pm c$
# come back as $\pm c$. Search from 0 to the largest magnitude of `x`: your error has to come within 2 % of the least
# one found there. (For a few values a larger $c$ can be better still, as $c = 3$ is for `[2, 1]` at 3 bits. That counts
# as well.)
#
# `x` is an array of any shape and stays as it is; all its values count. The checks use 2 to 6 bits, and samples for
# which a hundred evenly spaced thresholds are enough. If all values are 0, every $c$ has the error 0: return any number
# above 0, not 0 itself, because the scale must be above 0.
#
# Raise `ValueError`, naming `bits`, when `bits` is less than 2: with one bit there is only the code 0.
#
# Example: for many normal values with standard deviation 1 and 4 bits, the threshold is near 2.5.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L1_9", "grade": false, "locked": false, "solution": true, "task": false}
def best_clip(x, bits):
    """Return the symmetric clipping threshold (a float above 0) of least mean squared error for x."""
    ### BEGIN SOLUTION
    if bits < 2:
        raise ValueError(f"bits must be at least 2, got {bits}")
    x = np.asarray(x, dtype=float)
    qmax = 2 ** (bits - 1) - 1

    def error(threshold):
        scale = threshold / qmax
        return np.mean((np.clip(np.round(x / scale), -qmax, qmax) * scale - x) ** 2)

    largest = np.abs(x).max() or 1.0  # with zeros alone, any threshold will do
    return float(min(largest * np.linspace(0.02, 1, 200), key=error))
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L1_9", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np

from course import expect
from course.check import passed

x = np.random.default_rng(0).normal(0, 1, 1000)
threshold = expect.finite(best_clip(x, 4), "best_clip of 1000 normal values, 4 bits,")
assert 2.0 < threshold < 3.0, f"best_clip of 1000 normal values at 4 bits should be near 2.5, it is {threshold:.3f}"
x = np.array([1.0] * 30 + [-3.0])
threshold = expect.finite(best_clip(x, 2), "best_clip of thirty times 1.0 and once -3.0, 2 bits,")
assert 1.01 < threshold < 1.12, (
    f"best_clip of thirty times 1.0 and once -3.0 at 2 bits should be near 1.065, it is {threshold:.3f}: "
    "the error counts all values, those beyond the threshold too, and each by its square"
)
expect.unchanged(x, [1.0] * 30 + [-3.0], "x")
expect.refuses(best_clip, x, 1, naming="bits", of="bits = 1")
passed("L1.9")
### BEGIN HIDDEN TESTS
import warnings

from course import cases


def error_at(x, bits, threshold):
    levels = np.linspace(-threshold, threshold, 2**bits - 1)
    return np.mean(np.abs(x.reshape(-1, 1) - levels).min(1) ** 2)


rng = np.random.default_rng(19)
samples = {
    "normal values": (rng.normal(0, 1, 1000), (2, 3, 4, 6)),
    "normal values times 0.01, shape (20, 50)": (rng.normal(0, 0.01, (20, 50)), (3,)),
    "uniform values": (rng.uniform(-5, 5, 1000), (3,)),
    "values with heavy tails (Laplace)": (rng.laplace(0, 2, 1000), (2, 4)),
    "negative values only": (-np.abs(rng.normal(0, 1, 1000)), (3,)),
    "a matrix whose rows differ in size": (rng.normal(0, 1, (4, 300)) * [[1], [2], [4], [8]], (3, 4)),
    "3000 values, the first thousand of them small": (
        np.concatenate([rng.normal(0, 0.3, 1000), rng.normal(0, 1, 2000)]),
        (4,),
    ),
    "normal values times 0.001": (rng.normal(0, 1e-3, 500), (3,)),
    "normal values times 1e6": (rng.normal(0, 1e6, 500), (3,)),
    "whole numbers in int16": (np.rint(rng.normal(0, 30, 600)).astype(np.int16), (3,)),
}
for name, (x, widths) in samples.items():
    for bits in widths:
        before = x.copy()
        threshold = expect.finite(best_clip(x, bits), f"best_clip of {name}, {bits} bits,")
        expect.unchanged(x, before, "x")
        assert threshold > 0, f"best_clip of {name}, {bits} bits, should be above 0, it is {threshold:.4g}"
        least = min(error_at(x, bits, c) for c in np.abs(x).max() * np.linspace(0.01, 1, 120))
        here = error_at(x, bits, threshold)
        assert here <= 1.02 * least, (
            f"{name}, {bits} bits: clipping at your {threshold:.4g} has a mean squared error {here / least:.2f} times the least one"
        )
with np.errstate(all="ignore"), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    threshold = expect.finite(best_clip(np.zeros(40), 3), "best_clip of forty zeros, 3 bits,")
assert threshold > 0, f"best_clip of forty zeros, 3 bits, should be above 0, it is {threshold:.4g}"
for name, bits in cases.not_at_least(2)[:3]:
    expect.refuses(best_clip, np.array([1.0, -2.0, 3.0]), bits, naming="bits", of=f"bits = {name}")
### END HIDDEN TESTS

# %% [markdown]
# The error over the threshold for normal values, and the thresholds you chose. To the left of a minimum the clipped
# ends cost more, to the right the coarser steps do. For 4 bits Banner et al. (2018) derive 2.55 standard deviations
# from a formula that adds the two errors. Their range has $2^b = 16$ steps; here it has 14, between 15 levels. Put that
# into their formula and it gives 2.48.

# %%
x = np.random.default_rng(0).normal(0, 1, 2_000 if GRADING else 20_000)
thresholds = np.linspace(0.3, 4.5, 85)
errors = {}
for bits in (2, 3, 4, 8):
    qmax = 2 ** (bits - 1) - 1
    errors[bits] = np.array(
        [np.mean((np.clip(np.round(x / c * qmax), -qmax, qmax) * c / qmax - x) ** 2) for c in thresholds]
    )
chosen = {bits: float(best_clip(x, bits)) for bits in errors}
print("your thresholds:", ", ".join(f"{c:.2f} at {bits} bits" for bits, c in chosen.items()))
draw.clipping(errors, thresholds, chosen)

# %% [markdown]
# Does it help the network? The same three networks, symmetric, with the range set by the largest weight and by your
# `best_clip`.


# %%
def symmetric(w, bits, threshold):
    qmax = 2 ** (bits - 1) - 1
    return affine_roundtrip(w, threshold / qmax, 0, -qmax, qmax)


def largest_weight(w, bits):
    return symmetric(w, bits, float(np.abs(w).max()))


def clipped_weight(w, bits):
    return symmetric(w, bits, float(best_clip(w, bits)))


few_bits = [2, 3] if GRADING else [2, 3, 4, 5]
absmax = [mean_accuracy(lambda w: largest_weight(w, bits)) for bits in few_bits]
clipped = [mean_accuracy(lambda w: clipped_weight(w, bits)) for bits in few_bits]
for bits, whole_range, best in zip(few_bits, absmax, clipped, strict=True):
    print(f"{bits} bits: largest weight {whole_range:.1%}, your best_clip {best:.1%}")
draw.accuracy(few_bits, {"largest weight": absmax, "your best_clip": clipped}, unquantized_accuracy)

# %% [markdown]
# With 2 bits the symmetric quantizer has three levels, and one of them is 0. If the largest weight sets the range,
# every weight below half of it becomes 0, and little of the network is left. Clipping brings most of it back. From 4
# bits on there is little to win here.

# %% [markdown]
# ## 7. How many bits does a language model need?
#
# *TinyGPT* comes with the course: a language model built like the large ones, and small enough for your laptop. It was
# trained on the source of Python's standard library. From up to 128 bytes of text it gives a probability to each of the
# 256 values that the next byte may have.
#
# Its quality is measured in *bits per byte*: $-\log_2$ of the probability it gave to the byte that came, on average
# over files it was not trained on. A model that knows nothing needs 8 bits. Lower is better.

# %%
from course import tinygpt

windows, length = (1, 1) if GRADING else (64, 120)  # of text: what is measured, and what is written
gpt = tinygpt.tiny_gpt()
matrices = [layer.weight for layer in tinygpt.linears(gpt).values()]
unquantized = tinygpt.bits_per_byte(gpt, windows=windows)
print(f"{len(matrices)} matrices with {sum(w.numel() for w in matrices):,} weights: {unquantized:.3f} bits per byte\n")
print(tinygpt.generate(gpt, "class Parser:\n", length))

# %% [markdown]
# ### See it: your quantizer on TinyGPT
#
# Every weight matrix goes through your `quantize_dequantize`, on the range from its smallest to its largest weight. The
# cell measures each model and lets it write. Move the slider: where does the curve break, and where the text?


# %%
from tqdm.auto import tqdm


def gpt_with_weights(change):
    """TinyGPT whose weight matrices went through change(w)."""
    changed = tinygpt.tiny_gpt()
    with torch.no_grad():
        for layer in tinygpt.linears(changed).values():
            layer.weight.copy_(torch.as_tensor(change(layer.weight.numpy())))
    return changed


gpt_bits = list(range(2, 9))
needed, texts = [], []
for bits in tqdm(gpt_bits, desc="bits", leave=False):
    quantized = gpt_with_weights(lambda w: quantize_dequantize(w, bits, float(w.min()), float(w.max())))
    needed.append(tinygpt.bits_per_byte(quantized, windows=windows))
    texts.append(tinygpt.generate(quantized, "class Parser:\n", length))
draw.language_model(gpt_bits, needed, texts, unquantized)

# %% [markdown]
# And with your `best_clip`? To see what clipping alone does, compare it with the same symmetric quantizer on the whole
# range; the affine one from above stands beside them. The search looks at every sixteenth weight, to save time. A model
# above 8 bits per byte is worse than one that knows nothing.

# %%
print("bits per byte           affine       symmetric       symmetric")
print("bits per weight    whole range     whole range       best_clip")
for bits, affine in zip([2] if GRADING else [2, 3, 4], needed):
    thresholds = {"whole": lambda w: float(np.abs(w).max()), "best": lambda w: float(best_clip(w.ravel()[::16], bits))}
    whole, best = (
        tinygpt.bits_per_byte(gpt_with_weights(lambda w: symmetric(w, bits, of(w))), windows=windows)
        for of in thresholds.values()
    )
    print(f"{bits:>15}  {affine:>13.3f}  {whole:>14.3f}  {best:>14.3f}")

# %% [markdown]
# ## 8. Going further
#
# How are weights stored today, and why so? Each lab below begins on its own and names what it needs. No core exercise
# needs any of them, here or later, so you may skip them.
#
# They measure TinyGPT on three parts of the held-out text, because a difference that is smaller than the parts differ
# among themselves says nothing. The cell below prepares that. A row of its table holds the bits per weight, the
# decibels of the weights, and what the change costs in bits per byte: the mean of the three parts, the least and the
# most.


# %%
from course import GRADING, tinygpt

text = tinygpt.held_out()
third = len(text) // 3
parts = [text[start : start + third] for start in (0, third, 2 * third)]
costs = {}  # of each row: bits per weight, and the cost in bits per byte


def per_part(change=None):
    """TinyGPT's bits per byte on each part, and its weights' decibels; weight matrices replaced by change(w)."""
    model, signal, noise = tinygpt.tiny_gpt(), 0.0, 0.0
    with torch.no_grad():
        for layer in list(tinygpt.linears(model).values())[: 1 if GRADING else None] if change else []:
            w = layer.weight.numpy().copy()
            layer.weight.copy_(torch.as_tensor(np.asarray(change(w))))
            signal, noise = signal + np.sum(w**2), noise + np.sum((layer.weight.numpy() - w) ** 2)
    needed = [tinygpt.bits_per_byte(model, part, windows=1 if GRADING else 24) for part in parts]
    return np.array(needed), 10 * np.log10(signal / noise) if noise else np.inf


def row(name, bits, change):
    """Print and keep what TinyGPT loses when its weight matrices are replaced by change(w)."""
    needed, decibels = per_part(change)
    cost = needed - whole
    costs[name] = bits, cost.mean()
    spread = f"{cost.min():+.3f} to {cost.max():+.3f}"
    print(f"{name:<42} {bits:>6.3f} bits  {decibels:>5.1f} dB  {cost.mean():+.3f}  ({spread})")


whole, _ = per_part()
print("not quantized:", ", ".join(f"{needed:.3f}" for needed in whole), "bits per byte on the three parts")

# %% [markdown]
# The yardstick is what you have: your `quantize_dequantize` of Exercise 1.5, one range for each group of 32 or 128
# neighbouring weights. A group stores `lo` and its scale, in 16 bits each. That makes 5.0 bits per weight
# for 4-bit codes in groups of 32. (Chapter 2 takes groups apart.)


# %%
def in_groups(w, bits, group):
    """w (out, in) after a round trip through even steps, from the smallest to the largest of each group."""
    return np.stack(
        [np.asarray(quantize_dequantize(g, bits, float(g.min()), float(g.max()))) for g in w.reshape(-1, group)]
    ).reshape(w.shape)


for bits in (4,) if GRADING else (4, 3):
    for group in (32, 128):
        row(f"INT{bits}, even steps, groups of {group}", bits + 32 / group, lambda w: in_groups(w, bits, group))

# %% [markdown]
# ### Lab L1.10 · Build · 3 points
#
# *Needs Exercise 1.5, for the comparison.* A code of 4 bits can stand for any 16 numbers, if both sides know the table.
# Two tables are in use:
#
# - **E2M1** is a floating-point number in 4 bits: a sign, two bits of exponent, one of mantissa. Its values are 0, 0.5,
#   1, 1.5, 2, 3, 4, 6, and the same with a minus: fine steps near zero, where most weights are, and coarse ones outside.
# - **NF4** takes its levels from quantiles of the normal distribution: close together where normal values crowd, far
#   apart where they are rare.
#
# Cut the weights into *blocks* of neighbours. Each block is scaled so that its largest magnitude falls on the table's
# largest magnitude, and each value goes to the nearest level. The scale has to be stored as well: 16 bits for every
# 32 weights make half a bit per weight. So it is rounded too. **MXFP4** allows powers of two alone, in 8 bits for each
# 32 weights. **NVFP4** has an 8-bit float, E4M3, for each 16.
#
# Write `to_levels(x, levels, block, round_scale=None)`. It cuts the last axis of `x` into blocks of `block` neighbours.
# For each block
#
# 1. the scale is the largest magnitude of its values over the largest magnitude of `levels`;
# 2. where `round_scale` is given, the scale is `round_scale(scale)`, on the way there and on the way back;
# 3. each value comes back as the scale times that level which is nearest to value / scale.
#
# `round_scale` is a function. It takes all scales at once, in an array of any shape, or one of them. A rounded scale may
# turn out too small for the largest value: the outermost level is then the nearest. Where the scale is 0, because the
# block holds nothing but zeros or because it was rounded to 0, the block comes back as zeros.
#
# `x` is a list or an array of one or more axes and any number type, and stays as it is. `levels` is a list or an array
# in any order, and a level may stand there twice, as 0 does among E2M1's 16 codes. A value half way between two levels
# may go to either.
#
# Raise `ValueError`, with the argument's name in the message, when `block` is less than 1, when `block` does not divide
# the last axis of `x` (the name of either will do), or when `levels` holds nothing but zeros, or nothing at all.
#
# Example, with E2M1: the block `[0.1, -0.26, 0.02, 0.6]` has the scale 0.1, lies at 1, -2.6, 0.2 and 6 of it, and comes
# back as `[0.1, -0.3, 0.0, 0.6]`. If `round_scale` makes 0.125 of 0.1, the same block comes back as
# `[0.125, -0.25, 0.0, 0.5]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L1_10", "grade": false, "locked": false, "solution": true, "task": false}
def to_levels(x, levels, block, round_scale=None):
    """Return x with each value at the nearest of `levels` times its block's scale; same shape as x."""
    ### BEGIN SOLUTION
    x, levels = np.asarray(x, dtype=float), np.unique(np.asarray(levels, dtype=float))
    if not levels.any():
        raise ValueError("levels must hold a number other than 0")
    if block < 1 or x.shape[-1] % block:
        raise ValueError(f"block must divide the last axis of x, {x.shape[-1]} values, got {block}")
    blocks = x.reshape(*x.shape[:-1], -1, block)
    scale = np.abs(blocks).max(axis=-1, keepdims=True) / np.abs(levels).max()
    if round_scale is not None:
        scale = round_scale(scale)
    in_steps = blocks / np.where(scale > 0, scale, 1)
    nearest = np.searchsorted((levels[1:] + levels[:-1]) / 2, in_steps)
    return (levels[nearest] * scale).reshape(x.shape)
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L1_10", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np

from course import expect
from course.check import passed
from course.probe import probe


@probe
def with_rounded_scales(function, x, levels, block, kind):
    """The result where each scale is rounded: up to eighths, down to a power of two, or to E4M3."""
    import numpy as np
    import torch

    def round_scale(scale):
        scale = np.asarray(scale, dtype=float)
        if kind == "eighths":
            return np.ceil(scale * 8 - 1e-6) / 8
        if kind == "power of two":
            return np.exp2(np.floor(np.log2(np.maximum(1.5 * scale, 1e-30))))
        return torch.tensor(scale, dtype=torch.float32).to(torch.float8_e4m3fn).float().numpy()

    return function(x, levels, block, round_scale=round_scale)


e2m1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6]
expect.array(
    to_levels([0.1, -0.26, 0.02, 0.6], e2m1, 4),
    [0.1, -0.3, 0.0, 0.6],
    "to_levels([0.1, -0.26, 0.02, 0.6], e2m1, 4)",
    1e-6,
    traps=[
        ("these are the levels; multiply by the scale on the way back", [1, -3, 0, 6]),
        ("the largest magnitude goes to the largest level, which is 6 here, not 1", [0.0, -0.3, 0.0, 0.6]),
        ("go to the nearest level, do not cut off", [0.1, -0.2, 0.0, 0.6]),
        ("the nearest level may stand anywhere in the list, which is not in ascending order", [0.1, 0.0, 0.0, -0.6]),
    ],
)
x = np.array([[0.2, -1.2, 0.38, 0.3, 3.0, -0.4]])
expect.array(
    to_levels(x, e2m1, 3),
    [[0.2, -1.2, 0.4, 0.25, 3.0, -0.5]],
    "to_levels([[0.2, -1.2, 0.38, 0.3, 3.0, -0.4]], e2m1, 3)",
    1e-6,
    traps=[
        ("each block of 3 has a scale of its own", [[0.25, -1.0, 0.5, 0.25, 3.0, -0.5]]),
        ("what counts is the largest magnitude, and -1.2 has it", [[0.19, -0.38, 0.38, 0.25, 3.0, -0.5]]),
    ],
)
expect.unchanged(x, [[0.2, -1.2, 0.38, 0.3, 3.0, -0.4]], "x")
expect.array(
    with_rounded_scales(to_levels, [0.1, -0.26, 0.02, 0.6], e2m1, 4, "eighths"),
    [0.125, -0.25, 0.0, 0.5],
    "to_levels([0.1, -0.26, 0.02, 0.6], e2m1, 4) with a round_scale that makes 0.125 of 0.1",
    1e-6,
    traps=[
        ("use what round_scale returns", [0.1, -0.3, 0.0, 0.6]),
        ("divide by the rounded scale as well", [0.125, -0.375, 0.0, 0.75]),
        ("multiply by the rounded scale as well", [0.1, -0.2, 0.0, 0.4]),
    ],
)
expect.array(to_levels([0.0, 0.0, 3.0, 6.0], e2m1, 2), [0.0, 0.0, 3.0, 6.0], "to_levels([0, 0, 3, 6], e2m1, 2)", 1e-6)
expect.refuses(to_levels, [1.0, 2.0, 3.0], e2m1, 2, naming="block or x", of="block = 2 with x of 3 values")
passed("L1.10")
### BEGIN HIDDEN TESTS
import torch
from scipy.stats import norm

from course import cases


def decoded(code):
    """The value of an E2M1 code: a sign, two bits of exponent with bias 1, one of mantissa."""
    exponent, mantissa = (code >> 1) % 4, code % 2
    size = (1 + mantissa / 2) * 2.0 ** (exponent - 1) if exponent else mantissa / 2
    return -size if code >= 8 else size


def by_hand(x, levels, block, rounded=lambda scale: scale):
    """Every block and every level looked at, in plain Python."""
    back = []
    flat, top = np.asarray(x, float).ravel().tolist(), max(abs(level) for level in levels)
    for start in range(0, len(flat), block):
        values = flat[start : start + block]
        scale = float(rounded(max(map(abs, values)) / top))
        back += [min((abs(v - scale * level), scale * level) for level in levels)[1] if scale else 0.0 for v in values]
    return np.reshape(back, np.shape(x))


def power_of_two(scale):
    return 2.0 ** int(np.floor(np.log2(1.5 * scale))) if scale else 0.0


def e4m3(scale):
    return torch.tensor(scale).to(torch.float8_e4m3fn).float().item()


codes = [decoded(code) for code in range(16)]
nf4 = [0.0, *norm.ppf(np.linspace(0.9677083, 0.5, 9)[:-1]), *-norm.ppf(np.linspace(0.9677083, 0.5, 8)[:-1])]
nf4 = [level / max(nf4) for level in nf4]
tables = {
    "E2M1": codes,
    "NF4": nf4,
    "even steps": list(range(-7, 8)),
    "uneven": [0.9, -0.2, 0.05, -2.5, 0.4],
    "two levels": [-0.5, 1.0],
}
rng = np.random.default_rng(110)
for shape, block in [((64,), 32), ((48,), 16), ((3, 128), 64), ((2, 3, 8), 4), ((6, 5), 5), ((9,), 1), ((4, 6), 2)]:
    for name, levels in tables.items():
        x = rng.normal(0, 0.1, shape) * rng.choice([0.03, 1.0, 20.0], (*shape[:-1], 1))
        before = x.copy()
        returned = to_levels(x, levels, block)
        expect.unchanged(x, before, "x")
        of = f"to_levels of normal values of shape {shape} in blocks of {block}, {name}: the result"
        expect.array(returned, by_hand(before, levels, block), of, 1e-6, 1e-5)
for kind, rounded in [("power of two", power_of_two), ("e4m3", e4m3)]:
    for shape, block in [((64,), 32), ((4, 32), 16), ((2, 3, 8), 8)]:
        x = rng.normal(0, 1.0, shape) * rng.choice([0.05, 1.0, 20.0], (*shape[:-1], 1))
        expect.array(
            with_rounded_scales(to_levels, x, codes, block, kind),
            by_hand(x, codes, block, rounded),
            f"to_levels of shape {shape} in blocks of {block}, E2M1, scales rounded ({kind}): the result",
            1e-6,
            1e-5,
        )
x = np.array([[1e-4, -2e-3, 1.1e-3, 4e-4, 0.3, -0.2, 0.11, 0.05]])
expect.array(
    with_rounded_scales(to_levels, x, codes, 4, "e4m3"),
    by_hand(x, codes, 4, e4m3),
    f"to_levels({x.tolist()}, e2m1, 4), where E4M3 makes 0 of the first scale,",
    1e-6,
)
tied = np.array([6.0, 2.5, -0.25, 5.0, -1.75, 0.75, -3.5, 3.0])
returned = to_levels(tied, codes, 8)
of = "to_levels([6, 2.5, -0.25, 5, -1.75, 0.75, -3.5, 3], e2m1, 8)"
expect.array(
    np.abs(np.asarray(returned, float) - tied), [0, 0.5, 0.25, 1, 0.25, 0.25, 0.5, 0], f"the error of {of}", 1e-5
)
expect.array(
    to_levels(np.zeros((2, 4)), [-1.0, 1.0, 0.3], 2),
    np.zeros((2, 4)),
    "to_levels of zeros, levels -1, 1 and 0.3,",
    1e-9,
)
whole_numbers = [[-128, 3, 50, 77], [7, -1, 2, 0]]
for name, x in cases.forms(whole_numbers, lists=True):
    before = np.array(x)
    returned = to_levels(x, codes, 4)
    expect.unchanged(x, before, f"x {name}")
    wanted = by_hand(whole_numbers, codes, 4)
    expect.array(returned, wanted, f"to_levels of {whole_numbers} {name}, E2M1 in blocks of 4,", 0.2)
for levels in (tuple(codes), np.array(codes), np.array([-3, 0, 1, 2]), [-3, 0, 1, 2]):
    expect.array(
        to_levels([0.3, -0.8, 0.1, 0.7], levels, 2),
        by_hand([0.3, -0.8, 0.1, 0.7], list(levels), 2),
        f"to_levels([0.3, -0.8, 0.1, 0.7], {levels!r}, 2)",
        1e-6,
    )
for _, x in cases.magnitudes([0.3, -0.83, 0.12, 0.71], largest=1e9):
    size = np.abs(x).max()
    expect.array(to_levels(x, codes, 2), by_hand(x, codes, 2), f"to_levels({x.tolist()}, e2m1, 2)", 1e-6 * size)
for name, block in cases.not_at_least(1)[:3]:
    expect.refuses(to_levels, np.ones(4), codes, block, naming="block", of=f"block = {name}")
for shape, block in [((2, 8), 3), ((2, 8), 16), ((4, 2), 4)]:
    expect.refuses(
        to_levels, np.ones(shape), codes, block, naming="block or x", of=f"block = {block} with x of shape {shape}"
    )
for levels in ([0.0, 0.0], []):
    expect.refuses(to_levels, np.ones(4), levels, 2, naming="levels", of=f"levels = {levels}")
### END HIDDEN TESTS

# %% [markdown]
# The formats that are in use differ in the table, the block, and what rounds the scale. Each is one call of your
# function:
#
# - The MX formats of the Open Compute Project (OCP) take as scale the largest power of two that is not above the block's
#   largest magnitude, over the largest power of two in the table. In E2M1 that is 4, so a block's largest value comes to
#   lie from 4 up to 8, and what is above 6 is clipped.
# - E4M3 holds numbers up to 448. NVFP4 has one more scale in 32 bits for the whole matrix, which moves the blocks' scales
#   into that range.
# - NF4 has seven levels below 0 and eight above. Its scales and those of INT4 are kept in 16 bits here. (Chapter 7
#   quantizes NF4's scales once more.)

# %%
from statistics import NormalDist

E2M1 = [sign * value for sign in (1, -1) for value in (0, 0.5, 1, 1.5, 2, 3, 4, 6)]
quantile = NormalDist().inv_cdf
above = [quantile(p) for p in np.linspace(0.5, 0.9677083, 9)]  # 0 and eight more
below = [-quantile(p) for p in np.linspace(0.9677083, 0.5, 8)[:-1]]
NF4 = [level / max(above) for level in below + above]


def power_of_two(scale):
    """Scales of E2M1 blocks as powers of two, by the OCP's rule: 1.5 times a scale is the largest magnitude over 4."""
    return np.exp2(np.floor(np.log2(np.maximum(1.5 * np.asarray(scale), 1e-30))))


def e4m3(scale):
    """Scales as 8-bit floats: four bits of exponent, three of mantissa."""
    return torch.as_tensor(np.asarray(scale, dtype=np.float32)).to(torch.float8_e4m3fn).float().numpy()


def formats(w):
    """{name: (levels, block, what rounds the scale, bits of a scale)} for a matrix w."""
    unit = float(np.abs(w).max()) / (6 * 448)
    return {
        "INT4": (list(range(-7, 8)), 32, np.float16, 16),
        "MXFP4": (E2M1, 32, power_of_two, 8),
        "NVFP4": (E2M1, 16, lambda scale: unit * e4m3(np.asarray(scale) / unit), 8),
        "NF4": (NF4, 64, np.float16, 16),
    }


print("NF4:", " ".join(f"{level:.3f}" for level in NF4))
for name, (_, block, _, scale_bits) in formats(np.ones(1)).items():
    row(f"{name}, blocks of {block}", 4 + scale_bits / block, lambda w: to_levels(w, *formats(w)[name][:3]))

# %% [markdown]
# Compare them with INT4 in even steps, above. MXFP4 costs most of all, and NVFP4, the same table with a finer scale for
# each 16 weights, costs less. Even steps in groups of 32 lose least, and pay for it with 5 bits a weight. At 4.25 bits
# NF4 and even steps in groups of 128 lie within each other's spread. Even steps from the smallest to the largest weight
# fit both ends of a group, and a table fits its largest magnitude alone.
#
# Larger models agree in part. Dettmers et al. (2023) report the mean perplexity of models of 125 million to 13 billion
# parameters: 34.34 with Int4, 31.07 with E2M1, 27.41 with NF4. Egiazarian et al. (2025) find that MXFP4's scale costs
# much accuracy, and that FP4 is no automatic gain over INT4. What speaks for MXFP4 and NVFP4 is the hardware:
# Blackwell's tensor cores multiply them as they are stored. NF4 has to be looked up and multiplied in 16 bits.

# %% [markdown]
# ### See it: tables and blocks on TinyGPT's weights
#
# Your `to_levels` on 32 rows of one of TinyGPT's matrices. Choose a format and move the block size.
#
# - Left: 64 weights of a row, before and after. The dashed lines part the blocks. What happens to small weights beside
#   a large one?
# - Middle: all weights, in units of the largest magnitude of their block. Which levels are used much, which hardly? How
#   does the histogram change when blocks grow, and which table fits it then? Why do MXFP4's levels blur?
# - Right: decibels over bits per weight, for blocks of 8 to 128. Which format gives most for its bits? One of them hardly
#   gains from smaller blocks: its scale moves in powers of two, so that a block's largest magnitude falls anywhere from 4
#   to 8 in a table that ends at 6.

# %%
some_rows = tinygpt.linears(tinygpt.tiny_gpt())["blocks.0.mlp.up"].weight.detach().numpy()[: 4 if GRADING else 32]
draw.formats(to_levels, some_rows, formats(some_rows))

# %% [markdown]
# Read, not built: **GGUF**, the file format of llama.cpp, stores blocks within blocks. Its Q4_K packs 256 weights into
# 144 bytes: 256 codes of 4 bits, a scale and a minimum of 6 bits each for every 32 of them, and two 16-bit numbers that
# scale those. That makes 4.5 bits per weight, for even steps with an offset in groups of 32, which take 5 bits above
# because scale and offset are not quantized there (Kawrakow 2023).

# %% [markdown]
# ### Lab L1.11 · Build · 3 points
#
# *Needs Exercise 1.5, for the comparison.* Where should the levels stand if the weights themselves decide? Han et al.
# (2016) sort the weights of a layer into $k$ clusters. Each weight stores the number of its cluster, and a *codebook*
# holds the $k$ values: 65,536 weights with 3 bits each, and 8 levels of 16 bits for all of them, take 3.002 bits per
# weight. No group needs a scale.
#
# The levels of least mean squared error come from *k-means*, here in one dimension (Lloyd 1982):
#
# 1. Begin with $k$ levels.
# 2. Each value goes to the nearest level.
# 3. Each level moves to the mean of the values that went to it. A level to which none went stays where it is.
# 4. Repeat 2 and 3 until nothing changes.
#
# Write `codebook(x, k)`, which returns the $k$ levels, in any order. `x` is a list or an array of any shape and number
# type, has $k$ values or more, and stays as it is. If all its values are equal, one of the levels must be that value.
#
# The result depends on the beginning. Any is right that ends well: each level is the mean of the values nearest to it,
# within 1 % of the standard deviation of `x`, and the mean squared error is at most a quarter above the least possible
# with $k$ levels. Evenly spaced levels from the smallest value to the largest will do, and so will quantiles, or values
# drawn at random: the checks' samples have no long tails, and `k` is at most 6 there. One sample has a gap in its
# middle, which may leave levels unused; the quarter does not apply to it.
#
# Raise `ValueError`, naming `k`, when `k` is less than 1.
#
# Example: `codebook([[0.0, 20.0, 1.0], [5.0, 24.0, 2.0]], 2)` is `[2.0, 22.0]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L1_11", "grade": false, "locked": false, "solution": true, "task": false}
def codebook(x, k):
    """Return the k levels, shape (k,), that k-means finds for the values of x."""
    ### BEGIN SOLUTION
    if k < 1:
        raise ValueError(f"k must be at least 1, got {k}")
    x = np.sort(np.asarray(x, dtype=float), axis=None)
    levels = np.quantile(x, (np.arange(k) + 0.5) / k)
    for _ in range(1000):
        clusters = np.split(x, np.searchsorted(x, (levels[1:] + levels[:-1]) / 2))
        means = np.array([cluster.mean() if cluster.size else level for cluster, level in zip(clusters, levels)])
        if np.array_equal(means, levels):
            break
        levels = means
    return levels
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L1_11", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np

from course import expect
from course.check import passed


def levels_of(x, k, of):
    """The k levels of the answer, in ascending order."""
    returned = codebook(x, k)
    assert returned is not None, f"codebook of {of}, k = {k}, returned nothing: {k} levels expected"
    shape = tuple(np.shape(returned))
    assert shape == (k,), (
        f"codebook of {of}, k = {k}, should return {k} numbers, the levels; its result has shape {shape}"
    )
    levels = np.sort(np.asarray(returned, dtype=float))
    assert np.isfinite(levels).all(), (
        f"codebook of {of}, k = {k}, should give {k} finite levels, it gave {levels}: a level that no value went to stays "
        "where it is"
    )
    return levels


x = np.array([[0.0, 20.0, 1.0], [5.0, 24.0, 2.0]])
expect.array(
    levels_of(x, 2, "[[0, 20, 1], [5, 24, 2]]"),
    [2.0, 22.0],
    "codebook([[0, 20, 1], [5, 24, 2]], 2), in ascending order,",
    1e-3,
    traps=[
        ("a level moves to the mean of its values, not to the middle one", [1.5, 22.0]),
        ("clusters need not be equally large: each value goes to the nearest level", [1.0, 49 / 3]),
        ("these are the smallest and the largest value; let the levels move", [0.0, 24.0]),
        ("these are quantiles, which are a beginning; let the levels move", [1.25, 16.25]),
        ("all values count, those of the other rows too", [0.5, 20.0]),
    ],
)
expect.unchanged(x, [[0.0, 20.0, 1.0], [5.0, 24.0, 2.0]], "x")
level = levels_of(np.full(6, 4.0), 3, "six times 4.0")
assert np.abs(level - 4).min() < 1e-6, f"codebook of six times 4.0, k = 3, should hold 4.0, it is {level}"
x = np.random.default_rng(0).normal(0, 1, 1000)
error = np.mean(np.abs(x[:, None] - levels_of(x, 4, "1000 normal values")).min(1) ** 2)
assert error < 0.125, (
    f"the four levels for 1000 normal values leave a mean squared error of {error:.3f}, and 0.115 is possible: "
    "repeat the two steps until nothing changes"
)
expect.refuses(codebook, [1.0, 2.0], 0, naming="k", of="k = 0")
passed("L1.11")
### BEGIN HIDDEN TESTS
from course import cases


def least_error(x, k):
    """The least mean squared error of k levels: dynamic programming over the sorted values (Wang and Song 2011)."""
    x = np.sort(np.asarray(x, float), axis=None)
    x = x - x.mean()
    sums, squares = np.cumsum([0, *x]), np.cumsum([0, *x**2])
    count = np.arange(len(x) + 1) - np.arange(len(x) + 1)[:, None]
    within = squares - squares[:, None] - (sums - sums[:, None]) ** 2 / np.maximum(count, 1)
    within[count < 0] = np.inf
    best = within[0]  # of one level for the first values
    for _ in range(k - 1):
        best = (best[:, None] + within).min(0)
    return best[-1] / len(x)


def off_the_means(x, levels):
    """How far the levels lie from the means of the values that are nearest to them, at most."""
    x = np.asarray(x, float).ravel()
    distances = np.abs(x[:, None] - levels)
    # Equal levels share their values.
    groups = [x[distances[:, j] == distances.min(1)] for j in range(len(levels))]
    return max(abs(group.mean() - level) for group, level in zip(groups, levels) if group.size)


rng = np.random.default_rng(111)
samples = {
    "300 normal values with mean 0.3": (rng.normal(0.3, 1, 300), (1, 2, 3, 4)),
    "240 values evenly spread over -5 to 3": (rng.uniform(-5, 3, 240), (2, 3, 5)),
    "100 values near -3 and 200 near 3": (np.concatenate([rng.normal(-3, 1, 100), rng.normal(3, 1.5, 200)]), (2, 4)),
    "300 values near 0.2, shape (20, 15)": (rng.normal(0.2, 0.02, (20, 15)), (4, 6)),
    "300 values with a peak at 0, from -1 to 2": (rng.triangular(-1, 0, 2, 300), (3,)),
    "240 values of rows of different size, shape (4, 60)": (rng.uniform(-1, 1, (4, 60)) * [[1], [2], [4], [8]], (2,)),
}
for name, (x, counts) in samples.items():
    for k in counts:
        before = x.copy()
        levels = levels_of(x, k, name)
        expect.unchanged(x, before, "x")
        off = off_the_means(x, levels)
        assert off <= 0.0101 * x.std(), (
            f"codebook of {name}, k = {k}: a level lies {off / x.std():.1%} of the standard deviation from the mean of "
            "the values that are nearest to it"
        )
        here, least = np.mean(np.abs(x.reshape(-1, 1) - levels).min(1) ** 2), least_error(x, k)
        assert here <= 1.25 * least + 1e-12, (
            f"codebook of {name}, k = {k}: the mean squared error is {here / least:.2f} times the least possible"
        )
x = np.concatenate([np.linspace(0, 1, 20), np.linspace(9, 10, 30)])
levels = levels_of(x, 5, "20 values from 0 to 1 and 30 from 9 to 10")
assert off_the_means(x, levels) <= 0.0101 * x.std(), (
    "codebook of 20 values from 0 to 1 and 30 from 9 to 10, k = 5: a level is not the mean of the values nearest to it"
)
whole_numbers = [[1, 2, 4, 90], [100, 125, 3, 101]]
for name, x in cases.forms(whole_numbers, lists=True):
    before = np.array(x)
    levels = levels_of(x, 2, f"{whole_numbers} {name}")
    expect.unchanged(x, before, f"x {name}")
    expect.array(levels, [2.5, 104.0], f"codebook of {whole_numbers} {name}, k = 2, in ascending order,", 0.2)
for name, k in cases.not_at_least(1)[:2]:
    expect.refuses(codebook, np.arange(5.0), k, naming="k", of=f"k = {name}")
### END HIDDEN TESTS

# %% [markdown]
# Does it help TinyGPT? One codebook for each matrix, fitted to every fifteenth weight to save time. With 3 bits three
# fits are measured, each to other weights. Beside them, symmetric INT3, as in section 2, with one 16-bit scale for each
# group of 32.


# %%
def symmetric_groups(w, bits):
    """w (out, in) after a round trip through symmetric codes, one scale for each group of 32."""
    groups, qmax = w.reshape(-1, 32), 2 ** (bits - 1) - 1
    step = np.abs(groups).max(axis=1, keepdims=True).astype(np.float16).astype(float) / qmax
    return (np.round(groups / np.maximum(step, 1e-12)) * step).reshape(w.shape)


def by_codebook(w, k, start=0):
    """w with each weight at the nearest of k levels, which are fitted to every fifteenth weight."""
    table = np.sort(np.asarray(codebook(w.ravel()[start::15], k), dtype=float))
    return table[np.searchsorted((table[1:] + table[:-1]) / 2, w)]


weights_per_matrix = np.mean([w.numel() for w in matrices])
row("INT3, symmetric, groups of 32", 3 + 16 / 32, lambda w: symmetric_groups(w, 3))
for bits, start in [(3, 0), (3, 1), (3, 2), (4, 0)][: 1 if GRADING else None]:
    table_bits = 16 * 2**bits / weights_per_matrix
    row(f"codebook of {2**bits}, fit {start + 1}", bits + table_bits, lambda w: by_codebook(w, 2**bits, start))
print(f"from 7 steps to 15, an even grid gains {20 * np.log10(15 / 7):.1f} dB")

# %% [markdown]
# With 3 bits the codebook beats symmetric INT3 in groups of 32 and even steps in groups of 128, and takes fewer bits than
# either. Even steps in groups of 32 are better still, with a third more bits. With 4 bits that lead is gone: even steps
# in groups of 128 cost less here, for a quarter of a bit more, and groups of 32 less still.
#
# Look at the decibels to see why. From 3 to 4 bits an even grid goes from 7 steps to 15, and gains what the last line
# says. The best levels for normal values gain less, 5.6 dB, from 14.6 to 20.2 (Max 1960): where levels are few, it
# matters most where they stand. And one table for a whole matrix cannot follow the size of the weights from group to
# group.
#
# The three fits have nearly the same decibels and not the same cost. A weight's squared error is not what the model
# feels. SqueezeLLM (Kim et al. 2023) weighs each weight in the k-means by how much the loss depends on it: for LLaMA-7B
# with 3 bits they report a perplexity of 28.26 for even steps, 18.08 for plain k-means, and 7.75 for the weighted one.

# %% [markdown]
# Both labs together, if you have done both: levels that k-means finds for the weights in units of their block's largest
# magnitude, in place of NF4's table. They gain a little signal to noise at the same bits. In bits per byte the two lie
# within each other's spread: NF4's table is close to the best there is. (For normal values in blocks Yoshida (2023)
# derives a better one from a formula.)


# %%
def own_levels(w):
    """w in blocks of 64, on 16 levels that its own weights decide."""
    blocks = w.reshape(-1, 64)
    units = blocks / np.maximum(np.abs(blocks).max(axis=1, keepdims=True), 1e-12)
    table = np.asarray(codebook(units.ravel()[::15], 16), dtype=float)
    return to_levels(w, table.tolist(), 64, np.float16)


row("16 levels of its own, blocks of 64", 4 + 16 / 64 + 16 * 16 / weights_per_matrix, own_levels)

# %% [markdown]
# Read, not built: **AQLM** (Egiazarian et al. 2024) and **QuIP#** (Tseng et al. 2024) have codebooks of vectors, because
# below 3 bits a level for each single weight loses too much. AQLM writes eight or more neighbouring weights as a sum of
# vectors from learned codebooks. QuIP# rotates the weights at random, so that they look normal, and takes eight at a
# time to the nearest point of a fixed lattice, E8. Both work at about 2 bits on models of billions of weights, and the
# fitting takes GPU hours.

# %% [markdown]
# ## What you measured
#
# Your numbers, from your functions, on your machine:

# %%
size = sum(layer.weight.numel() for layer in model[::2])
print(f"{'bits':>4}  {'weights':>10}  {'smaller':>7}  {'accuracy, mean of three':>23}")
print(f"{'fp32':>4}  {size * 4 / 1000:>7.1f} kB  {'1.0x':>7}  {unquantized_accuracy:>23.1%}")
for bits, share in zip(all_bits, fitted):
    print(f"{bits:>4}  {size * bits / 8 / 1000:>7.1f} kB  {32 / bits:>6.1f}x  {share:>23.1%}")

# %% [markdown]
# And of section 8, what you have measured so far, from the largest cost to the smallest:

# %%
print(f"{'TinyGPT':<42}  {'bits per weight':>15}  {'bits per byte':>13}")
for name, (bits, cost) in sorted(costs.items(), key=lambda item: -item[1][1]):
    print(f"{name:<42}  {bits:>15.3f}  {cost:>+13.3f}")
if not costs:
    print("nothing yet: its labs go further, and may be skipped")

# %% [markdown]
# - The step is the range divided by the number of steps. Whoever sets the range sets the error.
# - Affine fits the range where it is. Symmetric saves the zero-point, and pays with unused codes where the values lie
#   more to one side.
# - The zero-point is an integer code, so that zero stays exactly zero. Rounding it shifts the range by up to half a step.
# - Where the steps are fine and the range holds the signal, a bit is worth about six decibels, whatever the signal's shape.
# - With few bits, clip: a large error on a few values for a small gain on all the others.
# - Levels may stand anywhere, by a standard, by a formula or by k-means, and a scale costs bits too. Compare formats at
#   the bits they take, and by what the model loses.
#
# One range for a whole matrix is the crudest choice there is. Chapter 2 gives each row, and then each group of
# weights, its own.
#
# ### Sources
#
# - B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018,
#   arXiv:1712.05877: scale, integer zero-point, exact zero.
# - R. Krishnamoorthi, Quantizing deep convolutional networks for efficient inference: A whitepaper, 2018,
#   arXiv:1806.08342: affine and symmetric quantizers.
# - R. Banner, Y. Nahshan, E. Hoffer, D. Soudry, Post-training 4-bit quantization of convolution networks for
#   rapid-deployment, 2018, arXiv:1810.05723: the clipping threshold of least mean squared error.
# - W. R. Bennett, Spectra of Quantized Signals, Bell System Technical Journal 27, 1948: noise of step squared over 12.
# - Open Compute Project, OCP Microscaling Formats (MX) Specification, version 1.0, 2023, and B. D. Rouhani et al.,
#   Microscaling Data Formats for Deep Learning, 2023, arXiv:2310.10537: MXFP4 and its scale.
# - NVIDIA, Pretraining Large Language Models with NVFP4, 2025, arXiv:2509.25149: NVFP4 and its two scales.
# - T. Dettmers, A. Pagnoni, A. Holtzman, L. Zettlemoyer, QLoRA: Efficient Finetuning of Quantized LLMs, 2023,
#   arXiv:2305.14314: NF4, and the comparison of data types (Table 2). D. Yoshida, NF4 Isn't Information Theoretically
#   Optimal (and that's Good), 2023, arXiv:2306.06965.
# - V. Egiazarian et al., Bridging the Gap Between Promise and Performance for Microscaling FP4 Quantization, 2025,
#   arXiv:2509.23202.
# - I. Kawrakow, k-quants, llama.cpp, pull request 1684, 2023: Q4_K and its relatives.
# - S. Han, H. Mao, W. J. Dally, Deep Compression: Compressing Deep Neural Networks with Pruning, Trained Quantization
#   and Huffman Coding, 2016, arXiv:1510.00149: codebooks by k-means.
# - S. P. Lloyd, Least Squares Quantization in PCM, IEEE Transactions on Information Theory 28, 1982, and J. Max,
#   Quantizing for Minimum Distortion, IRE Transactions on Information Theory 6, 1960: the best levels.
# - H. Wang, M. Song, Ckmeans.1d.dp: Optimal k-means Clustering in One Dimension by Dynamic Programming, The R Journal 3,
#   2011.
# - S. Kim et al., SqueezeLLM: Dense-and-Sparse Quantization, 2023, arXiv:2306.07629: k-means weighted by sensitivity.
# - V. Egiazarian et al., Extreme Compression of Large Language Models via Additive Quantization (AQLM), 2024,
#   arXiv:2401.06118, and A. Tseng et al., QuIP#: Even Better LLM Quantization with Hadamard Incoherence and Lattice
#   Codebooks, 2024, arXiv:2402.04396.
# - E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998: the digits.
