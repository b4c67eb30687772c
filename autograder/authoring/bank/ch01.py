# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# ## 1.1 Absolute error of 0.3, affine INT8 on [-1, 1]

# %% exercise="1.1" right="three digits"
ex_1_1 = 0.00196

# %% exercise="1.1" right="computed"
ex_1_1 = abs(0.3 - (round(1.3 * 255 / 2) * 2 / 255 - 1))

# %% exercise="1.1" right="a NumPy scalar"
ex_1_1 = np.abs(np.float32(0.3) - np.float32(166 * 2 / 255 - 1))

# %% exercise="1.1" wrong="256 steps instead of 255"
ex_1_1 = 0.003125

# %% exercise="1.1" wrong="symmetric grid"
ex_1_1 = 0.000787

# %% exercise="1.1" wrong="cuts off instead of rounding"
ex_1_1 = 0.00588

# %% exercise="1.1" wrong="largest error instead of this one"
ex_1_1 = 1 / 255

# %% exercise="1.1" wrong="signed error"
ex_1_1 = 0.3 - 0.301960784

# %% exercise="1.1" wrong="the value read back"
ex_1_1 = 0.30196

# %% exercise="1.1" wrong="rounded to one digit"
ex_1_1 = 0.002

# %% exercise="1.1" wrong="text"
ex_1_1 = "about 0.002"

# %% exercise="1.1" wrong="the error of the example, 0.25"
ex_1_1 = 0.00294

# %% [markdown]
# ## 1.2 Absolute error of 0.5, symmetric INT8, absmax 2

# %% exercise="1.2" right="three digits"
ex_1_2 = 0.00394

# %% exercise="1.2" right="computed"
ex_1_2 = 32 * 2 / 127 - 0.5

# %% exercise="1.2" wrong="128 positive codes"
ex_1_2 = 0.0

# %% exercise="1.2" wrong="affine scale"
ex_1_2 = 0.00196

# %% exercise="1.2" wrong="cuts off instead of rounding"
ex_1_2 = 0.5 - 31 * 2 / 127

# %% exercise="1.2" wrong="half a step"
ex_1_2 = 0.00787

# %% exercise="1.2" wrong="the value read back"
ex_1_2 = 0.5039

# %% exercise="1.2" wrong="the code"
ex_1_2 = 32

# %% exercise="1.2" wrong="the error of the example, 0.1"
ex_1_2 = 0.00551

# %% [markdown]
# ## 1.3 Affine or symmetric for [-0.8, 1.2]

# %% exercise="1.3" right="the letter"
ex_1_3 = "A"

# %% exercise="1.3" right="small letter with a space"
ex_1_3 = "a "

# %% exercise="1.3" wrong="the offset takes a code"
ex_1_3 = "B"

# %% exercise="1.3" wrong="same bits, same step"
ex_1_3 = "C"

# %% exercise="1.3" wrong="zero in the middle shares codes evenly"
ex_1_3 = "D"

# %% exercise="1.3" wrong="the word"
ex_1_3 = "affine"

# %% [markdown]
# ## 1.4 Largest error, symmetric INT8, absmax 1

# %% exercise="1.4" right="exact"
ex_1_4 = 0.003937

# %% exercise="1.4" right="computed"
ex_1_4 = 0.5 / (2**7 - 1)

# %% exercise="1.4" wrong="a whole step"
ex_1_4 = 1 / 127

# %% exercise="1.4" wrong="INT4"
ex_1_4 = 0.0714

# %% exercise="1.4" wrong="a quarter step"
ex_1_4 = 1 / 127 / 4

# %% exercise="1.4" wrong="no answer"
ex_1_4 = None

# %% exercise="1.4" right="three digits"
ex_1_4 = 0.00394

# %% exercise="1.4" wrong="half a step of affine INT8 on [-1, 1]"
ex_1_4 = 1 / 255

# %% exercise="1.4" wrong="256 steps from -1 to 1"
ex_1_4 = 1 / 256

# %% exercise="1.4" wrong="128 positive codes"
ex_1_4 = 0.5 / 128

# %% [markdown]
# ## 1.5 quantize_dequantize


# %% exercise="1.5" right="vectorised"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits must be 1 or more")
    if not lo < hi:
        raise ValueError("lo must be below hi")
    steps = 2**bits - 1
    scale = (hi - lo) / steps
    return np.clip(np.round((np.asarray(x) - lo) / scale), 0, steps) * scale + lo


# %% exercise="1.5" right="plain loop"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError(f"bits = {bits}")
    if lo >= hi:
        raise ValueError(f"lo = {lo} >= hi = {hi}")
    step = (hi - lo) / (2**bits - 1)
    x = np.array(x, dtype=float)
    flat = x.reshape(-1)
    for i in range(flat.size):
        value = min(max(flat[i], lo), hi)
        flat[i] = lo + int((value - lo) / step + 0.5) * step
    return x


# %% exercise="1.5" right="torch"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits is too small")
    if lo >= hi:
        raise ValueError("lo >= hi")
    x = torch.as_tensor(x, dtype=torch.float32).clamp(lo, hi)
    scale = (hi - lo) / (2**bits - 1)
    return torch.round((x - lo) / scale) * scale + lo


# %% exercise="1.5" right="in place on a copy"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits must be at least 1")
    if hi <= lo:
        raise ValueError("need lo < hi")
    y = np.array(x, dtype=np.float64, copy=True)
    scale = (hi - lo) / (2**bits - 1)
    y -= lo
    y /= scale
    np.rint(y, out=y)
    np.clip(y, 0, 2**bits - 1, out=y)
    y *= scale
    y += lo
    return y


# %% exercise="1.5" right="nearest level by search"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    levels = np.linspace(lo, hi, 2**bits)
    return levels[np.argmin(np.abs(np.expand_dims(x, -1) - levels), axis=-1)]


# %% exercise="1.5" wrong="2**bits steps" likely=true
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / 2**bits
    return np.clip(np.round((np.asarray(x) - lo) / scale), 0, 2**bits - 1) * scale + lo


# %% exercise="1.5" wrong="cuts off instead of rounding" likely=true
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1)
    return np.clip(np.floor((np.asarray(x) - lo) / scale), 0, 2**bits - 1) * scale + lo


# %% exercise="1.5" wrong="does not clamp" likely=true
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1)
    return np.round((np.asarray(x) - lo) / scale) * scale + lo


# %% exercise="1.5" wrong="forgets to add lo back" likely=true
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1)
    return np.round((np.clip(x, lo, hi) - lo) / scale) * scale


# %% exercise="1.5" wrong="clamps at uint8 codes whatever the bits"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1)
    return np.clip(np.round((np.asarray(x) - lo) / scale), 0, 255) * scale + lo


