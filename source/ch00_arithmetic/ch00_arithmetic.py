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
# # Chapter 0 · Compression arithmetic
#
# You want to run a language model of 7 billion parameters. In FP16 it is 14 GB. Your graphics card has 6 GB. How much must
# go? And once it fits, how much faster will it write?
#
# In this chapter you answer both with arithmetic, before anything is compressed. Then you measure the machine in front of
# you and see how well the arithmetic holds. Everything runs on a laptop's CPU in seconds.
#
# How to work: read, answer in the cell marked *your code here*, run the cell below it. It answers at once. *Run All* goes
# past exercises that you have not answered: each cell that needs such an answer ends in an error that names the function.
#
# Time: 1 to 2 hours for the core, 1 to 2 more for the labs. You need plain Python and arithmetic.

# %% nbgrader={"schema_version": 3, "grade_id": "setup", "grade": false, "locked": true, "solution": false, "task": false} tags=["setup"]
from course import ready

ready(0)

# %%
import numpy as np
import torch

from course import GRADING, hardware, timing, tinygpt
from course.figures import Predict
from course.figures import arithmetic as draw

# %% [markdown]
# ## What holds for every exercise
#
# These rules hold in all ten chapters. They stand here once, so that no exercise has to repeat them.
#
# - **Short answers.** Three significant digits are enough, unless the exercise asks for more. Text that reads as a number
#   counts as that number: `"0.25"` is 0.25.
# - **What comes in.** Numbers come as Python numbers or as NumPy arrays of any number type, 8-bit integers and `float16`
#   included, and of any layout in memory. Compute in floats, so that nothing wraps around. Lists come only where the text
#   says so; tensors come where the exercise is in PyTorch. Leave your inputs as they are: work on a copy.
# - **What goes out.** Return a Python number, a list, a NumPy array or a tensor, as you like, as long as its shape is right
#   and the text does not ask for one of them.
# - **Bad settings.** Where the text puts a condition on an argument, raise `ValueError` with that argument's name in the message.
#   Where two arguments are at odds, or both are bad, name either. NaN meets no condition, so the text may ask you to
#   refuse it too.
# - **Bits that count codes** are whole numbers. What happens with 2.5 of them is not tested unless the text says so.
# - **Ties of rounding** may go either way, unless the text says otherwise. (`np.round` and `torch.round` go to the even
#   neighbour.)
# - **Not tested**, unless the text says what happens: NaN and infinity in data, and infinity as a setting.
#
# A small example: codes of 8 bits stand for numbers around 0, and 128 is the code of 0.


# %%
def centred(codes, scale):
    """Return the numbers that the codes stand for, in an array of the same shape."""
    if not scale > 0:  # unlike `scale <= 0`, this catches NaN as well
        raise ValueError(f"scale must be above 0, got {scale}")
    return scale * (np.asarray(codes, dtype=np.float64) - 128)


codes = np.array([100, 200], dtype=np.uint8)
print("in 8-bit integers:", codes - 128, "  in floats:", centred(codes, 1.0))

# %% [markdown]
# Unsigned 8-bit integers have no -28, so the first difference wraps around to 228, and nothing warns you.
#
# ## 1. How much must go?

# %%
model_gb, card_gb = 14, 6
print(f"{model_gb - card_gb} GB of {model_gb} must go, {1 - card_gb / model_gb:.0%} of the file.")
print(f"Of 16 bits a weight may keep {16 * card_gb / model_gb:.2f}, and then the card has no room for anything else.")

# %% [markdown]
# Three ways lead there: fewer bits for each weight (quantization), fewer weights (pruning, low rank), or a smaller model
# that learned from the large one (distillation). All are counted in the same units:
#
# - A byte is 8 bits. A *gigabyte* (GB) is $10^9$ bytes in this course, as on data sheets. Your file manager may count in
#   GiB, $2^{30}$ bytes, and show 7 % less.
# - The *compression ratio* is the original size divided by the compressed size. 2x means half the size.

# %% [markdown]
# ### Exercise 0.1 · Derive · 1 point
#
# A model has 13 billion parameters. How many GB are its weights in FP16?
#
# Give a number, to within 1 %. You may compute it in the cell. For comparison: 7 billion parameters in FP32 are 28 GB.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_0_1", "grade": false, "locked": false, "solution": true, "task": false}
ex_0_1 = None
### BEGIN SOLUTION
# hint: How many bytes is one FP16 number? A GB is 10**9 bytes.
ex_0_1 = 13e9 * 2 / 1e9
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_0_1", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("0.1", ex_0_1)
### BEGIN HIDDEN TESTS
import torch

