"""TinyGPT: small, good enough, whole or refused, and measured as it says."""

import math
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from autograder import ROOT
from course import tinygpt, train_tinygpt
from course.figures import quantization


@pytest.fixture(scope="module")
def model():
    return tinygpt.tiny_gpt()


def test_it_has_the_promised_size(model):
    assert tinygpt.WEIGHTS.stat().st_size <= 2_000_000
    assert 0.8e6 < sum(p.numel() for p in model.parameters()) < 0.9e6
    assert {tensor.dtype for tensor in tinygpt.load().values()} == {torch.float16}


def test_it_needs_less_than_1_8_bits_per_held_out_byte(model):
    margin = 0 if sys.version_info[:2] == (3, 11) else 0.2  # the library it was trained on, and others
    assert tinygpt.bits_per_byte(model, windows=256) < 1.8 + margin
    assert tinygpt.bits_per_byte(train_tinygpt.fresh()) == pytest.approx(8)


def test_no_file_is_both_trained_on_and_held_out():
    training, held_out = tinygpt.training_text(), tinygpt.held_out()
    files = tinygpt.texts()
    assert len(training) + len(held_out) == sum(map(len, files.values()))
    assert 0.05 < len(held_out) / len(training) < 0.2
    long = [text for name, text in files.items() if tinygpt.is_held_out(name) and len(text) > 1000]
    assert len(long) > 20
    assert all(text in held_out and text not in training for text in long)
    assert tinygpt.is_held_out("doctest.py")
    assert not tinygpt.is_held_out("argparse.py")
    assert not any("test" in name.split("/") or "site-packages" in name for name in files)


def test_the_linears_are_the_matrices_of_the_blocks_and_can_be_replaced(model):
    layers = tinygpt.linears(model)
    assert len(layers) == 24
    assert all(type(layer) is torch.nn.Linear and layer.bias is None for layer in layers.values())
    assert all(layer.in_features % 128 == 0 for layer in layers.values())
    assert all(model.get_submodule(name) is layer for name, layer in layers.items())
    assert list(layers)[:2] == ["blocks.0.attention.q", "blocks.0.attention.k"]


def test_every_copy_is_fresh(model):
    copy = tinygpt.tiny_gpt()
    with torch.no_grad():
        copy.head.weight.zero_()
    assert tinygpt.tiny_gpt().head.weight.abs().sum() > 0
    assert not model.training


def test_no_logit_depends_on_a_later_byte(model):
    tokens = tinygpt.windows(tinygpt.held_out(), 2, seed=0)[:, :-1]
    changed = tokens.clone()
    changed[:, 70] = (changed[:, 70] + 1) % 256
    with torch.no_grad():
        before, after = model(tokens), model(changed)
    assert before.shape == (2, 128, 256)
    torch.testing.assert_close(before[:, :70], after[:, :70])
    assert (before[:, 70:] - after[:, 70:]).abs().amax(-1).min() > 0


def test_a_text_longer_than_the_context_is_refused(model):
    with pytest.raises(ValueError, match="tokens must be at most 128 long, got 129"):
        model(torch.zeros(1, 129, dtype=torch.long))


