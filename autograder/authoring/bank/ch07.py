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


# %% [markdown]
# ## L7.10 QLoRALinear


# %% exercise="L7.10" wrong="computes with the weights and stores the codes beside them" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r
        self.linear = linear.requires_grad_(False)

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = self.linear(x)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="keeps the linear layer in a list, where state_dict does not see it" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r
        self.base = [linear]

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="keeps the dequantized matrix as a buffer" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r
        self.register_buffer("weight", self.dequantize())

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="keeps the dequantized matrix from the first use on"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r
        self.cache = None

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        if self.cache is None:
            self.cache = self.dequantize()
        y = torch.nn.functional.linear(x, self.cache, self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="stores the codes as floats" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="codes and scales are parameters, so they train" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.codes = torch.nn.Parameter(codes.reshape(out_features, in_features))
        self.scales = torch.nn.Parameter(scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="the scales train" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.scales = torch.nn.Parameter(scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="the bias trains" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.bias = linear.bias
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="buffers that are left out of the state_dict"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8), persistent=False)
        self.register_buffer("scales", scales, persistent=False)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="the largest value instead of the largest magnitude" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="divides by 2 to the power bits, less 1" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2**bits - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="one scale for each row" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = (w.abs().amax((1, 2)) / (2 ** (bits - 1) - 1))[:, None].repeat(1, w.shape[1])
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="groups of inputs that stand apart" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, group_size, -1).transpose(1, 2)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.transpose(1, 2).reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat(1, self.group_size)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="groups along the output axis"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().T.reshape(in_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(in_features, out_features).T.to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return (self.codes.T * self.scales.repeat_interleave(self.group_size, dim=1)).T

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="cuts codes off instead of rounding" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.trunc(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="affine codes with a zero-point" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        lo, hi = w.amin(-1).clamp(max=0), w.amax(-1).clamp(min=0)
        scales = (hi - lo) / (2**bits - 1)
        scales[scales == 0] = 1
        zeros = torch.round(-lo / scales)
        codes = torch.round(w / scales[..., None]) + zeros[..., None]
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("zeros", zeros)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return (self.codes - self.zeros.repeat_interleave(self.group_size, dim=1)) * self.scales.repeat_interleave(
            self.group_size, dim=1
        )

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="a fixed number keeps the scale from 0"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales = scales + 1e-5
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="unsigned codes lose their sign"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.uint8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="forgets alpha / r" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, 1.0

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="B random as well" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.randn(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="both zero"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.zeros(r, in_features))
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="B holds what rounding lost, so the start is not the dequantized layer"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        lost = linear.weight.detach() - (codes * scales[..., None]).reshape(out_features, in_features)
        u, s, vt = torch.linalg.svd(lost, full_matrices=False)
        self.A = torch.nn.Parameter(vt[:r].clone())
        self.B = torch.nn.Parameter(u[:, :r] * s[:r] * r / alpha)
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="rounds the sum again in every forward pass"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        with torch.no_grad():
            w = self.merge().weight
            q = self.scales.repeat_interleave(self.group_size, dim=1)
        return torch.nn.functional.linear(x, torch.round(w / q) * q, self.bias)
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="no gradient passes through the dequantized matrix to x" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        with torch.no_grad():
            y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="forgets the bias in the forward pass" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize())
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="merge forgets alpha / r" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="merge returns the dequantized matrix alone" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = self.dequantize()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="merge forgets the bias" likely=true
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=False)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        return merged


# %% exercise="L7.10" wrong="merge puts the sum into the codes, so the module changes"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        self.codes = torch.round(merged.weight.data / self.scales.repeat_interleave(self.group_size, dim=1)).to(
            torch.int8
        )
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="quantizes linear in place"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        linear.weight.data.copy_((codes * scales[..., None]).reshape(out_features, in_features))
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="fails without a bias"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="accepts nonsense"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" wrong="an error that names no argument"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("not a usable width")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("the size must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" right="groups by reshape, scales repeated"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        out_features, in_features = linear.weight.shape
        if bits < 2 or bits > 8:
            raise ValueError("bits must be from 2 to 8")
        if group_size < 1 or in_features % group_size:
            raise ValueError("group_size must divide the inputs")
        if r < 1:
            raise ValueError("r must be at least 1")
        if alpha <= 0:
            raise ValueError("alpha must be above 0")
        w = linear.weight.detach().reshape(out_features, -1, group_size)
        scales = w.abs().amax(-1) / (2 ** (bits - 1) - 1)
        scales[scales == 0] = 1
        codes = torch.round(w / scales[..., None])
        self.register_buffer("codes", codes.reshape(out_features, in_features).to(torch.int8))
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.randn(r, in_features) / in_features**0.5)
        self.B = torch.nn.Parameter(torch.zeros(out_features, r))
        self.group_size, self.scale = group_size, alpha / r

    def dequantize(self):
        return self.codes * self.scales.repeat_interleave(self.group_size, dim=1)

    def forward(self, x):
        y = torch.nn.functional.linear(x, self.dequantize(), self.bias)
        return y + self.scale * (x @ self.A.T @ self.B.T)

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        merged.weight.data = (self.dequantize() + self.scale * self.B @ self.A).detach()
        if self.bias is not None:
            merged.bias.data = self.bias.clone()
        return merged