expect.number(
    ex_0_1,
    torch.empty(13_000_000_000, dtype=torch.float16, device="meta").nbytes / 1e9,
    traps={
        13: "that is one byte a parameter; FP16 has 16 bits",
        52: "that is FP32, four bytes a parameter",
        208: "those are gigabits; a byte has 8 bits",
        26e9 / 2**30: "those are GiB of 2**30 bytes; a GB here is 10**9 bytes",
        26e9: "those are bytes; give GB of 10**9 bytes",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# ### Exercise 0.2 · Derive · 1 point
#
# A 14 GB model is compressed to 3.5 GB. What is the compression ratio?
#
# For comparison: from 14 GB to 7 GB it is 2.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_0_2", "grade": false, "locked": false, "solution": true, "task": false}
ex_0_2 = None
### BEGIN SOLUTION
# hint: Original over compressed: it is above 1 when the file got smaller.
ex_0_2 = 14 / 3.5
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_0_2", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("0.2", ex_0_2)
### BEGIN HIDDEN TESTS
expect.number(
    ex_0_2,
    28 / 7,
    traps={
        0.25: "that is the compressed size over the original one; the ratio is the other way round",
        10.5: "those are the GB saved; a ratio divides",
        0.75: "that is the share saved; a ratio divides the sizes",
        75: "that is the percentage saved; a ratio divides the sizes",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# A ratio twice as large sounds twice as good. How many GB does each further doubling save? Guess before you run the cell.

# %%
left_gb = model_gb
for ratio in (2, 4, 8, 16):
    before_gb, left_gb = left_gb, model_gb / ratio
    print(
        f"{ratio:2}x: {left_gb:6.3f} GB left, {1 - 1 / ratio:6.2%} saved, {before_gb - left_gb:5.3f} GB by this doubling"
    )

# %% [markdown]
# The first doubling saves half the file, and all the others together save the other half at most. What you want is to fit,
# so look at what is left.
#
# ## 2. What does a token wait for?
#
# A language model writes one token at a time. For each token it multiplies a vector by every weight matrix it has, and
# every weight takes part in two operations: one multiplication and one addition. The matrices are far larger than the
# chip's caches, so for each token every weight travels from memory to the arithmetic units again. This is *decoding*.
#
# A chip therefore has two speeds that matter: the bytes per second that its memory delivers (*bandwidth*) and the operations
# per second that its arithmetic units can do (*peak*, in TFLOPS, $10^{12}$ operations per second).

# %% [markdown]
# ### Exercise 0.3 · Trace · 1 point
#
# One person chats with a model on one GPU: batch 1, one token after the other. The weights go from FP16 to INT4, a
# quarter of the size. Before it multiplies, the GPU unpacks them to FP16 again. Decoding becomes up to 4 times as fast. Why?
#
# - **A** The GPU's integer units multiply 4-bit numbers four times as fast as its other units multiply FP16 numbers.
# - **B** With 4 bits in place of 16 for each weight, there are only a quarter as many multiplications to do for a token.
# - **C** A token waits for the weights to arrive from memory, and a quarter of the bytes take a quarter of the time.
# - **D** The smaller model stays in the chip's cache from one token to the next, so memory is hardly read any more.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_0_3", "grade": false, "locked": false, "solution": true, "task": false}
ex_0_3 = None
### BEGIN SOLUTION
# hint: In which type are the numbers when they are multiplied? How large is a cache, and how large are 3.5 GB?
ex_0_3 = "C"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_0_3", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("0.3", ex_0_3)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_0_3,
    "C",
    because={
        "A": "the weights are unpacked first, so the multiplication is done in FP16 as before",
        "B": "there are as many weights as before, and each still takes one multiplication and one addition",
        "D": "3.5 GB are many times larger than any chip's cache: every token reads them from memory again",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# Try it. The next cell sends one vector through 16 matrices of 4096 x 4096, one after the other, with the weights stored in
# five types. Each row does the same multiplications. Weights in INT8 and INT4 are unpacked on the chip as they arrive, within the
# product. Whatever your machine or its PyTorch cannot multiply is a row that says so.
#
# The types take turns, in five rounds. You see the median of the rounds and their spread: the range of the middle half of them,
# relative to the median. GB/s is how fast the weights were read.

# %%
LAYERS, SIDE = (2, 256) if GRADING else (16, 4096)
WEIGHTS = LAYERS * SIDE**2
steps = {}
for kind in ["fp32", "bf16", "fp16", "int8", "int4"]:
    try:
        steps[kind] = hardware.decoding_steps(kind, [1], LAYERS, SIDE)[1]
    except hardware.Refused as reason:
        print(f"{kind}: not on this machine ({reason})")
step_times = timing.timings(steps, rounds=5)
del steps  # gives the memory of the matrices back
step_ms = {kind: 1000 * taken.seconds for kind, taken in step_times.items()}
print(f"{WEIGHTS / 1e6:.0f} million weights, {2 * WEIGHTS / 1e6:.0f} million operations\n")
print("      bits      time  spread    GB/s  times as fast as fp32")
for kind, ms in step_ms.items():
    gb_s = WEIGHTS * hardware.BITS[kind] / 8 / ms / 1e6
    faster = step_ms["fp32"] / ms
    print(f"{kind}  {hardware.BITS[kind]:4}  {ms:5.1f} ms  {step_times[kind].spread:6.0%}  {gb_s:6.1f}  {faster:.2f}")
if again := timing.measure_again(step_times):
    print(again)

# %% [markdown]
# The arithmetic is the same in every row, so what differs is the bytes, and how fast the product reads them. Where two types
# read the same GB/s, half the bits take half the time. Where a type is *slower* than fp32, its product is not written well for
# your chip, or the chip has no instructions for it: it reads so few GB/s that smaller weights do not make up for it. Where a
# 16-bit type is more than 2 times as fast, INT8 more than 4 or INT4 more than 8, fp32 is the slow one: there it is fp32 that
# reads fewer GB/s than the other type does.

# %% [markdown]
# ### Exercise 0.4 · Derive · 1 point
#
# A GPU reads 2 TB/s from memory. A token costs one pass over all weights, and nothing else takes time. How many times as
# fast is decoding with INT4 weights (3.5 GB) as with FP16 weights (14 GB)?
#
# For comparison: with INT8 weights (7 GB) a token takes 3.50 ms, and decoding is 2 times as fast as with FP16.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_0_4", "grade": false, "locked": false, "solution": true, "task": false}
ex_0_4 = None
### BEGIN SOLUTION
# hint: The time of a token is its bytes over the bandwidth. Divide the old time by the new one.
ex_0_4 = (14 / 2000) / (3.5 / 2000)
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_0_4", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("0.4", ex_0_4)
### BEGIN HIDDEN TESTS
expect.number(
    ex_0_4,
    7.0 / 1.75,
    traps={
        0.25: "that is the new time over the old one; the speedup is the other way round",
        1.75: "those are the milliseconds of an INT4 token; divide the FP16 time by it",
        7: "those are the milliseconds of an FP16 token; divide it by the INT4 time",
        5.25: "those are the milliseconds saved; a speedup divides",
        2: "that is INT8, 7 GB",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# This is the ratio of Exercise 0.2 again, but only because nothing else takes time. Some work does not shrink with the weights:
# reading the cache of section 6, choosing the token, launching programs on the chip. Say it takes 1 ms for each token. How much
# is left of the speedup? Guess, then run the cell.

# %%
for other_ms in (0, 1, 3):
    fp16_ms, int4_ms = 14 / 2 + other_ms, 3.5 / 2 + other_ms  # GB over GB/ms
    print(
        f"{other_ms} ms besides: {fp16_ms:5.2f} ms with FP16, {int4_ms:.2f} ms with INT4: {fp16_ms / int4_ms:.2f}x as fast"
    )

# %% [markdown]
# The compression ratio is the most that you can win in time. What does not shrink decides how much of it you get (Amdahl,
# 1967).
#
# When does a program wait for memory, and when for arithmetic? Divide both by the bytes:
#
# - *Arithmetic intensity* is what the program asks for: operations for each byte it reads, in FLOP/byte.
# - *Balance* is what the chip offers: its peak divided by its bandwidth, in FLOP/byte too.
#
# Below the balance the program waits for memory, and its arithmetic units are busy for intensity / balance of the time.
# Above it, the program waits for arithmetic.

# %% [markdown]
# ### Exercise 0.5 · Trace · 1 point
#
# A GPU has 312 TFLOPS and 2 TB/s. A single token goes through the FP16 weights of a model. What does it wait for?
#
# - **A** For arithmetic: billions of weights have to be multiplied, and reading them is quick in comparison.
# - **B** For memory: 2 operations per weight against a balance of 156, so arithmetic is busy 1/78 of the time.
# - **C** For both alike: a chip is built so that its memory keeps up with its arithmetic at any kind of work.
# - **D** For memory: 1 operation per byte against a balance of 156, so arithmetic is busy 1/156 of the time.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_0_5", "grade": false, "locked": false, "solution": true, "task": false}
ex_0_5 = None
### BEGIN SOLUTION
# hint: Two operations for each weight, and how many bytes? Intensity counts operations per byte.
ex_0_5 = "D"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_0_5", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("0.5", ex_0_5)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_0_5,
    "D",
    because={
        "A": "14 GB take 7 ms to read at 2 TB/s; 14 billion operations take 0.045 ms at 312 TFLOPS",
        "B": "2 operations for each weight, but an FP16 weight has 2 bytes: intensity counts operations per byte",
        "C": "the balance is 312e12 / 2e12 = 156 operations per byte; compare it with what one token does per byte",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# ### See it: this machine
#
# Measure it. The cell below copies and sums an array far larger than the caches, which gives the bandwidth, and multiplies
# large square matrices, which gives the peak of each type. It takes a few seconds. Then it looks at what the decoding steps
# above reached, each held against the peak of the type it is multiplied in: fp32, bf16 and fp16 as they are, int8 and int4
# unpacked to the fastest of these.

# %%
machine = hardware.this_machine()
balance = 1000 * machine.half_tflops / machine.bandwidth_gb_s
print(machine.source)
print(f"{machine.bandwidth_gb_s:.3g} GB/s, up to {machine.half_tflops:.3g} TFLOPS, balance {balance:.0f}\n")
step_peak = {
    kind: machine.half_tflops if kind.startswith("int") else machine.peak_tflops.get(kind, machine.half_tflops)
    for kind in step_ms
}
for kind, ms in step_ms.items():
    reached = 2 * WEIGHTS / ms / 1e9
    print(
        f"{kind}: one token reaches {reached:.4f} TFLOPS, {reached / step_peak[kind]:6.1%} of the peak of {step_peak[kind]:.3g}"
    )

# %% [markdown]
# With a small share, the arithmetic units mostly wait. A share near 100 % means that arithmetic is the limit, even for a single
# token: a chip without instructions for a type has a low peak for it. Above 100 % the peak was measured too low: the large
# product of this type is written worse than the small one, or another program was running.
#
# Here are the machines of this chapter. Peaks are in TFLOPS (TOPS for integers) and *dense*. The A100's 312 TFLOPS are for dense
# FP16 or BF16 on its tensor cores; TF32 reaches 156 there, and plain FP32 19.5. Many data sheets also print twice the dense
# number, which holds for matrices in which two of every four weights are zero. Compare dense with dense: an H100 (SXM) has 989
# TFLOPS in BF16, 3.2 times as many as an A100.

# %%
devices = {**hardware.DEVICES, machine.name: machine}
kinds = ["fp32", "tf32", "bf16", "fp16", "fp8", "int8", "fp4", "int4"]
print(f"{'':12}  {'GB':>4}  {'GB/s':>5}" + "".join(f"  {kind:>6}" for kind in kinds) + "  balance")
for name, device in devices.items():
    rated = {kind: f"{peak:.0f}" if peak >= 100 else f"{peak:.3g}" for kind, peak in device.peak_tflops.items()}
    peaks = "".join(f"  {rated.get(kind, '-'):>6}" for kind in kinds)
    balance = 1000 * device.half_tflops / device.bandwidth_gb_s
    print(f"{name:12}  {device.memory_gb:>4.0f}  {device.bandwidth_gb_s:>5.0f}{peaks}  {balance:>7.0f}")
print("\nSources:")
for name, device in devices.items():
    print(f"{name}: {device.source}")
h100, a100 = (hardware.DEVICES[name].peak_tflops["bf16"] for name in ("H100", "A100 80 GB"))
print(f"\nH100 against A100, dense BF16: {h100 / a100:.2f}x")

# %% [markdown]
# ## 3. Build the measures
#
# ### Exercise 0.6 · Build · 2 points
#
# Compute the size of a model in GB ($10^9$ bytes). `bits_per_param` need not be a whole number: a format that stores
# a scale with each group of weights may come to 4.25.
#
# Raise `ValueError`, with the argument's name in the message, when `params` is negative or `bits_per_param` is less than 1.
#
# Example: `model_size_gb(7e9, 32)` is 28.0, and `model_size_gb(1_000_000, 4.25)` is 0.00053125.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_0_6", "grade": false, "locked": false, "solution": true, "task": false}
def model_size_gb(params, bits_per_param):
    """Return the size in GB (10**9 bytes) of `params` parameters of `bits_per_param` bits each."""
    ### BEGIN SOLUTION
    if not params >= 0:
        raise ValueError(f"params must not be negative, got {params}")
    if not bits_per_param >= 1:
        raise ValueError(f"bits_per_param must be at least 1, got {bits_per_param}")
    return params * bits_per_param / 8 / 1e9
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_0_6", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import torch

from course import expect
from course.check import passed

expect.array(
    model_size_gb(7e9, 32),
    28.0,
    "model_size_gb(7e9, 32)",
    traps=[
        ("those are GiB of 2**30 bytes; a GB here is 10**9 bytes", 26.077032089233398),
        ("those are gigabits; a byte has 8 bits", 224.0),
        ("those are bytes; a GB is 10**9 of them", 28e9),
    ],
    atol=0,
    rtol=1e-6,
)
expect.array(model_size_gb(1_000_000, 4.25), 0.00053125, "model_size_gb(1_000_000, 4.25)", 0, 1e-6)
expect.refuses(model_size_gb, -1, 16, naming="params", of="params = -1")
expect.refuses(model_size_gb, 7e9, 0.5, naming="bits_per_param", of="bits_per_param = 0.5")
passed("0.6")
### BEGIN HIDDEN TESTS
for params in (13_000_000_000, 7_000_000_000, 853_120, 8):
    types = [(torch.complex128, 128), (torch.float64, 64), (torch.float32, 32), (torch.bfloat16, 16), (torch.int8, 8)]
    for dtype, bits in types:
        weights = torch.empty(params, dtype=dtype, device="meta")
        expect.array(model_size_gb(params, bits), weights.nbytes / 1e9, f"model_size_gb({params}, {bits})", 0, 1e-6)
    packed = torch.empty(params // 2, dtype=torch.uint8, device="meta")
    expect.array(model_size_gb(params, 4), packed.nbytes / 1e9, f"model_size_gb({params}, 4)", 0, 1e-6)
expect.array(model_size_gb(32, 4.25), 17e-9, "model_size_gb(32, 4.25)", 0, 1e-6)
expect.array(model_size_gb(8e9, 1.5), 1.5, "model_size_gb(8e9, 1.5)", 0, 1e-6)
expect.array(model_size_gb(8e9, 1), 1.0, "model_size_gb(8e9, 1)", 0, 1e-6)
expect.array(model_size_gb(0, 16), 0.0, "model_size_gb(0, 16)")
for params in (-1, -7e9, -0.5):
    expect.refuses(model_size_gb, params, 16, naming="params", of=f"params = {params}")
for bits in (0, -4, 0.5, 0.99, -0.5):
    expect.refuses(model_size_gb, 7e9, bits, naming="bits_per_param", of=f"bits_per_param = {bits}")
expect.refuses(model_size_gb, -1, 0, naming="params or bits_per_param", of="params = -1 with bits_per_param = 0")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: what fits into 6 GB, and a real file
#
# The first question of this chapter, answered by your function. Then a check: *TinyGPT*, the small language model that
# comes with this course, is written to a file in two types. Do the bytes agree with you?

# %%
for bits in (32, 16, 8, 6, 5, 4, 3, 2):
    size = model_size_gb(7e9, bits)
    print(f"7 B at {bits:2} bits: {size:6.3f} GB  {'fits into' if size <= card_gb else 'too large for'} {card_gb} GB")

# %%
from safetensors.torch import save

state = tinygpt.tiny_gpt().state_dict()
count = sum(values.numel() for values in state.values())
files_gb = {}
for bits, dtype in [(32, torch.float32), (16, torch.float16)]:
    files_gb[bits] = len(save({name: values.to(dtype) for name, values in state.items()})) / 1e9
for bits, file_gb in files_gb.items():
    predicted = model_size_gb(count, bits)
    print(f"TinyGPT at {bits} bits: {1e6 * predicted:.1f} kB predicted, {1e6 * file_gb:.1f} kB in the file")

# %% [markdown]
# The few kilobytes between the two are the names and shapes of the matrices. For a large model they do not count.

# %% [markdown]
# ### Exercise 0.7 · Debug · 3 points
#
# Someone wrote the compression ratio. It runs, and it is wrong:

# %%
import inspect


def broken_ratio(original_gb, compressed_gb):
    ratio = compressed_gb / original_gb
    return float(ratio)


for number, text in enumerate(inspect.getsource(broken_ratio).splitlines(), start=1):
    print(f"{number}  {text}")
print("\nbroken_ratio(14, 7) =", broken_ratio(14, 7))

# %% [markdown]
# 1. Set `ex_0_7_line` to the number of the first wrong line (1 point).
# 2. Write the repaired function as `compression_ratio` (2 points).
#
# The shown function also takes sizes that no file has: `broken_ratio(-14, -7)` is 0.5, and with NaN it is NaN. Look at each
# size by itself. Raise `ValueError`, with the argument's name in the message, when `original_gb` or `compressed_gb` is not
# above 0. NaN is not above 0 either.
#
# Example: `compression_ratio(14, 7)` is 2.0. The ratio is below 1 when the file grew. Do not round it.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_0_7", "grade": false, "locked": false, "solution": true, "task": false}
ex_0_7_line = None


def compression_ratio(original_gb, compressed_gb):
    """Return how many times smaller the compressed size is than the original."""
    ### BEGIN SOLUTION
    if not original_gb > 0:
        raise ValueError(f"original_gb must be above 0, got {original_gb}")
    if not compressed_gb > 0:
        raise ValueError(f"compressed_gb must be above 0, got {compressed_gb}")
    return original_gb / compressed_gb


ex_0_7_line = 2
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_0_7_line", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check_line

check_line("0.7", ex_0_7_line)
### BEGIN HIDDEN TESTS
expect.line(ex_0_7_line, 2)
### END HIDDEN TESTS

# %% nbgrader={"schema_version": 3, "grade_id": "test_0_7", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
from course import expect
from course.check import passed

expect.array(
    compression_ratio(14, 4),
    3.5,
    "compression_ratio(14, 4)",
    traps=[
        ("that is the compressed size over the original one, upside down", 0.2857142857142857),
        ("those are the GB saved; a ratio divides", 10.0),
        ("do not round the ratio", 3.0),
        ("do not round the ratio", 4.0),
    ],
    rtol=1e-6,
)
expect.array(compression_ratio(3, 4), 0.75, "compression_ratio(3, 4), where the file grew,", rtol=1e-6)
expect.refuses(compression_ratio, 14, 0, naming="compressed_gb", of="compressed_gb = 0")
expect.refuses(compression_ratio, -14, 3.5, naming="original_gb", of="original_gb = -14")
passed("0.7")
### BEGIN HIDDEN TESTS
import numpy as np

from course import cases

rng = np.random.default_rng(7)
for ratio in (4.0, 1.0, 0.5, 2.35, *rng.uniform(0.2, 40, 5)):
    for compressed in (3.5, 0.001, float(rng.uniform(0.1, 20))):
        original = float(ratio * compressed)
        of = f"compression_ratio({original:.6g}, {compressed:.6g})"
        expect.array(compression_ratio(original, compressed), ratio, of, rtol=1e-6)
for name, size in cases.not_above(0, nan=True):
    expect.refuses(compression_ratio, 14, size, naming="compressed_gb", of=f"compressed_gb = {name}")
    expect.refuses(compression_ratio, size, 3.5, naming="original_gb", of=f"original_gb = {name}")
expect.refuses(
    compression_ratio, -14, -3.5, naming="original_gb or compressed_gb", of="original_gb = -14, compressed_gb = -3.5"
)
### END HIDDEN TESTS

# %%
print(f"TinyGPT's files, 32 bits to 16: {compression_ratio(files_gb[32], files_gb[16]):.3f}x")
print(f"what the 6 GB card asks of 14 GB: at least {compression_ratio(model_gb, card_gb):.2f}x")

# %% [markdown]
# ## 4. The roofline
#
# A decoding step reads every weight once and does two operations with each weight for every sequence of the batch. Reading
# and computing overlap, so the slower of the two sets the time:
#
# $$t = \max\left(\frac{\text{bytes of the weights}}{\text{bandwidth}},\;
# \frac{2 \cdot \text{params} \cdot \text{batch}}{\text{peak}}\right) .$$
#
# Plot the operations per second that this allows over the operations per byte, and you get a slope (memory) that ends in a
# level line (arithmetic): the *roofline* of Williams, Waterman and Patterson (2009). The rest of this chapter uses it.
#
# ### Lab L0.8 · Build · 3 points
#
# Compute the time of one decoding step. `bits_per_param` is how the weights are stored. The peak does not depend on it, because
# the weights are unpacked before they are multiplied. One GB/s is $10^9$ bytes per second, one TFLOPS $10^{12}$ operations per
# second.
#
# Raise `ValueError`, with the argument's name in the message, when `params` is negative, `bits_per_param` or `batch` is less than
# 1, or `bandwidth_gb_s` or `peak_tflops` is not above 0. Check each of them by itself, so that no bad value hides another.
#
# Example: `decode_latency_ms(7e9, 16, 2000, 312)` is 7.0, `decode_latency_ms(7e9, 4, 2000, 312)` is 1.75, and with
# `batch=300` both are about 13.46.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L0_8", "grade": false, "locked": false, "solution": true, "task": false}
def decode_latency_ms(params, bits_per_param, bandwidth_gb_s, peak_tflops, batch=1):
    """Return the milliseconds of one decoding step for `batch` sequences: the longer of memory time and compute time."""
    ### BEGIN SOLUTION
    if not params >= 0:
        raise ValueError(f"params must not be negative, got {params}")
    for name, value in (("bits_per_param", bits_per_param), ("batch", batch)):
        if not value >= 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    for name, value in (("bandwidth_gb_s", bandwidth_gb_s), ("peak_tflops", peak_tflops)):
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}")
    memory_s = params * bits_per_param / 8 / (bandwidth_gb_s * 1e9)
    compute_s = 2 * params * batch / (peak_tflops * 1e12)
    return 1000 * max(memory_s, compute_s)
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L0_8", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import torch
from torch.utils.flop_counter import FlopCounterMode

from course import expect
from course.check import passed

expect.array(
    decode_latency_ms(7e9, 16, 2000, 312),
    7.0,
    "decode_latency_ms(7e9, 16, 2000, 312)",
    traps=[("take bytes: a byte has 8 bits", 56.0), ("those are seconds", 0.007)],
)
expect.array(decode_latency_ms(7e9, 4, 2000, 312), 1.75, "decode_latency_ms(7e9, 4, 2000, 312)")
expect.array(
    decode_latency_ms(7e9, 16, 2000, 312, batch=300),
    13.461538,
    "decode_latency_ms(7e9, 16, 2000, 312, batch=300)",
    1e-5,
    traps=[
        ("every sequence of the batch takes part in operations of its own", 7.0),
        ("reading and computing overlap, so the slower of the two sets the time", 20.461538),
        ("a step writes a token of every sequence; give the time of the whole step", 0.04487179),
    ],
)
expect.array(
    decode_latency_ms(7e9, 4, 2000, 312, batch=300),
    13.461538,
    "decode_latency_ms(7e9, 4, 2000, 312, batch=300)",
    1e-5,
    traps=[("weights are unpacked before they are multiplied, so the peak holds whatever their bits", 3.365384615)],
)
expect.refuses(decode_latency_ms, 7e9, 16, 2000, -312, naming="peak_tflops", of="peak_tflops = -312")
expect.refuses(decode_latency_ms, 7e9, 16, 2000, 312, 0, naming="batch", of="batch = 0")
passed("L0.8")
### BEGIN HIDDEN TESTS


def counted(side, dtype, batch):
    """(bytes of a weight matrix, operations of a product with it), as PyTorch counts them."""
    x, w = (torch.empty(rows, side, dtype=dtype, device="meta") for rows in (batch, side))
    with FlopCounterMode(display=False) as counter:
        torch.mm(x, w.t())
    return w.nbytes, counter.get_total_flops()


for side in (512, 60_000):
    for dtype, bits in ((torch.float32, 32), (torch.bfloat16, 16), (torch.float8_e4m3fn, 8)):
        for batch in (1, 7, 64, 156, 200, 4096):
            for bandwidth, peak in ((2000, 312), (320, 65), (25, 0.2), (2000, 1)):
                stored, operations = counted(side, dtype, batch)
                exact = 1000 * max(stored / bandwidth / 1e9, operations / peak / 1e12)
                of = f"decode_latency_ms({side**2}, {bits}, {bandwidth}, {peak}, {batch})"
                expect.array(decode_latency_ms(side**2, bits, bandwidth, peak, batch), exact, of, 0, 1e-6)
expect.array(decode_latency_ms(8e9, 4.25, 1000, 300), 4.25, "decode_latency_ms(8e9, 4.25, 1000, 300)", 0, 1e-6)
expect.array(decode_latency_ms(0, 16, 1000, 300), 0.0, "decode_latency_ms(0, 16, 1000, 300)")
bad = {
    "params": (-1, -0.5),
    "bits_per_param": (0, -4, 0.5),
    "bandwidth_gb_s": (0, -5, -1e-6),
    "peak_tflops": (0, -312, -1e-6),
    "batch": (0, -1, 0.5),
}
for index, (name, values) in enumerate(bad.items()):
    for value in values:
        arguments = [7e9, 16, 2000, 312, 1]
        arguments[index] = value
        expect.refuses(decode_latency_ms, *arguments, naming=name, of=f"{name} = {value}")
expect.refuses(
    decode_latency_ms,
    *(7e9, 16, -2000, -312),
    naming="bandwidth_gb_s or peak_tflops",
    of="bandwidth_gb_s = -2000 with peak_tflops = -312",
)
### END HIDDEN TESTS

# %% [markdown]
# ### See it: prediction and measurement
#
# Your function, with the bandwidth and the peak of this machine, against the decoding steps that you timed in section 2.
# The number beside each pair is measured / predicted.


# %%
def predicted_ms(kind):
    """Your prediction of the step with weights of that type, on this machine."""
    return decode_latency_ms(WEIGHTS, hardware.BITS[kind], machine.bandwidth_gb_s, step_peak[kind])


draw.side_by_side(step_ms, {kind: predicted_ms(kind) for kind in step_ms})

# %% [markdown]
# The roofline is a limit: for a product that is written well for your chip, the number is close to 1. A number below 1 says that
# the bandwidth or the peak was measured too low: restart the kernel and measure again when the machine is quiet. Far above 1,
# the product of this type keeps neither memory nor arithmetic busy here. Then the bytes you saved buy space, not time.
#
# The same measurements on the roofline, with a roof for each floating-point type, because each has a peak of its own. Fewer bits
# lie further to the right: there are as many operations, for fewer bytes.

# %%
points = {
    kind: ([2 / (hardware.BITS[kind] / 8)], [2 * WEIGHTS / ms / 1e9]) for kind, ms in step_ms.items()
}  # operations per byte, TFLOPS
roofs = {
    f"roof of {kind}": draw.roof(decode_latency_ms, machine.bandwidth_gb_s, step_peak[kind])
    for kind in ("fp32", "bf16", "fp16")
    if kind in step_ms
}
draw.roofline(points, roofs)

# %% [markdown]
# ## 5. When arithmetic becomes the limit
#
# A server answers many people at once. The weights are read once for the whole batch, so every further sequence adds operations
# and hardly any bytes. At some batch both times are equal. Beyond it, smaller weights no longer make a step faster.
#
# ### Lab L0.9 · Build · 2 points
#
# Compute that batch. Do not round it. Note the unit: the bandwidth is given in TB/s, $10^{12}$ bytes per second.
#
# Raise `ValueError`, with the argument's name in the message, when `peak_tflops` or `bandwidth_tb_s` is not above 0, or
# `bits_per_param` is less than 1.
#
# Example: `crossover_batch(300, 1.5, 16)` is 200.0, with 8 bits it is 100.0, and with 4.25 bits 53.125.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L0_9", "grade": false, "locked": false, "solution": true, "task": false}
def crossover_batch(peak_tflops, bandwidth_tb_s, bits_per_param):
    """Return the batch (a float) at which a decoding step's memory time and compute time are equal."""
    ### BEGIN SOLUTION
    for name, value in (("peak_tflops", peak_tflops), ("bandwidth_tb_s", bandwidth_tb_s)):
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value}")
    if not bits_per_param >= 1:
        raise ValueError(f"bits_per_param must be at least 1, got {bits_per_param}")
    bytes_per_param = bits_per_param / 8
    return peak_tflops / bandwidth_tb_s * bytes_per_param / 2
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L0_9", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import numpy as np

from course import expect
from course.check import passed

expect.array(crossover_batch(300, 1.5, 16), 200.0, "crossover_batch(300, 1.5, 16)", 1e-5)
expect.array(
    crossover_batch(300, 1.5, 8),
    100.0,
    "crossover_batch(300, 1.5, 8)",
    1e-5,
    traps=[
        ("that is the chip's balance; a step's operations per byte depend on the bits", 200.0),
        ("fewer bits are read sooner, so arithmetic becomes the limit at a smaller batch", 400.0),
    ],
)
expect.array(
    crossover_batch(300, 1.5, 4.25),
    53.125,
    "crossover_batch(300, 1.5, 4.25)",
    1e-5,
    traps=[("do not round it", 53.0), ("do not round it", 54.0)],
)
expect.refuses(crossover_batch, 300, 0, 16, naming="bandwidth_tb_s", of="bandwidth_tb_s = 0")
expect.refuses(crossover_batch, 300, 1.5, 0.5, naming="bits_per_param", of="bits_per_param = 0.5")
passed("L0.9")
### BEGIN HIDDEN TESTS


def by_bisection(peak_tflops, bandwidth_tb_s, bits, params=1e9):
    low, high = 1e-6, 1e9
    for _ in range(200):
        batch = (low + high) / 2
        computing, reading = 2 * params * batch / (peak_tflops * 1e12), params * bits / 8 / (bandwidth_tb_s * 1e12)
        low, high = (batch, high) if computing < reading else (low, batch)
    return batch


rng = np.random.default_rng(9)
inputs = [(312, 2, 16), (312, 2, 4), (989, 3.35, 8), (65, 0.32, 16), (0.2, 0.025, 32), (1, 2, 1), (312, 1.555, 4.25)]
inputs += [(float(a), float(b), int(c)) for a, b, c in rng.uniform((1, 0.1, 2), (1000, 5, 32), (8, 3))]
for case in inputs:
    of = f"crossover_batch({case[0]:.4g}, {case[1]:.4g}, {case[2]})"
    expect.array(crossover_batch(*case), by_bisection(*case), of, 0, 1e-5)
bad = {"peak_tflops": (0, -312, -1e-6), "bandwidth_tb_s": (0, -2, -1e-6), "bits_per_param": (0, -4, 0.5, 0.99)}
for index, (name, values) in enumerate(bad.items()):
    for value in values:
        arguments = [312, 2, 16]
        arguments[index] = value
        expect.refuses(crossover_batch, *arguments, naming=name, of=f"{name} = {value}")
expect.refuses(
    crossover_batch, -312, -2, 16, naming="peak_tflops or bandwidth_tb_s", of="peak_tflops = -312, bandwidth_tb_s = -2"
)
### END HIDDEN TESTS

# %%
print(f"312 TFLOPS and 2 TB/s: {crossover_batch(312, 2, 16):.0f} at FP16, {crossover_batch(312, 2, 4):.0f} at INT4\n")
print(f"{'':12}" + "".join(f"  {bits:>2} bits" for bits in (16, 8, 4)))
for name, device in devices.items():
    batches = [crossover_batch(device.half_tflops, device.bandwidth_gb_s / 1000, bits) for bits in (16, 8, 4)]
    print(f"{name:12}" + "".join(f"  {batch:>7.1f}" for batch in batches))

# %% [markdown]
# With 312 TFLOPS and 2 TB/s an A100's crossover is at batch 156. With INT4 weights it is at 39, because the bytes shrank and
# the operations did not. So the same batch of 64 waits for memory in FP16 and for arithmetic in INT4.
#
# ### See it: more vectors on this machine
#
# The type with the highest peak of the three floating-point types here, on more and more vectors at once. As your roofline has it,
# a step first takes the same time for every batch, up the slope, and then twice the time for twice the batch, along the roof.

# %%
kind = max((k for k in ("fp32", "bf16", "fp16") if k in step_ms), key=step_peak.get)
few_layers, all_batches = (2, [1, 4]) if GRADING else (4, [1, 2, 4, 8, 16, 32, 64, 128, 256])
some_weights, bits = few_layers * SIDE**2, hardware.BITS[kind]
rates = (machine.bandwidth_gb_s, step_peak[kind])
print(f"{kind}: your crossover is at batch {crossover_batch(rates[1], rates[0] / 1000, bits):.1f}\n")
batches = hardware.decoding_steps(kind, all_batches, few_layers, SIDE)
batch_times = timing.timings({f"batch {batch}": step for batch, step in batches.items()}, rounds=3)
del batches
print("batch   measured  spread   predicted  measured / predicted")
for batch, taken in zip(all_batches, batch_times.values(), strict=True):
    ms, limit = 1000 * taken.seconds, decode_latency_ms(some_weights, bits, *rates, batch)
    print(f"{batch:5}  {ms:6.1f} ms  {taken.spread:6.0%}  {limit:7.1f} ms  {ms / limit:20.1f}")
if again := timing.measure_again(batch_times):
    print(again)
climb = (
    [2 * batch / (bits / 8) for batch in all_batches],
    [2 * some_weights * batch / taken.seconds / 1e12 for batch, taken in zip(all_batches, batch_times.values())],
)
draw.roofline({f"{kind}, batch 1 to {all_batches[-1]}": climb}, {"your roofline": draw.roof(decode_latency_ms, *rates)})

# %% [markdown]
# Where the points keep to the dashed line, the roofline says what more vectors cost. Where they do not, the last column says how
# far the product is from it. Libraries have one routine for a single vector and others for many. What lies in between is often
# served badly, so two vectors may well take far longer than one, and the points zigzag.
#
# ### See it: any model, any device
#
# Your three functions move the picture. On the right, times are relative to a step of one sequence with weights of 16 bits. Try
# these:
#
# - 7 billion weights, A100, batch 1: by how much does a token get faster from 16 bits to 4?
# - Now batch 64, and then 256. Where did the speedup go? What is left of it?
# - An H100 has 3.2 times the peak of an A100. How much of that does a single chat notice?
# - Choose this machine. Which model writes ten tokens per second?

# %%
a100 = hardware.DEVICES["A100 80 GB"]


def gain_of_4_bits(batch):
    ms = [decode_latency_ms(7e9, bits, a100.bandwidth_gb_s, a100.half_tflops, batch) for bits in (16, 4)]
    return ms[0] / ms[1]


Predict(
    draw.decoding(model_size_gb, decode_latency_ms, crossover_batch, devices),
    "7 billion weights, an A100, 64 sequences at once: how many times as fast as with 16 bits is a step with 4 bits?",
    slider=(1.0, 4.0, 0.2),
    unit=" times",
    happened=lambda: f"{gain_of_4_bits(64):.1f} times as fast; with one sequence it is {gain_of_4_bits(1):.1f} times",
)

# %% [markdown]
# ## 6. The other thing in memory
#
# To write the next token, attention looks at the keys and values of all tokens before it. They are kept, so that they need not be
# computed again: the *KV cache*. In each layer there are two tensors, keys and values, with one vector of `head_dim` numbers for
# every key-value head, every token and every sequence.
#
# ### Lab L0.10 · Build · 3 points
#
# Compute the size of the cache in GB. `bits` is the size of one stored number.
#
# Raise `ValueError`, with the argument's name in the message, when `layers`, `kv_heads`, `head_dim`, `seq_len` or `batch` is
# negative or `bits` is less than 1. Check each of them by itself: two negative numbers have a positive product.
#
# Example: `kv_cache_gb(24, 16, 64, 1000, 1)` is 0.098304, and with 3 sequences and `bits=8` it is 0.147456.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L0_10", "grade": false, "locked": false, "solution": true, "task": false}
def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    """Return the GB (10**9 bytes) of the keys and values of `batch` sequences of `seq_len` tokens each."""
    ### BEGIN SOLUTION
    sizes = {"layers": layers, "kv_heads": kv_heads, "head_dim": head_dim, "seq_len": seq_len, "batch": batch}
    for name, value in sizes.items():
        if not value >= 0:
            raise ValueError(f"{name} must not be negative, got {value}")
    if not bits >= 1:
        raise ValueError(f"bits must be at least 1, got {bits}")
    return 2 * layers * kv_heads * head_dim * seq_len * batch * bits / 8 / 1e9
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L0_10", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import torch

from course import expect
from course.check import passed

expect.array(
    kv_cache_gb(24, 16, 64, 1000, 1),
    0.098304,
    "kv_cache_gb(24, 16, 64, 1000, 1)",
    traps=[("keys and values are two tensors", 0.049152), ("a byte has 8 bits", 0.786432)],
    rtol=1e-6,
)
expect.array(
    kv_cache_gb(24, 16, 64, 1000, 3, bits=8),
    0.147456,
    "kv_cache_gb(24, 16, 64, 1000, 3, bits=8)",
    traps=[("each of the 3 sequences has a cache of its own", 0.049152), ("a number has 8 bits here", 0.294912)],
    rtol=1e-6,
)
expect.refuses(kv_cache_gb, 24, 16, 64, -1000, 1, naming="seq_len", of="seq_len = -1000")
expect.refuses(kv_cache_gb, 24, 16, 64, 1000, 1, 0, naming="bits", of="bits = 0")
passed("L0.10")
### BEGIN HIDDEN TESTS


def allocated_gb(layers, kv_heads, head_dim, seq_len, batch, dtype):
    shape = (batch, kv_heads, seq_len, head_dim)
    keys = [torch.empty(shape, dtype=dtype, device="meta") for _ in range(layers)]
    values = [torch.empty_like(each) for each in keys]
    return sum(each.nbytes for each in keys + values) / 1e9


for shape in [
    (32, 32, 128, 4096, 1),
    (32, 8, 128, 4096, 1),
    (80, 8, 128, 32_768, 16),
    (4, 4, 32, 128, 3),
    (1, 1, 1, 1, 1),
]:
    for dtype, bits in ((torch.float32, 32), (torch.float16, 16), (torch.int8, 8)):
        exact = allocated_gb(*shape, dtype)
        expect.array(kv_cache_gb(*shape, bits), exact, f"kv_cache_gb{(*shape, bits)}", 0, 1e-6)
    expect.array(kv_cache_gb(*shape), allocated_gb(*shape, torch.bfloat16), f"kv_cache_gb{shape}", 0, 1e-6)
    expect.array(
        kv_cache_gb(*shape, bits=4), allocated_gb(*shape, torch.uint8) / 2, f"kv_cache_gb{shape} with bits=4", 0, 1e-6
    )
expect.array(kv_cache_gb(32, 32, 128, 0, 1), 0.0, "kv_cache_gb(32, 32, 128, 0, 1), before the first token,")
expect.array(kv_cache_gb(32, 32, 128, 4096, 1, 1), 0.134217728, "kv_cache_gb(32, 32, 128, 4096, 1, 1)", 0, 1e-6)
names = ("layers", "kv_heads", "head_dim", "seq_len", "batch")
for index, name in enumerate(names):
    other = (index + 1) % len(names)
    for hiding, value in (("", None), (" with an empty cache", 0), (f" with {names[other]} = -2", -2)):
        arguments = [32, 32, 128, 4096, 1]
        arguments[index] = -1
        if value is not None:
            arguments[other] = value
        either = f"{name} or {names[other]}" if value == -2 else name
        expect.refuses(kv_cache_gb, *arguments, naming=either, of=f"{name} = -1{hiding}")
for bits in (0, -4, 0.5):
    expect.refuses(kv_cache_gb, 32, 32, 128, 4096, 1, bits, naming="bits", of=f"bits = {bits}")
### END HIDDEN TESTS

# %% [markdown]
# Do 7 B in INT4 and a context of 4096 tokens fit into the 6 GB? Llama 2 7B reads 4096 tokens (Touvron et al., 2023b). Like LLaMA
# 7B before it, which reads 2048, it has 32 layers and 32 heads of 128 (Touvron et al., 2023a). Mistral 7B lets four heads share
# their keys and values, so it caches 8 (Jiang et al., 2023).

# %%
for name, kv_heads in [("32 key-value heads", 32), ("8 key-value heads", 8)]:
    for batch in (1, 2, 8):
        cache = kv_cache_gb(32, kv_heads, 128, 4096, batch)
        total = model_size_gb(7e9, 4) + cache
        print(f"{name:18}  batch {batch}: cache {cache:6.3f} GB, in all {total:6.3f} GB: "
              f"{'fits' if total <= card_gb else 'does not fit'}")  # fmt: skip

# %% [markdown]
# One sequence fits, barely: activations and the runtime itself want a few hundred megabytes as well. A second sequence does not
# fit, unless heads share.
#
# ### See it: weights and cache against the card
#
# At which context does the cache of a single sequence outgrow the INT4 weights? What do an 8-bit cache and shared heads buy?

# %%
draw.memory(model_size_gb, kv_cache_gb)

# %% [markdown]
# The roofline above leaves the cache out, which is right only for short contexts. Weights are shared by the batch, but every
# sequence reads a cache of its own, so those bytes grow with the batch. The next cell adds them to the A100's step, with 32
# key-value heads.

# %%
a100 = hardware.DEVICES["A100 80 GB"]
print("batch  context   weights + cache   time to read   time to compute")
for context in (128, 4096):
    for batch in (1, 64, 156):
        cache = kv_cache_gb(32, 32, 128, context, batch)
        read_ms = 1000 * (model_size_gb(7e9, 16) + cache) / a100.bandwidth_gb_s
        compute_ms = 2 * 7e9 * batch / a100.half_tflops / 1e9
        print(
            f"{batch:5}  {context:7}   {model_size_gb(7e9, 16):4.0f} + {cache:5.1f} GB   {read_ms:9.1f} ms   {compute_ms:12.1f} ms"
        )

# %% [markdown]
# With a long context the batch of the crossover neither fits the card nor becomes compute-bound. Then it pays to make the cache
# smaller, as well as the weights. The operations of attention itself are left out of this table; they change nothing
# in the comparison.
#
# ## 7. Why is INT4 slower?
#
# This lab begins on its own, and you may skip it.
#
# People who turn a model to INT4 often ask why it became slower. Section 4 has no answer: it takes unpacking for free, so
# past the crossover fewer bits are of no use, but they do no harm. In truth unpacking is work: each byte is cut in two, a
# zero is subtracted, and the rest is multiplied by a scale. And there is no good place to keep what was unpacked: written to
# memory, it would cost more bytes than were saved. So a simple product unpacks each weight again for every few sequences.
#
# ### Lab L0.11 · Trace · 1 point
#
# A chip multiplies one layer of 4096 x 4096 weights by a batch of sequences. Here the weights are unpacked for every sequence
# anew. Reading and computing overlap, so the longer of the two counts:
#
# | weights | to read | reading, once for the batch | computing, for each sequence |
# |---|---|---|---|
# | BF16 | 33.6 MB | 1.34 ms | 0.08 ms: multiply |
# | INT4 | 8.4 MB | 0.34 ms | 0.17 ms: unpack, then multiply |
#
# Predict: is the layer faster or slower with INT4 weights than with BF16, for a batch of 1 and for a batch of 64?
#
# - **A** Faster for both: there is a quarter of the bytes to read, whatever the batch.
# - **B** Faster for 1 and as fast for 64: a large batch waits for the same arithmetic with either.
# - **C** Faster for 1 and slower for 64: a large batch waits for arithmetic, and INT4 has more of it.
# - **D** Slower for both: unpacking is work that BF16 does not have.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_L0_11", "grade": false, "locked": false, "solution": true, "task": false}
ex_L0_11 = None
### BEGIN SOLUTION
# hint: For each batch and each row of the table, take the longer of reading and computing. Then compare the rows.
ex_L0_11 = "C"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_L0_11", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("L0.11", ex_L0_11)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_L0_11,
    "C",
    because={
        "A": "with a batch of 64 the bytes are not what the layer waits for: 64 times 0.17 ms are far more than 0.34 ms",
        "B": "the arithmetic is not the same: with INT4 each sequence takes 0.17 ms, with BF16 0.08 ms",
        "D": "one sequence waits for reading in both rows, 0.34 ms against 1.34 ms, and unpacking hides behind it",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# ### See it: the batch at which INT4 becomes slower
#
# Your machine, on one layer of that size: bf16, int8 and int4 take turns, each time with another of several copies of the
# matrix, so that the weights come from memory. Where do the lines cross?

# %%
copies, layer_batches = (2, [1, 4]) if GRADING else (6, [1, 2, 4, 8, 16, 32, 64, 128])
products = {}
for kind in ("bf16", "int8", "int4"):
    try:
        made = hardware.decoding_steps(kind, layer_batches, copies, SIDE, in_turn=True)
    except hardware.Refused as reason:
        print(f"{kind}: not on this machine ({reason})")
    else:
        products[kind] = {f"{kind} at {batch}": product for batch, product in made.items()}
layer_times = timing.timings(
    {name: work for works in products.values() for name, work in works.items()}, 3, seconds=0.05
)
layer_ms = {kind: [1000 * layer_times[name].seconds for name in works] for kind, works in products.items()}
del products, made  # gives the memory of the matrices back

# %%
crossings = {}
for kind in ("int8", "int4"):
    if kind in layer_ms:
        slower = [taken > bf16 for taken, bf16 in zip(layer_ms[kind], layer_ms["bf16"])]
        always = [batch for i, batch in enumerate(layer_batches) if all(slower[i:])]
        crossings[kind] = always[0] if always else None
print("batch" + "".join(f"  {kind:>10}" for kind in layer_ms) + "   times as fast as bf16")
for row, batch in enumerate(layer_batches):
    ms = {kind: each[row] for kind, each in layer_ms.items()}
    faster = ", ".join(f"{kind} {ms['bf16'] / ms[kind]:.2f}" for kind in crossings)
    print(f"{batch:5}" + "".join(f"  {each:7.2f} ms" for each in ms.values()) + f"   {faster}")
for kind, batch in crossings.items():
    print(f"{kind}: slower than bf16 from batch {batch} on" if batch else f"{kind}: not slower at the largest batch")
if again := timing.measure_again(layer_times):
    print(again)
draw.over_the_batch(layer_batches, layer_ms, crossings)

# %% [markdown]
# Where a line is level, it waits for memory; where it doubles with the batch, it waits for arithmetic. The fewer bits, the
# sooner it bends, and the more unpacking, the higher it ends. So two answers to "is INT4 faster?" can both be right.
#
# Where the lines cross is up to the product. MARLIN unpacks while it waits for memory: on GPUs it keeps INT4 close to 4 times
# as fast as FP16 up to a batch of 16 to 32, and faster up to 128 (Frantar et al., 2024). When your model became slower, ask:
#
# - Which batch did you measure? The tokens of a prompt go through the layers together, so a long prompt is a large batch.
# - Which product ran? A library that has none for your chip may unpack the whole matrix first and multiply in 16 bits.
#
# ## What you measured
#
# Your numbers, from your functions, on your machine:

# %%
print(f"{machine.bandwidth_gb_s:.3g} GB/s and up to {machine.half_tflops:.3g} TFLOPS, {machine.source}\n")
print(f"{'':4}  bits   predicted    measured  spread  measured / predicted")
for kind, ms in step_ms.items():
    limit, spread = predicted_ms(kind), step_times[kind].spread
    print(f"{kind}  {hardware.BITS[kind]:>4}  {limit:7.1f} ms  {ms:7.1f} ms  {spread:6.0%}  {ms / limit:>20.2f}")
print("\nTokens per second of a 7 B model at batch 1, as your roofline predicts them ('-': the weights do not fit):")
print(f"{'':12}" + "".join(f"  {bits:>2} bits" for bits in (16, 8, 4)))
for name, device in devices.items():
    row = ""
    for bits in (16, 8, 4):
        ms = decode_latency_ms(7e9, bits, device.bandwidth_gb_s, device.half_tflops)
        row += f"  {1000 / ms:>7.1f}" if model_size_gb(7e9, bits) <= device.memory_gb else f"  {'-':>7}"
    print(f"{name:12}{row}")
print("\nOne layer with weights that are unpacked on the chip, measured against bf16:")
for kind, crossing in crossings.items():
    first, last = (layer_ms["bf16"][i] / layer_ms[kind][i] for i in (0, -1))
    print(f"{kind}: {first:.2f}x as fast at batch 1, {last:.2f}x at batch {layer_batches[-1]}"
          + (f", slower from batch {crossing} on" if crossing else ""))  # fmt: skip

# %% [markdown]
# - A model's size is its parameters times the bits of each. 7 B fit into 6 GB with up to 6 bits, and 4 bits leave room to work.
# - A single token waits for memory. A quarter of the bytes takes a quarter of the time, if the product keeps memory busy.
# - The roofline is a promise by the hardware. Measure what your machine keeps of it.
# - A batch shares the weights. Past the crossover, bits no longer buy time, and with fewer bits it comes sooner.
# - The cache is not shared. With long contexts it becomes the larger part.
# - Unpacking is work for every few sequences. With a large batch, INT4 weights can be slower than BF16.
#
# All this says what compression can win. It does not say what it costs: how wrong may a weight of 4 bits be? That is
# Chapter 1.
#
# ### Sources
#
# - G. M. Amdahl, Validity of the Single Processor Approach to Achieving Large Scale Computing Capabilities, AFIPS Spring Joint
#   Computer Conference, 1967: what does not get faster limits the whole.
# - S. Williams, A. Waterman, D. Patterson, Roofline: An Insightful Visual Performance Model for Multicore Architectures,
#   Communications of the ACM 52(4), 2009.
# - N. Shazeer, Fast Transformer Decoding: One Write-Head is All You Need, 2019, arXiv:1911.02150: decoding waits for memory,
#   and heads can share keys and values.
# - R. Pope et al., Efficiently Scaling Transformer Inference, 2022, arXiv:2211.05102: weights, cache and batch in the time of
#   a step.
# - E. Frantar, S. Ashkboos, T. Hoefler, D. Alistarh, GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
#   Transformers, 2022, arXiv:2210.17323: fewer bits per weight make single-sequence decoding faster.
# - E. Frantar, R. L. Castro, J. Chen, T. Hoefler, D. Alistarh, MARLIN: Mixed-Precision Auto-Regressive Parallel Inference on
#   Large Language Models, 2024, arXiv:2408.11743: INT4 weights for batches of many sequences.
# - J. Ainslie et al., GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints, 2023,
#   arXiv:2305.13245: groups of heads that share keys and values.
# - H. Touvron et al., LLaMA: Open and Efficient Foundation Language Models, 2023a, arXiv:2302.13971; H. Touvron et al., Llama 2:
#   Open Foundation and Fine-Tuned Chat Models, 2023b, arXiv:2307.09288; A. Q. Jiang et al., Mistral 7B, 2023, arXiv:2310.06825:
#   the shapes of the 7 B models.
# - NVIDIA's data sheets and architecture whitepapers: named with each device in the table of section 2.
