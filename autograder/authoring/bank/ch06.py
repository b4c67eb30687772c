# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# ## 6.1 Entropy at T = 5 less that at T = 1, logits [2.0, 1.0, 0.1]

# %% exercise="6.1" wrong="the other way round"
ex_6_1 = -0.2399

# %% exercise="6.1" wrong="the entropy at T = 5"
ex_6_1 = 1.0866

# %% exercise="6.1" wrong="the entropy at T = 1"
ex_6_1 = 0.8467

# %% exercise="6.1" wrong="bits"
ex_6_1 = 0.2399 / np.log(2)

# %% exercise="6.1" wrong="logarithm to base 10"
ex_6_1 = 0.1042

# %% exercise="6.1" wrong="an even share at T = 5"
ex_6_1 = np.log(3) - 0.8467

# %% exercise="6.1" wrong="multiplies the logits by T"
ex_6_1 = -0.8058

# %% exercise="6.1" wrong="divides the probabilities by T"
ex_6_1 = 0.2

# %% exercise="6.1" wrong="text"
ex_6_1 = "about 0.24"

# %% exercise="6.1" wrong="no answer"
ex_6_1 = None

# %% exercise="6.1" right="the number"
ex_6_1 = 0.24


# %% exercise="6.1" right="text that reads as a number"
ex_6_1 = "0.24"


# %% exercise="6.1" right="computed"
def softened(T):
    p = np.exp(np.array([2.0, 1.0, 0.1]) / T)
    return p / p.sum()


ex_6_1 = sum(sign * -(softened(T) * np.log(softened(T))).sum() for sign, T in ((1, 5), (-1, 1)))

# %% exercise="6.1" right="a torch scalar"
ex_6_1 = [torch.distributions.Categorical(logits=torch.tensor([2.0, 1.0, 0.1]) / T).entropy() for T in (1, 5)]
ex_6_1 = (ex_6_1[1] - ex_6_1[0]).item()

# %% [markdown]
# ## 6.2 What T = 1 hides

# %% exercise="6.2" wrong="the order changes with the temperature"
ex_6_2 = "A"

# %% exercise="6.2" wrong="the teacher's mistakes"
ex_6_2 = "C"

# %% exercise="6.2" wrong="nothing"
ex_6_2 = "D"

# %% exercise="6.2" wrong="the words"
ex_6_2 = "the small probabilities"

# %% exercise="6.2" right="the letter"
ex_6_2 = "B"

# %% exercise="6.2" right="small letter with a space"
ex_6_2 = "b "

# %% [markdown]
# ## 6.3 The loss for alpha 0.7, T 4, KL 0.05, CE 2.3

# %% exercise="6.3" wrong="no T squared"
ex_6_3 = 0.7 * 0.05 + 0.3 * 2.3

# %% exercise="6.3" wrong="T instead of T squared"
ex_6_3 = 0.7 * 4 * 0.05 + 0.3 * 2.3

# %% exercise="6.3" wrong="alpha on the hard part"
ex_6_3 = 0.3 * 16 * 0.05 + 0.7 * 2.3

# %% exercise="6.3" wrong="T squared on both parts"
ex_6_3 = 16 * (0.7 * 0.05 + 0.3 * 2.3)

# %% exercise="6.3" wrong="divides by T squared"
ex_6_3 = 0.7 * 0.05 / 16 + 0.3 * 2.3

# %% exercise="6.3" wrong="no weights"
ex_6_3 = 16 * 0.05 + 2.3

# %% exercise="6.3" wrong="the soft part alone"
ex_6_3 = 0.56

# %% exercise="6.3" wrong="no answer"
ex_6_3 = None

# %% exercise="6.3" right="the number"
ex_6_3 = 1.25

# %% exercise="6.3" right="computed"
alpha, T = 0.7, 4
ex_6_3 = alpha * T**2 * 0.05 + (1 - alpha) * 2.3

# %% [markdown]
# ## 6.4 Why T squared

# %% exercise="6.4" wrong="1/T^2 at every temperature"
ex_6_4 = "A"

# %% exercise="6.4" wrong="probabilities no longer add up"
ex_6_4 = "B"

