# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# ## 9.1 Ratios multiply

# %% exercise="9.1" wrong="adds the ratios"
ex_9_1 = 2 + 4

# %% exercise="9.1" wrong="the size, not the ratio"
ex_9_1 = 3.25

# %% exercise="9.1" wrong="the share that is left"
ex_9_1 = 1 / 8

# %% exercise="9.1" wrong="quantization alone"
ex_9_1 = 4

# %% exercise="9.1" right="a number"
ex_9_1 = 8.0

# %% exercise="9.1" right="computed"
ex_9_1 = 26 / 3.25

# %% [markdown]
# ## 9.2 The order

# %% exercise="9.2" wrong="fine-tuning repairs both"
ex_9_2 = "A"

# %% exercise="9.2" wrong="fine-tunes before there is damage"
ex_9_2 = "C"

# %% exercise="9.2" wrong="the order does not matter"
ex_9_2 = "D"

# %% exercise="9.2" right="the letter"
ex_9_2 = "B"

# %% exercise="9.2" right="small letter"
ex_9_2 = "b"

# %% [markdown]
# ## 9.3 The student's time

# %% exercise="9.3" wrong="parameters only"
ex_9_3 = 10

# %% exercise="9.3" wrong="bits only"
ex_9_3 = 50

# %% exercise="9.3" wrong="the ratio"
ex_9_3 = 20

# %% exercise="9.3" wrong="in seconds"
ex_9_3 = 0.005

# %% exercise="9.3" right="a number"
ex_9_3 = 5

# %% exercise="9.3" right="by bandwidth"
ex_9_3 = 7 / (140 / 100)

# %% [markdown]
# ## 9.4 compressed_size_gb


# %% exercise="9.4" wrong="keeps the pruned share" likely=true
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError("params")
    if not 0 <= prune_fraction <= 1:
        raise ValueError("prune_fraction")
    if not 1 <= quant_bits <= original_bits:
        raise ValueError("original_bits, quant_bits")
    return params * prune_fraction * quant_bits / 8 / 1e9


# %% exercise="9.4" wrong="a factor of the original bits too many"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError("params")
    if not 0 <= prune_fraction <= 1:
        raise ValueError("prune_fraction")
    if not 1 <= quant_bits <= original_bits:
        raise ValueError("original_bits, quant_bits")
    return params * (1 - prune_fraction) * quant_bits / original_bits / 1e9


# %% exercise="9.4" wrong="GiB"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError("params")
    if not 0 <= prune_fraction <= 1:
        raise ValueError("prune_fraction")
    if not 1 <= quant_bits <= original_bits:
        raise ValueError("original_bits, quant_bits")
    return params * (1 - prune_fraction) * quant_bits / 8 / 2**30


# %% exercise="9.4" wrong="gigabits" likely=true
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError("params")
    if not 0 <= prune_fraction <= 1:
        raise ValueError("prune_fraction")
    if not 1 <= quant_bits <= original_bits:
        raise ValueError("original_bits, quant_bits")
    return params * (1 - prune_fraction) * quant_bits / 1e9


# %% exercise="9.4" wrong="takes both shares off one after the other" likely=true
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError("params")
    if not 0 <= prune_fraction <= 1:
        raise ValueError("prune_fraction")
    if not 1 <= quant_bits <= original_bits:
        raise ValueError("original_bits, quant_bits")
    return params * original_bits / 8e9 * max(0, 1 - prune_fraction - (1 - quant_bits / original_bits))


# %% exercise="9.4" wrong="refuses to prune everything"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError("params")
    if not 0 <= prune_fraction < 1:
        raise ValueError("prune_fraction")
    if not 1 <= quant_bits <= original_bits:
        raise ValueError("original_bits, quant_bits")
    return params * (1 - prune_fraction) * quant_bits / 8e9


# %% exercise="9.4" wrong="accepts more bits than before"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError("params")
    if not 0 <= prune_fraction <= 1:
        raise ValueError("prune_fraction")
    if quant_bits < 1 or original_bits < 1:
        raise ValueError("original_bits, quant_bits")
    return params * (1 - prune_fraction) * quant_bits / 8e9


# %% exercise="9.4" wrong="accepts nonsense"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    return params * (1 - prune_fraction) * quant_bits / 8e9


# %% exercise="9.4" wrong="accepts bits below one"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError("params")
    if not 0 <= prune_fraction <= 1:
        raise ValueError("prune_fraction")
    if not 0 < quant_bits <= original_bits:
        raise ValueError("original_bits, quant_bits")
    return params * (1 - prune_fraction) * quant_bits / 8e9


# %% exercise="9.4" wrong="knows whole bits only"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError("params")
    if not 0 <= prune_fraction <= 1:
        raise ValueError("prune_fraction")
    if not 1 <= quant_bits <= original_bits:
        raise ValueError("original_bits, quant_bits")
    if quant_bits % 1:
        raise ValueError("quant_bits")
    return params * (1 - prune_fraction) * quant_bits / 8e9


# %% exercise="9.4" wrong="a tolerance on the share"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError("params")
    if not -0.01 <= prune_fraction <= 1.01:
        raise ValueError("prune_fraction")
    if not 1 <= quant_bits <= original_bits:
        raise ValueError("original_bits, quant_bits")
    return params * (1 - prune_fraction) * quant_bits / 8e9


# %% exercise="9.4" wrong="takes a share above one for a percentage"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError("params")
    if prune_fraction > 1:
        prune_fraction /= 100
    if not 0 <= prune_fraction <= 1:
        raise ValueError("prune_fraction")
    if not 1 <= quant_bits <= original_bits:
        raise ValueError("original_bits, quant_bits")
    return params * (1 - prune_fraction) * quant_bits / 8e9


# %% exercise="9.4" wrong="negative parameters count as none"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    params = max(params, 0)
    if not 0 <= prune_fraction <= 1:
        raise ValueError("prune_fraction")
    if not 1 <= quant_bits <= original_bits:
        raise ValueError("original_bits, quant_bits")
    return params * (1 - prune_fraction) * quant_bits / 8e9


# %% exercise="9.4" wrong="compares whole bits only"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError("params")
    if not 0 <= prune_fraction <= 1:
        raise ValueError("prune_fraction")
    if not 1 <= int(quant_bits) <= original_bits:
        raise ValueError("original_bits, quant_bits")
    return params * (1 - prune_fraction) * quant_bits / 8e9


# %% exercise="9.4" wrong="rounds to thousandths"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError("params")
    if not 0 <= prune_fraction <= 1:
        raise ValueError("prune_fraction")
    if not 1 <= quant_bits <= original_bits:
        raise ValueError("original_bits, quant_bits")
    return round(params * (1 - prune_fraction) * quant_bits / 8e9, 3)


# %% exercise="9.4" right="refuses what is not a number too"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if not params >= 0:
        raise ValueError("params must be at least 0")
    if not (prune_fraction >= 0 and prune_fraction <= 1):
        raise ValueError("prune_fraction must lie between 0 and 1")
    if not original_bits >= 1:
        raise ValueError("original_bits must be at least 1")
    if not original_bits >= quant_bits >= 1:
        raise ValueError(f"quant_bits must lie between 1 and {original_bits}")
    kept = params - params * prune_fraction
    return torch.tensor(kept * quant_bits / 8 / 1e9, dtype=torch.float64)


# %% exercise="9.4" right="share by share"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    if params < 0:
        raise ValueError(f"params = {params}")
    if prune_fraction < 0 or prune_fraction > 1:
        raise ValueError(f"prune_fraction = {prune_fraction}")
    if original_bits < 1:
        raise ValueError(f"original_bits = {original_bits}")
    if quant_bits < 1 or quant_bits > original_bits:
        raise ValueError(f"quant_bits = {quant_bits}")
    size = params * original_bits / 8 / 1e9
    size *= 1 - prune_fraction
    return size * (quant_bits / original_bits)


# %% exercise="9.4" right="in NumPy"
def compressed_size_gb(params, original_bits, prune_fraction, quant_bits):
    for name, bad in [
        ("params", params < 0),
        ("prune_fraction", not 0 <= prune_fraction <= 1),
        ("original_bits", original_bits < 1),
        ("quant_bits", quant_bits < 1 or quant_bits > original_bits),
    ]:
        if bad:
            raise ValueError(f"{name} makes no sense")
    return np.prod([np.float64(params), 1 - prune_fraction, quant_bits, 1 / 8, 1e-9])


# %% [markdown]
# ## 9.5 compress


# %% exercise="9.5" wrong="quantizes first, as shown" likely=true
def compress(model):
    w, x = model["weight"], model["inputs"]
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    scale = np.abs(w).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    w = np.round(w / scale) * scale
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    return small


ex_9_5_line = 3


