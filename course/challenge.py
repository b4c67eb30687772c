"""The capstone's challenge: what a compressed TinyGPT is worth, measured where nothing but its bytes is left.

`measure` lets a learner's `compress_to_bytes` make the bytes, counts them, and gives them to the learner's `restore` in
a new process that has seen nothing of the notebook and can open no file. What comes back is checked and put into a
TinyGPT, which predicts held-out text. The rules are open. The grader only numbers the 256 byte values otherwise
(`shuffle`), so that the weights which come with the course are of no use to anyone.
"""

import re
import secrets
from typing import NamedTuple

import numpy as np
import torch

from course import tinygpt
from course.probe import probe

#: A point each: bits per byte, at most so many more than the same model has in 16 bits.
LEVELS = (1.0, 0.3, 0.12, 0.06, 0.03)
#: Points for a file that is short enough and comes back.
FILE_POINTS = 3


class Result(NamedTuple):
    """What was counted (the blob and the code of `restore`), what is allowed, and the quality before and after."""

    size: int
    limit: int
    bits_per_byte: float
    in_16_bits: float

    @property
    def increase(self) -> float:
        return self.bits_per_byte - self.in_16_bits

    @property
    def points(self) -> int:
        return FILE_POINTS + sum(self.increase <= level for level in LEVELS)

    def __str__(self) -> str:
        return (
            f"challenge: {self.size:,} of {self.limit:,} bytes, {self.bits_per_byte:.4f} bits per byte, "
            f"{self.increase:+.4f} against 16 bits, {self.points} of {FILE_POINTS + len(LEVELS)} points"
        )

    def reaches(self, level: float) -> None:
        """Raise AssertionError where the increase is above `level`."""
        __tracebackhide__ = True
        assert self.increase <= level, (
            f"your file has {self.increase:.3f} bits per byte more than 16 bits have; this point needs {level} or less"
        )


def limit() -> int:
    """A quarter of the bytes of TinyGPT's 16-bit file."""
    return tinygpt.WEIGHTS.stat().st_size // 4


def measure(compress_to_bytes, restore, shuffle: int = 0) -> Result:
    """Measure a compressor; raises AssertionError that says why when its file is worth nothing.

    shuffle: seed of another numbering of the byte values, in the model and in all text; 0 leaves them as they are.
    The same two functions are measured once.
    """
    __tracebackhide__ = True
    new = secrets.token_hex(16)
    label = _label(compress_to_bytes, restore, new)
    if label not in _issued:  # the new one, or one that was made up
        label = new
    _issued.add(label)
    key = label, shuffle
    if key not in _outcomes:
        try:
            _outcomes[key] = _measure(compress_to_bytes, restore, shuffle)
        except AssertionError as error:
            _outcomes[key] = str(error)
    outcome = _outcomes[key]
    if isinstance(outcome, str):
        raise AssertionError(outcome)
    return outcome


#: Random words, each carried by one pair of functions: test cells share a measurement, and nobody gets another's.
_issued: set[str] = set()
#: {(label, shuffle): Result, or why there is none}.
_outcomes: dict[tuple[str, int], Result | str] = {}


def _measure(compress_to_bytes, restore, shuffle: int) -> Result:
    order = torch.randperm(256, generator=torch.Generator().manual_seed(shuffle)) if shuffle else torch.arange(256)
    state = {name: tensor.half() for name, tensor in tinygpt.tiny_gpt().state_dict().items()}
    for name in ("embedding.weight", "head.weight"):
        state[name] = torch.empty_like(state[name]).index_copy_(0, order, state[name])
    calibration = order[tinygpt.windows(tinygpt.training_text(), 32, seed=shuffle)[:, :-1]]
    text = tinygpt.held_out().translate(bytes(order.tolist()))

    try:
        blob, source = _compressed(compress_to_bytes, restore, state, calibration)
    except Exception as error:
        raise AssertionError(f"compress_to_bytes(model, calibration): {_told(error)}") from None
    assert type(blob) is bytes, f"compress_to_bytes should return bytes, it returned {type(blob).__name__}"
    assert type(source) is str, "restore should be a function that a cell defines with def"
    size = len(blob) + len(source.encode())
    assert size <= limit(), (
        f"{len(blob):,} bytes and {len(source.encode()):,} of restore's code are {size:,}, and {limit():,} are allowed"
    )

    try:
        found = _restored(blob, source, 16 * sum(tensor.numel() for tensor in state.values()))
    except Exception as error:
        raise AssertionError(f"restore(blob) in a new process: {_told(error)}") from None
    assert type(found) is dict, "restore should return a dict {name: array}"
    for name, tensor in state.items():
        assert name in found, f"restore left out {name}: it returned {', '.join(map(str, list(found)[:5]))} ..."
        value, shape = found[name], tuple(tensor.shape)
        assert isinstance(value, np.ndarray), f"restore should return numbers for {name}"
        assert value.shape == shape, f"restore returned {name} with shape {value.shape}; it should have {shape}"
        assert np.isfinite(value).all(), f"restore returned NaN or infinity in {name}"
    unknown = sorted(set(map(str, found)) - set(state))
    assert not unknown, f"restore returned {unknown[0]}, which TinyGPT does not have"

    before, after = (
        tinygpt.bits_per_byte(_tiny_gpt(weights), text)
        for weights in (state, {name: torch.from_numpy(value) for name, value in found.items()})
    )
    assert after < 8, (
        f"what restore returned predicts no better than a guess among all bytes: {after:.2f} bits per byte. "
        "It has to come from the model that compress_to_bytes was given"
    )
    return Result(size, limit(), after, before)


def _tiny_gpt(state: dict[str, torch.Tensor]) -> tinygpt.TinyGPT:
    model = tinygpt.TinyGPT()
    model.load_state_dict(state)
    return model.eval()


