"""What crosses the border between the learner's kernel and the test kernel, as JSON: plain data, and handles.

Plain data are numbers, strings, bytes, lists, tuples, dicts, sets, ranges, iterators that end, NumPy's arrays and
scalars, and torch's tensors. What derives from them crosses as the plain value it is: a Counter as a dict, a Parameter
as a tensor. It arrives as a type of Python's, NumPy's or torch's own, so nothing that the learner's class says about
itself counts. Everything else stays where it is and crosses as a handle, a number. Nothing is pickled and nothing that
comes back is evaluated.

This one file runs on both sides. In the learner's kernel `serve` answers requests; there the learner may have changed
anything, so the other side believes nothing but the data: an answer that lies is a wrong answer.
`autograder.grading.guard` reads what comes back before anybody else does.
"""

import array
import base64
import builtins
import collections
import copy
import decimal
import fractions
import functools
import itertools
import json
import math
import numbers
import operator
import re
import sys
import time
import types

LIMIT = 64 * 2**20  # characters of one message
DEPTH = 100  # levels of values within values
ITEMS = 200_000  # values in one message
RANGE = 10**7  # numbers of one range
HEXADECIMAL = 10**6  # characters of one integer
MESSAGE = 2000  # characters of an error's message
AHEAD = 10_000, 2**23, 1.0  # items, characters and seconds up to which an iterator's items cross at once
# The kinds of errors that cross. Kernels and loops give StopIteration, SystemExit or a warning a meaning of their own.
ERRORS = frozenset([
    "ArithmeticError", "AssertionError", "AttributeError", "BufferError", "EOFError", "Exception", "FileExistsError",
    "FileNotFoundError", "FloatingPointError", "ImportError", "IndexError", "IsADirectoryError", "KeyError",
    "LookupError", "MemoryError", "ModuleNotFoundError", "NameError", "NotADirectoryError", "NotImplementedError",
    "OSError", "OverflowError", "PermissionError", "RecursionError", "RuntimeError", "TimeoutError", "TypeError",
    "ValueError", "ZeroDivisionError",
])  # fmt: skip
MUTABLE = frozenset(["list", "dict", "set", "bytearray", "pyarray", "array", "objects", "records", "tensor"])
METHODS = frozenset(["int", "float", "complex", "str", "bytes", "tuple", "list", "dict", "set", "frozenset"])
NO_KEYS = (MUTABLE - {"tensor"}) | {"slice", "keys", "values", "items", "iterator", "memoryview", "given"}

_SPEECHLESS = '{"error": ["RuntimeError", "the answer\'s process could not say what happened", ""]}'
_NUMBERS = "biufcSUmM"  # kinds of NumPy's types whose bytes say all
_KNOWN = frozenset(sys.stdlib_module_names) - {"__main__", "this"} | {"numpy", "torch"}  # whose methods are no answer's

_kept: dict[int, object] = {}  # the learner's objects that handles stand for
_raises: dict[int, BaseException] = {}  # by an iterator's handle: what it raised after the items already sent


class Handle:
    """An object of the other side, by number; `autograder.grading.standins` gives it its manners.

    plain: the plain value that the object also is, where its class derives from a plain type and adds methods.
    """

    def __init__(self, number: int, type_name: str = "object", plain=None):
        self._number, self._type_name, self._plain = number, type_name, plain


class Given:
    """The lists, arrays and the like among a call's arguments, in the order in which both sides come across them."""

    def __init__(self):
        self.objects: list = []
        self.places: dict[int, int] = {}

    def add(self, value):
        self.places[id(value)] = len(self.objects)
        self.objects.append(value)
        return value


def encode(value, keep=None, given: Given | None = None):
    """`value` as JSON-able data. keep: called with an object that is not plain data, returns its handle's number.

    given: takes up what can be changed in place within `value`, for `changes` and `decode`.
    """
    return _Encoder(keep, given, adds=True)(value)


def decode(data, handle=Handle, given: Given | None = None, adds: bool = False):
    """The value that `encode` made `data` from. handle: makes the stand-in for an object of the other side.

    given: what both sides have already; with `adds`, it takes up what is made here.
    """
    return _Decoder(handle, given, adds)(data)


