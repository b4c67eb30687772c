"""What a machine can do: bytes and operations per second, from datasheets, and measured on the one this runs on.

Peaks are dense, in TFLOPS (TOPS for integers). Datasheets like to print twice that, for matrices with 2:4 sparsity.
`this_machine()` gives such a row from a few seconds of measuring, on CUDA where there is a GPU, else on the CPU.
"""

import contextlib
import functools
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm.auto import tqdm

from course import GRADING

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

#: Bits of a stored number of each type; the types that `matmul` can multiply are those of `DTYPES`.
BITS = {"fp32": 32, "tf32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "int4": 4}
DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp8": torch.float8_e4m3fn,
    "int8": torch.int8,
}

_COPIED_BYTES = 2**20 if GRADING else 2**28  # far larger than any cache
_LARGEST = 256 if GRADING else 8192  # side of the largest matrix multiplied


@dataclass(frozen=True)
class Device:
    """One machine: memory_gb and bandwidth_gb_s in decimal GB, dense peak_tflops by type, and where that is from."""

    name: str
    memory_gb: float
    bandwidth_gb_s: float
    peak_tflops: Mapping[str, float]
    source: str

    @property
    def half_tflops(self) -> float:
        """The peak for weights of 16 bits or fewer, unpacked to a 16-bit type, or to FP32 where that is faster."""
        return max(self.peak_tflops.get(kind, 0) for kind in ("fp16", "bf16", "fp32"))


_A100 = {"fp32": 19.5, "tf32": 156, "bf16": 312, "fp16": 312, "int8": 624, "int4": 1248}

DEVICES = {
    device.name: device
    for device in (
        Device("A100 80 GB", 80, 2039, _A100, "NVIDIA A100 80GB datasheet (2021), SXM"),
        Device("A100 40 GB", 40, 1555, _A100, "NVIDIA A100 Tensor Core GPU architecture whitepaper (2020), SXM"),
        Device(
            "H100",
            80,
            3350,
            {"fp32": 67, "tf32": 495, "bf16": 989, "fp16": 989, "fp8": 1979, "int8": 1979},
            "NVIDIA H100 datasheet (2023), SXM; half of the figures given with sparsity",
        ),
        Device(
            "T4",
            16,
            320,
            {"fp32": 8.1, "fp16": 65, "int8": 130, "int4": 260},
            "NVIDIA Turing GPU architecture whitepaper (2018), Tesla T4",
        ),
        Device(
            "L4",
            24,
            300,
            {"fp32": 30.3, "tf32": 60, "bf16": 121, "fp16": 121, "fp8": 242.5, "int8": 242.5},
            "NVIDIA L4 datasheet (2023); half of the figures given with sparsity",
        ),
        Device(
            "RTX 4090",
            24,
            1008,
            {"fp32": 82.6, "tf32": 82.6, "bf16": 165, "fp16": 165, "fp8": 330, "int8": 661, "int4": 1321},
            "NVIDIA Ada GPU architecture whitepaper (2022); floating point accumulates in FP32",
        ),
    )
}


class Refused(RuntimeError):
    """PyTorch or the hardware does not take this product; the message says why in one line."""


def matmul(kind: str, m: int, k: int, n: int) -> Callable[[], torch.Tensor]:
    """A function of no arguments that multiplies (m, k) by (k, n) in `kind`, on DEVICE; raises Refused.

    The second matrix is stored as a Linear layer stores its weights, (n, k) row by row. Floating-point types give
    their own type (fp8 gives bf16), int8 gives int32 sums.
    """
    if kind not in DTYPES:
        raise ValueError(f"kind must be one of {', '.join(DTYPES)}, got {kind!r}")
    if kind == "tf32" and DEVICE == "cpu":
        raise Refused("TF32 is a mode of NVIDIA's tensor cores")
    x, w = (_integers(rows, k).to(DTYPES[kind]) for rows in (m, n))
    if kind == "int8":
        return lambda: torch._int_mm(x, w.t())
    if kind == "fp8":
        one = torch.ones((), device=DEVICE)
        return lambda: torch._scaled_mm(x, w.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16)
    if kind == "tf32":
        return lambda: _in_tf32(x, w)
    return lambda: x @ w.t()