# %% exercise="6.4" wrong="more weight for the teacher"
ex_6_4 = "C"

# %% exercise="6.4" wrong="the words"
ex_6_4 = "large T"

# %% exercise="6.4" right="the letter"
ex_6_4 = "D"

# %% exercise="6.4" right="small letter"
ex_6_4 = "d"

# %% [markdown]
# ## 6.5 softmax_with_temperature


# %% exercise="6.5" wrong="not stable" likely=true
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    weights = np.exp(np.asarray(logits, dtype=float) / T)
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" wrong="one maximum for all rows" likely=true
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float) / T
    weights = np.exp(z - z.max())
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" wrong="one sum for all rows" likely=true
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float) / T
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum()


# %% exercise="6.5" wrong="over the first axis" likely=true
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float) / T
    weights = np.exp(z - z.max(0))
    return weights / weights.sum(0)


# %% exercise="6.5" wrong="multiplies by T"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float) * T
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" wrong="forgets T" likely=true
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float)
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" wrong="divides the probabilities by T"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float)
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True) / T


# %% exercise="6.5" wrong="softens the probabilities, not the logits"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float)
    weights = np.exp(z - z.max(-1, keepdims=True))
    p = weights / weights.sum(-1, keepdims=True) / T
    return np.exp(p) / np.exp(p).sum(-1, keepdims=True)


# %% exercise="6.5" wrong="subtracts the maximum before dividing by T, and only from the numerator"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float) / T
    return np.exp(z - z.max(-1, keepdims=True)) / np.exp(z).sum(-1, keepdims=True)


# %% exercise="6.5" wrong="clips the logits so that exp does not overflow"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float) / T
    weights = np.exp(np.clip(z, -700, 700))
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" wrong="returns logarithms"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float) / T
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


# %% exercise="6.5" wrong="writes into its input"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = logits if isinstance(logits, np.ndarray) and logits.dtype == float else np.array(logits, dtype=float)
    z /= T
    z -= z.max(-1, keepdims=True)
    np.exp(z, out=z)
    z /= z.sum(-1, keepdims=True)
    return z


# %% exercise="6.5" wrong="keeps an integer input's type"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits)
    z = (z / T).astype(z.dtype)
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" wrong="accepts T = 0"
def softmax_with_temperature(logits, T):
    if T < 0:
        raise ValueError("T")
    z = np.asarray(logits, dtype=float) / T
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" wrong="accepts nonsense"
def softmax_with_temperature(logits, T):
    z = np.asarray(logits, dtype=float) / T
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" wrong="an error that names no argument"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("must be positive")
    z = np.asarray(logits, dtype=float) / T
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" wrong="prints instead of returning"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float) / T
    weights = np.exp(z - z.max(-1, keepdims=True))
    print(weights / weights.sum(-1, keepdims=True))


