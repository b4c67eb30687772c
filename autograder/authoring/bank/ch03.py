# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# ## 3.1 Straight-through gradient

# %% exercise="3.1" wrong="the true derivative"
ex_3_1 = 0

# %% exercise="3.1" wrong="the slope, not the gradient"
ex_3_1 = 1.0

# %% exercise="3.1" wrong="times the scale"
ex_3_1 = 0.005

# %% exercise="3.1" wrong="divided by the scale"
ex_3_1 = 0.5

# %% exercise="3.1" wrong="times the value"
ex_3_1 = 0.34 * 0.05

# %% exercise="3.1" wrong="the wrong sign"
ex_3_1 = -0.05

# %% exercise="3.1" wrong="no answer"
ex_3_1 = None

# %% exercise="3.1" wrong="text"
ex_3_1 = "the same"

# %% exercise="3.1" right="the number"
ex_3_1 = 0.05

# %% exercise="3.1" right="a tensor"
ex_3_1 = torch.tensor(0.05)

# %% [markdown]
# ## 3.2 Why the true derivative cannot train

# %% exercise="3.2" wrong="infinite at the jumps"
ex_3_2 = "A"

# %% exercise="3.2" wrong="PyTorch has no derivative"
ex_3_2 = "B"

# %% exercise="3.2" wrong="1 on average"
ex_3_2 = "D"

# %% exercise="3.2" wrong="the word"
ex_3_2 = "zero"

# %% exercise="3.2" right="the letter"
ex_3_2 = "C"

# %% exercise="3.2" right="small letter"
ex_3_2 = "c"

# %% [markdown]
# ## 3.3 Hours of QAT

# %% exercise="3.3" wrong="forgets that it is slower"
ex_3_3 = 2.78

# %% exercise="3.3" wrong="0.7 times the speed"
ex_3_3 = 3.97

# %% exercise="3.3" wrong="30 % faster"
ex_3_3 = 1.94

# %% exercise="3.3" wrong="all epochs"
ex_3_3 = 36.1

# %% exercise="3.3" wrong="the original training"
ex_3_3 = 27.8

# %% exercise="3.3" wrong="seconds"
ex_3_3 = 13000

# %% exercise="3.3" wrong="minutes"
ex_3_3 = 216.7

# %% exercise="3.3" wrong="90 % of the epochs"
ex_3_3 = 32.5

# %% exercise="3.3" right="three digits"
ex_3_3 = 3.61

# %% exercise="3.3" right="computed"
ex_3_3 = 10 * 1_000_000 / 1000 * 1.3 / 60**2

# %% [markdown]
# ## 3.4 fake_quantize


# %% exercise="3.4" wrong="forgets the zero-point on the way back" likely=true
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    return np.clip(np.round(np.asarray(x) / scale) + zero_point, qmin, qmax) * scale


# %% exercise="3.4" wrong="adds the zero-point on the way back"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    return (np.clip(np.round(np.asarray(x) / scale) + zero_point, qmin, qmax) + zero_point) * scale


# %% exercise="3.4" wrong="subtracts the zero-point from the value, not from the code"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    return np.clip(np.round(np.asarray(x) / scale) + zero_point, qmin, qmax) * scale - zero_point


# %% exercise="3.4" wrong="does not clip"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    return np.round(np.asarray(x) / scale) * scale


# %% exercise="3.4" wrong="clips before it adds the zero-point" likely=true
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    return np.clip(np.round(np.asarray(x) / scale), qmin, qmax) * scale


# %% exercise="3.4" wrong="clips the value at the codes"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    return np.round(np.clip(x, qmin, qmax) / scale) * scale


# %% exercise="3.4" wrong="returns the codes"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    return np.clip(np.round(np.asarray(x) / scale) + zero_point, qmin, qmax)


# %% exercise="3.4" wrong="cuts off instead of rounding" likely=true
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    return (np.clip(np.trunc(np.asarray(x) / scale) + zero_point, qmin, qmax) - zero_point) * scale


# %% exercise="3.4" wrong="does not round: only clips"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    return (np.clip(np.asarray(x) / scale + zero_point, qmin, qmax) - zero_point) * scale


# %% exercise="3.4" wrong="uint8 codes that wrap around"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    q = (np.round(np.asarray(x) / scale) + zero_point).astype(np.int64).astype(np.uint8).astype(float)
    return (np.clip(q, qmin, qmax) - zero_point) * scale


