"""What crosses from the learner's kernel to the test kernel arrives as the plain value it is, and nothing else does."""

import array
import collections
import decimal
import enum
import fractions
import itertools
import json
import math
import socket
import sys
import types

import numpy as np
import pytest
import torch

from autograder.grading import border, guard, inside


def there_and_back(value):
    text = json.dumps({"value": border.encode(value)}, allow_nan=False)
    assert guard.checked(text) == text
    return border.decode(json.loads(text)["value"])


PLAIN = [
    None, True, 0, -(10**30), 10**6000, 0.1, float("inf"), 1j, complex("nan+infj"), ..., "ä\n\0\x1b", "\ud83d",
    b"\x00\xff", array.array("d", [0.5, 2]),
    [1, [2.5]], (1, ("a",)), {"k": [1], (1, 2): None}, {1, (2, "a")}, frozenset([2]), range(3, 30, 4), bytearray(b"ab"),
    slice(1, None, 2), [], {}, (), set(), fractions.Fraction(-1, 3), decimal.Decimal("1.20"),
    {"a": 1}.keys(), {"a": 1}.items(),
]  # fmt: skip


@pytest.mark.parametrize("value", PLAIN, ids=lambda value: type(value).__name__)
def test_plain_data_arrives_as_it_was(value):
    arrived = there_and_back(value)
    assert repr(arrived) == repr(value) if value != value else arrived == value
    assert type(arrived) is type(value)


def test_what_is_not_a_number_arrives_so():
    assert math.isnan(there_and_back(float("nan")))
    assert there_and_back(decimal.Decimal("NaN")).is_nan()


class Close(np.ndarray):
    __array_function__ = __array_ufunc__ = lambda *a, **k: True


class Always(float):
    __eq__ = __ge__ = __le__ = lambda self, other: True
    __hash__ = float.__hash__
    __int__ = __float__ = lambda self: 0.5
    __repr__ = __format__ = lambda self, *spec: "0.5"


class Colour(enum.IntEnum):
    RED = 3


class Letter(str, enum.Enum):
    A = "a"


class Lying(list):
    __class__ = int
    __eq__ = __ne__ = lambda self, other: True


class Tensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, *a, **k):
        return True


Pair = collections.namedtuple("Pair", "scale zero_point")
WITH_IMAGINARY = torch.tensor([1 + 2j, 3 - 4j])
DERIVED = [
    (Always(0.25), 0.25),
    (Colour.RED, 3),
    (Letter.A, "a"),
    (Pair(0.5, 3), (0.5, 3)),
    (Lying([1]), [1]),
    (collections.OrderedDict(a=[1]), {"a": [1]}),
    (collections.defaultdict(list, a=[1]), {"a": [1]}),
    (collections.Counter("aab"), {"a": 2, "b": 1}),
    (collections.UserDict(a=1), {"a": 1}),
    (collections.ChainMap({"a": 1}, {"b": 2}), {"b": 2, "a": 1}),
    (types.MappingProxyType({"a": 1}), {"a": 1}),
    (collections.UserList([1]), [1]),
    (collections.UserString("a"), "a"),
    (collections.deque([1, 2], 5), [1, 2]),
    (torch.Size([2, 3]), (2, 3)),
    (type("Own", (fractions.Fraction,), {})(1, 3), fractions.Fraction(1, 3)),
    (type("Own", (decimal.Decimal,), {"__str__": lambda self: "2"})(1), decimal.Decimal(1)),
    (type("Own", (complex,), {})(1, 2), 1 + 2j),
    (type("Own", (bytes,), {})(b"a"), b"a"),
    (type("Own", (set,), {})([1]), {1}),
]


@pytest.mark.parametrize(("value", "plain"), DERIVED, ids=lambda value: type(value).__name__)
def test_what_derives_from_plain_data_arrives_as_the_plain_value_it_is(value, plain):
    arrived = there_and_back(value)
    assert type(arrived) is type(plain)
    assert arrived == plain