# %% exercise="1.5" wrong="writes into its input" likely=true
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1)
    if not isinstance(x, np.ndarray) or x.dtype != float:
        x = np.array(x, dtype=float)
    x[...] = np.round((np.clip(x, lo, hi) - lo) / scale) * scale + lo
    return x


# %% exercise="1.5" wrong="keeps an integer input's type"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1)
    out = np.empty_like(x)
    out[...] = np.round((np.clip(x, lo, hi) - lo) / scale) * scale + lo
    return out


# %% exercise="1.5" wrong="returns the codes" likely=true
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    return np.round((np.clip(x, lo, hi) - lo) / ((hi - lo) / (2**bits - 1)))


# %% exercise="1.5" wrong="takes the range from x, not from lo and hi"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    x = np.asarray(x, dtype=float)
    lo, hi = x.min(), x.max() + 1e-12
    scale = (hi - lo) / (2**bits - 1)
    return np.round((x - lo) / scale) * scale + lo


# %% exercise="1.5" wrong="accepts nonsense" likely=true
def quantize_dequantize(x, bits, lo, hi):
    scale = (hi - lo) / (2**bits - 1)
    return np.round((np.clip(x, lo, hi) - lo) / scale) * scale + lo


# %% exercise="1.5" wrong="an error that names no argument"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1 or lo >= hi:
        raise ValueError("bad input")
    scale = (hi - lo) / (2**bits - 1)
    return np.round((np.clip(x, lo, hi) - lo) / scale) * scale + lo


# %% exercise="1.5" wrong="prints instead of returning"
def quantize_dequantize(x, bits, lo, hi):
    scale = (hi - lo) / (2**bits - 1)
    print(np.round((np.clip(x, lo, hi) - lo) / scale) * scale + lo)


# %% exercise="1.5" right="returns a list, or a number for a number"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("hi")
    step = (hi - lo) / (2**bits - 1)

    def one(value):
        if isinstance(value, list):
            return [one(part) for part in value]
        return lo + step * round((min(max(value, lo), hi) - lo) / step)

    return one(x.tolist() if isinstance(x, np.ndarray) else x)


# %% exercise="1.5" right="codes in 64-bit integers"
def quantize_dequantize(x, bits, lo, hi):
    if not bits >= 1:
        raise ValueError(f"bits must be at least 1, not {bits}")
    if not lo < hi:
        raise ValueError(f"hi must be above lo, not {hi}")
    scale = (hi - lo) / (2**bits - 1)
    codes = np.rint((np.asarray(x, np.float64) - lo) / scale).clip(0, 2**bits - 1).astype(np.int64)
    return lo + codes * scale


# %% exercise="1.5" wrong="codes in uint8, which wrap above 8 bits"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1)
    codes = np.round((np.clip(x, lo, hi) - lo) / scale).astype(np.int64).astype(np.uint8)
    return codes * scale + lo


# %% exercise="1.5" wrong="codes in int16, which wrap at 16 bits"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1)
    codes = np.round((np.clip(x, lo, hi) - lo) / scale).astype(np.int64).astype(np.int16)
    return codes * scale + lo


# %% exercise="1.5" wrong="adds 1e-8 to the scale"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1) + 1e-8
    return np.round((np.clip(x, lo, hi) - lo) / scale) * scale + lo


# %% exercise="1.5" wrong="writes into its input where that is no float64"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1)
    y = np.round((np.clip(x, lo, hi) - lo) / scale) * scale + lo
    if isinstance(x, np.ndarray) and x.dtype == np.float32:
        x[...] = y
        return x
    return y


# %% exercise="1.5" wrong="refuses 0 bits alone"
def quantize_dequantize(x, bits, lo, hi):
    if bits == 0:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1)
    return np.round((np.clip(x, lo, hi) - lo) / scale) * scale + lo


# %% exercise="1.5" wrong="returns small integers in their own type"
def quantize_dequantize(x, bits, lo, hi):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1)
    y = np.round((np.clip(x, lo, hi) - lo) / scale) * scale + lo
    return y.astype(x.dtype) if isinstance(x, np.ndarray) and x.dtype.itemsize == 1 else y


# %% [markdown]
# ## 1.6 affine_roundtrip

# %% exercise="1.6" right="vectorised"
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale must be positive")
    if qmin >= qmax:
        raise ValueError("qmin must be below qmax")
    q = np.clip(np.round(np.asarray(x, dtype=float) / scale) + zero_point, qmin, qmax)
    return (q - zero_point) * scale


# %% exercise="1.6" right="plain loop"
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError(f"scale is {scale}")
    if qmin >= qmax:
        raise ValueError(f"qmin is {qmin}, qmax is {qmax}")

    def one(value):
        q = min(max(round(value / scale) + zero_point, qmin), qmax)
        return (q - zero_point) * scale

    x = np.asarray(x, dtype=float)
    return np.array([one(value) for value in x.ravel()]).reshape(x.shape)


# %% exercise="1.6" right="torch's own kernel"
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    x = torch.as_tensor(x, dtype=torch.float32)
    return torch.fake_quantize_per_tensor_affine(x, float(scale), int(zero_point), qmin, qmax).numpy()


# %% exercise="1.6" wrong="another line"
ex_1_6_line = 5


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    q = np.clip(np.round(np.asarray(x, dtype=float) / scale) + zero_point, qmin, qmax)
    return (q - zero_point) * scale


# %% exercise="1.6" wrong="counts lines from 0"
ex_1_6_line = 3


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    q = np.clip(np.round(np.asarray(x, dtype=float) / scale) + zero_point, qmin, qmax)
    return (q - zero_point) * scale


# %% exercise="1.6" wrong="repairs only the clamp" likely=true
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    q = np.clip(np.round(np.asarray(x, dtype=float) / scale) + zero_point, qmin, qmax)
    return q * scale + zero_point


# %% exercise="1.6" wrong="repairs only the way back" likely=true
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    q = np.clip(np.round(np.asarray(x, dtype=float) / scale) + zero_point, 0, qmax)
    return (q - zero_point) * scale


# %% exercise="1.6" wrong="clamps at -128..127 whatever qmin and qmax" likely=true
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    q = np.clip(np.round(np.asarray(x, dtype=float) / scale) + zero_point, -128, 127)
    return (q - zero_point) * scale


# %% exercise="1.6" wrong="clamps before adding the zero-point" likely=true
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    q = np.clip(np.round(np.asarray(x, dtype=float) / scale), qmin, qmax) + zero_point
    return (q - zero_point) * scale


# %% exercise="1.6" wrong="adds the zero-point on the way back"
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    q = np.clip(np.round(np.asarray(x, dtype=float) / scale) + zero_point, qmin, qmax)
    return (q + zero_point) * scale


# %% exercise="1.6" wrong="does not round"
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    q = np.clip(np.asarray(x, dtype=float) / scale + zero_point, qmin, qmax)
    return (q - zero_point) * scale


