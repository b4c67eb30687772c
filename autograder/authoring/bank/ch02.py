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


# %% [markdown]
# ## L2.11 hadamard_transform


# %% exercise="L2.11" right="butterflies by reshaping"
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise ValueError(f"x has shape {x.shape}")
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., :1, :] - y[..., 1:, :]], axis=-2).reshape(x.shape)
        h *= 2
    return x / n**0.5


# %% exercise="L2.11" right="recursion on the two halves"
def hadamard_transform(x):
    x = np.asarray(x)
    if x.ndim == 0 or x.shape[-1] not in [2**k for k in range(40)]:
        raise ValueError("x needs a power of two along its last axis")

    def transform(y):
        half = y.shape[-1] // 2
        if half == 0:
            return y
        a, b = y[..., :half], y[..., half:]
        return np.concatenate([transform(a + b), transform(a - b)], axis=-1)

    return transform(x.astype(np.float64)) / np.sqrt(x.shape[-1])


# %% exercise="L2.11" right="torch, float32"
def hadamard_transform(x):
    x = torch.as_tensor(np.asarray(x).copy()).float()
    if x.dim() == 0 or x.shape[-1] < 1 or bin(x.shape[-1]).count("1") != 1:
        raise ValueError(f"x: {tuple(x.shape)}")
    y, n = x.reshape(-1, x.shape[-1]), x.shape[-1]
    for k in range(n.bit_length() - 1):
        y = y.view(len(y), -1, 2, 2**k)
        y = torch.stack([y[:, :, 0] + y[:, :, 1], y[:, :, 0] - y[:, :, 1]], 2).reshape(len(y), n)
    return (y / n**0.5).reshape(x.shape)


# %% exercise="L2.11" right="plain loops over lists"
def hadamard_transform(x):
    shape = np.shape(x)
    if not shape or shape[-1] == 0 or shape[-1] & (shape[-1] - 1):
        raise ValueError("x")
    n, rows = shape[-1], []
    for row in np.asarray(x, dtype=float).reshape(-1, n).tolist():
        half = 1
        while half < n:
            for start in range(0, n, 2 * half):
                for i in range(start, start + half):
                    a, b = row[i], row[i + half]
                    row[i], row[i + half] = a + b, a - b
            half *= 2
        rows.append([value / n**0.5 for value in row])
    return np.array(rows).reshape(shape)


# %% exercise="L2.11" right="a 2 x 2 matrix along each of log n axes"
def hadamard_transform(x):
    x = np.asarray(x)
    bits = int(x.shape[-1]).bit_length() - 1 if x.ndim and x.shape[-1] else -1
    if bits < 0 or 2**bits != x.shape[-1]:
        raise ValueError("x must end in an axis of a power of two")
    y = x.astype(float).reshape(-1, *[2] * bits)
    two = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    for axis in range(1, bits + 1):
        y = np.moveaxis(np.tensordot(y, two, axes=(axis, 0)), -1, axis)
    return y.reshape(x.shape)


# %% exercise="L2.11" right="two matrices of the square root's size"
def hadamard_transform(x):
    x = np.asarray(x, dtype=float)
    if x.ndim < 1 or x.shape[-1] < 1 or np.log2(x.shape[-1]) % 1:
        raise ValueError("x")
    bits = int(np.log2(x.shape[-1]))

    def matrix(k):
        h = np.ones((1, 1))
        for _ in range(k):
            h = np.block([[h, h], [h, -h]])
        return h / np.sqrt(2**k)

    y = x.reshape(*x.shape[:-1], 2 ** (bits // 2), 2 ** (bits - bits // 2))
    return (matrix(bits // 2) @ y @ matrix(bits - bits // 2)).reshape(x.shape)


# %% exercise="L2.11" wrong="not divided by anything" likely=true
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise ValueError(f"x has shape {x.shape}")
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., :1, :] - y[..., 1:, :]], axis=-2).reshape(x.shape)
        h *= 2
    return x


# %% exercise="L2.11" wrong="divided by n" likely=true
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise ValueError(f"x has shape {x.shape}")
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., :1, :] - y[..., 1:, :]], axis=-2).reshape(x.shape)
        h *= 2
    return x / n


