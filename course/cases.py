"""Inputs that the tests of every chapter try: what a condition excludes, and the forms in which numbers come.

Each function returns pairs (what it is, the input), always the same ones, so that a message can name the input and a
grade hangs on nothing random. NaN is above nothing, at least nothing and between nothing, so every condition excludes
it; but few people think of it, so it is tried with `nan=True`, where the exercise's text says that it is refused.

>>> [value for _, value in not_at_least(1)]
[0, -1, 0.5, -inf]
"""

import math

import numpy as np


def not_above(limit: float = 0, nan: bool = False) -> list[tuple[str, float]]:
    """Numbers that are not above `limit`."""
    return [*_named(limit, limit - 1, limit - 1e-6), ("minus infinity", -math.inf), *_nan(nan)]


def not_at_least(least: float, nan: bool = False) -> list[tuple[str, float]]:
    """Numbers below `least`, close to it too."""
    return [*_named(least - 1, least - 2, least - 0.5), ("minus infinity", -math.inf), *_nan(nan)]


def not_between(low: float, high: float, nan: bool = False) -> list[tuple[str, float]]:
    """Numbers outside low to high, both ends being inside."""
    return [*_named(low - 1, high + 1, low - 1e-6, high + 1e-6), ("infinity", math.inf), *_nan(nan)]


def not_finite() -> list[tuple[str, float]]:
    """The three floats that are no number to calculate with."""
    return [*_nan(), ("infinity", math.inf), ("minus infinity", -math.inf)]


def other_shapes(shape: tuple[int, ...]) -> list[tuple[str, tuple[int, ...]]]:
    """Shapes other than `shape`: those that NumPy would broadcast to it, transposed, one longer, one axis more."""
    found = [
        *((), (1,) * len(shape), (*shape[:-1], 1), (1, *shape[1:]), shape[-1:]),
        *(shape[::-1], (*shape[:-1], shape[-1] + 1), (1, *shape)),
    ]
    return [(f"shape {other}", other) for other in dict.fromkeys(found) if other != tuple(shape)]


def forms(values, lists: bool = False) -> list[tuple[str, object]]:
    """The same numbers in every form of array that holds them exactly: types, and orders in memory that PyTorch takes.

    Between the grader's two kernels arrays travel in plain order, so orders are seen in one kernel and in probes alone.

    values: numbers in (nested) lists or an array. lists: as a list and a tuple, too.
    """
    values = np.asarray(values)
    found = [(f"in {kind.__name__}", values.astype(kind)) for kind in _TYPES if _holds(kind, values)]
    plain = np.asarray(values, np.float64)
    if plain.ndim:
        spread = np.zeros((*plain.shape[:-1], 2 * plain.shape[-1]))
        spread[..., ::2] = plain
        found.append(("every other element of a longer array", spread[..., ::2]))
    if plain.ndim > 1:
        found.append(("stored column by column", np.asfortranarray(plain)))
    if lists:
        found += [("as a list", plain.tolist()), ("as a tuple", _tuples(plain.tolist()))]
    return found


def magnitudes(values, largest: float = 1e30) -> list[tuple[str, np.ndarray]]:
    """The same numbers times powers of ten, from 1 / largest to largest: a fixed threshold shows."""
    values = np.asarray(values, np.float64)
    return [(f"times {factor:g}", values * factor) for factor in (1 / largest, 1e-6, 1e6, largest)]


_TYPES = (np.float64, np.float32, np.float16, np.int64, np.int32, np.int16, np.int8, np.uint8)


def _holds(kind: type, values: np.ndarray) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.array_equal(values.astype(kind).astype(np.float64), np.asarray(values, np.float64)))


def _named(*numbers: float) -> list[tuple[str, float]]:
    return [(f"{number:.9g}", number) for number in numbers]


def _nan(wanted: bool = True) -> list[tuple[str, float]]:
    return [("NaN", math.nan)] * wanted


def _tuples(values):
    return tuple(map(_tuples, values)) if isinstance(values, list) else values