# %% exercise="3.4" wrong="writes into its input"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    x = np.asarray(x, dtype=float)
    x[...] = (np.clip(np.round(x / scale) + zero_point, qmin, qmax) - zero_point) * scale
    return x


# %% exercise="3.4" wrong="accepts nonsense"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    with np.errstate(all="ignore"):
        return (np.clip(np.round(np.asarray(x) / scale) + zero_point, qmin, qmax) - zero_point) * scale


# %% exercise="3.4" wrong="an error that names no argument"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if scale <= 0 or qmin >= qmax:
        raise ValueError("bad input")
    return (np.clip(np.round(np.asarray(x) / scale) + zero_point, qmin, qmax) - zero_point) * scale


# %% exercise="3.4" wrong="accepts a NaN scale"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if scale <= 0:
        raise ValueError("scale")
    if not qmin < qmax:
        raise ValueError("qmin")
    return (np.clip(np.round(np.asarray(x) / scale) + zero_point, qmin, qmax) - zero_point) * scale


# %% exercise="3.4" wrong="codes in the integer type of x"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if not qmin < qmax:
        raise ValueError("qmin")
    x = np.asarray(x)
    codes = (np.round(x / scale) + zero_point).astype(x.dtype)
    return (np.clip(codes, qmin, qmax) - zero_point) * scale


# %% exercise="3.4" wrong="codes in 16 bits, clipped afterwards"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if not qmin < qmax:
        raise ValueError("qmin")
    codes = (np.round(np.asarray(x) / scale) + zero_point).astype(np.int64).astype(np.int16)
    return (np.clip(codes, qmin, qmax).astype(float) - zero_point) * scale


# %% exercise="3.4" wrong="codes in 32 bits, clipped afterwards"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if not qmin < qmax:
        raise ValueError("qmin")
    codes = (np.round(np.asarray(x) / scale) + zero_point).astype(np.int64).astype(np.int32)
    return (np.clip(codes, qmin, qmax).astype(float) - zero_point) * scale


# %% exercise="3.4" wrong="a floor under the scale"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if not qmin < qmax:
        raise ValueError("qmin")
    scale = max(scale, 1e-6)
    return (np.clip(np.round(np.asarray(x) / scale) + zero_point, qmin, qmax) - zero_point) * scale


# %% exercise="3.4" wrong="refuses a scale below 1e-6"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 1e-6:
        raise ValueError("scale")
    if not qmin < qmax:
        raise ValueError("qmin")
    return (np.clip(np.round(np.asarray(x) / scale) + zero_point, qmin, qmax) - zero_point) * scale


# %% exercise="3.4" wrong="the result in the type of x"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if not qmin < qmax:
        raise ValueError("qmin")
    x = np.asarray(x)
    return ((np.clip(np.round(x / scale) + zero_point, qmin, qmax) - zero_point) * scale).astype(x.dtype)


# %% exercise="3.4" right="vectorised"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    q = np.clip(np.rint(np.asarray(x) / scale) + zero_point, qmin, qmax)
    return scale * (q - zero_point)


# %% exercise="3.4" right="clips the value at the outer levels first"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    x = np.clip(x, (qmin - zero_point) * scale, (qmax - zero_point) * scale)
    return np.round(x / scale) * scale


# %% exercise="3.4" right="plain loop"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")

    def one(value):
        return (min(max(round(value / scale) + zero_point, qmin), qmax) - zero_point) * scale

    x = np.asarray(x, dtype=float)
    return np.array([one(value) for value in x.ravel().tolist()]).reshape(x.shape)


# %% exercise="3.4" right="torch's own kernel"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if not scale > 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    x = torch.as_tensor(x, dtype=torch.float32)
    return torch.fake_quantize_per_tensor_affine(x, float(scale), zero_point, qmin, qmax)


# %% exercise="3.4" right="float32 throughout, NaN found by hand"
def fake_quantize(x, scale, zero_point, qmin, qmax):
    if np.isnan(scale) or scale <= 0:
        raise ValueError(f"scale is {scale}")
    if qmax <= qmin:
        raise ValueError(f"qmax {qmax} must be above the lowest code")
    steps = np.rint(np.asarray(x, dtype=np.float32) / np.float32(scale))
    lowest, highest = qmin - zero_point, qmax - zero_point
    return np.minimum(np.maximum(steps, np.float32(lowest)), np.float32(highest)) * np.float32(scale)


