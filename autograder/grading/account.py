"""The closing account of one command: what became of each folder of submitted/, and who needs a look.

It cannot break off. It is printed, and kept in autograded/CHAPTER_account.txt for those whose terminal is gone.
"""

import contextlib
import os
import sys
import textwrap
import time
from pathlib import Path

#: What becomes of a folder, in the order of the account. Each stands in one of these.
STATES = {
    "graded": "",
    "graded before": "nothing changed since",
    "unreadable": "0 points, and the feedback page says why",
    "not graded": "the machine's fault: the next nbgrader autograde grades them",
    "no notebook": "the folder holds none",
    "nothing handed in": "no folder for this chapter",
    "not a student's": "no folder, or a name that cannot be a student's",
}
#: What is worth a look beside that.
REMARKS = {
    "repaired": "graded after the notebook was mended",
    "stopped": "something was interrupted, ended or cut while the notebook ran",
    "points by hand": "a person's points stand; the notebook was graded anew since",
    "noticed": "",
}
LOOK = {"unreadable", "no notebook", "stopped", "points by hand", "not a student's"}


class Account:
    """Who became what, and why. rows: {state: {student: why}}."""

    def __init__(self, chapter: str):
        self.chapter, self._started = chapter, time.monotonic()
        self.rows: dict[str, dict[str, str]] = {name: {} for name in (*STATES, *REMARKS)}

    def is_(self, state: str, student: str, why: str = "") -> None:
        """A folder has one state: a later one replaces it."""
        for other in STATES:
            self.rows[other].pop(student, None)
        self.rows[state][student] = why

    def remark(self, kind: str, student: str, why: str) -> None:
        before = self.rows[kind].get(student)
        self.rows[kind][student] = f"{before}; {why}" if before else why

    @property
    def needs_a_look(self) -> bool:
        return any(self.rows[name] for name in LOOK)

    @property
    def not_graded(self) -> dict[str, str]:
        return self.rows["not graded"]

    def text(self) -> str:
        """The account in lines of at most 120 characters, names of any kind made printable."""
        graded = len(self.rows["graded"]) + len(self.rows["unreadable"])
        seconds = time.monotonic() - self._started
        each = f", {seconds / graded:.1f} s each" if graded else ""
        lines = [f"{self.chapter}: {graded} submissions graded in {seconds:.0f} s{each}"]
        for name, means in {**STATES, **REMARKS}.items():
            if found := self.rows[name]:
                lines.append(f"  {name:<17} {len(found):4}" + f"   ({means})" * bool(means))
                silent = [student for student, why in found.items() if not why]
                if silent:
                    lines += _wrapped([shown(student) for student in sorted(silent)])
                lines += [f"      {shown(student)}: {shown(why, 400)}" for student, why in sorted(found.items()) if why]
        return "\n".join(lines)

    def close(self, folder: Path) -> None:
        """Print it, and write it to `folder`; neither can fail."""
        text = self.text()
        say(f"\n{text}")
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{self.chapter}_account.txt").write_text(f"{text}\n", "utf-8")


def _wrapped(names: list[str]) -> list[str]:
    """The names in lines; each stays in one piece."""
    whole = ", ".join(name.replace(" ", "\0") for name in names)
    wrap = textwrap.TextWrapper(114, break_on_hyphens=False, break_long_words=False)
    return [f"      {line}".replace("\0", " ") for line in wrap.wrap(whole)]


def shown(text, most: int = 80) -> str:
    """A name or a reason as it can be printed anywhere: one line, no controls, not too long."""
    text = str(text)
    with contextlib.suppress(UnicodeEncodeError):  # a file's name that is no UTF-8 shows its bytes
        text = os.fsencode(text).decode("utf-8", "backslashreplace")
    text = " ".join(text[: 10 * most].split())
    text = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def say(text: str) -> None:
    """Print a line where somebody may be reading; where nobody can, that is no reason to stop."""
    try:
        with contextlib.suppress(AttributeError):
            sys.stdout.reconfigure(errors="backslashreplace")
        print(text, flush=True)
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (the exit's own flush must not fail either)


def hold_streams() -> None:
    """Open what a person closed (`>&-`): else the next file, maybe the gradebook, takes the stream's number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
