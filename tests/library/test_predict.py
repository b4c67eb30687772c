"""Predict, then see: a live figure opens when a prediction is made or skipped; it is kept, and nobody is graded."""

import ast
import base64
import io
import json
import re
import subprocess
import sys
import threading

import ipywidgets as widgets
import numpy as np
import pytest
from conftest import CHAPTERS
from IPython.core.formatters import DisplayFormatter
from matplotlib.figure import Figure
from PIL import Image

from autograder import ROOT
from autograder.authoring import chapters
from course import check, undrawn
from course.live import Live
from course.predict import Predict, Question


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A folder of its own, where the progress file is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def figure(update=lambda **values: None):
    drawn = Figure(figsize=(3, 2))
    return Live(drawn, drawn.subplots().plot([0, 1], [0, 1]), update, alt="a line", slope=(0.0, 1.0))


def choice(**changed):
    asked = {"question": "Which is ahead?", "happened": "affine, by 3 dB", "choices": ["affine", "symmetric"]}
    return Predict(figure(), **asked | changed)


def slider(**changed):
    asked = {"question": "By how much?", "happened": 3.14159, "slider": (0, 8, 0.5), "unit": " dB"}
    return Predict(figure(), **asked | changed)


def words(widget):
    """All that stands in HTML in a widget and what is in it."""
    own = widget.value if isinstance(widget, widgets.HTML) else ""
    return own + " ".join(map(words, getattr(widget, "children", ())))


def is_open(predict):
    return predict.live in predict.children


def buttons(predict):
    return [
        each
        for row in predict.box.children
        for each in getattr(row, "children", ())
        if isinstance(each, widgets.Button)
    ]


def press(predict, name):
    (button,) = [each for each in buttons(predict) if each.description == name]
    button.click()


def test_the_figure_is_closed_until_a_prediction_is_made_and_both_are_told_then():
    predict = choice()
    assert not is_open(predict)
    assert "affine" not in words(predict)
    predict.control.value = "symmetric"
    press(predict, "That is my prediction")
    assert is_open(predict)
    assert "You predicted <b>symmetric</b>. What happens: <b>affine, by 3 dB</b>" in words(predict)
    assert buttons(predict) == []


def test_an_answer_that_a_browser_held_back_until_after_the_press_counts():
    predict = choice()
    predict.control.value = "affine"
    press(predict, "That is my prediction")
    predict.control.value = "symmetric"
    assert "You predicted <b>symmetric</b>" in words(predict)
    assert predict.kept() == ["symmetric"]

    def meanwhile():
        others.append(threading.Thread(target=setattr, args=(met.control, "value", "affine")))
        others[-1].start()
        others[-1].join(0.1)  # as long as the press lasts, it has to wait
        return "affine, by 3 dB"

    met, others = choice(question="And which is met?", happened=meanwhile), []
    met.control.value = "symmetric"
    press(met, "That is my prediction")
    for other in others:
        other.join(5)
    assert "You predicted <b>affine</b>" in words(met)
    assert met.kept() == ["affine"]

    skipped = choice(question="And which is skipped?")
    press(skipped, Predict.SKIP)
    skipped.control.value = "symmetric"
    assert "You predicted" not in words(skipped)
    assert skipped.kept() == [None]


def test_skipping_is_one_press():
    predict = slider()
    press(predict, "Skip")
    assert is_open(predict)
    assert "You predicted" not in words(predict)
    assert "What happens: <b>3.14 dB</b>" in words(predict)


def test_a_slider_begins_in_the_middle_and_says_its_unit():
    predict = slider()
    assert predict.control.value == 4
    assert predict.control.description == "your prediction (dB)"
    predict.control.value = 2.5
    press(predict, "That is my prediction")
    assert "You predicted <b>2.5 dB</b>" in words(predict)


def test_without_a_choice_nothing_is_taken():
    predict = choice()
    press(predict, "That is my prediction")
    assert not is_open(predict)
    assert "Choose an answer first, or press Skip." in words(predict)


@pytest.mark.parametrize("value", [8.5, -1, float("nan"), float("inf"), True, "3"])
def test_a_prediction_out_of_range_is_one_line(value):
    predict = slider()
    predict.commit(value)
    assert not is_open(predict)
    assert "is no number from 0 dB to 8 dB." in words(predict)
    assert check.prediction("By how much?") is None


def test_what_happens_is_found_out_when_the_figure_opens():
    calls = []
    predict = choice(happened=lambda: calls.append(1) or "nothing")
    assert calls == []
    press(predict, "Skip")
    assert calls == [1]


def test_an_error_of_the_learners_is_a_message_and_the_figure_opens():
    predict = choice(happened=lambda: 1 / 0)
    press(predict, "Skip")
    assert is_open(predict)
    assert "ZeroDivisionError: division by zero" in words(predict)


def test_a_figure_behind_a_question_draws_as_any_other():
    predict = choice()
    before = predict.live.image.value
    press(predict, "Skip")
    assert predict.live.image.value == before
    assert list(predict.live.controls) == ["slope"]


def test_what_is_text_is_shown_as_text():
    predict = choice(question="Is a < b?", choices=["<b>", "no"], happened="a < b & c")
    predict.commit("<b>")
    assert "&lt;b&gt;" in words(predict)
    assert "a &lt; b &amp; c" in words(predict)


# --- The progress file


