# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# ## 2.1 Overhead of scales and zero-points per channel, in percent

# %% exercise="2.1" right="three digits"
ex_2_1 = 0.0488

# %% exercise="2.1" right="computed"
ex_2_1 = 2 * 4096 / (4096 * 4096) * 100

# %% exercise="2.1" wrong="a scale only"
ex_2_1 = 0.0244

# %% exercise="2.1" wrong="a share, not percent"
ex_2_1 = 0.000488

# %% exercise="2.1" wrong="the number of values"
ex_2_1 = 8192

# %% exercise="2.1" wrong="rows and columns"
ex_2_1 = 0.0977

# %% exercise="2.1" wrong="one grid for the tensor"
ex_2_1 = 2 / 4096**2 * 100

# %% exercise="2.1" right="text that reads as a number"
ex_2_1 = "0.0488"

# %% exercise="2.1" wrong="a value for each weight of a row"
ex_2_1 = 100 * 3 / 4096

# %% [markdown]
# ## 2.2 One scale for a small and a large channel

# %% exercise="2.2" right="the letter"
ex_2_2 = "B"

# %% exercise="2.2" right="small letter"
ex_2_2 = "b"

# %% exercise="2.2" wrong="small weights have small errors"
ex_2_2 = "A"

# %% exercise="2.2" wrong="everything below a step becomes 0"
ex_2_2 = "C"

# %% exercise="2.2" wrong="levels are shared out among channels"
ex_2_2 = "D"

# %% [markdown]
# ## 2.3 Groups and their overhead

# %% exercise="2.3" right="numbers"
ex_2_3_groups = 131072
ex_2_3_overhead = 5.88

