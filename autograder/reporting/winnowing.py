"""Fingerprints of Python code that renaming, moving, commenting and another layout leave as they are.

Winnowing (Saul Schleimer, Daniel S. Wilkerson, Alex Aiken: Winnowing, local algorithms for document fingerprinting,
SIGMOD 2003): of the hashes of each WINDOW runs of RUN tokens the smallest is kept. What is shorter than RUN tokens is
never seen, what is as long as RUN + WINDOW - 1 always is.
"""

import builtins
import io
import keyword
import tokenize
import zlib
from typing import NamedTuple

RUN, WINDOW = 12, 5
MOST = 100_000  # characters of a source that are read
BASE, PRIME = 1_000_003, 2**61 - 1  # of Karp's and Rabin's rolling hash
KEPT = {*keyword.kwlist, *dir(builtins)}
LAYOUT = (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
#: From Python 3.12 on an f-string is many tokens.
BEGINS, ENDS = getattr(tokenize, "FSTRING_START", None), getattr(tokenize, "FSTRING_END", None)


class Token(NamedTuple):
    """A token in the form that is compared, and the lines on which it stands, counted from 0."""

    text: str
    first: int
    last: int


def tokens(source: str) -> list[Token]:
    """Keywords, built-in names, operators and what follows a dot stay; other names become one, numbers and texts too.

    Layout, comments, docstrings and brackets that only group are left out. What is no Python is read up to where it
    stops to be.
    """
    found: list[Token] = []
    raw, calls = _raw(source), []
    for before, one, after in zip([None, *raw], raw, [*raw[1:], None], strict=False):
        kind, text = one.type, one.string
        if kind in LAYOUT or text == ";":
            continue
        if kind == tokenize.STRING:
            if _begins_a_line(before) and (after is None or after.type in (tokenize.NEWLINE, tokenize.ENDMARKER)):
                continue  # a docstring
            text = '""'
        elif kind == tokenize.NUMBER:
            text = "0"
        elif kind == tokenize.NAME and text not in KEPT and (before is None or before.string != "."):
            text = "name"
        elif text in (")", "]", "}") and found and found[-1].text == ",":
            found.pop()
        if text == "(":
            calls.append(_can_be_called(before))
        if (text == "(" and not calls[-1]) or (text == ")" and calls and not calls.pop()):
            continue
        found.append(Token(text, one.start[0] - 1, one.end[0] - 1))
    return found


def _raw(source: str) -> list[tokenize.TokenInfo]:
    """Python's own tokens as far as they go, an f-string as one, without comments and blank lines."""
    found: list[tokenize.TokenInfo] = []
    depth, begins = 0, (1, 0)
    try:
        for one in tokenize.generate_tokens(io.StringIO(source[:MOST]).readline):
            if one.type == BEGINS:
                depth += 1
                begins = one.start if depth == 1 else begins
            elif one.type == ENDS:
                depth -= 1
                if not depth:
                    found.append(one._replace(type=tokenize.STRING, string='""', start=begins))
            elif not depth and one.type not in (tokenize.NL, tokenize.COMMENT):
                found.append(one)
    except Exception:  # whatever a learner has written
        pass
    return found


def _can_be_called(before: tokenize.TokenInfo | None) -> bool:
    if before is None or before.string in keyword.kwlist:
        return False
    return before.type == tokenize.NAME or before.string in (")", "]")


def _begins_a_line(before: tokenize.TokenInfo | None) -> bool:
    return before is None or before.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)


def hashes(found: list[Token]) -> list[int]:
    """The hash of each run of RUN tokens, by its first token's place."""
    codes = [zlib.crc32(token.text.encode("utf-8", "replace")) for token in found]
    leaves, value, all_hashes = pow(BASE, RUN, PRIME), 0, []
    for place, code in enumerate(codes):
        value = (value * BASE + code - (leaves * codes[place - RUN] if place >= RUN else 0)) % PRIME
        if place >= RUN - 1:
            all_hashes.append(value)
    return all_hashes


def chosen(all_hashes: list[int]) -> dict[int, int]:
    """{fingerprint: place} of the smallest hash in each window, of equals the last one."""
    kept: dict[int, int] = {}
    for begin in range(max(1, len(all_hashes) - WINDOW + 1) if all_hashes else 0):
        window = all_hashes[begin : begin + WINDOW]
        least = min(window)
        kept[least] = begin + len(window) - 1 - window[::-1].index(least)
    return kept