def test_a_chapter_that_runs_again_shows_the_kept_prediction_and_the_open_figure():
    choice().commit("symmetric")
    again = choice()
    assert is_open(again)
    assert "You predicted <b>symmetric</b>." in words(again)
    assert not is_open(slider())  # another question


def test_a_skipped_question_is_not_asked_again():
    press(choice(), "Skip")
    assert is_open(choice())
    assert "You predicted" not in words(choice())


def test_predictions_stand_beside_the_passes_and_leave_them_alone():
    check.PROGRESS.write_text('{"done": ["1.1"], "misses": {"1.2": 1}}', "utf-8")
    slider().commit(2)
    kept = json.loads(check.PROGRESS.read_text("utf-8"))
    assert kept == {"done": ["1.1"], "misses": {"1.2": 1}, "predictions": {"By how much?": 2}}


@pytest.mark.parametrize(
    "damaged",
    ["", "{", "[]", '{"done": [], "misses": {}, "predictions": 3}', '{"done": [], "misses": {}, "predictions": ["x"]}'],
)
def test_a_damaged_file_counts_as_none_and_is_written_anew(damaged):
    check.PROGRESS.write_text(damaged, "utf-8")
    predict = choice()
    assert not is_open(predict)
    predict.commit("affine")
    assert check.prediction("Which is ahead?") == ["affine"]


@pytest.mark.parametrize("kept", ["neither", 3, [], {}])
def test_a_kept_prediction_that_is_no_answer_is_one_line_and_asked_again(kept):
    check.keep_prediction("Which is ahead?", kept)
    predict = choice()
    assert not is_open(predict)
    assert re.search(
        r"From an earlier run, the prediction .* is none of: affine, symmetric. Predict again, or skip.", words(predict)
    )
    predict.commit("affine")
    assert is_open(predict)


def test_a_folder_that_cannot_be_written_is_said_and_the_figure_opens(folder):
    (folder / ".course_progress.partial").mkdir()
    predict = choice()
    predict.commit("affine")
    assert is_open(predict)
    assert "Your progress could not be kept" in words(predict)


# --- What an author gets wrong


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"question": " "}, "question must be a sentence, got ' '"),
        ({"choices": None}, "give either choices or slider, got choices=None and slider=None"),
        ({"slider": (0, 1, 0.5)}, "give either choices or slider"),
        ({"choices": ["one"]}, r"choices must be two texts or more, all different, got \['one'\]"),
        ({"choices": ["one", "one"]}, "all different"),
        ({"choices": [1, 2]}, "choices must be two texts"),
        ({"choices": None, "slider": (0, 1)}, r"slider must be \(low, high, step\), got \(0, 1\)"),
        ({"choices": None, "slider": (0, 1, 0)}, r"slider must be \(low, high, step\)"),
        ({"choices": None, "slider": (1, 0, 0.5)}, "slider must be"),
        ({"choices": None, "slider": (0, 1, 0.3)}, "whole steps"),
        ({"choices": None, "slider": (0, 1000, 1)}, "1 to 100 whole steps"),
    ],
)
def test_what_is_no_question_is_refused_by_name(wrong, said):
    with pytest.raises(ValueError, match=said):
        choice(**wrong)


def test_a_slider_takes_the_nearest_of_its_values():
    question = Question("How many?", slider=(0, 10, 2))
    assert question.values == [0, 2, 4, 6, 8, 10]
    assert question.require(5.2) == 6
    assert question.require(np.float64(3.9)) == 4


# --- Readers without a kernel, graders, chapters


def test_readers_without_a_kernel_get_the_picture_and_its_sentence():
    predict = choice()
    data, metadata = DisplayFormatter().format(predict)
    assert Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).size == (300, 200)
    assert data["text/plain"] == metadata["image/png"]["alt"] == "a line"
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == predict.model_id


def test_while_grading_nobody_is_asked_and_the_figure_asks_for_one_frame(folder):
    code = """
from course.figures import Figure, Live, Predict
seen = []
live = Live(Figure(), [], lambda **values: seen.append(values), alt="a line", on=True)
shown = Predict(live, "Which?", happened=lambda: 1 / 0, choices=["a", "b"])
print(type(shown).__name__, shown is live, seen, shown._repr_html_())
"""
    for execution in ("autograde", "validate"):
        environment = {"NBGRADER_EXECUTION": execution, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
        assert done.stdout == "Asked True [{'on': True}] <p>a line</p>\n", done.stderr
    assert not (folder / ".course_progress.json").exists()
    assert undrawn.unasked("the figure", "Which?", happened="a", choices=["a", "b"]) == "the figure"


def questions(chapter):
    """The text and the keywords of each `Predict(...)` that a cell of the chapter's source ends with."""
    asked = []
    for cell in chapters.read(chapter).cells:
        if cell.cell_type == "code" and re.search(r"^Predict\(", cell.source, re.MULTILINE):
            call = ast.parse(cell.source).body[-1].value
            assert call.func.id == "Predict"
            asked.append((call.args[1].value, {word.arg: word.value for word in call.keywords}))
    return asked


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_chapter_asks_and_what_happens_is_computed(chapter):
    asked = questions(chapter)
    assert asked
    for text, words_of in asked:
        assert text.endswith("?")
        answers = {name: ast.literal_eval(words_of[name]) for name in words_of if name != "happened"}
        assert Question(text, **answers).values
        assert not isinstance(words_of["happened"], ast.Constant)


def test_no_two_questions_are_alike():
    texts = [text for chapter in CHAPTERS for text, _ in questions(chapter)]
    assert len(set(texts)) == len(texts)
