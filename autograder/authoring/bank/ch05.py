# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# ## 5.1 Epochs to the mask of 80 % sparsity, 20 % per round

# %% exercise="5.1" wrong="20 % of the whole each round"
ex_5_1 = 400

# %% exercise="5.1" wrong="seven rounds come close"
ex_5_1 = 700

# %% exercise="5.1" wrong="fractions of a round"
ex_5_1 = 100 * np.log(0.2) / np.log(0.8)

# %% exercise="5.1" wrong="counts the ticket's own training"
ex_5_1 = 900

# %% exercise="5.1" wrong="trains once and prunes in steps"
ex_5_1 = 100

# %% exercise="5.1" wrong="rounds instead of epochs"
ex_5_1 = 8

# %% exercise="5.1" wrong="text"
ex_5_1 = "8 rounds"

# %% exercise="5.1" right="the number"
ex_5_1 = 800

# %% exercise="5.1" right="computed"
ex_5_1 = np.ceil(np.log(0.2) / np.log(0.8)) * 100

# %% [markdown]
# ## 5.2 Where the ticket starts from

# %% exercise="5.2" wrong="new random values"
ex_5_2 = "A"

# %% exercise="5.2" wrong="the trained values"
ex_5_2 = "B"

# %% exercise="5.2" wrong="zero"
ex_5_2 = "C"

# %% exercise="5.2" wrong="the words"
ex_5_2 = "the original ones"

# %% exercise="5.2" right="the letter"
ex_5_2 = "D"

# %% exercise="5.2" right="small letter with a space"
ex_5_2 = " d"

# %% [markdown]
# ## 5.3 Millions left after five rounds

# %% exercise="5.3" wrong="linear"
ex_5_3 = 100 - 5 * 20

# %% exercise="5.3" wrong="how many are gone"
ex_5_3 = 67.232

# %% exercise="5.3" wrong="four rounds"
ex_5_3 = 40.96

# %% exercise="5.3" wrong="six rounds"
ex_5_3 = 26.2144

# %% exercise="5.3" wrong="keeps 20 % a round"
ex_5_3 = 100 * 0.2**5

# %% exercise="5.3" wrong="not in millions"
ex_5_3 = 32_768_000

# %% exercise="5.3" wrong="no answer"
ex_5_3 = None

# %% exercise="5.3" right="the number"
ex_5_3 = 32.8

# %% exercise="5.3" right="computed"
ex_5_3 = 100 * np.prod([0.8] * 5)

# %% [markdown]
# ## 5.4 The same mask with new weights

# %% exercise="5.4" wrong="the values do not matter"
ex_5_4 = "A"

# %% exercise="5.4" wrong="sparse networks cannot be trained"
ex_5_4 = "B"

# %% exercise="5.4" wrong="a fresh draw is better"
ex_5_4 = "D"

# %% exercise="5.4" wrong="a letter that is no choice"
ex_5_4 = "E"

# %% exercise="5.4" right="the letter"
ex_5_4 = "C"

# %% exercise="5.4" right="small letter"
ex_5_4 = "c"

# %% [markdown]
# ## 5.5 iterative_prune


# %% exercise="5.5" wrong="a share of the whole each round" likely=true
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0 or not 0 <= prune_rate <= 1 or rounds < 0:
        raise ValueError("total_params, prune_rate or rounds")
    return [total_params * (1 - prune_rate * (k + 1)) for k in range(rounds)]


# %% exercise="5.5" wrong="starts with the whole network" likely=true
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0 or not 0 <= prune_rate <= 1 or rounds < 0:
        raise ValueError("total_params, prune_rate or rounds")
    return [total_params * (1 - prune_rate) ** k for k in range(rounds)]


# %% exercise="5.5" wrong="also lists the count before the first round"
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0 or not 0 <= prune_rate <= 1 or rounds < 0:
        raise ValueError("total_params, prune_rate or rounds")
    return [total_params * (1 - prune_rate) ** k for k in range(rounds + 1)]


