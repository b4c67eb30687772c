"""The one reader of what a learner's process sends: whatever arrives, JSON text of a sound reply leaves.

The process may send anything: text that is no JSON, brackets without end, a shape that does not fit its bytes, a few
characters that become gigabytes, the name of an exception that ends a kernel. The test kernel is to be trusted and is
shared, so it gets only what it is certain to read. What is too large or too deep is seen before JSON's own reader sees
it. Nothing is made here of what is read: no array, no tensor.
"""

import array
import base64
import itertools
import json
import math
import re

from autograder.grading import border
from autograder.grading.border import DEPTH, ERRORS, ITEMS, LIMIT, MESSAGE, METHODS, hashable, printable

NESTED = 3 * DEPTH + 8  # brackets within brackets: a dict of a dict takes three
BRACKETS, COMMAS, QUOTES = 3 * ITEMS + 1000, 8 * ITEMS, 10 * ITEMS
DIGITS = 400  # of a number in JSON; longer ones cross in other forms
DIMENSIONS = 32

_DTYPE = re.compile(r"\|b1|\|[iu]1|[<>][iu][248]|[<>]f(?:2|4|8|16)|[<>]c(?:8|16|32)|\|S\d{1,7}|[<>]U\d{1,7}|"
                    r"[<>][mM]8(?:\[\d{0,9}(?:Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?")  # fmt: skip
_TENSORS = {
    **dict.fromkeys(["bool", "uint8", "int8", "float8_e4m3fn", "float8_e5m2"], 1),
    **dict.fromkeys(["float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"], 1),
    **dict.fromkeys(["int16", "uint16", "float16", "bfloat16"], 2),
    **dict.fromkeys(["int32", "uint32", "float32", "complex32"], 4),
    **dict.fromkeys(["int64", "uint64", "float64", "complex64"], 8),
    "complex128": 16,
}  # bytes of one number
_PYTHONS = {"?": 1, "c": 1} | {code: array.array(code).itemsize for code in "bBhHiIlLqQfd"}
_DECIMAL = re.compile(r"-?(?:\d{1,5000}(?:\.\d{0,5000})?|\.\d{1,5000})(?:E[+-]?\d{1,5})?|-?Infinity|-?s?NaN\d{0,100}")
_STEP = {"[": 1, "{": 1, "]": -1, "}": -1}
_PLAIN = {type(None), bool, int, float, str}


class _Unsound(Exception):
    """What was sent is no reply; the message says why."""


def checked(text: object) -> str:
    """`text` if it is a sound reply, or else one that tells of an error. Returns ASCII JSON text, and never raises."""
    try:
        reply = _parsed(text)
        if isinstance(reply, dict) and list(reply) == ["error"]:
            return json.dumps({"error": _error(reply["error"])})
        _check_reply(reply)
        return text
    except _Unsound as unsound:
        return _refusal(str(unsound))
    except Exception as error:  # every other way in which data can be wrong
        return _refusal(type(error).__name__)


def _refusal(why: str) -> str:
    said = f"the answer's process sent what is no reply: {printable(why, 200)}"
    return json.dumps({"error": ["ValueError", said, ""]})


def _need(sound: bool, otherwise: str) -> None:
    if not sound:
        raise _Unsound(otherwise)


def _parsed(text: object):
    """The data of JSON text whose length, depth and number of items are within bounds."""
    _need(type(text) is str, "it is no text")
    _need(text.isascii(), "it is no ASCII text")
    _need(len(text) <= LIMIT, "it is too long")
    bare = text.replace("\\\\", "").replace('\\"', "") if "\\" in text else text
    _need(bare.count('"') <= QUOTES, "it has too many items")
    outside = "".join(bare.split('"')[::2])
    _need(outside.count(",") <= COMMAS, "it has too many items")
    _need(sum(map(outside.count, "[]{}")) <= 2 * BRACKETS, "it has too many items")
    _need(outside.count(":") <= outside.count("{") + 2, "it has objects of many members")
    brackets = re.sub(r"[^][{}]+", "", outside)
    _need(max(itertools.accumulate(map(_STEP.get, brackets)), default=0) <= NESTED, "it is nested too deep")
    return json.loads(text, parse_int=_int, parse_float=_float, parse_constant=_constant)


def _int(digits: str) -> int:
    _need(len(digits) <= DIGITS, "it has a number of too many digits")
    return int(digits)