@pytest.mark.parametrize("length, windows", [(40, 64), (129, 1), (700, 64), (1400, 3)])
def test_bits_per_byte_is_the_mean_surprise_window_by_window(model, length, windows):
    text = tinygpt.held_out()[5000 : 5000 + length]
    size = min(128, length - 1)
    fitting = (length - 1) // size
    starts = [size * (i * fitting // min(windows, fitting)) for i in range(min(windows, fitting))]
    bits = []
    for start in starts:
        piece = list(text[start : start + size + 1])
        for t in range(1, len(piece)):
            with torch.no_grad():
                logits = model(torch.tensor([piece[:t]]))[0, -1].double().numpy()
            bits.append((np.logaddexp.reduce(logits) - logits[piece[t]]) / math.log(2))
    assert len(bits) == size * len(starts)
    assert tinygpt.bits_per_byte(model, text, windows) == pytest.approx(np.mean(bits), abs=1e-4)


def test_bits_per_byte_repeats_itself_and_refuses_what_it_cannot_measure(model):
    assert tinygpt.bits_per_byte(model, windows=8) == tinygpt.bits_per_byte(model, windows=8)
    with pytest.raises(ValueError, match="text must hold at least 2 bytes, got 1"):
        tinygpt.bits_per_byte(model, b"x")
    with pytest.raises(ValueError, match="windows must be at least 1, got 0"):
        tinygpt.bits_per_byte(model, windows=0)


def test_windows_are_pieces_of_the_text_by_seed():
    text = tinygpt.held_out()
    drawn = tinygpt.windows(text, 5, seed=3)
    assert drawn.shape == (5, 129)
    assert drawn.dtype == torch.long
    assert all(bytes(row.tolist()) in text for row in drawn)
    assert torch.equal(drawn, tinygpt.windows(text, 5, seed=3))
    assert not torch.equal(drawn, tinygpt.windows(text, 5, seed=4))
    assert tinygpt.windows(text[:129], 2, seed=0).tolist() == [list(text[:129])] * 2
    with pytest.raises(ValueError, match="text must be longer than 128 bytes, got 128"):
        tinygpt.windows(text[:128], 1, seed=0)


def test_generation_repeats_itself_by_seed_and_is_greedy_at_temperature_zero(model):
    def written(**options):
        return tinygpt.generate(model, "import ", length=30, **options)

    assert written() == written(seed=0)
    assert written() != written(seed=1)
    greedy = list(b"import ")
    for _ in range(30):
        with torch.no_grad():
            greedy.append(int(model(torch.tensor([greedy]))[0, -1].argmax()))
    assert written(temperature=0).encode() == bytes(greedy)
    assert written(temperature=1e-4) == written(temperature=0)
    assert len(tinygpt.generate(model, "x" * 300, length=2, temperature=0)) == 302
    assert tinygpt.generate(train_tinygpt.fresh(), "é", length=50, temperature=1).startswith("é")
    assert len(tinygpt.generate(model, "", length=3)) >= 3
    with pytest.raises(ValueError, match="temperature must not be negative, got -1"):
        written(temperature=-1)


@pytest.fixture
def weights(tmp_path):
    return shutil.copy(tinygpt.WEIGHTS, tmp_path / "weights.safetensors")


def refused(path):
    with pytest.raises(ValueError) as error:
        tinygpt.load(path)
    assert str(path) in str(error.value)
    assert "python -m course.tinygpt" in str(error.value)
    return str(error.value)


def test_a_missing_file_is_named(tmp_path):
    assert "is missing" in refused(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize("kept", [0, 4, 100, 10_000, -1])
def test_a_truncated_file_is_named(weights, kept):
    weights.write_bytes(weights.read_bytes()[:kept])
    assert "is damaged" in refused(weights)


def test_any_flipped_bit_is_noticed(weights):
    whole = weights.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    text = len(whole[:header].rstrip())  # padded with spaces, which carry nothing
    rng = np.random.default_rng(0)
    for place in [*rng.integers(0, text, 40), *rng.integers(header, len(whole), 40)]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        weights.write_bytes(damaged)
        assert "is damaged" in refused(weights)


def test_another_models_weights_are_refused(weights):
    state = load_file(weights)
    for other in ({**state, "head.weight": state["head.weight"][:, :64].contiguous()}, {"x": torch.zeros(3)}):
        save_file(other, weights)
        assert "does not hold TinyGPT's matrices" in refused(weights)
    save_file(state, weights)
    assert "do not match their checksum" in refused(weights)


def test_a_python_without_its_source_is_told_so(tmp_path, monkeypatch):
    tinygpt.texts.cache_clear()
    monkeypatch.setattr("sysconfig.get_paths", lambda: {"stdlib": str(tmp_path / "python311.zip")})
    with pytest.raises(ValueError, match=r"there is little of it in .*python311\.zip"):
        tinygpt.texts()


def test_the_command_trains_and_writes_a_model_that_loads(tmp_path):
    out = tmp_path / "short.safetensors"
    command = [sys.executable, "-m", "course.tinygpt", "--steps", "8", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "100%" in done.stderr
    assert "bits per held-out byte" in done.stdout
    trained = tinygpt.TinyGPT()
    trained.load_state_dict(tinygpt.load(out))
    assert tinygpt.bits_per_byte(trained, windows=16) < 7.9  # untrained: 8


def test_an_orthogonal_step_has_singular_values_near_one():
    matrices = torch.randn(2, 128, 512, generator=torch.Generator().manual_seed(0))
    for stack in (matrices, matrices.mT):
        values = torch.linalg.svdvals(train_tinygpt.orthogonal(stack))
        assert values.min() > 0.5
        assert values.max() < 1.3


def test_the_live_figure_shows_each_models_text_as_text():
    samples = {2: "<b>\x00\ufffd漢$x_1$\t" * 3, 3: "a\nb", 4: ""}
    live = quantization.language_model(list(samples), [9.0, 3.0, 2.0], list(samples.values()), 1.7)
    frames = set()
    for bits, shown in {2: "&lt;b&gt;·", 3: ">a\nb<", 4: "></pre>"}.items():
        live.controls["bits"].value = bits
        assert live.message.value == ""
        assert f"{bits} bits" in live.caption.value
        assert shown in live.children[-1].value
        frames.add(live.image.value)
    assert len(frames) == 3