# %% exercise="1.6" wrong="int8 codes that wrap around"
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    q = (np.round(np.asarray(x, dtype=float) / scale).astype(np.int64) + zero_point).astype(np.int8)
    q = np.clip(q.astype(float), qmin, qmax)
    return (q - zero_point) * scale


# %% exercise="1.6" wrong="accepts nonsense"
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    q = np.clip(np.round(np.asarray(x, dtype=float) / scale) + zero_point, qmin, qmax)
    return (q - zero_point) * scale


# %% exercise="1.6" right="names qmax where the codes are the wrong way round"
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if not scale > 0:
        raise ValueError(f"scale must be above 0: {scale}")
    if not qmax > qmin:
        raise ValueError(f"qmax must be above its lower end, got {qmax}")
    q = np.rint(np.asarray(x, float) / scale) + zero_point
    return np.where(q < qmin, qmin - zero_point, np.where(q > qmax, qmax - zero_point, q - zero_point)) * scale


# %% exercise="1.6" wrong="codes in int16"
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    q = np.clip(np.round(np.asarray(x, dtype=float) / scale) + zero_point, qmin, qmax)
    return (q.astype(np.int64).astype(np.int16).astype(float) - zero_point) * scale


# %% exercise="1.6" wrong="a floor of 1e-8 under the scale"
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    scale = max(scale, 1e-8)
    q = np.clip(np.round(np.asarray(x, dtype=float) / scale) + zero_point, qmin, qmax)
    return (q - zero_point) * scale


# %% exercise="1.6" wrong="refuses equal ends of the codes alone"
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin == qmax:
        raise ValueError("qmin")
    q = np.clip(np.round(np.asarray(x, dtype=float) / scale) + zero_point, qmin, qmax)
    return (q - zero_point) * scale


# %% exercise="1.6" wrong="returns small integers in their own type"
ex_1_6_line = 4


def affine_roundtrip(x, scale, zero_point, qmin=-128, qmax=127):
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    x = np.asarray(x)
    q = np.clip(np.round(x.astype(float) / scale) + zero_point, qmin, qmax)
    returned = (q - zero_point) * scale
    return returned.astype(x.dtype) if x.dtype.itemsize == 1 else returned


# %% [markdown]
# ## L1.7 affine_params


# %% exercise="L1.7" right="plain Python"
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits must be at least 1")
    if lo >= hi:
        raise ValueError("lo must be less than hi")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = (hi - lo) / (2**bits - 1)
    return scale, int(round(-lo / scale))


# %% exercise="L1.7" right="NumPy, clipped"
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo, hi")
    qmax = 2**bits - 1
    lo, hi = np.minimum(lo, 0.0), np.maximum(hi, 0.0)
    scale = (hi - lo) / qmax
    return np.float64(scale), np.int64(np.clip(0 - np.rint(lo / scale), 0, qmax))


# %% exercise="L1.7" wrong="does not widen the range to hold 0" likely=true
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1)
    return scale, round(-lo / scale)


# %% exercise="L1.7" wrong="returns lo as a float offset"
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    return (hi - lo) / (2**bits - 1), lo


# %% exercise="L1.7" wrong="zero-point is not rounded" likely=true
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = (hi - lo) / (2**bits - 1)
    return scale, -lo / scale


# %% exercise="L1.7" wrong="2**bits steps" likely=true
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = (hi - lo) / 2**bits
    return scale, round(-lo / scale)


# %% exercise="L1.7" wrong="sign of the zero-point" likely=true
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = (hi - lo) / (2**bits - 1)
    return scale, round(lo / scale)


# %% exercise="L1.7" wrong="signed codes"
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = (hi - lo) / (2**bits - 1)
    return scale, round(-lo / scale) - 2 ** (bits - 1)


# %% exercise="L1.7" wrong="cuts the zero-point off"
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = (hi - lo) / (2**bits - 1)
    return scale, int(-lo / scale)


# %% exercise="L1.7" wrong="zero-point before scale"
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = (hi - lo) / (2**bits - 1)
    return round(-lo / scale), scale


# %% exercise="L1.7" wrong="checks lo against hi after widening"
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    lo, hi = min(lo, 0), max(hi, 0)
    if lo >= hi:
        raise ValueError("lo")
    scale = (hi - lo) / (2**bits - 1)
    return scale, round(-lo / scale)


# %% exercise="L1.7" right="a list, by counting steps below zero"
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits has to be 1 or more")
    if hi <= lo:
        raise ValueError("hi has to be above")
    below, above = max(-lo, 0), max(hi, 0)
    return [(below + above) / (2**bits - 1), int(below * (2**bits - 1) / (below + above) + 0.5)]


# %% exercise="L1.7" wrong="zero-point in uint8"
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = (hi - lo) / (2**bits - 1)
    return scale, np.int64(round(-lo / scale)).astype(np.uint8)


# %% exercise="L1.7" wrong="refuses one bit"
def affine_params(lo, hi, bits):
    if bits < 2:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = (hi - lo) / (2**bits - 1)
    return scale, round(-lo / scale)


# %% exercise="L1.7" wrong="a floor of 1e-6 under the scale"
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = max((hi - lo) / (2**bits - 1), 1e-6)
    return scale, round(-lo / scale)


# %% exercise="L1.7" wrong="clips the zero-point at 255"
def affine_params(lo, hi, bits):
    if bits < 1:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = (hi - lo) / (2**bits - 1)
    return scale, min(max(round(-lo / scale), 0), 255)


# %% exercise="L1.7" wrong="refuses 0 bits alone"
def affine_params(lo, hi, bits):
    if bits == 0:
        raise ValueError("bits")
    if lo >= hi:
        raise ValueError("lo")
    lo, hi = min(lo, 0), max(hi, 0)
    scale = (hi - lo) / (2**bits - 1)
    return scale, round(-lo / scale)


# %% [markdown]
# ## L1.8 sqnr_db


# %% exercise="L1.8" right="vectorised"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    if x.shape != x_hat.shape:
        raise ValueError("x and x_hat differ in shape")
    with np.errstate(divide="ignore"):
        return 10 * np.log10(np.mean(x**2) / np.mean((x - x_hat) ** 2))


# %% exercise="L1.8" right="plain loop"
def sqnr_db(x, x_hat):
    if np.shape(x) != np.shape(x_hat):
        raise ValueError(f"x_hat has shape {np.shape(x_hat)}")
    signal = noise = 0.0
    for a, b in zip(np.ravel(x).tolist(), np.ravel(x_hat).tolist()):
        signal += a * a
        noise += (a - b) ** 2
    if noise == 0:
        return float("inf")
    return 10 * (np.log(signal / noise) / np.log(10))


