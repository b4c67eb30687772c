# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# ## 7.1 Break-even rank of 4096 x 4096

# %% exercise="7.1" wrong="counts one of the two factors"
ex_7_1 = 4096

# %% exercise="7.1" wrong="counts each factor twice"
ex_7_1 = 1024

# %% exercise="7.1" wrong="the square root"
ex_7_1 = 4096**0.5

# %% exercise="7.1" wrong="the numbers in the matrix"
ex_7_1 = 4096 * 4096

# %% exercise="7.1" wrong="no answer"
ex_7_1 = None

# %% exercise="7.1" right="a whole number"
ex_7_1 = 2048

# %% exercise="7.1" right="text that reads as a number"
ex_7_1 = "2048"


# %% exercise="7.1" right="computed"
m = n = 4096
ex_7_1 = 1 / (1 / m + 1 / n)

# %% [markdown]
# ## 7.2 Percent that trains

# %% exercise="7.2" wrong="the share instead of the percentage"
ex_7_2 = 4 * 32 * 2 * 4096 * 16 / 7e9

# %% exercise="7.2" wrong="only one of the two factors"
ex_7_2 = 0.1198

# %% exercise="7.2" wrong="one matrix in each layer"
ex_7_2 = 0.0599

# %% exercise="7.2" wrong="one layer"
ex_7_2 = 0.00749

# %% exercise="7.2" wrong="the numbers, not their percentage"
ex_7_2 = 16_777_216

# %% exercise="7.2" wrong="what stays frozen"
ex_7_2 = 99.76

# %% exercise="7.2" right="three digits"
ex_7_2 = 0.24

# %% exercise="7.2" right="computed"
ex_7_2 = np.float64(4 * 32 * (4096 * 16 + 16 * 4096)) * 100 / 7e9

# %% exercise="7.2" right="of the model with its adapters"
added = 4 * 32 * 2 * 4096 * 16
ex_7_2 = 100 * added / (7e9 + added)

# %% [markdown]
# ## 7.3 Why one factor starts at zero

# %% exercise="7.3" wrong="zeros need not be stored"
ex_7_3 = "A"

# %% exercise="7.3" wrong="the zero freezes W"
ex_7_3 = "B"

# %% exercise="7.3" wrong="two random factors cannot learn"
ex_7_3 = "D"

# %% exercise="7.3" wrong="a sentence"
ex_7_3 = "the model starts where it was"

# %% exercise="7.3" right="the letter"
ex_7_3 = "C"

# %% exercise="7.3" right="small letter"
ex_7_3 = "c"

# %% [markdown]
# ## 7.4 Percent of the energy

# %% exercise="7.4" wrong="does not square"
ex_7_4 = 100 * 18 / 18.66

# %% exercise="7.4" wrong="the share instead of the percentage"
ex_7_4 = 130 / 130.2626

# %% exercise="7.4" wrong="what is lost"
ex_7_4 = 0.2016

# %% exercise="7.4" wrong="four of eight"
ex_7_4 = 50

# %% exercise="7.4" wrong="the first value alone"
ex_7_4 = 76.77

# %% exercise="7.4" wrong="the first two"
ex_7_4 = 95.96

# %% exercise="7.4" wrong="the first three"
ex_7_4 = 100 * 129 / 130.2626

# %% exercise="7.4" wrong="rounded to the whole"
ex_7_4 = 100

# %% exercise="7.4" wrong="the share of the norm"
ex_7_4 = 100 * (130 / 130.2626) ** 0.5


# %% exercise="7.4" right="two decimals"
ex_7_4 = 99.80

# %% exercise="7.4" right="cut off after two decimals"
ex_7_4 = 99.79

# %% exercise="7.4" right="text that reads as a number"
ex_7_4 = "99.8"


# %% exercise="7.4" right="computed"
s = np.array([10, 5, 2, 1, 0.5, 0.1, 0.05, 0.01])
ex_7_4 = (s[:4] @ s[:4]) / (s @ s) * 100

# %% [markdown]
# ## 7.5 lora_params


# %% exercise="7.5" wrong="one factor" likely=true
def lora_params(d, r, num_matrices):
    if d < 1:
        raise ValueError("d")
    if r < 1:
        raise ValueError("r")
    if num_matrices < 1:
        raise ValueError("num_matrices")
    return d * r * num_matrices


