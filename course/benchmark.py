"""Matrix products in every type, timed and compared: a row for each type and size, and what refuses says why.

All types of one size are timed in turn (`course.timing`), so a machine that turns busy slows all of them alike. A
product takes its matrices in turn from copies that together are larger than most caches, because in a network other
layers come between two uses of one matrix. All types start from the same normal numbers in float32, so their errors can
be compared too.
"""

import itertools
import math
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch

from course import GRADING, hardware, nvfp4, timing
from course.hardware import DEVICE, DTYPES, LACKING, Refused
from course.timing import Timing

PACKED = "int8, packed"
YOURS = "int8, yours"

#: What multiplies: (the type whose peak it is held against, bits of a number in x, in w and in the result).
PRODUCTS = {
    "fp32": ("fp32", 32, 32, 32),
    "tf32": ("tf32", 32, 32, 32),
    "bf16": ("bf16", 16, 16, 16),
    "fp16": ("fp16", 16, 16, 16),
    "fp8": ("fp8", 8, 8, 16),
    "fp4": ("fp4", nvfp4.BITS, nvfp4.BITS, 16),
    "int8": ("int8", 8, 8, 32),
    PACKED: ("int8", 32, 8, 32),
    YOURS: ("int8", 32, 32, 32),
}

#: The largest number of a type that needs a scale.
LARGEST = {"int8": 127, "fp8": 448}

#: Words in /proc/cpuinfo for instructions that multiply and add numbers of a type, on x86 and on ARM.
INSTRUCTIONS = {
    "bf16": {"avx512_bf16", "amx_bf16", "bf16"},
    "fp16": {"avx512_fp16", "amx_fp16", "fphp", "asimdhp"},
    "int8": {"avx_vnni", "avx512_vnni", "avx_vnni_int8", "amx_int8", "asimddp", "i8mm"},
}

_COPIED_BYTES, _MOST_COPIES = (0, 1) if GRADING else (2**26, 64)
_CHECKED_ROWS = 256  # of the result, for the error: a product in float64 is slow, and all rows are alike
_SLOW = 0.05  # seconds from which three rounds must do


@dataclass(frozen=True)
class Row:
    """One product (m, k) x (k, n): the seconds it takes and its error relative to float64, or why it was refused.

    seconds, spread: those of `course.timing.Timing`.
    """

    name: str
    shape: tuple[int, int, int]
    seconds: float = math.nan
    error: float = math.nan
    refused: str = ""
    spread: float = math.nan

    @property
    def kind(self) -> str:
        return PRODUCTS[self.name][0]

    @property
    def operations(self) -> int:
        return 2 * math.prod(self.shape)

    @property
    def bytes_moved(self) -> float:
        """Each matrix once: the two that are read and the result that is written."""
        m, k, n = self.shape
        _, x_bits, w_bits, y_bits = PRODUCTS[self.name]
        return (m * k * x_bits + k * n * w_bits + m * n * y_bits) / 8


def shapes() -> list[tuple[int, int, int]]:
    """Square products, and thin ones: a batch of few vectors through one layer of a language model."""
    if GRADING:
        return [(32, 64, 64)]
    if torch.cuda.is_available():
        return [(1024, 1024, 1024), (4096, 4096, 4096), (16, 4096, 4096), (32, 4096, 4096)]
    return [(512, 512, 512), (1024, 1024, 1024), (16, 4096, 4096)]


def compare(int8_matmul: Callable, sizes: Iterable[tuple[int, int, int]]) -> list[Row]:
    """A row for each of PRODUCTS in each size. int8_matmul: the learner's, called with (m, k) and (k, n) in float32."""
    rows = []
    for m, k, n in sizes:
        generator = torch.Generator().manual_seed(0)
        x, w = (torch.randn(count, k, generator=generator).to(DEVICE) for count in (m, n))
        exact = x[:_CHECKED_ROWS].double() @ w.double().t()
        works, errors, refused = {}, {}, {}
        for name in PRODUCTS:
            try:
                works[name], errors[name] = _prepared(name, x, w, exact, int8_matmul)
            except LACKING as error:
                refused[name] = str(hardware.refused(error))
        taken = _timed({name: _or_refused(name, work, refused) for name, work in works.items()})
        for name in PRODUCTS:
            if name in refused:
                rows.append(Row(name, (m, k, n), refused=refused[name]))
            else:
                rows.append(Row(name, (m, k, n), taken[name].seconds, errors[name], spread=taken[name].spread))
    return rows


