"""Which answers err alike, and what that is called: by the answer bank's name, or by what the answers return."""

import math
import re

import numpy as np

from autograder.reporting.behaviour import Behaviour, Heard
from course.check import canonical

CLOSE = 1e-5  # relative: other orders of summation, other precisions
SHORT_CLOSE = 0.01  # what a short answer's test allows


def name_of(behaviour: Behaviour, known: dict[str, Behaviour], short: bool) -> tuple[str, bool]:
    """(what a wrong answer is to be called, whether the bank has that name). known: the bank's, by name.

    One name for all tests that fail, or else one for each; "A, or B" where both behave so.
    """
    failing = [place for place, heard in enumerate(behaviour.heard) if heard.stop]
    if not failing:
        return "passes its tests here; it was graded otherwise", False
    known = {name: other for name, other in known.items() if other.error_kind == behaviour.error_kind}
    names = [_names(behaviour.heard[place], place, known, short) for place in failing]
    if common := set.intersection(*names):
        return ", or ".join(name for name in known if name in common), True
    titles = [
        ", or ".join(name for name in known if name in those) or said_of(behaviour.heard[place], behaviour.error, short)
        for place, those in zip(failing, names, strict=True)
    ]
    return " and ".join(dict.fromkeys(titles)), any(names)


def _names(heard: Heard, place: int, known: dict[str, Behaviour], short: bool) -> set[str]:
    """The misconceptions that fail a test like this: with all replies the same, or else with the last one."""
    for last in (False, True):
        if found := {name for name, other in known.items() if alike(heard, other.heard[place], short, last)}:
            return found
    return set()


def fail_alike(one: Behaviour, other: Behaviour, short: bool) -> bool:
    """Whether the same tests fail, each with the same last reply."""
    if (one.error_kind, one.passed) != (other.error_kind, other.passed):
        return False
    return all(alike(a, b, short, last=True) for a, b in zip(one.heard, other.heard, strict=True) if a.stop)


# ---- Alike or not ----


def alike(one: Heard, other: Heard, short: bool, last: bool = False) -> bool:
    """Whether two answers fail a test cell in the same way: at the same line, after the same replies.

    short: of a short answer, to the precision that its test asks for. last: only the last replies are compared, as
    before that each may have given what the test allows; of bytes and texts, of which no two are alike, what is said.
    """
    if one.stop is None or other.stop is None or one.stop.line != other.stop.line:
        return False
    if len(one.replies) != len(other.replies):
        return False
    if not one.replies or (last and _is_file(one.replies[-1]) and _is_file(other.replies[-1])):
        return _said(one) == _said(other)
    since = -1 if last else 0
    pairs = list(zip(one.replies, other.replies, strict=True))[since:]
    return all(_same(a, b, SHORT_CLOSE if short else CLOSE, short) for a, b in pairs)


def _said(heard: Heard) -> tuple[str, str]:
    """What a test said, without the answer's own line."""
    return heard.stop.kind, re.sub(r" \(your code, .*", "", heard.stop.message, flags=re.DOTALL)


def _is_file(plain) -> bool:
    """Whether a reply holds bytes, a text of several lines, or more than was kept."""
    if isinstance(plain, dict):
        return bool({"bytes", "large value"} & plain.keys()) or any(map(_is_file, plain.values()))
    if isinstance(plain, list):
        return any(map(_is_file, plain))
    return isinstance(plain, str) and "\n" in plain


def _same(one, other, close: float, short: bool) -> bool:
    if isinstance(one, str) and isinstance(other, str):
        return one == other or (short and canonical(one) == canonical(other))
    if type(one) is not type(other):
        return False
    if isinstance(one, list):
        return len(one) == len(other) and all(_same(a, b, close, short) for a, b in zip(one, other, strict=True))
    if not isinstance(one, dict):
        return one == other
    if "error" in one and "error" in other:
        return _same_error(one["error"], other["error"])
    if "numbers" in one and "numbers" in other:
        return _same_numbers(one["numbers"], other["numbers"], close, 0 if short else close)
    if "object" in one and "object" in other:  # of the answer's own types, whatever they are called
        return True
    return one.keys() == other.keys() and all(_same(one[key], other[key], close, short) for key in one)


def _same_error(one: list, other: list) -> bool:
    """A ValueError is the answer's own word; what Python says of other mistakes tells them apart, but for names."""
    said = [re.sub(r"'[^']*'|\d+", "", message) for _, message in (one, other)]
    return one[0] == other[0] and (one[0] == "ValueError" or said[0] == said[1])


def _same_numbers(one: list, other: list, close: float, of_the_largest: float) -> bool:
    a, b = np.asarray(one[1], float), np.asarray(other[1], float)
    if one[0] != other[0] or a.shape != b.shape:
        return False
    finite = np.abs(b[np.isfinite(b)])
    most = float(finite.max()) if finite.size else 0.0
    return bool(np.allclose(a, b, rtol=close, atol=of_the_largest * most, equal_nan=True))


# ---- In words ----


def said_of(heard: Heard, error: str, short: bool) -> str:
    """What an answer that no misconception explains does in a test cell, in a few words. error: of its own cell."""
    if error:
        return f"its cell stops with {_cut(error)}"
    if not heard.replies:
        return f"stops with: {_cut(heard.stop.message)}"
    last = heard.replies[-1]
    if "missing" in last:
        return f"defines no {last['missing']}"
    if "error" in last:
        return "raises " + _cut(": ".join(filter(None, last["error"])))
    if not short and (found := re.search(r"should give (\S+)(?: at index .+)?, it gave (\S+)$", heard.stop.message)):
        return f"gives {found[2]} where {found[1]} is expected"
    return f"{'answers' if short else 'returns'} {_words(last['value'])}"


def _words(plain) -> str:
    if not isinstance(plain, dict):
        return _cut(repr(plain))
    ((kind, content),) = plain.items()
    if kind != "numbers":
        return f"{'an' if kind == 'object' else 'a'} {kind}"
    shape, values = content
    if not values:
        return "nothing: no numbers"
    if not shape:
        return _number(values[0])
    if len(shape) == 1 and len(values) <= 4:
        return f"[{', '.join(map(_number, values))}]"
    return f"numbers of shape {tuple(shape)}, the first {_number(values[0])}"


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else str(value)


def _cut(text: str, most: int = 90) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[: most - 3]}..."