# ---- One way: from values to data ----


class _Encoder:
    """Counts what it has read, so that no value is too much: neither deep nor wide nor without end."""

    def __init__(self, keep, given: Given | None, adds: bool):
        self.keep, self.given, self.adds = keep, given, adds
        self.left, self.size, self.path = ITEMS, 0, set()

    def __call__(self, value, depth=0):
        self.left -= 1
        if self.left < 0:
            raise ValueError(f"more than {ITEMS:,} values in one are too many to cross to the tests")
        kind = type(value)
        if value is None or kind is bool or (kind is int and -(2**1000) < value < 2**1000):
            return value
        if kind is float and math.isfinite(value):
            return value
        if kind is str and value.isascii():
            return self._counted(value)
        if isinstance(value, Handle):
            return {"handle": [value._number, _name(value._type_name)]}
        form = _form(value)
        if form == "iterator":
            return self._iterator(value, depth)
        if form is None:
            return self._handle(value)
        if self.given and id(value) in self.given.places:
            return {"given": self.given.places[id(value)]}
        if self.given and self.adds and form in MUTABLE:
            self.given.add(value)
        node = self.content(form, value, depth)
        if self.keep and form in METHODS and _adds_methods(kind):
            return {"also": [node, self.keep(value), _name(kind.__name__)]}
        return node

    def content(self, form: str, value, depth=0):
        """The data of a value whose form is known."""
        if depth >= DEPTH:
            raise ValueError(f"values nested more than {DEPTH} levels deep cannot cross to the tests")
        if id(value) in self.path:
            raise ValueError(f"a {type(value).__name__} that contains itself cannot cross to the tests")
        self.path.add(id(value))
        try:
            return getattr(self, f"_{form}")(value, depth + 1)
        finally:
            self.path.discard(id(value))

    def _counted(self, text: str) -> str:
        self.size += len(text)
        if self.size > LIMIT:
            raise ValueError(f"the answer returned more than {LIMIT >> 20} MiB")
        return text

    def _bytes_of(self, raw: bytes) -> str:
        return self._counted(base64.b64encode(raw).decode())

    def _room_for(self, count: int) -> None:
        if self.size + count * 4 // 3 > LIMIT:
            raise ValueError(f"the answer returned more than {LIMIT >> 20} MiB")

    def _handle(self, value):
        name = type(value).__name__
        if self.keep is None:
            raise TypeError(f"{name} is not plain data and cannot cross to the answer's process: use a probe")
        return {"handle": [self.keep(value), _name(name)]}

    def _many(self, values, depth) -> list:
        return [self(value, depth) for value in values]

    def _keys_of(self, values, depth) -> list:
        nodes = self._many(values, depth)
        for node in nodes:
            if not hashable(node):
                raise TypeError(f"a {next(iter(node))} within a set or as a dict's key cannot cross to the tests")
        return nodes

    def _pairs(self, pairs, depth) -> list:
        pairs = [(key, value) for key, value in pairs]
        keys = self._keys_of([key for key, _ in pairs], depth)
        return [[key, self(value, depth)] for key, (_, value) in zip(keys, pairs, strict=True)]

    def _bool(self, value, depth):
        return bool(value)

    def _int(self, value, depth):
        value = int.__int__(value)
        if -(2**1000) < value < 2**1000:
            return value
        if value.bit_length() > 4 * (HEXADECIMAL - 4):
            raise ValueError("an integer of more than a million digits cannot cross to the tests")
        return {"int": self._counted(hex(value))}

    def _float(self, value, depth):
        value = float.__float__(value)
        return value if math.isfinite(value) else {"float": float.__repr__(value)}

    def _complex(self, value, depth):
        parts = complex.real.__get__(value), complex.imag.__get__(value)
        return {"complex": [self._float(part, depth) for part in parts]}

    def _str(self, value, depth):
        value = str.__str__(value)
        try:
            value.encode()
        except UnicodeEncodeError:  # half a character, which JSON's readers do not agree on
            return {"text": self._bytes_of(value.encode("utf-8", "surrogatepass"))}
        return self._counted(value)

    def _userstring(self, value, depth):
        return self._str(value.data, depth)

    def _bytes(self, value, depth):
        self._room_for(len(value))
        return {"bytes": self._bytes_of(memoryview(value).tobytes())}

    def _bytearray(self, value, depth):
        return {"bytearray": self._bytes(value, depth)["bytes"]}

    def _memoryview(self, value, depth):
        self._room_for(value.nbytes)
        if value.format not in "bBhHiIlLqQfd?c" or 0 in value.shape:
            return {"bytes": self._bytes_of(value.tobytes())}
        return {"memoryview": [value.format, list(value.shape), self._bytes_of(value.tobytes())]}

    def _pyarray(self, value, depth):
        if value.typecode in "uw":
            return {"list": self._many(value, depth)}
        return {"pyarray": [value.typecode, self._bytes_of(array.array.tobytes(value))]}

    def _list(self, value, depth):
        return {"list": self._many(value, depth)}

    def _tuple(self, value, depth):
        return {"tuple": self._many(value, depth)}

    def _values(self, value, depth):
        return {"values": self._many(value, depth)}

    def _set(self, value, depth):
        return {"set": self._keys_of(value, depth)}

    def _frozenset(self, value, depth):
        return {"frozenset": self._keys_of(value, depth)}

    def _keys(self, value, depth):
        return {"keys": self._keys_of(value, depth)}

    def _dict(self, value, depth):
        return {"dict": self._pairs(value.items(), depth)}

    def _items(self, value, depth):
        return {"items": self._pairs(value, depth)}

    def _slice(self, value, depth):
        return {"slice": self._many((value.start, value.stop, value.step), depth)}

    def _range(self, value, depth):
        if value and (value[-1] - value[0]) // value.step >= RANGE:
            raise ValueError(f"a range of more than {RANGE:,} numbers cannot cross to the tests")
        return {"range": self._many((value.start, value.stop, value.step), depth)}

    def _ellipsis(self, value, depth):
        return {"ellipsis": None}

    def _fraction(self, value, depth):
        return {"fraction": [self._int(int(part), depth) for part in (value.numerator, value.denominator)]}

    def _decimal(self, value, depth):
        return {"decimal": self._counted(decimal.Decimal.__str__(value))}

    def _real(self, value, depth):
        return self._float(float(value), depth)

    def _number(self, value, depth):
        """A complex number of another library's; where it has no imaginary part, a float."""
        value = complex(value)
        return self._complex(value, depth) if value.imag else self._float(value.real, depth)

    def _array(self, value, depth):
        import numpy

        value = numpy.ndarray.view(value, numpy.ndarray)
        if value.dtype.names and not value.dtype.hasobject:
            return self._records(value, depth)
        if value.dtype.kind not in _NUMBERS:
            return self._objects(value.astype(object), depth)
        return {"array": self._numbers(value)}

    def _scalar(self, value, depth):
        import numpy

        if value.dtype.kind not in _NUMBERS:
            return self(value.item(), depth)
        return {"scalar": self._numbers(numpy.asarray(value))}

    def _numbers(self, value) -> list:
        self._room_for(value.nbytes)
        return [value.dtype.str, list(value.shape), self._bytes_of(value.tobytes())]

    def _objects(self, value, depth):
        if value.size > self.left:
            raise ValueError(f"more than {ITEMS:,} values in one are too many to cross to the tests")
        return {"objects": [list(value.shape), self._many(value.reshape(-1).tolist(), depth)]}

    def _records(self, value, depth):
        fields = [[name, self.content("array", value[name], depth)] for name in value.dtype.names]
        return {"records": [list(value.shape), fields]}

    def _tensor(self, value, depth):
        import torch

        with torch._C.DisableTorchFunctionSubclass():
            value = value.detach()
            self._room_for(value.numel() * value.element_size())
            if value.is_quantized:
                value = value.dequantize()
            elif value.layout is not torch.strided:
                value = value.to_dense()
            value = value.cpu().resolve_conj().resolve_neg().contiguous()
            flat = torch.view_as_real(value) if value.is_complex() else value
            raw = flat.reshape(-1).view(torch.uint8).numpy().tobytes()
            return {"tensor": [str(value.dtype).removeprefix("torch."), list(value.shape), self._bytes_of(raw)]}

    def _iterator(self, value, depth):
        """Its items and the error that ended it. One that goes on for long is a handle for them and the rest."""
        most, size, seconds = AHEAD
        taken, nodes, error = [], [], None
        size, end = self.size + size, time.monotonic() + seconds
        while True:
            if self.keep and (len(taken) >= most or self.size > size or time.monotonic() > end):
                return self._handle(itertools.chain(taken, value))
            try:
                item = next(value)
            except StopIteration:
                return {"iterator": [nodes, error]}
            except Exception as raised:  # told where the notebook tells it: when the item is asked for
                return {"iterator": [nodes, describe(raised)]}
            taken.append(item)
            nodes.append(self(item, depth + 1))