def decoding_step(kind: str, batch: int = 1, layers: int = 16, side: int = 4096) -> Callable[[], list[torch.Tensor]]:
    """A function that multiplies `batch` vectors by `layers` matrices (side, side), one after the other, on DEVICE.

    So it reads every weight once from memory, as a step of decoding does; make the matrices larger than the caches.
    kind: how the weights are stored. fp32, bf16 and fp16 are multiplied as they are; int8 and int4 are unpacked to bf16
    within the product. Raises Refused, also where a product comes out wrong.
    """
    if kind not in ("fp32", "bf16", "fp16", "int8", "int4"):
        raise ValueError(f"kind must be one of fp32, bf16, fp16, int8, int4, got {kind!r}")
    row = torch.randint(-1, 2, (1, side), dtype=torch.int8, device=DEVICE)
    w = row.repeat(side, 1)
    x = row.repeat(batch, 1).to(torch.bfloat16 if kind.startswith("int") else DTYPES[kind])
    try:
        if kind == "int4":
            w, product = _int4(w, x)
        elif kind == "int8":
            scales = torch.ones(side, dtype=torch.bfloat16, device=DEVICE)
            product = lambda w: torch._weight_int8pack_mm(x, w, scales)  # noqa: E731
        else:
            w, product = w.to(DTYPES[kind]), lambda w: x @ w.t()
        right = torch.isclose(product(w).float(), row.float().square().sum(), rtol=0.1).all()
    except (RuntimeError, AttributeError) as error:
        raise _refused(error) from None
    if not right:
        raise Refused(f"the product with {kind} weights comes out wrong here")
    matrices = [w.clone() for _ in range(layers)]
    return lambda: [product(w) for w in matrices]


def _int4(w: torch.Tensor, x: torch.Tensor) -> tuple[torch.Tensor, Callable]:
    """`w` packed two codes a byte, and its product with `x`; each 128 weights have a scale of 1 and a zero of 0."""
    if DEVICE != "cpu":
        raise Refused("the 4-bit product used here is the one that PyTorch has for CPUs")
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(w.int() + 8, 1)
    scales_and_zeros = torch.tensor([1, 0], dtype=torch.bfloat16).repeat(w.shape[1] // 128, len(w), 1)
    return packed, lambda w: torch.ops.aten._weight_int4pack_mm_for_cpu(x, w, 128, scales_and_zeros)


def _refused(error: Exception) -> Refused:
    return Refused(str(error).strip().splitlines()[0])


def _integers(rows: int, columns: int) -> torch.Tensor:
    """Small random integers, which every type holds exactly; the rows are alike, because that is quick to make."""
    return torch.randint(-8, 9, (1, columns), dtype=torch.int8, device=DEVICE).repeat(rows, 1)


def _in_tf32(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        return x @ w.t()
    finally:
        torch.set_float32_matmul_precision(before)


def seconds(work: Callable[[], object]) -> float:
    """The median time of one call of `work`, of five after a first to warm up (fewer when it is slow); raises Refused.

    Short work is timed in blocks of 5 ms, so that the clock and the launch of a GPU's kernel weigh little.
    """
    wait = torch.cuda.synchronize if DEVICE == "cuda" else lambda: None

    def time_of(calls: int) -> float:
        wait()
        start = time.perf_counter()
        for _ in range(calls):
            work()
        wait()
        return (time.perf_counter() - start) / calls

    try:
        time_of(1)
        taken = [time_of(1)]
    except (RuntimeError, AttributeError) as error:
        raise _refused(error) from None
    calls = max(1, round(0.005 / taken[0]))
    if calls > 1:
        taken = [time_of(calls)]
    while len(taken) < 5 and calls * sum(taken) < 0.5:
        taken.append(time_of(calls))
    return statistics.median(taken)


@functools.cache
def this_machine() -> Device:
    """What DEVICE is measured to do, as a row like those of DEVICES; measured once per session, in a few seconds.

    Bandwidth is the faster of a copy (read and written) and a sum (read only) of an array far larger than the caches.
    A type's peak is that of its fastest square matrix product, of sizes that grow until one takes 30 ms.
    """
    with tqdm(total=1 + len(DTYPES), desc="measuring this machine", leave=False, disable=GRADING) as progress:
        bandwidth = _bandwidth_gb_s()
        progress.update()
        peaks = {}
        for kind in DTYPES:
            with contextlib.suppress(Refused):  # a machine has the types it takes, as a GPU of the table has
                peaks[kind] = _peak_tflops(kind)
            progress.update()
    return Device("this machine", _memory_gb(), bandwidth, peaks, f"measured on {_chip()}")


def _bandwidth_gb_s() -> float:
    source = torch.ones(_COPIED_BYTES // 4, device=DEVICE)
    target = torch.empty_like(source)
    copied = 2 * _COPIED_BYTES / seconds(lambda: target.copy_(source))
    summed = _COPIED_BYTES / seconds(source.sum)
    return max(copied, summed) / 1e9


def _peak_tflops(kind: str) -> float:
    best, n, taken = 0.0, 256, 0.0
    while n <= _LARGEST and taken < 0.03:
        taken = seconds(matmul(kind, n, n, n))
        best = max(best, 2 * n**3 / taken / 1e12)
        n *= 2
    return best


def _memory_gb() -> float:
    if DEVICE == "cuda":
        return torch.cuda.get_device_properties(0).total_memory / 1e9
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return float("nan")


def _chip() -> str:
    if DEVICE == "cuda":
        return torch.cuda.get_device_name()
    name = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        lines = info.read_text("utf-8", "replace").splitlines()
        name = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), name)
    return f"{name}, {torch.get_num_threads()} threads"