# %% exercise="2.3" right="computed"
ex_2_3_groups = 4096 * (4096 // 128)
ex_2_3_overhead = (1 - 4 / 4.25) * 100

# %% exercise="2.3" wrong="groups of one row, share of the codes"
ex_2_3_groups = 32
ex_2_3_overhead = 6.25

# %% exercise="2.3" wrong="share of the codes"
ex_2_3_groups = 131072
ex_2_3_overhead = 6.25

# %% exercise="2.3" wrong="a scale only"
ex_2_3_groups = 131072
ex_2_3_overhead = 100 * 16 / (512 + 16)

# %% exercise="2.3" wrong="a share, not percent"
ex_2_3_groups = 131072
ex_2_3_overhead = 32 / 544

# %% exercise="2.3" wrong="counts values instead of bits"
ex_2_3_groups = 131072
ex_2_3_overhead = 100 * 2 / 130

# %% exercise="2.3" wrong="square blocks"
ex_2_3_groups = 32 * 32
ex_2_3_overhead = 5.88

# %% exercise="2.3" wrong="groups along the whole matrix's outputs, counted once"
ex_2_3_groups = 4096
ex_2_3_overhead = 5.88

# %% exercise="2.3" wrong="the share of the codes in everything"
ex_2_3_groups = 131072
ex_2_3_overhead = 100 - 5.88

# %% exercise="2.3" wrong="the overhead is missing"
ex_2_3_groups = 131072
ex_2_3_overhead = None

# %% [markdown]
# ## 2.4 What GPTQ minimises

# %% exercise="2.4" right="the letter"
ex_2_4 = "C"

# %% exercise="2.4" wrong="the weight error"
ex_2_4 = "A"

# %% exercise="2.4" wrong="the model's loss"
ex_2_4 = "B"

# %% exercise="2.4" wrong="the largest weight error"
ex_2_4 = "D"

# %% [markdown]
# ## 2.5 per_channel_scale


# %% exercise="2.5" right="vectorised"
def per_channel_scale(weights):
    weights = np.asarray(weights, np.float64)
    if weights.ndim != 2:
        raise ValueError("weights must have two dimensions")
    if not np.all(np.isfinite(weights)):
        raise ValueError("weights must be finite")
    scale = np.ptp(weights, axis=1) / 255
    scale[scale == 0] = 1.0
    return scale


# %% exercise="2.5" right="plain loop, a list"
def per_channel_scale(weights):
    if np.ndim(weights) != 2:
        raise ValueError(f"weights has {np.ndim(weights)} dimensions")
    scales = []
    for row in np.asarray(weights).tolist():
        if any(v != v or v in (float("inf"), float("-inf")) for v in row):
            raise ValueError("weights holds NaN or inf")
        scales.append((max(row) - min(row)) / 255 or 1e-8)
    return scales


# %% exercise="2.5" right="torch"
def per_channel_scale(weights):
    weights = torch.as_tensor(weights).to(torch.float32)
    if weights.dim() != 2 or not torch.isfinite(weights).all():
        raise ValueError("weights")
    return ((weights.amax(1) - weights.amin(1)) / 255).clamp(min=1e-12)


# %% exercise="2.5" wrong="columns instead of rows" likely=true
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    span = weights.max(0) - weights.min(0)
    return np.where(span > 0, span, 1) / 255


# %% exercise="2.5" wrong="one scale for the whole matrix"
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    span = weights.max() - weights.min()
    return np.full(len(weights), span or 1.0) / 255


# %% exercise="2.5" wrong="scale 0 for a constant row" likely=true
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    return (weights.max(1) - weights.min(1)) / 255


# %% exercise="2.5" wrong="256 steps" likely=true
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    span = weights.max(1) - weights.min(1)
    return np.where(span > 0, span, 1) / 256


# %% exercise="2.5" wrong="symmetric: absmax over 127"
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    absmax = np.abs(weights).max(1)
    return np.where(absmax > 0, absmax, 1) / 127


# %% exercise="2.5" wrong="widens the range to hold 0" likely=true
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    span = np.maximum(weights.max(1), 0) - np.minimum(weights.min(1), 0)
    return np.where(span > 0, span, 1) / 255


# %% exercise="2.5" wrong="adds an epsilon to every scale"
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    return (weights.max(1) - weights.min(1)) / 255 + 1e-5


# %% exercise="2.5" wrong="keeps the axis"
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    span = weights.max(1, keepdims=True) - weights.min(1, keepdims=True)
    return np.where(span > 0, span, 1) / 255


# %% exercise="2.5" wrong="accepts nonsense"
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    span = weights.max(-1) - weights.min(-1)
    return np.where(span > 0, span, 1) / 255


# %% exercise="2.5" wrong="hides NaN behind nan_to_num"
def per_channel_scale(weights):
    weights = np.nan_to_num(np.asarray(weights, float), posinf=1.0, neginf=-1.0)
    if weights.ndim != 2:
        raise ValueError("weights")
    span = weights.max(1) - weights.min(1)
    return np.where(span > 0, span, 1) / 255


# %% exercise="2.5" right="the scale of a row where it has one, in place of a 1"
def per_channel_scale(weights):
    weights = np.array(weights, dtype=np.float64)
    if weights.ndim != 2 or np.isnan(weights).any() or np.isinf(weights).any():
        raise ValueError("weights")
    span = weights.max(axis=1) - weights.min(axis=1)
    return np.divide(span, 255, out=np.ones(len(weights)), where=span > 0)


# %% exercise="2.5" wrong="a floor of 1e-6 under every scale"
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    return np.maximum((weights.max(1) - weights.min(1)) / 255, 1e-6)


# %% exercise="2.5" wrong="nearly equal weights taken for equal"
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    lo, hi = weights.min(1), weights.max(1)
    return np.where(np.isclose(lo, hi), 1.0, (hi - lo) / 255)


# %% exercise="2.5" wrong="looks for NaN and infinity in the first row only"
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or not np.isfinite(weights[0]).all():
        raise ValueError("weights")
    span = weights.max(1) - weights.min(1)
    return np.where(span > 0, span, 1) / 255


# %% exercise="2.5" wrong="takes minus infinity"
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or np.isnan(weights).any() or weights.max() == np.inf:
        raise ValueError("weights")
    span = weights.max(1) - weights.min(1)
    return np.where(span > 0, span, 1) / 255


# %% exercise="2.5" wrong="a constant row of zeros only"
def per_channel_scale(weights):
    weights = np.asarray(weights, float)
    if weights.ndim != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    scale = (weights.max(1) - weights.min(1)) / 255
    scale[(weights == 0).all(1)] = 1
    return scale


# %% exercise="2.5" wrong="sorts the rows of its input"
def per_channel_scale(weights):
    if np.ndim(weights) != 2 or not np.isfinite(weights).all():
        raise ValueError("weights")
    weights.sort(axis=1)
    span = weights[:, -1].astype(float) - weights[:, 0]
    return np.where(span > 0, span, 1) / 255


# %% [markdown]
# ## 2.6 The order of the steps

# %% exercise="2.6" right="as listed"
ex_2_6 = ["calibrate", "compute_scales", "quantize", "evaluate"]

# %% exercise="2.6" right="a tuple"
ex_2_6 = ("calibrate", "compute_scales", "quantize", "evaluate")

# %% exercise="2.6" wrong="scales before calibration"
ex_2_6 = ["compute_scales", "calibrate", "quantize", "evaluate"]

# %% exercise="2.6" wrong="quantizes first"
ex_2_6 = ["quantize", "calibrate", "compute_scales", "evaluate"]

# %% exercise="2.6" wrong="evaluates the model before it is rounded"
ex_2_6 = ["calibrate", "compute_scales", "evaluate", "quantize"]

# %% exercise="2.6" wrong="a step is missing"
ex_2_6 = ["calibrate", "quantize", "evaluate"]

# %% [markdown]
# ## L2.7 quantize_groupwise and dequantize_groupwise


# %% exercise="L2.7" right="vectorised"
def quantize_groupwise(w, bits, group_size):
    if np.ndim(w) != 2:
        raise ValueError("w must be a matrix")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be 1 to 8")
    out, inputs = np.shape(w)
    if group_size < 1 or inputs % group_size != 0:
        raise ValueError("group_size must divide the inputs")
    qmax = 2**bits - 1
    groups = np.asarray(w, np.float64).reshape(out, inputs // group_size, group_size)
    lo = groups.min(-1, keepdims=True).clip(max=0)
    hi = groups.max(-1, keepdims=True).clip(min=0)
    scale = (hi - lo) / qmax
    scale[scale == 0] = 1
    zero = np.rint(-lo / scale)
    codes = (np.rint(groups / scale) + zero).clip(0, qmax).astype(np.uint8).reshape(out, inputs)
    return codes, scale[..., 0], zero[..., 0].astype(np.uint8)


def dequantize_groupwise(codes, scales, zeros, group_size):
    out, inputs = np.shape(codes)
    if group_size < 1 or np.shape(scales)[1] * group_size != inputs:
        raise ValueError("group_size does not fit")
    groups = np.asarray(codes).astype(np.int32).reshape(out, -1, group_size)
    groups = groups - np.asarray(zeros).astype(np.int32)[..., None]
    return (groups * np.asarray(scales)[..., None]).reshape(out, inputs)


# %% exercise="L2.7" right="plain loops"
def quantize_groupwise(w, bits, group_size):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if bits not in range(1, 9):
        raise ValueError(f"bits = {bits}")
    out, inputs = np.shape(w)
    if group_size < 1 or inputs % group_size:
        raise ValueError(f"group_size = {group_size}")
    codes = np.zeros((out, inputs), dtype=np.uint8)
    scales = np.zeros((out, inputs // group_size))
    zeros = np.zeros((out, inputs // group_size), dtype=int)
    for i in range(out):
        for g in range(inputs // group_size):
            columns = range(g * group_size, (g + 1) * group_size)
            lo = min(0.0, min(w[i][j] for j in columns))
            hi = max(0.0, max(w[i][j] for j in columns))
            scale = (hi - lo) / (2**bits - 1) or 1.0
            zero = round(-lo / scale)
            scales[i, g], zeros[i, g] = scale, zero
            for j in columns:
                codes[i, j] = min(max(round(w[i][j] / scale) + zero, 0), 2**bits - 1)
    return codes, scales, zeros


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or len(codes[0]) != group_size * len(scales[0]):
        raise ValueError(f"group_size = {group_size}")
    return [
        [(int(code) - int(zeros[i][j // group_size])) * scales[i][j // group_size] for j, code in enumerate(row)]
        for i, row in enumerate(codes)
    ]


# %% exercise="L2.7" right="torch, float32"
def quantize_groupwise(w, bits, group_size):
    w = torch.as_tensor(w, dtype=torch.float32)
    if w.dim() != 2:
        raise ValueError("w must be 2-d")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.unflatten(1, (-1, group_size))
    lo, hi = groups.amin(2).clamp(max=0), groups.amax(2).clamp(min=0)
    scales = (hi - lo) / (2**bits - 1)
    scales = torch.where(scales > 0, scales, torch.ones_like(scales))
    zeros = torch.round(-lo / scales)
    codes = torch.clamp(torch.round(groups / scales[..., None]) + zeros[..., None], 0, 2**bits - 1)
    return codes.flatten(1).to(torch.uint8), scales, zeros


def dequantize_groupwise(codes, scales, zeros, group_size):
    codes, scales, zeros = (torch.as_tensor(part).float() for part in (codes, scales, zeros))
    if group_size < 1 or codes.shape[1] != group_size * scales.shape[1]:
        raise ValueError("group_size")
    spread = lambda part: part.repeat_interleave(group_size, 1)
    return (codes - spread(zeros)) * spread(scales)


# %% exercise="L2.7" wrong="groups along the outputs" likely=true
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.T.reshape(-1, group_size)
    lo, hi = np.minimum(groups.min(1), 0), np.maximum(groups.max(1), 0)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    codes = np.clip(np.round(groups / scales[:, None]) + zeros[:, None], 0, 2**bits - 1)
    return codes.reshape(w.T.shape).T.astype(np.uint8), scales.reshape(len(w), -1), zeros.reshape(len(w), -1)


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="one grid for a row"
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    lo, hi = np.minimum(w.min(1), 0)[:, None], np.maximum(w.max(1), 0)[:, None]
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    codes = np.clip(np.round(w / scales) + zeros, 0, 2**bits - 1).astype(np.uint8)
    n = w.shape[1] // group_size
    return codes, np.repeat(scales, n, 1), np.repeat(zeros, n, 1)


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="the minimum as a float offset" likely=true
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = groups.min(2), groups.max(2)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    codes = np.round((groups - lo[..., None]) / scales[..., None])
    return codes.reshape(w.shape).astype(np.uint8), scales, lo


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return np.asarray(codes, float) * np.repeat(scales, group_size, 1) + np.repeat(zeros, group_size, 1)


# %% exercise="L2.7" wrong="does not widen the range to hold 0" likely=true
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = groups.min(2), groups.max(2)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    codes = np.clip(np.round(groups / scales[..., None]) + zeros[..., None], 0, 2**bits - 1)
    return codes.reshape(w.shape).astype(np.uint8), scales, zeros


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="the subtraction wraps around in uint8" likely=true
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = np.minimum(groups.min(2), 0), np.maximum(groups.max(2), 0)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    codes = np.clip(np.round(groups / scales[..., None]) + zeros[..., None], 0, 2**bits - 1)
    return codes.reshape(w.shape).astype(np.uint8), scales, zeros.astype(np.uint8)


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes) - np.repeat(np.asarray(zeros), group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="divides by 0 in a group of zeros"
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = np.minimum(groups.min(2), 0), np.maximum(groups.max(2), 0)
    scales = (hi - lo) / (2**bits - 1)
    with np.errstate(all="ignore"):
        zeros = np.nan_to_num(np.round(-lo / scales))
        codes = np.clip(np.nan_to_num(np.round(groups / scales[..., None])) + zeros[..., None], 0, 2**bits - 1)
    return codes.reshape(w.shape).astype(np.uint8), scales, zeros


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="cuts off instead of rounding" likely=true
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = np.minimum(groups.min(2), 0), np.maximum(groups.max(2), 0)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    codes = np.clip(np.floor(groups / scales[..., None] + 1e-9) + zeros[..., None], 0, 2**bits - 1)
    return codes.reshape(w.shape).astype(np.uint8), scales, zeros


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="a shorter last group instead of an error"
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1:
        raise ValueError("group_size")
    codes, scales, zeros = np.zeros(w.shape, np.uint8), [], []
    for start in range(0, w.shape[1], group_size):
        part = w[:, start : start + group_size]
        lo, hi = np.minimum(part.min(1), 0), np.maximum(part.max(1), 0)
        scale = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
        zero = np.round(-lo / scale)
        codes[:, start : start + group_size] = np.clip(np.round(part / scale[:, None]) + zero[:, None], 0, 2**bits - 1)
        scales.append(scale)
        zeros.append(zero)
    return codes, np.stack(scales, 1), np.stack(zeros, 1)


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="codes in floats"
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = np.minimum(groups.min(2), 0), np.maximum(groups.max(2), 0)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    codes = np.clip(np.round(groups / scales[..., None]) + zeros[..., None], 0, 2**bits - 1)
    return codes.reshape(w.shape), scales, zeros


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="dequantizes with tiled instead of repeated scales"
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = np.minimum(groups.min(2), 0), np.maximum(groups.max(2), 0)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    codes = np.clip(np.round(groups / scales[..., None]) + zeros[..., None], 0, 2**bits - 1)
    return codes.reshape(w.shape).astype(np.uint8), scales, zeros


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.tile(zeros, group_size)) * np.tile(scales, group_size)


# %% exercise="L2.7" right="adds the zero-point before rounding, ties away from 0"
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    away = lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5)
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = np.minimum(groups.min(2, keepdims=True), 0), np.maximum(groups.max(2, keepdims=True), 0)
    scales = (hi - lo) / (2**bits - 1)
    scales[scales == 0] = 1
    zeros = away(-lo / scales)
    codes = away(groups / scales + zeros).clip(0, 2**bits - 1)
    return codes.reshape(w.shape).astype(np.uint8), scales.squeeze(2), zeros.squeeze(2)


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="codes wrap in uint8 before they are clipped"
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = np.minimum(groups.min(2), 0), np.maximum(groups.max(2), 0)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    codes = (np.round(groups / scales[..., None]) + zeros[..., None]).astype(int).astype(np.uint8)
    return codes.reshape(w.shape).clip(0, 2**bits - 1), scales, zeros


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="codes of 0 to 2**bits, not clipped"
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = np.minimum(groups.min(2), 0), np.maximum(groups.max(2), 0)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    codes = np.round(groups / scales[..., None]) + zeros[..., None]
    return codes.reshape(w.shape).astype(int).astype(np.uint8), scales, zeros


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="a floor of 1e-6 under every scale"
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = np.minimum(groups.min(2), 0), np.maximum(groups.max(2), 0)
    scales = np.maximum((hi - lo) / (2**bits - 1), 1e-6)
    zeros = np.round(-lo / scales)
    codes = np.clip(np.round(groups / scales[..., None]) + zeros[..., None], 0, 2**bits - 1)
    return codes.reshape(w.shape).astype(np.uint8), scales, zeros


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="groups that fit no row are taken where they fit the matrix"
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.size % group_size:
        raise ValueError("group_size")
    groups = w.reshape(-1, group_size)
    lo, hi = np.minimum(groups.min(1), 0), np.maximum(groups.max(1), 0)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    codes = np.clip(np.round(groups / scales[:, None]) + zeros[:, None], 0, 2**bits - 1).astype(np.uint8)
    shape = (len(w), -1) if w.shape[1] % group_size == 0 else (1, -1)
    return codes.reshape(w.shape), scales.reshape(shape), zeros.reshape(shape)


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="dequantizes without looking at the group size"
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = np.minimum(groups.min(2), 0), np.maximum(groups.max(2), 0)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    codes = np.clip(np.round(groups / scales[..., None]) + zeros[..., None], 0, 2**bits - 1)
    return codes.reshape(w.shape).astype(np.uint8), scales, zeros


def dequantize_groupwise(codes, scales, zeros, group_size):
    codes = np.asarray(codes, float)
    groups = codes.reshape(len(codes), np.shape(scales)[1], -1)
    return ((groups - np.asarray(zeros)[..., None]) * np.asarray(scales)[..., None]).reshape(codes.shape)


# %% exercise="L2.7" wrong="works on the weights themselves"
def quantize_groupwise(w, bits, group_size):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = np.minimum(groups.min(2), 0), np.maximum(groups.max(2), 0)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    groups /= scales[..., None]
    codes = np.clip(np.round(groups) + zeros[..., None], 0, 2**bits - 1)
    return codes.reshape(w.shape).astype(np.uint8), scales, zeros


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% exercise="L2.7" wrong="a cube is taken for a matrix"
def quantize_groupwise(w, bits, group_size):
    w = np.asarray(w, float)
    if w.ndim < 2:
        raise ValueError("w")
    w = w.reshape(len(w), -1)
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size")
    groups = w.reshape(len(w), -1, group_size)
    lo, hi = np.minimum(groups.min(2), 0), np.maximum(groups.max(2), 0)
    scales = np.where(hi > lo, hi - lo, 1) / (2**bits - 1)
    zeros = np.round(-lo / scales)
    codes = np.clip(np.round(groups / scales[..., None]) + zeros[..., None], 0, 2**bits - 1)
    return codes.reshape(w.shape).astype(np.uint8), scales, zeros


def dequantize_groupwise(codes, scales, zeros, group_size):
    if group_size < 1 or np.shape(codes)[1] != group_size * np.shape(scales)[1]:
        raise ValueError("group_size")
    return (np.asarray(codes, float) - np.repeat(zeros, group_size, 1)) * np.repeat(scales, group_size, 1)


# %% [markdown]
# ## L2.8 pack_int4 and unpack_int4


# %% exercise="L2.8" right="slices"
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or np.any((codes < 0) | (codes > 15)):
        raise ValueError("codes must be 0 to 15 in one dimension")
    packed = codes[0::2].astype(np.uint8)
    packed[: len(codes) // 2] += 16 * codes[1::2].astype(np.uint8)
    return packed


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != -(-n // 2):
        raise ValueError("n does not fit packed")
    codes = np.empty(2 * len(packed), dtype=np.uint8)
    codes[0::2], codes[1::2] = packed % 16, packed // 16
    return codes[:n]


# %% exercise="L2.8" right="plain loop"
def pack_int4(codes):
    if np.ndim(codes) != 1:
        raise ValueError("codes must be one-dimensional")
    out = []
    for i, code in enumerate(np.asarray(codes).tolist()):
        if code not in range(16):
            raise ValueError(f"codes holds {code}")
        if i % 2:
            out[-1] += 16 * code
        else:
            out.append(code)
    return np.array(out, dtype=np.uint8)


def unpack_int4(packed, n):
    if n < 0 or (n + 1) // 2 != len(packed):
        raise ValueError(f"n = {n}")
    codes = []
    for byte in np.asarray(packed).tolist():
        codes += [byte & 0xF, byte >> 4]
    return np.array(codes[:n], dtype=np.uint8)


# %% exercise="L2.8" right="bits"
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or codes.min() < 0 or codes.max() > 15:
        raise ValueError("codes")
    bits = np.unpackbits(codes.astype(np.uint8)[:, None], axis=1, count=4, bitorder="little")
    return np.packbits(bits, bitorder="little")


def unpack_int4(packed, n):
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    bits = np.unpackbits(np.asarray(packed, np.uint8), count=4 * n, bitorder="little").reshape(n, 4)
    return np.packbits(bits, axis=1, bitorder="little")[:, 0]


# %% exercise="L2.8" right="torch"
def pack_int4(codes):
    codes = torch.as_tensor(np.array(codes))
    if codes.dim() != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    codes = torch.nn.functional.pad(codes.to(torch.uint8), (0, len(codes) % 2))
    return codes[::2] | (codes[1::2] << 4)


def unpack_int4(packed, n):
    packed = torch.as_tensor(np.array(packed))
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    return torch.stack([packed & 15, packed >> 4], 1).flatten()[:n]


# %% exercise="L2.8" wrong="the first code in the high bits" likely=true
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    pairs = np.append(codes, [0] * (len(codes) % 2)).astype(np.uint8).reshape(-1, 2)
    return pairs[:, 0] << 4 | pairs[:, 1]


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    return np.stack([packed >> 4, packed & 15], 1).ravel()[:n]


# %% exercise="L2.8" wrong="fails on an odd number of codes" likely=true
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    codes = codes.astype(np.uint8)
    return codes[::2] | codes[1::2] << 4


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    return np.stack([packed & 15, packed >> 4], 1).ravel()[:n]


# %% exercise="L2.8" wrong="drops the last code of an odd number"
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    pairs = codes[: len(codes) // 2 * 2].astype(np.uint8).reshape(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 4


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    return np.stack([packed & 15, packed >> 4], 1).ravel()[:n]


# %% exercise="L2.8" wrong="unpacks the padding too"
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    pairs = np.append(codes, [0] * (len(codes) % 2)).astype(np.uint8).reshape(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 4


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    return np.stack([packed & 15, packed >> 4], 1).ravel()


# %% exercise="L2.8" wrong="one code a byte"
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    return codes.astype(np.uint8)


def unpack_int4(packed, n):
    return np.asarray(packed)[:n]


# %% exercise="L2.8" wrong="first half in the low bits, second half in the high bits"
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    low, high = np.append(codes, [0] * (len(codes) % 2)).astype(np.uint8).reshape(2, -1)
    return low | high << 4


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    return np.concatenate([packed & 15, packed >> 4])[:n]


# %% exercise="L2.8" wrong="returns 64-bit integers" likely=true
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    pairs = np.append(codes, [0] * (len(codes) % 2)).astype(np.int64).reshape(-1, 2)
    return pairs[:, 0] + 16 * pairs[:, 1]


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    return np.stack([packed & 15, packed >> 4], 1).ravel()[:n]


# %% exercise="L2.8" wrong="lets 16 spill into the neighbour"
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1:
        raise ValueError("codes")
    pairs = np.append(codes, [0] * (len(codes) % 2)).astype(np.uint8).reshape(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 4


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    return np.stack([packed & 15, packed >> 4], 1).ravel()[:n]


# %% exercise="L2.8" wrong="does not check n"
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    pairs = np.append(codes, [0] * (len(codes) % 2)).astype(np.uint8).reshape(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 4


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    return np.stack([packed & 15, packed >> 4], 1).ravel()[:n]


# %% exercise="L2.8" right="a matrix product"
def pack_int4(codes):
    codes = np.array(codes)
    if codes.ndim != 1 or not np.isin(codes, np.arange(16)).all():
        raise ValueError("codes")
    padded = np.zeros(-(-len(codes) // 2) * 2, dtype=int)
    padded[: len(codes)] = codes
    return (padded.reshape(-1, 2) @ [1, 16]).astype(np.uint8)


def unpack_int4(packed, n):
    if len(packed) * 2 - n not in (0, 1):
        raise ValueError("n")
    return np.array([part for byte in np.asarray(packed).tolist() for part in divmod(byte, 16)[::-1]][:n], np.uint8)


# %% exercise="L2.8" wrong="casts before it checks"
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1:
        raise ValueError("codes")
    codes = codes.astype(np.uint8)
    if (codes > 15).any():
        raise ValueError("codes")
    pairs = np.append(codes, np.zeros(len(codes) % 2, np.uint8)).reshape(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 4


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    return np.stack([packed & 15, packed >> 4], 1).ravel()[:n]


# %% exercise="L2.8" wrong="looks only at the largest code"
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or np.abs(codes).max() > 15:
        raise ValueError("codes")
    pairs = np.append(codes, [0] * (len(codes) % 2)).astype(np.uint8).reshape(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 4


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    return np.stack([packed & 15, packed >> 4], 1).ravel()[:n]


# %% exercise="L2.8" wrong="flattens a column"
def pack_int4(codes):
    codes = np.squeeze(np.asarray(codes))
    if codes.ndim != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    pairs = np.append(codes, [0] * (len(codes) % 2)).astype(np.uint8).reshape(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 4


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    return np.stack([packed & 15, packed >> 4], 1).ravel()[:n]


# %% exercise="L2.8" wrong="packs into the codes it was given"
def pack_int4(codes):
    if np.ndim(codes) != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    packed = codes[::2]
    packed[: len(codes) // 2] += codes[1::2] * 16
    return packed.astype(np.uint8)


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    return np.stack([packed & 15, packed >> 4], 1).ravel()[:n]


# %% exercise="L2.8" wrong="pads with a code of 15"
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    pairs = np.append(codes, [15] * (len(codes) % 2)).astype(np.uint8).reshape(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 4


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) != (n + 1) // 2:
        raise ValueError("n")
    return np.stack([packed & 15, packed >> 4], 1).ravel()[:n]


# %% exercise="L2.8" wrong="refuses only too few bytes"
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    pairs = np.append(codes, [0] * (len(codes) % 2)).astype(np.uint8).reshape(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 4


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0 or len(packed) < (n + 1) // 2:
        raise ValueError("n")
    return np.stack([packed & 15, packed >> 4], 1).ravel()[:n]


# %% exercise="L2.8" wrong="takes any n that is not below 0"
def pack_int4(codes):
    codes = np.asarray(codes)
    if codes.ndim != 1 or (codes < 0).any() or (codes > 15).any():
        raise ValueError("codes")
    pairs = np.append(codes, [0] * (len(codes) % 2)).astype(np.uint8).reshape(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 4


def unpack_int4(packed, n):
    packed = np.asarray(packed, dtype=np.uint8)
    if n < 0:
        raise ValueError("n")
    return np.resize(np.stack([packed & 15, packed >> 4], 1), n)


# %% [markdown]
# ## L2.9 calibrate


# %% exercise="L2.9" right="grid search"
def calibrate(samples, method):
    samples = np.asarray(samples, float)
    if samples.size == 0:
        raise ValueError("samples is empty")
    if not np.isfinite(samples).all():
        raise ValueError("samples must be finite")
    lo, hi = samples.min(), samples.max()
    if method == "minmax":
        return lo, hi
    if method == "percentile":
        return np.percentile(samples, 0.1), np.percentile(samples, 99.9)
    if method != "mse":
        raise ValueError(f"unknown method {method}")
    if lo == hi:
        return lo, hi
    best = None
    for c in np.linspace(0, 1, 101)[1:]:
        a, b = min(c * lo, 0), max(c * hi, 0)
        scale = (b - a) / 15
        zero = np.round(-a / scale)
        back = (np.clip(np.round(samples / scale) + zero, 0, 15) - zero) * scale
        error = ((back - samples) ** 2).sum()
        if best is None or error < best[0]:
            best = (error, c * lo, c * hi)
    return best[1:]


# %% exercise="L2.9" right="coarse, then fine, in torch"
def calibrate(samples, method):
    x = torch.as_tensor(np.array(samples), dtype=torch.float64).flatten()
    if len(x) == 0 or not torch.isfinite(x).all():
        raise ValueError("samples")
    if method == "minmax":
        return x.min().item(), x.max().item()
    if method == "percentile":
        return tuple(torch.quantile(x, torch.tensor([0.001, 0.999], dtype=torch.float64)).tolist())
    if method != "mse":
        raise ValueError("method")
    lo, hi = x.min().item(), x.max().item()
    if lo == hi:
        return lo, hi

    def error(c):
        a, b = min(c * lo, 0.0), max(c * hi, 0.0)
        scale = (b - a) / 15
        return (torch.fake_quantize_per_tensor_affine(x, scale, round(-a / scale), 0, 15) - x).square().mean().item()

    c = min([i / 40 for i in range(1, 41)], key=error)
    c = min([c + (i - 10) / 400 for i in range(21) if 0 < c + (i - 10) / 400 <= 1], key=error)
    return c * lo, c * hi


# %% exercise="L2.9" right="a percentile by sorting, a list returned"
def calibrate(samples, method):
    values = sorted(np.asarray(samples, float).ravel().tolist())
    if not values or not all(abs(v) < float("inf") for v in values):
        raise ValueError("samples")
    lo, hi = values[0], values[-1]

    def at(share):
        place = share * (len(values) - 1)
        i = min(int(place), len(values) - 2)
        return values[i] + (place - i) * (values[i + 1] - values[i])

    if method == "minmax" or (lo == hi and method in ("percentile", "mse")):
        return [lo, hi]
    if method == "percentile":
        return [at(0.001), at(0.999)]
    if method != "mse":
        raise ValueError("method")
    x = np.array(values)
    errors = {}
    for k in range(1, 151):
        c = k / 150
        a, b = np.minimum(c * lo, 0), np.maximum(c * hi, 0)
        zero = np.round(-a * 15 / (b - a))
        levels = (np.arange(16) - zero) * (b - a) / 15
        errors[c] = np.square(x - levels[np.abs(x[:, None] - levels).argmin(1)]).sum()
    c = min(errors, key=errors.get)
    return [c * lo, c * hi]


# %% exercise="L2.9" wrong="mse is minmax" likely=true
def calibrate(samples, method):
    x = np.asarray(samples, float)
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    if method in ("minmax", "mse"):
        return x.min(), x.max()
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))
    raise ValueError("method")


# %% exercise="L2.9" wrong="mse is the percentiles"
def calibrate(samples, method):
    x = np.asarray(samples, float)
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    if method == "minmax":
        return x.min(), x.max()
    if method in ("percentile", "mse"):
        return tuple(np.percentile(x, [0.1, 99.9]))
    raise ValueError("method")


# %% exercise="L2.9" wrong="mse is three standard deviations"
def calibrate(samples, method):
    x = np.asarray(samples, float)
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    if method == "minmax":
        return x.min(), x.max()
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))
    if method == "mse":
        return max(x.mean() - 3 * x.std(), x.min()), min(x.mean() + 3 * x.std(), x.max())
    raise ValueError("method")


# %% exercise="L2.9" wrong="mse counts only the values inside" likely=true
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    lo, hi = x.min(), x.max()
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))
    if method != "mse":
        raise ValueError("method")

    def error(c):
        a, b = min(c * lo, 0), max(c * hi, 0)
        inside = x[(x >= a) & (x <= b)]
        return np.mean((np.round(inside / (b - a) * 15) * (b - a) / 15 - inside) ** 2) if inside.size else np.inf

    c = min(np.linspace(0.05, 1, 96), key=error)
    return c * lo, c * hi


# %% exercise="L2.9" wrong="mse for 8 bits" likely=true
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    lo, hi = x.min(), x.max()
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))
    if method != "mse":
        raise ValueError("method")

    def error(c):
        a, b = min(c * lo, 0), max(c * hi, 0)
        scale = (b - a) / 255
        zero = round(-a / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 255) - zero) * scale - x) ** 2)

    c = min(np.linspace(0.01, 1, 100), key=error)
    return c * lo, c * hi


# %% exercise="L2.9" wrong="least mean absolute error"
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    lo, hi = x.min(), x.max()
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))
    if method != "mse":
        raise ValueError("method")

    def error(c):
        a, b = min(c * lo, 0), max(c * hi, 0)
        scale = (b - a) / 15
        zero = round(-a / scale)
        return np.mean(np.abs((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x))

    c = min(np.linspace(0.01, 1, 100), key=error)
    return c * lo, c * hi


# %% exercise="L2.9" wrong="percentiles 1 and 99" likely=true
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    lo, hi = x.min(), x.max()
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [1, 99]))
    if method != "mse":
        raise ValueError("method")

    def error(c):
        a, b = min(c * lo, 0), max(c * hi, 0)
        scale = (b - a) / 15
        zero = round(-a / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x) ** 2)

    c = min(np.linspace(0.01, 1, 100), key=error)
    return c * lo, c * hi


# %% exercise="L2.9" wrong="a symmetric range for everything"
def calibrate(samples, method):
    x = np.abs(np.asarray(samples, float).ravel())
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    if method not in ("minmax", "percentile", "mse"):
        raise ValueError("method")
    top = {"minmax": x.max(), "percentile": np.percentile(x, 99.9), "mse": np.percentile(x, 99.5)}[method]
    return -top, top


# %% exercise="L2.9" wrong="fails when all samples are 0"
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    lo, hi = float(x.min()), float(x.max())
    if method == "minmax":
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))
    if method != "mse":
        raise ValueError("method")

    def error(c):
        a, b = min(c * lo, 0.0), max(c * hi, 0.0)
        scale = (b - a) / 15
        zero = round(-a / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x) ** 2)

    c = min(np.linspace(0.01, 1, 100).tolist(), key=error)
    return c * lo, c * hi


# %% exercise="L2.9" wrong="minmax for any word it does not know"
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    lo, hi = x.min(), x.max()
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))
    if method != "mse" or lo == hi:
        return lo, hi

    def error(c):
        a, b = min(c * lo, 0), max(c * hi, 0)
        scale = (b - a) / 15
        zero = round(-a / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x) ** 2)

    c = min(np.linspace(0.01, 1, 100), key=error)
    return c * lo, c * hi


# %% exercise="L2.9" right="the range widened to hold 0"
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    if method not in ("minmax", "percentile", "mse"):
        raise ValueError("method")
    lo, hi = x.min(), x.max()
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))

    def error(c):
        a, b = min(c * lo, 0), max(c * hi, 0)
        scale = (b - a) / 15
        zero = round(-a / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x) ** 2)

    c = min(np.arange(1, 201) / 200, key=error)
    return min(c * lo, 0.0), max(c * hi, 0.0)