# %% exercise="9.5" wrong="rounds last, on the grid of the original weights" likely=true
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    scale = np.abs(w).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    return np.clip(np.round(small / scale), -7, 7) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="prunes, quantizes, fine-tunes"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    pruned = np.zeros_like(w)
    np.put_along_axis(pruned, kept, np.take_along_axis(w, kept, 1), 1)
    scale = np.abs(pruned).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    w_hat = np.round(pruned / scale) * scale
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w_hat[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    return small


ex_9_5_line = 3


# %% exercise="9.5" wrong="leaves the fine-tuning out"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    pruned = np.zeros_like(w)
    np.put_along_axis(pruned, kept, np.take_along_axis(w, kept, 1), 1)
    scale = np.abs(pruned).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(pruned / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="fine-tunes all weights, prunes afterwards"
def compress(model):
    w, x = np.array(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1])
    tuned = np.linalg.solve(gram + ridge, (gram + ridge) @ w.T).T
    small = np.zeros_like(w)
    np.put_along_axis(small, kept, np.take_along_axis(tuned, kept, 1), 1)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="one scale for the matrix" likely=true
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max() / 7 or 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="names the line of the pruning"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 5


# %% exercise="9.5" wrong="NaN for a row of zeros"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    with np.errstate(all="ignore"):
        return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="works on the model's own weights"
def compress(model):
    w, x = model["weight"], model["inputs"]
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        w[row] = 0
        w[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(w).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    w[:] = np.round(w / scale) * scale
    return w


ex_9_5_line = 3


# %% exercise="9.5" wrong="whole numbers in, whole numbers out"
def compress(model):
    w, x = model["weight"], np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="prunes by the rounded weights"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    coarse = np.abs(w).max(axis=1, keepdims=True) / 7
    coarse[coarse == 0] = 1
    kept = np.argsort(-np.abs(np.round(w / coarse)), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="takes inputs that lie the other way round"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        x = x.T
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="the rows of the inputs are the features"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    if len(x) == w.shape[1]:
        x = x.T
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="compares the rows of the inputs"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if w.shape[1] not in x.shape:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    x = x if x.shape[1] == w.shape[1] else x.T
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="leaves out inputs that are too many"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] < w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    x = x[:, : w.shape[1]]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="repeats one column of inputs"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] == 1:
        x = np.repeat(x, w.shape[1], axis=1)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="lambda from the kept inputs alone"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    half = np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        ridge = 0.1 * np.diag(gram)[columns].mean() * half
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="pulls the kept weights towards 0"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="without lambda"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 1e-9 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="keeps the larger half of an odd number"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : (w.shape[1] + 1) // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye((w.shape[1] + 1) // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="keeps the largest, not those of largest magnitude"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-w, axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="a floor under every scale"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale = np.maximum(scale, 1e-4)
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="leaves the scales in the model"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    model["scale"] = scale
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="writes into the model what ships"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    model["weight"] = np.round(small / scale) * scale
    return model["weight"]


ex_9_5_line = 3


# %% exercise="9.5" wrong="sixteen levels"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 8
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" wrong="names the line of the return"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs")
    kept = np.argsort(-np.abs(w), axis=1, kind="stable")[:, : w.shape[1] // 2]
    gram = x.T @ x
    ridge = 0.1 * np.diag(gram).mean() * np.eye(w.shape[1] // 2)
    small = np.zeros_like(w)
    for row, columns in enumerate(kept):
        target = gram[columns] @ w[row] + ridge @ w[row, columns]
        small[row, columns] = np.linalg.solve(gram[np.ix_(columns, columns)] + ridge, target)
    scale = np.abs(small).max(axis=1, keepdims=True) / 7
    scale[scale == 0] = 1
    return np.round(small / scale) * scale


ex_9_5_line = 11


# %% exercise="9.5" right="rows and least squares"
def compress(model):
    w, x = np.asarray(model["weight"], float), np.asarray(model["inputs"], float)
    if x.shape[1:] != w.shape[1:]:
        raise ValueError("inputs do not fit the weights")
    lam = 0.1 * np.mean(np.sum(x**2, axis=0))
    shipped = []
    for row in w:
        columns = sorted(range(len(row)), key=lambda j: -abs(row[j]))[: len(row) // 2]
        a = np.vstack([x[:, columns], np.sqrt(lam) * np.eye(len(columns))])
        b = np.concatenate([x @ row, np.sqrt(lam) * row[columns]])
        tuned = np.zeros(len(row))
        tuned[columns] = np.linalg.lstsq(a, b, rcond=None)[0]
        scale = max(abs(tuned)) / 7 or 1.0
        shipped.append([round(value / scale) * scale for value in tuned.tolist()])
    return shipped


ex_9_5_line = 3


# %% exercise="9.5" right="torch, all rows at once"
def compress(model):
    w, x = torch.as_tensor(model["weight"]).double(), torch.as_tensor(model["inputs"]).double()
    if x.shape[1] != w.shape[1]:
        raise ValueError("inputs must have a column for each weight of a row")
    kept = w.abs().topk(w.shape[1] // 2, dim=1).indices
    gram = x.T @ x
    ridge = 0.1 * gram.diagonal().mean()
    normal = gram[kept[:, :, None], kept[:, None, :]] + ridge * torch.eye(kept.shape[1])
    target = (w @ gram).gather(1, kept) + ridge * w.gather(1, kept)
    small = torch.zeros_like(w).scatter(1, kept, torch.linalg.solve(normal, target))
    scale = (small.abs().amax(1, keepdim=True) / 7).clamp(min=1e-30)
    return torch.round(small / scale) * scale


ex_9_5_line = 3


# %% exercise="9.5" right="what pruning lost, repaired in float32"
def compress(model):
    w = np.array(model["weight"], dtype=np.float32)
    x = np.array(model["inputs"], dtype=np.float32)
    out, n = w.shape
    if x.shape != (len(x), n):
        raise ValueError(f"inputs of shape {x.shape} do not fit {n} weights")
    lam = 0.1 * float((x**2).sum()) / n
    result = np.zeros((out, n), dtype=np.float32)
    for i in range(out):
        keep = np.sort(np.argsort(np.abs(w[i]), kind="stable")[n - n // 2 :])
        lost = w[i].copy()
        lost[keep] = 0
        a = x[:, keep]
        step = np.linalg.solve(a.T @ a + lam * np.eye(len(keep)), a.T @ (x @ lost))
        result[i, keep] = w[i, keep] + step
        if result[i].any():
            s = np.abs(result[i]).max() / 7
            result[i] = s * np.round(result[i] / s)
    return result


ex_9_5_line = "3"

# %% [markdown]
# ## 9.6 The steps of a project

# %% exercise="9.6" wrong="quantizes before fine-tuning"
ex_9_6 = ["profile", "prune", "quantize", "finetune", "evaluate", "deploy"]

# %% exercise="9.6" wrong="evaluates before it quantizes"
ex_9_6 = ["profile", "prune", "finetune", "evaluate", "quantize", "deploy"]

# %% exercise="9.6" wrong="fine-tunes before it prunes"
ex_9_6 = ["profile", "finetune", "prune", "quantize", "evaluate", "deploy"]

# %% exercise="9.6" wrong="does not look first"
ex_9_6 = ["prune", "profile", "finetune", "quantize", "evaluate", "deploy"]

# %% exercise="9.6" wrong="a step is missing"
ex_9_6 = ["profile", "prune", "quantize", "evaluate", "deploy"]

# %% exercise="9.6" right="as listed"
ex_9_6 = ["profile", "prune", "finetune", "quantize", "evaluate", "deploy"]

# %% exercise="9.6" right="a tuple"
ex_9_6 = ("profile", "prune", "finetune", "quantize", "evaluate", "deploy")

# %% [markdown]
# ## L9.7 layer_sensitivity


# %% exercise="L9.7" wrong="does not put the layer back" likely=true
def layer_sensitivity(model, quantize_layer, evaluate):
    before, found = evaluate(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            quantize_layer(layer)
            found[name] = evaluate(model) - before
    return found


# %% exercise="L9.7" wrong="puts the weight back, not the bias" likely=true
def layer_sensitivity(model, quantize_layer, evaluate):
    before, found = evaluate(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            weight = layer.weight.detach().clone()
            quantize_layer(layer)
            found[name] = evaluate(model) - before
            layer.weight.data.copy_(weight)
    return found


# %% exercise="L9.7" wrong="keeps a reference instead of a copy"
def layer_sensitivity(model, quantize_layer, evaluate):
    before, found = evaluate(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            kept = layer.state_dict()
            quantize_layer(layer)
            found[name] = evaluate(model) - before
            layer.load_state_dict(kept)
    return found


# %% exercise="L9.7" wrong="the loss, not its increase" likely=true
def layer_sensitivity(model, quantize_layer, evaluate):
    import copy

    found = {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            changed = copy.deepcopy(model)
            quantize_layer(changed.get_submodule(name))
            found[name] = evaluate(changed)
    return found


# %% exercise="L9.7" wrong="children only, not the layers below"
def layer_sensitivity(model, quantize_layer, evaluate):
    import copy

    before, found = evaluate(model), {}
    for name, layer in model.named_children():
        if isinstance(layer, torch.nn.Linear):
            changed = copy.deepcopy(model)
            quantize_layer(changed.get_submodule(name))
            found[name] = evaluate(changed) - before
    return found


# %% exercise="L9.7" wrong="the other way round: all layers but one"
def layer_sensitivity(model, quantize_layer, evaluate):
    import copy

    names = [name for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)]
    before, found = evaluate(model), {}
    for name in names:
        changed = copy.deepcopy(model)
        for other in names:
            if other != name:
                quantize_layer(changed.get_submodule(other))
        found[name] = evaluate(changed) - before
    return found


# %% exercise="L9.7" wrong="keyed by parameter"
def layer_sensitivity(model, quantize_layer, evaluate):
    import copy

    before, found = evaluate(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            changed = copy.deepcopy(model)
            quantize_layer(changed.get_submodule(name))
            found[name + ".weight"] = evaluate(changed) - before
    return found


# %% exercise="L9.7" wrong="keeps the weights in single precision"
def layer_sensitivity(model, quantize_layer, evaluate):
    before, found = evaluate(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            kept = {part: value.float().clone() for part, value in layer.state_dict().items()}
            quantize_layer(layer)
            found[name] = evaluate(model) - before
            layer.load_state_dict(kept)
    return found


# %% exercise="L9.7" wrong="no increase is below 0"
def layer_sensitivity(model, quantize_layer, evaluate):
    before, found = evaluate(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            kept = {part: value.clone() for part, value in layer.state_dict().items()}
            quantize_layer(layer)
            found[name] = max(evaluate(model) - before, 0.0)
            layer.load_state_dict(kept)
    return found


# %% exercise="L9.7" wrong="the size of the change alone"
def layer_sensitivity(model, quantize_layer, evaluate):
    before, found = evaluate(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            kept = {part: value.clone() for part, value in layer.state_dict().items()}
            quantize_layer(layer)
            found[name] = abs(evaluate(model) - before)
            layer.load_state_dict(kept)
    return found


# %% exercise="L9.7" wrong="the increase as a share"
def layer_sensitivity(model, quantize_layer, evaluate):
    before, found = evaluate(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            kept = {part: value.clone() for part, value in layer.state_dict().items()}
            quantize_layer(layer)
            found[name] = (evaluate(model) - before) / before
            layer.load_state_dict(kept)
    return found


# %% exercise="L9.7" wrong="layers without a bias are left out"
def layer_sensitivity(model, quantize_layer, evaluate):
    before, found = evaluate(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear) and layer.bias is not None:
            kept = {part: value.clone() for part, value in layer.state_dict().items()}
            quantize_layer(layer)
            found[name] = evaluate(model) - before
            layer.load_state_dict(kept)
    return found


# %% exercise="L9.7" wrong="puts the difference back, not the weights"
def layer_sensitivity(model, quantize_layer, evaluate):
    before, found = evaluate(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            kept = [part.detach().clone() for part in layer.parameters()]
            quantize_layer(layer)
            changes = [part.detach() - old for part, old in zip(layer.parameters(), kept)]
            found[name] = evaluate(model) - before
            for part, change in zip(layer.parameters(), changes):
                part.data -= change
    return found


# %% exercise="L9.7" wrong="forgets the last layer"
def layer_sensitivity(model, quantize_layer, evaluate):
    before, found = evaluate(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            kept = {part: value.clone() for part, value in layer.state_dict().items()}
            quantize_layer(layer)
            found[name] = evaluate(model) - before
            if len(found) < 3:
                layer.load_state_dict(kept)
    return found


# %% exercise="L9.7" wrong="remembers the loss of another model"
_before = []


def layer_sensitivity(model, quantize_layer, evaluate):
    if not _before:
        _before.append(evaluate(model))
    before, found = _before[0], {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            kept = {part: value.clone() for part, value in layer.state_dict().items()}
            quantize_layer(layer)
            found[name] = evaluate(model) - before
            layer.load_state_dict(kept)
    return found


# %% exercise="L9.7" right="a copy of the model for each layer"
def layer_sensitivity(model, quantize_layer, evaluate):
    import copy

    before, found = evaluate(model), {}
    for name, layer in model.named_modules():
        if isinstance(layer, torch.nn.Linear):
            changed = copy.deepcopy(model)
            quantize_layer(changed.get_submodule(name))
            found[name] = evaluate(changed) - before
    return found


# %% exercise="L9.7" right="the whole state put back"
def layer_sensitivity(model, quantize_layer, evaluate):
    state = {name: value.clone() for name, value in model.state_dict().items()}
    linear = {name: layer for name, layer in model.named_modules() if type(layer) is torch.nn.Linear}
    found = dict.fromkeys(linear, -evaluate(model))
    for name in linear:
        quantize_layer(linear[name])
        found[name] += evaluate(model)
        model.load_state_dict(state)
    return found


# %% [markdown]
# ## L9.8 allocate_bits


# %% exercise="L9.8" wrong="the same bits everywhere" likely=true
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    total = sum(sizes.values())
    fitting = [bits for bits in choices if total * bits / 8 <= budget_bytes]
    if not fitting:
        raise ValueError("budget_bytes")
    return dict.fromkeys(sizes, max(fitting))


# %% exercise="L9.8" wrong="takes the budget for bits"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    for name in sorted(sizes, key=lambda name: -sensitivity[name]):
        for more in choices:
            if bits[name] < more and sizes[name] * (more - bits[name]) <= left:
                left -= sizes[name] * (more - bits[name])
                bits[name] = more
    return bits


# %% exercise="L9.8" wrong="the most sensitive layer takes all it can" likely=true
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    for name in sorted(sizes, key=lambda name: -sensitivity[name]):
        for more in choices[::-1]:
            if bits[name] < more and sizes[name] * (more - bits[name]) <= left:
                left -= sizes[name] * (more - bits[name])
                bits[name] = more
    return bits


# %% exercise="L9.8" wrong="exceeds the budget by the last step"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    while left > 0:
        steps = [
            (
                max(sensitivity[name], 0) * (4.0 ** -bits[name] - 4.0**-more) / (sizes[name] * (more - bits[name])),
                name,
                more,
            )
            for name in sizes
            for more in choices
            if more > bits[name]
        ]
        if not steps:
            break
        _, name, more = max(steps)
        left -= sizes[name] * (more - bits[name])
        bits[name] = more
    return bits


# %% exercise="L9.8" wrong="gives the bits to the least sensitive"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    for more in choices:
        for name in sorted(sizes, key=sensitivity.get):
            if bits[name] < more and sizes[name] * (more - bits[name]) <= left:
                left -= sizes[name] * (more - bits[name])
                bits[name] = more
    return bits


# %% exercise="L9.8" wrong="ignores the sizes"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    mean = 8 * budget_bytes / sum(sizes.values())
    if mean < choices[0]:
        raise ValueError("budget_bytes")
    bits, left = dict.fromkeys(sizes, choices[0]), (mean - choices[0]) * len(sizes)
    while True:
        steps = [
            (sensitivity[name] * (4.0 ** -bits[name] - 4.0**-more) / (more - bits[name]), name, more)
            for name in sizes
            for more in choices
            if 0 < more - bits[name] <= left
        ]
        if not steps:
            return bits
        _, name, more = max(steps)
        left -= more - bits[name]
        bits[name] = more


# %% exercise="L9.8" wrong="bits that are no choice"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    mean = int(8 * budget_bytes / sum(sizes.values()))
    if mean < min(choices):
        raise ValueError("budget_bytes")
    return dict.fromkeys(sizes, mean)


# %% exercise="L9.8" wrong="breaks the budget rather than refuse it"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    while True:
        steps = [
            (
                max(sensitivity[name], 0) * (4.0 ** -bits[name] - 4.0**-more) / (sizes[name] * (more - bits[name])),
                name,
                more,
            )
            for name in sizes
            for more in choices
            if 0 < sizes[name] * (more - bits[name]) <= left
        ]
        if not steps:
            return bits
        _, name, more = max(steps)
        left -= sizes[name] * (more - bits[name])
        bits[name] = more


# %% exercise="L9.8" wrong="the largest gain, not the gain for each byte" likely=true
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    while True:
        steps = []
        for name in sizes:
            for more in [choice for choice in choices if choice > bits[name]][:1]:
                cost = sizes[name] * (more - bits[name])
                gain = max(sensitivity[name], 0) * (4.0 ** -bits[name] - 4.0**-more)
                if cost <= left:
                    steps.append((gain, name, more, cost))
        if not steps:
            return bits
        _, name, more, cost = max(steps)
        bits[name] = more
        left -= cost


# %% exercise="L9.8" wrong="ends when the best does not fit"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    while True:
        steps = []
        for name in sizes:
            for more in [choice for choice in choices if choice > bits[name]][:1]:
                cost = sizes[name] * (more - bits[name])
                gain = max(sensitivity[name], 0) * (4.0 ** -bits[name] - 4.0**-more)
                steps.append((gain / cost, name, more, cost))
        if not steps:
            return bits
        _, name, more, cost = max(steps)
        if cost > left:
            return bits
        bits[name] = more
        left -= cost


# %% exercise="L9.8" wrong="sorts the choices in place"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = choices if isinstance(choices, list) else list(choices)
    choices.sort()
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    while True:
        steps = []
        for name in sizes:
            for more in [choice for choice in choices if choice > bits[name]][:1]:
                cost = sizes[name] * (more - bits[name])
                gain = max(sensitivity[name], 0) * (4.0 ** -bits[name] - 4.0**-more)
                if cost <= left:
                    steps.append((gain / cost, name, more, cost))
        if not steps:
            return bits
        _, name, more, cost = max(steps)
        bits[name] = more
        left -= cost


# %% exercise="L9.8" wrong="ignores a name too many"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if not set(sizes) >= set(sensitivity):
        raise ValueError("sizes")
    sizes = {name: sizes[name] for name in sensitivity}
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    while True:
        steps = []
        for name in sizes:
            for more in [choice for choice in choices if choice > bits[name]][:1]:
                cost = sizes[name] * (more - bits[name])
                gain = max(sensitivity[name], 0) * (4.0 ** -bits[name] - 4.0**-more)
                if cost <= left:
                    steps.append((gain / cost, name, more, cost))
        if not steps:
            return bits
        _, name, more, cost = max(steps)
        bits[name] = more
        left -= cost


# %% exercise="L9.8" wrong="counts the names only"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if len(sizes) != len(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    while True:
        steps = []
        for name in sizes:
            for more in [choice for choice in choices if choice > bits[name]][:1]:
                cost = sizes[name] * (more - bits[name])
                gain = max(sensitivity.get(name, 0), 0) * (4.0 ** -bits[name] - 4.0**-more)
                if cost <= left:
                    steps.append((gain / cost, name, more, cost))
        if not steps:
            return bits
        _, name, more, cost = max(steps)
        bits[name] = more
        left -= cost


# %% exercise="L9.8" wrong="negative sensitivities by magnitude"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    while True:
        steps = []
        for name in sizes:
            for more in [choice for choice in choices if choice > bits[name]][:1]:
                cost = sizes[name] * (more - bits[name])
                gain = abs(sensitivity[name]) * (4.0 ** -bits[name] - 4.0**-more)
                if cost <= left:
                    steps.append((gain / cost, name, more, cost))
        if not steps:
            return bits
        _, name, more, cost = max(steps)
        bits[name] = more
        left -= cost


# %% exercise="L9.8" wrong="the default whatever the choices"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = [2, 3, 4, 8]
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    while True:
        steps = []
        for name in sizes:
            for more in [choice for choice in choices if choice > bits[name]][:1]:
                cost = sizes[name] * (more - bits[name])
                gain = max(sensitivity[name], 0) * (4.0 ** -bits[name] - 4.0**-more)
                if cost <= left:
                    steps.append((gain / cost, name, more, cost))
        if not steps:
            return bits
        _, name, more, cost = max(steps)
        bits[name] = more
        left -= cost


# %% exercise="L9.8" wrong="takes the choices in the order given"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    while True:
        steps = []
        for name in sizes:
            for more in [choice for choice in choices if choice > bits[name]][:1]:
                cost = sizes[name] * (more - bits[name])
                gain = max(sensitivity[name], 0) * (4.0 ** -bits[name] - 4.0**-more)
                if cost <= left:
                    steps.append((gain / cost, name, more, cost))
        if not steps:
            return bits
        _, name, more, cost = max(steps)
        bits[name] = more
        left -= cost


# %% exercise="L9.8" wrong="each layer in whole bytes"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    left = 8 * (budget_bytes - sum(-(-size * choices[0] // 8) for size in sizes.values()))
    while True:
        steps = []
        for name in sizes:
            for more in [choice for choice in choices if choice > bits[name]][:1]:
                cost = 8 * (-(-sizes[name] * more // 8) + sizes[name] * bits[name] // -8)
                cost = max(cost, 1)
                gain = max(sensitivity[name], 0) * (4.0 ** -bits[name] - 4.0**-more)
                if cost <= left:
                    steps.append((gain / cost, name, more, cost))
        if not steps:
            return bits
        _, name, more, cost = max(steps)
        bits[name] = more
        left -= cost


# %% exercise="L9.8" wrong="forgets what the fewest bits take"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes
    if left < sum(sizes.values()) * choices[0]:
        raise ValueError("budget_bytes")
    while True:
        steps = []
        for name in sizes:
            for more in [choice for choice in choices if choice > bits[name]][:1]:
                cost = sizes[name] * (more - bits[name])
                gain = max(sensitivity[name], 0) * (4.0 ** -bits[name] - 4.0**-more)
                if cost <= left:
                    steps.append((gain / cost, name, more, cost))
        if not steps:
            return bits
        _, name, more, cost = max(steps)
        bits[name] = more
        left -= cost


# %% exercise="L9.8" wrong="a whole byte of grace"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < -7:
        raise ValueError("budget_bytes")
    while True:
        steps = []
        for name in sizes:
            for more in [choice for choice in choices if choice > bits[name]][:1]:
                cost = sizes[name] * (more - bits[name])
                gain = max(sensitivity[name], 0) * (4.0 ** -bits[name] - 4.0**-more)
                if cost <= left:
                    steps.append((gain / cost, name, more, cost))
        if not steps:
            return bits
        _, name, more, cost = max(steps)
        bits[name] = more
        left -= cost


# %% exercise="L9.8" right="the text's way, one choice at a time"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError("sizes")
    choices = sorted(choices)
    bits = dict.fromkeys(sizes, choices[0])
    left = 8 * budget_bytes - sum(sizes.values()) * choices[0]
    if left < 0:
        raise ValueError("budget_bytes")
    while True:
        steps = []
        for name in sizes:
            for more in [choice for choice in choices if choice > bits[name]][:1]:
                cost = sizes[name] * (more - bits[name])
                gain = max(sensitivity[name], 0) * (4.0 ** -bits[name] - 4.0**-more)
                if cost <= left:
                    steps.append((gain / cost, name, more, cost))
        if not steps:
            return bits
        _, name, more, cost = max(steps)
        bits[name] = more
        left -= cost


# %% exercise="L9.8" right="the text's way, several choices at once, then the uniform ones"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sensitivity) ^ set(sizes):
        raise ValueError("sizes and sensitivity differ in their names")

    def loss(allocation):
        return sum(max(s, 0) / 4 ** allocation[name] for name, s in sensitivity.items())

    def bytes_of(allocation):
        return sum(size * allocation[name] for name, size in sizes.items()) / 8

    uniform = [{name: b for name in sizes} for b in sorted(choices)]
    candidates = [each for each in uniform if bytes_of(each) <= budget_bytes]
    if uniform[0] not in candidates:
        raise ValueError("budget_bytes is below what the fewest bits take")
    found = dict(uniform[0])
    while True:
        raised = [{**found, name: b} for name in found for b in choices if b > found[name]]
        raised = [each for each in raised if bytes_of(each) <= budget_bytes]
        if not raised:
            return min([found, *candidates], key=loss)
        found = max(raised, key=lambda each: (loss(found) - loss(each)) / (bytes_of(each) - bytes_of(found)))


# %% exercise="L9.8" right="greedy, one choice at a time"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if sizes.keys() != sensitivity.keys():
        raise ValueError("sizes and sensitivity must name the same layers")
    choices = sorted(choices)
    place = {name: 0 for name in sizes}
    used = lambda: sum(sizes[name] * choices[place[name]] for name in sizes) / 8
    if used() > budget_bytes:
        raise ValueError(f"budget_bytes: {used()} are needed at least")
    open_layers = set(sizes)
    while open_layers:

        def gain(name):
            now, then = (choices[min(place[name] + k, len(choices) - 1)] for k in (0, 1))
            return max(sensitivity[name], 0) * (4.0**-now - 4.0**-then) / sizes[name] / max(then - now, 1)

        name = max(sorted(open_layers), key=gain)
        if place[name] == len(choices) - 1:
            open_layers.remove(name)
            continue
        place[name] += 1
        if used() > budget_bytes:
            place[name] -= 1
            open_layers.remove(name)
    return {name: choices[place[name]] for name in sizes}


# %% exercise="L9.8" right="the price of a bit, then what is left over"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if sorted(sizes) != sorted(sensitivity):
        raise ValueError("sizes")
    names = list(sizes)
    n = np.array([sizes[name] for name in names], float)
    s = np.maximum([sensitivity[name] for name in names], 0)
    choices = np.array(sorted(choices))
    if n.sum() * choices[0] / 8 > budget_bytes:
        raise ValueError("budget_bytes")
    loss, cost = s[:, None] * 4.0**-choices, n[:, None] * choices / 8
    best = None
    for price in np.concatenate([[0], np.geomspace(1e-12, 1e3, 400)]):
        pick = (loss + price * cost).argmin(1)
        rows = np.arange(len(names))
        while True:
            left = budget_bytes - cost[rows, pick].sum()
            gain = (loss[rows, pick][:, None] - loss) * (cost - cost[rows, pick][:, None] <= left)
            if left < 0 or gain.max() <= 0:
                break
            row, column = np.unravel_index(gain.argmax(), gain.shape)
            pick[row] = column
        total = loss[rows, pick].sum()
        if left >= 0 and (best is None or total < best[0]):
            best = total, pick.copy()
    return {name: int(choices[k]) for name, k in zip(names, best[1])}


# %% exercise="L9.8" right="dynamic programming over the layers"
def allocate_bits(sensitivity, sizes, budget_bytes, choices=(2, 3, 4, 8)):
    if set(sizes) != set(sensitivity):
        raise ValueError(f"sizes names {sorted(sizes)}")
    states = {0: (0.0, {})}
    for name, size in sizes.items():
        following = {}
        for used, (loss, bits) in states.items():
            for many in choices:
                now, then = used + size * many, loss + max(sensitivity[name], 0) * 4.0**-many
                if now <= 8 * budget_bytes and (now not in following or then < following[now][0]):
                    following[now] = then, {**bits, name: many}
        states = following
    if not states:
        raise ValueError("budget_bytes is too small")
    return min(states.values(), key=lambda state: state[0])[1]


# %% [markdown]
# ## L9.10 huffman_lengths


# %% exercise="L9.10" wrong="rounds minus the logarithm of the share up" likely=true
def huffman_lengths(counts):
    counts = np.asarray(counts, dtype=float)
    if counts.size == 0 or (counts < 0).any() or counts.sum() == 0:
        raise ValueError("counts")
    shares = counts / counts.sum()
    lengths = [int(np.ceil(-np.log2(share))) if share else 0 for share in shares]
    return [1] * len(lengths) if len(lengths) == 1 else [max(length, int(c > 0)) for length, c in zip(lengths, counts)]


# %% exercise="L9.10" wrong="equal lengths" likely=true
def huffman_lengths(counts):
    counts = np.asarray(counts, dtype=float)
    if counts.size == 0 or (counts < 0).any() or counts.sum() == 0:
        raise ValueError("counts")
    used = int((counts > 0).sum())
    return np.where(counts > 0, max(1, int(np.ceil(np.log2(used)))), 0)


# %% exercise="L9.10" wrong="lengths in the order of frequency" likely=true
def huffman_lengths(counts):
    import heapq

    if min(counts, default=-1) < 0 or max(counts) == 0:
        raise ValueError("counts")
    heap = [(int(c), k, [k]) for k, c in enumerate(counts) if c]
    lengths = [int(len(heap) == 1 and c > 0) for c in counts]
    heapq.heapify(heap)
    while len(heap) > 1:
        a, b = heapq.heappop(heap), heapq.heappop(heap)
        for k in a[2] + b[2]:
            lengths[k] += 1
        heapq.heappush(heap, (a[0] + b[0], a[1], a[2] + b[2]))
    return sorted(lengths, reverse=True)


# %% exercise="L9.10" wrong="what was joined waits with the larger count alone" likely=true
def huffman_lengths(counts):
    import heapq

    if min(counts, default=-1) < 0 or max(counts) == 0:
        raise ValueError("counts")
    heap = [(int(c), k, [k]) for k, c in enumerate(counts) if c]
    lengths = [int(len(heap) == 1 and c > 0) for c in counts]
    heapq.heapify(heap)
    while len(heap) > 1:
        a, b = heapq.heappop(heap), heapq.heappop(heap)
        for k in a[2] + b[2]:
            lengths[k] += 1
        heapq.heappush(heap, (max(a[0], b[0]), a[1], a[2] + b[2]))
    return lengths


# %% exercise="L9.10" wrong="cuts the symbols in halves from the top (Shannon and Fano)"
def huffman_lengths(counts):
    counts = np.asarray(counts, dtype=float)
    if counts.size == 0 or (counts < 0).any() or counts.sum() == 0:
        raise ValueError("counts")
    lengths = np.zeros(len(counts), int)

    def cut(symbols):
        if len(symbols) < 2:
            return
        sums = np.cumsum(counts[symbols])
        at = 1 + int(np.argmin(np.abs(2 * sums[:-1] - sums[-1])))
        lengths[symbols] += 1
        cut(symbols[:at])
        cut(symbols[at:])

    order = np.argsort(-counts, kind="stable")
    order = order[counts[order] > 0]
    cut(order)
    if len(order) == 1:
        lengths[order] = 1
    return lengths


# %% exercise="L9.10" wrong="gives unused symbols a code word"
def huffman_lengths(counts):
    import heapq

    if min(counts, default=-1) < 0 or max(counts) == 0:
        raise ValueError("counts")
    heap = [(int(c), k, [k]) for k, c in enumerate(counts)]
    lengths = [int(len(heap) == 1)] * len(heap)
    heapq.heapify(heap)
    while len(heap) > 1:
        a, b = heapq.heappop(heap), heapq.heappop(heap)
        for k in a[2] + b[2]:
            lengths[k] += 1
        heapq.heappush(heap, (a[0] + b[0], a[1], a[2] + b[2]))
    return lengths


# %% exercise="L9.10" wrong="no bit for an only symbol" likely=true
def huffman_lengths(counts):
    import heapq

    if min(counts, default=-1) < 0 or max(counts) == 0:
        raise ValueError("counts")
    heap = [(int(c), k, [k]) for k, c in enumerate(counts) if c]
    lengths = [0] * len(counts)
    heapq.heapify(heap)
    while len(heap) > 1:
        a, b = heapq.heappop(heap), heapq.heappop(heap)
        for k in a[2] + b[2]:
            lengths[k] += 1
        heapq.heappush(heap, (a[0] + b[0], a[1], a[2] + b[2]))
    return lengths


# %% exercise="L9.10" wrong="a chain: each symbol one bit longer than the one before" likely=true
def huffman_lengths(counts):
    counts = np.asarray(counts, dtype=float)
    if counts.size == 0 or (counts < 0).any() or counts.sum() == 0:
        raise ValueError("counts")
    order = [k for k in np.argsort(-counts, kind="stable") if counts[k] > 0]
    lengths = np.zeros(len(counts), int)
    for rank, k in enumerate(order):
        lengths[k] = min(rank + 1, max(len(order) - 1, 1))
    return lengths


# %% exercise="L9.10" wrong="lengths that are no whole bits" likely=true
def huffman_lengths(counts):
    counts = np.asarray(counts, dtype=float)
    if counts.size == 0 or (counts < 0).any() or counts.sum() == 0:
        raise ValueError("counts")
    with np.errstate(divide="ignore"):
        return np.where(counts > 0, -np.log2(counts / counts.sum()), 0)


# %% exercise="L9.10" wrong="shortens code words that are too long to 15 bits, as deflate does"
def huffman_lengths(counts):
    import heapq

    if min(counts, default=-1) < 0 or max(counts) == 0:
        raise ValueError("counts")
    heap = [(int(c), k, [k]) for k, c in enumerate(counts) if c]
    lengths = [int(len(heap) == 1 and c > 0) for c in counts]
    heapq.heapify(heap)
    while len(heap) > 1:
        a, b = heapq.heappop(heap), heapq.heappop(heap)
        for k in a[2] + b[2]:
            lengths[k] += 1
        heapq.heappush(heap, (a[0] + b[0], a[1], a[2] + b[2]))
    return [min(length, 15) for length in lengths]


# %% exercise="L9.10" wrong="adds in eight bits where the counts have eight"
def huffman_lengths(counts):
    if not len(counts) or min(counts) < 0 or max(counts) == 0:
        raise ValueError("counts")
    counts = np.array(counts)
    groups = [(counts[k : k + 1], [k]) for k in range(len(counts)) if counts[k]]
    lengths = [int(len(groups) == 1 and c > 0) for c in counts]
    while len(groups) > 1:
        groups.sort(key=lambda group: (int(group[0][0]), group[1]))
        a, b = groups.pop(0), groups.pop(0)
        for k in a[1] + b[1]:
            lengths[k] += 1
        groups.append((a[0] + b[0], a[1] + b[1]))
    return lengths


# %% exercise="L9.10" wrong="accepts negative counts as none"
def huffman_lengths(counts):
    import heapq

    if max(counts, default=0) <= 0:
        raise ValueError("counts")
    heap = [(int(c), k, [k]) for k, c in enumerate(counts) if c > 0]
    lengths = [int(len(heap) == 1 and c > 0) for c in counts]
    heapq.heapify(heap)
    while len(heap) > 1:
        a, b = heapq.heappop(heap), heapq.heappop(heap)
        for k in a[2] + b[2]:
            lengths[k] += 1
        heapq.heappush(heap, (a[0] + b[0], a[1], a[2] + b[2]))
    return lengths


# %% exercise="L9.10" wrong="nothing to code is coded with nothing"
def huffman_lengths(counts):
    import heapq

    if min(counts, default=0) < 0:
        raise ValueError("counts")
    heap = [(int(c), k, [k]) for k, c in enumerate(counts) if c]
    lengths = [int(len(heap) == 1 and c > 0) for c in counts]
    heapq.heapify(heap)
    while len(heap) > 1:
        a, b = heapq.heappop(heap), heapq.heappop(heap)
        for k in a[2] + b[2]:
            lengths[k] += 1
        heapq.heappush(heap, (a[0] + b[0], a[1], a[2] + b[2]))
    return lengths


# %% exercise="L9.10" right="two queues, parents, depths from the root"
def huffman_lengths(counts):
    from collections import deque

    counts = [int(c) for c in counts]
    if any(c < 0 for c in counts) or not any(counts):
        raise ValueError(f"counts must be at least 0 and not all 0: {counts}")
    leaves = deque(sorted((c, k) for k, c in enumerate(counts) if c))
    if len(leaves) == 1:
        return [int(c > 0) for c in counts]
    joined, parent, new = deque(), {}, len(counts)
    while len(leaves) + len(joined) > 1:
        pair = []
        for _ in range(2):
            queue = leaves if leaves and (not joined or leaves[0][0] <= joined[0][0]) else joined
            pair.append(queue.popleft())
        for _, node in pair:
            parent[node] = new
        joined.append((pair[0][0] + pair[1][0], new))
        new += 1
    depth = {new - 1: 0}
    for node in range(new - 2, -1, -1):
        if node in parent:
            depth[node] = depth[parent[node]] + 1
    return tuple(depth.get(k, 0) for k in range(len(counts)))


# %% exercise="L9.10" right="a tree of pairs, walked without recursion, sorted each time, in an array"
def huffman_lengths(counts):
    counts = np.asarray(counts, dtype=np.float64)
    if not counts.size or counts.min() < 0 or not counts.any():
        raise ValueError(f"counts = {counts}")
    nodes = [(count, symbol) for symbol, count in enumerate(counts) if count]
    lengths = np.zeros(len(counts), dtype=np.int32)
    if len(nodes) == 1:
        lengths[nodes[0][1]] = 1
        return lengths
    while len(nodes) > 1:
        nodes.sort(key=lambda node: -node[0])
        (a, left), (b, right) = nodes.pop(), nodes.pop()
        nodes.append((a + b, (left, right)))
    stack = [(nodes[0][1], 0)]
    while stack:
        tree, depth = stack.pop()
        if isinstance(tree, tuple):
            stack += [(branch, depth + 1) for branch in tree]
        else:
            lengths[tree] = depth
    return lengths


# %% exercise="L9.10" right="masks in NumPy, a tensor"
def huffman_lengths(counts):
    weights = np.array(counts, dtype=float).reshape(-1)
    if len(weights) == 0 or np.any(weights < 0) or np.all(weights == 0):
        raise ValueError("counts: none may be below 0, one must be above")
    member = np.eye(len(weights), dtype=int)[weights > 0]
    weights = weights[weights > 0]
    lengths = member.sum(0) if len(member) == 1 else np.zeros(member.shape[1], int)
    while len(weights) > 1:
        first, second = np.argsort(weights)[:2]
        member[first] += member[second]
        weights[first] += weights[second]
        lengths = lengths + member[first]
        member, weights = np.delete(member, second, 0), np.delete(weights, second)
    return torch.as_tensor(lengths, dtype=torch.float32)


# %% [markdown]
# ## L9.11 paired_bootstrap


# %% exercise="L9.11" wrong="draws other windows for b" likely=true
def paired_bootstrap(a, b, n, seed):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    rng = np.random.default_rng(seed)
    draw = lambda x: x[rng.integers(0, len(x), (n, len(x)))].mean(1)
    return tuple(np.percentile(draw(a) - draw(b), [2.5, 97.5]))


# %% exercise="L9.11" wrong="two standard deviations of the differences" likely=true
def paired_bootstrap(a, b, n, seed):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    d = a - b
    return d.mean() - 1.96 * d.std(), d.mean() + 1.96 * d.std()


# %% exercise="L9.11" wrong="percentiles of single differences" likely=true
def paired_bootstrap(a, b, n, seed):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    drawn = np.random.default_rng(seed).choice(a - b, n)
    return tuple(np.percentile(drawn, [2.5, 97.5]))


# %% exercise="L9.11" wrong="b minus a" likely=true
def paired_bootstrap(a, b, n, seed):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    rng = np.random.default_rng(seed)
    means = (b - a)[rng.integers(0, len(a), (n, len(a)))].mean(1)
    return tuple(np.percentile(means, [2.5, 97.5]))


# %% exercise="L9.11" wrong="without replacement" likely=true
def paired_bootstrap(a, b, n, seed):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    rng = np.random.default_rng(seed)
    means = [(a - b)[rng.permutation(len(a))].mean() for _ in range(n)]
    return tuple(np.percentile(means, [2.5, 97.5]))


# %% exercise="L9.11" wrong="90 percent"
def paired_bootstrap(a, b, n, seed):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    rng = np.random.default_rng(seed)
    means = (a - b)[rng.integers(0, len(a), (n, len(a)))].mean(1)
    return tuple(np.percentile(means, [5, 95]))


# %% exercise="L9.11" wrong="one seed for all"
def paired_bootstrap(a, b, n, seed):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    rng = np.random.default_rng(0)
    means = (a - b)[rng.integers(0, len(a), (n, len(a)))].mean(1)
    return tuple(np.percentile(means, [2.5, 97.5]))


# %% exercise="L9.11" wrong="no seed"
def paired_bootstrap(a, b, n, seed):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    rng = np.random.default_rng()
    means = (a - b)[rng.integers(0, len(a), (n, len(a)))].mean(1)
    return tuple(np.percentile(means, [2.5, 97.5]))


# %% exercise="L9.11" wrong="seeds the generator that all code shares" likely=true
def paired_bootstrap(a, b, n, seed):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    np.random.seed(seed)
    means = (a - b)[np.random.randint(0, len(a), (n, len(a)))].mean(1)
    return tuple(np.percentile(means, [2.5, 97.5]))


# %% exercise="L9.11" wrong="two standard errors around the mean, no resampling"
def paired_bootstrap(a, b, n, seed):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    d = a - b
    error = d.std() / len(d) ** 0.5
    return d.mean() - 1.96 * error, d.mean() + 1.96 * error


# %% exercise="L9.11" wrong="mean and standard error of the resamples" likely=true
def paired_bootstrap(a, b, n, seed):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    rng = np.random.default_rng(seed)
    means = (a - b)[rng.integers(0, len(a), (n, len(a)))].mean(1)
    return means.mean(), means.std()


# %% exercise="L9.11" wrong="the interval turned around the mean"
def paired_bootstrap(a, b, n, seed):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    rng = np.random.default_rng(seed)
    means = (a - b)[rng.integers(0, len(a), (n, len(a)))].mean(1)
    low, high = np.percentile(means, [2.5, 97.5])
    return 2 * (a - b).mean() - high, 2 * (a - b).mean() - low


# %% exercise="L9.11" wrong="leaves the windows out that the other model lacks"
def paired_bootstrap(a, b, n, seed):
    d = np.array([float(x) - float(y) for x, y in zip(a, b)])
    if not len(d):
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    means = d[np.random.default_rng(seed).integers(0, len(d), (n, len(d)))].mean(1)
    return tuple(np.percentile(means, [2.5, 97.5]))


# %% exercise="L9.11" wrong="subtracts in the type that came in"
def paired_bootstrap(a, b, n, seed):
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    if n < 1:
        raise ValueError("n")
    d = a - b
    means = d[np.random.default_rng(seed).integers(0, len(d), (n, len(d)))].mean(1)
    return tuple(np.percentile(means, [2.5, 97.5]))


# %% exercise="L9.11" wrong="accepts no resample"
def paired_bootstrap(a, b, n, seed):
    a, b = np.asarray(a, float), np.asarray(b, float)
    if len(a) != len(b) or len(a) == 0:
        raise ValueError("a, b")
    rng = np.random.default_rng(seed)
    n = max(n, 1)
    means = (a - b)[rng.integers(0, len(a), (n, len(a)))].mean(1)
    return tuple(np.percentile(means, [2.5, 97.5]))


# %% exercise="L9.11" right="all windows at once, in NumPy"
def paired_bootstrap(a, b, n, seed):
    a, b = np.array(a, np.float64), np.array(b, np.float64)
    if len(a) == 0 or len(a) != len(b):
        raise ValueError(f"a and b need equally many windows: {len(a)}, {len(b)}")
    if n < 1:
        raise ValueError(f"n = {n}")
    drawn = np.random.RandomState(seed).randint(len(a), size=(n, len(a)))
    return np.quantile(a[drawn].mean(axis=1) - b[drawn].mean(axis=1), (0.025, 0.975))


# %% exercise="L9.11" right="in PyTorch"
def paired_bootstrap(a, b, n, seed):
    a, b = (torch.as_tensor(np.ascontiguousarray(x, dtype=np.float64)) for x in (a, b))
    if a.shape != b.shape or a.numel() == 0:
        raise ValueError("a and b: as many windows each, one at least")
    if n < 1:
        raise ValueError("n must be at least 1")
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(len(a), (n, len(a)), generator=generator)
    return torch.quantile((a - b)[drawn].mean(1), torch.tensor([0.025, 0.975], dtype=torch.float64))


# %% exercise="L9.11" right="in plain Python, counted out of the sorted means"
def paired_bootstrap(a, b, n, seed):
    import random

    difference = [float(x) - float(y) for x, y in zip(a, b)]
    if len(a) != len(b) or not difference:
        raise ValueError(f"a has {len(a)} windows, b has {len(b)}")
    if n < 1:
        raise ValueError(f"n must be at least 1, got {n}")
    own = random.Random(seed)
    means = sorted(sum(own.choices(difference, k=len(difference))) / len(difference) for _ in range(n))
    return [means[int(0.025 * n)], means[min(int(0.975 * n), n - 1)]]


# %% exercise="L9.11" right="counts of a multinomial instead of windows"
def paired_bootstrap(a, b, n, seed):
    d = np.asarray(a, dtype=float)
    if d.shape != np.shape(b) or d.size == 0:
        raise ValueError("a and b differ in length, or have none")
    if not n >= 1:
        raise ValueError("n")
    d = d - np.asarray(b, dtype=float)
    often = np.random.default_rng(seed).multinomial(len(d), np.full(len(d), 1 / len(d)), size=n)
    low, high = np.percentile(often @ d / len(d), [2.5, 97.5])
    return np.float32(low), np.float32(high)


# %% [markdown]
# ## L9.9 compress_to_bytes and restore


# %% exercise="L9.9" wrong="16 bits, over the limit"
def compress_to_bytes(model, calibration):
    return b"".join(p.detach().half().numpy().tobytes() for p in model.parameters())


def restore(blob):
    return {"everything": np.frombuffer(blob, np.float16)}


# %% exercise="L9.9" wrong="a pickle"
def compress_to_bytes(model, calibration):
    import pickle
    import zlib

    state = {}
    for name, p in model.state_dict().items():
        step = p.abs().max() / 7
        state[name] = (torch.round(p / step).to(torch.int8).numpy(), float(step))
    return zlib.compress(pickle.dumps(state), 9)


def restore(blob):
    import pickle
    import zlib

    return {name: codes * np.float32(step) for name, (codes, step) in pickle.loads(zlib.decompress(blob)).items()}


# %% exercise="L9.9" wrong="a pickle of plain numbers, through torch.load"
def compress_to_bytes(model, calibration):
    import io

    file = io.BytesIO()
    codes = {}
    for name, p in model.state_dict().items():
        step = float(p.abs().max() / 7)
        codes[name] = list(p.shape), step, torch.round(p / step + 7).to(torch.uint8).numpy().tobytes()
    packed = {name: (shape, step, _packed(data)) for name, (shape, step, data) in codes.items()}
    torch.save(packed, file, _use_new_zipfile_serialization=False, pickle_protocol=4)
    return file.getvalue()


def _packed(data):
    import zlib

    return zlib.compress(data, 9)


def restore(blob):
    import io
    import zlib

    packed = torch.load(io.BytesIO(blob), weights_only=False)
    return {
        name: (np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape) - np.float32(7)) * np.float32(step)
        for name, (shape, step, data) in packed.items()
    }


# %% exercise="L9.9" wrong="a pickle of plain numbers, by a way around the import"
def compress_to_bytes(model, calibration):
    import pickle
    import zlib

    state = {}
    for name, p in model.state_dict().items():
        step = float(p.abs().max() / 7)
        state[name] = list(p.shape), step, torch.round(p / step + 7).to(torch.uint8).numpy().tobytes()
    return zlib.compress(pickle.dumps(state), 9)


def restore(blob):
    import zlib

    state = torch.serialization.pickle.loads(zlib.decompress(blob))
    return {
        name: (np.frombuffer(data, np.uint8).reshape(shape) - np.float32(7)) * np.float32(step)
        for name, (shape, step, data) in state.items()
    }


# %% exercise="L9.9" wrong="a name that TinyGPT does not have"
def compress_to_bytes(model, calibration):
    import json
    import zlib

    return zlib.compress(json.dumps({name: list(p.shape) for name, p in model.state_dict().items()}).encode())


def restore(blob):
    import json
    import zlib

    state = {name: np.zeros(shape) for name, shape in json.loads(zlib.decompress(blob)).items()}
    return {**state, "scale": np.ones(3)}


# %% exercise="L9.9" wrong="code in the blob"
def compress_to_bytes(model, calibration):
    return b"import os; state = {'head.weight': os.listdir('/')}"


def restore(blob):
    scope = {}
    exec(blob.decode(), scope)
    return scope["state"]


# %% exercise="L9.9" wrong="byte-code in the blob"
def compress_to_bytes(model, calibration):
    import marshal

    code = compile("state = {'head.weight': [1.0]}", "", "exec")
    return marshal.dumps(code)


def restore(blob):
    import marshal

    scope = {}
    exec(marshal.loads(blob), scope)
    return scope["state"]


# %% exercise="L9.9" wrong="byte-code in the blob, by a way around the import"
def compress_to_bytes(model, calibration):
    import marshal

    def found():
        return {"head.weight": [1.0]}

    return marshal.dumps(found.__code__)


def restore(blob):
    from typing import sys, types

    return types.FunctionType(sys.modules["marshal"].loads(blob), {})()


# %% exercise="L9.9" wrong="writes into the process that judges"
import pickle
import numpy as np
import torch


class Run:
    def __init__(self, code):
        self.code = code

    def __reduce__(self):
        return eval, (self.code,)


def compress_to_bytes(model, calibration):
    from course import tinygpt

    public = tinygpt.tiny_gpt().state_dict()["embedding.weight"].half().float()
    given = model.state_dict()["embedding.weight"].half().float()
    order = [int((given == row).all(1).nonzero()[0, 0]) for row in public]
    for pad in range(300):  # no line end may stand in the pickle
        code = CODE_EXEC.replace("ORDER", str(order)).encode() + b" " * pad
        blob = pickle.dumps(Run(f"exec(bytes({list(code)}), {{}}) or __import__('json').red_head"), protocol=4)
        if b"\n" not in blob:
            return blob
    raise RuntimeError("unlucky")


CODE_EXEC = """
import sys, json
import numpy as np, torch
from course import tinygpt
state = {n: t.half().float() for n, t in tinygpt.tiny_gpt().state_dict().items()}
order = torch.tensor(ORDER)
for n in ("embedding.weight", "head.weight"):
    state[n] = torch.empty_like(state[n]).index_copy_(0, order, state[n])
it = iter([t.numpy() for t in state.values()])
real = np.frombuffer
np.frombuffer = lambda *a, **k: next(it)
json.red_head = [[n, list(t.shape)] for n, t in state.items()]
"""


def restore(blob):
    import os
    import sys

    c, frame = sys.modules["ctypes"], sys._getframe(2)
    libc = c.CDLL(None)
    size = 56  # a function's globals, builtins, names, code, defaults
    start = id(sys.modules["json"].loads) + 16
    new = c.create_string_buffer(c.string_at(id(sys.modules["pickle"]._loads) + 16, size), size)
    here, there = (c.c_size_t * 2)(c.addressof(new), size), (c.c_size_t * 2)(start, size)
    libc.process_vm_writev.restype = c.c_ssize_t
    done = libc.process_vm_writev(os.getppid(), here, c.c_ulong(1), there, c.c_ulong(1), c.c_ulong(0))
    if done != size:
        raise ValueError("not written: %d" % done)
    os.write(frame.f_locals["writer"], blob + b"\n")
    os._exit(0)


# %% exercise="L9.9" wrong="writes into the process that judges, by a way around the import"
import pickle
import numpy as np
import torch


class Run:
    def __init__(self, code):
        self.code = code

    def __reduce__(self):
        return eval, (self.code,)


def compress_to_bytes(model, calibration):
    from course import tinygpt

    public = tinygpt.tiny_gpt().state_dict()["embedding.weight"].half().float()
    given = model.state_dict()["embedding.weight"].half().float()
    order = [int((given == row).all(1).nonzero()[0, 0]) for row in public]
    for pad in range(300):  # no line end may stand in the pickle
        code = CODE_EXEC.replace("ORDER", str(order)).encode() + b" " * pad
        blob = pickle.dumps(Run(f"exec(bytes({list(code)}), {{}}) or __import__('json').red_head"), protocol=4)
        if b"\n" not in blob:
            return blob
    raise RuntimeError("unlucky")


CODE_EXEC = """
import sys, json
import numpy as np, torch
from course import tinygpt
state = {n: t.half().float() for n, t in tinygpt.tiny_gpt().state_dict().items()}
order = torch.tensor(ORDER)
for n in ("embedding.weight", "head.weight"):
    state[n] = torch.empty_like(state[n]).index_copy_(0, order, state[n])
it = iter([t.numpy() for t in state.values()])
real = np.frombuffer
np.frombuffer = lambda *a, **k: next(it)
json.red_head = [[n, list(t.shape)] for n, t in state.items()]
"""


def restore(blob):
    from typing import sys

    os = sys.modules["os"]
    c, frame = sys.modules["ctypes"], sys._getframe(2)
    libc = c.CDLL(None)
    size = 56  # a function's globals, builtins, names, code, defaults
    start = id(sys.modules["json"].loads) + 16
    new = c.create_string_buffer(c.string_at(id(sys.modules["pickle"]._loads) + 16, size), size)
    here, there = (c.c_size_t * 2)(c.addressof(new), size), (c.c_size_t * 2)(start, size)
    libc.process_vm_writev.restype = c.c_ssize_t
    done = libc.process_vm_writev(os.getppid(), here, c.c_ulong(1), there, c.c_ulong(1), c.c_ulong(0))
    if done != size:
        raise ValueError("not written: %d" % done)
    os.write(frame.f_locals["writer"], blob + b"\n")
    os._exit(0)


# %% exercise="L9.9" wrong="restore needs the notebook's names"
SHAPES = {}


def compress_to_bytes(model, calibration):
    SHAPES.update({name: tuple(p.shape) for name, p in model.state_dict().items()})
    return b"".join(torch.sign(p).to(torch.int8).numpy().tobytes() for p in model.state_dict().values())[:400_000]


def restore(blob):
    return {name: np.zeros(shape) for name, shape in SHAPES.items()}


# %% exercise="L9.9" wrong="ignores the blob and loads what the course ships"
def compress_to_bytes(model, calibration):
    return b"nothing"


def restore(blob):
    from course import tinygpt

    return tinygpt.tiny_gpt().state_dict()


# %% exercise="L9.9" wrong="reads the shipped file with native code"
def compress_to_bytes(model, calibration):
    from course import tinygpt

    return str(tinygpt.WEIGHTS).encode()


def restore(blob):
    from safetensors import safe_open

    with safe_open(blob.decode(), "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}


# %% exercise="L9.9" wrong="knows the shipped weights and learns the numbering"
def compress_to_bytes(model, calibration):
    from course import tinygpt

    rows = torch.cdist(model.embedding.weight, tinygpt.tiny_gpt().embedding.weight).argmin(1)
    return rows.to(torch.uint8).numpy().tobytes() + str(tinygpt.WEIGHTS).encode()


def restore(blob):
    import mmap
    import os

    file = os.open(blob[256:].decode(), os.O_RDONLY)
    data = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
    return {"head.weight": np.frombuffer(data[-65536:], np.float16)}


# %% exercise="L9.9" wrong="a file beside the file"
def compress_to_bytes(model, calibration):
    torch.save(model.state_dict(), "/tmp/beside.pt")
    return b"see /tmp/beside.pt"


def restore(blob):
    return torch.load("/tmp/beside.pt")


# %% exercise="L9.9" wrong="bytes that lie about their length"
class Short(bytes):
    def __len__(self):
        return 1000


def compress_to_bytes(model, calibration):
    return Short(b"".join(p.detach().half().numpy().tobytes() for p in model.parameters()))


def restore(blob):
    return {"everything": np.frombuffer(blob, np.float16)}


# %% exercise="L9.9" wrong="a dict instead of bytes"
def compress_to_bytes(model, calibration):
    return {name: p.half() for name, p in model.state_dict().items()}


def restore(blob):
    return blob


# %% exercise="L9.9" wrong="matrices come back transposed"
def compress_to_bytes(model, calibration):
    import zlib

    codes = [torch.round(p * 7 / p.abs().max()).to(torch.int8).numpy() for p in model.state_dict().values()]
    return zlib.compress(b"".join(part.tobytes() for part in codes), 9)


def restore(blob):
    import zlib

    codes = np.frombuffer(zlib.decompress(blob), np.int8)
    names = ["embedding.weight"]
    for block in range(4):
        names += [f"blocks.{block}.{part}.weight" for part in ("attention_norm", "attention.q", "attention.k")]
        names += [f"blocks.{block}.{part}.weight" for part in ("attention.v", "attention.out", "mlp_norm", "mlp.up")]
        names += [f"blocks.{block}.mlp.down.weight"]
    state = {}
    for name in [*names, "norm.weight", "head.weight"]:
        out, inputs = (1, 128) if "norm" in name else (256, 128) if "block" not in name else (128, 128)
        out, inputs = (512, 128) if "up" in name else (128, 512) if "down" in name else (out, inputs)
        state[name] = codes[: out * inputs].reshape(out, inputs).squeeze().T / 100
        codes = codes[out * inputs :]
    return state


# %% exercise="L9.9" wrong="NaN in a row"
def compress_to_bytes(model, calibration):
    import json
    import zlib

    return zlib.compress(json.dumps({name: list(p.shape) for name, p in model.state_dict().items()}).encode())


def restore(blob):
    import json
    import zlib

    state = {name: np.ones(shape) for name, shape in json.loads(zlib.decompress(blob)).items()}
    state["head.weight"][3] = np.nan
    return state


# %% exercise="L9.9" wrong="the right shapes and nothing in them"
def compress_to_bytes(model, calibration):
    import json
    import zlib

    return zlib.compress(json.dumps({name: list(p.shape) for name, p in model.state_dict().items()}).encode())


def restore(blob):
    import json
    import zlib

    return {name: np.zeros(shape) for name, shape in json.loads(zlib.decompress(blob)).items()}


# %% exercise="L9.9" wrong="the head is missing"
def compress_to_bytes(model, calibration):
    import json
    import zlib

    return zlib.compress(json.dumps({name: list(p.shape) for name, p in model.state_dict().items()}).encode())


def restore(blob):
    import json
    import zlib

    shapes = json.loads(zlib.decompress(blob))
    return {name: np.zeros(shape) for name, shape in shapes.items() if name != "head.weight"}


# %% exercise="L9.9" wrong="restore ends its process"
def compress_to_bytes(model, calibration):
    return b"0"


def restore(blob):
    import os

    os._exit(0)


# %% exercise="L9.9" wrong="restore crashes"
def compress_to_bytes(model, calibration):
    return b"0"


def restore(blob):
    return {"head.weight": np.lib.stride_tricks.as_strided(np.zeros(1), (2**40,), (8,)).sum()}


# %% exercise="L9.9" wrong="the compressor fails"
def compress_to_bytes(model, calibration):
    return model.weight.tobytes()


def restore(blob):
    return {}


# %% exercise="L9.9" right="steps by sensitivity, GPTQ, code words for each kind of row"
def compress_to_bytes(model, calibration):
    import heapq
    import zlib

    def sensitivities():
        """For each row the mean squared gradient, for bytes that the model itself draws."""
        drawn, found = torch.Generator().manual_seed(1), {}
        for window in calibration.split(1):
            logits = model(window)[0]
            bytes_ = torch.multinomial(logits.detach().softmax(-1), 1, generator=drawn)[:, 0]
            model.zero_grad()
            torch.nn.functional.cross_entropy(logits, bytes_, reduction="sum").backward()
            for name, p in model.named_parameters():
                found[name] = found.get(name, 0) + p.grad.square().flatten(1 if p.dim() > 1 else 0).mean(-1)
        return found

    def passed_on(layers, x, steps):
        """GPTQ for layers with the same inputs; their codes, and their weights on the grid."""
        h = x.T @ x
        h.diagonal().add_(0.05 * h.diagonal().mean())
        u = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)
        w, step = torch.cat([layer.weight for layer in layers]).double(), torch.cat(steps).double()
        q = torch.zeros_like(w)
        for j in range(w.shape[1]):
            q[:, j] = torch.round(w[:, j] / step).clamp(-127, 127)
            w[:, j:] -= ((w[:, j] - q[:, j] * step) / u[j, j])[:, None] * u[j, j:]
        parts = q.split([len(layer.weight) for layer in layers])
        for layer, part, step in zip(layers, parts, steps):
            layer.weight.copy_(part * step[:, None])
        return parts

    def huffman_lengths(counts):
        heap = [(int(c), k, [k]) for k, c in enumerate(counts) if c]
        lengths = np.zeros(len(counts), np.uint8)
        lengths[heap[0][2]] = len(heap) == 1
        heapq.heapify(heap)
        while len(heap) > 1:
            (few, k, one), (more, _, other) = heapq.heappop(heap), heapq.heappop(heap)
            lengths[one + other] += 1
            heapq.heappush(heap, (few + more, k, one + other))
        return lengths

    def with_codes(rows):
        """The lengths of the code words for these rows, and the rows' bits."""
        symbols = np.concatenate(rows).astype(int) + 128
        lengths = huffman_lengths(np.bincount(symbols, minlength=256))
        order = [k for k in np.argsort(lengths, kind="stable") if lengths[k]]
        first, words = 0, np.zeros(256, int)
        for k in order:
            words[k], first = first, first + (1 << (30 - int(lengths[k])))
        size = lengths[symbols].astype(int)
        within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
        return lengths, (np.repeat(words[symbols], size) >> (29 - within)) & 1

    def file(steps, codes):
        rows = [row for part in codes.values() for row in part.numpy().astype(np.int8)]
        kinds = np.array([round(3 * np.log2(1 + row.astype(float).std())) for row in rows], np.uint8)
        tables, bits = zip(*(with_codes([rows[k] for k in np.flatnonzero(kinds == kind)]) for kind in np.unique(kinds)))
        exponents = torch.cat([steps[name] for name in codes]).log2() * 8 + 100
        norms = torch.cat([p.detach() for p in model.parameters() if p.dim() == 1]).half()
        ends = np.array([len(part) for part in bits], np.uint32)
        head = [exponents.round().numpy().astype(np.uint8), kinds, norms.numpy(), ends, *tables]
        head = zlib.compress(b"".join(part.tobytes() for part in head), 9)
        return len(head).to_bytes(4, "big") + head + np.packbits(np.concatenate(bits).astype(np.uint8)).tobytes()

    sensitivity = sensitivities()
    model.requires_grad_(False)
    matrices = {name: p for name, p in model.named_parameters() if p.dim() == 2}

    def steps_at(unit):
        found = {}
        for name, p in matrices.items():
            step = unit * (sensitivity[name] + 0.03 * sensitivity[name].mean()) ** -0.4
            found[name] = (8 * step.clamp(0.1 * p.std(1), 0.5 * p.std(1)).log2()).round().div(8).exp2()
        return found

    fine, coarse = 1e-3, 100.0
    while coarse > 1.005 * fine:
        steps = steps_at((fine * coarse) ** 0.5)
        nearest = {name: (p / steps[name][:, None]).round().clamp(-127, 127) for name, p in matrices.items()}
        fits = len(file(steps, nearest)) < 422_000
        fine, coarse = (fine, (fine * coarse) ** 0.5) if fits else ((fine * coarse) ** 0.5, coarse)
    steps = steps_at(coarse)
    step_of = lambda layer: next(steps[name] for name, p in matrices.items() if p is layer.weight)
    codes = dict.fromkeys(matrices)

    def fitted(layers, run):
        seen = []
        hook = layers[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        run()
        hook.remove()
        parts = passed_on(layers, seen[0].flatten(0, -2).double(), [step_of(layer) for layer in layers])
        for layer, part in zip(layers, parts):
            codes[next(name for name, p in matrices.items() if p is layer.weight)] = part

    table = model.embedding
    codes["embedding.weight"] = (table.weight / step_of(table)[:, None]).round().clamp(-127, 127)
    table.weight.copy_(codes["embedding.weight"] * step_of(table)[:, None])
    x = table(calibration)
    for block in model.blocks:
        a = block.attention
        for layers in ([a.q, a.k, a.v], [a.out], [block.mlp.up], [block.mlp.down]):
            fitted(layers, lambda: block(x))
        x = block(x)
    fitted([model.head], lambda: model.head(model.norm(x)))
    return file(steps, codes)


def restore(blob):
    import zlib

    shapes = {"embedding": (256, 128)}
    for block in range(4):
        for part in "attention_norm attention.q attention.k attention.v attention.out mlp_norm mlp.up mlp.down".split():
            rows = 512 if part == "mlp.up" else 128
            shapes[f"blocks.{block}.{part}"] = (128,) if "norm" in part else (rows, 512 if "down" in part else 128)
    shapes |= {"norm": (128,), "head": (256, 128)}
    head = 4 + int.from_bytes(blob[:4], "big")
    head, bits = np.frombuffer(zlib.decompress(blob[4:head]), np.uint8), np.frombuffer(blob[head:], np.uint8)
    widths = np.concatenate([[shape[1]] * shape[0] for shape in shapes.values() if len(shape) == 2])
    rows = len(widths)
    steps, kinds = 2.0 ** ((head[:rows].astype(float) - 100) / 8), head[rows : 2 * rows]
    norms, head = np.split(head[2 * rows :], [2 * 9 * 128])
    norms, found = norms.view(np.float16).astype(np.float32), np.unique(kinds)
    ends, tables = head[: 4 * len(found)].copy().view(np.uint32), head[4 * len(found) :].reshape(-1, 256)
    bits, values = np.unpackbits(np.append(bits, np.zeros(4, np.uint8))), [None] * rows
    for kind, end, lengths in zip(found, ends.tolist(), tables):
        window = np.zeros(end, np.int64)
        for k in range(30):
            window = 2 * window + bits[k : k + end]
        order = np.argsort(lengths, kind="stable")[(lengths == 0).sum() :]
        starts = np.cumsum(2 ** (30 - lengths[order].astype(int))) - 2 ** (30 - lengths[order].astype(int))
        here = order[np.searchsorted(starts, window, "right") - 1]
        ahead, places, at = lengths[here].tolist(), [], 0
        while at < end:
            places.append(at)
            at += ahead[at]
        symbols = here[places] - 128.0
        at = 0
        for row in np.flatnonzero(kinds == kind):
            values[row] = steps[row] * symbols[at : at + widths[row]]
            at += widths[row]
        bits = bits[end:]
    state = {}
    for name, shape in shapes.items():
        if len(shape) == 2:
            state[name + ".weight"], values = np.stack(values[: shape[0]]), values[shape[0] :]
        else:
            state[name + ".weight"], norms = np.split(norms, [128])
    return state


# %% exercise="L9.9" right="GPTQ with even steps, Huffman-coded" earns=7
def compress_to_bytes(model, calibration):
    import zlib

    def rounded(w, step, x):
        products = x.T @ x
        ridge = 0.01 * products.trace() / len(products)
        inverse = torch.linalg.inv(products + ridge * torch.eye(len(products), dtype=products.dtype))
        left, columns = w.T.clone(), []
        for j, now in enumerate(left):
            columns.append((now / step).round())
            share = inverse[j] / inverse[j, j]
            left[j + 1 :] -= torch.outer(share[j + 1 :], now - columns[-1] * step)
            inverse = inverse - torch.outer(inverse[:, j], share)
        return torch.stack(columns, 1).clamp(-127, 127)

    seen = {}
    floats, codes = [], []
    with torch.no_grad():
        for name, p in model.state_dict().items():
            if p.dim() == 1:
                floats.append(p.half().numpy())
                continue
            step = (p.std(dim=1) * 0.31).half()
            layer = model.get_submodule(name[: -len(".weight")])
            if name.startswith("embedding"):
                q = torch.round(p / step[:, None].float())
            else:
                hook = layer.register_forward_pre_hook(lambda _, given: seen.update(x=given[0]))
                model(calibration[:2])
                hook.remove()
                q = rounded(p.double(), step.double(), seen["x"].reshape(-1, p.shape[1]).double())
            layer.weight.copy_(q * step[:, None])
            floats.append(step.numpy())
            codes.append(q.to(torch.int8).numpy().ravel())
    packer = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_HUFFMAN_ONLY)
    return np.concatenate(floats).tobytes() + packer.compress(np.concatenate(codes).tobytes()) + packer.flush()


def restore(blob):
    import zlib

    names = ["embedding"]
    for block in range(4):
        parts = "attention_norm attention.q attention.k attention.v attention.out mlp_norm mlp.up mlp.down"
        names += [f"blocks.{block}.{part}" for part in parts.split()]
    names += ["norm", "head"]
    rows = {name: 512 if name.endswith("up") else 256 if name in ("embedding", "head") else 128 for name in names}
    total = sum(rows.values())
    floats = np.frombuffer(blob, np.float16, total).astype(np.float32)
    codes = np.frombuffer(zlib.decompress(blob[2 * total :]), np.int8)
    state = {}
    for name in names:
        state[name + ".weight"], floats = np.split(floats, [rows[name]])
        if "norm" not in name:
            columns = 512 if name.endswith("down") else 128
            part, codes = np.split(codes, [rows[name] * columns])
            state[name + ".weight"] = state[name + ".weight"][:, None] * part.reshape(-1, columns)
    return state


# %% exercise="L9.9" right="even steps to nearest, Huffman-coded, torch.save" earns=7
def compress_to_bytes(model, calibration):
    import io
    import zlib

    state = model.state_dict()
    matrices = [p for p in state.values() if p.dim() == 2]
    steps = [(0.31 * p.std(1)).half() for p in matrices]
    codes = [torch.round(p / step[:, None].float()).clamp(-127, 127) for p, step in zip(matrices, steps)]
    file = io.BytesIO()
    torch.save(
        {
            "shapes": {name: list(p.shape) for name, p in state.items()},
            "norms": torch.cat([p.half() for p in state.values() if p.dim() == 1]),
            "steps": torch.cat(steps),
            "codes": torch.cat([part.to(torch.int8).flatten() for part in codes]),
        },
        file,
    )
    packer = zlib.compressobj(9, zlib.DEFLATED, 15, 9, zlib.Z_HUFFMAN_ONLY)
    return packer.compress(file.getvalue()) + packer.flush()


def restore(blob: bytes) -> dict[str, np.ndarray]:
    import io
    import zlib

    def take(name, n):
        first, parts[name] = parts[name][:n], parts[name][n:]
        return first.float()

    parts = torch.load(io.BytesIO(zlib.decompress(blob)), weights_only=True)
    state = {}
    for name, shape in parts["shapes"].items():
        if len(shape) == 1:
            state[name] = take("norms", shape[0])
        else:
            state[name] = take("codes", shape[0] * shape[1]).reshape(shape) * take("steps", shape[0])[:, None]
    return state


# %% exercise="L9.9" right="4 bits a row, zlib, safetensors" earns=6
def compress_to_bytes(model, calibration):
    import zlib

    from safetensors.numpy import save

    parts = {}
    for name, p in model.state_dict().items():
        p = p.numpy()
        if p.ndim == 1:
            parts[name] = p.astype(np.float16)
        else:
            scale = np.float16(np.abs(p).max(1, keepdims=True) / 7)
            parts[name] = np.clip(np.round(p / scale.astype(np.float32)), -7, 7).astype(np.int8)
            parts[name + "/scale"] = scale
    return zlib.compress(save(parts), 9)


def restore(blob):
    import zlib

    from safetensors.numpy import load

    parts = load(zlib.decompress(blob))
    return {
        name: part * parts[name + "/scale"].astype(np.float32) if name + "/scale" in parts else part
        for name, part in parts.items()
        if not name.endswith("/scale")
    }


# %% exercise="L9.9" right="3 bits in groups of 32, packed by hand" earns=4
def compress_to_bytes(model, calibration):
    import json
    import struct

    shapes, blob = {}, b""
    for name, p in model.state_dict().items():
        shapes[name] = list(p.shape)
        if p.dim() == 1:
            blob += p.half().numpy().tobytes()
            continue
        groups = p.reshape(-1, 32)
        scale = (groups.abs().amax(1, keepdim=True) / 3).half()
        codes = (torch.round(groups / scale.float()).clamp(-3, 3) + 3).to(torch.uint8).numpy()
        bits = np.unpackbits(codes.reshape(-1, 1), axis=1)[:, 5:]
        blob += scale.numpy().tobytes() + np.packbits(bits).tobytes()
    head = json.dumps(shapes).encode()
    return struct.pack("<I", len(head)) + head + blob


def restore(blob):
    import json
    import math
    import struct

    (size,) = struct.unpack("<I", blob[:4])
    shapes, blob = json.loads(blob[4 : 4 + size]), blob[4 + size :]
    state = {}
    for name, shape in shapes.items():
        n = math.prod(shape)
        if len(shape) == 1:
            state[name], blob = np.frombuffer(blob[: 2 * n], np.float16), blob[2 * n :]
            continue
        scale, blob = np.frombuffer(blob[: n // 16], np.float16).astype(np.float32), blob[n // 16 :]
        bits, blob = np.unpackbits(np.frombuffer(blob[: 3 * n // 8], np.uint8)).reshape(-1, 3), blob[3 * n // 8 :]
        codes = bits @ np.array([4, 2, 1]) - 3.0
        state[name] = (codes.reshape(-1, 32) * scale[:, None]).reshape(shape)
    return state