# %% [markdown]
# ## 3.5 ste_gradient

# %% exercise="3.5" wrong="blames the bounds"
ex_3_5_line = 4


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad * ((x >= clip_min) & (x <= clip_max))


# %% exercise="3.5" wrong="blames the first conversion"
ex_3_5_line = 2


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad * ((x >= clip_min) & (x <= clip_max))


# %% exercise="3.5" wrong="still adds the mask" likely=true
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad + ((x >= clip_min) & (x <= clip_max))


# %% exercise="3.5" wrong="bounds excluded" likely=true
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad * ((x > clip_min) & (x < clip_max))


# %% exercise="3.5" wrong="lower bound excluded" likely=true
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad * ((x > clip_min) & (x <= clip_max))


# %% exercise="3.5" wrong="the mask alone"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return ((x >= clip_min) & (x <= clip_max)).astype(float)


# %% exercise="3.5" wrong="the mask inverted"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad * ((x < clip_min) | (x > clip_max))


# %% exercise="3.5" wrong="clips the gradient instead of masking it"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return np.clip(grad, clip_min, clip_max)


# %% exercise="3.5" wrong="masks by the gradient's value"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad * ((grad >= clip_min) & (grad <= clip_max))


# %% exercise="3.5" wrong="multiplies with the clipped x"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad * np.clip(x, clip_min, clip_max)


# %% exercise="3.5" wrong="drops the elements outside"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad[(x >= clip_min) & (x <= clip_max)]


# %% exercise="3.5" wrong="straight through everywhere"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad.copy()


# %% exercise="3.5" wrong="writes into its input"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    grad *= (x >= clip_min) & (x <= clip_max)
    return grad


# %% exercise="3.5" wrong="lets shapes broadcast"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad * ((x >= clip_min) & (x <= clip_max))


# %% exercise="3.5" wrong="accepts clip_min above clip_max"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    return grad * ((x >= clip_min) & (x <= clip_max))


# %% exercise="3.5" wrong="stretches one number to all of x"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.size != 1 and x.size != 1 and grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad * ((x >= clip_min) & (x <= clip_max))


# %% exercise="3.5" wrong="compares sizes, not shapes"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.size != x.size:
        raise ValueError("grad and x differ in size")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad.reshape(x.shape) * ((x >= clip_min) & (x <= clip_max))


# %% exercise="3.5" wrong="refuses only what cannot be broadcast"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    try:
        np.broadcast_shapes(grad.shape, x.shape)
    except ValueError:
        raise ValueError("grad and x differ in shape") from None
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad * ((x >= clip_min) & (x <= clip_max))


# %% exercise="3.5" wrong="the gradient in the type of x"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad), np.asarray(x)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    passed = np.zeros_like(x)
    inside = (x >= clip_min) & (x <= clip_max)
    passed[inside] = grad[inside]
    return passed


# %% exercise="3.5" right="the line as text"
ex_3_5_line = "5"


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return grad * ((x >= clip_min) & (x <= clip_max))


# %% exercise="3.5" right="multiplies"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return np.multiply(grad, np.logical_and(clip_min <= x, x <= clip_max))


# %% exercise="3.5" right="np.where"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    return np.where((x < clip_min) | (x > clip_max), 0.0, grad)


# %% exercise="3.5" right="on a copy"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    grad = np.array(grad)
    grad[np.clip(x, clip_min, clip_max) != x] = 0
    return grad


# %% exercise="3.5" right="plain loop"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    kept = [g if clip_min <= v <= clip_max else 0.0 for g, v in zip(grad.ravel().tolist(), x.ravel().tolist())]
    return np.reshape(kept, x.shape)


# %% exercise="3.5" right="torch's gradient of clamp"
ex_3_5_line = 5


def ste_gradient(grad, x, clip_min, clip_max):
    grad, x = np.asarray(grad, dtype=float), np.asarray(x, dtype=float)
    if grad.shape != x.shape:
        raise ValueError("grad and x differ in shape")
    if clip_min >= clip_max:
        raise ValueError("clip_min must be below clip_max")
    x = torch.tensor(x, requires_grad=True)
    (gradient,) = torch.autograd.grad(x.clamp(clip_min, clip_max), x, torch.tensor(grad))
    return gradient