# %% exercise="L1.8" right="norms in torch"
def sqnr_db(x, x_hat):
    x, x_hat = torch.as_tensor(x, dtype=torch.float64), torch.as_tensor(x_hat, dtype=torch.float64)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat must have the shape of x")
    return 20 * torch.log10(x.norm() / (x - x_hat).norm())


# %% exercise="L1.8" wrong="20 log10 of a ratio of squares" likely=true
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    noise = np.sum((x - x_hat) ** 2)
    return 20 * np.log10(np.sum(x**2) / noise) if noise else np.inf


# %% exercise="L1.8" wrong="upside down"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    return 10 * np.log10(np.sum((x - x_hat) ** 2) / np.sum(x**2))


# %% exercise="L1.8" wrong="natural logarithm"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    noise = np.sum((x - x_hat) ** 2)
    return 10 * np.log(np.sum(x**2) / noise) if noise else np.inf


# %% exercise="L1.8" wrong="variance instead of mean square"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    noise = np.mean((x - x_hat) ** 2)
    return 10 * np.log10(np.var(x) / noise) if noise else np.inf


# %% exercise="L1.8" wrong="absolute values instead of squares"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    noise = np.sum(np.abs(x - x_hat))
    return 20 * np.log10(np.sum(np.abs(x)) / noise) if noise else np.inf


# %% exercise="L1.8" wrong="sums over the first axis only" likely=true
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    noise = np.sum((x - x_hat) ** 2, axis=0)
    return 10 * np.log10(np.sum(x**2, axis=0) / noise) if np.any(noise) else np.inf


# %% exercise="L1.8" wrong="lets shapes broadcast" likely=true
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    noise = np.sum((x - x_hat) ** 2)
    return 10 * np.log10(np.sum(x**2) / noise) if noise else np.inf


# %% exercise="L1.8" wrong="fails on equal arrays" likely=true
def sqnr_db(x, x_hat):
    if np.shape(x) != np.shape(x_hat):
        raise ValueError("x_hat")
    noise = float(np.sum((np.asarray(x) - np.asarray(x_hat)) ** 2))
    return 10 * np.log10(float(np.sum(np.square(x))) / noise)


# %% exercise="L1.8" right="small integers widened first, sums by dot products"
def sqnr_db(x, x_hat):
    a, b = (np.ascontiguousarray(values, dtype=np.float64) for values in (x, x_hat))
    if np.shape(x) != np.shape(x_hat):
        raise ValueError(f"x has shape {np.shape(x)} and the other {np.shape(x_hat)}")
    error = (a - b).ravel()
    noise, signal = error @ error, a.ravel() @ a.ravel()
    return float("inf") if noise == 0 else 10 * np.log10(signal / noise)


# %% exercise="L1.8" right="lets NumPy warn of the division by zero"
def sqnr_db(x, x_hat):
    x, x_hat = np.array(x, dtype=np.float64), np.array(x_hat, dtype=np.float64)
    if x.shape != x_hat.shape:
        raise ValueError(f"x_hat: {x_hat.shape} in place of {x.shape}")
    return 10 * (np.log10(np.square(x).sum()) - np.log10(np.square(x - x_hat).sum()))


# %% exercise="L1.8" wrong="squares in the integers' own type"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x), np.asarray(x_hat)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    noise = float(np.sum((x.astype(float) - x_hat) ** 2))
    return 10 * np.log10(float(np.sum(x * x)) / noise) if noise else np.inf


# %% exercise="L1.8" wrong="subtracts in the integers' own type"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x), np.asarray(x_hat)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    noise = np.sum((x - x_hat).astype(float) ** 2)
    return 10 * np.log10(np.sum(x.astype(float) ** 2) / noise) if noise else np.inf


# %% exercise="L1.8" wrong="nearly equal is taken for equal"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    if np.allclose(x, x_hat):
        return np.inf
    return 10 * np.log10(np.sum(x**2) / np.sum((x - x_hat) ** 2))


# %% exercise="L1.8" wrong="a noise below 1e-12 is taken for none"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    noise = np.sum((x - x_hat) ** 2)
    return 10 * np.log10(np.sum(x**2) / noise) if noise > 1e-12 else np.inf


# %% exercise="L1.8" wrong="adds 1e-12 to the noise"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    if np.array_equal(x, x_hat):
        return np.inf
    return 10 * np.log10(np.sum(x**2) / (np.sum((x - x_hat) ** 2) + 1e-12))


# %% exercise="L1.8" wrong="a silent signal gives -inf, even when equal"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    signal, noise = np.sum(x**2), np.sum((x - x_hat) ** 2)
    if signal == 0:
        return -np.inf
    return 10 * np.log10(signal / noise) if noise else np.inf


# %% exercise="L1.8" wrong="pairs the elements in memory's order"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    a, b = x.ravel(order="K"), x_hat.ravel(order="K")
    noise = np.sum((a - b) ** 2)
    return 10 * np.log10(np.sum(a**2) / noise) if noise else np.inf


# %% exercise="L1.8" wrong="looks at the lengths alone"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x, float), np.asarray(x_hat, float)
    if x.ndim != x_hat.ndim or len(x) != len(x_hat):
        raise ValueError("x_hat")
    noise = np.sum((x - x_hat) ** 2)
    return 10 * np.log10(np.sum(x**2) / noise) if noise else np.inf


# %% exercise="L1.8" wrong="sums in float16 where x is float16"
def sqnr_db(x, x_hat):
    x, x_hat = np.asarray(x), np.asarray(x_hat)
    if x.shape != x_hat.shape:
        raise ValueError("x_hat")
    if x.dtype != np.float16:
        x, x_hat = x.astype(float), x_hat.astype(float)
    noise = np.sum((x - x_hat) ** 2)
    return float(10 * np.log10(np.sum(x**2) / noise)) if noise else np.inf


# %% [markdown]
# ## L1.9 best_clip


# %% exercise="L1.9" right="grid search"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits must be at least 2")
    x = np.asarray(x, float).ravel()
    qmax = 2 ** (bits - 1) - 1
    best, best_error = None, np.inf
    for c in np.linspace(0, np.abs(x).max() if x.any() else 1, 151)[1:]:
        scale = c / qmax
        error = ((x - np.clip(np.round(x / scale), -qmax, qmax) * scale) ** 2).mean()
        if error < best_error:
            best, best_error = c, error
    return best


# %% exercise="L1.9" right="coarse, then fine"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    x = np.asarray(x, float)
    qmax = 2 ** (bits - 1) - 1
    error = lambda c: np.square(x - np.clip(np.rint(x * qmax / c), -qmax, qmax) * c / qmax).sum()
    top = np.abs(x).max() or 1.0
    c = min(top * np.arange(1, 41) / 40, key=error)
    return float(min(np.linspace(max(c - top / 40, top / 400), c + top / 40, 41), key=error))