# %% exercise="L7.10" right="the frozen bias as a parameter, 32-bit codes, low-rank part as layers"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        if not 2 <= bits <= 8:
            raise ValueError(f"bits = {bits}")
        if group_size <= 0 or linear.in_features % group_size != 0:
            raise ValueError(f"group_size = {group_size}")
        if not r >= 1:
            raise ValueError(f"r = {r}")
        if not alpha > 0:
            raise ValueError(f"alpha = {alpha}")
        super().__init__()
        top = 2 ** (bits - 1) - 1
        with torch.no_grad():
            parts = linear.weight.split(group_size, dim=1)
            steps = [part.abs().max(dim=1, keepdim=True).values.clamp(min=1e-30) / top for part in parts]
            codes = [(part / step).round().clamp(-top, top).int() for part, step in zip(parts, steps)]
        self.register_buffer("codes", torch.cat(codes, dim=1))
        self.register_buffer("scales", torch.cat(steps, dim=1))
        self.bias = None if linear.bias is None else torch.nn.Parameter(linear.bias.detach().clone(), False)
        self.A = torch.nn.Parameter(torch.empty(r, linear.in_features))
        torch.nn.init.kaiming_uniform_(self.A, a=5**0.5)
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.group_size, self.r, self.alpha = group_size, r, alpha

    def dequantize(self):
        parts = self.codes.split(self.group_size, dim=1)
        return torch.cat([part * self.scales[:, i : i + 1] for i, part in enumerate(parts)], dim=1)

    def forward(self, x):
        f = torch.nn.functional.linear
        return f(x, self.dequantize(), self.bias) + self.alpha / self.r * f(f(x, self.A), self.B)

    @torch.no_grad()
    def merge(self):
        out_features, in_features = self.codes.shape
        linear = torch.nn.Linear(in_features, out_features, bias=self.bias is not None)
        linear.weight.copy_(self.dequantize() + self.alpha / self.r * torch.mm(self.B, self.A))
        if self.bias is not None:
            linear.bias.copy_(self.bias)
        return linear


