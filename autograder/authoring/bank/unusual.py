# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# Each cell is a right answer in an unusual form: a type that few would return, a function that is no `def`, a class where
# a number was expected to do. The visible check takes it, so the hidden one must, and in two kernels as in one.

# %% exercise="0.1" unusual="a Fraction"
from fractions import Fraction

ex_0_1 = Fraction(13_000_000_000 * 16, 8 * 10**9)

# %% exercise="0.1" unusual="a tensor of one number"
ex_0_1 = torch.empty(13_000_000_000, dtype=torch.float16, device="meta").nbytes / torch.tensor(1e9, dtype=torch.float64)

# %% exercise="0.1" unusual="a Parameter"
ex_0_1 = torch.nn.Parameter(torch.tensor(26.0), requires_grad=False)

# %% exercise="0.1" unusual="a number in SymPy"
import sympy

ex_0_1 = sympy.Integer(13) * sympy.sqrt(4)

# %% exercise="0.1" unusual="an expression in SymPy that is no number yet"
import sympy

ex_0_1 = sympy.log(sympy.E**26)

# %% exercise="0.2" unusual="a Decimal"
from decimal import Decimal

ex_0_2 = Decimal("14") / Decimal("3.5")

# %% exercise="0.2" unusual="a number in float16"
ex_0_2 = np.float16(14) / np.float16(3.5)

# %% exercise="0.2" unusual="a complex number's real part, after a printout and a complaint"
import sys

print("computing")
print("this is said where nobody minds", file=sys.stderr)
ex_0_2 = (4 + 0j).real


# %% exercise="0.2" unusual="a subclass of float that knows its unit"
class Times(float):
    def __repr__(self):
        return f"{float(self):g}x"

    __str__ = __repr__


ex_0_2 = Times(14 / 3.5)


# %% exercise="0.3" unusual="a subclass of str"
class Letter(str):
    def __repr__(self):
        return f"<{self}>"


ex_0_3 = Letter("c")

# %% exercise="0.3" unusual="a member of a StrEnum"
import enum


class Choice(str, enum.Enum):
    A, B, C, D = "ABCD"


ex_0_3 = Choice.C

# %% exercise="0.3" unusual="NumPy's string"
ex_0_3 = np.array(["A", "B", "C", "D"])[2]

# %% exercise="0.4" unusual="walrus and conditional expression"
ex_0_4 = old / new if (old := 14 / 2000) > (new := 3.5 / 2000) else None

# %% exercise="0.4" unusual="an integer of NumPy's"
ex_0_4 = np.int64(14_000) // np.int64(3_500)

# %% exercise="0.4" unusual="an array of one number without axes"
ex_0_4 = np.array(14 / 3.5)

# %% exercise="0.5" unusual="a match statement"
match 312e12 / 2e12 > 1:
    case True:
        ex_0_5 = "D"
    case _:
        ex_0_5 = "A"

# %% exercise="0.5" unusual="a UserString"
from collections import UserString

ex_0_5 = UserString("d").upper().data

# %% exercise="0.6" unusual="a lambda"
model_size_gb = lambda params, bits_per_param: (
    params * bits_per_param / 8e9
    if params >= 0 and bits_per_param >= 1
    else (_ for _ in ()).throw(ValueError("params or bits_per_param is too small"))
)

# %% exercise="0.6" unusual="a partial"
from functools import partial


def size(unit, params, bits_per_param):
    for name, value, least in [("params", params, 0), ("bits_per_param", bits_per_param, 1)]:
        if value < least:
            raise ValueError(f"{name} is below {least}")
    return params * bits_per_param / unit


model_size_gb = partial(size, 8e9)


# %% exercise="0.6" unusual="a callable object"
class Size:
    def __init__(self, unit):
        self.unit = unit

    def __call__(self, params, bits_per_param):
        if params < 0:
            raise ValueError("params")
        if bits_per_param < 1:
            raise ValueError("bits_per_param")
        return params * bits_per_param / self.unit


model_size_gb = Size(8e9)


# %% exercise="0.6" unusual="a method of an object"
class Units:
    gb = 8e9

    def size(self, params, bits_per_param):
        if params < 0:
            raise ValueError("params")
        if bits_per_param < 1:
            raise ValueError("bits_per_param")
        return params * bits_per_param / self.gb


model_size_gb = Units().size


