"""What this machine does: bytes and operations per second, measured on CUDA where there is a GPU, else on the CPU.

`course.devices` has what data sheets promise; `this_machine()` gives such a row from a few seconds of measuring. What
PyTorch or the hardware does not multiply is `Refused`, with the reason.
"""

import contextlib
import functools
import itertools
import os
import platform
from collections.abc import Callable, Iterable
from pathlib import Path

import torch

from course import GRADING
from course.devices import DEVICES, Device
from course.timing import timings

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

#: Bits of a stored number of each type; the types that `matmul` can multiply are those of `DTYPES`.
BITS = {"fp32": 32, "tf32": 32, "bf16": 16, "fp16": 16, "fp8": 8, "int8": 8, "fp4": 4, "int4": 4}
DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "fp8": torch.float8_e4m3fn,
    "int8": torch.int8,
}

#: From this compute capability on, NVIDIA's chips have the type. Older ones run it another way, and slower.
_SINCE = {"tf32": (8, 0), "bf16": (8, 0), "int4": (8, 0), "fp8": (8, 9), "fp4": (10, 0)}

#: What PyTorch raises where it lacks a product: that depends on its version and on the device.
LACKING = (RuntimeError, AttributeError, ValueError)

_COPIED_BYTES = 2**20 if GRADING else 2**28  # far larger than any cache
_LARGEST = 256 if GRADING else 8192 if DEVICE == "cuda" else 2048  # side of the largest matrix multiplied


class Refused(RuntimeError):
    """PyTorch or the hardware does not take this product; the message says why in one line."""


def datasheet() -> Device | None:
    """The row of DEVICES that is DEVICE, known by its driver's name for it; None on a CPU or another GPU."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return next((device for device in DEVICES.values() if device.driver_name == name), None)


def multiplier(kind: str) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The product of x (m, k) and w (n, k), both of DTYPES[kind], over k; raises Refused.

    The second matrix is stored as a Linear layer stores its weights, (n, k) row by row. Floating-point types give
    their own type (fp8 gives bf16), int8 gives int32 sums.
    """
    if kind not in DTYPES:
        raise ValueError(f"kind must be one of {', '.join(DTYPES)}, got {kind!r}")
    require(kind)
    if kind == "int8":
        return lambda x, w: torch._int_mm(x, w.t())
    return {"fp8": _in_fp8, "tf32": _in_tf32}.get(kind, lambda x, w: x @ w.t())


def require(kind: str) -> None:
    """Raise Refused where this machine's chip does not have the type."""
    if not torch.cuda.is_available():
        if kind == "tf32":
            raise Refused("TF32 is a mode of NVIDIA's tensor cores")
        if kind == "fp4":
            raise Refused("PyTorch multiplies FP4 on NVIDIA's GPUs, from compute capability 10.0 on")
    elif (has := torch.cuda.get_device_capability()) < (needs := _SINCE.get(kind, (0, 0))):
        needed, given = (".".join(map(str, version)) for version in (needs, has))
        raise Refused(f"{kind} comes with compute capability {needed}, {torch.cuda.get_device_name()} has {given}")


def matmul(kind: str, m: int, k: int, n: int) -> Callable[[], torch.Tensor]:
    """A function of no arguments that multiplies (m, k) by (k, n) as `multiplier` does, on DEVICE; raises Refused."""
    multiply = multiplier(kind)
    x, w = (_integers(rows, k).to(DTYPES[kind]) for rows in (m, n))
    return lambda: multiply(x, w)


def decoding_steps(
    kind: str, batches: Iterable[int] = (1,), layers: int = 16, side: int = 4096, in_turn: bool = False
) -> dict[int, Callable[[], list[torch.Tensor]]]:
    """{batch: a function that multiplies `batch` vectors by `layers` matrices (side, side)}, on DEVICE.

    So it reads every weight once from memory, as a step of decoding does; make the matrices larger than the caches. All
    batches share them. kind: how the weights are stored. fp32, bf16 and fp16 are multiplied as they are; int8 and int4
    are unpacked within the product. in_turn: a call multiplies by one of the matrices, and the next call by the next:
    weights as cold, in less time. Raises Refused, also where a product comes out wrong.
    """
    if kind not in ("fp32", "bf16", "fp16", "int8", "int4"):
        raise ValueError(f"kind must be one of fp32, bf16, fp16, int8, int4, got {kind!r}")
    row = torch.randint(-1, 2, (1, side), dtype=torch.int8, device=DEVICE)
    inputs = torch.bfloat16 if kind.startswith("int") else DTYPES[kind]
    xs = {batch: row.repeat(batch, 1).to(inputs) for batch in batches}
    try:
        w, product = _stored(kind, row.repeat(side, 1))
        sums = row.float().square().sum()
        right = all(torch.isclose(product(x, w).float(), sums, rtol=0.1).all() for x in xs.values())
    except LACKING as error:
        raise refused(error) from None
    if not right:
        raise Refused(f"the product with {kind} weights comes out wrong here")
    matrices = [w.clone() for _ in range(layers)]
    if in_turn:
        endless = itertools.cycle(matrices)
        return {batch: lambda x=x: [product(x, next(endless))] for batch, x in xs.items()}
    return {batch: lambda x=x: [product(x, w) for w in matrices] for batch, x in xs.items()}


