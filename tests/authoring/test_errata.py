"""What is often taught and is not so: the facts behind the course's corrections, by the syllabus's numbers."""

import numpy as np
import pytest
import torch


def roundtrip(values, scale, zero_point, qmin, qmax):
    return torch.fake_quantize_per_tensor_affine(torch.tensor(values), scale, zero_point, qmin, qmax)


def test_2_zero_maps_to_zero_with_127_or_128_codes_and_127_is_what_keeps_the_range_symmetric():
    for qmin in (-127, -128):
        zero, low, high = roundtrip([0.0, -10.0, 10.0], 2 / 127, 0, qmin, 127)
        assert zero == 0
        assert (-low == high) == (qmin == -127)


def test_3_the_share_that_a_symmetric_range_wastes():
    used, whole = np.array([-0.8, 1.2]), np.array([-1.2, 1.2])
    wasted = np.ptp(whole) - np.ptp(used)
    assert wasted / np.ptp(whole) == pytest.approx(0.167, abs=5e-4)  # 17 % of the whole range
    assert wasted / 1.2 == pytest.approx(0.333, abs=5e-4)  # 33 % of the negative half
    assert pytest.approx(0.00784, abs=5e-6) == 2.0 / 255
    assert pytest.approx(0.00945, abs=5e-6) == 1.2 / 127


def test_8_an_integer_zero_point_keeps_zero_exact_and_a_float_offset_does_not():
    lo, hi = -0.3, 1.0
    scale = (hi - lo) / 255
    zero_point = round(-lo / scale)
    (integer,) = roundtrip([0.0], scale, zero_point, 0, 255)
    offset = round((0 - lo) / scale) * scale + lo
    assert integer == 0.0
    assert abs(offset) > 1e-4
