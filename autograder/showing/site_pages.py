"""The chapters as static pages: the release's cells, and below them what the reference solution put out.

nbconvert's own pages bring JupyterLab's styles and fetch two scripts from other hosts; a page here is a few hundred
lines of HTML with its pictures beside it. Live figures move: their frames were drawn beforehand, and a script of some
sixty lines shows the one that the sliders ask for. Where the chapter asks for a prediction first, so does the page.
"""

import base64
import pickle
import re
import shutil
from pathlib import Path

import jinja2
import nbformat
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer
from tqdm import tqdm

from autograder import ROOT, CourseError
from autograder.authoring import build, chapters
from autograder.reporting import page_text
from autograder.showing import moving, played, recorder
from autograder.showing.recorder import KEPT
from course import predict

SITE = ROOT / "site"
CODE = HtmlFormatter(cssclass="code")
DARK_CODE = HtmlFormatter(cssclass="code", style="github-dark")


def write(only: list[str]) -> Path:
    """Write index.html and a page for each chapter in `only` to site/, playing what is not kept; return the folder."""
    pages = [{"name": chapter} | _release(chapter) for chapter in only]
    played.play(only)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).with_name("site_page")), autoescape=True, trim_blocks=True
    )
    styles = {
        "code": CODE.get_style_defs(".code"),
        "dark_code": DARK_CODE.get_style_defs(".code"),
    }
    try:
        shutil.rmtree(SITE, ignore_errors=True)
        SITE.mkdir()
        for page in pages:
            (SITE / page["name"]).mkdir()
            page |= _about(page["release"])
        for page in tqdm(pages, unit="chapter", desc="drawing frames"):
            page["cells"] = _cells(page["release"], played.read(page["name"]), SITE / page["name"])
        for before, page, after in zip([None, *pages], pages, [*pages[1:], None], strict=False):
            html = environment.get_template("chapter.html.j2").render(page=page, before=before, after=after, **styles)
            (SITE / f"{page['name']}.html").write_text(html, "utf-8")
        html = environment.get_template("index.html.j2").render(pages=pages, **_course(), **styles)
        (SITE / "index.html").write_text(html, "utf-8")
    except OSError as error:
        raise CourseError(f"cannot write {SITE}: {error.strerror}; check the folder's permissions") from error
    return SITE


def _release(chapter: str) -> dict:
    """The chapter's "release" and "places", {"Colab": address, ...}; CourseError where it is missing or out of step."""
    path = chapters.release_path(chapter)
    if not path.exists():
        raise CourseError(f"{path.relative_to(ROOT)} is missing: run make release")
    release = nbformat.read(path, as_version=4)
    source = nbformat.read(chapters.source_path(chapter), as_version=4)
    places = {}
    if release.cells[0].id == build.BADGES:  # their pictures would come from other hosts
        places = dict(re.findall(r"\[Open in (\w+)\](?:\(\S+\)\])?\((\S+)\)$", release.cells.pop(0).source, re.M))
    if [cell.id for cell in release.cells] != [cell.id for cell in source.cells]:
        raise CourseError(f"{path.relative_to(ROOT)} is older than its source: run make source release")
    return {"release": release, "places": places}


def _course() -> dict:
    """The course's name and what it is, from the README's first lines."""
    heading, about = (ROOT / "README.md").read_text("utf-8").split("\n\n")[:2]
    return {"title": heading.lstrip("# "), "about": " ".join(about.split())}


def _about(release: NotebookNode) -> dict:
    """A chapter's title, the problem it opens with, and its sections."""
    title, problem = release.cells[0].source.split("\n\n")[:2]
    text = "\n".join(cell.source for cell in release.cells if cell.cell_type == "markdown")
    return {
        "title": title.lstrip("# "),
        "problem": page_text.to_html(problem),
        "sections": re.findall(r'<h2 id="([^"]+)">(.+?)</h2>', page_text.to_html(text)),
    }


def _cells(release: NotebookNode, source: NotebookNode, pictures: Path) -> list[dict]:
    """What the page shows of each cell; the pictures are written to the folder `pictures`, named like the chapter."""
    outputs = {cell.id: cell.get("outputs", []) for cell in source.cells}
    shown = []
    for cell in release.cells:
        if cell.cell_type == "markdown":
            shown.append({"kind": "text", "html": page_text.to_html(cell.source)})
            continue
        kind = chapters.grade_id(cell).split("_")[0] or "code"  # code, setup, ex or test
        html = highlight(cell.source, PythonLexer(), CODE)
        # Below an unanswered cell nothing is shown, and the set-up cell's bars would be nobody's progress.
        kept = [] if kind in ("ex", "test", "setup") else outputs[cell.id]
        outputs_shown = []
        for output in filter(None, (_output(output, pictures) for output in kept)):
            if outputs_shown and "text" in output and "text" in outputs_shown[-1]:
                outputs_shown[-1]["text"] += output["text"]  # what was printed in several pieces
            else:
                outputs_shown.append(output)
        shown.append({"kind": kind, "html": html, "outputs": outputs_shown})
    return shown


def _output(output: NotebookNode, pictures: Path) -> dict | None:
    """{"text"}, {"html"} or {"picture", "alt", "moving", "asked"}; None for progress bars and what stderr got."""
    if output.output_type == "stream":
        return {"text": output.text} if output.name == "stdout" else None
    data = output.get("data", {})
    if "image/png" in data:
        number = len(list(pictures.glob("*.png"))) + 1
        path = pictures / f"{number}.png"
        path.write_bytes(base64.b64decode(data["image/png"]))
        alt = output.metadata["image/png"]["alt"]
        kept = played.folder(pictures.name) / data[KEPT]["file"] if KEPT in data else None
        asked = data.get(KEPT, {}).get("asked")
        shown = {"picture": f"{pictures.name}/{path.name}", "alt": alt, "moving": kept and _moving(kept, path)}
        return shown | {"asked": asked and _asked(**asked)}
    if "application/vnd.jupyter.widget-view+json" in data:
        return None
    if "text/html" in data:
        return {"html": page_text.scrolling(data["text/html"])}
    return {"text": data.get("text/plain", "")}


def _asked(question: str, happened: str, **answers) -> dict:
    """What a page needs to ask for a prediction: each that can be made, in words, and what happens."""
    asked = predict.Question(question, **answers)
    texts = [asked.words(value) for value in asked.values]
    return {"question": question, "texts": texts, "slider": asked.slider is not None, "happened": happened}


def _moving(kept: Path, still: Path) -> dict | None:
    """What moves the live figure whose call is in `kept`: its frames are written beside its picture, `still`."""
    made = _frames(kept)
    if made is None:
        return None
    strips = []
    for number, strip in enumerate(made.strips):
        path = still.with_name(f"{still.stem}-{number}.webp")
        path.write_bytes(strip)
        strips.append(f"{still.parent.name}/{path.name}")
    shown = ("label", "texts", "first", "order")
    controls = [{name: getattr(each, name) for name in shown} for each in made.controls]
    return {"controls": controls, "strips": strips, "captions": made.captions, "size": made.size, "rest": made.left_out}


def _frames(kept: Path) -> moving.Moving | None:
    """The frames of the live figure whose call is in `kept`, drawn once for each run."""
    drawn = kept.with_suffix(".frames")
    if not drawn.exists():
        partial = kept.with_suffix(".partial")
        partial.write_bytes(pickle.dumps(moving.frames(recorder.replay(str(kept), moving.WIDTH))))
        partial.replace(drawn)
    return pickle.loads(drawn.read_bytes())
