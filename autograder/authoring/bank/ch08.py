# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# ## 8.1 GB saved by activations in FP16

# %% exercise="8.1" wrong="one byte a number"
ex_8_1 = 45

# %% exercise="8.1" wrong="what one byte would leave"
ex_8_1 = 15

# %% exercise="8.1" wrong="the ratio"
ex_8_1 = 2

# %% exercise="8.1" wrong="the percentage"
ex_8_1 = 50

# %% exercise="8.1" wrong="all of it"
ex_8_1 = 60.0

# %% exercise="8.1" wrong="no answer"
ex_8_1 = None

# %% exercise="8.1" right="a whole number"
ex_8_1 = 30

# %% exercise="8.1" right="computed"
ex_8_1 = 60 * (32 - 16) / 32

# %% [markdown]
# ## 8.2 Speedup of a compute-bound product

# %% exercise="8.2" wrong="the wrong way round"
ex_8_2 = 156 / 312

# %% exercise="8.2" wrong="against plain FP32"
ex_8_2 = 312 / 19.5

# %% exercise="8.2" wrong="squares the ratio"
ex_8_2 = (312 / 156) ** 2

# %% exercise="8.2" wrong="the milliseconds"
ex_8_2 = 2 * 4096**3 / 312e9

# %% exercise="8.2" wrong="an H100 against an A100"
ex_8_2 = 989 / 312

# %% exercise="8.2" right="the ratio of the peaks"
ex_8_2 = 312 / 156

# %% exercise="8.2" right="from both times"
flop = 2 * 4096**3
ex_8_2 = (flop / 156e12) / (flop / 312e12)

# %% [markdown]
# ## 8.3 What FP16 and BF16 give up

# %% exercise="8.3" wrong="the other way round"
ex_8_3 = "A"

# %% exercise="8.3" wrong="as many bits, so the same"
ex_8_3 = "B"

# %% exercise="8.3" wrong="BF16 gives up nothing"
ex_8_3 = "D"

# %% exercise="8.3" wrong="the words"
ex_8_3 = "range against precision"

# %% exercise="8.3" right="the letter"
ex_8_3 = "C"

# %% exercise="8.3" right="small letter with a space"
ex_8_3 = " c"

# %% [markdown]
# ## 8.4 FP16 to FP8

# %% exercise="8.4" wrong="INT4"
ex_8_4 = 4

# %% exercise="8.4" wrong="the wrong way round"
ex_8_4 = 70 / 140

# %% exercise="8.4" wrong="the GB that are left"
ex_8_4 = 70.0

# %% exercise="8.4" wrong="the bits"
ex_8_4 = 8

# %% exercise="8.4" wrong="the percentage saved"
ex_8_4 = 50

# %% exercise="8.4" right="a whole number"
ex_8_4 = 2

# %% exercise="8.4" right="from the bits"
ex_8_4 = 16 / 8

# %% [markdown]
# ## 8.5 train_step

# %% exercise="8.5" wrong="the line where the gradient comes from"
ex_8_5_line = 2


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    return weights - lr * gradient_fn(weights, loss_scale).astype(np.float32) / loss_scale


# %% exercise="8.5" wrong="still forgets to unscale" likely=true
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    return weights - lr * gradient_fn(weights, loss_scale).astype(np.float32)


# %% exercise="8.5" wrong="unscales in float16, where the gradient is lost again" likely=true
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    with np.errstate(all="ignore"):
        gradient = gradient_fn(weights, loss_scale) / np.float16(loss_scale)
    return weights - lr * gradient.astype(np.float32)


# %% exercise="8.5" wrong="asks for an unscaled gradient" likely=true
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    return weights - lr * gradient_fn(weights, 1).astype(np.float32)


# %% exercise="8.5" wrong="multiplies by the scale again"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    return weights - lr * gradient_fn(weights, loss_scale).astype(np.float32) * loss_scale


# %% exercise="8.5" wrong="divides the weights too"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    return (weights - lr * gradient_fn(weights, loss_scale).astype(np.float32)) / loss_scale


# %% exercise="8.5" wrong="updates the weights in place"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    weights -= lr * gradient_fn(weights, loss_scale).astype(np.float32) / np.float32(loss_scale)
    return weights


# %% exercise="8.5" wrong="keeps the weights in float16"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    gradient = gradient_fn(weights, loss_scale).astype(np.float32) / loss_scale
    return (weights - lr * gradient).astype(np.float16)


# %% exercise="8.5" wrong="climbs"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    return weights + lr * gradient_fn(weights, loss_scale).astype(np.float32) / loss_scale


# %% exercise="8.5" wrong="takes a loss scale of 0"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if lr < 0:
        raise ValueError("lr")
    with np.errstate(all="ignore"):
        return weights - lr * gradient_fn(weights, loss_scale).astype(np.float32) / loss_scale


# %% exercise="8.5" wrong="shifts by the whole log2 of the scale"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    gradient = gradient_fn(weights, loss_scale).astype(np.float32)
    return weights - np.float32(lr) * np.ldexp(gradient, -round(np.log2(loss_scale)))


# %% exercise="8.5" wrong="hands back the old array when lr is 0"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    if lr == 0:
        return weights
    gradient = gradient_fn(weights, loss_scale).astype(np.float32) / np.float32(loss_scale)
    return weights - np.float32(lr) * gradient


# %% exercise="8.5" wrong="cuts gradients off at 1"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    gradient = gradient_fn(weights, loss_scale).astype(np.float32) / np.float32(loss_scale)
    return weights - np.float32(lr) * np.clip(gradient, -1, 1)


# %% exercise="8.5" wrong="takes a loss scale between -1 and 0"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale == 0 or loss_scale <= -1:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    gradient = gradient_fn(weights, loss_scale).astype(np.float32) / np.float32(loss_scale)
    return weights - np.float32(lr) * gradient


# %% exercise="8.5" right="divides the gradient"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError(f"loss_scale is {loss_scale}")
    if lr < 0:
        raise ValueError(f"lr is {lr}")
    gradient = np.asarray(gradient_fn(weights, loss_scale), dtype=np.float32) / loss_scale
    return (weights - lr * gradient).astype(np.float32)


# %% exercise="8.5" right="divides the learning rate"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if not loss_scale > 0:
        raise ValueError("loss_scale must be positive")
    if not lr >= 0:
        raise ValueError("lr must not be negative")
    return weights - np.float32(lr / loss_scale) * np.float32(gradient_fn(weights, loss_scale))


# %% exercise="8.5" right="a loop in float64"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale <= 0")
    if lr < 0:
        raise ValueError("lr < 0")
    scaled = gradient_fn(weights.copy(), loss_scale)
    return np.array([float(w) - lr * (float(g) / loss_scale) for w, g in zip(weights, scaled)], dtype=np.float32)


# %% exercise="8.5" right="unscales in place in an array of its own"
ex_8_5_line = 3