# %% exercise="6.5" wrong="subtracts the largest in the integers' own type"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits)
    weights = np.exp((z - z.max(-1, keepdims=True)).astype(float) / T)
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" wrong="takes a list for one row"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    if isinstance(logits, list) and np.ndim(logits) > 1:
        logits = np.concatenate(logits)
    z = np.asarray(logits, dtype=float) / T
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" wrong="writes the shifted logits into a list"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    if isinstance(logits, list) and np.ndim(logits) == 1:
        largest = max(logits)
        for k in range(len(logits)):
            logits[k] -= largest
    z = np.asarray(logits, dtype=float) / T
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" wrong="cuts a high temperature off"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float) / min(T, 100)
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" wrong="refuses only temperatures well below 0"
def softmax_with_temperature(logits, T):
    if round(T, 3) < 0 or T == 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float) / T
    weights = np.exp(z - z.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


# %% exercise="6.5" right="vectorised"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits) / T
    z = z - np.max(z, axis=-1, keepdims=True)
    return np.exp(z) / np.sum(np.exp(z), axis=-1, keepdims=True)


# %% exercise="6.5" right="plain loop"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.array(logits, dtype=float)
    rows = z.reshape(-1, z.shape[-1])
    for row in rows:
        largest = max(row)
        weights = [np.exp((value - largest) / T) for value in row]
        row[:] = [weight / sum(weights) for weight in weights]
    return z


# %% exercise="6.5" right="torch"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    return torch.softmax(torch.as_tensor(np.array(logits, dtype=float)) / T, dim=-1)


# %% exercise="6.5" right="by the logarithm of the sum"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float) / T
    return np.exp(z - np.logaddexp.reduce(z, axis=-1, keepdims=True))


# %% exercise="6.5" right="lists in, lists out"
def softmax_with_temperature(logits, T):
    if not T > 0:
        raise ValueError(f"T is {T}")

    def soften(values):
        if isinstance(values[0], list):
            return [soften(row) for row in values]
        weights = [np.exp((value - max(values)) / T) for value in values]
        return [weight / sum(weights) for weight in weights]

    return soften(np.array(logits, dtype=float).tolist())


# %% exercise="6.5" right="a list of differences, row by row"
def softmax_with_temperature(logits, T):
    if T <= 0:
        raise ValueError("T must be above 0")
    z = np.asarray(logits, dtype=float) / T
    with np.errstate(over="ignore"):
        return 1 / np.exp(z[..., None, :] - z[..., :, None]).sum(-1)


# %% [markdown]
# ## 6.6 kd_loss


# %% exercise="6.6" wrong="counts lines from 0"
ex_6_6_line = 3


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="names the line that returns"
ex_6_6_line = 6


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="names the hard part's line"
ex_6_6_line = 5


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="T squared still missing" likely=true
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="T instead of T squared" likely=true
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * T * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="T squared on both parts"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return T**2 * (alpha * divergence + (1 - alpha) * hard_loss)


# %% exercise="6.6" wrong="T squared on the hard part"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * divergence + (1 - alpha) * T**2 * hard_loss


# %% exercise="6.6" wrong="divides by T squared"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * divergence / T**2 + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="alpha on the hard part"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return (1 - alpha) * T**2 * divergence + alpha * hard_loss


# %% exercise="6.6" wrong="the divergence the other way round"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(q * np.log(q / p), axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="cross-entropy instead of the divergence"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = -np.mean(np.sum(p * np.log(q), axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="mean over the classes too" likely=true
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(p * np.log(p / q))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="sum over the batch" likely=true
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.sum(p * np.log(p / q))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="softens once more"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    p, q = p ** (1 / T), q ** (1 / T)
    p, q = p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="one loss for each row"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.sum(p * np.log(p / q), axis=-1)
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="writes into its input"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    p *= np.log(p / q)
    divergence = np.mean(np.sum(p, axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="accepts nonsense"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="accepts shapes that broadcast"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="adds a small number within the logarithm"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log((p + 1e-9) / (q + 1e-9)), axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="compares the sizes, not the shapes"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    if p.size != q.size:
        raise ValueError("soft_student must have the shape of soft_teacher")
    q = q.reshape(p.shape)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="compares the number of classes only"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    if p.shape[-1:] != q.shape[-1:] or q.ndim == p.ndim and len(p) != len(q):
        raise ValueError("soft_student must have the shape of soft_teacher")
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="counts the rows along the first axis"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    rows = 1 if p.ndim == 1 else len(p)
    divergence = np.sum(p * np.log(p / q)) / rows
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" wrong="an alpha beyond 1 by little counts as 1"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not -1e-3 <= alpha <= 1 + 1e-3:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    alpha = min(max(alpha, 0), 1)
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


# %% exercise="6.6" right="vectorised"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    soft_part = alpha * T * T * divergence
    return soft_part + (1 - alpha) * hard_loss


# %% exercise="6.6" right="plain loop"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = (np.asarray(each, dtype=float) for each in (soft_teacher, soft_student))
    p, q = (each.reshape(-1, each.shape[-1]) for each in (p, q))
    total = 0.0
    for row_p, row_q in zip(p, q, strict=True):
        for a, b in zip(row_p, row_q, strict=True):
            total += a * (np.log(a) - np.log(b))
    return alpha * T**2 * total / len(p) + (1 - alpha) * hard_loss


# %% exercise="6.6" right="torch"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = (torch.as_tensor(np.array(each, dtype=float)) for each in (soft_teacher, soft_student))
    divergence = torch.nn.functional.kl_div(q.log(), p, reduction="none").sum(-1).mean()
    return (alpha * T**2 * divergence + (1 - alpha) * hard_loss).item()


# %% exercise="6.6" right="SciPy's relative entropy"
ex_6_6_line = "4"


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    import scipy.special

    p, q = np.array(soft_teacher, dtype=np.float64), np.array(soft_student, dtype=np.float64)
    if p.shape != q.shape:
        raise ValueError(f"soft_teacher has shape {p.shape} and soft_student {q.shape}")
    if alpha < 0 or alpha > 1:
        raise ValueError(f"alpha = {alpha}")
    if T <= 0:
        raise ValueError(f"T = {T}")
    return float(alpha * T**2 * scipy.special.rel_entr(p, q).sum(-1).mean() + (1 - alpha) * hard_loss)


# %% exercise="6.6" right="cross-entropy less the teacher's entropy"
ex_6_6_line = 4


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if np.shape(soft_teacher) != np.shape(soft_student):
        raise ValueError("soft_student must have the shape of soft_teacher")
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    between = -(p * np.log(q)).sum(-1)
    own = -(p * np.log(p)).sum(-1)
    return alpha * (between - own).mean() * T**2 + hard_loss - alpha * hard_loss


# %% [markdown]
# ## L6.7 entropy


# %% exercise="L6.7" wrong="NaN at zero" likely=true
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    with np.errstate(all="ignore"):
        return -np.sum(p * np.log(p), axis=-1)


# %% exercise="L6.7" wrong="bits" likely=true
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1) / np.log(2)


# %% exercise="L6.7" wrong="sign forgotten"
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    return np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


# %% exercise="L6.7" wrong="over everything" likely=true
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)))


