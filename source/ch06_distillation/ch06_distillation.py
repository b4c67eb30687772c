# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Chapter 6 · Distillation
#
# A label says that a picture shows a cat. It does not say that a cat is a little like a dog and not at all like a lorry.
# A network that has seen many pictures knows. Ask it about a cat, and it gives the dog a small probability and the lorry
# a far smaller one. Can a small network learn from those numbers what no label tells it?
#
# In this chapter a large network teaches a small one to read digits, from 60 labelled pictures. You build the teacher's
# soft answers and the loss that passes them on, measure its gradient, and find out over several seeds what each part
# is worth. It trains some hundred and twenty small networks, in less than a minute on two cores.
#
# How to work: read, answer in the cell marked *your code here*, run the cell below it. It answers at once. What holds for
# every exercise, such as types and bad input, stands once in Chapter 0.

# %% nbgrader={"schema_version": 3, "grade_id": "setup", "grade": false, "locked": true, "solution": false, "task": false} tags=["setup"]
from course import ready

ready(6)

# %%
import numpy as np
import torch
from torch.nn import functional
from tqdm.auto import tqdm

from course import GRADING, models
from course.data import digits
from course.figures import distillation as draw

torch.set_num_threads(1)  # networks this small train faster on one core

# %% [markdown]
# ## 1. What the label leaves out
#
# The *teacher* is the 64-128-128-10 network of this course, trained on all 1,347 training pictures with their labels.
# The *student* has one hidden layer of 16 neurons. It gets 60 of those pictures, six of each digit. First it learns alone,
# from their labels.

# %%
STEPS = 2 if GRADING else 300
data = digits()
teacher = models.trained_mlp()
with torch.no_grad():
    teacher_logits = teacher(data.x_train)


def train_student(seed, loss, steps=STEPS):
    """A 64-16-10 network after `steps` steps of Adam on loss(model)."""
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()
    return model.eval()


def of_each(digit_count, seed):
    """The rows of `digit_count` training pictures of each digit, or of all where there are fewer."""
    shuffled = torch.randperm(len(data.y_train), generator=torch.Generator().manual_seed(seed))
    return torch.cat([shuffled[data.y_train[shuffled] == digit][:digit_count] for digit in range(10)])


def learn_alone(seed):
    rows = of_each(6, seed)
    return train_student(seed, lambda model: functional.cross_entropy(model(data.x_train[rows]), data.y_train[rows]))


student = learn_alone(0)
for name, model in {"teacher, all labels": teacher, "student, 60 labels": student}.items():
    size = sum(parameter.numel() for parameter in model.parameters())
    print(f"{name}: {size:6,} parameters, {models.accuracy(model):.1%} of the held-out digits right")

# %% [markdown]
# What does the teacher know beyond the labels? The cell below takes all the threes that the teacher has not seen and still
# reads as threes, and asks which digit comes second. For three of those digits it shows the clearest case.

# %%
with torch.no_grad():
    answers = torch.softmax(teacher(data.x_test), dim=1)
threes = answers[(data.y_test == 3) & (answers.argmax(1) == 3)]
second = threes.argsort(dim=1, descending=True)[:, 1]
for digit in second.unique()[:3]:
    candidates = threes[second == digit]
    clearest = candidates[candidates[:, digit].argmax()]
    print(f"labelled 3; the teacher: 3 with {clearest[3]:.2%}, then {digit} with {clearest[digit]:.2%}, "
          f"least {clearest.min():.1e}")  # fmt: skip
print(f"largest of the ten probabilities, median over all held-out digits: {answers.max(1).values.median():.4f}")

# %% [markdown]
# The same label, and different second digits: the teacher knows more than it was told. *Distillation* (Hinton, Vinyals and
# Dean 2015) teaches the student with the teacher's probabilities, beside the labels or in their place. Keep the last
# line in mind, too: it says how sure the teacher is of most pictures.

# %% [markdown]
# ## 2. Temperature
#
# Divide the logits $z$ by a *temperature* $T$ before the softmax:
#
# $$p_i = \frac{e^{z_i / T}}{\sum_j e^{z_j / T}} .$$
#
# At $T = 1$ this is the ordinary softmax. A larger $T$ makes it softer: the largest probability shrinks, the others grow,
# and their order stays. The *entropy* of a distribution says how soft it is:
#
# $$H(p) = -\sum_i p_i \ln p_i ,$$
#
# in *nats*, because the logarithm is the natural one. It is 0 when one class has everything, and $\ln n$ when $n$ classes
# share evenly.

# %% [markdown]
# ### Exercise 6.1 · Derive · 1 point
#
# The logits are $[2.0, 1.0, 0.1]$. By how many nats is the entropy larger at $T = 5$ than at $T = 1$?
#
# Give a number, to within 1 %. You may compute it in the cell. For comparison: at $T = 2$ it is 0.1795 nats larger than at
# $T = 1$.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_6_1", "grade": false, "locked": false, "solution": true, "task": false}
ex_6_1 = None
### BEGIN SOLUTION
# hint: Divide the logits by T, then the softmax, then the sum of -p ln p. Check your rule with the 0.1795 above.
import math


def nats(T):
    weights = [math.exp(logit / T) for logit in (2.0, 1.0, 0.1)]
    return -sum(w / sum(weights) * math.log(w / sum(weights)) for w in weights)


ex_6_1 = nats(5) - nats(1)
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_6_1", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
import math

import torch

from course import expect
from course.check import check

