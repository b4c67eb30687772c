"""While a notebook is graded, figures ask the learner's functions for one frame, show their errors and draw nothing."""

import importlib
import json
import os
import subprocess
import sys

import graded_figures
import ipywidgets as widgets
import pytest
from IPython.core.formatters import DisplayFormatter

from autograder import ROOT
from course import figures
from course.undrawn import Asked, Undrawn

LEFT_OUT = {"course.figures.capstone.your_file"}  # by its chapter: what it shows is not made while grading
FIGURES = sorted(set(graded_figures.names()) - LEFT_OUT)


def is_live(name):
    module, _, function = name.rpartition(".")
    return getattr(importlib.import_module(module), function).__annotations__["return"] is figures.Live


@pytest.fixture(scope="module")
def told():
    """{figure: what came of its call in its chapter, while grading}."""
    command = [sys.executable, str(ROOT / "tests" / "graded_figures.py")]
    environment = os.environ | {"NBGRADER_EXECUTION": "autograde", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_of_the_course_is_drawn(name, told):
    assert told[name]["drawn"] == 0
    assert "png" not in told[name]["shown"]
    assert 'role="alert"' not in told[name]["shown"]


@pytest.mark.parametrize("name", list(filter(is_live, FIGURES)))
def test_a_live_figure_asks_all_functions_for_one_frame(name, told):
    assert told[name]["updates"] == 1
    assert told[name]["asked"] == told[name]["given"]


@pytest.mark.parametrize("name", FIGURES)
def test_an_error_of_the_learners_is_shown_or_raised(name, told):
    assert ("the learner" in told[name]["broken"] and "own error" in told[name]["broken"]) == bool(told[name]["given"])


def test_update_gets_the_controls_first_values_and_its_error_is_the_message():
    seen = []

    def update(**values):
        seen.append(values)
        raise ValueError("bits must be <b>4</b> or less")

    slider = widgets.FloatSlider(0.5, min=0, max=1)
    asked = Asked(Undrawn(), [], update, alt="a & b", clip=slider, scheme=["a", "b"], on=True, bits=(2, 8))
    assert seen == [{"clip": 0.5, "scheme": "a", "on": True, "bits": 5}]
    data, _ = DisplayFormatter().format(asked)
    assert data["text/html"].startswith("<p>a &amp; b</p><pre role=")
    assert "ValueError: bits must be &lt;b&gt;4&lt;/b&gt; or less" in data["text/html"]
    assert data["text/plain"] == "a & b"


def test_panels_curves_and_bars_come_in_matplotlibs_numbers():
    figure = Undrawn(figsize=(8, 4), layout="constrained")
    (left, right), axes = figure.subplots(1, 2), figure.subplots()
    assert figure.subplots(2, 3).shape == (2, 3)
    assert figure.subplots(1, 1, squeeze=False).shape == (1, 1)
    (line,), (bar,) = left.plot([0, 1], [0, 1], label="a line"), right.barh(1, 5)
    assert len(axes.bar(range(4), [1, 2, 3, 4])) == 4
    line.set_data([0, 2], [0, 2])
    bar.set_width(3)
    axes.spines[:].set_visible(False)
    assert set(DisplayFormatter().format(figure)[0]) == {"text/plain"}