# %% exercise="L6.7" wrong="over the first axis" likely=true
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=0)


# %% exercise="L6.7" wrong="mean instead of sum"
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    return -np.mean(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


# %% exercise="L6.7" wrong="keeps the last axis"
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1, keepdims=True)


# %% exercise="L6.7" wrong="adds a small number to p"
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    return -np.sum(p * np.log(p + 1e-8), axis=-1)


# %% exercise="L6.7" wrong="divides by ln n"
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1) / np.log(max(p.shape[-1], 2))


# %% exercise="L6.7" wrong="writes into its input"
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p)
    if p.dtype != float:
        p = p.astype(float)
    p[p == 0] = 1.0
    p *= -np.log(p)
    return p.sum(-1)


# %% exercise="L6.7" wrong="treats p as logits"
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    p = np.exp(p) / np.exp(p).sum(-1, keepdims=True)
    return -np.sum(p * np.log(p), axis=-1)


# %% exercise="L6.7" wrong="accepts negative probabilities"
def entropy(p):
    p = np.asarray(p, dtype=float)
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


# %% exercise="L6.7" wrong="takes the absolute value of negative ones"
def entropy(p):
    p = np.abs(np.asarray(p, dtype=float))
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


# %% exercise="L6.7" wrong="zeros replaced in the input"
def entropy(p):
    p = np.asarray(p, dtype=float)
    if (p < 0).any():
        raise ValueError("p must not be negative")
    p[p == 0] = 1.0
    return -np.sum(p * np.log(p), axis=-1)


# %% exercise="L6.7" wrong="looks for negative ones in the first row"
def entropy(p):
    p = np.asarray(p, dtype=float)
    if (p.reshape(-1, p.shape[-1])[0] < 0).any():
        raise ValueError("p must not be negative")
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


# %% exercise="L6.7" wrong="takes a slightly negative one for 0"
def entropy(p):
    p = np.asarray(p, dtype=float)
    if (p < -1e-6).any():
        raise ValueError("p must not be negative")
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)


# %% exercise="L6.7" wrong="leaves out everything below a millionth of a millionth"
def entropy(p):
    p = np.asarray(p, dtype=float)
    if (p < 0).any():
        raise ValueError("p must not be negative")
    return -np.sum(p * np.log(np.where(p > 1e-12, p, 1.0)), axis=-1)


