"""The cells in the bytes of a submitted file, whatever program wrote them and whatever happened to them on the way.

Of a file only its cells are taken: their kind, source, nbgrader's mark and outputs. Its metadata say nothing that
grading believes. Every size is bounded, and whatever is no notebook raises Unreadable with a reason for people.
"""

import codecs
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import nbformat
from nbformat import NotebookNode

LIMIT = 256 * 2**20  # bytes of a submitted notebook, unpacked
BRACKETS, COMMAS = 10_000_000, 30_000_000  # lists and values in it: each takes memory, however small it is
DEPTH = 60  # nesting that is read where there is too much; what lies deeper (in metadata, in outputs) is left out
DEEP = 32 * 2**20  # characters of such a file
WRAPPERS = 1000  # places that are searched for a notebook which lies inside something else
ODD_BYTES = 10_000  # up to so many bytes are put right one by one
TYPES = {"code": "code", "markdown": "markdown", "heading": "markdown", "html": "markdown"}
NAMED = re.compile(r"(?:^|/)[^._][^/]*\.ipynb$", re.IGNORECASE)  # a notebook in an archive
BLANK = "\ufeff\0 \t\r\n"
DECODER = json.JSONDecoder(strict=False)
PATIENT = json.JSONDecoder(strict=False, parse_int=lambda digits: int(digits[:18]))  # Python refuses 5,000 digits
CONFLICT = [re.compile(rf"^{mark}{{7}}(?: |$)", re.MULTILINE) for mark in "<>"]
CONTROL = {code: None for code in range(32) if chr(code) not in "\t\n\f\r\x1b"}
#: What people hand in instead, by how it begins.
OTHERS = {
    r"%PDF": "it is a PDF",
    r"(?i)<(?:!doctype|html|\?xml)": "it is a web page",
    r"PK\x03\x04": "it is a zip archive or an office document without one notebook in it",
    r"version https://git-lfs": "it is git's pointer to a large file, not the file",
    r"\{\\rtf": "it is a text document",
    r"https?://": "it is a link; a link cannot be graded",
    r"# %%|#!|import |from |def ": "it is a Python script",
}


class Unreadable(Exception):
    """What was submitted is not this chapter's notebook; the message says what it is."""


@dataclass(eq=False)
class Cell:
    """A submitted cell. mark: nbgrader's grade_id, or ""."""

    kind: str
    source: str
    mark: str = ""
    outputs: list = field(default_factory=list)
    count: object = None


def read(raw: bytes) -> NotebookNode:
    """The notebook in the bytes of a file: sources and nbgrader's marks, and nothing else; raises Unreadable."""
    nodes = []
    for index, cell in enumerate(cells(raw)[0]):
        mark = {"nbgrader": {"grade_id": cell.mark}} if cell.mark else {}
        nodes.append({"id": f"cell-{index}", "cell_type": cell.kind, "metadata": mark, "source": cell.source})
        if cell.kind == "code":
            nodes[-1] |= {"outputs": [], "execution_count": None}
    return nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": nodes})


def cells(raw: bytes) -> tuple[list[Cell], list[str]]:
    """The cells, and what was odd about the file; raises Unreadable."""
    if len(raw) > LIMIT:
        raise Unreadable(f"the file is larger than {LIMIT >> 20} MiB")
    if not raw.strip(BLANK.encode("utf-8")):
        raise Unreadable("the file is empty")
    raw, said = _unpacked(raw)
    text = _decoded(raw).lstrip(BLANK)
    if text.count("[") + text.count("{") > BRACKETS or text.count(",") > COMMAS:
        raise Unreadable("the file is not a notebook: it holds millions of values")
    data, end = _value(text)
    if text[end:].strip(BLANK):
        said.append("what followed the notebook in its file was left out")
    found, wrapped = _notebook_in(data)
    if found is None:
        raise Unreadable("the file is JSON, but not a notebook")
    if wrapped:
        said.append("the notebook lay inside something else")
    return [as_cell(one) for one in _raw_cells(found) if isinstance(one, dict)], said


def _unpacked(raw: bytes) -> tuple[bytes, list[str]]:
    """What a compressed file holds, cut at the limit so that no archive can fill the memory."""
    try:
        if raw.startswith(b"\x1f\x8b"):
            return _limited(zlib.decompressobj(wbits=31).decompress(raw, LIMIT + 1)), ["the file was compressed"]
        if raw.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(io.BytesIO(raw)) as archive:
                inside = [one for one in archive.infolist() if NAMED.search(one.filename)]
                if len(inside) == 1:
                    with archive.open(inside[0]) as file:
                        return _limited(file.read(LIMIT + 1)), ["the file was a zip archive"]
    except Unreadable:
        raise
    except Exception:  # damaged, encrypted, or packed in a way of its own
        raise Unreadable("the file is a compressed file that cannot be unpacked") from None
    return raw, []


def _limited(raw: bytes) -> bytes:
    if len(raw) > LIMIT:
        raise Unreadable(f"the file is larger than {LIMIT >> 20} MiB")
    return raw