# %% exercise="5.5" wrong="what is removed instead of what is left"
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0 or not 0 <= prune_rate <= 1 or rounds < 0:
        raise ValueError("total_params, prune_rate or rounds")
    return [total_params * (1 - (1 - prune_rate) ** (k + 1)) for k in range(rounds)]


# %% exercise="5.5" wrong="keeps the share it should remove" likely=true
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0 or not 0 <= prune_rate <= 1 or rounds < 0:
        raise ValueError("total_params, prune_rate or rounds")
    return [total_params * prune_rate ** (k + 1) for k in range(rounds)]


# %% exercise="5.5" wrong="only the last count" likely=true
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0 or not 0 <= prune_rate <= 1 or rounds < 0:
        raise ValueError("total_params, prune_rate or rounds")
    return total_params * (1 - prune_rate) ** rounds


# %% exercise="5.5" wrong="cuts off to whole parameters each round"
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0 or not 0 <= prune_rate <= 1 or rounds < 0:
        raise ValueError("total_params, prune_rate or rounds")
    counts = []
    for _ in range(rounds):
        total_params = int(total_params * (1 - prune_rate))
        counts.append(total_params)
    return counts


# %% exercise="5.5" wrong="accepts nonsense"
def iterative_prune(total_params, prune_rate, rounds):
    return [total_params * (1 - prune_rate) ** (k + 1) for k in range(rounds)]


# %% exercise="5.5" wrong="an error that names no argument"
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0 or not 0 <= prune_rate <= 1 or rounds < 0:
        raise ValueError("bad input")
    return [total_params * (1 - prune_rate) ** (k + 1) for k in range(rounds)]


# %% exercise="5.5" wrong="refuses to prune nothing or everything"
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0 or not 0 < prune_rate < 1 or rounds < 0:
        raise ValueError("total_params, prune_rate or rounds")
    return [total_params * (1 - prune_rate) ** (k + 1) for k in range(rounds)]


# %% exercise="5.5" wrong="prints instead of returning"
def iterative_prune(total_params, prune_rate, rounds):
    print([total_params * (1 - prune_rate) ** (k + 1) for k in range(rounds)])


# %% exercise="5.5" right="a loop"
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0:
        raise ValueError("total_params is negative")
    if prune_rate < 0 or prune_rate > 1:
        raise ValueError("prune_rate must lie in [0, 1]")
    if rounds < 0:
        raise ValueError("rounds is negative")
    counts = []
    for _ in range(rounds):
        total_params = total_params - total_params * prune_rate
        counts.append(total_params)
    return counts


# %% exercise="5.5" right="NumPy powers"
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0:
        raise ValueError("total_params")
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    return (total_params * (1.0 - prune_rate) ** np.arange(1, rounds + 1)).tolist()


# %% exercise="5.5" right="itertools, as an array"
def iterative_prune(total_params, prune_rate, rounds):
    from itertools import accumulate

    for name, value, top in [
        ("total_params", total_params, np.inf),
        ("prune_rate", prune_rate, 1),
        ("rounds", rounds, np.inf),
    ]:
        if not 0 <= value <= top:
            raise ValueError(f"{name} = {value}")
    return np.array(list(accumulate([total_params] + [1 - prune_rate] * rounds, lambda a, b: a * b))[1:])


# %% exercise="5.5" wrong="a total a little below zero passes"
def iterative_prune(total_params, prune_rate, rounds):
    if int(total_params) < 0 or not 0 <= prune_rate <= 1 or rounds < 0:
        raise ValueError("total_params, prune_rate or rounds")
    return [total_params * (1 - prune_rate) ** (k + 1) for k in range(rounds)]


# %% exercise="5.5" wrong="a rate a little outside 0 to 1 passes"
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0 or not 0 <= round(prune_rate, 2) <= 1 or rounds < 0:
        raise ValueError("total_params, prune_rate or rounds")
    return [total_params * (1 - prune_rate) ** (k + 1) for k in range(rounds)]


# %% exercise="5.5" wrong="gives up after a hundred rounds"
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0 or not 0 <= prune_rate <= 1 or rounds < 0:
        raise ValueError("total_params, prune_rate or rounds")
    return [total_params * (1 - prune_rate) ** (k + 1) for k in range(min(rounds, 100))]


