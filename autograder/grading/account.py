"""The closing account of one command: what became of each folder of submitted/, and who needs a look.

It cannot break off. It is printed, and kept in autograded/CHAPTER_account.txt for those whose terminal is gone.
"""

import contextlib
import os
import sys
import time
from pathlib import Path

from autograder.collecting.account import Rows, say

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


class Account(Rows):
    """Of one command that grades."""

    def __init__(self, chapter: str):
        super().__init__(chapter, (STATES,), REMARKS, LOOK, wide=17)
        self._started = time.monotonic()

    @property
    def not_graded(self) -> dict[str, str]:
        return self.rows["not graded"]

    def text(self) -> str:
        graded = len(self.rows["graded"]) + len(self.rows["unreadable"])
        seconds = time.monotonic() - self._started
        each = f", {seconds / graded:.1f} s each" if graded else ""
        return "\n".join([f"{self.chapter}: {graded} submissions graded in {seconds:.0f} s{each}", *self.lines()])

    def close(self, folder: Path) -> None:
        """Print it, and write it to `folder`; neither can fail."""
        text = self.text()
        say(f"\n{text}")
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{self.chapter}_account.txt").write_text(f"{text}\n", "utf-8")


def hold_streams() -> None:
    """Open what a person closed (`>&-`): else the next file, maybe the gradebook, takes the stream's number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