def test_a_mapping_is_read_as_it_shows_itself():
    class Doubled(dict):
        def items(self):
            return [(key, 2 * value) for key, value in super().items()]

    assert there_and_back(Doubled(a=2)) == {"a": 4}


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int64", "float16", "float32", "float64", "complex64", ">f4", "longdouble"]
)
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 4)])
def test_arrays_keep_dtype_shape_and_values(dtype, shape):
    value = (np.random.default_rng(0).normal(size=shape) * 50).astype(dtype)
    value = np.asarray(value)
    arrived = there_and_back(value)
    assert arrived.dtype == value.dtype
    np.testing.assert_array_equal(arrived, value)
    arrived[...] = 0  # a copy of its own, which may be written


@pytest.mark.parametrize(
    "value",
    [
        np.array(["a", "bcd"]), np.array([b"a", b"bcd"]), np.array(["2026-01-01", "NaT"], "M8[D]"),
        np.array([3], "m8[s]"),
        np.array([fractions.Fraction(1, 3), None, "a"]), np.array([[], []], dtype=object),
        np.array([(1, [2.5, 3])], [("a", "i4"), ("b", "f8", 2)]), np.array([], dtype="U"),
    ],
    ids=lambda value: str(value.dtype),
)  # fmt: skip
def test_arrays_of_other_kinds_arrive(value):
    arrived = there_and_back(value)
    assert arrived.dtype == value.dtype
    assert arrived.shape == value.shape
    assert repr(arrived) == repr(value)


