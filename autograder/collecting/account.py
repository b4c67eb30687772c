"""The closing account of one collection: each person and each upload once, with what became of it."""

import contextlib
import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

#: What becomes of a person, in the order of the account. Each stands in one of these.
PEOPLE = {
    "collected": "",
    "replaced": "by a newer upload; what was there is kept in {replaced}",
    "unchanged": "in submitted/ already",
    "newer there": "what is in submitted/ is newer than this upload, and stays",
    "in doubt": "what is in submitted/ stays: nothing says that this upload is newer. --force takes it",
    "not collected": "the machine's fault: the next nbgrader zip_collect collects them",
    "no upload": "in submitted/ already, and nothing of theirs was uploaded here",
    "missing": "on the roster, and nothing of theirs is here",
}
#: What becomes of an upload of which nothing was taken.
UPLOADS = {
    "older": "replaced by a newer one of the same person",
    "skipped": "nothing of it was taken",
    "left aside": "no notebook, no archive, and nobody's name",
}
#: What is worth a look beside that.
REMARKS = {
    "noticed": "",
    "namesakes": "told apart by the platform's number only; roster.csv can give each an id",
    "not on roster": "the id is the name that the upload has",
    "late": "so says the platform, without a time: for a penalty, write a timestamp.txt",
}
LOOK = {"in doubt", "skipped", "noticed", "namesakes", "not on roster"}


class Rows:
    """Who became what, and why: what the accounts of collecting and of grading are made of.

    states: groups of {state: what it means}; whoever is accounted for has one state of each group at most.
    remarks: {kind: what it means} beside that. look: which of both somebody should look at. wide: of their names.
    rows: {state or remark: {who: why}}.
    """

    def __init__(self, chapter: str, states: Sequence[dict[str, str]], remarks: dict[str, str], look: set, wide: int):
        self.chapter, self._states, self._look, self._wide = chapter, states, look, wide
        self._means = {name: means for group in (*states, remarks) for name, means in group.items()}
        self.rows: dict[str, dict[str, str]] = {name: {} for name in self._means}

    def is_(self, state: str, who: str, why: str = "") -> None:
        """A later state replaces an earlier one."""
        for other in next(group for group in self._states if state in group):
            self.rows[other].pop(who, None)
        self.rows[state][who] = why

    def remark(self, kind: str, who: str, why: str = "") -> None:
        before = self.rows[kind].get(who)
        self.rows[kind][who] = f"{before}; {why}" if before else why

    @property
    def needs_a_look(self) -> bool:
        return any(self.rows[name] for name in self._look)

    def lines(self) -> list[str]:
        """Lines of at most 120 characters, names of any kind made printable."""
        lines = []
        for name, means in self._means.items():
            if found := self.rows[name]:
                lines.append(f"  {name:<{self._wide}} {len(found):4}" + f"   ({means})" * bool(means))
                silent = [shown(who) for who, why in sorted(found.items()) if not why]
                lines += _wrapped(silent) if silent else []
                lines += [f"      {shown(who)}: {shown(why, 400)}" for who, why in sorted(found.items()) if why]
        return lines


class Account(Rows):
    """Of one collection. replaced: the folder of what was replaced."""

    def __init__(self, chapter: str, replaced: str = "replaced/"):
        people = {name: means.format(replaced=replaced) for name, means in PEOPLE.items()}
        super().__init__(chapter, (people, UPLOADS), REMARKS, LOOK, wide=14)

    @property
    def not_collected(self) -> dict[str, str]:
        return self.rows["not collected"]

    def text(self) -> str:
        taken = len(self.rows["collected"]) + len(self.rows["replaced"])
        return "\n".join([f"{self.chapter}: {taken} submission{'s' * (taken != 1)} collected", *self.lines()])

    def close(self, path: Path) -> None:
        """Print it, and write it to a file; neither can fail."""
        text = self.text()
        say(f"\n{text}")
        with contextlib.suppress(OSError):
            path.write_text(f"{text}\n", "utf-8")


def _wrapped(names: list[str]) -> list[str]:
    """The names in lines; each stays in one piece."""
    wrap = textwrap.TextWrapper(114, break_on_hyphens=False, break_long_words=False)
    return [f"      {line}".replace("\0", " ") for line in wrap.wrap(", ".join(n.replace(" ", "\0") for n in names))]


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
