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
#
# Time: 1 to 2 hours for the core, 1 to 3 more for the labs. You need logarithms and
# probabilities, for 6.4 a derivative, in the labs PyTorch. Section 7 looks back at Chapters 0 and 2.

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
from course.figures import Predict
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
their_logits = held_out_logits["teacher"][shown]


def first_with_two():
    """The lowest temperature, in halves, at which a second digit of the surest picture gets 1 %."""
    for T in np.arange(1, 20.5, 0.5):
        if np.sort(np.asarray(softmax_with_temperature(their_logits[0], T)))[-2] >= 0.01:
            return f"from T = {T:g} on"
    return "no T up to 20 is enough"


Predict(
    draw.temperature(softmax_with_temperature, data.x_test.numpy()[shown], their_logits, shown_labels),
    "The picture that the teacher is surest of: from which temperature on does a second digit get 1 %?",
    slider=(1.0, 20.0, 0.5),
    happened=first_with_two,
)

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
# ## 7. Going further
#
# A teacher and a student meet again where language models are served. Two pieces of that work follow, on TinyGPT, the small
# language model of this course, which has read Python's standard library and writes it on, byte by byte. Each begins on its
# own. The lab needs the first two cells of this chapter and the one below. The experiment after it needs your
# `distillation_loss` of Lab L6.8 as well. You may skip both: no other exercise needs them, and what was skipped has no row
# in the table at the end.

# %%
from course import tinygpt

gpt = tinygpt.tiny_gpt()
further = {}  # what these two measure, for the table at the end
print(f"TinyGPT: {sum(weight.numel() for weight in gpt.parameters()):,} parameters in {len(gpt.blocks)} blocks")

# %% [markdown]
# ### A student that drafts
#
# A language model writes one token at a time and reads all its weights for each. For a model of 7 B in FP16 that is 14 GB a
# token, while the arithmetic waits (Chapter 0). To look at five tokens in one pass it reads the same 14 GB once.
# *Speculative decoding* (Leviathan et al. 2023; Chen et al. 2023) uses that. A cheap *draft model* writes $k$ tokens. Then
# the large model, the *target*, takes all of them in one pass, which gives its probabilities at each of the $k + 1$ places.
# Which of the drafted tokens may stay, if the text has to be as good as the target's own?
#
# At one place, let $p$ be the target's probabilities and $q$ the draft's, from which the token $x$ was drawn.
#
# - Keep $x$ with probability $\min(1, p_x / q_x)$.
# - If it is not kept, draw a token from the *residual* instead: $\max(p - q, 0)$, divided by its sum.
#
# A token $x$ comes out with probability $\min(p_x, q_x)$ as a kept one. That leaves $\max(p_x - q_x, 0)$ to $p_x$, and this is
# what the residual adds: its sum is just the probability that a token is not kept. Together it is $p_x$, whatever $q$ is.
# A bad draft costs time. It does not change the text's distribution.
#
# The first token that is not kept ends the check: what was drafted after it continues another text. If all $k$ are kept,
# the target's last row gives one more. So each check yields 1 to $k + 1$ tokens.

# %% [markdown]
# ### Lab L6.9 · Build · 3 points
#
# Write one check. `speculative_step(p, q, draft, u)` takes
#
# - `p` of shape $(k + 1, n)$: in row $i$, counted from 0, the target's probabilities of $n$ tokens after the first $i$ drafted
#   ones;
# - `q` of shape $(k, n)$: in row $i$ the draft model's probabilities, from which `draft[i]` was drawn;
# - `draft`: $k$ tokens, whole numbers from 0 to $n - 1$;
# - `u`: $k + 1$ numbers, at least 0 and below 1. They are all the chance there is, so that equal arguments give equal tokens.
#
# All four are arrays or lists, with $k$ of 1 or more, and stay as they are. Return the tokens of the check as a list.
#
# 1. Keep `draft[i]`, from the first to the last, while $u_i \, q < p$ holds for that token's probabilities in row $i$.
# 2. At the first one that is not kept, draw one token from the residual of its row, and stop. If all are kept, draw one
#    from the last row of `p`.
# 3. To draw, take the last of `u`. The token is the first one at which the running sum of the probabilities is above it.
#
# Rows from a real softmax miss a sum of 1 by a rounding error, and the last of `u` may lie as close to 1 as floats go. The
# token drawn must still be one whose probability, in what it is drawn from, is above 0. Should rounding leave nothing of a
# residual at all, draw from that row of `p`.
#
# Raise `ValueError`, with the argument's name in the message, when `p` has not one row more than `q` or another number of
# columns, when `draft` has not one token for each row of `q` or one outside 0 to $n - 1$, and when `u` has not one number for
# each row of `p` or one that is negative, 1 or more.
#
# Example: `p = [[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]]`, `q = [[0.2, 0.7, 0.1]]`, `draft = [1]`. With `u = [0.4, 0.75]` the token stays,
# since 0.28 < 0.3, and 0.75 draws token 2 from the last row: `[1, 2]`. With `u = [0.8, 0.5]` it goes, since 0.56 is not below
# 0.3. The residual is `[0.75, 0, 0.25]`, and 0.5 draws token 0 from it: `[0]`.