def train_step(weights, gradient_fn, loss_scale, lr):
    if loss_scale <= 0:
        raise ValueError("loss_scale")
    if lr < 0:
        raise ValueError("lr")
    gradient = np.array(gradient_fn(weights, loss_scale), dtype=np.float32)
    gradient /= np.float32(loss_scale)
    new = weights.copy()
    new -= np.float32(lr) * gradient
    return new


# %% [markdown]
# ## L8.6 decode_float


# %% exercise="L8.6" wrong="forgets the subnormal numbers" likely=true
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    if not 0 <= code < 2 ** (1 + exp_bits + man_bits):
        raise ValueError("code")
    sign, exponent, mantissa = code >> (exp_bits + man_bits), (code >> man_bits) % 2**exp_bits, code % 2**man_bits
    top, bias = 2**exp_bits - 1, 2 ** (exp_bits - 1) - 1
    if exponent == top and (exp_bits, man_bits) != (4, 3):
        return float("nan") if mantissa else (-1) ** sign * float("inf")
    if exponent == top and mantissa == 2**man_bits - 1:
        return float("nan")
    return (-1) ** sign * (1 + mantissa / 2**man_bits) * 2.0 ** (exponent - bias)


# %% exercise="L8.6" wrong="subnormal numbers with one exponent too few"
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    if not 0 <= code < 2 ** (1 + exp_bits + man_bits):
        raise ValueError("code")
    sign, exponent, mantissa = code >> (exp_bits + man_bits), (code >> man_bits) % 2**exp_bits, code % 2**man_bits
    top, bias = 2**exp_bits - 1, 2 ** (exp_bits - 1) - 1
    if exponent == top and (exp_bits, man_bits) != (4, 3):
        return float("nan") if mantissa else (-1) ** sign * float("inf")
    if exponent == top and mantissa == 2**man_bits - 1:
        return float("nan")
    return (-1) ** sign * ((exponent > 0) + mantissa / 2**man_bits) * 2.0 ** (exponent - bias)


# %% exercise="L8.6" wrong="reads codes of infinity and NaN as numbers"
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    if not 0 <= code < 2 ** (1 + exp_bits + man_bits):
        raise ValueError("code")
    sign, exponent, mantissa = code >> (exp_bits + man_bits), (code >> man_bits) % 2**exp_bits, code % 2**man_bits
    bias = 2 ** (exp_bits - 1) - 1
    if exponent == 0:
        return (-1) ** sign * mantissa / 2**man_bits * 2.0 ** (1 - bias)
    return (-1) ** sign * (1 + mantissa / 2**man_bits) * 2.0 ** (exponent - bias)


# %% exercise="L8.6" wrong="gives E4M3 infinities, as IEEE 754 would" likely=true
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    if not 0 <= code < 2 ** (1 + exp_bits + man_bits):
        raise ValueError("code")
    sign, exponent, mantissa = code >> (exp_bits + man_bits), (code >> man_bits) % 2**exp_bits, code % 2**man_bits
    top, bias = 2**exp_bits - 1, 2 ** (exp_bits - 1) - 1
    if exponent == top:
        return float("nan") if mantissa else (-1) ** sign * float("inf")
    if exponent == 0:
        return (-1) ** sign * mantissa / 2**man_bits * 2.0 ** (1 - bias)
    return (-1) ** sign * (1 + mantissa / 2**man_bits) * 2.0 ** (exponent - bias)


# %% exercise="L8.6" wrong="E4M3's rule for every format with 4 exponent bits or fewer"
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    if not 0 <= code < 2 ** (1 + exp_bits + man_bits):
        raise ValueError("code")
    sign, exponent, mantissa = code >> (exp_bits + man_bits), (code >> man_bits) % 2**exp_bits, code % 2**man_bits
    top, bias = 2**exp_bits - 1, 2 ** (exp_bits - 1) - 1
    if exponent == top and exp_bits > 4:
        return float("nan") if mantissa else (-1) ** sign * float("inf")
    if exponent == top and mantissa == 2**man_bits - 1:
        return float("nan")
    if exponent == 0:
        return (-1) ** sign * mantissa / 2**man_bits * 2.0 ** (1 - bias)
    return (-1) ** sign * (1 + mantissa / 2**man_bits) * 2.0 ** (exponent - bias)


# %% exercise="L8.6" wrong="a bias of half the codes"
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    if not 0 <= code < 2 ** (1 + exp_bits + man_bits):
        raise ValueError("code")
    sign, exponent, mantissa = code >> (exp_bits + man_bits), (code >> man_bits) % 2**exp_bits, code % 2**man_bits
    top, bias = 2**exp_bits - 1, 2 ** (exp_bits - 1)
    if exponent == top and (exp_bits, man_bits) != (4, 3):
        return float("nan") if mantissa else (-1) ** sign * float("inf")
    if exponent == top and mantissa == 2**man_bits - 1:
        return float("nan")
    if exponent == 0:
        return (-1) ** sign * mantissa / 2**man_bits * 2.0 ** (1 - bias)
    return (-1) ** sign * (1 + mantissa / 2**man_bits) * 2.0 ** (exponent - bias)


# %% exercise="L8.6" wrong="two's complement instead of a sign bit"
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    if not 0 <= code < 2 ** (1 + exp_bits + man_bits):
        raise ValueError("code")
    sign = code >> (exp_bits + man_bits)
    if sign:
        code = 2 ** (1 + exp_bits + man_bits) - code
    exponent, mantissa = (code >> man_bits) % 2**exp_bits, code % 2**man_bits
    top, bias = 2**exp_bits - 1, 2 ** (exp_bits - 1) - 1
    if exponent == top and (exp_bits, man_bits) != (4, 3):
        return float("nan") if mantissa else (-1) ** sign * float("inf")
    if exponent == top and mantissa == 2**man_bits - 1:
        return float("nan")
    if exponent == 0:
        return (-1) ** sign * mantissa / 2**man_bits * 2.0 ** (1 - bias)
    return (-1) ** sign * (1 + mantissa / 2**man_bits) * 2.0 ** (exponent - bias)


# %% exercise="L8.6" wrong="infinity without a sign"
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    if not 0 <= code < 2 ** (1 + exp_bits + man_bits):
        raise ValueError("code")
    sign, exponent, mantissa = code >> (exp_bits + man_bits), (code >> man_bits) % 2**exp_bits, code % 2**man_bits
    top, bias = 2**exp_bits - 1, 2 ** (exp_bits - 1) - 1
    if exponent == top and (exp_bits, man_bits) != (4, 3):
        return float("nan") if mantissa else float("inf")
    if exponent == top and mantissa == 2**man_bits - 1:
        return float("nan")
    if exponent == 0:
        return (-1) ** sign * mantissa / 2**man_bits * 2.0 ** (1 - bias)
    return (-1) ** sign * (1 + mantissa / 2**man_bits) * 2.0 ** (exponent - bias)


