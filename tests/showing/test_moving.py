"""The frames of a live figure, drawn beforehand: all that a page can hold, of the controls that tell most."""

import io

import ipywidgets as widgets
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from autograder.showing import moving
from course.live import Live


def live(draw, size=(3, 2), **controls):
    """A live figure; draw(image, **values) gives the image's data."""
    figure = Figure(figsize=size, dpi=100)
    shown = figure.subplots().imshow(np.zeros((40, 60)), vmin=0, vmax=1)

    def update(**values):
        shown.set_data(draw(**values))
        return " ".join(f"{name} {value}" for name, value in values.items())

    return Live(figure, [shown], update, alt="an image", **controls)


def flat(**values):
    return np.full((40, 60), sum(values.values()) / 100)


def test_every_frame_is_the_one_that_the_notebook_shows():
    figure = live(flat, a=widgets.IntSlider(3, 0, 4), b=widgets.FloatSlider(0.5, min=0.0, max=1.0, step=0.25))
    before = figure.image.value
    made = moving.frames(figure)
    assert [(control.name, control.values) for control in made.controls] == [
        ("a", [0, 1, 2, 3, 4]),
        ("b", [0, 0.25, 0.5, 0.75, 1]),
    ]
    assert [control.first for control in made.controls] == [3, 2]
    assert made.controls[1].texts == ["0.00", "0.25", "0.50", "0.75", "1.00"]
    assert len(made.strips) == 5
    assert len(made.captions) == 25
    assert "a 1 b 0.75" in made.captions[5 * 1 + 3]
    width, height = made.size
    strip = Image.open(io.BytesIO(made.strips[1])).convert("RGB")
    assert strip.size == (5 * width, height)
    figure.controls["a"].value, figure.controls["b"].value = 1, 0.75
    assert np.array_equal(strip.crop((3 * width, 0, 4 * width, height)), moving._picture(figure))
    figure.controls["a"].value, figure.controls["b"].value = 3, 0.5
    assert figure.image.value == before


def test_choices_and_switches_keep_their_words():
    options = [("none", 0), ("some", 5), ("all", 9)]
    figure = live(flat, choice=widgets.SelectionSlider(options=options, value=5, description="how much"), on=True)
    switch, choice = moving.frames(figure).controls
    assert (switch.texts, switch.values, switch.first) == (["off", "on"], [False, True], 1)
    assert (choice.label, choice.texts, choice.first) == ("how much", ["none", "some", "all"], 1)


def test_of_many_controls_the_two_that_change_most_stay():
    sliders = {name: widgets.IntSlider(0, 0, 9) for name in ("little", "much", "some")}
    figure = live(lambda little, much, some: flat(a=little / 90, b=8 * much, c=3 * some), **sliders)
    made = moving.frames(figure)
    assert {control.name for control in made.controls} == {"much", "some"}
    assert made.left_out == ["little"]
    assert len(made.captions) <= moving.MOST_FRAMES


def test_values_are_thinned_until_the_strips_are_small_enough(monkeypatch):
    monkeypatch.setattr(moving, "MOST_BYTES", 60_000)
    noise = np.random.default_rng(0).random((40, 60, 3))
    figure = live(lambda a: np.roll(noise, a, axis=1), size=(6, 4), a=widgets.IntSlider(7, 0, 40))
    made = moving.frames(figure)
    (control,) = made.controls
    assert sum(map(len, made.strips)) <= 60_000 or len(control.values) <= 3
    assert {control.values[0], control.values[-1]} == {0, 40}
    assert control.values[control.first] == 7


def test_a_figure_without_controls_does_not_move():
    assert moving.frames(live(lambda: flat(a=1))) is None


@pytest.mark.parametrize("most", [3, 100])
def test_no_strip_is_wider_than_the_format_allows(most):
    made = moving.frames(live(flat, a=widgets.IntSlider(1, 0, most)))
    assert len(made.controls[0].values) * moving.WIDTH <= moving.WIDEST