# %% nbgrader={"schema_version": 3, "grade_id": "ex_L6_9", "grade": false, "locked": false, "solution": true, "task": false}
def speculative_step(p, q, draft, u):
    """Return the 1 to k + 1 tokens of one check of k drafted ones, distributed like the target's own.

    p: the target's probabilities, (k + 1, n); q: the draft model's, (k, n); draft: k tokens; u: k + 1 numbers in [0, 1).
    """
    ### BEGIN SOLUTION
    p, q, u = (np.asarray(values, dtype=float) for values in (p, q, u))
    if p.ndim != 2 or q.shape != (len(p) - 1, p.shape[1]):
        raise ValueError(f"p must have one row more than q and as many columns, got shapes {p.shape} and {q.shape}")
    if np.shape(draft) != (len(q),) or not all(0 <= token < p.shape[1] for token in draft):
        raise ValueError(f"draft must hold one token from 0 to {p.shape[1] - 1} for each row of q, got {draft}")
    if u.shape != (len(p),) or not ((u >= 0) & (u < 1)).all():
        raise ValueError(f"u must hold one number from 0 to below 1 for each row of p, got {u}")
    kept, row = [], p[-1]
    for i, token in enumerate(draft):
        if not u[i] * q[i, token] < p[i, token]:
            residual = np.maximum(p[i] - q[i], 0)
            row = residual if residual.any() else p[i]
            break
        kept.append(int(token))
    tokens = np.flatnonzero(row)
    running = np.cumsum(row[tokens])
    place = np.searchsorted(running, u[-1] * running[-1], side="right")
    return [*kept, int(tokens[min(place, len(tokens) - 1)])]
    ### END SOLUTION


# %% nbgrader={"schema_version": 3, "grade_id": "test_L6_9", "grade": true, "locked": true, "solution": false, "task": false, "points": 3}
import itertools
import math

import numpy as np

from course import cases, expect
from course.check import passed
from course.probe import probe


@probe
def tokens_of(function, calls, chances):
    """function(p, q, draft, u) for each call (p, q, draft) and each u of its `chances`, a row each; -1 fills up."""
    import numpy as np

    width = 2 + max(len(q) for _, q, _ in calls)
    rows = []
    for (p, q, draft), several in zip(calls, chances):
        for u in several:
            tokens = function(p.copy(), q.copy(), draft.copy(), u.copy())
            if tokens is None:
                raise TypeError("speculative_step returned nothing: a list of tokens expected")
            tokens = [int(token) for token in tokens][:width]
            rows.append(tokens + [-1] * (width - len(tokens)))
    return np.array(rows)


def one_check(wanted, p, q, draft, u, traps):
    returned = speculative_step(p, q, draft, u)
    of = f"p = {p}, q = {q}, draft = {draft}, u = {u}: the tokens"
    for say, wrong in traps:
        if returned is not None and np.shape(returned) == (len(wrong),) and [int(token) for token in returned] == wrong:
            raise AssertionError(f"{of} should be {wanted}, they are {wrong}: {say}")
    expect.array(returned, wanted, of)