# %% exercise="L2.9" wrong="an offset instead of a zero-point"
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    if method not in ("minmax", "percentile", "mse"):
        raise ValueError("method")
    lo, hi = x.min(), x.max()
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))

    def error(c):
        scale = c * (hi - lo) / 15
        return np.mean((np.clip(np.round((x - c * lo) / scale), 0, 15) * scale + c * lo - x) ** 2)

    c = min(np.linspace(0.01, 1, 100), key=error)
    return c * lo, c * hi


# %% exercise="L2.9" wrong="the search stops at c = 0.5"
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    if method not in ("minmax", "percentile", "mse"):
        raise ValueError("method")
    lo, hi = x.min(), x.max()
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))

    def error(c):
        a, b = min(c * lo, 0), max(c * hi, 0)
        scale = (b - a) / 15
        zero = round(-a / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x) ** 2)

    c = min(np.linspace(0.5, 1, 100), key=error)
    return c * lo, c * hi


# %% exercise="L2.9" wrong="ten values of c"
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    if method not in ("minmax", "percentile", "mse"):
        raise ValueError("method")
    lo, hi = x.min(), x.max()
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))

    def error(c):
        a, b = min(c * lo, 0), max(c * hi, 0)
        scale = (b - a) / 15
        zero = round(-a / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x) ** 2)

    c = min(np.linspace(0.1, 1, 10), key=error)
    return c * lo, c * hi