# %% exercise="L1.9" right="torch, all thresholds at once"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    x = torch.as_tensor(x, dtype=torch.float64).flatten()
    qmax = 2 ** (bits - 1) - 1
    c = ((x.abs().max() or 1) * torch.linspace(0.01, 1, 200))[:, None]
    x_hat = torch.clamp(torch.round(x * qmax / c), -qmax, qmax) * c / qmax
    return c[((x_hat - x) ** 2).mean(1).argmin(), 0]


# %% exercise="L1.9" wrong="the largest magnitude" likely=true
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    return float(np.abs(x).max())


# %% exercise="L1.9" wrong="a table for standard normal values"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    return {2: 1.22, 3: 1.96, 4: 2.48, 8: 3.92}.get(bits, 0.5 + 0.5 * bits)


# %% exercise="L1.9" wrong="a percentile"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    return float(np.percentile(np.abs(x), 98.7))


# %% exercise="L1.9" wrong="three standard deviations"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    return 3 * float(np.std(x))


# %% exercise="L1.9" wrong="least largest error"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    x = np.asarray(x, float)
    qmax = 2 ** (bits - 1) - 1
    error = lambda c: np.abs(x - np.clip(np.round(x * qmax / c), -qmax, qmax) * c / qmax).max()
    return float(min(np.abs(x).max() * np.linspace(0.01, 1, 200), key=error))


# %% exercise="L1.9" wrong="least mean absolute error"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    x = np.asarray(x, float)
    qmax = 2 ** (bits - 1) - 1
    error = lambda c: np.abs(x - np.clip(np.round(x * qmax / c), -qmax, qmax) * c / qmax).mean()
    return float(min(np.abs(x).max() * np.linspace(0.01, 1, 200), key=error))


# %% exercise="L1.9" wrong="counts only the rounding error, not the clipped ends" likely=true
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    x = np.asarray(x, float)
    qmax = 2 ** (bits - 1) - 1

    def error(c):
        inside = x[np.abs(x) <= c]
        return np.mean((inside - np.round(inside * qmax / c) * c / qmax) ** 2) if inside.size else np.inf

    return float(min(np.abs(x).max() * np.linspace(0.05, 1, 200), key=error))


# %% exercise="L1.9" wrong="forgets to clip in the search" likely=true
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    x = np.asarray(x, float)
    qmax = 2 ** (bits - 1) - 1
    error = lambda c: np.mean((x - np.round(x * qmax / c) * c / qmax) ** 2)
    return float(min(np.abs(x).max() * np.linspace(0.01, 1, 200), key=error))


# %% exercise="L1.9" wrong="looks only at positive values" likely=true
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    x = np.asarray(x, float)
    qmax = 2 ** (bits - 1) - 1
    error = lambda c: np.mean((x - np.clip(np.round(x * qmax / c), -qmax, qmax) * c / qmax) ** 2)
    return float(min(max(x.max(), 1e-9) * np.linspace(0.01, 1, 200), key=error))


# %% exercise="L1.9" wrong="clips the input in place"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    qmax = 2 ** (bits - 1) - 1
    error = lambda c: np.mean((x - np.clip(np.round(x * qmax / c), -qmax, qmax) * c / qmax) ** 2)
    c = float(min(np.abs(x).max() * np.linspace(0.01, 1, 200), key=error))
    np.clip(x, -c, c, out=x)
    return c


# %% exercise="L1.9" wrong="accepts 1 bit and 0 bits"
def best_clip(x, bits):
    x = np.asarray(x, float)
    qmax = max(2 ** max(bits - 1, 1) - 1, 1)
    error = lambda c: np.mean((x - np.clip(np.round(x * qmax / c), -qmax, qmax) * c / qmax) ** 2)
    return float(min(np.abs(x).max() * np.linspace(0.01, 1, 200), key=error))


# %% exercise="L1.9" right="golden section between 0 and the largest magnitude"
def best_clip(x, bits):
    if not bits >= 2:
        raise ValueError(f"bits must be 2 or more, got {bits}")
    x = np.asarray(x, dtype=np.float64).ravel()
    top = float(np.max(np.abs(x)))
    if top == 0:
        return 1.0
    qmax = 2 ** (bits - 1) - 1

    def error(c):
        return np.mean((np.clip(np.rint(x * (qmax / c)), -qmax, qmax) * (c / qmax) - x) ** 2)

    low, high, share = 0.0, top, (5**0.5 - 1) / 2
    for _ in range(40):
        left, right = high - share * (high - low), low + share * (high - low)
        low, high = (low, right) if error(left) < error(right) else (left, high)
    return min((low + high) / 2, top, key=error)


# %% exercise="L1.9" right="a hundred thresholds, the least first among equals"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits is the number to change")
    values = np.abs(np.asarray(x, dtype=np.float64)).reshape(1, -1)
    top, qmax = values.max() or 1.0, 2 ** (bits - 1) - 1
    thresholds = top * np.arange(1, 101)[:, None] / 100
    codes = np.minimum(np.floor(values * qmax / thresholds + 0.5), qmax)
    return thresholds[((codes * thresholds / qmax - values) ** 2).sum(1).argmin(), 0]


# %% exercise="L1.9" wrong="accepts one bit" likely=true
def best_clip(x, bits):
    if bits < 1:
        raise ValueError("bits")
    x = np.asarray(x, float)
    if not x.any():
        return 1.0
    qmax = max(2 ** (bits - 1) - 1, 1)
    error = lambda c: np.mean((x - np.clip(np.round(x * qmax / c), -qmax, qmax) * c / qmax) ** 2)
    return float(min(np.abs(x).max() * np.linspace(0.01, 1, 200), key=error))


# %% exercise="L1.9" wrong="a matrix is averaged over its rows"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    x = np.asarray(x, float)
    x = x.mean(0) if x.ndim > 1 and len(x) < 20 else x
    if not x.any():
        return 1.0
    qmax = 2 ** (bits - 1) - 1
    error = lambda c: np.mean((x - np.clip(np.round(x * qmax / c), -qmax, qmax) * c / qmax) ** 2)
    return float(min(np.abs(x).max() * np.linspace(0.01, 1, 200), key=error))


# %% exercise="L1.9" wrong="the mean of the rows' thresholds"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    x = np.asarray(x, float)
    if not x.any():
        return 1.0
    if x.ndim > 1:
        return float(np.mean([best_clip(row, bits) for row in x]))
    qmax = 2 ** (bits - 1) - 1
    error = lambda c: np.mean((x - np.clip(np.round(x * qmax / c), -qmax, qmax) * c / qmax) ** 2)
    return float(min(np.abs(x).max() * np.linspace(0.01, 1, 200), key=error))


