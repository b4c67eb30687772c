"""The frames of a live figure, drawn beforehand, so that its controls move it on a page that has no kernel.

In: a call that `recorder` kept. Out: strips, WebP pictures that hold frames side by side, and what to show of them.

A figure's controls span a grid. Where the whole grid is too much, the controls that change the picture most stay, two
at least. Of the longest one's values every second, third ... stays: a page is to come over a phone's network.
"""

import io
import itertools
from collections.abc import Iterable
from typing import NamedTuple

import ipywidgets as widgets
import numpy as np
from PIL import Image

from course.live import Live
from course.slider_names import NAMES

WIDTH = 900  # pixels from left to right
MOST_FRAMES = 160  # of one figure
MOST_BYTES = 400_000  # of one figure's strips
WIDEST = 14_000  # pixels: WebP ends at 16,383


class Control(NamedTuple):
    """A control as a page shows it: the value of each of its positions, and how that value reads.

    order: its place among the figure's controls. first: the position that the figure begins with.
    """

    name: str
    order: int
    label: str
    values: list
    texts: list[str]
    first: int

    def thinned(self, every: int) -> "Control":
        """Every so many values, the last and the first shown among them."""
        kept = sorted({*range(0, len(self.values), every), len(self.values) - 1, self.first})
        values, texts = ([column[index] for index in kept] for column in (self.values, self.texts))
        return self._replace(values=values, texts=texts, first=kept.index(self.first))


class Moving(NamedTuple):
    """controls: those of the page, the last of which runs along a strip. strips: one for each of the others' values.

    captions: what stands below each frame, as HTML, in the order of the grid. size: of a frame, in pixels.
    left_out: labels of the controls that only the notebook has.
    """

    controls: list[Control]
    strips: list[bytes]
    captions: list[str]
    size: tuple[int, int]
    left_out: list[str]


def frames(live: Live) -> Moving | None:
    """All that a page needs to move `live`, which should be WIDTH pixels wide; None where it has no controls."""
    numbered = enumerate(live.controls.items())
    controls = [shown for order, (name, widget) in numbered if (shown := _control(name, order, widget))]
    if not controls:
        return None
    chosen = _most_telling(live, controls)
    every = {control.name: 1 for control in chosen}
    while True:
        thin = [control.thinned(every[control.name]) for control in controls if control in chosen]
        *_, longest = thin = sorted(thin, key=lambda control: len(control.values))
        if _count(thin) <= MOST_FRAMES and len(longest.values) * WIDTH <= WIDEST:
            left_out = [control.label for control in controls if control not in chosen]
            made = _drawn(live, thin)._replace(left_out=left_out)
            few = len(longest.values) <= 3
            if sum(map(len, made.strips)) <= MOST_BYTES or (few and len(chosen) <= 2):
                return made
            if few:
                chosen.pop()
                continue
        every[longest.name] += 1


def _control(name: str, order: int, widget: widgets.Widget) -> Control | None:
    label = widget.description or name.replace("_", " ")
    if isinstance(widget, widgets.Checkbox | widgets.ToggleButton):
        label = getattr(widget, "tooltip", None) or label  # what stands on a button may change with it
        values, texts = [False, True], ["off", "on"]
    elif hasattr(widget, "_options_labels"):
        values, texts = list(widget._options_values), list(widget._options_labels)
    elif hasattr(widget, "step") and hasattr(widget, "max"):
        count = round((widget.max - widget.min) / widget.step)
        values = [widget.min + index * widget.step for index in range(count + 1)]
        values = [value if isinstance(widget.value, int) else float(round(value, 10)) for value in values]
        texts = [format(value, getattr(widget, "readout_format", "") or "") for value in values]
    else:
        return None
    first = min(range(len(values)), key=lambda index: values[index] != widget.value)
    return Control(name, order, label, values, texts, first)


def _count(controls: Iterable[Control]) -> int:
    return int(np.prod([len(control.values) for control in controls]))


def _most_telling(live: Live, controls: list[Control]) -> list[Control]:
    """The controls, those first that change the picture most; two at least, and as many as a page has room for."""
    if len(controls) <= 2:
        return controls
    first, second, *others = sorted(controls, key=lambda control: -_change(live, control))
    chosen = [first, second]
    for control in others:
        if _count([*chosen, control]) <= MOST_FRAMES:
            chosen.append(control)
    return chosen


def _change(live: Live, control: Control) -> float:
    """How far apart the pictures at the control's ends are, the others at their first values."""
    ends = []
    for value in (control.values[0], control.values[-1]):
        live.controls[control.name].value = value
        ends.append(_picture(live))
    live.controls[control.name].value = control.values[control.first]
    return float(np.abs(ends[0].astype(float) - ends[1]).mean())


def _picture(live: Live) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(live.image.value)).convert("RGB"))


def _drawn(live: Live, controls: list[Control]) -> Moving:
    """Every frame of the grid of `controls`, with the captions."""
    *outer, along = controls
    strips, captions, size = [], [], (0, 0)
    for others in itertools.product(*(control.values for control in outer)):
        pictures = []
        for value in along.values:
            _move(live, dict(zip([control.name for control in controls], [*others, value], strict=True)))
            pictures.append(_picture(live))
            captions.append(_words(live))
        size = pictures[0].shape[1], pictures[0].shape[0]
        strip = io.BytesIO()
        Image.fromarray(np.hstack(pictures)).save(strip, "webp", lossless=True, quality=80, method=4)
        strips.append(strip.getvalue())
    _move(live, {control.name: control.values[control.first] for control in controls})
    return Moving(controls, strips, captions, size, [])


def _move(live: Live, values: dict) -> None:
    for name, value in values.items():
        live.controls[name].value = value


def _words(live: Live) -> str:
    """What stands below the picture: caption, message, and whatever text the figure adds."""
    below = live.children[list(live.children).index(live.image) + 1 :]
    return "".join(child.value for child in below if isinstance(child, widgets.HTML) and child.value != NAMES)