_BASES = (
    (bool, "bool"),
    (int, "int"),
    (float, "float"),
    (complex, "complex"),
    (str, "str"),
    (bytes, "bytes"),
    (bytearray, "bytearray"),
    (memoryview, "memoryview"),
    (tuple, "tuple"),
    (list, "list"),
    (dict, "dict"),
    (set, "set"),
    (frozenset, "frozenset"),
    (range, "range"),
    (slice, "slice"),
    (type(...), "ellipsis"),
    (type({}.keys()), "keys"),
    (type({}.values()), "values"),
    (type({}.items()), "items"),
    (collections.deque, "list"),
    (collections.UserList, "list"),
    (collections.UserDict, "dict"),
    (collections.UserString, "userstring"),
    (collections.ChainMap, "dict"),
    (types.MappingProxyType, "dict"),
    (array.array, "pyarray"),
    (fractions.Fraction, "fraction"),
    (decimal.Decimal, "decimal"),
    (types.GeneratorType, "iterator"),
)


def _form(value) -> str | None:
    """The form in which a value crosses; None for what is no plain data. Types are asked, as values may lie."""
    kind = type(value)
    if kind is type or issubclass(kind, type):
        return None
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy and issubclass(kind, numpy.generic):
        return "scalar"
    if numpy and issubclass(kind, numpy.ndarray):
        return None if _adds_methods(kind) else "array"
    if torch and issubclass(kind, torch.Tensor):
        return None if _adds_methods(kind) else "tensor"
    for base, form in _BASES:
        if issubclass(kind, base):
            return form
    if kind.__module__ in ("builtins", "itertools") and hasattr(kind, "__next__"):
        return "iterator"
    if numpy and kind.__module__ == "numpy" and kind.__name__ == "flatiter":
        return "iterator"
    sympy = sys.modules.get("sympy")
    if sympy and issubclass(kind, getattr(sympy, "Expr", ())) and not issubclass(kind, numbers.Number):
        return "number" if value.is_number else None
    for base, form in ((numbers.Rational, "fraction"), (numbers.Real, "real"), (numbers.Complex, "number")):
        if issubclass(kind, base):
            return form
    return None


