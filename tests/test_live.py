"""Live figures: the picture follows the controls, errors are shown, nothing is lost."""

import io
import os
import subprocess
import sys

import ipywidgets as widgets
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from autograder import ROOT
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


def test_the_same_tests_pass_with_colabs_ipywidgets(tmp_path):
    """ipywidgets 7.7.1 is what Colab runs; the tests above run again with it in front of the installed one."""
    if widgets.__version__.startswith("7."):
        return
    old = ["ipywidgets==7.7.1", "ipython_genutils"]
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--disable-pip-version-check",
            "--no-deps",
            "--target",
            tmp_path,
            *old,
        ],
        check=True,
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:xdist", "-W", "default", __file__],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout
