"""`make similar`: pairs of submissions that are alike beyond what the release and the answer bank explain.

It reads submitted/ as grading does and writes a page with the passages side by side. It finds what to look at, and says
nothing about how it came about: people who learn together, or from the same page, write alike.
"""

from collections import defaultdict
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import jinja2
import nbformat

from autograder import ROOT, CourseError
from autograder.authoring import bank, build, chapters
from autograder.collecting.account import say, shown
from autograder.grading import mend, submission
from autograder.reporting.winnowing import RUN, Token, chosen, hashes, tokens

SHORT = 40  # tokens: there are few ways to write a shorter answer, so it is not compared
LEAST = 12  # what a pair shares at least; in the answer bank two right ways share up to 10
PAIRS = 40  # that are shown
AROUND = 2  # lines before and behind a passage


class Work(NamedTuple):
    """One submission's answers. prints: {fingerprint that nothing explains: (exercise, place of its first token)}."""

    student: str
    answers: dict[str, str]
    tokens: dict[str, list[Token]]
    prints: dict[int, tuple[str, int]]


class Pair(NamedTuple):
    """Two submissions. score: fingerprints that both have, each weighed by how few others have it.

    share: of the unexplained fingerprints of whoever has fewer, the part that is shared.
    """

    score: float
    share: float
    one: Work
    other: Work
    shared: list[int]


def write_all(only: list[str]) -> None:
    """Write the pages of those chapters to which somebody has submitted."""
    handed_in = [chapter for chapter in only if any(ROOT.glob(f"submitted/*/{chapter}"))]
    if not handed_in:
        raise CourseError(f"nobody has submitted {' or '.join(only)}: submitted/ holds what is compared")
    for chapter in handed_in:
        write(chapter)


def write(chapter: str) -> Path:
    """Write autograded/CHAPTER_similar.html, and print the pairs."""
    works, skipped = read_class(chapter)
    found = pairs(works)
    page = {
        "chapter": chapter,
        "many": len(works),
        "skipped": skipped,
        "total": len(found),
        "pairs": [_side_by_side(pair) for pair in found[:PAIRS]],
    }
    templates = jinja2.FileSystemLoader(Path(__file__).parent / "similar_page")
    template = jinja2.Environment(loader=templates, autoescape=True, trim_blocks=True).get_template("index.html.j2")
    path = ROOT / "autograded" / f"{chapter}_similar.html"
    path.parent.mkdir(exist_ok=True)
    path.write_text(template.render(page), "utf-8", "backslashreplace")
    noun = "pair" if len(found) == 1 else "pairs"
    say(f"{chapter}: {len(works)} submissions compared, {len(found)} {noun} to look at")
    for name, why in skipped.items():
        say(f"  skipped {shown(name)}: {shown(why)}")
    for pair in found[:PAIRS]:
        where = ", ".join(dict.fromkeys(pair.one.prints[each][0] for each in pair.shared))
        say(f"  {shown(pair.one.student)} and {shown(pair.other.student)}: {pair.share:.0%} alike, in {where}")
    if found:
        say("This accuses nobody: look at the passages, and talk with people, before you conclude anything.")
    say(f"wrote {path.relative_to(ROOT)}")
    return path


def read_class(chapter: str) -> tuple[list[Work], dict[str, str]]:
    """(everybody's answers, {who was skipped: why}), with what explains likeness left out."""
    if not chapters.release_path(chapter).exists():
        raise CourseError(f"{chapter} has no release: run make release first")
    released = nbformat.read(chapters.release_path(chapter), as_version=4)
    explained = _explained(chapter, released)
    course = build.nbgraders_api().coursedir
    course.assignment_id = chapter
    works, skipped = [], {}
    for student, path, folder in submission.folders(course, course.submitted_directory):
        if student.startswith(".") or not path.is_dir() or not folder.is_dir():
            continue
        try:
            notebooks = submission.read(student, folder, 0).notebooks
            if not notebooks:
                raise mend.Unreadable("no notebook")
            name, _ = mend.choose(notebooks, chapter, released)
            nb, _ = mend.mend(notebooks[name], released)
            works.append(work(student, _answers(nb), explained))
        except (mend.Unreadable, OSError) as why:
            skipped[student] = str(why)
    return works, skipped