target, drafted = [[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]], [[0.2, 0.7, 0.1]]
one_check(
    *([1, 2], target, drafted, [1], [0.4, 0.75]),
    traps=[
        ("all drafted tokens were kept, so the last row of p gives one more", [1]),
        ("a token is kept while u * q is below p", [0]),
        ("a token is kept while u * q is below p", [2]),
        ("draw from the last row of p, with the last of u", [1, 1]),
    ],
)
one_check(
    *([0], target, drafted, [1], [0.8, 0.5]),
    traps=[
        ("0.8 * 0.7 is not below 0.3, so token 1 is not kept", [1, 1]),
        ("what is drawn takes the place of the token that was not kept", [1, 0]),
        ("the check ends at the first token that is not kept", [0, 1]),
        ("token 1 was drafted too often: what p leaves over, max(p - q, 0), has none of it", [1]),
        ("draw with the last of u (the first is used up), and divide the residual by its sum", [2]),
    ],
)
one_check(
    *([0], target, drafted, [1], [0.8, 0.7]),
    traps=[
        ("divide the residual by its sum, or the running sum ends below 1", [2]),
        ("draw from the residual, not from p", [1]),
        ("the residual is max(p - q, 0): what q has too much of counts as 0, not with its absolute value", [1]),
    ],
)
one_check(
    [2],
    [[0.2, 0.2, 0.6], [0.3, 0.3, 0.4], [0.5, 0.25, 0.25]],
    [[0.6, 0.2, 0.2], [0.5, 0.25, 0.25]],
    *([0, 0], [0.9, 0.1, 0.3]),
    traps=[
        ("the first token is not kept and ends the check: what was drafted after it continues another text", [2, 0, 0]),
        ("the first token is not kept and ends the check: what was drafted after it continues another text", [0, 0]),
        ("the first token is not kept and ends the check: what was drafted after it continues another text", [0, 2]),
        ("the residual of row 0 holds token 2 alone", [0]),
        ("the residual of row 0 holds token 2 alone", [1]),
    ],
)
passed("L6.9")
### BEGIN HIDDEN TESTS