def _float(digits: str) -> float:
    _need(len(digits) <= DIGITS, "it has a number of too many digits")
    return float(digits)


def _constant(name: str):
    raise _Unsound(f"{name} is no JSON")


def _error(error: object) -> list:
    """[kind, message, line] of an error that the test kernel can raise and its messages can carry."""
    _need(
        type(error) is list and len(error) == 3 and all(type(part) is str for part in error), "an error of its own form"
    )
    kind, message, where = error
    if kind not in ERRORS:
        kind, message = "RuntimeError", f"{kind[:100]}: {message[:MESSAGE]}"
    if kind == "AssertionError" and not where:
        where = "outside the notebook's cells"  # no message passes for one of the test's own
    return [kind, printable(message, MESSAGE), printable(where, 500)]


def _check_reply(reply: object) -> None:
    _need(type(reply) is dict, "it is no object")
    members = set(reply)
    if members == {"missing"}:
        return _need(type(reply["missing"]) is str, "what is missing has no name")
    if members == {"method"}:
        return _need(reply["method"] is True, "a method that is none")
    _need("value" in members <= {"value", "after", "end"}, f"its members are {', '.join(sorted(members))[:100]}")
    _check(reply["value"], 0)
    _need(type(reply.get("end", True)) is bool, "an end that is neither true nor false")
    if "end" in reply:
        _need(type(reply["value"]) is dict and list(reply["value"]) == ["list"], "items that are no list")
    after = reply.get("after", [])
    _need(type(after) is list, "changes that are no list")
    for change in after:
        place, data = change
        _count(place)
        _need(type(data) is dict and list(data) not in (["given"], ["also"]), "a change that is none")
        _check(data, 0)


def _check(data: object, depth: int) -> None:
    """Raises unless `decode` can make a value of `data`."""
    if type(data) in _PLAIN:
        return
    if type(data) is not dict or len(data) != 1:
        raise _Unsound("a value of no kind")
    ((kind, content),) = data.items()
    if kind not in _CHECKS:
        raise _Unsound("a value of an unknown kind")
    if depth > DEPTH:
        raise _Unsound("it is nested too deep")
    _CHECKS[kind](content, depth + 1)


def _many(content, depth: int) -> None:
    _need(type(content) is list, "items that are no list")
    if not _PLAIN.issuperset(map(type, content)):
        for item in content:
            _check(item, depth)


def _keys(content, depth: int) -> None:
    _many(content, depth)
    _need(all(map(hashable, content)), "a key that cannot be one")


def _pairs(content, depth: int) -> None:
    _need(type(content) is list and all(type(pair) is list and len(pair) == 2 for pair in content), "no pairs")
    _keys([key for key, _ in content], depth)
    _many([value for _, value in content], depth)


def _slice(content, depth: int) -> None:
    _need(type(content) is list and len(content) == 3, "a slice without three parts")
    _many(content, depth)


def _range(content, depth: int) -> None:
    _need(type(content) is list and len(content) == 3 and all(type(part) is int for part in content), "no range")
    _need(content[2] != 0 and _length(content) <= border.RANGE, "a range without a step or without an end")


