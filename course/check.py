"""Instant answers to the short exercises, and the learner's progress.

`check("1.1", ex_1_1)` says right or not yet. What is right is known only as salted digests, which the build made from
the chapter's source, so reading this package gives no answer away. The grade comes from hidden tests, which take any
number within 1 %, or within what the exercise says. Here digits are compared, a little more strictly: what is right
here is right there.

Progress is a small file beside the notebook. Losing it costs nothing: run the checks again. It also keeps what was
predicted before live figures (`course.predict`).
"""

import functools
import hashlib
import json
import math
import os
import re
from importlib import resources
from pathlib import Path

#: Core exercises per chapter, 0 to 9: 58 in all. Labs are graded too, but are not part of this count.
CORE = (7, 6, 6, 5, 6, 5, 6, 6, 5, 6)
PROGRESS = Path(".course_progress.json")
#: A right number times one of these is one in another unit: a share for a percentage, MB for GB.
FACTORS = tuple(10.0**power for power in (-9, -6, -3, -2, 2, 3, 6, 9))
LINE_HINT = "run the function line by line on one small input, and compare each value with what it should be."


def check(exercise: str, answer) -> None:
    """Say whether `answer` to a Derive, Trace or Design exercise is right, and keep the progress.

    exercise: its number in the text, such as "1.1". answer: a number, a letter, a list of keys, or, where an exercise
    asks for several numbers, the list of them: each gets a word of its own. Text that reads as a number is that number.
    An answer of another kind is told what kind is wanted; a hint about the idea appears from the second miss on.
    While nbgrader validates, a wrong answer raises AssertionError, so that its Validate button reports it; while it
    grades, nothing is said, because the hidden tests decide.
    """
    if os.environ.get("NBGRADER_EXECUTION") == "autograde":
        return
    known = _known(exercise)
    parts = known["parts"]
    one = len(parts) == 1
    answers = [answer] if one else list(answer) if isinstance(answer, list | tuple) else [answer]
    if any(_empty(given) for given in answers):
        return _tell(exercise, "no answer yet. Put yours into the cell above and run both cells again.")
    if not one and len(answers) != len(parts):
        names = ", ".join(part["name"] for part in parts)
        return _tell(exercise, f"not yet. {len(parts)} numbers are wanted: {names}.")
    said = [_judged(known["salt"], part, given) for part, given in zip(parts, answers, strict=True)]
    missed = [part for part, verdict in zip(parts, said, strict=True) if verdict is not None]
    if not missed:
        return _tell(exercise, "right.", right=True, done=True)
    words = "".join(f" {verdict}" for verdict in said if verdict)
    if not one:
        names = [f"{part['name']} {'not yet' if part in missed else 'is right'}" for part in parts]
        words = f" {'; '.join(names)}.{words}"
    hints = known["hints"]
    hint = "" if any(said) else hints.get(missed[0]["name"]) or hints[""]
    _tell(exercise, f"not yet.{words}", hint=hint)


def check_line(exercise: str, line) -> None:
    """Say whether `line` is the number of the first wrong line of a Debug exercise; else like `check`."""
    if os.environ.get("NBGRADER_EXECUTION") == "autograde":
        return
    known = _known(exercise)
    name = f"ex_{exercise.replace('.', '_')}_line"
    if _empty(line):
        return _tell(exercise, f"no line yet. Set {name} to the number of a line, such as 2.")
    verdict = _judged(known["salt"], known["line"], line)
    if verdict is None:
        return _tell(exercise, f"line {number_in(line):g} is the first wrong one.", right=True)
    _tell(exercise, f"line {line} is not the first wrong one, not yet. {verdict}".strip(), hint=LINE_HINT)


def passed(exercise: str) -> None:
    """Record that the visible checks of a Build or Debug exercise have passed; the last line of those checks."""
    if os.environ.get("NBGRADER_EXECUTION"):
        return
    _known(exercise)
    _tell(
        exercise, "the visible checks pass. The hidden ones also try edge cases and bad input.", right=True, done=True
    )


def show_progress(chapter: int) -> None:
    """Show the progress bars of this chapter, of its labs and of the course."""
    _display("", _load(), chapter)


def prediction(question: str) -> list | None:
    """What was predicted before a live figure, as [value], [None] if that was skipped; None where nothing is kept."""
    kept = _predictions(_load())
    return [kept[question]] if question in kept else None


def keep_prediction(question: str, value) -> str:
    """Keep a prediction, None for a skipped one; a sentence about it where the file cannot be written, else ""."""
    progress = _load()
    progress["predictions"] = _predictions(progress) | {question: value}
    return _save(progress)


def canonical(answer, digits: int = 3) -> str:
    """The text that stands for an answer in a digest: numbers to three significant digits, letters in upper case.

    digits: significant digits, more where an exercise asks for more.

    >>> canonical(0.0019608), canonical(" b "), canonical(["calibrate", "evaluate"]), canonical("2048")
    ('0.00196', 'B', 'calibrate > evaluate', '2.05e+03')
    """
    if isinstance(answer, list | tuple):
        return " > ".join(str(part).strip().lower() for part in answer)
    number = number_in(answer)
    if number is not None:
        return f"{number:.{digits}g}"
    return answer.strip().upper() if isinstance(answer, str) else f"no number, letter or list: {type(answer).__name__}"