@pytest.mark.parametrize(
    "value",
    [
        np.ones((2, 2)).view(np.matrix),
        np.ma.array([1, 2], mask=[0, 1]),
        np.arange(3.0).view(Close),
        np.rec.array([1, 2]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_arrays_of_derived_types_arrive_as_arrays(value):
    arrived = there_and_back(value)
    assert type(arrived) is np.ndarray
    assert arrived.tolist() == np.ndarray.tolist(np.ndarray.view(value, np.ndarray))


def test_views_and_numpy_scalars():
    value = np.arange(12.0).reshape(3, 4).T[::2]
    np.testing.assert_array_equal(there_and_back(value), value)
    for scalar in (
        np.float32(0.1),
        np.int64(3),
        np.bool_(True),
        np.str_("ab"),
        np.datetime64("2026"),
        np.complex64(1j),
    ):
        arrived = there_and_back(scalar)
        assert type(arrived) is type(scalar)
        assert arrived == scalar
    view = there_and_back(memoryview(np.arange(6.0).reshape(2, 3)))
    assert np.asarray(view).tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    "dtype",
    [
        torch.bool, torch.uint8, torch.int64, torch.float16, torch.bfloat16, torch.float32, torch.complex64,
        torch.float8_e4m3fn, torch.float8_e5m2,
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_tensors_keep_dtype_shape_and_values(dtype, shape):
    value = (torch.randn(shape) * 50).to(dtype)
    arrived = there_and_back(value)
    assert arrived.dtype == value.dtype
    assert arrived.shape == value.shape
    assert torch.equal(arrived.to(torch.complex64), value.to(torch.complex64))


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (torch.nn.Parameter(torch.ones(2)), torch.ones(2)),
        (torch.ones(2, requires_grad=True) * 2, torch.full((2,), 2.0)),
        (torch.arange(6).reshape(2, 3).T[::2], torch.tensor([[0, 3], [2, 5]])),
        (WITH_IMAGINARY.conj(), torch.tensor([1 - 2j, 3 + 4j])),
        (WITH_IMAGINARY.conj().imag, torch.tensor([-2.0, 4.0])),
        (torch.eye(2).to_sparse(), torch.eye(2)),
        (torch.eye(2).to_sparse_coo(), torch.eye(2)),
        (torch.ones(3).as_subclass(Tensor), torch.ones(3)),
    ],
    ids=["Parameter", "grad", "view", "conj", "neg", "sparse", "coo", "subclass"],
)
def test_tensors_of_other_kinds_arrive_as_tensors(value, plain):
    arrived = there_and_back(value)
    assert type(arrived) is torch.Tensor
    assert arrived.dtype == plain.dtype
    assert arrived.tolist() == plain.tolist()
    assert not arrived.requires_grad


@pytest.mark.parametrize(
    ("value", "items"),
    [
        (map(abs, [-1, 2]), [1, 2]), (zip([1], "a", strict=True), [(1, "a")]), (filter(None, [0, 1]), [1]),
        ((k for k in "ab"), ["a", "b"]), (iter({1: 2}), [1]), (enumerate("a"), [(0, "a")]), (reversed([1, 2]), [2, 1]),
        (itertools.chain([1], [2]), [1, 2]), (itertools.islice(itertools.count(), 3), [0, 1, 2]), (iter(()), []),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_an_iterator_that_ends_arrives_as_one(value, items):
    arrived = there_and_back(value)
    assert iter(arrived) is arrived
    assert list(arrived) == items


def test_an_iterators_error_comes_where_its_item_would():
    def yields():
        yield 1
        raise KeyError("late")

    arrived = there_and_back(yields())
    assert next(arrived) == 1
    with pytest.raises(KeyError, match="late"):
        next(arrived)


@pytest.mark.parametrize(
    "value",
    [object(), len, abs, lambda: 0, int, Pair, torch.nn.Linear(1, 1), np.sum, collections, Colour, NotImplemented,
     type("F", (), {"__float__": lambda self: 0.5, "__len__": lambda self: 2})(), ValueError("a"), sys.stderr],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_not_plain_stays_where_it_is(value):
    with pytest.raises(TypeError, match="not plain data"):
        border.encode(value)
    kept = []
    assert isinstance(border.decode(border.encode(value, lambda v: kept.append(v) or 7)), border.Handle)
    assert kept[0] is value


@pytest.mark.parametrize(
    "data",
    [{"array": ["O", [1], ""]}, {"array": ["f4", [10**6], ""]}, {"tensor": ["load", [1], ""]}, {"eval": "1"}, {}, [1],
     {"dict": [[{"list": []}, 1]]}, {"given": 0}],
    ids=str,
)  # fmt: skip
def test_forged_data_is_an_error_and_nothing_more(data):
    with pytest.raises((ValueError, TypeError, AttributeError, RuntimeError)):
        border.decode(data)


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


def wide():
    value = []
    for _ in range(50):
        value = [value, value]
    return value


ITSELF: list = []
ITSELF.append([ITSELF])
TOO_MUCH = {
    "500 levels": (nested(500), "more than 100 levels"),
    "100,000 levels": (nested(100_000), "more than 100 levels"),
    "a list that contains itself": (ITSELF, "contains itself"),
    "2**50 items made of 50": (wide(), "too many"),
    "a million items": ([0] * 1_000_000, "too many"),
    "a range without end": (range(10**12), "range of more than"),
    "a gigabyte": (np.broadcast_to(np.zeros(1), 2**27), "more than 64 MiB"),
    "a sparse gigabyte": (torch.eye(2**14).to_sparse(), "more than 64 MiB"),
    "a long text": ("a" * 2**27, "more than 64 MiB"),
    "an endless iterator": (itertools.chain([[]], nested(500)), "levels"),
}


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_is_too_much_is_an_error_that_says_so(name):
    value, says = TOO_MUCH[name]
    reply = border.serve('{"do": "get", "name": "x"}', {"x": value})
    kind, message, _ = json.loads(reply)["error"]
    assert kind in ("ValueError", "TypeError")
    assert says in message
    assert guard.checked(reply) == reply


class Unspeakable(Exception):
    def __str__(self):
        raise SystemExit(3)

    __repr__ = __str__


class Nameless(type):
    __name__ = property(lambda cls: 1 / 0)
    __mro__ = property(lambda cls: ())


class Lies(ValueError, metaclass=Nameless):
    __class__ = property(lambda self: 1 / 0)


class Shouts(str):
    def __str__(self):
        return 5

    encode = __getitem__ = lambda *a: 1 / 0


RAISED = {
    "half a character": (RuntimeError("\ud83d"), "RuntimeError", "\\ud83d"),
    "control characters": (ValueError("\x1b[31m\r\0\x85ok\n\t"), "ValueError", "\\x1b[31m\\x0d\\x00\\x85ok\n\t"),
    "megabytes": (ValueError("x" * 10_000_000), "ValueError", "x" * 2000),
    "huge arguments": (ValueError(["x"] * 1_000_000), "ValueError", "['x', 'x'"),
    "its own text raises": (Unspeakable(), "Exception", "Unspeakable: an error that cannot say what it is"),
    "a class that lies": (Lies("no"), "ValueError", "no"),
    "a text that is none": (ValueError(Shouts("a")), "ValueError", ""),
    "a key": (KeyError("no such key"), "KeyError", "no such key"),
    "leaving": (SystemExit(0), "RuntimeError", "SystemExit: 0"),
    "an interrupt": (KeyboardInterrupt(), "RuntimeError", "KeyboardInterrupt: "),
    "an iteration's end": (StopIteration(3), "Exception", "StopIteration: 3"),
    "a generator's end": (GeneratorExit(), "RuntimeError", "GeneratorExit: "),
    "a warning": (UserWarning("w"), "Exception", "UserWarning: w"),
    "no Unicode": (UnicodeDecodeError("utf8", b"a", 0, 1, "why"), "ValueError", "'utf8' codec can't decode"),
    "an assertion": (AssertionError("mine"), "AssertionError", "mine"),
    "no file": (FileNotFoundError(2, "No such file", "x"), "FileNotFoundError", "[Errno 2] No such file: 'x'"),
    "one of its own": (type("Own", (LookupError,), {})("no"), "LookupError", "no"),
}
if sys.version_info >= (3, 11):
    RAISED["a group"] = ExceptionGroup("many", [ValueError("a")]), "Exception", "ExceptionGroup: many"  # noqa: F821


@pytest.mark.parametrize("name", RAISED)
def test_whatever_is_raised_becomes_an_error_that_can_be_raised(name):
    error, kind, message = RAISED[name]

    def fail():
        raise error

    reply = border.serve('{"do": "get", "name": "x"}', {"x": Raises(fail)})
    assert reply.isascii()
    told = json.loads(reply)["error"]
    assert told[0] == kind
    assert told[1].startswith(message)
    assert len(told[1]) <= 2000
    assert json.loads(guard.checked(reply))["error"][:2] == told[:2]
    assert type(border.error_of(told)).__name__ == kind


class Raises(list):
    def __init__(self, fail):
        self.fail = fail

    def __iter__(self):
        self.fail()


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"do": "eval"}', '{"do": "call", "target": 5, "method": null}', "\ud83d"]
)
def test_what_is_no_request_is_answered_too(text):
    assert list(json.loads(border.serve(text, {}))) == ["error"]


def test_a_reply_is_sent_even_when_the_codec_is_broken(monkeypatch):
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(border, "serve", lambda *a: 1 / 0)
    with ours, theirs:
        with pytest.raises(ZeroDivisionError):
            inside._answer(inside.Channel(theirs), border, "", {})
        assert "error" in json.loads(inside.Channel(ours).receive().removeprefix("=0 "))


def test_serving_says_something_even_when_describing_fails(monkeypatch):
    monkeypatch.setattr(border, "describe", lambda error: 1 / 0)
    assert "error" in json.loads(border.serve("", {}))
