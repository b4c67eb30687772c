"""Predict, then see: a question stands where a live figure will, until somebody commits to an answer or skips it.

Whoever has said beforehand what a figure will show looks at it with other eyes. Nothing is graded. What was predicted
is kept in the progress file, so a chapter that runs again opens its figure at once, with the prediction beside it.

While a notebook is graded `course.figures.Predict` is a stand-in that asks nobody and gives the figure back.
"""

import html
import math
from collections.abc import Callable, Sequence

import ipywidgets as widgets

from course import check, style
from course.live import TURN, Live, control_of, explain
from course.slider_names import NAMES

MOST = 101  # values of a slider

#: Whoever pressed a button by a key goes on from the answer: the button has gone, and with it the place in the page.
GO_ON = """<img hidden alt="" src="data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="
onload="if (document.activeElement === document.body) this.parentNode.focus({preventScroll: true})">"""


class Question:
    """A question that has a prediction to make, by one of `choices` or by a slider.

    text: one sentence, which also names the prediction where it is kept.
    choices: two texts or more, all different.
    slider: (low, high, step), numbers; `unit` is written behind each of them, with its space: " dB".

    >>> question = Question("How many?", slider=(0, 2, 0.5), unit=" GB")
    >>> question.values, question.words(1.5)
    ([0.0, 0.5, 1.0, 1.5, 2.0], '1.5 GB')
    """

    def __init__(
        self,
        text: str,
        choices: Sequence[str] | None = None,
        slider: tuple[float, float, float] | None = None,
        unit: str = "",
    ):
        if not (text or "").strip():
            raise ValueError(f"question must be a sentence, got {text!r}")
        if (choices is None) == (slider is None):
            raise ValueError(f"give either choices or slider, got choices={choices!r} and slider={slider!r}")
        self.text, self.choices, self.slider, self.unit = text, choices, slider, unit
        self.values = _distinct(choices) if slider is None else _steps(slider)

    def words(self, value) -> str:
        """How a prediction reads: a choice as it is, a number with its unit."""
        return value if self.slider is None else f"{value:g}{self.unit}"

    def require(self, value):
        """`value` if it can be predicted, as the question has it; ValueError with what can be."""
        if self.slider is None:
            if value in self.values:
                return value
            raise ValueError(f"the prediction {value!r} is none of: {', '.join(self.values)}")
        low, high = self.values[0], self.values[-1]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and low <= value <= high:  # not for nan
            return min(self.values, key=lambda each: abs(each - value))
        raise ValueError(f"the prediction {value!r} is no number from {self.words(low)} to {self.words(high)}")

    def control(self) -> widgets.Widget:
        """The widget to answer with. Of choices none is chosen beforehand; a slider begins in the middle."""
        if self.slider is None:
            return widgets.RadioButtons(options=self.values, value=None, layout=widgets.Layout(width="auto"))
        kind = widgets.IntSlider if isinstance(self.values[0], int) else widgets.FloatSlider
        low, step, middle = self.values[0], self.values[1] - self.values[0], self.values[len(self.values) // 2]
        digits = len(f"{step:g}".partition(".")[2])
        form = {} if kind is widgets.IntSlider else {"readout_format": f".{digits}f"}
        description = f"your prediction{f' ({self.unit.strip()})' if self.unit.strip() else ''}"
        slider = kind(middle, min=low, max=self.values[-1], step=step, description=description, **form)
        return control_of("prediction", slider)


class Predict(widgets.VBox):
    """A question, and `live`, the figure that answers it, which stays closed until a prediction is made or skipped.

    happened: what does happen, as a text or a number in the question's unit. Or a function without arguments that
        returns one of these, called when the figure opens; what it raises is a message then, and the figure opens.
    question, choices, slider, unit: see `Question`, which raises ValueError.
    """

    SKIP = "Skip"

    def __init__(self, live: Live, question: str, *, happened: str | float | Callable, **answers):
        self.live, self._happened = live, happened
        self.question = Question(question, **answers)
        self.control = self.question.control()
        self.message = widgets.HTML()
        buttons = [_button("That is my prediction", self.commit), _button(self.SKIP, self.skip)]
        row = widgets.HBox(buttons, layout=widgets.Layout(flex_flow="row wrap"))
        asked = f'<div class="course-question"><b>Predict, then see.</b> {html.escape(question)}</div>'
        names = widgets.HTML(NAMES, layout=widgets.Layout(height="0", margin="0"))
        self.box = widgets.VBox([widgets.HTML(asked), self.control, row, self.message, names])
        self.box.add_class("course-figure")  # where NAMES looks for sliders
        self.box.add_class("course-predict")
        super().__init__([self.box])
        if (kept := self.kept()) is not None:
            try:
                self.reveal(None if kept[0] is None else self.question.require(kept[0]))
            except ValueError as error:
                self.tell(f"From an earlier run, {error}. Predict again, or skip.")

    def commit(self, value=None) -> None:
        """Predict `value`, by default what the control says, and open the figure; one line where it cannot be taken.

        An answer that arrives afterwards was given before the button was pressed, which then has gone, and it counts: a
        browser holds back a control's newest value while an older one is on its way, but not a press.
        """
        with TURN:
            self.control.observe(self._late, "value")
            value = self.control.value if value is None else value
            if value is None:
                return self.tell(f"Choose an answer first, or press {self.SKIP}.")
            try:
                value = self.question.require(value)
            except ValueError as error:
                return self.tell(f"Not taken: {error}.")
            self.reveal(value, self.keep(value))

    def _late(self, _) -> None:
        with TURN:
            if self.live in self.children:
                self.commit()

    def skip(self) -> None:
        """Open the figure without a prediction."""
        self.reveal(None, self.keep(None))

    def kept(self) -> list | None:
        """The prediction of an earlier run as [value], [None] if it was skipped; None where there was none."""
        return check.prediction(self.question.text)

    def keep(self, value) -> str:
        """Keep a prediction, or None for skipping, in the progress file; a note where that is not possible, else ""."""
        return check.keep_prediction(self.question.text, value)

    def reveal(self, value, note: str = "") -> None:
        """Show the figure below the prediction `value`, None for none, and what happens."""
        yours = "" if value is None else f"You predicted <b>{html.escape(self.question.words(value))}</b>. "
        try:
            happened = f"What happens: <b>{html.escape(self.happened())}</b>"
        except Exception as error:
            happened = f"What happens cannot be said yet:{explain(error)}"
        asked = html.escape(self.question.text)
        told = f"{asked}<br>{yours}{happened}{html.escape(note)}{GO_ON}"
        said = f'<div role="status" tabindex="-1" class="course-question" style="outline: none">{told}</div>'
        self.box.children = [widgets.HTML(said)]
        self.children = [self.box, self.live]

    def happened(self) -> str:
        """What happens, in words. Raises what the function that finds it out raises."""
        found = self._happened() if callable(self._happened) else self._happened
        return found if isinstance(found, str) else self.question.words(float(f"{found:.3g}"))

    def tell(self, words: str) -> None:
        """One line below the buttons."""
        self.message.value = f'<span role="alert" style="color:{style.MESSAGE}">{html.escape(words)}</span>'

    _ipython_display_ = None  # as in `Live`

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict]:
        """What a display message holds: the widget, and for readers without a kernel the figure, open."""
        data, metadata = self.live._repr_mimebundle_(**kwargs)
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return data | {"application/vnd.jupyter.widget-view+json": view}, metadata


def _button(words: str, press: Callable[[], None]) -> widgets.Button:
    button = widgets.Button(description=words, layout=widgets.Layout(width="auto"))
    button.on_click(lambda _: press())
    button.add_class("course-commit")
    return button


def _distinct(choices: Sequence[str]) -> list[str]:
    choices = list(choices)
    if len(choices) < 2 or len(set(choices)) < len(choices) or not all(isinstance(each, str) for each in choices):
        raise ValueError(f"choices must be two texts or more, all different, got {choices!r}")
    return choices


def _steps(slider: tuple[float, float, float]) -> list[float]:
    """low, low + step, ..., high; whole numbers where all three are whole."""
    try:
        low, high, step = slider
        count = (high - low) / step
    except (TypeError, ValueError, ZeroDivisionError):
        raise ValueError(f"slider must be (low, high, step), got {slider!r}") from None
    if not (step > 0 and 1 <= round(count) < MOST and math.isclose(count, round(count), abs_tol=1e-6)):
        raise ValueError(f"slider must be (low, high, step) in 1 to {MOST - 1} whole steps, got {slider!r}")
    whole = all(isinstance(number, int) for number in slider)
    return [low + index * step if whole else round(float(low + index * step), 10) for index in range(round(count) + 1)]
