"""What crosses the border between the learner's kernel and the test kernel, as JSON: plain data, and handles.

Plain data are None, bool, int, float, str, bytes, lists, tuples, dicts, slices, NumPy arrays and scalars, and torch
tensors, each of exactly that type. Everything else stays where it is and crosses as a handle, a number. Nothing is
pickled and nothing that comes back is evaluated.

This one file runs on both sides. In the learner's kernel `serve` answers requests; there the learner may have changed
anything, so the other side believes nothing but the data: an answer that lies is a wrong answer.
"""

import base64
import builtins
import json
import sys

REPLY = "text/x-course-reply"  # the type of the message that carries a reply
LIMIT = 64 * 2**20  # characters of one message

_kept: dict[int, object] = {}  # the learner's objects that handles stand for


class Handle:
    """An object of the other side, by number; `autograder.grading.standins` gives it its manners."""

    def __init__(self, number: int, type_name: str = "object"):
        self.number, self.type_name = number, type_name


def encode(value, keep=None):
    """`value` as JSON-able data. keep: called with an object that is not plain data, returns its handle's number."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind in (list, tuple):
        return {kind.__name__: [encode(item, keep) for item in value]}
    if kind is dict:
        return {"dict": [[encode(key, keep), encode(item, keep)] for key, item in value.items()]}
    if kind is slice:
        return {"slice": [encode(part, keep) for part in (value.start, value.stop, value.step)]}
    if kind is bytes:
        return {"bytes": base64.b64encode(value).decode()}
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    numbers = numpy and (kind is numpy.ndarray or (issubclass(kind, numpy.generic) and kind.__module__ == "numpy"))
    if numbers and value.dtype.kind in "biufc":
        data = base64.b64encode(numpy.ascontiguousarray(value).tobytes()).decode()
        return {"array" if kind is numpy.ndarray else "scalar": [value.dtype.str, list(value.shape), data]}
    if torch and kind in (torch.Tensor, torch.nn.Parameter) and value.layout is torch.strided:
        flat = value.detach().cpu().contiguous().reshape(-1)
        data = base64.b64encode(flat.view(torch.uint8).numpy().tobytes()).decode()
        return {"tensor": [str(value.dtype).removeprefix("torch."), list(value.shape), data]}
    if isinstance(value, Handle):
        return {"handle": [value.number, value.type_name]}
    if keep is None:
        raise TypeError(f"{kind.__name__} is not plain data and cannot cross to the answer's process: use a probe")
    return {"handle": [keep(value), kind.__name__]}


def decode(data, handle=Handle):
    """The value that `encode` made `data` from. handle: makes the stand-in for an object of the other side."""
    if data is None or isinstance(data, bool | int | float | str):
        return data
    ((kind, content),) = data.items()
    if kind == "list":
        return [decode(item, handle) for item in content]
    if kind == "tuple":
        return tuple(decode(item, handle) for item in content)
    if kind == "dict":
        return {decode(key, handle): decode(item, handle) for key, item in content}
    if kind == "slice":
        return slice(*(decode(part, handle) for part in content))
    if kind == "bytes":
        return base64.b64decode(content)
    if kind in ("array", "scalar"):
        import numpy

        dtype, shape, raw = content
        if numpy.dtype(dtype).kind not in "biufc":
            raise ValueError(f"dtype {dtype!r} is no plain data")
        array = numpy.frombuffer(base64.b64decode(raw), dtype).reshape([int(n) for n in shape]).copy()
        return array if kind == "array" else array[()]
    if kind == "tensor":
        import torch

        dtype, shape, raw = content
        torch_dtype = getattr(torch, str(dtype))
        if not isinstance(torch_dtype, torch.dtype):
            raise ValueError(f"dtype {dtype!r} is no tensor's")
        flat = torch.frombuffer(bytearray(base64.b64decode(raw)) or bytearray(1), dtype=torch.uint8)
        return (flat.view(torch_dtype) if raw else torch.empty(0, dtype=torch_dtype)).reshape([int(n) for n in shape])
    if kind == "handle":
        number, type_name = content
        return handle(int(number), str(type_name))
    raise ValueError(f"{kind!r} is no kind of plain data")


def serve(text: str, namespace: dict) -> str:
    """In the learner's kernel: answer one request, such as {"do": "get", "name": "ex_1_1"}, as JSON text."""
    try:
        request = json.loads(text)
        reply = json.dumps(_DO[request.pop("do")](namespace, **request))
        if len(reply) > LIMIT:
            raise ValueError(f"the answer returned more than {LIMIT >> 20} MiB")
        return reply
    except BaseException as error:
        return json.dumps({"error": describe(error)})


def publish(text: str) -> None:
    """In the learner's kernel: `serve`, with the reply as a displayed message that the grader reads."""
    from IPython import get_ipython

    shell = get_ipython()
    shell.display_pub.publish({REPLY: serve(text, shell.user_ns)})


def describe(error: BaseException) -> list:
    """[nearest built-in type's name, message, "line N: code" of the last line that a notebook's cell ran]."""
    import traceback

    kind = next(k.__name__ for k in type(error).__mro__ if getattr(builtins, k.__name__, None) is k)
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if "ipykernel_" in frame.filename and "_border" not in (frame.line or ""):
            where = f"line {frame.lineno} of {frame.name}: {frame.line}"
    return [kind, str(error)[:2000], where[:500]]


def _keep(value) -> int:
    _kept[id(value)] = value
    return id(value)


def _local(number: int, type_name: str):
    return _kept[number]


def _get(namespace: dict, name: str) -> dict:
    if name not in namespace:
        return {"missing": name}
    return {"value": encode(namespace[name], _keep)}


def _call(namespace: dict, target: int, method: str | None, args, kwargs) -> dict:
    """Call a kept object, or one of its methods. "after": what plain arguments look like then, for they may change."""
    function = _kept[target] if method is None else getattr(_kept[target], method)
    given, named = decode(args, _local), decode(kwargs, _local)
    value = encode(function(*given, **named), _keep)
    return {"value": value, "after": encode([given, named], _keep)}


def _probe(namespace: dict, source: str, name: str, args, kwargs) -> dict:
    scope: dict = {}
    exec(compile(source, "<probe>", "exec"), scope)
    return {"value": encode(scope[name](*decode(args, _local), **decode(kwargs, _local)))}


_DO = {"get": _get, "call": _call, "probe": _probe, "fresh": _probe}  # the grader sends "fresh" to a new kernel
