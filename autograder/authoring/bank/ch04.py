# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# ## 4.1 Sum of the survivors

# %% exercise="4.1" right="the number"
ex_4_1 = 1.5

# %% exercise="4.1" right="computed with NumPy"
w = np.array([0.5, -0.1, 0.8, -0.02, 0.3, -0.7, 0.05, 0.9])
ex_4_1 = w[np.abs(w) >= 0.5].sum()

# %% exercise="4.1" right="a torch scalar's float"
ex_4_1 = float(torch.tensor([0.5, 0.8, -0.7, 0.9]).sum())

# %% exercise="4.1" wrong="keeps the largest values, not magnitudes"
ex_4_1 = 0.5 + 0.8 + 0.3 + 0.9

# %% exercise="4.1" wrong="adds magnitudes"
ex_4_1 = 2.9

# %% exercise="4.1" wrong="sum of the pruned ones"
ex_4_1 = 0.23

# %% exercise="4.1" wrong="sum of all"
ex_4_1 = 1.73

# %% exercise="4.1" wrong="prunes five"
ex_4_1 = 0.8 - 0.7 + 0.9

# %% exercise="4.1" wrong="prunes three"
ex_4_1 = 0.5 + 0.8 + 0.3 - 0.7 + 0.9

# %% exercise="4.1" wrong="the survivors as a list"
ex_4_1 = [0.5, 0.8, -0.7, 0.9]

# %% [markdown]
# ## 4.2 Structured or unstructured

# %% exercise="4.2" right="the letter"
ex_4_2 = "B"

# %% exercise="4.2" right="small letter"
ex_4_2 = "b"

# %% exercise="4.2" wrong="a dense routine skips zeros"
ex_4_2 = "A"

# %% exercise="4.2" wrong="only the count of zeros matters"
ex_4_2 = "C"

# %% exercise="4.2" wrong="rows of zeros are noticed"
ex_4_2 = "D"

# %% [markdown]
# ## 4.3 Theoretical speedup at 90 %

# %% exercise="4.3" right="the number"
ex_4_3 = 10

# %% exercise="4.3" right="computed, with rounding noise"
ex_4_3 = 1 / (1 - 0.9)

# %% exercise="4.3" wrong="the share that is left"
ex_4_3 = 0.1

# %% exercise="4.3" wrong="divides by the share that goes"
ex_4_3 = 1 / 0.9

# %% exercise="4.3" wrong="adds what is saved to 1"
ex_4_3 = 1.9

# %% exercise="4.3" wrong="saved over left"
ex_4_3 = 9.0

# %% exercise="4.3" wrong="per cent"
ex_4_3 = 90

# %% exercise="4.3" wrong="both matrices sparse"
ex_4_3 = 100

# %% [markdown]
# ## 4.4 Why the GPU does not get there

# %% exercise="4.4" right="the letter"
ex_4_4 = "C"

# %% exercise="4.4" right="small letter with a space"
ex_4_4 = " c"

# %% exercise="4.4" wrong="additions stay"
ex_4_4 = "A"

# %% exercise="4.4" wrong="multiplies by zeros all the same"
ex_4_4 = "B"

# %% exercise="4.4" wrong="made dense before each product"
ex_4_4 = "D"

# %% [markdown]
# ## 4.5 magnitude_prune