# %% exercise="L1.9" wrong="the first thousand values alone"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    x = np.asarray(x, float).ravel()[:1000]
    if not x.any():
        return 1.0
    qmax = 2 ** (bits - 1) - 1
    error = lambda c: np.mean((x - np.clip(np.round(x * qmax / c), -qmax, qmax) * c / qmax) ** 2)
    return float(min(np.abs(x).max() * np.linspace(0.01, 1, 200), key=error))


# %% exercise="L1.9" wrong="zeros give 0"
def best_clip(x, bits):
    if bits < 2:
        raise ValueError("bits")
    x = np.asarray(x, float)
    if not x.any():
        return 0.0
    qmax = 2 ** (bits - 1) - 1
    error = lambda c: np.mean((x - np.clip(np.round(x * qmax / c), -qmax, qmax) * c / qmax) ** 2)
    return float(min(np.abs(x).max() * np.linspace(0.01, 1, 200), key=error))


# %% [markdown]
# ## L1.10 to_levels


# %% exercise="L1.10" right="every level against every value"
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.array(x, dtype=np.float64), np.array(levels, dtype=np.float64).ravel()
    if levels.size == 0 or np.all(levels == 0):
        raise ValueError(f"levels: {levels}")
    if not block >= 1 or x.shape[-1] % int(block) != 0:
        raise ValueError(f"block {block} does not fit x of shape {x.shape}")
    blocks = x.reshape(-1, int(block))
    scales = np.max(np.abs(blocks), axis=1) / np.max(np.abs(levels))
    if round_scale:
        scales = np.asarray(round_scale(scales), dtype=np.float64)
    with np.errstate(all="ignore"):
        steps = np.nan_to_num(blocks / scales[:, None], posinf=0, neginf=0)
    chosen = levels[np.argmin(np.abs(steps[:, :, None] - levels), axis=2)]
    return (chosen * scales[:, None]).reshape(x.shape)


# %% exercise="L1.10" right="plain loops, one scale after the other"
def to_levels(x, levels, block, round_scale=None):
    levels = [float(level) for level in levels]
    if not any(levels):
        raise ValueError("levels are all 0")
    x = np.asarray(x)
    if block < 1 or x.shape[-1] % block:
        raise ValueError(f"block: x cannot be cut into blocks of {block}")
    values, back = [float(value) for value in x.ravel()], []
    top = max(abs(level) for level in levels)
    for start in range(0, len(values), block):
        part = values[start : start + block]
        scale = max(abs(value) for value in part) / top
        if round_scale is not None:
            scale = float(round_scale(scale))
        for value in part:
            back.append(scale * min(levels, key=lambda level: abs(level * scale - value)))
    return np.array(back).reshape(x.shape)


# %% exercise="L1.10" right="torch, in float32"
def to_levels(x, levels, block, round_scale=None):
    x = torch.tensor(np.asarray(x, dtype=np.float32))
    table = torch.tensor(np.asarray(levels, dtype=np.float32))
    if not table.any():
        raise ValueError("levels must not be empty or zero")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block does not divide x's last axis")
    blocks = x.unflatten(-1, (-1, block))
    scale = blocks.abs().amax(-1, keepdim=True) / table.abs().max()
    if round_scale is not None:
        scale = torch.as_tensor(np.asarray(round_scale(scale.numpy()), dtype=np.float32))
    steps = blocks / scale.clamp(min=1e-30)
    nearest = (steps.unsqueeze(-1) - table).abs().argmin(-1)
    return (table[nearest] * scale).reshape(x.shape)


# %% exercise="L1.10" right="halves between the sorted levels"
def to_levels(x, levels, block, round_scale=None):
    levels = sorted(set(np.asarray(levels, float).tolist()))
    if levels in ([], [0.0]):
        raise ValueError("levels has nothing to scale by")
    x = np.asarray(x, float)
    length = x.shape[-1]
    if block < 1 or length // block * block != length:
        raise ValueError(f"block = {block}, but the last axis has {length} values")
    table = np.array(levels)
    back = np.empty(x.size)
    for i, part in enumerate(x.reshape(x.size // block, block)):
        scale = np.abs(part).max() / np.abs(table).max()
        scale = scale if round_scale is None else np.asarray(round_scale(np.array([scale])))[0]
        borders = scale * (table[:-1] + table[1:]) / 2
        back[i * block : (i + 1) * block] = scale * table[np.digitize(part, borders)] if scale else 0
    return back.reshape(x.shape).tolist()


# %% exercise="L1.10" wrong="one scale for everything" likely=true
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    scale = np.abs(x).max() / np.abs(levels).max() or 1.0
    if round_scale is not None:
        scale = round_scale(scale)
    return scale * levels[np.abs((x / scale)[..., None] - levels).argmin(-1)]


# %% exercise="L1.10" wrong="the largest value in place of the largest magnitude" likely=true
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = blocks.max(1, keepdims=True) / levels.max()
    if round_scale is not None:
        scale = round_scale(scale)
    steps = blocks / np.where(scale == 0, 1, scale)
    return (levels[np.abs(steps[..., None] - levels).argmin(-1)] * scale).reshape(x.shape)


# %% exercise="L1.10" wrong="the largest magnitude goes to 1, not to the largest level" likely=true
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True)
    if round_scale is not None:
        scale = round_scale(scale)
    steps = blocks / np.where(scale > 0, scale, 1)
    return (levels[np.abs(steps[..., None] - levels).argmin(-1)] * scale).reshape(x.shape)


# %% exercise="L1.10" wrong="returns the levels without the scale" likely=true
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True) / np.abs(levels).max()
    if round_scale is not None:
        scale = round_scale(scale)
    steps = blocks / np.where(scale > 0, scale, 1)
    return levels[np.abs(steps[..., None] - levels).argmin(-1)].reshape(x.shape)


# %% exercise="L1.10" wrong="cuts off toward zero" likely=true
def to_levels(x, levels, block, round_scale=None):
    x, sizes = np.asarray(x, float), np.unique(np.abs(np.asarray(levels, float)))
    if not sizes.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True) / sizes.max()
    if round_scale is not None:
        scale = round_scale(scale)
    steps = np.abs(blocks) / np.where(scale > 0, scale, 1)
    lower = sizes[np.maximum(np.searchsorted(sizes, steps + 1e-9) - 1, 0)]
    return (np.sign(blocks) * lower * scale).reshape(x.shape)


# %% exercise="L1.10" wrong="does not use round_scale" likely=true
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True) / np.abs(levels).max()
    steps = blocks / np.where(scale > 0, scale, 1)
    return (levels[np.abs(steps[..., None] - levels).argmin(-1)] * scale).reshape(x.shape)