# %% [markdown]
# ## L3.6 FakeQuantize


# %% exercise="L3.6" wrong="straight through everywhere" likely=true
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output, None, None, None, None


# %% exercise="L3.6" wrong="the true derivative"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        return torch.zeros_like(grad_output), None, None, None, None


# %% exercise="L3.6" wrong="window between the outer levels only" likely=true
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((x >= (qmin - zero_point) * scale) & (x <= (qmax - zero_point) * scale))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside, None, None, None, None


# %% exercise="L3.6" wrong="window without the zero-point"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((x / scale >= qmin - 0.5) & (x / scale <= qmax + 0.5))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside, None, None, None, None


# %% exercise="L3.6" wrong="window by the clipped code"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q.clamp(qmin, qmax) >= qmin) & (q.clamp(qmin, qmax) <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside, None, None, None, None


# %% exercise="L3.6" wrong="ends of the window excluded"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q > qmin) & (q < qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside, None, None, None, None


# %% exercise="L3.6" wrong="gradient times the scale"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.scale = scale
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside * ctx.scale, None, None, None, None


# %% exercise="L3.6" wrong="adds the mask"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output + inside, None, None, None, None


# %% exercise="L3.6" wrong="one gradient instead of five"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside


# %% exercise="L3.6" wrong="ignores the gradient from above" likely=true
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return inside.float(), None, None, None, None


# %% exercise="L3.6" wrong="keeps the mask on the class"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        FakeQuantize.inside = (q >= qmin) & (q <= qmax)
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * FakeQuantize.inside, None, None, None, None


# %% exercise="L3.6" wrong="writes into the gradient from above"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output.mul_(inside), None, None, None, None


# %% exercise="L3.6" wrong="quantizes x in place"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return x.data.copy_((torch.clamp(q, qmin, qmax) - zero_point) * scale).clone()

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside, None, None, None, None


# %% exercise="L3.6" wrong="does not clip"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (q - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside, None, None, None, None


# %% exercise="L3.6" wrong="returns the codes"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return torch.clamp(q, qmin, qmax)

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside, None, None, None, None


# %% exercise="L3.6" wrong="forgets the zero-point on the way back"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return torch.clamp(q, qmin, qmax) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside, None, None, None, None


# %% exercise="L3.6" wrong="returns a NumPy array"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return ((torch.clamp(q, qmin, qmax) - zero_point) * scale).numpy()

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside, None, None, None, None


# %% exercise="L3.6" wrong="raises in backward"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside[None, 1:], None, None, None, None


# %% exercise="L3.6" wrong="no backward"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale


# %% exercise="L3.6" wrong="a module instead of a Function"
class FakeQuantize(torch.nn.Module):
    def forward(self, x, scale, zero_point, qmin, qmax):
        return (torch.clamp(torch.round(x / scale) + zero_point, qmin, qmax) - zero_point) * scale


