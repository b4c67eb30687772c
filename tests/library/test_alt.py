"""Every figure comes with words: what they say of curves, bars and pictures, and that no front end loses them."""

import base64
import io

import matplotlib as mpl
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from matplotlib.figure import Figure
from PIL import Image

from course import alt


def figure(panels=1):
    made = Figure(figsize=(4, 3))
    return made, made.subplots(1, panels)


def test_curves_are_told_by_their_ends_and_lines_across_by_their_place():
    made, axes = figure()
    axes.plot([1, 2, 4], [10, 3, 2.5], label="with $T^2$")
    axes.plot([1, 2], [0, 0])
    axes.axhline(97.25, label="as trained")
    axes.axvline(3, label="break-even")
    axes.plot(2, 3, "o", label="yours")
    axes.set(title="Students", xlabel="bits", ylabel="right (%)")
    assert alt.of(made) == (
        "Figure: Students: right (%) over bits; with T^2 from 10 at 1 to 2.5 at 4; as trained at 97.2; "
        "break-even at 3; yours at 3."
    )


def test_numbers_are_told_as_people_say_them():
    numbers = [0, 0.10523, -3.5, 999.4, 999.6, 4096, -1_234_567.8, 3.4e38, 2e-5]
    told = ["0", "0.105", "-3.5", "999", "1,000", "4,096", "-1,234,568", "3.4e+38", "2e-05"]
    assert list(map(alt.number, numbers)) == told


def test_bars_are_told_by_name_and_length_lying_or_standing():
    made, (left, right) = figure(2)
    left.barh([0, 1], [2.5, 7], label="measured")
    left.set_yticks([0, 1], ["small", "large"])
    right.bar([0, 1], [1, 2])
    right.set_xticks([0, 1], ["first", "last"])
    assert alt.of(made) == "Figure: panel 1, measured: small 2.5, large 7. panel 2, first 1, last 2."


def test_pictures_are_named_by_their_titles_and_long_lists_are_cut():
    made, (left, right) = figure(2)
    left.imshow(np.eye(3))
    left.set_title("whole")
    for k in range(20):
        right.plot([0, 1], [0, k], label=f"curve {k}")
    text = alt.of(made)
    assert "panel 1, whole; a picture" in text
    assert text.endswith("and 12 more.")


def test_a_figures_own_label_is_its_text():
    made, _ = figure()
    made.set_label("Two lines that never meet.")
    assert alt.of(made) == "Two lines that never meet."


def test_an_empty_figure_says_so():
    assert alt.of(Figure()) == "Figure: empty."


@pytest.fixture
def shell():
    shell = InteractiveShell()
    alt.use(shell)
    return shell


def test_a_notebook_gets_the_picture_with_its_words_in_every_form(shell):
    made, axes = figure()
    axes.set(xlabel='<bits> & "bytes"', ylabel="loss")
    data, metadata = shell.display_formatter.format(made)
    words = 'Figure: loss over <bits> & "bytes".'
    assert metadata["image/png"]["alt"] == data["text/plain"] == words
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).format == "PNG"
    assert data["text/html"].startswith(f'<img src="data:image/png;base64,{data["image/png"]}"')
    assert 'alt="Figure: loss over &lt;bits&gt; &amp; &quot;bytes&quot;."' in data["text/html"]


def test_the_words_stay_when_somebody_sets_matplotlib_up_again(shell):
    from IPython.core.pylabtools import select_figure_formats

    backend = mpl.get_backend()
    select_figure_formats(shell, {"png"})
    assert mpl.get_backend() == backend
    made, axes = figure()
    axes.set(xlabel="bits", ylabel="loss")
    data, metadata = shell.display_formatter.format(made)
    assert metadata["image/png"]["alt"] == "Figure: loss over bits."
    assert "alt=" in data["text/html"]