# %% exercise="4.5" right="stable sort"
def magnitude_prune(weights, sparsity):
    if sparsity < 0 or sparsity > 1:
        raise ValueError("sparsity must be in [0, 1]")
    w = np.array(weights, order="C")
    k = int(np.ceil(sparsity * w.size - 1e-9))
    w.reshape(-1)[np.argsort(np.abs(w).reshape(-1), kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" right="plain loop with sorted"
def magnitude_prune(weights, sparsity):
    import math

    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity = {sparsity}")
    w = np.asarray(weights)
    values = w.ravel().tolist()
    k = math.ceil(round(sparsity * len(values), 6))
    for i in sorted(range(len(values)), key=lambda i: abs(values[i]))[:k]:
        values[i] = 0.0
    return np.array(values).reshape(w.shape)


# %% exercise="4.5" right="torch, exact fractions"
def magnitude_prune(weights, sparsity):
    import math
    from fractions import Fraction

    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = torch.as_tensor(np.array(weights)).clone()
    k = math.ceil(Fraction(str(sparsity)) * w.numel())
    order = torch.sort(w.abs().flatten(), stable=True).indices
    w.view(-1)[order[:k]] = 0
    return w


# %% exercise="4.5" right="threshold, then ties one by one"
def magnitude_prune(weights, sparsity):
    if sparsity < 0 or sparsity > 1:
        raise ValueError("sparsity outside 0..1")
    w = np.asarray(weights, dtype=float)
    flat, n = np.abs(w).ravel(), w.size
    k = -int(-round(sparsity * n, 8) // 1)
    if k == 0:
        return w.copy()
    threshold = np.partition(flat, k - 1)[k - 1]
    below = flat < threshold
    ties = np.flatnonzero(flat == threshold)[: k - below.sum()]
    below[ties] = True
    return w * ~below.reshape(w.shape)


# %% exercise="4.5" wrong="prunes by value, not magnitude" likely=true
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights)
    k = int(np.ceil(sparsity * w.size - 1e-9))
    w.reshape(-1)[np.argsort(w, axis=None, kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="prunes the largest"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights)
    k = int(np.ceil(sparsity * w.size - 1e-9))
    w.reshape(-1)[np.argsort(-np.abs(w), axis=None, kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="keeps the share instead of pruning it"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights)
    k = w.size - int(np.ceil(sparsity * w.size - 1e-9))
    w.reshape(-1)[np.argsort(np.abs(w), axis=None, kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="rounds down" likely=true
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights)
    k = int(sparsity * w.size)
    w.reshape(-1)[np.argsort(np.abs(w), axis=None, kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="rounds to the nearest"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights)
    k = round(sparsity * w.size)
    w.reshape(-1)[np.argsort(np.abs(w), axis=None, kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="rounds rounding noise up"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights)
    k = int(np.ceil(sparsity * w.size))
    w.reshape(-1)[np.argsort(np.abs(w), axis=None, kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="threshold takes all ties" likely=true
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.asarray(weights, dtype=float)
    k = int(np.ceil(sparsity * w.size - 1e-9))
    if k == 0:
        return w.copy()
    return np.where(np.abs(w) <= np.sort(np.abs(w), axis=None)[k - 1], 0, w)


# %% exercise="4.5" wrong="threshold keeps all ties"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.asarray(weights, dtype=float)
    k = int(np.ceil(sparsity * w.size - 1e-9))
    if k == w.size:
        return np.zeros_like(w)
    return np.where(np.abs(w) < np.sort(np.abs(w), axis=None)[k], 0, w)


# %% exercise="4.5" wrong="ties: later positions first"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights)
    flat = w.reshape(-1)
    k = int(np.ceil(sparsity * w.size - 1e-9))
    flat[w.size - 1 - np.argsort(np.abs(flat[::-1]), kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="a sort that is not stable"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights)
    k = int(np.ceil(sparsity * w.size - 1e-9))
    w.reshape(-1)[np.argsort(np.abs(w), axis=None)[:k]] = 0
    return w


# %% exercise="4.5" wrong="a quantile, interpolated"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.asarray(weights, dtype=float)
    return np.where(np.abs(w) < np.quantile(np.abs(w), sparsity), 0, w)


# %% exercise="4.5" wrong="sparsity times the largest weight as threshold"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.asarray(weights, dtype=float)
    return np.where(np.abs(w) < sparsity * np.abs(w).max(), 0, w)


# %% exercise="4.5" wrong="prunes k more beside the zeros"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights, dtype=float)
    flat = w.reshape(-1)
    k = int(np.ceil(sparsity * w.size - 1e-9))
    alive = np.flatnonzero(flat)
    flat[alive[np.argsort(np.abs(flat[alive]), kind="stable")[:k]]] = 0
    return w


# %% exercise="4.5" wrong="each row on its own" likely=true
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights, dtype=float)
    k = int(np.ceil(sparsity * w.shape[-1] - 1e-9))
    order = np.argsort(np.abs(w), axis=-1, kind="stable")[..., :k]
    np.put_along_axis(w, order, 0, axis=-1)
    return w


# %% exercise="4.5" wrong="returns the mask"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.asarray(weights)
    k = int(np.ceil(sparsity * w.size - 1e-9))
    mask = np.ones(w.size)
    mask[np.argsort(np.abs(w), axis=None, kind="stable")[:k]] = 0
    return mask.reshape(w.shape)


# %% exercise="4.5" wrong="flattens"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights).ravel()
    k = int(np.ceil(sparsity * w.size - 1e-9))
    w[np.argsort(np.abs(w), kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="writes into its input" likely=true
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.asarray(weights)
    k = int(np.ceil(sparsity * w.size - 1e-9))
    w.reshape(-1)[np.argsort(np.abs(w), axis=None, kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="accepts nonsense"
def magnitude_prune(weights, sparsity):
    w = np.array(weights)
    k = int(np.ceil(sparsity * w.size - 1e-9))
    w.reshape(-1)[np.argsort(np.abs(w), axis=None, kind="stable")[: max(k, 0)]] = 0
    return w


# %% exercise="4.5" wrong="an error that names no argument"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("must be a share")
    w = np.array(weights)
    k = int(np.ceil(sparsity * w.size - 1e-9))
    w.reshape(-1)[np.argsort(np.abs(w), axis=None, kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="rounds to the nearest, halves up" likely=true
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights, order="C")
    k = int(sparsity * w.size + 0.5)
    w.reshape(-1)[np.argsort(np.abs(w), axis=None, kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="a guard relative to the product, a thousand times as wide for a thousand weights"
def magnitude_prune(weights, sparsity):
    import math

    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights, order="C")
    k = sparsity * w.size
    k = round(k) if math.isclose(k, round(k)) else math.ceil(k)
    w.reshape(-1)[np.argsort(np.abs(w), axis=None, kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="a guard of three digits"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights, order="C")
    k = int(np.ceil(round(sparsity * w.size, 3)))
    w.reshape(-1)[np.argsort(np.abs(w), axis=None, kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="a transposed array comes back as it was"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights)  # keeps the order in memory
    k = int(np.ceil(sparsity * w.size - 1e-9))
    w.reshape(-1)[np.argsort(np.abs(w), axis=None, kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" wrong="counts positions as they are stored, not row by row"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.array(weights)
    flat = w.ravel(order="K")
    k = int(np.ceil(sparsity * w.size - 1e-9))
    flat[np.argsort(np.abs(flat), kind="stable")[:k]] = 0
    return w if np.shares_memory(flat, w) else flat.reshape(w.shape)


# %% exercise="4.5" wrong="changes a list that it is given"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    flat = weights if isinstance(weights, list) and not isinstance(weights[0], list) else list(np.ravel(weights))
    k = int(np.ceil(sparsity * len(flat) - 1e-9))
    for i in np.argsort(np.abs(flat), kind="stable")[:k]:
        flat[i] = 0.0
    return np.array(flat).reshape(np.shape(weights))


# %% exercise="4.5" wrong="compares in half precision"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.asarray(weights)
    k = int(np.ceil(sparsity * w.size - 1e-9))
    kept = np.ones(w.size, dtype=bool)
    with np.errstate(all="ignore"):
        kept[np.argsort(np.abs(w).astype(np.float16), axis=None, kind="stable")[:k]] = False
    return np.where(kept.reshape(w.shape), w, 0)


# %% exercise="4.5" wrong="sorts by the negative, which wraps in unsigned integers"
def magnitude_prune(weights, sparsity):
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    w = np.asarray(weights)
    k = int(np.ceil(sparsity * w.size - 1e-9))
    kept = np.zeros(w.size, dtype=bool)
    kept[np.argsort(-np.abs(w).ravel()[::-1], kind="stable")[: w.size - k]] = True
    return np.where(kept[::-1].reshape(w.shape), w, 0)


# %% exercise="4.5" wrong="a sparsity a little above 1 is taken for 1"
def magnitude_prune(weights, sparsity):
    if not -0.01 <= sparsity <= 1.01:
        raise ValueError("sparsity")
    w = np.array(weights, order="C")
    k = max(int(np.ceil(sparsity * w.size - 1e-9)), 0)
    w.reshape(-1)[np.argsort(np.abs(w), axis=None, kind="stable")[:k]] = 0
    return w


# %% exercise="4.5" right="a heap of the smallest, exact fractions"
def magnitude_prune(weights, sparsity):
    import heapq
    import math
    from fractions import Fraction

    if sparsity < 0 or sparsity > 1:
        raise ValueError("sparsity is no share")
    w = np.asarray(weights)
    flat = [float(value) for value in w.flatten()]
    product = Fraction(sparsity) * len(flat)
    nearest = round(product)
    k = nearest if abs(product - nearest) < Fraction(1, 10**9) else math.ceil(product)
    for i in heapq.nsmallest(k, range(len(flat)), key=lambda i: (abs(flat[i]), i)):
        flat[i] = 0
    return np.reshape(flat, w.shape)


# %% [markdown]
# ## 4.6 Order of the steps

# %% exercise="4.6" right="a list"
ex_4_6 = ["train", "score", "mask", "apply", "finetune"]

# %% exercise="4.6" right="a tuple, capitals"
ex_4_6 = ("Train", "Score", "Mask", "Apply", "Finetune")

# %% exercise="4.6" wrong="scores untrained weights"
ex_4_6 = ["score", "mask", "apply", "train", "finetune"]

# %% exercise="4.6" wrong="fine-tunes before it prunes"
ex_4_6 = ["train", "finetune", "score", "mask", "apply"]

# %% exercise="4.6" wrong="applies after fine-tuning"
ex_4_6 = ["train", "score", "mask", "finetune", "apply"]

# %% exercise="4.6" wrong="mask before scores"
ex_4_6 = ["train", "mask", "score", "apply", "finetune"]

# %% exercise="4.6" wrong="applies before there is a mask"
ex_4_6 = ["train", "score", "apply", "mask", "finetune"]

# %% exercise="4.6" wrong="leaves one out"
ex_4_6 = ["train", "score", "mask", "apply"]

# %% exercise="4.6" wrong="one string"
ex_4_6 = "train score mask apply finetune"

# %% [markdown]
# ## L4.7 prune_neurons


# %% exercise="L4.7" right="NumPy take"
def prune_neurons(w1, b1, w2, keep):
    w1, b1, w2, keep = map(np.asarray, (w1, b1, w2, keep))
    if len(b1) != len(w1):
        raise ValueError("b1 does not fit w1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2 does not fit w1")
    if keep.min() < 0 or keep.max() >= len(w1) or len(np.unique(keep)) != len(keep):
        raise ValueError("keep")
    return np.take(w1, keep, axis=0), np.take(b1, keep), np.take(w2, keep, axis=1)


# %% exercise="L4.7" right="plain lists"
def prune_neurons(w1, b1, w2, keep):
    n = len(w1)
    if len(b1) != n:
        raise ValueError(f"b1 has {len(b1)} entries, w1 {n} rows")
    if any(len(row) != n for row in w2):
        raise ValueError(f"w2 needs {n} columns")
    seen = set()
    for i in keep:
        if i < 0 or i >= n or i in seen:
            raise ValueError(f"keep: {i}")
        seen.add(i)
    return [list(w1[i]) for i in keep], [b1[i] for i in keep], [[row[i] for i in keep] for row in w2]


# %% exercise="L4.7" right="torch"
def prune_neurons(w1, b1, w2, keep):
    w1, b1, w2 = (torch.as_tensor(part) for part in (w1, b1, w2))
    keep = torch.as_tensor(np.asarray(keep), dtype=torch.long)
    if b1.shape != w1.shape[:1]:
        raise ValueError("shape of b1")
    if w2.shape[1] != w1.shape[0]:
        raise ValueError("shape of w2")
    if (keep < 0).any() or (keep >= len(w1)).any() or len(keep.unique()) < len(keep):
        raise ValueError("keep holds nonsense")
    return [w1[keep].clone(), b1[keep].clone(), w2[:, keep].clone()]


# %% exercise="L4.7" right="a selection matrix"
def prune_neurons(w1, b1, w2, keep):
    w1, b1, w2, keep = np.asarray(w1), np.asarray(b1), np.asarray(w2), list(keep)
    if b1.shape != (w1.shape[0],):
        raise ValueError("b1")
    if w2.shape[1:] != (w1.shape[0],):
        raise ValueError("w2")
    if len(set(map(int, keep))) != len(keep) or min(keep) < 0 or max(keep) >= w1.shape[0]:
        raise ValueError("keep")
    select = np.eye(w1.shape[0])[keep]
    return select @ w1, select @ b1, w2 @ select.T


# %% exercise="L4.7" wrong="sets to zero and keeps the shape" likely=true
def prune_neurons(w1, b1, w2, keep):
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    if min(keep) < 0 or max(keep) >= len(w1) or len(set(map(int, keep))) < len(keep):
        raise ValueError("keep")
    mask = np.zeros(len(w1))
    mask[list(keep)] = 1
    return w1 * mask[:, None], b1 * mask, w2 * mask


# %% exercise="L4.7" wrong="forgets the columns of w2" likely=true
def prune_neurons(w1, b1, w2, keep):
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    keep = list(map(int, keep))
    if min(keep) < 0 or max(keep) >= len(w1) or len(set(keep)) < len(keep):
        raise ValueError("keep")
    return w1[keep], b1[keep], w2


# %% exercise="L4.7" wrong="takes rows of w2" likely=true
def prune_neurons(w1, b1, w2, keep):
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    keep = list(map(int, keep))
    if min(keep) < 0 or max(keep) >= len(w1) or len(set(keep)) < len(keep):
        raise ValueError("keep")
    return w1[keep], b1[keep], w2[keep]


# %% exercise="L4.7" wrong="takes columns of w1"
def prune_neurons(w1, b1, w2, keep):
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    keep = list(map(int, keep))
    if min(keep) < 0 or max(keep) >= len(w1) or len(set(keep)) < len(keep):
        raise ValueError("keep")
    return w1[:, keep], b1[keep], w2[:, keep]


# %% exercise="L4.7" wrong="removes what it should keep"
def prune_neurons(w1, b1, w2, keep):
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    keep = list(map(int, keep))
    if min(keep) < 0 or max(keep) >= len(w1) or len(set(keep)) < len(keep):
        raise ValueError("keep")
    return np.delete(w1, keep, 0), np.delete(b1, keep), np.delete(w2, keep, 1)


# %% exercise="L4.7" wrong="forgets the bias"
def prune_neurons(w1, b1, w2, keep):
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    keep = list(map(int, keep))
    if min(keep) < 0 or max(keep) >= len(w1) or len(set(keep)) < len(keep):
        raise ValueError("keep")
    return w1[keep], np.zeros(len(keep)), w2[:, keep]


# %% exercise="L4.7" wrong="ignores the order of keep in w2" likely=true
def prune_neurons(w1, b1, w2, keep):
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    keep = list(map(int, keep))
    if min(keep) < 0 or max(keep) >= len(w1) or len(set(keep)) < len(keep):
        raise ValueError("keep")
    return w1[keep], b1[keep], w2[:, sorted(keep)]


# %% exercise="L4.7" wrong="writes into w2"
def prune_neurons(w1, b1, w2, keep):
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    keep = list(map(int, keep))
    if min(keep) < 0 or max(keep) >= len(w1) or len(set(keep)) < len(keep):
        raise ValueError("keep")
    small = w2[:, keep]
    w2[:, [i for i in range(len(w1)) if i not in keep]] = 0
    return w1[keep], b1[keep], small


# %% exercise="L4.7" wrong="accepts a negative index"
def prune_neurons(w1, b1, w2, keep):
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    keep = list(map(int, keep))
    if max(keep) >= len(w1) or len(set(keep)) < len(keep):
        raise ValueError("keep")
    return w1[keep], b1[keep], w2[:, keep]


# %% exercise="L4.7" wrong="accepts nonsense"
def prune_neurons(w1, b1, w2, keep):
    keep = list(map(int, keep))
    return w1[keep], b1[keep], w2[:, keep]


# %% exercise="L4.7" wrong="a single bias for all neurons passes"
def prune_neurons(w1, b1, w2, keep):
    keep = list(map(int, keep))
    if len(b1) not in (1, len(w1)):
        raise ValueError("b1")
    b1 = np.broadcast_to(b1, len(w1))
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    if min(keep) < 0 or max(keep) >= len(w1) or len(set(keep)) < len(keep):
        raise ValueError("keep")
    return w1[keep], b1[keep], w2[:, keep]


# %% exercise="L4.7" wrong="a w2 of one column passes"
def prune_neurons(w1, b1, w2, keep):
    keep = list(map(int, keep))
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] not in (1, len(w1)):
        raise ValueError("w2")
    w2 = np.broadcast_to(w2, (len(w2), len(w1)))
    if min(keep) < 0 or max(keep) >= len(w1) or len(set(keep)) < len(keep):
        raise ValueError("keep")
    return w1[keep], b1[keep], w2[:, keep]


# %% exercise="L4.7" wrong="looks at the first and the last of keep only"
def prune_neurons(w1, b1, w2, keep):
    keep = list(map(int, keep))
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    if any(not 0 <= i < len(w1) for i in (keep[0], keep[-1])) or len(set(keep)) < len(keep):
        raise ValueError("keep")
    return (
        [w1[i % len(w1)] for i in keep],
        [b1[i % len(w1)] for i in keep],
        [[row[i % len(w1)] for i in keep] for row in w2],
    )


# %% exercise="L4.7" wrong="the same number twice passes in an array"
def prune_neurons(w1, b1, w2, keep):
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    if isinstance(keep, list) and len(set(keep)) < len(keep):
        raise ValueError("keep")
    keep = list(map(int, keep))
    if min(keep) < 0 or max(keep) >= len(w1):
        raise ValueError("keep")
    return w1[keep], b1[keep], w2[:, keep]


# %% exercise="L4.7" wrong="the neurons come in the order of w1" likely=true
def prune_neurons(w1, b1, w2, keep):
    kept = sorted(map(int, keep))
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    if kept[0] < 0 or kept[-1] >= len(w1) or len(set(kept)) < len(kept):
        raise ValueError("keep")
    return w1[kept], b1[kept], w2[:, kept]


# %% exercise="L4.7" wrong="empties keep while it works"
def prune_neurons(w1, b1, w2, keep):
    if len(b1) != len(w1):
        raise ValueError("b1")
    if w2.shape[1] != len(w1):
        raise ValueError("w2")
    if min(keep) < 0 or max(keep) >= len(w1) or len(set(map(int, keep))) < len(keep):
        raise ValueError("keep")
    keep = keep if isinstance(keep, list) else keep.tolist()
    small = [], [], [[] for _ in w2]
    while keep:
        i = keep.pop(0)
        small[0].append(w1[i])
        small[1].append(b1[i])
        for row, whole in zip(small[2], w2):
            row.append(whole[i])
    return small


# %% [markdown]
# ## L4.8 mask_2_4


# %% exercise="L4.8" right="sort in groups"
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4 != 0:
        raise ValueError("the last axis of w must be divisible by 4")
    ranks = np.argsort(np.argsort(np.abs(w).reshape(-1, 4), axis=1, kind="stable"), axis=1)
    return (ranks >= 2).astype(int).reshape(w.shape)


# %% exercise="L4.8" right="plain loop"
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError(f"w has shape {w.shape}")
    flat, mask = w.ravel(), np.ones(w.size)
    for start in range(0, w.size, 4):
        for i in sorted(range(start, start + 4), key=lambda i: abs(flat[i]))[:2]:
            mask[i] = 0
    return mask.reshape(w.shape)


# %% exercise="L4.8" right="torch, boolean"
def mask_2_4(w):
    w = torch.as_tensor(w)
    if w.shape[-1] % 4:
        raise ValueError("w: last axis")
    groups = w.abs().reshape(-1, 4)
    order = torch.sort(groups, dim=1, stable=True).indices
    mask = torch.ones(groups.shape, dtype=torch.bool).scatter(1, order[:, :2], False)
    return mask.reshape(w.shape)


# %% exercise="L4.8" right="pairwise comparisons"
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    a = np.abs(w).reshape(*w.shape[:-1], -1, 4)
    later = np.arange(4)[None, :] > np.arange(4)[:, None]
    beaten = (a[..., None, :] > a[..., :, None]) | ((a[..., None, :] == a[..., :, None]) & later)
    return (beaten.sum(-1) < 2).reshape(w.shape)


# %% exercise="L4.8" wrong="largest values, not magnitudes" likely=true
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    ranks = np.argsort(np.argsort(w.reshape(-1, 4), axis=1, kind="stable"), axis=1)
    return (ranks >= 2).reshape(w.shape)


# %% exercise="L4.8" wrong="half of the whole array" likely=true
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    mask = np.ones(w.size, dtype=bool)
    mask[np.argsort(np.abs(w), axis=None, kind="stable")[: w.size // 2]] = False
    return mask.reshape(w.shape)


# %% exercise="L4.8" wrong="the smallest two"
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    ranks = np.argsort(np.argsort(np.abs(w).reshape(-1, 4), axis=1, kind="stable"), axis=1)
    return (ranks < 2).reshape(w.shape)


# %% exercise="L4.8" wrong="ties: keeps the earlier" likely=true
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    ranks = np.argsort(np.argsort(-np.abs(w).reshape(-1, 4), axis=1, kind="stable"), axis=1)
    return (ranks < 2).reshape(w.shape)


# %% exercise="L4.8" wrong="a threshold that keeps all ties"
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    groups = np.abs(w).reshape(-1, 4)
    return (groups >= np.sort(groups, axis=1)[:, 2:3]).reshape(w.shape)


# %% exercise="L4.8" wrong="one of every two"
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    pairs = np.abs(w).reshape(-1, 2)
    return np.stack([pairs[:, 0] > pairs[:, 1], pairs[:, 0] <= pairs[:, 1]], 1).reshape(w.shape)


# %% exercise="L4.8" wrong="groups along the first axis" likely=true
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    groups = np.abs(w.T).reshape(-1, 4) if w.size % 4 == 0 else np.abs(w)
    ranks = np.argsort(np.argsort(groups, axis=1, kind="stable"), axis=1)
    return (ranks >= 2).reshape(w.T.shape).T


# %% exercise="L4.8" wrong="strided groups: columns i, i + n/4, ..."
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    groups = np.swapaxes(np.abs(w).reshape(*w.shape[:-1], 4, -1), -1, -2)
    ranks = np.argsort(np.argsort(groups, axis=-1, kind="stable"), axis=-1)
    return np.swapaxes(ranks >= 2, -1, -2).reshape(w.shape)


# %% exercise="L4.8" wrong="returns the pruned weights" likely=true
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    ranks = np.argsort(np.argsort(np.abs(w).reshape(-1, 4), axis=1, kind="stable"), axis=1)
    return w * (ranks >= 2).reshape(w.shape)


# %% exercise="L4.8" wrong="only checks the size, not the last axis"
def mask_2_4(w):
    w = np.asarray(w)
    if w.size % 4:
        raise ValueError("w")
    ranks = np.argsort(np.argsort(np.abs(w).reshape(-1, 4), axis=1, kind="stable"), axis=1)
    return (ranks >= 2).reshape(w.shape)


# %% exercise="L4.8" wrong="breaks ties by a little noise, which outweighs small weights"
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    groups = np.abs(w).reshape(-1, 4) + 1e-9 * np.arange(4)
    ranks = np.argsort(np.argsort(groups, axis=1), axis=1)
    return (ranks >= 2).reshape(w.shape)


# %% exercise="L4.8" wrong="compares in half precision"
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    with np.errstate(all="ignore"):
        groups = np.abs(w).astype(np.float16).reshape(-1, 4)
    ranks = np.argsort(np.argsort(groups, axis=1, kind="stable"), axis=1)
    return (ranks >= 2).reshape(w.shape)


# %% exercise="L4.8" wrong="compares squares, which wrap in small integers"
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    ranks = np.argsort(np.argsort((w * w).reshape(-1, 4), axis=1, kind="stable"), axis=1)
    return (ranks >= 2).reshape(w.shape)


# %% exercise="L4.8" wrong="checks the second axis instead of the last"
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[min(1, w.ndim - 1)] % 4 or w.size % 4:
        raise ValueError("w")
    ranks = np.argsort(np.argsort(np.abs(w).reshape(-1, 4), axis=1, kind="stable"), axis=1)
    return (ranks >= 2).reshape(w.shape)


# %% exercise="L4.8" wrong="groups as they are stored, so a transposed w goes wrong"
def mask_2_4(w):
    w = np.asarray(w)
    if w.shape[-1] % 4:
        raise ValueError("w")
    groups = np.abs(w).ravel(order="K").reshape(-1, 4)
    ranks = np.argsort(np.argsort(groups, axis=1, kind="stable"), axis=1)
    return (ranks >= 2).reshape(w.shape)


# %% [markdown]
# ## L4.9 wanda_scores


# %% exercise="L4.9" right="NumPy norm"
def wanda_scores(w, x):
    w, x = np.asarray(w), np.asarray(x)
    if x.shape[1] != w.shape[1]:
        raise ValueError("x does not fit w")
    return np.abs(w) * np.linalg.norm(x, axis=0)


# %% exercise="L4.9" right="plain loop"
def wanda_scores(w, x):
    if len(x[0]) != len(w[0]):
        raise ValueError(f"x has {len(x[0])} columns, w {len(w[0])}")
    norms = [sum(float(row[j]) ** 2 for row in x) ** 0.5 for j in range(len(x[0]))]
    return [[abs(float(value)) * norm for value, norm in zip(row, norms)] for row in w]


# %% exercise="L4.9" right="torch in float32"
def wanda_scores(w, x):
    w, x = (torch.as_tensor(part, dtype=torch.float32) for part in (w, x))
    if w.shape[1] != x.shape[1]:
        raise ValueError("columns of x")
    return w.abs() * x.pow(2).sum(0).sqrt()


# %% exercise="L4.9" right="einsum"
def wanda_scores(w, x):
    w, x = np.asarray(w, dtype=float), np.asarray(x, dtype=float)
    if w.shape[1] != x.shape[1]:
        raise ValueError("x")
    return np.abs(w) @ np.diag(np.sqrt(np.einsum("sj,sj->j", x, x)))


# %% exercise="L4.9" wrong="forgets the magnitude" likely=true
def wanda_scores(w, x):
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    return w * np.linalg.norm(x, axis=0)


# %% exercise="L4.9" wrong="norm over the inputs of each sample" likely=true
def wanda_scores(w, x):
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    return np.abs(w) * np.linalg.norm(x, axis=1)[: w.shape[1]]


# %% exercise="L4.9" wrong="no root" likely=true
def wanda_scores(w, x):
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    return np.abs(w) * (x**2).sum(0)


# %% exercise="L4.9" wrong="mean over the samples" likely=true
def wanda_scores(w, x):
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    return np.abs(w) * np.sqrt((x**2).mean(0))


# %% exercise="L4.9" wrong="sum of magnitudes instead of the 2-norm"
def wanda_scores(w, x):
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    return np.abs(w) * np.abs(x).sum(0)


# %% exercise="L4.9" wrong="one norm of all of x"
def wanda_scores(w, x):
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    return np.abs(w) * np.linalg.norm(x)


# %% exercise="L4.9" wrong="ignores the input"
def wanda_scores(w, x):
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    return np.abs(w)


# %% exercise="L4.9" wrong="the output instead of the weight"
def wanda_scores(w, x):
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    return np.abs(x @ w.T).sum(0)[:, None] * np.ones(w.shape)


# %% exercise="L4.9" wrong="broadcasts an x that does not fit"
def wanda_scores(w, x):
    w, x = np.asarray(w), np.asarray(x)
    norms = np.sqrt((x**2).sum(0))
    if len(norms) not in (1, w.shape[1]):
        raise ValueError("x")
    return np.abs(w) * norms


# %% exercise="L4.9" wrong="writes into w"
def wanda_scores(w, x):
    w, x = np.asarray(w), np.asarray(x)
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if w.dtype != float:
        w = w.astype(float)
    np.abs(w, out=w)
    w *= np.linalg.norm(x, axis=0)
    return w


# %% exercise="L4.9" wrong="scores in the integer type of w" likely=true
def wanda_scores(w, x):
    w, x = np.asarray(w), np.asarray(x)
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    scores = np.empty_like(w)
    scores[...] = np.abs(w) * np.linalg.norm(x, axis=0)
    return scores


# %% exercise="L4.9" wrong="adds a little to every norm"
def wanda_scores(w, x):
    w, x = np.asarray(w), np.asarray(x)
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    return np.abs(w) * (np.linalg.norm(x, axis=0) + 1e-8)


# %% exercise="L4.9" wrong="half precision"
def wanda_scores(w, x):
    w, x = np.asarray(w), np.asarray(x)
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    with np.errstate(all="ignore"):
        return (np.abs(w) * np.linalg.norm(x, axis=0)).astype(np.float16)


# %% exercise="L4.9" wrong="whole norms for whole inputs"
def wanda_scores(w, x):
    w, x = np.asarray(w), np.asarray(x)
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    return np.abs(w) * np.linalg.norm(x, axis=0).astype(x.dtype)


# %% exercise="L4.9" wrong="at most a thousand samples"
def wanda_scores(w, x):
    w, x = np.asarray(w), np.asarray(x)
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    return np.abs(w) * np.linalg.norm(x[:1000], axis=0)


# %% exercise="L4.9" wrong="squares x in place"
def wanda_scores(w, x):
    w, x = np.asarray(w), np.asarray(x)
    if x.shape[1] != w.shape[1]:
        raise ValueError("x")
    x = x if x.dtype == float else x.astype(float)
    np.square(x, out=x)
    return np.abs(w) * np.sqrt(x.sum(axis=0))


# %% exercise="L4.9" right="column by column, in Python numbers"
def wanda_scores(w, x):
    w, x = np.asarray(w), np.asarray(x)
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("w and x have different numbers of columns")
    scores = np.zeros(w.shape)
    for j in range(w.shape[1]):
        scores[:, j] = np.abs(w[:, j].astype(float)) * sum(value * value for value in x[:, j].tolist()) ** 0.5
    return scores


# %% [markdown]
# ## L4.10 sparsegpt


# %% exercise="L4.10" right="NumPy, all rows at once"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" right="torch, changes of later blocks made in one product"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w = torch.tensor(np.array(w), dtype=torch.float64)
    x = torch.tensor(np.array(x), dtype=torch.float64)
    if w.dim() != 2:
        raise ValueError("w")
    if x.dim() != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if sparsity < 0 or sparsity > 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    d = torch.diagonal(h)
    dead = d == 0
    d[dead] = 1
    w[:, dead] = 0
    d += damp * d.mean()
    u = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)
    n = w.shape[1]
    for start in range(0, n, block):
        end = min(start + block, n)
        part, inside = w[:, start:end].clone(), u[start:end, start:end]
        k = int(round(sparsity * (end - start)))
        mask = torch.zeros_like(part, dtype=torch.bool)
        mask.scatter_(1, torch.topk((part / inside.diagonal()) ** 2, k, dim=1, largest=False).indices, True)
        errors = torch.zeros_like(part)
        for j in range(end - start):
            errors[:, j] = torch.where(mask[:, j], part[:, j], 0.0) / inside[j, j]
            part[:, j + 1 :] -= torch.outer(errors[:, j], inside[j, j + 1 :])
            part[mask[:, j], j] = 0
        w[:, start:end] = part
        w[:, end:] -= errors @ u[start:end, end:]
    return w.numpy()


# %% exercise="L4.10" right="row by row, an inverse from which inputs drop out"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    if np.ndim(w) != 2:
        raise ValueError("w")
    if np.ndim(x) != 2 or np.shape(x)[1] != np.shape(w)[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if not block >= 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    x = np.asarray(x, float)
    n = x.shape[1]
    silent = [j for j in range(n) if not x[:, j].any()]
    h = 2 * x.T @ x
    for j in silent:
        h[j, j] = 1
    h = h + damp * np.trace(h) / n * np.eye(n)
    inverses = [np.linalg.inv(h[j:, j:])[0] for j in range(n)]
    result = []
    for row in np.array(w, dtype=float):
        row[silent] = 0
        for a in range(0, n, block):
            columns = list(range(n))[a : a + block]
            columns.sort(key=lambda j: row[j] ** 2 / inverses[j][0])
            for j in sorted(columns[: round(sparsity * len(columns))]):
                row[j + 1 :] -= row[j] * inverses[j][1:] / inverses[j][0]
                row[j] = 0
        result.append(row.tolist())
    return result


# %% exercise="L4.10" right="the lower factor of the inverse, read by columns, H without the 2 where it cancels"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = x.T @ x
    n = len(h)
    for j in range(n):
        if h[j, j] == 0:
            h[j, j] = 0.5
            w[:, j] = 0
    h[range(n), range(n)] += damp * np.trace(h) / n
    lower = np.linalg.cholesky(np.linalg.inv(h))
    for j in range(n):
        if j % block == 0:
            end = min(j + block, n)
            scores = np.abs(w[:, j:end] / lower.diagonal()[j:end])
            k = int(sparsity * (end - j) + 0.5)
            mask = np.zeros((len(w), n), bool)
            for i, order in enumerate(np.argsort(scores, axis=1)):
                mask[i, j + order[:k]] = True
        change = np.where(mask[:, j], w[:, j], 0)
        w[:, j + 1 :] -= change[:, None] * lower[None, j + 1 :, j] / lower[j, j]
        w[:, j] = w[:, j] - change
    return w


# %% exercise="L4.10" wrong="nothing makes up for what goes" likely=true
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="adds where it has to subtract" likely=true
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] += np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="chooses by magnitude" likely=true
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = np.abs(w[:, a:b])
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="chooses by Wanda's score" likely=true
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = np.abs(w[:, a:b]) * np.linalg.norm(x[:, a:b], axis=0)
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="chooses by the inverse of all inputs"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = w[:, a:b] ** 2 / np.diag(np.linalg.inv(h))[a:b]
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="chooses all zeros at the start" likely=true
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    first = w.copy()
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (first[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="all rows of a block compete, as in the paper" likely=true
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=None)).reshape(scores.shape)
        goes = ranks < round(sparsity * scores.size)
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="takes the largest scores out" likely=true
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks >= (b - a) - round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="sparsity as the share that stays"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round((1 - sparsity) * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="rounds the number down"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < int(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="rounds the number up"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < np.ceil(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="one block, whatever the argument says" likely=true
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    block = n
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="forgets the last, narrower block"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n - n % block if n > block else n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="the count of a full block in the narrower one"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * min(block, n))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="makes up within the block only" likely=true
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 : b] -= np.outer(error, u[j, j + 1 : b])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="Cholesky of H instead of its inverse"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(h).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="the lower factor where the upper one belongs" likely=true
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h))
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="rows of the full inverse at every step"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.inv(h)
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="damping left out" likely=true
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += 1e-9 * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="damp added as it is, not times the mean of the diagonal" likely=true
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="weights of silent inputs stay"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="mean of the diagonal without the ones of silent inputs"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += damp * np.mean(np.diag(h)) * np.eye(len(h)) + np.diag(silent.astype(float))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="returns the mask" likely=true
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return (w != 0).astype(float)


# %% exercise="L4.10" wrong="writes into w"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.asarray(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="in the integer type of w"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    kind = np.asarray(w).dtype
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w.astype(kind)


# %% exercise="L4.10" wrong="H in half precision"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = (2 * x.T @ x).astype(np.float16).astype(float)
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="H in single precision"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = (2 * x.T @ x).astype(np.float32)
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="takes any sparsity"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2 or x.shape[1] != w.shape[1]:
        raise ValueError("x")
    sparsity = min(max(sparsity, 0), 1)
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w


# %% exercise="L4.10" wrong="does not look at the number of inputs"
def sparsegpt(w, x, sparsity, block=128, damp=0.01):
    w, x = np.array(w, dtype=float), np.asarray(x, dtype=float)
    if w.ndim != 2:
        raise ValueError("w")
    if x.ndim != 2:
        raise ValueError("x")
    if not 0 <= sparsity <= 1:
        raise ValueError("sparsity")
    if block < 1:
        raise ValueError("block")
    if damp < 0:
        raise ValueError("damp")
    x = (
        np.broadcast_to(x[:, : w.shape[1]], (len(x), w.shape[1]))
        if x.shape[1] >= w.shape[1]
        else np.tile(x, w.shape[1])[:, : w.shape[1]]
    )
    h = 2 * x.T @ x
    silent = np.diag(h) == 0
    w[:, silent] = 0
    h += np.diag(silent.astype(float))
    h += damp * np.mean(np.diag(h)) * np.eye(len(h))
    u = np.linalg.cholesky(np.linalg.inv(h)).T
    n = w.shape[1]
    for a in range(0, n, block):
        b = min(a + block, n)
        scores = (w[:, a:b] / np.diag(u)[a:b]) ** 2
        ranks = np.argsort(np.argsort(scores, axis=1), axis=1)
        goes = ranks < round(sparsity * (b - a))
        for j in range(a, b):
            error = goes[:, j - a] * w[:, j] / u[j, j]
            w[:, j + 1 :] -= np.outer(error, u[j, j + 1 :])
            w[goes[:, j - a], j] = 0
    return w