# %% exercise="L3.6" wrong="a pile of masks on the class, the last one first"
class FakeQuantize(torch.autograd.Function):
    masks = []

    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        FakeQuantize.masks.append((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * FakeQuantize.masks.pop(), None, None, None, None


# %% exercise="L3.6" wrong="a queue of masks on the class, the first one first"
class FakeQuantize(torch.autograd.Function):
    masks = []

    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        FakeQuantize.masks.append((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * FakeQuantize.masks.pop(0), None, None, None, None


# %% exercise="L3.6" wrong="float64 becomes float32"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x.float() / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside, None, None, None, None


# %% exercise="L3.6" wrong="view(-1) of a transposed x"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x.view(-1) / scale) + zero_point
        ctx.save_for_backward(((q >= qmin) & (q <= qmax)).view(x.shape))
        return ((torch.clamp(q, qmin, qmax) - zero_point) * scale).view(x.shape)

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside, None, None, None, None


# %% exercise="L3.6" wrong="view(-1) of a transposed gradient"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        masked = grad_output.view(-1) * inside.reshape(-1)
        return masked.view(grad_output.shape), None, None, None, None


# %% exercise="L3.6" wrong="row by row: not for one number"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.stack([torch.round(row / scale) + zero_point for row in x])
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        (inside,) = ctx.saved_tensors
        return grad_output * inside, None, None, None, None


# %% exercise="L3.6" right="saves the mask"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward((q >= qmin) & (q <= qmax))
        return (torch.clamp(q, qmin, qmax) - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.saved_tensors[0], None, None, None, None


# %% exercise="L3.6" right="saves x and works out the window later"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        ctx.save_for_backward(x)
        ctx.numbers = scale, zero_point, qmin, qmax
        return scale * (torch.clamp(torch.round(x / scale) + zero_point, qmin, qmax) - zero_point)

    @staticmethod
    def backward(ctx, grad_output):
        (x,) = ctx.saved_tensors
        scale, zero_point, qmin, qmax = ctx.numbers
        q = torch.round(x / scale) + zero_point
        return torch.where((q < qmin) | (q > qmax), torch.zeros_like(grad_output), grad_output), None, None, None, None


# %% exercise="L3.6" right="an attribute of ctx, and a copy set to 0"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        q = (x / scale).round() + zero_point
        clipped = q.clamp(qmin, qmax)
        ctx.outside = q != clipped
        return (clipped - zero_point) * scale

    @staticmethod
    def backward(ctx, grad_output):
        grad = grad_output.clone()
        grad[ctx.outside] = 0
        return grad, None, None, None, None


# %% exercise="L3.6" right="setup_context"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(x, scale, zero_point, qmin, qmax):
        return (torch.clamp(torch.round(x / scale) + zero_point, qmin, qmax) - zero_point) * scale

    @staticmethod
    def setup_context(ctx, inputs, output):
        x, scale, zero_point, qmin, qmax = inputs
        q = torch.round(x / scale) + zero_point
        ctx.save_for_backward(((qmin <= q) & (q <= qmax)).to(x.dtype))

    @staticmethod
    def backward(ctx, grad_output):
        return ctx.saved_tensors[0] * grad_output, None, None, None, None


# %% exercise="L3.6" right="PyTorch's own kernel and its mask"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            y = torch.fake_quantize_per_tensor_affine(leaf, scale, zero_point, qmin, qmax)
            ctx.graph = leaf, y
        return y.detach()

    @staticmethod
    def backward(ctx, grad_output):
        leaf, y = ctx.graph
        (grad,) = torch.autograd.grad(y, leaf, grad_output)
        return grad, None, None, None, None


# %% exercise="L3.6" right="adds the offset of rounding"
class FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale, zero_point, qmin, qmax):
        low, high = qmin - zero_point, qmax - zero_point
        steps = x.div(scale).round()
        ctx.mark_non_differentiable()
        ctx.save_for_backward(steps.ge(low).logical_and(steps.le(high)))
        return steps.clamp(low, high).mul(scale)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output.masked_fill(~ctx.saved_tensors[0], 0), *[None] * 4


# %% [markdown]
# ## L3.7 QuantLinear


# %% exercise="L3.7" wrong="no straight-through: round() kills the gradient" likely=true
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-8) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w_hat, self.linear.bias)


# %% exercise="L3.7" wrong="quantizes once, when it is made"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1
        w = linear.weight.detach()
        scale = w.abs().max().clamp(min=1e-8) / self.qmax
        self.offset = torch.round(w / scale) * scale - w

    def forward(self, x):
        return torch.nn.functional.linear(x, self.linear.weight + self.offset, self.linear.bias)


# %% exercise="L3.7" wrong="finds the scale once, when it is made"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1
        self.scale = linear.weight.detach().abs().max().clamp(min=1e-8) / self.qmax

    def forward(self, x):
        w = self.linear.weight
        w_hat = torch.clamp(torch.round(w / self.scale), -self.qmax, self.qmax) * self.scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="overwrites the float weight"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-8) / self.qmax
        w.data.copy_(torch.round(w.data / scale) * scale)
        return self.linear(x)


# %% exercise="L3.7" wrong="trains a copy of the weight"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.weight = torch.nn.Parameter(linear.weight.detach().clone())
        self.bias = linear.bias
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.weight
        scale = w.detach().abs().max().clamp(min=1e-8) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.bias)


# %% exercise="L3.7" wrong="keeps the linear layer where the optimizer cannot see it"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linears = (linear,)
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linears[0].weight
        scale = w.detach().abs().max().clamp(min=1e-8) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linears[0].bias)


# %% exercise="L3.7" wrong="forgets the bias"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-8) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach())