def exactly_like_the_target(p_after, q_after, k, n, grids):
    """Every draft, and all u on grids so fine that each cell lies on one side of every threshold: what comes out, counted.

    p_after, q_after: {the tokens so far: probabilities}. grids: how many values of each u.
    """
    drafts = [d for d in itertools.product(range(n), repeat=k) if all(q_after[d[:i]][d[i]] for i in range(k))]
    calls = [
        (
            np.array([p_after[d[:i]] for i in range(k + 1)]),
            np.array([q_after[d[:i]] for i in range(k)]),
            np.array(d),
        )
        for d in drafts
    ]
    chances = np.array(list(itertools.product(*[(np.arange(size) + 0.5) / size for size in grids])))
    found = tokens_of(speculative_step, calls, [chances] * len(calls))
    share, length = dict.fromkeys(itertools.product(range(n), repeat=k + 1), 0.0), 0.0
    of = f"k = {k}, n = {n}, p = {calls[0][0].tolist()}, q = {calls[0][1].tolist()} for one of the drafts"
    for index, row in enumerate(found):
        tokens = tuple(row[row >= 0].tolist())
        draft = drafts[index // len(chances)]
        weight = math.prod(q_after[draft[:i]][draft[i]] for i in range(k)) / len(chances)
        assert 1 <= len(tokens) <= k + 1, f"{of}: a check gives 1 to {k + 1} tokens, it gave {len(tokens)}"
        assert max(tokens) < n, f"{of}: there are the tokens 0 to {n - 1}, it gave {max(tokens)}"
        length += weight * len(tokens)
        for rest in itertools.product(range(n), repeat=k + 1 - len(tokens)):
            text = tokens + rest
            share[text] += weight * math.prod(p_after[text[:i]][text[i]] for i in range(len(tokens), k + 1))
    for text, got in share.items():
        right = math.prod(p_after[text[:i]][text[i]] for i in range(k + 1))
        assert abs(got - right) < 1e-9, (
            f"{of}: over all drafts and all u, what comes out and is continued by the target should be {list(text)} "
            f"with probability {right:.4f}, as the target's own text; it is so with {got:.4f}"
        )
    kept = sum(
        math.prod(min(p_after[text[:i]][text[i]], q_after[text[:i]][text[i]]) for i in range(size))
        for size in range(1, k + 1)
        for text in itertools.product(range(n), repeat=size)
    )
    assert abs(length - 1 - kept) < 1e-9, (
        f"{of}: over all drafts and all u a check should keep {kept:.4f} drafted tokens on average, it keeps {length - 1:.4f}"
    )


def eighths(*rows):
    return [tuple(np.array(row) / sum(row)) for row in rows]


p0, p1 = eighths((3, 1, 0, 4), (2, 2, 1, 3))
(q0,) = eighths((1, 4, 2, 1))
exactly_like_the_target(
    {(): p0, **{(t,): np.roll(p1, t) for t in range(4)}}, {(): q0}, k=1, n=4, grids=(8, 40)
)  # sum of the residual: 5/8, so fifths; of a row of p: eighths
p0, p1, p2 = eighths((3, 2, 3), (2, 3, 3), (2, 6, 0))
q0, q1 = eighths((1, 1, 6), (4, 2, 2))
exactly_like_the_target(
    {(): p0, **{(t,): np.roll(p1, t) for t in range(3)}, **{(s, t): np.roll(p2, s + 2 * t) for s in range(3) for t in range(3)}},
    {(): q0, **{(t,): np.roll(q1, t) for t in range(3)}},
    k=2,
    n=3,
    grids=(2, 2, 12),
)  # fmt: skip
coin = {
    (): (0.25, 0.75), (0,): (0.5, 0.5), (1,): (1.0, 0.0), (0, 0): (0.25, 0.75), (0, 1): (0.75, 0.25), (1, 0): (0.0, 1.0),
    (1, 1): (0.5, 0.5),
}  # fmt: skip
coin |= {text: (0.25 * (1 + text[0]), 0.75 - 0.25 * text[0]) for text in itertools.product(range(2), repeat=3)}
fair = {text: (0.5, 0.5) for text in coin if len(text) < 3}
exactly_like_the_target(coin, fair, k=3, n=2, grids=(2, 2, 2, 4))

rng = np.random.default_rng(69)
calls, chances, wanted = [], [], []
for number in range(60):
    k, n = 1 + number % 5, (2, 7, 40, 256)[number % 4]
    p, q = rng.dirichlet(np.full(n, 0.5), k + 1), rng.dirichlet(np.full(n, 0.5), k)
    q = 0.7 * p[:-1] + 0.3 * q
    draft = np.array([rng.choice(n, p=row / row.sum()) for row in q])
    u = rng.random(k + 1)
    going = [i for i in range(k) if u[i] >= p[i][draft[i]] / q[i][draft[i]]]
    end = going[0] if going else k
    row = [max(a - b, 0.0) for a, b in zip(p[end], q[end])] if going else list(p[end])
    drawn = next(token for token in range(n) if math.fsum(row[: token + 1]) > u[-1] * math.fsum(row))
    calls.append((p, q, draft))
    chances.append(u[None])
    wanted.append([*draft[:end].tolist(), drawn])
for (_, q, draft), u, right, row in zip(calls, chances, wanted, tokens_of(speculative_step, calls, chances)):
    of = f"{len(q)} drafted of {q.shape[1]} tokens, draft {draft.tolist()}, u {u[0].round(3).tolist()}: the tokens"
    expect.array(row[row >= 0], right, of)

p, q, draft, u = [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], [[0.25, 0.25, 0.5]], [2], [0.75, 0.25]
whole = [[1, 0, 0], [0, 1, 0]]
for name, given in cases.forms(p, lists=True):
    expect.array(speculative_step(given, q, draft, u), [0], f"p {name}: the tokens")
for name, given in cases.forms(q, lists=True):
    expect.array(speculative_step(p, given, draft, u), [0], f"q {name}: the tokens")
for name, given in cases.forms(draft, lists=True):
    if isinstance(given, (list, tuple)) or given.dtype.kind in "iu":
        given = [2] if isinstance(given, list) else (2,) if isinstance(given, tuple) else given
        expect.array(speculative_step(p, q, given, u), [0], f"draft {name}: the tokens")
for name, given in cases.forms(u, lists=True):
    expect.array(speculative_step(p, q, draft, given), [0], f"u {name}: the tokens")
expect.array(
    speculative_step(whole, [[0, 1, 0]], [1], [0, 0]), [0], f"p = {whole}, q = [[0, 1, 0]], draft = [1], u = [0, 0]:"
)
arrays = {"p": np.array(p), "q": np.array(q), "draft": np.array(draft), "u": np.array(u)}
speculative_step(*arrays.values())
for (name, now), before in zip(arrays.items(), (p, q, draft, u)):
    expect.unchanged(now, before, name)

last = math.nextafter(1, 0)
expect.array(
    speculative_step([[0.0, 0.5, 0.5], [0.0, 1.0, 0.0]], [[0.5, 0.25, 0.25]], [0], [0.0, 0.0]),
    [1],
    "p = [[0, 0.5, 0.5], [0, 1, 0]], q = [[0.5, 0.25, 0.25]], draft = [0], u = [0, 0], where p has nothing of token 0:",
)
expect.array(
    speculative_step([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]], [[0.5, 0.5, 0.0]], [1], [last, 0.0]),
    [1, 2],
    "where p and q agree, a token is kept for any u:",
)
short = np.array([[0.25, 0.25, 0.5, 0.0], [0.3, 0.3, 0.4 - 1e-7, 0.0]], np.float32)
for draft, u in (([2], [0.0, last]), ([3], [0.5, last])):
    for kind in (np.float32, np.float64):
        p, q = short.astype(kind) * kind(1 - 1e-6), np.array([[0.25, 0.25, 0.25, 0.25]], kind)
        tokens = list(speculative_step(p, q, draft, u))
        assert tokens and int(tokens[-1]) == 2, (
            f"p = {p.tolist()}, q = {q.tolist()}, draft = {draft}, u = [{u[0]}, 1 - 1e-16]: the token drawn should be 2, the "
            f"last with a probability above 0, the tokens are {tokens}"
        )