# %% exercise="0.6" unusual="exact, by Fraction"
from fractions import Fraction


def model_size_gb(params, bits_per_param):
    if params < 0:
        raise ValueError("params")
    if bits_per_param < 1:
        raise ValueError("bits_per_param")
    return Fraction(params) * Fraction(bits_per_param) / 8_000_000_000


# %% exercise="0.6" unusual="exact, by Decimal, with an error of its own"
from decimal import Decimal


class TooSmall(ValueError):
    def __init__(self, name):
        self.name = name

    def __str__(self):
        return f"{self.name} is too small"


def model_size_gb(params, bits_per_param):
    if params < 0:
        raise TooSmall("params")
    if bits_per_param < 1:
        raise TooSmall("bits_per_param")
    return Decimal(params) * Decimal(bits_per_param) / 8_000_000_000


# %% exercise="0.7" unusual="a member of an IntEnum, and a decorated function"
import enum
import functools


class Line(enum.IntEnum):
    FIRST = 1
    SECOND = 2


def above_0(function):
    @functools.wraps(function)
    def checked(original_gb, compressed_gb):
        for name, value in {"original_gb": original_gb, "compressed_gb": compressed_gb}.items():
            if not value > 0:
                raise ValueError(name)
        return function(original_gb, compressed_gb)

    return checked


@above_0
def compression_ratio(original_gb, compressed_gb):
    return original_gb / compressed_gb


ex_0_7_line = Line.SECOND


# %% exercise="0.7" unusual="a class with __new__, and a number made by a class"
class Line(int):
    pass


class compression_ratio:
    def __new__(cls, original_gb, compressed_gb):
        if not original_gb > 0:
            raise ValueError("original_gb")
        if not compressed_gb > 0:
            raise ValueError("compressed_gb")
        return original_gb / compressed_gb


ex_0_7_line: int = Line(2)

# %% exercise="L0.9" unusual="a cached function and a static method"
import functools


class Roofline:
    @staticmethod
    @functools.cache
    def crossover(peak_tflops, bandwidth_tb_s, bits_per_param):
        if peak_tflops <= 0:
            raise ValueError("peak_tflops")
        if bandwidth_tb_s <= 0:
            raise ValueError("bandwidth_tb_s")
        if bits_per_param < 1:
            raise ValueError("bits_per_param")
        return peak_tflops / bandwidth_tb_s * bits_per_param / 16


crossover_batch = Roofline.crossover

# %% exercise="L0.9" unusual="a frozen dataclass that is called"
from dataclasses import dataclass


@dataclass(frozen=True)
class Crossover:
    bytes_of_a_bit: float

    def __call__(self, peak_tflops, bandwidth_tb_s, bits_per_param):
        for name, value, least in (
            ("peak_tflops", peak_tflops, 1e-300),
            ("bandwidth_tb_s", bandwidth_tb_s, 1e-300),
            ("bits_per_param", bits_per_param, 1),
        ):
            if value < least:
                raise ValueError(name)
        return torch.tensor(
            peak_tflops / bandwidth_tb_s * bits_per_param * self.bytes_of_a_bit / 2, dtype=torch.float64
        )


crossover_batch = Crossover(1 / 8)

# %% exercise="L0.10" unusual="reduce over a generator, with a closure"
import functools
import operator


def bytes_of(bits):
    def of(numbers):
        return numbers * bits / 8

    return of


def kv_cache_gb(layers, kv_heads, head_dim, seq_len, batch, bits=16):
    if bits < 1:
        raise ValueError("bits")

    def factors():
        for name in ("layers", "kv_heads", "head_dim", "seq_len", "batch"):
            value = known[name]
            if value < 0:
                raise ValueError(name)
            yield value

    known = {**locals()}
    return bytes_of(bits)(functools.reduce(operator.mul, factors(), 2)) / 1e9


# %% exercise="1.1" unusual="a Fraction"
from fractions import Fraction

ex_1_1 = abs(Fraction(3, 10) - (Fraction(2 * 166, 255) - 1))

# %% exercise="1.1" unusual="the least item of a heap"
import heapq

distances = [abs(-1 + 2 * code / 255 - 0.3) for code in range(256)]
heapq.heapify(distances)
ex_1_1 = heapq.heappop(distances)

