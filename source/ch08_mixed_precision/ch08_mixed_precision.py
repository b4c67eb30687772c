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
# # Chapter 8 · Mixed precision and the GPU
#
# Half the bits, twice the speed. So you turn the network into FP16 with one call, `model.half()`, and start to train.
# The first loss looks fine. The second is NaN, and so are all that follow.
#
# In this chapter you take the formats apart bit by bit, find out where the NaN came from, and train in FP16 without it.
# Then you measure what the bits buy: the same matrix products in every type that your machine has, on a GPU if there is
# one, otherwise on the CPU. Not every short type is fast everywhere, and you will see why.
#
# How to work: read, answer in the cell marked *your code here*, run the cell below it. It answers at once.
# What holds for every exercise, such as types and bad input, stands once in Chapter 0.
#
# Time: 1 to 2 hours for the core, 2 to 4 more for the labs. You need Chapter 0 and
# powers of two, in the labs a training loop in PyTorch, and for Lab L8.9 Chapter 1.

# %% nbgrader={"schema_version": 3, "grade_id": "setup", "grade": false, "locked": true, "solution": false, "task": false} tags=["setup"]
from course import ready

ready(8)

# %%
from copy import deepcopy

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm.auto import tqdm

from course import GRADING, benchmark, hardware, models, tinygpt
from course.data import digits
from course.devices import DEVICES
from course.figures import Predict
from course.figures import mixed_precision as draw

all_threads = torch.get_num_threads()
torch.set_num_threads(1)  # networks this small train faster on one thread

# %% [markdown]
# ## 1. What half the bits promise
#
# First the accident. This is the digits network of Chapter 1, all of it in FP16, with the optimizer's default settings:

# %%
torch.manual_seed(0)
careless = models.mlp().half()
optimizer = torch.optim.Adam(careless.parameters(), lr=2e-3)
for step in range(4):
    images, labels = digits().x_train[64 * step : 64 * (step + 1)], digits().y_train[64 * step : 64 * (step + 1)]
    loss = functional.cross_entropy(careless(images.half()), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"step {step}: loss {loss.item():.4f}")

# %% [markdown]
# Section 3 finds the cause. The promise itself is real, and it has two parts: bytes and arithmetic.

# %% [markdown]
# ### Exercise 8.1 · Derive · 1 point
#
# During training a network keeps the activations of its forward pass for the backward pass. In FP32 they take 60 GB.
# How many GB are saved when all of them are kept in FP16?
#
# Give a number in GB. For comparison: of 20 GB in FP32, one byte for each number saves 15 GB.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_8_1", "grade": false, "locked": false, "solution": true, "task": false}
ex_8_1 = None
### BEGIN SOLUTION
# hint: How many bytes has a number before, and how many after? Saved is what is gone.
ex_8_1 = 60 - 60 * 2 / 4
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_8_1", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("8.1", ex_8_1)
### BEGIN HIDDEN TESTS
import torch

count = 60 * 10**9 // torch.finfo(torch.float32).bits * 8
expect.number(
    ex_8_1,
    60 - torch.empty(count, dtype=torch.float16, device="meta").nbytes / 1e9,
    traps={
        45: "that keeps one byte of four; FP16 keeps two",
        15: "that is what one byte for each number would leave; FP16 has two",
        2: "that is the ratio; the question asks for GB",
        50: "that is the percentage; the question asks for GB",
        60: "that is all of it; FP16 still has 16 bits for each number",
        0.5: "that is the share; the question asks for GB",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# And a real network? *Autocast* is PyTorch's way to mixed precision. It runs the matrix products in 16 bits and the loss
# in FP32. Layer norms and softmax run in FP32 on a GPU, and on a CPU in whatever type their input has. The next cell
# counts the bytes that TinyGPT keeps for its backward pass, in FP32, with all of it in FP16, and under autocast. Predict
# first: which of the two keeps half?

# %%
from contextlib import nullcontext


def kept_tensors(model, inputs, context):
    """What the forward pass keeps for the backward pass, the model's own parameters left out."""
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor  # holding it keeps the address from being used again
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), context:
        model(inputs)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    return [tensor for address, tensor in kept.items() if address not in own]


def megabytes(tensors):
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors) / 1e6


gpt = tinygpt.tiny_gpt()
windows = tinygpt.windows(tinygpt.training_text(), 1 if GRADING else 16, seed=0)
inputs = windows[:, :-1]
kept = {
    "FP32": kept_tensors(gpt, inputs, nullcontext()),
    "FP16 throughout": kept_tensors(deepcopy(gpt).half(), inputs, nullcontext()),
    "FP16 autocast": kept_tensors(gpt, inputs, torch.autocast("cpu", torch.float16)),
}
activations = {name: megabytes(tensors) for name, tensors in kept.items()}
for name, size in activations.items():
    print(f"{name:15}  {size:5.1f} MB, {size / activations['FP32']:.0%} of FP32")
in_fp32 = megabytes([tensor for tensor in kept["FP16 autocast"] if tensor.dtype == torch.float32])
copies = 2 * sum(layer.weight.numel() for layer in gpt.modules() if isinstance(layer, nn.Linear)) / 1e6
print(f"\nUnder autocast {in_fp32:.1f} MB of it are in FP32, and {copies:.1f} MB are 16-bit copies of the weights")

# %% [markdown]
# Only a network that is FP16 throughout keeps half, and that is the one with the NaN. Autocast keeps about two thirds.
# What runs from block to block stays in FP32, because it starts in the embedding, which autocast leaves alone. The copies
# of the weights are kept too. And the input that q, k and v share in FP32 is cast three times and kept three times.
#
# Now the arithmetic. Chapter 0 called a program *compute-bound* when it waits for the arithmetic units. Then its time
# is its operations over the chip's peak. Peaks are *dense*, in TFLOPS (TOPS for INT8):

# %%
kinds = ["fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4"]
print(f"{'':12}" + "".join(f"  {kind:>6}" for kind in kinds))
for name, device in DEVICES.items():
    print(f"{name:12}" + "".join(f"  {device.peak_tflops.get(kind, '-'):>6}" for kind in kinds))
h100_bf16, a100_fp16 = DEVICES["H100"].peak_tflops["bf16"], DEVICES["A100 80 GB"].peak_tflops["fp16"]
print(f"\nH100 (SXM) in BF16 over A100 in FP16: {h100_bf16 / a100_fp16:.1f}")
for name, device in DEVICES.items():
    if "fp4" in device.peak_tflops:
        fp4, fp8 = (device.peak_tflops[kind] for kind in ("fp4", "fp8"))
        print(f"{name}: FP4 over FP8 {fp4 / fp8:.1f}; the same FP4 peak counted with sparsity: {2 * fp4}")

# %% [markdown]
# The A100's 312 TFLOPS are dense FP16 or BF16 on tensor cores; 156 is TF32, and plain FP32 is 19.5. An H100 (SXM, dense)
# has 989 in BF16, which is about 3.2 times as much, 495 in TF32, and 1979 in FP8 and INT8. Blackwell (B200, RTX 5090)
# adds floats of 4 bits. The "3352 AI TOPS" that NVIDIA names for an RTX 5090 are FP4 with sparsity.

# %% [markdown]
# ### Exercise 8.2 · Derive · 1 point
#
# A product of two 4096 x 4096 matrices is compute-bound. How many times as fast is it at 312 TFLOPS as at 156 TFLOPS?
#
# For comparison: at 156 TFLOPS against 19.5 it is 8 times as fast.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_8_2", "grade": false, "locked": false, "solution": true, "task": false}
ex_8_2 = None
### BEGIN SOLUTION
# hint: The operations are the same in both. Write down both times and divide the old one by the new one.
ex_8_2 = (2 * 4096**3 / 156e12) / (2 * 4096**3 / 312e12)
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_8_2", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("8.2", ex_8_2)
### BEGIN HIDDEN TESTS
import torch
from torch.utils.flop_counter import FlopCounterMode

square = torch.empty(4096, 4096, device="meta")
with FlopCounterMode(display=False) as counter:
    torch.mm(square, square)