q = np.array([[0.25, 0.75, 0.0]])
expect.array(
    speculative_step(np.array([[0.25, 0.75 - 1e-12, 0.0], [0.0, 1.0, 0.0]]), q, [1], [last, 0.5]),
    [1],
    "p = [[0.25, 0.75 - 1e-12, 0], [0, 1, 0]], q = [[0.25, 0.75, 0]], draft = [1], u = [1 - 1e-16, 0.5], "
    "where rounding leaves nothing of the residual:",
)

p, q, draft, u = np.full((3, 4), 0.25), np.full((2, 4), 0.25), [0, 3], [0.5, 0.5, 0.5]
for shape in [(2, 4), (4, 4), (3, 3), (3, 5), (3, 1), (4,), (1, 3, 4)]:
    of = f"p of shape {shape}, q of shape (2, 4)"
    expect.refuses(speculative_step, np.full(shape, 0.25), q, draft, u, naming="p or q", of=of)
for wrong in ([0], [0, 3, 1], []):
    of = f"draft = {wrong}, q of two rows"
    expect.refuses(speculative_step, p, q, wrong, u, naming="draft or q", of=of)
for wrong in ([0, 4], [-1, 3], [0, 100]):
    expect.refuses(speculative_step, p, q, wrong, u, naming="draft", of=f"draft = {wrong} of four tokens")
for wrong in ([0.5, 0.5], [0.5] * 4, [0.5]):
    of = f"{len(wrong)} numbers in u, three rows in p"
    expect.refuses(speculative_step, p, q, draft, wrong, naming="u or p", of=of)
for place in range(3):
    for wrong in (-1e-6, 1.0, 1.5, -math.inf, math.inf):
        u = [0.5, 0.5, 0.5]
        u[place] = wrong
        expect.refuses(speculative_step, p, q, draft, u, naming="u", of=f"u = {u}")
### END HIDDEN TESTS

# %% [markdown]
# Any cheaper model of the same tokens can draft. Here it is TinyGPT itself with its weight matrices in few bits: rounded to
# nearest in groups of 32, each with its own lowest value and step (Chapter 2). The texts come from held-out files, 64 places of
# 32 bytes. From each, a draft of up to eight bytes goes ahead, and TinyGPT looks at all of them in one pass.

# %%
DRAFT_BITS, PLACES, AHEAD = ((2, 4), 3, 2) if GRADING else ((2, 3, 4, 6, 8), 64, 8)


def rounded(bits, group=32):
    """TinyGPT with the weight matrices of its blocks rounded to the nearest of 2^bits levels in each group."""
    model = tinygpt.tiny_gpt()
    for layer in tinygpt.linears(model).values():
        groups = layer.weight.data.view(-1, group)
        lowest, highest = groups.min(1, keepdim=True).values, groups.max(1, keepdim=True).values
        step = (highest - lowest) / (2**bits - 1)
        groups.copy_(lowest + step * ((groups - lowest) / step).round())
    return model


@torch.no_grad()
def look_ahead(draft_model, texts, count, seed=0):
    """What speculative_step takes, for each of `texts`: p (places, count + 1, 256), q (places, count, 256), the drafts."""
    generator, tokens, q = torch.Generator().manual_seed(seed), texts, []
    for _ in range(count):
        q.append(torch.softmax(draft_model(tokens)[:, -1].double(), 1))
        tokens = torch.cat([tokens, torch.multinomial(q[-1], 1, generator=generator)], 1)
    p = torch.softmax(gpt(tokens)[:, -count - 1 :].double(), 2)
    return p.numpy(), torch.stack(q, 1).numpy(), tokens[:, -count:].numpy()