# %% exercise="L2.9" wrong="cuts off only the upper end"
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    if method not in ("minmax", "percentile", "mse"):
        raise ValueError("method")
    lo, hi = x.min(), x.max()
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))

    def error(c):
        a, b = min(lo, 0), max(c * hi, 0)
        scale = (b - a) / 15
        zero = round(-a / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x) ** 2)

    c = min(np.linspace(0.01, 1, 100), key=error)
    return lo, c * hi


# %% exercise="L2.9" wrong="the grid ends where the samples do, without 0"
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    if method not in ("minmax", "percentile", "mse"):
        raise ValueError("method")
    lo, hi = x.min(), x.max()
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))

    def error(c):
        a, b = c * lo, c * hi
        scale = (b - a) / 15
        zero = round(-a / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x) ** 2)

    c = min(np.linspace(0.01, 1, 100), key=error)
    return c * lo, c * hi


# %% exercise="L2.9" wrong="percentiles without interpolation"
def calibrate(samples, method):
    x = np.sort(np.asarray(samples, float).ravel())
    if method == "percentile" and x.size and np.isfinite(x).all():
        return x[int(0.001 * x.size)], x[min(int(0.999 * x.size), x.size - 1)]
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    if method not in ("minmax", "percentile", "mse"):
        raise ValueError("method")
    lo, hi = x.min(), x.max()
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))

    def error(c):
        a, b = min(c * lo, 0), max(c * hi, 0)
        scale = (b - a) / 15
        zero = round(-a / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x) ** 2)

    c = min(np.linspace(0.01, 1, 100), key=error)
    return c * lo, c * hi