# %% exercise="5.5" wrong="remembers the counts of a network that it has seen"
def iterative_prune(total_params, prune_rate, rounds, _seen={}):
    if total_params < 0 or not 0 <= prune_rate <= 1 or rounds < 0:
        raise ValueError("total_params, prune_rate or rounds")
    counts = _seen.setdefault((total_params, rounds), [])
    while len(counts) < rounds:
        counts.append((counts[-1] if counts else total_params) * (1 - prune_rate))
    return counts


# %% exercise="5.5" wrong="takes away a count that was rounded"
def iterative_prune(total_params, prune_rate, rounds):
    if total_params < 0 or not 0 <= prune_rate <= 1 or rounds < 0:
        raise ValueError("total_params, prune_rate or rounds")
    return [round(total_params * (1 - prune_rate) ** (k + 1), 3) for k in range(rounds)]


# %% [markdown]
# ## L5.6 imp_rounds


# %% exercise="L5.6" wrong="lets rounding noise add a round" likely=true
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    rounds = 0
    while 1 - (1 - prune_rate) ** rounds < target_sparsity:
        rounds += 1
    return rounds


# %% exercise="L5.6" wrong="logarithm and ceiling, with its noise"
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    return int(np.ceil(np.log(1 - target_sparsity) / np.log(1 - prune_rate)))


# %% exercise="L5.6" wrong="rounds to the nearest round" likely=true
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    return round(np.log(1 - target_sparsity) / np.log(1 - prune_rate))


# %% exercise="L5.6" wrong="a tolerance so wide that it loses rounds"
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    return int(np.ceil(round(np.log(1 - target_sparsity) / np.log(1 - prune_rate), 1)))


# %% exercise="L5.6" wrong="a share of the whole each round" likely=true
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    return int(np.ceil(target_sparsity / prune_rate - 1e-9))


# %% exercise="L5.6" wrong="sparsity taken for density"
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    rounds = 0
    while (1 - prune_rate) ** rounds > target_sparsity + 1e-9 and rounds < 10_000:
        rounds += 1
    return rounds


# %% exercise="L5.6" wrong="a fraction of a round"
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    return np.log(1 - target_sparsity) / np.log(1 - prune_rate)


# %% exercise="L5.6" wrong="counts the ticket's own training"
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    return int(np.ceil(np.log(1 - target_sparsity) / np.log(1 - prune_rate) - 1e-9)) + 1


# %% exercise="L5.6" wrong="needs at least one round"
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    rounds = 1
    while 1 - (1 - prune_rate) ** rounds < target_sparsity - 1e-9:
        rounds += 1
    return rounds


# %% exercise="L5.6" wrong="accepts nonsense"
def imp_rounds(target_sparsity, prune_rate):
    rounds = 0
    while 1 - (1 - prune_rate) ** rounds < target_sparsity - 1e-9 and rounds < 10_000:
        rounds += 1
    return rounds


# %% exercise="L5.6" wrong="the error names no argument"
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1 or not 0 < prune_rate < 1:
        raise ValueError("bad input")
    return int(np.ceil(np.log(1 - target_sparsity) / np.log(1 - prune_rate) - 1e-9))


# %% exercise="L5.6" right="a loop with a tolerance"
def imp_rounds(target_sparsity, prune_rate):
    if target_sparsity < 0 or target_sparsity >= 1:
        raise ValueError("target_sparsity must lie in [0, 1)")
    if prune_rate <= 0 or prune_rate >= 1:
        raise ValueError("prune_rate must lie in (0, 1)")
    left, rounds = 1.0, 0
    while left > (1 - target_sparsity) * (1 + 1e-9):
        left -= left * prune_rate
        rounds += 1
    return rounds


# %% exercise="L5.6" right="a logarithm, rounded before the ceiling"
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    return int(np.ceil(np.round(np.log1p(-target_sparsity) / np.log1p(-prune_rate), 6)))