texts = tinygpt.windows(tinygpt.held_out(), PLACES, seed=0)[:, :32]
ahead = {bits: look_ahead(rounded(bits), texts, AHEAD) for bits in DRAFT_BITS}

# %% [markdown]
# First the promise: what comes out is the target's. The cell takes the draft in 2 bits and the place where it is furthest from
# TinyGPT. It drafts one byte 4,000 times, checks it with your function, and counts the first byte that comes out.

# %%
p, q, _ = ahead[2]
place = np.minimum(p[:, 0], q[:, 0]).sum(1).argmin()
wanted, drafted = p[place, 0], q[place, 0]
rng = np.random.default_rng(6)
draws = 40 if GRADING else 4000
came_out = np.zeros(256)
for byte, u in zip(rng.choice(256, draws, p=drafted / drafted.sum()), rng.random((draws, 2))):
    came_out[int(speculative_step(p[place, :2], q[place, :1], [byte], u)[0])] += 1 / draws
print(f"after {bytes(texts[place].tolist()).decode(errors='replace')!r}")
print(f"{'byte':>6}  {'draft':>6}  {'target':>6}  {'came out':>8}")
for byte in np.argsort(-np.maximum(wanted, drafted))[:6]:
    print(f"{chr(byte)!r:>6}  {drafted[byte]:6.1%}  {wanted[byte]:6.1%}  {came_out[byte]:8.1%}")
print(f"furthest from the target, over all bytes: the draft by {abs(drafted - wanted).max():.1%}, "
      f"what came out by {abs(came_out - wanted).max():.1%}")  # fmt: skip

# %% [markdown]
# Then the price. For each draft and each $k$ from 1 to 8, the cell counts the tokens of a check. *kept* is the mean of
# $\sum \min(p, q)$ over the drafted bytes: how likely one is to be kept, if its turn comes. Call it $a$. If it were the
# same at every place and each place had its own luck, a check of $k$ drafted tokens would yield
#
# $$1 + a + a^2 + \ldots + a^k = \frac{1 - a^{k+1}}{1 - a}$$
#
# tokens on average (Leviathan et al. 2023): one for certain, a second if the first drafted token was kept, and so on.

# %%
chances = np.random.default_rng(9).random((PLACES, 1 if GRADING else 4, AHEAD + 1))


def tokens_in_checks(p, q, drafts):
    """Tokens of a check at each place, for 1 to AHEAD drafted ones: (places, AHEAD), means over the place's chances."""

    def at(place, k):
        given = p[place, : k + 1], q[place, :k], drafts[place, :k]
        return np.mean([len(speculative_step(*given, u[: k + 1])) for u in chances[place]])

    return np.array([[at(place, k) for k in range(1, AHEAD + 1)] for place in range(PLACES)])


yields = {bits: tokens_in_checks(*written) for bits, written in ahead.items()}
agreement = {bits: np.minimum(p[:, :-1], q).sum(2) for bits, (p, q, _) in ahead.items()}
counts = [k for k in (1, 2, 4, 8) if k <= AHEAD]
print(f"{'bits':>4}  {'kept':>5}  tokens a check, and (as expected) from kept, for k = {', '.join(map(str, counts))}")
for bits, tokens in yields.items():
    row = []
    for k in counts:
        a = agreement[bits][:, :k].mean()
        row.append(f"{tokens[:, k - 1].mean():.2f} ({(1 - a ** (k + 1)) / (1 - a):.2f})")
    print(f"{bits:>4}  {agreement[bits].mean():5.1%}  {'  '.join(row)}")
k = counts[-2]
further[f"a draft in 4 bits, {k} bytes ahead"] = (
    f"{yields[4][:, k - 1].mean():.2f} tokens a check, {agreement[4].mean():.1%} kept"
)

