"""Live figures: the picture follows the controls, errors are shown, nothing is lost."""

import base64
import importlib
import io
import threading
import time

import ipywidgets as widgets
import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure
from PIL import Image

from course import live as live_module
from course import models
from course.figures import quantization
from course.live import Live


def make(update, **controls):
    figure = Figure(figsize=(3, 2))
    (line,) = figure.subplots().plot([0, 1], [0, 1])
    return Live(figure, [line], lambda **values: update(line, **values), alt="a line", **controls)


def pixels(live):
    return np.asarray(Image.open(io.BytesIO(live.image.value)).convert("RGB"))


def test_moving_a_slider_changes_the_picture_and_back_again():
    live = make(lambda line, slope: line.set_ydata([0, slope]), slope=widgets.FloatSlider(1.0, min=0, max=1))
    first = live.image.value
    live.controls["slope"].value = 0.5
    assert live.image.value != first
    live.controls["slope"].value = 1.0
    assert live.image.value == first


def test_two_events_at_once_take_turns_and_the_last_frame_shows_both_values():
    inside, most, drawn = [], [], []

    def update(line, **values):
        inside.append(values)
        most.append(len(inside))
        time.sleep(0.05)
        inside.pop()
        drawn.append(values)

    live = make(update, bits=(2, 8), clip=(0.1, 1.0, 0.1))
    moves = {"bits": 3, "clip": 0.3}
    threads = [threading.Thread(target=setattr, args=(live.controls[name], "value", moves[name])) for name in moves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert max(most) == 1
    assert drawn[-1] == moves


def test_the_learners_function_gets_plain_values():
    seen = {}
    make(lambda line, **values: seen.update(values), bits=(2, 8), clip=(0.1, 1.0, 0.1), scheme=["a", "b"], on=True)
    assert {name: type(value) for name, value in seen.items()} == {
        "bits": int,
        "clip": float,
        "scheme": str,
        "on": bool,
    }


def test_an_error_is_shown_and_the_last_good_frame_stays():
    def update(line, bits):
        line.set_ydata([0, bits])
        if bits > 4:
            raise ValueError("bits must be <b>4</b> or less")

    live = make(update, bits=widgets.IntSlider(1, 1, 8))
    good = live.image.value
    live.controls["bits"].value = 5
    assert live.image.value == good
    assert "ValueError: bits must be &lt;b&gt;4&lt;/b&gt; or less" in live.message.value
    live.controls["bits"].value = 2
    assert live.message.value == ""
    assert live.image.value != good


def test_there_is_a_picture_even_when_the_first_call_raises():
    live = make(lambda line, on: 1 / 0, on=True)
    assert pixels(live).shape[:2] == (200, 300)
    assert "ZeroDivisionError" in live.message.value


def test_the_background_is_pure_white():
    assert (pixels(make(lambda line, on: None, on=True))[0, 0] == 255).all()


def test_a_control_that_is_none_is_refused_by_name():
    with pytest.raises(ValueError, match="bits=<object"):
        make(lambda line, bits: None, bits=object())


def quantize(x, bits, lo, hi):
    scale = (hi - lo) / (2**bits - 1)
    return np.round((np.clip(x, lo, hi) - lo) / scale) * scale + lo


def roundtrip(x, scale, zero_point, qmin, qmax):
    return (np.clip(np.round(x / scale) + zero_point, qmin, qmax) - zero_point) * scale


def params(lo, hi, bits):
    scale = (hi - lo) / (2**bits - 1)
    return scale, round(-lo / scale)


@pytest.mark.parametrize(
    "demo",
    [lambda w: quantization.quantizer(quantize, w), lambda w: quantization.schemes(params, roundtrip, w)],
    ids=["quantizer", "schemes"],
)
def test_every_control_of_chapter_1_changes_its_picture(demo):
    live = demo(models.mlp()[4].weight.detach().numpy() + 0.01)
    frames = {live.image.value}
    for control in live.controls.values():
        if isinstance(control, widgets.Dropdown):
            values = control.options
        else:
            values = np.arange(control.min, control.max + control.step / 2, control.step).tolist()
        for value in values:
            control.value = type(control.value)(value)
            assert live.message.value == ""
            frames.add(live.image.value)
    assert len(frames) > 20
    assert "dB" in live.caption.value


def test_an_unanswered_function_is_named_in_the_message():
    live = quantization.quantizer(lambda x, bits, lo, hi: None, np.ones(4))
    assert "returned nothing" in live.message.value


def test_the_picture_has_its_sentence_as_a_name_or_beside_it():
    live = make(lambda line, on: None, on=True)
    said = live.image.name or next(child.value for child in live.children if "a line" in getattr(child, "value", ""))
    assert "a line" in said


@pytest.mark.parametrize("alt", ["", " ", None])
def test_a_figure_without_a_sentence_is_refused(alt):
    with pytest.raises(ValueError, match="alt must be a sentence"):
        Live(Figure(), [], lambda: None, alt=alt)


def test_an_old_ipywidgets_is_one_line_with_the_way_out(monkeypatch):
    monkeypatch.setattr(widgets, "__version__", "7.6.5")
    with pytest.raises(
        ImportError, match=r'^ipywidgets 7\.6\.5 is here .* run %pip install "ipywidgets>=7\.7", then .*$'
    ):
        importlib.reload(live_module)


def test_readers_without_a_kernel_get_the_picture_and_its_sentence():
    live = make(lambda line, on: None, on=True)
    data, metadata = DisplayFormatter().format(live)
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).size == (300, 200)
    assert data["text/plain"] == metadata["image/png"]["alt"] == "a line"
    assert 'alt="a line"' in data["text/html"]
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == live.model_id
