"""Finds the answers among a submission's cells: whole or in parts, once or often, with their mark or without."""

import re

from autograder.grading.form import COPIES, Form
from autograder.grading.notebook_bytes import Cell
from autograder.grading.python_text import Reader

PARTS = 8  # cells into which one answer may have been split

Found = dict[str, list[Cell]]  # {grade_id of an answer cell: the submitted cells that hold that answer, in order}


def joined(cells: list[Cell], form: Form, reader: Reader) -> tuple[list[Cell], list[str]]:
    """`cells`, with an answer that was split made one cell again, and what was done."""
    kept: list[Cell] = []
    parts: list[Cell] = []  # an answer cell and the cells right behind it, which may be parts of it
    said: dict[str, None] = {}
    for cell in cells:
        behind = bool(parts) and cell.kind == "code" and cell.mark in ("", parts[0].mark)
        if behind and (whole := _whole([*parts, cell], reader)):
            del kept[len(kept) - len(parts) :]
            said[f"{parts[0].mark}: its parts were joined"] = None
            parts = [Cell("code", whole, parts[0].mark, cell.outputs, cell.count)]
            kept += parts
            continue
        kept.append(cell)
        part = behind and len(parts) + 1 < PARTS and cell.source.strip() not in form.known
        if cell.mark in form.exercises and not (part and not reader(cell.source).sound):
            parts = [cell]
        else:
            parts = [*parts, cell] if part else []
    return kept, list(said)


def _whole(parts: list[Cell], reader: Reader) -> str | None:
    """The parts as one text, if that is Python and the first or the last is none by itself."""
    first, last = reader(parts[0].source).sound, reader(parts[-1].source).sound
    if first and last:
        return None
    ways = ["\n"] if first or last else ["\n", ""]  # split between two lines, or within one
    texts = (way.join(part.source for part in parts) for way in ways)
    return next((text for text in texts if reader(text).sound), None)


def find(cells: list[Cell], form: Form, reader: Reader) -> tuple[Found, list[str]]:
    """The answers, and what was unusual about them."""
    found: Found = {}
    for cell in cells:
        if cell.mark in form.exercises:
            found.setdefault(cell.mark, []).append(cell)
    said = [f"{name}: was {those[0].kind}, made code again" for name, those in found.items() if those[0].kind != "code"]
    said += [f"{name}: {len(those)} copies made one" for name, those in found.items() if len(those) > 1]
    missing = {name: form.names[name] - _defined(name, found, form, reader) for name in form.exercises}
    for name, (strays, where) in _strays(cells, missing, form, reader).items():
        either = {id(cell) for cell in [*found.get(name, []), *strays]}
        found[name] = [cell for cell in cells if id(cell) in either]
        said.append(f"{name}: found in {where}")
    return found, said


def answered(found: Found, form: Form, reader: Reader) -> int:
    """How many exercises have an answer that defines what it should; whether it is right is another matter."""
    return sum(
        bool(form.worked_on(name, those, reader)) and form.names[name] <= _defined(name, found, form, reader)
        for name, those in found.items()
    )


def _defined(name: str, found: Found, form: Form, reader: Reader) -> set[str]:
    worked_on = form.worked_on(name, found.get(name, []), reader)
    return {defined for cell in worked_on for defined in reader(cell.source).names}


def _strays(cells: list[Cell], missing: dict[str, set[str]], form: Form, reader: Reader) -> dict:
    """{exercise: (cells that define what it lacks, where they are)}.

    Looked for in code without a mark, then in other cells with a mark, then in text.
    """
    strays: dict[str, tuple[list[Cell], str]] = {}
    wanted = {name for names in missing.values() for name in names}
    if not wanted:
        return strays
    mentioned = re.compile("|".join(map(re.escape, sorted(wanted))))
    others = [cell for cell in cells if cell.source.strip() not in form.known and mentioned.search(cell.source)]
    places = {
        "a cell without its mark": [cell for cell in others if not cell.mark and cell.kind == "code"],
        "another exercise's cell": [cell for cell in others if cell.mark],
        "a text cell without its mark": [cell for cell in others if not cell.mark and cell.kind != "code"],
    }
    for where, candidates in places.items():
        defining: dict[str, list[Cell]] = {}
        for cell in candidates:
            for name in reader(cell.source).names & wanted:
                defining.setdefault(name, []).append(cell)
        for exercise, lacks in missing.items():
            those = [cell for name in sorted(lacks) for cell in defining.get(name, []) if cell.mark != exercise]
            if exercise not in strays and form.worked_on(exercise, those, reader):
                strays[exercise] = those[-COPIES:], where
    return strays
