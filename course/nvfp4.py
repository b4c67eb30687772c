"""NVFP4, as NVIDIA's Blackwell multiplies it: 4-bit floats in blocks of 16, each block with a scale in FP8 (E4M3).

A number has a sign, two bits of exponent and one of mantissa (E2M1; OCP Microscaling Formats v1.0, 2023). PyTorch's
`scaled_mm` takes two of them a byte, and the scales in the order in which the tensor cores read them (NVIDIA, cuBLAS
documentation, "1D Block Scaling Factors Layout"). NVFP4 also has one FP32 scale for the whole matrix; it is left out
here, so the largest number of each block has to lie between 0.012 and 2688.
"""

from collections.abc import Callable

import torch
from torch.nn import functional

from course import hardware

BLOCK = 16
#: Of a number, with its share of the block's scale.
BITS = 4 + 8 / BLOCK
#: What the codes 0 to 7 stand for; 8 to 15 are the same with a minus sign.
LEVELS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)


def product(x: torch.Tensor, w: torch.Tensor) -> Callable[[], torch.Tensor]:
    """A function of no arguments that multiplies x (m, k) by w (n, k) over k, both rounded to NVFP4, into bfloat16.

    k is a multiple of 32. Raises Refused where the chip does not have the type, AttributeError where PyTorch does not.
    """
    hardware.require("fp4")
    kind = torch.float4_e2m1fn_x2
    recipe, order = functional.ScalingType.BlockWise1x16, functional.SwizzleType.SWIZZLE_32_4_4
    (x, x_scales), (w, w_scales) = ((codes.view(kind), tiled(scales)) for codes, scales in map(rounded, (x, w)))
    return lambda: functional.scaled_mm(
        x, w.t(), x_scales, recipe, w_scales, recipe, swizzle_a=order, swizzle_b=order, output_dtype=torch.bfloat16
    )


def rounded(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(the codes of `values` (rows, columns), two a byte, the first in its lower half; E4M3 scales (rows, blocks))."""
    blocks = values.float().unflatten(1, (-1, BLOCK))
    scales = (blocks.abs().amax(2) / LEVELS[-1]).clamp(2.0**-9, 448).to(torch.float8_e4m3fn)
    scaled = (blocks / scales.float().unsqueeze(2)).flatten(1)
    levels = torch.tensor(LEVELS, device=values.device)
    codes = torch.bucketize(scaled.abs(), (levels[1:] + levels[:-1]) / 2) + 8 * (scaled < 0)
    codes = codes.to(torch.uint8)
    return codes[:, ::2] | codes[:, 1::2] << 4, scales


def tiled(scales: torch.Tensor) -> torch.Tensor:
    """The scales (rows, blocks) in a row of tiles: 128 rows by 4 blocks each, of which every 32nd row lies together."""
    rows, blocks = scales.shape
    padded = functional.pad(scales.view(torch.uint8), (0, -blocks % 4, 0, -rows % 128))
    tiles = padded.view(-1, 4, 32, padded.shape[1] // 4, 4).permute(0, 3, 2, 1, 4)
    return tiles.flatten().view(torch.float8_e4m3fn)
