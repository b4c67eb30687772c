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
# # Chapter 3 · Quantization-aware training
#
# A language model has perplexity 5.2. You quantize it after training, and perplexity is 6.8. You have tried finer groups
# and better clipping. What is left is the training itself: let the model feel the quantization while it learns, so that
# it finds weights that round well.
#
# There is one obstacle. Rounding has no useful derivative, and training needs derivatives. In this chapter you find a
# way around it, build a layer that trains through its own rounding, and rescue a network that 2 bits had destroyed.
#
# How to work: read, answer in the cell marked *your code here*, run the cell below it. It answers at once. What holds for
# every exercise, such as types and bad input, stands once in Chapter 0.
#
# Time: 1 to 2 hours for the core, 1 to 3 more for the labs. You need Chapter 1 and the
# chain rule, in the labs PyTorch's autograd and modules.

# %% nbgrader={"schema_version": 3, "grade_id": "setup", "grade": false, "locked": true, "solution": false, "task": false} tags=["setup"]
from course import ready

ready(3)

# %%
import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm.auto import tqdm

from course import GRADING, models, timing
from course.data import digits
from course.figures import Predict
from course.figures import qat as draw

# %% [markdown]
# ## 1. What there is to win back
#
# Perplexity is $e^{\text{loss}}$, where the loss is in nats per token. So the damage in this story is

# %%
damage = np.log(6.8) - np.log(5.2)
print(f"{damage:.3f} nats per token, which is {damage / np.log(2):.3f} bits")

# %% [markdown]
# Quantizing a trained model is *post-training quantization*, PTQ. *Quantization-aware training*, QAT, trains with the
# rounding inside the network. In the forward pass each weight goes through the round trip of Chapter 1, as floats:
#
# $$\hat x = \left(\operatorname{clip}\!\left(\operatorname{round}\!\left(\tfrac{x}{\text{scale}}\right) +
# \text{zero\_point},\; q_{min},\; q_{max}\right) - \text{zero\_point}\right) \cdot \text{scale} .$$
#
# This is *fake quantization*: the values are those that the codes stand for, but the arithmetic is still in floats. The
# optimizer keeps the unrounded weights, often called *latent* weights. It moves them a little at each step, until some
# of them round to another level.
#
# ## 2. A derivative that lies
#
# As a function of $x$ the round trip is a staircase: flat, a jump, flat. The *straight-through estimator* (STE) pretends
# in the backward pass that the staircase is a ramp. In its first form the gradient passes unchanged everywhere, as if the
# rounding were not there (Bengio et al. 2013). Most quantizers use the form that came with binarized networks: slope 1
# inside the range, slope 0 where $x$ is clipped (Courbariaux et al. 2016). This chapter uses it too.
#
# $$\frac{\partial L}{\partial x} \approx
# \begin{cases} \dfrac{\partial L}{\partial \hat x} & \text{inside the range} \\ 0 & \text{outside} \end{cases}$$

# %% [markdown]
# ### Exercise 3.1 · Derive · 1 point
#
# A weight $x = 0.34$ is fake-quantized with scale 0.1 to $y$. It lies inside the range. Backpropagation arrives with
# $\partial L / \partial y = 0.05$. What is $\partial L / \partial x$ through the straight-through estimator?
#
# For comparison: for a weight beyond the range it is 0.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_3_1", "grade": false, "locked": false, "solution": true, "task": false}
ex_3_1 = None
### BEGIN SOLUTION
# hint: Which slope does the estimator pretend inside the range? Multiply what arrives by it.
ex_3_1 = 1 * 0.05
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_3_1", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("3.1", ex_3_1)
### BEGIN HIDDEN TESTS
import torch