def _stored(kind: str, w: torch.Tensor) -> tuple[torch.Tensor, Callable]:
    """`w` as weights of that type are stored, and its product with x."""
    if kind == "int4":
        return _int4(w)
    if kind == "int8":
        scales = torch.ones(len(w), dtype=torch.bfloat16, device=DEVICE)
        return w, lambda x, w: torch._weight_int8pack_mm(x, w, scales)
    return w.to(DTYPES[kind]), lambda x, w: x @ w.t()


def _int4(w: torch.Tensor) -> tuple[torch.Tensor, Callable]:
    """`w` packed two codes a byte, and its product with x; each 128 weights have a scale of 1 and a zero of 0."""
    require("int4")
    scales_and_zeros = torch.tensor([1, 0], dtype=torch.bfloat16, device=DEVICE).repeat(w.shape[1] // 128, len(w), 1)
    if DEVICE == "cuda":
        codes = (w + 8).to(torch.uint8)
        packed = torch.ops.aten._convert_weight_to_int4pack(codes[:, ::2] << 4 | codes[:, 1::2], 8)
        return packed, lambda x, w: torch.ops.aten._weight_int4pack_mm(x, w, 128, scales_and_zeros)
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(w.int() + 8, 1)
    return packed, lambda x, w: torch.ops.aten._weight_int4pack_mm_for_cpu(x, w, 128, scales_and_zeros)


def refused(error: Exception) -> Refused:
    """What PyTorch raised, as Refused with the first line of its message."""
    return Refused((str(error).strip().splitlines() or [type(error).__name__])[0])


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


def _in_fp8(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    one = torch.ones((), device=x.device)
    product = torch._scaled_mm(x, w.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16)
    return product[0] if isinstance(product, tuple) else product  # up to torch 2.4 the largest value came with it


@functools.cache
def this_machine() -> Device:
    """What DEVICE is measured to do, as a row like those of DEVICES; measured once per session, in a few seconds.

    Bandwidth is the faster of a copy (read and written) and a sum (read only) of an array far larger than the caches;
    its spread over the rounds stands in `source`. A type's peak is that of its fastest square matrix product, of sizes
    that grow until one takes 30 ms. A machine has the types whose product is not refused.
    """
    bandwidth, spread = _bandwidth_gb_s()
    source = f"measured on {_chip()} (spread of the bandwidth {spread:.0%})"
    return Device("this machine", _memory_gb(), bandwidth, _peaks_tflops(), source)


def _bandwidth_gb_s() -> tuple[float, float]:
    """(GB/s, the spread of the rounds)."""
    source = torch.ones(_COPIED_BYTES // 4, device=DEVICE)
    target = torch.empty_like(source)
    found = timings({"copy": lambda: target.copy_(source), "sum": source.sum}, rounds=5)
    moved = {"copy": 2 * _COPIED_BYTES, "sum": _COPIED_BYTES}
    fastest = max(found, key=lambda name: moved[name] / found[name].seconds)
    return moved[fastest] / found[fastest].seconds / 1e9, found[fastest].spread


def _peaks_tflops() -> dict[str, float]:
    peaks = dict.fromkeys(DTYPES, 0.0)
    kinds, n = list(DTYPES), 256
    while kinds and n <= _LARGEST:
        works = {}
        for kind in kinds:
            with contextlib.suppress(Refused):
                works[kind] = _tried(matmul(kind, n, n, n))
        kinds = []
        for kind, taken in timings(works, rounds=3, seconds=0.1).items():
            reached = 2 * n**3 / taken.seconds / 1e12
            # On a busy machine a small product may take long as well; then a larger one does far more in that time.
            if taken.seconds < 0.03 or (taken.seconds < 0.3 and reached > 1.5 * peaks[kind]):
                kinds.append(kind)
            peaks[kind] = max(peaks[kind], reached)
        n *= 2
    return {kind: peak for kind, peak in peaks.items() if peak}


def _tried(work: Callable[[], object]) -> Callable[[], object]:
    """`work`, which has run once; raises Refused where that failed."""
    try:
        work()
    except LACKING as error:
        raise refused(error) from None
    return work


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
    name = cpuinfo("model name") or platform.processor() or platform.machine()
    return f"{name}, {torch.get_num_threads()} threads"


def cpuinfo(*fields: str) -> str:
    """What Linux says of the CPU in the first of `fields` that it has, such as "model name"; empty elsewhere."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text("utf-8", "replace").splitlines() if info.exists() else ():
        field, _, value = line.partition(":")
        if field.strip() in fields:
            return value.strip()
    return ""