# %% exercise="7.5" wrong="counts the frozen matrix as well" likely=true
def lora_params(d, r, num_matrices):
    if d < 1:
        raise ValueError("d")
    if r < 1:
        raise ValueError("r")
    if num_matrices < 1:
        raise ValueError("num_matrices")
    return (d * d + 2 * d * r) * num_matrices


# %% exercise="7.5" wrong="one adapter for all matrices" likely=true
def lora_params(d, r, num_matrices):
    if d < 1:
        raise ValueError("d")
    if r < 1:
        raise ValueError("r")
    if num_matrices < 1:
        raise ValueError("num_matrices")
    return 2 * d * r


# %% exercise="7.5" wrong="the size of B A"
def lora_params(d, r, num_matrices):
    if d < 1:
        raise ValueError("d")
    if r < 1:
        raise ValueError("r")
    if num_matrices < 1:
        raise ValueError("num_matrices")
    return d * d * num_matrices


# %% exercise="7.5" wrong="adds a bias of length r"
def lora_params(d, r, num_matrices):
    if d < 1:
        raise ValueError("d")
    if r < 1:
        raise ValueError("r")
    if num_matrices < 1:
        raise ValueError("num_matrices")
    return (2 * d * r + r) * num_matrices


# %% exercise="7.5" wrong="r squared between the factors"
def lora_params(d, r, num_matrices):
    if d < 1:
        raise ValueError("d")
    if r < 1:
        raise ValueError("r")
    if num_matrices < 1:
        raise ValueError("num_matrices")
    return (2 * d * r + r * r) * num_matrices


# %% exercise="7.5" wrong="accepts nonsense"
def lora_params(d, r, num_matrices):
    return 2 * d * r * num_matrices


# %% exercise="7.5" wrong="an error that names no argument"
def lora_params(d, r, num_matrices):
    if d < 1 or r < 1 or num_matrices < 1:
        raise ValueError("too small")
    return 2 * d * r * num_matrices


# %% exercise="7.5" wrong="prints instead of returning"
def lora_params(d, r, num_matrices):
    print(2 * d * r * num_matrices)


# %% exercise="7.5" wrong="overflows in 32 bits"
def lora_params(d, r, num_matrices):
    if d < 1:
        raise ValueError("d")
    if r < 1:
        raise ValueError("r")
    if num_matrices < 1:
        raise ValueError("num_matrices")
    with np.errstate(over="ignore"):
        return int(2 * np.int32(d) * np.int32(r) * np.int32(num_matrices))


# %% exercise="7.5" wrong="counted in 32-bit floats"
def lora_params(d, r, num_matrices):
    if d < 1:
        raise ValueError("d")
    if r < 1:
        raise ValueError("r")
    if num_matrices < 1:
        raise ValueError("num_matrices")
    return float(2 * np.float32(d) * np.float32(r) * np.float32(num_matrices))


# %% exercise="7.5" wrong="checks the product, where two negatives cancel"
def lora_params(d, r, num_matrices):
    if d * r * num_matrices < 1:
        raise ValueError("d, r and num_matrices must be at least 1")
    return 2 * d * r * num_matrices


# %% exercise="7.5" wrong="checks the matrices no further than 0"
def lora_params(d, r, num_matrices):
    if d < 1:
        raise ValueError("d")
    if r < 1:
        raise ValueError("r")
    if num_matrices == 0:
        raise ValueError("num_matrices")
    return abs(2 * d * r * num_matrices)


# %% exercise="7.5" right="the formula"
def lora_params(d, r, num_matrices):
    if d < 1:
        raise ValueError(f"d = {d}")
    if r < 1:
        raise ValueError(f"r = {r}")
    if num_matrices < 1:
        raise ValueError(f"num_matrices = {num_matrices}")
    return num_matrices * (d * r + r * d)


# %% exercise="7.5" right="a loop over matrices"
def lora_params(d, r, num_matrices):
    for name in ("d", "r", "num_matrices"):
        if locals_of(d, r, num_matrices)[name] <= 0:
            raise ValueError(f"{name} must be positive")
    total = 0
    for _ in range(num_matrices):
        total += np.prod([r, d]) + np.prod([d, r])
    return total


def locals_of(d, r, num_matrices):
    return {"d": d, "r": r, "num_matrices": num_matrices}