# %% exercise="L7.10" right="NumPy, one weight after the other"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        weight = linear.weight.detach().double().numpy()
        rows, columns = weight.shape
        if bits not in range(2, 9):
            raise ValueError("bits")
        if group_size < 1 or columns // group_size * group_size != columns:
            raise ValueError("group_size")
        if r < 1:
            raise ValueError("r")
        if alpha <= 0:
            raise ValueError("alpha")
        codes = np.zeros((rows, columns), np.int64)
        scales = np.zeros((rows, columns // group_size))
        for i in range(rows):
            for g in range(columns // group_size):
                place = slice(g * group_size, (g + 1) * group_size)
                scales[i, g] = max(abs(value) for value in weight[i, place]) / (2 ** (bits - 1) - 1)
                if scales[i, g]:
                    codes[i, place] = [round(value / scales[i, g]) for value in weight[i, place]]
        self.register_buffer("codes", torch.from_numpy(codes))
        self.register_buffer("scales", torch.from_numpy(scales).float())
        if linear.bias is None:
            self.bias = None
        else:
            self.register_buffer("bias", linear.bias.detach().clone())
        self.A = torch.nn.Parameter(torch.rand(r, columns) - 0.5)
        self.B = torch.nn.Parameter(torch.zeros(rows, r))
        self.factor, self.n = alpha / r, group_size

    def dequantize(self):
        w = torch.zeros(self.codes.shape)
        for j in range(self.codes.shape[1]):
            w[:, j] = self.codes[:, j] * self.scales[:, j // self.n]
        return w

    def whole(self):
        return self.dequantize() + self.factor * torch.einsum("or,ri->oi", self.B, self.A)

    def forward(self, x):
        y = x @ self.whole().T
        return y if self.bias is None else y + self.bias

    def merge(self):
        merged = torch.nn.Linear(self.codes.shape[1], self.codes.shape[0], bias=self.bias is not None)
        state = {"weight": self.whole().detach()}
        if self.bias is not None:
            state["bias"] = self.bias
        merged.load_state_dict(state)
        return merged


# %% exercise="L7.10" right="block by block, without ever building the matrix"
class QLoRALinear(torch.nn.Module):
    def __init__(self, linear, bits, group_size, r, alpha):
        super().__init__()
        if bits < 2 or bits > 8:
            raise ValueError("bits is out of range")
        if group_size < 1 or linear.in_features % group_size:
            raise ValueError("group_size does not divide linear.in_features")
        if r < 1:
            raise ValueError("r is too small")
        if not alpha > 0:
            raise ValueError("alpha is too small")
        w = linear.weight.data.unflatten(1, (-1, group_size))
        top = 2 ** (bits - 1) - 1
        largest = w.abs().amax(2)
        scales = torch.where(largest > 0, largest / top, torch.ones_like(largest))
        self.register_buffer(
            "codes", torch.bucketize(w / scales[:, :, None], torch.arange(-top, top) + 0.5).flatten(1).short() - top
        )
        self.register_buffer("scales", scales)
        self.register_parameter("bias", None)
        if linear.bias is not None:
            self.bias = torch.nn.Parameter(linear.bias.data.clone(), requires_grad=False)
        self.A = torch.nn.Parameter(0.02 * torch.randn(r, linear.in_features))
        self.B = torch.nn.Parameter(torch.zeros(linear.out_features, r))
        self.alpha = alpha

    def dequantize(self):
        return (self.codes.unflatten(1, (self.scales.shape[1], -1)) * self.scales.unsqueeze(2)).flatten(1)

    def forward(self, x):
        rank = len(self.A)
        size = self.codes.shape[1] // self.scales.shape[1]
        y = self.alpha / rank * ((x @ self.A.T) @ self.B.T)
        for group in range(self.scales.shape[1]):
            place = slice(group * size, (group + 1) * size)
            y = y + (x[..., place] @ self.codes[:, place].float().T) * self.scales[:, group]
        return y if self.bias is None else y + self.bias

    def merge(self):
        merged = torch.nn.Linear(*self.codes.shape[::-1], bias=self.bias is not None)
        with torch.no_grad():
            merged.weight[:] = self.dequantize() + self.alpha / len(self.A) * self.B @ self.A
            if self.bias is not None:
                merged.bias[:] = self.bias
        return merged


# %% [markdown]
# ## L7.11 Bits per weight of double quantization

# %% exercise="L7.11" wrong="leaves out the scales of the scales"
ex_L7_11 = 8 / 64

# %% exercise="L7.11" wrong="FP16 for the scales of the scales"
ex_L7_11 = 8 / 64 + 16 / (64 * 256)

# %% exercise="L7.11" wrong="8 bits for the scales of the scales"
ex_L7_11 = 8 / 64 + 8 / (64 * 256)

# %% exercise="L7.11" wrong="blocks of 256 weights instead of 256 scales"
ex_L7_11 = 8 / 64 + 32 / 256

# %% exercise="L7.11" wrong="FP32 and 8 bits exchanged"
ex_L7_11 = 32 / 64 + 8 / (64 * 256)

# %% exercise="L7.11" wrong="before the scales are quantized"
ex_L7_11 = 0.5

# %% exercise="L7.11" wrong="adds the second kind to FP32 scales"
ex_L7_11 = 0.627

# %% exercise="L7.11" wrong="what is saved"
ex_L7_11 = 0.373

# %% exercise="L7.11" wrong="with the codes of the weights"
ex_L7_11 = 4.127

# %% exercise="L7.11" wrong="in bytes"
ex_L7_11 = 0.0159

# %% exercise="L7.11" wrong="cut off after two digits"
ex_L7_11 = 0.12

# %% exercise="L7.11" wrong="no answer"
ex_L7_11 = None

# %% exercise="L7.11" right="three digits"
ex_L7_11 = 0.127

# %% exercise="L7.11" right="computed, block by block"
block_of_scales = 256 * 8 + 32
ex_L7_11 = block_of_scales / (256 * 64)

# %% exercise="L7.11" right="text that reads as a number"
ex_L7_11 = "0.12695"
