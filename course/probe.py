"""Marks a function of a test cell that has to run beside the learner's objects: a training step, a gradient.

In an ordinary notebook a probe is just a function. In the grader, test cells run in another process than the answers
they test. There a probe's source is sent across, run beside the answers, and what it returns comes back as plain data.
So a probe imports what it uses, reads nothing of its surroundings, and returns numbers, strings, lists, dicts, arrays
or tensors.
"""

from collections.abc import Callable

#: Set by the grader's test kernel: takes the function and returns one that runs it beside the learner's objects.
run_beside_the_answers: Callable | None = None


def probe(function: Callable) -> Callable:
    """Decorator: `function` itself in a notebook; in the grader, a function that runs it beside the answers."""
    return function if run_beside_the_answers is None else run_beside_the_answers(function)