# %% exercise="1.1" unusual="a masked array without axes"
levels = np.ma.masked_less(np.linspace(-1, 1, 256), 0)
ex_1_1 = abs(levels - 0.3).min()

# %% exercise="1.2" unusual="a progress bar on the way"
from tqdm.auto import tqdm

ex_1_2 = min(abs(2 * code / 127 - 0.5) for code in tqdm(range(-127, 128), leave=False, disable=None))

# %% exercise="1.2" unusual="a figure on the way"
import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt

figure, axes = plt.subplots()
axes.plot(error := [abs(2 * code / 127 - 0.5) for code in range(128)])
plt.close(figure)
ex_1_2 = min(error)

# %% exercise="1.3" unusual="bytes that became text"
ex_1_3 = bytes([65]).decode()

# %% exercise="1.4" unusual="a Decimal"
from decimal import Decimal

ex_1_4 = Decimal(1) / 254

# %% exercise="1.4" unusual="a double of another precision"
ex_1_4 = np.longdouble(1) / 254

# %% exercise="1.4" unusual="a number of bfloat16"
ex_1_4 = torch.tensor(0.5 / 127).to(torch.bfloat16)

# %% exercise="1.4" unusual="a number of mpmath's"
import mpmath

ex_1_4 = mpmath.mpf(1) / 254

# %% exercise="1.5" unusual="a tensor comes back"


def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if not lo < hi:
        raise ValueError("lo")
    x, scale = torch.as_tensor(np.array(x), dtype=torch.float64), (hi - lo) / (2**bits - 1)
    return torch.round((x.clamp(lo, hi) - lo) / scale) * scale + lo


# %% exercise="1.5" unusual="nested lists come back, by recursion"


def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if not lo < hi:
        raise ValueError("lo")
    if np.ndim(x):
        return [quantize_dequantize(part, bits, lo, hi) for part in x]
    scale = (hi - lo) / (2**bits - 1)
    return round((min(max(x, lo), hi) - lo) / scale) * scale + lo


# %% exercise="1.5" unusual="numpy.vectorize with a cache"
import functools


@functools.lru_cache(maxsize=None)
def nearest(x, bits, lo, hi):
    scale = (hi - lo) / (2**bits - 1)
    return round((min(max(x, lo), hi) - lo) / scale) * scale + lo


def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if not lo < hi:
        raise ValueError("lo")
    return np.vectorize(nearest, otypes=[float])(x, bits, lo, hi)


# %% exercise="1.5" unusual="an array of Python objects comes back, from numpy.frompyfunc"
from fractions import Fraction


def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if not lo < hi:
        raise ValueError("lo")
    low, scale = Fraction(lo), (Fraction(hi) - Fraction(lo)) / (2**bits - 1)
    one = lambda v: round((Fraction(float(min(max(v, lo), hi))) - low) / scale) * scale + low
    return np.frompyfunc(one, 1, 1)(x)


# %% exercise="1.5" unusual="a subclass of ndarray comes back, of a module that is called"
class Quantized(np.ndarray):
    _levels = 0


class RoundTrip(torch.nn.Module):
    def forward(self, x, bits, lo, hi):
        if bits < 1:
            raise ValueError("bits")
        if not lo < hi:
            raise ValueError("lo")
        scale = (hi - lo) / (2**bits - 1)
        return (np.rint((np.clip(x, lo, hi) - lo) / scale) * scale + lo + np.zeros(np.shape(x))).view(Quantized)


quantize_dequantize = RoundTrip()


# %% exercise="1.6" unusual="rows of a deque"
from collections import deque


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    x = np.asarray(x, dtype=float)
    done = (np.clip(np.round(x / scale) + zero_point, qmin, qmax) - zero_point) * scale
    return deque(done) if done.ndim else done


ex_1_6_line = True + 3

# %% exercise="L1.7" unusual="a named tuple with a method"
from typing import NamedTuple


class Params(NamedTuple):
    scale: float
    zero_point: int

    def dequantize(self, code):
        return (code - self.zero_point) * self.scale


def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if not lo < hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = (hi - lo) / (2**bits - 1)
    return Params(scale, round(-lo / scale))


# %% exercise="L1.7" unusual="a list with a method, of Fractions"
from fractions import Fraction


class Grid(list):
    def levels(self):
        return self[0]