def accepted(exact: float, within: float = 0.01) -> set[str]:
    """The texts of numbers that stand for `exact`: what rounds to them is within that share of it.

    >>> sorted(accepted(2.0))
    ['1.99', '2', '2.01']
    """
    if not exact:
        return {"0"}
    size, digits = abs(exact), digits_for(within)
    unit = 10.0 ** (math.floor(math.log10(size * 0.99)) - digits + 1)
    lowest, highest = (round((1 + side * 2 * within) * size / unit) for side in (-1, 1))
    numbers = {float(f"{k * unit:.{digits}g}") for k in range(lowest, highest + 1)}
    return {
        canonical(math.copysign(number, exact), digits)
        for number in numbers
        if abs(number - size) + 10.0 ** (math.floor(math.log10(number)) - digits + 1) / 2 <= within * size
    }


def digits_for(within: float) -> int:
    """How many significant digits tell numbers apart that differ by that share: 3 for 1 %, 4 for 0.1 %."""
    return 1 + math.ceil(-math.log10(within) - 1e-9)


def digest(salt: str, text: str) -> str:
    """16 hexadecimal digits that name an answer without showing it."""
    return hashlib.blake2b(text.encode(), salt=salt.encode(), digest_size=8).hexdigest()


def _judged(salt: str, part: dict, given) -> str | None:
    """None where `given` is right; else what to say of its kind or its unit, or "" where only the idea is missing."""
    wants, of = part["wants"], part.get("of", [])

    def fits(answer) -> bool:
        return digest(salt, canonical(answer, part.get("digits", 3))) in part["digests"]

    if wants == "number":
        number = number_in(given)
        if number is None or not math.isfinite(number):
            return _no_number(given)
        if fits(number):
            return None
        wrong_unit = number and any(fits(number * factor) for factor in FACTORS)
        return "The digits are right, the unit is not: look again at which one is asked for." if wrong_unit else ""
    if wants == "letter":
        if canonical(given) not in of:
            return f"One letter of {', '.join(of)} is wanted, in quotes."
        return None if fits(given) else ""
    if not isinstance(given, list | tuple):
        return f'A list of keys is wanted, such as ["{of[0]}", "{of[-1]}", ...].'
    if sorted(canonical([key]) for key in given) != of:
        return f"The list should have each of {', '.join(of)} once."
    return None if fits(given) else ""


def _no_number(given) -> str:
    if isinstance(given, str) and (found := re.match(r"\s*([-+]?[\d.]+(?:e[-+]?\d+)?)\s*\D*$", given, re.IGNORECASE)):
        return f"Give the number alone, without quotes or unit: {found[1]}."
    kind = {"str": "text", "list": "a list", "tuple": "a tuple", "ndarray": "an array"}
    given_kind = kind.get(type(given).__name__, str(given) if isinstance(given, float) else type(given).__name__)
    return f"A number is wanted, this is {given_kind}."


def number_in(answer) -> float | None:
    """The one number that `answer` is or reads as, else None."""
    if isinstance(answer, bool):
        return None
    try:
        return float(answer)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError: a tensor of many elements
        return None


def _empty(given) -> bool:
    if isinstance(given, list | tuple):
        return not given or any(part is None or part is ... for part in given)
    return given is None or given is ... or (isinstance(given, str) and not given.strip())


def _tell(exercise: str, words: str, *, right: bool = False, done: bool = False, hint: str = "") -> None:
    """Show the verdict and keep the progress; a wrong answer that has earned a hint counts as a miss."""
    if os.environ.get("NBGRADER_EXECUTION") == "validate":
        assert right, f"Exercise {exercise}: {words}"
        return
    progress = _load()
    if done:
        _mark_done(progress, exercise)
    if hint:
        misses = progress["misses"][exercise] = progress["misses"].get(exercise, 0) + 1
        words += f" Hint: {hint}" if misses > 1 else ""
    note = _save(progress)
    _display(f"Exercise {exercise}: {words}{note}", progress, _chapter(exercise))


def _chapter(exercise: str) -> int:
    return int(exercise.lstrip("L").split(".")[0])


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


def _predictions(progress: dict) -> dict:
    """{question: value} of the file; an older file has none, and a damaged part counts as none."""
    kept = progress.get("predictions")
    return kept if isinstance(kept, dict) else {}


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
    """Text for a terminal, the same with bars for a browser."""

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

    labs = [name for name in _all_known() if name.startswith("L") and _chapter(name) == chapter]
    core = [name for name in progress["done"] if not str(name).startswith("L")]
    bars = [
        (f"Chapter {chapter}", sum(name.split(".")[0] == str(chapter) for name in core), CORE[chapter]),
        ("its labs", sum(name in progress["done"] for name in labs), len(labs)),
        ("Course", len(core), sum(CORE)),
    ]
    display(_Verdict(say, bars))