def _told(error: Exception) -> str:
    where = getattr(error, "answer_line", "")
    text = re.sub(r"\s+", " ", str(error))[:500]
    return f"{type(error).__name__}: {text}" + (f" (your code, {where})" if where else "")


@probe
def _label(compress_to_bytes, restore, new):
    """The label that both functions carry; where they do not, they get the new one."""
    import contextlib

    labels = {getattr(function, "_measured_as", None) for function in (compress_to_bytes, restore)}
    if len(labels) == 1 and type(label := labels.pop()) is str:
        return label
    for function in (compress_to_bytes, restore):
        with contextlib.suppress(AttributeError, TypeError):  # what cannot carry a label is measured each time
            function._measured_as = new
    return new


@probe
def _compressed(compress_to_bytes, restore, state, calibration):
    """The bytes, and the source of restore."""
    from course.probe import source_of
    from course.tinygpt import TinyGPT

    model = TinyGPT()
    model.load_state_dict(state)
    blob = compress_to_bytes(model.eval(), calibration)
    if type(blob) is not bytes:
        raise TypeError(f"it should return bytes, it returned {type(blob).__name__}")
    try:
        return blob, source_of(restore)
    except (OSError, TypeError, StopIteration):
        raise ValueError("restore should be a function that a cell defines with def") from None


@probe(fresh=True)
def _restored(blob, source, most):
    """{name: float32 array} that the function in `source` makes of `blob`; at most `most` bytes.

    It runs in a fork that cannot open a file any more. Its limit of open files is 0, which binds native code as well;
    the audit hook is there to say clearly what was refused. What it returns comes through a pipe as plain numbers.
    """
    import importlib
    import io
    import json
    import os
    import re
    import signal
    import sys
    import warnings

    library = [
        *("array", "base64", "binascii", "bisect", "bz2", "collections", "copy", "functools", "gzip", "hashlib"),
        *("heapq", "io", "itertools", "json", "lzma", "math", "operator", "random", "re", "struct", "typing", "zlib"),
        *("numpy", "safetensors.numpy", "safetensors.torch", "torch"),
    ]
    for name in library:
        importlib.import_module(name)
    np, torch = sys.modules["numpy"], sys.modules["torch"]

    def warm_up():
        """What PyTorch loads and looks up when it is first used, it must have done before files are out of reach."""
        saved = io.BytesIO()
        torch.save({"a": torch.ones(9, 9, dtype=torch.float16)}, saved)
        a = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)["a"]
        for dtype in (torch.float32, torch.float64):
            torch.linalg.svd(a.to(dtype) @ torch.from_numpy(np.ones((9, 9), np.int8)).to(dtype))
        (a.bfloat16() + 1).float().round().sort()

    def watch(event, args):
        if event == "open":
            raise PermissionError(f"restore opens {args[0]!r}: all it may use is the blob")
        if event == "pickle.find_class":
            raise PermissionError(
                f"restore unpickles {args[0]}.{args[1]}: a pickle can run code when it is loaded; store plain bytes"
            )
        if event in ("exec", "compile", "marshal.loads") and sys._getframe(1).f_code.co_filename == "<restore>":
            raise PermissionError("restore runs code that it did not bring along: the blob may hold data only")
        if event == "import":
            raise ImportError(f"restore imports {args[0]}: it may import {', '.join(library)}")

    def answer():
        """A line of JSON and the numbers behind it."""
        try:
            torch.set_num_threads(1)
            warnings.simplefilter("ignore")
            warm_up()
            sys.stdout = sys.stderr = io.StringIO()
            try:
                import resource
            except ImportError:  # Windows has the hook only
                resource = None
            scope = {"np": np, "numpy": np, "torch": torch}
            code = compile(source, "<restore>", "exec")
            sys.addaudithook(watch)
            if resource and hasattr(os, "fork"):
                resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
            exec(code, scope)
            found = scope[re.search(r"def\s+(\w+)", source)[1]](blob)
            if not isinstance(found, dict):
                raise TypeError(f"it should return a dict {{name: array}}, it returned {type(found).__name__}")
            arrays = {str(n): torch.as_tensor(value).detach().float().contiguous() for n, value in found.items()}
            head = [[name, list(array.shape)] for name, array in arrays.items()]
            return json.dumps(head).encode() + b"\n" + b"".join(array.numpy().tobytes() for array in arrays.values())
        except NameError as error:
            said = ["NameError", f"{error}; restore must stand alone: bring what it uses into it"]
        except BaseException as error:
            said = [type(error).__name__, str(error)]
        return json.dumps(said).encode() + b"\n"

    if hasattr(os, "fork"):
        reader, writer = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            child = os.fork()
        if child == 0:
            try:
                data = memoryview(answer())
                while data:
                    data = data[os.write(writer, data) :]
            finally:
                os._exit(0)
        os.close(writer)
        data = bytearray()
        try:
            while len(data) <= most and (piece := os.read(reader, 1 << 20)):
                data += piece
        finally:
            os.close(reader)
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    else:
        data = answer()
    if len(data) > most:
        raise ValueError(f"it returned more than {most:,} bytes of numbers")
    head, _, body = bytes(data).partition(b"\n")
    if not head:
        raise RuntimeError("it ended its process")
    head = json.loads(head)
    if head and isinstance(head[0], str):
        kind, message = head
        kind = {"TypeError": TypeError, "ValueError": ValueError, "NameError": NameError}.get(kind, RuntimeError)
        raise kind(message)
    found, start = {}, 0
    for name, shape in head:
        stop = start + 4 * int(np.prod(shape, dtype=np.int64))
        found[str(name)] = np.frombuffer(body[start:stop], np.float32).reshape(shape).copy()
        start = stop
    return found
