"""The guide for teaching says what the chapters say: points, hours, headings, exercises, the bank's names, commands."""

import importlib
import inspect
import re
from pathlib import Path

import pytest
from conftest import CHAPTERS

from autograder import ROOT
from autograder.authoring import bank, chapters
from course.live import Live

DOCS = ROOT / "docs"
GUIDE = (DOCS / "teaching.md").read_text("utf-8")
NUMBER = r"L?\d\.\d+"


def section(title):
    """The guide's section of that heading, up to the next of its level or above."""
    level = len(title.split()[0])
    return re.split(rf"^#{{1,{level}}} ", GUIDE.split(f"\n{title}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]


def rows(text):
    """The cells of each row of the tables in `text`, without heads."""
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    return [row for row in cells if re.fullmatch(r"\d+", row[0])]


def first_cell(chapter):
    return chapters.read(chapter).cells[0].source


@pytest.fixture(scope="module")
def glance():
    return {int(row[0]): row[1:] for row in rows(section("## The chapters at a glance"))}


@pytest.fixture(scope="module")
def numbers(exercises_of):
    return {number for chapter in CHAPTERS for number in exercises_of(chapter)}


def test_the_table_has_every_chapter_once_and_in_order():
    listed = [int(row[0]) for row in rows(section("## The chapters at a glance"))]
    assert listed == list(range(len(CHAPTERS)))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_table_has_the_chapters_name_and_points(chapter, glance, exercises_of):
    n = CHAPTERS.index(chapter)
    name, core, _, labs, *_ = glance[n]
    points = {False: 0, True: 0}
    for number, exercise in exercises_of(chapter).items():
        points[number.startswith("L")] += exercise.points
    assert first_cell(chapter).splitlines()[0] == f"# Chapter {n} · {name}"
    assert (int(core), int(labs)) == (points[False], points[True])


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_chapters_head_says_the_hours_of_the_table(chapter, glance):
    _, _, core, _, labs, *_ = glance[CHAPTERS.index(chapter)]
    said = re.findall(r"^Time: (.+) hours for the core, (.+) more for the labs\. You need ", first_cell(chapter), re.M)
    assert said == [(core, labs)]


@pytest.mark.parametrize(("kind", "column"), [("cores", 2), ("labs", 4)])
def test_the_sums_of_the_hours_are_right(kind, column, glance):
    ends = [map(int, row[column].split(" to ")) for row in glance.values()]
    least, most = map(sum, zip(*ends, strict=True))
    assert re.search(rf"\b{least} to {most}\b", GUIDE), f"all {kind}: {least} to {most} hours"


def live_figures(chapter):
    """The headings of the chapter's text under which live figures stand, in order."""
    notebook, heading, found = chapters.read(chapter), "", []
    name = re.search(r"from course\.figures import (\w+) as draw", str(notebook))[1]
    module = importlib.import_module(f"course.figures.{name}")
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = [heading, *re.findall(r"^#{2,} (.+)$", cell.source, re.MULTILINE)][-1]
        for function in re.findall(r"\bdraw\.(\w+)\(", cell.source if cell.cell_type == "code" else ""):
            if inspect.signature(getattr(module, function)).return_annotation in (Live, "Live"):
                found.append(heading)
    return found


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_every_live_figure_has_its_question(chapter):
    shown = [row for row in rows(section("## What to show and to ask")) if int(row[0]) == CHAPTERS.index(chapter)]
    assert [figure.strip("`") for _, figure, _ in shown] == live_figures(chapter)
    assert all("?" in question for *_, question in shown)


def test_every_heading_that_is_quoted_exists():
    headings = {
        heading
        for chapter in CHAPTERS
        for cell in chapters.read(chapter).cells
        if cell.cell_type == "markdown"
        for heading in re.findall(r"^#{2,} (.+)$", cell.source, re.MULTILINE)
    }
    quoted = {" ".join(heading.split()) for heading in re.findall(r"`(See it: [^`]+)`", GUIDE)}
    assert quoted <= headings
    assert "What holds for every exercise" in headings


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_mistakes_that_are_quoted_are_the_banks(chapter):
    known = {(answer.exercise, answer.name) for answer in bank.answers(chapter) if not answer.right}
    text = section(f"### Chapter {CHAPTERS.index(chapter)}")
    lines = re.findall(rf"^- \*\*({NUMBER})\*\* ((?:`[^`]+`(?:, )?)+)\. ", text, re.MULTILINE)
    quoted = {(number, name) for number, names in lines for name in re.findall("`([^`]+)`", names)}
    assert len(lines) == len(re.findall("^- ", text, re.MULTILINE)) >= 4
    assert quoted <= known, sorted(quoted - known)


def test_the_mistakes_of_every_chapter_are_the_banks():
    names = {answer.name for chapter in CHAPTERS for answer in bank.answers(chapter)}
    last = section("## What usually goes wrong").split("In every chapter:")[1]
    assert set(re.findall("`([^`]+)`", last.split(". ")[0])) <= names


def test_every_exercise_that_is_named_exists(numbers):
    named = set(re.findall(r"\b(?:L\d\.\d+|(?<=\*\*)\d\.\d+(?=\*\*)|(?<=\()\d\.\d+(?=[,) ]))", GUIDE))
    assert named
    assert named <= numbers, sorted(named - numbers)


def test_every_command_and_file_that_is_named_exists():
    phony = re.search(r"^\.PHONY: (all .+)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)[1].split()
    commands = re.findall(r"`make ([a-z ]+?)(?: [A-Z]+=[^`]*)?`", GUIDE)
    assert commands
    for command in commands:
        assert set(command.split()) <= set(phony), command
    for link in re.findall(r"\]\(([^)#]+)(?:#[\w-]+)?\)", GUIDE):
        assert (DOCS / link).exists(), link
    for path in re.findall(r"`((?:tests|course|autograder|source|release)/[\w./]+)`", GUIDE):
        assert (ROOT / path).exists(), path


def test_the_guide_is_linked():
    for page in ("README.md", "docs/instructors.md"):
        text = (ROOT / page).read_text("utf-8")
        links = {(ROOT / page).parent / link for link in re.findall(r"\]\(([\w./]+\.md)\)", text)}
        assert DOCS / "teaching.md" in {Path(link).resolve() for link in links}