# %% exercise="L2.11" wrong="only one level of blocks" likely=true
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise ValueError(f"x has shape {x.shape}")
    a, b = x[..., : max(n // 2, 1)], x[..., n // 2 :]
    return np.concatenate([a + b, a - b], axis=-1) / np.sqrt(n) if n > 1 else x


# %% exercise="L2.11" wrong="rows in the order of their sign changes" likely=true
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise ValueError(f"x has shape {x.shape}")
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., :1, :] - y[..., 1:, :]], axis=-2).reshape(x.shape)
        h *= 2
    gray = np.arange(n) ^ (np.arange(n) >> 1)
    order = [int(f"{code:0{max(n.bit_length() - 1, 1)}b}"[::-1], 2) for code in gray]
    return x[..., order] / n**0.5


# %% exercise="L2.11" wrong="along the first axis" likely=true
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    n = x.shape[0] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise ValueError(f"x has shape {x.shape}")
    x = np.moveaxis(x, 0, -1)
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., :1, :] - y[..., 1:, :]], axis=-2).reshape(x.shape)
        h *= 2
    return np.moveaxis(x, -1, 0) / n**0.5


# %% exercise="L2.11" wrong="along all axes" likely=true
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    if x.ndim == 0 or x.shape[-1] < 1 or x.shape[-1] & (x.shape[-1] - 1):
        raise ValueError("x")
    for axis in range(x.ndim):
        x = np.moveaxis(x, axis, -1)
        n = x.shape[-1]
        if n & (n - 1) == 0:
            x = x.copy()
            h = 1
            while h < n:
                y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
                x = np.stack([y[..., 0, :] + y[..., 1, :], y[..., 0, :] - y[..., 1, :]], axis=-2).reshape(x.shape)
                h *= 2
            x = x / n**0.5
        x = np.moveaxis(x, -1, axis)
    return x


# %% exercise="L2.11" wrong="the minus sign at the lower left" likely=true
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise ValueError(f"x has shape {x.shape}")
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., 1:, :] - y[..., :1, :]], axis=-2).reshape(x.shape)
        h *= 2
    return x / n**0.5


# %% exercise="L2.11" wrong="works on x itself" likely=true
def hadamard_transform(x):
    x = np.asarray(x)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise ValueError("x")
    y = x if x.dtype == float else x.astype(float)
    h = 1
    while h < n:
        for i in range(0, n, 2 * h):
            a, b = y[..., i : i + h].copy(), y[..., i + h : i + 2 * h].copy()
            y[..., i : i + h], y[..., i + h : i + 2 * h] = a + b, a - b
        h *= 2
    y /= n**0.5
    return y


# %% exercise="L2.11" wrong="builds the matrix"
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise ValueError(f"x has shape {x.shape}")
    shared = np.bitwise_and.outer(np.arange(n), np.arange(n))
    signs = np.ones(shared.shape)
    while shared.any():
        signs *= 1 - 2 * (shared & 1)
        shared >>= 1
    return x @ signs / np.sqrt(n)


# %% exercise="L2.11" wrong="sums in the type of x"
def hadamard_transform(x):
    x = np.array(x)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise ValueError("x")
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., :1, :] - y[..., 1:, :]], axis=-2).reshape(x.shape)
        h *= 2
    return x / n**0.5


# %% exercise="L2.11" wrong="float16 stays float16"
def hadamard_transform(x):
    x = np.array(x)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise ValueError("x")
    x = x if x.dtype == np.float16 else x.astype(float)
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., :1, :] - y[..., 1:, :]], axis=-2).reshape(x.shape)
        h *= 2
    return x / x.dtype.type(n**0.5)


# %% exercise="L2.11" wrong="takes any even length"
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n % 2 and n > 1:
        raise ValueError(f"x has shape {x.shape}")
    a, b = (x, x) if n == 1 else (x[..., : n // 2], x[..., n // 2 :])
    if n == 1:
        return x
    if n & (n - 1):
        return np.concatenate([a + b, a - b], axis=-1) / 2**0.5
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., :1, :] - y[..., 1:, :]], axis=-2).reshape(x.shape)
        h *= 2
    return x / n**0.5


