"""The answer bank: right answers of different styles and wrong ones, each a named misconception.

`chNN.py` is percent text. A code cell is one answer: `# %% exercise="1.5" right="plain loop"` or
`# %% exercise="1.5" wrong="counts 256 steps"`. It stands where the learner's answer cell stands. Where better
answers earn more, `earns=6` says what a right one gets. `likely=true` marks the mistakes of a Build or Debug
exercise that are made most often: its visible checks catch them.
"""

from pathlib import Path
from typing import NamedTuple

import jupytext


class Answer(NamedTuple):
    """One answer of the bank: the exercise's number, whether it is right, what it is, its code, and its points.

    earns: None for all points where it is right, and for fewer where it is wrong. likely: the visible checks catch it.
    """

    exercise: str
    right: bool
    name: str
    source: str
    earns: float | None = None
    likely: bool = False


def answers(chapter: str) -> list[Answer]:
    """All answers to a chapter, such as "ch01_quantization", in the bank's order."""
    path = Path(__file__).parent / f"{chapter[:4]}.py"
    return [
        Answer(
            cell.metadata["exercise"],
            "right" in cell.metadata,
            cell.metadata.get("right") or cell.metadata["wrong"],
            cell.source,
            cell.metadata.get("earns"),
            cell.metadata.get("likely", False),
        )
        for cell in jupytext.read(path).cells
        if cell.cell_type == "code"
    ]