# %% exercise="L3.7" wrong="quantizes the bias too"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-8) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(
            x,
            w + (w_hat - w).detach(),
            None if self.linear.bias is None else torch.round(self.linear.bias / scale) * scale,
        )


# %% exercise="L3.7" wrong="quantizes the output"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        y = self.linear(x)
        scale = y.detach().abs().max() / self.qmax
        return y + (torch.round(y / scale) * scale - y).detach()


# %% exercise="L3.7" wrong="128 codes on each side"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1)

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-8) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="affine range"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1
        self.levels = 2**bits - 1

    def forward(self, x):
        w = self.linear.weight
        low = w.detach().min()
        scale = (w.detach().max() - low).clamp(min=1e-8) / self.levels
        w_hat = torch.round((w - low) / scale) * scale + low
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="one scale for each row"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().amax(1, keepdim=True).clamp(min=1e-8) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="largest instead of largest magnitude" likely=true
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().max().clamp(min=1e-8) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="NaN for a weight of zeros"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max() / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="lets a gradient flow through the scale" likely=true
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.abs().max().clamp(min=1e-8) / self.qmax
        steps = w / scale
        w_hat = (steps + (torch.round(steps) - steps).detach()) * scale + (scale - scale.detach()) * torch.round(
            steps
        ).detach()
        return torch.nn.functional.linear(x, w_hat, self.linear.bias)


# %% exercise="L3.7" wrong="computes with the float weight"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        return self.linear(x)


# %% exercise="L3.7" wrong="one more parameter that is not used"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1
        self.weight = torch.nn.Parameter(linear.weight.detach().clone())

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-8) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="returns a NumPy array"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-8) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias).detach().numpy()


# %% exercise="L3.7" wrong="accepts 1 bit"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        self.linear = linear
        self.qmax = max(2 ** max(bits - 1, 1) - 1, 1)

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-8) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="forgets super().__init__()"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-8) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="a scale of at least 1e-3"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = (w.detach().abs().max() / self.qmax).clamp(min=1e-3)
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="a scale of at least 1e-5"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = (w.detach().abs().max() / self.qmax).clamp(min=1e-5)
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="keeps the largest scale it has seen"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1
        self.largest = 1e-12

    def forward(self, x):
        w = self.linear.weight
        self.largest = max(self.largest, w.detach().abs().max().item())
        scale = self.largest / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="the float weight in evaluation mode"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        if not self.training:
            return self.linear(x)
        scale = w.detach().abs().max().clamp(min=1e-12) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="float32 whatever the linear layer is"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-12) / self.qmax
        w_hat = (torch.round(w / scale) * scale).float()
        return torch.nn.functional.linear(x, w.float() + (w_hat - w.float()).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="refuses less than 2 bits in the forward pass only"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        self.linear = linear
        self.bits = bits

    def forward(self, x):
        if self.bits < 2:
            raise ValueError(f"bits is {self.bits}")
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-12) / (2 ** (self.bits - 1) - 1)
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="refuses 0 and 1 bit, not a fraction between 1 and 2"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits <= 1:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-12) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" wrong="takes the input for a matrix"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-12) / self.qmax
        w = w + (torch.round(w / scale) * scale - w).detach()
        y = torch.mm(x.reshape(-1, x.shape[-1]), w.T).reshape(len(x), -1, w.shape[0]).squeeze(1)
        return y if self.linear.bias is None else y + self.linear.bias


# %% exercise="L3.7" right="detach"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().max().clamp(min=1e-8) / self.qmax
        w_hat = torch.round(w / scale) * scale
        return torch.nn.functional.linear(x, w + (w_hat - w).detach(), self.linear.bias)


# %% exercise="L3.7" right="an autograd Function"
class _Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, w, scale):
        return torch.round(w / scale) * scale

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output, None


class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        scale = max(self.linear.weight.abs().max().item(), 1e-12) / self.qmax
        w_hat = _Round.apply(self.linear.weight, scale)
        y = x @ w_hat.T
        return y if self.linear.bias is None else y + self.linear.bias


# %% exercise="L3.7" right="PyTorch's own quantizer"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.linear = linear
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        w = self.linear.weight
        scale = float(w.detach().abs().max()) / self.qmax
        if scale == 0:
            return self.linear(x)
        w_hat = torch.fake_quantize_per_tensor_affine(w, scale, 0, -self.qmax, self.qmax)
        return torch.nn.functional.linear(x, w_hat, self.linear.bias)