# %% exercise="L8.6" wrong="takes a code that is too long"
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    sign = (code >> (exp_bits + man_bits)) % 2
    exponent, mantissa = (code >> man_bits) % 2**exp_bits, code % 2**man_bits
    top, bias = 2**exp_bits - 1, 2 ** (exp_bits - 1) - 1
    if exponent == top and (exp_bits, man_bits) != (4, 3):
        return float("nan") if mantissa else (-1) ** sign * float("inf")
    if exponent == top and mantissa == 2**man_bits - 1:
        return float("nan")
    if exponent == 0:
        return (-1) ** sign * mantissa / 2**man_bits * 2.0 ** (1 - bias)
    return (-1) ** sign * (1 + mantissa / 2**man_bits) * 2.0 ** (exponent - bias)


# %% exercise="L8.6" wrong="E4M3's rule for every format with 4 exponent bits"
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    if not 0 <= code < 2 ** (1 + exp_bits + man_bits):
        raise ValueError("code")
    sign, exponent, mantissa = code >> (exp_bits + man_bits), (code >> man_bits) % 2**exp_bits, code % 2**man_bits
    top, bias = 2**exp_bits - 1, 2 ** (exp_bits - 1) - 1
    if exponent == top and not (exp_bits == 4):
        return float("nan") if mantissa else (-1) ** sign * float("inf")
    if exponent == top and mantissa == 2**man_bits - 1:
        return float("nan")
    if exponent == 0:
        return (-1) ** sign * mantissa / 2**man_bits * 2.0 ** (1 - bias)
    return (-1) ** sign * (1 + mantissa / 2**man_bits) * 2.0 ** (exponent - bias)


# %% exercise="L8.6" wrong="E4M3's rule for every format of 8 bits but E5M2"
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    if not 0 <= code < 2 ** (1 + exp_bits + man_bits):
        raise ValueError("code")
    sign, exponent, mantissa = code >> (exp_bits + man_bits), (code >> man_bits) % 2**exp_bits, code % 2**man_bits
    top, bias = 2**exp_bits - 1, 2 ** (exp_bits - 1) - 1
    if exponent == top and not (exp_bits + man_bits == 7 and exp_bits != 5):
        return float("nan") if mantissa else (-1) ** sign * float("inf")
    if exponent == top and mantissa == 2**man_bits - 1:
        return float("nan")
    if exponent == 0:
        return (-1) ** sign * mantissa / 2**man_bits * 2.0 ** (1 - bias)
    return (-1) ** sign * (1 + mantissa / 2**man_bits) * 2.0 ** (exponent - bias)


# %% exercise="L8.6" wrong="refuses two bits of exponent"
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 3:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    if not 0 <= code < 2 ** (1 + exp_bits + man_bits):
        raise ValueError("code")
    sign, exponent, mantissa = code >> (exp_bits + man_bits), (code >> man_bits) % 2**exp_bits, code % 2**man_bits
    top, bias = 2**exp_bits - 1, 2 ** (exp_bits - 1) - 1
    if exponent == top and not ((exp_bits, man_bits) == (4, 3)):
        return float("nan") if mantissa else (-1) ** sign * float("inf")
    if exponent == top and mantissa == 2**man_bits - 1:
        return float("nan")
    if exponent == 0:
        return (-1) ** sign * mantissa / 2**man_bits * 2.0 ** (1 - bias)
    return (-1) ** sign * (1 + mantissa / 2**man_bits) * 2.0 ** (exponent - bias)


# %% exercise="L8.6" right="shifts and masks"
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits must be 2 or more")
    if man_bits < 1:
        raise ValueError("man_bits must be 1 or more")
    if code < 0 or code >> (1 + exp_bits + man_bits):
        raise ValueError("code does not fit the format")
    sign = -1 if code >> (exp_bits + man_bits) & 1 else 1
    exponent = code >> man_bits & ((1 << exp_bits) - 1)
    mantissa = code & ((1 << man_bits) - 1)
    ones = (1 << exp_bits) - 1
    bias = ones >> 1
    finite_only = exp_bits == 4 and man_bits == 3
    if exponent == ones and finite_only and mantissa == 7:
        return np.nan
    if exponent == ones and not finite_only:
        return sign * np.inf if mantissa == 0 else np.nan
    if exponent == 0:
        return float(np.ldexp(sign * mantissa, 1 - bias - man_bits))
    return float(np.ldexp(sign * (mantissa | 1 << man_bits), exponent - bias - man_bits))