# %% exercise="7.5" right="NumPy in 64 bits"
def lora_params(d, r, num_matrices):
    for name, value in {"num_matrices": num_matrices, "r": r, "d": d}.items():
        if value < 1:
            raise ValueError(f"{name}: {value}")
    return np.prod([2, d, r, num_matrices], dtype=np.int64)


# %% exercise="7.5" right="counted by torch"
def lora_params(d, r, num_matrices):
    if d < 1:
        raise ValueError("d must be 1 or more")
    if r < 1:
        raise ValueError("r must be 1 or more")
    if num_matrices < 1:
        raise ValueError("num_matrices must be 1 or more")
    one = torch.empty(r, d, device="meta").numel() + torch.empty(d, r, device="meta").numel()
    return float(one * num_matrices)


# %% [markdown]
# ## 7.6 The order of an adaptation

# %% exercise="7.6" wrong="freezes the adapters with the rest"
ex_7_6 = ["init", "freeze", "train", "merge", "deploy"]

# %% exercise="7.6" wrong="merges before training"
ex_7_6 = ["freeze", "init", "merge", "train", "deploy"]

# %% exercise="7.6" wrong="freezes after training"
ex_7_6 = ["init", "train", "freeze", "merge", "deploy"]

# %% exercise="7.6" wrong="merges after deployment"
ex_7_6 = ["freeze", "init", "train", "deploy", "merge"]

# %% exercise="7.6" wrong="leaves a step out"
ex_7_6 = ["freeze", "init", "train", "merge"]

# %% exercise="7.6" right="a list"
ex_7_6 = ["freeze", "init", "train", "merge", "deploy"]

# %% exercise="7.6" right="a tuple with capitals"
ex_7_6 = ("Freeze", "Init", "Train", "Merge", "Deploy")

# %% [markdown]
# ## L7.7 truncated_svd


# %% exercise="L7.7" wrong="forgets the singular values" likely=true
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return u[:, :r], vt[:r]


# %% exercise="L7.7" wrong="singular values in both factors" likely=true
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return u[:, :r] * s[:r], s[:r, None] * vt[:r]


# %% exercise="L7.7" wrong="keeps the smallest"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return u[:, -r:] * s[-r:], vt[-r:]


# %% exercise="L7.7" wrong="rows of u for its columns" likely=true
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w)
    return (u[:r] * s[:r, None]).T, vt[:r]


# %% exercise="L7.7" wrong="columns of vt for its rows" likely=true
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w)
    return u[:, :r] * s[:r], vt[:, :r].T


# %% exercise="L7.7" wrong="v not transposed" likely=true
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return u[:, :r] * s[:r], vt[:r].T


# %% exercise="L7.7" wrong="returns the product"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return u[:, :r] * s[:r] @ vt[:r]


# %% exercise="L7.7" wrong="returns u, s and vt"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return u[:, :r], s[:r], vt[:r]


# %% exercise="L7.7" wrong="one piece too few"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    s[r - 1 :] = 0
    return u[:, :r] * s[:r], vt[:r]


# %% exercise="L7.7" wrong="the first columns instead of the best"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u = np.array(w[:, :r], dtype=float)
    return u, np.linalg.lstsq(u, w, rcond=None)[0]


# %% exercise="L7.7" wrong="centres the columns first, as principal components do"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w - np.mean(w, 0), full_matrices=False)
    return u[:, :r] * s[:r], vt[:r]


# %% exercise="L7.7" wrong="deflates its input"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    us, vs = [], []
    for _ in range(r):
        u, s, vt = np.linalg.svd(w, full_matrices=False)
        us.append(u[:, 0] * s[0])
        vs.append(vt[0])
        w[...] = w - np.outer(us[-1], vs[-1])
    return np.stack(us, 1), np.stack(vs)


# %% exercise="L7.7" wrong="takes any rank"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return u[:, :r] * s[:r], vt[:r]


# %% exercise="L7.7" wrong="an error that names no argument"
def truncated_svd(w, r):
    if np.ndim(w) != 2 or not 1 <= r <= min(w.shape):
        raise ValueError("bad size")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return u[:, :r] * s[:r], vt[:r]


# %% exercise="L7.7" wrong="drops singular values below a millionth"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    s[s < 1e-6] = 0
    return u[:, :r] * s[:r], vt[:r]


# %% exercise="L7.7" wrong="compares r with the rows only"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= w.shape[0]:
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return u[:, :r] * s[:r], vt[:r]