@functools.lru_cache(1000)
def _adds_methods(kind: type) -> bool:
    """Whether a class of the learner's adds public methods or properties to those of the plain type it derives from."""
    classes = type.__dict__["__mro__"].__get__(kind)
    own = [k for k in classes if str(getattr(k, "__module__", "")).partition(".")[0] not in _KNOWN]
    known = {name for k in classes if k not in own for name in vars(k)}
    methods = (types.FunctionType, classmethod, staticmethod, property, functools.cached_property)
    return any(
        isinstance(what, methods) and not name.startswith("_") and name not in known
        for k in own
        for name, what in vars(k).items()
    )


def hashable(node) -> bool:
    """Whether the value of some data may be a dict's key."""
    if not isinstance(node, dict):
        return True
    ((kind, content),) = node.items()
    if kind == "also":
        return hashable(content[0])
    return all(map(hashable, content)) if kind == "tuple" else kind not in NO_KEYS


def _name(text) -> str:
    """A type's name, fit to stand in a message."""
    return re.sub(r"[^\w.]", "?", str(text))[:100] or "object"


# ---- The other way: from data to values ----


class _Decoder:
    def __init__(self, handle, given: Given | None, adds: bool):
        self.handle, self.given, self.adds = handle, given, adds

    def __call__(self, data):
        if data is None or isinstance(data, bool | int | float | str):
            return data
        ((kind, content),) = data.items()
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no kind of plain data")
        return getattr(self, f"_{kind}")(content)

    def _made(self, value):
        """What was made, taken up before its items are made, as the other side did."""
        return self.given.add(value) if self.adds else value

    def _many(self, content) -> list:
        return [self(item) for item in content]

    def _list(self, content):
        made = self._made([])
        made.extend(self._many(content))
        return made

    def _dict(self, content):
        made = self._made({})
        keys = [self(key) for key, _ in content]
        made.update((key, self(item)) for key, (_, item) in zip(keys, content, strict=True))
        return made

    def _set(self, content):
        made = self._made(set())
        made.update(self._many(content))
        return made

    def _tuple(self, content):
        return tuple(self._many(content))

    def _frozenset(self, content):
        return frozenset(self._many(content))

    def _keys(self, content):
        return dict.fromkeys(self._many(content)).keys()

    def _values(self, content):
        return dict(enumerate(self._many(content))).values()

    def _items(self, content):
        return _Decoder(self.handle, self.given, False)._dict(content).items()

    def _slice(self, content):
        return slice(*self._many(content))

    def _range(self, content):
        return range(*self._many(content))

    def _ellipsis(self, content):
        return ...

    def _int(self, content):
        return int(content, 16)

    def _float(self, content):
        return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[content]

    def _complex(self, content):
        real, imaginary = map(self, content)
        return complex(real, imaginary)

    def _fraction(self, content):
        numerator, denominator = map(self, content)
        return fractions.Fraction(numerator, denominator)

    def _decimal(self, content):
        return decimal.Decimal(content)

    def _text(self, content):
        return base64.b64decode(content).decode("utf-8", "surrogatepass")

    def _bytes(self, content):
        return base64.b64decode(content)

    def _bytearray(self, content):
        return self._made(bytearray(base64.b64decode(content)))

    def _memoryview(self, content):
        typecode, shape, raw = content
        return memoryview(base64.b64decode(raw)).cast("B").cast(typecode, shape)

    def _pyarray(self, content):
        typecode, raw = content
        return self._made(array.array(typecode, base64.b64decode(raw)))

    def _array(self, content):
        import numpy

        dtype, shape, raw = content
        dtype = numpy.dtype(dtype)
        if dtype.kind not in _NUMBERS:
            raise ValueError(f"dtype {dtype} is no plain data")
        made = numpy.zeros([int(n) for n in shape], dtype)
        raw = base64.b64decode(raw)
        if len(raw) != made.nbytes and dtype.itemsize:
            raise ValueError(f"{len(raw)} bytes are no array of shape {shape} and type {dtype}")
        if raw:
            flat = numpy.frombuffer(raw, "u1") != 0 if dtype.kind == "b" else numpy.frombuffer(raw, dtype)
            made[...] = flat.reshape(made.shape)
        return self._made(made)

    def _scalar(self, content):
        return _Decoder(self.handle, None, False)._array(content)[()]

    def _objects(self, content):
        import numpy

        shape, items = content
        made = self._made(numpy.empty([int(n) for n in shape], object))
        if made.size != len(items):
            raise ValueError(f"{len(items)} items are no array of shape {shape}")
        for index, item in enumerate(items):
            made.reshape(-1)[index] = self(item)
        return made

    def _records(self, content):
        import numpy

        shape, fields = content
        parts = [(name, _Decoder(self.handle, None, False)(data)) for name, data in fields]
        made = numpy.empty(shape, [(name, part.dtype, part.shape[len(shape) :]) for name, part in parts])
        for name, part in parts:
            made[name] = part
        return self._made(made)

    def _tensor(self, content):
        import torch

        dtype, shape, raw = content
        torch_dtype = getattr(torch, str(dtype))
        if not isinstance(torch_dtype, torch.dtype):
            raise ValueError(f"dtype {dtype!r} is no tensor's")
        shape, raw = [int(n) for n in shape], bytearray(base64.b64decode(raw))
        made = torch.empty(shape, dtype=torch_dtype)
        if len(raw) != made.numel() * made.element_size():
            raise ValueError(f"{len(raw)} bytes are no tensor of shape {shape} and type {dtype}")
        if raw:
            flat = torch.frombuffer(raw, dtype=torch.uint8)
            if made.is_complex():
                flat = torch.view_as_complex(flat.view(made.real.dtype).reshape(-1, 2))
            made = (flat != 0 if torch_dtype is torch.bool else flat.view(torch_dtype)).reshape(shape)
        return self._made(made)

    def _iterator(self, content):
        items, error = content
        items = self._many(items)
        return iter(items) if error is None else _until(items, error)

    def _given(self, content):
        if self.given is None or not 0 <= content < len(self.given.objects):
            raise ValueError(f"there is no argument {content}")
        return self.given.objects[content]

    def _handle(self, content):
        number, type_name = content
        return self.handle(int(number), str(type_name))

    def _also(self, content):
        plain, number, type_name = content
        return self.handle(int(number), str(type_name), self(plain))