def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if not lo < hi:
        raise ValueError("lo")
    lo, hi = Fraction(min(lo, 0)), Fraction(max(hi, 0))
    scale = (hi - lo) / (2**bits - 1)
    return Grid([scale, round(-lo / scale)])


# %% exercise="L1.7" unusual="a UserList"
from collections import UserList


def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if not lo < hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    return UserList([scale := (hi - lo) / (2**bits - 1), round(-lo / scale)])


# %% exercise="L1.7" unusual="a sequence of its own"
class Pair:
    def __init__(self, *parts):
        self.parts = parts

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.parts[index]


def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if not lo < hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = (hi - lo) / (2**bits - 1)
    return Pair(scale, np.int16(round(-lo / scale)))


# %% exercise="L1.8" unusual="methods put together by operator and functools"
import functools
import operator

decibels = functools.partial(operator.mul, 10)
total = operator.methodcaller("sum")
shape = operator.attrgetter("shape")


def sqnr_db(x, x_hat):
    x, x_hat = (np.array(each, dtype=float) for each in (x, x_hat))
    if operator.ne(*map(shape, (x, x_hat))):
        raise ValueError("x_hat")
    noise = total(np.square(operator.sub(x, x_hat)))
    return decibels(np.log10(total(np.square(x)) / noise)) if noise else float("inf")


# %% exercise="L1.8" unusual="a tensor with a gradient"


def sqnr_db(x, x_hat):
    x, x_hat = (torch.tensor(np.asarray(each), dtype=torch.float64) for each in (x, x_hat))
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    one = torch.nn.Parameter(torch.ones((), dtype=torch.float64), requires_grad=False)
    return one * 10 * torch.log10((x**2).sum() / ((x - x_hat) ** 2).sum())


# %% exercise="L1.9" unusual="the last of what a generator yields"


def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    x, qmax = np.abs(np.asarray(x, dtype=float).ravel()), 2 ** (bits - 1) - 1

    def improving():
        least = np.inf
        for clip in (x.max() or 1) * np.linspace(0.02, 1, 200):
            error = np.mean((np.minimum(np.round(x / clip * qmax), qmax) * clip / qmax - x) ** 2)
            if error < least:
                least = error
                yield clip

    *_, best = improving()
    return best


# %% exercise="2.3" unusual="two numbers of two kinds"
from decimal import Decimal
from fractions import Fraction

ex_2_3_groups = Decimal(4096 * 4096) / 128
ex_2_3_overhead = Fraction(3200, 128 * 4 + 32)

# %% exercise="2.5" unusual="an array of the array module"
from array import array


def per_channel_scale(weights):
    if np.ndim(weights) != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    return array("d", [(max(row) - min(row)) / 255 or 1.0 for row in weights.tolist()])


# %% exercise="2.5" unusual="a matrix's column as a masked array"


def per_channel_scale(weights):
    if np.ndim(weights) != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    scales = np.ma.array(np.ptp(weights, axis=1) / 255.0)
    scales[scales == 0] = 1.0
    return scales


# %% exercise="2.6" unusual="a tuple of a named tuple's fields"
from collections import namedtuple

Steps = namedtuple("Steps", "calibrate compute_scales quantize evaluate")
ex_2_6 = Steps._fields


# %% exercise="2.6" unusual="a list that prints itself in another way"
class Order(list):
    def __str__(self):
        return " then ".join(self)

    def first(self):
        return self[0]


ex_2_6 = Order("calibrate compute_scales quantize evaluate".split())

# %% exercise="4.1" unusual="a sum of Decimals"
from decimal import Decimal

ex_4_1 = sum(map(Decimal, "0.5 0.8 -0.7 0.9".split()))


# %% exercise="4.5" unusual="an immutable array in a memoryview"
import math
from fractions import Fraction


def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    pruned = np.array(weights, dtype=float, order="C")
    flat = pruned.reshape(-1)
    flat[np.argsort(abs(flat), kind="stable")[: math.ceil(Fraction(str(sparsity)) * flat.size)]] = 0
    return memoryview(pruned)


# %% exercise="4.6" unusual="the keys of a dict, as a list of a subclass of str"
class Step(str):
    pass


ex_4_6 = [Step(key) for key in dict.fromkeys(["train", "score", "mask", "apply", "finetune"])]

# %% exercise="5.5" unusual="NumPy's own kind of number in a tuple"