expect.number(
    ex_8_2,
    (counter.get_total_flops() / 156e12) / (counter.get_total_flops() / 312e12),
    traps={
        0.5: "that is the new time over the old one; the speedup is the other way round",
        16: "that compares with plain FP32, 19.5 TFLOPS",
        8: "that is 156 against 19.5",
        4: "halving the bits doubles the peak once; nothing else enters",
        3.17: "that is an H100 against an A100",
        0.44: "those are the milliseconds at 312 TFLOPS; divide the other time by it",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# That is the promise: half the bits, twice the speed. When does it hold? Take a layer of 4096 x 4096 weights and m rows
# of input, on an A100 with its 2039 GB/s. The next cell predicts three times with Chapter 0's roofline: TF32 with numbers
# of 4 bytes, FP16 with numbers of 2 bytes, and FP16 when the numbers are stored in FP32 and have to be cast first, as
# under autocast. What do you expect for one row?

# %%
a100 = DEVICES["A100 80 GB"]


def memory_ms(numbers, bytes_each):
    return 1000 * numbers * bytes_each / (a100.bandwidth_gb_s * 1e9)


print(f"{'rows':>4}  {'TF32 ms':>8}  {'FP16 ms':>8}  {'speedup':>7}  {'with casting ms':>15}  {'speedup':>7}")
for m in (1, 16, 256, 1024, 4096):
    read, written, flop = m * 4096 + 4096**2, m * 4096, 2 * m * 4096**2
    tf32 = max(memory_ms(read + written, 4), 1000 * flop / (a100.peak_tflops["tf32"] * 1e12))
    fp16 = max(memory_ms(read + written, 2), 1000 * flop / (a100.peak_tflops["fp16"] * 1e12))
    casting = fp16 + memory_ms(read, 4 + 2)  # FP32 is read, FP16 is written
    print(f"{m:>4}  {tf32:>8.4f}  {fp16:>8.4f}  {tf32 / fp16:>7.2f}  {casting:>15.4f}  {tf32 / casting:>7.2f}")

# %% [markdown]
# Numbers that are stored in 16 bits keep the promise for one row too: there is half as much to move. Numbers that have to
# be cast break it. For few rows the casting moves more bytes than the product, and half the bits take twice the time.
# Autocast is for large batches, and it casts each weight once in a forward pass, however often the weight is used.
#
# What do the bits cost?

# %% [markdown]
# ## 2. Two halves of a float
#
# A float stores a sign, an *exponent* and a *mantissa*. The exponent says between which powers of two the number lies,
# so its bits are range. The mantissa says where between them, so its bits are precision. 16 bits can be shared out in
# more than one way:
#
# | format | sign | exponent | mantissa |
# |---|---|---|---|
# | FP32 | 1 | 8 | 23 |
# | FP16 | 1 | 5 | 10 |
# | BF16 | 1 | 8 | 7 |
# | FP8 E5M2 | 1 | 5 | 2 |
# | FP8 E4M3 | 1 | 4 | 3 |

# %% [markdown]
# ### Exercise 8.3 · Trace · 1 point
#
# Compared with FP32, what does FP16 give up, and what does BF16?
#
# - **A** FP16 gives up some precision and keeps the range; BF16 gives up most of the range and keeps the precision.
# - **B** Both give up the same amount of range and of precision: in each of them 16 of the 32 bits are gone.
# - **C** FP16 gives up most of the range and some precision; BF16 keeps the range and gives up more precision.
# - **D** FP16 gives up most of the range and some precision; BF16 gives up neither, as it was made for networks.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_8_3", "grade": false, "locked": false, "solution": true, "task": false}
ex_8_3 = None
### BEGIN SOLUTION
# hint: Compare the exponent bits of both with the 8 of FP32, then the mantissa bits with the 23.
ex_8_3 = "C"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_8_3", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("8.3", ex_8_3)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_8_3,
    "C",
    because={
        "A": "it is the other way round: FP16 has 5 exponent bits and 10 mantissa bits, BF16 has 8 and 7",
        "B": "the same number of bits is gone, but not the same bits: 5 + 10 against 8 + 7",
        "D": "BF16 has 7 mantissa bits where FP32 has 23: its numbers are far apart",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# The next cell sends two large numbers, a small one and two that need precision through all three types. In the last
# line a weight of 1 gets 1000 updates of 0.0001 in each type.

# %%
types = {"FP32": torch.float32, "FP16": torch.float16, "BF16": torch.bfloat16}
print(f"{'':>12}" + "".join(f"  {name:>12}" for name in types))
for number in [70_000.0, 1e30, 1e-8, 257.0, 1 / 3]:
    print(
        f"{number:>12.6g}" + "".join(f"  {torch.tensor(number, dtype=kind).item():>12.6g}" for kind in types.values())
    )
updated = {}
for name, kind in types.items():
    weight = torch.tensor(1.0, dtype=kind)
    for _ in range(1000):
        weight += torch.tensor(0.0001, dtype=kind)
    updated[name] = weight.item()
print(f"{'1000 updates':>12}" + "".join(f"  {number:>12.6g}" for number in updated.values()))

# %% [markdown]
# In both 16-bit types the weight did not move. 1.0001 lies so close to 1 that it is rounded back, every time. This is
# why mixed precision keeps the weights that the optimizer updates in FP32, the *master weights*, and makes 16-bit
# copies for the products.
#
# With 8 bits, two formats share the work: E4M3 for weights and activations, E5M2 with more range for gradients
# (Micikevicius et al., 2022).

# %% [markdown]
# ### Exercise 8.4 · Derive · 1 point
#
# A model of 70 billion parameters takes 140 GB in FP16. What is the compression ratio when its weights are stored in
# FP8?
#
# For comparison: with INT4 (35 GB) it is 4.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_8_4", "grade": false, "locked": false, "solution": true, "task": false}
ex_8_4 = None
### BEGIN SOLUTION
# hint: How many GB are 70 billion numbers of one byte each?
ex_8_4 = 140 / 70
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_8_4", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("8.4", ex_8_4)
### BEGIN HIDDEN TESTS
import torch

stored = [torch.empty(70 * 10**9, dtype=dtype, device="meta").nbytes for dtype in (torch.float16, torch.float8_e4m3fn)]
expect.number(
    ex_8_4,
    stored[0] / stored[1],
    traps={
        4: "that is INT4, or FP32 to FP8; here FP16 becomes FP8",
        0.5: "that is the new size over the old one; the ratio is the other way round",
        70: "those are the GB that are left; the ratio divides the sizes",
        50: "that is the percentage saved; the ratio divides the sizes",
        8: "those are the bits; the ratio divides the sizes",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# INT8 has the same ratio. Are the three worth the same? The next cell stores TinyGPT's weight matrices in each of them,
# with one scale for each matrix, and measures the weights' relative error and the bits per byte on held-out text. Then it
# makes one weight of a matrix 100 times as large as the largest, and measures the error of all others.

# %%
eight_bits = {"INT8": (torch.int8, 127), "FP8 E4M3": (torch.float8_e4m3fn, 448), "FP8 E5M2": (torch.float8_e5m2, 57344)}


def stored(weights, dtype, largest):
    """The weights as they come back from 8 bits, with one scale for the matrix."""
    scale = weights.abs().max() / largest
    return ((weights / scale).round() if dtype == torch.int8 else weights / scale).to(dtype).float() * scale


def share_of_error(rounded, exact):
    return ((rounded - exact).norm() / exact.norm()).item()


judged_on = 2 if GRADING else 32
print(f"{'':8}  {'error':>6}  {'bits per byte':>13}  {'error beside an outlier':>23}")
print(f"{'FP32':8}  {'-':>6}  {tinygpt.bits_per_byte(gpt, windows=judged_on):>13.4f}  {'-':>23}")
for name, (dtype, largest) in eight_bits.items():
    rounded = deepcopy(gpt)
    for layer in tinygpt.linears(rounded).values():
        layer.weight.data = stored(layer.weight.data, dtype, largest)
    exact, back = (torch.cat([w.weight.data.flatten() for w in tinygpt.linears(m).values()]) for m in (gpt, rounded))
    outlier = gpt.blocks[0].mlp.up.weight.detach().flatten().clone()
    outlier[0] = 100 * outlier.abs().max()
    beside = share_of_error(stored(outlier, dtype, largest)[1:], outlier[1:])
    judged = tinygpt.bits_per_byte(rounded, windows=judged_on)
    print(f"{name:8}  {share_of_error(back, exact):>6.1%}  {judged:>13.4f}  {beside:>23.1%}")

# %% [markdown]
# The ratio is the same, the error is not. TinyGPT's weights have few outliers, so the even steps of INT8 fit them best;
# E5M2 comes last, with two bits of mantissa. Beside an outlier INT8 loses nearly everything, because its steps grow with
# the scale. A float has smaller steps for smaller numbers, so one outlier costs the others nothing.

# %% [markdown]
# ## 3. Gradients that vanish
#
# Where did the NaN come from? Adam divides each gradient's running mean by the root of the running mean of its square,
# plus $\varepsilon = 10^{-8}$, which keeps the division from being 0/0. In FP16:

# %%
for name, number in [("epsilon", 1e-8), ("a gradient", 1e-5), ("its square", 1e-5**2)]:
    print(f"{name:10}  {number:.0e} in FP16 is {torch.tensor(number).half().item():.3g}")
print("0 / 0 =", (torch.zeros(1) / torch.zeros(1)).item())

# %% [markdown]
# Small numbers became zero. This is *underflow*, and it does not only strike the optimizer. Gradients are small, and a
# gradient that underflows on its way back through the network is lost for all layers before.
#
# The remedy is simple: multiply the loss by a large number, the *loss scale*. By the chain rule every gradient on the
# way is multiplied by it too, and stays in the range of FP16. At the end, in FP32, divide the gradients of the weights
# by the same number. Then update.

# %% [markdown]
# ### Exercise 8.5 · Debug · 3 points
#
# Someone wrote such a step. `gradient_fn(weights, loss_scale)` returns the gradient of `loss_scale` times the loss as a
# float16 array. `weights` is a float32 array. The step runs, and it is wrong:

# %%
import inspect


def broken_step(weights, gradient_fn, loss_scale, lr):
    scaled = gradient_fn(weights, loss_scale)
    change = lr * scaled.astype(np.float32)
    return weights - change


def to_the_target(weights, loss_scale):
    """The gradient of loss_scale * (weights - target)**2 / 2, in float16."""
    return (loss_scale * (weights - np.float32([0.5, -0.25]))).astype(np.float16)


for number, line in enumerate(inspect.getsource(broken_step).splitlines(), start=1):
    print(f"{number}  {line}")
print("\nloss_scale 1:  ", broken_step(np.float32([0.0, 0.0]), to_the_target, 1, 0.5))
print("loss_scale 64: ", broken_step(np.float32([0.0, 0.0]), to_the_target, 64, 0.5))

# %% [markdown]
# 1. Set `ex_8_5_line` to the number of the first wrong line (1 point).
# 2. Write the repaired function as `train_step` (2 points). It returns the new weights as a float32 array of their own,
#    also when `lr` is 0, and leaves the old ones as they are.
#
# The loss scale must not change the step, and a gradient that the scale saved from underflow must not be lost
# afterwards. Large gradients make large steps: nothing is cut off. `loss_scale` is any number above 0, so it need not be
# a power of two, and `lr` may be 0. Raise `ValueError`, with the argument's name in the message, when `loss_scale` is not
# above 0 or `lr` is negative.
#
# Example: `train_step(np.float32([0, 0]), to_the_target, 64, 0.5)` is `[0.25, -0.125]`.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_8_5", "grade": false, "locked": false, "solution": true, "task": false}
ex_8_5_line = None


def train_step(weights, gradient_fn, loss_scale, lr):
    """Return the float32 weights after one step of gradient descent with a scaled loss and float16 gradients."""
    ### BEGIN SOLUTION
    if loss_scale <= 0:
        raise ValueError(f"loss_scale must be above 0, got {loss_scale}")
    if lr < 0:
        raise ValueError(f"lr must not be negative, got {lr}")
    scaled = gradient_fn(weights, loss_scale)
    gradient = scaled.astype(np.float32) / np.float32(loss_scale)
    return weights - np.float32(lr) * gradient


ex_8_5_line = 3
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_8_5_line", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check_line

check_line("8.5", ex_8_5_line)
### BEGIN HIDDEN TESTS
expect.line(ex_8_5_line, 3)
### END HIDDEN TESTS

# %% nbgrader={"schema_version": 3, "grade_id": "test_8_5", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import numpy as np

from course import expect
from course.check import passed
from course.probe import probe


@probe
def stepped(train_step, start, goal, curvature, loss_scale, lr):
    """One step on curvature * (w - goal)^2 / 2: (the weights, the input afterwards, the scales asked for, own memory)."""
    import numpy as np

    asked = []

    def gradient_fn(weights, loss_scale):
        asked.append(float(loss_scale))
        with np.errstate(all="ignore"):
            scaled = np.float64(loss_scale) * curvature * (np.asarray(weights, np.float64) - goal)
            return scaled.astype(np.float16)

    given = start.copy()
    after = train_step(given, gradient_fn, loss_scale, lr)
    return after, given, asked, not np.shares_memory(after, given)


after, _, asked, _ = stepped(train_step, np.zeros(2, np.float32), np.float32([0.5, -0.25]), 1.0, 64, 0.5)
assert 64 in asked, f"with loss_scale 64 gradient_fn was asked for the scale {asked}: underflow is avoided only with 64"
traps = [
    ("that step is 64 times too long, the gradient is still scaled", [16.0, -8.0]),
    ("that step goes uphill", [-0.25, 0.125]),
]
expect.array(after, [0.25, -0.125], "train_step(np.float32([0, 0]), to_the_target, 64, 0.5)", 1e-6, traps=traps)
assert np.asarray(after).dtype == np.float32, f"the weights should stay float32, they are {np.asarray(after).dtype}"
after, _, _, _ = stepped(train_step, np.zeros(2, np.float32), np.float32([-2e-8, 4e-8]), 1.0, 1000, 500)
expect.array(
    after,
    [-1e-5, 2e-5],
    "with gradients of 2e-8 and -4e-8, loss_scale 1000 and lr 500: the weights",
    1e-9,
    5e-3,
    traps=[("the gradient was lost; divide by the scale in float32", [0.0, 0.0])],
)
passed("8.5")
### BEGIN HIDDEN TESTS
from course import cases

generator = np.random.default_rng(85)
for scale in (1, 8.0, 1000, 2.0**15, 0.25, 3.0):
    for step_size in (0.5, 0.01, 1.0):
        before, aim = (generator.uniform(-0.2, 0.2, 6).astype(np.float32) for _ in range(2))
        after, given, asked, _ = stepped(train_step, before, aim, 1.0, scale, step_size)
        expect.unchanged(given, before, "weights")
        assert scale in asked, f"with loss_scale {scale}: gradient_fn was asked for the scale {asked}, not for {scale}"
        expect.array(
            after,
            before.astype(np.float64) - step_size * (before.astype(np.float64) - aim),
            f"one step with loss_scale {scale} and lr {step_size}: the weights",
            2e-4 * step_size,
        )
tiny = np.float32([3e-9, -2e-8, 0.0])
after, _, _, _ = stepped(train_step, np.zeros(3, np.float32), -tiny, 1.0, 2.0**24, 1.0)
expect.array(after, -tiny, "with gradients of 3e-9 and -2e-8, loss_scale 2**24 and lr 1: the weights", 1e-11, 2e-3)
after, _, _, _ = stepped(train_step, np.zeros(3, np.float32), np.float32([-40, 300, 0.5]), 1.0, 16, 0.5)
expect.array(after, [-20, 150, 0.25], "with gradients of 40, -300 and -0.5, loss_scale 16 and lr 0.5: the weights", 0.2)
start = np.float32([1.0, 1.0])
after, _, _, _ = stepped(train_step, start, np.float32([0.0, 2.0]), 1e-4, 1024, 1.0)
expect.array(after, [0.9999, 1.0001], "weights of 1 with gradients of 0.0001 and -0.0001, lr 1: the weights", 1e-6)
assert np.asarray(after).dtype == np.float32, f"the weights should stay float32, they are {np.asarray(after).dtype}"
after, _, _, own = stepped(train_step, start, np.float32([0.0, 2.0]), 1.0, 16, 0.0)
expect.array(after, start, "one step with lr 0: the weights", 1e-9)
assert own, "one step with lr 0 returned the old weights themselves: return an array of its own"
for name, value in cases.not_above(0):
    expect.refuses(stepped, train_step, start, start, 1.0, value, 0.1, naming="loss_scale", of=f"a scale of {name}")
for name, value in cases.not_at_least(0):
    expect.refuses(stepped, train_step, start, start, 1.0, 8, value, naming="lr", of=f"lr = {name}")
### END HIDDEN TESTS

# %% [markdown]
# The broken step is `loss_scale` times too long. Here is your step, with growing scales, on a loss so flat that its
# gradient is $10^{-8}$. Without a scale the gradient is lost and nothing moves. With a scale that is too large the
# gradient overflows, and the weight is destroyed. At $2^4$ few of its bits are left.


# %%
def flat(weights, loss_scale):
    with np.errstate(over="ignore"):
        return (np.float32(loss_scale) * np.float32(1e-8) * np.ones_like(weights)).astype(np.float16)


for log2_scale in (0, 1, 4, 12, 24, 42, 43):
    moved = train_step(np.float32([0.0]), flat, 2.0**log2_scale, lr=1e6)[0]
    print(f"loss scale 2^{log2_scale:<2}: the weight moves by {moved:.6f}, it should move by -0.010000")

# %% [markdown]
# ## 4. Bit by bit
#
# To choose a scale you have to know what a format can hold. A code of $1 + e + m$ bits is read like this: the first bit
# is the sign $s$, the next $e$ bits are the exponent $E$, the last $m$ bits are the mantissa $M$, both read as whole
# numbers. The *bias* is $2^{e-1} - 1$.
#
# $$x = (-1)^s \cdot \left(1 + \frac{M}{2^m}\right) \cdot 2^{E - \text{bias}} \quad\text{for } 0 < E < 2^e - 1, \qquad
# x = (-1)^s \cdot \frac{M}{2^m} \cdot 2^{1 - \text{bias}} \quad\text{for } E = 0 .$$
#
# The second kind are the *subnormal* numbers, zero among them. They have no leading 1, so they run down to zero in
# equal steps. When $E$ is all ones the code is infinity ($M = 0$) or NaN (any other $M$). This is IEEE 754.
#
# FP8 E4M3 makes an exception, because 8 bits are too few to spend many codes on infinity and NaN. It has no infinities,
# and its only NaN is the code with $E$ and $M$ all ones. The other codes with $E$ all ones are ordinary numbers. PyTorch calls it
# `float8_e4m3fn`; *fn* stands for finite.

# %% [markdown]
# ### Lab L8.6 · Build · 3 points
#
# `decode_float(code, exp_bits, man_bits)` returns the value of a code, a number. `code` is a whole number with
# $1 + e + m$ bits; $e$ is at most 8 and $m$ at most 23, as in FP32. For `exp_bits=4, man_bits=3` the rule of E4M3 holds.
# For all other sizes that of IEEE 754 holds, also for others with 4 bits of exponent and for others of 8 bits in all.
#
# Raise `ValueError`, with the argument's name in the message, when `exp_bits` is less than 2, `man_bits` less than 1,
# or `code` negative or too large for the format.
#
# Example: `decode_float(0b0_01111_1000000000, 5, 10)` is 1.5, `decode_float(0x0001, 5, 10)` is about 5.96e-08,
# `decode_float(0xFC00, 5, 10)` is minus infinity, and `decode_float(0b1_1111_110, 4, 3)` is -448.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L8_6", "grade": false, "locked": false, "solution": true, "task": false}
def decode_float(code, exp_bits, man_bits):
    """Return the value (a float) of a code with 1 sign bit, exp_bits of exponent and man_bits of mantissa."""
    ### BEGIN SOLUTION
    if exp_bits < 2:
        raise ValueError(f"exp_bits must be at least 2, got {exp_bits}")
    if man_bits < 1:
        raise ValueError(f"man_bits must be at least 1, got {man_bits}")
    if not 0 <= code < 2 ** (1 + exp_bits + man_bits):
        raise ValueError(f"code must be from 0 to 2**{1 + exp_bits + man_bits} - 1, got {code}")
    sign = -1.0 if code >> (exp_bits + man_bits) else 1.0
    exponent, mantissa = (code >> man_bits) % 2**exp_bits, code % 2**man_bits
    bias = 2 ** (exp_bits - 1) - 1
    if exponent == 2**exp_bits - 1:
        if (exp_bits, man_bits) != (4, 3):
            return float("nan") if mantissa else sign * float("inf")
        if mantissa == 2**man_bits - 1:
            return float("nan")
    if exponent == 0:
        return sign * mantissa * 2.0 ** (1 - bias - man_bits)
    return sign * (1 + mantissa / 2**man_bits) * 2.0 ** (exponent - bias)
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L8_6", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import math

import torch

from course import expect
from course.check import passed
from course.probe import probe


@probe
def decoded(decode_float, codes, exp_bits, man_bits):
    """The values of many codes at once."""
    return [float(decode_float(code, exp_bits, man_bits)) for code in codes]


expect.array(decode_float(0b0_01111_1000000000, 5, 10), 1.5, "decode_float(0b0_01111_1000000000, 5, 10)")
expect.array(
    decode_float(0x0001, 5, 10),
    2.0**-24,
    "decode_float(0x0001, 5, 10)",
    0,
    traps=[
        ("with an exponent of 0 there is no leading 1", (1 + 2.0**-10) * 2.0**-15),
        ("with an exponent of 0 there is no leading 1", (1 + 2.0**-10) * 2.0**-14),
        ("the power of subnormal numbers is 1 - bias", 2.0**-25),
    ],
)
expect.array(decode_float(0xFC00, 5, 10), -math.inf, "decode_float(0xFC00, 5, 10)")
expect.array(
    decode_float(0b1_1111_110, 4, 3),
    -448.0,
    "decode_float(0b1_1111_110, 4, 3)",
    traps=[("in E4M3 only the code with all ones is NaN", math.nan)],
)
passed("L8.6")
### BEGIN HIDDEN TESTS


def every(codes, exp_bits, man_bits, exact, name):
    values = decoded(decode_float, codes, exp_bits, man_bits)
    for code, value, wanted in zip(codes, values, exact):
        if value != wanted and not (value != value and wanted != wanted):
            of = f"decode_float(0b{code:0{1 + exp_bits + man_bits}b}, {exp_bits}, {man_bits}), {name}"
            expect.array(value, wanted, of, 0, 1e-12)


draws = torch.Generator().manual_seed(86)
edges = [0, 1, 2, 3, 0x007F, 0x0080, 0x03FF, 0x0400, 0x3C00, 0x3F80, 0x7BFF]
edges += [0x7C00, 0x7C01, 0x7E00, 0x7F7F, 0x7F80, 0x7FC0]
edges += [code | 0x8000 for code in edges] + torch.randint(0, 2**16, (800,), generator=draws).tolist()
for exp_bits, man_bits, dtype in [(5, 10, torch.float16), (8, 7, torch.bfloat16)]:
    bits = torch.tensor(edges, dtype=torch.int32).to(torch.int16)
    every(edges, exp_bits, man_bits, bits.view(dtype).double().tolist(), str(dtype))
small = list(range(256))
for exp_bits, man_bits, dtype in [(5, 2, torch.float8_e5m2), (4, 3, torch.float8_e4m3fn)]:
    every(small, exp_bits, man_bits, torch.tensor(small, dtype=torch.uint8).view(dtype).double().tolist(), str(dtype))
long = [0, 1, 0x7FFFFF, 0x800000, 0x3F800000, 0x7F7FFFFF, 0x7F800000, 0x7F800001, 0xFF800000, 0xC0490FDB]
wide = torch.tensor([code - 2**32 if code >= 2**31 else code for code in long], dtype=torch.int32)
every(long, 8, 23, wide.view(torch.float32).double().tolist(), "torch.float32")
# Formats that PyTorch does not have, by IEEE's rule: all their positive numbers in order.
for exp_bits, man_bits in [(3, 2), (2, 1), (4, 2), (4, 4), (3, 4), (6, 1), (3, 3)]:
    bias, steps = 2 ** (exp_bits - 1) - 1, 2**man_bits
    listed = [m / steps * 2.0 ** (1 - bias) for m in range(steps)]
    listed += [(1 + m / steps) * 2.0 ** (e - bias) for e in range(1, 2**exp_bits - 1) for m in range(steps)]
    listed += [math.inf] + [math.nan] * (steps - 1)
    name = f"{1 + exp_bits + man_bits} bits by IEEE 754"
    every(list(range(2 * len(listed))), exp_bits, man_bits, listed + [-value for value in listed], name)
for arguments in [(-1, 5, 10), (2**16, 5, 10), (256, 4, 3), (64, 3, 2), (2**32, 8, 23), (-(2**15), 5, 10)]:
    expect.refuses(decode_float, *arguments, naming="code", of=f"decode_float{arguments}")
for value in (1, 0, -1):
    expect.refuses(decode_float, 0, value, 10, naming="exp_bits", of=f"exp_bits = {value}")
for value in (0, -1):
    expect.refuses(decode_float, 0, 5, value, naming="man_bits", of=f"man_bits = {value}")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: flip the bits
#
# Every button is a bit; press one. Your function reads the value. The curve below shows what a format can tell apart: the
# gap from each power of two to the next number. How low it lies is precision, how far it reaches is range. Between two
# powers of two the gap stays the same and the number grows, so your dot may lie below the curve.
#
# - Start at 1.5 in FP16. Flip the lowest bit, then the highest bit of the exponent. What does each do to the value?
# - Clear the exponent, and set one bit of the mantissa after the other: those are the subnormal numbers.
# - Change the format and leave the bits. Which formats can hold 100 000? Which can tell 1.5 from 1.51?

# %%
draw.bits(decode_float)

# %% [markdown]
# ### Lab L8.7 · Build · 2 points
#
# Four numbers say what a format can hold: the largest finite number, the smallest normal number, the smallest subnormal
# number, and *eps*, the gap from 1 to the next number. Write `format_limits(exp_bits, man_bits)`, which returns
# `(max, min_normal, min_subnormal, eps)`, for at most 8 bits of exponent and 23 of mantissa. For `exp_bits=4, man_bits=3`
# the rule of E4M3 holds, for all other sizes that of IEEE 754, as in Lab L8.6.
#
# Raise `ValueError`, with the argument's name in the message, when `exp_bits` is less than 2 or `man_bits` less than 1.
#
# Example: for 3 bits of exponent and 2 of mantissa, `format_limits(3, 2)` is `(14.0, 0.25, 0.0625, 0.25)`, and the
# largest number of `format_limits(4, 3)` is 448.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L8_7", "grade": false, "locked": false, "solution": true, "task": false}
def format_limits(exp_bits, man_bits):
    """Return (largest finite number, smallest normal number, smallest subnormal number, gap from 1 to the next)."""
    ### BEGIN SOLUTION
    if exp_bits < 2:
        raise ValueError(f"exp_bits must be at least 2, got {exp_bits}")
    if man_bits < 1:
        raise ValueError(f"man_bits must be at least 1, got {man_bits}")
    bias = 2 ** (exp_bits - 1) - 1
    eps = 2.0**-man_bits
    min_normal = 2.0 ** (1 - bias)
    # E4M3 gives up its highest code, not its highest exponent.
    largest = (2 - 2 * eps) * 2.0 ** (bias + 1) if (exp_bits, man_bits) == (4, 3) else (2 - eps) * 2.0**bias
    return largest, min_normal, min_normal * eps, eps
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L8_7", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import torch

from course import expect
from course.check import passed

expect.array(
    format_limits(3, 2),
    [14.0, 0.25, 0.0625, 0.25],
    "format_limits(3, 2)",
    0,
    traps=[
        ("an exponent of all ones is infinity or NaN", [28.0, 0.25, 0.0625, 0.25]),
        ("the smallest normal number has exponent 1, not 0", [14.0, 0.125, 0.03125, 0.25]),
        ("subnormal numbers go on below the smallest normal one", [14.0, 0.25, 0.25, 0.25]),
        ("eps is the whole gap from 1 to the next number", [14.0, 0.25, 0.0625, 0.125]),
    ],
)
largest = format_limits(4, 3)[0]
traps = [("in E4M3 the highest exponent holds numbers too", 240.0), ("E4M3's last code is NaN", 480.0)]
expect.array(largest, 448.0, "the largest number of format_limits(4, 3)", traps=traps)
passed("L8.7")
### BEGIN HIDDEN TESTS
for exp_bits, man_bits, dtype, whole in [
    (5, 10, torch.float16, torch.int16),
    (8, 7, torch.bfloat16, torch.int16),
    (8, 23, torch.float32, torch.int32),
    (5, 2, torch.float8_e5m2, torch.uint8),
    (4, 3, torch.float8_e4m3fn, torch.uint8),
]:
    info = torch.finfo(dtype)
    smallest = torch.tensor([1], dtype=whole).view(dtype).double().item()
    of = f"format_limits({exp_bits}, {man_bits}), which is {dtype},"
    returned = format_limits(exp_bits, man_bits)
    assert returned is not None and len(returned) == 4, f"{of} should return four numbers"
    for value, wanted, name in zip(
        returned, (info.max, info.tiny, smallest, info.eps), ("max", "min_normal", "min_subnormal", "eps")
    ):
        expect.array(value, wanted, f"{name} of {of}", 0, 1e-9)
for exp_bits, man_bits in [(2, 1), (2, 3), (3, 3), (4, 2), (4, 4), (3, 4), (6, 1), (2, 5), (6, 9), (8, 1)]:
    bias, steps = 2 ** (exp_bits - 1) - 1, 2**man_bits
    numbers = {m / steps * 2.0 ** (1 - bias) for m in range(1, steps)}
    normal = {(1 + m / steps) * 2.0 ** (e - bias) for e in range(1, 2**exp_bits - 1) for m in range(steps)}
    beyond_one = min(number for number in numbers | normal | {2.0 ** (2**exp_bits - 1 - bias)} if number > 1)
    expect.array(
        format_limits(exp_bits, man_bits),
        [max(normal), min(normal), min(numbers), beyond_one - 1],
        f"format_limits({exp_bits}, {man_bits})",
        0,
    )
for value in (1, 0, -1, -7):
    expect.refuses(format_limits, value, 10, naming="exp_bits", of=f"exp_bits = {value}")
for value in (0, -1):
    expect.refuses(format_limits, 5, value, naming="man_bits", of=f"man_bits = {value}")
### END HIDDEN TESTS

# %%
print(f"{'':9}  {'max':>10}  {'min normal':>10}  {'min subnormal':>13}  {'eps':>10}")
for name, (exp_bits, man_bits) in {"FP32": (8, 23), **draw.FORMATS}.items():
    largest, normal, subnormal, eps = format_limits(exp_bits, man_bits)
    print(f"{name:9}  {largest:>10.5g}  {normal:>10.3g}  {subnormal:>13.3g}  {eps:>10.3g}")

# %% [markdown]
# ### See it: underflow on real gradients
#
# The next cell runs TinyGPT forward and back on two windows of text and collects two kinds of gradients: those of its
# weights, and those that travel through the network, at the output of each linear layer. The figure holds them against
# the limits that your function gave. What lies in the left region rounds to zero. A dashed line marks the scale from
# which the largest gradient is too large: few gradients overflow, so no share would show it, but one is enough.
#
# - At scale 1, which share of the travelling gradients does FP16 lose? And of the weights' own?
# - Raise the scale. Where does underflow end, and where does overflow begin? How much room is between them?
# - Now BF16. Does it need a loss scale?

# %%
few = windows[:2]
travelling = []
hooks = [
    layer.register_full_backward_hook(lambda _, __, outgoing: travelling.append(outgoing[0].flatten()))
    for layer in gpt.modules()
    if isinstance(layer, nn.Linear)
]
gpt.zero_grad()
loss = functional.cross_entropy(gpt(few[:, :-1]).flatten(0, 1), few[:, 1:].flatten())
loss.backward()
for hook in hooks:
    hook.remove()
own = torch.cat([parameter.grad.flatten() for parameter in gpt.parameters()])
gradients = {"travelling through the network": torch.cat(travelling), "of the weights": own}
for name, values in gradients.items():
    values = values[values != 0]
    lost = (values.half() == 0).float().mean().item()
    print(f"{name}: {len(values):,} gradients that are not zero; {lost:.1%} of them become zero in FP16")
sizes = torch.cat(travelling).abs()
sizes = sizes[sizes != 0]


def scale_that_saves(share):
    """log2 of the smallest loss scale at which at most `share` of the travelling gradients is zero in FP16."""
    smallest = format_limits(5, 10)[2]
    return next(k for k in range(-8, 33) if (sizes * 2.0**k <= smallest / 2).float().mean() <= share)


Predict(
    draw.loss_scale(format_limits, {name: values.numpy() for name, values in gradients.items()}),
    "FP16 is to lose at most 1 in 20 of the travelling gradients. Which power of two is the loss scale then, at least?",
    slider=(0, 30, 1),
    happened=lambda: (
        f"the power {scale_that_saves(0.05)}, a loss scale of {2 ** scale_that_saves(0.05):,}; "
        f"the largest of them fits up to the power {np.floor(np.log2(format_limits(5, 10)[0] / sizes.max().item())):g}"
    ),
)

# %% [markdown]
# How much does the loss of small gradients matter? The next cell computes TinyGPT's weight gradients for the same two
# windows in FP16, under autocast, at many loss scales, and compares them with those of FP32. Scales below 1 occur as well:
# a loss that is averaged over 256 micro-batches is divided by 256 before it runs back, which is a scale of $2^{-8}$.


# %%
def weight_gradient(loss_scale, dtype):
    """All weight gradients of TinyGPT on the two windows, in one vector, computed in the type and unscaled in FP32."""
    gpt.zero_grad()
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        logits = gpt(few[:, :-1])
    loss = functional.cross_entropy(logits.float().flatten(0, 1), few[:, 1:].flatten())
    (loss * loss_scale).backward()
    return torch.cat([parameter.grad.flatten() for parameter in gpt.parameters()]) / loss_scale


exact_gradient = weight_gradient(1, torch.float32)
log2_scales = [0, 16] if GRADING else list(range(-12, 28, 4))
gradient_errors = {"FP16": [], "BF16": []}
for log2_scale in tqdm(log2_scales, desc="loss scales", leave=False, disable=GRADING):
    for name, dtype in [("FP16", torch.float16), ("BF16", torch.bfloat16)]:
        difference = weight_gradient(2.0**log2_scale, dtype) - exact_gradient
        gradient_errors[name].append((difference.norm() / exact_gradient.norm()).item())
draw.gradient_error(log2_scales, gradient_errors)

# %% [markdown]
# FP16 has a valley: too small a scale loses gradients, too large a scale overflows, close to the dashed line that you saw
# for the weights' gradients. In the valley FP16 is the more precise of the two. BF16 does not care about the scale, and
# pays with precision everywhere. So where the hardware has BF16, training needs no loss scale.

# %% [markdown]
# ## 5. A loss scale that finds itself
#
# Gradients change in size while the network trains, and the valley moves with them. So the scale is adjusted on the way.
# Overflow is easy to see: a gradient is infinite or NaN. Then the step is skipped, as if the batch had not been there,
# and the scale is lowered. After many good steps in a row the scale is raised, until the next overflow says that it was
# too much.
#
# ### Lab L8.8 · Build · 4 points
#
# Write the class `LossScaler(init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000)` with
# three methods:
#
# - `get_scale()` returns the present scale, a number.
# - `scale(loss)` returns the loss (a tensor) times the scale.
# - `step(optimizer)` comes after the backward pass. The parameters of `optimizer` (a `torch.optim.Optimizer`; they
#   are in `optimizer.param_groups`) hold scaled gradients in FP32. When all numbers in them are finite, it divides them by
#   the scale, calls `optimizer.step()` and returns `True`. When any gradient holds an infinity or a NaN, it must not
#   call `optimizer.step()`: weights and the optimizer's state stay as they are, and it returns `False`.
#
# Count each step that is taken; when `growth_interval` steps in a row were taken, multiply the scale by `growth_factor`
# and count from 0 again. After a step that was skipped, multiply the scale by `backoff_factor` and count from 0 again. The
# scale has no other limits. A parameter whose `grad` is `None` took no part: pass it over. Every `LossScaler` has a scale
# and a count of its own, and `step` may be called with one optimizer and then with another.
#
# Raise `ValueError`, with the argument's name in the message, when `init_scale` is not above 0, `growth_factor` not
# above 1, `backoff_factor` not between 0 and 1 (both excluded), or `growth_interval` less than 1.
#
# Example: with `init_scale=8.0` and `growth_interval=2`, steps that are taken, taken, skipped, taken leave the scales
# 8, 16, 8, 8. The weights move by the same steps as without a scale, and not at all in the third.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L8_8", "grade": false, "locked": false, "solution": true, "task": false}
class LossScaler:
    """Scales a loss, unscales gradients, skips steps that are not finite, and adjusts its scale."""

    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        ### BEGIN SOLUTION
        if init_scale <= 0:
            raise ValueError(f"init_scale must be above 0, got {init_scale}")
        if growth_factor <= 1:
            raise ValueError(f"growth_factor must be above 1, got {growth_factor}")
        if not 0 < backoff_factor < 1:
            raise ValueError(f"backoff_factor must be between 0 and 1, got {backoff_factor}")
        if growth_interval < 1:
            raise ValueError(f"growth_interval must be at least 1, got {growth_interval}")
        self.current, self.good_steps = float(init_scale), 0
        self.growth_factor, self.backoff_factor = growth_factor, backoff_factor
        self.growth_interval = growth_interval
        ### END SOLUTION

    def get_scale(self):
        """Return the present scale as a float."""
        ### BEGIN SOLUTION
        return self.current
        ### END SOLUTION

    def scale(self, loss):
        """Return the loss, a tensor, times the scale."""
        ### BEGIN SOLUTION
        return loss * self.current
        ### END SOLUTION

    def step(self, optimizer):
        """Unscale and step where all gradients are finite, else skip; adjust the scale; return whether it stepped."""
        ### BEGIN SOLUTION
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        if not all(torch.isfinite(gradient).all() for gradient in gradients):
            self.current *= self.backoff_factor
            self.good_steps = 0
            return False
        for gradient in gradients:
            gradient.div_(self.current)
        optimizer.step()
        self.good_steps += 1
        if self.good_steps == self.growth_interval:
            self.current *= self.growth_factor
            self.good_steps = 0
        return True
        ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L8_8", "grade": true, "locked": true, "solution": false, "task": false, "points": 4}
import math

import torch

from course import expect
from course.check import passed
from course.probe import probe


@probe
def trained(loss_scaler, settings, planned, kind="sgd"):
    """After each step: the scale, what step returned, and the weights; the loss has the planned gradients.

    planned: for each step the gradients of two parameters; None for one that takes no part.
    """
    import torch

    first, second = (torch.nn.Parameter(torch.tensor(start)) for start in ([1.0, -2.0], [0.5]))
    groups = [{"params": [first]}, {"params": [second]}]
    optimizer = torch.optim.SGD(groups, lr=0.1, momentum=0.9) if kind == "sgd" else torch.optim.Adam(groups, lr=0.1)
    scaler = loss_scaler(**settings)
    seen = []
    for gradients in planned:
        optimizer.zero_grad(set_to_none=True)
        loss = sum((p * torch.tensor(g)).sum() for p, g in zip((first, second), gradients) if g is not None)
        before = loss.detach().clone()
        scaled = scaler.scale(loss)
        if not isinstance(scaled, torch.Tensor):
            raise TypeError(f"scale(loss) should return a tensor, it returned {type(scaled).__name__}")
        scaled.backward()
        returned = scaler.step(optimizer)
        same = bool(torch.equal(loss.detach().nan_to_num(), before.nan_to_num()))
        seen.append([float(scaler.get_scale()), returned, [*first.tolist(), *second.tolist()], same])
    return seen


@probe
def make(loss_scaler, settings):
    """The name of the type of loss_scaler(**settings), where it can be made."""
    return type(loss_scaler(**settings)).__name__


@probe
def in_turn(loss_scaler, shared):
    """(scales, weights) after each step of two optimizers in turn: with one scaler for both, or one for each."""
    import torch

    parameters = [torch.nn.Parameter(torch.tensor([start])) for start in (1.0, 2.0)]
    optimizers = [torch.optim.SGD([parameter], lr=0.5) for parameter in parameters]
    scalers = [loss_scaler(init_scale=start, growth_interval=3) for start in (64.0, 4.0)]
    if shared:
        scalers[1] = scalers[0]
    seen = []
    for step in range(8):
        which = step % 2
        optimizers[which].zero_grad()
        factor = float("nan") if step == 6 else 0.25
        scalers[which].scale((factor * parameters[which]).sum()).backward()
        scalers[which].step(optimizers[which])
        seen.append([*(float(scaler.get_scale()) for scaler in scalers), *(p.item() for p in parameters)])
    return seen


inf, nan = math.inf, math.nan
good, bad = [[0.5, -0.25], [1.0]], [[inf, 0.0], [1.0]]
seen = trained(LossScaler, {"init_scale": 8.0, "growth_interval": 2}, [good, good, bad, good])
expect.array([step[0] for step in seen], [8, 16, 8, 8], "the scales after steps taken, taken, skipped, taken", 1e-6)
assert [step[1] for step in seen] == [True, True, False, True], (
    f"step should return True, True, False, True when the third gradient is infinite, it returned {[step[1] for step in seen]}"
)
moved = [[0.95, -1.975, 0.4], [0.855, -1.9275, 0.21], [0.855, -1.9275, 0.21], [0.7195, -1.85975, -0.061]]
still_scaled = [[0.6, -1.8, -0.3], [-0.96, -1.02, -3.42]]
for number, (step, wanted) in enumerate(zip(seen, moved)):
    known = [("those gradients are still scaled", still_scaled[number])] if number < 2 else []
    known += [("a skipped step must not call optimizer.step()", step[2])] if number == 2 else []
    of = f"weights [1, -2, 0.5] after step {number} of SGD with lr 0.1, momentum 0.9 and gradients [0.5, -0.25, 1]"
    expect.array(step[2], wanted, of, 1e-5, traps=known)
passed("L8.8")
### BEGIN HIDDEN TESTS
from course import cases


def oracle(settings, planned, kind):
    """The same with gradients that were never scaled, and the rule for the scale written out."""
    scale, good_steps = settings.get("init_scale", 2.0**16), 0
    grow, shrink = settings.get("growth_factor", 2.0), settings.get("backoff_factor", 0.5)
    every = settings.get("growth_interval", 2000)
    parameters = [torch.nn.Parameter(torch.tensor(start)) for start in ([1.0, -2.0], [0.5])]
    optimizer = (
        torch.optim.SGD(parameters, lr=0.1, momentum=0.9) if kind == "sgd" else torch.optim.Adam(parameters, lr=0.1)
    )
    seen = []
    for gradients in planned:
        # As float32, in which the learner's are scaled.
        finite = all(abs(g * scale) < 3.4e38 for each in gradients if each is not None for g in each)
        if finite:
            for parameter, gradient in zip(parameters, gradients):
                parameter.grad = None if gradient is None else torch.tensor(gradient)
            optimizer.step()
            good_steps += 1
            if good_steps == every:
                scale, good_steps = scale * grow, 0
        else:
            scale, good_steps = scale * shrink, 0
        seen.append([scale, finite, [*parameters[0].tolist(), *parameters[1].tolist()]])
    return seen


generator = torch.Generator().manual_seed(88)
some = [[each[:2], each[2:]] for each in torch.randn(18, 3, generator=generator).tolist()]
poisoned = [list(map(list, each)) for each in some]
for index, value in [(3, inf), (4, -inf), (9, nan), (14, inf), (15, nan), (16, inf)]:
    poisoned[index][0][index % 2] = value
in_the_second = [list(map(list, each)) for each in some]
in_the_second[5][1][0], in_the_second[12][1][0] = nan, -inf
partly = [[each[0], None] if index % 3 == 0 else each for index, each in enumerate(some)]
situations = {
    "gradients that are all finite": ({"init_scale": 4.0, "growth_interval": 7}, some),
    "some gradients infinite or NaN": ({"init_scale": 1024.0, "growth_interval": 3}, poisoned),
    "infinite or NaN in the second parameter only": ({"init_scale": 64.0, "growth_interval": 4}, in_the_second),
    "a parameter without a gradient": ({"init_scale": 16.0, "growth_interval": 5}, partly),
    "factors 3 and 0.25": (
        {"init_scale": 10.0, "growth_factor": 3.0, "backoff_factor": 0.25, "growth_interval": 4},
        poisoned,
    ),
    "growth_interval 1": ({"init_scale": 1.0, "growth_interval": 1}, poisoned),
    "a scale of 2**126, at which gradients overflow": ({"init_scale": 2.0**126}, [[[30.0, 2.5], [-9.0]]] * 8),
    "gradients that are finite though their sum is not": ({"init_scale": 2.0**126}, [[[2.5, 3.0], [2.5]]] * 3),
    "a scale that grows beyond 2**24": ({"init_scale": 2.0**22, "growth_interval": 1}, some[:8]),
    "a scale below 1": ({"init_scale": 0.125, "backoff_factor": 0.5, "growth_interval": 50}, poisoned),
    "the defaults": ({}, poisoned[:8]),
}
for name, (settings, planned) in situations.items():
    for kind in ("sgd", "adam"):
        seen, exact = trained(LossScaler, settings, planned, kind), oracle(settings, planned, kind)
        for number, (mine, wanted) in enumerate(zip(seen, exact)):
            of = f"{name}, {kind}, after step {number}"
            assert mine[3], f"{of}: scale(loss) changed the loss itself; return a new tensor"
            assert bool(mine[1]) == wanted[1] and mine[1] is not None, (
                f"{of}: step should return {wanted[1]}, it returned {mine[1]}"
            )
            expect.array(mine[0], wanted[0], f"{of}: the scale", 0, 1e-6)
            last = seen[number - 1][2] if number else [1.0, -2.0, 0.5]
            assert wanted[1] or mine[2] == last, (
                f"{of}, which was to be skipped: the weights moved from {last} to {mine[2]}"
            )
            expect.array(mine[2], wanted[2], f"{of}: the weights (unscaled gradients, all state kept)", 1e-5, 1e-5)
for shared in (False, True):
    scales, counts, weights, wanted = [64.0, 4.0], [0, 0], [1.0, 2.0], []
    for step in range(8):
        which = 0 if shared else step % 2
        if step == 6:
            scales[which], counts[which] = scales[which] / 2, 0
        else:
            weights[step % 2] -= 0.125
            counts[which] += 1
            if counts[which] == 3:
                scales[which], counts[which] = scales[which] * 2, 0
        wanted.append([scales[0], scales[0 if shared else 1], *weights])
    of = f"two optimizers in turn, {'one scaler for both' if shared else 'each with a scaler of its own'}"
    expect.array(in_turn(LossScaler, shared), wanted, f"{of}: scales and weights", 1e-5, 1e-5)
if hasattr(torch.amp, "GradScaler"):
    theirs = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    parameter = torch.nn.Parameter(torch.zeros(2))
    sgd = torch.optim.SGD([parameter], lr=0.1)
    scales = []
    for gradients in poisoned:
        sgd.zero_grad()
        theirs.scale((parameter * torch.tensor(gradients[0])).sum()).backward()
        theirs.step(sgd)
        theirs.update()
        scales.append(theirs.get_scale())
    seen = trained(LossScaler, {"init_scale": 1024.0, "growth_interval": 3}, poisoned)
    expect.array(
        [step[0] for step in seen], scales, "with the gradients that PyTorch's GradScaler got, the scale", 1e-6
    )

wrong = {
    "init_scale": cases.not_above(0),
    "growth_factor": cases.not_above(1),
    "backoff_factor": [*cases.not_between(0, 1), ("0", 0.0), ("1", 1.0), ("-0.5", -0.5)],
    "growth_interval": [("0", 0), ("-1", -1)],
}
for named, values in wrong.items():
    for name, value in values:
        expect.refuses(make, LossScaler, {named: value}, naming=named, of=f"LossScaler with {named} = {name}")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: training with your scaler
#
# The digits network again, in five ways, each from three starts, with the same batches for all. The weights are FP32
# master weights, and autocast computes in FP16. Three ways have a fixed scale or none, and take every step. Then comes
# your `LossScaler`. It starts with a scale that is far too large, and grows after every 25 good steps, so that overflows
# happen on the way too. The last way has PyTorch's own scaler, `torch.amp.GradScaler`, with the same settings. The figure
# shows the first start.


# %%
class TorchScaler:
    """PyTorch's scaler with the three methods of yours."""

    def __init__(self, **settings):
        self.scaler = torch.amp.GradScaler(hardware.DEVICE, **settings)
        self.get_scale, self.scale = self.scaler.get_scale, self.scaler.scale

    def step(self, optimizer):
        before = self.get_scale()
        self.scaler.step(optimizer)  # divides by the scale; takes the step where all gradients are finite
        self.scaler.update()  # adjusts the scale
        return self.get_scale() >= before


def train(half, make_scaler=None, fixed_scale=1.0, seed=0, steps=3 if GRADING else 220):
    """Train the digits network: (the model, the loss of each step, the scale of each step, the skipped steps)."""
    torch.manual_seed(seed)
    model = models.mlp().to(hardware.DEVICE)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    scaler = make_scaler() if make_scaler else None
    x, y = digits().x_train.to(hardware.DEVICE), digits().y_train.to(hardware.DEVICE)
    losses, scales, skipped = [], [], []
    for step in range(steps):
        draws = torch.Generator().manual_seed(1000 * seed + step)
        batch = torch.randint(len(x), (64,), generator=draws).to(hardware.DEVICE)
        with torch.autocast(hardware.DEVICE, torch.float16, enabled=half):
            logits = model(x[batch])
        loss = functional.cross_entropy(logits.float(), y[batch])
        losses.append(loss.item())
        optimizer.zero_grad()
        if scaler is None:
            (loss * fixed_scale).backward()
            for parameter in model.parameters():
                parameter.grad /= fixed_scale
            optimizer.step()
        else:
            scales.append(float(scaler.get_scale()))
            scaler.scale(loss).backward()
            if not scaler.step(optimizer):
                skipped.append(step)
    return model.cpu(), losses, scales, skipped


ways = {
    "FP32": {"half": False},
    "FP16, no scale": {"half": True},
    "FP16, scale 2^32, unchecked": {"half": True, "fixed_scale": 2.0**32},
    "FP16, your LossScaler": {
        "half": True,
        "make_scaler": lambda: LossScaler(init_scale=2.0**32, growth_interval=25),
    },
}
if hasattr(torch.amp, "GradScaler"):
    ways["FP16, torch GradScaler"] = {
        "half": True,
        "make_scaler": lambda: TorchScaler(init_scale=2.0**32, growth_interval=25),
    }
else:
    print(f"torch {torch.__version__} has no torch.amp.GradScaler for this device: it came with 2.3")
seeds = [0] if GRADING else [0, 1, 2]
trained = {}
with tqdm(total=len(ways) * len(seeds), desc="training", leave=False, disable=GRADING) as progress:
    for name, settings in ways.items():
        trained[name] = []
        for seed in seeds:
            trained[name].append(train(**settings, seed=seed))
            progress.update()
accuracies = {name: [models.accuracy(run[0]) for run in runs] for name, runs in trained.items()}
for name, right in accuracies.items():
    each = ", ".join(f"{share:.1%}" for share in right)
    print(f"{name:28}  last loss {trained[name][0][1][-1]:7.4f}, held-out digits right: {each}")
_, _, scales, skipped = trained["FP16, your LossScaler"][0]
print(f"your scaler skipped {len(skipped)} of {len(scales)} steps: {skipped}")
theirs = trained.get("FP16, torch GradScaler")
draw.training({name: runs[0][1] for name, runs in trained.items()}, scales, skipped, theirs[0][2] if theirs else None)

# %% [markdown]
# The unchecked run is lost after one bad step: infinite gradients go into Adam's averages and into the weights, and
# never leave. Your scaler throws the same step away, halves the scale, and tries again with the next batch, until it
# fits.
#
# On this small network FP16 without a scale does as well, up to what the three starts differ by: what underflows is too
# small beside the rest to matter. You saw above what happens to TinyGPT's gradients at small scales.
#
# How close are the two scalers? The next cell compares them step by step. Then it starts both from a scale of 1000, which
# is no power of two.


# %%
def apart(yours, theirs):
    """Whether two runs had the same scales and skipped the same steps, and how far apart their weights are at most."""
    first, second = (nn.utils.parameters_to_vector(run[0].parameters()) for run in (yours, theirs))
    return yours[2:] == theirs[2:], (first - second).abs().max().item()


if theirs:
    both = zip(trained["FP16, your LossScaler"], theirs)
    pairs = {f"2^32, start {seed}": apart(*runs) for seed, runs in zip(seeds, both)}
    makers = (lambda: LossScaler(init_scale=1000.0), lambda: TorchScaler(init_scale=1000.0))
    pairs["1000, 50 steps"] = apart(*(train(True, make, steps=3 if GRADING else 50) for make in makers))
    for name, (same, distance) in pairs.items():
        agree = "the same scales and skipped steps" if same else "other scales or skipped steps"
        print(f"from {name:13}  {agree}, weights apart by at most {distance:.1e}")

# %% [markdown]
# Both follow the same rule, so they skip the same steps and have the same scale in each. Dividing by a power of two rounds
# nothing, so there the weights agree to the last bit. PyTorch does not divide: it multiplies by 1 over the scale, and 1/1000
# is rounded. If you divide, last bits differ, and training enlarges the difference. Two more differences are made for larger programs:
#
# - PyTorch's `step` decides, and `update` adjusts the scale once for all optimizers of a training step. Yours adjusts it
#   for each of them.
# - `unscale_` gives the true gradients before the step, so that they can be clipped: a limit on scaled ones would change
#   with the scale.
#
# Does a skipped step really leave no trace? The next cell looks.

# %%
probe_model = nn.Linear(4, 2)
adam = torch.optim.Adam(probe_model.parameters(), lr=0.1)
scaler = LossScaler(init_scale=4.0)
for factor in (1.0, 1.0, float("inf")):
    adam.zero_grad()
    before = deepcopy(probe_model.state_dict()), deepcopy(adam.state_dict()["state"])
    scaler.scale(factor * probe_model(torch.ones(1, 4)).sum()).backward()
    taken = scaler.step(adam)
    same = all(torch.equal(before[0][name], now) for name, now in probe_model.state_dict().items())
    state = adam.state_dict()["state"]
    untouched = same and all(torch.equal(before[1][i][key], state[i][key]) for i in before[1] for key in before[1][i])
    print(f"step {'taken' if taken else 'skipped'}: weights {'as before' if same else 'moved'}, "
          f"all of Adam's state {'as before' if untouched and before[1] else 'new'}, scale {scaler.get_scale():g}")  # fmt: skip

# %% [markdown]
# ## 6. Eight bits, and whole numbers
#
# INT8 has no exponent. Its 256 codes are evenly spaced, as in Chapter 1, and a scale says how far apart. Products of
# codes are whole numbers, and so are their sums, so a chip can add them up without rounding. It needs room for that: the
# product of two INT8 codes takes 16 bits, and a sum of thousands of them takes 32.
#
# The scales can be taken out of the sum as long as they do not depend on the index that is summed over. So each row of
# the left matrix may have its own scale, and each column of the right one:
#
# $$y_{ij} = \sum_k a_{ik}\, b_{kj} \approx s_i\, t_j \sum_k q_{ik}\, r_{kj}, \qquad
# s_i = \frac{\max_k |a_{ik}|}{127}, \quad t_j = \frac{\max_k |b_{kj}|}{127} .$$

# %% [markdown]
# ### Lab L8.9 · Build · 4 points
#
# Write `int8_matmul(a, b)` for float32 tensors `a` $(m, k)$ and `b` $(k, n)$. Quantize each row of `a` and each column
# of `b` symmetrically: scale absmax / 127, codes from -127 to 127, rounded to the nearest. Multiply the codes with
# int32 sums, then bring the scales back. Return a float32 tensor $(m, n)$. Rows and columns may be small: where the
# largest magnitude is 1e-5, the scale is that over 127, and no larger.
#
# `torch._int_mm(q, r)` multiplies two int8 matrices and returns int32 sums, on CPUs and GPUs. On a GPU it wants more
# than 16 rows and sizes that are multiples of 8, and raises an error otherwise; let it. A row or column of zeros gives
# zeros. Its codes must not come from a NaN, such as that of 0/0: what integer a NaN becomes differs from machine to
# machine. `a` and `b` stay as they are. Raise `ValueError`, naming `a` or `b` in the message, when one of them does not
# have two dimensions (a batch has three), or when `b` does not have as many rows as `a` has columns.
#
# Example: `int8_matmul([[127.0, 1.4]], [[2.0], [254.0]])` is `[[508.0]]`: the codes are 127 and 1, and 1 and 127, and
# the scales 1 and 2. The exact product is 609.6.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L8_9", "grade": false, "locked": false, "solution": true, "task": false}
def int8_matmul(a, b):
    """Return a @ b in float32, through int8 codes with a scale for each row of a and each column of b."""
    ### BEGIN SOLUTION
    if a.dim() != 2:
        raise ValueError(f"a must have two dimensions, got shape {tuple(a.shape)}")
    if b.dim() != 2 or b.shape[0] != a.shape[1]:
        raise ValueError(f"b must have shape ({a.shape[1]}, n), got {tuple(b.shape)}")
    # A scale of 1 for zeros alone: any number does, if it can be divided by.
    row_scales, column_scales = (
        torch.where(largest > 0, largest / 127, 1.0)
        for largest in (a.abs().amax(1, keepdim=True), b.abs().amax(0, keepdim=True))
    )
    q, r = torch.round(a / row_scales).to(torch.int8), torch.round(b / column_scales).to(torch.int8)
    return torch._int_mm(q, r).float() * row_scales * column_scales
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L8_9", "grade": true, "locked": true, "solution": false, "task": false, "points": 4}
import numpy as np
import torch

from course import expect
from course.check import passed
from course.probe import probe


@probe
def codes_from_nan(int8_matmul, a, b):
    """How often int8_matmul(a, b) turns a number that is not finite into an integer."""
    import torch
    from torch.overrides import TorchFunctionMode

    found = []

    class Watch(TorchFunctionMode):
        def __torch_function__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            casts = ("to", "char", "short", "int", "long", "type", "type_as", "copy_", "_to_copy")
            if getattr(function, "__name__", "") in casts and isinstance(result, torch.Tensor):
                given = [value for value in args if isinstance(value, torch.Tensor) and value.is_floating_point()]
                if not result.is_floating_point() and not all(bool(value.isfinite().all()) for value in given):
                    found.append(1)
            return result

    with Watch():
        int8_matmul(a, b)
    return len(found)


product = int8_matmul(torch.tensor([[127.0, 1.4]]), torch.tensor([[2.0], [254.0]]))
expect.array(product, [[508.0]], "int8_matmul([[127.0, 1.4]], [[2.0], [254.0]])", 1e-3)
rows = torch.tensor([[127.0, 127, 127], [1.27, -0.664, 0.238]])
columns = torch.tensor([[254.0, 0.127], [254.0, 0.0508], [254.0, -0.1016]])
traps = [
    ("that sum is too large for 16 bits", [[-34298.0, 9.652], [215.9, 0.10315]]),
    ("those codes are cut off, not rounded", [[96774.0, 9.652], [213.36, 0.10506]]),
    ("each row of a and each column of b has a scale of its own", [[96774.0, 0.0], [0.0, 0.0]]),
]
product = int8_matmul(rows, columns)
expect.array(product, [[96774, 9.652], [215.9, 0.10315]], "int8_matmul(rows, columns)", 1e-5, 1e-4, traps)
passed("L8.9")
### BEGIN HIDDEN TESTS


def nearest_codes(values, axis):
    """Values on their grid of 255 levels, found by search in float64, one grid along the axis."""
    values = values.double().numpy()
    scales = np.abs(values).max(axis, keepdims=True) / 127
    scales[scales == 0] = 1.0
    below = np.floor(values / scales)
    closer = np.where(values / scales - below > 0.5, below + 1, below)
    return np.clip(closer, -127, 127) * scales


def close(a, b, of):
    before = a.clone(), b.clone()
    got = int8_matmul(a, b)
    expect.unchanged(a, before[0], "a")
    expect.unchanged(b, before[1], "b")
    assert isinstance(got, torch.Tensor), f"{of} should return a tensor, it returned {type(got).__name__}"
    assert got.dtype == torch.float32, f"{of} should return float32, it returned {got.dtype}"
    wanted = nearest_codes(before[0], 1) @ nearest_codes(before[1], 0)
    assert tuple(got.shape) == wanted.shape, f"{of} should have shape {wanted.shape}, it has {tuple(got.shape)}"
    assert bool(got.isfinite().all()), f"{of} holds NaN or infinity: mind zeros, and sums too large for their type"
    for axis, line in ((1, "row"), (0, "column")):
        errors = np.linalg.norm(got.double().numpy() - wanted, axis=axis) / (np.linalg.norm(wanted, axis=axis) + 1e-30)
        worst = int(errors.argmax())
        assert errors[worst] < 2e-3, (
            f"{of}: {line} {worst} differs from the product of the rounded numbers by {errors[worst]:.1%} of its length"
        )
    return got


generator = torch.Generator().manual_seed(89)
for m, k, n in [(32, 64, 48), (20, 512, 24), (17, 8, 8), (24, 4096, 16)]:
    a, b = torch.randn(m, k, generator=generator), torch.randn(k, n, generator=generator)
    got = close(a, b, f"int8_matmul of normal numbers, ({m}, {k}) and ({k}, {n})")
    exact = a.double() @ b.double()
    error = ((got.double() - exact).norm() / exact.norm()).item()
    assert 0.002 < error < 0.02, f"the relative error on normal numbers should be about 1 %, it is {error:.2%}"
a, b = torch.randn(24, 256, generator=generator), torch.randn(256, 16, generator=generator)
rows, columns = torch.ones(24, 1), torch.ones(1, 16)
rows[5], rows[9], columns[0, 3] = 1000.0, 0.001, 500.0
close(a * rows, b, "int8_matmul with one row of a 1000 times as large")
close(a, b * columns, "int8_matmul with one column of b 500 times as large")
close(a * rows, b * columns, "int8_matmul with large rows of a and columns of b")
close(a.abs() + 1, b.abs() + 1, "int8_matmul of positive numbers, whose sums are large")
constant = close(
    torch.full((24, 4096), 127.0), torch.full((4096, 16), 127.0), "int8_matmul of two matrices full of 127"
)
expect.array(
    constant[0, 0].item(), 127.0 * 127 * 4096, "int8_matmul of two matrices full of 127, k = 4096: an entry", 64
)
empty_row, empty_column = a.clone(), b.clone()
empty_row[2], empty_column[:, 4] = 0.0, 0.0
got = close(empty_row, empty_column, "int8_matmul with a row and a column of zeros")
assert not got[2].any() and not got[:, 4].any(), "a row of zeros in a and a column of zeros in b should give zeros"
for name, first, second in [("a row of zeros in a", empty_row, b), ("a column of zeros in b", a, empty_column)]:
    assert not codes_from_nan(int8_matmul, first, second), (
        f"{name}: a NaN was turned into a code, which is another integer on another machine; 0/0 must not become a code"
    )
for size in (1e-5, 1e-3, 1e6):
    rows[5], rows[9], columns[0, 3] = 1.0, size / a[9].abs().max(), size / b[:, 3].abs().max()
    close(a * rows, b, f"int8_matmul with a row of a whose largest magnitude is {size:g}")
    close(a, b * columns, f"int8_matmul with a column of b whose largest magnitude is {size:g}")
close(a.t().contiguous().t(), b.t().contiguous().t(), "int8_matmul of transposed views")
for first, second in [
    *[((4, 8), (4, 8)), ((4, 8), (9, 4)), ((4, 8), (1, 4)), ((4, 1), (8, 4)), ((8,), (8, 4)), ((4, 8), (8,))],
    *[((8,), (8,)), ((2, 4, 8), (8, 4)), ((4, 8), (2, 8, 4)), ((2, 4, 8), (2, 8, 4)), ((1, 4, 8), (1, 8, 4))],
]:
    of = f"a of shape {first} and b of shape {second}"
    expect.refuses(int8_matmul, torch.ones(first), torch.ones(second), naming="a or b", of=of)
### END HIDDEN TESTS

# %% [markdown]
# What does it cost in precision? The next cell takes normal numbers first. Then it makes one row of `a` 100 times as large,
# and then one column of `a`. The table shows the error of the rows that were not made larger, with FP16 and BF16 beside it.

# %%
generator = torch.Generator().manual_seed(0)
left, right = torch.randn(64, 512, generator=generator), torch.randn(512, 64, generator=generator)
one_row, one_column = left.clone(), left.clone()
one_row[0] *= 100
one_column[:, 0] *= 100


def in_type(dtype):
    return lambda a, b: (a.to(dtype) @ b.to(dtype)).float()


products = {"your int8_matmul": int8_matmul, "FP16": in_type(torch.float16), "BF16": in_type(torch.bfloat16)}
print(f"{'':17}  {'normal':>8}  {'large row':>9}  {'large column':>12}")
for name, product_of in products.items():
    shares = []
    for matrix in (left, one_row, one_column):
        exact = (matrix.double() @ right.double())[1:]
        here = product_of(matrix, right)[1:].double()
        # As a share of what the ordinary columns give, which is what the large one drowns.
        ordinary = (left.double() @ right.double())[1:].norm()
        shares.append(((here - exact).norm() / ordinary).item())
    print(f"{name:17}  {shares[0]:>8.2%}  {shares[1]:>9.2%}  {shares[2]:>12.2%}")

# %% [markdown]
# A large row has a scale of its own, so the others do not notice it. A large column is part of every row, and there it
# coarsens the grid for all numbers beside it. Activations of large language models have such columns; LLM.int8()
# (Dettmers et al., 2022) finds them and multiplies them in FP16.
#
# ## 7. The benchmark
#
# Is it faster? Only a clock can tell.
#
# ### Lab L8.10 · Build · 2 points
#
# Write `tflops(m, k, n, seconds)`: the rate of a product of $(m, k)$ and $(k, n)$ that took `seconds`, in $10^{12}$
# operations per second. As in Chapter 0, a multiplication and an addition are two operations.
#
# Raise `ValueError`, with the argument's name in the message, when `m`, `k` or `n` is less than 1 or `seconds` is not
# above 0.
#
# Example: `tflops(1000, 1000, 1000, 0.5)` is 0.004, and `tflops(50, 2000, 400, 0.01)` is 0.008.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L8_10", "grade": false, "locked": false, "solution": true, "task": false}
def tflops(m, k, n, seconds):
    """Return the operations per second, in 10**12, of a product of (m, k) and (k, n) that took `seconds`."""
    ### BEGIN SOLUTION
    for name, size in (("m", m), ("k", k), ("n", n)):
        if size < 1:
            raise ValueError(f"{name} must be at least 1, got {size}")
    if seconds <= 0:
        raise ValueError(f"seconds must be above 0, got {seconds}")
    return 2 * m * k * n / seconds / 1e12
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L8_10", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import torch
from torch.utils.flop_counter import FlopCounterMode

from course import expect
from course.check import passed

for arguments, right in [((1000, 1000, 1000, 0.5), 0.004), ((50, 2000, 400, 0.01), 0.008)]:
    traps = [
        ("a multiplication and an addition are two operations", right / 2),
        ("the rate counts 10**12 operations, and the time is in seconds", 1000 * right),
    ]
    expect.array(tflops(*arguments), right, f"tflops{arguments}", 1e-9, traps=traps)
passed("L8.10")
### BEGIN HIDDEN TESTS
for m, k, n in [(4096, 4096, 4096), (16, 4096, 11008), (1, 7, 3), (512, 1, 2), (5, 300, 1)]:
    first, second = torch.empty(m, k, device="meta"), torch.empty(k, n, device="meta")
    with FlopCounterMode(display=False) as counter:
        torch.mm(first, second)
    for taken in (1.0, 0.00044, 12.5):
        exact = counter.get_total_flops() / taken / 1e12
        expect.array(tflops(m, k, n, taken), exact, f"tflops({m}, {k}, {n}, {taken})", 0, 1e-6)
from course import cases

wrong = {name: cases.not_at_least(1) for name in ("m", "k", "n")} | {"seconds": cases.not_above(0)}
for place, (named, values) in enumerate(wrong.items()):
    for name, value in values:
        arguments = [8, 8, 8, 1.0]
        arguments[place] = value
        expect.refuses(tflops, *arguments, naming=named, of=f"tflops with {name} for {named}")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: every type on this machine
#
# Timing is easy to get wrong, so the clock is PyTorch's own, `torch.utils.benchmark`, which waits until a GPU has finished.
# The types take turns, in several rounds, so that a machine that turns busy slows all of them alike. The table has the
# median of the rounds and their spread, the range of the middle half of them; a line below the table says when the spread
# is too wide to compare. The matrices are taken in turn from many copies, because a product that finds both of its
# matrices in the cache is faster than any layer of a network.
#
# Each row of the table is one product:
#
# - `fp4` is NVFP4: floats of 4 bits, with an FP8 scale for every 16 of them. `torch.nn.functional.scaled_mm` multiplies
#   them on GPUs from compute capability 10.0 on. Anywhere else it is a row that says so.
# - `int8` multiplies codes that are there already, with one scale for each matrix.
# - `int8, packed` is PyTorch's INT8 linear layer for CPUs. Its weights are quantized and laid out beforehand as its
#   kernel reads them; the activations are quantized while it runs.
# - `int8, yours` is your function, from float32 to float32, quantizing included.
# - Where PyTorch or the hardware refuses a product, the row says why.

# %%
torch.set_num_threads(all_threads)  # the products below are large enough for all cores
rows = benchmark.compare(int8_matmul, benchmark.shapes())
machine = benchmark.peaks(rows, tflops)
where = "the GPU" if torch.cuda.is_available() else "the CPU: there is no GPU, so the same code runs here"
print(f"Measured on {where}.\nPeaks and bandwidth ({machine.bandwidth_gb_s:.0f} GB/s): {machine.source}.")

# %% [markdown]
# Beside the measurement stands Chapter 0's prediction, the longer of two times: that of moving all three matrices through
# memory, and that of the operations at the peak. On a GPU of the table above, peak and bandwidth are those of the data
# sheet. On any other machine they are what was measured here, with the fastest product of each type as its peak. There
# the large squares set the peak themselves, and the thin product is the test.


# %%
def predicted_seconds(row):
    """The roofline of Chapter 0 for one product."""
    moving = row.bytes_moved / (machine.bandwidth_gb_s * 1e9)
    computing = row.operations / (machine.peak_tflops[row.kind] * 1e12)
    return max(moving, computing)


predicted = {row: predicted_seconds(row) for row in rows if row.kind in machine.peak_tflops}
print(benchmark.table(rows, tflops, machine, predicted))

# %%
draw.roofline(rows, tflops, machine)

# %% [markdown]
# What do you see? Here is your machine's own answer. Where two medians differ by less than their spreads, it says "about as
# fast":

# %%
for sentence in benchmark.explained(rows):
    print(sentence)

# %% [markdown]
# The bits alone make nothing fast. A short type is fast where the chip has an instruction that multiplies it *and*
# somebody wrote a product that uses the instruction. On a GPU with tensor cores that is so for FP16, and the peak of INT8
# is at least twice as high again. On a CPU without such instructions the plain products in INT8 and in 16 bits can be tens of times
# slower than FP32: each number is converted, or the product is a simple loop. There the packed kernel shows what the same
# chip can do with the same 8 bits when the weights lie in memory as the kernel wants them.
#
# Compare `int8` with `int8, yours` too. What your function does besides is quantizing: it reads both matrices in FP32 and
# writes them in INT8, each time. In a network the weights are quantized once.
#
# And look at the errors. They belong to the type more than to the machine. FP16 has three bits of mantissa more than BF16,
# and about an eighth of its error. And with a scale for each row INT8 is more precise than with one for the whole matrix.

# %%
errors_of = {row.name: row.error for row in rows if not row.refused}
for name, error in sorted(errors_of.items(), key=lambda item: item[1]):
    print(f"{name:12}  relative error {error:.1e}")

# %% [markdown]
# *Read, not built.* In practice a library picks the product for you. TorchAO (Or et al., 2025) swaps the weights of a PyTorch
# model for tensors of a type of its own, in INT4, INT8, FP8 or a 4-bit float, and the type brings its products:
# `quantize_(model, Int4WeightOnlyConfig())`. ONNX is a file format that many runtimes read. A quantized network stands in it
# as codes and the operators `QuantizeLinear` and `DequantizeLinear`, which are Chapter 1's formulas with a scale for each
# tensor, channel or block. The file does not say how to multiply. Whether a runtime multiplies the codes or unpacks them
# first is up to it, so measure with the one that you ship.
#
# ## 8. What does not shrink
#
# 16 bits shrink the activations, at best to half. Do they halve everything that training holds in memory? Count the bytes
# for each parameter:
#
# - *FP32 training*: the weight (4), its gradient (4), and the optimizer's averages in FP32.
# - *Mixed precision with master weights*, as in Rajbhandari et al. (2020): the weight in FP16 (2) and its gradient in
#   FP16 (2), the master weight in FP32 (4), and the optimizer's averages in FP32.
#
# Autocast is not the second kind: weights, gradients and averages are all in FP32, and the 16-bit copies of the weights
# are among the activations.
#
# `"sgd"` keeps no average, `"momentum"` keeps one, `"adam"` keeps two.

# %% [markdown]
# ### Lab L8.11 · Build · 2 points
#
# Write `training_bytes_per_param(optimizer, mixed)`. `optimizer` is one of `"sgd"`, `"momentum"`, `"adam"`; `mixed` is
# `True` or `False`.
#
# Raise `ValueError`, naming `optimizer` in the message, for any other optimizer. Other spellings, such as `"Adam"`, are
# other optimizers, and so is `None`.
#
# Example: `training_bytes_per_param("momentum", False)` is 12, and `training_bytes_per_param("sgd", True)` is 8.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L8_11", "grade": false, "locked": false, "solution": true, "task": false}
def training_bytes_per_param(optimizer, mixed):
    """Return the bytes that training holds for each parameter: weights, gradient and the optimizer's averages."""
    ### BEGIN SOLUTION
    averages = {"sgd": 0, "momentum": 1, "adam": 2}
    if optimizer not in averages:
        raise ValueError(f"optimizer must be one of {', '.join(averages)}, got {optimizer!r}")
    weights_and_gradient = 2 + 2 + 4 if mixed else 4 + 4
    return weights_and_gradient + 4 * averages[optimizer]
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L8_11", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import torch

from course import expect
from course.check import passed

expect.array(training_bytes_per_param("momentum", False), 12, 'training_bytes_per_param("momentum", False)')
traps = [
    ("the master weights in FP32 are missing, or something is halved that stays in FP32", 4),
    ("the gradient is held once, in FP16", 12),
]
expect.array(training_bytes_per_param("sgd", True), 8, 'training_bytes_per_param("sgd", True)', traps=traps)
expect.refuses(training_bytes_per_param, "Adam", True, naming="optimizer", of='"Adam" with a capital letter')
passed("L8.11")
### BEGIN HIDDEN TESTS


def held(name, mixed, count=1000):
    """The bytes of the tensors that one real step leaves behind, per parameter."""
    master = torch.nn.Parameter(torch.ones(count))
    make = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
        "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    }[name]
    stepper = make([master])
    working = torch.nn.Parameter(master.detach().half()) if mixed else master
    (working * 2).sum().backward()
    gradient = working.grad
    master.grad = gradient.float()
    stepper.step()
    averages = [t for t in stepper.state[master].values() if isinstance(t, torch.Tensor) and t.numel() == count]
    kept = [working, gradient, *averages] + ([master] if mixed else [])
    return sum(tensor.nbytes for tensor in kept) / count


for name in ("sgd", "momentum", "adam"):
    for mixed in (False, True):
        expect.array(
            training_bytes_per_param(name, mixed), held(name, mixed), f'training_bytes_per_param("{name}", {mixed})'
        )
for name in ("lion", "", "SGD", "adam ", " sgd", "adamw", "mom", "Momentum", "sgd momentum", None, 2):
    expect.refuses(training_bytes_per_param, name, name == "lion", naming="optimizer", of=f"{name!r} as its name")
### END HIDDEN TESTS

# %%
for name in ("sgd", "momentum", "adam"):
    per_param = [training_bytes_per_param(name, mixed) for mixed in (False, True)]
    print(f"{name:8}  FP32 {per_param[0]:>2} bytes, mixed {per_param[1]:>2} bytes; "
          f"7 B parameters: {7 * per_param[0]} GB and {7 * per_param[1]} GB")  # fmt: skip

# %% [markdown]
# The weights do not shrink at all: what the 16-bit copies save, the master weights take back. The activations shrink,
# and with them what grows with the batch. Here is TinyGPT with Adam and the activations that you counted in section 1.
# Autocast holds the parameters as FP32 training does; FP16 throughout needs master weights beside it.

# %%
parameters = sum(parameter.numel() for parameter in gpt.parameters())
training_parts = {}
for name, mixed in [("FP32", False), ("FP16 autocast", False), ("FP16 throughout", True)]:
    training_parts["FP16, master weights" if mixed else name] = {
        "weights, gradients, averages": parameters * training_bytes_per_param("adam", mixed) / 1e6,
        f"activations of {len(windows)} texts": activations[name],
    }
for name, parts in training_parts.items():
    print(f"{name:20}  " + ", ".join(f"{part} {size:.1f} MB" for part, size in parts.items()))
draw.memory(training_parts)

# %% [markdown]
# ## What you measured
#
# Your numbers, from your functions, on your machine:

# %%
largest_shape = max((row.shape for row in rows if not row.refused), key=np.prod)
reached = {row.name: tflops(*row.shape, row.seconds) for row in rows if row.shape == largest_shape and not row.refused}
print(f"{'':12}  {'largest':>10}  {'smallest':>9}  {'eps':>9}  {'error':>8}  {'TFLOPS':>8}")
held = {"fp32": (8, 23), "fp16": (5, 10), "bf16": (8, 7), "fp8": (4, 3)}
for name in [*held, "fp4", "int8", benchmark.PACKED, benchmark.YOURS]:
    without_nan = (6, 1, 0.5, 0.5) if name == "fp4" else (127, 1, 1, None)
    largest, _, smallest, eps = format_limits(*held[name]) if name in held else without_nan
    measured = f"{errors_of[name]:>8.1e}  {reached[name]:>8.3f}" if name in reached else "refused here"
    gap = "-" if eps is None else f"{eps:.2g}"
    print(f"{name:12}  {largest:>10.5g}  {smallest:>9.2g}  {gap:>9}  {measured}")
right = {name: f"{np.mean(shares):.1%}" for name, shares in accuracies.items()}
print(f"\nTraining in FP16, mean of {len(seeds)}: {right['FP16, your LossScaler']} right with your LossScaler, "
      f"{right.get('FP16, torch GradScaler', '-')} with PyTorch's, {right['FP32']} in FP32, "
      f"{right['FP16, scale 2^32, unchecked']} unchecked")  # fmt: skip
saved = 1 - activations["FP16 autocast"] / activations["FP32"]
print(f"Activations of TinyGPT under autocast: {saved:.0%} fewer bytes")

# %% [markdown]
# - Exponent bits are range, mantissa bits are precision. FP16 gives up range, BF16 precision.
# - Small gradients vanish in FP16. A loss scale lifts all of them at once, and is divided out again in FP32.
# - The scale finds itself: an overflow skips a step and lowers the scale, good steps raise it. A step that was not taken
#   corrupts nothing.
# - Small updates vanish too. So the weights that are updated stay in FP32, and training's memory for weights does not
#   shrink.
# - INT8 needs 32 bits for its sums, and a scale for each row and column. Columns with outliers spoil the rows.
# - Half the bits are twice the speed where chip and kernel both know the type, and where nothing has to be cast first.
#   Measure before you believe it.
#
# You have now built and measured every method of this course by itself. Chapter 9 puts them together.
#
# ### Sources
#
# - P. Micikevicius et al., Mixed Precision Training, 2018, arXiv:1710.03740: FP16 with master weights and loss scaling.
# - D. Kalamkar et al., A Study of BFLOAT16 for Deep Learning Training, 2019, arXiv:1905.12322: the range of FP32 in 16
#   bits.
# - P. Micikevicius et al., FP8 Formats for Deep Learning, 2022, arXiv:2209.05433: E4M3 without infinities, and E5M2.
# - T. Dettmers, M. Lewis, Y. Belkada, L. Zettlemoyer, LLM.int8(): 8-bit Matrix Multiplication for Transformers at
#   Scale, 2022, arXiv:2208.07339: scales for rows and columns, and columns with outliers in FP16.
# - S. Rajbhandari, J. Rasley, O. Ruwase, Y. He, ZeRO: Memory Optimizations Toward Training Trillion Parameter Models,
#   2020, arXiv:1910.02054: 16 bytes for each parameter with Adam in mixed precision.
# - S. Williams, A. Waterman, D. Patterson, Roofline: An Insightful Visual Performance Model for Multicore
#   Architectures, Communications of the ACM 52(4), 2009.
# - IEEE Standard for Floating-Point Arithmetic, IEEE 754-2019: exponent, mantissa, subnormal numbers, infinities and
#   NaN.
# - B. Darvish Rouhani et al., Microscaling Data Formats for Deep Learning, 2023, arXiv:2310.10537: blocks of 4- to 8-bit
#   floats that share a scale. NVFP4 is NVIDIA's own, with smaller blocks and a finer scale.
# - A. Or et al., TorchAO: PyTorch-Native Training-to-Serving Model Optimization, 2025, arXiv:2507.16099.
# - ONNX, Operator Schemas: QuantizeLinear and DequantizeLinear, onnx.ai.
# - NVIDIA's data sheets and architecture whitepapers: named with each device in `course.devices`.