#: What data may be but numbers, strings, true, false and null: {kind: content}.
KINDS = frozenset([
    "list", "tuple", "dict", "set", "frozenset", "keys", "values", "items", "slice", "range", "ellipsis", "int",
    "float", "complex", "fraction", "decimal", "text", "bytes", "bytearray", "memoryview", "pyarray", "array",
    "scalar", "objects", "records", "tensor", "iterator", "given", "handle", "also",
])  # fmt: skip


def _until(items: list, error: list):
    yield from items
    raise error_of(error)


def error_of(error: list) -> Exception:
    """The exception that `describe` told of."""
    kind, message, where = error
    raised = getattr(builtins, kind if kind in ERRORS else "RuntimeError")(message)
    raised.answer_line = where
    return raised


# ---- In the learner's kernel ----


def serve(text: str, namespace: dict) -> str:
    """Answer one request, such as {"do": "get", "name": "ex_1_1"}, as JSON text, whatever happens."""
    try:
        request = json.loads(text)
        reply = json.dumps(_DO[request.pop("do")](namespace, **request), allow_nan=False)
        if len(reply) > LIMIT:
            raise ValueError(f"the answer returned more than {LIMIT >> 20} MiB")
        return reply
    except BaseException as error:
        try:
            return json.dumps({"error": describe(error)})
        except BaseException:
            return _SPEECHLESS