def _explained(chapter: str, released) -> set[int]:
    """The hashes of all that the release, the solutions and the answer bank hold, right or wrong."""
    sources = [cell.source for cell in released.cells if cell.cell_type == "code"]
    sources += [answer.source for answer in _bank(chapter)]
    if chapters.text_path(chapter).exists():
        sources += [exercise.answer.source for exercise in chapters.exercises(chapters.read(chapter))]
    return {each for source in sources for each in hashes(tokens(source))}


def _bank(chapter: str) -> list[bank.Answer]:
    try:
        return bank.answers(chapter)
    except FileNotFoundError:  # a chapter of one's own
        return []


def _answers(notebook) -> dict[str, str]:
    found = chapters.exercises_released(notebook)
    return {exercise.number: exercise.answer.source for exercise in found if exercise.answer}


def work(student: str, answers: dict[str, str], explained: set[int]) -> Work:
    """answers: {exercise: source}. Short answers have no fingerprints."""
    read = {number: tokens(source) for number, source in answers.items()}
    prints = {}
    for number, found in read.items():
        if len(found) >= SHORT:
            prints |= {each: (number, place) for each, place in chosen(hashes(found)).items() if each not in explained}
    return Work(student, answers, read, prints)


def ordinary(many: int) -> int:
    """More people than these of a class have what is ordinary: the lecture's way, or a page that everybody knows."""
    return min(20, max(6, many // 10))


def pairs(works: list[Work]) -> list[Pair]:
    """The pairs that share much of what few others have, the most alike first."""
    holders = defaultdict(list)
    for index, one in enumerate(works):
        for each in one.prints:
            holders[each].append(index)
    shared = defaultdict(list)
    for each, those in holders.items():
        if 2 <= len(those) <= ordinary(len(works)):
            for pair in combinations(those, 2):
                shared[pair].append(each)
    found = []
    for (first, second), those in shared.items():
        score = sum(2 / len(holders[each]) for each in those)
        if score >= LEAST:
            one, other = works[first], works[second]
            share = len(those) / min(len(one.prints), len(other.prints))
            found.append(Pair(score, share, one, other, those))
    return sorted(found, key=lambda pair: (-pair.score, pair.one.student, pair.other.student))


def _side_by_side(pair: Pair) -> dict:
    """The pair for the page: for each two answers that share something, their lines, with what is shared marked."""
    passages = defaultdict(lambda: (set(), set()))
    for each in pair.shared:
        places = pair.one.prints[each], pair.other.prints[each]
        both = passages[tuple(number for number, _ in places)]
        for lines, work, (number, place) in zip(both, (pair.one, pair.other), places, strict=True):
            for token in work.tokens[number][place : place + RUN]:
                lines |= {*range(token.first, token.last + 1)}
    return {
        "one": pair.one.student,
        "other": pair.other.student,
        "share": pair.share,
        "score": pair.score,
        "passages": [
            [
                (number, _cut(work.answers[number], lines))
                for number, work, lines in zip(numbers, works, both, strict=True)
            ]
            for works in [(pair.one, pair.other)]
            for numbers, both in sorted(passages.items())
        ],
    }


def _cut(source: str, marked: set[int]) -> list[dict]:
    """The marked lines and those around them as {"number", "text", "marked"}; dots stand where some are left out."""
    near = {line + step for line in marked for step in range(-AROUND, AROUND + 1)}
    shown_lines: list[dict] = []
    last = -1
    for number, text in enumerate(source.splitlines()):
        if number in near:
            if number != last + 1:
                shown_lines.append({"number": "", "text": "...", "marked": False})
            shown_lines.append({"number": number + 1, "text": text[:300], "marked": number in marked})
            last = number
    return shown_lines
