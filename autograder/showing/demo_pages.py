"""The chapters' live figures as full-screen pages: a notebook for each chapter, and the page that lists them.

A page takes everything from the chapter's own cells: the heading above a figure, what the text there asks people to
look at, and the call that made the figure when the chapter was played. Where the chapter asks for a prediction first,
the page asks its viewers and counts (`ballots`).
"""

import re
from pathlib import Path

import jinja2
import nbformat
from nbformat import NotebookNode

from autograder.reporting import page_text
from autograder.showing import ballots, played
from autograder.showing.recorder import KEPT

PAGE = Path(__file__).with_name("demo_page")


def write(only: list[str]) -> Path:
    """Write the pages of the chapters in `only`, playing what is not kept; return their folder."""
    played.play(only)
    pages = ballots.FILE.parent
    pages.mkdir(parents=True, exist_ok=True)
    for old in pages.glob("*.*"):
        old.unlink()
    about = []
    for chapter in only:
        page = notebook(played.read(chapter), played.folder(chapter))
        nbformat.write(page, pages / f"{chapter}.ipynb")
        about.append({"title": page.metadata.title, "figures": len(page.cells), "chapter": chapter})
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(PAGE), autoescape=False)
    index = environment.get_template("chapters.html.j2").render(chapters=about)
    (pages / "index.html").write_text(index, "utf-8")
    return pages


def notebook(source: NotebookNode, kept: Path) -> NotebookNode:
    """The page's notebook: one cell for each live figure of `source`, a played chapter whose calls are in `kept`."""
    made = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    made.metadata.title = title(source)
    heading = last = ""
    for cell in source.cells:
        if cell.cell_type == "markdown":
            last = cell.source
            heading = next(reversed(re.findall(r"^#{2,} (.+)$", last, re.MULTILINE)), heading)
        for output in cell.get("outputs", ()):
            if call := output.get("data", {}).get(KEPT):
                code = f"recorder.replay({str(kept / call['file'])!r})"
                if asked := call.get("asked"):
                    code = f"ballots.Ballot({code}, file={str(ballots.FILE)!r}, **{asked!r})"
                code = f"from autograder.showing import ballots, recorder\n\n{code}"
                made.cells.append(nbformat.v4.new_code_cell(code, id=f"figure-{len(made.cells) + 1}"))
                made.cells[-1].metadata.course = {
                    "heading": _inline(re.sub(r"^See it: |^\d+\. ", "", heading)),
                    "look": page_text.to_html(look(last)),
                }
    return made


def title(source: NotebookNode) -> str:
    """The chapter's name, from its first heading."""
    return re.search(r"^# (.+)$", source.cells[0].source, re.MULTILINE)[1]


def look(markdown: str) -> str:
    """What the text above a figure asks people to look at: its bullets, or its last paragraph where it has none."""
    bullets = re.search(r"^- .+", markdown, re.MULTILINE | re.DOTALL)
    return bullets[0] if bullets else markdown.strip().split("\n\n")[-1]


def _inline(markdown: str) -> str:
    html = page_text.to_html(markdown[:1].upper() + markdown[1:]).strip()
    return html.removeprefix("<p>").removesuffix("</p>")