# %% exercise="L2.9" wrong="sorts its input"
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    if method not in ("minmax", "percentile", "mse"):
        raise ValueError("method")
    x.sort()
    lo, hi = x[0], x[-1]
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))

    def error(c):
        a, b = min(c * lo, 0), max(c * hi, 0)
        scale = (b - a) / 15
        zero = round(-a / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x) ** 2)

    c = min(np.linspace(0.01, 1, 100), key=error)
    return c * lo, c * hi


# %% exercise="L2.9" wrong="any other word is mse"
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or not np.isfinite(x).all():
        raise ValueError("samples")
    lo, hi = x.min(), x.max()
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))

    def error(c):
        a, b = min(c * lo, 0), max(c * hi, 0)
        scale = (b - a) / 15
        zero = round(-a / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x) ** 2)

    c = min(np.linspace(0.01, 1, 100), key=error)
    return c * lo, c * hi


# %% exercise="L2.9" wrong="infinity slips through, NaN does not"
def calibrate(samples, method):
    x = np.asarray(samples, float).ravel()
    if x.size == 0 or np.isnan(x).any():
        raise ValueError("samples")
    if method not in ("minmax", "percentile", "mse"):
        raise ValueError("method")
    lo, hi = x.min(), x.max()
    if method == "minmax" or lo == hi:
        return lo, hi
    if method == "percentile":
        return tuple(np.percentile(x, [0.1, 99.9]))

    def error(c):
        a, b = min(c * lo, 0), max(c * hi, 0)
        scale = (b - a) / 15
        zero = round(-a / scale)
        return np.mean(((np.clip(np.round(x / scale) + zero, 0, 15) - zero) * scale - x) ** 2)

    c = min(np.linspace(0.01, 1, 100), key=error)
    return c * lo, c * hi