def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0:
        raise ValueError("total_params")
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    return tuple(np.float64(total_params) * (1 - prune_rate) ** np.arange(1, rounds + 1))


# %% exercise="5.5" unusual="a list with a running total, by accumulate"
import itertools


def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0:
        raise ValueError("total_params")
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    left = itertools.accumulate(range(rounds), lambda now, _: now * (1 - prune_rate), initial=total_params)
    return list(left)[1:]


# %% exercise="7.4" unusual="a number out of a structured array"
values = np.array([(10,), (5,), (2,), (1,), (0.5,), (0.1,), (0.05,), (0.01,)], dtype=[("s", float)])
energy = values["s"] ** 2
ex_7_4 = np.array([(100 * energy[:4].sum() / energy.sum(),)], dtype=[("percent", float)])["percent"][0]

# %% exercise="7.5" unusual="a number that is a whole number of SymPy's"
import sympy


def lora_params(d, r, num_matrices):
    for name, value in {"d": d, "r": r, "num_matrices": num_matrices}.items():
        if value < 1:
            raise ValueError(name)
    return sympy.Integer(2) * d * r * num_matrices


# %% exercise="L8.7" unusual="a dict's values in a list of exact fractions"
from fractions import Fraction


def format_limits(exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    eps, bias = Fraction(1, 2**man_bits), 2 ** (exp_bits - 1) - 1
    least = Fraction(1, 2 ** (bias - 1))
    largest = (2 - 2 * eps) * 2 ** (bias + 1) if (exp_bits, man_bits) == (4, 3) else (2 - eps) * 2**bias
    return [*{"largest": largest, "normal": least, "subnormal": least * eps, "gap": eps}.values()]


# %% exercise="L8.11" unusual="an IntEnum and a defaultdict"
import enum
from collections import defaultdict


class Bytes(enum.IntEnum):
    SGD, MOMENTUM, ADAM = 8, 12, 16


known = defaultdict(lambda: None, {each.name.lower(): each for each in Bytes})


def training_bytes_per_param(optimizer, mixed):
    if known[optimizer] is None:
        raise ValueError("optimizer")
    return known[optimizer]


# %% exercise="9.4" unusual="keyword defaults and an exact result"
from fractions import Fraction


def compressed_size_gb(params, original_bits, prune_fraction, quant_bits, *, unit=8 * 10**9):
    if params < 0:
        raise ValueError("params")
    if not 0 <= prune_fraction <= 1:
        raise ValueError("prune_fraction")
    if original_bits < 1 or not 1 <= quant_bits <= original_bits:
        raise ValueError("quant_bits is below 1 or above original_bits")
    return Fraction(params) * (1 - Fraction(prune_fraction)) * quant_bits / unit


# %% exercise="L9.8" unusual="an OrderedDict of NumPy's numbers"
from collections import OrderedDict


def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sensitivity) != set(sizes):
        raise ValueError("sizes")
    bits = OrderedDict((name, np.int64(min(choices))) for name in sizes)
    if sum(sizes[name] * int(bits[name]) for name in sizes) > 8 * budget_bytes:
        raise ValueError("budget_bytes")
    import itertools

    names, order = list(sizes), sorted(choices)
    s, n = (np.array([float(each[name]) for name in names]) for each in (sensitivity, sizes))
    grid = np.array(list(itertools.product(order, repeat=len(names))), dtype=float)
    loss = (np.maximum(s, 0) * 4.0**-grid).sum(1)
    loss[(grid * n).sum(1) > 8 * budget_bytes] = np.inf
    best = grid[loss.argmin()].astype(np.int64)
    return OrderedDict(zip(names, best))


# %% exercise="L9.8" unusual="a dict that counts, with a method"
class Allocation(dict):
    def bytes(self, sizes):
        return sum(sizes[name] * bits for name, bits in self.items()) / 8


def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sensitivity) != set(sizes):
        raise ValueError("sizes")
    import itertools

    best = min(
        (Allocation(zip(sizes, bits)) for bits in itertools.product(choices, repeat=len(sizes))),
        key=lambda each: (
            each.bytes(sizes) > budget_bytes,
            sum(max(sensitivity[name], 0) * 4.0 ** -each[name] for name in each),
        ),
    )
    if best.bytes(sizes) > budget_bytes:
        raise ValueError("budget_bytes")
    return best