# %% [markdown]
# Every bit of the draft buys tokens, the first ones many and the last ones few. Where many drafted tokens are refused, a check
# mostly yields a little more than expected: places are not alike. In an easy stretch of text all of the draft stays, and a
# mean over easy and hard places knows nothing of that.
#
# ### See it: tokens for each check
#
# Left, the tokens of a check over the draft's bits; the bars are two standard errors over the places. Right, what that buys
# where time follows the bytes of weights that are read (Chapter 0): tokens over $1 + k c$, where a pass of the draft costs $c$
# of the target's FP16 pass. The draft's groups of 32 have a scale and a lowest value in FP16 each, so $c$ is
# $(\text{bits} + 1) / 16$. It is a calculation from your counts, not a measured time.
#
# - Raise the number of drafted tokens. Which drafts follow the line of what is possible, and which level off?
# - Where is the best $k$ for 2 bits, and where for 4?
# - The draft in 8 bits is kept almost always. Why does it not win on the right?

# %%
draw.tokens_per_check(yields, agreement, cost={bits: (bits + 1) / 16 for bits in yields})

# %% [markdown]
# The gain needs arithmetic that stands idle. With many requests in a batch it does not (Chapter 0 has the batch from which on),
# and then each drafted token that is not kept is work for nothing. On this machine TinyGPT's draft runs in FP32 like TinyGPT
# itself, so there is no time to gain here, and the cell counts tokens.
#
# A draft is a student whose teacher corrects it. Distilling it from the target raises the share that is kept (Zhou et al. 2023).
# Others add heads to the target that guess several tokens ahead (Cai et al. 2024), or draft from its own features (Li et al.
# 2024). The check stays the same.

# %% [markdown]
# ### See it: a block less, healed
#
# Take one whole block out of TinyGPT: a quarter of its block matrices and of their time, and what is left needs no special
# kernel. In large language models that works well. Gromov et al. (2024) remove up to half of the layers of some before
# their answers to questions get much worse, after a little fine-tuning that they call *healing*; Men et al. (2024) find many layers that
# change their input little. TinyGPT has four blocks, and none to spare:

# %%
STEPS_TO_HEAL, BATCH, LENGTH, JUDGED = (2, 2, 16, 2) if GRADING else (30, 8, 48, 24)


def without(block):
    model = tinygpt.tiny_gpt()
    del model.blocks[block]
    return model


whole = tinygpt.bits_per_byte(gpt, windows=JUDGED)
lost = [tinygpt.bits_per_byte(without(block), windows=JUDGED) - whole for block in range(len(gpt.blocks))]
cheapest = int(np.argmin(lost))
for block, bits in enumerate(lost):
    print(f"without block {block}: {bits:+.2f} bits per byte{', the least' if block == cheapest else ''}")

# %% [markdown]
# Now heal the cheapest case, in 30 steps on 8 windows of 48 bytes each. Three losses, the same windows:
#
# - *hard labels*: your `distillation_loss` with $\alpha = 0$; the label is the byte that follows in the text.
# - *forward KL*: your loss with $\alpha = 1$ and $T = 1$. The teacher is the whole TinyGPT, and $\mathrm{KL}(p \,\|\, q)$ makes
#   the student pay where the teacher gives probability and the student does not. It has to cover everything.
# - *reverse KL*: $\mathrm{KL}(q \,\|\, p)$, given in the cell, since no gradient passes through your function's second argument.
#   Here the student pays where it gives probability itself and the teacher does not. It may leave out what it cannot match.
#
# Each student is judged twice on held-out text, in bits per byte over the whole TinyGPT. *text*: its surprise at the text's
# next byte. *own bets*: the teacher's surprise at the byte that the student would write, on average over the
# student's own probabilities. Which loss will win which?


# %%
def reverse_divergence(student_logits, teacher_logits):
    log_q, log_p = torch.log_softmax(student_logits, 1), torch.log_softmax(teacher_logits, 1)
    return functional.kl_div(log_p, log_q, reduction="batchmean", log_target=True)


def healed(loss, lessons, progress):
    """TinyGPT without its cheapest block after a step of Adam on loss(student's logits, teacher's, labels) for each lesson."""
    model = without(cheapest)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=len(lessons))
    for inputs, logits, labels in lessons:
        optimizer.zero_grad()
        loss(model(inputs).flatten(0, 1), logits, labels).backward()
        optimizer.step()
        schedule.step()
        progress.update()
    return model


@torch.no_grad()
def own_bets(model):
    """The teacher's mean surprise, in bits, at what `model` would write next in held-out text."""
    inputs = tinygpt.windows(tinygpt.held_out(), JUDGED, seed=6)[:, :-1]
    q, log_p = torch.softmax(model(inputs), 2), torch.log_softmax(gpt(inputs), 2)
    return -(q * log_p).sum(2).mean().item() / np.log(2)