# %% exercise="L3.7" right="a Linear that shares its parameters"
class QuantLinear(torch.nn.Linear):
    def __init__(self, linear, bits):
        super().__init__(linear.in_features, linear.out_features, bias=linear.bias is not None)
        if bits < 2:
            raise ValueError(f"bits is {bits}")
        self.weight, self.bias = linear.weight, linear.bias
        self.qmax = 2 ** (bits - 1) - 1

    def forward(self, x):
        with torch.no_grad():
            scale = self.weight.abs().max() / self.qmax
            offset = torch.zeros_like(self.weight)
            if scale > 0:
                offset = (self.weight / scale).round().clamp(-self.qmax, self.qmax) * scale - self.weight
        return torch.nn.functional.linear(x, self.weight + offset, self.bias)


# %% exercise="L3.7" right="a floor only for zeros"
class QuantLinear(torch.nn.Module):
    def __init__(self, linear, bits):
        super().__init__()
        self.linear = linear
        self.qmax = 2 ** (int(bits) - 1) - 1
        if self.qmax < 1:
            raise ValueError(f"bits must be 2 or more, got {bits}")

    def forward(self, x):
        w = self.linear.weight
        scale = w.detach().abs().amax() / self.qmax
        scale = torch.where(scale == 0, torch.ones_like(scale), scale)
        w_hat = w.detach().div(scale).round().mul(scale)
        y = torch.einsum("...i,oi->...o", x, w + (w_hat - w.detach()))
        return y if self.linear.bias is None else y + self.linear.bias


# %% [markdown]
# ## L3.8 lsq_scale_gradient


# %% exercise="L3.8" wrong="the saw beyond the range too" likely=true
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.sum(grad_out * (np.round(v) - v))


# %% exercise="L3.8" wrong="clipped weights give nothing" likely=true
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.sum(grad_out * np.where((v > qmin) & (v < qmax), np.round(v) - v, 0))


# %% exercise="L3.8" wrong="true derivative: the code itself"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.sum(grad_out * np.clip(np.round(v), qmin, qmax))


# %% exercise="L3.8" wrong="the saw upside down"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.sum(grad_out * np.where(v <= qmin, qmin, np.where(v >= qmax, qmax, v - np.round(v))))


# %% exercise="L3.8" wrong="clipped ends with the wrong sign"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.sum(grad_out * np.where(v <= qmin, -qmin, np.where(v >= qmax, -qmax, np.round(v) - v)))


# %% exercise="L3.8" wrong="1 for each clipped weight"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.sum(grad_out * np.where(v <= qmin, -1, np.where(v >= qmax, 1, np.round(v) - v)))


# %% exercise="L3.8" wrong="mean instead of sum"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.mean(grad_out * np.where(v <= qmin, qmin, np.where(v >= qmax, qmax, np.round(v) - v)))


# %% exercise="L3.8" wrong="with the paper's factor"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.sum(grad_out * np.where(v <= qmin, qmin, np.where(v >= qmax, qmax, np.round(v) - v))) / np.sqrt(
        x.size * qmax
    )


# %% exercise="L3.8" wrong="one value for each element"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return grad_out * np.where(v <= qmin, qmin, np.where(v >= qmax, qmax, np.round(v) - v))


# %% exercise="L3.8" wrong="ignores grad_out"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.sum(np.where(v <= qmin, qmin, np.where(v >= qmax, qmax, np.round(v) - v)))


# %% exercise="L3.8" wrong="compares x, not x / scale, with the codes"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.sum(grad_out * np.where(x <= qmin, qmin, np.where(x >= qmax, qmax, np.round(v) - v)))


# %% exercise="L3.8" wrong="times the scale: the error, not the slope"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.sum(grad_out * np.where(v <= qmin, qmin, np.where(v >= qmax, qmax, np.round(v) - v))) * scale


# %% exercise="L3.8" wrong="window half a step wider" likely=true
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    q = np.round(v)
    return np.sum(grad_out * np.where(q < qmin, qmin, np.where(q > qmax, qmax, q - v)))


# %% exercise="L3.8" wrong="writes into its input"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    slope = np.where(v <= qmin, qmin, np.where(v >= qmax, qmax, np.round(v) - v))
    grad_out *= slope
    return grad_out.sum()


