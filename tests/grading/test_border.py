"""What crosses between the learner's kernel and the test kernel arrives as it was, and nothing else does."""

import json

import numpy as np
import pytest
import torch

from autograder.grading import border
from autograder.grading.standins import names_read


def there_and_back(value):
    return border.decode(json.loads(json.dumps(border.encode(value))))


PLAIN = [
    None, True, 0, -(10**30), 0.1, float("inf"), "ä\n", b"\x00\xff", [1, [2.5]], (1, ("a",)), {"k": [1], (1, 2): None},
    slice(1, None, 2), [], {}, (),
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=repr)
def test_plain_data_arrives_as_it_was(value):
    arrived = there_and_back(value)
    assert arrived == value
    assert type(arrived) is type(value)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int64", "float16", "float32", "float64", "complex64", ">f4"]
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 4)])
def test_arrays_keep_dtype_shape_and_values(dtype, shape):
    value = (np.random.default_rng(0).normal(size=shape) * 50).astype(dtype)
    value = np.asarray(value)
    arrived = there_and_back(value)
    assert arrived.dtype == value.dtype
    np.testing.assert_array_equal(arrived, value)
    arrived[...] = 0  # a copy of its own, which may be written


def test_views_and_numpy_scalars():
    value = np.arange(12.0).reshape(3, 4).T[::2]
    np.testing.assert_array_equal(there_and_back(value), value)
    assert there_and_back(np.float32(0.1)) == np.float32(0.1)
    assert type(there_and_back(np.int64(3))) is np.int64


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_tensors_keep_dtype_shape_and_values(dtype, shape):
    value = (torch.randn(shape) * 50).to(dtype)
    arrived = there_and_back(value)
    assert arrived.dtype == value.dtype
    assert torch.equal(arrived, value)


class EqualsAll(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


@pytest.mark.parametrize(
    "value",
    [EqualsAll(1), object(), len, np.array([object()]), type("D", (dict,), {})()],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_stays_where_it_is(value):
    with pytest.raises(TypeError, match="not plain data"):
        border.encode(value)
    kept = []
    assert isinstance(border.decode(border.encode(value, lambda v: kept.append(v) or 7)), border.Handle)
    assert kept == [value] or kept[0] is value


@pytest.mark.parametrize(
    "data",
    [{"array": ["O", [1], ""]}, {"array": ["f4", [10**6], ""]}, {"tensor": ["load", [1], ""]}, {"eval": "1"}, {}, [1]],
    ids=str,
)
def test_forged_data_is_an_error_and_nothing_more(data):
    with pytest.raises((ValueError, TypeError, AttributeError, RuntimeError)):
        border.decode(data)


def test_names_a_test_cell_reads():
    code = """
import numpy as np
def helper(x):
    return answer(x) + other
for i in range(3):
    assert helper(i) == np.abs(ex_1_1), f"{third}"
defined = 1
print(defined, [k for k in fourth])
"""
    assert names_read(code) == ["answer", "ex_1_1", "fourth", "other", "third"]