# %% exercise="L5.6" right="exact decimal arithmetic"
def imp_rounds(target_sparsity, prune_rate):
    from fractions import Fraction

    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    keep, wanted = 1 - Fraction(str(prune_rate)), 1 - Fraction(str(target_sparsity))
    left, rounds = Fraction(1), 0
    while left > wanted + Fraction(1, 10**12):
        left, rounds = left * keep, rounds + 1
    return np.int64(rounds)


# %% exercise="L5.6" wrong="a rate of 1 passes"
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate <= 1:
        raise ValueError("prune_rate")
    rounds = 0
    while 1 - (1 - prune_rate) ** rounds < target_sparsity - 1e-9:
        rounds += 1
    return rounds


# %% exercise="L5.6" wrong="gives up after a hundred rounds"
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    for rounds in range(100):
        if 1 - (1 - prune_rate) ** rounds >= target_sparsity - 1e-9:
            return rounds
    return 100


# %% exercise="L5.6" wrong="a tolerance of a ten-thousandth"
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    rounds = 0
    while 1 - (1 - prune_rate) ** rounds < target_sparsity - 5e-5:
        rounds += 1
    return rounds


# %% exercise="L5.6" wrong="the target rounded to four digits"
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0 < prune_rate < 1:
        raise ValueError("prune_rate")
    rounds, target_sparsity = 0, round(target_sparsity, 4)
    while 1 - (1 - prune_rate) ** rounds < target_sparsity - 1e-9:
        rounds += 1
    return rounds


# %% exercise="L5.6" wrong="rates near 0 and near 1 are refused"
def imp_rounds(target_sparsity, prune_rate):
    if not 0 <= target_sparsity < 1:
        raise ValueError("target_sparsity")
    if not 0.001 < prune_rate < 0.999:
        raise ValueError("prune_rate")
    return int(np.ceil(np.round(np.log1p(-target_sparsity) / np.log1p(-prune_rate), 6)))


# %% exercise="L5.6" right="exact fractions of the decimals, without a tolerance"
def imp_rounds(target_sparsity, prune_rate):
    from fractions import Fraction

    if not 0 <= target_sparsity < 1:
        raise ValueError(f"target_sparsity = {target_sparsity}")
    if not 0 < prune_rate < 1:
        raise ValueError(f"prune_rate = {prune_rate}")
    target, rate = (Fraction(str(value)) for value in (target_sparsity, prune_rate))
    removed, rounds = Fraction(0), 0
    while removed < target:
        removed, rounds = removed + (1 - removed) * rate, rounds + 1
    return rounds


# %% [markdown]
# ## L5.7 rewind


# %% exercise="L5.7" wrong="masks the trained weights and rewinds nothing"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, mask in masks.items():
            parameters[name].mul_(mask)


# %% exercise="L5.7" wrong="leaves pruned weights at their initial values" likely=true
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    model.load_state_dict(initial_state)


# %% exercise="L5.7" wrong="leaves pruned weights at their trained values"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, value in parameters.items():
            mask = masks.get(name, torch.ones_like(value))
            value.copy_(torch.where(mask == 1, initial_state[name], value))


# %% exercise="L5.7" wrong="leaves parameters without a mask as trained" likely=true
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, mask in masks.items():
            parameters[name].copy_(initial_state[name] * mask)


# %% exercise="L5.7" wrong="sets parameters without a mask to zero"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(initial_state[name] * masks.get(name, 0))


# %% exercise="L5.7" wrong="draws new random weights"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    for layer in model.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    with torch.no_grad():
        for name, mask in masks.items():
            parameters[name].mul_(mask)


# %% exercise="L5.7" wrong="keeps the pruned and removes the survivors"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(initial_state[name] * (1 - masks.get(name, 0 * value)))


# %% exercise="L5.7" wrong="shares the tensors of initial_state" likely=true
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    for name, value in parameters.items():
        value.data = initial_state[name] * masks[name] if name in masks else initial_state[name]


# %% exercise="L5.7" wrong="masks initial_state itself"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    for name, mask in masks.items():
        initial_state[name] *= mask
    model.load_state_dict(initial_state)


# %% exercise="L5.7" wrong="puts new parameters in the old ones' place"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    for name in parameters:
        layer, _, last = name.rpartition(".")
        value = initial_state[name].clone() * masks.get(name, 1)
        setattr(model.get_submodule(layer), last, torch.nn.Parameter(value))


