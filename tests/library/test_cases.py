"""The inputs that all chapters' tests try are what they are said to be."""

import math

import numpy as np

from course import cases


def values(pairs):
    return [value for _, value in pairs]


def test_what_a_condition_excludes_is_excluded_and_nan_is_among_it():
    assert not any(value != value for value in values(cases.not_above(0) + cases.not_between(0, 1)))
    for found, allowed in [
        (cases.not_above(0, nan=True), lambda x: x > 0),
        (cases.not_at_least(1, nan=True), lambda x: x >= 1),
        (cases.not_between(0, 1, nan=True), lambda x: 0 <= x <= 1),
        (cases.not_finite(), math.isfinite),
    ]:
        assert not any(allowed(value) for value in values(found))
        assert any(value != value for value in values(found))
        assert len({name for name, _ in found}) == len(found), "names tell them apart"


def test_forms_hold_the_same_numbers():
    for numbers in ([1, 2, 3], [[0.5, -1.5], [2.25, 100]], [[[7]]], 3.0):
        forms = cases.forms(numbers, lists=True)
        for name, form in forms:
            assert np.array_equal(np.asarray(form, dtype=np.float64), np.asarray(numbers, dtype=np.float64)), name
        assert len({name for name, _ in forms}) == len(forms)
    assert "in uint8" in dict(cases.forms([1, 2, 3]))
    assert "in uint8" not in dict(cases.forms([-1, 2, 3]))
    assert all(isinstance(form, np.ndarray) for _, form in cases.forms([1, 2]))


def test_other_shapes_are_other_shapes():
    for shape in ((3,), (2, 3), (3, 3), (1, 4), (2, 3, 4)):
        found = values(cases.other_shapes(shape))
        assert shape not in found
        assert len(found) >= 3
    assert (1, 3) in values(cases.other_shapes((2, 3)))


def test_magnitudes_keep_the_numbers():
    for name, scaled in cases.magnitudes([1.0, -2.0]):
        assert scaled[1] == -2 * scaled[0], name