# %% [markdown]
# ## L2.10 gptq


# %% exercise="L2.10" right="NumPy, all rows at once"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, np.float64), np.array(x, np.float64)
    if w.ndim != 2:
        raise ValueError("w must be 2-d")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must be (samples, in)")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be 1 to 8")
    if damp < 0:
        raise ValueError("damp must be 0 or more")
    qmax = 2**bits - 1
    lo, hi = w.min(1).clip(max=0), w.max(1).clip(min=0)
    scale = (hi - lo) / qmax
    scale[scale == 0] = 1
    zero = np.rint(-lo / scale)
    h = 2 * np.dot(x.T, x)
    dead = np.diag(h) == 0
    h[dead, dead] = 1
    h += damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.zeros_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.rint(w[:, j] / scale) + zero, 0, qmax) - zero) * scale
        w[:, j:] -= ((w[:, j] - q[:, j]) / u[j, j])[:, None] * u[j, j:]
    return q


# %% exercise="L2.10" right="row by row, without Cholesky"
def gptq(w, x, bits, damp=0.01):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if np.ndim(x) != 2 or np.shape(x)[1] != np.shape(w)[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    x = np.asarray(x, float)
    n = x.shape[1]
    h = 2 * x.T @ x
    for i in range(n):
        if h[i, i] == 0:
            h[i, i] = 1
    h = h + damp * np.trace(h) / n * np.eye(n)
    inverse = np.linalg.inv(h)
    inverses = []
    for j in range(n):
        inverses.append(inverse.copy())
        inverse = inverse - np.outer(inverse[:, j], inverse[j]) / inverse[j, j]
    result = []
    for row in np.array(w, dtype=float):
        lo, hi = min(row.min(), 0), max(row.max(), 0)
        scale = (hi - lo) / (2**bits - 1) or 1.0
        zero = round(-lo / scale)
        for j in range(n):
            code = min(max(round(row[j] / scale) + zero, 0), 2**bits - 1)
            nearest = (code - zero) * scale
            error = (row[j] - nearest) / inverses[j][j, j]
            row[j + 1 :] -= error * inverses[j][j, j + 1 :]
            row[j] = nearest
        result.append(row)
    return np.array(result)


# %% exercise="L2.10" right="torch"
def gptq(w, x, bits, damp=0.01):
    w = torch.tensor(np.array(w), dtype=torch.float64)
    x = torch.tensor(np.array(x), dtype=torch.float64)
    if w.dim() != 2:
        raise ValueError("w")
    if x.dim() != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    qmax = 2**bits - 1
    lo, hi = w.amin(1).clamp(max=0), w.amax(1).clamp(min=0)
    scale = torch.where(hi > lo, (hi - lo) / qmax, torch.ones_like(hi))
    zero = torch.round(-lo / scale)
    h = 2 * x.T @ x
    d = torch.diagonal(h)
    d[d == 0] = 1
    d += damp * d.mean()
    u = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)
    q = torch.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (torch.clamp(torch.round(w[:, j] / scale) + zero, 0, qmax) - zero) * scale
        w[:, j + 1 :] -= torch.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" right="lower factor of the inverse, read by columns"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1, keepdims=True), 0), np.maximum(w.max(1, keepdims=True), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = x.T @ x
    h = h + np.diag(np.where(np.diag(h) == 0, 1, 0))
    h = h + damp * np.trace(h) / len(h) * np.eye(len(h))
    lower = np.linalg.cholesky(np.linalg.inv(h))
    for j in range(w.shape[1]):
        column = w[:, j : j + 1].copy()
        w[:, j : j + 1] = (np.clip(np.round(column / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= (column - w[:, j : j + 1]) / lower[j, j] @ lower[None, j + 1 :, j]
    return w


# %% exercise="L2.10" wrong="rounds to nearest"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1, keepdims=True), 0), np.maximum(w.max(1, keepdims=True), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    return (np.clip(np.round(w / scale) + zero, 0, 2**bits - 1) - zero) * scale


# %% exercise="L2.10" wrong="Hessian of the samples, X X^T"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x @ x.T
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="adds the error instead of making up for it" likely=true
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] += np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="the inverse of all inputs at every step"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    inverse = np.linalg.inv(h)
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / inverse[j, j], inverse[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="Cholesky of the Hessian instead of its inverse" likely=true
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(h).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="the lower factor where the upper one belongs"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    lower = np.linalg.cholesky(np.linalg.inv(h))
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / lower[j, j], lower[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="damping left out"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x + 1e-6 * np.eye(w.shape[1])
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="damp added as it is, not times the mean of the diagonal"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="one grid for the whole matrix" likely=true
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = min(w.min(), 0), max(w.max(), 0)
    scale = (hi - lo) / (2**bits - 1) or 1.0
    zero = round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="a new grid from the weights as they are now"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        lo, hi = np.minimum(w[:, j:].min(1), 0), np.maximum(w[:, j:].max(1), 0)
        scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
        zero = np.round(-lo / scale)
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="does not clamp to the codes" likely=true
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = np.round(w[:, j] / scale) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="NaN for an input that is always 0"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="works on w itself"
def gptq(w, x, bits, damp=0.01):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if np.ndim(x) != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    for j in range(w.shape[1]):
        column = w[:, j].copy()
        w[:, j] = (np.clip(np.round(column / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((column - w[:, j]) / u[j, j], u[j, j + 1 :])
    return w


# %% exercise="L2.10" wrong="accepts nonsense"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    lo, hi = np.minimum(w.min(-1), 0), np.maximum(w.max(-1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" right="the factor from Gaussian elimination, from the last input backwards"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    n = len(h)
    u = np.zeros((n, n))
    for j in range(n):
        row = np.linalg.solve(h[j:, j:], np.eye(n - j)[0])
        u[j, j:] = row / np.sqrt(row[0])
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="the mean before the ones"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    mean = np.diag(h).mean()
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * mean * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="the Hessian in float32"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    x = x.astype(np.float32)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="the inputs in float16"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    with np.errstate(over="ignore"):
        x = x.astype(np.float16).astype(float)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="all in float16"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    w = w.astype(np.float16)
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = (2 * x.T @ x).astype(np.float16)
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = (h + damp * np.diag(h).mean() * np.eye(len(h))).astype(np.float16).astype(float)
    u = np.linalg.cholesky(np.linalg.inv(h)).T.astype(np.float16)
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="weights of inputs that are always 0 become 0"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    w[:, (x == 0).all(0)] = 0
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="nothing on the diagonal where damp is 0"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    if damp > 0:
        h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    try:
        u = np.linalg.cholesky(np.linalg.inv(h)).T
    except np.linalg.LinAlgError:
        u = np.eye(len(h))
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="in the type of the weights"
def gptq(w, x, bits, damp=0.01):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if np.ndim(x) != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    w = w.copy()
    x = x.astype(float)
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] = w[:, j + 1 :] - np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="the largest inputs first"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    order = np.argsort(-np.square(x).sum(0))
    w, x = w[:, order], x[:, order]
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q[:, np.argsort(order)]


# %% exercise="L2.10" wrong="a pseudo-inverse in place of damping"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    inverse = np.linalg.pinv(h)
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        inverse = np.linalg.pinv(h[j:, j:])
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / max(inverse[0, 0], 1e-12), inverse[0, 1:])
    return q


# %% exercise="L2.10" wrong="a negative damp is taken for 0"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    damp = max(damp, 0)
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="a range that is not widened to hold 0"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = w.min(1), w.max(1)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q


# %% exercise="L2.10" wrong="clamps only at the end"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = np.round(w[:, j] / scale) * scale
        w[:, j + 1 :] -= np.outer((w[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return np.clip(q, (-zero * scale)[:, None], ((2**bits - 1 - zero) * scale)[:, None])


# %% exercise="L2.10" wrong="pushes the error of the original weight"
def gptq(w, x, bits, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 1 <= bits <= 8:
        raise ValueError("bits")
    if damp < 0:
        raise ValueError("damp")
    original = w.copy()
    lo, hi = np.minimum(w.min(1), 0), np.maximum(w.max(1), 0)
    scale = np.where(hi == lo, 1, hi - lo) / (2**bits - 1)
    zero = np.round(-lo / scale)
    h = 2 * x.T @ x
    h[np.diag(h) == 0, np.diag(h) == 0] = 1
    h = h + damp * np.diag(h).mean() * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    q = np.empty_like(w)
    for j in range(w.shape[1]):
        q[:, j] = (np.clip(np.round(w[:, j] / scale) + zero, 0, 2**bits - 1) - zero) * scale
        w[:, j + 1 :] -= np.outer((original[:, j] - q[:, j]) / u[j, j], u[j, j + 1 :])
    return q