# %% exercise="L2.11" wrong="fills up with zeros to a power of two"
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError("x")
    n = 1 << (x.shape[-1] - 1).bit_length()
    x = np.concatenate([x, np.zeros((*x.shape[:-1], n - x.shape[-1]))], axis=-1)
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., :1, :] - y[..., 1:, :]], axis=-2).reshape(x.shape)
        h *= 2
    return x / n**0.5


# %% exercise="L2.11" wrong="one vector only" likely=true
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    if x.ndim == 0 or x.shape[-1] < 1 or x.shape[-1] & (x.shape[-1] - 1):
        raise ValueError("x")
    n = x.size
    shape, x = x.shape, x.ravel()
    if n & (n - 1):
        return x.reshape(shape)
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., :1, :] - y[..., 1:, :]], axis=-2).reshape(x.shape)
        h *= 2
    return (x / n**0.5).reshape(shape)


# %% exercise="L2.11" wrong="refuses a length of 1"
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    n = x.shape[-1] if x.ndim else 0
    if n < 2 or n & (n - 1):
        raise ValueError(f"x has shape {x.shape}")
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., :1, :] - y[..., 1:, :]], axis=-2).reshape(x.shape)
        h *= 2
    return x / n**0.5


# %% exercise="L2.11" wrong="stops at a length of 0 with another error"
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    n = x.shape[-1]
    if n & (n - 1):
        raise ValueError("x")
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., :1, :] - y[..., 1:, :]], axis=-2).reshape(x.shape)
        h *= 2
    return x / n**0.5


# %% exercise="L2.11" wrong="does not say what is refused"
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise ValueError("the length must be a power of two")
    h = 1
    while h < n:
        y = x.reshape(*x.shape[:-1], n // (2 * h), 2, h)
        x = np.concatenate([y[..., :1, :] + y[..., 1:, :], y[..., :1, :] - y[..., 1:, :]], axis=-2).reshape(x.shape)
        h *= 2
    return x / n**0.5


# %% exercise="L2.11" wrong="the fast Fourier transform" likely=true
def hadamard_transform(x):
    x = np.array(x, dtype=float)
    n = x.shape[-1] if x.ndim else 0
    if n < 1 or n & (n - 1):
        raise ValueError(f"x has shape {x.shape}")
    return np.fft.fft(x, axis=-1).real / np.sqrt(n)


# %% [markdown]
# ## L2.12 quantize_kv and cached_attention


# %% exercise="L2.12" right="NumPy, and a query behind zeros"
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" right="torch, and the angles from the layer's buffers"
def quantize_kv(k, v, bits, axis):
    k, v = (torch.as_tensor(np.asarray(z).copy()).double() for z in (k, v))
    if k.dim() < 2:
        raise ValueError("k")
    if k.shape != v.shape:
        raise ValueError("v")
    if not 0 < bits < 9:
        raise ValueError("bits")
    if axis == "token":
        dims = (-1, -1)
    elif axis == "channel":
        dims = (-2, -1)
    else:
        raise ValueError("axis")
    top, hats = 2**bits - 1, []
    for z, dim in zip((k, v), dims):
        lo = torch.clamp(z.amin(dim, keepdim=True), max=0)
        hi = torch.clamp(z.amax(dim, keepdim=True), min=0)
        scale = torch.where(hi > lo, (hi - lo) / top, 1.0)
        zero = torch.round(-lo / scale)
        hats.append((torch.clamp(torch.round(z / scale) + zero, 0, top) - zero) * scale)
    return hats[0].numpy(), hats[1].numpy()


def cached_attention(attention, x, cache, keep):
    def heads(y):
        return y.reshape(len(y), 1, 4, 32).permute(0, 2, 1, 3)

    q, k, v = heads(attention.q(x)), heads(attention.k(x)), heads(attention.v(x))
    if "k" in cache:
        k = torch.cat([cache["k"], k], dim=2)
        v = torch.cat([cache["v"], v], dim=2)
    k, v = keep(k, v)
    cache.update(k=k, v=v)
    at = k.shape[2] - 1
    a, b = q.chunk(2, dim=-1)
    cos, sin = attention.cos[at], attention.sin[at]
    q = torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)
    y = torch.nn.functional.scaled_dot_product_attention(q, attention.rotate(k), v)
    return attention.out(y.permute(0, 2, 1, 3).flatten(2))


