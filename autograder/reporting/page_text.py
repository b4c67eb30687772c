"""Markdown as HTML for pages that stand alone: insight, the demo pages, the site. Formulas become MathML.

MathML is drawn by the browser itself: no script, no font and no network is needed, and screen readers read it out.
MathJax would load over a megabyte onto a phone, from another host.
"""

import re

from latex2mathml.converter import convert
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath


class _MathML(IPythonRenderer):
    def inline_math(self, body: str) -> str:
        return _formula(body, "inline")

    def block_math(self, body: str) -> str:
        return f'<span class="scroll">{_formula(body, "block")}</span>'

    def heading(self, text: str, level: int, **about) -> str:
        words = re.findall(r"\w+", re.sub(r"<[^>]+>", "", text))
        return super().heading(text, level, **about | {"id": "-".join(words).lower()})


def to_html(markdown: str) -> str:
    """`markdown` as HTML; headings get ids, and what may be wider than a phone the class "scroll"."""
    return scrolling(MarkdownWithMath(renderer=_MathML(escape=False, exclude_anchor_links=True)).render(markdown))


def scrolling(html: str) -> str:
    """`html` with each table in a box that scrolls when the screen is narrower."""
    return re.sub(r"<table.*?</table>", r'<div class="scroll" tabindex="0">\g<0></div>', html, flags=re.DOTALL)


def _formula(tex: str, display: str) -> str:
    # The converter takes \_ in \text literally, and sets no space around \ln.
    tex = re.sub(r"\\ln(?![a-z])", r"\\,\\ln\\,", tex)
    tex = re.sub(r"\\text\{[^}]*\}", lambda text: text[0].replace(r"\_", "_"), tex)
    return convert(tex.strip(), display=display)