# %% exercise="L5.7" wrong="works on a copy of the model" likely=true
def rewind(model, initial_state, masks):
    import copy

    model = copy.deepcopy(model)
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(initial_state[name] * masks.get(name, 1))
    return model


# %% exercise="L5.7" wrong="freezes what it rewinds"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    for name, value in parameters.items():
        value.requires_grad_(False)
        value.copy_(initial_state[name] * masks.get(name, 1))


# %% exercise="L5.7" wrong="goes through half precision"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(initial_state[name].half() * masks.get(name, torch.ones(1)).half())


# %% exercise="L5.7" wrong="lets a mask of another shape broadcast"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    if not set(masks) <= set(parameters):
        raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(initial_state[name] * masks.get(name, 1))


# %% exercise="L5.7" wrong="passes over masks of unknown parameters"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, value in parameters.items():
            mask = masks.get(name, torch.ones_like(value))
            if mask.shape != value.shape:
                raise ValueError("masks")
            value.copy_(initial_state[name] * mask)


# %% exercise="L5.7" right="copy, then multiply"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    if missing := set(parameters) - set(initial_state):
        raise ValueError(f"initial_state lacks {missing}")
    for name, mask in masks.items():
        if name not in parameters:
            raise ValueError(f"masks: no parameter {name}")
        if mask.shape != parameters[name].shape:
            raise ValueError(f"masks: {name} has another shape")
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(initial_state[name])
            if name in masks:
                value *= masks[name]


# %% exercise="L5.7" right="load_state_dict of masked copies"
def rewind(model, initial_state, masks):
    state = model.state_dict()
    for name, mask in masks.items():
        if name not in state or mask.shape != state[name].shape:
            raise ValueError(f"masks[{name}]")
    if not set(state) <= set(initial_state):
        raise ValueError("initial_state is not complete")
    model.load_state_dict(
        {name: torch.where(masks[name].bool(), v, 0.0) if name in masks else v for name, v in initial_state.items()}
    )
    return model


# %% exercise="L5.7" right="through .data, with indexing"
def rewind(model, initial_state, masks):
    known = [name for name, _ in model.named_parameters()]
    for name in masks:
        if name not in known:
            raise ValueError("masks has a name that the model has not")
    for name, value in model.named_parameters():
        if name not in initial_state:
            raise ValueError("initial_state is short of " + name)
        if name in masks and masks[name].size() != value.size():
            raise ValueError("masks has a wrong shape for " + name)
        fresh = initial_state[name].clone()
        if name in masks:
            fresh[masks[name] == 0] = 0
        value.data = fresh


# %% exercise="L5.7" wrong="only linear layers"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for path, layer in model.named_modules():
            if isinstance(layer, torch.nn.Linear):
                for last, value in layer.named_parameters():
                    name = f"{path}.{last}" if path else last
                    value.copy_(initial_state[name] * masks.get(name, 1))


# %% exercise="L5.7" wrong="goes through single precision"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(initial_state[name].float() * masks.get(name, 1))


# %% exercise="L5.7" wrong="takes the zeros that the model has for pruned weights"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, value in parameters.items():
            alive = value != 0
            value.copy_(initial_state[name] * masks.get(name, 1) * alive)


# %% exercise="L5.7" wrong="a mask of a single number passes"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or (mask.numel() > 1 and mask.shape != parameters[name].shape):
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(initial_state[name] * masks.get(name, 1))


# %% exercise="L5.7" wrong="only a mask's first axis is compared"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape[:1] != parameters[name].shape[:1]:
            raise ValueError("masks")
    if not set(parameters) <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(initial_state[name] * masks.get(name, 1))


# %% exercise="L5.7" wrong="a missing matrix in initial_state is passed over where it has no mask"
def rewind(model, initial_state, masks):
    parameters = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in parameters or mask.shape != parameters[name].shape:
            raise ValueError("masks")
    if not {name for name, value in parameters.items() if name in masks or value.ndim < 2} <= set(initial_state):
        raise ValueError("initial_state")
    with torch.no_grad():
        for name, value in parameters.items():
            value.copy_(initial_state.get(name, value) * masks.get(name, 1))


