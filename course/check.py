"""Instant answers to the short exercises, and the learner's progress.

`check("1.1", ex_1_1)` says right or not yet. What is right is known only as salted digests, which the build made from
the chapter's source, so reading this package gives no answer away. The grade comes from hidden tests, which take any
number within 1 %. Here three digits are compared, a little more strictly: what is right here is right there.

Progress is a small file beside the notebook. Losing it costs nothing: run the checks again.
"""

import functools
import hashlib
import json
import math
import os
from importlib import resources
from pathlib import Path

#: Core exercises per chapter, 0 to 9: 58 in all. Labs are graded too, but are not part of this count.
CORE = (7, 6, 6, 5, 6, 5, 6, 6, 5, 6)
PROGRESS = Path(".course_progress.json")


def check(exercise: str, answer) -> None:
    """Say whether `answer` to a Derive, Trace or Design exercise is right, and keep the progress.

    exercise: its number in the text, such as "1.1". answer: a number, a letter, a list of keys, or, where an exercise
    asks for several numbers, the list of them.
    A hint appears from the second miss on. While nbgrader validates, a wrong answer raises AssertionError,
    so that its Validate button reports it; while it grades, nothing is said, because the hidden tests decide.
    """
    mode = os.environ.get("NBGRADER_EXECUTION")
    if mode == "autograde":
        return
    known = _known(exercise)
    parts = answer if isinstance(answer, list | tuple) else [answer]
    answered = canonical(answer) != "" and not any(part is None or part is ... for part in parts)
    right = answered and digest(known["salt"], canonical(answer)) in known["digests"]
    if mode == "validate":
        assert answered, f"Exercise {exercise} has no answer yet."
        assert right, f"Exercise {exercise}: not yet."
        return
    progress = _load()
    if right:
        say = f"Exercise {exercise}: right."
        _mark_done(progress, exercise)
    elif not answered:
        say = f"Exercise {exercise}: no answer yet. Put yours into the cell above and run both cells again."
    else:
        misses = progress["misses"][exercise] = progress["misses"].get(exercise, 0) + 1
        say = f"Exercise {exercise}: not yet." + (f" Hint: {known['hint']}" if misses > 1 else "")
    note = _save(progress)
    _display(say + note, progress, int(exercise.split(".")[0].lstrip("L")))


def passed(exercise: str) -> None:
    """Record that the visible checks of a Build or Debug exercise have passed; the last line of those checks."""
    if os.environ.get("NBGRADER_EXECUTION"):
        return
    _known(exercise)
    progress = _load()
    _mark_done(progress, exercise)
    note = _save(progress)
    say = f"Exercise {exercise}: the visible checks pass. The hidden ones also try edge cases and bad input."
    _display(say + note, progress, int(exercise.lstrip("L").split(".")[0]))


def show_progress(chapter: int) -> None:
    """Show the two progress bars, of this chapter and of the course."""
    _display("", _load(), chapter)


def canonical(answer) -> str:
    """The text that stands for an answer in a digest: numbers to three significant digits, letters in upper case.

    >>> canonical(0.0019608), canonical(" b "), canonical(["calibrate", "evaluate"]), canonical([4096, 0.5])
    ('0.00196', 'B', 'calibrate > evaluate', '4.1e+03 > 0.5')
    """
    if isinstance(answer, str):
        return answer.strip().upper()
    if isinstance(answer, list | tuple):
        return " > ".join(part.strip().lower() if isinstance(part, str) else canonical(part) for part in answer)
    try:
        return f"{float(answer):.3g}"
    except (TypeError, ValueError, OverflowError):
        return f"no number, letter or list: {type(answer).__name__}"


def accepted(exact: float) -> set[str]:
    """The numbers of three significant digits that stand for `exact`: what rounds to them is within 1 % of it.

    >>> sorted(accepted(2.0))
    ['1.99', '2', '2.01']
    """
    if not exact:
        return {"0"}
    size = abs(exact)
    unit = 10.0 ** (math.floor(math.log10(size * 0.99)) - 2)
    numbers = {float(f"{k * unit:.3g}") for k in range(round(0.98 * size / unit), round(1.02 * size / unit) + 1)}
    return {
        canonical(math.copysign(number, exact))
        for number in numbers
        if abs(number - size) + 10.0 ** (math.floor(math.log10(number)) - 2) / 2 <= 0.01 * size
    }


def digest(salt: str, text: str) -> str:
    """16 hexadecimal digits that name an answer without showing it."""
    return hashlib.blake2b(text.encode(), salt=salt.encode(), digest_size=8).hexdigest()


@functools.cache
def _all_known() -> dict:
    return json.loads(resources.files("course").joinpath("checks.json").read_text("utf-8"))


def _known(exercise: str) -> dict:
    try:
        return _all_known()[exercise]
    except KeyError:
        raise ValueError(
            f"exercise {exercise!r} is unknown to course {_version()}: use the number in the exercise's title"
        ) from None


def _version() -> str:
    from course import __version__

    return __version__


def _load() -> dict:
    fresh = {"done": [], "misses": {}}
    try:
        progress = json.loads(PROGRESS.read_text("utf-8"))
        if not (isinstance(progress["done"], list) and isinstance(progress["misses"], dict)):
            raise TypeError
    except FileNotFoundError:
        return fresh
    except (OSError, ValueError, KeyError, TypeError):
        return fresh  # damaged: the checks build it again
    return progress


def _save(progress: dict) -> str:
    """Write the file in one step; a full disk or a read-only folder must not stop anyone from learning."""
    try:
        partial = PROGRESS.with_suffix(".partial")
        partial.write_text(json.dumps(progress), "utf-8")
        partial.replace(PROGRESS)
    except OSError as error:
        return f" (Your progress could not be kept: {error.strerror} in {Path.cwd()}.)"
    return ""


def _mark_done(progress: dict, exercise: str) -> None:
    if exercise not in progress["done"]:
        progress["done"].append(exercise)


class _Verdict:
    """Text for a terminal, the same with two bars for a browser."""

    def __init__(self, say: str, bars: list[tuple[str, int, int]]):
        self.say, self.bars = say, bars

    def __repr__(self) -> str:
        counts = ", ".join(f"{name}: {done} of {total}" for name, done, total in self.bars)
        return f"{self.say}\n{counts}".strip()

    def _repr_html_(self) -> str:
        import html

        bars = "".join(
            f'<label style="margin-right:2em">{name}: {done} of {total} '
            f'<progress value="{done}" max="{total}" style="width:9em"></progress></label>'
            for name, done, total in self.bars
        )
        say = f'<div style="margin-bottom:.3em"><b>{html.escape(self.say)}</b></div>' if self.say else ""
        return f'<div role="status">{say}{bars}</div>'


def _display(say: str, progress: dict, chapter: int) -> None:
    from IPython.display import display

    core = [name for name in progress["done"] if not str(name).startswith("L")]
    here = sum(name.split(".")[0] == str(chapter) for name in core)
    display(_Verdict(say, [(f"Chapter {chapter}", here, CORE[chapter]), ("Course", len(core), sum(CORE))]))