# %% exercise="L2.12" right="group by group, and einsum over the heads"
def quantize_kv(k, v, bits, axis):
    if np.ndim(k) < 2:
        raise ValueError("k has too few axes")
    if np.shape(k) != np.shape(v):
        raise ValueError("k and v differ")
    if bits not in range(1, 9):
        raise ValueError("bits")
    if axis not in ("token", "channel"):
        raise ValueError("axis")

    def one(group):
        low, high = min(0.0, min(group)), max(0.0, max(group))
        if low == high:
            return group
        scale = (high - low) / (2**bits - 1)
        zero = round(-low / scale)
        return [(min(max(round(value / scale) + zero, 0), 2**bits - 1) - zero) * scale for value in group]

    def rows(x):
        flat = np.asarray(x, dtype=float).reshape(-1, np.shape(x)[-1])
        return np.array([one(row) for row in flat.tolist()]).reshape(np.shape(x))

    flip = lambda x: np.swapaxes(np.asarray(x), -1, -2)
    return (rows(k) if axis == "token" else flip(rows(flip(k)))), rows(v)


def cached_attention(attention, x, cache, keep):
    q, k, v = (layer(x[:, 0]).unflatten(1, (4, 32)) for layer in (attention.q, attention.k, attention.v))
    old_k, old_v = cache.get("k", x.new_zeros(len(x), 4, 0, 32)), cache.get("v", x.new_zeros(len(x), 4, 0, 32))
    cache["k"], cache["v"] = keep(torch.cat([old_k, k[:, :, None]], 2), torch.cat([old_v, v[:, :, None]], 2))
    keys = attention.rotate(cache["k"])
    many = torch.stack([q] * keys.shape[2], dim=2)
    query = attention.rotate(many)[:, :, -1]
    share = (torch.einsum("bhf,bhtf->bht", query, keys) / 32**0.5).softmax(-1)
    return attention.out(torch.einsum("bht,bhtf->bhf", share, cache["v"]).flatten(1))[:, None]