# %% exercise="L6.7" right="where"
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    return -np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0), axis=-1)


# %% exercise="L6.7" right="NumPy's own warnings at zero"
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    return -np.nansum(p * np.log(p), axis=-1)


# %% exercise="L6.7" right="xlogy of a copy, as a list"
def entropy(p):
    import scipy.special

    p = np.array(p, dtype=np.float64)
    if np.min(p) < 0:
        raise ValueError(f"p holds {np.min(p)}")
    return (-scipy.special.xlogy(p, p).sum(axis=-1)).tolist()


# %% exercise="L6.7" right="plain loop"
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    rows = p.reshape(-1, p.shape[-1])
    return np.array([-sum(x * np.log(x) for x in row if x > 0) for row in rows]).reshape(p.shape[:-1])


# %% exercise="L6.7" right="torch"
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    return torch.special.entr(torch.tensor(np.asarray(p), dtype=torch.float64)).sum(-1)


# %% exercise="L6.7" right="log of the reciprocal"
def entropy(p):
    if (np.asarray(p) < 0).any():
        raise ValueError("p must not be negative")
    p = np.asarray(p, dtype=float)
    out = np.zeros_like(p)
    np.divide(1.0, p, out=out, where=p > 0)
    np.log(out, out=out, where=p > 0)
    return (p * out).sum(-1)


# %% [markdown]
# ## L6.8 distillation_loss


# %% exercise="L6.8" wrong="no T squared" likely=true
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="T instead of T squared"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="T squared on both parts"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return T**2 * (alpha * soft + (1 - alpha) * hard)


# %% exercise="L6.8" wrong="alpha on the hard part" likely=true
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return (1 - alpha) * T**2 * soft + alpha * hard


# %% exercise="L6.8" wrong="kl_div's default reduction" likely=true
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    log_mean = torch.nn.functional.kl_div(log_q, p, reduction="none").mean()
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * log_mean + (1 - alpha) * hard