def _decoded(raw: bytes) -> str:
    """The text in any Unicode encoding; single bytes that are no UTF-8 are taken for Windows' old alphabet."""
    encoding = json.detect_encoding(raw)
    if not encoding.startswith("utf-8"):
        return raw.decode(encoding, "replace")
    odd = raw.decode(encoding, "replace").count("\ufffd")
    return raw.decode(encoding, "old_alphabet") if odd < ODD_BYTES else raw.decode("latin-1")


def _old_alphabet(error: UnicodeDecodeError) -> tuple[str, int]:
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("old_alphabet", _old_alphabet)


def _value(text: str) -> tuple[object, int]:
    """The JSON value that the text begins with, and where it ends; raises Unreadable."""
    try:
        return DECODER.raw_decode(text)
    except json.JSONDecodeError:
        raise Unreadable(f"the file is not a notebook: {_what(text)}") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, or nested too deeply
        pass
    try:
        return PATIENT.raw_decode(_shallow(text))[0], len(text)
    except (ValueError, RecursionError):
        raise Unreadable("the file is not a notebook: it is not JSON") from None


def _what(text: str) -> str:
    """What a text is that is no JSON."""
    if all(mark.search(text) for mark in CONFLICT):
        return "it holds the conflict markers of a git merge (<<<<<<<)"
    for begins, what in OTHERS.items():
        if re.match(begins, text):
            return what
    if '"cells"' in text and not text.rstrip(BLANK).endswith("}"):
        return "it breaks off in the middle"
    return "it is not JSON"


def _shallow(text: str) -> str:
    """The same JSON with null in place of what is nested deeper than `DEPTH`."""
    if len(text) > DEEP:
        raise Unreadable("the file is not a notebook: it is nested without end")
    kept, depth, begin, quoted = [], 0, 0, False
    for token in re.finditer(r'\\.|["\[\]{}]', text, re.DOTALL):
        if token[0] == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif token[0] in "[{":
            depth += 1
            if depth == DEPTH + 1:
                kept += [text[begin : token.start()], "null"]
        elif token[0] in "]}":
            depth -= 1
            if depth == DEPTH:
                begin = token.end()
    return "".join([*kept, text[begin:] if depth <= DEPTH else ""])


def _notebook_in(data: object) -> tuple[dict | None, bool]:
    """The object that has a notebook's cells, and whether it lay inside something else: a list, an answer of Jupyter's
    contents API, a text.
    """
    places = [data]
    for place in places:
        if isinstance(place, str) and place.lstrip(BLANK)[:1] in ("{", "["):
            place = _inner(place)
        if isinstance(place, list) and any(isinstance(one, dict) and "cell_type" in one for one in place):
            place = {"cells": place}
        if isinstance(place, dict) and any(isinstance(place.get(key), (list, dict)) for key in ("cells", "worksheets")):
            return place, place is not data
        inside = place.values() if isinstance(place, dict) else place if isinstance(place, list) else ()
        for one in inside:
            if len(places) < WRAPPERS and isinstance(one, (dict, list, str)):
                places.append(one)
    return None, False


def _inner(text: str) -> object:
    try:
        return _value(text.lstrip(BLANK))[0]
    except Unreadable:
        return None


def _raw_cells(found: dict) -> list:
    """The cells of all formats: 4 has one list, 3 and 2 have worksheets with a list each."""
    sheets = [sheet.get("cells") for sheet in _members(found.get("worksheets")) if isinstance(sheet, dict)]
    return [cell for group in (found.get("cells"), *sheets) for cell in _members(group)]


def _members(value: object) -> Iterable:
    return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()


def as_cell(raw: dict) -> Cell:
    """The cell with its source as one text that UTF-8 can hold, with Unix line ends."""
    source = _source(raw.get("source", raw.get("input")))
    kind = raw.get("cell_type")
    if not isinstance(kind, str):
        kind = "code" if {"outputs", "execution_count", "input"} & raw.keys() else "raw"
    if kind == "heading":
        source = f"# {source}"
    metadata = raw.get("metadata")
    given = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    mark = given.get("grade_id") if isinstance(given, dict) else None
    return Cell(
        TYPES.get(kind, "raw"),
        source,
        mark if isinstance(mark, str) else "",
        raw["outputs"] if isinstance(raw.get("outputs"), list) else [],
        raw.get("execution_count"),
    )


def _source(value: object) -> str:
    if isinstance(value, list):
        lines = [str(line) for line in value if isinstance(line, (str, int, float)) and not isinstance(line, bool)]
        # Some programs write lines without their ends; others write a text as a list of its characters.
        bare = any(len(line) > 1 for line in lines) and not any(line.endswith(("\n", "\r")) for line in lines[:-1])
        value = ("\n" if bare else "").join(lines)
    elif isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return ""
    text = str(value).replace("\r\n", "\n").replace("\r", "\n").translate(CONTROL)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # halves of characters: two that belong together become one again
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