# %% exercise="L2.12" wrong="the values are rounded along the same axis as the keys" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    along = {"token": -1, "channel": -2}[axis]
    return round_trip(k, along), round_trip(v, along)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="token and channel swapped" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -2, "channel": -1}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="one grid for the whole array" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    whole = tuple(range(k.ndim))
    return round_trip(k, whole), round_trip(v, whole)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="all heads share a channel's grid"
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    along = -1 if axis == "token" else tuple(range(k.ndim - 1))
    return round_trip(k, along), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="a range that is not widened to hold 0" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True), x.max(along, keepdims=True)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="the smallest value in place of a zero-point" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True), x.max(along, keepdims=True)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        return np.round((x - lo) / scale) * scale + lo

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="as many steps as codes" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / 2**bits
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="NaN for a group of zeros"
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        with np.errstate(all="ignore"):
            zero = np.round(-lo / scale)
            return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="codes cut off, not rounded" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.trunc(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="a symmetric grid" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        largest = max(2 ** (bits - 1) - 1, 1)
        scale = np.abs(x).max(along, keepdims=True) / largest
        scale[scale == 0] = 1
        return np.round(x / scale) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="any other word is a channel"
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, -1 if axis == "token" else -2), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="accepts nonsense"
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, -1 if axis == "token" else -2), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="takes shapes that NumPy makes fit"
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    fits = v.ndim <= k.ndim and all(a in (1, b) for a, b in zip(v.shape[::-1], k.shape[::-1]))
    v = np.broadcast_to(v, k.shape) if fits else v
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="works on its inputs"
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        x[...] = ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    back = np.array(v)
    k_in = k
    round_trip(k_in, {"token": -1, "channel": -2}[axis])
    round_trip(back, -1)
    return k_in, back


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="the query always at position 0" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    q = attention.rotate(q)
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="the query is not turned at all" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="every key at position 0" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], attention.rotate(k)), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ cache["k"].transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="keys are turned again with each token" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    cache["k"] = attention.rotate(cache["k"])
    scores = q @ cache["k"].transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="a causal mask for a single query" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    keys = attention.rotate(cache["k"])
    mixed = torch.nn.functional.scaled_dot_product_attention(q, keys, cache["v"], is_causal=True)
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="forgets to divide by the root of 32" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2)
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="divides by the root of 128" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 128**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="features of different heads mixed up" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 3).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="what keep returns is used and not stored"
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    k, v = keep(cache["k"], cache["v"])
    t = k.shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(k).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ v
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="what keep returns is stored and not used"
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    k, v = cache["k"], cache["v"]
    cache["k"], cache["v"] = keep(k, v)
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(k).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ v
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="keep gets the newest token only" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    k, v = keep(k, v)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="keep gets keys that are turned"
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    turned, values = keep(attention.rotate(cache["k"]), cache["v"])
    cache["v"] = values
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ turned.transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="keep is forgotten" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k if "k" not in cache else torch.cat((cache["k"], k), 2)
    cache["v"] = v if "v" not in cache else torch.cat((cache["v"], v), 2)
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% exercise="L2.12" wrong="the cache keeps the last token only" likely=true
def quantize_kv(k, v, bits, axis):
    k, v = np.asarray(k, dtype=float), np.asarray(v, dtype=float)
    if k.ndim < 2:
        raise ValueError("k must have two axes")
    if v.shape != k.shape:
        raise ValueError("v must have the shape of k")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if axis not in ("token", "channel"):
        raise ValueError("axis must be token or channel")

    def round_trip(x, along):
        lo, hi = x.min(along, keepdims=True).clip(max=0), x.max(along, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        return ((np.round(x / scale) + zero).clip(0, 2**bits - 1) - zero) * scale

    return round_trip(k, {"token": -1, "channel": -2}[axis]), round_trip(v, -1)


def cached_attention(attention, x, cache, keep):
    batch = x.shape[0]
    q = attention.q(x).view(batch, 1, 4, 32).transpose(1, 2)
    k = attention.k(x).view(batch, 1, 4, 32).transpose(1, 2)
    v = attention.v(x).view(batch, 1, 4, 32).transpose(1, 2)
    cache["k"] = k
    cache["v"] = v
    cache["k"], cache["v"] = keep(cache["k"], cache["v"])
    t = cache["k"].shape[2]
    q = attention.rotate(torch.nn.functional.pad(q, (0, 0, t - 1, 0)))[:, :, -1:]
    scores = q @ attention.rotate(cache["k"]).transpose(-1, -2) / 32**0.5
    mixed = torch.softmax(scores, -1) @ cache["v"]
    return attention.out(mixed.transpose(1, 2).reshape(batch, 1, -1))


# %% [markdown]
# ## L2.13 awq_scales


# %% exercise="L2.13" right="NumPy on whole arrays"
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" right="the error by the Gram matrix of the inputs, a list returned"
def awq_scales(w, x, bits, group_size):
    matrix, inputs = np.asarray(w).astype(np.float64), np.asarray(x).astype(np.float64)
    if np.ndim(matrix) != 2 or np.ndim(inputs) != 2 or len(matrix.T) != len(inputs.T):
        raise ValueError("w and x must have two axes, and the second of both is as long")
    if not 0 < bits < 9:
        raise ValueError("bits lies from 1 to 8")
    if not group_size > 0 or len(matrix.T) % group_size:
        raise ValueError("group_size divides the number of inputs")
    levels = 2.0**bits - 1
    gram = inputs.T @ inputs
    size = np.mean(np.abs(inputs), axis=0)
    size = np.where(size > 0, size, min(size[size > 0], default=1.0))
    best, least = None, np.inf
    for alpha in np.linspace(0, 1, 11):
        s = size**alpha
        s /= np.sqrt(np.max(s) * np.min(s))
        parts = np.split(matrix * s, matrix.shape[1] // group_size, axis=1)
        back = []
        for part in parts:
            bottom, top = np.minimum(part.min(1), 0), np.maximum(part.max(1), 0)
            step = np.where(top > bottom, (top - bottom) / levels, 1.0)[:, None]
            offset = np.rint(-bottom[:, None] / step)
            back.append(step * (np.clip(np.rint(part / step) + offset, 0, levels) - offset))
        off = np.hstack(back) / s - matrix
        loss = np.einsum("oi,ij,oj->", off, gram, off)
        if loss < least:
            best, least = s, loss
    return best.tolist()


# %% exercise="L2.13" right="s scaled by hand through logarithms, a later alpha where two tie"
def awq_scales(w, x, bits, group_size):
    if np.ndim(w) != 2:
        raise ValueError(f"w: shape {np.shape(w)}")
    out, n = np.shape(w)
    if np.ndim(x) != 2 or np.shape(x)[1] != n:
        raise ValueError(f"x: shape {np.shape(x)}, for {n} inputs")
    if bits not in range(1, 9):
        raise ValueError(f"bits: {bits}")
    if group_size not in [d for d in range(1, n + 1) if n % d == 0]:
        raise ValueError(f"group_size: {group_size}, for {n} inputs")
    w, x = np.double(w), np.double(x)

    def one_group(values):
        span = [min(0.0, values.min()), max(0.0, values.max())]
        unit = (span[1] - span[0]) / (2**bits - 1) or 1.0
        z = round(-span[0] / unit)
        q = np.minimum(np.maximum(np.round(values / unit) + z, 0), 2**bits - 1)
        return unit * (q - z)

    typical = np.sum(abs(x), 0) / len(x)
    typical[typical == 0] = typical[typical > 0].min() if typical.any() else 1
    wanted = x @ w.T
    losses, logs = {}, np.log(typical)
    for k in reversed(range(11)):
        s = np.exp(0.1 * k * (logs - (logs.max() + logs.min()) / 2))
        pieces = [one_group(piece) for piece in np.reshape(w * s, (-1, group_size))]
        losses[k] = np.linalg.norm(wanted - (x / s) @ np.reshape(pieces, (out, n)).T), s
    return losses[min(losses, key=lambda k: losses[k][0])][1]


# %% exercise="L2.13" right="torch"
def awq_scales(w, x, bits, group_size):
    w, x = (torch.as_tensor(np.array(values, dtype=np.float64)) for values in (w, x))
    if w.dim() != 2:
        raise ValueError("w must be two-dimensional")
    if x.dim() != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must be two-dimensional, with a column for each of w")
    if bits < 1 or bits > 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size != 0:
        raise ValueError("group_size must divide the number of inputs")
    top = 2**bits - 1
    sizes = x.abs().mean(0)
    seen = sizes > 0
    sizes = torch.where(seen, sizes, sizes[seen].min() if seen.any() else torch.ones(()).double())
    wanted = x @ w.T
    best, least = None, float("inf")
    for alpha in torch.linspace(0, 1, 11, dtype=torch.float64):
        s = sizes**alpha
        s = s / (s.max() * s.min()).sqrt()
        groups = (w * s).unflatten(1, (-1, group_size))
        lo, hi = groups.amin(2, keepdim=True).clamp(max=0), groups.amax(2, keepdim=True).clamp(min=0)
        scale = torch.where(hi > lo, (hi - lo) / top, 1.0)
        zero = (-lo / scale).round()
        back = (((groups / scale).round() + zero).clamp(0, top) - zero) * scale
        error = (x @ (back.flatten(1) / s).T - wanted).square().sum().item()
        if error < least:
            best, least = s, error
    return best


# %% exercise="L2.13" right="loops over groups, and the nearest of all levels"
def awq_scales(w, x, bits, group_size):
    w, x = np.asarray(w), np.asarray(x)
    if w.ndim != 2:
        raise ValueError(f"w has {w.ndim} axes")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError(f"x has shape {x.shape}")
    if bits not in range(1, 9):
        raise ValueError(f"bits is {bits}")
    if group_size <= 0 or w.shape[1] % group_size:
        raise ValueError(f"group_size is {group_size}")
    w, x = w.astype(np.float64), x.astype(np.float64)
    inputs = w.shape[1]
    m = [float(np.mean([abs(value) for value in x[:, j]])) for j in range(inputs)]
    others = [size for size in m if size > 0]
    m = [size if size > 0 else (min(others) if others else 1.0) for size in m]
    errors, tried = [], []
    for alpha in (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
        s = [size**alpha for size in m]
        middle = (max(s) * min(s)) ** 0.5
        s = np.array([one / middle for one in s])
        w_hat = np.zeros(w.shape)
        for start in range(0, inputs, group_size):
            columns = slice(start, start + group_size)
            for i, group in enumerate(w[:, columns] * s[columns]):
                lo, hi = min(group.min(), 0), max(group.max(), 0)
                scale = (hi - lo) / (2**bits - 1) if hi > lo else 1.0
                levels = scale * (np.arange(2**bits) - round(-lo / scale))
                w_hat[i, columns] = [levels[np.argmin(np.abs(levels - value))] for value in group]
        errors.append((((w - w_hat / s) @ x.T) ** 2).sum())
        tried.append(s)
    return tuple(tried[int(np.argmin(errors))])


# %% exercise="L2.13" wrong="s as it is, not divided by sqrt(max * min)" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="s divided by its largest" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / s.max()
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="s divided by its geometric mean" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.exp(np.log(s).mean())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="the mean with signs" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x.mean(axis=0))
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="the largest size in place of the mean" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).max(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="the root of the mean square in place of the mean size" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.sqrt((x**2).mean(axis=0))
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="the sizes of the weights, not of the inputs" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(w).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="does not divide the columns by s again" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s)
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="the smallest error of the weights" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((w - w_hat) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="the inputs divided by s as well as the columns" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x / s @ (w - w_hat).T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="divides the weights by s and multiplies after" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w / s) * s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="the largest error in place of the sum of squares"
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.abs(x @ w.T - x @ w_hat.T).max(), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="errors weighed by the mean sizes, as if inputs were independent" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum(((w - w_hat) * m) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="a whole row shares a grid" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], 1, w.shape[1])
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="a range that is not widened to hold 0"
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True), groups.max(2, keepdims=True)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="a symmetric grid"
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        hi = np.abs(groups).max(2, keepdims=True)
        lo = -hi
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="alpha is always 0.5" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in (5,):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="alpha is always 1" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in (10,):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="alpha ends at 0.9"
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(10):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="alpha begins at 0.1"
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(1, 11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="the worst alpha" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return max(found)[2]


# %% exercise="L2.13" wrong="twenty steps of alpha"
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(21):
        s = m ** (k / 20)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="returns alpha, not s" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[1] / 10


# %% exercise="L2.13" wrong="returns the rounded weights" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, w_hat))
    return min(found)[2]


# %% exercise="L2.13" wrong="an input that is always 0 counts as 1" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = 1
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="divides by 0 where an input is always 0" likely=true
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="stops where all inputs are 0"
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0])
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="sizes below a ten-thousandth count as 0.0001"
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    m = m.clip(1e-4)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="NaN for a group of zeros"
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="sizes in the type of x"
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="works on w itself"
def awq_scales(w, x, bits, group_size):
    w, x = np.asarray(w), np.array(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w must be two-dimensional")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x must have as many columns as w")
    if not 1 <= bits <= 8:
        raise ValueError("bits must be between 1 and 8")
    if group_size < 1 or w.shape[1] % group_size:
        raise ValueError("group_size must divide the inputs")

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        exact = x @ w.T
        w *= s
        w_hat = rounded(w) / s
        w /= s
        w *= 1 + 1e-12
        found.append((np.sum((exact - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]


# %% exercise="L2.13" wrong="accepts nonsense"
def awq_scales(w, x, bits, group_size):
    w, x = np.array(w, dtype=float), np.array(x, dtype=float)

    def rounded(w):
        groups = w.reshape(w.shape[0], w.shape[1] // group_size, group_size)
        lo, hi = groups.min(2, keepdims=True).clip(max=0), groups.max(2, keepdims=True).clip(min=0)
        scale = (hi - lo) / (2**bits - 1)
        scale[scale == 0] = 1
        zero = np.round(-lo / scale)
        codes = (np.round(groups / scale) + zero).clip(0, 2**bits - 1)
        return ((codes - zero) * scale).reshape(w.shape)

    m = np.abs(x).mean(axis=0)
    m[m == 0] = min(m[m > 0], default=1.0)
    found = []
    for k in range(11):
        s = m ** (k / 10)
        s = s / np.sqrt(s.max() * s.min())
        w_hat = rounded(w * s) / s
        found.append((np.sum((x @ w.T - x @ w_hat.T) ** 2), k, s))
    return min(found)[2]
