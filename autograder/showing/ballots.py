"""The class predicts: on a demo page, each viewer's prediction is counted where all pages can see it.

Every viewer has a kernel. A prediction is one line that a kernel appends to a file of the demo, and each page with a
question looks at the file twice a second. A line holds the question and the value: no name, no address, no time; and
the value that it takes the place of, where a viewer's last answer came after the press. Who leaves keeps counting, and
who opens the page again may predict again. `make demo` begins with no predictions.
"""

import html
import json
import statistics
from collections import Counter
from pathlib import Path

import ipywidgets as widgets
from tornado.ioloop import PeriodicCallback

from autograder import ROOT
from course import style
from course.live import Live
from course.predict import Predict, Question

FILE = ROOT / ".make" / "demo" / "predictions.jsonl"
LOOK = 500  # milliseconds between two looks at the file
MOST_BARS = 8


def add(path: Path, question: Question, value, instead_of=None) -> str:
    """Append the prediction `value` to the file, in the place of `instead_of`, which was appended before, if given.

    Returns a sentence where that is not possible, else "".
    """
    told = {"question": question.text, "value": value}
    line = json.dumps(told if instead_of is None else told | {"instead_of": instead_of}) + "\n"
    try:
        with path.open("a", encoding="utf-8") as file:  # one short write at the end: pages do not disturb each other
            file.write(line)
    except OSError as error:
        return f" (Not counted: {path.name} cannot be written, {error.strerror}.)"
    return ""


def read(path: Path, question: Question) -> tuple[list, int]:
    """(values predicted for the question, lines of the file that are no prediction). Raises OSError."""
    if not path.exists():
        return [], 0
    values, damaged = [], 0
    for line in path.read_bytes().splitlines():
        try:
            told = json.loads(line)
            if told["question"] == question.text:
                value = question.require(told["value"])
                if "instead_of" in told:
                    values.remove(question.require(told["instead_of"]))
                values.append(value)
        except (ValueError, TypeError, KeyError, RecursionError):
            damaged += 1
    return values, damaged


def bars(question: Question, values: list) -> list[tuple[str, int]]:
    """How many predicted what: (what, number) for each choice, or for each stretch of a slider with many values."""
    every = -(-len(question.values) // MOST_BARS) if question.slider else 1
    counts = Counter(question.values.index(value) // every for value in values)
    stretches = [question.values[start : start + every] for start in range(0, len(question.values), every)]
    names = [
        question.words(each[0]) if len(each) == 1 else f"{each[0]:g} to {question.words(each[-1])}"
        for each in stretches
    ]
    return [(name, counts[index]) for index, name in enumerate(names)]


def summary(question: Question, values: list) -> str:
    """The predictions in one line, for beside the open figure."""
    if not values:
        return "Nobody predicted."
    head = f"{len(values)} prediction{'s' * (len(values) != 1)}: "
    if question.slider is None:
        return head + ", ".join(f"{name} {count}" for name, count in bars(question, values)) + "."
    low, middle, high = (question.words(each) for each in (min(values), statistics.median_low(values), max(values)))
    return head + (f"{low}." if low == high else f"{low} to {high}, the middle one {middle}.")


class Ballot(Predict):
    """A question of a demo page: it counts with `file` what all pages predict, and keeps nothing of its own."""

    SKIP = "Show"

    def __init__(self, live: Live, question: str, *, file: str, **answers):
        self._file, self._seen, self._opened, self._counted = Path(file), None, False, None
        self.counts = widgets.HTML()
        self.counts.add_class("course-counts")
        super().__init__(live, question, **answers)
        self.box.children = (*self.box.children, self.counts)
        self.count()
        self._looking = PeriodicCallback(self.count, LOOK)
        self._looking.start()

    def kept(self) -> None:
        """Nothing: each page that is opened is asked."""

    def keep(self, value) -> str:
        note = "" if value is None else add(self._file, self.question, value, self._counted)
        self._counted = self._counted if note else value
        return note

    def reveal(self, value, note: str = "") -> None:
        super().reveal(value, note)
        self._opened, self._seen = True, None
        self.box.children = (*self.box.children, self.counts)
        self.count()

    def count(self) -> None:
        """Show how many have predicted what, if the file has changed."""
        try:
            about = self._file.stat() if self._file.exists() else None
            seen = (about.st_mtime_ns, about.st_size) if about else ()
            if seen == self._seen:
                return
            self._seen = seen
            values, damaged = read(self._file, self.question)
        except OSError as error:
            return self._show(_alert(f"{self._file.name} cannot be read ({error.strerror}): start make demo again."))
        note = f"{damaged} line{'s' * (damaged != 1)} of {self._file.name} cannot be read and do not count: "
        self._show(
            (html.escape(summary(self.question, values)) if self._opened else _table(self.question, values))
            + (_alert(f"{note}start make demo again for an empty file.") if damaged else "")
        )

    def _show(self, shown: str) -> None:
        if self.counts.value != shown:
            self.counts.value = shown


def _table(question: Question, values: list) -> str:
    """A number and bars; before anybody has predicted, the number alone."""
    head = f"<p>{len(values)} prediction{'s' * (len(values) != 1)} so far</p>"
    counted = bars(question, values)
    most = max(count for _, count in counted)
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td><span style='width:{100 * count / most:.3g}%'></span></td>"
        f"<td>{count}</td></tr>"
        for name, count in counted
        if most
    )
    return f"{head}<table>{rows}</table>" if rows else head


def _alert(words: str) -> str:
    return f'<p role="alert" style="color:{style.MESSAGE}">{html.escape(words)}</p>'
