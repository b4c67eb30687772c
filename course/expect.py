"""What test cells say: comparisons whose messages tell the learner what was expected of which input.

Each function returns nothing or raises AssertionError. They take plain data only, so that a test cell can run in
another process than the answer it tests. They know no answers: those stand in the test cells.
`__tracebackhide__` keeps their lines out of the learner's tracebacks (IPython and pytest heed it).
"""

import math
import re
from collections.abc import Callable

import numpy as np

from course.check import canonical, number_in


def number(value, exact: float, traps: dict[float, str] | None = None, within: float = 0.01) -> None:
    """`value` is a number, or text that reads as one, within that share of `exact`.

    traps: wrong numbers that come from a known mistake, and what to say to each; none lies within the tolerance.
    """
    __tracebackhide__ = True
    _answered(value, "a number")
    given, value = value, number_in(value)
    assert value is not None, f"expected a number, got {_short(given)}"
    if _close(value, exact, within):
        return
    for trap, say in sorted((traps or {}).items(), key=lambda item: abs(item[0] - value)):
        if _close(value, trap, within):
            raise AssertionError(f"{value:.4g} is not right: {say}")
    raise AssertionError(f"{value:.4g} is not within {100 * within:g} % of the exact value")


def choice(value, right: str, because: dict[str, str]) -> None:
    """`value` is the letter of the right choice. because: what to say to each wrong letter."""
    __tracebackhide__ = True
    _answered(value, "a letter")
    letters = sorted([right, *because])
    assert isinstance(value, str) and canonical(value) in letters, (
        f"expected one letter of {', '.join(letters)} in quotes, got {_short(value)}"
    )
    assert canonical(value) == right, f"{canonical(value)} is not right: {because.get(canonical(value))}"


def order(value, right: list[str], why: str) -> None:
    """`value` lists the keys of `right` in that order. why: what to say of another order."""
    __tracebackhide__ = True
    _answered(value, "a list of keys")
    assert isinstance(value, list | tuple), f"expected a list of keys, got {_short(value)}"
    given, wanted = (canonical(keys).split(" > ") for keys in (value, right))
    assert sorted(given) == sorted(wanted), f"expected each of {', '.join(sorted(wanted))} once, got {', '.join(given)}"
    assert given == wanted, f"not in this order: {why}"


def line(value, right: int) -> None:
    """`value` is the number of the first wrong line of a Debug exercise."""
    __tracebackhide__ = True
    _answered(value, "a line number")
    number = number_in(value)
    assert number is not None and number == number // 1, f"expected a line number such as 2, got {_short(value)}"
    assert number == right, f"line {value} is not the first wrong one: run the function line by line on one number"


def array(actual, wanted, of: str, atol: float = 1e-9, rtol: float = 1e-9, traps=()) -> None:
    """`actual` has the shape and values of `wanted`, within `atol + rtol * |wanted|`.

    of: the call, for the message. traps: pairs (what to say, the values that a known mistake gives for this input).
    """
    __tracebackhide__ = True
    _answered(actual, "numbers", of)
    try:
        actual = np.asarray(actual, dtype=np.float64)
    except (TypeError, ValueError):
        raise AssertionError(f"{of} should return numbers, it returned {_short(actual)}") from None
    wanted = np.asarray(wanted, dtype=np.float64)
    assert actual.shape == wanted.shape, f"{of} should have shape {wanted.shape}, it has {actual.shape}"

    def differs(values):
        return ~np.isclose(actual, values, rtol=rtol, atol=atol, equal_nan=True)

    wrong = differs(wanted)
    if wrong.any():
        index = tuple(int(i) for i in np.argwhere(wrong)[0])
        place = f" at index {index[0] if len(index) == 1 else index}" if index else ""
        known = next((f": {say}" for say, values in traps if not differs(np.asarray(values, np.float64)).any()), "")
        raise AssertionError(f"{of} should give {wanted[index]:.6g}{place}, it gave {actual[index]:.6g}{known}")


def unchanged(now, before, name: str) -> None:
    """An input still is what it was: an answer works on a copy."""
    __tracebackhide__ = True
    assert np.array_equal(np.asarray(now), np.asarray(before), equal_nan=True), (
        f"the function changed its input {name}: work on a copy"
    )


def refuses(function: Callable, *args, naming: str, of: str) -> None:
    """`function(*args)` raises ValueError with a message that names the argument `naming`. of: the call, in words.

    naming: an argument's name, or "a or b" where naming either is right.
    """
    __tracebackhide__ = True
    try:
        returned = function(*args)
    except ValueError as error:
        assert any(re.search(rf"\b{re.escape(name)}\b", str(error)) for name in naming.split(" or ")), (
            f"{of} raises ValueError as it should, but its message does not name {naming}: {str(error)!r}"
        )
        return
    except Exception as error:
        raise AssertionError(f"{of} should raise ValueError, it raised {type(error).__name__}: {error}") from None
    raise AssertionError(f"{of} should raise ValueError naming {naming}, it returned {_short(returned)}")


def _close(value: float, exact: float, within: float) -> bool:
    return abs(value - exact) <= within * abs(exact) * (1 + 1e-9)


def _answered(value, what: str, of: str | None = None) -> None:
    __tracebackhide__ = True
    if value is None or value is ...:
        raise AssertionError(f"{of} returned nothing: {what} expected" if of else f"no answer yet: {what} expected")


def _short(value) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def finite(value, of: str) -> float:
    """The float in `value`, which must be one finite real number."""
    __tracebackhide__ = True
    _answered(value, "a number", of)
    try:
        value = float(value)
    except (TypeError, ValueError):
        raise AssertionError(f"{of} should return one number, it returned {_short(value)}") from None
    assert math.isfinite(value), f"{of} should be finite, it is {value}"
    return value
