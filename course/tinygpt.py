"""TinyGPT: a byte-level GPT of 0.85 million parameters that has read the Python standard library.

It is the smallest language model on which the course's methods show what they do. Its weights come with the course,
and its training text comes with Python, so nothing is downloaded. The text differs a little between Python versions,
and so do all numbers measured on it. `python -m course.tinygpt` trains it again.
"""

import functools
import hashlib
import math
import os
import sysconfig
import zlib
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

CONTEXT = 128  # bytes the model sees at once
AT_ONCE = 16  # windows in one pass; with 64, what layers hand on outgrows the caches: 1.5 times the time
WIDTH = 128
LAYERS = 4
HEADS = 4
WEIGHTS = Path(__file__).with_name("tinygpt.safetensors")

# Not code that people wrote to be read: tests, other packages, near-copies of one table, what the build generated.
LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "encodings", "pydoc_data"}
HELD_OUT_EVERY = 10
# Held-out files that every Python brings along and no process needs to run.
JUDGING = ("doctest.py", "http/server.py", "modulefinder.py", "sched.py", "symtable.py", "wsgiref/handlers.py")
JUDGING += ("xmlrpc/client.py",)


class Attention(nn.Module):
    """Causal self-attention with rotary positions (Su et al., 2021, arXiv:2104.09864)."""

    def __init__(self):
        super().__init__()
        self.q = nn.Linear(WIDTH, WIDTH, bias=False)
        self.k = nn.Linear(WIDTH, WIDTH, bias=False)
        self.v = nn.Linear(WIDTH, WIDTH, bias=False)
        self.out = nn.Linear(WIDTH, WIDTH, bias=False)
        half = WIDTH // HEADS // 2
        angles = torch.outer(torch.arange(CONTEXT), 10_000.0 ** -(torch.arange(half) / half))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, t, width = x.shape
        q, k, v = (layer(x).view(batch, t, HEADS, -1).transpose(1, 2) for layer in (self.q, self.k, self.v))
        mixed = functional.scaled_dot_product_attention(self.rotate(q), self.rotate(k), v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, t, width))

    def rotate(self, x: torch.Tensor) -> torch.Tensor:
        """Turn each pair of features of x (batch, heads, t, features) by an angle that grows with its position."""
        cos, sin = self.cos[: x.shape[2]], self.sin[: x.shape[2]]
        a, b = x.chunk(2, dim=-1)
        return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class MLP(nn.Module):
    """Two layers with a squared ReLU between them (So et al., 2021, arXiv:2109.08668)."""

    def __init__(self):
        super().__init__()
        self.up = nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.down = nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down(functional.relu(self.up(x)).square())


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH, bias=False)
        self.attention = Attention()
        self.mlp_norm = nn.LayerNorm(WIDTH, bias=False)
        self.mlp = MLP()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class TinyGPT(nn.Module):
    """From bytes (batch, t), t at most 128, to logits of each next byte (batch, t, 256)."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(256, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        self.head = nn.Linear(WIDTH, 256, bias=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        if tokens.shape[1] > CONTEXT:
            raise ValueError(f"tokens must be at most {CONTEXT} long, got {tokens.shape[1]}")
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def linears(model: TinyGPT) -> dict[str, nn.Linear]:
    """The weight matrices that people compress, by name: all linear layers of the blocks, not the head."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear) and name != "head"}


def tiny_gpt() -> TinyGPT:
    """A fresh copy of the trained model, in float32, ready to evaluate."""
    model = TinyGPT()
    model.load_state_dict(_state(WEIGHTS))
    return model.eval()


def save(model: TinyGPT, path: Path = WEIGHTS) -> None:
    """Write the weights as float16, with a digest by which `load` knows them again."""
    from safetensors.torch import save_file

    state = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, path, metadata={"sha256": _digest(state)})


@functools.cache
def _state(path: Path) -> dict[str, torch.Tensor]:
    return {name: tensor.float() for name, tensor in load(path).items()}