def _prepared(name: str, x: torch.Tensor, w: torch.Tensor, exact: torch.Tensor, int8_matmul: Callable):
    """(x (m, k) by w (n, k) as a function of no arguments, its relative error). exact: the first rows of the result."""
    work, scale = _product(name, x, w, int8_matmul)
    result = work()[:_CHECKED_ROWS].double() * scale
    _, x_bits, w_bits, _ = PRODUCTS[name]
    copies = min(_MOST_COPIES, 1 + int(_COPIED_BYTES / ((len(x) * x_bits + len(w) * w_bits) * x.shape[1] / 8)))
    works = [work, *(_product(name, x.clone(), w.clone(), int8_matmul)[0] for _ in range(copies - 1))]
    in_turn = itertools.cycle(works)
    return lambda: next(in_turn)(), ((result - exact).norm() / exact.norm()).item()


def _or_refused(name: str, work: Callable, refused: dict[str, str]) -> Callable[[], None]:
    """`work`, which puts its reason into `refused` should it fail later than at its first call."""

    def run() -> None:
        try:
            if name not in refused:
                work()
        except LACKING as error:
            refused[name] = str(hardware.refused(error))

    return run


def _timed(works: dict[str, Callable]) -> dict[str, Timing]:
    """The times of all in turn: three rounds, and more of those that are quick."""
    found = timing.timings(works, rounds=3, seconds=0.1)
    quick = {name: work for name, work in works.items() if found[name].seconds < _SLOW}
    return found | timing.timings(quick)


def _product(name: str, x: torch.Tensor, w: torch.Tensor, int8_matmul: Callable) -> tuple[Callable, float]:
    """(a function of no arguments that multiplies x by w.T, what its result is to be multiplied by).

    Casting and packing are done here, before the clock runs; `int8_matmul` and the packed kernel quantize x, and
    `int8_matmul` w too, while it runs.
    """
    if name == YOURS:
        return lambda: _learners(int8_matmul, x, w.t()), 1.0
    if name == PACKED:
        return _packed(x, w), 1.0
    if name == "fp4":
        return nvfp4.product(x, w), 1.0
    multiply = hardware.multiplier(name)
    (x, x_scale), (w, w_scale) = _cast(x, name), _cast(w, name)
    return lambda: multiply(x, w), x_scale * w_scale


def _cast(values: torch.Tensor, kind: str) -> tuple[torch.Tensor, float]:
    """(values in the type, what they were divided by): one scale for the whole matrix where 8 bits need one."""
    if kind not in LARGEST:
        return values.to(DTYPES[kind]), 1.0
    scale = values.abs().max().item() / LARGEST[kind]
    return (values / scale if kind == "fp8" else (values / scale).round()).to(DTYPES[kind]), scale


def _packed(x: torch.Tensor, w: torch.Tensor) -> Callable[[], torch.Tensor]:
    """PyTorch's int8 linear layer for CPUs: w in int8, laid out as the kernel reads it; x is quantized on the way."""
    if torch.cuda.is_available():
        raise Refused("the packed int8 linear kernel is the one that PyTorch has for CPUs")
    scales, zeros = w.abs().amax(1).double() / 127, torch.zeros(len(w), dtype=torch.long)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # quantized tensors will leave PyTorch one day; then this is a refusal
            codes = torch.quantize_per_channel(w, scales, zeros, 0, torch.qint8)
            packed = torch.ops.quantized.linear_prepack(codes, None)
    except (RuntimeError, AttributeError, NotImplementedError) as error:
        raise hardware.refused(error) from None
    # True: x has 7 bits, so that two products fit into 16 bits on CPUs that add them up there.
    return lambda: torch.ops.quantized.linear_dynamic(x, packed, True)


