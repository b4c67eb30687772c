"""What data sheets say of machines: memory, bandwidth and peaks.

Peaks are dense, in TFLOPS (TOPS for integers). Datasheets like to print twice that, for matrices with 2:4 sparsity.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Device:
    """One machine: memory_gb and bandwidth_gb_s in decimal GB, dense peak_tflops by type, and where that is from.

    driver_name: what the card's driver calls it; empty for other machines.
    """

    name: str
    memory_gb: float
    bandwidth_gb_s: float
    peak_tflops: Mapping[str, float]
    source: str
    driver_name: str = ""

    @property
    def half_tflops(self) -> float:
        """The peak for weights of 16 bits or fewer, unpacked to a 16-bit type, or to FP32 where that is faster."""
        return max(self.peak_tflops.get(kind, 0) for kind in ("fp16", "bf16", "fp32"))


_A100 = {"fp32": 19.5, "tf32": 156, "bf16": 312, "fp16": 312, "int8": 624, "int4": 1248}

DEVICES = {
    device.name: device
    for device in (
        Device("A100 80 GB", 80, 2039, _A100, "NVIDIA A100 80GB datasheet (2021), SXM", "NVIDIA A100-SXM4-80GB"),
        Device(
            "A100 40 GB",
            40,
            1555,
            _A100,
            "NVIDIA A100 Tensor Core GPU architecture whitepaper (2020), SXM",
            "NVIDIA A100-SXM4-40GB",
        ),
        Device(
            "H100",
            80,
            3350,
            {"fp32": 67, "tf32": 495, "bf16": 989, "fp16": 989, "fp8": 1979, "int8": 1979},
            "NVIDIA H100 datasheet (2023), SXM; half of the figures given with sparsity",
            "NVIDIA H100 80GB HBM3",
        ),
        Device(
            "T4",
            16,
            320,
            {"fp32": 8.1, "fp16": 65, "int8": 130, "int4": 260},
            "NVIDIA Turing GPU architecture whitepaper (2018), Tesla T4",
            "Tesla T4",
        ),
        Device(
            "L4",
            24,
            300,
            {"fp32": 30.3, "tf32": 60, "bf16": 121, "fp16": 121, "fp8": 242.5, "int8": 242.5},
            "NVIDIA L4 datasheet (2023); half of the figures given with sparsity",
            "NVIDIA L4",
        ),
        Device(
            "RTX 4090",
            24,
            1008,
            {"fp32": 82.6, "tf32": 82.6, "bf16": 165, "fp16": 165, "fp8": 330, "int8": 661, "int4": 1321},
            "NVIDIA Ada GPU architecture whitepaper (2022); floating point accumulates in FP32",
            "NVIDIA GeForce RTX 4090",
        ),
        Device(
            "B200",
            180,
            7700,
            {"fp32": 75, "tf32": 1100, "bf16": 2250, "fp16": 2250, "fp8": 4500, "int8": 4500, "fp4": 9000},
            "NVIDIA Blackwell datasheet (2025), one GPU of an HGX B200; half of the figures given with sparsity",
            "NVIDIA B200",
        ),
        Device(
            "RTX 5090",
            32,
            1792,
            {"fp32": 104.8, "tf32": 104.8, "bf16": 209.5, "fp16": 209.5, "fp8": 419, "int8": 838, "fp4": 1676},
            "NVIDIA RTX Blackwell GPU architecture whitepaper (2025); floating point accumulates in FP32",
            "NVIDIA GeForce RTX 5090",
        ),
    )
}