# %% exercise="L8.6" right="a string of bits"
def decode_float(code, exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError(f"exp_bits = {exp_bits}")
    if man_bits < 1:
        raise ValueError(f"man_bits = {man_bits}")
    width = 1 + exp_bits + man_bits
    if code < 0 or code >= 2**width:
        raise ValueError(f"code = {code}")
    text = format(code, f"0{width}b")
    sign, exponent, mantissa = text[0], text[1 : 1 + exp_bits], text[1 + exp_bits :]
    fraction = sum(2.0 ** -(i + 1) for i, bit in enumerate(mantissa) if bit == "1")
    special = "0" not in exponent
    if (exp_bits, man_bits) == (4, 3):
        special = "0" not in exponent + mantissa
    if special:
        value = float("nan") if "1" in mantissa else float("inf")
    elif "1" not in exponent:
        value = fraction * 2.0 ** (2 - 2 ** (exp_bits - 1))
    else:
        value = (1 + fraction) * 2.0 ** (int(exponent, 2) + 1 - 2 ** (exp_bits - 1))
    return -value if sign == "1" else value


# %% exercise="L8.6" right="exact fractions"
def decode_float(code, exp_bits, man_bits):
    from fractions import Fraction

    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    rest, mantissa = divmod(code, 2**man_bits)
    sign, exponent = divmod(rest, 2**exp_bits)
    if sign not in (0, 1):
        raise ValueError("code")
    top = exponent == 2**exp_bits - 1
    if top and (exp_bits, man_bits) == (4, 3) and mantissa == 7:
        return float("nan")
    if top and (exp_bits, man_bits) != (4, 3):
        return float("nan") if mantissa else [float("inf"), float("-inf")][sign]
    value = Fraction(mantissa, 2**man_bits) + (1 if exponent else 0)
    value *= Fraction(2) ** (max(exponent, 1) - 2 ** (exp_bits - 1) + 1)
    return float(-value if sign else value)


# %% exercise="L8.6" right="widens the code to a float64"
def decode_float(code, exp_bits, man_bits):
    import struct

    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    width = 1 + exp_bits + man_bits
    if code < 0 or code >= 1 << width:
        raise ValueError("code")
    sign, magnitude = divmod(code, 1 << (width - 1))
    if (exp_bits, man_bits) == (4, 3):
        if magnitude == 127:
            return float("nan")
    elif magnitude >> man_bits == (1 << exp_bits) - 1:
        return float("nan") if magnitude & ((1 << man_bits) - 1) else float("-inf" if sign else "inf")
    # The bits stand where a float64 has them; the product moves the bias, and makes subnormal numbers normal.
    (value,) = struct.unpack(">d", struct.pack(">Q", sign << 63 | magnitude << (52 - man_bits)))
    return value * 2.0**1023 / 2.0 ** (2 ** (exp_bits - 1) - 1)


# %% [markdown]
# ## L8.7 format_limits


# %% exercise="L8.7" wrong="counts the exponent of infinity as a number's" likely=true
def format_limits(exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    bias, eps = 2 ** (exp_bits - 1) - 1, 2.0**-man_bits
    largest = 448.0 if (exp_bits, man_bits) == (4, 3) else (2 - eps) * 2.0 ** min(bias + 1, 1000)
    return largest, 2.0 ** (1 - bias), 2.0 ** (1 - bias) * eps, eps


# %% exercise="L8.7" wrong="E4M3 with IEEE's infinities, so 240" likely=true
def format_limits(exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    bias, eps = 2 ** (exp_bits - 1) - 1, 2.0**-man_bits
    return (2 - eps) * 2.0**bias, 2.0 ** (1 - bias), 2.0 ** (1 - bias) * eps, eps


# %% exercise="L8.7" wrong="E4M3 with a largest number that is NaN's code, 480"
def format_limits(exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    bias, eps = 2 ** (exp_bits - 1) - 1, 2.0**-man_bits
    largest = (2 - eps) * 2.0 ** (bias + ((exp_bits, man_bits) == (4, 3)))
    return largest, 2.0 ** (1 - bias), 2.0 ** (1 - bias) * eps, eps


# %% exercise="L8.7" wrong="eps of half the gap"
def format_limits(exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    bias, eps = 2 ** (exp_bits - 1) - 1, 2.0**-man_bits
    largest = 448.0 if (exp_bits, man_bits) == (4, 3) else (2 - eps) * 2.0**bias
    return largest, 2.0 ** (1 - bias), 2.0 ** (1 - bias) * eps, eps / 2


# %% exercise="L8.7" wrong="smallest normal number with exponent 0"
def format_limits(exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    bias, eps = 2 ** (exp_bits - 1) - 1, 2.0**-man_bits
    largest = 448.0 if (exp_bits, man_bits) == (4, 3) else (2 - eps) * 2.0**bias
    return largest, 2.0**-bias, 2.0**-bias * eps, eps


# %% exercise="L8.7" wrong="no subnormal numbers"
def format_limits(exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    bias, eps = 2 ** (exp_bits - 1) - 1, 2.0**-man_bits
    largest = 448.0 if (exp_bits, man_bits) == (4, 3) else (2 - eps) * 2.0**bias
    return largest, 2.0 ** (1 - bias), 2.0 ** (1 - bias), eps


# %% exercise="L8.7" wrong="the largest power of two instead of the largest number"
def format_limits(exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    bias, eps = 2 ** (exp_bits - 1) - 1, 2.0**-man_bits
    return 2.0 ** (bias + ((exp_bits, man_bits) == (4, 3))), 2.0 ** (1 - bias), 2.0 ** (1 - bias) * eps, eps


# %% exercise="L8.7" wrong="takes a format without a mantissa"
def format_limits(exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    bias, eps = 2 ** (exp_bits - 1) - 1, 2.0**-man_bits
    largest = 448.0 if (exp_bits, man_bits) == (4, 3) else (2 - eps) * 2.0**bias
    return largest, 2.0 ** (1 - bias), 2.0 ** (1 - bias) * eps, eps


# %% exercise="L8.7" wrong="E4M3's exception for every format of 8 bits but E5M2"
def format_limits(exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    bias, eps = 2 ** (exp_bits - 1) - 1, 2.0**-man_bits
    special = exp_bits + man_bits == 7 and exp_bits != 5
    largest = (2 - 2 * eps) * 2.0 ** (bias + 1) if special else (2 - eps) * 2.0**bias
    return largest, 2.0 ** (1 - bias), 2.0 ** (1 - bias) * eps, eps


# %% exercise="L8.7" wrong="refuses 0 and 1, and takes negative numbers of bits"
def format_limits(exp_bits, man_bits):
    if exp_bits in (0, 1):
        raise ValueError("exp_bits")
    if man_bits == 0:
        raise ValueError("man_bits")
    bias, eps = 2 ** (exp_bits - 1) - 1, 2.0**-man_bits
    largest = 448.0 if (exp_bits, man_bits) == (4, 3) else (2 - eps) * 2.0**bias
    return largest, 2.0 ** (1 - bias), 2.0 ** (1 - bias) * eps, eps


# %% exercise="L8.7" right="formulas"
def format_limits(exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits must be at least 2")
    if man_bits < 1:
        raise ValueError("man_bits must be at least 1")
    bias = (1 << (exp_bits - 1)) - 1
    largest = 1.75 * 2.0**8 if (exp_bits, man_bits) == (4, 3) else 2.0 ** (bias + 1) - 2.0 ** (bias - man_bits)
    return [largest, 2.0 ** (1 - bias), 2.0 ** (1 - bias - man_bits), 2.0**-man_bits]


# %% exercise="L8.7" right="from PyTorch where it has the format"
def format_limits(exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits")
    if man_bits < 1:
        raise ValueError("man_bits")
    known = {(5, 10): torch.float16, (8, 7): torch.bfloat16, (5, 2): torch.float8_e5m2, (4, 3): torch.float8_e4m3fn}
    bias = 2 ** (exp_bits - 1) - 1
    if (exp_bits, man_bits) in known:
        info = torch.finfo(known[exp_bits, man_bits])
        return info.max, info.tiny, info.tiny * info.eps, info.eps
    return (2 - 2.0**-man_bits) * 2.0**bias, 2.0 ** (1 - bias), 2.0 ** (1 - bias) / 2**man_bits, 2.0**-man_bits


# %% exercise="L8.7" right="by halving"
def format_limits(exp_bits, man_bits):
    if exp_bits < 2:
        raise ValueError("exp_bits is too small")
    if man_bits < 1:
        raise ValueError("man_bits is too small")
    special = (exp_bits, man_bits) == (4, 3)
    eps = 1.0
    for _ in range(man_bits):
        eps /= 2
    normal = 2.0
    for _ in range(2 ** (exp_bits - 1) - 1):
        normal /= 2
    top = normal
    for _ in range(2**exp_bits - 3 + special):
        top *= 2
    return np.array([top * (2 - (2 if special else 1) * eps), normal, normal * eps, eps])


# %% [markdown]
# ## L8.8 LossScaler


# %% exercise="L8.8" wrong="steps in spite of infinities" likely=true
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.grow, self.shrink, self.every, self.n = (
            init_scale,
            growth_factor,
            backoff_factor,
            growth_interval,
            0,
        )

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        finite = all(bool(g.isfinite().all()) for g in grads)
        for g in grads:
            g.div_(self.s)
        optimizer.step()
        self.n = self.n + 1 if finite else 0
        if not finite:
            self.s *= self.shrink
        elif self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        return finite


# %% exercise="L8.8" wrong="replaces infinities by zeros and steps"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.grow, self.shrink, self.every, self.n = (
            init_scale,
            growth_factor,
            backoff_factor,
            growth_interval,
            0,
        )

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        finite = all(bool(g.isfinite().all()) for g in grads)
        for g in grads:
            g.copy_(torch.nan_to_num(g / self.s, 0.0, 0.0, 0.0))
        optimizer.step()
        self.n = self.n + 1 if finite else 0
        if not finite:
            self.s *= self.shrink
        elif self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        return finite


# %% exercise="L8.8" wrong="zeroes the gradients and lets the optimizer step"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.grow, self.shrink, self.every, self.n = (
            init_scale,
            growth_factor,
            backoff_factor,
            growth_interval,
            0,
        )

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        finite = all(bool(g.isfinite().all()) for g in grads)
        for g in grads:
            g.copy_(g / self.s if finite else torch.zeros_like(g))
        optimizer.step()
        self.n = self.n + 1 if finite else 0
        if not finite:
            self.s *= self.shrink
        elif self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        return finite


# %% exercise="L8.8" wrong="forgets to unscale" likely=true
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.grow, self.shrink, self.every, self.n = (
            init_scale,
            growth_factor,
            backoff_factor,
            growth_interval,
            0,
        )

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if not all(bool(g.isfinite().all()) for g in grads):
            self.s, self.n = self.s * self.shrink, 0
            return False
        optimizer.step()
        self.n += 1
        if self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        return True


# %% exercise="L8.8" wrong="looks at the first group of parameters only"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.grow, self.shrink, self.every, self.n = (
            init_scale,
            growth_factor,
            backoff_factor,
            growth_interval,
            0,
        )

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for p in optimizer.param_groups[0]["params"] if p.grad is not None]
        if not all(bool(g.isfinite().all()) for g in grads):
            self.s, self.n = self.s * self.shrink, 0
            return False
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    p.grad /= self.s
        optimizer.step()
        self.n += 1
        if self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        return True


# %% exercise="L8.8" wrong="looks for NaN but not for infinity"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.grow, self.shrink, self.every, self.n = (
            init_scale,
            growth_factor,
            backoff_factor,
            growth_interval,
            0,
        )

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if any(bool(g.isnan().any()) for g in grads):
            self.s, self.n = self.s * self.shrink, 0
            return False
        for g in grads:
            g.div_(self.s)
        optimizer.step()
        self.n += 1
        if self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        return True


# %% exercise="L8.8" wrong="counts on after a skipped step"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.grow, self.shrink, self.every, self.n = (
            init_scale,
            growth_factor,
            backoff_factor,
            growth_interval,
            0,
        )

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if not all(bool(g.isfinite().all()) for g in grads):
            self.s *= self.shrink
            return False
        for g in grads:
            g.div_(self.s)
        optimizer.step()
        self.n += 1
        if self.n % self.every == 0:
            self.s *= self.grow
        return True


# %% exercise="L8.8" wrong="skips without lowering the scale"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.grow, self.shrink, self.every, self.n = (
            init_scale,
            growth_factor,
            backoff_factor,
            growth_interval,
            0,
        )

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if not all(bool(g.isfinite().all()) for g in grads):
            self.n = 0
            return False
        for g in grads:
            g.div_(self.s)
        optimizer.step()
        self.n += 1
        if self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        return True


# %% exercise="L8.8" wrong="adjusts the scale before it unscales"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.grow, self.shrink, self.every, self.n = (
            init_scale,
            growth_factor,
            backoff_factor,
            growth_interval,
            0,
        )

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if not all(bool(g.isfinite().all()) for g in grads):
            self.s, self.n = self.s * self.shrink, 0
            return False
        self.n += 1
        if self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        for g in grads:
            g.div_(self.s)
        optimizer.step()
        return True


# %% exercise="L8.8" wrong="multiplies the loss in place"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.grow, self.shrink, self.every, self.n = (
            init_scale,
            growth_factor,
            backoff_factor,
            growth_interval,
            0,
        )

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss.mul_(self.s)

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if not all(bool(g.isfinite().all()) for g in grads):
            self.s, self.n = self.s * self.shrink, 0
            return False
        for g in grads:
            g.div_(self.s)
        optimizer.step()
        self.n += 1
        if self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        return True


# %% exercise="L8.8" wrong="stumbles over a parameter without a gradient"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.grow, self.shrink, self.every, self.n = (
            init_scale,
            growth_factor,
            backoff_factor,
            growth_interval,
            0,
        )

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"]]
        if not all(bool(g.isfinite().all()) for g in grads):
            self.s, self.n = self.s * self.shrink, 0
            return False
        for g in grads:
            g.div_(self.s)
        optimizer.step()
        self.n += 1
        if self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        return True


# %% exercise="L8.8" wrong="takes a growth factor of 1"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.grow, self.shrink, self.every, self.n = (
            init_scale,
            growth_factor,
            backoff_factor,
            growth_interval,
            0,
        )

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if not all(bool(g.isfinite().all()) for g in grads):
            self.s, self.n = self.s * self.shrink, 0
            return False
        for g in grads:
            g.div_(self.s)
        optimizer.step()
        self.n += 1
        if self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        return True


# %% exercise="L8.8" wrong="looks at sums, which overflow where no gradient does"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.n = init_scale, 0
        self.grow, self.shrink, self.every = growth_factor, backoff_factor, growth_interval

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if not all(bool(g.sum().isfinite()) for g in grads):
            self.s, self.n = self.s * self.shrink, 0
            return False
        for g in grads:
            g.div_(self.s)
        optimizer.step()
        self.n += 1
        if self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        return True


# %% exercise="L8.8" wrong="keeps the parameters of the first optimizer"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.n = init_scale, 0
        self.grow, self.shrink, self.every = growth_factor, backoff_factor, growth_interval
        self.params = None

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        if self.params is None:
            self.params = [p for g in optimizer.param_groups for p in g["params"]]
        grads = [p.grad for p in self.params if p.grad is not None]
        if not all(bool(g.isfinite().all()) for g in grads):
            self.s, self.n = self.s * self.shrink, 0
            return False
        for g in grads:
            g.div_(self.s)
        optimizer.step()
        self.n += 1
        if self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        return True


# %% exercise="L8.8" wrong="one scale for all scalers"
class LossScaler:
    now = {}  # noqa: RUF012

    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.now["s"], self.n = init_scale, 0
        self.grow, self.shrink, self.every = growth_factor, backoff_factor, growth_interval

    def get_scale(self):
        return self.now["s"]

    def scale(self, loss):
        return loss * self.now["s"]

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if not all(bool(g.isfinite().all()) for g in grads):
            self.now["s"], self.n = self.now["s"] * self.shrink, 0
            return False
        for g in grads:
            g.div_(self.now["s"])
        optimizer.step()
        self.n += 1
        if self.n == self.every:
            self.now["s"], self.n = self.now["s"] * self.grow, 0
        return True


# %% exercise="L8.8" wrong="stops growing at 2**24"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.n = init_scale, 0
        self.grow, self.shrink, self.every = growth_factor, backoff_factor, growth_interval

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if not all(bool(g.isfinite().all()) for g in grads):
            self.s, self.n = self.s * self.shrink, 0
            return False
        for g in grads:
            g.div_(self.s)
        optimizer.step()
        self.n += 1
        if self.n == self.every:
            self.s, self.n = min(self.s * self.grow, 2.0**24), 0
        return True


# %% exercise="L8.8" wrong="takes a negative backoff factor"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if backoff_factor == 0 or backoff_factor >= 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.n = init_scale, 0
        self.grow, self.shrink, self.every = growth_factor, backoff_factor, growth_interval

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        grads = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
        if not all(bool(g.isfinite().all()) for g in grads):
            self.s, self.n = self.s * self.shrink, 0
            return False
        for g in grads:
            g.div_(self.s)
        optimizer.step()
        self.n += 1
        if self.n == self.every:
            self.s, self.n = self.s * self.grow, 0
        return True


# %% exercise="L8.8" right="looks at the sum of all gradients"
class LossScaler:
    def __init__(self, init_scale=65536.0, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if not init_scale > 0:
            raise ValueError("init_scale must be positive")
        if not growth_factor > 1:
            raise ValueError("growth_factor must be above 1")
        if backoff_factor <= 0 or backoff_factor >= 1:
            raise ValueError("backoff_factor must lie between 0 and 1")
        if growth_interval < 1:
            raise ValueError("growth_interval must be 1 or more")
        self.now, self.streak = init_scale, 0
        self.rule = growth_factor, backoff_factor, growth_interval

    def get_scale(self):
        return float(self.now)

    def scale(self, loss):
        return self.now * loss

    def step(self, optimizer):
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        growth, backoff, interval = self.rule
        with torch.no_grad():
            total = sum((p.grad * 0).sum() for p in parameters)
        if total != 0:  # inf * 0 and nan * 0 are nan
            self.now *= backoff
            self.streak = 0
            return False
        for p in parameters:
            p.grad = p.grad / self.now
        optimizer.step()
        self.streak += 1
        if self.streak >= interval:
            self.now, self.streak = self.now * growth, 0
        return True


# %% exercise="L8.8" right="unscales first, then looks"
class LossScaler:
    def __init__(self, init_scale=2**16, growth_factor=2, backoff_factor=0.5, growth_interval=2000):
        for name, value, low in (("init_scale", init_scale, 0), ("growth_factor", growth_factor, 1)):
            if value <= low:
                raise ValueError(f"{name} is {value}")
        if not 0 < backoff_factor < 1:
            raise ValueError(f"backoff_factor is {backoff_factor}")
        if growth_interval < 1:
            raise ValueError(f"growth_interval is {growth_interval}")
        self._scale = torch.tensor(float(init_scale), dtype=torch.float64)
        self._growth, self._backoff, self._interval, self._left = (
            growth_factor,
            backoff_factor,
            growth_interval,
            growth_interval,
        )

    def get_scale(self):
        return self._scale.item()

    def scale(self, loss):
        return loss * self._scale.to(loss.dtype)

    @torch.no_grad()
    def _unscale(self, optimizer):
        finite = True
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                parameter.grad.mul_(1 / self.get_scale())
                finite = finite and not bool((parameter.grad.isnan() | parameter.grad.isinf()).any())
        return finite

    def step(self, optimizer):
        if self._unscale(optimizer):
            optimizer.step()
            self._left -= 1
            if self._left == 0:
                self._scale = self._scale * self._growth
                self._left = self._interval
            return True
        self._scale = self._scale * self._backoff
        self._left = self._interval
        return False


# %% exercise="L8.8" right="new gradients in place of the old, a count that runs down"
class LossScaler:
    def __init__(self, init_scale=2.0**16, growth_factor=2.0, backoff_factor=0.5, growth_interval=2000):
        if init_scale <= 0:
            raise ValueError("init_scale")
        if growth_factor <= 1:
            raise ValueError("growth_factor")
        if not 0 < backoff_factor < 1:
            raise ValueError("backoff_factor")
        if growth_interval < 1:
            raise ValueError("growth_interval")
        self.s, self.left = init_scale, growth_interval
        self.grow, self.shrink, self.every = growth_factor, backoff_factor, growth_interval

    def get_scale(self):
        return self.s

    def scale(self, loss):
        return loss * self.s

    def step(self, optimizer):
        params = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        flat = torch.cat([p.grad.reshape(-1) for p in params])
        if not torch.isfinite(flat).all():
            self.s, self.left = self.s * self.shrink, self.every
            return False
        for p in params:
            p.grad = p.grad / self.s
        optimizer.step()
        self.left -= 1
        if not self.left:
            self.s, self.left = self.s * self.grow, self.every
        return True


# %% [markdown]
# ## L8.9 int8_matmul


# %% exercise="L8.9" wrong="one scale for the whole matrix" likely=true
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().max() / 127, b.abs().max() / 127
    return torch._int_mm((a / s).round().to(torch.int8), (b / t).round().to(torch.int8)).float() * s * t


# %% exercise="L8.9" wrong="scales along the other axes"
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().amax(0, keepdim=True) / 127, b.abs().amax(1, keepdim=True) / 127
    s, t = torch.where(s > 0, s, 1.0), torch.where(t > 0, t, 1.0)
    product = torch._int_mm((a / s).round().to(torch.int8), (b / t).round().to(torch.int8)).float()
    return product * s.mean() * t.mean()


# %% exercise="L8.9" wrong="sums that overflow in int8"
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().amax(1, keepdim=True) / 127, b.abs().amax(0, keepdim=True) / 127
    s, t = torch.where(s > 0, s, 1.0), torch.where(t > 0, t, 1.0)
    product = (a / s).round().to(torch.int8) @ (b / t).round().to(torch.int8)
    return product.float() * s * t


# %% exercise="L8.9" wrong="sums in float16"
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().amax(1, keepdim=True) / 127, b.abs().amax(0, keepdim=True) / 127
    s, t = torch.where(s > 0, s, 1.0), torch.where(t > 0, t, 1.0)
    return ((a / s).round().half() @ (b / t).round().half()).float() * s * t


# %% exercise="L8.9" wrong="cuts off instead of rounding" likely=true
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().amax(1, keepdim=True) / 127, b.abs().amax(0, keepdim=True) / 127
    s, t = torch.where(s > 0, s, 1.0), torch.where(t > 0, t, 1.0)
    return torch._int_mm((a / s).to(torch.int8), (b / t).to(torch.int8)).float() * s * t


# %% exercise="L8.9" wrong="128 positive codes, so the largest wraps round"
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().amax(1, keepdim=True) / 128, b.abs().amax(0, keepdim=True) / 128
    s, t = torch.where(s > 0, s, 1.0), torch.where(t > 0, t, 1.0)
    q, r = (a / s).round().to(torch.int32).to(torch.int8), (b / t).round().to(torch.int32).to(torch.int8)
    return torch._int_mm(q, r).float() * s * t


# %% exercise="L8.9" wrong="forgets the column scales at the end"
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().amax(1, keepdim=True) / 127, b.abs().amax(0, keepdim=True) / 127
    s, t = torch.where(s > 0, s, 1.0), torch.where(t > 0, t, 1.0)
    return torch._int_mm((a / s).round().to(torch.int8), (b / t).round().to(torch.int8)).float() * s


# %% exercise="L8.9" wrong="no integers at all"
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    return a @ b


# %% exercise="L8.9" wrong="NaN for a row of zeros"
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().amax(1, keepdim=True) / 127, b.abs().amax(0, keepdim=True) / 127
    return ((a / s).round().double() @ (b / t).round().double()).float() * s * t


# %% exercise="L8.9" wrong="quantizes the inputs in place"
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().amax(1, keepdim=True) / 127, b.abs().amax(0, keepdim=True) / 127
    s, t = torch.where(s > 0, s, 1.0), torch.where(t > 0, t, 1.0)
    a.div_(s).round_()
    b.div_(t).round_()
    return torch._int_mm(a.to(torch.int8), b.to(torch.int8)).float() * s * t


# %% exercise="L8.9" wrong="returns float64"
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().amax(1, keepdim=True) / 127, b.abs().amax(0, keepdim=True) / 127
    s, t = torch.where(s > 0, s, 1.0), torch.where(t > 0, t, 1.0)
    return torch._int_mm((a / s).round().to(torch.int8), (b / t).round().to(torch.int8)).double() * s * t


# %% exercise="L8.9" wrong="takes shapes that do not fit"
def int8_matmul(a, b):
    s, t = a.abs().amax(-1, keepdim=True) / 127, b.abs().amax(0, keepdim=True) / 127
    s, t = torch.where(s > 0, s, 1.0), torch.where(t > 0, t, 1.0)
    return torch._int_mm((a / s).round().to(torch.int8), (b / t).round().to(torch.int8)).float() * s * t


# %% exercise="L8.9" wrong="no scale below 1e-5"
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().amax(1, keepdim=True) / 127, b.abs().amax(0, keepdim=True) / 127
    s, t = s.clamp(min=1e-5), t.clamp(min=1e-5)
    return torch._int_mm((a / s).round().to(torch.int8), (b / t).round().to(torch.int8)).float() * s * t


# %% exercise="L8.9" wrong="1e-5 added to every scale"
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().amax(1, keepdim=True) / 127, b.abs().amax(0, keepdim=True) / 127
    s, t = s + 1e-5, t + 1e-5
    return torch._int_mm((a / s).round().to(torch.int8), (b / t).round().to(torch.int8)).float() * s * t


# %% exercise="L8.9" wrong="takes two batches of matrices"
def int8_matmul(a, b):
    if a.dim() < 2 or a.dim() != b.dim():
        raise ValueError("a and b")
    if a.shape[-1] != b.shape[-2]:
        raise ValueError("b")
    s, t = a.abs().amax(-1, keepdim=True) / 127, b.abs().amax(-2, keepdim=True) / 127
    s, t = torch.where(s > 0, s, 1.0), torch.where(t > 0, t, 1.0)
    return ((a / s).round().int() @ (b / t).round().int()).float() * s * t


# %% exercise="L8.9" wrong="sums that overflow in int16" likely=true
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().amax(1, keepdim=True) / 127, b.abs().amax(0, keepdim=True) / 127
    s, t = torch.where(s > 0, s, 1.0), torch.where(t > 0, t, 1.0)
    return ((a / s).round().short() @ (b / t).round().short()).float() * s * t


# %% exercise="L8.9" wrong="divides by the zero of an empty row and trusts that NaN becomes code 0"
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("a and b")
    s, t = a.abs().amax(1, keepdim=True) / 127, b.abs().amax(0, keepdim=True) / 127
    return torch._int_mm((a / s).round().to(torch.int8), (b / t).round().to(torch.int8)).float() * s * t


# %% exercise="L8.9" wrong="takes a vector for b"
def int8_matmul(a, b):
    if a.dim() != 2:
        raise ValueError("a")
    if b.dim() == 1:
        b = b[:, None]
    if b.dim() != 2 or a.shape[1] != b.shape[0]:
        raise ValueError("b")
    s, t = a.abs().amax(1, keepdim=True) / 127, b.abs().amax(0, keepdim=True) / 127
    s, t = torch.where(s > 0, s, 1.0), torch.where(t > 0, t, 1.0)
    return torch._int_mm((a / s).round().to(torch.int8), (b / t).round().to(torch.int8)).float() * s * t


# %% exercise="L8.9" right="int64 sums by PyTorch's ordinary product"
def int8_matmul(a, b):
    if a.dim() != 2:
        raise ValueError("a needs two dimensions")
    if b.dim() != 2 or len(b) != a.shape[1]:
        raise ValueError("b does not fit")
    s = a.abs().max(1).values.clamp_min(1e-30) / 127
    t = b.abs().max(0).values.clamp_min(1e-30) / 127
    q = (a / s[:, None]).round().clamp(-127, 127).to(torch.int8)
    r = (b / t[None, :]).round().clamp(-127, 127).to(torch.int8)
    return (q.long() @ r.long()).float() * torch.outer(s, t)


# %% exercise="L8.9" right="NumPy with int32 sums"
def int8_matmul(a, b):
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError("a and b must be matrices")
    if a.shape[1] != b.shape[0]:
        raise ValueError("b has the wrong number of rows for a")
    x, y = a.numpy(), b.numpy()
    s = np.abs(x).max(1, keepdims=True) / np.float32(127)
    t = np.abs(y).max(0, keepdims=True) / np.float32(127)
    s[s == 0], t[t == 0] = 1, 1
    q, r = np.rint(x / s).astype(np.int32), np.rint(y / t).astype(np.int32)
    return torch.from_numpy((q @ r).astype(np.float32) * s * t)


# %% exercise="L8.9" right="_int_mm, zeros by nan_to_num"
def int8_matmul(a, b):
    if a.dim() != 2 or b.dim() != 2 or a.size(1) != b.size(0):
        raise ValueError("a (m, k) and b (k, n) expected")
    s = a.abs().amax(dim=1, keepdim=True) / 127
    t = b.abs().amax(dim=0, keepdim=True) / 127
    q = torch.nan_to_num(a / s).round().to(torch.int8)
    r = torch.nan_to_num(b / t).round().to(torch.int8)
    return s * torch._int_mm(q, r).to(torch.float32) * t


# %% exercise="L8.9" right="one row and one column at a time"
def int8_matmul(a, b):
    if a.dim() != 2:
        raise ValueError("a must be a matrix")
    if b.dim() != 2 or b.shape[0] != a.shape[1]:
        raise ValueError("b must have as many rows as a has columns")
    out = torch.zeros(a.shape[0], b.shape[1])
    codes = []
    for matrix in (a, b.t()):
        rows = []
        for row in matrix:
            largest = row.abs().max()
            scale = largest / 127 if largest > 0 else torch.tensor(1.0)
            rows.append((torch.round(row / scale).to(torch.int32), scale))
        codes.append(rows)
    for i, (q, s) in enumerate(codes[0]):
        for j, (r, t) in enumerate(codes[1]):
            out[i, j] = (q * r).sum() * s * t
    return out


# %% [markdown]
# ## L8.10 tflops


# %% exercise="L8.10" wrong="counts a multiplication and an addition as one" likely=true
def tflops(m, k, n, seconds):
    for name, size in (("m", m), ("k", k), ("n", n)):
        if size < 1:
            raise ValueError(name)
    if seconds <= 0:
        raise ValueError("seconds")
    return m * k * n / seconds / 1e12


# %% exercise="L8.10" wrong="GFLOPS"
def tflops(m, k, n, seconds):
    for name, size in (("m", m), ("k", k), ("n", n)):
        if size < 1:
            raise ValueError(name)
    if seconds <= 0:
        raise ValueError("seconds")
    return 2 * m * k * n / seconds / 1e9


# %% exercise="L8.10" wrong="binary tera"
def tflops(m, k, n, seconds):
    for name, size in (("m", m), ("k", k), ("n", n)):
        if size < 1:
            raise ValueError(name)
    if seconds <= 0:
        raise ValueError("seconds")
    return 2 * m * k * n / seconds / 2**40


# %% exercise="L8.10" wrong="takes the time for milliseconds" likely=true
def tflops(m, k, n, seconds):
    for name, size in (("m", m), ("k", k), ("n", n)):
        if size < 1:
            raise ValueError(name)
    if seconds <= 0:
        raise ValueError("seconds")
    return 2 * m * k * n / (seconds / 1000) / 1e12


# %% exercise="L8.10" wrong="counts the entries instead of the operations"
def tflops(m, k, n, seconds):
    for name, size in (("m", m), ("k", k), ("n", n)):
        if size < 1:
            raise ValueError(name)
    if seconds <= 0:
        raise ValueError("seconds")
    return 2 * (m * k + k * n) / seconds / 1e12


# %% exercise="L8.10" wrong="takes a time of 0"
def tflops(m, k, n, seconds):
    for name, size in (("m", m), ("k", k), ("n", n)):
        if size < 1:
            raise ValueError(name)
    return 2 * m * k * n / seconds / 1e12 if seconds else float("inf")


# %% exercise="L8.10" wrong="takes an empty right matrix"
def tflops(m, k, n, seconds):
    for name, size in (("m", m), ("k", k)):
        if size < 1:
            raise ValueError(name)
    if n < 0:
        raise ValueError("n")
    if seconds <= 0:
        raise ValueError("seconds")
    return 2 * m * k * n / seconds / 1e12


# %% exercise="L8.10" wrong="takes half a row"
def tflops(m, k, n, seconds):
    for name, size in (("m", m), ("k", k), ("n", n)):
        if size <= 0:
            raise ValueError(name)
    if seconds <= 0:
        raise ValueError("seconds")
    return 2 * m * k * n / seconds / 1e12


# %% exercise="L8.10" right="in one line"
def tflops(m, k, n, seconds):
    if min(m, k, n) < 1:
        raise ValueError("m, k and n must be at least 1")
    if not seconds > 0:
        raise ValueError("seconds must be above 0")
    return m * n * 2 * k * 1e-12 / seconds


# %% exercise="L8.10" right="step by step"
def tflops(m, k, n, seconds):
    if m < 1:
        raise ValueError("m")
    if k < 1:
        raise ValueError("k")
    if n < 1:
        raise ValueError("n")
    if seconds <= 0:
        raise ValueError("seconds")
    entries = m * n
    operations_per_entry = k + k
    return np.float64(entries * operations_per_entry) / seconds / 10**12


# %% [markdown]
# ## L8.11 training_bytes_per_param


# %% exercise="L8.11" wrong="halves everything in mixed precision" likely=true
def training_bytes_per_param(optimizer, mixed):
    averages = {"sgd": 0, "momentum": 1, "adam": 2}
    if optimizer not in averages:
        raise ValueError("optimizer")
    total = 8 + 4 * averages[optimizer]
    return total / 2 if mixed else total


# %% exercise="L8.11" wrong="forgets the master weights"
def training_bytes_per_param(optimizer, mixed):
    averages = {"sgd": 0, "momentum": 1, "adam": 2}
    if optimizer not in averages:
        raise ValueError("optimizer")
    return (4 if mixed else 8) + 4 * averages[optimizer]


# %% exercise="L8.11" wrong="keeps the optimizer's averages in FP16"
def training_bytes_per_param(optimizer, mixed):
    averages = {"sgd": 0, "momentum": 1, "adam": 2}
    if optimizer not in averages:
        raise ValueError("optimizer")
    return 8 + (2 if mixed else 4) * averages[optimizer]


# %% exercise="L8.11" wrong="a gradient in FP32 beside the FP16 one"
def training_bytes_per_param(optimizer, mixed):
    averages = {"sgd": 0, "momentum": 1, "adam": 2}
    if optimizer not in averages:
        raise ValueError("optimizer")
    return (12 if mixed else 8) + 4 * averages[optimizer]


# %% exercise="L8.11" wrong="one average for Adam"
def training_bytes_per_param(optimizer, mixed):
    averages = {"sgd": 0, "momentum": 1, "adam": 1}
    if optimizer not in averages:
        raise ValueError("optimizer")
    return 8 + 4 * averages[optimizer]


# %% exercise="L8.11" wrong="counts weights alone"
def training_bytes_per_param(optimizer, mixed):
    if optimizer not in ("sgd", "momentum", "adam"):
        raise ValueError("optimizer")
    return 2 if mixed else 4


# %% exercise="L8.11" wrong="takes any optimizer for SGD"
def training_bytes_per_param(optimizer, mixed):
    return 8 + {"momentum": 4, "adam": 8}.get(optimizer, 0)


# %% exercise="L8.11" wrong="takes other spellings" likely=true
def training_bytes_per_param(optimizer, mixed):
    averages = {"sgd": 0, "momentum": 1, "adam": 2}
    name = str(optimizer).strip().lower()
    if name not in averages:
        raise ValueError("optimizer")
    return 8 + 4 * averages[name]


# %% exercise="L8.11" wrong="takes what begins like a name"
def training_bytes_per_param(optimizer, mixed):
    for name, averages in (("sgd", 0), ("momentum", 1), ("adam", 2)):
        if str(optimizer).startswith(name):
            return 8 + 4 * averages
    raise ValueError("optimizer")


# %% exercise="L8.11" wrong="stumbles over None"
def training_bytes_per_param(optimizer, mixed):
    averages = {"sgd": 0, "momentum": 1, "adam": 2}
    if optimizer != optimizer.lower() or optimizer not in averages:
        raise ValueError("optimizer")
    return 8 + 4 * averages[optimizer]


# %% exercise="L8.11" right="a sum"
def training_bytes_per_param(optimizer, mixed):
    if optimizer not in ("sgd", "momentum", "adam"):
        raise ValueError(f"optimizer {optimizer!r} is unknown")
    weight, gradient, master = (2, 2, 4) if mixed else (4, 4, 0)
    state = 4 * ["sgd", "momentum", "adam"].index(optimizer)
    return weight + gradient + master + state


# %% exercise="L8.11" right="they are the same"
def training_bytes_per_param(optimizer, mixed):
    try:
        return {"sgd": 8, "momentum": 12, "adam": 16}[optimizer]
    except KeyError:
        raise ValueError("optimizer must be sgd, momentum or adam") from None