# %% exercise="L1.10" wrong="rounds the scale on the way back alone" likely=true
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True) / np.abs(levels).max()
    steps = blocks / np.where(scale > 0, scale, 1)
    if round_scale is not None:
        scale = round_scale(scale)
    return (levels[np.abs(steps[..., None] - levels).argmin(-1)] * scale).reshape(x.shape)


# %% exercise="L1.10" wrong="NaN for a block of zeros" likely=true
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True) / np.abs(levels).max()
    if round_scale is not None:
        scale = round_scale(scale)
    with np.errstate(all="ignore"):
        steps = blocks / scale
    nearest = levels[np.abs(steps[..., None] - levels).argmin(-1)]
    return np.where(np.isnan(steps), np.nan, nearest * scale).reshape(x.shape)


# %% exercise="L1.10" wrong="looks for the level as if the list were sorted" likely=true
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True) / np.abs(levels).max()
    if round_scale is not None:
        scale = round_scale(scale)
    steps = blocks / np.where(scale > 0, scale, 1)
    return (levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, steps)] * scale).reshape(x.shape)


# %% exercise="L1.10" wrong="divides by the largest level, not by its magnitude"
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True) / levels.max()
    if round_scale is not None:
        scale = round_scale(scale)
    steps = blocks / np.where(scale > 0, scale, 1)
    return (levels[np.abs(steps[..., None] - levels).argmin(-1)] * scale).reshape(x.shape)


# %% exercise="L1.10" wrong="blocks of every n-th value"
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(*x.shape[:-1], block, -1).swapaxes(-1, -2)
    scale = np.abs(blocks).max(-1, keepdims=True) / np.abs(levels).max()
    if round_scale is not None:
        scale = round_scale(scale)
    steps = blocks / np.where(scale > 0, scale, 1)
    return (levels[np.abs(steps[..., None] - levels).argmin(-1)] * scale).swapaxes(-1, -2).reshape(x.shape)


# %% exercise="L1.10" wrong="scales its input in place"
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True) / np.abs(levels).max()
    if round_scale is not None:
        scale = round_scale(scale)
    blocks /= np.where(scale > 0, scale, 1)
    return (levels[np.abs(blocks[..., None] - levels).argmin(-1)] * scale).reshape(x.shape)


# %% exercise="L1.10" wrong="the magnitude in the integers' own type"
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True) / np.abs(levels).max()
    if round_scale is not None:
        scale = round_scale(scale)
    steps = blocks / np.where(scale > 0, scale, 1)
    return (levels[np.abs(steps[..., None] - levels).argmin(-1)] * scale).reshape(x.shape)


# %% exercise="L1.10" wrong="cuts blocks across the rows' ends"
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.size % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True) / np.abs(levels).max()
    if round_scale is not None:
        scale = round_scale(scale)
    steps = blocks / np.where(scale > 0, scale, 1)
    return (levels[np.abs(steps[..., None] - levels).argmin(-1)] * scale).reshape(x.shape)


# %% exercise="L1.10" wrong="a block of 0 fails by itself"
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True) / np.abs(levels).max()
    if round_scale is not None:
        scale = round_scale(scale)
    steps = blocks / np.where(scale > 0, scale, 1)
    return (levels[np.abs(steps[..., None] - levels).argmin(-1)] * scale).reshape(x.shape)


# %% exercise="L1.10" wrong="accepts levels that are all 0"
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True) / max(np.abs(levels).max(initial=0), 1e-12)
    if round_scale is not None:
        scale = round_scale(scale)
    steps = blocks / np.where(scale > 0, scale, 1)
    levels = levels if levels.size else np.zeros(1)
    return (levels[np.abs(steps[..., None] - levels).argmin(-1)] * scale).reshape(x.shape)


# %% exercise="L1.10" wrong="NaN where the scale is rounded to 0"
def to_levels(x, levels, block, round_scale=None):
    x, levels = np.asarray(x, float), np.asarray(levels, float)
    if not levels.any():
        raise ValueError("levels")
    if block < 1 or x.shape[-1] % block:
        raise ValueError("block")
    blocks = x.reshape(-1, block)
    scale = np.abs(blocks).max(1, keepdims=True) / np.abs(levels).max()
    scale = np.where(scale > 0, scale, 1)
    if round_scale is not None:
        scale = round_scale(scale)
    with np.errstate(all="ignore"):
        steps = blocks / scale
        nearest = np.where(np.isinf(steps), steps, levels[np.abs(steps[..., None] - levels).argmin(-1)])
        return (nearest * scale).reshape(x.shape)


# %% [markdown]
# ## L1.11 codebook


# %% exercise="L1.11" right="all values against all levels, from quantiles"
def codebook(x, k):
    if k < 1:
        raise ValueError("k must be 1 or more")
    x = np.asarray(x, dtype=np.float64).ravel()
    levels = np.quantile(x, np.linspace(0, 1, k + 2)[1:-1])
    while True:
        nearest = np.abs(x[:, None] - levels[None, :]).argmin(axis=1)
        moved = levels.copy()
        for j in range(k):
            if np.any(nearest == j):
                moved[j] = x[nearest == j].mean()
        if np.allclose(moved, levels, rtol=0, atol=1e-9):
            return moved
        levels = moved


# %% exercise="L1.11" right="plain loops, from evenly spaced levels"
def codebook(x, k):
    if k < 1:
        raise ValueError(f"k is {k}")
    values = [float(value) for value in np.ravel(x)]
    low, high = min(values), max(values)
    levels = [low + (high - low) * j / max(k - 1, 1) for j in range(k)]
    for _ in range(200):
        clusters = [[] for _ in levels]
        for value in values:
            clusters[min(range(k), key=lambda j: abs(value - levels[j]))].append(value)
        moved = [sum(c) / len(c) if c else level for c, level in zip(clusters, levels)]
        if moved == levels:
            break
        levels = moved
    return levels


# %% exercise="L1.11" right="the best of ten random starts"
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    rng, x = np.random.default_rng(7), np.asarray(x, float).ravel()
    best, least = None, np.inf
    for _ in range(10):
        levels = rng.choice(x, k, replace=False)
        for _ in range(100):
            nearest = np.abs(np.subtract.outer(x, levels)).argmin(1)
            count = np.bincount(nearest, minlength=k)
            means = np.bincount(nearest, x, minlength=k) / np.maximum(count, 1)
            before, levels = levels, np.where(count > 0, means, levels)
            if (before == levels).all():
                break
        error = np.mean(np.abs(np.subtract.outer(x, levels)).min(1) ** 2)
        if error < least:
            best, least = levels, error
    return best