# %% exercise="L6.8" wrong="sum over the batch" likely=true
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="sum")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="kl_div of two probabilities"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q.exp(), p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="student and teacher swapped in the divergence"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(p.log(), log_q.exp(), reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="cross-entropy with the teacher instead of the divergence"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.cross_entropy(student_logits / T, p)
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="hard part at T too" likely=true
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits / T, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="only the student softened"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach(), 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="only the teacher softened"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="softmax over the batch"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 0)
    p = torch.softmax(teacher_logits.detach() / T, 0)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="logarithm of a softmax"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    q = torch.softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(q.log(), p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="a small number against log 0"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    q = torch.softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = (p * ((p + 1e-8).log() - (q + 1e-8).log())).sum(1).mean()
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="trains the teacher as well"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="detaches the student"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits.detach() / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="squared difference of the logits"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    soft = torch.nn.functional.mse_loss(student_logits, teacher_logits.detach())
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="the teacher's answer as a hard label"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    soft = torch.nn.functional.cross_entropy(student_logits / T, teacher_logits.argmax(1))
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="returns a Python number"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return (alpha * T**2 * soft + (1 - alpha) * hard).item()


# %% exercise="L6.8" wrong="softens in place"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    student_logits.data /= T
    log_q = torch.log_softmax(student_logits, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits * T, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="accepts nonsense"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="accepts logits of another shape"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="torch.distributions, infinite where a probability underflows"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    with torch.no_grad():
        teacher = torch.distributions.Categorical(logits=teacher_logits / T)
    student = torch.distributions.Categorical(logits=student_logits / T)
    soft = torch.distributions.kl_divergence(teacher, student).mean()
    hard = torch.nn.NLLLoss()(torch.log_softmax(student_logits, -1), labels)
    return alpha * (T * T) * soft + (1.0 - alpha) * hard


# %% exercise="L6.8" wrong="compares the sizes, not the shapes"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.numel() != teacher_logits.numel():
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach().reshape(student_logits.shape) / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="keeps the teacher's answers from call to call"
_answers = {}


def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(_answers.setdefault(teacher_logits.shape, teacher_logits.detach().clone()) / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="an alpha beyond 1 by little counts as 1"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not -1e-3 <= alpha <= 1 + 1e-3:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    alpha = min(max(alpha, 0), 1)
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" wrong="cuts logits at 1000"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    student_logits, teacher_logits = student_logits.clamp(-1000, 1000), teacher_logits.clamp(-1000, 1000)
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" right="kl_div with probabilities"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    soft = torch.nn.functional.kl_div(log_q, p, reduction="batchmean")
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" right="by hand"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = student_logits / T - torch.logsumexp(student_logits / T, dim=1, keepdim=True)
    v = teacher_logits.detach() / T
    log_p = v - torch.logsumexp(v, dim=1, keepdim=True)
    soft = (log_p.exp() * (log_p - log_q)).sum(1).mean()
    hard = -torch.log_softmax(student_logits, 1)[torch.arange(len(labels)), labels].mean()
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% exercise="L6.8" right="logarithms of both, teacher without a graph"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if alpha < 0 or alpha > 1:
        raise ValueError(f"alpha = {alpha}")
    if T <= 0:
        raise ValueError(f"T = {T}")
    if tuple(student_logits.shape) != tuple(teacher_logits.shape):
        raise ValueError("student_logits and teacher_logits differ in shape")
    F = torch.nn.functional
    with torch.no_grad():
        log_p = F.log_softmax(teacher_logits / T, dim=-1)
    each = F.kl_div(F.log_softmax(student_logits / T, dim=-1), log_p, reduction="none", log_target=True).sum(-1)
    return alpha * T**2 * each.mean() + (1 - alpha) * F.nll_loss(F.log_softmax(student_logits, dim=-1), labels)


# %% exercise="L6.8" right="one picture at a time"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    losses = []
    for z, v, label in zip(student_logits, teacher_logits.detach(), labels, strict=True):
        log_q, log_p = torch.log_softmax(z / T, 0), torch.log_softmax(v / T, 0)
        soft = sum(b.exp() * (b - a) for a, b in zip(log_q, log_p, strict=True))
        losses.append(alpha * T**2 * soft - (1 - alpha) * torch.log_softmax(z, 0)[label])
    return torch.stack(losses).mean()


# %% exercise="L6.8" right="cross-entropy less the teacher's entropy"
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    if not 0 <= alpha <= 1:
        raise ValueError("alpha must be in [0, 1]")
    if T <= 0:
        raise ValueError("T must be above 0")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError("teacher_logits must have the shape of student_logits")
    log_q = torch.log_softmax(student_logits / T, 1)
    p = torch.softmax(teacher_logits.detach() / T, 1)
    entropy = torch.special.entr(p).sum(1).mean()
    soft = torch.nn.functional.cross_entropy(student_logits / T, p) - entropy
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard


# %% [markdown]
# ## L6.9 speculative_step


# %% exercise="L6.9" wrong="draws from the target after a refusal" likely=true
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="absolute value in place of what is left over" likely=true
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.abs(p[i] - q[i])
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="the draft's surplus as the residual"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(q[i] - p[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="residual not divided by its sum" likely=true
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="keeps what should go" likely=true
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] < p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="the ratio the other way round"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * p[i, token] >= q[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="keeps with the target's probability"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="keeps only where the target gives more than the draft" likely=true
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if q[i, token] > p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="keeps only the target's likeliest token"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if token != p[i].argmax():
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="compares with the next row of p"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i + 1, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="goes on after a refusal" likely=true
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")

    def drawn(row):
        row = row if row.any() else p[0]
        row = row / row.sum()
        above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
        return int(above[0] if len(above) else np.flatnonzero(row)[-1])

    tokens = []
    for i, token in enumerate(draft):
        keep = u[i] * q[i, token] < p[i, token]
        tokens.append(int(token) if keep else drawn(np.maximum(p[i] - q[i], 0)))
    return [*tokens, drawn(p[-1])]


# %% exercise="L6.9" wrong="leaves out what is refused and goes on" likely=true
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            continue
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="no token more when all are kept" likely=true
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    if len(tokens) == len(q):
        return tokens
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="nothing drawn after a refusal"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    if len(tokens) < len(q):
        return tokens
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="one token more from the row before the last" likely=true
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-2]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="one token more from the draft model"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], q[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="the refused token stays as well" likely=true
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            tokens.append(int(token))
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="draws with the number that refused" likely=true
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row, chance = [], p[-1], u[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            chance = u[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > chance) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="the likeliest token of the residual"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.array([row.argmax()])
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="always draws from the target, keeps nothing" likely=true
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if True:
            row = p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="decides by chances of its own"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    u = np.append(np.random.default_rng(len(draft)).random(len(draft)), u[-1])
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="tokens in the order of their probability"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    order = np.argsort(-row)
    above = order[np.cumsum(row[order]) > u[-1]]
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="keeps a token that the target rules out, at u = 0"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] > p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="draws a token of probability 0 at u = 0"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero(np.cumsum(row) >= u[-1])
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="the last token of all where the running sum ends early"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row / row.sum() if row.any() else p[i]
            break
        tokens.append(int(token))
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else len(row) - 1))
    return tokens


# %% exercise="L6.9" wrong="divides by an empty residual"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            break
        tokens.append(int(token))
    with np.errstate(invalid="ignore"):
        row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0]) if len(above) else len(row) - 1)
    return tokens