def load(path: Path = WEIGHTS) -> dict[str, torch.Tensor]:
    """Read the float16 weights; raises ValueError, saying what is wrong and what to do, when they are not whole."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            digest = (file.metadata() or {}).get("sha256")
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; {_REPAIR}") from None
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is damaged ({error}); {_REPAIR}") from None
    expected = {name: tensor.shape for name, tensor in TinyGPT().state_dict().items()}
    if {name: tensor.shape for name, tensor in state.items()} != expected:
        raise ValueError(f"{path} is damaged (it does not hold TinyGPT's matrices); {_REPAIR}")
    if digest != _digest(state):
        raise ValueError(f"{path} is damaged (its contents do not match their checksum); {_REPAIR}")
    return state


_REPAIR = "install the course again, or train the model anew: python -m course.tinygpt"


def _digest(state: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(f"{name} {state[name].dtype} {tuple(state[name].shape)}".encode() + state[name].numpy().tobytes())
    return digest.hexdigest()


@functools.cache
def texts() -> dict[str, bytes]:
    """The standard library's source files, by path, in sorted order, without tests and generated tables."""
    root = Path(sysconfig.get_paths()["stdlib"])
    paths = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = (name for name in subfolders if name not in LEFT_OUT and not name.startswith("config-"))
        paths += (
            Path(folder, name) for name in names if name.endswith(".py") and not name.startswith("_sysconfigdata")
        )
    found = {
        path.relative_to(root).as_posix(): path.read_bytes().replace(b"\r\n", b"\n")
        for path in sorted(paths, key=lambda path: path.relative_to(root).as_posix())
    }
    if sum(map(len, found.values())) < 1_000_000:
        raise ValueError(
            f"TinyGPT reads the standard library's source, and there is little of it in {root}; "
            "use a Python that comes with its source files, such as python.org's, conda's or your system's"
        )
    return found


def is_held_out(name: str) -> bool:
    """Whether the file is kept for evaluation: decided by its path alone, so in the same way on every machine."""
    return zlib.crc32(name.encode()) % HELD_OUT_EVERY == 0


@functools.cache
def training_text() -> bytes:
    return b"".join(text for name, text in texts().items() if not is_held_out(name))


@functools.cache
def held_out() -> bytes:
    return b"".join(text for name, text in texts().items() if is_held_out(name))


@functools.cache
def judging_text() -> bytes:
    """Held-out text for measuring a compressed model where none of it may be seen: `held_out_files` can be covered."""
    return b"".join(text for name, text in texts().items() if name in JUDGING)


def held_out_files() -> list[Path]:
    """The files that hold `judging_text`, as text or byte-code, in this Python and in the system's.

    With /dev/null in their places, Python, NumPy, PyTorch and Jupyter's kernel start and work.
    """
    roots = [Path(sysconfig.get_paths()["stdlib"])]
    roots += [root for place in ("/usr/lib", "/usr/local/lib") for root in Path(place).glob("python3*")]
    files = [root / name for root in roots for name in JUDGING]
    files += [compiled for path in files for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc")]
    return sorted({path for path in files if path.is_file()})


def windows(text: bytes, n: int, seed: int) -> torch.Tensor:
    """n windows from random places of `text`, as whole numbers (n, 129): 128 inputs, and each one's next byte."""
    if len(text) <= CONTEXT:
        raise ValueError(f"text must be longer than {CONTEXT} bytes, got {len(text)}")
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(text) - CONTEXT, (n, 1), generator=generator)
    return _bytes(text)[starts + torch.arange(CONTEXT + 1)].long()


@functools.lru_cache(4)
def _bytes(text: bytes) -> torch.Tensor:
    return torch.frombuffer(bytearray(text), dtype=torch.uint8)


@torch.no_grad()
def bits_per_byte(model: nn.Module, text: bytes | None = None, windows: int = 64) -> float:
    """Cross entropy, in bits, of the next byte: 8 for a guess among all bytes alike, less for a better model.

    Measured on `windows` windows of 128 predictions that do not overlap, evenly spread over `text` (held-out standard
    library if not given).
    """
    data = _bytes(held_out() if text is None else text).long()
    if len(data) < 2:
        raise ValueError(f"text must hold at least 2 bytes, got {len(data)}")
    length = min(CONTEXT, len(data) - 1)
    fitting = (len(data) - 1) // length
    n = min(windows, fitting)
    if n < 1:
        raise ValueError(f"windows must be at least 1, got {windows}")
    starts = length * (torch.arange(n) * fitting // n)
    total = 0.0
    for rows in (starts[:, None] + torch.arange(length + 1)).split(AT_ONCE):
        batch = data[rows]
        logits = model(batch[:, :-1]).float()
        total += functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="sum").item()
    return total / (n * length * math.log(2))


@torch.no_grad()
def generate(model: nn.Module, prompt: str, length: int = 200, temperature: float = 0.8, seed: int = 0) -> str:
    """`prompt` and `length` bytes more; temperature 0 takes the likeliest byte, 1 draws as the model predicts."""
    if temperature < 0:
        raise ValueError(f"temperature must not be negative, got {temperature}")
    generator = torch.Generator().manual_seed(seed)
    tokens = list(prompt.encode() or b"\n")
    for _ in range(length):
        logits = model(torch.tensor([tokens[-CONTEXT:]]))[0, -1].float()
        if temperature == 0:
            tokens.append(int(logits.argmax()))
        else:
            tokens.append(int(torch.multinomial((logits / temperature).softmax(0), 1, generator=generator)))
    return bytes(tokens).decode(errors="replace")


if __name__ == "__main__":
    from course.train_tinygpt import main

    main()
