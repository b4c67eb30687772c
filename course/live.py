"""Live figures: controls bound to the artists of one matplotlib figure, fast enough to follow a dragged slider.

`ipywidgets.interact` builds and sends a whole new figure for every event (hundreds of milliseconds, and it flickers).
Here everything that does not move is drawn once and kept as a bitmap. A frame restores it, draws only the artists that
the learner's function changed, and sends one PNG to one `ipywidgets.Image`. The PNG has a palette, chosen on the first
frame: mapping to it and compressing one byte a pixel takes 2 ms where compressing three takes 11 (1100 x 390 pixels).

A frame is drawn inside the event's own handler. ipywidgets' front end sends the next value of a slider only when the
kernel has finished with the last one, and then the newest: stale events are dropped there, and nothing queues up here.
"""

import html
import io
import traceback
from collections.abc import Callable, Iterable

import ipywidgets as widgets
import numpy as np
from ipywidgets.widgets.interaction import interactive
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from course import style


class Live(widgets.VBox):
    """A figure that follows its controls.

    figure: a `matplotlib.figure.Figure` (not pyplot's, which would show it a second time).
    artists: the artists of `figure` that move; everything else is drawn once.
    update: called as `update(bits=4, clip=0.5)` with the controls' plain values; changes the artists' data in place and
        may return a caption. When it raises, the message appears under the figure and the last good frame stays.
    alt: one sentence saying what the figure shows, for those who cannot see it.
    controls: a name and a widget each, or one of the shorthands of `ipywidgets.interact`:
        `bits=(2, 8)`, `clip=(0.1, 1.0, 0.05)`, `scheme=["affine", "symmetric"]`, `show=True`.
    """

    def __init__(
        self,
        figure: Figure,
        artists: Iterable[Artist],
        update: Callable[..., str | None],
        alt: str,
        **controls,
    ):
        self.controls = {name: _control(name, given) for name, given in controls.items()}
        self.alt = alt
        self.image = widgets.Image(format="png", layout=widgets.Layout(width="100%", max_width=_width(figure)))
        self.image.add_class("course-live")
        self.caption = widgets.HTML()
        self.message = widgets.HTML()
        self._palette = None
        self._update = update
        self._artists = sorted(artists, key=lambda artist: artist.get_zorder())
        for artist in self._artists:
            artist.set_animated(True)
        self._canvas = FigureCanvasAgg(figure)
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(figure.bbox)
        row = widgets.HBox([*self.controls.values(), self.caption], layout=widgets.Layout(flex_flow="row wrap"))
        super().__init__([row, self.image, self.message])
        self._show(self._frame())  # something to look at even when the first update raises
        self.draw()
        for control in self.controls.values():
            control.observe(self.draw, names="value")

    def draw(self, change=None) -> None:
        """Draw one frame from the controls' present values."""
        try:
            caption = self._update(**{name: control.value for name, control in self.controls.items()})
            self._canvas.restore_region(self._background)
            for artist in self._artists:
                artist.axes.draw_artist(artist)
        except Exception as error:
            self.message.value = _explain(error)
        else:
            frame = self._frame()
            self._palette = self._palette or _palette(frame)
            self._show(frame.quantize(palette=self._palette, dither=Image.Dither.NONE))
            self.caption.value = f'<span style="font-size:1.15em">{html.escape(caption or "")}</span>'
            self.message.value = ""

    def _frame(self) -> Image.Image:
        size = self._canvas.get_width_height(physical=True)
        return Image.frombuffer("RGBA", size, self._canvas.buffer_rgba()).convert("RGB")

    def _show(self, frame: Image.Image) -> None:
        png = io.BytesIO()
        frame.save(png, "png", compress_level=1)
        self.image.value = png.getvalue()


def returned(value):
    """`value` of a learner's function; NotImplementedError, which a live figure shows as a message, when it is None."""
    if value is None:
        raise NotImplementedError("your function returned nothing; write its body, then run this cell again")
    return value


def _palette(frame: Image.Image) -> Image.Image:
    """The frame's own colours, and the course's colours in eight shades each for what is not in sight yet."""
    shades = [
        round(255 - (255 - channel * 255) * shade / 8)
        for color in [*style.CYCLE, style.MUTED, "black"]
        for shade in range(1, 9)
        for channel in to_rgb(color)
    ]
    own = np.array(frame.quantize(191).getpalette()[: 191 * 3]).reshape(-1, 3)
    own = own[own.min(1) < 248]  # white stays white
    palette = Image.new("P", (1, 1))
    palette.putpalette([255, 255, 255, *own.ravel().tolist(), *shades])
    return palette


def _width(figure: Figure) -> str:
    return f"{figure.get_figwidth() * figure.dpi:.0f}px"


def _control(name: str, given) -> widgets.Widget:
    control = given if isinstance(given, widgets.Widget) else interactive.widget_from_abbrev(given)
    if control is None:
        raise ValueError(f"{name}={given!r} is not a control: give a widget, (low, high[, step]), a list or a bool")
    if not control.description:
        control.description = name.replace("_", " ")
    control.style.description_width = "initial"
    return control


def _explain(error: Exception) -> str:
    """One line of HTML: what was raised and, where it was raised in a notebook's cell, by which line."""
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith("<") or "ipykernel_" in frame.filename:
            where = f" (in {frame.name}, line {frame.lineno}: {frame.line})"
    text = f"{type(error).__name__}: {error}{where}"
    return f'<pre role="alert" style="color:#B00020; white-space:pre-wrap">{html.escape(text)}</pre>'