lessons = []
for seed in range(STEPS_TO_HEAL):
    window = tinygpt.windows(tinygpt.training_text(), BATCH, seed)[:, : LENGTH + 1]
    with torch.no_grad():
        lessons.append((window[:, :-1], gpt(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten()))
losses = {
    "hard labels": lambda z, v, labels: distillation_loss(z, v, labels, 0.0, 1.0),
    "forward KL": lambda z, v, labels: distillation_loss(z, v, labels, 1.0, 1.0),
    "reverse KL": lambda z, v, labels: reverse_divergence(z, v),
}
with tqdm(total=len(losses) * len(lessons), unit="step", leave=False, disable=GRADING) as progress:
    students = {"not healed": without(cheapest)} | {
        name: healed(loss, lessons, progress) for name, loss in losses.items()
    }
print(f"{'':12}  {'text':>6}  {'own bets':>8}")
for name, model in students.items():
    text, bets = tinygpt.bits_per_byte(model, windows=JUDGED) - whole, own_bets(model) - own_bets(gpt)
    print(f"{name:12}  {text:+6.3f}  {bets:+8.3f}")
    further[f"a block less, {name}"] = f"{text:+.3f} bits per byte on text, {bets:+.3f} on its own bets"

# %% [markdown]
# All three give back a part of what the block was worth. The teacher's probabilities heal more than the bare next byte, on either
# count, with the loss of this chapter. Reverse KL is the worst of the three at reading text and by far the best at
# what it would write: it bets on what the teacher also believes in. For a student that writes, this is the measure that
# counts, and the reason why Gu et al. (2024) distil language models with it. Longer healing narrows the gaps to the teacher and
# leaves this order; set `STEPS_TO_HEAL` to 100 and see.
#
# All three learn from texts that somebody else wrote. A student that writes alone soon stands where none of them leads.
# *On-policy* distillation has the student write and the teacher give its probabilities for that very text (Agarwal et al.
# 2024); MiniLLM does the same with reverse KL.

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
for name, said in further.items():
    print(f"{name}: {said}")

# %% [markdown]
# - A label names one class. A teacher's probabilities say how much each of the others is like it.
# - At $T = 1$ a sure teacher says little more than the label. A higher temperature lets the rest be heard; the order stays.
# - The gradient of the soft part is $(q - p)/T$. For large $T$ it falls like $1/T^2$ and the factor $T^2$ balances it. At $T$
#   near 1 the factor over-corrects.
# - Few pictures: soft answers help. Many pictures that nobody labelled: any answer of the teacher's helps, and a hard one
#   does as well.
# - A draft that the large model checks changes the time of a text and not its distribution. What counts is the share that is
#   kept.
# - Forward KL teaches a student to read, reverse KL to write what its teacher believes in.
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
# - Y. Leviathan, M. Kalman, Y. Matias, Fast Inference from Transformers via Speculative Decoding, 2023, arXiv:2211.17192, and
#   C. Chen, S. Borgeaud, G. Irving, J.-B. Lespiau, L. Sifre, J. Jumper, Accelerating Large Language Model Decoding with
#   Speculative Sampling, 2023, arXiv:2302.01318: the check, why it is exact, and the expected number of tokens.
# - Y. Zhou et al., DistillSpec: Improving Speculative Decoding via Knowledge Distillation, 2023, arXiv:2310.08461; T. Cai et al.,
#   Medusa, 2024, arXiv:2401.10774; Y. Li, F. Wei, C. Zhang, H. Zhang, EAGLE, 2024, arXiv:2401.15077: other drafts.
# - A. Gromov, K. Tirumala, H. Shapourian, P. Glorioso, D. A. Roberts, The Unreasonable Ineffectiveness of the Deeper Layers, 2024,
#   arXiv:2403.17887, and X. Men et al., ShortGPT, 2024, arXiv:2403.03853: layers taken out of large language models.
# - Y. Gu, L. Dong, F. Wei, M. Huang, MiniLLM: Knowledge Distillation of Large Language Models, 2024, arXiv:2306.08543: reverse KL.
# - R. Agarwal et al., On-Policy Distillation of Language Models: Learning from Self-Generated Mistakes, 2024, arXiv:2306.13649.
# - E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998: the digits.