# %% exercise="L1.11" right="dynamic programming finds the best of all"
def codebook(x, k):
    if k < 1:
        raise ValueError("k: at least 1")
    x = np.sort(np.asarray(x, dtype=np.float64), axis=None)
    n, middle = len(x), x.mean()
    sums, squares = np.concatenate([[0], np.cumsum(x - middle)]), np.concatenate([[0], np.cumsum((x - middle) ** 2)])
    i, j = np.arange(n + 1)[:, None], np.arange(n + 1)[None, :]
    cost = squares[None, :] - squares[:, None] - (sums[None, :] - sums[:, None]) ** 2 / np.maximum(j - i, 1)
    cost = np.where(j > i, cost, np.inf)
    best, cuts = cost[0], []
    for _ in range(k - 1):
        total = best[:, None] + cost
        cuts.append(total.argmin(0))
        best = total.min(0)
    ends = [n]
    for cut in reversed(cuts):
        ends.append(int(cut[ends[-1]]))
    ends = [*reversed([*ends, 0])]
    return [float(x[a:b].mean()) for a, b in zip(ends[:-1], ends[1:])]


# %% exercise="L1.11" right="torch, in float32"
def codebook(x, k):
    if k < 1:
        raise ValueError("k has to be at least 1")
    x = torch.as_tensor(np.array(x, dtype=np.float32)).flatten()
    levels = torch.quantile(x, (torch.arange(k) + 0.5) / k)
    for _ in range(300):
        nearest = torch.cdist(x[:, None], levels[:, None]).argmin(1)
        count = torch.zeros(k).index_add(0, nearest, torch.ones_like(x))
        total = torch.zeros(k).index_add(0, nearest, x)
        levels = torch.where(count > 0, total / count.clamp(min=1), levels)
    return levels


# %% exercise="L1.11" wrong="quantiles that never move" likely=true
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    return np.quantile(np.asarray(x, float), (np.arange(k) + 0.5) / k)


# %% exercise="L1.11" wrong="evenly spaced levels that never move" likely=true
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    x = np.asarray(x, float)
    return np.linspace(x.min(), x.max(), k)


# %% exercise="L1.11" wrong="medians in place of means" likely=true
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    x = np.asarray(x, float).ravel()
    levels = np.quantile(x, (np.arange(k) + 0.5) / k)
    for _ in range(100):
        nearest = np.abs(x[:, None] - levels).argmin(1)
        levels = np.array([np.median(x[nearest == j]) if (nearest == j).any() else levels[j] for j in range(k)])
    return levels


# %% exercise="L1.11" wrong="means of clusters that are all equally large" likely=true
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    return np.array([part.mean() for part in np.array_split(np.sort(np.asarray(x, float).ravel()), k)])


# %% exercise="L1.11" wrong="an unused level becomes NaN" likely=true
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    x = np.asarray(x, float).ravel()
    levels = np.linspace(x.min(), x.max(), k)
    for _ in range(100):
        nearest = np.abs(x[:, None] - levels).argmin(1)
        with np.errstate(all="ignore"):
            levels = np.bincount(nearest, x, minlength=k) / np.bincount(nearest, minlength=k)
    return levels


# %% exercise="L1.11" wrong="an unused level is left out" likely=true
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    x = np.asarray(x, float).ravel()
    levels = np.linspace(x.min(), x.max(), k)
    for _ in range(100):
        nearest = np.abs(x[:, None] - levels).argmin(1)
        levels = np.array([x[nearest == j].mean() for j in np.unique(nearest)])
    return levels


# %% exercise="L1.11" wrong="one round is taken for enough"
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    x = np.asarray(x, float).ravel()
    levels = np.linspace(x.min(), x.max(), k)
    nearest = np.abs(x[:, None] - levels).argmin(1)
    return np.array([x[nearest == j].mean() if (nearest == j).any() else levels[j] for j in range(k)])


# %% exercise="L1.11" wrong="sorts its input" likely=true
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    x = np.asarray(x, dtype=float).reshape(-1)
    x.sort()
    levels = np.quantile(x, (np.arange(k) + 0.5) / k)
    for _ in range(200):
        clusters = np.split(x, np.searchsorted(x, (levels[1:] + levels[:-1]) / 2))
        levels = np.array([c.mean() if c.size else level for c, level in zip(clusters, levels)])
    return levels


# %% exercise="L1.11" wrong="the first row of a matrix alone" likely=true
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    x = np.atleast_2d(np.asarray(x, float))[0]
    levels = np.quantile(x, (np.arange(k) + 0.5) / k)
    for _ in range(200):
        nearest = np.abs(x[:, None] - levels).argmin(1)
        levels = np.array([x[nearest == j].mean() if (nearest == j).any() else levels[j] for j in range(k)])
    return levels


# %% exercise="L1.11" wrong="every value's level in place of the k levels" likely=true
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    shape, x = np.shape(x), np.asarray(x, float).ravel()
    levels = np.quantile(x, (np.arange(k) + 0.5) / k)
    for _ in range(200):
        nearest = np.abs(x[:, None] - levels).argmin(1)
        levels = np.array([x[nearest == j].mean() if (nearest == j).any() else levels[j] for j in range(k)])
    return levels[nearest].reshape(shape)


# %% exercise="L1.11" wrong="levels in the integers' own type"
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    x = np.asarray(x).ravel()
    levels = np.quantile(x, (np.arange(k) + 0.5) / k).astype(x.dtype)
    for _ in range(200):
        nearest = np.abs(x[:, None].astype(float) - levels).argmin(1)
        for j in range(k):
            if (nearest == j).any():
                levels[j] = x[nearest == j].mean()
    return levels


# %% exercise="L1.11" wrong="levels in pairs of either sign"
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    size = np.abs(np.asarray(x, float)).ravel()
    half = max(k // 2, 1)
    levels = np.quantile(size, (np.arange(half) + 0.5) / half)
    for _ in range(200):
        nearest = np.abs(size[:, None] - levels).argmin(1)
        levels = np.array([size[nearest == j].mean() if (nearest == j).any() else levels[j] for j in range(half)])
    both = np.sort(np.concatenate([-levels, levels]))
    return both if k % 2 == 0 else np.sort([*both, 0.0])[:k]


# %% exercise="L1.11" wrong="accepts k = 0" likely=true
def codebook(x, k):
    x, k = np.asarray(x, float).ravel(), max(k, 1)
    levels = np.quantile(x, (np.arange(k) + 0.5) / k)
    for _ in range(200):
        nearest = np.abs(x[:, None] - levels).argmin(1)
        levels = np.array([x[nearest == j].mean() if (nearest == j).any() else levels[j] for j in range(k)])
    return levels


# %% exercise="L1.11" wrong="all levels at the mean, where none can move"
def codebook(x, k):
    if k < 1:
        raise ValueError("k")
    x = np.asarray(x, float).ravel()
    levels = np.full(k, x.mean())
    for _ in range(200):
        nearest = np.abs(x[:, None] - levels).argmin(1)
        levels = np.array([x[nearest == j].mean() if (nearest == j).any() else levels[j] for j in range(k)])
    return levels
