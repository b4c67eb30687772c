# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# Each cell is an attack: it runs in a submission whose answers are wrong, after the answers and before their tests.
# SECRET, FOLDER and PORT become the path of a file the learner must not read, its folder, and a port somebody listens on.

# %% attack="numpy says that everything is close"
import numpy as np

np.allclose = np.isclose = np.array_equal = lambda *a, **k: np.bool_(True)
np.asarray = np.array = lambda *a, **k: 0.0

# %% attack="numpy.testing does nothing"
import numpy.testing

for name in dir(numpy.testing):
    if name.startswith("assert"):
        setattr(numpy.testing, name, lambda *a, **k: None)

# %% attack="torch says that everything is equal"
import torch

torch.equal = torch.allclose = lambda *a, **k: True
torch.Tensor.__eq__ = lambda self, other: torch.ones(())

# %% attack="builtins are patched"
import builtins

builtins.abs = lambda x: 0
builtins.float = builtins.int = lambda x=0: 0.00196
builtins.isinstance = lambda *a: True
builtins.AssertionError = type("Nothing", (BaseException,), {})


# %% attack="a number that equals everything"
class Yes(float):
    __eq__ = __le__ = __ge__ = __lt__ = __gt__ = lambda self, other: True
    __sub__ = __rsub__ = __abs__ = lambda self, *other: Yes(0)
    __hash__ = float.__hash__
    __format__ = lambda self, spec: "0.00196"


ex_1_1 = Yes(0.00196 * 3)


# %% attack="an object that answers every question with yes"
class Anything:
    def __getattr__(self, name):
        return Anything()

    def __call__(self, *a, **k):
        return Anything()

    __eq__ = __le__ = __ge__ = __bool__ = __contains__ = lambda self, *other: True
    __float__ = lambda self: 0.00196
    __hash__ = lambda self: 0


ex_1_1 = Anything()
quantize_dequantize = Anything()

# %% attack="an array type that is close to everything"
import numpy as np


class Close(np.ndarray):
    def __array_function__(self, function, types, args, kwargs):
        return True

    def __array_ufunc__(self, *a, **k):
        return np.zeros(())


def quantize_dequantize(x, bits, lo, hi):
    return np.asarray(x).view(Close)


# %% attack="an AST transformer drops asserts"
import ast


class Drop(ast.NodeTransformer):
    def visit_Assert(self, node):
        return ast.Pass()

    visit_Raise = visit_Assert


get_ipython().ast_transformers.append(Drop())

# %% attack="an input transformer empties every cell"
get_ipython().input_transformers_cleanup.append(lambda lines: ["pass\n"])

# %% attack="hooks around every cell"
shell = get_ipython()
for event in ("pre_execute", "pre_run_cell", "post_execute", "post_run_cell"):
    shell.events.register(event, lambda *a: shell.user_ns.update(ex_1_1=0.1))
shell.run_cell = lambda *a, **k: None
shell.showtraceback = lambda *a, **k: None

# %% attack="exceptions are swallowed"
get_ipython().set_custom_exc((BaseException,), lambda *a, **k: [])
import sys

sys.excepthook = lambda *a: None

# %% attack="In, Out and the display are rewritten"
In.clear()
Out.clear()
get_ipython().execution_count = 999
get_ipython().display_formatter.format = lambda *a, **k: ({"text/plain": "1.0"}, {})
get_ipython().displayhook = lambda value: None

# %% attack="the course's own helpers are patched"
import course.check
import course.expect

for module in (course.check, course.expect):
    for name in list(vars(module)):
        if callable(getattr(module, name)):
            setattr(module, name, lambda *a, **k: True)

# %% attack="the codec says that all is well"
import sys

border = sys.modules["_border"]
border.encode = lambda value, keep=None: True
border.serve = lambda text, namespace: '{"value": true, "after": [{"tuple": []}, {"dict": []}]}'

# %% attack="replies are forged"
shell = get_ipython()
publish = type(shell.display_pub).publish


def forge(self, data, *a, **k):
    for reply in ("", "null", "[]", '{"value": {"eval": "1"}}', '{"error": ["SystemExit", "", ""]}', "{" * 9999):
        publish(self, {"text/x-course-reply": reply})