def _length(content: list) -> int:
    start, stop, step = content
    return max(0, -((start - stop) // step))


def _hexadecimal(content, depth: int) -> None:
    _need(type(content) is str and len(content) <= border.HEXADECIMAL, "a number of too many digits")
    _need(re.fullmatch(r"-?0x[0-9a-f]+", content) is not None, "no number")


def _not_finite(content, depth: int) -> None:
    _need(content in ("nan", "inf", "-inf"), "no number")


def _complex(content, depth: int) -> None:
    _need(type(content) is list and len(content) == 2, "no complex number")
    for part in content:
        _need(type(part) is float or list(part) == ["float"], "no complex number")
        _check(part, depth)


def _fraction(content, depth: int) -> None:
    _need(type(content) is list and len(content) == 2 and content[1] != 0, "no fraction")
    for part in content:
        _need(type(part) is int or list(part) == ["int"], "no fraction")
        _check(part, depth)
        _need(type(part) is int or len(part["int"]) <= 10_000, "a fraction of too many digits")
    _need(type(content[1]) is int or int(content[1]["int"], 16) != 0, "no fraction")


def _decimal(content, depth: int) -> None:
    _need(type(content) is str and _DECIMAL.fullmatch(content) is not None, "no decimal number")


def _ellipsis(content, depth: int) -> None:
    _need(content is None, "no ellipsis")


def _text(content, depth: int) -> None:
    _raw(content).decode("utf-8", "surrogatepass")


def _bytes(content, depth: int) -> None:
    _raw(content)


def _raw(text: object) -> bytes:
    _need(type(text) is str, "bytes that are no text")
    return base64.b64decode(text, validate=True)


def _count(number: object) -> int:
    _need(type(number) is int and 0 <= number < 2**62, "a number that counts nothing")
    return number


def _numbers_in(shape: object) -> int:
    """How many numbers an array of this shape has."""
    _need(type(shape) is list and len(shape) <= DIMENSIONS, "an array of no shape")
    _need(math.prod(max(_count(n), 1) for n in shape) <= LIMIT, "an array that is too large")
    return math.prod(shape)


def _array(content, depth: int) -> None:
    dtype, shape, raw = content
    _need(type(dtype) is str and _DTYPE.fullmatch(dtype) is not None, "an array of an unknown type")
    size = int(re.match(r"\d+", dtype[2:])[0]) * (4 if dtype[1] == "U" else 1)
    _need(size > 0 and len(_raw(raw)) == _numbers_in(shape) * size, "an array whose bytes do not fit its shape")


def _scalar(content, depth: int) -> None:
    _array(content, depth)
    _need(content[1] == [], "a single number with a shape")


def _tensor(content, depth: int) -> None:
    dtype, shape, raw = content
    _need(dtype in _TENSORS, "a tensor of an unknown type")
    _need(len(_raw(raw)) == _numbers_in(shape) * _TENSORS[dtype], "a tensor whose bytes do not fit its shape")


def _objects(content, depth: int) -> None:
    shape, items = content
    _many(items, depth)
    _need(len(items) == _numbers_in(shape), "an array whose items do not fit its shape")


def _records(content, depth: int) -> None:
    shape, fields = content
    _numbers_in(shape)
    names = [name for name, _ in fields]
    _need(names and all(type(name) is str and name for name in names) and len(set(names)) == len(names), "no names")
    for _, data in fields:
        ((kind, part),) = data.items()
        _need(kind in ("array", "records") and part[1 if kind == "array" else 0][: len(shape)] == shape, "no fields")
        _check(data, depth)


def _python_array(content, depth: int) -> None:
    typecode, raw = content
    _need(typecode in _PYTHONS and typecode not in "?c" and len(_raw(raw)) % _PYTHONS[typecode] == 0, "no array")


def _memoryview(content, depth: int) -> None:
    typecode, shape, raw = content
    _need(typecode in _PYTHONS and 0 not in shape, "no memory")
    _need(
        shape != [] and len(_raw(raw)) == _numbers_in(shape) * _PYTHONS[typecode], "memory that does not fit its shape"
    )


def _iterator(content, depth: int) -> None:
    items, error = content
    _many(items, depth)
    _need(error is None or _error(error) == error, "an error of its own form")


def _handle(content, depth: int) -> None:
    number, name = content
    _count(number)
    _need(type(name) is str and re.fullmatch(r"[\w.?]{1,100}", name) is not None, "an object of no type")


def _also(content, depth: int) -> None:
    plain, *handle = content
    _need(
        type(plain) in (bool, int, float, str) or next(iter(plain)) in METHODS | {"text"},
        "an object that is no plain value",
    )
    _check(plain, depth)
    _handle(handle, depth)


def _given(content, depth: int) -> None:
    _count(content)


_CHECKS = {
    **dict.fromkeys(["list", "tuple", "values"], _many),
    **dict.fromkeys(["set", "frozenset", "keys"], _keys),
    **dict.fromkeys(["dict", "items"], _pairs),
    **dict.fromkeys(["bytes", "bytearray"], _bytes),
    "slice": _slice,
    "range": _range,
    "ellipsis": _ellipsis,
    "int": _hexadecimal,
    "float": _not_finite,
    "complex": _complex,
    "fraction": _fraction,
    "decimal": _decimal,
    "text": _text,
    "memoryview": _memoryview,
    "pyarray": _python_array,
    "array": _array,
    "scalar": _scalar,
    "objects": _objects,
    "records": _records,
    "tensor": _tensor,
    "iterator": _iterator,
    "given": _given,
    "handle": _handle,
    "also": _also,
}
