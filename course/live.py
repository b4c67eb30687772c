"""Live figures: controls bound to the artists of one matplotlib figure, fast enough to follow a dragged slider.

`ipywidgets.interact` builds and sends a whole new figure for every event (hundreds of milliseconds, and it flickers).
Here everything that does not move is drawn once and kept as a bitmap. A frame restores it, draws only the artists that
the learner's function changed, and sends one PNG to one `ipywidgets.Image`. The PNG has a palette, chosen on the first
frame: mapping to it and compressing one byte a pixel takes 2 ms where compressing three takes 11 (1100 x 390 pixels).

A frame is drawn inside the event's own handler. ipywidgets' front end sends the next value of a slider only when the
kernel has finished with the last one, and then the newest: stale events are dropped there, and nothing queues up here.
JupyterLab sends widgets' events to a thread of the kernel, but those before that thread is there to the main one: two
events can meet, so handlers take turns.

A saved notebook keeps the first frame as a PNG beside the widget, for readers without a kernel.
"""

import html
import io
import threading
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
from traitlets import Unicode

from course import alt as words
from course import style
from course.slider_names import NAMES

if tuple(map(int, widgets.__version__.split(".")[:2])) < (7, 7):
    raise ImportError(
        f"ipywidgets {widgets.__version__} is here and 7.7 or newer is needed for live figures: "
        'run %pip install "ipywidgets>=7.7", then restart the kernel'
    )

#: Held by the handler of an event: neither Matplotlib nor a learner's function need bear two threads.
TURN = threading.RLock()

#: Moves text out of sight, but not out of a screen reader's way.
UNSEEN = "position:absolute; width:1px; height:1px; overflow:hidden; clip-path:inset(50%); white-space:nowrap"


class Picture(widgets.Image):
    """An image whose tooltip is its accessible name, because Jupyter's image widget has no alternative text.

    ipywidgets 7 has no tooltip either: there the name is None, and the text has to stand beside the image.
    """

    #: ipywidgets 8's browser side looks at an image's description before it sets the tooltip, and fails without one.
    description = Unicode("").tag(sync=True)

    @property
    def name(self) -> str | None:
        return getattr(self, "tooltip", None)

    @name.setter
    def name(self, text: str) -> None:
        if self.has_trait("tooltip"):
            self.tooltip = text


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
        if not (alt or "").strip():
            raise ValueError(f"alt must be a sentence that says what the figure shows, got {alt!r}")
        self.controls = {name: control_of(name, given) for name, given in controls.items()}
        self.alt = alt
        self.image = Picture(format="png", layout=widgets.Layout(width="100%", max_width=_width(figure)))
        self.image.add_class("course-live")
        self.image.name = alt
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
        row = widgets.HBox(list(self.controls.values()), layout=widgets.Layout(flex_flow="row wrap"))
        names = widgets.HTML(NAMES, layout=widgets.Layout(height="0", margin="0"))
        beside = [] if self.image.name else [widgets.HTML(f'<span style="{UNSEEN}">Figure: {html.escape(alt)}</span>')]
        super().__init__([row, *beside, self.image, self.caption, self.message, names])
        self.add_class("course-figure")
        self._show(self._frame())  # something to look at even when the first update raises
        self.draw()
        for control in self.controls.values():
            control.observe(self.draw, names="value")

    def draw(self, change=None) -> None:
        """Draw one frame from the controls' present values."""
        with TURN:
            self._draw()

    def _draw(self) -> None:
        try:
            caption = self._update(**{name: control.value for name, control in self.controls.items()})
            self._canvas.restore_region(self._background)
            for artist in self._artists:
                artist.axes.draw_artist(artist)
        except Exception as error:
            self.message.value = explain(error)
        else:
            frame = self._frame()
            self._palette = self._palette or _palette(frame)
            self._show(frame.quantize(palette=self._palette, dither=Image.Dither.NONE))
            self.caption.value = f'<span role="status" style="font-size:1.15em">{html.escape(caption or "")}</span>'
            self.message.value = ""

    _ipython_display_ = None  # ipywidgets 7 shows itself by this and would leave the picture out

    def _repr_mimebundle_(self, **kwargs) -> tuple[dict, dict]:
        """What a display message holds: the widget, and for readers without a kernel the present frame and its text."""
        data, metadata = words.shown(self.image.value, self.alt)
        view = {"version_major": 2, "version_minor": 0, "model_id": self.model_id}
        return data | {"application/vnd.jupyter.widget-view+json": view}, metadata

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


def control_of(name: str, given) -> widgets.Widget:
    control = given if isinstance(given, widgets.Widget) else interactive.widget_from_abbrev(given)
    if control is None:
        raise ValueError(f"{name}={given!r} is not a control: give a widget, (low, high[, step]), a list or a bool")
    if not control.description:
        control.description = name.replace("_", " ")
    control.style.description_width = "initial"
    if control.layout.width is None:  # a long label leaves the track its length
        control.layout.width = f"{20 + 0.6 * len(control.description):.0f}em"
    return control


def explain(error: Exception) -> str:
    """One line of HTML: what was raised and, where it was raised in a notebook's cell, by which line."""
    where = ""
    for frame in traceback.extract_tb(error.__traceback__):
        if frame.filename.startswith("<") or "ipykernel_" in frame.filename:
            where = f" (in {frame.name}, line {frame.lineno}: {frame.line})"
    text = f"{type(error).__name__}: {error}{where}"
    return f'<pre role="alert" style="color:{style.MESSAGE}; white-space:pre-wrap">{html.escape(text)}</pre>'