# %% exercise="L5.7" right="in any order, each parameter on its own"
def rewind(model, initial_state, masks):
    own = {name: value for name, value in model.named_parameters()}
    for name in masks:
        if name not in own or tuple(masks[name].shape) != tuple(own[name].shape):
            raise ValueError(f"masks does not fit at {name}")
    if any(name not in initial_state for name in own):
        raise ValueError("initial_state is incomplete")
    for name in reversed(list(own)):
        start = initial_state[name].detach().clone()
        own[name].data[...] = start.masked_fill(masks[name] == 0, 0) if name in masks else start


# %% [markdown]
# ## L5.8 find_ticket


# %% exercise="L5.8" wrong="keeps the trained weights" likely=true
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.mul_(masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="draws new weights each round"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        initial = {name: value.detach().clone() for name, value in make_model().named_parameters()}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="rewinds to a second draw of make_model"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in make_model().named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="keeps no copy of the start" likely=true
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="rewinds the weights and leaves the biases trained"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                if name in masks:
                    value.copy_(initial[name] * masks[name])
    return model, masks


# %% exercise="L5.8" wrong="prunes by the initial weights"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = initial
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="prunes each matrix for itself" likely=true
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        for name in masks:
            size = trained[name][masks[name] == 1].abs()
            gone = round(prune_rate * len(size))
            if gone:
                masks[name] = masks[name] * (trained[name].abs() > size.sort().values[gone - 1])
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="removes the largest weights"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort(descending=True).values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() < threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="removes small values instead of small magnitudes"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1] for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name] > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="counts the pruned weights among the smallest again"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name].abs().flatten() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="removes a share of the whole each round"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = min(round(prune_rate * sum(m.numel() for m in masks.values())), len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="keeps the share it should remove"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round((1 - prune_rate) * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="prunes biases too" likely=true
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items()}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="removes weights at random"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: torch.rand_like(value) for name, value in initial.items()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="trains the ticket before it returns it" likely=true
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    train(model, masks)
    return model, masks


# %% exercise="L5.8" wrong="does not train in the last round"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for k in range(rounds):
        if k < rounds - 1:
            train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="all in one round"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    prune_rate = 1 - (1 - prune_rate) ** rounds
    for _ in range(min(rounds, 1)):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="trains without masks"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, {})
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="rewinds before it looks at the trained weights"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        model.load_state_dict(initial)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="returns the model without rewinding after the last round"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for k in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        if k == rounds - 1:
            break
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="returns the masks before the model"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return masks, model


# %% exercise="L5.8" wrong="returns only the masks"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return masks


# %% exercise="L5.8" wrong="accepts nonsense"
def find_ticket(make_model, train, prune_rate, rounds):
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="the error names no argument"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("bad input")
    if rounds < 0:
        raise ValueError("bad input")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" right="a threshold over the survivors"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" right="sorted positions, cut at the total density, whole share rounded up"
def find_ticket(make_model, train, prune_rate, rounds):
    import copy
    import math

    if prune_rate < 0 or prune_rate > 1:
        raise ValueError(f"prune_rate is {prune_rate}")
    if rounds < 0:
        raise ValueError(f"rounds is {rounds}")
    model = make_model()
    start = copy.deepcopy(model.state_dict())
    names = [name for name, value in model.named_parameters() if value.dim() >= 2]
    masks = {name: torch.ones(start[name].shape) for name in names}
    total = sum(mask.numel() for mask in masks.values())
    for k in range(1, rounds + 1):
        train(model, masks)
        state = model.state_dict()
        ranked = sorted(
            (abs(value) * keep - (1 - keep), name, i)
            for name in names
            for i, (value, keep) in enumerate(zip(state[name].flatten().tolist(), masks[name].flatten().tolist()))
        )
        masks = {name: torch.ones(start[name].shape) for name in names}
        for _, name, i in ranked[: math.ceil(total * (1 - (1 - prune_rate) ** k) - 1e-9)]:
            masks[name].view(-1)[i] = 0
        model.load_state_dict({name: value * masks.get(name, 1) for name, value in start.items()})
    return model, masks