# %% exercise="L3.8" wrong="accepts nonsense"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    with np.errstate(all="ignore"):
        v = x / scale
        return np.sum(grad_out * np.where(v <= qmin, qmin, np.where(v >= qmax, qmax, np.round(v) - v)))


# %% exercise="L3.8" wrong="lets shapes broadcast"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    v = x / scale
    return np.sum(grad_out * np.where(v <= qmin, qmin, np.where(v >= qmax, qmax, np.round(v) - v)))


# %% exercise="L3.8" wrong="the ends of the range inside" likely=true
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.sum(grad_out * np.where(v < qmin, qmin, np.where(v > qmax, qmax, np.round(v) - v)))


# %% exercise="L3.8" wrong="torch.clamp differentiated, which counts the ends as inside"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    s = torch.tensor(float(scale), dtype=torch.float64, requires_grad=True)
    c = torch.clamp(torch.tensor(x) / s, qmin, qmax)
    (s * (c + (torch.round(c) - c).detach()) * torch.tensor(grad_out)).sum().backward()
    return s.grad


# %% exercise="L3.8" wrong="clips after rounding"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    s = torch.tensor(float(scale), dtype=torch.float64, requires_grad=True)
    v = torch.tensor(x) / s
    codes = torch.clamp(v + (torch.round(v) - v).detach(), qmin, qmax)
    (s * codes * torch.tensor(grad_out)).sum().backward()
    return s.grad


# %% exercise="L3.8" wrong="compares sizes, not shapes"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.size != x.size:
        raise ValueError("grad_out")
    x, grad_out = x.ravel(), grad_out.ravel()
    v = x / scale
    return np.sum(grad_out * np.where(v <= qmin, qmin, np.where(v >= qmax, qmax, np.round(v) - v)))


# %% exercise="L3.8" wrong="stretches one gradient to all of x"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.size != 1 and grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.sum(grad_out * np.where(v <= qmin, qmin, np.where(v >= qmax, qmax, np.round(v) - v)))


# %% exercise="L3.8" wrong="slopes in the integer type of x"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x), np.asarray(grad_out)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    slope = np.zeros_like(x)
    slope[...] = np.where(v <= qmin, qmin, np.where(v >= qmax, qmax, np.round(v) - v))
    return float(np.sum(grad_out * slope))


# %% exercise="L3.8" right="np.where"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    return np.sum(grad_out * np.where(v <= qmin, qmin, np.where(v >= qmax, qmax, np.round(v) - v)))


# %% exercise="L3.8" right="boolean indexing"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    v = np.atleast_1d(v)
    slope = np.clip(v, qmin, qmax)
    inside = (v > qmin) & (v < qmax)
    slope[inside] = np.rint(v[inside]) - v[inside]
    return float(np.vdot(grad_out, slope))


# %% exercise="L3.8" right="plain loop"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    v = x / scale
    total = 0.0
    for value, grad in zip(v.ravel().tolist(), grad_out.ravel().tolist()):
        if value <= qmin:
            total += grad * qmin
        elif value >= qmax:
            total += grad * qmax
        else:
            total += grad * (round(value) - value)
    return total


# %% exercise="L3.8" right="autograd of the surrogate"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("grad_out")
    s = torch.tensor(float(scale), dtype=torch.float64, requires_grad=True)
    v = torch.tensor(x) / s
    c = torch.where(v >= qmax, float(qmax), torch.where(v <= qmin, float(qmin), v))
    (s * (c + (torch.round(c) - c).detach()) * torch.tensor(grad_out)).sum().backward()
    return s.grad


# %% exercise="L3.8" right="the formula differentiated by hand"
def lsq_scale_gradient(x, scale, qmin, qmax, grad_out):
    x, grad_out = np.asarray(x, dtype=float), np.asarray(grad_out, dtype=float)
    if scale <= 0:
        raise ValueError("scale")
    if qmin >= qmax:
        raise ValueError("qmin")
    if grad_out.shape != x.shape:
        raise ValueError("x and the gradient differ in shape")
    c = np.clip(x / scale, qmin, qmax)
    offset = np.round(c) - c
    c_moves = (c > qmin) & (c < qmax)
    return float(np.sum(grad_out * (c + offset - c_moves * x / scale)))