# %% exercise="L7.7" wrong="compares r with the columns only"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= w.shape[1]:
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return u[:, :r] * s[:r], vt[:r]


# %% exercise="L7.7" wrong="divides by singular values that are 0"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    _, s, vt = np.linalg.svd(w, full_matrices=False)
    with np.errstate(all="ignore"):
        u = w @ vt.T / s
    return u[:, :r] * s[:r], vt[:r]


# %% exercise="L7.7" wrong="works in the integers' own type"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return (u[:, :r] * s[:r]).astype(w.dtype), vt[:r].astype(w.dtype)


# %% exercise="L7.7" wrong="a stack of matrices passes"
def truncated_svd(w, r):
    if np.ndim(w) < 2:
        raise ValueError("w")
    if not 1 <= r <= min(w.shape):
        raise ValueError("r")
    u, s, vt = np.linalg.svd(w, full_matrices=False)
    return (u * s[..., None, :])[..., :r], vt[..., :r, :]


# %% exercise="L7.7" right="roots of the singular values in both"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError(f"w has {np.ndim(w)} dimensions, not 2")
    if r < 1 or r > min(w.shape):
        raise ValueError(f"r = {r} does not fit {w.shape}")
    u, s, vt = np.linalg.svd(w)
    root = np.diag(np.sqrt(s[:r]))
    return u[:, :r] @ root, root @ vt[:r, :]


# %% exercise="L7.7" right="torch"
def truncated_svd(w, r):
    if len(w.shape) != 2:
        raise ValueError("w is no matrix")
    if r not in range(1, min(w.shape) + 1):
        raise ValueError("r out of range")
    u, s, vh = torch.linalg.svd(torch.as_tensor(w, dtype=torch.float32), full_matrices=False)
    return u[:, :r], torch.diag(s[:r]) @ vh[:r]


# %% exercise="L7.7" right="SciPy, with the values in v"
def truncated_svd(w, r):
    import scipy.linalg

    w = np.array(w, dtype=np.float64)
    if w.ndim != 2:
        raise ValueError(f"w is of shape {w.shape}")
    if r < 1 or r > min(w.shape):
        raise ValueError(f"r = {r} is not in 1 to {min(w.shape)}")
    u, s, vt = scipy.linalg.svd(w, full_matrices=False, overwrite_a=True)
    return u[:, :r].tolist(), (s[:r, None] * vt[:r]).tolist()