def describe(error: BaseException) -> list:
    """[nearest kind that crosses, message, "line N: code" of the last line that a notebook's cell ran].

    The error's class may be the learner's: what it says of itself may raise, lie or never be a string.
    """
    mro = type.__dict__["__mro__"].__get__(type(error))
    kind = next((name for k in mro for name in ERRORS if getattr(builtins, name, None) is k), "RuntimeError")
    try:
        arguments = BaseException.args.__get__(error)
        said = kind == "KeyError" and len(arguments) == 1 and type(arguments[0]) is str
        message = str.__str__(arguments[0] if said else str(error))
    except BaseException:
        message = "an error that cannot say what it is"
    if not issubclass(type(error), Exception) or (kind == "Exception" and mro[0] is not Exception):
        message = f"{_name(type.__dict__['__name__'].__get__(type(error)))}: {message[: 2 * MESSAGE]}"
    try:
        where = _where(error)
    except BaseException:
        where = ""
    return [kind, printable(message, MESSAGE), printable(where, 500)]


def _where(error: BaseException) -> str:
    import traceback

    where = ""
    for frame in traceback.extract_tb(BaseException.__traceback__.__get__(error)):
        if "ipykernel_" in frame.filename and "_border" not in (frame.line or ""):
            where = f"line {frame.lineno} of {frame.name}: {frame.line}"
    return where