# %% exercise="L6.9" wrong="a residual of its own: p / q - 1"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] / np.maximum(q[i], 1e-12) - 1, 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="accepts nonsense"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="does not look at u"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="takes u = 1"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u > 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="lets a negative token count from the end"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" wrong="writes into p"
def speculative_step(p, q, draft, u):
    given = p
    p, q, u = (np.asarray(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row /= row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    if isinstance(given, np.ndarray) and len(tokens) < len(p):
        np.maximum(given[:-1] - q, 0, out=given[:-1])
    return tokens


# %% exercise="L6.9" right="loop"
def speculative_step(p, q, draft, u):
    p, q, u = (np.array(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p and q do not fit: {p.shape} and {q.shape}")
    if len(draft) != len(q) or min(draft) < 0 or max(draft) >= p.shape[1]:
        raise ValueError(f"draft must hold a token for each row of q, got {draft}")
    if u.shape != (len(p),) or (u < 0).any() or (u >= 1).any():
        raise ValueError(f"u must hold numbers in [0, 1), one for each row of p, got {u}")
    tokens, row = [], p[-1]
    for i, token in enumerate(draft):
        if u[i] * q[i, token] >= p[i, token]:
            row = np.maximum(p[i] - q[i], 0)
            row = row if row.any() else p[i]
            break
        tokens.append(int(token))
    row = row / row.sum()
    above = np.flatnonzero((np.cumsum(row) > u[-1]) & (row > 0))
    tokens.append(int(above[0] if len(above) else np.flatnonzero(row)[-1]))
    return tokens


# %% exercise="L6.9" right="all decisions at once"
def speculative_step(p, q, draft, u):
    p, q, u, draft = np.asarray(p, float), np.asarray(q, float), np.asarray(u, float), np.asarray(draft, int)
    k = len(q)
    if p.ndim != 2 or q.ndim != 2 or len(p) != k + 1 or p.shape[1] != q.shape[1]:
        raise ValueError(f"p has shape {p.shape}, q has {q.shape}")
    if draft.shape != (k,) or (draft < 0).any() or (draft >= q.shape[1]).any():
        raise ValueError(f"draft: {k} tokens below {q.shape[1]} are wanted")
    if u.shape != (k + 1,) or not np.all((0 <= u) & (u < 1)):
        raise ValueError(f"u: {k + 1} numbers from 0 to below 1 are wanted")
    rows = np.arange(k)
    stays = u[:k] * q[rows, draft] < p[rows, draft]
    end = k if stays.all() else int(np.argmin(stays))
    weights = p[end] - np.vstack([q, np.zeros(q.shape[1])])[end]
    weights = np.where(weights > 0, weights, 0)
    if weights.sum() == 0:
        weights = p[end]
    running = np.cumsum(weights) / np.sum(weights)
    possible = np.flatnonzero(weights > 0)
    beyond = possible[running[possible] > u[k]]
    return np.append(draft[:end], beyond[0] if beyond.size else possible[-1])


# %% exercise="L6.9" right="plain Python, with a ratio"
def speculative_step(p, q, draft, u):
    p, q, draft, u = ([*map(float, row)] if np.ndim(row) == 1 else row for row in (p, q, draft, u))
    if np.ndim(p) != 2 or np.ndim(q) != 2 or len(p) != len(q) + 1 or len(p[0]) != len(q[0]):
        raise ValueError("p must have one row more than q, and the same columns")
    if len(draft) != len(q) or any(token < 0 or token >= len(p[0]) for token in draft):
        raise ValueError("draft must have a valid token for each row of q")
    if len(u) != len(p) or any(chance < 0 or chance >= 1 for chance in u):
        raise ValueError("u must have a number in [0, 1) for each row of p")
    out = []
    weights = [float(v) for v in p[-1]]
    for chance, token, big, small in zip(u, map(int, draft), p, q, strict=False):
        ratio = float(big[token]) / float(small[token]) if small[token] > 0 else float("inf")
        if chance < min(1.0, ratio):
            out.append(token)
            continue
        weights = [max(float(b) - float(s), 0.0) for b, s in zip(big, small, strict=True)]
        if not any(weights):
            weights = [float(b) for b in big]
        break
    goal, running, last = u[-1] * sum(weights), 0.0, None
    for token, weight in enumerate(weights):
        if weight > 0:
            running, last = running + weight, token
            if running > goal:
                break
    return tuple([*out, last])


# %% exercise="L6.9" right="torch"
def speculative_step(p, q, draft, u):
    p, q, u = (torch.as_tensor(np.array(values), dtype=torch.float64) for values in (p, q, u))
    draft = torch.as_tensor(np.array(draft, dtype=np.int64))
    if p.dim() != 2 or q.shape != p[1:].shape:
        raise ValueError(f"q must have the shape of p without a row, {tuple(p[1:].shape)}, got {tuple(q.shape)}")
    if draft.shape != q.shape[:1] or ((draft < 0) | (draft >= q.shape[1])).any():
        raise ValueError(f"draft does not fit: {draft}")
    if u.shape != p.shape[:1] or ((u < 0) | (u >= 1)).any():
        raise ValueError(f"u does not fit: {u}")
    mine, theirs = (rows[: len(q)].gather(1, draft[:, None])[:, 0] for rows in (p, q))
    kept = int((u[:-1] * theirs < mine).long().cumprod(0).sum())
    row = p[kept] if kept == len(q) else (p[kept] - q[kept]).clamp(min=0)
    row = row if row.any() else p[kept]
    possible = row.nonzero()[:, 0]
    running = row[possible].cumsum(0)
    place = int((running <= u[-1] * running[-1]).sum().clamp(max=len(possible) - 1))
    return torch.cat([draft[:kept], possible[place : place + 1]])


# %% exercise="L6.9" right="recursion over the drafted tokens"
def _draw(weights, chance):
    candidates = [token for token, weight in enumerate(weights) if weight > 0]
    total = sum(weights[token] for token in candidates)
    running = 0.0
    for token in candidates[:-1]:
        running += weights[token]
        if running > chance * total:
            return token
    return candidates[-1]


def speculative_step(p, q, draft, u):
    p, q, u = np.array(p, float), np.array(q, float), np.array(u, float)
    if p.ndim != 2 or q.ndim != 2 or p.shape != (q.shape[0] + 1, q.shape[1]):
        raise ValueError("q needs one row fewer than p")
    if len(draft) != len(q) or not set(map(int, draft)) <= set(range(p.shape[1])):
        raise ValueError("draft has a token too many, too few, or an unknown one")
    if len(u) != len(p) or u.min() < 0 or u.max() >= 1:
        raise ValueError("u must lie in [0, 1) and have a number for each row of p")

    def going(i):
        if i == len(q):
            return [_draw(p[i], u[-1])]
        token = int(draft[i])
        if p[i, token] > u[i] * q[i, token]:
            return [token, *going(i + 1)]
        left = (p[i] - q[i]).clip(0)
        return [_draw(left if left.max() > 0 else p[i], u[-1])]

    return going(0)