# %% exercise="L5.8" right="recursion, kthvalue, and a fresh model that takes the first one's start"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate must lie in [0, 1]")
    if rounds < 0:
        raise ValueError("rounds must not be negative")
    start = {name: value.clone() for name, value in make_model().state_dict().items()}

    def ticket(masks):
        model = make_model()
        model.load_state_dict(
            {name: torch.where(masks[name], v, 0) if name in masks else v for name, v in start.items()}
        )
        return model

    def search(masks, rounds):
        model = ticket(masks)
        if rounds == 0:
            return model, masks
        train(model, {name: mask.float() for name, mask in masks.items()})
        alive = torch.cat([model.get_parameter(name).detach()[mask] for name, mask in masks.items()]).abs()
        gone = int(prune_rate * alive.numel())
        least = alive.kthvalue(gone).values if gone else -1
        masks = {name: mask & (model.get_parameter(name).detach().abs() > least) for name, mask in masks.items()}
        return search(masks, rounds - 1)

    return search({name: torch.ones_like(v, dtype=torch.bool) for name, v in start.items() if v.ndim > 1}, rounds)


# %% exercise="L5.8" wrong="the first training gets no masks" likely=true
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for k in range(rounds):
        train(model, masks if k else {})
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="only matrices, no parameters of three dimensions"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim == 2}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="prunes normalisation layers too"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if name.endswith("weight")}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="keeps all of equal magnitudes"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[min(gone, len(size) - 1)]
            masks = {
                name: masks[name] * (trained[name].abs() >= (threshold if gone < len(size) else torch.inf))
                for name in masks
            }
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="a rate of 1 is refused"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate < 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="a rate of 0 is refused"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 < prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="leaves one weight of each matrix alive"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {
                name: masks[name]
                * ((trained[name].abs() > threshold) | (trained[name].abs() == trained[name].abs().max()))
                for name in masks
            }
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="rewinds masked parameters and normalisation layers, not the rest"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(prune_rate * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                if name.endswith("weight") or value.ndim > 1:
                    value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" wrong="a rate a little outside 0 to 1 passes"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= round(prune_rate, 2) <= 1:
        raise ValueError("prune_rate")
    if rounds < 0:
        raise ValueError("rounds")
    model = make_model()
    initial = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones_like(value) for name, value in initial.items() if value.ndim > 1}
    for _ in range(rounds):
        train(model, masks)
        trained = {name: value.detach() for name, value in model.named_parameters()}
        size = torch.cat([trained[name][masks[name] == 1].abs() for name in masks])
        gone = round(min(max(prune_rate, 0), 1) * len(size))
        if gone:
            threshold = size.sort().values[gone - 1]
            masks = {name: masks[name] * (trained[name].abs() > threshold) for name in masks}
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(initial[name] * masks.get(name, 1))
    return model, masks


# %% exercise="L5.8" right="of equal magnitudes the first in order, share rounded down"
def find_ticket(make_model, train, prune_rate, rounds):
    if not 0 <= prune_rate <= 1:
        raise ValueError("prune_rate is no share")
    if rounds < 0:
        raise ValueError("rounds is negative")
    model = make_model()
    start = {name: value.detach().clone() for name, value in model.named_parameters()}
    masks = {name: torch.ones(value.shape) for name, value in start.items() if value.dim() >= 2}
    for _ in range(rounds):
        train(model, {name: mask.clone() for name, mask in masks.items()})
        alive = [
            (float(value.detach().flatten()[i].abs()), name, i)
            for name, value in model.named_parameters()
            if name in masks
            for i in range(value.numel())
            if masks[name].flatten()[i]
        ]
        for _, name, i in sorted(alive)[: int(prune_rate * len(alive))]:
            masks[name].view(-1)[i] = 0
        with torch.no_grad():
            for name, value in model.named_parameters():
                value.copy_(start[name])
                if name in masks:
                    value *= masks[name]
    return model, masks