def printable(text: str, most: int) -> str:
    """At most so many characters, without half characters and control characters, which terminals and files mistake."""
    text = text[:most].encode("utf-8", "backslashreplace").decode()
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)[:most]


def _keep(value) -> int:
    _kept[id(value)] = value
    return id(value)


def _local(number: int, type_name: str, plain=None):
    return _kept[number]


def _get(namespace: dict, name: str) -> dict:
    if name not in namespace:
        return {"missing": name}
    return {"value": encode(namespace[name], _keep)}


def _attribute(namespace: dict, target: int, name: str) -> dict:
    value = getattr(_kept[target], name)
    return {"method": True} if isinstance(value, _ROUTINES) else {"value": encode(value, _keep)}


def _plain(namespace: dict, target: int) -> dict:
    """The plain value that a kept object is as well."""
    value = _kept[target]
    return {"value": _Encoder(_keep, None, False).content(_form(value), value)}


def _next(namespace: dict, target: int, count: int) -> dict:
    """The next items of a kept iterator, at most `count`, no more than come in a moment. "end": these were the last."""
    if target in _raises:
        raise _raises.pop(target)
    encoder, nodes, late = _Encoder(_keep, None, False), [], time.monotonic() + 0.2
    try:
        while len(nodes) < count and encoder.size < AHEAD[1] and (not nodes or time.monotonic() < late):
            nodes.append(encoder(next(_kept[target])))
    except StopIteration:
        return {"value": {"list": nodes}, "end": True}
    except Exception as error:
        if not nodes:
            raise
        _raises[target] = error
    return {"value": {"list": nodes}, "end": False}


def _call(namespace: dict, target: int, method: str | None, args, kwargs) -> dict:
    """Call a kept object, or one of its methods. "after": [which, data] of the arguments that it changed in place."""
    given, function = Given(), _kept[target]
    args, kwargs = decode(args, _local, given, True), decode(kwargs, _local, given, True)
    before = [_state(each) for each in given.objects]
    if method in _OPERATORS:
        function = functools.partial(_OPERATORS[method], function)
    elif method is not None:
        function = getattr(function, method)
    value = function(*args, **kwargs)
    encoder = _Encoder(_keep, given, False)
    changed = [i for i, each in enumerate(given.objects) if not _same(before[i], _state(each))]
    after = [[i, encoder.content(_form(given.objects[i]), given.objects[i])] for i in changed]
    return {"value": encoder(value), "after": after}


def _state(value):
    """What tells whether `value` was changed: of what holds others, which; of an array, its data."""
    if isinstance(value, list | set):
        return list(value)
    if isinstance(value, dict):
        return [part for pair in value.items() for part in pair]
    if str(getattr(value, "dtype", None)) == "object":
        return value.reshape(-1).tolist()
    return _Encoder(None, None, False).content(_form(value), value)


def _same(before, now) -> bool:
    if isinstance(before, list):
        return len(before) == len(now) and all(map(operator.is_, before, now))
    return before == now


def _probe(namespace: dict, source: str, name: str, args, kwargs) -> dict:
    scope: dict = {}
    exec(compile(source, "<probe>", "exec"), scope)
    return {"value": encode(scope[name](*decode(args, _local), **decode(kwargs, _local)))}


_ROUTINES = (
    types.FunctionType,
    types.MethodType,
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)
_OPERATORS = {  # what a stand-in asks for beside calls of methods, as Python does it
    "__len__": len,
    "__bool__": bool,
    "__iter__": iter,
    "__reversed__": reversed,
    "__getitem__": operator.getitem,
    "__setitem__": operator.setitem,
    "__delitem__": operator.delitem,
    "__contains__": operator.contains,
    "__setattr__": setattr,
    "__instancecheck__": lambda kind, value: isinstance(value, kind),
    "__subclasscheck__": lambda kind, other: issubclass(other, kind),
    "__copy__": copy.copy,
    "__deepcopy__": copy.deepcopy,
}
_DO = {
    "get": _get,
    "call": _call,
    "attribute": _attribute,
    "next": _next,
    "plain": _plain,
    "probe": _probe,
    "fresh": _probe,  # the grader sends it to a new kernel
}