x = torch.tensor([0.34], requires_grad=True)
torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127).backward(torch.tensor([0.05]))
expect.number(
    ex_3_1,
    float(x.grad),
    traps={
        0: "that is the true derivative; the estimator puts another in its place",
        1: "that is the slope dy/dx that the estimator pretends; the chain rule multiplies it with what arrives",
        0.005: "the scale cancels: x is divided by it on the way in and multiplied by it on the way out",
        0.5: "the scale cancels: x is divided by it on the way in and multiplied by it on the way out",
        0.3 * 0.05: "the gradient is not multiplied by the value",
        0.34 * 0.05: "the gradient is not multiplied by the value",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# ### Exercise 3.2 · Trace · 1 point
#
# Why can a network not be trained with the true derivative of round()?
#
# - **A** The derivative is infinite at the jumps, so the gradients explode there.
# - **B** PyTorch has no derivative for round(), so backward() stops with an error.
# - **C** The derivative is 0 almost everywhere, so no gradient reaches the weights.
# - **D** The derivative is 1 on average, so the training never notices the rounding.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_3_2", "grade": false, "locked": false, "solution": true, "task": false}
ex_3_2 = None
### BEGIN SOLUTION
# hint: Move a weight by a millionth. How often does its rounded value change, and by how much?
ex_3_2 = "C"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_3_2", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("3.2", ex_3_2)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_3_2,
    "C",
    because={
        "A": "a weight practically never stands on a jump; look at the slope everywhere else",
        "B": "PyTorch has one and uses it without a word; look at its value",
        "D": "that is the slope that the straight-through estimator pretends, not the slope of the stairs",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# Try it on 10,000 weights: PyTorch's derivative of round(), and the slope measured by moving each weight by a millionth.

# %%
spread = torch.randn(10_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64).mul(3).requires_grad_()
torch.round(spread).sum().backward()
moved = torch.round(spread + 1e-6) != torch.round(spread)
print(f"PyTorch's derivative is not 0 for {int((spread.grad != 0).sum())} of {len(spread):,} weights")
print(f"the rounded value changes for {int(moved.sum())} of {len(spread):,} weights")

# %% [markdown]
# ## 3. What it costs
#
# ### Exercise 3.3 · Derive · 1 point
#
# A model was trained on 1 million samples for 100 epochs at 1000 samples per second. You fine-tune it with QAT for 10 %
# of those epochs. The fake quantization makes every sample take 30 % longer. How many hours does the fine-tuning take?
#
# For comparison: the original training took 27.8 hours.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_3_3", "grade": false, "locked": false, "solution": true, "task": false}
ex_3_3 = None
### BEGIN SOLUTION
# hint: How many samples pass through the model in all, and how many milliseconds does each take now?
ex_3_3 = 1e6 * 100 * 0.10 * (1 / 1000) * 1.3 / 3600
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_3_3", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("3.3", ex_3_3)
### BEGIN HIDDEN TESTS
milliseconds = 10 * 1_000_000 * 13 // 10
expect.number(
    ex_3_3,
    milliseconds / 1000 / 60 / 60,
    traps={
        1e4 / 3600: "that is 10 % of the epochs at the old speed; each sample takes 30 % longer",
        1e4 / 0.7 / 3600: "30 % longer is 1.3 times the time, not 0.7 times the speed",
        1e4 * 0.7 / 3600: "that is 30 % faster",
        1.3e5 / 3600: "that is for all 100 epochs",
        1e5 / 3600: "that is the original training",
        1.3e4: "that is in seconds",
        1.3e4 / 60: "that is in minutes",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# A tenth of the training is little for the digits and a great deal for a large language model. This is why people try
# the methods of Chapter 2 first, and come here when those are not enough.

# %% [markdown]
# ## 4. Forward and backward
#
# ### Exercise 3.4 · Build · 2 points
#
# Write the forward pass: the formula of section 1. You repaired this round trip in Chapter 1; here it becomes what a
# layer computes.
#
# `x` may be a number or a NumPy array of any shape, and you must not change it. However small `scale` is and however far
# `x` lies outside the range, the result is the nearest level. Raise `ValueError`, with the argument's name in the message,
# when `scale` is not above 0 (NaN is not), or when `qmin` is not less than `qmax`.
#
# Example: `fake_quantize(1.6, 0.01, 100, 0, 255)` is 1.55, because 1.6 asks for code 260 and the last one is 255.
#
# Section 8 calls your function some 3,400 times, on up to 16,384 weights each. Let NumPy loop over the elements: a loop
# in Python is right, too, but it adds about half a minute there.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_3_4", "grade": false, "locked": false, "solution": true, "task": false}
def fake_quantize(x, scale, zero_point, qmin, qmax):
    """Return the real values that the codes qmin..qmax store for x; same shape as x."""
    ### BEGIN SOLUTION
    if not scale > 0:
        raise ValueError(f"scale must be above 0, got {scale}")
    if not qmin < qmax:
        raise ValueError(f"qmin must be less than qmax, got qmin={qmin} and qmax={qmax}")
    codes = np.clip(np.round(np.asarray(x, dtype=float) / scale) + zero_point, qmin, qmax)
    return (codes - zero_point) * scale
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_3_4", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import numpy as np
import torch

from course import cases, expect
from course.check import passed

expect.array(
    fake_quantize(1.6, 0.01, 100, 0, 255),
    1.55,
    "fake_quantize(1.6, 0.01, 100, 0, 255)",
    1e-6,
    traps=[
        ("code 160 + 100 is beyond the last one, 255: clip after adding the zero-point", 1.6),
        ("take the zero-point away before you multiply", 2.55),
        ("that is the code, not the value it stands for", 255),
    ],
)
expect.array(
    fake_quantize(np.array([[-2.0], [0.2], [0.9]]), 0.25, 3, 0, 7),
    [[-0.75], [0.25], [1.0]],
    "fake_quantize([[-2.0], [0.2], [0.9]], 0.25, 3, 0, 7)",
    1e-6,
    traps=[
        ("round to the nearest code, do not cut off", [[-0.75], [0.0], [0.75]]),
        ("the codes are clipped and not rounded", [[-0.75], [0.2], [0.9]]),
        ("clip at both ends", [[-2.0], [0.25], [1.0]]),
    ],
)
passed("3.4")
### BEGIN HIDDEN TESTS

rng = np.random.default_rng(34)
for scale, zero_point, qmin, qmax, shape in [
    (0.013, 5, -128, 127, (40,)),
    (0.021, 100, 0, 255, (6, 7)),
    (0.3, 0, -1, 1, (30,)),
    (0.05, 3, 0, 15, (2, 3, 4)),
]:
    x = rng.uniform((qmin - zero_point - 6) * scale, (qmax - zero_point + 6) * scale, shape)
    before = x.copy()
    returned = fake_quantize(x, scale, zero_point, qmin, qmax)
    expect.unchanged(x, before, "x")
    oracle = torch.fake_quantize_per_tensor_affine(torch.tensor(x, dtype=torch.float32), scale, zero_point, qmin, qmax)
    case = f"scale {scale}, zero-point {zero_point}, codes {qmin} to {qmax}, x.flat[0] = {x.flat[0]:.4f}: the result"
    expect.array(returned, oracle.numpy(), case, 1e-5)
for form, x in cases.forms([[1, 120], [0, 7]]):
    returned = fake_quantize(x, 0.25, 3, 0, 255)
    expect.array(returned, [[1, 63], [0, 7]], f"fake_quantize([[1, 120], [0, 7]] {form}, 0.25, 3, 0, 255)", 1e-6)
of = "fake_quantize of the integers [0, 1, 2], scale 0.75, zero-point 1,"
expect.array(fake_quantize(np.array([0, 1, 2]), 0.75, 1, -8, 7), [0, 0.75, 2.25], of, 1e-6)
far = np.array([6e2, -6e2, 3e9, -3e9])
expect.array(
    fake_quantize(far, 0.01, 3, -8, 7), [0.04, -0.11, 0.04, -0.11], f"fake_quantize({far}, 0.01, 3, -8, 7)", 1e-6
)
tiny = np.array([3.2e-9, -2e-8, 0.7e-9])
of = f"fake_quantize({tiny}, 1e-9, 0, -8, 7)"
expect.array(fake_quantize(tiny, 1e-9, 0, -8, 7), [3e-9, -8e-9, 1e-9], of, 1e-14, 1e-5)
for name, scale in cases.not_above(0, nan=True):
    expect.refuses(fake_quantize, 0.5, scale, 0, -8, 7, naming="scale", of=f"scale = {name}")
for qmin, qmax in [(5, 5), (7, -8)]:
    of = f"qmin = {qmin} and qmax = {qmax}"
    expect.refuses(fake_quantize, 0.5, 0.1, 0, qmin, qmax, naming="qmin or qmax", of=of)
### END HIDDEN TESTS

# %% [markdown]
# ### Exercise 3.5 · Debug · 3 points
#
# Now the backward pass. It takes the gradient that arrives from above, `grad`, and lets it through where `x` lies inside
# the range. The two ends belong to the range. Someone wrote this. It runs, and it is wrong:

# %%
import inspect


def broken_gradient(grad, x, clip_min, clip_max):
    grad = np.asarray(grad, dtype=float)
    x = np.asarray(x, dtype=float)
    inside = (x >= clip_min) & (x <= clip_max)
    return grad + inside


for number, text in enumerate(inspect.getsource(broken_gradient).splitlines(), start=1):
    print(f"{number}  {text}")
print("\nbroken_gradient([0.2, -0.3, 0.5], [0.1, 2.0, 1.0], -1.0, 1.0) =",
      broken_gradient([0.2, -0.3, 0.5], [0.1, 2.0, 1.0], -1.0, 1.0))  # fmt: skip

# %% [markdown]
# 1. Set `ex_3_5_line` to the number of the first wrong line (1 point).
# 2. Write the repaired function as `ste_gradient` (2 points).
#
# `grad` and `x` are numbers, lists or arrays, both of the same shape, and stay as they are. Raise `ValueError`, with the
# argument's name in the message, when the shape of `grad` is not that of `x`, even where NumPy would stretch one to the
# other, or when `clip_min` is not less than `clip_max`.
#
# Example: `ste_gradient([0.2, -0.3, 0.5], [0.1, 2.0, 1.0], -1.0, 1.0)` is `[0.2, 0.0, 0.5]`. Section 8 calls your function
# some 3,000 times, on up to 16,384 weights each.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_3_5", "grade": false, "locked": false, "solution": true, "task": false}
ex_3_5_line = None


def ste_gradient(grad, x, clip_min, clip_max):
    """Return the gradient of x, given that of the fake-quantized x, with straight-through in [clip_min, clip_max]."""
    ### BEGIN SOLUTION
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError(f"grad must have the shape of x, {x.shape}, got {grad.shape}")
    if not clip_min < clip_max:
        raise ValueError(f"clip_min must be less than clip_max, got {clip_min} and {clip_max}")
    inside = (x >= clip_min) & (x <= clip_max)
    return grad * inside


ex_3_5_line = 5
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_3_5_line", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check_line

check_line("3.5", ex_3_5_line)
### BEGIN HIDDEN TESTS
expect.line(ex_3_5_line, 5)
### END HIDDEN TESTS

# %% nbgrader={"schema_version": 3, "grade_id": "test_3_5", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import numpy as np
import torch

from course import cases, expect
from course.check import passed

expect.array(
    ste_gradient([0.2, -0.3, 0.5], [0.1, 2.0, 1.0], -1.0, 1.0),
    [0.2, 0.0, 0.5],
    "ste_gradient([0.2, -0.3, 0.5], [0.1, 2.0, 1.0], -1.0, 1.0)",
    1e-6,
    traps=[
        ("the mask is added; the gradient is multiplied by it", [1.2, -0.3, 1.5]),
        ("the end 1.0 belongs to the range", [0.2, 0.0, 0.0]),
        ("2.0 lies outside the range, and nothing passes there", [0.2, -0.3, 0.5]),
        ("that is where the gradient passes, not the gradient", [1, 0, 1]),
    ],
)
expect.array(
    ste_gradient([[4.0, -3.0], [2.0, 0.5]], [[-0.5, -0.6], [1.5, 1.6]], -0.5, 1.5),
    [[4.0, 0.0], [2.0, 0.0]],
    "ste_gradient([[4.0, -3.0], [2.0, 0.5]], [[-0.5, -0.6], [1.5, 1.6]], -0.5, 1.5)",
    1e-6,
    traps=[("both ends belong to the range, -0.5 too", [[0.0, 0.0], [2.0, 0.0]])],
)
passed("3.5")
### BEGIN HIDDEN TESTS


def clamp_gradient(grad, x, clip_min, clip_max):
    """The gradient of torch.clamp, which lets through between the bounds and at them."""
    x = torch.tensor(x, dtype=torch.float64, requires_grad=True)
    x.clamp(clip_min, clip_max).backward(torch.tensor(grad, dtype=torch.float64))
    return x.grad.numpy()


rng = np.random.default_rng(35)
for clip_min, clip_max, shape in [(-1.0, 1.0, (40,)), (-0.3, 2.0, (5, 6)), (0.5, 0.75, (2, 3, 4)), (-9.0, -2.0, (12,))]:
    x = rng.uniform(clip_min - 1, clip_max + 1, shape)
    x.flat[:2] = clip_min, clip_max
    grad = rng.normal(0, 2, shape)
    before = x.copy(), grad.copy()
    returned = ste_gradient(grad, x, clip_min, clip_max)
    expect.unchanged(x, before[0], "x")
    expect.unchanged(grad, before[1], "grad")
    case = f"range [{clip_min}, {clip_max}], the first two x at its ends, shape {shape}: the result"
    expect.array(returned, clamp_gradient(before[1], before[0], clip_min, clip_max), case, 1e-6)
expect.array(ste_gradient(0.05, 0.34, -1.0, 1.0), 0.05, "ste_gradient(0.05, 0.34, -1.0, 1.0)", 1e-7)
expect.array(ste_gradient(-3.0, 1.01, -1.0, 1.0), 0.0, "ste_gradient(-3.0, 1.01, -1.0, 1.0)", 1e-9)
inputs = zip(*(cases.forms(numbers, lists=True) for numbers in ([[3, 1], [2, 4]], [[1, 2], [0, 5]])))
for (form, grad), (_, x) in inputs:
    of = f"ste_gradient([[3, 1], [2, 4]], [[1, 2], [0, 5]], 0, 2), both {form},"
    expect.array(ste_gradient(grad, x, 0, 2), [[3, 1], [2, 0]], of, 1e-6)
of = "ste_gradient([0.5, -0.25, 2.5], the integers [0, 1, 5], 0, 2)"
expect.array(ste_gradient(np.array([0.5, -0.25, 2.5]), np.array([0, 1, 5]), 0, 2), [0.5, -0.25, 0], of, 1e-6)
for name, shape in [*cases.other_shapes((2, 3)), ("shape (6,)", (6,)), ("shape (3, 1)", (3, 1))]:
    of = f"grad of {name} with x of shape (2, 3)"
    expect.refuses(ste_gradient, np.ones(shape), np.ones((2, 3)), -1.0, 2.0, naming="grad or x", of=of)
expect.refuses(ste_gradient, np.ones(4), 0.5, -1.0, 2.0, naming="grad or x", of="grad of shape (4,) with one number x")
expect.refuses(ste_gradient, 0.5, np.ones(4), -1.0, 2.0, naming="grad or x", of="one number grad with x of shape (4,)")
for low, high in [(1.0, 1.0), (1.0, -1.0)]:
    of = f"clip_min = {low} and clip_max = {high}"
    expect.refuses(ste_gradient, 0.1, 0.1, low, high, naming="clip_min or clip_max", of=of)
### END HIDDEN TESTS

# %% [markdown]
# ### See it: the stairs and the window
#
# Your two functions on the middle layer of the digits network. On the left, what the forward pass computes. In the
# middle, what the backward pass believes. On the right, the weights that get a gradient.
#
# - Lower the bits to 2. The stairs get coarse. Does the window change?
# - Make the clip range smaller. Weights beyond it get no gradient. What could still bring one of them back?

# %%
float_model = models.trained_mlp()
middle = float_model[2].weight.detach().numpy()


def without_gradient(clip):
    """The share of the weights that a window of `clip` times the largest leaves without a gradient."""
    hi = clip * np.abs(middle).max()
    return np.mean(np.asarray(ste_gradient(np.ones_like(middle), middle, -hi, hi)) == 0)


Predict(
    draw.straight_through(fake_quantize, ste_gradient, middle),
    "The range is clipped to half of the largest weight. How many of the weights are left without a gradient?",
    slider=(0, 50, 2),
    unit=" %",
    happened=lambda: f"{without_gradient(0.5):.1%}; at a fifth of the largest it is {without_gradient(0.2):.0%}",
)

# %% [markdown]
# ## 5. Into autograd
#
# PyTorch uses your gradient if you pack both passes into a `torch.autograd.Function`. `apply` runs `forward`; when the
# loss is differentiated, PyTorch runs `backward` with the gradient from above. Between the two, `ctx` keeps what
# `backward` needs.
#
# ### Lab L3.6 · Build · 3 points
#
# Write the two methods for torch tensors.
#
# - `forward` returns the fake-quantized `x`, as in Exercise 3.4, in the type of `x`. `x` is a float32 or float64 tensor of
#   any shape, transposed ones included; the other four arguments are Python numbers, and you need not check them.
# - `backward` returns five values, one for each argument of `forward`: the gradient of `x`, then `None` four times.
#   The gradient passes where the code *before clipping*, round(x / scale) + zero_point, lies in qmin..qmax, ends
#   included; elsewhere it is 0. So the window reaches half a step beyond the outer levels, as in PyTorch's own quantizer:
#   what lies there still rounds to a level.
# - Keep what `backward` needs in `ctx`, and nowhere else: a network runs many forward passes before the first
#   backward pass, and backward passes may come in any order or not at all. Change neither `x` nor `grad_output`.
#
# Example: for `x = [-0.5, 0.3, 1.553, 1.6]`, scale 0.01, zero-point 100 and codes 0 to 255, the values are
# `[-0.5, 0.3, 1.55, 1.55]`, and a gradient of `[1, 2, 3, 4]` from above becomes `[1, 2, 3, 0]`: 1.553 rounds to code 255,
# 1.6 to code 260.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L3_6", "grade": false, "locked": false, "solution": true, "task": false}
class FakeQuantize(torch.autograd.Function):
    """Fake quantization with the straight-through estimator; use as FakeQuantize.apply(x, scale, ...)."""

    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        ### BEGIN SOLUTION
        codes = torch.round(x / scale) + zero_point
        ctx.save_for_backward((codes >= qmin) & (codes <= qmax))
        return (codes.clamp(qmin, qmax) - zero_point) * scale
        ### END SOLUTION

    @staticmethod
    def backward(ctx, grad_output):
        ### BEGIN SOLUTION
        (inside,) = ctx.saved_tensors
        return grad_output * inside, None, None, None, None
        ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L3_6", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np
import torch

from course import expect
from course.check import passed
from course.probe import probe


@probe
def forward_and_backward(function, x, upstream, *quantizer):
    """Values, gradient of x, and both inputs afterwards."""
    import torch

    leaf = x.clone().requires_grad_()
    y = function.apply(leaf, *quantizer)
    if not isinstance(y, torch.Tensor):
        raise TypeError(f"FakeQuantize.apply should return a tensor, it returned {type(y).__name__}")
    y.backward(upstream)
    return y.detach(), leaf.grad, leaf.detach(), upstream


@probe
def two_layers(function, a, b, *quantizer):
    """The gradients of a and b: forward passes of both, then their backward passes together, and one after the other."""
    import torch

    a, b = a.clone().requires_grad_(), b.clone().requires_grad_()
    (function.apply(2 * a, *quantizer) + function.apply(b, *quantizer)).sum().backward()
    together = a.grad, b.grad
    a.grad = b.grad = None
    first, second = function.apply(a, *quantizer), function.apply(b, *quantizer)
    with torch.no_grad():
        function.apply(-b, *quantizer)
    first.sum().backward()
    second.sum().backward()
    return *together, a.grad, b.grad


@probe
def transposed(function, x, upstream, *quantizer):
    """Type and values for x transposed, and the gradient of x where the one from above comes transposed as well."""
    leaf = x.clone().requires_grad_()
    y = function.apply(leaf.T, *quantizer)
    (y.T * upstream).sum().backward()
    return str(y.dtype), y.detach().clone(), leaf.grad


y, gradient, _, _ = forward_and_backward(
    FakeQuantize, torch.tensor([-0.5, 0.3, 1.553, 1.6]), torch.tensor([1.0, 2.0, 3.0, 4.0]), 0.01, 100, 0, 255
)
expect.array(y, [-0.5, 0.3, 1.55, 1.55], "FakeQuantize.apply([-0.5, 0.3, 1.553, 1.6], 0.01, 100, 0, 255)", 1e-6)
expect.array(
    gradient,
    [1, 2, 3, 0],
    "its gradient for [1, 2, 3, 4] from above",
    1e-6,
    traps=[
        ("1.6 rounds to code 260, outside the range, and nothing passes there", [1, 2, 3, 4]),
        ("1.553 rounds to code 255: the window reaches half a step beyond the last level, ends included", [1, 2, 0, 0]),
        ("multiply by the gradient from above", [1, 1, 1, 0]),
        ("that is the true derivative", [0, 0, 0, 0]),
    ],
)
passed("L3.6")
### BEGIN HIDDEN TESTS


def oracle(x, upstream, *quantizer):
    leaf = x.clone().requires_grad_()
    y = torch.fake_quantize_per_tensor_affine(leaf, *quantizer)
    y.backward(upstream)
    return y.detach(), leaf.grad


generator = torch.Generator().manual_seed(36)
for scale, zero_point, qmin, qmax, shape in [
    (0.013, 5, -128, 127, (300,)),
    (0.3, 0, -1, 1, (40, 5)),
    (0.05, 3, 0, 15, (6, 7, 8)),
    (0.02, -4, -8, 7, (500,)),
]:
    span = (qmax - qmin + 8) * scale
    x = (qmin - zero_point - 4) * scale + span * torch.rand(shape, generator=generator)
    upstream = torch.randn(shape, generator=generator)
    case = f"for scale {scale}, zero-point {zero_point}, codes {qmin} to {qmax}:"
    y, gradient, x_after, upstream_after = forward_and_backward(
        FakeQuantize, x.clone(), upstream.clone(), scale, zero_point, qmin, qmax
    )
    right_y, right_gradient = oracle(x, upstream, scale, zero_point, qmin, qmax)
    expect.array(y, right_y, f"{case} the value", 1e-5)
    expect.array(gradient, right_gradient, f"{case} the gradient of x", 1e-5)
    expect.unchanged(x_after, x, "x")
    expect.unchanged(upstream_after, upstream, "grad_output")

x = torch.tensor([1.3, 1.54, 1.56, -1.06, -1.04])
_, gradient, _, _ = forward_and_backward(FakeQuantize, x, torch.full((5,), 2.0), 0.1, 5, -5, 20)
expect.array(
    gradient,
    [2, 2, 0, 0, 2],
    "levels -1.0 to 1.5, scale 0.1, 2 from above: the gradient at [1.3, 1.54, 1.56, -1.06, -1.04]",
    1e-6,
)

y, gradient, _, _ = forward_and_backward(FakeQuantize, torch.tensor(0.13), torch.tensor(2.0), 0.1, 0, -1, 1)
expect.array(
    [*map(float, (y, gradient))], [0.1, 2], "for one number, 0.13, scale 0.1, codes -1 to 1: value and gradient", 1e-6
)

first, second = torch.tensor([0.02, 0.9, 0.04]), torch.tensor([0.9, 0.02, -0.8])
gradients = two_layers(FakeQuantize, first, second, 0.1, 0, -1, 1)
expect.array(gradients[0], [2, 0, 2], "two forward passes before the backward pass: the first one's gradient", 1e-6)
expect.array(gradients[1], [0, 1, 0], "two forward passes before the backward pass: the second one's gradient", 1e-6)
case = "two forward passes, one without gradients, then the backward passes in the same order:"
expect.array(gradients[2], [1, 0, 1], f"{case} the first one's gradient", 1e-6)
expect.array(gradients[3], [0, 1, 0], f"{case} the second one's gradient", 1e-6)

x = torch.tensor([[0.12, -0.31, 0.04], [0.26, 0.09, -0.14]], dtype=torch.float64)
upstream = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=torch.float64)
kind, y, gradient = transposed(FakeQuantize, x, upstream, 0.1, 0, -2, 2)
case = f"for the float64 tensor {x.tolist()} transposed, scale 0.1, codes -2 to 2:"
assert kind == "torch.float64", f"{case} the values should be torch.float64, they are {kind}"
expect.array(y, [[0.1, 0.2], [-0.2, 0.1], [0.0, -0.1]], f"{case} the value", 1e-6)
expect.array(gradient, [[1, 0, 3], [0, 5, 6]], f"{case} the gradient of x for {upstream.tolist()} from above", 1e-6)
### END HIDDEN TESTS

# %% [markdown]
# ### See it: one weight learns through the stairs
#
# One weight starts at 0.05. The scale is 0.5. The network sees the fake-quantized weight, and the loss wants it to be 0.8,
# which is between the levels 0.5 and 1. It is trained once with the true derivative and once with your `FakeQuantize`.


# %%
def learn_one_weight(rounded, steps=150, lr=0.05, start=0.05, target=0.8):
    """Gradient descent on (rounded(w) - target)^2 / 2: the path of w, and what the network saw."""
    w = torch.tensor(start, requires_grad=True)
    path, seen = [], []
    for _ in range(steps):
        y = rounded(w)
        (slope,) = torch.autograd.grad((y - target) ** 2 / 2, w)
        path.append(w.item())
        seen.append(y.item())
        w = (w - lr * slope).detach().requires_grad_()
    return path, seen


true_path, _ = learn_one_weight(lambda w: torch.round(w / 0.5) * 0.5)
ste_path, ste_seen = learn_one_weight(lambda w: FakeQuantize.apply(w, 0.5, 0, -3, 3))
late_weight, late_seen = np.mean(ste_path[-100:]), np.mean(ste_seen[-100:])
print(f"last 100 steps, on average: the weight is {late_weight:.3f}, the network sees {late_seen:.3f}")
draw.descent({"true derivative": true_path, "your FakeQuantize": ste_path}, ste_seen, target=0.8, scale=0.5)

# %% [markdown]
# With the true derivative the weight never moves. With the estimator it walks to the threshold at 0.75 and stays there,
# stepping back and forth across it, so that the network sees now 0.5, now 1, and the target on average. Nothing draws the
# weight to a level. Remember this for section 7 (Nagel et al. 2022 study it).

# %% [markdown]
# ## 6. A layer that trains through its rounding
#
# ### Lab L3.7 · Build · 4 points
#
# Write `QuantLinear(linear, bits)`, a module around a trained `torch.nn.Linear`. Its forward pass is that of `linear`
# with a fake-quantized weight:
#
# - symmetric, one scale for the whole weight: $q_{max} = 2^{bits-1} - 1$, codes $-q_{max}$ to $q_{max}$, zero-point 0,
#   $\text{scale} = \max|w| / q_{max}$, computed afresh from the weight in each forward pass, because the weight changes in
#   training. Weights as small as $10^{-5}$ get a scale as small, without a floor under it;
# - the bias, if there is one, and the input stay as they are;
# - the gradient of the weight goes straight through. The scale counts as a constant: no gradient flows through it;
# - the same whether the module is in training or in evaluation mode, and in the type of `linear`, float32 or float64.
#
# `linear` keeps its float weight, and its parameters are the module's parameters: an optimizer of the module trains
# them. The forward pass changes nothing. A weight that is zero everywhere must not give NaN. Raise `ValueError` naming
# `bits` as soon as somebody makes a `QuantLinear` of less than 2 bits.
#
# Your `FakeQuantize` helps. So does another way to write the estimator: `w + (w_hat - w).detach()` has the value of
# `w_hat` and the gradient of `w`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L3_7", "grade": false, "locked": false, "solution": true, "task": false}
class QuantLinear(torch.nn.Module):
    """A linear layer that computes with its weight fake-quantized to `bits` bits and trains the float weight."""

    def __init__(self, linear, bits):
        super().__init__()
        ### BEGIN SOLUTION
        if bits < 2:
            raise ValueError(f"bits must be at least 2, got {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1
        ### END SOLUTION

    def forward(self, x):
        """x: (..., in features) -> (..., out features)."""
        ### BEGIN SOLUTION
        weight = self.linear.weight
        scale = (weight.detach().abs().max() / self.qmax).clamp(min=1e-12)
        rounded = torch.round(weight / scale) * scale
        return torch.nn.functional.linear(x, weight + (rounded - weight).detach(), self.linear.bias)
        ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L3_7", "grade": true, "locked": true, "solution": false, "task": false, "points": 4}
import numpy as np
import torch

from course import expect
from course.check import passed
from course.probe import probe


@probe
def one_step(module, weight, bias, bits, x, upstream, lr=0.1, later=None):
    """A QuantLinear's output, gradients, and the linear layer before and after one step of SGD.

    later: a weight that is put into the linear layer after the module was made and used.
    """
    import torch

    linear = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None).to(weight.dtype)
    with torch.no_grad():
        linear.weight.copy_(weight)
        if bias is not None:
            linear.bias.copy_(bias)
    layer = module(linear, bits)
    if later is not None:
        layer(x)
        with torch.no_grad():
            linear.weight.copy_(later)
    x = x.clone().requires_grad_()
    y = layer(x)
    if not isinstance(y, torch.Tensor):
        raise TypeError(f"QuantLinear's forward pass should return a tensor, it returned {type(y).__name__}")
    seen = {"y": y.detach(), "weight after forward": linear.weight.detach().clone()}
    layer.eval()
    seen["y in eval"] = layer(x).detach()
    layer.train()
    y.backward(upstream)
    shapes = [list(parameter.shape) for parameter in layer.parameters()]
    if shapes:
        torch.optim.SGD(layer.parameters(), lr=lr).step()
    seen |= {"x.grad": x.grad, "shapes": sorted(shapes), "weight after SGD": linear.weight.detach().clone()}
    return seen | ({"bias after SGD": linear.bias.detach().clone()} if bias is not None else {})


@probe
def make(module, bits):
    """The name of the type of module(linear, bits), where it can be made."""
    import torch

    return type(module(torch.nn.Linear(3, 2), bits)).__name__


weight = torch.tensor([[-0.9, 0.2, -0.4], [0.5, 0.1, -0.3]])
seen = one_step(
    QuantLinear, weight, torch.tensor([1.0, 2.0]), 2, torch.tensor([[1.0, 10.0, 100.0]]), torch.tensor([[1.0, 1.0]])
)
case = "weight [[-0.9, 0.2, -0.4], [0.5, 0.1, -0.3]], bias [1, 2], 2 bits, input [1, 10, 100]:"
expect.array(
    seen["y"],
    [[0.1, 2.9]],
    f"{case} the output",
    1e-4,
    traps=[
        ("the scale is the largest magnitude / qmax, here 0.9", [[-49.5, -47.5]]),
        ("one scale for the whole weight, not one for each row", [[0.1, -47.5]]),
        ("the bias is missing", [[-0.9, 0.9]]),
        ("that is with the float weight", [[-37.9, -26.5]]),
    ],
)
expect.array(seen["weight after forward"], weight, f"{case} after the forward pass, linear.weight", 1e-6)
moved = weight - 0.1 * torch.tensor([1.0, 10.0, 100.0])
expect.array(
    seen["weight after SGD"],
    moved,
    f"{case} after one step of SGD, learning rate 0.1, [1, 1] from above, linear.weight",
    1e-4,
    traps=[("no gradient has reached it: round() lets none through, or it is no parameter of the module", weight)],
)
passed("L3.7")
### BEGIN HIDDEN TESTS


def expected(weight, bias, bits, x, upstream, lr=0.1):
    """The same from PyTorch's quantizer and the gradients of a linear layer, written out."""
    qmax = 2 ** (bits - 1) - 1
    scale = max(weight.abs().max().item() / qmax, 1e-12)
    w_hat = torch.fake_quantize_per_tensor_affine(weight, scale, 0, -qmax, qmax)
    rows, from_above = x.reshape(-1, x.shape[-1]), upstream.reshape(-1, upstream.shape[-1])
    y = torch.nn.functional.linear(x, w_hat, bias)
    return {
        "y": y,
        "y in eval": y,
        "weight after forward": weight,
        "x.grad": upstream @ w_hat,
        "weight after SGD": weight - lr * from_above.T @ rows,
    } | ({} if bias is None else {"bias after SGD": bias - lr * from_above.sum(0)})


generator = torch.Generator().manual_seed(37)
for bits, batch, inputs, outputs, with_bias, kind in [
    (2, (5,), 7, 4, True, torch.float32), (3, (2, 3), 6, 5, True, torch.float32), (4, (8,), 10, 3, False, torch.float32),
    (8, (4,), 16, 9, True, torch.float32), (3, (4,), 5, 2, True, torch.float64), (2, (), 6, 3, False, torch.float32),
]:  # fmt: skip
    weight = torch.randn(outputs, inputs, generator=generator).to(kind)
    bias = torch.randn(outputs, generator=generator).to(kind) if with_bias else None
    x = torch.randn(*batch, inputs, generator=generator).to(kind)
    upstream = torch.randn(*batch, outputs, generator=generator).to(kind)
    case = f"{bits} bits, {kind}, input of shape {tuple(x.shape)}, {'with' if with_bias else 'no'} bias:"
    seen = one_step(QuantLinear, weight, bias, bits, x, upstream)
    shapes = sorted([[outputs, inputs]] + ([[outputs]] if with_bias else []))
    assert seen["shapes"] == shapes, f"{case} the module's parameters have shapes {seen['shapes']}, expected {shapes}"
    for name, value in expected(weight, bias, bits, x, upstream).items():
        of = {
            "y": "the output",
            "y in eval": "in evaluation mode, the output",
            "weight after forward": "after the forward pass, linear.weight",
            "x.grad": "the gradient of the input",
            "weight after SGD": "after one step of SGD on the module's parameters, linear.weight",
            "bias after SGD": "after one step of SGD on the module's parameters, linear.bias",
        }[name]
        expect.array(seen[name], value, f"{case} {of}", 1e-4, 1e-4)

weight, bias = torch.randn(4, 7, generator=generator), torch.randn(4, generator=generator)
x, upstream = torch.randn(5, 7, generator=generator), torch.randn(5, 4, generator=generator)
for times in (3, 0.3):
    later = times * torch.randn(4, 7, generator=generator)
    seen = one_step(QuantLinear, weight, bias, 3, x, upstream, later=later)
    right = expected(later, bias, 3, x, upstream)
    of = f"when linear.weight became about {times} times as large after the module was made and used: the output"
    expect.array(seen["y"], right["y"], of, 1e-4, 1e-4)

small = torch.tensor([[2.4e-5, -1.3e-5, 0.2e-5], [0.7e-5, -0.3e-5, 1.9e-5]])
x, upstream = torch.tensor([[1e5, 2e5, 3e5]]), torch.ones(1, 2)
seen = one_step(QuantLinear, small, None, 3, x, upstream)
expect.array(
    seen["y"], [[-0.8, 5.6]], f"for the small weights {small.tolist()}, 3 bits, {x.tolist()}: the output", 0.01
)

x, upstream = torch.randn(5, 7, generator=generator), torch.randn(5, 4, generator=generator)

seen = one_step(QuantLinear, torch.zeros(4, 7), bias, 2, x, upstream)
right = expected(torch.zeros(4, 7), bias, 2, x, upstream)
expect.array(seen["y"], right["y"], "for a weight of zeros: the output", 1e-4)
expect.array(
    seen["weight after SGD"],
    right["weight after SGD"],
    "for a weight of zeros: linear.weight after one step of SGD",
    1e-4,
)

for bits in (1, 0, -1, 1.5):
    expect.refuses(make, QuantLinear, bits, naming="bits", of=f"bits = {bits}")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: collapse and recovery
#
# Wrap the three layers of the trained digits network in your `QuantLinear`, and do nothing else: that is PTQ. Train the
# wrapped network, with the same data and the same loop as before: that is QAT.
#
# Two questions need a fair answer. Is it chance? To find out, everything runs for three seeds. Does the longer training
# alone help? A third curve trains the float network for as many epochs more, and then quantizes it.


# %%
def wrapped(model, bits):
    """The network with each linear layer in a QuantLinear; the weights are shared with `model`."""
    return nn.Sequential(*[QuantLinear(layer, bits) if isinstance(layer, nn.Linear) else layer for layer in model])


def largest(model):
    """The largest magnitude in the weight of each linear layer; at 2 bits that is the layer's scale."""
    return [layer.weight.detach().abs().max().item() for layer in model[::2]]


seeds, epochs, all_bits = ((0,), 1, [2, 4]) if GRADING else ((0, 1, 2), 15, [2, 3, 4])
runs = [(seed, bits) for seed in seeds for bits in all_bits]
float_accuracy = np.array([models.accuracy(models.trained_mlp(seed)) for seed in seeds])
longer = {
    seed: models.train(models.trained_mlp(seed), epochs, lr=1e-3, seed=seed)
    for seed in tqdm(seeds, "float", leave=False)
}
ptq, more, qat = np.zeros((3, len(all_bits), len(seeds)))
at_2_bits = []
for seed, bits in tqdm(runs, "QAT", leave=False):
    at = all_bits.index(bits), seeds.index(seed)
    latent = models.trained_mlp(seed)
    network, before = wrapped(latent, bits), largest(latent)
    ptq[at] = models.accuracy(network)
    more[at] = models.accuracy(wrapped(longer[seed], bits))
    qat[at] = models.accuracy(models.train(network, epochs, lr=1e-3, seed=seed))
    if bits == 2:
        at_2_bits.append((seed, latent, before, largest(latent)))
for bits, *rows in zip(all_bits, ptq, more, qat):
    said = [
        f"{name} {row.mean():.1%} ({row.min():.1%} to {row.max():.1%})"
        for name, row in zip(("PTQ", "longer, then PTQ", "QAT"), rows)
    ]
    print(f"{bits} bits: " + ", ".join(said))
measured = {
    "not quantized": float_accuracy,
    "PTQ, largest weight sets the scale": ptq[0],
    "trained longer, then PTQ": more[0],
    "QAT, largest weight sets the scale": qat[0],
}
draw.recovery(all_bits, {"PTQ": ptq, "trained longer, then PTQ": more, "QAT": qat}, float_accuracy)

# %% [markdown]
# At 2 bits a weight is $-\text{scale}$, 0 or $+\text{scale}$. With the largest weight as the scale, nearly all weights
# round to 0, and PTQ is left with next to nothing. QAT brings the network back with the same scale rule. But the same rule
# does not mean the same levels: in training the largest weight may grow, and the levels move along with it. What did the
# work, the weights or the levels? Swap them: the trained weights on the levels from before the training, and the weights
# from before the training on the levels from after it.


# %%
def on_levels(model, scales):
    """The accuracy of `model` with each layer's weight on the levels -scale, 0 and scale."""
    rounded = models.mlp()
    rounded.load_state_dict(model.state_dict())
    with torch.no_grad():
        for layer, scale in zip(rounded[::2], scales, strict=True):
            layer.weight.copy_(FakeQuantize.apply(layer.weight, scale, 0, -1, 1))
    return models.accuracy(rounded)


for (seed, latent, before, after), untouched, trained in zip(at_2_bits, ptq[0], qat[0]):
    moved = ", ".join(f"{old:.2f} -> {new:.2f}" for old, new in zip(before, after, strict=True))
    print(f"seed {seed}: scales {moved}")
    print(f"   weights before training: {untouched:.1%} on their levels, "
          f"{on_levels(models.trained_mlp(seed), after):.1%} on those after it")  # fmt: skip
    print(
        f"   weights after training:  {trained:.1%} on their levels, {on_levels(latent, before):.1%} on those before it"
    )

# %% [markdown]
# Neither the weights nor the levels do it alone. The old weights gain nothing from the new levels, and the new weights
# lose much of their accuracy on the old ones. Training finds weights and levels that fit each other.
#
# Read, not built: **BitNet**. Three levels to a weight are $\log_2 3 \approx 1.58$ bits, hence BitNet b1.58 (Ma et al.
# 2024): a language model that trains on such levels from its first step, with float weights behind them and the
# straight-through estimator, as here. Its scale is the mean magnitude of the weights, not the largest, and activations
# have 8 bits. The first BitNet (Wang et al. 2023) had -1 and 1 only. Ma et al. report that from 3 billion parameters on
# b1.58 does as well as a model in FP16 trained on as many tokens. To see that takes a cluster, not seconds on two cores.
#
# ### See it: what a step costs
#
# Exercise 3.3 took 30 % for granted. Measure it: one step of training, forward, backward and update, without and with
# your `QuantLinear`. Each weight is rounded once per step, however many samples the batch holds, so the share of the
# rounding should fall as the batch grows.


# %%
def training_step(network, batch):
    """A function that takes one step of training on `batch` digits."""
    x, y = (part[:batch] for part in digits()[:2])
    optimizer = torch.optim.SGD(network.parameters(), lr=1e-3)

    def step():
        optimizer.zero_grad()
        functional.cross_entropy(network(x), y).backward()
        optimizer.step()

    return step


steps = {
    f"batch of {batch}, {name}": training_step(network, batch)
    for batch in (64, 1024)
    for name, network in (("float", models.trained_mlp()), ("QuantLinear", wrapped(models.trained_mlp(), 2)))
}
took = timing.timings(steps, threads=1)
for name, time in took.items():
    print(f"{name:28} {time}")
for batch in (64, 1024):
    ratio = took[f"batch of {batch}, QuantLinear"].seconds / took[f"batch of {batch}, float"].seconds
    print(f"batch of {batch}: a step with your QuantLinear takes {ratio:.2f} times as long")
if again := timing.measure_again(took):
    print(again)

# %% [markdown]
# ## 7. Do the weights go to the levels?
#
# You might expect QAT to pull each weight onto a level. In section 5 you saw that it does not: the estimator takes a
# weight to a threshold as readily as to a level. If you want weights that rest on their levels, ask for it. Add to the
# loss a penalty on the distance, $\lambda \sum (w - \hat w)^2$ with $\hat w$ held fixed, small at first and growing
# (Nagel et al. 2022 call it dampening).
#
# The cell trains with your `QuantLinear` and `FakeQuantize` at 3 bits, without and with that pull, for three seeds, and
# keeps the middle layer's weights along the way. Distances are in scales: weights spread evenly between the levels are
# 0.25 away on average.


# %%
def pull(weight, qmax):
    """The sum of squared distances of a weight to its levels."""
    scale = float(weight.detach().abs().max()) / qmax
    return ((weight - FakeQuantize.apply(weight, scale, 0, -qmax, qmax).detach()) ** 2).sum()


def recorded_training(strength, seed, bits=3, epochs=15, every=11):
    """Train the wrapped network; return (step, weights, scale, accuracy) of the middle layer along the way."""
    x_train, y_train, *_ = digits()
    latent = models.trained_mlp(seed)
    network, qmax, record = wrapped(latent, bits), 2 ** (bits - 1) - 1, []
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    batches = torch.randperm(len(x_train), generator=torch.Generator().manual_seed(seed)).split(64)
    total = (1 if GRADING else epochs) * len(batches)
    for step in tqdm(range(total + 1), f"pull {strength:g}, seed {seed}", leave=False):
        if step % every == 0:
            weight = latent[2].weight.detach().numpy().copy()
            record.append((step, weight, np.abs(weight).max() / qmax, models.accuracy(network)))
        rows = batches[step % len(batches)]
        loss = functional.cross_entropy(network(x_train[rows]), y_train[rows])
        loss = loss + strength * step / total * sum(pull(layer.weight, qmax) for layer in latent[::2])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return record


recorded = {
    name: [recorded_training(strength, seed) for seed in seeds]
    for name, strength in (("no pull", 0.0), ("pull to the levels", 0.05))
}
print(f"{'3 bits':18}  {'seed':>4}  {'distance before':>15}  {'after':>6}  {'held-out digits right':>21}")
for name, all_runs in recorded.items():
    for seed, run in zip(seeds, all_runs, strict=True):
        far = [np.abs(w / scale - np.clip(np.round(w / scale), -3, 3)).mean() for _, w, scale, _ in (run[0], run[-1])]
        print(f"{name:18}  {seed:>4}  {far[0]:>15.3f}  {far[1]:>6.3f}  {run[-1][3]:>21.1%}")

# %% [markdown]
# ### See it: the weights over the steps of training
#
# Seed 0, step by step. Move the slider from the first step to the last, then change the run. The green lines are the
# levels, the dotted lines the thresholds between them.
#
# - Without the pull the network gets its digits right, and the histogram hardly changes its shape.
# - With it the weights leave the thresholds and gather on the levels. Now rounding them changes next to nothing.

# %%
draw.gathering(fake_quantize, {name: all_runs[0] for name, all_runs in recorded.items()}, qmax=3)

# %% [markdown]
# ## 8. Learn the step as well
#
# So far the largest weight sets the scale. Chapter 1 searched for a better one. *Learned step size quantization* (Esser
# et al. 2020) makes the scale a parameter and trains it along with the weights. So it needs the gradient of $\hat x$ with
# respect to the scale $s$. Write the round trip with zero-point 0. Clip first and then round, as the paper does, and let
# the estimator hold the offset of rounding fixed:
#
# $$\hat x = s \cdot (c + \delta), \qquad c = \operatorname{clip}\!\left(\tfrac{x}{s},\; q_{min},\; q_{max}\right), \qquad
# \delta = \operatorname{round}(c) - c \;\text{ held fixed.}$$
#
# Inside the range $c = x/s$ and $\hat x = x + s\,\delta$, so the slope is $\delta$. Where $x$ is clipped, $c$ is the last
# code, $\delta$ is 0 and $\hat x = s\,c$, so the slope is that code. Exactly at an end the formula has a corner, with one
# slope on each side; there the paper takes the code:
#
# $$\frac{\partial \hat x}{\partial s} = \begin{cases}
# q_{min} & x/s \le q_{min} \\
# \operatorname{round}(x/s) - x/s & q_{min} < x/s < q_{max} \\
# q_{max} & x/s \ge q_{max}
# \end{cases}$$
#
# This is the third window of the chapter, and they are not the same:
#
# | where | what passes | for which $x$ |
# |---|---|---|
# | Exercise 3.5 | the gradient of $x$ | $clip_{min} \le x \le clip_{max}$: between two real numbers, ends included |
# | Lab L3.6 | the gradient of $x$ | $q_{min} \le \operatorname{round}(x/s) + \text{zero-point} \le q_{max}$: half a step beyond the outer levels |
# | Lab L3.8 | the saw $\delta$ | $q_{min} < x/s < q_{max}$: between the outer levels, ends excluded |

# %% [markdown]
# ### Lab L3.8 · Build · 3 points
#
# Write `lsq_scale_gradient(x, scale, qmin, qmax, grad_out)`, the gradient of the loss with respect to the scale:
# `grad_out` times the slope above, summed over all elements. Return one number. Where $x/s$ is exactly $q_{min}$ or
# $q_{max}$ the slope is that code, also if you let PyTorch differentiate: `torch.clamp` counts its ends as inside. The
# paper multiplies the sum by $1 / \sqrt{n\, q_{max}}$ for a weight of $n$ elements; leave that out, the experiment below
# puts it in.
#
# `x` and `grad_out` are numbers, lists or arrays, both of the same shape, and stay as they are. Raise `ValueError`, with
# the argument's name in the message, when `scale` is not above 0, when `qmin` is not less than `qmax`, or
# when the shape of `grad_out` is not that of `x`, even where both have the same size.
#
# Example: `lsq_scale_gradient([0.3, 0.6, -5.0], 0.5, -2, 1, [1.0, 2.0, 4.0])` is $-5.6$, which is
# $1 \cdot 0.4 + 2 \cdot 1 + 4 \cdot (-2)$: 0.6 is 1.2 scales, beyond code 1 and so clipped. The experiment below calls your
# function some 3,000 times, on up to 16,384 weights each.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L3_8", "grade": false, "locked": false, "solution": true, "task": false}
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    """Return the gradient of the loss with respect to scale, one number, given the loss's gradient grad_out."""
    ### BEGIN SOLUTION
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if not scale > 0:
        raise ValueError(f"scale must be above 0, got {scale}")
    if not qmin < qmax:
        raise ValueError(f"qmin must be less than qmax, got qmin={qmin} and qmax={qmax}")
    if grad_out.shape != x.shape:
        raise ValueError(f"grad_out must have the shape of x, {x.shape}, got {grad_out.shape}")
    steps = x / scale
    slope = np.where((steps > qmin) & (steps < qmax), np.round(steps) - steps, np.clip(steps, qmin, qmax))
    return float(np.sum(grad_out * slope))
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L3_8", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import math

import numpy as np

from course import cases, expect
from course.check import passed

expect.array(
    lsq_scale_gradient([0.3, 0.6, -5.0], 0.5, -2, 1, [1.0, 2.0, 4.0]),
    -5.6,
    "lsq_scale_gradient([0.3, 0.6, -5.0], 0.5, -2, 1, [1.0, 2.0, 4.0])",
    1e-6,
    traps=[
        ("a clipped element has its last code as the slope, not round(x / s) - x / s", 0.0),
        ("clipped elements count too, each with its last code as the slope", 0.4),
        ("compare x / s itself with the ends, not its rounded value, and not x", -8.0),
        ("the slope inside the range is round(x / s) - x / s, not the code", -5.0),
        ("the sign: inside, the slope is round(x / s) - x / s", -6.4),
        ("leave the paper's factor out", -5.6 / 3**0.5),
        ("sum over the elements, do not average", -5.6 / 3),
        ("multiply each slope by its grad_out", -0.6),
    ],
)
expect.array(
    lsq_scale_gradient([0.5, -1.0], 0.5, -2, 1, [3.0, 1.0]),
    1.0,
    "lsq_scale_gradient([0.5, -1.0], 0.5, -2, 1, [3.0, 1.0])",
    1e-6,
    traps=[("here x / s is exactly 1 and -2, the ends, and there the slope is that code", 0.0)],
)
passed("L3.8")
### BEGIN HIDDEN TESTS


def by_differences(x, scale, qmin, qmax, grad_out, h=1e-6):
    """Central differences of sum(grad_out * x_hat) over the scale, the offset of rounding held fixed."""
    elements = list(zip(x.ravel().tolist(), grad_out.ravel().tolist(), strict=True))

    def clipped(steps):
        return min(max(steps, qmin), qmax)

    def loss(s):
        total = []
        for value, grad in elements:
            offset = round(clipped(value / scale)) - clipped(value / scale)
            total.append(grad * s * (clipped(value / s) + offset))
        return math.fsum(total)

    return (loss(scale * (1 + h)) - loss(scale * (1 - h))) / (2 * h * scale)


rng = np.random.default_rng(38)
for scale, qmin, qmax, shape, reach in [
    (0.5, -1, 1, (40,), 1.5),
    (0.07, -8, 7, (5, 6), 1.3),
    (2.5, -2, 1, (2, 3, 4), 2.0),
    (0.013, 0, 15, (50,), 1.2),
    (0.3, -127, 127, (30,), 0.8),
]:
    x = rng.uniform(reach * qmin * scale - scale, reach * qmax * scale, shape)
    grad_out = rng.normal(0.3, 1, shape)
    before = x.copy(), grad_out.copy()
    returned = lsq_scale_gradient(x, scale, qmin, qmax, grad_out)
    expect.unchanged(x, before[0], "x")
    expect.unchanged(grad_out, before[1], "grad_out")
    exact = by_differences(before[0], scale, qmin, qmax, before[1])
    case = f"lsq_scale_gradient with scale {scale}, codes {qmin} to {qmax}, x of shape {shape}"
    expect.array(returned, exact, case, 1e-3, 1e-4)
single = [
    *[(0.3, 0.4), (0.37, 0.26), (-0.3, -0.4), (0.49, 0.02), (-0.8, -0.4), (-0.97, -0.06)],
    *[(0.5, 1.0), (0.6, 1.0), (0.74, 1.0), (0.76, 1.0), (-1.0, -2.0), (-1.1, -2.0), (-9.0, -2.0)],
]
for value, slope in single:
    of = f"lsq_scale_gradient([{value}], 0.5, -2, 1, [1.0])"
    expect.array(lsq_scale_gradient(np.array([value]), 0.5, -2, 1, np.array([1.0])), slope, of, 1e-6)
expect.array(lsq_scale_gradient(0.3, 0.5, -2, 1, 2.0), 0.8, "lsq_scale_gradient(0.3, 0.5, -2, 1, 2.0)", 1e-6)
inputs = zip(*(cases.forms(numbers, lists=True) for numbers in ([[3, 1], [0, 7]], [[100, 2], [9, 60]])))
for (form, x), (_, grad_out) in inputs:
    of = f"lsq_scale_gradient([[3, 1], [0, 7]], 4.0, -2, 1, [[100, 2], [9, 60]]), both {form},"
    expect.array(lsq_scale_gradient(x, 4.0, -2, 1, grad_out), 100 / 4 - 2 / 4 + 60, of, 1e-6)
ones = np.ones((2, 3))
for name, scale in cases.not_above(0):
    expect.refuses(lsq_scale_gradient, ones, scale, -2, 1, ones, naming="scale", of=f"scale = {name}")
for qmin, qmax in [(1, 1), (1, -2)]:
    of = f"qmin = {qmin} and qmax = {qmax}"
    expect.refuses(lsq_scale_gradient, ones, 0.1, qmin, qmax, ones, naming="qmin or qmax", of=of)
for name, shape in [*cases.other_shapes((2, 3)), ("shape (6,)", (6,)), ("shape (1, 6)", (1, 6))]:
    of = f"grad_out of {name} with x of shape (2, 3)"
    expect.refuses(lsq_scale_gradient, ones, 0.1, -2, 1, np.ones(shape), naming="grad_out or x", of=of)
### END HIDDEN TESTS

# %% [markdown]
# ### See it: three windows
#
# Your three gradients for codes $-1$ to 1, with 1 from above. The dashed lines are the outer levels, the dotted ones half
# a step beyond them. The right panel shows what one weight tells the scale. Inside the range it is a saw: a larger scale
# moves $\hat x$ farther from $x$, down where $x$ was rounded down, up where it was rounded up. Beyond the range $\hat x$
# is the outer level, and moves with it.


# %%
def window_of_fake_quantize(x):
    """What FakeQuantize lets through of a gradient of 1, for scale 1 and codes -1 to 1."""
    x = torch.tensor(x, requires_grad=True)
    FakeQuantize.apply(x, 1.0, 0, -1, 1).sum().backward()
    return x.grad


draw.three_windows(ste_gradient, window_of_fake_quantize, lsq_scale_gradient)

# %% [markdown]
# Now train with it. The layer below packs your three NumPy functions into autograd: `fake_quantize` forward,
# `ste_gradient` for the weight, with the outer levels as the range, and `lsq_scale_gradient` for the scale, with the
# paper's factor. The scale starts at $2\,\overline{|w|} / \sqrt{q_{max}}$, as in the paper. (The paper's window for the
# weight leaves the two ends out.)


# %%
class LearnedStep(torch.autograd.Function):
    @staticmethod
    def forward(ctx, weight, scale, qmax):
        ctx.save_for_backward(weight, scale)
        ctx.qmax = qmax
        return torch.as_tensor(fake_quantize(weight.detach().numpy(), scale.item(), 0, -qmax, qmax)).float()

    @staticmethod
    def backward(ctx, grad_output):
        weight, grad = ctx.saved_tensors[0].detach().numpy(), grad_output.numpy()
        scale, qmax = ctx.saved_tensors[1].item(), ctx.qmax
        with torch.enable_grad():  # an answer may use autograd itself
            for_weight = ste_gradient(grad, weight, -qmax * scale, qmax * scale)
            for_scale = lsq_scale_gradient(weight, scale, -qmax, qmax, grad) / np.sqrt(weight.size * qmax)
        return torch.as_tensor(for_weight).float(), torch.tensor(float(for_scale)), None


class LearnedStepLinear(nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        self.linear, self.qmax = linear, 2 ** (bits - 1) - 1
        self.scale = nn.Parameter(2 * linear.weight.detach().abs().mean() / self.qmax**0.5)

    def forward(self, x):
        return functional.linear(x, LearnedStep.apply(self.linear.weight, self.scale, self.qmax), self.linear.bias)


# %% [markdown]
# Is it the training, or only the better scale? To tell the two apart, the last comparison at 2 bits has one more row: PTQ
# with the scale of least squared error, found by search, as in Chapter 1 with `best_clip`.


# %%
def least_error_scale(weight, qmax):
    """The scale for which fake_quantize has the least squared error, by search."""
    scales = np.abs(weight).max() / qmax * np.linspace(0.02, 1, 50)
    return min(
        scales, key=lambda scale: np.sum((np.asarray(fake_quantize(weight, scale, 0, -qmax, qmax)) - weight) ** 2)
    )


searched, learned, scales = [], [], []
for seed in tqdm(seeds, "learned step", leave=False):
    network = models.trained_mlp(seed)
    with torch.no_grad():
        for layer in network[::2]:
            weight = layer.weight.numpy()
            layer.weight.copy_(torch.as_tensor(fake_quantize(weight, least_error_scale(weight, 1), 0, -1, 1)))
    searched.append(models.accuracy(network))
    network = nn.Sequential(
        *[LearnedStepLinear(m, 2) if isinstance(m, nn.Linear) else m for m in models.trained_mlp(seed)]
    )
    first = [layer.scale.item() for layer in network[::2]]
    learned.append(models.accuracy(models.train(network, epochs, lr=1e-3, seed=seed)))
    scales.append([first, [layer.scale.item() for layer in network[::2]]])
measured |= {"PTQ, scale of least squared error": searched, "QAT, learned scale": learned}
for name, (before, after) in zip(("first", "middle", "last"), np.mean(scales, axis=0).T):
    print(f"{name:6} layer: scale {before:.3f} at the start, {after:.3f} learned")

# %% [markdown]
# ## What you measured
#
# The digits network at 2 bits per weight, three seeds, your functions, your machine:

# %%
print(f"{'held-out digits right':36}  {'mean':>6}  {'least':>6}  {'most':>6}")
for name, shares in measured.items():
    print(f"{name:36}  {np.mean(shares):>6.1%}  {np.min(shares):>6.1%}  {np.max(shares):>6.1%}")

# %% [markdown]
# - round() has slope 0 almost everywhere. The straight-through estimator puts slope 1 in its place, inside the range.
# - QAT is the same training loop with the rounding inside. It costs a part of the training over again, and more time per
#   step: how much more, you measured.
# - Much of PTQ's collapse at 2 bits is the fault of the scale: compare the two rows of PTQ. What training adds, you see in
#   the two rows of QAT, without and with a learned scale.
# - The estimator leaves weights at thresholds as readily as on levels. A pull to the levels has to be added.
#
# Quantization keeps every weight and gives each fewer bits. Chapter 4 goes the other way: it keeps the bits and drops
# weights.
#
# ### Sources
#
# - Y. Bengio, N. Léonard, A. Courville, Estimating or Propagating Gradients Through Stochastic Neurons for Conditional
#   Computation, 2013, arXiv:1308.3432: the straight-through estimator, which passes the gradient unchanged.
# - M. Courbariaux, I. Hubara, D. Soudry, R. El-Yaniv, Y. Bengio, Binarized Neural Networks: Training Deep Neural Networks
#   with Weights and Activations Constrained to +1 or -1, 2016, arXiv:1602.02830: no gradient where the input is clipped.
# - B. Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018,
#   arXiv:1712.05877: training with simulated quantization.
# - S. K. Esser, J. L. McKinstry, D. Bablani, R. Appuswamy, D. S. Modha, Learned Step Size Quantization, 2020,
#   arXiv:1902.08153: the gradient of the scale, its factor and its start.
# - H. Wang et al., BitNet: Scaling 1-bit Transformers for Large Language Models, 2023, arXiv:2310.11453; S. Ma et al.,
#   The Era of 1-bit LLMs: All Large Language Models are in 1.58 Bits, 2024, arXiv:2402.17764.
# - M. Nagel, M. Fournarakis, Y. Bondarenko, T. Blankevoort, Overcoming Oscillations in Quantization-Aware Training, 2022,
#   arXiv:2203.11086: weights that oscillate at thresholds, and dampening.
# - E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998: the digits.