check("6.1", ex_6_1)
### BEGIN HIDDEN TESTS
at = {
    T: float(torch.distributions.Categorical(logits=torch.tensor([2.0, 1.0, 0.1], dtype=torch.float64) / T).entropy())
    for T in (0.2, 1, 5)
}
expect.number(
    ex_6_1,
    at[5] - at[1],
    traps={
        at[1] - at[5]: "subtract the other way round: T = 5 is the softer one",
        at[5]: "that is the entropy at T = 5; subtract the one at T = 1",
        at[1]: "that is the entropy at T = 1",
        (at[5] - at[1]) / math.log(2): "that is in bits; nats take the natural logarithm",
        (at[5] - at[1]) / math.log(10): "that is with the logarithm to base 10; nats take the natural one",
        math.log(3) - at[1]: "T = 5 comes close to an even share, but is not there",
        at[0.2] - at[1]: "divide the logits by T, do not multiply",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# ### Exercise 6.2 · Trace · 1 point
#
# A student learns from a well-trained teacher's probabilities at $T = 1$. What does that temperature hide from it?
#
# - **A** Which class is the right one: at another temperature another class may come first, as the order changes.
# - **B** The small probabilities, which say what is alike: most are so near 0 that the loss hardly feels them.
# - **C** The teacher's mistakes: at $T = 1$ a well-trained teacher is sure of every answer, and it is right.
# - **D** Nothing: all ten probabilities are there, so the student learns the same from them at any temperature.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_6_2", "grade": false, "locked": false, "solution": true, "task": false}
ex_6_2 = None
### BEGIN SOLUTION
# hint: In the loss, each class counts with the teacher's probability for it. How much does 0.0001 count?
ex_6_2 = "B"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_6_2", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("6.2", ex_6_2)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_6_2,
    "B",
    because={
        "A": "dividing all logits by the same T keeps their order",
        "C": "a teacher can be sure and wrong, and the temperature does not correct it",
        "D": "they are there, but each counts in the loss with its size, and at T = 1 that is next to nothing",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# Try it on a training picture in the middle: the teacher is surer of one half of the pictures and less sure of the other.
# The table shows its answer at four temperatures. The last column is what all digits but the first get together, which is
# what there is to learn beyond the label.

# %%
sureness = torch.softmax(teacher_logits, 1).max(1).values
typical = teacher_logits[sureness.argsort()[len(sureness) // 2]]
print(f"{'T':>4}  " + "".join(f"{digit:>9}" for digit in range(10)) + "    others")
for T in (1, 2, 4, 8):
    p = torch.softmax(typical / T, 0)
    print(f"{T:>4}  " + "".join(f"{share:9.1e}" for share in p) + f"   {1 - p.max():7.2%}")
alike = []
for digit in range(10):
    mean = torch.softmax(teacher_logits[data.y_train == digit] / 4, 1).mean(0)
    mean[digit] = 0
    alike.append(f"{digit} like {mean.argmax()}")
print("\nwhat the teacher finds most alike at T = 4:", ", ".join(alike))

# %% [markdown]
# ## 3. The loss
#
# The student learns from two sources at once. The *hard part* is the cross-entropy (CE) with the label, at $T = 1$. The
# *soft part* compares the student's softened probabilities $q$ with the teacher's $p$, both at the same $T$, by the
# *Kullback-Leibler divergence*
#
# $$\mathrm{KL}(p \,\|\, q) = \sum_i p_i \ln \frac{p_i}{q_i} ,$$
#
# which is 0 when they agree and above 0 otherwise. A weight $\alpha$ from 0 to 1 mixes the two:
#
# $$L = \alpha \, T^2 \, \mathrm{KL}(p \,\|\, q) + (1 - \alpha) \, \mathrm{CE} .$$
#
# In the literature $\alpha$ is sometimes the weight of the hard part, so check before you copy a value.

# %% [markdown]
# ### Exercise 6.3 · Derive · 1 point
#
# $\alpha = 0.7$ and $T = 4$. The divergence $\mathrm{KL}(p \,\|\, q)$ is 0.05, the cross-entropy 2.3. What is the loss?
#
# For comparison: $\alpha = 0.5$, $T = 2$, a divergence of 0.1 and a cross-entropy of 1.0 make 0.7.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_6_3", "grade": false, "locked": false, "solution": true, "task": false}
ex_6_3 = None
### BEGIN SOLUTION
# hint: Work out the two parts one by one. T squared multiplies only one of them.
ex_6_3 = 0.7 * 4**2 * 0.05 + (1 - 0.7) * 2.3
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_6_3", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from fractions import Fraction

from course import expect
from course.check import check

check("6.3", ex_6_3)
### BEGIN HIDDEN TESTS
alpha, kl, ce = Fraction("0.7"), Fraction("0.05"), Fraction("2.3")
expect.number(
    ex_6_3,
    float(alpha * 16 * kl + (1 - alpha) * ce),
    traps={
        float(alpha * kl + (1 - alpha) * ce): "the soft part is multiplied by T squared",
        float(alpha * 4 * kl + (1 - alpha) * ce): "the factor is T squared, not T",
        float((1 - alpha) * 16 * kl + alpha * ce): "alpha belongs to the soft part here, 1 - alpha to the hard one",
        float(16 * (alpha * kl + (1 - alpha) * ce)): "T squared multiplies the soft part only",
        float(alpha * kl / 16 + (1 - alpha) * ce): "multiply the soft part by T squared, do not divide",
        float(16 * kl + ce): "alpha and 1 - alpha weigh the two parts",
        float(alpha * 16 * kl): "that is the soft part alone",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# The balance of the two parts over $T$, if the divergence and the cross-entropy stayed as they are. In a real network the
# divergence falls as $T$ rises. How fast it falls is the point of the next exercise.

# %%
for T in (1, 2, 4, 8):
    soft, hard = 0.7 * T**2 * 0.05, 0.3 * 2.3
    print(
        f"T = {T}: soft part {soft:.3f}, hard part {hard:.3f}; the soft part is {soft / (soft + hard):.0%} of the loss"
    )

# %% [markdown]
# ### Exercise 6.4 · Trace · 1 point
#
# Why is the soft part multiplied by $T^2$? ($z$ are the student's logits.)
#
# - **A** Both softmaxes divide by $T$, so the gradient of the divergence is $1/T^2$ of its size at $T = 1$, at every $T$. The
#   factor makes it the same at all temperatures.
# - **B** Softened probabilities add up to less than 1, the more so the larger $T$ is. Both distributions lose a factor of
#   $T$, and $T^2$ makes up for what is lost.
# - **C** It gives the teacher more weight than the label, as $\alpha$ does, so that the student listens to the teacher at
#   every temperature. Any factor above 1 would do.
# - **D** The gradient of the divergence with respect to $z$ is $(q - p)/T$. For large $T$ the difference $q - p$ shrinks
#   like $1/T$ as well. The factor balances the two, in that limit.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_6_4", "grade": false, "locked": false, "solution": true, "task": false}
ex_6_4 = None
### BEGIN SOLUTION
# hint: Differentiate the divergence by one logit: one 1/T comes from the chain rule. Is there a second one at every T?
ex_6_4 = "D"
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_6_4", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check

check("6.4", ex_6_4)
### BEGIN HIDDEN TESTS
expect.choice(
    ex_6_4,
    "D",
    because={
        "A": "the chain rule gives one 1/T, through the student; the second comes from q - p, and only for large T",
        "B": "a softmax adds up to 1 at every temperature",
        "C": "alpha is there for the weight; this factor belongs to T and keeps alpha's meaning when T is large",
    },
)
### END HIDDEN TESTS

# %% [markdown]
# Try it. PyTorch's autograd finds the gradient of the divergence for the student from above, on the training pictures. It is
# taken with respect to the student's logits, for one picture at a time; the table shows its mean length.

# %%
with torch.no_grad():
    student_logits = student(data.x_train)
print(f"{'T':>4}  {'gradient':>9}  {'times T':>8}  {'times T^2':>9}")
balanced = {}
for T in (1, 2, 4, 8, 16, 32, 64):
    z = student_logits.clone().requires_grad_()
    log_q, log_p = (torch.log_softmax(logits / T, 1) for logits in (z, teacher_logits))
    functional.kl_div(log_q, log_p, reduction="sum", log_target=True).backward()
    size = z.grad.norm(dim=1).mean().item()
    balanced[T] = T**2 * size
    print(f"{T:>4}  {size:9.5f}  {T * size:8.4f}  {balanced[T]:9.4f}")
peak = max(balanced, key=balanced.get)
print(f"\ntimes T^2: {balanced[peak] / balanced[1]:.1f} times as large at T = {peak} as at T = 1, "
      f"then {1 - balanced[64] / balanced[peak]:.0%} less up to T = 64")  # fmt: skip

# %% [markdown]
# A factor that was right at every temperature would leave the last column constant. At low temperatures $T^2$ is too much:
# the column grows with every step, and overshoots. Then it comes down, less and less from row to row, to a limit. There
# $T^2$ is right. Section 5 comes back to this with your own loss.

# %% [markdown]
# ## 4. Build the parts
#
# ### Exercise 6.5 · Build · 3 points
#
# Write the softmax with temperature, over the last axis. `logits` is an array of any shape or the same as a list, nested for
# more than one axis. They may be integers, in any of NumPy's types: calculate in floats. `logits` stays as it is. The
# result has its shape.
#
# It has to be *stable*: `exp(10000)` overflows, but a softmax does not change when the same number is subtracted from
# all logits of a row. Give each row its own number: two rows may lie far apart.
#
# Raise `ValueError`, with `T` in the message, when `T` is not above 0.
#
# Example: `softmax_with_temperature([2.0, 1.0, 0.1], 5)` is about `[0.3996, 0.3272, 0.2733]`, and
# `softmax_with_temperature([10000.0, 0.0], 1)` is `[1.0, 0.0]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_6_5", "grade": false, "locked": false, "solution": true, "task": false}
def softmax_with_temperature(logits, T):
    """Return the probabilities softmax(logits / T) over the last axis; same shape as logits."""
    ### BEGIN SOLUTION
    if not T > 0:
        raise ValueError(f"T must be above 0, got {T}")
    z = np.asarray(logits, dtype=float) / T
    weights = np.exp(z - z.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_6_5", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import numpy as np
import torch

from course import cases, expect
from course.check import passed

expect.array(
    softmax_with_temperature([2.0, 1.0, 0.1], 5),
    [0.399586, 0.327153, 0.273261],
    "softmax_with_temperature([2.0, 1.0, 0.1], 5)",
    1e-5,
)
expect.array(softmax_with_temperature([10000.0, 0.0], 1), [1, 0], "softmax_with_temperature([10000.0, 0.0], 1)", 1e-6)
expect.array(
    softmax_with_temperature(np.array([[10000, 9998, 9994], [0, 2, 4]]), 2),
    [[0.705385, 0.259496, 0.035119], [0.090031, 0.244728, 0.665241]],
    "for the two rows [[10000, 9998, 9994], [0, 2, 4]], T = 2: the result",
    1e-5,
    traps=[
        ("the last axis is the one that adds up to 1, not the first", [[1, 1, 1], [0, 0, 0]]),
        (
            "each row adds up to 1, not all rows together",
            [[0.342362, 0.125948, 0.017045], [0.046334, 0.125948, 0.342362]],
        ),
        (
            "the logits are divided by T",
            [[0.878878, 0.118943, 0.002179], [0.015876, 0.11731, 0.866813]],
        ),
    ],
)
passed("6.5")
### BEGIN HIDDEN TESTS


def oracle(logits, T):
    return torch.softmax(torch.as_tensor(np.asarray(logits, dtype=np.float64)) / T, -1).numpy()


rng = np.random.default_rng(65)
for T, size, shape in [
    (1, 1.0, (5,)),
    (2.5, 3.0, (4, 6)),
    (20, 8.0, (2, 3, 4)),
    (0.5, 2.0, (6, 4)),
    (1, 300.0, (7, 3)),
    (0.01, 1.0, (3, 5)),
    (3, 1.0, (1,)),
    (2, 5.0, (4, 4)),
    (1000, 500.0, (2, 3)),
]:
    logits = rng.normal(0, size, shape)
    before = logits.copy()
    returned = softmax_with_temperature(logits, T)
    expect.unchanged(logits, before, "logits")
    expect.array(returned, oracle(before, T), f"logits of shape {shape}, T = {T}: the result", 1e-6)

far = [[10000.0, 9999.0, 9990.0], [-10000.0, -10001.0, -10002.0], [10000.0, 0.0, -10000.0]]
expect.array(
    softmax_with_temperature(np.array(far), 1),
    oracle(far, 1),
    "with rows of logits near 10000 and -10000: the result",
    1e-6,
)
expect.array(
    softmax_with_temperature(np.array(far), 2.0), oracle(far, 2), "with logits near 10000 and T = 2: the result", 1e-6
)
whole = np.array([[1, 2, 4], [3, 0, 0]])
expect.array(
    softmax_with_temperature(whole, 2),
    oracle(whole, 2),
    "for the integers [[1, 2, 4], [3, 0, 0]], T = 2: the result",
    1e-6,
)
expect.unchanged(whole, [[1, 2, 4], [3, 0, 0]], "logits")
for numbers in ([[100, -100, 90], [-120, 0, -118]], [[3, 0, 200], [1, 5, 4]]):
    for form in (np.int8, np.uint8, np.int16, np.int32):
        if np.array_equal(np.array(numbers).astype(form), numbers):
            returned = softmax_with_temperature(np.array(numbers, form), 8)
            expect.array(returned, oracle(numbers, 8), f"for {numbers} in {form.__name__}, T = 8: the result", 1e-5)
nested, plain = [[1.0, 2.0, 4.0], [3.0, 0.0, 0.5]], [3.0, 1.0, 2.0]
for given in (nested, plain):
    before = np.array(given)
    expect.array(softmax_with_temperature(given, 2), oracle(before, 2), f"for the list {before.tolist()}, T = 2", 1e-6)
    expect.unchanged(given, before, "logits")
every_other = rng.normal(0, 3, (3, 8))[:, ::2]
expect.array(
    softmax_with_temperature(every_other, 1), oracle(every_other, 1), "for every other column of an array", 1e-6
)
for name, T in cases.not_above(0):
    expect.refuses(softmax_with_temperature, [1.0, 2.0], T, naming="T", of=f"T = {name}")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: temperature
#
# Six held-out pictures and the teacher's logits for them, through your function. Left, the picture. In the middle, the
# probabilities as they count in the loss. Right, the same on a logarithmic scale, with a line at 1 %.
#
# - At $T = 1$, which digits reach the line? Raise $T$ until a second one does.
# - Does the order of the bars ever change?
# - At $T = 20$ all bars are nearly alike. Is what they say about the picture still there?

# %%
with torch.no_grad():
    held_out_logits = {"teacher": teacher(data.x_test).numpy(), "student": student(data.x_test).numpy()}
sure_first = answers.max(1).values.argsort(descending=True).numpy()
shown = sure_first[np.linspace(0, len(sure_first) - 1, 6).astype(int)]  # from the surest to the least sure
shown_labels = data.y_test.numpy()[shown]
draw.temperature(softmax_with_temperature, data.x_test.numpy()[shown], held_out_logits["teacher"][shown], shown_labels)

# %% [markdown]
# ### Exercise 6.6 · Debug · 3 points
#
# Someone wrote the loss of section 3. It runs, and half of these results are right. The last column was worked out by hand,
# for the teacher's $[0.5, 0.5]$ and the student's $[0.25, 0.75]$, whose divergence is 0.1438:

# %%
import inspect


def broken_kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    p, q = np.asarray(soft_teacher), np.asarray(soft_student)
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    soft_part = alpha * divergence
    hard_part = (1 - alpha) * hard_loss
    return soft_part + hard_part


for number, text in enumerate(inspect.getsource(broken_kd_loss).splitlines(), start=1):
    print(f"{number}  {text}")
print()
for alpha, T, by_hand in [(0.5, 1, 1.0719), (0, 4, 2.0000), (0.5, 2, 1.2877), (1, 4, 2.3015)]:
    given = broken_kd_loss([0.5, 0.5], [0.25, 0.75], 2.0, alpha, T)
    print(f"alpha {alpha:<3}  T {T}  hard_loss 2.0:  returns {given:.4f}, by hand {by_hand:.4f}")

# %% [markdown]
# 1. Set `ex_6_6_line` to the number of the first wrong line (1 point).
# 2. Write the repaired function as `kd_loss` (2 points).
#
# - `soft_teacher` and `soft_student` are probabilities above 0, however small, both already softened at $T$: arrays, or
#   lists. The last axis holds the classes, and the divergence is the mean over all rows, however many axes they fill. A
#   single row may come without a batch axis. Both stay as they are.
# - `hard_loss` is the cross-entropy, a number: already the mean over the batch.
# - Return one number. Raise `ValueError`, with the argument's name in the message, when `alpha` is not in $[0, 1]$, `T` is not
#   above 0, or `soft_student` has another shape than `soft_teacher`.
#
# Example: `kd_loss([0.5, 0.5], [0.25, 0.75], hard_loss=2.0, alpha=0.5, T=2)` is about 1.2877.

# %% nbgrader={"schema_version": 3, "grade_id": "ex_6_6", "grade": false, "locked": false, "solution": true, "task": false}
ex_6_6_line = None


def kd_loss(soft_teacher, soft_student, hard_loss, alpha, T):
    """Return alpha * T^2 * KL(soft_teacher || soft_student) + (1 - alpha) * hard_loss, a number."""
    ### BEGIN SOLUTION
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    if not T > 0:
        raise ValueError(f"T must be above 0, got {T}")
    p, q = np.asarray(soft_teacher, dtype=float), np.asarray(soft_student, dtype=float)
    if p.shape != q.shape:
        raise ValueError(f"soft_student must have the shape of soft_teacher, {p.shape}, got {q.shape}")
    divergence = np.mean(np.sum(p * np.log(p / q), axis=-1))
    return alpha * T**2 * divergence + (1 - alpha) * hard_loss


ex_6_6_line = 4
### END SOLUTION

# %% nbgrader={"schema_version": 3, "grade_id": "test_6_6_line", "grade": true, "locked": true, "solution": false, "task": false, "points": 1}
from course import expect
from course.check import check_line

check_line("6.6", ex_6_6_line)
### BEGIN HIDDEN TESTS
expect.line(ex_6_6_line, 4)
### END HIDDEN TESTS

# %% nbgrader={"schema_version": 3, "grade_id": "test_6_6", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import numpy as np
import torch
from torch.nn import functional

from course import cases, expect
from course.check import passed

expect.array(
    kd_loss([0.5, 0.5], [0.25, 0.75], hard_loss=2.0, alpha=0.5, T=2),
    1.287682,
    "kd_loss([0.5, 0.5], [0.25, 0.75], hard_loss=2.0, alpha=0.5, T=2)",
    1e-5,
)
expect.array(
    kd_loss([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]], [[0.4, 0.4, 0.2], [0.2, 0.3, 0.5]], hard_loss=1.5, alpha=0.25, T=2),
    1.234297,
    "for two rows, [[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]] and [[0.4, 0.4, 0.2], [0.2, 0.3, 0.5]], "
    "with hard_loss 1.5, alpha 0.25 and T 2, the loss",
    1e-5,
    traps=[
        ("take the mean over the rows, not their sum", 1.343593),
        ("a row's divergence is a sum over its classes; the mean is over rows only", 1.161432),
        ("alpha is the weight of the soft part", 0.702890),
    ],
)
passed("6.6")
### BEGIN HIDDEN TESTS
rng = np.random.default_rng(66)
for alpha, T, hard_loss, shape in [
    (1.0, 1, 5.0, (6,)),
    (1.0, 4, 5.0, (3, 5)),
    (1.0, 0.5, 5.0, (2, 3, 4)),
    (0.0, 7.0, 2.5, (4, 3)),
    (0.3, 3.0, 1.5, (8, 10)),
    (0.9, 20, 0.0, (2, 2)),
    (0.25, 1.5, 4.0, (3,)),
]:
    p, q = (torch.softmax(torch.tensor(rng.normal(0, 2, shape)), -1) for _ in range(2))
    rows = p.numel() // shape[-1]
    divergence = functional.kl_div(q.log(), p, reduction="sum").item() / rows
    p, q = p.numpy(), q.numpy()
    before = p.copy(), q.copy()
    returned = kd_loss(p, q, hard_loss, alpha, T)
    expect.unchanged(p, before[0], "soft_teacher")
    expect.unchanged(q, before[1], "soft_student")
    case = f"probabilities of shape {shape}, KL {divergence:.4f}, hard_loss {hard_loss}, alpha {alpha}, T {T}: the loss"
    expect.array(returned, alpha * T**2 * divergence + (1 - alpha) * hard_loss, case, 1e-5)
same = np.array([[0.2, 0.8], [0.6, 0.4]])
expect.array(
    kd_loss(same, same.copy(), 3.0, 0.4, 5), 1.8, "a student that agrees, hard_loss 3, alpha 0.4: the loss", 1e-6
)
half, sure = np.array([0.5, 0.5]), np.array([1 - 1e-12, 1e-12])
expect.array(
    kd_loss(half, sure, 3.0, 0.5, 2),
    2 * functional.kl_div(torch.tensor(sure).log(), torch.tensor(half), reduction="sum").item() + 1.5,
    "a student that gives a class 1e-12, hard_loss 3, alpha 0.5, T 2: the loss",
    1e-5,
    1e-5,
)
half = [0.5, 0.5]
for name, T in cases.not_above(0):
    expect.refuses(kd_loss, half, half, 1.0, 0.5, T, naming="T", of=f"T = {name}")
for name, alpha in cases.not_between(0, 1):
    expect.refuses(kd_loss, half, half, 1.0, alpha, 2, naming="alpha", of=f"alpha = {name}")
for shape, others in {
    (2, 3): cases.other_shapes((2, 3)),
    (2, 2): [("shape (1, 2)", (1, 2)), ("shape (2,)", (2,))],
}.items():
    for name, other in others:
        p, q, of = (
            np.full(shape, 1 / 3),
            np.full(other, 1 / 3),
            f"soft_teacher of shape {shape}, soft_student of {name}",
        )
        expect.refuses(kd_loss, p, q, 1.0, 0.5, 2, naming="soft_student or soft_teacher", of=of)
### END HIDDEN TESTS

# %% [markdown]
# ### Lab L6.7 · Build · 2 points
#
# Write the entropy in nats, over the last axis: an array or a list of shape `(..., n)` gives one of shape `(...)`. A class
# with probability 0 adds nothing, because $p \ln p$ tends to 0 there; all others count, however small. `p` stays as it
# is. Raise `ValueError`, naming `p`, when any of the probabilities is negative, however slightly.
#
# Example: `entropy([0.5, 0.5, 0.0])` is $\ln 2$, about 0.6931.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L6_7", "grade": false, "locked": false, "solution": true, "task": false}
def entropy(p):
    """Return -sum p ln p in nats over the last axis, where 0 ln 0 is 0."""
    ### BEGIN SOLUTION
    p = np.asarray(p, dtype=float)
    if (p < 0).any():
        raise ValueError(f"p must not be negative, got {p.min()}")
    return -np.sum(p * np.log(np.where(p > 0, p, 1.0)), axis=-1)
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L6_7", "grade": true, "locked": true, "solution": false, "task": false, "points": 2}
import warnings

import numpy as np
import torch

from course import expect
from course.check import passed

with np.errstate(all="ignore"), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    halves = entropy([0.5, 0.5, 0.0])
    rows = entropy(np.array([[0.5, 0.5, 0.0], [0.7, 0.2, 0.1]]))
expect.array(
    halves,
    0.693147,
    "entropy([0.5, 0.5, 0.0])",
    1e-5,
    traps=[("that is in bits", 1), ("it is never negative", -0.693147)],
)
expect.array(rows, [0.693147, 0.801819], "entropy of the two rows [[0.5, 0.5, 0], [0.7, 0.2, 0.1]]", 1e-5)
passed("L6.7")
### BEGIN HIDDEN TESTS


def oracle(p):
    p = torch.tensor(p, dtype=torch.float64)
    return torch.special.entr(p).sum(-1).numpy()


rng = np.random.default_rng(67)
for shape, softness in [((5,), 1.0), ((4, 10), 0.1), ((2, 3, 4), 5.0), ((1,), 1.0), ((6, 2), 1.0)]:
    p = rng.dirichlet(np.full(shape[-1], softness), shape[:-1])
    before = p.copy()
    returned = entropy(p)
    expect.unchanged(p, before, "p")
    expect.array(returned, oracle(before), f"entropy of probabilities of shape {shape}", 1e-6)
certain = np.array([[0, 1, 0], [1, 0, 0]])
with np.errstate(all="ignore"), warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sure = entropy(certain)
    with_zeros = np.array([[0.25, 0.75, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]])
    mixed = entropy(with_zeros)
    tiny = entropy(np.array([1.0 - 1e-13, 1e-13]))
expect.array(sure, [0, 0], "entropy of the integers [[0, 1, 0], [1, 0, 0]]", 1e-9)
expect.array(mixed, [0.562335, 1.386294], "entropy([[0.25, 0.75, 0, 0], [0.25, 0.25, 0.25, 0.25]])", 1e-5)
expect.array(tiny, 3.0934e-12, "entropy([1 - 1e-13, 1e-13]), where nothing has to be added to p,", 1e-13)
expect.unchanged(certain, [[0, 1, 0], [1, 0, 0]], "p")
expect.unchanged(with_zeros, [[0.25, 0.75, 0, 0], [0.25, 0.25, 0.25, 0.25]], "p")
for p in ([1.2, -0.2], [-1e-9, 1.0], [[0.5, 0.5], [1.5, -0.5]], [[[0.5, 0.5], [-0.5, 1.5]], [[0.5, 0.5], [0.5, 0.5]]]):
    expect.refuses(entropy, np.array(p), naming="p", of=f"p = {p}")
### END HIDDEN TESTS

# %% [markdown]
# ### See it: temperature and alpha
#
# The same six pictures, the teacher and the student that learned alone, through your three functions.
#
# - Raise $T$. Both entropies climb towards $\ln 10$, and the bars come together. Does the soft part vanish?
# - Move $\alpha$ from 0 to 1. Which part has the larger share at $T = 1$, which at $T = 20$?
# - The hard part does not depend on $T$. Find a picture that the student reads well and one that it does not.

# %%
draw.two_parts(
    softmax_with_temperature,
    entropy,
    kd_loss,
    held_out_logits["teacher"][shown],
    held_out_logits["student"][shown],
    shown_labels,
)

# %% [markdown]
# ## 5. A loss that trains
#
# ### Lab L6.8 · Build · 3 points
#
# Write the loss for training, in PyTorch, from logits:
#
# $$L = \alpha \, T^2 \, \mathrm{KL}(p \,\|\, q) + (1 - \alpha) \, \mathrm{CE} , \qquad
# p = \mathrm{softmax}(z_{teacher} / T), \quad q = \mathrm{softmax}(z_{student} / T) .$$
#
# - `student_logits` and `teacher_logits` are float tensors of shape (batch, classes), `labels` holds the classes as integers.
#   All three stay as they are. The cross-entropy is at $T = 1$. Both parts are means over the batch.
# - Return a tensor with one number, through which gradients reach `student_logits`. None reaches `teacher_logits`: the
#   teacher is not trained.
# - It must be finite for logits of any size. `torch.log_softmax` is; the logarithm of a softmax is not.
# - Raise `ValueError`, with the argument's name in the message, when `alpha` is not in $[0, 1]$, `T` is not above 0, or
#   `teacher_logits` has another shape than `student_logits`.
#
# Mind the arguments of `functional.kl_div`: it takes the *logarithms* of the student's probabilities first and the
# teacher's probabilities second, and its default reduction divides by the number of classes as well.
#
# Example: student logits `[[1, 0]]`, teacher logits `[[0, 2]]`, label 1, $\alpha = 0.5$, $T = 2$: about 1.1714.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L6_8", "grade": false, "locked": false, "solution": true, "task": false}
def distillation_loss(student_logits, teacher_logits, labels, alpha, T):
    """Return alpha * T^2 * KL(teacher || student), both at T, + (1 - alpha) * cross-entropy; a batch mean."""
    ### BEGIN SOLUTION
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    if not T > 0:
        raise ValueError(f"T must be above 0, got {T}")
    if student_logits.shape != teacher_logits.shape:
        raise ValueError(
            f"teacher_logits must have the shape of student_logits, {tuple(student_logits.shape)}, "
            f"got {tuple(teacher_logits.shape)}"
        )
    log_q = torch.log_softmax(student_logits / T, dim=-1)
    log_p = torch.log_softmax(teacher_logits.detach() / T, dim=-1)
    soft = torch.nn.functional.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    hard = torch.nn.functional.cross_entropy(student_logits, labels)
    return alpha * T**2 * soft + (1 - alpha) * hard
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L6_8", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import torch
from torch.nn import functional

from course import cases, expect
from course.check import passed
from course.probe import probe


@probe
def loss_and_gradients(function, student, teacher, labels, alpha, T):
    """The loss, its gradients by both logits (zeros where there is none), and the inputs afterwards."""
    import torch

    student, teacher = student.clone().requires_grad_(), teacher.clone().requires_grad_()
    loss = function(student, teacher, labels, alpha, T)
    if not isinstance(loss, torch.Tensor):
        raise TypeError(f"distillation_loss should return a tensor, it returned {type(loss).__name__}")
    if not loss.requires_grad:
        raise TypeError("distillation_loss returned a tensor without a gradient: keep student_logits attached")
    loss.sum().backward()
    gradients = [torch.zeros_like(z) if z.grad is None else z.grad for z in (student, teacher)]
    return loss.detach(), *gradients, student.detach(), teacher.detach(), labels


loss, gradient, *_ = loss_and_gradients(
    distillation_loss, torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), torch.tensor([1]), 0.5, 2.0
)
case = "student [[1, 0]], teacher [[0, 2]], label 1, alpha 0.5, T 2:"
expect.array(loss, 1.171437, f"{case} the loss", 1e-4)
expect.array(gradient, [[0.719047, -0.719047]], f"{case} the gradient by the student's logits", 1e-4)
loss, gradient, *_ = loss_and_gradients(
    distillation_loss,
    *(torch.tensor([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]), torch.tensor([[0.0, 2.0, 1.0], [1.0, 1.0, 0.0]])),
    *(torch.tensor([1, 0]), 0.25, 2.0),
)
case = "student [[1, 0, 2], [0, 3, 0]], teacher [[0, 2, 1], [1, 1, 0]], labels [1, 0], alpha 0.25, T 2:"
expect.array(
    loss,
    2.302876,
    f"{case} the loss",
    1e-4,
    traps=[
        ("both parts are means over the batch", 2.542304),
        ("the soft part is a sum over the classes; kl_div's default reduction divides by their number", 2.143258),
        ("alpha is the weight of the soft part", 1.406100),
        ("the cross-entropy is at T = 1", 1.570397),
    ],
)
passed("L6.8")
### BEGIN HIDDEN TESTS


def oracle(student, teacher, labels, alpha, T):
    """Loss by PyTorch in float64, and the gradient by its formula."""
    z, v = student.double(), teacher.double()
    log_q, p = torch.log_softmax(z / T, 1), torch.softmax(v / T, 1)
    loss = alpha * T**2 * functional.kl_div(log_q, p, reduction="batchmean")
    loss += (1 - alpha) * functional.cross_entropy(z, labels)
    hard = torch.softmax(z, 1) - functional.one_hot(labels, z.shape[1])
    return loss, (alpha * T * (log_q.exp() - p) + (1 - alpha) * hard) / len(z)


def check_case(student, teacher, labels, alpha, T, case, atol=1e-4):
    loss, gradient, by_teacher, *after = loss_and_gradients(
        distillation_loss, student.clone(), teacher.clone(), labels.clone(), alpha, T
    )
    right, right_gradient = oracle(student, teacher, labels, alpha, T)
    expect.array(loss, right, f"{case}: the loss", atol, 1e-4)
    expect.array(gradient, right_gradient, f"{case}: the gradient by the student's logits", atol / 10, 1e-4)
    expect.array(by_teacher, torch.zeros_like(teacher), f"{case}: the gradient by the teacher's logits", 0, 0)
    for now, before, name in zip(after, (student, teacher, labels), ("student_logits", "teacher_logits", "labels")):
        expect.unchanged(now, before, name)


generator = torch.Generator().manual_seed(68)
for alpha, T, shape, size, what in [
    (1.0, 1.0, (6, 5), 2.0, "the soft part alone"),
    (1.0, 3.0, (4, 10), 3.0, "the soft part alone"),
    (0.0, 5.0, (7, 3), 2.0, "the hard part alone, which does not depend on T"),
    (0.7, 4.0, (8, 10), 3.0, "both parts"),
    (0.3, 0.5, (5, 4), 1.0, "both parts"),
    (0.5, 2, (1, 6), 1.0, "a batch of one"),
    (0.9, 20.0, (3, 4), 5.0, "both parts"),
]:
    z, v = (size * torch.randn(shape, generator=generator) for _ in range(2))
    y = torch.randint(shape[1], shape[:1], generator=generator)
    check_case(z, v, y, alpha, T, f"{what}, alpha {alpha}, T {T}, logits of shape {shape}")
z = 2 * torch.randn((4, 3), generator=generator)
check_case(z, z.clone(), torch.tensor([0, 1, 2, 0]), 1.0, 4.0, "a student that agrees with its teacher, alpha 1, T 4")
far = torch.tensor([[800.0, -800.0, 0.0], [0.0, 0.0, 500.0]])
check_case(far, -far, torch.tensor([1, 2]), 0.5, 1.0, "logits of hundreds, alpha 0.5, T 1")
check_case(40 * far, -40 * far, torch.tensor([1, 2]), 0.5, 1.0, "logits of tens of thousands, alpha 0.5, T 1")
z, v = (2 * torch.randn((6, 5), generator=generator) for _ in range(2))
check_case(z, v, torch.tensor([0, 1, 2, 3, 4, 0]), 0.5, 3.0, "another batch of shape (6, 5), alpha 0.5, T 3")

two = torch.zeros(2, 3)
zero = torch.zeros(2, dtype=torch.long)
for name, T in cases.not_above(0):
    expect.refuses(distillation_loss, two, two, zero, 0.5, T, naming="T", of=f"T = {name}")
for name, alpha in cases.not_between(0, 1):
    expect.refuses(distillation_loss, two, two, zero, alpha, 2.0, naming="alpha", of=f"alpha = {name}")
for name, shape in cases.other_shapes((2, 3)):
    of = f"student_logits of shape (2, 3), teacher_logits of {name}"
    other = torch.zeros(shape)
    expect.refuses(distillation_loss, two, other, zero, 0.5, 2.0, naming="teacher_logits or student_logits", of=of)
### END HIDDEN TESTS

# %% [markdown]
# ### See it: where T squared is right, and where it is too much
#
# Differentiate the soft part without its factor with respect to one of the student's logits, and you get
#
# $$\frac{\partial\, \mathrm{KL}}{\partial z_i} = \frac{q_i - p_i}{T} ,$$
#
# one $1/T$, at any temperature. Now let $T$ be large against the logits. Then $e^{z_i/T} \approx 1 + z_i/T$, and with $n$
# classes, the teacher's logits $v$ and the means $\bar z$ and $\bar v$
#
# $$q_i - p_i \approx \frac{(z_i - \bar z) - (v_i - \bar v)}{n\,T} .$$
#
# That is the second $1/T$, in that limit only. There the factor $T^2$ makes the gradient independent of $T$, and what it
# teaches is the difference of the logits themselves. At $T$ near 1 the difference $q - p$ does not shrink like
# that. It may even grow. The gradient falls more slowly than $1/T^2$, and the factor over-corrects. In between, the
# gradient falls a little faster than $1/T^2$: with the factor it has overshot its limit and comes back to it.
#
# The cell measures it: autograd through your `distillation_loss` with $\alpha = 1$, against the formula with your softmax,
# on the first 200 training pictures, for an untrained student and the one that learned alone. For each picture it
# takes the gradient's length. *power* says how the gradient without $T^2$ falls from this row to the next: 2 means like
# $1/T^2$.

# %%
pictures = data.x_train[:200]
teachers, their_labels = teacher_logits[:200], data.y_train[:200]
torch.manual_seed(5)
untrained = torch.nn.Sequential(torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10))
with torch.no_grad():
    logits_of = {"60 labels alone": student(pictures), "untrained": untrained(pictures)}


def measured(name, T):
    """Mean length, over the pictures, of the gradient that autograd finds; it holds the factor T squared."""
    z = logits_of[name].clone().requires_grad_()
    distillation_loss(z, teachers, their_labels, 1.0, T).backward()
    return (len(z) * z.grad).norm(dim=1).mean().item()


def by_formula(name, T):
    """The same from T * (q - p)."""
    q, p = (softmax_with_temperature(logits.numpy(), T) for logits in (logits_of[name], teachers))
    return float(np.linalg.norm(T * (np.asarray(q) - np.asarray(p)), axis=1).mean())


temperatures = [1, 2, 4, 8, 16, 32, 64, 128]
for name in logits_of:
    print(f"{name}\n{'T':>5}  {'autograd':>9}  {'formula':>9}  {'without T^2':>11}  {'power':>5}")
    sizes = [measured(name, T) for T in temperatures]
    for k, T in enumerate(temperatures[:-1]):
        power = 2 - np.log2(sizes[k + 1] / sizes[k])
        print(f"{T:>5}  {sizes[k]:9.4f}  {by_formula(name, T):9.4f}  {sizes[k] / T**2:11.6f}  {power:5.2f}")

# %% [markdown]
# Autograd and formula agree. Move $T$. The dashed lines are the limit: left it falls like $1/T^2$, right it is 100 %. Where
# the curve lies on them, the factor is right. At lower temperatures, compare the gradient with its size at $T = 1$: the
# caption says how many times as large it has become.

# %%
limits = {}
for name, z in logits_of.items():
    centred = (z - z.mean(1, keepdim=True)) - (teachers - teachers.mean(1, keepdim=True))
    limits[name] = (centred.norm(dim=1) / z.shape[1]).mean().item()
draw.gradient_size(measured, limits)

# %% [markdown]
# So $T^2$ does not keep the balance when you go from $T = 1$ to 4: the soft part gains weight. That does no harm as long as
# you know it: when you change a low temperature, look at $\alpha$ again.

# %% [markdown]
# ## 6. Sixty labels and a teacher
#
# Now the student of section 1 gets its teacher. Five ways to train it, always with the same 300 steps and learning rate:
#
# - *60 labels alone*: no teacher.
# - *the same 60, taught*: no new picture and no new label, only the teacher's soft answers to the same 60.
# - *all pictures, soft answers*: the teacher answers for all 1,347 training pictures, 128 at each step, and the student
#   sees no label at all ($\alpha = 1$).
# - *all pictures, hard answers*: the same, but the teacher only names a digit, and the student takes it as a label.
# - *all 1,347 labels*: no teacher, but everything the teacher had.
#
# Unlabelled pictures are often cheap, labels are not. The teacher has seen the labels of all these pictures in its own
# training; the student learns of them only through the teacher. The seed sets the student's initial weights, its
# 60 pictures and the order of the others.

# %%
SEEDS = (0,) if GRADING else (0, 1, 2)
ALPHA, TEMPERATURE = 0.9, 4.0


def taught_on_the_same(seed, alpha=ALPHA, T=TEMPERATURE):
    rows = of_each(6, seed)
    x, y, v = data.x_train[rows], data.y_train[rows], teacher_logits[rows]
    return train_student(seed, lambda model: distillation_loss(model(x), v, y, alpha, T))


def batches(seed, digit_count):
    """At each call 128 random rows, or 60 where there are no more, of that many training pictures of each digit."""
    rows, generator = of_each(digit_count, seed), torch.Generator().manual_seed(seed)
    return lambda: rows[torch.randint(len(rows), (min(128, len(rows)),), generator=generator)]


def from_soft_answers(seed, T=TEMPERATURE, digit_count=200):
    batch = batches(seed, digit_count)

    def loss(model):
        some = batch()
        nobody = torch.zeros(len(some), dtype=torch.long)  # stands where labels would; their weight is 1 - 1 = 0
        return distillation_loss(model(data.x_train[some]), teacher_logits[some], nobody, 1.0, T)

    return train_student(seed, loss)


def from_labels(seed, labels, digit_count=200):
    batch = batches(seed, digit_count)

    def loss(model):
        some = batch()
        return functional.cross_entropy(model(data.x_train[some]), labels[some])

    return train_student(seed, loss)


hard_answers = teacher_logits.argmax(1)
ways = {
    "60 labels alone": learn_alone,
    "the same 60, taught": taught_on_the_same,
    "all pictures, soft answers": from_soft_answers,
    "all pictures, hard answers": lambda seed: from_labels(seed, hard_answers),
    "all 1,347 labels": lambda seed: from_labels(seed, data.y_train),
}


def over_seeds(way, progress, seeds=SEEDS):
    """The held-out accuracy of way(seed), for each seed."""
    shares = []
    for seed in seeds:
        shares.append(models.accuracy(way(seed)))
        progress.update()
    return np.array(shares)


with tqdm(total=len(ways) * len(SEEDS), unit="student", leave=False, disable=GRADING) as progress:
    results = {name: over_seeds(way, progress) for name, way in ways.items()}
for name, shares in results.items():
    print(f"{name:27} {shares.mean():.1%} on average, {shares.min():.1%} to {shares.max():.1%}")
draw.students(results, {"60 labels alone", "all 1,347 labels"}, models.accuracy(teacher))

# %% [markdown]
# Two things help, and the rows take them apart. Between the first and the second row lie the soft answers: the same
# pictures, and more about each. Between the second and the third lie more pictures. Between the third and the fourth
# only the form of the answer changes, and the soft form, which helped so much above, does not help here.
#
# ### See it: soft or hard answers, nothing else changed
#
# The teacher's answers alone, without a label, to 6 and 24 pictures of each digit and to all of them. The same pictures
# in the same batches, the same steps, five seeds: only the answers differ, hard or soft at two temperatures. The *points*
# are soft less hard in the same run: their mean, the least and the most.

# %%
MORE_SEEDS = (0,) if GRADING else range(5)
forms = {
    "hard": lambda seed, count: from_labels(seed, hard_answers, count),
    "soft, T = 1": lambda seed, count: from_soft_answers(seed, 1.0, count),
    "soft, T = 4": lambda seed, count: from_soft_answers(seed, 4.0, count),
}
soft_less_hard = {}
with tqdm(total=9 * len(MORE_SEEDS), unit="student", leave=False, disable=GRADING) as progress:
    for count, pictures in {6: 60, 24: 240, 200: len(data.x_train)}.items():
        right = {form: over_seeds(lambda seed: way(seed, count), progress, MORE_SEEDS) for form, way in forms.items()}
        print(f"{pictures:>5} pictures, hard answers  {right['hard'].mean():.1%}")
        for form in ("soft, T = 1", "soft, T = 4"):
            soft_less_hard[pictures, form] = points = 100 * (right[form] - right["hard"])
            print(f"{'':16}{form:12}  {right[form].mean():.1%}  "
                  f"{points.mean():+5.1f} points, from {points.min():+.1f} to {points.max():+.1f}")  # fmt: skip

# %% [markdown]
# With few pictures the soft answers win, and more at $T = 4$ than at 1. With all pictures nothing is left of the gain: at
# $T = 1$ soft and hard answers differ by less than the seeds do, and $T = 4$, the best with few pictures, is no longer
# ahead. What one hard answer leaves out, many pictures make up for. Does it stay so with five times as many steps? Set
# `STEPS` to 1500 and run the chapter again. That takes a few minutes.
#
# ### See it: temperature and alpha, trained
#
# The second of the five ways again, for five temperatures and four weights: the same 60 pictures, three seeds each. The
# trainings are short and the student is small, so that all of it takes seconds.
#
# - At $\alpha = 1$ the student sees no label at all. Does it miss anything?
# - At $T = 1$, how far is it from the student that learned alone? Go back to Exercise 6.2.
# - The spread over seeds is part of the result. Which differences are larger than it?

# %%
grid_temperatures = [1.0, 2.0, 4.0, 8.0, 16.0]
grid_alphas = [0.25, 0.5, 0.75, 1.0]
total = len(grid_alphas) * len(grid_temperatures) * len(SEEDS)
with tqdm(total=total, unit="student", leave=False, disable=GRADING) as progress:
    taught = {
        alpha: np.transpose(
            [over_seeds(lambda seed: taught_on_the_same(seed, alpha, T), progress) for T in grid_temperatures]
        )
        for alpha in grid_alphas
    }
draw.temperature_and_alpha(grid_temperatures, taught, results["60 labels alone"], pictures=60)

# %% [markdown]
# ## What you measured
#
# Your numbers, from your functions, on your machine:

# %%
sizes = {
    name: sum(parameter.numel() for parameter in model.parameters())
    for name, model in {"teacher": teacher, "student": student}.items()
}
gained = results["the same 60, taught"] - results["60 labels alone"]
with_all = results["all pictures, soft answers"] - results["60 labels alone"]
low, high = taught[1.0][:, 0].mean(), taught[1.0][:, -1].mean()
growth = measured("60 labels alone", 4) / measured("60 labels alone", 1)
print(f"the student is {sizes['teacher'] / sizes['student']:.1f} times smaller than its teacher")
for name, points in {
    "soft answers to the same 60 pictures": 100 * gained,
    "soft answers to all pictures": 100 * with_all,
    "soft at T = 4 instead of hard answers, 60 pictures": soft_less_hard[60, "soft, T = 4"],
    "the same, all pictures": soft_less_hard[len(data.x_train), "soft, T = 4"],
}.items():
    print(f"{name}: {points.mean():+.1f} points ({points.min():+.1f} to {points.max():+.1f})")
print(f"without any label, 60 pictures: {low:.1%} at T = 1, {high:.1%} at T = {grid_temperatures[-1]:g}")
print(f"the gradient with T squared, from T = 1 to 4: times {growth:.2f}")

# %% [markdown]
# - A label names one class. A teacher's probabilities say how much each of the others is like it.
# - At $T = 1$ a sure teacher says little more than the label. A higher temperature lets the rest be heard; the order stays.
# - The gradient of the soft part is $(q - p)/T$. For large $T$ it falls like $1/T^2$ and the factor $T^2$ balances it. At $T$
#   near 1 the factor over-corrects.
# - Few pictures: soft answers help. Many pictures that nobody labelled: any answer of the teacher's helps, and a hard one
#   does as well.
#
# A few seeds and one small student are a demonstration, not a proof. Stanton et al. (2021) find that students often do not
# match their teachers even where they could, and ask what else makes distillation work. Chapter 7 makes matrices small in
# another way: it asks how many numbers a matrix needs.
#
# ### Sources
#
# - G. Hinton, O. Vinyals, J. Dean, Distilling the Knowledge in a Neural Network, 2015, arXiv:1503.02531: temperature, the loss
#   of two parts, the factor $T^2$, and matching logits as its limit.
# - C. Buciluă, R. Caruana, A. Niculescu-Mizil, Model Compression, KDD 2006: a small network learns an ensemble's answers to
#   unlabelled data.
# - J. Ba, R. Caruana, Do Deep Nets Really Need to be Deep?, 2014, arXiv:1312.6184: a shallow student learns the logits.
# - T. Kim, J. Oh, N. Kim, S. Cho, S.-Y. Yun, Comparing Kullback-Leibler Divergence and Mean Squared Error Loss in Knowledge
#   Distillation, 2021, arXiv:2105.08919: what the loss teaches as the temperature grows.
# - S. Stanton, P. Izmailov, P. Kirichenko, A. A. Alemi, A. G. Wilson, Does Knowledge Distillation Really Work?, 2021,
#   arXiv:2106.05945: how closely students follow their teachers.
# - E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998: the digits.