def _learners(int8_matmul: Callable, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """What the learner's function returns; a row says what is wrong when it raises, and the others go on."""
    try:
        result = int8_matmul(a, b)
    except Exception as error:
        raise Refused(f"{type(error).__name__}: {hardware.refused(error)}") from None
    if not isinstance(result, torch.Tensor) or result.shape != (len(a), b.shape[1]):
        given = tuple(result.shape) if isinstance(result, torch.Tensor) else type(result).__name__
        raise Refused(f"your int8_matmul should return a tensor {(len(a), b.shape[1])}, it returned {given}")
    return result


def peaks(rows: list[Row], tflops: Callable) -> hardware.Device:
    """The data sheet of this machine's GPU; elsewhere what was measured, with the fastest of the rows for each type."""
    if sheet := hardware.datasheet():
        return sheet
    machine = hardware.this_machine()
    fastest = dict(machine.peak_tflops)
    for row in rows:
        if not row.refused:
            fastest[row.kind] = max(fastest.get(row.kind, 0), tflops(*row.shape, row.seconds))
    return replace(machine, peak_tflops=fastest)


def table(rows: list[Row], tflops: Callable, machine: hardware.Device, predicted: dict[Row, float]) -> str:
    """The rows as text, and a line below where times spread widely.

    tflops: the learner's, of (m, k, n, seconds). predicted: seconds of rows.
    """
    lines = [
        f"{'m x k x n':>16}  {'type':12}  {'ms':>9}  {'spread':>6}  {'TFLOPS':>8}  {'of peak':>7}  {'error':>8}"
        f"  {'predicted ms':>12}"
    ]
    measured = [row for row in rows if not row.refused]
    for row in rows:
        size = " x ".join(map(str, row.shape))
        if row.refused:
            lines.append(f"{size:>16}  {row.name:12}  {row.refused}")
            continue
        rate = tflops(*row.shape, row.seconds)
        share = f"{rate / machine.peak_tflops[row.kind]:.0%}" if row.kind in machine.peak_tflops else "-"
        promise = f"{1000 * predicted[row]:.3f}" if row in predicted else "-"
        lines.append(
            f"{size:>16}  {row.name:12}  {1000 * row.seconds:>9.3f}  {row.spread:>6.0%}  {rate:>8.4f}  {share:>7}"
            f"  {row.error:>8.1e}  {promise:>12}"
        )
    widest = {row.name: Timing(row.seconds, row.spread) for row in sorted(measured, key=lambda row: row.spread)}
    again = timing.measure_again({name: widest[name] for name in PRODUCTS if name in widest})
    return "\n".join([*lines, again] if again else lines)


def explained(rows: list[Row]) -> list[str]:
    """A sentence for each type: how it does against fp32 in the largest and the thinnest product, and why."""
    taken = {(row.name, row.shape): row for row in rows if not row.refused}
    said = []
    for name in PRODUCTS:
        pairs = {
            shape: (taken["fp32", shape], row)
            for (other, shape), row in taken.items()
            if other == name and ("fp32", shape) in taken
        }
        if not pairs or name in ("fp32", YOURS):
            continue
        largest, thinnest = max(pairs, key=math.prod), min(pairs)
        thin = f", {_speed(*pairs[thinnest])} with {thinnest[0]} rows" if thinnest[0] < largest[0] else ""
        best = max(fp32.seconds / row.seconds for fp32, row in pairs.values())
        said.append(f"{name}: {_speed(*pairs[largest])} as fp32{thin}. {_why(name, best)}")
    return said


def _speed(fp32: Row, row: Row) -> str:
    """How fast `row` is beside `fp32`, in words; what lies within the spread of both is no difference."""
    ratio = fp32.seconds / row.seconds
    if abs(math.log(ratio)) < fp32.spread + row.spread:
        return "about as fast"
    return f"{ratio:.1f} x as fast" if ratio >= 1 else f"1/{1 / ratio:.1f} as fast"


def _why(name: str, ratio: float) -> str:
    if torch.cuda.is_available():
        has_cores = torch.cuda.get_device_capability() >= (7, 0)
        return f"This GPU has {'' if has_cores else 'no '}tensor cores."
    flags = set(hardware.cpuinfo("flags", "Features").split())
    has = sorted(INSTRUCTIONS.get(PRODUCTS[name][0], set()) & flags)
    if not flags:
        why = "The system does not say which instructions this CPU has."
    elif not has:
        why = "This CPU has no instruction that multiplies and adds this type: the product is made of others."
    else:
        why = f"This CPU has instructions for it ({', '.join(has)})."
        why += "" if ratio >= 1 else " This product does not make good use of them."
    return why + (" Its weights were laid out beforehand as the kernel reads them." if name == PACKED else "")