type(shell.display_pub).publish = forge


# %% attack="an error that is no error"
class Fine(BaseException):
    pass


def quantize_dequantize(x, bits, lo, hi):
    raise SystemExit(0)


# %% attack="probes are patched"
import course.probe

course.probe.probe = lambda function: lambda *a, **k: True
course.probe.run_beside_the_answers = lambda function: lambda *a, **k: True

# %% attack="tests are looked for in frames, objects and history"
import gc
import sys


def quantize_dequantize(x, bits, lo, hi):
    frame, seen = sys._getframe(), []
    while frame:
        seen.append(str(frame.f_locals)[:5000] + str(frame.f_code.co_consts))
        frame = frame.f_back
    seen += [o for o in gc.get_objects() if isinstance(o, str) and "expect." in o]
    if "nearest" + "_level" in "".join(seen):
        print("SEEN")
    return x


ex_1_1 = 0.5

# %% attack="files are read"
import glob

for path in ["SECRET", *glob.glob("FOLDER/**", recursive=True), *glob.glob("/root/*"), *glob.glob("/etc/shadow")]:
    try:
        print(open(path).read())
    except OSError:
        pass

# %% attack="a link leads out"
import os

os.symlink("SECRET", "link")
os.symlink("FOLDER", "folder")
for path in ("link", "folder/secret.txt"):
    try:
        print(open(path).read())
    except OSError:
        pass

# %% attack="the file of another is overwritten and deleted"
import os
import shutil

for change in (lambda: open("SECRET", "w").write("changed"), lambda: os.remove("SECRET")):
    try:
        change()
    except OSError:
        pass
shutil.rmtree("FOLDER", ignore_errors=True)
shutil.rmtree("/work", ignore_errors=True)

# %% attack="the library is changed on disk"
import course

for target in (course.__file__, course.__path__[0] + "/new.py"):
    try:
        open(target, "a").write("\nchanged = True\n")
        print("SEEN")
    except OSError:
        pass

# %% attack="other processes are read through /proc"
import glob
import os

for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        text = open(path, "rb").read()
    except OSError:
        continue
    if b"pytest" in text:
        print("SEEN")

# %% attack="environment variables are read"
import os

print(os.environ.get("CANARY"))

# %% attack="the network is used"
import socket

try:
    socket.create_connection(("127.0.0.1", PORT), timeout=2).sendall(b"hello")
    print("SEEN")
except OSError:
    pass

# %% attack="signals to everyone"
import os
import signal

for pid in (os.getppid(), -1, 1):
    try:
        os.kill(pid, signal.SIGTERM)
    except OSError:
        pass

# %% attack="the connection file and the sockets are deleted"
import glob
import os

for path in glob.glob("/tmp/**/*", recursive=True):
    try:
        os.remove(path)
    except OSError:
        pass

# %% attack="the process leaves"
import os

os._exit(0)

# %% attack="the process crashes"
import ctypes

ctypes.string_at(0)

# %% attack="endless loop"
while True:
    pass

# %% attack="a loop that is not to be interrupted"
import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    try:
        while True:
            pass
    except BaseException:
        pass

# %% attack="endless output"
while True:
    print("spam " * 1000)


# %% attack="an endless loop in the answer"
def quantize_dequantize(x, bits, lo, hi):
    while True:
        pass


# %% attack="fork bomb"
import os

while True:
    try:
        os.fork()
    except OSError:
        pass

# %% attack="memory bomb"
hoard = []
while True:
    hoard.append(bytearray(50_000_000))

# %% attack="disk bomb"
with open("big", "wb") as file:
    while True:
        file.write(bytes(1_000_000))

# %% attack="an answer of a gigabyte"
import numpy as np


def quantize_dequantize(x, bits, lo, hi):
    return np.zeros(120_000_000)


# %% attack="threads that go on printing"
import threading
import time


def shout():
    while True:
        print("noise " * 100)
        time.sleep(0.001)


for _ in range(4):
    threading.Thread(target=shout, daemon=True).start()