# %% exercise="L7.7" right="eigenvectors of w w^T"
def truncated_svd(w, r):
    w = np.array(w, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if not 0 < r <= min(w.shape):
        raise ValueError("r")
    _, vectors = np.linalg.eigh(w @ w.T)
    u = vectors[:, ::-1][:, :r]
    return u, u.T @ w


# %% exercise="L7.7" right="piece by piece, from a copy"
def truncated_svd(w, r):
    if np.ndim(w) != 2:
        raise ValueError("w must be two-dimensional")
    if not 1 <= r <= min(np.shape(w)):
        raise ValueError("r must be between 1 and min(m, n)")
    rest = np.array(w, dtype=float)
    u, v = np.zeros((rest.shape[0], r)), np.zeros((r, rest.shape[1]))
    for i in range(r):
        a, s, bt = np.linalg.svd(rest, full_matrices=False)
        u[:, i], v[i] = a[:, 0] * s[0], bt[0]
        rest -= np.outer(u[:, i], v[i])
    return [u, v]


# %% [markdown]
# ## L7.8 break_even_rank and energy


# %% exercise="L7.8" wrong="half of the smaller side" likely=true
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    return min(m, n) / 2


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if (s < 0).any():
        raise ValueError("singular_values")
    return (s[:r] ** 2).sum() / (s**2).sum() if s.any() else 1.0


# %% exercise="L7.8" wrong="whole ranks only" likely=true
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    return m * n // (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if (s < 0).any():
        raise ValueError("singular_values")
    return (s[:r] ** 2).sum() / (s**2).sum() if s.any() else 1.0


# %% exercise="L7.8" wrong="energy without squares" likely=true
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    return m * n / (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if (s < 0).any():
        raise ValueError("singular_values")
    return s[:r].sum() / s.sum() if s.any() else 1.0


# %% exercise="L7.8" wrong="energy in percent"
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    return m * n / (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if (s < 0).any():
        raise ValueError("singular_values")
    return 100 * (s[:r] ** 2).sum() / (s**2).sum() if s.any() else 100.0


# %% exercise="L7.8" wrong="norms instead of energy" likely=true
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    return m * n / (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if (s < 0).any():
        raise ValueError("singular_values")
    return np.linalg.norm(s[:r]) / np.linalg.norm(s) if s.any() else 1.0


# %% exercise="L7.8" wrong="the r-th value alone"
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    return m * n / (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if (s < 0).any():
        raise ValueError("singular_values")
    return s[r - 1] ** 2 / (s**2).sum() if s.any() else 1.0


# %% exercise="L7.8" wrong="energy that is lost"
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    return m * n / (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if (s < 0).any():
        raise ValueError("singular_values")
    return (s[r:] ** 2).sum() / (s**2).sum() if s.any() else 0.0


# %% exercise="L7.8" wrong="0/0 for a matrix of zeros"
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    return m * n / (m + n)


def energy(singular_values, r):
    s = [float(value) for value in singular_values]
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if min(s) < 0:
        raise ValueError("singular_values")
    return sum(value**2 for value in s[:r]) / sum(value**2 for value in s)


# %% exercise="L7.8" wrong="writes the squares into its input"
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    return m * n / (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values)
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if (s < 0).any():
        raise ValueError("singular_values")
    s *= s
    return s[:r].sum() / s.sum() if s.any() else 1.0


# %% exercise="L7.8" wrong="accepts nonsense"
def break_even_rank(m, n):
    return m * n / (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    return (s[:r] ** 2).sum() / (s**2).sum() if s.any() else 1.0


# %% exercise="L7.8" wrong="errors that name no argument"
def break_even_rank(m, n):
    if m < 1 or n < 1:
        raise ValueError("too little")
    return m * n / (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    if not 1 <= r <= len(s) or (s < 0).any():
        raise ValueError("too little")
    return (s[:r] ** 2).sum() / (s**2).sum() if s.any() else 1.0


# %% exercise="L7.8" wrong="overflows in 32 bits"
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    with np.errstate(over="ignore"):
        return np.int32(m) * np.int32(n) / (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if (s < 0).any():
        raise ValueError("singular_values")
    return (s[:r] ** 2).sum() / (s**2).sum() if s.any() else 1.0


# %% exercise="L7.8" wrong="checks the product, where two negatives cancel"
def break_even_rank(m, n):
    if m * n < 1:
        raise ValueError("m and n must be at least 1")
    return m * n / (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if (s < 0).any():
        raise ValueError("singular_values")
    return (s[:r] ** 2).sum() / (s**2).sum() if s.any() else 1.0


# %% exercise="L7.8" wrong="takes small singular values for zeros"
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    return m * n / (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if (s < 0).any():
        raise ValueError("singular_values")
    return 1.0 if np.allclose(s, 0) else (s[:r] ** 2).sum() / (s**2).sum()


# %% exercise="L7.8" wrong="1 for zeros, whatever r is"
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    return m * n / (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    if not s.any():
        return 1.0
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if (s < 0).any():
        raise ValueError("singular_values")
    return (s[:r] ** 2).sum() / (s**2).sum()


# %% exercise="L7.8" wrong="looks at the last value only for a sign"
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    return m * n / (m + n)


def energy(singular_values, r):
    s = np.asarray(singular_values, dtype=float)
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if s[-1] < 0:
        raise ValueError("singular_values")
    return (s[:r] ** 2).sum() / (s**2).sum() if s.any() else 1.0


# %% exercise="L7.8" right="NumPy"
def break_even_rank(m, n):
    if m < 1:
        raise ValueError(f"m must be at least 1, got {m}")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    return np.true_divide(m * n, m + n)


def energy(singular_values, r):
    s = np.array(singular_values, dtype=float)
    if r < 1 or r > s.size:
        raise ValueError(f"r is {r}")
    if np.any(s < 0):
        raise ValueError("singular_values are never negative")
    if not s.any():
        return 1
    return np.dot(s[:r], s[:r]) / np.dot(s, s)


# %% exercise="L7.8" right="plain Python"
def break_even_rank(m, n):
    if m <= 0:
        raise ValueError("m must be positive")
    if n <= 0:
        raise ValueError("n must be positive")
    return 1 / (1 / m + 1 / n)


def energy(singular_values, r):
    values = [float(s) for s in singular_values]
    if not 0 < r <= len(values):
        raise ValueError("r must be between 1 and the number of singular values")
    if min(values) < 0:
        raise ValueError("singular_values must be 0 or more")
    kept = lost = 0.0
    for i, s in enumerate(values):
        if i < r:
            kept += s * s
        else:
            lost += s * s
    return kept / (kept + lost) if kept + lost > 0 else 1.0


# %% exercise="L7.8" right="cumulative sums in torch"
def break_even_rank(m, n):
    if m < 1:
        raise ValueError("m")
    if n < 1:
        raise ValueError("n")
    return (m * n) / (m + n)


def energy(singular_values, r):
    s = torch.tensor(singular_values, dtype=torch.float64)
    if not 1 <= r <= len(s):
        raise ValueError("r")
    if s.min() < 0:
        raise ValueError("singular_values")
    sums = s.square().cumsum(0)
    return torch.ones(()) if sums[-1] == 0 else sums[r - 1] / sums[-1]


# %% [markdown]
# ## L7.9 LoRALinear


# %% exercise="L7.9" wrong="forgets alpha / r" likely=true
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = 1.0

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="scales by alpha alone" likely=true
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="scales by r / alpha"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = r / alpha

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="scales by alpha over the root of r"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r**0.5

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="B random as well" likely=true
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.randn(linear.out_features, r) / r)
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="A zero and B random"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.zeros(r, linear.in_features))
        self.B = torch.nn.Parameter(torch.randn(linear.out_features, r) / r)
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="both zero"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.zeros(r, linear.in_features))
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="A of ones, so that all its rows learn the same"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.ones(r, linear.in_features))
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="the base is not frozen" likely=true
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="freezes the weight and not the bias" likely=true
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear
        linear.weight.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="A and B are plain tensors, so an optimizer does not see them"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = (torch.randn(r, linear.in_features) / linear.in_features**0.5).requires_grad_()
        self.B = torch.zeros(linear.out_features, r).requires_grad_()
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="trains B only"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5, requires_grad=False)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="freezes itself after A and B are there"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r
        self.requires_grad_(False)

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="A and B exchanged: x A B with B zero"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(linear.in_features, r) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(r, linear.out_features))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A @ self.B)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * (self.A.detach() @ self.B.detach()).T
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="the change without the base"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="forgets the bias in the forward pass"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return x @ self.linear.weight.T + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="the change passes no gradient"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.detach().T @ self.B.detach().T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="no gradient reaches the layers before"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x.detach() @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="merge forgets the scale" likely=true
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="merge forgets the bias" likely=true
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, bias=False)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        return merged


# %% exercise="L7.9" wrong="merge leaves a random bias" likely=true
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        return merged


# %% exercise="L7.9" wrong="merge returns the base"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight.clone()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="merge adds A^T B^T, which fits only square layers"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.A.detach().T @ self.B.detach().T
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="merge works on the base, so the change counts twice"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = self.linear
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="merge returns a matrix"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged.weight.detach()


# %% exercise="L7.9" wrong="fails without a bias"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="accepts nonsense"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        r, alpha = max(r, 1), abs(alpha)
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="an error that names no argument"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("too small")
        if alpha <= 0:
            raise ValueError("too small")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="hides the base from the parameters and does not freeze it"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.hidden = [linear]
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    @property
    def linear(self):
        return self.hidden[0]

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight.detach() + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="keeps its first merged weight for evaluation"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r
        self.kept = None

    def forward(self, x):
        if self.training:
            return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)
        if self.kept is None:
            self.kept = self.linear.weight + self.scale * (self.B @ self.A).detach()
        return torch.nn.functional.linear(x, self.kept, self.linear.bias)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight.detach() + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="alpha close to 0 from below passes"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha == 0 or round(alpha, 3) < 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight.detach() + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" wrong="merge into a shallow copy, which shares its parameters' table"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        import copy

        merged = copy.copy(self.linear)
        merged.weight = torch.nn.Parameter(self.linear.weight + self.scale * self.B.detach() @ self.A.detach())
        return merged


# %% exercise="L7.9" wrong="divides by r as a whole number"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha // r if isinstance(alpha, int) else alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight.detach() + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" right="a module around the layer"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        self.linear = linear.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.randn(r, linear.in_features) / linear.in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.scale = alpha / r

    def forward(self, x):
        return self.linear(x) + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.linear.in_features, self.linear.out_features, self.linear.bias is not None)
        merged.weight.data = self.linear.weight + self.scale * self.B.detach() @ self.A.detach()
        if self.linear.bias is not None:
            merged.bias.data = self.linear.bias.detach().clone()
        return merged


# %% exercise="L7.9" right="copies of weight and bias in buffers"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        if r < 1:
            raise ValueError(f"r = {r}")
        if not alpha > 0:
            raise ValueError(f"alpha = {alpha}")
        super().__init__()
        self.register_buffer("weight", linear.weight.detach().clone())
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        out_features, in_features = self.weight.shape
        self.A = torch.nn.Parameter(torch.empty(r, in_features))
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        torch.nn.init.kaiming_uniform_(self.A, a=5**0.5)
        self.r, self.alpha = r, alpha

    def forward(self, x):
        f = torch.nn.functional.linear
        return f(x, self.weight, self.bias) + self.alpha / self.r * f(f(x, self.A), self.B)

    @torch.no_grad()
    def merge(self):
        linear = torch.nn.Linear(self.A.shape[1], self.B.shape[0], bias=self.bias is not None)
        linear.weight.copy_(self.weight + self.alpha / self.r * torch.mm(self.B, self.A))
        if self.bias is not None:
            linear.bias.copy_(self.bias)
        return linear


# %% exercise="L7.9" right="the factors as layers without bias"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r below 1")
        if alpha <= 0:
            raise ValueError("alpha not above 0")
        linear.weight.requires_grad = False
        if linear.bias is not None:
            linear.bias.requires_grad = False
        self.add_module("base", linear)
        self.A = torch.nn.Parameter(torch.nn.init.normal_(torch.empty(r, linear.in_features), std=0.1))
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.factor = float(alpha) / r

    def change(self):
        return self.factor * torch.einsum("or,ri->oi", self.B, self.A)

    def forward(self, x):
        return self.base(x) + x @ self.change().T

    def merge(self):
        kind = {"bias": self.base.bias is not None, "dtype": self.base.weight.dtype}
        merged = torch.nn.Linear(self.base.in_features, self.base.out_features, **kind)
        merged.load_state_dict(self.base.state_dict())
        with torch.no_grad():
            merged.weight += self.change()
        return merged


# %% exercise="L7.9" right="one matrix in every forward pass"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r <= 0:
            raise ValueError("r must be positive")
        if alpha <= 0:
            raise ValueError("alpha must be positive")
        self.base = linear
        for parameter in self.base.parameters():
            parameter.requires_grad = False
        self.A = torch.nn.Parameter(0.02 * torch.randn(r, linear.weight.size(1)))
        self.B = torch.nn.Parameter(torch.zeros(linear.weight.size(0), r))
        self.factor = alpha / r

    def weight(self):
        return self.base.weight + self.factor * (self.B @ self.A)

    def forward(self, x):
        return torch.nn.functional.linear(x, self.weight(), self.base.bias)

    def merge(self):
        import copy

        merged = copy.deepcopy(self.base)
        merged.weight = torch.nn.Parameter(self.weight().detach())
        return merged


# %% exercise="L7.9" right="a sum over the rank"
class LoRALinear(torch.nn.Module):
    def __init__(self, linear, r, alpha):
        super().__init__()
        if r < 1:
            raise ValueError("r is too small")
        if alpha <= 0:
            raise ValueError("alpha is too small")
        import copy

        self.frozen = copy.deepcopy(linear)
        self.frozen.requires_grad_(False)
        self.A = torch.nn.Parameter(torch.rand(r, linear.in_features) - 0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.alpha, self.r = float(alpha), int(r)

    def forward(self, x):
        y = self.frozen(x)
        for i in range(self.r):
            y = y + self.alpha / self.r * (x * self.A[i]).sum(-1, keepdim=True) * self.B[:, i]
        return y

    def merge(self):
        has_bias = self.frozen.bias is not None
        merged = torch.nn.Linear(self.frozen.in_features, self.frozen.out_features, bias=has_bias)
        state = {"weight": self.frozen.weight.clone()}
        for i in range(self.r):
            state["weight"] += self.alpha / self.r * torch.outer(self.B[:, i].detach(), self.A[i].detach())
        if has_bias:
            state["bias"] = self.frozen.bias
        merged.load_state_dict(state)
        return merged
