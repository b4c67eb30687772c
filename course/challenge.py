"""The capstone's challenge: what a compressed TinyGPT is worth, measured where nothing but its bytes is left.

`measure` lets a learner's `compress_to_bytes` make the bytes, counts them, and gives them to the learner's `restore` in
a new process that has seen nothing of the notebook and can open no file. What comes back is checked and put into a
TinyGPT, which predicts held-out text. The rules are open. The grader only numbers the 256 byte values otherwise
(`shuffle`), so that the weights which come with the course are of no use to anyone.

The new process refuses what the rules forbid and says so; that is there to be understood, not to withstand an attack.
What withstands is that it judges nothing: it holds the blob and `restore`, in the grader behind walls, and hands out
arrays.
"""

import functools
import hashlib
import re
from typing import NamedTuple

import numpy as np
import torch

from course import GRADING, tinygpt
from course.probe import probe

#: A point each: bits per byte, at most so many more than the same model has in 16 bits.
LEVELS = (1.0, 0.3, 0.12, 0.06, 0.015)
#: Windows of text that the model is measured on.
WINDOWS = 64
#: Points for a file that is short enough and comes back.
FILE_POINTS = 3
#: Seconds for `compress_to_bytes`, and as many for `restore`.
SECONDS = 60


class Result(NamedTuple):
    """What was counted (the blob and the code of `restore`), what is allowed, and the quality before and after."""

    size: int
    limit: int
    bits_per_byte: float
    in_16_bits: float
    #: that compress_to_bytes took.
    seconds: float = 0.0

    @property
    def increase(self) -> float:
        return self.bits_per_byte - self.in_16_bits

    @property
    def points(self) -> int:
        return FILE_POINTS + sum(self.increase <= level for level in LEVELS)

    def __str__(self) -> str:
        return (
            f"challenge: {self.size:,} of {self.limit:,} bytes, {self.bits_per_byte:.4f} bits per byte, "
            f"{self.increase:+.4f} against 16 bits, {self.points} of {FILE_POINTS + len(LEVELS)} points\n"
            f"compress_to_bytes took {self.seconds:.1f} s of {SECONDS:g}"
            + (": on a slower machine that may be too long" if self.seconds > SECONDS / 2 else "")
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
    A function compresses once, and the same bytes are measured once.
    """
    __tracebackhide__ = True
    order = torch.randperm(256, generator=torch.Generator().manual_seed(shuffle)) if shuffle else torch.arange(256)
    state = _state(order)
    calibration = order[tinygpt.windows(tinygpt.training_text(), 32, seed=shuffle)[:, :-1]]
    blob, source, seconds = _file(compress_to_bytes, restore, state, calibration)
    parts = [blob, source.encode(), b"%d %g" % (shuffle, SECONDS)]
    key = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    if key not in _last:
        _last.clear()
        try:
            _last[key] = _measure(blob, source, state, order)._replace(seconds=seconds)
        except AssertionError as error:
            if getattr(error, "lost", False) and not GRADING:  # perhaps the machine's fault, which the grader knows
                raise
            _last[key] = str(error)
    outcome = _last[key]
    if isinstance(outcome, str):
        raise AssertionError(outcome)
    return outcome


#: {digest of the blob, restore's code and the numbering: Result, or why there is none}, of the file measured last. Test
#: cells share a measurement; what has the same digest has the same worth, so nobody gets another file's.
_last: dict[str, Result | str] = {}


def _state(order: torch.Tensor) -> dict[str, torch.Tensor]:
    """TinyGPT's weights in 16 bits, for bytes that are numbered by `order`."""
    state = {name: tensor.half() for name, tensor in tinygpt.tiny_gpt().state_dict().items()}
    for name in ("embedding.weight", "head.weight"):
        state[name] = torch.empty_like(state[name]).index_copy_(0, order, state[name])
    return state


def _file(compress_to_bytes, restore, state, calibration) -> tuple[bytes, str, float]:
    """The blob and the code of `restore`, together short enough and made in time, and the seconds that took."""
    given = hashlib.sha256(state["head.weight"].numpy().tobytes() + calibration.numpy().tobytes()).hexdigest()
    try:
        blob, source, seconds = _compressed(compress_to_bytes, restore, state, calibration, given, SECONDS)
    except Exception as error:
        raise AssertionError(f"compress_to_bytes(model, calibration): {_told(error)}") from None
    assert type(blob) is bytes, f"compress_to_bytes should return bytes, it returned {type(blob).__name__}"
    assert type(source) is str and type(seconds) is float, "restore should be a function that a cell defines with def"
    assert seconds <= SECONDS, f"compress_to_bytes took {seconds:.1f} s; {SECONDS:g} s are allowed"
    source = source.encode(errors="replace").decode()
    code = len(source.encode())
    assert len(blob) + code <= limit(), (
        f"{len(blob):,} bytes and {code:,} of restore's code are {len(blob) + code:,}, and {limit():,} are allowed"
    )
    return blob, source, seconds


def _measure(blob: bytes, source: str, state: dict[str, torch.Tensor], order: torch.Tensor) -> Result:
    try:
        found = _restored(blob, source, 16 * sum(tensor.numel() for tensor in state.values()), SECONDS)
    except Exception as error:
        failure = AssertionError(f"restore(blob) in a new process: {_told(error)}")
        failure.lost = type(error) is RuntimeError  # what a process that ended is told as
        raise failure from None
    restored = _checked(found, state)
    text = tinygpt.judging_text().translate(bytes(order.tolist()))
    after = tinygpt.bits_per_byte(_tiny_gpt(restored), text, WINDOWS)
    assert after < 8, (
        f"what restore returned predicts no better than a guess among all bytes: {after:.2f} bits per byte. "
        "It has to come from the model that compress_to_bytes was given"
    )
    return Result(len(blob) + len(source.encode()), limit(), after, in_16_bits())


@functools.cache
def in_16_bits() -> float:
    """Bits per byte of the model that is compressed; how the byte values are numbered does not matter."""
    return tinygpt.bits_per_byte(_tiny_gpt(_state(torch.arange(256))), tinygpt.judging_text(), WINDOWS)


def _checked(found, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What the new process returned, when it is all of TinyGPT's weights and nothing else. It may have lied."""
    assert type(found) is dict, "restore should return a dict {name: array}"
    for name, tensor in state.items():
        assert name in found, f"restore left out {name}: it returned {', '.join(str(n)[:40] for n in [*found][:5])} ..."
        value, shape = found[name], tuple(tensor.shape)
        assert type(value) is np.ndarray and value.dtype == np.float32, f"restore should return numbers for {name}"
        assert value.shape == shape, f"restore returned {name} with shape {value.shape}; it should have {shape}"
        assert np.isfinite(value).all(), f"restore returned NaN or infinity in {name}"
    unknown = sorted(set(map(str, found)) - set(state))
    assert not unknown, f"restore returned {unknown[0][:40]}, which TinyGPT does not have"
    return {name: torch.tensor(value) for name, value in found.items()}


def _tiny_gpt(state: dict[str, torch.Tensor]) -> tinygpt.TinyGPT:
    model = tinygpt.TinyGPT()
    model.load_state_dict(state)
    return model.eval()


def _told(error: Exception) -> str:
    where = getattr(error, "answer_line", "")
    text = re.sub(r"\s+", " ", str(error))[:500]
    if isinstance(error, TimeoutError):
        text = f"{text.replace('_restored', 'restore')}; {SECONDS:g} s are allowed"
    return f"{type(error).__name__}: {text}" + (f" (your code, {where})" if where else "")


@probe
def _compressed(compress_to_bytes, restore, state, calibration, given, allowed):
    """The bytes, the source of restore, and the seconds it took. The function keeps the bytes for the next test cell.

    given: a digest of what the bytes are made from.
    """
    import contextlib
    import time

    from course.probe import source_of
    from course.tinygpt import TinyGPT

    kept = getattr(compress_to_bytes, "_made", {})
    if given not in kept:
        model = TinyGPT()
        model.load_state_dict(state)
        began = time.monotonic()
        try:
            made = compress_to_bytes(model.eval(), calibration)
        except KeyboardInterrupt:
            if time.monotonic() - began < 0.9 * allowed:  # by hand
                raise
            made = None
        kept = {given: (made, time.monotonic() - began)}
        with contextlib.suppress(AttributeError, TypeError):  # what cannot keep them compresses each time
            compress_to_bytes._made = kept
    blob, seconds = kept[given]
    if blob is None and seconds >= 0.9 * allowed:
        raise TimeoutError(f"compress_to_bytes was interrupted after {seconds:.1f} s")
    if type(blob) is not bytes:
        raise TypeError(f"it should return bytes, it returned {type(blob).__name__}")
    try:
        return blob, source_of(restore), seconds
    except (OSError, TypeError, StopIteration):
        raise ValueError("restore should be a function that a cell defines with def") from None


@probe(fresh=True, seconds=SECONDS + 30)  # to start and import takes some seconds, too
def _restored(blob, source, most, seconds):
    """{name: float32 array} that the function in `source` makes of `blob`: at most `most` bytes, in so many seconds.

    It imports nothing of the course, which is not there in the grader.
    """
    import builtins
    import contextlib
    import importlib
    import io
    import math
    import os
    import re
    import signal
    import sys
    import threading
    import time
    import warnings

    library = [
        *("array", "base64", "binascii", "bisect", "bz2", "codecs", "collections", "contextlib", "copy", "decimal"),
        *("enum", "fractions", "functools", "gzip", "hashlib", "heapq", "io", "itertools", "json", "lzma", "math"),
        *("numbers", "operator", "random", "re", "statistics", "string", "struct", "time", "typing", "warnings"),
        *("zipfile", "zlib", "numpy", "safetensors.numpy", "safetensors.torch", "torch"),
    ]
    packages = {name.partition(".")[0] for name in library}
    for name in (*library, "numpy.fft", "numpy.ma", "numpy.random"):  # the last three NumPy loads late
        importlib.import_module(name)
    np, torch = sys.modules["numpy"], sys.modules["torch"]
    code_runs = ("exec", "compile", "marshal.load", "marshal.loads", "code.__new__", "function.__new__")
    reaches_out = ("os.", "subprocess.", "socket.", "ctypes.", "mmap.", "fcntl.", "shutil.", "sqlite3.", "_thread.")
    blob_only = "all it may use is the blob"
    a_pickle = "a pickle can run code when it is loaded; store plain bytes"
    watched = []  # the thread in which restore runs
    code = compile(source, "<restore>", "exec")
    parses = importlib.import_module("ast").parse.__code__

    def warm_up():
        """What PyTorch and NumPy load when they are first used, they must have loaded before files are out of reach."""
        saved = io.BytesIO()
        torch.save({"a": torch.ones(9, 9, dtype=torch.float16)}, saved)
        a = torch.load(io.BytesIO(saved.getvalue()), weights_only=True)["a"]
        for dtype in (torch.float32, torch.float64):
            torch.linalg.svd(a.to(dtype) @ torch.from_numpy(np.ones((9, 9), np.int8)).to(dtype))
        (a.bfloat16() + 1).float().round().sort()
        torch.einsum("ij,jk->ik", a.float(), a.float())
        arrays = io.BytesIO()
        np.savez_compressed(arrays, a=np.ones(3))
        np.load(io.BytesIO(arrays.getvalue()))["a"]

    def watch(event, args):
        """Refuse, in words, what the rules forbid."""
        if threading.get_ident() not in watched:
            return
        if event == "open":
            raise PermissionError(f"restore opens {args[0]!r}: {blob_only}")
        if event == "import":
            raise ImportError(f"restore imports {args[0]}, which is not loaded: it may import {', '.join(library)}")
        if event == "pickle.find_class":
            raise PermissionError(f"restore unpickles {args[0]}.{args[1]}: {a_pickle}")
        if event in code_runs:
            if (event == "exec" and args[0] is code) or (event == "compile" and sys._getframe(1).f_code is parses):
                return  # restore itself; and NumPy reads the head of its files as a literal
            raise PermissionError(
                f"restore makes code that it did not bring along ({event}), as exec, eval and named tuples do: "
                "the blob may hold data only"
            )
        if event.startswith(reaches_out):
            raise PermissionError(f"restore uses {event}: {blob_only}")

    @contextlib.contextmanager
    def no_pickles():
        """Plain numbers in a pickle name no class, so `watch` would not hear of them."""

        class Refused:
            def __new__(cls, *_, **__):
                raise PermissionError(f"restore unpickles: {a_pickle}")

            __init_subclass__ = __new__  # PyTorch derives an unpickler of its own

        doors = [
            (module, name)
            for module in (sys.modules["pickle"], sys.modules["_pickle"])
            for name in ("load", "loads", "Unpickler", "_load", "_loads", "_Unpickler")
            if hasattr(module, name)
        ]
        before = [getattr(*door) for door in doors]
        for door in doors:
            setattr(*door, Refused)
        try:
            yield
        finally:
            for door, kept in zip(doors, before, strict=True):
                setattr(*door, kept)

    def listed(name, globals=None, locals=None, fromlist=(), level=0):
        by_native_code = isinstance(fromlist, list)  # NumPy's and PyTorch's own; `import` gives a tuple or None
        if level or not (by_native_code or name.partition(".")[0] in packages):
            why = a_pickle if "pickle" in name else f"it may import {', '.join(library)}"
            raise ImportError(f"restore imports {name}: {why}")
        return builtins.__import__(name, globals, locals, fromlist, level)

    @contextlib.contextmanager
    def no_more_files():
        """All numbers for open files are taken, so native code opens none; a limit of 0 would also stop the kernel."""
        try:
            import resource
        except ImportError:  # Windows
            yield
            return
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        few = 256 if before[0] < 0 else min(256, before[0])  # below 0: any number
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, before[1]))
        taken = []
        try:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            for number in taken:
                with contextlib.suppress(OSError):
                    os.close(number)

    def too_late(*_):
        raise TimeoutError(f"restore took {time.monotonic() - began:.1f} s")

    @contextlib.contextmanager
    def stopped_in_time():
        """Interrupted again and again, for restore may catch what is raised."""
        if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, too_late)
        signal.setitimer(signal.ITIMER_REAL, seconds, 1)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def numbers(found):
        if not isinstance(found, dict):
            raise TypeError(f"it should return a dict {{name: array}}, it returned {type(found).__name__}")
        arrays, size = {}, 0
        for name, value in found.items():
            value = value if isinstance(value, torch.Tensor) else np.asarray(value)
            size += 4 * math.prod(value.shape)
            if size > most:
                raise ValueError(f"it returned more than {most:,} bytes of numbers")
            arrays[str(name)] = np.array(torch.as_tensor(value).detach().float().numpy())
        return arrays

    torch.set_num_threads(1)
    sys.addaudithook(watch)
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        warm_up()
        scope = {"np": np, "numpy": np, "torch": torch, "__name__": "restore"}
        scope["__builtins__"] = {**vars(builtins), "__import__": listed}
        began = time.monotonic()
        try:
            with no_more_files(), no_pickles(), stopped_in_time():
                watched.append(threading.get_ident())
                try:
                    exec(code, scope)
                    found = numbers(scope[re.search(r"def\s+(\w+)", source)[1]](blob))
                finally:
                    watched.clear()
            if time.monotonic() - began > seconds:
                too_late()
            return found
        except NameError as error:
            raise NameError(f"{error}; restore must stand alone: bring what it uses into it") from None
        except KeyboardInterrupt:
            too_late()
        except SystemExit:
            raise RuntimeError("restore ended its process") from None
        except Exception as error:
            if isinstance(error, (OSError, RuntimeError)) and re.search("No such file|Too many open files", str(error)):
                raise PermissionError(f"{error}: restore opens a file, and {blob_only}") from None
            raise
